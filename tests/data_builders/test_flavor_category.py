"""Which phrases are flavors, and of which category."""

import pytest

from data_builders.flavor_category import categorize, merge_key, split_names, split_run
from pe.text import flavors as tables
from pe.text.flavor_list import CATEGORIES, load_flavors


@pytest.mark.parametrize(
    ("phrase", "category"),
    [
        ("soft cinematic lighting", "light"),
        ("8k", "quality"),
        ("shot on canon eos", "camera"),
        ("portrait by mira voss", "artist"),
        ("details", "vague"),
        ("a red fox", "content"),
        # by the last word, or the last words that a table has
        ("beautiful oil painting", "medium"),
        ("animal photography", "medium"),
        ("professional color grading", "palette"),
        ("full body photo", "composition"),
        ("anime portrait", "composition"),
        ("gloomy atmosphere", "mood"),
        ("intricate linework", "texture"),
        ("art nouveau style", "movement"),
        ("8k octane render", "engine"),
        # with a free part
        ("85mm", "camera"),
        ("f/1.8", "camera"),
        ("1970s", "movement"),
        ("trending on artstation", "site"),
        ("rendered in unreal engine 5", "engine"),
        # with a word that is not known
        ("cat photo", "content"),
        ("marble details", "content"),
        ("street background", "content"),
        ("voss portrait painting", "content"),
        ("beautiful woman", "content"),
        ("in space", "content"),
        ("no contrast", "content"),
        ("insanely quality", "content"),
        # named after someone
        ("mira voss style", "artist"),
        ("inspired by tom harrel", "artist"),
        ("by the lake", "content"),
    ],
)
def test_a_phrase_has_this_category(phrase: str, category: str):
    assert categorize(phrase) == category


def test_every_table_phrase_has_a_category_or_is_too_vague():
    phrases = [phrase for table in tables.CATEGORIES.values() for phrase in table]
    own = [phrase.replace("-", " ") for phrase in load_flavors("own").phrases]
    kinds = {categorize(phrase) for phrase in phrases + own}
    assert kinds == set(CATEGORIES) - {"artist", "flavor"} | {"vague"}


def test_split_names_gives_the_rows_of_its_docstring():
    assert split_names("oil painting by mira voss and tom harrel") == (
        "oil painting",
        ["mira voss", "tom harrel"],
    )
    assert split_names("digital art by mira voss") == ("digital art", ["mira voss"])
    assert split_names("illustrated by mira voss") == ("", ["mira voss"])
    assert split_names("in the style of mira voss") == ("", ["mira voss"])
    assert split_names("by the lake") == ("by the lake", [])


def test_split_run_gives_the_rows_of_its_docstring():
    assert split_run("global illumination sharp focus") == ["global illumination", "sharp focus"]
    assert split_run("dslr extremely intricate") == ["dslr", "extremely intricate"]
    assert split_run("soft cinematic lighting") == ["soft cinematic lighting"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("vivid colours", "vivid color"),
        ("photo realistic", "photorealistic"),
        ("trending in art station", "trending on artstation"),
        ("artstation trending", "trending on artstation"),
        ("unreal 5", "unreal engine 5"),
        ("3d rendering", "3d render"),
        ("god rays", "godrays"),
        ("grey tones", "gray tone"),
    ],
)
def test_spellings_of_one_thing_have_one_key(one: str, other: str):
    assert merge_key(one) == merge_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("oil painting", "oil pastel"), ("35mm", "50mm"), ("high key", "low key")],
)
def test_different_things_have_different_keys(one: str, other: str):
    assert merge_key(one) != merge_key(other)
