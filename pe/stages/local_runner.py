"""Run stages on one machine: shards in, shards out, resumable after kill -9.

Each input shard gives one output shard with exactly one row per input row: the input columns,
`reason` and its `detail` (null when kept) and `children` (the records made of the row). So kept +
dropped = in can be asserted for every shard, a shard is whole or absent, and resuming is skipping
the shards that are there.
"""

import dataclasses
import functools
import hashlib
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pe import shards
from pe.records import arrow_fields
from pe.stages.runner_config import RunnerConfig
from pe.stages.stage import (
    ClosedStage,
    Drop,
    OpenedStage,
    Result,
    Stage,
    TellingStage,
    call_guarded,
    column_name,
)

SHARD_FORMAT = "2"  # changes with the columns that shards have beside their records
OUTCOME = ("reason", "detail", "children")  # the columns that a stage adds to its rows
A = TypeVar("A")
B = TypeVar("B")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageStats:
    """Counts of one stage: in, kept and dropped are parents, out is children."""

    name: str
    version: str
    num_in: int
    num_kept: int
    num_dropped: int
    num_out: int
    reasons: dict[str, int]
    secs: float

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of stats.json."""
        return {
            "name": self.name,
            "version": self.version,
            "in": self.num_in,
            "kept": self.num_kept,
            "dropped": self.num_dropped,
            "out": self.num_out,
            "reasons": self.reasons,
            "secs": round(self.secs, 3),
        }


@runtime_checkable
class Progress(Protocol):
    """Is told of every finished batch: (stage, rows done, rows in all or None, what else)."""

    def __call__(self, stage: str, num_rows: int, num_total: int | None, status: str) -> None: ...


@runtime_checkable
class Source(Protocol):
    """Where the first stage's rows come from; `key` is the hash of what they depend on."""

    @property
    def key(self) -> str: ...
    @property
    def num_rows(self) -> int | None: ...

    def tables(self, done: Container[int]) -> Iterator[tuple[int, pa.Table | None]]:
        """Yield (index, table) in order; the table may be None where the index is done."""
        ...


@dataclasses.dataclass(frozen=True)
class StageFolder:
    """The finished output of a stage, and the source of the next."""

    folder: Path
    key: str
    stats: StageStats

    @property
    def num_rows(self) -> int | None:
        return self.stats.num_out

    def tables(self, done: Container[int]) -> Iterator[tuple[int, pa.Table | None]]:
        for path in shards.list_shards(self.folder):
            index = shards.shard_index(path)
            yield index, None if index in done else explode(shards.read_table(path))


def explode(table: pa.Table) -> pa.Table:
    """Give every child a row of its own, beside its parents; dropped rows go.

    Example (the stage made queries of inversions):
      inversion  reason  children       inversion  query
      i1         null    [q1, q2]   ->  i1         q1
      i2         short   []             i1         q2
    """
    children = table["children"].combine_chunks()
    name = table.schema.metadata[b"output"].decode()
    parents = table.drop_columns(list(OUTCOME))
    if name in parents.column_names:  # a stage that amends its input (e.g. deduplication)
        parents = parents.drop_columns([name])
    rows = pc.list_parent_indices(children)
    return parents.take(rows).append_column(name, pc.list_flatten(children))


def pack_results(stage: Stage, table: pa.Table, results: Sequence[Result]) -> pa.Table:
    """Put results beside their rows, as a shard holds them; `explode` is the way back."""
    reasons = [r.reason if isinstance(r, Drop) else None for r in results]
    children = [[] if isinstance(r, Drop) else [c.to_row() for c in r] for r in results]
    struct = pa.struct(arrow_fields(stage.OUTPUT))
    details = [r.detail if isinstance(r, Drop) else None for r in results]
    table = table.append_column("reason", pa.array(reasons, pa.string()))
    table = table.append_column("detail", pa.array(details, pa.string()))
    table = table.append_column("children", pa.array(children, pa.list_(struct)))
    return table.replace_schema_metadata(
        {"input": stage.INPUT, "output": column_name(stage.OUTPUT)}
    )


class LocalRunner:
    """Runs stages one after the other under `out/stages/`, with a thread pool for the batches."""

    def __init__(self, out: Path, config: RunnerConfig, *, progress: Progress | None = None):
        self.out = out
        self.config = config
        self.progress = progress

    def stage_folder(self, stage: Stage, source_key: str) -> tuple[Path, str]:
        """Return where a stage writes and its key: a hash of its config and all it builds on."""
        config = json.dumps(dataclasses.asdict(stage.config), sort_keys=True)
        parts = "\0".join((stage.NAME, stage.VERSION, config, source_key, SHARD_FORMAT))
        key = hashlib.blake2b(parts.encode(), digest_size=6).hexdigest()
        return self.out / "stages" / f"{stage.NAME}-{stage.VERSION}-{key}", key

    def run(self, stage: Stage, source: Source) -> StageFolder:
        """Run a stage over a source; shards that are there already are not made again."""
        folder, key = self.stage_folder(stage, source.key)
        manifest = folder / "manifest.json"
        if manifest.is_file():
            known = json.loads(manifest.read_text())
            num_shards = known.pop("num_shards", None)
            stats = StageStats(**known)
            if count_rows(folder) == (num_shards, stats.num_in):
                return StageFolder(folder, key, stats)
            manifest.unlink()  # shards were lost or damaged since: they are made anew
        folder.mkdir(parents=True, exist_ok=True)
        shards.clear_temporary(folder)
        for path in shards.list_shards(folder):
            if not shards.is_whole(path):
                path.unlink()
        try:
            totals, reasons = self._run_shards(stage, source, folder)
        finally:
            if isinstance(stage, ClosedStage):
                stage.close()
        stats = StageStats(
            name=stage.NAME,
            version=stage.VERSION,
            num_in=totals["in"],
            num_kept=totals["kept"],
            num_dropped=totals["dropped"],
            num_out=totals["out"],
            reasons=dict(sorted(reasons.items())),
            secs=_read_secs(folder),
        )
        num_shards = len(shards.list_shards(folder))
        shards.write_json(manifest, {**dataclasses.asdict(stats), "num_shards": num_shards})
        return StageFolder(folder, key, stats)

    def close(self) -> None:
        """Let go what outlives a stage."""

    def _run_shards(
        self, stage: Stage, source: Source, folder: Path
    ) -> tuple[Counter[str], Counter[str]]:
        """Make the shards that are not there; count all of them: rows, and reasons of drops."""
        done = {shards.shard_index(path) for path in shards.list_shards(folder)}
        totals: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        is_open = not isinstance(stage, OpenedStage)
        with ThreadPoolExecutor(self.config.num_threads) as pool:
            for index, table in source.tables(frozenset() if stage.ORDERED else done):
                path = folder / shards.shard_name(index)
                if index in done:
                    shard = shards.read_table(path)
                    if stage.ORDERED and table is not None:
                        call_guarded(stage, table)  # it decides as before, and remembers
                    self._tell(stage, source, totals["in"], len(shard))
                else:
                    assert table is not None
                    if not is_open and isinstance(stage, OpenedStage):
                        stage.open()
                        is_open = True
                    tell = functools.partial(self._tell, stage, source, totals["in"])
                    shard = self._run_shard(stage, table, path, pool, tell)
                rows, why = count_shard(shard)
                totals += rows
                reasons += why
        return totals, reasons

    def _tell(self, stage: Stage, source: Source, num_before: int, num_rows: int) -> None:
        if self.progress:
            status = stage.status() if isinstance(stage, TellingStage) else ""
            self.progress(stage.NAME, num_before + num_rows, source.num_rows, status)

    def _run_shard(
        self,
        stage: Stage,
        table: pa.Table,
        path: Path,
        pool: ThreadPoolExecutor,
        tell: Callable[[int], None],
    ) -> pa.Table:
        begin = time.perf_counter()
        shard = make_shard(stage, table, pool, self.config, tell=tell)
        shards.write_table(path, shard)
        with (path.parent / "secs.jsonl").open("a") as file:
            file.write(f"{time.perf_counter() - begin:.3f}\n")
        return shard


def make_shard(
    stage: Stage,
    table: pa.Table,
    pool: ThreadPoolExecutor,
    config: RunnerConfig,
    *,
    tell: Callable[[int], None] = lambda _: None,
) -> pa.Table:
    """Map the batches of a table; `tell` is called with the rows that are done."""
    size = config.batch_rows
    batches = [table.slice(start, size) for start in range(0, len(table), size)]
    if stage.ORDERED:
        mapped = (call_guarded(stage, batch) for batch in batches)
    else:
        mapped = _map_bounded(
            pool, lambda batch: call_guarded(stage, batch), batches, config.num_threads * 2
        )
    results: list[Result] = []
    for batch in mapped:
        results += batch
        tell(len(results))
    shard = pack_results(stage, table, results)
    rows, _ = count_shard(shard)
    if rows["kept"] + rows["dropped"] != len(table):
        raise RuntimeError(f"{stage.NAME}: {rows} does not add up to {len(table)} rows")
    return shard


def count_rows(folder: Path) -> tuple[int, int]:
    """Count a folder's shards that are whole, and their rows."""
    paths = [path for path in shards.list_shards(folder) if shards.is_whole(path)]
    return len(paths), sum(pq.read_metadata(path).num_rows for path in paths)


def count_shard(shard: pa.Table) -> tuple[Counter[str], Counter[str]]:
    """Count a shard's rows (in, kept, dropped, out) and the reasons of its drops."""
    dropped = len(shard) - shard["reason"].null_count
    num_out = pc.sum(pc.list_value_length(shard["children"])).as_py() or 0
    rows = {"in": len(shard), "kept": len(shard) - dropped, "dropped": dropped, "out": num_out}
    reasons = (reason for reason in shard["reason"].to_pylist() if reason is not None)
    return Counter(rows), Counter(reasons)


def _read_secs(folder: Path) -> float:
    path = folder / "secs.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return sum(float(line) for line in lines if line.strip())


def _map_bounded(
    pool: ThreadPoolExecutor, function: Callable[[A], B], items: Sequence[A], num_ahead: int
) -> Iterator[B]:
    """Map in order with at most `num_ahead` items under way, so that memory stays bounded."""
    pending: deque[Future[B]] = deque()
    for item in items:
        if len(pending) >= num_ahead:
            yield pending.popleft().result()
        pending.append(pool.submit(function, item))
    while pending:
        yield pending.popleft().result()
