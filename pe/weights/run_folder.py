"""The folders that `pe train` writes, as weights: the arrays without the optimizer's state.

run/run.json          the settings; the model's are under config.model
run/init.json         what training began with, and a digest of each of its arrays that rest
run/vocabulary.model  SentencePiece
run/checkpoints/STEP/state/  Orbax: what is trained under `params`, its running means under `ema`
run/best/STEP/state/  the best of them by the run's own metric, where one was asked for

A tuned run holds what was tuned alone; the rest is read from where training began and must still be
the same arrays. LoRA's matrices are merged and a soft prompt is baked in when a run is opened.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pe.config import config_from_dict
from pe.models.adapters import SOFT_PROMPT, LoraConfig, merge_lora
from pe.models.t5_config import T5Config
from pe.weights.bake import bake_soft_prompt
from pe.weights.checkpoint import Checkpoint, StoredArray, list_names
from pe.weights.orbax_folder import open_orbax

RUN_FILE, INIT_FILE, VOCABULARY_FILE = "run.json", "init.json", "vocabulary.model"
LATEST, BEST = "checkpoints", "best"
PARAMS, EMA = "params.", "ema."
LORA_A, LORA_B = ".lora_a", ".lora_b"

OpenBase = Callable[[str, int | None], Mapping[str, StoredArray]]  # of a source, of its step


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunParts:
    """A checkpoint of a run: `arrays` are the model's own and its adapters', apart."""

    source: str
    step: int
    config: T5Config
    lora: LoraConfig
    arrays: Mapping[str, StoredArray]
    vocabulary: Path | None
    description: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenedRun:
    """A checkpoint of a run as one model, and how its expander is fed."""

    checkpoint: Checkpoint
    expander: Mapping[str, Any]
    step: int
    description: Mapping[str, Any]


def open_run(folder: Path, *, open_base: OpenBase, step: int | None = None) -> OpenedRun:
    """Open a checkpoint of a run: by default the best, where one is kept, else the newest.

    `open_base` opens the model that a tuned run was tuned on. Raises ValueError when the folder is
    no run, has no checkpoint yet or not the one asked for, its checkpoint is not whole, or the
    model it was tuned on is gone or another one by now.
    """
    parts = read_run(folder, open_base=open_base, step=step)
    arrays = merge_adapters(parts.arrays, parts.lora)
    expander: dict[str, Any] = {
        "max_input_tokens": parts.description["config"]["data"]["lengths"]["inputs"]
    }
    prompt = arrays.pop(SOFT_PROMPT, None)
    checkpoint = Checkpoint(
        source=parts.source, config=parts.config, arrays=arrays, vocabulary=parts.vocabulary
    )
    if prompt is not None:
        checkpoint, baked = bake_soft_prompt(checkpoint, prompt.read())
        expander |= {"prompt_ids": list(baked.ids), "prefix_first": True}
    return OpenedRun(
        checkpoint=checkpoint, expander=expander, step=parts.step, description=parts.description
    )


def read_run(folder: Path, *, open_base: OpenBase, step: int | None = None) -> RunParts:
    """Read what a checkpoint of a run is made of; see `open_run`."""
    path = folder / RUN_FILE
    if not path.is_file():
        raise ValueError(
            f"{folder} is no model folder ({RUN_FILE} is missing); expected the --out of pe train"
        )
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        settings = description["config"]
        config = config_from_dict(T5Config, settings["model"])
        lora = config_from_dict(LoraConfig, settings["lora"])
        has_ema = settings["optimizer"]["ema_decay"] > 0.0
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} was not written by this version of pe train: {error}") from error
    place, step = find_step(folder, step)
    under = EMA if has_ema and place.parent.name == LATEST else PARAMS
    trained = {
        name.removeprefix(under): array
        for name, array in open_orbax(place / "state", under=under).items()
    }
    frozen = read_frozen(folder, open_base=open_base)
    vocabulary = folder / VOCABULARY_FILE
    return RunParts(
        source=f"{folder}@{step}",
        step=step,
        config=config,
        lora=lora,
        arrays={**frozen, **trained},
        vocabulary=vocabulary if vocabulary.is_file() else None,
        description=description,
    )


def find_step(folder: Path, step: int | None) -> tuple[Path, int]:
    """Find a checkpoint's folder and its step. Raises ValueError when there is none."""
    steps, best = list_steps(folder / LATEST), list_steps(folder / BEST)
    if best and step in (None, best[-1]):
        return folder / BEST / str(best[-1]), best[-1]
    if not steps:
        raise ValueError(f"{folder} holds no checkpoint yet; let pe train reach its first save")
    if step is None:
        step = steps[-1]
    if step not in steps:
        raise ValueError(f"{folder} holds no checkpoint of step {step}; it has those of {steps}")
    return folder / LATEST / str(step), step


def list_steps(folder: Path) -> list[int]:
    """List the steps that were saved whole, oldest first: Orbax names a step when it is whole."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted(int(path.name) for path in paths if path.is_dir() and path.name.isdigit())


def describe_start(
    source: str, step: int | None, arrays: Mapping[str, StoredArray], frozen: Iterable[str]
) -> dict[str, Any]:
    """Return what init.json holds: the source, a run's step, a digest of every array that rests."""
    digests = {name: digest(arrays[name].read()) for name in frozen}
    return {"source": source, "step": step, "arrays": digests}


def read_start(folder: Path) -> dict[str, Any] | None:
    """Return what init.json holds, or None where training began with random parameters."""
    path = folder / INIT_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def read_frozen(folder: Path, *, open_base: OpenBase) -> dict[str, StoredArray]:
    """Return the arrays that rested while a run was tuned, each checked when it is read."""
    start = read_start(folder)
    if start is None or not start["arrays"]:
        return {}
    source = start["source"]
    try:
        arrays = open_base(source, start["step"])
    except ValueError as error:
        raise ValueError(
            f"{folder} was tuned on {source}, which cannot be opened any more: {error}"
        ) from error
    return check_frozen(arrays, start, told=f"{folder} was tuned on {source}")


def check_frozen(
    arrays: Mapping[str, StoredArray], start: Mapping[str, Any], *, told: str
) -> dict[str, StoredArray]:
    """Return the arrays that init.json names, each held against its digest when it is read.

    Raises ValueError where one is missing.
    """
    if missing := [name for name in start["arrays"] if name not in arrays]:
        raise ValueError(f"{told}, which holds another model by now: {list_names(missing)} missing")
    return {
        name: _checked(arrays[name], name, expected, told)
        for name, expected in start["arrays"].items()
    }


def digest(array: np.ndarray) -> str:
    """Return a digest of an array's type, shape and bytes."""
    state = hashlib.blake2b(f"{array.dtype} {array.shape}".encode(), digest_size=16)
    data: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)  # not copied
    state.update(data)
    return state.hexdigest()


def _checked(array: StoredArray, name: str, expected: str, told: str) -> StoredArray:
    def read() -> np.ndarray:
        values = array.read()
        if digest(values) != expected:
            raise ValueError(
                f"{told}, which holds another {name} by now; expected the model as it was: put it "
                "back, or tune again"
            )
        return values

    return StoredArray(shape=array.shape, dtype=array.dtype, read=read)


def merge_adapters(arrays: Mapping[str, StoredArray], lora: LoraConfig) -> dict[str, StoredArray]:
    """Add LoRA's updates to their matrices; a soft prompt is left beside them."""
    merged = {name: array for name, array in arrays.items() if ".lora_" not in name}
    for name, a in arrays.items():
        if name.endswith(LORA_A):
            stem = name.removesuffix(LORA_A)
            merged[f"{stem}.kernel"] = _merged(
                arrays[f"{stem}.kernel"], a, arrays[stem + LORA_B], lora.scale
            )
    return merged


def _merged(kernel: StoredArray, a: StoredArray, b: StoredArray, scale: float) -> StoredArray:
    return StoredArray(
        shape=kernel.shape,
        dtype=kernel.dtype,
        read=lambda: merge_lora(kernel.read(), a.read(), b.read(), scale),
    )
