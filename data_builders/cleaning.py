"""Exact and near duplicates among inversions, seen once and in order: the first one stays."""

import dataclasses
from typing import ClassVar

import pyarrow as pa
from rensa import RMinHash, RMinHashLSH

from pe.records import Inversion, Record, content_hash
from pe.stages.stage import Drop, Result
from pe.text.phrase import comparison_key


@dataclasses.dataclass(frozen=True, kw_only=True)
class DuplicateConfig:
    """Near: Jaccard similarity of character n-grams of the normalised prompts at or above `near`.

    16 bands of 8 rows find a pair of similarity 0.9 with probability 0.9999; what they find is then
    compared exactly, so that nothing below the threshold is dropped.
    """

    near: float = 0.9
    ngram_chars: int = 4
    num_permutations: int = 128
    num_bands: int = 16
    max_candidates: int = 64  # compared exactly; bounds the work where thousands share a style tail

    def __post_init__(self) -> None:
        if not 0.0 < self.near <= 1.0:
            raise ValueError(f"DuplicateConfig.near: got {self.near}, expected 0 < near <= 1")
        if self.ngram_chars < 1:
            raise ValueError(f"DuplicateConfig.ngram_chars: got {self.ngram_chars}, expected >= 1")
        if self.max_candidates < 1:
            raise ValueError(
                f"DuplicateConfig.max_candidates: got {self.max_candidates}, expected >= 1"
            )
        if self.num_bands < 1 or self.num_permutations % self.num_bands:
            raise ValueError(
                f"DuplicateConfig.num_bands: got {self.num_bands}, expected a divisor of "
                f"num_permutations ({self.num_permutations})"
            )


def ngrams(text: str, size: int) -> set[str]:
    """Return the character n-grams of a text: ("abcd", 3) -> {"abc", "bcd"}."""
    return {text[i : i + size] for i in range(max(1, len(text) - size + 1))}


def jaccard(a: set[str], b: set[str]) -> float:
    """Return the share of common members: 1.0 for equal sets."""
    return len(a & b) / len(a | b)


class DuplicateStage:
    """Inversion -> the same inversion, dropped when its prompt (and given query) was there before.

    A near-duplicate prompt that comes with another query is kept, but takes the `source_id` of the
    first, so that no prompt stands in two splits.
    """

    NAME: ClassVar[str] = "duplicates"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "inversion"
    OUTPUT: ClassVar[type[Record]] = Inversion
    ORDERED: ClassVar[bool] = True

    def __init__(self, config: DuplicateConfig):
        self.config = config
        self._seen: set[bytes] = set()  # digests of prompt + query
        self._numbers: dict[str, int] = {}  # normalised prompt -> its number
        self._queries: dict[int, set[str]] = {}  # number -> its queries, where it has one
        self._prompts: list[str] = []
        self._source_ids: list[str] = []
        self._index = RMinHashLSH(config.near, config.num_permutations, config.num_bands)

    def __call__(self, table: pa.Table) -> list[Result]:
        images = table["image"].to_pylist()
        inversions = table["inversion"].to_pylist()
        return [
            self.decide(Inversion.from_row(inversion), comparison_key(image["given_query"] or ""))
            for inversion, image in zip(inversions, images, strict=True)
        ]

    def decide(self, inversion: Inversion, query: str) -> Result:
        """Keep or drop one inversion, and remember it."""
        prompt = comparison_key(inversion.prompt)
        digest = bytes.fromhex(content_hash(prompt, query))
        if digest in self._seen:
            return Drop("exact_duplicate")
        self._seen.add(digest)
        sketch, found = self._find(prompt)
        if found is None:
            self._remember(sketch, prompt, inversion.source_id, query)
            return (inversion,)
        queries = self._queries.get(found, {""})
        if query in queries:
            return Drop("near_duplicate")
        self._queries[found] = queries | {query}
        return (dataclasses.replace(inversion, source_id=self._source_ids[found]),)

    def _find(self, prompt: str) -> tuple[RMinHash, int | None]:
        grams = ngrams(prompt, self.config.ngram_chars)
        sketch = RMinHash(self.config.num_permutations, 42)
        sketch.update(sorted(grams))
        same = self._numbers.get(prompt)
        if same is not None:
            return sketch, same
        for candidate in sorted(self._index.query(sketch))[: self.config.max_candidates]:
            other = ngrams(self._prompts[candidate], self.config.ngram_chars)
            if jaccard(grams, other) >= self.config.near:
                return sketch, candidate
        return sketch, None

    def _remember(self, sketch: RMinHash, prompt: str, source_id: str, query: str) -> None:
        number = len(self._prompts)
        self._index.insert(number, sketch)
        self._numbers[prompt] = number
        self._prompts.append(prompt)
        self._source_ids.append(source_id)
        if query:
            self._queries[number] = {query}
