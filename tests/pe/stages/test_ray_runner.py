"""A real cluster on loopback gives the local runner's files, also when machines and drivers go."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest

from pe import shards
from pe.records import Image, Record
from pe.stages.local_runner import LocalRunner
from pe.stages.ray_runner import RayRunner
from pe.stages.runner_config import RayConfig, RunnerConfig
from pe.stages.stage import Drop, Result

ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")
# Ray starts its processes by forking; where other tests have loaded JAX before, that warns of it
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")]
NUM_ROWS, SHARD_ROWS = 400, 20


@dataclasses.dataclass(frozen=True)
class Key:
    word: str = ""


class Rows:
    """Rows t0, t1, ... in shards."""

    key = "rows"

    def __init__(self, num_rows: int = NUM_ROWS):
        self.num_rows = num_rows

    def tables(self, done) -> Iterator[tuple[int, pa.Table | None]]:
        for index in range(self.num_rows // SHARD_ROWS):
            numbers = range(index * SHARD_ROWS, (index + 1) * SHARD_ROWS)
            rows = [{"id": f"t{number}"} for number in numbers]
            yield index, pa.table({"row": rows})


class ToImage:
    """Every seventh row is dropped, every eleventh raises, some have two children."""

    NAME: ClassVar[str] = "image"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "row"
    OUTPUT: ClassVar[type[Record]] = Image
    ORDERED: ClassVar[bool] = False

    def __init__(self, *, word: str = "", secs: float = 0.0, fails: type | None = None):
        self.config = Key(word)
        self.secs = secs
        self.fails = fails

    def __call__(self, table: pa.Table) -> list[Result]:
        time.sleep(self.secs)
        return [self.make(row["id"]) for row in table["row"].to_pylist()]

    def make(self, name: str) -> Result:
        number = int(name[1:])
        if self.fails is not None and number == 55:
            raise self.fails("broken")
        if number % 11 == 3:
            raise KeyError("bad row")
        if number % 7 == 0:
            return Drop("seventh", name)
        images = [Image(uri=name, source="s", given_prompt=f"{name}{k}") for k in range(2)]
        return tuple(images[: 1 + number % 2])


class Count:
    """Remembers how many rows came before."""

    NAME: ClassVar[str] = "count"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "image"
    OUTPUT: ClassVar[type[Record]] = Image
    ORDERED: ClassVar[bool] = True

    def __init__(self) -> None:
        self.config = Key()
        self.seen = 0

    def __call__(self, table: pa.Table) -> list[Result]:
        images = [Image.from_row(row) for row in table["image"].to_pylist()]
        numbered = []
        for image in images:
            numbered.append((dataclasses.replace(image, licence=str(self.seen)),))
            self.seen += 1
        return numbered


@pytest.fixture(scope="module")
def cluster():
    """A head that works not and two machines that do, all on loopback."""
    from ray import cloudpickle
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    # as on machines whose firewalls ask: loopback stands for itself, also in other processes
    patch = pytest.MonkeyPatch()
    patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
    patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "node_ip_address": "127.0.0.1", "include_dashboard": False},
    )
    yield made
    ray.shutdown()
    made.shutdown()
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    patch.undo()


@pytest.fixture
def machines(cluster):
    nodes = [cluster.add_node(num_cpus=2, node_ip_address="127.0.0.1") for _ in range(2)]
    cluster.wait_for_nodes()
    yield nodes
    for node in nodes:
        if node in cluster.worker_nodes:
            cluster.remove_node(node, allow_graceful=False)


def make_config(address: str, **settings) -> RunnerConfig:
    settings = {"num_workers": 4, "stall_secs": 120.0, **settings}
    made = RayConfig(address=address, **settings)
    return RunnerConfig(shard_rows=SHARD_ROWS, batch_rows=5, engine="ray", ray=made)


def read_files(folder: Path) -> dict[str, bytes]:
    paths = sorted(folder.rglob("part-*.parquet"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def run_locally(out: Path, *, word: str = ""):
    runner = LocalRunner(out, RunnerConfig(shard_rows=SHARD_ROWS, batch_rows=5))
    folder = runner.run(ToImage(word=word), Rows())
    return folder, runner.run(Count(), folder)


def test_a_cluster_gives_the_same_files(cluster, machines, tmp_path):
    wanted = run_locally(tmp_path / "local")
    runner = RayRunner(tmp_path / "ray", make_config(cluster.address))
    folder = runner.run(ToImage(), Rows())
    found = folder, runner.run(Count(), folder)
    runner.close()
    assert read_files(tmp_path / "ray") == read_files(tmp_path / "local")
    for one, other in zip(found, wanted, strict=True):
        assert dataclasses.replace(one.stats, secs=0.0) == dataclasses.replace(
            other.stats, secs=0.0
        )


def test_a_machine_that_goes_costs_nothing(cluster, machines, tmp_path):
    run_locally(tmp_path / "local")
    killed = []

    def kill_one(stage: str, done: int, total: int | None, status: str) -> None:
        if done >= 100 and not killed:
            killed.append(machines[0])
            os.kill(machines[0].all_processes["raylet"][0].process.pid, signal.SIGKILL)

    runner = RayRunner(tmp_path / "ray", make_config(cluster.address), progress=kill_one)
    folder = runner.run(ToImage(secs=0.05), Rows())
    runner.run(Count(), folder)
    runner.close()
    assert killed
    assert read_files(tmp_path / "ray") == read_files(tmp_path / "local")


@pytest.mark.parametrize("error", [OSError, MemoryError])
def test_the_machines_trouble_ends_the_run(cluster, machines, tmp_path, error):
    runner = RayRunner(tmp_path, make_config(cluster.address))
    with pytest.raises(error, match="broken"):
        runner.run(ToImage(fails=error), Rows())
    runner.close()


def test_a_run_that_makes_no_progress_is_ended(cluster, machines, tmp_path):
    config = make_config(cluster.address, num_cpus=64.0, stall_secs=5.0)
    runner = RayRunner(tmp_path, config)
    with pytest.raises(RuntimeError, match=r"not one row .* in \d+ seconds .* num_cpus 64"):
        runner.run(ToImage(), Rows())
    runner.close()


class Here(ToImage):
    """Says in which folder it runs; drops nothing."""

    def make(self, name: str) -> Result:
        return (Image(uri=str(Path.cwd()), source="s", given_prompt=name),)


def test_a_shard_that_takes_long_is_no_stall(cluster, machines, tmp_path):
    told = []
    runner = RayRunner(
        tmp_path,
        make_config(cluster.address, stall_secs=12.0),
        progress=lambda stage, done, total, status: told.append(done),
    )
    runner.run(Here(word="started"), Rows(4 * SHARD_ROWS))  # workers take seconds to start
    told.clear()
    # two batches of five rows in seven seconds: fourteen a shard
    folder = runner.run(Here(secs=7.0), Rows(SHARD_ROWS))
    runner.close()
    assert folder.stats.num_in == SHARD_ROWS
    assert any(0 < done < SHARD_ROWS for done in told)


def test_relative_paths_mean_the_same_on_all_machines(cluster, machines, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = RayRunner(Path("out"), make_config(cluster.address))
    folder = runner.run(Here(), Rows())
    runner.close()
    found = [
        child["uri"]
        for table in shards.iterate_shards(folder.folder, ["children"])
        for children in table["children"].to_pylist()
        for child in children
    ]
    assert set(found) == {str(tmp_path)}
    assert len(found) == NUM_ROWS


class Central(Here):
    """Keeps a budget, or not."""

    def __init__(self, *, is_central: bool):
        super().__init__()
        self.config = Key(str(is_central))
        self.is_central = is_central

    def make(self, name: str) -> Result:
        return (Image(uri=str(os.getpid()), source="s", given_prompt=name),)


@pytest.mark.parametrize("is_central", [True, False])
def test_what_keeps_a_budget_runs_where_the_command_runs(cluster, machines, tmp_path, is_central):
    runner = RayRunner(tmp_path, make_config(cluster.address))
    folder = runner.run(Central(is_central=is_central), Rows())
    runner.close()
    shard = shards.read_table(shards.list_shards(folder.folder)[0])
    by_the_command = shard["children"].to_pylist()[0][0]["uri"] == str(os.getpid())
    assert by_the_command == is_central


DRIVER = """
import sys
from pathlib import Path
from ray import cloudpickle
sys.path.insert(0, sys.argv[3])
import tests.pe.stages.test_ray_runner as module
cloudpickle.register_pickle_by_value(module)
runner = module.RayRunner(Path(sys.argv[1]), module.make_config(sys.argv[2]))
runner.run(module.ToImage(secs=0.1), module.Rows())
"""


def test_a_driver_that_goes_is_run_again(cluster, machines, tmp_path):
    folder, _ = run_locally(tmp_path / "local")
    out, root = tmp_path / "ray", Path(__file__).parents[3]
    command = [sys.executable, "-c", DRIVER, str(out), cluster.address, str(root)]
    with subprocess.Popen(command) as process:
        begin = time.monotonic()
        while len(list(out.rglob("part-*"))) < 5:
            assert process.poll() is None
            assert time.monotonic() - begin < 120
            time.sleep(0.05)
        process.kill()
    assert len(list(out.rglob("part-*"))) < NUM_ROWS // SHARD_ROWS
    subprocess.run(command, check=True, timeout=180)
    name = folder.folder.relative_to(tmp_path / "local")
    assert read_files(out / name) == read_files(folder.folder)
