"""Training batches: nothing lost, nothing mixed up, and a place that can be gone back to."""

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
from pe.data.objectives import ObjectiveConfig
from pe.data.pipeline import (
    MAX_PAIRS_PER_ROW,
    ArrowSource,
    DataConfig,
    make_order,
    make_train_batches,
    pad_batches,
    write_arrow,
)
from pe.models.t5 import T5Config
from pe.train.loss import LossConfig
from pe.train.prefix_dropout import PrefixDropoutConfig
from pe.train.run import batch_ids
from pe.train.seq2seq import bind_state, make_row_scorer, make_seq2seq_loss, pick_arrays

CONFIG = DataConfig(half="", batch_rows=3, lengths=LengthConfig(inputs=32, targets=48))
FULL = (32, 48)
MODES = {
    "pack": {},
    "bucket": {"batching": "bucket", "buckets": ((4, 12), (4, 16), FULL)},
    "pad": {"batching": "pad"},
}
OBJECTIVES = ("pairs", "span_corruption", "prefix_lm")
SIZES, RATES = (30, 12), (0.25, 0.75)


@pytest.fixture(scope="module")
def batches(source, vocabulary):
    """The first 20 batches, more than three epochs."""
    return list(itertools.islice(make_train_batches(source, vocabulary, CONFIG), 20))


@pytest.fixture(scope="module")
def texts(train_pairs, tmp_path_factory):
    """The training prompts as texts."""
    rows = {name: [pair[name] for pair in train_pairs] for name in ("id", "prompt")}
    path = tmp_path_factory.mktemp("arrow") / "texts.arrow"
    write_arrow(pa.table({"id": rows["id"], "text": rows["prompt"]}), path)
    return ArrowSource(path)


@pytest.fixture(scope="module")
def make_batches(source, texts, vocabulary):
    def make(mode="pack", objective="pairs", *, is_mixed=False, streams=None, **changes):
        objective = ObjectiveConfig(name=objective)
        config = dataclasses.replace(CONFIG, objective=objective, **MODES[mode], **changes)
        mixed = {"sizes": SIZES, "rates": RATES} if is_mixed else {}
        chosen = source if objective.name == "pairs" else texts
        return make_train_batches(
            chosen, vocabulary, config, vocab_size=512, streams=streams, **mixed
        )

    return make


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


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["pack", "bucket"])
def test_the_loss_of_a_batch_is_that_of_its_pairs_alone(
    make_batches, mode, vocabulary, train_pairs, tiny_t5
):
    first = next(make_batches(mode))
    graph, params = tiny_t5
    loss_fn = make_seq2seq_loss(
        bind_state(graph),
        loss=LossConfig(z_loss=0.0),
        prefix_dropout=PrefixDropoutConfig(start_rate=0.0, end_rate=0.0),
        num_steps=1,
    )
    packed = jax.jit(loss_fn)(params, pick_arrays(first), jnp.int32(0), jax.random.key(0))
    numbers = [number for number, *_ in segments_of(first)]
    examples = [encode_pair(train_pairs[i], vocabulary, CONFIG.lengths) for i in numbers]
    score, nats, num_tokens = make_row_scorer(bind_state(graph)), 0.0, 0.0
    for rows, batch in pad_batches(examples, batch_rows=16, multiple=48):
        row_nats, row_tokens = score(params, batch)
        nats += float(row_nats[: len(rows)].sum())
        num_tokens += float(row_tokens[: len(rows)].sum())
    assert float(packed.count) == num_tokens
    assert float(packed.loss_sum) == pytest.approx(nats, rel=1e-5)


def test_prefixes_of_a_packed_batch_drop_as_in_pairs_without_prefix(
    batches, vocabulary, train_pairs, tiny_t5
):
    graph, params = tiny_t5
    loss_fn = make_seq2seq_loss(
        bind_state(graph),
        loss=LossConfig(z_loss=0.0),
        prefix_dropout=PrefixDropoutConfig(start_rate=1.0, end_rate=1.0),
        num_steps=1,
    )
    packed = jax.jit(loss_fn)(params, pick_arrays(batches[0]), jnp.int32(0), jax.random.key(0))
    numbers = [number for number, *_ in segments_of(batches[0])]
    plain = [{**train_pairs[i], "prefix": ""} for i in numbers]
    examples = [encode_pair(pair, vocabulary, CONFIG.lengths) for pair in plain]
    score = make_row_scorer(bind_state(graph))
    nats = sum(
        float(score(params, batch)[0][: len(rows)].sum())
        for rows, batch in pad_batches(examples, batch_rows=16, multiple=48)
    )
    assert float(packed.loss_sum) == pytest.approx(nats, rel=1e-5)


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


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("mode", list(MODES))
def test_with_mixtures_and_objectives_an_iterator_put_back_gives_the_same_batches(
    make_batches, mode, objective
):
    iterator = make_batches(mode, objective, is_mixed=True)
    for _ in range(7):
        next(iterator)
    state = json.loads(json.dumps(iterator.get_state()))
    fresh = make_batches(mode, objective, is_mixed=True)
    fresh.set_state(state)
    for _ in range(5):
        jax.tree.map(np.testing.assert_array_equal, next(fresh), next(iterator))


@pytest.mark.parametrize("mode", list(MODES))
def test_every_mode_gives_the_same_keys_and_the_pairs_that_rows_names(
    make_batches, mode, batches, vocabulary, train_pairs
):
    for batch in itertools.islice(make_batches(mode), 20):
        assert sorted(batch) == sorted(batches[0])
        for number, inputs, prefix, targets in segments_of(batch):
            expected = encode_pair(train_pairs[number], vocabulary, CONFIG.lengths)
            assert inputs == expected["inputs"].tolist()
            assert prefix == expected["inputs_prefix"].tolist()
            assert targets == expected["targets"].tolist()
        if mode != "pack":
            assert (batch["rows"] > 0).sum(axis=1).tolist() == [1, 1, 1]


def test_every_batch_has_the_shape_of_its_bucket_and_no_smaller_one_would_do(make_batches):
    buckets = MODES["bucket"]["buckets"]
    seen = collections.Counter()
    for batch in itertools.islice(make_batches("bucket"), 30):
        shape = (batch["inputs"].shape[1], batch["targets"].shape[1])
        seen[shape] += 1
        assert len(batch["inputs"]) == 3
        for row in range(3):
            sizes = [(batch[f"{n}_segment_ids"][row] > 0).sum() for n in ("inputs", "targets")]
            fits = [b for b in buckets if sizes[0] <= b[0] and sizes[1] <= b[1]]
            assert fits[0] == shape
    assert set(seen) == set(buckets)


def test_padded_batches_have_the_full_lengths(make_batches):
    batch = next(make_batches("pad"))
    assert (batch["inputs"].shape, batch["targets"].shape) == ((3, 32), (3, 48))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["pack", "pad"])
@pytest.mark.parametrize("objective", ["pairs", "span_corruption"])
def test_two_hosts_make_together_what_one_host_makes(make_batches, mode, objective):
    def make(streams):
        return make_batches(
            mode, objective, is_mixed=True, batch_rows=4, num_streams=2, streams=streams
        )

    alone, hosts = make(None), [make([0]), make([1])]
    for _ in range(5):
        batch, halves = next(alone), [next(host) for host in hosts]
        for name, array in batch.items():
            np.testing.assert_array_equal(array, np.concatenate([half[name] for half in halves]))
    state = hosts[0].get_state()
    state = {**state, "streams": state["streams"] | hosts[1].get_state()["streams"]}
    assert state == alone.get_state()
    fresh = make([1])
    fresh.set_state(state)
    jax.tree.map(np.testing.assert_array_equal, next(fresh), next(hosts[1]))


def test_parts_are_drawn_at_their_rates_each_in_whole_epochs():
    order = make_order([30, 12, 100], [0.5, 0.2, 0.3], seed=3)
    rows = [order[place] for place in range(1000)]
    parts = [[row for row in rows if low <= row < high] for low, high in ((0, 30), (30, 42))]
    assert [len(part) for part in parts] == [500, 200]
    for part, numbers in zip(parts, (range(30), range(30, 42)), strict=True):
        for epoch in range(3):
            start = epoch * len(numbers)
            assert sorted(part[start : start + len(numbers)]) == list(numbers)
        assert part[: len(numbers)] != part[len(numbers) : 2 * len(numbers)]
    assert {row for row in rows if row >= 42} == set(range(42, 142))


@pytest.mark.parametrize("num_streams", [1, 2, 4])
def test_every_stream_draws_from_every_part_at_its_rate(num_streams):
    orders = [
        make_order([20, 20], [0.5, 0.5], seed=0, stream=i, num_streams=num_streams)
        for i in range(num_streams)
    ]
    rows = [[order[place] for place in range(40 // num_streams)] for order in orders]
    assert [sum(row < 20 for row in stream) for stream in rows] == [20 // num_streams] * num_streams
    assert sorted(row for stream in rows for row in stream) == list(
        range(40)
    )  # an epoch of both, by all together


def test_parts_of_one_size_have_orders_of_their_own():
    order = make_order([20, 20], [0.5, 0.5], seed=0)
    rows = [order[place] for place in range(40)]
    first = [row for row in rows if row < 20]
    second = [row - 20 for row in rows if row >= 20]
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second


def test_a_mixture_holds_its_parts_at_their_rates(make_batches):
    numbers = [
        number
        for batch in itertools.islice(make_batches(is_mixed=True), 40)
        for number, *_ in segments_of(batch)
    ]
    assert sum(number >= 30 for number in numbers) / len(numbers) == pytest.approx(0.75, abs=0.02)


def test_a_text_is_split_anew_each_epoch_and_alike_in_every_run(make_batches):
    def inputs_of_text_5():
        batches = itertools.islice(make_batches("pad", "prefix_lm"), 60)
        return [ids for batch in batches for number, ids, *_ in segments_of(batch) if number == 5]

    first = inputs_of_text_5()
    assert len(first) >= 4
    assert len({tuple(ids) for ids in first}) > 1
    assert first == inputs_of_text_5()


def test_a_soft_prompt_stands_in_every_pair(source, vocabulary, train_pairs):
    prompt_ids = tuple(range(500, 505))
    batches = make_train_batches(source, vocabulary, CONFIG, prompt_ids=prompt_ids)
    for number, inputs, prefix, _ in segments_of(next(batches)):
        place = sum(prefix)
        assert inputs[place : place + 5] == list(prompt_ids)
        plain = encode_pair(train_pairs[number], vocabulary, CONFIG.lengths)["inputs"].tolist()
        assert inputs[:place] + inputs[place + 5 :] == plain


def test_a_soft_prompt_that_does_not_fit_is_refused_before_the_first_batch(source, vocabulary):
    with pytest.raises(ValueError, match=r"leaves 7 for the query.*or more"):
        make_train_batches(source, vocabulary, CONFIG, prompt_ids=range(500, 523))


def test_what_does_not_fit_the_table_or_the_objective_is_named(source, texts, vocabulary):
    def make(table=source, objective="pairs", **kwargs):
        config = dataclasses.replace(CONFIG, objective=ObjectiveConfig(name=objective))
        make_train_batches(table, vocabulary, config, **kwargs)

    with pytest.raises(ValueError, match=r"has the columns \['id', 'text'\]; .*'pairs'.*reads"):
        make(texts)
    with pytest.raises(ValueError, match=r"'prefix_lm'.*reads \['text'\]"):
        make(objective="prefix_lm")
    with pytest.raises(ValueError, match="span_corruption needs vocab_size"):
        make(texts, "span_corruption")
    with pytest.raises(ValueError, match=r"a soft prompt is trained on pairs, got .*'prefix_lm'"):
        make(texts, "prefix_lm", prompt_ids=(500,))
    with pytest.raises(ValueError, match=r"sizes: got \[40\], expected a sum of 42"):
        make(sizes=[40], rates=[1.0])
    with pytest.raises(ValueError, match=r"got sizes \[42\] and rates None, expected both"):
        make(sizes=[42])
    with pytest.raises(ValueError, match=r"expected a row or more and a rate each"):
        make(sizes=[42], rates=[0.5, 0.5])
    with pytest.raises(ValueError, match=r"rates: got \(0.0, 1.0\), expected numbers above 0"):
        make(sizes=(30, 12), rates=(0.0, 1.0))
    for streams in ([], [1]):
        with pytest.raises(ValueError, match=rf"streams: got \{streams}, expected .* 0 to 0"):
            make(streams=streams)


def test_a_text_that_has_no_tokens_is_named(vocabulary, tmp_path):
    write_arrow(pa.table({"id": ["t1"], "text": [" "]}), tmp_path / "texts.arrow")
    config = dataclasses.replace(CONFIG, objective=ObjectiveConfig(name="prefix_lm"))
    batches = make_train_batches(ArrowSource(tmp_path / "texts.arrow"), vocabulary, config)
    with pytest.raises(ValueError, match="text t1: got a text without tokens"):
        next(batches)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"half": "both"}, r"DataConfig\.half: got 'both', expected"),
        ({"batch_rows": 0}, r"DataConfig\.batch_rows: got 0, expected 1 or more"),
        ({"num_streams": 0}, r"DataConfig\.num_streams: got 0, expected 1 or more"),
        ({"prefetch_batches": -1}, r"DataConfig\.prefetch_batches: got -1, expected 0 or more"),
        ({"seed": -1}, r"DataConfig\.seed: got -1, expected 0 to 4294967295"),
        ({"batching": "sort"}, r"DataConfig\.batching: got 'sort', expected one of \('pack'"),
        ({"num_streams": 3}, r"DataConfig\.num_streams: got 3, expected a divisor of .*16"),
        ({"buckets": ((64, 192),)}, r"DataConfig\.buckets: got .*expected none with .*'pack'"),
        ({"batching": "bucket"}, r"DataConfig\.buckets: got \(\), expected .*\(64, 192\)"),
        ({"batching": "bucket", "buckets": ((32, 64),)}, r"DataConfig\.buckets: .*the last one"),
        (
            {"batching": "bucket", "buckets": ((32, 96), (64, 64), (64, 192))},
            r"DataConfig\.buckets: got .*ascending",
        ),
        (
            {"batching": "bucket", "buckets": ((0, 8), (64, 192))},
            r"DataConfig\.buckets: got .*ascending",
        ),
        (
            {"batching": "bucket", "buckets": ((64, 192),), "num_streams": 2},
            r"DataConfig\.num_streams: got 2, expected 1 with DataConfig\.batching 'bucket'",
        ),
    ],
)
def test_a_setting_out_of_range_is_named_with_its_value(changes, message):
    with pytest.raises(ValueError, match=message):
        DataConfig(**changes)
