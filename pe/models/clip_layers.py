"""The layers of CLIP and CoCa: pre-norm transformer blocks with biases, after OpenAI's CLIP.

They know nothing of images, tokens or caches beyond keys and values.
"""

from typing import Generic, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from pe.axes import Array, Bool, Float
from pe.models.clip_config import ClipConfig, DecoderConfig, TextConfig, VisionConfig
from pe.models.layers import Initializer, Linear

NEGATIVE = -1e9  # finite: a row that sees nothing averages instead of giving NaN

BlockSizes = VisionConfig | TextConfig | DecoderConfig


def quick_gelu(x: Array) -> Array:
    """Return x * sigmoid(1.702 x), with which OpenAI trained CLIP."""
    return x * jax.nn.sigmoid(1.702 * x)


def gelu(x: Array) -> Array:
    """Return x * Phi(x) by erf in float32, as torch computes it (arXiv:1606.08415).

    `jax.nn.gelu` goes by erfc: on a CPU 2.6 times as long by itself, 3% of a tower (2026-11-20).
    """
    wide = x.astype(jnp.float32)
    return (0.5 * wide * (1 + jax.lax.erf(wide * 0.5**0.5))).astype(x.dtype)


ACTIVATION_FUNCTIONS = {"gelu": gelu, "quick_gelu": quick_gelu}


class Dense(Linear):
    """A matrix and a bias: [... in] -> [... out]."""

    def __init__(
        self, in_width: int, out_width: int, *, init: Initializer, dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        super().__init__(in_width, out_width, init=init, dtype=dtype, rngs=rngs)
        self.bias = nnx.Param(jnp.zeros((out_width,), jnp.float32))

    def __call__(self, x: Float[Array, "*B in"]) -> Float[Array, "*B out"]:
        return super().__call__(x) + self.bias[...].astype(self.dtype)


class LayerNorm(nnx.Module):
    """Mean and variance of the last axis, in float32."""

    def __init__(self, width: int, *, epsilon: float, dtype: jnp.dtype):
        self.scale = nnx.Param(jnp.ones((width,), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((width,), jnp.float32))
        self.epsilon = epsilon
        self.dtype = dtype

    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        x = x.astype(jnp.float32)
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
        y = centred * jax.lax.rsqrt(variance + self.epsilon)
        return (y * self.scale[...] + self.bias[...]).astype(self.dtype)


def split_heads(x: Float[Array, "B L D"], num_heads: int) -> Float[Array, "B N L H"]:
    """Put heads before positions."""
    return x.reshape(*x.shape[:2], num_heads, -1).swapaxes(1, 2)


def join_heads(x: Float[Array, "B N L H"]) -> Float[Array, "B L D"]:
    """Undo `split_heads`."""
    return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1)


def attend(
    queries: Float[Array, "B N T H"],
    keys: Float[Array, "B N S H"],
    values: Float[Array, "B N S H"],
    mask: Bool[Array, "#B #N #T S"] | None,
) -> Float[Array, "B T D"]:
    """Attend, scaled by 1/sqrt(H), softmax in float32; heads are joined again."""
    queries = queries * (queries.shape[-1] ** -0.5)
    scores = jnp.einsum("bnth,bnsh->bnts", queries, keys, preferred_element_type=jnp.float32)
    if mask is not None:
        scores = jnp.where(mask, scores, NEGATIVE)
    weights = jax.nn.softmax(scores, axis=-1).astype(values.dtype)
    return join_heads(jnp.einsum("bnts,bnsh->bnth", weights, values))


class SelfAttention(nnx.Module):
    """Multi-head attention whose queries, keys and values come of one product."""

    def __init__(self, width: int, num_heads: int, *, dtype: jnp.dtype, rngs: nnx.Rngs):
        init = nnx.initializers.normal(width**-0.5)
        self.qkv = Dense(width, 3 * width, init=init, dtype=dtype, rngs=rngs)
        self.out = Dense(width, width, init=init, dtype=dtype, rngs=rngs)
        self.num_heads = num_heads

    def project(
        self, x: Float[Array, "B L D"]
    ) -> tuple[Float[Array, "B N L H"], Float[Array, "B N L H"], Float[Array, "B N L H"]]:
        """Return queries, keys and values."""
        queries, keys, values = (
            split_heads(part, self.num_heads) for part in jnp.split(self.qkv(x), 3, axis=-1)
        )
        return queries, keys, values


class CrossAttention(nnx.Module):
    """Multi-head attention to something else, of another width if need be."""

    def __init__(
        self, width: int, context_width: int, num_heads: int, *, dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        init = nnx.initializers.normal(width**-0.5)
        self.query = Dense(width, width, init=init, dtype=dtype, rngs=rngs)
        self.key = Dense(context_width, width, init=init, dtype=dtype, rngs=rngs)
        self.value = Dense(context_width, width, init=init, dtype=dtype, rngs=rngs)
        self.out = Dense(width, width, init=init, dtype=dtype, rngs=rngs)
        self.num_heads = num_heads

    def project_context(
        self, context: Float[Array, "B S C"]
    ) -> tuple[Float[Array, "B N S H"], Float[Array, "B N S H"]]:
        """Return keys and values of what is attended to, to be kept while decoding."""
        keys, values = self.key(context), self.value(context)
        return split_heads(keys, self.num_heads), split_heads(values, self.num_heads)

    def project_query(self, x: Float[Array, "B T D"]) -> Float[Array, "B N T H"]:
        """Return the queries of what attends."""
        return split_heads(self.query(x), self.num_heads)


class Mlp(nnx.Module):
    """The feed-forward block."""

    def __init__(
        self, width: int, hidden: int, *, activation: str, dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        self.up = Dense(
            width,
            hidden,
            init=nnx.initializers.normal((2 * width) ** -0.5),
            dtype=dtype,
            rngs=rngs,
        )
        self.down = Dense(
            hidden, width, init=nnx.initializers.normal(width**-0.5), dtype=dtype, rngs=rngs
        )
        self.activation = activation

    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        return self.down(ACTIVATION_FUNCTIONS[self.activation](self.up(x)))


A = TypeVar("A", SelfAttention, CrossAttention)


class PreNormBlock(nnx.Module, Generic[A]):
    """What all blocks have: x + attention(norm_1(x)), then x + mlp(norm_2(x))."""

    attention: A

    def __init__(self, sizes: BlockSizes, config: ClipConfig, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.dtype)
        self.norm_1 = LayerNorm(sizes.width, epsilon=config.norm_epsilon, dtype=dtype)
        self.norm_2 = LayerNorm(sizes.width, epsilon=config.norm_epsilon, dtype=dtype)
        self.mlp = Mlp(
            sizes.width, sizes.mlp_width, activation=config.activation, dtype=dtype, rngs=rngs
        )

    def finish(self, x: Float[Array, "*B D"], attended: Float[Array, "*B D"]) -> Array:
        """Go on from a block's input and what its queries found."""
        x = x + self.attention.out(attended)
        return x + self.mlp(self.norm_2(x))


class Block(PreNormBlock[SelfAttention]):
    """A block whose positions attend to each other."""

    def __init__(self, sizes: BlockSizes, config: ClipConfig, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.dtype)
        self.attention = SelfAttention(sizes.width, sizes.num_heads, dtype=dtype, rngs=rngs)
        super().__init__(sizes, config, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], mask: Bool[Array, "#B 1 L L"] | None = None
    ) -> Float[Array, "B L D"]:
        return self.finish(x, attend(*self.project(x), mask))

    def project(
        self, x: Float[Array, "B L D"]
    ) -> tuple[Float[Array, "B N L H"], Float[Array, "B N L H"], Float[Array, "B N L H"]]:
        """Return queries, keys and values of a block's input, for a cache."""
        return self.attention.project(self.norm_1(x))


class CrossBlock(PreNormBlock[CrossAttention]):
    """A block whose attention goes to something else, which has a norm of its own."""

    def __init__(self, sizes: BlockSizes, config: ClipConfig, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.dtype)
        self.norm_context = LayerNorm(sizes.width, epsilon=config.norm_epsilon, dtype=dtype)
        self.attention = CrossAttention(
            sizes.width, sizes.width, sizes.num_heads, dtype=dtype, rngs=rngs
        )
        super().__init__(sizes, config, rngs=rngs)

    def project_context(
        self, context: Float[Array, "B S D"]
    ) -> tuple[Float[Array, "B N S H"], Float[Array, "B N S H"]]:
        """Return keys and values of what is attended to."""
        return self.attention.project_context(self.norm_context(context))

    def __call__(
        self,
        x: Float[Array, "B T D"],
        keys: Float[Array, "B N S H"],
        values: Float[Array, "B N S H"],
    ) -> Float[Array, "B T D"]:
        return self.finish(
            x, attend(self.attention.project_query(self.norm_1(x)), keys, values, None)
        )


AnyBlock = TypeVar("AnyBlock", bound=PreNormBlock)


def make_blocks(
    kind: type[AnyBlock], sizes: BlockSizes, config: ClipConfig, *, rngs: nnx.Rngs
) -> nnx.List[AnyBlock]:
    """Make the blocks of a tower, or of a decoder: as many as `sizes` says."""
    return nnx.List([kind(sizes, config, rngs=rngs) for _ in range(sizes.num_layers)])


class AttentionPooler(nnx.Module):
    """Learned queries that attend to a tower's output (arXiv:2205.01917 sec. 3.2)."""

    def __init__(
        self,
        width: int,
        context_width: int,
        num_heads: int,
        num_queries: int,
        *,
        epsilon: float,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        init = nnx.initializers.normal(1.0)
        self.query = nnx.Param(init(rngs.params(), (num_queries, width), jnp.float32))
        self.norm_query = LayerNorm(width, epsilon=epsilon, dtype=dtype)
        self.norm_context = LayerNorm(context_width, epsilon=epsilon, dtype=dtype)
        self.attention = CrossAttention(width, context_width, num_heads, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "B L C"]) -> Float[Array, "B Q D"]:
        keys, values = self.attention.project_context(self.norm_context(x))
        queries = self.attention.project_query(self.norm_query(self.query[...])[None])
        queries = jnp.broadcast_to(queries, (x.shape[0], *queries.shape[1:]))
        return self.attention.out(attend(queries, keys, values, None))
