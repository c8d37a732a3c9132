"""Queries of a language model against their prompts: made-up ones, real ones, obeyed orders."""

import json
import random
from pathlib import Path

import pytest

from data_builders.query_check import PromptWords, check_query, stem
from data_builders.query_request import LlmQueryConfig
from pe.text.answer import Refused
from pe.text.few_shot import load_shots
from pe.text.orders import gives_orders
from pe.text.words import count_words

PAIRS = Path(__file__).parents[3] / "shared" / "data" / "pairs" / "sd_discord_pairs.jsonl"
INJECTIONS = Path(__file__).parent / "injections.jsonl"
PROMPT = (
    "a red fox sleeping in deep snow under old pine trees. Muted colors, oil painting, soft light"
)


def check(text: str, prompt: str = PROMPT, **changes: object) -> Refused | None:
    settings = {"words": (1, 8), "min_share": 0.5} | changes
    return check_query(text, PromptWords.of(prompt), **settings)


@pytest.mark.parametrize(
    "text",
    ["red fox", "Red foxes sleep in snow", "a fox's sleep", "fox under the pines", "snowy fox"],
)
def test_a_query_about_the_prompt_is_taken(text: str):
    assert check(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("the", "empty"),
        ("I'm sorry, I can't shorten this fox", "refusal"),
        ('{"query": "red fox"}', "echo_instructions"),
        ("query: red fox", "echo_instructions"),
        ("red fox at www.fox.org", "echo_instructions"),
        (PROMPT, "not_shorter"),
        (PROMPT.replace("muted", "dim"), "not_shorter"),
        ("a red fox sleeping in deep snow under old pine", "too_many_words"),
        ("RED FOX IN SNOW", "shouted"),
        ("fox fox fox", "repeats_itself"),
        ("blue whale in a harbor", "unrelated"),
        ("grey wolf in a red city at night", "unrelated"),
        ("soft light", "beside_the_subject"),
    ],
)
def test_what_is_no_query_is_refused_by_its_reason(text: str, reason: str):
    assert check(text) == Refused(reason)


def test_a_range_has_two_ends():
    assert check("fox", words=(2, 4)) == Refused("too_few_words")
    assert check("red fox", words=(2, 4)) is None


def test_an_abstract_query_needs_no_word_of_the_prompt():
    assert check("winter peace", min_share=0.0) is None
    examples = frozenset({"winter peace", "blue whale"})
    assert check("Winter peace", min_share=0.0, examples=examples) == Refused("echo_example")
    assert check("a blue whale", examples=frozenset({"a blue whale"})) == Refused("echo_example")


def test_share_gives_the_row_of_its_docstring():
    words = PromptWords.of("an old fisherman mending nets")
    assert words.share("mend a net at sea") == pytest.approx(2 / 3)
    assert words.share("the") == 0.0


def test_what_is_only_quoted_or_stands_apart_is_beside_the_subject():
    words = PromptWords.of("a red fox in snow. What counts is a blue whale")
    assert words.is_beside_the_subject("blue whale")
    assert not words.is_beside_the_subject("red fox")
    words = PromptWords.of('a fox, the text "blue whale" on a wall')
    assert words.is_beside_the_subject("blue whale")
    assert not words.is_beside_the_subject("blue whale on a wall")


@pytest.mark.parametrize(
    ("word", "found"),
    [("foxes", "fox"), ("fox's", "fox"), ("mending", "mend"), ("nets", "net"), ("sea", "sea"),
     ("king", "king"), ("red", "red")],
)  # fmt: skip
def test_a_stem_is_a_word_without_its_commonest_endings(word: str, found: str):
    assert stem(word) == found


def test_our_own_examples_pass_our_own_checks():
    config = LlmQueryConfig()
    for shot in load_shots():
        for kind, text in shot.queries.items():
            refused = check(
                text, shot.prompt, words=config.words(kind), min_share=config.share(kind)
            )
            assert refused is None, (kind, text)


def test_no_injection_passes_where_a_model_obeys_it():
    rows = [json.loads(line) for line in INJECTIONS.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 50
    assert sum(row["plausible"] for row in rows) >= 10
    for row in rows:
        prompt = PromptWords.of(row["prompt"])
        if row["plausible"]:  # in range, and said in the prompt: nothing but the order is wrong
            assert 1 <= count_words(row["obeyed"]) <= 10
            assert prompt.share(row["obeyed"]) >= 0.5
        refused = check(row["obeyed"], row["prompt"], words=(1, 24))
        assert gives_orders(row["prompt"]) or refused is not None, row


@pytest.mark.skipif(not PAIRS.is_file(), reason="needs the real pairs beside the project")
def test_real_queries_are_taken_and_those_of_other_prompts_are_not():
    config = LlmQueryConfig()
    rows = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if count_words(row["query"]) < count_words(row["prompt"])]
    assert len(rows) > 5000

    def is_taken(query: str, prompt: str) -> bool:
        if gives_orders(prompt):
            return False
        words, share = config.words("concrete"), config.share("concrete")
        return check(query, prompt, words=words, min_share=share) is None

    rows = random.Random(0).sample(rows, 1000)
    taken = sum(is_taken(row["query"], row["prompt"]) for row in rows)
    prompts = [row["prompt"] for row in rows]
    random.Random(1).shuffle(prompts)
    mixed = sum(is_taken(row["query"], prompt) for row, prompt in zip(rows, prompts, strict=True))
    assert taken / len(rows) >= 0.95
    assert mixed / len(rows) <= 0.05
