"""Rendering -> its score: how near the picture is to the query, and to its own prompt.

s = w_q cos(query, picture) + w_p cos(prompt, picture)   (arXiv:2312.16720: 0.6 and 0.4, by CoCa)
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pyarrow as pa

from pe.axes import Float
from pe.data.image_file import UnreadableImage
from pe.engines.aesthetics import AestheticConfig, AestheticScorer
from pe.engines.vision import ImageTextEncoder
from pe.records import Record, Score
from pe.refine.pictures import PictureFolder
from pe.stages.stage import Drop, Result

NAME = "alignment"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """What scores a picture.

    encoder           any CLIP or CoCa, by name
    vocabulary        its tokenizer, as InverterConfig.vocabulary
    query_weight      of the cosine of query and picture
    prompt_weight     of the cosine of prompt and picture
    aesthetic_weight  of a rating (`AestheticConfig`), in its own units; 0: none is asked for
    """

    encoder: str = ""
    vocabulary: str = ""
    dtype: str = "float32"
    query_weight: float = 0.6
    prompt_weight: float = 0.4
    aesthetic_weight: float = 0.0

    def __post_init__(self) -> None:
        weights = (self.query_weight, self.prompt_weight, self.aesthetic_weight)
        if min(weights) < 0 or max(weights) == 0:
            raise ValueError(
                f"ScoreConfig: got weights {weights}; expected 0 or more, and one above 0"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreKey:
    """What scores depend on; `encoder` and `aesthetic` name the weights."""

    score: ScoreConfig
    encoder: str
    aesthetics: AestheticConfig
    aesthetic: dict[str, str]


class ScoreStage:
    """Rendering -> its score."""

    NAME: ClassVar[str] = "scores"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "rendering"
    OUTPUT: ClassVar[type[Record]] = Score
    ORDERED: ClassVar[bool] = False

    def __init__(
        self,
        config: ScoreKey,
        pictures: PictureFolder,
        load: Callable[[], tuple[ImageTextEncoder, AestheticScorer | None]],
    ):
        self.config = config
        self.pictures = pictures
        self.version = f"{config.encoder[:12]}/{config.score.query_weight:g}"
        self.version += f"/{config.score.prompt_weight:g}/{config.score.aesthetic_weight:g}"
        self._load = load
        self._encoder: ImageTextEncoder | None = None
        self._scorer: AestheticScorer | None = None

    def open(self) -> None:
        """Load the models. Raises ValueError for what is not to be had."""
        self._encoder, self._scorer = self._load()

    def close(self) -> None:
        """Let the models go."""
        self._encoder = self._scorer = None

    def __call__(self, table: pa.Table) -> list[Result]:
        assert self._encoder is not None, "open() comes first"
        rows = table.select(["query", "expansion", "rendering"]).to_pylist()
        results: list[Result | None] = [None] * len(rows)
        images, places = [], []
        for place, row in enumerate(rows):
            try:
                images.append(self.pictures.open(row["rendering"]["uri"]))
                places.append(place)
            except FileNotFoundError:
                results[place] = Drop("picture_is_gone")
            except UnreadableImage as error:
                results[place] = Drop(f"picture_{error.reason}")
        if images:
            pictures = self._encoder.encode_images(images)
            texts = [[rows[p]["query"]["text"], rows[p]["expansion"]["text"]] for p in places]
            distinct = list(dict.fromkeys(text for pair in texts for text in pair))
            known = dict(zip(distinct, self._encoder.encode_texts(distinct), strict=True))
            ratings = None
            if self._scorer is not None:
                ratings = self._scorer.score([self._scorer.prepare(image) for image in images])
            for k, place in enumerate(places):
                of_query, of_prompt = (cosine(known[text], pictures[k]) for text in texts[k])
                aesthetic = None if ratings is None else float(ratings[k])
                score = self.config.score
                value = score.query_weight * of_query + score.prompt_weight * of_prompt
                value += score.aesthetic_weight * (aesthetic or 0.0)
                results[place] = (
                    Score(
                        rendering_id=rows[place]["rendering"]["id"],
                        name=NAME,
                        version=self.version,
                        value=value,
                        query_cosine=of_query,
                        prompt_cosine=of_prompt,
                        aesthetic=aesthetic,
                    ),
                )
        assert all(result is not None for result in results)
        return [result for result in results if result is not None]


def cosine(a: Float[np.ndarray, " E"], b: Float[np.ndarray, " E"]) -> float:
    """Return the cosine of two embeddings of length 1."""
    return float(np.dot(a.astype(np.float64), b.astype(np.float64)))
