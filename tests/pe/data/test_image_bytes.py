"""What the bytes of an image say before a pixel is decoded."""

import io

import pytest
from PIL import Image

from pe.data.image_bytes import prepare, read_orientation

EXIF = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"


def test_read_orientation_gives_the_rows_of_its_docstring():
    assert read_orientation(EXIF) == 6
    assert read_orientation(b"Exif\0\0" + EXIF) == 6
    assert read_orientation(b"II*\0\xff") == 1


@pytest.mark.parametrize("num_bytes", range(len(EXIF)))
def test_exif_that_was_cut_turns_nothing(num_bytes):
    assert read_orientation(EXIF[:num_bytes]) in (1, 6)
    assert read_orientation(EXIF[:18]) == 1


def test_exif_of_either_byte_order_is_read():
    big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0"
    assert read_orientation(big) == 8
    assert read_orientation(big.replace(b"\0\x08\0\0\0\0\0\0", b"\0\x63\0\0\0\0\0\0")) == 1


def test_what_is_handed_on_has_the_picture_and_nothing_else():
    picture, exif = Image.new("RGB", (70, 90), "red"), Image.Exif()
    exif[274], exif[271] = 3, "a maker of cameras"
    for kind in ("JPEG", "PNG", "TIFF"):
        buffer = io.BytesIO()
        picture.save(buffer, kind, exif=exif, icc_profile=b"a profile" * 99)
        ready = prepare(buffer.getvalue(), kind)
        assert ready.orientation == 3
        decoded = Image.open(io.BytesIO(ready.data))
        assert decoded.size == (70, 90)
        assert not {"exif", "icc_profile"} & set(decoded.info)
        assert dict(decoded.getexif()).get(271) is None


def test_formats_without_a_reader_here_go_on_as_they_are():
    buffer = io.BytesIO()
    Image.new("RGB", (70, 90), "red").save(buffer, "BMP")
    assert prepare(buffer.getvalue(), "BMP").data == buffer.getvalue()
