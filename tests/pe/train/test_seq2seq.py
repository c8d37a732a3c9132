"""The loss of a T5 over a batch: shifting, sums, prefix dropout by step, and the row scorer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pe.models.t5 import T5Config
from pe.train.loss import LossConfig
from pe.train.prefix_dropout import PrefixDropoutConfig
from pe.train.seq2seq import (
    METRIC_NAMES,
    bind_state,
    make_row_scorer,
    make_seq2seq_loss,
    pick_arrays,
    shift_right,
)

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


def make_batch(**changes):
    """Two packed rows; the second holds one pair."""
    rows = {
        "inputs": [[9, 3, 1, 9, 4, 1], [9, 5, 6, 1, 0, 0]],
        "inputs_prefix": [[1, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0]],
        "inputs_segment_ids": [[1, 1, 1, 2, 2, 2], [1, 1, 1, 1, 0, 0]],
        "targets": [[5, 6, 1, 7, 1], [8, 8, 1, 0, 0]],
        "targets_segment_ids": [[1, 1, 1, 2, 2], [1, 1, 1, 0, 0]],
        "targets_positions": [[0, 1, 2, 0, 1], [0, 1, 2, 0, 0]],
    }
    return {name: np.array(values, np.int32) for name, values in {**rows, **changes}.items()}


@pytest.fixture(scope="module")
def t5(make_t5):
    return make_t5(TINY)


@pytest.fixture(scope="module")
def loss_fn(t5):
    return jax.jit(
        make_seq2seq_loss(
            bind_state(t5[0]),
            loss=LossConfig(z_loss=0.01),
            prefix_dropout=PrefixDropoutConfig(start_rate=0.0, end_rate=1.0),
            num_steps=5,
        )
    )


@pytest.fixture(scope="module")
def scorer(t5):
    return make_row_scorer(bind_state(t5[0]))


def test_targets_move_one_to_the_right_in_every_segment():
    targets, positions = jnp.array([[5, 6, 1, 7, 1, 0]]), jnp.array([[0, 1, 2, 0, 1, 0]])
    assert shift_right(targets, positions).tolist() == [[0, 5, 6, 0, 7, 0]]


def test_the_last_target_of_a_full_row_does_not_come_in_front():
    targets, positions = jnp.array([[5, 6, 7]]), jnp.array([[0, 1, 2]])
    assert shift_right(targets, positions).tolist() == [[0, 5, 6]]


def test_metrics_count_tokens_positions_and_prefixes(t5, loss_fn):
    output = loss_fn(t5[1], make_batch(), jnp.int32(2), jax.random.key(0))
    assert tuple(sorted(output.metrics)) == tuple(sorted(METRIC_NAMES))
    sums = {name: [float(v) for v in pair] for name, pair in output.metrics.items()}
    assert float(output.count) == sums["nll"][1] == sums["z_loss"][1] == 8
    assert sums["padding_frac"] == [2, 10]
    assert sums["prefix_dropout_rate"] == pytest.approx([0.5 * 8, 8])
    assert sums["prefix_dropped_frac"][1] == 3
    assert float(output.loss_sum) == pytest.approx(sums["nll"][0] + sums["z_loss"][0])
    assert sums["z_loss"][0] > 0


def test_the_share_of_prefixes_that_is_dropped_is_counted(t5, loss_fn):
    counted = [
        float(
            loss_fn(t5[1], make_batch(), jnp.int32(step), jax.random.key(0)).metrics[
                "prefix_dropped_frac"
            ][0]
        )
        for step in (0, 4)
    ]
    assert counted == [0, 3]


def test_at_the_first_step_no_prefix_is_dropped_and_at_the_last_every_one(t5, loss_fn):
    batch, key = make_batch(), jax.random.key(0)
    without = make_batch(inputs_segment_ids=[[0, 1, 1, 0, 2, 2], [0, 1, 1, 1, 0, 0]])
    first, last, reference = (
        float(loss_fn(t5[1], b, jnp.int32(step), key).loss_sum)
        for b, step in ((batch, 0), (batch, 4), (without, 0))
    )
    assert last == pytest.approx(reference, rel=1e-6)
    assert first != pytest.approx(last, rel=1e-4)


def test_padding_holds_nothing_the_loss_depends_on(t5, loss_fn):
    changed = make_batch()
    changed["inputs"][1, 4:], changed["targets"][1, 3:] = 17, 13
    losses = [
        float(loss_fn(t5[1], b, jnp.int32(0), jax.random.key(0)).loss_sum)
        for b in (make_batch(), changed)
    ]
    assert losses[0] == losses[1]


def test_the_gradient_is_finite_and_reaches_every_parameter(t5, loss_fn):
    batch = make_batch()
    grad = jax.jit(jax.grad(lambda p: loss_fn(p, batch, jnp.int32(4), jax.random.key(0)).loss_sum))
    leaves = jax.tree.leaves(grad(t5[1]))
    assert all(bool(jnp.all(jnp.isfinite(leaf)) & jnp.any(leaf != 0)) for leaf in leaves)


def test_the_scorer_gives_nats_and_tokens_of_every_row(t5, loss_fn, scorer):
    batch = make_batch()
    nats, num_tokens = scorer(t5[1], batch)
    assert num_tokens.tolist() == [5, 3]
    expected = loss_fn(t5[1], batch, jnp.int32(0), jax.random.key(0)).metrics["nll"][0]
    assert float(nats.sum()) == pytest.approx(float(expected), rel=1e-6)


def test_an_empty_row_costs_nothing(t5, scorer):
    empty = make_batch()
    for array in empty.values():
        array[1] = 0
    nats, num_tokens = scorer(t5[1], empty)
    assert (float(nats[1]), float(num_tokens[1])) == (0.0, 0.0)
    assert float(nats[0]) == float(scorer(t5[1], make_batch())[0][0])


def test_only_what_the_model_reads_goes_to_the_device():
    batch = pick_arrays({**make_batch(), "rows": np.zeros((2, 32)), "inputs_positions": None})
    assert sorted(batch) == sorted(make_batch())
