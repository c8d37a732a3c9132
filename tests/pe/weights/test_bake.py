"""A soft prompt as vocabulary rows: the same logits, the same texts, a tokenizer for it."""

import dataclasses
import importlib
import json
from pathlib import Path

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import sentencepiece
from flax import nnx
from tokenizers import Tokenizer

from pe.models.t5 import T5Config
from pe.weights.bake import (
    BakedPrompt,
    bake_soft_prompt,
    name_tokens,
    read_pieces,
    write_baked_tokenizer,
)
from pe.weights.checkpoint import Checkpoint, check_arrays, load_params, params_to_arrays, stored

SHARED = Path(__file__).parents[3] / "../shared/data"
UNTIED = T5Config(
    dtype="float32",
    vocab_size=60,
    d_model=16,
    num_heads=2,
    head_dim=12,
    d_ff=24,
    num_encoder_layers=2,
    num_decoder_layers=2,
)
TIED = dataclasses.replace(UNTIED, activations=("relu",), tied_logits=True, scaled_logits=True)
PROMPT = np.random.default_rng(1).normal(size=(5, 16)).astype(np.float32)
IDS = (60, 61, 62, 63, 64)


@pytest.fixture
def make_checkpoint(make_t5):
    def make(config):
        _, params = make_t5(config)
        arrays = params_to_arrays(params)
        return Checkpoint(source="a made-up T5", config=config, arrays=arrays)

    return make


def model_of(checkpoint):
    return nnx.merge(*load_params(checkpoint))


def soft_logits(model, prompt, inputs, decoder_inputs):
    """The reference: the soft prompt concatenated to the embedded input."""
    x = model.embed(jnp.asarray(inputs))
    rows = jnp.broadcast_to(jnp.asarray(prompt), (len(inputs), *prompt.shape))
    x = jnp.concatenate([rows, x], axis=1)
    segments = jnp.ones(x.shape[:2], int)
    decoded = model.decoder(
        model.embed(jnp.asarray(decoder_inputs)),
        model.encoder(x, segments, key=None),
        segments=jnp.ones(decoder_inputs.shape, int),
        encoder_segments=segments,
        key=None,
    )
    return np.asarray(model.to_logits(decoded))


def feed(num_rows=4):
    rng = np.random.default_rng(0)
    inputs = np.concatenate(
        [rng.integers(3, 60, (num_rows, 6)), np.ones((num_rows, 1), int)], axis=1
    )
    decoder_inputs = np.concatenate(
        [np.zeros((num_rows, 1), int), rng.integers(3, 60, (num_rows, 5))], axis=1
    )
    return inputs, decoder_inputs


@pytest.mark.slow
@pytest.mark.parametrize("config", [UNTIED, TIED], ids=["untied", "tied"])
def test_baked_ids_before_the_input_give_the_logits_of_the_soft_prompt(make_checkpoint, config):
    checkpoint = make_checkpoint(config)
    inputs, decoder_inputs = feed()
    expected = soft_logits(model_of(checkpoint), PROMPT, inputs, decoder_inputs)
    baked_checkpoint, baked = bake_soft_prompt(checkpoint, PROMPT)
    check_arrays(baked_checkpoint)
    with_prompt = np.concatenate([np.tile(baked.ids, (4, 1)), inputs], axis=1)
    logits = model_of(baked_checkpoint)(
        jnp.asarray(with_prompt),
        jnp.ones(with_prompt.shape, int),
        jnp.asarray(decoder_inputs),
        jnp.ones(decoder_inputs.shape, int),
    )
    assert logits.shape == (4, 6, 65)
    np.testing.assert_allclose(logits[..., :60], expected, atol=1e-5)
    if config is UNTIED:
        np.testing.assert_array_equal(logits[..., 60:], 0.0)


def test_the_new_rows_are_the_soft_prompt_and_the_new_outputs_zeros(make_checkpoint):
    checkpoint = make_checkpoint(UNTIED)
    baked_checkpoint, baked = bake_soft_prompt(checkpoint, PROMPT)
    assert baked == BakedPrompt(ids=IDS, rounding=0.0)
    assert baked.tokens == ("<prompt_0>", "<prompt_1>", "<prompt_2>", "<prompt_3>", "<prompt_4>")
    assert baked.generation_config == {"suppress_tokens": [60, 61, 62, 63, 64]}
    assert baked_checkpoint.config == dataclasses.replace(UNTIED, vocab_size=65)
    table = baked_checkpoint.arrays["embedding"].read()
    np.testing.assert_array_equal(table[:60], checkpoint.arrays["embedding"].read())
    np.testing.assert_array_equal(table[60:], PROMPT)
    kernel = baked_checkpoint.arrays["decoder.logits_dense.kernel"].read()
    assert kernel.shape == (16, 65)
    np.testing.assert_array_equal(kernel[:, 60:], 0.0)
    others = set(checkpoint.arrays) - {"embedding", "decoder.logits_dense.kernel"}
    assert all(baked_checkpoint.arrays[name] is checkpoint.arrays[name] for name in others)


def test_baking_reads_nothing(make_checkpoint):
    checkpoint = make_checkpoint(TIED)

    def read():
        pytest.fail("was read")

    arrays = {
        name: dataclasses.replace(array, read=read) for name, array in checkpoint.arrays.items()
    }
    bake_soft_prompt(dataclasses.replace(checkpoint, arrays=arrays), PROMPT)


def test_the_rows_take_the_type_of_the_embedding_and_the_rounding_is_told(make_checkpoint):
    checkpoint = make_checkpoint(TIED)
    table = checkpoint.arrays["embedding"].read().astype(ml_dtypes.bfloat16)
    narrow = dataclasses.replace(
        checkpoint, arrays={**checkpoint.arrays, "embedding": stored(table)}
    )
    prompt = np.full((1, 16), 1.0 + 2**-9, np.float32)
    baked_checkpoint, baked = bake_soft_prompt(narrow, prompt)
    assert baked_checkpoint.arrays["embedding"].dtype == ml_dtypes.bfloat16
    assert baked_checkpoint.arrays["embedding"].read()[60, 0] == 1.0
    assert baked.rounding == 2**-9
    table = table.astype(np.float16)
    narrow = dataclasses.replace(narrow, arrays={**narrow.arrays, "embedding": stored(table)})
    with pytest.raises(ValueError, match=r"values reach 100000, beyond what .* float16 holds"):
        bake_soft_prompt(narrow, prompt * 1e5 / prompt[0, 0])


def test_a_soft_prompt_of_another_model_is_refused(make_checkpoint):
    with pytest.raises(
        ValueError, match=r"\[5, 8\], but a made-up T5 has d_model 16: it was tuned"
    ):
        bake_soft_prompt(make_checkpoint(TIED), PROMPT[:, :8])


def test_rows_that_are_no_piece_are_named_as_t5_names_them():
    pieces = ["<pad>", "</s>", "<unk>", "a", "<unused_1>"]
    names = name_tokens(pieces, 108)
    assert names[:5] == pieces
    assert names[5:7] == ["<extra_id_99>", "<extra_id_98>"]
    assert names[103:] == ["<extra_id_1>", "<extra_id_0>", "<unused_0>", "<unused_2>", "<unused_3>"]
    assert name_tokens(pieces, 7)[5:] == ["<unused_0>", "<unused_2>"]
    assert name_tokens(["<extra_id_0>"], 150)[1:3] == ["<unused_0>", "<unused_1>"]
    with pytest.raises(ValueError, match="has 5 pieces, but the model has 4 rows"):
        name_tokens(pieces, 4)


def with_prompt(ids, pieces):
    return [*ids, *pieces, 1]


def test_the_tokenizer_gives_the_soft_prompt_then_the_ids_of_sentencepiece(
    tmp_path, vocabulary, train_pairs
):
    """The vocabulary has bytes for rare letters and prefixes as pieces of their own."""
    vocabulary.save(tmp_path / "spiece.model")
    baked = BakedPrompt(ids=(416, 417), rounding=0.0)
    write_baked_tokenizer(tmp_path / "spiece.model", tmp_path, baked)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.encode_special_tokens = True  # as tokenizer_config.json has it
    texts = [f"{pair['prefix']} {pair['prompt']}".strip() for pair in train_pairs]
    texts += ["", "  two  spaces ", "tab\tline\n", "zażółć 日本 \N{ROCKET}", "ABST", "ABSTRACT"]
    texts += ["a</s>b", "<pad>", "<unk> x", "<prompt_0>", "<0x41>", "<unused_0>"]
    for text in texts:
        found = tokenizer.encode(text).ids
        assert found == with_prompt((416, 417), vocabulary.encode(text)), text
        assert tokenizer.decode(found) == vocabulary.decode(found), text
    assert tokenizer.get_vocab_size() == 418
    assert tokenizer.token_to_id(f"<unused_{416 - vocabulary.size - 1}>") == 415


def test_the_tokenizer_of_t5_gives_the_ids_of_sentencepiece_on_real_prompts(tmp_path):
    file = SHARED / "tokenizers/t5/spiece.model"
    prompts = SHARED / "prompts/image_prompts.jsonl"
    if not (file.is_file() and prompts.is_file()):
        pytest.skip(f"needs {file} and {prompts}: T5's vocabulary and real prompts")
    with prompts.open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for _, line in zip(range(2000), lines, strict=False)]
    ids = (32128, 32129, 32130)
    write_baked_tokenizer(file, tmp_path, BakedPrompt(ids=ids, rounding=0.0))
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    processor = sentencepiece.SentencePieceProcessor(model_file=str(file))
    found = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    expected = [with_prompt(ids, pieces) for pieces in processor.encode(texts)]
    same = [f == e for f, e in zip(found, expected, strict=True)]
    assert sum(same) >= 1998  # where two ways to cut "!!!!!" are as likely, the two may differ
    assert [len(f) for f in found] == [len(e) for e in expected]
    assert tokenizer.token_to_id("<extra_id_99>") == 32000
    assert tokenizer.token_to_id("<extra_id_0>") == 32099
    assert tokenizer.token_to_id("<unused_27>") == 32127


def test_a_pair_of_texts_can_keep_the_prefix_before_the_soft_prompt(tmp_path, vocabulary):
    vocabulary.save(tmp_path / "spiece.model")
    baked = BakedPrompt(ids=(416, 417), rounding=0.0)
    prefix, query = vocabulary.encode("DTL"), vocabulary.encode("an old boat")
    assert vocabulary.encode("DTL an old boat") == [*prefix, *query]
    for first, expected in (
        (True, [*prefix, 416, 417, *query, 1]),
        (False, [416, 417, *prefix, *query, 1]),
    ):
        write_baked_tokenizer(tmp_path / "spiece.model", tmp_path, baked, prefix_text_first=first)
        tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
        assert tokenizer.encode("DTL", "an old boat").ids == expected
        assert tokenizer.encode("an old boat").ids == [416, 417, *query, 1]


def test_a_vocabulary_that_cannot_be_told_to_tokenizers_is_refused(tmp_path, vocabulary):
    baked = BakedPrompt(ids=(416,), rounding=0.0)
    with pytest.raises(ValueError, match=r"'.*none' not found"):
        write_baked_tokenizer(tmp_path / "none", tmp_path, baked)
    (tmp_path / "bad").write_bytes(b"no model")
    with pytest.raises(ValueError, match="is no SentencePiece model"):
        write_baked_tokenizer(tmp_path / "bad", tmp_path, baked)
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(vocabulary.model_bytes)
    model.trainer_spec.model_type = 2
    model.normalizer_spec.remove_extra_whitespaces = False
    (tmp_path / "bpe").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="it is no unigram model; it keeps spaces"):
        write_baked_tokenizer(tmp_path / "bpe", tmp_path, baked)
    del model.pieces[0]
    (tmp_path / "ids").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="expected T5's"):
        read_pieces(tmp_path / "ids")
    assert not (tmp_path / "tokenizer.json").exists()


@pytest.fixture
def hf_folder(tmp_path, make_checkpoint):
    """Make the folder of a baked model whose texts vary, and the same T5 before baking."""
    from pe.weights.hf import write_hf

    def make(config):
        checkpoint = make_checkpoint(config)
        arrays = dict(checkpoint.arrays)
        for name in arrays:
            if "logits_dense" in name or "decoder_attention.out" in name:
                arrays[name] = stored(arrays[name].read() * np.float32(4.0))
        checkpoint = dataclasses.replace(checkpoint, arrays=arrays)
        baked_checkpoint, baked = bake_soft_prompt(checkpoint, PROMPT)
        write_hf(baked_checkpoint, tmp_path / "baked", generation=baked.generation_config)
        write_hf(checkpoint, tmp_path / "plain")
        return tmp_path / "baked", tmp_path / "plain", checkpoint

    return make


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("config", [UNTIED, TIED], ids=["untied", "tied"])
def test_transformers_gives_the_same_logits_and_never_draws_a_new_id(
    hf_folder, transformers, config
):
    torch = importlib.import_module("torch")
    folder, plain, checkpoint = hf_folder(config)
    baked = transformers.T5ForConditionalGeneration.from_pretrained(folder).eval()
    before = transformers.T5ForConditionalGeneration.from_pretrained(plain).eval()
    assert baked.generation_config.suppress_tokens == list(IDS)
    inputs, decoder_inputs = feed(20)
    ids = torch.tensor(np.concatenate([np.tile(IDS, (20, 1)), inputs], axis=1))
    rows = torch.tensor(PROMPT).expand(20, 5, 16)
    embedded = torch.cat([rows, before.get_input_embeddings()(torch.tensor(inputs))], dim=1)
    with torch.no_grad():
        found = baked(input_ids=ids, decoder_input_ids=torch.tensor(decoder_inputs)).logits
        expected = before(
            inputs_embeds=embedded, decoder_input_ids=torch.tensor(decoder_inputs)
        ).logits
        np.testing.assert_allclose(found[..., :60], expected, atol=1e-5, rtol=1e-5)
        ours = soft_logits(model_of(checkpoint), PROMPT, inputs, decoder_inputs)
        np.testing.assert_allclose(found[..., :60], ours, atol=1e-4)

        torch.manual_seed(0)
        options = {"do_sample": True, "top_k": 0, "max_new_tokens": 12}
        options["temperature"] = 20.0  # so that every row is within reach
        drawn = baked.generate(ids, num_return_sequences=10, **options)
        free = baked.generate(ids, num_return_sequences=10, suppress_tokens=None, **options)
        assert drawn.shape[0] == 200
        assert int(drawn.max()) < 60
        assert int(free.max()) >= 60  # what the setting is for

        options = {"do_sample": False, "max_new_tokens": 12}
        greedy = baked.generate(ids, **options)
        expected = before.generate(
            inputs_embeds=embedded, attention_mask=torch.ones(embedded.shape[:2]), **options
        )
    np.testing.assert_array_equal(greedy, expected)
    assert len(set(greedy.flatten().tolist())) >= 10


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_auto_tokenizer_loads_the_baked_tokenizer_beside_the_weights(hf_folder, transformers):
    file = SHARED / "tokenizers/t5/spiece.model"
    prompts = SHARED / "prompts/image_prompts.jsonl"
    if not (file.is_file() and prompts.is_file()):
        pytest.skip(f"needs {file} and {prompts}: T5's vocabulary and real prompts")
    folder, _, _ = hf_folder(UNTIED)  # its config.json says t5, whose class would drop the prompt
    (folder / "spiece.model").write_bytes(file.read_bytes())
    ids = tuple(range(32128, 32138))
    write_baked_tokenizer(file, folder, BakedPrompt(ids=ids, rounding=0.0))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(file))
    with prompts.open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for _, line in zip(range(300), lines, strict=False)]
    texts.append("say </s> <prompt_3> <extra_id_0> <pad>")  # what a user types is text
    assert tokenizer(texts).input_ids == [with_prompt(ids, row) for row in processor.encode(texts)]
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (0, 1, 2)
    text = "a red fox, oil on canvas"
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text
    short = tokenizer(text, truncation=True, max_length=14).input_ids
    assert short == with_prompt(ids, processor.encode(text)[:3])
