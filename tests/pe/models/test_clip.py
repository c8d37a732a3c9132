"""CLIP's towers: what needs no golden (`test_clip_golden.py`)."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.models.clip import Clip, normalize
from pe.models.clip_config import ClipConfig, DecoderConfig, TextConfig, VisionConfig
from pe.weights.open_clip import draw_clip, load_clip, open_clip

GOLDENS = Path(__file__).resolve().parents[2] / "goldens" / "vision"
CONFIG = ClipConfig(
    embed_dim=8,
    vision=VisionConfig(image_px=16, patch_px=8, width=16, num_layers=2, num_heads=2, mlp_width=32),
    text=TextConfig(
        context_tokens=12, vocab_size=50, width=16, num_layers=2, num_heads=2, mlp_width=32
    ),
)


def load(name):
    checkpoint = open_clip(str(GOLDENS / name))
    return draw_clip(checkpoint.config).bind(load_clip(checkpoint)), checkpoint.config.text


def test_a_class_token_stands_behind_the_whole_context():
    model, _ = load("coca")
    with pytest.raises(ValueError, match="got 4 tokens a text, expected 40"):
        model.text(jnp.array([[318, 5, 9, 319]]))


@pytest.mark.slow
def test_gradients_of_a_new_model_are_finite():
    model = Clip(CONFIG, rngs=nnx.Rngs(0))
    graph, params = nnx.split(model)
    pixels = jax.random.normal(jax.random.key(0), (3, 16, 16, 3))
    tokens = jnp.array([[48, 3, 4, 49], [48, 9, 49, 0], [48, 7, 7, 49]])

    def loss(params):
        bound = nnx.merge(graph, params)
        cosines = normalize(bound.visual(pixels)) @ normalize(bound.text(tokens)).T
        return -jnp.mean(jnp.diag(jax.nn.log_softmax(cosines * jnp.exp(bound.logit_scale[...]))))

    value, gradients = jax.jit(jax.value_and_grad(loss))(params)
    assert np.isfinite(value)
    norms = [float(jnp.linalg.norm(leaf)) for leaf in jax.tree.leaves(gradients)]
    assert np.isfinite(norms).all()
    assert np.count_nonzero(norms) == len(norms)


def test_normalize_gives_length_one_and_leaves_zero():
    found = normalize(jnp.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.0, 0.0]], atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VisionConfig(image_px=30, patch_px=16), "30 is no multiple of patch_px 16"),
        (lambda: VisionConfig(width=100, num_heads=12), "width 100 is no multiple of num_heads"),
        (lambda: VisionConfig(num_pool_queries=1), "expected 0, or 2 or more"),
        (lambda: TextConfig(num_layers=0), r"TextConfig\.num_layers: got 0, expected 1 or more"),
        (lambda: ClipConfig(activation="relu"), "got 'relu', expected one of"),
        (lambda: ClipConfig(dtype="int8"), "got 'int8', expected float32"),
        (lambda: ClipConfig(decoder=DecoderConfig()), "needs VisionConfig.num_pool_queries"),
        (
            lambda: ClipConfig(
                decoder=DecoderConfig(width=256), vision=VisionConfig(num_pool_queries=256)
            ),
            r"its width \(256\) must be embed_dim \(512\)",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
