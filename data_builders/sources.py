r"""Read a table of prompts row by row: every row comes out, kept or dropped with its reason.

Finds the columns and judges each row. Knows nothing of files (`table_format.py`, which lists the
formats), nor of captions, flavors, prefixes or what a good prompt is.
"""

import dataclasses
import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_builders.table_format import (
    Cells,
    Names,
    check_file,
    file_stem,
    fold_name,
    is_text_type,
    parse_object,
    read_cells,
    read_lines,
    read_records,
    split_suffix,
)

PROMPT_NAMES = ("prompt", "text", "caption")  # in order of precedence
QUERY_NAMES = ("query",)
SOURCE_NAMES = ("source",)
LICENCE_NAMES = ("licence", "license")

REASONS = {
    "bad_encoding": "the row holds bytes, or escaped surrogates, that are not UTF-8 text",
    "broken_json": "the line is not JSON",
    "broken_quotes": "a quote opens in this CSV line and does not close as it should",
    "control_characters_only": "the prompt has nothing but control and zero-width characters",
    "empty": "the row or its prompt is empty or white space",
    "no_prompt": "the row lacks the prompt column, or holds null there",
    "no_query": "the row has no query: missing, null, not text, or blank",
    "not_an_object": "the line is JSON, but not an object",
    "not_text": "the prompt is a number, a list or another thing that is not text",
    "query_equals_prompt": "query and prompt are equal but for case and white space",
    "query_too_long": "the query has more than max_chars characters",
    "too_long": "the prompt has more than max_chars characters, or the row over MAX_ROW_BYTES",
    "wrong_number_of_columns": "the row has more or fewer fields than the header",
}

_CONTROL = "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"
_CONTROL_CHARACTER = re.compile(f"[{_CONTROL}]")
_VISIBLE_CHARACTER = re.compile(rf"[^\s{_CONTROL}]")

_QUERY_REASONS: dict[str | None, str] = {  # what a prompt's reasons are called for a query
    "control_characters_only": "no_query",
    "empty": "no_query",
    "not_text": "no_query",
    "too_long": "query_too_long",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """Which columns to read, and how much.

    prompt_column  name (any case); None: the first present of prompt, text, caption
    query_column   name (any case); None: `query` where the table has it
    max_chars      longer prompts and queries are dropped. 4,000 keeps the longest that image models
                   document (DALL-E 3's limit) and all but pastes of the prompts that people typed
    limit          read the first so many rows, kept and dropped together; None: all
    """

    prompt_column: str | None = None
    query_column: str | None = None
    max_chars: int = 4_000
    limit: int | None = None

    def __post_init__(self) -> None:
        for field in ("prompt_column", "query_column"):
            value = getattr(self, field)
            if value is not None and not value.strip():
                raise ValueError(f"{field} is blank: got {value!r}, expected a column's name")
        if (
            self.prompt_column is not None
            and self.query_column is not None
            and fold_name(self.prompt_column) == fold_name(self.query_column)
        ):
            raise ValueError(
                f"prompt_column and query_column are both {self.prompt_column!r}: "
                "expected two different columns"
            )
        if self.max_chars < 1:
            raise ValueError(f"max_chars must be at least 1, got {self.max_chars}")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be at least 1, or None for all rows, got {self.limit}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """What `open_table` found: the columns by the names they have in the file (.txt has none)."""

    path: Path
    format: str
    is_gzip: bool
    columns: tuple[str, ...]
    prompt_column: str | None
    query_column: str | None
    source_column: str | None
    licence_column: str | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SourceRow:
    """One row of the table. `reason` None: kept; else a key of `REASONS`."""

    line: int  # where the row starts, from 1; in a parquet file the row's number, from 1
    prompt: str  # as it stands in the file; "" where the row was dropped before it was found
    query: str | None
    source: str
    licence: str
    reason: str | None


def open_table(path: Path, config: SourceConfig) -> Table:
    """Check a file of prompts and find its columns, before a row is read.

    A gzipped file is decompressed once to the end, so that a truncated one is known now.

    Example:
      a.csv "Prompt,query"   -> format "csv", prompt_column "Prompt", query_column "query"
      b.tsv "text\tcaption"  -> format "tsv", prompt_column "text",   query_column None
      c.txt                  -> format "txt", prompt_column None,     query_column None

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: a folder, an unknown suffix, not what the suffix says, nothing in it, or no
        prompt column (or not the one named).
    """
    suffix, is_gzip = split_suffix(path)
    check_file(path, is_gzip=is_gzip, is_text=suffix != ".parquet")
    kind = suffix.removeprefix(".")
    if kind == "txt":
        columns = None
    elif kind == "parquet":
        columns = _parquet_columns(path)
    elif kind == "jsonl":
        columns = _jsonl_columns(path, is_gzip=is_gzip)
    else:
        columns = _header_columns(path, kind, is_gzip=is_gzip)
    found = _choose_columns(path, columns, config)
    table = Table(path=path, format=kind, is_gzip=is_gzip, columns=tuple(columns or ()), **found)
    if kind == "parquet":
        _check_parquet_types(table)
    return table


def read_rows(table: Table, config: SourceConfig) -> Iterator[SourceRow]:
    r"""Read the rows in the file's order, in bounded memory: one out for every row in.

    Example (.jsonl)                            -> line prompt       query   reason
      {"prompt": "a red fox"}                      1    "a red fox"  None    None
      {"prompt": "a red                            2    ""           None    "broken_json"
      {"prompt": 7}                                3    ""           None    "not_text"
      {"prompt": " "}                              4    " "          None    "empty"
    Example (.csv)
      query,prompt
      love,"foxes,\nasleep"                2    "foxes,\nasleep"  "love"  None
      Love,love                            4    "love"             "Love"  "query_equals_prompt"
      ,a fox                               5    "a fox"            ""      "no_query"
      love                                 6    ""                 None    "wrong_number_of_columns"

    Raises:
      ValueError: the file cannot be read on (a torn gzip or parquet file changed since it was
        opened). What a single row holds raises nothing.
    """
    names: Names = (
        table.prompt_column,
        table.query_column,
        table.source_column,
        table.licence_column,
    )
    rows = read_cells(table.path, table.format, is_gzip=table.is_gzip, names=names)
    has_query = table.query_column is not None
    stem = file_stem(table.path)
    for line, cells, reason in itertools.islice(rows, config.limit):
        yield _judge(
            line, cells, reason, has_query=has_query, stem=stem, max_chars=config.max_chars
        )


def fingerprint(path: Path) -> str:
    """Return blake2b (16 bytes, as hex) of the file's bytes, read in pieces.

    Example:
      b"a red fox\\n" -> "df3617777d0a3f46f9c04f4f39032f29"
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


# ---- rows: what is kept -------------------------------------------------------------------------


def _judge(
    line: int, cells: Cells, reason: str | None, *, has_query: bool, stem: str, max_chars: int
) -> SourceRow:
    """Turn four cells into a row; a `reason` that is known already stands."""
    if reason is not None:
        return SourceRow(line=line, prompt="", query=None, source=stem, licence="", reason=reason)
    prompt, why_prompt = _as_text(cells[0], "no_prompt")
    source, why_source = _as_label(cells[2])
    licence, why_licence = _as_label(cells[3])
    query, why_query = None, None
    if why_prompt is None:
        why_prompt = _text_reason(prompt, max_chars)
    if has_query:
        query, why_query = _as_text(cells[1], "no_query")
        why_query = why_query or _text_reason(query, max_chars)
        if why_query is None and _fold_text(query) == _fold_text(prompt):
            why_query = "query_equals_prompt"
        why_query = _QUERY_REASONS.get(why_query, why_query)
    return SourceRow(
        line=line,
        prompt=prompt,
        query=query,
        source=source or stem,
        licence=licence,
        reason=why_prompt or why_query or why_source or why_licence,
    )


def _as_text(value: object, if_missing: str) -> tuple[str, str | None]:
    """Return (text, None), or ("", reason)."""
    if value is None:
        return "", if_missing
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8"), None
        except UnicodeDecodeError:
            return "", "bad_encoding"
    if not isinstance(value, str):
        return "", "not_text"
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:  # JSON's "\ud800" parses, but no file or shard can hold it
            return "", "bad_encoding"
    return value, None


def _as_label(value: object) -> tuple[str, str | None]:
    """Return a `source` or `licence` as stripped text; numbers are spelled out."""
    if isinstance(value, int | float):
        return str(value), None
    text, reason = _as_text(value, "")
    return text.strip(), reason if reason == "bad_encoding" else None


def _text_reason(text: str, max_chars: int) -> str | None:
    if len(text) > max_chars:
        return "too_long"
    if _VISIBLE_CHARACTER.search(text):
        return None
    return "control_characters_only" if _CONTROL_CHARACTER.search(text) else "empty"


def _fold_text(text: str) -> str:
    return " ".join(text.split()).casefold()


# ---- columns ------------------------------------------------------------------------------------


def _choose_columns(
    path: Path, columns: Sequence[str] | None, config: SourceConfig
) -> dict[str, str | None]:
    """Find the table's four columns among those of the file; None: the file has no columns."""
    found: dict[str, str | None] = dict.fromkeys(
        ("prompt_column", "query_column", "source_column", "licence_column")
    )
    if columns is None:  # .txt
        if config.prompt_column is not None or config.query_column is not None:
            raise ValueError(
                f"{path} is .txt, one prompt a line, and has no columns: got --prompt_column "
                f"{config.prompt_column!r}, --query_column {config.query_column!r}; leave both out"
            )
        return found
    prompt = _find_column(path, columns, config.prompt_column or PROMPT_NAMES, "prompt")
    query = _find_column(path, columns, config.query_column or QUERY_NAMES, "query")
    if prompt is None:
        likely = [c for c in columns if any(name in c.casefold() for name in PROMPT_NAMES)]
        example = (likely or [c for c in columns if c.strip()] or ["NAME"])[0]
        raise ValueError(
            f"{path} has no prompt column: its columns are {_show(columns)}; expected one of "
            f"{', '.join(PROMPT_NAMES)} (in any case), or name yours with --prompt_column, as in "
            f"--prompt_column {example[:60]!r}"
        )
    found["prompt_column"] = prompt
    found["query_column"] = query if query != prompt else None
    taken = (prompt, query)
    for field, names in (("source_column", SOURCE_NAMES), ("licence_column", LICENCE_NAMES)):
        name = _find_column(path, columns, names, field.split("_")[0])
        found[field] = None if name in taken else name
    return found


def _find_column(
    path: Path, columns: Sequence[str], wanted: str | Sequence[str], role: str
) -> str | None:
    """Find a column by the one name given (it must be there) or the first present of several."""
    for name in (wanted,) if isinstance(wanted, str) else wanted:
        exact = [c for c in columns if c == name]
        matches = exact or [c for c in columns if fold_name(c) == fold_name(name)]
        if len(matches) > 1:
            raise ValueError(
                f"{path} has {len(matches)} columns named {name!r} ({_show(matches)}): expected "
                f"one {role} column; rename the others"
            )
        if matches:
            return matches[0]
    if isinstance(wanted, str):
        raise ValueError(
            f"{path} has no column {wanted!r}: its columns are {_show(columns)}; give one of them "
            f"as --{role}_column"
        )
    return None


def _show(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name if len(name) <= 60 else name[:57] + "...") for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _jsonl_columns(path: Path, *, is_gzip: bool) -> list[str]:
    columns: dict[str, None] = {}
    num_objects = 0
    lines = read_lines(path, is_gzip=is_gzip)
    for _, text, reason in lines:
        record = parse_object(text) if reason is None else reason
        if isinstance(record, dict):
            columns.update(dict.fromkeys(record))
            num_objects += 1
    if not num_objects:
        raise ValueError(
            f"{path} has no JSON object in any line: expected one a "
            'line, {"prompt": "..."}; a JSON array or an indented file must be rewritten so'
        )
    return list(columns)


def _header_columns(path: Path, kind: str, *, is_gzip: bool) -> list[str]:
    records = read_records(read_lines(path, is_gzip=is_gzip), kind)
    header, first_row = next(records, None), next(records, None)
    if header is None:
        raise ValueError(f"{path} has no rows: expected a header line and a row for each prompt")
    line, columns, reason = header
    if reason is not None:
        raise ValueError(
            f"{path} has a header (line {line}) that cannot be read: got {reason} "
            f"({REASONS[reason]}); expected the columns' names"
        )
    if first_row is None:
        raise ValueError(
            f"{path} has a header ({_show(columns)}) and no rows: expected a row for each prompt"
        )
    return columns


def _parquet_columns(path: Path) -> list[str]:
    try:
        with pq.ParquetFile(path) as file:
            num_rows, names = file.metadata.num_rows, file.schema_arrow.names
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a readable parquet file: {error}") from error
    if not num_rows:
        raise ValueError(f"{path} has no rows (columns {_show(names)}): expected one a prompt")
    return names


def _check_parquet_types(table: Table) -> None:
    schema = pq.read_schema(table.path)
    for name in (table.prompt_column, table.query_column):
        if name is not None and not is_text_type(schema.field(name).type):
            raise ValueError(
                f"{table.path} has column {name!r} of type {schema.field(name).type}: expected "
                "text (string, or UTF-8 binary); name another with --prompt_column or "
                "--query_column"
            )
