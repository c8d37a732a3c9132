"""Checkpoints: whole, newest last, and refused where they do not fit."""

import jax.numpy as jnp
import numpy as np
import pytest

from pe.train.checkpoints import Checkpoints


def make_state(value, *, width=3):
    return {
        "w": jnp.full((width,), value),
        "step": jnp.int32(value),
        "h": jnp.ones(2, jnp.bfloat16),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Checkpoints of steps 2, 4 and 6, of which two are kept."""
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    checkpoints = Checkpoints(folder, keep=2)
    for step in (2, 4, 6):
        checkpoints.save(step, make_state(float(step)), {"next": step, "name": "place"})
    checkpoints.close()
    return folder


def test_a_new_folder_holds_no_step(tmp_path):
    checkpoints = Checkpoints(tmp_path / "new")
    assert checkpoints.latest_step() is None
    checkpoints.close()


def test_what_was_saved_comes_back_bit_for_bit(folder):
    checkpoints = Checkpoints(folder)
    assert checkpoints.latest_step() == 6
    state, place = checkpoints.restore(6, make_state(0.0))
    checkpoints.close()
    for name, expected in make_state(6.0).items():
        assert state[name].dtype == expected.dtype
        np.testing.assert_array_equal(state[name], expected)
    assert place == {"next": 6, "name": "place"}


def test_only_the_newest_are_kept(folder):
    assert sorted(path.name for path in folder.iterdir() if path.name.isdigit()) == ["4", "6"]


def test_a_half_written_checkpoint_is_not_the_newest(folder):
    torn = folder / "8.orbax-checkpoint-tmp"
    torn.mkdir()
    checkpoints = Checkpoints(folder)
    assert checkpoints.latest_step() == 6
    checkpoints.close()


@pytest.mark.parametrize(
    ("like", "misfit"),
    [
        (make_state(0.0, width=4), "w is float32[3], expected float32[4]"),
        ({**make_state(0.0), "more": jnp.ones(1)}, "more is missing, expected float32[1]"),
        ({"step": jnp.int32(0)}, "h is bfloat16[2], expected no such array; w is float32[3]"),
    ],
    ids=["another shape", "a missing array", "arrays too many"],
)
def test_a_checkpoint_of_another_model_is_named(folder, like, misfit):
    checkpoints = Checkpoints(folder)
    with pytest.raises(ValueError, match=r"checkpoint .*/6 does not fit this model: ") as error:
        checkpoints.restore(6, like)
    checkpoints.close()
    assert misfit in str(error.value)
