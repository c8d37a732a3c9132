"""Where a round's queries come from: the refine half of a dataset, or lines of `pe expand --json`.

Rows are those of a stage: a column `row` that says where a query stands, `query`, and with ready
expansions also `expansion`.
"""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pe import shards
from pe.records import Expansion, Query, arrow_fields, content_hash
from pe.text.phrase import comparison_key

HALF = "refine"
READY = "file"  # method of a query that came with its expansions
ROW = pa.struct([pa.field("id", pa.string())])
QUERY, EXPANSION = (pa.struct(arrow_fields(kind)) for kind in (Query, Expansion))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RefineSourceConfig:
    """Which queries are expanded: those of the `kinds` (all), the first `limit` of them (all)."""

    kinds: tuple[str, ...] = ()
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"RefineSourceConfig.limit: got {self.limit}, expected 1 or more")


class QuerySource:
    """The distinct queries of a dataset's refine half, in the order of its pairs.

    Raises ValueError where `data` is no dataset, or none of its pairs is of that half.
    """

    def __init__(self, data: Path, config: RefineSourceConfig, *, shard_rows: int):
        self.data = data
        self.config = config
        self.shard_rows = shard_rows
        paths = shards.list_shards(data / "pairs")
        if not paths:
            raise ValueError(f"{data} holds no pairs; expected the --out of pe build")
        self.key = content_hash(
            "queries",
            json.dumps(dataclasses.asdict(config), sort_keys=True),
            str(shard_rows),
            *(_digest(path) for path in paths),
        )
        if next(self._queries(), None) is None:
            raise ValueError(
                f"{data} holds no query of the {HALF} half of its train split"
                + (f" and of kind {', '.join(config.kinds)}" if config.kinds else "")
                + "; expected a dataset of pe build with PairConfig.base_frac below 1"
            )

    @property
    def num_rows(self) -> int | None:
        """It is not known before all were read."""
        return None

    def tables(self, done: Container[int]) -> Iterator[tuple[int, pa.Table | None]]:
        """Yield (index, table), `shard_rows` queries a table."""
        return _cut(self._queries(), done, self.shard_rows)

    def _queries(self) -> Iterator[dict[str, Any]]:
        """Yield each text once; a hash is kept of every one."""
        known: set[int] = set()
        num_left = self.config.limit
        columns = ["id", "query", "kind", "split", "half", "parents"]
        for table in shards.iterate_shards(self.data / "pairs", columns):
            is_ours = pc.and_(pc.equal(table["half"], HALF), pc.equal(table["split"], "train"))
            for pair in table.filter(is_ours).to_pylist():
                if self.config.kinds and pair["kind"] not in self.config.kinds:
                    continue
                key = _short_hash(comparison_key(pair["query"]))
                if key in known:
                    continue
                known.add(key)
                if num_left is not None:
                    if num_left == 0:
                        return
                    num_left -= 1
                query = Query(
                    inversion_id=next(iter(pair["parents"][1:]), pair["id"]),
                    kind=pair["kind"],
                    text=pair["query"],
                    method="pair",
                )
                yield {"row": {"id": pair["id"]}, "query": query.to_row()}


class ExpansionSource:
    """Queries with expansions that were made before: lines of `pe expand --json`.

    Raises ValueError, naming the line, for what is no such line.
    """

    def __init__(self, path: Path, *, shard_rows: int):
        self.path = path
        self.shard_rows = shard_rows
        self.key = content_hash("expansions", str(shard_rows), _digest(path))

    @property
    def num_rows(self) -> int | None:
        """It is not known before all were read."""
        return None

    def tables(self, done: Container[int]) -> Iterator[tuple[int, pa.Table | None]]:
        """Yield (index, table); a query's expansions lie in one table."""
        index = 0
        rows: list[dict[str, Any]] = []
        for group in self._queries():
            if rows and len(rows) + len(group) > self.shard_rows:
                yield index, None if index in done else _to_table(rows)
                index, rows = index + 1, []
            rows += group
        if rows:
            yield index, None if index in done else _to_table(rows)

    def _queries(self) -> Iterator[list[dict[str, Any]]]:
        with self.path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                name = f"{self.path.name}:{number}"
                try:
                    yield _read_line(json.loads(line), name)
                except (KeyError, TypeError, AttributeError, ValueError) as error:
                    raise ValueError(
                        f"{self.path}:{number} is no line of pe expand --json: expected an object "
                        "with query, prefix and expansions, each with its text"
                    ) from error


def _read_line(row: dict[str, Any], name: str) -> list[dict[str, Any]]:
    query = Query(inversion_id=name, kind=row.get("kind", "given"), text=row["query"], method=READY)
    if not query.text or not row["expansions"]:
        raise ValueError("empty")
    found = []
    for number, expansion in enumerate(row["expansions"]):
        made = Expansion(
            query=query.text,
            prefix=row.get("prefix", ""),
            text=expansion["text"],
            seed=expansion.get("seed", 0),
            logprob=expansion.get("logprob"),
            num_tokens=expansion.get("num_tokens", 0),
            model=READY,
            number=number,
        )
        found.append({"row": {"id": name}, "query": query.to_row(), "expansion": made.to_row()})
    return found


def _cut(
    rows: Iterable[dict[str, Any]], done: Container[int], size: int
) -> Iterator[tuple[int, pa.Table | None]]:
    rows = iter(rows)
    for index in itertools.count():
        part = list(itertools.islice(rows, size))
        if not part:
            return
        yield index, None if index in done else _to_table(part)


def _to_table(rows: list[dict[str, Any]]) -> pa.Table:
    types = {"row": ROW, "query": QUERY, "expansion": EXPANSION}
    fields = [pa.field(name, types[name]) for name in rows[0]]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def _short_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
