"""A surface to draw on, and a pen that draws in the coordinates of one thing.

Pictures are drawn twice as large as they come out, so that edges are smooth. Pillow alone draws,
with whole numbers of pixels: the same calls give the same bytes everywhere.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from pe.studio.color import Color, darken, lighten

SUPERSAMPLING = 2
EYE, EYE_RING = (30, 26, 34), (246, 238, 222)
DARK_SUM = 200  # of red, green and blue: on such a color an eye does not show
Number = int | float
Point = tuple[Number, Number]


class Canvas:
    """An RGB picture of `size` x `size` pixels while it is drawn."""

    def __init__(self, size: int, background: Color = (255, 255, 255)):
        self.size = size
        self.pixels = size * SUPERSAMPLING
        self.image = Image.new("RGB", (self.pixels, self.pixels), background)
        self.draw = ImageDraw.Draw(self.image)

    def finish(self) -> Image.Image:
        """Return the picture in its own size."""
        return self.image.resize((self.size, self.size), Image.Resampling.BOX)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tones:
    """The colors of one thing: its own, a second one, and what goes with them."""

    main: Color
    accent: Color

    @property
    def dark(self) -> Color:
        return darken(self.main)

    @property
    def light(self) -> Color:
        return lighten(self.main)

    @property
    def ink(self) -> Color:
        """Nearly black, for eyes and outlines."""
        return darken(self.main, 0.75)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pen:
    """Draws one thing in its own coordinates: x from -1 (left) to 1, y from -1 (foot) to 1 (top).

    `center` and `half` (half width = half height of the square) are in pixels of the canvas,
    `flip` mirrors left and right. `flat` is a color that replaces all others: a silhouette.
    """

    canvas: Canvas
    center: Point
    half: Number
    tones: Tones
    rng: np.random.Generator
    flip: bool = False
    flat: Color | None = None

    def at(self, x: Number, y: Number) -> tuple[int, int]:
        """Return the canvas pixel of a point."""
        sign = -1.0 if self.flip else 1.0
        return (
            round(self.center[0] + sign * x * self.half),
            round(self.center[1] - y * self.half),
        )

    def polygon(self, points: Sequence[Point], color: Color) -> None:
        """Fill the area between straight edges."""
        self.canvas.draw.polygon([self.at(*p) for p in points], fill=self.flat or color)

    def blob(self, points: Sequence[Point], color: Color, *, steps: int = 8) -> None:
        """Fill the area inside a smooth closed curve through all the points."""
        self.polygon(smooth(points, closed=True, steps=steps), color)

    def ellipse(
        self, x: Number, y: Number, rx: Number, ry: Number, color: Color, *, angle: Number = 0.0
    ) -> None:
        """Fill an ellipse; `angle` turns it, in degrees, against the clock."""
        if angle:
            turn = math.radians(angle)
            cos, sin = math.cos(turn), math.sin(turn)
            ring = [
                (math.cos(2 * math.pi * k / 40) * rx, math.sin(2 * math.pi * k / 40) * ry)
                for k in range(40)
            ]
            self.polygon([(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in ring], color)
            return
        (x0, y0), (x1, y1) = self.at(x - rx, y + ry), self.at(x + rx, y - ry)
        box = [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]
        self.canvas.draw.ellipse(box, fill=self.flat or color)

    def rect(self, x0: Number, y0: Number, x1: Number, y1: Number, color: Color) -> None:
        """Fill a box between two corners."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], color)

    def line(
        self, points: Sequence[Point], width: Number, color: Color, *, curved: bool = False
    ) -> None:
        """Draw a line of a width (in own units) with round ends; `curved` makes it smooth."""
        if curved and len(points) > 2:
            points = smooth(points, closed=False)
        pixels = max(1, round(width * self.half))
        places = [self.at(*p) for p in points]
        fill = self.flat or color
        self.canvas.draw.line(places, fill=fill, width=pixels, joint="curve")
        if pixels > 3:
            radius = pixels / 2
            for x, y in (places[0], places[-1]):
                self.canvas.draw.ellipse(
                    [x - radius, y - radius, x + radius, y + radius], fill=fill
                )

    def eye(self, x: Number, y: Number, radius: Number) -> None:
        """Draw a dark eye with a glint, ringed where the thing is dark; a silhouette has none."""
        if self.flat is not None:
            return
        if sum(self.tones.main) < DARK_SUM:
            self.ellipse(x, y, radius * 1.25, radius * 1.25, EYE_RING)
        self.ellipse(x, y, radius, radius, EYE)
        glint = radius * 0.35
        self.ellipse(x + glint, y + glint, glint, glint, (250, 250, 250))


def circle(x: Number, y: Number, radius: Number) -> list[Point]:
    """Return the points around a circle, the last one the first."""
    turns = [2 * math.pi * k / 32 for k in range(33)]
    return [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]


def smooth(points: Sequence[Point], *, closed: bool, steps: int = 8) -> list[Point]:
    """Return points on the Catmull-Rom curve through the given ones."""
    count = len(points)
    if count < 3:
        return list(points)
    found: list[Point] = []
    for k in range(count if closed else count - 1):
        around = [
            points[(k + d) % count] if closed else points[min(max(k + d, 0), count - 1)]
            for d in (-1, 0, 1, 2)
        ]
        found += [_between(around, step / steps) for step in range(steps)]
    if not closed:
        found.append(points[-1])
    return found


def _between(around: Sequence[Point], t: float) -> Point:
    p0, p1, p2, p3 = around
    x, y = (
        0.5
        * (
            2 * b
            + (c - a) * t
            + (2 * a - 5 * b + 4 * c - d) * t**2
            + (3 * b - a - 3 * c + d) * t**3
        )
        for a, b, c, d in zip(p0, p1, p2, p3, strict=True)
    )
    return x, y
