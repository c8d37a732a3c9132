"""What is in the sky."""

import math

from pe.studio.canvas import Number, Pen, Point
from pe.studio.color import NAMED, darken, lighten
from pe.studio.subject import subject


def _star(x: Number, y: Number, far: Number, near: Number, points: int = 5) -> list[Point]:
    """Return the outline of a star with a point straight up."""
    found = []
    for k in range(2 * points):
        radius = near if k % 2 else far
        turn = math.pi * (0.5 + k / points)
        found.append((x + radius * math.cos(turn), y + radius * math.sin(turn)))
    return found


@subject("moon", words=("crescent", "crescent moon", "half moon", "new moon"),
         colors=("yellow", "white", "silver", "orange"), accent="white", stance="sky", scale=0.3,
         places=("meadow", "sea", "city", "snow"))  # fmt: skip
def draw_moon(pen: Pen) -> None:
    """A crescent moon with craters."""
    tones = pen.tones
    start, count = math.radians(48), 40
    outer = [start + (2 * math.pi - 2 * start) * k / count for k in range(count + 1)]
    rim = [(-0.02 + math.cos(t) * 0.98, math.sin(t) * 0.98) for t in outer]
    tip = rim[0]
    x, radius = 0.4, math.hypot(tip[0] - 0.4, tip[1])
    begin = math.atan2(tip[1], tip[0] - x)
    inner = [begin + (2 * math.pi - 2 * begin) * k / count for k in range(count + 1)]
    bay = [(x + math.cos(t) * radius, math.sin(t) * radius) for t in reversed(inner)]
    pen.polygon(rim + bay, tones.main)
    for x, y, size in (
        (-0.7, 0.1, 0.13),
        (-0.5, -0.5, 0.1),
        (-0.46, 0.6, 0.08),
        (-0.68, -0.22, 0.06),
    ):
        pen.ellipse(x, y, size, size, darken(tones.main, 0.14))


@subject("sun", colors=("yellow", "orange", "golden", "red"), accent="orange", stance="sky",
         scale=0.3, places=("meadow", "beach", "desert", "sea"))  # fmt: skip
def draw_sun(pen: Pen) -> None:
    """A sun with twelve rays."""
    tones = pen.tones
    for k in range(12):
        turn, far = 2 * math.pi * k / 12, 1 if k % 2 == 0 else 0.84
        sides = [(0.66 * math.cos(turn + d), 0.66 * math.sin(turn + d)) for d in (0.17, -0.17)]
        tip = (far * math.cos(turn), far * math.sin(turn))
        pen.polygon([sides[0], tip, sides[1]], tones.main)
    pen.ellipse(0, 0, 0.56, 0.56, tones.main)
    pen.ellipse(0, 0, 0.46, 0.46, lighten(tones.main, 0.25))
    pen.ellipse(0, 0, 0.4, 0.4, tones.main)


@subject("cloud", words=("rain cloud", "raincloud"), colors=("white", "gray", "pink", "blue"),
         accent="white", stance="sky", scale=0.35,
         places=("meadow", "sea", "mountains"))  # fmt: skip
def draw_cloud(pen: Pen) -> None:
    """A heap of cloud with a flat foot."""
    tones = pen.tones
    puffs = ((-0.62, -0.14, 0.34), (-0.22, 0.16, 0.46), (0.28, 0.06, 0.4), (0.66, -0.16, 0.32))
    pen.rect(-0.62, -0.48, 0.66, -0.1, darken(tones.main, 0.12))
    for x, y, radius in puffs:
        pen.ellipse(x, y, radius, radius, darken(tones.main, 0.12))
    pen.rect(-0.56, -0.36, 0.6, 0, tones.main)
    for x, y, radius in puffs:
        pen.ellipse(x - 0.02, y + 0.06, radius * 0.9, radius * 0.88, tones.main)


@subject("star", words=("shining star", "evening star"),
         colors=("yellow", "golden", "white", "orange"), accent="white", stance="sky", scale=0.25,
         places=("space", "meadow", "sea"))  # fmt: skip
def draw_star(pen: Pen) -> None:
    """A star of five points, half of each in shade."""
    tones = pen.tones
    rim = _star(0, -0.06, 1.04, 0.46)
    pen.polygon(rim, tones.main)
    for k in range(0, 10, 2):
        pen.polygon([(0, -0.06), rim[k], rim[k - 1]], darken(tones.main, 0.14))


@subject("planet", words=("saturn", "jupiter", "ringed planet"),
         colors=("orange", "purple", "blue", "red", "teal"), accent="golden", stance="sky",
         scale=0.35, places=("space",))  # fmt: skip
def draw_planet(pen: Pen) -> None:
    """A planet with bands and a ring around it."""
    tones = pen.tones
    tilt = math.radians(20)

    def ring(begin: Number, end: Number) -> list[Point]:
        turns = [math.radians(begin + (end - begin) * k / 32) for k in range(33)]
        flat = [(0.93 * math.cos(t), 0.26 * math.sin(t)) for t in turns]
        cos, sin = math.cos(tilt), math.sin(tilt)
        return [(x * cos - y * sin, x * sin + y * cos) for x, y in flat]

    pen.line(ring(0, 180), 0.11, darken(tones.accent))
    pen.ellipse(0, 0, 0.6, 0.6, tones.main)
    for y, width, color in (
        (0.3, 0.1, tones.light),
        (0.02, 0.13, tones.dark),
        (-0.32, 0.1, tones.light),
    ):
        half = math.sqrt(0.6**2 - (abs(y) + width / 2) ** 2) - width / 2
        cos, sin = math.cos(tilt), math.sin(tilt)
        ends = [(x * cos - y * sin, x * sin + y * cos) for x in (-half, half)]
        pen.line(ends, width, color)
    pen.line(ring(180, 360), 0.11, tones.accent)


@subject("rainbow", words=("rain bow",), colors=("red", "orange", "pink", "purple"), accent="white",
         stance="sky", scale=0.6, places=("meadow", "sea", "mountains"))  # fmt: skip
def draw_rainbow(pen: Pen) -> None:
    """A rainbow between two clouds; its outer band is its own color."""
    tones = pen.tones
    turns = [math.pi * k / 48 for k in range(49)]
    spectrum = [NAMED[name] for name in ("red", "orange", "yellow", "green", "blue", "purple")]
    apart = [sum((a - b) ** 2 for a, b in zip(tones.main, band, strict=True)) for band in spectrum]
    first = apart.index(min(apart))
    width = 0.1
    for k, band in enumerate([tones.main, *spectrum[first + 1 :], *spectrum[:first]]):
        radius = 0.9 - width * k
        arc = [(radius * math.cos(t), -0.5 + 1.1 * radius * math.sin(t)) for t in turns]
        pen.line(arc, width * 1.35, band)
    for side in (-1, 1):
        for x, y, radius in ((0.8, -0.6, 0.16), (0.64, -0.5, 0.2), (0.46, -0.62, 0.16)):
            pen.ellipse(side * x, y, radius, radius, tones.accent)
        pen.rect(side * 0.63 - 0.2, -0.78, side * 0.63 + 0.2, -0.62, tones.accent)


@subject("comet", words=("shooting star", "meteor", "falling star"),
         colors=("orange", "yellow", "blue", "white"), accent="yellow", stance="sky", scale=0.35,
         places=("space", "mountains"))  # fmt: skip
def draw_comet(pen: Pen) -> None:
    """A comet that falls to the left, its tail in three streams."""
    tones = pen.tones
    x, y, radius = -0.52, -0.52, 0.42
    for end, share, color in (
        ((0.66, 1), 0.98, tones.dark), ((1, 0.66), 0.98, tones.dark), ((1, 1), 0.9, tones.main),
        ((0.62, 0.62), 0.6, tones.light),
    ):  # fmt: skip
        turn = math.atan2(end[1] - y, end[0] - x)
        dx, dy = -math.sin(turn) * radius * share, math.cos(turn) * radius * share
        pen.polygon([(x + dx, y + dy), end, (x - dx, y - dy)], color)
    pen.ellipse(x, y, radius, radius, tones.main)
    pen.ellipse(x, y, radius * 0.7, radius * 0.7, tones.accent)
    pen.ellipse(x - 0.06, y - 0.06, radius * 0.42, radius * 0.42, lighten(tones.accent, 0.5))
