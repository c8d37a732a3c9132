"""First stage of a build from pictures: a row of an image source becomes an Image, or is dropped.

Decoding proves that a picture is whole; where a scorer is given, it is scored in the same pass, so
that no picture is decoded twice for it (arXiv:2312.16720 sec. 3.1 keeps the appealing ones). What
is kept by score is decided in `image_filter.py`. What all stages that look at pictures share is
here, too.
"""

import dataclasses
import hashlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import pyarrow as pa
from PIL import Image as PilImage

from data_builders.archive import BrokenArchiveError, is_row_error
from data_builders.image_reader import ImageReader
from pe.data.image_file import ImageLimits, UnreadableImage, decode_image
from pe.engines.aesthetics import AestheticConfig, AestheticScorer
from pe.records import Image, Record
from pe.stages.stage import Drop, Result

PART_ROWS = 16  # prepared at once: MUSIQ's patches of a picture of 12 megapixels take 50 MB


class ImageLoader:
    """Reads and decodes the image of a row."""

    def __init__(self, reader: ImageReader, limits: ImageLimits):
        self.reader = reader
        self.limits = limits

    def read(self, row: Mapping[str, Any]) -> bytes | Drop:
        """Return the bytes of a row's image, or why there are none.

        Raises OSError where that is the machine's trouble (EIO, a folder that is gone), not the
        row's.
        """
        if row["num_bytes"] > self.limits.max_bytes:
            return Drop("too_many_bytes")
        try:
            return self.reader.read(dict(row))
        except BrokenArchiveError:
            return Drop("broken_archive")
        except (OSError, ValueError) as error:
            if not is_row_error(error, self.reader.root):
                raise
            return Drop("no_file")  # gone or changed since it was listed

    def decode(self, data: bytes) -> PilImage.Image | Drop:
        """Return the image, upright and in RGB, or why it cannot be read."""
        try:
            return decode_image(data, self.limits)
        except UnreadableImage as error:
            return Drop(error.reason)

    def load(self, row: Mapping[str, Any]) -> PilImage.Image | Drop:
        """Read and decode."""
        data = self.read(row)
        return data if isinstance(data, Drop) else self.decode(data)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineKey:
    """What the results of a stage with models depend on; `weights`: hashes of models and lists."""

    limits: ImageLimits
    weights: Mapping[str, str]


K = TypeVar("K", bound=EngineKey)
E = TypeVar("E")


class EngineStage(Generic[K, E]):
    """What stages that look at pictures share: a loader, and models that are there while open."""

    def __init__(self, key: K, loader: ImageLoader, make_engine: Callable[[], E]):
        self.config = key
        self.loader = loader
        self._make_engine = make_engine
        self._engine: E | None = None

    def open(self) -> None:
        """Load the models. Raises ValueError where one of them, or a list, is not to be had."""
        self._lock = threading.Lock()  # the models see one batch while the next is decoded
        self._engine = self._make_engine()

    def close(self) -> None:
        """Let the models go, so that their memory is free for the next stage's."""
        self._engine = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageIngestKey(EngineKey):
    """What the stage's results depend on."""

    aesthetics: AestheticConfig


class ImageIngestStage(EngineStage[ImageIngestKey, AestheticScorer | None]):
    """Row -> Image(id = hash of its bytes), scored where there is a scorer."""

    NAME: ClassVar[str] = "images"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "row"
    OUTPUT: ClassVar[type[Record]] = Image
    ORDERED: ClassVar[bool] = False

    def __call__(self, table: pa.Table) -> list[Result]:
        results: list[Result] = []
        for begin in range(0, len(table), PART_ROWS):
            results += self._ingest_part(table["row"].slice(begin, PART_ROWS).to_pylist())
        return results

    def _ingest_part(self, rows: list[dict[str, Any]]) -> list[Result]:
        scorer = self._engine
        results: list[Result] = []
        prepared, places = [], []
        for row in rows:
            result, picture = self._ingest(row)
            if scorer is not None and picture is not None:
                try:
                    prepared.append(scorer.prepare(picture))
                    places.append(len(results))
                except ValueError:  # a strip too narrow to be looked at
                    result = Drop("extreme_shape")
            results.append(result)
        if scorer is not None and prepared:
            with self._lock:
                scores = scorer.score(prepared)
            for place, score in zip(places, scores, strict=True):
                (image,) = results[place]  # pyright: ignore[reportGeneralTypeIssues]
                results[place] = (dataclasses.replace(image, aesthetic=float(score)),)
        return results

    def _ingest(self, row: Mapping[str, Any]) -> tuple[Result, PilImage.Image | None]:
        if row["reason"] is not None:
            return Drop(row["reason"]), None
        data = self.loader.read(row)
        if isinstance(data, Drop):
            return data, None
        picture = self.loader.decode(data)
        if isinstance(picture, Drop):
            return picture, None
        image = Image(
            id=hashlib.blake2b(data, digest_size=10).hexdigest(),
            uri=row["id"],
            width=picture.width,
            height=picture.height,
            source=row["source"],
            licence=row["licence"],
            given_prompt=row["prompt"],
            given_caption=row["caption"],
        )
        return (image,), picture
