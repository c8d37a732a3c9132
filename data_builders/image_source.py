"""Where the builder's images come from: a folder, WebDataset tars, Parquet files, or one of these.

  folder    every file in it and below is a row, save sidecars (`sidecar.py`), what is hidden and
            what says what it is: README*, LICENSE*, LICENCE*, NOTICE*, PROVENANCE*, *.md. So what
            is no image is dropped and counted where it is decoded, and nothing goes unseen
  tars      a folder with .tar files, or one .tar, as WebDataset and img2dataset write them
  Parquet   a folder with .parquet files that hold images, or one such file
  votes     one SQLite file (.sqlite .sqlite3 .db) of prompts, images and votes (`votes.py`)
Of one folder, one of the three: images beside tars, say, are an error. What img2dataset writes
beside its shards (00000.parquet with 00000.tar or 00000/, 00000_stats.json) is no source of rows.

Rows come with their captions and without pixels; `image_reader.ImageReader` reads those.
"""

import dataclasses
import hashlib
import itertools
import os
import posixpath
import re
import stat
import sys
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from data_builders import archive, sidecar, votes
from data_builders.archive import IMAGE_SUFFIXES, ImageRow, Piece, make_rows
from data_builders.image_survey import EXPECTED, enter, list_folder, split_name, survey
from data_builders.sidecar import FOLDER_SIDECARS, NOTHING, Said, read_folder_sidecars
from data_builders.sources import fingerprint
from data_builders.table_format import MAX_ROW_BYTES
from pe.records import content_hash

REASONS = archive.REASONS | sidecar.REASONS | votes.REASONS

ROW_TYPE = pa.struct(
    [
        ("id", pa.string()),  # sub/a.jpg  00000.tar/000001.jpg  part-0.parquet:17
        ("file", pa.string()),  # the one that holds the bytes, from the source's root
        ("offset", pa.int64()),  # bytes; -1 where the image is the whole file
        ("num_bytes", pa.int64()),  # -1 in Parquet, where only reading would tell
        ("index", pa.int64()),  # the row in Parquet, from 0; else -1
        ("caption", pa.string()),
        ("prompt", pa.string()),
        ("source", pa.string()),
        ("licence", pa.string()),
        ("reason", pa.string()),
    ]
)

CHOICES, CROWD = ("first", "longest"), "crowd"
_ABOUT = re.compile(r"(readme|licen[cs]e|notice|provenance)([._-].*)?|.*\.md", re.IGNORECASE)

Observe = Callable[[str], object]  # is told of every file that counts: name, bytes, mtime_ns


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSourceConfig:
    """How images are listed.

    caption_choice  of several captions: "first" or "longest"
    source          what to call images whose sidecar names no source; "": the folder's name, and
                    "crowd" for votes
    min_votes       of rows of votes that are kept
    limit           list the first so many rows, kept and dropped together; None: all
    """

    caption_choice: str = "first"
    source: str = ""
    min_votes: float = 1.0
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.caption_choice not in CHOICES:
            raise ValueError(
                f"ImageSourceConfig.caption_choice: got {self.caption_choice!r}, expected one of "
                f"{', '.join(CHOICES)}"
            )
        if self.limit is not None and self.limit < 1:
            raise ValueError(
                f"ImageSourceConfig.limit: got {self.limit}, expected 1 or more, or None for all"
            )


class ImageSource:
    """The images under a path, cut into shards of rows.

    `key` hashes the names, sizes and times of change of what is listed, the bytes of lists of
    captions, and the config. `num_rows` is None for tars, which tell it only when they are read.
    """

    def __init__(self, path: Path, config: ImageSourceConfig, *, shard_rows: int):
        """Survey what is at the path; nothing is decoded.

        Raises:
          FileNotFoundError: there is nothing at the path.
          ValueError: nothing in it could be an image, two kinds of source at once, a gzipped tar,
            a Parquet file that is broken or has no column of images.
        """
        if not path.exists():
            raise FileNotFoundError(f"there is nothing at {path}: {EXPECTED}")
        self.config = config
        self.shard_rows = shard_rows
        self.root = path if path.is_dir() else path.parent
        self.name = config.source or (path.resolve().name if path.is_dir() else path.stem)
        self.kind, self.files = survey(path)
        if self.kind == "votes" and not config.source:
            self.name = CROWD
        digest = hashlib.blake2b(digest_size=16)

        def observe(fact: str) -> None:
            digest.update(fact.encode("utf-8", "surrogateescape"))

        self.num_rows = self._count_rows(observe)
        is_empty = self.num_rows == 0
        if self.num_rows is None:
            is_empty = next(self._rows(), None) is None
        if is_empty:
            raise ValueError(f"{path} holds no image: {EXPECTED}")
        parts = (self.kind, self.name, digest.hexdigest(), repr(config), str(shard_rows))
        self.key = content_hash("images", *parts)

    def tables(self, done: Container[int]) -> Iterator[tuple[int, pa.Table | None]]:
        """Yield (shard, table of one column `row`); None for shards that are `done`."""
        rows = self._rows()
        for index in itertools.count():
            chunk = list(itertools.islice(rows, self.shard_rows))
            if not chunk:
                return
            yield index, None if index in done else self._make_table(chunk)

    def _count_rows(self, observe: Observe) -> int | None:
        if self.kind in ("folder", "file"):
            return sum(1 for _ in self._rows(observe))
        for file in self.files:
            observe(_fact(file, (self.root / file).stat()))
        if self.kind == "tars":
            return None
        count_one = votes.count_votes if self.kind == "votes" else archive.count_parquet_rows
        count = sum(count_one(self.root / file) for file in self.files)
        return min(count, self.config.limit or count)

    def _rows(self, observe: Observe = lambda fact: None) -> Iterator[ImageRow]:
        if self.kind in ("folder", "file"):
            only = self.files[0] if self.kind == "file" else None
            rows = _folder_rows(self.root, "", (), frozenset(), observe, only)
        elif self.kind == "votes":
            rows = votes.vote_rows(self.root, self.files[0], self.config.min_votes)
        else:
            read = archive.tar_rows if self.kind == "tars" else archive.parquet_rows
            rows = (row for file in self.files for row in read(self.root, file))
        return itertools.islice(rows, self.config.limit)

    def _make_table(self, rows: list[ImageRow]) -> pa.Table:
        return pa.table({"row": pa.array([self._make_row(row) for row in rows], ROW_TYPE)})

    def _make_row(self, row: ImageRow) -> dict[str, Any]:
        """Read what is said of an image and put its row together."""
        said, reason = read_sidecars(self.root, row)
        if not (row.id.isascii() or _is_text(row.id)):
            reason = "bad_encoding"
        return {
            "id": _show(row.id),
            "file": _show(row.file),
            "offset": row.offset,
            "num_bytes": row.num_bytes,
            "index": row.index,
            "caption": sidecar.choose_caption(said.captions, self.config.caption_choice),
            "prompt": said.prompt,
            "source": said.source or self.name,
            "licence": said.licence or "",
            "reason": reason,
        }


def read_sidecars(root: Path, row: ImageRow) -> tuple[Said, str | None]:
    """Return all that is said of an image, name.json before name.txt before lists, and its reason.

    A sidecar that cannot be read drops the image: its caption must not get lost unseen.
    """
    parts, reason = [], row.reason
    for piece in row.sidecars:
        said = "broken_sidecar"
        if 0 <= piece.num_bytes <= MAX_ROW_BYTES:
            try:
                data = archive.read_piece(root, piece.file, piece.offset, piece.num_bytes)
                said = sidecar.read_file_sidecar(piece.suffix, data)
            except (OSError, ValueError) as error:
                if not archive.is_row_error(error, root):  # else it has changed since it was listed
                    raise
        if isinstance(said, str):
            reason = reason or said
        else:
            parts.append(said)
    said = sidecar.merge(*parts, row.said)
    if reason == "no_file" and said.failure is not None:
        reason = said.failure
    return said, reason


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _show(name: str) -> str:
    r"""Spell a name that is not UTF-8 so that a table can hold it: "caf\udce9" -> "caf\\xe9"."""
    data = name.encode("utf-8", "surrogateescape")
    return data.decode("utf-8", "backslashreplace")


# ---- a folder of images -------------------------------------------------------------------------

Lists = tuple[tuple[str, dict[str, Said]], ...]  # folder, what its lists say; the nearest last


def _folder_rows(
    root: Path,
    folder: str,
    above: Lists,
    parents: frozenset[tuple[int, int]],
    observe: Observe,
    only: str | None,
) -> Iterator[ImageRow]:
    """Yield a folder's files, then its folders, then what its lists say of files that are missing.

    `only`: just this file of the folder, with what is said of it.
    """
    inside = enter(root / folder, parents)
    if inside is None:
        return
    names, folders = list_folder(root / folder)
    said = read_folder_sidecars(root / folder, [n for n in names if n in FOLDER_SIDECARS])
    lists = (*above, (folder, said.entries)) if said.entries else above
    for name in FOLDER_SIDECARS:
        if name in names:
            observe(f"{posixpath.join(folder, name)}\0{fingerprint(root / folder / name)}\n")
    kept = (name for name in names if name not in FOLDER_SIDECARS)
    if only is not None:
        stem = split_name(only)[0]
        kept = (n for n in kept if n == only or n in (f"{stem}.json", f"{stem}.txt"))
        folders = []
    for stem, group in itertools.groupby(kept, key=lambda name: split_name(name)[0]):
        group = _leave_out(stem, list(group), folders)
        pieces = [_make_piece(root, posixpath.join(folder, name), observe) for name in group]
        for row in make_rows(pieces, only_suffixes=None):
            yield dataclasses.replace(row, said=_take(lists, row.id)) if lists else row
    for name in folders:
        place = posixpath.join(folder, name)
        yield from _folder_rows(root, place, lists, inside, observe, None)
    if only is not None:
        return
    for file in said.entries:
        place = posixpath.join(folder, file)
        yield ImageRow(id=place, file=place, said=said.entries[file], reason="no_file")
    for name, line, reason in said.broken:
        place = posixpath.join(folder, name)
        yield ImageRow(id=f"{place}:{line}", file=place, reason=reason)


def _leave_out(stem: str, names: list[str], folders: list[str]) -> list[str]:
    """Leave out what is about the folder, and what img2dataset keeps beside its shards."""
    suffixes = [split_name(name)[1] for name in names]
    if not IMAGE_SUFFIXES.isdisjoint(suffixes):
        return [n for n, suffix in zip(names, suffixes, strict=True) if suffix != ".md"]
    is_stats = stem.endswith("_stats") and stem.removesuffix("_stats") in folders
    return [
        name
        for name, suffix in zip(names, suffixes, strict=True)
        if not (_ABOUT.fullmatch(name) or suffix == ".parquet" or (is_stats and suffix == ".json"))
    ]


def _make_piece(root: Path, file: str, observe: Observe) -> Piece:
    try:
        facts = (root / file).stat()
    except OSError as error:  # a link to nothing
        if not archive.is_row_error(error, root):
            raise
        facts = None
    is_file = facts is not None and stat.S_ISREG(facts.st_mode)
    observe(f"{file}\n" if facts is None else _fact(file, facts))
    suffix = split_name(posixpath.basename(file))[1]
    return Piece(file, sys.intern(suffix), file, -1, facts.st_size if facts and is_file else -1)


def _fact(file: str, facts: os.stat_result) -> str:
    return f"{file}\0{facts.st_size}\0{facts.st_mtime_ns}\n"


def _take(lists: Lists, file: str) -> Said:
    """Take what lists say of a file out of them, the nearest list first."""
    below = ((file[len(folder) + 1 :] if folder else file, said) for folder, said in lists[::-1])
    return sidecar.merge(*(said.pop(name, NOTHING) for name, said in below))
