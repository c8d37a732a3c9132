"""One optimiser step. Knows no model: it is handed a loss over a batch."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from pe.axes import Array, Float, Int, Key

LossFn = Callable[[Any, Any, Int[Array, ""], Key[Array, ""]], "LossOutput"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LossOutput:
    """Sums over a batch; `loss_sum / count` is what is differentiated, `sums` is what is logged."""

    loss_sum: Float[Array, ""]
    count: Float[Array, ""]
    sums: dict[str, Float[Array, ""]]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a checkpoint holds of training: `step` [], `sums` gathered since the last log line.

    Restoring and sharding put other things than arrays in its places, so nothing here is typed.
    """

    step: Any
    params: Any
    opt_state: Any
    sums: dict[str, Any]


def make_train_step(
    loss_fn: LossFn, optimizer: optax.GradientTransformation, *, seed: int
) -> Callable[[TrainState, Any], tuple[TrainState, Float[Array, ""]]]:
    """Make the jitted step: (state, batch) -> (state, mean loss).

    Its randomness is drawn from (seed, step), so that resuming is exact.
    """

    def step(state: TrainState, batch: Any) -> tuple[TrainState, Array]:
        key = jax.random.fold_in(jax.random.key(seed), state.step)

        def mean_loss(params: Any) -> tuple[Array, LossOutput]:
            output = loss_fn(params, batch, state.step, key)
            return output.loss_sum / output.count, output

        grads, output = jax.grad(mean_loss, has_aux=True)(state.params)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        new = {**output.sums, "grad_norm": optax.tree.norm(grads), "num_steps": jnp.float32(1)}
        sums = {name: state.sums[name] + value for name, value in new.items()}
        params = optax.apply_updates(state.params, updates)
        loss = output.loss_sum / output.count
        return TrainState(state.step + 1, params, opt_state, sums), loss

    return jax.jit(step, donate_argnums=0)


def init_state(
    params: Any, optimizer: optax.GradientTransformation, sum_names: tuple[str, ...]
) -> TrainState:
    """Make the state before the first step."""
    names = (*sum_names, "grad_norm", "num_steps")
    return TrainState(
        step=jnp.int32(0),
        params=params,
        opt_state=optimizer.init(params),
        sums={name: jnp.zeros(()) for name in names},  # each its own: buffers are donated
    )


def clear_sums(state: TrainState) -> TrainState:
    """Return the state with nothing gathered."""
    return dataclasses.replace(state, sums=jax.tree.map(jnp.zeros_like, state.sums))
