"""An encoder of random weights that reads the tiny run's words, saved as real ones are."""

import jax
import numpy as np
import pytest
from flax import nnx

from pe.data.clip_vocabulary import train_clip_vocabulary, write_clip_vocabulary
from pe.models.blueprint import flatten_params
from pe.models.clip import Clip
from pe.models.clip_config import ClipConfig, TextConfig, VisionConfig
from pe.weights.open_clip_save import save_clip


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory, train_pairs):
    folder = tmp_path_factory.mktemp("encoder")
    texts = [pair["prompt"] for pair in train_pairs]
    vocabulary = train_clip_vocabulary(texts, 600)
    config = ClipConfig(
        embed_dim=16,
        vision=VisionConfig(
            image_px=32, patch_px=16, width=16, num_layers=1, num_heads=2, mlp_width=32
        ),
        text=TextConfig(
            context_tokens=32, vocab_size=len(vocabulary.ids), width=16, num_layers=1,
            num_heads=2, mlp_width=32,
        ),
    )  # fmt: skip
    model = Clip(config, rngs=nnx.Rngs(jax.random.key(0)))
    params = {k: np.asarray(v) for k, v in flatten_params(nnx.state(model, nnx.Param)).items()}
    save_clip(folder, config, params, dtype="float32", pixel_mean=0.5, pixel_std=0.25)
    write_clip_vocabulary(folder, vocabulary)
    return folder
