"""What a flavor is: a phrase that changes how a finished picture looks. `flavors/` has them."""

import dataclasses
from collections.abc import Callable

import numpy as np

from pe.axes import Float

Picture = Float[np.ndarray, "H W 3"]
Apply = Callable[[Picture, np.random.Generator], Picture]
FLAVORS: dict[str, "Flavor"] = {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flavor:
    """An operation on a picture of float32 RGB in 0 to 1.

    `words` are other phrases for it. Of a prompt's flavors those of lower `order` are applied
    first: 0 light and weather, 1 color, 2 camera and film, 3 medium (what it is made with), 4 what
    goes wrong with it.
    """

    name: str
    apply: Apply
    category: str
    words: tuple[str, ...] = ()
    order: int = 3


def flavor(name: str, category: str, **settings) -> Callable[[Apply], Apply]:  # noqa: ANN003
    """Register an operation as a flavor."""

    def register(apply: Apply) -> Apply:
        if name in FLAVORS:
            raise ValueError(f"flavor {name!r} is there twice")
        FLAVORS[name] = Flavor(name=name, apply=apply, category=category, **settings)
        return apply

    return register
