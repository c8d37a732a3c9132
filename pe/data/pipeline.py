"""From a table to training batches: shuffled, mixed, repeated, resumable at any batch.

    one memory-mapped Arrow file -> order of its rows -> streams -> tokens -> batches

The order is a function from a place (0, 1, 2, ...) to a row, so that a saved state is a few
numbers: the next place of every stream, and the places of examples that wait for a batch. Knows
nothing of models; prefixes are dropped in the train step, so that nothing here depends on how far
training is.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grain
import numpy as np
import pyarrow as pa

from pe import shards
from pe.data.batching import (
    MAX_PAIRS_PER_ROW,
    Batch,
    Batcher,
    Buckets,
    Example,
    FirstFit,
    pad_batches,
)
from pe.data.features import IntArray, LengthConfig, encode_input, encode_pair
from pe.data.objectives import ObjectiveConfig, encode_text, sentinel_ids
from pe.data.sources import COLUMNS, load_pairs
from pe.data.streams import BatchIterator, Stream
from pe.data.tokenizer import Vocabulary
from pe.prefixes import PREFIXES
from pe.records import HALVES

__all__ = [
    "BATCHINGS",
    "COLUMNS",
    "MAX_PAIRS_PER_ROW",
    "ArrowSource",
    "Batch",
    "BatchIterator",
    "DataConfig",
    "load_pairs",
    "make_order",
    "make_train_batches",
    "pad_batches",
    "write_arrow",
]

BATCHINGS = ("pack", "bucket", "pad")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which pairs, in which order, in batches of which shape.

    `half`: base, refine, or "" for both. `batching`: several examples a row ("pack"), one a row in
    the first of `buckets` that it fits ("bucket"), one a row of full length ("pad"). `buckets`:
    (inputs, targets) in tokens, ascending, up to `lengths`. `num_streams`: how many parts of the
    order fill rows of their own; at most so many hosts can share the work. `prefetch_batches` are
    made ahead in a thread; 0 makes each when it is asked for.
    """

    half: str = "base"
    batch_rows: int = 16
    seed: int = 0
    batching: str = "pack"
    buckets: tuple[tuple[int, int], ...] = ()
    num_streams: int = 1
    prefetch_batches: int = 4
    lengths: LengthConfig = dataclasses.field(default_factory=LengthConfig)
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)

    def __post_init__(self) -> None:
        if self.half not in ("", *HALVES):
            raise ValueError(f"DataConfig.half: got {self.half!r}, expected one of {HALVES} or ''")
        if self.batching not in BATCHINGS:
            raise ValueError(
                f"DataConfig.batching: got {self.batching!r}, expected one of {BATCHINGS}"
            )
        for name, least in (("batch_rows", 1), ("num_streams", 1), ("prefetch_batches", 0)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"DataConfig.{name}: got {getattr(self, name)}, expected {least} or more"
                )
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"DataConfig.seed: got {self.seed}, expected 0 to {2**32 - 1}")
        if self.batch_rows % self.num_streams:
            raise ValueError(
                f"DataConfig.num_streams: got {self.num_streams}, expected a divisor of "
                f"DataConfig.batch_rows ({self.batch_rows})"
            )
        self._check_buckets()

    def _check_buckets(self) -> None:
        if self.batching != "bucket":
            if self.buckets:
                raise ValueError(
                    f"DataConfig.buckets: got {self.buckets}, expected none with "
                    f"DataConfig.batching {self.batching!r}; set it to 'bucket' to use them"
                )
            return
        if self.num_streams > 1:
            raise ValueError(
                f"DataConfig.num_streams: got {self.num_streams}, expected 1 with "
                "DataConfig.batching 'bucket': streams would complete different buckets"
            )
        full = (self.lengths.inputs, self.lengths.targets)
        sizes_ascend = all(
            small[0] <= large[0] and small[1] <= large[1] and small != large
            for small, large in zip(self.buckets, self.buckets[1:], strict=False)
        )
        is_positive = all(len(bucket) == 2 and min(bucket) > 0 for bucket in self.buckets)
        if not self.buckets or self.buckets[-1] != full or not sizes_ascend or not is_positive:
            raise ValueError(
                f"DataConfig.buckets: got {self.buckets}, expected (inputs, targets) in ascending "
                f"order, the last one LengthConfig's {full}"
            )


def write_arrow(table: pa.Table, path: Path) -> None:
    """Write a table as one uncompressed Arrow record batch, which can be memory-mapped."""
    temporary = path.with_name(shards.TEMPORARY + path.name)
    table = table.combine_chunks()
    with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    temporary.replace(path)


class ArrowSource(grain.sources.RandomAccessDataSource):
    """Random access to the rows of a memory-mapped Arrow file; costs no memory of its own."""

    def __init__(self, path: Path):
        self.path = path
        self._table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.read([int(index)])[0]

    def __repr__(self) -> str:
        return f"ArrowSource({self.path.name}, {len(self)} rows)"

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self._table.column_names

    def read(self, rows: Sequence[int], columns: Sequence[str] | None = None) -> list[dict]:
        """Return rows as dicts, of all columns or of some; many at once cost far less a row."""
        table = self._table if columns is None else self._table.select(list(columns))
        return table.take(pa.array(rows, pa.int64())).to_pylist()

    def ids(self, rows: Sequence[int]) -> list[str]:
        """Return the pair ids of rows."""
        return [row["id"] for row in self.read(rows, ["id"])]


def make_order(
    sizes: Sequence[int],
    rates: Sequence[float],
    *,
    seed: int,
    stream: int = 0,
    num_streams: int = 1,
) -> grain.MapDataset[int]:
    """Return a stream's endless order of row numbers: place -> row, for any place.

    The parts lie one behind the other in the table, `sizes` rows each. Every part is shuffled anew
    each epoch, with a seed of its own, and drawn from at its rate: grain's mixing, which takes
    turns as evenly as whole numbers allow and keeps each rate to one in a hundred.

    Stream i of S draws at the same rates from every S-th row, from i on, of each part's own order,
    so that the streams together take all rows of an epoch, and none takes one part alone.
    """
    if len(sizes) != len(rates) or not sizes or min(sizes) < 1:
        raise ValueError(
            f"got sizes {sizes}, rates {rates}; expected a row or more and a rate each"
        )
    if not all(0 < rate < math.inf for rate in rates):
        raise ValueError(f"rates: got {rates}, expected numbers above 0")
    parts = []
    for number, size in enumerate(sizes):
        start = sum(sizes[:number])
        shuffle_seed = np.random.SeedSequence([seed, 1 + number]).generate_state(1)[0]
        part = grain.MapDataset.range(start, start + size).shuffle(seed=int(shuffle_seed)).repeat()
        parts.append(part if num_streams == 1 else part[stream::num_streams])
    return parts[0] if len(parts) == 1 else grain.MapDataset.mix(parts, list(rates))


def make_train_batches(
    source: ArrowSource,
    vocabulary: Vocabulary,
    config: DataConfig,
    *,
    sizes: Sequence[int] | None = None,
    rates: Sequence[float] | None = None,
    prompt_ids: Sequence[int] = (),
    vocab_size: int | None = None,
    streams: Sequence[int] | None = None,
) -> BatchIterator:
    """Return an endless iterator over batches, whose place can be saved and restored.

    Every batch holds `inputs`, `inputs_prefix` [B, L inputs] and `targets` [B, L targets], the
    `_segment_ids` and `_positions` of inputs and targets, and `rows` [B, 32]: which rows of the
    table, plus one (0: none).

    `sizes` and `rates` are those of the table's parts (`sources.Parts`), without them it is one
    part. `prompt_ids`: the soft prompt's. `vocab_size`: rows of the model, which sentinels need.
    `streams`: those that this host makes (all by default). Stream i of S has the places i, i + S,
    ... and an order of its own, and gives B / S rows of every batch, so that hosts make together
    what one host makes alone.

    Raises ValueError where an argument does not fit the table, the config or the other arguments.
    """
    if (sizes is None) != (rates is None):
        raise ValueError(f"got sizes {sizes} and rates {rates}, expected both or none")
    sizes = [len(source)] if sizes is None else sizes
    if sum(sizes) != len(source):
        raise ValueError(f"sizes: got {list(sizes)}, expected a sum of {len(source)}: {source}")
    rates = [1.0] if rates is None else rates
    num_streams = config.num_streams
    numbers = sorted(set(range(num_streams) if streams is None else streams))
    if not numbers or not set(numbers) <= set(range(num_streams)):
        raise ValueError(
            f"streams: got {numbers}, expected one or more of 0 to {num_streams - 1} "
            f"(DataConfig.num_streams is {num_streams})"
        )
    encode = _make_encode(source, vocabulary, config, prompt_ids=prompt_ids, vocab_size=vocab_size)

    columns = ["id", *_columns_of(config.objective)]
    orders = {
        i: make_order(sizes, rates, seed=config.seed, stream=i, num_streams=num_streams)
        for i in numbers
    }

    def read(places: Sequence[int]) -> list[Example]:
        found = [orders[place % num_streams][place // num_streams] for place in places]
        rows = np.array(found, np.int64).tolist()
        return [
            Example(place, row, encode(place, values))
            for place, row, values in zip(places, rows, source.read(rows, columns), strict=True)
        ]

    def make_batcher() -> Batcher:
        full = (config.lengths.inputs, config.lengths.targets)
        num_rows = config.batch_rows // num_streams
        if config.batching == "pack":
            return FirstFit(full, num_rows=num_rows)
        return Buckets(config.buckets or [full], num_rows=num_rows)

    made = {i: Stream(read, make_batcher, first=i, step=num_streams) for i in numbers}
    return BatchIterator(made, num_streams=num_streams, prefetch_batches=config.prefetch_batches)


def _make_encode(
    source: ArrowSource,
    vocabulary: Vocabulary,
    config: DataConfig,
    *,
    prompt_ids: Sequence[int],
    vocab_size: int | None,
) -> Callable[[int, dict[str, Any]], dict[str, IntArray]]:
    """Make (place, row) -> features, once all that could go wrong with every row is checked."""
    objective, lengths = config.objective, config.lengths
    is_pairs = objective.name == "pairs"
    needed = _columns_of(objective)
    if not set(needed) <= set(source.columns):
        raise ValueError(
            f"{source} has the columns {source.columns}; the objective {objective.name!r} "
            f"(ObjectiveConfig.name) reads {needed}"
        )
    if is_pairs:
        for prefix in ("", *PREFIXES) if len(prompt_ids) else ():
            encode_input("", prefix, vocabulary, max_length=lengths.inputs, prompt_ids=prompt_ids)
        return lambda place, row: encode_pair(row, vocabulary, lengths, prompt_ids=prompt_ids)
    if len(prompt_ids):
        raise ValueError(
            f"a soft prompt is trained on pairs, got ObjectiveConfig.name {objective.name!r}; "
            "expected 'pairs'"
        )
    sentinels = None
    if objective.name == "span_corruption":
        if vocab_size is None:
            raise ValueError("span_corruption needs vocab_size, the rows of the model")
        sentinels = sentinel_ids(vocabulary, vocab_size)

    def encode(place: int, row: dict[str, Any]) -> dict[str, IntArray]:
        rng = np.random.default_rng([config.seed, place])  # of nothing else: exact on resume
        try:
            return encode_text(
                row["text"], vocabulary, lengths, objective, rng=rng, sentinels=sentinels
            )
        except ValueError as error:
            raise ValueError(f"text {row['id']}: {error}") from error

    return encode


def _columns_of(objective: ObjectiveConfig) -> list[str]:
    return ["query", "prefix", "prompt"] if objective.name == "pairs" else ["text"]
