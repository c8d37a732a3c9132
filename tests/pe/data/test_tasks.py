"""seqio's tasks give the very ids that features.py gives, packed or not, with or without prefix."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pe import shards
from pe.data import tasks
from pe.data.features import LengthConfig, encode_pair
from pe.data.pipeline import load_pairs
from pe.records import Pair, arrow_schema

LENGTHS = {"inputs": 8, "targets": 16}  # short enough that targets are cut in some rows


@pytest.fixture
def seqio():
    """The library with an empty registry, as it was found afterwards."""
    seqio = pytest.importorskip("seqio")
    registries = (seqio.TaskRegistry, seqio.MixtureRegistry)
    before = [set(registry.names()) for registry in registries]
    yield seqio
    for registry, names in zip(registries, before, strict=True):
        for name in set(registry.names()) - names:
            registry.remove(name)


@pytest.fixture(scope="session")
def vocabulary_file(vocabulary, tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.model"
    vocabulary.save(path)
    return path


@pytest.fixture(scope="session")
def long_dataset(dataset, tmp_path_factory):
    """The same pairs with queries as long as their prompts, so that inputs are cut too."""
    folder = tmp_path_factory.mktemp("long")
    (folder / "pairs").mkdir()
    table = shards.read_shards(dataset / "pairs")
    place = table.schema.get_field_index("query")
    table = table.set_column(place, table.schema.field("query"), table["prompt"])
    shards.write_table(folder / "pairs" / shards.shard_name(0), table)
    shards.write_json(folder / "stats.json", {})
    return folder


@pytest.fixture(scope="session")
def big_dataset(tmp_path_factory):
    """2,400 training pairs in three shards, all with a prefix, each with a query of its own."""
    folder = tmp_path_factory.mktemp("big")
    (folder / "pairs").mkdir()
    for number in range(3):
        pairs = [
            Pair(
                query=f"fox {i}",
                prefix="ABST",
                prompt=f"a red fox {i}",
                kind="abstract",
                source="made-up",
                split="train",
                half="base",
                parents=(str(i),),
                licence="",
            ).to_row()
            for i in range(number * 800, number * 800 + 800)
        ]
        table = pa.Table.from_pylist(pairs, schema=arrow_schema(Pair))
        shards.write_table(folder / "pairs" / shards.shard_name(number), table)
    shards.write_json(folder / "stats.json", {})
    return folder


def read_rows(dataset, names=("inputs", "targets")):
    return [{name: row[name] for name in names} for row in dataset.as_numpy_iterator()]


def expected_rows(data, vocabulary, *, split, half, plain):
    lengths = LengthConfig(**LENGTHS)
    rows = []
    for pair in load_pairs(data, split=split, half=half).to_pylist():
        pair = {**pair, "prefix": ""} if plain else pair
        features = encode_pair(pair, vocabulary, lengths)
        rows.append({name: features[name] for name in ("inputs", "targets")})
    return rows


def test_a_pair_becomes_the_texts_of_the_docstring(tmp_path: Path):
    (tmp_path / "pairs").mkdir()
    fields = {"kind": "short", "source": "made-up", "split": "train", "half": "base"}
    texts = [("a cat", "FLV", "a cat, ink"), ("a dog", "", "a dog, ink")]
    pairs = [
        Pair(query=query, prefix=prefix, prompt=prompt, parents=(), licence="", **fields).to_row()
        for query, prefix, prompt in texts
    ]
    table = pa.Table.from_pylist(pairs, schema=arrow_schema(Pair))
    shards.write_table(tmp_path / "pairs" / shards.shard_name(0), table)
    shards.write_json(tmp_path / "stats.json", {})
    assert tasks.load_texts(tmp_path, split="train", half="base").to_pylist() == [
        {"inputs": "FLV a cat", "inputs_plain": "a cat", "targets": "a cat, ink"},
        {"inputs": "a dog",     "inputs_plain": "a dog", "targets": "a dog, ink"},
    ]  # fmt: skip
    assert tasks.count_pairs(tmp_path, half="base") == {"train": 2}
    assert tasks.count_pairs(tmp_path, half="refine") == {"train": 0}
    assert len(tasks.load_texts(tmp_path, split="test")) == 0


def test_the_half_divides_the_train_split_alone(dataset: Path):
    assert tasks.count_pairs(dataset) == {"train": 42, "validation": 7}
    assert tasks.count_pairs(dataset, half="base") == {"train": 21, "validation": 7}
    assert len(tasks.load_texts(dataset, split="train", half="refine")) == 21
    assert len(tasks.load_texts(dataset, split="validation", half="refine")) == 7


def test_a_schedule_refuses_rates_and_rows_that_cannot_be():
    with pytest.raises(ValueError, match=r"PrefixSchedule.end_rate: got 1.5, expected 0 to 1"):
        tasks.PrefixSchedule(end_rate=1.5)
    with pytest.raises(ValueError, match=r"PrefixSchedule.num_rows: got 0, expected 1 or more"):
        tasks.PrefixSchedule(num_rows=0)


def test_a_task_without_seqio_names_the_extra(dataset: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tasks.importlib.util, "find_spec", lambda name: None)
    for call in (
        lambda: tasks.add_task("x", dataset),
        lambda: tasks.add_mixture("x", {"y": 1.0}),
        lambda: tasks.make_vocabulary(),
    ):
        with pytest.raises(ValueError, match=r"pip install 'prompt-expansion\[seqio\]'"):
            call()


def test_the_module_is_imported_without_seqio_jax_or_grain():
    code = (
        "import sys, pe.data.tasks\n"
        "print([m for m in ('tensorflow', 'seqio', 'jax', 'grain', 'flax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.seqio
@pytest.mark.parametrize("form", ["prefixed", "plain"])
@pytest.mark.parametrize(("split", "half"), [("train", "base"), ("validation", "")])
def test_a_task_gives_the_ids_of_encode_pair(
    seqio, dataset: Path, long_dataset: Path, vocabulary, vocabulary_file: Path, form, split, half
):
    lengths = {}
    for name, data in [("short", dataset), ("long", long_dataset)]:
        tasks.add_task(name, data, form=form, vocabulary=vocabulary_file)
        task = seqio.get_mixture_or_task(name)
        found = read_rows(task.get_dataset(LENGTHS, split=split, shuffle=False))
        expected = expected_rows(data, vocabulary, split=split, half=half, plain=form == "plain")
        assert len(found) == len(expected) == task.num_input_examples(split)
        for got, want in zip(found, expected, strict=True):
            np.testing.assert_array_equal(got["inputs"], want["inputs"])
            np.testing.assert_array_equal(got["targets"], want["targets"])
            assert got["inputs"].dtype == got["targets"].dtype == np.int32
        assert task.source.splits == ("train", "validation")
        assert all(row["inputs"][-1] == 1 for row in found)
        lengths[name] = [len(row["inputs"]) for row in found]
        if split == "train":
            assert {bool(row["targets"][-1] == 1) for row in found} == {False, True}
    assert max(lengths["short"]) <= 8
    assert set(lengths["long"]) == {8}  # all cut


@pytest.mark.seqio
def test_the_vocabulary_shifts_no_piece(seqio, vocabulary, vocabulary_file: Path, monkeypatch):
    monkeypatch.setenv("PE_VOCABULARY", str(vocabulary_file))
    pieces = tasks.make_vocabulary()
    texts = ["ABST a red fox", "snow über 漢字", "<extra_id_0>", ""]
    for text in texts:
        assert list(pieces.encode(text)) == vocabulary.encode(text)
        assert list(pieces.encode_tf(text).numpy()) == vocabulary.encode(text)
    assert pieces.vocab_size == vocabulary.size
    assert pieces == tasks.make_vocabulary(vocabulary_file)  # T5X stops where they differ
    monkeypatch.delenv("PE_VOCABULARY")
    assert tasks.make_vocabulary() == seqio.SentencePieceVocabulary(
        "gs://t5-data/vocabs/cc_all.32000.100extra/sentencepiece.model"
    )


@pytest.mark.seqio
def test_a_vocabulary_that_seqio_cannot_read_is_refused(seqio, tmp_path: Path):
    with pytest.raises(ValueError, match="not found; expected a SentencePiece model"):
        tasks.make_vocabulary(tmp_path / "none.model")
    with pytest.raises(ValueError, match="seqio reads SentencePiece models only, not JSON"):
        tasks.make_vocabulary(tmp_path / "tokenizer.json")


@pytest.mark.seqio
def test_a_padded_row_has_shifted_decoder_inputs_and_weights_over_the_target(
    seqio, dataset: Path, vocabulary, vocabulary_file: Path
):
    tasks.add_task("padded", dataset, vocabulary=vocabulary_file)
    converted = seqio.get_dataset(
        "padded", LENGTHS, seqio.EncDecFeatureConverter(pack=False), "train", shuffle=False
    )
    expected = expected_rows(dataset, vocabulary, split="train", half="base", plain=False)
    rows = list(converted.as_numpy_iterator())
    assert len(rows) == len(expected) == 21
    for row, want in zip(rows, expected, strict=True):
        num_inputs, num_targets = len(want["inputs"]), len(want["targets"])
        targets = np.pad(want["targets"], (0, 16 - num_targets))
        np.testing.assert_array_equal(
            row["encoder_input_tokens"], np.pad(want["inputs"], (0, 8 - num_inputs))
        )
        np.testing.assert_array_equal(row["decoder_target_tokens"], targets)
        np.testing.assert_array_equal(row["decoder_input_tokens"], [0, *targets[:-1]])
        np.testing.assert_array_equal(row["decoder_loss_weights"], np.arange(16) < num_targets)


@pytest.mark.seqio
def test_packed_rows_hold_every_pair_once_in_segments(
    seqio, dataset: Path, vocabulary, vocabulary_file: Path
):
    tasks.add_task("packed", dataset, vocabulary=vocabulary_file)
    lengths = {"inputs": 40, "targets": 120}
    converted = seqio.get_dataset(
        "packed", lengths, seqio.EncDecFeatureConverter(pack=True), "train", shuffle=False
    )
    found, num_rows = [], 0
    for row in converted.as_numpy_iterator():
        num_rows += 1
        assert row["encoder_input_tokens"].shape == row["encoder_segment_ids"].shape == (40,)
        assert row["decoder_target_tokens"].shape == row["decoder_segment_ids"].shape == (120,)
        segments = row["decoder_segment_ids"]
        np.testing.assert_array_equal(row["decoder_loss_weights"], segments > 0)
        for segment in range(1, segments.max() + 1):
            targets = row["decoder_target_tokens"][segments == segment]
            decoder_inputs = row["decoder_input_tokens"][segments == segment]
            np.testing.assert_array_equal(decoder_inputs, [0, *targets[:-1]])
            positions = row["decoder_positions"][segments == segment]
            np.testing.assert_array_equal(positions, np.arange(len(targets)))
            inputs = row["encoder_input_tokens"][row["encoder_segment_ids"] == segment]
            found.append((tuple(inputs), tuple(targets)))
    wide = LengthConfig(inputs=40, targets=120)
    expected = [
        (tuple(features["inputs"]), tuple(features["targets"]))
        for pair in load_pairs(dataset, split="train", half="base").to_pylist()
        for features in [encode_pair(pair, vocabulary, wide)]
    ]
    assert sorted(found) == sorted(expected)
    assert num_rows < len(expected)


@pytest.mark.seqio
def test_the_dropped_share_follows_the_schedule_over_two_epochs(
    seqio, big_dataset: Path, vocabulary_file: Path
):
    schedule = tasks.PrefixSchedule(start_rate=0.2, end_rate=1.0, num_rows=4000)
    tasks.add_task(
        "dropout", big_dataset, form="dropout", vocabulary=vocabulary_file, schedule=schedule
    )
    task = seqio.get_mixture_or_task("dropout")

    def read(seed):
        dataset = task.get_dataset(None, split="train", shuffle=False, seed=seed, num_epochs=2)
        texts = [row["inputs_pretokenized"] for row in dataset.as_numpy_iterator()]
        return np.array([not text.startswith(b"ABST ") for text in texts])

    dropped = read(7)
    assert len(dropped) == 4800
    for start, rate in [(0, 0.3), (1000, 0.5), (2000, 0.7), (3000, 0.9)]:  # in the middle of each
        share = dropped[start : start + 1000].mean()
        assert abs(share - rate) < 3 * (rate * (1 - rate) / 1000) ** 0.5
    assert dropped[4000:].all()  # the second epoch goes on, it does not begin anew
    np.testing.assert_array_equal(read(7), dropped)
    assert (read(8) != dropped).any()


@pytest.mark.seqio
def test_validation_keeps_its_prefixes(seqio, dataset: Path, vocabulary, vocabulary_file: Path):
    schedule = tasks.PrefixSchedule(start_rate=1.0)
    tasks.add_task("all", dataset, form="dropout", vocabulary=vocabulary_file, schedule=schedule)
    task = seqio.get_mixture_or_task("all")
    for split, half, plain in [("train", "base", True), ("validation", "", False)]:
        found = read_rows(task.get_dataset(LENGTHS, split=split, shuffle=False, seed=0))
        expected = expected_rows(dataset, vocabulary, split=split, half=half, plain=plain)
        assert [list(row["inputs"]) for row in found] == [list(row["inputs"]) for row in expected]


@pytest.mark.seqio
def test_shuffling_is_over_all_rows_and_shards_are_disjoint(
    seqio, big_dataset: Path, vocabulary_file: Path
):
    tasks.add_task("shards", big_dataset, vocabulary=vocabulary_file)
    task = seqio.get_mixture_or_task("shards")

    def read(index):
        info = seqio.ShardInfo(index=index, num_shards=2)
        dataset = task.get_dataset(None, "train", shuffle=True, seed=3, shard_info=info)
        texts = [row["targets_pretokenized"] for row in dataset.as_numpy_iterator()]
        return [int(text.split()[-1]) for text in texts]

    first, second = read(0), read(1)
    assert sorted([*first, *second]) == list(range(2400))
    assert len(first) == 1200
    assert max(first[:100]) > 2000  # a buffer that fills from the front could not


@pytest.mark.seqio
def test_a_saved_place_in_the_stream_is_found_again(
    seqio, big_dataset: Path, vocabulary_file: Path, tmp_path: Path
):
    import tensorflow as tf

    tasks.add_task("saved", big_dataset, form="dropout", vocabulary=vocabulary_file)

    def start():  # as T5X's get_dataset does
        converter = seqio.EncDecFeatureConverter(pack=True)
        lengths = {"inputs": 32, "targets": 64}
        return iter(
            seqio.get_dataset(
                "saved", lengths, converter, shuffle=True, seed=5, num_epochs=None, batch_size=2
            )
        )

    def read(rows):
        return [next(rows)["encoder_input_tokens"].numpy().tolist() for _ in range(20)]

    rows = start()
    first = read(rows)
    path = tf.train.Checkpoint(rows=rows).write(str(tmp_path / "place"))
    expected = read(rows)
    again = start()
    tf.train.Checkpoint(rows=again).read(path).assert_consumed()
    assert read(again) == expected != first


@pytest.mark.seqio
def test_a_mixture_draws_from_both_datasets_at_its_rates(
    seqio, dataset: Path, big_dataset: Path, vocabulary_file: Path, monkeypatch
):
    monkeypatch.setenv("PE_VOCABULARY", str(vocabulary_file))
    tasks.add_default_tasks(dataset, refine=big_dataset)
    assert {name for name in seqio.TaskRegistry.names() if name.startswith("prompt_")} == {
        "prompt_expansion",
        "prompt_expansion_plain",
        "prompt_expansion_dropout",
        "prompt_expansion_refine",
    }
    tasks.add_mixture("one_to_three", {"prompt_expansion": 1.0, "prompt_expansion_refine": 3.0})
    for name, share in [("prompt_expansion_mixture", 0.5), ("one_to_three", 0.75)]:
        mixture = seqio.get_mixture_or_task(name)
        rows = mixture.get_dataset(LENGTHS, "train", seed=1, num_epochs=None).take(1000)
        refine = seqio.get_mixture_or_task("prompt_expansion_refine")
        targets = {
            tuple(row["targets"])
            for row in refine.get_dataset(LENGTHS, "train", shuffle=False).as_numpy_iterator()
        }
        found = np.mean([tuple(row["targets"]) in targets for row in rows.as_numpy_iterator()])
        assert abs(found - share) < 3 * (share * (1 - share) / 1000) ** 0.5
    with pytest.raises(ValueError, match=r"mixture 'm': unknown tasks \['none'\]; known: "):
        tasks.add_mixture("m", {"none": 1.0})
    with pytest.raises(ValueError, match="expected tasks with rates > 0"):
        tasks.add_mixture("m", {"prompt_expansion": 0.0})


@pytest.mark.seqio
def test_a_task_over_no_dataset_or_of_no_form_is_refused(seqio, dataset: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="is no finished dataset"):
        tasks.add_task("x", tmp_path)
    with pytest.raises(ValueError, match=r"form: got 'odd', expected one of \('prefixed', "):
        tasks.add_task("x", dataset, form="odd")
    with pytest.raises(ValueError, match="half: got 'third'"):
        tasks.add_task("x", dataset, half="third")
    with pytest.raises(ValueError, match="schedule is of no use to form 'plain'"):
        tasks.add_task("x", dataset, form="plain", schedule=tasks.PrefixSchedule())


@pytest.mark.seqio
def test_the_import_registers_the_tasks_of_the_environment(seqio, dataset, vocabulary_file):
    code = (
        "import pe.data.tasks, seqio\n"
        "names = {*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()}\n"
        "print(*sorted(name for name in names if name.startswith('prompt_')), sep='\\n')"
    )
    environment = {"PE_DATA_DIR": str(dataset), "PE_VOCABULARY": str(vocabulary_file)}

    def run(**more):
        return subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={**environment, **more, "PATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    names = ["", "_dropout", "_mixture", "_plain", "_refine"]
    found = run(PE_REFINE_DIR=str(dataset), PE_DROPOUT_ROWS="5000").stdout
    assert found.split() == [f"prompt_expansion{name}" for name in names]
    assert "PE_DROPOUT_ROWS: got 'many', expected a number" in run(PE_DROPOUT_ROWS="many").stderr
