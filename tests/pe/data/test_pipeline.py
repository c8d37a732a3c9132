"""Packed batches: nothing lost, nothing mixed up, and a place that can be gone back to."""

import collections
import dataclasses
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pytest

from pe.data.features import LengthConfig, encode_pair
from pe.data.pipeline import (
    MAX_PAIRS_PER_ROW,
    ArrowSource,
    DataConfig,
    load_pairs,
    make_train_batches,
    pad_batches,
    write_arrow,
)
from pe.models.t5 import T5Config
from pe.train.loss import LossConfig
from pe.train.prefix_dropout import PrefixDropoutConfig
from pe.train.run import batch_ids
from pe.train.seq2seq import batch_to_device, make_row_scorer, make_seq2seq_loss

CONFIG = DataConfig(half="", batch_rows=3, lengths=LengthConfig(inputs=32, targets=48))


@pytest.fixture(scope="module")
def batches(source, vocabulary):
    """The first 20 batches, more than three epochs."""
    return list(itertools.islice(make_train_batches(source, vocabulary, CONFIG), 20))


def segments_of(batch):
    """Yield (pair number, inputs, inputs_prefix, targets) of every pair of a packed batch."""
    for row in range(len(batch["rows"])):
        for segment, number in enumerate(batch["rows"][row], start=1):
            if number == 0:
                continue
            inputs = batch["inputs_segment_ids"][row] == segment
            targets = batch["targets_segment_ids"][row] == segment
            yield (
                int(number) - 1,
                batch["inputs"][row][inputs].tolist(),
                batch["inputs_prefix"][row][inputs].tolist(),
                batch["targets"][row][targets].tolist(),
            )


def test_every_segment_holds_the_tokens_of_the_pair_that_rows_names(
    batches, source, vocabulary, train_pairs
):
    for number, inputs, prefix, targets in itertools.chain.from_iterable(map(segments_of, batches)):
        expected = encode_pair(train_pairs[number], vocabulary, CONFIG.lengths)
        assert inputs == expected["inputs"].tolist()
        assert prefix == expected["inputs_prefix"].tolist()
        assert targets == expected["targets"].tolist()


def test_batches_have_one_shape_and_rows_hold_several_pairs(batches):
    shapes = {name: array.shape for name, array in batches[0].items()}
    assert shapes["inputs"] == shapes["inputs_prefix"] == shapes["inputs_segment_ids"] == (3, 32)
    assert shapes["targets"] == shapes["targets_positions"] == (3, 48)
    assert shapes["rows"] == (3, MAX_PAIRS_PER_ROW)
    assert all({n: a.shape for n, a in batch.items()} == shapes for batch in batches)
    assert np.mean([(batch["rows"] > 0).sum() for batch in batches]) > 3 * 1.5


def test_positions_start_at_0_in_every_segment(batches):
    for row in range(3):
        segments = batches[0]["targets_segment_ids"][row]
        for segment in range(1, segments.max() + 1):
            positions = batches[0]["targets_positions"][row][segments == segment]
            assert positions.tolist() == list(range(len(positions)))


def test_no_pair_is_lost_or_early_in_the_first_epoch(batches, source):
    # pairs wait in an open row until it is full, so that an epoch's end may be one batch late
    seen = collections.Counter()
    for batch in batches:
        seen.update(number for number, *_ in segments_of(batch))
        if max(seen.values()) > 2:
            break
    assert set(seen) == set(range(len(source)))
    counts = collections.Counter()
    for batch in batches:
        counts.update(number for number, *_ in segments_of(batch))
    assert max(counts.values()) - min(counts.values()) <= 2


def test_every_pair_id_can_be_told_from_a_batch(batches, source, train_pairs):
    seen = {pair_id for batch in batches for pair_id in batch_ids(source, batch)}
    assert seen == {pair["id"] for pair in train_pairs}


def test_an_iterator_put_back_gives_the_same_batches(source, vocabulary, batches):
    iterator = iter(make_train_batches(source, vocabulary, CONFIG))
    for _ in range(7):
        next(iterator)
    state = json.loads(json.dumps(iterator.get_state()))  # as a checkpoint keeps it
    fresh = iter(make_train_batches(source, vocabulary, CONFIG))
    fresh.set_state(state)
    for expected, batch in zip(batches[7:13], fresh, strict=False):
        jax.tree.map(np.testing.assert_array_equal, batch, expected)


def test_another_seed_gives_another_order(source, vocabulary, batches):
    config = dataclasses.replace(CONFIG, seed=1)
    other = next(iter(make_train_batches(source, vocabulary, config)))
    assert other["rows"].tolist() != batches[0]["rows"].tolist()


def test_every_epoch_has_an_order_of_its_own(batches, source):
    order = [n for batch in batches for n, *_ in segments_of(batch)]
    assert order[: len(source)] != order[len(source) : 2 * len(source)]


@pytest.fixture(scope="module")
def tiny_t5(make_t5):
    return make_t5(
        T5Config(
            dtype="float32",
            vocab_size=400,
            d_model=8,
            num_heads=2,
            head_dim=4,
            d_ff=12,
            num_encoder_layers=1,
            num_decoder_layers=1,
        )
    )


def test_the_loss_of_a_packed_batch_is_that_of_its_pairs_alone(
    batches, vocabulary, train_pairs, tiny_t5
):
    graph, params = tiny_t5
    loss_fn = make_seq2seq_loss(
        graph,
        loss=LossConfig(z_loss=0.0),
        prefix_dropout=PrefixDropoutConfig(start_rate=0.0, end_rate=0.0),
        num_steps=1,
    )
    packed = jax.jit(loss_fn)(params, batch_to_device(batches[0]), jnp.int32(0), jax.random.key(0))
    numbers = [number for number, *_ in segments_of(batches[0])]
    examples = [encode_pair(train_pairs[i], vocabulary, CONFIG.lengths) for i in numbers]
    score, nats, num_tokens = make_row_scorer(graph), 0.0, 0.0
    for rows, batch in pad_batches(examples, batch_rows=16, multiple=48):
        row_nats, row_tokens = score(params, batch_to_device(batch))
        nats += float(row_nats[: len(rows)].sum())
        num_tokens += float(row_tokens[: len(rows)].sum())
    assert float(packed.count) == num_tokens
    assert float(packed.loss_sum) == pytest.approx(nats, rel=1e-5)


def test_prefixes_of_a_packed_batch_drop_as_in_pairs_without_prefix(
    batches, vocabulary, train_pairs, tiny_t5
):
    graph, params = tiny_t5
    loss_fn = make_seq2seq_loss(
        graph,
        loss=LossConfig(z_loss=0.0),
        prefix_dropout=PrefixDropoutConfig(start_rate=1.0, end_rate=1.0),
        num_steps=1,
    )
    packed = jax.jit(loss_fn)(params, batch_to_device(batches[0]), jnp.int32(0), jax.random.key(0))
    numbers = [number for number, *_ in segments_of(batches[0])]
    plain = [{**train_pairs[i], "prefix": ""} for i in numbers]
    examples = [encode_pair(pair, vocabulary, CONFIG.lengths) for pair in plain]
    score = make_row_scorer(graph)
    nats = sum(
        float(score(params, batch_to_device(batch))[0][: len(rows)].sum())
        for rows, batch in pad_batches(examples, batch_rows=16, multiple=48)
    )
    assert float(packed.loss_sum) == pytest.approx(nats, rel=1e-5)


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


def test_an_arrow_file_gives_back_the_rows_that_were_written(tmp_path):
    table = pa.concat_tables(
        [pa.table({"id": ["p", "q"], "query": ["x", "y"]}), pa.table({"id": ["r"], "query": ["z"]})]
    )
    write_arrow(table, tmp_path / "rows.arrow")
    source = ArrowSource(tmp_path / "rows.arrow")
    assert [source[i] for i in range(len(source))] == table.to_pylist()
    assert source.ids([2, 0]) == ["r", "p"]
    assert repr(source) == "ArrowSource(rows.arrow, 3 rows)"
    assert [path.name for path in tmp_path.iterdir()] == ["rows.arrow"]


def test_pairs_are_chosen_by_split_and_half(dataset):
    assert len(load_pairs(dataset, split="train")) == 42
    assert len(load_pairs(dataset, split="validation")) == 7
    halves = [load_pairs(dataset, split="train", half=half)["half"] for half in ("base", "refine")]
    assert [set(half.to_pylist()) for half in halves] == [{"base"}, {"refine"}]
    assert sum(map(len, halves)) == 42


def test_a_split_that_holds_nothing_is_named(dataset):
    with pytest.raises(ValueError, match=r"holds no pair of split 'test' \(it holds train"):
        load_pairs(dataset, split="test")
    with pytest.raises(ValueError, match="holds no pair of split 'validation', half 'base'"):
        load_pairs(dataset, split="validation", half="base")


def test_an_unknown_split_and_a_folder_without_pairs_are_named(dataset, tmp_path):
    with pytest.raises(ValueError, match=r"split: got 'dev', expected one of \('train', "):
        load_pairs(dataset, split="dev")
    with pytest.raises(ValueError, match=r"is no finished dataset .*; run pe build first"):
        load_pairs(tmp_path, split="train")


@pytest.mark.parametrize(("field", "value"), [("half", "both"), ("batch_rows", 0)])
def test_a_setting_out_of_range_is_named_with_its_value(field, value):
    with pytest.raises(ValueError, match=rf"DataConfig\.{field}: got .*{value}.*expected"):
        DataConfig(**{field: value})
