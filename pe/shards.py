"""Parquet shards: written to a temporary name and renamed, so that a shard is whole or absent.

Knows nothing of records or stages. A folder of shards is done when its manifest is there, and the
manifest is written last. Pages have checksums: what is damaged later is found when it is read.
"""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TEMPORARY = ".tmp-"


def shard_name(index: int) -> str:
    """Name a shard: 7 -> part-00007.parquet."""
    return f"part-{index:05d}.parquet"


def shard_index(path: Path) -> int:
    """Return the number of a shard: part-00007.parquet -> 7."""
    return int(path.stem.removeprefix("part-"))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file atomically: after a kill it is there whole or not at all."""
    own = f"{TEMPORARY}{socket.gethostname()}-{os.getpid()}-{path.name}"  # of this process alone
    temporary = path.with_name(own)
    pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    _publish(temporary, path)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a shard.

    Raises ValueError, with what to do, for one that is damaged; FileNotFoundError for none.
    """
    try:
        return pq.read_table(path, columns=columns, page_checksum_verification=True)
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's trouble, not the file's
        why = " ".join(str(error).split())
        raise ValueError(f"{path} is damaged ({why}); remove it and run again") from error


def is_whole(path: Path) -> bool:
    """Say whether a shard can be read to its end: a file that was cut off cannot."""
    try:
        pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        return False
    return True


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
    return pa.concat_tables([read_table(shard, columns) for shard in shards])


def iterate_shards(folder: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Read the shards of a folder one at a time."""
    for shard in list_shards(folder):
        yield read_table(shard, columns)


def clear_temporary(folder: Path) -> None:
    """Remove what a killed run left half written."""
    for path in folder.glob(TEMPORARY + "*"):
        path.unlink(missing_ok=True)


def _publish(temporary: Path, path: Path) -> None:
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
