"""Studio as an image model like others."""

from collections.abc import Sequence

from PIL import Image as PilImage

from pe.studio.render import SIZE, render


class StudioModel:
    """Draws by program, see `pe.studio.render`."""

    def __init__(self, size: int = SIZE):
        self.size = size
        self.name = f"studio@{size}"

    def render(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[PilImage.Image]:
        """Draw each prompt by its seed."""
        pairs = zip(prompts, seeds, strict=True)
        return [PilImage.fromarray(render(prompt, seed, size=self.size)) for prompt, seed in pairs]
