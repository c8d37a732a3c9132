"""Last stage: Query -> Pair. The rules of assembly are pe.pairs'; here they meet the runner."""

from typing import ClassVar

import pyarrow as pa

from pe.pairs import PairConfig, make_pair
from pe.records import Image, Inversion, Pair, Query, Record
from pe.stages.stage import Result


class PairStage:
    """Query, with its inversion and image -> Pair with prefix, split and half."""

    NAME: ClassVar[str] = "pair"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "query"
    OUTPUT: ClassVar[type[Record]] = Pair
    ORDERED: ClassVar[bool] = False

    def __init__(self, config: PairConfig):
        self.config = config

    def __call__(self, table: pa.Table) -> list[Result]:
        columns = (table[name].to_pylist() for name in ("query", "inversion", "image"))
        return [
            (
                make_pair(
                    Query.from_row(query),
                    Inversion.from_row(inversion),
                    Image.from_row(image),
                    self.config,
                ),
            )
            for query, inversion, image in zip(*columns, strict=True)
        ]
