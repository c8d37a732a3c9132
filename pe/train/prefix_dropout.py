"""Prefix dropout: a rising share of examples loses its control prefix (arXiv:2312.16720 sec. 4.3).

Done inside the train step and chosen by the step's key, so that it is exact on resume. A dropped
prefix is masked as padding; T5's positions are relative, so that equals the shorter input.
"""

import dataclasses

import jax
import jax.numpy as jnp

from pe.axes import Array, Bool, Float, Int, Key

SHAPES = ("linear", "cosine", "step")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrefixDropoutConfig:
    """The share of examples without prefix, from `start_rate` at the first step to `end_rate`.

    The paper's curriculum is 0.4 to 1.0 (its shape is not given); at a constant 0.5 one model
    serves with and without. The rate moves between `begin_frac` and `end_frac` of training, all of
    it by default: "linear"; "cosine", slow at both ends; "step", in `num_stairs` equal stairs, of
    which the first is at `start_rate` and the last at `end_rate`.
    """

    start_rate: float = 0.5
    end_rate: float = 0.5
    schedule: str = "linear"
    num_stairs: int = 4
    begin_frac: float = 0.0
    end_frac: float = 1.0

    def __post_init__(self) -> None:
        if self.schedule not in SHAPES:
            raise ValueError(
                f"PrefixDropoutConfig.schedule: got {self.schedule!r}, expected one of {SHAPES}"
            )
        if self.num_stairs < 2:
            raise ValueError(
                f"PrefixDropoutConfig.num_stairs: got {self.num_stairs}, expected 2 or more"
            )
        if not 0.0 <= self.begin_frac < self.end_frac <= 1.0:
            raise ValueError(
                f"PrefixDropoutConfig: begin_frac {self.begin_frac} and end_frac {self.end_frac}, "
                "expected 0 <= begin_frac < end_frac <= 1"
            )
        for name in ("start_rate", "end_rate"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(
                    f"PrefixDropoutConfig.{name}: got {getattr(self, name)}, expected 0 to 1"
                )


def dropout_rate(
    step: Int[Array, ""], config: PrefixDropoutConfig, *, num_steps: int
) -> Float[Array, ""]:
    """Return the share of examples that lose their prefix at a step (0 is the first)."""
    done = step / max(1, num_steps - 1)
    done = jnp.clip((done - config.begin_frac) / (config.end_frac - config.begin_frac), 0.0, 1.0)
    if config.schedule == "cosine":
        done = 0.5 - 0.5 * jnp.cos(jnp.pi * done)
    elif config.schedule == "step":
        last = config.num_stairs - 1
        done = jnp.minimum(jnp.floor(done * config.num_stairs), last) / last
    return jnp.float32(config.start_rate + (config.end_rate - config.start_rate) * done)


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


def count_prefixes(
    segments: Int[Array, "B L"], prefix_mask: Int[Array, "B L"], kept: Int[Array, "B L"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return how many segments lost their prefix, and how many had one.

    `kept` is what `drop_prefixes` left of `segments`.

    Example (the second of two was dropped):
      segments     [[1, 1, 1, 2, 2, 0]]
      prefix_mask  [[1, 1, 0, 1, 0, 0]]
      kept         [[1, 1, 1, 0, 2, 0]]
      returns      1, 2
    """
    before = jnp.pad(segments, ((0, 0), (1, 0)))[:, :-1]
    is_first: Bool[Array, "B L"] = (prefix_mask == 1) & (segments != before)
    return (
        jnp.sum(is_first & (kept == 0), dtype=jnp.float32),
        jnp.sum(is_first, dtype=jnp.float32),
    )
