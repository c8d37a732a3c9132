"""From logits to a drawn token. Knows no model and no text.

Thresholds are found by bisecting the bits of the values, not by sorting the vocabulary, and a token
is drawn with one uniform number a row, not one a token: both cost a fraction on wide vocabularies.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from pe.axes import Array, Bool, Float, Int, Key
from pe.models.layers import NEGATIVE, on_rows

CDF_BLOCK = 128
SMALL_SUM = 4096  # XLA sums fewer elements than this in another order, see `on_rows`


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How a text is drawn; the paper samples at temperature 1 (arXiv:2312.16720), 0 is greedy.

    `top_k`, `top_p` and `min_p` leave out unlikely tokens, in this order, after the temperature.
    `repetition_penalty` divides the positive and multiplies the negative logits of tokens that the
    text already holds (arXiv:1909.05858). `ban` lists phrases that no text may hold, see
    `pe.decode.phrase_ban`. `max_tokens` counts in the model's own tokens.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    ban: tuple[str, ...] = ()
    max_tokens: int = 77

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < math.inf:
            raise ValueError(f"temperature: got {self.temperature}, expected 0 (greedy) or more")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k: got {self.top_k}, expected 1 or more")
        if self.top_p is not None and not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top_p: got {self.top_p}, expected 0 < top_p <= 1")
        if self.min_p is not None and not 0.0 < self.min_p <= 1.0:
            raise ValueError(f"min_p: got {self.min_p}, expected 0 < min_p <= 1")
        if self.repetition_penalty is not None and not 0.0 < self.repetition_penalty < math.inf:
            raise ValueError(
                f"repetition_penalty: got {self.repetition_penalty}, expected more than 0 (1: off)"
            )
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens: got {self.max_tokens}, expected 1 or more")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplingArrays:
    """A SamplingConfig's numbers as arrays, so that other numbers compile nothing anew.

    No temperature is greedy.
    """

    temperature: Float[Array, ""] | None
    top_k: Int[Array, ""] | None
    top_p: Float[Array, ""] | None
    min_p: Float[Array, ""] | None
    repetition_penalty: Float[Array, ""] | None


def to_arrays(config: SamplingConfig) -> SamplingArrays:
    """Return the numbers of a config; options that are off stay None."""

    def array(value: float | None) -> Array | None:
        return None if value is None else jnp.asarray(value, jnp.float32)

    return SamplingArrays(
        temperature=array(config.temperature or None),
        top_k=None if config.top_k is None else jnp.int32(min(config.top_k, 2**31 - 1)),
        top_p=array(config.top_p),
        min_p=array(config.min_p),
        repetition_penalty=array(config.repetition_penalty),
    )


def _ordered_bits(x: Float[Array, "B V"]) -> Array:
    """Map float32 to uint32 so that the order stays, and equal numbers stay equal."""
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32)
    bits = jnp.where(x == 0.0, jnp.uint32(0), bits)  # -0.0 has other bits than 0.0
    return jnp.where(bits >> 31 == 1, ~bits, bits | jnp.uint32(1 << 31))


def _keep_heaviest(
    logits: Float[Array, "B V"], weights: Float[Array, "#B #V"], goal: Float[Array, "#B 1"]
) -> Float[Array, "B V"]:
    """Keep the fewest largest logits whose weights sum up to `goal`, and what ties with the last.

    The threshold is found bit by bit: 32 passes, each a compare and a sum.
    """
    ordered = _ordered_bits(logits)

    def try_bit(i: Array, threshold: Array) -> Array:
        candidate = threshold | (jnp.uint32(1) << (31 - i).astype(jnp.uint32))
        total = jnp.sum(jnp.where(ordered >= candidate, weights, 0.0), axis=-1, keepdims=True)
        return jnp.where(total >= goal, candidate, threshold)

    start = jnp.zeros((logits.shape[0], 1), jnp.uint32)
    threshold = jax.lax.fori_loop(0, 32, try_bit, start)
    return jnp.where(ordered < threshold, NEGATIVE, logits)


def keep_top_k(logits: Float[Array, "B V"], top_k: Int[Array, ""]) -> Float[Array, "B V"]:
    """Leave the `top_k` largest logits of a row (and what ties with the last) as they are.

    Example (top_k 2):
      logits   [[3, 1, 2, 0]]
      returns  [[3, -1e10, 2, -1e10]]
    """
    goal = jnp.minimum(top_k, logits.shape[-1]).astype(jnp.float32)
    return _keep_heaviest(logits, jnp.ones((1, 1)), goal[None, None])


def keep_top_p(logits: Float[Array, "B V"], top_p: Float[Array, ""]) -> Float[Array, "B V"]:
    """Leave the fewest most likely tokens whose probabilities reach `top_p` together.

    Example (top_p 0.75; probabilities 0.5, 0.1, 0.4):
      logits   [[log 5, log 1, log 4]]
      returns  [[log 5, -1e10, log 4]]
    """
    weights = jnp.exp(logits - jnp.max(logits, axis=-1, keepdims=True))
    return _keep_heaviest(logits, weights, top_p * jnp.sum(weights, axis=-1, keepdims=True))


def keep_min_p(logits: Float[Array, "B V"], min_p: Float[Array, ""]) -> Float[Array, "B V"]:
    """Leave the tokens at least `min_p` times as likely as the likeliest (arXiv:2407.01082).

    Example (min_p 0.5; probabilities 0.5, 0.1, 0.4):
      logits   [[log 5, log 1, log 4]]
      returns  [[log 5, -1e10, log 4]]
    """
    smallest = jnp.max(logits, axis=-1, keepdims=True) + jnp.log(min_p)
    return jnp.where(logits < smallest, NEGATIVE, logits)


def penalize_repetition(
    logits: Float[Array, "B V"], seen: Bool[Array, "B V"], penalty: Float[Array, ""]
) -> Float[Array, "B V"]:
    """Make tokens that a text already holds less likely (arXiv:1909.05858 sec. 4.1).

    Example (penalty 2, the first two seen):
      logits   [[3, -1, 2]]
      returns  [[1.5, -2, 2]]
    """
    return jnp.where(seen, jnp.where(logits > 0, logits / penalty, logits * penalty), logits)


def draw_tokens(
    logits: Float[Array, "B V"], uniforms: Float[Array, " B"], *, min_rows: int = 0
) -> Int[Array, " B"]:
    """Draw a token a row by its softmax, where a uniform number of [0, 1) falls on its running sum.

    The sum runs over blocks first and then inside one, so it is short; a token of no probability is
    never drawn, whatever the rounding.
    """
    width = -(-logits.shape[-1] // CDF_BLOCK) * CDF_BLOCK

    def weigh(x: Float[Array, "B V"]) -> Float[Array, "B blocks width"]:
        weights = jnp.exp(x - jnp.max(x, axis=-1, keepdims=True))
        weights = jnp.where(x <= NEGATIVE, 0.0, weights)
        weights = jnp.pad(weights, ((0, 0), (0, width - x.shape[-1])))
        return weights.reshape(x.shape[0], -1, CDF_BLOCK)

    def run_up(x: Float[Array, "B V"]) -> Float[Array, "B V"]:
        return on_rows(lambda x: jnp.cumsum(x, axis=-1), x, min_rows)

    wide = wide_rows(logits, min_rows)
    blocks = on_rows(weigh, logits, wide)
    sums = on_rows(lambda x: jnp.sum(x, axis=-1), blocks, wide)
    running = run_up(sums)
    goal = uniforms[:, None] * running[:, -1:]
    block = _first_above(running, goal, sums)
    before = jnp.take_along_axis(running - sums, block, axis=-1)
    inside = jnp.take_along_axis(blocks, block[..., None], axis=1)[:, 0]
    rest = jnp.maximum(goal - before, 0.0)  # rounding may leave less than nothing
    place = _first_above(run_up(inside), rest, inside)
    return (block * CDF_BLOCK + place)[:, 0].astype(jnp.int32)


def _first_above(
    running: Float[Array, "B V"], goal: Float[Array, "B 1"], weights: Float[Array, "B V"]
) -> Int[Array, "B 1"]:
    """Return the first place whose running sum passes the goal, or the last that has any weight.

    A running sum is rounded, and not always upwards: the place is the next one with any weight.
    """
    positions = jnp.arange(weights.shape[-1])
    has_weight = weights > 0
    last = jnp.max(jnp.where(has_weight, positions, 0), axis=-1, keepdims=True)
    start = jnp.sum(running <= goal, axis=-1, keepdims=True)
    after = jnp.where(has_weight & (positions >= start), positions, positions.size)
    return jnp.minimum(jnp.min(after, axis=-1, keepdims=True), last)


def most_likely(logits: Float[Array, "B V"]) -> Int[Array, " B"]:
    """Return the first largest place of a row; XLA's argmax takes six times as long on a CPU."""
    is_largest = logits == jnp.max(logits, axis=-1, keepdims=True)
    places = jnp.where(is_largest, jnp.arange(logits.shape[-1]), logits.shape[-1])
    return jnp.min(places, axis=-1).astype(jnp.int32)


def sample_tokens(
    logits: Float[Array, "B V"],
    keys: Key[Array, " B"],
    options: SamplingArrays,
    *,
    min_rows: int = 0,
) -> Int[Array, " B"]:
    """Draw a token a row, each by its own key; without a temperature, take the most likely.

    `min_rows`: see `pe.models.layers.on_rows`; what a row draws then depends on no other row.
    """
    if options.temperature is None:
        return most_likely(logits)
    temperature = jnp.maximum(options.temperature, 1e-6)

    def warm_up(x: Float[Array, "B V"]) -> Float[Array, "B V"]:
        # less the largest first: so that a forbidden token stays one at any temperature
        warm = (x - jnp.max(x, axis=-1, keepdims=True)) / temperature
        warm = jnp.where(x <= NEGATIVE, NEGATIVE, warm)
        if options.top_k is not None:
            warm = keep_top_k(warm, options.top_k)
        if options.top_p is not None:
            warm = keep_top_p(warm, options.top_p)
        if options.min_p is not None:
            warm = keep_min_p(warm, options.min_p)
        return warm

    warm = on_rows(warm_up, logits, wide_rows(logits, min_rows))
    return draw_tokens(warm, jax.vmap(jax.random.uniform)(keys), min_rows=min_rows)


def wide_rows(logits: Float[Array, "B V"], min_rows: int) -> int:
    """Return `min_rows` where the vocabulary is so small that sums over it need them, else 0."""
    return min_rows if logits.shape[-1] < SMALL_SUM else 0
