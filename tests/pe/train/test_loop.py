"""The loop by itself, around a step that is one line: when it logs, evaluates, saves and stops."""

import jax.numpy as jnp
import pytest

from pe.train.checkpoints import Checkpoints
from pe.train.loop import LoopConfig, check_finite, mean_metrics, train_loop
from pe.train.metrics import MetricWriter, read_metrics
from pe.train.step import TrainState

NAMES = ("nll", "num_tokens", "num_positions", "grad_norm", "num_steps")


class Counter:
    """Batches 1, 2, 3, ... with a place that can be saved."""

    def __init__(self):
        self.at = 0

    def __next__(self):
        self.at += 1
        return self.at

    def get_state(self):
        return {"at": self.at}

    def set_state(self, state):
        self.at = state["at"]


def fresh_state():
    return TrainState(
        step=jnp.int32(0),
        params={"w": jnp.float32(0)},
        opt_state={},
        sums={name: jnp.float32(0) for name in NAMES},
    )


def make_step(*, nan_at=None):
    """Make a step that adds the batch to w, with 10 tokens of 16 positions a step."""

    def step(state, batch):
        new = {"nll": 5.0 * batch, "num_tokens": 10.0, "num_positions": 16.0}
        new |= {"grad_norm": float(batch), "num_steps": 1.0}
        sums = {name: state.sums[name] + jnp.float32(new[name]) for name in NAMES}
        loss = jnp.float32(jnp.nan if batch == nan_at else 1.0)
        params = {"w": state.params["w"] + jnp.float32(batch)}
        return TrainState(state.step + 1, params, state.opt_state, sums), loss

    return step


def loop(folder, config, *, step=None, evaluators=None, console=lambda step, metrics: None):
    return train_loop(
        fresh_state(),
        step or make_step(),
        Counter(),
        config=config,
        checkpoints=Checkpoints(folder / "checkpoints"),
        make_writer=lambda start: MetricWriter(folder, start_step=start),
        evaluators=evaluators or {},
        to_device=lambda batch: batch,
        describe_batch=lambda batch: f"pairs p{batch}",
        console=console,
    )


def saved_steps(folder):
    return sorted(int(path.name) for path in (folder / "checkpoints").iterdir())


def test_lines_are_means_since_the_last_line_and_the_last_step_has_one(tmp_path):
    config = LoopConfig(num_steps=5, log_every_steps=2, eval_every_steps=9, save_every_steps=9)
    state = loop(tmp_path, config)
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
        evaluators={"validation": lambda params: {"w": float(params["w"])}},
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
    state = loop(tmp_path, config)
    assert (int(state.step), float(state.params["w"])) == (7, 28.0)
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [(row["step"], row["grad_norm"]) for row in rows] == [(s, float(s)) for s in range(1, 8)]


def test_sums_that_were_not_logged_yet_are_not_lost_by_a_stop(tmp_path):
    config = LoopConfig(num_steps=4, log_every_steps=4, eval_every_steps=3, save_every_steps=2)

    def stop(params):
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
    state = loop(tmp_path, config, step=make_step(nan_at=1))
    assert float(state.params["w"]) == 3.0
    assert (tmp_path / "metrics.jsonl").read_text() == before


def test_a_loss_that_is_no_number_stops_with_its_step_and_pairs(tmp_path):
    config = LoopConfig(num_steps=6, log_every_steps=4, eval_every_steps=9, save_every_steps=4)
    with pytest.raises(FloatingPointError, match=r"loss is nan at step 3, of pairs p3; lower Opt"):
        loop(tmp_path, config, step=make_step(nan_at=3))
    assert saved_steps(tmp_path) == []
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def test_no_broken_model_is_saved_between_two_log_lines(tmp_path):
    config = LoopConfig(num_steps=6, log_every_steps=5, eval_every_steps=9, save_every_steps=2)
    with pytest.raises(FloatingPointError, match="at step 3"):
        loop(tmp_path, config, step=make_step(nan_at=3))
    assert saved_steps(tmp_path) == [2]


def test_an_infinite_loss_stops_too():
    watched = [(7, jnp.float32(1.0), "a"), (8, jnp.float32(jnp.inf), "b")]
    with pytest.raises(FloatingPointError, match="loss is inf at step 8, of pair b"):
        check_finite(watched, lambda batch: f"pair {batch}")
    check_finite(watched[:1], str)


def test_means_are_per_token_per_position_and_per_step():
    values = {"nll": 30.0, "num_tokens": 20.0, "num_positions": 25.0, "grad_norm": 6.0}
    sums = {name: jnp.float32(value) for name, value in {**values, "num_steps": 4.0}.items()}
    state = TrainState(jnp.int32(4), {}, {}, sums)
    metrics = mean_metrics(state, secs_per_step=0.5)
    assert metrics == {
        "nll": 1.5,
        "grad_norm": 1.5,
        "padding_frac": pytest.approx(0.2),
        "tokens_per_sec": 10.0,
    }


@pytest.mark.parametrize(
    "field",
    [
        "num_steps",
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
