"""Images as MUSIQ reads them: patches of two resized copies and of the picture itself.

MUSIQ (arXiv:2108.05997 sec. 3) keeps every picture's shape and resolution; the steps, their order
and TensorFlow's resampling are those of google-research/musiq (`preprocessing.py`), from the
decoded pixels on. Knows nothing about the network.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped

from pe.axes import Float, Int

_RADIUS = np.float32(1.5)  # TensorFlow's Gaussian: what is farther away counts nothing,
_TWO_SIGMA_SQUARED = np.float32(0.5)  # and its sigma is a third of that
_TAPS = 4  # source pixels whose centres can lie within the radius
_CHANNELS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class MusiqInputConfig:
    """How a picture becomes patches; the defaults are those of the published three-scale weights.

    `longer_sides_px` are the longer sides of the resized copies; the picture itself is always the
    last scale. The weights called single scale take `longer_sides_px=()`. `max_native_patches`
    keeps that many patches of the picture itself, from its top on (None: all of them, with which
    the published scores were made; memory grows with the square of their number).
    """

    patch_px: int = 32
    grid_size: int = 10
    longer_sides_px: tuple[int, ...] = (224, 384)
    max_native_patches: int | None = None

    def __post_init__(self) -> None:
        for name in ("patch_px", "grid_size"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"MusiqInputConfig.{name}: got {value}, expected 1 or more")
        sides = self.longer_sides_px
        if list(sides) != sorted(set(sides)) or any(side < 1 for side in sides):
            raise ValueError(
                f"MusiqInputConfig.longer_sides_px: got {sides}, expected different sizes of 1 px "
                "or more, the smallest first"
            )
        if self.max_native_patches is not None and self.max_native_patches < 1:
            raise ValueError(
                f"MusiqInputConfig.max_native_patches: got {self.max_native_patches}, expected 1 "
                "or more, or None for all"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MusiqInput:
    """One picture's patches (rows, columns, channels of each in one dimension), where they lie in
    the hash grid, and at which scale they were cut."""

    patches: Float[np.ndarray, "L D"]
    positions: Int[np.ndarray, " L"]
    scales: Int[np.ndarray, " L"]


def prepare_image(image: Shaped[np.ndarray, "..."], config: MusiqInputConfig) -> MusiqInput:
    """Cut an RGB picture, uint8 [Y X 3], into patches of every scale, float32 from -1 to 1.

    Google's code also fills every resized copy up to a square's number of patches with masked ones;
    no other patch sees those, so they are left out here and a batch is filled up once, at its end
    (`stack_inputs`). Differences that remain are those of the JPEG decoder.

    Example (patches of 1 px, grid of 4, longer_sides_px=(2,)):
      image                  patches                                positions     scales
      [[white, black]]       white  black  |  white  black          0, 2 | 0, 2   0, 0 | 1, 1
                             (0.76 and -0.76 in the copy: a copy of the same size is blurred too)

    Raises ValueError for another type or shape, for a picture without pixels, and for one that is
    so thin that a copy of it has no width or no height.
    """
    if image.dtype != np.uint8:
        raise ValueError(f"image: got {image.dtype}, expected uint8 from 0 to 255")
    if image.ndim != 3 or image.shape[2] != _CHANNELS:
        raise ValueError(f"image: got the shape {list(image.shape)}, expected RGB, [Y X 3]")
    height, width = image.shape[:2]
    if min(height, width) < 1:
        raise ValueError(f"image: got {width} x {height} px, expected at least one pixel")
    pixels = image.astype(np.float32) / np.float32(255) * np.float32(2) - np.float32(1)
    parts = []
    for scale, longer_px in enumerate(config.longer_sides_px):
        sides = _resized_sides(height, width, longer_px)
        if min(sides) < 1:
            raise ValueError(
                f"image: got {width} x {height} px, of which a copy of {longer_px} px would be "
                f"{sides[1]} x {sides[0]}; expected less of a strip, crop it first"
            )
        parts.append(_cut(_resize(pixels, *sides), scale, config))
    native = _cut(pixels, len(config.longer_sides_px), config)
    keep = config.max_native_patches
    parts.append(tuple(values[:keep] for values in native))
    patches, positions, scales = (np.concatenate(values) for values in zip(*parts, strict=True))
    return MusiqInput(patches=patches, positions=positions, scales=scales)


def stack_inputs(
    inputs: Sequence[MusiqInput], *, num_patches: int | None = None, multiple: int = 128
) -> dict[str, Shaped[np.ndarray, "B L ..."]]:
    """Stack pictures for `pe.models.musiq.Musiq.score(**batch)`, filled up with masked patches.

    To `num_patches` each, or to the next `multiple` above the longest, so that a program is
    compiled once for many sizes of pictures. What is added changes no score.

    Example (multiple=2):
      inputs' positions    positions         mask
      [0, 5, 9]            [[0, 5, 9, 0],    [[1, 1, 1, 0],
      [4]                   [4, 0, 0, 0]]     [1, 0, 0, 0]]

    Raises ValueError for no pictures, for pictures cut into patches of different sizes, and for one
    with more than `num_patches`.
    """
    if not inputs:
        raise ValueError("inputs: got no pictures, expected at least one")
    if len({item.patches.shape[1] for item in inputs}) > 1:
        raise ValueError("inputs: got patches of different sizes, expected those of one config")
    longest = max(len(item.positions) for item in inputs)
    if num_patches is None:
        num_patches = -(-longest // multiple) * multiple
    if longest > num_patches:
        raise ValueError(
            f"inputs: got a picture of {longest} patches, expected at most {num_patches}; resize "
            "it, or raise num_patches"
        )
    shape = (len(inputs), num_patches)
    batch = {
        "patches": np.zeros((*shape, inputs[0].patches.shape[1]), np.float32),
        "positions": np.zeros(shape, np.int32),
        "scales": np.zeros(shape, np.int32),
        "mask": np.zeros(shape, np.bool_),
    }
    for row, item in enumerate(inputs):
        length = len(item.positions)
        for name in ("patches", "positions", "scales"):
            batch[name][row, :length] = getattr(item, name)
        batch["mask"][row, :length] = True
    return batch


def hash_positions(num_rows: int, num_columns: int, grid_size: int) -> Int[np.ndarray, " L"]:
    """Return each patch's cell in the grid, row after row (arXiv:2108.05997 sec. 3.3).

    Example (grid_size=10):
      rows  columns  returns
         1        4  0, 2, 5, 7
         2        2  0, 5, 50, 55
    """
    rows, columns = _nearest(num_rows, grid_size), _nearest(num_columns, grid_size)
    return (rows[:, None] * grid_size + columns[None, :]).reshape(-1)


def _nearest(count: int, grid_size: int) -> Int[np.ndarray, " L"]:
    """Spread patches over a grid's cells as TensorFlow's first nearest-neighbour resize does.

    In float32 as there: i * grid_size // count differs, at 15 patches for the first time.
    """
    scale = np.float32(grid_size) / np.float32(count)
    cells = np.floor(np.arange(count, dtype=np.float32) * scale).astype(np.int32)
    return np.minimum(cells, grid_size - 1)


def _resized_sides(height: int, width: int, longer_px: int) -> tuple[int, int]:
    """Return (height, width) of a copy; halves are rounded to the even number, in float32."""
    ratio = np.float32(longer_px) / np.float32(max(height, width))
    return int(np.rint(np.float32(height) * ratio)), int(np.rint(np.float32(width) * ratio))


def _resize(pixels: Float[np.ndarray, "Y X 3"], height: int, width: int) -> np.ndarray:
    """Resample as tf.image.resize(method="gaussian") does without antialiasing.

    The kernel keeps its width in pixels of the source: of a picture made much smaller most pixels
    are never looked at, and one of the same size is blurred. Both are in the published scores.
    """
    return _resample(_resample(pixels, height).swapaxes(0, 1), width).swapaxes(0, 1)


def _resample(pixels: Float[np.ndarray, "Y X 3"], size: int) -> np.ndarray:
    """Resample the first axis to `size`."""
    num_pixels = len(pixels)
    step = np.float32(1) / (np.float32(size) / np.float32(num_pixels))
    centres = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * step
    starts = np.ceil(centres - _RADIUS - np.float32(0.5)).astype(np.int64)
    taps = starts[:, None] + np.arange(_TAPS)  # [size taps]
    distance = np.abs(taps.astype(np.float32) + np.float32(0.5) - centres[:, None])
    weights = np.exp(-distance * distance / _TWO_SIGMA_SQUARED)
    is_near = (distance < _RADIUS) & (taps >= 0) & (taps < num_pixels)
    weights = np.where(is_near, weights, np.float32(0))
    weights /= weights.sum(axis=1, keepdims=True)
    taps = np.clip(taps, 0, num_pixels - 1)
    resampled = np.zeros((size, *pixels.shape[1:]), np.float32)
    for tap in range(_TAPS):
        resampled += weights[:, tap, None, None] * pixels[taps[:, tap]]
    return resampled


def _cut(
    pixels: Float[np.ndarray, "Y X 3"], scale: int, config: MusiqInputConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut a copy into patches, row after row; zeros (grey) are added around it, an odd one last."""
    side = config.patch_px
    rows, columns = (-(-length // side) for length in pixels.shape[:2])
    missing = rows * side - pixels.shape[0], columns * side - pixels.shape[1]
    margins = [(total // 2, total - total // 2) for total in missing]
    padded = np.pad(pixels, [*margins, (0, 0)])
    patches = padded.reshape(rows, side, columns, side, _CHANNELS).swapaxes(1, 2)
    positions = hash_positions(rows, columns, config.grid_size)
    return (
        patches.reshape(rows * columns, side * side * _CHANNELS),
        positions,
        np.full(len(positions), scale, np.int32),
    )
