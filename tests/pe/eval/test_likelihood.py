"""Scores of pairs: independent of batch mates and padding, and the unigram by hand."""

import math

import numpy as np
import pytest

from pe.data.features import LengthConfig
from pe.eval import likelihood
from pe.eval.likelihood import (
    RowScores,
    Scorer,
    empty_queries,
    rows_by,
    score_model,
    score_unigram,
)
from pe.train.seq2seq import bind_state, make_row_scorer

PAIRS = [
    {"query": "red fox", "prefix": "ABST", "prompt": "a red fox in snow, watercolor"},
    {"query": "boat", "prompt": "an old boat"},
    {"query": "a castle on a hill", "prefix": "DTL", "prompt": "a stone castle on a hill, oil"},
]


@pytest.fixture(scope="module")
def scorer(trained):
    return Scorer(
        score=make_row_scorer(bind_state(trained.graph)),
        params=trained.params,
        vocabulary=trained.vocabulary,
        lengths=trained.config.data.lengths,
    ).score_pairs


@pytest.fixture(scope="module")
def together(scorer):
    return scorer(PAIRS)


def test_tokens_are_those_of_the_prompt_and_its_end(together, trained):
    expected = [len(trained.vocabulary.encode(pair["prompt"])) + 1 for pair in PAIRS]
    assert together.num_tokens.tolist() == expected


def test_a_pairs_score_does_not_depend_on_its_batch_mates(scorer, together):
    for number, pair in enumerate(PAIRS):
        alone = scorer([pair])
        np.testing.assert_allclose(alone.nats[0], together.nats[number], rtol=1e-5)


def test_a_pairs_score_does_not_depend_on_padding(scorer, together):
    longer = {"query": "red fox in snow by night", "prompt": "a red fox in snow, " * 9}
    scores = scorer([*PAIRS, longer])
    np.testing.assert_allclose(scores.nats[:3], together.nats, rtol=1e-5)


def test_scores_come_in_the_order_of_the_pairs_over_many_batches(scorer, together, monkeypatch):
    monkeypatch.setattr(likelihood, "BATCH_ROWS", 2)
    scores = scorer(PAIRS)
    np.testing.assert_allclose(scores.nats, together.nats, rtol=1e-5)
    np.testing.assert_array_equal(scores.num_tokens, together.num_tokens)


def test_a_prefix_changes_the_score(scorer, together):
    plain = scorer([{**pair, "prefix": ""} for pair in PAIRS])
    assert plain.nats[0] != together.nats[0]
    np.testing.assert_allclose(plain.nats[1], together.nats[1], rtol=1e-5)  # it had none


def test_no_pair_costs_nothing(scorer):
    scores = scorer([])
    assert len(scores.nats) == 0
    assert scores.per_token() == 0.0


def test_a_blanked_pair_keeps_nothing_of_its_query(scorer, together):
    # the same prompts behind other queries, of other lengths
    others = [{**pair, "query": "moon " * (3 * i + 1)} for i, pair in enumerate(PAIRS)]
    blanked, others_blanked = (scorer(pairs, is_blanked=True) for pairs in (PAIRS, others))
    np.testing.assert_allclose(others_blanked.nats, blanked.nats, rtol=1e-6)
    assert np.abs(blanked.nats - together.nats).min() > 1e-4
    np.testing.assert_array_equal(blanked.num_tokens, together.num_tokens)


def test_emptying_takes_query_and_prefix_away_and_leaves_the_pairs_alone():
    emptied = empty_queries(PAIRS)
    assert [(pair["query"], pair["prefix"]) for pair in emptied] == [("", "")] * 3
    assert [pair["prompt"] for pair in emptied] == [pair["prompt"] for pair in PAIRS]
    assert PAIRS[0]["query"] == "red fox"


def test_nats_per_token_are_summed_before_they_are_divided():
    scores = RowScores(np.array([4.0, 1.0, 30.0]), np.array([2.0, 1.0, 10.0]))
    assert scores.per_token() == pytest.approx(35 / 13)
    assert scores.per_token([0, 1]) == pytest.approx(5 / 3)
    assert scores.per_token([]) == 0.0


def test_the_unigram_adds_one_to_every_count(vocabulary):
    # the end token stood 8 times, the pieces of "red" once, the rest never
    ids = vocabulary.encode("red")
    counts = np.zeros(vocabulary.size, np.int64)
    counts[1], counts[ids] = 8, 1
    total = 8 + len(ids) + vocabulary.size
    scores = score_unigram(counts, [{"prompt": "red"}, {"prompt": ""}], vocabulary, LengthConfig())
    end, piece = math.log(total / 9), math.log(total / 2)
    np.testing.assert_allclose(scores.nats, [end + len(ids) * piece, end], rtol=1e-12)
    assert scores.num_tokens.tolist() == [len(ids) + 1, 1]


def test_the_unigram_cuts_what_the_model_cuts(vocabulary):
    scores = score_unigram(
        np.zeros(vocabulary.size, np.int64),
        [{"prompt": "red fox " * 50}],
        vocabulary,
        LengthConfig(targets=8),
    )
    assert scores.num_tokens.tolist() == [8]


def test_rows_are_grouped_by_a_field_in_its_order():
    pairs = [{"kind": "short"}, {"kind": "abstract"}, {"kind": "short"}, {"kind": ""}, {}]
    assert rows_by(pairs, "kind") == {"abstract": [1], "short": [0, 2]}
    assert list(rows_by(pairs, "kind")) == ["abstract", "short"]


def test_a_model_is_scored_by_its_arms_and_its_unigram(trained, run_folder, together, scorer):
    scores = score_model(trained, PAIRS, run=run_folder)
    assert sorted(scores) == ["blanked", "empty", "no_prefix", "query", "unigram"]
    expected = {
        "query": together,
        "blanked": scorer(PAIRS, is_blanked=True),
        "empty": scorer(empty_queries(PAIRS)),
        "no_prefix": scorer([{**pair, "prefix": ""} for pair in PAIRS]),
    }
    for arm, arm_scores in expected.items():
        np.testing.assert_allclose(scores[arm].nats, arm_scores.nats, rtol=1e-6)
        assert scores[arm].num_tokens.tolist() == together.num_tokens.tolist()
    counts = np.load(run_folder / "unigram.npy")
    unigram = score_unigram(counts, PAIRS, trained.vocabulary, trained.config.data.lengths)
    np.testing.assert_array_equal(scores["unigram"].nats, unigram.nats)
