"""Orbax items of every kind that Orbax writes, read without Orbax, and the ones that are broken."""

import json
import re
import shutil

import jax.numpy as jnp
import ml_dtypes
import msgpack
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax.serialization import msgpack_serialize

from pe.weights.orbax_folder import flatten_tree, open_orbax, pack_array, read_tree

VALUES = np.arange(48, dtype=np.float32).reshape(6, 8)
WANTED = {
    "a.b": VALUES.astype(ml_dtypes.bfloat16),
    "a.c": VALUES,
    "a.zero": np.zeros((2, 3), np.float32),
    "layers.0": np.arange(3, dtype=np.int32),
    "layers.1": np.asarray(2.5, np.float32),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The same tree as Orbax saves it in its four ways."""
    tree = {
        "a": {"b": jnp.asarray(WANTED["a.b"]), "c": WANTED["a.c"], "zero": WANTED["a.zero"]},
        "layers": [jnp.asarray(WANTED["layers.0"]), jnp.asarray(WANTED["layers.1"])],
        "empty": {},
        "note": "words",
    }
    folder = tmp_path_factory.mktemp("orbax")
    kinds = {
        "ocdbt": {"use_ocdbt": True},
        "plain": {"use_ocdbt": False},
        "zarr3": {"use_ocdbt": True, "use_zarr3": True},
        "plain_zarr3": {"use_ocdbt": False, "use_zarr3": True},
    }
    for name, options in kinds.items():
        orbax = ocp.Checkpointer(ocp.PyTreeCheckpointHandler(**options))
        save_args = {
            "a": {
                "b": ocp.SaveArgs(),
                "c": ocp.SaveArgs(chunk_byte_size=48),
                "zero": ocp.SaveArgs(),
            },
            "layers": [ocp.SaveArgs(), ocp.SaveArgs()],
            "empty": {},
            "note": ocp.SaveArgs(),
        }
        orbax.save(folder / name, tree, save_args=save_args)
        orbax.close()
    return folder


@pytest.fixture
def copied(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "orbax")


def assert_wanted(arrays):
    assert sorted(arrays) == sorted(WANTED)
    for name, array in arrays.items():
        values = array.read()
        assert (array.shape, array.dtype) == (WANTED[name].shape, WANTED[name].dtype)
        assert (values.shape, values.dtype) == (WANTED[name].shape, WANTED[name].dtype)
        np.testing.assert_array_equal(values, WANTED[name])


@pytest.mark.parametrize("kind", ["ocdbt", "plain", "zarr3", "plain_zarr3"])
def test_every_array_that_orbax_saved_is_read(saved, kind):
    assert_wanted(open_orbax(saved / kind))


@pytest.mark.parametrize("kind", ["ocdbt", "plain"])
def test_only_the_arrays_under_a_name_are_opened(saved, kind):
    assert list(open_orbax(saved / kind, under="a.")) == ["a.b", "a.c", "a.zero"]
    assert open_orbax(saved / kind, under="b.") == {}


def test_a_layer_is_read_alone(saved):
    array = open_orbax(saved / "plain")["a.c"]
    np.testing.assert_array_equal(array.read_at(3), VALUES[:, 3])


@pytest.mark.parametrize("has_metadata", [False, True])
def test_the_folders_of_old_orbax_have_a_tree_and_small_arrays_in_a_file(copied, has_metadata):
    folder = copied / "plain"
    if not has_metadata:
        (folder / "_METADATA").unlink()
    shutil.rmtree(folder / "layers.0")
    tree = {
        "a": {name: f"PLACEHOLDER://a.{name}" for name in ("b", "c", "zero")},
        "layers": {"0": WANTED["layers.0"], "1": "PLACEHOLDER://layers.1"},
        "note": "words",
    }
    (folder / "checkpoint").write_bytes(msgpack_serialize(tree))
    assert_wanted(open_orbax(folder))
    shutil.rmtree(folder / "a.b")
    with pytest.raises(ValueError, match=r"lacks .* of them: a\.b"):
        open_orbax(folder)


def test_a_lost_chunk_is_an_error_and_not_zeros(copied):
    chunks = sorted(path.name for path in (copied / "plain" / "a.c").glob("[0-9]*"))
    assert len(chunks) > 1
    (copied / "plain" / "a.c" / chunks[-1]).unlink()
    with pytest.raises(ValueError, match=f"a.c lacks 1 of its chunks: {re.escape(chunks[-1])};"):
        open_orbax(copied / "plain")


def test_a_chunk_left_out_for_its_fill_value_is_no_loss(copied):
    folder = copied / "plain"
    metadata = json.loads((folder / "_METADATA").read_text())
    zarray = json.loads((folder / "a.zero" / ".zarray").read_text())
    (folder / "a.zero" / ".zarray").write_text(json.dumps({**zarray, "fill_value": 0.0}))
    (folder / "a.zero" / "0.0").unlink()
    with pytest.raises(ValueError, match=r"a\.zero lacks 1 of its chunks: 0\.0"):
        open_orbax(folder)  # its _METADATA says that such chunks are stored
    metadata["store_array_data_equal_to_fill_value"] = False
    (folder / "_METADATA").write_text(json.dumps(metadata))
    assert_wanted(open_orbax(folder))


def test_a_listed_array_that_is_missing_is_named(copied):
    shutil.rmtree(copied / "plain" / "a.b")
    with pytest.raises(ValueError, match=r"lists 5 arrays and lacks 1 of them: a\.b; copy"):
        open_orbax(copied / "plain")


@pytest.mark.parametrize("lost", ["d", "ocdbt.process_0"])
def test_lost_data_of_an_ocdbt_store_is_an_error(tmp_path, lost):
    orbax = ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=True))
    orbax.save(tmp_path / "state", {"a": np.random.default_rng(0).normal(size=(300, 300))})
    orbax.close()
    shutil.rmtree(tmp_path / "state" / lost)
    with pytest.raises(ValueError, match=r"cannot be read \(.*; copy the folder again, whole"):
        open_orbax(tmp_path / "state")["a"].read()


@pytest.mark.parametrize(
    ("break_folder", "told"),
    [
        (lambda f: (f / "manifest.ocdbt").unlink(), "lacks manifest.ocdbt"),
        (lambda f: (f / "manifest.ocdbt").write_bytes(b"junk"), "cannot be read"),
        (lambda f: (f / "_METADATA").write_text("{"), "_METADATA is no JSON"),
        (lambda f: (f / "_METADATA").write_text("[]"), "_METADATA holds no JSON object"),
        (lambda f: (f / "_METADATA").write_text('{"tree_metadata": {"x": 1}}'), "_METADATA is of"),
        (
            lambda f: [(f / name).unlink() for name in ("manifest.ocdbt", "_METADATA")],
            "is half written: manifest.ocdbt is missing, the parts of 1 processes",
        ),
    ],
)
def test_a_broken_item_is_refused(copied, break_folder, told):
    break_folder(copied / "ocdbt")
    with pytest.raises(ValueError, match=told):
        open_orbax(copied / "ocdbt")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("state.orbax-checkpoint-tmp-12", "is half written"),
        ("7.orbax-checkpoint-tmp/state", "is half written"),
        ("empty", "is no Orbax item; expected manifest.ocdbt"),
        ("nowhere", "is no folder"),
    ],
)
def test_what_is_no_item_is_refused(tmp_path, name, told):
    if name != "nowhere":
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(ValueError, match=told):
        open_orbax(tmp_path / name)


def test_an_array_that_flax_cut_into_pieces_is_joined(tmp_path):
    pieces = {"0": np.arange(4, dtype=np.float32), "1": np.arange(4, 6, dtype=np.float32)}
    cut = {"__msgpack_chunked_array__": True, "shape": {"0": 2, "1": 3}, "chunks": pieces}
    (tmp_path / "checkpoint").write_bytes(msgpack_serialize({"a": {"b": cut}}))
    ((name, array),) = flatten_tree(read_tree(tmp_path / "checkpoint"))
    assert name == "a.b"
    np.testing.assert_array_equal(array, [[0, 1, 2], [3, 4, 5]])


def test_arrays_are_packed_as_flax_packs_them():
    for array in (np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(2, ml_dtypes.bfloat16)):
        tree = {"a": {"b": array}}
        packed = msgpack.packb({"a": {"b": pack_array(array)}}, strict_types=True)
        assert packed == msgpack_serialize(tree)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is not the msgpack that flax writes"),
        (b"model_checkpoint_path: 'model'", "is not the msgpack that flax writes"),
        (msgpack.packb({"version": 3, "optimizer": {}})[:-1], "is not the msgpack that flax"),
        (b"\x80\x05.", "is not the msgpack that flax writes"),  # a pickle
        (msgpack.packb([1]), "holds a list; expected a msgpack map"),
        (msgpack.packb({"a": msgpack.ExtType(2, b"")}), "extension type 2"),
        (msgpack.packb({"a": msgpack.ExtType(1, b"")}), "is not the msgpack that flax writes"),
        (
            msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb(((1,), "object", b"12345678")))}),
            "is not the msgpack that flax writes",
        ),
    ],
)
def test_what_flax_did_not_write_is_refused(tmp_path, data, told):
    (tmp_path / "checkpoint").write_bytes(data)
    with pytest.raises(ValueError, match=told):
        read_tree(tmp_path / "checkpoint")
