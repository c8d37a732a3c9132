"""The first stages of a build from pictures: ingest and score, filter, invert.

Models are named by hashes of their weights in the stages' keys, and loaded when the first batch
asks for them: a finished build loads none.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_builders.archive import IMAGE_SUFFIXES, find_image_column
from data_builders.image_filter import ImageFilterConfig, ImageFilterStage
from data_builders.image_ingest import ImageIngestKey, ImageIngestStage, ImageLoader
from data_builders.image_reader import ImageReader
from data_builders.image_survey import is_compressed_tar
from data_builders.interrogation import Engines, InterrogationKey, InterrogationStage
from data_builders.votes import SUFFIXES as VOTE_SUFFIXES
from pe import shards
from pe.data.image_file import ImageLimits
from pe.engines import aesthetics as scoring
from pe.engines import inverter as inverting
from pe.engines.aesthetics import AestheticConfig
from pe.engines.inverter import InverterConfig
from pe.stages.local_runner import StageFolder
from pe.stages.stage import Stage

EMBEDDED_STEP = 2_000  # flavors between two lines about how many are embedded


def is_image_source(path: Path) -> bool:
    """Tell whether a source is meant to hold pictures, by its name; Parquet by its columns.

    A folder, a tar (a compressed one as well: why it cannot be read, its reader says), an image,
    Parquet with a column of images. A file that is damaged, or not there, is none.
    """
    suffix = path.suffix.lower()
    is_archive = suffix == ".tar" or is_compressed_tar(path.name)
    is_own = is_archive or suffix in IMAGE_SUFFIXES or suffix in VOTE_SUFFIXES
    if path.is_dir() or (path.is_file() and is_own):
        return True
    if suffix != ".parquet" or not path.is_file():
        return False
    try:
        find_image_column(path, pq.read_schema(path))
    except (ValueError, OSError, pa.ArrowException):  # the reader of tables says what is wrong
        return False
    return True


class EngineLoader:
    """Loads what inverts, and says how many flavors are embedded; a copy elsewhere is silent."""

    def __init__(self, config: InverterConfig, say: Callable[[str], None] = lambda _: None):
        self.config = config
        self._say = say
        self._shown = 0

    def __reduce__(self) -> tuple[type["EngineLoader"], tuple[InverterConfig]]:
        return EngineLoader, (self.config,)

    def __call__(self) -> Engines:
        inverter = inverting.load_inverter(self.config, progress=self._show)
        return inverter, inverting.load_captioner(self.config)

    def _show(self, done: int, total: int) -> None:
        if done == total or done // EMBEDDED_STEP > self._shown:
            self._shown = done // EMBEDDED_STEP
            self._say(f"{done:,} of {total:,} flavors embedded")


def make_image_stages(
    root: Path,
    *,
    limits: ImageLimits,
    aesthetics: AestheticConfig,
    keep: ImageFilterConfig,
    inverter: InverterConfig,
    say: Callable[[str], None],
) -> list[Stage]:
    """Make the stages from a row of an image source to its inversion.

    Raises ValueError for models and lists that are not to be had, and for settings that make no
    dataset of what the pictures show.
    """
    if inverter.interrogator.mode == "negative":
        raise ValueError(
            "InterrogatorConfig.mode is 'negative', which finds what is not in a picture, and no "
            "prompt for it; give --mode fast, classic or best (negative is for pe invert)"
        )
    if keep.min_aesthetic is not None and not aesthetics.weights:
        raise ValueError(
            f"ImageFilterConfig.min_aesthetic is {keep.min_aesthetic}, and nothing rates the "
            "pictures; set AestheticConfig.weights"
        )
    loader = ImageLoader(ImageReader(root), limits)
    return [
        ImageIngestStage(
            ImageIngestKey(
                limits=limits,
                aesthetics=dataclasses.replace(aesthetics, vocabulary=""),  # scores need no words
                weights=scoring.name_weights(aesthetics),
            ),
            loader,
            functools.partial(scoring.load_scorer, aesthetics),
        ),
        ImageFilterStage(keep),
        InterrogationStage(
            InterrogationKey(
                inverter=inverter, limits=limits, weights=inverting.name_weights(inverter)
            ),
            loader,
            EngineLoader(inverter, say),
        ),
    ]


def top_quartile(folders: Sequence[StageFolder]) -> float | None:
    """Return the score from which an image is in the top quartile of those that were kept.

    None where nothing was scored: a build from prompts, or from pictures without a scorer.
    """
    for folder in folders:
        if folder.stats.name != ImageFilterStage.NAME:
            continue
        parts = []
        for shard in shards.iterate_shards(folder.folder, ["children"]):
            images = pc.list_flatten(shard["children"].combine_chunks())
            parts.append(pc.drop_null(pc.struct_field(images, "aesthetic")).to_numpy())
        scores = np.concatenate(parts) if parts else np.zeros(0)
        return float(np.quantile(scores, 0.75)) if len(scores) else None
    return None
