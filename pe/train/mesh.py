"""The devices as a mesh of data, fsdp and tensor axes, and where the arrays of training lie on it.

Rows are dealt over data and fsdp; parameters are cut along fsdp and tensor by their logical axes
(pe.models.partitioning). Knows no network.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from pe.models.partitioning import AXIS_RULES, MESH_AXES, AnyMesh, Axes, AxisRules, make_spec


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeshConfig:
    """How many devices along each axis; `data` -1 takes all that are left.

    `rules`: a logical axis and the mesh axes that share it.
    """

    data: int = -1
    fsdp: int = 1
    tensor: int = 1
    rules: tuple[tuple[str, ...], ...] = AXIS_RULES

    def __post_init__(self) -> None:
        for name in MESH_AXES:
            size = getattr(self, name)
            if size < 1 and not (name == "data" and size == -1):
                raise ValueError(f"MeshConfig.{name}: got {size}, expected 1 or more")
        known = [rule[0] for rule in AXIS_RULES]
        for rule in self.rules:
            if not rule or rule[0] not in known:
                raise ValueError(
                    f"MeshConfig.rules: {rule} is of no logical axis; there are {known}"
                )
            if unknown := set(rule[1:]) - set(MESH_AXES):
                raise ValueError(
                    f"MeshConfig.rules: {rule} names the mesh axes {sorted(unknown)}, expected "
                    f"{MESH_AXES}"
                )

    @property
    def axis_rules(self) -> AxisRules:
        """Return {logical axis: mesh axes}."""
        return {rule[0]: tuple(rule[1:]) for rule in self.rules}


def mesh_shape(config: MeshConfig, num_devices: int) -> tuple[int, int, int]:
    """Return the sizes of data, fsdp and tensor. Raises ValueError when they do not fill up."""
    rest = config.fsdp * config.tensor
    data = num_devices // rest if config.data == -1 else config.data
    if data * rest != num_devices:
        raise ValueError(
            f"MeshConfig: data {config.data} x fsdp {config.fsdp} x tensor {config.tensor} does "
            f"not fill the {num_devices} devices there are; expected sizes whose product is "
            f"{num_devices}"
        )
    return data, config.fsdp, config.tensor


def make_mesh(config: MeshConfig) -> Mesh:
    """Lay out all devices of all hosts. Raises ValueError when the axes do not fill them up."""
    devices = jax.devices()
    shape = mesh_shape(config, len(devices))
    mesh = Mesh(mesh_utils.create_device_mesh(shape, devices), MESH_AXES)
    num_shards = Layout(mesh, config.axis_rules).num_row_shards
    if num_shards % jax.process_count():
        raise ValueError(
            f"MeshConfig: the rows of a batch are dealt to {num_shards} parts, which cannot be "
            f"dealt to {jax.process_count()} hosts; expected data x fsdp to be a multiple of the "
            "hosts, and both in the rule of 'batch'"
        )
    return mesh


def imagined_mesh(config: MeshConfig) -> AbstractMesh:
    """Return the mesh of a config whose devices need not be there; `data` -1 counts as 1."""
    data = 1 if config.data == -1 else config.data
    return AbstractMesh((data, config.fsdp, config.tensor), MESH_AXES)


@dataclasses.dataclass(frozen=True)
class Layout:
    """A mesh, its rules, and what they make of an array."""

    mesh: AnyMesh
    rules: AxisRules

    @property
    def whole(self) -> NamedSharding:
        """An array that every device holds whole."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def rows(self) -> NamedSharding:
        """An array whose first dimension is dealt over the devices of a batch."""
        return NamedSharding(self.mesh, make_spec(("batch",), self.rules))

    @property
    def num_row_shards(self) -> int:
        """How many parts the rows of a batch are dealt to."""
        return math.prod(self.mesh.shape[axis] for axis in self.rules.get("batch", ()))

    def of_param(self, name: str, shape: tuple[int, ...], axes: Axes) -> NamedSharding:
        """Return where a parameter lies.

        Raises ValueError when a dimension cannot be cut into as many parts as its axes have.
        """
        spec = make_spec(axes, self.rules)
        for size, axis, entry in zip(shape, axes, spec, strict=True):
            names = (entry,) if isinstance(entry, str) else (entry or ())
            parts = math.prod(self.mesh.shape[n] for n in names)
            if size % parts:
                raise ValueError(
                    f"{name} {list(shape)}: its axis {axis!r} of {size} cannot be cut into the "
                    f"{parts} parts of mesh axes {names}; choose other MeshConfig sizes, or leave "
                    f"{axis!r} out of MeshConfig.rules"
                )
        return NamedSharding(self.mesh, spec)

    def of_params(
        self,
        shapes: Mapping[str, jax.ShapeDtypeStruct],
        axes: Callable[[str, int], Axes],
    ) -> dict[str, NamedSharding]:
        """Return where each of the named parameters lies."""
        return {
            name: self.of_param(name, leaf.shape, axes(name, len(leaf.shape)))
            for name, leaf in shapes.items()
        }

    def of_state(
        self,
        state: Any,
        shapes: Mapping[str, jax.ShapeDtypeStruct],
        params: Mapping[str, NamedSharding],
    ) -> Any:
        """Return where each leaf of a training state lies: moments beside their parameter.

        What has another shape than its parameter (Adafactor's factors, counters) is small and lies
        everywhere.
        """

        def place(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
            name = next((k.key for k in path[::-1] if getattr(k, "key", None) in params), None)
            if name is not None and leaf.shape == shapes[name].shape:
                return params[name]
            return self.whole

        return jax.tree.map_with_path(place, state)


def place_rows(batch: Any, layout: Layout) -> Any:
    """Make global arrays of this host's rows of a batch."""
    rows = layout.rows
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(rows, np.asarray(x)), batch
    )


def place_whole(array: np.ndarray, sharding: NamedSharding) -> jax.Array:
    """Make a global array of one that every host has whole."""
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])
