"""Printed, or drawn by machine. See `flavor.py` for flavors."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pe.studio.flavor import Picture, flavor
from pe.studio.flavors.filter import (
    RED,
    Number,
    Plane,
    Rng,
    at,
    blur,
    border,
    coords,
    edges,
    expose,
    facets,
    finish,
    flatten,
    grain,
    gray,
    kuwahara,
    mix,
    noise,
    outline,
    palette,
    ragged,
    ramp,
    repaint,
    rgb,
    saturate,
    screen,
    smear,
    soft,
    stretch,
    stripes,
    unit,
)

CONSOLE = palette(
    "140c1c 442434 30346d 4e4a4e 854c30 346524 d04648 757161 597dce d27d2c 8595a1 6daa2c "
    "d2aa99 6dc2ca dad45e deeed6 f2a0b8 ffcf7a 5a3a78 a8d8f0 "
)
PRINTED = 0.8  # of the picture, by pop art
FLAT = palette(
    "22304a 3d5a80 5b9bd5 98d2eb e0f3fa 2a9d8f 57b894 8ac66d 4c8c4a f4d35e ffb347 f77f3a "
    "e4572e f5a6a0 f7c9b6 fbeaa0 ffffff 8e5572 6d4c41 a47551 8d99ae c5cbd8 5e548e b8336a "
)
EDO = palette(
    "22304f 355f86 74a5b8 a9c9cc efe2bd dcc391 d0964a bf5138 7a8a58 a9b483 6e4a35 8f8b7c "
    "e3b9a0 4c6a4e 2b2624 "
)
SILK = palette(
    "1b1464 e6007e ff8c00 ffef00 5a0a5e 00a3a8 ff4fa3 baf24a "
    "14213d e63946 27c4f5 fff1a8 3d0b37 1f9d3a f9d423 ff6ec7"
).reshape(4, 4, 3)


def frame(picture: Picture, near: Number, far: Number) -> Plane:
    """Return 1 on a line around the picture, that far from its sides."""
    away = border(picture) / unit(picture)
    return ((away >= near) & (away < far)).astype(np.float32)


@flavor("pixel art", "medium", words=("8-bit", "16-bit sprite", "pixelated game art"))
def make_pixels(picture: Picture, rng: Rng) -> Picture:
    """Show about forty large pixels across in the colors of an old console."""
    (height, width), count = picture.shape[:2], 46
    image = Image.fromarray((finish(picture) * 255).astype(np.uint8))
    small = image.resize((count, count), Image.Resampling.BOX)
    block = expose(np.asarray(small, np.float32) / 255)
    block = saturate(block, 1.3) * (1 - 0.6 * soft(edges(block, 0.5), 0.2, 0.5))[..., None]
    y, x = np.mgrid[:count, :count]
    block = block + (((y + x) % 2 - 0.5) * 0.045)[..., None].astype(np.float32)
    rows, cols = np.arange(height) * count // height, np.arange(width) * count // width
    return finish(repaint(block, CONSOLE)[rows[:, None], cols[None]])


@flavor("comic book", "medium", words=("comic", "comic book panel", "comic strip"))
def draw_comic(picture: Picture, rng: Rng) -> Picture:
    """Ink black outlines over flat colors and dots, in a panel with a caption."""
    u = unit(picture)
    smooth = kuwahara(picture, round(4 * u))
    color = saturate(flatten(smooth, 4), 1.8)
    dark = 1 - stretch(gray(smooth))
    dots = soft(screen(picture, 7 * u, np.pi / 4), 0.42, 0.32) * soft(dark, 0.2, 0.4)
    out = mix(color, color * rgb("aa788c"), dots)
    ink = np.maximum(outline(picture, 1.6 * u, at=0.14), soft(dark, 0.86, 0.93))
    out = mix(out, rgb("100c14"), ink) * rgb("fff9e2")
    out = mix(out, rgb("fffcf0"), soft(border(picture), 8 * u, 7 * u))
    out = mix(out, rgb("100c14"), frame(picture, 7, 10))
    image = Image.fromarray((finish(out) * 255).astype(np.uint8))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=max(11 * u, 6))
    right, bottom = draw.textbbox((13 * u, 11 * u), "MEANWHILE...", font=font)[2:]
    box = (7 * u, 7 * u, right + 6 * u, bottom + 5 * u)
    draw.rectangle(box, fill="#ffde4a", outline="#100c14", width=max(round(2 * u), 1))
    draw.text((13 * u, 11 * u), "MEANWHILE...", fill="#100c14", font=font)
    return np.asarray(image, np.float32) / 255


@flavor("pop art", "movement", words=("in warhol's style", "screen print", "warhol print"))
def print_pop(picture: Picture, rng: Rng) -> Picture:
    """Print the picture four times in garish inks."""
    height, width = picture.shape[:2]
    down, across = np.mgrid[: height // 2, : width // 2].astype(np.float32)
    near = PRINTED * 2  # the middle, so that things stay large
    small = at(
        blur(picture, unit(picture) * 0.8),
        down * near + height * (0.55 - PRINTED / 2),
        across * near + width * (0.5 - PRINTED / 2),
    )
    u = unit(small)
    tone = stretch(gray(small) * 0.7 + small[..., 0] * 0.3)
    tone = (np.floor(tone * 3.999) + 0.5) / 4
    line = outline(small, 1.3 * u, at=0.17)
    rows, cols = small.shape[:2]
    out = np.empty_like(picture)
    for place, ink in zip(rng.permutation(4), SILK, strict=True):
        y, x = (place // 2) * (height // 2), (place % 2) * (width // 2)
        shift = max(round(1.5 * u), 1)
        one = ink[(tone * 4).astype(np.int32)]
        one = mix(one, ink[0] * 0.5, np.roll(line, shift, axis=1))
        one = np.clip(one + 0.04 * grain(one, rng)[..., None], 0, 1)
        end_y, end_x = min(y + rows, height), min(x + cols, width)
        out[y:end_y, x:end_x] = one[: end_y - y, : end_x - x]
    return finish(out)


@flavor("halftone", "medium", words=("halftone print", "newspaper print", "ben-day dots"))
def print_halftone(picture: Picture, rng: Rng) -> Picture:
    """Print in black dots, large in the shadows, on newsprint."""
    u = unit(picture)
    tone = stretch(blur(picture, 1.2 * u) @ RED) ** 0.8 * 0.86 + 0.12
    tone = tone - 0.5 * np.minimum(edges(picture, 1.2 * u), 0.6)
    period = max(8.5 * u, 4)
    ink = soft(screen(picture, period, np.pi / 6) - tone, -0.06, 0.06)
    paper = rgb("ece5d3") * (1 + 0.05 * grain(picture, rng))[..., None]
    return finish(mix(paper, rgb("1c1a1c"), 0.95 * ink))


@flavor("blueprint", "medium", words=("technical drawing", "architect's plan", "cyanotype"))
def draw_blueprint(picture: Picture, rng: Rng) -> Picture:
    """Draw in white on blue, with a grid, a frame and a title block."""
    u = unit(picture)
    y, x = coords(picture)
    fade = 0.9 + 0.2 * noise(picture, 80 * u, rng, octaves=3)
    out = rgb("164496") * fade[..., None]
    fine = max(8 * u, 4)
    thin = np.maximum((y % fine < 1) * 1.0, (x % fine < 1) * 1.0)
    thick = np.maximum((y % (4 * fine) < 1) * 1.0, (x % (4 * fine) < 1) * 1.0)
    line = outline(picture, 0.9 * u, at=0.12)
    hatch = soft(stripes(picture, max(5 * u, 3), np.pi / 4), 0.6, 0.9)
    hatch *= soft(gray(blur(picture, u)), 0.5, 0.3)
    white = np.maximum(0.13 * thin + 0.16 * thick, 0.4 * hatch)
    white = np.maximum(white, np.maximum(0.95 * line, frame(picture, 8, 9.5)))
    height, width = picture.shape[:2]
    down, across = (height - y) / u, (width - x) / u
    block = (down < 38) & (across < 84) & (down > 9) & (across > 9)
    rules = (down > 36.5) | (across > 82.5) | (abs(down - 23) < 0.7) | (abs(across - 46) < 0.7)
    white = np.where(block, 0.8 * rules + 0.05, white)
    return finish(mix(out, rgb("e8f2ff"), np.clip(white, 0, 1)))


@flavor("woodcut", "medium", words=("woodblock print", "wood engraving", "woodcut print"))
def cut_wood(picture: Picture, rng: Rng) -> Picture:
    """Print black lines that swell with the shadows, cut along the grain."""
    u = unit(picture)
    tone = stretch(blur(picture, 1.5 * u) @ RED) ** 0.7 + 0.9 * outline(picture, 4 * u)
    bend = 14 * u * blur(tone, 4 * u) + 5 * u * noise(picture, 30 * u, rng)
    lines = soft(stripes(picture, max(6 * u, 3), 0.12, bend) - 1.3 * tone, -0.32, -0.08)
    ink = np.maximum(lines, outline(picture, 1.3 * u))
    veins = smear(grain(picture, rng, size=1.2), 0.0, 40 * u)
    ink *= 1 - 0.85 * soft(veins, 0.2, 0.34)
    ink *= ragged(picture, 8, 5, rng)
    paper = rgb("e4cea4") * (1 + 0.12 * veins)[..., None]
    return finish(mix(paper, rgb("140e0c"), ink))


@flavor("linocut", "medium", words=("lino print", "linoleum print", "block print"))
def cut_lino(picture: Picture, rng: Rng) -> Picture:
    """Print two bold inks, black and teal, with the marks of the gouge left in the whites."""
    u = unit(picture)
    smooth = blur(kuwahara(picture, round(5 * u)), 1.5 * u)
    tone = stretch(smooth @ RED)
    chip = smear(noise(picture, 3.6 * u, rng), noise(picture, 70 * u, rng) * 6, 13 * u)
    second = soft(tone, 0.66, 0.6)
    black = np.maximum(soft(tone, 0.3, 0.25), outline(picture, 2 * u, at=0.14))
    gouge = soft(chip, 0.7, 0.74)
    rim = soft(border(picture), 13 * u, 11 * u)
    left = soft(chip, 0.6, 0.63)
    black = np.clip(np.maximum(black * (1 - gouge), rim * left), 0, 1)
    second = np.clip(second * (1 - soft(chip, 0.66, 0.7)) * (1 - rim), 0, 1)
    salt = 1 - 0.5 * soft(grain(picture, rng), 0.35, 0.6)
    paper = np.broadcast_to(rgb("f6f0e2"), picture.shape)
    out = mix(paper, rgb("26928c"), second * salt)
    return finish(mix(out, rgb("121218"), black * salt * soft(border(picture), 2 * u, 4 * u)))


@flavor("risograph", "medium", words=("risograph print", "riso print"))
def print_riso(picture: Picture, rng: Rng) -> Picture:
    """Print fluorescent pink, blue and yellow, grainy and out of register."""
    u = unit(picture)
    smooth = blur(saturate(expose(picture), 1.4), 0.8 * u)
    out = np.broadcast_to(rgb("f7f3e8"), picture.shape)
    y, x = coords(picture)
    for channel, ink in enumerate(palette("0070c0 ff3ea8 ffe000")):
        move = (rng.random(2, dtype=np.float32) - 0.5) * 16 * u
        strength = (1.0, 1.1, 0.5)[channel]
        plate = strength - strength * at(smooth[..., channel], y + move[0], x + move[1])
        speck = 0.4 * grain(picture, rng, size=0.8) + 0.1 * noise(picture, 50 * u, rng)
        cover = soft(plate * 1.2 + 0.5 * speck, 0.22, 0.95) * (0.93 - 0.12 * (speck > 0.35))
        out = out * mix(np.ones(3, np.float32), ink, cover)
    return finish(mix(out, rgb("f7f3e8"), soft(border(picture), 9 * u, 7.5 * u)))


@flavor("low poly", "medium", words=("polygonal art", "low-poly render", "low poly 3d"))
def fold_polygons(picture: Picture, rng: Rng) -> Picture:
    """Fill triangles between edges with one color each, lit a little differently."""
    u = unit(picture)
    tile, _, _ = facets(picture, max(15 * u, 5), rng)
    color = tile.colors(blur(saturate(picture, 1.25), 1.5 * u))
    lit = 1 + 0.3 * (rng.random(len(color), dtype=np.float32) - 0.45)
    return finish(tile.spread(np.clip(color * lit[:, None], 0, 1)))


@flavor("line art", "medium", words=("line drawing", "coloring page", "contour drawing"))
def draw_lines(picture: Picture, rng: Rng) -> Picture:
    """Keep nothing but clean black outlines on white."""
    u = unit(picture)
    line = outline(picture, 1.1 * u, at=0.11)
    return finish(1 - line[..., None] * (1 - rgb("0c0c0e")))


@flavor("vector art", "medium", words=("flat design", "vector illustration", "flat illustration"))
def draw_vector(picture: Picture, rng: Rng) -> Picture:
    """Reduce to flat shapes of a designer's colors, outlined in navy."""
    u = unit(picture)
    smooth = kuwahara(expose(picture), round(4 * u))
    color = blur(repaint(saturate(smooth, 1.3), FLAT), 0.6)
    return finish(mix(color, FLAT[0], outline(color, max(1.2 * u, 0.6), at=0.2)))


@flavor("ukiyo-e", "movement", words=("japanese woodblock print", "in hokusai's style"))
def print_edo(picture: Picture, rng: Rng) -> Picture:
    """Print muted inks with indigo outlines, a graded sky and a red cartouche."""
    u = unit(picture)
    y, x = coords(picture)
    color = repaint(saturate(kuwahara(expose(picture), round(4 * u)), 1.1), EDO)
    veins = smear(noise(picture, 3 * u, rng), 0.06, 50 * u) - 0.5
    color = blur(color, 0.6) * (1 + 0.3 * veins)[..., None]
    sky = soft(y, picture.shape[0] * 0.24, 0) * np.ones_like(x)
    color = mix(color, EDO[0], 0.9 * sky)
    color = mix(color, EDO[0] * 0.7, 0.95 * outline(picture, 1.2 * u, at=0.14))
    across, down = (picture.shape[1] - x) / u, y / u
    label = (across > 16) & (across < 34) & (down > 14) & (down < 74)
    marks = noise(picture, 4.5 * u, rng) + 0.25 * np.cos(down * 0.7) > 0.56
    inner = (across > 19.5) & (across < 30.5) & (down > 18) & (down < 70)
    color = np.where(label[..., None], EDO[7], color)
    color = np.where((label & inner)[..., None], np.where(marks[..., None], EDO[-1], EDO[4]), color)
    color = mix(color, EDO[4], 0.1)
    return finish(mix(color, EDO[4], soft(border(picture), 8 * u, 7 * u)))


@flavor("art deco", "movement", words=("art deco poster", "1920s poster", "in gatsby style"))
def print_deco(picture: Picture, rng: Rng) -> Picture:
    """Grade from black over teal to gold, with rays behind and a stepped golden frame."""
    u = unit(picture)
    y, x = coords(picture)
    height, width = picture.shape[:2]
    smooth = kuwahara(picture, round(4 * u))
    warm = stretch(0.55 * gray(smooth) + 0.75 * (smooth[..., 0] - smooth[..., 2]))
    tone = (np.floor(warm * 4.999) + 0.5) / 5
    rays = np.sin(24 * np.arctan2(y - height * 0.9, x - width / 2)) > 0
    tone = tone + 0.1 * (rays - 0.5) * (tone < 0.65)
    color = ramp(tone, palette("0a1016 0f3d45 17666a c9973f f6e3b0"))
    gold = ramp(0.25 + 0.7 * stripes(picture, 60 * u, 0.8), palette("8a6420 f7dc8f"))
    color = mix(color, gold, outline(smooth, 1.1 * u, at=0.16))
    away_y, away_x = np.minimum(y, height - 1 - y) / u, np.minimum(x, width - 1 - x) / u
    steps = sum(np.maximum(0, 1 - np.maximum(away_y - d, away_x - d) / 4) > 0 for d in (15, 23, 31))
    away = np.minimum(away_y, away_x) - 5 * steps
    color = np.where((away < 9)[..., None], rgb("0a1016"), color)
    lines = ((away > 7) & (away < 9.5)) | ((away > 3) & (away < 4.5))
    return finish(np.where(lines[..., None], gold, color))


@flavor("cubism", "movement", words=("cubist painting", "in picasso's style"))
def paint_cubes(picture: Picture, rng: Rng) -> Picture:
    """Break into shards seen from different sides, in ochre, gray and blue."""
    u = unit(picture)
    y, x = coords(picture)
    height, width = picture.shape[:2]
    shard = np.zeros((height, width), np.int32)
    gap = np.full((height, width), np.inf, np.float32)
    lit = np.zeros((height, width), np.int8)
    for k in range(7):
        angle = np.pi * (k + rng.random()) / 7
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        side = (x - width / 2) * c + (y - height / 2) * s
        side = side + np.float32((rng.random() - 0.5) * 0.75 * min(height, width))
        shard = shard * 2 + (side > 0)
        near = abs(side) < gap
        lit = np.where(near, np.where(side > 0, 1, -1), lit)
        np.minimum(gap, abs(side), out=gap)
    table = rng.random((128, 6), dtype=np.float32) - 0.5
    turn, zoom = 0.22 * table[:, 0], 1 + 0.2 * table[:, 1]
    mid_y, mid_x = y - height / 2, x - width / 2
    cos, sin = (np.take(f(turn) * zoom, shard) for f in (np.cos, np.sin))
    from_y = mid_y * cos + mid_x * sin + height / 2 + 13 * u * np.take(table[:, 2], shard)
    from_x = mid_x * cos - mid_y * sin + width / 2 + 13 * u * np.take(table[:, 3], shard)
    color = at(blur(picture, 0.6 * u), from_y, from_x)
    earth = ramp(gray(color) * 1.4 - 0.2, palette("241a14 70452a b98a4e e6cf9c f6ecd0"))
    color = mix(saturate(color, 1.2), earth, 0.36)
    line = at(outline(picture, 1.5 * u, at=0.2), from_y, from_x)
    tint = palette("d9a85a 6f8496 b5663a 4f6a86 e8d3a2 6a4a34")[np.arange(128) % 6]
    color = mix(color, np.take(tint, shard, axis=0), 0.2)
    light = 1 + 0.55 * np.take(table[:, 5], shard) + 0.4 * lit * np.exp(gap / (-17 * u))
    stroke = smear(noise(picture, 2.5 * u, rng), 0.7, 12 * u) - 0.5
    color = color * (light * (1 + 0.35 * stroke))[..., None]
    line = np.maximum(0.8 * soft(gap, 1.2 * u, 0.4 * u), 0.7 * line)
    return finish(mix(color, rgb("221a16"), line))


@flavor("glitch art", "medium", words=("glitch", "glitched", "databending"))
def break_signal(picture: Picture, rng: Rng) -> Picture:
    """Tear rows aside, split the channels, and leave blocks of wrong data."""
    u = unit(picture)
    y, x = coords(picture)
    height, width = picture.shape[:2]
    count = 34
    tops = np.sort(rng.integers(0, height, count))
    band = np.searchsorted(tops, np.arange(height))
    moves = rng.normal(0, 1, count + 1) ** 3 * 5 * u * (rng.random(count + 1) < 0.55)
    shift = moves.astype(np.float32)[band][:, None]
    split = (4 + 6 * (rng.random(count + 1) < 0.25)).astype(np.float32)[band][:, None] * u
    moved = [(x + shift + (c - 1) * split) % width for c in range(3)]
    out = np.stack([at(picture[..., c], y + 0 * x, moved[c]) for c in range(3)], axis=2)
    for _ in range(9):
        top, left = rng.integers(0, height), rng.integers(-width // 5, width)
        tall, wide = rng.integers(3, 14) * u, rng.integers(20, 110) * u
        box = (slice(top, int(top + tall) + 1), slice(max(left, 0), max(int(left + wide), 0)))
        out[box] = out[box][..., rng.permutation(3)] * 0.4 + 0.6 * rng.random(3, dtype=np.float32)
        if rng.random() < 0.5:
            out[box] = 1 - out[box]
    lines = 1 - 0.22 * (y % max(4 * u, 2) < max(1.6 * u, 1))
    return finish(saturate(out, 1.4) * lines[..., None] + 0.05 * grain(picture, rng)[..., None])
