"""Birds, what lives in the water, and small creatures. Side views look to the right."""

import math

from pe.studio.canvas import Pen
from pe.studio.color import Color, mix
from pe.studio.subject import subject

PALE: Color = (250, 248, 242)
BILL: Color = (240, 164, 48)


@subject("bird", words=("sparrow", "robin", "songbird", "bluebird"),
         colors=("blue", "red", "yellow", "teal"), accent="orange", stance="air", scale=0.35,
         places=("meadow", "forest", "garden", "mountains"))  # fmt: skip
def draw_bird(pen: Pen) -> None:
    """A small bird in flight, its wings up."""
    tones = pen.tones
    pen.blob([(0.1, 0.1), (0.16, 0.6), (0.42, 0.96), (0.56, 0.6), (0.42, 0.1)], tones.dark)
    pen.polygon([(-0.4, -0.05), (-0.98, 0.1), (-0.86, -0.14), (-0.98, -0.32), (-0.4, -0.4)],
                tones.dark)  # fmt: skip
    body = [(-0.6, -0.12), (-0.2, 0.16), (0.3, 0.36), (0.62, 0.4), (0.84, 0.16), (0.7, -0.2)]
    body += [(0.3, -0.52), (-0.2, -0.5)]
    pen.polygon([(0.76, 0.3), (1, 0.12), (0.76, 0.02)], tones.accent)
    pen.blob(body, tones.main)
    pen.blob([(0.76, -0.02), (0.66, -0.24), (0.3, -0.51), (-0.14, -0.5), (0.2, -0.24),
              (0.5, -0.06)], mix(tones.main, PALE, 0.75))  # fmt: skip
    wing = [(0.3, 0.06), (0.24, 0.4), (-0.02, 0.74), (-0.5, 0.96), (-0.54, 0.76), (-0.7, 0.66)]
    wing += [(-0.56, 0.5), (-0.6, 0.34), (-0.42, 0.28), (-0.3, 0.04), (0, -0.16)]
    pen.blob(wing, tones.dark)
    pen.blob([(0.24, 0.06), (0.18, 0.36), (-0.06, 0.64), (-0.3, 0.4), (-0.2, 0.1), (0, -0.08)],
             tones.light)  # fmt: skip
    pen.eye(0.58, 0.2, 0.08)


@subject("owl", words=("owlet",), colors=("brown", "gray", "white", "purple"), accent="orange",
         scale=0.35, places=("forest", "snow", "mountains"))  # fmt: skip
def draw_owl(pen: Pen) -> None:
    """An owl seen from the front, with great eyes."""
    tones = pen.tones
    for side in (-1, 1):
        for dx in (-0.1, 0, 0.1):
            pen.line([(side * 0.22, -0.86), (side * 0.22 + dx, -0.95)], 0.09, tones.accent)
        pen.polygon([(side * 0.62, 0.5), (side * 0.6, 1), (side * 0.1, 0.74)], tones.dark)
    body = [(0, 0.84), (0.44, 0.78), (0.66, 0.4), (0.66, -0.2), (0.5, -0.72), (0, -0.92)]
    pen.blob([*body, *((-x, y) for x, y in body[-2:0:-1])], tones.main)
    pen.ellipse(0, -0.34, 0.42, 0.48, tones.light)
    for y, xs in ((-0.18, (-0.22, 0, 0.22)), (-0.38, (-0.12, 0.12)), (-0.56, (-0.2, 0, 0.2))):
        for x in xs:
            pen.line([(x - 0.07, y), (x, y - 0.07), (x + 0.07, y)], 0.04, tones.dark)
    for side in (-1, 1):
        wing = [(0.58, 0.2), (0.8, -0.1), (0.82, -0.5), (0.62, -0.82), (0.44, -0.4)]
        pen.blob([(side * x, y) for x, y in wing], tones.dark)
        pen.ellipse(side * 0.28, 0.42, 0.33, 0.33, tones.dark)
        pen.ellipse(side * 0.28, 0.42, 0.27, 0.27, PALE)
        pen.eye(side * 0.24, 0.42, 0.15)
    pen.polygon([(-0.11, 0.32), (0.11, 0.32), (0, 0.06)], tones.accent)


@subject("duck", words=("duckling", "mallard"),
         colors=("yellow", "white", "brown", "green"), accent="orange", stance="water", scale=0.35,
         places=("sea", "farm", "garden", "meadow"))  # fmt: skip
def draw_duck(pen: Pen) -> None:
    """A duck that swims."""
    tones = pen.tones
    body = [(0.6, -0.2), (0.72, -0.5), (0.56, -0.84), (0.1, -1), (-0.4, -0.96), (-0.76, -0.7)]
    body += [(-0.98, -0.1), (-0.66, -0.24), (-0.3, -0.28), (0.06, -0.1), (0.2, 0.1)]
    pen.blob(body, tones.main)
    pen.blob([(0.6, 0.5), (0.84, 0.44), (0.99, 0.48), (0.94, 0.3), (0.7, 0.22), (0.5, 0.26)],
             tones.accent)  # fmt: skip
    pen.line([(0.62, 0.34), (0.92, 0.38)], 0.025, mix(tones.accent, (60, 30, 20), 0.5))
    pen.blob([(0.1, 0.96), (0.2, 0.74), (0.44, 0.8), (0.3, 0.9), (0.26, 1)], tones.main)
    pen.ellipse(0.34, 0.42, 0.4, 0.4, tones.main)
    wing = [(0.2, -0.36), (0.16, -0.64), (-0.2, -0.8), (-0.56, -0.66), (-0.74, -0.36)]
    pen.blob([*wing, (-0.5, -0.42), (-0.16, -0.3)], tones.dark)
    pen.line([(-0.5, -0.56), (-0.2, -0.66), (0.02, -0.58)], 0.035, tones.main, curved=True)
    pen.eye(0.46, 0.54, 0.09)


@subject("penguin", colors=("black", "blue", "gray"), accent="orange", scale=0.35,
         places=("snow", "sea"))  # fmt: skip
def draw_penguin(pen: Pen) -> None:
    """A penguin seen from the front, its flippers out."""
    tones = pen.tones
    for side in (-1, 1):
        pen.blob([(side * x, y) for x, y in ((0.08, -0.9), (0.26, -0.8), (0.5, -0.94), (0.28, -1))],
                 tones.accent)  # fmt: skip
        flipper = [(0.4, 0.16), (0.62, -0.02), (0.86, -0.42), (0.76, -0.5), (0.46, -0.3)]
        pen.blob([(side * x, y) for x, y in flipper], tones.dark)
    body = [(0, 0.98), (0.36, 0.86), (0.5, 0.5), (0.52, 0.1), (0.62, -0.4), (0.44, -0.84)]
    pen.blob([*body, (0, -0.94), *((-x, y) for x, y in body[:0:-1])], tones.main)
    pen.ellipse(0, -0.4, 0.42, 0.48, PALE)
    for side in (-1, 1):
        pen.ellipse(side * 0.17, 0.46, 0.23, 0.27, PALE)
    pen.ellipse(0, 0.3, 0.26, 0.2, PALE)
    for side in (-1, 1):
        pen.eye(side * 0.2, 0.52, 0.085)
        pen.ellipse(side * 0.27, 0.34, 0.07, 0.05, (244, 170, 170))
    pen.polygon([(-0.14, 0.42), (0.14, 0.42), (0, 0.22)], tones.accent)


@subject("rooster", words=("chicken", "hen", "cock", "cockerel"),
         colors=("brown", "white", "golden", "orange", "black"), accent="red", scale=0.4,
         places=("farm", "garden", "meadow"))  # fmt: skip
def draw_rooster(pen: Pen) -> None:
    """A rooster that stands, with a comb and sickle feathers."""
    tones = pen.tones
    sickle = [(-0.1, -0.06), (-0.04, 0.3), (-0.24, 0.62), (-0.6, 0.7), (-0.36, 0.44), (-0.34, 0)]
    for k in range(4):
        color = (tones.ink, mix(tones.ink, (30, 130, 120), 0.7))[k % 2]
        cos, sin = math.cos(0.34 * k - 0.06), math.sin(0.34 * k - 0.06)
        low = -0.05 * k
        plume = [((x + 0.2) * cos - y * sin, (x + 0.2) * sin + y * cos) for x, y in sickle]
        pen.blob([(x - 0.2, y + low) for x, y in plume], color)
    for x in (-0.04, 0.2):
        pen.line([(x, -0.6), (x, -0.94)], 0.06, BILL)
        pen.line([(x - 0.12, -0.97), (x + 0.18, -0.97)], 0.06, BILL)
    for x, y in ((0.3, 0.82), (0.44, 0.9), (0.58, 0.82)):
        pen.ellipse(x, y, 0.1, 0.11, tones.accent)
    body = [(0.26, 0.66), (0.46, 0.8), (0.66, 0.7), (0.7, 0.4), (0.72, -0.1), (0.5, -0.5)]
    body += [(0.1, -0.7), (-0.3, -0.6), (-0.56, -0.2), (-0.5, 0.16), (-0.2, 0), (0.1, 0.14)]
    pen.blob(body, tones.main)
    neck = [(0.66, 0.34), (0.72, 0), (0.58, -0.16), (0.46, -0.06), (0.32, -0.16), (0.2, -0.02)]
    pen.polygon([*neck, (0.06, -0.08), (0.14, 0.2), (0.26, 0.44)], tones.light)
    pen.blob([(0.04, -0.14), (-0.3, -0.02), (-0.6, -0.2), (-0.4, -0.44), (-0.1, -0.5),
              (0.14, -0.36)], tones.dark)  # fmt: skip
    pen.polygon([(0.66, 0.7), (0.96, 0.52), (0.66, 0.44)], BILL)
    pen.ellipse(0.66, 0.34, 0.085, 0.14, tones.accent)
    pen.eye(0.52, 0.6, 0.07)


@subject("fish", "fish", words=("goldfish", "trout", "salmon"),
         colors=("orange", "blue", "golden", "red", "teal"), accent="white", stance="water",
         scale=0.4, places=("sea",))  # fmt: skip
def draw_fish(pen: Pen) -> None:
    """A fish with two bands and broad fins."""
    tones = pen.tones
    pen.blob([(-0.4, 0.02), (-0.8, 0.5), (-0.98, 0.54), (-0.86, 0.02), (-0.98, -0.5),
              (-0.8, -0.46)], tones.dark)  # fmt: skip
    pen.blob([(0.4, 0.4), (0.16, 0.8), (-0.3, 0.82), (-0.26, 0.6), (-0.4, 0.3)], tones.dark)
    pen.blob([(0.2, -0.4), (-0.06, -0.78), (-0.3, -0.72), (-0.26, -0.3)], tones.dark)
    body = [(0.98, 0.06), (0.74, 0.4), (0.3, 0.56), (-0.16, 0.44), (-0.54, 0.12), (-0.54, -0.1)]
    pen.blob([*body, (-0.16, -0.42), (0.3, -0.54), (0.76, -0.32), (0.94, -0.08)], tones.main)
    pen.blob([(0.46, 0.5), (0.3, 0.55), (0.2, 0.02), (0.3, -0.53), (0.46, -0.48), (0.38, 0)],
             tones.accent)  # fmt: skip
    pen.blob([(-0.1, 0.45), (-0.24, 0.37), (-0.3, 0), (-0.22, -0.36), (-0.1, -0.43), (-0.16, 0)],
             tones.accent)  # fmt: skip
    pen.blob([(0.24, 0.02), (0.02, 0.1), (-0.16, -0.02), (-0.12, -0.24), (0.1, -0.18)], tones.dark)
    pen.ellipse(0.68, 0.16, 0.12, 0.12, PALE)
    pen.eye(0.69, 0.16, 0.085)
    pen.line([(0.94, -0.08), (0.82, -0.12), (0.76, -0.08)], 0.03, tones.ink, curved=True)


@subject("whale", words=("orca",), colors=("blue", "gray", "teal"), accent="white", stance="water",
         scale=0.6, places=("sea",))  # fmt: skip
def draw_whale(pen: Pen) -> None:
    """A whale that spouts, its flukes up."""
    tones = pen.tones
    spray = (150, 204, 232)
    for side in (-1, 1):
        jet = [(0.36, 0.1), (0.36 + side * 0.08, 0.66), (0.36 + side * 0.3, 0.66)]
        pen.line([*jet, (0.36 + side * 0.36, 0.46)], 0.09, spray, curved=True)
    for side in (-1, 1):
        fluke = [(-0.72, 0.3), (-0.72 + side * 0.06, 0.5), (-0.72 + side * 0.27, 0.62)]
        fluke += [(-0.72 + side * 0.26, 0.36), (-0.72 + side * 0.1, 0.16)]
        pen.blob(fluke, tones.dark)
    body = [(0.98, -0.32), (0.84, 0.08), (0.42, 0.24), (0, 0.14), (-0.36, -0.2), (-0.6, -0.22)]
    body += [(-0.66, 0.3), (-0.8, 0.3), (-0.9, -0.3), (-0.66, -0.76), (-0.1, -0.98)]
    pen.blob([*body, (0.5, -0.94), (0.86, -0.72)], tones.main)
    belly = [(0.96, -0.4), (0.86, -0.72), (0.5, -0.94), (-0.1, -0.98), (-0.56, -0.84)]
    pen.blob([*belly, (-0.1, -0.76), (0.3, -0.52), (0.66, -0.42)], tones.accent)
    pen.blob([(0.3, -0.56), (0.06, -0.6), (-0.16, -0.92), (0.1, -0.94), (0.3, -0.76)], tones.dark)
    pen.eye(0.58, -0.26, 0.075)
    pen.line([(0.94, -0.36), (0.8, -0.46), (0.66, -0.42)], 0.03, tones.ink, curved=True)


@subject("shark", colors=("gray", "blue", "teal"), accent="white", stance="water", scale=0.55,
         places=("sea",))  # fmt: skip
def draw_shark(pen: Pen) -> None:
    """A shark with its jaw open and a tall fin."""
    tones = pen.tones
    pen.blob([(-0.62, -0.04), (-0.8, 0.4), (-0.98, 0.66), (-0.9, 0.04), (-0.98, -0.46),
              (-0.78, -0.26)], tones.dark)  # fmt: skip
    pen.polygon([(0.3, 0.3), (0.02, 0.6), (-0.18, 0.92), (-0.22, 0.6), (-0.3, 0.24)], tones.dark)
    pen.polygon([(-0.36, -0.2), (-0.54, -0.46), (-0.58, -0.1)], tones.dark)
    body = [(0.99, 0.1), (0.7, 0.3), (0.3, 0.4), (-0.2, 0.32), (-0.6, 0.1), (-0.8, 0.04)]
    body += [(-0.8, -0.08), (-0.5, -0.18), (-0.1, -0.38), (0.36, -0.44), (0.7, -0.28)]
    pen.blob(body, tones.main)
    pen.blob([(0.84, -0.1), (0.7, -0.28), (0.36, -0.44), (-0.1, -0.38), (-0.5, -0.18), (0, -0.2),
              (0.4, -0.1)], tones.accent)  # fmt: skip
    mouth = [(0.88, -0.02), (0.66, -0.02), (0.42, -0.14), (0.62, -0.28), (0.74, -0.22)]
    pen.polygon(mouth, (150, 50, 60))
    for x, y in ((0.84, -0.02), (0.72, -0.02), (0.6, -0.05)):
        pen.polygon([(x + 0.05, y), (x - 0.06, y), (x - 0.01, y - 0.09)], PALE)
    for x in (0.28, 0.19, 0.1):
        pen.line([(x, 0.1), (x - 0.03, -0.08)], 0.03, tones.ink)
    pen.polygon([(0.24, -0.24), (0.02, -0.26), (-0.2, -0.84), (0.02, -0.66)], tones.dark)
    pen.eye(0.6, 0.14, 0.065)


@subject("octopus", "octopuses", words=("squid", "kraken"),
         colors=("purple", "orange", "red", "pink", "teal"), accent="pink", stance="water",
         scale=0.45, places=("sea", "beach"))  # fmt: skip
def draw_octopus(pen: Pen) -> None:
    """An octopus seen from the front, its arms curled."""
    tones = pen.tones
    arms = [[(0.3, 0), (0.62, 0), (0.82, -0.2), (0.94, 0), (0.84, 0.12)]]
    arms += [[(0.3, -0.1), (0.52, -0.44), (0.82, -0.5), (0.92, -0.34)]]
    arms += [[(0.26, -0.1), (0.42, -0.6), (0.62, -0.86), (0.8, -0.82), (0.82, -0.7)]]
    arms += [[(0.1, -0.1), (0.13, -0.6), (0.2, -0.88), (0.36, -0.9), (0.4, -0.78)]]
    for side in (-1, 1):
        for k, arm in enumerate(arms):
            color = (tones.dark, tones.main)[k % 2]
            pen.line([(side * x, y) for x, y in arm], 0.18, color, curved=True)
    for side in (-1, 1):
        for x, y in ((0.1, -0.52), (0.12, -0.68), (0.2, -0.82), (0.44, -0.4), (0.58, -0.48)):
            pen.ellipse(side * x, y, 0.04, 0.04, tones.light)
    head = [(0, 0.99), (0.4, 0.88), (0.6, 0.52), (0.5, 0.12), (0.42, -0.14), (0.2, -0.26)]
    pen.blob([*head, (0, -0.22), *((-x, y) for x, y in head[:0:-1])], tones.main)
    for x, y, size in ((-0.24, 0.74, 0.09), (-0.04, 0.84, 0.06), (0.3, 0.7, 0.06)):
        pen.ellipse(x, y, size, size, tones.light)
    for side in (-1, 1):
        pen.ellipse(side * 0.22, 0.26, 0.15, 0.16, PALE)
        pen.eye(side * 0.2, 0.26, 0.11)
        pen.ellipse(side * 0.38, 0.06, 0.08, 0.05, tones.accent)
    pen.line([(-0.12, 0.04), (0, -0.02), (0.12, 0.04)], 0.035, tones.ink, curved=True)


@subject("crab", colors=("red", "orange", "blue"), scale=0.4,
         places=("beach", "sea"))  # fmt: skip
def draw_crab(pen: Pen) -> None:
    """A crab seen from the front, its claws up."""
    tones = pen.tones
    claw = [(0.66, 0.1), (0.94, 0.24), (1, 0.6), (0.84, 0.94), (0.8, 0.62), (0.7, 0.5)]
    claw += [(0.58, 0.58), (0.48, 0.82), (0.42, 0.5), (0.5, 0.22)]
    for side in (-1, 1):
        for k, y in enumerate((-0.4, -0.54, -0.66)):
            knee, foot = (0.92 - 0.12 * k, y + 0.06), (0.98 - 0.2 * k, -0.78 - 0.08 * k)
            pen.line([(side * 0.4, y), (side * knee[0], knee[1]), (side * foot[0], foot[1])],
                     0.1, tones.dark)  # fmt: skip
        pen.line([(side * 0.46, -0.2), (side * 0.74, -0.08), (side * 0.68, 0.2)], 0.15, tones.dark)
        pen.blob([(side * x, y) for x, y in claw], tones.main)
        pen.line([(side * 0.2, -0.1), (side * 0.22, 0.28)], 0.08, tones.dark)
    shell = [(0, 0.06), (0.4, 0), (0.64, -0.28), (0.54, -0.66), (0.28, -0.84), (0, -0.88)]
    pen.blob([*shell, *((-x, y) for x, y in shell[-2:0:-1])], tones.main)
    for x, y, size in ((-0.34, -0.16, 0.07), (-0.16, -0.08, 0.05), (0.36, -0.14, 0.06)):
        pen.ellipse(x, y, size, size * 0.8, tones.light)
    for side in (-1, 1):
        pen.ellipse(side * 0.22, 0.34, 0.16, 0.16, PALE)
        pen.eye(side * 0.2, 0.34, 0.11)
        pen.ellipse(side * 0.36, -0.44, 0.09, 0.06, tones.light)
    pen.line([(-0.2, -0.42), (0, -0.54), (0.2, -0.42)], 0.045, tones.ink, curved=True)


@subject("turtle", words=("tortoise",), colors=("green", "teal", "brown"), accent="green",
         scale=0.4, places=("beach", "garden", "sea", "forest"))  # fmt: skip
def draw_turtle(pen: Pen) -> None:
    """A turtle that walks, under a domed shell."""
    tones = pen.tones
    skin = mix(tones.accent, (240, 224, 130), 0.5)
    shade = mix(skin, tones.ink, 0.25)
    for x, color in ((-0.3, shade), (0.22, shade), (-0.52, skin), (0.4, skin)):
        pen.blob([(x - 0.16, -0.4), (x + 0.16, -0.4), (x + 0.18, -0.93), (x - 0.12, -0.94)], color)
    pen.polygon([(-0.7, -0.4), (-0.99, -0.66), (-0.66, -0.6)], skin)
    pen.blob([(0.4, -0.3), (0.62, 0.1), (0.7, 0.3), (0.9, 0.3), (0.82, -0.1), (0.66, -0.56)], skin)
    pen.ellipse(0.78, 0.22, 0.22, 0.23, skin)
    dome = [(-0.8, -0.46), (-0.74, -0.04), (-0.52, 0.36), (-0.12, 0.54), (0.28, 0.36)]
    pen.blob([*dome, (0.52, -0.04), (0.6, -0.46)], tones.main)
    ring = [(math.cos(math.pi * k / 3), math.sin(math.pi * k / 3)) for k in range(6)]
    for x, y, size in ((-0.12, 0.08, 0.22), (-0.52, -0.08, 0.16), (0.28, -0.08, 0.16),
                       (-0.12, 0.44, 0.09)):  # fmt: skip
        pen.polygon([(x + a * size, y + b * size) for a, b in ring], tones.dark)
    pen.line([(-0.78, -0.42), (-0.1, -0.48), (0.58, -0.42)], 0.14, tones.dark, curved=True)
    pen.eye(0.84, 0.28, 0.075)
    pen.line([(0.98, 0.14), (0.88, 0.08), (0.76, 0.12)], 0.03, tones.ink, curved=True)


@subject("frog", words=("toad",), colors=("green", "teal", "yellow", "red"), accent="pink",
         scale=0.3, places=("garden", "forest", "meadow"))  # fmt: skip
def draw_frog(pen: Pen) -> None:
    """A frog that sits, seen from the front."""
    tones = pen.tones
    for side in (-1, 1):
        pen.ellipse(side * 0.62, -0.58, 0.3, 0.36, tones.dark, angle=side * -20)
        for dx in (-0.12, 0.02, 0.16):
            pen.line([(side * 0.66, -0.86), (side * (0.74 + dx), -0.94)], 0.1, tones.dark)
    pen.ellipse(0, -0.42, 0.54, 0.54, tones.main)
    pen.ellipse(0, -0.48, 0.36, 0.4, tones.light)
    for side in (-1, 1):
        pen.line([(side * 0.36, -0.3), (side * 0.3, -0.9)], 0.17, tones.main)
        for dx in (-0.14, 0, 0.14):
            pen.line([(side * 0.3, -0.88), (side * 0.3 + dx, -0.95)], 0.09, tones.main)
        pen.ellipse(side * 0.42, 0.62, 0.27, 0.28, tones.main)
    pen.ellipse(0, 0.2, 0.78, 0.46, tones.main)
    for side in (-1, 1):
        pen.ellipse(side * 0.42, 0.64, 0.19, 0.2, PALE)
        pen.eye(side * 0.4, 0.64, 0.13)
        pen.ellipse(side * 0.56, 0.12, 0.1, 0.07, tones.accent)
        pen.ellipse(side * 0.07, 0.3, 0.025, 0.025, tones.ink)
    pen.line([(-0.56, 0.24), (-0.3, 0.06), (0, 0), (0.3, 0.06), (0.56, 0.24)], 0.05, tones.ink,
             curved=True)  # fmt: skip


@subject("snail", colors=("brown", "orange", "pink", "purple"), accent="yellow",
         scale=0.3, places=("garden", "forest", "meadow"))  # fmt: skip
def draw_snail(pen: Pen) -> None:
    """A snail under its spiral shell."""
    tones = pen.tones
    skin = mix(tones.accent, PALE, 0.25)
    for x, y in ((0.6, 0.42), (0.9, 0.34)):
        pen.line([(0.72, -0.1), (x, y)], 0.08, skin)
    body = [(-0.99, -0.97), (-0.6, -0.72), (0, -0.5), (0.36, -0.3), (0.5, 0), (0.74, 0.06)]
    pen.blob([*body, (0.94, -0.1), (0.92, -0.46), (0.72, -0.92), (0.4, -0.98), (-0.4, -0.98)], skin)
    pen.line([(-0.8, -0.95), (0.4, -0.95), (0.66, -0.88)], 0.06, mix(skin, tones.ink, 0.25))
    pen.ellipse(-0.14, 0, 0.72, 0.7, tones.dark)
    pen.ellipse(-0.14, 0.03, 0.68, 0.66, tones.main)
    coil = []
    for k in range(40):
        turn, far = 0.33 * k, 0.62 * (1 - k / 40)
        coil.append((-0.14 + far * math.cos(turn - 0.9), far * math.sin(turn - 0.9)))
    pen.line(coil, 0.085, tones.dark, curved=True)
    for x, y in ((0.6, 0.44), (0.9, 0.36)):
        pen.ellipse(x, y, 0.1, 0.1, PALE)
        pen.eye(x + 0.01, y, 0.08)
    pen.line([(0.9, -0.2), (0.8, -0.26), (0.7, -0.22)], 0.03, tones.ink, curved=True)


@subject("butterfly", "butterflies", words=("moth", "monarch"),
         colors=("orange", "blue", "purple", "yellow", "pink"), stance="air", scale=0.3,
         places=("meadow", "garden", "forest"))  # fmt: skip
def draw_butterfly(pen: Pen) -> None:
    """A butterfly seen from above, its four wings spread."""
    tones = pen.tones
    upper = [(0.04, 0.06), (0.24, 0.6), (0.62, 0.94), (0.94, 0.9), (0.98, 0.5), (0.76, 0.06)]
    upper += [(0.4, -0.1)]
    lower = [(0.04, 0), (0.4, -0.06), (0.74, -0.24), (0.78, -0.66), (0.5, -0.94), (0.24, -0.74)]
    for side in (-1, 1):
        for wing, x, y in ((lower, 0.44, -0.46), (upper, 0.58, 0.44)):
            pen.blob([(side * a, b) for a, b in wing], tones.ink)
            inner = [(x + (a - x) * 0.84, y + (b - y) * 0.84) for a, b in wing]
            pen.blob([(side * a, b) for a, b in inner], tones.main)
        pen.ellipse(side * 0.66, 0.56, 0.17, 0.17, tones.light)
        pen.ellipse(side * 0.4, 0.22, 0.1, 0.1, tones.dark)
        pen.ellipse(side * 0.52, -0.5, 0.13, 0.13, tones.light)
        for x, y in ((0.9, 0.78), (0.92, 0.6), (0.78, 0.88), (0.68, -0.72), (0.73, -0.56)):
            pen.ellipse(side * x, y, 0.035, 0.035, tones.accent)
        pen.line([(0, 0.4), (side * 0.12, 0.72), (side * 0.28, 0.88)], 0.04, tones.ink, curved=True)
        pen.ellipse(side * 0.28, 0.88, 0.05, 0.05, tones.ink)
    pen.ellipse(0, -0.12, 0.09, 0.5, tones.ink)
    pen.ellipse(0, 0.38, 0.12, 0.12, tones.ink)


@subject("bee", words=("bumblebee", "honeybee", "wasp"), colors=("yellow", "golden", "orange"),
         stance="air", scale=0.25, places=("meadow", "garden"))  # fmt: skip
def draw_bee(pen: Pen) -> None:
    """A round bee in flight."""
    tones = pen.tones
    wing = (206, 228, 242)
    pen.polygon([(-0.7, -0.12), (-1, -0.26), (-0.7, -0.38)], tones.ink)
    pen.ellipse(-0.34, 0.5, 0.28, 0.46, mix(wing, tones.ink, 0.2), angle=30)
    for x, tip in ((0.48, 0.4), (0.64, 0.72)):
        pen.line([(x, 0.14), (x + 0.02, 0.44), (tip + 0.12, 0.6)], 0.05, tones.ink, curved=True)
        pen.ellipse(tip + 0.12, 0.6, 0.07, 0.07, tones.ink)
    pen.ellipse(-0.08, -0.26, 0.74, 0.56, tones.main)
    for left, right in ((-0.62, -0.42), (-0.2, 0.04)):
        edge = [left + (right - left) * k / 6 for k in range(7)]
        arch = [(x, 0.56 * math.sqrt(1 - ((x + 0.08) / 0.74) ** 2)) for x in edge]
        pen.polygon([*((x, -0.26 + h) for x, h in arch), *((x, -0.26 - h) for x, h in arch[::-1])],
                    tones.ink)  # fmt: skip
    pen.ellipse(0.52, -0.2, 0.42, 0.42, tones.main)
    pen.ellipse(0, 0.48, 0.32, 0.5, wing, angle=-12)
    pen.ellipse(0.02, 0.44, 0.2, 0.36, PALE, angle=-12)
    for x in (0.46, 0.78):
        pen.eye(x, -0.12, 0.09)
    pen.ellipse(0.36, -0.32, 0.09, 0.06, (240, 132, 110))
    pen.line([(0.5, -0.34), (0.62, -0.42), (0.74, -0.34)], 0.035, tones.ink, curved=True)
