"""Vocabularies for transformers, held against SentencePiece."""

import json
from pathlib import Path

import pytest
import sentencepiece
import tokenizers

from pe.weights.hf_vocabulary import write_vocabulary

GOLDEN_VOCABULARY = Path(__file__).parents[3] / "../shared/golden/t5x/golden_spm.model"


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a").mkdir()
    return tmp_path / "a"


@pytest.fixture
def golden_vocabulary():
    if not GOLDEN_VOCABULARY.is_file():
        pytest.skip(f"needs {GOLDEN_VOCABULARY}: a SentencePiece model of 256 pieces")
    return GOLDEN_VOCABULARY


@pytest.fixture
def json_vocabulary(tmp_path):
    """A tokenizer.json of six pieces."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581a", -1.0), ("\u2581b", -2.0)]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<extra_id_0>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_extra_ids_are_named_where_the_model_has_rows_for_them(tmp_path, golden_vocabulary):
    for vocab_size, num_extra in ((384, 100), (356, 100), (355, 0)):
        folder = tmp_path / str(vocab_size)
        folder.mkdir()
        write_vocabulary(golden_vocabulary, folder, vocab_size)
        assert (folder / "spiece.model").read_bytes() == golden_vocabulary.read_bytes()
        told = read_json(folder / "tokenizer_config.json")
        assert (told["tokenizer_class"], told["extra_ids"]) == ("T5Tokenizer", num_extra)
        assert len(told["additional_special_tokens"]) == num_extra
        assert read_json(folder / "special_tokens_map.json")["eos_token"] == "</s>"


def test_a_tokenizer_json_is_handed_on_as_it_stands(folder, json_vocabulary):
    write_vocabulary(json_vocabulary, folder, 384)
    assert (folder / "tokenizer.json").read_bytes() == json_vocabulary.read_bytes()
    assert read_json(folder / "tokenizer_config.json") == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "additional_special_tokens": ["<extra_id_0>"],
    }


def test_a_vocabulary_that_does_not_fit_is_an_error(
    tmp_path, folder, golden_vocabulary, json_vocabulary
):
    with pytest.raises(ValueError, match="has 256 pieces, the model only 255 rows"):
        write_vocabulary(golden_vocabulary, folder, 255)
    for name, message in (("a.model", "is no SentencePiece model"), ("a.json", "is no tokenizer")):
        (tmp_path / name).write_bytes(b"no vocabulary")
        with pytest.raises(ValueError, match=message):
            write_vocabulary(tmp_path / name, folder, 384)
    with pytest.raises(ValueError, match="is not there any more"):
        write_vocabulary(tmp_path / "b.model", folder, 384)
    few = json.loads(json_vocabulary.read_text())
    few["model"] |= {"vocab": [["<unk>", 0.0]], "unk_id": 0}
    few["added_tokens"] = []
    json_vocabulary.write_text(json.dumps(few))
    with pytest.raises(ValueError, match="lacks ids for padding"):
        write_vocabulary(json_vocabulary, folder, 384)


TEXTS = (
    "a red fox, oil on canvas",
    "ABST white horse",
    "  two  spaces\tand a tab ",
    "Z\u00fcrich \u6f22\u5b57 \U0001f98a",  # in no prompt of the vocabulary: spelt in bytes
    "\ufb01ne \u00bd e\u0301",
)


@pytest.mark.parametrize(("vocab_size", "num_extra"), [(640, 100), (400, 0)])
def test_a_vocabulary_with_byte_pieces_splits_and_joins_as_sentencepiece_does(
    folder, vocabulary, vocab_size, num_extra
):
    path = folder.parent / "vocabulary.model"
    vocabulary.save(path)
    write_vocabulary(path, folder, vocab_size)
    told = read_json(folder / "tokenizer_config.json")
    assert told["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert len(told["additional_special_tokens"]) == num_extra
    assert (folder / "spiece.model").read_bytes() == vocabulary.model_bytes
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == vocabulary.size + num_extra
    if num_extra:
        assert tokenizer.token_to_id("<extra_id_0>") == vocabulary.size + 99
    for text in TEXTS:
        ids = vocabulary.encode(text)
        assert tokenizer.encode(text).ids == [*ids, 1]
        assert tokenizer.decode([*ids, 1]) == vocabulary.decode(ids)
    assert 2 not in tokenizer.encode(TEXTS[3]).ids


def test_byte_pieces_of_another_kind_of_model_are_refused(tmp_path, folder):
    path = tmp_path / "bpe.model"
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a red fox", "a white horse"] * 9),
            model_writer=file,
            model_type="bpe",
            vocab_size=280,
            byte_fallback=True,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            minloglevel=1,
        )
    with pytest.raises(
        ValueError, match=r"bpe\.model cannot become a tokenizer\.json: it is no unigram model"
    ):
        write_vocabulary(path, folder, 400)
