"""The crowd's taste: each part by itself, and votes that follow the score."""

import numpy as np
import pytest

from pe.studio.layout import Spot
from pe.studio.render import draw_scene
from pe.studio.scene import Entity, fill_scene, read_prompt
from pe.studio.taste import (
    cast_votes,
    judge_composition,
    judge_contrast,
    judge_flavors,
    judge_harmony,
    score_picture,
)


def spot(x: float, half: float) -> Spot:
    return Spot(entity=Entity(subject="cat", count=1), x=x, y=0.5, half=half, flip=False)


def flat(*color: int) -> np.ndarray:
    return np.full((96, 96, 3), color, np.uint8)


def halves(a: tuple[int, ...], b: tuple[int, ...]) -> np.ndarray:
    picture = flat(*a)
    picture[48:] = b
    return picture


def test_a_thing_of_half_the_width_in_the_middle_is_liked_best():
    best = judge_composition([spot(0.5, 0.25)])
    assert best > 1.2
    assert judge_composition([spot(0.5, 0.05)]) < best - 1
    assert judge_composition([spot(0.95, 0.25)]) < best - 1
    assert judge_composition([spot(0.1 + 0.1 * k, 0.05) for k in range(9)]) < best


def test_colors_of_one_hue_or_two_that_face_each_other_are_liked():
    assert judge_harmony(halves((220, 60, 60), (150, 30, 30))) > 0.8
    assert judge_harmony(halves((220, 60, 60), (60, 220, 220))) > 0.8
    clash = judge_harmony(halves((220, 60, 60), (140, 220, 60)))  # a quarter of the circle apart
    assert clash < 0.2
    assert judge_harmony(flat(128, 128, 128)) == 0.0


def test_light_beside_dark_is_liked():
    assert judge_contrast(halves((250, 250, 250), (10, 10, 10))) == 0.8
    assert judge_contrast(flat(90, 90, 90)) == -1.0


def test_flavors_have_their_worth():
    assert judge_flavors(()) == 0.0
    assert judge_flavors(("golden hour",)) == pytest.approx(1.3)
    assert judge_flavors(("golden hour", "watercolor")) == 2.0  # bounded
    assert judge_flavors(("octane render",)) < -1
    assert judge_flavors(("lo-fi",)) < 0


def test_a_score_lies_between_1_and_10_and_knows_no_unknown_words():
    scores = []
    for seed, prompt in enumerate(("a cat, golden hour", "a cat, golden hour, 8k")):
        scene = fill_scene(read_prompt(prompt), 4)
        scores.append(score_picture(scene, draw_scene(scene, size=96)))
        assert 1 <= scores[-1] <= 10, seed
    assert scores[0] == scores[1]


def test_votes_follow_the_score_and_differ_by_voter():
    votes = cast_votes(6.3, 2000, "0", "17")
    assert set(votes) <= set(range(1, 11))
    assert np.mean(votes) == pytest.approx(6.3, abs=0.1)
    assert np.std(votes) == pytest.approx(1.24, abs=0.08)
    assert votes == cast_votes(6.3, 2000, "0", "17") != cast_votes(6.3, 2000, "0", "18")
    assert min(cast_votes(1.0, 50, "x")) == 1
