"""Scores of LAION's heads by hand, against numpy and against torch's goldens."""

import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pe.models.aesthetic import AestheticHead, check_layers
from pe.weights.aesthetic import open_head

GOLDENS = Path(__file__).resolve().parents[2] / "goldens" / "aesthetic"


def make_head(*layers):
    weights, biases = zip(*layers, strict=True)
    return AestheticHead(
        weights=tuple(jnp.asarray(weight, jnp.float32) for weight in weights),
        biases=tuple(jnp.asarray(bias, jnp.float32) for bias in biases),
    )


def test_score_gives_the_rows_of_its_docstring():
    head = make_head(([[3, 4]], [5]))
    embeddings = np.array([[0, 2], [6, 8], [0, 0]], np.float32)
    np.testing.assert_allclose(head.score(embeddings), [9, 10, 5], atol=1e-5)
    assert head.embed_dim == 2


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_scores_equal_those_of_torch(name):
    with np.load(GOLDENS / "expected.npz") as file:
        embeddings, expected = file["embeddings"], file[name]
    head = open_head(GOLDENS / f"{name}.safetensors")
    np.testing.assert_allclose(head.score(embeddings), expected, atol=1e-6)
    np.testing.assert_allclose(jax.jit(head.score)(embeddings), expected, atol=1e-6)


def test_layers_follow_each_other_without_an_activation():
    rng = np.random.default_rng(0)
    sizes = (6, 5, 4, 1)
    layers = [
        (rng.normal(size=(n_out, n_in)), rng.normal(size=n_out))
        for n_in, n_out in itertools.pairwise(sizes)
    ]
    x = rng.normal(size=(7, 6))
    y = x / np.linalg.norm(x, axis=1, keepdims=True)
    for weight, bias in layers:
        y = y @ weight.T + bias
    found = make_head(*layers).score(x.astype(np.float32))
    np.testing.assert_allclose(found, y[:, 0], atol=1e-5)


def test_embeddings_of_half_precision_are_rated_in_float32():
    head = make_head(([[3, 4]], [5]))
    scores = head.score(jnp.asarray([[300.0, 400.0]], jnp.float16))  # whose square is no float16
    assert scores.dtype == jnp.float32
    np.testing.assert_allclose(scores, [10], atol=1e-5)


def test_the_gradient_is_finite():
    head = make_head(([[3, 4]], [5]))
    gradient = jax.grad(lambda x: head.score(x).sum())(jnp.array([[1.0, 2.0]]))
    assert bool(jnp.isfinite(gradient).all())


def test_embeddings_of_another_width_are_named():
    with pytest.raises(ValueError, match="got a width of 3, expected 2; use the CLIP"):
        make_head(([[3, 4]], [5])).score(np.zeros((1, 3), np.float32))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([([[1, 2], [3, 4]], [5, 6])], r"layer 0 weight is \[2, 2\] and .* expected \[1, 2\] and"),
        ([([[1, 2]], [5, 6])], r"layer 0 bias \[2\], expected \[1, 2\] and \[1\]; use a head"),
        ([([[1, 2]], [5]), ([[1, 2]], [5])], r"layer 1 weight is \[1, 2\] .* expected \[1, 1\]"),
    ],
    ids=["outputs", "bias", "chain"],
)
def test_layers_that_do_not_fit_are_named(layers, message):
    with pytest.raises(ValueError, match=message):
        make_head(*layers)


def test_check_layers_gives_the_rows_of_its_docstring():
    check_layers({"": ((1, 512), (1,))})
    check_layers({"0.": ((9, 512), (9,)), "2.": ((1, 9), (1,))})
    with pytest.raises(
        ValueError, match=r"^weight is \[2, 512\] and bias \[2\], expected \[1, 512"
    ):
        check_layers({"": ((2, 512), (2,))})


@pytest.mark.parametrize("shapes", [((4,), (1,)), ((), ()), ((1, 0), (1,)), ((1, 2), ())])
def test_layers_of_another_number_of_axes_are_named(shapes):
    with pytest.raises(ValueError, match=r"^weight is \[.*\] and bias \[.*\], expected \[1, "):
        check_layers({"": shapes})
