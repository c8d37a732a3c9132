"""Studio as an image model like others, and the one that a config names."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image as PilImage

from pe.engines.t2i import STUDIO, ImageModel, Picture, T2iConfig
from pe.studio.render import SIZE, render


class StudioModel:
    """Draws by program, see `pe.studio.render`."""

    def __init__(self, size: int = SIZE):
        self.size = size
        self.name = f"{STUDIO}@{size}"

    def render(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Picture]:
        """Draw each prompt by its seed."""
        pairs = zip(prompts, seeds, strict=True)
        return [PilImage.fromarray(render(prompt, seed, size=self.size)) for prompt, seed in pairs]

    def close(self) -> None:
        """It holds nothing."""


def name_image_model(config: T2iConfig) -> str:
    """Return the `name` of the model that a config names, which is not loaded.

    Raises ValueError for a pipeline that is not to be had.
    """
    if config.url:
        from pe.engines.t2i_server import name_served

        return name_served(config)
    if config.model == STUDIO:
        return StudioModel(config.size_px or SIZE).name
    from pe.engines.t2i_diffusers import name_pipeline

    return name_pipeline(config)


def load_image_model(
    config: T2iConfig,
    *,
    sent_log: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> ImageModel:
    """Load or reach the image model that a config names; `sent_log` is where requests are counted.

    Raises ValueError for one that is not to be had, UnavailableError for a server that is not
    there.
    """
    if config.url:
        from pe.engines.t2i_server import ServerImageModel

        return ServerImageModel(config, sent_log=sent_log, say=say)
    if config.model == STUDIO:
        return StudioModel(config.size_px or SIZE)
    from pe.engines.t2i_diffusers import DiffusersModel

    return DiffusersModel(config)
