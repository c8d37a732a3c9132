"""What the arrays of a CLIP or CoCa are called: here, in open_clip's files, in Hugging Face's.

A recipe says of which arrays one of ours is made, and how. Knows no files.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pe.models.clip_config import ClipConfig

Recipes = dict[str, "Recipe"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One of our arrays: the names it is read from, and what is done with them.

    `back` makes of ours the array of that name, or the next part of it where several of ours come
    from one; None for names that are not written.
    """

    sources: tuple[str, ...]
    make: Callable[[Sequence[np.ndarray]], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray] | None = None


def _keep(array: np.ndarray) -> np.ndarray:
    return array


def _turn_back(array: np.ndarray) -> np.ndarray:
    return array.T


def _same(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return arrays[0]


def _turn(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return arrays[0].T


def _join_columns(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([array.T for array in arrays], axis=1)


def _join(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays)


def _third(index: int, *, turned: bool) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    def make(arrays: Sequence[np.ndarray]) -> np.ndarray:
        part = np.split(arrays[0], 3)[index]
        return part.T if turned else part

    return make


def _windows(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """A convolution's [D, C, p, p] as the matrix [p * p * C, D] of whole windows, or patches."""
    return arrays[0].transpose(2, 3, 1, 0).reshape(-1, arrays[0].shape[0])


def _to_convolution(num_channels: int) -> Callable[[np.ndarray], np.ndarray]:
    def back(array: np.ndarray) -> np.ndarray:
        side = math.isqrt(array.shape[0] // num_channels)
        return array.reshape(side, side, num_channels, -1).transpose(3, 2, 0, 1)

    return back


def open_clip_recipes(config: ClipConfig, names: set[str]) -> Recipes:
    """Return {our name: recipe} for open_clip's names; `names` are those of the file."""
    text = "text." if any(name.startswith("text.") for name in names) else ""
    recipes: Recipes = {"logit_scale": Recipe(("logit_scale",), _same, _keep)}
    if config.vision.stem_width:
        recipes |= _stem(config)
    else:
        recipes["visual.patch.kernel"] = _convolution("visual.conv1", 3)
    recipes["visual.class_embedding"] = Recipe(("visual.class_embedding",), _same, _keep)
    recipes["visual.position_embedding"] = Recipe(("visual.positional_embedding",), _same, _keep)
    recipes |= _norm("visual.norm_pre", "visual.ln_pre") | _norm(
        "visual.norm_post", "visual.ln_post"
    )
    recipes["visual.projection.kernel"] = Recipe(("visual.proj",), _same, _keep)
    for i in range(config.vision.num_layers):
        recipes |= _block(f"visual.blocks.{i}", f"visual.transformer.resblocks.{i}")
    if config.vision.num_pool_queries:
        ours, theirs = "visual.pooler", "visual.attn_pool"
        recipes[f"{ours}.query"] = Recipe((f"{theirs}.query",), _same, _keep)
        recipes |= _norm(f"{ours}.norm_query", f"{theirs}.ln_q")
        recipes |= _norm(f"{ours}.norm_context", f"{theirs}.ln_k")
        recipes |= _cross(f"{ours}.attention", f"{theirs}.attn", names)
    recipes["text.token_embedding"] = Recipe((f"{text}token_embedding.weight",), _same, _keep)
    recipes["text.position_embedding"] = Recipe((f"{text}positional_embedding",), _same, _keep)
    recipes["text.projection.kernel"] = Recipe((f"{text}text_projection",), _same, _keep)
    recipes |= _norm("text.norm_final", f"{text}ln_final")
    if config.text.has_class_token:
        recipes["text.class_embedding"] = Recipe((f"{text}cls_emb",), _same, _keep)
    for i in range(config.text.num_layers):
        recipes |= _block(f"text.blocks.{i}", f"{text}transformer.resblocks.{i}")
    for i in range(config.decoder.num_layers if config.decoder is not None else 0):
        recipes |= _block(f"text_decoder.blocks.{i}", f"text_decoder.resblocks.{i}")
        ours, theirs = f"text_decoder.cross_blocks.{i}", f"text_decoder.cross_attn.{i}"
        recipes |= _norm(f"{ours}.norm_1", f"{theirs}.ln_1")
        recipes |= _norm(f"{ours}.norm_context", f"{theirs}.ln_1_kv")
        recipes |= _norm(f"{ours}.norm_2", f"{theirs}.ln_2")
        recipes |= _cross(f"{ours}.attention", f"{theirs}.attn", names)
        recipes |= _mlp(ours, f"{theirs}.mlp.c_fc", f"{theirs}.mlp.c_proj")
    if config.decoder is not None:
        recipes |= _norm("text_decoder.norm_final", "text_decoder.ln_final")
        source = ("text_decoder.text_projection",)
        recipes["text_decoder.projection.kernel"] = Recipe(source, _same, _keep)
    return recipes


def hf_recipes(config: ClipConfig) -> Recipes:
    """Return {our name: recipe} for the names of `transformers.CLIPModel`."""
    recipes: Recipes = {"logit_scale": Recipe(("logit_scale",), _same)}
    image, text = "vision_model.embeddings", "text_model.embeddings"
    recipes["visual.patch.kernel"] = Recipe((f"{image}.patch_embedding.weight",), _windows)
    recipes["visual.class_embedding"] = Recipe((f"{image}.class_embedding",), _same)
    recipes["visual.position_embedding"] = Recipe((f"{image}.position_embedding.weight",), _same)
    recipes |= _norm("visual.norm_pre", "vision_model.pre_layrnorm")  # so spelled
    recipes |= _norm("visual.norm_post", "vision_model.post_layernorm")
    recipes["visual.projection.kernel"] = Recipe(("visual_projection.weight",), _turn)
    recipes["text.token_embedding"] = Recipe((f"{text}.token_embedding.weight",), _same)
    recipes["text.position_embedding"] = Recipe((f"{text}.position_embedding.weight",), _same)
    recipes |= _norm("text.norm_final", "text_model.final_layer_norm")
    recipes["text.projection.kernel"] = Recipe(("text_projection.weight",), _turn)
    for ours, theirs, num_layers in (
        ("visual", "vision_model", config.vision.num_layers),
        ("text", "text_model", config.text.num_layers),
    ):
        for i in range(num_layers):
            block, layer = f"{ours}.blocks.{i}", f"{theirs}.encoder.layers.{i}"
            parts = [f"{layer}.self_attn.{part}_proj" for part in "qkv"]
            qkv = f"{block}.attention.qkv"
            weights = tuple(f"{part}.weight" for part in parts)
            recipes[f"{qkv}.kernel"] = Recipe(weights, _join_columns)
            recipes[f"{qkv}.bias"] = Recipe(tuple(f"{part}.bias" for part in parts), _join)
            recipes |= _dense(f"{block}.attention.out", f"{layer}.self_attn.out_proj")
            recipes |= _norm(f"{block}.norm_1", f"{layer}.layer_norm1")
            recipes |= _norm(f"{block}.norm_2", f"{layer}.layer_norm2")
            recipes |= _mlp(block, f"{layer}.mlp.fc1", f"{layer}.mlp.fc2")
    return recipes


def source_names(recipes: Recipes) -> Iterator[str]:
    """Yield every name that is read, some of them more than once."""
    for recipe in recipes.values():
        yield from recipe.sources


def _norm(ours: str, theirs: str) -> Recipes:
    return {
        f"{ours}.scale": Recipe((f"{theirs}.weight",), _same, _keep),
        f"{ours}.bias": Recipe((f"{theirs}.bias",), _same, _keep),
    }


def _dense(ours: str, theirs: str) -> Recipes:
    return {
        f"{ours}.kernel": Recipe((f"{theirs}.weight",), _turn, _turn_back),
        f"{ours}.bias": Recipe((f"{theirs}.bias",), _same, _keep),
    }


def _mlp(ours: str, up: str, down: str) -> Recipes:
    return _dense(f"{ours}.mlp.up", up) | _dense(f"{ours}.mlp.down", down)


def _convolution(theirs: str, num_channels: int) -> Recipe:
    return Recipe((f"{theirs}.weight",), _windows, _to_convolution(num_channels))


def _stem(config: ClipConfig) -> Recipes:
    """Name the stem's arrays: open_clip's towers have none, so the names are ours, in its style."""
    recipes: Recipes = {}
    widths = (3, *config.vision.stem_widths)
    for i in range(len(widths) - 1):
        stage = f"visual.stem.{i}"
        ours = f"visual.stem.stages.{i}"
        recipes[f"{ours}.conv.kernel"] = _convolution(f"{stage}.conv", widths[i])
        recipes |= _norm(f"{ours}.norm", f"{stage}.ln")
        for k in range(config.vision.stem_blocks):
            block = f"{stage}.resblocks.{k}"
            recipes[f"{ours}.blocks.{k}.conv.kernel"] = _convolution(f"{block}.conv", widths[i + 1])
            recipes |= _norm(f"{ours}.blocks.{k}.norm", f"{block}.ln")
    return recipes


def _block(ours: str, theirs: str) -> Recipes:
    return (
        _norm(f"{ours}.norm_1", f"{theirs}.ln_1")
        | _norm(f"{ours}.norm_2", f"{theirs}.ln_2")
        | _dense(f"{ours}.attention.out", f"{theirs}.attn.out_proj")
        | _mlp(ours, f"{theirs}.mlp.c_fc", f"{theirs}.mlp.c_proj")
        | {
            f"{ours}.attention.qkv.kernel": Recipe(
                (f"{theirs}.attn.in_proj_weight",), _turn, _turn_back
            ),
            f"{ours}.attention.qkv.bias": Recipe((f"{theirs}.attn.in_proj_bias",), _same, _keep),
        }
    )


def _cross(ours: str, theirs: str, names: set[str]) -> Recipes:
    """Queries, keys and values: one matrix where their widths are equal, else three."""
    recipes = _dense(f"{ours}.out", f"{theirs}.out_proj")
    is_joined = f"{theirs}.in_proj_weight" in names
    for i, part in enumerate(("query", "key", "value")):
        recipes[f"{ours}.{part}.kernel"] = (
            Recipe((f"{theirs}.in_proj_weight",), _third(i, turned=True), _turn_back)
            if is_joined
            else Recipe((f"{theirs}.{part[0]}_proj_weight",), _turn, _turn_back)
        )
        recipes[f"{ours}.{part}.bias"] = Recipe(
            (f"{theirs}.in_proj_bias",), _third(i, turned=False), _keep
        )
    return recipes
