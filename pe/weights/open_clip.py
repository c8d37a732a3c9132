"""CLIP and CoCa on disk: open_clip's layout, and CLIP in Hugging Face's.

| layout       | files                                                                     |
|--------------|---------------------------------------------------------------------------|
| open_clip    | open_clip_config.json, open_clip_model.safetensors                        |
| Hugging Face | config.json (clip), model.safetensors or shards, preprocessor_config.json |
|              | (or, of transformers 5, processor_config.json)                            |

A folder may hold both, as many on the hub do: open_clip's is read. Knows no pixels and no tokens.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from flax import nnx

from pe.models.blueprint import Blueprint, draw_blueprint
from pe.models.clip import Clip
from pe.models.clip_config import (
    ACTIVATIONS,
    ClipConfig,
    DecoderConfig,
    TextConfig,
    VisionConfig,
)
from pe.models.coca import Coca
from pe.weights.checkpoint import StoredArray, list_names
from pe.weights.clip_names import Recipes, hf_recipes, open_clip_recipes, source_names
from pe.weights.hf import INDEX_FILE, WEIGHTS_FILE, explain_no_weights, open_weights, read_json
from pe.weights.hub import find_files
from pe.weights.safetensors_file import open_safetensors

CONFIG_FILE = "open_clip_config.json"
HF_CONFIG_FILE = "config.json"
WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
INPUT_FILE = "preprocessor_config.json"
PROCESSOR_FILE = "processor_config.json"  # transformers 5 writes this one, with a section for it
VOCABULARY_FILES = ("tokenizer.json", "vocab.json", "merges.txt")
ALLOWED = (CONFIG_FILE, *WEIGHT_FILES, *VOCABULARY_FILES)
HF_ALLOWED = (
    HF_CONFIG_FILE,
    INPUT_FILE,
    PROCESSOR_FILE,
    "model*.safetensors",
    INDEX_FILE,
    *VOCABULARY_FILES,
)
IGNORED = ("position_ids", "attn_mask")  # tables that old files hold, and no model learns
FLOATS = ("float16", "bfloat16", "float32", "float64")
# Of open_clip's settings, those that are read here, and those that change nothing
KNOWN = {
    "image_size", "layers", "width", "head_width", "mlp_ratio", "patch_size", "patch_dropout",
    "attn_pooler_queries", "attn_pooler_heads", "output_tokens", "context_length", "vocab_size",
    "heads", "embed_cls", "dim_head", "n_queries", "tokenizer_kwargs", "eos_id", "stem_width",
    "stem_blocks",
}  # fmt: skip
# Those with the only values that are known here
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
    a tokenizer. `digest`: a hash of config, preprocessing and the weights that are read, by which
    what was made with it is known.
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
    # first the configs alone: a hub's repository may hold the weights in both layouts
    folder = find_files(name_or_path, allow=(CONFIG_FILE, HF_CONFIG_FILE))
    if (folder / CONFIG_FILE).is_file():
        folder = find_files(name_or_path, allow=ALLOWED)
        values, config = _read_config(folder / CONFIG_FILE, _read_open_clip, source=name_or_path)
        files = [_find_weights(folder, source=name_or_path)]
        arrays = _drop_ignored(open_safetensors(files[0]))
        recipes = open_clip_recipes(config, set(arrays))
        settings = values.get("preprocess_cfg") or {}
    else:
        folder = find_files(name_or_path, allow=HF_ALLOWED)
        values, config = _read_config(folder / HF_CONFIG_FILE, _read_hf, source=name_or_path)
        arrays = _drop_ignored(open_weights(folder, source=name_or_path))
        files = _list_hf_weights(folder, source=name_or_path)
        recipes = hf_recipes(config)
        settings = _read_input_settings(folder, source=name_or_path)
    _check_names(set(arrays), recipes, source=name_or_path)
    has_vocabulary = any((folder / name).is_file() for name in VOCABULARY_FILES)
    return ClipCheckpoint(
        source=name_or_path,
        config=dataclasses.replace(config, dtype=dtype),
        arrays=arrays,
        recipes=recipes,
        input_settings=settings,
        vocabulary=folder if has_vocabulary else None,
        digest=_digest((values, settings), files),
    )


def draw_clip(config: ClipConfig) -> Blueprint[Clip]:
    """Describe the module of a config: a Coca where it has a decoder, else a Clip."""
    kind = Clip if config.decoder is None else Coca
    return draw_blueprint(lambda: kind(config, rngs=nnx.Rngs(0)))


def load_clip(checkpoint: ClipCheckpoint) -> dict[str, jnp.ndarray]:
    """Read the arrays as {our name: array}: matrices in the type to compute in, the rest float32.

    Raises ValueError where an array is of no float type or has another shape than the config says.
    """
    shapes = draw_clip(checkpoint.config).shapes
    for name in dict.fromkeys(source_names(checkpoint.recipes)):
        if (found := checkpoint.arrays[name].dtype.name) not in FLOATS:
            raise ValueError(
                f"{checkpoint.source}: {name} {list(checkpoint.arrays[name].shape)} is of {found}, "
                f"expected one of {', '.join(FLOATS)}; quantised weights are not read"
            )
    params = {}
    for name, recipe in checkpoint.recipes.items():
        arrays = [checkpoint.arrays[source].read() for source in recipe.sources]
        try:
            value = recipe.make(arrays)
            if name == "logit_scale":
                value = value.reshape(())
        except (ValueError, IndexError):  # another number of axes, or parts that do not fit
            value = None
        if value is None or value.shape != shapes[name]:
            found = [f"{n} {list(a.shape)}" for n, a in zip(recipe.sources, arrays, strict=True)]
            raise ValueError(
                f"{checkpoint.source}: {', '.join(found)} cannot be {name} {list(shapes[name])}, "
                "which its config describes; copy config and weights again, from one model"
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


def _digest(settings: tuple[Mapping[str, Any], ...], files: list[Path]) -> str:
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16)
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, hashlib.blake2b).digest())
    return digest.hexdigest()


# ---- files --------------------------------------------------------------------------------------


def _find_weights(folder: Path, *, source: str) -> Path:
    path = next((folder / file for file in WEIGHT_FILES if (folder / file).is_file()), None)
    if path is None:
        names = [item.name for item in folder.iterdir()]
        raise ValueError(explain_no_weights(source, names, expected=" or ".join(WEIGHT_FILES)))
    return path


def _list_hf_weights(folder: Path, *, source: str) -> list[Path]:
    """List the files that `open_weights` reads, which has found them whole."""
    if (folder / WEIGHTS_FILE).is_file():
        return [folder / WEIGHTS_FILE]
    shard_of = read_json(folder / INDEX_FILE, source=source)["weight_map"]
    return [folder / file for file in sorted(set(shard_of.values()))]


def _read_input_settings(folder: Path, *, source: str) -> dict[str, Any]:
    """Read the image processor's settings from where transformers looks for them, in its order."""
    for file in (PROCESSOR_FILE, INPUT_FILE):
        if not (folder / file).is_file():
            continue
        values = read_json(folder / file, source=source)
        section = values.get("image_processor") if file == PROCESSOR_FILE else values
        if isinstance(section, dict):  # transformers 4 wrote processor_config.json without it
            return section
    raise ValueError(
        f"{source} holds neither {INPUT_FILE} nor a {PROCESSOR_FILE} with an image_processor, so "
        "how its pictures are prepared is not known; copy the file that was published with the "
        "weights, or write it: transformers.CLIPImageProcessor(...).save_pretrained(folder)"
    )


# ---- configs ------------------------------------------------------------------------------------


def _read_config(
    path: Path, read: Callable[[dict[str, Any]], ClipConfig], *, source: str
) -> tuple[dict[str, Any], ClipConfig]:
    """Return what a config file holds, and the config that `read` makes of it."""
    values = read_json(path, source=source)
    try:
        return values, read(values)
    except ValueError as error:
        raise ValueError(
            f"{source}: {path.name} describes no model that is read here: {error}"
        ) from error


def _read_open_clip(content: dict[str, Any]) -> ClipConfig:
    values = content.get("model_cfg")
    parts = ("vision_cfg", "text_cfg")
    if (
        not isinstance(values, dict)
        or "embed_dim" not in values
        or not all(isinstance(values.get(part), dict) for part in parts)
        or not isinstance(values.get("multimodal_cfg") or {}, dict)
    ):
        raise ValueError("it lacks model_cfg with embed_dim, vision_cfg and text_cfg")
    image, text, decoder = values["vision_cfg"], values["text_cfg"], values.get("multimodal_cfg")
    for part in ("vision_cfg", "text_cfg", "multimodal_cfg"):
        _refuse_unknown(values.get(part) or {}, part)
    is_coca, embeds_class = decoder is not None, _is_on(text, "embed_cls")
    if not is_coca and (_is_on(image, "attentional_pool") or embeds_class):
        raise ValueError("attentional_pool and embed_cls are read with a CoCa only")
    width, text_width = _whole(image, "width"), _whole(text, "width")
    return ClipConfig(
        embed_dim=_whole(values, "embed_dim"),
        activation="quick_gelu" if _is_on(values, "quick_gelu") else "gelu",
        vision=VisionConfig(
            image_px=_whole(image, "image_size"),
            patch_px=_whole(image, "patch_size"),
            width=width,
            num_layers=_whole(image, "layers"),
            num_heads=width // _whole(image, "head_width", 64),
            mlp_width=int(width * _number(image, "mlp_ratio", 4.0)),
            num_pool_queries=_whole(image, "attn_pooler_queries", 256) if is_coca else 0,
            num_pool_heads=_whole(image, "attn_pooler_heads", 8),
            **{key: _whole(image, key) for key in ("stem_width", "stem_blocks") if key in image},
        ),
        text=TextConfig(
            context_tokens=_whole(text, "context_length", 77),
            vocab_size=_whole(text, "vocab_size", 49_408),
            width=text_width,
            num_layers=_whole(text, "layers"),
            num_heads=_whole(text, "heads"),
            mlp_width=int(text_width * _number(text, "mlp_ratio", 4.0)),
            has_class_token=embeds_class,
        ),
        decoder=None
        if decoder is None
        else DecoderConfig(
            context_tokens=_whole(decoder, "context_length", 77),
            width=_whole(decoder, "width"),
            num_layers=_whole(decoder, "layers"),
            num_heads=_whole(decoder, "heads"),
            mlp_width=4 * _whole(decoder, "width"),  # open_clip passes no ratio on
        ),
    )


def _refuse_unknown(part: dict[str, Any], name: str) -> None:
    """Raise ValueError for a setting that this code does not know; unset ones say nothing."""
    for key, value in part.items():
        if key in KNOWN or value is None or value is False:
            continue
        if value not in FIXED.get(key, ()):
            raise ValueError(
                f"{name} sets {key} = {value!r}, which is not read here; expected a ViT CLIP or "
                "CoCa as OpenAI and LAION trained them"
            )


def _read_hf(values: dict[str, Any]) -> ClipConfig:
    if values.get("model_type") != "clip":
        raise ValueError(
            f"it is of a {values.get('model_type')} model; expected CLIP or CoCa in open_clip's "
            f"layout ({CONFIG_FILE}), or a clip model in Hugging Face's"
        )
    image, text = values.get("vision_config") or {}, values.get("text_config") or {}
    if not isinstance(image, dict) or not isinstance(text, dict):
        raise ValueError("it has a vision_config or text_config of no settings")
    activation, other = (part.get("hidden_act", "quick_gelu") for part in (image, text))
    if activation != other or activation not in ACTIVATIONS:
        raise ValueError(
            f"hidden_act is {activation!r} for images and {other!r} for texts; expected one of "
            f"{', '.join(ACTIVATIONS)} for both"
        )
    epsilon, other = (_number(part, "layer_norm_eps", 1e-5) for part in (image, text))
    if epsilon != other:
        raise ValueError(
            f"layer_norm_eps is {epsilon} for images and {other} for texts; expected one value"
        )
    vocab_size = _whole(text, "vocab_size", 49_408)
    if text.get("eos_token_id", vocab_size - 1) not in (2, vocab_size - 1):  # 2: an old mistake
        raise ValueError(
            f"eos_token_id is {text['eos_token_id']}; expected the last of {vocab_size} ids"
        )
    return ClipConfig(
        embed_dim=_whole(values, "projection_dim", 512),
        activation=activation,
        norm_epsilon=epsilon,
        vision=VisionConfig(
            image_px=_whole(image, "image_size", 224),
            patch_px=_whole(image, "patch_size", 32),
            width=_whole(image, "hidden_size", 768),
            num_layers=_whole(image, "num_hidden_layers", 12),
            num_heads=_whole(image, "num_attention_heads", 12),
            mlp_width=_whole(image, "intermediate_size", 3072),
        ),
        text=TextConfig(
            context_tokens=_whole(text, "max_position_embeddings", 77),
            vocab_size=vocab_size,
            width=_whole(text, "hidden_size", 512),
            num_layers=_whole(text, "num_hidden_layers", 12),
            num_heads=_whole(text, "num_attention_heads", 8),
            mlp_width=_whole(text, "intermediate_size", 2048),
        ),
    )


def _whole(part: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """Return a size; without a default it has to be there."""
    value = part.get(key, default)
    if type(value) is not int or value < 1:  # True is an int too
        raise ValueError(f"{key} is {value!r}, expected a whole number, 1 or more")
    return value


def _number(part: Mapping[str, Any], key: str, default: float) -> float:
    value = part.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e3:
        raise ValueError(f"{key} is {value!r}, expected a number above 0 and below 1000")
    return float(value)


def _is_on(part: Mapping[str, Any], key: str) -> bool:
    value = part.get(key)
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{key} is {value!r}, expected true or false")
    return bool(value)
