"""Color: pictures in other palettes. Shapes stay as they are."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from pe.studio.flavor import Picture, flavor
from pe.studio.flavors.tone import (
    Layer,
    bell,
    blur,
    clip,
    clouds,
    contrast,
    distance,
    grid,
    luma,
    mix,
    ramp,
    rgb,
    saturate,
    screen,
    step,
    subject_mask,
)


def stretch(picture: Picture) -> Layer:
    """Return lightness spread over all of 0 to 1."""
    light = luma(picture)
    low, high = np.percentile(light[::2, ::2], (2, 98))
    return clip((light - low) / max(high - low, 0.1))


def turn_hues(picture: Picture, turn: Callable[[float], float], *, vivid: float) -> Picture:
    """Replace every hue (in degrees) by another and multiply saturation."""
    image = Image.fromarray((clip(picture) * 255 + 0.5).astype(np.uint8)).convert("HSV")
    hue, saturation, value = image.split()
    hue = hue.point([round(turn(k * 360 / 256) % 360 * 256 / 360) % 256 for k in range(256)])
    saturation = saturation.point([min(255, round(k * vivid)) for k in range(256)])
    turned = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
    return np.asarray(turned, np.float32) / 255


def paper_edge(picture: Picture, rng: np.random.Generator, *, margin: float) -> Layer:
    """Return 1 inside a roughly brushed border, 0 on the paper around."""
    y, x = grid(picture)
    inside = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    rough = clouds(picture.shape, rng, rows=22, columns=22, octaves=2)
    return step(inside + 0.05 * (rough - 0.5), margin - 0.012, margin + 0.012)


@flavor("sepia", "palette", words=("sepia tone", "sepia toned", "sepia tint"), order=1)
def sepia(picture: Picture, rng: np.random.Generator) -> Picture:
    """Brown on cream, worn at the edges."""
    light = np.power(stretch(picture), 0.75)
    stains = clouds(picture.shape, rng, rows=4, columns=4)
    brown = ramp(light, [(40, 22, 8), (112, 70, 34), (192, 146, 92), (250, 230, 190)])
    brown *= (0.88 + 0.14 * stains)[..., None]
    edge = step(distance(picture, 0.5, 0.5), 0.38, 0.78)
    return clip(mix(brown, rgb(92, 56, 24), edge * 0.7))


@flavor("monochrome", "palette", words=("monochromatic", "one color", "single hue"), order=1)
def monochrome(picture: Picture, rng: np.random.Generator) -> Picture:
    """Everything in one strong hue: green, red or violet."""
    red = [(34, 0, 8), (150, 10, 34), (236, 70, 80), (255, 206, 204)]
    green = [(0, 28, 12), (0, 104, 48), (58, 188, 96), (214, 252, 214)]
    violet = [(22, 0, 48), (88, 20, 150), (166, 92, 232), (236, 216, 255)]
    return ramp(stretch(picture), (red, green, violet)[rng.integers(3)])


@flavor(
    "black and white", "palette", words=("grayscale", "greyscale", "black & white", "b&w"), order=1
)
def black_and_white(picture: Picture, rng: np.random.Generator) -> Picture:
    """Gray alone, with deep blacks."""
    del rng
    gray = contrast(stretch(picture), 1.2, pivot=0.52)
    return clip(np.repeat(gray[..., None], 3, axis=-1))


@flavor("duotone", "palette", words=("two-tone", "two-color print", "duotone print"), order=1)
def duotone(picture: Picture, rng: np.random.Generator) -> Picture:
    """Two loud inks: one for the shadows, another for the lights."""
    pairs = (
        [(40, 16, 130), (255, 104, 92)],
        [(120, 0, 80), (255, 222, 60)],
        [(24, 16, 150), (120, 255, 200)],
    )
    return ramp(step(np.power(stretch(picture), 0.8), 0.12, 0.72), pairs[rng.integers(3)])


@flavor("pastel", "palette", words=("pastel colors", "pastel palette", "soft pastels"), order=1)
def pastel(picture: Picture, rng: np.random.Generator) -> Picture:
    """Milky pink, mint and lavender."""
    y, x = grid(picture)
    del rng
    wash = mix(rgb(255, 196, 222), rgb(196, 236, 226), step(0.8 * y + 0.2 * x, 0.2, 0.9))
    milk = 0.46 + 0.54 * clip(saturate(picture, 1.6))
    return clip(mix(milk, wash, 0.38) * 1.03)


@flavor("vibrant colors", "palette", words=("vibrant", "vivid colors", "saturated colors"), order=1)
def vibrant_colors(picture: Picture, rng: np.random.Generator) -> Picture:
    """Every color at full strength."""
    del rng
    return contrast(saturate(picture, 2.6), 1.12)


@flavor("muted colors", "palette", words=("muted", "desaturated", "faded colors"), order=1)
def muted_colors(picture: Picture, rng: np.random.Generator) -> Picture:
    """Dusty, nearly gray, without black or white."""
    del rng
    return clip(mix(saturate(picture, 0.36), rgb(136, 132, 118), 0.42))


@flavor("high contrast", "palette", words=("strong contrast", "stark contrast"), order=1)
def high_contrast(picture: Picture, rng: np.random.Generator) -> Picture:
    """Black shadows, burnt lights, little between."""
    del rng
    light = luma(picture)
    middle = 0.13 + 0.74 * float(np.median(light))
    hard = 0.85 * step(light, middle - 0.15, middle + 0.15) + 0.15 * light
    scaled = picture * (hard / (light + 0.02))[..., None]
    return clip(mix(scaled, rgb(255, 255, 255), step(light, middle + 0.1, middle + 0.26)))


@flavor("high key", "palette", words=("high-key", "high key lighting", "bright and airy"), order=1)
def high_key(picture: Picture, rng: np.random.Generator) -> Picture:
    """A bright subject before nothing but white."""
    del rng
    mask = subject_mask(picture)
    airy = np.power(clip(saturate(picture, 0.9)), 0.55) * 0.92 + 0.08
    white = np.maximum(step(distance(picture, 0.5, 0.55), 0.34, 0.66), 0.82 - 0.78 * mask)
    out = mix(airy, rgb(255, 255, 255), white)
    return clip(screen(out, (0.3 * blur(white, 0.03))[..., None]))


@flavor("low key", "palette", words=("low-key", "low key lighting", "chiaroscuro"), order=1)
def low_key(picture: Picture, rng: np.random.Generator) -> Picture:
    """Nearly black; one side of the subject comes out of the dark."""
    mask = subject_mask(picture)
    seen = luma(picture)[mask > 0.5]
    gain = 0.8 / max(float(np.percentile(seen, 85)), 0.3) if seen.size else 1.0
    light = bell(distance(picture, 0.32 if rng.random() < 0.5 else 0.68, 0.42), 0.36) * mask
    lit = np.power(clip(picture * gain), 1.2) * rgb(330, 300, 265)
    return clip(lit * (0.025 + light)[..., None])


@flavor("cyanotype", "palette", words=("cyanotype print", "prussian blue"), order=1)
def cyanotype(picture: Picture, rng: np.random.Generator) -> Picture:
    """White on Prussian blue, brushed onto paper."""
    light = np.power(stretch(picture), 0.85)
    blue = ramp(light, [(0, 22, 84), (8, 62, 146), (96, 152, 210), (244, 250, 252)])
    blue = mix(blue, rgb(0, 34, 104), clouds(picture.shape, rng, rows=6, columns=2) * 0.25)
    inside = paper_edge(picture, rng, margin=0.075)
    return clip(mix(np.broadcast_to(rgb(246, 242, 228), picture.shape), blue, inside))


@flavor("infrared", "palette", words=("infrared photo", "infrared film", "false color"), order=1)
def infrared(picture: Picture, rng: np.random.Generator) -> Picture:
    """Foliage glows pink and white, skies go dark."""
    del rng
    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    leaf = step(green - 0.5 * (red + blue), 0.02, 0.12)
    skies = step(blue - 0.5 * (red + green), 0.02, 0.16)
    shown = ramp(stretch(picture), [(4, 40, 52), (150, 24, 70), (255, 226, 226)])
    swapped = np.stack([0.25 * red + 0.85 * green, 0.15 * green + 0.6 * blue, 0.75 * blue], -1)
    swapped = mix(swapped, shown, 0.5)
    film = mix(swapped, ramp(luma(picture), [(6, 20, 34), (20, 84, 100), (70, 150, 160)]), skies)
    pink = ramp(stretch(picture), [(200, 20, 92), (246, 84, 140), (255, 190, 206), (255, 240, 240)])
    film = mix(film, pink, leaf)
    return clip(screen(film, blur(leaf, 0.025)[..., None] * rgb(110, 30, 60)))


@flavor(
    "warm colors", "palette", words=("warm palette", "warm tones", "warm color palette"), order=1
)
def warm_colors(picture: Picture, rng: np.random.Generator) -> Picture:
    """Reds, oranges and yellows alone."""
    del rng
    warm = turn_hues(picture, lambda hue: 54 - 60 * _apart(hue, 100.0) / 180, vivid=1.4)
    return clip(mix(warm, ramp(luma(picture), [(70, 8, 0), (220, 84, 20), (255, 226, 150)]), 0.3))


@flavor(
    "cool colors", "palette", words=("cool palette", "cool tones", "cool color palette"), order=1
)
def cool_colors(picture: Picture, rng: np.random.Generator) -> Picture:
    """Teals, blues and violets alone."""
    del rng
    cool = turn_hues(picture, lambda hue: 165 + 115 * _apart(hue, 120.0) / 180, vivid=1.25)
    return clip(mix(cool, ramp(luma(picture), [(6, 16, 78), (0, 124, 180), (176, 240, 250)]), 0.45))


def _apart(hue: float, other: float) -> float:
    """Return the degrees between two hues, 0 to 180."""
    return abs((hue - other + 180) % 360 - 180)
