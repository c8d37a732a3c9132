"""seqio Tasks over a dataset of pe build, so that T5X and its kin can train on it.

    Parquet shards -> columns of text -> tf.data rows -> tokens, the very ids of features.py

A gin file of T5X imports this module and names a task. Where PE_DATA_DIR is set and seqio is
installed, the import registers

    prompt_expansion          inputs with their control prefix
    prompt_expansion_plain    inputs without it
    prompt_expansion_dropout  either, the prefix left out more and more often (`PrefixSchedule`)

and with PE_REFINE_DIR, a second dataset, `prompt_expansion_refine` and `prompt_expansion_mixture`.
The shards are read rather than the TFDS export: they are there after every build, whatever its
format. Needs nothing of jax or grain, so that T5X may keep its own versions; knows no train step.
"""

import dataclasses
import importlib.util
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pe.data.sources import is_in_half, iterate_pairs
from pe.data.tokenizer import EOS_ID, load_vocabulary
from pe.prefixes import format_input
from pe.records import HALVES, SPLITS

DATA_DIR, REFINE_DIR = "PE_DATA_DIR", "PE_REFINE_DIR"
VOCABULARY = "PE_VOCABULARY"
DROPOUT_ROWS = "PE_DROPOUT_ROWS"
NAME = "prompt_expansion"
# what T5X's own model files bind; its 100 sentinels are pieces of the file, so no extra ids
T5_VOCABULARY = "gs://t5-data/vocabs/cc_all.32000.100extra/sentencepiece.model"
FORMS = ("prefixed", "plain", "dropout")
CHUNK_ROWS = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrefixSchedule:
    """The share of rows without prefix, rising linearly over the first `num_rows` of the stream.

    A data pipeline knows no train step, so the rate goes by a row's place in the repeated stream of
    the train split; with several hosts each counts its own. Rows = steps * rows a batch * pairs a
    packed row / hosts. (arXiv:2312.16720 sec. 4.3: 0.4 to 1.0.)
    """

    start_rate: float = 0.4
    end_rate: float = 1.0
    num_rows: int = 1_000_000

    def __post_init__(self) -> None:
        for name in ("start_rate", "end_rate"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(
                    f"PrefixSchedule.{name}: got {getattr(self, name)}, expected 0 to 1"
                )
        if self.num_rows < 1:
            raise ValueError(f"PrefixSchedule.num_rows: got {self.num_rows}, expected 1 or more")


def add_task(
    name: str,
    data: Path,
    *,
    form: str = "prefixed",
    half: str = "base",
    vocabulary: str | Path | None = None,
    schedule: PrefixSchedule | None = None,
) -> None:
    """Register a seqio Task over a dataset folder of pe build.

    `form`: the inputs with prefix, plain, or with prefix dropout by `schedule`. `half` is that of
    the train split: base, refine, or "" for both. `vocabulary` as in `make_vocabulary`. Raises
    ValueError where seqio is missing, `data` is no dataset, or holds no such training pair.
    """
    seqio = _import_seqio()
    if form not in FORMS:
        raise ValueError(f"form: got {form!r}, expected one of {FORMS}")
    if half not in ("", *HALVES):
        raise ValueError(f"half: got {half!r}, expected one of {HALVES} or ''")
    if schedule is not None and form != "dropout":
        raise ValueError(f"schedule is of no use to form {form!r}; leave it out, or take 'dropout'")
    counts = count_pairs(data, half=half)
    if not counts["train"]:
        raise ValueError(
            f"{data} holds no training pair{f' of half {half!r}' * bool(half)}; build it from more "
            "prompts, or add the task with half=''"
        )
    pieces = make_vocabulary(vocabulary)
    names = {"prefixed": ["inputs"], "plain": ["inputs_plain"]}.get(
        form, ["inputs", "inputs_plain"]
    )

    def dataset_fn(split: str, shuffle_files: bool, seed: int | None = None) -> Any:
        texts = load_texts(data, split=split, half=half)
        return make_dataset(
            texts.select([*names, "targets"]), split=split, shuffle=shuffle_files, seed=seed
        )

    seqio.TaskRegistry.add(
        name,
        source=seqio.FunctionDataSource(
            dataset_fn, splits=tuple(counts), num_input_examples=dict(counts)
        ),
        preprocessors=[
            drop_prefixes(schedule or PrefixSchedule())
            if form == "dropout"
            else keep_one(names[0]),
            seqio.preprocessors.tokenize,
            add_end_tokens,
        ],
        output_features={
            feature: seqio.Feature(vocabulary=pieces, add_eos=True)
            for feature in ("inputs", "targets")
        },
    )


def add_mixture(name: str, rates: Mapping[str, float]) -> None:
    """Register a seqio Mixture of registered tasks; rates are relative.

    Raises ValueError where seqio is missing, a task is unknown, or a rate is not above 0.
    """
    seqio = _import_seqio()
    known = seqio.TaskRegistry.names()
    if unknown := [task for task in rates if task not in known]:
        ours = sorted(task for task in known if task.startswith(NAME))
        raise ValueError(f"mixture {name!r}: unknown tasks {unknown}; known: {ours}")
    if not rates or not all(rate > 0 for rate in rates.values()):
        raise ValueError(
            f"mixture {name!r}: got rates {dict(rates)}, expected tasks with rates > 0"
        )
    seqio.MixtureRegistry.add(name, [(task, float(rate)) for task, rate in rates.items()])


def add_default_tasks(
    data: Path, *, refine: Path | None = None, num_rows: int | None = None
) -> None:
    """Register the tasks that the head of this module lists; T5X's gin files name them."""
    schedule = PrefixSchedule() if num_rows is None else PrefixSchedule(num_rows=num_rows)
    add_task(NAME, data)
    add_task(f"{NAME}_plain", data, form="plain")
    add_task(f"{NAME}_dropout", data, form="dropout", schedule=schedule)
    if refine is not None:
        add_task(f"{NAME}_refine", refine, half="")
        add_mixture(f"{NAME}_mixture", {NAME: 1.0, f"{NAME}_refine": 1.0})


def make_vocabulary(path: str | Path | None = None) -> Any:
    """Return seqio's vocabulary of a SentencePiece model: `path`, else PE_VOCABULARY, else T5's.

    It adds no extra ids, so that a piece has the id that the file gives it; T5X's own model files
    do the same, and T5X stops where the model's vocabulary is not equal to the task's. Raises
    ValueError for a file that is missing or no SentencePiece model with T5's control ids; one on
    a bucket (gs://) is read when the first row is.
    """
    seqio = _import_seqio()
    path = str(path or os.environ.get(VOCABULARY) or T5_VOCABULARY)
    if "://" not in path:
        if path.endswith(".json"):
            raise ValueError(f"vocabulary {path}: seqio reads SentencePiece models only, not JSON")
        load_vocabulary(path)
    return seqio.SentencePieceVocabulary(path)


def count_pairs(data: Path, *, half: str = "") -> dict[str, int]:
    """Return the number of pairs of each split that has any; `half` is that of the train split.

    Raises ValueError when `data` is no dataset folder.
    """
    counts: Counter[str] = Counter()
    for rows in _iterate_pairs(data, ["split"], split="", half=half):
        counts.update(rows["split"].to_pylist())
    return {split: counts[split] for split in SPLITS if counts[split] or split == "train"}


def load_texts(data: Path, *, split: str, half: str = "") -> pa.Table:
    """Read the texts of a split as three string columns; no row of it becomes a Python dict.

    Example:
      query  prefix  prompt       ->  inputs     inputs_plain  targets
      a cat  FLV     a cat, ink       FLV a cat  a cat         a cat, ink
      a dog          a dog, ink       a dog      a dog         a dog, ink
    """
    if split not in SPLITS:
        raise ValueError(f"split: got {split!r}, expected one of {SPLITS}")
    names = ["inputs", "inputs_plain", "targets"]
    schema = pa.schema([(name, pa.large_string()) for name in names])
    tables = [schema.empty_table()]
    for rows in _iterate_pairs(data, ["query", "prefix", "prompt"], split=split, half=half):
        for chunk in rows.to_batches(max_chunksize=CHUNK_ROWS):
            queries, prefixes = chunk["query"].to_pylist(), chunk["prefix"].to_pylist()
            inputs = map(format_input, queries, prefixes)
            columns = [pa.array(inputs, pa.large_string()), chunk["query"], chunk["prompt"]]
            tables.append(pa.table([c.cast(pa.large_string()) for c in columns], schema=schema))
    return pa.concat_tables(tables)


def make_dataset(texts: pa.Table, *, split: str, shuffle: bool, seed: int | None) -> Any:
    """Return a tf.data.Dataset of the rows of string columns, and the split's name with each.

    The texts lie in memory once, as tensors, and a row is taken by its number; shuffling is of the
    numbers, all of them. It is all graph, so that a place in it can be saved in a checkpoint.
    """
    import tensorflow as tf

    def to_tensor(column: pa.ChunkedArray) -> Any:
        # chunk by chunk, so that only one is ever Python strings
        chunks = (chunk.to_numpy(zero_copy_only=False) for chunk in column.chunks)
        tensors = [tf.constant(chunk, tf.string) for chunk in chunks]
        return tf.concat([tf.constant([], tf.string), *tensors], axis=0)

    columns = {name: to_tensor(texts[name]) for name in texts.column_names}

    def take_row(number: Any) -> dict[str, Any]:
        row = {name: column[number] for name, column in columns.items()}
        return {**row, "split": tf.constant(split)}

    rows = tf.data.Dataset.range(len(texts))
    if shuffle:
        rows = rows.shuffle(max(1, len(texts)), seed=seed)
    return rows.map(take_row, num_parallel_calls=tf.data.AUTOTUNE)


def keep_one(name: str) -> Callable[[Any], Any]:
    """Return a preprocessor that takes one column for the inputs."""
    import seqio

    return seqio.map_over_dataset(lambda row: {"inputs": row[name], "targets": row["targets"]})


def drop_prefixes(schedule: PrefixSchedule) -> Callable[[Any], Any]:
    """Return a preprocessor that takes the inputs with or without prefix, as the schedule says.

    seqio repeats before it preprocesses, so that a row's place goes on over the epochs. The draw is
    a row's own, made from seqio's seed: with a seed (T5X: DatasetConfig.seed) it is the same every
    time. Other splits than train keep their prefixes, so that their loss is comparable.
    """
    import seqio
    import tensorflow as tf

    def choose(numbered: Any, seed: Any) -> dict[str, Any]:
        place, row = numbered
        done = tf.minimum(tf.cast(place, tf.float64) / schedule.num_rows, 1.0)
        rate = schedule.start_rate + (schedule.end_rate - schedule.start_rate) * done
        draw = tf.random.stateless_uniform([], seed, dtype=tf.float64)
        is_dropped = tf.logical_and(row["split"] == "train", draw < rate)
        inputs = tf.where(is_dropped, row["inputs_plain"], row["inputs"])
        return {"inputs": inputs, "targets": row["targets"]}

    choose_all = seqio.map_over_dataset(choose, num_seeds=1)
    return lambda dataset: choose_all(dataset.enumerate())


def add_end_tokens(dataset: Any, sequence_length: Mapping[str, int] | None = None) -> Any:
    """Append the end token: inputs are cut before it, targets after, as `encode_pair` does.

    Example (sequence_length 3 of both):
      inputs     targets    ->  inputs     targets
      [5, 6, 7]  [5, 6, 7]      [5, 6, 1]  [5, 6, 7]
      [5]        [5]            [5, 1]     [5, 1]
    """
    import tensorflow as tf

    lengths = sequence_length or {}

    def end(row: dict[str, Any]) -> dict[str, Any]:
        row = dict(row)
        if lengths.get("inputs") is not None:
            row["inputs"] = row["inputs"][: lengths["inputs"] - 1]
        for name in ("inputs", "targets"):
            row[name] = tf.concat([row[name], [EOS_ID]], axis=0)
        if lengths.get("targets") is not None:
            row["targets"] = row["targets"][: lengths["targets"]]
        return row

    return dataset.map(end, num_parallel_calls=tf.data.AUTOTUNE)


def _iterate_pairs(data: Path, names: list[str], *, split: str, half: str) -> Iterator[pa.Table]:
    """Yield columns of the pairs of a split ("": all), one shard at a time."""
    for shard in iterate_pairs(data, list(dict.fromkeys([*names, "prefix", "split", "half"]))):
        keep = pc.is_in(shard["split"], pa.array([split] if split else SPLITS))
        if half:  # of the train split alone: the others are not divided
            is_other = pc.not_equal(shard["split"], "train")
            keep = pc.and_(keep, pc.or_(is_other, is_in_half(shard, half)))
        yield shard.filter(keep).select(names)


def _import_seqio() -> Any:
    if importlib.util.find_spec("seqio") is None:
        raise ValueError(
            "seqio is not installed; install the extra with `pip install 'prompt-expansion[seqio]'`"
        )
    import seqio

    return seqio


def _add_tasks_of_environment() -> None:
    refine, num_rows = os.environ.get(REFINE_DIR), os.environ.get(DROPOUT_ROWS)
    if num_rows is not None and not num_rows.isdecimal():
        raise ValueError(f"{DROPOUT_ROWS}: got {num_rows!r}, expected a number of rows")
    add_default_tasks(
        Path(os.environ[DATA_DIR]),
        refine=Path(refine) if refine else None,
        num_rows=None if num_rows is None else int(num_rows),
    )


if os.environ.get(DATA_DIR) and importlib.util.find_spec("seqio") is not None:
    _add_tasks_of_environment()
