"""Screens: what goes, why, and what is changed; licences, languages, evaluation sets."""

import pyarrow as pa
import pytest

from data_builders.screening import ScreenConfig, make_screens
from pe.records import Image, Inversion, Pair
from pe.stages.stage import Drop


def invert(prompt: str, flavors: tuple[str, ...] = ()) -> Inversion:
    return Inversion(image_id="i", source_id="s", caption=prompt.split(",")[0], flavors=flavors,
                     prompt=prompt, method="given")  # fmt: skip


def screen(config: ScreenConfig, prompt: str, *, licence: str = "", flavors: tuple[str, ...] = ()):
    stage, _ = make_screens(config)
    image = Image(uri="a.csv:1", source="s", licence=licence, given_prompt=prompt)
    table = pa.table({"inversion": [invert(prompt, flavors).to_row()], "image": [image.to_row()]})
    return stage(table)[0]


def screen_query(config: ScreenConfig, query: str):
    _, stage = make_screens(config)
    pair = Pair(query=query, prefix="DTL", prompt="a red fox in snow", kind="short", source="s",
                split="train", half="base", parents=("q", "v", "i"), licence="")  # fmt: skip
    return pair, stage(pa.table({"pair": [pair.to_row()]}))[0]


def test_a_harmless_prompt_stays_and_gets_its_language():
    (kept,) = screen(ScreenConfig(), "a red fox of the north, oil painting")
    assert (kept.prompt, kept.language) == ("a red fox of the north, oil painting", "en")


@pytest.mark.parametrize(
    ("settings", "prompt", "drop"),
    [
        ({}, "a nude on a bed", Drop("unsafe_sexual", "nude")),
        ({"languages": ("en",)}, "un perro saltando en la playa", Drop("language", "es")),
        ({"personal": "drop"}, "art by @someone", Drop("personal_handle", "handle")),
        ({"allow_licences": ("cc0",)}, "a fox", Drop("licence", "MIT")),
    ],
)
def test_what_goes_goes_with_its_reason(settings, prompt, drop):
    assert screen(ScreenConfig(**settings), prompt, licence="MIT") == drop


def test_what_is_to_be_kept_is_kept():
    config = ScreenConfig(unsafe="keep", personal="keep", allow_licences=("mit",))
    (kept,) = screen(config, "a nude by @someone", licence=" MIT ")
    assert kept.prompt == "a nude by @someone"


def test_personal_data_are_masked_in_every_part():
    (kept,) = screen(ScreenConfig(), "a fox by @someone, ink", flavors=("by @someone",))
    assert kept.prompt == "a fox by [handle], ink"
    assert (kept.caption, kept.flavors) == ("a fox by [handle]", ("by [handle]",))
    (kept,) = screen(ScreenConfig(placeholder=""), "mail a@b.org, ink")
    assert kept.prompt == "mail , ink"


def test_lines_of_evaluation_sets_go_from_prompts_and_queries(tmp_path):
    path = tmp_path / "parti.tsv"
    path.write_text("Prompt\ta\na red fox\tx\na man riding a blue horse\ty\n", encoding="utf-8")
    config = ScreenConfig(evaluation_sets=(str(path),))
    assert screen(config, "A red-fox") == Drop("contaminated_normalised", "parti: a red fox")
    found = screen(config, "photo of a man riding a blue horse, 8k")
    assert found == Drop("contaminated_ngram", "parti: a man riding a blue horse")
    assert screen_query(config, "a red fox")[1] == Drop("contaminated_exact", "parti: a red fox")
    assert isinstance(screen(config, "a red fox in snow"), tuple)


def test_queries_are_screened_and_masked():
    pair, kept = screen_query(ScreenConfig(), "a fox")
    assert kept == (pair,)
    pair, kept = screen_query(ScreenConfig(), "a fox for @someone")
    assert kept[0].query == "a fox for [handle]"
    assert kept[0].id != pair.id
    assert screen_query(ScreenConfig(), "topless")[1] == Drop("unsafe_sexual", "topless")


def test_the_key_follows_what_the_files_say(tmp_path):
    path, phrases = tmp_path / "a.txt", tmp_path / "b.txt"
    keys = set()
    for lines, allowed in (("a fox", "x"), ("a fox\na cat", "x"), ("a fox", "y")):
        path.write_text(lines, encoding="utf-8")
        phrases.write_text(allowed, encoding="utf-8")
        config = ScreenConfig(evaluation_sets=(str(path),), allow_phrases=str(phrases))
        keys.add(make_screens(config)[0].config)
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"personal": "hide"}, ValueError, "ScreenConfig.personal: got 'hide', expected one of"),
        ({"placeholder": "{name}"}, ValueError, "ScreenConfig.placeholder: got '{name}'"),
        ({"unsafe": "keep", "allow_phrases": "p.txt"}, ValueError, "nothing is looked for"),
        ({"languages": ("english",)}, ValueError, "'english' is none of ar, bg"),
        ({"evaluation_sets": ("gone.tsv",)}, FileNotFoundError, "there is no file gone.tsv"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        make_screens(ScreenConfig(**settings))
