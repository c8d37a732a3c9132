"""Query -> the expansions that a trained model makes of it."""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import pyarrow as pa

from pe.decode.sampling import SamplingConfig
from pe.engines.expander import Expander
from pe.prefixes import check_prefix
from pe.records import Expansion, Query, Record
from pe.stages.stage import Result


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpansionConfig:
    """How queries are expanded: so many texts each, by which seed, behind which prefix (none)."""

    num_expansions: int = 4
    prefix: str = ""
    seed: int = 0
    sampling: SamplingConfig = dataclasses.field(default_factory=SamplingConfig)

    def __post_init__(self) -> None:
        if self.num_expansions < 1:
            raise ValueError(
                f"ExpansionConfig.num_expansions: got {self.num_expansions}, expected 1 or more"
            )
        check_prefix(self.prefix)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpansionKey:
    """What expansions depend on; `model` names the weights."""

    expansion: ExpansionConfig
    model: str


class ExpanderHolder:
    """What stages share that expand: a model that is loaded when the first batch asks for it."""

    def __init__(self, load: Callable[[], Expander]):
        self._load = load
        self._expander: Expander | None = None

    @property
    def expander(self) -> Expander:
        assert self._expander is not None, "open() comes first"
        return self._expander

    def open(self) -> None:
        """Load the model. Raises ValueError when it is not to be had."""
        self._expander = self._load()

    def close(self) -> None:
        """Let the model go."""
        self._expander = None


class ExpansionStage(ExpanderHolder):
    """Query -> its expansions."""

    NAME: ClassVar[str] = "expansions"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "query"
    OUTPUT: ClassVar[type[Record]] = Expansion
    ORDERED: ClassVar[bool] = False

    def __init__(self, config: ExpansionKey, load: Callable[[], Expander]):
        super().__init__(load)
        self.config = config

    def __call__(self, table: pa.Table) -> list[Result]:
        config = self.config.expansion
        queries = [Query.from_row(row) for row in table["query"].to_pylist()]
        found = self.expander.expand(
            [query.text for query in queries],
            config.num_expansions,
            prefix=config.prefix,
            seed=config.seed,
            sampling=config.sampling,
        )
        return [tuple(expansions) for expansions in found]
