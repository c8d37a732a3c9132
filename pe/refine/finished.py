"""Pairs that were chosen, as a dataset that pe train reads; stats.json is written last."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pe import shards
from pe.records import Pair
from pe.stages.finished import read_children, read_dropped
from pe.stages.local_runner import StageFolder

STATS = "stats.json"


def publish_pairs(folder: Path, folders: Sequence[StageFolder]) -> None:
    """Write the pairs of the last stage and the drops of all; a killed run's are written anew."""
    for name in ("pairs", "dropped"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir()
    tables = (table for table in read_children(folders[-1].folder, Pair) if len(table))
    for index, table in enumerate(tables):
        shards.write_table(folder / "pairs" / shards.shard_name(index), table)
    for index, found in enumerate(folders):
        table = pa.concat_tables(list(read_dropped(found.folder, found.stats.name)))
        shards.write_table(folder / "dropped" / shards.shard_name(index), table)


def count_stages(folders: Sequence[StageFolder]) -> dict[str, Any]:
    """Return what stats.json tells of stages."""
    return {
        "stage_folders": [found.folder.name for found in folders],
        "stages": [found.stats.to_dict() for found in folders],
    }


def read_finished(folder: Path, key: str) -> dict[str, Any] | None:
    """Return what stats.json holds where pairs are chosen already, by the same key; else None.

    Raises ValueError where they are of another key.
    """
    path = folder / STATS
    if not path.is_file():
        return None
    finished = json.loads(path.read_text(encoding="utf-8"))
    if finished.get("key") != key:
        raise ValueError(
            f"{folder} holds pairs of other settings, queries or models; choose another --out, or "
            "remove that folder"
        )
    return finished
