"""Errors of an accelerator are known by name, and end a command with one line."""

import pytest

from pe import cli
from pe.device_error import explain_device_error, is_device_error


def make(name: str, text: str) -> Exception:
    return type(name, (RuntimeError,), {})(text)


@pytest.mark.parametrize(
    "name", ["JaxRuntimeError", "XlaRuntimeError", "OutOfMemoryError", "AcceleratorError"]
)
def test_an_error_of_a_device_is_known_by_its_name_or_its_parents(name):
    error = make(name, "lost")
    assert is_device_error(error)
    assert is_device_error(type("Own", (type(error),), {})("lost"))
    assert not is_device_error(RuntimeError("lost"))


def test_jax_calls_its_error_as_it_is_known_here():
    import jax

    assert is_device_error(jax.errors.JaxRuntimeError("INTERNAL: lost"))


def test_what_to_do_depends_on_what_failed():
    full = explain_device_error(make("JaxRuntimeError", "RESOURCE_EXHAUSTED: Out of\nmany lines"))
    assert full.startswith("the device failed (RESOURCE_EXHAUSTED: Out of): give it smaller batch")
    lost = explain_device_error(make("AcceleratorError", "CUDA error: unknown"))
    assert lost.startswith("the device failed (CUDA error: unknown): see whether it is there")


def test_a_command_whose_device_fails_ends_with_status_1_and_a_line(monkeypatch, capsys, tmp_path):
    def fail(args):
        raise make("JaxRuntimeError", "RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")

    monkeypatch.setattr("pe.commands.build._run_build", fail)
    assert cli.main(["build", "a.txt", "--out", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("pe build: the device failed (RESOURCE_EXHAUSTED")
    assert told.count("\n") == 1
