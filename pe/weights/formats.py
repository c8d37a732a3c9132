"""Which format a model is in, and the way to open it.

| given                        | is                                                     |
|------------------------------|--------------------------------------------------------|
| a folder with run.json       | a run of `pe train`: its best checkpoint, or its newest|
| a folder with model.json     | a model folder of this project                         |
| a folder with config.json    | Hugging Face's layout                                  |
| checkpoint_STEP, or over it  | T5X, its own form or Orbax's; a soft prompt in it is baked in |
| org/name, org/name@revision  | Hugging Face's layout on the hub                       |
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pe.weights import hub
from pe.weights.bake import bake_soft_prompt
from pe.weights.checkpoint import Checkpoint, StoredArray
from pe.weights.hf import open_hf
from pe.weights.pe_folder import MODEL_FILE, open_pe, read_description
from pe.weights.run_folder import RUN_FILE, open_run, read_run
from pe.weights.t5x import find_checkpoint, open_t5x, read_soft_prompt_t5x

SETTINGS_FILE = "pe_expander.json"  # beside the weights of formats that have no place for it
CT2_FILE = "pe_ct2.json"
VOCABULARY_FILES = ("vocabulary.model", "spiece.model", "tokenizer.json")  # beside T5X's


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenedModel:
    """A model on disk, what it is called, and how its expander feeds it (as stored, unchecked)."""

    name: str
    checkpoint: Checkpoint
    expander: Mapping[str, Any]


def open_model(source: str, *, vocabulary: Path | None = None) -> OpenedModel:
    """Open whatever a model's path or hub name stands for; `vocabulary` replaces the one beside it.

    Raises ValueError when there is no such model, it is in no known format, or it is damaged.
    """
    opened = _open(source)
    if vocabulary is not None:
        if not vocabulary.is_file():
            raise ValueError(f"vocabulary {str(vocabulary)!r} not found; expected a file")
        checkpoint = dataclasses.replace(opened.checkpoint, vocabulary=vocabulary)
        opened = dataclasses.replace(opened, checkpoint=checkpoint)
    return opened


def open_arrays(source: str, step: int | None = None) -> Mapping[str, StoredArray]:
    """Open a model's arrays alone, by name; what a tuned run takes its frozen ones from.

    Of a run, those of a step as they are, a soft prompt and LoRA's matrices apart.
    """
    folder = Path(source).expanduser()
    if (folder / RUN_FILE).is_file():
        return read_run(folder, open_base=open_arrays, step=step).arrays
    return open_model(source).checkpoint.arrays


def _open(source: str) -> OpenedModel:
    folder = Path(source).expanduser()
    if not source or not folder.exists():
        return _open_hf(hub.find_files(source), source, name=source)
    name = folder.resolve().name
    if (folder / RUN_FILE).is_file():
        run = open_run(folder, open_base=open_arrays)
        return OpenedModel(
            name=f"{name}@{run.step}", checkpoint=run.checkpoint, expander=run.expander
        )
    if (folder / MODEL_FILE).is_file():
        checkpoint, expander = open_pe(folder)
        name = read_description(folder).get("name") or name
        return OpenedModel(name=name, checkpoint=checkpoint, expander=expander)
    if (folder / CT2_FILE).is_file():
        raise ValueError(
            f"{source} is a CTranslate2 model, which only pe expand --runtime ct2 runs; expected "
            "the model that it was made of"
        )
    run = folder.resolve().parent.parent  # of the root the root
    if folder.resolve().parent.name == "checkpoints" and (run / RUN_FILE).is_file():
        raise ValueError(f"{source} is one step of a run; expected the run's folder, {run}")
    if (folder / "config.json").is_file() or folder.is_file():
        found = hub.find_files(source)
        return _open_hf(found, source, name=found.resolve().name)
    if is_t5x(folder):
        return _open_t5x(folder, name=name)
    held = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    raise ValueError(
        f"{source} is no model folder; it holds {held}; expected a run of pe train ({RUN_FILE}), a "
        f"model folder ({MODEL_FILE}), Hugging Face's layout (config.json and *.safetensors), or a "
        "T5X checkpoint (checkpoint_STEP)"
    )


def _open_hf(folder: Path, source: str, *, name: str) -> OpenedModel:
    checkpoint = open_hf(folder, source=source)
    return OpenedModel(name=name, checkpoint=checkpoint, expander=read_settings(folder))


def _open_t5x(folder: Path, *, name: str) -> OpenedModel:
    place = find_checkpoint(folder)  # what lies in it was written with it, so it goes first
    files = [path / file for path in (place, folder) for file in VOCABULARY_FILES]
    vocabulary = next((path for path in files if path.is_file()), None)
    expander = read_settings(place) or read_settings(folder)
    checkpoint = open_t5x(place, vocabulary=vocabulary)
    prompt = read_soft_prompt_t5x(place)
    if prompt is not None:  # the model was tuned with it and is another one without
        checkpoint, baked = bake_soft_prompt(checkpoint, prompt)
        expander = {**expander, "prompt_ids": list(baked.ids)}
    return OpenedModel(name=name, checkpoint=checkpoint, expander=expander)


def is_t5x(folder: Path) -> bool:
    """Say whether a folder looks like a T5X checkpoint, or holds some."""
    names = ("checkpoint", "state", "checkpoint_*", "target.*")
    return folder.name.startswith("checkpoint_") or any(
        next(folder.glob(name), None) for name in names
    )


def read_settings(folder: Path, *, file: str = SETTINGS_FILE) -> dict[str, Any]:
    """Read how a model wants to be fed, as `pe convert` left it beside the weights, or nothing."""
    path = folder / file
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))["expander"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}; convert the model again") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{path} is damaged: 'expander' is no object; convert the model again")
    return settings
