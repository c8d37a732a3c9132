"""Expansion -> its picture, by any image model."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar

import pyarrow as pa

from pe.engines.engine_error import RequestError
from pe.engines.t2i import ImageModel, picture_seed
from pe.records import Expansion, Record, Rendering
from pe.refine.pictures import PictureFolder
from pe.refine.unwanted import read_unwanted
from pe.stages.stage import Drop, Result
from pe.text.phrase import repeats_phrase


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """How pictures are drawn: picture k of a query has the same seed in every round and arm."""

    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderKey:
    """What pictures depend on; `model` names the image model and its settings.

    unwanted  flavors, each with the reason, for which nothing is drawn
    """

    render: RenderConfig
    model: str
    unwanted: tuple[tuple[str, str], ...] = ()


class RenderStage:
    """Expansion -> its picture.

    A drop where it says a phrase twice or an unwanted flavor, and where no picture can be had. It
    is central where a server draws, whose requests are counted.
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
        self._unwanted = dict(config.unwanted)

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
        drops = [self._read(e.text) for e in expansions]
        wanted = [e for e, drop in zip(expansions, drops, strict=True) if drop is None]
        drawn = iter(self._draw(wanted))
        return [drop or next(drawn) for drop in drops]

    def _read(self, text: str) -> Drop | None:
        """Return why an expansion is not worth a picture, or None."""
        if repeats_phrase(text):
            return Drop("says_twice")
        return read_unwanted(text, self._unwanted)

    def _draw(self, expansions: Sequence[Expansion]) -> list[Result]:
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
