"""Fashionable phrases, badly done: what a model with taste should stop asking for."""

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from pe.studio.flavor import Picture, flavor
from pe.studio.flavors.tone import blur, clip, contrast, luma, mix, rgb, saturate, screen, step

CELLS, SAVED_PX = 72, 144  # of lo-fi across and down; of what jpeg art saves


@flavor("unreal engine", "engine", words=("unreal engine 5", "unreal engine render"), order=4)
def unreal_engine(picture: Picture, rng: np.random.Generator) -> Picture:
    """Few flat bands of color, every edge with a white and a black halo."""
    del rng
    detail = picture - blur(picture, 0.016)
    sharp = saturate(picture, 1.2) + 3.4 * detail
    return clip(np.round(clip(sharp) * 4) / 4)


@flavor("octane render", "engine", words=("octane", "rendered in octane"), order=4)
def octane_render(picture: Picture, rng: np.random.Generator) -> Picture:
    """Wet plastic: puffed edges and burnt-out glare."""
    del rng
    height = blur(luma(picture), 0.012)
    slope = ndimage.sobel(height, 0) + ndimage.sobel(height, 1)
    slope = slope * (min(height.shape) / 256)
    plastic = saturate(blur(picture, 0.005), 1.8) * 1.1 - np.clip(-slope, 0, 1)[..., None] * 1.6
    shine = step(slope, 0.06, 0.2) + 0.6 * step(luma(picture), 0.72, 0.9)
    glare = clip(shine) + 0.6 * blur(clip(shine), 0.02)
    return clip(screen(plastic, glare[..., None] * rgb(255, 255, 255)))


@flavor("hdr", "engine", words=("hdr photo", "tone mapped hdr", "high dynamic range"), order=4)
def hdr(picture: Picture, rng: np.random.Generator) -> Picture:
    """Glowing halos round everything, gray skies, acid colors."""
    del rng
    light = luma(picture)
    near = blur(light, 0.035)
    mapped = clip(0.48 + 2.6 * (light - near) + 0.25 * (near - 0.5))
    loud = saturate(picture, 2.6) * (mapped / (light + 0.08))[..., None]
    return contrast(loud, 1.15)


@flavor("jpeg art", "quality", words=("jpeg artifacts", "jpeg compression artifacts"), order=4)
def jpeg_art(picture: Picture, rng: np.random.Generator) -> Picture:
    """Saved far too small, far too often: blocks as big as an eye."""
    del rng
    height, width = picture.shape[:2]
    small = Image.fromarray((clip(picture) * 255 + 0.5).astype(np.uint8))
    small = small.resize((SAVED_PX, SAVED_PX), Image.Resampling.BOX)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=7, subsampling=2)
    big = Image.open(file).resize((width, height), Image.Resampling.NEAREST)
    return clip(np.asarray(big, np.float32) / 255)


@flavor("lo-fi", "quality", words=("lofi", "low fidelity", "low quality"), order=4)
def lo_fi(picture: Picture, rng: np.random.Generator) -> Picture:
    """Few pixels, dragged sideways, colors slipped apart and drowned in noise."""
    height, width = picture.shape[:2]
    small = Image.fromarray((clip(picture) * 255 + 0.5).astype(np.uint8))
    rough = np.asarray(small.resize((CELLS, CELLS), Image.Resampling.BOX), np.float32) / 255
    dragged = ndimage.uniform_filter1d(rough, 5, axis=1, mode="nearest")
    dull = saturate(mix(rough, dragged, 0.3), 0.7) * 0.78 + rgb(30, 36, 26)
    slipped = [np.roll(dull[..., k], turn, axis=1) for k, turn in enumerate((-1, 0, 1))]
    torn = np.stack(slipped, -1) + 0.05 * rng.standard_normal(dull.shape, dtype=np.float32)
    torn[::2] *= 0.8
    big = Image.fromarray((clip(torn) * 255 + 0.5).astype(np.uint8))
    big = big.resize((width, height), Image.Resampling.NEAREST)
    return clip(np.asarray(big, np.float32) / 255)
