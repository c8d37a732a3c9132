"""What finished stages hold, as records: the children of the last, the drops of each.

And whether the files that were made of it are still there.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pe import shards
from pe.records import Dropped, Pair, Record, arrow_schema
from pe.stages.local_runner import StageFolder

WRITTEN = ("pairs", "dropped")  # folders that `write_pairs` makes


def read_children(folder: Path, record_type: type[Record]) -> Iterator[pa.Table]:
    """Yield the records that a stage made, a table a shard."""
    schema = arrow_schema(record_type)
    for shard in shards.iterate_shards(folder, ["children"]):
        flat = pc.list_flatten(shard["children"].combine_chunks())
        columns = [flat.field(i) for i in range(flat.type.num_fields)]
        yield pa.table(columns, schema=schema)


def read_dropped(folder: Path, stage: str) -> Iterator[pa.Table]:
    """Yield the dropped rows of a stage as Dropped records, a table a shard."""
    for path in shards.list_shards(folder):
        parent = pq.read_schema(path).metadata[b"input"].decode()
        names = list(dict.fromkeys(["row", parent, "reason", "detail"]))
        table = shards.read_table(path, names)
        table = table.filter(pc.is_valid(table["reason"]))
        parents, rows = table[parent].to_pylist(), table["row"].to_pylist()
        records = [
            Dropped(
                stage=stage,
                parent_id=parent["id"],
                reason=reason,
                uri=row["id"],
                detail=detail or "",
            )
            for parent, row, reason, detail in zip(
                parents, rows, table["reason"].to_pylist(), table["detail"].to_pylist(), strict=True
            )
        ]
        yield pa.Table.from_pylist([r.to_row() for r in records], schema=arrow_schema(Dropped))


def write_pairs(folder: Path, folders: Sequence[StageFolder]) -> None:
    """Write folder/pairs, of the last stage, and folder/dropped, of all; what was there goes."""
    for name in WRITTEN:
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    tables = (table for table in read_children(folders[-1].folder, Pair) if len(table))
    for index, table in enumerate(tables):
        shards.write_table(folder / "pairs" / shards.shard_name(index), table)
    for index, found in enumerate(folders):
        table = pa.concat_tables(list(read_dropped(found.folder, found.stats.name)))
        shards.write_table(folder / "dropped" / shards.shard_name(index), table)


def list_files(folder: Path, names: Sequence[str]) -> dict[str, int]:
    """Return the bytes of every file of folder/name, by its path from `folder`."""
    paths = [path for name in names for path in (folder / name).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.stat().st_size for path in sorted(paths)}


def find_lost(folder: Path, files: Mapping[str, int]) -> list[str]:
    """Return those of `files` (as `list_files` gave them) that are gone or of another size."""
    found = list_files(folder, sorted({name.split("/")[0] for name in files}))
    return [name for name, size in files.items() if found.get(name) != size]


def count_stages(folders: Sequence[StageFolder]) -> dict[str, Any]:
    """Return what stats.json tells of stages."""
    return {
        "stage_folders": [found.folder.name for found in folders],
        "stages": [found.stats.to_dict() for found in folders],
    }
