"""Square convolutions over [B Y X C], with gradients that are fast on a CPU too.

XLA's own gradient of a kernel takes a CPU 1.1 to 1.9 times as long as a product for each place of
the window, and that of its input 1.2 to 1.8 times as long as one more convolution with the kernel
turned round (measured 2026-12-01, windows of 3, 28 to 7 pixels a side, 48 to 192 channels).
"""

import functools

import jax
import jax.numpy as jnp

from pe.axes import Array, Float

LAYOUT = ("NHWC", "HWIO", "NHWC")


def cut_patches(pixels: Float[Array, "B Y X C"], patch_px: int) -> Float[Array, "B Y2 X2 PPC"]:
    """Cut images into square patches, each flattened as (y, x, channel)."""
    num, height, width, channels = pixels.shape
    rows, columns = height // patch_px, width // patch_px
    cut = pixels.reshape(num, rows, patch_px, columns, patch_px, channels)
    return cut.transpose(0, 1, 3, 2, 4, 5).reshape(num, rows, columns, -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(
    x: Float[Array, "B Y X in"], kernel: Float[Array, "W W in out"], stride: int
) -> Float[Array, "B Y2 X2 out"]:
    """Convolve with as much padding as keeps the size, divided by the stride ("SAME")."""
    return _convolve(x, kernel, stride)


def _convolve(x: Array, kernel: Array, stride: int) -> Array:
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), padding="SAME", dimension_numbers=LAYOUT
    )


def _forward(x: Array, kernel: Array, stride: int) -> tuple[Array, tuple[Array, Array]]:
    return _convolve(x, kernel, stride), (x, kernel)


def _backward(stride: int, kept: tuple[Array, Array], grad: Array) -> tuple[Array, Array]:
    x, kernel = kept
    by_kernel = jax.lax.platform_dependent(
        x,
        grad,
        cpu=functools.partial(kernel_gradient, window_px=kernel.shape[0], stride=stride),
        default=lambda x, grad: jax.vjp(lambda k: _convolve(x, k, stride), kernel)[1](grad)[0],
    )

    def turned(kernel: Array, grad: Array) -> Array:
        return _convolve(grad, kernel[::-1, ::-1].swapaxes(2, 3), 1)

    def transposed(kernel: Array, grad: Array) -> Array:
        return jax.vjp(lambda x: _convolve(x, kernel, stride), x)[1](grad)[0]

    if stride == 1 and kernel.shape[0] % 2:
        return jax.lax.platform_dependent(kernel, grad, cpu=turned, default=transposed), by_kernel
    return transposed(kernel, grad), by_kernel


def kernel_gradient(
    x: Float[Array, "B Y X in"], grad: Float[Array, "B Y2 X2 out"], *, window_px: int, stride: int
) -> Float[Array, "W W in out"]:
    """Return the gradient of a kernel: for each place of its window one product."""
    rows, columns = grad.shape[1:3]
    pads = [
        divmod(max(0, (small - 1) * stride + window_px - large), 2)
        for large, small in zip(x.shape[1:3], (rows, columns), strict=True)
    ]
    padding = [(half, half + rest) for half, rest in pads]
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    flat = grad.reshape(-1, grad.shape[-1])

    def at_place(y: int, x: int) -> Array:
        seen = padded[
            :,
            y : y + (rows - 1) * stride + 1 : stride,
            x : x + (columns - 1) * stride + 1 : stride,
        ]
        return seen.reshape(-1, seen.shape[-1]).T @ flat

    places = range(window_px)
    return jnp.stack([jnp.stack([at_place(y, x) for x in places]) for y in places])


convolve.defvjp(_forward, _backward)
