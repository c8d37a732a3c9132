"""The folders that `pe train` writes, as weights: the arrays without the optimizer's state.

run/run.json          the settings; the model's are under config.model
run/vocabulary.model  SentencePiece
run/checkpoints/STEP/state/  Orbax, the parameters under `params`
"""

import json
from pathlib import Path
from typing import Any

from pe.config import config_from_dict
from pe.models.t5 import T5Config
from pe.weights.checkpoint import Checkpoint
from pe.weights.orbax_folder import open_orbax

RUN_FILE, VOCABULARY_FILE = "run.json", "vocabulary.model"
PARAMS, VALUE = "params.", ".value"  # Flax keeps an array as the `value` of its variable


def open_run(folder: Path, *, step: int | None = None) -> tuple[Checkpoint, dict[str, Any]]:
    """Open a checkpoint of a run, the newest by default; return it and what run.json holds.

    Raises ValueError when the folder is no run, has no checkpoint yet or not the one asked for, or
    its checkpoint is not whole.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        raise ValueError(
            f"{folder} is no model folder ({RUN_FILE} is missing); expected the --out of pe train"
        )
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        config = config_from_dict(T5Config, description["config"]["model"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} was not written by this version of pe train: {error}") from error
    steps = list_steps(folder / "checkpoints")
    if not steps:
        raise ValueError(f"{folder} holds no checkpoint yet; let pe train reach its first save")
    if step is None:
        step = steps[-1]
    if step not in steps:
        raise ValueError(f"{folder} holds no checkpoint of step {step}; it has those of {steps}")
    arrays = open_orbax(folder / "checkpoints" / str(step) / "state", under=PARAMS)
    vocabulary = folder / VOCABULARY_FILE
    checkpoint = Checkpoint(
        source=f"{folder}@{step}",
        config=config,
        arrays={
            name.removeprefix(PARAMS).removesuffix(VALUE): array for name, array in arrays.items()
        },
        vocabulary=vocabulary if vocabulary.is_file() else None,
    )
    return checkpoint, description


def list_steps(folder: Path) -> list[int]:
    """List the steps that were saved whole, oldest first: Orbax names a step when it is whole."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted(int(path.name) for path in paths if path.is_dir() and path.name.isdigit())
