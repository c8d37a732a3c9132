"""Decoding many texts of each row: by key alone, without banned tokens, with the right score."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.data.tokenizer import EOS_ID, PAD_ID
from pe.decode.generate import make_generator, sample_keys
from pe.models.t5 import T5Config

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
INPUTS = np.array([[3, 4, 5, 1], [9, 1, 0, 0], [7, 7, 1, 0]], np.int32)
BANNED = np.isin(np.arange(20), (PAD_ID, 2, 11))
MAX_TOKENS = 6


@pytest.fixture(scope="module")
def t5(make_t5):
    return make_t5(TINY)


@pytest.fixture(scope="module")
def draw(t5):
    """Draw `ks` of some rows, each by a seed of its own."""
    generate = make_generator(t5[0])

    def draw(rows, ks, *, seeds=(10, 11, 12), temperature=1.0, top_k=None):
        inputs = jnp.asarray(INPUTS[list(rows)])
        tokens, logprobs = generate(
            t5[1],
            inputs,
            (inputs > 0).astype(jnp.int32),
            sample_keys(jnp.array([seeds[row] for row in rows]), jnp.array(list(ks))),
            jnp.asarray(BANNED),
            jnp.float32(temperature),
            top_k=top_k,
            max_tokens=MAX_TOKENS,
        )
        return np.asarray(tokens), np.asarray(logprobs)

    return draw


@pytest.fixture(scope="module")
def many(draw):
    """64 samples of each of the three rows."""
    return draw((0, 1, 2), range(64))


def test_keys_are_those_of_seed_and_number():
    keys = sample_keys(jnp.array([5, 6]), jnp.array([0, 3]))
    assert keys.shape == (2, 2)
    expected = jax.random.fold_in(jax.random.key(6), 3)
    assert jax.random.key_data(keys[1, 1]).tolist() == jax.random.key_data(expected).tolist()


def test_texts_have_their_shape_and_differ(many):
    tokens, logprobs = many
    assert (tokens.shape, logprobs.shape) == ((3, 64, MAX_TOKENS), (3, 64))
    assert len({tuple(text) for text in tokens.reshape(-1, MAX_TOKENS).tolist()}) > 100


def test_banned_tokens_are_never_drawn_and_padding_only_after_the_end(many):
    ended = 0
    for text in many[0].reshape(-1, MAX_TOKENS).tolist():
        length = text.index(EOS_ID) + 1 if EOS_ID in text else MAX_TOKENS
        assert not set(text[:length]) & {PAD_ID, 2, 11}
        assert set(text[length:]) <= {PAD_ID}
        ended += length < MAX_TOKENS
    assert 0 < ended < 192  # both kinds were seen


def test_the_same_keys_draw_the_same_texts(draw, many):
    again = draw((0, 1, 2), range(64))
    np.testing.assert_array_equal(again[0], many[0])
    np.testing.assert_array_equal(again[1], many[1])


def test_another_seed_draws_other_texts(draw, many):
    other, _ = draw((0, 1, 2), range(64), seeds=(20, 21, 22))
    assert (other != many[0]).any(axis=(1, 2)).all()


def test_a_text_depends_neither_on_its_batch_nor_on_how_many_are_drawn(draw, many):
    tokens, logprobs = draw((2,), (0, 1))
    np.testing.assert_array_equal(tokens[0], many[0][2, :2])
    np.testing.assert_allclose(logprobs[0], many[1][2, :2], atol=1e-5)
    turned, _ = draw((1, 0, 2), range(64))
    np.testing.assert_array_equal(turned, many[0][[1, 0, 2]])


def test_top_k_1_is_greedy_and_greedy_needs_no_key(draw):
    greedy, scores = draw((0, 1, 2), range(64), temperature=0.0)
    by_top_k, top_k_scores = draw((0, 1, 2), range(64), temperature=0.7, top_k=1)
    np.testing.assert_array_equal(greedy, by_top_k)
    np.testing.assert_allclose(scores, top_k_scores, atol=1e-5)
    assert (greedy == greedy[:, :1]).all()


@pytest.fixture(scope="module")
def forward(t5):
    return jax.jit(lambda *feed: nnx.merge(*t5)(*feed))


def teacher_forced(forward, tokens):
    """Score every text [B K T] by one full pass, the banned tokens left out."""
    num_candidates = tokens.shape[1]
    flat = tokens.reshape(-1, MAX_TOKENS)
    inputs = np.repeat(INPUTS[: len(tokens)], num_candidates, axis=0)
    decoder_inputs = np.pad(flat, ((0, 0), (1, 0)))[:, :-1]
    feed = (inputs, (inputs > 0).astype(np.int32), decoder_inputs, np.ones_like(flat))
    logits = np.asarray(forward(*map(jnp.asarray, feed)), np.float64)
    logits = np.where(BANNED, -np.inf, logits)
    logp = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    chosen = np.take_along_axis(logp, flat[..., None], axis=-1)[..., 0]
    return np.where(flat != PAD_ID, chosen, 0).sum(axis=1).reshape(tokens.shape[:2])


def test_the_logprob_is_the_teacher_forced_score_of_the_text(forward, many):
    np.testing.assert_allclose(many[1], teacher_forced(forward, many[0]), atol=1e-4)


def test_the_logprob_of_a_sharpened_draw_is_still_that_of_the_model(forward, draw):
    tokens, logprobs = draw((0, 1, 2), range(64), temperature=0.5)
    np.testing.assert_allclose(logprobs, teacher_forced(forward, tokens), atol=1e-4)


def test_first_tokens_come_as_often_as_the_model_says(forward, draw):
    # of 3 * 64 first tokens, each row's share of its most likely one is within 3 standard errors
    tokens, _ = draw((0, 1, 2), range(64))
    greedy, _ = draw((0, 1, 2), range(64), temperature=0.0)
    first = np.eye(1, MAX_TOKENS, dtype=np.int32) * greedy  # the rest padded, which costs nothing
    share = np.exp(teacher_forced(forward, first)[:, 0])
    observed = (tokens[:, :, 0] == greedy[:, :1, 0]).mean(axis=1)
    assert (np.abs(observed - share) < 3 * np.sqrt(share * (1 - share) / 64)).all()
