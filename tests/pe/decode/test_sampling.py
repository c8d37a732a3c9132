"""Drawing a token: what top-k, top-p and min-p leave, temperature, and shares over many draws."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pe.decode.sampling import (
    SamplingConfig,
    draw_tokens,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalize_repetition,
    sample_tokens,
    to_arrays,
)

CUT = -1e10
WIDTHS = (1, 2, 127, 129, 32_128)  # one block of the running sum is 128 wide


@functools.partial(jax.jit, static_argnames="num_draws")
def draw_many(logits, options, num_draws=4000):
    keys = jax.random.split(jax.random.key(0), num_draws)
    return sample_tokens(jnp.tile(logits[None], (num_draws, 1)), keys, options)


def shares(logits, temperature=1.0, **options):
    config = SamplingConfig(temperature=temperature, **options)
    drawn = draw_many(jnp.array(logits), to_arrays(config))
    return np.bincount(drawn, minlength=len(logits)) / len(drawn)


def random_logits(num_rows, width, *, seed=0):
    """Rows with many ties, with hardly any, sharp and flat, some tokens cut already."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(num_rows, width)) * rng.choice([0.1, 1.0, 5.0, 40.0], (num_rows, 1))
    logits[::2] = np.round(logits[::2])
    is_cut = rng.random((num_rows, width)) < rng.choice([0.0, 0.3, 0.95], (num_rows, 1))
    is_cut[np.arange(num_rows), rng.integers(0, width, num_rows)] = False
    return np.where(is_cut, CUT, logits).astype(np.float32)


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
    logits = jnp.array([[3.0, 1.0, 2.0, 0.0]])
    assert keep_top_k(logits, jnp.int32(top_k)).tolist() == [expected]


def test_top_k_leaves_what_ties_with_the_last():
    assert keep_top_k(jnp.array([[2.0, 1.0, 2.0]]), jnp.int32(1)).tolist() == [[2, CUT, 2]]


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


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("top_k", [1, 3, 40, 100_000])
def test_top_k_leaves_what_sorting_leaves(width, top_k):
    logits = random_logits(24, width)
    last = np.sort(logits, axis=-1)[:, ::-1][:, min(top_k, width) - 1, None]
    got = jax.jit(keep_top_k)(jnp.asarray(logits), jnp.int32(top_k))
    np.testing.assert_array_equal(got, np.where(logits >= last, logits, np.float32(CUT)))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("top_p", [1e-6, 0.31, 0.9, 1.0])
def test_top_p_leaves_what_sorting_leaves(width, top_p):
    logits = random_logits(24, width)
    got = np.asarray(jax.jit(keep_top_p)(jnp.asarray(logits), jnp.float32(top_p)))
    for row, kept in zip(logits.astype(np.float64), got > CUT, strict=True):
        probs = np.exp(row - row.max())
        probs = probs / probs.sum()
        order = np.sort(probs)[::-1]
        mass = np.cumsum(order)
        if top_p < 1.0 and np.abs(mass - top_p).min() < 1e-5:
            continue  # float32 may fall on either side
        last = order[min(np.searchsorted(mass, top_p), width - 1)] * (1 - 1e-9)
        np.testing.assert_array_equal(kept[probs > 1e-7], (probs >= last)[probs > 1e-7])
        assert kept[row.argmax()]


@pytest.mark.parametrize("width", WIDTHS)
def test_min_p_leaves_what_is_likely_enough(width):
    logits = random_logits(24, width)
    got = np.asarray(jax.jit(keep_min_p)(jnp.asarray(logits), jnp.float32(0.071)))
    ratio = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    np.testing.assert_array_equal(got, np.where(ratio >= 0.071, logits, np.float32(CUT)))


def test_min_p_has_its_hand_value():
    logits = jnp.log(jnp.array([[5.0, 1.0, 4.0]]))
    expected = [float(logits[0, 0]), CUT, float(logits[0, 2])]
    assert keep_min_p(logits, jnp.float32(0.5)).tolist() == [expected]


def test_a_penalty_divides_what_is_positive_and_multiplies_what_is_negative():
    logits = jnp.array([[3.0, -1.0, 2.0, -4.0], [1.0, 1.0, -1.0, 0.0]])
    seen = jnp.array([[True, True, False, False], [False, True, True, True]])
    expected = [[1.5, -2.0, 2.0, -4.0], [1.0, 0.5, -2.0, 0.0]]
    assert penalize_repetition(logits, seen, jnp.float32(2.0)).tolist() == expected


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


def test_min_p_comes_after_top_p():
    # of 0.5 and 0.4 alone, 0.4 is less than 0.9 times the likeliest
    got = shares(np.log([0.5, 0.1, 0.4]).tolist(), top_p=0.75, min_p=0.9)
    assert got.tolist() == [1, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("width", [2, 127, 129, 640, 32_128])
def test_a_token_of_no_weight_is_never_drawn(width):
    logits = random_logits(256, width, seed=1)
    rows = np.arange(len(logits))
    draw = jax.jit(draw_tokens)
    for uniform in (0.0, 1e-30, 2**-24, 0.5, 1.0 - 2**-23, 1.0 - 2**-24):
        drawn = np.asarray(draw(jnp.asarray(logits), jnp.full(256, uniform, jnp.float32)))
        assert (logits[rows, drawn] > CUT).all()


@pytest.mark.slow
@pytest.mark.parametrize("width", [257, 4096])
def test_a_uniform_number_between_two_blocks_draws_a_token_that_has_weight(width):
    # where a block of 128 ends, the rounding of two sums decides on which side of it a number falls
    logits = random_logits(256, width, seed=2)
    weights = np.where(logits > CUT, np.exp(logits - logits.max(axis=-1, keepdims=True)), 0)
    sums = np.pad(weights, ((0, 0), (0, -width % 128))).reshape(256, -1, 128).sum(axis=-1)
    running = np.cumsum(sums, axis=-1, dtype=np.float32)
    rows, draw = np.arange(256), jax.jit(draw_tokens)
    for block in range(running.shape[1] - 1):
        edge = running[:, block] / running[:, -1]
        for uniform in (np.nextafter(edge, np.float32(0)), edge, np.nextafter(edge, np.float32(1))):
            uniform = np.clip(uniform, 0, 1 - 2**-24).astype(np.float32)
            drawn = np.asarray(draw(jnp.asarray(logits), jnp.asarray(uniform)))
            assert (logits[rows, drawn] > CUT).all()


@pytest.mark.slow
@pytest.mark.parametrize("uniform", [0.0, 0.25, 0.4999, 0.5, 0.75, 0.999])
def test_a_uniform_number_falls_on_the_running_sum(uniform):
    # 512 equal tokens: number u draws token floor(512 u)
    drawn = draw_tokens(jnp.zeros((1, 512)), jnp.full(1, uniform))
    assert drawn.tolist() == [int(512 * uniform)]


@pytest.mark.slow
@pytest.mark.parametrize("width", [3, 129, 1000])
def test_tokens_come_as_often_as_their_weights_say(width):
    num_draws = 20_000
    logits = np.random.default_rng(3).normal(size=width).astype(np.float32) * 2
    probs = np.exp(logits.astype(np.float64))
    probs = probs / probs.sum()
    drawn = draw_many(jnp.asarray(logits), to_arrays(SamplingConfig()), num_draws)
    counts = np.bincount(drawn, minlength=width)
    likely = probs * num_draws >= 10
    error = np.sqrt(probs * (1 - probs) * num_draws)
    assert (np.abs(counts - probs * num_draws) < 4 * error)[likely].all()
    rare = probs[~likely].sum()
    assert abs(counts[~likely].sum() - rare * num_draws) < 4 * math.sqrt(rare * num_draws + 1)


@pytest.mark.parametrize("temperature", [1e-30, 1e-6, 1.0, 1e9, 1e20])
def test_a_forbidden_token_stays_forbidden_at_any_temperature(temperature):
    assert shares([-2e4, CUT, -3e4, CUT], temperature)[[1, 3]].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_k", 0),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("min_p", 0.0),
        ("min_p", 1.1),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", math.nan),
        ("max_tokens", 0),
    ],
)
def test_a_setting_out_of_range_is_named_with_its_value(field, value):
    with pytest.raises(ValueError, match=rf"{field}: got {value}, expected"):
        SamplingConfig(**{field: value})
