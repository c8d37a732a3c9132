"""The layers of a T5's two stacks and the parts they are made of. Know T5Config, no stack."""

import jax
import jax.numpy as jnp
from flax import nnx

from pe.axes import Array, Bool, Float, Key
from pe.models.layers import Attention, GatedMlp, Linear, RelativeBias, RMSNorm, dropout
from pe.models.t5_config import T5Config


def split_key(key: Key[Array, ""] | None, num: int) -> list[Key[Array, ""] | None]:
    """Split a key, or hand on that there is none (no dropout)."""
    return [None] * num if key is None else list(jax.random.split(key, num))


class EncoderLayer(nnx.Module):
    """Self-attention and feed-forward, each normed before and added after."""

    def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.dtype)
        if config.layer_biases:
            self.relpos_bias = make_bias(config, bidirectional=True, rngs=rngs)
        self.pre_attention_layer_norm = RMSNorm(
            config.d_model, epsilon=config.norm_epsilon, dtype=dtype
        )
        self.attention = make_attention(config, rngs=rngs)
        self.pre_mlp_layer_norm = RMSNorm(config.d_model, epsilon=config.norm_epsilon, dtype=dtype)
        self.mlp = make_mlp(config, rngs=rngs)
        self.dropout_rate = config.dropout_rate

    def __call__(
        self,
        x: Float[Array, "B L D"],
        *,
        mask: Bool[Array, "B 1 L L"],
        bias: Float[Array, "1 N L L"],
        key: Key[Array, ""] | None,
    ) -> Float[Array, "B L D"]:
        keys = split_key(key, 4)
        h = self.pre_attention_layer_norm(x)
        h = self.attention(h, h, mask=mask, bias=bias, key=keys[3])
        x = x + dropout(h, self.dropout_rate, keys[0])
        h = self.mlp(self.pre_mlp_layer_norm(x), key=keys[1])
        return x + dropout(h, self.dropout_rate, keys[2])


class DecoderLayer(nnx.Module):
    """Causal self-attention, cross-attention to the encoding, feed-forward."""

    def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.dtype)
        epsilon = config.norm_epsilon
        if config.layer_biases:
            self.relpos_bias = make_bias(config, bidirectional=False, rngs=rngs)
        self.pre_self_attention_layer_norm = RMSNorm(config.d_model, epsilon=epsilon, dtype=dtype)
        self.self_attention = make_attention(config, rngs=rngs)
        self.pre_cross_attention_layer_norm = RMSNorm(config.d_model, epsilon=epsilon, dtype=dtype)
        self.encoder_decoder_attention = make_attention(config, rngs=rngs)
        self.pre_mlp_layer_norm = RMSNorm(config.d_model, epsilon=epsilon, dtype=dtype)
        self.mlp = make_mlp(config, rngs=rngs)
        self.dropout_rate = config.dropout_rate

    def __call__(
        self,
        x: Float[Array, "B T D"],
        encoded: Float[Array, "B S D"],
        *,
        mask: Bool[Array, "B 1 T T"],
        cross_mask: Bool[Array, "B 1 T S"],
        bias: Float[Array, "1 N T T"],
        key: Key[Array, ""] | None,
    ) -> Float[Array, "B T D"]:
        keys = split_key(key, 6)
        h = self.pre_self_attention_layer_norm(x)
        h = self.self_attention(h, h, mask=mask, bias=bias, key=keys[4])
        x = x + dropout(h, self.dropout_rate, keys[0])
        h = self.pre_cross_attention_layer_norm(x)
        h = self.encoder_decoder_attention(h, encoded, mask=cross_mask, key=keys[5])
        x = x + dropout(h, self.dropout_rate, keys[1])
        h = self.mlp(self.pre_mlp_layer_norm(x), key=keys[2])
        return x + dropout(h, self.dropout_rate, keys[3])


def make_mlp(config: T5Config, *, rngs: nnx.Rngs) -> GatedMlp:
    """Make the feed-forward block of a layer."""
    return GatedMlp(
        config.d_model,
        config.d_ff,
        activations=config.activations,
        dropout_rate=config.dropout_rate,
        dtype=jnp.dtype(config.dtype),
        rngs=rngs,
    )


def make_attention(config: T5Config, *, rngs: nnx.Rngs) -> Attention:
    """Make one attention of a layer."""
    return Attention(
        config.d_model,
        config.num_heads,
        config.head_dim,
        dropout_rate=config.dropout_rate,
        dtype=jnp.dtype(config.dtype),
        rngs=rngs,
    )


def make_output(config: T5Config, *, rngs: nnx.Rngs) -> Linear:
    """Make the output matrix of a T5 whose logits are not tied."""
    return Linear(
        config.d_model,
        config.vocab_size,
        init=nnx.initializers.variance_scaling(1.0, "fan_in", "truncated_normal"),
        dtype=jnp.dtype(config.dtype),
        rngs=rngs,
    )


def make_bias(config: T5Config, *, bidirectional: bool, rngs: nnx.Rngs) -> RelativeBias:
    """Make the position bias of a stack, or of a layer that has one of its own."""
    return RelativeBias(
        config.num_heads,
        bidirectional=bidirectional,
        num_buckets=config.num_buckets,
        max_distance=config.max_distance,
        rngs=rngs,
    )
