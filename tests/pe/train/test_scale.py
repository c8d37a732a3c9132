"""Many devices and hosts: `pe train` in processes of its own, with virtual CPU devices.

All runs are of one tiny model on the same pairs, with packing, dropout and prefix dropout on, and
have to log the losses of the run on one device.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pe.train.metrics import read_metrics
from pe.weights.run_folder import list_steps

pytestmark = pytest.mark.slow

SETTINGS = {
    "T5Config": {"dtype": "float32", "vocab_size": 416, "d_model": 16, "num_heads": 2}
    | {"head_dim": 8, "d_ff": 32, "num_encoder_layers": 1, "num_decoder_layers": 1}
    | {"dropout_rate": 0.1},
    "VocabularyConfig": {"size": 400},
    "DataConfig": {"half": "", "batch_rows": 8, "num_streams": 2},
    "LengthConfig": {"inputs": 32, "targets": 48},
    "OptimizerConfig": {"learning_rate": 0.01},
    "SampleConfig": {"queries": ()},
    "PrefixDropoutConfig": {"start_rate": 0.4, "end_rate": 1.0},
    "LoopConfig": {"num_steps": 4, "log_every_steps": 1, "eval_every_steps": 4}
    | {"save_every_steps": 2},
}

ENDLESS = {
    f"LoopConfig__{name}": 100_000 for name in ("num_steps", "eval_every_steps", "save_every_steps")
}


def command(dataset, out, **changes):
    """The command line; changes are written LoopConfig__num_steps=9."""
    values = {(part, name): v for part, fields in SETTINGS.items() for name, v in fields.items()}
    values |= {tuple(name.split("__")): value for name, value in changes.items()}
    flags = [f"--gin.{part}.{name}={value}" for (part, name), value in values.items()]
    base = [sys.executable, "-m", "pe.cli", "train", "--data", str(dataset), "--out", str(out)]
    return [*base, *flags]


def environment(num_devices):
    flags = f"--xla_force_host_platform_device_count={num_devices}"
    return {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}


def train(dataset, out, *, num_devices=1, **changes):
    done = subprocess.run(
        command(dataset, out, **changes),
        env=environment(num_devices),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return out


def losses(out):
    """The loss of every step, and the validation loss at the end."""
    rows = read_metrics(out / "metrics.jsonl")
    steps = {int(row["step"]): row["nll"] for row in rows if "nll" in row}
    name = "validation/nats_per_token_query"
    return steps | {"validation": next(row[name] for row in rows if name in row)}


@pytest.fixture(scope="module")
def single(dataset, tmp_path_factory):
    return train(dataset, tmp_path_factory.mktemp("runs") / "single")


@pytest.fixture(scope="module")
def eight(dataset, tmp_path_factory):
    """On eight devices, two along each axis."""
    out = tmp_path_factory.mktemp("runs") / "eight"
    return train(dataset, out, num_devices=8, MeshConfig__fsdp=2, MeshConfig__tensor=2)


def test_eight_devices_learn_what_one_learns(single, eight):
    assert losses(eight) == pytest.approx(losses(single), rel=1e-5)


@pytest.mark.parametrize("num_devices", [2, 1])
def test_a_checkpoint_of_eight_devices_goes_on_on_fewer(
    single, eight, dataset, tmp_path, num_devices
):
    out = shutil.copytree(eight, tmp_path / "run")
    shutil.rmtree(out / "checkpoints" / "4")
    assert list_steps(out / "checkpoints") == [2]
    train(dataset, out, num_devices=num_devices)
    assert losses(out) == pytest.approx(losses(single), rel=1e-5)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_hosts(dataset, out, *, num_devices, **changes):
    """Start two processes that train together over loopback."""
    hosts = ["--hosts", "2", "--coordinator", f"127.0.0.1:{free_port()}"]
    return [
        subprocess.Popen(
            [*command(dataset, out, **changes), *hosts, "--host", str(i)],
            env=environment(num_devices),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(2)
    ]


def wait_for(processes):
    try:
        outputs = [process.communicate(timeout=240)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    told = "\n".join(output[-2000:] for output in outputs)
    assert [process.returncode for process in processes] == [0, 0], told
    return outputs


def test_two_hosts_learn_what_one_learns_and_write_one_checkpoint(single, dataset, tmp_path):
    out = tmp_path / "hosts"
    outputs = wait_for(start_hosts(dataset, out, num_devices=2, MeshConfig__fsdp=2))
    assert losses(out) == pytest.approx(losses(single), rel=1e-5)
    assert ["done: " in output for output in outputs] == [True, False]  # one of them speaks
    shutil.rmtree(out / "checkpoints" / "4")
    train(dataset, out)  # what two saved, one goes on with
    assert losses(out) == pytest.approx(losses(single), rel=1e-5)


def test_two_hosts_stop_together_when_one_is_told_to(dataset, tmp_path):
    out = tmp_path / "hosts"
    processes = start_hosts(dataset, out, num_devices=1, **ENDLESS)
    until = time.monotonic() + 120
    while not has_lines(out) and time.monotonic() < until:
        assert all(process.poll() is None for process in processes)
        time.sleep(0.1)
    processes[1].send_signal(signal.SIGTERM)
    outputs = wait_for(processes)
    assert "stopped and saved" in outputs[0]
    (step,) = list_steps(out / "checkpoints")
    assert read_metrics(out / "metrics.jsonl")[-1]["step"] == step


def test_two_hosts_keep_the_best_beside_the_newest(dataset, tmp_path):
    """Two folders are saved to at once; each host has to wait for the other in both."""
    out = tmp_path / "hosts"
    each = {f"LoopConfig__{name}": 1 for name in ("eval_every_steps", "save_every_steps")}
    best = "validation/nats_per_token_query"
    wait_for(start_hosts(dataset, out, num_devices=1, LoopConfig__best_metric=best, **each))
    assert list_steps(out / "checkpoints") == [3, 4]
    rows = [row for row in read_metrics(out / "metrics.jsonl") if best in row]
    lowest = min(rows, key=lambda row: row[best])
    assert list_steps(out / "best") == [lowest["step"]]


def has_lines(out: Path):
    path = out / "metrics.jsonl"
    return path.is_file() and len(read_metrics(path)) >= 3


def test_sigterm_saves_and_ends_well(dataset, tmp_path):
    out = tmp_path / "run"
    process = subprocess.Popen(
        command(dataset, out, **ENDLESS),
        env=environment(1),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until = time.monotonic() + 120
    while not has_lines(out) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output[-2000:]
    assert "stopped and saved" in output
    (step,) = list_steps(out / "checkpoints")
    assert read_metrics(out / "metrics.jsonl")[-1]["step"] == step


def test_streams_that_cannot_be_dealt_to_the_hosts_are_refused(dataset, tmp_path):
    processes = start_hosts(dataset, tmp_path / "run", num_devices=1, DataConfig__num_streams=1)
    outputs = []
    for process in processes:
        outputs.append(process.communicate(timeout=120)[0])
        process.kill()
    assert any("DataConfig.num_streams: 1 streams cannot be dealt" in output for output in outputs)
