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
REASONS = {
    "few_votes": "fewer votes than ImageSourceConfig.min_votes",
    "no_votes": "votes is no number",
}


def find_table(path: Path) -> tuple[str, dict[str, str]]:
    """Return the table of votes, quoted, and its columns by their names in lower case.

    Raises ValueError for a file that is no SQLite file, and where no table has the columns.
    """
    seen = []
    try:
        with _open(path) as file:
            names = file.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
            )
            for (name,) in names.fetchall():
                columns = file.execute(f"PRAGMA table_info({_quote(name)})").fetchall()
                found = {column[1].lower(): _quote(column[1]) for column in columns}
                if set(NEEDED) <= set(found):
                    return _quote(name), found
                seen.append(f"{name} ({', '.join(sorted(found))})")
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path} is not a readable SQLite file: {error}") from error
    raise ValueError(
        f"{path} has no table of votes: its tables are {'; '.join(seen) or 'none'}; expected one "
        f"with the columns {', '.join(NEEDED)}"
    )


def count_votes(path: Path) -> int:
    """Return how many rows a file has; raises ValueError where it cannot be used."""
    table, _ = find_table(path)
    with _open(path) as file:
        return file.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]


def vote_rows(root: Path, name: str, min_votes: float) -> Iterator[ImageRow]:
    """Yield the rows of a file in the order of their row ids, without a picture's bytes."""
    path = root / name
    table, columns = find_table(path)
    taken = [column for column in TAKEN if column in columns]
    wanted = ["rowid", columns["prompt"], columns["votes"], f"typeof({columns['image']})"]
    wanted.append(f"CASE typeof({columns['image']}) WHEN 'text' THEN {columns['image']} END")
    wanted += [columns[column] for column in taken]
    with _open(path) as file:
        rows = file.execute(f"SELECT {', '.join(wanted)} FROM {table} ORDER BY rowid")
        for number, prompt, votes, kind, place, *fields in rows:
            said = read_fields({"prompt": prompt, **dict(zip(taken, fields, strict=True))})
            row = ImageRow(id=f"{name}:{number}", file=name, index=number)
            yield _make_row(row, root, said, _judge(votes, min_votes), kind, place)


def _judge(votes: object, min_votes: float) -> str | None:
    """Return why a row goes for its votes, or None."""
    if not isinstance(votes, int | float):
        return "no_votes"
    return "few_votes" if votes < min_votes else None


def _make_row(
    row: ImageRow, root: Path, said: Said | str, reason: str | None, kind: str, place: str | None
) -> ImageRow:
    if isinstance(said, str):
        return dataclasses.replace(row, reason=reason or said)
    row = dataclasses.replace(row, said=said, reason=reason)
    if kind == "blob" or reason is not None:
        return row
    path = (root / (place or "")).resolve()
    if kind != "text" or not path.is_file() or not path.is_relative_to(root.resolve()):
        return dataclasses.replace(row, reason="no_file")
    return dataclasses.replace(row, file=str(place), index=-1, num_bytes=path.stat().st_size)


def read_voted_image(path: Path, number: int) -> bytes | None:
    """Return the picture of a row, None where there is none."""
    table, columns = find_table(path)
    with _open(path) as file:
        query = f"SELECT {columns['image']} FROM {table} WHERE rowid = ?"
        row = file.execute(query, (number,)).fetchone()
    return None if row is None else row[0]


def _open(path: Path) -> contextlib.closing[sqlite3.Connection]:
    """Open a file for reading: a page that adds votes meanwhile goes on."""
    return contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True))


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
