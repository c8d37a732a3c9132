"""What is no image, or a broken or too large one, is refused for what it is."""

import struct
import warnings
import zlib

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pe.data.image_file import (
    REASONS,
    ImageLimits,
    UnreadableImage,
    decode_image,
)
from tests.pe.data.pictures import (
    GREYS,
    HEIGHT,
    WIDTH,
    exif_of,
    make_picture,
    pack,
    png_chunks,
    png_of,
    quarters,
    reason_of,
    tiff_of,
)

FILES = {
    "jpeg": pack(make_picture(), "JPEG", exif=exif_of(6)),
    "progressive": pack(make_picture(), "JPEG", progressive=True),
    "png": pack(make_picture(), "PNG"),
    "gif": pack(make_picture(), "GIF"),
    "webp": pack(make_picture(), "WEBP"),
    "lossless": pack(make_picture(), "WEBP", lossless=True),
    "bmp": pack(make_picture(), "BMP"),
    "tiff": pack(make_picture(), "TIFF"),
    "deflate": pack(make_picture(), "TIFF", compression="tiff_adobe_deflate"),
    "avif": pack(make_picture(), "AVIF"),
    "jp2": pack(make_picture(), "JPEG2000"),
    "ppm": pack(make_picture(), "PPM"),
}


@pytest.mark.parametrize(
    "data",
    [
        b"P6 64 64 0\n" + bytes(64 * 64 * 3),
        b"\xff\xd8\xff\xd9",
        b"GIF89a\x60\x00\x50\x00\x00\x00\x00;",
    ],
    ids=["white", "empty", "frame"],
)
def test_a_header_without_a_picture_is_broken(data):
    assert reason_of(data) == "broken"


def test_what_is_no_picture_says_what_it_is():
    assert reason_of(b"a text, by the name of photo.jpg") == "no_image"
    assert reason_of(b"8BPS\x00\x01" + bytes(99)) == "unsupported"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 0.99])
def test_a_file_that_was_cut_is_truncated(name, share):
    data = FILES[name]
    assert decode_image(data).mode == "RGB"
    assert reason_of(data[: int(len(data) * share)]) == "truncated"


def test_a_missing_tail_is_seen_even_where_all_pixels_are_there():
    for name, num_bytes in [("jpeg", 2), ("png", 12), ("png", 1), ("bmp", 1), ("jp2", 2)]:
        assert reason_of(FILES[name][:-num_bytes]) == "truncated"


def test_a_png_whose_check_sum_is_wrong_is_broken():
    data = bytearray(FILES["png"])
    data[data.index(b"IDAT") + 20] ^= 1
    assert reason_of(bytes(data)) == "broken"
    header, *_ = png_chunks(FILES["png"])
    noise = png_of(header, (b"IDAT", b"not packed at all"), (b"IEND", b""))
    assert reason_of(noise) == "broken"


def test_a_bomb_is_told_by_its_header():
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    png = png_of((b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b""))
    assert reason_of(png) == "too_large"
    gif = bytearray(FILES["gif"])
    gif[6:10] = struct.pack("<HH", 60_000, 60_000)
    assert reason_of(bytes(gif)) == "too_large"
    gif = bytearray(FILES["gif"])
    place = gif.index(struct.pack("<BHHHH", 0x2C, 0, 0, WIDTH, HEIGHT))
    gif[place + 5 : place + 9] = struct.pack("<HH", 60_000, 60_000)
    assert reason_of(bytes(gif)) == "too_large"
    assert reason_of(tiff_of(quarters(GREYS, np.uint8), t256=60_000, t257=60_000)) == "too_large"
    bmp = bytearray(FILES["bmp"])
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    assert reason_of(bytes(bmp)) == "too_large"
    jpeg = bytearray(FILES["jpeg"])
    place = jpeg.index(b"\xff\xc0")
    jpeg[place + 5 : place + 9] = struct.pack(">HH", 60_000, 60_000)
    assert reason_of(bytes(jpeg)) == "too_large"
    webp = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\x3f\x00" * 2
    webp = b"RIFF" + struct.pack("<I", 4 + len(webp)) + b"WEBP" + webp
    assert reason_of(webp) == "too_large"
    assert reason_of(b"P6 60000 60000 255\n") == "too_large"
    jp2 = bytearray(FILES["jp2"])
    place = jp2.index(b"\xff\x4f\xff\x51")
    jp2[place + 8 : place + 16] = struct.pack(">II", 60_000, 60_000)
    assert reason_of(bytes(jp2)) == "too_large"


def test_a_tiff_whose_tiles_are_far_larger_than_its_picture_is_broken():
    assert reason_of(tiff_of(quarters(GREYS, np.uint8), t322=65_536, t323=65_536)) == "broken"


def test_a_tiff_of_a_kind_that_no_decoder_reads_is_unsupported():
    assert reason_of(tiff_of(quarters(GREYS, np.float64), t339=3)) == "unsupported"


def test_limits_hold_to_the_pixel():
    assert reason_of(pack(Image.new("RGB", (10, 10)), "PNG")) == "too_small"
    assert reason_of(pack(Image.new("RGB", (63, 200)), "PNG")) == "too_small"
    assert reason_of(pack(Image.new("RGB", (200, 63)), "JPEG", exif=exif_of(6))) == "too_small"
    assert decode_image(pack(Image.new("RGB", (64, 64)), "PNG")).size == (64, 64)
    assert reason_of(FILES["png"], max_pixels=96 * 80 - 1) == "too_large"
    limits = ImageLimits(max_pixels=96 * 80, min_side_px=80, max_bytes=len(FILES["png"]))
    assert decode_image(FILES["png"], limits).size == (96, 80)
    assert reason_of(FILES["png"], max_bytes=len(FILES["png"]) - 1) == "too_many_bytes"


def test_pictures_between_the_libraries_limit_and_ours_give_no_warning():
    data = pack(Image.new("1", (10_000, 9_500)), "PNG")
    assert Image.MAX_IMAGE_PIXELS < 95_000_000 < ImageLimits().max_pixels
    assert reason_of(data, max_pixels=94_999_999) == "too_large"
    assert decode_image(data).size == (10_000, 9_500)
    assert Image.MAX_IMAGE_PIXELS == 89_478_485


def test_limits_that_nothing_can_keep_are_refused():
    for settings, message in [
        ({"min_side_px": 0}, "min_side_px: got 0, expected 1 or more"),
        ({"max_pixels": 0}, "max_pixels: got 0"),
        ({"max_bytes": -1}, "max_bytes: got -1"),
        ({"min_side_px": 100, "max_pixels": 9_999}, "min_side_px: got 100, whose square"),
    ]:
        with pytest.raises(ValueError, match=message):
            ImageLimits(**settings)


def decode_or_refuse(data: bytes) -> str | None:
    """Return the reason, or None; anything else that is raised or warned is a failure."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            reason = None if decode_image(data).mode == "RGB" else "?"
        except UnreadableImage as error:
            reason = error.reason
    assert not caught
    return reason


@hypothesis.settings(deadline=None, derandomize=True, max_examples=300)
@given(st.sampled_from(sorted(FILES)), st.floats(0, 1))
def test_a_file_cut_anywhere_raises_nothing_but_its_reason(name, share):
    data = FILES[name]
    cut = data[: int(len(data) * share)]
    reason = decode_or_refuse(cut)
    if len(cut) == len(data) or (name == "gif" and len(cut) == len(data) - 1):
        assert reason is None  # of a GIF all but the end mark
    else:
        assert reason in ("truncated", "broken", "empty", "no_image")


@hypothesis.settings(deadline=None, derandomize=True, max_examples=300)
@given(
    st.sampled_from(sorted(set(FILES) - {"deflate"})),  # whose library prints what it finds
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_a_file_with_wrong_bytes_raises_nothing_but_a_reason(name, changes):
    data = bytearray(FILES[name])
    for share, value in changes:
        data[int(len(data) * share)] = value
    assert decode_or_refuse(bytes(data)) in {None, *REASONS}
