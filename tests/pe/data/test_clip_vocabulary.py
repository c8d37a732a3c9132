"""A vocabulary of our own in CLIP's form."""

import pytest

from pe.data.clip_tokenizer import END, START, ClipTokenizer, load_clip_tokenizer
from pe.data.clip_vocabulary import NUM_OTHERS, train_clip_vocabulary, write_clip_vocabulary

TEXTS = ("a red fox", "two red foxes, watercolor", "a red barn", "red fox at night") * 3


def test_frequent_words_are_one_token_and_others_are_spelled():
    tokenizer = ClipTokenizer(train_clip_vocabulary(TEXTS, NUM_OTHERS + 12))
    assert tokenizer.vocab_size == NUM_OTHERS + 12
    assert (tokenizer.start_id, tokenizer.end_id) == (NUM_OTHERS + 10, NUM_OTHERS + 11)
    assert len(tokenizer.encode("red")) == 1
    assert len(tokenizer.encode("zyx")) == 3
    assert tokenizer.decode(tokenizer.encode("Red zyx, é")) == "red zyx , é "


def test_it_is_written_and_read_as_clip_s_is(tmp_path):
    vocabulary = train_clip_vocabulary(TEXTS, NUM_OTHERS + 9)
    write_clip_vocabulary(tmp_path, vocabulary)
    assert {path.name for path in tmp_path.iterdir()} == {"vocab.json", "merges.txt"}
    read = load_clip_tokenizer(tmp_path)
    assert read.digest == ClipTokenizer(vocabulary).digest
    assert list(vocabulary.ids)[-2:] == [START, END]


def test_the_same_texts_give_the_same_vocabulary():
    one, other = (train_clip_vocabulary(TEXTS, NUM_OTHERS + 15) for _ in range(2))
    assert one.ids == other.ids
    assert one.merges == other.merges


@pytest.mark.parametrize("size", [NUM_OTHERS - 1, NUM_OTHERS + 500])
def test_a_size_that_texts_do_not_give_is_refused(size):
    with pytest.raises(ValueError, match=rf"at least {NUM_OTHERS}, got {size:,}; set TextConfig"):
        train_clip_vocabulary(TEXTS, size)
