"""Every kind of image that people have is read for what it shows, and the rest for what it is."""

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

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
    find_scale,
    scale_grey,
)

RED, GREEN, BLUE, GOLD, WHITE = (
    (220, 20, 20),
    (20, 180, 20),
    (20, 20, 220),
    (230, 200, 40),
    (255,) * 3,
)
WIDTH, HEIGHT = 96, 80


def make_picture(top_left=RED, top_right=GREEN, bottom_left=BLUE, bottom_right=GOLD, mode="RGB"):
    """96 x 80 pixels, each quarter of one colour."""
    picture = Image.new(mode, (WIDTH, HEIGHT), top_left)
    picture.paste(top_right, (48, 0, 96, 40))
    picture.paste(bottom_left, (0, 40, 48, 80))
    picture.paste(bottom_right, (48, 40, 96, 80))
    return picture


def pack(picture: Image.Image, kind: str, **settings) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **settings)
    return buffer.getvalue()


def colours(picture: Image.Image):
    """The colour in the middle of each quarter: top left, top right, bottom left, bottom right."""
    wide, high = picture.size
    return [
        picture.getpixel((x, y))
        for y in (high // 4, 3 * high // 4)
        for x in (wide // 4, 3 * wide // 4)
    ]


def assert_shows(data: bytes, expected, *, size=(WIDTH, HEIGHT), within=0):
    picture = decode_image(data)
    assert (type(picture), picture.mode, picture.size) == (Image.Image, "RGB", size)
    difference = np.abs(np.subtract(colours(picture), expected)).max()
    assert difference <= within, f"got {colours(picture)}, expected {expected}"


def reason_of(data: bytes, **limits) -> str:
    with pytest.raises(UnreadableImage) as error:
        decode_image(data, ImageLimits(**limits))
    assert error.value.reason in REASONS
    assert str(error.value).startswith(error.value.reason)
    return error.value.reason


def png_chunks(data: bytes):
    place = 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        place += 12 + length


def png_of(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")
        for name, body in chunks
    )


def grey_png(values: np.ndarray, depth: int, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG of 1 to 16 bits of grey, as no library here writes it."""
    high, wide = values.shape
    bits = ((values[..., None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(high, wide * depth)
    lines = b"".join(b"\x00" + np.packbits(line.astype(np.uint8)).tobytes() for line in bits)
    header = struct.pack(">IIBBBBB", wide, high, depth, 0, 0, 0, 0)
    return png_of((b"IHDR", header), *extra, (b"IDAT", zlib.compress(lines)), (b"IEND", b""))


def rgb16_png(values: np.ndarray, *extra: tuple[bytes, bytes]) -> bytes:
    high, wide, _ = values.shape
    lines = b"".join(b"\x00" + line.astype(">u2").tobytes() for line in values)
    header = struct.pack(">IIBBBBB", wide, high, 16, 2, 0, 0, 0)
    return png_of((b"IHDR", header), *extra, (b"IDAT", zlib.compress(lines)), (b"IEND", b""))


def quarters(values, dtype) -> np.ndarray:
    return np.repeat(np.repeat(np.array(values, dtype).reshape(2, 2), 40, axis=0), 48, axis=1)


def tiff_of(values: np.ndarray, **tags: int) -> bytes:
    """A grey TIFF, not packed, whose tags (by number, as in t262=0) are given in full."""
    high, wide = values.shape
    data = values.tobytes()
    numbers = {256: wide, 257: high, 258: values.dtype.itemsize * 8, 259: 1, 262: 1, 273: 8}
    numbers |= {277: 1, 278: high, 279: len(data)} | {int(k[1:]): v for k, v in tags.items()}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, v) for tag, v in sorted(numbers.items()))
    directory = struct.pack("<H", len(numbers)) + entries + b"\x00" * 4
    return b"II*\x00" + struct.pack("<I", 8 + len(data)) + data + directory


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


QUARTERS = [RED, GREEN, BLUE, GOLD]
GREYS = [0, 96, 160, 255]
GREY_COLOURS = [(value,) * 3 for value in GREYS]


# ---- what is readable ---------------------------------------------------------------------------


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


# ---- what is not --------------------------------------------------------------------------------

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
