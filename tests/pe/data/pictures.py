"""Small pictures of four quarters for tests, files of them, and what reading shows or refuses."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pe.data.image_file import REASONS, ImageLimits, UnreadableImage, decode_image

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
