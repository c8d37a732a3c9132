"""T5 (arXiv:1910.10683; v1.1: gated GELU, untied output, no output scaling) in Flax NNX.

Knows token ids and segment ids, nothing of vocabularies, prefixes or losses. Every array is float32
at rest and `dtype` in the matrix products; norms, softmax and logits are float32.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from pe.axes import Array, Bool, Float, Int, Key
from pe.models.layers import (
    ACTIVATIONS,
    Attention,
    GatedMlp,
    Linear,
    RelativeBias,
    RMSNorm,
    attention_mask,
    dropout,
)

DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class T5Config:
    """Sizes of a T5. The defaults are a 5 M model that a CPU trains in an hour."""

    vocab_size: int = 4096
    d_model: int = 256
    num_heads: int = 4
    head_dim: int = 64
    d_ff: int = 640
    num_encoder_layers: int = 2
    num_decoder_layers: int = 2
    activations: tuple[str, ...] = ("gelu", "linear")
    dropout_rate: float = 0.0
    num_buckets: int = 32
    max_distance: int = 128
    norm_epsilon: float = 1e-6
    dtype: str = "float32"

    def __post_init__(self) -> None:
        sizes = ("vocab_size", "d_model", "num_heads", "head_dim", "d_ff", "max_distance")
        for name in (*sizes, "num_encoder_layers", "num_decoder_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"T5Config.{name}: got {getattr(self, name)}, expected 1 or more")
        if not 0.0 <= self.dropout_rate < 1.0:
            raise ValueError(f"T5Config.dropout_rate: got {self.dropout_rate}, expected [0, 1)")
        if self.num_buckets < 4 or self.num_buckets % 2:
            raise ValueError(f"T5Config.num_buckets: got {self.num_buckets}, expected even, >= 4")
        if self.dtype not in DTYPES:
            raise ValueError(f"T5Config.dtype: got {self.dtype!r}, expected one of {DTYPES}")
        unknown = [name for name in self.activations if name not in ACTIVATIONS]
        if unknown or len(self.activations) not in (1, 2):
            raise ValueError(
                f"T5Config.activations: got {self.activations}, expected one or two of "
                f"{tuple(ACTIVATIONS)}"
            )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class DecoderCache:
    """What decoding keeps between steps; one entry a layer.

    Self-attention holds every position written so far, cross-attention the projected encoding, once
    per query however many candidates are drawn from it.
    """

    self_keys: tuple[Float[Array, "BK S N H"], ...]
    self_values: tuple[Float[Array, "BK S N H"], ...]
    cross_keys: tuple[Float[Array, "B L N H"], ...]
    cross_values: tuple[Float[Array, "B L N H"], ...]


def split_key(key: Key[Array, ""] | None, num: int) -> list[Key[Array, ""] | None]:
    """Split a key, or hand on that there is none (no dropout)."""
    return [None] * num if key is None else list(jax.random.split(key, num))


class EncoderLayer(nnx.Module):
    """Self-attention and feed-forward, each normed before and added after."""

    def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.dtype)
        self.pre_attention_layer_norm = RMSNorm(
            config.d_model, epsilon=config.norm_epsilon, dtype=dtype
        )
        self.attention = Attention(
            config.d_model, config.num_heads, config.head_dim, dtype=dtype, rngs=rngs
        )
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
        keys = split_key(key, 3)
        h = self.pre_attention_layer_norm(x)
        x = x + dropout(self.attention(h, h, mask=mask, bias=bias), self.dropout_rate, keys[0])
        h = self.mlp(self.pre_mlp_layer_norm(x), key=keys[1])
        return x + dropout(h, self.dropout_rate, keys[2])


class DecoderLayer(nnx.Module):
    """Causal self-attention, cross-attention to the encoding, feed-forward."""

    def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.dtype)
        sizes = (config.d_model, config.num_heads, config.head_dim)
        epsilon = config.norm_epsilon
        self.pre_self_attention_layer_norm = RMSNorm(config.d_model, epsilon=epsilon, dtype=dtype)
        self.self_attention = Attention(*sizes, dtype=dtype, rngs=rngs)
        self.pre_cross_attention_layer_norm = RMSNorm(config.d_model, epsilon=epsilon, dtype=dtype)
        self.encoder_decoder_attention = Attention(*sizes, dtype=dtype, rngs=rngs)
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
        keys = split_key(key, 4)
        h = self.pre_self_attention_layer_norm(x)
        x = x + dropout(self.self_attention(h, h, mask=mask, bias=bias), self.dropout_rate, keys[0])
        h = self.pre_cross_attention_layer_norm(x)
        h = self.encoder_decoder_attention(h, encoded, mask=cross_mask)
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


def make_bias(config: T5Config, *, bidirectional: bool, rngs: nnx.Rngs) -> RelativeBias:
    """Make the position bias that all layers of a stack share."""
    return RelativeBias(
        config.num_heads,
        bidirectional=bidirectional,
        num_buckets=config.num_buckets,
        max_distance=config.max_distance,
        rngs=rngs,
    )


class Encoder(nnx.Module):
    """The stack that reads the query."""

    def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
        self.relpos_bias = make_bias(config, bidirectional=True, rngs=rngs)
        self.layers = nnx.List(
            [EncoderLayer(config, rngs=rngs) for _ in range(config.num_encoder_layers)]
        )
        self.encoder_norm = RMSNorm(
            config.d_model, epsilon=config.norm_epsilon, dtype=jnp.dtype(config.dtype)
        )
        self.dropout_rate = config.dropout_rate

    def __call__(
        self,
        x: Float[Array, "B L D"],
        segments: Int[Array, "B L"],
        *,
        key: Key[Array, ""] | None,
    ) -> Float[Array, "B L D"]:
        keys = split_key(key, len(self.layers) + 2)
        positions = jnp.arange(x.shape[1])
        bias = self.relpos_bias(positions, positions)
        mask = attention_mask(segments, segments)
        x = dropout(x, self.dropout_rate, keys[-1])
        for layer, layer_key in zip(self.layers, keys[:-2], strict=True):
            x = layer(x, mask=mask, bias=bias, key=layer_key)
        return dropout(self.encoder_norm(x), self.dropout_rate, keys[-2])


class Decoder(nnx.Module):
    """The stack that writes the prompt."""

    def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
        self.relpos_bias = make_bias(config, bidirectional=False, rngs=rngs)
        self.layers = nnx.List(
            [DecoderLayer(config, rngs=rngs) for _ in range(config.num_decoder_layers)]
        )
        self.decoder_norm = RMSNorm(
            config.d_model, epsilon=config.norm_epsilon, dtype=jnp.dtype(config.dtype)
        )
        self.logits_dense = Linear(
            config.d_model,
            config.vocab_size,
            init=nnx.initializers.variance_scaling(1.0, "fan_in", "truncated_normal"),
            dtype=jnp.dtype(config.dtype),
            rngs=rngs,
        )
        self.dropout_rate = config.dropout_rate

    def __call__(
        self,
        x: Float[Array, "B T D"],
        encoded: Float[Array, "B S D"],
        *,
        segments: Int[Array, "B T"],
        encoder_segments: Int[Array, "B S"],
        key: Key[Array, ""] | None,
    ) -> Float[Array, "B T V"]:
        keys = split_key(key, len(self.layers) + 2)
        positions = jnp.arange(x.shape[1])
        bias = self.relpos_bias(positions, positions)
        causal = positions[:, None] >= positions[None, :]
        mask = attention_mask(segments, segments) & causal
        cross_mask = attention_mask(segments, encoder_segments)
        x = dropout(x, self.dropout_rate, keys[-1])
        for layer, layer_key in zip(self.layers, keys[:-2], strict=True):
            x = layer(x, encoded, mask=mask, cross_mask=cross_mask, bias=bias, key=layer_key)
        x = dropout(self.decoder_norm(x), self.dropout_rate, keys[-2])
        return self.logits_dense(x).astype(jnp.float32)

    def start(
        self, encoded: Float[Array, "B S D"], *, num_candidates: int, max_tokens: int
    ) -> DecoderCache:
        """Project the encoding once and lay out empty self-attention caches."""
        cross = [layer.encoder_decoder_attention.project_keys(encoded) for layer in self.layers]
        batch, _, heads, head_dim = cross[0][0].shape
        empty = jnp.zeros((batch * num_candidates, max_tokens, heads, head_dim), encoded.dtype)
        empties = (empty,) * len(cross)
        return DecoderCache(
            empties, empties, tuple(keys for keys, _ in cross), tuple(values for _, values in cross)
        )

    def step(
        self,
        x: Float[Array, "BK 1 D"],
        cache: DecoderCache,
        position: Int[Array, ""],
        encoder_segments: Int[Array, "B S"],
    ) -> tuple[Float[Array, "BK V"], DecoderCache]:
        """Write one position for every candidate and return the logits of the next token."""
        batch = encoder_segments.shape[0]
        key_positions = jnp.arange(cache.self_keys[0].shape[1])
        bias = self.relpos_bias(position[None], key_positions)
        mask = (key_positions <= position)[None, None, None, :]
        cross_mask = (encoder_segments != 0)[:, None, None, :]
        self_keys, self_values = [], []
        for i, layer in enumerate(self.layers):
            h = layer.pre_self_attention_layer_norm(x)
            keys, values = layer.self_attention.project_keys(h)
            start = (0, position, 0, 0)
            keys = jax.lax.dynamic_update_slice(cache.self_keys[i], keys, start)
            values = jax.lax.dynamic_update_slice(cache.self_values[i], values, start)
            x = x + layer.self_attention.attend(h, keys, values, mask=mask, bias=bias)
            self_keys.append(keys)
            self_values.append(values)
            h = layer.pre_cross_attention_layer_norm(x)
            h = h.reshape(batch, -1, h.shape[-1])  # [BK 1 D] -> [B K D]: candidates share keys
            h = layer.encoder_decoder_attention.attend(
                h, cache.cross_keys[i], cache.cross_values[i], mask=cross_mask
            )
            x = x + h.reshape(x.shape)
            x = x + layer.mlp(layer.pre_mlp_layer_norm(x))
        logits = self.logits_dense(self.decoder_norm(x)).astype(jnp.float32)[:, 0]
        cache = DecoderCache(
            tuple(self_keys), tuple(self_values), cache.cross_keys, cache.cross_values
        )
        return logits, cache


class T5(nnx.Module):
    """Encoder and decoder over one embedding table."""

    def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
        init = nnx.initializers.normal(1.0)
        self.embedding = nnx.Param(
            init(rngs.params(), (config.vocab_size, config.d_model), jnp.float32)
        )
        self.encoder = Encoder(config, rngs=rngs)
        self.decoder = Decoder(config, rngs=rngs)
        self.config = config

    def embed(self, tokens: Int[Array, "B L"]) -> Float[Array, "B L D"]:
        return jnp.take(self.embedding[...], tokens, axis=0).astype(jnp.dtype(self.config.dtype))

    def encode(
        self,
        inputs: Int[Array, "B L"],
        segments: Int[Array, "B L"],
        *,
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, "B L D"]:
        """Encode token ids; positions of segment 0 are seen by none."""
        return self.encoder(self.embed(inputs), segments, key=key)

    def __call__(
        self,
        inputs: Int[Array, "B S"],
        input_segments: Int[Array, "B S"],
        decoder_inputs: Int[Array, "B T"],
        target_segments: Int[Array, "B T"],
        *,
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, "B T V"]:
        """Return float32 logits of the target at every position.

        `decoder_inputs` are the targets shifted right by one (0 first, in every segment). Segment
        ids are 0 for padding and 1, 2, ... for the examples packed into a row; a key turns dropout
        on.
        """
        keys = split_key(key, 2)
        encoded = self.encode(inputs, input_segments, key=keys[0])
        return self.decoder(
            self.embed(decoder_inputs),
            encoded,
            segments=target_segments,
            encoder_segments=input_segments,
            key=keys[1],
        )

    def start_decoding(
        self,
        inputs: Int[Array, "B S"],
        segments: Int[Array, "B S"],
        *,
        num_candidates: int,
        max_tokens: int,
    ) -> DecoderCache:
        """Run the encoder once and prepare to decode `num_candidates` texts of each row."""
        encoded = self.encode(inputs, segments)
        return self.decoder.start(encoded, num_candidates=num_candidates, max_tokens=max_tokens)

    def decode_step(
        self,
        tokens: Int[Array, " BK"],
        cache: DecoderCache,
        position: Int[Array, ""],
        encoder_segments: Int[Array, "B S"],
    ) -> tuple[Float[Array, "BK V"], DecoderCache]:
        """Feed one token a candidate; return logits of the next and the grown cache."""
        return self.decoder.step(self.embed(tokens[:, None]), cache, position, encoder_segments)


def count_params(config: T5Config) -> int:
    """Count parameters without making them."""
    model = nnx.eval_shape(lambda: T5(config, rngs=nnx.Rngs(0)))
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
