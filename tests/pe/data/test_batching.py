"""Rows that examples share, buckets, and padding: the layout, and who goes where."""

import grain
import jax
import numpy as np
import pytest

from pe.data.batching import (
    MAX_PAIRS_PER_ROW,
    Batcher,
    Buckets,
    Example,
    FirstFit,
    make_batch,
    pad_batches,
)


def make_example(place, num_inputs, num_targets, *, num_prefix=0):
    """An example whose tokens tell its place: 100 x place + position, and the end token."""

    def count(number):
        return np.array([*(100 * place + i for i in range(2, number + 1)), 1], np.int32)

    inputs_prefix = (np.arange(num_inputs) < num_prefix).astype(np.int32)
    features = {
        "inputs": count(num_inputs),
        "inputs_prefix": inputs_prefix,
        "targets": count(num_targets),
    }
    return Example(place, 1000 + place, features)


def draw_examples(number, *, most_inputs=16, most_targets=24):
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, [most_inputs + 1, most_targets + 1], size=(number, 2)).tolist()
    return [make_example(place, *pair, num_prefix=place % 2) for place, pair in enumerate(sizes)]


def places_of(batch):
    return [[int(row) - 1001 for row in rows if row] for rows in batch["rows"]]


def test_a_row_of_two_examples_is_laid_out_as_in_the_docstring():
    def example(row, inputs, inputs_prefix, targets):
        names = ("inputs", "inputs_prefix", "targets")
        arrays = (np.array(ids, np.int32) for ids in (inputs, inputs_prefix, targets))
        return Example(0, row, dict(zip(names, arrays, strict=True)))

    row = [example(4, [3, 7, 1], [1, 0, 0], [8, 1]), example(9, [7, 1], [0, 0], [9, 1])]
    batch = make_batch([row], (6, 5))
    assert {name: array.tolist() for name, array in batch.items()} == {
        "inputs": [[3, 7, 1, 7, 1, 0]],
        "inputs_prefix": [[1, 0, 0, 0, 0, 0]],
        "inputs_segment_ids": [[1, 1, 1, 2, 2, 0]],
        "inputs_positions": [[0, 1, 2, 0, 1, 0]],
        "targets": [[8, 1, 9, 1, 0]],
        "targets_segment_ids": [[1, 1, 2, 2, 0]],
        "targets_positions": [[0, 1, 0, 1, 0]],
        "rows": [[5, 10] + [0] * 30],
    }
    assert {array.dtype for array in batch.values()} == {np.dtype(np.int32)}


def test_packing_gives_what_grains_first_fit_gives():
    examples = draw_examples(300)
    lengths = {"inputs": 32, "inputs_prefix": 32, "targets": 48, "rows": MAX_PAIRS_PER_ROW}
    rows = [{**e.features, "rows": np.array([e.row + 1], np.int32)} for e in examples]
    packed = grain.experimental.FirstFitPackIterDataset(
        grain.MapDataset.source(rows).to_iter_dataset(),
        length_struct=lengths,
        num_packing_bins=4,
        shuffle_bins=False,
    )
    expected = list(packed.batch(4, drop_remainder=True))
    packer = FirstFit((32, 48), num_rows=4)
    batches = [batch for batch in map(packer.add, examples) if batch is not None]
    assert len(batches) == len(expected) - 1 > 10  # the last one is not full
    for batch, other in zip(batches, expected, strict=False):
        jax.tree.map(np.testing.assert_array_equal, batch, {name: other[name] for name in batch})


def test_a_row_takes_at_most_32_examples():
    packer = FirstFit((64, 192), num_rows=1)
    examples = [make_example(place, 1, 1) for place in range(33)]
    batches = [packer.add(example) for example in examples]
    assert batches[:32] == [None] * 32
    assert places_of(batches[32]) == [list(range(32))]
    assert [example.place for example in packer.pending()] == [32]


def test_an_example_goes_to_the_first_bucket_it_fits():
    buckets = Buckets([(4, 8), (8, 16)], num_rows=2)
    sizes = [(4, 8), (5, 2), (1, 9), (1, 1), (8, 16)]
    examples = [make_example(place, *pair) for place, pair in enumerate(sizes)]
    assert buckets.add(examples[0]) is None
    assert buckets.add(examples[1]) is None
    large = buckets.add(examples[2])
    small = buckets.add(examples[3])
    assert buckets.add(examples[4]) is None
    assert (places_of(large), large["inputs"].shape) == ([[1], [2]], (2, 8))
    assert large["targets"].shape == large["targets_segment_ids"].shape == (2, 16)
    assert (places_of(small), small["inputs"].shape) == ([[0], [3]], (2, 4))
    assert small["targets"].tolist()[1] == [1, 0, 0, 0, 0, 0, 0, 0]
    assert [example.place for example in buckets.pending()] == [4]


@pytest.mark.parametrize("batcher", ["pack", "bucket", "pad"])
def test_every_example_stands_in_one_batch_whole(batcher):
    examples = draw_examples(200)
    batcher = {
        "pack": FirstFit((32, 48), num_rows=4),
        "bucket": Buckets([(8, 8), (16, 24)], num_rows=4),
        "pad": Buckets([(16, 24)], num_rows=4),
    }[batcher]
    assert isinstance(batcher, Batcher)
    seen = [example.place for example in batcher.pending()]
    batches = [batch for batch in map(batcher.add, examples) if batch is not None]
    for batch in batches:
        for row, places in enumerate(places_of(batch)):
            for segment, place in enumerate(places, start=1):
                for name in ("inputs", "inputs_prefix", "targets"):
                    group = name.removesuffix("_prefix")
                    inside = batch[f"{group}_segment_ids"][row] == segment
                    ids = batch[name][row][inside]
                    assert ids.tolist() == examples[place].features[name].tolist()
                    positions = batch[f"{group}_positions"][row][inside]
                    assert positions.tolist() == list(range(len(ids)))
            seen += places
    waiting = [example.place for example in batcher.pending()]
    assert sorted(seen + waiting) == list(range(200))


def test_an_example_longer_than_any_row_is_refused():
    with pytest.raises(ValueError, match=r"an example of \(9, 2\) tokens, expected \(8, 8\)"):
        FirstFit((8, 8), num_rows=2).add(make_example(0, 9, 2))
    with pytest.raises(ValueError, match=r"9 and 2 tokens, expected one that fits a bucket of \["):
        Buckets([(4, 8), (8, 8)], num_rows=2).add(make_example(0, 9, 2))


def test_padded_batches_hold_each_example_once_with_alike_lengths_together():
    examples = [
        {
            "inputs": np.arange(1, 3 + i, dtype=np.int32),
            "inputs_prefix": np.eye(1, 2 + i, dtype=np.int32)[0],
            "targets": np.arange(1, length + 1, dtype=np.int32),
        }
        for i, length in enumerate((2, 5, 3))
    ]
    (first, one), (second, two) = pad_batches(examples, batch_rows=2, multiple=4)
    assert (first, second) == ([1, 2], [0])
    assert one["inputs"].tolist() == [[1, 2, 3, 0], [1, 2, 3, 4]]
    assert one["inputs_prefix"].tolist() == [[1, 0, 0, 0], [1, 0, 0, 0]]
    assert one["targets"].tolist() == [[1, 2, 3, 4, 5, 0, 0, 0], [1, 2, 3, 0, 0, 0, 0, 0]]
    assert one["targets_segment_ids"].tolist() == [[1] * 5 + [0] * 3, [1] * 3 + [0] * 5]
    assert one["targets_positions"].tolist() == [[0, 1, 2, 3, 4, 0, 0, 0], [0, 1, 2] + [0] * 5]
    assert two["inputs"].tolist() == [[1, 2, 0, 0], [0, 0, 0, 0]]
    assert two["inputs_segment_ids"].tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]
    assert two["targets_segment_ids"].tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]


def test_no_example_gives_no_batch():
    assert list(pad_batches([], batch_rows=2)) == []
