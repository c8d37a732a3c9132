"""Queries in, pairs of expansion steps out: the stages of `pe refine_steps`.

out/stages/       what a rerun goes on from
out/pairs/        the pairs, as a dataset that pe train reads;  dropped/: queries that gave none
out/stats.json    counts; written last: its presence means "finished"
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pe import shards
from pe.config import operative_config
from pe.engines.expander import Expander, T5Expander
from pe.engines.model import load_model
from pe.refine.finished import STATS, read_finished
from pe.refine.source import QuerySource, RefineSourceConfig
from pe.refine.steps import StepConfig, StepKey, StepStage
from pe.stages.finished import WRITTEN, count_stages, list_files, write_pairs
from pe.stages.local_runner import Progress, RunnerConfig
from pe.stages.runner import hold_runner, make_runner
from pe.weights.checkpoint import hash_values
from pe.weights.formats import open_model


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepPairsConfig:
    """All settings of making pairs of steps."""

    source: RefineSourceConfig = dataclasses.field(default_factory=RefineSourceConfig)
    steps: StepConfig = dataclasses.field(default_factory=StepConfig)
    runner: RunnerConfig = dataclasses.field(default_factory=RunnerConfig)


def make_step_pairs(
    data: Path,
    model: str,
    out: Path,
    config: StepPairsConfig,
    *,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Expand the refine half's queries of `data` in steps; return what stats.json holds.

    Raises ValueError for a model or data that are not to be had, where no pair came, and when `out`
    holds pairs of other settings.
    """

    def load_expander() -> Expander:
        return T5Expander(load_model(model))

    source = QuerySource(data, config.source, shard_rows=config.runner.shard_rows)
    values = hash_values(open_model(model).checkpoint)
    stage = StepStage(StepKey(steps=config.steps, model=values), load_expander)
    runner = make_runner(out, config.runner, progress=progress)
    _, key = runner.stage_folder(stage, source.key)
    finished = read_finished(out, key)
    if finished is not None:
        say(f"{out} has its pairs already, with these settings")
        return finished
    with hold_runner(runner):
        folder = runner.run(stage, source)
        if not folder.stats.num_out:
            raise ValueError(
                f"not one pair came of {folder.stats.num_in:,} queries ({folder.stats.reasons}); "
                "lower StepConfig.min_kept and min_query_kept, raise max_added, or use a model "
                "that reads longer texts (LengthConfig.inputs)"
            )
        write_pairs(out, [folder])
        shards.write_text(out / "config.gin", operative_config(config))
        stats = {"key": key, **count_stages([folder])}
        stats["files"] = list_files(out, WRITTEN)
        shards.write_json(out / STATS, stats)
    return stats
