"""A training run from data folder to run folder and back, stopped and started again."""

import dataclasses
import json
import re

import jax
import numpy as np
import pyarrow as pa
import pytest

from pe.data.features import encode_target
from pe.data.sources import DataSpec, Parts
from pe.data.tokenizer import load_vocabulary
from pe.models.blueprint import flatten_params
from pe.train import loop, run
from pe.train.checkpoints import Checkpoints
from pe.train.config import SampleConfig, TrainConfig
from pe.train.loop import Trainer
from pe.train.mesh import Layout, make_mesh
from pe.train.metrics import read_metrics
from pe.train.optimizer import OptimizerConfig
from pe.train.prepare import drop_empty, prepare_run
from pe.train.run import batch_ids, load_run, make_task
from pe.train.soft_prompt import SoftPromptConfig
from pe.train.start import FirstParams


def silence(_):
    pass


def restore_state(folder, config, step):
    """The whole state of a checkpoint, optimiser included, with the data's place."""
    layout = Layout(make_mesh(config.mesh), config.mesh.axis_rules)
    trainer = Trainer(make_task(config, first_params(config, folder), layout), config.loop, layout)
    checkpoints = Checkpoints(folder / "checkpoints")
    restored = trainer.restore(checkpoints, step)
    checkpoints.close()
    return restored


def first_params(config, folder):
    return FirstParams(config, load_vocabulary(folder / "vocabulary.model"), None)


@pytest.fixture(scope="module")
def stopped_folder(tmp_path_factory, tiny_config, start_run):
    """A run that was stopped after step 5, whose newest checkpoint is of step 3."""
    folder = tmp_path_factory.mktemp("runs") / "stopped"

    def stop(step, metrics):
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start_run(folder, tiny_config, console=stop)
    return folder


@pytest.fixture(scope="module")
def resumed_folder(stopped_folder, tiny_config, start_run):
    """The stopped run, gone on with by new objects to its end."""
    assert [row["step"] for row in read_metrics(stopped_folder / "metrics.jsonl")] == [
        1,
        2,
        3,
        4,
        5,
    ]
    start_run(stopped_folder, tiny_config)
    return stopped_folder


def test_a_resumed_run_is_the_straight_run_bit_for_bit(run_folder, resumed_folder, tiny_config):
    straight, resumed = (
        restore_state(folder, tiny_config, 6) for folder in (run_folder, resumed_folder)
    )
    jax.tree.map(np.testing.assert_array_equal, resumed[0], straight[0])
    assert resumed[1] == straight[1]


def test_a_resumed_run_logs_the_lines_of_the_straight_run(run_folder, resumed_folder):
    lines = [
        [
            {name: value for name, value in row.items() if name != "tokens_per_sec"}
            for row in read_metrics(folder / "metrics.jsonl")
        ]
        for folder in (run_folder, resumed_folder)
    ]
    assert [row["step"] for row in lines[0]] == [1, 2, 3, 4, 5, 6]
    assert lines[1] == lines[0]


def test_dropout_rate_rises_as_the_settings_say(run_folder):
    rates = [row["prefix_dropout_rate"] for row in read_metrics(run_folder / "metrics.jsonl")]
    np.testing.assert_allclose(rates, [0.4, 0.52, 0.64, 0.76, 0.88, 1.0], rtol=1e-6)


def test_a_run_compiles_its_step_once(run_folder, trainers):
    assert trainers[0].step._cache_size() == 1


def test_a_resumed_run_compiles_its_step_once(resumed_folder, trainers):
    assert trainers[-1].step._cache_size() == 1


def test_training_lowers_the_loss_and_moves_every_parameter(run_folder, trained, tiny_config):
    rows = read_metrics(run_folder / "metrics.jsonl")
    assert rows[-1]["nll"] < rows[0]["nll"]
    first = first_params(tiny_config, run_folder)
    start = first.load(first.trained, dict.fromkeys(first.trained))
    moved = {
        name: bool(np.any(start[name] != array))
        for name, array in flatten_params(trained.params).items()
    }
    assert sorted(moved) == sorted(start)
    assert all(moved.values())


def test_a_loaded_run_is_what_the_last_checkpoint_holds(run_folder, trained, tiny_config):
    assert (trained.name, trained.step, trained.config) == ("tiny@6", 6, tiny_config)
    state, _ = restore_state(run_folder, tiny_config, 6)
    jax.tree.map(np.testing.assert_array_equal, flatten_params(trained.params), state.params)
    assert trained.vocabulary.model_bytes == (run_folder / "vocabulary.model").read_bytes()


def test_the_run_folder_says_how_it_was_made(run_folder, dataset):
    described = json.loads((run_folder / "run.json").read_text())
    assert described["data"] == [{"path": str(dataset), "rate": 1.0, "num_rows": 42}]
    assert described["versions"]["jax"] == jax.__version__
    assert re.fullmatch(r"[0-9a-f]{40}|", described["git_revision"])
    assert described["config"]["model"]["d_model"] == 16
    settings = (run_folder / "config.gin").read_text().splitlines()
    assert "T5Config.d_model = 16" in settings
    assert "OptimizerConfig.beta2 = 0.98" in settings  # a default


def test_the_unigram_counts_every_target_token(run_folder, train_pairs, trained):
    counts = np.load(run_folder / "unigram.npy")
    assert len(counts) == 416
    assert counts[1] == 42  # every target has an end token
    vocabulary = trained.vocabulary
    ids = [encode_target(p["prompt"], vocabulary, max_length=48) for p in train_pairs]
    assert counts.tolist() == np.bincount(np.concatenate(ids), minlength=416).tolist()


def test_a_folder_of_other_settings_is_refused_and_left_alone(run_folder, tiny_config, dataset):
    other = dataclasses.replace(tiny_config, optimizer=OptimizerConfig(learning_rate=0.5))
    before = {path: path.read_bytes() for path in run_folder.iterdir() if path.is_file()}
    with pytest.raises(ValueError, match=r"holds a run with other settings .*choose another --out"):
        prepare_run([DataSpec(str(dataset))], run_folder, other, start=None, say=silence)
    assert {path: path.read_bytes() for path in run_folder.iterdir() if path.is_file()} == before


def test_a_loss_that_is_no_number_names_the_pairs_of_its_batch(
    tmp_path, tiny_config, dataset, train_pairs, monkeypatch
):
    def make_broken_step(*args, **kwargs):
        return lambda state, frozen, batch: (state, {"loss": jax.numpy.float32(jax.numpy.nan)})

    monkeypatch.setattr(loop, "make_train_step", make_broken_step)
    with pytest.raises(FloatingPointError, match="loss is nan at step 1, of pairs ") as error:
        run.train(
            [DataSpec(str(dataset))],
            tmp_path / "run",
            tiny_config,
            make_evaluators=lambda context: {},
            console=lambda step, metrics: None,
        )
    named = re.findall(r"\b[0-9a-f]{20}\b", str(error.value))
    assert len(named) >= 4
    assert set(named) <= {pair["id"] for pair in train_pairs}
    assert load_errors(tmp_path / "run") == "holds no checkpoint yet; let pe train reach its first"


def load_errors(folder):
    with pytest.raises(ValueError, match="holds no checkpoint yet") as error:
        load_run(folder)
    return re.search(r"holds no checkpoint yet; let pe train reach its first", str(error.value))[0]


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere is no model folder \(run\.json is missing\)"):
        load_run(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_vocabulary_larger_than_the_model_is_refused(tmp_path, tiny_config, dataset, vocabulary):
    small = dataclasses.replace(tiny_config.model, vocab_size=100)
    with pytest.raises(
        ValueError, match=r"VocabularyConfig\.size \(400\) is larger than .*\(100\)"
    ):
        dataclasses.replace(tiny_config, model=small)
    path = tmp_path / "given.model"
    vocabulary.save(path)
    given = dataclasses.replace(tiny_config.vocabulary, path=str(path))
    config = dataclasses.replace(tiny_config, model=small, vocabulary=given)
    with pytest.raises(ValueError, match=r"has 3\d\d pieces, T5Config\.vocab_size is 100|has 400"):
        prepare_run([DataSpec(str(dataset))], tmp_path / "run", config, start=None, say=silence)
    assert not (tmp_path / "run").exists()


def test_a_given_vocabulary_is_taken_as_it_is(tmp_path, tiny_config, dataset, vocabulary):
    path = tmp_path / "given.model"
    vocabulary.save(path)
    given = dataclasses.replace(tiny_config.vocabulary, path=str(path))
    config = dataclasses.replace(tiny_config, vocabulary=given)
    prepared = prepare_run(
        [DataSpec(str(dataset))], tmp_path / "run", config, start=None, say=silence
    )
    assert prepared.vocabulary.model_bytes == vocabulary.model_bytes
    assert len(prepared.source) == 42
    again = prepare_run([DataSpec(str(dataset))], tmp_path / "run", config, start=None, say=silence)
    assert len(again.source) == 42


def test_rows_of_a_batch_are_told_as_pair_ids(source):
    rows = np.zeros((2, 32), np.int32)
    rows[0, :2], rows[1, 0] = (3, 1), 42
    assert batch_ids(source, {"rows": rows}) == source.ids([2, 0, 41])


def test_a_run_is_described_by_its_defaults_alone():
    config = TrainConfig()
    assert config.vocabulary.size <= config.model.vocab_size


def test_what_a_run_may_change_and_still_go_on(run_folder, tiny_config, dataset):
    loop_config = dataclasses.replace(
        tiny_config.loop, log_every_steps=5, save_every_steps=9, keep_checkpoints=7
    )
    changed = dataclasses.replace(
        tiny_config, loop=loop_config, samples=SampleConfig(queries=("a fox",))
    )
    data = [DataSpec(str(dataset))]
    prepared = prepare_run(data, run_folder, changed, start=None, say=silence)
    assert len(prepared.source) == 42


def test_a_folder_without_a_checkpoint_is_laid_out_anew(tmp_path, tiny_config, dataset):
    data = [DataSpec(str(dataset))]
    prepare_run(data, tmp_path / "run", tiny_config, start=None, say=silence)
    other = dataclasses.replace(tiny_config, optimizer=OptimizerConfig(learning_rate=0.5))
    prepare_run(data, tmp_path / "run", other, start=None, say=silence)
    assert "OptimizerConfig.learning_rate = 0.5" in (tmp_path / "run/config.gin").read_text()


def test_settings_that_cannot_be_trained_leave_no_folder(tmp_path, tiny_config, dataset):
    wrong = dataclasses.replace(tiny_config, soft_prompt=SoftPromptConfig(length=4))
    with pytest.raises(ValueError, match="expected --init MODEL"):
        prepare_run([DataSpec(str(dataset))], tmp_path / "run", wrong, start=None, say=silence)
    assert not (tmp_path / "run").exists()


def test_texts_without_a_token_are_left_out_and_counted(vocabulary):
    texts = ["a red fox", "\u200b", "an old boat", "\ufeff"]
    table = pa.table({"id": list("abcd"), "text": texts})
    said = []
    parts = drop_empty(Parts(table, (2, 2), (0.5, 0.5)), vocabulary, say=said.append)
    assert parts.table["id"].to_pylist() == ["a", "c"]
    assert parts.sizes == (1, 1)
    assert said == ["2 texts without a token left out, 2 kept"]
    with pytest.raises(ValueError, match="holds no text with a token"):
        drop_empty(Parts(table.slice(1, 1), (1,), (1.0,)), vocabulary, say=silence)
