"""Models from format to format: the same arrays, settings and texts, whole or not there."""

import copy
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tokenizers import Tokenizer

from pe.data.tokenizer import EOS_ID
from pe.decode.generate import Request
from pe.decode.sampling import SamplingConfig
from pe.engines.expander import T5Expander
from pe.engines.export import convert_model
from pe.engines.model import ExpanderSettings, load_model
from pe.models.t5 import with_output_table
from pe.weights.formats import open_model

SAMPLING = SamplingConfig(max_tokens=6)
GREEDY = SamplingConfig(max_tokens=6, temperature=0.0)
PROMPT = np.random.default_rng(1).normal(size=(3, 16)).astype(np.float32)
SETTINGS = {"template": "Expand: {query}", "max_input_tokens": 30}


def values(source):
    """{name: (type, shape, bytes)} of every array."""
    arrays = open_model(str(source)).checkpoint.arrays
    read = {name: array.read() for name, array in arrays.items()}
    return {name: (x.dtype.name, x.shape, x.tobytes()) for name, x in read.items()}


def write_prompt(folder, prompt=PROMPT):
    np.save(folder / "prompt.npy", prompt)
    return folder / "prompt.npy"


@pytest.fixture(scope="module")
def chain(run_folder, tmp_path_factory):
    """The run, and then each format made of the one before."""
    folder = tmp_path_factory.mktemp("chain")
    steps = [
        ("pe", folder / "pe", {"settings": SETTINGS}),
        ("t5x", folder / "native" / "checkpoint_6", {"step": 6}),
        ("t5x", folder / "orbax", {"t5x_form": "orbax"}),
        ("hf", folder / "hf", {}),
        ("pe", folder / "again", {}),
    ]
    places = [run_folder]
    for to, out, options in steps:
        convert_model(str(places[-1]), out, to=to, **options)
        places.append(out)
    return places


@pytest.fixture(scope="module")
def baked(run_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("baked")
    prompt = write_prompt(folder)
    convert_model(str(run_folder), folder / "model", to="pe", soft_prompt=prompt)
    return folder / "model"


@pytest.fixture(scope="module")
def baked_expander(baked):
    return T5Expander(load_model(baked))


def test_every_array_and_setting_goes_through_all_formats(chain):
    expected = values(chain[0])
    settings = ExpanderSettings(max_input_tokens=30, template="Expand: {query}")
    vocabulary = (chain[0] / "vocabulary.model").read_bytes()
    for place in chain[1:]:
        assert values(place) == expected, place
        opened = open_model(str(place))
        assert opened.expander == settings.to_dict(), place
        assert opened.checkpoint.vocabulary.read_bytes() == vocabulary, place
    assert (chain[2] / "vocabulary.model").is_file()  # beside T5X's own


@pytest.mark.slow
def test_every_format_gives_the_same_expansions(chain):
    first = T5Expander(load_model(chain[0], settings=SETTINGS))  # the run has them not
    expected = None
    for place in chain:
        model = load_model(place, settings=SETTINGS if place == chain[0] else {})
        writer = copy.copy(first._writer)  # what it compiled serves all: the sizes are the same
        writer._params = with_output_table(model.graph, model.params)[1]
        expander = T5Expander(model, writer=writer)
        (found,) = expander.expand(["red fox"], 2, prefix="DTL", seed=5, sampling=SAMPLING)
        told = [(e.text, e.logprob, e.num_tokens) for e in found]
        expected = expected or told
        assert told == expected, place
    assert len(set(expected)) == 2


def test_a_baked_prompt_lies_in_the_settings_and_the_embedding(run_folder, baked):
    model = load_model(baked)
    assert model.settings == ExpanderSettings(max_input_tokens=35, prompt_ids=(416, 417, 418))
    assert model.vocab_size == 419
    checkpoint, before = open_model(str(baked)).checkpoint, open_model(str(run_folder)).checkpoint
    table = checkpoint.arrays["embedding"].read()
    np.testing.assert_array_equal(table[416:], PROMPT)
    np.testing.assert_array_equal(table[:416], before.arrays["embedding"].read())
    ids = model.encode("red fox", "ABST")
    plain = load_model(run_folder).encode("red fox", "ABST")
    assert ids.tolist() == [416, 417, 418, *plain.tolist()]
    assert model.forbidden()[416:].all()


@functools.partial(jax.jit, static_argnames="graph")
def soft_logits(params, prompt, ids, row, *, graph):
    """Put the soft prompt [1 P D] before the embedded ids; padding is 0. Returns [T V]."""
    t5 = nnx.merge(graph, params)
    x = jnp.concatenate([prompt, t5.embed(ids)], axis=1)
    segments = jnp.concatenate([jnp.ones(prompt.shape[:2], int), (ids > 0).astype(int)], axis=1)
    decoded = t5.decoder(
        t5.embed(row),
        t5.encoder(x, segments, key=None),
        segments=jnp.ones(row.shape, int),
        encoder_segments=segments,
        key=None,
    )
    return t5.to_logits(decoded)[0]


def greedy_ids(model, prompt, ids, num_tokens):
    """Write with a soft prompt that is in no vocabulary, by the whole forward."""
    ids = jnp.asarray([[*ids, *[0] * (16 - len(ids))]])
    drawn = []
    while len(drawn) < num_tokens and EOS_ID not in drawn:
        # one shape for every step; what comes later is seen by none
        row = jnp.asarray([[0, *drawn, *[0] * (num_tokens - 1 - len(drawn))]])
        logits = soft_logits(model.params, jnp.asarray(prompt)[None], ids, row, graph=model.graph)
        logits = np.asarray(logits)[len(drawn)]
        drawn.append(int(np.where(model.forbidden(), -np.inf, logits).argmax()))
    return drawn


@pytest.mark.slow
def test_a_baked_prompt_writes_what_the_soft_prompt_writes(run_folder, baked, baked_expander):
    plain, model = load_model(run_folder), baked_expander.model
    written = set()
    for query in ("red fox", "glass city", "old boat at sea"):
        request = Request(inputs=model.encode(query, ""), seed=0, numbers=range(1))
        ((found,),) = baked_expander._writer.draw([request], GREEDY)
        ids = plain.encode(query, "")
        assert found.tokens.tolist() == greedy_ids(plain, PROMPT, ids, 6)
        assert found.tokens.tolist() != greedy_ids(plain, PROMPT[:0], ids, 6)
        ((told,),) = baked_expander.expand([query], 1, sampling=GREEDY)
        assert told.logprob == found.logprob
        written.add(tuple(found.tokens.tolist()))
    assert len(written) > 1


def test_the_ids_of_a_baked_prompt_are_never_drawn(baked_expander):
    hot = SamplingConfig(max_tokens=6, temperature=50.0)  # so that every row is within reach
    ids = baked_expander.model.encode("red fox", "")
    requests = [Request(inputs=ids, seed=seed, numbers=range(8)) for seed in range(25)]
    drawn = [text.tokens for texts in baked_expander._writer.draw(requests, hot) for text in texts]
    assert len(drawn) == 200
    tokens = np.concatenate(drawn)
    assert tokens.max() < baked_expander.model.vocabulary.size
    assert len(set(tokens.tolist())) > 200


def test_a_second_soft_prompt_is_refused(baked, tmp_path):
    with pytest.raises(ValueError, match="has a soft prompt of its own already; convert without"):
        convert_model(str(baked), tmp_path / "x", to="pe", soft_prompt=write_prompt(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["prompt.npy"]


def test_a_soft_prompt_of_another_width_is_refused(run_folder, tmp_path):
    prompt = write_prompt(tmp_path, PROMPT[:, :8])
    with pytest.raises(ValueError, match=r"\[3, 8\], but .* has d_model 16: it was tuned for ano"):
        convert_model(str(run_folder), tmp_path / "x", to="hf", soft_prompt=prompt)
    assert [path.name for path in tmp_path.iterdir()] == ["prompt.npy"]


def test_a_model_baked_before_keeps_its_prompt_in_every_format(baked, tmp_path):
    expected = values(baked)
    settings = open_model(str(baked)).expander
    for to, options in (("t5x", {}), ("hf", {}), ("t5x", {"t5x_form": "orbax"})):
        out = tmp_path / f"{to}{len(options)}"
        convert_model(str(baked), out, to=to, **options)
        assert values(out) == expected
        assert open_model(str(out)).expander == settings
    folder = tmp_path / "hf0"
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation["suppress_tokens"] == [416, 417, 418]
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode("red fox").ids
    assert ids == load_model(folder).encode("red fox", "").tolist()


def test_prompt_ids_that_are_not_the_last_rows_are_refused(run_folder, tmp_path):
    with pytest.raises(
        ValueError, match=r"prompt_ids: got \[3\], expected the last of the model's 4"
    ):
        convert_model(str(run_folder), tmp_path / "x", to="hf", settings={"prompt_ids": [3]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", ["pe", "hf", "t5x"])
def test_a_place_that_is_taken_is_left_as_it_was(run_folder, tmp_path, to):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for place in (out, tmp_path / "file"):
        with pytest.raises(
            ValueError, match="exists and is not empty; give a new folder, or remov"
        ):
            convert_model(str(run_folder), place, to=to)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "out"]
    (out / "mine.txt").unlink()
    convert_model(str(run_folder), out, to=to)  # an empty folder is none
    assert open_model(str(out)).expander["max_input_tokens"] == 32


@pytest.mark.parametrize(
    ("to", "writer"),
    [
        ("pe", "pe.weights.pe_folder.write_safetensors"),
        ("pe", "pe.shards.write_json"),
        ("hf", "pe.weights.hf.write_weights"),
        ("hf", "pe.shards.write_json"),
        ("hf", "pe.engines.export.write_baked_tokenizer"),
        ("t5x", "pe.weights.t5x.write_bytes"),
        ("t5x", "pe.engines.export._copy_vocabulary"),
        ("t5x", "pe.shards.write_json"),
    ],
)
def test_a_kill_in_the_middle_leaves_nothing(run_folder, tmp_path, monkeypatch, to, writer):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    prompt = write_prompt(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(writer, stop)
        with pytest.raises(KeyboardInterrupt):
            convert_model(str(run_folder), tmp_path / "out", to=to, soft_prompt=prompt)
    assert [path.name for path in tmp_path.iterdir()] == ["prompt.npy"]


def test_what_a_kill_left_is_in_nobodys_way(run_folder, tmp_path):
    left = tmp_path / ".tmp-convert-out" / "out"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_text("half")
    convert_model(str(run_folder), tmp_path / "out", to="hf")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "onnx"}, r"to: got 'onnx', expected one of \('hf', 't5x', 'pe', 'ct2'\)"),
        ({"to": "t5x", "t5x_form": "zarr"}, "t5x_form: got 'zarr', expected one of .'native', 'o"),
        ({"to": "t5x", "step": 4}, "checkpoint_3 is named for step 3 and step is 4; give that --"),
        ({"to": "pe", "settings": {"template": "x"}}, "template: got 'x', expected {query} in it"),
    ],
)
def test_unknown_formats_and_settings_are_told_of(run_folder, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        convert_model(str(run_folder), tmp_path / "checkpoint_3", **options)
    assert list(tmp_path.iterdir()) == []
