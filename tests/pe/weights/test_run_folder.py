"""Our own run folders: what the trainer restores, read without it; and folders that are none."""

import json
import shutil

import jax
import numpy as np
import pytest
from flax import nnx

from pe.weights import run_folder as module
from pe.weights.checkpoint import check_arrays
from pe.weights.formats import open_arrays
from pe.weights.run_folder import open_run as open_any


def open_run(folder, *, step=None):
    """Open a run as the formats do; return its checkpoint."""
    return open_any(folder, open_base=open_arrays, step=step).checkpoint


@pytest.fixture
def copied(run_folder, tmp_path):
    return shutil.copytree(run_folder, tmp_path / "run")


def test_the_arrays_of_a_run_are_those_that_the_trainer_restores(run_folder, trained, tiny_config):
    opened = open_any(run_folder, open_base=open_arrays)
    checkpoint, description = opened.checkpoint, opened.description
    check_arrays(checkpoint)
    assert checkpoint.config == tiny_config.model
    assert checkpoint.source == f"{run_folder}@6"
    assert checkpoint.vocabulary == run_folder / "vocabulary.model"
    assert description == json.loads((run_folder / "run.json").read_text())
    flat = {".".join(map(str, path)): leaf for path, leaf in nnx.to_flat_state(trained.params)}
    assert sorted(checkpoint.arrays) == sorted(flat)
    for name, array in checkpoint.arrays.items():
        wanted, values = np.asarray(flat[name][...]), array.read()
        assert (array.shape, array.dtype) == (values.shape, values.dtype)
        assert (values.shape, values.dtype) == (wanted.shape, wanted.dtype)
        assert values.tobytes() == wanted.tobytes(), name


def test_an_earlier_step_can_be_asked_for(run_folder):
    early, late = (open_run(run_folder, step=step) for step in (3, 6))
    assert early.source == f"{run_folder}@3"
    name = "encoder.layers.0.attention.query.kernel"
    assert not np.array_equal(early.arrays[name].read(), late.arrays[name].read())
    with pytest.raises(ValueError, match=r"no checkpoint of step 4; it has those of \[3, 6\]"):
        open_run(run_folder, step=4)


def test_the_state_of_the_optimizer_is_not_opened(run_folder, monkeypatch):
    opened = []

    def open_orbax(folder, *, under):
        opened.append(module_open(folder, under=under))
        return opened[-1]

    module_open = module.open_orbax
    monkeypatch.setattr(module, "open_orbax", open_orbax)
    open_run(run_folder)
    assert opened
    assert all(name.startswith("params.") for name in opened[0])


def test_a_step_that_is_half_written_is_passed_over(copied):
    (copied / "checkpoints" / "6").rename(copied / "checkpoints" / "6.orbax-checkpoint-tmp")
    assert open_run(copied).source == f"{copied}@3"


def test_a_step_without_its_state_is_refused(copied):
    shutil.rmtree(copied / "checkpoints" / "6" / "state")
    with pytest.raises(ValueError, match="state is no folder; expected one item of an Orbax"):
        open_run(copied)


def test_a_folder_that_is_no_run_or_has_no_checkpoint_is_refused(copied, tmp_path):
    with pytest.raises(ValueError, match=r"no model folder \(run\.json is missing\)"):
        open_run(tmp_path)
    shutil.rmtree(copied / "checkpoints")
    with pytest.raises(ValueError, match="holds no checkpoint yet; let pe train reach its first"):
        open_run(copied)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"config": {"model": {"width": 3}}}'])
def test_a_description_of_another_version_is_refused(copied, text):
    (copied / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json was not written by this version of pe train"):
        open_run(copied)


def test_a_run_without_its_vocabulary_has_none(copied):
    (copied / "vocabulary.model").unlink()
    assert open_run(copied).vocabulary is None


def test_the_arrays_are_read_when_asked_for(copied):
    checkpoint = open_run(copied)
    shutil.rmtree(copied / "checkpoints")
    leaves = jax.tree.leaves({name: array.shape for name, array in checkpoint.arrays.items()})
    assert leaves
    with pytest.raises(ValueError, match=r"embedding.* cannot be read"):
        checkpoint.arrays["embedding"].read()
