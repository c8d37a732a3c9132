"""Painted and drawn: oils, washes, and what a hand holds. See `flavor.py` for flavors."""

import numpy as np

from pe.studio.flavor import Picture, flavor
from pe.studio.flavors.filter import (
    Rng,
    blur,
    border,
    coords,
    dabs,
    finish,
    flatten,
    flow,
    grain,
    gray,
    kuwahara,
    mix,
    noise,
    outline,
    ragged,
    relief,
    rgb,
    saturate,
    smear,
    soft,
    stretch,
    stripes,
    unit,
    wobble,
)


@flavor("oil painting", "medium", words=("oil on canvas", "oil paint", "painted in oils"))
def paint_oil(picture: Picture, rng: Rng) -> Picture:
    """Follow the shapes with thick strokes under a warm, dark varnish."""
    u = unit(picture)
    angle = flow(picture, 5 * u)
    paint = smear(kuwahara(picture, round(4 * u)), angle, 5 * u)
    stroke = smear(smear(noise(picture, 2.6 * u, rng), angle, 13 * u), angle, 5 * u)
    paint = saturate(paint, 1.35) ** np.float32(1.25)
    paint *= (1 + 1.7 * (stroke - 0.5))[..., None]
    paint += 0.17 * relief(stroke, 9 / max(u, 0.5))[..., None]
    weave = stripes(picture, 3 * u, 0) + stripes(picture, 3 * u, np.pi / 2)
    shade = 0.96 + 0.04 * weave - 0.45 * soft(border(picture), 60 * u, -10 * u)
    return finish(paint * shade[..., None] * rgb("ffecc8") * np.float32(1.06))


@flavor("watercolor", "medium", words=("watercolor painting", "watercolour", "aquarelle"))
def paint_watercolor(picture: Picture, rng: Rng) -> Picture:
    """Lay thin washes that pool at their edges and stop short of the paper's."""
    u = unit(picture)
    bleed = wobble(wobble(picture, 3.5 * u, 16 * u, rng), 1.6 * u, 5 * u, rng)
    wash = saturate(kuwahara(bleed, round(4 * u)), 1.5)
    pool = blur(outline(wash, 1.2 * u, at=0.12), 0.8 * u)
    cloud = noise(picture, 50 * u, rng, octaves=4)
    density = 0.15 + 0.95 * soft(cloud, 0.25, 0.75) + 0.5 * pool
    density *= ragged(picture, 16, 34, rng)
    pigment = (1 - wash) * density[..., None] * np.float32(0.8)
    tooth = 1 + 0.5 * grain(picture, rng, size=1.3)[..., None] * pigment.mean(2, keepdims=True)
    return finish((1 - pigment * tooth) * rgb("fcfaf4"))


@flavor("ink wash", "medium", words=("sumi-e", "ink wash painting", "chinese ink painting"))
def wash_ink(picture: Picture, rng: Rng) -> Picture:
    """Let black ink run on rice paper, with a red seal in the corner."""
    u = unit(picture)
    wet = wobble(picture, 3 * u, 14 * u, rng)
    dark = 1 - stretch(gray(blur(wet, 2.2 * u)))
    cloud = noise(picture, 40 * u, rng, octaves=4)
    wash = 0.75 * soft(dark, 0.2, 1.0) * (0.55 + 0.7 * cloud)
    brush = outline(wet, 1.6 * u, at=0.2) * soft(noise(picture, 18 * u, rng, octaves=2), 0.0, 0.4)
    dry = 1 - 0.6 * soft(grain(picture, rng), 0.2, 0.7)
    ink = np.clip(wash + 0.85 * brush * dry, 0, 1) * soft(border(picture) / u + 30 * cloud, 14, 50)
    paper = rgb("f0e8d4") * (1 + 0.05 * grain(picture, rng, size=2))[..., None]
    out = mix(paper, rgb("18181c"), ink)
    y, x = coords(picture)
    down, across = (picture.shape[0] - 22 * u - y) / (10 * u), (picture.shape[1] - 20 * u - x) / u
    across = across / 10
    seal = (np.maximum(abs(down), abs(across)) < 1) & (
        (abs(abs(across) - 0.45) > 0.13) | (abs(down) > 0.72) | (abs(down + across * 0.3) < 0.16)
    )
    return finish(mix(out, rgb("bc261e"), 0.92 * seal))


@flavor("gouache", "medium", words=("gouache painting", "poster paint", "tempera painting"))
def paint_gouache(picture: Picture, rng: Rng) -> Picture:
    """Cover with flat, chalky paint in few tones, dry brushed at the rim of the sheet."""
    u = unit(picture)
    flat = kuwahara(wobble(picture, 2.5 * u, 9 * u, rng), round(4 * u))
    flat = flatten(saturate(flat, 1.15), 5)
    tile, _, across = dabs(
        picture, 13 * u, rng, half_length=17 * u, half_width=7 * u, angle=0.35, spin=0.5
    )
    tint = 1 + 0.13 * (rng.random(len(tile.y), dtype=np.float32) - 0.5)
    paint = mix(flat, rgb("d6b296"), 0.13) * tile.spread(tint)[..., None]
    paint = paint + 0.02 * across[..., None] * (tile.tile >= 0)[..., None]
    bristle = smear(grain(picture, rng, size=1.4), 0.2, 26 * u)
    away = border(picture) + 26 * u * bristle
    covered = soft(away, 11 * u, 13 * u) * (
        1 - 0.5 * soft(bristle, 0.27, 0.4) * soft(border(picture), 50 * u, 20 * u)
    )
    paper = rgb("f7f3ea") * (1 + 0.03 * grain(picture, rng))[..., None]
    return finish(mix(paper, paint, covered))


@flavor("charcoal sketch", "medium", words=("charcoal drawing", "in charcoal", "drawn in charcoal"))
def draw_charcoal(picture: Picture, rng: Rng) -> Picture:
    """Rub soft black over rough paper, heavy in the outlines."""
    u = unit(picture)
    hand = wobble(picture, 2 * u, 10 * u, rng)
    dark = 1 - stretch(gray(blur(hand, 1.5 * u)))
    tooth = grain(picture, rng, size=1.5)
    stroke = smear(noise(picture, 3 * u, rng), -0.9, 34 * u) - 0.5
    stick = 1.1 * dark**1.7 + 1.3 * stroke * (0.15 + dark) + 0.05
    line = outline(hand, 1.7 * u, at=0.18) * (0.75 + noise(picture, 9 * u, rng))
    mark = soft(np.maximum(stick, 1.2 * line) + 0.45 * tooth, 0.3, 1.15)
    smudge = 0.25 * blur(mark, 6 * u)
    paper = rgb("d8cfbe") * (1 + 0.06 * tooth)[..., None]
    return finish(mix(paper, rgb("161516"), np.clip(0.95 * mark + smudge, 0, 1)))


@flavor("pencil drawing", "medium", words=("pencil sketch", "graphite drawing", "drawn in pencil"))
def draw_pencil(picture: Picture, rng: Rng) -> Picture:
    """Hatch in fine gray lines on white, crossing where it is dark."""
    u = unit(picture)
    dark = 1 - stretch(gray(blur(picture, 1.2 * u)))
    bend = 7 * u * noise(picture, 40 * u, rng)
    press = 0.55 * grain(picture, rng, size=1.2)
    once = stripes(picture, max(3.6 * u, 2.2), -0.8, bend)
    twice = stripes(picture, max(4.1 * u, 2.4), 0.5, bend)
    hatch = soft(once + press * 0.5 + 1.5 * dark, 1.15, 2.0) * soft(dark, 0.15, 0.5)
    cross = soft(twice + press * 0.5 + 1.5 * dark, 1.5, 2.4) * soft(dark, 0.5, 0.75)
    lines = outline(wobble(picture, 1.2 * u, 14 * u, rng), 0.9 * u, at=0.13)
    again = outline(wobble(picture, 3 * u, 30 * u, rng), 0.8 * u, at=0.2)
    lead = 0.42 * hatch + 0.3 * cross + 0.1 * dark + 0.75 * lines + 0.35 * again
    lead *= 1 + press
    return finish(mix(rgb("fcfbf7"), rgb("3e3f46"), np.clip(lead, 0, 1)))


@flavor(
    "chalk drawing", "medium", words=("chalk on a blackboard", "chalkboard drawing", "chalk art")
)
def draw_chalk(picture: Picture, rng: Rng) -> Picture:
    """Draw in dusty colors on a green board that was wiped before."""
    u = unit(picture)
    hand = wobble(picture, 2 * u, 12 * u, rng)
    board = rgb("223830") * (0.85 + 0.3 * noise(picture, 60 * u, rng, octaves=3))[..., None]
    wiped = smear(noise(picture, 20 * u, rng), 0.3, 60 * u) - 0.35
    board = board + 0.14 * np.maximum(wiped, 0)[..., None]
    color = mix(saturate(kuwahara(hand, round(5 * u)), 1.5), rgb("fffcf5"), 0.25)
    bright = stretch(color.max(axis=2))
    tooth = grain(picture, rng, size=1.4)
    side = stripes(picture, 6.5 * u, 0.9, 12 * u * noise(picture, 30 * u, rng))
    fill = soft(bright * 0.9 + 0.6 * side + 0.6 * tooth, 0.5, 1.45)
    line = outline(hand, 1.5 * u, at=0.15) * soft(tooth, -0.75, 0.1)
    out = mix(board, color, fill * 0.85)
    return finish(mix(out, rgb("faf8f0"), 0.95 * line))


@flavor("crayon", "medium", words=("crayon drawing", "wax crayon", "child's crayon drawing"))
def draw_crayon(picture: Picture, rng: Rng) -> Picture:
    """Scribble in wax: pure colors, white specks of paper, wobbly lines."""
    u = unit(picture)
    hand = wobble(picture, 6 * u, 22 * u, rng)
    wax = np.clip(saturate(kuwahara(hand, round(6 * u)), 2.3), 0.04, 1)
    bend = 16 * u * noise(picture, 34 * u, rng) + 4 * u * noise(picture, 9 * u, rng)
    way = np.where(gray(wax) > 0.5, stripes(picture, 7 * u, -0.6, bend), 0)
    way = np.where(gray(wax) > 0.5, way, stripes(picture, 6 * u, -1.2, bend))
    tooth = grain(picture, rng, size=1.8)
    cover = soft(way * 0.75 + 0.65 * tooth, -0.6, 0.2)
    body = mix(rgb("fdfbf5"), wax, 0.93 * cover)
    line = outline(hand, 2.2 * u, at=0.17) * soft(tooth, -0.7, -0.1)
    return finish(mix(body, 0.3 * wax, 0.9 * line))


@flavor(
    "pointillism", "movement", words=("pointillist painting", "divisionism", "in seurat's style")
)
def paint_points(picture: Picture, rng: Rng) -> Picture:
    """Set round dots of pure, jumping hues on a cream ground."""
    u = unit(picture)
    vivid = saturate(picture, 1.6)
    out = mix(rgb("f3e8cc"), vivid, 0.5)
    for step, radius in ((5.6, 2.7), (5.2, 2.2)):
        tile, along, across = dabs(
            picture, step * u, rng, half_length=radius * u, half_width=radius * u
        )
        color = tile.colors(vivid)
        shift = rng.random((len(color), 3), dtype=np.float32) - 0.5
        shift -= shift.mean(1, keepdims=True)
        color = np.clip(color + (0.1 + 0.45 * color.mean(1, keepdims=True)) * shift, 0, 1)
        round_ = (tile.tile >= 0) * soft(along * along + across * across, 1.0, 0.6)
        out = mix(out, tile.spread(color), round_)
    return finish(out)


@flavor("impressionism", "movement", words=("impressionist painting", "in monet's style"))
def paint_impression(picture: Picture, rng: Rng) -> Picture:
    """Put short dabs of light color beside each other, with violet in the shadows."""
    u = unit(picture)
    light = saturate(blur(picture, 1.2 * u), 1.45) ** np.float32(0.8)
    shadow = soft(gray(light), 0.55, 0.1)
    light = mix(light, rgb("6054b2"), 0.4 * shadow)
    angle = flow(picture, 6 * u)
    out, height = light, np.zeros(picture.shape[:2], np.float32)
    for step, length, width in ((8, 11, 4.5), (5.5, 7.5, 2.3)):
        tile, along, across = dabs(
            picture,
            step * u,
            rng,
            half_length=length * u,
            half_width=width * u,
            angle=angle,
            spin=1.2,
        )
        color = tile.colors(light)
        shift = rng.random((len(color), 3), dtype=np.float32) - 0.5
        color = color + (0.08 + 0.28 * color.mean(1, keepdims=True)) * shift + 0.04
        here = tile.tile >= 0
        body = tile.spread(color) * (1 + 0.12 * across + 0.06 * along)[..., None]
        out = np.where(here[..., None], body, out)
        height = np.where(here, 1 - across * across, height)
    return finish(out + 0.09 * relief(height, 2 * max(u, 0.5))[..., None])
