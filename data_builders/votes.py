"""Pictures that a crowd voted on, in a SQLite file: the CrowdSourced half of arXiv:2312.16720.

One table with the columns `prompt`, `image` (the picture's bytes, or its path from the file's
folder) and `votes` (a number: those for it, less those against it); `source` and `licence` are
taken along where they are there. Names in any case; other columns and tables are left alone.
"""

import contextlib
import dataclasses
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from data_builders.archive import ImageRow
from data_builders.sidecar import Said, read_fields

SUFFIXES = frozenset((".db", ".sqlite", ".sqlite3"))
NEEDED = ("prompt", "image", "votes")
TAKEN = ("source", "licence", "license")
PAGE, BUSY_SECS = 4096, 60.0
REASONS = {
    "few_votes": "fewer votes than ImageSourceConfig.min_votes",
    "no_votes": "votes is no number",
}


def find_table(path: Path) -> tuple[str, dict[str, str]]:
    """Return the table of votes, quoted, and its columns by their names in lower case.

    Raises ValueError for a file that is no SQLite file, and where no table has the columns and row
    ids; OSError where another program keeps it locked.
    """
    seen = []
    with _open(path) as file:
        query = "SELECT name, wr FROM pragma_table_list WHERE type = 'table' AND schema = 'main'"
        tables = [row for row in _read(path, file, query) if not row[0].startswith(b"sqlite_")]
        for name, has_no_rowid in sorted(tables):
            columns = _read(path, file, "SELECT name FROM pragma_table_info(?)", (name.decode(),))
            found = {column.decode().lower(): _quote(column.decode()) for (column,) in columns}
            if set(NEEDED) <= set(found) and not has_no_rowid:
                return _quote(name.decode()), found
            seen.append(f"{name.decode()} ({', '.join(sorted(found))})")
    raise ValueError(
        f"{path} has no table of votes: its tables are {'; '.join(seen) or 'none'}; expected one "
        f"with row ids and the columns {', '.join(NEEDED)}"
    )


def count_votes(path: Path) -> int:
    """Return how many rows a file has; raises ValueError where it cannot be used."""
    table, _ = find_table(path)
    with _open(path) as file:
        return _read(path, file, f"SELECT COUNT(*) FROM {table}")[0][0]


def vote_rows(root: Path, name: str, min_votes: float) -> Iterator[ImageRow]:
    """Yield the rows of a file in the order of their row ids, without a picture's bytes.

    The file is open for PAGE rows at a time, so that votes can be cast meanwhile.
    """
    path = root / name
    table, columns = find_table(path)
    taken = [column for column in TAKEN if column in columns]
    image = columns["image"]
    wanted = ["rowid", columns["prompt"], columns["votes"], f"typeof({image})"]
    wanted.append(f"CASE typeof({image}) WHEN 'text' THEN {image} END")
    wanted += [columns[column] for column in taken]
    query = f"SELECT {', '.join(wanted)} FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT {PAGE}"
    last = -(2**63)
    while True:
        with _open(path) as file:
            rows = _read(path, file, query, (last,))
        for number, prompt, votes, kind, place, *fields in rows:
            said = read_fields({"prompt": prompt, **dict(zip(taken, fields, strict=True))})
            row = ImageRow(id=f"{name}:{number}", file=name, index=number)
            yield _make_row(row, root, said, _judge(votes, min_votes), kind, place)
        if len(rows) < PAGE:
            return
        last = rows[-1][0]


def _judge(votes: object, min_votes: float) -> str | None:
    """Return why a row goes for its votes, or None."""
    if not isinstance(votes, int | float):
        return "no_votes"
    return "few_votes" if votes < min_votes else None


def _make_row(
    row: ImageRow,
    root: Path,
    said: Said | str,
    reason: str | None,
    kind: bytes,
    place: bytes | None,
) -> ImageRow:
    if isinstance(said, str):
        return dataclasses.replace(row, reason=reason or said)
    row = dataclasses.replace(row, said=said, reason=reason)
    if kind == b"blob" or reason is not None:
        return row
    try:
        file = (place or b"").decode()
        path = (root / file).resolve()
        if kind == b"text" and path.is_file() and path.is_relative_to(root.resolve()):
            size = path.stat().st_size
            return dataclasses.replace(row, file=file, index=-1, num_bytes=size)
    except (OSError, ValueError):  # a name that no file can have
        pass
    return dataclasses.replace(row, reason="no_file")


class VotedImages:
    """Reads pictures out of files of votes; which table has them is found once a file."""

    def __init__(self, root: Path):
        self.root = root
        self._queries: dict[str, str] = {}

    def read(self, name: str, number: int) -> bytes | None:
        """Return the picture of a row, None where there is none."""
        path = self.root / name
        if name not in self._queries:
            table, columns = find_table(path)
            self._queries[name] = f"SELECT {columns['image']} FROM {table} WHERE rowid = ?"
        with _open(path) as file:
            rows = _read(path, file, self._queries[name], (number,))
        return rows[0][0] if rows else None


def _open(path: Path) -> contextlib.closing[sqlite3.Connection]:
    """Open a file for reading; texts come as bytes: one that is not UTF-8 is a row's fault."""
    file = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECS)
    file.text_factory = bytes
    return contextlib.closing(file)


def _read(path: Path, file: sqlite3.Connection, query: str, values: tuple = ()) -> list[tuple]:
    """Return all rows of a query. Raises ValueError for no SQLite file, else OSError."""
    try:
        return file.execute(query, values).fetchall()
    except sqlite3.OperationalError as error:  # locked, gone, a disk that fails
        raise OSError(f"{path} cannot be read now: {error}") from error
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path} is not a readable SQLite file: {error}") from error


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
