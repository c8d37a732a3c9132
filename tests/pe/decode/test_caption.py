"""Captions: open_clip's own, id for id, a slow search written out, and rows that stand alone.

`tools/make_vision_goldens.py` made the goldens.
"""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pe.decode.caption import (
    CaptionConfig,
    best_continuations,
    caption_text,
    generate_captions,
    visible_slots,
)
from pe.weights.open_clip import draw_clip, load_clip, open_clip

GOLDEN = Path(__file__).parents[2] / "goldens" / "vision" / "coca"
START_ID, END_ID = 318, 319
SETTINGS = {
    "greedy": CaptionConfig(method="greedy"),
    "greedy_short": CaptionConfig(method="greedy", max_tokens=12, min_tokens=9),
    "beam": CaptionConfig(),
    "beam_one_group": CaptionConfig(num_beams=4, num_beam_groups=1, max_tokens=20, min_tokens=8),
    "beam_one_each": CaptionConfig(num_beams=3, num_beam_groups=3, max_tokens=16, min_tokens=2),
}


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "golden.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def checkpoint():
    return open_clip(str(GOLDEN))


@pytest.fixture(scope="module")
def params(checkpoint):
    return load_clip(checkpoint)


@pytest.fixture(scope="module")
def run(checkpoint, params):
    """Return a function that jits a function of the model and arrays, and calls it."""
    blueprint = draw_clip(checkpoint.config)
    compiled = {}

    def run(f, *arrays):
        if f not in compiled:
            compiled[f] = jax.jit(lambda params, *arrays: f(blueprint.bind(params), *arrays))
        return compiled[f](params, *map(jnp.asarray, arrays))

    return run


@pytest.fixture(scope="module")
def image_tokens(run, checkpoint, golden):
    settings = checkpoint.input_settings
    mean, deviation = (np.asarray(settings[name], np.float32) for name in ("mean", "std"))
    pixels = (golden["images"].astype(np.float32) / 255 - mean) / deviation
    return run(encode, pixels)[1]


@pytest.fixture(scope="module")
def caption(run):
    """Caption image tokens as a setting of this name says."""
    searches = {
        name: lambda model, image_tokens, config=config: generate_captions(
            model, image_tokens, config
        )
        for name, config in SETTINGS.items()
    }
    return lambda name, image_tokens: np.asarray(run(searches[name], image_tokens))


@pytest.fixture(scope="module")
def next_logits(run, image_tokens):
    """Return the logits after some tokens of image `row`, without a cache."""

    def next_logits(row, tokens):
        padded = np.zeros((1, 20), np.int32)
        padded[0, : len(tokens)] = tokens
        logits = run(forced_logits, image_tokens[row : row + 1], padded)
        return np.asarray(logits)[0, len(tokens) - 1]

    return next_logits


def encode(model, pixels):
    return model.visual.encode(pixels)


def forced_logits(model, image_tokens, tokens):
    return model.caption_logits(image_tokens, tokens)


def test_image_tokens_and_logits_are_those_of_open_clip(run, image_tokens, golden):
    assert image_tokens.shape == (6, 255, 32)
    np.testing.assert_allclose(image_tokens[:1], golden["image_tokens"], atol=2e-5)
    tokens = golden["forced_tokens"]  # with padding in the midst of one and at the end of one
    logits = run(forced_logits, image_tokens[:4], tokens)
    np.testing.assert_allclose(logits[:, :-1], golden["forced_logits"], atol=1e-4)


@pytest.mark.parametrize("name", list(SETTINGS))
def test_captions_are_those_of_open_clip(name, caption, image_tokens, golden):
    # of "beam" open_clip searches three groups of beams, and here one does
    np.testing.assert_array_equal(caption(name, image_tokens), golden[f"caption_{name}"])


def test_goldens_hold_what_could_go_wrong(golden):
    greedy, beam = golden["caption_greedy"], golden["caption_beam"]
    ends = [row.tolist().index(END_ID) if END_ID in row else None for row in greedy]
    assert ends == [None, 26, 13, 29, None, 27]  # None: padding ended it; 29: the limit did
    assert (greedy[0, 6:] == 0).all()
    ends = [row.tolist().index(END_ID) if END_ID in row else None for row in beam]
    assert ends == [16, None, None, None, 27, 26]
    assert [(row[: end or 30] == 0).sum() for row, end in zip(beam, ends, strict=True)] == [
        *(1, 0, 0, 0, 4, 0)
    ]
    # the end would come earlier, were it allowed to
    assert min(row.tolist().index(END_ID) for row in golden["caption_greedy_short"][1:]) == 11


@pytest.mark.slow
@pytest.mark.parametrize("name", ["greedy", "beam"])
def test_a_caption_is_the_same_alone_and_beside_any_others(name, caption, image_tokens, golden):
    expected = golden[f"caption_{name}"]
    for row in range(6):
        alone = caption(name, image_tokens[row : row + 1])
        np.testing.assert_array_equal(alone[0], expected[row])
    order = np.array([5, 0, 0, 3, 2, 4, 1, 2, 5, 1])  # more rows, and some end long before others
    np.testing.assert_array_equal(caption(name, image_tokens[order]), expected[order])


def slow_search(next_logits, row, *, num_beams, max_tokens, min_tokens):
    """Search as transformers' scorer describes it, one beam after the other, without a cache."""
    alive, ended = [(0.0, [START_ID])], []
    for length in range(1, max_tokens):
        continuations = []
        for score, tokens in alive:
            logits = next_logits(row, tokens).astype(np.float64)
            if length < min_tokens:
                logits[END_ID] = -np.inf
            continuations += [(score + logits[i], [*tokens, i]) for i in range(len(logits))]
        continuations.sort(key=lambda pair: -pair[0])
        best = continuations[: 2 * num_beams]
        ended += [(s / (length + 1), t) for s, t in best[:num_beams] if t[-1] == END_ID]
        ended = sorted(ended, key=lambda pair: -pair[0])[:num_beams]
        if len(ended) == num_beams and ended[-1][0] >= best[0][0] / (length + 1):
            return ended[0][1]
        alive = [(s, t) for s, t in best if t[-1] != END_ID][:num_beams]
    return max(ended + [(s / max_tokens, t) for s, t in alive], key=lambda pair: pair[0])[1]


def test_beams_are_those_of_a_search_written_out(caption, image_tokens, next_logits):
    ids = caption("beam_one_group", image_tokens)
    for row in range(3):
        expected = slow_search(next_logits, row, num_beams=4, max_tokens=20, min_tokens=8)
        assert ids[row, : len(expected)].tolist() == expected
        assert (ids[row, len(expected) :] == 0).all()


def test_a_beam_sees_the_slots_of_its_lineage():
    slots = visible_slots(jnp.array([[[1, 0, 0], [1, 1, 1]]]), jnp.int32(2))
    np.testing.assert_array_equal(slots, [[[0, 1, 1, 0, 0, 0], [0, 1, 0, 1, 0, 0]]])


def test_the_best_continuations_come_with_their_beams_and_tokens():
    scores = jnp.array([[[1.0, 5.0, 2.0], [4.0, 0.0, 3.0]]])
    best, beams, tokens = best_continuations(scores, 3)
    assert best.tolist() == [[5.0, 4.0, 3.0]]
    assert beams.tolist() == [[0, 1, 1]]
    assert tokens.tolist() == [[1, 0, 2]]


@pytest.mark.parametrize("vocab_size", [1, 127, 128, 1000])
def test_the_best_continuations_are_those_of_a_full_sort(vocab_size):
    # few different values: of equal ones the first counts
    scores = np.random.default_rng(0).integers(0, 9, (3, 4, vocab_size)).astype(np.float32)
    best, beams, tokens = best_continuations(jnp.asarray(scores), 4)
    order = np.argsort(-scores.reshape(3, -1), axis=1, kind="stable")[:, :4]
    np.testing.assert_array_equal(best, np.take_along_axis(scores.reshape(3, -1), order, axis=1))
    if vocab_size < 128:  # among more blocks of equal worth any may be taken
        np.testing.assert_array_equal(beams, order // vocab_size)
        np.testing.assert_array_equal(tokens, order % vocab_size)


class Pieces:
    def decode(self, ids):
        return "".join({0: "!", 5: "a ", 6: "fox "}[i] for i in ids)


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([8, 5, 6, 9, 0, 0], "a fox"),
        ([8, 5, 0, 6, 8, 6], "a !fox fox"),
        ([8, 5, 6, 0, 0, 0], "a fox"),
        ([8, 9, 0, 0], ""),
    ],
)
def test_a_caption_is_the_text_before_its_end(ids, text):
    assert caption_text(ids, Pieces(), end_id=9) == text
    assert caption_text(np.array(ids, np.int32), Pieces(), end_id=9) == text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "best"}, "method: got 'best', expected one of ('beam', 'greedy')"),
        ({"max_tokens": 1, "min_tokens": 0}, "got 0 and 1, expected 0 or more and 2 or more"),
        ({"max_tokens": 5}, "max_tokens: got 5, expected more than min_tokens (5)"),
        ({"num_beams": 1}, "num_beams: got 1, expected 2 or more; for one, method greedy"),
        ({"num_beam_groups": 4}, "got 4, expected a divisor of num_beams (6)"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        CaptionConfig(**settings)


def test_a_caption_longer_than_the_context_is_refused(checkpoint, params, image_tokens):
    model = draw_clip(checkpoint.config).bind(params)
    with pytest.raises(ValueError, match="got 41, expected at most 40, the model's context"):
        generate_captions(model, image_tokens, CaptionConfig(max_tokens=41))
