"""MUSIQ's weights as Google publishes them: one .npz of a flax 0.3 training state.

Names and layout are those that google-research/musiq (`run_predict_image.py`) reads: the network
lies below opt/target, beside the optimiser's own arrays, which are not read.
"""

import hashlib
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from pe.models.musiq import BLOCK_WIDTH, STEM_STRIDE, Musiq, MusiqConfig, param_shapes

ROOT = "opt/target/"
SHOWN_NAMES = 5
BINS = (1, 10)  # KonIQ, SPAQ, PaQ-2-PiQ; AVA
_DAMAGES = (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


def open_musiq(path: Path) -> Musiq:
    """Read a MUSIQ from ava_ckpt.npz, koniq_ckpt.npz, paq2piq_ckpt.npz, spaq_ckpt.npz or the like.

    The sizes are read off the arrays; `Musiq.config.num_scales` says whether the weights want
    pictures of three scales or of one (`MusiqInputConfig(longer_sides_px=())`). Holds one copy of
    the network in float32 (104 MiB of the published ones). No pickled object is ever read.

    Raises ValueError for a file that is missing, damaged or no .npz, for arrays that are missing,
    of another shape, not finite or of no MUSIQ, and for weights that rate nothing (those of
    ImageNet).
    """
    if not path.is_file():
        raise ValueError(f"{path} not found; expected MUSIQ's weights, such as ava_ckpt.npz")
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is damaged or no .npz file; expected MUSIQ's weights as Google publishes them "
            "(ava_ckpt.npz). Weights of PyTorch (.pth) are not read"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name[len(ROOT) :]: file[name] for name in file if name.startswith(ROOT)}
            others = [name for name in file if not name.startswith(ROOT)]
    except _DAMAGES as error:
        raise ValueError(f"{path} is damaged: {error}; download or copy it again") from error
    if not arrays:
        raise ValueError(
            f"{path} holds no array below {ROOT}, but {_show(others)}; expected MUSIQ's weights as "
            "Google publishes them"
        )
    config = _read_config(path, arrays)
    shapes = param_shapes(config)
    if missing := [name for name in shapes if name not in arrays]:
        raise ValueError(f"{path} lacks {_show([ROOT + name for name in missing])}")
    if extra := [name for name in arrays if name not in shapes]:
        raise ValueError(
            f"{path} holds {_show([ROOT + name for name in extra])}, which this MUSIQ "
            f"({config.num_layers} layers) does not have; expected the published network"
        )
    params = {}
    for name, shape in shapes.items():
        values = arrays.pop(name)
        # flax 0.3 keeps the vectors of a GroupNorm as [1 1 1 C]
        found = values.shape[-1:] if values.shape[:-1] == (1, 1, 1) else values.shape
        if found != shape or values.dtype.kind != "f":
            raise ValueError(
                f"{path}: {ROOT}{name} is {list(values.shape)} of {values.dtype}, expected "
                f"{list(shape)} of float32"
            )
        if not np.isfinite(values).all():
            raise ValueError(f"{path}: {ROOT}{name} holds values that are not finite")
        params[name] = jnp.asarray(values.reshape(shape), jnp.float32)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Musiq(config=config, params=params, digest=digest)


def _read_config(path: Path, arrays: Mapping[str, np.ndarray]) -> MusiqConfig:
    """Read a network's sizes off the arrays that tell them."""
    first = "Transformer/encoderblock_0"
    query = _shape(path, arrays, f"{first}/MultiHeadDotProductAttention_1/query/kernel", 3)
    mlp = _shape(path, arrays, f"{first}/MlpBlock_3/Dense_0/kernel", 2)
    scales = _shape(path, arrays, "Transformer/scaleembed_input/scale_embedding", 3)
    places = _shape(path, arrays, "Transformer/posembed_input/pos_embedding", 3)
    embedding = _shape(path, arrays, "embedding/kernel", 2)
    num_bins = _shape(path, arrays, "head/kernel", 2)[1]
    if num_bins not in BINS:
        raise ValueError(
            f"{path}: its head gives {num_bins} values, expected 10 (AVA) or 1 (KonIQ, SPAQ, "
            "PaQ-2-PiQ); weights of ImageNet rate no pictures"
        )
    layers = {name.split("/")[1] for name in arrays if name.startswith("Transformer/encoderblock_")}
    try:
        return MusiqConfig(
            patch_px=math.isqrt(embedding[0] // BLOCK_WIDTH) * STEM_STRIDE,
            width=query[0],
            num_layers=len(layers),
            num_heads=query[1],
            mlp_width=mlp[1],
            grid_size=math.isqrt(places[1]),
            num_scales=scales[1],
            num_bins=num_bins,
        )
    except ValueError as error:
        raise ValueError(f"{path} holds no MUSIQ: {error}") from error


def _shape(
    path: Path, arrays: Mapping[str, np.ndarray], name: str, num_axes: int
) -> tuple[int, ...]:
    if name not in arrays:
        raise ValueError(
            f"{path} lacks {ROOT}{name}; expected MUSIQ's weights as Google publishes them"
        )
    shape = arrays[name].shape
    if len(shape) != num_axes:
        raise ValueError(f"{path}: {ROOT}{name} is {list(shape)}, expected {num_axes} axes")
    return shape


def _show(names: list[str]) -> str:
    """Name the first few of many."""
    rest = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {rest} more" if rest > 0 else "")
