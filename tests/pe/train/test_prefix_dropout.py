"""Prefix dropout: that it is the shorter input, how often it happens, and that a key decides."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.data.pipeline import make_train_batches
from pe.models.t5 import T5Config
from pe.train.loop import Trainer
from pe.train.mesh import Layout, make_mesh
from pe.train.prefix_dropout import (
    PrefixDropoutConfig,
    count_prefixes,
    drop_prefixes,
    dropout_rate,
)
from pe.train.run import make_task
from pe.train.seq2seq import pick_arrays
from pe.train.start import FirstParams

TINY = T5Config(
    dtype="float32",
    vocab_size=20,
    d_model=8,
    num_heads=2,
    head_dim=4,
    d_ff=12,
    num_encoder_layers=1,
    num_decoder_layers=1,
)
KEY = jax.random.key(7)


def int_array(rows):
    return jnp.asarray(np.array(rows, np.int32))


@pytest.fixture(scope="module")
def forward(make_t5):
    graph, params = make_t5(TINY)
    return jax.jit(lambda *feed: nnx.merge(graph, params)(*feed))


def drop(segments, prefix_mask, *, rate, key=KEY):
    return drop_prefixes(
        int_array(segments), int_array(prefix_mask), jnp.float32(rate), key, max_segments=4
    )


def test_at_rate_1_every_prefix_goes_and_nothing_else():
    segments, prefix_mask = [[1, 1, 1, 2, 2, 0]], [[1, 0, 0, 1, 0, 0]]
    assert drop(segments, prefix_mask, rate=1.0).tolist() == [[0, 1, 1, 0, 2, 0]]


def test_at_rate_0_nothing_goes():
    segments, prefix_mask = [[1, 1, 1, 2, 2, 0]], [[1, 0, 0, 1, 0, 0]]
    assert drop(segments, prefix_mask, rate=0.0).tolist() == segments


def test_pairs_without_a_prefix_are_left_alone():
    assert drop([[1, 1, 0]], [[0, 0, 0]], rate=1.0).tolist() == [[1, 1, 0]]


def test_a_dropped_prefix_gives_the_logits_of_the_shorter_input(forward):
    decoder_inputs, target_segments = int_array([[0, 5, 6, 0]]), int_array([[1, 1, 1, 0]])
    segments = drop([[1, 1, 1, 1, 1, 0]], [[1, 1, 0, 0, 0, 0]], rate=1.0)
    masked = forward(int_array([[9, 8, 3, 4, 1, 0]]), segments, decoder_inputs, target_segments)
    shorter = forward(
        int_array([[3, 4, 1, 0, 0, 0]]),
        int_array([[1, 1, 1, 0, 0, 0]]),
        decoder_inputs,
        target_segments,
    )
    kept = forward(
        int_array([[9, 8, 3, 4, 1, 0]]),
        int_array([[1, 1, 1, 1, 1, 0]]),
        decoder_inputs,
        target_segments,
    )
    np.testing.assert_allclose(masked[:, :3], shorter[:, :3], atol=1e-5)
    assert np.abs(masked[:, :3] - kept[:, :3]).max() > 1e-2  # the prefix does say something


def test_a_packed_row_loses_prefixes_one_by_one(forward):
    # three pairs a row; find a key that drops the second prefix only
    segments, prefix_mask = [[1, 1, 2, 2, 3, 3]], [[1, 0, 1, 0, 1, 0]]
    wanted = [[1, 1, 0, 2, 3, 3]]
    keys = (jax.random.key(seed) for seed in range(100))
    dropped = next(
        out
        for key in keys
        if (out := drop(segments, prefix_mask, rate=0.5, key=key)).tolist() == wanted
    )
    decoder_inputs, target_segments = int_array([[0, 5, 0, 6, 0, 7]]), int_array(segments)
    row = forward(int_array([[9, 3, 9, 4, 9, 2]]), dropped, decoder_inputs, target_segments)
    expected = forward(
        int_array([[9, 3, 4, 9, 2, 0]]),
        int_array([[1, 1, 2, 3, 3, 0]]),
        decoder_inputs,
        target_segments,
    )
    np.testing.assert_allclose(row, expected, atol=1e-5)


def test_the_observed_share_is_the_rate():
    num_rows, rate = 2000, 0.3
    segments = np.tile([[1, 1, 2, 2, 3, 3]], (num_rows, 1))
    prefix_mask = np.tile([[1, 0]], (num_rows, 3))
    dropped = np.asarray(drop(segments, prefix_mask, rate=rate))[:, ::2] == 0
    error = (rate * (1 - rate) / dropped.size) ** 0.5
    assert abs(dropped.mean() - rate) < 3 * error
    # each segment of a row by itself: all three go as often as independent draws would
    all_three = dropped.all(axis=1).mean()
    assert abs(all_three - rate**3) < 3 * (rate**3 * (1 - rate**3) / num_rows) ** 0.5


def test_the_key_decides():
    segments, prefix_mask = np.ones((50, 2), np.int32), np.tile([[1, 0]], (50, 1))
    first, again = (drop(segments, prefix_mask, rate=0.5) for _ in range(2))
    other = drop(segments, prefix_mask, rate=0.5, key=jax.random.key(8))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_a_higher_rate_drops_what_a_lower_one_dropped_and_more():
    segments, prefix_mask = np.ones((200, 2), np.int32), np.tile([[1, 0]], (200, 1))
    low, high = (
        np.asarray(drop(segments, prefix_mask, rate=rate))[:, 0] == 0 for rate in (0.4, 0.8)
    )
    assert (high | ~low).all()
    assert high.sum() > low.sum()


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 0.4), (25, 0.55), (50, 0.7), (100, 1.0), (5000, 1.0)]
)
def test_the_rate_rises_linearly_from_the_first_step_to_the_last(step, expected):
    config = PrefixDropoutConfig(start_rate=0.4, end_rate=1.0)
    rate = dropout_rate(jnp.int32(step), config, num_steps=101)
    assert float(rate) == pytest.approx(expected)


def test_a_run_of_one_step_has_the_rate_of_the_start():
    config = PrefixDropoutConfig(start_rate=0.4, end_rate=1.0)
    assert float(dropout_rate(jnp.int32(0), config, num_steps=1)) == pytest.approx(0.4)


@pytest.mark.parametrize(("field", "value"), [("start_rate", -0.1), ("end_rate", 1.1)])
def test_a_rate_that_is_no_share_is_refused(field, value):
    with pytest.raises(ValueError, match=rf"PrefixDropoutConfig\.{field}: got {value}"):
        PrefixDropoutConfig(**{field: value})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"schedule": "cosine"}, [0.4, 0.4 + 0.6 * 0.14645, 0.7, 1.0]),
        ({"schedule": "step", "num_stairs": 4}, [0.4, 0.6, 0.8, 1.0]),
        ({"schedule": "step", "num_stairs": 2}, [0.4, 0.4, 1.0, 1.0]),
        ({"begin_frac": 0.25, "end_frac": 0.5}, [0.4, 0.4, 1.0, 1.0]),
    ],
)
def test_the_rate_rises_in_the_shape_that_is_asked_for(fields, expected):
    config = PrefixDropoutConfig(start_rate=0.4, end_rate=1.0, **fields)
    rates = [float(dropout_rate(jnp.int32(s), config, num_steps=101)) for s in (0, 25, 50, 100)]
    assert rates == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schedule": "sine"}, r"PrefixDropoutConfig\.schedule: got 'sine'"),
        ({"num_stairs": 1}, r"PrefixDropoutConfig\.num_stairs: got 1"),
        ({"begin_frac": 0.5, "end_frac": 0.5}, r"begin_frac 0\.5 and end_frac 0\.5, expected"),
    ],
)
def test_a_schedule_that_is_none_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        PrefixDropoutConfig(**fields)


def test_segments_that_lost_their_prefix_are_counted_among_those_that_had_one():
    segments = int_array([[1, 1, 1, 2, 2, 0], [1, 1, 2, 2, 3, 3]])
    prefix_mask = int_array([[1, 1, 0, 1, 0, 0], [0, 0, 1, 0, 1, 0]])
    kept = int_array([[1, 1, 1, 0, 2, 0], [1, 1, 0, 2, 3, 3]])
    counts = count_prefixes(segments, prefix_mask, kept)
    assert [float(count) for count in counts] == [2, 4]


@pytest.mark.slow
def test_over_a_run_of_1000_steps_the_share_that_is_stripped_follows_the_schedule(
    tiny_config, source, vocabulary
):
    """Of all, and of every twentieth part, within 3 standard errors; a training step each."""
    loop = dataclasses.replace(tiny_config.loop, num_steps=1000)
    config = dataclasses.replace(tiny_config, loop=loop)
    layout = Layout(make_mesh(config.mesh), config.mesh.axis_rules)
    task = make_task(config, FirstParams(config, vocabulary, None), layout)
    trainer = Trainer(task, config.loop, layout)
    state, batches = trainer.first_state(), make_train_batches(source, vocabulary, config.data)
    parts = []  # (stripped, with a prefix, sum of the rates asked for)
    for _ in range(20):
        expected = 0.0
        for step in range(int(state.step), int(state.step) + 50):
            batch = pick_arrays(next(batches))
            rate = dropout_rate(jnp.int32(step), config.prefix_dropout, num_steps=1000)
            given = [int_array(batch[f"inputs_{name}"]) for name in ("segment_ids", "prefix")]
            num = count_prefixes(*given, given[0])[1]
            expected += float(rate) * float(num)
            state, _ = trainer.step(state, {}, batch)
        stripped, num_prefixed = (float(v) for v in state.sums["prefix_dropped_frac"])
        parts.append((stripped, num_prefixed, expected))
        state = trainer.clear_sums(state)
    for stripped, num_prefixed, expected in [*parts, tuple(map(sum, zip(*parts, strict=True)))]:
        rate = expected / num_prefixed
        error = (rate * (1 - rate) / num_prefixed) ** 0.5
        assert abs(stripped / num_prefixed - rate) < 3 * error
    rates = [stripped / num_prefixed for stripped, num_prefixed, _ in parts]
    assert rates[0] < 0.5 < 0.9 < rates[-1]
