"""What a run is told about itself: held-out loss by arm and prefix, of texts, and samples."""

import dataclasses
import json

import numpy as np
import pytest

from pe.data.objectives import ObjectiveConfig
from pe.data.pipeline import load_pairs
from pe.data.sources import DataSpec
from pe.eval.likelihood import Scorer, empty_queries
from pe.eval.validation import add_samples, choose_rows, make_validation
from pe.train.config import SampleConfig
from pe.train.metrics import read_metrics
from pe.train.run import EvalContext
from pe.train.seq2seq import bind_state, make_row_scorer


def silence(_):
    pass


@pytest.fixture(scope="module")
def data(dataset):
    return [DataSpec(str(dataset))]


@pytest.fixture(scope="module")
def watched(tmp_path_factory, tiny_config, start_run, data):
    """A run that is evaluated at its end and writes samples; (folder, what was said)."""
    folder, said = tmp_path_factory.mktemp("runs") / "watched", []
    samples = SampleConfig(queries=("red fox", "old boat"), num_expansions=2, max_tokens=8)
    config = dataclasses.replace(tiny_config, samples=samples)
    make = make_validation(data, config, say=said.append)
    start_run(folder, config, make_evaluators=make)
    return folder, said


def last_line(folder, name):
    return [row for row in read_metrics(folder / "metrics.jsonl") if name in row][-1]


@pytest.mark.slow
def test_validation_is_the_score_of_the_model_on_evenly_spaced_pairs(watched, dataset, trained):
    row = last_line(watched[0], "validation/nats_per_token_query")
    held_out = load_pairs(dataset, split="validation").to_pylist()
    pairs = [held_out[i] for i in (0, 1, 3, 5)]  # 4 wanted of 7
    scorer = Scorer(
        score=make_row_scorer(bind_state(trained.graph)),
        params=trained.params,
        vocabulary=trained.vocabulary,
        lengths=trained.config.data.lengths,
    )
    plain = [{**pair, "prefix": ""} for pair in pairs]
    arms = {
        "query": scorer.score_pairs(pairs),
        "blanked": scorer.score_pairs(pairs, is_blanked=True),
        "empty": scorer.score_pairs(empty_queries(pairs)),
        "no_prefix": scorer.score_pairs(plain),
    }
    for arm, scores in arms.items():
        assert row[f"validation/nats_per_token_{arm}"] == pytest.approx(scores.per_token())


@pytest.mark.slow
def test_every_prefix_has_its_loss_with_it_and_without(watched, dataset):
    row = last_line(watched[0], "validation/nats_per_token_query")
    held_out = load_pairs(dataset, split="validation").to_pylist()
    prefixes = {held_out[i]["prefix"] for i in (0, 1, 3, 5)} - {""}
    for arm in ("query", "no_prefix"):
        named = {name.partition("/nats_per_token_")[2] for name in row}
        assert {name for name in named if name.startswith(f"{arm}/")} == {
            f"{arm}/{prefix}" for prefix in prefixes
        }
    name = "validation/nats_per_token_"
    assert all(row[f"{name}query/{p}"] != row[f"{name}no_prefix/{p}"] for p in prefixes)


@pytest.mark.slow
def test_samples_of_the_fixed_queries_are_written_and_said(watched):
    folder, said = watched
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert [(row["step"], row["query"]) for row in rows] == [
        (6, "red fox"),
        (6, "red fox"),
        (6, "old boat"),
        (6, "old boat"),
    ]
    assert [f"  {row['query']}  ->  {row['text']}" for row in rows] == said
    assert last_line(folder, "samples/words")["samples/words"] == np.mean(
        [len(row["text"].split()) for row in rows]
    )


def test_samples_of_a_run_that_was_cut_short_are_taken_back(tmp_path):
    path = tmp_path / "samples.jsonl"
    for step, text in ((1, "a"), (2, "b"), (3, "c"), (2, "d")):
        add_samples(path, [{"step": step, "text": text}], step=step)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["step"], row["text"]) for row in rows] == [(1, "a"), (2, "d")]


@pytest.mark.slow
def test_texts_are_scored_under_the_runs_objective(tmp_path, tiny_config, start_run, data):
    config = dataclasses.replace(
        tiny_config,
        model=dataclasses.replace(tiny_config.model, vocab_size=512),
        data=dataclasses.replace(
            tiny_config.data, objective=ObjectiveConfig(name="span_corruption")
        ),
        loop=dataclasses.replace(tiny_config.loop, num_steps=2),
    )
    make = make_validation(data, config, say=silence)
    start_run(tmp_path / "run", config, make_evaluators=make)
    row = last_line(tmp_path / "run", "validation/nats_per_token")
    assert 4.0 < row["validation/nats_per_token"] < 8.0  # ln 512 is 6.2


def test_data_without_a_validation_split_is_said_and_left_out(tmp_path, tiny_config, vocabulary):
    path = tmp_path / "texts.txt"
    path.write_text("a red fox\n")
    objective = ObjectiveConfig(name="prefix_lm", column="text")
    config = dataclasses.replace(
        tiny_config, data=dataclasses.replace(tiny_config.data, objective=objective)
    )
    said = []
    make = make_validation([DataSpec(str(path))], config, say=said.append)
    assert said == []  # whether there is any data at all is for training to tell
    context = EvalContext(
        config=config,
        bind=lambda params: params,
        vocabulary=vocabulary,
        place=lambda array: array,
        whole=None,
        out=tmp_path,
    )
    assert make(context) == {}
    assert len(said) == 1
    assert f"no validation on {path}" in said[0]


def test_rows_are_chosen_evenly(dataset):
    table = load_pairs(dataset, split="train")
    rows = choose_rows(table, 3)
    assert [row["id"] for row in rows] == [table["id"][i].as_py() for i in (0, 14, 28)]
    assert len(choose_rows(table, 100)) == 42
