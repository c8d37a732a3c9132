"""CLIP and CoCa from disk: what is read and what is refused (`test_clip_golden.py`: embeddings)."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pe.weights.open_clip import load_clip, open_clip

GOLDENS = Path(__file__).resolve().parents[2] / "goldens" / "vision"
MEAN = (0.48145466, 0.4578275, 0.40821073)


@pytest.fixture
def folder(tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(GOLDENS / "clip_gelu", copy)
    return copy


def rewrite(folder: Path, change) -> None:
    path = folder / "open_clip_model.safetensors"
    arrays = load_file(path)
    change(arrays)
    save_file(arrays, path)


def reconfigure(folder: Path, change, file="open_clip_config.json") -> None:
    values = json.loads((folder / file).read_text(encoding="utf-8"))
    change(values)
    (folder / file).write_text(json.dumps(values), encoding="utf-8")


def test_the_digest_tells_weights_apart(folder):
    before = open_clip(str(folder)).digest
    assert open_clip(str(folder)).digest == before
    rewrite(folder, lambda arrays: arrays.update(logit_scale=np.array(1, np.float32)))
    assert open_clip(str(folder)).digest != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("visual.proj"), r"missing: visual\.proj"),
        (lambda a: a.update(odd=np.zeros(3, np.float32)), "not expected: odd"),
    ],
)
def test_missing_and_extra_arrays_are_named(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(ValueError, match=message):
        open_clip(str(folder))


def test_an_array_of_another_shape_is_named_with_both_shapes(folder):
    rewrite(folder, lambda arrays: arrays.update({"visual.proj": np.zeros((3, 20), np.float32)}))
    with pytest.raises(ValueError, match=r"visual\.projection\.kernel \[3, 20\].* \[32, 20\]"):
        load_clip(open_clip(str(folder)))


def test_tables_that_no_model_learns_are_passed_over(folder):
    rewrite(folder, lambda arrays: arrays.update(attn_mask=np.zeros((16, 16), np.float32)))
    assert open_clip(str(folder)).config.text.context_tokens == 16


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("vision_cfg", "timm_model_name", "vit_base"),
        ("vision_cfg", "pool_type", "avg"),
        ("text_cfg", "hf_model_name", "roberta-base"),
        ("text_cfg", "no_causal_mask", True),
        ("vision_cfg", "ls_init_value", 1e-5),
    ],
)
def test_a_model_with_parts_that_are_not_known_is_refused(folder, part, key, value):
    reconfigure(folder, lambda values: values["model_cfg"][part].update({key: value}))
    with pytest.raises(ValueError, match=f"{part} sets {key} = .*not read here"):
        open_clip(str(folder))


def test_settings_that_are_off_say_nothing(folder):
    off = {"timm_model_name": None, "no_ln_pre": False, "pool_type": "tok"}
    reconfigure(folder, lambda values: values["model_cfg"]["vision_cfg"].update(off))
    assert open_clip(str(folder)).config.vision.width == 32


def test_a_pickle_is_not_read(folder):
    (folder / "open_clip_model.safetensors").rename(folder / "open_clip_pytorch_model.bin")
    with pytest.raises(ValueError, match="safetensors alone, since a pickle can run code"):
        open_clip(str(folder))


def test_another_model_in_hugging_faces_layout_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "siglip"}', encoding="utf-8")
    with pytest.raises(ValueError, match="is a siglip model; expected CLIP or CoCa"):
        open_clip(str(tmp_path))


def test_of_two_layouts_open_clips_is_read(folder):
    for path in (GOLDENS / "clip_hf").iterdir():
        shutil.copy(path, folder / path.name)
    assert open_clip(str(folder)).config == open_clip(str(GOLDENS / "clip_gelu")).config


def test_preprocessing_and_sizes_are_read(folder):
    checkpoint = open_clip(str(folder))
    assert checkpoint.input_settings["mean"] == list(MEAN)
    assert checkpoint.vocabulary is None
    (folder / "vocab.json").write_text("{}", encoding="utf-8")
    assert open_clip(str(folder)).vocabulary == folder
    assert (checkpoint.config.embed_dim, checkpoint.config.vision.num_heads) == (20, 2)
    assert open_clip(str(GOLDENS / "clip_quick_gelu")).config.activation == "quick_gelu"


def test_matrices_take_the_type_to_compute_in(folder):
    params = load_clip(open_clip(str(folder), dtype="bfloat16"))
    assert params["text.blocks.0.mlp.up.kernel"].dtype == "bfloat16"
    assert params["text.blocks.0.norm_1.scale"].dtype == "float32"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cfg: cfg.update(vision_cfg=None), "lacks model_cfg with embed_dim, vision_cfg"),
        (lambda cfg: cfg.update(text_cfg="small"), "lacks model_cfg with embed_dim, vision_cfg"),
        (lambda cfg: cfg.pop("embed_dim"), "lacks model_cfg with embed_dim, vision_cfg"),
        (lambda cfg: cfg["vision_cfg"].update(layers=[3, 4]), "lacks a size, or gives none that"),
        (lambda cfg: cfg["vision_cfg"].update(head_width=0), "lacks a size, or gives none that"),
        (lambda cfg: cfg["text_cfg"].pop("heads"), "lacks a size, or gives none that.*heads"),
        (lambda cfg: cfg["text_cfg"].update(embed_cls=True), "embed_cls are read with a CoCa only"),
    ],
)
def test_a_config_without_its_sizes_is_refused(folder, change, message):
    reconfigure(folder, lambda values: change(values["model_cfg"]))
    with pytest.raises(ValueError, match=message):
        open_clip(str(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vision_config": "small"}, "a vision_config or text_config of no settings"),
        ({"text_config": {"hidden_act": "relu"}}, r"hidden_act is \['quick_gelu', 'relu'\]"),
        ({"text_config": {"eos_token_id": 5}}, "eos_token_id is 5; expected the last of 49408"),
    ],
)
def test_a_hugging_face_config_that_is_not_clips_is_refused(tmp_path, change, message):
    shutil.copytree(GOLDENS / "clip_hf", tmp_path / "model")
    reconfigure(tmp_path / "model", lambda values: values.update(change), "config.json")
    with pytest.raises(ValueError, match=message):
        open_clip(str(tmp_path / "model"))


def test_shards_are_read_as_one_file_is(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(GOLDENS / "clip_hf", folder)
    arrays = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    files = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(arrays)}
    for file in set(files.values()):
        save_file({name: arrays[name] for name in files if files[name] == file}, folder / file)
    index = json.dumps({"metadata": {}, "weight_map": files})
    (folder / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    one, other = (load_clip(open_clip(str(path))) for path in (folder, GOLDENS / "clip_hf"))
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


def test_a_text_tower_may_have_names_of_its_own(folder):
    wanted = load_clip(open_clip(str(folder)))

    def rename(arrays):
        for name in [n for n in arrays if not n.startswith("visual.") and n != "logit_scale"]:
            arrays[f"text.{name}"] = arrays.pop(name)

    rewrite(folder, rename)
    for name, values in load_clip(open_clip(str(folder))).items():
        np.testing.assert_array_equal(values, wanted[name])
