"""The training loop. It knows no model and no data: both are handed to it, with the evaluators.

1. restore the newest checkpoint, if any
2. for each step: next batch -> train step
3. every log_every_steps:  means since the last line -> JSONL, TensorBoard, console; NaN stops
4. every eval_every_steps: each evaluator's metrics
5. every save_every_steps: checkpoint of state and data place
"""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax

from pe.train.checkpoints import Checkpoints
from pe.train.metrics import MetricWriter
from pe.train.step import TrainState, clear_sums

Evaluator = Callable[[Any], dict[str, float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long to train, and how often to log, evaluate and save (in steps)."""

    num_steps: int = 1000
    log_every_steps: int = 20
    eval_every_steps: int = 500
    num_eval_pairs: int = 512
    save_every_steps: int = 200
    keep_checkpoints: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        counts = ("log_every_steps", "eval_every_steps", "save_every_steps", "num_eval_pairs")
        for name in ("num_steps", *counts, "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise ValueError(f"LoopConfig.{name}: got {getattr(self, name)}, expected >= 1")


@runtime_checkable
class BatchIterator(Protocol):
    """Batches with a place that can be saved, as grain's iterators have."""

    def __next__(self) -> Any: ...
    def get_state(self) -> dict[str, Any]: ...
    def set_state(self, state: dict[str, Any], /) -> None: ...


@runtime_checkable
class Console(Protocol):
    """Is told of each line of metrics, and whether it is of training or of an evaluator."""

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None: ...


def train_loop(
    state: TrainState,
    train_step: Callable[[TrainState, Any], tuple[TrainState, jax.Array]],
    batches: BatchIterator,
    *,
    config: LoopConfig,
    checkpoints: Checkpoints,
    make_writer: Callable[[int], MetricWriter],
    evaluators: Mapping[str, Evaluator],
    to_device: Callable[[Any], Any],
    describe_batch: Callable[[Any], str],
    console: Console,
) -> TrainState:
    """Train to `config.num_steps` from the newest checkpoint, or from `state` where there is none.

    Raises FloatingPointError when the loss is not finite, naming the step and its examples.
    """
    latest = checkpoints.latest_step()
    if latest is not None:
        state, place = checkpoints.restore(latest, state)
        batches.set_state(place)
    writer = make_writer(latest or 0)
    watched: list[tuple[int, jax.Array, Any]] = []  # since the last log: step, loss, batch
    start = latest or 0
    logged, since = start, time.perf_counter()
    try:
        for step in range(start + 1, config.num_steps + 1):
            batch = next(batches)
            state, loss = train_step(state, to_device(batch))
            watched.append((step, loss, batch))
            is_last = step == config.num_steps
            if is_last or step % config.log_every_steps == 0:
                check_finite(watched, describe_batch)
                watched.clear()
                secs = (time.perf_counter() - since) / (step - logged)
                metrics = mean_metrics(state, secs_per_step=secs)
                state = clear_sums(state)
                writer.write(step, metrics)
                console(step, metrics)
                logged, since = step, time.perf_counter()
            if is_last or step % config.eval_every_steps == 0:
                for name, evaluate in evaluators.items():
                    values = {f"{name}/{k}": v for k, v in evaluate(state.params).items()}
                    writer.write(step, values)
                    console(step, values)
            if is_last or step % config.save_every_steps == 0:
                check_finite(watched, describe_batch)  # no checkpoint of a broken model
                writer.flush()
                checkpoints.save(step, state, batches.get_state())
    finally:
        writer.close()
        checkpoints.close()
    return state


def mean_metrics(state: TrainState, *, secs_per_step: float) -> dict[str, float]:
    """Divide the sums gathered since the last line: per token, per position or per step."""
    sums = {name: float(value) for name, value in jax.device_get(state.sums).items()}
    num_steps, num_tokens = sums.pop("num_steps"), sums.pop("num_tokens")
    num_positions, grad_norm = sums.pop("num_positions"), sums.pop("grad_norm")
    return {
        **{name: value / num_tokens for name, value in sums.items()},
        "grad_norm": grad_norm / num_steps,
        "padding_frac": 1.0 - num_tokens / num_positions,
        "tokens_per_sec": num_tokens / num_steps / secs_per_step,
    }


def check_finite(
    watched: list[tuple[int, jax.Array, Any]], describe_batch: Callable[[Any], str]
) -> None:
    """Raise FloatingPointError at the first step whose loss is not finite."""
    for step, loss, batch in watched:
        if not math.isfinite(float(loss)):
            raise FloatingPointError(
                f"loss is {float(loss)} at step {step}, of {describe_batch(batch)}; "
                "lower OptimizerConfig.learning_rate, or look at these pairs with pe show"
            )
