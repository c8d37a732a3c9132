"""CLIP and CoCa from disk: what is read and what is refused (`test_clip_golden.py`: embeddings)."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pe.weights.open_clip import WEIGHT_FILES, load_clip, open_clip

GOLDENS = Path(__file__).resolve().parents[2] / "goldens" / "vision"
INFINITE = float("inf")  # JSON of Python may hold it
MEAN = (0.48145466, 0.4578275, 0.40821073)


@pytest.fixture
def folder(tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(GOLDENS / "clip_gelu", copy)
    return copy


def rewrite(folder: Path, change, file="open_clip_model.safetensors") -> None:
    path = folder / file
    arrays = load_file(path)
    change(arrays)
    save_file(arrays, path)


def reconfigure(folder: Path, change, file="open_clip_config.json") -> None:
    values = json.loads((folder / file).read_text(encoding="utf-8"))
    change(values)
    (folder / file).write_text(json.dumps(values), encoding="utf-8")


@pytest.fixture
def hf_folder(tmp_path):
    copy = tmp_path / "hf"
    shutil.copytree(GOLDENS / "clip_hf", copy)
    return copy


def test_the_digest_tells_weights_apart(folder):
    before = open_clip(str(folder)).digest
    assert open_clip(str(folder)).digest == before
    rewrite(folder, lambda arrays: arrays.update(logit_scale=np.array(1, np.float32)))
    assert open_clip(str(folder)).digest != before


def test_the_digest_is_of_what_is_read_and_nothing_else(folder, hf_folder):
    for path, file in ((folder, "open_clip_config.json"), (hf_folder, "preprocessor_config.json")):
        before = open_clip(str(path)).digest
        save_file({"other": np.ones(3, np.float32)}, path / "other.safetensors")
        assert open_clip(str(path)).digest == before
        reconfigure(path, lambda values: values.get("preprocess_cfg", values).update(new=1), file)
        assert open_clip(str(path)).digest != before


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
    message = (
        r"visual\.proj \[3, 20\] cannot be visual\.projection\.kernel \[32, 20\], which its con"
    )
    with pytest.raises(ValueError, match=message):
        load_clip(open_clip(str(folder)))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("visual.conv1.weight", (32, 192)),
        ("visual.conv1.weight", ()),
        ("visual.proj", (640,)),
        ("logit_scale", (3,)),
    ],
)
def test_an_array_with_another_number_of_axes_is_named(folder, name, shape):
    rewrite(folder, lambda arrays: arrays.update({name: np.zeros(shape, np.float32)}))
    message = rf"model: {name} \[.*\] cannot be .* \[.*\], which its config describes; copy config"
    with pytest.raises(ValueError, match=message):
        load_clip(open_clip(str(folder)))


def test_parts_that_cannot_be_joined_are_named(hf_folder):
    layer = "text_model.encoder.layers.0.self_attn"
    wrong = {f"{layer}.q_proj.weight": np.zeros(24, np.float32)}
    rewrite(hf_folder, lambda arrays: arrays.update(wrong), "model.safetensors")
    message = rf"{layer}.q_proj.weight \[24\], {layer}.k_proj.weight \[24, 24\], .* cannot be text"
    with pytest.raises(ValueError, match=message):
        load_clip(open_clip(str(hf_folder)))


def test_an_array_of_no_float_type_is_named(folder):
    rewrite(folder, lambda arrays: arrays.update({"visual.proj": np.zeros((32, 20), np.int8)}))
    message = r"visual.proj \[32, 20\] is of int8, expected one of float16, .*quantised"
    with pytest.raises(ValueError, match=message):
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
    message = (
        "holds its weights only as open_clip_pytorch_model.bin; expected "
        "open_clip_model.safetensors or open_clip_pytorch_model.safetensors. Reading a pickle"
    )
    with pytest.raises(ValueError, match=message):
        open_clip(str(folder))


def test_another_model_in_hugging_faces_layout_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "siglip"}', encoding="utf-8")
    with pytest.raises(ValueError, match="is of a siglip model; expected CLIP or CoCa"):
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
        (
            lambda cfg: cfg["vision_cfg"].update(layers=[3, 4]),
            r"layers is \[3, 4\], expected a who",
        ),
        (lambda cfg: cfg["vision_cfg"].update(head_width=0), "head_width is 0, expected a whole"),
        (
            lambda cfg: cfg["vision_cfg"].update(width="wide"),
            "width is 'wide', expected a whole num",
        ),
        (lambda cfg: cfg["vision_cfg"].update(width=INFINITE), "width is inf, expected a whole"),
        (
            lambda cfg: cfg["vision_cfg"].update(width=768.7),
            "width is 768.7, expected a whole numb",
        ),
        (
            lambda cfg: cfg["vision_cfg"].update(width=True),
            "width is True, expected a whole number",
        ),
        (lambda cfg: cfg["vision_cfg"].update(width=33), "VisionConfig: width 33 is no multiple"),
        (lambda cfg: cfg["text_cfg"].pop("heads"), "heads is None, expected a whole number, 1 or"),
        (
            lambda cfg: cfg["text_cfg"].update(mlp_ratio="4.0"),
            "mlp_ratio is '4.0', expected a numb",
        ),
        (
            lambda cfg: cfg["text_cfg"].update(mlp_ratio=INFINITE),
            "mlp_ratio is inf, expected a num",
        ),
        (lambda cfg: cfg["text_cfg"].update(embed_cls=True), "embed_cls are read with a CoCa only"),
        (lambda cfg: cfg["text_cfg"].update(embed_cls="no"), "embed_cls is 'no', expected true or"),
        (lambda cfg: cfg.update(quick_gelu="false"), "quick_gelu is 'false', expected true or fal"),
    ],
)
def test_a_config_without_its_sizes_is_refused(folder, change, message):
    reconfigure(folder, lambda values: change(values["model_cfg"]))
    with pytest.raises(ValueError, match=f"^{folder}: open_clip_config.json describes .*{message}"):
        open_clip(str(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vision_config": "small"}, "a vision_config or text_config of no settings"),
        ({"text_config": {"hidden_act": "gelu"}}, "hidden_act is 'quick_gelu' for images and 'gel"),
        (
            {"text_config": {"hidden_act": []}},
            r"hidden_act is 'quick_gelu' for images and \[\] for",
        ),
        ({"text_config": {"eos_token_id": 5}}, "eos_token_id is 5; expected the last of 49408"),
        ({"text_config": {"layer_norm_eps": 1e-6}}, "layer_norm_eps is 1e-05 for images and 1e-06"),
        (
            {"text_config": {"layer_norm_eps": "x"}},
            "layer_norm_eps is 'x', expected a number above",
        ),
        ({"text_config": {"vocab_size": "x"}}, "vocab_size is 'x', expected a whole number, 1 or"),
        ({"vision_config": {"hidden_size": "wide"}}, "hidden_size is 'wide', expected a whole num"),
        ({"vision_config": {"hidden_size": 70}}, "VisionConfig: width 70 is no multiple of num_he"),
        ({"projection_dim": 0}, "projection_dim is 0, expected a whole number, 1 or more"),
    ],
)
def test_a_hugging_face_config_that_is_not_clips_is_refused(hf_folder, change, message):
    reconfigure(hf_folder, lambda values: values.update(change), "config.json")
    with pytest.raises(ValueError, match=f"^{hf_folder}: config.json .*{message}"):
        open_clip(str(hf_folder))


def test_preprocessing_is_read_from_either_file_of_transformers(hf_folder):
    wanted = open_clip(str(hf_folder)).input_settings
    old, new = hf_folder / "preprocessor_config.json", hf_folder / "processor_config.json"
    new.write_text(json.dumps({"processor_class": "CLIPProcessor"}), encoding="utf-8")
    assert open_clip(str(hf_folder)).input_settings == wanted
    section = {**wanted, "image_mean": [0.5, 0.5, 0.5]}
    new.write_text(json.dumps({"image_processor": section}), encoding="utf-8")
    assert open_clip(str(hf_folder)).input_settings == section
    old.unlink()
    assert open_clip(str(hf_folder)).input_settings == section
    new.unlink()
    message = (
        "hf holds neither preprocessor_config.json nor a processor_config.json .*; copy the fi"
    )
    with pytest.raises(ValueError, match=message):
        open_clip(str(hf_folder))


def test_of_a_hub_one_layout_is_fetched_and_no_more(folder, hf_folder, monkeypatch):
    fetched = []

    def fetch(name, *, allow):
        fetched.append(allow)
        return Path(name)

    monkeypatch.setattr("pe.weights.open_clip.find_files", fetch)
    for path in (folder, hf_folder):
        assert open_clip(str(path)).source == str(path)
    configs = ("open_clip_config.json", "config.json")
    assert fetched[::2] == [configs, configs]
    of_open_clip, of_hf = fetched[1::2]
    assert not set(of_open_clip) & {"config.json", "*.safetensors", "model*.safetensors"}
    assert not set(of_hf) & {"open_clip_config.json", "*.safetensors", *WEIGHT_FILES}
    assert {"preprocessor_config.json", "processor_config.json", "merges.txt"} <= set(of_hf)


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
