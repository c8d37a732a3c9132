"""Folders that are there whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pe import shards


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to write into; it becomes `folder` when the block ends well.

    Raises ValueError where `folder` exists and is not empty.
    """
    folder = folder.absolute()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ValueError(f"{folder} exists and is not empty; give a new folder, or remove it first")
    temporary = folder.with_name(shards.TEMPORARY + folder.name)
    shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for path in temporary.rglob("*"):
            if path.is_file():
                with path.open("rb+") as file:
                    os.fsync(file.fileno())
        temporary.replace(folder)  # takes the place of an empty folder, too
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def copy_file(source: Path, path: Path) -> None:
    """Copy a vocabulary. Raises ValueError where there is none."""
    if not source.is_file():
        raise ValueError(f"the vocabulary {source} is not there any more; expected a file")
    shutil.copyfile(source, path)
