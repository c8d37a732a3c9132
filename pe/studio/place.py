"""Places: sky by time and weather, ground, and what stands around. Things are drawn over them."""

import dataclasses
from collections.abc import Callable

import numpy as np

from pe.studio.canvas import Canvas, Point, smooth
from pe.studio.color import Color, lighten, mix
from pe.studio.scene import Scene, scene_rng

SKIES: dict[str, tuple[Color, Color]] = {  # top, horizon
    "day": ((92, 158, 220), (206, 230, 240)),
    "dawn": ((132, 150, 204), (250, 206, 178)),
    "dusk": ((74, 66, 128), (238, 138, 98)),
    "night": ((14, 18, 46), (44, 56, 104)),
}
SHADE: dict[str, tuple[Color, float]] = {  # what everything is mixed with, and how much
    "day": ((255, 250, 230), 0.0),
    "dawn": ((250, 190, 170), 0.12),
    "dusk": ((92, 40, 84), 0.25),
    "night": ((14, 20, 56), 0.55),
}
GRAY_SKY: Color = (150, 158, 168)
STORM_SKY: Color = (66, 70, 84)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A canvas, its scene, and where the ground begins: `horizon`, a share of the height."""

    canvas: Canvas
    scene: Scene
    horizon: float

    @property
    def rng(self) -> np.random.Generator:
        return scene_rng(self.scene, "place", self.scene.place)

    def lit(self, color: Color) -> Color:
        """Return a color in the light of the scene's time."""
        return mix(color, *SHADE[self.scene.time])

    def polygon(self, points: list[Point], color: Color) -> None:
        """Fill an area; points are shares of the picture, y down."""
        size = self.canvas.pixels
        places = [(round(x * size), round(y * size)) for x, y in points]
        self.canvas.draw.polygon(places, fill=self.lit(color))

    def ellipse(self, x: float, y: float, rx: float, ry: float, color: Color) -> None:
        """Fill an ellipse, in shares of the picture."""
        size = self.canvas.pixels
        box = [round((x - rx) * size), round((y - ry) * size)]
        box += [round((x + rx) * size), round((y + ry) * size)]
        self.canvas.draw.ellipse(box, fill=self.lit(color))

    def bands(self, top: float, bottom: float, first: Color, last: Color) -> None:
        """Fill the rows between two heights with a run from one color to another."""
        size = self.canvas.pixels
        begin, end = round(top * size), round(bottom * size)
        for y in range(begin, end):
            color = mix(first, last, (y - begin) / max(1, end - begin))
            self.canvas.draw.line([(0, y), (size, y)], fill=color)

    def ridge(self, base: float, height: float, color: Color, *, peaks: int, sharp: bool) -> None:
        """Fill hills (or, where sharp, peaks) that stand on a height."""
        rng = self.rng
        xs = np.linspace(-0.1, 1.1, 2 * peaks + 1)
        tops = [
            base - height * (rng.uniform(0.65, 1.0) if k % 2 else rng.uniform(0.1, 0.4))
            for k in range(len(xs))
        ]
        line = list(zip(xs.tolist(), tops, strict=True))
        if not sharp:
            line = smooth(line, closed=False)
        self.polygon([(-0.1, base + 0.02), *line, (1.1, base + 0.02)], color)


def paint_place(canvas: Canvas, scene: Scene) -> Stage:
    """Paint sky, ground and surroundings; returns the stage that things are put on."""
    horizon = HORIZONS[scene.place]
    if scene.camera == "low angle":
        horizon += 0.14
    if scene.camera == "close-up":
        horizon += 0.06
    if scene.camera == "aerial view":
        horizon = 0.0
    stage = Stage(canvas=canvas, scene=scene, horizon=horizon)
    if scene.place not in ("space", "room"):
        _paint_sky(stage)
    PAINTERS[scene.place](stage)
    return stage


def _paint_sky(stage: Stage) -> None:
    scene, rng = stage.scene, scene_rng(stage.scene, "sky")
    top, low = SKIES[scene.time]
    if scene.weather in ("cloudy", "rain", "snowing", "fog"):
        top, low = mix(top, GRAY_SKY, 0.6), mix(low, GRAY_SKY, 0.5)
    if scene.weather == "storm":
        top, low = mix(top, STORM_SKY, 0.85), mix(low, STORM_SKY, 0.6)
    stage.bands(0.0, max(0.02, stage.horizon) + 0.02, top, low)
    if scene.time == "night" and scene.weather == "clear":
        _paint_stars(stage, rng, 46, stage.horizon)
    num_clouds = {"clear": 2, "cloudy": 6, "rain": 7, "storm": 8, "snowing": 5}.get(
        scene.weather, 0
    )
    for _ in range(num_clouds if scene.time != "night" or scene.weather != "clear" else 0):
        color = mix(low, (255, 255, 255), 0.55)
        if scene.weather in ("rain", "storm"):
            color = mix(low, (60, 64, 76), 0.5)
        x, y, width = rng.uniform(0, 1), rng.uniform(0.04, 0.3), rng.uniform(0.06, 0.12)
        for dx, dy, share in ((-0.8, 0.1, 0.6), (0, -0.12, 0.9), (0.8, 0.1, 0.65), (0, 0.2, 0.9)):
            stage.ellipse(x + dx * width, y + dy * width, width * share, width * share * 0.6, color)


def _paint_stars(stage: Stage, rng: np.random.Generator, count: int, below: float) -> None:
    size = stage.canvas.pixels
    for _ in range(count):
        x, y = rng.uniform(0, size), rng.uniform(0, below * size)
        radius = size / 512 * rng.uniform(0.8, 2.2)
        box = [round(x - radius), round(y - radius), round(x + radius), round(y + radius)]
        stage.canvas.draw.ellipse(box, fill=(240, 240, 220))


def _ground(stage: Stage, near: Color, far: Color) -> None:
    stage.bands(stage.horizon, 1.0, stage.lit(far), stage.lit(near))


def _meadow(stage: Stage) -> None:
    stage.ridge(stage.horizon, 0.16, (118, 170, 118), peaks=3, sharp=False)
    _ground(stage, (96, 158, 74), (150, 196, 104))
    for x in stage.rng.uniform(0, 1, 26):
        y = stage.horizon + 0.04 + (1 - stage.horizon) * ((x * 7.3) % 1) * 0.95
        tall = 0.012 + 0.02 * (y - stage.horizon)
        stage.polygon([(x - 0.006, y), (x, y - tall), (x + 0.006, y)], (74, 132, 60))


def _forest(stage: Stage) -> None:
    rng = stage.rng
    for row, (depth, color) in enumerate(((0.015, (92, 140, 110)), (0.05, (58, 108, 78)))):
        for x in np.linspace(-0.05, 1.05, 9 - row) + rng.uniform(-0.04, 0.04, 9 - row):
            base, tall = stage.horizon + depth, rng.uniform(0.3, 0.46) + 0.06 * row
            for part in (0.0, 0.3, 0.6):
                wide = 0.085 * (1 - part * 0.8)
                top = base - tall * (part + 0.42)
                low = base - tall * part
                stage.polygon([(x - wide, low), (x, top), (x + wide, low)], color)
    _ground(stage, (84, 120, 62), (70, 108, 66))


def _sea(stage: Stage) -> None:
    _ground(stage, (24, 84, 140), (88, 160, 196))
    rng = stage.rng
    for k in range(24):
        y = stage.horizon + 0.02 + (1 - stage.horizon) * (k / 24) ** 1.3
        x, wide = rng.uniform(0, 1), 0.03 + 0.1 * (y - stage.horizon)
        thick = 0.003 + 0.008 * (y - stage.horizon)
        stage.ellipse(x, y, wide, thick, (150, 204, 226))


def _beach(stage: Stage) -> None:
    shore = stage.horizon + 0.12
    stage.bands(stage.horizon, shore, stage.lit((58, 140, 190)), stage.lit((120, 198, 210)))
    stage.bands(shore, 1.0, stage.lit((238, 218, 166)), stage.lit((222, 190, 130)))
    wave = [(x, shore + 0.012 * np.sin(9 * x)) for x in np.linspace(0, 1, 30).tolist()]
    stage.polygon([(0, shore - 0.012), *wave, (1, shore - 0.012)], (244, 248, 246))


def _desert(stage: Stage) -> None:
    stage.ridge(stage.horizon, 0.12, (226, 176, 112), peaks=2, sharp=False)
    _ground(stage, (214, 156, 84), (240, 204, 140))
    dune = smooth([(-0.1, 0.82), (0.3, 0.74), (0.7, 0.86), (1.1, 0.78)], closed=False)
    stage.polygon([*dune, (1.1, 1.0), (-0.1, 1.0)], (204, 146, 78))


def _city(stage: Stage) -> None:
    rng = stage.rng
    window = (255, 226, 140) if stage.scene.time in ("night", "dusk") else (196, 214, 226)
    x = -0.02
    while x < 1.0:
        wide, tall = rng.uniform(0.09, 0.16), rng.uniform(0.2, 0.48)
        color = lighten((108, 116, 136), rng.uniform(0.0, 0.4))
        top = stage.horizon + 0.02 - tall
        stage.polygon([(x, stage.horizon + 0.02), (x, top), (x + wide, top),
                       (x + wide, stage.horizon + 0.02)], color)  # fmt: skip
        for row in np.arange(top + 0.03, stage.horizon - 0.02, 0.05):
            for column in np.arange(x + 0.018, x + wide - 0.025, 0.034):
                if rng.uniform() < 0.7:
                    size = stage.canvas.pixels
                    box = [round(column * size), round(row * size)]
                    box += [round((column + 0.016) * size), round((row + 0.024) * size)]
                    stage.canvas.draw.rectangle(box, fill=window)
        x += wide + 0.008
    stage.bands(stage.horizon + 0.02, 1.0, stage.lit((128, 128, 132)), stage.lit((92, 92, 100)))
    stage.polygon([(0, 0.72), (1, 0.72), (1, 0.74), (0, 0.74)], (176, 174, 170))
    for left in np.arange(0.02, 1.0, 0.2):
        stage.polygon([(left, 0.9), (left + 0.1, 0.9), (left + 0.1, 0.915), (left, 0.915)],
                      (230, 224, 190))  # fmt: skip


def _snow(stage: Stage) -> None:
    stage.ridge(stage.horizon, 0.18, (206, 218, 232), peaks=3, sharp=False)
    _ground(stage, (246, 250, 252), (218, 230, 242))
    rng = stage.rng
    for x in rng.uniform(0, 1, 5):
        base, tall = stage.horizon + 0.02, rng.uniform(0.12, 0.2)
        stage.polygon([(x - 0.05, base), (x, base - tall), (x + 0.05, base)], (96, 130, 122))
        stage.polygon([(x - 0.022, base - tall * 0.56), (x, base - tall),
                       (x + 0.022, base - tall * 0.56)], (240, 246, 250))  # fmt: skip


def _mountains(stage: Stage) -> None:
    stage.ridge(stage.horizon, 0.44, (146, 160, 186), peaks=2, sharp=True)
    stage.ridge(stage.horizon, 0.26, (98, 116, 146), peaks=4, sharp=True)
    _ground(stage, (92, 138, 88), (122, 160, 116))


def _space(stage: Stage) -> None:
    stage.bands(0.0, 1.0, (10, 8, 34), (40, 20, 70))
    rng = stage.rng
    for _ in range(3):
        x, y, radius = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.12, 0.24)
        size = stage.canvas.pixels
        box = [round((x - radius) * size), round((y - radius / 2) * size)]
        box += [round((x + radius) * size), round((y + radius / 2) * size)]
        stage.canvas.draw.ellipse(box, fill=mix((28, 14, 52), (96, 44, 120), 0.35))
    _paint_stars(stage, rng, 110, 1.0)


def _room(stage: Stage) -> None:
    rng = stage.rng
    wall = [(226, 214, 196), (196, 212, 206), (214, 200, 214), (232, 216, 180)][rng.integers(4)]
    stage.bands(0.0, stage.horizon, stage.lit(lighten(wall, 0.2)), stage.lit(wall))
    stage.bands(stage.horizon, 1.0, stage.lit((168, 122, 84)), stage.lit((140, 98, 66)))
    stage.polygon([(0, stage.horizon - 0.02), (1, stage.horizon - 0.02), (1, stage.horizon),
                   (0, stage.horizon)], (246, 240, 230))  # fmt: skip
    left = 0.08 if rng.uniform() < 0.5 else 0.66
    stage.polygon([(left - 0.02, 0.1), (left + 0.28, 0.1), (left + 0.28, 0.44),
                   (left - 0.02, 0.44)], (250, 246, 238))  # fmt: skip
    size = stage.canvas.pixels
    box = [round(left * size), round(0.12 * size), round((left + 0.26) * size), round(0.42 * size)]
    stage.canvas.draw.rectangle(box, fill=mix(*SKIES[stage.scene.time], 0.5))
    for bar in (
        [(left + 0.125, 0.12), (left + 0.135, 0.42)],
        [(left, 0.265), (left + 0.26, 0.275)],
    ):
        (x0, y0), (x1, y1) = bar
        stage.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], (250, 246, 238))
    rug = [(196, 92, 84), (84, 120, 160), (110, 140, 96)][rng.integers(3)]
    stage.ellipse(0.5, 0.88, 0.42, 0.09, rug)
    stage.ellipse(0.5, 0.88, 0.37, 0.074, lighten(rug, 0.25))


def _garden(stage: Stage) -> None:
    rng = stage.rng
    for x in np.linspace(0, 1, 8) + rng.uniform(-0.03, 0.03, 8):
        stage.ellipse(x, stage.horizon - 0.02, 0.1, rng.uniform(0.09, 0.15), (74, 130, 70))
    _ground(stage, (112, 176, 84), (134, 190, 100))
    for k, x in enumerate(rng.uniform(0, 1, 30)):
        y = stage.horizon + 0.03 + 0.4 * (k / 30) * (1 - stage.horizon) * 2
        color = [(236, 110, 130), (250, 214, 90), (250, 250, 244), (150, 120, 210)][k % 4]
        stage.ellipse(x, y, 0.01, 0.01, color)


def _farm(stage: Stage) -> None:
    stage.ridge(stage.horizon, 0.1, (140, 176, 112), peaks=2, sharp=False)
    _ground(stage, (206, 172, 84), (222, 198, 120))
    for k in range(9):
        x = k / 8
        stage.polygon([(0.5 + (x - 0.5) * 0.3, stage.horizon), (x * 3 - 1.02, 1.0),
                       (x * 3 - 0.98, 1.0)], (186, 150, 70))  # fmt: skip
    for x in np.arange(0.02, 1.0, 0.12):
        stage.polygon([(x, stage.horizon + 0.03), (x, stage.horizon - 0.05),
                       (x + 0.012, stage.horizon - 0.05), (x + 0.012, stage.horizon + 0.03)],
                      (150, 110, 76))  # fmt: skip
    for y in (stage.horizon - 0.03, stage.horizon):
        stage.polygon([(0, y), (1, y), (1, y + 0.01), (0, y + 0.01)], (160, 120, 84))


HORIZONS = {
    "meadow": 0.58, "forest": 0.6, "sea": 0.5, "beach": 0.48, "desert": 0.58, "city": 0.62,
    "snow": 0.6, "mountains": 0.64, "space": 0.8, "room": 0.66, "garden": 0.56, "farm": 0.56,
}  # fmt: skip
PAINTERS: dict[str, Callable[[Stage], None]] = {
    "meadow": _meadow, "forest": _forest, "sea": _sea, "beach": _beach, "desert": _desert,
    "city": _city, "snow": _snow, "mountains": _mountains, "space": _space, "room": _room,
    "garden": _garden, "farm": _farm,
}  # fmt: skip
