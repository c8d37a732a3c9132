"""What is saved in open_clip's layout: the library's own arrays come back, and it reads ours."""

import dataclasses
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file

from pe.models.blueprint import flatten_params
from pe.models.clip import normalize
from pe.models.clip_config import ClipConfig, DecoderConfig, TextConfig, VisionConfig
from pe.models.coca import Coca
from pe.weights.open_clip import WEIGHT_FILES, draw_clip, load_clip, open_clip
from pe.weights.open_clip_save import save_clip

GOLDENS = Path(__file__).resolve().parents[2] / "goldens" / "vision"


def save(folder, config, params, dtype="float32"):
    folder.mkdir(exist_ok=True)
    save_clip(folder, config, params, dtype=dtype, pixel_mean=0.5, pixel_std=0.25)


@pytest.mark.parametrize("name", ["clip_gelu", "clip_quick_gelu", "coca"])
def test_the_library_s_own_files_come_back_array_by_array(tmp_path, name):
    checkpoint = open_clip(str(GOLDENS / name))
    config = checkpoint.config
    if config.decoder is not None:  # that golden has open_clip's ratio
        assert config.decoder.mlp_width == 4 * config.decoder.width
    params = {key: np.asarray(value) for key, value in load_clip(checkpoint).items()}
    save(tmp_path, config, params)
    theirs = load_file(GOLDENS / name / WEIGHT_FILES[0])
    ours = load_file(tmp_path / WEIGHT_FILES[0])
    theirs = {key: value for key, value in theirs.items() if not key.endswith("attn_mask")}
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert ours[key].reshape(value.shape).tobytes() == value.tobytes(), key
    assert open_clip(str(tmp_path)).config == config


def small_coca() -> ClipConfig:
    return ClipConfig(
        embed_dim=32,
        vision=VisionConfig(
            image_px=32, patch_px=8, width=32, num_layers=2, num_heads=4, mlp_width=96,
            num_pool_queries=5, num_pool_heads=4,
        ),
        text=TextConfig(
            context_tokens=12, vocab_size=60, width=32, num_layers=2, num_heads=4, mlp_width=64,
            has_class_token=True,
        ),
        decoder=DecoderConfig(
            context_tokens=12, width=32, num_layers=1, num_heads=4, mlp_width=128
        ),
    )  # fmt: skip


def draw_params(config: ClipConfig) -> dict[str, np.ndarray]:
    model = Coca(config, rngs=nnx.Rngs(3))
    return {k: np.asarray(v) for k, v in flatten_params(nnx.state(model, nnx.Param)).items()}


@pytest.mark.slow
def test_half_precision_halves_the_file_and_is_read_back(tmp_path):
    config = small_coca()
    params = draw_params(config)
    save(tmp_path / "whole", config, params)
    save(tmp_path / "half", config, params, dtype="float16")
    whole, half = ((tmp_path / n / WEIGHT_FILES[0]).stat().st_size for n in ("whole", "half"))
    assert half < 0.65 * whole
    loaded = load_clip(open_clip(str(tmp_path / "half")))
    assert loaded.keys() == params.keys()
    for name, value in params.items():
        assert np.allclose(loaded[name], value, atol=2e-3), name


def test_what_open_clip_cannot_say_is_refused(tmp_path):
    config = small_coca()
    params = draw_params(config)
    assert config.decoder is not None
    narrow = dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, mlp_width=64))
    with pytest.raises(ValueError, match=r"parameters differ from the config's"):
        save(tmp_path, narrow, params)
    with pytest.raises(ValueError, match=r"open_clip has 4 times the width, got 64 of 32"):
        save(tmp_path, narrow, draw_params(narrow))
    with pytest.raises(ValueError, match=r"open_clip has 1e-05 always, got 1e-06"):
        save(tmp_path, dataclasses.replace(config, norm_epsilon=1e-6), params)
    assert not list(tmp_path.iterdir())


@pytest.mark.torch
def test_the_library_reads_ours_and_embeds_as_we_do(tmp_path, open_clip_package):
    import torch

    config = small_coca()
    params = draw_params(config)
    save(tmp_path, config, params)
    described = json.loads((tmp_path / "open_clip_config.json").read_text(encoding="utf-8"))
    cfg = {k: v for k, v in described["model_cfg"].items() if k != "custom_text"}
    theirs = open_clip_package.CoCa(**cfg)
    arrays = {k: torch.from_numpy(v) for k, v in load_file(tmp_path / WEIGHT_FILES[0]).items()}
    missing, extra = theirs.load_state_dict(arrays, strict=False)
    assert not extra
    assert all(name.endswith("attn_mask") for name in missing)
    theirs.eval()
    model = draw_clip(config).bind({name: jnp.asarray(a) for name, a in params.items()})
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(3, 32, 32, 3)).astype(np.float32)
    tokens = np.zeros((3, 12), np.int32)
    tokens[:, 0], tokens[:, 1:4], tokens[:, 4] = 58, rng.integers(1, 58, (3, 3)), 59
    with torch.no_grad():
        image = theirs.encode_image(torch.from_numpy(pixels.transpose(0, 3, 1, 2)).contiguous())
        text = theirs.encode_text(torch.from_numpy(tokens.astype(np.int64)))
    assert np.allclose(
        np.asarray(normalize(model.visual(jnp.asarray(pixels)))), image.numpy(), atol=2e-6
    )
    assert np.allclose(
        np.asarray(normalize(model.text(jnp.asarray(tokens)))), text.numpy(), atol=2e-6
    )
