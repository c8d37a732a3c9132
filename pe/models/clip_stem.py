"""A stem of convolutions in place of a ViT's cut patches.

A tower that starts from cut patches has to learn from its pictures what it means to be neighbours;
with few pictures and CPU hours it does not get there. Convolutions are made so, and the tower
learns several times as fast (arXiv:2106.14881). No published CLIP has this stem.
"""

import math

import jax.numpy as jnp
from flax import nnx

from pe.axes import Array, Float
from pe.models.clip_config import STEM_PX, ClipConfig
from pe.models.clip_layers import ACTIVATION_FUNCTIONS, LayerNorm
from pe.models.convolution import convolve, cut_patches

KERNEL_PX = 3


class Convolution(nnx.Module):
    """A convolution without bias, its kernel a matrix of whole windows: (y, x, channel) -> out."""

    def __init__(
        self,
        in_width: int,
        out_width: int,
        *,
        window_px: int,
        stride: int,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        init = nnx.initializers.lecun_normal()
        shape = (window_px**2 * in_width, out_width)
        self.kernel = nnx.Param(init(rngs.params(), shape, jnp.float32))
        self.window_px = window_px
        self.stride = stride
        self.dtype = dtype

    def __call__(self, x: Float[Array, "B Y X in"]) -> Float[Array, "B Y2 X2 out"]:
        side = self.window_px
        x, kernel = x.astype(self.dtype), self.kernel[...].astype(self.dtype)
        if self.stride == side:  # windows that do not overlap are a product
            patches = cut_patches(x, side)
            flat = patches.reshape(-1, patches.shape[-1])  # one axis of rows: see Linear
            return (flat @ kernel).reshape(*patches.shape[:3], -1)
        return convolve(x, kernel.reshape(side, side, x.shape[-1], -1), self.stride)


class StemBlock(nnx.Module):
    """x + activation(norm(convolution(x)))."""

    def __init__(self, width: int, config: ClipConfig, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.dtype)
        self.conv = Convolution(width, width, window_px=KERNEL_PX, stride=1, dtype=dtype, rngs=rngs)
        self.norm = LayerNorm(width, epsilon=config.norm_epsilon, dtype=dtype)
        self.activation = config.activation

    def __call__(self, x: Float[Array, "B Y X D"]) -> Float[Array, "B Y X D"]:
        return x + ACTIVATION_FUNCTIONS[self.activation](self.norm(self.conv(x)))


class StemStage(nnx.Module):
    """A convolution that makes the picture smaller, and blocks that leave its size."""

    def __init__(
        self, in_width: int, width: int, config: ClipConfig, *, is_first: bool, rngs: nnx.Rngs
    ):
        dtype = jnp.dtype(config.dtype)
        self.conv = Convolution(
            in_width,
            width,
            window_px=STEM_PX if is_first else KERNEL_PX,
            stride=STEM_PX if is_first else 2,
            dtype=dtype,
            rngs=rngs,
        )
        self.norm = LayerNorm(width, epsilon=config.norm_epsilon, dtype=dtype)
        self.blocks = nnx.List(
            [StemBlock(width, config, rngs=rngs) for _ in range(config.vision.stem_blocks)]
        )
        self.activation = config.activation

    def __call__(self, x: Float[Array, "B Y X in"]) -> Float[Array, "B Y2 X2 D"]:
        x = ACTIVATION_FUNCTIONS[self.activation](self.norm(self.conv(x)))
        for block in self.blocks:
            x = block(x)
        return x


class Stem(nnx.Module):
    """Pixels -> one token a patch; each stage halves the sides and doubles the width."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        widths = (3, *config.vision.stem_widths)
        self.stages = nnx.List(
            [
                StemStage(widths[i], widths[i + 1], config, is_first=i == 0, rngs=rngs)
                for i in range(len(widths) - 1)
            ]
        )

    def __call__(self, pixels: Float[Array, "B Y X 3"]) -> Float[Array, "B L D"]:
        x = pixels
        for stage in self.stages:
            x = stage(x)
        return x.reshape(x.shape[0], math.prod(x.shape[1:3]), x.shape[3])
