"""Files of aesthetic heads: the two layouts, and what a wrong file is told."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from pe.weights.aesthetic import find_layout, open_head
from pe.weights.checkpoint import stored
from pe.weights.safetensors_file import write_safetensors

GOLDENS = Path(__file__).resolve().parents[2] / "goldens" / "aesthetic"
MLP = {
    "layers.0.weight": (1024, 768), "layers.0.bias": (1024,),
    "layers.2.weight": (128, 1024), "layers.2.bias": (128,),
    "layers.4.weight": (64, 128), "layers.4.bias": (64,),
    "layers.6.weight": (16, 64), "layers.6.bias": (16,),
    "layers.7.weight": (1, 16), "layers.7.bias": (1,),
}  # fmt: skip


def write(path: Path, **arrays) -> Path:
    write_safetensors(path, {name: stored(np.asarray(array)) for name, array in arrays.items()})
    return path


def test_both_layouts_are_read_in_the_order_of_their_layers():
    linear, mlp = (open_head(GOLDENS / f"{name}.safetensors") for name in ("linear", "mlp"))
    assert [weight.shape for weight in linear.weights] == [(1, 8)]
    assert [weight.shape for weight in mlp.weights] == [(6, 8), (5, 6), (4, 5), (3, 4), (1, 3)]
    assert (linear.embed_dim, mlp.embed_dim) == (8, 8)


def test_the_published_layouts_are_known():
    path = Path("head.safetensors")
    assert find_layout(path, {"weight": (1, 512), "bias": (1,)}) == "linear"
    assert find_layout(path, MLP) == "mlp"


def test_a_folder_with_one_file_is_read_and_the_digest_is_the_files(tmp_path):
    shutil.copy(GOLDENS / "linear.safetensors", tmp_path)
    data = (GOLDENS / "linear.safetensors").read_bytes()
    assert open_head(tmp_path).digest == hashlib.sha256(data).hexdigest()
    assert open_head(GOLDENS / "mlp.safetensors").digest != open_head(tmp_path).digest


def test_half_precision_becomes_float32(tmp_path):
    path = write(
        tmp_path / "a.safetensors", weight=np.ones((1, 3), np.float16), bias=np.ones(1, np.float16)
    )
    assert open_head(path).weights[0].dtype == np.float32


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"weight": (1, 4)}, "lacks bias and has nothing too many"),
        ({"weight": (1, 4), "bias": (1,), "scale": (1,)}, "has scale too many"),
        ({"weight": (2, 4), "bias": (2,)}, r"weight is \[2, 4\] .* expected \[1, 4\] and \[1\]"),
        ({"weight": (4,), "bias": (1,)}, r"weight is \[4\]"),
        ({name: MLP[name] for name in list(MLP)[:-1]}, "lacks layers.7.bias"),
        ({**MLP, "layers.2.weight": (128, 9)}, r"layers.2.weight is .* expected \[outputs, 1024\]"),
        ({**MLP, "layers.4.bias": (9,)}, r"layers.4.bias \[9\], expected"),
        ({}, "lacks layers.0.bias"),
    ],
    ids=["no-bias", "extra", "outputs", "axes", "no-last", "chain", "bias", "empty"],
)
def test_another_layout_names_what_does_not_fit(shapes, message):
    with pytest.raises(ValueError, match=message):
        find_layout(Path("head.safetensors"), shapes)


def test_values_that_are_no_numbers_are_named(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(ValueError, match="weight are of int32, expected floats"):
        open_head(write(path, weight=np.ones((1, 3), np.int32), bias=np.ones(1, np.float32)))
    with pytest.raises(ValueError, match="bias hold values that are not finite"):
        open_head(
            write(path, weight=np.ones((1, 3), np.float32), bias=np.array([np.inf], np.float32))
        )


def test_a_pickle_is_not_read_and_the_way_out_is_named(tmp_path):
    way = r"tools/convert_head.py SRC.pth DST.safetensors"
    pickled = tmp_path / "sa_0_4_vit_b_32_linear.pth"
    pickled.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ValueError, match=way):
        open_head(pickled)
    with pytest.raises(ValueError, match=f"holds 0 safetensors files .*{way}"):
        open_head(tmp_path)
    renamed = pickled.rename(tmp_path / "head.safetensors")
    with pytest.raises(ValueError, match=f"pickle .*{way}"):
        open_head(renamed)


def test_no_file_and_too_many_are_named(tmp_path):
    with pytest.raises(ValueError, match="not found"):
        open_head(tmp_path / "absent.safetensors")
    for name in ("linear", "mlp"):
        shutil.copy(GOLDENS / f"{name}.safetensors", tmp_path)
    with pytest.raises(ValueError, match=r"2 safetensors files \(linear.safetensors, mlp.safe"):
        open_head(tmp_path)
