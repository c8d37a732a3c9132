"""A small CLIP of random weights in open_clip's layout, a vocabulary of bytes, and pictures."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

WIDTH, EMBED, LAYERS, PATCH, SIDE = 32, 24, 2, 16, 32
VOCAB_SIZE = 514


def norm(name):
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


def block(name):
    return {
        **norm(f"{name}.ln_1"),
        **norm(f"{name}.ln_2"),
        f"{name}.attn.in_proj_weight": (3 * WIDTH, WIDTH),
        f"{name}.attn.in_proj_bias": (3 * WIDTH,),
        f"{name}.attn.out_proj.weight": (WIDTH, WIDTH),
        f"{name}.attn.out_proj.bias": (WIDTH,),
        f"{name}.mlp.c_fc.weight": (4 * WIDTH, WIDTH),
        f"{name}.mlp.c_fc.bias": (4 * WIDTH,),
        f"{name}.mlp.c_proj.weight": (WIDTH, 4 * WIDTH),
        f"{name}.mlp.c_proj.bias": (WIDTH,),
    }


def write_model(folder: Path, seed: int) -> None:
    shapes = {
        "logit_scale": (),
        "visual.conv1.weight": (WIDTH, 3, PATCH, PATCH),
        "visual.class_embedding": (WIDTH,),
        "visual.positional_embedding": ((SIDE // PATCH) ** 2 + 1, WIDTH),
        **norm("visual.ln_pre"),
        **norm("visual.ln_post"),
        "visual.proj": (WIDTH, EMBED),
        "token_embedding.weight": (VOCAB_SIZE, WIDTH),
        "positional_embedding": (77, WIDTH),
        **norm("ln_final"),
        "text_projection": (WIDTH, EMBED),
    }
    for i in range(LAYERS):
        shapes |= block(f"visual.transformer.resblocks.{i}") | block(f"transformer.resblocks.{i}")
    rng = np.random.default_rng(seed)
    arrays = {
        name: np.ones(shape, np.float32)
        if "ln_" in name and name.endswith("weight")
        else rng.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    save_file(arrays, folder / "open_clip_model.safetensors")
    vision = {"image_size": SIDE, "layers": LAYERS, "width": WIDTH, "head_width": 16,
              "patch_size": PATCH}  # fmt: skip
    text = {"context_length": 77, "vocab_size": VOCAB_SIZE, "width": WIDTH, "heads": 2,
            "layers": LAYERS}  # fmt: skip
    config = {"model_cfg": {"embed_dim": EMBED, "vision_cfg": vision, "text_cfg": text}}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")


def write_vocabulary(folder: Path) -> None:
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(i) for i in (*printed, *range(256, 256 + 68))]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    ids = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    """A model that `open_clip` and `load_encoder` read."""
    folder = tmp_path_factory.mktemp("clip")
    write_model(folder, seed=0)
    write_vocabulary(folder)
    return folder


@pytest.fixture(scope="session")
def head_file(tmp_path_factory):
    """A linear aesthetic head for that model: scores around 5."""
    path = tmp_path_factory.mktemp("head") / "head.safetensors"
    weight = np.random.default_rng(1).normal(0, 1, (1, EMBED)).astype(np.float32)
    save_file({"weight": weight, "bias": np.array([5.0], np.float32)}, path)
    return path


def make_picture(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((96, 72), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def pictures(tmp_path):
    """A folder of 12 pictures with captions in a sidecar."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    lines = []
    for i in range(12):
        (folder / f"{i:02}.png").write_bytes(make_picture(i))
        caption = f"a red fox number {i} sleeping in deep snow under tall pines"
        lines.append(json.dumps({"file": f"{i:02}.png", "captions": [caption, "a fox"]}))
    (folder / "captions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
