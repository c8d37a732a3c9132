"""What a path or name stands for: every format opened, and what is said of wrong weights."""

import json
import shutil

import numpy as np
import pytest
from huggingface_hub import constants

from pe.engines.export import convert_model
from pe.engines.model import load_model
from pe.weights.checkpoint import stored
from pe.weights.formats import open_arrays, open_model, read_settings
from pe.weights.run_folder import open_run
from pe.weights.safetensors_file import open_safetensors, write_safetensors


@pytest.fixture(scope="module")
def models(run_folder, tmp_path_factory):
    """A folder of the run in each format, by its name."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "run").symlink_to(run_folder)
    source = str(run_folder)
    convert_model(source, folder / "pe", to="pe")
    convert_model(source, folder / "hf", to="hf")
    convert_model(source, folder / "native/checkpoint_7", to="t5x", step=7)
    convert_model(source, folder / "orbax/checkpoint_8", to="t5x", step=8, t5x_form="orbax")
    return folder


@pytest.fixture
def copied(models, tmp_path):
    """Copy a model that may then be broken."""

    def copy(name):
        return shutil.copytree(models / name, tmp_path / name)

    return copy


def cut_in_half(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("run", "tiny@6"),
        ("pe", "tiny@6"),
        ("hf", "hf"),
        ("hf/config.json", "hf"),
        ("hf/model.safetensors", "hf"),
        ("native/checkpoint_7", "checkpoint_7"),
        ("native", "native"),
        ("orbax/checkpoint_8", "checkpoint_8"),
        ("orbax", "orbax"),
    ],
)
def test_each_format_gives_the_arrays_the_vocabulary_and_the_length(
    models, run_folder, place, name
):
    opened = open_model(str(models / place))
    expected = open_run(run_folder, open_base=open_arrays).checkpoint
    assert opened.name == name
    assert opened.expander["max_input_tokens"] == 32
    assert opened.checkpoint.vocabulary.read_bytes() == expected.vocabulary.read_bytes()
    assert sorted(opened.checkpoint.arrays) == sorted(expected.arrays)
    for array_name, array in opened.checkpoint.arrays.items():
        wanted = expected.arrays[array_name].read()
        values = array.read()
        assert (values.shape, values.dtype) == (wanted.shape, wanted.dtype), array_name
        assert values.tobytes() == wanted.tobytes(), array_name


def test_a_home_folder_may_be_written_short(models, monkeypatch):
    monkeypatch.setenv("HOME", str(models))
    assert open_model("~/pe").name == "tiny@6"


def test_settings_and_a_vocabulary_may_lie_above_the_steps(copied):
    folder = copied("native")
    for name in ("vocabulary.model", "pe_expander.json"):
        (folder / "checkpoint_7" / name).rename(folder / name)
    opened = open_model(str(folder))
    assert opened.checkpoint.vocabulary == folder / "vocabulary.model"
    assert opened.expander["max_input_tokens"] == 32


def test_a_vocabulary_that_is_given_replaces_the_one_beside(models, tmp_path):
    given = shutil.copy(models / "run/vocabulary.model", tmp_path / "given.model")
    for name in ("run", "pe", "hf", "native"):
        opened = open_model(str(models / name), vocabulary=given)
        assert opened.checkpoint.vocabulary == given
    with pytest.raises(ValueError, match=r"vocabulary '.*none' not found; expected a file"):
        open_model(str(models / "pe"), vocabulary=tmp_path / "none")


def test_a_name_that_the_hub_would_know_is_told_of_offline(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        ValueError, match=r"no folder 'org/none', .*not whole, in the cache .*HF_HUB"
    ):
        open_model("org/none")


@pytest.mark.parametrize("source", ["no such", ""])
def test_what_is_no_folder_and_no_hub_name_is_told_of(source):
    with pytest.raises(ValueError, match=f"there is no folder '{source}', and it is no hub name"):
        open_model(source)


@pytest.mark.parametrize(
    ("name", "file"), [("hf", "model.safetensors"), ("pe", "weights.safetensors")]
)
def test_truncated_weights_are_told_of(copied, name, file):
    folder = copied(name)
    cut_in_half(folder / file)
    with pytest.raises(ValueError, match=rf"{file} is truncated: it holds \d+ bytes, its header"):
        open_model(str(folder))


def test_a_decoder_alone_is_told_of(copied):
    folder = copied("hf")
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ValueError, match=r"hf is a llama model \(LlamaForCausalLM\); expected an enc"
    ):
        open_model(str(folder))


def test_weights_that_are_a_pickle_alone_are_not_opened(copied, tmp_path):
    folder = copied("hf")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"only as pytorch_model\.bin; .* can run code.*save_pre"):
        open_model(str(folder))
    with pytest.raises(
        ValueError, match=r"pytorch_model\.bin is a file; expected a model's folder"
    ):
        open_model(str(folder / "pytorch_model.bin"))
    (folder / "config.json").unlink()
    with pytest.raises(
        ValueError, match=r"no model folder; it holds .*pytorch_model\.bin.*expecte"
    ):
        open_model(str(folder))


def test_a_folder_without_a_model_is_told_what_it_holds(tmp_path):
    message = (
        r"is no model folder; it holds nothing; expected a run of pe train \(run\.json\), a mod"
    )
    with pytest.raises(ValueError, match=message):
        open_model(str(tmp_path))
    for i in range(9):
        (tmp_path / f"{i}.txt").touch()
    with pytest.raises(ValueError, match=r"it holds 0\.txt, 1\.txt, .*7\.txt; expected"):
        open_model(str(tmp_path))


def test_half_a_t5x_folder_is_told_of(copied):
    folder = copied("native/checkpoint_7")
    (folder / "target.token_embedder.embedding/0.0").unlink()
    with pytest.raises(
        ValueError, match=r"token_embedder\.embedding lacks 1 of its chunks: 0\.0; co"
    ):
        open_model(str(folder))
    shutil.rmtree(folder / "target.decoder.decoder_norm.scale")
    message = (
        r"not whole: 1 of its 29 arrays are missing: target\.decoder\.decoder_norm\.scale; copy"
    )
    with pytest.raises(ValueError, match=message):
        open_model(str(folder))
    (folder / "checkpoint").unlink()
    with pytest.raises(
        ValueError, match=r"checkpoint_7 is no T5X checkpoint: it holds neither a fi"
    ):
        open_model(str(folder))
    renamed = folder.parent.parent / "renamed"
    shutil.copytree(folder, renamed)
    with pytest.raises(ValueError, match=r"renamed is no T5X checkpoint: it holds neither a fi"):
        open_model(str(renamed))
    with pytest.raises(
        ValueError, match=r"checkpoint_7 is not whole: the file 'checkpoint' or the"
    ):
        open_model(str(folder.parent))


def test_half_an_orbax_folder_is_told_of(copied):
    folder = copied("orbax/checkpoint_8")
    (folder / "state/manifest.ocdbt").unlink()
    with pytest.raises(ValueError, match=r"state lacks manifest\.ocdbt, .*; copy the folder again"):
        open_model(str(folder))
    shutil.rmtree(folder / "state")
    with pytest.raises(ValueError, match="checkpoint_8 is no T5X checkpoint: it holds neither"):
        open_model(str(folder))


def test_one_step_of_a_run_is_told_of(models):
    with pytest.raises(
        ValueError, match=r"6 is one step of a run; expected the run's folder, .*tiny"
    ):
        open_model(str(models / "run/checkpoints/6"))


def test_a_vocabulary_with_more_pieces_than_rows_is_refused(copied):
    folder = copied("pe")
    description = json.loads((folder / "model.json").read_text())
    description["model"]["vocab_size"] = 300
    (folder / "model.json").write_text(json.dumps(description))
    arrays = dict(open_safetensors(folder / "weights.safetensors"))
    arrays = {name: stored(np.array(array.read())) for name, array in arrays.items()}
    arrays["embedding"] = stored(arrays["embedding"].read()[:300])
    kernel = "decoder.logits_dense.kernel"
    arrays[kernel] = stored(np.ascontiguousarray(arrays[kernel].read()[:, :300]))
    write_safetensors(folder / "weights.safetensors", arrays)
    with pytest.raises(
        ValueError, match=r"has 3\d\d pieces and the model of .* only 300 rows; it is"
    ):
        load_model(folder)


def test_a_vocabulary_of_other_control_ids_is_refused(models, vocabulary, tmp_path):
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(vocabulary.model_bytes)
    del model.pieces[0]  # no padding: the end comes to 0
    (tmp_path / "other.model").write_bytes(model.SerializeToString())
    with pytest.raises(
        ValueError, match=r"vocabulary has pad, eos = \(-1, 0\), expected T5's \(0, 1"
    ):
        load_model(models / "pe", vocabulary=tmp_path / "other.model")


def test_a_model_of_ctranslate2_is_told_of(tmp_path):
    (tmp_path / "pe_ct2.json").write_text("{}")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="is a CTranslate2 model, which only pe expand --runtime"):
        load_model(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"expander": 3}'])
def test_damaged_settings_are_told_of(tmp_path, text):
    assert read_settings(tmp_path) == {}
    (tmp_path / "pe_expander.json").write_text(text)
    with pytest.raises(
        ValueError, match=r"pe_expander\.json is damaged: .*; convert the model again"
    ):
        read_settings(tmp_path)
