"""What a run would take, before a device is touched: parameters, memory per device, FLOPs a step.

Shapes come from `jax.eval_shape`, the mesh may be of devices that are not there, and FLOPs are
XLA's count of the step as it is lowered, beside those that the model needs by its own formula.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from pe.data.pipeline import MAX_PAIRS_PER_ROW
from pe.models.partitioning import param_axes
from pe.train.config import TrainConfig
from pe.train.mesh import Layout, imagined_mesh
from pe.train.optimizer import make_optimizer
from pe.train.run import check_rows, model_flops
from pe.train.seq2seq import METRIC_NAMES, make_seq2seq_loss
from pe.train.start import draw_expander, param_type
from pe.train.step import init_state, make_train_step
from pe.train.trainable import split_names

GIB = 2.0**30


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSize:
    """Sizes of a run. Bytes are of one device; FLOPs of one step of all devices.

    `activation_bytes` is what autodiff keeps for the backward pass, before XLA fuses any of it and
    with the tensor axis left out of account. What XLA works with on top, such as the logits'
    gradient and a layer that is computed again, is not in it. `model_flops` are those that the
    model needs by its formula, nothing computed twice; None where there is no formula.
    """

    num_params: int
    num_trained: int
    num_devices: int
    param_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    ema_bytes: int
    activation_bytes: int
    step_flops: float
    model_flops: float | None

    @property
    def total_bytes(self) -> int:
        """All of it together."""
        parts = (self.param_bytes, self.gradient_bytes, self.optimizer_bytes, self.ema_bytes)
        return sum(parts) + self.activation_bytes


def measure_run_size(config: TrainConfig) -> RunSize:
    """Size a run up without making an array.

    Raises ValueError when rules, mesh, rows and network do not fit each other.
    """
    blueprint = draw_expander(config)
    trained, frozen = split_names(blueprint.leaves, config.trainable)
    shapes = {
        name: jax.ShapeDtypeStruct(shape, param_type(name, config, is_trained=name in trained))
        for name, shape in blueprint.shapes.items()
    }
    layout = Layout(imagined_mesh(config.mesh), config.mesh.axis_rules)
    check_rows(config, layout)
    shardings = layout.of_params(shapes, param_axes)
    optimizer = make_optimizer(config.optimizer, num_steps=config.loop.num_steps)
    params = {name: shapes[name] for name in trained}
    resting = {name: shapes[name] for name in frozen}
    has_ema = config.optimizer.ema_decay > 0.0
    state = jax.eval_shape(
        lambda params: init_state(params, optimizer, METRIC_NAMES, has_ema=has_ema), params
    )
    placed = layout.of_state(state, shapes, shardings)
    loss = make_seq2seq_loss(
        blueprint.bind,
        loss=config.loss,
        prefix_dropout=config.prefix_dropout,
        num_steps=config.loop.num_steps,
    )
    step = make_train_step(loss, optimizer, seed=0)  # of microbatches XLA would count one
    lowered = jax.jit(step).lower(state, resting, batch_shapes(config, config.data.batch_rows))
    counted = lowered.cost_analysis() or {}

    def residual_bytes(num_rows: int) -> int:
        def vjp(params: Any, resting: Any, batch: Any) -> Any:
            def loss_sum(params: Any) -> Any:
                key = jax.random.key(0)
                return loss({**resting, **params}, batch, jnp.int32(0), key).loss_sum

            return jax.vjp(loss_sum, params)[1]

        kept = jax.eval_shape(vjp, params, resting, batch_shapes(config, num_rows))
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))

    gradient_bytes = _device_bytes(params, {name: shardings[name] for name in trained})
    if config.loop.num_microbatches > 1:  # their sum, in float32
        gradient_bytes += sum(
            4 * math.prod(shardings[name].shard_shape(shapes[name].shape)) for name in trained
        )
    row_bytes = residual_bytes(2) - residual_bytes(
        1
    )  # what does not grow with rows is no activation
    rows = config.data.batch_rows / config.loop.num_microbatches / layout.num_row_shards
    return RunSize(
        num_params=sum(leaf.size for leaf in shapes.values()),
        num_trained=sum(leaf.size for leaf in params.values()),
        num_devices=math.prod(layout.mesh.shape.values()),
        param_bytes=_device_bytes(shapes, shardings),
        gradient_bytes=gradient_bytes,
        optimizer_bytes=_device_bytes(state.opt_state, placed.opt_state),
        ema_bytes=_device_bytes(state.ema, placed.ema),
        activation_bytes=int(row_bytes * max(1.0, rows)),
        step_flops=float(counted.get("flops", math.nan)),
        model_flops=model_flops(config, trained, frozen),
    )


def batch_shapes(config: TrainConfig, num_rows: int) -> Mapping[str, jax.ShapeDtypeStruct]:
    """Return the shapes of what the step reads of a batch."""
    lengths = {"inputs": config.data.lengths.inputs, "targets": config.data.lengths.targets}
    names = [f"{n}{end}" for n in lengths for end in ("", "_segment_ids", "_positions")]
    return {
        name: jax.ShapeDtypeStruct((num_rows, lengths[name.partition("_")[0]]), jnp.int32)
        for name in (*names, "inputs_prefix")
    }


def _device_bytes(shapes: Any, shardings: Any) -> int:
    sizes = jax.tree.map(
        lambda leaf, s: math.prod(s.shard_shape(leaf.shape)) * leaf.dtype.itemsize,
        shapes,
        shardings,
    )
    return sum(jax.tree.leaves(sizes))


def describe_run_size(config: TrainConfig) -> str:
    """Return the lines that `pe train --dry_run` prints."""
    size = measure_run_size(config)
    lengths, mesh = config.data.lengths, config.mesh
    data = 1 if mesh.data == -1 else mesh.data
    needed = size.model_flops
    positions = config.data.batch_rows * (lengths.inputs + lengths.targets)
    lines = [
        ("parameters", f"{size.num_params:,}"),
        ("trained", f"{size.num_trained:,}"),
        ("devices", f"{size.num_devices} (data {data}, fsdp {mesh.fsdp}, tensor {mesh.tensor})"),
        (
            "batch",
            f"{config.data.batch_rows} rows of {lengths.inputs} + {lengths.targets} positions, in "
            f"{config.loop.num_microbatches} microbatches; up to {MAX_PAIRS_PER_ROW} pairs a row",
        ),
        ("memory of a device", f"{size.total_bytes / GIB:.2f} GiB"),
        ("  parameters", f"{size.param_bytes / GIB:.2f} GiB"),
        ("  gradients", f"{size.gradient_bytes / GIB:.2f} GiB"),
        ("  optimizer", f"{size.optimizer_bytes / GIB:.2f} GiB"),
        ("  running means", f"{size.ema_bytes / GIB:.2f} GiB"),
        ("  activations", f"{size.activation_bytes / GIB:.2f} GiB (remat {config.model.remat})"),
        (
            "FLOPs of a step",
            f"{size.step_flops:.4g} ({size.step_flops / positions:.4g} a position)",
        ),
        ("  of the model", "no formula" if needed is None else f"{needed:.4g}"),
    ]
    return "\n".join(f"{name:<20}{value}" for name, value in lines)
