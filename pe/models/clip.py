"""CLIP's two towers in Flax NNX (arXiv:2103.00020), and those of CoCa in open_clip's form.

Knows pixels and token ids, nothing of files, vocabularies or cosines. Embeddings come as the towers
give them; who compares them brings them to length 1 (`normalize`).

The text tower is causal, so a text's beginning can be encoded once and kept (`TextCache`), and each
of many continuations costs only its own tokens (`encode_packed`): that is what makes inversion
cheap. Its results are those of the whole texts (`__call__`) up to rounding.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from pe.axes import Array, Bool, Float, Int
from pe.models.clip_config import ClipConfig
from pe.models.clip_layers import (
    NEGATIVE,
    AttentionPooler,
    Block,
    LayerNorm,
    attend,
    make_blocks,
)
from pe.models.clip_stem import Stem
from pe.models.convolution import cut_patches
from pe.models.layers import Linear

LOGIT_SCALE = 2.6592600  # log(1 / 0.07), CLIP's first temperature
PAD_ID = 0


def normalize(x: Float[Array, "*B E"]) -> Float[Array, "*B E"]:
    """Bring embeddings to length 1, in float32."""
    x = x.astype(jnp.float32)
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TextCache:
    """The beginnings of B texts: each layer's keys and values of S slots, and what is in them.

    sizes     tokens so far, start included: the slots that count
    valid     slots that may be seen; with a class token, padding may not
    last_ids  the last token of each
    """

    keys: tuple[Float[Array, "B N S H"], ...]
    values: tuple[Float[Array, "B N S H"], ...]
    sizes: Int[Array, " B"]
    valid: Bool[Array, "B S"]
    last_ids: Int[Array, " B"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PackedTexts:
    """Continuations of B beginnings, laid into rows of W positions (`pe.data.text_packing`).

    tokens    ids; at the positions behind a text, which are kept for its end, anything
    segments  which text a position belongs to, numbered from 1 through all rows; 0: none
    offsets   place of the position in its text, from 0
    lengths   tokens of the position's text
    starts    for each text, the place of its first position in the flattened rows
    counts    for each text, its tokens
    """

    tokens: Int[Array, "B R W"]
    segments: Int[Array, "B R W"]
    offsets: Int[Array, "B R W"]
    lengths: Int[Array, "B R W"]
    starts: Int[Array, "B C"]
    counts: Int[Array, "B C"]


class VisionTower(nnx.Module):
    """Pixels -> one embedding an image and, with a pooler, the tokens that a captioner reads."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        vision, dtype = config.vision, jnp.dtype(config.dtype)
        normal = nnx.initializers.normal(vision.width**-0.5)
        if vision.stem_width:
            self.stem = Stem(config, rngs=rngs)
        else:
            self.patch = Linear(
                vision.patch_px**2 * 3,
                vision.width,
                init=nnx.initializers.lecun_normal(),
                dtype=dtype,
                rngs=rngs,
            )
        self.class_embedding = nnx.Param(normal(rngs.params(), (vision.width,), jnp.float32))
        positions = (vision.num_patches + 1, vision.width)
        self.position_embedding = nnx.Param(normal(rngs.params(), positions, jnp.float32))
        self.norm_pre = LayerNorm(vision.width, epsilon=config.norm_epsilon, dtype=dtype)
        self.blocks = make_blocks(Block, vision, config, rngs=rngs)
        pooled_width = config.embed_dim if vision.num_pool_queries else vision.width
        if vision.num_pool_queries:
            self.pooler = AttentionPooler(
                config.embed_dim,
                vision.width,
                vision.num_pool_heads,
                vision.num_pool_queries,
                epsilon=config.norm_epsilon,
                dtype=dtype,
                rngs=rngs,
            )
        self.norm_post = LayerNorm(pooled_width, epsilon=config.norm_epsilon, dtype=dtype)
        self.projection = Linear(
            pooled_width, config.embed_dim, init=normal, dtype=dtype, rngs=rngs
        )
        self.patch_px = vision.patch_px
        self.has_stem = bool(vision.stem_width)
        self.has_pooler = bool(vision.num_pool_queries)

    def encode(
        self, pixels: Float[Array, "B Y X 3"]
    ) -> tuple[Float[Array, "B E"], Float[Array, "B L D"]]:
        """Return embeddings, and the tokens beside them: of patches, or (CoCa) of the pooler."""
        x = self.stem(pixels) if self.has_stem else self.patch(self._cut(pixels))
        first = jnp.broadcast_to(
            self.class_embedding[...].astype(x.dtype), (x.shape[0], 1, x.shape[2])
        )
        x = jnp.concatenate([first, x], axis=1)  # [B L D] -> [B 1+L D]
        x = self.norm_pre(x + self.position_embedding[...].astype(x.dtype))
        for block in self.blocks:
            x = block(x)
        x = self.norm_post(self.pooler(x) if self.has_pooler else x)
        return self.projection(x[:, 0]).astype(jnp.float32), x[:, 1:]

    def __call__(self, pixels: Float[Array, "B Y X 3"]) -> Float[Array, "B E"]:
        return self.encode(pixels)[0]

    def _cut(self, pixels: Float[Array, "B Y X 3"]) -> Float[Array, "B L PPC"]:
        patches = cut_patches(pixels, self.patch_px)
        return patches.reshape(patches.shape[0], -1, patches.shape[-1])


class TextTower(nnx.Module):
    """Token ids (start, text, end, padding with 0) -> one embedding a text."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        text, dtype = config.text, jnp.dtype(config.dtype)
        small, smaller = nnx.initializers.normal(0.02), nnx.initializers.normal(0.01)
        table = (text.vocab_size, text.width)
        self.token_embedding = nnx.Param(small(rngs.params(), table, jnp.float32))
        num_positions = text.context_tokens + text.has_class_token
        self.position_embedding = nnx.Param(
            smaller(rngs.params(), (num_positions, text.width), jnp.float32)
        )
        if text.has_class_token:
            self.class_embedding = nnx.Param(smaller(rngs.params(), (text.width,), jnp.float32))
        self.blocks = make_blocks(Block, text, config, rngs=rngs)
        self.norm_final = LayerNorm(text.width, epsilon=config.norm_epsilon, dtype=dtype)
        self.projection = Linear(
            text.width,
            config.embed_dim,
            init=nnx.initializers.normal(text.width**-0.5),
            dtype=dtype,
            rngs=rngs,
        )
        self.context_tokens = text.context_tokens
        self.end_id = text.vocab_size - 1
        self.has_class_token = text.has_class_token
        self.tail_tokens = text.tail_tokens
        self.dtype = dtype

    def embed(self, tokens: Int[Array, "B L"], positions: Int[Array, "#B L"]) -> Array:
        """Return what the first block reads: [B L D]."""
        x = self.token_embedding[...].astype(self.dtype)[tokens]
        return x + self.position_embedding[...].astype(self.dtype)[positions]

    def encode(
        self, tokens: Int[Array, "B L"]
    ) -> tuple[Float[Array, "B E"], Float[Array, "B L D"]]:
        """Return embeddings, and the last block's output at the tokens (CoCa's decoder reads it).

        Without a class token L may be less than the context: padding that is left out changes
        nothing. With one L must be `context_tokens`, since it stands behind.
        """
        num, length = tokens.shape
        x = self.embed(tokens, jnp.arange(length)[None])
        mask = jnp.tril(jnp.ones((length, length), bool))[None, None]
        if self.has_class_token:
            if length != self.context_tokens:
                raise ValueError(f"got {length} tokens a text, expected {self.context_tokens}")
            last = self.class_embedding[...] + self.position_embedding[...][length]
            last = jnp.broadcast_to(last.astype(x.dtype), (num, 1, x.shape[2]))
            x = jnp.concatenate([x, last], axis=1)
            valid = jnp.pad(tokens != PAD_ID, ((0, 0), (1, 0)), constant_values=True)
            mask = jnp.tril(jnp.ones((length + 1, length + 1), bool)) & valid[:, None]
            mask = mask[:, None]
        for block in self.blocks:
            x = block(x, mask)
        if self.has_class_token:
            pooled, x = x[:, -1], x[:, :-1]
        else:
            pooled = x[jnp.arange(num), jnp.argmax(tokens, axis=1)]  # the end has the highest id
        return self.projection(self.norm_final(pooled)).astype(jnp.float32), x

    def __call__(self, tokens: Int[Array, "B L"]) -> Float[Array, "B E"]:
        return self.encode(tokens)[0]

    def new_cache(self, batch_size: int) -> TextCache:
        """Return the cache of texts that have no token yet."""
        attention = self.blocks[0].attention
        width = self.token_embedding.shape[1]
        heads = attention.num_heads
        empty = jnp.zeros((batch_size, heads, self.context_tokens, width // heads), self.dtype)
        return TextCache(
            keys=(empty,) * len(self.blocks),
            values=(empty,) * len(self.blocks),
            sizes=jnp.zeros((batch_size,), jnp.int32),
            valid=jnp.ones((batch_size, self.context_tokens), bool),
            last_ids=jnp.full((batch_size,), -1, jnp.int32),
        )

    def extend(
        self, cache: TextCache, tokens: Int[Array, "B L"], counts: Int[Array, " B"]
    ) -> TextCache:
        """Append the first `counts` tokens of each row to its text.

        The caller keeps texts below `context_tokens`: the end needs a place.
        """
        positions = cache.sizes[:, None] + jnp.arange(tokens.shape[1])[None]  # [B L]
        valid = cache.valid
        if self.has_class_token:  # as published: what follows padding is masked, not padding
            before = jnp.concatenate([cache.last_ids[:, None], tokens[:, :-1]], axis=1)
            valid = jax.vmap(lambda row, at, new: row.at[at].set(new, mode="drop"))(
                valid, positions, before != PAD_ID
            )
        slots = jnp.arange(self.context_tokens)
        mask = (slots[None, None] <= positions[:, :, None]) & valid[:, None]
        put = jax.vmap(lambda old, at, new: old.at[:, at].set(new, mode="drop"))
        x = self.embed(tokens, jnp.minimum(positions, self.context_tokens - 1))
        all_keys, all_values = [], []
        for block, old_keys, old_values in zip(self.blocks, cache.keys, cache.values, strict=True):
            queries, keys, values = block.project(x)
            all_keys.append(put(old_keys, positions, keys))
            all_values.append(put(old_values, positions, values))
            x = block.finish(x, attend(queries, all_keys[-1], all_values[-1], mask[:, None]))
        last = jnp.take_along_axis(tokens, jnp.maximum(counts - 1, 0)[:, None], axis=1)[:, 0]
        return TextCache(
            keys=tuple(all_keys),
            values=tuple(all_values),
            sizes=cache.sizes + counts,
            valid=valid,
            last_ids=jnp.where(counts > 0, last, cache.last_ids),
        )

    def encode_packed(self, cache: TextCache, packed: PackedTexts) -> Float[Array, "B C E"]:
        """Return the embeddings of each beginning with each of its continuations and the end.

        Equal to `__call__` on the whole texts, cut to the context as CLIP's tokenizer cuts them:
        what does not fit goes, and the end takes the last place.
        """
        num = packed.tokens.shape[0]
        sizes = cache.sizes[:, None, None]
        room = self.context_tokens - 1 - sizes
        kept = jnp.minimum(packed.lengths, room)  # [B R W]
        tokens = jnp.where(packed.offsets < kept, packed.tokens, self.end_id)
        behind = packed.offsets - kept  # 0 at the end token
        positions = sizes + packed.offsets
        x = self.embed(
            tokens.reshape(num, -1),
            jnp.clip(positions, 0, self.context_tokens - 1).reshape(num, -1),
        )
        own = (packed.segments[..., :, None] == packed.segments[..., None, :]) & (
            packed.offsets[..., :, None] >= packed.offsets[..., None, :]
        )
        if self.has_class_token:
            x, visible = self._place_class_token(x, tokens, behind, positions, packed, cache)
            own &= visible[..., None, :]
        mask = jnp.concatenate(
            [
                jnp.broadcast_to(
                    _seen(cache)[:, None, None], (*own.shape[:-1], cache.valid.shape[1])
                ),
                own,
            ],
            axis=-1,
        )[:, None]  # [B 1 R W S+W]
        tail = self.tail_tokens - 1
        kept_of_text = jnp.minimum(packed.counts, room[:, :, 0])
        ends = packed.starts + kept_of_text + tail  # [B C], in flattened rows
        for i, block in enumerate(self.blocks):
            attended = _attend_packed(block.project(x), cache.keys[i], cache.values[i], mask)
            if i == len(self.blocks) - 1:  # only the ends' outputs are needed
                x, attended = (
                    jnp.take_along_axis(part, ends[..., None], axis=1) for part in (x, attended)
                )
            x = block.finish(x, attended)
        return self.projection(self.norm_final(x)).astype(jnp.float32)

    def _place_class_token(
        self,
        x: Float[Array, "B RW D"],
        tokens: Int[Array, "B R W"],
        behind: Int[Array, "B R W"],
        positions: Int[Array, "B R W"],
        packed: PackedTexts,
        cache: TextCache,
    ) -> tuple[Float[Array, "B RW D"], Bool[Array, "B R W"]]:
        """Put padding and class token behind each end; say which positions may be seen.

        The published CoCa masks the position after a padding, not the padding itself: the class
        token sees the first padding, and itself only where there is none.
        """
        shape = x.shape
        last = self.context_tokens
        position_embedding = self.position_embedding[...].astype(x.dtype)
        at = jnp.clip(positions, 0, last - 1)
        padding = self.token_embedding[...][PAD_ID].astype(x.dtype) + position_embedding[at]
        final = self.class_embedding[...].astype(x.dtype) + position_embedding[last]
        x = x.reshape(*tokens.shape, -1)
        x = jnp.where((behind == 1)[..., None], padding, x)
        x = jnp.where((behind == 2)[..., None], final, x)
        before = jnp.concatenate([tokens[..., :1], tokens[..., :-1]], axis=-1)
        before = jnp.where(packed.offsets == 0, cache.last_ids[:, None, None], before)
        after_padding = (before == PAD_ID) & (behind <= 0)
        is_full = positions - behind == last - 1  # the end token has the last place
        visible = ~after_padding & ~((behind == 1) & is_full) & ~((behind == 2) & ~is_full)
        return x.reshape(shape), visible


def _seen(cache: TextCache) -> Bool[Array, "B S"]:
    slots = jnp.arange(cache.valid.shape[1])
    return (slots[None] < cache.sizes[:, None]) & cache.valid


def _attend_packed(
    projected: tuple[Float[Array, "B N L H"], Float[Array, "B N L H"], Float[Array, "B N L H"]],
    prefix_keys: Float[Array, "B N S H"],
    prefix_values: Float[Array, "B N S H"],
    mask: Bool[Array, "B 1 R W SW"],
) -> Float[Array, "B L D"]:
    """Attend from packed rows to the beginning that they share, and each text to itself.

    One softmax over both, but their scores are never laid side by side: that saves a copy of them,
    3% of a step of inversion (measured 2026-11-20).
    """
    queries, keys, values = projected
    num, heads, length, head_dim = queries.shape
    rows, width = mask.shape[2:4]
    slots = prefix_keys.shape[2]
    by_row = (num, heads, rows, width)
    queries = queries * head_dim**-0.5
    shared = jnp.einsum(
        "bnlh,bnsh->bnls", queries, prefix_keys, preferred_element_type=jnp.float32
    ).reshape(*by_row, slots)
    queries, keys, values = (x.reshape(*by_row, head_dim) for x in (queries, keys, values))
    own = jnp.einsum("bnrth,bnrsh->bnrts", queries, keys, preferred_element_type=jnp.float32)
    shared = jnp.where(mask[..., :slots], shared, NEGATIVE)
    own = jnp.where(mask[..., slots:], own, NEGATIVE)
    highest = jnp.maximum(
        jnp.max(shared, axis=-1, keepdims=True), jnp.max(own, axis=-1, keepdims=True)
    )
    shared, own = jnp.exp(shared - highest), jnp.exp(own - highest)
    total = jnp.sum(shared, axis=-1, keepdims=True) + jnp.sum(own, axis=-1, keepdims=True)
    y = jnp.einsum(
        "bnls,bnsh->bnlh",
        shared.reshape(num, heads, length, slots).astype(values.dtype),
        prefix_values,
        preferred_element_type=jnp.float32,
    ).reshape(*by_row, head_dim)
    y += jnp.einsum(
        "bnrts,bnrsh->bnrth", own.astype(values.dtype), values, preferred_element_type=jnp.float32
    )
    y = (y / total).astype(values.dtype).reshape(num, heads, length, head_dim)
    return y.swapaxes(1, 2).reshape(num, length, -1)


class Clip(nnx.Module):
    """An image tower and a text tower; `logit_scale` is the log of 1 / temperature."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        self.visual = VisionTower(config, rngs=rngs)
        self.text = TextTower(config, rngs=rngs)
        self.logit_scale = nnx.Param(jnp.asarray(LOGIT_SCALE, jnp.float32))
