"""Drawing a token: what top-k and top-p leave, temperature, and shares over many draws."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pe.decode.sampling import SamplingConfig, keep_top_k, keep_top_p, sample_tokens

CUT = -1e10


@functools.partial(jax.jit, static_argnames=("top_k", "num_draws"))
def draw_many(logits, temperature, top_p=None, *, top_k=None, num_draws=4000, seed=0):
    keys = jax.random.split(jax.random.key(seed), num_draws)
    rows = jnp.tile(logits[None], (num_draws, 1))
    return sample_tokens(rows, keys, temperature=temperature, top_k=top_k, top_p=top_p)


def shares(logits, temperature=1.0, top_p=None, **options):
    top_p = None if top_p is None else jnp.float32(top_p)
    drawn = draw_many(jnp.array(logits), jnp.float32(temperature), top_p, **options)
    return np.bincount(drawn, minlength=len(logits)) / len(drawn)


@pytest.mark.parametrize(
    ("top_k", "expected"),
    [
        (1, [3, CUT, CUT, CUT]),
        (2, [3, CUT, 2, CUT]),
        (4, [3, 1, 2, 0]),
        (9, [3, 1, 2, 0]),
    ],
)
def test_top_k_leaves_the_largest(top_k, expected):
    assert keep_top_k(jnp.array([[3.0, 1.0, 2.0, 0.0]]), top_k).tolist() == [expected]


def test_top_k_leaves_what_ties_with_the_last():
    assert keep_top_k(jnp.array([[2.0, 1.0, 2.0]]), 1).tolist() == [[2, CUT, 2]]


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [
        (0.01, [1, 0, 0]),
        (0.45, [1, 0, 0]),
        (0.55, [1, 0, 1]),
        (0.75, [1, 0, 1]),
        (0.95, [1, 1, 1]),
        (1.0, [1, 1, 1]),
    ],
)
def test_top_p_leaves_the_fewest_that_reach_it(top_p, kept):
    logits = jnp.log(jnp.array([[5.0, 1.0, 4.0]]))  # probabilities 0.5, 0.1, 0.4
    expected = [float(x) if keep else CUT for x, keep in zip(logits[0], kept, strict=True)]
    assert keep_top_p(logits, jnp.float32(top_p)).tolist() == [expected]


def test_rows_are_cut_each_by_itself():
    logits = jnp.log(jnp.array([[5.0, 1.0, 4.0], [1.0, 97.0, 2.0]]))
    kept = keep_top_p(logits, jnp.float32(0.75)) > CUT
    assert kept.tolist() == [[True, False, True], [False, True, False]]


def test_draws_follow_the_probabilities():
    probs = np.array([0.5, 0.1, 0.4])
    got = shares(np.log(probs).tolist())
    assert (np.abs(got - probs) < 3 * np.sqrt(probs * (1 - probs) / 4000)).all()


def test_temperature_sharpens_and_flattens():
    # at temperature 1/2 odds are squared: 0.8 against 0.2 becomes 16 to 1
    logits = [math.log(0.8), math.log(0.2)]
    for temperature, share in ((0.5, 16 / 17), (1.0, 0.8), (2.0, 2 / 3)):
        error = math.sqrt(share * (1 - share) / 4000)
        assert abs(shares(logits, temperature)[0] - share) < 3 * error


def test_temperature_0_takes_the_most_likely():
    assert shares([1.0, 1.001, 0.0], 0.0).tolist() == [0, 1, 0]


def test_top_k_1_takes_the_most_likely_at_any_temperature():
    assert shares([1.0, 1.001, 0.0], 5.0, top_k=1).tolist() == [0, 1, 0]


def test_what_was_cut_is_never_drawn_and_the_rest_keeps_its_odds():
    got = shares(np.log([0.5, 0.1, 0.4]).tolist(), top_p=0.75)
    assert got[1] == 0
    assert abs(got[0] - 5 / 9) < 3 * math.sqrt(5 / 9 * 4 / 9 / 4000)


def test_top_k_comes_before_top_p():
    # of the two largest, renormalised to 0.556 and 0.444, the first alone reaches 0.55
    assert shares(np.log([0.5, 0.1, 0.4]).tolist(), top_p=0.55, top_k=2).tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("field", "value"),
    [("temperature", -0.1), ("top_k", 0), ("top_p", 0.0), ("top_p", 1.1), ("max_tokens", 0)],
)
def test_a_setting_out_of_range_is_named_with_its_value(field, value):
    with pytest.raises(ValueError, match=rf"{field}: got {value}, expected"):
        SamplingConfig(**{field: value})
