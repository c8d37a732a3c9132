"""Captions of images by a CoCa: greedy, or by the beam search of open_clip 3.3, id for id.

That search is transformers' group search with three habits: it sums raw logits where others sum
log-probabilities, it divides by the length with start and end counted, and its groups do not
repel each other. So all groups of an image write the same, and one of them is enough: the default
(6 beams in 3 groups) costs 2 beams here. Kept too: padding (id 0) is a token like any other to a
beam, and ends a greedy caption.

An image's keys are computed once and the caches are never reordered: each beam knows its lineage,
which beam wrote each of its positions, and sees those slots only.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from pe.axes import Array, Bool, Float, Int
from pe.models.clip import PAD_ID
from pe.models.coca import CaptionCache, Coca, StackKeys, follows_token

METHODS = ("beam", "greedy")
BLOCK = 128
UNUSED = -1e9  # where the search starts all beams but the first, which would only repeat it


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaptionConfig:
    """How captions are chosen; the defaults are open_clip's.

    method           "beam", or "greedy": always the likeliest token
    max_tokens       with start and end; a greedy caption ends here, a beam's is cut
    min_tokens       tokens, start among them, before which the end may not come
    num_beams        of all groups together
    num_beam_groups  each searches alone, with num_beams / num_beam_groups beams
    """

    method: str = "beam"
    max_tokens: int = 30
    min_tokens: int = 5
    num_beams: int = 6
    num_beam_groups: int = 3

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method: got {self.method!r}, expected one of {METHODS}")
        if self.min_tokens < 0 or self.max_tokens < 2:
            raise ValueError(
                f"min_tokens and max_tokens: got {self.min_tokens} and {self.max_tokens}, expected "
                "0 or more and 2 or more"
            )
        if self.max_tokens <= self.min_tokens:
            raise ValueError(
                f"max_tokens: got {self.max_tokens}, expected more than min_tokens "
                f"({self.min_tokens})"
            )
        if self.num_beams < 2:
            raise ValueError(
                f"num_beams: got {self.num_beams}, expected 2 or more; for one, method greedy"
            )
        if self.num_beam_groups < 1 or self.num_beams % self.num_beam_groups:
            raise ValueError(
                f"num_beam_groups: got {self.num_beam_groups}, expected a divisor of num_beams "
                f"({self.num_beams})"
            )

    @property
    def num_searched(self) -> int:
        """Count the beams that are computed: those of one group."""
        return 1 if self.method == "greedy" else self.num_beams // self.num_beam_groups


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class GreedyState:
    """The captions of B images: `length` tokens so far."""

    length: Int[Array, ""]
    tokens: Int[Array, "B 1 L"]
    done: Bool[Array, " B"]
    cache: CaptionCache


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class BeamState:
    """The beams of B images: those alive, and those that ended, best first.

    lineage  for each position of a living beam, which beam wrote it
    """

    length: Int[Array, ""]
    tokens: Int[Array, "B K L"]
    lineage: Int[Array, "B K L"]
    scores: Float[Array, "B K"]
    cache: CaptionCache
    ended_tokens: Int[Array, "B K L"]
    ended_scores: Float[Array, "B K"]
    is_settled: Bool[Array, " B"]


@runtime_checkable
class Tokenizer(Protocol):
    """What turns ids into text."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        ...


def generate_captions(
    model: Coca, image_tokens: Float[Array, "B S D"], config: CaptionConfig
) -> Int[Array, "B L"]:
    """Write a caption for each image: ids from the start token to the end token, then padding (0).

    `image_tokens` are those of `visual.encode`; L is `config.max_tokens`. The end token has the
    vocabulary's highest id, the start token the one below. A row does not depend on its neighbours.
    Raises ValueError where max_tokens passes the model's context.
    """
    if config.max_tokens > model.context_tokens:
        raise ValueError(
            f"max_tokens: got {config.max_tokens}, expected at most {model.context_tokens}, the "
            "model's context"
        )
    image = model.text_decoder.project_image(image_tokens)
    search = _search_greedily if config.method == "greedy" else _search_beams
    return search(model, image, image_tokens.shape[0], config)


def caption_text(ids: Sequence[int] | np.ndarray, tokenizer: Tokenizer, *, end_id: int) -> str:
    """Return the text before the first end token, without start tokens and space around it.

    Where there is no end token (a beam that was cut, a greedy caption that padding ended), all is
    taken but the padding behind.

    Example (start 8, end 9; pieces 5 "a ", 6 "fox ", 0 "!"):
      [8, 5, 6, 9, 0, 0]  "a fox"
      [8, 5, 0, 6, 8, 6]  "a !fox fox"
      [8, 5, 6, 0, 0, 0]  "a fox"
    """
    kept = [int(i) for i in ids]
    if end_id in kept:
        kept = kept[: kept.index(end_id)]
    else:
        while kept and kept[-1] == PAD_ID:
            kept.pop()
    return tokenizer.decode([i for i in kept if i != end_id - 1]).strip()


def _search_greedily(
    model: Coca, image: StackKeys, num_images: int, config: CaptionConfig
) -> Int[Array, "B L"]:
    """Extend every caption by its likeliest token until all have ended."""
    end_id, last = model.text.end_id, config.max_tokens - 1
    lineage = jnp.zeros((num_images, 1, config.max_tokens), jnp.int32)

    def advance(state: GreedyState) -> GreedyState:
        logits, cache = _next_logits(
            model, image, state.tokens, lineage, state.length, state.cache, config
        )
        token = jnp.where(state.done[:, None], PAD_ID, jnp.argmax(logits, axis=-1))
        token = token.astype(jnp.int32)  # [B 1]
        return GreedyState(
            length=state.length + 1,
            tokens=_put(state.tokens, token, state.length),
            done=state.done | (token[:, 0] == end_id) | (token[:, 0] == PAD_ID),
            cache=cache,
        )

    state = jax.lax.while_loop(
        lambda state: (state.length < last) & ~jnp.all(state.done),
        advance,
        GreedyState(
            length=jnp.int32(1),
            tokens=_start_tokens(model, num_images, config),
            done=jnp.zeros((num_images,), bool),
            cache=model.new_cache(num_images, config.max_tokens),
        ),
    )
    # whatever the model says, the last token is the end
    return state.tokens[:, 0].at[:, last].set(jnp.where(state.done, PAD_ID, end_id))


def _search_beams(
    model: Coca, image: StackKeys, num_images: int, config: CaptionConfig
) -> Int[Array, "B L"]:
    """Search with one group's beams; return the best caption of each image."""
    num_beams, beams = config.num_searched, (num_images, config.num_searched)
    tokens = _start_tokens(model, num_images, config)
    state = jax.lax.while_loop(
        lambda state: (state.length < config.max_tokens) & ~jnp.all(state.is_settled),
        lambda state: _advance_beams(model, image, state, config),
        BeamState(
            length=jnp.int32(1),
            tokens=tokens,
            lineage=jnp.broadcast_to(jnp.arange(num_beams)[:, None], tokens.shape),
            scores=jnp.broadcast_to(jnp.where(jnp.arange(num_beams) == 0, 0.0, UNUSED), beams),
            cache=model.new_cache(num_images, config.max_tokens * num_beams),
            ended_tokens=jnp.full_like(tokens, PAD_ID),
            ended_scores=jnp.full(beams, -jnp.inf),
            is_settled=jnp.zeros((num_images,), bool),
        ),
    )
    # those cut at the limit count as ended, without an end token
    cut_scores = jnp.where(state.is_settled[:, None], -jnp.inf, state.scores / state.length)
    scores = jnp.concatenate([state.ended_scores, cut_scores], axis=1)
    tokens = jnp.concatenate([state.ended_tokens, state.tokens], axis=1)
    return _take(tokens, jnp.argmax(scores, axis=1)[:, None])[:, 0]


def _advance_beams(
    model: Coca, image: StackKeys, state: BeamState, config: CaptionConfig
) -> BeamState:
    """Extend every living beam by each token; keep the best that ended and the best that did not.

    An end among the K best of 2K continuations counts; an image is settled once K captions ended
    and the worst of them has no lower score than the best continuation now has.
    """
    num_beams = config.num_searched
    logits, cache = _next_logits(
        model, image, state.tokens, state.lineage, state.length, state.cache, config
    )
    scores, beam, token = best_continuations(logits + state.scores[..., None], 2 * num_beams)
    length = state.length + 1
    tokens = _put(_take(state.tokens, beam), token, state.length)  # [B 2K L]

    ends = token == model.text.end_id
    counts = ends & (jnp.arange(2 * num_beams) < num_beams) & ~state.is_settled[:, None]
    mean_scores = jnp.where(counts, scores / length, -jnp.inf)
    # where two are equal, that which came first stays
    ended_scores, order = jax.lax.top_k(
        jnp.concatenate([state.ended_scores, mean_scores], axis=1), num_beams
    )
    ended_tokens = _take(jnp.concatenate([state.ended_tokens, tokens], axis=1), order)
    is_settled = state.is_settled | (ended_scores[:, -1] >= scores[:, 0] / length)

    # at least K of 2K go on, since a beam can end only once; the first of them, best first
    order = jnp.argsort(ends, axis=1, stable=True)[:, :num_beams]
    lineage = _take(state.lineage, jnp.take_along_axis(beam, order, axis=1))
    own = jnp.broadcast_to(jnp.arange(num_beams), order.shape)
    return BeamState(
        length=length,
        tokens=_take(tokens, order),
        lineage=_put(lineage, own, state.length),
        scores=jnp.take_along_axis(scores, order, axis=1),
        cache=cache,
        ended_tokens=ended_tokens,
        ended_scores=ended_scores,
        is_settled=is_settled,
    )


def best_continuations(
    scores: Float[Array, "B K V"], count: int
) -> tuple[Float[Array, "B M"], Int[Array, "B M"], Int[Array, "B M"]]:
    """Return the `count` best scores of each image, best first, with their beams and tokens.

    Blocks are ranked by their best first: the best of all lie in as many blocks. For a top_k within
    a loop XLA on a CPU sorts all, 150 ms a step for 8 images with 2 beams (measured 2026-11-20).

    Example (2 beams, 3 tokens, the 3 best):
      scores   [[[1, 5, 2], [4, 0, 3]]]
      returns  [[5, 4, 3]], beams [[0, 1, 1]], tokens [[1, 0, 2]]
    """
    num_images, _, vocab_size = scores.shape
    flat = scores.reshape(num_images, -1)
    short = -flat.shape[1] % BLOCK
    blocks = jnp.pad(flat, ((0, 0), (0, short)), constant_values=-jnp.inf)
    blocks = blocks.reshape(num_images, -1, BLOCK)
    _, chosen = jax.lax.top_k(jnp.max(blocks, axis=2), min(count, blocks.shape[1]))
    chosen = jnp.sort(chosen, axis=1)  # of equal scores the first is taken
    candidates = jnp.take_along_axis(blocks, chosen[..., None], axis=1)
    best, place = jax.lax.top_k(candidates.reshape(num_images, -1), count)
    place = jnp.take_along_axis(chosen, place // BLOCK, axis=1) * BLOCK + place % BLOCK
    return best, place // vocab_size, place % vocab_size


def _next_logits(
    model: Coca,
    image: StackKeys,
    tokens: Int[Array, "B K L"],
    lineage: Int[Array, "B K L"],
    length: Int[Array, ""],
    cache: CaptionCache,
    config: CaptionConfig,
) -> tuple[Float[Array, "B K V"], CaptionCache]:
    """Return the logits after each beam's `length` tokens; its last is not in the cache yet."""
    position = length - 1
    last = jax.lax.dynamic_index_in_dim(tokens, position, axis=2, keepdims=False)
    mask = visible_slots(lineage, length)
    unmasked = jnp.repeat(follows_token(tokens), tokens.shape[1], axis=2)  # [B K L] -> [B K S]
    logits, cache = model.decode_step(
        last, position, cache, image, text_mask=mask & unmasked, decoder_mask=mask
    )
    is_early = (jnp.arange(logits.shape[2]) == model.text.end_id) & (length < config.min_tokens)
    return jnp.where(is_early, -jnp.inf, logits), cache


def visible_slots(lineage: Int[Array, "B K L"], length: Int[Array, ""]) -> Bool[Array, "B K LK"]:
    """Say which slots of the cache hold a beam's own `length` tokens (slot = position * K + beam).

    Example (2 beams, 3 positions, of which 2 are written; both come of beam 1):
      lineage  [[[1, 0, 0], [1, 1, 1]]]
      length   2
      returns  [[[0, 1,  1, 0,  0, 0], [0, 1,  0, 1,  0, 0]]]
    """
    num_beams, max_tokens = lineage.shape[1:]
    is_writer = lineage[..., None] == jnp.arange(num_beams)  # [B K L K]
    is_written = jnp.arange(max_tokens)[:, None] < length
    return (is_writer & is_written).reshape(*lineage.shape[:2], -1)


def _start_tokens(model: Coca, num_images: int, config: CaptionConfig) -> Int[Array, "B K L"]:
    tokens = jnp.full((num_images, config.num_searched, config.max_tokens), PAD_ID, jnp.int32)
    return tokens.at[:, :, 0].set(model.text.end_id - 1)


def _take(tokens: Int[Array, "B K L"], beams: Int[Array, "B M"]) -> Int[Array, "B M L"]:
    return jnp.take_along_axis(tokens, beams[..., None], axis=1)


def _put(
    tokens: Int[Array, "B K L"], new: Int[Array, "B K"], position: Int[Array, ""]
) -> Int[Array, "B K L"]:
    return jax.lax.dynamic_update_slice(tokens, new[..., None], (0, 0, position))
