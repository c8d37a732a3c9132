"""Vehicles: on wheels, on water, in the air. They face right."""

import math

from pe.studio.canvas import Number, Pen, Point, circle
from pe.studio.color import NAMED, Color, darken, lighten
from pe.studio.subject import subject

GLASS: Color = (186, 222, 238)
LAMP: Color = (252, 222, 128)
TIRE: Color = (48, 46, 54)
SMOKE: Color = (236, 234, 230)


def _wheel(pen: Pen, x: Number, radius: Number, hub: Color, *, foot: Number = -1.0) -> None:
    """Draw a wheel that stands on y = foot."""
    pen.ellipse(x, foot + radius, radius, radius, TIRE)
    pen.ellipse(x, foot + radius, radius * 0.55, radius * 0.55, hub)
    pen.ellipse(x, foot + radius, radius * 0.2, radius * 0.2, TIRE)


def _round_rect(pen: Pen, x0: Number, y0: Number, x1: Number, y1: Number, color: Color) -> None:
    """Fill a box with round corners."""
    radius = min(x1 - x0, y1 - y0, 0.6) * 0.3
    pen.rect(x0 + radius, y0, x1 - radius, y1, color)
    pen.rect(x0, y0 + radius, x1, y1 - radius, color)
    for x in (x0 + radius, x1 - radius):
        for y in (y0 + radius, y1 - radius):
            pen.ellipse(x, y, radius, radius, color)


def _smoke(pen: Pen, puffs: tuple[tuple[float, float, float], ...]) -> None:
    """Draw round puffs of smoke: x, y, radius."""
    for x, y, radius in puffs:
        pen.ellipse(x, y, radius, radius, SMOKE)


@subject("boat", words=("sailboat", "sailing boat", "yacht", "dinghy", "sailing ship"),
         colors=("red", "blue", "white", "brown", "green"), accent="white", stance="water",
         scale=0.45, places=("sea", "beach"))  # fmt: skip
def draw_boat(pen: Pen) -> None:
    """A sailing boat with a striped mainsail and a jib."""
    tones = pen.tones
    pen.line([(0.04, -0.6), (0.04, 0.98)], 0.06, NAMED["brown"])
    main_sail = [(-0.02, 0.92), (-0.3, 0.4), (-0.62, -0.12), (-0.8, -0.42), (-0.02, -0.42)]
    pen.polygon(main_sail, tones.accent)
    pen.polygon([(-0.34, 0.34), (-0.62, -0.12), (-0.02, -0.12), (-0.02, 0.34)], tones.main)
    pen.polygon([(0.1, 0.8), (0.78, -0.42), (0.1, -0.42)], lighten(tones.main, 0.15))
    pen.polygon([(0.04, 0.98), (-0.26, 0.91), (0.04, 0.84)], tones.main)
    hull = [(-0.95, -0.52), (0.98, -0.52), (0.8, -0.78), (0.62, -0.95), (-0.66, -0.95)]
    pen.polygon(hull, tones.main)
    pen.polygon([(-0.78, -0.78), (0.8, -0.78), (0.62, -0.95), (-0.66, -0.95)], tones.dark)
    pen.polygon([(-0.95, -0.52), (0.98, -0.52), (0.92, -0.6), (-0.91, -0.6)], tones.accent)


@subject("ship",
         words=("steamer", "steamship", "steamboat", "ocean liner", "liner", "ferry", "vessel"),
         colors=("red", "black", "blue", "white", "green"), accent="white", stance="water",
         scale=0.6, places=("sea",))  # fmt: skip
def draw_ship(pen: Pen) -> None:
    """A steamer with two funnels that smoke."""
    tones = pen.tones
    _smoke(pen, ((-0.28, 0.62, 0.12), (-0.46, 0.74, 0.16), (-0.7, 0.82, 0.2)))
    _smoke(pen, ((0.2, 0.66, 0.1), (0.06, 0.76, 0.13), (-0.1, 0.86, 0.15)))
    for x in (-0.24, 0.22):
        pen.polygon([(x - 0.13, -0.1), (x - 0.13, 0.52), (x + 0.11, 0.52), (x + 0.11, -0.1)],
                    tones.main)  # fmt: skip
        pen.rect(x - 0.13, 0.38, x + 0.11, 0.54, tones.ink)
    pen.line([(0.68, -0.4), (0.68, 0.42)], 0.04, tones.ink)
    pen.polygon([(-0.5, -0.14), (-0.5, 0.08), (0.48, 0.08), (0.54, -0.14)], tones.accent)
    pen.polygon([(-0.72, -0.42), (-0.72, -0.12), (0.6, -0.12), (0.68, -0.42)], tones.accent)
    pen.rect(-0.72, -0.16, 0.61, -0.12, darken(tones.accent, 0.3))
    for k in range(7):
        pen.ellipse(-0.58 + 0.18 * k, -0.29, 0.05, 0.05, darken(tones.main, 0.5))
    for k in range(5):
        pen.rect(-0.42 + 0.18 * k, -0.06, -0.32 + 0.18 * k, 0.02, darken(tones.main, 0.5))
    pen.polygon([(-0.96, -0.4), (-0.84, -0.95), (0.74, -0.95), (0.86, -0.66), (1, -0.28),
                 (0.7, -0.4)], tones.main)  # fmt: skip
    pen.polygon([(-0.88, -0.78), (-0.84, -0.95), (0.74, -0.95), (0.82, -0.78)], tones.dark)
    pen.line([(-0.9, -0.5), (0.84, -0.5)], 0.05, tones.accent)


@subject("train", words=("locomotive", "steam train", "steam locomotive", "steam engine"),
         colors=("red", "green", "black", "blue"), accent="golden", scale=0.6,
         places=("meadow", "mountains", "forest", "city"))  # fmt: skip
def draw_train(pen: Pen) -> None:
    """A steam locomotive under steam."""
    tones = pen.tones
    _smoke(pen, ((0.5, 0.58, 0.12), (0.34, 0.72, 0.16), (0.08, 0.82, 0.18)))
    pen.rect(-0.92, -0.66, 0.82, -0.5, tones.ink)
    pen.polygon([(0.66, -0.5), (0.72, -0.66), (1, -0.98), (0.62, -0.98)], tones.dark)
    pen.rect(-0.3, -0.52, 0.72, 0.08, tones.main)
    pen.ellipse(0.72, -0.22, 0.13, 0.3, tones.dark)
    pen.rect(-0.3, -0.08, 0.72, 0.02, tones.light)
    for x in (0.02, 0.34):
        pen.rect(x, -0.52, x + 0.05, 0.08, tones.accent)
    pen.polygon([(0.44, 0.06), (0.38, 0.44), (0.7, 0.44), (0.64, 0.06)], tones.ink)
    pen.rect(0.34, 0.4, 0.74, 0.48, tones.accent)
    pen.ellipse(0.18, 0.08, 0.12, 0.16, tones.accent)
    pen.ellipse(0.86, 0.02, 0.09, 0.09, LAMP)
    pen.rect(-0.92, -0.56, -0.3, 0.44, tones.main)
    pen.rect(-1, 0.4, -0.22, 0.52, tones.dark)
    pen.rect(-0.8, -0.02, -0.44, 0.3, tones.dark)
    pen.rect(-0.76, 0.02, -0.48, 0.26, GLASS)
    pen.rect(-0.92, -0.3, -0.3, -0.22, tones.accent)
    for x, radius in ((-0.64, 0.27), (-0.08, 0.27), (0.42, 0.19)):
        _wheel(pen, x, radius, tones.main)
    pen.line([(-0.64, -0.73), (-0.08, -0.73)], 0.06, tones.accent)


@subject("car", words=("automobile", "taxi", "sedan", "sports car"),
         colors=("red", "blue", "yellow", "green", "white", "black"), accent="silver", scale=0.5,
         places=("city", "meadow", "desert", "beach"))  # fmt: skip
def draw_car(pen: Pen) -> None:
    """A small round car from the side."""
    tones = pen.tones
    cabin = [(-0.66, -0.3), (-0.57, 0), (-0.4, 0.2), (-0.14, 0.3), (0.1, 0.28), (0.3, 0.13)]
    pen.blob([*cabin, (0.46, -0.1), (0.6, -0.36)], tones.main)
    pen.polygon([(-0.5, -0.26), (-0.42, 0.02), (-0.26, 0.18), (-0.08, 0.18), (-0.08, -0.26)], GLASS)
    pen.polygon([(0.02, -0.26), (0.02, 0.18), (0.12, 0.18), (0.27, 0.03), (0.4, -0.26)], GLASS)
    back = [(-0.6, -0.82), (-0.94, -0.78), (-0.99, -0.56), (-0.92, -0.36), (-0.7, -0.24)]
    hood = [(-0.2, -0.2), (0.3, -0.2), (0.66, -0.26), (0.9, -0.38), (1, -0.58), (0.95, -0.78)]
    pen.blob([*back, *hood, (0.6, -0.82), (0, -0.82)], tones.main)
    pen.line([(-0.92, -0.72), (0.92, -0.72)], 0.09, tones.dark)
    pen.line([(-0.03, -0.26), (-0.03, -0.66)], 0.025, tones.dark)
    pen.line([(-0.2, -0.38), (-0.1, -0.38)], 0.045, tones.ink)
    pen.ellipse(0.9, -0.48, 0.08, 0.1, LAMP)
    pen.ellipse(-0.93, -0.5, 0.05, 0.09, darken(NAMED["red"], 0.1))
    for x in (-0.55, 0.55):
        pen.ellipse(x, -0.72, 0.31, 0.3, tones.dark)
        _wheel(pen, x, 0.26, tones.accent)


@subject("bus", "buses", words=("school bus", "omnibus"), colors=("yellow", "red", "blue", "green"),
         accent="white", scale=0.6, places=("city", "meadow"))  # fmt: skip
def draw_bus(pen: Pen) -> None:
    """A bus from the side: a long box with a row of windows and a door."""
    tones = pen.tones
    _round_rect(pen, -1, -0.84, 1, 0.5, tones.main)
    pen.rect(-1, -0.84, 0.9, -0.62, tones.dark)
    pen.rect(-0.98, -0.34, 0.44, -0.24, tones.accent)
    pen.rect(-0.6, 0.46, 0.5, 0.56, tones.dark)
    for k in range(4):
        x = -0.86 + 0.33 * k
        _round_rect(pen, x - 0.03, -0.13, x + 0.3, 0.31, tones.dark)
        _round_rect(pen, x, -0.1, x + 0.27, 0.28, GLASS)
    pen.rect(0.5, -0.78, 0.74, 0.3, tones.dark)
    pen.rect(0.54, -0.72, 0.7, 0.26, GLASS)
    pen.line([(0.62, -0.76), (0.62, 0.28)], 0.03, tones.dark)
    pen.polygon([(0.82, -0.14), (0.82, 0.3), (0.94, 0.3), (1, 0.22), (1, -0.14)], GLASS)
    pen.ellipse(0.92, -0.5, 0.08, 0.08, LAMP)
    for x in (-0.55, 0.3):
        pen.ellipse(x, -0.72, 0.28, 0.28, tones.dark)
        _wheel(pen, x, 0.24, tones.accent)


@subject("truck", words=("lorry", "delivery truck"),
         colors=("blue", "red", "green", "orange", "white"), accent="white", scale=0.6,
         places=("city", "desert", "farm"))  # fmt: skip
def draw_truck(pen: Pen) -> None:
    """A truck: a tall box behind, the cab in front."""
    tones = pen.tones
    pen.rect(-0.96, -0.82, 0.94, -0.66, tones.ink)
    pen.rect(-1, -0.66, 0.3, 0.52, tones.main)
    pen.rect(-1, 0.42, 0.3, 0.52, tones.dark)
    pen.rect(-1, -0.26, 0.3, 0.04, tones.accent)
    pen.polygon([(0.38, -0.7), (0.38, 0.2), (0.7, 0.2), (0.88, -0.2), (1, -0.28), (1, -0.7)],
                tones.main)  # fmt: skip
    pen.polygon([(0.46, -0.2), (0.46, 0.1), (0.64, 0.1), (0.78, -0.2)], GLASS)
    pen.rect(0.38, -0.7, 1, -0.6, tones.dark)
    pen.line([(0.46, -0.34), (0.54, -0.34)], 0.045, tones.ink)
    pen.rect(0.9, -0.5, 1, -0.36, LAMP)
    for x in (-0.66, -0.14, 0.68):
        _wheel(pen, x, 0.24, tones.accent)


@subject("bicycle", words=("bike", "velocipede"),
         colors=("red", "blue", "green", "yellow", "black"), accent="brown", scale=0.5,
         places=("city", "meadow", "garden", "beach"))  # fmt: skip
def draw_bicycle(pen: Pen) -> None:
    """A bicycle from the side, with a basket on the handlebar."""
    tones = pen.tones
    rear, front, pedals, seat, head = (
        (-0.57, -0.57),
        (0.57, -0.57),
        (-0.1, -0.6),
        (-0.24, 0.12),
        (0.4, 0.16),
    )
    for x, y in (rear, front):
        for turn in range(0, 180, 45):
            dx, dy = 0.4 * math.cos(math.radians(turn)), 0.4 * math.sin(math.radians(turn))
            pen.line([(x - dx, y - dy), (x + dx, y + dy)], 0.016, NAMED["silver"])
        pen.line(circle(x, y, 0.38), 0.085, TIRE)
    pen.rect(0.44, 0.2, 0.86, 0.44, tones.accent)
    for y in (0.28, 0.36):
        pen.line([(0.46, y), (0.84, y)], 0.025, darken(tones.accent, 0.4))
    for tube in ((rear, pedals), (rear, seat), (pedals, seat), (pedals, head), (seat, head)):
        pen.line(tube, 0.09, tones.main)
    pen.line([front, (0.36, 0.44)], 0.09, tones.main)
    pen.line([(0.36, 0.42), (0.28, 0.52), (0.1, 0.52)], 0.07, TIRE)
    pen.line([seat, (-0.27, 0.26)], 0.06, TIRE)
    pen.blob([(-0.5, 0.34), (-0.46, 0.24), (-0.2, 0.26), (-0.04, 0.32), (-0.24, 0.36)], TIRE)
    pen.line([(-0.2, -0.78), pedals, (0, -0.42)], 0.05, TIRE)
    pen.ellipse(*pedals, 0.13, 0.13, tones.dark)


@subject("balloon", words=("hot-air balloon", "hot air balloon", "aerostat"),
         colors=("red", "orange", "blue", "yellow", "purple"), accent="white", stance="air",
         scale=0.4, places=("meadow", "mountains", "sea"))  # fmt: skip
def draw_balloon(pen: Pen) -> None:
    """A hot-air balloon with stripes and a basket."""
    tones = pen.tones
    wood = NAMED["brown"]
    heights = (1, 0.93, 0.74, 0.4, 0.06, -0.22, -0.44, -0.56)
    halves = (0.02, 0.34, 0.61, 0.74, 0.66, 0.46, 0.27, 0.18)
    for x in (-0.17, 0.17):
        pen.line([(x * 1.05, -0.54), (x, -0.76)], 0.03, darken(wood, 0.4))
    for share, color in (
        (1, tones.main),
        (0.72, tones.accent),
        (0.44, tones.main),
        (0.15, tones.dark),
    ):
        right = [(half * share, y) for half, y in zip(halves, heights, strict=True)]
        pen.blob(right + [(-x, y) for x, y in reversed(right)], color)
    pen.blob([(-0.4, 0.72), (-0.52, 0.46), (-0.46, 0.2), (-0.4, 0.46)], lighten(tones.accent))
    pen.rect(-0.19, -0.62, 0.19, -0.54, tones.dark)
    pen.polygon([(-0.22, -0.72), (-0.17, -1), (0.17, -1), (0.22, -0.72)], wood)
    pen.rect(-0.23, -0.78, 0.23, -0.71, darken(wood))


@subject("rocket", words=("spaceship", "spacecraft", "rocket ship", "space shuttle"),
         colors=("red", "white", "silver", "blue"), accent="white", stance="air", scale=0.4,
         places=("space", "city"))  # fmt: skip
def draw_rocket(pen: Pen) -> None:
    """A rocket on its way up: fins, a porthole, a flame."""
    tones = pen.tones
    flame = [(-0.18, -0.46), (-0.24, -0.68), (0, -1.02), (0.24, -0.68), (0.18, -0.46)]
    pen.blob(flame, NAMED["orange"])
    pen.blob([(x * 0.5, -0.5 + (y + 0.5) * 0.65) for x, y in flame], NAMED["yellow"])
    for side in (-1, 1):
        fin = [(0.28, 0.06), (0.66, -0.3), (0.66, -0.74), (0.22, -0.44)]
        pen.polygon([(side * x, y) for x, y in fin], tones.dark)
    right = [(0, 1), (0.16, 0.84), (0.32, 0.5), (0.38, 0.16), (0.34, -0.2), (0.24, -0.46)]
    body = right + [(-x, y) for x, y in reversed(right[1:])]
    pen.blob(body, tones.main)
    pen.blob([(0, 1), (0.16, 0.84), (0.29, 0.56), (0, 0.5), (-0.29, 0.56), (-0.16, 0.84)],
             tones.accent)  # fmt: skip
    pen.ellipse(0, 0.16, 0.2, 0.2, tones.dark)
    pen.ellipse(0, 0.16, 0.14, 0.14, GLASS)
    pen.rect(-0.33, -0.28, 0.33, -0.2, tones.accent)
    pen.polygon(
        [(0, -0.06), (0.06, -0.14), (0.06, -0.7), (-0.06, -0.7), (-0.06, -0.14)], tones.dark
    )


@subject("airplane", words=("plane", "aeroplane", "jet", "airliner", "aircraft"),
         colors=("white", "red", "blue", "silver"), accent="blue", stance="air", scale=0.55,
         places=("city", "sea", "mountains", "meadow"))  # fmt: skip
def draw_airplane(pen: Pen) -> None:
    """An airliner from the side, climbing a little."""
    tones = pen.tones

    def up(points: list[Point]) -> list[Point]:
        cos, sin = math.cos(0.2), math.sin(0.2)
        return [(x * cos - y * sin, x * sin + y * cos) for x, y in points]

    pen.polygon(up([(0.2, 0.1), (-0.2, 0.6), (-0.4, 0.6), (-0.16, 0.1)]), tones.dark)
    pen.polygon(up([(-0.5, 0.12), (-0.84, 0.6), (-1, 0.6), (-0.94, 0)]), tones.accent)
    body = [(-0.98, 0.12), (-0.5, 0.2), (0.5, 0.2), (0.8, 0.14), (0.98, -0.02), (0.8, -0.16),
            (0.5, -0.2), (-0.4, -0.2)]  # fmt: skip
    pen.blob(up(body), tones.main)
    pen.polygon(up([(-0.66, 0.1), (-1, -0.12), (-0.88, -0.12), (-0.44, 0.06)]), tones.dark)
    pen.line(up([(0.04, -0.28), (0.2, -0.28)]), 0.16, tones.accent)
    pen.polygon(up([(0.34, -0.02), (-0.26, -0.7), (-0.5, -0.7), (-0.18, -0.02)]), tones.dark)
    for k in range(6):
        pen.line(up([(-0.4 + 0.17 * k, 0.07), (-0.36 + 0.17 * k, 0.07)]), 0.07, tones.ink)
    pen.polygon(up([(0.7, 0.14), (0.68, 0.04), (0.9, 0.02), (0.84, 0.1)]), tones.ink)


@subject("submarine", words=("u-boat", "submersible"), colors=("yellow", "gray", "red", "blue"),
         accent="orange", stance="water", scale=0.5, places=("sea",))  # fmt: skip
def draw_submarine(pen: Pen) -> None:
    """A round submarine with portholes, a periscope and a screw."""
    tones = pen.tones
    pen.line([(0.1, 0.2), (0.1, 0.7), (0.32, 0.7)], 0.09, tones.dark)
    pen.rect(0.28, 0.62, 0.38, 0.78, tones.ink)
    pen.polygon([(-0.3, -0.1), (-0.2, 0.34), (0.3, 0.34), (0.38, -0.1)], tones.main)
    pen.rect(-0.24, 0.28, 0.34, 0.38, tones.accent)
    pen.polygon([(-0.6, -0.3), (-0.98, 0.06), (-0.98, -0.86), (-0.6, -0.5)], tones.accent)
    pen.ellipse(-0.98, -0.28, 0.06, 0.16, tones.ink)
    pen.ellipse(-0.98, -0.56, 0.06, 0.16, tones.ink)
    hull = [(-0.9, -0.42), (-0.6, -0.1), (0, 0.02), (0.6, -0.04), (0.94, -0.28), (0.94, -0.58),
            (0.6, -0.86), (0, -0.94), (-0.6, -0.78)]  # fmt: skip
    pen.blob(hull, tones.main)
    pen.blob([(-0.66, -0.66), (0, -0.7), (0.9, -0.62), (0.6, -0.86), (0, -0.94), (-0.5, -0.82)],
             tones.dark)  # fmt: skip
    for x in (-0.32, 0.12, 0.56):
        pen.ellipse(x, -0.36, 0.17, 0.17, tones.accent)
        pen.ellipse(x, -0.36, 0.12, 0.12, darken(GLASS, 0.3))
        pen.ellipse(x + 0.04, -0.32, 0.04, 0.04, GLASS)


@subject("tractor", words=("farm tractor",), colors=("green", "red", "blue", "orange"),
         accent="yellow", scale=0.5, places=("farm", "meadow"))  # fmt: skip
def draw_tractor(pen: Pen) -> None:
    """A tractor: a big wheel behind, a small one in front, an exhaust pipe."""
    tones = pen.tones
    _smoke(pen, ((0.5, 0.66, 0.08), (0.4, 0.8, 0.11)))
    pen.line([(0.56, 0), (0.56, 0.5)], 0.08, tones.ink)
    pen.polygon([(-0.74, -0.2), (-0.62, 0.7), (0, 0.7), (0.12, -0.2)], tones.dark)
    pen.polygon([(-0.6, -0.1), (-0.52, 0.6), (-0.08, 0.6), (0.02, -0.1)], GLASS)
    pen.rect(-0.78, 0.66, 0.14, 0.8, tones.main)
    pen.polygon(
        [(-0.6, -0.7), (-0.6, -0.06), (0.84, -0.06), (0.92, -0.2), (0.92, -0.7)], tones.main
    )
    pen.rect(0.2, -0.64, 0.92, -0.54, tones.dark)
    for y in (-0.2, -0.32, -0.44):
        pen.line([(0.6, y), (0.84, y)], 0.05, tones.dark)
    pen.ellipse(-0.46, -0.42, 0.6, 0.6, tones.main)
    _wheel(pen, -0.46, 0.52, tones.accent)
    _wheel(pen, 0.64, 0.3, tones.accent)
