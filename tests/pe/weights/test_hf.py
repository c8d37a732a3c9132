"""The transformers layout: against transformers itself, and by hand where it is not installed."""

import json
import re
import shutil

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from pe.models.t5 import T5Config
from pe.weights.checkpoint import Checkpoint, check_arrays, load_params, stored
from pe.weights.hf import explain_no_weights, open_hf, write_hf

CONFIG = {
    "model_type": "t5",
    "architectures": ["T5ForConditionalGeneration"],
    "vocab_size": 12,
    "d_model": 4,
    "d_kv": 3,
    "d_ff": 5,
    "num_layers": 1,
    "num_heads": 2,
    "relative_attention_num_buckets": 8,
    "feed_forward_proj": "relu",
    "layer_norm_epsilon": 1e-6,
    "dropout_rate": 0.1,
}
# Name, shape, and the name here, of a T5 1.0 with one layer a stack
ARRAYS = """
shared.weight 12,4 embedding
encoder.block.0.layer.0.layer_norm.weight 4 encoder.layers.0.pre_attention_layer_norm.scale
encoder.block.0.layer.0.SelfAttention.q.weight 6,4 encoder.layers.0.attention.query.kernel
encoder.block.0.layer.0.SelfAttention.k.weight 6,4 encoder.layers.0.attention.key.kernel
encoder.block.0.layer.0.SelfAttention.v.weight 6,4 encoder.layers.0.attention.value.kernel
encoder.block.0.layer.0.SelfAttention.o.weight 4,6 encoder.layers.0.attention.out.kernel
encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight 8,2 \
encoder.relpos_bias.rel_embedding
encoder.block.0.layer.1.layer_norm.weight 4 encoder.layers.0.pre_mlp_layer_norm.scale
encoder.block.0.layer.1.DenseReluDense.wi.weight 5,4 encoder.layers.0.mlp.wi.0.kernel
encoder.block.0.layer.1.DenseReluDense.wo.weight 4,5 encoder.layers.0.mlp.wo.kernel
encoder.final_layer_norm.weight 4 encoder.encoder_norm.scale
decoder.block.0.layer.0.layer_norm.weight 4 decoder.layers.0.pre_self_attention_layer_norm.scale
decoder.block.0.layer.0.SelfAttention.q.weight 6,4 decoder.layers.0.self_attention.query.kernel
decoder.block.0.layer.0.SelfAttention.k.weight 6,4 decoder.layers.0.self_attention.key.kernel
decoder.block.0.layer.0.SelfAttention.v.weight 6,4 decoder.layers.0.self_attention.value.kernel
decoder.block.0.layer.0.SelfAttention.o.weight 4,6 decoder.layers.0.self_attention.out.kernel
decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight 8,2 \
decoder.relpos_bias.rel_embedding
decoder.block.0.layer.1.layer_norm.weight 4 decoder.layers.0.pre_cross_attention_layer_norm.scale
decoder.block.0.layer.1.EncDecAttention.q.weight 6,4 \
decoder.layers.0.encoder_decoder_attention.query.kernel
decoder.block.0.layer.1.EncDecAttention.k.weight 6,4 \
decoder.layers.0.encoder_decoder_attention.key.kernel
decoder.block.0.layer.1.EncDecAttention.v.weight 6,4 \
decoder.layers.0.encoder_decoder_attention.value.kernel
decoder.block.0.layer.1.EncDecAttention.o.weight 4,6 \
decoder.layers.0.encoder_decoder_attention.out.kernel
decoder.block.0.layer.2.layer_norm.weight 4 decoder.layers.0.pre_mlp_layer_norm.scale
decoder.block.0.layer.2.DenseReluDense.wi.weight 5,4 decoder.layers.0.mlp.wi.0.kernel
decoder.block.0.layer.2.DenseReluDense.wo.weight 4,5 decoder.layers.0.mlp.wo.kernel
decoder.final_layer_norm.weight 4 decoder.decoder_norm.scale
"""
ROWS = [line.split() for line in ARRAYS.strip().splitlines()]


def make_arrays(*, dtype="float32"):
    rng = np.random.default_rng(0)
    dtype = np.dtype(getattr(ml_dtypes, dtype, dtype))
    return {
        name: rng.normal(size=[int(n) for n in shape.split(",")]).astype(dtype)
        for name, shape, _ in ROWS
    }


def write_folder(folder, arrays=None, config=None, **changes):
    folder.mkdir(exist_ok=True)
    values = {**(CONFIG if config is None else config), **changes}
    (folder / "config.json").write_text(json.dumps(values))
    arrays = make_arrays() if arrays is None else arrays
    safetensors.numpy.save_file(arrays, folder / "model.safetensors")
    return folder


def write_shards(folder, arrays):
    """Two shards and their index."""
    write_folder(folder)
    (folder / "model.safetensors").unlink()
    names = sorted(arrays)
    shards = {"model-1.safetensors": names[:9], "model-2.safetensors": names[9:]}
    for file, part in shards.items():
        safetensors.numpy.save_file({name: arrays[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in shards.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def read_folder(folder):
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= safetensors.numpy.load_file(path)
    return found


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_t5_1_0_arrives_array_by_array_under_our_names_and_the_right_way_round(tmp_path):
    arrays = make_arrays()
    checkpoint = open_hf(write_folder(tmp_path / "a", arrays), source="org/a")
    assert checkpoint.source == "org/a"
    assert checkpoint.vocabulary is None
    assert checkpoint.config == T5Config(
        vocab_size=12,
        d_model=4,
        num_heads=2,
        head_dim=3,
        d_ff=5,
        num_encoder_layers=1,
        num_decoder_layers=1,
        activations=("relu",),
        dropout_rate=0.1,
        num_buckets=8,
        tied_logits=True,
        scaled_logits=True,
    )
    check_arrays(checkpoint)
    assert len(checkpoint.arrays) == 26
    for name, _, ours in ROWS:
        turned = ours.endswith(("kernel", "rel_embedding"))
        wanted = arrays[name].T if turned else arrays[name]
        np.testing.assert_array_equal(checkpoint.arrays[ours].read(), wanted)


@pytest.mark.parametrize(
    ("changes", "head", "tied", "scaled"),
    [
        ({}, False, True, True),
        ({"tie_word_embeddings": True}, True, False, True),
        ({"tie_word_embeddings": False}, True, False, False),
        ({"tie_word_embeddings": True, "scale_decoder_outputs": False}, True, False, False),
        ({"tie_word_embeddings": False, "scale_decoder_outputs": True}, False, True, True),
        ({"model_type": "mt5", "tie_word_embeddings": True}, False, True, False),
        ({"model_type": "mt5", "tie_word_embeddings": False}, True, False, False),
        ({"model_type": "umt5"}, False, True, True),
        ({"model_type": "umt5", "tie_word_embeddings": False}, True, False, False),
    ],
)
def test_logits_are_tied_by_the_files_and_scaled_by_the_config(
    tmp_path, changes, head, tied, scaled
):
    arrays = make_arrays() | ({"lm_head.weight": np.ones((12, 4), np.float32)} if head else {})
    folder = write_folder(tmp_path / "a", arrays, feed_forward_proj="relu", **changes)
    config = open_hf(folder).config
    assert (config.tied_logits, config.scaled_logits) == (tied, scaled)


def test_shards_are_read_through_their_index(tmp_path):
    arrays = make_arrays(dtype="bfloat16")
    checkpoint = open_hf(write_shards(tmp_path / "a", arrays))
    embedding = checkpoint.arrays["embedding"].read()
    assert embedding.dtype == ml_dtypes.bfloat16
    assert embedding.tobytes() == arrays["shared.weight"].tobytes()
    check_arrays(checkpoint)


def test_float16_reads_as_the_same_numbers_in_float32(tmp_path):
    arrays = make_arrays(dtype="float16")
    checkpoint = open_hf(write_folder(tmp_path / "a", arrays))
    assert {array.dtype.name for array in checkpoint.arrays.values()} == {"float32"}
    values = checkpoint.arrays["embedding"].read()
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, arrays["shared.weight"].astype(np.float32))


def test_old_files_copies_of_the_embedding_and_the_bias_never_used_are_left_out(tmp_path):
    arrays = make_arrays()
    extra = {
        "encoder.embed_tokens.weight": arrays["shared.weight"],
        "decoder.embed_tokens.weight": arrays["shared.weight"],
        "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight": np.ones((8, 2)),
    }
    checkpoint = open_hf(write_folder(tmp_path / "a", arrays | extra))
    assert len(checkpoint.arrays) == 26
    shared = arrays.pop("shared.weight")
    del extra["decoder.embed_tokens.weight"]
    checkpoint = open_hf(write_folder(tmp_path / "b", arrays | extra))
    np.testing.assert_array_equal(checkpoint.arrays["embedding"].read(), shared)


def test_copies_of_the_embedding_that_differ_by_a_bit_are_an_error(tmp_path):
    arrays = make_arrays()
    other = arrays["shared.weight"].copy()
    other[3, 2] = np.nextafter(other[3, 2], 9)
    folder = write_folder(tmp_path / "a", arrays | {"decoder.embed_tokens.weight": other})
    with pytest.raises(ValueError, match=r"shared.weight and decoder.embed_tokens.weight differ"):
        open_hf(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("llama", r"^m is a llama model \(LlamaForCausalLM\); expected an encoder-decoder of the "),
        ("longt5", r"^m is a longt5 model .*expected .* T5 family: t5, mt5 or umt5"),
        ("switch_transformers", r"^m is a switch_transformers model"),
        (None, r"^m has a config.json without a model_type; expected"),
    ],
)
def test_other_models_are_refused_by_their_name(tmp_path, name, message):
    folder = write_folder(tmp_path / "a", model_type=name, architectures=["LlamaForCausalLM"])
    with pytest.raises(ValueError, match=message):
        open_hf(folder, source="m")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 13}, r"the embedding has 12 rows, config.json says vocab_size 13"),
        ({"d_kv": "3"}, r"config.json: expected whole numbers, got head_dim '3'"),
        ({"d_model": 0}, r"config.json: T5Config.d_model: got 0, expected 1 or more"),
        ({"dropout_rate": 2}, r"config.json: T5Config.dropout_rate: got 2.0"),
        ({"quantization_config": {"bits": 4}}, r"holds quantised weights"),
        ({"num_layers": 2}, r"missing: encoder.block.1.layer.0.layer_norm.weight, .* and 16 more"),
        ({"feed_forward_proj": "gated-gelu"}, r"not expected: decoder.*DenseReluDense.wi.weight"),
    ],
)
def test_a_config_that_does_not_fit_is_an_error(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        open_hf(write_folder(tmp_path / "a", **changes))


def test_a_config_that_lacks_a_size_or_is_no_json_is_an_error(tmp_path):
    folder = write_folder(tmp_path / "a")
    values = {name: value for name, value in CONFIG.items() if name != "d_ff"}
    write_folder(folder, config=values)
    with pytest.raises(ValueError, match=r"config.json lacks 'd_ff'; copy it again"):
        open_hf(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json is not JSON"):
        open_hf(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"config.json is no JSON object"):
        open_hf(folder)


def test_weights_that_are_not_those_of_the_model_are_an_error(tmp_path):
    arrays = make_arrays()
    lora = {"decoder.lora_A.weight": np.ones(2, np.float32)}
    with pytest.raises(ValueError, match=r"26 arrays that .*not expected: decoder.lora_A.weight$"):
        open_hf(write_folder(tmp_path / "a", arrays | lora))
    encoder = {name: array for name, array in arrays.items() if "decoder" not in name}
    with pytest.raises(ValueError, match="holds an encoder alone; expected an encoder-decoder"):
        open_hf(write_folder(tmp_path / "b", encoder))
    quantised = arrays | {"shared.weight": np.ones((12, 4), np.int8)}
    with pytest.raises(ValueError, match=r"shared.weight is int8; expected float32, bfloat16"):
        open_hf(write_folder(tmp_path / "c", quantised))
    wide = arrays | {"encoder.final_layer_norm.weight": np.ones(5, np.float32)}
    checkpoint = open_hf(write_folder(tmp_path / "d", wide))
    with pytest.raises(ValueError, match=r"encoder_norm.scale is \[5\], expected \[4\]"):
        load_params(checkpoint)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "flax_model.msgpack", "tf_model.h5"]
)
def test_files_that_can_run_code_are_refused_with_the_way_out(tmp_path, name):
    folder = write_folder(tmp_path / "a")
    (folder / "model.safetensors").rename(folder / name)
    message = rf"only as {name}; expected model.safetensors or .*you trust: load the model with the"
    with pytest.raises(ValueError, match=message):
        open_hf(folder)
    message = rf"^x holds its weights only as {name}; expected a.safetensors. Reading"
    assert re.search(message, explain_no_weights("x", [name], expected="a.safetensors"))


def test_a_folder_without_weights_or_config_says_what_was_expected(tmp_path):
    folder = write_folder(tmp_path / "a")
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    message = r"expected model.safetensors or model.safetensors.index.json, found other.safetensors"
    with pytest.raises(ValueError, match=message):
        open_hf(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match=r"holds no config.json; .* found other.safetensors$"):
        open_hf(folder)
    with pytest.raises(ValueError, match=r"holds no config.json; .* found nothing$"):
        open_hf(tmp_path / "absent")


def test_shards_that_are_missing_or_of_another_model_are_an_error(tmp_path):
    folder = write_shards(tmp_path / "a", make_arrays())
    index = folder / "model.safetensors.index.json"
    (folder / "model-2.safetensors").rename(folder / "kept")
    message = r"lacks 1 of the 2 files that model.safetensors.index.json names: model-2.safetensors"
    with pytest.raises(ValueError, match=message):
        open_hf(folder)
    shutil.copy(folder / "model-1.safetensors", folder / "model-2.safetensors")
    with pytest.raises(ValueError, match=r"model-2.safetensors and model.*index.json disagree on"):
        open_hf(folder)
    for bad in ({}, {"weight_map": {"a": "../a.safetensors"}}, {"weight_map": {"a": 3}}):
        index.write_text(json.dumps(bad))
        with pytest.raises(ValueError, match="has no weight_map of names to files beside it"):
            open_hf(folder)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_was_read_is_written_again_bit_for_bit(tmp_path, dtype):
    arrays = make_arrays(dtype=dtype)
    checkpoint = open_hf(write_folder(tmp_path / "a", arrays))
    write_hf(checkpoint, tmp_path / "b", generation={"max_new_tokens": 64})
    found = read_folder(tmp_path / "b")
    assert sorted(found) == sorted(arrays)
    assert all(found[name].tobytes() == arrays[name].tobytes() for name in arrays)
    assert all(found[name].shape == arrays[name].shape for name in arrays)
    config = read_json(tmp_path / "b/config.json")
    assert config.items() >= (CONFIG | {"dtype": dtype, "torch_dtype": dtype}).items()
    assert (config["tie_word_embeddings"], config["scale_decoder_outputs"]) == (True, True)
    assert read_json(tmp_path / "b/generation_config.json") == {
        "decoder_start_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "max_new_tokens": 64,
    }
    names = sorted(path.name for path in (tmp_path / "b").iterdir())
    assert names == ["config.json", "generation_config.json", "model.safetensors"]
    assert open_hf(tmp_path / "b").config == checkpoint.config


def test_float16_is_written_as_the_float32_that_it_reads_as(tmp_path):
    opened = open_hf(write_folder(tmp_path / "a"))
    arrays = {name: stored(a.read().astype(np.float16)) for name, a in opened.arrays.items()}
    write_hf(Checkpoint(source="made", config=opened.config, arrays=arrays), tmp_path / "b")
    assert read_json(tmp_path / "b/config.json")["dtype"] == "float32"
    assert {array.dtype.name for array in read_folder(tmp_path / "b").values()} == {"float32"}


def test_weights_are_cut_into_shards_of_at_most_the_size_asked_for(tmp_path):
    arrays = make_arrays()
    checkpoint = open_hf(write_folder(tmp_path / "a", arrays))
    write_hf(checkpoint, tmp_path / "b", max_shard_bytes=500)
    index = read_json(tmp_path / "b/model.safetensors.index.json")
    total_bytes = sum(array.nbytes for array in arrays.values())
    assert index["metadata"] == {"total_size": total_bytes}
    files = sorted(set(index["weight_map"].values()))
    assert files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    assert len(files) >= total_bytes / 500
    for file in files:
        part = safetensors.numpy.load_file(tmp_path / "b" / file)
        assert sum(array.nbytes for array in part.values()) <= 500
        assert set(part) == {n for n, f in index["weight_map"].items() if f == file}
        with safetensors.safe_open(tmp_path / "b" / file, "numpy") as shard:
            assert shard.metadata() == {"format": "pt"}
    assert open_hf(tmp_path / "b").config == checkpoint.config
    with pytest.raises(ValueError, match="max_shard_bytes: got 0, expected 1 or more"):
        write_hf(checkpoint, tmp_path / "c", max_shard_bytes=0)


def test_an_array_larger_than_a_shard_has_one_of_its_own(tmp_path):
    checkpoint = open_hf(write_folder(tmp_path / "a"))
    write_hf(checkpoint, tmp_path / "b", max_shard_bytes=1)
    assert len(list((tmp_path / "b").glob("model-*-of-00026.safetensors"))) == 26
    check_arrays(open_hf(tmp_path / "b"))


def test_a_destination_in_use_is_refused_and_a_failed_write_leaves_nothing(tmp_path):
    checkpoint = open_hf(write_folder(tmp_path / "a"))
    with pytest.raises(ValueError, match="exists and is not empty; give a new folder"):
        write_hf(checkpoint, tmp_path / "a")
    (tmp_path / "a/model.safetensors").write_bytes(b"")
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match="has become shorter since it was opened"):
        write_hf(checkpoint, tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert list((tmp_path / "b").iterdir()) == []


def test_a_vocabulary_is_found_beside_the_weights_sentencepiece_first(tmp_path):
    folder = write_folder(tmp_path / "a")
    for name in ("tokenizer.json", "sentencepiece.model", "spiece.model"):
        (folder / name).write_bytes(b"")
        assert open_hf(folder).vocabulary == folder / name
