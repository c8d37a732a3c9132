"""What --data names: paths and rates, halves, TensorFlow datasets, files of texts."""

import dataclasses
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_builders.prompt_expansion import export_tfds
from pe import shards
from pe.data.sources import (
    COLUMNS,
    DataSpec,
    Parts,
    distinct_texts,
    load_pairs,
    load_part,
    load_parts,
    load_tfds,
    parse_data,
    read_texts,
)
from pe.records import Pair, arrow_schema

SYNTHETIC = [("RFT", "base"), ("MSTP", "refine"), ("RFT", "")]


@pytest.fixture(scope="module")
def mixed(dataset, tmp_path_factory):
    """The dataset with three synthetic pairs more, of either half and of none."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "pairs").mkdir()
    table = shards.read_shards(dataset / "pairs")
    first = Pair.from_row(table.slice(0, 1).to_pylist()[0])
    rows = [
        dataclasses.replace(first, id="", prefix=prefix, half=half, parents=(str(number),)).to_row()
        for number, (prefix, half) in enumerate(SYNTHETIC)
    ]
    more = pa.Table.from_pylist(rows, schema=arrow_schema(Pair))
    shards.write_table(folder / "pairs" / shards.shard_name(0), table)
    shards.write_table(folder / "pairs" / shards.shard_name(1), more)
    shards.write_json(folder / "stats.json", {})
    return folder


@pytest.fixture(scope="module")
def tfds_folder(mixed, tmp_path_factory):
    """The same as a TensorFlow dataset."""
    folder = tmp_path_factory.mktemp("tfds")
    return export_tfds(mixed / "pairs", folder, file_format="arrayrecord")


def sorted_rows(table):
    return sorted(table.to_pylist(), key=lambda row: row["id"])


@pytest.mark.parametrize(
    ("text", "path", "rate"),
    [
        ("data", "data", 1.0),
        ("data:0.7", "data", 0.7),
        ("tfds:prompts:0.3", "tfds:prompts", 0.3),
        ("prompts.jsonl:2", "prompts.jsonl", 2.0),
        ("tfds:prompts", "tfds:prompts", 1.0),
        ("tfds:prompts:1.0.0", "tfds:prompts:1.0.0", 1.0),
        ("a:b:1e-1", "a:b", 0.1),
    ],
)
def test_a_part_is_a_path_and_a_rate(text, path, rate):
    assert parse_data(text) == DataSpec(path, rate)


def test_a_path_that_exists_as_a_whole_has_no_rate(tmp_path):
    (tmp_path / "data:2").mkdir()
    assert parse_data(f"{tmp_path}/data:2") == DataSpec(f"{tmp_path}/data:2", 1.0)
    assert parse_data(f"{tmp_path}/data:2:3") == DataSpec(f"{tmp_path}/data:2", 3.0)


@pytest.mark.parametrize("number", ["0", "-1", "nan", "inf", "1e999"])
def test_a_rate_that_is_not_positive_is_refused(number):
    with pytest.raises(ValueError, match=rf"--data data:{number}: got the rate {number}, expected"):
        parse_data(f"data:{number}")


@pytest.mark.parametrize("text", ["", ":2", "tfds:", "tfds:0.5", "tfds::0.5"])
def test_a_rate_alone_is_no_data(text):
    with pytest.raises(ValueError, match=f"--data '{text}' names no data; expected DIR, tfds:NAME"):
        parse_data(text)


def test_pairs_are_chosen_by_split_and_half(dataset):
    assert len(load_pairs(dataset, split="train")) == 42
    assert len(load_pairs(dataset, split="validation")) == 7
    halves = [load_pairs(dataset, split="train", half=half)["half"] for half in ("base", "refine")]
    assert [set(half.to_pylist()) for half in halves] == [{"base"}, {"refine"}]
    assert sum(map(len, halves)) == 42


def test_synthetic_pairs_are_kept_with_either_half(dataset, mixed):
    for half in ("base", "refine"):
        real = load_pairs(dataset, split="train", half=half)
        both = load_pairs(mixed, split="train", half=half)
        assert both.slice(0, len(real)).equals(real)
        assert [(row["prefix"], row["half"]) for row in both.to_pylist()[len(real) :]] == SYNTHETIC
    assert len(load_pairs(mixed, split="train")) == 45


def test_a_split_that_holds_nothing_is_named(dataset):
    with pytest.raises(ValueError, match=r"holds no pair of split 'test' \(it holds train"):
        load_pairs(dataset, split="test")
    with pytest.raises(ValueError, match="holds no pair of split 'validation', half 'base'"):
        load_pairs(dataset, split="validation", half="base")


def test_an_unknown_split_or_half_and_a_folder_without_pairs_are_named(dataset, tmp_path):
    with pytest.raises(ValueError, match=r"split: got 'dev', expected one of \('train', "):
        load_pairs(dataset, split="dev")
    with pytest.raises(ValueError, match=r"is no finished dataset .*; run pe build first"):
        load_pairs(tmp_path, split="train")
    part = DataSpec(str(dataset))
    with pytest.raises(ValueError, match=r"split: got 'dev', expected one of \('train', "):
        load_part(part, split="dev")
    with pytest.raises(ValueError, match=r"half: got 'both', expected one of \('base', "):
        load_part(part, split="train", half="both")


@pytest.mark.parametrize("half", ["", "base", "refine"])
def test_a_tensorflow_dataset_gives_the_rows_it_was_exported_from(mixed, tfds_folder, half):
    expected = load_part(DataSpec(str(mixed)), split="train", half=half)
    table = load_part(DataSpec(f"tfds:{tfds_folder}"), split="train", half=half)
    assert table.column_names == COLUMNS
    assert table.schema == expected.schema
    assert sorted_rows(table) == sorted_rows(expected)


def test_a_tensorflow_dataset_is_found_by_its_name(mixed, tfds_folder, monkeypatch):
    from tensorflow_datasets.core import constants

    monkeypatch.setattr(constants, "DATA_DIR", str(tfds_folder.parents[1]))
    table = load_tfds("prompt_expansion", split="validation")
    assert sorted_rows(table) == sorted_rows(load_pairs(mixed, split="validation"))


def test_a_tensorflow_dataset_that_is_not_there_or_not_ours_is_named(tfds_folder, tmp_path):
    with pytest.raises(ValueError, match="tfds:no_such is neither a folder nor a dataset in"):
        load_tfds("no_such", split="train")
    with pytest.raises(ValueError, match=r"dataset_info.json is missing.*prompt_expansion/1\.0\.0"):
        load_tfds(str(tmp_path), split="train")
    with pytest.raises(ValueError, match=r"no pair of split 'test' \(it holds train, validation"):
        load_tfds(str(tfds_folder), split="test")
    with pytest.raises(ValueError, match="no pair of split 'validation', half 'base'"):
        load_tfds(str(tfds_folder), split="validation", half="base")
    features = tmp_path / "features"
    features.mkdir()
    for path in tfds_folder.iterdir():
        text = path.read_bytes()
        (features / path.name).write_bytes(text.replace(b'"inputs_plain"', b'"question"'))
    with pytest.raises(ValueError, match=r"no feature \['inputs_plain'\], it has .*question"):
        load_tfds(str(features), split="train")


def test_a_tfrecord_dataset_without_tensorflow_names_the_extra(tfds_folder, tmp_path, monkeypatch):
    for path in tfds_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    info = tmp_path / "dataset_info.json"
    described = info.read_text(encoding="utf-8")
    info.write_text(described.replace("array_record", "tfrecord"), encoding="utf-8")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(
        ValueError, match=r"stored as tfrecord, which needs TensorFlow; .*\[seqio\]"
    ):
        load_tfds(str(tmp_path), split="train")


@pytest.mark.seqio
def test_a_tfrecord_dataset_gives_the_rows_it_was_exported_from(mixed, tmp_path):
    pytest.importorskip("tensorflow")
    folder = export_tfds(mixed / "pairs", tmp_path, file_format="tfrecord")
    table = load_tfds(str(folder), split="train", half="base")
    assert sorted_rows(table) == sorted_rows(load_pairs(mixed, split="train", half="base"))


def test_parts_are_one_table_with_sizes_and_rates(dataset, tfds_folder):
    specs = [parse_data(f"{dataset}:3"), parse_data(f"tfds:{tfds_folder}:1")]
    parts = load_parts(specs, split="train", half="base")
    assert isinstance(parts, Parts)
    assert parts.sizes == (len(load_pairs(dataset, split="train", half="base")), 24)
    assert parts.rates == (0.75, 0.25)
    assert len(parts.table) == sum(parts.sizes)
    assert parts.table.column_names == COLUMNS
    second = load_part(specs[1], split="train", half="base")
    assert parts.table.slice(parts.sizes[0]).to_pylist() == second.to_pylist()


def test_one_path_twice_and_no_path_are_refused(dataset, tfds_folder):
    again = dataset.parent / ".." / dataset.parent.name / dataset.name
    with pytest.raises(ValueError, match=r"is given twice; expected it once, with its rate"):
        load_parts([DataSpec(str(dataset)), DataSpec(str(again), 2.0)], split="train")
    with pytest.raises(ValueError, match=r"tfds:.* is given twice"):
        load_parts([DataSpec(f"tfds:{tfds_folder}")] * 2, split="train")
    with pytest.raises(ValueError, match="--data: got nothing, expected one part or more"):
        load_parts([], split="train")


def test_a_datasets_texts_are_those_of_the_docstring():
    columns = {
        "id": ["p1", "p2", "p3"],
        "query": ["a cat", "cat", "a fox"],
        "prompt": ["a cat, ink", "a cat, ink", "a fox"],
    }
    table = distinct_texts(pa.table(columns), "prompt", name="data")
    assert table.to_pylist() == [
        {"id": "p1", "text": "a cat, ink"},
        {"id": "p3", "text": "a fox"},
    ]


@pytest.mark.parametrize("column", ["query", "prompt"])
def test_a_datasets_texts_are_the_distinct_ones_of_its_half(dataset, column):
    table = load_part(DataSpec(str(dataset)), split="train", half="refine", column=column)
    pairs = load_pairs(dataset, split="train", half="refine").to_pylist()
    texts = list(dict.fromkeys(pair[column] for pair in pairs))
    assert table["text"].to_pylist() == texts
    by_id = {pair["id"]: pair[column] for pair in pairs}
    assert [by_id[i] for i in table["id"].to_pylist()] == texts


def test_a_tensorflow_datasets_texts_are_those_of_its_dataset(mixed, tfds_folder):
    tables = [
        load_part(DataSpec(path), split="train", column="prompt")
        for path in (str(mixed), f"tfds:{tfds_folder}")
    ]
    texts = [sorted(table["text"].to_pylist()) for table in tables]
    assert texts[0] == texts[1]


def write_texts(folder, suffix):
    """Five texts, of which two are blank (in a .jsonl one is missing)."""
    texts = ["a red fox", " ", "ein Fuchs \N{LATIN SMALL LETTER U WITH DIAERESIS}", "", "a red fox"]
    path = folder / f"texts{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"n": range(5), "text": [t or None for t in texts]}), path)
    elif suffix == ".txt":
        path.write_text("\n".join(texts), encoding="utf-8")
    else:
        rows = [{"text": text} for text in texts[:3]] + [{"other": 1}, {"text": texts[4]}]
        path.write_text("".join(json.dumps(row) + "\n\n" for row in rows), encoding="utf-8")
    return path, [texts[0], texts[2], texts[4]]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".txt"])
def test_a_files_texts_are_read_and_its_blank_ones_counted(tmp_path, suffix):
    path, texts = write_texts(tmp_path, suffix)
    said = []
    table = load_part(DataSpec(str(path)), split="train", column="text", say=said.append)
    assert table.column_names == ["id", "text"]
    assert table["text"].to_pylist() == texts
    assert said == [f"{path}: 2 blank texts left out, 3 kept"]
    ids = table["id"].to_pylist()
    assert ids[0] == ids[2] != ids[1]  # an id says what the text is, wherever it stands


def test_texts_of_files_and_datasets_make_one_table(dataset, tmp_path):
    path, texts = write_texts(tmp_path, ".jsonl")
    shards.write_text(path, path.read_text().replace("text", "prompt"))
    specs = [DataSpec(str(path), 1.0), DataSpec(str(dataset), 3.0)]
    parts = load_parts(specs, split="train", column="prompt")
    assert parts.sizes == (3, 42)
    assert parts.rates == (0.25, 0.75)
    assert parts.table["text"].to_pylist()[:3] == texts


def test_an_unknown_column_names_the_known_ones(dataset, tmp_path):
    with pytest.raises(ValueError, match=r"column: got 'kind', expected one of \['query', 'promp"):
        load_part(DataSpec(str(dataset)), split="train", column="kind")
    for suffix, known in ((".jsonl", r"'other', 'text'"), (".parquet", "'text'")):
        path, _ = write_texts(tmp_path, suffix)
        with pytest.raises(ValueError, match=rf"column: got 'x', expected one of \[{known}\] of /"):
            read_texts(path, "x")


def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path):
    path = tmp_path / "texts.jsonl"
    for text, message in [
        ('{"text": "a"}\n{"text": \n', r"texts\.jsonl:2: broken JSON"),
        ('{"text": "a"}\n\n["b"]\n', r"texts\.jsonl:3: got list, expected an object"),
        ('{"text": 5}\n', r"texts\.jsonl:1: 'text' is int, expected a text"),
        ('{"text": " "}\n', r"texts\.jsonl holds no text in the column 'text'"),
        ("", r"column: got 'text', expected one of \[\]"),
    ]:
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            load_part(DataSpec(str(path)), split="train", column="text")
    path.write_bytes(b'{"text": "\xff"}\n')
    with pytest.raises(ValueError, match=r"texts\.jsonl is not UTF-8"):
        read_texts(path, "text")
    (tmp_path / "texts.parquet").write_bytes(b"no such thing")
    with pytest.raises(ValueError, match=r"texts\.parquet is no Parquet file"):
        read_texts(tmp_path / "texts.parquet", "text")
    with pytest.raises(ValueError, match=r"none\.txt not found; expected a file of texts"):
        load_part(DataSpec(str(tmp_path / "none.txt")), split="train", column="text")
    (tmp_path / "texts.csv").write_text("a")
    with pytest.raises(ValueError, match=r"texts\.csv: got a file '\.csv', expected one of"):
        load_part(DataSpec(str(tmp_path / "texts.csv")), split="train", column="text")


def test_a_file_is_no_held_out_data(tmp_path):
    path, _ = write_texts(tmp_path, ".txt")
    with pytest.raises(ValueError, match=r"is a file, all of it train; it has no validation"):
        load_part(DataSpec(str(path)), split="validation", column="text")


def test_a_file_is_no_source_of_pairs(tmp_path):
    path, _ = write_texts(tmp_path, ".jsonl")
    with pytest.raises(ValueError, match=r"is a file; .* run pe build .* ObjectiveConfig\.name"):
        load_part(DataSpec(str(path)), split="train")
