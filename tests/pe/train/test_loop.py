"""The loop by itself, around a task of one number: when it logs, evaluates, saves and stops."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pe.train.checkpoints import Checkpoints
from pe.train.loop import (
    Evaluator,
    LoopConfig,
    TrainTask,
    check_finite,
    mean_metrics,
    own_place,
    train_loop,
)
from pe.train.mesh import Layout, MeshConfig, make_mesh
from pe.train.metrics import MetricWriter, read_metrics
from pe.train.step import LossOutput, TrainState
from pe.train.trainable import TrainableConfig


class Counter:
    """Batches 1, 2, 3, ... with a place that can be saved."""

    def __init__(self):
        self.at = 0

    def __next__(self):
        self.at += 1
        return np.float32(self.at)

    def get_state(self):
        return {"at": self.at}

    def set_state(self, state):
        self.at = state["at"]


def make_task(*, nan_at=-1, ema_decay=0.0, rules=((".*", "train"),)):
    """Make a task whose step adds the batch to w, with 10 tokens of 16 positions a step."""

    def loss(params, batch, step, key):
        ten = jnp.float32(10)
        loss_sum = jnp.where(batch == nan_at, jnp.nan, -10 * batch * params["w"])
        metrics = {"nll": (5 * batch, ten), "padding_frac": (jnp.float32(6), jnp.float32(16))}
        return LossOutput(loss_sum=loss_sum, count=ten, metrics=metrics)

    return TrainTask(
        loss=loss,
        metric_names=("nll", "padding_frac"),
        shapes={name: jax.ShapeDtypeStruct((), jnp.float32) for name in ("w", "rest")},
        load=lambda names, shardings: {
            name: jax.device_put(jnp.float32(0 if name == "w" else 7), shardings[name])
            for name in names
        },
        axes=lambda name, num_dims: (),
        rules=TrainableConfig(rules=rules),
        optimizer=optax.sgd(1.0),
        schedule=optax.constant_schedule(0.5),
        ema_decay=ema_decay,
    )


def loop(
    folder,
    config,
    *,
    task=None,
    evaluators=None,
    console=lambda step, metrics: None,
    should_stop=lambda is_log_step: False,
):
    return train_loop(
        task or make_task(),
        Counter(),
        folder,
        config=config,
        layout=Layout(make_mesh(MeshConfig()), MeshConfig().axis_rules),
        make_writer=lambda start: MetricWriter(folder, start_step=start),
        evaluators={name: Evaluator(("loss",), run) for name, run in (evaluators or {}).items()},
        place=lambda batch: batch,
        describe_batch=lambda batch: f"pairs p{int(batch)}",
        console=console,
        should_stop=should_stop,
    )


def saved_steps(folder, name="checkpoints"):
    return sorted(int(path.name) for path in (folder / name).iterdir())


def test_lines_are_means_since_the_last_line_and_the_last_step_has_one(tmp_path):
    config = LoopConfig(num_steps=5, log_every_steps=2, eval_every_steps=9, save_every_steps=9)
    state, ended = loop(tmp_path, config)
    assert ended == "done"
    assert float(state.params["w"]) == 15
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [2, 4, 5]
    # nll 5 * (1 + 2) nats of 20 tokens, and so on; gradient norms by step
    assert [row["nll"] for row in rows] == [0.75, 1.75, 2.5]
    assert [row["grad_norm"] for row in rows] == [1.5, 3.5, 5.0]
    assert [row["padding_frac"] for row in rows] == [0.375] * 3
    assert saved_steps(tmp_path) == [5]


def test_evaluators_get_the_parameters_and_are_named_in_the_line(tmp_path):
    config = LoopConfig(num_steps=5, log_every_steps=9, eval_every_steps=2, save_every_steps=9)
    told = []
    loop(
        tmp_path,
        config,
        evaluators={"validation": lambda params, step: {"w": float(params["w"])}},
        console=lambda step, metrics: told.append((step, dict(metrics))),
    )
    rows = [row for row in read_metrics(tmp_path / "metrics.jsonl") if "validation/w" in row]
    expected = [(2, 3.0), (4, 10.0), (5, 15.0)]
    assert [(row["step"], row["validation/w"]) for row in rows] == expected
    assert [(s, m["validation/w"]) for s, m in told if "validation/w" in m] == expected


def test_a_stopped_loop_goes_on_at_the_newest_checkpoint_with_the_next_batch(tmp_path):
    config = LoopConfig(num_steps=7, log_every_steps=1, eval_every_steps=9, save_every_steps=3)

    def stop(step, metrics):
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop(tmp_path, config, console=stop)
    assert saved_steps(tmp_path) == [3]
    state, ended = loop(tmp_path, config)
    assert ended == "done"
    assert (int(state.step), float(state.params["w"])) == (7, 28.0)
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 8))
    assert [row["grad_norm"] for row in rows] == pytest.approx([float(s) for s in range(1, 8)])


def test_sums_that_were_not_logged_yet_are_not_lost_by_a_stop(tmp_path):
    config = LoopConfig(num_steps=4, log_every_steps=4, eval_every_steps=3, save_every_steps=2)

    def stop(params, step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop(tmp_path, config, evaluators={"x": stop})
    loop(tmp_path, config)
    (row,) = read_metrics(tmp_path / "metrics.jsonl")
    assert (row["nll"], row["grad_norm"]) == (5.0 * 10 / 40, 2.5)


def test_a_finished_run_does_nothing_more(tmp_path):
    config = LoopConfig(num_steps=2, log_every_steps=1)
    loop(tmp_path, config)
    before = (tmp_path / "metrics.jsonl").read_text()
    state, _ = loop(tmp_path, config, task=make_task(nan_at=1))
    assert float(state.params["w"]) == 3.0
    assert (tmp_path / "metrics.jsonl").read_text() == before


def test_a_loss_that_is_no_number_stops_with_its_step_and_pairs(tmp_path):
    config = LoopConfig(num_steps=6, log_every_steps=4, eval_every_steps=9, save_every_steps=4)
    with pytest.raises(FloatingPointError, match=r"loss is nan at step 3, of pairs p3; lower Opt"):
        loop(tmp_path, config, task=make_task(nan_at=3))
    assert saved_steps(tmp_path) == []
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def test_no_broken_model_is_saved_between_two_log_lines(tmp_path):
    config = LoopConfig(num_steps=6, log_every_steps=5, eval_every_steps=9, save_every_steps=2)
    with pytest.raises(FloatingPointError, match="at step 3"):
        loop(tmp_path, config, task=make_task(nan_at=3))
    assert saved_steps(tmp_path) == [2]


def test_an_infinite_loss_stops_too():
    watched = [(7, {"loss": jnp.float32(1.0)}, "a"), (8, {"loss": jnp.float32(jnp.inf)}, "b")]
    with pytest.raises(FloatingPointError, match="loss is inf at step 8, of pair b"):
        check_finite(watched, lambda batch: f"pair {batch}")
    check_finite(watched[:1], str)


def test_means_are_divided_by_what_was_counted():
    values = {"nll": (30.0, 20.0), "padding_frac": (5.0, 25.0), "never": (0.0, 0.0)}
    values |= {"grad_norm": (6.0, 4.0), "count": (20.0, 4.0)}
    sums = {name: (jnp.float32(a), jnp.float32(b)) for name, (a, b) in values.items()}
    metrics = mean_metrics(TrainState(jnp.int32(4), {}, {}, {}, sums), secs_per_step=0.5)
    assert metrics == {
        "nll": 1.5,
        "grad_norm": 1.5,
        "padding_frac": pytest.approx(0.2),
        "tokens_per_sec": 10.0,
    }


def test_what_rests_is_given_to_evaluators_and_never_saved_or_moved(tmp_path):
    config = LoopConfig(num_steps=3, log_every_steps=1, eval_every_steps=3, save_every_steps=3)
    seen = []
    task = make_task(rules=(("w", "train"), ("rest", "freeze")))
    state, _ = loop(
        tmp_path,
        config,
        task=task,
        evaluators={"x": lambda params, step: seen.append(dict(params)) or {}},
    )
    assert sorted(state.params) == ["w"]
    assert [(float(p["w"]), float(p["rest"])) for p in seen] == [(6.0, 7.0)]


def test_running_means_are_what_is_evaluated(tmp_path):
    config = LoopConfig(num_steps=2, log_every_steps=1, eval_every_steps=1, save_every_steps=2)
    task = make_task(ema_decay=0.5, rules=(("w", "train"), ("rest", "freeze")))
    seen = []
    evaluators = {"x": lambda params, step: {"w": seen.append(float(params["w"])) or 0.0}}
    loop(tmp_path, config, task=task, evaluators=evaluators)
    # the decay is 1/10, then 2/11: 0.1 * 0 + 0.9 * 1, then 2/11 * 0.9 + 9/11 * 3
    assert seen == pytest.approx([0.9, 2.61818], rel=1e-5)


def test_the_best_is_kept_and_training_ends_when_it_gets_no_better(tmp_path):
    config = LoopConfig(
        num_steps=9,
        log_every_steps=1,
        eval_every_steps=1,
        save_every_steps=9,
        best_metric="x/loss",
        stop_after_evals=2,
    )
    values = {1: 5.0, 2: 3.0, 3: float("nan"), 4: 3.0}
    evaluators = {"x": lambda params, step: {"loss": values[step]}}
    state, ended = loop(tmp_path, config, evaluators=evaluators)
    assert (ended, int(state.step)) == ("early", 4)
    assert saved_steps(tmp_path, "best") == [2]
    assert saved_steps(tmp_path) == [4]
    again, ended = loop(tmp_path, config, evaluators=evaluators)
    assert (ended, int(again.step)) == ("early", 4)


def test_a_stopped_run_knows_its_best_when_it_goes_on(tmp_path):
    config = LoopConfig(
        num_steps=4,
        log_every_steps=1,
        eval_every_steps=1,
        save_every_steps=2,
        best_metric="x/loss",
    )
    values = {1: 5.0, 2: 3.0, 3: 4.0, 4: 3.5}

    def evaluate(params, step):
        if step == 3 and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            raise KeyboardInterrupt
        return {"loss": values[step]}

    with pytest.raises(KeyboardInterrupt):
        loop(tmp_path, config, evaluators={"x": evaluate})
    loop(tmp_path, config, evaluators={"x": evaluate})
    assert saved_steps(tmp_path, "best") == [2]


def test_a_best_metric_that_no_evaluator_gives_names_those_there_are(tmp_path):
    config = LoopConfig(num_steps=1, best_metric="x/none")
    with pytest.raises(ValueError, match=r"got 'x/none', but the evaluators give \['x/loss'\]"):
        loop(tmp_path, config, evaluators={"x": lambda params, step: {"loss": 1.0}})


def test_a_loop_that_is_told_to_stop_saves_first_and_goes_on_later(tmp_path):
    config = LoopConfig(num_steps=6, log_every_steps=2, eval_every_steps=9, save_every_steps=9)
    asked = []

    def should_stop(is_log_step):
        asked.append(is_log_step)
        return len(asked) == 3

    state, ended = loop(tmp_path, config, should_stop=should_stop)
    assert (ended, int(state.step), saved_steps(tmp_path)) == ("stopped", 3, [3])
    assert asked == [False, True, False]
    state, ended = loop(tmp_path, config)
    assert (ended, float(state.params["w"])) == ("done", 21.0)


def test_places_of_several_hosts_are_merged():
    places = [{"streams": {"0": {"at": 3}}, "n": 2}, {"streams": {"1": {"at": 4}}, "n": 2}]
    assert own_place(places) == {"streams": {"0": {"at": 3}, "1": {"at": 4}}, "n": 2}


@pytest.mark.parametrize(
    "field",
    [
        "num_steps",
        "num_microbatches",
        "log_every_steps",
        "eval_every_steps",
        "save_every_steps",
        "num_eval_pairs",
        "keep_checkpoints",
    ],
)
def test_a_setting_out_of_range_is_named_with_its_value(field):
    with pytest.raises(ValueError, match=rf"LoopConfig\.{field}: got 0, expected >= 1"):
        LoopConfig(**{field: 0})


def test_early_stopping_needs_a_metric():
    with pytest.raises(ValueError, match=r"stop_after_evals needs LoopConfig\.best_metric"):
        LoopConfig(stop_after_evals=2)
    with pytest.raises(ValueError, match=r"LoopConfig\.stop_after_evals: got 0"):
        LoopConfig(stop_after_evals=0, best_metric="x")


def test_a_gradient_that_is_no_number_stops_at_its_own_step_before_anything_is_saved(tmp_path):
    config = LoopConfig(num_steps=6, log_every_steps=4, eval_every_steps=9, save_every_steps=3)

    def loss(params, batch, step, key):
        # finite in value and not in slope: the root at 0, when the batch is 3
        root = jnp.sqrt(jnp.where(batch == 3, params["rest"], 1.0))
        metrics = {"nll": (batch, jnp.float32(1)), "padding_frac": (batch, jnp.float32(1))}
        return LossOutput(loss_sum=root, count=jnp.float32(1), metrics=metrics)

    task = dataclasses.replace(
        make_task(),
        loss=loss,
        load=lambda names, shardings: {
            name: jax.device_put(jnp.float32(0), shardings[name]) for name in names
        },
    )
    with pytest.raises(FloatingPointError, match="grad_norm is inf at step 3, of pairs p3"):
        loop(tmp_path, config, task=task)
    assert saved_steps(tmp_path) == []


def test_a_kill_between_two_saves_leaves_the_best_that_the_place_speaks_of(tmp_path, monkeypatch):
    """What is best is on disk before a checkpoint says that it is."""
    order = []
    for name in ("wait", "save"):
        method = getattr(Checkpoints, name)

        def spy(self, *args, _name=name, _method=method):
            order.append((self.folder.name, _name))
            return _method(self, *args)

        monkeypatch.setattr(Checkpoints, name, spy)
    config = LoopConfig(
        num_steps=1, log_every_steps=1, eval_every_steps=1, save_every_steps=1, best_metric="x/loss"
    )
    loop(tmp_path, config, evaluators={"x": lambda params, step: {"loss": 1.0}})
    assert order == [("best", "save"), ("best", "wait"), ("checkpoints", "save")]
