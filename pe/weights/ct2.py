"""A T5 as a CTranslate2 model folder, laid out from our arrays with numpy.

Needs the extra [ct2], but neither torch nor transformers, which CTranslate2's own converter needs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from pe import shards
from pe.models.t5 import T5Config
from pe.weights.bake import name_tokens, prompt_tokens, read_pieces
from pe.weights.checkpoint import Checkpoint, check_arrays
from pe.weights.folder import copy_file, new_folder
from pe.weights.hf_vocabulary import json_pieces
from pe.weights.unigram import find_unknown, read_model

# Not float16: T5's activations can leave its range, and the logits are NaN then.
QUANTIZATIONS = ("float32", "bfloat16", "int8", "int8_float32")
NEVER = -3e4  # a logit whose probability is exactly 0, within the range of every float type
FIRST_UMT5 = (4, 8, 5)  # 4.8.2 takes the first layer's bias for all; not tried: 4.8.3, 4.8.4
EXTRA = 'pip install "prompt-expansion[ct2]"'


def write_ct2(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    quantization: str | None = None,
    tokens: Sequence[str] | None = None,
    prompt_ids: Sequence[int] = (),
    expander: Mapping[str, Any] | None = None,
) -> None:
    """Write a CTranslate2 model into a new folder: it is there whole or not at all.

    `quantization` is the type of the stored matrices; None is float32. `tokens` names each row of
    the embedding; None takes the names of the checkpoint's vocabulary, which is then copied, too.
    `prompt_ids` are a baked soft prompt's: put them in front of every source. They are never drawn,
    and the others' probabilities are those of the model without them (a bias of the output, so
    that no option has to be set). Sources hold their own end token, as T5's do.

    The int8 types round the soft prompt's rows as they do the rest of the embedding, to 255 steps a
    row; the others do not (bfloat16: to 8 bits).

    pe_ct2.json holds {"expander": what the caller gives, "prompt_ids", "prompt_tokens",
    "vocabulary": a file name or null}. The whole model lies in memory once, as float32.

    Raises ValueError when ctranslate2 is absent or too old, the folder is not empty, or the model
    or its tokens cannot be told to CTranslate2.
    """
    config = checkpoint.config
    if quantization is not None and quantization not in QUANTIZATIONS:
        why = (
            ": T5's activations leave the range of float16"
            if quantization.endswith("_float16") or quantization == "float16"
            else ""
        )
        raise ValueError(
            f"quantization: got {quantization!r}{why}; expected one of {', '.join(QUANTIZATIONS)}"
        )
    if any(not 0 <= i < config.vocab_size for i in prompt_ids):
        raise ValueError(
            f"prompt_ids: got {list(prompt_ids)}, expected ids below {config.vocab_size}"
        )
    check_arrays(checkpoint)
    names = _check_tokens(checkpoint, tokens, prompt_ids)
    spec = _make_spec(checkpoint, prompt_ids, as_bfloat16=quantization == "bfloat16")
    spec.register_source_vocabulary(names)
    spec.register_target_vocabulary(names)
    pad, eos = names[:2]
    unk = names[_find_unknown(checkpoint, tokens)]
    spec.config.bos_token = spec.config.decoder_start_token = pad
    spec.config.eos_token = eos
    spec.config.unk_token = unk
    spec.config.add_source_bos = spec.config.add_source_eos = False
    spec.config.layer_norm_epsilon = config.norm_epsilon
    spec.validate()
    spec.optimize(quantization=quantization)

    vocabulary = checkpoint.vocabulary
    with new_folder(folder) as temporary:
        spec.save(str(temporary))
        if vocabulary is not None:
            copy_file(vocabulary, temporary / vocabulary.name)
        shards.write_json(
            temporary / "pe_ct2.json",
            {
                "expander": dict(expander or {}),
                "prompt_ids": list(prompt_ids),
                "prompt_tokens": [names[i] for i in prompt_ids],
                "vocabulary": None if vocabulary is None else vocabulary.name,
            },
        )


def _find_unknown(checkpoint: Checkpoint, tokens: Sequence[str] | None) -> int:
    if tokens is not None or checkpoint.vocabulary is None:
        return 2
    if checkpoint.vocabulary.suffix == ".json":
        names = json_pieces(checkpoint.vocabulary)
        return next((i for i, name in names.items() if name == "<unk>"), 2)
    return find_unknown(read_model(checkpoint.vocabulary))


def _check_tokens(
    checkpoint: Checkpoint, tokens: Sequence[str] | None, prompt_ids: Sequence[int]
) -> list[str]:
    """Return a name for each row, or raise where CTranslate2 would mix rows up."""
    num_rows = checkpoint.config.vocab_size
    if tokens is None:
        if checkpoint.vocabulary is None:
            raise ValueError(
                f"{checkpoint.source} has no vocabulary beside it; give the names of its "
                f"{num_rows} tokens, or the vocabulary's file"
            )
        if checkpoint.vocabulary.suffix == ".json":
            found = json_pieces(checkpoint.vocabulary)
            pieces = [found.get(i, f"<unused_{i}>") for i in range(max(found, default=-1) + 1)]
        else:
            pieces = read_pieces(checkpoint.vocabulary)
        tokens = name_tokens(pieces, num_rows - len(prompt_ids))
        # the soft prompt stands behind all other rows: that is where baking puts it
        if list(prompt_ids) != list(range(len(tokens), num_rows)):
            raise ValueError(
                f"prompt_ids: got {list(prompt_ids)}, expected the last rows, "
                f"{len(tokens)} .. {num_rows - 1}; or give the tokens, too"
            )
        tokens = [*tokens, *prompt_tokens(len(prompt_ids))]
    if len(tokens) != num_rows:
        raise ValueError(
            f"tokens: got {len(tokens)} names, expected {num_rows}, one for each row of the "
            f"embedding of {checkpoint.source}"
        )
    if len(set(tokens)) != num_rows:
        seen: set[str] = set()
        twice = next(token for token in tokens if token in seen or seen.add(token))
        raise ValueError(f"tokens: {twice!r} names two rows; expected a name of its own for each")
    return list(tokens)


def _load_specs(config: T5Config):  # noqa: ANN202 (modules of a package that may be absent)
    try:
        import ctranslate2
        from ctranslate2.specs import common_spec, transformer_spec
    except ImportError as error:
        raise ValueError(f"writing this format needs ctranslate2: {EXTRA}") from error
    version = tuple(int(part) for part in ctranslate2.__version__.split(".")[:3])
    if config.layer_biases and version < FIRST_UMT5:
        raise ValueError(
            f"ctranslate2 {ctranslate2.__version__} computes one position bias a stack, this model "
            f"has one a layer (umT5); expected {'.'.join(map(str, FIRST_UMT5))} or newer: {EXTRA}"
        )
    return common_spec, transformer_spec


def _make_spec(checkpoint: Checkpoint, prompt_ids: Sequence[int], *, as_bfloat16: bool):  # noqa: ANN202
    """Lay out the arrays as CTranslate2 does: matrices [out, in], query-key-value in one."""
    config = checkpoint.config
    common_spec, transformer_spec = _load_specs(config)
    activations = {
        "relu": common_spec.Activation.RELU,
        "gelu": common_spec.Activation.GELUTanh,  # the approximate one, as T5 1.1 has
        "silu": common_spec.Activation.SWISH,
    }
    name, *gate = config.activations
    if name not in activations or gate not in ([], ["linear"]):
        raise ValueError(
            f"CTranslate2 has no feed-forward block of {config.activations}; expected one of "
            f"{', '.join(activations)}, alone or followed by linear"
        )
    spec = transformer_spec.TransformerSpec.from_config(
        (config.num_encoder_layers, config.num_decoder_layers),
        config.num_heads,
        pre_norm=True,
        activation=activations[name],
        ffn_glu=bool(gate),
        relative_attention_bias=True,
        rms_norm=True,
    )
    dtype = np.dtype(ml_dtypes.bfloat16) if as_bfloat16 else np.dtype(np.float32)

    def read(name: str) -> np.ndarray:  # a copy: CTranslate2 quantizes in place
        return np.array(checkpoint.arrays[name].read(), dtype=dtype)

    def kernels(*names: str) -> np.ndarray:  # [in, out] each -> [outs, in]
        return np.concatenate([read(f"{name}.kernel").T for name in names])

    table = read("embedding")
    spec.encoder.embeddings[0].weight = table
    spec.decoder.embeddings.weight = table
    projection = spec.decoder.projection
    projection.weight = table if config.tied_logits else kernels("decoder.logits_dense")
    if prompt_ids:
        projection.bias = np.zeros(config.vocab_size, dtype)
        projection.bias[list(prompt_ids)] = NEVER
    if config.scaled_logits:
        # CTranslate2's own converter scales where tie_word_embeddings is set; transformers 5 sets
        # it on every T5, so that T5 1.1 and mT5 would be scaled without cause.
        spec.decoder.scale_outputs = np.float32(config.d_model**-0.5)

    for side, stack in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        stack.scale_embeddings = False
        stack.layer_norm.gamma = read(f"{side}.{side}_norm.scale")
        for i, layer in enumerate(stack.layer):
            at = f"{side}.layers.{i}"
            own = "self_attention" if side == "decoder" else "attention"
            block = layer.self_attention
            block.queries_scale = 1.0  # T5 folds 1/sqrt(H) into the queries
            block.layer_norm.gamma = read(f"{at}.pre_{own}_layer_norm.scale")
            block.linear[0].weight = kernels(
                *(f"{at}.{own}.{x}" for x in ("query", "key", "value"))
            )
            block.linear[1].weight = kernels(f"{at}.{own}.out")
            # [heads, buckets] -> [buckets, heads]; equal arrays are stored once
            biases = f"{at if config.layer_biases else side}.relpos_bias.rel_embedding"
            block.relative_attention_bias = np.ascontiguousarray(read(biases).T)
            block.relative_attention_max_distance = np.int32(config.max_distance)
            if side == "decoder":
                cross = f"{at}.encoder_decoder_attention"
                layer.attention.queries_scale = 1.0
                layer.attention.layer_norm.gamma = read(
                    f"{at}.pre_cross_attention_layer_norm.scale"
                )
                layer.attention.linear[0].weight = kernels(f"{cross}.query")
                layer.attention.linear[1].weight = kernels(f"{cross}.key", f"{cross}.value")
                layer.attention.linear[2].weight = kernels(f"{cross}.out")
            layer.ffn.layer_norm.gamma = read(f"{at}.pre_mlp_layer_norm.scale")
            layer.ffn.linear_0.weight = kernels(f"{at}.mlp.wi.0")
            if gate:
                layer.ffn.linear_0_noact.weight = kernels(f"{at}.mlp.wi.1")
            layer.ffn.linear_1.weight = kernels(f"{at}.mlp.wo")
    return spec
