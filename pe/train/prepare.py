"""The folder of a run before its first step: what is trained on, with what, and by which settings.

run/run.json          settings, sources and key of the data, git revision, package versions
run/config.gin        every setting, defaults included
run/init.json         what training began with, and digests of its arrays that rest
run/vocabulary.model  SentencePiece
run/unigram.npy       how often each piece stands in the training targets (for pe score)
run/data/train.arrow  the training data, memory-mapped
"""

import dataclasses
import importlib.metadata
import itertools
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pe import shards
from pe.axes import Int
from pe.config import config_from_dict, config_to_dict, operative_config
from pe.data.features import encode_target
from pe.data.pipeline import ArrowSource, write_arrow
from pe.data.sources import DataSpec, Parts, load_parts
from pe.data.tokenizer import Vocabulary, load_vocabulary, train_vocabulary
from pe.records import content_hash
from pe.train.config import TrainConfig
from pe.train.start import FirstParams, StartModel
from pe.weights.run_folder import (
    INIT_FILE,
    LATEST,
    RUN_FILE,
    VOCABULARY_FILE,
    describe_start,
    list_steps,
    read_start,
)

UNIGRAM_FILE, ARROW_FILE = "unigram.npy", "train.arrow"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "sentencepiece", "numpy")
# settings that a run may go on with others of: where it runs, how often it is looked at
FREE_SETTINGS = (
    "MeshConfig.",
    "SampleConfig.",
    "T5Config.remat",
    "DataConfig.prefetch_batches",
    "LoopConfig.log_every_steps",
    "LoopConfig.eval_every_steps",
    "LoopConfig.save_every_steps",
    "LoopConfig.num_eval_pairs",
    "LoopConfig.keep_checkpoints",
    "VocabularyConfig.path",  # what it holds is compared instead
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedRun:
    """What a run folder gives for training: the data with its parts, and the vocabulary."""

    source: ArrowSource
    sizes: tuple[int, ...]
    rates: tuple[float, ...]
    vocabulary: Vocabulary


def prepare_run(
    data: Sequence[DataSpec],
    out: Path,
    config: TrainConfig,
    *,
    start: StartModel | None,
    say: Callable[[str], None],
) -> PreparedRun:
    """Lay out a run folder, or check that the one that is there belongs to these settings.

    A folder without a checkpoint has nothing to lose, and is laid out anew.

    Raises ValueError when it does not, or settings, data and model do not fit each other.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; expected a folder, new or of an earlier run")
    if (out / "stats.json").is_file():
        raise ValueError(f"--out {out} is a dataset; choose a folder of its own for the run")
    objective = config.data.objective
    parts = load_parts(
        data,
        split="train",
        half=config.data.half,
        column=None if objective.name == "pairs" else objective.column,
        say=say,
    )
    if has_checkpoint(out):
        check_same_run(out, describe_run(data, parts, config), config, start)
        return open_prepared(out)
    if config.vocabulary.path is not None:
        vocabulary = load_vocabulary(config.vocabulary.path)
    else:
        say("training the vocabulary")
        vocabulary = train_vocabulary(vocabulary_texts(parts.table), config.vocabulary)
    if vocabulary.size > config.model.vocab_size:
        raise ValueError(
            f"the vocabulary has {vocabulary.size} pieces, T5Config.vocab_size is "
            f"{config.model.vocab_size}; expected at least as many"
        )
    if objective.name != "pairs":
        parts = drop_empty(parts, vocabulary, say=say)
    init = None if start is None else describe_init(config, vocabulary, start)
    FirstParams(config, vocabulary, start)  # what cannot be trained leaves no folder
    (out / "data").mkdir(parents=True, exist_ok=True)
    write_arrow(parts.table, out / "data" / ARROW_FILE)
    vocabulary.save(out / VOCABULARY_FILE)
    counts = count_pieces(parts.table, vocabulary, config)
    np.save(out / UNIGRAM_FILE, counts)
    (out / INIT_FILE).unlink(missing_ok=True)
    if init is not None:
        shards.write_json(out / INIT_FILE, init)
    shards.write_text(out / "config.gin", operative_config(config))
    shards.write_json(out / RUN_FILE, describe_run(data, parts, config))
    return open_prepared(out)


def open_prepared(out: Path) -> PreparedRun:
    """Open what `prepare_run` laid out."""
    description = json.loads((out / RUN_FILE).read_text(encoding="utf-8"))
    return PreparedRun(
        source=ArrowSource(out / "data" / ARROW_FILE),
        sizes=tuple(part["num_rows"] for part in description["data"]),
        rates=tuple(part["rate"] for part in description["data"]),
        vocabulary=load_vocabulary(out / VOCABULARY_FILE),
    )


def has_checkpoint(out: Path) -> bool:
    """Tell whether a folder holds a run that got as far as a checkpoint."""
    return (out / RUN_FILE).is_file() and bool(list_steps(out / LATEST))


def drop_empty(parts: Parts, vocabulary: Vocabulary, *, say: Callable[[str], None]) -> Parts:
    """Leave out texts that have no token, such as invisible characters alone; say how many."""
    has_tokens = np.array([bool(vocabulary.encode(t)) for t in parts.table["text"].to_pylist()])
    if has_tokens.all():
        return parts
    bounds = np.cumsum([0, *parts.sizes])
    sizes = [int(has_tokens[a:b].sum()) for a, b in itertools.pairwise(bounds)]
    say(f"{np.sum(~has_tokens):,} texts without a token left out, {sum(sizes):,} kept")
    if not all(sizes):
        raise ValueError("a part of --data holds no text with a token; leave it out")
    return dataclasses.replace(
        parts, table=parts.table.filter(pa.array(has_tokens)), sizes=tuple(sizes)
    )


def check_same_run(
    out: Path, new: dict[str, Any], config: TrainConfig, start: StartModel | None
) -> None:
    """Raise ValueError when `out` holds a run of other settings, data or beginnings."""
    old = json.loads((out / RUN_FILE).read_text(encoding="utf-8"))
    init = read_start(out)
    began = None if init is None else init["source"]
    if began != (None if start is None else start.source):
        raise ValueError(
            f"{out} holds a run that began with {began or 'random parameters'}; "
            "choose another --out, or give the same --init to go on"
        )
    given = config.vocabulary.path
    if given is not None:
        same = load_vocabulary(given).model_bytes == (out / VOCABULARY_FILE).read_bytes()
        if not same:
            raise ValueError(
                f"{out} holds a run with another vocabulary than {given}; choose another --out, or "
                "give the same to go on"
            )
    # settings that came into being since that run started have their defaults there
    differing = sorted(settings_lines(old["config"]) ^ settings_lines(new["config"]))
    if differing:
        raise ValueError(
            f"{out} holds a run with other settings ({'; '.join(differing)}); "
            "choose another --out, or give the same settings to go on"
        )
    if old["data_key"] != new["data_key"] or [p["rate"] for p in old["data"]] != [
        p["rate"] for p in new["data"]
    ]:
        told = ", ".join(f"{part['path']} at {part['rate']:.3g}" for part in old["data"])
        raise ValueError(
            f"{out} holds a run on other data ({told}); "
            "choose another --out, or give the same --data to go on"
        )


def settings_lines(stored: dict[str, Any]) -> set[str]:
    """Return a stored config as gin lines, without those that a run may change."""
    lines = operative_config(config_from_dict(TrainConfig, stored)).splitlines()
    return {line for line in lines if not line.startswith(FREE_SETTINGS)}


def vocabulary_texts(table: pa.Table) -> list[str]:
    """Return what a vocabulary is trained on: every distinct text, in order."""
    columns = [name for name in ("prompt", "query", "text") if name in table.column_names]
    return list(dict.fromkeys(text for name in columns for text in table[name].to_pylist()))


def count_pieces(
    table: pa.Table, vocabulary: Vocabulary, config: TrainConfig
) -> Int[np.ndarray, " V"]:
    """Count the pieces of the training targets, or of the texts."""
    counts = np.zeros(config.model.vocab_size, np.int64)
    column = "prompt" if "prompt" in table.column_names else "text"
    for text in table[column].value_counts().to_pylist():  # a prompt stands once a query
        ids = encode_target(text["values"], vocabulary, max_length=config.data.lengths.targets)
        np.add.at(counts, ids, text["counts"])
    return counts


def describe_init(config: TrainConfig, vocabulary: Vocabulary, start: StartModel) -> Any:
    """Return what init.json holds."""
    first = FirstParams(config, vocabulary, start)
    return describe_start(start.source, start.step, start.arrays, first.frozen)


def describe_run(data: Sequence[DataSpec], parts: Parts, config: TrainConfig) -> dict[str, Any]:
    """Return what run.json holds."""
    return {
        "config": config_to_dict(config),
        "data": [
            {"path": spec.path, "rate": rate, "num_rows": size}
            for spec, rate, size in zip(data, parts.rates, parts.sizes, strict=True)
        ],
        "data_key": content_hash(*parts.table["id"].to_pylist()),
        "git_revision": git_revision(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def git_revision() -> str:
    """Return the revision of the code, or "" outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return ""
    return done.stdout.strip()
