"""Image -> Inversion by looking at it: a caption, and the flavors that CLIP finds in the picture.

After arXiv:2312.16720 sec. 3.1 (Interrogator with CoCa). Where the engines come from and how they
work is `pe.engines.inverter`'s; here they meet rows and the runner.
"""

import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pyarrow as pa

from data_builders.image_ingest import ImageLoader
from pe.data.image_file import ImageLimits
from pe.engines.inverter import Inverter, InverterConfig
from pe.engines.vision import Captioner
from pe.records import Image, Inversion, Record
from pe.stages.stage import Drop, Result
from pe.text.phrase import tidy_phrase
from pe.text.split import split_prompt

Engines = tuple[Inverter, Captioner | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class InterrogationKey:
    """What the stage's results depend on; `weights` are hashes of models and lists."""

    inverter: InverterConfig
    limits: ImageLimits
    weights: Mapping[str, str]


class InterrogationStage:
    """Image -> Inversion(method="clip/MODE"), its prompt "caption, flavor, flavor"."""

    NAME: ClassVar[str] = "invert"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "image"
    OUTPUT: ClassVar[type[Record]] = Inversion
    ORDERED: ClassVar[bool] = False

    def __init__(
        self, key: InterrogationKey, loader: ImageLoader, make_engines: Callable[[], Engines]
    ):
        self.config = key
        self.loader = loader
        self._make_engines = make_engines
        self._engines: Engines | None = None
        self._lock = threading.Lock()  # one batch is inverted while the next is decoded

    def open(self) -> None:
        """Load the engines. Raises ValueError where a model or list is not to be had."""
        self._engines = self._make_engines()

    def __call__(self, table: pa.Table) -> list[Result]:
        assert self._engines is not None, "open() comes first"
        inverter, captioner = self._engines
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
            caption = self.find_caption(image)
            picture = self.loader.load(row)
            if not caption and captioner is None:
                results.append(Drop("no_caption"))
                continue
            if isinstance(picture, Drop):
                results.append(picture)
                continue
            try:
                prepared.append(inverter.prepare(picture))
            except ValueError:  # a strip too narrow to be looked at
                results.append(Drop("extreme_shape"))
                continue
            if not caption:
                assert captioner is not None
                wordless.append((len(captions), captioner.prepare(picture)))
            images.append(image)
            captions.append(caption)
            places.append(len(results))
            results.append(None)
        with self._lock:
            if wordless and captioner is not None:
                written = captioner.caption([pixels for _, pixels in wordless])
                for (place, _), text in zip(wordless, written, strict=True):
                    captions[place] = tidy_phrase(text)
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
                method=f"clip/{self.config.inverter.interrogator.mode}",
            )
            results[places[i]] = (inversion,)
        return [result for result in results if result is not None]

    def find_caption(self, image: Image) -> str:
        """Return what is said of an image, by the first of the sources that says something."""
        for source in self.config.inverter.captions_from:
            text = ""
            if source == "caption":
                text = tidy_phrase(" ".join((image.given_caption or "").split()))
            elif source == "prompt" and image.given_prompt:
                text = split_prompt(image.given_prompt).caption
            elif source == "captioner":
                return ""
            if text:
                return text
        return ""
