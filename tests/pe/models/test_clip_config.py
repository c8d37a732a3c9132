"""Sizes that do not fit are refused by name."""

import dataclasses

import pytest

from pe.models.clip_config import ClipConfig, DecoderConfig, TextConfig, VisionConfig

POOLING = VisionConfig(num_pool_queries=5)


def test_the_defaults_are_vit_b_32():
    config = ClipConfig()
    assert config.vision.num_patches == 49
    assert (config.vision.width, config.text.width, config.embed_dim) == (768, 512, 512)
    assert (config.text.context_tokens, config.text.vocab_size) == (77, 49_408)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VisionConfig(patch_px=0), "VisionConfig.patch_px: got 0, expected 1 or more"),
        (lambda: VisionConfig(width=70), "width 70 is no multiple of num_heads 12"),
        (lambda: VisionConfig(image_px=225), "image_px 225 is no multiple of patch_px 32"),
        (lambda: VisionConfig(num_pool_queries=1), "num_pool_queries: got 1, expected 0, or 2 or"),
        (lambda: VisionConfig(num_pool_queries=-1), "num_pool_queries: got -1"),
        (lambda: TextConfig(num_layers=-2), "TextConfig.num_layers: got -2"),
        (lambda: TextConfig(num_heads=7), "width 512 is no multiple of num_heads 7"),
        (lambda: DecoderConfig(width=10), "DecoderConfig: width 10 is no multiple"),
        (lambda: DecoderConfig(context_tokens=0), "DecoderConfig.context_tokens: got 0"),
        (lambda: ClipConfig(embed_dim=0), "ClipConfig.embed_dim: got 0"),
        (lambda: ClipConfig(activation="relu"), "activation: got 'relu', expected one of"),
        (lambda: ClipConfig(dtype="int8"), "dtype: got 'int8', expected float32"),
        (lambda: ClipConfig(decoder=DecoderConfig()), "needs VisionConfig.num_pool_queries, got 0"),
        (lambda: VisionConfig(num_pool_heads=0), "VisionConfig.num_pool_heads: got 0, expected 1"),
        (
            lambda: ClipConfig(vision=POOLING, embed_dim=20),
            "heads: got 8, expected a divisor of em",
        ),
        (lambda: ClipConfig(norm_epsilon=0.0), "norm_epsilon: got 0.0, expected more than 0 and"),
        (lambda: ClipConfig(norm_epsilon=1.0), "norm_epsilon: got 1.0, expected more than 0 and"),
        (
            lambda: ClipConfig(vision=POOLING, decoder=DecoderConfig()),
            "needs TextConfig.has_class_token, got False",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("part", ["embed_dim", "text", "decoder"])
def test_a_decoder_has_the_width_of_what_it_reads(part):
    text = TextConfig(has_class_token=True)
    config = ClipConfig(vision=POOLING, text=text, decoder=DecoderConfig())
    other = {"embed_dim": 256, "text": TextConfig(width=256), "decoder": DecoderConfig(width=256)}
    with pytest.raises(ValueError, match=r"its width \(\d+\) must be embed_dim"):
        dataclasses.replace(config, **{part: other[part]})


def test_only_a_pooler_needs_heads_that_divide_the_embedding():
    assert ClipConfig(embed_dim=20).vision.num_pool_heads == 8


def test_a_class_token_takes_two_places_more_behind_a_text():
    assert (TextConfig().tail_tokens, TextConfig(has_class_token=True).tail_tokens) == (1, 3)
