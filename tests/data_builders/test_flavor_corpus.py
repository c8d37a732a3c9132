"""A flavor list out of prompts: what is counted, what is dropped and why."""

import json
from pathlib import Path
from typing import Any

import pytest

from data_builders.flavor_corpus import (
    REASONS,
    FlavorConfig,
    count_flavors,
    describe_flavors,
    find_phrases,
    write_flavors,
)
from data_builders.sources import SourceConfig
from pe.text.flavor_list import load_flavors

SHARED = Path(__file__).parents[2] / "../shared/data/prompts/image_prompts.jsonl"
PROMPTS = [
    "a red fox, oil painting by Mira Voss, Tom Harrel, 8 k, details",
    "an owl, oil-painting, soft light, 8k",
    "An owl, oil painting, soft light, 8k!",  # the same prompt
    "a bridge, oil painting, in soft light, Mira Voss, close - up",
    "a mill, in the style of Mira Voss, close-up, very very very detailed",
    "a heron, close up, trending on artstation, sepia",
    "a kite, trending in art station, very detailed, vivid colours",
    "a kite and a boat, trending on artstation, vivid colors, vivid colors",
    "a boat, very wide soft warm dramatic cinematic lighting",
]


def write_prompts(tmp_path, prompts):
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    return path


def count(tmp_path, prompts, **settings):
    return count_flavors(write_prompts(tmp_path, prompts), FlavorConfig(**settings))


def rows_of(flavors):
    return list(zip(flavors.phrases, flavors.counts, flavors.categories, strict=True))


def test_find_phrases_gives_the_rows_of_its_docstring():
    assert [(phrase.form, phrase.kind) for phrase in find_phrases(PROMPTS[0])] == [
        ("red fox", "content"),
        ("oil painting", "medium"),
        ("by mira voss", "artist"),
        ("by tom harrel", "artist"),
        ("8k", "quality"),
        ("details", "vague"),
    ]


def test_spellings_count_together_under_the_most_frequent(tmp_path):
    flavors, stats = count(tmp_path, PROMPTS, min_count=2)
    assert rows_of(flavors) == [
        ("close-up", 3, "composition"),
        ("oil painting", 3, "medium"),
        ("trending on artstation", 3, "site"),
        ("8k", 2, "quality"),
        ("soft light", 2, "light"),
        ("very detailed", 2, "quality"),
        ("vivid colors", 2, "palette"),
    ]
    assert stats.num_spellings == 11


def test_rows_and_phrases_add_up(tmp_path):
    flavors, stats = count(tmp_path, [*PROMPTS, " ", "..."], min_count=2)
    assert (stats.num_rows, stats.num_prompts) == (11, 8)
    assert stats.row_reasons == {"duplicate": 1, "empty": 1, "no_words": 1}
    assert stats.num_kept == sum(flavors.counts) == 17
    assert stats.phrase_reasons == {
        "content": 8,
        "artist": 4,  # Mira Voss three times, once without "by", and Tom Harrel
        "vague": 1,
        "too_long": 1,
        "rare": 1,  # sepia
    }
    assert stats.num_phrases == 17 + 8 + 4 + 1 + 1 + 1
    assert set(stats.phrase_reasons) == set(REASONS)


def test_artists_come_in_a_category_of_their_own_when_asked_for(tmp_path):
    flavors, _ = count(tmp_path, PROMPTS, min_count=3, artists=True)
    assert flavors.of("artist") == ("by mira voss",)
    assert dict(zip(flavors.phrases, flavors.counts, strict=True))["by mira voss"] == 3


def test_a_name_without_by_is_an_artist_where_other_prompts_say_so(tmp_path):
    named = ["a hill by Lia Torvik", "a lake, art by Lia Torvik"]
    flavors, stats = count(tmp_path, [*named, "a fox, Lia Torvik, sepia"], min_count=1)
    assert rows_of(flavors) == [("sepia", 1, "palette")]
    assert stats.phrase_reasons["artist"] == 3
    _, stats = count(tmp_path, ["a fox, Lia Torvik, sepia"], min_count=1)
    assert stats.phrase_reasons["artist"] == 0
    assert stats.phrase_reasons["content"] == 2


def test_a_prompt_without_its_query_counts_and_a_broken_row_does_not(tmp_path):
    path = tmp_path / "prompts.csv"
    path.write_text('query,prompt\n,sepia fox\nfog,fog\nan owl\nan owl,"an owl, sepia"\n')
    flavors, stats = count_flavors(path, FlavorConfig(min_count=1))
    assert rows_of(flavors) == [("fog", 1, "light"), ("sepia", 1, "palette")]
    assert stats.row_reasons == {"wrong_number_of_columns": 1}


def test_the_written_list_is_read_back_and_says_how_it_was_made(tmp_path):
    config = FlavorConfig(min_count=2, source=SourceConfig(limit=8))
    source = write_prompts(tmp_path, PROMPTS)
    flavors, stats = count_flavors(source, config)
    out = tmp_path / "lists" / "mine.tsv"
    write_flavors(out, source, config, flavors, stats)
    assert rows_of(load_flavors(str(out))) == rows_of(flavors)
    head = [line for line in out.read_text().split("\n") if line.startswith("# ")]
    assert "# FlavorConfig.min_count = 2" in head
    assert "# SourceConfig.limit = 8" in head
    assert any(line.startswith("# source: prompts.jsonl, blake2b ") for line in head)
    assert str(tmp_path) not in out.read_text()
    assert [path.name for path in out.parent.iterdir()] == ["mine.tsv"]


def test_the_summary_names_every_category(tmp_path):
    lines = list(describe_flavors(*count(tmp_path, PROMPTS, min_count=2)))
    assert lines == [
        "9 rows: 8 prompts, duplicate 1",
        "32 phrases: 17 kept, content 8, artist 4, vague 1, too_long 1, rare 1",
        "7 flavors of 11 spellings",
        "     medium: 1 flavors, 3 times: oil painting",
        "      light: 1 flavors, 2 times: soft light",
        "    palette: 1 flavors, 2 times: vivid colors",
        "composition: 1 flavors, 3 times: close-up",
        "    quality: 2 flavors, 4 times: 8k, very detailed",
        "       site: 1 flavors, 3 times: trending on artstation",
    ]


def test_progress_is_told_to_the_last_row(tmp_path):
    told: list[tuple[str, int, int | None]] = []

    def note(stage: str, num_rows: int, num_total: int | None, status: str) -> None:
        assert not status
        told.append((stage, num_rows, num_total))

    source = write_prompts(tmp_path, [f"fox {i}, sepia" for i in range(501)])
    count_flavors(source, FlavorConfig(), progress=note)
    assert told == [("flavors", 500, None), ("flavors", 501, 501)]


def test_a_corpus_without_flavors_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"not one flavor came of its 1 rows .*min_count"):
        count(tmp_path, ["a red fox"])


@pytest.mark.parametrize("field", ["min_count", "max_words"])
def test_a_setting_below_one_is_refused(field: str):
    settings: dict[str, Any] = {field: 0}
    with pytest.raises(ValueError, match=rf"FlavorConfig\.{field}: got 0, expected 1 or more"):
        FlavorConfig(**settings)


@pytest.mark.parametrize("word", ["very ", "sharp focus ", "by ", "in ", "unreal ", "- ", "8 "])
def test_a_long_phrase_is_read_in_one_go(word: str):
    assert len(find_phrases("a fox, " + word * 800)) <= 3


@pytest.mark.slow
def test_real_prompts_give_flavors_of_every_category():
    if not SHARED.exists():
        pytest.skip(f"{SHARED.name} is not here")
    config = FlavorConfig(min_count=2, source=SourceConfig(limit=2_000))
    flavors, stats = count_flavors(SHARED, config)
    assert stats.num_rows == 2_000
    assert len(set(flavors.phrases)) == len(flavors) > 150
    assert {"medium", "light", "camera", "quality", "site"} <= set(flavors.categories)
    assert "artist" not in flavors.categories
