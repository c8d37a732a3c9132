"""Beam search, for comparison with sampling: the paper finds that it costs diversity (2312.16720).

Two rules of the field, since their beams differ: T5X's and that of transformers.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from pe.axes import Array, Bool, Float, Int
from pe.data.tokenizer import EOS_ID, PAD_ID
from pe.decode.phrase_ban import PhraseBan, advance_ban, banned_tokens
from pe.models.layers import NEGATIVE
from pe.models.t5 import T5, DecoderCache, Encoding

RULES = ("t5x", "transformers")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeamConfig:
    """How many beams, by which rule, and how length counts.

    `t5x` divides a text's log-probability by ((5 + length) / 6)^length_penalty (arXiv:1609.08144
    sec. 7), keeps every text that ended, and stops when nothing alive can pass the worst of them.
    `transformers` divides by length^length_penalty, keeps only what ended among the best
    `num_beams` continuations, stops by the score that the living have now, and counts a text cut
    at `max_tokens` as one that ended.
    """

    num_beams: int = 4
    max_tokens: int = 77
    rule: str = "t5x"
    length_penalty: float = 0.6

    def __post_init__(self) -> None:
        for name in ("num_beams", "max_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected 1 or more")
        if self.rule not in RULES:
            raise ValueError(f"rule: got {self.rule!r}, expected one of {RULES}")

    def penalty(self, length: Int[Array, ""]) -> Float[Array, ""]:
        """Return what the log-probability of a text of so many tokens is divided by."""
        length = length.astype(jnp.float32)
        if self.rule == "t5x":
            length = (5.0 + length) / 6.0
        return length**self.length_penalty


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class BeamState:
    """The beams of B queries: those alive, and those that ended, best first."""

    position: Int[Array, ""]
    tokens: Int[Array, "B K T"]
    logprobs: Float[Array, "B K"]
    cache: DecoderCache
    ban_states: Int[Array, "B K"] | None
    ended_tokens: Int[Array, "B K T"]
    ended_scores: Float[Array, "B K"]
    is_settled: Bool[Array, " B"]


def make_beam_search(
    graph: nnx.GraphDef,
) -> Callable[..., tuple[Int[Array, "B K T"], Float[Array, "B K"]]]:
    """Make the jitted search: (params, inputs, segments, forbidden, ban, config=...) -> best first.

    Returns tokens [B K max_tokens], padded after the end token, and scores [B K]: log-probability
    (nats) over the length penalty. Where fewer than K texts ended, the best of those still alive
    come after them; a place scores -1e10 where there are not even so many.
    """

    @functools.partial(jax.jit, static_argnames=("config",))
    def search(
        params: nnx.State,
        inputs: Int[Array, "B S"],
        segments: Int[Array, "B S"],
        forbidden: Bool[Array, " V"],
        ban: PhraseBan | None = None,
        *,
        config: BeamConfig,
    ) -> tuple[Int[Array, "B K T"], Float[Array, "B K"]]:
        model = nnx.merge(graph, params)
        encoding = model.encode_for_decoding(inputs, segments)
        encoding = Encoding(
            keys=jnp.repeat(encoding.keys, config.num_beams, axis=1),
            values=jnp.repeat(encoding.values, config.num_beams, axis=1),
            mask=jnp.repeat(encoding.mask, config.num_beams, axis=0),
        )
        state = jax.lax.while_loop(
            lambda state: (state.position < config.max_tokens) & ~jnp.all(state.is_settled),
            lambda state: _advance(model, encoding, state, forbidden, ban, config),
            _start(model, inputs.shape[0], config, ban),
        )
        has_ended = state.ended_scores > NEGATIVE
        alive_scores = state.logprobs / config.penalty(state.position)
        alive_scores = jnp.where(_is_real(state.logprobs), alive_scores, NEGATIVE)
        place = jnp.cumsum(~has_ended, axis=1) - 1  # ended ones lie first
        place = jnp.maximum(place, 0)
        return (
            jnp.where(has_ended[..., None], state.ended_tokens, _take(state.tokens, place)),
            jnp.where(
                has_ended, state.ended_scores, jnp.take_along_axis(alive_scores, place, axis=1)
            ),
        )

    return search


def _start(model: T5, batch: int, config: BeamConfig, ban: PhraseBan | None) -> BeamState:
    """Begin with one beam that counts: the others are equal to it and would only repeat it."""
    beams = (batch, config.num_beams)
    first = jnp.arange(config.num_beams) == 0
    empty = jnp.full((*beams, config.max_tokens), PAD_ID, jnp.int32)
    return BeamState(
        position=jnp.int32(0),
        tokens=empty,
        logprobs=jnp.broadcast_to(jnp.where(first, 0.0, NEGATIVE), beams),
        cache=model.empty_cache(batch * config.num_beams, config.max_tokens),
        ban_states=None if ban is None else jnp.broadcast_to(ban.start, beams),
        ended_tokens=empty,
        ended_scores=jnp.full(beams, NEGATIVE),
        is_settled=jnp.zeros((batch,), bool),
    )


def _advance(
    model: T5,
    encoding: Encoding,
    state: BeamState,
    forbidden: Bool[Array, " V"],
    ban: PhraseBan | None,
    config: BeamConfig,
) -> BeamState:
    """Extend every living beam by each token; keep the best of what ended and of what did not."""
    batch, num_beams, _ = state.tokens.shape
    before = jnp.maximum(state.position - 1, 0)
    last = jax.lax.dynamic_index_in_dim(state.tokens, before, axis=2, keepdims=False)
    last = jnp.where(state.position == 0, PAD_ID, last)
    logits, cache = model.decode_step(last.reshape(-1), state.cache, state.position, encoding)
    logits = jnp.where(forbidden, NEGATIVE, logits)
    if ban is not None and state.ban_states is not None:
        hits = banned_tokens(ban, state.ban_states.reshape(-1), logits.shape[-1])
        logits = jnp.where(hits, NEGATIVE, logits)
    logp = jax.nn.log_softmax(logits).reshape(batch, num_beams, -1) + state.logprobs[..., None]
    vocab_size = logp.shape[-1]
    # twice as many as beams: half of them may end here
    best, flat = jax.lax.top_k(logp.reshape(batch, -1), 2 * num_beams)
    beam, token = flat // vocab_size, (flat % vocab_size).astype(jnp.int32)
    tokens = _take(state.tokens, beam)
    tokens = jax.lax.dynamic_update_slice(tokens, token[..., None], (0, 0, state.position))
    length = state.position + 1

    ends = token == EOS_ID
    counts = ends
    if config.rule == "transformers":
        ends = ends | (length == config.max_tokens)
        counts = ends & (jnp.arange(2 * num_beams) < num_beams)
    counts = counts & ~state.is_settled[:, None] & _is_real(best)
    scores = jnp.where(counts, best / config.penalty(length), NEGATIVE)
    ended_scores, order = jax.lax.top_k(
        jnp.concatenate([state.ended_scores, scores], axis=1), num_beams
    )
    ended_tokens = _take(jnp.concatenate([state.ended_tokens, tokens], axis=1), order)

    logprobs, order = jax.lax.top_k(jnp.where(ends, NEGATIVE, best), num_beams)
    parents = jnp.take_along_axis(beam, order, axis=1)
    rows = (jnp.arange(batch)[:, None] * num_beams + parents).reshape(-1)
    drawn = jnp.take_along_axis(token, order, axis=1)
    ban_states = None
    if ban is not None and state.ban_states is not None:
        parent_states = jnp.take_along_axis(state.ban_states, parents, axis=1).reshape(-1)
        ban_states = advance_ban(ban, parent_states, drawn.reshape(-1)).reshape(parents.shape)
    # T5X counts the start token into the longest text that could still come
    furthest = jnp.int32(config.max_tokens + 1) if config.rule == "t5x" else length
    is_full = ended_scores[:, -1] > NEGATIVE
    can_improve = logprobs[:, 0] / config.penalty(furthest) > ended_scores[:, -1]
    return BeamState(
        position=length,
        tokens=_take(tokens, order),
        logprobs=logprobs,
        cache=jax.tree.map(lambda array: array[rows], cache),
        ban_states=ban_states,
        ended_tokens=ended_tokens,
        ended_scores=ended_scores,
        is_settled=state.is_settled | (is_full & ~can_improve),
    )


def _is_real(logprobs: Float[Array, "B K"]) -> Bool[Array, "B K"]:
    """Tell texts from what only fills a place: they hold a forbidden token or repeat a beam."""
    return logprobs > NEGATIVE / 2


def _take(tokens: Int[Array, "B K T"], beams: Int[Array, "B N"]) -> Int[Array, "B N T"]:
    return jnp.take_along_axis(tokens, beams[..., None], axis=1)
