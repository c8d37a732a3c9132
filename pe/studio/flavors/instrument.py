"""Seen by an instrument or on a terminal. See `flavor.py` for flavors."""

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pe.axes import Float
from pe.studio.flavor import Picture, flavor
from pe.studio.flavors.filter import (
    RED,
    Rng,
    blur,
    border,
    coords,
    edges,
    finish,
    grain,
    gray,
    mix,
    palette,
    ramp,
    rgb,
    saturate,
    soft,
    stretch,
    unit,
)


@flavor("x-ray", "medium", words=("x-ray image", "radiograph", "xray"))
def look_through(picture: Picture, rng: Rng) -> Picture:
    """Glow blue-white at the outlines and through the dark parts, on a black film."""
    u = unit(picture)
    body, rim = blur(1 - stretch(gray(picture)), 3 * u), edges(picture, 1.4 * u)
    glow = 0.42 * body**1.3 + 0.6 * np.sqrt(np.minimum(rim, 1)) + 0.35 * blur(rim, 5 * u)
    glow *= 1 - 0.6 * soft(border(picture), 50 * u, -10 * u)
    glow = glow + 0.025 * grain(picture, rng)
    return finish(ramp(glow, palette("020408 0a1c30 2c5f86 86c3dd eefaff")))


@flavor("thermal", "medium", words=("thermal image", "infrared heat map", "heat camera"))
def see_heat(picture: Picture, rng: Rng) -> Picture:
    """Show warm colors as hot: violet is cold, orange warm, white hottest; with a scale."""
    u = unit(picture)
    heat = 0.35 * gray(picture) + 0.9 * picture[..., 0] - 0.65 * picture[..., 2]
    heat = 0.06 + 0.88 * stretch(blur(heat, 2.4 * u), low=1, high=99)
    y, x = coords(picture)
    height, width = picture.shape[:2]
    bar = (x > width - 18 * u) & (x < width - 9 * u) & (abs(y - height / 2) < height * 0.4)
    heat = np.where(bar, 0.5 - (y - height / 2) / (0.8 * height), heat)
    iron = palette("05001c 2a0a6e 8a0f8c d6304a f58a1f ffd84a fffbe6")
    return finish(ramp(heat, iron) + 0.03 * grain(picture, rng, size=2)[..., None])


@functools.cache
def letters(tall: int, wide: int) -> Float[np.ndarray, "N tall wide"]:
    """Draw the letters of `ascii art`, from none to the fullest."""
    font = ImageFont.load_default(size=max(round(tall * 1.15), 5))
    drawn = []
    for letter in " .:-=+*oX%#@":
        image = Image.new("L", (wide, tall))
        ImageDraw.Draw(image).text((wide / 2, tall / 2), letter, fill=255, font=font, anchor="mm")
        thin = np.asarray(image, np.float32) / 255
        drawn.append(np.maximum(thin, 0.8 * np.roll(thin, 1, axis=1)))  # bold
    return np.stack(drawn)


@flavor("ascii art", "medium", words=("ascii", "text art", "terminal characters"))
def type_letters(picture: Picture, rng: Rng) -> Picture:
    """Write the picture in glowing letters, greenish, on a dark terminal."""
    u = unit(picture)
    height, width = picture.shape[:2]
    tall, wide = max(round(6.5 * u), 4), max(round(5 * u), 3)
    glyphs = letters(tall, wide)
    tone = 0.1 + 0.9 * stretch(picture @ RED)
    rows, cols = -(-height // tall), -(-width // wide)
    image = Image.fromarray(tone.astype(np.float32)).resize((cols, rows), Image.Resampling.BOX)
    pick = np.clip(np.asarray(image) * len(glyphs), 0, len(glyphs) - 1).astype(np.int32)
    text = glyphs[pick].swapaxes(1, 2).reshape(rows * tall, cols * wide)[:height, :width]
    glow = np.clip(1.3 * text + 0.45 * blur(text, 2 * u), 0, 1)
    hue = blur(saturate(picture, 1.8), 2 * u)
    hue = np.clip(hue / np.maximum(gray(hue), 0.25)[..., None] * 0.62, 0, 1)
    color = mix(rgb("4dff7c"), hue, 0.6)
    return finish(mix(rgb("030a06"), color * 1.15, glow))
