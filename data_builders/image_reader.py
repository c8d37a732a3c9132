"""The bytes of images that were listed before: in files, tars, Parquet and SQLite files."""

import collections
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_builders import votes
from data_builders.archive import BrokenArchiveError, find_image_column, is_damage, read_piece

GROUPS_KEPT = 2  # row groups in memory: batches are read in order, by a few threads


class ImageReader:
    """Reads the bytes of the rows of an `ImageSource`, from any thread; keeps no file open."""

    def __init__(self, root: Path):
        self.root = root
        self._lock = threading.Lock()
        self._voted = votes.VotedImages(root)
        self._groups: collections.OrderedDict[tuple[str, int], pa.ChunkedArray] = (
            collections.OrderedDict()
        )
        self._files: dict[str, tuple[str, np.ndarray]] = {}  # column, row where each group ends
        self._broken: dict[tuple[str, int], str] = {}  # groups that are not tried again, and why

    def __reduce__(self) -> tuple[type["ImageReader"], tuple[Path]]:
        return ImageReader, (self.root,)  # a copy on another machine reads for itself

    def read(self, row: Mapping[str, Any]) -> bytes:
        """Return the bytes of the image of a row (the struct `row` of the source's tables).

        Raises:
          OSError: the file is gone; FileNotFoundError also where a Parquet row has no bytes.
          BrokenArchiveError: its part of a Parquet file is damaged.
          ValueError: it is not what was listed any more, or the row has no image.
        """
        if row["reason"] is not None:
            raise ValueError(f"{row['id']} has no image: its reason is {row['reason']}")
        if row["index"] < 0:
            return read_piece(self.root, row["file"], row["offset"], row["num_bytes"])
        if Path(row["file"]).suffix.lower() in votes.SUFFIXES:
            data = self._voted.read(row["file"], row["index"])
            if data is None:
                raise FileNotFoundError(f"{row['id']} holds no bytes")
            return data
        value = self._read_parquet(row["file"], row["index"])
        data = value["bytes"] if isinstance(value, dict) else value
        if data is None:
            raise FileNotFoundError(f"{row['id']} holds no bytes")
        return data

    def _read_parquet(self, file: str, index: int) -> Any:
        with self._lock:  # a second thread waits for the group instead of reading it too
            column, ends = self._find_groups(file)
            group = int(np.searchsorted(ends, index, side="right"))
            if group == len(ends):
                raise ValueError(f"{file} has changed since it was listed: no row {index}")
            if (file, group) not in self._groups:
                while len(self._groups) >= GROUPS_KEPT:
                    self._groups.popitem(last=False)
                self._groups[file, group] = self._read_group(file, group, column)
            self._groups.move_to_end((file, group))
            values = self._groups[file, group]
        return values[index - int(ends[group]) + len(values)].as_py()

    def _read_group(self, file: str, group: int, column: str) -> pa.ChunkedArray:
        if (file, group) not in self._broken:
            try:
                with pq.ParquetFile(self.root / file) as table:
                    return table.read_row_group(group, columns=[column])[column]
            except (pa.ArrowException, OSError, KeyError) as error:
                if not is_damage(error):
                    raise
                self._broken[file, group] = str(error)
        why = self._broken[file, group]
        raise BrokenArchiveError(f"{file} cannot be read in its row group {group}: {why}")

    def _find_groups(self, file: str) -> tuple[str, np.ndarray]:
        if file not in self._files:
            try:
                with pq.ParquetFile(self.root / file) as table:
                    column = find_image_column(self.root / file, table.schema_arrow)
                    facts = table.metadata
                    sizes = [facts.row_group(i).num_rows for i in range(facts.num_row_groups)]
            except (pa.ArrowException, OSError) as error:
                if not is_damage(error):
                    raise
                raise BrokenArchiveError(f"{file} cannot be read: {error}") from error
            self._files[file] = column, np.cumsum(sizes)
        return self._files[file]
