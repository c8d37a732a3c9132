"""From a query and its prompt to a training pair: prefix, split, half.

Knows nothing of files, engines or where query and prompt came from.
"""

import dataclasses
import hashlib

from pe.records import Image, Inversion, Pair, Query
from pe.text.words import content_words

KIND_PREFIXES = {"abstract": "ABST", "grounded": "GRD", "specific": "SPCT"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairConfig:
    """How pairs are split and prefixed (arXiv:2312.16720: 70/20/10, the train split 50/50)."""

    train_frac: float = 0.7
    validation_frac: float = 0.2
    base_frac: float = 0.5
    seed: int = 0
    high_aesthetic: float | None = None  # scores at or above are HAST; top quartile of the dataset

    def __post_init__(self) -> None:
        for name in ("train_frac", "validation_frac", "base_frac"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"PairConfig.{name}: got {getattr(self, name)}, expected 0 to 1")
        if self.train_frac + self.validation_frac > 1.0:
            total = self.train_frac + self.validation_frac
            raise ValueError(f"PairConfig: train_frac + validation_frac = {total}, expected <= 1")


def draw_fraction(*parts: str) -> float:
    """Return a number in [0, 1) that depends on the strings alone."""
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64


def assign_split(source_id: str, config: PairConfig) -> str:
    """Draw train, validation or test by the id of the source, so that no source spans splits."""
    fraction = draw_fraction("split", str(config.seed), source_id)
    if fraction < config.train_frac:
        return "train"
    return "validation" if fraction < config.train_frac + config.validation_frac else "test"


def assign_half(source_id: str, split: str, config: PairConfig) -> str:
    """Draw base or refine for the train split; the other splits have no halves."""
    if split != "train":
        return ""
    fraction = draw_fraction("half", str(config.seed), source_id)
    return "base" if fraction < config.base_frac else "refine"


def adds_only_flavors(query: str, prompt: str, flavors: tuple[str, ...]) -> bool:
    """Say whether the prompt is the query plus flavors: no content word added, none lost.

    Example:
      query       prompt                        flavors         returns
      a red boat  a red boat, watercolor        (watercolor,)   True
      a boat      a red boat, watercolor        (watercolor,)   False
      a red boat  a red boat                    ()              False
    """
    flavor_words = {word for flavor in flavors for word in content_words(flavor)}
    asked = set(content_words(query))
    told = set(content_words(prompt))
    return bool(flavors) and asked <= told and not told - asked - flavor_words


def assign_prefix(query: Query, inversion: Inversion, image: Image, config: PairConfig) -> str:
    """Return the first prefix that holds: ABST GRD SPCT by kind, then FLV, HAST, DTL.

    HAST goes to a seeded half of the pairs whose image scores high, so that the model also sees
    such images behind the other prefixes.
    """
    if query.kind in KIND_PREFIXES:
        return KIND_PREFIXES[query.kind]
    if adds_only_flavors(query.text, inversion.prompt, inversion.flavors):
        return "FLV"
    if (
        image.aesthetic is not None
        and config.high_aesthetic is not None
        and image.aesthetic >= config.high_aesthetic
        and draw_fraction("hast", str(config.seed), query.id) < 0.5
    ):
        return "HAST"
    return "DTL"


def make_pair(query: Query, inversion: Inversion, image: Image, config: PairConfig) -> Pair:
    """Assemble the training pair of a query and the inversion it was drawn from."""
    split = assign_split(inversion.source_id, config)
    return Pair(
        query=query.text,
        prefix=assign_prefix(query, inversion, image, config),
        prompt=inversion.prompt,
        kind=query.kind,
        source=image.source,
        split=split,
        half=assign_half(inversion.source_id, split, config),
        parents=(query.id, inversion.id, image.id),
        licence=image.licence,
        language=inversion.language,
    )
