"""Expansion -> its picture, kept as a file from the moment it is there.

pictures/3f/3f9a...c1.png   by a hash of model, prompt and seed

A run that is killed draws again only what was under way, and two rounds share the pictures of
prompts that both wrote.
"""

import dataclasses
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from pe import shards
from pe.engines.engine_error import RequestError
from pe.engines.t2i import ImageModel, Picture, picture_key, picture_seed
from pe.records import Expansion, Record, Rendering
from pe.stages.stage import Drop, Result

FORMATS = {"png": "PNG", "jpeg": "JPEG"}
JPEG_QUALITY = 95


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """How pictures are drawn and kept: by which seed, as "png" or "jpeg".

    Picture k of a query has the same seed in every round and arm, so that what differs is the
    prompt.
    """

    seed: int = 0
    file_format: str = "png"

    def __post_init__(self) -> None:
        if self.file_format not in FORMATS:
            raise ValueError(
                f"RenderConfig.file_format: got {self.file_format!r}, expected one of "
                f"{tuple(FORMATS)}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderKey:
    """What pictures depend on; `model` names the image model and its settings."""

    render: RenderConfig
    model: str


class RenderStage:
    """Expansion -> its picture."""

    NAME: ClassVar[str] = "renderings"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "expansion"
    OUTPUT: ClassVar[type[Record]] = Rendering
    ORDERED: ClassVar[bool] = False

    def __init__(self, config: RenderKey, folder: Path, load: Callable[[], ImageModel]):
        self.config = config
        self.folder = folder
        self._load = load
        self._model: ImageModel | None = None

    def open(self) -> None:
        """Load or reach the model. Raises UnavailableError or ValueError."""
        self._model = self._load()
        if self._model.name != self.config.model:
            raise ValueError(
                f"the image model is {self._model.name} now, and was {self.config.model} when the "
                "round began; its files were replaced meanwhile: run the same command again"
            )
        self.folder.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Let the model go."""
        if self._model is not None:
            self._model.close()
            self._model = None

    def __call__(self, table: pa.Table) -> list[Result]:
        assert self._model is not None, "open() comes first"
        expansions = [Expansion.from_row(row) for row in table["expansion"].to_pylist()]
        seeds = [picture_seed(self.config.render.seed, e.query, e.number) for e in expansions]
        keys = [
            picture_key(self.config.model, expansion.text, seed)
            for expansion, seed in zip(expansions, seeds, strict=True)
        ]
        paths = {key: self._path(key) for key in keys}
        missing = [i for i, key in enumerate(keys) if not paths[key].is_file()]
        missing = list({keys[i]: i for i in reversed(missing)}.values())[::-1]  # each key once
        refused: dict[str, str] = {}
        if missing:
            pictures = self._model.render(
                [expansions[i].text for i in missing], [seeds[i] for i in missing]
            )
            for i, picture in zip(missing, pictures, strict=True):
                if isinstance(picture, RequestError):
                    refused[keys[i]] = picture.reason
                else:
                    save_picture(picture, paths[keys[i]], self.config.render.file_format)
        return [
            Drop(f"t2i_{refused[key]}")
            if key in refused
            else (
                Rendering(
                    expansion_id=expansion.id,
                    uri=paths[key].relative_to(self.folder).as_posix(),
                    seed=seed,
                    t2i=self.config.model,
                ),
            )
            for expansion, seed, key in zip(expansions, seeds, keys, strict=True)
        ]

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.{self.config.render.file_format}"


def save_picture(picture: Picture, path: Path, file_format: str) -> None:
    """Write a picture atomically: after a kill it is there whole or not at all."""
    assert not isinstance(picture, RequestError)
    buffer = io.BytesIO()
    options = {"quality": JPEG_QUALITY} if file_format == "jpeg" else {}
    picture.save(buffer, format=FORMATS[file_format], **options)
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f"{shards.TEMPORARY}{os.getpid()}-{path.name}")
    temporary.write_bytes(buffer.getvalue())
    temporary.replace(path)
