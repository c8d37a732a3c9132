"""The expander: same request same texts, whatever else is asked for; and what it refuses."""

import numpy as np
import pytest

from pe.data.features import encode_input
from pe.decode.sampling import SamplingConfig
from pe.engines.expander import T5Expander, cut_at_phrase
from pe.metrics.text import count_distinct
from pe.prefixes import PREFIXES

SAMPLING = SamplingConfig(max_tokens=6)
GREEDY = SamplingConfig(max_tokens=6, temperature=0.0)


@pytest.fixture(scope="module")
def expander(trained):
    return T5Expander(trained)


@pytest.fixture(scope="module")
def eight(expander):
    """Eight expansions of one query."""
    return expander.expand(["red fox"], 8, prefix="ABST", seed=5, sampling=SAMPLING)[0]


def texts(expansions):
    return [expansion.text for expansion in expansions]


def test_an_expansion_says_what_it_was_made_of(eight):
    assert len(eight) == 8
    for expansion in eight:
        asked = (expansion.query, expansion.prefix, expansion.seed, expansion.model)
        assert asked == ("red fox", "ABST", 5, "tiny@6")
        assert expansion.logprob < 0
        assert 1 <= expansion.num_tokens <= 6
    assert len({expansion.id for expansion in eight}) == 8


def test_the_same_request_gives_the_same_expansions(expander, eight):
    assert expander.expand(["red fox"], 8, prefix="ABST", seed=5, sampling=SAMPLING)[0] == eight


def test_another_seed_gives_other_texts(expander, eight):
    other = expander.expand(["red fox"], 8, prefix="ABST", seed=6, sampling=SAMPLING)[0]
    assert texts(other) != texts(eight)


def test_texts_do_not_depend_on_the_other_queries(expander, eight):
    queries = ["old boat at sea in a storm by night", "red fox", "moon"]
    results = expander.expand(queries, 8, prefix="ABST", seed=5, sampling=SAMPLING)
    assert [result[0].query for result in results] == queries
    assert texts(results[1]) == texts(eight)
    logprobs = [expansion.logprob for expansion in results[1]]
    np.testing.assert_allclose(logprobs, [expansion.logprob for expansion in eight], atol=1e-4)


def test_the_first_of_eight_is_the_one_of_one(expander, eight):
    (one,) = expander.expand(["red fox"], 1, prefix="ABST", seed=5, sampling=SAMPLING)[0]
    assert one.text == eight[0].text


def test_spaces_of_a_query_do_not_matter(expander, eight):
    spaced = expander.expand(["  red \n fox "], 8, prefix="ABST", seed=5, sampling=SAMPLING)[0]
    assert texts(spaced) == texts(eight)
    assert spaced[0].query == "red fox"


def test_more_queries_than_a_batch_come_back_in_order(expander):
    queries = [f"red fox {number}" for number in range(17)]
    results = expander.expand(queries, 8, sampling=GREEDY)
    assert [{expansion.query for expansion in result} for result in results] == [
        {query} for query in queries
    ]


def test_greedy_says_the_same_n_times(expander):
    (result,) = expander.expand(["red fox"], 8, sampling=GREEDY)
    assert len(result) == 8
    assert len(set(texts(result))) == 1


def test_no_query_gives_no_expansion(expander):
    assert expander.expand([], 3, sampling=SAMPLING) == []


def test_texts_hold_no_code_and_no_unknown_piece(expander):
    hot = SamplingConfig(max_tokens=6, temperature=3.0)
    results = [expander.expand(["red fox"], 8, seed=seed, sampling=hot)[0] for seed in range(16)]
    words = {word for result in results for text in texts(result) for word in text.split()}
    assert len(words) > 100
    assert not words & set(PREFIXES)
    assert not any("\N{DOUBLE QUESTION MARK}" in word for word in words)


def test_banned_are_padding_unknown_codes_and_rows_beyond_the_vocabulary(expander, trained):
    banned = np.flatnonzero(expander._banned).tolist()
    codes = [trained.vocabulary.encode(prefix)[0] for prefix in PREFIXES]
    assert banned == sorted([0, 2, *codes, *range(trained.vocabulary.size, 416)])


def scripted(expander, monkeypatch, script):
    """Let sample k of every query say script[k], and note which numbers were drawn."""
    asked = []

    def draw(rows, ks, seeds, sampling, *, num_rows):
        asked.append((len(rows), list(ks)))
        return [[(script[k], -float(k + 1), 3) for k in ks] for _ in rows]

    monkeypatch.setattr(expander, "_draw", draw)
    return asked


def test_a_text_that_comes_twice_is_drawn_again(expander, monkeypatch):
    script = ["a fox", "A  fox", "a boat", "a boat", "a moon", "a hill"]
    asked = scripted(expander, monkeypatch, script)
    (result,) = expander.expand(["fox"], 3, sampling=SAMPLING)
    assert texts(result) == ["a fox", "a boat", "a moon"]
    assert [expansion.logprob for expansion in result] == [-1.0, -3.0, -5.0]
    assert asked == [(1, [0, 1, 2]), (1, [3, 4, 5])]


def test_a_text_that_only_says_the_query_again_is_drawn_again(expander, monkeypatch):
    asked = scripted(expander, monkeypatch, ["Red  fox.", "a red fox, ink"])
    (result,) = expander.expand(["red fox"], 1, sampling=SAMPLING)
    assert texts(result) == ["a red fox, ink"]
    assert asked == [(1, [0]), (1, [1])]


def test_an_empty_text_is_drawn_again(expander, monkeypatch):
    asked = scripted(expander, monkeypatch, ["", "a fox"])
    (result,) = expander.expand(["fox"], 1, sampling=SAMPLING)
    assert texts(result) == ["a fox"]
    assert asked == [(1, [0]), (1, [1])]


def test_only_queries_that_still_wait_are_drawn_again(expander, monkeypatch):
    def draw(rows, ks, seeds, sampling, *, num_rows):
        asked.append([len(row) for row in rows])
        # the long query always says something new, the short one repeats itself at first
        return [
            [(f"text {k}" if len(row) > 4 or k > 1 else "text", -1.0, 3) for k in ks]
            for row in rows
        ]

    asked = []
    monkeypatch.setattr(expander, "_draw", draw)
    lengths = [
        len(encode_input(query, "", expander.model.vocabulary, max_length=32)[0])
        for query in ("in", "red fox in snow")
    ]
    assert lengths[0] <= 4 < lengths[1]
    short, long = expander.expand(["in", "red fox in snow"], 2, sampling=SAMPLING)
    assert (texts(short), texts(long)) == (["text", "text 2"], ["text 0", "text 1"])
    assert asked == [lengths, lengths[:1]]


def test_where_there_is_one_thing_to_say_repetitions_fill_up(expander, monkeypatch):
    asked = scripted(expander, monkeypatch, ["a fox"] * 12)
    (result,) = expander.expand(["fox"], 3, sampling=SAMPLING)
    assert texts(result) == ["a fox"] * 3
    assert len(asked) == 4


def test_a_trained_model_says_different_things(eight):
    assert count_distinct(texts(eight)) == 8


@pytest.mark.parametrize("n", [0, -1])
def test_fewer_than_one_expansion_is_refused(expander, n):
    with pytest.raises(ValueError, match=rf"n: got {n}, expected 1 or more expansions a query"):
        expander.expand(["red fox"], n, sampling=SAMPLING)


@pytest.mark.parametrize("query", ["", " \n\t"])
def test_an_empty_query_is_refused(expander, query):
    with pytest.raises(ValueError, match="the query is empty; expected a few words"):
        expander.expand(["red fox", query], 1, sampling=SAMPLING)


def test_a_query_longer_than_the_model_reads_is_refused_with_its_length(expander):
    query = "red fox in snow " * 20
    with pytest.raises(ValueError, match=r"has \d+ tokens \(319 characters\).* at most 31; short"):
        expander.expand([query], 1, sampling=SAMPLING)


def test_an_unknown_prefix_is_refused_and_the_known_ones_listed(expander):
    with pytest.raises(ValueError, match=r"unknown prefix 'LOUD'; .*ABST \(abstract query\), DTL"):
        expander.expand(["red fox"], 1, prefix="LOUD", sampling=SAMPLING)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a boat, oil on canvas, dramati", "a boat, oil on canvas"),
        ("a small red boat on a l", "a small red boat on a"),
        ("boat", "boat"),
        ("", ""),
        (
            "a boat, oil on canvas and a great deal of it in gol",
            None,
        ),  # ends too early to cut there
        ("35.5 mm photo of a bo", "35.5 mm photo of a"),
    ],
)
def test_a_text_that_ran_out_is_cut_at_its_last_phrase_or_word(text, expected):
    if expected is None:
        expected = text.rpartition(" ")[0]
    assert cut_at_phrase(text) == expected


def test_only_a_text_without_end_token_is_cut(expander, trained):
    ids = np.array(trained.vocabulary.encode("a red fox, oil on canvas"), np.int32)
    ended = np.append(ids, 1)
    assert expander._to_text(ids, -1.0) == ("a red fox", -1.0, len(ids))
    assert expander._to_text(ended, -1.0) == ("a red fox, oil on canvas", -1.0, len(ended))
