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
from pe.weights.run_folder import INIT_FILE, RUN_FILE, VOCABULARY_FILE, describe_start

UNIGRAM_FILE, ARROW_FILE = "unigram.npy", "train.arrow"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "sentencepiece", "numpy")
WHERE_FIELDS = ("mesh",)  # of TrainConfig: where it is trained, not what


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
    description = describe_run(data, parts, config)
    if (out / RUN_FILE).is_file():
        check_same_run(out, description, start)
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
    (out / "data").mkdir(parents=True, exist_ok=True)
    write_arrow(parts.table, out / "data" / ARROW_FILE)
    vocabulary.save(out / VOCABULARY_FILE)
    counts = count_pieces(parts.table, vocabulary, config)
    np.save(out / UNIGRAM_FILE, counts)
    if start is not None:
        shards.write_json(out / INIT_FILE, describe_init(config, vocabulary, start))
    shards.write_text(out / "config.gin", operative_config(config))
    shards.write_json(out / RUN_FILE, description)
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


def check_same_run(out: Path, new: dict[str, Any], start: StartModel | None) -> None:
    """Raise ValueError when `out` holds a run of other settings, data or beginnings."""
    old = json.loads((out / RUN_FILE).read_text(encoding="utf-8"))
    path = out / INIT_FILE
    began = json.loads(path.read_text(encoding="utf-8"))["source"] if path.is_file() else None
    if began != (None if start is None else start.source):
        raise ValueError(
            f"{out} holds a run that began with {began or 'random parameters'}; "
            "choose another --out, or give the same --init to go on"
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
    """Return a stored config as gin lines, without what says where it is trained."""
    kept = {name: value for name, value in stored.items() if name not in WHERE_FIELDS}
    return set(operative_config(config_from_dict(TrainConfig, kept)).splitlines())


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
    return describe_start(start.source, start.arrays, first.frozen)


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
