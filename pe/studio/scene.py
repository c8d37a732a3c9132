"""What a picture shows: read from a prompt, and what the prompt leaves open drawn from the seed.

A prompt is read as known phrases, the longest first; words that are not known are as if they were
not there. Each open question (which place, which color, how many) is drawn by its own name and the
seed, so that saying one thing changes nothing else.
"""

import dataclasses
import functools
import re
from typing import TypeVar

import numpy as np

from pe.pairs import draw_fraction
from pe.studio.color import NAMED
from pe.studio.subject import Subject
from pe.studio.world import FLAVORS, SUBJECTS

T = TypeVar("T")
MAX_ENTITIES, MAX_COUNT, MAX_FLAVORS = 3, 9, 3

PLACES: dict[str, tuple[str, ...]] = {
    "meadow": ("meadow", "field", "grassland", "hills", "countryside", "pasture"),
    "forest": ("forest", "woods", "jungle", "woodland"),
    "sea": ("sea", "ocean", "lake", "water", "waves", "harbor", "underwater"),
    "beach": ("beach", "shore", "coast", "seaside"),
    "desert": ("desert", "dunes", "sand dunes", "sand"),
    "city": ("city", "street", "town", "alley", "downtown", "skyline"),
    "snow": ("snow", "snowy field", "arctic", "ice", "tundra", "winter landscape"),
    "mountains": ("in the mountains", "mountain range", "alps", "valley", "peaks"),
    "space": ("space", "outer space", "galaxy", "cosmos", "orbit"),
    "room": ("room", "living room", "kitchen", "bedroom", "house interior", "indoors", "studio"),
    "garden": ("garden", "park", "backyard", "orchard"),
    "farm": ("farm", "farmyard", "wheat field", "cornfield"),
}
TIMES: dict[str, tuple[str, ...]] = {
    "day": ("day", "daytime", "noon", "midday", "afternoon", "sunny day"),
    "dawn": ("dawn", "morning", "sunrise", "daybreak"),
    "dusk": ("dusk", "evening", "twilight"),
    "night": ("night", "midnight", "nighttime"),
}
WEATHERS: dict[str, tuple[str, ...]] = {
    "clear": ("clear sky", "sunny", "clear weather"),
    "cloudy": ("cloudy", "clouds in the sky", "cloudy sky"),
    "rain": ("rain", "rainy", "raining", "drizzle", "downpour"),
    "snowing": ("snowing", "snowstorm", "blizzard", "falling snow"),
    "fog": ("foggy", "misty", "mist"),
    "storm": ("storm", "thunderstorm", "lightning"),
}
CAMERAS: dict[str, tuple[str, ...]] = {
    "medium shot": ("medium shot", "full body"),
    "close-up": ("close up", "closeup", "portrait", "headshot", "macro"),
    "wide shot": ("wide shot", "wide angle", "long shot", "establishing shot", "landscape"),
    "aerial view": ("aerial view", "from above", "top down", "bird's eye view", "birds eye view"),
    "silhouette": ("silhouette", "silhouetted"),
    "low angle": ("low angle", "from below"),
}
SIZES: dict[str, tuple[str, ...]] = {
    "tiny": ("tiny", "miniature", "little"),
    "small": ("small",),
    "big": ("big", "large", "tall"),
    "giant": ("giant", "huge", "gigantic", "enormous", "massive"),
}
RELATIONS: dict[str, tuple[str, ...]] = {
    "on": ("on", "on top of", "upon", "sitting on", "standing on", "atop"),
    "under": ("under", "beneath", "below", "underneath"),
    "beside": ("beside", "next to", "near", "by", "with", "and", "alongside"),
    "in front of": ("in front of", "before"),
    "behind": ("behind",),
    "above": ("above", "over", "flying over"),
}
NUMBERS: dict[str, tuple[str, ...]] = {
    "1": ("one", "1", "single", "lone"),
    "2": ("two", "2", "a pair of", "pair of", "a couple of", "twin"),
    "3": ("three", "3", "trio of"),
    "4": ("four", "4", "several", "some"),
    "5": ("five", "5", "a few", "a group of", "group of"),
    "6": ("six", "6", "many", "a flock of", "flock of", "a herd of", "herd of"),
    "7": ("seven", "7"),
    "8": ("eight", "8"),
    "9": ("nine", "9"),
}
COLOR_WORDS = {"grey": "gray", "violet": "purple", "gold": "golden", "crimson": "red",
               "turquoise": "teal", "scarlet": "red", "azure": "blue"}  # fmt: skip
ARTICLES = ("a", "an", "the", ",", ".", ";", "|")
_SITE = re.compile(r"\b(?:trending|featured|popular|posted|seen) (?:on|at|in) \w+")
_TOKEN = re.compile(r"[a-z0-9']+|[,.;|]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entity:
    """One kind of thing in a prompt; None is what the prompt leaves open.

    `relation` says how it stands to the entity before it ("on": that one is on this one).
    """

    subject: str
    count: int | None = None
    color: str | None = None
    size: str | None = None
    relation: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec:
    """What a prompt says, and no more."""

    entities: tuple[Entity, ...] = ()
    place: str | None = None
    time: str | None = None
    weather: str | None = None
    camera: str | None = None
    flavors: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """What a picture shows: nothing is open. Of every entity count, color and size are set."""

    entities: tuple[Entity, ...]
    place: str
    time: str
    weather: str
    camera: str
    flavors: tuple[str, ...]
    seed: int


@functools.cache
def phrase_table() -> dict[tuple[str, ...], tuple[str, str]]:
    """Return what every known phrase says: words -> (slot, value); longer ones win."""
    table: dict[tuple[str, ...], tuple[str, str]] = {}

    def add(slot: str, value: str, phrases: tuple[str, ...]) -> None:
        for phrase in phrases:
            table.setdefault(tuple(_words(phrase)), (slot, value))

    for slot, values in (
        ("camera", CAMERAS), ("weather", WEATHERS), ("time", TIMES), ("place", PLACES),
    ):  # fmt: skip
        for value, phrases in values.items():
            add(slot, value, phrases)
    for name in FLAVORS:
        add("flavor", name, (name,))
    for name, flavor in FLAVORS.items():
        add("flavor", name, flavor.words)
    for name, found in SUBJECTS.items():
        for word in (name, *found.words):
            add("subject", name, (word,))
        add("subjects", name, (found.plural, *(f"{word}s" for word in found.words)))
    for slot, values in (("size", SIZES), ("relation", RELATIONS), ("count", NUMBERS)):
        for value, phrases in values.items():
            add(slot, value, phrases)
    for color in NAMED:
        add("color", color, (color,))
    for word, color in COLOR_WORDS.items():
        add("color", color, (word,))
    for word in ARTICLES:
        table.setdefault((word,), ("article", word))
    return table


def _words(text: str) -> list[str]:
    return _TOKEN.findall(text.lower().replace("-", " ").replace("’", "'"))


def read_prompt(prompt: str) -> Spec:
    """Read what a prompt says.

    "two red foxes beside a barn at night, watercolor"
      ->  entities (fox, 2, red), (barn, beside), time night, flavors (watercolor)
    """
    table = phrase_table()
    longest = max(map(len, table))
    known = {word for phrase in table for word in phrase}
    words = [word for word in _words(_SITE.sub(" ", prompt.lower())) if word in known]
    entities: list[Entity] = []
    said: dict[str, str] = {}
    flavors: list[str] = []
    pending: dict[str, str] = {}
    start = 0
    while start < len(words):
        for size in range(min(longest, len(words) - start), 0, -1):
            found = table.get(tuple(words[start : start + size]))
            if found is not None:
                break
        else:
            start += 1
            continue
        start += size
        slot, value = found
        if slot in ("subject", "subjects"):
            if len(entities) < MAX_ENTITIES:
                entities.append(_make_entity(slot, value, pending, is_first=not entities))
            pending = {}
        elif slot == "flavor":
            if value not in flavors and len(flavors) < MAX_FLAVORS:
                flavors.append(value)
        elif slot == "article":
            pending = {key: pending[key] for key in ("relation",) if key in pending}
        elif slot in ("size", "color", "count", "relation"):
            pending[slot] = value
        else:
            said.setdefault(slot, value)
    return Spec(entities=tuple(entities), flavors=tuple(flavors), **said)


def _make_entity(slot: str, name: str, pending: dict[str, str], *, is_first: bool) -> Entity:
    count = int(pending["count"]) if "count" in pending else (1 if slot == "subject" else None)
    if count is not None and slot == "subjects":
        count = max(2, count)
    relation = None if is_first else pending.get("relation", "beside")
    return Entity(
        subject=name,
        count=count,
        color=pending.get("color"),
        size=pending.get("size"),
        relation=relation,
    )


def draw(options: tuple[T, ...], seed: int, *slot: str) -> T:
    """Draw one of the options by the seed and the name of the question."""
    return options[int(draw_fraction("studio", str(seed), *slot) * len(options))]


def fill_scene(spec: Spec, seed: int) -> Scene:
    """Settle what a prompt leaves open, by the seed."""
    entities = spec.entities or (_draw_entity(spec, seed),)
    filled = tuple(_fill_entity(entity, seed, i) for i, entity in enumerate(entities))
    first = SUBJECTS[filled[0].subject]
    place = spec.place or _draw_place(first, spec, seed)
    weather = spec.weather or draw(("clear", "clear", "clear", "cloudy"), seed, "weather")
    return Scene(
        entities=filled,
        place=place,
        time=spec.time or draw(("day", "day", "day", "dawn", "dusk", "night"), seed, "time"),
        weather="clear" if place in ("space", "room") and not spec.weather else weather,
        camera=spec.camera or "medium shot",
        flavors=spec.flavors,
        seed=seed,
    )


def _draw_entity(spec: Spec, seed: int) -> Entity:
    names = tuple(
        name for name, found in SUBJECTS.items() if spec.place is None or spec.place in found.places
    )
    return Entity(subject=draw(names or tuple(SUBJECTS), seed, "subject"))


def _fill_entity(entity: Entity, seed: int, number: int) -> Entity:
    found = SUBJECTS[entity.subject]
    slot = (str(number), entity.subject)
    colors = (found.colors[0], *found.colors)  # the likeliest twice
    return dataclasses.replace(
        entity,
        count=entity.count or draw((2, 3, 4, 5), seed, "count", *slot),
        color=entity.color or draw(colors, seed, "color", *slot),
        size=entity.size or "medium",
    )


def _draw_place(found: Subject, spec: Spec, seed: int) -> str:
    places = found.places
    if len(spec.entities) > 1:
        last = SUBJECTS[spec.entities[-1].subject].places
        places = tuple(place for place in places if place in last) or places
    return draw(places, seed, "place", found.name)


def scene_rng(scene: Scene, *slot: str) -> np.random.Generator:
    """Return the random numbers of one part of a picture."""
    return np.random.default_rng(int(draw_fraction("studio", str(scene.seed), *slot) * 2**53))
