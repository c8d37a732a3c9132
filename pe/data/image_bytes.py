"""What an image file's bytes say before a pixel is decoded: size, rotation, wholeness.

Tells a file that was cut or lies. Of JPEG, PNG, GIF and TIFF it hands on what a decoder needs and
nothing else: text, profiles, thumbnails and further frames are left out, so that neither a
compressed text that unpacks to gigabytes nor odd metadata reaches the decoder. WebP and JPEG 2000
go on as they are, AVIF with its EXIF hidden, and the formats that are not named here (BMP, PPM)
unread. Knows nothing of pixels and colours (`image_file.py`).
"""

import dataclasses
import struct
import zlib
from collections.abc import Callable, Iterator

from pe.data.image_format import UnreadableImage


@dataclasses.dataclass(frozen=True)
class ImageBytes:
    """A file made ready for its decoder.

    data         the same picture without metadata, or the file itself (see above)
    orientation  EXIF's, 1 to 8 (1: upright)
    size         width and height in pixels where they are known here; None: the decoder's header
                 reader, which decodes nothing, tells them
    """

    data: bytes
    orientation: int = 1
    size: tuple[int, int] | None = None


def prepare(data: bytes, name: str) -> ImageBytes:
    """Check that a file of format `name` is whole and leave out what its decoder must not see.

    Raises:
      UnreadableImage: truncated or broken.
    """
    try:
        return _PREPARE[name](data) if name in _PREPARE else ImageBytes(data)
    except (struct.error, IndexError) as error:  # a number or a byte beyond the end
        raise UnreadableImage("truncated", f"the {name} file ends in its header") from error


def read_orientation(exif: bytes) -> int:
    r"""Return EXIF's Orientation, 1 to 8; 1 where there is none, or nonsense.

    Example:
      exif                                                                          returns
      b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"              6
      b"Exif\0\0" + the same                                                        6
      b"II*\0\xff"                                                                  1
    """
    try:
        endian, tags = _read_tags(exif.removeprefix(b"Exif\x00\x00"), {274})
    except (UnreadableImage, struct.error):
        return 1
    found = tags.get(274)
    value = _numbers(endian, *found)[:1] if found and found[0] in _NUMBERS else ()
    return value[0] if value and 1 <= value[0] <= 8 else 1


# ---- JPEG ---------------------------------------------------------------------------------------


def _prepare_jpeg(data: bytes) -> ImageBytes:
    """Keep the segments that make the picture; the rest (EXIF, XMP, profiles) goes."""
    kept, orientation, place = [data[:2]], 1, 2
    while True:
        place = data.find(b"\xff", place)  # decoders skip junk between segments too
        if place < 0:
            raise UnreadableImage("truncated", "the JPEG file ends in its header")
        while data[place] == 0xFF:
            place += 1
        marker = data[place]
        if marker == 0xDA:
            break
        if marker == 0xD9:
            raise UnreadableImage("broken", "the JPEG file ends before its picture begins")
        place += 1
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # stand alone
            continue
        end = place + int.from_bytes(data[place : place + 2], "big")
        if end > len(data):
            raise UnreadableImage("truncated", "the JPEG file ends in its header")
        if marker == 0xE1 and data[place + 2 : place + 8] == b"Exif\x00\x00":
            orientation = read_orientation(data[place + 2 : end])
        # APP0 (JFIF) and APP14 (Adobe) say what the colours mean.
        if marker in (0xE0, 0xEE) or not (0xE1 <= marker <= 0xEF or marker == 0xFE):
            kept.append(b"\xff" + data[place - 1 : end])
        place = max(end, place + 2)
    if data.find(b"\xff\xd9", place) < 0:  # within packed pixels 0xff is followed by 0
        raise UnreadableImage("truncated", "the JPEG file has no end mark")
    kept.append(data[place - 1 :])
    return ImageBytes(b"".join(kept), orientation)


# ---- PNG ----------------------------------------------------------------------------------------


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (name, payload) up to IEND, critical chunks with their check sum checked."""
    place = 8
    while True:
        (length,) = struct.unpack_from(">I", data, place)
        name, end = data[place + 4 : place + 8], place + 8 + length
        if end + 4 > len(data):
            raise UnreadableImage("truncated", "the PNG file ends inside a chunk")
        if name[:1].isupper() and zlib.crc32(data[place + 4 : end]) != int.from_bytes(
            data[end : end + 4], "big"
        ):
            raise UnreadableImage("broken", f"the check sum of a PNG {name!r} chunk is wrong")
        yield name, data[place + 8 : end]
        if name == b"IEND":
            return
        place = end + 4


def _pack_chunk(name: bytes, payload: bytes) -> bytes:
    check = zlib.crc32(payload, zlib.crc32(name))
    return len(payload).to_bytes(4, "big") + name + payload + check.to_bytes(4, "big")


def _prepare_png(data: bytes) -> ImageBytes:
    """Keep the default picture: neither texts nor the frames of an APNG."""
    kept, orientation, depth, colour = [data[:8]], 1, 8, 2
    for name, payload in _png_chunks(data):
        if name == b"IHDR":
            depth, colour = payload[8], payload[9]
        elif name == b"eXIf":
            orientation = read_orientation(payload)
        elif name == b"tRNS" and colour in (0, 2):
            # The decoder holds the colour against 8-bit pixels, save in 16-bit grey.
            values = struct.unpack(f">{len(payload) // 2}H", payload[: len(payload) // 2 * 2])
            if depth < 8:
                values = [value * 255 // ((1 << depth) - 1) for value in values]
            elif depth == 16 and colour == 2:
                values = [value >> 8 for value in values]
            payload = struct.pack(f">{len(values)}H", *(value & 0xFFFF for value in values))
        if name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            kept.append(_pack_chunk(name, payload))
    return ImageBytes(b"".join(kept), orientation)


# ---- GIF ----------------------------------------------------------------------------------------


def _prepare_gif(data: bytes) -> ImageBytes:
    """Keep the first frame; the canvas must hold it, whatever the header says of its own size."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    place = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0)
    head, control = data[:place], b""
    while data[place] == 0x21:  # extensions
        end = _skip_blocks(data, place + 2)
        if data[place + 1] == 0xF9:
            control = data[place:end]
        place = end
    if data[place] != 0x2C:
        raise UnreadableImage("broken", "the GIF file has no frame")
    left, top, wide, high, flags = struct.unpack_from("<4HB", data, place + 1)
    pixels = place + 10 + (3 << (flags & 7) + 1 if flags & 128 else 0)
    frame = data[place : _skip_blocks(data, pixels + 1)]
    size = max(width, left + wide), max(height, top + high)
    return ImageBytes(head + control + frame + b";", size=size)


def _skip_blocks(data: bytes, place: int) -> int:
    """Return where a chain of GIF sub-blocks ends; raises IndexError where the file ends first."""
    while data[place]:
        place += 1 + data[place]
    return place + 1


# ---- WebP, AVIF, JPEG 2000 ----------------------------------------------------------------------


def _prepare_webp(data: bytes) -> ImageBytes:
    """Find size and rotation; the decoder would set up its canvas before anyone can ask."""
    (length,) = struct.unpack_from("<I", data, 4)
    if 8 + length > len(data):
        raise UnreadableImage("truncated", f"the WebP file has {len(data)} of {8 + length} bytes")
    size, orientation, place = None, 1, 12
    while place + 8 <= 8 + length:
        name, (chunk,) = data[place : place + 4], struct.unpack_from("<I", data, place + 4)
        body = data[place + 8 : place + 8 + (chunk if name == b"EXIF" else 10)]
        if name == b"VP8X" and size is None:
            size = (
                1 + int.from_bytes(body[4:7], "little"),
                1 + int.from_bytes(body[7:10], "little"),
            )
        elif name == b"VP8 " and size is None:
            width, height = struct.unpack_from("<HH", body, 6)
            size = width & 0x3FFF, height & 0x3FFF
        elif name == b"VP8L" and size is None:
            bits = int.from_bytes(body[1:5], "little")
            size = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        elif name == b"EXIF":
            orientation = read_orientation(body)
        place += 8 + chunk + chunk % 2
    if size is None:
        raise UnreadableImage("broken", "the WebP file has no picture")
    return ImageBytes(data, orientation, size)


def _prepare_avif(data: bytes) -> ImageBytes:
    """Hide EXIF from the decoder: AVIF's own boxes, not EXIF, say how a picture is rotated."""
    place, has_pixels = 0, False
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        name, header = data[place + 4 : place + 8], 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, place + 8)
            header = 16
        end = len(data) if length == 0 else place + max(length, header)
        if end > len(data):
            raise UnreadableImage("truncated", f"the AVIF file ends inside its {name!r} box")
        if name == b"meta":  # item types stand here; the packed pixels do not
            data = data[:place] + data[place:end].replace(b"Exif", b"free") + data[end:]
        has_pixels = has_pixels or name == b"mdat"
        place = end
    if not has_pixels:
        raise UnreadableImage("truncated", "the AVIF file ends before its picture")
    return ImageBytes(data)


def _prepare_jpeg2000(data: bytes) -> ImageBytes:
    """Take the size from the code stream, which is what is decoded; the outer header may differ."""
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0:
        raise UnreadableImage("truncated", "the JPEG 2000 file ends before its picture begins")
    right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    if data.find(b"\xff\xd9", start) < 0:
        raise UnreadableImage("truncated", "the JPEG 2000 file has no end mark")
    return ImageBytes(data, size=(max(right - left, 0), max(bottom - top, 0)))


# ---- TIFF ---------------------------------------------------------------------------------------

Tag = tuple[int, bytes]  # type, the values' bytes

_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
_SCALARS = {256, 257, 259, 262, 266, 274, 277, 278, 284, 317, 322, 323}
_PICTURE = {*_SCALARS, 258, 273, 279, 292, 293, 320, 324, 325, 332, 338, 339, 347, 530, 531, 532}
_PICTURE |= {*range(512, 522)}  # JPEG of the old kind


def _read_tags(data: bytes, wanted: set[int]) -> tuple[str, dict[int, Tag | None]]:
    """Read the wanted tags of the first page; one whose values lie beyond the end is None."""
    endian = {b"II": "<", b"MM": ">"}.get(data[:2])
    if endian is None:
        raise UnreadableImage("broken", f"no TIFF header: got {data[:4]!r}")
    is_big = struct.unpack_from(endian + "H", data, 2)[0] == 43
    word, entry = ("Q", "HHQ8s") if is_big else ("I", "HHI4s")
    (place,) = struct.unpack_from(endian + word, data, 8 if is_big else 4)
    (num_tags,) = struct.unpack_from(endian + ("Q" if is_big else "H"), data, place)
    place += 8 if is_big else 2
    tags: dict[int, Tag | None] = {}
    for _ in range(min(num_tags, 65_535)):
        tag, kind, count, value = struct.unpack_from(endian + entry, data, place)
        place += struct.calcsize(endian + entry)
        if tag not in wanted or kind not in _TYPE_BYTES or tag in tags:
            continue
        num_bytes = _TYPE_BYTES[kind] * (min(count, 1) if tag in _SCALARS else count)
        if num_bytes > len(value):
            (start,) = struct.unpack(endian + word, value)
            value = data[start : start + num_bytes] if num_bytes <= len(data) else b""
        tags[tag] = (kind, value[:num_bytes]) if len(value) >= num_bytes else None
    return endian, tags


def _numbers(endian: str, kind: int, values: bytes) -> tuple[int, ...]:
    if kind not in _NUMBERS:
        return ()
    return struct.unpack(f"{endian}{len(values) // _TYPE_BYTES[kind]}{_NUMBERS[kind]}", values)


def _prepare_tiff(data: bytes) -> ImageBytes:
    """Put a directory at the end that has the picture's tags only, and let the header name it."""
    endian, tags = _read_tags(data, _PICTURE)
    if None in tags.values():
        raise UnreadableImage("truncated", "the TIFF file ends before the values of its tags")
    numbers = {tag: _numbers(endian, *found) for tag, found in tags.items() if found}
    for places, lengths in ((273, 279), (324, 325)):  # strips, tiles
        ends = [a + b for a, b in zip(numbers.get(places, ()), numbers.get(lengths, ()))]  # noqa: B905
        if max(ends, default=0) > len(data):
            raise UnreadableImage("truncated", "the TIFF file ends before its picture does")
    orientation = (numbers.get(274) or (1,))[0]
    size = tuple((numbers.get(tag) or (0,))[0] for tag in (256, 257))
    if 0 in size:
        raise UnreadableImage("broken", "the TIFF file has no width or no height")
    if [(numbers.get(tag) or (1,))[0] for tag in (259, 262)] == [1, 6]:  # Pillow 12.3 misreads it
        raise UnreadableImage("unsupported", "YCbCr TIFF that is not packed: save it as RGB")
    tile = tuple((numbers.get(tag) or (0,))[0] for tag in (322, 323))
    if tile[0] * tile[1] > 4 * max(size[0] * size[1], 1 << 20):
        raise UnreadableImage("broken", f"TIFF tiles of {tile} for a picture of {size}")
    kept = sorted((tag, found) for tag, found in tags.items() if found and tag != 274)
    return ImageBytes(
        _append_directory(data, endian, kept),
        orientation if 1 <= orientation <= 8 else 1,
        (size[0], size[1]),
    )


def _append_directory(data: bytes, endian: str, kept: list[tuple[int, Tag]]) -> bytes:
    is_big = struct.unpack_from(endian + "H", data, 2)[0] == 43
    word, count_word, inline, header = ("Q", "Q", 8, 16) if is_big else ("I", "H", 4, 8)
    start = len(data) + len(data) % 2
    entry_bytes = 4 + 2 * inline
    values_at = start + struct.calcsize(endian + count_word) + entry_bytes * len(kept) + inline
    entries, values = [struct.pack(endian + count_word, len(kept))], b""
    for tag, (kind, value) in kept:
        count = len(value) // _TYPE_BYTES[kind]
        entries.append(struct.pack(f"{endian}HH{word}", tag, kind, count))
        if len(value) <= inline:
            entries.append(value.ljust(inline, b"\x00"))
        else:
            entries.append(struct.pack(endian + word, values_at + len(values)))
            values += value + b"\x00" * (len(value) % 2)
    entries.append(b"\x00" * inline)  # no further page
    head = data[: header - inline] + struct.pack(endian + word, start)
    return b"".join([head, data[header:], b"\x00" * (len(data) % 2), *entries, values])


_PREPARE: dict[str, Callable[[bytes], ImageBytes]] = {
    "AVIF": _prepare_avif,
    "GIF": _prepare_gif,
    "JPEG": _prepare_jpeg,
    "JPEG2000": _prepare_jpeg2000,
    "PNG": _prepare_png,
    "TIFF": _prepare_tiff,
    "WEBP": _prepare_webp,
}
