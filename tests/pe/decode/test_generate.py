"""Decoding texts: by input, seed and number alone, without forbidden tokens, rightly scored."""

import dataclasses
import itertools
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.data.tokenizer import EOS_ID, PAD_ID
from pe.decode.generate import Generator, Request, input_bucket, row_keys
from pe.decode.sampling import SamplingConfig
from pe.models.t5 import T5Config

TINY = T5Config(
    dtype="float32",
    vocab_size=20,
    d_model=8,
    num_heads=2,
    head_dim=4,
    d_ff=12,
    num_encoder_layers=1,
    num_decoder_layers=1,
)
INPUTS = ((3, 4, 5, 1), (9, 1), (7, 7, 1))
FORBIDDEN = np.isin(np.arange(20), (PAD_ID, 2, 11))
MAX_TOKENS = 6
PLAIN = SamplingConfig(max_tokens=MAX_TOKENS)
GREEDY = SamplingConfig(max_tokens=MAX_TOKENS, temperature=0.0)


def ask(row, numbers, *, seed=10):
    return Request(inputs=np.array(INPUTS[row], np.int32), seed=seed + row, numbers=numbers)


def told(drawn):
    """What a text is, to its last bit."""
    return [(text.tokens.tolist(), text.logprob) for text in drawn]


@pytest.fixture(scope="module")
def t5(make_t5):
    return make_t5(TINY)


@pytest.fixture(scope="module")
def generator(t5):
    return Generator(*t5, forbidden=FORBIDDEN)


@pytest.fixture(scope="module")
def many(generator):
    """64 texts of each of the three inputs."""
    return generator.draw([ask(row, range(64)) for row in range(3)], PLAIN)


def test_keys_are_those_of_seed_and_number():
    keys = row_keys(jnp.array([5, 6]), jnp.array([0, 3]))
    assert keys.shape == (2,)
    expected = jax.random.fold_in(jax.random.key(6), 3)
    assert jax.random.key_data(keys[1]).tolist() == jax.random.key_data(expected).tolist()


def test_texts_come_as_they_were_asked_for_and_differ(many):
    assert [len(drawn) for drawn in many] == [64] * 3
    assert len({tuple(text.tokens) for drawn in many for text in drawn}) > 100


def test_forbidden_tokens_are_never_drawn_and_nothing_follows_the_end(many):
    lengths = []
    for text in (text for drawn in many for text in drawn):
        tokens = text.tokens.tolist()
        assert not set(tokens) & {PAD_ID, 2, 11}
        assert EOS_ID not in tokens[:-1]
        assert EOS_ID in tokens or len(tokens) == MAX_TOKENS
        lengths.append(len(tokens))
    assert {1, MAX_TOKENS} <= set(lengths)  # both kinds were seen
    assert max(lengths) == MAX_TOKENS


def test_the_same_request_draws_the_same_texts(generator, many):
    again = generator.draw([ask(row, range(64)) for row in range(3)], PLAIN)
    assert list(map(told, again)) == list(map(told, many))


def test_another_seed_draws_other_texts(generator, many):
    others = generator.draw([ask(row, range(64), seed=20) for row in range(3)], PLAIN)
    assert all(told(other) != told(drawn) for other, drawn in zip(others, many, strict=True))


@pytest.mark.parametrize("numbers", [[0], [5], [0, 1], [9, 2, 40], range(17)])
def test_a_text_depends_neither_on_its_block_nor_on_how_many_are_drawn(generator, many, numbers):
    (drawn,) = generator.draw([ask(2, numbers)], PLAIN)
    assert told(drawn) == told([many[2][number] for number in numbers])


def test_nothing_asked_for_is_nothing_drawn(generator):
    assert generator.draw([], PLAIN) == []
    assert generator.draw([ask(0, [])], PLAIN) == [[]]


@pytest.mark.slow
def test_top_k_1_is_greedy_and_greedy_needs_no_seed(generator):
    (greedy,) = generator.draw([ask(0, range(8))], GREEDY)
    sharp = SamplingConfig(max_tokens=MAX_TOKENS, temperature=0.7, top_k=1)
    (by_top_k,) = generator.draw([ask(0, range(8), seed=99)], sharp)
    assert [told([text])[0][0] for text in by_top_k] == [greedy[0].tokens.tolist()] * 8
    assert len({tuple(text.tokens) for text in greedy}) == 1


@pytest.mark.parametrize("max_tokens", [1, 3, 63, 64, 65])
def test_a_text_has_at_most_so_many_tokens_and_begins_as_a_longer_one(generator, max_tokens):
    (short,) = generator.draw([ask(0, range(16))], SamplingConfig(max_tokens=max_tokens))
    (long,) = generator.draw([ask(0, range(16))], SamplingConfig(max_tokens=80))
    for text, whole in zip(short, long, strict=True):
        assert text.tokens.tolist() == whole.tokens[:max_tokens].tolist()


@pytest.mark.parametrize("chunk_tokens", [1, 4, 6, 50])
def test_what_is_streamed_grows_and_ends_as_what_is_drawn(generator, chunk_tokens):
    request = ask(0, range(8))
    chunks = list(generator.stream(request, PLAIN, chunk_tokens=chunk_tokens))
    for before, after in itertools.pairwise(chunks):
        for earlier, later in zip(before, after, strict=True):
            assert later.tokens[: len(earlier.tokens)].tolist() == earlier.tokens.tolist()
            assert len(later.tokens) - len(earlier.tokens) <= chunk_tokens
            assert later.logprob <= earlier.logprob
    assert len(chunks) <= -(-MAX_TOKENS // chunk_tokens)
    assert told(chunks[-1]) == told(generator.draw([request], PLAIN)[0])


def test_more_texts_than_a_block_holds_are_not_streamed(generator):
    size = generator.row_buckets[-1]
    with pytest.raises(ValueError, match=rf"{size + 1} texts; at most {size} are streamed at once"):
        next(generator.stream(ask(0, range(size + 1)), PLAIN))


@pytest.mark.slow
def test_a_repetition_penalty_makes_tokens_come_once(generator):
    strong = SamplingConfig(max_tokens=16, temperature=0.0, repetition_penalty=1e6)
    ((plain,), (text,)) = (
        generator.draw([ask(0, [0])], sampling)[0]
        for sampling in (SamplingConfig(max_tokens=16, temperature=0.0), strong)
    )
    assert len(set(plain.tokens)) < len(plain.tokens)
    likely = text.tokens[:8].tolist()  # positive logits become nothing, so others come first
    assert len(set(likely)) == len(likely)


@pytest.fixture(scope="module")
def forward(t5):
    return jax.jit(lambda *feed: nnx.merge(*t5)(*feed))


def teacher_forced(forward, row, drawn):
    """Score texts by one full pass, the forbidden tokens left out."""
    tokens = np.zeros((len(drawn), MAX_TOKENS), np.int32)
    for place, text in zip(tokens, drawn, strict=True):
        place[: len(text)] = text
    inputs = np.tile(np.array(INPUTS[row], np.int32), (len(drawn), 1))
    decoder_inputs = np.pad(tokens, ((0, 0), (1, 0)))[:, :-1]
    feed = (inputs, np.ones_like(inputs), decoder_inputs, np.ones_like(tokens))
    logits = np.asarray(forward(*map(jnp.asarray, feed)), np.float64)
    logits = np.where(FORBIDDEN, -np.inf, logits)
    logp = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    chosen = np.take_along_axis(logp, tokens[..., None], axis=-1)[..., 0]
    return np.where(tokens != PAD_ID, chosen, 0).sum(axis=1)


@pytest.mark.parametrize("row", [0, 1, 2])
def test_the_logprob_is_the_teacher_forced_score_of_the_text(forward, many, row):
    expected = teacher_forced(forward, row, [text.tokens for text in many[row]])
    np.testing.assert_allclose([text.logprob for text in many[row]], expected, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.5},
        {"top_k": 3},
        {"top_p": 0.5},
        {"min_p": 0.3},
        {"repetition_penalty": 1.5},
    ],
    ids=lambda options: next(iter(options)),
)
def test_the_logprob_of_a_sharpened_draw_is_still_that_of_the_model(forward, generator, options):
    sampling = SamplingConfig(max_tokens=MAX_TOKENS, **options)
    (drawn,) = generator.draw([ask(0, range(8))], sampling)
    expected = teacher_forced(forward, 0, [text.tokens for text in drawn])
    np.testing.assert_allclose([text.logprob for text in drawn], expected, atol=1e-4)


@pytest.mark.slow
def test_first_tokens_come_as_often_as_the_model_says(forward, generator, many):
    greedy = [
        drawn[0].tokens[0] for drawn in generator.draw([ask(r, [0]) for r in range(3)], GREEDY)
    ]
    for row, token in enumerate(greedy):
        share = np.exp(teacher_forced(forward, row, [[token]])[0])
        observed = np.mean([text.tokens[0] == token for text in many[row]])
        assert abs(observed - share) < 3 * np.sqrt(share * (1 - share) / 64)


@pytest.mark.slow
def test_other_numbers_of_the_same_options_compile_nothing(t5):
    generator = Generator(*t5, forbidden=FORBIDDEN, row_buckets=(2, 4))
    parts = (generator._encode, generator._start, generator._run)

    def compiled(numbers, *, row=0, seed=10, **options):
        generator.draw([ask(row, numbers, seed=seed)], SamplingConfig(**options))
        return tuple(part._cache_size() for part in parts)

    first = compiled(range(3), max_tokens=9, top_k=5, top_p=0.9)
    assert first == (1, 1, 1)
    assert compiled(range(4), max_tokens=9, top_k=5, top_p=0.9) == first  # the same block of four
    assert compiled(range(3), max_tokens=64, top_k=7, top_p=0.5, temperature=0.3) == first
    assert compiled(range(8), row=1, seed=7, max_tokens=3, top_k=1, top_p=1.0) == first
    assert compiled(range(2), max_tokens=9, top_k=5, top_p=0.9) == (1, 2, 2)  # a block of two
    assert compiled(range(3), max_tokens=65, top_k=5, top_p=0.9) == (1, 3, 3)  # a longer cache
    assert compiled(range(3), max_tokens=9, min_p=0.1) == (1, 3, 4)  # other options
    list(generator.stream(ask(0, range(3)), SamplingConfig(max_tokens=9, min_p=0.1)))
    assert tuple(part._cache_size() for part in parts) == (1, 3, 4)  # streaming runs the same


@pytest.mark.parametrize(("num_tokens", "size"), [(1, 16), (16, 16), (17, 32), (2048, 2048)])
def test_an_input_is_padded_to_its_bucket(num_tokens, size):
    assert input_bucket(num_tokens) == size


def test_an_input_beyond_the_largest_bucket_is_refused():
    with pytest.raises(ValueError, match="an input of 2049 tokens; at most 2048 can be read"):
        input_bucket(2049)


def check_that_nothing_around_a_text_changes_a_bit_of_it(make_t5, dtype):
    """Draw it alone, as the first of eight, and among 31 others; run with XLA's optimisations."""
    config = T5Config(vocab_size=4096, d_model=256, num_heads=4, head_dim=64, d_ff=512, dtype=dtype)
    generator = Generator(*make_t5(config), forbidden=np.arange(4096) % 4096 == PAD_ID)
    rng = np.random.default_rng(0)

    def request(num_tokens, seed, numbers):
        inputs = np.array([*rng.integers(3, 4096, num_tokens - 1), EOS_ID], np.int32)
        return Request(inputs=inputs, seed=seed, numbers=numbers)

    asked = request(9, 5, [0])
    lengths = (3, 9, 15, 16, 17, 31, 40, 5, 12, 6, 7, 8, 10, 11, 13, 14)
    others = [request(length, seed, [0, 7]) for seed, length in enumerate(lengths)][:-1]
    for sampling in (
        SamplingConfig(max_tokens=12),
        SamplingConfig(max_tokens=12, top_k=50, top_p=0.9, repetition_penalty=1.2),
    ):
        ((alone,),) = generator.draw([asked], sampling)
        for numbers in (range(2), range(3), range(8), range(20)):
            (drawn,) = generator.draw([dataclasses.replace(asked, numbers=numbers)], sampling)
            assert told(drawn[:1]) == told([alone]), (dtype, len(numbers))
        for place in (0, 7, 15):
            crowd = [*others[:place], asked, request(9, 77, [1]), *others[place:]]
            assert told(generator.draw(crowd, sampling)[place]) == told([alone]), (dtype, place)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nothing_around_a_text_changes_a_bit_of_it(dtype):
    # in a process of its own: the other tests run without XLA's optimisations, as nobody else does
    code = (
        "import importlib.util, sys\n"
        "def load(path):\n"
        "    spec = importlib.util.spec_from_file_location(path, path)\n"
        "    module = importlib.util.module_from_spec(spec)\n"
        "    spec.loader.exec_module(module)\n"
        "    return module\n"
        "make_t5 = load(sys.argv[1]).make_t5.__wrapped__()\n"
        "check = load(sys.argv[2]).check_that_nothing_around_a_text_changes_a_bit_of_it\n"
        "check(make_t5, sys.argv[3])\n"
    )
    here = Path(__file__)
    done = subprocess.run(
        [sys.executable, "-c", code, str(here.parents[1] / "conftest.py"), str(here), dtype],
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "0"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
