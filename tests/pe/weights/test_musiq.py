"""MUSIQ's files: what is read, and what a wrong one is told."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from pe.models.musiq import MusiqConfig
from pe.weights.musiq import open_musiq

GOLDEN = Path(__file__).resolve().parents[2] / "goldens" / "musiq" / "ava.npz"
ROOT = "opt/target/"


@pytest.fixture(scope="module")
def arrays():
    with np.load(GOLDEN) as file:
        return dict(file)


def write(folder: Path, arrays: dict) -> Path:
    path = folder / "musiq.npz"
    np.savez(path, **arrays)
    return path


def test_sizes_are_read_off_the_arrays():
    musiq = open_musiq(GOLDEN)
    assert musiq.config == MusiqConfig(width=8, num_layers=3, num_heads=2, mlp_width=12)
    assert musiq.digest == hashlib.sha256(GOLDEN.read_bytes()).hexdigest()
    assert musiq.params["gn_root/scale"].shape == (64,)
    assert "state/step" not in musiq.params


def test_a_single_output_and_a_single_scale_are_recognised(tmp_path, arrays):
    with np.load(GOLDEN.with_name("single.npz")) as file:
        path = write(tmp_path, {**arrays, **file})
    config = open_musiq(path).config
    assert (config.num_bins, config.num_scales) == (1, 1)


def test_vectors_of_a_group_norm_may_have_one_axis(tmp_path, arrays):
    flat = {name: a.reshape(-1) if "/gn" in name else a for name, a in arrays.items()}
    params = open_musiq(write(tmp_path, flat)).params
    assert (params["gn_root/bias"] == arrays[ROOT + "gn_root/bias"].reshape(-1)).all()


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("head/kernel", None, "lacks opt/target/head/kernel"),
        ("Transformer/cls", None, "lacks opt/target/Transformer/cls"),
        ("Transformer/cls", np.zeros((1, 1, 9), np.float32), r"is \[1, 1, 9\] of float32, expec"),
        ("head/bias", np.zeros(10, np.int32), r"\[10\] of int32, expected \[10\] of float32"),
        ("head/bias", np.full(10, np.nan, np.float32), "head/bias holds values that are not fin"),
        ("head/kernel", np.zeros((8, 1000), np.float32), "gives 1000 values, expected 10"),
        ("head/kernel", np.zeros(8, np.float32), r"is \[8\], expected 2 axes"),
        ("pre_logits/kernel", np.zeros((8, 8), np.float32), "holds opt/target/pre_logits/kernel"),
    ],
    ids=["head", "cls", "shape", "type", "nan", "imagenet", "axes", "extra"],
)
def test_a_file_that_is_no_musiq_names_the_array(tmp_path, arrays, name, values, message):
    changed = {key: a for key, a in arrays.items() if key != ROOT + name}
    if values is not None:
        changed[ROOT + name] = values
    with pytest.raises(ValueError, match=message):
        open_musiq(write(tmp_path, changed))


def test_missing_layers_are_counted(tmp_path, arrays):
    kept = {key: a for key, a in arrays.items() if "encoderblock_1" not in key}
    with pytest.raises(ValueError, match=r"holds .*encoderblock_2.* \(2 layers\)|lacks .* more"):
        open_musiq(write(tmp_path, kept))


def test_files_of_another_kind_are_named(tmp_path, arrays):
    with pytest.raises(ValueError, match="not found"):
        open_musiq(tmp_path / "absent.npz")
    other = tmp_path / "weights.npz"
    other.write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"damaged or no .npz file"):
        open_musiq(other)
    np.savez(other, kernel=np.zeros(3))
    with pytest.raises(ValueError, match="no array below opt/target/, but kernel"):
        open_musiq(other)
    write(tmp_path, {ROOT + "cls": np.array([{}], object)}).rename(other)
    with pytest.raises(ValueError, match="is damaged: Object arrays cannot be loaded"):
        open_musiq(other)
    data = bytearray(GOLDEN.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    other.write_bytes(data)
    with pytest.raises(ValueError, match=r"is damaged: .*; download or copy it again"):
        open_musiq(other)
