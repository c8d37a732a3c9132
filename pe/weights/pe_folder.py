"""A model folder of this project: a T5, its vocabulary and how its expander feeds it.

| file                                  | holds                                             |
|---------------------------------------|---------------------------------------------------|
| model.json                            | format, version, sizes, expander, step, name      |
| weights.safetensors                   | the arrays, under the names of `pe.models.t5`     |
| vocabulary.model, or tokenizer.json   | SentencePiece, or the tokenizers library's format |

Knows nothing of what the expander's entries mean.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pe import shards
from pe.config import config_from_dict, config_to_dict
from pe.models.t5 import T5Config
from pe.weights.checkpoint import Checkpoint, check_arrays
from pe.weights.folder import copy_file, new_folder
from pe.weights.safetensors_file import open_safetensors, write_safetensors

FORMAT = "prompt-expansion model"
VERSION = 1
MODEL_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
VOCABULARY_FILES = ("vocabulary.model", "tokenizer.json")


def write_pe(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    expander: Mapping[str, Any],
    step: int | None = None,
    name: str | None = None,
) -> None:
    """Write a model folder, which is there whole or not at all; `name` is by default the folder's.

    `expander` is kept as JSON: tuples come back as lists. Raises ValueError for a destination that
    is not empty and for arrays that do not fit the config.
    """
    check_arrays(checkpoint)
    description = {
        "format": FORMAT,
        "version": VERSION,
        "name": folder.absolute().name if name is None else name,
        "step": step,
        "model": config_to_dict(checkpoint.config),
        "expander": dict(expander),
    }
    try:
        json.dumps(description)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the expander's settings are not JSON: {error}") from error
    with new_folder(folder) as temporary:
        write_safetensors(temporary / WEIGHTS_FILE, checkpoint.arrays)
        if checkpoint.vocabulary is not None:
            is_json = checkpoint.vocabulary.suffix == ".json"
            copy_file(checkpoint.vocabulary, temporary / VOCABULARY_FILES[is_json])
        shards.write_json(temporary / MODEL_FILE, description)


def open_pe(folder: Path) -> tuple[Checkpoint, dict[str, Any]]:
    """Open a model folder: (checkpoint, the expander's settings as they were given).

    Raises ValueError for a folder that is no such folder, of a later version, or damaged.
    """
    description = read_description(folder)
    try:
        config = config_from_dict(T5Config, description["model"])
    except (ValueError, TypeError) as error:
        raise ValueError(f"{folder / MODEL_FILE}: {error}") from error
    vocabulary = next((folder / n for n in VOCABULARY_FILES if (folder / n).is_file()), None)
    checkpoint = Checkpoint(
        source=str(folder),
        config=config,
        arrays=open_safetensors(folder / WEIGHTS_FILE),
        vocabulary=vocabulary,
    )
    check_arrays(checkpoint)
    return checkpoint, description["expander"]


def is_pe_folder(path: Path) -> bool:
    """Say whether a folder's model.json calls it a model of this project, of whatever version."""
    try:
        description = json.loads((path / MODEL_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(description, dict) and description.get("format") == FORMAT


def read_description(folder: Path) -> dict[str, Any]:
    """Return what model.json says: name, step, model, expander. Raises as `open_pe` does."""
    path = folder / MODEL_FILE
    if not path.is_file():
        raise ValueError(f"{folder} is no model folder: it holds no {MODEL_FILE}")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not is_pe_folder(folder):
        raise ValueError(f"{path} does not describe a model: expected 'format': {FORMAT!r}")
    if description.get("version") != VERSION:
        raise ValueError(
            f"{path} is of version {description.get('version')!r}, expected {VERSION}; install the "
            "release of this project that wrote it"
        )
    for key in ("model", "expander"):
        if not isinstance(description.get(key), dict):
            raise ValueError(f"{path} is damaged: {key!r} is missing or no JSON object")
    return description
