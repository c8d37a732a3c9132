"""Keep the pictures whose aesthetic score is high enough (arXiv:2312.16720 sec. 3.1)."""

import dataclasses
from typing import ClassVar

import pyarrow as pa

from pe.records import Image, Record
from pe.stages.stage import Drop, Result


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFilterConfig:
    """`min_aesthetic`: lower scores are dropped; None: all are kept. The paper's is not known."""

    min_aesthetic: float | None = None


class ImageFilterStage:
    """Image -> the same, or a drop. A stage of its own: another threshold scores nothing anew."""

    NAME: ClassVar[str] = "filter"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "image"
    OUTPUT: ClassVar[type[Record]] = Image
    ORDERED: ClassVar[bool] = False

    def __init__(self, config: ImageFilterConfig):
        self.config = config

    def __call__(self, table: pa.Table) -> list[Result]:
        return [self.decide(Image.from_row(row)) for row in table["image"].to_pylist()]

    def decide(self, image: Image) -> Result:
        """Keep or drop one image."""
        least = self.config.min_aesthetic
        if least is None:
            return (image,)
        if image.aesthetic is None:
            return Drop("no_aesthetic")
        return (image,) if image.aesthetic >= least else Drop("low_aesthetic")
