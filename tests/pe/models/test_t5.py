"""T5's members, and the ways of feeding them that have to agree."""

import dataclasses
import functools
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.config import load_config
from pe.models.t5 import T5, T5Config, count_params, position_biases
from pe.train.loss import token_xent
from pe.train.run import TrainConfig

ROOT = Path(__file__).parents[3]
GIN_FILES = sorted(ROOT.glob("gin/models/*.gin"))
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


@pytest.fixture(scope="module")
def tiny(make_t5):
    graph, params = make_t5(TINY)

    @jax.jit
    def forward(params, *feed, key=None):
        return nnx.merge(graph, params)(*feed, key=key)

    return graph, params, forward


def int_array(rows):
    return jnp.asarray(np.array(rows, np.int32))


def test_what_stands_in_padding_changes_nothing(tiny):
    _, params, forward = tiny
    segments, target_segments = int_array([[1, 1, 0, 0]]), int_array([[1, 1, 1, 0]])
    decoder_inputs = int_array([[0, 5, 6, 7]])
    one = forward(params, int_array([[3, 4, 0, 0]]), segments, decoder_inputs, target_segments)
    other = forward(params, int_array([[3, 4, 9, 17]]), segments, decoder_inputs, target_segments)
    np.testing.assert_array_equal(one[:, :3], other[:, :3])


def test_a_packed_pair_has_the_logits_of_the_pair_alone(tiny):
    _, params, forward = tiny
    packed = forward(
        params,
        int_array([[3, 4, 1, 8, 1, 0]]),
        int_array([[1, 1, 1, 2, 2, 0]]),
        int_array([[0, 5, 0, 6, 7, 0]]),
        int_array([[1, 1, 2, 2, 2, 0]]),
    )
    second = forward(
        params,
        int_array([[8, 1]]),
        int_array([[1, 1]]),
        int_array([[0, 6, 7]]),
        int_array([[1, 1, 1]]),
    )
    np.testing.assert_allclose(packed[:, 2:5], second, atol=1e-5)


def test_a_position_does_not_see_the_targets_after_it(tiny):
    _, params, forward = tiny
    inputs, segments = int_array([[3, 4, 1, 0]]), int_array([[1, 1, 1, 0]])
    target_segments = int_array([[1, 1, 1, 1]])
    one = forward(params, inputs, segments, int_array([[0, 5, 6, 7]]), target_segments)
    other = forward(params, inputs, segments, int_array([[0, 5, 11, 12]]), target_segments)
    np.testing.assert_array_equal(one[:, :2], other[:, :2])
    assert not np.allclose(one[:, 2], other[:, 2])


def test_rows_of_several_queries_decode_as_if_each_were_alone(tiny):
    graph, params, _ = tiny
    inputs, segments = int_array([[3, 4, 1], [9, 1, 0]]), int_array([[1, 1, 1], [1, 1, 0]])

    @jax.jit
    def two_steps(first, inputs, segments):
        model = nnx.merge(graph, params)
        encoding = model.encode_for_decoding(inputs, segments)
        cache = model.empty_cache(len(first), 2)
        _, cache = model.decode_step(jnp.zeros_like(first), cache, jnp.int32(0), encoding)
        return model.decode_step(first, cache, jnp.int32(1), encoding)[0]

    together = two_steps(int_array([5, 6]), inputs, segments)
    for row, first in enumerate((5, 6)):
        query = slice(row, row + 1)
        alone = two_steps(int_array([first]), inputs[query], segments[query])
        np.testing.assert_allclose(together[row], alone[0], atol=1e-5)


FAMILY = {
    "1.0": {"activations": ("relu",), "tied_logits": True, "scaled_logits": True},
    "1.1": {},
    "umT5": {"layer_biases": True, "num_encoder_layers": 2, "num_decoder_layers": 2},
}


@pytest.fixture(scope="module", params=FAMILY, ids=FAMILY)
def member(request, make_t5):
    """(config, graph, parameters) of one of the family."""
    config = dataclasses.replace(TINY, **FAMILY[request.param])
    return config, *make_t5(config)


def pair_feed():
    """A batch of two pairs, the second shorter than the first."""
    inputs = int_array([[3, 4, 5, 1], [9, 1, 0, 0]])
    decoder_inputs = int_array([[0, 5, 6, 7, 8], [0, 11, 12, 0, 0]])
    target_segments = int_array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    return inputs, (inputs > 0).astype(jnp.int32), decoder_inputs, target_segments


@pytest.mark.slow
def test_steps_of_every_member_give_the_logits_of_its_full_pass(member):
    _, graph, params = member
    inputs, segments, decoder_inputs, _ = pair_feed()

    @jax.jit
    def both(params):
        model = nnx.merge(graph, params)
        full = model(inputs, segments, decoder_inputs, jnp.ones_like(decoder_inputs))
        encoding, cache = model.encode_for_decoding(inputs, segments), model.empty_cache(2, 8)
        steps = []
        for position in range(decoder_inputs.shape[1]):
            tokens = decoder_inputs[:, position]
            logits, cache = model.decode_step(tokens, cache, jnp.int32(position), encoding)
            steps.append(logits)
        return full, jnp.stack(steps, axis=1)

    full, steps = both(params)
    np.testing.assert_allclose(steps, full, atol=2e-5, rtol=1e-4)


@functools.partial(jax.jit, static_argnums=0)
def loss_and_gradient(graph, params):
    feed = pair_feed()

    def loss(params):
        logits = nnx.merge(graph, params)(*feed)
        return token_xent(logits, feed[2], feed[3] != 0)[0]

    return jax.value_and_grad(loss)(params)


@pytest.mark.slow
def test_every_parameter_of_every_member_has_a_finite_gradient(member):
    loss, gradient = loss_and_gradient(*member[1:])
    assert bool(jnp.isfinite(loss))
    for path, leaf in nnx.to_flat_state(gradient):
        assert bool(jnp.all(jnp.isfinite(leaf[...]))), path
        assert bool(jnp.any(leaf[...] != 0)), path


@pytest.mark.slow
def test_a_layer_that_is_computed_again_gives_the_same_loss_and_gradient(member):
    config, _, params = member
    again = dataclasses.replace(config, remat="full")
    graph, _ = nnx.split(nnx.eval_shape(lambda: T5(again, rngs=nnx.Rngs(0))))
    plain, remat = (loss_and_gradient(g, params) for g in (member[1], graph))
    assert float(plain[0]) == pytest.approx(float(remat[0]), rel=1e-6)
    for one, other in zip(*map(jax.tree.leaves, (plain[1], remat[1])), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_bfloat16_gives_float32_logits_close_to_those_of_float32(member):
    config, graph, params = member
    half = dataclasses.replace(config, dtype="bfloat16")
    half_graph, _ = nnx.split(nnx.eval_shape(lambda: T5(half, rngs=nnx.Rngs(0))))
    exact, rounded = (nnx.merge(g, params)(*pair_feed()) for g in (graph, half_graph))
    assert exact.dtype == rounded.dtype == jnp.float32
    inside = np.asarray(pair_feed()[3]) > 0
    error = np.abs(np.asarray(exact - rounded))[inside]
    assert 0 < error.max() < 0.05 * np.abs(np.asarray(exact))[inside].max()


def test_logits_of_1_0_are_the_scaled_output_times_the_embedding(make_t5):
    graph, params = make_t5(dataclasses.replace(TINY, **FAMILY["1.0"]))
    model = nnx.merge(graph, params)
    assert "logits_dense" not in str(nnx.to_flat_state(params))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 3, 8)), jnp.float32)
    expected = np.asarray(x) / 8**0.5 @ np.asarray(model.embedding[...]).T
    np.testing.assert_allclose(model.to_logits(x), expected, atol=1e-5)


def test_logits_that_are_tied_need_not_be_scaled(make_t5):
    model = nnx.merge(*make_t5(dataclasses.replace(TINY, tied_logits=True)))
    x = jnp.ones((1, 1, 8))
    expected = np.asarray(model.embedding[...]).sum(axis=1)
    np.testing.assert_allclose(model.to_logits(x)[0, 0], expected, atol=1e-5)


def test_one_activation_makes_a_feed_forward_of_one_branch(make_t5):
    model = nnx.merge(*make_t5(dataclasses.replace(TINY, **FAMILY["1.0"])))
    mlp = model.encoder.layers[0].mlp
    assert len(mlp.wi) == 1
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 2, 8)), jnp.float32)
    first, last = (np.asarray(kernel[...]) for kernel in (mlp.wi[0].kernel, mlp.wo.kernel))
    np.testing.assert_allclose(mlp(x), np.maximum(np.asarray(x) @ first, 0) @ last, atol=1e-5)


def test_every_layer_of_umt5_has_a_position_bias_of_its_own(make_t5):
    config = dataclasses.replace(TINY, **FAMILY["umT5"])
    _, params = make_t5(config)
    names = [".".join(map(str, path)) for path, _ in nnx.to_flat_state(params)]
    tables = [name for name in names if name.endswith("rel_embedding")]
    assert tables == [
        f"{stack}.layers.{i}.relpos_bias.rel_embedding"
        for stack in ("decoder", "encoder")
        for i in (0, 1)
    ]


def test_a_bias_of_umt5_reaches_its_layer_and_that_one_only(make_t5):
    config = dataclasses.replace(TINY, **FAMILY["umT5"])
    graph, params = make_t5(config)
    model = nnx.merge(graph, params)
    positions = jnp.arange(4)
    before = [np.asarray(bias) for bias in position_biases(model.decoder, positions, positions)]
    assert not np.array_equal(before[0], before[1])
    table = model.decoder.layers[1].relpos_bias.rel_embedding
    table[...] = table[...] + 1.0
    after = position_biases(model.decoder, positions, positions)
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_allclose(after[1], before[1] + 1.0, atol=1e-6)


def test_the_layers_of_other_members_share_one_bias(make_t5):
    config = dataclasses.replace(TINY, num_encoder_layers=3)
    model = nnx.merge(*make_t5(config))
    biases = position_biases(model.encoder, jnp.arange(4), jnp.arange(4))
    assert len(biases) == 3
    assert biases[0] is biases[1] is biases[2]


@pytest.mark.parametrize("path", GIN_FILES, ids=lambda path: path.stem)
def test_a_size_has_the_parameters_that_its_file_says(path):
    text = path.read_text(encoding="utf-8")
    told = re.findall(r"(\d[\d.,]*) M parameters", text)
    assert len(told) == 1
    expected = float(told[0].replace(",", "")) * 1e6
    config = load_config(TrainConfig, [path]).model
    # all layers of a stack are alike: counting 1 and 2 of each is a tenth of the tracing
    counts = [
        count_params(dataclasses.replace(config, num_encoder_layers=i, num_decoder_layers=k))
        for i, k in ((1, 1), (2, 1), (1, 2))
    ]
    num_params = counts[0] + (config.num_encoder_layers - 1) * (counts[1] - counts[0])
    num_params += (config.num_decoder_layers - 1) * (counts[2] - counts[0])
    assert abs(num_params - expected) <= max(0.01 * expected, 0.05e6)


@pytest.mark.slow
def test_gradients_are_finite_where_a_row_is_all_padding(tiny):
    _, params, forward = tiny
    ids = int_array([[3, 4, 1, 0], [0, 0, 0, 0]])
    segments = int_array([[1, 1, 1, 0], [0, 0, 0, 0]])

    @jax.jit
    def loss(params):
        logits = forward(params, ids, segments, ids, segments)
        return token_xent(logits, ids, segments != 0)[0]

    leaves = jax.tree.leaves(jax.grad(loss)(params))
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in leaves)
    assert all(bool(jnp.any(leaf != 0)) for leaf in leaves)


@pytest.mark.slow
def test_dropout_is_off_without_a_key_and_follows_the_key(make_t5, tiny):
    graph, params = make_t5(dataclasses.replace(TINY, dropout_rate=0.5))
    ids, segments = int_array([[3, 4, 1, 0]]), int_array([[1, 1, 1, 0]])
    forward = jax.jit(lambda key: nnx.merge(graph, params)(ids, segments, ids, segments, key=key))
    plain, first = tiny[2](tiny[1], ids, segments, ids, segments), forward(jax.random.key(1))
    np.testing.assert_array_equal(first, forward(jax.random.key(1)))
    assert not np.allclose(first, forward(jax.random.key(2)))
    assert not np.allclose(first, plain)


def test_bfloat16_keeps_parameters_and_logits_in_float32():
    config = dataclasses.replace(TINY, dtype="bfloat16")
    graph, params = nnx.split(nnx.eval_shape(lambda: T5(config, rngs=nnx.Rngs(0))))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    ids = jax.ShapeDtypeStruct((2, 4), jnp.int32)
    logits = jax.eval_shape(lambda p, ids: nnx.merge(graph, p)(ids, ids, ids, ids), params, ids)
    assert (logits.shape, logits.dtype) == ((2, 4, 20), jnp.dtype("float32"))


def test_parameters_are_counted_without_making_them():
    # embedding and logits 20 * 8 each; a bias 2 * 32 each; 2 + 1 and 3 + 1 norms of 8;
    # 1 and 2 attentions of 4 * 8 * 8; a feed-forward block 3 * 8 * 12 each
    assert count_params(TINY) == 2 * 160 + 2 * 64 + 7 * 8 + 3 * 256 + 2 * 288


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("d_model", 0),
        ("num_decoder_layers", 0),
        ("dropout_rate", 1.0),
        ("num_buckets", 5),
        ("dtype", "float16"),
        ("activations", ("swish",)),
        ("activations", ()),
    ],
)
def test_a_size_out_of_range_is_named_with_its_value(field, value):
    with pytest.raises(ValueError, match=rf"T5Config\.{field}: got .*expected"):
        T5Config(**{field: value})
