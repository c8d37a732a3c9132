"""`pe convert`, and what it makes given to `pe expand`."""

import sys

import numpy as np
import pytest

from pe.cli import main
from pe.weights.formats import open_model
from pe.weights.soft_prompt import read_soft_prompt

PROMPT = np.arange(48, dtype=np.float32).reshape(3, 16)
NUM_PARAMS = 19_696  # 13,312 embedding and logits, 6,144 kernels, 112 norms, 128 biases


def run(capsys, *args):
    """(status, stdout, stderr) of a command."""
    status = main([str(arg) for arg in args])
    told = capsys.readouterr()
    return status, told.out, told.err


@pytest.fixture
def prompt(tmp_path):
    np.save(tmp_path / "prompt.npy", PROMPT)
    return tmp_path / "prompt.npy"


@pytest.mark.parametrize(
    ("to", "flags"),
    [
        ("pe", ()),
        ("hf", ()),
        ("t5x", ("--step", "9")),
        ("t5x", ("--t5x_form", "orbax")),
    ],
)
def test_a_model_is_converted_and_told_of(run_folder, tmp_path, capsys, to, flags):
    out = tmp_path / "out"
    flags = ("--template", "Expand: {query}", "--max_input_tokens", "40", *flags)
    status, told, errors = run(capsys, "convert", run_folder, out, "--to", to, *flags)
    assert (status, errors) == (0, "")
    assert told == f"{run_folder} as {to}: {NUM_PARAMS:,} parameters in {out}\n"
    opened = open_model(str(out))
    assert opened.expander["template"] == "Expand: {query}"
    assert opened.expander["max_input_tokens"] == 40
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_soft_prompt_is_baked_in(run_folder, tmp_path, capsys, prompt):
    out = tmp_path / "out"
    flags = ("--to", "pe", "--soft_prompt", prompt, "--vocab", run_folder / "vocabulary.model")
    status, told, _ = run(capsys, "convert", run_folder, out, *flags)
    assert status == 0
    assert f"{NUM_PARAMS + 2 * PROMPT.size:,} parameters" in told
    opened = open_model(str(out))
    assert opened.expander["prompt_ids"] == [416, 417, 418]
    assert opened.expander["max_input_tokens"] == 35


def test_a_soft_prompt_goes_through_all_three_forms(tmp_path, capsys, prompt):
    source = prompt
    for to, name in (("prompt_tuning", "tuned"), ("peft", "adapter"), ("npy", "again.npy")):
        out = tmp_path / name
        flags = ("--to", to, *(("--base_model", "org/name") if to == "peft" else ()))
        status, told, errors = run(capsys, "convert", source, out, *flags)
        assert (status, errors) == (0, "")
        assert told == f"soft prompt of 3 positions, width 16, in {out}\n"
        found = read_soft_prompt(out)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, PROMPT)
        source = out
    assert "org/name" in (tmp_path / "adapter/adapter_config.json").read_text()


@pytest.mark.parametrize(
    ("source", "out", "flags", "message"),
    [
        ("none/at/all", "x", ("--to", "hf"), "there is no folder 'none/at/all', and it is no hub"),
        ("RUN", "taken", ("--to", "pe"), "taken exists and is not empty; give a new folder, or"),
        ("RUN", "x", ("--to", "pe", "--template", "no place"), "expected {query} in it, once"),
        ("RUN", "x", ("--to", "pe", "--vocab", "none"), "vocabulary 'none' not found"),
        ("RUN", "checkpoint_3", ("--to", "t5x"), "named for step 3 and step is 0; give that --s"),
        ("RUN", "x", ("--to", "hf", "--step", "3"), "--step is of no use to --to hf; leave it out"),
        ("RUN", "x.npy", ("--to", "npy"), "is a run without a soft prompt"),
        ("RUN", "x", ("--to", "hf", "--soft_prompt", "none"), "soft prompt 'none' not found"),
        ("prompt.npy", "x", ("--to", "hf"), "prompt.npy is a file; expected a model's folder, or"),
        ("prompt.npy", "x", ("--to", "npy"), "x is no name for the form npy: expected one that"),
        ("prompt.npy", "old.npy", ("--to", "npy"), "old.npy is there already; give a new file"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    run_folder, tmp_path, capsys, prompt, monkeypatch, source, out, flags, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/mine.txt").write_text("mine")
    (tmp_path / "old.npy").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    source = run_folder if source == "RUN" else source
    status, told, errors = run(capsys, "convert", source, out, *flags)
    assert (status, told) == (2, "")
    assert errors.startswith("pe convert: ")
    assert message in errors
    assert errors.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "old.npy").read_text() == "mine"


def test_an_unknown_format_is_told_of_by_name(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["convert", "a", "b", "--to", "onnx"])
    assert stop.value.code == 2
    assert "invalid choice: 'onnx'" in capsys.readouterr().err


def test_without_ctranslate2_its_extra_is_told_of(run_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    status, _, errors = run(capsys, "convert", run_folder, tmp_path / "x", "--to", "ct2")
    assert status == 2
    assert errors.endswith('needs ctranslate2: pip install "prompt-expansion[ct2]"\n')
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_the_other_runtime_is_told_of(run_folder, tmp_path, capsys):
    flags = ("red fox", "--runtime", "ct2", "--model")
    status, _, errors = run(capsys, "expand", *flags, run_folder)
    assert status == 2
    assert "is no CTranslate2 model of this project" in errors
    assert errors.count("\n") == 1
    (tmp_path / "pe_ct2.json").write_text("{}")
    status, _, errors = run(capsys, "expand", "red fox", "--model", tmp_path)
    assert status == 2
    assert "is a CTranslate2 model, which only pe expand --runtime ct2 runs" in errors


@pytest.mark.torch
@pytest.mark.parametrize("quantization", ["int8", "float32", "bfloat16", "int8_float32"])
def test_a_model_of_ctranslate2_is_made_and_run(run_folder, tmp_path, capsys, quantization):
    out = tmp_path / "out"
    flags = () if quantization == "int8" else ("--quantization", quantization)
    status, told, _ = run(capsys, "convert", run_folder, out, "--to", "ct2", *flags)
    assert status == 0
    assert told == f"{run_folder} as ct2: {NUM_PARAMS:,} parameters in {out}\n"
    flags = ("--runtime", "ct2", "-n", "2", "--max_tokens", "8", "--json")
    texts = set()
    for _ in range(2):
        status, told, errors = run(capsys, "expand", "red fox", "--model", out, *flags)
        assert (status, errors) == (0, "")
        texts.add(told)
    assert len(texts) == 1
    assert told.count('"text"') == 2
    for flag in (("--min_p", "0.1"), ("--ban", "gold"), ("--beams", "2")):
        status, _, errors = run(capsys, "expand", "red fox", "--model", out, *flags, *flag)
        assert status == 2
        assert errors.count("\n") == 1
        assert "default runtime" in errors
