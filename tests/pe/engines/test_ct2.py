"""CTranslate2 writes what the default runtime writes, and says what it cannot do."""

import functools
import json
import shutil
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.data.tokenizer import EOS_ID
from pe.decode.beam import BeamConfig
from pe.decode.ct2 import Ct2Writer
from pe.decode.generate import Generator, Request
from pe.decode.phrase_ban import compile_ban
from pe.decode.sampling import SamplingConfig
from pe.engines.ct2 import load_ct2
from pe.engines.expander import T5Expander
from pe.engines.export import convert_model
from pe.engines.model import load_model

QUERIES = (
    "red fox", "old boat", "stone castle", "lonely dragon", "glass city", "paper moon", "a hill",
    "a red fox in snow, at dawn", "by night", "white horse under a storm",
)  # fmt: skip
SAMPLING = SamplingConfig(max_tokens=12)
GREEDY = SamplingConfig(max_tokens=12, temperature=0.0)


@pytest.fixture(scope="module")
def folder(run_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("ct2") / "model"
    convert_model(str(run_folder), out, to="ct2", quantization="float32")
    return out


@pytest.fixture(scope="module")
def ct2(folder):
    return load_ct2(str(folder), num_threads=1)


@pytest.fixture(scope="module")
def jax_model(run_folder):
    return load_model(run_folder)


@pytest.fixture(scope="module")
def generator(jax_model):
    return Generator(jax_model.graph, jax_model.params, forbidden=jax_model.forbidden())


def ask(model, query="red fox", *, seed=7, num_texts=1, first=0):
    numbers = range(first, first + num_texts)
    return Request(inputs=model.encode(query, "DTL"), seed=seed, numbers=numbers)


def ids_of(texts):
    return [text.tokens.tolist() for text in texts]


@functools.partial(jax.jit, static_argnames="graph")
def forward(params, inputs, row, *, graph):
    segments = (inputs > 0).astype(int)
    return nnx.merge(graph, params)(inputs, segments, row, jnp.ones_like(row))[0]


def log_probs(model, request, tokens=(), *, temperature=1.0):
    """[tokens + 1, V] by the whole forward of the default runtime, forbidden ids left out."""
    # one shape for every text; what comes later is seen by none
    inputs = jnp.asarray([[*request.inputs, *[0] * (16 - len(request.inputs))]])
    row = jnp.asarray([[0, *tokens, *[0] * (12 - len(tokens))]])
    logits = forward(model.params, inputs, row, graph=model.graph)[: len(tokens) + 1]
    allowed = jnp.where(model.forbidden(), -1e9, logits)
    return np.asarray(jax.nn.log_softmax(allowed / temperature))


def score(model, request, text):
    """Return a text's log-probability."""
    rows = log_probs(model, request, text.tokens[:-1].tolist())
    return rows[np.arange(len(text.tokens)), text.tokens].sum()


@pytest.mark.torch
def test_a_folder_comes_with_its_name_vocabulary_and_settings(ct2, jax_model):
    model, _ = ct2
    assert (model.name, model.vocab_size) == ("tiny@6", 416)
    assert model.settings == jax_model.settings
    assert model.vocabulary.model_bytes == jax_model.vocabulary.model_bytes
    np.testing.assert_array_equal(model.forbidden(), jax_model.forbidden())


@pytest.mark.torch
def test_greedy_texts_and_their_log_probabilities_are_those_of_the_default_runtime(
    ct2, jax_model, generator
):
    model, writer = ct2
    requests = [ask(model, query) for query in QUERIES]
    found, expected = (runtime.draw(requests, GREEDY) for runtime in (writer, generator))
    for request, (text,), (wanted,) in zip(requests, found, expected, strict=True):
        assert text.tokens.tolist() == wanted.tokens.tolist()
        assert text.logprob == pytest.approx(wanted.logprob, abs=1e-3)
        assert text.logprob == pytest.approx(score(jax_model, request, text), abs=1e-3)
    assert len({tuple(text.tokens.tolist()) for (text,) in found}) > 3


@pytest.mark.torch
@pytest.mark.parametrize(
    "options",
    [{}, {"top_p": 0.5}, {"top_k": 5}, {"temperature": 3.0}, {"top_k": 999}],
    ids=str,
)
def test_the_log_probability_of_a_sample_is_that_of_the_model(ct2, jax_model, options):
    model, writer = ct2
    request = ask(model, num_texts=3)
    (texts,) = writer.draw([request], SamplingConfig(max_tokens=8, **options))
    assert len(texts) == 3
    for text in texts:
        assert text.logprob == pytest.approx(score(jax_model, request, text), abs=1e-3)


@pytest.mark.torch
def test_top_p_and_top_k_leave_out_what_they_do_in_the_default_runtime(ct2, jax_model):
    model, writer = ct2
    request = ask(model, num_texts=500)
    one = SamplingConfig(max_tokens=1, temperature=5.0, top_p=0.2)
    (texts,) = writer.draw([request], one)
    tokens = {int(text.tokens[0]) for text in texts}
    probs = np.exp(log_probs(jax_model, request, temperature=5.0)[0])
    order = np.argsort(-probs)
    nucleus = order[: int((np.cumsum(probs[order]) < 0.2).sum()) + 1]
    assert tokens <= set(nucleus.tolist())  # of the mass after the temperature
    assert len(tokens) > 0.9 * len(nucleus)
    (texts,) = writer.draw([request], SamplingConfig(max_tokens=1, temperature=5.0, top_k=7))
    assert {int(text.tokens[0]) for text in texts} == set(order[:7].tolist())


@pytest.mark.torch
def test_the_same_seed_gives_the_same_texts_whatever_was_drawn_before(folder):
    model, writer = load_ct2(str(folder), num_threads=1, reseeds=True)
    request = ask(model, num_texts=3)
    (first,) = writer.draw([request], SAMPLING)
    other, again = writer.draw([ask(model, seed=8, num_texts=3), request], SAMPLING)
    assert ids_of(again) == ids_of(first)
    assert ids_of(other) != ids_of(first)
    (later,) = writer.draw([ask(model, num_texts=3, first=3)], SAMPLING)
    assert ids_of(later) != ids_of(first)
    _, anew = load_ct2(str(folder), num_threads=1)
    assert ids_of(anew.draw([request], SAMPLING)[0]) == ids_of(first)
    assert len({tuple(ids) for ids in ids_of(first)}) == 3


@pytest.mark.torch
def test_an_expander_gives_different_texts_and_the_same_ones_again(folder):
    model, writer = load_ct2(str(folder), num_threads=1, reseeds=True)
    expander = T5Expander(model, writer=writer)
    sets = [
        expander.expand(queries, 4, prefix="ABST", seed=3, sampling=SAMPLING)
        for queries in (["red fox", "old boat"], ["old boat"])
    ]
    texts = [[expansion.text for expansion in found] for found in sets[0]]
    assert [[e.text for e in found] for found in sets[1]] == texts[1:]
    assert [len(set(found)) for found in texts] == [4, 4]
    (greedy,) = expander.expand(["red fox"], 2, sampling=GREEDY)
    assert len(greedy) == 2
    assert greedy[0].text == greedy[1].text


@pytest.mark.torch
@pytest.mark.parametrize(("max_tokens", "num_texts"), [(1, 2), (5, 1), (40, 3)])
def test_a_text_has_at_most_max_tokens_and_no_end_where_it_was_cut(ct2, max_tokens, num_texts):
    model, writer = ct2
    hot = SamplingConfig(max_tokens=max_tokens, temperature=9.0)
    (texts,) = writer.draw([ask(model, num_texts=num_texts)], hot)
    assert len(texts) == num_texts
    for text in texts:
        assert 1 <= len(text.tokens) <= max_tokens
        assert EOS_ID not in text.tokens[:-1]
        assert len(text.tokens) == max_tokens or text.tokens[-1] == EOS_ID


@pytest.mark.torch
def test_the_end_may_come_first_as_in_the_default_runtime(ct2):
    model, writer = ct2
    hot = SamplingConfig(max_tokens=3, temperature=1000.0)
    (texts,) = writer.draw([ask(model, num_texts=4000)], hot)
    assert [EOS_ID] in ids_of(texts)


@pytest.mark.torch
def test_forbidden_ids_are_never_drawn(run_folder, tmp_path):
    np.save(tmp_path / "prompt.npy", np.ones((3, 16), np.float32))
    convert_model(str(run_folder), tmp_path / "ct2", to="ct2", soft_prompt=tmp_path / "prompt.npy")
    model, writer = load_ct2(str(tmp_path / "ct2"), num_threads=1)
    assert model.settings.prompt_ids == (416, 417, 418)
    hot = SamplingConfig(max_tokens=20, temperature=50.0)
    (texts,) = writer.draw([ask(model, num_texts=200)], hot)
    drawn = np.unique(np.concatenate([text.tokens for text in texts]))
    assert len(texts) == 200
    assert len(drawn) > 250
    assert not model.forbidden()[drawn].any()
    assert drawn.max() < model.vocabulary.size


@pytest.mark.torch
def test_options_that_it_has_not_are_refused(ct2):
    model, writer = ct2
    request = ask(model)
    with pytest.raises(ValueError, match="ct2 has no min_p; use top_p, or the default runtime"):
        writer.draw([request], SamplingConfig(min_p=0.1))
    ban = compile_ban(("gold",), model.vocabulary, vocab_size=model.vocab_size)
    with pytest.raises(ValueError, match="ct2 cannot ban phrases; use the default runtime"):
        writer.draw([request], SAMPLING, ban=ban)
    expander = T5Expander(model, writer=writer)
    with pytest.raises(
        ValueError, match="this runtime gives whole texts only; stream with the def"
    ):
        next(expander.stream("red fox", 1, sampling=SAMPLING))
    with pytest.raises(ValueError, match="beam search runs in the default runtime only"):
        expander.search_beams("red fox", 1, beams=BeamConfig())
    with pytest.raises(TypeError, match="needs a writer of its own"):
        T5Expander(model)


@pytest.mark.torch
def test_a_damaged_model_and_ids_that_it_lacks_are_told_of(folder, tmp_path):
    with pytest.raises(ValueError, match=r"prompt_ids: got \[416\], expected 0 to 415"):
        load_ct2(str(folder), settings={"prompt_ids": [416]})
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "model.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match="broken is no CTranslate2 model: "):
        load_ct2(str(broken))


def make_folder(path, *, names=("<pad>", "</s>", "<unk>"), **fields):
    """A folder as pe convert leaves it, without the weights."""
    path.mkdir()
    description = {"expander": {}, "vocabulary": None, **fields}
    (path / "pe_ct2.json").write_text(json.dumps(description))
    (path / "shared_vocabulary.json").write_text(json.dumps(names))
    return path


def test_a_folder_that_is_not_whole_is_told_of(run_folder, tmp_path):
    with pytest.raises(
        ValueError, match=r"no CTranslate2 model of this project .*pe_ct2\.json is m"
    ):
        load_ct2(str(run_folder))
    folder = make_folder(tmp_path / "a")
    with pytest.raises(ValueError, match="a holds no vocabulary; give it with --vocab FILE"):
        load_ct2(str(folder))
    given = run_folder / "vocabulary.model"
    with pytest.raises(
        ValueError, match=r"has 3\d\d pieces and the model of .* only 3 rows; it is"
    ):
        load_ct2(str(folder), vocabulary=given)
    for text in ("{", '{"a": 1}', "[1]"):
        (folder / "shared_vocabulary.json").write_text(text)
        with pytest.raises(ValueError, match=r"shared_vocabulary\.json is damaged: .*; convert"):
            load_ct2(str(folder), vocabulary=given)
    (folder / "shared_vocabulary.json").unlink()
    with pytest.raises(
        ValueError, match=r"a lacks shared_vocabulary\.json; convert the model again"
    ):
        load_ct2(str(folder), vocabulary=given)
    for text in ("{", "[]", "{}", '{"expander": 3, "vocabulary": null}'):
        (folder / "pe_ct2.json").write_text(text)
        with pytest.raises(
            ValueError, match=r"pe_ct2\.json is damaged: .*; convert the model again"
        ):
            load_ct2(str(folder))


def test_without_ctranslate2_the_way_to_get_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    folder = make_folder(tmp_path / "a")
    message = r'runtime ct2 needs ctranslate2: pip install "prompt-expansion\[ct2\]"'
    with pytest.raises(ValueError, match=message):
        Ct2Writer(folder, forbidden=np.zeros(3, bool))
