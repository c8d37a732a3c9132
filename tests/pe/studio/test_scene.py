"""What a prompt says, what it leaves open, and what changes nothing."""

import dataclasses

import pytest

from pe.studio.color import NAMED
from pe.studio.scene import (
    CAMERAS,
    MAX_COUNT,
    PLACES,
    TIMES,
    WEATHERS,
    Entity,
    Spec,
    fill_scene,
    phrase_table,
    read_prompt,
)
from pe.studio.world import FLAVORS, SUBJECTS


def test_read_prompt_gives_the_row_of_its_docstring():
    assert read_prompt("two red foxes beside a barn at night, watercolor") == Spec(
        entities=(
            Entity(subject="fox", count=2, color="red"),
            Entity(subject="barn", count=1, relation="beside"),
        ),
        time="night",
        flavors=("watercolor",),
    )


@pytest.mark.parametrize(
    ("prompt", "entities"),
    [
        ("a cat", (Entity(subject="cat", count=1),)),
        ("cats", (Entity(subject="cat"),)),
        ("three tiny white kittens", (Entity(subject="cat", count=3, color="white", size="tiny"),)),
        (
            "a grey cat on a red car",
            (
                Entity(subject="cat", count=1, color="gray"),
                Entity(subject="car", count=1, color="red", relation="on"),
            ),
        ),
        (
            "a cat with blue eyes and a dog",
            (Entity(subject="cat", count=1), Entity(subject="dog", count=1, relation="beside")),
        ),
        ("undying love", ()),
    ],
)
def test_things_are_read_with_count_color_size_and_relation(prompt: str, entities: tuple):
    assert read_prompt(prompt).entities == entities


def test_place_time_weather_camera_and_flavors_are_read_in_any_order():
    spec = read_prompt("oil on canvas, close-up of a dog, Rainy, in the CITY at dawn; film grain")
    assert (spec.place, spec.time, spec.weather, spec.camera) == (
        "city", "dawn", "rain", "close-up",
    )  # fmt: skip
    assert spec.flavors == ("oil painting", "film grain")


def test_the_longest_phrase_wins():
    assert read_prompt("golden hour").flavors == ("golden hour",)
    assert read_prompt("a golden crown").entities == (
        Entity(subject="crown", count=1, color="golden"),
    )
    assert read_prompt("a wheat field").place == "farm"


@pytest.mark.parametrize(
    "unknown", ["8k", "trending on artstation", "award winning", "masterpiece", "extraordinary"]
)
def test_words_that_are_not_known_change_nothing(unknown: str):
    prompt = "two red foxes beside a barn in the forest, pixel art, night"
    words = prompt.split()
    plain = read_prompt(" ".join(words))
    for place in range(len(words) + 1):
        assert read_prompt(" ".join([*words[:place], unknown, *words[place:]])) == plain


def test_a_scene_has_nothing_open_and_keeps_what_was_said():
    spec = read_prompt("two red foxes beside a barn at night, watercolor")
    for seed in range(50):
        scene = fill_scene(spec, seed)
        assert scene.place in PLACES
        assert (scene.time, scene.flavors) == ("night", ("watercolor",))
        assert [entity.count for entity in scene.entities] == [2, 1]
        assert scene.entities[0].color == "red"
        assert scene.entities[1].color in NAMED
        assert scene.weather in WEATHERS
        assert scene.camera in CAMERAS


def test_what_is_open_differs_by_seed_and_is_drawn_by_itself():
    scenes = [fill_scene(read_prompt("cats"), seed) for seed in range(60)]
    assert {scene.entities[0].count for scene in scenes} == {2, 3, 4, 5}
    assert len({scene.place for scene in scenes}) >= 2
    assert {scene.time for scene in scenes} == set(TIMES)
    for seed, scene in enumerate(scenes):
        at_night = fill_scene(read_prompt("cats at night"), seed)
        assert at_night == dataclasses.replace(scene, time="night")


def test_a_prompt_without_a_known_thing_shows_one_all_the_same():
    seen = {fill_scene(read_prompt("undying love"), seed).entities[0].subject for seed in range(80)}
    assert len(seen) > 20


def test_the_world_is_as_large_as_it_has_to_be():
    assert len(SUBJECTS) >= 40
    assert len(FLAVORS) >= 60
    assert all(set(found.places) <= set(PLACES) for found in SUBJECTS.values())
    assert all({*found.colors, found.accent} <= set(NAMED) for found in SUBJECTS.values())
    assert MAX_COUNT == 9


def test_every_name_is_read_as_itself():
    table = phrase_table()
    for name, found in SUBJECTS.items():
        assert read_prompt(f"a {name}").entities == (Entity(subject=name, count=1),), name
        many = read_prompt(f"three {found.plural}").entities
        assert many == (Entity(subject=name, count=3),), found.plural
    for name in FLAVORS:
        assert read_prompt(f"a cat, {name}").flavors == (name,), name
    assert len(table) > 300
