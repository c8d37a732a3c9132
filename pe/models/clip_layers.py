"""The layers of CLIP and CoCa: pre-norm transformer blocks with biases, after OpenAI's CLIP.

They know nothing of images, tokens or caches beyond keys and values.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from pe.axes import Array, Bool, Float
from pe.models.layers import Initializer, multiply_rows

NEGATIVE = -1e9  # finite: a row that sees nothing averages instead of giving NaN


def quick_gelu(x: Array) -> Array:
    """Return x * sigmoid(1.702 x), with which OpenAI trained CLIP."""
    return x * jax.nn.sigmoid(1.702 * x)


def gelu(x: Array) -> Array:
    """Return x * Phi(x) by erf in float32, as torch computes it (arXiv:1606.08415).

    `jax.nn.gelu` goes by erfc: on a CPU 2.6 times as long by itself, 3% of a tower (2026-11-20).
    """
    wide = x.astype(jnp.float32)
    return (0.5 * wide * (1 + jax.lax.erf(wide * 0.5**0.5))).astype(x.dtype)


ACTIVATIONS = {"gelu": gelu, "quick_gelu": quick_gelu}


class Dense(nnx.Module):
    """A matrix and, if wanted, a bias: [... in] -> [... out]."""

    def __init__(
        self,
        in_width: int,
        out_width: int,
        *,
        init: Initializer,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
        has_bias: bool = True,
    ):
        self.kernel = nnx.Param(init(rngs.params(), (in_width, out_width), jnp.float32))
        if has_bias:
            self.bias = nnx.Param(jnp.zeros((out_width,), jnp.float32))
        self.has_bias = has_bias
        self.dtype = dtype

    def __call__(self, x: Float[Array, "*B in"]) -> Float[Array, "*B out"]:
        y = multiply_rows(x.astype(self.dtype), self.kernel[...].astype(self.dtype))
        return y + self.bias[...].astype(self.dtype) if self.has_bias else y


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

    def __call__(
        self, x: Float[Array, "B L D"], mask: Bool[Array, "#B 1 L L"] | None
    ) -> Float[Array, "B L D"]:
        return self.out(attend(*self.project(x), mask))


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

    def attend_to(
        self,
        x: Float[Array, "B T D"],
        keys: Float[Array, "B N S H"],
        values: Float[Array, "B N S H"],
    ) -> Float[Array, "B T D"]:
        """Attend from x to what `project_context` gave."""
        return self.out(attend(split_heads(self.query(x), self.num_heads), keys, values, None))


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
        return self.down(ACTIVATIONS[self.activation](self.up(x)))


class Block(nnx.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(
        self,
        width: int,
        num_heads: int,
        mlp_width: int,
        *,
        activation: str,
        epsilon: float,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.norm_1 = LayerNorm(width, epsilon=epsilon, dtype=dtype)
        self.attention = SelfAttention(width, num_heads, dtype=dtype, rngs=rngs)
        self.norm_2 = LayerNorm(width, epsilon=epsilon, dtype=dtype)
        self.mlp = Mlp(width, mlp_width, activation=activation, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], mask: Bool[Array, "#B 1 L L"] | None = None
    ) -> Float[Array, "B L D"]:
        x = x + self.attention(self.norm_1(x), mask)
        return x + self.mlp(self.norm_2(x))

    def project(
        self, x: Float[Array, "B L D"]
    ) -> tuple[Float[Array, "B N L H"], Float[Array, "B N L H"], Float[Array, "B N L H"]]:
        """Return queries, keys and values of a block's input, for a cache."""
        return self.attention.project(self.norm_1(x))

    def finish(self, x: Float[Array, "*B D"], attended: Float[Array, "*B D"]) -> Array:
        """Go on from a block's input and what its queries found."""
        x = x + self.attention.out(attended)
        return x + self.mlp(self.norm_2(x))


class CrossBlock(nnx.Module):
    """A block whose attention goes to something else, which has a norm of its own."""

    def __init__(
        self,
        width: int,
        num_heads: int,
        mlp_width: int,
        *,
        activation: str,
        epsilon: float,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.norm_1 = LayerNorm(width, epsilon=epsilon, dtype=dtype)
        self.norm_context = LayerNorm(width, epsilon=epsilon, dtype=dtype)
        self.attention = CrossAttention(width, width, num_heads, dtype=dtype, rngs=rngs)
        self.norm_2 = LayerNorm(width, epsilon=epsilon, dtype=dtype)
        self.mlp = Mlp(width, mlp_width, activation=activation, dtype=dtype, rngs=rngs)

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
        x = x + self.attention.attend_to(self.norm_1(x), keys, values)
        return x + self.mlp(self.norm_2(x))


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
        queries = split_heads(
            self.attention.query(self.norm_query(self.query[...])[None]), self.attention.num_heads
        )
        queries = jnp.broadcast_to(queries, (x.shape[0], *queries.shape[1:]))
        return self.attention.out(attend(queries, keys, values, None))
