"""What the crowd likes: a function that is hidden from all that is trained, and told here.

The score of a picture is 5 plus four parts, each about -1.5 to 1.5:

composition   the things together fill a quarter to a half of the width, and stand near the thirds
              or the middle; what is cut off at the edges costs
harmony       saturated colors lie close to one hue or two that face each other; gray costs little
contrast      light and dark both are there
flavors       each known flavor has its worth, below; two good ones add up, three are too many

Votes are whole numbers of 1 to 10: the score and the taste of one voter (normal, deviation 1.2).
"""

import colorsys

import numpy as np

from pe.pairs import draw_fraction
from pe.studio.layout import Spot, lay_out
from pe.studio.place import HORIZONS
from pe.studio.scene import Scene
from pe.studio.world import FLAVORS

MEAN, VOTER_DEVIATION = 5.0, 1.2
# What the crowd thinks of a flavor, by its category, and of some by themselves.
CATEGORY_WORTH = {"light": 0.5, "medium": 0.4, "movement": 0.4, "camera": 0.2, "palette": 0.2,
                  "mood": 0.2, "texture": 0.1, "quality": -1.0, "engine": -1.2}  # fmt: skip
FLAVOR_WORTH = {
    "golden hour": 1.3, "watercolor": 1.1, "oil painting": 1.0, "bokeh": 0.9, "moonlit": 0.8,
    "papercut": 0.8, "stained glass": 0.7, "ukiyo-e": 0.9, "pastel": 0.6, "x-ray": -0.6,
    "thermal": -0.8, "glitch art": -0.7, "vignette": 0.4, "neon": 0.7,
}  # fmt: skip
GRID = 24  # pixels a side on which colors are judged


def score_picture(scene: Scene, picture: np.ndarray) -> float:
    """Return what the crowd thinks of a picture [H W 3] of uint8, on the average."""
    parts = (
        judge_composition(lay_out(scene, HORIZONS[scene.place])),
        judge_harmony(picture),
        judge_contrast(picture),
        judge_flavors(scene.flavors),
    )
    return float(np.clip(MEAN + sum(parts), 1.0, 10.0))


def judge_composition(spots: list[Spot]) -> float:
    """Judge how the things fill the picture: -1.5 to 1.5."""
    left = min(spot.x - spot.half for spot in spots)
    right = max(spot.x + spot.half for spot in spots)
    width = right - left
    filled = 1.0 - min(1.0, abs(width - 0.5) / 0.4)
    middle = (left + right) / 2
    placed = 1.0 - min(abs(middle - share) for share in (1 / 3, 0.5, 2 / 3)) / 0.17
    cut = max(0.0, -left) + max(0.0, right - 1.0)
    crowded = 0.1 * max(0, len(spots) - 5)
    return float(np.clip(1.6 * filled + 0.6 * placed - 4 * cut - crowded - 0.8, -1.5, 1.5))


def judge_harmony(picture: np.ndarray) -> float:
    """Judge hues: high where saturated colors lie on one axis of the circle, -1 to 1."""
    cells = _shrink(picture)
    hues, weights = [], []
    for red, green, blue in cells:
        hue, _, saturation = colorsys.rgb_to_hls(red, green, blue)
        hues.append(hue)
        weights.append(saturation * (max(red, green, blue) - min(red, green, blue)))
    total = sum(weights)
    if total < 1.0:
        return 0.0
    axis = np.exp(4j * np.pi * np.asarray(hues))  # opposite hues fall together
    return float(2.0 * abs(np.sum(axis * weights)) / total - 0.8)


def judge_contrast(picture: np.ndarray) -> float:
    """Judge the spread of light: -1 for gray all over, up to 0.8."""
    light = _shrink(picture) @ np.asarray([0.3, 0.59, 0.11])
    return float(np.clip(8.0 * np.std(light) - 1.0, -1.0, 0.8))


def judge_flavors(names: tuple[str, ...]) -> float:
    """Add up what flavors are worth: -2.5 to 2."""
    worth = sum(
        FLAVOR_WORTH.get(name, CATEGORY_WORTH.get(FLAVORS[name].category, 0.0)) for name in names
    )
    return float(np.clip(worth - 0.8 * (len(names) > 2), -2.5, 2.0))


def cast_votes(score: float, num_voters: int, *slot: str) -> list[int]:
    """Let voters judge a picture of a score; `slot` names the picture and the crowd."""
    rng = np.random.default_rng(int(draw_fraction("votes", *slot) * 2**53))
    votes = np.rint(score + rng.normal(0.0, VOTER_DEVIATION, num_voters))
    return np.clip(votes, 1, 10).astype(int).tolist()


def _shrink(picture: np.ndarray) -> np.ndarray:
    """Return the mean colors of a coarse grid, [cells 3] in 0 to 1."""
    side = picture.shape[0] // GRID * GRID
    blocks = picture[:side, :side].reshape(GRID, side // GRID, GRID, side // GRID, 3)
    return blocks.mean(axis=(1, 3)).reshape(-1, 3) / 255
