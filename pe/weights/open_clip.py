"""CLIP and CoCa on disk: open_clip's layout, and CLIP in Hugging Face's.

| layout       | files                                                                     |
|--------------|---------------------------------------------------------------------------|
| open_clip    | open_clip_config.json, open_clip_model.safetensors                        |
| Hugging Face | config.json (clip), model.safetensors or shards, preprocessor_config.json |

A folder may hold both, as many on the hub do: open_clip's is read. Knows no pixels and no tokens.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from flax import nnx

from pe.models.blueprint import Blueprint, draw_blueprint
from pe.models.clip import Clip
from pe.models.clip_config import ClipConfig, DecoderConfig, TextConfig, VisionConfig
from pe.models.coca import Coca
from pe.weights.checkpoint import StoredArray, list_names
from pe.weights.clip_names import Recipes, hf_recipes, open_clip_recipes, source_names
from pe.weights.hf import explain_no_weights, open_weights, read_json
from pe.weights.hub import find_files
from pe.weights.safetensors_file import open_safetensors

CONFIG_FILE = "open_clip_config.json"
WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
VOCABULARY_FILES = ("tokenizer.json", "vocab.json", "merges.txt")
ALLOWED = (
    CONFIG_FILE,
    "config.json",
    "preprocessor_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    *VOCABULARY_FILES,
)
IGNORED = ("position_ids", "attn_mask")  # tables that old files hold, and no model learns
# Of open_clip's settings, those that change nothing here, and those with their only known value
NEUTRAL = {
    "image_size", "layers", "width", "head_width", "mlp_ratio", "patch_size", "patch_dropout",
    "attn_pooler_queries", "attn_pooler_heads", "output_tokens", "context_length", "vocab_size",
    "heads", "embed_cls", "dim_head", "n_queries", "tokenizer_kwargs", "eos_id",
}  # fmt: skip
FIXED: dict[str, tuple[Any, ...]] = {
    "pool_type": ("tok", "argmax"),
    "proj_type": ("linear",),
    "attentional_pool": (True, False),
    "pos_embed_type": ("learnable",),
    "pad_id": (0,),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipCheckpoint:
    """A CLIP or CoCa on disk; nothing of its arrays has been read.

    `input_settings`: what its files say of preprocessing. `vocabulary`: the folder, where it holds
    a tokenizer. `digest`: a hash of config and weights, by which what was made with it is known.
    """

    source: str
    config: ClipConfig
    arrays: Mapping[str, StoredArray]
    recipes: Recipes
    input_settings: Mapping[str, Any]
    vocabulary: Path | None
    digest: str


def open_clip(name_or_path: str, *, dtype: str = "float32") -> ClipCheckpoint:
    """Open a CLIP or CoCa by folder or hub name; `dtype` is what it is to compute in.

    Raises ValueError for what is no such model, uses parts that are not known here, or is damaged.
    """
    folder = find_files(name_or_path, allow=ALLOWED)
    if (folder / CONFIG_FILE).is_file():
        values = read_json(folder / CONFIG_FILE, source=name_or_path)
        config = _read_open_clip(values.get("model_cfg"), dtype, source=name_or_path)
        path = next((folder / file for file in WEIGHT_FILES if (folder / file).is_file()), None)
        if path is None:
            raise ValueError(
                explain_no_weights(name_or_path, [item.name for item in folder.iterdir()])
                .replace("model.safetensors", WEIGHT_FILES[0], 1)
                .partition(" Reading a pickle")[0]
                + " Weights are read from safetensors alone, since a pickle can run code"
            )
        arrays = _drop_ignored(open_safetensors(path))
        recipes = open_clip_recipes(config, set(arrays))
        settings = values.get("preprocess_cfg") or {}
        files = [path]
    else:
        values = read_json(folder / "config.json", source=name_or_path)
        config = _read_hf(values, dtype, source=name_or_path)
        arrays = _drop_ignored(open_weights(folder, source=name_or_path))
        recipes = hf_recipes(config)
        path = folder / "preprocessor_config.json"
        settings = read_json(path, source=name_or_path) if path.is_file() else {}
        files = sorted(folder.glob("*.safetensors"))
    _check_names(set(arrays), recipes, source=name_or_path)
    has_vocabulary = any((folder / name).is_file() for name in VOCABULARY_FILES)
    return ClipCheckpoint(
        source=name_or_path,
        config=config,
        arrays=arrays,
        recipes=recipes,
        input_settings=settings,
        vocabulary=folder if has_vocabulary else None,
        digest=_digest(values, files),
    )


def draw_clip(config: ClipConfig) -> Blueprint[Clip]:
    """Describe the module of a config: a Coca where it has a decoder, else a Clip."""
    kind = Clip if config.decoder is None else Coca
    return draw_blueprint(lambda: kind(config, rngs=nnx.Rngs(0)))


def load_clip(checkpoint: ClipCheckpoint) -> dict[str, jnp.ndarray]:
    """Read the arrays as {our name: array}: matrices in the type to compute in, the rest float32.

    Raises ValueError where an array has another shape than the config says.
    """
    shapes = draw_clip(checkpoint.config).shapes
    params = {}
    for name, recipe in checkpoint.recipes.items():
        value = recipe.make([checkpoint.arrays[source].read() for source in recipe.sources])
        if name == "logit_scale":
            value = value.reshape(())
        if value.shape != shapes[name]:
            raise ValueError(
                f"{checkpoint.source}: {', '.join(recipe.sources)} make {name} "
                f"{list(value.shape)}, its config describes {list(shapes[name])}"
            )
        is_matrix = name.endswith(("kernel", "token_embedding"))
        dtype = checkpoint.config.dtype if is_matrix else "float32"
        params[name] = jnp.array(value, dtype=dtype)
    return params


def _drop_ignored(arrays: dict[str, StoredArray]) -> dict[str, StoredArray]:
    return {name: array for name, array in arrays.items() if not name.endswith(IGNORED)}


def _check_names(found: set[str], recipes: Recipes, *, source: str) -> None:
    wanted = set(source_names(recipes))
    missing, extra = sorted(wanted - found), sorted(found - wanted)
    if missing or extra:
        told = [f"missing: {list_names(missing)}"] * bool(missing)
        told += [f"not expected: {list_names(extra)}"] * bool(extra)
        raise ValueError(
            f"{source} does not hold the {len(wanted)} arrays that its config describes: "
            + "; ".join(told)
        )


def _digest(values: Mapping[str, Any], files: list[Path]) -> str:
    digest = hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16)
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, hashlib.blake2b).digest())
    return digest.hexdigest()


# ---- configs ------------------------------------------------------------------------------------


def _read_open_clip(values: Any, dtype: str, *, source: str) -> ClipConfig:
    parts = ("vision_cfg", "text_cfg")
    if (
        not isinstance(values, dict)
        or "embed_dim" not in values
        or not all(isinstance(values.get(part), dict) for part in parts)
        or not isinstance(values.get("multimodal_cfg") or {}, dict)
    ):
        raise ValueError(
            f"{source}: {CONFIG_FILE} lacks model_cfg with embed_dim, vision_cfg and text_cfg"
        )
    image, text, decoder = values["vision_cfg"], values["text_cfg"], values.get("multimodal_cfg")
    for part in ("vision_cfg", "text_cfg", "multimodal_cfg"):
        _refuse_unknown(values.get(part) or {}, part, source=source)
    if decoder is None and (image.get("attentional_pool") or text.get("embed_cls")):
        raise ValueError(f"{source}: attentional_pool and embed_cls are read with a CoCa only")
    try:
        width, text_width = int(image["width"]), int(text["width"])
        queries = int(image.get("attn_pooler_queries", 256)) if decoder is not None else 0
        return ClipConfig(
            embed_dim=int(values["embed_dim"]),
            activation="quick_gelu" if values.get("quick_gelu") else "gelu",
            dtype=dtype,
            vision=VisionConfig(
                image_px=int(image["image_size"]),
                patch_px=int(image["patch_size"]),
                width=width,
                num_layers=int(image["layers"]),
                num_heads=width // int(image.get("head_width", 64)),
                mlp_width=int(width * image.get("mlp_ratio", 4.0)),
                num_pool_queries=queries,
                num_pool_heads=int(image.get("attn_pooler_heads", 8)),
            ),
            text=TextConfig(
                context_tokens=int(text.get("context_length", 77)),
                vocab_size=int(text.get("vocab_size", 49_408)),
                width=text_width,
                num_layers=int(text["layers"]),
                num_heads=int(text["heads"]),
                mlp_width=int(text_width * text.get("mlp_ratio", 4.0)),
                has_class_token=bool(text.get("embed_cls")),
            ),
            decoder=None
            if decoder is None
            else DecoderConfig(
                context_tokens=int(decoder.get("context_length", 77)),
                width=int(decoder["width"]),
                num_layers=int(decoder["layers"]),
                num_heads=int(decoder["heads"]),
                mlp_width=4 * int(decoder["width"]),  # open_clip passes no ratio on
            ),
        )
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise ValueError(
            f"{source}: {CONFIG_FILE} lacks a size, or gives none that is a number: {error}"
        ) from error


def _refuse_unknown(part: dict[str, Any], name: str, *, source: str) -> None:
    """Raise ValueError for a setting that this code does not know; unset ones say nothing."""
    for key, value in part.items():
        if key in NEUTRAL or value is None or value is False:
            continue
        if value not in FIXED.get(key, ()):
            raise ValueError(
                f"{source}: {name} sets {key} = {value!r}, which is not read here; expected a ViT "
                "CLIP or CoCa as OpenAI and LAION trained them"
            )


def _read_hf(values: dict[str, Any], dtype: str, *, source: str) -> ClipConfig:
    if values.get("model_type") != "clip":
        kind = values.get("model_type")
        raise ValueError(
            f"{source} is a {kind} model; expected CLIP or CoCa in open_clip's layout "
            f"({CONFIG_FILE}), or a clip model in Hugging Face's"
        )
    image, text = values.get("vision_config") or {}, values.get("text_config") or {}
    if not isinstance(image, dict) or not isinstance(text, dict):
        raise ValueError(f"{source}: config.json has a vision_config or text_config of no settings")
    activations = {part.get("hidden_act", "quick_gelu") for part in (image, text)}
    if len(activations) > 1 or not activations <= {"gelu", "quick_gelu"}:
        raise ValueError(
            f"{source}: hidden_act is {sorted(activations)}; expected gelu or quick_gelu for both"
        )
    vocab_size = text.get("vocab_size", 49_408)
    if text.get("eos_token_id", vocab_size - 1) not in (2, vocab_size - 1):  # 2: an old mistake
        raise ValueError(
            f"{source}: eos_token_id is {text['eos_token_id']}; expected the last of "
            f"{vocab_size} ids"
        )
    return ClipConfig(
        embed_dim=values.get("projection_dim", 512),
        activation=activations.pop(),
        norm_epsilon=image.get("layer_norm_eps", 1e-5),
        dtype=dtype,
        vision=VisionConfig(
            image_px=image.get("image_size", 224),
            patch_px=image.get("patch_size", 32),
            width=image.get("hidden_size", 768),
            num_layers=image.get("num_hidden_layers", 12),
            num_heads=image.get("num_attention_heads", 12),
            mlp_width=image.get("intermediate_size", 3072),
        ),
        text=TextConfig(
            context_tokens=text.get("max_position_embeddings", 77),
            vocab_size=vocab_size,
            width=text.get("hidden_size", 512),
            num_layers=text.get("num_hidden_layers", 12),
            num_heads=text.get("num_attention_heads", 8),
            mlp_width=text.get("intermediate_size", 2048),
        ),
    )
