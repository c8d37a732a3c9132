"""The layers against hand values and a few lines of numpy each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.models import layers
from pe.models.layers import (
    Attention,
    GatedMlp,
    Linear,
    RelativeBias,
    RMSNorm,
    attention_mask,
    dropout,
    relative_bucket,
)

FLOAT32 = jnp.dtype("float32")


@pytest.fixture(scope="module")
def attention():
    return Attention(4, 2, 3, dropout_rate=0.0, dtype=FLOAT32, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def mlp():
    activations = ("relu", "linear")
    rngs = nnx.Rngs(0)
    return GatedMlp(3, 5, activations=activations, dropout_rate=0.0, dtype=FLOAT32, rngs=rngs)


@pytest.fixture(scope="module")
def bias():
    """A causal bias of two heads over buckets 0 (future and self), 1, 2 and 3."""
    bias = RelativeBias(2, bidirectional=False, num_buckets=4, max_distance=8, rngs=nnx.Rngs(0))
    bias.rel_embedding[...] = jnp.array([[0.0, 1.0, 2.0, 3.0], [10.0, 11.0, 12.0, 13.0]])
    return bias


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), FLOAT32)


def everything(batch, num_queries, num_keys):
    return jnp.ones((batch, 1, num_queries, num_keys), bool)


def numpy_attention(attention, x, context, mask, bias):
    """Attend one head after the other, for one row."""
    kernels = [np.asarray(getattr(attention, n).kernel[...]) for n in ("query", "key", "value")]
    heads = []
    for head in range(attention.num_heads):
        part = slice(head * attention.head_dim, (head + 1) * attention.head_dim)
        q, k, v = (
            x @ kernels[0][:, part],
            context @ kernels[1][:, part],
            context @ kernels[2][:, part],
        )
        scores = np.where(mask, q @ k.T + bias[head], -1e10)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        heads.append(weights / weights.sum(axis=-1, keepdims=True) @ v)
    return np.concatenate(heads, axis=-1) @ np.asarray(attention.out.kernel[...])


def test_a_position_sees_its_own_segment_and_never_padding():
    query_segments = jnp.array([[1, 1, 2, 0]])
    mask = attention_mask(query_segments, jnp.array([[1, 2, 2]]))
    assert mask.astype(int).tolist() == [[[[1, 0, 0], [1, 0, 0], [0, 1, 1], [0, 0, 0]]]]
    padded = attention_mask(query_segments, jnp.array([[0, 0, 0]]))
    assert not padded.any()


def test_buckets_of_both_directions_are_those_of_the_docstring():
    positions = jnp.array([[-20, -3, -1, 0, 1, 3, 20]])
    buckets = relative_bucket(positions, bidirectional=True, num_buckets=8, max_distance=16)
    assert buckets.tolist() == [[3, 2, 1, 0, 5, 6, 7]]


def test_buckets_of_one_direction_put_the_future_into_bucket_0():
    # 4 exact, then 4 + log(d / 4) / log(16 / 4) * 4: 6 -> 5.17, 11 -> 6.92, and 7 at most
    positions = jnp.array([[5, 0, -1, -3, -4, -6, -11, -12, -400]])
    buckets = relative_bucket(positions, bidirectional=False, num_buckets=8, max_distance=16)
    assert buckets.tolist() == [[0, 0, 1, 3, 4, 5, 6, 7, 7]]


def test_the_bias_is_the_embedding_of_the_bucket_for_each_head(bias):
    out = bias(jnp.arange(3), jnp.arange(3))
    expected = [[0, 0, 0], [1, 0, 0], [2, 1, 0]]
    assert out.tolist() == [[expected, (np.array(expected) + 10).tolist()]]


def test_the_bias_of_one_position_is_its_row_of_all(bias):
    full = bias(jnp.arange(3), jnp.arange(3))
    np.testing.assert_array_equal(bias(jnp.array([1]), jnp.arange(3)), full[:, :, 1:2])


def test_the_norm_divides_by_the_root_mean_square():
    norm = RMSNorm(2, epsilon=0.0, dtype=FLOAT32)
    norm.scale[...] = jnp.array([1.0, 2.0])
    out = norm(jnp.array([[[3.0, 4.0]]]))  # root of (9 + 16) / 2 = 3.5355
    np.testing.assert_allclose(out, [[[3 / 12.5**0.5, 8 / 12.5**0.5]]], rtol=1e-6)


def test_the_norm_of_zeros_is_zero_and_its_gradient_finite():
    norm = RMSNorm(4, epsilon=1e-6, dtype=FLOAT32)
    zeros = jnp.zeros((1, 1, 4))
    np.testing.assert_array_equal(norm(zeros), zeros)
    assert jnp.all(jnp.isfinite(jax.grad(lambda x: norm(x).sum())(zeros)))


def test_the_norm_is_computed_in_float32_whatever_comes_in():
    norm = RMSNorm(2, epsilon=0.0, dtype=jnp.dtype("bfloat16"))
    x = jnp.array([[[300.0, 400.0]]], jnp.bfloat16)
    out = norm(x)
    assert out.dtype == jnp.bfloat16
    np.testing.assert_allclose(out.astype(FLOAT32), [[[0.8485, 1.1314]]], rtol=1e-2)


def test_a_linear_layer_is_a_matrix_product():
    linear = Linear(2, 3, init=nnx.initializers.ones, dtype=FLOAT32, rngs=nnx.Rngs(0))
    linear.kernel[...] = jnp.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    assert linear(jnp.array([[1.0, 1.0], [2.0, 0.0]])).tolist() == [[11, 22, 33], [2, 4, 6]]


def test_attention_agrees_with_numpy_under_mask_and_bias(attention):
    x, context, bias = draw(2, 3, 4), draw(2, 5, 4, seed=1), draw(1, 2, 3, 5, seed=2)
    mask = everything(2, 3, 5).at[:, :, :, 4].set(False).at[0, 0, 1, :2].set(False)
    out = attention(x, context, mask=mask, bias=bias)
    for row in range(2):
        arrays = (np.asarray(a) for a in (x[row], context[row], mask[row, 0], bias[0]))
        expected = numpy_attention(attention, *arrays)
        np.testing.assert_allclose(out[row], expected, atol=1e-5)


def test_attention_to_one_key_is_that_keys_value(attention):
    x, context = draw(1, 2, 4), draw(1, 3, 4, seed=1)
    mask = jnp.zeros((1, 1, 2, 3), bool).at[:, :, :, 1].set(True)
    expected = attention.out(attention.value(context[:, 1:2]))
    np.testing.assert_allclose(
        attention(x, context, mask=mask), jnp.tile(expected, (1, 2, 1)), atol=1e-6
    )


def test_masked_keys_do_not_reach_attention(attention):
    x, context = draw(1, 2, 4), draw(1, 3, 4, seed=1)
    mask = everything(1, 2, 3).at[..., 2].set(False)
    changed = context.at[:, 2].set(1e3)
    np.testing.assert_array_equal(
        attention(x, context, mask=mask), attention(x, changed, mask=mask)
    )


def test_attention_that_sees_nothing_averages_and_has_a_finite_gradient(attention):
    x, mask = draw(1, 2, 4), jnp.zeros((1, 1, 2, 2), bool)
    _, values = attention.project_keys(x)
    mean = jnp.broadcast_to(values.mean(axis=2, keepdims=True), values.shape).swapaxes(1, 2)
    np.testing.assert_allclose(
        attention(x, x, mask=mask), attention.out(mean.reshape(1, 2, -1)), atol=1e-6
    )
    grad = jax.jit(jax.grad(lambda x: jnp.abs(attention(x, x, mask=mask)).sum()))(x)
    assert jnp.all(jnp.isfinite(grad))


def test_attention_of_the_first_layer_is_not_scaled_down_by_its_width(attention):
    # the 1 / sqrt(H) of other transformers is missing on purpose: scores are the plain product
    x, context = draw(1, 1, 4), draw(1, 2, 4, seed=1)
    keys, values = attention.project_keys(context)
    scores = np.einsum("nh,nsh->ns", attention.split_heads(attention.query(x))[0, :, 0], keys[0])
    weights = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    expected = np.einsum("ns,nsh->nh", weights, values[0]).reshape(1, 1, 6)
    out = attention(x, context, mask=everything(1, 1, 2))
    np.testing.assert_allclose(out, attention.out(jnp.asarray(expected)), atol=1e-6)


def test_the_gated_block_multiplies_its_branches(mlp):
    x = draw(1, 2, 3)
    first, second, out = (np.asarray(k.kernel[...]) for k in (mlp.wi[0], mlp.wi[1], mlp.wo))
    expected = (np.maximum(np.asarray(x) @ first, 0) * (np.asarray(x) @ second)) @ out
    np.testing.assert_allclose(mlp(x), expected, atol=1e-5)


def test_the_gated_block_has_a_finite_gradient_at_zero(mlp):
    grad = jax.grad(lambda x: mlp(x).sum())(jnp.zeros((1, 2, 3)))
    assert jnp.all(jnp.isfinite(grad))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", [0, 2]),
        ("linear", [-1, 2]),
        ("silu", [-0.26894, 1.76159]),
        ("gelu", [-0.1588, 1.9546]),
    ],
)
def test_activations_have_their_hand_values(name, expected):
    out = layers.ACTIVATIONS[name](jnp.array([-1.0, 2.0]))
    np.testing.assert_allclose(out, expected, atol=1e-4)


def test_dropout_takes_whole_features_of_a_row_and_scales_up_the_rest():
    x = jnp.ones((4, 5, 64))
    out = np.asarray(dropout(x, 0.25, jax.random.key(0)))
    assert (out == out[:, :1]).all()  # one draw for all positions
    assert set(np.unique(out).tolist()) == {0.0, float(np.float32(1 / 0.75))}
    kept = (out[:, 0] != 0).mean()
    assert abs(kept - 0.75) < 3 * (0.75 * 0.25 / 256) ** 0.5


@pytest.mark.parametrize(("rate", "key"), [(0.5, None), (0.0, jax.random.key(0))])
def test_dropout_without_key_or_rate_gives_back_its_input(rate, key):
    x = draw(1, 2, 3)
    assert dropout(x, rate, key) is x


@pytest.mark.slow
def test_dropout_of_attention_takes_key_positions_of_a_head_for_every_query():
    layer = Attention(6, 2, 3, dropout_rate=0.5, dtype=FLOAT32, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(3, 5, 6)), jnp.float32)
    keys = jnp.zeros((3, 2, 6, 3))  # every key is seen alike, with weight 1/6
    values = jnp.asarray(rng.normal(size=(3, 2, 6, 3)), jnp.float32)
    layer.out = lambda y: y
    key, mask = jax.random.key(0), jnp.ones((1, 1, 1, 6), bool)
    dropped = layer.attend(x, keys, values, mask=mask, key=key)
    keep = np.asarray(jax.random.bernoulli(key, 0.5, (3, 2, 1, 6)))
    expected = np.einsum("bnts,bnsh->btnh", keep * 2.0 / 6, np.asarray(values))
    expected = np.broadcast_to(expected.reshape(3, 1, 6), (3, 5, 6))
    np.testing.assert_allclose(dropped, expected, atol=1e-6)
    assert 0.2 < keep.mean() < 0.8
    plain = layer.attend(x, keys, values, mask=mask)
    np.testing.assert_allclose(plain[0, 0], np.asarray(values)[0].mean(1).reshape(-1), atol=1e-6)
