"""Draw K texts of every row: the encoder runs once a row, the decoder keeps its keys and values.

What a sample draws depends on its own key alone, not on what else is in the batch. Knows tokens
only.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from pe.axes import Array, Bool, Float, Int, Key
from pe.data.tokenizer import EOS_ID, PAD_ID
from pe.decode.sampling import sample_tokens
from pe.models.layers import NEGATIVE

Generated = tuple[Int[Array, "B K T"], Float[Array, "B K"]]


def sample_keys(seeds: Int[Array, " B"], ks: Int[Array, " K"]) -> Key[Array, "B K"]:
    """Return the key of sample k of the request with a seed."""

    def one(seed: Array, k: Array) -> Array:
        return jax.random.fold_in(jax.random.key(seed), k)

    return jax.vmap(lambda seed: jax.vmap(lambda k: one(seed, k))(ks))(seeds)


def make_generator(graph: nnx.GraphDef) -> Callable[..., Generated]:
    """Make the jitted sampler of a model; see `generate` for what it takes."""

    @functools.partial(jax.jit, static_argnames=("max_tokens", "top_k"))
    def generate(
        params: nnx.State,
        inputs: Int[Array, "B L"],
        segments: Int[Array, "B L"],
        keys: Key[Array, "B K"],
        banned: Bool[Array, " V"],
        temperature: Float[Array, ""],
        top_p: Float[Array, ""] | None = None,
        *,
        top_k: int | None = None,
        max_tokens: int,
    ) -> Generated:
        """Return tokens [B K max_tokens], padded after the end token, and log-probabilities.

        The log-probability (nats) is that of the text under the model without its banned tokens, at
        temperature 1, whatever the sampling options: that is what two texts can be compared by.
        """
        model = nnx.merge(graph, params)
        batch, num_candidates = keys.shape
        flat_keys = keys.reshape(-1)
        cache = model.start_decoding(
            inputs, segments, num_candidates=num_candidates, max_tokens=max_tokens
        )
        num_rows = batch * num_candidates
        start = (
            jnp.int32(0),
            jnp.full((num_rows,), PAD_ID, jnp.int32),
            jnp.full((num_rows, max_tokens), PAD_ID, jnp.int32),
            jnp.zeros((num_rows,), jnp.float32),
            jnp.zeros((num_rows,), bool),
            cache,
        )

        def is_going(carry):  # noqa: ANN001, ANN202 (the tuple above)
            position, *_, done, _ = carry
            return (position < max_tokens) & ~jnp.all(done)

        def advance(carry):  # noqa: ANN001, ANN202
            position, last, tokens, logprob, done, cache = carry
            logits, cache = model.decode_step(last, cache, position, segments)
            logits = jnp.where(banned, NEGATIVE, logits)
            step_keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(flat_keys, position)
            drawn = sample_tokens(
                logits, step_keys, temperature=temperature, top_k=top_k, top_p=top_p
            )
            drawn = jnp.where(done, PAD_ID, drawn).astype(jnp.int32)
            chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), drawn[:, None], axis=1)[:, 0]
            logprob = logprob + jnp.where(done, 0.0, chosen)
            tokens = tokens.at[:, position].set(drawn)
            return position + 1, drawn, tokens, logprob, done | (drawn == EOS_ID), cache

        _, _, tokens, logprob, _, _ = jax.lax.while_loop(is_going, advance, start)
        shape = (batch, num_candidates)
        return tokens.reshape(*shape, max_tokens), logprob.reshape(shape)

    return generate
