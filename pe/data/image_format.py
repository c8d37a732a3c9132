"""Which format an image file has, by its first bytes, and the reasons why one gives no picture.

Knows nothing of what is behind the first bytes (`image_bytes.py`).
"""

import re

REASONS = {
    "broken": "the file is whole but wrong inside: a check sum, a header or the packed pixels",
    "empty": "the file has no bytes",
    "no_image": "the bytes are of no image format that is known here",
    "too_large": "the picture has more pixels than ImageLimits.max_pixels",
    "too_many_bytes": "the file has more bytes than ImageLimits.max_bytes",
    "too_small": "a side of the picture is shorter than ImageLimits.min_side_px",
    "truncated": "the file ends before the picture does",
    "unsupported": "an image, of a format or a kind that is not read here (HEIC, SVG, PSD, ...)",
}


class UnreadableImage(ValueError):  # noqa: N818  it names what the file is, as Drop names a row
    """Bytes that give no picture; `reason` is a key of `REASONS`."""

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)
_UNREAD = (
    (b"8BPS", "PSD"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"DDS ", "DDS"),
    (b"qoif", "QOI"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"II\xbc", "JPEG XR"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"SIMPLE  =", "FITS"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"icns", "ICNS"),
    (b"/* XPM */", "XPM"),
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"heif", b"mif1", b"msf1", b"crx "}
_PPM = re.compile(rb"P[1-6][ \t\r\n#]")


def find_format(data: bytes) -> str:
    r"""Name the format by content alone; the file's name plays no part.

    Example:
      data                              returns
      b"\xff\xd8\xff\xe0..."            "JPEG"
      b"RIFF\x24\x00\x00\x00WEBPVP8 "   "WEBP"
      b"P6 64 64 255 ..."               "PPM"
      b"<html>..."                      raises UnreadableImage, reason no_image
      b"<svg ...>"                      raises UnreadableImage, reason unsupported

    A format without a signature (TGA, PCX) is no_image: anything could pass for it.
    """
    if not data:
        raise UnreadableImage("empty", "the file has 0 bytes")
    for mark, name in _SIGNATURES:
        if data.startswith(mark):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if _PPM.match(data):
        return "PPM"
    if data[4:8] == b"ftyp":
        head = data[8 : max(12, min(int.from_bytes(data[:4], "big"), 256))]
        brands = {head[i : i + 4] for i in range(0, len(head), 4)}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIF_BRANDS:
            raise UnreadableImage("unsupported", "HEIF (HEIC) is not read: convert it to JPEG")
    for mark, name in _UNREAD:
        if data.startswith(mark):
            raise UnreadableImage("unsupported", f"{name} is not read: convert it to PNG or JPEG")
    text = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<") and b"<svg" in text and b"<html" not in text:
        raise UnreadableImage("unsupported", "SVG is not read: render it to PNG")
    raise UnreadableImage("no_image", f"no image begins with {data[:8]!r}")
