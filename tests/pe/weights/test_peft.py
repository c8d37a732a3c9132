"""PEFT's adapters: what is read, what is refused, and that PEFT itself agrees."""

import importlib
import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.models.t5 import T5Config
from pe.weights.checkpoint import Checkpoint, params_to_arrays, stored
from pe.weights.peft import read_peft_prompt, write_peft_prompt
from pe.weights.safetensors_file import write_safetensors

PROMPT = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def adapter(tmp_path):
    write_peft_prompt(PROMPT, tmp_path / "adapter", base_model="a/model")
    return tmp_path / "adapter"


def change(adapter, **fields):
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, **fields}))


def put(adapter, **arrays):
    file = adapter / "adapter_model.safetensors"
    file.unlink()
    write_safetensors(file, {name: stored(array) for name, array in arrays.items()})


def test_an_adapter_says_that_one_stack_alone_is_prompted(adapter):
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["num_transformer_submodules"] == 1
    assert (config["num_virtual_tokens"], config["token_dim"]) == (2, 3)
    assert (config["peft_type"], config["task_type"]) == ("PROMPT_TUNING", "SEQ_2_SEQ_LM")
    assert config["base_model_name_or_path"] == "a/model"


@pytest.mark.parametrize("submodules", [2, None])
def test_the_rows_that_peft_makes_for_the_decoder_and_never_uses_are_left_out(adapter, submodules):
    change(adapter, num_transformer_submodules=submodules)
    put(adapter, prompt_embeddings=np.concatenate([PROMPT, PROMPT + 100]))
    np.testing.assert_array_equal(read_peft_prompt(adapter), PROMPT)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"peft_type": "PREFIX_TUNING"}, "of type PREFIX_TUNING, expected PROMPT_TUNING"),
        ({"peft_type": "LORA"}, "of type LORA, expected PROMPT_TUNING"),
        ({"task_type": "CAUSAL_LM"}, "task type CAUSAL_LM, expected SEQ_2_SEQ_LM"),
        ({"num_virtual_tokens": None}, "num_virtual_tokens is None, expected 1 or more"),
        ({"num_virtual_tokens": 3}, r"is \[2, 3\], but adapter_config.json describes \[3, 3\]"),
        ({"num_transformer_submodules": 2}, r"describes \[4, 3\]"),
        ({"token_dim": 4}, r"describes \[2, 4\]"),
    ],
)
def test_another_kind_of_adapter_is_refused(adapter, fields, told):
    change(adapter, **fields)
    with pytest.raises(ValueError, match=told):
        read_peft_prompt(adapter)


def test_an_adapter_of_more_than_a_soft_prompt_is_refused(adapter):
    put(adapter, prompt_embeddings=PROMPT, **{"base_model.lm_head.weight": PROMPT})
    with pytest.raises(
        ValueError, match=r"holds base_model.lm_head.weight, prompt_embeddings; exp"
    ):
        read_peft_prompt(adapter)


def test_an_adapter_in_a_pickle_is_not_opened(adapter):
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(ValueError, match="is a pickle, which can run code, and is not opened"):
        read_peft_prompt(adapter)


def test_rows_of_another_shape_are_refused(adapter):
    change(adapter, token_dim=None)
    np.testing.assert_array_equal(read_peft_prompt(adapter), PROMPT)
    put(adapter, prompt_embeddings=np.zeros(6, np.float32))
    with pytest.raises(ValueError, match=r"prompt_embeddings is \[6\], but"):
        read_peft_prompt(adapter)


@pytest.mark.parametrize(("text", "told"), [("{", "is no JSON"), ("[]", "holds a list")])
def test_a_damaged_config_is_told_of(adapter, text, told):
    (adapter / "adapter_config.json").write_text(text)
    with pytest.raises(ValueError, match=told):
        read_peft_prompt(adapter)


def test_a_folder_that_holds_something_is_left_alone(adapter):
    with pytest.raises(ValueError, match="exists and is not empty"):
        write_peft_prompt(PROMPT + 1, adapter, base_model="")
    np.testing.assert_array_equal(read_peft_prompt(adapter), PROMPT)


CONFIG = T5Config(
    dtype="float32",
    vocab_size=40,
    d_model=16,
    num_heads=2,
    head_dim=4,
    d_ff=24,
    num_encoder_layers=2,
    num_decoder_layers=2,
)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("submodules", [1, 2])
def test_peft_gives_the_logits_of_our_t5_with_the_soft_prompt_before_its_input(
    tmp_path, make_t5, submodules, torch, transformers
):
    from pe.weights.hf import write_hf

    peft = importlib.import_module("peft")
    graph, params = make_t5(CONFIG)
    checkpoint = Checkpoint(source="made up", config=CONFIG, arrays=params_to_arrays(params))
    write_hf(checkpoint, tmp_path / "model")
    rng = np.random.default_rng(0)
    prompt = rng.normal(size=(5, 16)).astype(np.float32)
    write_peft_prompt(prompt, tmp_path / "adapter", base_model=str(tmp_path / "model"))

    if submodules == 2:  # as PEFT writes it by itself: the second half changes nothing
        change(tmp_path / "adapter", num_transformer_submodules=2)
        put(tmp_path / "adapter", prompt_embeddings=np.concatenate([prompt, prompt + 100]))
    inputs = rng.integers(3, 40, (3, 7))
    num_inputs = np.array([7, 4, 2])
    mask = (np.arange(7) < num_inputs[:, None]).astype(np.int64)
    decoder_inputs = rng.integers(3, 40, (3, 6))
    decoder_inputs[:, 0] = 0
    base = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path / "model")
    tuned = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    with torch.no_grad():
        theirs = tuned(
            input_ids=torch.tensor(inputs),
            attention_mask=torch.tensor(mask),
            decoder_input_ids=torch.tensor(decoder_inputs),
        ).logits.numpy()

    model = nnx.merge(graph, params)
    rows = jnp.broadcast_to(jnp.asarray(prompt), (3, 5, 16))
    x = jnp.concatenate([rows, model.embed(jnp.asarray(inputs))], axis=1)
    segments = jnp.concatenate([jnp.ones((3, 5), int), jnp.asarray(mask)], axis=1)
    decoded = model.decoder(
        model.embed(jnp.asarray(decoder_inputs)),
        model.encoder(x, segments, key=None),
        segments=jnp.ones((3, 6), int),
        encoder_segments=segments,
        key=None,
    )
    np.testing.assert_allclose(theirs, model.to_logits(decoded), atol=1e-4)
    without = model(jnp.asarray(inputs), jnp.asarray(mask), jnp.asarray(decoder_inputs),
                    jnp.ones((3, 6), int))  # fmt: skip
    assert np.abs(theirs - without).max() > 0.1  # the soft prompt does something
