"""The runner that a config asks for."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pe.stages.local_runner import LocalRunner, Progress
from pe.stages.lock import hold_folder
from pe.stages.ray_runner import RayRunner
from pe.stages.runner_config import RunnerConfig


def make_runner(
    out: Path, config: RunnerConfig, *, progress: Progress | None = None
) -> LocalRunner:
    """Return what runs stages under `out/stages`; no cluster is started before it is needed."""
    made = RayRunner if config.engine == "ray" else LocalRunner
    return made(out, config, progress=progress)


@contextlib.contextmanager
def hold_runner(runner: LocalRunner) -> Iterator[None]:
    """Hold its folder for this process, and end its workers after.

    Raises ValueError where another process writes to the folder.
    """
    with hold_folder(runner.out / "stages"), contextlib.closing(runner):
        yield
