"""How MUSIQ's pictures are cut; expected copies and cells are TensorFlow's, see tools."""

from pathlib import Path

import numpy as np
import pytest

from pe.data.musiq_input import (
    MusiqInputConfig,
    _resize,
    _resized_sides,
    hash_positions,
    prepare_image,
    stack_inputs,
)

ROOT = Path(__file__).resolve().parents[3]
SINGLE = MusiqInputConfig(longer_sides_px=())


@pytest.fixture(scope="module")
def expected():
    with np.load(ROOT / "tests/goldens/musiq/expected.npz") as file:
        return dict(file)


def test_prepare_image_gives_the_rows_of_its_docstring():
    config = MusiqInputConfig(patch_px=1, grid_size=4, longer_sides_px=(2,))
    image = np.array([[[255] * 3, [0] * 3]], np.uint8)
    found = prepare_image(image, config)
    blurred = (1 - np.exp(-2)) / (1 + np.exp(-2))  # 0.76
    np.testing.assert_allclose(found.patches[:, 0], [blurred, -blurred, 1, -1], atol=1e-6)
    assert found.positions.tolist() == [0, 2, 0, 2]
    assert found.scales.tolist() == [0, 0, 1, 1]


def test_stack_inputs_gives_the_rows_of_its_docstring():
    config = MusiqInputConfig(patch_px=1, grid_size=10, longer_sides_px=())
    inputs = [prepare_image(np.zeros((1, width, 3), np.uint8), config) for width in (3, 1)]
    batch = stack_inputs(inputs, multiple=2)
    assert batch["positions"].tolist() == [[0, 3, 6, 0], [0, 0, 0, 0]]
    assert batch["mask"].tolist() == [[True, True, True, False], [True, False, False, False]]
    assert batch["patches"].shape == (2, 4, 3)
    assert (batch["patches"][0, 3] == 0).all()
    assert stack_inputs(inputs, num_patches=7)["scales"].shape == (2, 7)


def test_hash_positions_gives_the_rows_of_its_docstring():
    assert hash_positions(1, 4, 10).tolist() == [0, 2, 5, 7]
    assert hash_positions(2, 2, 10).tolist() == [0, 5, 50, 55]


def test_cells_equal_those_of_tensorflow(expected):
    counts = [int(name.split("_")[1]) for name in expected if name.startswith("cells_")]
    assert len(counts) == 11
    for count in counts:
        assert hash_positions(1, count, 10).tolist() == expected[f"cells_{count}"].tolist()


def test_copies_equal_those_of_tensorflow(expected):
    for number in range(4):
        source, resized = expected[f"source_{number}"], expected[f"resized_{number}"]
        found = _resize(source, *resized.shape[:2])
        np.testing.assert_allclose(found, resized, atol=1e-6)


def test_sides_are_rounded_and_small_pictures_made_larger():
    assert _resized_sides(427, 640, 224) == (149, 224)
    assert _resized_sides(45, 70, 384) == (247, 384)
    assert _resized_sides(5, 448, 224) == (2, 224)  # 2.5 to the even number
    assert _resized_sides(1, 1, 224) == (224, 224)


def test_a_picture_gives_the_patches_of_three_scales():
    found = prepare_image(np.zeros((480, 640, 3), np.uint8), MusiqInputConfig())
    # 168 x 224, 288 x 384, 480 x 640
    assert [int((found.scales == scale).sum()) for scale in range(3)] == [6 * 7, 9 * 12, 15 * 20]
    assert found.patches.shape == (450, 3072)
    assert found.patches.dtype == np.float32
    assert found.positions.max() == 99


def test_margins_are_grey_and_the_odd_one_lies_at_the_end():
    found = prepare_image(np.full((1, 31, 3), 255, np.uint8), SINGLE)
    patch = found.patches.reshape(32, 32, 3)
    assert patch[15, :31].min() == 1
    assert patch[15, 31].max() == 0
    assert patch.sum() == 31 * 3


def test_patches_run_row_after_row_with_channels_last():
    image = np.arange(64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    found = prepare_image(image, SINGLE)
    whole = image.astype(np.float32) / 255 * 2 - 1
    np.testing.assert_allclose(found.patches[1], whole[:32, 32:].reshape(-1), atol=1e-6)
    np.testing.assert_allclose(found.patches[2], whole[32:, :32].reshape(-1), atol=1e-6)


def test_the_native_patches_may_be_limited():
    image = np.zeros((96, 96, 3), np.uint8)
    config = MusiqInputConfig(longer_sides_px=(32,), max_native_patches=4)
    assert prepare_image(image, config).scales.tolist() == [0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), "got float32, expected uint8"),
        (np.zeros((4, 4), np.uint8), r"got the shape \[4, 4\], expected RGB"),
        (np.zeros((4, 4, 4), np.uint8), r"got the shape \[4, 4, 4\], expected RGB"),
        (np.zeros((0, 4, 3), np.uint8), "got 4 x 0 px, expected at least one pixel"),
        (np.zeros((1, 2000, 3), np.uint8), "2000 x 1 px, of which a copy of 224 px .* 224 x 0"),
    ],
    ids=["float", "grey", "rgba", "empty", "strip"],
)
def test_a_picture_that_cannot_be_cut_is_named(image, message):
    with pytest.raises(ValueError, match=message):
        prepare_image(image, MusiqInputConfig())


def test_a_batch_that_cannot_be_stacked_is_named():
    item = prepare_image(np.zeros((32, 96, 3), np.uint8), SINGLE)
    with pytest.raises(ValueError, match="got no pictures"):
        stack_inputs([])
    with pytest.raises(ValueError, match="a picture of 3 patches, expected at most 2"):
        stack_inputs([item], num_patches=2)
    small = MusiqInputConfig(patch_px=16, longer_sides_px=())
    with pytest.raises(ValueError, match="different sizes"):
        stack_inputs([item, prepare_image(np.zeros((16, 16, 3), np.uint8), small)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patch_px": 0}, "patch_px: got 0"),
        ({"longer_sides_px": (384, 224)}, "the smallest first"),
        ({"longer_sides_px": (0,)}, "1 px or more"),
        ({"max_native_patches": 0}, "max_native_patches: got 0"),
    ],
    ids=["patch", "order", "side", "limit"],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        MusiqInputConfig(**settings)


@pytest.mark.seqio
def test_copies_cells_and_patches_equal_those_of_the_installed_tensorflow():
    import tensorflow as tf

    rng = np.random.default_rng(0)
    for height, width, longer in ((500, 333, 384), (61, 200, 224), (384, 256, 384), (1, 1, 9)):
        pixels = rng.uniform(-1, 1, (height, width, 3)).astype(np.float32)
        sides = _resized_sides(height, width, longer)
        theirs = tf.image.resize(pixels, sides, method="gaussian").numpy()
        np.testing.assert_allclose(_resize(pixels, *sides), theirs, atol=2e-6)
    v1 = tf.compat.v1.image
    grid = tf.reshape(tf.range(10, dtype=tf.int32), [10, 1, 1])
    for count in range(1, 400):
        cells = v1.resize(grid, [count, 1], method=v1.ResizeMethod.NEAREST_NEIGHBOR)
        assert hash_positions(1, count, 10).tolist() == cells.numpy()[:, 0, 0].tolist()
    image = rng.integers(0, 256, (45, 70, 3)).astype(np.uint8)
    window = [1, 32, 32, 1]
    whole = image[None].astype(np.float32) / 255 * 2 - 1
    theirs = tf.image.extract_patches(whole, window, window, [1] * 4, "SAME").numpy()
    found = prepare_image(image, SINGLE).patches
    np.testing.assert_allclose(found, theirs.reshape(-1, 3072), atol=1e-6)
