import dataclasses
from collections.abc import Container, Iterator
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pe.records import Image, Inversion, Record
from pe.stages.local_runner import LocalRunner, explode, pack_results
from pe.stages.lock import hold_folder
from pe.stages.runner_config import RayConfig, RunnerConfig
from pe.stages.stage import ClosedStage, Drop, Result, call_guarded

ROWS = [{"id": f"f:{i}", "text": f"t{i}"} for i in range(10)]
CONFIG = RunnerConfig(shard_rows=4, batch_rows=2, num_threads=2)


class RowSource:
    key = "source"
    num_rows = 10

    def tables(self, done: Container[int]) -> Iterator[tuple[int, pa.Table | None]]:
        for index in range(3):
            rows = ROWS[index * 4 : index * 4 + 4]
            yield index, None if index in done else pa.table({"row": pa.array(rows)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoConfig:
    word: str = "w"


class ToImage:
    """Makes an image of each row; drops t3, raises at t5, makes two of t7."""

    NAME: ClassVar[str] = "to_image"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "row"
    OUTPUT: ClassVar[type[Record]] = Image
    ORDERED: ClassVar[bool] = False

    def __init__(self, config: NoConfig, *, fail_at: str = ""):
        self.config = config
        self.fail_at = fail_at
        self.num_rows = 0

    def __call__(self, table: pa.Table) -> list[Result]:
        rows = table["row"].to_pylist()
        if any(row["text"] == self.fail_at for row in rows):
            raise KeyboardInterrupt  # a person, or the machine, stops the run here
        if any(row["text"] == "t5" for row in rows):
            raise KeyError("bad row")
        self.num_rows += len(rows)
        return [self.make(row["text"]) for row in rows]

    def make(self, text: str) -> Result:
        if text == "t3":
            return Drop("three")
        image = Image(uri=text, source="s", given_prompt=text)
        twin = Image(uri=text, source="s", given_prompt=text + "b")
        return (image, twin) if text == "t7" else (image,)


class CountSeen:
    """An ordered stage: the caption of each row is how many came before it."""

    NAME: ClassVar[str] = "count"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "image"
    OUTPUT: ClassVar[type[Record]] = Inversion
    ORDERED: ClassVar[bool] = True

    def __init__(self, config: NoConfig, *, fail_at: int = -1):
        self.config = config
        self.seen = 0
        self.fail_at = fail_at

    def __call__(self, table: pa.Table) -> list[Result]:
        results: list[Result] = []
        for image in table["image"].to_pylist():
            if self.seen == self.fail_at:
                raise KeyboardInterrupt
            results.append(
                (
                    Inversion(
                        image_id=image["id"],
                        source_id="s",
                        caption=str(self.seen),
                        flavors=(),
                        prompt=image["given_prompt"],
                        method="m",
                    ),
                )
            )
            self.seen += 1
        return results


def read_files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("part-*.parquet"))
    }


def test_kept_and_dropped_add_up_and_one_bad_row_costs_only_itself(tmp_path: Path):
    stats = LocalRunner(tmp_path, CONFIG).run(ToImage(NoConfig()), RowSource()).stats
    assert (stats.num_in, stats.num_kept, stats.num_dropped, stats.num_out) == (10, 8, 2, 9)
    assert stats.reasons == {"error_KeyError": 1, "three": 1}


def test_a_shard_holds_every_input_row_once_in_order(tmp_path: Path):
    folder = LocalRunner(tmp_path, CONFIG).run(ToImage(NoConfig()), RowSource()).folder
    shard = pq.read_table(folder / "part-00000.parquet")
    assert [row["id"] for row in shard["row"].to_pylist()] == ["f:0", "f:1", "f:2", "f:3"]
    assert shard["reason"].to_pylist() == [None, None, None, "three"]


def test_explode_gives_each_child_a_row_beside_its_parents():
    stage = ToImage(NoConfig())
    table = pa.table({"row": pa.array([ROWS[6], ROWS[3], ROWS[7]])})
    shard = pack_results(stage, table, stage(table))
    rows = explode(shard).to_pylist()
    assert [(row["row"]["id"], row["image"]["given_prompt"]) for row in rows] == [
        ("f:6", "t6"),
        ("f:7", "t7"),
        ("f:7", "t7b"),
    ]


def test_an_interrupted_run_goes_on_and_ends_identical(tmp_path: Path):
    straight = LocalRunner(tmp_path / "a", CONFIG)
    folder = straight.run(ToImage(NoConfig()), RowSource())
    straight.run(CountSeen(NoConfig()), folder)
    broken = LocalRunner(tmp_path / "b", CONFIG)
    with pytest.raises(KeyboardInterrupt):
        broken.run(ToImage(NoConfig(), fail_at="t8"), RowSource())
    second = ToImage(NoConfig())
    folder = broken.run(second, RowSource())
    assert second.num_rows == 2  # the two whole shards were not made again
    with pytest.raises(KeyboardInterrupt):
        broken.run(CountSeen(NoConfig(), fail_at=7), folder)
    broken.run(CountSeen(NoConfig()), folder)
    assert read_files(tmp_path / "a") == read_files(tmp_path / "b")
    assert len(read_files(tmp_path / "a")) == 6


def test_a_finished_stage_is_not_run_again_and_another_setting_has_another_folder(tmp_path: Path):
    runner = LocalRunner(tmp_path, CONFIG)
    first = runner.run(ToImage(NoConfig()), RowSource())
    again = ToImage(NoConfig())
    assert runner.run(again, RowSource()).stats == first.stats
    assert again.num_rows == 0
    other = runner.run(ToImage(NoConfig(word="x")), RowSource())
    assert other.folder != first.folder


def test_a_bad_row_of_an_ordered_stage_does_not_make_it_see_the_others_twice(tmp_path: Path):
    class Remembering(CountSeen):
        def __call__(self, table: pa.Table) -> list[Result]:
            if any(image["given_prompt"] == "t2" for image in table["image"].to_pylist()):
                raise KeyError("bad row")
            return super().__call__(table)

    runner = LocalRunner(tmp_path, CONFIG)
    images = runner.run(ToImage(NoConfig()), RowSource())
    stage = Remembering(NoConfig())
    folder = runner.run(stage, images)
    assert folder.stats.reasons == {"error_KeyError": 1}
    shard = pq.read_table(folder.folder / "part-00000.parquet")
    captions = [[c["caption"] for c in row] for row in shard["children"].to_pylist()]
    assert captions == [["0"], ["1"], []]
    assert stage.seen == 8


def test_a_stage_that_miscounts_stops_the_run():
    class Short(ToImage):
        def __call__(self, table: pa.Table) -> list[Result]:
            return []

    with pytest.raises(RuntimeError, match="gave 0 results for 1 rows"):
        call_guarded(Short(NoConfig()), pa.table({"row": pa.array([ROWS[0]])}))


def test_the_machines_trouble_is_not_the_rows(tmp_path: Path):
    class Full(ToImage):
        def __call__(self, table: pa.Table) -> list[Result]:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        LocalRunner(tmp_path, CONFIG).run(Full(NoConfig()), RowSource())


class JaxRuntimeError(RuntimeError):
    """Has the name of JAX's."""


class OutOfMemoryError(RuntimeError):
    """Has the name of PyTorch's."""


@pytest.mark.parametrize("kind", [JaxRuntimeError, OutOfMemoryError])
def test_a_device_that_fails_over_one_row_ends_the_run_and_over_more_halves_them(kind):
    class Small(ToImage):
        most = 1

        def __call__(self, table: pa.Table) -> list[Result]:
            if len(table) > self.most:
                raise kind("RESOURCE_EXHAUSTED: out of memory")
            return super().__call__(table)

    rows = pa.table({"row": pa.array(ROWS[:3])})
    results = call_guarded(Small(NoConfig()), rows)
    assert [result[0].uri for result in results if not isinstance(result, Drop)] == [
        "t0", "t1", "t2",
    ]  # fmt: skip
    Small.most = 0
    with pytest.raises(kind, match="out of memory"):
        call_guarded(Small(NoConfig()), rows)


def test_progress_is_told_of_every_batch_and_of_every_shard_that_was_there(tmp_path: Path):
    told = []
    runner = LocalRunner(tmp_path, CONFIG, progress=lambda *args: told.append(args))
    folder = runner.run(ToImage(NoConfig()), RowSource()).folder
    assert told == [("to_image", rows, 10, "") for rows in (2, 4, 6, 8, 10)]
    (folder / "manifest.json").unlink()
    (folder / "part-00001.parquet").unlink()
    told.clear()
    runner.run(ToImage(NoConfig()), RowSource())
    assert told == [("to_image", rows, 10, "") for rows in (4, 6, 8, 10)]


class WithModel(ToImage):
    opened = 0

    def open(self) -> None:
        type(self).opened += 1
        if self.opened > 1:
            raise ValueError("no such model")


def test_a_stage_is_opened_once_and_only_where_rows_are_left(tmp_path: Path):
    WithModel.opened = 0
    LocalRunner(tmp_path, CONFIG).run(WithModel(NoConfig()), RowSource())
    LocalRunner(tmp_path, CONFIG).run(WithModel(NoConfig()), RowSource())
    assert WithModel.opened == 1


def test_a_model_that_cannot_be_loaded_ends_the_run_and_drops_no_row(tmp_path: Path):
    WithModel.opened = 1
    with pytest.raises(ValueError, match="no such model"):
        LocalRunner(tmp_path, CONFIG).run(WithModel(NoConfig()), RowSource())
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_stage_is_closed_after_its_last_row_and_after_a_failure(tmp_path: Path):
    class Closing(ToImage):
        is_open = False

        def open(self) -> None:
            self.is_open = True

        def close(self) -> None:
            self.is_open = False

    stage = Closing(NoConfig())
    assert isinstance(stage, ClosedStage)
    LocalRunner(tmp_path / "whole", CONFIG).run(stage, RowSource())
    assert not stage.is_open
    assert stage.num_rows == 9
    stage = Closing(NoConfig(), fail_at="t6")
    with pytest.raises(KeyboardInterrupt):
        LocalRunner(tmp_path / "cut", CONFIG).run(stage, RowSource())
    assert not stage.is_open


def test_a_shard_that_is_lost_or_cut_off_is_made_anew(tmp_path: Path):
    runner = LocalRunner(tmp_path, CONFIG)
    folder = runner.run(ToImage(NoConfig()), RowSource())
    before = read_files(tmp_path)
    paths = sorted(folder.folder.glob("part-*.parquet"))
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes()[:-200])
    again = runner.run(ToImage(NoConfig()), RowSource())
    assert read_files(tmp_path) == before
    assert again.stats.num_in == folder.stats.num_in


def test_a_lost_shard_without_rows_is_made_anew_in_its_place(tmp_path: Path):
    class DropSecond(ToImage):
        def make(self, text: str) -> Result:
            return Drop("second") if text in ("t4", "t5", "t6", "t7") else super().make(text)

    runner = LocalRunner(tmp_path, CONFIG)
    images = runner.run(DropSecond(NoConfig()), RowSource())
    folder = runner.run(CountSeen(NoConfig()), images)
    before = read_files(tmp_path)
    empty = next(
        path for path in folder.folder.glob("part-*") if not pq.read_metadata(path).num_rows
    )
    empty.unlink()
    assert runner.run(CountSeen(NoConfig()), images).stats.num_in == folder.stats.num_in
    assert read_files(tmp_path) == before


def test_a_shard_that_is_damaged_inside_is_named(tmp_path: Path):
    folder = LocalRunner(tmp_path, CONFIG).run(ToImage(NoConfig()), RowSource())
    path = sorted(folder.folder.glob("part-*.parquet"))[0]
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"(?s)part-00000.parquet is damaged .* remove it"):
        list(folder.tables(frozenset()))


def test_a_folder_has_one_writer(tmp_path: Path):
    folder = tmp_path / "stages"
    refused = pytest.raises(ValueError, match="another process writes to")
    with hold_folder(folder), refused, hold_folder(folder):
        pass
    with hold_folder(tmp_path / "stages"):
        pass


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "spark"}, "RunnerConfig.engine: got 'spark', expected one of"),
        ({"ray": RayConfig(address="127.0.0.1:6379")}, "RunnerConfig.engine is 'local'"),
        ({"shard_rows": 0}, "RunnerConfig.shard_rows: got 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RunnerConfig(**settings)
