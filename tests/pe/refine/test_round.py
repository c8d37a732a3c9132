"""A round from queries to pairs and into training: a tiny run, Studio, and an encoder."""

import dataclasses
import json

import pyarrow as pa
import pytest

from pe import shards
from pe.cli import main
from pe.decode.sampling import SamplingConfig
from pe.engines.aesthetics import AestheticConfig
from pe.engines.t2i import T2iConfig
from pe.refine.expansion import ExpansionConfig
from pe.refine.report import Tally, flavor_changes, write_report
from pe.refine.round import RefineConfig, RoundInput, choose_pairs
from pe.refine.scoring import ScoreConfig
from pe.refine.selection import SelectConfig
from pe.refine.source import RefineSourceConfig
from pe.stages.local_runner import RunnerConfig
from tests.pe.conftest import make_pairs

QUERIES = len({pair.query for pair in make_pairs() if pair.half == "refine"})


@pytest.fixture(scope="module")
def config(encoder_folder):
    return RefineConfig(
        expansion=ExpansionConfig(num_expansions=3, sampling=SamplingConfig(max_tokens=8)),
        t2i=T2iConfig(size_px=64),
        score=ScoreConfig(encoder=str(encoder_folder)),
        runner=RunnerConfig(shard_rows=4, batch_rows=4),
    )


@pytest.fixture(scope="module")
def refined(tmp_path_factory, dataset, run_folder, config):
    out = tmp_path_factory.mktemp("refined")
    given = RoundInput(data=dataset, expansions=None, expander=str(run_folder), number=1)
    return given, out, choose_pairs(given, out, config)


def test_every_row_is_kept_or_dropped_and_half_of_the_pictures_are_pairs(refined):
    _, out, stats = refined
    by_name = {stage["name"]: stage for stage in stats["stages"]}
    assert list(by_name) == ["expansions", "pruned", "renderings", "scores", "pairs"]
    assert by_name["expansions"]["in"] == QUERIES
    assert by_name["pruned"]["in"] == by_name["expansions"]["out"] == 3 * QUERIES
    assert by_name["renderings"]["in"] == by_name["pruned"]["out"]
    for stage in stats["stages"]:
        assert stage["kept"] + stage["dropped"] == stage["in"]
    last = by_name["pairs"]
    assert last["out"] >= last["in"] / 2
    assert last["reasons"] == {"below_threshold": last["dropped"]}
    pairs = shards.read_shards(out / "round1" / "pairs")
    assert len(pairs) == last["out"]
    assert set(pairs["prefix"].to_pylist()) == {"RFT"}
    assert set(pairs["source"].to_pylist()) == {"refine/1"}
    dropped = shards.read_shards(out / "round1" / "dropped")
    assert len(dropped) == sum(stage["dropped"] for stage in stats["stages"])
    pictures = list((out / "pictures").rglob("*.png"))
    assert 0 < len(pictures) <= 3 * QUERIES


def test_what_was_kept_scored_at_the_cutoff_or_above(refined):
    _, out, stats = refined
    folder = out / "round1" / "stages" / stats["stage_folders"][-1]
    rows = shards.read_shards(folder).to_pylist()
    for row in rows:
        assert (row["score"]["value"] >= stats["cutoff"]) == (row["reason"] is None)


def test_the_report_shows_scores_kinds_flavors_and_pictures(refined):
    _, out, stats = refined
    text = (out / "round1" / "report.html").read_text()
    kept, num = stats["stages"][-1]["out"], stats["stages"][-1]["in"]
    assert f"{kept:,} of {num:,} pictures were kept" in text
    assert "<svg" in text
    assert text.count("<img") == 2 * min(12, num)
    assert "abstract" in text
    assert "rating" not in text


def test_pairs_that_were_lost_are_written_anew(refined, config):
    given, out, stats = refined
    path = out / "round1" / "pairs" / shards.shard_name(0)
    whole = path.read_bytes()
    path.unlink()
    said = []
    again = choose_pairs(given, out, config, say=said.append)
    assert path.read_bytes() == whole
    assert again["files"] == stats["files"]
    assert choose_pairs(given, out, config, say=said.append) == again
    assert said == [
        "writing pairs and report",
        f"{out / 'round1'} has its pairs already, with these settings",
    ]


def test_the_report_tells_ratings_where_there_are_any(refined, tmp_path):
    _, out, stats = refined
    folder = out / "round1" / "stages" / stats["stage_folders"][-1]
    table = shards.read_shards(folder)
    rows = table.to_pylist()
    for row in rows:
        row["score"]["aesthetic"] = 6.5
    shards.write_table(
        tmp_path / shards.shard_name(0), pa.Table.from_pylist(rows, schema=table.schema)
    )
    path = tmp_path / "report.html"
    write_report(
        path, tmp_path, out / "pictures", select=SelectConfig(), cutoff=stats["cutoff"], title="R"
    )
    assert path.read_text().count(", rating 6.50") == 2 * min(12, len(rows))


def test_flavors_that_gain_and_lose_are_told_by_their_share():
    tally = Tally()
    tally.flavors.update({"watercolor": 10, "8k": 10, "ink": 2})
    tally.kept_flavors.update({"watercolor": 8, "8k": 1})
    assert flavor_changes(tally, 40, 20) == [("watercolor", 10, 1.6), ("8k", 10, 0.2)]


def test_a_finished_round_is_taken_as_it_stands_and_other_settings_are_refused(refined, config):
    given, out, stats = refined
    said = []
    assert choose_pairs(given, out, config, say=said.append) == json.loads(json.dumps(stats))
    assert "has its pairs already" in said[0]
    other = dataclasses.replace(config, select=SelectConfig(mode="best", threshold=1.0))
    with pytest.raises(ValueError, match=r"round1 holds pairs of other settings"):
        choose_pairs(given, out, other)


@pytest.mark.slow
def test_the_best_of_each_query_are_kept(tmp_path, dataset, run_folder, config):
    best = dataclasses.replace(
        config,
        select=SelectConfig(mode="best", threshold=1.0),
        source=RefineSourceConfig(limit=3),
    )
    given = RoundInput(data=dataset, expansions=None, expander=str(run_folder), number=1)
    stats = choose_pairs(given, tmp_path, best)
    folder = tmp_path / "round1" / "stages" / stats["stage_folders"][-1]
    rows = shards.read_shards(folder).to_pylist()
    assert sum(row["reason"] is None for row in rows) == 3
    for query in {row["query"]["id"] for row in rows}:
        ours = [row for row in rows if row["query"]["id"] == query]
        kept = [row["score"]["value"] for row in ours if row["reason"] is None]
        assert kept == [max(row["score"]["value"] for row in ours)]


@pytest.mark.slow
def test_pe_refine_trains_on_from_the_base(tmp_path, dataset, run_folder, encoder_folder):
    settings = {
        "T2iConfig.size_px": 64,
        "RunnerConfig.shard_rows": 4,
        "ExpansionConfig.num_expansions": 2,
        "SamplingConfig.max_tokens": 8,
        "DataConfig.half": "''",
        "DataConfig.batch_rows": 4,
        "LengthConfig.inputs": 32,
        "LengthConfig.targets": 48,
        "OptimizerConfig.name": "'adamw'",
        "LoopConfig.num_steps": 2,
        "LoopConfig.log_every_steps": 1,
        "LoopConfig.eval_every_steps": 2,
        "LoopConfig.save_every_steps": 2,
        "LoopConfig.num_eval_pairs": 4,
        "SampleConfig.queries": "()",
    }
    bindings = [f"--gin.{name}={value}" for name, value in settings.items()]
    command = ["refine", "--model", str(run_folder), "--data", str(dataset), "--out",
               str(tmp_path / "out"), "--encoder", str(encoder_folder), "--limit", "3"]  # fmt: skip
    assert main([*command, *bindings]) == 0
    run = tmp_path / "out" / "round1" / "run"
    start = json.loads((run / "init.json").read_text())
    assert str(run_folder) in json.dumps(start)
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {row["step"] for row in steps} == {1, 2}
    assert main([*command, *bindings]) == 0  # all of it is there


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--data is missing; expected the --out of pe build"),
        (["--rounds", "0"], "--rounds: got 0, expected 1 or more"),
        (["--expansions", "e.jsonl", "--rounds", "2"], "--expansions are those of one round"),
        (["--data", "nowhere"], "--data nowhere: there is nothing; check the path"),
    ],
)
def test_flags_that_make_no_sense_are_refused(tmp_path, capsys, flags, message):
    assert main(["refine", "--model", "m", "--out", str(tmp_path / "out"), *flags]) == 2
    assert message in capsys.readouterr().err


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"refined_rate: got 0.0, expected above 0"):
        RefineConfig(refined_rate=0.0)
    with pytest.raises(ValueError, match=r"aesthetic_weight is 0.1, and nothing rates"):
        RefineConfig(score=ScoreConfig(aesthetic_weight=0.1), aesthetics=AestheticConfig())
    for mode, threshold in (("quantile", 1.5), ("best", 0.5), ("median", 0.5)):
        with pytest.raises(ValueError, match="SelectConfig"):
            SelectConfig(mode=mode, threshold=threshold)
    with pytest.raises(ValueError, match=r"num_expansions: got 0"):
        ExpansionConfig(num_expansions=0)
