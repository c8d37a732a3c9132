"""A network apart from its arrays: flat names on one side, the module that computes on the other.

Trainers hold parameters as {dotted name: array}, which can be cut, counted, saved and laid out on a
mesh without knowing the network; `Blueprint.bind` makes the module of them again.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from flax import nnx

M = TypeVar("M", bound=nnx.Module)


@dataclasses.dataclass(frozen=True)
class Blueprint(Generic[M]):
    """A module's graph and the shapes of its parameters."""

    graph: nnx.GraphDef
    leaves: Mapping[str, tuple[tuple[Any, ...], Any]]  # name -> (path, abstract variable)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return {name: shape} in the module's order."""
        return {name: tuple(leaf.shape) for name, (_, leaf) in self.leaves.items()}

    def bind(self, params: Mapping[str, Any]) -> M:
        """Make the module of its arrays. Raises ValueError when names differ."""
        if params.keys() != self.leaves.keys():
            differing = sorted(params.keys() ^ self.leaves.keys())
            raise ValueError(f"parameters differ from the module's: {', '.join(differing[:5])}")
        flat = {path: leaf.replace(params[name]) for name, (path, leaf) in self.leaves.items()}
        return nnx.merge(self.graph, nnx.from_flat_state(flat))


def draw_blueprint(make: Callable[[], M]) -> Blueprint[M]:
    """Describe the module that `make` makes, without making an array."""
    graph, state = nnx.split(nnx.eval_shape(make))
    leaves = {".".join(map(str, path)): (path, leaf) for path, leaf in nnx.to_flat_state(state)}
    return Blueprint(graph, leaves)


def flatten_params(state: nnx.State) -> dict[str, Any]:
    """Return {dotted name: array} of a module's parameters."""
    return {".".join(map(str, path)): leaf[...] for path, leaf in nnx.to_flat_state(state)}
