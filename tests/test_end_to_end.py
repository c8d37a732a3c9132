"""From a table of prompts to expansions, by the commands a person types."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pe import cli
from pe.shards import read_shards
from pe.train.metrics import read_metrics

ROOT = Path(__file__).resolve().parents[1]
SMALL = [
    "--gin.T5Config.d_model=32",
    "--gin.T5Config.num_heads=2",
    "--gin.T5Config.head_dim=16",
    "--gin.T5Config.d_ff=64",
    "--gin.VOCAB_SIZE=600",
    "--gin.DataConfig.batch_rows=2",
    "--gin.STEPS=6",
    "--gin.LoopConfig.log_every_steps=2",
    "--gin.LoopConfig.eval_every_steps=6",
    "--gin.LoopConfig.save_every_steps=3",
    "--gin.LoopConfig.num_eval_pairs=8",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of the first 200 demo prompts and a model that has seen six batches of it."""
    folder = tmp_path_factory.mktemp("e2e")
    prompts = str(ROOT / "data_builders" / "demo_prompts.txt")
    assert cli.main(["build", prompts, "--out", str(folder / "data"), "--limit", "200"]) == 0
    gin_file = str(ROOT / "gin" / "runs" / "demo.gin")
    data, run = str(folder / "data"), str(folder / "run")
    assert cli.main(["train", "--gin_file", gin_file, "--data", data, "--out", run, *SMALL]) == 0
    return folder


def test_the_build_has_counts_pairs_and_card(folder: Path):
    stats = json.loads((folder / "data" / "stats.json").read_text())
    assert stats["stages"][0]["in"] == 200
    assert stats["stages"][-1]["out"] == len(read_shards(folder / "data" / "pairs"))


def test_the_run_has_its_settings_and_metrics(folder: Path):
    run = json.loads((folder / "run" / "run.json").read_text())
    assert run["config"]["model"]["d_model"] == 32
    assert set(run["versions"]) >= {"jax", "flax", "optax"}
    rows = read_metrics(folder / "run" / "metrics.jsonl")
    assert [row["step"] for row in rows] == [2, 4, 6, 6]
    assert "nll" in rows[0]
    assert "validation/nats_per_token_blanked" in rows[-1]
    assert list((folder / "run" / "tensorboard").iterdir())


@pytest.mark.slow
def test_expand_prints_json_that_is_the_same_for_the_same_seed(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["expand", "a red fox", "--model", str(folder / "run"), "-n", "3", "--json"]
    command += ["--max_tokens", "12", "--prefix", "FLV"]
    outputs = []
    for seed in ("7", "7", "8"):
        assert cli.main([*command, "--seed", seed]) == 0
        outputs.append(json.loads(capsys.readouterr().out))
    assert outputs[0] == outputs[1] != outputs[2]
    row = outputs[0]
    assert (row["query"], row["prefix"], len(row["expansions"])) == ("a red fox", "FLV", 3)
    assert set(row["expansions"][0]) == {"text", "seed", "logprob", "num_tokens"}


def test_expand_reads_queries_from_stdin_and_prints_a_table(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.stdin", io.StringIO("a red fox\n\na lighthouse\n"))
    assert cli.main(["expand", "--model", str(folder / "run"), "-n", "1", "--max_tokens", "8"]) == 0
    text = capsys.readouterr().out
    assert "a red fox" in text
    assert "a lighthouse" in text


@pytest.mark.slow
def test_expand_streams_what_it_would_have_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    command = [
        "expand",
        "a red fox",
        "--model",
        str(folder / "run"),
        "-n",
        "1",
        "--max_tokens",
        "9",
        "--temperature",
        "0",  # nothing is drawn anew
    ]
    assert cli.main([*command, "--json"]) == 0
    text = json.loads(capsys.readouterr().out)["expansions"][0]["text"]
    assert cli.main([*command, "--stream"]) == 0
    assert capsys.readouterr().out == f"a red fox\n{text}\n"


@pytest.mark.slow
def test_expand_keeps_bans_and_searches_beams(folder: Path, capsys: pytest.CaptureFixture[str]):
    command = ["expand", "a red fox", "--model", str(folder / "run"), "--max_tokens", "9", "--json"]
    assert cli.main([*command, "-n", "2", "--beams", "3", "--ban", "*e*"]) == 0
    expansions = json.loads(capsys.readouterr().out)["expansions"]
    assert len(expansions) == 2
    assert not any("e" in expansion["text"].lower() for expansion in expansions)
    flags = ["--ban", "*a*", "--candidates", "6", "--top_k", "50", "--dtype", "bfloat16"]
    assert cli.main([*command, "-n", "3", *flags]) == 0
    expansions = json.loads(capsys.readouterr().out)["expansions"]
    assert len(expansions) == 3
    assert not any("a" in expansion["text"].lower() for expansion in expansions)


def test_score_gives_every_row_the_total_and_the_kinds(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    rows = [
        {"query": "a red fox", "prompt": "a red fox in snow", "kind": "short", "prefix": None},
        {"query": "", "prompt": "a lighthouse at night", "prefix": "DTL", "kind": "long"},
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["score", "--model", str(folder / "run"), "--pairs", str(path)]
    assert cli.main([*command, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert len(scores["rows"]) == 2
    total = sum(row["nats"] for row in scores["rows"])
    count = sum(row["num_tokens"] for row in scores["rows"])
    assert scores["total"]["nats_per_token_query"] == pytest.approx(total / count)
    assert set(scores["by_kind"]) == {"long", "short"}
    assert {"nats_per_token_blanked", "nats_per_token_unigram"} <= set(scores["total"])
    assert cli.main(command) == 0
    assert "total: 2 pairs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["expand", "x", "--model", "nowhere"], "nowhere"),
        (["expand", "x", "--model", "OUT"], "OUT is no model folder; it holds nothing"),
        (["expand", "x", "--model", "RUN", "--vocab", "nowhere"], "vocabulary 'nowhere' not found"),
        (["expand", "x", "--model", "RUN", "--vocab", "EMPTY"], "EMPTY is no SentencePiece model"),
        (["expand", "x", "--model", "RUN", "--template", "{q}"], "expected {query} in it, once"),
        (["expand", "x", "--model", "RUN", "--target", "clip:0"], "target: got 'clip:0', expected"),
        (["expand", "x", "--model", "RUN", "--target", "nowhere"], "no such file or folder"),
        (["expand", "x", "--model", "RUN", "--candidates", "2"], "candidates: got 2, expected 4"),
        (["expand", "x", "--model", "RUN", "--ban", "!"], "ban: '!' holds no letter or digit"),
        (["expand", "x", "--model", "RUN", "--min_p", "2"], "min_p: got 2.0, expected 0 < min_p"),
        (["expand", "x", "--model", "RUN", "--top_k", "0"], "top_k: got 0, expected 1 or more"),
        (
            ["expand", "x", "--model", "RUN", "--repetition_penalty", "0"],
            "repetition_penalty: got 0.0, expected more than 0",
        ),
        (["expand", "x", "--model", "RUN", "--beams", "0"], "num_beams: got 0, expected 1 or more"),
        (["expand", "x", "--model", "RUN", "-n", "4", "--beams", "2"], "n: got 4, expected 1 to 2"),
        (["expand", "x", "--model", "RUN", "--stream", "--json"], "no --json, --beams"),
        (["expand", "x", "--model", "RUN", "--stream", "-n", "99"], "99 texts; at most"),
        (["expand", "x", "--model", "RUN", "-n", "0"], "-n: got 0, expected 1 or more"),
        (["expand", "x", "--model", "RUN", "--prefix", "FLAV"], "unknown prefix 'FLAV'"),
        (["expand", "", "--model", "RUN"], "the query is empty"),
        (["expand", "word " * 2000, "--model", "RUN"], "this model reads at most"),
        (["expand", "x", "--model", "RUN", "--top_p", "0"], "top_p: got 0.0, expected 0 < top_p"),
        (["expand", "x", "--model", "RUN", "--gin.A=1"], "takes no --gin.A=1"),
        (["build", "nowhere.csv", "--out", "OUT"], "nowhere.csv"),
        (["build", "EMPTY", "--out", "OUT"], "empty"),
        (["build", "COLUMNS", "--out", "OUT"], "--prompt_column"),
        (["build", "COLUMNS", "--out", "OUT", "--gin.STEPS=3"], "STEPS is set but nothing uses it"),
        (["build", "COLUMNS", "--out", "OUT", "--gin.PairConfig.sed=3"], "PairConfig.seed?"),
        (
            ["train", "--data", "OUT", "--out", "OUT"],
            "is no finished dataset (stats.json or pairs/ is missing)",
        ),
        (["score", "--model", "RUN", "--pairs", "COLUMNS"], "broken JSON"),
        (["score", "--model", "RUN", "--pairs", "nowhere"], "expected a .jsonl file"),
        (["show", "x", "--data", "OUT"], "is no finished dataset"),
    ],
)
def test_a_wrong_input_says_what_is_wrong_and_exits_with_2(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
):
    empty, columns = tmp_path / "empty.csv", tmp_path / "columns.csv"
    empty.write_text("")
    columns.write_text("a,b\n1,2\n")
    places = {
        "RUN": str(folder / "run"),
        "OUT": str(tmp_path / "out"),
        "EMPTY": str(empty),
        "COLUMNS": str(columns),
    }
    if arguments[-2:] == ["--model", "OUT"]:
        (tmp_path / "out").mkdir()
    assert cli.main([places.get(argument, argument) for argument in arguments]) == 2
    error = capsys.readouterr().err
    for name in ("OUT", "EMPTY"):
        error = error.replace(places[name], name)
    assert error.startswith(f"pe {arguments[0]}: ")
    assert message in error


def test_no_space_left_is_said_plainly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pe.shards.pq.write_table", fail)
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red fox in the snow\n")
    assert cli.main(["build", str(prompts), "--out", str(tmp_path / "out")]) == 1
    assert "no space left on the device" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.longest
def test_a_build_killed_in_three_stages_ends_as_if_it_had_not_been(tmp_path: Path):
    prompts = str(ROOT / "data_builders" / "demo_prompts.txt")
    command = [
        "kill_build.py",
        prompts,
        "--out",
        str(tmp_path),
        "--",
        "--gin.RunnerConfig.shard_rows=50",
    ]
    assert "0 differ" in run_tool(*command)


@pytest.mark.slow
@pytest.mark.longest
def test_training_killed_twice_ends_bit_for_bit_as_if_it_had_not_been(folder: Path, tmp_path: Path):
    gin_file = str(ROOT / "gin" / "runs" / "demo.gin")
    flags = [
        "--gin_file",
        gin_file,
        *SMALL,
        "--gin.STEPS=160",
        "--gin.LoopConfig.save_every_steps=20",
    ]
    data = str(folder / "data")
    places = ("--data", data, "--out", str(tmp_path))
    output = run_tool("kill_train.py", *places, "--kills", "2", "--", *flags)
    assert "every logged loss and every parameter is bit-identical" in output


def run_tool(name: str, *arguments: str) -> str:
    command = [sys.executable, str(ROOT / "tools" / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
