"""From a pair to ids: the docstring's row, and what is cut where a text is too long."""

import io

import numpy as np
import pytest
import sentencepiece

from pe.data.features import LengthConfig, encode_input, encode_pair, encode_target
from pe.data.tokenizer import EOS_ID, SentencePieceVocabulary


@pytest.fixture(scope="module")
def words():
    """A vocabulary of one piece a word."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["ABST undying love", "a red heart"] * 10),
        model_writer=model,
        model_type="word",
        vocab_size=20,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return SentencePieceVocabulary(model.getvalue())


def pieces(ids, vocabulary):
    return [vocabulary.piece(int(i)).strip("\N{LOWER ONE EIGHTH BLOCK}") for i in ids]


def test_a_pair_becomes_the_docstrings_row(words):
    pair = {"query": "undying love", "prefix": "ABST", "prompt": "a red heart"}
    features = encode_pair(pair, words, LengthConfig(inputs=8, targets=8))
    assert pieces(features["inputs"], words) == ["ABST", "undying", "love", "</s>"]
    assert features["inputs_prefix"].tolist() == [1, 0, 0, 0]
    assert pieces(features["targets"], words) == ["a", "red", "heart", "</s>"]
    assert {array.dtype for array in features.values()} == {np.dtype(np.int32)}


def test_a_soft_prompt_stands_between_prefix_and_query_as_in_the_docstrings_row(words):
    pair = {"query": "undying love", "prefix": "ABST", "prompt": "a red heart"}
    features = encode_pair(pair, words, LengthConfig(inputs=16, targets=8), prompt_ids=(50, 51))
    plain = encode_pair(pair, words, LengthConfig(inputs=16, targets=8))
    abst, undying, love, end = plain["inputs"].tolist()
    assert features["inputs"].tolist() == [abst, 50, 51, undying, love, end]
    assert features["inputs_prefix"].tolist() == [1, 0, 0, 0, 0, 0]
    assert features["targets"].tolist() == plain["targets"].tolist()
    assert {array.dtype for array in features.values()} == {np.dtype(np.int32)}


def test_a_soft_prompt_without_a_prefix_or_query_comes_first(words):
    ids, num_prefix = encode_input("love", "", words, max_length=16, prompt_ids=range(50, 53))
    assert (ids[:3].tolist(), num_prefix) == ([50, 51, 52], 0)
    assert pieces(ids[3:], words) == ["love", "</s>"]
    ids, num_prefix = encode_input("", "ABST", words, max_length=16, prompt_ids=[50])
    assert (ids[1:].tolist(), num_prefix) == ([50, EOS_ID], 1)


def test_beside_a_soft_prompt_the_query_alone_is_cut(words):
    ids, _ = encode_input("love " * 20, "ABST", words, max_length=13, prompt_ids=(50, 51, 52))
    assert len(ids) == 13
    assert pieces(ids[:1], words) == ["ABST"]
    assert ids[1:4].tolist() == [50, 51, 52]
    assert pieces(ids[4:], words) == ["love"] * 8 + ["</s>"]


def test_a_soft_prompt_that_leaves_too_little_for_the_query_is_refused(words):
    with pytest.raises(ValueError, match=r"leaves 7 for the query.*LengthConfig\.inputs to 13 or"):
        encode_input("love", "ABST", words, max_length=12, prompt_ids=(50, 51, 52))


def test_without_a_prefix_no_token_is_marked(words):
    pair = {"query": "undying love", "prefix": "", "prompt": "a red heart"}
    features = encode_pair(pair, words, LengthConfig(inputs=8, targets=8))
    assert pieces(features["inputs"], words) == ["undying", "love", "</s>"]
    assert features["inputs_prefix"].tolist() == [0, 0, 0]


def test_a_blank_query_leaves_the_end_token(words):
    ids, num_prefix = encode_input("", "", words, max_length=8)
    assert (ids.tolist(), num_prefix) == ([EOS_ID], 0)
    ids, num_prefix = encode_input("", "ABST", words, max_length=8)
    assert (pieces(ids, words), num_prefix) == (["ABST", "</s>"], 1)


def test_a_query_that_is_too_long_is_cut_before_its_end_token(words):
    ids, num_prefix = encode_input("love " * 20, "ABST", words, max_length=5)
    assert pieces(ids, words) == ["ABST", "love", "love", "love", "</s>"]
    assert num_prefix == 1


@pytest.mark.parametrize(
    ("num_words", "length", "ends"), [(3, 4, True), (4, 4, False), (9, 4, False)]
)
def test_a_target_that_is_too_long_is_cut_and_has_no_end_token(words, num_words, length, ends):
    ids = encode_target("heart " * num_words, words, max_length=4)
    assert len(ids) == length
    assert (ids[-1] == EOS_ID) is np.bool_(ends)


@pytest.mark.parametrize("field", ["inputs", "targets"])
def test_a_row_too_short_to_be_of_use_is_refused(field):
    with pytest.raises(ValueError, match=rf"LengthConfig\.{field}: got 7, expected 8 or more"):
        LengthConfig(**{field: 7})
