"""The crowd's gallery: sampled prompts, their pictures and votes, for `pe build` to read.

OUT/images/00/000000.png  ...   the pictures
OUT/images/00/000000.json ...   {"prompt": what it was drawn from, "votes": [...], "seed": ...}
OUT/prompts.jsonl               {"prompt": ..., "score": the mean vote, "image": ...}, a line each

A prompt may name flavors that Studio does not know ("trending on artstation") and some that it
draws badly; people type both. A gallery that was killed goes on where it was.
"""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from pe import shards
from pe.studio.pool import spread
from pe.studio.render import draw_scene
from pe.studio.scene import PLACES, TIMES, WEATHERS, fill_scene, read_prompt
from pe.studio.taste import cast_votes, score_picture
from pe.studio.world import FLAVORS, SUBJECTS
from pe.text.flavor_list import STUDIO, FlavorList

# What people type and Studio does not know: it changes no picture.
UNKNOWN_FLAVORS = (
    "trending on artstation", "8k", "4k", "award winning", "masterpiece", "highly detailed",
    "best quality", "intricate", "sharp details", "ultra realistic", "cinematic", "stunning",
)  # fmt: skip
UNKNOWN_CATEGORIES = {"trending on artstation": "site"}  # all others: quality
COLORS = ("red", "blue", "green", "yellow", "purple", "pink", "white", "black", "orange", "golden")
COUNTS = ("two", "three", "four", "five")
RELATIONS = ("on", "under", "beside", "in front of", "behind", "above")
CAMERA_PHRASES = ("close-up", "wide shot", "aerial view", "silhouette", "low angle")
LAST_TONE = 1  # flavors of this order or less change light and color, the others what is drawn
FOLDER_SIZE, PART = 1000, 50  # pictures in a folder, and in one go


@dataclasses.dataclass(frozen=True, kw_only=True)
class GalleryConfig:
    """How many pictures, by which seed, how many vote on each, and how many processes draw."""

    num_images: int = 2000
    seed: int = 0
    num_voters: int = 7
    size: int = 256
    num_processes: int = 2

    def __post_init__(self) -> None:
        for name in ("num_images", "num_voters", "num_processes"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"GalleryConfig.{name}: got {getattr(self, name)}, expected 1 or more"
                )
        if not 64 <= self.size <= 1024:
            raise ValueError(f"GalleryConfig.size: got {self.size}, expected 64 to 1024 pixels")


def list_flavors() -> FlavorList:
    """Return what people add to a thing here, known and not; `flavor_lists/studio.txt` holds it."""
    rows = [(name, found.category) for name, found in FLAVORS.items()]
    rows += [(phrase, "camera") for phrase in CAMERA_PHRASES]
    rows += [(phrases[0], "light") for phrases in WEATHERS.values()]
    rows += [(phrase, UNKNOWN_CATEGORIES.get(phrase, "quality")) for phrase in UNKNOWN_FLAVORS]
    phrases, categories = zip(*rows, strict=True)
    return FlavorList(
        name=STUDIO, phrases=phrases, categories=categories, counts=(0,) * len(phrases)
    )


def add_article(words: str) -> str:
    """Return "a red fox" of "red fox", "an owl" of "owl"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def say_place(place: str) -> str:
    """Return where that is: "in space", "on the beach", "in the forest"."""
    if place in ("space", "snow"):
        return f"in {place}"
    return f"{'on' if place in ('beach', 'farm') else 'in'} the {place}"


def say_time(time: str) -> str:
    """Return when that is: "by day", "at night"."""
    return f"{'by' if time == 'day' else 'at'} {time}"


def sample_prompt(rng: np.random.Generator, *, many_frac: float = 0.25) -> str:
    """Make up a prompt as a person might type it: thing, place, time, camera, flavors.

    `many_frac` is the share of prompts with several of the first thing.
    """

    def some(options: tuple[str, ...] | list[str]) -> str:
        return str(options[int(rng.integers(len(options)))])

    def thing(*, may_be_many: bool) -> str:
        found = SUBJECTS[some(list(SUBJECTS))]
        color = f"{some(COLORS)} " if rng.random() < 0.4 else ""
        size = f"{some(('tiny', 'small', 'big', 'giant'))} " if rng.random() < 0.15 else ""
        if may_be_many and rng.random() < many_frac:
            return f"{some(COUNTS)} {size}{color}{found.plural}"
        return add_article(f"{size}{color}{found.name}")

    text = thing(may_be_many=True)
    if rng.random() < 0.25:
        text += f" {some(RELATIONS)} {thing(may_be_many=False)}"
    if rng.random() < 0.5:
        text += f" {say_place(some(list(PLACES)))}"
    if rng.random() < 0.35:
        text += f" {say_time(some(list(TIMES)))}"
    parts = [text]
    if rng.random() < 0.15:
        parts.append(WEATHERS[some(list(WEATHERS))][0])
    if rng.random() < 0.2:
        parts.append(some(CAMERA_PHRASES))
    parts += _some_flavors(rng)
    parts += [some(UNKNOWN_FLAVORS) for _ in range(int(rng.integers(0, 3)))]
    tail = parts[1:]
    rng.shuffle(tail)
    return ", ".join(dict.fromkeys([text, *tail]))


def _some_flavors(rng: np.random.Generator) -> list[str]:
    """Draw up to two flavors that go together: one of light or color, one of lens or medium."""
    found: list[str] = []
    for _ in range(int(rng.integers(0, 3))):
        taken = {FLAVORS[name].order <= LAST_TONE for name in found}
        rest = [name for name in FLAVORS if (FLAVORS[name].order <= LAST_TONE) not in taken]
        found.append(rest[int(rng.integers(len(rest)))])
    return found


def write_gallery(
    out: Path, config: GalleryConfig, *, progress: Callable[[int, int], None] = lambda *_: None
) -> None:
    """Write the pictures that are not there yet; `progress` is told (done, of how many).

    Raises ValueError when `out` holds a gallery of another config.
    """
    settings = out / "gallery.json"
    wanted = dataclasses.asdict(config)
    del wanted["num_processes"]
    if settings.is_file():
        if json.loads(settings.read_text()) != wanted:
            raise ValueError(f"{out} holds a gallery of other settings; choose another --out")
    elif out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty and holds no gallery; choose a new folder")
    out.mkdir(parents=True, exist_ok=True)
    shards.write_json(settings, wanted)
    done = 0
    write = functools.partial(_write_part, out=out, config=config)
    for num_written in spread(write, range(0, config.num_images, PART), config.num_processes):
        done += num_written
        progress(done, config.num_images)
    _write_prompts(out, config.num_images)


def _write_part(begin: int, *, out: Path, config: GalleryConfig) -> int:
    numbers = range(begin, min(begin + PART, config.num_images))
    for number in numbers:
        label = _label_path(out, number)
        if not label.is_file():  # it comes last
            _write_picture(label, number, config)
    return len(numbers)


def _label_path(out: Path, number: int) -> Path:
    return out / "images" / f"{number // FOLDER_SIZE:02d}" / f"{number:06d}.json"


def _write_picture(label: Path, number: int, config: GalleryConfig) -> None:
    label.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng((config.seed, number))
    prompt, seed = sample_prompt(rng), int(rng.integers(2**31))
    scene = fill_scene(read_prompt(prompt), seed)
    picture = draw_scene(scene, size=config.size)
    votes = cast_votes(
        score_picture(scene, picture), config.num_voters, str(config.seed), str(number)
    )
    path = label.with_suffix(".png")
    part = path.with_name(f"{shards.TEMPORARY}{path.name}")
    Image.fromarray(picture).save(part, format="PNG", compress_level=4)
    part.replace(path)
    shards.write_json(label, {"prompt": prompt, "votes": votes, "seed": seed})


def _write_prompts(out: Path, num_images: int) -> None:
    """Write what was typed, for builds from prompts that people gave."""
    lines = []
    for number in range(num_images):
        label = _label_path(out, number)
        row = json.loads(label.read_text(encoding="utf-8"))
        line = {
            "prompt": row["prompt"],
            "score": float(np.mean(row["votes"])),
            "image": label.with_suffix(".png").relative_to(out).as_posix(),
        }
        lines.append(json.dumps(line) + "\n")
    shards.write_text(out / "prompts.jsonl", "".join(lines))
