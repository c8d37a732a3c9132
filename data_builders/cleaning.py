"""Exact and near duplicates among inversions, seen once and in order: the first one stays."""

import dataclasses
from typing import ClassVar

import pyarrow as pa

from data_builders.near_index import NearConfig, NearIndex
from pe.records import Inversion, Record, content_hash
from pe.stages.stage import Drop, Result
from pe.text.phrase import comparison_key


@dataclasses.dataclass(frozen=True, kw_only=True)
class DuplicateConfig:
    """What goes beside prompts that are the same but for case, spaces and punctuation.

    near   also prompts in other order, or with a word or two changed, as `NearConfig` allows
    """

    near: bool = True
    words: NearConfig = dataclasses.field(default_factory=NearConfig)


class DuplicateStage:
    """Inversion -> the same inversion, dropped when its prompt (and given query) was there before.

    A prompt that is near an earlier one and comes with another query is kept, but takes the
    `source_id` of the first, so that no prompt stands in two splits.
    """

    NAME: ClassVar[str] = "duplicates"
    VERSION: ClassVar[str] = "2"
    INPUT: ClassVar[str] = "inversion"
    OUTPUT: ClassVar[type[Record]] = Inversion
    ORDERED: ClassVar[bool] = True

    def __init__(self, config: DuplicateConfig):
        self.config = config
        self._numbers: dict[int, int] = {}  # prompt -> its number; -1 - number of what it is near
        self._source_ids: list[str] = []  # of the prompt that each number began with
        self._queries: set[int] = set()  # of number and query
        self._index = NearIndex(config.words)

    def __call__(self, table: pa.Table) -> list[Result]:
        inversions = [Inversion.from_row(row) for row in table["inversion"].to_pylist()]
        queries = [comparison_key(row["given_query"] or "") for row in table["image"].to_pylist()]
        prompts = [comparison_key(inversion.prompt) for inversion in inversions]
        # from here on nothing raises: rows of a batch that fails are not remembered
        self._number(prompts, [inversion.source_id for inversion in inversions])
        rows = zip(inversions, prompts, queries, strict=True)
        return [self._decide(*row) for row in rows]

    def _number(self, prompts: list[str], source_ids: list[str]) -> None:
        """Give prompts that were not there yet their numbers."""
        new: dict[int, int] = {}  # digest -> its first row
        for row, prompt in enumerate(prompts):
            digest = _digest(prompt)
            if digest not in self._numbers:
                new.setdefault(digest, row)
        near: list[int | None] = [None] * len(new)
        if self.config.near:
            near = self._index.add_all([_words(prompts[row]) for row in new.values()])
        for (digest, row), number in zip(new.items(), near, strict=True):
            if number is None:
                self._numbers[digest] = len(self._source_ids)
                self._source_ids.append(source_ids[row])
            else:
                self._numbers[digest] = -1 - number

    def _decide(self, inversion: Inversion, prompt: str, query: str) -> Result:
        """Keep or drop one inversion, and remember its query."""
        number = self._numbers[_digest(prompt)]
        first = number if number >= 0 else -1 - number
        asked = _digest(str(first), query)
        if asked in self._queries:
            return Drop("exact_duplicate" if number >= 0 else "near_duplicate")
        self._queries.add(asked)
        return (dataclasses.replace(inversion, source_id=self._source_ids[first]),)


def _words(prompt: str) -> list[str]:
    """Return the words of a normalised prompt; of one that has none, itself."""
    return prompt.split() or [prompt]


def _digest(*parts: str) -> int:
    """Return 64 bits of strings: two of 10 million are the same with a probability of 3e-6."""
    return int(content_hash(*parts)[:16], 16)
