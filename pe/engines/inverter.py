"""From pictures to prompts in one piece: encoder, flavor table and interrogator, by a config.

`load_inverter` gives our own engine, or the package clip-interrogator itself, for comparison.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image as PilImage

from pe.decode.caption import CaptionConfig
from pe.engines.flavor_table import embed_phrases
from pe.engines.interrogator import Interrogator, InterrogatorConfig, Inverted
from pe.engines.vision import Captioner, ClipEncoder, CocaCaptioner, share_encoder
from pe.text.flavor_list import load_flavors, load_negative
from pe.weights.hub import find_files
from pe.weights.open_clip import ALLOWED, open_clip

DEFAULT_ENCODER = "openai/clip-vit-large-patch14"  # of `pe invert`, and in what is advised
ENGINES = ("jax", "clip-interrogator")
CAPTION_SOURCES = ("caption", "prompt", "captioner")


@dataclasses.dataclass(frozen=True, kw_only=True)
class InverterConfig:
    """Which models and lists an image is inverted with.

    engine         "jax", or "clip-interrogator": that package (extra [interrogator]), one image at
                   a time, for comparison
    encoder        a CLIP or CoCa, by folder or hub name
    captioner      a CoCa that says what is in an image; "": none
    captions_from  where a caption comes from, the first that has one: the image's sidecar, the
                   prompt that was given with it, the captioner (passed over where there is none)
    flavors        "own", "clip-interrogator", or a file of `pe flavors`
    artists        whether flavors that are artists' names are used
    vocabulary     the tokenizer of encoder and captioner; "": beside the weights of each, else
                   CLIP's
    dtype          of the matrix products: float32, bfloat16 or float16
    """

    engine: str = "jax"
    encoder: str = ""
    captioner: str = ""
    captions_from: tuple[str, ...] = CAPTION_SOURCES
    flavors: str = "own"
    artists: bool = False
    vocabulary: str = ""
    dtype: str = "float32"
    interrogator: InterrogatorConfig = dataclasses.field(default_factory=InterrogatorConfig)
    caption: CaptionConfig = dataclasses.field(default_factory=CaptionConfig)

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise ValueError(
                f"InverterConfig.engine: got {self.engine!r}, expected one of {ENGINES}"
            )
        unknown = [name for name in self.captions_from if name not in CAPTION_SOURCES]
        if unknown or not self.captions_from:
            raise ValueError(
                f"InverterConfig.captions_from: got {self.captions_from!r}, expected some of "
                f"{CAPTION_SOURCES}, in the order in which they are tried"
            )
        if self.captioner and "captioner" not in self.captions_from:
            raise ValueError(
                f"InverterConfig.captioner is {self.captioner!r}, and InverterConfig.captions_from "
                f"{self.captions_from!r} never asks it: put 'captioner' there, or leave the "
                "captioner out"
            )


@runtime_checkable
class Inverter(Protocol):
    """Anything that finds prompts for images.

    `prepare` keeps of an image what `invert` needs. `measure`: the prompts' cosines are wanted too.
    """

    def prepare(self, image: PilImage.Image) -> Any: ...
    def invert(
        self, prepared: Sequence[Any], captions: Sequence[str], *, measure: bool = True
    ) -> list[Inverted]: ...


class ClipInverter:
    """CLIP interrogation by our own engine, batched over images."""

    def __init__(self, encoder: ClipEncoder, interrogator: Interrogator):
        self.encoder = encoder
        self.interrogator = interrogator

    def prepare(self, image: PilImage.Image) -> Any:
        """Return the image's pixels as the encoder reads them."""
        return self.encoder.prepare([image])[0]

    def invert(
        self, prepared: Sequence[Any], captions: Sequence[str], *, measure: bool = True
    ) -> list[Inverted]:
        """Find a prompt for each image."""
        size = self.encoder.num_beginnings
        found: list[Inverted] = []
        for begin in range(0, len(prepared), size):
            embeddings = self.encoder.encode_pixels(np.stack(prepared[begin : begin + size]))
            part = captions[begin : begin + size]
            found += self.interrogator.invert(embeddings, part, measure=measure)
        return found


def check_encoder(config: InverterConfig) -> None:
    """Raise ValueError where no encoder is named."""
    if not config.encoder:
        raise ValueError(
            "no encoder is named; give a CLIP or CoCa by folder or hub name, as in "
            f"--encoder {DEFAULT_ENCODER} (--gin.InverterConfig.encoder=...)"
        )


def name_weights(config: InverterConfig) -> dict[str, str]:
    """Return hashes of the weights and lists that results depend on, without loading them.

    Raises ValueError for what is no such model or list, and for a captioner that cannot write.
    """
    check_encoder(config)
    flavors = load_flavors(config.flavors, artists=config.artists)
    found = {
        "encoder": open_clip(config.encoder).digest,
        "flavors": flavors.digest(),
    }
    if config.captioner:
        checkpoint = open_clip(config.captioner)
        if checkpoint.config.decoder is None:
            raise ValueError(
                f"the captioner {config.captioner} is a CLIP, which writes no captions; name a CoCa"
            )
        found["captioner"] = checkpoint.digest
    return found


def load_inverter(
    config: InverterConfig,
    *,
    folder: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Inverter:
    """Load what a config names; `folder` is where embeddings of flavors are kept.

    `progress` hears of flavors embedded, and how many there are. Raises ValueError for models and
    lists that are not to be had.
    """
    check_encoder(config)
    flavors = load_flavors(config.flavors, artists=config.artists)
    if not len(flavors):
        raise ValueError(f"the flavor list {config.flavors!r} holds no phrase")
    if config.engine == "clip-interrogator":
        from pe.engines.clip_interrogator import PackageInverter

        return PackageInverter(
            find_files(config.encoder, allow=ALLOWED),
            flavors,
            config.interrogator,
            negatives=load_negative(config.flavors),
            folder=folder,
        )
    encoder = share_encoder(config.encoder, dtype=config.dtype, vocabulary=config.vocabulary)
    _ = encoder.tokenizer  # a vocabulary that does not fit is known now, not with the first row
    phrases = flavors.merged()
    embeddings = embed_phrases(
        encoder, phrases, folder=folder, progress=lambda done: progress(done, len(phrases))
    )
    negatives = load_negative(config.flavors)
    interrogator = Interrogator(
        encoder, flavors, embeddings, negatives=negatives, config=config.interrogator
    )
    return ClipInverter(encoder, interrogator)


def load_captioner(config: InverterConfig) -> Captioner | None:
    """Load the captioner, or None where none is named."""
    if not config.captioner:
        return None
    encoder = share_encoder(config.captioner, dtype=config.dtype, vocabulary=config.vocabulary)
    _ = encoder.tokenizer
    return CocaCaptioner(encoder, config.caption)
