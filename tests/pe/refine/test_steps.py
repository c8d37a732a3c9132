"""Pairs of a step and the next: made by a trained run, none that strays, and trained on."""

import io
import json

import pytest

from pe import shards
from pe.cli import main
from pe.data.sources import load_pairs
from pe.refine.steps import StepConfig, is_next_step


@pytest.mark.parametrize(
    ("after", "settings", "expected"),
    [
        ("a red fox, deep snow, ink", {}, True),
        ("a red fox in snow", {}, False),
        ("A red fox in snow.", {}, False),
        ("an old boat", {}, False),
        ("a fox", {}, False),
        (" ", {}, False),
        ("a red fox in snow, ink, dusk, Ink", {}, False),
        ("a red boat in snow", {}, False),
        ("a red boat in snow", {"min_query_kept": 0.0}, True),
        ("a fox", {"min_kept": 0.0}, True),
        ("a red fox in snow, ink", {"max_added": 0}, False),
        ("a red fox in snow, ink", {"max_added": 1}, True),
        ("a red fox in deep snow", {"max_added": 0}, True),
    ],
)
def test_a_next_step_goes_on_and_does_not_stray(after, settings, expected):
    config = StepConfig(**settings)
    assert is_next_step("a fox", "a red fox in snow", after, config) == expected


def make_pairs(dataset, run_folder, out, *more):
    settings = {"StepConfig.num_steps": 3, "StepConfig.num_chains": 2, "StepConfig.min_kept": 0.0,
                "StepConfig.min_query_kept": 0.0, "SamplingConfig.max_tokens": 6,
                "RunnerConfig.shard_rows": 4}  # fmt: skip
    bindings = [f"--gin.{name}={value}" for name, value in settings.items()]
    command = ["refine_steps", "--model", str(run_folder), "--data", str(dataset), "--out", out]
    return main([*map(str, command), *bindings, *more])


@pytest.mark.slow
def test_pairs_link_one_expansion_to_the_next(tmp_path, dataset, run_folder, capsys):
    out = tmp_path / "steps"
    assert make_pairs(dataset, run_folder, out, "--limit", "4") == 0
    pairs = shards.read_shards(out / "pairs").to_pylist()
    assert pairs
    assert {pair["prefix"] for pair in pairs} == {"MSTP"}
    stats = json.loads((out / "stats.json").read_text())
    (stage,) = stats["stages"]
    assert stage["in"] == 4 == stage["kept"] + stage["dropped"]
    assert stage["out"] == len(pairs)
    prompts = {pair["prompt"] for pair in pairs}
    assert any(pair["query"] in prompts for pair in pairs)  # a chain's second pair
    assert len(load_pairs(out, split="train", half="base")) == len(pairs)  # synthetic: of both
    told = capsys.readouterr().err
    assert f"{len(pairs):,} pairs of {stage['kept']:,} queries" in told
    assert make_pairs(dataset, run_folder, out, "--limit", "4") == 0
    assert "has its pairs already" in capsys.readouterr().err
    assert make_pairs(dataset, run_folder, out, "--limit", "3") == 2
    assert "holds pairs of other settings" in capsys.readouterr().err


@pytest.mark.slow
def test_expand_prints_every_step(run_folder, capsys):
    command = ["expand", "red fox", "--model", str(run_folder), "-n", "2", "--steps", "3",
               "--max_tokens", "6"]  # fmt: skip
    assert main([*command, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["query"] == "red fox"
    assert [len(e["steps"]) for e in row["expansions"]] == [3, 3]
    assert all(e["text"] == e["steps"][-1] for e in row["expansions"])
    assert main(command) == 0
    lines = capsys.readouterr().out
    assert lines.count(" 3 ") == 2


@pytest.mark.slow
def test_a_person_picks_what_is_expanded_again(run_folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("2\nold boat\n\n"))
    command = ["expand", "red fox", "--model", str(run_folder), "-n", "2", "--max_tokens", "6"]
    assert main([*command, "--pick"]) == 0
    found = capsys.readouterr()
    tables = [part for part in found.out.split("query ") if part.strip()]
    assert len(tables) == 3
    assert "red fox" in tables[0]
    assert "old boat" in tables[2]
    assert found.err.count("1 to 2 to expand again") == 3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--steps", "0"], "--steps: got 0, expected 1 or more"),
        (["--steps", "2", "--stream"], "--steps and --pick go without --stream"),
        (["--pick", "--json"], "leave out --json and --steps"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(capsys, flags, message):
    assert main(["expand", "a", "--model", "none", *flags]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_steps", 1),
        ("num_chains", 0),
        ("min_kept", 1.5),
        ("min_query_kept", -0.5),
        ("max_added", -1),
    ],
)
def test_settings_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        StepConfig(**{name: value})
