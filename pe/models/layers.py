"""The layers T5 is made of. They know nothing of T5's stacks, of tokens or of training.

Masks are built from segment ids, so that padded rows, packed rows and rows whose prefix was dropped
take one path: a position sees another exactly when both carry the same segment id and it is not 0.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from pe.axes import Array, Bool, Float, Int, Key

NEGATIVE = -1e10  # T5X's: finite, so that a row that sees nothing averages instead of giving NaN

Initializer = nnx.Initializer
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": lambda x: jax.nn.gelu(x, approximate=True),
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "linear": lambda x: x,
}


def dropout(x: Float[Array, "B L D"], rate: float, key: Key[Array, ""] | None) -> Array:
    """Zero whole features of a row with probability `rate`, and scale up the rest.

    One draw serves all positions of a row, as in T5X (broadcast over length). Without a key: x.
    """
    if key is None or rate == 0.0:
        return x
    keep = jax.random.bernoulli(key, 1.0 - rate, (x.shape[0], 1, x.shape[2]))
    return jnp.where(keep, x / (1.0 - rate), 0).astype(x.dtype)


def on_rows(f: Callable[[Array], Array], x: Float[Array, "B ..."], min_rows: int) -> Array:
    """Apply f, which treats rows apart, to x padded to `min_rows` rows; return x's own rows.

    XLA on a CPU sums rows in another order where an array has few elements (under 4,096), so a
    row's last bits would depend on how many rows there are. Matrix products do not need this.
    """
    num_rows = x.shape[0]
    if num_rows >= min_rows:
        return f(x)
    padding = ((0, min_rows - num_rows), *((0, 0),) * (x.ndim - 1))
    return f(jnp.pad(x, padding))[:num_rows]


def attention_mask(
    query_segments: Int[Array, "B T"], key_segments: Int[Array, "B S"]
) -> Bool[Array, "B 1 T S"]:
    """Say which query position may see which key position.

    Example (one row; two packed segments, then padding):
      query_segments  [1, 1, 2, 0]
      key_segments    [1, 2, 2]
      returns         [[1, 0, 0], [1, 0, 0], [0, 1, 1], [0, 0, 0]]
    """
    same = query_segments[:, :, None] == key_segments[:, None, :]
    return (same & (key_segments != 0)[:, None, :])[:, None]


def relative_bucket(
    relative_position: Int[Array, "T S"],
    *,
    bidirectional: bool,
    num_buckets: int,
    max_distance: int,
) -> Int[Array, "T S"]:
    """Map key position minus query position to a bucket (arXiv:1910.10683 sec. 2.1).

    Half of the buckets are exact, the rest grow with the logarithm of the distance up to
    `max_distance`; where both directions are seen, each has half of the buckets.

    Example (bidirectional, 8 buckets, max_distance 16):
      relative_position  [[-20, -3, -1, 0, 1, 3, 20]]
      returns            [[  3,  2,  1, 0, 5, 6,  7]]
    """
    offset = jnp.zeros_like(relative_position)
    distance = -relative_position
    if bidirectional:
        num_buckets //= 2
        offset = jnp.where(distance < 0, num_buckets, 0)
        distance = jnp.abs(distance)
    else:
        distance = jnp.maximum(distance, 0)
    num_exact = num_buckets // 2
    log_ratio = jnp.log(distance.astype(jnp.float32) / num_exact + jnp.finfo(jnp.float32).eps)
    log_bucket = num_exact + (
        log_ratio / math.log(max_distance / num_exact) * (num_buckets - num_exact)
    ).astype(jnp.int32)
    log_bucket = jnp.minimum(log_bucket, num_buckets - 1)
    return offset + jnp.where(distance < num_exact, distance, log_bucket)


def multiply_rows(
    x: Float[Array, "*B in"], kernel: Float[Array, "in out"], dtype: jnp.dtype | None = None
) -> Float[Array, "*B out"]:
    """Return x @ kernel, summed in `dtype` where one is given.

    All rows and positions are laid in one dimension first: on a CPU the kernel's gradient then
    takes half the time (measured 2026-11-20). One position a row, as in decoding, stays as it is.
    """
    if x.ndim == 2 or x.shape[-2] == 1:
        return jnp.matmul(x, kernel, preferred_element_type=dtype)
    y = jnp.matmul(x.reshape(-1, x.shape[-1]), kernel, preferred_element_type=dtype)
    return y.reshape(*x.shape[:-1], kernel.shape[-1])


class Linear(nnx.Module):
    """A matrix without a bias: [... in] -> [... out]."""

    def __init__(
        self, in_width: int, out_width: int, *, init: Initializer, dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        self.kernel = nnx.Param(init(rngs.params(), (in_width, out_width), jnp.float32))
        self.dtype = dtype

    def __call__(self, x: Float[Array, "*B in"]) -> Float[Array, "*B out"]:
        x = x.astype(self.dtype)
        y = multiply_rows(x, self.kernel[...].astype(self.dtype))
        if not hasattr(self, "lora_a"):  # see pe.models.adapters
            return y
        low = multiply_rows(x, self.lora_a[...].astype(self.dtype))
        return y + multiply_rows(low, self.lora_b[...].astype(self.dtype)) * self.lora_scale


class RMSNorm(nnx.Module):
    """T5's layer norm: scaled by the root mean square, no mean, no bias; computed in float32."""

    def __init__(self, width: int, *, epsilon: float, dtype: jnp.dtype):
        self.scale = nnx.Param(jnp.ones((width,), jnp.float32))
        self.epsilon = epsilon
        self.dtype = dtype

    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        x = x.astype(jnp.float32)
        variance = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        y = x * jax.lax.rsqrt(variance + self.epsilon)
        return (y * self.scale[...]).astype(self.dtype)


class RelativeBias(nnx.Module):
    """A learned bias per head and distance bucket, of a stack or (umT5) of one layer."""

    def __init__(
        self,
        num_heads: int,
        *,
        bidirectional: bool,
        num_buckets: int,
        max_distance: int,
        rngs: nnx.Rngs,
    ):
        init = nnx.initializers.variance_scaling(1.0, "fan_avg", "uniform")
        self.rel_embedding = nnx.Param(init(rngs.params(), (num_heads, num_buckets), jnp.float32))
        self.bidirectional = bidirectional
        self.num_buckets = num_buckets
        self.max_distance = max_distance

    def __call__(
        self, query_positions: Int[Array, " T"], key_positions: Int[Array, " S"]
    ) -> Float[Array, "1 N T S"]:
        buckets = relative_bucket(
            key_positions[None, :] - query_positions[:, None],
            bidirectional=self.bidirectional,
            num_buckets=self.num_buckets,
            max_distance=self.max_distance,
        )
        return jnp.take(self.rel_embedding[...], buckets, axis=1)[None]


class Attention(nnx.Module):
    """Multi-head attention after T5: no biases, no 1/sqrt(H) (it is folded into the init)."""

    def __init__(
        self,
        width: int,
        num_heads: int,
        head_dim: int,
        *,
        dropout_rate: float,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        inner = num_heads * head_dim
        fan_in = nnx.initializers.variance_scaling(1.0, "fan_in", "normal")
        scaled = nnx.initializers.variance_scaling(1.0 / head_dim, "fan_in", "normal")
        self.query = Linear(width, inner, init=scaled, dtype=dtype, rngs=rngs)
        self.key = Linear(width, inner, init=fan_in, dtype=dtype, rngs=rngs)
        self.value = Linear(width, inner, init=fan_in, dtype=dtype, rngs=rngs)
        self.out = Linear(inner, width, init=fan_in, dtype=dtype, rngs=rngs)
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.dropout_rate = dropout_rate

    def split_heads(self, x: Float[Array, "B L NH"]) -> Float[Array, "B N L H"]:
        """Put heads before positions: on a CPU twice as fast to attend to as the other way."""
        return x.reshape(*x.shape[:2], self.num_heads, self.head_dim).swapaxes(1, 2)

    def project_keys(
        self, x: Float[Array, "B S D"]
    ) -> tuple[Float[Array, "B N S H"], Float[Array, "B N S H"]]:
        """Return keys and values, to be kept while decoding."""
        return self.split_heads(self.key(x)), self.split_heads(self.value(x))

    def attend(
        self,
        x: Float[Array, "B T D"],
        keys: Float[Array, "B N S H"],
        values: Float[Array, "B N S H"],
        *,
        mask: Bool[Array, "#B 1 #T S"],
        bias: Float[Array, "1 N T S"] | None = None,
        key: Key[Array, ""] | None = None,
        min_rows: int = 0,
    ) -> Float[Array, "B T D"]:
        """Attend from x to keys that were projected before; the softmax is float32.

        A key turns dropout of the weights on: of whole key positions of a head, alike for every
        query position, as in T5X. `min_rows`: see `on_rows`.
        """
        queries = self.split_heads(self.query(x))
        scores = jnp.einsum("bnth,bnsh->bnts", queries, keys, preferred_element_type=jnp.float32)
        if bias is not None:
            scores = scores + bias
        scores = jnp.where(mask, scores, NEGATIVE)
        weights = on_rows(jax.nn.softmax, scores, min_rows).astype(values.dtype)
        if key is not None and self.dropout_rate > 0.0:
            shape = (*weights.shape[:2], 1, weights.shape[3])
            keep = jax.random.bernoulli(key, 1.0 - self.dropout_rate, shape)
            weights = weights * (keep / (1.0 - self.dropout_rate)).astype(weights.dtype)
        y = jnp.einsum("bnts,bnsh->bnth", weights, values).swapaxes(1, 2)
        return self.out(y.reshape(*y.shape[:2], -1))

    def __call__(
        self,
        x: Float[Array, "B T D"],
        context: Float[Array, "B S D"],
        *,
        mask: Bool[Array, "#B 1 #T S"],
        bias: Float[Array, "1 N T S"] | None = None,
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, "B T D"]:
        keys, values = self.project_keys(context)
        return self.attend(x, keys, values, mask=mask, bias=bias, key=key)


class GatedMlp(nnx.Module):
    """The feed-forward block: the product of one projection per activation, then `wo`."""

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        activations: tuple[str, ...],
        dropout_rate: float,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        init = nnx.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")
        self.wi = nnx.List(
            [Linear(width, hidden, init=init, dtype=dtype, rngs=rngs) for _ in activations]
        )
        self.wo = Linear(hidden, width, init=init, dtype=dtype, rngs=rngs)
        self.activations = activations
        self.dropout_rate = dropout_rate

    def __call__(
        self, x: Float[Array, "B L D"], *, key: Key[Array, ""] | None = None
    ) -> Float[Array, "B L D"]:
        hidden = None
        for name, wi in zip(self.activations, self.wi, strict=True):
            branch = ACTIVATIONS[name](wi(x))
            hidden = branch if hidden is None else hidden * branch
        assert hidden is not None  # T5Config requires one activation or two
        return self.wo(dropout(hidden, self.dropout_rate, key))
