"""The package clip-interrogator as an inverter: slower, one image at a time, for comparison.

Needs the extra [interrogator]. Its lists are written into a folder of their own; its embeddings are
kept beside ours. Nothing of it is fetched: the weights are those of our encoder, in open_clip's
layout, and captions come from elsewhere.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image as PilImage

from pe import shards
from pe.engines.flavor_table import default_folder
from pe.engines.interrogator import InterrogatorConfig, Inverted
from pe.text.flavor_list import FlavorList
from pe.weights.open_clip import CONFIG_FILE, open_clip

LIST_FILES = {
    "flavors": "flavors.txt",
    "mediums": "mediums.txt",
    "movements": "movements.txt",
    "artists": "artists.txt",
}


class PackageInverter:
    """clip-interrogator with an encoder and lists of ours; its sites are its own."""

    def __init__(
        self,
        encoder: Path,
        flavors: FlavorList,
        config: InterrogatorConfig,
        *,
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
        lists = cache / flavors.digest()
        write_lists(lists, flavors)
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
        rest = prompt[len(caption) :].removeprefix(", ") if prompt.startswith(caption) else ""
        flavors = tuple(part.strip() for part in rest.split(", ") if part.strip())
        return Inverted(caption=caption, flavors=flavors, prompt=prompt, similarity=cosine)


def write_lists(folder: Path, flavors: FlavorList) -> None:
    """Write the tables as the files that the package reads."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = flavors.tables()
    for table, file in LIST_FILES.items():
        phrases = tables.get(table, ())
        if table == "artists":
            phrases = tuple(p.removeprefix("by ") for p in phrases if p.startswith("by "))
        shards.write_text(folder / file, "".join(f"{phrase}\n" for phrase in phrases))
    shards.write_text(folder / "negative.txt", "")
