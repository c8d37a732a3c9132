"""T5X's checkpoints, both forms, in and out, with tensorstore and msgpack alone.

native  checkpoint_400/checkpoint                 msgpack: {version, optimizer: {target, state}}
        checkpoint_400/target.NAME/{.zarray,0.0}  one zarr folder an array
orbax   checkpoint_400/state/                     an Orbax item: {target, state}

T5X itself is not needed and not imported. A `config.gin` beside a checkpoint is not read: the sizes
are those of the arrays.
"""

import json
import os
import re
import shutil
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import tensorstore as ts

from pe.models.t5_config import DTYPES
from pe.weights.checkpoint import Checkpoint, StoredArray, check_arrays, list_names, stored
from pe.weights.orbax_folder import (
    MANIFEST,
    METADATA,
    PLACEHOLDER,
    TREE_FILE,
    flatten_tree,
    is_orbax_item,
    is_zarr_folder,
    open_orbax,
    open_zarr_folder,
    pack_array,
    read_tree,
)
from pe.weights.t5x_names import SOFT_PROMPT, T5XArray, from_t5x, to_t5x

VERSION, VERSIONS = 3, (2, 3)
FORMS = ("native", "orbax")
TARGETS = ("target", "params")  # where T5X, and Flax's own TrainState, keep the parameters
STATE = "state"
TEMPORARY = ".tmp-"
STEP_FOLDER = re.compile(r"checkpoint_(\d+)")
CHUNK_BYTES = 64 * 2**20  # T5X's own
PYTREE_HANDLER = "orbax.checkpoint._src.handlers.pytree_checkpoint_handler.PyTreeCheckpointHandler"


def open_t5x(
    folder: Path, *, dtype: str = "bfloat16", vocabulary: Path | None = None
) -> Checkpoint:
    """Open a T5X checkpoint, or the newest of a folder of `checkpoint_N`; no array is read yet.

    The config is inferred from the shapes (`pe.weights.t5x_names.infer_config` says how); `dtype`
    is that of the products, the arrays stay as stored. A soft prompt is left out:
    `read_soft_prompt_t5x` reads it. Raises ValueError for a folder that is no T5X checkpoint or not
    whole, and names arrays that no T5 has, folders and chunks that are missing.
    """
    if vocabulary is not None and not vocabulary.is_file():
        raise ValueError(f"vocabulary {vocabulary} is no file; expected a SentencePiece model")
    place = find_checkpoint(folder)
    config, arrays = from_t5x(open_target(place), source=str(place), dtype=dtype)
    checkpoint = Checkpoint(source=str(place), config=config, arrays=arrays, vocabulary=vocabulary)
    check_arrays(checkpoint)
    return checkpoint


def read_soft_prompt_t5x(folder: Path) -> np.ndarray | None:
    """Read the soft prompt [P, D] that prompt-tuning puts before the encoder's input, if any."""
    place = find_checkpoint(folder)
    array = open_target(place).get(SOFT_PROMPT)
    if array is not None and len(array.shape) != 2:
        raise ValueError(f"{place}: {SOFT_PROMPT} is {list(array.shape)}; expected [P, D]")
    return None if array is None else array.read()


def t5x_step(folder: Path) -> int:
    """Return the step that a checkpoint's state tells."""
    place = find_checkpoint(folder)
    names = ("state.step", "step")  # T5X's, and Flax's own TrainState's
    for name in names:
        if is_native(place):
            leaves = dict(flatten_tree(read_index(place)))
            arrays = open_leaves(place, {name: leaves[name]} if name in leaves else {})
        else:
            arrays = open_orbax(orbax_item(place), under=name)
        if name in arrays and arrays[name].shape in ((), (1,)):
            return int(arrays[name].read().reshape(()))
    raise ValueError(f"{place} tells no step; expected a number at one of {names}")


def find_checkpoint(folder: Path) -> Path:
    """Return the checkpoint's folder: this one, or the newest `checkpoint_N` in it."""
    if re.match(r"\w+:/", str(folder)):
        raise ValueError(
            f"{folder} is not on this machine; copy the folder first and name the copy"
        )
    if TEMPORARY in folder.name:
        raise ValueError(f"{folder} is half written; T5X renames a checkpoint when it is whole")
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; expected a T5X checkpoint, as checkpoint_400")
    if any(folder.glob("model.ckpt-*")):
        raise ValueError(
            f"{folder} is a checkpoint of Mesh TensorFlow (model.ckpt-*), not of T5X; take the one "
            "that was converted to T5X"
        )
    if is_orbax_item(folder) or (folder / STATE).is_dir():
        return folder
    steps = {
        int(match[1]): path
        for path in folder.iterdir()
        if (match := STEP_FOLDER.fullmatch(path.name)) and path.is_dir()
    }
    if not steps:
        raise ValueError(
            f"{folder} is no T5X checkpoint: it holds neither a file {TREE_FILE!r}, nor a folder "
            f"{STATE!r}, nor whole folders checkpoint_N"
        )
    newest = steps[max(steps)]
    if not is_orbax_item(newest) and not (newest / STATE).is_dir():
        raise ValueError(
            f"{newest} is not whole: the file {TREE_FILE!r} or the folder {STATE!r} is missing; "
            "copy it again, or name an older checkpoint"
        )
    return newest


def is_native(place: Path) -> bool:
    """Tell T5X's own form from an Orbax item, which may have a file `checkpoint` of its own."""
    names = (METADATA, MANIFEST)
    return (place / TREE_FILE).is_file() and not any((place / name).is_file() for name in names)


def orbax_item(place: Path) -> Path:
    """Return the folder of the item that holds the state."""
    return place / STATE if (place / STATE).is_dir() else place


def open_target(place: Path) -> dict[str, StoredArray]:
    """Return the parameters under T5X's names, without `target.` and without the optimizer's."""
    for target in TARGETS:
        if is_native(place):
            tree = read_index(place)
            if not isinstance(tree.get(target), dict):
                continue
            arrays = open_leaves(place, dict(flatten_tree({target: tree[target]})))
        else:
            arrays = open_orbax(orbax_item(place), under=f"{target}.")
        if arrays:
            return {name.removeprefix(f"{target}."): array for name, array in arrays.items()}
    raise ValueError(f"{place} holds no parameters; expected a tree with one of {TARGETS}")


def read_index(place: Path) -> dict[str, Any]:
    """Read the tree of a native checkpoint: {target, state}.

    Raises ValueError for other versions, and for what is no tree of T5X's.
    """
    path = place / TREE_FILE
    tree = read_tree(path)
    version = tree.get("version")
    is_wrapped = "optimizer" in tree  # older files have target and state on top, some no version
    if version not in VERSIONS and (is_wrapped or version is not None):
        raise ValueError(f"{path} is of version {version}; expected one of {VERSIONS}")
    inner = tree["optimizer"] if is_wrapped else tree
    if not isinstance(inner, dict):
        raise ValueError(f"{path}: `optimizer` holds no tree; expected one with one of {TARGETS}")
    return inner


def open_leaves(place: Path, leaves: Mapping[str, Any]) -> dict[str, StoredArray]:
    """Open leaves of a native checkpoint: arrays in the file itself, or in folders beside it."""
    arrays: dict[str, StoredArray] = {}
    folders: dict[str, Path] = {}
    for name, leaf in leaves.items():
        if isinstance(leaf, np.ndarray):
            arrays[name] = stored(leaf)
        elif isinstance(leaf, int | float):
            arrays[name] = stored(np.asarray(leaf))
        else:
            folders[name] = place / array_folder(leaf, where=f"{place / TREE_FILE}: {name}")
    missing = [path.name for path in folders.values() if not is_zarr_folder(path)]
    if missing:
        raise ValueError(
            f"{place} is not whole: {len(missing)} of its {len(leaves)} arrays are missing: "
            f"{list_names(missing)}; copy it again"
        )
    return arrays | {name: open_zarr_folder(path) for name, path in folders.items()}


def array_folder(leaf: Any, *, where: str) -> str:
    """Return the name of the folder that a leaf points to, wherever it lay when it was written.

    Example:
      {driver: zarr, kvstore: {driver: gfile, path: /bucket/run/checkpoint_1/target.a.kernel/}}
      returns target.a.kernel
    """
    path = None
    if isinstance(leaf, dict) and leaf.get("driver") == "zarr":
        store = leaf["kvstore"]  # a URL, or a dict; old tensorstore had the path outside of it
        path = leaf.get("path") or (store.get("path") if isinstance(store, dict) else store)
    elif isinstance(leaf, str) and leaf.startswith(PLACEHOLDER):
        path = leaf.removeprefix(PLACEHOLDER)
    name = path.rstrip("/").rpartition("/")[2] if isinstance(path, str) else ""
    if name in ("", ".", ".."):
        raise ValueError(f"{where} is {leaf!r}; expected an array, or a zarr spec with a path")
    return name


def write_t5x(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    step: int,
    form: str = "native",
    dtype: str | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> None:
    """Write a T5X checkpoint without an optimizer's state, as stored or cast to `dtype`.

    T5X looks for folders named `checkpoint_<step>`. `state.param_states` is empty, so that T5X can
    only take the parameters from it and has to make the optimizer's state anew; that T5X restores
    it was not tried. The Orbax form has no `dataset`; plain Orbax restores it. umT5, with a
    position bias a layer, is written scanned. The folder is renamed into place when it is whole;
    one array at a time lies in memory. Raises ValueError where the folder is there already, or
    T5X's format cannot tell this T5.
    """
    if form not in FORMS:
        raise ValueError(f"form: got {form!r}, expected one of {FORMS}")
    if dtype is not None and dtype not in DTYPES:
        raise ValueError(f"dtype: got {dtype!r}, expected one of {DTYPES} or None")
    if step < 0 or chunk_bytes < 1:
        raise ValueError(f"step {step}, chunk_bytes {chunk_bytes}: expected 0 and 1, or more")
    match = STEP_FOLDER.fullmatch(folder.name)
    if match and int(match[1]) != step:
        raise ValueError(f"{folder} is named for step {match[1]} and step is {step}; expected one")
    if folder.exists():
        raise ValueError(f"{folder} is there already; choose a new folder")
    check_arrays(checkpoint)
    arrays = to_t5x(checkpoint, dtype=dtype)
    temporary = folder.with_name(f"{folder.name}{TEMPORARY}{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        write = write_native if form == "native" else write_orbax
        write(arrays, temporary, step=step, chunk_bytes=chunk_bytes)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def write_native(
    arrays: Mapping[str, T5XArray], folder: Path, *, step: int, chunk_bytes: int
) -> None:
    """Write one zarr folder an array, and the msgpack that lists them last."""
    target: dict[str, Any] = {}
    for name, array in arrays.items():
        path = f"target.{name}"
        metadata = array_metadata(array, compressor="gzip", chunk_bytes=chunk_bytes)
        store = {"driver": "file", "path": f"{(folder / path).resolve()}/"}
        write_array(array, {"driver": "zarr", "kvstore": store, "metadata": metadata})
        *parents, last = name.split(".")
        branch = target
        for key in parents:
            branch = branch.setdefault(key, {})
        branch[last] = {
            "driver": "zarr",
            "dtype": array.dtype.name,
            "kvstore": {"driver": "file", "path": f"{path}/"},
            "metadata": {key: metadata[key] for key in ("chunks", "compressor", "shape")},
        }
    state = {"param_states": {}, "step": pack_array(np.asarray(step, np.int32))}
    tree = {"version": VERSION, "optimizer": {"state": state, "target": target}}
    packed = typing.cast(bytes, msgpack.packb(tree, strict_types=True))
    write_bytes(folder / TREE_FILE, packed)


def write_orbax(
    arrays: Mapping[str, T5XArray], folder: Path, *, step: int, chunk_bytes: int
) -> None:
    """Write one OCDBT store with what Orbax wants to know of it."""
    item = folder / STATE
    item.mkdir()
    number = np.asarray(step, np.int32)
    scalar = T5XArray(shape=(), dtype=number.dtype, parts=(stored(number),), is_scanned=False)
    entries = {"('state', 'param_states')": tree_entry(("state", "param_states"), None)}
    base = {"driver": "file", "path": f"{item.resolve()}/"}
    named = {"state.step": scalar, **{f"target.{name}": array for name, array in arrays.items()}}
    for name, array in named.items():
        metadata = array_metadata(array, compressor="zstd", chunk_bytes=chunk_bytes)
        store = {"driver": "ocdbt", "base": base, "path": f"{name}/"}
        write_array(array, {"driver": "zarr", "kvstore": store, "metadata": metadata})
        keys = tuple(name.split("."))
        entries[str(keys)] = tree_entry(keys, array.shape)
    tree = {
        "tree_metadata": dict(sorted(entries.items())),
        "use_ocdbt": True,
        "use_zarr3": False,
        "store_array_data_equal_to_fill_value": True,
        "custom_metadata": None,
    }
    write_bytes(item / METADATA, json.dumps(tree).encode())
    whole = {"item_handlers": {STATE: PYTREE_HANDLER}, "metrics": {}, "performance_metrics": {}}
    write_bytes(folder / "_CHECKPOINT_METADATA", json.dumps(whole).encode())
    write_bytes(folder / "commit_success.txt", b"Checkpoint commit was successful\n")


def tree_entry(keys: tuple[str, ...], shape: tuple[int, ...] | None) -> dict[str, Any]:
    """Describe a leaf to Orbax: an array, or an empty dict (2 is a dict's key)."""
    value: dict[str, Any] = {"value_type": "Dict", "skip_deserialize": True}
    if shape is not None:  # numpy's, since jax's would need a sharding too
        value = {"value_type": "np.ndarray", "skip_deserialize": False, "write_shape": list(shape)}
    return {"key_metadata": [{"key": key, "key_type": 2} for key in keys], "value_metadata": value}


def array_metadata(array: T5XArray, *, compressor: str, chunk_bytes: int) -> dict[str, Any]:
    """Return the zarr metadata of an array that is to be written."""
    name = array.dtype.name
    chunks = list(array.shape)
    if array.is_scanned:
        chunks[1] = 1  # so that a layer is written, and read, alone
    return {
        "shape": list(array.shape),
        "chunks": cut_chunks(chunks, item_bytes=array.dtype.itemsize, chunk_bytes=chunk_bytes),
        "compressor": {"id": compressor, "level": 1},
        "dtype": name if name == "bfloat16" else array.dtype.newbyteorder("<").str,
    }


def cut_chunks(shape: list[int], *, item_bytes: int, chunk_bytes: int) -> list[int]:
    """Halve, or part by the next prime, the longest axis until a chunk is small enough.

    Example (4 bytes an item, chunks of 100 bytes):
      [6, 9]  216 bytes   returns [6, 3]   72 bytes
    """
    chunks = list(shape)
    while chunks and int(np.prod(chunks)) * item_bytes > chunk_bytes and max(chunks) > 1:
        axis = chunks.index(max(chunks))
        size = chunks[axis]
        chunks[axis] //= next(p for p in range(2, size + 1) if size % p == 0)
    return chunks


def write_array(array: T5XArray, spec: dict[str, Any]) -> None:
    """Write an array, a layer after the other where it is scanned."""
    store = ts.open(spec, create=True).result()
    for i, part in enumerate(array.parts):
        place = store[:, i] if array.is_scanned else store
        values = part.read().astype(array.dtype, copy=False)
        place.write(values.reshape(place.shape)).result()


def write_bytes(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
