"""What is added to a T5 to tune it while its own weights rest: a soft prompt, low-rank matrices.

A soft prompt (arXiv:2104.08691 sec. 2) is P rows that stand in the encoder's input. Here they are
the embeddings of P token ids behind the vocabulary, V .. V+P-1, which whoever lays out the input
puts where they belong: packed rows hold them once a segment, and a model whose table has the rows
appended computes the same.

LoRA (arXiv:2106.09685) adds (alpha / r) x A B to matrices; B starts at zero. With both absent
nothing changes. Knows nothing of how either is trained.
"""

import dataclasses
import re
from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
from flax import nnx

from pe.axes import Float
from pe.models.layers import Linear
from pe.models.t5 import T5

SOFT_PROMPT = "soft_prompt"
ATTENTION = r".*attention\.(query|key|value|out)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Low-rank updates of the matrices whose names `targets` matches whole; rank 0: none."""

    rank: int = 0
    alpha: float = 16.0
    targets: str = ATTENTION

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise ValueError(f"LoraConfig.rank: got {self.rank}, expected 0 (none) or more")
        if self.alpha <= 0:
            raise ValueError(f"LoraConfig.alpha: got {self.alpha}, expected > 0")
        try:
            re.compile(self.targets)
        except re.error as error:
            raise ValueError(
                f"LoraConfig.targets: {self.targets!r} is no regular expression: {error}"
            ) from error

    @property
    def scale(self) -> float:
        """What A B is multiplied by."""
        return self.alpha / self.rank


def add_soft_prompt(model: T5, num_positions: int) -> None:
    """Give a T5 `num_positions` rows for the ids behind its vocabulary; they are zero at first."""
    model.soft_prompt = nnx.Param(jnp.zeros((num_positions, model.config.d_model), jnp.float32))


def add_lora(model: T5, config: LoraConfig, *, rngs: nnx.Rngs) -> None:
    """Give the target matrices their A [in, r], random, and B [r, out], zero.

    Raises ValueError when no matrix is a target.
    """
    targets = [
        linear for name, linear in named_linears(model) if re.fullmatch(config.targets, name)
    ]
    if not targets:
        names = sorted({re.sub(r"\.\d+\.", ".N.", name) for name, _ in named_linears(model)})
        raise ValueError(
            f"LoraConfig.targets: {config.targets!r} matches no matrix; there are {names}"
        )
    init = nnx.initializers.he_uniform()
    for linear in targets:
        in_width, out_width = linear.kernel.shape
        linear.lora_a = nnx.Param(init(rngs.params(), (in_width, config.rank), jnp.float32))
        linear.lora_b = nnx.Param(jnp.zeros((config.rank, out_width), jnp.float32))
        linear.lora_scale = config.scale


def named_linears(model: T5) -> Iterator[tuple[str, Linear]]:
    """Yield every matrix of a model with its dotted name."""
    for path, module in nnx.iter_modules(model):
        if isinstance(module, Linear):
            yield ".".join(map(str, path)), module


def merge_lora(
    kernel: Float[np.ndarray, "in out"],
    a: Float[np.ndarray, "in r"],
    b: Float[np.ndarray, "r out"],
    scale: float,
) -> Float[np.ndarray, "in out"]:
    """Return the matrix with its low-rank update added, in its own type; summed in float32."""
    update = a.astype(np.float32) @ b.astype(np.float32) * np.float32(scale)
    return (kernel.astype(np.float32) + update).astype(kernel.dtype)
