"""What flavors are made of: blur, ramps, masks, textures. Lengths are shares of the shorter side.

Nothing here knows what a picture shows: the subject and the horizon are guessed from its edges.
"""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from pe.axes import Bool, Float, Int
from pe.studio.flavor import Picture

Layer = Float[np.ndarray, "H W"]  # one value a pixel, mostly 0 to 1
Field = Float[np.ndarray, "..."]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
LEVELS = 1024  # of a color ramp


def rgb(red: int, green: int, blue: int) -> Float[np.ndarray, " 3"]:
    """Return a color of 0 to 255 as float32 of 0 to 1."""
    return np.array([red, green, blue], np.float32) / 255


def clip(values: Field) -> Field:
    """Return values cut to 0 to 1, as float32."""
    return np.clip(values, 0, 1).astype(np.float32, copy=False)


def step(values: Field, low: float, high: float) -> Field:
    """Return a smooth step: 0 up to `low`, 1 from `high`; falling where low > high."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def bell(values: Field, width: float) -> Field:
    """Return exp(-(values / width)^2)."""
    return np.exp(-np.square(values / width))


def grid(picture: Picture) -> tuple[Float[np.ndarray, "H 1"], Float[np.ndarray, "1 W"]]:
    """Return y and x of the pixels' centers, 0 to 1, to be broadcast."""
    height, width = picture.shape[:2]
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
    x = (np.arange(width, dtype=np.float32)[None, :] + 0.5) / width
    return y, x


def distance(picture: Picture, x: float, y: float) -> Layer:
    """Return each pixel's distance from a point (of 0 to 1), in shorter sides."""
    height, width = picture.shape[:2]
    rows, columns = grid(picture)
    short = min(height, width)
    return np.hypot((rows - y) * (height / short), (columns - x) * (width / short))


def luma(picture: Picture) -> Layer:
    """Return how light each pixel is."""
    return picture @ LUMA


def largest(picture: Picture) -> Layer:
    """Return the largest of each pixel's three values; faster than max(-1)."""
    return np.maximum(np.maximum(picture[..., 0], picture[..., 1]), picture[..., 2])


def blur(values: Field, size: float) -> Field:
    """Blur a layer or picture: nearly a Gaussian of sigma `size`, by three boxes."""
    sigma = size * min(values.shape[:2])
    width = 2 * round((np.sqrt(4 * sigma**2 + 1) - 1) / 2) + 1
    for axis in (0, 0, 0, 1, 1, 1) if width > 1 else ():
        values = ndimage.uniform_filter1d(values, width, axis, mode="nearest")
    return values


def screen(picture: Field, light: Field) -> Field:
    """Add light that never burns out more than white."""
    return 1 - (1 - np.clip(picture, 0, 1)) * (1 - np.clip(light, 0, 1))


def mix(a: Field, b: Field, share: Field | float) -> Field:
    """Return a where share is 0 and b where it is 1; a layer serves all three colors."""
    if isinstance(share, np.ndarray) and share.ndim == 2:
        share = share[..., None]
    return a + (b - a) * share


def ramp(layer: Layer, colors: Sequence[tuple[int, int, int]]) -> Picture:
    """Color a layer: the first color at 0, the last at 1, evenly spaced."""
    places = np.linspace(0, 1, len(colors))
    levels = np.linspace(0, 1, LEVELS)
    parts = np.array(colors, np.float32).T / 255
    table = np.stack([np.interp(levels, places, part) for part in parts], -1).astype(np.float32)
    return table[(np.clip(layer, 0, 1) * (LEVELS - 1)).astype(np.int32)]


def saturate(picture: Picture, amount: float) -> Picture:
    """Multiply colorfulness: 0 is gray, 1 leaves the picture alone."""
    return mix(luma(picture)[..., None], picture, amount)


def contrast(values: Field, amount: float, *, pivot: float = 0.5) -> Field:
    """Spread values around a pivot."""
    return clip((values - pivot) * amount + pivot)


def clouds(
    shape: tuple[int, ...], rng: np.random.Generator, *, rows: int, columns: int, octaves: int = 3
) -> Layer:
    """Return a soft random layer of 0 to 1; few rows and many columns make tall shapes."""
    height, width = shape[:2]
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        small = rng.random((rows * 2**octave + 1, columns * 2**octave + 1), dtype=np.float32)
        image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(image) * 0.5**octave
    low, high = total.min(), total.max()
    return (total - low) / (high - low)


def draw(
    shape: tuple[int, ...], paint: Callable[[ImageDraw.ImageDraw, float, float], None]
) -> Layer:
    """Return a layer drawn with Pillow; `paint` gets the pen and the width and height in pixels."""
    height, width = shape[:2]
    image = Image.new("L", (width * 2, height * 2))
    paint(ImageDraw.Draw(image), width * 2.0, height * 2.0)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float32) / 255


def dots(
    shape: tuple[int, ...],
    rng: np.random.Generator,
    *,
    count: int,
    radius: tuple[float, float],
    below: float = 1.0,
) -> Layer:
    """Return a layer of filled circles, bigger ones rarer; `below` ends it at that height."""

    def paint(pen: ImageDraw.ImageDraw, width: float, height: float) -> None:
        for x, y, size, light in rng.random((count, 4)):
            r = max(1.0, (radius[0] + (radius[1] - radius[0]) * size**3) * min(width, height))
            cx, cy = x * width, y * height * below
            pen.ellipse([cx - r, cy - r, cx + r, cy + r], fill=int(130 + 125 * light))

    return draw(shape, paint)


def edges(picture: Picture) -> Layer:
    """Return how strongly colors change at each pixel, 0 to 1."""
    across = largest(np.abs(np.diff(picture, axis=1, append=picture[:, -1:])))
    down = largest(np.abs(np.diff(picture, axis=0, append=picture[-1:])))
    return clip(2.5 * np.maximum(across, down))


def horizon(picture: Picture) -> float:
    """Guess the height where the sky ends, 0 (top) to 1: where the picture's sides change most."""
    height, width = picture.shape[:2]
    margin = max(2, width // 20)
    sides = np.concatenate([picture[:, :margin], picture[:, -margin:]], 1).mean(1)
    change = np.abs(np.diff(sides, axis=0)).sum(-1)
    low, high = int(height * 0.4), int(height * 0.85)
    best = low + int(change[low:high].argmax())
    return (best + 1) / height if change[best] > 0.1 else 0.66


def parts(is_set: Bool[np.ndarray, "H W"]) -> tuple[Int[np.ndarray, "H W"], int]:
    """Number the connected areas from 1 on; 0 is what is not set. Returns their count too."""
    numbers = np.zeros(is_set.shape, np.int32)
    count = ndimage.label(is_set, output=numbers)
    return numbers, int(np.asarray(count))


def subject_mask(picture: Picture) -> Layer:
    """Guess where things stand out: unlike the sides of the picture at their height, no holes.

    Bright things high up and off the middle (a sun, a cloud) are left out.
    """
    height, width = picture.shape[:2]
    margin = max(2, width // 25)
    sides = (picture[:, :margin], picture[:, -margin:])
    left, right = (np.median(side, 1)[:, None] for side in sides)
    behind = left + (right - left) * np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    apart = picture - behind
    least = 0.045 + 0.095 * luma(behind)  # in the dark, less is needed to stand out
    holes, count = parts(largest(np.abs(apart)) < least)
    is_hole = np.ones(count + 1, bool)
    is_hole[np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]])] = False
    is_hole[0] = True
    things, count = parts(is_hole[holes])
    is_left_out = np.bincount(things.ravel(), luma(apart).ravel(), count + 1) > 0
    is_left_out[things[int(0.3 * height) :, width // 5 : -width // 5]] = False
    is_left_out[things[height // 2 :]] = False
    is_left_out[0] = True
    return clip(blur((~is_left_out[things]).astype(np.float32), 0.005))
