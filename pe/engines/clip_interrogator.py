"""The package clip-interrogator as an inverter: slower, one image at a time, for comparison.

Needs the extra [interrogator]. Its lists are written into a folder of their own; its embeddings are
kept beside ours. Nothing of it is fetched: the weights are those of our encoder, in open_clip's
layout, and captions come from elsewhere. Where a table of a list is empty, its slot is left out, as
our engine does; the package by itself fails there.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image as PilImage

from pe.engines.flavor_table import default_folder
from pe.engines.interrogator import InterrogatorConfig, Inverted, split_flavors
from pe.shards import TEMPORARY
from pe.text.flavor_list import FlavorList
from pe.weights.open_clip import CONFIG_FILE, open_clip

LIST_FILES = {
    "flavors": "flavors.txt",
    "mediums": "mediums.txt",
    "movements": "movements.txt",
    "artists": "artists.txt",
}
TABLES = (*LIST_FILES, "trendings")


class PackageInverter:
    """clip-interrogator with an encoder and lists of ours; its sites are its own."""

    def __init__(
        self,
        encoder: Path,
        flavors: FlavorList,
        config: InterrogatorConfig,
        *,
        negatives: Sequence[str] = (),
        folder: Path | None = None,
    ):
        try:
            import clip_interrogator
            import open_clip as package
        except ImportError as error:
            raise ValueError(
                f"the engine clip-interrogator is not installed ({error}); install the extra "
                "[interrogator], or use the engine jax"
            ) from error
        except RuntimeError as error:  # torchvision beside a torch that lacks its operators
            raise ValueError(
                f"the engine clip-interrogator cannot be loaded: {error}; torch and torchvision "
                "have to be of one build"
            ) from error
        if not (encoder / CONFIG_FILE).is_file():
            raise ValueError(
                f"{encoder} has no {CONFIG_FILE}; clip-interrogator reads open_clip's layout only"
            )
        digest = open_clip(str(encoder)).digest
        cache = (folder or default_folder()) / f"clip-interrogator-{digest}"
        key = "\n".join([flavors.digest(), *negatives])
        lists = cache / hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        write_lists(lists, flavors, negatives)
        model, _, preprocess = package.create_model_and_transforms(f"local-dir:{encoder}")
        model.eval()
        settings = clip_interrogator.Config(
            caption_model_name=None,
            clip_model_name="ViT-L-14/ours",  # names its tokenizer and its cache, no more
            cache_path=str(lists),
            data_path=str(lists),
            download_cache=False,
            quiet=True,
            chunk_size=max(2048, len(flavors)),  # ranks exactly where a table is one chunk
            flavor_intermediate_count=config.num_candidates,
        )
        settings.clip_model, settings.clip_preprocess = model, preprocess
        self.config = config
        self._package = clip_interrogator.Interrogator(settings)
        self._leave_out_empty_slots()

    def prepare(self, image: PilImage.Image) -> Any:
        """Return the image as it is."""
        return image

    def invert(
        self, prepared: Sequence[Any], captions: Sequence[str], *, measure: bool = True
    ) -> list[Inverted]:
        """Find a prompt for each image, one after the other."""
        return [
            self._invert(image, caption, measure)
            for image, caption in zip(prepared, captions, strict=True)
        ]

    def _leave_out_empty_slots(self) -> None:
        package = self._package
        empty = [name for name in TABLES if not getattr(package, name).labels]
        for name in empty:  # a blank, since every caption begins with nothing
            found = [] if name == "flavors" else [" "]
            getattr(package, name).rank = lambda *args, found=found, **kwargs: list(found)
        if empty:
            classic = package.interrogate_classic
            package.interrogate_classic = lambda *args, **kwargs: tidy_slots(
                classic(*args, **kwargs)
            )

    def _invert(self, image: Any, caption: str, measure: bool) -> Inverted:
        config, package = self.config, self._package
        if config.mode == "negative":
            caption, prompt = "", package.interrogate_negative(image, config.max_flavors)
        elif config.mode == "fast":
            prompt = package.interrogate_fast(image, config.max_flavors, caption=caption)
        elif config.mode == "classic":
            prompt = package.interrogate_classic(image, config.classic_flavors, caption=caption)
        else:
            prompt = package.interrogate(
                image, config.min_flavors, config.max_flavors, caption=caption
            )
        cosine = None
        if measure:
            cosine = float(package.similarity(package.image_to_features(image), prompt))
        flavors = split_flavors(prompt, caption)
        return Inverted(caption=caption, flavors=flavors, prompt=prompt, similarity=cosine)


def tidy_slots(prompt: str) -> str:
    """Leave out what lies empty between commas.

    "a fox,   , cubism, "  ->  "a fox, cubism"
    """
    return ", ".join(filter(None, (part.strip() for part in f"{prompt} ".split(", "))))


def write_lists(folder: Path, flavors: FlavorList, negatives: Sequence[str]) -> None:
    """Write the tables as the files that the package reads; those that are there stay.

    `folder` is named by a hash of the lists, so that what is there is what would be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = flavors.tables()
    lists = {file: tables.get(table, ()) for table, file in LIST_FILES.items()}
    by = [p.removeprefix("by ") for p in tables.get("artists", ()) if p.startswith("by ")]
    lists |= {LIST_FILES["artists"]: tuple(by), "negative.txt": tuple(negatives)}
    for file, phrases in lists.items():
        if not (folder / file).is_file():
            own = folder / f"{TEMPORARY}{os.getpid()}-{file}"  # two runs may write at once
            own.write_text("".join(f"{phrase}\n" for phrase in phrases), encoding="utf-8")
            own.replace(folder / file)
