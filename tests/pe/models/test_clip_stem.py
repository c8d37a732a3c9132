"""The stem of convolutions: what it computes, and that its files come back."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file

from pe.models.blueprint import flatten_params
from pe.models.clip import Clip
from pe.models.clip_config import ClipConfig, TextConfig, VisionConfig
from pe.models.clip_stem import Convolution
from pe.weights.open_clip import WEIGHT_FILES, draw_clip, load_clip, open_clip
from pe.weights.open_clip_save import save_clip

CONFIG = ClipConfig(
    embed_dim=16,
    vision=VisionConfig(
        image_px=32, patch_px=16, width=24, num_layers=1, num_heads=2, mlp_width=24, stem_width=8,
        stem_blocks=1,
    ),
    text=TextConfig(
        context_tokens=8, vocab_size=20, width=16, num_layers=1, num_heads=2, mlp_width=16
    ),
)  # fmt: skip


def convolve(x, kernel, stride):
    """Cross-correlate [Y X C] with [D C k k] window by window, padded as SAME is: more behind."""
    side = kernel.shape[2]
    num = -(-x.shape[0] // stride)
    padding = max((num - 1) * stride + side - x.shape[0], 0)
    x = np.pad(x, ((padding // 2, padding - padding // 2),) * 2 + ((0, 0),))
    out = np.zeros((num, num, kernel.shape[0]))
    for i in range(num):
        for j in range(num):
            window = x[i * stride : i * stride + side, j * stride : j * stride + side]
            out[i, j] = np.einsum("yxc,dcyx->d", window, kernel)
    return out


@pytest.mark.parametrize(("window_px", "stride"), [(4, 4), (3, 1), (3, 2)])
def test_a_kernel_s_matrix_is_of_whole_windows(window_px, stride):
    rng = np.random.default_rng(0)
    conv = Convolution(
        2, 3, window_px=window_px, stride=stride, dtype=jnp.dtype("float32"), rngs=nnx.Rngs(0)
    )
    weight = rng.normal(size=(3, 2, window_px, window_px)).astype(np.float32)
    conv.kernel[...] = jnp.asarray(weight.transpose(2, 3, 1, 0).reshape(-1, 3))
    x = rng.normal(size=(1, 8, 8, 2)).astype(np.float32)
    np.testing.assert_allclose(conv(jnp.asarray(x))[0], convolve(x[0], weight, stride), atol=1e-5)


def test_each_stage_halves_the_sides_and_doubles_the_width():
    assert CONFIG.vision.stem_widths == (8, 16, 24)  # the last is the tower's
    shapes = draw_clip(CONFIG).shapes
    assert shapes["visual.stem.stages.0.conv.kernel"] == (4 * 4 * 3, 8)
    assert shapes["visual.stem.stages.1.conv.kernel"] == (3 * 3 * 8, 16)
    assert shapes["visual.stem.stages.2.blocks.0.conv.kernel"] == (3 * 3 * 24, 24)
    assert not any(name.startswith("visual.patch") for name in shapes)
    assert dataclasses.replace(CONFIG.vision, stem_width=0).stem_widths == ()
    assert VisionConfig(patch_px=4, image_px=64, stem_width=8).stem_widths == (768,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patch_px": 12, "image_px": 24}, r"patch_px: got 12, expected 4, 8, 16, 32"),
        ({"patch_px": 2, "image_px": 24}, r"patch_px: got 2, expected 4, 8, 16, 32"),
        ({"stem_width": -1}, r"stem_width: got -1, expected 0 or more"),
        ({"stem_blocks": 0}, r"stem_blocks: got 0, expected 1 or more"),
    ],
)
def test_stages_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG.vision, **settings)


def test_a_tower_with_a_stem_sees_where_things_are_and_comes_back_from_its_file(tmp_path):
    model = Clip(CONFIG, rngs=nnx.Rngs(1))
    params = {k: np.asarray(v) for k, v in flatten_params(nnx.state(model, nnx.Param)).items()}
    save_clip(tmp_path, CONFIG, params, dtype="float32", pixel_mean=0.5, pixel_std=0.25)
    stored = load_file(tmp_path / WEIGHT_FILES[0])
    assert stored["visual.stem.0.conv.weight"].shape == (8, 3, 4, 4)
    assert stored["visual.stem.2.resblocks.0.conv.weight"].shape == (24, 24, 3, 3)
    checkpoint = open_clip(str(tmp_path))
    assert checkpoint.config == CONFIG
    loaded = draw_clip(checkpoint.config).bind(load_clip(checkpoint))
    pixels = np.random.default_rng(2).normal(size=(2, 32, 32, 3)).astype(np.float32)
    given = jnp.asarray(pixels)
    np.testing.assert_array_equal(loaded.visual(given), model.visual(given))
    moved = jnp.asarray(np.roll(pixels, 16, axis=2))
    assert not np.allclose(loaded.visual(moved), model.visual(given), atol=1e-3)
