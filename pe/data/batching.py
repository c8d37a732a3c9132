"""From examples to batches: rows that several examples share, or that hold one each.

    first fit   each example goes to the first row with room for it  -> hardly any padding
    buckets     each example goes to the first bucket it fits        -> one example a row

All give the same features, so that a train step reads any: segment ids (from 1; 0 is padding) tell
the examples of a row apart, positions count from 0 in each. Knows nothing of files, vocabularies,
or the order in which examples come.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from pe.axes import Int
from pe.data.features import IntArray

MAX_PAIRS_PER_ROW = 32
FEATURES = {"inputs": ("inputs", "inputs_prefix"), "targets": ("targets",)}  # of one length each

Batch = dict[str, Int[np.ndarray, "B L"]]
Lengths = tuple[int, int]  # tokens of inputs and of targets


@dataclasses.dataclass(frozen=True)
class Example:
    """A training example: its place in the order, the row it was read from, its features."""

    place: int
    row: int
    features: dict[str, IntArray]


@runtime_checkable
class Batcher(Protocol):
    """Takes examples one at a time, and gives a batch whenever one is complete."""

    def add(self, example: Example) -> Batch | None: ...
    def pending(self) -> list[Example]: ...


class FirstFit:
    """Packs: an example goes to the first of `num_rows` rows with room for it.

    When none has, the batch is complete and the example opens the next one.
    """

    def __init__(self, lengths: Lengths, *, num_rows: int):
        self._lengths, self._num_rows = lengths, num_rows
        self._open()

    def _open(self) -> None:
        self._rows: list[list[Example]] = [[] for _ in range(self._num_rows)]
        limits = np.array([[*self._lengths, MAX_PAIRS_PER_ROW]], np.int32)
        self._free = np.repeat(limits.T, self._num_rows, axis=1)  # [3 B]

    def add(self, example: Example) -> Batch | None:
        """Add an example; return the batch that it found full, if it did."""
        sizes = tuple(len(example.features[name]) for name in FEATURES)
        if sizes[0] > self._lengths[0] or sizes[1] > self._lengths[1]:
            raise ValueError(f"got an example of {sizes} tokens, expected {self._lengths} at most")
        need = np.array([*sizes, 1], np.int32)
        fits = np.all(self._free >= need[:, None], axis=0)  # [B]
        row = int(fits.argmax())
        if fits[row]:
            self._rows[row].append(example)
            self._free[:, row] -= need
            return None
        batch = make_batch(self._rows, self._lengths)
        self._open()
        self.add(example)  # an empty row has room for any
        return batch

    def pending(self) -> list[Example]:
        """Return the examples that are in no batch yet."""
        return [example for row in self._rows for example in row]


class Buckets:
    """One example a row: it goes to the first bucket (inputs, targets) that it fits.

    A bucket is a batch when it holds `num_rows` examples. One bucket of the full lengths pads all
    rows alike.
    """

    def __init__(self, buckets: Sequence[Lengths], *, num_rows: int):
        self._num_rows = num_rows
        self._waiting: dict[Lengths, list[Example]] = {tuple(bucket): [] for bucket in buckets}

    def add(self, example: Example) -> Batch | None:
        """Add an example; return the batch that it completes, if it does."""
        num_inputs, num_targets = (len(example.features[name]) for name in FEATURES)
        for bucket, waiting in self._waiting.items():
            if num_inputs <= bucket[0] and num_targets <= bucket[1]:
                waiting.append(example)
                if len(waiting) < self._num_rows:
                    return None
                self._waiting[bucket] = []
                return make_batch([[example] for example in waiting], bucket)
        raise ValueError(
            f"got an example of {num_inputs} and {num_targets} tokens, expected one that fits a "
            f"bucket of {list(self._waiting)}"
        )

    def pending(self) -> list[Example]:
        """Return the examples that are in no batch yet."""
        return [example for waiting in self._waiting.values() for example in waiting]


def make_batch(rows: Sequence[Sequence[Example]], lengths: Lengths) -> Batch:
    """Lay out rows of examples as one batch; `rows` [B, 32] says which, plus one (0: none).

    Example (a row of two examples; lengths (6, 5); from the rows 4 and 9 of the table):
      inputs         inputs_prefix  targets
      [3, 7, 1]      [1, 0, 0]      [8, 1]
      [7, 1]         [0, 0]         [9, 1]
    gives
      inputs                [[3, 7, 1, 7, 1, 0]]    targets              [[8, 1, 9, 1, 0]]
      inputs_prefix         [[1, 0, 0, 0, 0, 0]]
      inputs_segment_ids    [[1, 1, 1, 2, 2, 0]]    targets_segment_ids  [[1, 1, 2, 2, 0]]
      inputs_positions      [[0, 1, 2, 0, 1, 0]]    targets_positions    [[0, 1, 0, 1, 0]]
      rows                  [[5, 10, 0, ..., 0]]
    """
    examples = [example for row in rows for example in row]
    counts = np.array([len(row) for row in rows])
    row_of = np.repeat(np.arange(len(rows)), counts)  # of each example
    segment_of = np.arange(len(examples)) - np.repeat(np.cumsum(counts) - counts, counts)
    batch: Batch = {}
    for (name, features), length in zip(FEATURES.items(), lengths, strict=True):
        sizes = np.array([len(example.features[name]) for example in examples])
        positions = _count_up(sizes)
        columns = _count_up(np.bincount(row_of, weights=sizes, minlength=len(rows)).astype(int))
        index = (np.repeat(row_of, sizes), columns)

        def put(
            values: Int[np.ndarray, " n"], index: tuple = index, length: int = length
        ) -> Int[np.ndarray, "B L"]:
            array = np.zeros((len(rows), length), np.int32)
            array[index] = values
            return array

        for feature in features:
            batch[feature] = put(np.concatenate([e.features[feature] for e in examples]))
        batch[f"{name}_segment_ids"] = put(np.repeat(segment_of + 1, sizes))
        batch[f"{name}_positions"] = put(positions)
    batch["rows"] = np.zeros((len(rows), MAX_PAIRS_PER_ROW), np.int32)
    batch["rows"][row_of, segment_of] = [example.row + 1 for example in examples]
    return batch


def _count_up(sizes: Int[np.ndarray, " n"]) -> Int[np.ndarray, " L"]:
    """Count from 0 in each of several runs: [3, 2] -> [0, 1, 2, 0, 1]."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


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
