"""What the splitter takes for content and for flavor, row by row."""

import json
from pathlib import Path

import pytest

from pe.text import flavors
from pe.text.markup import clean_prompt
from pe.text.split import is_flavor, is_name_list, split_prompt
from pe.text.words import content_words, count_words

PROMPTS = Path(__file__).parents[3] / "../shared/data/prompts/image_prompts.jsonl"


@pytest.mark.parametrize(
    ("text", "caption", "found"),
    [
        (
            "a red fox in snow, oil painting, 8 k --ar 3:2",
            "a red fox in snow",
            ["oil painting", "8 k"],
        ),
        (
            "a heron in a pond realistic cinematic",
            "a heron in a pond",
            ["realistic", "cinematic"],
        ),
        (
            "pencil sketch of two kings, with red hats",
            "two kings, with red hats",
            ["pencil sketch"],
        ),
        (
            "a mill by mira voss, tom harrel, fog",
            "a mill, fog",
            ["by mira voss", "tom harrel"],
        ),
        ("highly detailed, 4k", "highly detailed", ["4k"]),
        (
            "Oil painting of a goose. Soft light. Trending on ArtStation",
            "a goose",
            ["Oil painting", "Soft light", "Trending on ArtStation"],
        ),
        (
            "digital art, a stone giant | octane render",
            "a stone giant",
            ["digital art", "octane render"],
        ),
        ("an owl in the style of Lena Stone", "an owl", ["in the style of Lena Stone"]),
        ("a kettle in soft warm light", "a kettle", ["in soft warm light"]),
        ("a cat in anime style", "a cat", ["in anime style"]),
        ("close - up portrait of a tired clown", "a tired clown", ["close - up portrait"]),
        (
            "a moth, art by Mira Voss and J. K. Tarrow",
            "a moth",
            ["art by Mira Voss and J. K. Tarrow"],
        ),
        ("“two seals, anime style”", "two seals", ["anime style"]),
    ],
)
def test_a_prompt_is_split_into_caption_and_flavors(text, caption, found):
    split = split_prompt(text)
    assert (split.caption, list(split.flavors)) == (caption, found)


@pytest.mark.parametrize(
    "text",
    [
        "a dark forest",
        "golden retriever",
        "a painting hanging on a wall",
        "portrait",
        "a woman standing by the river",
        "a house by the sea",
        "tea by the window",
        "fire by night",
        "a light house",
        "a man taking a photo",
        "a wolf by a lake",
        "lovers by moonlight",
        "statue of a king",
        "logo of a bakery",
        "a girl with a camera",
        "children watching anime",
    ],
)
def test_content_stays_in_the_caption(text):
    assert (split_prompt(text).caption, split_prompt(text).flavors) == (text, ())


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("8 k", True),
        ("85mm", True),
        ("f/1.8", True),
        ("octane render", True),
        ("soft cinematic lighting", True),
        ("art by Mira Voss", True),
        ("by Lena Stone", True),
        ("Award - winning", True),
        ("trending on artstation", True),
        ("Unreal Engine 5", True),
        ("by the lake", False),
        ("by moonlight", False),
        ("a dark forest", False),
        ("hair style", False),
        ("red light", False),
        ("", False),
        ("style", False),
    ],
)
def test_a_phrase_is_a_flavor_or_not(phrase, expected):
    assert is_flavor(phrase) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mira voss and j. k. tarrow", True),
        ("lena stone", True),
        ("the sea", False),
        ("moonlight", False),
        ("and", False),
    ],
)
def test_names_are_told_by_their_words(text, expected):
    assert is_name_list(text) is expected


def test_every_phrase_of_the_tables_is_a_flavor():
    every = [phrase for table in flavors.CATEGORIES.values() for phrase in table]
    assert [p for p in every if not is_flavor(p)] == []


def test_words_are_counted_and_listed():
    assert count_words("a close - up , 8 k") == 5
    found = content_words("The Cat and the cat's hat, in 1999")
    assert found == ("cat", "cat's", "hat", "1999")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50_000,
        "(" * 25_000 + ")" * 25_000,
        "," * 50_000,
        " " * 100_000,
        "a " * 50_000,
        "[(" * 25_000,
        "(a:1.2)" * 10_000,
        "::" * 50_000,
        "--no " + "a " * 40_000,
        "& # " * 25_000,
        "<lora:" * 16_000,
        "\n" * 100_000,
        '"' * 100_000,
        "by mira voss, " * 7_000,
        "in the style of " * 6_000,
        "1 " * 50_000,
        "https://" * 12_000,
        "x" * 100_000,
    ],
)
def test_nasty_input_ends_and_loses_no_invariant(text):
    split = split_prompt(text)
    assert bool(split.caption) == bool(split.prompt)


@pytest.mark.slow
def test_real_prompts_keep_their_content():
    if not PROMPTS.exists():
        pytest.skip(f"real prompts are not here: {PROMPTS}")
    lines = PROMPTS.read_text(encoding="utf-8").splitlines()[::31]
    num_without_flavors = 0
    for line in lines:
        split = split_prompt(json.loads(line)["text"])
        assert bool(split.caption) == bool(split.prompt)
        assert "\n" not in split.prompt
        assert "  " not in split.prompt
        words = set(content_words(split.prompt))
        parts = " , ".join((split.caption, *split.flavors))
        assert set(content_words(parts)) <= words
        # a second pass finds nothing more to clean
        assert clean_prompt(split.prompt)[0] == split.prompt or split.num_weights
        num_without_flavors += not split.flavors
    assert 0.2 < num_without_flavors / len(lines) < 0.5
