"""First stage: rows of a prompt table become images whose prompt is known.

That is the CrowdSourced half of arXiv:2312.16720 sec. 3.1. Knows the shape of a source row, not the
file formats.
"""

import dataclasses
import itertools
from collections.abc import Container, Iterator
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from data_builders.sources import SourceConfig, SourceRow, fingerprint, open_table, read_rows
from pe.records import Image, Record, content_hash
from pe.stages.stage import Drop, Result

ROW_TYPE = pa.struct(
    [
        ("id", pa.string()),  # file:line
        ("prompt", pa.string()),
        ("query", pa.string()),
        ("source", pa.string()),
        ("licence", pa.string()),
        ("reason", pa.string()),
    ]
)


class TableSource:
    """The rows of one prompt table, cut into shards; `key` hashes its bytes and its config."""

    num_rows = None  # not known without reading the whole file

    def __init__(self, path: Path, config: SourceConfig, *, shard_rows: int):
        self.table = open_table(path, config)
        self.config = config
        self.shard_rows = shard_rows
        parts = (path.name, fingerprint(path), repr(config), str(shard_rows))
        self.key = content_hash("source", *parts)

    def tables(self, done: Container[int]) -> Iterator[tuple[int, pa.Table | None]]:
        rows = read_rows(self.table, self.config)
        for index in itertools.count():
            chunk = list(itertools.islice(rows, self.shard_rows))
            if not chunk:
                return
            yield index, None if index in done else make_row_table(chunk, self.table.path.name)


def make_row_table(rows: list[SourceRow], file: str) -> pa.Table:
    """Put source rows into the table the first stage reads; row 7 of a.csv has the id a.csv:7."""
    values = [
        {
            "id": f"{file}:{row.line}",
            "prompt": row.prompt,
            "query": row.query,
            "source": row.source,
            "licence": row.licence,
            "reason": row.reason,
        }
        for row in rows
    ]
    return pa.table({"row": pa.array(values, ROW_TYPE)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """Nothing to set: what a row must hold is decided where the file is read."""


class IngestStage:
    """Row -> Image with its given prompt, or the reason the reader found."""

    NAME: ClassVar[str] = "ingest"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "row"
    OUTPUT: ClassVar[type[Record]] = Image
    ORDERED: ClassVar[bool] = False

    def __init__(self, config: IngestConfig):
        self.config = config

    def __call__(self, table: pa.Table) -> list[Result]:
        return [
            Drop(row["reason"])
            if row["reason"] is not None
            else (
                Image(
                    uri=row["id"],
                    source=row["source"],
                    licence=row["licence"],
                    given_prompt=row["prompt"],
                    given_query=row["query"],
                ),
            )
            for row in table["row"].to_pylist()
        ]
