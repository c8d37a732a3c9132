import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_builders.main import BuildConfig, build, find_row
from pe.data.pipeline import load_pairs
from pe.pairs import PairConfig
from pe.prefixes import format_input
from pe.records import Dropped, Pair, arrow_schema
from pe.shards import read_shards
from pe.stages.local_runner import RunnerConfig

PROMPTS = [
    "a small red boat drifting on a quiet lake at dawn, oil painting, golden hour",
    "a watercolor painting of an old lighthouse above a stormy sea, muted colors",
    "two foxes",
    "portrait of a knight in silver armor, in a burning city, dramatic light, highly detailed",
    "A small red boat drifting on a quiet lake at dawn, oil painting, golden hour!",
    "a robot gardener watering sunflowers on the roof of a tower, isometric, pastel colors",
    "--ar 16:9",
    "the loneliness of a streetlight in falling snow, night, film grain",
]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    lines = [json.dumps({"prompt": text, "source": "mine"}) for text in PROMPTS]
    path.write_text("\n".join([*lines[:3], "{broken", *lines[3:]]) + "\n")
    return path


def test_a_build_accounts_for_every_row(prompts: Path, tmp_path: Path):
    out = tmp_path / "out"
    stats = build(prompts, out, BuildConfig(runner=RunnerConfig(shard_rows=3)))
    names = ["ingest", "invert_given", "screen", "duplicates", "queries", "pair", "screen_pair"]
    assert [stage["name"] for stage in stats["stages"]] == names
    for stage in stats["stages"]:
        assert stage["kept"] + stage["dropped"] == stage["in"]
        assert sum(stage["reasons"].values()) == stage["dropped"]
    counts = [(stage["in"], stage["out"]) for stage in stats["stages"][:4]]
    assert counts == [(9, 8), (8, 6), (6, 6), (6, 5)]
    assert json.loads((out / "stats.json").read_text())["stages"] == stats["stages"]


def test_dropped_rows_stand_in_the_dataset_with_reason_and_line(prompts: Path, tmp_path: Path):
    out = tmp_path / "out"
    build(prompts, out, BuildConfig())
    table = read_shards(out / "dropped")
    assert table.schema.equals(arrow_schema(Dropped))
    rows = {(row["stage"], row["reason"], row["uri"]) for row in table.to_pylist()}
    assert rows == {
        ("ingest", "broken_json", "prompts.jsonl:4"),
        ("invert_given", "too_short", "prompts.jsonl:3"),
        ("invert_given", "no_words", "prompts.jsonl:8"),
        ("duplicates", "exact_duplicate", "prompts.jsonl:6"),
    }


def test_pairs_have_their_schema_and_the_prompt_as_it_was_written(prompts: Path, tmp_path: Path):
    out = tmp_path / "out"
    build(prompts, out, BuildConfig())
    table = read_shards(out / "pairs")
    assert table.schema.equals(arrow_schema(Pair))
    rows = table.to_pylist()
    assert {row["prompt"] for row in rows} <= set(PROMPTS)
    assert all(row["query"] != row["prompt"] for row in rows)
    assert {row["prefix"] for row in rows} >= {"DTL", "FLV"}
    splits = {}
    for row in rows:
        splits.setdefault(row["prompt"], set()).add((row["split"], row["half"]))
    assert all(len(found) == 1 for found in splits.values())


def test_a_table_of_pairs_keeps_its_queries(tmp_path: Path):
    path = tmp_path / "pairs.csv"
    path.write_text("query,prompt\na boat,boat\na boat,a red boat\nsame,Same\n")
    build(path, tmp_path / "out", BuildConfig())
    rows = read_shards(tmp_path / "out" / "pairs").to_pylist()
    assert [(row["query"], row["prompt"]) for row in rows] == [
        ("a boat", "boat"),
        ("a boat", "a red boat"),
    ]


def test_the_tensorflow_dataset_reads_without_tensorflow(prompts: Path, tmp_path: Path):
    import tensorflow_datasets as tfds

    out = tmp_path / "out"
    config = BuildConfig(pairs=PairConfig(train_frac=1.0, validation_frac=0.0))
    build(prompts, out, config)
    rows = {row["id"]: row for row in read_shards(out / "pairs").to_pylist()}
    dataset = tfds.data_source("prompt_expansion", data_dir=out, split="train")
    assert len(dataset) == len(rows)
    for example in dataset:
        row = rows[example["id"].decode()]
        assert example["inputs"].decode() == format_input(row["query"], row["prefix"])
        assert example["inputs_plain"].decode() == row["query"]
        assert example["targets"].decode() == row["prompt"]
    assert "tensorflow" not in sys.modules


def test_a_finished_build_is_not_made_again_and_another_one_needs_replace(
    prompts: Path, tmp_path: Path
):
    out = tmp_path / "out"
    first = build(prompts, out, BuildConfig())
    before = (out / "pairs" / "part-00000.parquet").stat().st_mtime_ns
    assert build(prompts, out, BuildConfig()) == first
    assert (out / "pairs" / "part-00000.parquet").stat().st_mtime_ns == before
    other = BuildConfig(pairs=PairConfig(seed=1))
    with pytest.raises(ValueError, match="give --replace"):
        build(prompts, out, other)
    assert build(prompts, out, other, replace=True)["key"] != first["key"]
    prompts.write_text(prompts.read_text() + '{"prompt": "one more prompt of this kind"}\n')
    with pytest.raises(ValueError, match="another source or other settings"):
        build(prompts, out, other)


@pytest.mark.parametrize("folder", ["pairs", "dropped", "prompt_expansion/1.0.0"])
@pytest.mark.parametrize("is_gone", [True, False])
def test_published_files_that_were_lost_or_cut_off_are_written_anew(
    prompts: Path, tmp_path: Path, folder: str, is_gone: bool
):
    out, said = tmp_path / "out", []
    build(prompts, out, BuildConfig())
    path = max((out / folder).iterdir(), key=lambda path: path.stat().st_size)
    whole = path.read_bytes()
    if is_gone:
        path.unlink()
    else:
        path.write_bytes(whole[:100])
    build(prompts, out, BuildConfig(), say=said.append)
    assert path.read_bytes() == whole
    assert "1 files of" in said[0]
    assert path.name in said[0]
    build(prompts, out, BuildConfig(), say=said.append)
    assert "finished already" in said[-1]


def test_a_build_that_was_cut_off_while_publishing_is_published_again(
    prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out, straight = tmp_path / "out", tmp_path / "straight"
    build(prompts, straight, BuildConfig())
    monkeypatch.setattr("data_builders.main.card.make_card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build(prompts, out, BuildConfig())
    assert not (out / "stats.json").exists()
    monkeypatch.undo()
    build(prompts, out, BuildConfig())
    for path in sorted(straight.glob("pairs/*")) + sorted(straight.glob("prompt_expansion/*/*")):
        assert (out / path.relative_to(straight)).read_bytes() == path.read_bytes()
    assert not (out / ".tmp-publish").exists()


def test_a_folder_that_no_build_made_is_not_touched(prompts: Path, tmp_path: Path):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "README.md").write_text("my own")
    with pytest.raises(ValueError, match=r"holds README\.md, which no pe build made"):
        build(prompts, out, BuildConfig())
    assert (out / "README.md").read_text() == "my own"
    with pytest.raises(ValueError, match="is a file"):
        build(prompts, prompts, BuildConfig())


def test_a_kill_while_one_dataset_takes_anothers_place_leaves_none_half(
    prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out"
    build(prompts, out, BuildConfig())
    other, third = BuildConfig(pairs=PairConfig(seed=1)), BuildConfig(pairs=PairConfig(seed=2))
    replace, calls = Path.replace, []

    def killed_at_the_third(path: Path, target: Path) -> Path:
        calls.append(path)
        if len([c for c in calls if not c.name.startswith(".tmp-")]) == 3:
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        build(prompts, out, other, replace=True)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="is no finished dataset"):
        load_pairs(out, split="train")
    with pytest.raises(ValueError, match="give --replace"):
        build(prompts, out, third)
    build(prompts, out, other)
    straight = tmp_path / "straight"
    build(prompts, straight, other)
    for path in sorted(straight.glob("pairs/*")):
        assert (out / path.relative_to(straight)).read_bytes() == path.read_bytes()
    assert not (out / ".tmp-publish").exists()


def test_a_stats_file_of_somebody_else_is_named(prompts: Path, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stats.json").write_text("{}")
    with pytest.raises(ValueError, match=r"stats\.json is not the stats\.json of a pe build"):
        build(prompts, tmp_path / "out", BuildConfig())


def test_show_walks_a_pair_back_to_its_line(prompts: Path, tmp_path: Path):
    out = tmp_path / "out"
    build(prompts, out, BuildConfig())
    pair = read_shards(out / "pairs").to_pylist()[0]
    (row,) = find_row(out, pair["id"])
    assert row["children"] == [pair]
    assert row["query"]["id"] == pair["parents"][0]
    assert row["inversion"]["id"] == pair["parents"][1]
    assert row["image"]["id"] == pair["parents"][2]
    assert row["row"]["id"] == row["image"]["uri"] == "prompts.jsonl:1"


def test_show_finds_dropped_rows_by_file_and_line(prompts: Path, tmp_path: Path):
    out = tmp_path / "out"
    build(prompts, out, BuildConfig())
    (row,) = find_row(out, "prompts.jsonl:3")
    assert (row["stage"].split("-")[0], row["reason"]) == ("invert_given", "too_short")
    with pytest.raises(ValueError, match="no record 'nothing'"):
        find_row(out, "nothing")
    with pytest.raises(ValueError, match="is no finished dataset"):
        find_row(tmp_path, "nothing")


def test_a_source_without_one_pair_is_an_error_that_says_why(tmp_path: Path):
    path = tmp_path / "short.txt"
    path.write_text("a cat\na dog\n")
    with pytest.raises(ValueError, match=r"not one pair .*too_short': 2"):
        build(path, tmp_path / "out", BuildConfig())
    assert not (tmp_path / "out" / "stats.json").exists()


def test_the_card_has_the_header_and_as_many_sample_rows_as_it_says(prompts: Path, tmp_path: Path):
    out = tmp_path / "out"
    build(prompts, out, BuildConfig())
    text = (out / "README.md").read_text()
    assert text.startswith(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: pairs\n"
        "    path: pairs/*.parquet\n---\n"
    )
    assert "| ingest 1 | 9 | 8 | 1 | 8 | broken_json 1 |" in text
    num_pairs = pq.read_table(out / "pairs" / "part-00000.parquet").num_rows
    samples = text.split("| prefix | kind | query | prompt |\n")[1].strip().splitlines()[1:]
    assert len(samples) == min(20, num_pairs)


def test_tfrecord_without_tensorflow_is_refused_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"prompt-expansion\[seqio\]"):
        BuildConfig(file_format="tfrecord")
    with pytest.raises(ValueError, match="expected one of"):
        BuildConfig(file_format="csv")


@pytest.mark.seqio
def test_tfrecord_holds_the_same_examples_in_order(prompts: Path, tmp_path: Path):
    pytest.importorskip("tensorflow")
    import tensorflow_datasets as tfds

    out = tmp_path / "out"
    build(prompts, out, BuildConfig(file_format="tfrecord"))
    rows = {row["id"]: row for row in read_shards(out / "pairs").to_pylist()}
    found = {}
    for split in ("train", "validation", "test"):
        for example in tfds.load("prompt_expansion", data_dir=out, split=split).as_numpy_iterator():
            found[example["id"].decode()] = example["targets"].decode()
    assert found == {row_id: row["prompt"] for row_id, row in rows.items()}
