"""Soft prompts on disk: P tuned rows of width D that stand before the embedded query.

Reads `.npy` files, those that google-research/prompt-tuning leaves (arXiv:2104.08691) and PEFT's
adapters; writes all three. Knows nothing of the T5 that a soft prompt was tuned for.
"""

import io
import os
import re
from pathlib import Path
from typing import Literal

import numpy as np

from pe.axes import Float
from pe.weights.peft import is_peft_folder, read_peft_prompt, write_peft_prompt

PROMPT_FILE = "encoder.prompt.prompt.prompt"  # the parameter's path in prompt-tuning's T5
NPY_MAGIC = b"\x93NUMPY"
_STEP = re.compile(r"checkpoint_(\d+)")

SoftPrompt = Float[np.ndarray, "P D"]


def read_soft_prompt(path: Path) -> SoftPrompt:
    """Read a soft prompt [P, D] in its stored float type.

    | `path`                                      | read as                                   |
    |---------------------------------------------|-------------------------------------------|
    | a file that begins as a .npy does           | NumPy's, prompt-tuning's (no extension)   |
    | a folder with `encoder.prompt.prompt.prompt`| prompt-tuning's `checkpoint_<step>`       |
    | a folder of `checkpoint_<step>`, or over it | prompt-tuning's, the newest step          |
    | a folder with `adapter_config.json`         | a PEFT adapter                            |

    Raises ValueError when there is no soft prompt, or it is not [P, D], P >= 1, floats, all finite.
    Nothing is ever unpickled.
    """
    if is_peft_folder(path):
        return check_soft_prompt(read_peft_prompt(path), source=str(path))
    file = path if path.is_file() else find_prompt_file(path)
    return check_soft_prompt(_read_npy(file), source=str(file))


def write_soft_prompt(
    array: np.ndarray,
    path: Path,
    *,
    form: Literal["npy", "prompt_tuning", "peft"],
    base_model: str = "",
) -> None:
    """Write a soft prompt [P, D] as float32 (float16 and bfloat16 fit in exactly).

    `npy` and `prompt_tuning` are the same bytes in the file `path`; prompt-tuning and T5X take a
    file of any name. `peft` makes the folder `path`, an adapter of `base_model` (a hub name or a
    folder, kept as text). Raises ValueError as `read_soft_prompt` does, and when the name does not
    suit the form.
    """
    values = check_soft_prompt(array, source="the soft prompt to write").astype(np.float32)
    check_soft_prompt(values, source="the soft prompt to write, as float32")
    if form == "peft":
        write_peft_prompt(values, path, base_model=base_model)
        return
    if form not in ("npy", "prompt_tuning"):
        raise ValueError(f"form: got {form!r}, expected npy, prompt_tuning or peft")
    if (path.suffix == ".npy") != (form == "npy"):
        raise ValueError(
            f"{path} is no name for the form {form}: expected one that "
            f"{'ends' if form == 'npy' else 'does not end'} in .npy, such as "
            f"{'soft_prompt.npy' if form == 'npy' else PROMPT_FILE}"
        )
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name the file to write, such as {path / 'p.npy'}")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}")
    with temporary.open("wb") as file:
        np.save(file, values, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def check_soft_prompt(array: np.ndarray, *, source: str) -> SoftPrompt:
    """Return the array if it is a soft prompt, else raise ValueError that names `source`."""
    is_float = np.issubdtype(array.dtype, np.floating) or array.dtype.name == "bfloat16"
    if not is_float:
        raise ValueError(
            f"{source} holds {array.dtype}, expected floats [P, D]; save it as float32"
        )
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{source} is of shape {list(array.shape)}, expected [P, D]: a row for each soft "
            "prompt position, one or more, as wide as the model"
        )
    bad = np.flatnonzero(~np.isfinite(array.astype(np.float64)).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{source} has {len(bad)} of {len(array)} rows with infinite values or NaN, the first "
            f"is row {bad[0]}; expected finite numbers: take an earlier step"
        )
    return array


def holds_prompt_file(folder: Path) -> bool:
    """Tell whether prompt-tuning's file lies in a folder, in one of its steps, or over them."""
    places = ("", "checkpoint_*/", "numpy_checkpoints/checkpoint_*/")
    return any(next(folder.glob(place + PROMPT_FILE), None) for place in places)


def find_prompt_file(folder: Path) -> Path:
    """Find prompt-tuning's file in a folder: of the newest step where there are several.

    Raises ValueError when there is none, or the newest step has none.
    """
    if not folder.is_dir():
        raise ValueError(
            f"soft prompt {str(folder)!r} not found; expected a .npy file, prompt-tuning's "
            f"{PROMPT_FILE} or a folder that holds it, or a PEFT adapter folder"
        )
    if (folder / PROMPT_FILE).is_file():
        return folder / PROMPT_FILE
    if (folder / "numpy_checkpoints").is_dir():
        folder = folder / "numpy_checkpoints"
    steps = {
        int(match[1]): path
        for path in folder.iterdir()
        if path.is_dir() and (match := _STEP.fullmatch(path.name))
    }
    if not steps:
        raise ValueError(
            f"{folder} holds no soft prompt: expected {PROMPT_FILE}, folders checkpoint_<step> "
            "that hold it, or a PEFT adapter (adapter_config.json)"
        )
    newest = steps[max(steps)] / PROMPT_FILE
    if not newest.is_file():  # an older step would be another prompt than the one asked for
        raise ValueError(
            f"{newest.parent} is the newest step of {folder} and holds no {PROMPT_FILE}; "
            "name the step to read, or prompt-tuning's folder numpy_checkpoints"
        )
    return newest


def _read_npy(path: Path) -> np.ndarray:
    content = path.read_bytes()
    if not content.startswith(NPY_MAGIC):
        raise ValueError(
            f"{path} is no soft prompt: expected a .npy file (it may have any name), got one that "
            f"begins with {content[:6]!r}. Pickled files (.pt, .bin, .pkl) are not opened, they "
            "can run code; save the array with numpy.save"
        )
    try:
        return np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(
            f"{path} is no whole .npy file of numbers ({error}); arrays of objects are pickled and "
            "not opened. Save it anew with numpy.save as float32"
        ) from error
