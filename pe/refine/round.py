"""One round of re-fine-tuning (arXiv:2312.16720): expand, draw, score, keep; then train on.

out/pictures/            the pictures of all rounds
out/round1/stages/       one folder a stage and setting; what a rerun goes on from
out/round1/pairs/        what was kept, as a dataset that pe train reads;  dropped/: what was not
out/round1/report.html   scores, what was kept by kind, flavors that gained and lost, pictures
out/round1/stats.json    counts by stage; written last: its presence means "chosen"
out/round1/run/          the base model, trained on with these pairs

A round that was killed anywhere goes on where it was.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pe import shards
from pe.config import operative_config
from pe.engines import aesthetics
from pe.engines.aesthetics import AestheticConfig, AestheticScorer
from pe.engines.expander import Expander, T5Expander
from pe.engines.model import load_model
from pe.engines.t2i import ImageModel, T2iConfig
from pe.engines.vision import ImageTextEncoder, share_encoder
from pe.records import content_hash
from pe.refine.expansion import ExpansionConfig, ExpansionKey, ExpansionStage
from pe.refine.finished import STATS, read_finished
from pe.refine.pictures import PictureConfig, PictureFolder
from pe.refine.pruning import PruneKey, PruneStage, find_unwanted
from pe.refine.rendering import RenderConfig, RenderKey, RenderStage
from pe.refine.report import write_report
from pe.refine.scoring import ScoreConfig, ScoreKey, ScoreStage
from pe.refine.selection import SelectConfig, SelectKey, SelectStage, find_cutoff
from pe.refine.source import ExpansionSource, QuerySource, RefineSourceConfig
from pe.stages.finished import WRITTEN, count_stages, list_files, write_pairs
from pe.stages.local_runner import Progress, RunnerConfig, Source, StageFolder
from pe.stages.runner import hold_runner, make_runner
from pe.stages.stage import Stage
from pe.studio.image_model import load_image_model, name_image_model
from pe.train.config import TrainConfig
from pe.weights.checkpoint import hash_values
from pe.weights.formats import open_model
from pe.weights.open_clip import open_clip

PICTURES, RUN = "pictures", "run"
SENT_LOG = "sent.log"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RefineConfig:
    """All settings of re-fine-tuning.

    refined_rate  how often the trainer draws the pairs that were kept, beside the dataset's own
    """

    source: RefineSourceConfig = dataclasses.field(default_factory=RefineSourceConfig)
    expansion: ExpansionConfig = dataclasses.field(default_factory=ExpansionConfig)
    t2i: T2iConfig = dataclasses.field(default_factory=T2iConfig)
    render: RenderConfig = dataclasses.field(default_factory=RenderConfig)
    pictures: PictureConfig = dataclasses.field(default_factory=PictureConfig)
    score: ScoreConfig = dataclasses.field(default_factory=ScoreConfig)
    aesthetics: AestheticConfig = dataclasses.field(default_factory=AestheticConfig)
    select: SelectConfig = dataclasses.field(default_factory=SelectConfig)
    runner: RunnerConfig = dataclasses.field(default_factory=RunnerConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    refined_rate: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 < self.refined_rate <= 1.0:
            raise ValueError(
                f"RefineConfig.refined_rate: got {self.refined_rate}, expected above 0, at most 1"
            )
        if self.score.aesthetic_weight and not self.aesthetics.weights:
            raise ValueError(
                f"ScoreConfig.aesthetic_weight is {self.score.aesthetic_weight}, and nothing rates "
                "the pictures; set AestheticConfig.weights"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoundInput:
    """What a round begins with: queries of `data`, or `expansions` of a file; who expands."""

    data: Path | None
    expansions: Path | None
    expander: str
    number: int

    def __post_init__(self) -> None:
        if (self.data is None) == (self.expansions is None):
            raise ValueError("expected a dataset whose queries are expanded, or ready expansions")


def choose_pairs(
    given: RoundInput,
    out: Path,
    config: RefineConfig,
    *,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Expand, draw, score and keep; write the round's pairs. Returns what its stats.json holds.

    Raises ValueError for models and data that are not to be had, where nothing is kept, and when
    `out` holds the round of other settings; UnavailableError when a server cannot go on.
    """
    folder = out / f"round{given.number}"
    runner = make_runner(folder, config.runner, progress=progress)
    source = _open_source(given, config)
    stages = _make_stages(given, out, config, say)
    key = source.key
    for stage in stages:
        _, key = runner.stage_folder(stage, key)
    key = content_hash(key, json.dumps(dataclasses.asdict(config.select), sort_keys=True))
    finished = read_finished(folder, key)
    if finished is not None:
        say(f"{folder} has its pairs already, with these settings")
        return finished
    with hold_runner(runner):
        folders: list[StageFolder] = []
        for stage in stages:
            folders.append(runner.run(stage, folders[-1] if folders else source))
        scores = folders[-1].folder
        cutoff = find_cutoff(config.select, scores)
        select = SelectKey(select=config.select, cutoff=cutoff, round=given.number)
        folders.append(runner.run(SelectStage(select, scores), folders[-1]))
        if not folders[-1].stats.num_out:
            raise ValueError(
                f"not one expansion was kept: SelectConfig.mode {config.select.mode}, threshold "
                f"{config.select.threshold}; lower it"
            )
        say("writing pairs and report")
        stats = {"key": key, "cutoff": cutoff, **count_stages(folders)}
        write_pairs(folder, folders)
        shards.write_text(folder / "config.gin", operative_config(config))
        write_report(
            folder / "report.html",
            folders[-1].folder,
            out / PICTURES,
            select=config.select,
            cutoff=cutoff,
            title=f"Round {given.number}",
        )
        stats["files"] = list_files(folder, WRITTEN)
        shards.write_json(folder / STATS, stats)
    return stats


def _open_source(given: RoundInput, config: RefineConfig) -> Source:
    size = config.runner.shard_rows
    if given.data is not None:
        return QuerySource(given.data, config.source, shard_rows=size)
    assert given.expansions is not None
    return ExpansionSource(given.expansions, shard_rows=size)


def _make_stages(
    given: RoundInput, out: Path, config: RefineConfig, say: Callable[[str], None]
) -> list[Stage]:
    """Make the stages up to the scores; models are loaded when the first batch asks for them."""
    pictures = PictureFolder(out / PICTURES, config.pictures)

    def load_expander() -> Expander:
        return T5Expander(load_model(given.expander))

    def load_drawer() -> ImageModel:
        return load_image_model(config.t2i, sent_log=pictures.folder / SENT_LOG, say=say)

    def load_scorers() -> tuple[ImageTextEncoder, AestheticScorer | None]:
        score = config.score
        encoder = share_encoder(score.encoder, dtype=score.dtype, vocabulary=score.vocabulary)
        return encoder, aesthetics.load_scorer(config.aesthetics)

    stages: list[Stage] = []
    if given.data is not None:
        model = hash_values(open_model(given.expander).checkpoint)
        key = ExpansionKey(expansion=config.expansion, model=model)
        stages.append(ExpansionStage(key, load_expander))
    if not config.score.encoder:
        raise ValueError("ScoreConfig.encoder is not set; expected a CLIP or CoCa, by name")
    drawn = RenderKey(render=config.render, model=name_image_model(config.t2i))
    scored = ScoreKey(
        score=config.score,
        encoder=open_clip(config.score.encoder).digest,
        aesthetics=dataclasses.replace(config.aesthetics, vocabulary=""),
        aesthetic=aesthetics.name_weights(config.aesthetics),
    )
    return [
        *stages,
        PruneStage(PruneKey(unwanted=find_unwanted(config.select))),
        RenderStage(drawn, pictures, load_drawer, is_central=bool(config.t2i.url)),
        ScoreStage(scored, pictures, load_scorers),
    ]
