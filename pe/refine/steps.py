"""Query -> pairs of one step and the next: data for expanding what was expanded before.

A refined model expands held-out queries, then its own expansions; each prompt and what was made of
it is a pair, prefix MSTP (arXiv:2312.16720).
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import ClassVar

import pyarrow as pa

from pe.decode.sampling import SamplingConfig
from pe.engines.expander import Expander
from pe.engines.multi_step import expand_steps
from pe.records import HALVES, Pair, Query, Record
from pe.refine.expansion import ExpanderHolder
from pe.stages.stage import Drop, Result
from pe.text.phrase import comparison_key, repeats_phrase
from pe.text.words import content_words

PREFIX, SOURCE = "MSTP", "steps"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepConfig:
    """How queries are expanded in steps.

    A pair is left out where the next prompt says a phrase twice, or does not keep to these:

    num_steps       expansions in a chain, the first of the query itself; pairs are made from the
                    second on
    num_chains      of each query
    min_kept        share of a prompt's content words that the next has to hold
    min_query_kept  share of the query's content words that it has to hold
    max_added       phrases that the next may have more; None: any number. With 0 a step says other
                    things instead of more, so that pictures vary as much at every step
    """

    num_steps: int = 4
    num_chains: int = 1
    min_kept: float = 0.5
    min_query_kept: float = 0.5
    max_added: int | None = None
    seed: int = 0
    sampling: SamplingConfig = dataclasses.field(default_factory=SamplingConfig)

    def __post_init__(self) -> None:
        if self.num_steps < 2:
            raise ValueError(f"StepConfig.num_steps: got {self.num_steps}, expected 2 or more")
        if self.num_chains < 1:
            raise ValueError(f"StepConfig.num_chains: got {self.num_chains}, expected 1 or more")
        for name in ("min_kept", "min_query_kept"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"StepConfig.{name}: got {getattr(self, name)}, expected 0 to 1")
        if self.max_added is not None and self.max_added < 0:
            raise ValueError(f"StepConfig.max_added: got {self.max_added}, expected 0 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepKey:
    """What pairs depend on; `model` names the weights."""

    steps: StepConfig
    model: str


class StepStage(ExpanderHolder):
    """Query -> the pairs of its chains."""

    NAME: ClassVar[str] = "steps"
    VERSION: ClassVar[str] = "3"
    INPUT: ClassVar[str] = "query"
    OUTPUT: ClassVar[type[Record]] = Pair
    ORDERED: ClassVar[bool] = False

    def __init__(self, config: StepKey, load: Callable[[], Expander]):
        super().__init__(load)
        self.config = config

    def __call__(self, table: pa.Table) -> list[Result]:
        config = self.config.steps
        queries = [Query.from_row(row) for row in table["query"].to_pylist()]
        chains = expand_steps(
            self.expander,
            [query.text for query in queries],
            config.num_chains,
            config.num_steps,
            seed=config.seed,
            sampling=config.sampling,
        )
        return [
            self._pairs(query, [[e.text for e in chain] for chain in of_query])
            for query, of_query in zip(queries, chains, strict=True)
        ]

    def _pairs(self, query: Query, chains: list[list[str]]) -> Result:
        found: dict[tuple[str, str], Pair] = {}
        is_short = all(len(chain) < 2 for chain in chains)
        for chain in chains:
            for before, after in itertools.pairwise(chain):
                if not is_next_step(query.text, before, after, self.config.steps):
                    continue
                found[before, after] = Pair(
                    query=before,
                    prefix=PREFIX,
                    prompt=after,
                    kind=query.kind,
                    source=SOURCE,
                    split="train",
                    half=HALVES[1],
                    parents=(query.id,),
                    licence="",
                )
        if not found:
            return Drop("too_long_to_go_on" if is_short else "strays")
        return tuple(found.values())


def is_next_step(query: str, before: str, after: str, config: StepConfig) -> bool:
    """Tell whether a prompt goes on from another: not the same, still about it, nothing said twice.

    Example (min_kept and min_query_kept 0.5, max_added 0; the query is "a fox"):
      before             after                        returns
      a red fox in snow  a red fox in deep snow       True
      a red fox in snow  a red fox in snow            False
      a red fox in snow  a red boat in snow           False: no fox
      a red fox in snow  a fox by the sea             False: a third of it is kept
      a red fox in snow  a red fox in snow, ink       False: a phrase more
    """
    if not after.strip() or repeats_phrase(after):
        return False
    if comparison_key(before) == comparison_key(after):
        return False
    added = after.count(",") - before.count(",")
    if config.max_added is not None and added > config.max_added:
        return False
    told = set(content_words(after))
    return all(
        len(asked & told) >= share * len(asked)
        for asked, share in (
            (set(content_words(before)), config.min_kept),
            (set(content_words(query)), config.min_query_kept),
        )
    )
