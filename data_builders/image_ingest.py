"""First stage of a build from pictures: a row of an image source becomes an Image, or is dropped.

Decoding proves that a picture is whole; where a scorer is given, it is scored in the same pass, so
that no picture is decoded twice for it (arXiv:2312.16720 sec. 3.1 keeps the appealing ones). What
is kept by score is decided in `image_filter.py`.
"""

import dataclasses
import hashlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pyarrow as pa
from PIL import Image as PilImage

from data_builders.image_source import ImageReader
from pe.data.image_file import ImageLimits, UnreadableImage, decode_image
from pe.engines.aesthetics import AestheticConfig, AestheticScorer
from pe.records import Image, Record
from pe.stages.stage import Drop, Result


class ImageLoader:
    """Reads and decodes the image of a row."""

    def __init__(self, reader: ImageReader, limits: ImageLimits):
        self.reader = reader
        self.limits = limits

    def read(self, row: Mapping[str, Any]) -> bytes | Drop:
        """Return the bytes of a row's image, or why there are none."""
        if row["num_bytes"] > self.limits.max_bytes:
            return Drop("too_many_bytes")
        try:
            return self.reader.read(dict(row))
        except (OSError, ValueError):  # gone or changed since it was listed
            return Drop("no_file")

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
class ImageIngestKey:
    """What the stage's results depend on."""

    limits: ImageLimits
    aesthetics: AestheticConfig
    weights: Mapping[str, str]


class ImageIngestStage:
    """Row -> Image(id = hash of its bytes), scored where there is a scorer."""

    NAME: ClassVar[str] = "images"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "row"
    OUTPUT: ClassVar[type[Record]] = Image
    ORDERED: ClassVar[bool] = False

    def __init__(
        self,
        key: ImageIngestKey,
        loader: ImageLoader,
        make_scorer: Callable[[], AestheticScorer | None],
    ):
        self.config = key
        self.loader = loader
        self._make_scorer = make_scorer
        self._scorer: AestheticScorer | None = None
        self._lock = threading.Lock()  # one batch is scored while the next is decoded

    def open(self) -> None:
        """Load the scorer. Raises ValueError where it is not to be had."""
        self._scorer = self._make_scorer()

    def __call__(self, table: pa.Table) -> list[Result]:
        scorer = self._scorer
        results: list[Result] = []
        prepared, places = [], []
        for row in table["row"].to_pylist():
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
