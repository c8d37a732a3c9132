"""People, figures shaped like them, and beasts of tales."""

import math

from pe.studio.canvas import Number, Pen
from pe.studio.color import Color, darken, mix
from pe.studio.subject import subject

PALE: Color = (250, 248, 242)
GOLD: Color = (228, 184, 70)
WOOD: Color = (132, 88, 54)
STEEL: Color = (206, 212, 220)
SKINS: tuple[Color, ...] = ((246, 208, 172), (228, 176, 134), (176, 120, 82), (122, 82, 60))
HAIRS: tuple[Color, ...] = ((58, 40, 34), (112, 70, 40), (196, 130, 56), (36, 34, 42))


def _box(pen: Pen, left: Number, low: Number, right: Number, high: Number, color: Color) -> None:
    """Fill a box with round corners."""
    bend = 0.28 * min(right - left, high - low)
    ring = []
    for k, (x, y) in enumerate(((right, high), (left, high), (left, low), (right, low))):
        x, y = x - math.copysign(bend, x - left - 0.001), y - math.copysign(bend, y - low - 0.001)
        for step in range(7):
            turn = math.pi / 2 * (k + step / 6)
            ring.append((x + bend * math.cos(turn), y + bend * math.sin(turn)))
    pen.polygon(ring, color)


def _face(pen: Pen, x: Number, y: Number, size: Number) -> None:
    """Draw eyes, cheeks and a smile on a head of a radius."""
    for side in (-1, 1):
        pen.eye(x + side * 0.36 * size, y, 0.16 * size)
        blush = (x + side * 0.6 * size, y - 0.3 * size)
        pen.ellipse(*blush, 0.15 * size, 0.1 * size, (238, 138, 128))
    smile = [(x - 0.22 * size, y - 0.36 * size), (x, y - 0.5 * size)]
    pen.line([*smile, (x + 0.22 * size, y - 0.36 * size)], 0.08 * size, (96, 44, 44), curved=True)


@subject("robot", words=("android", "droid", "cyborg", "automaton"),
         colors=("silver", "blue", "teal", "red", "yellow"), accent="teal",
         places=("city", "room", "space"))  # fmt: skip
def draw_robot(pen: Pen) -> None:
    """A robot that waves, seen from the front."""
    tones = pen.tones
    pen.line([(0, 0.76), (0, 0.9)], 0.06, tones.dark)
    pen.ellipse(0, 0.92, 0.08, 0.08, (226, 72, 62))
    for side, elbow, hand in ((-1, (-0.76, -0.06), (-0.76, -0.36)), (1, (0.78, 0), (0.8, 0.32))):
        pen.line([(side * 0.48, 0.06), elbow, hand], 0.15, tones.dark)
        way = math.copysign(1, hand[1])
        for dx in (-0.13, 0.13):
            claw = [hand, (hand[0] + dx, hand[1] + way * 0.08)]
            pen.line([*claw, (hand[0] + dx * 0.8, hand[1] + way * 0.22)], 0.09, tones.ink)
        pen.line([(side * 0.24, -0.5), (side * 0.24, -0.86)], 0.18, tones.dark)
        _box(pen, side * 0.26 - 0.22, -1, side * 0.26 + 0.22, -0.8, tones.main)
        _box(pen, side * 0.5 - 0.1, 0.42, side * 0.5 + 0.1, 0.66, tones.dark)
    pen.rect(-0.14, 0.1, 0.14, 0.32, tones.dark)
    _box(pen, -0.52, -0.6, 0.52, 0.2, tones.main)
    _box(pen, -0.36, -0.2, 0.36, 0.08, tones.light)
    for x, color in ((-0.22, (226, 72, 62)), (0, (240, 200, 60)), (0.22, (84, 176, 96))):
        pen.ellipse(x, -0.06, 0.075, 0.075, color)
    for x in (-0.2, -0.1, 0, 0.1, 0.2):
        pen.line([(x, -0.34), (x, -0.46)], 0.04, tones.dark)
    _box(pen, -0.5, 0.26, 0.5, 0.8, tones.main)
    _box(pen, -0.4, 0.34, 0.4, 0.72, tones.ink)
    for side in (-1, 1):
        pen.ellipse(side * 0.18, 0.57, 0.1, 0.11, mix(tones.accent, PALE, 0.5))
    pen.line([(-0.14, 0.43), (0, 0.39), (0.14, 0.43)], 0.04, mix(tones.accent, PALE, 0.5))


@subject("astronaut", words=("cosmonaut", "spaceman", "spacewoman"),
         colors=("white", "orange", "silver", "blue"), accent="orange",
         places=("space", "desert"))  # fmt: skip
def draw_astronaut(pen: Pen) -> None:
    """An astronaut who waves, in suit and helmet."""
    tones = pen.tones
    _box(pen, -0.5, -0.5, 0.5, 0.16, darken(tones.main, 0.5))
    for side, hand in ((-1, (-0.72, -0.4)), (1, (0.82, 0.24))):
        elbow = (side * 0.64, -0.12)
        pen.line([(side * 0.34, -0.02), elbow, hand], 0.24, tones.dark)
        pen.line([(side * 0.34, 0), elbow, hand], 0.21, tones.main)
        pen.ellipse(*hand, 0.15, 0.15, tones.accent)
        _box(pen, side * 0.21 - 0.18, -0.94, side * 0.21 + 0.18, -0.3, tones.main)
        _box(pen, side * 0.24 - 0.22, -1, side * 0.24 + 0.22, -0.8, tones.ink)
        pen.line([(side * 0.21 - 0.14, -0.7), (side * 0.21 + 0.14, -0.7)], 0.06, tones.accent)
    pen.line([(0, -0.55), (0, -0.78)], 0.03, tones.dark)
    _box(pen, -0.4, -0.56, 0.4, 0.16, tones.main)
    _box(pen, -0.24, -0.34, 0.24, -0.06, tones.dark)
    for x, color in ((-0.13, (226, 72, 62)), (0, (240, 200, 60)), (0.13, (84, 176, 96))):
        pen.ellipse(x, -0.16, 0.05, 0.05, color)
    pen.line([(-0.14, -0.27), (0.14, -0.27)], 0.05, tones.light)
    pen.line([(-0.32, -0.5), (0.32, -0.5)], 0.07, tones.accent)
    pen.ellipse(0, 0.46, 0.56, 0.53, tones.dark)
    pen.ellipse(0, 0.48, 0.54, 0.51, tones.main)
    for side in (-1, 1):
        _box(pen, side * 0.54 - 0.07, 0.32, side * 0.54 + 0.07, 0.6, tones.accent)
    pen.ellipse(0, 0.45, 0.42, 0.36, tones.accent)
    pen.ellipse(0, 0.45, 0.37, 0.31, (44, 58, 108))
    pen.ellipse(-0.13, 0.56, 0.13, 0.08, (130, 160, 216), angle=30)
    pen.ellipse(0.18, 0.32, 0.05, 0.035, (130, 160, 216), angle=30)


@subject("snowman", "snowmen", words=("snow man",), colors=("white",), accent="red",
         places=("snow", "forest", "garden"))  # fmt: skip
def draw_snowman(pen: Pen) -> None:
    """A snowman with hat, scarf and a carrot for a nose."""
    tones = pen.tones
    coal = (44, 42, 52)
    for side in (-1, 1):
        pen.line([(side * 0.36, -0.04), (side * 0.92, 0.26)], 0.06, WOOD)
        pen.line([(side * 0.76, 0.18), (side * 0.8, 0.4)], 0.05, WOOD)
        pen.line([(side * 0.76, 0.18), (side * 0.98, 0.14)], 0.05, WOOD)
    for y, size in ((-0.56, 0.54), (-0.02, 0.42)):
        pen.ellipse(0, y, size, size * 0.82, tones.dark)
        pen.ellipse(-0.03, y + 0.03, size * 0.96, size * 0.78, tones.main)
    pen.ellipse(0, 0.42, 0.34, 0.31, tones.main)
    pen.blob([(0.12, 0.18), (0.34, 0.2), (0.36, -0.28), (0.18, -0.3)], darken(tones.accent, 0.2))
    pen.line([(-0.3, 0.2), (0, 0.11), (0.3, 0.2)], 0.16, tones.accent, curved=True)
    for y in (-0.1, -0.42, -0.64):
        pen.ellipse(0, y, 0.055, 0.055, coal)
    _box(pen, -0.27, 0.6, 0.27, 1, coal)
    pen.rect(-0.27, 0.66, 0.27, 0.76, tones.accent)
    pen.line([(-0.42, 0.62), (0.42, 0.62)], 0.09, coal)
    for side in (-1, 1):
        pen.eye(side * 0.13, 0.48, 0.055)
    for x, y in ((-0.18, 0.33), (-0.09, 0.28), (0.01, 0.265), (0.11, 0.28)):
        pen.ellipse(x, y, 0.025, 0.025, coal)
    pen.polygon([(-0.02, 0.45), (0.36, 0.36), (-0.02, 0.35)], (236, 132, 44))


@subject("ghost", words=("phantom", "spirit", "specter", "spook"),
         colors=("white", "silver", "teal", "purple"), accent="pink", stance="air", scale=0.4,
         places=("forest", "room", "city"))  # fmt: skip
def draw_ghost(pen: Pen) -> None:
    """A ghost that floats, its hem in waves."""
    tones = pen.tones
    for side, lift in ((-1, 0), (1, 0.14)):
        arm = [(0.5, 0.16), (0.74, 0.24), (0.92, 0.16), (0.92, 0), (0.72, -0.1), (0.5, -0.24)]
        pen.blob([(side * x, y + lift * x) for x, y in arm], tones.main)
    hem = [(0.68, -0.96), (0.5, -0.86), (0.34, -0.72), (0.16, -0.84), (0, -0.98), (-0.16, -0.84)]
    hem += [(-0.34, -0.72), (-0.5, -0.86), (-0.68, -0.96)]
    sheet = [(0, 0.98), (0.38, 0.86), (0.58, 0.5), (0.62, 0), (0.66, -0.6)]
    pen.blob([*sheet, *hem, *((-x, y) for x, y in sheet[:0:-1])], tones.main)
    for side in (-1, 1):
        pen.line([(side * 0.34, -0.5), (side * 0.32, -0.22)], 0.04, tones.dark)
    hole = PALE if sum(tones.main) < 200 else tones.ink
    for side in (-1, 1):
        pen.ellipse(side * 0.22, 0.42, 0.115, 0.17, hole)
        pen.ellipse(side * 0.22 + 0.035, 0.49, 0.04, 0.05, PALE)
        pen.ellipse(side * 0.4, 0.2, 0.1, 0.065, tones.accent)
    pen.ellipse(0, 0.12, 0.11, 0.14, hole)


@subject("knight", words=("paladin", "warrior"), colors=("silver", "golden", "black", "blue"),
         accent="red", places=("meadow", "mountains", "forest"))  # fmt: skip
def draw_knight(pen: Pen) -> None:
    """A knight in armor with plume, sword and shield."""
    tones = pen.tones
    pen.polygon([(0.66, -0.1), (0.66, 0.76), (0.73, 0.94), (0.8, 0.76), (0.8, -0.1)], STEEL)
    pen.line([(0.73, 0.74), (0.73, -0.06)], 0.02, darken(STEEL, 0.3))
    pen.line([(0.54, -0.1), (0.92, -0.1)], 0.08, GOLD)
    pen.line([(0.73, -0.12), (0.73, -0.36)], 0.07, WOOD)
    for side in (-1, 1):
        _box(pen, side * 0.2 - 0.17, -0.94, side * 0.2 + 0.17, -0.36, tones.dark)
        _box(pen, side * 0.24 - 0.21, -1, side * 0.24 + 0.21, -0.82, tones.main)
        pen.ellipse(side * 0.2, -0.66, 0.14, 0.1, tones.main)
        pen.line([(side * 0.4, -0.02), (side * 0.66, -0.22)], 0.2, tones.dark)
    pen.ellipse(0.72, -0.22, 0.13, 0.13, tones.main)
    _box(pen, -0.4, -0.5, 0.4, 0.18, tones.main)
    pen.polygon([(-0.38, -0.34), (0.38, -0.34), (0.44, -0.6), (0, -0.54), (-0.44, -0.6)],
                tones.accent)  # fmt: skip
    pen.line([(-0.38, -0.34), (0.38, -0.34)], 0.08, GOLD)
    pen.line([(0, 0.1), (0, -0.26)], 0.03, tones.dark)
    for side in (-1, 1):
        pen.ellipse(side * 0.43, 0.06, 0.18, 0.16, tones.dark)
        pen.ellipse(side * 0.43, 0.09, 0.17, 0.14, tones.light)
    plume = [(0.06, 0.8), (-0.1, 0.98), (-0.4, 0.98), (-0.62, 0.76), (-0.64, 0.42), (-0.44, 0.6)]
    pen.blob([*plume, (-0.2, 0.74)], tones.accent)
    _box(pen, -0.38, 0.1, 0.38, 0.84, tones.main)
    pen.polygon([(-0.38, 0.36), (0.38, 0.36), (0.3, 0.14), (0, 0.06), (-0.3, 0.14)], tones.dark)
    pen.rect(-0.32, 0.42, 0.32, 0.58, tones.ink)
    for side in (-1, 1):
        pen.ellipse(side * 0.15, 0.5, 0.05, 0.055, PALE)
        for x in (0.08, 0.2):
            pen.line([(side * x, 0.3), (side * x, 0.2)], 0.04, tones.ink)
    pen.line([(0, 0.84), (0, 0.36)], 0.06, GOLD)
    shield = [(-0.96, 0.08), (-0.3, 0.08), (-0.3, -0.3), (-0.44, -0.58), (-0.63, -0.74)]
    shield += [(-0.82, -0.58), (-0.96, -0.3)]
    pen.polygon(shield, GOLD)
    pen.polygon([(-0.63 + (x + 0.63) * 0.8, -0.3 + (y + 0.3) * 0.82) for x, y in shield],
                tones.accent)  # fmt: skip
    pen.rect(-0.68, -0.58, -0.58, 0, PALE)
    pen.rect(-0.86, -0.26, -0.4, -0.16, PALE)


@subject("witch", "witches", words=("sorceress", "enchantress", "wizard"),
         colors=("purple", "black", "green"), accent="orange",
         places=("forest", "room", "mountains"))  # fmt: skip
def draw_witch(pen: Pen) -> None:
    """A witch with pointed hat and broom."""
    tones = pen.tones
    skin = SKINS[0]
    pen.line([(0.74, -0.5), (0.74, 0.62)], 0.07, WOOD)
    pen.blob([(0.68, -0.44), (0.8, -0.44), (0.92, -0.7), (0.96, -0.98), (0.74, -0.92),
              (0.52, -0.98), (0.56, -0.7)], GOLD)  # fmt: skip
    pen.line([(0.66, -0.48), (0.82, -0.48)], 0.07, tones.accent)
    for side in (-1, 1):
        pen.line([(side * 0.16, -0.8), (side * 0.16, -0.92)], 0.1, (240, 238, 230))
        shoe = [(0.06, -0.88), (0.2, -0.86), (0.38, -0.96), (0.08, -1)]
        pen.blob([(side * x, y) for x, y in shoe], tones.ink)
        hair = [(0.1, 0.5), (0.42, 0.42), (0.5, 0.1), (0.56, -0.2), (0.3, -0.2)]
        pen.blob([(side * x, y) for x, y in hair], tones.accent)
    pen.polygon([(-0.2, 0.04), (0.2, 0.04), (0.56, -0.86), (-0.56, -0.86)], tones.main)
    pen.line([(-0.54, -0.84), (0.54, -0.84)], 0.06, tones.dark)
    for side, hand in ((-1, (-0.62, -0.42)), (1, (0.72, -0.12))):
        pen.line([(side * 0.22, -0.06), hand], 0.22, tones.dark)
        pen.ellipse(hand[0] + side * 0.03, hand[1], 0.1, 0.1, skin)
    pen.line([(-0.28, -0.3), (0.28, -0.3)], 0.09, tones.ink)
    pen.rect(-0.08, -0.37, 0.08, -0.23, GOLD)
    pen.ellipse(0, 0.2, 0.36, 0.33, skin)
    for side in (-1, 1):
        lock = [(0, 0.46), (0.2, 0.44), (0.38, 0.28), (0.32, 0.08), (0.24, 0.28)]
        pen.blob([(side * x, y) for x, y in lock], tones.accent)
    _face(pen, 0, 0.18, 0.34)
    cone = [(-0.36, 0.44), (-0.2, 0.74), (-0.06, 0.94), (0.26, 1), (0.36, 0.84), (0.22, 0.84)]
    pen.polygon([*cone, (0.26, 0.68), (0.36, 0.44)], tones.main)
    pen.polygon([(-0.34, 0.4), (-0.29, 0.56), (0.31, 0.56), (0.35, 0.4)], tones.accent)
    pen.rect(-0.08, 0.4, 0.1, 0.58, GOLD)
    pen.rect(-0.03, 0.44, 0.05, 0.54, tones.accent)
    pen.ellipse(0, 0.4, 0.7, 0.1, tones.dark)
    pen.ellipse(0, 0.42, 0.68, 0.08, tones.main)


@subject("person", "people",
         words=("man", "woman", "child", "boy", "girl", "kid", "human", "lady", "guy", "men",
                "women", "children", "farmer", "traveler", "hiker"),
         colors=("red", "blue", "green", "yellow", "purple", "orange"), accent="blue",
         places=("city", "meadow", "beach", "garden", "room"))  # fmt: skip
def draw_person(pen: Pen) -> None:
    """A person who waves; skin and hair vary."""
    tones = pen.tones
    skin = SKINS[int(pen.rng.integers(len(SKINS)))]
    hair = HAIRS[int(pen.rng.integers(len(HAIRS)))]
    is_long = bool(pen.rng.integers(2))
    trousers = darken(tones.accent, 0.45)
    if is_long:
        locks = [(0, 0.98), (0.4, 0.84), (0.5, 0.4), (0.56, 0), (0.3, -0.08)]
        pen.blob([*locks, *((-x, y) for x, y in locks[:0:-1])], hair)
    for side, elbow, hand in ((-1, (-0.54, -0.2), (-0.56, -0.46)), (1, (0.68, -0.06), (0.8, 0.3))):
        pen.ellipse(*hand, 0.12, 0.12, skin)
        sleeve = (0.2 * elbow[0] + 0.8 * hand[0], 0.2 * elbow[1] + 0.8 * hand[1])
        pen.line([(side * 0.28, 0), elbow, sleeve], 0.19, tones.dark)
        pen.polygon([(0, -0.4), (side * 0.36, -0.4), (side * 0.34, -0.9), (side * 0.05, -0.9)],
                    trousers)  # fmt: skip
        _box(pen, side * 0.23 - 0.2, -1, side * 0.23 + 0.2, -0.85, tones.ink)
    shirt = [(-0.26, 0.1), (0.26, 0.1), (0.38, -0.1), (0.38, -0.46), (-0.38, -0.46)]
    pen.blob([*shirt, (-0.38, -0.1)], tones.main)
    pen.line([(-0.34, -0.43), (0.34, -0.43)], 0.07, tones.dark)
    pen.ellipse(0, 0.08, 0.15, 0.12, darken(skin, 0.15))
    for side in (-1, 1):
        pen.ellipse(side * 0.42, 0.46, 0.08, 0.1, skin)
    pen.ellipse(0, 0.5, 0.42, 0.42, skin)
    crown = [(-0.44, 0.5), (-0.44, 0.8), (-0.2, 0.98), (0.14, 1), (0.42, 0.82), (0.45, 0.5)]
    pen.blob([*crown, (0.34, 0.64), (0.1, 0.76), (-0.2, 0.74), (-0.36, 0.66)], hair)
    _face(pen, 0, 0.46, 0.42)


@subject("dinosaur", words=("dino", "t rex", "trex", "tyrannosaurus"),
         colors=("green", "orange", "purple", "brown"), accent="red", scale=0.6,
         places=("forest", "desert", "mountains"))  # fmt: skip
def draw_dinosaur(pen: Pen) -> None:
    """A tyrannosaur that roars."""
    tones = pen.tones
    for x, y, turn in ((-0.66, -0.26, 0.2), (-0.42, -0.12, 0.4), (-0.22, 0.12, 0.8),
                       (-0.08, 0.38, 1.2), (-0.02, 0.66, 1.4)):  # fmt: skip
        cos, sin = math.cos(turn) * 0.15, math.sin(turn) * 0.15
        x, y = x + sin * 0.5, y - cos * 0.5
        pen.polygon([(x - cos, y - sin), (x - sin * 1.3, y + cos * 1.3), (x + cos, y + sin)],
                    tones.accent)  # fmt: skip
    pen.blob(
        [(-0.1, -0.5), (-0.4, -0.5), (-0.44, -0.8), (-0.36, -0.97), (-0.12, -0.97)], tones.dark
    )
    pen.line([(0.4, 0.06), (0.64, 0.02), (0.7, -0.1)], 0.09, tones.dark)
    body = [(-0.99, 0), (-0.76, -0.28), (-0.44, -0.2), (-0.18, 0.1), (-0.04, 0.44), (0.02, 0.76)]
    body += [(0.36, 0.6), (0.46, 0.2), (0.44, -0.2), (0.3, -0.54), (-0.1, -0.7), (-0.56, -0.64)]
    pen.blob([*body, (-0.88, -0.4)], tones.main)
    pen.blob([(0.44, 0.24), (0.44, -0.2), (0.3, -0.54), (0.1, -0.62), (0.22, -0.3), (0.3, 0.1)],
             tones.light)  # fmt: skip
    pen.blob([(0.1, 0.5), (0.5, 0.34), (0.84, 0.26), (0.86, 0.38), (0.5, 0.56)], tones.dark)
    pen.polygon([(0.3, 0.56), (0.86, 0.62), (0.8, 0.38), (0.44, 0.42)], (150, 44, 56))
    for x, y in ((0.52, 0.58), (0.66, 0.58), (0.8, 0.6)):
        pen.polygon([(x - 0.06, y), (x + 0.06, y), (x, y - 0.12)], PALE)
    head = [(-0.02, 0.7), (0.12, 0.94), (0.4, 1), (0.6, 0.9), (0.92, 0.86), (0.99, 0.66)]
    pen.blob([*head, (0.86, 0.57), (0.5, 0.57), (0.2, 0.46)], tones.main)
    pen.ellipse(0.88, 0.76, 0.035, 0.025, tones.ink)
    pen.ellipse(0.44, 0.8, 0.11, 0.11, PALE)
    pen.eye(0.46, 0.8, 0.075)
    pen.line([(0.28, -0.04), (0.5, -0.08), (0.54, -0.22)], 0.1, tones.dark)
    pen.ellipse(-0.04, -0.48, 0.3, 0.32, tones.dark)
    pen.ellipse(-0.02, -0.46, 0.28, 0.31, tones.main)
    pen.blob([(0.1, -0.6), (0.1, -0.84), (0.3, -0.9), (0.3, -0.98), (-0.1, -0.98), (-0.14, -0.6)],
             tones.main)  # fmt: skip
    for x in (0.12, 0.22, 0.31):
        pen.ellipse(x, -0.96, 0.045, 0.04, PALE)


@subject("dragon", words=("wyvern", "drake"), colors=("red", "green", "purple", "teal", "black"),
         accent="golden", scale=0.6, places=("mountains", "forest", "desert"))  # fmt: skip
def draw_dragon(pen: Pen) -> None:
    """A dragon that sits, its wings raised."""
    tones = pen.tones
    pen.line([(-0.2, -0.86), (-0.66, -0.88), (-0.9, -0.66), (-0.8, -0.42)], 0.15, tones.dark,
             curved=True)  # fmt: skip
    pen.polygon([(-0.98, -0.46), (-0.66, -0.36), (-0.74, -0.12)], tones.accent)
    root, wrist = (0.04, -0.14), (-0.3, 0.9)
    tips = [(-0.98, 0.62), (-0.94, 0.1), (-0.66, -0.24)]
    edge = [tips[0], (-0.8, 0.36), tips[1], (-0.7, -0.02), tips[2], (-0.4, -0.14), (-0.2, -0.4)]
    pen.polygon([root, wrist, *edge], tones.accent)
    for tip in (*tips, root):
        pen.line([wrist, tip], 0.07, tones.dark)
    for x, y in ((0.02, 0.3), (0.1, 0.5), (0.17, 0.7), (-0.06, 0.1)):
        pen.polygon([(x - 0.16, y + 0.1), (x + 0.1, y + 0.12), (x + 0.06, y - 0.14)], tones.accent)
    pen.line([(0.36, -0.3), (0.44, -0.9)], 0.17, tones.dark)
    body = [(0.2, 0.72), (0.1, 0.36), (-0.1, -0.04), (-0.34, -0.44), (-0.42, -0.82), (-0.2, -0.98)]
    pen.blob(
        [*body, (0.3, -0.96), (0.46, -0.5), (0.42, -0.1), (0.46, 0.2), (0.56, 0.5)], tones.main
    )
    plate = [(0.54, 0.42), (0.45, 0.16), (0.42, -0.1), (0.46, -0.5), (0.36, -0.8), (0.2, -0.5)]
    pen.blob([*plate, (0.18, -0.1), (0.3, 0.2)], tones.accent)
    for x, y in ((0.32, 0.14), (0.22, -0.06), (0.2, -0.26), (0.21, -0.46)):
        pen.line([(x, y), (0.44, y - 0.02)], 0.025, mix(tones.accent, tones.ink, 0.4))
    pen.line([(0.2, -0.3), (0.22, -0.88)], 0.18, tones.main)
    pen.ellipse(-0.16, -0.64, 0.32, 0.34, tones.dark)
    pen.ellipse(-0.14, -0.62, 0.3, 0.33, tones.main)
    pen.ellipse(0.52, -0.92, 0.17, 0.08, tones.dark)
    for x in (0.28, -0.1):
        pen.ellipse(x, -0.92, 0.19, 0.08, tones.main)
        for dx in (0.02, 0.1, 0.18):
            pen.ellipse(x + dx, -0.95, 0.04, 0.045, PALE)
    for x in (0.28, 0.42):
        horn = [(x - 0.06, 0.72), (x - 0.1, 0.88), (x - 0.28, 1), (x + 0.02, 0.96), (x + 0.1, 0.76)]
        pen.blob(horn, PALE)
    head = [(0.16, 0.7), (0.3, 0.86), (0.52, 0.86), (0.7, 0.7), (0.92, 0.7), (0.99, 0.54)]
    pen.blob([*head, (0.86, 0.42), (0.5, 0.38), (0.2, 0.46)], tones.main)
    pen.line([(0.94, 0.5), (0.76, 0.49), (0.6, 0.54)], 0.03, tones.ink, curved=True)
    pen.ellipse(0.9, 0.62, 0.03, 0.025, tones.ink)
    pen.eye(0.52, 0.7, 0.08)
