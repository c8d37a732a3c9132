"""The loss over pictures, texts and votes: by hand, against numpy, with padding, its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.models.blueprint import draw_blueprint, flatten_params
from pe.models.clip import Clip, normalize
from pe.models.clip_config import ClipConfig, DecoderConfig, TextConfig, VisionConfig
from pe.models.coca import Coca
from pe.train.image_text import (
    HEAD_BIAS,
    HEAD_WEIGHT,
    METRIC_NAMES,
    ImageTextLossConfig,
    caption_xent,
    contrast,
    head_arrays,
    make_image_text_loss,
    weigh_tokens,
)

START, END = 10, 11


def config_of(*, is_coca: bool) -> ClipConfig:
    return ClipConfig(
        embed_dim=8,
        dtype="float32",
        vision=VisionConfig(
            image_px=16, patch_px=8, width=16, num_layers=1, num_heads=2, mlp_width=32,
            num_pool_queries=3 if is_coca else 0, num_pool_heads=2,
        ),
        text=TextConfig(
            context_tokens=8, vocab_size=12, width=8, num_layers=1, num_heads=2, mlp_width=16,
            has_class_token=is_coca,
        ),
        decoder=DecoderConfig(
            context_tokens=8, width=8, num_layers=1, num_heads=2, mlp_width=16
        ) if is_coca else None,
    )  # fmt: skip


def make_batch(num: int = 4) -> dict[str, jax.Array]:
    rng = np.random.default_rng(0)
    texts = np.zeros((num, 8), np.int32)
    texts[:, 0], texts[:, 1:3], texts[:, 3] = START, rng.integers(1, 10, (num, 2)), END
    pixels = rng.integers(0, 256, (num, 16, 16, 3), dtype=np.uint8)
    return {name: jnp.asarray(value) for name, value in
            {"pixels": pixels, "texts": texts, "captions": texts}.items()}  # fmt: skip


def test_contrast_gives_the_rows_of_its_docstring():
    eye = jnp.eye(2)
    for tokens, want in (([[5], [6]], 2 * np.log(2)), ([[5], [5]], 0.0)):
        total, found = contrast(eye, eye, jnp.float32(0), jnp.asarray(tokens))
        assert float(total) == pytest.approx(want)
        assert float(found) == 2


def test_contrast_is_that_of_numpy_without_texts_that_are_the_same():
    rng = np.random.default_rng(1)
    images, texts = rng.normal(size=(2, 5, 4)).astype(np.float32)
    tokens = np.asarray([[1, 2], [3, 0], [1, 2], [4, 2], [1, 0]])  # the first and the third
    total, found = contrast(
        jnp.asarray(images), jnp.asarray(texts), jnp.float32(1.7), jnp.asarray(tokens)
    )
    logits = 1.7 * images.astype(np.float64) @ texts.T
    logits[0, 2] = logits[2, 0] = -np.inf
    want = 0.0
    for i in range(5):
        want -= 0.5 * (logits[i, i] - np.log(np.exp(logits[i]).sum()))
        want -= 0.5 * (logits[i, i] - np.log(np.exp(logits[:, i]).sum()))
    assert float(total) == pytest.approx(want, rel=1e-5)
    assert float(found) == sum(np.argmax(logits[:, i]) == i for i in range(5))


@pytest.mark.slow
def test_votes_are_what_a_line_through_the_embedding_misses_them_by():
    model = Clip(config_of(is_coca=False), rngs=nnx.Rngs(0))
    bound = flatten_params(nnx.state(model, nnx.Param))
    blueprint = draw_blueprint(lambda: Clip(config_of(is_coca=False), rngs=nnx.Rngs(0)))
    rng = np.random.default_rng(2)
    weight, bias = rng.normal(size=(1, 8)).astype(np.float32), np.float32([4.5])
    params = {**bound, HEAD_WEIGHT: jnp.asarray(weight), HEAD_BIAS: jnp.asarray(bias)}
    batch = {**make_batch(), "scores": jnp.asarray([1.0, 5.0, 7.0, 9.0])}
    found = {}
    for vote_weight in (0.0, 0.5):
        config = ImageTextLossConfig(vote_weight=vote_weight)
        loss = make_image_text_loss(blueprint.bind, config)
        found[vote_weight] = loss(params, batch, jnp.int32(0), jax.random.key(0))
    pixels = (batch["pixels"].astype(jnp.float32) / 255 - 0.5) / 0.5
    images = np.asarray(normalize(model.visual(pixels)))
    head = [np.asarray(array) for array in head_arrays(params)]
    errors = (images @ head[0].T + head[1])[:, 0] - np.asarray(batch["scores"])
    assert float(found[0.5].metrics["vote_error"][0]) == pytest.approx(np.sum(errors**2), rel=1e-4)
    assert float(found[0.0].metrics["vote_error"][1]) == 0
    gained = float(found[0.5].loss_sum) - float(found[0.0].loss_sum)
    assert gained == pytest.approx(0.5 * np.sum(errors**2), rel=1e-4)


def test_padding_of_captions_is_not_said():
    logits = jnp.zeros((2, 5, 12))
    tokens = jnp.asarray([[START, 3, 4, END, 0], [START, END, 0, 0, 0]])
    nll, count, mean = caption_xent(logits, tokens)
    assert float(mean) == pytest.approx(float(nll) / float(count))
    assert float(count) == 4
    assert float(nll) == pytest.approx(4 * np.log(12), rel=1e-6)
    changed = logits.at[1, 1:].set(7.0 * jnp.arange(12))
    assert float(caption_xent(changed, tokens)[0]) == pytest.approx(float(nll), rel=1e-6)


def test_rare_tokens_weigh_more_and_all_together_as_much_as_before():
    captions = np.asarray([[START, 3, 5, END], [START, 3, 6, END], [START, 3, END, 0]])
    weights = weigh_tokens(captions, 12, 0.5)
    said = captions[:, 1:][captions[:, 1:] != 0]
    assert weights[said].mean() == pytest.approx(1.0, rel=1e-6)
    assert weights[5] == weights[6] == pytest.approx(weights[3] * np.sqrt(3), rel=1e-6)
    assert weights[7] == 1.0  # never said
    np.testing.assert_allclose(weigh_tokens(captions, 12, 0.0), np.ones(12), rtol=1e-6)
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4, 12)), jnp.float32)
    tokens = jnp.asarray(captions)
    nll, count, mean = caption_xent(logits, tokens, jnp.asarray(weights))
    assert (float(nll), float(count)) == tuple(map(float, caption_xent(logits, tokens)[:2]))
    each = -jax.nn.log_softmax(logits[:, :-1])
    expected, total = 0.0, 0.0
    for row, place in zip(*np.nonzero(captions[:, 1:]), strict=True):
        token = captions[row, place + 1]
        expected += weights[token] * float(each[row, place, token])
        total += weights[token]
    assert float(mean) == pytest.approx(expected / total, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("is_coca", [False, True])
def test_the_gradient_is_finite_and_reaches_every_parameter(is_coca: bool):
    kind = Coca if is_coca else Clip
    config = config_of(is_coca=is_coca)
    params = flatten_params(nnx.state(kind(config, rngs=nnx.Rngs(0)), nnx.Param))
    blueprint = draw_blueprint(lambda: kind(config, rngs=nnx.Rngs(0)))
    loss = make_image_text_loss(blueprint.bind, ImageTextLossConfig(caption_weight=2.0))
    batch, key = make_batch(), jax.random.key(0)

    def mean(params):
        found = loss(params, batch, jnp.int32(0), key)
        return found.loss_sum / found.count, found

    (value, found), gradient = jax.jit(jax.value_and_grad(mean, has_aux=True))(params)
    assert set(found.metrics) == set(METRIC_NAMES)
    contrast_mean = float(found.metrics["contrast"][0] / found.metrics["contrast"][1])
    nll, said = (float(v) for v in found.metrics["caption_nll"])
    want = contrast_mean + (2.0 * nll / said if is_coca else 0.0)
    assert float(value) == pytest.approx(want, rel=1e-5)
    norms = {name: float(jnp.linalg.norm(leaf)) for name, leaf in gradient.items()}
    assert all(np.isfinite(norm) for norm in norms.values())
    still = [name for name, norm in norms.items() if norm == 0]
    assert not [name for name in still if "bias" not in name], still


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"caption_weight: got -1\.0"):
        ImageTextLossConfig(caption_weight=-1.0)
    with pytest.raises(ValueError, match=r"vote_weight: got -0\.5"):
        ImageTextLossConfig(vote_weight=-0.5)
    with pytest.raises(ValueError, match="pixel_std: got 0"):
        ImageTextLossConfig(pixel_std=0.0)
