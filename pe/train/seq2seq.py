"""The loss of a T5 over a batch of pairs: where model, prefixes and token loss meet.

The loop and the step know only the function this makes.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pe.axes import Array, Float, Int, Key
from pe.data.pipeline import MAX_PAIRS_PER_ROW
from pe.models.t5 import T5
from pe.train.loss import LossConfig, token_nll, token_xent
from pe.train.prefix_dropout import (
    PrefixDropoutConfig,
    count_prefixes,
    drop_prefixes,
    dropout_rate,
)
from pe.train.step import LossOutput

Batch = dict[str, Int[Array, "B L"]]
Bind = Callable[[Any], T5]  # parameters, in whatever form, to the module
NLL = "nll"
METRIC_NAMES = (NLL, "z_loss", "padding_frac", "prefix_dropout_rate", "prefix_dropped_frac")


def shift_right(targets: Int[Array, "B L"], positions: Int[Array, "B L"]) -> Int[Array, "B L"]:
    """Return the decoder's inputs: each segment starts with 0 and is one token behind.

    Example:
      targets    [[5, 6, 1, 7, 1, 0]]
      positions  [[0, 1, 2, 0, 1, 0]]
      returns    [[0, 5, 6, 0, 7, 0]]
    """
    return jnp.where(positions == 0, 0, jnp.roll(targets, 1, axis=1))


def bind_state(graph: nnx.GraphDef) -> Bind:
    """Return what makes a T5 of its parameters as Flax holds them."""
    return lambda params: nnx.merge(graph, params)


def make_seq2seq_loss(
    bind: Bind,
    *,
    loss: LossConfig,
    prefix_dropout: PrefixDropoutConfig,
    num_steps: int,
) -> Callable[[Any, Batch, Int[Array, ""], Key[Array, ""]], LossOutput]:
    """Make the training loss: (params, batch, step, key) -> sums over the batch's tokens.

    The prefixes of a share of the segments are masked as padding first, drawn from the key.
    """

    def loss_fn(params: Any, batch: Batch, step: Array, key: Array) -> LossOutput:
        prefix_key, dropout_key = jax.random.split(key)
        rate = dropout_rate(step, prefix_dropout, num_steps=num_steps)
        given, prefix_mask = batch["inputs_segment_ids"], batch["inputs_prefix"]
        segments = drop_prefixes(
            given, prefix_mask, rate, prefix_key, max_segments=MAX_PAIRS_PER_ROW
        )
        target_segments = batch["targets_segment_ids"]
        logits = bind(params)(
            batch["inputs"],
            segments,
            shift_right(batch["targets"], batch["targets_positions"]),
            target_segments,
            key=dropout_key,
        )
        nll, z, count = token_xent(
            logits, batch["targets"], target_segments != 0, z_loss=loss.z_loss
        )
        num_positions = jnp.float32(target_segments.size)
        metrics = {
            NLL: (nll, count),
            "z_loss": (z, count),
            "padding_frac": (num_positions - count, num_positions),
            "prefix_dropout_rate": (rate * count, count),
            "prefix_dropped_frac": count_prefixes(given, prefix_mask, segments),
        }
        return LossOutput(loss_sum=nll + z, count=count, metrics=metrics)

    return loss_fn


def make_row_scorer(
    bind: Bind, *, place: Callable[[np.ndarray], Any] = jnp.asarray, **jit: Any
) -> Callable[[Any, dict[str, np.ndarray]], tuple[Float[Array, " B"], Float[Array, " B"]]]:
    """Make the evaluation: (params, unpacked batch) -> nats and tokens of every row.

    `place` puts an array of the batch on the devices; `jit` goes to jax.jit.
    """

    def score(params: Any, batch: Batch) -> tuple[Array, Array]:
        target_segments = batch["targets_segment_ids"]
        logits = bind(params)(
            batch["inputs"],
            batch["inputs_segment_ids"],
            shift_right(batch["targets"], batch["targets_positions"]),
            target_segments,
        )
        nll, _ = token_nll(logits, batch["targets"])
        mask = target_segments != 0
        return jnp.sum(nll, axis=1, where=mask), jnp.sum(mask, axis=1, dtype=jnp.float32)

    compiled = jax.jit(score, **jit)

    def run(params: Any, batch: dict[str, np.ndarray]) -> tuple[Array, Array]:
        read = {name: place(array) for name, array in pick_arrays(batch).items()}
        return compiled(params, read)

    return run


def pick_arrays(batch: dict[str, Any]) -> dict[str, Any]:
    """Return what the model reads of a batch; the rest stays on the host."""
    names = ("inputs", "inputs_prefix", "inputs_segment_ids")
    names += ("targets", "targets_segment_ids", "targets_positions")
    return {name: batch[name] for name in names}
