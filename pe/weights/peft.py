"""PEFT's prompt-tuning adapters of a T5: a folder of adapter_config.json and one safetensors file.

What PEFT 0.21 does with one of task type SEQ_2_SEQ_LM: it puts the first `num_virtual_tokens` rows
of `prompt_embeddings` before the encoder's embedded input, and nothing before the decoder's. It
does so whatever `num_transformer_submodules` is; with 2, its default for such models, it makes and
saves as many rows again that nothing ever reads or trains. So reading drops these, and writing says
1: the adapter is then exactly the encoder-side prompt of arXiv:2104.08691.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pe import shards
from pe.axes import Float
from pe.weights.checkpoint import list_names, stored
from pe.weights.folder import new_folder
from pe.weights.safetensors_file import open_safetensors, write_safetensors

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
WEIGHTS_NAME = "prompt_embeddings"


def is_peft_folder(path: Path) -> bool:
    """Say whether the folder is a PEFT adapter, of whatever kind."""
    return (path / CONFIG_FILE).is_file()


def read_peft_prompt(folder: Path) -> Float[np.ndarray, "P D"]:
    """Read the rows that a PEFT adapter puts before the encoder's input.

    Raises ValueError when the adapter is of another kind, was tuned for something else than an
    encoder-decoder, changes more than the input, or its files disagree.
    """
    config = _read_config(folder)
    num_tokens = config.get("num_virtual_tokens")
    if not isinstance(num_tokens, int) or num_tokens < 1:
        raise ValueError(
            f"{folder / CONFIG_FILE}: num_virtual_tokens is {num_tokens!r}, expected 1 or more"
        )
    file = folder / WEIGHTS_FILE
    if not file.is_file():
        raise ValueError(
            f"{folder} holds no {WEIGHTS_FILE}. An adapter_model.bin is a pickle, which can run "
            "code, and is not opened; save the adapter anew with PEFT's "
            "save_pretrained(..., safe_serialization=True) where you trust it"
        )
    arrays = open_safetensors(file)
    if set(arrays) != {WEIGHTS_NAME}:
        raise ValueError(
            f"{file} holds {list_names(sorted(arrays)) or 'nothing'}; expected {WEIGHTS_NAME} "
            "alone, since a soft prompt changes no other weight"
        )
    values = arrays[WEIGHTS_NAME].read()
    submodules = config.get("num_transformer_submodules")
    num_rows = num_tokens * (2 if submodules is None else submodules)
    width = config.get("token_dim")
    if width is None and values.ndim == 2:
        width = values.shape[1]
    if values.shape != (num_rows, width):
        raise ValueError(
            f"{file}: {WEIGHTS_NAME} is {list(values.shape)}, but {CONFIG_FILE} describes "
            f"[{num_rows}, {width}] ({num_tokens} positions, num_transformer_submodules "
            f"{submodules}); the two files are not of one adapter"
        )
    return np.array(values[:num_tokens])


def write_peft_prompt(prompt: Float[np.ndarray, "P D"], folder: Path, *, base_model: str) -> None:
    """Write a soft prompt as a new folder that `peft.PeftModel.from_pretrained` loads.

    Raises ValueError when there is something at `folder` already.
    """
    num_tokens, width = prompt.shape
    config = {
        "auto_mapping": None,
        "base_model_name_or_path": base_model,
        "inference_mode": True,
        "modules_to_save": None,
        "num_attention_heads": None,  # PEFT takes these two from the model
        "num_layers": None,
        "num_transformer_submodules": 1,
        "num_virtual_tokens": num_tokens,
        "peft_type": "PROMPT_TUNING",
        "prompt_tuning_init": "RANDOM",  # overwritten by the file's rows
        "prompt_tuning_init_text": None,
        "revision": None,
        "task_type": "SEQ_2_SEQ_LM",
        "token_dim": width,
        "tokenizer_name_or_path": None,
    }
    with new_folder(folder) as temporary:
        arrays = {WEIGHTS_NAME: stored(prompt)}
        write_safetensors(temporary / WEIGHTS_FILE, arrays, metadata={"format": "pt"})
        shards.write_json(temporary / CONFIG_FILE, config)


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG_FILE
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{file} holds a {type(config).__name__}, expected a JSON object")
    kind, task = config.get("peft_type"), config.get("task_type")
    if kind != "PROMPT_TUNING":
        raise ValueError(
            f"{folder} is a PEFT adapter of type {kind}, expected PROMPT_TUNING: only rows before "
            "the input are a soft prompt"
        )
    if task != "SEQ_2_SEQ_LM":
        raise ValueError(
            f"{folder} was tuned for the task type {task}, expected SEQ_2_SEQ_LM, an "
            "encoder-decoder such as T5"
        )
    return config
