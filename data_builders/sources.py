r"""Read a table of prompts row by row: every row comes out, kept or dropped with its reason.

Knows files and their traps. Knows nothing of captions, flavors, prefixes or what a good prompt is.

  .jsonl    one JSON object a line
  .csv      comma, header line, "quoted" fields (`""` inside) which may hold line breaks
  .tsv      tab, header line, a line is always a row. A field that is wholly well quoted
            (`"a ""red"" fox"`) is unquoted; every other quote character is literal
  .txt      one prompt a line, no columns
  .parquet  a string (or UTF-8 binary) column, read batch by batch
The first four may be gzipped (`.csv.gz`). Text is UTF-8, with or without a byte order mark. A line
ends at `\n`, `\r\n` or `\r`; a line break at the very end of the file opens no row.

Memory is bounded whatever the file holds: a line above `MAX_ROW_BYTES` is dropped while it is read,
and a quoted CSV field may span `MAX_RECORD_LINES` lines. Where a quote does not close by then (or
closes badly, or gives a wrong number of columns), only the line that opened it is dropped, as
`broken_quotes`, and reading goes on at the next line: a stray quote cannot swallow the file.
"""

import csv
import dataclasses
import gzip
import hashlib
import io
import itertools
import json
import re
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PROMPT_NAMES = ("prompt", "text", "caption")  # in order of precedence
QUERY_NAMES = ("query",)
SOURCE_NAMES = ("source",)
LICENCE_NAMES = ("licence", "license")
SUFFIXES = (".jsonl", ".csv", ".tsv", ".txt", ".parquet")
MAX_ROW_BYTES = 1 << 20  # a prompt may share its row with an embedding or a thumbnail
MAX_RECORD_LINES = 100
NUM_SCANNED_ROWS = 1_000  # JSONL has no header: its columns are the keys seen in these rows
CHUNK_BYTES = 1 << 20
BATCH_ROWS = 4_096

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

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_GZIP_MARK = b"\x1f\x8b"
_CONTROL = "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"
_CONTROL_CHARACTER = re.compile(f"[{_CONTROL}]")
_VISIBLE_CHARACTER = re.compile(rf"[^\s{_CONTROL}]")
_QUOTED_FIELD = re.compile(r'"(?:[^"]|"")*"')

_Line = tuple[int, str, str | None]  # number, text with its line end, reason
_Record = tuple[int, list[str], str | None]  # line where it starts, fields, reason
_Cells = tuple[object, object, object, object]  # prompt, query, source, licence
_QUERY_REASONS: dict[str | None, str] = {  # what a prompt's reasons are called for a query
    "control_characters_only": "no_query",
    "empty": "no_query",
    "not_text": "no_query",
    "too_long": "query_too_long",
}
_NO_CELLS: _Cells = (None, None, None, None)


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
        if self.prompt_column is not None and self.query_column is not None:
            if _fold(self.prompt_column) == _fold(self.query_column):  # noqa: SIM102
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
    suffix, is_gzip = _split_suffix(path)
    _check_file(path, is_gzip=is_gzip, is_text=suffix != ".parquet")
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
    if table.format == "parquet":
        cells = _parquet_cells(table)
    else:
        lines = _read_lines(table.path, is_gzip=table.is_gzip)
        if table.format == "jsonl":
            cells = _jsonl_cells(lines, table)
        elif table.format == "txt":
            cells = ((n, (text.rstrip("\r\n"), None, None, None), why) for n, text, why in lines)
        else:
            cells = _field_cells(_read_records(lines, table.format), table)
    has_query = table.query_column is not None
    stem = _stem(table.path)
    for line, row_cells, reason in itertools.islice(cells, config.limit):
        yield _judge(
            line, row_cells, reason, has_query=has_query, stem=stem, max_chars=config.max_chars
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
    line: int, cells: _Cells, reason: str | None, *, has_query: bool, stem: str, max_chars: int
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


# ---- files and lines ----------------------------------------------------------------------------


def _split_suffix(path: Path) -> tuple[str, bool]:
    name = path.name.lower()
    is_gzip = name.endswith(".gz")
    suffix = Path(name.removesuffix(".gz")).suffix
    return suffix, is_gzip


def _stem(path: Path) -> str:
    return Path(path.name[:-3]).stem if path.name.lower().endswith(".gz") else path.stem


def _check_file(path: Path, *, is_gzip: bool, is_text: bool) -> None:
    if path.is_dir():
        raise ValueError(f"{path} is a folder: expected a file of prompts; give a file inside it")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}: check the path (from {Path.cwd()})")
    suffix, _ = _split_suffix(path)
    if suffix not in SUFFIXES or (is_gzip and not is_text):
        raise ValueError(
            f"{path.name} has an unknown suffix, got {''.join(path.suffixes[-2:])!r}: expected "
            f"one of {' '.join(SUFFIXES)} (all but .parquet also with .gz); convert or rename it"
        )
    with path.open("rb") as file:
        mark = file.read(2)
    if not mark:
        raise ValueError(f"{path} is empty (0 bytes): expected a row for each prompt")
    if is_gzip and mark != _GZIP_MARK:
        raise ValueError(f"{path} is not a gzip file in spite of its name: remove .gz from it")
    if is_text and not is_gzip and mark == _GZIP_MARK:
        raise ValueError(f"{path} is gzipped: name it {path.name}.gz")
    if is_text:
        with _open_bytes(path, is_gzip=is_gzip) as file:
            mark = _read_chunk(file, path)[:4]
            while is_gzip and _read_chunk(file, path):
                pass
        if mark[:2] in _UTF16_MARKS:
            raise ValueError(f"{path} is UTF-16 text: expected UTF-8; save it again as UTF-8")
        if mark in (b"", b"\xef\xbb\xbf"):
            raise ValueError(f"{path} has no text in it: expected a row for each prompt")


def _open_bytes(path: Path, *, is_gzip: bool) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path, "rb") if is_gzip else path.open("rb")


def _read_chunk(file: gzip.GzipFile | io.BufferedReader, path: Path) -> bytes:
    try:
        return file.read(CHUNK_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{path} is a truncated or damaged gzip file ({error}): fetch or write it again"
        ) from error


def _read_lines(path: Path, *, is_gzip: bool) -> Iterator[_Line]:
    """Yield (number, text with its line end, reason), the reason bad_encoding, too_long or None."""
    number, tail = 1, b""
    with _open_bytes(path, is_gzip=is_gzip) as file:
        while True:
            chunk = _read_chunk(file, path)
            pieces = (tail + chunk).splitlines(keepends=True)  # bytes: \n, \r\n and \r, no others
            # The last piece may go on in the next chunk, even after "\r": a "\n" may follow.
            is_open = bool(chunk) and not pieces[-1].endswith(b"\n")
            tail = pieces.pop() if is_open else b""
            if len(tail) > MAX_ROW_BYTES:
                tail = tail[:MAX_ROW_BYTES] + tail[-1:]  # still too long, and keeps a final "\r"
            for raw in pieces:
                if number == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                yield _decode_line(number, raw)
                number += 1
            if not chunk:
                return


def _decode_line(number: int, raw: bytes) -> _Line:
    if len(raw) > MAX_ROW_BYTES:
        return number, "", "too_long"
    try:
        return number, raw.decode("utf-8"), None
    except UnicodeDecodeError:  # the text still shows a CSV reader where its quotes are
        return number, raw.decode("utf-8", "surrogateescape"), "bad_encoding"


# ---- columns ------------------------------------------------------------------------------------


def _fold(name: str) -> str:
    return name.strip().casefold()


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
        matches = exact or [c for c in columns if _fold(c) == _fold(name)]
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
    lines = _read_lines(path, is_gzip=is_gzip)
    for _, text, reason in itertools.islice(lines, NUM_SCANNED_ROWS):
        record = _parse_object(text) if reason is None else reason
        if isinstance(record, dict):
            columns.update(dict.fromkeys(record))
            num_objects += 1
    if not num_objects:
        raise ValueError(
            f"{path} has no JSON object in its first {NUM_SCANNED_ROWS:,} lines: expected one a "
            'line, {"prompt": "..."}; a JSON array or an indented file must be rewritten so'
        )
    return list(columns)


def _header_columns(path: Path, kind: str, *, is_gzip: bool) -> list[str]:
    records = _read_records(_read_lines(path, is_gzip=is_gzip), kind)
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
        if name is not None and not _is_text_type(schema.field(name).type):
            raise ValueError(
                f"{table.path} has column {name!r} of type {schema.field(name).type}: expected "
                "text (string, or UTF-8 binary); name another with --prompt_column or "
                "--query_column"
            )


def _is_text_type(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(
        is_kind(kind)
        for is_kind in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_binary_view,
            pa.types.is_null,
        )
    )


# ---- cells: one reader a format -----------------------------------------------------------------


def _parse_object(text: str) -> dict[str, object] | str:
    """Return the JSON object in a line, or the reason why there is none."""
    if not text.strip():
        return "empty"
    try:
        record = json.loads(text, strict=False)  # strict=False: raw control characters are data
    except (ValueError, RecursionError):  # ValueError too for a number of over 4,300 digits
        return "broken_json"
    return record if isinstance(record, dict) else "not_an_object"


def _jsonl_cells(lines: Iterator[_Line], table: Table) -> Iterator[tuple[int, _Cells, str | None]]:
    names = (table.prompt_column, table.query_column, table.source_column, table.licence_column)
    for number, text, reason in lines:
        record = _parse_object(text) if reason is None else reason
        if isinstance(record, str):
            yield number, _NO_CELLS, record
        else:
            prompt, query, source, licence = (_value(record, name) for name in names)
            yield number, (prompt, query, source, licence), None


def _value(record: dict[str, object], name: str | None) -> object:
    if name is None:
        return None
    if name in record:
        return record[name]
    folded = _fold(name)
    return next((value for key, value in record.items() if _fold(key) == folded), None)


def _field_cells(
    records: Iterator[_Record], table: Table
) -> Iterator[tuple[int, _Cells, str | None]]:
    names = (table.prompt_column, table.query_column, table.source_column, table.licence_column)
    columns = next(records)[1]
    places = [None if name is None else columns.index(name) for name in names]
    for line, fields, reason in records:
        if reason is not None:
            yield line, _NO_CELLS, reason
        else:
            prompt, query, source, licence = (None if p is None else fields[p] for p in places)
            yield line, (prompt, query, source, licence), None


def _read_records(lines: Iterator[_Line], kind: str) -> Iterator[_Record]:
    """Yield the header (the first line that is not blank), then every row."""
    records = _read_csv(lines) if kind == "csv" else _read_tsv(lines)
    header = next((record for record in records if record[2] != "empty"), None)
    if header is None:
        return
    yield header
    yield from records


def _read_tsv(lines: Iterator[_Line]) -> Iterator[_Record]:
    num_columns = 0
    for number, text, reason in lines:
        fields = [_unquote(field) for field in text.rstrip("\r\n").split("\t")]
        reason = reason or _fields_reason(fields, num_columns)
        num_columns = num_columns or (reason is None and len(fields))
        yield number, fields, reason


def _unquote(field: str) -> str:
    is_quoted = len(field) > 1 and _QUOTED_FIELD.fullmatch(field) is not None
    return field[1:-1].replace('""', '"') if is_quoted else field


def _fields_reason(fields: list[str], num_columns: int) -> str | None:
    if not fields or (len(fields) == 1 and not fields[0].strip()):
        return "empty"
    return "wrong_number_of_columns" if num_columns and len(fields) != num_columns else None


def _read_csv(lines: Iterator[_Line]) -> Iterator[_Record]:
    """Parse CSV so that one stray quote costs one line (see the module's text)."""
    # The csv module's limit (131,072 characters a field) belongs to the process: raised, never cut.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_BYTES))
    waiting: deque[_Line] = deque()  # read already, not yet in a row
    taken: list[_Line] = []  # of the row being parsed

    def feed() -> Iterator[str]:
        while len(taken) < MAX_RECORD_LINES:
            line = waiting.popleft() if waiting else next(lines, None)
            if line is None:
                return
            if line[2] == "too_long" and taken:
                waiting.appendleft(line)
                return
            taken.append(line)
            yield line[1]

    reader = csv.reader(feed(), strict=True)
    num_columns = 0
    while True:
        taken.clear()
        try:
            fields = next(reader)
            reason = _fields_reason(fields, num_columns)
            if len(taken) > 1 and reason is not None:
                reason = "broken_quotes"
        except StopIteration:
            return
        except csv.Error:
            fields, reason = [], "broken_quotes"
            reader = csv.reader(feed(), strict=True)
        if reason == "broken_quotes":
            waiting.extendleft(reversed(taken[1:]))
            del taken[1:]
        # What is wrong with the bytes comes first: it tells more than what followed from it.
        reason = next((line[2] for line in taken if line[2] is not None), reason)
        num_columns = num_columns or (reason is None and len(fields))
        yield taken[0][0], fields, reason


def _parquet_cells(table: Table) -> Iterator[tuple[int, _Cells, str | None]]:
    names = (table.prompt_column, table.query_column, table.source_column, table.licence_column)
    wanted = [name for name in names if name is not None]
    number = 0
    try:
        with pq.ParquetFile(table.path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
                nothing = [None] * batch.num_rows
                values = [nothing if n is None else _to_list(batch.column(n)) for n in names]
                for prompt, query, source, licence in zip(*values, strict=True):
                    number += 1
                    yield number, (prompt, query, source, licence), None
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{table.path} cannot be read after row {number}: {error}") from error


def _to_list(column: pa.Array) -> list[object]:
    """Return text as bytes, so that a value which is not UTF-8 is one bad row, not a bad file."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if _is_text_type(column.type):
        column = column.cast(pa.large_binary())
    return column.to_pylist()
