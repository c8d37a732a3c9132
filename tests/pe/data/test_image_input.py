"""Images are resized, cropped and normalised as open_clip does it, from either kind of settings."""

import numpy as np
import PIL.Image
import pytest

from pe.data.image_input import (
    ImageInputConfig,
    _resized_sides,
    prepare_image,
    prepare_images,
    read_input_config,
)

# width, height, size, resize, interpolation, fill -> three pixels and the mean, by open_clip 3.3:
# in the middle of the left side, in the middle, and at the right side a row below the middle
GOLDENS = [
    (
        (640, 427, 224, "shortest", "bicubic", 0),
        [[1.09823, 0.54409, 0.31151], [0.54349, -0.08623, 0.39683], [-0.18644, -0.61151, 1.19315]],
        0.188681,
    ),
    (
        (31, 58, 24, "shortest", "bilinear", 0),
        [[-1.33971, 0.43904, -0.51326], [0.22232, 0.67916, 0.24041], [1.68216, 0.97932, 1.33535]],
        0.370421,
    ),
    (
        (301, 90, 63, "longest", "bicubic", 0),
        [[-0.93096, 1.7147, 0.43949], [-0.75577, 0.00381, 0.25463], [-0.5222, -1.34689, 0.29729]],
        -1.116825,
    ),
    (
        (33, 80, 21, "longest", "bilinear", 128),
        [[0.07634, 0.1689, 0.33995], [0.4267, 1.45957, 0.62435], [0.07634, 0.1689, 0.33995]],
        0.170265,
    ),
    (
        (50, 77, 37, "squash", "bicubic", 0),
        [[-1.22292, 1.09938, -0.51326], [1.27341, 1.47457, 1.36379], [0.04714, 2.04487, 0.90875]],
        0.053947,
    ),
]
CLIP_PROCESSOR = {  # as Hugging Face writes it for OpenAI's CLIP
    "crop_size": 224,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": 224,
}


def make_image(width, height):
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 7 + y, x + y * 5, x * y + 60], -1).astype(np.uint8)
    return PIL.Image.fromarray(pixels)


def make_config(size, resize, interpolation, fill):
    return ImageInputConfig(size_px=size, resize=resize, interpolation=interpolation, fill=fill)


@pytest.mark.parametrize(("case", "expected", "mean"), GOLDENS, ids=lambda value: str(value)[:40])
def test_pixels_are_those_of_open_clip(case, expected, mean):
    width, height, *settings = case
    prepared = prepare_image(make_image(width, height), make_config(*settings))
    size = settings[0]
    middle = size // 2
    assert (prepared.dtype, prepared.shape) == (np.float32, (size, size, 3))
    found = prepared[[middle, middle, middle + 1], [0, middle, size - 1]]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert float(prepared.mean(dtype=np.float64)) == pytest.approx(mean, abs=1e-6)


@pytest.mark.torch
@pytest.mark.parametrize("resize", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_forty_sizes_of_images_equal_open_clip_bit_for_bit(transformers, resize, interpolation):
    transform = pytest.importorskip("open_clip.transform")  # needs what transformers needs
    rng = np.random.default_rng(0)
    sizes = [tuple(map(int, size)) for size in rng.integers(1, 700, (32, 2))]
    sizes += [(1, 1), (224, 224), (225, 224), (224, 227), (223, 223), (500, 7), (7, 500), (448, 9)]
    for size_px in (224, 37):
        config = make_config(size_px, resize, interpolation, 9)
        reference = transform.image_transform_v2(
            transform.PreprocessCfg(
                size=size_px, resize_mode=resize, interpolation=interpolation, fill_color=9
            ),
            is_train=False,
        )
        for width, height in sizes:
            pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            image = PIL.Image.fromarray(pixels)
            if resize == "longest" and round(min(image.size) / (max(image.size) / size_px)) == 0:
                with pytest.raises(ValueError, match="expected less of a strip"):
                    prepare_image(image, config)
                continue
            expected = reference(image).numpy().transpose(1, 2, 0)
            np.testing.assert_array_equal(prepare_image(image, config), expected, f"{image.size}")


@pytest.mark.torch
def test_the_settings_of_open_clip_have_its_defaults(transformers):
    transform = pytest.importorskip("open_clip.transform")
    theirs, ours = transform.PreprocessCfg(), ImageInputConfig()
    assert (theirs.size, theirs.mean, theirs.std) == (ours.size_px, ours.mean, ours.std)
    assert (theirs.resize_mode, theirs.interpolation) == (ours.resize, ours.interpolation)
    assert theirs.fill_color == ours.fill


def test_sides_are_rounded_as_the_docstring_shows():
    rows = {
        (640, 427): [(335, 224), (224, 149), (224, 224)],
        (427, 640): [(224, 335), (149, 224), (224, 224)],
    }
    modes = ("shortest", "longest", "squash")
    for sides, expected in rows.items():
        assert [_resized_sides(*sides, ImageInputConfig(resize=m)) for m in modes] == expected


def test_a_pixel_is_scaled_to_one_then_normalised():
    config = ImageInputConfig(size_px=1, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    for color, expected in [((255, 255, 255), (2.0, 2.0, 2.0)), ((0, 255, 51), (-2.0, 2.0, -1.2))]:
        prepared = prepare_image(PIL.Image.new("RGB", (1, 1), color), config)
        np.testing.assert_allclose(prepared, [[expected]], atol=1e-6)


def test_an_odd_pixel_is_cut_at_the_even_side_and_filled_at_the_end():
    def levels(width, **settings):
        image = PIL.Image.fromarray(
            np.arange(1, width + 1, dtype=np.uint8)[None, :, None].repeat(2, 0).repeat(3, 2)
        )
        one = 1 / 255
        config = ImageInputConfig(mean=(0.0, 0.0, 0.0), std=(one, one, one), **settings)
        return np.rint(prepare_image(image, config)[..., 0]).astype(int).tolist()

    # one pixel too many: half of it is rounded to 0, three halves to 2
    assert levels(3, size_px=2) == [[1, 2]] * 2
    assert levels(5, size_px=2) == [[3, 4]] * 2
    # 5 x 2 in a square of 5: one row above, two below
    padded = levels(5, size_px=5, resize="longest", fill=9)
    assert padded == [[9] * 5, *[[1, 2, 3, 4, 5]] * 2, [9] * 5, [9] * 5]


def test_images_of_any_sizes_make_a_batch():
    config = ImageInputConfig(size_px=16)
    images = [make_image(20, 30), make_image(16, 16), make_image(90, 17)]
    batch = prepare_images(images, config)
    assert (batch.dtype, batch.shape) == (np.float32, (3, 16, 16, 3))
    for row, image in zip(batch, images, strict=True):
        np.testing.assert_array_equal(row, prepare_image(image, config))
    assert prepare_images([], config).shape == (0, 16, 16, 3)


def test_images_that_cannot_be_prepared_are_refused():
    with pytest.raises(ValueError, match="got the mode RGBA, expected RGB; convert it first"):
        prepare_image(PIL.Image.new("RGBA", (3, 3)), ImageInputConfig())
    with pytest.raises(ValueError, match="3000 x 2 px, which would become 336000 x 224"):
        prepare_image(PIL.Image.new("RGB", (3000, 2)), ImageInputConfig())
    with pytest.raises(ValueError, match="3000 x 2 px, which would become 224 x 0"):
        prepare_image(PIL.Image.new("RGB", (3000, 2)), ImageInputConfig(resize="longest"))
    with pytest.raises(ValueError, match="0 x 5 px, which would become 0 x 0"):
        prepare_image(PIL.Image.new("RGB", (0, 5)), ImageInputConfig())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size_px": 0}, "size_px: got 0, expected 1 to 4096"),
        ({"std": (0.5, 0.0, 0.5)}, "std: got .*expected numbers above 0"),
        ({"mean": (0.5, float("nan"), 0.5)}, "mean: got .*expected three numbers"),
        ({"fill": 256}, "fill: got 256, expected 0 to 255"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ImageInputConfig(**settings)


def test_settings_of_open_clip_are_read():
    half = (0.5, 0.5, 0.5)
    assert read_input_config({}) == ImageInputConfig()
    assert read_input_config({"mean": 0.5, "std": 0.5}, size_px=384) == ImageInputConfig(
        size_px=384, mean=half, std=half
    )
    given = {
        "size": [256, 256],
        "mode": "RGB",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bilinear",
        "resize_mode": "longest",
        "fill_color": 3,
    }
    expected = ImageInputConfig(
        size_px=256, mean=half, std=half, interpolation="bilinear", resize="longest", fill=3
    )
    assert read_input_config(given) == expected
    assert read_input_config({**given, "size": 256}) == expected
    assert read_input_config({"size": 256}, size_px=336).size_px == 336  # the model's goes first
    assert read_input_config({"interpolation": "random", "size": None}) == ImageInputConfig()


def test_settings_of_hugging_face_are_read():
    assert read_input_config(CLIP_PROCESSOR) == ImageInputConfig()
    newer = {
        **CLIP_PROCESSOR,
        "size": {"shortest_edge": 336},
        "crop_size": {"height": 336, "width": 336},
        "rescale_factor": 0.00392156862745098,
        "resample": 2,
    }
    assert read_input_config(newer, size_px=336) == ImageInputConfig(
        size_px=336, interpolation="bilinear"
    )
    squashed = {
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "SiglipImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "resample": 3,
        "size": {"height": 384, "width": 384},
    }
    half = (0.5, 0.5, 0.5)
    assert read_input_config(squashed) == ImageInputConfig(
        size_px=384, mean=half, std=half, resize="squash"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mode": "L"}, "mode: got 'L', expected 'RGB'"),
        ({"size": [224, 256]}, r"size: got \[224, 256\], expected a square"),
        ({"size": "224"}, "size: got '224', expected a whole number"),
        ({"size": []}, r"size: got \[\], expected a square"),
        ({"mean": [0.5]}, r"mean: got \[0.5\], expected three numbers"),
        ({"std": "abc"}, "std: got 'abc', expected three numbers"),
        ({"fill_color": 0.5}, "fill_color: got 0.5, expected a whole number"),
        ({"size": {"shortest_edge": 224}}, "image_mean, image_std, resample not given"),
        ({**CLIP_PROCESSOR, "resample": 0}, r"resample: got 0, expected 2 \(bilinear\) or 3"),
        ({**CLIP_PROCESSOR, "do_normalize": False}, "got no do_normalize; expected all three"),
        ({**CLIP_PROCESSOR, "do_center_crop": False}, "do_center_crop: got false"),
        ({**CLIP_PROCESSOR, "size": 256}, "crop_size: got 224 of a size of 256"),
        ({**CLIP_PROCESSOR, "size": {"longest_edge": 9}}, "size: got .*expected a whole number"),
        ({**CLIP_PROCESSOR, "rescale_factor": 1.0}, "rescale_factor: got 1.0, expected 1/255"),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_settings_that_mean_another_input_are_refused(given, message):
    with pytest.raises(ValueError, match=f"preprocessing.* {message}"):
        read_input_config(given)


@pytest.mark.parametrize("given", [{"resize_mode": "crop"}, {"interpolation": "nearest"}], ids=str)
def test_unknown_ways_to_resize_are_refused(given):
    with pytest.raises(ValueError, match=f"got '{next(iter(given.values()))}', expected one of"):
        read_input_config(given)


def test_a_size_of_hugging_face_that_is_not_the_models_is_refused():
    with pytest.raises(ValueError, match="size: got 224 for a model of 336"):
        read_input_config(CLIP_PROCESSOR, size_px=336)
