"""Pictures on disk, by what they depend on: files from the moment they are there.

folder/3f/3f9a...c1.png   by a hash of model, prompt and seed

A run that is killed draws again only what was under way, and rounds share the pictures of prompts
that both wrote.
"""

import dataclasses
import io
import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image as PilImage

from pe import shards
from pe.data.image_file import decode_image
from pe.engines.engine_error import RequestError
from pe.engines.t2i import ImageModel, picture_key

FORMATS = {"png": "PNG", "jpeg": "JPEG"}
JPEG_QUALITY = 95


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureConfig:
    """How pictures are kept: as "png", or as "jpeg" in a tenth of the place."""

    file_format: str = "png"

    def __post_init__(self) -> None:
        if self.file_format not in FORMATS:
            raise ValueError(
                f"PictureConfig.file_format: got {self.file_format!r}, expected one of "
                f"{tuple(FORMATS)}"
            )


class PictureFolder:
    """The pictures under a folder; `uri` is a picture's path from there."""

    def __init__(self, folder: Path, config: PictureConfig):
        self.folder = folder
        self.config = config

    def draw(
        self, model: ImageModel, prompts: Sequence[str], seeds: Sequence[int]
    ) -> list[str | RequestError]:
        """Return the uri of each picture, or why there is none; what is there is not drawn again.

        Raises what `model.render` raises, and OSError where a picture cannot be kept.
        """
        pairs = list(zip(prompts, seeds, strict=True))
        keys = [picture_key(model.name, prompt, seed) for prompt, seed in pairs]
        missing = {
            key: pair
            for key, pair in zip(keys, pairs, strict=True)
            if not (self.folder / self._uri(key)).is_file()
        }
        refused: dict[str, RequestError] = {}
        if missing:
            wanted_prompts, wanted_seeds = zip(*missing.values(), strict=True)
            pictures = model.render(wanted_prompts, wanted_seeds)
            for key, picture in zip(missing, pictures, strict=True):
                if isinstance(picture, RequestError):
                    refused[key] = picture
                else:
                    self._save(picture, self.folder / self._uri(key))
        return [refused.get(key) or self._uri(key) for key in keys]

    def open(self, uri: str) -> PilImage.Image:
        """Read a picture. Raises FileNotFoundError, and UnreadableImage for one that is damaged."""
        return decode_image((self.folder / uri).read_bytes())

    def _uri(self, key: str) -> str:
        return f"{key[:2]}/{key}.{self.config.file_format}"

    def _save(self, picture: PilImage.Image, path: Path) -> None:
        """Write a picture atomically: after a kill it is there whole or not at all."""
        buffer = io.BytesIO()
        options = {"quality": JPEG_QUALITY} if self.config.file_format == "jpeg" else {}
        picture.save(buffer, format=FORMATS[self.config.file_format], **options)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{shards.TEMPORARY}{os.getpid()}-{path.name}")
        temporary.write_bytes(buffer.getvalue())
        temporary.replace(path)
