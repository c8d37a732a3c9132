"""Mammals. Those seen from the side look to the right."""

import math

from pe.studio.canvas import Number, Pen
from pe.studio.color import Color, mix
from pe.studio.subject import subject

IVORY: Color = (250, 244, 226)


def _legs(pen: Pen, places: tuple[Number, ...], top: Number, width: Number, color: Color) -> None:
    """Draw straight legs from `top` down to the ground, with hooves."""
    for x in places:
        half = width / 2
        shape = [(x - half, top), (x + half, top), (x + 0.8 * half, -1), (x - 0.8 * half, -1)]
        pen.polygon(shape, color)
        pen.polygon(
            [(x - half, -0.88), (x + half, -0.88), (x + half * 1.15, -1), (x - half * 1.15, -1)],
            pen.tones.ink,
        )


@subject("cat", words=("kitten", "kitty", "tabby"),
         colors=("orange", "gray", "black", "white", "brown"), accent="pink",
         places=("room", "city", "meadow"))  # fmt: skip
def draw_cat(pen: Pen) -> None:
    """A cat that sits, seen from the front, its tail to the side."""
    tones = pen.tones
    tail = [(0.25, -0.88), (0.7, -0.84), (0.86, -0.45), (0.72, -0.12), (0.84, 0.12)]
    pen.line(tail, 0.15, tones.dark, curved=True)
    body = [(-0.46, -0.96), (-0.5, -0.62), (-0.36, -0.2), (-0.2, 0.1), (0.2, 0.1)]
    pen.blob([*body, (0.36, -0.2), (0.5, -0.62), (0.46, -0.96)], tones.main)
    pen.ellipse(0, -0.18, 0.22, 0.24, tones.light)
    pen.line([(0, -0.6), (0, -0.9)], 0.025, tones.dark)
    for side in (-1, 1):
        pen.line([(side * 0.27, -0.5), (side * 0.27, -0.85)], 0.025, tones.dark)
        pen.ellipse(side * 0.15, -0.92, 0.16, 0.09, tones.light)
        ear = [(side * 0.54, 0.35), (side * 0.5, 0.98), (side * 0.06, 0.7)]
        pen.polygon(ear, tones.main)
        inner = [(side * 0.47, 0.5), (side * 0.45, 0.85), (side * 0.18, 0.68)]
        pen.polygon(inner, tones.accent)
    pen.ellipse(0, 0.36, 0.58, 0.43, tones.main)
    for x in (-0.14, 0, 0.14):
        pen.line([(x, 0.76), (x * 0.8, 0.62)], 0.05, tones.dark)
    for side in (-1, 1):
        pen.ellipse(side * 0.12, 0.19, 0.17, 0.14, tones.light)
        pen.eye(side * 0.25, 0.42, 0.1)
        for dy in (0.0, 0.09):
            pen.line([(side * 0.28, 0.22 - dy), (side * 0.68, 0.26 - 2 * dy)], 0.02, tones.ink)
        pen.line(
            [(0, 0.2), (side * 0.05, 0.13), (side * 0.12, 0.15)], 0.025, tones.ink, curved=True
        )
    pen.polygon([(-0.08, 0.29), (0.08, 0.29), (0, 0.19)], tones.accent)


@subject("dog", words=("puppy", "pup", "hound", "doggy"),
         colors=("brown", "golden", "black", "white", "gray"), accent="red",
         places=("meadow", "garden", "room", "city"))  # fmt: skip
def draw_dog(pen: Pen) -> None:
    """A dog that sits, with a hanging ear and a collar."""
    tones = pen.tones
    pen.line([(-0.5, -0.8), (-0.82, -0.66), (-0.92, -0.3)], 0.15, tones.dark, curved=True)
    back = [(-0.1, 0.3), (-0.3, -0.05), (-0.55, -0.45), (-0.64, -0.8), (-0.5, -0.98)]
    pen.blob([*back, (0, -0.96), (0.36, -0.9), (0.46, -0.3), (0.38, 0.2)], tones.main)
    pen.line([(0.4, -0.3), (0.42, -0.9)], 0.17, tones.dark)
    pen.blob([(0.1, -0.3), (0.38, -0.3), (0.34, -0.9), (0.14, -0.9)], tones.main)
    pen.ellipse(-0.26, -0.66, 0.32, 0.32, tones.dark)
    pen.ellipse(-0.24, -0.64, 0.3, 0.32, tones.main)
    for x in (0.5, 0.32, -0.1):
        pen.ellipse(x, -0.91, 0.19, 0.09, tones.light)
    pen.line([(-0.12, 0.14), (0.12, 0.03), (0.38, 0.06)], 0.12, tones.accent, curved=True)
    pen.ellipse(0.16, -0.05, 0.07, 0.07, (240, 200, 60))
    pen.ellipse(0.14, 0.5, 0.45, 0.4, tones.main)
    pen.blob([(0.62, 0.26), (0.68, 0.05), (0.78, 0.04), (0.8, 0.26)], (232, 110, 120))
    pen.blob([(0.36, 0.58), (0.62, 0.56), (0.9, 0.5), (0.97, 0.36), (0.86, 0.2), (0.4, 0.16)],
             tones.light)  # fmt: skip
    pen.ellipse(0.88, 0.5, 0.11, 0.09, tones.ink)
    pen.line([(0.9, 0.3), (0.7, 0.24), (0.5, 0.32)], 0.03, tones.ink, curved=True)
    pen.eye(0.36, 0.66, 0.09)
    pen.blob([(0.02, 0.88), (-0.26, 0.8), (-0.44, 0.4), (-0.36, 0.04), (-0.14, 0.08), (0.06, 0.5)],
             tones.dark)  # fmt: skip


@subject("rabbit", words=("bunny", "hare"), colors=("white", "gray", "brown", "black"),
         accent="pink", scale=0.35, places=("meadow", "garden", "forest", "farm"))  # fmt: skip
def draw_rabbit(pen: Pen) -> None:
    """A rabbit that sits, seen from the front, one ear bent a little."""
    tones = pen.tones
    pen.ellipse(0.5, -0.68, 0.2, 0.19, tones.light)
    for side, lean in ((-1, 8), (1, -14)):
        pen.ellipse(side * 0.24, 0.6, 0.15, 0.42, tones.main, angle=lean)
        pen.ellipse(side * 0.24, 0.57, 0.075, 0.32, tones.accent, angle=lean)
    pen.ellipse(0, -0.52, 0.5, 0.46, tones.main)
    pen.ellipse(0, -0.5, 0.28, 0.32, tones.light)
    for side in (-1, 1):
        pen.ellipse(side * 0.33, -0.9, 0.25, 0.11, tones.dark)
        pen.ellipse(side * 0.33, -0.89, 0.22, 0.1, tones.main)
        pen.ellipse(side * 0.17, -0.5, 0.11, 0.2, tones.dark, angle=side * 14)
        pen.ellipse(side * 0.18, -0.48, 0.1, 0.2, tones.main, angle=side * 14)
    pen.ellipse(0, 0.08, 0.48, 0.39, tones.main)
    pen.rect(-0.07, -0.2, 0.07, -0.06, (255, 255, 255))
    pen.line([(0, -0.06), (0, -0.2)], 0.015, tones.dark)
    for side in (-1, 1):
        pen.ellipse(side * 0.11, -0.03, 0.13, 0.1, tones.light)
        pen.ellipse(side * 0.33, -0.02, 0.1, 0.07, tones.accent)
        pen.eye(side * 0.22, 0.16, 0.095)
    pen.ellipse(0, 0.05, 0.075, 0.055, tones.accent)
    pen.line([(0, 0.02), (0, -0.06)], 0.025, tones.ink)


@subject("fox", "foxes", words=("vixen",), colors=("orange", "red", "white", "gray"),
         places=("forest", "snow", "meadow"))  # fmt: skip
def draw_fox(pen: Pen) -> None:
    """A fox that sits, seen from the front, with a bushy tail."""
    tones = pen.tones
    pale = mix(tones.main, (255, 252, 246), 0.85)
    tail = [(0.1, -0.95), (0.55, -0.96), (0.88, -0.7), (0.96, -0.3), (0.86, 0.12), (0.66, -0.1)]
    pen.blob([*tail, (0.48, -0.5), (0.2, -0.7)], tones.dark)
    pen.blob([(0.95, -0.2), (0.86, 0.14), (0.66, -0.1), (0.6, -0.24), (0.78, -0.14)], pale)
    body = [(-0.44, -0.97), (-0.46, -0.6), (-0.26, 0), (0.26, 0), (0.46, -0.6), (0.44, -0.97)]
    pen.blob(body, tones.main)
    pen.blob([(-0.22, 0), (0, 0.1), (0.22, 0), (0.18, -0.25), (0, -0.5), (-0.18, -0.25)], pale)
    pen.line([(0, -0.6), (0, -0.9)], 0.025, tones.dark)
    for side in (-1, 1):
        pen.line([(side * 0.13, -0.78), (side * 0.13, -0.9)], 0.19, tones.ink)
        pen.line([(side * 0.26, -0.55), (side * 0.26, -0.85)], 0.025, tones.dark)
        pen.polygon([(side * 0.6, 0.4), (side * 0.54, 1), (side * 0.08, 0.68)], tones.main)
        pen.polygon([(side * 0.5, 0.56), (side * 0.49, 0.88), (side * 0.22, 0.68)], tones.ink)
    face = [(0, -0.08), (-0.2, 0.06), (-0.46, 0.14), (-0.76, 0.28), (-0.6, 0.46), (-0.36, 0.7)]
    pen.polygon([*face, (0, 0.76), *((-x, y) for x, y in face[:0:-1])], tones.main)
    for side in (-1, 1):
        cheek = [(0, -0.08), (0.2, 0.06), (0.46, 0.14), (0.76, 0.28), (0.46, 0.32), (0.2, 0.24)]
        pen.polygon([(side * x, y) for x, y in [*cheek, (0.08, 0.1)]], pale)
        pen.eye(side * 0.27, 0.4, 0.09)
    pen.ellipse(0, -0.04, 0.1, 0.075, tones.ink)


@subject("bear", words=("teddy", "cub", "grizzly"), colors=("brown", "black", "white", "golden"),
         accent="pink", scale=0.5, places=("forest", "mountains", "snow"))  # fmt: skip
def draw_bear(pen: Pen) -> None:
    """A bear that sits, seen from the front, its soles to us."""
    tones = pen.tones
    for side in (-1, 1):
        pen.ellipse(side * 0.4, 0.76, 0.2, 0.2, tones.main)
        pen.ellipse(side * 0.4, 0.76, 0.11, 0.11, tones.dark)
    pen.ellipse(0, -0.4, 0.62, 0.56, tones.main)
    pen.ellipse(0, -0.42, 0.38, 0.38, tones.light)
    for side in (-1, 1):
        pen.ellipse(side * 0.58, -0.24, 0.19, 0.4, tones.dark, angle=side * 24)
        pen.ellipse(side * 0.6, -0.24, 0.18, 0.38, tones.main, angle=side * 24)
        pen.ellipse(side * 0.5, -0.76, 0.27, 0.24, tones.dark)
        pen.ellipse(side * 0.52, -0.76, 0.26, 0.23, tones.main)
        pen.ellipse(side * 0.52, -0.8, 0.13, 0.11, tones.light)
        for dx in (-0.14, 0, 0.14):
            pen.ellipse(side * 0.52 + dx, -0.64 + 0.03 * (dx == 0), 0.045, 0.045, tones.light)
    pen.ellipse(0, 0.45, 0.54, 0.46, tones.main)
    pen.ellipse(0, 0.28, 0.28, 0.21, tones.light)
    for side in (-1, 1):
        pen.eye(side * 0.24, 0.54, 0.085)
        mouth = [(0, 0.3), (side * 0.03, 0.2), (side * 0.13, 0.2)]
        pen.line(mouth, 0.03, tones.ink, curved=True)
    pen.ellipse(0, 0.37, 0.12, 0.085, tones.ink)


@subject("horse", words=("pony", "stallion", "mare", "foal"),
         colors=("brown", "white", "black", "golden", "gray"), scale=0.55,
         places=("meadow", "farm", "desert", "mountains"))  # fmt: skip
def draw_horse(pen: Pen) -> None:
    """A horse that stands, with a flowing mane and tail."""
    tones = pen.tones
    mane = tones.ink
    tail = [(-0.62, 0.08), (-0.82, 0.04), (-0.95, -0.3), (-0.92, -0.72), (-0.8, -0.62)]
    pen.blob([*tail, (-0.76, -0.3), (-0.62, -0.12)], mane)
    _legs(pen, (-0.38, 0.18), -0.2, 0.15, tones.dark)
    _legs(pen, (-0.58, 0.38), -0.2, 0.16, tones.main)
    pen.polygon([(-0.72, -0.2), (-0.64, -0.5), (-0.5, -0.56), (-0.36, -0.3)], tones.main)
    body = [(-0.58, 0.12), (-0.2, 0.04), (0.12, 0.12), (0.42, 0.02), (0.49, -0.2), (0.44, -0.42)]
    pen.blob([*body, (0.05, -0.4), (-0.3, -0.36), (-0.62, -0.36), (-0.74, -0.12)], tones.main)
    pen.blob([(-0.02, 0.08), (0.2, 0.5), (0.38, 0.82), (0.62, 0.72), (0.6, 0.4), (0.54, 0.1),
              (0.44, -0.2), (0.1, -0.2)], tones.main)  # fmt: skip
    pen.polygon([(0.4, 0.72), (0.45, 1), (0.58, 0.76)], tones.main)
    head = [(0.36, 0.82), (0.56, 0.8), (0.76, 0.6), (0.95, 0.4), (0.95, 0.24), (0.82, 0.2)]
    pen.blob([*head, (0.64, 0.34), (0.42, 0.44)], tones.main)
    pen.blob([(0.84, 0.52), (0.97, 0.38), (0.95, 0.24), (0.82, 0.2), (0.76, 0.3)], tones.light)
    pen.ellipse(0.89, 0.37, 0.03, 0.025, tones.ink)
    pen.eye(0.6, 0.64, 0.06)
    crest = [(0.52, 0.84), (0.4, 0.94), (0.24, 0.8), (0.02, 0.46), (-0.12, 0.12), (0.02, 0.08)]
    pen.blob([*crest, (0.22, 0.3), (0.36, 0.6)], mane)
    pen.blob([(0.4, 0.92), (0.56, 0.84), (0.64, 0.7), (0.5, 0.74)], mane)


@subject("cow", words=("bull", "calf", "ox"), colors=("white", "brown", "golden"), accent="pink",
         scale=0.55, places=("farm", "meadow"))  # fmt: skip
def draw_cow(pen: Pen) -> None:
    """A spotted cow that stands, its face to us."""
    tones = pen.tones
    pen.line([(-0.78, 0.2), (-0.9, 0), (-0.88, -0.4)], 0.05, tones.dark, curved=True)
    pen.ellipse(-0.88, -0.46, 0.07, 0.13, tones.ink)
    _legs(pen, (-0.42, 0.12), -0.3, 0.17, tones.dark)
    pen.ellipse(-0.28, -0.46, 0.2, 0.13, tones.accent)
    _legs(pen, (-0.66, 0.34), -0.3, 0.18, tones.main)
    body = [(-0.78, 0.22), (-0.4, 0.3), (0.1, 0.28), (0.44, 0.22), (0.5, -0.1), (0.42, -0.42)]
    pen.blob([*body, (-0.1, -0.44), (-0.72, -0.42), (-0.82, -0.1)], tones.main)
    pen.blob([(-0.6, 0.27), (-0.2, 0.29), (-0.18, 0), (-0.4, -0.14), (-0.58, 0.02)], tones.ink)
    pen.blob([(-0.81, -0.14), (-0.62, -0.1), (-0.58, -0.32), (-0.76, -0.4)], tones.ink)
    pen.blob([(0, -0.2), (0.16, -0.16), (0.22, -0.34), (0.06, -0.42), (-0.08, -0.34)], tones.ink)
    for side in (-1, 1):
        horn = [(side * 0.16, 0.74), (side * 0.3, 0.8), (side * 0.3, 0.96)]
        pen.line([(0.52 + x, y) for x, y in horn], 0.09, IVORY, curved=True)
        pen.ellipse(0.52 + side * 0.34, 0.6, 0.15, 0.085, tones.dark, angle=side * -12)
    face = [(0.26, 0.66), (0.4, 0.8), (0.64, 0.8), (0.78, 0.66), (0.72, 0.2), (0.52, 0.06)]
    pen.blob([*face, (0.32, 0.2)], tones.main)
    pen.blob([(0.54, 0.8), (0.72, 0.76), (0.78, 0.62), (0.74, 0.42), (0.6, 0.46)], tones.ink)
    pen.ellipse(0.52, 0.16, 0.28, 0.19, tones.accent)
    for side in (-1, 1):
        pen.ellipse(0.52 + side * 0.11, 0.19, 0.04, 0.055, tones.ink)
        if side == 1:
            pen.ellipse(0.66, 0.54, 0.1, 0.1, IVORY)
        pen.eye(0.52 + side * 0.14, 0.54, 0.075)


@subject("sheep", "sheep", words=("lamb", "ram", "ewe"), colors=("white", "gray", "brown"),
         accent="black", scale=0.45, places=("meadow", "farm", "mountains"))  # fmt: skip
def draw_sheep(pen: Pen) -> None:
    """A woolly sheep that stands, its face dark."""
    tones = pen.tones
    for x in (-0.48, -0.24, 0.2, 0.42):
        pen.line([(x, -0.4), (x, -0.92)], 0.14, tones.accent)
    wool = [(-0.62, 0.1), (-0.36, 0.34), (0, 0.42), (0.34, 0.34), (0.52, 0.06), (0.5, -0.26)]
    wool += [(0.26, -0.42), (-0.04, -0.44), (-0.36, -0.42), (-0.62, -0.24)]
    for x, y in wool:
        pen.ellipse(x, y - 0.04, 0.26, 0.25, tones.dark)
    for x, y in wool:
        pen.ellipse(x, y + 0.01, 0.25, 0.24, tones.main)
    pen.ellipse(-0.05, -0.04, 0.6, 0.44, tones.main)
    for x, y in ((-0.4, 0.1), (-0.1, 0.22), (-0.2, -0.2), (-0.5, -0.2), (0.12, -0.1)):
        pen.line([(x - 0.1, y), (x, y - 0.06), (x + 0.1, y)], 0.03, tones.dark, curved=True)
    for side in (-1, 1):
        pen.ellipse(0.58 + side * 0.28, 0.42, 0.16, 0.08, tones.accent, angle=side * -24)
    face = [(0.38, 0.56), (0.58, 0.66), (0.78, 0.56), (0.76, 0.2), (0.58, 0), (0.4, 0.2)]
    pen.blob(face, tones.accent)
    for x, y in ((0.42, 0.64), (0.74, 0.64), (0.58, 0.7)):
        pen.ellipse(x, y, 0.15, 0.14, tones.main)
    for side in (-1, 1):
        pen.ellipse(0.58 + side * 0.11, 0.38, 0.085, 0.09, IVORY)
        pen.eye(0.58 + side * 0.1, 0.38, 0.055)
        pen.ellipse(0.58 + side * 0.05, 0.12, 0.025, 0.035, mix(tones.accent, IVORY, 0.5))


@subject("pig", words=("piglet", "hog", "boar"), colors=("pink", "brown", "black", "white"),
         accent="pink", scale=0.45, places=("farm", "meadow", "garden"))  # fmt: skip
def draw_pig(pen: Pen) -> None:
    """A round pig with a snout and a curly tail."""
    tones = pen.tones
    curl = [(-0.72, 0), (-0.9, 0.02), (-0.96, 0.18), (-0.84, 0.26), (-0.78, 0.14), (-0.94, 0.06)]
    pen.line(curl, 0.06, tones.dark, curved=True)
    _legs(pen, (-0.26, 0.08), -0.4, 0.2, tones.dark)
    _legs(pen, (-0.54, 0.36), -0.4, 0.22, tones.main)
    pen.ellipse(-0.12, -0.14, 0.7, 0.54, tones.main)
    pen.polygon([(0.62, 0.4), (0.9, 0.76), (0.92, 0.32)], tones.dark)
    pen.ellipse(0.5, 0.14, 0.44, 0.43, tones.main)
    pen.blob([(0.14, 0.44), (0.08, 0.84), (0.3, 0.76), (0.5, 0.5)], tones.dark)
    pen.ellipse(0.66, 0.02, 0.24, 0.19, tones.dark)
    pen.ellipse(0.68, 0.03, 0.22, 0.17, tones.light)
    for x in (0.6, 0.77):
        pen.ellipse(x, 0.03, 0.04, 0.07, tones.ink)
    pen.ellipse(0.3, 0.02, 0.1, 0.08, mix(tones.main, (226, 84, 110), 0.4))
    for x in (0.42, 0.8):
        pen.eye(x, 0.3, 0.075)
    pen.line([(0.5, -0.2), (0.62, -0.26), (0.74, -0.22)], 0.03, tones.ink, curved=True)


@subject("elephant", colors=("gray", "blue", "brown"), accent="pink", scale=0.6,
         places=("desert", "meadow", "forest"))  # fmt: skip
def draw_elephant(pen: Pen) -> None:
    """An elephant that stands, its trunk curled up at the end."""
    tones = pen.tones
    pen.line([(-0.78, 0.2), (-0.94, -0.05), (-0.92, -0.34)], 0.05, tones.dark, curved=True)
    pen.ellipse(-0.92, -0.38, 0.05, 0.1, tones.ink)
    for xs, color in (((-0.34, 0.1), tones.dark), ((-0.6, 0.32), tones.main)):
        for x in xs:
            pen.polygon([(x - 0.16, -0.2), (x + 0.16, -0.2), (x + 0.15, -1), (x - 0.15, -1)], color)
    for x in (-0.69, -0.6, -0.51, 0.23, 0.32, 0.41):
        pen.ellipse(x, -0.95, 0.04, 0.045, IVORY)
    body = [(-0.72, 0.36), (-0.3, 0.56), (0.2, 0.5), (0.5, 0.2), (0.48, -0.3), (0.1, -0.46)]
    pen.blob([*body, (-0.4, -0.46), (-0.76, -0.4), (-0.82, 0)], tones.main)
    trunk = [(0.5, 0.4), (0.86, 0.36), (0.84, -0.1), (0.78, -0.52), (0.86, -0.66), (0.98, -0.58)]
    trunk += [(1, -0.74), (0.82, -0.86), (0.6, -0.7), (0.58, -0.3), (0.5, 0)]
    pen.blob(trunk, tones.main)
    for y in (-0.2, -0.36, -0.52):
        pen.line([(0.66, y), (0.77, y)], 0.03, tones.dark)
    pen.line([(0.56, 0.1), (0.72, -0.02), (0.92, 0.08)], 0.09, IVORY, curved=True)
    pen.ellipse(0.52, 0.38, 0.38, 0.4, tones.main)
    pen.eye(0.7, 0.44, 0.07)
    ear = [(0.4, 0.7), (0.2, 0.86), (-0.1, 0.8), (-0.26, 0.46), (-0.16, 0.04), (0.08, -0.14)]
    ear += [(0.3, 0.04), (0.42, 0.36)]
    pen.blob(ear, tones.dark)
    inner = [(0.1 + (x - 0.1) * 0.7, 0.38 + (y - 0.38) * 0.7) for x, y in ear]
    pen.blob(inner, mix(tones.main, tones.accent, 0.6))


@subject("giraffe", colors=("yellow", "golden", "orange"), accent="brown", scale=0.5,
         places=("desert", "meadow"))  # fmt: skip
def draw_giraffe(pen: Pen) -> None:
    """A giraffe that stands, its neck high."""
    tones = pen.tones
    pen.line([(-0.62, -0.2), (-0.74, -0.4), (-0.72, -0.6)], 0.04, tones.dark, curved=True)
    pen.ellipse(-0.72, -0.66, 0.045, 0.1, tones.accent)
    _legs(pen, (-0.34, 0.1), -0.4, 0.12, tones.dark)
    _legs(pen, (-0.54, 0.28), -0.4, 0.13, tones.main)
    pen.line([(0.38, 0.78), (0.17, 0.3), (0.02, -0.1)], 0.12, tones.accent)
    pen.polygon([(0.36, 0.8), (0.62, 0.74), (0.5, 0.2), (0.42, -0.4), (-0.1, -0.2)], tones.main)
    body = [(-0.58, -0.16), (-0.3, -0.1), (0.02, -0.02), (0.3, 0), (0.42, -0.3), (0.3, -0.56)]
    pen.blob([*body, (-0.1, -0.58), (-0.5, -0.56), (-0.68, -0.34)], tones.main)
    spots = [(-0.5, -0.3, 0.09), (-0.28, -0.22, 0.08), (-0.3, -0.44, 0.08), (-0.06, -0.36, 0.1)]
    spots += [(0.02, -0.14, 0.07), (0.2, -0.24, 0.08), (0.16, -0.46, 0.07), (0.28, -0.02, 0.08)]
    spots += [(0.24, 0.2, 0.07), (0.4, 0.22, 0.06), (0.36, 0.4, 0.06)]
    for x, y, size in spots:
        ring = [(-1, 0.3), (-0.3, 1), (0.8, 0.8), (1, -0.3), (0.2, -1), (-0.8, -0.7)]
        pen.polygon([(x + a * size, y + b * size) for a, b in ring], tones.accent)
    for x in (0.4, 0.54):
        pen.line([(x, 0.8), (x - 0.02, 0.92)], 0.05, tones.dark)
        pen.ellipse(x - 0.02, 0.94, 0.05, 0.05, tones.accent)
    pen.ellipse(0.28, 0.82, 0.14, 0.06, tones.dark, angle=-20)
    head = [(0.34, 0.8), (0.48, 0.88), (0.66, 0.8), (0.9, 0.62), (0.92, 0.48), (0.8, 0.44)]
    pen.blob([*head, (0.56, 0.5), (0.4, 0.6)], tones.main)
    pen.blob([(0.78, 0.7), (0.92, 0.6), (0.93, 0.48), (0.8, 0.44), (0.7, 0.5)], tones.light)
    pen.ellipse(0.86, 0.6, 0.025, 0.025, tones.ink)
    pen.eye(0.56, 0.72, 0.06)


@subject("lion", words=("lioness",), colors=("golden", "orange", "yellow", "white"), accent="brown",
         scale=0.5, places=("desert", "meadow", "mountains"))  # fmt: skip
def draw_lion(pen: Pen) -> None:
    """A lion that sits, seen from the front, in a full mane."""
    tones = pen.tones
    pen.line([(0.3, -0.86), (0.76, -0.8), (0.84, -0.4)], 0.11, tones.dark, curved=True)
    pen.blob([(0.74, -0.42), (0.78, -0.14), (0.9, 0), (0.96, -0.24), (0.92, -0.44)], tones.accent)
    body = [(-0.5, -0.96), (-0.54, -0.62), (-0.36, -0.1), (0.36, -0.1), (0.54, -0.62)]
    pen.blob([*body, (0.5, -0.96)], tones.main)
    pen.line([(0, -0.6), (0, -0.9)], 0.025, tones.dark)
    rays = []
    for k in range(24):
        turn, far = math.pi * k / 12, 0.62 if k % 2 else 0.74
        rays.append((far * 1.02 * math.sin(turn), 0.28 + far * math.cos(turn)))
    pen.blob(rays, tones.accent)
    for side in (-1, 1):
        pen.line([(side * 0.29, -0.55), (side * 0.29, -0.85)], 0.025, tones.dark)
        pen.ellipse(side * 0.16, -0.92, 0.17, 0.09, tones.light)
        pen.ellipse(side * 0.4, 0.62, 0.15, 0.15, tones.main)
        pen.ellipse(side * 0.4, 0.62, 0.08, 0.08, tones.dark)
    pen.ellipse(0, 0.28, 0.46, 0.44, tones.main)
    for side in (-1, 1):
        pen.ellipse(side * 0.12, 0.08, 0.17, 0.14, tones.light)
        pen.eye(side * 0.2, 0.36, 0.085)
        mouth = [(0, 0.1), (side * 0.05, 0.02), (side * 0.13, 0.04)]
        pen.line(mouth, 0.03, tones.ink, curved=True)
    pen.blob([(-0.12, 0.22), (0.12, 0.22), (0, 0.08)], tones.ink)


@subject("mouse", "mice", words=("rat",), colors=("gray", "white", "brown"),
         accent="pink", scale=0.25, places=("room", "meadow", "farm", "garden"))  # fmt: skip
def draw_mouse(pen: Pen) -> None:
    """A mouse on all fours, with round ears and a long tail."""
    tones = pen.tones
    tail = [(-0.5, -0.86), (-0.9, -0.8), (-0.94, -0.4), (-0.72, -0.2), (-0.78, 0.1), (-0.96, 0.16)]
    pen.line(tail, 0.07, tones.accent, curved=True)
    pen.ellipse(0.56, 0.22, 0.28, 0.3, tones.dark)
    body = [(-0.66, -0.6), (-0.56, -0.16), (-0.2, 0.08), (0.2, 0), (0.56, -0.06), (0.84, -0.3)]
    pen.blob([*body, (0.98, -0.52), (0.86, -0.68), (0.5, -0.82), (0, -0.94), (-0.5, -0.92)],
             tones.main)  # fmt: skip
    pen.blob([(0.96, -0.56), (0.84, -0.68), (0.5, -0.82), (0.1, -0.93), (0.3, -0.72), (0.7, -0.58)],
             tones.light)  # fmt: skip
    pen.ellipse(0.14, 0.2, 0.38, 0.4, tones.dark)
    pen.ellipse(0.16, 0.2, 0.36, 0.38, tones.main)
    pen.ellipse(0.17, 0.18, 0.25, 0.27, tones.accent)
    for x in (-0.36, 0.4):
        pen.ellipse(x, -0.93, 0.17, 0.07, tones.accent)
    pen.ellipse(-0.3, -0.6, 0.3, 0.3, tones.dark)
    pen.ellipse(-0.27, -0.6, 0.29, 0.29, tones.main)
    pen.ellipse(0.95, -0.5, 0.075, 0.075, tones.accent)
    pen.eye(0.6, -0.3, 0.085)
    for y in (-0.5, -0.42, -0.62):
        pen.line([(0.78, -0.54), (0.46, y)], 0.018, tones.ink)
