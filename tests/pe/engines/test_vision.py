"""The encoder: pixels and texts in, embeddings of length 1 out, however they are cut into calls."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pe.data.clip_tokenizer import (
    END,
    START,
    ClipTokenizer,
    ClipVocabulary,
    read_clip_vocabulary,
)
from pe.decode.caption import CaptionConfig
from pe.engines.vision import (
    CACHE_BYTES,
    Captioner,
    ClipEncoder,
    CocaCaptioner,
    ImageTextEncoder,
    load_encoder,
    put_block,
    share_encoder,
)
from pe.weights.open_clip import open_clip

GOLDENS = Path(__file__).parents[2] / "goldens" / "vision"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDENS / "clip_gelu" / "golden.npz") as arrays:
        return dict(arrays)


def draw_pictures(count: int) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    sizes = [(int(rng.integers(8, 40)), int(rng.integers(8, 40))) for _ in range(count)]
    return [Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]


def embed_whole(encoder, texts):
    """Embed texts as the tower reads them, not packed."""
    rows = encoder.tokenizer.tokenize(texts, encoder.config.text.context_tokens)
    found = np.asarray(encoder.compile(lambda model, tokens: model.text(tokens))(rows))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_photographs_become_open_clips_pixels(golden):
    encoder = load_encoder(str(GOLDENS / "clip_gelu"))
    # The goldens were made with Pillow 13, which rounds the second otherwise than Pillow 12 does
    for number, num_levels in enumerate((0, 2)):
        pixels = encoder.prepare([Image.fromarray(golden[f"photo_{number}"])])[0]
        wanted = golden[f"photo_{number}_pixels"].transpose(1, 2, 0)
        np.testing.assert_allclose(pixels, wanted, rtol=0, atol=num_levels / 255 / 0.26 + 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clip_gelu", "clip_quick_gelu", "coca", "clip_hf"])
def test_pictures_get_the_makers_embeddings(name):
    encoder = load_encoder(str(GOLDENS / name), num_images=4)
    with np.load(GOLDENS / name / "golden.npz") as golden:
        found = encoder.encode_images([Image.fromarray(image) for image in golden["images"]])
        np.testing.assert_allclose(found, golden["image_embedding"], atol=1e-5)


@pytest.mark.slow
def test_what_does_not_matter_is_how_many_go_together(make_encoder):
    pictures, texts = draw_pictures(9), [f"a red fox {i} of " + "oil " * i for i in range(30)]
    one = make_encoder(sizes={"block_tokens": 128, "num_images": 1})
    many = make_encoder(sizes={"block_tokens": 2048, "num_images": 64})
    np.testing.assert_allclose(one.encode_images(pictures), many.encode_images(pictures), atol=1e-5)
    np.testing.assert_allclose(one.encode_texts(texts), many.encode_texts(texts), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("is_coca", [False, True])
def test_texts_are_embedded_as_if_alone_and_whole(make_encoder, is_coca):
    encoder = make_encoder(is_coca=is_coca, sizes={"block_tokens": 128})
    texts = ["", "red", "a red fox, oil", "! ! !", "photo " * 21, "photo " * 22, "ink " * 40, "Fox"]
    found = encoder.encode_texts(texts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(found, embed_whole(encoder, texts), atol=1e-5)
    np.testing.assert_allclose(encoder.encode_texts(texts[3:4]), found[3:4], atol=1e-5)


def test_nothing_gives_nothing(clip_encoder):
    assert clip_encoder.encode_images([]).shape == (0, 16)
    assert clip_encoder.encode_texts([]).shape == (0, 16)


def test_progress_counts_to_the_end(make_encoder):
    encoder = make_encoder(sizes={"block_tokens": 128})
    heard = []
    encoder.encode_tokens(encoder.tokenizer.encode_batch(["red fox"] * 100), progress=heard.append)
    assert len(heard) > 1
    assert heard == sorted(heard)
    assert heard[-1] == 100


@pytest.mark.slow
def test_similarities_are_cosines_of_whole_texts(clip_encoder):
    starts, more = ["a red fox,", "oil,"], ["ink", "dark fog", "by mira voss", "blue " * 30]
    images = clip_encoder.encode_images(draw_pictures(2))
    (block,) = clip_encoder.pack(clip_encoder.tokenizer.encode_batch(more))[:1]
    cache = clip_encoder.begin(clip_encoder.tokenizer.encode_batch(starts))
    rows = np.array([1, 0, 1], np.int32)
    cosines = clip_encoder.similarities(cache, rows, put_block(block, block, block), images)
    for row, found in zip(rows, np.asarray(cosines), strict=True):
        texts = [f"{starts[row]} {more[i]}" for i in block.texts]
        wanted = embed_whole(clip_encoder, texts) @ images[row]
        np.testing.assert_allclose(found[: len(texts)], wanted, atol=1e-5)


def test_a_beginning_leaves_a_place_for_the_end(clip_encoder):
    cache = clip_encoder.begin([[5] * 60, [5]])
    np.testing.assert_array_equal(cache.sizes, [23, 2])
    np.testing.assert_array_equal(clip_encoder.extend(cache, [[7], [8, 9]]).sizes, [23, 4])


def test_as_many_beginnings_are_kept_as_there_is_room_for(clip_encoder):
    cache = clip_encoder.new_cache(4)
    each = sum(array.nbytes for array in (*cache.keys, *cache.values)) / 4
    assert clip_encoder.num_beginnings == CACHE_BYTES // each > clip_encoder.num_images


def test_an_encoder_is_what_stages_ask_for(clip_encoder, make_encoder):
    assert isinstance(clip_encoder, ImageTextEncoder)
    captioner = CocaCaptioner(make_encoder(is_coca=True), CaptionConfig(max_tokens=8, min_tokens=2))
    assert isinstance(captioner, Captioner)
    assert captioner.digest == f"{0:032x}"


@pytest.mark.slow
def test_captions_do_not_depend_on_what_goes_with_a_picture(make_encoder):
    encoder = make_encoder(is_coca=True, sizes={"num_images": 4})
    captioner = CocaCaptioner(encoder, CaptionConfig(max_tokens=8, min_tokens=2))
    prepared = [captioner.prepare(picture) for picture in draw_pictures(5)]
    texts = captioner.caption(prepared)
    assert len(texts) == 5
    assert all(isinstance(text, str) for text in texts)
    assert captioner.caption(prepared[3:4]) == texts[3:4]


def test_a_clip_writes_no_captions(clip_encoder):
    with pytest.raises(ValueError, match="random 0 is a CLIP, which writes no captions; name a Co"):
        CocaCaptioner(clip_encoder, CaptionConfig())


def test_another_vocabulary_is_told_of_when_the_first_text_comes(clip_vocabulary, golden):
    encoder = load_encoder(str(GOLDENS / "clip_gelu"), vocabulary=str(clip_vocabulary))
    assert encoder.encode_images([Image.fromarray(golden["images"][0])]).shape == (1, 20)
    with pytest.raises(ValueError, match=r"clip_gelu has 320 token embeddings, its vocabulary 5\d"):
        encoder.encode_texts(["a red fox"])


def test_start_and_end_have_to_be_the_last_two_of_the_vocabulary(make_checkpoint, clip_vocabulary):
    given = read_clip_vocabulary(clip_vocabulary)
    swapped = {**given.ids, START: given.ids[END], END: given.ids[START]}
    tokenizer = ClipTokenizer(ClipVocabulary(swapped, given.merges, given.path))
    encoder = ClipEncoder(make_checkpoint(), tokenizer)
    with pytest.raises(ValueError, match=r"random 0 has start and end at the ids \(\d+, \d+\), ex"):
        encoder.encode_texts(["a red fox"])


def test_a_vocabulary_beside_the_weights_is_taken(tmp_path, clip_vocabulary):
    for path in [*(GOLDENS / "clip_gelu").iterdir(), *clip_vocabulary.iterdir()]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert open_clip(str(tmp_path)).vocabulary == tmp_path
    with pytest.raises(ValueError, match="320 token embeddings"):
        _ = load_encoder(str(tmp_path)).tokenizer


def test_one_model_is_loaded_once():
    share_encoder.cache_clear()
    path = str(GOLDENS / "clip_gelu")
    one = share_encoder(path)
    assert isinstance(one, ClipEncoder)
    assert share_encoder(path) is one
    assert share_encoder(path, dtype="bfloat16") is not one
    share_encoder.cache_clear()
