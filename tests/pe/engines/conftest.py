"""What the tests of vision share: a tiny CLIP with random weights and a vocabulary of few words."""

import json

import numpy as np
import pytest

from pe.data.clip_tokenizer import END, START, load_clip_tokenizer
from pe.engines.vision import ClipEncoder
from pe.models.clip_config import ClipConfig, DecoderConfig, TextConfig, VisionConfig
from pe.weights.checkpoint import stored
from pe.weights.clip_names import Recipe
from pe.weights.open_clip import ClipCheckpoint, draw_clip

WORDS = ("red", "blue", "fox", "ship", "fog", "oil", "ink", "cubism", "by", "mira", "voss", "of",
         "golden", "hour", "trending", "on", "dark", "wide", "shot", "photo")  # fmt: skip


@pytest.fixture(scope="session")
def clip_words():
    """The words that are one token each; any other is spelled letter by letter."""
    return WORDS


@pytest.fixture(scope="session")
def clip_vocabulary(tmp_path_factory):
    """A vocabulary of CLIP's kind, as a folder: its 512 letters, and merges that make WORDS."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(i) for i in (*printed, *range(256, 256 + 68))]
    merges = {}
    for word in WORDS:
        left = word[0]
        for i, right in enumerate(word[1:]):
            right += "</w>" if i == len(word) - 2 else ""
            merges[left, right] = None
            left += right
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges), START, END]
    folder = tmp_path_factory.mktemp("vocabulary")
    vocab = {token: i for i, token in enumerate(tokens)}
    assert len(vocab) == len(tokens)
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    lines = ["#version: 0.2", *map(" ".join, merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def make_checkpoint(clip_vocabulary):
    """Make a CLIP or CoCa of random weights that fits the vocabulary; nothing of it is on disk."""

    def make(
        *, context_tokens: int = 24, is_coca: bool = False, seed: int = 0, dtype: str = "float32"
    ):
        config = ClipConfig(
            embed_dim=16,
            dtype=dtype,
            vision=VisionConfig(
                image_px=8,
                patch_px=4,
                width=16,
                num_layers=1,
                num_heads=2,
                mlp_width=32,
                num_pool_queries=4 if is_coca else 0,
                num_pool_heads=2,
            ),
            text=TextConfig(
                context_tokens=context_tokens,
                vocab_size=load_clip_tokenizer(clip_vocabulary).vocab_size,
                width=16,
                num_layers=2,
                num_heads=2,
                mlp_width=32,
                has_class_token=is_coca,
            ),
            decoder=DecoderConfig(
                context_tokens=context_tokens, width=16, num_layers=1, num_heads=2, mlp_width=32
            )
            if is_coca
            else None,
        )
        rng = np.random.default_rng(seed)

        def draw(name: str, shape: tuple[int, ...]):
            values = rng.normal(size=shape)
            if name.endswith("scale"):
                values = 1.0 + 0.2 * values
            else:
                values = values * (shape[0] ** -0.5 if name.endswith("kernel") else 0.5)
            return np.asarray(values, np.float32)

        shapes = draw_clip(config).shapes
        return ClipCheckpoint(
            source=f"random {seed}",
            config=config,
            arrays={name: stored(draw(name, shape)) for name, shape in shapes.items()},
            recipes={name: Recipe((name,), lambda arrays: arrays[0]) for name in shapes},
            input_settings={},
            vocabulary=None,
            digest=f"{seed:032x}",
        )

    return make


@pytest.fixture(scope="session")
def make_encoder(make_checkpoint, clip_vocabulary):
    """Make an encoder of random weights; `sizes` are its block_tokens and num_images."""

    def make(*, sizes: dict[str, int] | None = None, **options):
        checkpoint = make_checkpoint(**options)
        return ClipEncoder(checkpoint, load_clip_tokenizer(clip_vocabulary), **(sizes or {}))

    return make


@pytest.fixture(scope="session")
def clip_encoder(make_encoder):
    return make_encoder(sizes={"block_tokens": 256, "num_images": 4})
