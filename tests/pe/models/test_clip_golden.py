"""CLIP's towers against open_clip and transformers, and packed texts against whole, exhaustively.

`tools/make_vision_goldens.py` made the goldens. What needs no golden is in test_clip.py.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pe.data.text_packing import pack_texts
from pe.engines.vision import put_block
from pe.models.clip import TextCache, normalize
from pe.models.clip_layers import quick_gelu
from pe.weights.open_clip import draw_clip, load_clip, open_clip

GOLDENS = Path(__file__).parents[2] / "goldens" / "vision"
NAMES = ("clip_gelu", "clip_quick_gelu", "coca", "clip_hf")
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


class Tiny:
    """A golden model, its towers compiled."""

    def __init__(self, name: str):
        checkpoint = open_clip(str(GOLDENS / name))
        self.config = checkpoint.config
        self.blueprint = draw_clip(self.config)
        self.params = load_clip(checkpoint)
        self.text = self.blueprint.bind(self.params).text
        self.encode_images = self.compile(lambda model, pixels: model.visual(pixels))
        self.encode_texts = self.compile(lambda model, tokens: model.text(tokens))
        self.extend = self.compile(lambda model, *args: model.text.extend(*args))
        self.encode_packed = self.compile(lambda model, *args: model.text.encode_packed(*args))
        with np.load(GOLDENS / name / "golden.npz") as arrays:
            self.golden = dict(arrays)

    def compile(self, f):
        compiled = jax.jit(lambda params, *args: f(self.blueprint.bind(params), *args))
        return lambda *args: compiled(self.params, *args)

    @property
    def pixels(self):
        return (self.golden["images"].astype(np.float32) / 255 - MEAN) / STD

    def begin(self, starts: list[list[int]], pieces: tuple[int, ...] = ()) -> TextCache:
        """Encode beginnings in one go, or cut at `pieces`."""
        cache = self.text.new_cache(len(starts))
        for begin, end in zip((0, *pieces), (*pieces, 64), strict=True):
            parts = [start[begin:end] for start in starts]
            tokens = np.full((len(parts), 40), 7, np.int32)  # what is behind a part is not read
            for row, part in zip(tokens, parts, strict=True):
                row[: len(part)] = part
            cache = self.extend(cache, tokens, np.array([len(part) for part in parts], np.int32))
        return cache

    def whole(self, start: list[int], texts: list[np.ndarray]) -> np.ndarray:
        """Embed every text behind a beginning, written out and cut as a tokenizer does."""
        length, end = self.config.text.context_tokens, self.config.text.vocab_size - 1
        rows = np.zeros((len(texts), length), np.int32)
        for row, text in zip(rows, texts, strict=True):
            ids = [*[*start, *text][: length - 1], end]
            row[: len(ids)] = ids
        return np.asarray(self.encode_texts(rows))

    def packed(self, cache: TextCache, texts: list[np.ndarray]) -> np.ndarray:
        """Embed all texts behind all beginnings: [B texts E]."""
        num = cache.sizes.shape[0]
        found = np.full((num, len(texts), self.config.embed_dim), np.nan)
        for block in pack_texts(
            texts,
            tail_tokens=self.text.tail_tokens,
            max_tokens=self.config.text.context_tokens - 2,
            block_tokens=256,
        ):
            embedded = self.encode_packed(cache, put_block(*[block] * num))
            found[:, block.texts] = np.asarray(embedded)[:, : len(block.texts)]
        return found


@pytest.fixture(scope="module")
def models():
    return functools.cache(Tiny)


@pytest.fixture(params=NAMES)
def tiny(request, models):
    return models(request.param)


def test_images_have_the_embeddings_of_the_makers(tiny):
    raw = tiny.encode_images(tiny.pixels)
    np.testing.assert_allclose(raw, tiny.golden["image_raw"], atol=1e-4)
    np.testing.assert_allclose(normalize(raw), tiny.golden["image_embedding"], atol=1e-5)


def test_texts_have_the_embeddings_of_the_makers(tiny):
    raw = tiny.encode_texts(tiny.golden["tokens"])
    np.testing.assert_allclose(raw, tiny.golden["text_raw"], atol=1e-4)
    np.testing.assert_allclose(normalize(raw), tiny.golden["text_embedding"], atol=1e-5)


def draw_texts(tiny: Tiny, *, seed: int) -> list[np.ndarray]:
    """Texts of no token to more than the context holds; every third has ids of 0 in it."""
    rng = np.random.default_rng(seed)
    highest, context = tiny.config.text.vocab_size - 2, tiny.config.text.context_tokens
    texts = [rng.integers(1, highest, size).astype(np.int32) for size in range(context + 4)]
    texts += [rng.integers(1, highest, 2).astype(np.int32) for _ in range(9)]
    for text in texts[::3]:
        text[rng.random(len(text)) < 0.4] = 0
    for text in texts[1::6]:
        text[-1] = 0
    return texts


def draw_start(tiny: Tiny, size: int, *, zeros: tuple[int, ...] = ()) -> list[int]:
    highest = tiny.config.text.vocab_size - 2
    ids = np.random.default_rng(size).integers(1, highest, size - 1).tolist()
    for place in zeros:
        ids[place] = 0
    return [highest, *ids]


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 7, "context - 2", "context - 1"])
def test_packed_texts_behind_a_beginning_equal_whole_texts(tiny, size):
    if isinstance(size, str):
        size = tiny.config.text.context_tokens - int(size[-1])
    start, texts = draw_start(tiny, size), draw_texts(tiny, seed=0)
    found = tiny.packed(tiny.begin([start]), texts)[0]
    np.testing.assert_allclose(found, tiny.whole(start, texts), atol=2e-5)


@pytest.mark.slow
def test_beginnings_of_several_sizes_go_together(tiny):
    # the second ends with an id of 0, which CoCa takes for padding, the third has one in it
    starts = [
        draw_start(tiny, 1),
        draw_start(tiny, 5, zeros=(-1,)),
        draw_start(tiny, 11, zeros=(2,)),
    ]
    texts = draw_texts(tiny, seed=1)
    found = tiny.packed(tiny.begin(starts), texts)
    for start, embeddings in zip(starts, found, strict=True):
        np.testing.assert_allclose(embeddings, tiny.whole(start, texts), atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [(1,), (3, 4), (1, 2, 2, 9)])
def test_a_beginning_in_pieces_is_the_whole_beginning(tiny, pieces):
    starts = [draw_start(tiny, 11, zeros=(2, 8)), draw_start(tiny, 10), draw_start(tiny, 2)]
    whole, grown = tiny.begin(starts), tiny.begin(starts, pieces)
    for cache in (whole, grown):
        np.testing.assert_array_equal(cache.sizes, [11, 10, 2])
        np.testing.assert_array_equal(cache.last_ids, [start[-1] for start in starts])
    for row, start in enumerate(starts):
        size = len(start)
        np.testing.assert_array_equal(grown.valid[row, :size], whole.valid[row, :size])
        for one, other in zip(grown.keys + grown.values, whole.keys + whole.values, strict=True):
            np.testing.assert_allclose(one[row, :, :size], other[row, :, :size], atol=1e-5)
    texts = draw_texts(tiny, seed=2)[:8]
    np.testing.assert_allclose(tiny.packed(grown, texts), tiny.packed(whole, texts), atol=2e-5)


def test_what_comes_behind_the_end_of_a_text_changes_nothing(models):
    tiny = models("clip_gelu")
    tokens = tiny.golden["tokens"][:4]
    noise = np.random.default_rng(0).integers(1, 300, tokens.shape)
    behind = np.cumsum(tokens == 319, axis=1) - (tokens == 319) > 0
    noisy = np.where(behind, noise, tokens).astype(np.int32)
    wanted = tiny.encode_texts(tokens)
    np.testing.assert_allclose(tiny.encode_texts(noisy), wanted, atol=1e-6)


@pytest.mark.slow
def test_in_bfloat16_embeddings_stay_near():
    checkpoint = open_clip(str(GOLDENS / "clip_gelu"), dtype="bfloat16")
    model = draw_clip(checkpoint.config).bind(load_clip(checkpoint))
    with np.load(GOLDENS / "clip_gelu" / "golden.npz") as golden:
        texts, wanted = jnp.asarray(golden["tokens"]), golden["text_embedding"]
    found = normalize(model.text(texts))
    assert found.dtype == jnp.float32
    assert np.sum(np.asarray(found) * wanted, axis=1).min() > 0.999


def test_quick_gelu_by_hand():
    found = quick_gelu(jnp.array([0.0, 1.0, -2.0]))
    np.testing.assert_allclose(found, [0.0, 0.845796, -0.064341], atol=1e-6)
