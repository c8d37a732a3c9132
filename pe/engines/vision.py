"""Models that look at pictures: encoders of images and texts, and captioners.

The protocols are what stages and scorers ask for; `ClipEncoder` and `CocaCaptioner` are the real
ones, CLIP and CoCa by folder or hub name. Images are PIL images in RGB; embeddings have length 1.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image as PilImage

from pe.axes import Array, Float, Int
from pe.data.clip_tokenizer import ClipTokenizer, load_clip_tokenizer
from pe.data.image_input import prepare_images, read_input_config
from pe.data.text_packing import PackedBlock, pack_texts
from pe.decode.caption import CaptionConfig, caption_text, generate_captions
from pe.models.clip import Clip, PackedTexts, TextCache, normalize
from pe.models.coca import Coca
from pe.weights.open_clip import ClipCheckpoint, draw_clip, load_clip, open_clip

Images = Sequence[PilImage.Image]
CPU_BLOCK_TOKENS, BLOCK_TOKENS = 1024, 16_384
CPU_IMAGES, NUM_IMAGES = 16, 64
CACHE_BYTES = 128 * 2**20  # of the beginnings of texts, where those of num_images take less


@runtime_checkable
class ImageTextEncoder(Protocol):
    """Anything that puts images and texts into one space; `digest` names its weights."""

    digest: str

    def encode_images(self, images: Images) -> Float[np.ndarray, "B E"]: ...
    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "B E"]: ...


@runtime_checkable
class Captioner(Protocol):
    """Anything that says what is in an image. `prepare` keeps of one what `caption` needs."""

    digest: str

    def prepare(self, image: PilImage.Image) -> Any: ...
    def caption(self, prepared: Sequence[Any]) -> list[str]: ...


class ClipEncoder:
    """A CLIP or CoCa with its tokenizer and its preprocessing.

    `block_tokens` and `num_images` bound what one call of a tower takes; the results do not depend
    on them but for rounding. A tokenizer that is a function is called when it is first needed.
    """

    def __init__(
        self,
        checkpoint: ClipCheckpoint,
        tokenizer: ClipTokenizer | Callable[[], ClipTokenizer],
        *,
        block_tokens: int | None = None,
        num_images: int | None = None,
    ):
        is_cpu = jax.default_backend() == "cpu"
        self.name = checkpoint.source
        self.digest = checkpoint.digest
        self.config = checkpoint.config
        self._tokenizer = tokenizer
        self.block_tokens = block_tokens or (CPU_BLOCK_TOKENS if is_cpu else BLOCK_TOKENS)
        self.num_images = num_images or (CPU_IMAGES if is_cpu else NUM_IMAGES)
        self.input_config = read_input_config(
            checkpoint.input_settings, size_px=checkpoint.config.vision.image_px
        )
        self.blueprint = draw_clip(checkpoint.config)
        self.params = load_clip(checkpoint)
        self._image = self.compile(lambda model, pixels: normalize(model.visual(pixels)))
        self._extend = self.compile(lambda model, *args: model.text.extend(*args))
        self._packed = self.compile(
            lambda model, cache, packed: normalize(model.text.encode_packed(cache, packed))
        )
        self._similarity = self.compile(_similarity)

    @functools.cached_property
    def tokenizer(self) -> ClipTokenizer:
        """The tokenizer, loaded when the first text comes: what only looks needs none."""
        given = self._tokenizer
        tokenizer = given if isinstance(given, ClipTokenizer) else given()
        if tokenizer.vocab_size != self.config.text.vocab_size:
            raise ValueError(
                f"{self.name} has {self.config.text.vocab_size:,} token embeddings, its vocabulary "
                f"{tokenizer.vocab_size:,} tokens; give the vocabulary that the model was trained "
                "with"
            )
        found, size = (tokenizer.start_id, tokenizer.end_id), tokenizer.vocab_size
        if found != (size - 2, size - 1):
            raise ValueError(
                f"the vocabulary for {self.name} has start and end at the ids {found}, expected "
                f"the last two, {size - 2} and {size - 1}; give the vocabulary that the model was "
                "trained with"
            )
        return tokenizer

    def compile(self, f: Callable[..., object]) -> Callable[..., object]:
        """Return f(model, ...) compiled, as a function of what comes after the model."""
        compiled = jax.jit(lambda params, *args: f(self.blueprint.bind(params), *args))
        return functools.partial(compiled, self.params)

    def prepare(self, images: Images) -> Float[np.ndarray, "B Y X 3"]:
        """Return pixels as the image tower reads them."""
        return prepare_images(images, self.input_config)

    def encode_images(self, images: Images) -> Float[np.ndarray, "B E"]:
        """Embed images; each embedding has length 1."""
        return self.encode_pixels(self.prepare(images))

    def encode_pixels(self, pixels: Float[np.ndarray, "B Y X 3"]) -> Float[np.ndarray, "B E"]:
        """Embed what `prepare` gave."""
        parts = [np.zeros((0, self.config.embed_dim), np.float32)]
        for begin in range(0, len(pixels), self.num_images):
            part = pixels[begin : begin + self.num_images]
            size = next_size(len(part), self.num_images)
            padded = np.pad(part, ((0, size - len(part)), (0, 0), (0, 0), (0, 0)))
            parts.append(np.asarray(self._image(padded))[: len(part)])
        return np.concatenate(parts)

    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "B E"]:
        """Embed texts, cut to the context as CLIP's tokenizer cuts them; each has length 1."""
        return self.encode_tokens(self.tokenizer.encode_batch(texts))

    def encode_tokens(
        self,
        texts: Sequence[Sequence[int]],
        *,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Float[np.ndarray, "B E"]:
        """Embed texts by their ids, without start and end; `progress` hears how many are done."""
        cache = self.begin([[]])
        found = np.zeros((len(texts), self.config.embed_dim), np.float32)
        num_done = 0
        for block in self.pack(texts):
            embeddings = np.asarray(self._packed(cache, put_block(block)))[0]
            found[block.texts] = embeddings[: len(block.texts)]
            num_done += len(block.texts)
            progress(num_done)
        return found

    def pack(self, texts: Sequence[Sequence[int]]) -> list[PackedBlock]:
        """Lay texts into blocks, for `encode_packed` behind any beginning."""
        arrays = [np.asarray(text, np.int32) for text in texts]
        return list(
            pack_texts(
                arrays,
                tail_tokens=self.config.text.tail_tokens,
                max_tokens=self.config.text.context_tokens - 2,
                block_tokens=self.block_tokens,
            )
        )

    def begin(self, texts: Sequence[Sequence[int]]) -> TextCache:
        """Encode the beginnings of texts: the start token and these ids."""
        starts = [[self.tokenizer.start_id, *text] for text in texts]
        return self.extend(self.new_cache(len(texts)), starts)

    @property
    def num_beginnings(self) -> int:
        """How many beginnings of texts to keep at a time: what small models have room for."""
        text = self.config.text
        size = 2 * 4 * text.num_layers * text.width * text.context_tokens
        return max(self.num_images, CACHE_BYTES // size)

    def new_cache(self, size: int) -> TextCache:
        """Return an empty cache for so many texts."""
        return self.blueprint.bind(self.params).text.new_cache(size)

    def extend(self, cache: TextCache, texts: Sequence[Sequence[int]]) -> TextCache:
        """Append ids to beginnings, as many as leave a place for the end."""
        room = self.config.text.context_tokens - 1 - np.asarray(cache.sizes)
        counts = np.minimum([len(text) for text in texts], room).astype(np.int32)
        width = max(8, 8 * -(-int(counts.max(initial=0)) // 8))
        tokens = np.zeros((len(texts), width), np.int32)
        for row, (text, count) in enumerate(zip(texts, counts, strict=True)):
            tokens[row, :count] = text[:count]
        return self._extend(cache, tokens, counts)  # pyright: ignore[reportReturnType]

    def similarities(
        self,
        cache: TextCache,
        rows: Int[np.ndarray, " b"],
        packed: PackedTexts,
        embeddings: Float[np.ndarray, "B E"],
    ) -> Array:
        """Return cosines [b C] of images with their beginnings continued.

        `rows` says which beginning, and which image, each of the b packed blocks goes with.
        """
        return self._similarity(cache, rows, packed, embeddings)  # pyright: ignore[reportReturnType]


def _similarity(
    model: Clip,
    cache: TextCache,
    rows: Int[Array, " b"],
    packed: PackedTexts,
    embeddings: Float[Array, "B E"],
) -> Float[Array, "b C"]:
    picked: TextCache = jax.tree.map(lambda leaf: leaf[rows], cache)
    texts = normalize(model.text.encode_packed(picked, packed))
    return jnp.einsum("bce,be->bc", texts, embeddings[rows])


def put_block(*blocks: PackedBlock) -> PackedTexts:
    """Stack blocks of one shape: one for each beginning."""
    names = ("tokens", "segments", "offsets", "lengths", "starts", "counts")
    return PackedTexts(
        **{name: jnp.asarray(np.stack([getattr(b, name) for b in blocks])) for name in names}
    )


def next_size(size: int, most: int) -> int:
    """Round up to a power of two, so that few shapes are compiled."""
    return min(most, 1 << max(size - 1, 0).bit_length())


class CocaCaptioner:
    """CoCa's captions, beam search by default (arXiv:2205.01917; open_clip's `generate`)."""

    def __init__(self, encoder: ClipEncoder, config: CaptionConfig):
        if not isinstance(encoder.blueprint.bind(encoder.params), Coca):
            raise ValueError(f"{encoder.name} is a CLIP, which writes no captions; name a CoCa")
        self.encoder = encoder
        self.digest = encoder.digest
        self.config = config
        self._write = encoder.compile(
            lambda model, pixels: generate_captions(model, model.visual.encode(pixels)[1], config)
        )

    def prepare(self, image: PilImage.Image) -> Any:
        """Return the pixels that the encoder reads."""
        return self.encoder.prepare([image])[0]

    def caption(self, prepared: Sequence[Any]) -> list[str]:
        """Say what is in each image."""
        encoder, tokenizer = self.encoder, self.encoder.tokenizer
        texts: list[str] = []
        for begin in range(0, len(prepared), encoder.num_images):
            pixels = np.stack(prepared[begin : begin + encoder.num_images])
            size = next_size(len(pixels), encoder.num_images)
            padded = np.pad(pixels, ((0, size - len(pixels)), (0, 0), (0, 0), (0, 0)))
            ids = np.asarray(self._write(padded))[: len(pixels)]
            texts += [caption_text(row, tokenizer, end_id=tokenizer.end_id) for row in ids]
        return texts


def load_encoder(
    name_or_path: str,
    *,
    dtype: str = "float32",
    vocabulary: str = "",
    block_tokens: int | None = None,
    num_images: int | None = None,
) -> ClipEncoder:
    """Load a CLIP or CoCa by folder or hub name.

    Its vocabulary: the path given, else the one beside the weights, else CLIP's own. Raises
    ValueError for what is no such model.
    """
    checkpoint = open_clip(name_or_path, dtype=dtype)
    path = Path(vocabulary).expanduser() if vocabulary else checkpoint.vocabulary
    return ClipEncoder(
        checkpoint,
        lambda: load_clip_tokenizer(path),
        block_tokens=block_tokens,
        num_images=num_images,
    )


@functools.lru_cache(maxsize=2)
def share_encoder(
    name_or_path: str, *, dtype: str = "float32", vocabulary: str = ""
) -> ClipEncoder:
    """Load an encoder as `load_encoder` does, or return the one that is loaded already.

    What rates, what captions and what inverts are often one model.
    """
    return load_encoder(name_or_path, dtype=dtype, vocabulary=vocabulary)
