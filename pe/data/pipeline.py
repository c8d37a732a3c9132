"""From shards of pairs to packed batches: shuffled, repeated, resumable at any batch.

    Parquet shards -> one memory-mapped Arrow file -> shuffle -> tokens -> packed rows -> batches

Several pairs share a row; segment ids keep them apart, so that hardly a position is padding
(first-fit over one batch of rows at a time). Knows nothing of models; prefixes are dropped in the
train step, so that nothing here depends on how far training is.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grain
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pe import shards
from pe.axes import Int
from pe.data.features import LengthConfig, encode_pair
from pe.data.tokenizer import Vocabulary
from pe.records import HALVES, SPLITS

COLUMNS = ["id", "query", "prefix", "prompt", "kind", "split", "half"]
MAX_PAIRS_PER_ROW = 32

Batch = dict[str, Int[np.ndarray, "B L"]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which pairs, in which order, in rows of which lengths. `half`: base, refine, or "" for
    both."""

    half: str = "base"
    batch_rows: int = 16
    seed: int = 0
    lengths: LengthConfig = dataclasses.field(default_factory=LengthConfig)

    def __post_init__(self) -> None:
        if self.half not in ("", *HALVES):
            raise ValueError(f"DataConfig.half: got {self.half!r}, expected one of {HALVES} or ''")
        if self.batch_rows < 1:
            raise ValueError(f"DataConfig.batch_rows: got {self.batch_rows}, expected 1 or more")


def load_pairs(data: Path, *, split: str, half: str = "") -> pa.Table:
    """Read the pairs of one split (and half) of a built dataset.

    Raises ValueError when `data` is no dataset folder or holds no such pair.
    """
    if split not in SPLITS:
        raise ValueError(f"split: got {split!r}, expected one of {SPLITS}")
    folder = data / "pairs"
    if not (data / "stats.json").is_file() or not shards.list_shards(folder):
        raise ValueError(
            f"{data} is no finished dataset (stats.json or pairs/ is missing); run pe build first"
        )
    tables, counts = [], Counter()
    for shard in shards.iterate_shards(folder, COLUMNS):
        keep = pc.equal(shard["split"], split)
        if half:
            keep = pc.and_(keep, pc.equal(shard["half"], half))
        tables.append(shard.filter(keep))
        counts.update(zip(shard["split"].to_pylist(), shard["half"].to_pylist(), strict=True))
    table = pa.concat_tables(tables)
    if not len(table):
        found = ", ".join(f"{' '.join(name).strip()}: {n:,}" for name, n in sorted(counts.items()))
        raise ValueError(
            f"{data} holds no pair of split {split!r}{f', half {half!r}' * bool(half)} (it holds "
            f"{found}); build it from more prompts, or with other PairConfig.*_frac"
            + " or train with DataConfig.half=''"
            * bool(half)
        )
    return table


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
        return {name: self._table[name][int(index)].as_py() for name in self._table.column_names}

    def __repr__(self) -> str:
        return f"ArrowSource({self.path.name}, {len(self)} rows)"

    def ids(self, rows: Sequence[int]) -> list[str]:
        """Return the pair ids of rows."""
        return [self._table["id"][int(row)].as_py() for row in rows]


def make_train_batches(
    source: ArrowSource, vocabulary: Vocabulary, config: DataConfig
) -> grain.IterDataset:
    """Return an endless dataset of packed batches; its iterators save and restore their place.

    Every batch holds `inputs`, `inputs_prefix` [B, lengths.inputs], `targets` [B, lengths.targets],
    their `_segment_ids` and `_positions`, and `rows` [B, 32]: which pairs, plus one (0: none).
    """

    def encode(index: int, pair: dict[str, Any]) -> dict[str, np.ndarray]:
        row = np.array([index + 1], np.int32)
        return {**encode_pair(pair, vocabulary, config.lengths), "rows": row}

    dataset = (
        grain.MapDataset.source(_NumberedSource(source))
        .seed(config.seed)
        .shuffle()
        .repeat()
        .map(lambda item: encode(*item))
        .to_iter_dataset()
    )
    lengths = config.lengths
    packed = grain.experimental.FirstFitPackIterDataset(
        dataset,
        length_struct={
            "inputs": lengths.inputs,
            "inputs_prefix": lengths.inputs,
            "targets": lengths.targets,
            "rows": MAX_PAIRS_PER_ROW,
        },
        num_packing_bins=config.batch_rows,
        shuffle_bins=False,
    )
    return packed.batch(config.batch_rows, drop_remainder=True)


class _NumberedSource(grain.sources.RandomAccessDataSource):
    """Gives (index, row), so that a batch can say which pairs it was made of."""

    def __init__(self, source: ArrowSource):
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> tuple[int, dict[str, Any]]:
        return int(index), self._source[index]

    def __repr__(self) -> str:
        return repr(self._source)


def pad_batches(
    examples: Sequence[dict[str, np.ndarray]], *, batch_rows: int, multiple: int = 16
) -> Iterator[tuple[list[int], Batch]]:
    """Yield (example numbers, batch) with one example a row, alike lengths together.

    Row lengths are rounded up to `multiple` and batches filled up with empty rows, so that few
    shapes are ever compiled. The numbers leave the empty rows out.
    """
    order = sorted(range(len(examples)), key=lambda i: -len(examples[i]["targets"]))
    for start in range(0, len(order), batch_rows):
        numbers = order[start : start + batch_rows]
        batch: Batch = {}
        for name in ("inputs", "inputs_prefix", "targets"):
            longest = max(len(examples[i][name]) for i in numbers)
            length = -(-longest // multiple) * multiple
            rows = np.zeros((batch_rows, length), np.int32)
            for row, i in zip(rows, numbers, strict=False):
                row[: len(examples[i][name])] = examples[i][name]
            batch[name] = rows
        for name in ("inputs", "targets"):
            # the decoder's first input is 0 too, so segments come from lengths, not from ids
            lengths = np.array([len(examples[i][name]) for i in numbers] + [0] * batch_rows)
            positions = np.arange(batch[name].shape[1])[None]
            inside = positions < lengths[:batch_rows, None]
            batch[f"{name}_segment_ids"] = inside.astype(np.int32)
            batch[f"{name}_positions"] = np.where(inside, positions, 0).astype(np.int32)
        yield numbers, batch
