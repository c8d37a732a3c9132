"""Parquet shards: written to a temporary name and renamed, so that a shard is whole or absent.

Knows nothing of records or stages. A folder of shards is done when its manifest is there, and the
manifest is written last.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TEMPORARY = ".tmp-"


def shard_name(index: int) -> str:
    """Name a shard: 7 -> part-00007.parquet."""
    return f"part-{index:05d}.parquet"


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file atomically: after a kill it is there whole or not at all."""
    temporary = path.with_name(TEMPORARY + path.name)
    pq.write_table(table, temporary, compression="zstd")
    _publish(temporary, path)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    temporary = path.with_name(TEMPORARY + path.name)
    temporary.write_text(text, encoding="utf-8", newline="\n")
    _publish(temporary, path)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def list_shards(folder: Path) -> list[Path]:
    """List the finished shards of a folder, in order."""
    return sorted(folder.glob("part-*.parquet"))


def read_shards(folder: Path, columns: list[str] | None = None) -> pa.Table:
    """Read all shards of a folder into one table.

    Raises ValueError when the folder holds none.
    """
    shards = list_shards(folder)
    if not shards:
        raise ValueError(f"no Parquet shards in {folder}; expected files like {shard_name(0)}")
    return pa.concat_tables([pq.read_table(shard, columns=columns) for shard in shards])


def iterate_shards(folder: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Read the shards of a folder one at a time."""
    for shard in list_shards(folder):
        yield pq.read_table(shard, columns=columns)


def clear_temporary(folder: Path) -> None:
    """Remove what a killed run left half written."""
    for path in folder.glob(TEMPORARY + "*"):
        path.unlink()


def _publish(temporary: Path, path: Path) -> None:
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
