"""Image -> Inversion. Where the prompt that made the image is known, inverting is splitting it."""

import dataclasses
from typing import ClassVar

import pyarrow as pa

from pe.records import Image, Inversion, Record, content_hash
from pe.stages.stage import Drop, Result
from pe.text.split import split_prompt
from pe.text.words import count_words


@dataclasses.dataclass(frozen=True, kw_only=True)
class GivenPromptConfig:
    """A prompt shorter than `min_words` leaves nothing to expand to, unless its query is given."""

    min_words: int = 4

    def __post_init__(self) -> None:
        if self.min_words < 1:
            raise ValueError(
                f"GivenPromptConfig.min_words: got {self.min_words}, expected 1 or more"
            )


class GivenPromptStage:
    """Image with a given prompt -> Inversion(method="given"): its caption and flavors."""

    NAME: ClassVar[str] = "invert_given"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "image"
    OUTPUT: ClassVar[type[Record]] = Inversion
    ORDERED: ClassVar[bool] = False

    def __init__(self, config: GivenPromptConfig):
        self.config = config

    def __call__(self, table: pa.Table) -> list[Result]:
        return [self.invert(Image.from_row(row)) for row in table["image"].to_pylist()]

    def invert(self, image: Image) -> Result:
        """Split one image's prompt."""
        if image.given_prompt is None:
            return Drop("no_prompt")
        split = split_prompt(image.given_prompt)
        if not split.caption:
            return Drop("no_words")
        if image.given_query is None and count_words(split.prompt) < self.config.min_words:
            return Drop("too_short")
        return (
            Inversion(
                image_id=image.id,
                source_id=content_hash("prompt", split.prompt),
                caption=split.caption,
                flavors=split.flavors,
                prompt=split.prompt,
                method="given",
            ),
        )
