"""The T5 family as `transformers` describes it: config.json's entries and the arrays' names.

Reads and writes no file.
"""

from collections.abc import Mapping
from typing import Any

from pe.models.t5 import T5Config

EMBEDDING, HEAD = "shared.weight", "lm_head.weight"
MODEL_CLASSES = {"t5": "T5", "mt5": "MT5", "umt5": "UMT5"}
MT5_VOCAB_SIZE = 250_112
# Only what is equal: their `gelu` is the exact one, of which this project's T5 has none.
ACTIVATIONS = {
    "relu": "relu",
    "gelu_new": "gelu",
    "gelu_pytorch_tanh": "gelu",
    "silu": "silu",
    "swish": "silu",
    "linear": "linear",
}
ATTENTIONS = {
    "encoder": (("attention", "pre_attention_layer_norm", "SelfAttention"),),
    "decoder": (
        ("self_attention", "pre_self_attention_layer_norm", "SelfAttention"),
        ("encoder_decoder_attention", "pre_cross_attention_layer_norm", "EncDecAttention"),
    ),
}


def hf_names(config: T5Config) -> dict[str, str]:
    """Return {our name: theirs} of every array.

    Example:
      embedding                              shared.weight
      decoder.layers.0.mlp.wo.kernel         decoder.block.0.layer.2.DenseReluDense.wo.weight
      encoder.relpos_bias.rel_embedding      encoder.block.0.layer.0.SelfAttention.relative_...
    """
    names = {"embedding": EMBEDDING}
    depths = {"encoder": config.num_encoder_layers, "decoder": config.num_decoder_layers}
    num_wi = len(config.activations)
    for stack, attentions in ATTENTIONS.items():
        for i in range(depths[stack]):
            ours, theirs = f"{stack}.layers.{i}", f"{stack}.block.{i}.layer"
            if config.layer_biases or i == 0:
                bias = f"{ours if config.layer_biases else stack}.relpos_bias.rel_embedding"
                names[bias] = f"{theirs}.0.SelfAttention.relative_attention_bias.weight"
            for j, (attention, norm, label) in enumerate(attentions):
                names[f"{ours}.{norm}.scale"] = f"{theirs}.{j}.layer_norm.weight"
                for part in ("query", "key", "value", "out"):
                    matrix = f"{theirs}.{j}.{label}.{part[0]}.weight"
                    names[f"{ours}.{attention}.{part}.kernel"] = matrix
            mlp = f"{theirs}.{len(attentions)}"
            names[f"{ours}.pre_mlp_layer_norm.scale"] = f"{mlp}.layer_norm.weight"
            for k in range(num_wi):
                wi = f"wi_{k}" if num_wi == 2 else "wi"
                names[f"{ours}.mlp.wi.{k}.kernel"] = f"{mlp}.DenseReluDense.{wi}.weight"
            names[f"{ours}.mlp.wo.kernel"] = f"{mlp}.DenseReluDense.wo.weight"
        names[f"{stack}.{stack}_norm.scale"] = f"{stack}.final_layer_norm.weight"
    if not config.tied_logits:
        names["decoder.logits_dense.kernel"] = HEAD
    return names


def config_from_hf(
    values: Mapping[str, Any], *, source: str, tied: bool, dtype: str = "bfloat16"
) -> T5Config:
    """Make a T5Config of what config.json says; `tied`: the files hold no output matrix.

    Whether the logits are scaled is what transformers 5 does with t5 and mt5. It ties by default
    and writes tie_word_embeddings true whatever the files hold, so this entry says nothing of the
    files: it keeps an output matrix that differs from the embedding, and lets t5's old entry decide
    the scaling, which it saves as scale_decoder_outputs. mt5 it never scales. umt5 it scales
    always, even where the entry is false, as in those trained with an output matrix of their own;
    here the entry decides, as it did in transformers 4: the order of the logits is the same.
    """
    kind = values["model_type"]
    try:
        wide = {
            name: values[key]
            for name, key in (
                ("vocab_size", "vocab_size"),
                ("d_model", "d_model"),
                ("num_heads", "num_heads"),
                ("head_dim", "d_kv"),
                ("d_ff", "d_ff"),
                ("num_encoder_layers", "num_layers"),
            )
        }
    except KeyError as error:
        raise ValueError(f"{source}: config.json lacks {error}; copy it again") from error
    decoder_layers = values.get("num_decoder_layers")
    says_tied = values.get("tie_word_embeddings") is not False
    scaled = {"t5": values.get("scale_decoder_outputs", says_tied), "mt5": False, "umt5": says_tied}
    sizes = {
        **wide,
        "num_decoder_layers": wide["num_encoder_layers"]
        if decoder_layers is None
        else decoder_layers,
        "num_buckets": values.get("relative_attention_num_buckets", 32),
        "max_distance": values.get("relative_attention_max_distance", 128),
    }
    wrong = [f"{name} {value!r}" for name, value in sizes.items() if type(value) is not int]
    if wrong:
        raise ValueError(f"{source}: config.json: expected whole numbers, got {', '.join(wrong)}")
    try:
        return T5Config(
            **sizes,
            activations=read_activations(values, source=source),
            dropout_rate=float(values.get("dropout_rate", 0.1)),
            norm_epsilon=float(values.get("layer_norm_epsilon", 1e-6)),
            tied_logits=tied,
            scaled_logits=bool(scaled[kind]),
            layer_biases=kind == "umt5",
            dtype=dtype,
        )
    except (ValueError, TypeError) as error:
        raise ValueError(f"{source}: config.json: {error}") from error


def config_to_hf(config: T5Config, *, dtype: str) -> dict[str, Any]:
    """Make config.json's content; `dtype` is the arrays' type.

    Raises ValueError for what the family cannot say. Tied logits that are not scaled need
    transformers 5 (4 knows no scale_decoder_outputs), and it scales every umt5.
    """
    theirs = "gelu_new" if config.activations[0] == "gelu" else config.activations[0]
    gated = len(config.activations) == 2
    if gated and config.activations[1] != "linear":
        raise ValueError(
            f"T5Config.activations {config.activations} has no form in transformers; expected one, "
            "or one and 'linear'"
        )
    kind = "t5"
    if config.layer_biases:
        kind = "umt5"
    elif config.vocab_size == MT5_VOCAB_SIZE and not config.scaled_logits:
        kind = "mt5"
    if kind == "umt5" and config.tied_logits and not config.scaled_logits:
        raise ValueError("a umT5 with tied logits that are not scaled has no form in transformers")
    return {
        "architectures": [f"{MODEL_CLASSES[kind]}ForConditionalGeneration"],
        "model_type": kind,
        "is_encoder_decoder": True,
        "vocab_size": config.vocab_size,
        "d_model": config.d_model,
        "d_kv": config.head_dim,
        "d_ff": config.d_ff,
        "num_layers": config.num_encoder_layers,
        "num_decoder_layers": config.num_decoder_layers,
        "num_heads": config.num_heads,
        "relative_attention_num_buckets": config.num_buckets,
        "relative_attention_max_distance": config.max_distance,
        "feed_forward_proj": f"gated-{theirs.removesuffix('_new')}" if gated else theirs,
        "dense_act_fn": theirs,
        "is_gated_act": gated,
        "layer_norm_epsilon": config.norm_epsilon,
        "dropout_rate": config.dropout_rate,
        "tie_word_embeddings": config.tied_logits or config.scaled_logits,
        **({"scale_decoder_outputs": config.scaled_logits} if kind == "t5" else {}),
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "use_cache": True,
        "dtype": dtype,
        "torch_dtype": dtype,  # the name it had in transformers 4
    }


def check_family(values: Mapping[str, Any], *, source: str) -> None:
    """Raise ValueError for what is no T5, mT5 or umT5."""
    kind = values.get("model_type")
    if kind not in MODEL_CLASSES:
        classes = values.get("architectures")
        label = f" ({', '.join(map(str, classes))})" if isinstance(classes, list) else ""
        what = f"is a {kind} model{label}" if kind else "has a config.json without a model_type"
        raise ValueError(
            f"{source} {what}; expected an encoder-decoder of the T5 family: t5, mt5 or umt5"
        )
    if values.get("quantization_config"):
        raise ValueError(f"{source} holds quantised weights; expected the model they were made of")


def read_activations(values: Mapping[str, Any], *, source: str) -> tuple[str, ...]:
    """Return the feed-forward block's activations."""
    default = "relu" if values["model_type"] == "t5" else "gated-gelu"
    text = str(values.get("feed_forward_proj", default))
    gate, _, label = text.rpartition("-")
    # Both are derived from feed_forward_proj, and win over it where config.json names them
    label = values.get("dense_act_fn", "gelu_new" if text == "gated-gelu" else label)
    gated = values.get("is_gated_act", gate == "gated")
    if label not in ACTIVATIONS or gate not in ("", "gated"):
        raise ValueError(
            f"{source}: config.json: feed_forward_proj {text!r} (activation {label!r}) is not "
            f"known here; expected one of {', '.join(ACTIVATIONS)}, alone or as gated-..., or "
            "gated-gelu"
        )
    return (ACTIVATIONS[label], "linear") if gated else (ACTIVATIONS[label],)
