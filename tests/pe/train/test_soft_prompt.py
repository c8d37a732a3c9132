"""What a soft prompt begins with."""

import numpy as np
import pytest

from pe.train.soft_prompt import SoftPromptConfig, frequent_pieces, make_soft_prompt


@pytest.fixture(scope="module")
def table(vocabulary):
    return np.random.default_rng(0).normal(size=(vocabulary.size + 8, 6)).astype(np.float32)


def rows_of(prompt, table):
    """The ids whose embeddings the prompt's rows are."""
    return [int(np.flatnonzero((table == row).all(axis=1))[0]) for row in prompt]


def test_uniform_rows_stay_within_their_range(vocabulary, table):
    config = SoftPromptConfig(length=400, init="uniform", uniform_range=0.25)
    prompt = make_soft_prompt(config, table, vocabulary, seed=1)
    assert prompt.shape == (400, 6)
    assert prompt.dtype == np.float32
    assert 0.24 < np.abs(prompt).max() <= 0.25
    assert abs(prompt.mean()) < 0.02


def test_drawn_rows_are_different_frequent_pieces_that_stand_for_text(vocabulary, table):
    config = SoftPromptConfig(length=20, init="vocabulary", num_frequent=30)
    ids = rows_of(make_soft_prompt(config, table, vocabulary, seed=1), table)
    assert len(set(ids)) == 20
    assert set(ids) <= set(frequent_pieces(vocabulary, 30))
    assert not any(vocabulary.is_control(i) for i in ids)
    other = rows_of(make_soft_prompt(config, table, vocabulary, seed=2), table)
    assert ids != other


def test_rows_of_words_stand_in_their_order_and_the_rest_is_drawn(vocabulary, table):
    config = SoftPromptConfig(length=12, init="text", text="a red fox in snow")
    ids = rows_of(make_soft_prompt(config, table, vocabulary, seed=1), table)
    words = vocabulary.encode("a red fox in snow")
    assert ids[: len(words)] == words
    short = SoftPromptConfig(length=2, init="text", text="a red fox in snow")
    with pytest.raises(ValueError, match=r"SoftPromptConfig\.text has \d+ pieces, more than the 2"):
        make_soft_prompt(short, table, vocabulary, seed=1)


def test_more_positions_than_pieces_repeat_some(vocabulary, table):
    config = SoftPromptConfig(length=10, init="vocabulary", num_frequent=4)
    ids = rows_of(make_soft_prompt(config, table, vocabulary, seed=1), table)
    assert set(ids) <= set(frequent_pieces(vocabulary, 4))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"length": -1}, r"SoftPromptConfig\.length: got -1"),
        ({"init": "zeros"}, r"SoftPromptConfig\.init: got 'zeros'"),
        ({"uniform_range": 0.0}, r"SoftPromptConfig\.uniform_range: got 0"),
        ({"num_frequent": 0}, r"SoftPromptConfig\.num_frequent: got 0"),
        ({"init": "text"}, r"expected words in \.text"),
    ],
)
def test_a_setting_out_of_range_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        SoftPromptConfig(**fields)
