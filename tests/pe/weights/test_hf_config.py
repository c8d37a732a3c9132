"""config.json's entries and the arrays' names, in and out."""

import pytest

from pe.models.t5 import T5Config
from pe.weights.checkpoint import param_shapes
from pe.weights.hf_config import config_from_hf, config_to_hf, hf_names

CONFIG = {
    "model_type": "t5",
    "architectures": ["T5ForConditionalGeneration"],
    "vocab_size": 12,
    "d_model": 4,
    "d_kv": 3,
    "d_ff": 5,
    "num_layers": 1,
    "num_heads": 2,
    "relative_attention_num_buckets": 8,
    "feed_forward_proj": "relu",
    "layer_norm_epsilon": 1e-6,
    "dropout_rate": 0.1,
}


def test_a_umt5_has_a_bias_in_every_layer_and_an_uneven_depth_is_kept():
    values = {**CONFIG, "model_type": "umt5", "num_layers": 2, "num_decoder_layers": 3}
    config = config_from_hf(values, source="a", tied=False)
    assert (config.num_encoder_layers, config.num_decoder_layers) == (2, 3)
    names = hf_names(config)
    bias = "SelfAttention.relative_attention_bias.weight"
    assert [names[n] for n in names if n.endswith("rel_embedding")] == [
        f"encoder.block.0.layer.0.{bias}",
        f"encoder.block.1.layer.0.{bias}",
        f"decoder.block.0.layer.0.{bias}",
        f"decoder.block.1.layer.0.{bias}",
        f"decoder.block.2.layer.0.{bias}",
    ]
    assert names["decoder.logits_dense.kernel"] == "lm_head.weight"
    assert sorted(names) == sorted(param_shapes(config))


@pytest.mark.parametrize(
    ("entries", "activations"),
    [
        ({"feed_forward_proj": "relu"}, ("relu",)),
        ({"feed_forward_proj": "gated-gelu"}, ("gelu", "linear")),
        ({"feed_forward_proj": "gated-gelu_new"}, ("gelu", "linear")),
        ({"feed_forward_proj": "gelu_new"}, ("gelu",)),
        ({"feed_forward_proj": "gated-silu"}, ("silu", "linear")),
        ({"feed_forward_proj": "gated-relu"}, ("relu", "linear")),
        ({"feed_forward_proj": "gated-gelu", "dense_act_fn": "silu"}, ("silu", "linear")),
        ({"feed_forward_proj": "relu", "is_gated_act": True}, ("relu", "linear")),
        ({"model_type": "mt5", "feed_forward_proj": None}, ("gelu", "linear")),
        ({"feed_forward_proj": None}, ("relu",)),
    ],
)
def test_activations_are_those_that_transformers_computes(entries, activations):
    values = {**CONFIG, **entries}
    values = {name: value for name, value in values.items() if value is not None}
    assert config_from_hf(values, source="a", tied=True).activations == activations


@pytest.mark.parametrize(
    "entries",
    [
        {"feed_forward_proj": "gelu"},
        {"feed_forward_proj": "gated-tanh"},
        {"feed_forward_proj": "ungated-relu"},
        {"feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu"},
    ],
)
def test_an_activation_that_is_only_alike_is_refused(entries):
    with pytest.raises(ValueError, match="is not known here; expected one of relu, gelu_new"):
        config_from_hf({**CONFIG, **entries}, source="a", tied=True)


@pytest.mark.parametrize(
    ("changes", "entries"),
    [
        ({}, ("t5", "gated-gelu", "gelu_new", True, False, False)),
        ({"scaled_logits": True}, ("t5", "gated-gelu", "gelu_new", True, True, True)),
        ({"tied_logits": True}, ("t5", "gated-gelu", "gelu_new", True, True, False)),
        ({"vocab_size": 250_112}, ("mt5", "gated-gelu", "gelu_new", True, False, None)),
        (
            {"vocab_size": 250_112, "scaled_logits": True},
            ("t5", "gated-gelu", "gelu_new", True, True, True),
        ),
        ({"layer_biases": True}, ("umt5", "gated-gelu", "gelu_new", True, False, None)),
        ({"activations": ("relu",)}, ("t5", "relu", "relu", False, False, False)),
        ({"activations": ("gelu",)}, ("t5", "gelu_new", "gelu_new", False, False, False)),
        ({"activations": ("silu", "linear")}, ("t5", "gated-silu", "silu", True, False, False)),
    ],
)
def test_a_config_written_says_the_kind_and_reads_as_it_was(changes, entries):
    config = T5Config(**changes)
    values = config_to_hf(config, dtype="float32")
    names = ("model_type", "feed_forward_proj", "dense_act_fn", "is_gated_act")
    names = (*names, "tie_word_embeddings", "scale_decoder_outputs")
    assert tuple(values.get(name) for name in names) == entries
    assert config_from_hf(values, source="a", tied=config.tied_logits) == config


def test_what_transformers_cannot_say_is_refused():
    with pytest.raises(ValueError, match=r"\('linear', 'gelu'\) has no form in transformers"):
        config_to_hf(T5Config(activations=("linear", "gelu")), dtype="float32")
    with pytest.raises(ValueError, match="a umT5 with tied logits that are not scaled"):
        config_to_hf(T5Config(layer_biases=True, tied_logits=True), dtype="float32")
