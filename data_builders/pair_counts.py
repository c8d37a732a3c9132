"""What is in a folder of pairs, counted shard by shard: nothing but counts is held."""

import dataclasses
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pe import shards

COUNTED = ("prefix", "kind", "split", "half", "source", "licence", "language")
MEASURED = ("query", "prompt")
NUM_SAMPLES = 20


@dataclasses.dataclass
class PairCounts:
    """Rows by value, words by number, and rows to read, drawn by chance."""

    num_pairs: int = 0
    values: dict[str, Counter[str]] = dataclasses.field(
        default_factory=lambda: {name: Counter() for name in COUNTED}
    )
    words: dict[str, Counter[int]] = dataclasses.field(
        default_factory=lambda: {name: Counter() for name in MEASURED}
    )
    samples: list[dict[str, str]] = dataclasses.field(default_factory=list)

    def add(self, table: pa.Table, chosen: set[int]) -> None:
        """Count a shard; `chosen` are the numbers of the rows to keep, of all shards."""
        for name in COUNTED:
            for row in table[name].value_counts().to_pylist():
                self.values[name][row["values"]] += row["counts"]
        for name in MEASURED:
            lengths = pc.list_value_length(pc.utf8_split_whitespace(table[name]))
            for row in lengths.value_counts().to_pylist():
                self.words[name][row["values"]] += row["counts"]
        numbers = range(self.num_pairs, self.num_pairs + len(table))
        places = [number - self.num_pairs for number in numbers if number in chosen]
        self.samples += table.take(pa.array(places, pa.int64())).to_pylist()
        self.num_pairs += len(table)

    def quantile(self, name: str, share: float) -> int:
        """Return how many words a text has that is longer than a share of all."""
        left = share * (self.num_pairs - 1)
        for length in sorted(self.words[name]):
            left -= self.words[name][length]
            if left < 0:
                return length
        raise ValueError("there are no pairs")


def count_pairs(folder: Path) -> PairCounts:
    """Count the shards of pairs/."""
    paths = shards.list_shards(folder)
    num_pairs = sum(pq.read_metadata(path).num_rows for path in paths)
    chosen = set(random.Random(0).sample(range(num_pairs), min(NUM_SAMPLES, num_pairs)))
    counts = PairCounts()
    columns = [*COUNTED, *MEASURED]
    for table in shards.iterate_shards(folder, columns):
        counts.add(table, chosen)
    return counts
