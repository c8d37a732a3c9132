"""MUSIQ's scores against goldens of tools/make_aesthetic_goldens.py (torch, float64)."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pe.data.musiq_input import MusiqInputConfig, prepare_image, stack_inputs
from pe.models.musiq import (
    BLOCK_EPSILON,
    ROOT_EPSILON,
    STD_EPSILON,
    Musiq,
    MusiqConfig,
    _conv,
    _group_norm,
    _standardize,
    param_shapes,
    predict,
    score_patches,
)
from pe.weights.musiq import open_musiq

GOLDENS = Path(__file__).resolve().parents[2] / "goldens" / "musiq"
TINY = MusiqConfig(width=8, num_layers=3, num_heads=2, mlp_width=12)


@pytest.fixture(scope="module")
def expected():
    with np.load(GOLDENS / "expected.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def musiq():
    return open_musiq(GOLDENS / "ava.npz")


@pytest.fixture(scope="module")
def single():
    with np.load(GOLDENS / "single.npz") as file:
        return {name.removeprefix("opt/target/"): jnp.asarray(file[name]) for name in file}


@pytest.fixture(scope="module")
def batch(expected):
    images = [expected[f"image_{number}"] for number in range(3)]
    return stack_inputs([prepare_image(image, MusiqInputConfig()) for image in images])


@pytest.mark.slow
def test_scores_of_ten_bins_equal_the_golden(musiq, batch, expected):
    arrays = {name: jnp.asarray(values) for name, values in batch.items()}
    logits = predict(musiq.params, **arrays, config=musiq.config)
    np.testing.assert_allclose(logits, expected["logits"], atol=2e-5)
    np.testing.assert_allclose(musiq.score(**batch), expected["scores"], atol=1e-5)


@pytest.mark.slow
def test_a_single_output_is_the_score(musiq, single, batch, expected):
    head = {name: single[name] for name in ("head/kernel", "head/bias")}
    config = MusiqConfig(width=8, num_layers=3, num_heads=2, mlp_width=12, num_bins=1)
    scores = Musiq(config=config, params={**musiq.params, **head}).score(**batch)
    np.testing.assert_allclose(scores, expected["koniq_scores"], rtol=1e-5)


@pytest.mark.slow
def test_weights_of_one_scale_read_the_picture_alone(musiq, single, expected):
    config = MusiqConfig(width=8, num_layers=3, num_heads=2, mlp_width=12, num_bins=1, num_scales=1)
    alone = MusiqInputConfig(longer_sides_px=())
    images = [expected[f"image_{number}"] for number in range(3)]
    batch = stack_inputs([prepare_image(image, alone) for image in images], multiple=8)
    scores = Musiq(config=config, params={**musiq.params, **single}).score(**batch)
    np.testing.assert_allclose(scores, expected["one_scale_scores"], rtol=1e-5)


@pytest.mark.slow
def test_what_fills_a_batch_changes_no_score(musiq, batch, expected):
    item = prepare_image(expected["image_0"], MusiqInputConfig())
    for num_patches in (len(item.positions), len(item.positions) + 30):
        alone = stack_inputs([item], num_patches=num_patches)
        np.testing.assert_allclose(musiq.score(**alone), expected["scores"][:1], atol=1e-5)
    dirty = {name: values.copy() for name, values in batch.items()}
    for name in ("patches", "positions", "scales"):
        dirty[name][~dirty["mask"]] = 1
    np.testing.assert_allclose(musiq.score(**dirty), musiq.score(**batch), atol=1e-6)


@pytest.mark.slow
def test_the_order_of_patches_changes_no_score(musiq, batch, expected):
    turned = {name: values[:, ::-1].copy() for name, values in batch.items()}
    np.testing.assert_allclose(musiq.score(**turned), expected["scores"], atol=1e-5)


@pytest.mark.slow
def test_a_program_is_compiled_once_for_pictures_of_many_sizes(musiq, expected):
    score_patches.clear_cache()
    for number in range(3):
        item = prepare_image(expected[f"image_{number}"], MusiqInputConfig())
        musiq.score(**stack_inputs([item], num_patches=256))
    assert score_patches._cache_size() == 1


@pytest.mark.slow
def test_the_gradient_is_finite(musiq, batch):
    rest = {name: jnp.asarray(batch[name][:1, :4]) for name in ("positions", "scales", "mask")}
    rate = lambda pixels: score_patches(musiq.params, pixels, **rest, config=TINY).sum()  # noqa: E731
    gradient = jax.grad(rate)(jnp.asarray(batch["patches"][:1, :4]))
    assert bool(jnp.isfinite(gradient).all())
    assert float(jnp.abs(gradient).max()) > 0


def test_a_standardised_kernel_has_mean_0_and_deviation_1():
    kernel = jnp.array([1.0, 3.0, 5.0, 7.0]).reshape(2, 2, 1, 1)
    unit = np.array([-3, -1, 1, 3]) / (np.sqrt(5) + 1e-5)  # divided by 4, not by 3
    np.testing.assert_allclose(_standardize(kernel).reshape(-1), unit, rtol=1e-6)


@pytest.mark.slow
def test_a_group_is_normalised_over_places_and_its_two_channels():
    x = jnp.tile(jnp.array([0.01, -0.01, 0.03, 0.01]), 16).reshape(1, 1, 1, 64)
    x = jnp.concatenate([x, -x], axis=2)
    params = {"gn/scale": jnp.full(64, 2.0), "gn/bias": jnp.ones(64)}
    found = _group_norm(params, "gn", x, 1e-4)[0, 0, 0, :4]
    # deviations 0.01 and sqrt(5e-4), of means 0
    expected = [1 + 0.02 / 2e-4**0.5, 1 - 0.02 / 2e-4**0.5, 1 + 0.06 / 6e-4**0.5]
    np.testing.assert_allclose(found[:3], expected, rtol=1e-5)
    assert (ROOT_EPSILON, BLOCK_EPSILON, STD_EPSILON) == (1e-6, 1e-4, 1e-5)


def test_the_larger_half_of_an_odd_margin_lies_at_the_end():
    x = jnp.arange(1.0, 5).reshape(1, 1, 4, 1)
    kernel = jnp.array([1.0, 10, 100]).reshape(1, 3, 1, 1)
    assert _conv(x, kernel, stride=2).reshape(-1).tolist() == [321, 43]


def test_the_published_network_has_27_million_parameters():
    shapes = param_shapes(MusiqConfig())
    assert shapes["embedding/kernel"] == (16384, 384)
    assert shapes["Transformer/encoderblock_13/MlpBlock_3/Dense_0/kernel"] == (384, 1152)
    stem = (7 * 7 * 3 * 64 + 2 * 64) + (64 * 64 * 18 + 2 * (2 * 64 + 2 * 256))
    tokens = (16384 * 384 + 384) + (100 + 3 + 1) * 384
    layer = 4 * 384 + 4 * (384 * 384 + 384) + (2 * 384 * 1152 + 1152 + 384)
    assert stem + tokens + 14 * layer + 2 * 384 + 10 * 384 + 10 == 27_129_290
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 27_129_290


def test_patches_of_another_size_and_scales_unknown_are_named(musiq, batch):
    with pytest.raises(ValueError, match="got 12 values each, expected 3072"):
        musiq.score(**{**batch, "patches": batch["patches"][:, :, :12]})
    for convert in (np.asarray, jnp.asarray):
        for name, shift, message in (
            ("scales", 1, "scales: got 3, expected 0 to 2"),
            ("scales", -1, "scales: got -1, expected 0 to 2"),
            ("positions", 50, r"positions: got 1\d\d, expected 0 to 99"),
            ("positions", -1, "positions: got -1, expected 0 to 99"),
        ):
            with pytest.raises(ValueError, match=message):
                musiq.score(**{**batch, name: convert(batch[name] + shift)})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_layers": 0}, "num_layers: got 0"),
        ({"num_heads": 7}, "num_heads: got 7, expected a divisor of the width, 384"),
        ({"patch_px": 30}, "patch_px: got 30, expected a multiple of 4"),
    ],
    ids=["layers", "heads", "patch"],
)
def test_sizes_that_do_not_fit_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        MusiqConfig(**settings)
