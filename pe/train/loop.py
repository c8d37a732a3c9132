"""The training loop. It knows no model and no data: both are handed to it, with the evaluators.

1. lay out the parameters on the mesh, the trained ones in the state, the frozen ones beside it
2. restore the newest checkpoint, if any
3. for each step: next batch -> train step
4. every log_every_steps:  means since the last line -> JSONL, TensorBoard, console; NaN stops
5. every eval_every_steps: each evaluator's metrics; the best parameters so far; early stopping
6. every save_every_steps, and when told to stop: checkpoint of state and place
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import optax
from jax.experimental import multihost_utils

from pe.models.partitioning import Axes
from pe.train.checkpoints import Checkpoints
from pe.train.hardware import flops_utilisation
from pe.train.mesh import Layout
from pe.train.metrics import MetricWriter
from pe.train.step import COUNT, LossFn, TrainState, clear_sums, init_state, make_train_step
from pe.train.trainable import TrainableConfig, split_names

LATEST, BEST = "checkpoints", "best"  # folders of a run
Watched = list[tuple[int, Mapping[str, jax.Array], Any]]  # step, loss and gradient norm, batch


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """What is measured of the parameters as training goes on: (parameters, step) -> metrics.

    `metrics` names what `run` gives, so that a name nothing gives is told before the first step.
    """

    metrics: tuple[str, ...]
    run: Callable[[dict[str, Any], int], dict[str, float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long to train, and how often to log, evaluate and save (in steps).

    `best_metric` names what an evaluator gives, such as "validation/query": the parameters with its
    lowest value are kept apart, and are what a run is loaded from; "" keeps none. With
    `stop_after_evals` training ends when so many evaluations in a row were no better.
    """

    num_steps: int = 1000
    num_microbatches: int = 1
    log_every_steps: int = 20
    eval_every_steps: int = 500
    num_eval_pairs: int = 512
    save_every_steps: int = 200
    keep_checkpoints: int = 2
    best_metric: str = ""
    stop_after_evals: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        counts = ("log_every_steps", "eval_every_steps", "save_every_steps", "num_eval_pairs")
        for name in ("num_steps", "num_microbatches", *counts, "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise ValueError(f"LoopConfig.{name}: got {getattr(self, name)}, expected >= 1")
        if self.stop_after_evals is not None:
            if self.stop_after_evals < 1:
                raise ValueError(
                    f"LoopConfig.stop_after_evals: got {self.stop_after_evals}, expected 1 or "
                    "more, or None"
                )
            if not self.best_metric:
                raise ValueError(
                    "LoopConfig.stop_after_evals needs LoopConfig.best_metric: say what is to get "
                    "better"
                )


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainTask:
    """What the loop has to know of whatever is trained.

    `shapes` name all parameters; `load` gives some of them, placed as the shardings say; `axes`
    their logical axes by name and number of dimensions. `step_flops` are those of one step of all
    devices and `peak_flops` what one device could do, where both are known.
    """

    loss: LossFn
    metric_names: tuple[str, ...]
    shapes: Mapping[str, jax.ShapeDtypeStruct]
    load: Callable[[Collection[str], Mapping[str, Any]], dict[str, jax.Array]]
    axes: Callable[[str, int], Axes]
    rules: TrainableConfig
    optimizer: optax.GradientTransformation
    schedule: Callable[[int], Any]
    ema_decay: float = 0.0
    step_flops: float | None = None
    peak_flops: float | None = None


@dataclasses.dataclass
class Best:
    """The best value of the metric so far, its step, and how many evaluations came after it."""

    value: float | None = None
    step: int = 0
    num_evals_since: int = 0


class Trainer:
    """A task on a mesh: its compiled step, and its state at the start or as saved."""

    def __init__(self, task: TrainTask, config: LoopConfig, layout: Layout):
        self.task = task
        self.layout = layout
        self.trained, self.frozen_names = split_names(task.shapes, task.rules)
        self.shardings = layout.of_params(task.shapes, task.axes)
        self.has_ema = task.ema_decay > 0.0
        shapes = {name: task.shapes[name] for name in self.trained}
        self.abstract = jax.eval_shape(self._init, shapes)
        self.state_shardings = layout.of_state(self.abstract, task.shapes, self.shardings)
        step = make_train_step(
            task.loss,
            task.optimizer,
            seed=config.seed,
            num_microbatches=config.num_microbatches,
            ema_decay=task.ema_decay,
            layout=layout,
        )
        out = (self.state_shardings, layout.whole)
        self.step = jax.jit(step, donate_argnums=0, out_shardings=out)
        self.clear_sums = jax.jit(clear_sums, donate_argnums=0, out_shardings=self.state_shardings)

    def _init(self, params: dict[str, Any]) -> TrainState:
        task = self.task
        return init_state(params, task.optimizer, task.metric_names, has_ema=self.has_ema)

    def load(self, names: Collection[str]) -> dict[str, jax.Array]:
        """Make the named parameters as they are before training."""
        return self.task.load(names, {name: self.shardings[name] for name in names})

    def first_state(self) -> TrainState:
        """Make the state before the first step."""
        init = jax.jit(self._init, out_shardings=self.state_shardings)
        return init(self.load(self.trained))

    def restore(self, checkpoints: Checkpoints, step: int) -> tuple[TrainState, dict[str, Any]]:
        """Read a checkpoint onto this mesh, whatever mesh it was saved from."""
        like = jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            self.abstract,
            self.state_shardings,
        )
        return checkpoints.restore(step, like)

    def served(self, state: TrainState) -> dict[str, Any]:
        """Return the trained parameters as they are evaluated: their means, where there are."""
        return state.ema if self.has_ema else state.params


def train_loop(
    task: TrainTask,
    batches: BatchIterator,
    out: Path,
    *,
    config: LoopConfig,
    layout: Layout,
    make_writer: Callable[[int], MetricWriter | None],
    evaluators: Mapping[str, Evaluator],
    place: Callable[[Any], Any],
    describe_batch: Callable[[Any], str],
    console: Console,
    should_stop: Callable[[bool], bool] = lambda is_log_step: False,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[TrainState, str]:
    """Train to `config.num_steps` from the newest checkpoint in `out`, or from the start.

    `should_stop` is asked after every step, and told whether that step writes a line. Returns the
    state and why it ended: "done", "stopped" (after a save) or "early" (no better for
    `stop_after_evals`). Raises FloatingPointError when a loss or gradient is not finite, naming the
    step and its examples, and ValueError where no evaluator gives `config.best_metric`.
    """
    check_best_metric(config, evaluators)
    trainer = Trainer(task, config, layout)
    checkpoints = Checkpoints(out / LATEST, keep=config.keep_checkpoints)
    best_kept = Checkpoints(out / BEST, keep=1) if config.best_metric else None
    frozen = trainer.load(trainer.frozen_names)
    start, best = checkpoints.latest_step() or 0, Best()
    say(f"going on from step {start:,}" if start else "starting at step 0")
    if start:
        state, place_in_data = trainer.restore(checkpoints, start)
        best = Best(**place_in_data["best"])
        batches.set_state(own_place(place_in_data["data"]))
    else:
        state = trainer.first_state()
    writer = make_writer(start)
    watched: Watched = []  # since the last check
    logged, since = start, time.perf_counter()

    def write(step: int, metrics: dict[str, float]) -> None:
        if writer is not None:
            writer.write(step, metrics)
            console(step, metrics)

    def save(step: int) -> None:
        check_finite(watched, describe_batch)  # no checkpoint of a broken model
        watched.clear()
        if writer is not None:
            writer.flush()
        if best_kept is not None:
            best_kept.wait()  # the place that is saved now says it is there
        saved = {"data": gather_places(batches.get_state()), "best": dataclasses.asdict(best)}
        checkpoints.save(step, state, saved)

    def is_enough() -> bool:
        limit = config.stop_after_evals
        return limit is not None and best.num_evals_since >= limit

    ended = "early" if is_enough() else "done"
    try:
        for step in range(start + 1, config.num_steps + 1 if ended == "done" else 0):
            batch = next(batches)
            state, values_to_watch = trainer.step(state, frozen, place(batch))
            watched.append((step, values_to_watch, batch))
            is_last = step == config.num_steps
            is_told = should_stop(step % config.log_every_steps == 0)
            if is_last or step % config.log_every_steps == 0:
                check_finite(watched, describe_batch)
                watched.clear()
                secs = (time.perf_counter() - since) / (step - logged)
                metrics = mean_metrics(state, secs_per_step=secs)
                metrics["learning_rate"] = float(task.schedule(step - 1))
                if task.step_flops is not None and task.peak_flops is not None:
                    metrics["flops_utilisation"] = flops_utilisation(
                        task.step_flops, secs, num_devices=layout.mesh.size, peak=task.peak_flops
                    )
                state = trainer.clear_sums(state)
                write(step, metrics)
                logged, since = step, time.perf_counter()
            if is_last or step % config.eval_every_steps == 0:
                begin = time.perf_counter()
                check_finite(watched, describe_batch)
                watched.clear()
                params = {**frozen, **trainer.served(state)}
                values = {
                    f"{name}/{k}": v
                    for name, evaluator in evaluators.items()
                    for k, v in evaluator.run(params, step).items()
                }
                if best_kept is not None:
                    if update_best(best, step, values, config.best_metric):
                        best_kept.save(
                            step, {"params": trainer.served(state)}, {"best": best.value}
                        )
                    if best.value is not None:
                        values[f"best/{config.best_metric}"] = best.value
                if values:
                    write(step, values)
                since += time.perf_counter() - begin  # an evaluation is no part of a step
            if is_last or is_told or is_enough() or step % config.save_every_steps == 0:
                save(step)
            if is_enough() or is_told:
                ended = "early" if is_enough() else ("done" if is_last else "stopped")
                break
    finally:
        if writer is not None:
            writer.close()
        checkpoints.close()
        if best_kept is not None:
            best_kept.close()
    return state, ended


def update_best(best: Best, step: int, values: Mapping[str, float], metric: str) -> bool:
    """Note an evaluation in `best`; say whether it is the best. Lower is better."""
    if not values[metric] < (math.inf if best.value is None else best.value):  # NaN is no better
        best.num_evals_since += 1
        return False
    best.value, best.step, best.num_evals_since = values[metric], step, 0
    return True


def mean_metrics(state: TrainState, *, secs_per_step: float) -> dict[str, float]:
    """Divide the sums gathered since the last line; what nothing was counted for is left out."""
    sums = {
        name: (float(total), float(count))
        for name, (total, count) in jax.device_get(state.sums).items()
    }
    num_tokens, num_steps = sums.pop(COUNT)
    return {
        **{name: total / count for name, (total, count) in sums.items() if count},
        "tokens_per_sec": num_tokens / num_steps / secs_per_step,
    }


def check_best_metric(config: LoopConfig, evaluators: Mapping[str, Evaluator]) -> None:
    """Raise ValueError where no evaluator gives the metric that the best is chosen by."""
    known = sorted(f"{name}/{m}" for name, e in evaluators.items() for m in e.metrics)
    if config.best_metric and config.best_metric not in known:
        raise ValueError(
            f"LoopConfig.best_metric: got {config.best_metric!r}, but the evaluators give {known}"
        )


def check_finite(watched: Watched, describe_batch: Callable[[Any], str]) -> None:
    """Raise FloatingPointError at the first step whose loss or gradient is not finite."""
    for step, values, batch in watched:
        for name, value in values.items():
            if not math.isfinite(float(value)):
                raise FloatingPointError(
                    f"{name} is {float(value)} at step {step}, of {describe_batch(batch)}; lower "
                    "OptimizerConfig.learning_rate, or look at these rows"
                )


def gather_places(place: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the data places of all hosts, on every host."""
    if jax.process_count() == 1:
        return [place]
    text = np.frombuffer(json.dumps(place).encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.array(len(text)))
    padded = np.zeros(int(np.max(sizes)), np.uint8)
    padded[: len(text)] = text
    rows = multihost_utils.process_allgather(padded)
    return [
        json.loads(bytes(row[: int(size)]).decode()) for row, size in zip(rows, sizes, strict=True)
    ]


def own_place(places: list[dict[str, Any]]) -> dict[str, Any]:
    """Merge the places of all hosts that saved; each takes what it needs of it."""
    merged: dict[str, Any] = {}
    for place in places:
        for key, value in place.items():
            if isinstance(value, dict) and isinstance(merged.get(key), dict):
                merged[key] = {**merged[key], **value}
            else:
                merged[key] = value
    return merged
