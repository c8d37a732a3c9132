"""Checkpoints: arrays held against their config, and the way into a model and out of it."""

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx

from pe.models.t5 import T5, T5Config, count_params
from pe.weights.checkpoint import (
    Checkpoint,
    StoredArray,
    check_arrays,
    list_names,
    load_params,
    param_shapes,
    params_to_arrays,
    stored,
)

CONFIG = T5Config(
    vocab_size=12,
    d_model=4,
    num_heads=2,
    head_dim=3,
    d_ff=5,
    num_encoder_layers=1,
    num_decoder_layers=1,
    activations=("relu",),
    dtype="float32",
)


def make_checkpoint(*, dtype=np.float32, **changes):
    rng = np.random.default_rng(0)
    arrays = {
        name: stored(rng.normal(size=shape).astype(dtype))
        for name, shape in param_shapes(CONFIG).items()
    }
    arrays |= {name: stored(array) for name, array in changes.items()}
    return Checkpoint(source="made", config=CONFIG, arrays=arrays)


def test_the_names_and_shapes_are_those_of_the_model():
    shapes = param_shapes(CONFIG)
    assert len(shapes) == 27
    assert shapes["embedding"] == (12, 4)
    assert shapes["encoder.relpos_bias.rel_embedding"] == (2, 32)
    assert shapes["decoder.layers.0.encoder_decoder_attention.query.kernel"] == (4, 6)
    assert shapes["decoder.layers.0.mlp.wi.0.kernel"] == (4, 5)
    assert shapes["decoder.logits_dense.kernel"] == (4, 12)
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == count_params(CONFIG)


def test_arrays_that_do_not_fit_are_named_with_their_shapes():
    checkpoint = make_checkpoint(embedding=np.zeros((13, 4), np.float32))
    arrays = dict(checkpoint.arrays)
    arrays["decoder.extra"] = arrays.pop("decoder.decoder_norm.scale")
    message = (
        r"^made does not hold the 27 arrays of the T5 that its config describes: missing: "
        r"decoder.decoder_norm.scale \[4\]; not expected: decoder.extra \[4\]; of another shape: "
        r"embedding is \[13, 4\], expected \[12, 4\]$"
    )
    with pytest.raises(ValueError, match=message):
        check_arrays(Checkpoint(source="made", config=CONFIG, arrays=arrays))
    with pytest.raises(ValueError, match="embedding is"):
        load_params(checkpoint)


def test_a_message_lists_the_first_few_names():
    assert list_names([]) == ""
    assert list_names("abc") == "a, b, c"
    assert list_names("abcdefg") == "a, b, c, d, e and 2 more"


@pytest.mark.parametrize("stored_as", ["float32", "bfloat16"])
@pytest.mark.parametrize("asked", [None, "float32", "bfloat16"])
def test_matrices_are_loaded_as_asked_for_and_what_is_used_in_float32_as_stored(stored_as, asked):
    checkpoint = make_checkpoint(dtype=np.dtype(getattr(ml_dtypes, stored_as, stored_as)))
    graph, params = load_params(checkpoint, dtype=asked)
    flat = {".".join(map(str, path)): leaf for path, leaf in nnx.to_flat_state(params)}
    assert len(flat) == 27
    matrices = {name for name in flat if name.endswith("kernel") or name == "embedding"}
    assert len(matrices) == 18
    assert {str(flat[name][...].dtype) for name in matrices} == {asked or stored_as}
    others = set(flat) - matrices  # norms' scales and position biases
    assert {str(flat[name][...].dtype) for name in others} == {stored_as}
    wanted = jnp.asarray(checkpoint.arrays["embedding"].read()).astype(asked or stored_as)
    model = nnx.merge(graph, params)
    assert isinstance(model, T5)
    np.testing.assert_array_equal(model.embedding[...], wanted)


def test_each_array_is_read_once_and_none_before_loading():
    reads = []
    checkpoint = make_checkpoint()

    def count(name, array):
        def read():
            reads.append(name)
            return array.read()

        return StoredArray(shape=array.shape, dtype=array.dtype, read=read)

    arrays = {name: count(name, array) for name, array in checkpoint.arrays.items()}
    counted = Checkpoint(source="made", config=CONFIG, arrays=arrays)
    check_arrays(counted)
    assert reads == []
    load_params(counted)
    assert sorted(reads) == sorted(arrays)


def test_a_models_parameters_come_back_as_the_arrays_they_were_loaded_from():
    checkpoint = make_checkpoint(dtype=ml_dtypes.bfloat16)
    _, params = load_params(checkpoint)
    arrays = params_to_arrays(params)
    assert list(arrays) == list(param_shapes(CONFIG))
    for name, array in arrays.items():
        wanted = checkpoint.arrays[name]
        assert (array.shape, array.dtype) == (wanted.shape, wanted.dtype)
        assert array.read().tobytes() == wanted.read().tobytes()
