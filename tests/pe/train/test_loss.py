"""The token loss: hand values, mask, gradient, and numpy."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pe.train.loss import LossConfig, token_nll, token_xent

LOG2 = math.log(2)


def test_uniform_logits_cost_log_2_a_token():
    nll, log_z = token_nll(jnp.zeros((1, 2, 2)), jnp.array([[0, 1]]))
    np.testing.assert_allclose(nll, [[LOG2, LOG2]], rtol=1e-6)
    np.testing.assert_allclose(log_z, [[LOG2, LOG2]], rtol=1e-6)


def test_the_sums_leave_masked_tokens_out():
    mask = jnp.array([[False, True, True]])
    sums = token_xent(jnp.zeros((1, 3, 2)), jnp.array([[0, 1, 1]]), mask, z_loss=0.5)
    np.testing.assert_allclose(sums, (2 * LOG2, 0.5 * 2 * LOG2**2, 2), rtol=1e-6)


def test_what_stands_behind_the_mask_may_be_anything():
    logits = jnp.zeros((1, 2, 3)).at[0, 1].set(jnp.array([jnp.inf, 0.0, jnp.nan]))
    nll, z_loss, count = token_xent(
        logits, jnp.array([[2, 0]]), jnp.array([[True, False]]), z_loss=1e-4
    )
    np.testing.assert_allclose(
        (nll, z_loss, count), (math.log(3), 1e-4 * math.log(3) ** 2, 1), rtol=1e-6
    )


def test_the_loss_agrees_with_numpy():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 4, 7)) * 5
    targets, mask = rng.integers(0, 7, (2, 4)), rng.random((2, 4)) < 0.6
    log_z = np.log(np.exp(logits).sum(axis=-1))
    expected_nll = (log_z - np.take_along_axis(logits, targets[..., None], -1)[..., 0])[mask].sum()
    sums = token_xent(
        jnp.asarray(logits, jnp.float32), jnp.asarray(targets), jnp.asarray(mask), z_loss=0.01
    )
    expected = (expected_nll, 0.01 * (log_z[mask] ** 2).sum(), mask.sum())
    np.testing.assert_allclose(sums, expected, rtol=1e-5)


def test_the_gradient_is_finite_where_logits_are_far_apart():
    logits = jnp.array([[[1e4, -1e4], [-1e4, 1e4]]])
    targets, mask = jnp.array([[1, 1]]), jnp.array([[True, False]])

    def loss(logits):
        nll, z_loss, _ = token_xent(logits, targets, mask, z_loss=1e-4)
        return nll + z_loss

    value, grad = jax.value_and_grad(loss)(logits)
    assert float(value) == pytest.approx(2e4 + 1e4)  # the z-loss of a normaliser of 1e4 is 1e4
    assert jnp.all(jnp.isfinite(grad))
    assert not grad[0, 1].any()


def test_bfloat16_logits_are_summed_in_float32():
    logits = jnp.zeros((1, 1, 1000), jnp.bfloat16)
    nll, log_z = token_nll(logits, jnp.array([[3]]))
    assert nll.dtype == log_z.dtype == jnp.float32
    np.testing.assert_allclose(nll, [[math.log(1000)]], rtol=1e-6)


def test_a_negative_z_loss_is_refused():
    with pytest.raises(ValueError, match=r"LossConfig\.z_loss: got -0\.1, expected 0 or more"):
        LossConfig(z_loss=-0.1)
