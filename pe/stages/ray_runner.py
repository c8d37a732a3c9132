"""Run stages on a Ray cluster: the same stages, the same folders, shard by shard.

A worker is an actor that holds one stage and its models. It is given one input shard at a time,
makes the whole output shard and renames it into its place, as the local runner does. So a shard is
the unit of what is lost when a machine goes, there is no state beside the shards, and local and
cluster runs give the same files. All machines see that folder, the one in which the command was
started, and what both name under the same paths.

What sees rows in order (duplicates), or keeps a budget (a language model's, an images server's),
runs where the command runs; it reads and writes the same shards.
"""

import contextlib
import dataclasses
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa

from pe import shards
from pe.stages.local_runner import (
    LocalRunner,
    Progress,
    Source,
    StageFolder,
    count_shard,
    explode,
    make_shard,
)
from pe.stages.runner_config import RayConfig, RunnerConfig
from pe.stages.stage import CentralStage, ClosedStage, OpenedStage, Stage

MAX_RESTARTS = 5  # of a worker whose process or machine went
MAX_ATTEMPTS = 3  # of a shard, each by another worker, after those
POLL_SECS = 10.0  # at most, between two looks at how many rows workers have done


class ShardWorker:
    """What runs on the cluster: it holds one stage at a time, and its models.

    `directory` is the command's own, so that relative paths mean the same.
    """

    def __init__(self, config: RunnerConfig, directory: Path):
        self.config = config
        self.directory = directory
        self._folder: Path | None = None
        self._stage: Stage | None = None
        self._num_rows = 0

    def count_rows(self) -> int:
        """Return how many rows of the shard under way are done; answered while `run` runs."""
        return self._num_rows

    def run(self, stage: "list[Any]", task: "ShardTask") -> "ShardDone":
        """Make a shard and write it; one that is there already is only counted.

        `stage` holds a reference to the stage, which is fetched where it is another than before.
        Raises ValueError on a machine that does not see the command's folder.
        """
        self._tell(0)
        try:
            os.chdir(self.directory)
        except OSError as error:
            raise ValueError(
                f"a machine of the cluster does not see {self.directory}, where the command was "
                f"started ({error.strerror}); start it in a folder that all machines see"
            ) from error
        if task.path.is_file() and shards.is_whole(task.path):
            return ShardDone(count_shard(shards.read_table(task.path)), 0.0)
        if self._folder != task.path.parent:
            self._change(stage[0])
            self._folder = task.path.parent
        assert self._stage is not None
        begin = time.perf_counter()
        table = task.table
        if table is None:
            assert task.source is not None
            table = explode(shards.read_table(task.source))
        with ThreadPoolExecutor(self.config.num_threads) as pool:
            shard = make_shard(self._stage, table, pool, self.config, tell=self._tell)
        shards.write_table(task.path, shard)
        return ShardDone(count_shard(shard), time.perf_counter() - begin)

    def _tell(self, num_rows: int) -> None:
        self._num_rows = num_rows

    def _change(self, reference: Any) -> None:
        """Let the models of one stage go and load those of the next."""
        import ray

        if isinstance(self._stage, ClosedStage):
            self._stage.close()
        stage = ray.get(reference)
        if isinstance(stage, OpenedStage):
            stage.open()
        self._stage = stage


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """A shard to make: of rows that are given, or of a finished shard of the stage before."""

    index: int
    path: Path
    table: pa.Table | None
    source: Path | None


@dataclasses.dataclass(frozen=True)
class ShardDone:
    """What became of a shard: rows and reasons, and how long it took."""

    counts: tuple[Counter[str], Counter[str]]
    secs: float


class RayRunner(LocalRunner):
    """Runs stages on a cluster under `out/stages/`; `out` is the same folder on all machines."""

    def __init__(
        self,
        out: Path,
        config: RunnerConfig,
        *,
        progress: Progress | None = None,
    ):
        super().__init__(out.resolve(), config, progress=progress)
        self._pools: dict[bool, _Pool] = {}

    def close(self) -> None:
        """End the workers. The cluster stays."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    def _run_shards(
        self, stage: Stage, source: Source, folder: Path
    ) -> tuple[Counter[str], Counter[str]]:
        if stage.ORDERED or (isinstance(stage, CentralStage) and stage.is_central):
            return super()._run_shards(stage, source, folder)
        done = {shards.shard_index(path) for path in shards.list_shards(folder)}
        totals: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for index in sorted(done):
            rows, why = count_shard(shards.read_table(folder / shards.shard_name(index)))
            totals += rows
            reasons += why
        has_models = isinstance(stage, OpenedStage)
        if has_models not in self._pools:
            self.close()  # what the other workers hold may be what these need
            ray = start_ray(self.config.ray)
            self._pools[has_models] = _Pool(ray, self.config, has_models)
        tasks = _list_tasks(source, folder, done)

        def tell(num_rows: int) -> None:
            self._tell(stage, source, totals["in"], num_rows)

        for result in self._pools[has_models].map(stage, tasks, tell):
            totals += result.counts[0]
            reasons += result.counts[1]
            with (folder / "secs.jsonl").open("a") as file:
                file.write(f"{result.secs:.3f}\n")
            tell(0)
        return totals, reasons


def _list_tasks(source: Source, folder: Path, done: set[int]) -> Iterator[ShardTask]:
    """Yield what is to be done; a finished stage's shards are read by who needs them."""
    if isinstance(source, StageFolder):
        for path in shards.list_shards(source.folder):
            index = shards.shard_index(path)
            if index not in done:
                target = folder / shards.shard_name(index)
                yield ShardTask(index, target, None, path)
        return
    for index, table in source.tables(done):
        if index not in done:
            yield ShardTask(index, folder / shards.shard_name(index), table, None)


class _Pool:
    """Workers, each with one shard at a time; those that are lost are replaced."""

    def __init__(self, ray: Any, runner: RunnerConfig, has_models: bool):
        self._ray = ray
        self._runner = runner
        self._config = config = runner.ray
        self._devices = {"GPU": config.num_gpus, **dict(config.resources)} if has_models else {}
        others = {name: share for name, share in self._devices.items() if name != "GPU" and share}
        self._actor = ray.remote(ShardWorker).options(
            num_cpus=config.num_cpus,
            num_gpus=self._devices.get("GPU", 0),
            resources=others or None,
            max_restarts=MAX_RESTARTS,
            max_task_retries=-1,
            max_concurrency=2,  # a shard, and the question how far it is
        )
        self._workers: list[Any] = []
        self._idle = [self._start() for _ in range(self._count())]

    def _start(self) -> Any:
        worker = self._actor.remote(self._runner, Path.cwd())
        self._workers.append(worker)
        return worker

    def _count(self) -> int:
        if self._config.num_workers:
            return self._config.num_workers
        resources = self._ray.cluster_resources()
        counts = [resources.get("CPU", 1.0) / max(1.0, self._config.num_cpus)]
        counts += [
            resources.get(name, 0.0) / share for name, share in self._devices.items() if share
        ]
        if min(counts) < 1:
            raise ValueError(
                f"the cluster has {resources}, and a worker takes {self._config}; "
                "change RayConfig, or add machines"
            )
        return int(min(counts))

    def map(
        self, stage: Stage, tasks: Iterator[ShardTask], tell: Callable[[int], None]
    ) -> Iterator[ShardDone]:
        """Yield results as they come; as many shards are under way as there are workers.

        `tell` hears now and then how many rows of shards under way are done. Raises what a stage
        raises, and RuntimeError where no row is done in `stall_secs` or a shard loses every worker
        that it is given to.
        """
        errors = self._ray.exceptions
        lost = (errors.RayActorError, errors.OutOfMemoryError, errors.NodeDiedError)
        reference = [self._ray.put(stage)]  # in a list: handed on, not fetched with every task
        waiting: deque[ShardTask] = deque()
        running: dict[Any, tuple[Any, ShardTask]] = {}
        attempts: Counter[int] = Counter()
        watch = _Watch(self._ray, self._config)
        while True:
            while self._idle:
                task = waiting.popleft() if waiting else next(tasks, None)
                if task is None:
                    break
                worker = self._idle.pop()
                running[worker.run.remote(reference, task)] = (worker, task)
            if not running:
                return
            ready, _ = self._ray.wait(list(running), num_returns=1, timeout=watch.poll_secs)
            if not ready:
                tell(watch.ask([worker for worker, _ in running.values()]))
                continue
            watch.rest()
            worker, task = running.pop(ready[0])
            try:
                result = self._ray.get(ready[0])
            except lost as error:
                attempts[task.index] += 1
                if attempts[task.index] >= MAX_ATTEMPTS:
                    raise RuntimeError(
                        f"shard {task.index} lost {MAX_ATTEMPTS} workers ({error}); is there "
                        "enough memory for a worker (RayConfig, RunnerConfig.batch_rows)?"
                    ) from error
                waiting.append(task)
                self._end(worker)
                self._idle.append(self._start())
                continue
            except self._ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, Exception):
                    raise error.cause from error
                raise
            self._idle.append(worker)
            yield result

    def close(self) -> None:
        """End the workers, busy ones too."""
        for worker in list(self._workers):
            self._end(worker)

    def _end(self, worker: Any) -> None:
        self._workers.remove(worker)
        with contextlib.suppress(Exception):
            self._ray.kill(worker)


class _Watch:
    """Sees whether workers get on, by the rows that they have done."""

    def __init__(self, ray: Any, config: RayConfig):
        self._ray = ray
        self._config = config
        self._asked: dict[Any, Any] = {}  # a question under way -> its worker
        self._counts: dict[Any, int] = {}  # worker -> rows, when it last answered
        self._last = time.monotonic()
        self.poll_secs = min(POLL_SECS, config.stall_secs / 4)

    def rest(self) -> None:
        """Begin to count seconds anew: a shard has come."""
        self._last = time.monotonic()

    def ask(self, workers: list[Any]) -> int:
        """Return how many rows of their shards the workers had done when they last answered.

        A worker that does not run yet answers later. Raises RuntimeError where no row was done for
        too long.
        """
        waiting = set(self._asked.values())
        self._asked |= {w.count_rows.remote(): w for w in workers if w not in waiting}
        questions = list(self._asked)
        ready, _ = self._ray.wait(questions, num_returns=len(questions), timeout=1.0)
        for question in ready:
            worker = self._asked.pop(question)
            with contextlib.suppress(self._ray.exceptions.RayError):  # it is gone
                num_rows = self._ray.get(question)
                if num_rows != self._counts.get(worker, 0):
                    self.rest()
                self._counts[worker] = num_rows
        secs = time.monotonic() - self._last
        if secs >= self._config.stall_secs:
            raise RuntimeError(
                f"not one row was finished in {secs:.0f} seconds (RayConfig.stall_secs); free in "
                f"the cluster: {self._ray.available_resources()}. A worker takes num_cpus "
                f"{self._config.num_cpus}, num_gpus {self._config.num_gpus}; what is finished is "
                "kept"
            )
        return sum(self._counts.get(worker, 0) for worker in workers)


def start_ray(config: RayConfig) -> Any:
    """Join a cluster, or start one on this machine; return the module. It is quiet and private.

    Raises ValueError without the extra, and where there is no cluster at the address.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ValueError(
            "--runner ray needs Ray, which is not installed; install the extra with "
            "`pip install 'prompt-expansion[ray]'`, or use --runner local"
        ) from error
    if ray.is_initialized():
        return ray
    where: dict[str, Any] = {"address": config.address}
    if not config.address:
        # "local": never a cluster that some variable names; four CPUs at least, since workers
        # that take a whole one wait for each other on a machine of two
        where = {"address": "local", "num_cpus": max(4, os.cpu_count() or 1)}
        where |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise ValueError(
            f"RayConfig.address: there is no Ray cluster at {config.address!r} ({error})"
        ) from error
    return ray
