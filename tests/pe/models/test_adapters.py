"""Soft prompts and LoRA in a T5: what they add, and that nothing changes without them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pe.models.adapters import LoraConfig, add_lora, add_soft_prompt, merge_lora, named_linears
from pe.models.blueprint import draw_blueprint, flatten_params
from pe.models.t5 import T5, with_output_table
from pe.models.t5_config import T5Config

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
INPUTS = jnp.array([[20, 21, 3, 1]])  # two ids of the soft prompt, a piece, the end
ONES, DECODER = jnp.ones((1, 4), int), jnp.array([[0, 5, 7]])


def make(**changes):
    import dataclasses

    return T5(dataclasses.replace(TINY, **changes), rngs=nnx.Rngs(0))


def logits(model, inputs=INPUTS):
    return model(inputs, jnp.ones_like(inputs), DECODER, jnp.ones((1, 3), int))


@pytest.fixture(scope="module")
def prompted():
    model = make()
    add_soft_prompt(model, 2)
    rows = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    model.soft_prompt[...] = jnp.asarray(rows)
    return model


def test_ids_behind_the_vocabulary_are_the_soft_prompts_rows(prompted):
    embedded = prompted.embed_inputs(INPUTS)[0]
    np.testing.assert_array_equal(embedded[:2], prompted.soft_prompt[...])
    np.testing.assert_array_equal(embedded[2], prompted.embedding[...][3])


@pytest.mark.slow
def test_a_soft_prompt_of_pieces_rows_is_those_pieces(prompted):
    model = make()
    add_soft_prompt(model, 2)
    model.soft_prompt[...] = model.embedding[...][jnp.array([9, 4])]
    np.testing.assert_allclose(logits(model), logits(make(), jnp.array([[9, 4, 3, 1]])), atol=1e-6)


@pytest.mark.slow
def test_only_used_rows_of_a_soft_prompt_have_a_gradient():
    model = make()
    add_soft_prompt(model, 3)
    flat = flatten_params(nnx.state(model))
    blueprint = draw_blueprint(lambda: with_prompt(3))
    grad = jax.grad(
        lambda soft: jnp.sum(logits(blueprint.bind({**flat, "soft_prompt": soft})) ** 2)
    )(flat["soft_prompt"])
    assert bool(jnp.all(jnp.isfinite(grad)))
    assert [bool(jnp.any(row != 0)) for row in grad] == [True, True, False]


def with_prompt(num):
    model = make()
    add_soft_prompt(model, num)
    return model


@pytest.mark.slow
def test_fresh_lora_changes_nothing_and_then_adds_its_product():
    model, plain = make(), make()
    add_lora(model, LoraConfig(rank=2, alpha=6.0), rngs=nnx.Rngs(1))
    inputs = jnp.array([[4, 3, 1]])
    np.testing.assert_array_equal(logits(model, inputs), logits(plain, inputs))
    rng = np.random.default_rng(0)
    for name, linear in named_linears(model):
        if hasattr(linear, "lora_b"):
            linear.lora_b[...] = jnp.asarray(rng.normal(size=linear.lora_b.shape), jnp.float32)
            kernels = dict(named_linears(plain))
            merged = merge_lora(
                np.asarray(linear.kernel[...]),
                np.asarray(linear.lora_a[...]),
                np.asarray(linear.lora_b[...]),
                3.0,
            )
            kernels[name].kernel[...] = jnp.asarray(merged)
    np.testing.assert_allclose(logits(model, inputs), logits(plain, inputs), atol=1e-4)
    assert np.abs(logits(model, inputs) - logits(make(), inputs)).max() > 1e-2


def test_lora_stands_at_its_targets_alone():
    model = make()
    add_lora(model, LoraConfig(rank=1, targets=r".*attention\.(query|value)"), rngs=nnx.Rngs(1))
    names = {name for name, linear in named_linears(model) if hasattr(linear, "lora_a")}
    assert names == {
        f"{place}.{side}"
        for place in (
            "encoder.layers.0.attention",
            "decoder.layers.0.self_attention",
            "decoder.layers.0.encoder_decoder_attention",
        )
        for side in ("query", "value")
    }


def test_merging_keeps_the_type_of_the_matrix():
    kernel = np.ones((2, 2), jnp.bfloat16)
    merged = merge_lora(kernel, np.ones((2, 1), np.float32), np.ones((1, 2), np.float32), 0.5)
    assert merged.dtype == jnp.bfloat16
    assert merged.astype(np.float32).tolist() == [[1.5, 1.5], [1.5, 1.5]]


@pytest.mark.slow
def test_an_output_table_leaves_adapters_in_their_places():
    model = make(tied_logits=True)
    add_soft_prompt(model, 2)
    graph, params = with_output_table(*nnx.split(model))
    np.testing.assert_allclose(logits(nnx.merge(graph, params)), logits(model), atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rank": -1}, r"LoraConfig\.rank: got -1"),
        ({"alpha": 0.0}, r"LoraConfig\.alpha: got 0"),
        ({"targets": "("}, r"LoraConfig\.targets: '\(' is no regular expression"),
    ],
)
def test_a_setting_out_of_range_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        LoraConfig(**fields)


def test_a_blueprint_binds_the_names_it_described_and_no_others():
    blueprint = draw_blueprint(make)
    params = flatten_params(nnx.state(make()))
    assert blueprint.shapes == {name: array.shape for name, array in params.items()}
    np.testing.assert_array_equal(
        blueprint.bind(params).embed(INPUTS[:, 2:]), make().embed(INPUTS[:, 2:])
    )
    del params["embedding"]
    with pytest.raises(ValueError, match="parameters differ from the module's: embedding"):
        blueprint.bind(params)
