"""Token loss. Knows nothing about models, prefixes or where the mask came from."""

import dataclasses

import jax
import jax.numpy as jnp

from pe.axes import Array, Bool, Float, Int


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """`z_loss` keeps the logits' normaliser near 1 (T5X: 1e-4 times its squared logarithm)."""

    z_loss: float = 1e-4

    def __post_init__(self) -> None:
        if self.z_loss < 0.0:
            raise ValueError(f"LossConfig.z_loss: got {self.z_loss}, expected 0 or more")


def token_nll(
    logits: Float[Array, "B L V"], targets: Int[Array, "B L"]
) -> tuple[Float[Array, "B L"], Float[Array, "B L"]]:
    """Return each token's negative log-likelihood (nats) and its row's log normaliser, in float32.

    Example (V = 2, uniform logits of 0):
      targets  [[0, 1]]
      returns  [[log 2, log 2]], [[log 2, log 2]]
    """
    logits = logits.astype(jnp.float32)  # bf16 loses small probabilities
    log_z = jax.nn.logsumexp(logits, axis=-1)
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]  # [B L]
    return log_z - chosen, log_z


def token_xent(
    logits: Float[Array, "B L V"],
    targets: Int[Array, "B L"],
    loss_mask: Bool[Array, "B L"],
    *,
    z_loss: float = 0.0,
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Sum cross entropy and z-loss (nats) over the masked-in tokens; the caller divides, once.

    Returns (cross entropy, z-loss, token count).

    Example (V = 2, logits of 0, z_loss 0.5):
      targets    [[0, 1, 1]]
      loss_mask  [[0, 1, 1]]
      returns    (2 * log 2, 0.5 * 2 * (log 2)^2, 2)
    """
    nll, log_z = token_nll(logits, targets)
    z = z_loss * jnp.square(log_z)
    count = jnp.sum(loss_mask, dtype=jnp.float32)
    return jnp.sum(nll, where=loss_mask), jnp.sum(z, where=loss_mask), count
