"""What a run would take, sized up without an array or a device."""

import dataclasses
import math
from pathlib import Path

import pytest

from pe.config import load_config
from pe.models.t5 import count_params
from pe.train.config import TrainConfig
from pe.train.dry_run import describe_run_size, measure_run_size
from pe.train.mesh import MeshConfig
from pe.train.optimizer import OptimizerConfig


@pytest.fixture(scope="module")
def size(tiny_config):
    return measure_run_size(tiny_config)


def test_parameters_and_their_bytes_are_counted(size, tiny_config):
    num = count_params(tiny_config.model)
    assert size.num_params == size.num_trained == num
    assert size.param_bytes == size.gradient_bytes == 4 * num
    # adamw keeps two moments and two counters; training an int32 step is not the optimizer's
    assert 8 * num <= size.optimizer_bytes <= 8 * num + 64
    assert size.ema_bytes == 0
    assert size.num_devices == 1


@pytest.mark.slow
def test_parts_shrink_with_the_devices_that_share_them(size, tiny_config):
    mesh = MeshConfig(data=2, fsdp=2, tensor=2)
    data = dataclasses.replace(tiny_config.data, batch_rows=8)
    shared = measure_run_size(dataclasses.replace(tiny_config, mesh=mesh, data=data))
    assert shared.num_devices == 8
    assert shared.param_bytes < 0.5 * size.param_bytes
    # 8 rows over 4 parts of data and fsdp, beside 4 rows on one device
    assert shared.activation_bytes == pytest.approx(size.activation_bytes / 2, rel=0.01)


@pytest.mark.slow
def test_what_is_computed_again_is_not_kept(size, tiny_config):
    model = dataclasses.replace(tiny_config.model, remat="full")
    again = measure_run_size(dataclasses.replace(tiny_config, model=model))
    assert again.activation_bytes < size.activation_bytes
    assert again.step_flops > size.step_flops


@pytest.mark.slow
def test_running_means_and_microbatches_are_counted(size, tiny_config):
    config = dataclasses.replace(
        tiny_config,
        optimizer=OptimizerConfig(ema_decay=0.9),
        loop=dataclasses.replace(tiny_config.loop, num_microbatches=2),
    )
    other = measure_run_size(config)
    assert other.ema_bytes == 4 * other.num_params
    assert other.activation_bytes == pytest.approx(size.activation_bytes / 2, rel=0.01)


def test_flops_are_near_the_rule_of_six_a_parameter_and_token(size, tiny_config):
    lengths = tiny_config.data.lengths
    positions = tiny_config.data.batch_rows * (lengths.inputs + lengths.targets)
    assert math.isfinite(size.step_flops)
    assert 1.0 < size.step_flops / (2 * size.num_params * positions) < 20.0


@pytest.mark.slow
def test_the_lines_name_parameters_memory_and_flops(tiny_config):
    lines = describe_run_size(tiny_config).splitlines()
    names = [line[:20].strip() for line in lines]
    assert names == [
        "parameters",
        "trained",
        "devices",
        "batch",
        "memory of a device",
        "parameters",
        "gradients",
        "optimizer",
        "running means",
        "activations",
        "FLOPs of a step",
        "of the model",
    ]
    assert "1 (data 1, fsdp 1, tensor 1)" in lines[2]


@pytest.mark.slow
def test_an_eleven_billion_model_is_sized_up_for_devices_that_are_not_there():
    config = load_config(
        TrainConfig,
        [Path(__file__).parents[3] / "gin/models/t5_1_1_xxl.gin"],
        ["MeshConfig.data=2", "MeshConfig.fsdp=16", "DataConfig.batch_rows=64"],
    )
    size = measure_run_size(config)
    assert size.num_params == 11_135_332_352
    assert size.num_devices == 32
    assert 2.7e9 < size.param_bytes < 2.9e9  # a sixteenth of 44.5 GB, and what lies everywhere
