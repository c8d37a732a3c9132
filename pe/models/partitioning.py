"""Logical axes: what each dimension of an array stands for, and which axes of a mesh share it.

| logical axis | dimension                                      | mesh axes by default |
|--------------|------------------------------------------------|----------------------|
| batch        | rows                                           | data, fsdp           |
| vocab        | token ids, of the table and of the logits      | tensor               |
| embed        | a matrix's side of width D                     | fsdp                 |
| heads        | a matrix's side of all heads, N times H        | tensor               |
| mlp          | a matrix's side of the hidden layer, F         | tensor               |

Knows no network; networks say `constrain(x, "batch", None, None)` and stay what they are without a
mesh.
"""

import contextlib
import contextvars
import math
import re
from collections.abc import Iterator, Mapping, Sequence

import jax
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from pe.axes import Array

Axes = tuple[str | None, ...]
AxisRules = Mapping[str, tuple[str, ...]]
AnyMesh = Mesh | AbstractMesh

MESH_AXES = ("data", "fsdp", "tensor")
BATCH_AXES = ("data", "fsdp")
AXIS_RULES = (
    ("batch", "data", "fsdp"),
    ("vocab", "tensor"),
    ("embed", "fsdp"),
    ("heads", "tensor"),
    ("mlp", "tensor"),
)
# of pe.models.layers and of what adapters add; what is not listed lies everywhere whole
PARAM_AXES: tuple[tuple[str, Axes], ...] = (
    (r"embedding", ("vocab", "embed")),
    (r".*\.(query|key|value)\.kernel", ("embed", "heads")),
    (r".*attention\.out\.kernel", ("heads", "embed")),
    (r".*\.wi\.\d+\.kernel", ("embed", "mlp")),
    (r".*\.wo\.kernel", ("mlp", "embed")),
    (r".*logits_dense\.kernel", ("embed", "vocab")),
)

_CURRENT: contextvars.ContextVar[tuple[AnyMesh, AxisRules] | None] = contextvars.ContextVar(
    "mesh and rules", default=None
)


@contextlib.contextmanager
def use_mesh(mesh: AnyMesh, rules: AxisRules) -> Iterator[None]:
    """Let `constrain` lay arrays out on this mesh; to be entered where the code is traced."""
    token = _CURRENT.set((mesh, rules))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def constrain(x: Array, *axes: str | None) -> Array:
    """Say on which mesh axes an activation lies; without a mesh, return x."""
    current = _CURRENT.get()
    if current is None or math.prod(current[0].shape.values()) == 1:
        return x
    mesh, rules = current
    return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, make_spec(axes, rules)))


def make_spec(axes: Sequence[str | None], rules: AxisRules) -> PartitionSpec:
    """Return the mesh axes of an array's logical axes.

    Example (the default rules):
      axes                   returns
      ("batch", None, None)  (("data", "fsdp"), None, None)
      ("embed", "heads")     ("fsdp", "tensor")
    """
    entries = [rules.get(axis, ()) if axis else () for axis in axes]
    return PartitionSpec(*(e[0] if len(e) == 1 else (e or None) for e in entries))


def param_axes(name: str, num_dims: int) -> Axes:
    """Return the logical axes of a parameter, by its dotted name."""
    for pattern, axes in PARAM_AXES:
        if re.fullmatch(pattern, name) and len(axes) == num_dims:
            return axes
    return (None,) * num_dims
