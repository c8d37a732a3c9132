"""Buildings, and what else people put up."""

import math

from pe.studio.canvas import Number, Pen, Point
from pe.studio.color import NAMED, Color, darken, lighten
from pe.studio.subject import subject

GLASS: Color = (186, 222, 238)
LAMP: Color = (252, 222, 128)


def _arch(x: Number, y: Number, rx: Number, ry: Number) -> list[Point]:
    """Return the points of the upper half of an ellipse, from left to right."""
    turns = [math.pi * (1 - k / 16) for k in range(17)]
    return [(x + rx * math.cos(turn), y + ry * math.sin(turn)) for turn in turns]


def _door(pen: Pen, x: Number, half: Number, top: Number, color: Color) -> None:
    """Draw an opening with a round top that stands on the ground."""
    pen.polygon([(x - half, -1), *_arch(x, top - half, half, half), (x + half, -1)], color)


def _window(pen: Pen, x: Number, y: Number, half: Number) -> None:
    """Draw a square window with a cross of bars."""
    pen.rect(x - half, y - half, x + half, y + half, pen.tones.dark)
    pane = half * 0.38
    for dx in (-half * 0.44, half * 0.44):
        for dy in (-half * 0.44, half * 0.44):
            pen.rect(x + dx - pane, y + dy - pane, x + dx + pane, y + dy + pane, GLASS)


def _slit(pen: Pen, x: Number, y: Number, half: Number, tall: Number, color: Color) -> None:
    """Draw a narrow window with a round top."""
    pen.polygon([(x - half, y), *_arch(x, y + tall, half, half), (x + half, y)], color)


def _battlement(pen: Pen, x0: Number, x1: Number, y: Number, teeth: int, color: Color) -> None:
    """Draw the teeth on top of a wall between x0 and x1."""
    step = (x1 - x0) / (2 * teeth - 1)
    for k in range(teeth):
        pen.rect(x0 + 2 * k * step, y - 0.02, x0 + (2 * k + 1) * step, y + 0.13, color)


def _flag(pen: Pen, x: Number, y: Number, top: Number) -> None:
    """Draw a pole and a pennant."""
    pen.line([(x, y), (x, top)], 0.035, pen.tones.ink)
    pen.polygon([(x, top), (x + 0.28, top - 0.09), (x, top - 0.18)], pen.tones.accent)


@subject("house", words=("home", "cottage", "cabin", "hut", "villa"),
         colors=("yellow", "red", "white", "blue", "green"), accent="brown", scale=0.5,
         places=("meadow", "garden", "city", "forest", "snow"))  # fmt: skip
def draw_house(pen: Pen) -> None:
    """A house with a steep roof, a chimney and a door in the middle."""
    tones = pen.tones
    pen.rect(0.44, 0.2, 0.66, 0.86, darken(tones.accent))
    pen.rect(0.4, 0.8, 0.7, 0.9, tones.accent)
    pen.polygon([(-0.76, -1), (-0.76, 0.1), (0, 0.82), (0.76, 0.1), (0.76, -1)], tones.main)
    pen.rect(-0.76, -1, 0.76, -0.9, tones.dark)
    roof = [(-1, 0.06), (0, 1), (1, 0.06), (0.86, -0.1), (0, 0.7), (-0.86, -0.1)]
    pen.polygon(roof, tones.accent)
    pen.ellipse(0, 0.3, 0.17, 0.17, tones.dark)
    pen.ellipse(0, 0.3, 0.12, 0.12, GLASS)
    pen.rect(-0.23, -1, 0.23, -0.22, tones.light)
    pen.rect(-0.17, -1, 0.17, -0.28, darken(tones.accent, 0.1))
    pen.ellipse(0.1, -0.65, 0.035, 0.035, LAMP)
    for x in (-0.5, 0.5):
        _window(pen, x, -0.38, 0.19)


@subject("castle", words=("fortress", "palace", "citadel", "fort"),
         colors=("gray", "white", "pink", "golden", "brown"), accent="red", scale=0.6,
         places=("meadow", "mountains", "forest"))  # fmt: skip
def draw_castle(pen: Pen) -> None:
    """A castle: a keep with a flag behind a wall, and two towers with pointed roofs."""
    tones = pen.tones
    pen.rect(-0.28, -0.4, 0.28, 0.5, tones.dark)
    _battlement(pen, -0.34, 0.34, 0.58, 4, tones.dark)
    pen.rect(-0.34, 0.42, 0.34, 0.58, tones.dark)
    _flag(pen, 0, 0.55, 1)
    for x in (-0.1, 0.1):
        _slit(pen, x, 0.12, 0.05, 0.14, tones.ink)
    pen.rect(-0.6, -1, 0.6, -0.1, tones.main)
    _battlement(pen, -0.5, 0.5, -0.1, 5, tones.main)
    for side in (-1, 1):
        x = side * 0.71
        pen.rect(x - 0.23, -1, x + 0.23, 0.3, tones.main)
        pen.rect(x + 0.1, -1, x + 0.23, 0.3, darken(tones.main, 0.12))
        pen.rect(x - 0.29, 0.14, x + 0.29, 0.32, tones.light)
        pen.polygon([(x - 0.29, 0.32), (x, 0.86), (x + 0.29, 0.32)], tones.accent)
        pen.polygon([(x, 0.86), (x + 0.29, 0.32), (x + 0.1, 0.32)], darken(tones.accent))
        _slit(pen, x, -0.3, 0.07, 0.18, tones.ink)
    _door(pen, 0, 0.3, -0.32, tones.light)
    _door(pen, 0, 0.24, -0.38, tones.ink)


@subject("lighthouse", words=("beacon",), colors=("red", "blue", "black", "orange"), accent="white",
         scale=0.5, places=("beach", "sea"))  # fmt: skip
def draw_lighthouse(pen: Pen) -> None:
    """A lighthouse with broad stripes, its lamp lit, on a rock."""
    tones = pen.tones
    foot, top, count = -0.86, 0.42, 5

    def half(y: Number) -> float:
        return 0.44 - 0.22 * (y - foot) / (top - foot)

    for k in range(count):
        y0, y1 = (foot + (top - foot) * j / count for j in (k, k + 1))
        color = tones.accent if k % 2 else tones.main
        pen.polygon([(-half(y0), y0), (-half(y1), y1), (half(y1), y1), (half(y0), y0)], color)
        shade = [(half(y0) - 0.14, y0), (half(y1) - 0.11, y1), (half(y1), y1), (half(y0), y0)]
        pen.polygon(shade, darken(color, 0.15))
    pen.rect(-0.16, 0.42, 0.16, 0.72, LAMP)
    for x in (-0.15, 0, 0.15):
        pen.line([(x, 0.42), (x, 0.72)], 0.035, tones.ink)
    pen.rect(-0.33, 0.4, 0.33, 0.48, tones.ink)
    pen.polygon([(-0.26, 0.7), *_arch(0, 0.7, 0.24, 0.2), (0.26, 0.7)], tones.main)
    pen.line([(0, 0.88), (0, 0.99)], 0.05, tones.ink)
    _slit(pen, 0, -0.32, 0.07, 0.12, tones.ink)
    _slit(pen, 0, 0.12, 0.06, 0.1, tones.ink)
    rock = NAMED["gray"]
    pen.blob(
        [(-0.8, -1), (-0.6, -0.8), (-0.2, -0.78), (0.3, -0.82), (0.7, -0.76), (0.85, -1)], rock
    )
    pen.blob([(-0.1, -1), (0.1, -0.88), (0.6, -0.86), (0.84, -1)], darken(rock))


@subject("windmill", words=("mill",), colors=("red", "white", "brown", "blue"), accent="white",
         scale=0.5, places=("meadow", "farm"))  # fmt: skip
def draw_windmill(pen: Pen) -> None:
    """A Dutch windmill: a body that narrows upwards, a cap, four sails."""
    tones = pen.tones
    pen.polygon([(-0.5, -1), (-0.27, 0.3), (0.27, 0.3), (0.5, -1)], tones.main)
    pen.polygon([(0.2, -1), (0.11, 0.3), (0.27, 0.3), (0.5, -1)], darken(tones.main, 0.14))
    pen.polygon([(-0.33, 0.28), *_arch(0, 0.3, 0.3, 0.34), (0.33, 0.28)], tones.dark)
    pen.rect(-0.6, -0.52, 0.6, -0.44, tones.ink)
    _door(pen, 0, 0.14, -0.62, tones.ink)
    _slit(pen, 0, -0.32, 0.08, 0.1, GLASS)
    for turn in (35, 125, 215, 305):
        cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))

        def along(far: Number, off: Number, cos: Number = cos, sin: Number = sin) -> Point:
            return far * cos - off * sin, 0.32 + far * sin + off * cos

        sail = [along(0.22, -0.03), along(0.22, 0.2), along(0.86, 0.24), along(0.86, -0.03)]
        pen.polygon(sail, tones.accent)
        for far in (0.22, 0.43, 0.64, 0.85):
            pen.line([along(far, 0), along(far, 0.2)], 0.03, darken(tones.accent, 0.35))
        pen.line([along(0, 0), along(0.88, 0)], 0.06, tones.ink)
    pen.ellipse(0, 0.32, 0.09, 0.09, tones.ink)


@subject("tower", words=("watchtower", "belfry"), colors=("gray", "brown", "white", "golden"),
         accent="blue", scale=0.4, places=("meadow", "forest", "mountains"))  # fmt: skip
def draw_tower(pen: Pen) -> None:
    """A round tower of stone with a battlement under a pointed roof."""
    tones = pen.tones
    pen.polygon([(-0.4, -1), (-0.3, -0.7), (-0.3, 0.2), (0.3, 0.2), (0.3, -0.7), (0.4, -1)],
                tones.main)  # fmt: skip
    pen.polygon([(0.2, -1), (0.14, 0.2), (0.3, 0.2), (0.3, -0.7), (0.4, -1)], tones.dark)
    for x, y in ((-0.2, -0.15), (-0.08, -0.62), (0.02, 0.08), (-0.22, -0.8), (0.06, -0.3)):
        pen.rect(x - 0.07, y - 0.035, x + 0.07, y + 0.035, tones.light)
    pen.rect(-0.26, 0.3, 0.26, 0.56, tones.dark)
    pen.polygon([(-0.3, 0.08), (-0.45, 0.24), (0.45, 0.24), (0.3, 0.08)], tones.dark)
    pen.rect(-0.45, 0.22, 0.45, 0.36, tones.main)
    _battlement(pen, -0.45, 0.45, 0.35, 4, tones.main)
    pen.polygon([(-0.36, 0.54), (0, 0.94), (0.36, 0.54)], tones.accent)
    pen.polygon([(0.1, 0.54), (0, 0.94), (0.36, 0.54)], darken(tones.accent))
    pen.line([(0, 0.9), (0, 1)], 0.035, tones.ink)
    _slit(pen, -0.05, -0.22, 0.07, 0.2, tones.ink)
    _door(pen, -0.05, 0.15, -0.56, tones.ink)


@subject("church", "churches", words=("chapel", "cathedral"),
         colors=("white", "yellow", "gray", "brown"), accent="red", scale=0.55,
         places=("meadow", "city", "mountains"))  # fmt: skip
def draw_church(pen: Pen) -> None:
    """A church from the side: a steeple with a cross, and a nave with tall windows."""
    tones = pen.tones
    pen.rect(-0.4, -1, 0.88, -0.3, tones.main)
    pen.polygon([(-0.4, -0.34), (-0.4, 0.22), (0.66, 0.22), (1, -0.34)], tones.accent)
    pen.rect(-0.4, -1, 0.88, -0.9, tones.dark)
    pen.rect(-0.92, -1, -0.3, 0.26, tones.main)
    pen.rect(-0.45, -1, -0.3, 0.26, tones.dark)
    pen.polygon([(-1, 0.2), (-0.61, 0.72), (-0.22, 0.2)], tones.accent)
    pen.polygon([(-0.48, 0.2), (-0.61, 0.72), (-0.22, 0.2)], darken(tones.accent))
    pen.line([(-0.61, 0.66), (-0.61, 1)], 0.06, tones.ink)
    pen.line([(-0.73, 0.89), (-0.49, 0.89)], 0.06, tones.ink)
    _slit(pen, -0.68, -0.1, 0.09, 0.14, tones.ink)
    _door(pen, -0.68, 0.16, -0.48, darken(tones.accent, 0.5))
    for x in (-0.05, 0.28, 0.61):
        _slit(pen, x, -0.78, 0.1, 0.2, darken(tones.main, 0.35))
        _slit(pen, x, -0.75, 0.065, 0.18, GLASS)


@subject("barn", words=("farmhouse",), colors=("red", "brown", "white", "gray"), accent="white",
         scale=0.55, places=("farm", "meadow"))  # fmt: skip
def draw_barn(pen: Pen) -> None:
    """A barn from the front: a bent roof, doors with crosses, a silo behind."""
    tones = pen.tones
    silo = NAMED["silver"]
    pen.polygon(
        [(0.5, -1), (0.5, 0), (0.58, 0.36), *_arch(0.78, 0.36, 0.2, 0.24), (0.98, -1)], silo
    )
    pen.polygon([(0.58, 0.36), *_arch(0.78, 0.36, 0.2, 0.24), (0.98, 0.36)], darken(silo, 0.35))
    for y in (-0.5, -0.1):
        pen.rect(0.58, y, 0.98, y + 0.05, darken(silo))
    edge = [(-0.94, 0.02), (-0.76, 0.52), (-0.14, 0.9), (0.48, 0.52), (0.66, 0.02)]
    pen.polygon([(-0.84, -1), (-0.84, 0.04), *edge[1:4], (0.56, 0.04), (0.56, -1)], tones.main)
    pen.line(edge, 0.13, tones.ink)
    pen.rect(-0.3, 0.12, 0.02, 0.46, tones.accent)
    pen.rect(-0.24, 0.18, -0.04, 0.4, tones.ink)
    for x0, x1 in ((-0.54, -0.14), (-0.14, 0.26)):
        pen.rect(x0, -1, x1, -0.16, tones.accent)
        pen.rect(x0 + 0.06, -0.94, x1 - 0.06, -0.22, tones.dark)
        for ends in ((-0.94, -0.22), (-0.22, -0.94)):
            pen.line([(x0 + 0.06, ends[0]), (x1 - 0.06, ends[1])], 0.06, tones.accent)


@subject("bridge", words=("viaduct", "aqueduct"), colors=("gray", "red", "brown", "white"),
         accent="golden", scale=0.7, places=("meadow", "forest", "garden", "city"))  # fmt: skip
def draw_bridge(pen: Pen) -> None:
    """A bridge of stone: a broad arch between two small ones, lamps on its rail."""
    tones = pen.tones

    def hump(x: Number) -> float:
        return 0.2 - 0.36 * x * x

    holes = [(0.74, 0.16, 0.46), (0, 0.42, 0.88), (-0.74, 0.16, 0.46)]
    for x in (-0.66, -0.22, 0.22, 0.66):
        pen.line([(x, hump(x)), (x, hump(x) + 0.5)], 0.05, tones.ink)
        pen.ellipse(x, hump(x) + 0.52, 0.09, 0.09, tones.accent)
    top = [(k / 10, hump(k / 10)) for k in range(-10, 11)]
    wall: list[Point] = [(-1, -1), *top, (1, -1)]
    for x, rx, ry in holes:
        wall += [(x + rx, -1), *reversed(_arch(x, -1, rx, ry)), (x - rx, -1)]
    pen.polygon(wall, tones.main)
    for x, rx, ry in holes:
        pen.line(_arch(x, -0.965, rx, ry), 0.07, tones.dark)
    pen.line([(x * 0.98, y + 0.02) for x, y in top], 0.11, tones.light)
    pen.line([(x * 0.98, y - 0.07) for x, y in top], 0.05, tones.dark)


@subject("tent", words=("camping tent",), colors=("orange", "green", "blue", "yellow", "red"),
         accent="brown", scale=0.5,
         places=("forest", "meadow", "mountains", "desert", "beach"))  # fmt: skip
def draw_tent(pen: Pen) -> None:
    """A tent for camping, its flaps open, held by ropes."""
    tones = pen.tones
    pen.line([(-0.28, 0.62), (-1, -0.97)], 0.035, tones.ink)
    pen.line([(0.62, 0.5), (1, -0.93)], 0.035, tones.ink)
    pen.line([(-0.28, 0.5), (-0.28, 0.8)], 0.07, tones.accent)
    pen.polygon([(-0.28, 0.68), (0.62, 0.56), (0.94, -0.86), (0.38, -1)], tones.dark)
    pen.polygon([(-0.28, 0.68), (0.62, 0.56), (0.72, 0.1), (-0.02, 0.1)], tones.main)
    if pen.flat is None:  # a silhouette is open where the tent is
        pen.polygon([(-0.28, 0.36), (-0.56, -1), (0.04, -1)], tones.ink)
    front = [(-0.28, 0.7), (-0.88, -1), (-0.56, -1), (-0.28, 0.36), (0.04, -1), (0.4, -1)]
    pen.polygon(front, tones.main)
    pen.polygon([(-0.28, 0.36), (-0.56, -1), (-0.7, -1), (-0.52, -0.45)], tones.light)
    pen.polygon([(-0.28, 0.36), (0.04, -1), (0.2, -1), (-0.02, -0.45)], tones.light)


@subject("pyramid", words=("ziggurat",), colors=("golden", "yellow", "orange", "brown"),
         accent="brown", scale=0.65, places=("desert",))  # fmt: skip
def draw_pyramid(pen: Pen) -> None:
    """A great pyramid of stone, one face in the sun, a small one behind."""
    tones = pen.tones
    pen.polygon([(0.12, -1), (0.6, -0.28), (1, -1)], tones.light)
    pen.polygon([(0.7, -1), (0.6, -0.28), (1, -1)], darken(tones.main, 0.12))
    pen.polygon([(-1, -1), (-0.16, 0.6), (0.72, -1)], tones.main)
    pen.polygon([(0.16, -1), (-0.16, 0.6), (0.72, -1)], tones.dark)
    for x, y in ((-0.62, -0.84), (-0.3, -0.6), (-0.5, -0.38), (-0.12, -0.22), (-0.28, 0.08)):
        pen.rect(x - 0.1, y - 0.045, x + 0.1, y + 0.045, tones.light)
    pen.polygon([(-0.28, 0.37), (-0.16, 0.6), (-0.035, 0.37), (-0.13, 0.43)], tones.light)
    _door(pen, -0.16, 0.1, -0.72, tones.ink)


@subject("temple", words=("shrine", "pantheon"), colors=("white", "golden", "gray", "pink"),
         accent="golden", scale=0.6, places=("mountains", "meadow", "city", "garden"))  # fmt: skip
def draw_temple(pen: Pen) -> None:
    """A Greek temple: steps, five columns, a gable."""
    tones = pen.tones
    for half, y, color in ((1, -1, tones.dark), (0.9, -0.88, tones.main), (0.8, -0.76, tones.dark)):
        pen.rect(-half, y, half, y + 0.12, color)
    for x in (-0.66, -0.33, 0, 0.33, 0.66):
        pen.rect(x - 0.09, -0.64, x + 0.09, 0.2, tones.main)
        pen.rect(x + 0.03, -0.64, x + 0.09, 0.2, tones.dark)
        pen.rect(x - 0.13, -0.66, x + 0.13, -0.58, tones.main)
        pen.rect(x - 0.13, 0.12, x + 0.13, 0.22, tones.main)
    pen.rect(-0.88, 0.2, 0.88, 0.36, tones.dark)
    pen.polygon([(-1, 0.34), (0, 0.92), (1, 0.34)], tones.main)
    pen.polygon([(-0.7, 0.41), (0, 0.81), (0.7, 0.41)], tones.dark)
    pen.ellipse(0, 0.54, 0.11, 0.11, tones.accent)


@subject("skyscraper", words=("high-rise", "office building", "building"),
         colors=("blue", "gray", "teal", "brown"), accent="yellow", scale=0.5,
         places=("city",))  # fmt: skip
def draw_skyscraper(pen: Pen) -> None:
    """A skyscraper that narrows in steps to a mast, some windows lit."""
    tones = pen.tones
    pen.line([(0, 0.7), (0, 1)], 0.05, tones.ink)
    floors = ((0.12, 0.6, 0.76), (0.26, 0.3, 0.62), (0.38, -0.4, 0.34), (0.48, -1, -0.36))
    for half, y0, y1 in floors:
        pen.rect(-half, y0, half, y1, tones.main)
        pen.rect(half * 0.5, y0, half, y1, tones.dark)
        pen.rect(-half, y1 - 0.04, half, y1, tones.light)
    for row, y in enumerate((0.42, 0.14, -0.06, -0.26, -0.54, -0.74)):
        xs = (-0.1, 0.08) if row == 0 else (-0.27, -0.09, 0.09, 0.27)
        for column, x in enumerate(xs):
            lit = (row * 3 + column * 2) % 5 < 2
            color = tones.accent if lit else lighten(tones.main, 0.6)
            pen.rect(x - 0.05, y - 0.06, x + 0.05, y + 0.06, color)
    pen.rect(-0.12, -1, 0.12, -0.86, tones.ink)
