"""The transformers layout against transformers itself: the same logits, in and out."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from pe.models.t5 import T5Config
from pe.weights.checkpoint import Checkpoint, load_params, param_shapes, stored
from pe.weights.hf import open_hf, write_hf
from pe.weights.hf_vocabulary import write_vocabulary

GOLDEN_VOCABULARY = Path(__file__).parents[3] / "../shared/golden/t5x/golden_spm.model"
INPUTS = np.array([[5, 9, 3, 7, 1], [8, 2, 1, 0, 0]])
TARGETS = np.array([[4, 6, 2, 1], [7, 7, 3, 1]])
SIZES = {
    "vocab_size": 40,
    "d_model": 16,
    "d_kv": 4,
    "d_ff": 24,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 2,
}
# Class, its config's entries, whether the output matrix differs from the embedding
KINDS = {
    "t5 1.0": ("T5", {"feed_forward_proj": "relu"}, False),
    "t5 1.1": ("T5", {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, True),
    "t5 untied and scaled": ("T5", {"feed_forward_proj": "gated-silu"}, True),
    "t5 tied and not scaled": ("T5", {"tie_word_embeddings": False}, False),
    "mt5": ("MT5", {"tie_word_embeddings": False}, True),
    "mt5 tied": ("MT5", {}, False),
    "umt5": ("UMT5", {}, True),
    "umt5 tied": ("UMT5", {}, False),
}

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def make_model(torch, transformers):
    """Make a model of random parameters, norms and position biases included."""

    def make(kind):
        name, entries, untied = KINDS[kind]
        config = getattr(transformers, f"{name}Config")(**SIZES, **entries)
        model = getattr(transformers, f"{name}ForConditionalGeneration")(config).eval()
        generator = torch.Generator().manual_seed(0)
        if untied:
            model.lm_head.weight = torch.nn.Parameter(torch.empty(40, 16))
        for parameter in model.parameters():
            parameter.data.normal_(0.0, 0.3, generator=generator)
            if parameter.ndim == 1:
                parameter.data += 1.0
        return model

    return make


@pytest.fixture(scope="module")
def torch_logits(torch):
    def run(model):
        with torch.no_grad():
            return model(
                input_ids=torch.tensor(INPUTS),
                attention_mask=torch.tensor((INPUTS != 0).astype(np.int64)),
                decoder_input_ids=torch.tensor(shifted(TARGETS)),
            ).logits.numpy()

    return run


def shifted(targets):
    return np.pad(targets, ((0, 0), (1, 0)))[:, :-1]


def our_logits(checkpoint):
    graph, params = load_params(checkpoint)
    forward = jax.jit(lambda params, *args: nnx.merge(graph, params)(*args))
    segments = (INPUTS != 0).astype(np.int32)
    args = (INPUTS, segments, shifted(TARGETS), np.ones_like(TARGETS))
    return np.asarray(forward(params, *args))


def read_folder(folder):
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= safetensors.numpy.load_file(path)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_are_those_of_transformers_and_the_way_back_changes_no_bit(
    tmp_path, kind, make_model, torch_logits, transformers
):
    model = make_model(kind)
    shard_size = "3KB" if kind in ("t5 1.1", "umt5") else "5GB"
    model.save_pretrained(tmp_path / "a", max_shard_size=shard_size)
    assert (tmp_path / "a/model.safetensors").is_file() == (shard_size == "5GB")
    checkpoint = open_hf(tmp_path / "a", dtype="float32")
    assert checkpoint.config.tied_logits != KINDS[kind][2]
    wanted = torch_logits(model)
    np.testing.assert_allclose(our_logits(checkpoint), wanted, atol=1e-4, rtol=1e-4)

    write_hf(checkpoint, tmp_path / "b", max_shard_bytes=3000)
    before, after = read_folder(tmp_path / "a"), read_folder(tmp_path / "b")
    assert sorted(after) == sorted(before)
    assert all(after[name].tobytes() == before[name].tobytes() for name in before)
    kept = open_hf(tmp_path / "b", dtype="float32")
    assert kept.config == checkpoint.config
    again = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "b").eval()
    # The small mT5 is written as a T5: its kind is told by the size of the vocabulary
    assert type(again).__name__.removeprefix("M") == type(model).__name__.removeprefix("M")
    np.testing.assert_array_equal(torch_logits(again), wanted)


def test_a_umt5_that_says_it_is_not_scaled_is_scaled_by_transformers_5_all_the_same(
    tmp_path, make_model, torch_logits, transformers
):
    make_model("umt5").save_pretrained(tmp_path / "a")
    config = json.loads((tmp_path / "a/config.json").read_text())
    (tmp_path / "a/config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    checkpoint = open_hf(tmp_path / "a", dtype="float32")
    assert not checkpoint.config.scaled_logits
    theirs = torch_logits(transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "a").eval())
    np.testing.assert_allclose(our_logits(checkpoint) * 16**-0.5, theirs, atol=1e-4, rtol=1e-4)


def test_bfloat16_stays_bfloat16_in_transformers(tmp_path, make_model, torch, transformers):
    make_model("t5 1.1").to(torch.bfloat16).save_pretrained(tmp_path / "a")
    checkpoint = open_hf(tmp_path / "a")
    assert {array.dtype.name for array in checkpoint.arrays.values()} == {"bfloat16"}
    write_hf(checkpoint, tmp_path / "b")
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "b")
    assert model.dtype == torch.bfloat16
    assert model.generation_config.decoder_start_token_id == 0
    before, after = read_folder(tmp_path / "a"), read_folder(tmp_path / "b")
    assert all(after[name].tobytes() == before[name].tobytes() for name in before)


@pytest.mark.parametrize(
    ("vocab_size", "num_tokens", "first_extra_id"), [(384, 356, 355), (300, 256, 2)]
)
def test_the_vocabulary_written_is_loaded_as_t5s_and_splits_as_sentencepiece_does(
    tmp_path, transformers, vocab_size, num_tokens, first_extra_id
):
    sentencepiece = pytest.importorskip("sentencepiece")
    if not GOLDEN_VOCABULARY.is_file():
        pytest.skip(f"needs {GOLDEN_VOCABULARY}: a SentencePiece model of 256 pieces")
    config = T5Config(
        vocab_size=vocab_size,
        d_model=4,
        num_heads=2,
        head_dim=3,
        d_ff=5,
        num_encoder_layers=1,
        num_decoder_layers=1,
    )
    arrays = {n: stored(np.zeros(s, np.float32)) for n, s in param_shapes(config).items()}
    checkpoint = Checkpoint(source="a", config=config, arrays=arrays, vocabulary=GOLDEN_VOCABULARY)
    write_hf(checkpoint, tmp_path / "a")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "a")
    assert type(tokenizer).__name__ == "T5Tokenizer"
    assert len(tokenizer) == num_tokens
    assert tokenizer.convert_tokens_to_ids("<extra_id_0>") == first_extra_id
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (0, 1, 2)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(GOLDEN_VOCABULARY))
    text = "a red fox, oil on canvas"
    assert tokenizer(text).input_ids == [*pieces.encode(text), 1]

    # What transformers makes of it as a tokenizer.json is loaded as it stands
    tokenizer.save_pretrained(tmp_path / "b")
    checkpoint = Checkpoint(
        source="a", config=config, arrays=arrays, vocabulary=tmp_path / "b/tokenizer.json"
    )
    write_hf(checkpoint, tmp_path / "c")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "c")
    assert len(again) == num_tokens
    assert again(text).input_ids == tokenizer(text).input_ids
    assert (again.pad_token_id, again.eos_token_id, again.unk_token_id) == (0, 1, 2)


def test_a_vocabulary_with_byte_pieces_keeps_them_in_transformers(
    tmp_path, transformers, vocabulary
):
    vocabulary.save(tmp_path / "vocabulary.model")
    (tmp_path / "a").mkdir()
    write_vocabulary(tmp_path / "vocabulary.model", tmp_path / "a", 640)
    (tmp_path / "a/config.json").write_text('{"model_type": "t5"}')
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "a")
    assert len(tokenizer) == vocabulary.size + 100
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (0, 1, 2)
    for text in ("FLV a red fox", "Z\u00fcrich \u6f22"):
        assert tokenizer(text).input_ids == [*vocabulary.encode(text), 1]
        assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text
