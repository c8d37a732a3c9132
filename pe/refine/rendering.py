"""Expansion -> its picture, by any image model."""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import pyarrow as pa

from pe.engines.engine_error import RequestError
from pe.engines.t2i import ImageModel, picture_seed
from pe.records import Expansion, Record, Rendering
from pe.refine.pictures import PictureFolder
from pe.stages.stage import Drop, Result


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """How pictures are drawn: picture k of a query has the same seed in every round and arm."""

    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderKey:
    """What pictures depend on; `model` names the image model and its settings."""

    render: RenderConfig
    model: str


class RenderStage:
    """Expansion -> its picture; a drop where none can be had.

    It is central where a server draws, whose requests are counted.
    """

    NAME: ClassVar[str] = "renderings"
    VERSION: ClassVar[str] = "3"
    INPUT: ClassVar[str] = "expansion"
    OUTPUT: ClassVar[type[Record]] = Rendering
    ORDERED: ClassVar[bool] = False

    def __init__(
        self,
        config: RenderKey,
        pictures: PictureFolder,
        load: Callable[[], ImageModel],
        *,
        is_central: bool = False,
    ):
        self.config = config
        self.is_central = is_central
        self.pictures = pictures
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

    def close(self) -> None:
        """Let the model go."""
        if self._model is not None:
            self._model.close()
            self._model = None

    def __call__(self, table: pa.Table) -> list[Result]:
        expansions = [Expansion.from_row(row) for row in table["expansion"].to_pylist()]
        assert self._model is not None, "open() comes first"
        seeds = [picture_seed(self.config.render.seed, e.query, e.number) for e in expansions]
        texts = [expansion.text for expansion in expansions]
        drawn = self.pictures.draw(self._model, texts, seeds)
        return [
            Drop(f"t2i_{found.reason}")
            if isinstance(found, RequestError)
            else (
                Rendering(expansion_id=expansion.id, uri=found, seed=seed, t2i=self.config.model),
            )
            for expansion, seed, found in zip(expansions, seeds, drawn, strict=True)
        ]
