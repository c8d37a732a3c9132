"""MUSIQ, a transformer that rates pictures of any size (arXiv:2108.05997).

Layers, constants and array names are those of google-research/musiq (`multiscale_transformer.py`,
`multiscale_transformer_utils.py`, `resnet.py`, written for flax 0.3.3): standardised convolutions
whose deviation is the biased one, GELU by tanh, epsilons as named below. Ports that differ in these
score differently. Knows nothing about files or how a picture is cut (`pe.data.musiq_input`).
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from pe.axes import Array, Bool, Float, Int

Params = Mapping[str, Array]

STEM_WIDTH = 64
STEM_STRIDE = 4  # of the root convolution and of the pooling after it, together
BLOCK_WIDTH = 4 * STEM_WIDTH
NUM_GROUPS = 32
STD_EPSILON = 1e-5  # added to the deviation of a convolution's kernel
ROOT_EPSILON = 1e-6  # flax 0.3.3's GroupNorm and LayerNorm
BLOCK_EPSILON = 1e-4
NEGATIVE = -1e10
CHUNK_PATCHES = 1024  # 64 MiB an activation of the stem
UNIT = "block1/unit1"
_UNIT_CONVS = ("conv_proj", "conv1", "conv2", "conv3")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MusiqConfig:
    """The sizes of a MUSIQ; the defaults are those of the weights trained on AVA.

    `num_bins` is 10 for AVA (the score is the expected value of 1 to 10) and 1 for KonIQ, SPAQ and
    PaQ-2-PiQ (the output is the score, about 0 to 100). `num_scales` is 1 for the weights that read
    only the picture itself.
    """

    patch_px: int = 32
    width: int = 384
    num_layers: int = 14
    num_heads: int = 6
    mlp_width: int = 1152
    grid_size: int = 10
    num_scales: int = 3
    num_bins: int = 10

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if (value := getattr(self, field.name)) < 1:
                raise ValueError(f"MusiqConfig.{field.name}: got {value}, expected 1 or more")
        if self.width % self.num_heads:
            raise ValueError(
                f"MusiqConfig.num_heads: got {self.num_heads}, expected a divisor of the width, "
                f"{self.width}"
            )
        if self.patch_px % STEM_STRIDE:
            raise ValueError(
                f"MusiqConfig.patch_px: got {self.patch_px}, expected a multiple of {STEM_STRIDE}"
            )


def param_shapes(config: MusiqConfig) -> dict[str, tuple[int, ...]]:
    """Return {name: shape} of a MUSIQ's arrays, named as in Google's files below opt/target."""
    width, mlp = config.width, config.mlp_width
    heads = (config.num_heads, width // config.num_heads)
    shapes: dict[str, tuple[int, ...]] = {"conv_root/kernel": (7, 7, 3, STEM_WIDTH)}
    shapes |= _norm_shapes("gn_root", STEM_WIDTH)
    for conv, norm, kernel_px, num_in, num_out in (
        ("conv_proj", "gn_proj", 1, STEM_WIDTH, BLOCK_WIDTH),
        ("conv1", "gn1", 1, STEM_WIDTH, STEM_WIDTH),
        ("conv2", "gn2", 3, STEM_WIDTH, STEM_WIDTH),
        ("conv3", "gn3", 1, STEM_WIDTH, BLOCK_WIDTH),
    ):
        shapes[f"{UNIT}/{conv}/kernel"] = (kernel_px, kernel_px, num_in, num_out)
        shapes |= _norm_shapes(f"{UNIT}/{norm}", num_out)
    stem_px = config.patch_px // STEM_STRIDE
    shapes |= _dense_shapes("embedding", (stem_px * stem_px * BLOCK_WIDTH,), (width,))
    shapes["Transformer/posembed_input/pos_embedding"] = (1, config.grid_size**2, width)
    shapes["Transformer/scaleembed_input/scale_embedding"] = (1, config.num_scales, width)
    shapes["Transformer/cls"] = (1, 1, width)
    for layer in range(config.num_layers):
        block = f"Transformer/encoderblock_{layer}"
        shapes |= _norm_shapes(f"{block}/LayerNorm_0", width)
        attention = f"{block}/MultiHeadDotProductAttention_1"
        for name in ("query", "key", "value"):
            shapes |= _dense_shapes(f"{attention}/{name}", (width,), heads)
        shapes |= _dense_shapes(f"{attention}/out", heads, (width,))
        shapes |= _norm_shapes(f"{block}/LayerNorm_2", width)
        shapes |= _dense_shapes(f"{block}/MlpBlock_3/Dense_0", (width,), (mlp,))
        shapes |= _dense_shapes(f"{block}/MlpBlock_3/Dense_1", (mlp,), (width,))
    shapes |= _norm_shapes("Transformer/encoder_norm", width)
    return shapes | _dense_shapes("head", (width,), (config.num_bins,))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Musiq:
    """A MUSIQ with its weights, in float32; `digest` is the hash of the file they come from."""

    config: MusiqConfig
    params: Params
    digest: str = ""

    def score(
        self,
        patches: Shaped[Array | np.ndarray, "B L D"],
        positions: Shaped[Array | np.ndarray, "B L"],
        scales: Shaped[Array | np.ndarray, "B L"],
        mask: Shaped[Array | np.ndarray, "B L"],
    ) -> Float[Array, " B"]:
        """Rate pictures: a higher score is a better picture. Compiles once per shape.

        Takes what `pe.data.musiq_input.stack_inputs` gives. Raises ValueError for patches of
        another size, and for positions and scales that the weights do not have.
        """
        expected = self.config.patch_px**2 * 3
        if patches.shape[2] != expected:
            raise ValueError(
                f"patches: got {patches.shape[2]} values each, expected {expected}: "
                f"{self.config.patch_px} x {self.config.patch_px} px of RGB"
            )
        # An index out of range would be answered with some other row
        for name, values, count in (
            ("positions", positions, self.config.grid_size**2),
            ("scales", scales, self.config.num_scales),
        ):
            indices = np.asarray(values)
            if indices.size and (indices.min() < 0 or indices.max() >= count):
                bad = indices.min() if indices.min() < 0 else indices.max()
                raise ValueError(
                    f"{name}: got {bad}, expected 0 to {count - 1}: these weights know "
                    f"{self.config.num_scales} scales and a grid of {self.config.grid_size}; "
                    "prepare the pictures with the same MusiqInputConfig"
                )
        arrays = (jnp.asarray(patches, jnp.float32), jnp.asarray(positions), jnp.asarray(scales))
        return score_patches(self.params, *arrays, jnp.asarray(mask, bool), config=self.config)


@functools.partial(jax.jit, static_argnames="config")
def score_patches(
    params: Params,
    patches: Float[Array, "B L D"],
    positions: Int[Array, "B L"],
    scales: Int[Array, "B L"],
    mask: Bool[Array, "B L"],
    *,
    config: MusiqConfig,
) -> Float[Array, " B"]:
    """Return the expected value of the bins 1, 2, ..; of a single output that output."""
    logits = predict(params, patches, positions, scales, mask, config=config)
    if config.num_bins == 1:
        return logits[:, 0]
    return jax.nn.softmax(logits) @ jnp.arange(1, config.num_bins + 1, dtype=jnp.float32)


def predict(
    params: Params,
    patches: Float[Array, "B L D"],
    positions: Int[Array, "B L"],
    scales: Int[Array, "B L"],
    mask: Bool[Array, "B L"],
    *,
    config: MusiqConfig,
) -> Float[Array, "B C"]:
    """Return logits of the bins, [B num_bins], in float32 (arXiv:2108.05997 sec. 3).

    Patches that `mask` leaves out are seen by no other. What they hold must be finite.
    """
    with jax.default_matmul_precision("float32"):  # a score may not depend on the device
        x = _embed(params, patches, config)
        x += params["Transformer/posembed_input/pos_embedding"][0][positions]
        x += params["Transformer/scaleembed_input/scale_embedding"][0][scales]
        first = jnp.broadcast_to(params["Transformer/cls"], (len(x), 1, config.width))
        x = jnp.concatenate([first, x], axis=1)  # [B 1+L D]
        seen = jnp.pad(mask, ((0, 0), (1, 0)), constant_values=True)
        bias = jnp.where(seen, 0.0, NEGATIVE)[:, None, None, :]  # [B 1 1 1+L]
        for layer in range(config.num_layers):
            block = f"Transformer/encoderblock_{layer}"
            y = _layer_norm(params, f"{block}/LayerNorm_0", x)
            x += _attend(params, f"{block}/MultiHeadDotProductAttention_1", y, bias)
            y = _layer_norm(params, f"{block}/LayerNorm_2", x)
            y = jax.nn.gelu(_dense(params, f"{block}/MlpBlock_3/Dense_0", y), approximate=True)
            x += _dense(params, f"{block}/MlpBlock_3/Dense_1", y)
        x = _layer_norm(params, "Transformer/encoder_norm", x[:, 0])  # [B D]
        return _dense(params, "head", x)


def _embed(params: Params, patches: Float[Array, "B L D"], config: MusiqConfig) -> Array:
    """Run the small ResNet over each patch and project it, [B L D] of the model's width."""
    kernels = {
        name: _standardize(params[f"{name}/kernel"])
        for name in ("conv_root", *(f"{UNIT}/{conv}" for conv in _UNIT_CONVS))
    }

    def embed_one(patch: Array) -> Array:  # [patch_px * patch_px * 3] -> [width]
        x = patch.reshape(1, config.patch_px, config.patch_px, 3)
        x = _conv(x, kernels["conv_root"], stride=2)
        x = jax.nn.relu(_group_norm(params, "gn_root", x, ROOT_EPSILON))
        window, strides = (1, 3, 3, 1), (1, 2, 2, 1)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, strides, "SAME")
        unit = lambda x, n: _group_norm(  # noqa: E731
            params, f"{UNIT}/gn{n}", _conv(x, kernels[f"{UNIT}/conv{n}"]), BLOCK_EPSILON
        )
        residual = _conv(x, kernels[f"{UNIT}/conv_proj"])
        residual = _group_norm(params, f"{UNIT}/gn_proj", residual, BLOCK_EPSILON)
        x = jax.nn.relu(unit(jax.nn.relu(unit(x, 1)), 2))
        x = jax.nn.relu(residual + unit(x, 3))  # [1 stem_px stem_px BLOCK_WIDTH]
        return _dense(params, "embedding", x.reshape(-1))

    num_rows, length, size = patches.shape
    flat = patches.reshape(num_rows * length, size)
    embedded = jax.lax.map(embed_one, flat, batch_size=min(CHUNK_PATCHES, len(flat)))
    return embedded.reshape(num_rows, length, config.width)


def _standardize(kernel: Array) -> Array:
    """Give each output channel of a kernel mean 0 and deviation 1 (arXiv:1903.10520)."""
    kernel = kernel - jnp.mean(kernel, axis=(0, 1, 2))
    return kernel / (jnp.std(kernel, axis=(0, 1, 2)) + STD_EPSILON)


def _conv(x: Array, kernel: Array, *, stride: int = 1) -> Array:
    """Convolve [B Y X C]; of an odd margin the larger half lies at the end."""
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=layout
    )


def _group_norm(params: Params, name: str, x: Array, epsilon: float) -> Array:
    """Normalise [B Y X C] over the place and the channels of each of 32 groups."""
    grouped = x.reshape(*x.shape[:3], NUM_GROUPS, x.shape[3] // NUM_GROUPS)
    mean = jnp.mean(grouped, axis=(1, 2, 4), keepdims=True)
    variance = jnp.var(grouped, axis=(1, 2, 4), keepdims=True)
    grouped = (grouped - mean) * jax.lax.rsqrt(variance + epsilon)
    return grouped.reshape(x.shape) * params[f"{name}/scale"] + params[f"{name}/bias"]


def _layer_norm(params: Params, name: str, x: Array) -> Array:
    mean, variance = (f(x, axis=-1, keepdims=True) for f in (jnp.mean, jnp.var))
    x = (x - mean) * jax.lax.rsqrt(variance + ROOT_EPSILON)
    return x * params[f"{name}/scale"] + params[f"{name}/bias"]


def _dense(params: Params, name: str, x: Array) -> Array:
    return x @ params[f"{name}/kernel"] + params[f"{name}/bias"]


def _attend(params: Params, name: str, x: Array, bias: Array) -> Array:
    """Let every position see those whose bias is 0, [B L D] -> [B L D]."""
    query, key, value = (
        jnp.einsum("bld,dnh->blnh", x, params[f"{name}/{part}/kernel"])
        + params[f"{name}/{part}/bias"]
        for part in ("query", "key", "value")
    )
    logits = jnp.einsum("btnh,bsnh->bnts", query / math.sqrt(query.shape[-1]), key) + bias
    mixed = jnp.einsum("bnts,bsnh->btnh", jax.nn.softmax(logits), value)
    kernel = params[f"{name}/out/kernel"]
    return jnp.einsum("btnh,nhd->btd", mixed, kernel) + params[f"{name}/out/bias"]


def _norm_shapes(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}/scale": (width,), f"{name}/bias": (width,)}


def _dense_shapes(
    name: str, inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> dict[str, tuple[int, ...]]:
    return {f"{name}/kernel": (*inputs, *outputs), f"{name}/bias": outputs}
