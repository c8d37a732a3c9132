"""Every kind of image that people have is read for what it shows."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from pe.data.image_file import (
    decode_image,
    find_scale,
    scale_grey,
)
from tests.pe.data.pictures import (
    BLUE,
    GOLD,
    GREEN,
    GREY_COLOURS,
    GREYS,
    HEIGHT,
    QUARTERS,
    RED,
    WHITE,
    WIDTH,
    assert_shows,
    colours,
    exif_of,
    grey_png,
    make_picture,
    pack,
    png_chunks,
    png_of,
    quarters,
    reason_of,
    rgb16_png,
    tiff_of,
)


@pytest.mark.parametrize(
    ("kind", "settings", "within"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}, 3),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 3),
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("PPM", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 8),
        ("AVIF", {"quality": 95}, 8),
        ("JPEG2000", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"big_tiff": True}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "tiff_adobe_deflate"}, 0),
        ("TIFF", {"compression": "jpeg", "quality": 95}, 8),
    ],
)
def test_each_format_shows_its_picture(kind, settings, within):
    assert_shows(pack(make_picture(), kind, **settings), QUARTERS, within=within)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [RED, GREEN, BLUE, GOLD]),
        (2, [GREEN, RED, GOLD, BLUE]),
        (3, [GOLD, BLUE, GREEN, RED]),
        (4, [BLUE, GOLD, RED, GREEN]),
        (5, [RED, BLUE, GREEN, GOLD]),
        (6, [BLUE, RED, GOLD, GREEN]),
        (7, [GOLD, GREEN, BLUE, RED]),
        (8, [GREEN, GOLD, RED, BLUE]),
        (9, [RED, GREEN, BLUE, GOLD]),
    ],
)
def test_exif_rotation_is_applied(kind, orientation, expected):
    size = (HEIGHT, WIDTH) if 5 <= orientation <= 8 else (WIDTH, HEIGHT)
    settings = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}
    data = pack(make_picture(), kind, exif=exif_of(orientation), **settings.get(kind, {}))
    assert_shows(data, expected, size=size, within=3)


def test_the_rotation_of_an_avif_is_that_of_its_own_boxes():
    data = pack(make_picture(), "AVIF", quality=95, exif=exif_of(6))
    assert_shows(data, [BLUE, RED, GOLD, GREEN], size=(HEIGHT, WIDTH), within=8)


def test_what_is_see_through_lies_on_white():
    half = (220, 20, 20, 128)
    picture = make_picture(half, (*GREEN, 0), (*BLUE, 255), (*GOLD, 255), mode="RGBA")
    expected = [(237, 137, 137), WHITE, BLUE, GOLD]
    for kind, settings in [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})]:
        assert_shows(pack(picture, kind, **settings), expected, within=1)


def test_grey_with_alpha_and_a_palette_with_alpha_lie_on_white():
    grey = make_picture((100, 255), (100, 0), (40, 255), (0, 255), mode="LA")
    assert_shows(pack(grey, "PNG"), [(100,) * 3, WHITE, (40,) * 3, (0,) * 3])
    indices = make_picture(0, 1, 2, 3, mode="P")
    indices.putpalette([*RED, *GREEN, *BLUE, *GOLD])
    assert_shows(pack(indices, "PNG"), QUARTERS)
    assert_shows(pack(indices, "PNG", transparency=1), [RED, WHITE, BLUE, GOLD])
    several = pack(indices, "PNG", transparency=bytes([255, 0, 128, 255]))
    assert_shows(several, [RED, WHITE, (137, 137, 237), GOLD], within=1)
    assert_shows(pack(indices, "GIF", transparency=2), [RED, GREEN, WHITE, GOLD])


def test_one_clear_colour_lies_on_white_at_every_depth():
    assert_shows(pack(make_picture(), "PNG", transparency=GREEN), [RED, WHITE, BLUE, GOLD])
    clear = (b"tRNS", struct.pack(">H", 1))
    for depth, values, expected in [
        (1, [0, 1, 0, 0], [0, 255, 0, 0]),
        (2, [0, 1, 2, 3], [0, 255, 170, 255]),
        (4, [0, 1, 8, 15], [0, 255, 136, 255]),
        (8, [0, 1, 8, 15], [0, 255, 8, 15]),
        (16, [0, 1, 32_896, 65_535], [0, 255, 128, 255]),
    ]:
        data = grey_png(quarters(values, np.uint16), depth, clear)
        assert_shows(data, [(value,) * 3 for value in expected])
    wide = np.stack([quarters([0, 65_535, 257, 32_896], np.uint16)] * 3, axis=-1)
    clear = (b"tRNS", struct.pack(">3H", 65_535, 65_535, 65_535))
    assert_shows(rgb16_png(wide, clear), [(0,) * 3, WHITE, (1,) * 3, (128,) * 3])


def test_sixteen_bits_are_scaled_and_not_clipped():
    values = quarters([0, 24_672, 41_120, 65_535], np.uint16)
    assert_shows(grey_png(values, 16), GREY_COLOURS)
    assert_shows(pack(Image.fromarray(values), "TIFF"), GREY_COLOURS)
    assert_shows(pack(Image.fromarray(values), "TIFF", compression="tiff_lzw"), GREY_COLOURS)
    assert_shows(pack(Image.fromarray(values), "JPEG2000"), GREY_COLOURS, within=1)
    assert_shows(b"P5 96 80 65535\n" + values.astype(">u2").tobytes(), GREY_COLOURS)
    colour = np.stack([values, values[::-1], values[:, ::-1]], axis=-1)
    assert_shows(
        rgb16_png(colour), [(0, 160, 96), (96, 255, 0), (160, 0, 255), (255, 96, 160)], within=1
    )


def test_a_dark_picture_of_sixteen_bits_stays_dark():
    assert_shows(
        grey_png(quarters([0, 257, 514, 771], np.uint16), 16), [(v,) * 3 for v in range(4)]
    )


def test_tiffs_of_many_depths_are_scaled_by_what_they_say():
    signed = tiff_of(quarters([0, 12_336, 20_560, 32_767], np.int16), t339=2)
    assert_shows(signed, GREY_COLOURS)
    inverted = tiff_of(quarters([65_535, 40_863, 24_415, 0], np.uint16), t262=0)
    assert_shows(inverted, GREY_COLOURS)
    whole = np.array([0, 24_672, 41_120, 65_535])
    for values in (whole.astype(np.uint32), (whole / 65_535 * (2**31 - 1)).astype(np.uint32)):
        assert_shows(tiff_of(quarters(values, np.uint32)), GREY_COLOURS)


@pytest.mark.parametrize("white", [1.0, 255.0, 65_535.0])
def test_floats_are_scaled_by_the_least_usual_white_that_holds_them(white):
    values = quarters(np.array([0, 96, 160, 255]) / 255 * white, np.float32)
    assert_shows(pack(Image.fromarray(values), "TIFF"), GREY_COLOURS)
    values[0, 0], values[0, 1], values[0, 2] = np.nan, np.inf, -5
    picture = decode_image(pack(Image.fromarray(values), "TIFF"))
    assert [picture.getpixel((x, 0)) for x in range(3)] == [(0,) * 3, WHITE, (0,) * 3]
    assert colours(picture) == GREY_COLOURS


def test_one_bit_and_palettes_and_grey_are_read():
    bits = make_picture(0, 1, 1, 0, mode="1")
    for kind in ("PNG", "TIFF", "BMP", "PPM"):
        assert_shows(pack(bits, kind), [(0,) * 3, WHITE, WHITE, (0,) * 3])
    assert_shows(pack(bits, "TIFF", compression="group4"), [(0,) * 3, WHITE, WHITE, (0,) * 3])
    grey = make_picture(*GREYS, mode="L")
    for kind in ("PNG", "TIFF", "BMP", "GIF", "PPM"):
        assert_shows(pack(grey, kind), GREY_COLOURS)
    assert_shows(pack(grey, "JPEG", quality=95), GREY_COLOURS, within=2)


def test_cmyk_is_read_as_the_ink_it_means():
    inks = make_picture((0, 255, 255, 0), (255, 0, 255, 0), (0, 0, 0, 255), (0,) * 4, mode="CMYK")
    expected = [(255, 0, 0), (0, 255, 0), (0, 0, 0), WHITE]
    jpeg = pack(inks, "JPEG", quality=95, subsampling=0)
    assert b"Adobe" in jpeg[:200]  # whose inks are stored upside down
    assert_shows(jpeg, expected, within=4)
    assert_shows(pack(inks, "TIFF"), expected)


def test_lab_and_ycbcr_are_read_as_the_colours_they_mean():
    lab = make_picture().convert("LAB")
    assert_shows(pack(lab, "TIFF"), QUARTERS, within=8)  # strong colours in 8 bits of Lab
    ycbcr = make_picture().convert("YCbCr")
    assert_shows(pack(ycbcr, "TIFF", compression="tiff_lzw"), QUARTERS, within=3)
    assert reason_of(pack(ycbcr, "TIFF")) == "unsupported"
    assert_shows(pack(ycbcr, "JPEG", quality=95, subsampling=0), QUARTERS, within=3)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_animations_and_pages_the_first_is_shown(kind):
    second = make_picture(GOLD, GOLD, GOLD, GOLD)
    settings = {"WEBP": {"lossless": True}, "AVIF": {"quality": 95}}.get(kind, {})
    data = pack(make_picture(), kind, save_all=True, append_images=[second], **settings)
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert_shows(data, QUARTERS, within=8 if kind == "AVIF" else 0)


def test_of_a_stereo_jpeg_the_first_is_shown():
    data = pack(make_picture(), "MPO", save_all=True, append_images=[Image.new("RGB", (96, 80))])
    assert_shows(data, QUARTERS, within=60)  # few colours, coarse chroma
    assert decode_image(data).getpixel((90, 20))[1] > 150


def test_metadata_that_is_odd_does_not_matter():
    bomb = zlib.compress(b"x" * 200_000_000, 9)
    header, *rest = png_chunks(pack(make_picture(), "PNG"))
    texts = [(b"zTXt", b"key\x00\x00" + bomb), (b"iCCP", b"icc\x00\x00" + bomb), (b"tEXt", b"odd")]
    exif = b"II*\x00\x08\x00\x00\x00\xff\xff" + b"\x07" * 40
    assert_shows(png_of(header, *texts, (b"eXIf", exif), (b"acTL", b"\x00" * 8), *rest), QUARTERS)
    jpeg = pack(make_picture(), "JPEG", quality=95, subsampling=0)
    block = b"\xff\xe1" + (len(exif) + 8).to_bytes(2, "big") + b"Exif\x00\x00" + exif
    assert_shows(jpeg[:2] + block + b"\xff\xff" + jpeg[3:], QUARTERS, within=3)
    assert_shows(jpeg + b"after the end" * 9, QUARTERS, within=3)
    tiff = tiff_of(quarters(GREYS, np.uint8), t270=4_000_000_000, t34665=99_999, t700=7)
    assert_shows(tiff, GREY_COLOURS)


def test_the_picture_of_the_docstring_is_as_it_says():
    red = pack(Image.new("RGB", (64, 80), (254, 0, 0)), "JPEG", exif=exif_of(6))
    assert decode_image(red).size == (80, 64)
    assert decode_image(red).getpixel((5, 5)) == (254, 0, 0)
    clear = decode_image(pack(Image.new("RGBA", (64, 80), (9, 9, 9, 0)), "PNG"))
    assert (clear.size, clear.getpixel((5, 5))) == ((64, 80), WHITE)
    grey = decode_image(grey_png(np.full((80, 64), 32_896, np.uint16), 16))
    assert grey.getpixel((5, 5)) == (128,) * 3


def test_scale_grey_and_find_scale_give_the_rows_of_their_docstrings():
    values = np.array([[0, 257, 32_896, 65_535, -9, np.nan]], np.float32)
    assert scale_grey(values, 65_535.0).tolist() == [[0, 1, 128, 255, 0, 0]]
    for rows, expected in [
        ([[0.0, 1.01]], 1),
        ([[0.0, 180.0]], 255),
        ([[-5.0, 40_000.0]], 65_535),
        ([[0.0, 1e12]], 1e12),
    ]:
        assert find_scale(np.array(rows)) == expected
    with pytest.raises(ValueError, match="scale: got 0"):
        scale_grey(values, 0.0)


def test_many_threads_decode_at_once():
    files = [pack(make_picture(), kind) for kind in ("PNG", "BMP", "TIFF", "PPM")] * 8
    with ThreadPoolExecutor(4) as pool:
        assert [colours(picture) for picture in pool.map(decode_image, files)] == [QUARTERS] * 32
