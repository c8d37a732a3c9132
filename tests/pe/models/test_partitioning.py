"""Logical axes of parameters and activations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AbstractMesh, Mesh, PartitionSpec

from pe.models.blueprint import draw_blueprint
from pe.models.partitioning import (
    AXIS_RULES,
    MESH_AXES,
    constrain,
    make_spec,
    param_axes,
    use_mesh,
)
from pe.models.t5 import T5
from pe.models.t5_config import T5Config

RULES = {rule[0]: tuple(rule[1:]) for rule in AXIS_RULES}


def test_logical_axes_become_mesh_axes():
    assert make_spec(("batch", None, None), RULES) == PartitionSpec(("data", "fsdp"), None, None)
    assert make_spec(("embed", "heads"), RULES) == PartitionSpec("fsdp", "tensor")
    assert make_spec(("embed", "unheard of"), RULES) == PartitionSpec("fsdp", None)


def test_every_matrix_of_a_t5_has_axes_and_small_arrays_lie_whole():
    config = T5Config(num_encoder_layers=1, num_decoder_layers=1)
    shapes = draw_blueprint(lambda: T5(config, rngs=nnx.Rngs(0))).shapes
    whole = {
        name
        for name, shape in shapes.items()
        if param_axes(name, len(shape)) == (None,) * len(shape)
    }
    assert whole == {name for name in shapes if name.endswith(("scale", "rel_embedding"))}
    assert param_axes("decoder.layers.3.encoder_decoder_attention.key.kernel", 2) == (
        "embed",
        "heads",
    )
    assert param_axes("encoder.layers.0.attention.out.kernel", 2) == ("heads", "embed")
    assert param_axes("encoder.layers.0.mlp.wi.1.kernel", 2) == ("embed", "mlp")
    assert param_axes("encoder.layers.0.mlp.wo.kernel", 2) == ("mlp", "embed")


def test_without_a_mesh_or_on_one_device_nothing_is_constrained():
    x = jnp.ones((2, 3))
    assert constrain(x, "batch", None) is x
    with use_mesh(Mesh(np.array(jax.devices()[:1]).reshape(1, 1, 1), MESH_AXES), RULES):
        assert constrain(x, "batch", None) is x
    assert constrain(x, "batch", None) is x


@pytest.mark.parametrize("shape", [(4, 1, 1), (2, 2, 1)])
def test_on_a_mesh_rows_are_dealt(shape):
    with use_mesh(AbstractMesh(shape, MESH_AXES), RULES):
        jaxpr = jax.make_jaxpr(lambda x: constrain(x, "batch", None))(jnp.ones((4, 3)))
    assert "PartitionSpec(('data', 'fsdp'), None)" in str(jaxpr) or "('data', 'fsdp')" in str(jaxpr)
