"""What --data names: datasets of pairs, files of texts, and how much of each.

    DIR  DIR:0.7            a dataset folder of pe build
    tfds:NAME  tfds:FOLDER  the same as a TensorFlow dataset, with or without a rate behind it
    FILE.jsonl:2            texts for a pre-training objective; .parquet and .txt too

All parts become one table, one behind the other. Knows nothing of tokens or order.
"""

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pe import shards
from pe.records import HALVES, SPLITS, content_hash

COLUMNS = ["id", "query", "prefix", "prompt", "kind", "split", "half"]
SYNTHETIC_PREFIXES = ("RFT", "MSTP")
DATASET_TEXTS = ("query", "prompt")  # the columns of a dataset that are texts
TFDS = "tfds:"
TEXT_SUFFIXES = (".jsonl", ".parquet", ".txt")
TFDS_COLUMNS = {"query": "inputs_plain", "prompt": "targets"}  # the others have the same names
READ_EXAMPLES = 4096  # of a TensorFlow dataset, at once

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """One part of the data: where it is, and how often it is drawn beside the others."""

    path: str
    rate: float = 1.0


@dataclasses.dataclass(frozen=True)
class Parts:
    """All parts as one table: `sizes` rows of each in turn, to be drawn at `rates` (sum 1)."""

    table: pa.Table
    sizes: tuple[int, ...]
    rates: tuple[float, ...]


def parse_data(text: str) -> DataSpec:
    """Read a part's path and rate: what stands behind the last colon, when that is a number.

    A path that exists as a whole wins.

    Example:
      text               path             rate
      data               data             1.0
      data:0.7           data             0.7
      tfds:prompts:0.3   tfds:prompts     0.3
      prompts.jsonl:2    prompts.jsonl    2.0

    Raises ValueError for a rate that is not positive, and where no path is left.
    """
    path, colon, number = text.rpartition(":")
    rate = 1.0
    try:
        rate = float(number)
    except ValueError:
        colon = ""
    if not colon or Path(text).exists():
        path, rate = text, 1.0
    if not 0 < rate < math.inf:
        raise ValueError(f"--data {text}: got the rate {number}, expected a number above 0")
    if path in ("", TFDS, TFDS.rstrip(":")):
        raise ValueError(
            f"--data {text!r} names no data; expected DIR, {TFDS}NAME or a file of texts, with or "
            "without :RATE"
        )
    return DataSpec(path, rate)


def load_parts(
    specs: Sequence[DataSpec],
    *,
    split: str,
    half: str = "",
    column: str | None = None,
    say: Say = lambda _: None,
) -> Parts:
    """Load all parts into one table; rates are normalised to a sum of 1.

    Raises ValueError when there is none, when two are the same, and where `load_part` does.
    """
    if not specs:
        raise ValueError("--data: got nothing, expected one part or more")
    places = Counter(_identity(spec.path) for spec in specs)
    for spec in specs:
        if places[_identity(spec.path)] > 1:
            raise ValueError(f"--data {spec.path} is given twice; expected it once, with its rate")
    tables = [load_part(spec, split=split, half=half, column=column, say=say) for spec in specs]
    total = sum(spec.rate for spec in specs)
    return Parts(
        table=pa.concat_tables(tables),
        sizes=tuple(len(table) for table in tables),
        rates=tuple(spec.rate / total for spec in specs),
    )


def load_part(
    spec: DataSpec,
    *,
    split: str,
    half: str = "",
    column: str | None = None,
    say: Say = lambda _: None,
) -> pa.Table:
    """Load a part: pairs (COLUMNS), or with a `column` the texts (id, text) of it.

    `half` keeps the pairs of that half, and all synthetic ones (prefix RFT or MSTP): the halves
    divide the real ones. Of a dataset's column each text is taken once, of a file every one;
    blank ones are left out, and their number is told to `say`. A file is all of split train.

    Raises ValueError when there is no such data, split, half or column.
    """
    if split not in SPLITS:
        raise ValueError(f"split: got {split!r}, expected one of {SPLITS}")
    if half not in ("", *HALVES):
        raise ValueError(f"half: got {half!r}, expected one of {HALVES} or ''")
    path = Path(spec.path)
    is_tfds = spec.path.startswith(TFDS) and not path.exists()
    is_file = not is_tfds and not path.is_dir() and (path.is_file() or path.suffix in TEXT_SUFFIXES)
    if is_file:
        if column is None:
            raise ValueError(
                f"--data {spec.path} is a file; pairs are read from a dataset, so run pe build on "
                "it first, or set ObjectiveConfig.name to learn from its texts"
            )
        if split != "train":
            raise ValueError(f"--data {spec.path} is a file, all of it train; it has no {split}")
        texts = read_texts(path, column)
        rows = {"id": [content_hash("Text", text) for text in texts], "text": texts}
        table = pa.table(rows, schema=pa.schema([("id", pa.string()), ("text", pa.string())]))
    else:
        if is_tfds:
            table = load_tfds(spec.path.removeprefix(TFDS), split=split, half=half)
        else:
            table = load_pairs(path, split=split, half=half)
        if column is None:
            return table
        table = distinct_texts(table, column, name=spec.path)
    is_text = pc.not_equal(pc.utf8_trim_whitespace(table["text"]), "")
    num_blank = len(table) - pc.sum(is_text).as_py() if len(table) else 0
    if num_blank == len(table):
        raise ValueError(f"--data {spec.path} holds no text in the column {column!r}")
    if num_blank:
        say(f"{spec.path}: {num_blank:,} blank texts left out, {len(table) - num_blank:,} kept")
    return table.filter(is_text)


def load_pairs(data: Path, *, split: str, half: str = "") -> pa.Table:
    """Read the pairs of one split (and half, with all synthetic pairs) of a built dataset.

    Raises ValueError when `data` is no dataset folder or holds no such pair.
    """
    if split not in SPLITS:
        raise ValueError(f"split: got {split!r}, expected one of {SPLITS}")
    tables = iterate_pairs(data, COLUMNS)
    return _choose_pairs(tables, split=split, half=half, name=str(data))


def iterate_pairs(data: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield columns of all pairs of a built dataset, one shard at a time.

    Raises ValueError when `data` is no dataset folder.
    """
    folder = data / "pairs"
    if not (data / "stats.json").is_file() or not shards.list_shards(folder):
        raise ValueError(
            f"{data} is no finished dataset (stats.json or pairs/ is missing); run pe build first"
        )
    yield from shards.iterate_shards(folder, list(columns))


def is_in_half(pairs: pa.Table, half: str) -> pa.Array | pa.ChunkedArray:
    """Say of every pair whether it belongs to a half: its own, or it is synthetic and in both."""
    is_synthetic = pc.is_in(pairs["prefix"], pa.array(SYNTHETIC_PREFIXES))
    return pc.or_(pc.equal(pairs["half"], half), is_synthetic)


def load_tfds(name: str, *, split: str, half: str = "") -> pa.Table:
    """Read pairs from a TensorFlow dataset as pe build exports them, by name or by folder.

    The rows are those of `load_pairs` on the dataset it was exported from, in another order.

    Raises ValueError when there is no such dataset, it holds no such pairs, or it is stored as
    TFRecord and TensorFlow is not installed.
    """
    builder = _open_tfds(name)
    wanted = {column: TFDS_COLUMNS.get(column, column) for column in COLUMNS if column != "split"}
    missing = sorted(set(wanted.values()) - set(builder.info.features))
    if missing:
        raise ValueError(
            f"{TFDS}{name} has no feature {missing}, it has {sorted(builder.info.features)}; "
            "expected a dataset that pe build exported"
        )
    if split not in builder.info.splits:
        raise ValueError(
            f"{TFDS}{name} holds no pair of split {split!r} (it holds "
            f"{', '.join(sorted(builder.info.splits)) or 'nothing'})"
        )

    def tables() -> Iterable[pa.Table]:
        for examples in _read_examples(builder, split, name=name):
            rows = {
                column: [example[feature].decode("utf-8") for example in examples]
                for column, feature in wanted.items()
            }
            rows["split"] = [split] * len(examples)
            yield pa.table({column: rows[column] for column in COLUMNS}, schema=_pair_schema())

    return _choose_pairs(tables(), split=split, half=half, name=TFDS + name)


def distinct_texts(table: pa.Table, column: str, *, name: str) -> pa.Table:
    """Return each text of a column once, as (id, text), with the id of its first row.

    Example (column prompt):
      id  query  prompt      ->  id  text
      p1  a cat  a cat, ink      p1  a cat, ink
      p2  cat    a cat, ink      p3  a fox
      p3  a fox  a fox
    """
    _check_column(column, DATASET_TEXTS, name)
    first = pa.table({"text": table[column], "row": pa.array(np.arange(len(table)))})
    rows = table.take(first.group_by("text").aggregate([("row", "min")])["row_min"].sort())
    return pa.table({"id": rows["id"], "text": rows[column]})


def read_texts(path: Path, column: str) -> list[str]:
    """Read the texts of a .jsonl or .parquet file's column, or the lines of a .txt file.

    A text that is missing in a row is blank.

    Raises ValueError when the file is missing or of another kind, or has no such column of texts.
    """
    if path.suffix not in TEXT_SUFFIXES:
        raise ValueError(f"{path}: got a file {path.suffix!r}, expected one of {TEXT_SUFFIXES}")
    if not path.is_file():
        raise ValueError(f"{path} not found; expected a file of texts")
    if path.suffix == ".parquet":
        return _read_parquet_texts(path, column)
    try:
        with path.open(encoding="utf-8-sig") as lines:
            if path.suffix == ".txt":
                return [line.strip() for line in lines]
            return _read_json_texts(lines, column, name=str(path))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}); expected text") from error


def _read_json_texts(lines: Iterable[str], column: str, *, name: str) -> list[str]:
    texts, known = [], set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{name}:{number}: broken JSON ({error.msg})") from error
        if not isinstance(row, dict):
            raise ValueError(f"{name}:{number}: got {type(row).__name__}, expected an object")
        text = "" if row.get(column) is None else row[column]
        if not isinstance(text, str):
            raise ValueError(
                f"{name}:{number}: {column!r} is {type(text).__name__}, expected a text"
            )
        known |= set(row)
        texts.append(text)
    _check_column(column, sorted(known), name)
    return texts


def _read_parquet_texts(path: Path, column: str) -> list[str]:
    try:
        schema = pq.read_schema(path)
    except pa.ArrowException as error:
        raise ValueError(f"{path} is no Parquet file: {error}") from error
    kinds = (pa.types.is_string, pa.types.is_large_string)
    known = [field.name for field in schema if any(kind(field.type) for kind in kinds)]
    _check_column(column, known, str(path))
    texts = pq.read_table(path, columns=[column])[column]
    return [text or "" for text in texts.to_pylist()]


def _check_column(column: str, known: Sequence[str], name: str) -> None:
    if column not in known:
        raise ValueError(
            f"ObjectiveConfig.column: got {column!r}, expected one of {list(known)} of {name}"
        )


def _choose_pairs(tables: Iterable[pa.Table], *, split: str, half: str, name: str) -> pa.Table:
    chosen, counts = [], Counter()
    for table in tables:
        keep = pc.equal(table["split"], split)
        if half:
            keep = pc.and_(keep, is_in_half(table, half))
        chosen.append(table.filter(keep))
        counts.update(zip(table["split"].to_pylist(), table["half"].to_pylist(), strict=True))
    if not sum(map(len, chosen)):
        found = ", ".join(f"{' '.join(key).strip()}: {n:,}" for key, n in sorted(counts.items()))
        raise ValueError(
            f"{name} holds no pair of split {split!r}{f', half {half!r}' * bool(half)} (it holds "
            f"{found}); build it from more prompts, or with other PairConfig.*_frac"
            + " or train with DataConfig.half=''"
            * bool(half)
        )
    return pa.concat_tables([table.cast(_pair_schema()) for table in chosen])


def _pair_schema() -> pa.Schema:
    return pa.schema([pa.field(column, pa.string(), nullable=False) for column in COLUMNS])


def _identity(path: str) -> str:
    """Return what two spellings of one path share."""
    name = path.removeprefix(TFDS)
    return path[: -len(name)] + str(Path(name).resolve()) if Path(name).exists() else path


def _open_tfds(name: str) -> Any:
    import tensorflow_datasets as tfds

    folder = Path(name)
    if (folder / "dataset_info.json").is_file():
        return tfds.builder_from_directory(folder)
    if folder.is_dir():
        raise ValueError(
            f"{TFDS}{name} is no TensorFlow dataset (dataset_info.json is missing); expected a "
            f"folder like {folder}/prompt_expansion/1.0.0"
        )
    try:
        return tfds.builder(name)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise ValueError(
            f"{TFDS}{name} is neither a folder nor a dataset in {tfds.core.constants.DATA_DIR}; "
            "set TFDS_DATA_DIR, or give the folder that has dataset_info.json"
        ) from error


def _read_examples(builder: Any, split: str, *, name: str) -> Iterable[list[dict[str, bytes]]]:
    """Yield a split's examples, many at a time; TFRecord is read by TensorFlow."""
    if builder.info.file_format.value == "array_record":
        source = builder.as_data_source(split=split)
        for start in range(0, len(source), READ_EXAMPLES):
            yield source.__getitems__(range(start, min(start + READ_EXAMPLES, len(source))))
        return
    try:
        import tensorflow
    except ImportError as error:
        raise ValueError(
            f"{TFDS}{name} is stored as {builder.info.file_format.value}, which needs TensorFlow; "
            "install the extra with `pip install 'prompt-expansion[seqio]'`, or export it as "
            "arrayrecord"
        ) from error
    tensorflow.config.set_visible_devices([], "GPU")  # it would take the memory that JAX needs
    batches = builder.as_dataset(split=split, batch_size=READ_EXAMPLES).as_numpy_iterator()
    for batch in batches:
        yield [
            dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)
        ]
