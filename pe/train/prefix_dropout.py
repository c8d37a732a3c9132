"""Prefix dropout: a rising share of examples loses its control prefix (arXiv:2312.16720 sec. 4.3).

Done inside the train step and chosen by the step's key, so that it is exact on resume. A dropped
prefix is masked as padding; T5's positions are relative, so that equals the shorter input.
"""

import dataclasses

import jax
import jax.numpy as jnp

from pe.axes import Array, Float, Int, Key


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrefixDropoutConfig:
    """The share of examples without prefix, rising linearly from the first step to the last.

    The paper's curriculum is 0.4 to 1.0; at a constant 0.5 one model serves with and without.
    """

    start_rate: float = 0.5
    end_rate: float = 0.5

    def __post_init__(self) -> None:
        for name in ("start_rate", "end_rate"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(
                    f"PrefixDropoutConfig.{name}: got {getattr(self, name)}, expected 0 to 1"
                )


def dropout_rate(
    step: Int[Array, ""], config: PrefixDropoutConfig, *, num_steps: int
) -> Float[Array, ""]:
    """Return the share of examples that lose their prefix at a step (0 is the first)."""
    done = jnp.clip(step / max(1, num_steps - 1), 0.0, 1.0)
    return config.start_rate + (config.end_rate - config.start_rate) * done


def drop_prefixes(
    segments: Int[Array, "B L"],
    prefix_mask: Int[Array, "B L"],
    rate: Float[Array, ""],
    key: Key[Array, ""],
    *,
    max_segments: int,
) -> Int[Array, "B L"]:
    """Set the segment id of dropped prefix tokens to 0; each segment of a row is drawn by itself.

    Example (rate 1):
      segments     [[1, 1, 1, 2, 2, 0]]
      prefix_mask  [[1, 0, 0, 1, 0, 0]]
      returns      [[0, 1, 1, 0, 2, 0]]
    """
    draws = jax.random.uniform(key, (segments.shape[0], max_segments + 1))
    dropped = jnp.take_along_axis(draws < rate, segments, axis=1)  # [B L]
    return jnp.where(dropped & (prefix_mask == 1), 0, segments)
