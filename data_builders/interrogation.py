"""Image -> Inversion by looking at it: a caption, and the flavors that CLIP finds in the picture.

After arXiv:2312.16720 sec. 3.1 (Interrogator with CoCa). Where the engines come from and how they
work is `pe.engines.inverter`'s; here they meet rows and the runner.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import pyarrow as pa

from data_builders.image_ingest import EngineKey, EngineStage
from pe.engines.inverter import Inverter, InverterConfig
from pe.engines.vision import Captioner
from pe.records import Image, Inversion, Record
from pe.stages.stage import Drop, Result
from pe.text.phrase import tidy_phrase
from pe.text.split import split_prompt

Engines = tuple[Inverter, Captioner | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class InterrogationKey(EngineKey):
    """What the stage's results depend on."""

    inverter: InverterConfig


class InterrogationStage(EngineStage[InterrogationKey, Engines]):
    """Image -> Inversion(method="clip/MODE"), its prompt "caption, flavor, flavor"."""

    NAME: ClassVar[str] = "invert"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "image"
    OUTPUT: ClassVar[type[Record]] = Inversion
    ORDERED: ClassVar[bool] = False

    def __call__(self, table: pa.Table) -> list[Result]:
        assert self._engine is not None, "open() comes first"
        inverter, captioner = self._engine
        config = self.config.inverter
        before, after = split_sources(config.captions_from, has_captioner=captioner is not None)
        results: list[Result | None] = []
        images: list[Image] = []
        prepared: list[Any] = []
        captions: list[str] = []
        places: list[int] = []
        wordless: list[tuple[int, Any]] = []  # place, and what the captioner needs
        for row, image_row in zip(
            table["row"].to_pylist(), table["image"].to_pylist(), strict=True
        ):
            image = Image.from_row(image_row)
            caption = find_caption(image, before)
            if not caption and (captioner is None or after is None):
                results.append(Drop("no_caption"))
                continue
            picture = self.loader.load(row)
            if isinstance(picture, Drop):
                results.append(picture)
                continue
            try:
                pixels = inverter.prepare(picture)
                if not caption and captioner is not None:
                    wordless.append((len(captions), captioner.prepare(picture)))
            except ValueError:  # a strip too narrow to be looked at
                results.append(Drop("extreme_shape"))
                continue
            prepared.append(pixels)
            images.append(image)
            captions.append(caption)
            places.append(len(results))
            results.append(None)
        with self._lock:
            if wordless and captioner is not None:
                written = captioner.caption([pixels for _, pixels in wordless])
                for (place, _), text in zip(wordless, written, strict=True):
                    captions[place] = tidy_phrase(text) or find_caption(images[place], after or ())
            told = [i for i, caption in enumerate(captions) if caption]
            found = inverter.invert(
                [prepared[i] for i in told], [captions[i] for i in told], measure=False
            )
        for i in range(len(images)):
            results[places[i]] = Drop("no_caption")
        for i, inverted in zip(told, found, strict=True):
            inversion = Inversion(
                image_id=images[i].id,
                source_id=images[i].id,
                caption=inverted.caption,
                flavors=inverted.flavors,
                prompt=inverted.prompt,
                method=f"clip/{config.interrogator.mode}",
            )
            results[places[i]] = (inversion,)
        return [result for result in results if result is not None]


def split_sources(
    sources: Sequence[str], *, has_captioner: bool
) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """Return the sources to ask before the captioner, and those after it; None: it is not asked.

    Example:
      sources                          has_captioner  before                after
      ("caption", "captioner", "prompt")   True       ("caption",)          ("prompt",)
      ("caption", "captioner", "prompt")   False      ("caption", "prompt")  None
      ("caption", "prompt")                True       ("caption", "prompt")  None
    """
    sources = tuple(sources)
    if has_captioner and "captioner" in sources:
        place = sources.index("captioner")
        return sources[:place], sources[place + 1 :]
    return tuple(source for source in sources if source != "captioner"), None


def find_caption(image: Image, sources: Sequence[str]) -> str:
    """Return what was said of an image, by the first of the sources that says something; or ""."""
    for source in sources:
        text = ""
        if source == "caption":
            text = tidy_phrase(" ".join((image.given_caption or "").split()))
        elif source == "prompt" and image.given_prompt:
            text = split_prompt(image.given_prompt).caption
        if text:
            return text
    return ""
