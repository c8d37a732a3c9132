"""Our reader and writer against the safetensors library, and files that are not what they say."""

import json
import struct

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from pe.weights.checkpoint import StoredArray, stored
from pe.weights.safetensors_file import (
    open_safetensors,
    read_metadata,
    same_bytes,
    write_safetensors,
)

CODES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}


@pytest.fixture
def arrays():
    """One array of every type, odd sizes, an empty one and a scalar."""
    made = {
        f"of.{name}": np.arange(15).reshape(3, 5).astype(np.dtype(getattr(ml_dtypes, name, name)))
        for name in CODES
    }
    return {
        **made,
        "empty": np.zeros((0, 4), np.float32),
        "scalar": np.array(2.5, np.float32),
        "bf": np.array([1.0, -2.0, 0.15625], ml_dtypes.bfloat16),
    }


def assert_same(found, wanted):
    assert sorted(found) == sorted(wanted)
    for name, array in wanted.items():
        values = found[name].read()
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        assert (values.shape, values.dtype) == (array.shape, array.dtype)
        assert values.tobytes() == array.tobytes(), name


def write_raw(path, header, data=b"", *, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(begin, end, *, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_what_the_library_wrote_is_read_bit_for_bit(tmp_path, arrays):
    data = safetensors.numpy.save(arrays, metadata={"a": "b"})
    (tmp_path / "a.safetensors").write_bytes(data)
    assert_same(open_safetensors(tmp_path / "a.safetensors"), arrays)
    assert read_metadata(tmp_path / "a.safetensors") == {"a": "b"}


def test_the_library_reads_what_we_wrote_bit_for_bit(tmp_path, arrays):
    path = tmp_path / "a.safetensors"
    write_safetensors(
        path, {name: stored(array) for name, array in arrays.items()}, metadata={"format": "pt"}
    )
    found = dict(safetensors.deserialize(path.read_bytes()))
    assert sorted(found) == sorted(arrays)
    for name, array in arrays.items():
        assert found[name]["dtype"] == CODES[array.dtype.name]
        assert tuple(found[name]["shape"]) == array.shape
        assert bytes(found[name]["data"]) == array.tobytes()
    with safetensors.safe_open(path, "numpy") as file:
        assert file.metadata() == {"format": "pt"}
        assert file.get_tensor("bf").tolist() == [1.0, -2.0, 0.15625]
    assert_same(open_safetensors(path), arrays)
    assert [item.name for item in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_header_is_padded_so_that_arrays_begin_at_multiples_of_their_width(tmp_path):
    path = tmp_path / "a.safetensors"
    write_safetensors(
        path, {"a": stored(np.ones(3, np.uint8)), "b": stored(np.ones(3, np.float64))}
    )
    length = struct.unpack("<Q", path.read_bytes()[:8])[0]
    header = json.loads(path.read_bytes()[8 : 8 + length])
    assert length % 8 == 0
    assert header["b"]["data_offsets"] == [0, 24]
    assert header["a"]["data_offsets"] == [24, 27]
    assert read_metadata(path) == {}


def test_a_transposed_view_is_written_in_its_own_order(tmp_path):
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"a": stored(np.array([[1, 2, 3], [4, 5, 6]], np.int32).T)})
    assert open_safetensors(path)["a"].read().tolist() == [[1, 4], [2, 5], [3, 6]]


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"a": stored(np.ones(4, np.float32))})
    arrays = open_safetensors(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="has become shorter since it was opened"):
        arrays["a"].read()


def test_a_write_that_fails_leaves_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"a": stored(np.ones(4, np.float32))})
    old = path.read_bytes()
    wrong = StoredArray(shape=(4,), dtype=np.dtype(np.float32), read=lambda: np.ones(5, np.float32))
    with pytest.raises(ValueError, match=r"a is \[5\] of float32 when read, announced as \[4\]"):
        write_safetensors(path, {"b": stored(np.ones(9, np.float32)), "a": wrong})
    with pytest.raises(ValueError, match="a is complex64; expected one of float64, float32"):
        write_safetensors(path, {"a": stored(np.ones(4, np.complex64))})
    assert path.read_bytes() == old
    assert [item.name for item in tmp_path.iterdir()] == ["a.safetensors"]


def test_arrays_are_the_same_only_with_the_same_bits_shape_and_type(tmp_path):
    path = tmp_path / "a.safetensors"
    one = np.array([1.0, 0.0], np.float32)
    write_safetensors(
        path,
        {
            "one": stored(one),
            "again": stored(one),
            "minus": stored(np.array([1.0, -0.0], np.float32)),
            "column": stored(one[:, None]),
            "wide": stored(one.astype(np.float64)),
        },
    )
    arrays = open_safetensors(path)
    assert same_bytes(arrays["one"], arrays["again"])
    assert same_bytes(arrays["one"], stored(one))
    for name in ("minus", "column", "wide"):
        assert not same_bytes(arrays["one"], arrays[name])


@pytest.mark.parametrize("num_bytes_lost", [1, 8])
def test_a_truncated_file_says_what_it_holds_and_what_its_header_describes(
    tmp_path, num_bytes_lost
):
    path = write_raw(tmp_path / "a.safetensors", {"a": entry(0, 8)}, b"12345678")
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-num_bytes_lost])
    message = (
        f"is truncated: it holds {whole - num_bytes_lost} bytes, its header describes {whole}; "
        "download or copy it again"
    )
    with pytest.raises(ValueError, match=message):
        open_safetensors(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"{not json", r"its header is not JSON"),
        (b"\xff\xfe\x00", r"its header is not JSON"),
        ([1], r"its header is no JSON object"),
        (b'{"a": 1, "a": 2}', r"a name stands in it twice"),
        ({"a": entry(0, 8, dtype="F8_E4M3")}, r"a is of type F8_E4M3; expected one of F64, F32"),
        ({"a": entry(0, 8, shape=(3,))}, r"a takes 8 bytes, expected 12 for \[3\] of float32"),
        ({"a": entry(0, 8, shape=(-2,))}, r"header gives a as .*expected a dtype, a shape and"),
        ({"a": entry(8, 0)}, r"header gives a as"),
        ({"a": 3}, r"header gives a as \{\}"),
        ({"a": entry(0, 8), "b": entry(4, 12)}, r"b starts at byte 4 of the data, expected 8"),
        ({"a": entry(4, 12)}, r"a starts at byte 4 of the data, expected 0"),
        ({"a": entry(0, 4, shape=(1,))}, r"is damaged: it holds .* bytes, its header describes"),
        ({"a": entry(2**60, 2**60 + 8)}, r"a starts at byte"),
    ],
)
def test_a_damaged_header_is_an_error_that_says_what_is_wrong(tmp_path, header, message):
    path = write_raw(tmp_path / "a.safetensors", header, b"12345678")
    with pytest.raises(ValueError, match=message):
        open_safetensors(path)


@pytest.mark.parametrize("length", [200, 2**40, 2**63])
def test_an_absurd_header_length_is_an_error(tmp_path, length):
    path = write_raw(tmp_path / "a.safetensors", {"a": entry(0, 8)}, b"12345678", length=length)
    with pytest.raises(ValueError, match=f"do not reach past its header of {length} bytes"):
        open_safetensors(path)


def test_a_header_whose_length_begins_like_a_pickle_is_read(tmp_path):
    header = json.dumps({"a": entry(0, 8)}).encode().ljust(0x0280)
    path = write_raw(tmp_path / "a.safetensors", header, b"12345678")
    assert path.read_bytes()[:2] == b"\x80\x02"
    assert list(open_safetensors(path)) == ["a"]


def test_other_files_are_refused_by_what_they_are(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(ValueError, match="not found; expected a safetensors file"):
        open_safetensors(path)
    for start in (b"PK\x03\x04", b"\x80\x02\x8a\x0a"):
        path.write_bytes(start + b"\x00" * 100)
        with pytest.raises(ValueError, match="is a pickle of PyTorch, whatever its name"):
            open_safetensors(path)
    path.write_bytes(b"abc")
    with pytest.raises(ValueError, match="it holds 3 bytes, which do not reach past the header's"):
        open_safetensors(path)
    write_raw(path, {"__metadata__": {"a": 1}})
    with pytest.raises(ValueError, match="its metadata is no mapping of text to text"):
        read_metadata(path)
