"""From logits to a drawn token. Knows no model and no text."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from pe.axes import Array, Float, Int, Key
from pe.models.layers import NEGATIVE


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How tokens are drawn; the paper samples at temperature 1 (arXiv:2312.16720), 0 is greedy."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    max_tokens: int = 77

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < math.inf:
            raise ValueError(f"temperature: got {self.temperature}, expected 0 (greedy) or more")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k: got {self.top_k}, expected 1 or more")
        if self.top_p is not None and not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top_p: got {self.top_p}, expected 0 < top_p <= 1")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens: got {self.max_tokens}, expected 1 or more")


def keep_top_k(logits: Float[Array, "B V"], top_k: int) -> Float[Array, "B V"]:
    """Leave the `top_k` largest logits of a row (and what ties with the last) as they are.

    Example (top_k 2):
      logits   [[3, 1, 2, 0]]
      returns  [[3, -1e10, 2, -1e10]]
    """
    top_k = min(top_k, logits.shape[-1])
    smallest = jax.lax.top_k(logits, top_k)[0][:, -1:]
    return jnp.where(logits < smallest, NEGATIVE, logits)


def keep_top_p(logits: Float[Array, "B V"], top_p: Float[Array, ""]) -> Float[Array, "B V"]:
    """Leave the fewest most likely tokens whose probabilities reach `top_p` together.

    Example (top_p 0.75; probabilities 0.5, 0.1, 0.4):
      logits   [[log 5, log 1, log 4]]
      returns  [[log 5, -1e10, log 4]]
    """
    ordered = jnp.sort(logits, axis=-1, descending=True)
    probs = jax.nn.softmax(ordered, axis=-1)
    before = jnp.cumsum(probs, axis=-1) - probs  # what the more likely ones reach without this one
    num_kept = jnp.sum(before < top_p, axis=-1, keepdims=True)
    smallest = jnp.take_along_axis(ordered, num_kept - 1, axis=-1)
    return jnp.where(logits < smallest, NEGATIVE, logits)


def sample_tokens(
    logits: Float[Array, "B V"],
    keys: Key[Array, " B"],
    *,
    temperature: Float[Array, ""],
    top_k: int | None,
    top_p: Float[Array, ""] | None,
) -> Int[Array, " B"]:
    """Draw a token a row, each by its own key; temperature 0 takes the most likely."""
    warm = logits / jnp.maximum(temperature, 1e-6)
    if top_k is not None:
        warm = keep_top_k(warm, top_k)
    if top_p is not None:
        warm = keep_top_p(warm, top_p)
    drawn = jax.vmap(jax.random.categorical)(keys, warm)
    return jnp.where(temperature == 0.0, jnp.argmax(logits, axis=-1), drawn)
