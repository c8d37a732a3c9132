r"""Read the cells of a table's rows: each row comes out, or the reason why it does not.

Knows files and their traps. Knows nothing of which columns are wanted, nor what is good in them.

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
import gzip
import io
import json
import re
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SUFFIXES = (".jsonl", ".csv", ".tsv", ".txt", ".parquet")
MAX_ROW_BYTES = 1 << 20  # a prompt may share its row with an embedding or a thumbnail
MAX_RECORD_LINES = 100
CHUNK_BYTES = 1 << 20
BATCH_ROWS = 4_096

Line = tuple[int, str, str | None]  # number, text with its line end, reason
Record = tuple[int, list[str], str | None]  # line where it starts, fields, reason
Cells = tuple[object, object, object, object]  # prompt, query, source, licence
CellRow = tuple[int, Cells, str | None]  # line where it starts (parquet: row number), cells, reason
Names = tuple[str | None, str | None, str | None, str | None]  # the cells' columns in the file

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_GZIP_MARK = b"\x1f\x8b"
_QUOTED_FIELD = re.compile(r'"(?:[^"]|"")*"')
_NO_CELLS: Cells = (None, None, None, None)


def read_cells(path: Path, kind: str, *, is_gzip: bool, names: Names) -> Iterator[CellRow]:
    r"""Read the four cells of every row, in the file's order; `kind` is the suffix without its dot.

    Example (.csv, names ("prompt", None, "source", None))
      source,prompt
      web,a red fox   -> (2, ("a red fox", None, "web", None), None)
      web             -> (3, (None, None, None, None), "wrong_number_of_columns")

    Raises:
      ValueError: the file cannot be read on: it is a torn gzip or parquet file.
    """
    if kind == "parquet":
        return _parquet_cells(path, names)
    lines = read_lines(path, is_gzip=is_gzip)
    if kind == "jsonl":
        return _jsonl_cells(lines, names)
    if kind == "txt":
        return ((n, (text.rstrip("\r\n"), None, None, None), why) for n, text, why in lines)
    return _field_cells(read_records(lines, kind), names)


# ---- files and lines ----------------------------------------------------------------------------


def split_suffix(path: Path) -> tuple[str, bool]:
    """Return the suffix without .gz, and whether there is one: "A.CSV.gz" -> (".csv", True)."""
    name = path.name.lower()
    is_gzip = name.endswith(".gz")
    suffix = Path(name.removesuffix(".gz")).suffix
    return suffix, is_gzip


def file_stem(path: Path) -> str:
    """Return the name without its suffixes: "my.set.csv.gz" -> "my.set"."""
    return Path(path.name[:-3]).stem if path.name.lower().endswith(".gz") else path.stem


def check_file(path: Path, *, is_gzip: bool, is_text: bool) -> None:
    """Check that a file is there and holds what its name says; a gzipped one is read to its end.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: a folder, an unknown suffix, not what the suffix says, UTF-16, or nothing in it.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder: expected a file of prompts; give a file inside it")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}: check the path (from {Path.cwd()})")
    suffix, _ = split_suffix(path)
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


def read_lines(path: Path, *, is_gzip: bool) -> Iterator[Line]:
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


def _decode_line(number: int, raw: bytes) -> Line:
    if len(raw) > MAX_ROW_BYTES:
        return number, "", "too_long"
    try:
        return number, raw.decode("utf-8"), None
    except UnicodeDecodeError:  # the text still shows a CSV reader where its quotes are
        return number, raw.decode("utf-8", "surrogateescape"), "bad_encoding"


# ---- cells: one reader a format -----------------------------------------------------------------


def parse_object(text: str) -> dict[str, object] | str:
    """Return the JSON object in a line, or the reason why there is none."""
    if not text.strip():
        return "empty"
    try:
        record = json.loads(text, strict=False)  # strict=False: raw control characters are data
    except (ValueError, RecursionError):  # ValueError too for a number of over 4,300 digits
        return "broken_json"
    return record if isinstance(record, dict) else "not_an_object"


def _jsonl_cells(lines: Iterator[Line], names: Names) -> Iterator[CellRow]:
    for number, text, reason in lines:
        record = parse_object(text) if reason is None else reason
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
    folded = fold_name(name)
    return next((value for key, value in record.items() if fold_name(key) == folded), None)


def _field_cells(records: Iterator[Record], names: Names) -> Iterator[CellRow]:
    columns = next(records)[1]
    places = [None if name is None else columns.index(name) for name in names]
    for line, fields, reason in records:
        if reason is not None:
            yield line, _NO_CELLS, reason
        else:
            prompt, query, source, licence = (None if p is None else fields[p] for p in places)
            yield line, (prompt, query, source, licence), None


def read_records(lines: Iterator[Line], kind: str) -> Iterator[Record]:
    """Yield the header (the first line that is not blank), then every row."""
    records = _read_csv(lines) if kind == "csv" else _read_tsv(lines)
    header = next((record for record in records if record[2] != "empty"), None)
    if header is None:
        return
    yield header
    yield from records


def _read_tsv(lines: Iterator[Line]) -> Iterator[Record]:
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


def _read_csv(lines: Iterator[Line]) -> Iterator[Record]:
    """Parse CSV so that one stray quote costs one line (see the module's text)."""
    # The csv module's limit (131,072 characters a field) belongs to the process: raised, never cut.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_BYTES))
    waiting: deque[Line] = deque()  # read already, not yet in a row
    taken: list[Line] = []  # of the row being parsed

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


def _parquet_cells(path: Path, names: Names) -> Iterator[CellRow]:
    wanted = [name for name in names if name is not None]
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
                nothing = [None] * batch.num_rows
                values = [nothing if n is None else _to_list(batch.column(n)) for n in names]
                for prompt, query, source, licence in zip(*values, strict=True):
                    number += 1
                    yield number, (prompt, query, source, licence), None
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} cannot be read after row {number}: {error}") from error


def _to_list(column: pa.Array) -> list[object]:
    """Return text as bytes, so that a value which is not UTF-8 is one bad row, not a bad file."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if is_text_type(column.type):
        column = column.cast(pa.large_binary())
    return column.to_pylist()


def is_text_type(kind: pa.DataType) -> bool:
    """Tell whether a parquet column holds text: strings, bytes or nothing but nulls."""
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


def fold_name(name: str) -> str:
    """Return what two columns' names share that differ in case only: " Prompt" -> "prompt"."""
    return name.strip().casefold()
