"""Tuning a model that rests: soft prompts and LoRA, from the first step to what serves them."""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.data.sources import DataSpec
from pe.engines.model import load_model
from pe.models.adapters import LoraConfig
from pe.models.blueprint import flatten_params
from pe.models.t5 import T5
from pe.train.loop import Trainer
from pe.train.mesh import Layout, make_mesh
from pe.train.metrics import read_metrics
from pe.train.optimizer import OptimizerConfig
from pe.train.run import load_run, make_task
from pe.train.soft_prompt import SoftPromptConfig
from pe.train.start import FirstParams, adopt_model, open_start
from pe.train.trainable import TrainableConfig
from pe.weights.formats import open_model
from pe.weights.orbax_folder import open_orbax

REST = "embedding|(encoder|decoder)[.].*(kernel|scale|rel_embedding)"
NAME = "encoder.layers.0.attention.query"
SLOW = pytest.mark.slow


def prompt_config(config, **changes):
    return dataclasses.replace(
        config,
        soft_prompt=SoftPromptConfig(length=5),
        trainable=TrainableConfig(rules=(("soft_prompt", "train"), (REST, "freeze"))),
        optimizer=OptimizerConfig(learning_rate=0.3, parameter_scaling=False, clip_norm=None),
        data=dataclasses.replace(config.data, num_streams=2),
        **changes,
    )


def lora_config(config):
    return dataclasses.replace(
        config,
        lora=LoraConfig(rank=2, alpha=4.0),
        trainable=TrainableConfig(rules=((".*lora_[ab]", "train"), (REST, "freeze"))),
        optimizer=OptimizerConfig(name="adamw", learning_rate=1e-2),
    )


@pytest.fixture(scope="module")
def base(run_folder):
    """The run that tuning begins with; it was trained whole."""
    return open_start(str(run_folder))


@pytest.fixture(scope="module")
def tune(tmp_path_factory, start_run, run_folder, dataset):
    """Tune the tiny run, on two parts of the same pairs; `console` may interrupt it."""

    def tune(config, name, *, init=run_folder, **options):
        folder = tmp_path_factory.getbasetemp() / name  # or the path itself
        copy = tmp_path_factory.getbasetemp() / "second"
        if not copy.exists():
            shutil.copytree(dataset, copy)
        data = [DataSpec(str(dataset), 0.7), DataSpec(str(copy), 0.3)]
        start_run(folder, config, init=str(init), data=data, **options)
        return folder

    return tune


@pytest.fixture(scope="module")
def prompt_run(tune, tiny_config):
    return tune(prompt_config(tiny_config), "prompt")


@pytest.fixture(scope="module")
def lora_run(tune, tiny_config):
    return tune(lora_config(tiny_config), "lora")


def make_trainer(config, base, vocabulary):
    config = adopt_model(config, base)
    layout = Layout(make_mesh(config.mesh), config.mesh.axis_rules)
    first = FirstParams(config, vocabulary, base)
    return Trainer(make_task(config, first, layout), config.loop, layout), config


def one_batch(config):
    """Two rows of one pair each, the soft prompt's ids between prefix and query."""
    prompt = list(config.prompt_ids)
    rows = {
        "inputs": [[9, *prompt, 3, 1], [9, *prompt, 5, 1]],
        "inputs_prefix": [[1] + [0] * (len(prompt) + 2)] * 2,
        "inputs_segment_ids": [[1] * (len(prompt) + 3)] * 2,
        "targets": [[5, 6, 1], [8, 1, 0]],
        "targets_segment_ids": [[1, 1, 1], [1, 1, 0]],
        "targets_positions": [[0, 1, 2], [0, 1, 0]],
    }
    return {name: np.array(values, np.int32) for name, values in rows.items()}


@pytest.mark.parametrize(
    ("make", "trained"),
    [(prompt_config, {"soft_prompt"}), pytest.param(lora_config, None, marks=SLOW)],
)
def test_one_step_moves_what_is_tuned_and_not_one_other_byte(
    tiny_config, base, vocabulary, make, trained
):
    trainer, config = make_trainer(make(tiny_config), base, vocabulary)
    state, frozen = trainer.first_state(), trainer.load(trainer.frozen_names)
    before = jax.device_get({**frozen, **state.params})
    state, _ = trainer.step(state, frozen, one_batch(config))
    after = jax.device_get({**frozen, **state.params})
    moved = {name for name in before if before[name].tobytes() != after[name].tobytes()}
    if trained is None:
        trained = {name for name in before if name.endswith("lora_b")}  # A's gradient is 0 at B = 0
    assert moved == trained
    assert all(frozen[name].tobytes() == base.arrays[name].read().tobytes() for name in frozen)


def test_pretrained_weights_really_arrive(tiny_config, base, vocabulary, trained):
    trainer, _ = make_trainer(prompt_config(tiny_config), base, vocabulary)
    loaded = trainer.load(trainer.frozen_names)
    wanted = flatten_params(trained.params)
    same = [np.array_equal(loaded[name], wanted[name]) for name in wanted]
    assert len(same) == len(trainer.frozen_names) > 10
    assert all(same)


@SLOW
def test_gradients_of_frozen_weights_are_never_computed(tiny_config, base, vocabulary):
    flops = {}
    for name, make in (("full", lambda config: config), ("prompt", prompt_config)):
        trainer, config = make_trainer(make(tiny_config), base, vocabulary)
        state = jax.eval_shape(trainer._init, {n: trainer.task.shapes[n] for n in trainer.trained})
        frozen = {n: trainer.task.shapes[n] for n in trainer.frozen_names}
        batch = one_batch(prompt_config(config) if name == "full" else config)
        batch["inputs"] %= config.model.vocab_size  # as many positions in both
        cost = trainer.step.lower(state, frozen, batch).compile().cost_analysis()
        flops[name] = cost["flops"]
    assert flops["prompt"] < 0.72 * flops["full"]


@SLOW
def test_a_tuned_run_holds_what_was_tuned_alone(prompt_run, lora_run):
    for folder, ending in ((prompt_run, "soft_prompt"), (lora_run, (".lora_a", ".lora_b"))):
        state = open_orbax(folder / "checkpoints" / "6" / "state", under="params.")
        assert state
        assert all(name.endswith(ending) for name in state)


@SLOW
def test_tuning_lowers_the_loss(prompt_run, lora_run, run_folder):
    for folder in (prompt_run, lora_run):
        rows = read_metrics(folder / "metrics.jsonl")
        assert rows[-1]["nll"] < rows[0]["nll"] + 0.05
        assert all(np.isfinite(row["nll"]) for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["prompt", *(pytest.param(k, marks=SLOW) for k in ("lora", "full"))]
)
def test_four_steps_are_two_and_a_restore_and_two_bit_for_bit(tune, tiny_config, prompt_run, kind):
    """With packing, a mixture, two streams, dropout and prefix dropout on."""
    make = {"prompt": prompt_config, "lora": lora_config, "full": lambda config: config}[kind]
    loop = dataclasses.replace(tiny_config.loop, num_steps=4, save_every_steps=2)
    config = dataclasses.replace(make(tiny_config), loop=loop)
    straight = tune(config, f"straight-{kind}")

    def stop(step, metrics):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(config, f"stopped-{kind}", console=stop)
    stopped = tune(config, f"stopped-{kind}")
    states = [open_orbax(f / "checkpoints" / "4" / "state") for f in (straight, stopped)]
    assert states[0].keys() == states[1].keys()
    for name, array in states[0].items():
        assert array.read().tobytes() == states[1][name].read().tobytes(), name
    lines = [
        [{k: v for k, v in row.items() if k != "tokens_per_sec"} for row in rows]
        for rows in (read_metrics(f / "metrics.jsonl") for f in (straight, stopped))
    ]
    assert lines[0] == lines[1]


@pytest.mark.slow
def test_a_tuned_run_is_served_as_it_was_trained(prompt_run, base, vocabulary, tiny_config):
    """The baked model reads [prefix][soft prompt][query] as the trained network does."""
    model = load_model(prompt_run, dtype="float32")
    assert model.settings.prompt_ids == tuple(range(416, 421))
    ids = model.encode("red fox", "ABST")
    prefix = vocabulary.encode("ABST")
    assert ids[: len(prefix)].tolist() == prefix
    assert ids[len(prefix) : len(prefix) + 5].tolist() == list(range(416, 421))
    trainer, config = make_trainer(prompt_config(tiny_config), base, vocabulary)
    tuned = open_orbax(prompt_run / "checkpoints" / "6" / "state", under="params.")
    params = trainer.load(trainer.frozen_names)
    params["soft_prompt"] = jnp.asarray(tuned["params.soft_prompt"].read())
    first = FirstParams(config, vocabulary, base)
    nets: list[T5] = [first.blueprint.bind(params), nnx.merge(model.graph, model.params)]
    inputs, decoder = jnp.asarray(ids[None]), jnp.array([[0, 7, 9]])
    ones = jnp.ones_like(inputs)
    logits = [net(inputs, ones, decoder, jnp.ones((1, 3), int)) for net in nets]
    np.testing.assert_allclose(logits[0][..., :416], logits[1][..., :416], atol=1e-5)


@SLOW
def test_lora_is_merged_when_its_run_is_opened(lora_run, base):
    arrays = open_model(str(lora_run)).checkpoint.arrays
    tuned = open_orbax(lora_run / "checkpoints" / "6" / "state", under="params.")
    a, b = (tuned[f"params.{NAME}.lora_{side}"].read() for side in "ab")
    merged = base.arrays[f"{NAME}.kernel"].read() + 2.0 * (a @ b)  # alpha 4 over rank 2
    np.testing.assert_allclose(arrays[f"{NAME}.kernel"].read(), merged, atol=1e-6)
    assert np.abs(b).max() > 0
    rest = "encoder.layers.0.mlp.wo.kernel"
    assert np.array_equal(arrays[rest].read(), base.arrays[rest].read())


@SLOW
def test_tuning_goes_on_from_a_tuned_run(tune, tiny_config, prompt_run):
    """As re-fine-tuning does: the soft prompt begins where the other run left it."""
    loop = dataclasses.replace(tiny_config.loop, num_steps=1, save_every_steps=1)
    slow = OptimizerConfig(learning_rate=1e-6, parameter_scaling=False)
    config = dataclasses.replace(prompt_config(tiny_config), loop=loop, optimizer=slow)
    again = tune(config, "again", init=prompt_run)
    prompts = [
        open_orbax(folder / "checkpoints" / step / "state", under="params.")["params.soft_prompt"]
        for folder, step in ((prompt_run, "6"), (again, "1"))
    ]
    np.testing.assert_allclose(prompts[0].read(), prompts[1].read(), atol=1e-4)
    began = json.loads((again / "init.json").read_text())
    assert (began["source"], began["step"]) == (str(prompt_run), 6)
    assert load_run(again).prompt_ids == (416, 417, 418, 419, 420)  # through the run to its base


@SLOW
def test_a_run_may_rest_on_a_run_that_was_tuned_itself(tune, tiny_config, lora_run, base):
    """LoRA's matrices and the weights below them rest; a soft prompt is tuned on top."""
    loop = dataclasses.replace(tiny_config.loop, num_steps=2, save_every_steps=2)
    rest = ((f"{REST}|.*lora_[ab]", "freeze"), ("soft_prompt", "train"))
    config = dataclasses.replace(
        prompt_config(tiny_config),
        loop=loop,
        lora=LoraConfig(rank=2, alpha=4.0),
        trainable=TrainableConfig(rules=rest),
    )
    folder = tune(config, "on-top", init=lora_run)
    arrays = open_model(str(folder)).checkpoint.arrays
    merged = open_model(str(lora_run)).checkpoint.arrays
    name = f"{NAME}.kernel"
    assert np.array_equal(arrays[name].read(), merged[name].read())
    assert not np.array_equal(arrays[name].read(), base.arrays[name].read())
    assert arrays["embedding"].shape == (421, 16)


@SLOW
def test_lora_goes_on_with_the_same_scale_alone(tiny_config, lora_run, vocabulary):
    start = open_start(str(lora_run))
    other = dataclasses.replace(lora_config(tiny_config), lora=LoraConfig(rank=2, alpha=400.0))
    with pytest.raises(ValueError, match=r"with alpha 4\.0 at rank 2, got alpha 400\.0 at rank 2"):
        FirstParams(adopt_model(other, start), vocabulary, start)


@SLOW
def test_frozen_weights_that_changed_are_noticed_when_a_run_goes_on(
    tune, tiny_config, prompt_run, tmp_path
):
    copy = shutil.copytree(prompt_run, tmp_path / "run")
    shutil.rmtree(copy / "checkpoints" / "6")
    stored = json.loads((copy / "init.json").read_text())
    stored["arrays"]["embedding"] = "0" * 32
    (copy / "init.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=r"is tuned on .*, which holds another embedding by now"):
        tune(prompt_config(tiny_config), copy)


@pytest.mark.slow
def test_a_base_that_changed_is_noticed_when_it_is_read(prompt_run, tmp_path):
    copy = shutil.copytree(prompt_run, tmp_path / "run")
    stored = json.loads((copy / "init.json").read_text())
    stored["arrays"]["embedding"] = "0" * 32
    (copy / "init.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=r"was tuned on .*, which holds another embedding by now"):
        load_run(copy)
    stored["source"] = str(tmp_path / "gone")
    (copy / "init.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=r"was tuned on .*gone, which cannot be opened any more"):
        load_run(copy)


@SLOW
def test_going_on_with_another_beginning_is_refused(tune, tiny_config, prompt_run, run_folder):
    with pytest.raises(ValueError, match="holds a run with other settings"):
        tune(lora_config(tiny_config), "prompt")
    other = shutil.copytree(run_folder, run_folder.parent / "elsewhere")
    with pytest.raises(ValueError, match=r"began with .*; choose another --out, or give the same"):
        tune(prompt_config(tiny_config), "prompt", init=other)


def test_sizes_are_the_starts_and_others_are_refused(tiny_config, base):
    small = dataclasses.replace(tiny_config.model, d_ff=31)
    with pytest.raises(ValueError, match=r"T5Config\.d_ff is 31, but .* has 32; leave the sizes"):
        adopt_model(dataclasses.replace(tiny_config, model=small), base)
    adopted = adopt_model(dataclasses.replace(tiny_config), base)
    assert adopted.model == tiny_config.model


def test_a_soft_prompt_without_a_model_is_refused(tiny_config, vocabulary):
    with pytest.raises(ValueError, match="need a model to begin with; expected --init MODEL"):
        FirstParams(prompt_config(tiny_config), vocabulary, None)


@pytest.mark.slow
def test_a_start_that_does_not_fit_is_named(tiny_config, prompt_run, vocabulary):
    start = open_start(str(prompt_run))
    longer = dataclasses.replace(prompt_config(tiny_config), soft_prompt=SoftPromptConfig(length=7))
    with pytest.raises(ValueError, match=r"soft_prompt is \[5, 16\], expected \[7, 16\]"):
        FirstParams(adopt_model(longer, start), vocabulary, start)
    with pytest.raises(ValueError, match=r"soft_prompt has no place in it.*pe convert"):
        FirstParams(adopt_model(tiny_config, start), vocabulary, start)


def test_lora_targets_that_match_nothing_are_refused(tiny_config, base, vocabulary):
    wrong = dataclasses.replace(lora_config(tiny_config), lora=LoraConfig(rank=2, targets="head"))
    with pytest.raises(ValueError, match=r"LoraConfig\.targets: 'head' matches no matrix; there"):
        FirstParams(wrong, vocabulary, base)
