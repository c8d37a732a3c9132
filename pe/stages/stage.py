"""What a stage is: a class that knows no engine.

A stage is built from its config and called with an Arrow table; it gives one result per input row:
the tuple of records made of that row, or `Drop(reason)`. A row of the table holds the whole way so
far, one struct column per record (`image`, `inversion`, `query`), so that a stage reads what it
needs of its ancestors without a join, whichever engine runs it.
"""

import dataclasses
from typing import Any, ClassVar, Protocol, runtime_checkable

import pyarrow as pa

from pe.device_error import is_device_error
from pe.records import Record

DETAIL_CHARACTERS = 200  # of an error's message


@dataclasses.dataclass(frozen=True)
class Drop:
    """Why a row gives nothing: a short snake_case code, counted in stats.json.

    `detail` says what it was found by, for who reads the list of drops.
    """

    reason: str
    detail: str = ""


Result = tuple[Record, ...] | Drop


@runtime_checkable
class Stage(Protocol):
    """One step of a pipeline. INPUT names the column whose `id` identifies the parent row.

    `secs` and files are the runner's affair; a stage is a pure function of its config and its rows,
    except that an ORDERED stage sees every row once, in order, and may remember (duplicates).
    """

    NAME: ClassVar[str]
    VERSION: ClassVar[str]
    INPUT: ClassVar[str]
    OUTPUT: ClassVar[type[Record]]
    ORDERED: ClassVar[bool]
    config: Any

    def __call__(self, table: pa.Table) -> list[Result]:
        """Return one result per row of the table."""
        ...


@runtime_checkable
class OpenedStage(Stage, Protocol):
    """A stage with models to load: `open` is called once, before its first batch.

    What it raises ends the run; what a batch raises costs rows (`call_guarded`).
    """

    def open(self) -> None: ...


@runtime_checkable
class ClosedStage(OpenedStage, Protocol):
    """An opened stage whose models are not needed after its last batch: `close` lets them go."""

    def close(self) -> None: ...


@runtime_checkable
class CentralStage(Protocol):
    """A stage that may keep one account for all rows (a budget): then it runs in one process."""

    @property
    def is_central(self) -> bool: ...


@runtime_checkable
class TellingStage(Protocol):
    """A stage that has more to say of its work than rows: `status` is shown beside them."""

    def status(self) -> str: ...


def column_name(record_type: type[Record]) -> str:
    """Return the column that holds a record: Inversion -> inversion."""
    return record_type.__name__.lower()


def call_guarded(stage: Stage, table: pa.Table) -> list[Result]:
    """Call a stage; when it raises, bisect, so that one bad row is dropped and the rest is kept.

    An ORDERED stage remembers nothing of a call that raises, so that it can be called again.

    What is the machine's trouble and not the row's is raised: no memory, an OSError, and a device
    that has no memory even for one row, or is lost.
    """
    try:
        results = stage(table)
    except (MemoryError, OSError):
        raise
    except Exception as error:
        if len(table) == 1:
            if is_device_error(error):
                raise
            return [Drop(f"error_{type(error).__name__}", str(error)[:DETAIL_CHARACTERS])]
        half = len(table) // 2
        return call_guarded(stage, table.slice(0, half)) + call_guarded(stage, table.slice(half))
    if len(results) != len(table):
        raise RuntimeError(f"stage {stage.NAME} gave {len(results)} results for {len(table)} rows")
    return results
