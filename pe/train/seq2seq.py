"""The loss of a T5 over a batch of pairs: where model, prefixes and token loss meet.

The loop and the step know only the function this makes.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from pe.axes import Array, Float, Int, Key
from pe.data.pipeline import MAX_PAIRS_PER_ROW
from pe.train.loss import LossConfig, token_nll, token_xent
from pe.train.prefix_dropout import PrefixDropoutConfig, drop_prefixes, dropout_rate
from pe.train.step import LossOutput

Batch = dict[str, Int[Array, "B L"]]
Params = nnx.State
SUM_NAMES = ("nll", "z_loss", "num_tokens", "num_positions", "prefix_dropout_rate")


def shift_right(targets: Int[Array, "B L"], positions: Int[Array, "B L"]) -> Int[Array, "B L"]:
    """Return the decoder's inputs: each segment starts with 0 and is one token behind.

    Example:
      targets    [[5, 6, 1, 7, 1, 0]]
      positions  [[0, 1, 2, 0, 1, 0]]
      returns    [[0, 5, 6, 0, 7, 0]]
    """
    return jnp.where(positions == 0, 0, jnp.roll(targets, 1, axis=1))


def make_seq2seq_loss(
    graph: nnx.GraphDef,
    *,
    loss: LossConfig,
    prefix_dropout: PrefixDropoutConfig,
    num_steps: int,
) -> Callable[[Params, Batch, Int[Array, ""], Key[Array, ""]], LossOutput]:
    """Make the training loss: (params, batch, step, key) -> sums over the batch's tokens."""

    def loss_fn(params: Params, batch: Batch, step: Array, key: Array) -> LossOutput:
        prefix_key, dropout_key = jax.random.split(key)
        rate = dropout_rate(step, prefix_dropout, num_steps=num_steps)
        segments = drop_prefixes(
            batch["inputs_segment_ids"],
            batch["inputs_prefix"],
            rate,
            prefix_key,
            max_segments=MAX_PAIRS_PER_ROW,
        )
        target_segments = batch["targets_segment_ids"]
        logits = nnx.merge(graph, params)(
            batch["inputs"],
            segments,
            shift_right(batch["targets"], batch["targets_positions"]),
            target_segments,
            key=dropout_key,
        )
        nll, z, count = token_xent(
            logits, batch["targets"], target_segments != 0, z_loss=loss.z_loss
        )
        sums = {
            "nll": nll,
            "z_loss": z,
            "num_tokens": count,
            "num_positions": jnp.float32(target_segments.size),
            "prefix_dropout_rate": rate * count,
        }
        return LossOutput(loss_sum=nll + z, count=count, sums=sums)

    return loss_fn


def make_row_scorer(
    graph: nnx.GraphDef,
) -> Callable[[Params, Batch], tuple[Float[Array, " B"], Float[Array, " B"]]]:
    """Make the evaluation: (params, unpacked batch) -> nats and tokens of every row."""

    @jax.jit
    def score(params: Params, batch: Batch) -> tuple[Array, Array]:
        target_segments = batch["targets_segment_ids"]
        logits = nnx.merge(graph, params)(
            batch["inputs"],
            batch["inputs_segment_ids"],
            shift_right(batch["targets"], batch["targets_positions"]),
            target_segments,
        )
        nll, _ = token_nll(logits, batch["targets"])
        mask = target_segments != 0
        return jnp.sum(nll, axis=1, where=mask), jnp.sum(mask, axis=1, dtype=jnp.float32)

    return score


def batch_to_device(batch: dict[str, Any]) -> Batch:
    """Leave what the model does not read on the host."""
    names = ("inputs", "inputs_prefix", "inputs_segment_ids")
    names += ("targets", "targets_segment_ids", "targets_positions")
    return {name: jnp.asarray(batch[name]) for name in names}
