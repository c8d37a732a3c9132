"""Our own model folder: whole or absent, and what it says when it is neither."""

import json

import jax
import ml_dtypes
import numpy as np
import pytest

from pe.models.t5 import T5Config
from pe.weights.checkpoint import Checkpoint, load_params, param_shapes, stored
from pe.weights.pe_folder import is_pe_folder, new_folder, open_pe, read_description, write_pe

CONFIG = T5Config(
    vocab_size=12,
    d_model=4,
    num_heads=2,
    head_dim=3,
    d_ff=5,
    num_encoder_layers=1,
    num_decoder_layers=2,
    activations=("relu",),
    tied_logits=True,
    dtype="float32",
)
EXPANDER = {"max_input_tokens": 64, "template": "{prefix} {query}", "prefixes": ["FLV", "DTL"]}


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint of mixed types and a vocabulary."""
    rng = np.random.default_rng(0)
    arrays = {
        name: stored(
            rng.normal(size=shape).astype(np.float32 if len(shape) == 1 else ml_dtypes.bfloat16)
        )
        for name, shape in param_shapes(CONFIG).items()
    }
    (tmp_path / "spiece.model").write_bytes(b"pieces")
    return Checkpoint(
        source="made", config=CONFIG, arrays=arrays, vocabulary=tmp_path / "spiece.model"
    )


def rewrite(folder, **changes):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_was_written_is_opened_bit_for_bit(tmp_path, checkpoint):
    folder = tmp_path / "out" / "small"
    write_pe(checkpoint, folder, expander=EXPANDER, step=300)
    assert sorted(path.name for path in folder.iterdir()) == [
        "model.json",
        "vocabulary.model",
        "weights.safetensors",
    ]
    assert [path.name for path in folder.parent.iterdir()] == ["small"]
    opened, expander = open_pe(folder)
    assert expander == EXPANDER
    assert opened.source == str(folder)
    assert opened.config == CONFIG
    assert opened.vocabulary == folder / "vocabulary.model"
    assert opened.vocabulary.read_bytes() == b"pieces"
    assert sorted(opened.arrays) == sorted(checkpoint.arrays)
    for name, array in checkpoint.arrays.items():
        assert opened.arrays[name].dtype == array.dtype
        assert opened.arrays[name].read().tobytes() == array.read().tobytes()
    description = read_description(folder)
    assert (description["format"], description["version"]) == ("prompt-expansion model", 1)
    assert (description["name"], description["step"]) == ("small", 300)
    _, params = load_params(opened)
    assert len(jax.tree.leaves(params)) == len(checkpoint.arrays)


def test_a_tokenizer_json_keeps_its_name_and_a_vocabulary_may_be_absent(tmp_path, checkpoint):
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    kinds = {"a": tmp_path / "tokenizer.json", "b": None}
    for name, vocabulary in kinds.items():
        made = Checkpoint(
            source="made", config=CONFIG, arrays=checkpoint.arrays, vocabulary=vocabulary
        )
        write_pe(made, tmp_path / name, expander={}, name="of its own")
    assert open_pe(tmp_path / "a")[0].vocabulary == tmp_path / "a" / "tokenizer.json"
    assert open_pe(tmp_path / "b")[0].vocabulary is None
    assert read_description(tmp_path / "b")["name"] == "of its own"


def test_only_a_folder_that_says_so_is_one_of_ours(tmp_path, checkpoint):
    write_pe(checkpoint, tmp_path / "a", expander={})
    assert is_pe_folder(tmp_path / "a")
    assert not is_pe_folder(tmp_path)
    assert not is_pe_folder(tmp_path / "absent")
    for text in ("{}", "[]", "{", '{"format": "another"}'):
        (tmp_path / "a/model.json").write_text(text)
        assert not is_pe_folder(tmp_path / "a")


def test_a_folder_that_is_not_whole_says_what_is_wrong(tmp_path, checkpoint):
    with pytest.raises(ValueError, match=r"is no model folder: it holds no model.json"):
        open_pe(tmp_path)
    folder = tmp_path / "a"
    write_pe(checkpoint, folder, expander={})
    whole = json.loads((folder / "model.json").read_text())
    rewrite(folder, version=2)
    assert is_pe_folder(folder)
    with pytest.raises(ValueError, match=r"is of version 2, expected 1; install the release"):
        open_pe(folder)
    rewrite(folder, version=1, expander=None)
    with pytest.raises(ValueError, match=r"'expander' is missing or no JSON object"):
        open_pe(folder)
    rewrite(folder, expander={}, model=whole["model"] | {"depth": 3})
    with pytest.raises(ValueError, match=r"model.json: T5Config has no field 'depth'"):
        open_pe(folder)
    rewrite(folder, model=whole["model"] | {"d_model": "wide"})
    with pytest.raises(ValueError, match=r"model.json: "):
        open_pe(folder)
    rewrite(folder, model=whole["model"] | {"d_ff": 6})
    with pytest.raises(ValueError, match=r"of another shape: .*mlp.wi.0.kernel is \[4, 5\]"):
        open_pe(folder)
    rewrite(folder, format="another")
    with pytest.raises(ValueError, match=r"does not describe a model"):
        open_pe(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(ValueError, match=r"model.json is not JSON"):
        open_pe(folder)
    (folder / "model.json").write_text(json.dumps(whole))
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ValueError, match=r"weights.safetensors not found"):
        open_pe(folder)


def test_a_destination_in_use_is_refused_and_a_failed_write_leaves_nothing(tmp_path, checkpoint):
    with pytest.raises(ValueError, match="exists and is not empty; give a new folder"):
        write_pe(checkpoint, tmp_path, expander={})
    with pytest.raises(ValueError, match="exists and is not empty"):
        write_pe(checkpoint, tmp_path / "spiece.model", expander={})
    with pytest.raises(ValueError, match="the expander's settings are not JSON"):
        write_pe(checkpoint, tmp_path / "a", expander={"prefixes": {1}})
    (tmp_path / "spiece.model").unlink()
    with pytest.raises(ValueError, match=r"the vocabulary .*spiece.model is not there any more"):
        write_pe(checkpoint, tmp_path / "a", expander={})
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_does_not_get_into_the_folder(tmp_path):
    (tmp_path / ".tmp-a").mkdir()
    (tmp_path / ".tmp-a" / "half").write_bytes(b"")
    (tmp_path / "a").mkdir()
    with new_folder(tmp_path / "a") as temporary:
        (temporary / "whole").write_bytes(b"")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["a", "a/whole"]
