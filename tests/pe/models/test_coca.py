"""CoCa's decoder: caches, beams and masks. What open_clip computes is in test_caption.py."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.models.clip_config import ClipConfig, DecoderConfig, TextConfig, VisionConfig
from pe.models.coca import Coca, follows_token

TINY = ClipConfig(
    embed_dim=8,
    vision=VisionConfig(
        image_px=8,
        patch_px=4,
        width=12,
        num_layers=1,
        num_heads=2,
        mlp_width=16,
        num_pool_queries=5,
        num_pool_heads=2,
    ),
    text=TextConfig(
        context_tokens=8,
        vocab_size=20,
        width=8,
        num_layers=2,
        num_heads=2,
        mlp_width=16,
        has_class_token=True,
    ),
    decoder=DecoderConfig(context_tokens=8, width=8, num_layers=2, num_heads=4, mlp_width=16),
)
TOKENS = np.array([[18, 3, 0, 7, 5, 19], [18, 9, 4, 4, 0, 0]], np.int32)


@pytest.fixture(scope="module")
def coca():
    graph, params = nnx.split(nnx.eval_shape(lambda: Coca(TINY, rngs=nnx.Rngs(0))))
    rng = np.random.default_rng(0)
    draw = lambda leaf: jnp.asarray(0.5 * rng.normal(size=leaf.shape), jnp.float32)  # noqa: E731
    return nnx.merge(graph, jax.tree.map(draw, params))


@pytest.fixture(scope="module")
def image_tokens(coca):
    pixels = np.random.default_rng(1).normal(size=(2, 8, 8, 3))
    return coca.visual.encode(jnp.asarray(pixels, jnp.float32))[1]


@pytest.fixture(scope="module")
def logits_of(coca):
    graph, params = nnx.split(coca)

    @jax.jit
    def logits_of(image_tokens, tokens):
        return nnx.merge(graph, params).caption_logits(image_tokens, tokens)

    return logits_of


def test_all_image_tokens_but_the_first_are_for_captions(image_tokens):
    assert image_tokens.shape == (2, 4, 8)


def test_the_position_after_padding_is_masked():
    rows = jnp.array([[9, 5, 0, 7, 0, 0]])
    np.testing.assert_array_equal(follows_token(rows), [[1, 1, 1, 0, 1, 0]])


def test_a_token_changes_what_comes_after_it_and_nothing_before(logits_of, image_tokens):
    logits = np.asarray(logits_of(image_tokens, TOKENS))
    changed = TOKENS.copy()
    changed[:, 3] = 11
    moved = np.abs(np.asarray(logits_of(image_tokens, changed)) - logits).max(axis=(0, 2))
    assert (moved[:3] == 0).all()
    assert (moved[3:] > 1e-3).all()


def test_an_image_changes_every_logit_of_its_own_row_only(logits_of, image_tokens):
    logits = np.asarray(logits_of(image_tokens, TOKENS))
    moved = logits_of(image_tokens.at[1].multiply(-1.0), TOKENS)
    difference = np.abs(np.asarray(moved) - logits).max(axis=2)
    assert (difference[0] == 0).all()
    assert (difference[1] > 1e-3).all()


@pytest.mark.slow
def test_leaving_the_class_token_out_changes_nothing_for_the_decoder(coca):
    tokens = jnp.pad(TOKENS, ((0, 0), (0, 2)))  # to the context, which text.encode wants
    np.testing.assert_allclose(coca.read_text(tokens), coca.text.encode(tokens)[1], atol=1e-6)


@pytest.mark.slow
def test_steps_with_a_cache_give_the_logits_of_the_whole_caption(coca, logits_of, image_tokens):
    image = coca.text_decoder.project_image(image_tokens)
    cache = coca.new_cache(2, 6)
    steps = []
    for position in range(6):
        mask = jnp.broadcast_to(jnp.arange(6) <= position, (2, 1, 6))
        logits, cache = coca.decode_step(
            jnp.asarray(TOKENS[:, position : position + 1]),
            jnp.int32(position),
            cache,
            image,
            text_mask=mask & follows_token(jnp.asarray(TOKENS))[:, None],
            decoder_mask=mask,
        )
        steps.append(logits)
    whole = logits_of(image_tokens, TOKENS)
    np.testing.assert_allclose(jnp.concatenate(steps, axis=1), whole, atol=2e-5)


@pytest.mark.slow
def test_gradients_of_logits_are_finite_and_reach_both_towers(coca, image_tokens):
    graph, params = nnx.split(coca)
    pixels = jnp.asarray(np.random.default_rng(1).normal(size=(2, 8, 8, 3)), jnp.float32)

    def loss(params):
        model = nnx.merge(graph, params)
        logits = model.caption_logits(model.visual.encode(pixels)[1], jnp.asarray(TOKENS))
        return jnp.sum(jax.nn.log_softmax(logits)[..., 3])

    gradients = dict(nnx.to_flat_state(jax.jit(jax.grad(loss))(params)))
    assert all(np.isfinite(leaf[...]).all() for leaf in gradients.values())
    for path in (("visual", "patch", "kernel"), ("text", "token_embedding")):
        assert np.abs(gradients[path][...]).max() > 0


def test_a_coca_needs_a_decoder():
    config = dataclasses.replace(TINY, decoder=None)
    with pytest.raises(ValueError, match="got None, expected a DecoderConfig"):
        Coca(config, rngs=nnx.Rngs(0))
