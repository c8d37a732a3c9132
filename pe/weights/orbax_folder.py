"""Folders of zarr arrays as Orbax and T5X lay them out: names, shapes and lazy reads.

An Orbax item is one OCDBT store (`manifest.ocdbt`) or, older, one zarr folder a parameter; names
are the keys of the tree, joined by dots. Both may have small arrays in a msgpack file `checkpoint`.
Knows no T5. tensorstore would read a lost chunk as zeros; here it is an error.
"""

import dataclasses
import itertools
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import msgpack
import numpy as np
import tensorstore as ts

from pe.weights.checkpoint import StoredArray, list_names, stored

MANIFEST, METADATA, TREE_FILE = "manifest.ocdbt", "_METADATA", "checkpoint"
HALF_WRITTEN = ".orbax-checkpoint-tmp"
PLACEHOLDER = "PLACEHOLDER://"  # what old Orbax puts into the tree for an array of its own folder
BROKEN = "copy the folder again, whole"
NO_ARRAYS = ("string", "None")  # kinds of leaves that are kept elsewhere
NDARRAY, NPSCALAR = 1, 3  # flax's msgpack extension types
CHUNKED = "__msgpack_chunked_array__"
DTYPES = {
    np.dtype(kind).name: np.dtype(kind)
    for kind in (
        *("float16", "float32", "float64", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64", "bool", ml_dtypes.bfloat16),
    )
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZarrArray(StoredArray):
    """A zarr array on disk; `read_at` reads entry i of axis 1 alone."""

    read_at: Callable[[int], np.ndarray]


def read_layer(array: StoredArray, layer: int) -> np.ndarray:
    """Read entry `layer` of axis 1: of a zarr array only the chunks that hold it."""
    return array.read_at(layer) if isinstance(array, ZarrArray) else array.read()[:, layer]


def is_orbax_item(folder: Path) -> bool:
    """Tell whether a folder looks like one item of an Orbax checkpoint, of whatever age."""
    return any((folder / name).is_file() for name in (MANIFEST, METADATA, TREE_FILE))


def open_orbax(folder: Path, *, under: str = "") -> dict[str, StoredArray]:
    """List the arrays of an Orbax item by dotted name, those that begin with `under`; none is read.

    Raises ValueError where the folder is no Orbax item or is half written, or arrays or chunks are
    missing, with their names.
    """
    check_item(folder)
    metadata = read_metadata(folder)
    stores_fill = bool(metadata.get("store_array_data_equal_to_fill_value", False))
    arrays: dict[str, StoredArray] = {}
    wanted = [
        name
        for name in metadata_names(metadata, where=str(folder / METADATA))
        if name.startswith(under)
    ]
    if (folder / TREE_FILE).is_file():
        for name, leaf in flatten_tree(read_tree(folder / TREE_FILE)):
            if name.startswith(under) and isinstance(leaf, np.ndarray):
                arrays[name] = stored(leaf)
            elif name.startswith(under) and isinstance(leaf, str) and PLACEHOLDER in leaf:
                wanted.append(name)
    if (folder / MANIFEST).is_file():
        arrays |= open_ocdbt(folder, under=under, stores_fill=stores_fill)
    else:
        for path in sorted(folder.iterdir()):
            if path.name.startswith(under) and is_zarr_folder(path):
                arrays[path.name] = open_zarr_folder(path, stores_fill=stores_fill)
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise ValueError(
            f"{folder} lists {len(wanted)} arrays and lacks {len(missing)} of them: "
            f"{list_names(missing)}; {BROKEN}"
        )
    return arrays


def check_item(folder: Path) -> None:
    """Stop at what is no Orbax item, or not a whole one."""
    if HALF_WRITTEN in folder.name or HALF_WRITTEN in folder.parent.name:
        raise ValueError(
            f"{folder} is half written (Orbax renames it when it is whole); take another checkpoint"
        )
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; expected one item of an Orbax checkpoint")
    if not is_orbax_item(folder):
        parts = sorted(folder.glob(f"ocdbt.process_*/{MANIFEST}"))
        if parts:
            raise ValueError(
                f"{folder} is half written: {MANIFEST} is missing, the parts of "
                f"{len(parts)} processes were not joined; take another checkpoint"
            )
        raise ValueError(
            f"{folder} is no Orbax item; expected {MANIFEST}, or {METADATA} and a folder an array"
        )
    if read_metadata(folder).get("use_ocdbt") and not (folder / MANIFEST).is_file():
        raise ValueError(f"{folder} lacks {MANIFEST}, without which nothing is found; {BROKEN}")


def read_metadata(folder: Path) -> dict[str, Any]:
    """Return what `_METADATA` says, {} where an old Orbax wrote none."""
    path = folder / METADATA
    return parse_object(path.read_bytes(), str(path)) if path.is_file() else {}


def parse_object(text: bytes, where: str) -> dict[str, Any]:
    """Parse a JSON object, or say which file is none."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{where} is no JSON ({error}); {BROKEN}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{where} holds no JSON object; {BROKEN}")
    return value


def metadata_names(metadata: Mapping[str, Any], *, where: str) -> list[str]:
    """Return the names of the arrays that a `_METADATA` lists."""
    names = []
    try:
        for entry in metadata.get("tree_metadata", {}).values():
            value = entry["value_metadata"]
            if not value.get("skip_deserialize") and value.get("value_type") not in NO_ARRAYS:
                names.append(".".join(str(part["key"]) for part in entry["key_metadata"]))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{where} is of a kind that is not known ({error!r}); expected Orbax's tree_metadata "
            "with key_metadata and value_metadata"
        ) from error
    return names


def open_ocdbt(folder: Path, *, under: str, stores_fill: bool) -> dict[str, StoredArray]:
    """List the arrays of an OCDBT store."""
    spec = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder.resolve()}/"}}
    context = ts.Context()  # one for all, so that the store's index is read once
    keys: dict[str, list[str]] = {}
    try:
        store = ts.KvStore.open(spec, context=context).result()
        for key in store.list().result():
            name, _, rest = key.decode().partition("/")
            if name.startswith(under):
                keys.setdefault(name, []).append(rest)
        found = {
            (name, driver): store[f"{name}/{file}"]
            for name in sorted(keys)
            for driver, file in (("zarr", ".zarray"), ("zarr3", "zarr.json"))
            if file in keys[name]
        }
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(f"{folder} cannot be read ({error}); {BROKEN}") from error
    return {
        name: open_zarr(
            {"driver": driver, "kvstore": {**spec, "path": f"{name}/"}},
            parse_object(metadata, f"{folder}: {name}"),
            keys=keys[name],
            where=f"{folder}: {name}",
            stores_fill=stores_fill,
            context=context,
        )
        for (name, driver), metadata in found.items()
    }


def is_zarr_folder(path: Path) -> bool:
    """Tell whether a folder holds the description of a zarr array, version 2 or 3."""
    return (path / ".zarray").is_file() or (path / "zarr.json").is_file()


def open_zarr_folder(path: Path, *, stores_fill: bool = False) -> ZarrArray:
    """Open one zarr folder."""
    driver, file = ("zarr", ".zarray") if (path / ".zarray").is_file() else ("zarr3", "zarr.json")
    keys = [
        Path(folder, name).relative_to(path).as_posix()
        for folder, _, names in os.walk(path)
        for name in names
    ]
    return open_zarr(
        {"driver": driver, "kvstore": {"driver": "file", "path": f"{path.resolve()}/"}},
        parse_object((path / file).read_bytes(), str(path / file)),
        keys=keys,
        where=str(path),
        stores_fill=stores_fill,
    )


def open_zarr(
    spec: dict[str, Any],
    metadata: dict[str, Any],
    *,
    keys: Collection[str],
    where: str,
    stores_fill: bool,
    context: ts.Context | None = None,
) -> ZarrArray:
    """Describe one array from its metadata after checking that its chunks are there.

    Only a fill value lets a writer leave chunks out, and only where `stores_fill` is not said.
    """
    is_v2 = spec["driver"] == "zarr"
    try:
        shape = tuple(int(size) for size in metadata["shape"])
        kind = metadata["dtype" if is_v2 else "data_type"]
        dtype = DTYPES[kind] if kind in DTYPES else DTYPES[np.dtype(kind).name]
        names = chunk_names(shape, metadata, is_v2=is_v2)
        may_omit = metadata.get("fill_value") is not None and not stores_fill
        present = set(keys)
        missing = [] if may_omit else [name for name in names if name not in present]
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(
            f"{where} is no array of a known kind: {metadata}; expected zarr metadata "
            f"with shape, chunks and a type of {sorted(DTYPES)}"
        ) from error
    if missing:
        raise ValueError(
            f"{where} lacks {len(missing)} of its chunks: {list_names(missing)}; {BROKEN}"
        )

    def read(layer: int | None = None) -> np.ndarray:
        try:
            array = ts.open(spec, open=True, read=True, context=context).result()
            part = array if layer is None else array[:, layer]
            return np.asarray(part.read().result())
        except (ValueError, OSError, NotImplementedError) as error:
            raise ValueError(f"{where} cannot be read ({error}); {BROKEN}") from error

    return ZarrArray(shape=shape, dtype=dtype, read=read, read_at=read)


def chunk_names(shape: tuple[int, ...], metadata: dict[str, Any], *, is_v2: bool) -> Iterator[str]:
    """Yield the key of every chunk: `0.1` of zarr 2, `c/0/1` of zarr 3."""
    if is_v2:
        chunks, start, separator = metadata["chunks"], "", metadata.get("dimension_separator", ".")
    else:
        chunks = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        encoding = metadata["chunk_key_encoding"]
        start = "c" if encoding["name"] == "default" else ""
        default = "/" if start else "."
        separator = encoding.get("configuration", {}).get("separator", default)
    counts = [-(-size // chunk) for size, chunk in zip(shape, chunks, strict=True)]
    for place in itertools.product(*map(range, counts)):
        parts = [*([start] if start else []), *map(str, place)]
        yield separator.join(parts) or "0"


def read_tree(path: Path) -> dict[str, Any]:
    """Read flax's msgpack: nested dicts, arrays as numpy's.

    Raises ValueError where the file holds anything else.
    """
    try:
        tree = msgpack.unpackb(path.read_bytes(), ext_hook=unpack_extension)
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        told = str(error) or type(error).__name__
        raise ValueError(f"{path} is not the msgpack that flax writes ({told})") from error
    if not isinstance(tree, dict):
        raise ValueError(f"{path} holds a {type(tree).__name__}; expected a msgpack map of names")
    return tree


def unpack_extension(code: int, data: bytes) -> np.ndarray:
    """Unpack (shape, name of the type, bytes), which flax makes of arrays and numpy's scalars."""
    if code not in (NDARRAY, NPSCALAR):
        raise ValueError(f"extension type {code}; expected {NDARRAY} or {NPSCALAR}")
    shape, name, values = msgpack.unpackb(data, raw=True)
    return np.frombuffer(values, DTYPES[name.decode()]).reshape(shape)


def pack_array(array: np.ndarray) -> msgpack.ExtType:
    """Pack an array as flax does."""
    parts = (array.shape, array.dtype.name, array.tobytes())
    return msgpack.ExtType(NDARRAY, msgpack.packb(parts, use_bin_type=True))


def flatten_tree(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, leaf); a tensorstore spec is a leaf, and so is an array in pieces."""
    for key, value in tree.items():
        here = (*path, str(key))
        if isinstance(value, Mapping) and CHUNKED in value:
            yield ".".join(here), join_pieces(value)
        elif isinstance(value, Mapping) and not {"driver", "kvstore"} <= value.keys():
            yield from flatten_tree(value, here)
        else:
            yield ".".join(here), value


def join_pieces(value: Mapping[str, Any]) -> np.ndarray:
    """Join an array that flax cut up for its size: {shape: {"0": n}, chunks: {"0": values}}."""
    shape, pieces = value["shape"], value["chunks"]
    flat = np.concatenate([pieces[str(i)] for i in range(len(pieces))])
    return flat.reshape([shape[str(i)] for i in range(len(shape))])
