"""Aesthetic scores of pictures from their CLIP embeddings, by LAION's predictors.

Two kinds: one linear layer (LAION-AI/aesthetic-predictor, sa_0_4_vit_*_linear), and five linear
layers with nothing in between but dropout (improved-aesthetic-predictor,
sac+logos+ava1-l14-linearMSE; arXiv:2210.08402 uses it for LAION-Aesthetics). Both are affine maps
of a normalised embedding. Knows nothing about files or CLIP.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from pe.axes import Array, Float

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AestheticHead:
    """Linear layers from an embedding to one score; `digest` is the hash of the weights' file.

    `weights` are [outputs inputs] as PyTorch keeps them. The layers are not multiplied into one:
    a score stays within rounding of the original's. Raises ValueError for layers that do not fit
    each other.
    """

    weights: tuple[Float[Array, "_ _"], ...]
    biases: tuple[Float[Array, " _"], ...]
    digest: str = ""

    def __post_init__(self) -> None:
        if not self.weights or len(self.weights) != len(self.biases):
            raise ValueError(
                f"AestheticHead: got {len(self.weights)} weights and {len(self.biases)} biases, "
                "expected one of each for each layer"
            )
        layers = zip(self.weights, self.biases, strict=True)
        check_layers({f"layer {i} ": (w.shape, b.shape) for i, (w, b) in enumerate(layers)})

    @property
    def embed_dim(self) -> int:
        """Return the width of the embeddings that it rates: 512 of ViT-B/32, 768 of ViT-L/14."""
        return self.weights[0].shape[1]

    def score(self, embeddings: Float[Array | np.ndarray, "B E"]) -> Float[Array, " B"]:
        """Rate embeddings, about 1 to 10, in float32; pure, may be compiled.

        Divides each embedding by its length first (a second time changes nothing), and leaves an
        embedding of zeros as it is. Raises ValueError for another width than `embed_dim`.

        Example (weight [[3, 4]], bias [5]):
          embedding  normalised   score
          [0, 2]     [0,   1]       9
          [6, 8]     [0.6, 0.8]    10
          [0, 0]     [0,   0]       5
        """
        if embeddings.shape[1] != self.embed_dim:
            raise ValueError(
                f"embeddings: got a width of {embeddings.shape[1]}, expected {self.embed_dim}; "
                "use the CLIP that these weights were trained with"
            )
        x = jnp.asarray(embeddings, jnp.float32)
        length = jnp.linalg.norm(x, axis=1, keepdims=True)
        x = x / jnp.where(length == 0, 1, length)
        with jax.default_matmul_precision("float32"):  # a score may not depend on the device
            for weight, bias in zip(self.weights, self.biases, strict=True):
                x = x @ weight.T + bias
        return x[:, 0]


def check_layers(layers: Mapping[str, tuple[Shape, Shape]]) -> None:
    """Check that layers, {prefix: (shape of weight, shape of bias)}, lead to one score.

    Example:
      layers                                          returns
      {"": ((1, 512), (1,))}                          None
      {"0.": ((9, 512), (9,)), "2.": ((1, 9), (1,))}  None
      {"": ((2, 512), (2,))}                          raises ValueError: .. expected [1, 512] ..
    """
    inputs = None  # of the layer: the outputs of the one before
    for number, (prefix, (weight, bias)) in enumerate(layers.items(), start=1):
        is_matrix, is_last = len(weight) == 2 and min(weight) > 0, number == len(layers)
        if inputs is None and is_matrix:
            inputs = weight[1]
        fits = is_matrix and weight[1] == inputs and bias == weight[:1]
        if not fits or (is_last and weight[0] != 1):
            outputs = "1" if is_last else "outputs"
            raise ValueError(
                f"{prefix}weight is {list(weight)} and {prefix}bias {list(bias)}, expected "
                f"[{outputs}, {inputs or 'inputs'}] and [{outputs}]; use a head that gives one "
                "score of an embedding"
            )
        inputs = weight[0]
