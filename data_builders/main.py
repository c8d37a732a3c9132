"""`pe build`: run the stages over a source and publish the dataset. `pe show`: walk a row back.

The source is a table of prompts, or pictures (`image_plan.py`).

out/stages/NAME-VERSION-KEY/   one folder a stage and setting; what a rerun goes on from
out/pairs/  out/dropped/       the dataset, and every row that is not in it with its reason
out/prompt_expansion/1.0.0/    the same as a TensorFlow dataset
out/README.md  out/config.gin  card and settings
out/stats.json                 counts by stage; written last: its presence means "finished"
"""

import dataclasses
import shutil
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data_builders import card
from data_builders.classifying import ClassifierStage
from data_builders.cleaning import DuplicateConfig, DuplicateStage
from data_builders.croissant import make_croissant
from data_builders.image_filter import ImageFilterConfig
from data_builders.image_plan import is_image_source, make_image_stages, top_quartile
from data_builders.image_source import ImageSource, ImageSourceConfig
from data_builders.ingest import IngestConfig, IngestStage, TableSource
from data_builders.inversion import GivenPromptConfig, GivenPromptStage
from data_builders.pair_counts import count_pairs
from data_builders.pairing import PairStage
from data_builders.prompt_expansion import NAME, check_file_format, export_tfds
from data_builders.query_extraction import RuleQueryConfig
from data_builders.query_plan import make_query_stages
from data_builders.query_request import LlmQueryConfig
from data_builders.screening import ScreenConfig, make_screens
from data_builders.sources import SourceConfig
from pe import shards
from pe.config import operative_config
from pe.data.image_file import ImageLimits
from pe.engines.aesthetics import AestheticConfig
from pe.engines.inverter import InverterConfig
from pe.engines.llm import LlmConfig
from pe.engines.text_classifier import ClassifierConfig
from pe.pairs import PairConfig
from pe.stages.finished import WRITTEN, count_stages, find_lost, list_files, write_pairs
from pe.stages.local_runner import OUTCOME, LocalRunner, Progress, RunnerConfig, Source, StageFolder
from pe.stages.runner import hold_runner, make_runner
from pe.stages.stage import Stage

STATS, CROISSANT = "stats.json", "croissant.json"
PUBLISHED = ("pairs", "dropped", NAME, "README.md", card.PLOTS, CROISSANT, "config.gin")
INPUTS = ("auto", "prompts", "images")
PUBLISHING = shards.TEMPORARY + "publish"


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildConfig:
    """All settings of a build.

    input   what the source is: "prompts", "images", or "auto": a folder, a tar, a picture and
            Parquet with images and files of votes are pictures, all else is a table of prompts
    llm     where it names a model, that writes the queries; else rules cut them out of the prompts
    """

    input: str = "auto"
    file_format: str = "arrayrecord"
    images: ImageSourceConfig = dataclasses.field(default_factory=ImageSourceConfig)
    limits: ImageLimits = dataclasses.field(default_factory=ImageLimits)
    aesthetics: AestheticConfig = dataclasses.field(default_factory=AestheticConfig)
    filter: ImageFilterConfig = dataclasses.field(default_factory=ImageFilterConfig)
    inverter: InverterConfig = dataclasses.field(default_factory=InverterConfig)
    source: SourceConfig = dataclasses.field(default_factory=SourceConfig)
    runner: RunnerConfig = dataclasses.field(default_factory=RunnerConfig)
    ingest: IngestConfig = dataclasses.field(default_factory=IngestConfig)
    invert: GivenPromptConfig = dataclasses.field(default_factory=GivenPromptConfig)
    screen: ScreenConfig = dataclasses.field(default_factory=ScreenConfig)
    classifier: ClassifierConfig = dataclasses.field(default_factory=ClassifierConfig)
    duplicates: DuplicateConfig = dataclasses.field(default_factory=DuplicateConfig)
    queries: RuleQueryConfig = dataclasses.field(default_factory=RuleQueryConfig)
    llm: LlmConfig = dataclasses.field(default_factory=LlmConfig)
    llm_queries: LlmQueryConfig = dataclasses.field(default_factory=LlmQueryConfig)
    pairs: PairConfig = dataclasses.field(default_factory=PairConfig)

    def __post_init__(self) -> None:
        check_file_format(self.file_format)
        if self.input not in INPUTS:
            raise ValueError(f"BuildConfig.input: got {self.input!r}, expected one of {INPUTS}")


def make_plan(
    source: Path, out: Path, config: BuildConfig, say: Callable[[str], None]
) -> tuple[Source, list[Stage]]:
    """Open a source and make the stages that it goes through, in order; no encoder is loaded.

    Raises FileNotFoundError where there is no source, and ValueError for one that cannot be read,
    and for settings that say nothing about a source of its kind.
    """
    if not source.exists():
        raise FileNotFoundError(
            f"there is nothing at {source}: expected a table of prompts, or pictures; check the "
            f"path (from {Path.cwd()})"
        )
    stages: list[Stage]
    if config.input == "images" or (config.input == "auto" and is_image_source(source)):
        set_names = list_changes(config.source, only=("prompt_column", "query_column"))
        if set_names:
            raise ValueError(
                f"{source} holds pictures, which have no such columns: leave out "
                f"{', '.join(set_names)} (as flags, too)"
            )
        rows = ImageSource(source, config.images, shard_rows=config.runner.shard_rows)
        stages = make_image_stages(
            rows.root,
            limits=config.limits,
            aesthetics=config.aesthetics,
            keep=config.filter,
            inverter=config.inverter,
            say=say,
        )
    else:
        parts = (config.inverter, config.aesthetics, config.filter)
        set_names = [name for part in parts for name in list_changes(part)]
        if set_names:
            raise ValueError(
                f"{source} is a table of prompts, which no encoder looks at: leave out "
                f"{', '.join(set_names)} (as flags, too), or give pictures"
            )
        rows = TableSource(source, config.source, shard_rows=config.runner.shard_rows)
        stages = [IngestStage(config.ingest), GivenPromptStage(config.invert)]
    screen, screen_pairs = make_screens(config.screen)
    stages.append(screen)
    if config.classifier.model:
        stages.append(ClassifierStage(config.classifier))
    stages.append(DuplicateStage(config.duplicates))
    stages += make_query_stages(config.queries, config.llm_queries, config.llm, out=out, say=say)
    return rows, [*stages, PairStage(config.pairs), screen_pairs]


def list_changes(config: Any, *, only: Container[str] | None = None) -> list[str]:
    """Return the names of what in a config differs from its defaults, parts of it included.

    InverterConfig(encoder="clip")  ->  ["InverterConfig.encoder"]
    `only` these fields are looked at.
    """
    default, changed = type(config)(), []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if only is not None and field.name not in only:
            continue
        if dataclasses.is_dataclass(value):
            changed += list_changes(value)
        elif value != getattr(default, field.name):
            changed.append(f"{type(config).__name__}.{field.name}")
    return changed


def build(
    source: Path,
    out: Path,
    config: BuildConfig,
    *,
    replace: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Build the dataset of a table or of pictures under `out`; return what stats.json holds.

    A killed build goes on where it was; a finished one is returned as it stands.

    Raises FileNotFoundError where there is no source; ValueError for one that cannot be read, an
    `out` inside it, and when `out` holds the dataset of another source or other settings and
    `replace` is not given.
    """
    check_folder(out, source)
    rows, stages = make_plan(source, out, config, say)
    runner = make_runner(out, config.runner, progress=progress)
    key = f"{plan_key(runner, rows.key, stages)}-{config.file_format}"
    finished = card.read_stats(out / STATS)
    if finished is not None and finished["key"] == key:
        lost = find_lost(out, finished.get("files", {}))
        if not lost:
            say(f"{out} is finished already, with this source and these settings")
            return finished
        say(f"{len(lost)} files of {out} were lost or cut off since, such as {lost[0]}")
    begun = finished or card.read_stats(out / PUBLISHING / STATS)  # or killed while it was moved in
    if begun is not None and begun["key"] != key and not replace:
        raise ValueError(
            f"{out} holds a dataset of another source or other settings; "
            "choose another --out, or give --replace to put the new one in its place"
        )
    with hold_runner(runner):
        folders = run_stages(runner, rows, stages, config.pairs)
        if folders[-1].stats.num_out == 0:
            reasons = "; ".join(
                f"{f.stats.name}: {f.stats.reasons}" for f in folders if f.stats.reasons
            )
            raise ValueError(f"{source}: not one pair came of its rows ({reasons})")
        say("writing pairs, TensorFlow dataset and card")
        stats = {"key": key, **count_stages(folders)}
        return publish(folders, out, config, stats)


def run_stages(
    runner: LocalRunner, rows: Source, stages: Sequence[Stage], pairs: PairConfig
) -> list[StageFolder]:
    """Run stages one after the other; the stage of pairs is told the dataset's top quartile."""
    folders: list[StageFolder] = []
    for stage in stages:
        if isinstance(stage, PairStage) and pairs.high_aesthetic is None:
            high = top_quartile(folders)
            stage = PairStage(dataclasses.replace(pairs, high_aesthetic=high))
        folders.append(runner.run(stage, folders[-1] if folders else rows))
    return folders


def check_folder(out: Path, source: Path) -> None:
    """Raise ValueError when `out` is no folder, in the source, or holds what would be lost."""
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise ValueError(
            f"--out {out} is inside the source {source}: what a build writes would be taken for a "
            "part of the source, so that it could not go on where it was; choose a folder beside it"
        )
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; expected a folder, new or of an earlier build")
    taken = [name for name in PUBLISHED if (out / name).exists()]
    if taken and not (out / "stages").is_dir():
        raise ValueError(
            f"--out {out} holds {taken[0]}, which no pe build made; choose a new or empty folder"
        )


def plan_key(runner: LocalRunner, source_key: str, stages: list[Stage]) -> str:
    """Return a hash of the source and the settings of every stage, as they were given."""
    key = source_key
    for stage in stages:
        _, key = runner.stage_folder(stage, key)
    return key


def publish(
    folders: list[StageFolder], out: Path, config: BuildConfig, stats: dict[str, Any]
) -> dict[str, Any]:
    """Write the finished dataset beside its place, then move it in; stats.json comes last.

    Returns what stats.json holds.
    """
    new = out / PUBLISHING
    shutil.rmtree(new, ignore_errors=True)
    write_pairs(new, folders)
    export_tfds(new / "pairs", new, file_format=config.file_format)
    shards.write_text(new / "config.gin", operative_config(config))
    counts = count_pairs(new / "pairs")
    shards.write_text(new / "README.md", card.make_card(counts, stats))
    card.write_plots(counts, new / card.PLOTS)
    licences = sorted(licence for licence in counts.values["licence"] if licence)
    about = make_croissant("prompt_expansion", card.describe(counts), licences, stats["key"])
    shards.write_json(new / CROISSANT, about)
    stats = {**stats, "files": list_files(new, (*WRITTEN, NAME))}
    shards.write_json(new / STATS, stats)
    (out / STATS).unlink(missing_ok=True)  # until it is back, `out` is not finished
    (new / "old").mkdir()
    for name in PUBLISHED:
        if (out / name).exists():
            (out / name).replace(new / "old" / name)
        (new / name).replace(out / name)
    (new / STATS).replace(out / STATS)
    shutil.rmtree(new)
    return stats


def find_row(data: Path, record_id: str) -> list[dict[str, Any]]:
    """Find the way of a record through the stages, newest first: [{stage, reason, records}].

    The id may be that of a pair, query, inversion or image, or of a source row: FILE:LINE of a
    table, the path of a picture from the source's folder.

    Raises ValueError when `data` is no built dataset or nothing in it has the id.
    """
    stats = card.read_stats(data / STATS)
    if stats is None:
        raise ValueError(f"{data} is no finished dataset ({STATS} is missing); run pe build first")
    for name in reversed(stats["stage_folders"]):
        found = []
        for shard in shards.iterate_shards(data / "stages" / name):
            found += [_describe(name, row) for row in _rows_with_id(shard, record_id)]
        if found:
            return found
    raise ValueError(
        f"no record {record_id!r} in {data}; expected the id of a pair, query, "
        "inversion or image, or of a source row: FILE:LINE of a table, the path of a picture from "
        "the source's folder"
    )


def _rows_with_id(shard: pa.Table, record_id: str) -> Iterator[dict[str, Any]]:
    ancestors = [name for name in shard.column_names if name not in OUTCOME]
    children = shard["children"].combine_chunks()
    ids = pc.struct_field(pc.list_flatten(children), "id")
    parents = pc.list_parent_indices(children).filter(pc.equal(ids, record_id))
    hits = set(parents.to_pylist())
    for name in ancestors:
        equal = pc.equal(pc.struct_field(shard[name], "id"), record_id)
        hits |= set(pc.indices_nonzero(equal).to_pylist())
    for index in sorted(hits):
        row = shard.slice(index, 1).to_pylist()[0]
        picked = [child for child in row["children"] if child["id"] == record_id]
        yield {**row, "children": picked or row["children"]}


def _describe(stage: str, row: dict[str, Any]) -> dict[str, Any]:
    records = {name: row[name] for name in row if name not in OUTCOME}
    outcome = {name: row[name] for name in OUTCOME}
    return {"stage": stage, **outcome, **records}
