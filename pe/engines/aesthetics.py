"""Scores of how a picture looks: LAION's heads over CLIP, or MUSIQ, behind one protocol."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image as PilImage

from pe.axes import Float
from pe.data.musiq_input import MusiqInput, MusiqInputConfig, prepare_image, stack_inputs
from pe.engines.vision import ClipEncoder, share_encoder
from pe.models.aesthetic import AestheticHead
from pe.models.musiq import Musiq
from pe.weights.aesthetic import HEAD_FOLDER, open_head
from pe.weights.hub import BUILT_IN
from pe.weights.musiq import open_musiq
from pe.weights.open_clip import open_clip

BATCH_PATCHES = 4096  # of MUSIQ, in one call


@dataclasses.dataclass(frozen=True, kw_only=True)
class AestheticConfig:
    """What rates a picture.

    weights      a LAION head (.safetensors of tools/convert_head.py), or MUSIQ (Google's .npz);
                 an encoder of pe train_encoder, or "studio": the head in it; "": nothing is rated
    encoder      the CLIP whose embeddings a head rates: ViT-B/32 or ViT-L/14 of OpenAI
    vocabulary   its tokenizer, as InverterConfig.vocabulary; equal, they share one encoder
    dtype        of the encoder's matrix products
    max_patches  of a picture itself that MUSIQ looks at, from its top on; the published scores are
                 of all, and memory grows with the square of their number (4,096: 4 megapixels)
    """

    weights: str = ""
    encoder: str = ""
    vocabulary: str = ""
    dtype: str = "float32"
    max_patches: int = 4096

    def __post_init__(self) -> None:
        if self.max_patches < 1:
            raise ValueError(
                f"AestheticConfig.max_patches: got {self.max_patches}, expected 1 or more"
            )


@runtime_checkable
class AestheticScorer(Protocol):
    """Anything that rates pictures. `prepare` keeps of one what `score` needs."""

    def prepare(self, image: PilImage.Image) -> Any: ...
    def score(self, prepared: Sequence[Any]) -> Float[np.ndarray, " B"]: ...


class HeadScorer:
    """A LAION head over the embeddings of its CLIP: about 1 to 10."""

    def __init__(self, encoder: ClipEncoder, head: AestheticHead):
        if head.embed_dim != encoder.config.embed_dim:
            raise ValueError(
                f"the aesthetic head rates embeddings of {head.embed_dim} numbers, {encoder.name} "
                f"gives {encoder.config.embed_dim}; name the CLIP that the head was trained on"
            )
        self.encoder = encoder
        self.head = head

    def prepare(self, image: PilImage.Image) -> Any:
        """Return the pixels that the encoder reads."""
        return self.encoder.prepare([image])[0]

    def score(self, prepared: Sequence[Any]) -> Float[np.ndarray, " B"]:
        """Rate pictures."""
        embeddings = self.encoder.encode_pixels(np.stack(prepared))
        return np.asarray(self.head.score(embeddings))


class MusiqScorer:
    """MUSIQ: 1 to 10 with the weights of AVA, else the scale of its data set."""

    def __init__(self, musiq: Musiq, *, max_patches: int):
        self.musiq = musiq
        sides = (224, 384) if musiq.config.num_scales > 1 else ()
        self.config = MusiqInputConfig(
            patch_px=musiq.config.patch_px,
            grid_size=musiq.config.grid_size,
            longer_sides_px=sides,
            max_native_patches=max_patches,
        )

    def prepare(self, image: PilImage.Image) -> MusiqInput:
        """Cut the picture into patches."""
        return prepare_image(np.asarray(image), self.config)

    def score(self, prepared: Sequence[MusiqInput]) -> Float[np.ndarray, " B"]:
        """Rate pictures, those with as many patches together."""
        order = sorted(range(len(prepared)), key=lambda i: len(prepared[i].positions))
        scores = np.zeros(len(prepared), np.float32)
        while order:
            largest = len(prepared[order[-1]].positions)
            size = max(1, BATCH_PATCHES // max(largest, 1))
            part = order[-size:]
            del order[-size:]
            batch = stack_inputs([prepared[i] for i in part])
            scores[part] = np.asarray(self.musiq.score(**batch))
        return scores


def name_weights(config: AestheticConfig) -> dict[str, str]:
    """Return hashes of the weights that scores depend on."""
    if not config.weights:
        return {}
    path = _find_weights(config)
    if _is_musiq(path):
        return {"musiq": open_musiq(path).digest}
    head = open_head(path)
    _check_encoder(config)
    return {"head": head.digest, "encoder": open_clip(config.encoder).digest}


def load_scorer(config: AestheticConfig) -> AestheticScorer | None:
    """Load what a config names; None where it names nothing."""
    if not config.weights:
        return None
    path = _find_weights(config)
    if _is_musiq(path):
        return MusiqScorer(open_musiq(path), max_patches=config.max_patches)
    head = open_head(path)
    _check_encoder(config)
    encoder = share_encoder(config.encoder, dtype=config.dtype, vocabulary=config.vocabulary)
    return HeadScorer(encoder, head)


def _find_weights(config: AestheticConfig) -> Path:
    """Return the path of the weights: of an encoder's folder, the head in it."""
    path = BUILT_IN.get(config.weights, Path(config.weights).expanduser())
    return path / HEAD_FOLDER if (path / HEAD_FOLDER).is_dir() else path


def _is_musiq(path: Path) -> bool:
    return path.suffix.lower() == ".npz"


def _check_encoder(config: AestheticConfig) -> None:
    if not config.encoder:
        raise ValueError(
            f"AestheticConfig.weights is the head {config.weights}, and AestheticConfig.encoder is "
            "not set; expected the CLIP whose embeddings it rates"
        )
