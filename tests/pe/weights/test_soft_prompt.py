"""Soft prompts in the three formats, found in files and folders."""

import io
import pickle
import re

import ml_dtypes
import numpy as np
import pytest

from pe.weights.soft_prompt import PROMPT_FILE, read_soft_prompt, write_soft_prompt

PROMPT = np.array([[1.0, -2.5, 0.1], [3.0, 0.0, 1e-7]], np.float32)


@pytest.mark.parametrize(
    ("form", "name"),
    [("npy", "soft_prompt.npy"), ("prompt_tuning", PROMPT_FILE), ("peft", "adapter")],
)
def test_what_is_written_in_a_form_is_read_back_bit_for_bit(tmp_path, form, name):
    write_soft_prompt(PROMPT, tmp_path / "new" / name, form=form, base_model="a/model")
    found = read_soft_prompt(tmp_path / "new" / name)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, PROMPT)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]


def test_prompt_tunings_file_is_the_bytes_of_a_npy(tmp_path):
    write_soft_prompt(PROMPT, tmp_path / PROMPT_FILE, form="prompt_tuning")
    expected = io.BytesIO()
    np.save(expected, PROMPT)
    assert (tmp_path / PROMPT_FILE).read_bytes() == expected.getvalue()


def test_narrow_floats_are_written_as_float32_exactly(tmp_path):
    for dtype in (np.float16, ml_dtypes.bfloat16):
        write_soft_prompt(PROMPT.astype(dtype), tmp_path / "p.npy", form="npy")
        np.testing.assert_array_equal(
            read_soft_prompt(tmp_path / "p.npy"), PROMPT.astype(dtype).astype(np.float32)
        )


def test_the_newest_step_of_a_prompt_tuning_run_is_read_from_any_folder_above_it(tmp_path):
    for step in (900, 1000, 20):
        folder = tmp_path / "numpy_checkpoints" / f"checkpoint_{step}"
        write_soft_prompt(PROMPT + step, folder / PROMPT_FILE, form="prompt_tuning")
    (tmp_path / "numpy_checkpoints" / "notes").mkdir()
    for folder in (tmp_path, tmp_path / "numpy_checkpoints"):
        np.testing.assert_array_equal(read_soft_prompt(folder), PROMPT + np.float32(1000))
    older = tmp_path / "numpy_checkpoints" / "checkpoint_900"
    np.testing.assert_array_equal(read_soft_prompt(older), PROMPT + np.float32(900))


def test_a_newest_step_without_a_soft_prompt_is_told_of(tmp_path):
    write_soft_prompt(PROMPT, tmp_path / "checkpoint_10" / PROMPT_FILE, form="prompt_tuning")
    (tmp_path / "checkpoint_20").mkdir()
    with pytest.raises(ValueError, match="checkpoint_20 is the newest step of"):
        read_soft_prompt(tmp_path)


def test_a_file_that_is_replaced_is_whole(tmp_path):
    write_soft_prompt(PROMPT, tmp_path / "p.npy", form="npy")
    write_soft_prompt(PROMPT[:1], tmp_path / "p.npy", form="npy")
    np.testing.assert_array_equal(read_soft_prompt(tmp_path / "p.npy"), PROMPT[:1])
    assert [path.name for path in tmp_path.iterdir()] == ["p.npy"]


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros(3, np.float32), r"is of shape \[3\], expected \[P, D\]"),
        (np.zeros((1, 2, 3), np.float32), r"is of shape \[1, 2, 3\]"),
        (np.zeros((0, 3), np.float32), r"is of shape \[0, 3\]"),
        (np.zeros((2, 3), np.int32), "holds int32, expected floats"),
        (np.array([[0.0, 1.0], [np.nan, 1.0], [1.0, np.inf]]), "2 of 3 rows .* is row 1"),
    ],
)
def test_what_is_no_soft_prompt_is_refused_in_reading_and_writing(tmp_path, array, told):
    np.save(tmp_path / "p.npy", array)
    with pytest.raises(ValueError, match=told):
        read_soft_prompt(tmp_path / "p.npy")
    with pytest.raises(ValueError, match=told):
        write_soft_prompt(array, tmp_path / "q.npy", form="npy")
    assert not (tmp_path / "q.npy").exists()


def test_values_that_float32_cannot_hold_are_refused(tmp_path):
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="as float32 has 1 of 1 rows"):
        write_soft_prompt(np.array([[1e300]]), tmp_path / "p.npy", form="npy")


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("was unpickled",)


def test_pickles_are_not_opened(tmp_path):
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=r"Pickled files .* are not opened"):
        read_soft_prompt(tmp_path / "p.pkl")
    np.save(tmp_path / "p.npy", np.array([Bomb()], object), allow_pickle=True)
    with pytest.raises(ValueError, match="arrays of objects are pickled and not opened"):
        read_soft_prompt(tmp_path / "p.npy")


def test_a_file_that_was_cut_is_refused(tmp_path):
    np.save(tmp_path / "p.npy", PROMPT)
    content = (tmp_path / "p.npy").read_bytes()
    for size in (8, 100, len(content) - 1):
        (tmp_path / "p.npy").write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"no whole .npy file"):
            read_soft_prompt(tmp_path / "p.npy")


def test_what_is_not_there_is_told_of(tmp_path):
    with pytest.raises(ValueError, match=r"'.*none' not found; expected a .npy file"):
        read_soft_prompt(tmp_path / "none")
    with pytest.raises(
        ValueError, match=f"holds no soft prompt: expected {re.escape(PROMPT_FILE)}"
    ):
        read_soft_prompt(tmp_path)


def test_a_name_that_does_not_suit_its_form_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"one that ends in \.npy, such as soft_prompt.npy"):
        write_soft_prompt(PROMPT, tmp_path / "p", form="npy")
    with pytest.raises(ValueError, match=r"one that does not end in \.npy, such as encoder"):
        write_soft_prompt(PROMPT, tmp_path / "p.npy", form="prompt_tuning")
    with pytest.raises(ValueError, match="is a folder; name the file"):
        write_soft_prompt(PROMPT, tmp_path, form="prompt_tuning")
