"""Things of the house, the kitchen and the table, and a few to play with."""

import itertools
import math

from pe.studio.canvas import Number, Pen, Point, circle
from pe.studio.color import NAMED, Color, darken, lighten
from pe.studio.subject import subject

WOOD = NAMED["brown"]
LEAF = NAMED["green"]
PAPER: Color = (250, 244, 226)
GLOW: Color = (255, 226, 132)


def _mirror(right: list[Point]) -> list[Point]:
    """Return a closed outline from its right half, given from top to foot."""
    return right + [(-x, y) for x, y in reversed(right) if x]


@subject("umbrella", words=("parasol", "brolly"), colors=("red", "blue", "yellow", "purple"),
         accent="brown", scale=0.4, places=("city", "beach", "garden"))  # fmt: skip
def draw_umbrella(pen: Pen) -> None:
    """An open umbrella with a bent handle."""
    tones = pen.tones
    stick = [(0, 0.9), (0, -0.74), (0.06, -0.9), (0.2, -0.95), (0.33, -0.88), (0.37, -0.72)]
    pen.line([(0, 0.8), (0, 1)], 0.06, tones.accent)
    pen.line(stick[:2], 0.08, tones.accent)
    pen.line(stick[1:], 0.1, tones.accent, curved=True)
    turns = [math.pi * k / 24 for k in range(25)]
    rims = (-1, -0.56, 0, 0.56, 1)
    for k, (x0, x1) in enumerate(itertools.pairwise(rims)):
        rib0 = [(x0 * math.sin(t / 2), 0.02 + 0.88 * math.cos(t / 2)) for t in turns]
        rib1 = [(x1 * math.sin(t / 2), 0.02 + 0.88 * math.cos(t / 2)) for t in turns]
        middle, half = (x0 + x1) / 2, (x1 - x0) / 2
        hem = [(middle + half * math.cos(t), 0.02 + 0.13 * math.sin(t)) for t in reversed(turns)]
        pen.polygon(rib0 + hem + rib1[::-1], tones.main if k % 2 else tones.dark)


@subject("chair", colors=("brown", "red", "blue", "yellow", "white"), accent="golden", scale=0.4,
         places=("room", "garden"))  # fmt: skip
def draw_chair(pen: Pen) -> None:
    """A wooden chair with a cushion, seen from the side and the front."""
    tones = pen.tones
    for x, y in ((-0.24, -0.84), (0.68, -0.84)):
        pen.rect(x - 0.07, y, x + 0.07, -0.1, tones.dark)
    pen.line([(-0.44, -0.55), (0.44, -0.55)], 0.07, tones.dark)
    for x in (-0.5, 0.34):
        pen.line([(x, -0.2), (x - 0.06, 0.94)], 0.13, tones.main)
    for y, tall in ((0.86, 0.16), (0.5, 0.12), (0.18, 0.12)):
        pen.rect(-0.56, y - tall, 0.3, y, tones.main)
        pen.rect(-0.49, y - tall, 0.22, y - tall + 0.04, tones.dark)
    for x in (-0.5, 0.44):
        pen.rect(x - 0.08, -1, x + 0.08, -0.2, tones.main)
    pen.polygon([(-0.6, -0.16), (-0.4, 0.02), (0.72, 0.02), (0.56, -0.16)], tones.light)
    pen.blob([(-0.5, -0.12), (-0.36, 0.08), (0.1, 0.1), (0.58, 0.08), (0.48, -0.12), (0, -0.14)],
             tones.accent)  # fmt: skip
    pen.polygon([(-0.6, -0.3), (-0.6, -0.15), (0.56, -0.15), (0.56, -0.3)], tones.main)
    pen.polygon([(0.56, -0.3), (0.56, -0.15), (0.76, 0.02), (0.76, -0.12)], tones.dark)


@subject("lamp", words=("table lamp", "desk lamp"),
         colors=("red", "orange", "blue", "green", "white"), accent="golden", scale=0.35,
         places=("room",))  # fmt: skip
def draw_lamp(pen: Pen) -> None:
    """A table lamp, lit: a wide shade on a round foot."""
    tones = pen.tones
    pen.ellipse(0, 0.06, 0.24, 0.2, GLOW)
    pen.line([(0, 0.9), (0, -0.5)], 0.09, darken(tones.accent, 0.35))
    pen.blob(_mirror([(0.08, -0.06), (0.1, -0.2), (0.34, -0.5), (0.24, -0.84), (0.14, -0.9)]),
             tones.main)  # fmt: skip
    pen.ellipse(-0.16, -0.46, 0.06, 0.14, tones.light, angle=-12)
    pen.polygon(_mirror([(0.26, -0.86), (0.4, -1)]), tones.accent)
    pen.polygon(_mirror([(0.34, 0.9), (0.76, 0.02)]), tones.main)
    pen.polygon([(0.34, 0.9), (0.76, 0.02), (0.42, 0.02), (0.16, 0.9)], tones.dark)
    pen.polygon([(-0.27, 0.9), (-0.58, 0.02), (-0.38, 0.02), (-0.15, 0.9)], tones.light)
    pen.rect(-0.76, 0, 0.76, 0.1, tones.accent)
    pen.rect(-0.36, 0.84, 0.36, 0.92, tones.accent)
    pen.ellipse(0, 0.95, 0.06, 0.05, tones.accent)


@subject("clock", words=("alarm clock", "timepiece"),
         colors=("red", "blue", "teal", "golden", "green"), accent="golden", scale=0.35,
         places=("room",))  # fmt: skip
def draw_clock(pen: Pen) -> None:
    """An alarm clock with two bells and two feet."""
    tones = pen.tones
    pen.line([(-0.18, 0.66), (-0.14, 0.94), (0.14, 0.94), (0.18, 0.66)], 0.07, tones.ink)
    for side in (-1, 1):
        pen.line([(side * 0.4, -0.6), (side * 0.58, -0.94)], 0.15, tones.dark)
        pen.line([(side * 0.3, 0.3), (side * 0.56, 0.74)], 0.1, tones.ink)
        bell = [(0.16, 0.76), (0.28, 0.93), (0.5, 0.96), (0.7, 0.84), (0.78, 0.62), (0.74, 0.44)]
        pen.blob([(side * x, y) for x, y in bell], tones.accent)
    pen.ellipse(0, -0.16, 0.78, 0.78, tones.main)
    pen.ellipse(0, -0.16, 0.62, 0.62, tones.dark)
    pen.ellipse(0, -0.16, 0.57, 0.57, PAPER)
    for k in range(12):
        sin, cos = math.sin(math.pi * k / 6), math.cos(math.pi * k / 6)
        near = 0.4 if k % 3 == 0 else 0.45
        pen.line([(near * sin, -0.16 + near * cos), (0.49 * sin, -0.16 + 0.49 * cos)], 0.045,
                 tones.ink)  # fmt: skip
    pen.line([(0, -0.16), (-0.2, 0.04)], 0.09, tones.ink)
    pen.line([(0, -0.16), (0.22, 0.17)], 0.06, tones.ink)
    pen.ellipse(0, -0.16, 0.08, 0.08, tones.main)


@subject("teapot", words=("kettle", "tea pot", "coffee pot"),
         colors=("blue", "teal", "red", "white", "pink"), accent="white", scale=0.4,
         places=("room", "garden"))  # fmt: skip
def draw_teapot(pen: Pen) -> None:
    """A round teapot with dots, its spout to the right."""
    tones = pen.tones
    handle = [(-0.48, 0.26), (-0.8, 0.36), (-0.93, 0.1), (-0.88, -0.26), (-0.56, -0.56)]
    pen.line(handle, 0.13, tones.dark, curved=True)
    pen.blob([(0.42, -0.62), (0.66, -0.42), (0.76, -0.02), (0.84, 0.3), (1, 0.4), (0.74, 0.46),
              (0.56, 0.2), (0.4, -0.1)], tones.dark)  # fmt: skip
    pen.rect(-0.36, -1, 0.36, -0.84, tones.dark)
    pen.ellipse(0, -0.26, 0.64, 0.66, tones.main)
    pen.blob(
        [(-0.5, -0.2), (-0.4, 0.12), (-0.22, 0.26), (-0.36, -0.02), (-0.42, -0.3)], tones.light
    )
    for x, y in ((-0.2, -0.2), (0.14, -0.06), (0.42, -0.28), (-0.02, -0.5), (0.32, -0.62)):
        pen.ellipse(x, y, 0.075, 0.075, tones.accent)
    pen.blob(_mirror([(0.1, 0.56), (0.3, 0.46), (0.38, 0.32)]), tones.main)
    pen.rect(-0.42, 0.26, 0.42, 0.35, tones.dark)
    pen.ellipse(0, 0.66, 0.13, 0.12, tones.dark)


@subject("cup", words=("mug", "teacup", "coffee cup"),
         colors=("red", "blue", "yellow", "white", "teal"), accent="white", scale=0.35,
         places=("room",))  # fmt: skip
def draw_cup(pen: Pen) -> None:
    """A mug on a saucer, its drink steaming."""
    tones = pen.tones
    for x in (-0.36, -0.06, 0.24):
        steam = [(x, 0.38), (x + 0.1, 0.52), (x - 0.04, 0.7), (x + 0.08, 0.9)]
        pen.line(steam, 0.07, PAPER, curved=True)
    pen.ellipse(-0.04, -0.88, 0.9, 0.12, tones.dark)
    pen.ellipse(-0.04, -0.84, 0.84, 0.09, tones.light)
    handle = [(0.46, 0.02), (0.78, 0.04), (0.9, -0.22), (0.76, -0.5), (0.4, -0.58)]
    pen.line(handle, 0.13, tones.dark, curved=True)
    pen.blob([(-0.66, 0.2), (-0.64, -0.2), (-0.54, -0.6), (-0.4, -0.84), (-0.06, -0.88),
              (0.28, -0.84), (0.42, -0.6), (0.52, -0.2), (0.54, 0.2)], tones.main)  # fmt: skip
    pen.ellipse(-0.06, 0.2, 0.61, 0.13, tones.light)
    pen.ellipse(-0.06, 0.19, 0.52, 0.09, darken(WOOD, 0.4))
    pen.blob(_heart(-0.06, -0.36, 0.24), tones.accent, steps=2)
    pen.line([(-0.5, -0.02), (-0.46, -0.34), (-0.4, -0.52)], 0.07, tones.light, curved=True)


@subject("book", words=("novel", "notebook", "diary", "storybook"),
         colors=("blue", "red", "green", "brown", "purple"), accent="golden", scale=0.35,
         places=("room",))  # fmt: skip
def draw_book(pen: Pen) -> None:
    """A closed book that stands, its pages and a ribbon showing."""
    tones = pen.tones
    pen.polygon(
        [(-0.82, 0.74), (-0.5, 0.99), (0.84, 0.93), (0.84, -0.84), (0.6, -0.94)], tones.dark
    )
    pen.polygon([(-0.66, 0.82), (-0.44, 0.94), (0.78, 0.88), (0.58, 0.76)], PAPER)
    pen.polygon([(0.56, 0.76), (0.78, 0.88), (0.78, -0.8), (0.56, -0.94)], PAPER)
    for x in (0.63, 0.7):
        pen.line([(x, 0.76), (x, -0.86)], 0.018, darken(PAPER, 0.25))
    pen.polygon([(-0.82, 0.74), (-0.58, 0.84), (-0.58, -1), (-0.82, -0.88)], tones.dark)
    pen.polygon([(-0.6, 0.84), (0.62, 0.76), (0.62, -0.98), (-0.6, -1)], tones.main)
    pen.line([(-0.6, 0.82), (-0.6, -0.98)], 0.05, tones.light)
    frame = [(-0.44, 0.66), (0.46, 0.6), (0.46, -0.82), (-0.44, -0.84), (-0.44, 0.66)]
    pen.line(frame, 0.035, tones.accent)
    pen.polygon([(-0.26, 0.42), (0.3, 0.38), (0.3, 0.16), (-0.26, 0.18)], tones.accent)
    star = [(0.26 if k % 2 == 0 else 0.11, math.pi * (0.5 + k / 5)) for k in range(10)]
    pen.polygon([(0.01 + r * math.cos(t), -0.34 + r * math.sin(t)) for r, t in star], tones.accent)


@subject("guitar", words=("acoustic guitar", "ukulele", "lute"),
         colors=("orange", "brown", "red", "blue", "yellow"), accent="brown", scale=0.4,
         places=("room", "beach", "meadow"))  # fmt: skip
def draw_guitar(pen: Pen) -> None:
    """A guitar that stands on its body."""
    tones = pen.tones
    neck = darken(tones.accent, 0.35)
    side = [(0.1, 0.14), (0.3, 0.12), (0.4, -0.08), (0.32, -0.28), (0.4, -0.42), (0.54, -0.64),
            (0.46, -0.9), (0.16, -0.99)]  # fmt: skip
    pen.blob([(x * 1.2, y) for x, y in _mirror(side)], tones.dark)
    pen.blob([(x * 1.06, -0.42 + (y + 0.42) * 0.9) for x, y in _mirror(side)], tones.main)
    pen.rect(-0.09, -0.3, 0.09, 0.72, neck)
    pen.polygon(_mirror([(0.17, 0.98), (0.13, 0.66)]), tones.accent)
    for y in (0.74, 0.83, 0.92):
        pen.line([(-0.22, y), (0.22, y)], 0.05, NAMED["silver"])
    pen.polygon(_mirror([(0.15, 0.99), (0.11, 0.66)]), neck)
    pen.ellipse(0, -0.3, 0.19, 0.19, tones.light)
    pen.ellipse(0, -0.3, 0.15, 0.15, tones.ink)
    pen.rect(-0.24, -0.76, 0.24, -0.68, neck)
    for y in (0.06, 0.22, 0.38, 0.54):
        pen.line([(-0.09, y), (0.09, y)], 0.025, NAMED["silver"])
    for x in (-0.05, 0, 0.05):
        pen.line([(x, -0.72), (x, 0.78)], 0.012, PAPER)


@subject("crown", words=("tiara", "diadem"), colors=("golden", "silver", "yellow", "purple"),
         accent="red", scale=0.35, places=("room", "meadow"))  # fmt: skip
def draw_crown(pen: Pen) -> None:
    """A crown with five points and jewels."""
    tones = pen.tones
    points = [(-0.96, 0.34), (-0.52, 0.62), (0, 0.76), (0.52, 0.62), (0.96, 0.34)]
    valleys = [(-0.54, -0.24), (-0.22, -0.1), (0.22, -0.1), (0.54, -0.24)]
    rim = [points[0]]
    for valley, point in zip(valleys, points[1:], strict=True):
        rim += [valley, point]
    pen.polygon([(-0.78, -0.9), *rim, (0.78, -0.9)], tones.main)
    for x, y in points:
        pen.ellipse(x * 0.97, y + 0.03, 0.12, 0.12, tones.light)
    pen.polygon([(-0.84, -0.54), (0.84, -0.54), (0.78, -1), (-0.78, -1)], tones.dark)
    pen.line([(-0.82, -0.54), (0.82, -0.54)], 0.07, tones.light)
    pen.line([(-0.76, -0.96), (0.76, -0.96)], 0.07, tones.light)
    for x, color in ((-0.48, NAMED["blue"]), (0, tones.accent), (0.48, NAMED["blue"])):
        pen.ellipse(x, -0.75, 0.12, 0.12, color)
        pen.ellipse(x + 0.04, -0.71, 0.035, 0.035, PAPER)
    pen.polygon([(0, 0.34), (0.13, 0.06), (0, -0.22), (-0.13, 0.06)], tones.accent)


def _heart(x: Number, y: Number, half: Number) -> list[Point]:
    """Return the outline of a heart around a point."""
    turns = [2 * math.pi * k / 48 for k in range(48)]
    return [
        (
            x + half * math.sin(t) ** 3,
            y + half * (0.82 * math.cos(t) - 0.33 * math.cos(2 * t) - 0.13 * math.cos(3 * t)),
        )
        for t in turns
    ]


@subject("heart", words=("love heart", "valentine"), colors=("red", "pink", "purple"),
         accent="white", stance="air", scale=0.4, places=("meadow", "garden"))  # fmt: skip
def draw_heart(pen: Pen) -> None:
    """A heart with a shine on it."""
    tones = pen.tones
    pen.polygon(_heart(0, 0.04, 1), tones.dark)
    pen.polygon(_heart(-0.03, 0.09, 0.9), tones.main)
    pen.ellipse(-0.46, 0.38, 0.24, 0.13, tones.light, angle=42)
    pen.ellipse(-0.67, 0.1, 0.06, 0.08, tones.light, angle=-10)


@subject("key", words=("house key", "skeleton key"), colors=("golden", "silver", "brown", "black"),
         accent="golden", scale=0.25, places=("room", "meadow"))  # fmt: skip
def draw_key(pen: Pen) -> None:
    """An old key, its bow of three rings on top."""
    tones = pen.tones
    pen.rect(0.06, -0.92, 0.46, -0.76, tones.main)
    pen.rect(0.06, -0.62, 0.36, -0.46, tones.main)
    pen.rect(0.06, -0.92, 0.46, -0.87, tones.dark)
    pen.rect(0.06, -0.62, 0.36, -0.57, tones.dark)
    pen.rect(-0.1, -1, 0.1, 0.2, tones.main)
    pen.rect(0.03, -1, 0.1, 0.2, tones.dark)
    for x, y in ((-0.28, 0.36), (0.28, 0.36), (0, 0.72)):
        pen.line(circle(x, y, 0.21), 0.14, tones.main)
        pen.line(circle(x, y, 0.21), 0.03, tones.light)
    pen.ellipse(0, 0.42, 0.12, 0.12, tones.dark)
    for y in (0.18, 0.02):
        pen.line([(-0.15, y), (0.15, y)], 0.08, tones.dark)


@subject("candle", colors=("white", "red", "yellow", "purple", "blue"), accent="golden", scale=0.3,
         places=("room",))  # fmt: skip
def draw_candle(pen: Pen) -> None:
    """A burning candle in a holder with a handle."""
    tones = pen.tones
    flame = [(0, 1), (0.1, 0.8), (0.18, 0.58), (0.12, 0.42), (0, 0.38)]
    pen.blob(_mirror(flame), NAMED["orange"])
    pen.blob([(x * 0.55, 0.4 + (y - 0.4) * 0.6) for x, y in _mirror(flame)], GLOW)
    pen.line([(0, 0.56), (0, 0.34)], 0.04, tones.ink)
    pen.line(circle(0.6, -0.66, 0.17), 0.09, darken(tones.accent))
    pen.rect(-0.24, -0.8, 0.24, 0.32, tones.main)
    pen.rect(0.08, -0.8, 0.24, 0.3, tones.dark)
    pen.ellipse(0, 0.32, 0.24, 0.07, tones.light)
    pen.blob([(-0.26, 0.3), (-0.27, -0.1), (-0.2, -0.16), (-0.14, -0.06), (-0.12, 0.12),
              (-0.06, 0.26)], tones.light)  # fmt: skip
    pen.polygon([(-0.34, -0.56), (0.34, -0.56), (0.26, -0.84), (-0.26, -0.84)], tones.accent)
    pen.polygon([(-0.74, -0.8), (0.74, -0.8), (0.5, -1), (-0.5, -1)], tones.accent)
    pen.rect(-0.74, -0.86, 0.74, -0.78, lighten(tones.accent))


@subject("cake", words=("birthday cake", "gateau"),
         colors=("pink", "brown", "yellow", "white", "blue"), accent="white", scale=0.4,
         places=("room", "garden"))  # fmt: skip
def draw_cake(pen: Pen) -> None:
    """A birthday cake of two layers with icing and three candles."""
    tones = pen.tones
    for x in (-0.28, 0, 0.28):
        pen.rect(x - 0.045, 0.38, x + 0.045, 0.7, NAMED["blue"])
        for y in (0.46, 0.6):
            pen.line([(x - 0.03, y), (x + 0.03, y + 0.04)], 0.035, PAPER)
        pen.blob([(x, 1), (x + 0.07, 0.82), (x, 0.73), (x - 0.07, 0.82)], NAMED["orange"])
    pen.ellipse(0, -0.9, 0.98, 0.1, NAMED["silver"])
    for half, y0, y1 in ((0.8, -0.88, -0.2), (0.54, -0.2, 0.4)):
        pen.rect(-half, y0, half, y1, tones.main)
        pen.rect(-half, y0, half, y0 + 0.12, tones.dark)
        count = round(half * 10)
        step = 2 * half / count
        pen.rect(-half - 0.03, y1 - 0.14, half + 0.03, y1, tones.accent)
        for k in range(count):
            x, drop = -half + (k + 0.5) * step, 0.2 + 0.1 * (k % 2)
            pen.line([(x, y1 - 0.1), (x, y1 - drop)], step * 0.86, tones.accent)
        pen.line([(-half, y1 - 0.02), (half, y1 - 0.02)], 0.08, lighten(tones.accent))


@subject("apple", colors=("red", "green", "yellow"), accent="green", scale=0.3,
         places=("garden", "room", "meadow"))  # fmt: skip
def draw_apple(pen: Pen) -> None:
    """An apple with a stalk and a leaf."""
    tones = pen.tones
    right = [(0, 0.38), (0.34, 0.54), (0.72, 0.42), (0.88, 0.02), (0.76, -0.5), (0.46, -0.92),
             (0.2, -0.99), (0, -0.92)]  # fmt: skip
    pen.blob(_mirror(right), tones.main)
    pen.blob([(0.46, 0.5), (0.72, 0.42), (0.88, 0.02), (0.76, -0.5), (0.46, -0.92), (0.2, -0.98),
              (0.56, -0.6), (0.66, -0.04)], tones.dark)  # fmt: skip
    pen.ellipse(-0.52, 0.12, 0.13, 0.24, tones.light, angle=-24)
    pen.ellipse(0, 0.39, 0.24, 0.07, tones.dark)
    pen.line([(0, 0.36), (0.02, 0.6), (0.12, 0.86)], 0.09, WOOD, curved=True)
    pen.blob([(0.08, 0.6), (0.24, 0.84), (0.5, 0.94), (0.74, 0.9), (0.6, 0.7), (0.34, 0.6)],
             tones.accent)  # fmt: skip
    pen.line([(0.12, 0.63), (0.6, 0.85)], 0.03, darken(tones.accent))


@subject("pumpkin", words=("gourd", "jack-o'-lantern"),
         colors=("orange", "yellow", "white", "green"), accent="green", scale=0.35,
         places=("farm", "garden", "meadow"))  # fmt: skip
def draw_pumpkin(pen: Pen) -> None:
    """A fat pumpkin with ribs, a stalk and a tendril."""
    tones = pen.tones
    stalk = [(-0.16, 0.34), (-0.1, 0.66), (-0.24, 0.86), (0, 0.94), (0.12, 0.7), (0.18, 0.34)]
    pen.line([(0.1, 0.46), (0.36, 0.66), (0.56, 0.5), (0.72, 0.66)], 0.05, LEAF, curved=True)
    for x, rx, ry, color in (
        (-0.62, 0.38, 0.58, tones.dark), (0.62, 0.38, 0.58, tones.dark),
        (-0.34, 0.4, 0.66, tones.main), (0.34, 0.4, 0.66, tones.main),
    ):  # fmt: skip
        pen.ellipse(x, -0.3, rx, ry, color)
    pen.ellipse(0, -0.3, 0.36, 0.7, tones.dark)
    pen.ellipse(0, -0.3, 0.31, 0.69, tones.main)
    pen.ellipse(-0.52, -0.1, 0.06, 0.22, tones.light, angle=-12)
    pen.polygon(stalk, darken(tones.accent, 0.2))
    pen.polygon([(-0.16, 0.34), (-0.1, 0.66), (-0.24, 0.86), (-0.1, 0.9), (0, 0.66), (0, 0.34)],
                tones.accent)  # fmt: skip


@subject("kite", words=("paper kite",), colors=("red", "blue", "yellow", "purple", "green"),
         accent="yellow", stance="air", scale=0.35, places=("meadow", "beach"))  # fmt: skip
def draw_kite(pen: Pen) -> None:
    """A kite of four pieces, bows on its tail."""
    tones = pen.tones
    top, left, right, foot, middle = (
        (0.42, 1),
        (-0.36, 0.52),
        (0.86, 0.1),
        (-0.1, -0.42),
        (0.24, 0.32),
    )
    tail = [foot, (-0.3, -0.66), (-0.1, -0.88), (-0.42, -0.98), (-0.7, -0.8), (-0.94, -0.9)]
    pen.line(tail, 0.05, tones.ink, curved=True)
    for x, y in ((-0.26, -0.6), (-0.3, -0.97), (-0.74, -0.81)):
        for side in (-1, 1):
            pen.polygon(
                [(x, y), (x + side * 0.15, y + 0.11), (x + side * 0.15, y - 0.07)], tones.accent
            )
        pen.ellipse(x, y, 0.045, 0.045, tones.dark)
    pen.polygon([top, left, middle], tones.main)
    pen.polygon([top, right, middle], tones.dark)
    pen.polygon([foot, left, middle], tones.accent)
    pen.polygon([foot, right, middle], tones.main)
    pen.line([top, foot], 0.04, tones.ink)
    pen.line([left, right], 0.04, tones.ink)
