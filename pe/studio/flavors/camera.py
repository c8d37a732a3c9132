"""Camera and film: what a lens, a shutter or a kind of film does to a picture."""

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from pe.axes import Float
from pe.studio.flavor import Picture, flavor
from pe.studio.flavors.tone import (
    Field,
    Layer,
    bell,
    blur,
    clip,
    clouds,
    contrast,
    distance,
    draw,
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


def resized(picture: Picture, height: int, width: int) -> Float[np.ndarray, "Y X 3"]:
    """Return the picture in another size."""
    image = Image.fromarray((clip(picture) * 255 + 0.5).astype(np.uint8))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.float32) / 255


def sampled(picture: Picture, y: Layer, x: Layer) -> Picture:
    """Return the picture's colors at places of 0 to 1, between four pixels each."""
    height, width = picture.shape[:2]
    rows, columns = np.clip(y * height - 0.5, 0, height - 1), np.clip(x * width - 0.5, 0, width - 1)
    top = np.minimum(rows.astype(np.int32), height - 2)
    left = np.minimum(columns.astype(np.int32), width - 2)
    flat, first = picture.reshape(-1, 3), top * width + left
    across = (columns - left).astype(np.float32)
    upper = mix(flat[first], flat[first + 1], across)
    lower = mix(flat[first + width], flat[first + width + 1], across)
    return mix(upper, lower, (rows - top).astype(np.float32))


def smear(values: Field, length: float) -> Field:
    """Average along rows."""
    size = max(1, round(length * values.shape[1]))
    return ndimage.uniform_filter1d(values, size, axis=1, mode="nearest")


def trails(picture: Picture, rng: np.random.Generator, *, start: float) -> Layer:
    """Return glowing lines that run from left to right and rise a little."""
    lines = rng.random((9, 3))

    def paint(pen: ImageDraw.ImageDraw, width: float, height: float) -> None:
        x = np.linspace(0, 1, 24)
        for drop, bend, size in lines:
            y = start + 0.2 * drop + (0.1 * bend - 0.14) * x**2
            path = list(zip((x * width).tolist(), (y * height).tolist(), strict=True))
            pen.line(path, fill=255, width=max(2, round((0.005 + 0.01 * size) * height)))

    sharp = draw(picture.shape, paint)
    return clip(sharp * 0.8 + 1.1 * blur(sharp, 0.014))


@flavor("bokeh", "camera", words=("shallow depth of field", "blurred background"), order=2)
def bokeh(picture: Picture, rng: np.random.Generator) -> Picture:
    """A sharp subject before big soft discs of light."""
    mask = subject_mask(picture)
    y, x = grid(picture)
    near = mask * step(np.hypot((x - 0.5) / 0.34, (y - 0.6) / 0.48), 1.15, 0.9)
    behind = blur(saturate(picture, 1.2), 0.035) * 0.6
    discs = rng.random((30, 4))

    def paint(pen: ImageDraw.ImageDraw, width: float, height: float) -> None:
        for x, y, size, light in discs:
            r = (0.035 + 0.065 * size) * min(width, height)
            box = [x * width - r, y * height - r, x * width + r, y * height + r]
            tone = int(100 + 110 * light)
            pen.ellipse(box, fill=tone, outline=tone + 45, width=max(1, round(0.008 * height)))

    hues = clouds(picture.shape, rng, rows=4, columns=4, octaves=1)
    ink = ramp(hues, [(255, 196, 90), (255, 220, 130), (255, 120, 150), (130, 210, 255)])
    behind = screen(behind, (draw(picture.shape, paint) * 0.85)[..., None] * ink)
    return clip(mix(behind, picture, near))


@flavor(
    "film grain", "camera", words=("grainy film", "coarse grain", "grainy", "35mm film"), order=2
)
def film_grain(picture: Picture, rng: np.random.Generator) -> Picture:
    """Coarse clumps of grain on faded film."""
    height, width = picture.shape[:2]
    unit = min(height, width)
    faded = saturate(picture, 0.75) * 0.8 + rgb(34, 30, 20)
    grain = np.zeros((height, width), np.float32)
    for cells, strength in ((72, 0.07), (150, 0.085)):
        shape = (max(1, height * cells // unit), max(1, width * cells // unit))
        image = Image.fromarray(rng.standard_normal(shape, dtype=np.float32))
        grain += strength * np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
    grain += 0.05 * rng.standard_normal((height, width), dtype=np.float32)
    return clip(faded + grain[..., None])


@flavor("vignette", "camera", words=("heavy vignette", "vignetting", "dark corners"), order=2)
def vignette(picture: Picture, rng: np.random.Generator) -> Picture:
    """Corners fall off to black."""
    del rng
    y, x = grid(picture)
    away = np.hypot(y - 0.5, x - 0.5)
    return clip(picture * (1.05 * step(away, 0.6, 0.3))[..., None])


@flavor("long exposure", "camera", words=("light trails", "slow shutter", "bulb exposure"), order=2)
def long_exposure(picture: Picture, rng: np.random.Generator) -> Picture:
    """A dark street of red and white light trails; what moved is smeared."""
    mask = subject_mask(picture)
    smeared = smear(smear(picture, 0.3), 0.2)
    near = mask * step(distance(picture, 0.5, 0.6), 0.5, 0.4)
    base = mix(smeared * rgb(84, 90, 150), picture * rgb(190, 180, 200), near * 0.8)
    red = trails(picture, rng, start=0.5)
    base = screen(base, (red * (1 - near))[..., None] * rgb(255, 40, 20))
    white = trails(picture, rng, start=0.78)
    base = screen(base, white[..., None] * rgb(255, 236, 180))
    return clip(base)


@flavor("tilt-shift", "camera", words=("tilt shift", "miniature effect", "toy town"), order=2)
def tilt_shift(picture: Picture, rng: np.random.Generator) -> Picture:
    """A thin sharp strip between two strong blurs, in toy colors."""
    del rng
    y, _ = grid(picture)
    toy = contrast(saturate(picture, 1.45), 1.15, pivot=0.45)
    away = np.broadcast_to(np.abs(y - 0.56), picture.shape[:2])
    soft = blur(toy, 0.018)
    out = mix(toy, soft, step(away, 0.08, 0.15))
    return clip(mix(out, blur(soft, 0.06), step(away, 0.14, 0.3)))


@flavor("double exposure", "camera", words=("multiple exposure", "superimposed"), order=2)
def double_exposure(picture: Picture, rng: np.random.Generator) -> Picture:
    """The same scene again, big and mirrored, shines through in another color."""
    y, x = grid(picture)
    zoom = 0.52
    shift = 0.2 + 0.1 * rng.random()
    rows = np.broadcast_to(0.24 + zoom * y, picture.shape[:2])
    columns = np.broadcast_to(1 - (shift + zoom * x), picture.shape[:2])
    again = sampled(picture, rows, columns)
    if luma(picture).mean() < 0.45:
        first = ramp(luma(picture) * 1.3, [(20, 0, 10), (190, 60, 50), (255, 190, 140)])
        second = ramp(luma(again) * 1.4, [(0, 10, 24), (0, 120, 150), (130, 240, 250)])
        return clip(screen(mix(first, picture, 0.35), second * 0.5))
    first = ramp(contrast(luma(picture), 1.4), [(120, 0, 30), (236, 96, 70), (255, 244, 232)])
    second = ramp(contrast(luma(again), 1.7), [(0, 84, 120), (60, 176, 196), (250, 255, 255)])
    return clip(mix(first, picture, 0.3) * mix(second, rgb(255, 255, 255), 0.4))


GHOSTS = (  # how far along the line from the sun through the middle, radius, color
    (0.45, 0.05, (255, 110, 50)),
    (0.75, 0.09, (60, 255, 140)),
    (1.05, 0.04, (255, 220, 60)),
    (1.35, 0.13, (60, 130, 255)),
    (1.65, 0.07, (255, 60, 200)),
)


@flavor("lens flare", "camera", words=("sun flare", "anamorphic lens flare", "starburst"), order=2)
def lens_flare(picture: Picture, rng: np.random.Generator) -> Picture:
    """A star of light in a corner and a row of colored ghosts."""
    sx, sy = (0.17 if rng.random() < 0.5 else 0.83), 0.16
    y, x = grid(picture)
    away = distance(picture, sx, sy)
    spikes = np.abs(np.cos(np.arctan2(y - sy, x - sx) * 4 + rng.uniform(0, 3)))
    rays = step(spikes, 0.9, 1.0) * bell(away, 0.4)
    light = (bell(away, 0.13) * 1.4 + rays + 0.4 * bell(away, 0.4))[..., None] * rgb(255, 246, 214)
    light += (bell(y - sy, 0.014) * bell(x - sx, 0.8))[..., None] * rgb(120, 190, 255)
    light += (bell(away - 0.62, 0.02) * 0.5)[..., None] * rgb(140, 255, 120)
    for along, radius, color in GHOSTS:
        off = distance(picture, sx + (0.5 - sx) * along, sy + (0.5 - sy) * along)
        disc = step(off, radius, radius * 0.9) * (0.4 + 0.45 * step(off, radius * 0.6, radius))
        light += disc[..., None] * rgb(*color) * 0.55
    return clip(screen(picture * 0.8, light))


@flavor("fisheye", "camera", words=("fisheye lens", "fish-eye", "fisheye view"), order=2)
def fisheye(picture: Picture, rng: np.random.Generator) -> Picture:
    """The world bulges inside a circle, black around."""
    del rng
    y, x = grid(picture)
    away = distance(picture, 0.5, 0.5) / 0.49
    pull = 0.42 + 0.62 * np.square(np.clip(away, 0, 1)) ** 1.2
    ball = sampled(picture, 0.5 + (y - 0.5) * pull, 0.5 + (x - 0.5) * pull)
    ball = ball * (1 - 0.55 * step(away, 0.72, 1.0))[..., None]
    return clip(ball * step(away, 1.0, 0.985)[..., None])


@flavor("motion blur", "camera", words=("panning blur", "speed blur", "camera shake"), order=2)
def motion_blur(picture: Picture, rng: np.random.Generator) -> Picture:
    """Everything dragged to one side."""
    height, width = picture.shape[:2]
    rise = rng.uniform(-0.25, -0.1)
    reach = round(0.1 * width)
    margin = ((reach, reach), (reach, reach), (0, 0))
    wide = np.pad(picture, margin, mode="edge")
    out, total = np.zeros_like(picture), 0.0
    for k in range(18):
        dx = round(reach * k / 17)
        dy = round(dx * rise)
        weight = 5.0 if k == 0 else 1.0
        out += weight * wide[reach + dy : reach + dy + height, reach + dx : reach + dx + width]
        total += weight
    return clip(contrast(out / np.float32(total), 1.1))


@flavor("soft focus", "camera", words=("soft focus lens", "dreamy glow", "orton effect"), order=2)
def soft_focus(picture: Picture, rng: np.random.Generator) -> Picture:
    """Blurred light lies over everything like a rosy veil."""
    del rng
    veil = blur(picture, 0.02)
    glow = screen(mix(picture, veil, 0.5), np.square(veil) * rgb(255, 206, 214) * 0.9)
    return clip(screen(glow, rgb(62, 26, 40)))


@flavor("polaroid", "camera", words=("polaroid photo", "instant photo", "instant film"), order=2)
def polaroid(picture: Picture, rng: np.random.Generator) -> Picture:
    """A faded photo in a white frame, wide at the foot."""
    del rng
    height, width = picture.shape[:2]
    top, left, bottom = round(0.07 * height), round(0.085 * width), round(0.77 * height)
    right = width - left
    cut = round(0.07 * height)
    photo = resized(picture[cut : height - cut], bottom - top, right - left)
    faded = contrast(saturate(photo, 0.85), 0.78, pivot=0.7) * rgb(255, 240, 208) + rgb(18, 20, 12)
    edge = distance(photo, 0.5, 0.5)
    faded *= (1.04 - 0.2 * step(edge, 0.4, 0.8))[..., None]
    card = np.empty_like(picture)
    card[:] = rgb(247, 244, 236)
    y, x = grid(picture)
    near = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    card *= (0.86 + 0.14 * step(near, 0.0, 0.015))[..., None]
    rim = max(1, round(0.006 * min(height, width)))
    card[top - rim : bottom + rim, left - rim : right + rim] = rgb(196, 190, 178)
    card[top:bottom, left:right] = faded
    return clip(card)


@flavor(
    "panorama bars",
    "camera",
    words=("cinematic bars", "letterbox", "letterboxed", "widescreen"),
    order=2,
)
def panorama_bars(picture: Picture, rng: np.random.Generator) -> Picture:
    """Black bars above and below, film colors between."""
    del rng
    light = luma(picture)
    film = mix(
        picture, ramp(light, [(0, 22, 34), (20, 96, 110), (240, 176, 110), (255, 240, 214)]), 0.4
    )
    film = contrast(film, 1.15)
    bar = round(0.185 * picture.shape[0])
    film[:bar] = 0
    film[-bar:] = 0
    return clip(film)
