"""What a subject is: a name, how it is drawn, and where it belongs. `subjects/` holds them all."""

import dataclasses
from collections.abc import Callable

from pe.studio.canvas import Pen

Draw = Callable[[Pen], None]
STANCES = ("ground", "water", "air", "sky")

SUBJECTS: dict[str, "Subject"] = {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """A thing that can be drawn.

    name, plural   as a prompt says them; `words` are other words for it
    colors         what it comes in when a prompt does not say, the likeliest first
    accent         the color of its smaller parts
    stance         "ground": stands on it; "water": swims or floats on it; "air": flies; "sky": sun
    scale          its width as a share of the picture when it is the only one, 0 to 1
    places         where it is drawn when a prompt does not say
    """

    name: str
    plural: str
    draw: Draw
    colors: tuple[str, ...]
    accent: str = "white"
    words: tuple[str, ...] = ()
    stance: str = "ground"
    scale: float = 0.45
    places: tuple[str, ...] = ("meadow",)

    def __post_init__(self) -> None:
        if self.stance not in STANCES:
            raise ValueError(f"{self.name}: stance {self.stance!r}, expected one of {STANCES}")


def subject(name: str, plural: str = "", **settings) -> Callable[[Draw], Draw]:  # noqa: ANN003
    """Register a drawing function as a subject; the plural is the name and "s" by default."""

    def register(draw: Draw) -> Draw:
        if name in SUBJECTS:
            raise ValueError(f"subject {name!r} is there twice")
        SUBJECTS[name] = Subject(name=name, plural=plural or f"{name}s", draw=draw, **settings)
        return draw

    return register
