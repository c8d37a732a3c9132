"""Made by hand out of glass, thread, paper, clay, wood or cloth. See `flavor.py` for flavors."""

import numpy as np

from pe.studio.flavor import Picture, flavor
from pe.studio.flavors.filter import (
    Number,
    Rng,
    blur,
    border,
    cells,
    coords,
    dabs,
    edges,
    expose,
    facets,
    finish,
    flatten,
    flow,
    grain,
    gray,
    kuwahara,
    mix,
    noise,
    outline,
    palette,
    ramp,
    relief,
    repaint,
    rgb,
    saturate,
    smear,
    soft,
    stretch,
    stripes,
    unit,
    wobble,
)

WARM = np.array([0.75, 0.35, -0.1], np.float32)  # warm colors are in front
NEON = palette(
    "ff2fa0 ff7a1a ffe22e 7dff3a 19d96b 20d8ff 3a6bff 8a3dff ffffff 1a1420 ff4d4d ffb08a fff09a "
)


def shadow(shape: np.ndarray, reach: Number) -> np.ndarray:
    """Return the shadow that what is 1 in `shape` throws down to the right."""
    shift = max(round(reach), 1)
    moved = np.pad(shape, ((shift, 0), (shift, 0)), mode="edge")[: shape.shape[0], : shape.shape[1]]
    return blur(moved, reach * 0.7)


@flavor("stained glass", "medium", words=("stained glass window", "church window", "leaded glass"))
def lead_glass(picture: Picture, rng: Rng) -> Picture:
    """Set glowing panes of one color in black lead, along the outlines too."""
    u = unit(picture)
    tile, gap = cells(picture, max(25 * u, 6), 0.9, rng)
    smooth = saturate(kuwahara(picture, round(5 * u)), 2.0)
    pane = 0.75 + 0.6 * rng.random(len(tile.y), dtype=np.float32)
    color = smooth * tile.spread(pane)[..., None]
    ripple = noise(picture, 6 * u, rng, octaves=2) + noise(picture, 26 * u, rng) - 1
    color = color * (1.02 + 0.7 * ripple)[..., None] + 0.16 * soft(gap, 1 * u, 11 * u)[..., None]
    inner = outline(smooth, 1.7 * u, at=0.24)
    lead = np.maximum(soft(gap, 2.1 * u, 1.1 * u), inner)
    out = mix(color, rgb("0e0d12"), lead)
    shine = relief(blur(lead, 0.7 * u), 1.5) * lead
    return finish(out + 0.16 * np.maximum(shine, 0)[..., None])


@flavor("mosaic", "medium", words=("mosaic tiles", "roman mosaic", "tile mosaic"))
def lay_tiles(picture: Picture, rng: Rng) -> Picture:
    """Lay small square stones in pale grout, each a little off in color."""
    u = unit(picture)
    tile, gap = cells(picture, max(6.8 * u, 3), 0.34, rng)
    color = tile.colors(blur(saturate(picture, 1.25), 1.2 * u))
    shade = 1 + 0.3 * (rng.random((len(color), 1), dtype=np.float32) - 0.55)
    color = color * shade + 0.06 * (rng.random((len(color), 3), dtype=np.float32) - 0.5)
    stone = tile.spread(color) * (1 + 0.1 * grain(picture, rng))[..., None]
    stone = stone + 0.12 * relief(np.minimum(gap, 2.2 * u), 1.2 / max(u, 0.5))[..., None]
    grout = rgb("cec5b2") * (0.95 + 0.15 * grain(picture, rng))[..., None]
    return finish(mix(grout, stone, soft(gap, 0.3 * u, 0.9 * u)))


@flavor("embroidery", "medium", words=("embroidered", "needlework", "cross stitch in a hoop"))
def stitch(picture: Picture, rng: Rng) -> Picture:
    """Fill shapes with shiny satin stitches on linen, in a wooden hoop."""
    u = unit(picture)
    y, x = coords(picture)
    height, width = picture.shape[:2]
    smooth = saturate(kuwahara(picture, round(3 * u)), 1.35)
    region = np.floor(blur(gray(smooth), u) * 6)
    angle = 1.2 * noise(picture, 40 * u, rng) + region * 0.9
    tile, along, across = dabs(
        picture,
        max(4.2 * u, 2),
        rng,
        half_length=5.2 * u,
        half_width=1.4 * u,
        angle=angle,
        spin=0.25,
    )
    color = tile.colors(smooth)
    color = color * (0.85 + 0.3 * rng.random((len(color), 1), dtype=np.float32))
    thread = tile.spread(color) * (1.12 - 0.5 * across * across - 0.16 * along * along)[..., None]
    thread = thread + 0.16 * soft(abs(along + 0.2), 0.5, 0)[..., None]
    fine = max(3 * u, 2)
    weave = 0.5 * stripes(picture, fine, 0) + 0.5 * stripes(picture, fine, np.pi / 2)
    linen = rgb("e2d6be") * (0.86 + 0.2 * weave + 0.06 * grain(picture, rng))[..., None]
    under = mix(linen * 0.7, smooth * 0.55, 0.8)
    out = np.where((tile.tile >= 0)[..., None], thread, under)
    away = min(height, width) / 2 - np.hypot(y - height / 2, x - width / 2)
    out = mix(linen, out, away > 16 * u)
    ring = soft(abs(away - 8 * u), 6.4 * u, 5.6 * u)
    round_ = (away - 8 * u) / (6 * u)
    lit = 1 + 0.3 * relief(np.sqrt(np.clip(1 - round_**2, 0, 1)), 3 * u)
    veins = smear(grain(picture, rng), np.arctan2(x - width / 2, height / 2 - y), 16 * u)
    wood = rgb("c48e54") * (lit * (1 + 0.3 * veins))[..., None]
    out = out * (1 - 0.45 * soft(abs(away - 10 * u), 12 * u, 5 * u))[..., None]
    return finish(mix(out, wood, ring))


@flavor("papercut", "medium", words=("paper cut-out", "layered paper", "paper craft", "cut paper"))
def cut_paper(picture: Picture, rng: Rng) -> Picture:
    """Stack sheets of colored paper that throw shadows on those below."""
    u = unit(picture)
    smooth = blur(kuwahara(picture, round(5 * u)), 1.2 * u)
    tone = stretch(smooth @ WARM)
    color = flatten(saturate(smooth, 1.25), 5)
    depth, dark = np.zeros_like(tone), np.zeros_like(tone)
    for level in (0.2, 0.4, 0.58, 0.76):
        sheet = soft(tone, level - 0.02, level + 0.02)
        dark = np.maximum(dark * (1 - sheet), shadow(sheet, 4.5 * u) * (1 - sheet))
        depth += sheet
    fiber = 1 + 0.07 * grain(picture, rng, size=1.6)
    out = color * ((0.78 + 0.07 * depth) * (1 - 0.6 * dark) * fiber)[..., None]
    lit = np.maximum(relief(depth, 2.2), 0)
    out = mix(out, rgb("fffcf6"), 0.6 * lit)
    away = border(picture)
    frame = soft(away + 3 * u * noise(picture, 40 * u, rng), 15 * u, 13.6 * u)
    out = out * (1 - 0.5 * shadow(frame, 4 * u) * (1 - frame))[..., None]
    return finish(mix(out, rgb("faf7f0") * fiber[..., None], frame))


@flavor("origami", "medium", words=("folded paper", "paper folding", "origami paper"))
def fold_paper(picture: Picture, rng: Rng) -> Picture:
    """Fold from stiff paper: large facets, each shaded across, with white creases."""
    u = unit(picture)
    tile, gap, local = facets(picture, max(36 * u, 8), rng)
    smooth = kuwahara(picture, round(5 * u))
    way = rng.random((2, len(tile.y)), dtype=np.float32) * 2 - 1
    tilt = tile.spread(way[0]) * local[..., 0] + tile.spread(way[1]) * local[..., 1]
    lit = 1 + 0.3 * tile.spread(way[0] + way[1]) + 0.45 * tilt
    color = mix(flatten(saturate(smooth, 1.3), 5), tile.spread(tile.colors(smooth)), 0.3)
    out = color * lit[..., None] * (1 + 0.05 * grain(picture, rng, size=1.4))[..., None]
    crease = soft(gap, 1.1 * u, 0.3 * u)
    out = mix(out, rgb("fffffc"), 0.5 * crease)
    return finish(out - 0.25 * (shadow(crease, 2 * u) * (1 - crease))[..., None])


@flavor(
    "claymation", "medium", words=("clay figures", "plasticine", "made of clay", "stop motion clay")
)
def mold_clay(picture: Picture, rng: Rng) -> Picture:
    """Swell every shape into soft, dented clay with fingerprints and a moist shine."""
    u = unit(picture)
    flat = saturate(kuwahara(wobble(picture, 2.2 * u, 20 * u, rng), round(5 * u)), 1.35)
    wall = np.minimum(edges(flat, 1.6 * u) * 2.2, 1)
    height = -8 * blur(wall, 6 * u) - 5 * blur(wall, 2.2 * u)
    dents = noise(picture, 24 * u, rng) * 4 + noise(picture, 9 * u, rng) * 1.3
    where = soft(noise(picture, 30 * u, rng), 0.5, 0.62)
    print_ = stripes(picture, max(3 * u, 2), 0.6, 30 * u * noise(picture, 40 * u, rng))
    height = (height + dents) * u + 0.5 * print_ * where * u
    lit = relief(height, 0.85)
    groove = 1 - 0.55 * soft(blur(wall, 1.2 * u), 0.25, 0.9)
    out = flat * ((0.92 + 0.42 * lit) * groove)[..., None]
    shine = soft(blur(lit, u), 0.55, 0.95)
    return finish(out + 0.3 * shine[..., None])


@flavor("knitted", "texture", words=("knit", "knitted wool", "wool sweater pattern", "knitting"))
def knit(picture: Picture, rng: Rng) -> Picture:
    """Knit in rows of V-shaped loops of wool, one color a loop."""
    u = unit(picture)
    y, x = coords(picture)
    wide, tall = max(9 * u, 4), max(7.5 * u, 3)
    side = x / wide % 1 - 0.5  # [1 W]
    row = (y - tall * 0.95 * (1 - 2 * abs(side))) / tall
    from_y = (np.floor(row) + 1) * tall
    from_x = (np.floor(x / wide) + 0.5) * wide + 0 * y
    height, width = picture.shape[:2]
    rows = np.clip(from_y, 0, height - 1).astype(np.int32)
    cols = np.clip(from_x, 0, width - 1).astype(np.int32)
    color = saturate(blur(picture, 2.2 * u), 1.25)[rows, cols]
    across = abs(row % 1 - 0.5) * 2
    leg = abs(abs(side) - 0.25) * 4
    yarn = (1 - 0.75 * across**2.5) * (1 - 0.45 * leg**3)
    twist = np.cos((row % 1 * 1.2 + abs(side) * 5.5) * 2 * np.pi)
    fuzz = smear(grain(picture, rng), 1.0, 5 * u)
    out = color * (1.1 * yarn + 0.09 * twist + 0.35 * fuzz)[..., None]
    return finish(out + 0.1 * soft(yarn, 0.6, 1.0)[..., None])


@flavor("wood carving", "medium", words=("carved in wood", "wooden relief", "wood relief"))
def carve_wood(picture: Picture, rng: Rng) -> Picture:
    """Carve a relief into a brown board with rings, grooves and marks of the gouge."""
    u = unit(picture)
    y, x = coords(picture)
    tone = stretch(blur(kuwahara(picture, round(4 * u)), 1.3 * u) @ WARM)
    wall = np.minimum(edges(picture, 1.3 * u) * 1.5, 1)
    gouge = smear(noise(picture, 5 * u, rng), flow(picture, 7 * u), 22 * u)
    height = (16 * blur(tone, 1.2 * u) - 9 * blur(wall, 1.4 * u) + 5 * gouge) * u
    height -= 3 * u * soft(border(picture), 14 * u, 11 * u) * soft(border(picture), 5 * u, 8 * u)
    bend = 26 * noise(picture, 90 * u, rng, octaves=2) + 0.02 * (y / u - 40) ** 2 * 0.2
    ring = 0.5 + 0.5 * np.sin((x / u * 0.05 + bend) * 1.5)
    fiber = smear(grain(picture, rng, size=1.2), np.pi / 2, 34 * u)
    wood = 0.5 + 0.14 * (ring - 0.5) + 0.4 * fiber + 0.5 * (tone - 0.4) - 0.5 * blur(wall, u)
    color = ramp(wood, palette("2a1408 5f3316 9c6230 c98f52 e6bd84"))
    return finish(color * (1 + 0.55 * relief(height, 1.0))[..., None])


@flavor("quilt", "texture", words=("patchwork quilt", "patchwork", "quilted fabric"))
def sew_patches(picture: Picture, rng: Rng) -> Picture:
    """Sew square patches of dotted, striped and checked cloth with white stitches."""
    u = unit(picture)
    y, x = coords(picture)
    height, width = picture.shape[:2]
    size = min(height, width) / 6
    row, col = (y / size).astype(np.int32), (x / size).astype(np.int32)
    count = int(col.max()) + 1
    patch = row * count + col
    flip = (row + col) % 2
    in_y, in_x = y % size, x % size
    slash = np.where(flip > 0, in_x - in_y, in_x + in_y - size)
    whole = rng.random(patch.max() + 1)[patch] < 0.7
    slash = np.where(whole, np.float32(size), slash)
    patch = patch * 2 + (slash > 0)
    kinds = rng.permutation(patch.max() + 1) % 5
    kind, tint = kinds[patch], rng.random((patch.max() + 1, 3), dtype=np.float32)[patch] - 0.5
    color = flatten(saturate(kuwahara(picture, round(3 * u)), 1.6), 5)
    color = color * (1 + 0.3 * tint)
    fine = max(6.5 * u, 4)
    dots = soft(stripes(picture, fine, 0) + stripes(picture, fine, np.pi / 2), 1.45, 1.65)
    bars = soft(stripes(picture, fine, np.pi / 4), 0.55, 0.7)
    check = (stripes(picture, 2 * fine, 0) > 0.5) * 0.5 + (
        stripes(picture, 2 * fine, np.pi / 2) > 0.5
    ) * 0.5
    print_ = np.choose(
        kind, [dots, bars, check, 0 * dots, soft(stripes(picture, fine, 0), 0.6, 0.75)]
    )
    color = mix(color, rgb("fff8e8"), 0.24 * print_)
    straight = np.minimum(np.minimum(in_y, size - in_y), np.minimum(in_x, size - in_x))
    seam = np.minimum(straight, abs(slash) * 0.707)
    puff = np.minimum(seam, 7 * u)
    weave = 1 + 0.08 * grain(picture, rng)
    out = (
        color
        * (weave * (0.62 + 0.4 * soft(puff, 0, 4.5 * u)) + 0.22 * relief(blur(puff, u), 1))[
            ..., None
        ]
    )
    dash = stripes(picture, max(7 * u, 4), 0.6) > 0.45
    thread = soft(abs(seam - 3.6 * u), 1.0 * u, 0.4 * u) * dash
    return finish(mix(out, rgb("fffdf6"), 0.9 * thread))


@flavor(
    "graffiti", "medium", words=("spray paint", "street art", "graffiti mural", "mural on a wall")
)
def spray(picture: Picture, rng: Rng) -> Picture:
    """Spray neon colors with black outlines and drips on a brick wall."""
    u = unit(picture)
    y, x = coords(picture)
    tall, wide = 15 * u, 34 * u
    row = np.floor(y / tall)
    shift = x + wide / 2 * (row % 2)
    gap = np.minimum(
        np.minimum(y % tall, tall - y % tall), np.minimum(shift % wide, wide - shift % wide)
    )
    tone = rng.random(997, dtype=np.float32)[
        ((row * 31 + np.floor(shift / wide) * 7) % 997).astype(int)
    ]
    rough = grain(picture, rng, size=1.5)
    brick = mix(rgb("8a4a3a"), rgb("b0705a"), tone)
    brick = mix(rgb("968e86"), brick, soft(gap, 0.6 * u, 1.6 * u))
    brick = brick * (1 + 0.16 * rough)[..., None]
    paint = saturate(kuwahara(expose(picture), round(5 * u)), 1.8)
    paint = mix(paint, repaint(paint, NEON), 0.65)
    mist = 0.9 - 0.55 * soft(noise(picture, 34 * u, rng, octaves=3), 0.5, 0.75)
    mist = mist + 0.25 * rough - 0.5 * soft(border(picture), 26 * u, 4 * u)
    out = mix(brick, paint * (0.72 + 0.28 * soft(gap, 0, 2 * u))[..., None], np.clip(mist, 0, 1))
    line = outline(picture, 1.9 * u, at=0.2)
    halo = blur(line, 4 * u)
    out = mix(out, rgb("ffffff"), 0.75 * soft(halo + 0.1 * rough, 0.2, 0.45))
    starts = (rng.random((16, 2)) * picture.shape[:2]).astype(int)
    drip = np.zeros_like(line)
    for top, left in starts:
        found = np.flatnonzero(line[top:, left] > 0.8)
        run = top + (found[0] if len(found) else picture.shape[0])
        thick, long = max(round(3 * u), 1), round(rng.integers(16, 48) * u)
        drip[run : run + long, left : left + thick] = 1
    ink = np.maximum(soft(line + 0.12 * rough, 0.4, 0.7), drip)
    return finish(mix(out, rgb("0e0c12"), ink))
