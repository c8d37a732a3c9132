"""Peaks by the vendors' figures; nothing is said of a device that is not listed."""

import math
from typing import Any

import jax
import pytest

from pe.models.t5_config import DTYPES as MODEL_DTYPES
from pe.train.hardware import DTYPES, flops_utilisation, peak_flops


@pytest.mark.parametrize(
    ("device_kind", "dtype", "peak"),
    [
        ("NVIDIA H200", "bfloat16", 989.5e12),
        ("NVIDIA H200", "float32", 494.5e12),
        ("NVIDIA H100 80GB HBM3", "bfloat16", 989.5e12),
        ("NVIDIA A100-SXM4-40GB", "bfloat16", 312e12),
        ("NVIDIA A100-SXM4-40GB", "float32", 156e12),
        ("TPU v4", "bfloat16", 275e12),
        ("TPU v4", "float32", 275e12),
        ("TPU v5 lite", "bfloat16", 197e12),
        ("TPU v5e", "bfloat16", 197e12),
        ("TPU v5p", "bfloat16", 459e12),
        ("TPU v5", "bfloat16", 459e12),
        ("TPU v6 lite", "bfloat16", 918e12),
    ],
)
def test_a_known_device_has_its_vendors_dense_peak(device_kind, dtype, peak):
    assert peak_flops(device_kind, dtype) == peak


@pytest.mark.parametrize("device_kind", ["TPU v3", "TPU7x"])
def test_where_a_chip_is_two_devices_each_has_half(device_kind):
    peak = {"TPU v3": 61.5e12, "TPU7x": 1153.5e12}[device_kind]
    assert peak_flops(device_kind, "bfloat16") == peak


@pytest.mark.parametrize(
    "device_kind", ["cpu", "", "NVIDIA H200 MIG 1g.18gb", "NVIDIA H201", "nvidia h200", "TPU v99"]
)
def test_nothing_is_guessed_of_a_device_that_is_not_listed(device_kind):
    assert peak_flops(device_kind, "bfloat16") is None
    assert peak_flops(device_kind, "float32") is None


def test_a_cpu_as_jax_names_it_has_no_peak():
    assert peak_flops(jax.devices("cpu")[0].device_kind, "float32") is None


def test_every_type_a_model_computes_in_has_a_peak():
    assert set(DTYPES) == set(MODEL_DTYPES)


def test_another_type_is_refused():
    with pytest.raises(ValueError, match=r"dtype: got 'float16', expected one of \('bfloat16', "):
        peak_flops("NVIDIA H200", "float16")


def test_utilisation_is_the_docstrings_fraction():
    assert flops_utilisation(4e14, 0.5, num_devices=8, peak=2.5e14) == 0.4


@pytest.mark.parametrize("name", ["flops_per_step", "secs_per_step", "num_devices", "peak"])
def test_a_number_that_is_not_above_zero_is_refused(name):
    numbers: dict[str, Any] = dict.fromkeys(("flops_per_step", "secs_per_step", "peak"), 1.0)
    numbers["num_devices"] = 1
    numbers[name] = 0 if name == "num_devices" else 0.0
    with pytest.raises(ValueError, match=f"{name}: got 0"):
        flops_utilisation(**numbers)


def test_a_time_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="secs_per_step: got nan, expected above 0"):
        flops_utilisation(1.0, math.nan, num_devices=1, peak=1.0)
