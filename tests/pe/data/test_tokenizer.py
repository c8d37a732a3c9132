"""Vocabularies: that every text comes back, and that a prefix is one piece that sticks to none."""

import io

import pytest
import sentencepiece

from pe.data.tokenizer import (
    EOS_ID,
    PAD_ID,
    UNK_ID,
    SentencePieceVocabulary,
    VocabularyConfig,
    load_vocabulary,
    train_vocabulary,
)
from pe.prefixes import PREFIXES


@pytest.mark.parametrize(
    "text",
    [
        "a red fox in snow",
        "a fox \N{FOX FACE} and a \N{DRAGON}\N{VARIATION SELECTOR-16}",
        "Đàn lạc đà qua sa mạc",
        "赤い狐",
        "x=~{}|<>§¶ ẞ",
        "ABST is a prefix, HAST too",
    ],
)
def test_a_text_comes_back_even_where_its_characters_were_never_seen(vocabulary, text):
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == text
    assert UNK_ID not in ids


def test_an_emoji_is_spelled_in_bytes(vocabulary):
    pieces = [vocabulary.piece(i) for i in vocabulary.encode("\N{FOX FACE}")]
    assert pieces[-4:] == ["<0xF0>", "<0x9F>", "<0xA6>", "<0x8A>"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_is_one_piece(vocabulary, prefix):
    (token,) = vocabulary.encode(prefix)
    assert vocabulary.piece(token) == f"\N{LOWER ONE EIGHTH BLOCK}{prefix}"


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("query", ["red fox", "undying love", "(masterpiece)", "9", "\N{FOX FACE}"])
def test_a_prefix_changes_no_token_of_the_query(vocabulary, prefix, query):
    together = vocabulary.encode(f"{prefix} {query}")
    assert together == vocabulary.encode(prefix) + vocabulary.encode(query)


def test_ids_that_stand_for_no_text_give_none(vocabulary):
    ids = vocabulary.encode("red fox")
    noise = [PAD_ID, UNK_ID, *ids, vocabulary.size, vocabulary.size + 7, EOS_ID, PAD_ID]
    assert vocabulary.decode(noise) == "red fox"


def test_a_small_corpus_gives_at_most_the_pieces_asked_for(vocabulary):
    assert 300 < vocabulary.size <= 400
    assert [vocabulary.piece(i) for i in (PAD_ID, EOS_ID, UNK_ID)] == ["<pad>", "</s>", "<unk>"]


def test_training_twice_gives_the_same_vocabulary():
    texts = ["a red fox in snow", "an old boat at sea", "a stone castle"] * 5
    first, second = (train_vocabulary(texts, VocabularyConfig(size=400)) for _ in range(2))
    assert first.model_bytes == second.model_bytes


def test_saved_and_loaded_it_is_the_same(vocabulary, tmp_path):
    path = tmp_path / "vocabulary.model"
    vocabulary.save(path)
    loaded = load_vocabulary(path)
    assert loaded.model_bytes == vocabulary.model_bytes
    assert loaded.encode("ABST red fox") == vocabulary.encode("ABST red fox")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"vocabulary '.*none\.model' not found; expected a"):
        load_vocabulary(tmp_path / "none.model")


@pytest.mark.parametrize("content", [b"{}", b"", b"no model at all" * 50], ids=["{}", "0", "text"])
def test_a_file_of_another_kind_is_named(tmp_path, content):
    path = tmp_path / "wrong.model"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"wrong\.model is no SentencePiece model"):
        load_vocabulary(path)


def test_a_vocabulary_with_other_control_ids_is_refused(tmp_path):
    model = io.BytesIO()  # sentencepiece's own default: unk 0, bos 1, eos 2, no pad
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a red fox in snow", "an old boat"]),
        model_writer=model,
        vocab_size=30,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    path = tmp_path / "llama.model"
    path.write_bytes(model.getvalue())
    with pytest.raises(ValueError, match=r"pad, eos = \(-1, 2\), expected T5's \(0, 1\)"):
        load_vocabulary(path)
    with pytest.raises(ValueError, match="train it with these ids"):
        SentencePieceVocabulary(model.getvalue())


@pytest.mark.parametrize(("field", "value"), [("size", 399), ("max_sentences", 0)])
def test_a_setting_out_of_range_is_named_with_its_value(field, value):
    with pytest.raises(ValueError, match=rf"VocabularyConfig\.{field}: got {value}, expected"):
        VocabularyConfig(**{field: value})
