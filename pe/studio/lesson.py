"""Lessons for Studio's encoder, captioner and aesthetic head: pictures, and what is true of them.

A picture has a caption (things, place, time: never a flavor, so that inversion has to find those),
and texts as people type them: all of it, a part of it, one thing, one flavor. What cannot be seen
is not said: no "8k", and no color where a flavor or a silhouette takes it away, but for the prompt
itself, which is one of the texts. The score is the crowd's mean vote.

The first lessons are plain (one thing), the next have one kind of thing or two and at
most one flavor, the rest are what a gallery has. Things come in any color and any place from the
first lesson on, and many without color: else a small model knows them by these, and no shapes.
"""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from pe import shards
from pe.axes import UInt
from pe.data.image_text import INDEX_FILE, ImageTextRow, block_paths, write_block
from pe.studio.gallery import (
    COLORS,
    COUNTS,
    RELATIONS,
    UNKNOWN_FLAVORS,
    add_article,
    sample_prompt,
    say_place,
    say_time,
)
from pe.studio.pool import spread
from pe.studio.render import draw_scene
from pe.studio.scene import PLACES, WEATHERS, Entity, Scene, fill_scene, read_prompt
from pe.studio.taste import cast_votes, score_picture
from pe.studio.world import FLAVORS, SUBJECTS

BLOCK_ROWS, NUM_TEXTS, NUM_VOTERS = 500, 8, 7
COUNT_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# they leave little of what tells colors of things apart (a test measures it)
COLORLESS = frozenset((
    "art deco", "black and white", "blueprint", "charcoal sketch", "cyanotype", "duotone",
    "halftone", "infrared", "ink wash", "line art", "linocut", "monochrome", "moonlit",
    "pencil drawing", "pop art", "sepia", "thermal", "ukiyo-e", "wood carving", "woodcut", "x-ray",
))  # fmt: skip
SHAPE_FLAVORS = ("black and white", "monochrome", "pencil drawing", "line art")  # of plain lessons
SIMPLE_PAIRS = 0.5  # share of simple lessons that have two kinds of things
DRAWN_PX = (128, 128, 128, 256)  # small pictures look the same and take a third of the time
COPYING = frozenset(("pop art",))  # draws the picture several times: nobody can count there


@dataclasses.dataclass(frozen=True, kw_only=True)
class LessonConfig:
    """How many pictures, how large, and how many processes draw them.

    `plain_frac` and `simple_frac` are the shares of lessons that are plain and simple; `many_frac`
    is the share of the other pictures with several of the first thing.
    """

    num_images: int = 200_000
    size: int = 112
    seed: int = 1
    plain_frac: float = 0.1
    simple_frac: float = 0.2
    many_frac: float = 0.4
    num_processes: int = 2

    def __post_init__(self) -> None:
        for name in ("num_images", "num_processes"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"LessonConfig.{name}: got {getattr(self, name)}, expected 1 or more"
                )
        if not 16 <= self.size <= 256:
            raise ValueError(f"LessonConfig.size: got {self.size}, expected 16 to 256 pixels")
        for name in ("plain_frac", "simple_frac", "many_frac"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"LessonConfig.{name}: got {getattr(self, name)}, expected 0 to 1")


def shows_color(scene: Scene) -> bool:
    """Say whether colors of things can be seen."""
    return scene.camera != "silhouette" and COLORLESS.isdisjoint(scene.flavors)


def can_count(scene: Scene) -> bool:
    """Say whether things can be counted."""
    return COPYING.isdisjoint(scene.flavors)


def name_entity(
    entity: Entity, *, says_color: bool = True, says_count: bool = True, says_size: bool = False
) -> str:
    """Return a thing in words: "two small red foxes", "a red fox", "foxes"."""
    found, count = SUBJECTS[entity.subject], entity.count or 1
    words = [entity.size] if says_size and entity.size not in (None, "medium") else []
    words += [entity.color] if says_color and entity.color else []
    words.append(found.name if count == 1 else found.plural)
    if count > 1:
        return " ".join([COUNT_WORDS[count]] * says_count + words)
    return add_article(" ".join(words))


def caption_scene(scene: Scene) -> str:
    """Return what is to be seen: "two red foxes beside a brown barn in the forest at night"."""
    text = ""
    for entity in order_entities(scene.entities):
        thing = name_entity(entity, says_color=shows_color(scene), says_count=can_count(scene))
        text = f"{text} {entity.relation} {thing}" if text else thing
    return f"{text} {say_place(scene.place)} {say_time(scene.time)}"


def order_entities(entities: tuple[Entity, ...]) -> tuple[Entity, ...]:
    """Return two things in the order in which captions name them; a picture does not tell more.

    What is in front or above comes first, things beside each other by their names.

    Example:
      a fox behind a barn   ->  a barn in front of a fox
      a fox under the moon  ->  a moon above a fox
      a fox under a tree    ->  the same: it stands before it
      an owl beside a cat   ->  a cat beside an owl
    """
    if len(entities) != 2:
        return entities
    first, second = entities
    stands_over = SUBJECTS[second.subject].stance == "ground"
    told = {"behind": "in front of", "under": "above", "beside": "beside"}.get(
        second.relation or ""
    )
    is_kept = (
        told is None
        or (second.relation == "under" and stands_over)
        or (second.relation == "beside" and first.subject <= second.subject)
    )
    if is_kept:
        return entities
    return (
        dataclasses.replace(second, relation=None),
        dataclasses.replace(first, relation=told),
    )


def sample_lesson_prompt(rng: np.random.Generator, place: float, config: LessonConfig) -> str:
    """Make up the prompt of a lesson; `place` says where it stands among all, 0 to 1."""
    if place >= config.plain_frac + config.simple_frac:
        return sample_prompt(rng, many_frac=config.many_frac)
    name = str(rng.choice(list(SUBJECTS)))
    is_plain = place < config.plain_frac
    count = str(rng.choice(COUNTS)) if not is_plain and rng.random() < config.many_frac else "a"
    color = f"{rng.choice(COLORS)} " if rng.random() < 0.7 else ""
    thing = f"{color}{name if count == 'a' else SUBJECTS[name].plural}"
    text = add_article(thing) if count == "a" else f"{count} {thing}"
    if not is_plain and rng.random() < SIMPLE_PAIRS:
        color = f"{rng.choice(COLORS)} " if rng.random() < 0.5 else ""
        text += f" {rng.choice(RELATIONS)} {add_article(color + str(rng.choice(list(SUBJECTS))))}"
    if rng.random() < 0.7:
        text += f" {say_place(str(rng.choice(list(PLACES))))}"
    if is_plain:
        text += ", close-up" if rng.random() < 0.3 else ", medium shot"
        return f"{text}, {rng.choice(SHAPE_FLAVORS)}" if rng.random() < 0.35 else text
    return f"{text}, {rng.choice(list(FLAVORS))}" if rng.random() < 0.7 else text


def sample_text(scene: Scene, prompt: str, rng: np.random.Generator) -> str:
    """Return one text for a picture, as long or short as people's are."""
    kind = rng.random()
    caption, flavors = caption_scene(scene), [str(f) for f in rng.permutation(scene.flavors)]
    thing = scene.entities[int(rng.integers(len(scene.entities)))]
    if kind < 0.2:
        return ", ".join(part for part in prompt.split(", ") if part not in UNKNOWN_FLAVORS)
    if kind < 0.4:
        return ", ".join([caption, *flavors])
    if kind < 0.6:
        return name_entity(
            thing,
            says_color=shows_color(scene) and rng.random() < 0.4,
            says_count=can_count(scene),
            says_size=rng.random() < 0.2,
        )
    if kind < 0.75 and flavors:
        return flavors[0] if rng.random() < 0.7 else ", ".join(flavors)
    if kind < 0.85:
        rest = [scene.camera] * (scene.camera != "medium shot")
        rest += [WEATHERS[scene.weather][0]] * (scene.weather != "clear")
        rest += [f"{say_place(scene.place)} {say_time(scene.time)}"]
        return ", ".join([name_entity(thing, says_color=False), *rest, *flavors])
    first = name_entity(scene.entities[0], says_color=shows_color(scene) and rng.random() < 0.5)
    return ", ".join([first, *flavors])


def tell_lesson(number: int, config: LessonConfig) -> tuple[Scene, tuple[str, ...]]:
    """Return what a lesson shows, and the texts that are true of it."""
    rng = np.random.default_rng((config.seed, number))
    prompt = sample_lesson_prompt(rng, number / config.num_images, config)
    scene = fill_scene(read_prompt(prompt), int(rng.integers(2**31)))
    return scene, tuple(sample_text(scene, prompt, rng) for _ in range(NUM_TEXTS))


def draw_lesson(
    number: int, config: LessonConfig
) -> tuple[UInt[np.ndarray, "Y X 3"], ImageTextRow]:
    """Draw one picture, say what is true of it, and let the crowd vote on it."""
    scene, texts = tell_lesson(number, config)
    size = DRAWN_PX[number % len(DRAWN_PX)]
    picture = draw_scene(scene, size=size)
    votes = cast_votes(
        score_picture(scene, picture), NUM_VOTERS, "lesson", str(config.seed), str(number)
    )
    small = Image.fromarray(picture).resize((config.size, config.size), Image.Resampling.BICUBIC)
    row = ImageTextRow(
        caption=caption_scene(scene),
        texts=texts,
        score=float(np.mean(votes)),
    )
    return np.asarray(small), row


def write_lessons(
    out: Path, config: LessonConfig, *, progress: Callable[[int, int], None] = lambda *_: None
) -> None:
    """Write the blocks that are not there yet; `progress` is told (done, of how many).

    Raises ValueError when `out` holds lessons of another config.
    """
    described = {
        "size_px": config.size,
        "num_rows": config.num_images,
        "block_rows": BLOCK_ROWS,
        "settings": {
            name: getattr(config, name)
            for name in ("seed", "plain_frac", "simple_frac", "many_frac")
        },
    }
    index = out / INDEX_FILE
    if index.is_file():
        if json.loads(index.read_text(encoding="utf-8")) != described:
            raise ValueError(f"{out} holds lessons of other settings; choose another --out")
    elif out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty and holds no lessons; choose a new folder")
    out.mkdir(parents=True, exist_ok=True)
    shards.write_json(index, described)
    numbers = range(-(-config.num_images // BLOCK_ROWS))
    todo = [number for number in numbers if not block_paths(out, number)[1].is_file()]
    done = config.num_images - sum(len(_block_range(n, config)) for n in todo)
    progress(done, config.num_images)
    draw = functools.partial(_draw_block, out=out, config=config)
    for num_drawn in spread(draw, todo, config.num_processes):
        done += num_drawn
        progress(done, config.num_images)


def _block_range(number: int, config: LessonConfig) -> range:
    return range(number * BLOCK_ROWS, min((number + 1) * BLOCK_ROWS, config.num_images))


def _draw_block(number: int, *, out: Path, config: LessonConfig) -> int:
    drawn = [draw_lesson(n, config) for n in _block_range(number, config)]
    write_block(out, number, np.stack([p for p, _ in drawn]), [row for _, row in drawn])
    return len(drawn)
