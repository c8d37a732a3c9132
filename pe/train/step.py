"""One optimiser step. Knows no model: it is handed a loss over a batch.

Parameters are {name: array}; those that are trained are in the state, the frozen ones beside it, so
that no gradient, moment or copy of a frozen one is ever made.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax

from pe.axes import Array, Float, Int, Key
from pe.models.partitioning import use_mesh
from pe.train.mesh import Layout

Params = Mapping[str, Any]
LossFn = Callable[[dict[str, Any], Any, Int[Array, ""], Key[Array, ""]], "LossOutput"]
LOSS, GRAD_NORM, COUNT = "loss", "grad_norm", "count"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LossOutput:
    """Sums over a batch; `loss_sum / count` is what is differentiated.

    `metrics` are what is logged: pairs of a sum and of what it is to be divided by, {name: (sum,
    count)}. All are float32 []; JAX puts shapes in their places, so nothing here is typed.
    """

    loss_sum: Any
    count: Any
    metrics: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a checkpoint holds of training.

    `step` [], `params` the trained ones, `ema` their running means ({} where none are kept), `sums`
    of the metrics since the last log line. Restoring and sharding put other things than arrays in
    its places, so nothing here is typed.
    """

    step: Any
    params: Any
    opt_state: Any
    ema: Any
    sums: Any


def make_train_step(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    *,
    seed: int,
    num_microbatches: int = 1,
    ema_decay: float = 0.0,
    layout: Layout | None = None,
) -> Callable[[TrainState, Params, Any], tuple[TrainState, dict[str, Float[Array, ""]]]]:
    """Make the step, not yet compiled: (state, frozen parameters, batch) -> (state, what to watch).

    To be watched are the mean `loss` and the `grad_norm`: both have to stay finite.

    Its randomness is drawn from (seed, step), so that resuming is exact. With several microbatches
    the batch's rows are dealt to them and their gradients summed, in float32, before the one
    division by the count of all.
    """

    def loss_and_grads(
        params: Params, frozen: Params, batch: Any, step: Array, key: Array
    ) -> tuple[dict[str, Any], LossOutput]:
        def loss_sum(params: Params) -> tuple[Array, LossOutput]:
            output = loss_fn({**frozen, **params}, batch, step, key)
            return output.loss_sum, output

        return jax.grad(loss_sum, has_aux=True)(params)

    def accumulate(
        params: Params, frozen: Params, batch: Any, step: Array, key: Array
    ) -> tuple[dict[str, Any], LossOutput]:
        # row r goes to microbatch r % num_microbatches, so that each has rows of all devices
        parts = jax.tree.map(
            lambda x: x.reshape(-1, num_microbatches, *x.shape[1:]).swapaxes(0, 1), batch
        )

        def add(total: Any, part: tuple[Any, Array]) -> tuple[Any, None]:
            micro, number = part
            grads = loss_and_grads(params, frozen, micro, step, jax.random.fold_in(key, number))
            return jax.tree.map(lambda a, b: a + b.astype(a.dtype), total, grads), None

        first = jax.tree.map(lambda x: x[0], parts)
        shapes = jax.eval_shape(loss_and_grads, params, frozen, first, step, key)
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, jnp.float32), shapes)
        total, _ = jax.lax.scan(add, zeros, (parts, jnp.arange(num_microbatches)))
        return total

    def step(state: TrainState, frozen: Params, batch: Any) -> tuple[TrainState, dict[str, Any]]:
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        run = loss_and_grads if num_microbatches == 1 else accumulate
        grads, output = run(state.params, frozen, batch, state.step, key)
        count = jnp.maximum(output.count, 1.0)
        grads = jax.tree.map(lambda g, p: (g / count).astype(p.dtype), grads, dict(state.params))
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = cast(dict[str, Any], optax.apply_updates(state.params, updates))
        decay = ema_decay_at(state.step, ema_decay)
        ema = {
            name: decay * mean + (1.0 - decay) * params[name] for name, mean in state.ema.items()
        }
        one, grad_norm = jnp.float32(1), optax.tree.norm(grads)
        new = {
            **output.metrics,
            GRAD_NORM: (grad_norm, one),
            COUNT: (output.count, one),
        }
        sums = {name: _add(state.sums[name], value) for name, value in new.items()}
        watched = {LOSS: output.loss_sum / count, GRAD_NORM: grad_norm}
        return TrainState(state.step + 1, params, opt_state, ema, sums), watched

    def on_mesh(state: TrainState, frozen: Params, batch: Any) -> tuple[TrainState, dict[str, Any]]:
        if layout is None:
            return step(state, frozen, batch)
        with use_mesh(layout.mesh, layout.rules):
            return step(state, frozen, batch)

    return on_mesh


def ema_decay_at(step: Int[Array, ""], decay: float) -> Float[Array, ""]:
    """Return the decay of the running means at a step (0 is the first), `decay` in the long run.

    Less at first, (1 + step) / (10 + step), so that random first parameters are soon forgotten.
    """
    return jnp.minimum(decay, (1.0 + step) / (10.0 + step))


def _add(total: tuple[Array, Array], more: tuple[Array, Array]) -> tuple[Array, Array]:
    return total[0] + more[0], total[1] + more[1]


def init_state(
    params: Params,
    optimizer: optax.GradientTransformation,
    metric_names: tuple[str, ...],
    *,
    has_ema: bool = False,
) -> TrainState:
    """Make the state before the first step, of the parameters to be trained."""
    names = (*metric_names, GRAD_NORM, COUNT)
    return TrainState(
        step=jnp.int32(0),
        params=dict(params),
        opt_state=optimizer.init(params),
        ema={name: jnp.array(p, jnp.float32, copy=True) for name, p in params.items()}
        if has_ema
        else {},
        sums={name: (jnp.zeros(()), jnp.zeros(())) for name in names},  # buffers are donated
    )


def clear_sums(state: TrainState) -> TrainState:
    """Return the state with nothing gathered."""
    return dataclasses.replace(state, sums=jax.tree.map(jnp.zeros_like, state.sums))
