"""Image models behind one protocol: prompts and seeds in, pictures out."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from PIL import Image as PilImage


@runtime_checkable
class ImageModel(Protocol):
    """Anything that draws prompts. The same prompt and seed give the same picture.

    `name` says which model and settings drew a picture.
    """

    name: str

    def render(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[PilImage.Image]: ...
