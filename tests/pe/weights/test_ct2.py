"""CTranslate2 computes what our T5 computes, and its folder is whole or not there."""

import dataclasses
import importlib
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.models.t5 import T5Config
from pe.weights.bake import bake_soft_prompt
from pe.weights.checkpoint import Checkpoint, load_params, params_to_arrays, stored
from pe.weights.ct2 import write_ct2

T5_1_1 = T5Config(
    dtype="float32",
    vocab_size=60,
    d_model=16,
    num_heads=2,
    head_dim=12,
    d_ff=24,
    num_encoder_layers=2,
    num_decoder_layers=3,
    num_buckets=8,
    max_distance=10,
    norm_epsilon=1e-3,
)
T5_1_0 = dataclasses.replace(T5_1_1, activations=("relu",), tied_logits=True, scaled_logits=True)
UMT5 = dataclasses.replace(T5_1_1, layer_biases=True)
KINDS = pytest.mark.parametrize("config", [T5_1_0, T5_1_1, UMT5], ids=["1.0", "1.1", "umT5"])
TOKENS = ["<pad>", "</s>", "<unk>", *(f"t{i}" for i in range(3, 60))]
MAX_INPUTS, MAX_TOKENS = 16, 12


@pytest.fixture
def make_checkpoint(make_t5):
    """Make a T5 whose greedy texts vary: sharp logits, biases and products that matter."""

    def make(config):
        _, params = make_t5(config)
        arrays = params_to_arrays(params)
        for name, factor in (("decoder.logits_dense.kernel", 4.0), ("embedding", 2.0)):
            if name in arrays:
                arrays[name] = stored(arrays[name].read() * np.float32(factor))
        return Checkpoint(source="a made-up T5", config=config, arrays=arrays)

    return make


def make_inputs():
    """20 rows of 1 to 15 ids and the end."""
    rng = np.random.default_rng(0)
    return [[*rng.integers(3, 60, rng.integers(1, 16)).tolist(), 1] for _ in range(20)]


def make_logits(checkpoint, prompt=None):
    """logits(ids, decoder_ids) of one row, by the whole forward; a soft prompt goes before."""
    graph, params = load_params(checkpoint)
    rows = jnp.zeros((0, 16)) if prompt is None else jnp.asarray(prompt)

    @jax.jit
    def run(params, ids, is_id, decoder_ids):
        model = nnx.merge(graph, params)
        x = jnp.concatenate([rows[None], model.embed(ids)], axis=1)
        segments = jnp.concatenate([jnp.ones((1, len(rows)), int), is_id], axis=1)
        decoded = model.decoder(
            model.embed(decoder_ids),
            model.encoder(x, segments, key=None),
            segments=jnp.ones(decoder_ids.shape, int),
            encoder_segments=segments,
            key=None,
        )
        return model.to_logits(decoded)[0]

    def pad(ids, length):  # one shape, compiled once; what comes later is seen by none
        return jnp.asarray([[*ids, *[0] * (length - len(ids))]])

    def logits(ids, decoder_ids):
        is_id = pad([1] * len(ids), MAX_INPUTS)
        found = run(params, pad(ids, MAX_INPUTS), is_id, pad(decoder_ids, MAX_TOKENS + 1))
        return np.asarray(found)[: len(decoder_ids)]

    return logits


def greedy(logits, ids):
    drawn = []
    while len(drawn) < MAX_TOKENS and 1 not in drawn:
        drawn.append(int(logits(ids, [0, *drawn])[-1].argmax()))
    return [i for i in drawn if i != 1]


def log_probs(logits, ids, targets):
    """Of the targets and the end, in nats."""
    targets = [*targets, 1]
    rows = logits(ids, [0, *targets[:-1]]).astype(np.float64)
    highest = rows.max(-1, keepdims=True)
    rows = rows - highest - np.log(np.exp(rows - highest).sum(-1, keepdims=True))
    return rows[np.arange(len(targets)), targets]


def names(ids):
    return [TOKENS[i] for i in ids]


def translator(folder, compute_type="float32"):
    ctranslate2 = importlib.import_module("ctranslate2")
    return ctranslate2.Translator(str(folder), compute_type=compute_type, intra_threads=1)


def translate(model, rows, **options):
    options = {"beam_size": 1, "max_decoding_length": MAX_TOKENS, **options}
    return [result.hypotheses[0] for result in model.translate_batch(rows, **options)]


@pytest.mark.torch
@KINDS
def test_ctranslate2_decodes_and_scores_as_our_t5(tmp_path, make_checkpoint, config):
    checkpoint = make_checkpoint(config)
    write_ct2(checkpoint, tmp_path / "ct2", tokens=TOKENS)
    model = translator(tmp_path / "ct2")
    logits = make_logits(checkpoint)
    inputs = make_inputs()
    expected = [greedy(logits, ids) for ids in inputs]
    assert len({i for row in expected for i in row}) >= 10
    assert translate(model, [names(ids) for ids in inputs]) == [names(row) for row in expected]

    rng = np.random.default_rng(1)
    targets = [rng.integers(3, 60, rng.integers(1, 12)).tolist() for _ in inputs]
    scored = model.score_batch([names(ids) for ids in inputs], [names(row) for row in targets])
    for ids, row, result in zip(inputs, targets, scored, strict=True):
        assert result.tokens == [*names(row), "</s>"]
        np.testing.assert_allclose(result.log_probs, log_probs(logits, ids, row), atol=1e-3)


@pytest.mark.torch
@KINDS
def test_a_baked_soft_prompt_gives_the_texts_and_probabilities_of_the_model_without_it(
    tmp_path, make_checkpoint, config
):
    checkpoint = make_checkpoint(config)
    prompt = np.random.default_rng(2).normal(size=(7, 16)).astype(np.float32)
    baked_checkpoint, baked = bake_soft_prompt(checkpoint, prompt)
    write_ct2(
        baked_checkpoint,
        tmp_path / "ct2",
        tokens=[*TOKENS, *baked.tokens],
        prompt_ids=baked.ids,
        expander={"max_input_tokens": 64},
    )
    beside = json.loads((tmp_path / "ct2/pe_ct2.json").read_text(encoding="utf-8"))
    assert beside == {
        "expander": {"max_input_tokens": 64},
        "prompt_ids": [60, 61, 62, 63, 64, 65, 66],
        "prompt_tokens": [f"<prompt_{i}>" for i in range(7)],
        "vocabulary": None,
    }
    model = translator(tmp_path / "ct2")
    inputs = make_inputs()
    rows = [[*beside["prompt_tokens"], *names(ids)] for ids in inputs]
    logits, without = make_logits(checkpoint, prompt), make_logits(checkpoint)
    expected = [greedy(logits, ids) for ids in inputs]
    assert expected != [greedy(without, ids) for ids in inputs]
    assert translate(model, rows) == [names(row) for row in expected]
    scored = model.score_batch(rows, [["t3", "t4"]] * 20)
    for ids, result in zip(inputs, scored, strict=True):
        np.testing.assert_allclose(result.log_probs, log_probs(logits, ids, [3, 4]), atol=1e-3)
    # 200 samples, hot, so that every row is within reach
    options = {"sampling_topk": 0, "sampling_temperature": 20.0}
    for drawn in translate(model, rows * 10, **options):
        assert set(drawn).isdisjoint(baked.tokens)


@pytest.mark.torch
@pytest.mark.parametrize("quantization", ["bfloat16", "int8", "int8_float32"])
@KINDS
def test_narrow_weights_stay_close_and_leave_the_checkpoint_as_it_was(
    tmp_path, make_checkpoint, config, quantization
):
    checkpoint = make_checkpoint(config)
    arrays = {name: stored(np.array(array.read())) for name, array in checkpoint.arrays.items()}
    checkpoint = dataclasses.replace(checkpoint, arrays=arrays)
    before = {name: array.read().copy() for name, array in arrays.items()}
    write_ct2(checkpoint, tmp_path / "wide", tokens=TOKENS)
    write_ct2(checkpoint, tmp_path / "narrow", quantization=quantization, tokens=TOKENS)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array.read(), before[name])
    sizes = [(tmp_path / name / "model.bin").stat().st_size for name in ("narrow", "wide")]
    assert sizes[0] < 0.65 * sizes[1]
    compute_type = "float32" if quantization == "bfloat16" else quantization
    rows = [names(ids) for ids in make_inputs()]
    targets = [["t5", "t9", "t31"]] * 20
    narrow, wide = (
        np.array([row.log_probs for row in translator(folder, kind).score_batch(rows, targets)])
        for folder, kind in ((tmp_path / "narrow", compute_type), (tmp_path / "wide", "float32"))
    )
    assert 0 < np.abs(narrow - wide).mean() < 0.05 * np.abs(wide).mean()


@pytest.mark.torch
def test_the_vocabulary_beside_the_checkpoint_names_the_tokens(
    tmp_path, make_checkpoint, vocabulary
):
    vocabulary.save(tmp_path / "spiece.model")
    checkpoint = make_checkpoint(dataclasses.replace(T5_1_1, vocab_size=416))
    checkpoint = dataclasses.replace(checkpoint, vocabulary=tmp_path / "spiece.model")
    baked_checkpoint, baked = bake_soft_prompt(checkpoint, np.ones((2, 16), np.float32))
    write_ct2(baked_checkpoint, tmp_path / "ct2", prompt_ids=baked.ids)
    folder = tmp_path / "ct2"
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "model.bin", "pe_ct2.json", "shared_vocabulary.json", "spiece.model"
    ]  # fmt: skip
    assert (folder / "spiece.model").read_bytes() == vocabulary.model_bytes
    tokens = json.loads((folder / "shared_vocabulary.json").read_text(encoding="utf-8"))
    assert tokens[:3] == ["<pad>", "</s>", "<unk>"]
    assert tokens[300] == vocabulary.piece(300)
    assert tokens[vocabulary.size] == "<unused_0>"
    assert tokens[416:] == ["<prompt_0>", "<prompt_1>"]
    with pytest.raises(ValueError, match=r"got \[3\], expected the last rows, 417 .. 417"):
        write_ct2(baked_checkpoint, tmp_path / "other", prompt_ids=[3])


@pytest.mark.torch
def test_a_killed_export_leaves_nothing_that_passes_for_a_model(
    tmp_path, make_checkpoint, monkeypatch
):
    checkpoint = make_checkpoint(T5_1_1)

    def stop(path, value):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pe.weights.ct2.shards.write_json", stop)
        with pytest.raises(KeyboardInterrupt):
            write_ct2(checkpoint, tmp_path / "ct2", tokens=TOKENS)
    assert not (tmp_path / "ct2").exists()
    write_ct2(checkpoint, tmp_path / "ct2", tokens=TOKENS)
    assert [path.name for path in tmp_path.iterdir()] == ["ct2"]
    with pytest.raises(ValueError, match="exists and is not empty"):
        write_ct2(checkpoint, tmp_path / "ct2", tokens=TOKENS)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"quantization": "float16"}, "'float16': T5's activations leave the range of float16"),
        ({"quantization": "int4"}, "got 'int4'; expected one of float32, bfloat16, int8, int8_f"),
        ({"tokens": None}, "a made-up T5 has no vocabulary beside it; give the names of its 60"),
        ({"tokens": TOKENS[:-1]}, "got 59 names, expected 60"),
        ({"tokens": [*TOKENS[:-1], "t7"]}, "'t7' names two rows"),
        ({"prompt_ids": [60]}, r"prompt_ids: got \[60\], expected ids below 60"),
    ],
)
def test_what_cannot_be_exported_is_told_of(tmp_path, make_checkpoint, options, told):
    with pytest.raises(ValueError, match=told):
        write_ct2(make_checkpoint(T5_1_1), tmp_path / "ct2", **{"tokens": TOKENS, **options})
    assert list(tmp_path.iterdir()) == []


def test_without_ctranslate2_the_way_to_get_it_is_told(tmp_path, make_checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(ValueError, match=r'pip install "prompt-expansion\[ct2\]"'):
        write_ct2(make_checkpoint(T5_1_1), tmp_path / "ct2", tokens=TOKENS)


@pytest.mark.torch
def test_feed_forward_blocks_and_versions_that_ctranslate2_lacks_are_told_of(
    tmp_path, make_checkpoint, monkeypatch
):
    checkpoint = make_checkpoint(dataclasses.replace(T5_1_1, activations=("linear", "gelu")))
    with pytest.raises(ValueError, match=r"no feed-forward block of .'linear', 'gelu'."):
        write_ct2(checkpoint, tmp_path / "ct2", tokens=TOKENS)
    monkeypatch.setattr(importlib.import_module("ctranslate2"), "__version__", "4.8.2")
    with pytest.raises(ValueError, match=r"ctranslate2 4.8.2 computes one position bias a stack"):
        write_ct2(make_checkpoint(UMT5), tmp_path / "ct2", tokens=TOKENS)
