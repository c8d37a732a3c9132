"""A model from one format into another, with what its expander needs to know beside it."""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pe import shards
from pe.engines.model import ExpanderSettings, make_settings
from pe.models.adapters import SOFT_PROMPT
from pe.weights.bake import BakedPrompt, bake_soft_prompt, write_baked_tokenizer
from pe.weights.checkpoint import Checkpoint
from pe.weights.ct2 import write_ct2
from pe.weights.formats import SETTINGS_FILE, is_t5x, open_arrays, open_model
from pe.weights.hf import write_hf
from pe.weights.pe_folder import write_pe
from pe.weights.run_folder import RUN_FILE, read_run
from pe.weights.soft_prompt import holds_prompt_file, read_soft_prompt
from pe.weights.t5x import STEP_FOLDER, read_soft_prompt_t5x, write_t5x

FORMATS = ("hf", "t5x", "pe", "ct2")
T5X_FORMS = ("native", "orbax")


def read_prompt(source: Path) -> np.ndarray:
    """Read a soft prompt [P, D] in any format, or the one that a run or a T5X checkpoint holds.

    Raises ValueError where there is none.
    """
    if (source / RUN_FILE).is_file():
        prompt = read_run(source, open_base=open_arrays).arrays.get(SOFT_PROMPT)
        if prompt is None:
            raise ValueError(f"{source} is a run without a soft prompt")
        return prompt.read()
    if source.is_dir() and is_t5x(source) and not holds_prompt_file(source):
        prompt = read_soft_prompt_t5x(source)
        if prompt is None:
            raise ValueError(f"{source} is a T5X checkpoint without a soft prompt")
        return prompt
    return read_soft_prompt(source)


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
    named = STEP_FOLDER.fullmatch(out.name)
    if to == "t5x" and named and int(named[1]) != step:
        raise ValueError(f"{out} is named for step {named[1]} and step is {step}; give that --step")
    opened = open_model(source, vocabulary=vocabulary)
    checkpoint = opened.checkpoint
    expander = make_settings({**opened.expander, **(settings or {})}, source=source)
    baked = _find_baked(checkpoint, expander)
    if soft_prompt is not None:
        if expander.prompt_ids:
            raise ValueError(f"{source} has a soft prompt of its own already; convert without one")
        prompt = read_prompt(soft_prompt)
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
    else:
        with _staged(out) as folder:
            if to == "t5x":
                write_t5x(checkpoint, folder, step=step, form=t5x_form)
                _copy_vocabulary(checkpoint, folder)
            else:
                _write_hf(checkpoint, folder, baked, prefix_first=expander.prefix_first)
            shards.write_json(folder / SETTINGS_FILE, {"expander": expander.to_dict()})
    return checkpoint


def _find_baked(checkpoint: Checkpoint, expander: ExpanderSettings) -> BakedPrompt | None:
    """Return the soft prompt that was baked into a model before, if any."""
    ids, num_rows = expander.prompt_ids, checkpoint.config.vocab_size
    if not ids:
        return None
    if ids != tuple(range(num_rows - len(ids), num_rows)):
        raise ValueError(
            f"{checkpoint.source}: prompt_ids: got {list(ids)}, expected the last of the model's "
            f"{num_rows} rows"
        )
    return BakedPrompt(ids=ids, rounding=0.0)


@contextlib.contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """Yield where to write, under the same name: it becomes `out` when the block ends well."""
    out = out.absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists and is not empty; give a new folder, or remove it first")
    staging = out.with_name(f"{shards.TEMPORARY}convert-{out.name}")
    shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed
    staging.mkdir(parents=True)
    try:
        yield staging / out.name
        (staging / out.name).replace(out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_hf(
    checkpoint: Checkpoint, folder: Path, baked: BakedPrompt | None, *, prefix_first: bool
) -> None:
    write_hf(checkpoint, folder, generation=None if baked is None else baked.generation_config)
    if baked is not None and checkpoint.vocabulary is not None:
        write_baked_tokenizer(checkpoint.vocabulary, folder, baked, prefix_text_first=prefix_first)
        (folder / "special_tokens_map.json").unlink()  # tokenizer.json says it all


def _copy_vocabulary(checkpoint: Checkpoint, folder: Path) -> None:
    """Put the vocabulary beside a T5X checkpoint: T5X ignores it, this project finds it."""
    if checkpoint.vocabulary is not None:
        is_json = checkpoint.vocabulary.suffix == ".json"
        name = "tokenizer.json" if is_json else "vocabulary.model"
        shutil.copyfile(checkpoint.vocabulary, folder / name)
