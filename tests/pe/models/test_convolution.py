"""Convolutions and their gradients, held to XLA's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pe.models.convolution import LAYOUT, convolve, cut_patches, kernel_gradient


def plain(x, kernel, stride):
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=LAYOUT
    )


@pytest.mark.parametrize(
    ("side", "window_px", "stride"), [(8, 3, 1), (8, 3, 2), (7, 3, 2), (6, 2, 1), (8, 5, 1)]
)
def test_gradients_are_those_of_the_plain_convolution(side, window_px, stride):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, side, side, 3)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(window_px, window_px, 3, 4)), jnp.float32)

    def loss(function, x, kernel):
        return jnp.sum(jnp.sin(function(x, kernel, stride)))

    found = jax.jit(jax.grad(lambda x, k: loss(convolve, x, k), argnums=(0, 1)))(x, kernel)
    expected = jax.grad(lambda x, k: loss(plain, x, k), argnums=(0, 1))(x, kernel)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-4)


def test_a_kernel_s_gradient_by_hand():
    x = jnp.arange(4.0).reshape(1, 2, 2, 1)  # [[0, 1], [2, 3]]
    grad = jnp.asarray([[1.0, 0.0], [0.0, 10.0]]).reshape(1, 2, 2, 1)
    found = kernel_gradient(x, grad, window_px=3, stride=1)[..., 0, 0]
    # the middle sees 0 * 1 + 3 * 10, the place right below it 3 * 1
    np.testing.assert_array_equal(found, [[0, 10, 0], [20, 30, 1], [0, 2, 3]])


def test_patches_are_cut_row_by_row():
    pixels = jnp.arange(2 * 4 * 3).reshape(1, 2, 4, 3)
    patches = cut_patches(pixels.astype(jnp.float32), 2)
    assert patches.shape == (1, 1, 2, 12)
    assert patches[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17]
    assert patches[0, 0, 1, :3].tolist() == [6, 7, 8]
