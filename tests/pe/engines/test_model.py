"""A model in memory: how a query is put before it, what it may not write, and what is refused."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pe.data.tokenizer import EOS_ID
from pe.engines.model import ExpanderSettings, load_model, make_settings
from pe.prefixes import PREFIXES


@pytest.fixture(scope="module")
def model(run_folder):
    return load_model(run_folder)


def fed_by(model, **settings):
    settings = dataclasses.replace(model.settings, **settings)
    return dataclasses.replace(model, settings=settings)


def test_a_run_is_loaded_with_its_name_vocabulary_and_length(model, trained):
    assert model.name == "tiny@6"
    assert model.settings == ExpanderSettings(max_input_tokens=32)
    assert model.vocabulary.model_bytes == trained.vocabulary.model_bytes
    assert model.vocab_size == 416
    assert model.config == dataclasses.replace(trained.config.model, dropout_rate=0.0)
    found, expected = (jax.tree.leaves(some.params) for some in (model, trained))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_query_ends_with_the_end_token_and_begins_with_its_prefix(model):
    plain = model.encode("red fox", "")
    assert plain.tolist() == [*model.vocabulary.encode("red fox"), EOS_ID]
    (code,) = model.vocabulary.encode("ABST")
    assert model.encode("red fox", "ABST").tolist() == [code, *plain.tolist()]


def test_a_template_stands_around_the_query(model):
    asked = fed_by(model, template="Expand: {query}!").encode("a fox", "")
    assert asked.tolist() == [*model.vocabulary.encode("Expand: a fox!"), EOS_ID]


def test_a_query_is_not_read_as_a_template(model):
    asked = fed_by(model, template="Expand: {query}!").encode("{query}", "")
    assert asked.tolist() == [*model.vocabulary.encode("Expand: {query}!"), EOS_ID]


def test_ids_of_a_soft_prompt_stand_in_front_and_are_never_written(model):
    prompted = fed_by(model, prompt_ids=(410, 411))
    assert prompted.encode("a fox", "FLV").tolist()[:2] == [410, 411]
    assert prompted.encode("a fox", "FLV").tolist()[2:] == model.encode("a fox", "FLV").tolist()
    letter = model.vocabulary.encode("fox")[-1]
    assert not model.forbidden()[letter]
    assert fed_by(model, prompt_ids=(letter,)).forbidden()[letter]


def test_ids_of_a_soft_prompt_count_into_the_length(model):
    num_tokens = len(model.encode("a fox", ""))
    assert len(fed_by(model, max_input_tokens=num_tokens).encode("a fox", "")) == num_tokens
    with pytest.raises(ValueError, match=r"this model reads at most \d+; shorten it"):
        fed_by(model, max_input_tokens=num_tokens, prompt_ids=(410,)).encode("a fox", "")


def test_forbidden_are_padding_unknown_codes_and_rows_beyond_the_vocabulary(model):
    codes = [model.vocabulary.encode(prefix)[0] for prefix in PREFIXES]
    expected = sorted([0, 2, *codes, *range(model.vocabulary.size, 416)])
    assert np.flatnonzero(model.forbidden()).tolist() == expected


def test_an_expansion_is_decoded_without_its_end(model):
    ids = np.array([*model.vocabulary.encode("a fox"), EOS_ID], np.int32)
    assert model.decode(ids) == "a fox"


@pytest.mark.parametrize(
    ("query", "message"), [("", "query is empty"), ("\ud800", "not valid UTF")]
)
def test_a_query_that_is_no_text_is_refused(model, query, message):
    with pytest.raises(ValueError, match=message):
        model.encode(query, "")


def test_dtype_is_that_of_the_products_and_matrices_are_cast_to_it(run_folder, model):
    assert model.config.dtype == "float32"  # on a CPU
    half = load_model(run_folder, dtype="bfloat16")
    assert half.config.dtype == "bfloat16"
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(half.params)}
    assert dtypes == {jnp.dtype("bfloat16"), jnp.dtype("float32")}  # norms stay as they were
    with pytest.raises(ValueError, match="dtype: got 'float16', expected one of"):
        load_model(run_folder, dtype="float16")


def test_settings_given_replace_those_that_came(run_folder):
    given = {"template": "Expand: {query}", "max_input_tokens": 20}
    model = load_model(run_folder, settings=given)
    assert model.settings == ExpanderSettings(max_input_tokens=20, template="Expand: {query}")


def test_a_model_without_a_vocabulary_asks_for_one(run_folder, tmp_path):
    folder = tmp_path / "bare"
    shutil.copytree(run_folder, folder)
    vocabulary = (folder / "vocabulary.model").rename(tmp_path / "given.model")
    with pytest.raises(ValueError, match=r"bare holds no vocabulary; .*--vocab FILE"):
        load_model(folder)
    assert load_model(folder, vocabulary=vocabulary).vocabulary.size > 300


def test_another_models_vocabulary_is_refused(run_folder, tmp_path, monkeypatch):
    class Wide:
        size = 417

    monkeypatch.setattr("pe.engines.model.load_vocabulary", lambda path: Wide())
    with pytest.raises(
        ValueError, match=r"has 417 pieces and the model of .* only 416 rows; it is"
    ):
        load_model(run_folder)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"templates": "x"}, r"run: unknown expander settings \['templates'\], expected \['max_in"),
        ({"template": "x"}, r"run: expander settings: template: got 'x', expected \{query\} in it"),
        ({"template": "{query}{query}"}, "expected {query} in it, once"),
        ({"max_input_tokens": 1}, "max_input_tokens: got 1, expected 2 or more"),
        ({"max_input_tokens": "many"}, "run: expander settings: "),
        ({"prompt_ids": 3}, "run: expander settings: "),
        ({"prompt_ids": ["a"]}, "run: expander settings: "),
        ({"template": None}, "run: expander settings: "),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_their_model(given, message):
    with pytest.raises(ValueError, match=message):
        make_settings(given, source="run")


@pytest.mark.parametrize(
    ("prompt_ids", "message"),
    [
        ((-1,), r"got \(-1,\), expected ids from 0 on"),
        ((400, 416), r"got \[416\], expected 0 to 415"),
    ],
)
def test_ids_of_a_soft_prompt_that_the_model_lacks_are_refused(run_folder, prompt_ids, message):
    with pytest.raises(ValueError, match=f"prompt_ids: {message}"):
        load_model(run_folder, settings={"prompt_ids": prompt_ids})


def test_settings_go_through_json_and_back():
    settings = ExpanderSettings(max_input_tokens=9, template="x {query}", prompt_ids=(1, 2))
    stored = {"max_input_tokens": 9, "template": "x {query}", "prompt_ids": [1, 2]}
    stored["prefix_first"] = False
    assert settings.to_dict() == stored
    assert make_settings(stored, source="run") == settings
