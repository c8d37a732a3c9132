"""Queries cut from prompts by rules."""

import json
from pathlib import Path

import pytest

from data_builders.query_extraction import RuleQueryConfig, extract_queries, join_tokens
from pe.text.split import split_prompt
from pe.text.words import content_words, count_words

PROMPTS = Path(__file__).parents[2] / "../shared/data/prompts/image_prompts.jsonl"
CONFIG = RuleQueryConfig()


def test_every_kind_is_cut_from_the_caption():
    text = "a red fox sleeping in deep snow under the pines, oil painting, 8 k"
    assert extract_queries(split_prompt(text), CONFIG) == {
        "short": "a red fox",
        "medium": "red fox sleeping in deep snow",
        "long": "a red fox sleeping in deep snow under the pines, oil painting",
        "concrete": "a red fox sleeping in deep snow under the pines",
    }


def test_an_abstract_query_is_an_idea_the_prompt_names():
    text = "a lighthouse in a storm, existential dread, dark colors"
    assert extract_queries(split_prompt(text), CONFIG) == {
        "short": "lighthouse in a storm",
        "medium": "a lighthouse in a storm, existential dread",
        "abstract": "existential dread",
    }


@pytest.mark.parametrize(
    ("text", "abstract"),
    [
        ("a city in ruins, cosmic horror, 8k", "cosmic horror"),
        ("a mural about the loss of innocence, ink", "loss of innocence"),
        ("two old friends, nostalgia, film grain", "nostalgia"),
        ("a cat in a tall hat, ink", None),
        ("poster for a horror movie, ink drawing", None),
    ],
)
def test_abstract_only_where_a_rule_can_give_it_honestly(text, abstract):
    assert extract_queries(split_prompt(text), CONFIG).get("abstract") == abstract


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("a flowery old glowing mountain temple gate, oil painting", "mountain temple gate"),
        ("a carved marble statue of a sea god, oil painting", "carved marble statue"),
        (
            "oil painting of a group of sleepy geese near a barn in heavy rain",
            "group of sleepy geese",
        ),
        ("walter hale as a tin soldier in a toy shop", "walter hale"),
        ("Walter Gosling in a boat full of red apples", "Walter Gosling"),
        ("Walter Newsted as a tin soldier in a toy shop", "Walter Newsted"),
        ("a d & d warrior in old brown leathers", "d & d warrior"),
    ],
)
def test_a_short_query_is_the_subject(text, short):
    found = extract_queries(split_prompt(text), CONFIG)["short"]
    assert found.removeprefix("a ").startswith(short)


@pytest.mark.parametrize("text", ["", "fox", "--ar 3:2", ", , ,"])
def test_what_has_no_shorter_query_gives_none(text):
    assert extract_queries(split_prompt(text), CONFIG) == {}


def test_split_tokens_are_closed_up():
    text = "a close - up of the dog 's ears in 1 9 8 5"
    assert join_tokens(text) == "a close-up of the dog's ears in 1985"


def test_the_same_prompt_always_gives_the_same_queries():
    split = split_prompt("an old clock tower beside a frozen canal, etching")
    assert extract_queries(split, CONFIG) == extract_queries(split, CONFIG)


@pytest.mark.parametrize("value", [(0, 3), (4, 2)])
def test_a_wrong_range_is_refused_with_its_name_and_value(value):
    with pytest.raises(ValueError, match="medium_words") as error:
        RuleQueryConfig(medium_words=value)
    assert repr(value) in str(error.value)


@pytest.mark.parametrize("value", [(1,), (1.0, 2), (1, 2, 3)])
def test_what_is_no_range_is_refused_with_its_name(value):
    # under the test run's type checker it is that checker's TypeError
    with pytest.raises((ValueError, TypeError), match="medium_words"):
        RuleQueryConfig(medium_words=value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ["a " * 50_000, "of the " * 20_000, "," * 50_000, "x, " * 30_000, "love " * 20_000]
)
def test_nasty_input_ends(text):
    for query in extract_queries(split_prompt(text), CONFIG).values():
        assert count_words(query) <= 24


@pytest.mark.slow
def test_real_prompts_give_queries_that_hold_every_rule():
    if not PROMPTS.exists():
        pytest.skip(f"real prompts are not here: {PROMPTS}")
    lines = PROMPTS.read_text(encoding="utf-8").splitlines()[::31]
    splits = [split_prompt(json.loads(line)["text"]) for line in lines]
    splits = [split for split in splits if count_words(split.prompt) >= 4]
    ranges = {kind: getattr(CONFIG, f"{kind}_words") for kind in
              ("abstract", "concrete", "short", "medium", "long")}  # fmt: skip
    num_with_any = 0
    for split in splits:
        queries = extract_queries(split, CONFIG)
        num_with_any += bool(queries)
        assert len({q.lower() for q in queries.values()}) == len(queries)
        for kind, query in queries.items():
            low, high = ranges[kind]
            assert low <= count_words(query) <= high
            assert count_words(query) < count_words(split.prompt)
            assert len(query) < len(split.prompt)
            assert content_words(query)
            assert "\n" not in query
            assert query == query.strip(" ,.;:|/")
    assert num_with_any / len(splits) >= 0.97
