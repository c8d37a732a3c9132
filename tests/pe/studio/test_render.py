"""Pictures of prompts: the same bytes everywhere, and every thing and flavor shows."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pe.studio.render import render
from pe.studio.scene import CAMERAS, PLACES, TIMES, WEATHERS
from pe.studio.world import FLAVORS, SUBJECTS

ROOT = Path(__file__).parents[3]
UNKNOWN = ("8k", "trending on artstation", "very", "award winning", "intricate", "xyzzy")


def make_prompts(count: int) -> list[str]:
    rng = np.random.default_rng(5)
    names, flavors = list(SUBJECTS), list(FLAVORS)
    found = []
    for _ in range(count):
        one, two = rng.choice(names, 2, replace=False)
        place, time = rng.choice(list(PLACES)), rng.choice(list(TIMES))
        flavor = rng.choice(flavors)
        forms = (
            f"a {one}, {flavor}",
            f"three {SUBJECTS[one].plural} in the {place}",
            f"a {one} on a {two} at {time}, {flavor}",
            f"a small blue {one} beside two {SUBJECTS[two].plural}",
        )
        found.append(forms[rng.integers(4)])
    return found


def digest(count: int, *, size: int = 256) -> str:
    total = hashlib.blake2b(digest_size=16)
    for seed, prompt in enumerate(make_prompts(count)):
        total.update(render(prompt, seed, size=size).tobytes())
    return total.hexdigest()


def test_a_picture_has_its_size_and_kind():
    picture = render("a cat", 0)
    assert (picture.shape, picture.dtype) == ((256, 256, 3), np.uint8)
    assert render("a cat", 0, size=96).shape == (96, 96, 3)


def test_the_same_prompt_and_seed_give_the_same_bytes_and_another_seed_others():
    assert digest(12, size=128) == digest(12, size=128)
    pictures = {render("a cat", seed, size=64).tobytes() for seed in range(12)}
    assert len(pictures) == 12


@pytest.mark.parametrize("name", sorted(SUBJECTS))
def test_a_subject_shows_in_its_color(name: str):
    plain = render(f"a red {name} in space, day", 3, size=64).astype(int)
    other = render(f"a blue {name} in space, day", 3, size=64).astype(int)
    changed = np.abs(plain - other).sum(axis=2) > 60
    assert 0.01 < changed.mean() < 0.75


@pytest.mark.parametrize("name", sorted(FLAVORS))
def test_a_flavor_changes_the_picture(name: str):
    plain = render("a cat in the meadow, day", 3, size=96).astype(int)
    other = render(f"a cat in the meadow, day, {name}", 3, size=96).astype(int)
    assert np.abs(plain - other).mean() > 4


@pytest.mark.parametrize(
    "word", [*PLACES, *TIMES, *(w for w in WEATHERS), *(c for c in CAMERAS if c != "medium shot")]
)
def test_place_time_weather_and_camera_show(word: str):
    names = {"clear": "sunny", "fog": "misty", "mountains": "in the mountains"}
    phrase = names.get(word, word)
    said = render(f"a cat, {phrase}", 1, size=64).astype(int)
    pictures = [render("a cat", seed, size=64).astype(int) for seed in (1, 2)]
    assert max(np.abs(said - picture).mean() for picture in pictures) > 2


@pytest.mark.slow
def test_1000_pictures_are_the_same_bytes_again_and_in_other_processes():
    code = "from tests.pe.studio.test_render import digest; print(digest(1000))"
    children = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    mine = digest(1000)
    assert [child.communicate()[0].strip() for child in children] == [mine, mine]


@pytest.mark.slow
def test_500_prompts_with_an_unknown_word_give_the_same_bytes():
    rng = np.random.default_rng(7)
    for seed, prompt in enumerate(make_prompts(500)):
        words = prompt.split(" ")
        place = int(rng.integers(len(words) + 1))
        more = " ".join([*words[:place], str(rng.choice(UNKNOWN)), *words[place:]])
        assert np.array_equal(render(prompt, seed, size=96), render(more, seed, size=96)), more
