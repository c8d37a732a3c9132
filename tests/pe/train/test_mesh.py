"""Where the arrays of training lie: axes that fill the devices up, and dimensions that are cut."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from pe.models.partitioning import param_axes
from pe.train.mesh import Layout, MeshConfig, imagined_mesh, make_mesh, mesh_shape, place_rows
from pe.train.step import TrainState

MESH = MeshConfig(data=2, fsdp=2, tensor=2)


@pytest.fixture(scope="module")
def layout():
    """Of eight devices that need not be there."""
    return Layout(imagined_mesh(MESH), MESH.axis_rules)


def test_data_takes_the_devices_that_are_left():
    assert mesh_shape(MeshConfig(), 8) == (8, 1, 1)
    assert mesh_shape(MeshConfig(fsdp=2, tensor=2), 8) == (2, 2, 2)


@pytest.mark.parametrize("config", [MeshConfig(fsdp=3), MeshConfig(data=4), MeshConfig(tensor=16)])
def test_axes_that_do_not_fill_the_devices_are_refused(config):
    with pytest.raises(ValueError, match=r"does not fill the 8 devices there are"):
        mesh_shape(config, 8)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data": 0}, r"MeshConfig\.data: got 0"),
        ({"fsdp": -1}, r"MeshConfig\.fsdp: got -1"),
        ({"rules": (("embed", "model"),)}, r"names the mesh axes \['model'\]"),
        ({"rules": (("embeded", "fsdp"),)}, r"is of no logical axis; there are \['batch'"),
    ],
)
def test_a_setting_out_of_range_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        MeshConfig(**fields)


def test_matrices_are_cut_along_fsdp_and_tensor(layout):
    name = "encoder.layers.0.attention.query.kernel"
    sharding = layout.of_param(name, (8, 6), param_axes(name, 2))
    assert sharding.spec == PartitionSpec("fsdp", "tensor")
    assert sharding.shard_shape((8, 6)) == (4, 3)
    assert layout.num_row_shards == 4


def test_a_dimension_that_cannot_be_cut_is_named(layout):
    with pytest.raises(ValueError, match=r"embedding \[7, 8\]: its axis 'vocab' of 7 cannot"):
        layout.of_param("embedding", (7, 8), param_axes("embedding", 2))


def test_moments_lie_beside_their_parameter_and_the_rest_everywhere(layout):
    name = "encoder.layers.0.mlp.wo.kernel"
    shapes = {name: jax.ShapeDtypeStruct((6, 8), jnp.float32)}
    params = layout.of_params(shapes, param_axes)
    state = TrainState(
        step=jax.ShapeDtypeStruct((), jnp.int32),
        params=shapes,
        opt_state={"mu": shapes, "row": {name: jax.ShapeDtypeStruct((6,), jnp.float32)}},
        ema={},
        sums={},
    )
    placed = layout.of_state(state, shapes, params)
    assert placed.params[name] == placed.opt_state["mu"][name] == params[name]
    assert params[name].spec == PartitionSpec("tensor", "fsdp")
    assert placed.opt_state["row"][name].spec == placed.step.spec == PartitionSpec()


def test_rows_of_this_host_become_a_global_batch():
    layout = Layout(make_mesh(MeshConfig()), MeshConfig().axis_rules)
    batch = place_rows({"x": np.arange(6).reshape(3, 2)}, layout)
    assert isinstance(batch["x"], jax.Array)
    np.testing.assert_array_equal(batch["x"], [[0, 1], [2, 3], [4, 5]])
