"""The loss of a CLIP or a CoCa over pictures and texts: contrast, captions and votes.

Each picture is to be nearest to its own text among the batch's, and each text to its picture
(arXiv:2103.00020 sec. 2.3); a CoCa also says each caption's next token (arXiv:2205.01917 eq. 4);
an aesthetic head learns people's votes from the embedding, which learns to show them. The loop and
the step know only the function this makes.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pe.axes import Array, Float, Int, Key
from pe.models.clip import PAD_ID, Clip, normalize
from pe.models.clip_layers import NEGATIVE
from pe.models.coca import Coca
from pe.train.loss import token_nll
from pe.train.step import LossOutput

MAX_LOG_SCALE = 4.6052  # log 100, where CLIP's temperature is held
METRIC_NAMES = ("contrast", "recall", "caption_nll", "vote_error")
HEAD_PREFIX = "head."
HEAD_WEIGHT, HEAD_BIAS = (
    f"{HEAD_PREFIX}weight",
    f"{HEAD_PREFIX}bias",
)  # parameters beside the model's: [1 E], [1]
HEAD_SCALE = 10.0  # votes differ by numbers, coordinates of an embedding by tenths


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageTextLossConfig:
    """How much captions and votes weigh beside the contrast (CoCa: captions 2), and the pixels.

    rarity_power   in a caption's loss a token weighs its share of all tokens to the power of minus
                   this; 0: all alike. What tells things apart is rarer than what tells places, so
                   that a small tower learns shapes sooner with 0.5
    pixel_mean     pixels of 0 to 255 become (pixel / 255 - pixel_mean) / pixel_std
    """

    caption_weight: float = 2.0
    rarity_power: float = 0.0
    vote_weight: float = 0.0
    pixel_mean: float = 0.5
    pixel_std: float = 0.5

    def __post_init__(self) -> None:
        for name in ("caption_weight", "rarity_power", "vote_weight"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"ImageTextLossConfig.{name}: got {getattr(self, name)}, expected 0 or more"
                )
        if self.pixel_std <= 0:
            raise ValueError(
                f"ImageTextLossConfig.pixel_std: got {self.pixel_std}, expected above 0"
            )


def contrast(
    images: Float[Array, "B E"],
    texts: Float[Array, "B E"],
    scale: Float[Array, ""],
    tokens: Int[Array, "B L"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Sum the cross entropy (nats) of both directions, halved, and the pictures found by text.

    Rows have length 1; row i of both belong together. `tokens` are those of the texts: a picture is
    not held against a text of the same words as its own, since that is no wrong one.

    Example (E = 2, scale = 0): images [[1, 0], [0, 1]], texts [[1, 0], [0, 1]]
      tokens [[5], [6]]  returns  (2 * log 2, 2)
      tokens [[5], [5]]  returns  (0, 2)
    """
    is_same = jnp.all(tokens[:, None] == tokens[None], axis=2)
    is_other = is_same & ~jnp.eye(len(tokens), dtype=bool)
    cosines = images @ texts.T
    logits = jnp.where(is_other, NEGATIVE, scale * cosines)
    own = jnp.arange(logits.shape[0])
    by_image = -jax.nn.log_softmax(logits, axis=1)[own, own]
    by_text = -jax.nn.log_softmax(logits, axis=0)[own, own]
    found = jnp.argmax(jnp.where(is_other, NEGATIVE, cosines), axis=0) == own
    return jnp.sum(by_image + by_text) / 2, jnp.sum(found, dtype=jnp.float32)


def head_arrays(params: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return weight [1 E] and bias [1] of the aesthetic head as it is applied."""
    return HEAD_SCALE * params[HEAD_WEIGHT], params[HEAD_BIAS]


def head_params(weight: Any, bias: Any) -> dict[str, Any]:
    """Return the parameters of a head that is applied as weight [1 E] and bias [1]."""
    return {HEAD_WEIGHT: weight / HEAD_SCALE, HEAD_BIAS: bias}


def weigh_tokens(captions: Int[np.ndarray, "R L"], size: int, power: float) -> np.ndarray:
    """Return each token's weight [V] in the loss of captions: its share to the power of -power.

    Weights are scaled so that their mean over all that is said is 1; what is never said has 1.

    Example (power 1, start 1, end 2):
      captions  [[1, 5, 2], [1, 6, 2]]
      returns   2: 2/3, 5: 4/3, 6: 4/3
    """
    said = captions[:, 1:]
    counts = np.bincount(said[said != PAD_ID].ravel(), minlength=size).astype(np.float64)
    weights = np.where(counts > 0, np.maximum(counts, 1.0) ** -power, 0.0)
    weights *= counts.sum() / np.sum(weights * counts)
    return np.where(counts > 0, weights, 1.0).astype(np.float32)


def caption_xent(
    logits: Float[Array, "B L V"],
    tokens: Int[Array, "B L"],
    token_weights: Float[Array, " V"] | None = None,
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Sum the cross entropy (nats) of each next token of captions; count them; average, weighed.

    `logits` at a position are of the token behind it; padding is not said. Without weights the
    third is the first divided by the second.
    """
    targets = tokens[:, 1:]
    is_said = targets != PAD_ID
    nll = jnp.where(is_said, token_nll(logits[:, :-1], targets)[0], 0.0)
    weights = is_said.astype(jnp.float32)
    count = jnp.sum(weights)
    if token_weights is not None:
        weights *= token_weights[targets]
    return jnp.sum(nll), count, jnp.sum(weights * nll) / jnp.maximum(jnp.sum(weights), 1e-6)


def make_image_text_loss(
    bind: Callable[[Any], Clip],
    config: ImageTextLossConfig,
    *,
    token_weights: Float[np.ndarray, " V"] | None = None,
) -> Callable[[Any, dict[str, Any], Int[Array, ""], Key[Array, ""]], LossOutput]:
    """Make the training loss: (params, batch, step, key) -> sums over the batch's pictures.

    A batch has `pixels` [B Y X 3] of 0 to 255, `texts` [B L] and, for a CoCa, `captions` [B L]: ids
    with start and end, padded with 0; with a weight for votes also `scores` [B], and the parameters
    hold a head. What is contrasted is one microbatch. `token_weights` are those of `weigh_tokens`.
    """

    def loss_fn(params: Any, batch: dict[str, Any], step: Array, key: Array) -> LossOutput:
        del step, key
        model = bind({name: p for name, p in params.items() if not name.startswith(HEAD_PREFIX)})
        pixels = batch["pixels"].astype(jnp.float32) / 255
        images, tokens = model.visual.encode((pixels - config.pixel_mean) / config.pixel_std)
        images = normalize(images)
        scale = jnp.exp(jnp.minimum(model.logit_scale[...], MAX_LOG_SCALE))
        texts = normalize(model.text(batch["texts"]))
        count = jnp.float32(images.shape[0])
        total, found = contrast(images, texts, scale, batch["texts"])
        none = (jnp.float32(0), jnp.float32(0))
        metrics = {"contrast": (total, count), "recall": (found, count)}
        metrics |= {"caption_nll": none, "vote_error": none}
        if isinstance(model, Coca):
            captions = batch["captions"]
            weights = None if token_weights is None else jnp.asarray(token_weights)
            logits = model.caption_logits(tokens, captions)
            nll, said, mean = caption_xent(logits, captions, weights)
            metrics["caption_nll"] = (nll, said)
            total += config.caption_weight * count * mean
        if config.vote_weight:
            weight, bias = head_arrays(params)
            error = jnp.sum(((images @ weight.T + bias)[:, 0] - batch["scores"]) ** 2)
            metrics["vote_error"] = (error, count)
            total += config.vote_weight * error
        return LossOutput(loss_sum=total, count=count, metrics=metrics)

    return loss_fn
