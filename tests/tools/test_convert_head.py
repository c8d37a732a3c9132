"""The converter of aesthetic heads; what needs torch is marked."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pe.weights.aesthetic import open_head
from tools import convert_head

TOOL = Path(convert_head.__file__)


def test_help_works_without_torch():
    found = subprocess.run(
        [sys.executable, TOOL, "--help"], capture_output=True, text=True, check=True
    )
    assert "SRC.pth" in found.stdout


def test_what_cannot_be_converted_is_named(tmp_path, capsys):
    target = str(tmp_path / "head.safetensors")
    assert convert_head.main([str(tmp_path / "absent.pth"), target]) == 1
    assert "absent.pth not found" in capsys.readouterr().err
    assert convert_head.main([str(tmp_path / "absent.pth"), str(tmp_path / "head.bin")]) == 1
    assert "ends in .safetensors" in capsys.readouterr().err


@pytest.mark.torch
def test_a_converted_head_scores_as_torch_does(tmp_path):
    import torch

    source, target = tmp_path / "linear.pth", tmp_path / "linear.safetensors"
    linear = torch.nn.Linear(16, 1)
    torch.save(linear.state_dict(), source)
    assert convert_head.main([str(source), str(target)]) == 0
    x = torch.nn.functional.normalize(torch.randn(5, 16))
    expected = linear(x)[:, 0].detach().numpy()
    np.testing.assert_allclose(open_head(target).score(x.numpy()), expected, atol=1e-6)


@pytest.mark.torch
def test_a_file_that_holds_more_than_tensors_is_not_run(tmp_path, capsys):
    import torch

    class Payload:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "made"),))

    source, target = tmp_path / "bad.pth", tmp_path / "bad.safetensors"
    torch.save({"weight": Payload()}, source)
    assert convert_head.main([str(source), str(target)]) == 1
    assert "damaged or holds more than tensors" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()
    assert not target.exists()
    torch.save([torch.zeros(1)], source)
    assert convert_head.main([str(source), str(target)]) == 1
    assert "holds a list" in capsys.readouterr().err
    torch.save({"weight": torch.zeros(2, 4)}, source)
    assert convert_head.main([str(source), str(target)]) == 1
    assert "lacks bias" in capsys.readouterr().err
    source.write_bytes(b"")
    assert convert_head.main([str(source), str(target)]) == 1
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.torch
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.int(), r"bad.pth holds weight \(torch.int32\), expected tensors of floats"),
        (lambda w: w / 0, "bad.pth: weight hold values that are not finite"),
        (lambda w: w[0], r"bad.pth: weight is \[4\] and bias \[1\], expected \[1, inputs\]"),
    ],
    ids=["ints", "infinite", "axes"],
)
def test_a_head_that_would_not_be_read_leaves_no_file(tmp_path, capsys, change, message):
    import torch

    source, target = tmp_path / "bad.pth", tmp_path / "bad.safetensors"
    torch.save({"weight": change(torch.ones(1, 4)), "bias": torch.zeros(1)}, source)
    assert convert_head.main([str(source), str(target)]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not target.exists()
