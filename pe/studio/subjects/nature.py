"""Plants and landforms."""

import math

from pe.studio.canvas import Number, Pen, Point
from pe.studio.color import NAMED, Color, darken, lighten
from pe.studio.subject import subject

LEAF = NAMED["green"]
ROCK = NAMED["gray"]
SAND: Color = (238, 208, 142)


def _leaf(pen: Pen, x: Number, y: Number, length: Number, angle: Number, color: Color) -> None:
    """Draw a pointed leaf that grows from a point; `angle` in degrees, 0 is to the right."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    shape = [(0, 0), (0.3, 0.2), (0.62, 0.2), (1, 0), (0.62, -0.2), (0.3, -0.2)]
    turned = [
        (x + length * (a * cos - b * sin), y + length * (a * sin + b * cos)) for a, b in shape
    ]
    pen.blob(turned, color)
    tip = (x + 0.8 * length * cos, y + 0.8 * length * sin)
    pen.line([(x, y), tip], 0.025, darken(color))


def _petals(pen: Pen, count: int, far: Number, size: Point, color: Color,
            *, y: Number, turn: Number = 0.0) -> None:  # fmt: skip
    """Draw a ring of petals around (0, y); `size` is half their length and half their width."""
    for k in range(count):
        angle = turn + 360 * k / count
        x = far * math.cos(math.radians(angle))
        dy = far * math.sin(math.radians(angle))
        pen.ellipse(x, y + dy, *size, color, angle=angle)


@subject("tree", words=("oak", "maple", "oak tree", "apple tree"),
         colors=("green", "orange", "red", "yellow", "pink"), accent="brown", scale=0.5,
         places=("meadow", "forest", "garden"))  # fmt: skip
def draw_tree(pen: Pen) -> None:
    """A tree with a round crown."""
    tones = pen.tones
    pen.polygon([(-0.26, -1), (-0.12, -0.8), (-0.1, 0), (0.1, 0), (0.12, -0.8), (0.26, -1)],
                tones.accent)  # fmt: skip
    pen.polygon([(0.02, -1), (0.02, 0), (0.1, 0), (0.12, -0.8), (0.26, -1)], darken(tones.accent))
    pen.line([(0, -0.5), (0.32, -0.2)], 0.09, tones.accent)
    crown = ((-0.46, -0.04, 0.36), (0.48, -0.02, 0.38), (-0.36, 0.4, 0.4), (0.38, 0.42, 0.38),
             (0, 0.58, 0.42), (0, 0.1, 0.46))  # fmt: skip
    for x, y, radius in crown:
        pen.ellipse(x, y - 0.06, radius, radius, tones.dark)
    for x, y, radius in crown:
        pen.ellipse(x - 0.03, y + 0.03, radius * 0.92, radius * 0.9, tones.main)
    for x, y, radius in (
        (-0.36, 0.5, 0.13),
        (0.02, 0.78, 0.1),
        (-0.14, 0.22, 0.1),
        (0.4, 0.3, 0.1),
    ):
        pen.ellipse(x, y, radius, radius * 0.7, tones.light, angle=20)


@subject("pine", words=("pine tree", "fir", "fir tree", "spruce", "conifer", "christmas tree"),
         colors=("green", "teal", "blue", "white"), accent="brown", scale=0.45,
         places=("forest", "snow", "mountains"))  # fmt: skip
def draw_pine(pen: Pen) -> None:
    """A conifer of four layers."""
    tones = pen.tones
    pen.rect(-0.11, -1, 0.11, -0.6, tones.accent)
    pen.rect(0.02, -1, 0.11, -0.6, darken(tones.accent))
    for half, y0, y1 in ((0.74, -0.74, 0), (0.6, -0.34, 0.34), (0.45, 0.04, 0.68), (0.3, 0.4, 1)):
        hem = [(half, y0), (half * 0.66, y0 - 0.07), (half * 0.33, y0 + 0.01), (0, y0 - 0.08)]
        pen.polygon([(0, y1), *hem, *[(-x, y) for x, y in reversed(hem[:3])]], tones.main)
        pen.polygon([(0, y1), *hem[:3], (half * 0.2, y0 + 0.2)], tones.dark)


@subject("palm", words=("palm tree", "coconut palm", "coconut tree"),
         colors=("green", "teal", "yellow"), accent="brown", scale=0.5,
         places=("beach", "desert", "sea"))  # fmt: skip
def draw_palm(pen: Pen) -> None:
    """A palm with a bent trunk and coconuts."""
    tones = pen.tones
    spine = [(-0.3, -1), (-0.22, -0.6), (-0.1, -0.2), (0.08, 0.2), (0.2, 0.42)]
    for k, (x, y) in enumerate(spine[:-1]):
        (x1, y1), half = spine[k + 1], 0.16 - 0.02 * k
        edge = [(x - half, y), (x1 - half * 0.8, y1), (x1 + half * 0.8, y1), (x + half, y)]
        pen.polygon(edge, tones.accent)
        pen.line(
            [(x - half * 0.9, y + 0.03), (x + half * 0.9, y + 0.03)], 0.05, darken(tones.accent)
        )
        x, y = (x + x1) / 2, (y + y1) / 2
        pen.line([(x - half * 0.8, y), (x + half * 0.8, y)], 0.05, darken(tones.accent))
    fronds = (
        ((-0.2, 0.74), (-0.66, 0.5), (-0.86, 0)), ((0.56, 0.72), (0.88, 0.44), (0.98, -0.02)),
        ((0, 0.5), (-0.3, 0.26), (-0.4, -0.14)), ((0.4, 0.46), (0.58, 0.22), (0.62, -0.14)),
        ((0.02, 0.82), (-0.3, 0.94), (-0.68, 0.74)), ((0.36, 0.86), (0.66, 0.96), (0.96, 0.74)),
    )  # fmt: skip
    for k, (near, far, tip) in enumerate(fronds):
        under = [(far[0] * 0.72 + 0.06, far[1] - 0.15), (near[0] * 0.8 + 0.05, near[1] - 0.16)]
        color = tones.dark if k in (2, 3) else tones.main
        pen.blob([(0.2, 0.44), near, far, tip, *under], color)
    for x, y in ((0.1, 0.36), (0.3, 0.34), (0.2, 0.28)):
        pen.ellipse(x, y, 0.09, 0.09, darken(tones.accent, 0.4))


@subject("flower", words=("blossom", "daisy", "daisies"),
         colors=("pink", "red", "purple", "white", "blue", "yellow"), accent="yellow", scale=0.35,
         places=("meadow", "garden"))  # fmt: skip
def draw_flower(pen: Pen) -> None:
    """A flower of eight petals on a stem with two leaves."""
    tones = pen.tones
    pen.line([(0, 0.3), (0.03, -0.3), (0, -1)], 0.08, LEAF, curved=True)
    _leaf(pen, 0.02, -0.84, 0.62, 38, LEAF)
    _leaf(pen, 0, -0.76, 0.56, 146, LEAF)
    _petals(pen, 7, 0.28, (0.2, 0.14), tones.dark, y=0.42, turn=90 + 180 / 7)
    _petals(pen, 7, 0.35, (0.23, 0.16), tones.main, y=0.42, turn=90)
    pen.ellipse(0, 0.42, 0.2, 0.2, tones.accent)
    pen.ellipse(0.03, 0.38, 0.13, 0.13, darken(tones.accent, 0.12))


@subject("sunflower", words=("sun flower",), colors=("yellow", "orange", "golden", "red"),
         accent="brown", scale=0.4, places=("farm", "meadow", "garden"))  # fmt: skip
def draw_sunflower(pen: Pen) -> None:
    """A sunflower: many pointed petals around a large brown disk."""
    tones = pen.tones
    pen.line([(0, 0.2), (0, -1)], 0.11, LEAF)
    _leaf(pen, 0, -0.86, 0.72, 32, LEAF)
    _leaf(pen, 0, -0.74, 0.7, 150, LEAF)
    for turn, far, color in ((11.25, 0.62, tones.dark), (0, 0.6, tones.main)):
        for k in range(16):
            angle = math.radians(turn + 22.5 * k)
            tip = (far * math.cos(angle), 0.36 + far * math.sin(angle))
            sides = [
                (0.4 * math.cos(angle + d), 0.36 + 0.4 * math.sin(angle + d)) for d in (0.25, -0.25)
            ]
            pen.polygon([(0, 0.36), sides[0], tip, sides[1]], color)
    pen.ellipse(0, 0.36, 0.31, 0.31, tones.accent)
    pen.ellipse(0, 0.36, 0.22, 0.22, darken(tones.accent, 0.3))
    for k in range(10):
        angle = 2 * math.pi * k / 10
        pen.ellipse(0.26 * math.cos(angle), 0.36 + 0.26 * math.sin(angle), 0.025, 0.025, tones.main)


@subject("rose", words=("rosebud",), colors=("red", "pink", "white", "yellow"), accent="green",
         scale=0.35, places=("garden", "room"))  # fmt: skip
def draw_rose(pen: Pen) -> None:
    """A rose in bloom, thorns on its stem."""
    tones = pen.tones
    green = tones.accent
    pen.line([(0, 0.1), (0.02, -0.4), (-0.03, -1)], 0.08, green, curved=True)
    for side, y in ((1, -0.3), (-1, -0.46), (1, -0.78)):
        pen.polygon(
            [(side * 0.02, y + 0.06), (side * 0.14, y + 0.04), (side * 0.02, y - 0.05)], green
        )
    _leaf(pen, 0, -0.66, 0.6, 28, green)
    _leaf(pen, 0, -0.82, 0.6, 152, green)
    for side in (-1, 1):
        pen.polygon([(0, 0.1), (side * 0.5, -0.02), (side * 0.14, -0.16)], darken(green))
    bowl = [(0, -0.1), (0.36, 0.02), (0.54, 0.4), (0.46, 0.76), (0, 0.94), (-0.46, 0.76),
            (-0.54, 0.4), (-0.36, 0.02)]  # fmt: skip
    pen.blob(bowl, tones.dark)
    pen.ellipse(0, 0.66, 0.36, 0.27, tones.main)
    pen.ellipse(0, 0.66, 0.25, 0.18, tones.dark)
    pen.ellipse(0.02, 0.64, 0.17, 0.12, tones.main)
    pen.line([(-0.06, 0.66), (0.04, 0.7), (0.1, 0.64), (0.02, 0.6)], 0.04, tones.dark, curved=True)
    outer = [(-0.62, 0.66), (-0.4, 0.56), (0, 0.3), (0.12, -0.06), (-0.3, -0.06), (-0.58, 0.22)]
    pen.blob(outer, tones.main)
    pen.blob([(-x, y) for x, y in outer], tones.light)
    pen.blob([(0.66, 0.62), (0.44, 0.5), (0.08, 0.24), (-0.1, -0.08), (0.3, -0.06), (0.56, 0.2)],
             tones.main)  # fmt: skip


@subject("mushroom", words=("toadstool", "fungus", "fly agaric"),
         colors=("red", "brown", "orange", "purple", "blue"), accent="white", scale=0.35,
         places=("forest", "meadow"))  # fmt: skip
def draw_mushroom(pen: Pen) -> None:
    """A mushroom with a spotted cap."""
    tones = pen.tones
    stem = darken((250, 238, 210), 0.04)
    pen.ellipse(0, -0.06, 0.98, 0.18, darken(stem, 0.22))
    foot = [(0.24, -0.5), (0.36, -0.9), (0, -1)]
    pen.blob([(-0.22, 0), *[(-x, y) for x, y in foot[:2]], *reversed(foot), (0.22, 0)], stem)
    pen.blob([(0.06, 0), (0.08, -0.5), (0.1, -0.98), *reversed(foot[:2]), (0.22, 0)],
             darken(stem, 0.14))  # fmt: skip
    turns = [math.pi * k / 24 for k in range(25)]
    cap = [(0.98 * math.cos(t), -0.08 + 0.94 * math.sin(t) ** 0.8) for t in turns]
    pen.polygon(cap, tones.dark)
    pen.polygon([(x * 0.94 - 0.059, y * 0.96 - 0.003) for x, y in cap], tones.main)
    dots = [(-0.04, 0.6, 0.17), (-0.5, 0.34, 0.15), (0.42, 0.42, 0.14), (-0.16, 0.14, 0.13)]
    for x, y, rx in (*dots, (0.3, 0.06, 0.1), (-0.78, 0.06, 0.09), (0.74, 0.08, 0.1)):
        pen.ellipse(x, y, rx, rx * 0.85, tones.accent)


@subject("cactus", "cacti", words=("saguaro", "cactuses"), colors=("green", "teal", "yellow"),
         accent="pink", scale=0.45, places=("desert",))  # fmt: skip
def draw_cactus(pen: Pen) -> None:
    """A cactus with two arms and a flower."""
    tones = pen.tones
    for arm in ([(0, -0.34), (-0.56, -0.3), (-0.6, 0.24)], [(0, -0.12), (0.56, -0.1), (0.58, 0.5)]):
        corner = (arm[1][0] * 1.04, arm[1][1] + 0.1)
        bend = [arm[0], (arm[1][0] * 0.8, arm[1][1] - 0.02), corner, arm[2]]
        pen.line(bend, 0.28, tones.main, curved=True)
        pen.line([corner, arm[2]], 0.05, tones.light)
    pen.rect(-0.25, -1, 0.25, 0.62, tones.main)
    pen.ellipse(0, 0.62, 0.25, 0.25, tones.main)
    pen.rect(0.1, -1, 0.25, 0.62, tones.dark)
    for x in (-0.13, 0.02):
        pen.line([(x, -0.94), (x, 0.64)], 0.05, tones.light)
    for x, y in ((-0.1, 0.88), (0.1, 0.88), (0, 0.94), (-0.05, 0.8), (0.06, 0.8)):
        pen.ellipse(x, y, 0.08, 0.08, tones.accent)
    pen.ellipse(0, 0.87, 0.05, 0.05, NAMED["yellow"])


@subject("mountain", words=("peak", "alp", "summit"),
         colors=("gray", "blue", "purple", "brown", "green"), accent="white", scale=0.8,
         places=("mountains", "snow"))  # fmt: skip
def draw_mountain(pen: Pen) -> None:
    """A mountain of three peaks with snow on them, one side in shade."""
    tones = pen.tones
    for x, y, left, right in ((-0.5, 0.1, -1, 0.1), (0.56, -0.06, 0, 1), (0.02, 0.8, -0.66, 0.74)):

        def down(side: Number, share: Number, x: Number = x, y: Number = y) -> Point:
            return x + (side - x) * share, y + (-1 - y) * share

        edge = (down(left, 0.32), down(right, 0.32))
        middle = (x + 0.06, y + (-1 - y) * 0.5)
        pen.polygon([(left, -1), (x, y), (right, -1)], tones.main)
        pen.polygon([(x, y), middle, (x - 0.02, -1), (right, -1)], tones.dark)
        (x0, y0), (x1, y1) = edge
        zigzag = [(x0 * 0.6 + x * 0.4, y0 + 0.12 * (y + 1) / 2), (x - 0.02, y0 - 0.12 * (y + 1))]
        zigzag += [(x1 * 0.6 + x * 0.4, y1 + 0.12 * (y + 1) / 2), edge[1]]
        pen.polygon([(x, y), edge[0], *zigzag], tones.accent)
        pen.polygon([(x, y), zigzag[1], zigzag[2], edge[1]], darken(tones.accent, 0.14))


@subject("volcano", "volcanoes", words=("volcanos",), colors=("brown", "gray", "black", "purple"),
         accent="orange", scale=0.7, places=("mountains", "desert", "sea"))  # fmt: skip
def draw_volcano(pen: Pen) -> None:
    """A volcano that erupts: smoke, glowing rocks, lava down its side."""
    tones = pen.tones
    smoke = (214, 210, 212)
    for x, y, radius in ((0.1, 0.5, 0.18), (-0.2, 0.64, 0.22), (0.28, 0.72, 0.24), (0, 0.8, 0.2)):
        pen.ellipse(x, y, radius, radius, smoke)
    pen.blob([(-0.14, 0.1), (-0.16, 0.36), (-0.34, 0.58), (-0.08, 0.46), (0, 0.74), (0.1, 0.46),
              (0.34, 0.6), (0.18, 0.34), (0.14, 0.1)], tones.accent)  # fmt: skip
    pen.polygon([(-1, -1), (-0.62, -0.62), (-0.3, 0.16), (0.3, 0.16), (0.62, -0.62), (1, -1)],
                tones.main)  # fmt: skip
    pen.polygon([(0.2, -1), (0.16, -0.4), (0.06, 0.16), (0.3, 0.16), (0.62, -0.62), (1, -1)],
                tones.dark)  # fmt: skip
    lava = [(-0.3, 0.18), (0.3, 0.18), (0.36, -0.04), (0.26, -0.2), (0.2, -0.02), (0.12, -0.56),
            (0.02, -0.1), (-0.06, -0.36), (-0.14, -0.78), (-0.24, -0.3), (-0.28, -0.06),
            (-0.36, -0.16)]  # fmt: skip
    pen.polygon(lava, tones.accent)
    pen.ellipse(0, 0.17, 0.3, 0.07, lighten(tones.accent, 0.45))
    for x, y in ((-0.62, 0.4), (0.62, 0.34), (-0.5, 0.16), (0.5, 0.08)):
        pen.ellipse(x, y, 0.06, 0.06, tones.accent)


@subject("waterfall", words=("cascade",), colors=("blue", "teal", "white"), accent="gray",
         scale=0.65, places=("mountains", "forest"))  # fmt: skip
def draw_waterfall(pen: Pen) -> None:
    """Water that falls between two rocks with grass on them into a pool."""
    tones = pen.tones
    rock = tones.accent
    pen.rect(-0.56, -0.9, 0.56, 0.56, tones.main)
    for x, color in (
        (-0.3, tones.light),
        (-0.08, tones.dark),
        (0.12, tones.light),
        (0.32, tones.light),
    ):
        pen.line([(x, 0.46 - abs(x) * 0.5), (x, -0.56)], 0.08, color)
    pen.blob([(-0.5, 0.48), (-0.2, 0.64), (0.2, 0.64), (0.5, 0.48), (0, 0.46)], tones.light)
    left = [
        (-1, -0.8),
        (-1, 0.5),
        (-0.48, 0.56),
        (-0.36, 0.3),
        (-0.5, 0),
        (-0.42, -0.4),
        (-0.6, -0.8),
    ]
    right = [
        (1, -0.8),
        (1, 0.66),
        (0.44, 0.64),
        (0.4, 0.3),
        (0.52, -0.1),
        (0.4, -0.5),
        (0.56, -0.8),
    ]
    for side, cliff in ((-1, left), (1, right)):
        pen.polygon(cliff, rock)
        pen.polygon([cliff[2], cliff[3], cliff[4], (side * 0.66, 0.1)], darken(rock))
        pen.polygon([cliff[4], cliff[5], cliff[6], (side * 0.72, -0.4)], darken(rock))
        (x0, y0), (x1, y1) = cliff[1], cliff[2]
        for k in range(5):
            x, y = x0 + (x1 - x0) * k / 4 * 0.9, y0 + (y1 - y0) * k / 4
            pen.ellipse(x * 0.94, y, 0.13, 0.1, LEAF)
        for k, color in enumerate((LEAF, darken(LEAF))):
            x, y = side * (0.62 + 0.2 * k), y1 - 0.02
            pen.polygon([(x - 0.15, y), (x, y + 0.3 + 0.1 * k), (x + 0.15, y)], color)
    pen.ellipse(0, -0.82, 1, 0.18, tones.main)
    pen.ellipse(0, -0.84, 0.8, 0.08, tones.light)
    for x, y, radius in (
        (-0.42, -0.66, 0.14),
        (-0.16, -0.62, 0.17),
        (0.14, -0.64, 0.17),
        (0.42, -0.66, 0.14),
    ):
        pen.ellipse(x, y, radius, radius * 0.8, (246, 250, 252))


@subject("island", words=("isle", "atoll", "desert island"), colors=("golden", "green", "yellow"),
         accent="green", stance="water", scale=0.6, places=("sea",))  # fmt: skip
def draw_island(pen: Pen) -> None:
    """A small island of sand with one palm."""
    tones = pen.tones
    pen.line(
        [(-0.1, -0.5), (-0.06, -0.1), (0.06, 0.24), (0.16, 0.44)], 0.13, NAMED["brown"], curved=True
    )
    green = tones.accent
    for k, angle in enumerate((-28, 12, 58, 122, 168, 208)):
        _frond(pen, 0.16, 0.46, 0.62, angle, darken(green) if k in (0, 5) else green)
    for x in (0.08, 0.24):
        pen.ellipse(x, 0.4, 0.07, 0.07, darken(NAMED["brown"], 0.4))
    pen.blob([(-1, -0.92), (-0.7, -0.68), (-0.3, -0.46), (0.1, -0.4), (0.5, -0.56), (1, -0.92),
              (0, -0.98)], tones.main)  # fmt: skip
    pen.blob([(-0.5, -0.58), (-0.2, -0.42), (0.1, -0.36), (0.4, -0.5), (0, -0.56)], green)
    pen.blob([(-1, -0.92), (-0.5, -0.82), (0.2, -0.84), (1, -0.92), (0, -0.98)], tones.light)


def _frond(pen: Pen, x: Number, y: Number, length: Number, angle: Number, color: Color) -> None:
    """Draw a palm leaf that leaves a point at an angle and bends down."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    tip = (x + length * cos * 1.1, y + length * sin - 0.28)
    over = (x + length * cos * 0.6, y + length * sin * 0.8 + 0.14)
    under = (x + length * cos * 0.55, y + length * sin * 0.7 - 0.06)
    pen.blob([(x, y), over, tip, under], color)
