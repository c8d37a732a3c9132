"""A T5's weights on disk, whatever their format: a config and arrays that are read when asked for.

The arrays carry the names of `pe.models.t5`: `encoder.layers.0.attention.query.kernel`. Formats
only rename, transpose and cut; the values and their types are left as they are. Knows no format.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pe.models.t5 import T5, T5Config

SHOWN_NAMES = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredArray:
    """An array that has not been read yet."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A T5 on disk. `source` is what the user named; `vocabulary` the file beside it, if any."""

    source: str
    config: T5Config
    arrays: Mapping[str, StoredArray]
    vocabulary: Path | None = None


def stored(array: np.ndarray) -> StoredArray:
    """Wrap an array that is in memory already."""
    return StoredArray(shape=array.shape, dtype=array.dtype, read=lambda: array)


def param_shapes(config: T5Config) -> dict[str, tuple[int, ...]]:
    """Return {name: shape} of a T5's parameters, in the model's order, without making them."""
    return dict(_param_shapes(config))


@functools.lru_cache(maxsize=64)  # tracing a model takes 0.3 s, and every format asks
def _param_shapes(config: T5Config) -> dict[str, tuple[int, ...]]:
    model = nnx.eval_shape(lambda: T5(config, rngs=nnx.Rngs(0)))
    flat = nnx.to_flat_state(nnx.state(model, nnx.Param))
    return {".".join(map(str, path)): leaf.shape for path, leaf in flat}


def check_arrays(checkpoint: Checkpoint) -> None:
    """Hold the arrays against the model that the config describes: none missing, extra, misshapen.

    Raises ValueError with the names and shapes.
    """
    wanted = param_shapes(checkpoint.config)
    found = {name: array.shape for name, array in checkpoint.arrays.items()}
    problems = [
        ("missing", [f"{n} {list(wanted[n])}" for n in wanted if n not in found]),
        ("not expected", [f"{n} {list(found[n])}" for n in found if n not in wanted]),
        (
            "of another shape",
            [
                f"{n} is {list(found[n])}, expected {list(wanted[n])}"
                for n in wanted
                if n in found and found[n] != wanted[n]
            ],
        ),
    ]
    if any(names for _, names in problems):
        told = "; ".join(f"{what}: {list_names(names)}" for what, names in problems if names)
        raise ValueError(
            f"{checkpoint.source} does not hold the {len(wanted)} arrays of the T5 that its "
            f"config describes: {told}"
        )


def list_names(names: Iterable[str], *, shown: int = SHOWN_NAMES) -> str:
    """Join names for a message, the first few of them."""
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def hash_values(checkpoint: Checkpoint) -> str:
    """Return 16 hex digits of a model's config and all its values, read one array at a time.

    All: a soft prompt that was baked in, or LoRA, shows in large arrays alone.
    """
    digest = hashlib.blake2b(repr(checkpoint.config).encode(), digest_size=8)
    for name, array in sorted(checkpoint.arrays.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(array.read()).tobytes())
    return digest.hexdigest()


def load_params(
    checkpoint: Checkpoint, *, dtype: str | None = None
) -> tuple[nnx.GraphDef, nnx.State]:
    """Read the arrays one by one into a T5's (graph, parameters).

    With a `dtype`, matrices and tables are cast to it, which is what a model computing in it would
    do at every use; norms' scales and position biases stay as stored, since those are used in
    float32. At most one array lies in memory twice. Raises ValueError where an array does not fit.
    """
    check_arrays(checkpoint)
    graph, abstract = nnx.split(nnx.eval_shape(lambda: T5(checkpoint.config, rngs=nnx.Rngs(0))))
    flat = {}
    for path, leaf in nnx.to_flat_state(abstract):
        name = ".".join(map(str, path))
        array = checkpoint.arrays[name]
        is_cast = dtype is not None and is_cast_name(name)
        flat[path] = leaf.replace(jnp.array(array.read(), dtype=dtype if is_cast else array.dtype))
    return graph, nnx.from_flat_state(flat)


def is_cast_name(name: str) -> bool:
    """Tell whether an array is a matrix or table, which is cast to what a model computes in."""
    return name.endswith(("kernel", "embedding")) and not name.endswith("rel_embedding")


def params_to_arrays(params: nnx.State) -> dict[str, StoredArray]:
    """Give a model's parameters the form that every format is written from."""

    def wrap(value: jax.Array) -> StoredArray:
        return StoredArray(
            shape=value.shape, dtype=np.dtype(value.dtype), read=lambda: np.asarray(value)
        )

    flat = nnx.to_flat_state(params)
    return {".".join(map(str, path)): wrap(leaf[...]) for path, leaf in flat}
