"""What kind of source of images is at a path, and which files it consists of; folders, walked."""

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path

from data_builders import archive, votes
from data_builders.archive import IMAGE_SUFFIXES
from data_builders.sidecar import FOLDER_SIDECARS

_TEXT_SUFFIXES = (".csv", ".json", ".jsonl", ".md", ".tsv", ".txt")
EXPECTED = (
    "expected an image, a .tar, a .parquet, a .sqlite of votes, or a folder of images, of tars or "
    "of Parquet files"
)


def survey(path: Path) -> tuple[str, list[str]]:
    """Tell the kind ("folder", "file", "tars", "parquet", "votes") and which files it consists of.

    Raises ValueError for two kinds at once and for what is no source.
    """
    if not path.is_dir():
        return _survey_file(path)
    tars: list[str] = []
    tables: list[str] = []
    loose: str | None = None  # the first file that only a folder of images has
    for folder, names, folders in _walk(path, "", frozenset()):
        for name in names:
            stem, suffix = split_name(name)
            file = posixpath.join(folder, name)
            if suffix == ".tar" or is_compressed_tar(name):
                _check_tar(path / file)
                tars.append(file)
            elif suffix == ".parquet":
                if not (stem.isdigit() and (f"{stem}.tar" in names or stem in folders)):
                    tables.append(file)
            elif loose is None and (suffix in IMAGE_SUFFIXES or name in FOLDER_SIDECARS):
                loose = file
    found = [files[0] for files in (tars, tables) if files] + ([loose] if loose else [])
    if len(found) > 1:
        raise ValueError(
            f"{path} mixes kinds of sources, {' and '.join(found)}: expected images, tars or "
            "Parquet files, one of the three; give the path of one, or a folder of its own"
        )
    return (
        ("tars", sorted(tars))
        if tars
        else ("parquet", sorted(tables))
        if tables
        else ("folder", [])
    )


def _survey_file(path: Path) -> tuple[str, list[str]]:
    suffix = path.suffix.lower()
    if suffix == ".tar" or is_compressed_tar(path.name):
        _check_tar(path)
        return "tars", [path.name]
    if suffix in votes.SUFFIXES:
        return "votes", [path.name]
    if suffix in _TEXT_SUFFIXES:
        raise ValueError(f"{path} is no image: {EXPECTED}; captions are found beside the images")
    return ("parquet" if suffix == ".parquet" else "file"), [path.name]


def is_compressed_tar(name: str) -> bool:
    """Tell by its name whether a file is a tar that was compressed, which is no source."""
    return name.lower().endswith((".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz"))


def _check_tar(path: Path) -> None:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    if is_gzip or path.suffix.lower() != ".tar":
        raise ValueError(
            f"{path} is a compressed tar: images are read from its middle, which needs a plain "
            ".tar; unpack it (gunzip) first"
        )


def list_folder(path: Path) -> tuple[list[str], list[str]]:
    """List names of files and of folders, sorted, without what systems leave behind."""
    names: list[str] = []
    folders: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            if not archive.is_hidden(entry.name):
                (folders if entry.is_dir() else names).append(entry.name)
    names.sort(key=lambda name: (*split_name(name), name))  # so that name.jpg meets name.txt
    return names, sorted(folders)


def split_name(name: str) -> tuple[str, str]:
    stem, suffix = posixpath.splitext(name)
    return stem, suffix.lower()


def enter(path: Path, parents: frozenset[tuple[int, int]]) -> frozenset[tuple[int, int]] | None:
    """Add a folder to those that lead to it; None for a link that leads back to one of them."""
    facts = path.stat()
    identity = (facts.st_dev, facts.st_ino)
    return None if identity in parents else parents | {identity}


def _walk(
    root: Path, folder: str, parents: frozenset[tuple[int, int]]
) -> Iterator[tuple[str, list[str], list[str]]]:
    inside = enter(root / folder, parents)
    if inside is None:
        return
    names, folders = list_folder(root / folder)
    yield folder, names, folders
    del names
    for name in folders:
        yield from _walk(root, posixpath.join(folder, name), inside)
