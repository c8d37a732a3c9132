"""A model from one format into another, with what its expander needs to know beside it."""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pe import shards
from pe.engines.model import ExpanderSettings, make_settings
from pe.weights.bake import BakedPrompt, bake_soft_prompt, write_baked_tokenizer
from pe.weights.checkpoint import Checkpoint
from pe.weights.ct2 import write_ct2
from pe.weights.formats import SETTINGS_FILE, open_model
from pe.weights.hf import write_hf
from pe.weights.pe_folder import write_pe
from pe.weights.soft_prompt import read_soft_prompt
from pe.weights.t5x import write_t5x

FORMATS = ("hf", "t5x", "pe", "ct2")
T5X_FORMS = ("native", "orbax")


def convert_model(
    source: str,
    out: Path,
    *,
    to: str,
    vocabulary: Path | None = None,
    soft_prompt: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    step: int = 0,
    t5x_form: str = "native",
    quantization: str | None = None,
) -> Checkpoint:
    """Write the model of `source` as `out` in another format; return what was written.

    The values stay bit for bit, but for CTranslate2's quantization. `soft_prompt` is baked in as
    extra vocabulary rows, and the ids that stand for it go into the expander's settings, which are
    kept beside the weights in every format; `settings` replace some of them.

    Raises ValueError for an unknown format, a model that cannot be opened or said in the format, a
    soft prompt of another width, and an `out` that is there already.
    """
    if to not in FORMATS:
        raise ValueError(f"to: got {to!r}, expected one of {FORMATS}")
    if t5x_form not in T5X_FORMS:
        raise ValueError(f"t5x_form: got {t5x_form!r}, expected one of {T5X_FORMS}")
    opened = open_model(source, vocabulary=vocabulary)
    checkpoint = opened.checkpoint
    expander = make_settings({**opened.expander, **(settings or {})}, source=source)
    baked = None
    if soft_prompt is not None:
        if expander.prompt_ids:
            raise ValueError(f"{source} has a soft prompt of its own already; convert without one")
        prompt = read_soft_prompt(soft_prompt)
        checkpoint, baked = bake_soft_prompt(checkpoint, prompt)
        expander = dataclasses.replace(
            expander,
            prompt_ids=baked.ids,
            max_input_tokens=expander.max_input_tokens + len(baked.ids),
        )
    if to == "pe":
        write_pe(checkpoint, out, expander=expander.to_dict(), name=opened.name)
    elif to == "ct2":
        write_ct2(
            checkpoint,
            out,
            quantization=quantization,
            prompt_ids=expander.prompt_ids,
            expander={**expander.to_dict(), "name": opened.name},
        )
    elif to == "t5x":
        write_t5x(checkpoint, out, step=step, form=t5x_form)
        shards.write_json(out / SETTINGS_FILE, {"expander": expander.to_dict()})
        _copy_vocabulary(checkpoint, out)
    else:
        _write_hf(checkpoint, out, expander, baked)
    return checkpoint


def _write_hf(
    checkpoint: Checkpoint, out: Path, expander: ExpanderSettings, baked: BakedPrompt | None
) -> None:
    """Write all of it under another name first, so that nothing half written has this one."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists and is not empty; give a new folder, or remove it first")
    staging = out.with_name(f"{shards.TEMPORARY}convert-{out.name}")
    shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed
    try:
        generation = None if baked is None else baked.generation_config
        write_hf(checkpoint, staging, generation=generation)
        if baked is not None and checkpoint.vocabulary is not None:
            write_baked_tokenizer(checkpoint.vocabulary, staging, baked)
            (staging / "special_tokens_map.json").unlink()  # tokenizer.json says it all
        shards.write_json(staging / SETTINGS_FILE, {"expander": expander.to_dict()})
        staging.replace(out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _copy_vocabulary(checkpoint: Checkpoint, folder: Path) -> None:
    """Put the vocabulary beside a T5X checkpoint: T5X ignores it, this project finds it."""
    if checkpoint.vocabulary is not None:
        is_json = checkpoint.vocabulary.suffix == ".json"
        name = "tokenizer.json" if is_json else "vocabulary.model"
        shutil.copyfile(checkpoint.vocabulary, folder / name)
