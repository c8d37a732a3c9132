"""Write `tests/goldens/vision`: four tiny random models in their makers' own layouts, and outputs.

    python tools/make_vision_goldens.py [--out tests/goldens/vision]

Needs what the project itself does not: torch 2.13, open_clip 3.3.0, transformers 4.56.2 (5.x has
no beam scorer, which CoCa's captions need) and torchvision 0.28; run it in an environment that has
them. The same versions give the same bytes but for the last bits of what a processor multiplies.

    clip_gelu        open_clip CLIP; also photographs and their pixels after preprocessing
    clip_quick_gelu  open_clip CLIP: QuickGELU, and heads of a width that is no power of two
    coca             open_clip CoCa, after coca_ViT-B-32: logits, and captions of every method
    clip_hf          transformers CLIPModel, QuickGELU, end token as in OpenAI's files

`images` [6 H W 3] are bytes; a model is fed (images / 255 - mean) / std. Token ids end with the
highest id of the vocabulary, start with the one below. CoCa's last norm is fitted so
that captions vary, some reach the end token and some the limit; the captions of the same weights in
float64 must be the same, or none are written.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

DEFAULT_OUT = Path(__file__).resolve().parents[1] / "tests" / "goldens" / "vision"
VOCAB_SIZE = 320
START_ID, END_ID = VOCAB_SIZE - 2, VOCAB_SIZE - 1
NUM_IMAGES = 6
MEAN = (0.48145466, 0.4578275, 0.40821073)  # OpenAI's
STD = (0.26862954, 0.26130258, 0.27577711)
TEXT_LENGTHS = (0, 1, 3, 5, 9, 14)

CLIP_GELU = {
    "embed_dim": 20,
    "vision_cfg": {
        "image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8,
    },
    "text_cfg": {
        "context_length": 16, "vocab_size": VOCAB_SIZE, "width": 24, "heads": 2, "layers": 2,
    },
}  # fmt: skip
CLIP_QUICK_GELU = {
    "embed_dim": 32,
    "quick_gelu": True,
    "vision_cfg": {
        "image_size": 28, "layers": 2, "width": 40, "head_width": 20, "mlp_ratio": 2.4,
        "patch_size": 7,
    },
    "text_cfg": {
        "context_length": 16, "vocab_size": VOCAB_SIZE, "width": 24, "heads": 3, "layers": 2,
    },
}  # fmt: skip
COCA = {
    "embed_dim": 32,
    "vision_cfg": {
        "image_size": 32, "layers": 2, "width": 40, "head_width": 20, "mlp_ratio": 2.0,
        "patch_size": 8, "attentional_pool": True, "attn_pooler_heads": 8, "output_tokens": True,
    },
    "text_cfg": {
        "context_length": 40, "vocab_size": VOCAB_SIZE, "width": 32, "heads": 4, "layers": 2,
        "mlp_ratio": 2.0, "embed_cls": True, "output_tokens": True,
    },
    "multimodal_cfg": {
        "context_length": 40, "vocab_size": VOCAB_SIZE, "width": 32, "heads": 4, "layers": 2,
        "attn_pooler_heads": 8,
    },
    "custom_text": True,
}  # fmt: skip
CAPTIONS = {
    "greedy": {"generation_type": "top_k", "top_k": 1},
    "greedy_short": {"generation_type": "top_k", "top_k": 1, "seq_len": 12, "min_seq_len": 9},
    "beam": {},
    "beam_one_group": {"num_beams": 4, "num_beam_groups": 1, "seq_len": 20, "min_seq_len": 8},
    "beam_one_each": {"num_beams": 3, "num_beam_groups": 3, "seq_len": 16, "min_seq_len": 2},
}


def main() -> int:
    """Make every model and write it with its outputs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder to write")
    args = parser.parse_args()
    library = _register_operators()
    for name, config, seed in (
        ("clip_gelu", CLIP_GELU, 1),
        ("clip_quick_gelu", CLIP_QUICK_GELU, 2),
        ("coca", COCA, 11),
    ):
        folder = args.out / name
        model = make_open_clip(folder, config, seed)
        golden = embed_open_clip(model, seed)
        if name == "clip_gelu":
            golden |= preprocess_photos(model)
        if name == "coca":
            golden |= caption(model, golden["images"])
        write_golden(folder, golden)
    folder = args.out / "clip_hf"
    write_golden(folder, make_hf(folder, seed=4))
    del library
    for path in sorted(args.out.rglob("*.*")):
        print(f"{path.stat().st_size:9,} B  {path.relative_to(args.out)}")
    return 0


def write_golden(folder: Path, golden: dict[str, np.ndarray]) -> None:
    """Write the outputs beside the model, and let all read what safetensors keeps to its owner."""
    np.savez_compressed(folder / "golden.npz", allow_pickle=False, **golden)
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)


def _register_operators() -> object:
    """Make the two operators of torchvision that its import needs and its other builds lack.

    Returns what they live in: they go when it goes.
    """
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def make_images(image_px: int, *, seed: int) -> np.ndarray:
    """Draw smooth pictures that differ, as bytes [6 H W 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:image_px, 0:image_px] / image_px
    waves = rng.uniform(0.5, 4.0, (NUM_IMAGES, 3, 2))
    phases = rng.uniform(0.0, 2 * np.pi, (NUM_IMAGES, 3))
    angle = waves[..., 0, None, None] * x + waves[..., 1, None, None] * y
    values = np.sin(2 * np.pi * angle + phases[..., None, None]).transpose(0, 2, 3, 1)
    noise = rng.normal(0.0, 12.0, values.shape)
    return np.clip(127.5 + 110.0 * values + noise, 0, 255).astype(np.uint8)


def make_texts(context_length: int, *, seed: int) -> np.ndarray:
    """Draw token ids [6 L] between start and end, one text empty, one filling every place."""
    rng = np.random.default_rng(seed)
    tokens = np.zeros((len(TEXT_LENGTHS), context_length), np.int64)
    for row, length in enumerate((*TEXT_LENGTHS[:-1], context_length - 2)):
        tokens[row, 0] = START_ID
        tokens[row, 1 : 1 + length] = rng.integers(1, START_ID, length)
        tokens[row, 1 + length] = END_ID
    return tokens


def to_pixels(images: np.ndarray):
    """Return what a model is fed, [B 3 H W]."""
    import torch

    mean, deviation = np.asarray(MEAN, np.float32), np.asarray(STD, np.float32)
    pixels = (images.astype(np.float32) / 255.0 - mean) / deviation
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())


def draw_weights(model, *, seed: int) -> None:
    """Fill every parameter: matrices keep a signal's size, norms and biases are not 1 and 0."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in model.named_parameters():
            drawn = torch.randn(values.shape, generator=generator)
            if name == "logit_scale":
                continue
            if "ln_" in name or "norm" in name:
                drawn = drawn * 0.2 + (1.0 if name.endswith("weight") else 0.0)
            elif values.ndim < 2 or "embedding" in name or name.endswith("query"):
                drawn = drawn * 0.5
            elif name.endswith(("proj", "text_projection")):
                drawn = drawn * values.shape[0] ** -0.5  # [in out], all others [out in ...]
            else:
                drawn = drawn * (values[0].numel() ** -0.5)
            values.copy_(drawn)


class _NoTokenizer:
    """Stands where open_clip saves a tokenizer's files beside a model."""

    def save_pretrained(self, folder) -> None:
        """Save nothing."""


def make_open_clip(folder: Path, config: dict, seed: int):
    """Draw a model, save it as open_clip does, and return what open_clip loads from there."""
    import open_clip
    from open_clip.push_to_hf_hub import save_for_hf

    settings = {name: value for name, value in config.items() if name != "custom_text"}
    make = open_clip.CoCa if "multimodal_cfg" in config else open_clip.CLIP
    model = make(**settings)
    setattr(model.visual, "image_mean", MEAN)  # noqa: B010  a module's attributes have types
    setattr(model.visual, "image_std", STD)  # noqa: B010
    draw_weights(model, seed=seed)
    if "multimodal_cfg" in config:
        _make_talkative(model, seed=seed)
    nobody: Any = _NoTokenizer()
    save_for_hf(model, nobody, config, str(folder), safe_serialization=True)
    return open_clip.create_model(f"local-dir:{folder}").eval()


def _make_talkative(model, *, seed: int) -> None:
    """Let captions depend on image and past more than on chance, and let some of them end.

    Over images and random texts the decoder's last norm gets mean 0 and deviation 1, so that no
    token is likely everywhere; the logits of the end token and of padding are spread wider.
    """
    import torch

    decoder = model.eval().text_decoder
    pixels = to_pixels(make_images(model.visual.image_size[0], seed=seed))
    ids = torch.from_numpy(np.random.default_rng(seed).integers(1, START_ID, (NUM_IMAGES, 30)))
    ids[:, 0] = START_ID
    seen = []
    hook = decoder.ln_final.register_forward_hook(lambda *call: seen.append(call[-1]))
    with torch.no_grad():
        for block in decoder.cross_attn:
            block.attn.out_proj.weight.mul_(4.0)
        decoder.text_projection[:, END_ID].mul_(2.0)
        decoder.text_projection[:, 0].mul_(1.4)
        model(pixels, ids)
        mean, deviation = seen[0].mean(dim=(0, 1)), seen[0].std(dim=(0, 1))
        decoder.ln_final.bias.sub_(mean).div_(deviation)
        decoder.ln_final.weight.div_(deviation)
    hook.remove()


def embed_open_clip(model, seed: int) -> dict[str, np.ndarray]:
    """Return images, tokens and their embeddings, raw and of length one."""
    import torch

    images = make_images(model.visual.image_size[0], seed=seed)
    tokens = make_texts(model.context_length, seed=seed)
    pixels, ids = to_pixels(images), torch.from_numpy(tokens)
    with torch.no_grad():
        golden = {
            "image_raw": model.encode_image(pixels, normalize=False),
            "image_embedding": model.encode_image(pixels, normalize=True),
            "text_raw": model.encode_text(ids, normalize=False),
            "text_embedding": model.encode_text(ids, normalize=True),
        }
    named = {name: value.numpy() for name, value in golden.items()}
    return {"images": images, "tokens": tokens.astype(np.int32), **named}


def preprocess_photos(model) -> dict[str, np.ndarray]:
    """Return photographs of odd shapes and what open_clip's own transform makes of them."""
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from PIL import Image

    transform: Any = image_transform_v2(
        PreprocessCfg(**model.visual.preprocess_cfg), is_train=False
    )
    golden = {}
    for number, (height, width) in enumerate(((47, 61), (80, 33))):
        photo = make_images(96, seed=10 + number)[0, :height, :width]
        golden[f"photo_{number}"] = photo
        golden[f"photo_{number}_pixels"] = transform(Image.fromarray(photo)).numpy()
    return golden


def caption(model, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return captions of every method, padded to their limit, and teacher-forced logits.

    Raises ValueError where the captions are no test: all alike, all of one length, or decided by
    the last bits of a number.
    """
    import torch

    pixels = to_pixels(images)
    golden = {f"caption_{name}": _generate(model, pixels, **how) for name, how in CAPTIONS.items()}
    # beam scores are float32 inside open_clip, whatever the model is
    hook = model.double().text_decoder.register_forward_hook(lambda *call: call[-1].float())
    for name, how in CAPTIONS.items():
        rows = golden[f"caption_{name}"]
        if not np.array_equal(rows, _generate(model, pixels.double(), **how)):
            raise ValueError(f"captions {name} hang on rounding: draw other weights")
        lengths = _caption_lengths(rows)
        print(f"{name}: lengths {lengths} of {rows.shape[1]}, {len(np.unique(rows))} different ids")
        if name in ("greedy", "beam") and (
            len(set(lengths)) < 3 or max(lengths) < rows.shape[1] - 1 or len(np.unique(rows)) < 20
        ):
            raise ValueError(f"captions {name} are too much alike: draw other weights")
    hook.remove()
    model.float()
    texts = golden["caption_beam"][:4, :12].astype(np.int64)
    texts[1, 5] = 0  # padding in the midst
    texts[2, 7:] = 0
    with torch.no_grad():
        logits = model(pixels[:4], torch.from_numpy(texts))["logits"]
        image_tokens = model.visual(pixels)[1]
    return golden | {
        "forced_tokens": texts.astype(np.int32),
        "forced_logits": logits.numpy(),
        "image_tokens": image_tokens[:1].numpy(),
    }


def _caption_lengths(rows: np.ndarray) -> list[int]:
    """Count each caption's tokens before its end token; all places where it has none."""
    return [int(np.argmax(row == END_ID)) if END_ID in row else len(row) for row in rows]


def _generate(model, pixels, *, seq_len: int = 30, **how) -> np.ndarray:
    ids = model.generate(
        pixels, sot_token_id=START_ID, eos_token_id=END_ID, seq_len=seq_len, **how
    ).numpy()
    return np.pad(ids, ((0, 0), (0, seq_len - ids.shape[1]))).astype(np.int32)


def make_hf(folder: Path, *, seed: int) -> dict[str, np.ndarray]:
    """Save a transformers CLIPModel and return images, tokens and embeddings."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    towers = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_act": "quick_gelu"}
    config = CLIPConfig(
        projection_dim=20,
        text_config={
            **towers, "hidden_size": 24, "intermediate_size": 72, "vocab_size": VOCAB_SIZE,
            "max_position_embeddings": 16, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2,
        },
        vision_config={
            **towers, "hidden_size": 32, "intermediate_size": 96, "image_size": 32,
            "patch_size": 8,
        },
    )  # fmt: skip
    model = CLIPModel(config)
    draw_weights(model, seed=seed)
    model.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32).save_pretrained(folder)
    model = CLIPModel.from_pretrained(folder).eval()
    images, tokens = make_images(32, seed=seed), make_texts(16, seed=seed)
    tokens[3, 1 + TEXT_LENGTHS[3] :] = END_ID  # transformers pads CLIP's texts with the end token
    with torch.no_grad():
        image = model.get_image_features(pixel_values=to_pixels(images))
        text = model.get_text_features(input_ids=torch.from_numpy(tokens))
    golden = {"images": images, "tokens": tokens.astype(np.int32)}
    for name, raw in (("image", image), ("text", text)):
        golden[f"{name}_raw"] = raw.numpy()
        golden[f"{name}_embedding"] = (raw / raw.norm(dim=-1, keepdim=True)).numpy()
    return golden


if __name__ == "__main__":
    sys.exit(main())
