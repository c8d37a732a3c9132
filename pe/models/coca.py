"""CoCa in open_clip's form: CLIP's towers and a decoder that writes (arXiv:2205.01917).

The text tower reads the caption so far; the decoder reads what it makes of each token, and the
image's tokens, and says which token comes next. Knows token ids, nothing of how one is chosen.

While captioning, the K beams of an image stand where a text's positions stand elsewhere: one step
is [B K D], and an image's keys serve all of its beams. What a beam sees of the caches is the
caller's mask, so that beams that change places move no keys (`pe.decode.caption`).
"""

import dataclasses
from collections.abc import Iterable

import jax
import jax.numpy as jnp
from flax import nnx

from pe.axes import Array, Bool, Float, Int
from pe.models.clip import PAD_ID, Clip
from pe.models.clip_config import ClipConfig, DecoderConfig
from pe.models.clip_layers import Block, CrossBlock, LayerNorm, attend, make_blocks
from pe.models.layers import Linear

KeysValues = tuple[Float[Array, "B N S H"], Float[Array, "B N S H"]]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class StackKeys:
    """Keys and values that each block of a stack attends to: of S image tokens or S slots."""

    keys: tuple[Float[Array, "B N S H"], ...]
    values: tuple[Float[Array, "B N S H"], ...]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class CaptionCache:
    """What was written so far, position by position, for the causal blocks of both stacks.

    Slot `position * K + beam` holds what that beam wrote at that position.
    """

    text: StackKeys
    decoder: StackKeys


class TextDecoder(nnx.Module):
    """The text tower's outputs and image tokens -> logits of the next token."""

    def __init__(self, config: ClipConfig, decoder: DecoderConfig, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.dtype)
        self.blocks = make_blocks(Block, decoder, config, rngs=rngs)
        self.cross_blocks = make_blocks(CrossBlock, decoder, config, rngs=rngs)
        self.norm_final = LayerNorm(decoder.width, epsilon=config.norm_epsilon, dtype=dtype)
        self.projection = Linear(
            decoder.width,
            config.text.vocab_size,
            init=nnx.initializers.normal(decoder.width**-0.5),
            dtype=dtype,
            rngs=rngs,
        )

    def project_image(self, image_tokens: Float[Array, "B S D"]) -> StackKeys:
        """Return what every step of a caption attends to."""
        return _to_stack(block.project_context(image_tokens) for block in self.cross_blocks)

    def to_logits(self, x: Float[Array, "*B D"]) -> Float[Array, "*B V"]:
        """Return float32 logits of the last block's output."""
        return self.projection(self.norm_final(x)).astype(jnp.float32)

    def __call__(
        self, x: Float[Array, "B L D"], image_tokens: Float[Array, "B S D"]
    ) -> Float[Array, "B L V"]:
        image = self.project_image(image_tokens)
        mask = jnp.tril(jnp.ones((x.shape[1], x.shape[1]), bool))[None, None]
        for block, cross_block, keys, values in zip(
            self.blocks, self.cross_blocks, image.keys, image.values, strict=True
        ):
            x = cross_block(block(x, mask), keys, values)
        return self.to_logits(x)


class Coca(Clip):
    """A CLIP whose image tower pools tokens for captions, and the decoder that writes them."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        if config.decoder is None:
            raise ValueError("ClipConfig.decoder: got None, expected a DecoderConfig for a CoCa")
        super().__init__(config, rngs=rngs)
        self.text_decoder = TextDecoder(config, config.decoder, rngs=rngs)
        self.context_tokens = min(config.decoder.context_tokens, config.text.context_tokens)

    def read_text(self, tokens: Int[Array, "B L"]) -> Float[Array, "B L D"]:
        """Return what the decoder reads of captions: the text tower's output at their tokens.

        As `text.encode` without the class token, which stands behind all and changes none of them,
        so that L may be any up to the context.
        """
        length = tokens.shape[1]
        mask = jnp.tril(jnp.ones((length, length), bool)) & follows_token(tokens)[:, None]
        x = self.text.embed(tokens, jnp.arange(length)[None])
        for block in self.text.blocks:
            x = block(x, mask[:, None])
        return x

    def caption_logits(
        self, image_tokens: Float[Array, "B S D"], tokens: Int[Array, "B L"]
    ) -> Float[Array, "B L V"]:
        """Return, for each position of given captions, the logits of the token after it.

        Works without a cache, as in training. `image_tokens` are those of `visual.encode`.
        """
        return self.text_decoder(self.read_text(tokens), image_tokens)

    def new_cache(self, num_images: int, num_slots: int) -> CaptionCache:
        """Return a cache that holds nothing yet."""

        def empty(blocks: nnx.List) -> StackKeys:
            heads = blocks[0].attention.num_heads
            width = blocks[0].attention.out.kernel.shape[0]
            shape = (num_images, heads, num_slots, width // heads)
            arrays = tuple(jnp.zeros(shape, self.text.dtype) for _ in blocks)
            return StackKeys(keys=arrays, values=arrays)

        return CaptionCache(text=empty(self.text.blocks), decoder=empty(self.text_decoder.blocks))

    def decode_step(
        self,
        tokens: Int[Array, "B K"],
        position: Int[Array, ""],
        cache: CaptionCache,
        image: StackKeys,
        *,
        text_mask: Bool[Array, "B K S"],
        decoder_mask: Bool[Array, "B K S"],
    ) -> tuple[Float[Array, "B K V"], CaptionCache]:
        """Write the beams' tokens of one position to the cache; return logits of the next.

        The masks say which slots a beam sees, the new ones (from `position * K` on) among them.
        """
        x = self.text.embed(tokens, jnp.broadcast_to(position, (1, tokens.shape[1])))
        text, decoder = [], []
        for i, block in enumerate(self.text.blocks):
            x, written = _step(block, x, position, cache.text, i, text_mask)
            text.append(written)
        for i, block in enumerate(self.text_decoder.blocks):
            x, written = _step(block, x, position, cache.decoder, i, decoder_mask)
            decoder.append(written)
            x = self.text_decoder.cross_blocks[i](x, image.keys[i], image.values[i])
        cache = CaptionCache(text=_to_stack(text), decoder=_to_stack(decoder))
        return self.text_decoder.to_logits(x), cache


def _step(
    block: Block,
    x: Float[Array, "B K D"],
    position: Int[Array, ""],
    cache: StackKeys,
    layer: int,
    mask: Bool[Array, "B K S"],
) -> tuple[Float[Array, "B K D"], KeysValues]:
    """Run a block on one position; return its output and the layer's cache with the new slots."""
    queries, keys, values = block.project(x)
    at = (0, 0, position * x.shape[1], 0)
    keys = jax.lax.dynamic_update_slice(cache.keys[layer], keys, at)
    values = jax.lax.dynamic_update_slice(cache.values[layer], values, at)
    return block.finish(x, attend(queries, keys, values, mask[:, None])), (keys, values)


def _to_stack(layers: Iterable[KeysValues]) -> StackKeys:
    keys, values = zip(*layers, strict=True)
    return StackKeys(keys=keys, values=values)


def follows_token(tokens: Int[Array, "*B L"]) -> Bool[Array, "*B L"]:
    """Say which positions of a caption the text tower may see: those that follow no padding.

    CoCa was published with a mask that is one position late; its weights expect that.

    Example:
      tokens   [[9, 5, 0, 7, 0, 0]]
      returns  [[1, 1, 1, 0, 1, 0]]
    """
    before = tokens[..., :-1] != PAD_ID
    return jnp.concatenate([jnp.ones_like(tokens[..., :1], bool), before], axis=-1)
