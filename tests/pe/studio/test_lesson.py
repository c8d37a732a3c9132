"""Lessons: what is said of a picture is true of it, and nothing that cannot be seen is said."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from pe.data.image_text import ImageTextSource
from pe.studio.gallery import UNKNOWN_FLAVORS, list_flavors, sample_prompt
from pe.studio.lesson import (
    COLORLESS,
    COPYING,
    DRAWN_PX,
    SHAPE_FLAVORS,
    LessonConfig,
    can_count,
    caption_scene,
    draw_lesson,
    order_entities,
    shows_color,
    tell_lesson,
    write_lessons,
)
from pe.studio.render import draw_scene
from pe.studio.scene import WEATHERS, fill_scene, read_prompt
from pe.studio.world import FLAVORS
from pe.text.flavor_list import load_flavors

CONFIG = LessonConfig(
    num_images=7, size=32, seed=5, plain_frac=0.0, simple_frac=0.0, num_processes=1
)


def sample_scene(number: int):
    rng = np.random.default_rng(number)
    return fill_scene(read_prompt(sample_prompt(rng, many_frac=0.4)), number)


def seen(scene):
    """What of a scene a caption is to tell."""
    entities = tuple(
        dataclasses.replace(
            thing,
            size=None,
            color=thing.color if shows_color(scene) else None,
            count=thing.count if can_count(scene) else None,
        )
        for thing in order_entities(scene.entities)
    )
    return entities, scene.place, scene.time


def test_a_caption_tells_things_place_and_time_and_reads_back():
    for number in range(300):
        scene = sample_scene(number)
        told = read_prompt(caption_scene(scene))
        assert not told.flavors
        entities = tuple(
            dataclasses.replace(thing, count=thing.count if can_count(scene) else None)
            for thing in told.entities
        )
        assert (entities, told.place, told.time) == seen(scene), caption_scene(scene)


def test_every_text_is_true_of_its_picture():
    for number in range(200):
        scene, texts = tell_lesson(number, CONFIG)
        things = {thing.subject: thing for thing in scene.entities}
        for text in texts:
            told = read_prompt(text)
            assert set(told.flavors) <= set(scene.flavors), text
            assert told.place in (None, scene.place), text
            assert told.time in (None, scene.time), text
            assert told.weather in (None, scene.weather), text
            for thing in told.entities:
                true = things[thing.subject]
                assert thing.color in (None, true.color), text
                assert thing.count in (None, true.count) or not can_count(scene), text


def test_plain_and_simple_lessons_come_first():
    config = dataclasses.replace(CONFIG, num_images=90, plain_frac=0.4, simple_frac=0.3)
    scenes = [tell_lesson(number, config)[0] for number in range(90)]
    plain, simple, rest = scenes[:36], scenes[36:63], scenes[63:]
    assert all(s.entities[0].count == 1 for s in plain)
    assert {flavor for s in plain for flavor in s.flavors} <= set(SHAPE_FLAVORS)
    assert 0.2 < np.mean([bool(s.flavors) for s in plain]) < 0.5
    assert all(len(s.entities) == 1 for s in plain)
    assert 0.2 < np.mean([len(s.entities) == 2 for s in simple]) < 0.8
    assert max(len(s.flavors) for s in simple) == 1
    assert any(s.entities[0].count > 1 for s in simple)
    assert any(len(s.entities) > 1 for s in rest)
    assert any(len(s.flavors) > 1 for s in rest)


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("a fox behind a barn", "a barn in front of a fox"),
        ("a fox in front of a barn", "a fox in front of a barn"),
        ("a fox under a moon", "a moon above a fox"),
        ("a fox under a tree", "a fox under a tree"),
        ("a fox on a barn", "a fox on a barn"),
        ("an owl beside a cat", "a cat beside an owl"),
        ("a cat beside an owl", "a cat beside an owl"),
        ("two owls behind three cats", "three cats in front of two owls"),
        ("a fox", "a fox"),
    ],
)
def test_a_caption_names_two_things_in_the_order_that_a_picture_tells(prompt, told):
    scene = fill_scene(read_prompt(f"{prompt} in the meadow by day, cyanotype"), 0)
    assert caption_scene(scene) == f"{told} in the meadow by day"


def test_texts_are_short_and_long_and_hold_no_word_that_changes_nothing():
    texts = [t for n in range(60) for t in tell_lesson(n, CONFIG)[1]]
    assert not any(flavor in text for text in texts for flavor in UNKNOWN_FLAVORS)
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) <= 2
    assert max(lengths) >= 15


def chroma_distance(flavor: str | None) -> float:
    """How far apart the colors of things are that differ in color alone, at the nearest."""
    found = []
    for thing in ("cat", "car"):
        pictures = []
        for color in ("red", "blue", "green", "yellow"):
            prompt = f"a {color} {thing} in the meadow by day, medium shot, clear sky"
            prompt += f", {flavor}" if flavor else ""
            picture = draw_scene(fill_scene(read_prompt(prompt), 3)).astype(np.float64) / 255
            pictures.append(picture)
        where = np.ptp(np.stack(pictures), axis=0).max(axis=-1) > 0.1
        if not where.any():
            return 0.0
        means = [(p - p.mean(axis=-1, keepdims=True))[where].mean(axis=0) for p in pictures]
        found.append(min(np.linalg.norm(a - b) for a, b in itertools.combinations(means, 2)))
    return float(np.mean(found))


@pytest.mark.slow
def test_flavors_that_take_color_away_are_listed():
    plain = chroma_distance(None)
    shares = {name: chroma_distance(name) / plain for name in FLAVORS}
    assert {name for name, share in shares.items() if share < 0.06} <= COLORLESS
    assert {name for name, share in shares.items() if share < 0.3} >= COLORLESS
    assert set(FLAVORS) >= COLORLESS | COPYING


def test_the_shipped_list_of_flavors_is_that_of_the_world():
    assert load_flavors("studio") == list_flavors()
    assert {phrases[0] for phrases in WEATHERS.values()} <= set(load_flavors("studio").phrases)


def test_lessons_are_written_in_blocks_and_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr("pe.studio.lesson.BLOCK_ROWS", 3)
    told = []
    write_lessons(tmp_path / "a", CONFIG, progress=lambda *args: told.append(args))
    assert told == [(0, 7), (3, 7), (6, 7), (7, 7)]
    source = ImageTextSource(tmp_path / "a")
    (picture, row), (scene, texts) = draw_lesson(4, CONFIG), tell_lesson(4, CONFIG)
    assert row.texts == texts
    assert row.caption == caption_scene(scene)
    assert 1 <= row.score <= 10
    assert source.rows[4] == row
    assert np.array_equal(source.pixels(np.asarray([4]))[0], picture)
    small = Image.fromarray(draw_scene(scene, size=DRAWN_PX[0])).resize(
        (32, 32), Image.Resampling.BICUBIC
    )
    assert np.array_equal(picture, np.asarray(small))
    write_lessons(tmp_path / "b", CONFIG)
    (tmp_path / "b" / "00001.jsonl").unlink()
    write_lessons(tmp_path / "b", CONFIG)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


@pytest.mark.slow
def test_several_processes_write_the_same(tmp_path, monkeypatch):
    many = dataclasses.replace(CONFIG, num_images=501, num_processes=2)
    write_lessons(tmp_path / "two", many)
    write_lessons(tmp_path / "one", dataclasses.replace(many, num_processes=1))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_other_settings_and_other_folders_are_refused(tmp_path):
    write_lessons(tmp_path / "a", CONFIG)
    with pytest.raises(ValueError, match="holds lessons of other settings; choose another --out"):
        write_lessons(tmp_path / "a", dataclasses.replace(CONFIG, seed=6))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match="is not empty and holds no lessons"):
        write_lessons(tmp_path / "b", CONFIG)
    assert json.loads((tmp_path / "a" / "image_text.json").read_text())["num_rows"] == 7


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_images": 0},
        {"size": 8},
        {"many_frac": 1.5},
        {"plain_frac": -1.0},
        {"num_processes": 0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=f"LessonConfig.{next(iter(wrong))}: got"):
        dataclasses.replace(CONFIG, **wrong)
