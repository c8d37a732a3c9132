"""Beam search: T5X's own beams, transformers' own, brute force, and greedy with one beam."""

import functools
import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.data.tokenizer import EOS_ID, PAD_ID
from pe.decode.beam import BeamConfig, make_beam_search
from pe.decode.generate import Generator, Request
from pe.decode.phrase_ban import PhraseBan
from pe.decode.sampling import SamplingConfig
from pe.models.t5 import T5Config
from pe.weights.checkpoint import load_params
from pe.weights.hf import open_hf
from pe.weights.t5x import open_t5x

GOLDEN = Path(__file__).parents[3] / "../shared/golden/t5x/t5_1_1"
VOCAB_SIZE = 6
TINY = T5Config(
    dtype="float32",
    vocab_size=VOCAB_SIZE,
    d_model=8,
    num_heads=2,
    head_dim=4,
    d_ff=12,
    num_encoder_layers=1,
    num_decoder_layers=1,
)
FORBIDDEN = np.arange(VOCAB_SIZE) == PAD_ID
INPUTS = (np.array([3, 4, 5, 1], np.int32), np.array([2, 1], np.int32))


def pad_inputs(rows):
    """Pad token ids to one length; returns inputs and segment ids."""
    inputs = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for row, ids in zip(inputs, rows, strict=True):
        row[: len(ids)] = ids
    return inputs, (inputs != 0).astype(np.int32)


@pytest.fixture(scope="module")
def t5(make_t5):
    graph, params = make_t5(TINY, seed=3)
    return graph, params


@pytest.fixture(scope="module")
def search(t5):
    run = make_beam_search(t5[0])

    def search(inputs, forbidden=FORBIDDEN, **config):
        padded, segments = pad_inputs(inputs)
        beams = run(
            t5[1],
            jnp.asarray(padded),
            jnp.asarray(segments),
            jnp.asarray(forbidden),
            config=BeamConfig(**config),
        )
        return tuple(map(np.asarray, beams))

    return search


@pytest.fixture(scope="module")
def logp_after(t5):
    """Return the log-probabilities of the next token after some tokens, padding left out."""

    @jax.jit
    def forward(inputs, decoder_inputs):
        model = nnx.merge(*t5)
        return model(inputs, jnp.ones_like(inputs), decoder_inputs, jnp.ones_like(decoder_inputs))

    @functools.cache
    def logp_after(row, tokens):
        decoder_inputs = [PAD_ID, *tokens, *[PAD_ID] * (4 - len(tokens))]  # one shape for all
        logits = forward(INPUTS[row][None], jnp.array([decoder_inputs]))[0, len(tokens)]
        logits = np.where(FORBIDDEN, -np.inf, np.asarray(logits, np.float64))
        return logits - np.log(np.exp(logits).sum())

    return logp_after


def all_texts(logp_after, row, max_tokens, penalty):
    """Score every text that ends within `max_tokens`, best first."""
    scored = []
    for length in range(1, max_tokens + 1):
        for body in itertools.product(range(2, VOCAB_SIZE), repeat=length - 1):
            text = (*body, EOS_ID)
            logprob = sum(logp_after(row, text[:i])[text[i]] for i in range(length))
            scored.append((logprob / penalty(length), text))
    return sorted(scored, reverse=True)


def strip(tokens):
    """Return what a text holds: up to its end token, or to the padding."""
    text = [int(token) for token in tokens if token != PAD_ID]
    return tuple(text[: text.index(EOS_ID) + 1] if EOS_ID in text else text)


@pytest.mark.slow
@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 2.0])
def test_wide_beams_find_the_best_of_all_texts(search, logp_after, length_penalty):
    tokens, scores = search(INPUTS, num_beams=40, max_tokens=3, length_penalty=length_penalty)
    for row in range(2):
        texts = all_texts(logp_after, row, 3, lambda n: ((5 + n) / 6) ** length_penalty)
        assert len(texts) == 1 + 4 + 16
        assert [strip(text) for text in tokens[row, :21]] == [text for _, text in texts]
        np.testing.assert_allclose(scores[row, :21], [score for score, _ in texts], atol=1e-5)


@pytest.mark.slow
def test_places_that_no_ended_text_fills_hold_the_living_then_nothing(search):
    # 21 texts end within 3 tokens, 4^3 do not
    tokens, scores = search(INPUTS[:1], num_beams=40, max_tokens=3)
    texts = [strip(text) for text in tokens[0]]
    assert len(set(texts)) == 40
    assert all(EOS_ID in text for text in texts[:21])
    assert all(len(text) == 3 and EOS_ID not in text for text in texts[21:])
    assert (np.diff(scores[0, :21]) <= 0).all()
    assert (np.diff(scores[0, 21:]) <= 0).all()
    # of one token there are five texts: the end, and four that live on
    tokens, scores = search(INPUTS[:1], num_beams=8, max_tokens=1)
    assert (scores[0] > -1e9).tolist() == [True] * 5 + [False] * 3
    assert sorted(strip(text) for text in tokens[0, :5]) == [(i,) for i in range(1, 6)]


@pytest.mark.slow
def test_one_beam_is_greedy(t5, search):
    # by transformers' rule; T5X's keeps an end among its candidates that was only second best
    generator = Generator(*t5, forbidden=FORBIDDEN)
    requests = [Request(inputs=inputs, seed=0, numbers=[0]) for inputs in INPUTS]
    greedy = generator.draw(requests, SamplingConfig(temperature=0.0, max_tokens=12))
    tokens, _ = search(INPUTS, num_beams=1, max_tokens=12, rule="transformers", length_penalty=0.0)
    for row, (text,) in enumerate(greedy):
        assert strip(tokens[row, 0]) == tuple(text.tokens.tolist())


@pytest.mark.slow
def test_a_query_has_the_same_beams_alone_and_beside_another(search):
    together = search(INPUTS, num_beams=3, max_tokens=5)
    for row in range(2):
        tokens, scores = search(INPUTS[row : row + 1], num_beams=3, max_tokens=5)
        np.testing.assert_array_equal(tokens[0], together[0][row])
        np.testing.assert_allclose(scores[0], together[1][row], atol=1e-5)


@pytest.mark.slow
def test_forbidden_and_banned_tokens_are_in_no_beam(t5, search):
    forbidden = FORBIDDEN | (np.arange(VOCAB_SIZE) == 3)
    tokens, _ = search(INPUTS, forbidden, num_beams=4, max_tokens=5)
    assert not (tokens == 3).any()
    # an automaton of two states: 3 leads into the second, where 2 is banned
    ban = PhraseBan(
        start=jnp.int32(0),
        hits=jnp.asarray([[0], [1 << 2]], jnp.uint8),
        usual=jnp.asarray([[0, 0, 0, 1, 0, 0]] * 2, jnp.int32),
        ends_with_gap=jnp.zeros(2, jnp.int32),
        move_tokens=jnp.full((2, 1), -1, jnp.int32),
        move_states=jnp.full((2, 1), -1, jnp.int32),
    )
    padded, segments = map(jnp.asarray, pad_inputs(INPUTS))
    run = make_beam_search(t5[0])
    config = BeamConfig(num_beams=8, max_tokens=4)
    free, held = (
        np.asarray(run(t5[1], padded, segments, jnp.asarray(FORBIDDEN), some, config=config)[0])
        for some in (None, ban)
    )

    def has_pair(tokens):
        return ((tokens[..., :-1] == 3) & (tokens[..., 1:] == 2)).any()

    assert has_pair(free)
    assert not has_pair(held)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"needs {GOLDEN}: numbers that T5X computed")
def test_beams_are_those_of_t5x():
    graph, params = load_params(open_t5x(GOLDEN / "checkpoint_400", dtype="float32"))
    with np.load(GOLDEN / "golden.npz") as arrays:
        golden = {name: arrays[name] for name in arrays if name.startswith(("beam4", "batch"))}
    inputs = jnp.asarray(golden["batch_encoder_input_tokens"])
    config = BeamConfig(num_beams=4, max_tokens=golden["beam4_tokens"].shape[-1])
    tokens, scores = make_beam_search(graph)(
        params, inputs, (inputs > 0).astype(jnp.int32), jnp.zeros(384, bool), config=config
    )
    # T5X lists the worst first
    np.testing.assert_array_equal(np.asarray(tokens)[:, ::-1], golden["beam4_tokens"])
    np.testing.assert_allclose(np.asarray(scores)[:, ::-1], golden["beam4_scores"], atol=2e-4)


@pytest.fixture(scope="module")
def pytorch(torch, transformers):
    """(its random T5, torch): the same weights as `made_of` copies."""
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=64,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        dropout_rate=0.0,
        decoder_start_token_id=0,
    )
    model = transformers.T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2:  # so sharp that a text holds many different tokens
                weight.normal_(0.0, 1.0 if "shared" in name else 1.4 / weight.shape[1] ** 0.5)
    return torch, model


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("length_penalty", [1.0, 0.3, 2.0])
def test_beams_and_greedy_texts_are_those_of_transformers(pytorch, tmp_path, length_penalty):
    torch, theirs = pytorch
    theirs.save_pretrained(tmp_path)
    graph, params = load_params(open_hf(tmp_path, source="random", dtype="float32"))
    rng = np.random.default_rng(0)
    inputs = [np.array([*rng.integers(3, 64, n), EOS_ID], np.int32) for n in (3, 6, 9, 4, 7)]
    padded, segments = pad_inputs(inputs)
    ask = {
        "input_ids": torch.tensor(padded.astype(np.int64)),
        "attention_mask": torch.tensor(segments.astype(np.int64)),
        "max_new_tokens": 20,
        "do_sample": False,
        "pad_token_id": PAD_ID,
        "eos_token_id": EOS_ID,
        "output_scores": True,
        "return_dict_in_generate": True,
    }
    with torch.no_grad():
        expected = theirs.generate(
            **ask, num_beams=4, num_return_sequences=4, length_penalty=length_penalty
        )
        greedy = theirs.generate(**ask).sequences.numpy()
    config = BeamConfig(
        num_beams=4, max_tokens=20, rule="transformers", length_penalty=length_penalty
    )
    tokens, scores = make_beam_search(graph)(
        params, *map(jnp.asarray, (padded, segments)), jnp.zeros(64, bool), config=config
    )
    texts = [strip(text) for text in np.asarray(tokens).reshape(20, -1)]
    # transformers fills up with the end token where the padding's id is 0
    assert texts == [strip(text) for text in expected.sequences.numpy()]
    np.testing.assert_allclose(
        np.asarray(scores).reshape(-1), expected.sequences_scores.numpy(), atol=1e-4
    )
    assert len({token for text in texts for token in text}) >= 10
    generator = Generator(graph, params, forbidden=np.zeros(64, bool))
    requests = [Request(inputs=row, seed=0, numbers=[0]) for row in inputs]
    drawn = generator.draw(requests, SamplingConfig(temperature=0.0, max_tokens=20))
    assert [strip(text.tokens) for (text,) in drawn] == [strip(text) for text in greedy]


@pytest.mark.parametrize(
    ("field", "value"), [("num_beams", 0), ("max_tokens", 0), ("rule", "google")]
)
def test_a_setting_out_of_range_is_named_with_its_value(field, value):
    with pytest.raises(ValueError, match=rf"{field}: got .*{value}.*, expected"):
        BeamConfig(**{field: value})
