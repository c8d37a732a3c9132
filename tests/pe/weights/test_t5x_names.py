"""T5X's names and shapes: both forms, both ways, and the arrays that are no T5's."""

import dataclasses
import functools

import ml_dtypes
import numpy as np
import pytest

from pe.models.t5 import T5Config
from pe.weights.checkpoint import Checkpoint, param_shapes, stored
from pe.weights.t5x_names import SOFT_PROMPT, from_t5x, to_t5x

T5_1_1 = T5Config(
    dtype="float32",
    vocab_size=20,
    d_model=8,
    num_heads=2,
    head_dim=3,
    d_ff=12,
    num_encoder_layers=2,
    num_decoder_layers=11,
)
UMT5 = dataclasses.replace(T5_1_1, layer_biases=True)
NAMES = {
    "embedding": "token_embedder.embedding",
    "encoder.relpos_bias.rel_embedding": "encoder.relpos_bias.rel_embedding",
    "encoder.layers.1.mlp.wi.0.kernel": "encoder.layers_1.mlp.wi_0.kernel",
    "encoder.layers.1.mlp.wi.1.kernel": "encoder.layers_1.mlp.wi_1.kernel",
    "decoder.layers.10.mlp.wo.kernel": "decoder.layers_10.mlp.wo.kernel",
    "decoder.layers.0.self_attention.key.kernel": "decoder.layers_0.self_attention.key.kernel",
    "decoder.logits_dense.kernel": "decoder.logits_dense.kernel",
}
SCANNED_SHAPES = {
    "encoder.encoder.attention.query.kernel": (8, 2, 2, 3),
    "encoder.encoder.attention.out.kernel": (2, 2, 3, 8),
    "encoder.encoder.mlp.wi_1.kernel": (8, 2, 12),
    "encoder.encoder.pre_mlp_layer_norm.scale": (8, 2),
    "encoder.encoder.relpos_bias.rel_embedding": (2, 2, 32),
    "decoder.decoder.encoder_decoder_attention.out.kernel": (2, 11, 3, 8),
    "decoder.decoder.relpos_bias.rel_embedding": (2, 11, 32),
    "decoder.decoder_norm.scale": (8,),
    "token_embedder.embedding": (20, 8),
}


@functools.cache
def make_checkpoint(config):
    rng = np.random.default_rng(0)
    arrays = {
        name: stored(rng.normal(size=shape).astype(np.float32))
        for name, shape in param_shapes(config).items()
    }
    return Checkpoint(source="drawn", config=config, arrays=arrays)


def t5x_arrays(config):
    """The arrays as T5X stores them, in memory: {name: values}."""
    arrays = {}
    for name, array in to_t5x(make_checkpoint(config), dtype=None).items():
        parts = [part.read() for part in array.parts]
        if array.is_scanned:
            shape = (array.shape[0], *array.shape[2:])
            arrays[name] = np.stack([part.reshape(shape) for part in parts], axis=1)
        else:
            arrays[name] = parts[0]
        assert arrays[name].shape == array.shape
    return arrays


def read_back(arrays):
    wrapped = {name: stored(values) for name, values in arrays.items()}
    config, ours = from_t5x(wrapped, source="x", dtype="float32")
    for array in ours.values():
        assert array.read().shape == array.shape
    return config, {name: array.read() for name, array in ours.items()}


def assert_reads_as(arrays, config):
    found, ours = read_back(arrays)
    assert found == config
    wanted = make_checkpoint(config).arrays
    assert ours.keys() == wanted.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, wanted[name].read(), err_msg=name)


def test_every_name_has_its_counterpart():
    wanted = make_checkpoint(T5_1_1).arrays
    theirs = t5x_arrays(T5_1_1)
    assert len(theirs) == len(wanted)
    for ours, name in NAMES.items():
        np.testing.assert_array_equal(theirs[name], wanted[ours].read())
    assert_reads_as(theirs, T5_1_1)


def test_one_activation_has_one_kernel_and_tied_logits_have_none():
    t5 = dataclasses.replace(
        T5_1_1, activations=("relu",), tied_logits=True, scaled_logits=True, num_decoder_layers=1
    )
    theirs = t5x_arrays(t5)
    assert "encoder.layers_0.mlp.wi.kernel" in theirs
    assert "decoder.logits_dense.kernel" not in theirs
    assert_reads_as(theirs, t5)


def test_umt5_has_its_layers_as_the_second_axis():
    theirs = t5x_arrays(UMT5)
    assert {name: theirs[name].shape for name in SCANNED_SHAPES} == SCANNED_SHAPES
    wanted = make_checkpoint(UMT5).arrays
    np.testing.assert_array_equal(
        theirs["decoder.decoder.self_attention.key.kernel"][:, 10].reshape(8, 6),
        wanted["decoder.layers.10.self_attention.key.kernel"].read(),
    )
    np.testing.assert_array_equal(
        theirs["encoder.encoder.attention.out.kernel"][:, 1].reshape(6, 8),
        wanted["encoder.layers.1.attention.out.kernel"].read(),
    )
    assert_reads_as(theirs, UMT5)


def test_scanned_kernels_with_heads_joined_are_read_too():
    theirs = t5x_arrays(UMT5)
    out = "decoder.decoder.encoder_decoder_attention.out.kernel"
    query = "decoder.decoder.encoder_decoder_attention.query.kernel"
    theirs[out] = np.moveaxis(theirs[out], 1, 0).reshape(11, 6, 8).swapaxes(0, 1)
    theirs[query] = theirs[query].reshape(8, 11, 6)
    assert_reads_as(theirs, UMT5)


def test_a_scanned_t5_may_share_its_position_bias():
    theirs = t5x_arrays(UMT5)
    for stack in ("encoder", "decoder"):
        del theirs[f"{stack}.{stack}.relpos_bias.rel_embedding"]
        bias = make_checkpoint(T5_1_1).arrays[f"{stack}.relpos_bias.rel_embedding"].read()
        theirs[f"{stack}.relpos_bias.rel_embedding"] = bias
    config, ours = read_back(theirs)
    assert config == T5_1_1
    assert ours.keys() == make_checkpoint(T5_1_1).arrays.keys()


def test_kernels_with_heads_apart_are_joined():
    theirs = t5x_arrays(T5_1_1)
    for name, shape in (("key", (8, 2, 3)), ("out", (2, 3, 8))):
        key = f"encoder.layers_0.attention.{name}.kernel"
        theirs[key] = theirs[key].reshape(shape)
    assert_reads_as(theirs, T5_1_1)


def test_a_soft_prompt_is_left_out():
    assert_reads_as({**t5x_arrays(T5_1_1), SOFT_PROMPT: np.ones((3, 8), np.float32)}, T5_1_1)


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("encoder.layers_0.mlp.wi.kernel", (8, 12), r"wi_0\.kernel and .*wi\.kernel, which are"),
        ("encoder.layers_7.mlp.wo.kernel", (12, 8), r"layers \[0, 1, 7\] of the encoder; expected"),
        ("encoder.encoder_norm.scale", (8, 1), r"scale is \[8, 1\]; expected an array of 1 axes"),
        ("decoder.decoder.mlp.wo.kernel", (12, 8), r"is \[12, 8\]; expected an array of 3 axes"),
        ("encoder.relpos_bias.rel_embedding", (4, 32), "6 wide and .* has 4 heads"),
    ],
)
def test_arrays_of_no_t5_are_refused(name, shape, told):
    with pytest.raises(ValueError, match=told):
        read_back({**t5x_arrays(T5_1_1), name: np.ones(shape, np.float32)})


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ("token_embedder", "x holds no embedding, which tells a size"),
        ("decoder.layers_", r"x holds the layers \[\] of the decoder"),
        ("encoder.relpos_bias", r"x holds no encoder\.layers\.0\.relpos_bias\.rel_embedding"),
        ("encoder.layers_0.mlp.wi_0", r"x holds no encoder\.layers\.0\.mlp\.wi\.0\.kernel"),
    ],
)
def test_an_array_that_tells_a_size_is_needed(start, told):
    theirs = {k: v for k, v in t5x_arrays(T5_1_1).items() if not k.startswith(start)}
    with pytest.raises(ValueError, match=told):
        read_back(theirs)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tied_logits": True}, "scaled_logits is False, read back as True"),
        ({"activations": ("silu", "linear")}, r"activations is .*, read back as"),
        ({"max_distance": 64}, "max_distance is 64, read back as 128"),
    ],
)
def test_a_t5_that_the_format_cannot_tell_is_not_renamed(changes, told):
    changes = {"num_decoder_layers": 1, **changes}
    with pytest.raises(ValueError, match=told):
        to_t5x(make_checkpoint(dataclasses.replace(T5_1_1, **changes)), dtype=None)


def test_scanned_layers_of_several_types_need_a_type_to_write():
    checkpoint = make_checkpoint(UMT5)
    name = "encoder.layers.1.mlp.wo.kernel"
    half = stored(checkpoint.arrays[name].read().astype(ml_dtypes.bfloat16))
    mixed = dataclasses.replace(checkpoint, arrays={**checkpoint.arrays, name: half})
    with pytest.raises(ValueError, match="its layers are stored as bfloat16 and float32"):
        to_t5x(mixed, dtype=None)
    written = to_t5x(mixed, dtype="float32")["encoder.encoder.mlp.wo.kernel"]
    assert written.dtype == np.float32
