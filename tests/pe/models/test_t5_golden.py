"""T5 against numbers that T5X itself computed."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.models.t5 import T5, T5Config
from pe.train.loss import token_nll, token_xent

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "../shared/golden/t5x/t5_1_1"


@pytest.fixture(scope="module")
def golden():
    if not (GOLDEN / "golden.npz").is_file():
        pytest.skip(f"needs {GOLDEN / 'golden.npz'}: numbers that T5X computed")
    with np.load(GOLDEN / "golden.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def sizes():
    return json.loads((GOLDEN / "model_config.json").read_text(encoding="utf-8"))


def t5x_name(path):
    """Return ('encoder', 'layers', 0, 'mlp', 'wi', 1, 'kernel') as T5X names it."""
    name = ".".join(str(part) for part in path)
    for i in range(2):
        name = name.replace(f"layers.{i}", f"layers_{i}").replace(f"wi.{i}", f"wi_{i}")
    return "token_embedder.embedding" if name == "embedding" else name


@pytest.fixture(scope="module")
def t5x_model(golden, sizes):
    """(graph, parameters) of T5X's own trained model, in this project's T5."""
    config = T5Config(
        dtype="float32",
        vocab_size=sizes["vocab_size"],
        d_model=sizes["emb_dim"],
        num_heads=sizes["num_heads"],
        head_dim=sizes["head_dim"],
        d_ff=sizes["mlp_dim"],
        num_encoder_layers=sizes["num_encoder_layers"],
        num_decoder_layers=sizes["num_decoder_layers"],
        activations=tuple(sizes["mlp_activations"]),
    )
    graph, params = nnx.split(nnx.eval_shape(lambda: T5(config, rngs=nnx.Rngs(0))))
    flat = nnx.to_flat_state(params)
    names = [f"param/{t5x_name(path)}" for path, _ in flat]
    assert sorted(names) == sorted(name for name in golden if name.startswith("param/"))
    assert [leaf.shape for _, leaf in flat] == [golden[name].shape for name in names]
    arrays = [jnp.asarray(golden[name]) for name in names]
    return graph, jax.tree.unflatten(jax.tree.structure(params), arrays)


@pytest.fixture(scope="module")
def t5x_forward(t5x_model):
    graph, _ = t5x_model

    @jax.jit
    def forward(params, inputs, input_segments, decoder_inputs, target_segments):
        return nnx.merge(graph, params)(inputs, input_segments, decoder_inputs, target_segments)

    return forward


def t5x_feed(golden, kind):
    """What the model is called with: one pair a row, or several packed into it."""
    inputs = golden[f"{kind}_encoder_input_tokens"]
    targets = golden[f"{kind}_decoder_target_tokens"]
    if kind == "packed":
        segments = golden["packed_encoder_segment_ids"], golden["packed_decoder_segment_ids"]
    else:
        segments = (inputs > 0).astype(np.int32), (targets > 0).astype(np.int32)
    feed = (inputs, segments[0], golden[f"{kind}_decoder_input_tokens"], segments[1])
    return tuple(jnp.asarray(array) for array in feed)


@pytest.mark.parametrize(
    ("kind", "prefix"), [("batch", ""), ("packed", "packed_")], ids=["plain", "packed"]
)
def test_logits_and_loss_are_those_of_t5x(golden, sizes, t5x_model, t5x_forward, kind, prefix):
    feed = t5x_feed(golden, kind)
    logits = t5x_forward(t5x_model[1], *feed)
    inside = np.asarray(feed[3]) > 0
    np.testing.assert_allclose(
        np.asarray(logits)[inside], golden[f"{prefix}logits"][inside], atol=1e-5, rtol=1e-5
    )
    targets = jnp.asarray(golden[f"{kind}_decoder_target_tokens"])
    nll, z_loss, count = token_xent(logits, targets, jnp.asarray(inside), z_loss=sizes["z_loss"])
    np.testing.assert_allclose(float(nll + z_loss), golden[f"{prefix}loss"], rtol=1e-6)
    assert float(count) == golden[f"{kind}_decoder_loss_weights"].sum()


def test_gradients_are_those_of_t5x(golden, sizes, t5x_model, t5x_forward):
    feed = t5x_feed(golden, "batch")
    targets = jnp.asarray(golden["batch_decoder_target_tokens"])

    @jax.jit
    def loss(params):
        logits = t5x_forward(params, *feed)
        nll, z_loss, _ = token_xent(logits, targets, feed[3] > 0, z_loss=sizes["z_loss"])
        return nll + z_loss

    for path, leaf in nnx.to_flat_state(jax.grad(loss)(t5x_model[1])):
        expected = golden[f"grad/{t5x_name(path)}"]
        np.testing.assert_allclose(leaf[...], expected, atol=2e-4, rtol=1e-3, err_msg=str(path))


def test_rows_score_as_in_t5x(golden, t5x_model):
    graph, params = t5x_model
    inputs, targets, decoder_inputs = (
        jnp.asarray(golden[f"batch_{name}_tokens"])
        for name in ("encoder_input", "decoder_target", "decoder_input")
    )
    segments = (inputs > 0).astype(jnp.int32)
    forward = jax.jit(lambda params, *feed: nnx.merge(graph, params)(*feed))
    logits = forward(params, inputs, segments, decoder_inputs, jnp.ones_like(targets))
    nll, _ = token_nll(logits, targets)
    scores = -jnp.sum(nll, axis=1, where=targets > 0)
    np.testing.assert_allclose(scores, golden["score_batch"], atol=2e-5)


@pytest.fixture(scope="module")
def t5x_greedy(golden, t5x_model):
    """(tokens, logits of every step) of decoding greedily, one position at a time."""
    graph, params = t5x_model
    inputs = jnp.asarray(golden["batch_encoder_input_tokens"])
    segments = (inputs > 0).astype(jnp.int32)
    num_rows, max_tokens = golden["greedy_tokens"].shape

    @jax.jit
    def decode(params):
        model = nnx.merge(graph, params)
        encoding = model.encode_for_decoding(inputs, segments)
        cache = model.empty_cache(num_rows, max_tokens)

        def step(carry, position):
            tokens, cache = carry
            logits, cache = model.decode_step(tokens, cache, position, encoding)
            tokens = jnp.argmax(logits, axis=-1).astype(jnp.int32)
            return (tokens, cache), (tokens, logits)

        start = (jnp.zeros((num_rows,), jnp.int32), cache)
        return jax.lax.scan(step, start, jnp.arange(max_tokens))[1]

    tokens, logits = decode(params)
    return np.asarray(tokens).T, np.asarray(logits).transpose(1, 0, 2)


def test_greedy_tokens_are_those_of_t5x_up_to_the_end_token(golden, t5x_greedy):
    for row, expected in zip(t5x_greedy[0], golden["greedy_tokens"], strict=True):
        length = list(expected).index(1) + 1
        assert row[:length].tolist() == expected[:length].tolist()


def test_cached_steps_give_the_logits_of_the_full_pass(golden, t5x_model, t5x_forward, t5x_greedy):
    tokens, logits = t5x_greedy
    inputs = jnp.asarray(golden["batch_encoder_input_tokens"])
    decoder_inputs = jnp.asarray(np.pad(tokens, ((0, 0), (1, 0)))[:, :-1].astype(np.int32))
    full = t5x_forward(
        t5x_model[1],
        inputs,
        (inputs > 0).astype(jnp.int32),
        decoder_inputs,
        jnp.ones_like(decoder_inputs),
    )
    np.testing.assert_allclose(logits, full, atol=2e-5, rtol=1e-4)
