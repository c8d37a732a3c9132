"""T5X's checkpoints: T5X's own numbers back, what is written is read, and every broken folder."""

import dataclasses
import functools
import json
import re
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import orbax.checkpoint as ocp
import pytest
import tensorstore as ts
from flax import nnx
from flax.serialization import msgpack_restore, msgpack_serialize

from pe.models.t5 import T5Config
from pe.weights.checkpoint import Checkpoint, load_params, param_shapes, stored
from pe.weights.t5x import (
    array_folder,
    cut_chunks,
    open_t5x,
    read_soft_prompt_t5x,
    t5x_step,
    write_t5x,
)

GOLDEN = Path(__file__).parents[3] / "../shared/golden/t5x/t5_1_1"
T5_1_1 = T5Config(
    dtype="float32",
    vocab_size=20,
    d_model=8,
    num_heads=2,
    head_dim=3,
    d_ff=12,
    num_encoder_layers=2,
    num_decoder_layers=3,
)
T5_1_0 = dataclasses.replace(T5_1_1, activations=("relu",), tied_logits=True, scaled_logits=True)
UMT5 = dataclasses.replace(T5_1_1, layer_biases=True)
KINDS = pytest.mark.parametrize("config", [T5_1_1, T5_1_0, UMT5], ids=["t5.1.1", "t5", "umt5"])


@functools.cache
def make_checkpoint(config, *, dtype="float32"):
    """A T5 of drawn numbers, rounded to `dtype`, in memory."""
    rng = np.random.default_rng(0)
    arrays = {
        name: stored(rng.normal(size=shape).astype(np.float32).astype(dtype))
        for name, shape in param_shapes(config).items()
    }
    return Checkpoint(source="drawn", config=config, arrays=arrays)


def assert_equal_arrays(left, right):
    assert left.keys() == right.keys()
    for name, array in left.items():
        values, others = array.read(), right[name].read()
        assert (array.shape, array.dtype) == (values.shape, values.dtype)
        assert (values.shape, values.dtype) == (others.shape, others.dtype), name
        assert values.tobytes() == others.tobytes(), name


def edit_index(folder, edit):
    """Rewrite the file `checkpoint` with what `edit` makes of it."""
    path = folder / "checkpoint"
    path.write_bytes(msgpack_serialize(edit(msgpack_restore(path.read_bytes()))))


def key_paths(tree, path=()):
    """Every path to a leaf, a tensorstore spec being one, in order."""
    for key, value in tree.items():
        if isinstance(value, dict) and "driver" not in value:
            yield from key_paths(value, (*path, key))
        else:
            yield ".".join((*path, key))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written") / "checkpoint_3"
    write_t5x(make_checkpoint(T5_1_1), folder, step=3)
    return folder


@pytest.fixture
def native(written, tmp_path):
    """A native checkpoint that a test may break."""
    return shutil.copytree(written, tmp_path / "checkpoint_3")


@pytest.fixture(scope="module")
def golden():
    if not (GOLDEN / "golden.npz").is_file():
        pytest.skip(f"needs {GOLDEN / 'golden.npz'}: numbers that T5X computed")
    with np.load(GOLDEN / "golden.npz") as arrays:
        return dict(arrays)


def golden_name(name):
    name = re.sub(r"\.layers\.(\d)", r".layers_\1", re.sub(r"\.wi\.(\d)", r".wi_\1", name))
    return "param/token_embedder.embedding" if name == "embedding" else f"param/{name}"


def test_the_config_of_t5x_is_inferred_from_its_arrays(golden):
    sizes = json.loads((GOLDEN / "model_config.json").read_text(encoding="utf-8"))
    checkpoint = open_t5x(GOLDEN, dtype="float32")
    assert checkpoint.config == T5Config(
        dtype="float32",
        vocab_size=sizes["vocab_size"],
        d_model=sizes["emb_dim"],
        num_heads=sizes["num_heads"],
        head_dim=sizes["head_dim"],
        d_ff=sizes["mlp_dim"],
        num_encoder_layers=sizes["num_encoder_layers"],
        num_decoder_layers=sizes["num_decoder_layers"],
        activations=tuple(sizes["mlp_activations"]),
        dropout_rate=sizes["dropout_rate"],
        tied_logits=sizes["logits_via_embedding"],
    )
    assert checkpoint.source.endswith("checkpoint_400")
    assert t5x_step(GOLDEN) == 400
    assert read_soft_prompt_t5x(GOLDEN) is None


def test_the_arrays_of_t5x_are_read_bit_for_bit(golden):
    arrays = open_t5x(GOLDEN / "checkpoint_400").arrays
    assert sorted(map(golden_name, arrays)) == sorted(n for n in golden if n.startswith("param/"))
    for name, array in arrays.items():
        values = array.read()
        assert values.dtype == array.dtype == np.float32
        assert values.shape == array.shape == golden[golden_name(name)].shape
        assert values.tobytes() == golden[golden_name(name)].tobytes(), name


def test_a_t5x_checkpoint_gives_the_logits_that_t5x_computed(golden):
    graph, params = load_params(open_t5x(GOLDEN, dtype="float32"))
    inputs, targets = golden["batch_encoder_input_tokens"], golden["batch_decoder_target_tokens"]
    feed = (inputs, inputs > 0, golden["batch_decoder_input_tokens"], targets > 0)
    feed = [jnp.asarray(array, jnp.int32) for array in feed]
    logits = jax.jit(lambda params, *feed: nnx.merge(graph, params)(*feed))(params, *feed)
    inside = targets > 0
    np.testing.assert_allclose(
        np.asarray(logits)[inside], golden["logits"][inside], atol=1e-5, rtol=1e-5
    )


def test_a_native_checkpoint_is_laid_out_as_t5x_lays_it_out(golden, tmp_path):
    theirs, ours = GOLDEN / "checkpoint_400", tmp_path / "checkpoint_400"
    write_t5x(open_t5x(theirs), ours, step=400)
    indices = [msgpack_restore((folder / "checkpoint").read_bytes()) for folder in (theirs, ours)]
    assert [list(index) for index in indices] == [["version", "optimizer"]] * 2
    states = [index["optimizer"]["state"] for index in indices]
    assert states[1]["param_states"] == {}
    assert states[1]["step"].dtype == states[0]["step"].dtype == np.int32
    assert states[1]["step"].shape == states[0]["step"].shape == ()
    assert states[1]["step"] == states[0]["step"] == 400
    targets = [index["optimizer"]["target"] for index in indices]
    assert list(key_paths(targets[1])) == list(key_paths(targets[0]))
    assert targets[1] == targets[0]
    folders = [{p.name for p in folder.glob("target.*")} for folder in (theirs, ours)]
    assert folders[1] == folders[0]
    assert {path.name for path in ours.iterdir()} == folders[1] | {"checkpoint"}
    for name in folders[0]:
        assert (ours / name / ".zarray").read_text() == (theirs / name / ".zarray").read_text()
    assert_equal_arrays(open_t5x(ours).arrays, open_t5x(theirs).arrays)


@KINDS
@pytest.mark.parametrize("form", ["native", "orbax"])
@pytest.mark.parametrize(("dtype", "chunk_bytes"), [("float32", 200), ("bfloat16", 100)])
def test_what_is_written_is_read_bit_for_bit(tmp_path, config, form, dtype, chunk_bytes):
    checkpoint = make_checkpoint(config, dtype=dtype)
    folder = tmp_path / "checkpoint_12"
    write_t5x(checkpoint, folder, step=12, form=form, chunk_bytes=chunk_bytes)
    vocabulary = tmp_path / "spm.model"
    vocabulary.write_bytes(b"")
    back = open_t5x(folder, dtype="float32", vocabulary=vocabulary)
    assert (back.config, back.source, back.vocabulary) == (config, str(folder), vocabulary)
    assert_equal_arrays(back.arrays, checkpoint.arrays)
    assert t5x_step(folder) == 12
    assert [path.name for path in tmp_path.iterdir() if ".tmp-" in path.name] == []
    if form == "native":
        chunks = sorted(p.name for p in (folder / "target.token_embedder.embedding").iterdir())
        assert chunks == [".zarray", "0.0", "1.0", "2.0", "3.0"]


def test_a_bfloat16_array_carries_the_type_that_t5x_gives_it(tmp_path):
    folder = tmp_path / "checkpoint_1"
    write_t5x(make_checkpoint(T5_1_1), folder, step=1, dtype="bfloat16", chunk_bytes=100)
    name = "target.encoder.layers_0.mlp.wi_0.kernel"
    assert json.loads((folder / name / ".zarray").read_text()) == {
        "chunks": [8, 6],  # 96 bytes
        "compressor": {"id": "gzip", "level": 1},
        "dimension_separator": ".",
        "dtype": "bfloat16",
        "fill_value": None,
        "filters": None,
        "order": "C",
        "shape": [8, 12],
        "zarr_format": 2,
    }
    arrays = open_t5x(folder).arrays
    wanted = make_checkpoint(T5_1_1).arrays
    for key, array in arrays.items():
        cast = wanted[key].read().astype(ml_dtypes.bfloat16)
        assert array.read().tobytes() == cast.tobytes()


@pytest.mark.parametrize(
    ("shape", "chunk_bytes", "chunks"),
    [([6, 9], 100, [6, 3]), ([8, 4], 1, [1, 1]), ([], 1, []), ([7, 2], 28, [1, 2])],
)
def test_chunks_divide_the_shape(shape, chunk_bytes, chunks):
    assert cut_chunks(shape, item_bytes=4, chunk_bytes=chunk_bytes) == chunks


@pytest.mark.parametrize("config", [T5_1_1, UMT5], ids=["t5.1.1", "umt5"])
@pytest.mark.parametrize("make", [ocp.PyTreeCheckpointer, ocp.StandardCheckpointer])
def test_plain_orbax_restores_the_orbax_form(tmp_path, config, make):
    checkpoint = make_checkpoint(config)
    write_t5x(checkpoint, tmp_path / "checkpoint_5", step=5, form="orbax")
    orbax = make()
    tree = orbax.restore(tmp_path / "checkpoint_5" / "state")
    orbax.close()
    assert tree["state"]["step"] == 5
    assert tree["state"]["param_states"] == {}
    embedding = checkpoint.arrays["embedding"].read()
    np.testing.assert_array_equal(tree["target"]["token_embedder"]["embedding"], embedding)
    value = checkpoint.arrays["decoder.layers.1.self_attention.value.kernel"].read()
    if config.layer_biases:
        found = tree["target"]["decoder"]["decoder"]["self_attention"]["value"]["kernel"]
        assert found.shape == (8, 3, 2, 3)
        found = found[:, 1].reshape(8, 6)
    else:
        found = tree["target"]["decoder"]["layers_1"]["self_attention"]["value"]["kernel"]
    np.testing.assert_array_equal(found, value)


def test_orbax_restores_the_whole_checkpoint_by_its_item(tmp_path):
    checkpoint = make_checkpoint(T5_1_1)
    write_t5x(checkpoint, tmp_path / "checkpoint_5", step=5, form="orbax")
    orbax = ocp.Checkpointer(ocp.CompositeCheckpointHandler())
    args = ocp.args.Composite(state=ocp.args.PyTreeRestore())
    restored = orbax.restore(tmp_path / "checkpoint_5", args=args)["state"]
    orbax.close()
    np.testing.assert_array_equal(
        restored["target"]["encoder"]["encoder_norm"]["scale"],
        checkpoint.arrays["encoder.encoder_norm.scale"].read(),
    )


@pytest.mark.parametrize("use_ocdbt", [True, False], ids=["ocdbt", "plain"])
@pytest.mark.parametrize("root", ["target", "params"])
def test_what_orbax_saved_is_read(tmp_path, use_ocdbt, root):
    checkpoint = make_checkpoint(T5_1_1)
    write_t5x(checkpoint, tmp_path / "checkpoint_5", step=5)
    index = msgpack_restore((tmp_path / "checkpoint_5" / "checkpoint").read_bytes())

    def read(spec):
        name = spec["kvstore"]["path"].rstrip("/")
        path = str(tmp_path / "checkpoint_5" / name)
        opened = ts.open({"driver": "zarr", "kvstore": {"driver": "file", "path": f"{path}/"}})
        return jnp.asarray(opened.result().read().result())

    arrays = jax.tree.map(read, index["optimizer"]["target"], is_leaf=lambda leaf: "driver" in leaf)
    state = {"state": {"step": jnp.int32(9)}} if root == "target" else {"step": jnp.int32(9)}
    orbax = ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=use_ocdbt))
    orbax.save(tmp_path / "checkpoint_9" / "state", {root: arrays, **state})
    orbax.close()
    back = open_t5x(tmp_path, dtype="float32")
    assert (back.config, t5x_step(tmp_path)) == (T5_1_1, 9)
    assert back.source == str(tmp_path / "checkpoint_9")
    assert_equal_arrays(back.arrays, checkpoint.arrays)


def test_a_scanned_layer_is_read_without_the_chunks_of_the_others(tmp_path):
    folder = tmp_path / "checkpoint_1"
    checkpoint = make_checkpoint(UMT5)
    write_t5x(checkpoint, folder, step=1)
    back = open_t5x(folder)
    (folder / "target.decoder.decoder.mlp.wo.kernel" / "0.2.0").write_bytes(b"not gzip")
    name = "decoder.layers.1.mlp.wo.kernel"
    np.testing.assert_array_equal(back.arrays[name].read(), checkpoint.arrays[name].read())
    with pytest.raises(ValueError, match=r"mlp\.wo\.kernel cannot be read"):
        back.arrays["decoder.layers.2.mlp.wo.kernel"].read()


@pytest.mark.parametrize("version", [{}, {"version": 2}, {"version": 3}])
def test_an_old_index_without_a_wrapper_is_read(native, version):
    edit_index(native, lambda tree: {**tree["optimizer"], **version})
    assert_equal_arrays(open_t5x(native).arrays, make_checkpoint(T5_1_1).arrays)
    assert t5x_step(native) == 3


@pytest.mark.parametrize(
    "spec",
    [
        {"kvstore": {"driver": "file", "path": "target.a.kernel/"}},
        {"kvstore": {"driver": "gfile", "path": "/some/place/checkpoint_1/target.a.kernel"}},
        {"kvstore": {"driver": "gcs", "bucket": "b", "path": "run/checkpoint_1/target.a.kernel/"}},
        {"kvstore": {"driver": "gcs", "bucket": "b"}, "path": "run/target.a.kernel"},
        {"kvstore": "gs://bucket/run/target.a.kernel/"},
    ],
)
def test_an_array_is_looked_for_beside_its_index(spec):
    assert array_folder({"driver": "zarr", **spec}, where="x") == "target.a.kernel"


@pytest.mark.parametrize("path", ["", "/", "a/..", None, 5])
def test_a_spec_without_a_folder_is_refused(path):
    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": path}}
    with pytest.raises(ValueError, match=r"x is .*; expected an array, or a zarr spec with a path"):
        array_folder(spec, where="x")


def test_a_checkpoint_that_was_moved_is_read(native):
    def move(tree):
        spec = tree["optimizer"]["target"]["token_embedder"]["embedding"]
        path = f"/elsewhere/checkpoint_8/{spec['kvstore']['path']}"
        spec["kvstore"] = {"driver": "gfile", "path": path}
        return tree

    edit_index(native, move)
    assert_equal_arrays(open_t5x(native).arrays, make_checkpoint(T5_1_1).arrays)


def test_a_checkpoint_without_a_step_says_so(native):
    edit_index(native, lambda tree: {"version": 3, "optimizer": {**tree["optimizer"], "state": {}}})
    with pytest.raises(ValueError, match="tells no step; expected a number at one of"):
        t5x_step(native)


def test_a_soft_prompt_is_apart_from_the_arrays(native):
    prompt = np.arange(24, dtype=np.float32).reshape(3, 8)

    def tune(tree):
        tree["optimizer"]["target"]["encoder"]["prompt"] = {"prompt": {"prompt": prompt}}
        return tree

    edit_index(native, tune)
    np.testing.assert_array_equal(read_soft_prompt_t5x(native), prompt)
    assert_equal_arrays(open_t5x(native).arrays, make_checkpoint(T5_1_1).arrays)


def test_the_newest_checkpoint_of_a_folder_is_taken_by_number(written, tmp_path):
    for step in (9, 10):
        shutil.copytree(written, tmp_path / f"checkpoint_{step}")
    (tmp_path / "checkpoint_11.tmp-1700000000").mkdir()
    assert open_t5x(tmp_path).source == str(tmp_path / "checkpoint_10")
    (tmp_path / "checkpoint_10" / "checkpoint").unlink()
    with pytest.raises(ValueError, match=r"checkpoint_10 is not whole.* name an older checkpoint"):
        open_t5x(tmp_path)


def put(name, value):
    """An edit that places a leaf under `target`."""

    def edit(tree):
        *parents, last = name.split(".")
        branch = tree["optimizer"]["target"]
        for key in parents:
            branch = branch.setdefault(key, {})
        branch[last] = value
        return tree

    return edit


def drop(name):
    def edit(tree):
        *parents, last = name.split(".")
        branch = tree["optimizer"]["target"]
        for key in parents:
            branch = branch[key]
        del branch[last]
        return tree

    return edit


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda tree: {**tree, "version": 1}, r"is of version 1; expected one of \(2, 3\)"),
        (lambda tree: {"optimizer": tree["optimizer"]}, "is of version None"),
        (lambda tree: {"version": 3, "optimizer": 5}, "`optimizer` holds no tree"),
        (lambda tree: {"version": 3, "optimizer": {"state": {}}}, "holds no parameters"),
        (put("encoder.adapter.kernel", np.ones((8, 8))), r"not expected: encoder\.adapter\.kernel"),
        (put("encoder.encoder_norm.scale", np.ones(9)), r"of another shape: encoder\.encoder_norm"),
        (put("encoder.encoder_norm.scale", "words"), "is 'words'; expected an array, or a zarr"),
        (drop("decoder.layers_1.mlp.wo.kernel"), r"missing: decoder\.layers\.1\.mlp\.wo\.kernel"),
    ],
)
def test_an_index_of_no_t5_is_refused(native, edit, told):
    edit_index(native, edit)
    with pytest.raises(ValueError, match=told):
        open_t5x(native)


def test_missing_arrays_and_chunks_are_named(native):
    chunk = native / "target.encoder.layers_0.mlp.wo.kernel" / "0.0"
    kept = chunk.read_bytes()
    chunk.unlink()
    with pytest.raises(ValueError, match=r"layers_0\.mlp\.wo\.kernel lacks 1 of its chunks: 0\.0;"):
        open_t5x(native)
    chunk.write_bytes(kept[: len(kept) // 2])
    array = open_t5x(native).arrays["encoder.layers.0.mlp.wo.kernel"]
    with pytest.raises(ValueError, match=r"layers_0\.mlp\.wo\.kernel cannot be read"):
        array.read()
    shutil.rmtree(chunk.parent)
    with pytest.raises(ValueError, match=r"1 of its 66 arrays are missing: target\.encoder\.lay"):
        open_t5x(native)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"shape": [3], "chunks": [0], "dtype": "<f4"}',
                                  '{"shape": [3], "chunks": [3], "dtype": "|O"}'])  # fmt: skip
def test_an_array_of_unknown_kind_is_refused(native, text):
    (native / "target.encoder.encoder_norm.scale" / ".zarray").write_text(text)
    with pytest.raises(ValueError, match=r"target\.encoder\.encoder_norm\.scale"):
        open_t5x(native)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gs://bucket/checkpoint_1", "is not on this machine; copy the folder first"),
        ("checkpoint_1.tmp-1700000000", "is half written; T5X renames"),
        ("nowhere", "nowhere is no folder"),
        ("empty", "is no T5X checkpoint"),
        ("mesh", "is a checkpoint of Mesh TensorFlow"),
    ],
)
def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path, name, told):
    (tmp_path / "empty").mkdir()
    (tmp_path / "checkpoint_1.tmp-1700000000").mkdir()
    (tmp_path / "mesh").mkdir()
    (tmp_path / "mesh" / "checkpoint").write_text("model_checkpoint_path: 'model.ckpt-1'")
    (tmp_path / "mesh" / "model.ckpt-1.index").write_bytes(b"")
    path = Path(name) if ":" in name else tmp_path / name
    with pytest.raises(ValueError, match=told):
        open_t5x(path)


def test_a_vocabulary_that_is_no_file_is_refused(native):
    with pytest.raises(ValueError, match="expected a SentencePiece model"):
        open_t5x(native, vocabulary=native / "spm.model")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"step": 4}, "is named for step 3 and step is 4"),
        ({"step": 3, "form": "zip"}, "form: got 'zip', expected one of"),
        ({"step": 3, "dtype": "float16"}, "dtype: got 'float16', expected one of"),
        ({"step": 3}, "is there already; choose a new folder"),
    ],
)
def test_settings_that_cannot_be_written_are_refused(native, settings, told):
    with pytest.raises(ValueError, match=told):
        write_t5x(make_checkpoint(T5_1_1), native, **settings)


def test_a_write_that_fails_leaves_nothing(tmp_path):
    def fail():
        raise OSError("disk full")

    checkpoint = make_checkpoint(T5_1_1)
    last = dataclasses.replace(checkpoint.arrays["embedding"], read=fail)
    broken = dataclasses.replace(checkpoint, arrays={**checkpoint.arrays, "embedding": last})
    for form in ("native", "orbax"):
        with pytest.raises(OSError, match="disk full"):
            write_t5x(broken, tmp_path / "checkpoint_1", step=1, form=form)
        assert list(tmp_path.iterdir()) == []
