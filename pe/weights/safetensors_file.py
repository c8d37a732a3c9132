"""The safetensors format, read array by array and written as a stream. Knows no model's names.

A file is 8 bytes (little-endian length of the header), a JSON header, and the arrays one after the
other. The library of that name maps the file into memory, where touched pages count as resident
beside the copy made from them (twice the model at its peak), and its numpy side wants every array
in memory before it writes. Here an array is read with one seek into the memory it will live in.
"""

import dataclasses
import json
import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from pe.shards import TEMPORARY
from pe.weights.checkpoint import StoredArray

METADATA = "__metadata__"
DTYPES: dict[str, np.dtype] = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
CODES = {dtype: code for code, dtype in DTYPES.items()}
MAX_HEADER_BYTES = 100_000_000  # the library's own limit
BLOCK_BYTES = 2**24
PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileArray(StoredArray):
    """A StoredArray that says where its bytes lie."""

    path: Path
    offset_bytes: int
    num_bytes: int


def open_safetensors(path: Path) -> dict[str, StoredArray]:
    """List the arrays of a file, in the order of their bytes; each is read when asked for.

    Raises ValueError for a file that is missing, truncated or no safetensors file.
    """
    header, start = read_header(path)
    header.pop(METADATA, None)
    num_data_bytes = path.stat().st_size - start
    arrays: dict[str, StoredArray] = {}
    spans = []
    for name, entry in header.items():
        shape, dtype, (begin, end) = read_entry(path, name, entry)
        if end - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(
                f"{path} is damaged: {name} takes {end - begin} bytes, expected "
                f"{math.prod(shape) * dtype.itemsize} for {list(shape)} of {dtype}"
            )
        spans.append((begin, end, name))
        arrays[name] = make_array(path, shape, dtype, start + begin)
    spans.sort()
    filled = 0
    for begin, end, name in spans:
        if begin != filled:
            raise ValueError(
                f"{path} is damaged: {name} starts at byte {begin} of the data, expected {filled} "
                "(arrays lie one after the other, without overlap or gap)"
            )
        filled = end
    if filled != num_data_bytes:
        what = "truncated" if filled > num_data_bytes else "damaged"
        raise ValueError(
            f"{path} is {what}: it holds {start + num_data_bytes} bytes, its header describes "
            f"{start + filled}; download or copy it again"
        )
    return {name: arrays[name] for _, _, name in spans}


def read_metadata(path: Path) -> dict[str, str]:
    """Return a file's free text entries. Raises as `open_safetensors` does."""
    metadata = read_header(path)[0].get(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError(f"{path} is damaged: its metadata is no mapping of text to text")
    return metadata


def same_bytes(one: StoredArray, other: StoredArray) -> bool:
    """Compare two arrays bit for bit; of arrays in files only blocks lie in memory."""
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    if not (isinstance(one, FileArray) and isinstance(other, FileArray)):
        return bytes_of(one.read()).tobytes() == bytes_of(other.read()).tobytes()
    with one.path.open("rb") as file, other.path.open("rb") as other_file:
        file.seek(one.offset_bytes)
        other_file.seek(other.offset_bytes)
        for begin in range(0, one.num_bytes, BLOCK_BYTES):
            size = min(BLOCK_BYTES, one.num_bytes - begin)
            if file.read(size) != other_file.read(size):
                return False
    return True


def write_safetensors(
    path: Path, arrays: Mapping[str, StoredArray], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays one by one, under a temporary name until the file is whole.

    At most one array is in memory. Raises ValueError for a type that the format does not have and
    for an array that is not what was announced.
    """
    for name, array in arrays.items():
        if np.dtype(array.dtype) not in CODES:
            raise ValueError(
                f"{name} is {array.dtype}; expected one of {', '.join(map(str, CODES))}"
            )
    # The widest types first, as the library does: each array then begins at a multiple of its width
    ordered = sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize)
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    end = 0
    for name, array in ordered:
        begin, end = end, end + math.prod(array.shape) * array.dtype.itemsize
        code = CODES[np.dtype(array.dtype)]
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    temporary = path.with_name(TEMPORARY + path.name)
    try:
        with temporary.open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for name, array in ordered:
                values = array.read()
                if (values.shape, values.dtype) != (array.shape, array.dtype):
                    raise ValueError(
                        f"{name} is {list(values.shape)} of {values.dtype} when read, announced "
                        f"as {list(array.shape)} of {array.dtype}"
                    )
                file.write(bytes_of(values).data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def bytes_of(values: np.ndarray) -> np.ndarray:
    """View an array as its bytes, in C order; copies only what does not lie so already."""
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8)


def make_array(path: Path, shape: tuple[int, ...], dtype: np.dtype, offset_bytes: int) -> FileArray:
    """Describe an array of a file."""
    num_bytes = math.prod(shape) * dtype.itemsize

    def read() -> np.ndarray:
        values = np.empty(shape, dtype)
        with path.open("rb") as file:
            file.seek(offset_bytes)
            num_read = file.readinto(bytes_of(values).data)
        if num_read != num_bytes:
            raise ValueError(f"{path} has become shorter since it was opened; open it again")
        return values

    return FileArray(
        shape=shape,
        dtype=dtype,
        read=read,
        path=path,
        offset_bytes=offset_bytes,
        num_bytes=num_bytes,
    )


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return a file's header and the position of its first array's first byte."""
    if not path.is_file():
        raise ValueError(f"{path} not found; expected a safetensors file")
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
        if len(first) < 8 or length > min(MAX_HEADER_BYTES, size - 8):
            if first.startswith(PICKLES):  # only here: \x80\x02 also begins a header of 640 bytes
                raise ValueError(
                    f"{path} is a pickle of PyTorch, whatever its name; expected a safetensors "
                    "file. Unpickling can run code, so it is not read here: convert it in an "
                    "environment that you trust"
                )
            so_far = f"its header of {length} bytes" if len(first) == 8 else "the header's length"
            raise ValueError(
                f"{path} is truncated or no safetensors file: it holds {size} bytes, which do not "
                f"reach past {so_far}; download or copy it again"
            )
        text = file.read(length)
    try:
        header = json.loads(text, object_pairs_hook=unique)
    except ValueError as error:
        raise ValueError(
            f"{path} is no safetensors file: its header is not JSON ({error})"
        ) from error
    if not isinstance(header, dict):
        raise ValueError(f"{path} is no safetensors file: its header is no JSON object")
    return header, 8 + length


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object, in which no name may stand twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def read_entry(
    path: Path, name: str, entry: Any
) -> tuple[tuple[int, ...], np.dtype, tuple[int, int]]:
    """Return shape, type and (begin, end) of an array as the header gives them."""
    entry = entry if isinstance(entry, dict) else {}
    code, shape, span = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if code not in DTYPES and isinstance(code, str):
        raise ValueError(f"{path}: {name} is of type {code}; expected one of {', '.join(DTYPES)}")
    if not (
        isinstance(code, str)
        and is_counts(shape)
        and is_counts(span)
        and len(span) == 2
        and span[0] <= span[1]
    ):
        raise ValueError(
            f"{path} is damaged: its header gives {name} as {json.dumps(entry)}; expected a dtype, "
            "a shape and data_offsets [begin, end]"
        )
    return tuple(shape), DTYPES[code], (span[0], span[1])


def is_counts(value: Any) -> bool:
    """Say whether a JSON value is a list of whole numbers that are not negative."""
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)
