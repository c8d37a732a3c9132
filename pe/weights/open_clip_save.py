"""A CLIP or CoCa of ours in open_clip's layout; without a stem the library reads it, too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pe import shards
from pe.models.clip_config import ClipConfig
from pe.weights.checkpoint import stored
from pe.weights.clip_names import open_clip_recipes
from pe.weights.open_clip import CONFIG_FILE, WEIGHT_FILES, draw_clip
from pe.weights.safetensors_file import write_safetensors

DECODER_RATIO = 4  # open_clip knows no other


def save_clip(
    folder: Path,
    config: ClipConfig,
    params: Mapping[str, np.ndarray],
    *,
    dtype: str,
    pixel_mean: float,
    pixel_std: float,
) -> None:
    """Write weights and config; `params` are {our name: array}.

    Pixels of 0 to 1 are read as (pixel - pixel_mean) / pixel_std. Raises ValueError for a model
    that open_clip has no settings for, and for other names than its own.
    """
    expected = draw_clip(config).shapes
    if {name: array.shape for name, array in params.items()} != expected:
        differing = sorted(params.keys() ^ expected.keys())
        raise ValueError(f"parameters differ from the config's: {differing[:5] or 'their shapes'}")
    described = describe_clip(config, pixel_mean=pixel_mean, pixel_std=pixel_std)
    parts: dict[str, list[np.ndarray]] = {}
    for name, recipe in open_clip_recipes(config, _name_forms(config)).items():
        assert recipe.back is not None  # all of open_clip's have one
        parts.setdefault(recipe.sources[0], []).append(recipe.back(params[name]))
    arrays = {
        name: np.concatenate(found) if len(found) > 1 else found[0] for name, found in parts.items()
    }
    write_safetensors(
        folder / WEIGHT_FILES[0],
        {name: stored(np.ascontiguousarray(a, dtype)) for name, a in arrays.items()},
        metadata={"format": "pt"},  # transformers and open_clip look for it
    )
    shards.write_json(folder / CONFIG_FILE, described)


def describe_clip(config: ClipConfig, *, pixel_mean: float, pixel_std: float) -> dict[str, Any]:
    """Return what open_clip_config.json holds. Raises ValueError for what it cannot say."""
    image, text, decoder = config.vision, config.text, config.decoder
    if config.norm_epsilon != 1e-5:
        raise ValueError(
            f"ClipConfig.norm_epsilon: open_clip has 1e-05 always, got {config.norm_epsilon}"
        )
    if decoder is not None and decoder.mlp_width != DECODER_RATIO * decoder.width:
        raise ValueError(
            f"DecoderConfig.mlp_width: open_clip has {DECODER_RATIO} times the width, got "
            f"{decoder.mlp_width} of {decoder.width}"
        )
    vision_settings: dict[str, Any] = {
        "image_size": image.image_px,
        "patch_size": image.patch_px,
        "layers": image.num_layers,
        "width": image.width,
        "head_width": image.width // image.num_heads,
        "mlp_ratio": image.mlp_width / image.width,
    }
    if image.stem_width:  # a model with a stem is read here alone
        vision_settings |= {"stem_width": image.stem_width, "stem_blocks": image.stem_blocks}
    text_settings: dict[str, Any] = {
        "context_length": text.context_tokens,
        "vocab_size": text.vocab_size,
        "width": text.width,
        "heads": text.num_heads,
        "layers": text.num_layers,
        "mlp_ratio": text.mlp_width / text.width,
    }
    model: dict[str, Any] = {
        "embed_dim": config.embed_dim,
        "vision_cfg": vision_settings,
        "text_cfg": text_settings,
    }
    if config.activation == "quick_gelu":
        model["quick_gelu"] = True
    if decoder is not None:
        vision_settings |= {
            "attentional_pool": True,
            "attn_pooler_queries": image.num_pool_queries,
            "attn_pooler_heads": image.num_pool_heads,
            "output_tokens": True,
        }
        text_settings |= {"embed_cls": True, "output_tokens": True}
        model["multimodal_cfg"] = {
            "context_length": decoder.context_tokens,
            "vocab_size": text.vocab_size,
            "width": decoder.width,
            "heads": decoder.num_heads,
            "layers": decoder.num_layers,
        }
        model["custom_text"] = True  # without it the library makes no CoCa
    settings = {
        "size": [image.image_px] * 2,
        "mode": "RGB",
        "mean": [pixel_mean] * 3,
        "std": [pixel_std] * 3,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    return {"model_cfg": model, "preprocess_cfg": settings}


def _name_forms(config: ClipConfig) -> set[str]:
    """Return the names by which `open_clip_recipes` tells the forms of a file apart."""
    forms = set()
    if config.decoder is None:
        return forms
    forms.add("text.token_embedding.weight")
    if config.vision.width == config.embed_dim:
        forms.add("visual.attn_pool.attn.in_proj_weight")
    forms |= {
        f"text_decoder.cross_attn.{i}.attn.in_proj_weight" for i in range(config.decoder.num_layers)
    }
    return forms
