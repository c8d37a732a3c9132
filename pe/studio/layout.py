"""Where things stand in a picture: their centers and sizes, the farthest first."""

import dataclasses
import math

import numpy as np

from pe.studio.scene import Entity, Scene, scene_rng
from pe.studio.world import SUBJECTS

SIZE_FACTORS = {"tiny": 0.6, "small": 0.8, "medium": 1.0, "big": 1.25, "giant": 1.55}
CAMERA_FACTORS = {"close-up": 1.75, "wide shot": 0.65, "aerial view": 0.75, "low angle": 1.2}
ALONE_LEAST, ALONE_SHARE = 0.16, 0.85  # what stands alone is shown larger, small things above all
NEEDED_EXTENT = 0.78  # of two things and more, as a share of the picture
LEAST_OF_PAIR = 0.72  # of the larger thing's width, for the smaller of two
SIDE_WIDTH = 0.44  # of the picture, for each of two groups beside each other
LARGEST = 0.46  # half of a thing's width, as a share of the picture


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spot:
    """One thing: the entity it belongs to, its center and half width in shares of the picture."""

    entity: Entity
    x: float
    y: float
    half: float
    flip: bool

    @property
    def foot(self) -> float:
        return self.y + self.half


def lay_out(scene: Scene, horizon: float) -> list[Spot]:
    """Place every thing of a scene; those that come first are drawn first."""
    groups = [_lay_out_group(entity, scene, i) for i, entity in enumerate(scene.entities)]
    spots = list(groups[0])
    for entity, group in zip(scene.entities[1:], groups[1:], strict=True):
        spots, group = _level(spots, group)
        spots = _relate(spots, group, entity.relation or "beside")
    if len(groups) > 1 and scene.camera not in ("wide shot", "aerial view"):
        spots = _fill(spots)
    return [_to_ground(spot, scene, horizon) for spot in spots]


def _lay_out_group(entity: Entity, scene: Scene, number: int) -> list[Spot]:
    """Lay out the things of one entity around (0.5, 0) in a row, or two where they are many."""
    found = SUBJECTS[entity.subject]
    rng = scene_rng(scene, "layout", str(number), entity.subject)
    count = entity.count or 1
    factor = SIZE_FACTORS[entity.size or "medium"] * CAMERA_FACTORS.get(scene.camera, 1.0)
    columns = count if count <= 4 else -(-count // 2)
    is_alone = len(scene.entities) == 1
    width = ALONE_LEAST + ALONE_SHARE * found.scale if is_alone else 0.82 * found.scale
    half = min(LARGEST, width / 2 * factor)
    half = min(half, 0.47 / columns)
    spots = []
    for k in range(count):
        row, column = divmod(k, columns)
        in_row = min(columns, count - row * columns)
        x = 0.5 + (column - (in_row - 1) / 2) * (0.94 / columns if columns > 1 else 0)
        x += rng.uniform(-0.06, 0.06) * (1 if count == 1 else 0.15)
        y = (row * 2.0 - (count > 4)) * half * 1.02 + rng.uniform(-0.02, 0.02) * (
            1 if count <= 4 else 0.4
        )
        spots.append(Spot(entity=entity, x=x, y=y, half=half, flip=bool(rng.uniform() < 0.5)))
    return spots


def _relate(before: list[Spot], group: list[Spot], relation: str) -> list[Spot]:
    """Put a group in its relation to what stands already: "on" puts the earlier on top of it."""
    above = group if relation == "under" else before
    if relation == "under" and SUBJECTS[above[0].entity.subject].stance == "ground":
        return _shelter(before, group)
    if relation in ("on", "above", "under"):
        upper, lower = (group, before) if relation == "under" else (before, group)
        gap = {"on": -0.1, "above": 0.12, "under": 0.02}[relation]
        upper, lower = _scale(upper, 0.8), _scale(lower, 0.86)
        top = min(spot.y - spot.half for spot in lower)
        lift = top - max(spot.foot for spot in upper) - gap
        upper = [dataclasses.replace(spot, y=spot.y + lift) for spot in upper]
        return [*lower, *upper]
    if relation in ("in front of", "behind"):
        front, back = (before, group) if relation == "in front of" else (group, before)
        back = [dataclasses.replace(s, half=min(LARGEST, s.half * 1.2), y=s.y - 0.07) for s in back]
        back = [dataclasses.replace(s, x=s.x - 0.14) for s in back]
        front = [dataclasses.replace(s, y=s.y + 0.08, x=s.x + 0.2) for s in _scale(front, 0.8)]
        return [*back, *front]
    left, right = _pack(before, 0.27), _pack(group, 0.73)
    drop = max(s.foot for s in left) - max(s.foot for s in right)
    return [*left, *(dataclasses.replace(s, y=s.y + drop) for s in right)]


def _level(before: list[Spot], group: list[Spot]) -> tuple[list[Spot], list[Spot]]:
    """Enlarge the smaller of two single things, so that both can be told."""
    if len(before) != 1 or len(group) != 1:
        return before, group
    least = LEAST_OF_PAIR * max(before[0].half, group[0].half)
    one, other = (dataclasses.replace(s[0], half=max(s[0].half, least)) for s in (before, group))
    return [one], [other]


def _pack(spots: list[Spot], center: float) -> list[Spot]:
    """Lay out a group again in one side of the picture, side by side and in rows behind."""
    count = len(spots)
    columns = count if count <= 2 else math.ceil(math.sqrt(count))
    half = min(spots[0].half, 0.48 * SIDE_WIDTH / columns)
    packed = []
    for k, spot in enumerate(spots):
        row, column = divmod(k, columns)
        in_row = min(columns, count - row * columns)
        x = center + (column - (in_row - 1) / 2) * SIDE_WIDTH / columns
        packed.append(dataclasses.replace(spot, x=x, y=-row * half * 1.9, half=half))
    return packed[::-1]  # those in front come last


def _shelter(low: list[Spot], high: list[Spot]) -> list[Spot]:
    """Put things at the foot of what stands over them: a dog under a tree."""
    high = [dataclasses.replace(s, half=min(LARGEST, s.half * 1.5), x=s.x - 0.1) for s in high]
    low = [dataclasses.replace(s, x=s.x + 0.2) for s in _scale(low, 0.75)]
    drop = max(s.foot for s in high) - max(s.foot for s in low) + 0.05
    return [*high, *(dataclasses.replace(s, y=s.y + drop) for s in low)]


def _fill(spots: list[Spot]) -> list[Spot]:
    """Enlarge a group of small things, so that it is not lost in the picture."""
    wide = max(s.x + s.half for s in spots) - min(s.x - s.half for s in spots)
    high = max(s.foot for s in spots) - min(s.y - s.half for s in spots)
    return _scale(spots, float(np.clip(NEEDED_EXTENT / max(wide, high), 1.0, 2.2)))


def _scale(spots: list[Spot], factor: float) -> list[Spot]:
    return [
        dataclasses.replace(s, half=s.half * factor, y=s.y * factor, x=0.5 + (s.x - 0.5) * factor)
        for s in spots
    ]


def _to_ground(spot: Spot, scene: Scene, horizon: float) -> Spot:
    """Lower (or lift) a thing to where its kind stands: ground, water, air or sky."""
    found = SUBJECTS[spot.entity.subject]
    alone = len(scene.entities) == 1
    if scene.camera in ("aerial view", "close-up") or scene.place == "space":
        y = 0.52 + spot.y
    elif alone and found.stance == "sky":
        y = 0.3 + spot.y
    elif alone and found.stance == "air":
        y = 0.42 + spot.y
    else:
        ground = horizon + (1 - horizon) * (0.62 if alone else 0.72)
        y = ground - spot.half + spot.y
    lowest = 0.99 - spot.half
    return dataclasses.replace(spot, y=float(np.clip(y, spot.half * 0.9, lowest)))
