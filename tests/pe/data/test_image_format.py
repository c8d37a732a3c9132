"""Which format a file has, by its first bytes, and what is said of one that has none."""

import pytest

from pe.data.image_format import REASONS, UnreadableImage, find_format


def test_find_format_gives_the_rows_of_its_docstring():
    assert find_format(b"\xff\xd8\xff\xe0") == "JPEG"
    assert find_format(b"RIFF\x24\x00\x00\x00WEBPVP8 ") == "WEBP"
    assert find_format(b"P6 64 64 255 ") == "PPM"
    for data, reason in [(b"<html>", "no_image"), (b"<svg width='9'>", "unsupported")]:
        with pytest.raises(UnreadableImage) as error:
            find_format(data)
        assert error.value.reason == reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"a text, by the name of photo.jpg", "no_image"),
        (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "no_image"),
        (b"<html><body><svg></svg></body></html>", "no_image"),
        (b'{"error": "not found"}', "no_image"),
        (b"PK\x03\x04" + bytes(200), "no_image"),
        (b"%PDF-1.7\n" + bytes(200), "no_image"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(99), "no_image"),
        (bytes(range(7, 256)) * 9, "no_image"),
        (bytes(5000), "no_image"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(99), "unsupported"),
        (b"8BPS\x00\x01" + bytes(99), "unsupported"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "unsupported"),
        (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "unsupported"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:8]),
)
def test_what_is_no_picture_says_what_it_is(data, reason):
    with pytest.raises(UnreadableImage, match=f"^{reason}: ") as error:
        find_format(data)
    assert error.value.reason == reason


def test_every_reason_is_explained():
    assert sorted(REASONS) == [
        "broken",
        "empty",
        "no_image",
        "too_large",
        "too_many_bytes",
        "too_small",
        "truncated",
        "unsupported",
    ]
