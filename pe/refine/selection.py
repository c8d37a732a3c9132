"""Score -> a training pair, or a drop: what the image model draws well is what is learned from.

The paper's threshold is unknown (arXiv:2312.16720 says only that one is used).
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pe import shards
from pe.axes import Float
from pe.records import HALVES, Expansion, Pair, Query, Record, Rendering, Score
from pe.stages.stage import Drop, Result

MODES = ("quantile", "absolute", "best")
PREFIX = "RFT"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelectConfig:
    """Which expansions are kept.

    mode       "quantile": those whose score is at or above this quantile of all; "absolute": at or
               above this score; "best": of each query so many, those that score highest
    threshold  the quantile (0 to 1), the score, or how many of each query
    probe      the probe.jsonl of `pe probe`: a flavor that does not surely change the picture is
               taken out of expansions before they are drawn
    least_rating_change
               of the probe's ratings: so is a flavor that surely changes them by less (0: that
               makes pictures worse); None: whatever it does
    """

    mode: str = "quantile"
    threshold: float = 0.5
    probe: str = ""
    least_rating_change: float | None = None

    def __post_init__(self) -> None:
        if self.least_rating_change is not None and not self.probe:
            raise ValueError(
                "SelectConfig.least_rating_change is set, and SelectConfig.probe is not; expected "
                "the probe.jsonl of a pe probe with AestheticConfig.weights"
            )
        if self.mode not in MODES:
            raise ValueError(f"SelectConfig.mode: got {self.mode!r}, expected one of {MODES}")
        if self.mode == "quantile" and not 0.0 <= self.threshold <= 1.0:
            raise ValueError(
                f"SelectConfig.threshold: got {self.threshold}, expected a quantile from 0 to 1"
            )
        if self.mode == "best" and (self.threshold < 1 or self.threshold != int(self.threshold)):
            raise ValueError(
                f"SelectConfig.threshold: got {self.threshold}, expected how many of a query are "
                "kept, a whole number of 1 or more"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelectKey:
    """What is kept: by the settings, and a quantile's score."""

    select: SelectConfig
    cutoff: float | None
    round: int


def score_values(folder: Path) -> Float[np.ndarray, " R"]:
    """Read all scores of the stage that made them: 8 bytes each."""
    parts = [
        pc.struct_field(pc.list_flatten(table["children"].combine_chunks()), "value").to_numpy(
            zero_copy_only=False
        )
        for table in shards.iterate_shards(folder, ["children"])
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def find_cutoff(config: SelectConfig, folder: Path) -> float | None:
    """Return the score from which an expansion is kept; None where each query has its own.

    Raises ValueError where there are no scores.
    """
    if config.mode == "absolute":
        return config.threshold
    values = score_values(folder)
    if not len(values):
        raise ValueError("not one picture was scored; stats.json tells why each was dropped")
    return float(np.quantile(values, config.threshold)) if config.mode == "quantile" else None


class SelectStage:
    """Score -> the pair of query and expansion, if it scores high enough.

    For `mode` "best" the ids of each query's best are kept, found a table at a time: the rows of a
    query lie in one table of the stage before.
    """

    NAME: ClassVar[str] = "pairs"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "score"
    OUTPUT: ClassVar[type[Record]] = Pair
    ORDERED: ClassVar[bool] = False

    def __init__(self, config: SelectKey, scores: Path):
        self.config = config
        self._scores = scores
        self._best: frozenset[str] = frozenset()

    def open(self) -> None:
        """Find each query's best, where these are asked for."""
        if self.config.select.mode == "best":
            self._best = frozenset(best_ids(self._scores, int(self.config.select.threshold)))

    def __call__(self, table: pa.Table) -> list[Result]:
        return [self._result(row) for row in table.to_pylist()]

    def _result(self, row: dict) -> Result:
        score = Score.from_row(row["score"])
        cutoff = self.config.cutoff
        if cutoff is not None and score.value < cutoff:
            return Drop("below_threshold")
        if cutoff is None and score.id not in self._best:
            return Drop("not_the_best")
        query, expansion = Query.from_row(row["query"]), Expansion.from_row(row["expansion"])
        rendering = Rendering.from_row(row["rendering"])
        return (
            Pair(
                query=query.text,
                prefix=PREFIX,
                prompt=expansion.text,
                kind=query.kind,
                source=f"refine/{self.config.round}",
                split="train",
                half=HALVES[1],
                parents=(query.id, expansion.id, rendering.id),
                licence="",
            ),
        )


def best_ids(folder: Path, num: int) -> Iterator[str]:
    """Yield the ids of the scores that are the `num` best of their query; the first of equals."""
    for table in shards.iterate_shards(folder, ["query", "children"]):
        children = table["children"].combine_chunks()
        flat = pc.list_flatten(children)
        parents = pc.list_parent_indices(children)
        queries = pc.struct_field(table["query"].combine_chunks(), "id").take(parents).to_pylist()
        values = pc.struct_field(flat, "value").to_numpy(zero_copy_only=False)
        ids = pc.struct_field(flat, "id").to_pylist()
        by_query: dict[str, list[int]] = {}
        for place, query in enumerate(queries):
            by_query.setdefault(query, []).append(place)
        for places in by_query.values():
            for place in sorted(places, key=lambda p: -values[p])[:num]:
                yield ids[place]
