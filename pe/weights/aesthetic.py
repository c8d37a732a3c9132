"""LAION's aesthetic predictors on disk, as safetensors with the names of their state dicts.

They are published as pickles, which can run code and are therefore not read;
`tools/convert_head.py` converts one. Knows the two layouts, nothing about embeddings.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from pe.axes import Float
from pe.models.aesthetic import AestheticHead, check_layers
from pe.weights.checkpoint import stored
from pe.weights.safetensors_file import open_safetensors, write_safetensors

# what precedes weight and bias of each layer, first to last; dropout has the numbers in between
LAYOUTS = {
    "linear": ("",),
    "mlp": ("layers.0.", "layers.2.", "layers.4.", "layers.6.", "layers.7."),
}
HEAD_FOLDER = "head"  # of an encoder's folder, where a head lies beside it
CONVERT = (
    "convert it once with `python tools/convert_head.py SRC.pth DST.safetensors`, which needs torch"
)
PICKLE_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".pkl")


def open_head(path_or_folder: Path) -> AestheticHead:
    """Read a head from a safetensors file, or from a folder with just one.

    `AestheticHead.embed_dim` says which embeddings it rates; `digest` is the SHA-256 of the file.

    | layout | arrays |
    |---|---|
    | linear | weight [1 E], bias [1] |
    | mlp | layers.N.weight [outputs inputs], layers.N.bias [outputs]; N = 0, 2, 4, 6, 7 |

    Raises ValueError for a file that is missing, damaged, a pickle, or of another layout.
    """
    path = _find_file(path_or_folder)
    if path.suffix in PICKLE_SUFFIXES:
        raise ValueError(
            f"{path} is a pickle of PyTorch, which can run code and is not read; expected "
            f"safetensors: {CONVERT}"
        )
    try:
        stored = open_safetensors(path)
    except ValueError as error:
        raise ValueError(f"{error}. If it is a .pth file: {CONVERT}") from error
    find_layout(path, {name: array.shape for name, array in stored.items()})  # before all is read
    arrays = {name: array.read() for name, array in stored.items()}
    return make_head(path, arrays, digest=hashlib.sha256(path.read_bytes()).hexdigest())


def save_head(path: Path, weight: Float[np.ndarray, "1 E"], bias: Float[np.ndarray, " 1"]) -> None:
    """Write a head of one linear layer, as LAION's linear ones are named."""
    arrays = {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}
    write_safetensors(path, {name: stored(array) for name, array in arrays.items()})


def make_head(path: Path, arrays: Mapping[str, np.ndarray], *, digest: str = "") -> AestheticHead:
    """Make a head of a file's arrays, in float32; `path` is for messages.

    Raises ValueError for another layout, for values that are no floats, and for those not finite.
    """
    layers = LAYOUTS[find_layout(path, {name: array.shape for name, array in arrays.items()})]
    if not_floats := [name for name, array in arrays.items() if not _is_float(array.dtype)]:
        raise ValueError(
            f"{path}: {', '.join(not_floats)} are of {arrays[not_floats[0]].dtype}, expected floats"
        )
    ready = {name: jnp.asarray(array, jnp.float32) for name, array in arrays.items()}
    if bad := [name for name, array in ready.items() if not bool(jnp.isfinite(array).all())]:
        raise ValueError(f"{path}: {', '.join(bad)} hold values that are not finite")
    return AestheticHead(
        weights=tuple(ready[f"{layer}weight"] for layer in layers),
        biases=tuple(ready[f"{layer}bias"] for layer in layers),
        digest=digest,
    )


def find_layout(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return the name of the layout, "linear" or "mlp", that a file's names and shapes follow.

    Raises ValueError, naming what is missing, unknown or of another shape.
    """
    layout = "linear" if "weight" in shapes else "mlp"
    layers = LAYOUTS[layout]
    expected = [f"{layer}{part}" for layer in layers for part in ("weight", "bias")]
    if set(shapes) != set(expected):
        raise ValueError(
            f"{path} holds no aesthetic head: it lacks {_show(set(expected) - set(shapes))} and "
            f"has {_show(set(shapes) - set(expected))} too many; expected weight and bias, or "
            f"those of {', '.join(layer[:-1] for layer in LAYOUTS['mlp'])}"
        )
    try:
        check_layers(
            {layer: (shapes[f"{layer}weight"], shapes[f"{layer}bias"]) for layer in layers}
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return layout


def _find_file(path: Path) -> Path:
    """Return a file, or the only safetensors file of a folder."""
    if not path.is_dir():
        return path
    files = sorted(path.glob("*.safetensors"))
    if len(files) != 1:
        pickles = [file.name for file in sorted(path.iterdir()) if file.suffix in PICKLE_SUFFIXES]
        hint = f"; for {pickles[0]}: {CONVERT}" if pickles and not files else ""
        raise ValueError(
            f"{path} holds {len(files)} safetensors files ({_show(f.name for f in files)}), "
            f"expected one; name the file{hint}"
        )
    return files[0]


def _is_float(dtype: np.dtype) -> bool:
    return bool(jnp.issubdtype(dtype, jnp.floating))


def _show(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:12]) or "nothing"
