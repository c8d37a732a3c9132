"""The T5 family in Flax NNX.

| member               | activations  | logits                          | position bias |
|----------------------|--------------|---------------------------------|---------------|
| T5 1.0 (1910.10683)  | relu         | tied to the embedding, scaled   | a stack       |
| T5 1.1, LM, FLAN     | gelu, linear | of their own, not scaled        | a stack       |
| mT5 (2010.11934)     | gelu, linear | of their own, not scaled        | a stack       |
| umT5 (2304.09151)    | gelu, linear | of their own, not scaled        | a layer       |

Knows token ids and segment ids, nothing of vocabularies, prefixes or losses. A new model's arrays
are float32; the matrix products are `dtype`; norms and softmax are float32 always, and logits are
summed in float32 (float16 is not offered: T5's activations leave its range). Dropout is T5X's.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from pe.axes import Array, Bool, Float, Int, Key
from pe.models.layers import RMSNorm, attention_mask, dropout, multiply_rows, on_rows
from pe.models.partitioning import constrain
from pe.models.t5_config import T5Config
from pe.models.t5_layers import DecoderLayer, EncoderLayer, make_bias, make_output, split_key

REMAT_POLICIES = {
    "full": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class DecoderCache:
    """What decoding keeps between steps: each layer's keys and values of every position so far."""

    keys: tuple[Float[Array, "B N S H"], ...]
    values: tuple[Float[Array, "B N S H"], ...]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Encoding:
    """What decoding needs of a query: each decoder layer's keys and values of it, and what of it
    is no padding."""

    keys: Float[Array, "layers B N S H"]
    values: Float[Array, "layers B N S H"]
    mask: Bool[Array, "B S"]


def position_biases(
    stack: "Encoder | Decoder", query_positions: Int[Array, " T"], key_positions: Int[Array, " S"]
) -> list[Float[Array, "1 N T S"]]:
    """Return the bias of every layer: the stack's, computed once, or each layer's own."""
    if hasattr(stack, "relpos_bias"):
        return [stack.relpos_bias(query_positions, key_positions)] * len(stack.layers)
    return [layer.relpos_bias(query_positions, key_positions) for layer in stack.layers]


def run_layer(layer: nnx.Module, *args: Array, remat: str, **kwargs: Array | None) -> Array:
    """Run a layer; the backward pass computes again what `remat` (see T5Config) does not keep."""
    if remat == "none":
        return constrain(layer(*args, **kwargs), "batch", None, None)
    graph, state = nnx.split(layer)
    again = jax.checkpoint(
        lambda state, args, kwargs: nnx.merge(graph, state)(*args, **kwargs),
        policy=REMAT_POLICIES[remat],
    )
    return constrain(again(state, args, kwargs), "batch", None, None)


class Encoder(nnx.Module):
    """The stack that reads the query."""

    def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
        if not config.layer_biases:
            self.relpos_bias = make_bias(config, bidirectional=True, rngs=rngs)
        self.layers = nnx.List(
            [EncoderLayer(config, rngs=rngs) for _ in range(config.num_encoder_layers)]
        )
        self.encoder_norm = RMSNorm(
            config.d_model, epsilon=config.norm_epsilon, dtype=jnp.dtype(config.dtype)
        )
        self.dropout_rate = config.dropout_rate
        self.remat = config.remat

    def __call__(
        self,
        x: Float[Array, "B L D"],
        segments: Int[Array, "B L"],
        *,
        key: Key[Array, ""] | None,
    ) -> Float[Array, "B L D"]:
        keys = split_key(key, len(self.layers) + 2)
        positions = jnp.arange(x.shape[1])
        biases = position_biases(self, positions, positions)
        mask = attention_mask(segments, segments)
        x = dropout(x, self.dropout_rate, keys[-1])
        for layer, bias, layer_key in zip(self.layers, biases, keys[:-2], strict=True):
            x = run_layer(layer, x, mask=mask, bias=bias, key=layer_key, remat=self.remat)
        return dropout(self.encoder_norm(x), self.dropout_rate, keys[-2])


class Decoder(nnx.Module):
    """The stack that writes the prompt."""

    def __init__(self, config: T5Config, *, rngs: nnx.Rngs):
        if not config.layer_biases:
            self.relpos_bias = make_bias(config, bidirectional=False, rngs=rngs)
        self.layers = nnx.List(
            [DecoderLayer(config, rngs=rngs) for _ in range(config.num_decoder_layers)]
        )
        self.decoder_norm = RMSNorm(
            config.d_model, epsilon=config.norm_epsilon, dtype=jnp.dtype(config.dtype)
        )
        if not config.tied_logits:
            self.logits_dense = make_output(config, rngs=rngs)
        self.dropout_rate = config.dropout_rate
        self.remat = config.remat

    def __call__(
        self,
        x: Float[Array, "B T D"],
        encoded: Float[Array, "B S D"],
        *,
        segments: Int[Array, "B T"],
        encoder_segments: Int[Array, "B S"],
        key: Key[Array, ""] | None,
    ) -> Float[Array, "B T D"]:
        keys = split_key(key, len(self.layers) + 2)
        positions = jnp.arange(x.shape[1])
        biases = position_biases(self, positions, positions)
        causal = positions[:, None] >= positions[None, :]
        mask = attention_mask(segments, segments) & causal
        cross_mask = attention_mask(segments, encoder_segments)
        x = dropout(x, self.dropout_rate, keys[-1])
        masks = {"mask": mask, "cross_mask": cross_mask}
        for layer, bias, layer_key in zip(self.layers, biases, keys[:-2], strict=True):
            x = run_layer(layer, x, encoded, **masks, bias=bias, key=layer_key, remat=self.remat)
        return dropout(self.decoder_norm(x), self.dropout_rate, keys[-2])

    def project_encoding(
        self, encoded: Float[Array, "B S D"], segments: Int[Array, "B S"]
    ) -> Encoding:
        """Project an encoding once for all that is decoded from it."""
        cross = [layer.encoder_decoder_attention.project_keys(encoded) for layer in self.layers]
        keys, values = (jnp.stack(arrays) for arrays in zip(*cross, strict=True))
        return Encoding(keys, values, segments != 0)

    def step(
        self,
        x: Float[Array, "B 1 D"],
        cache: DecoderCache,
        position: Int[Array, ""],
        encoding: Encoding,
        *,
        min_rows: int = 0,
    ) -> tuple[Float[Array, "B 1 D"], DecoderCache]:
        """Write one position of every row and return what the logits are made of.

        With `min_rows`, a row's bits are the same for 2 to `min_rows` rows on a CPU.
        """
        key_positions = jnp.arange(cache.keys[0].shape[2])
        biases = position_biases(self, position[None], key_positions)
        mask = (key_positions <= position)[None, None, None, :]
        cross_mask = encoding.mask[:, None, None, :]
        all_keys, all_values = [], []
        for i, layer in enumerate(self.layers):
            h = on_rows(layer.pre_self_attention_layer_norm, x, min_rows)
            keys, values = layer.self_attention.project_keys(h)
            start = (0, 0, position, 0)
            keys = jax.lax.dynamic_update_slice(cache.keys[i], keys, start)
            values = jax.lax.dynamic_update_slice(cache.values[i], values, start)
            x = x + layer.self_attention.attend(
                h, keys, values, mask=mask, bias=biases[i], min_rows=min_rows
            )
            all_keys.append(keys)
            all_values.append(values)
            h = on_rows(layer.pre_cross_attention_layer_norm, x, min_rows)
            x = x + layer.encoder_decoder_attention.attend(
                h, encoding.keys[i], encoding.values[i], mask=cross_mask, min_rows=min_rows
            )
            x = x + layer.mlp(on_rows(layer.pre_mlp_layer_norm, x, min_rows))
        cache = DecoderCache(tuple(all_keys), tuple(all_values))
        return on_rows(self.decoder_norm, x, min_rows), cache


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
        """Embed ids of the vocabulary."""
        x = jnp.take(self.embedding[...], tokens, axis=0)
        return constrain(x.astype(jnp.dtype(self.config.dtype)), "batch", None, None)

    def embed_inputs(self, tokens: Int[Array, "B L"]) -> Float[Array, "B L D"]:
        """Embed what the encoder reads; ids behind the vocabulary are the soft prompt's.

        The decoder has none, so that its first products need no gradient where all else is frozen.
        """
        if not hasattr(self, "soft_prompt"):  # see pe.models.adapters
            return self.embed(tokens)
        number = tokens - self.config.vocab_size
        x = jnp.where(
            (number >= 0)[..., None],
            jnp.take(self.soft_prompt[...], number, axis=0, mode="clip"),
            jnp.take(self.embedding[...], tokens, axis=0, mode="clip"),
        )
        return constrain(x.astype(jnp.dtype(self.config.dtype)), "batch", None, None)

    def encode(
        self,
        inputs: Int[Array, "B L"],
        segments: Int[Array, "B L"],
        *,
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, "B L D"]:
        """Encode token ids; positions of segment 0 are seen by none."""
        return self.encoder(self.embed_inputs(inputs), segments, key=key)

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
        decoded = self.decoder(
            self.embed(decoder_inputs),
            encoded,
            segments=target_segments,
            encoder_segments=input_segments,
            key=keys[1],
        )
        return self.to_logits(decoded)

    def to_logits(self, x: Float[Array, "B T D"]) -> Float[Array, "B T V"]:
        """Project what the decoder gives onto the vocabulary, summing in float32."""
        if self.config.scaled_logits:
            x = x * self.config.d_model**-0.5
        if self.config.tied_logits:
            table = self.embedding[...].astype(x.dtype)
            return jnp.einsum("btd,vd->btv", x, table, preferred_element_type=jnp.float32)
        kernel = self.decoder.logits_dense.kernel[...].astype(x.dtype)
        return multiply_rows(x, kernel, jnp.dtype("float32"))

    def encode_for_decoding(
        self, inputs: Int[Array, "B S"], segments: Int[Array, "B S"]
    ) -> Encoding:
        """Run the encoder once for all texts of a query."""
        return self.decoder.project_encoding(self.encode(inputs, segments), segments)

    def empty_cache(self, num_rows: int, max_tokens: int) -> DecoderCache:
        """Lay out the cache of `num_rows` texts of at most `max_tokens` tokens."""
        config = self.config
        shape = (num_rows, config.num_heads, max_tokens, config.head_dim)
        empties = (jnp.zeros(shape, jnp.dtype(config.dtype)),) * config.num_decoder_layers
        return DecoderCache(empties, empties)

    def decode_step(
        self,
        tokens: Int[Array, " B"],
        cache: DecoderCache,
        position: Int[Array, ""],
        encoding: Encoding,
        *,
        min_rows: int = 0,
    ) -> tuple[Float[Array, "B V"], DecoderCache]:
        """Feed one token a row; return logits of the next and the grown cache."""
        x = self.embed(tokens[:, None])
        x, cache = self.decoder.step(x, cache, position, encoding, min_rows=min_rows)
        return self.to_logits(x)[:, 0], cache


def with_output_table(graph: nnx.GraphDef, params: nnx.State) -> tuple[nnx.GraphDef, nnx.State]:
    """Give a T5 with tied logits a copy of its table as an output matrix [D V]; others stay.

    It writes the same logits. On a CPU a product with the table as it lies, [V D], takes 1.6 times
    as long (measured 2026-11-20), and decoding makes one a token.
    """
    model = nnx.merge(graph, params)
    if not model.config.tied_logits:
        return graph, params
    model.config = dataclasses.replace(model.config, tied_logits=False)
    output = nnx.eval_shape(lambda: make_output(model.config, rngs=nnx.Rngs(0)))
    output.kernel = nnx.Param(jnp.asarray(model.embedding[...]).T.copy())
    model.decoder.logits_dense = output
    return nnx.split(model)


def count_params(config: T5Config) -> int:
    """Count parameters without making them."""
    model = nnx.eval_shape(lambda: T5(config, rngs=nnx.Rngs(0)))
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
