"""A small vocabulary in CLIP's form, of the words of given texts: byte-level BPE.

All 512 letters are in it, so that every text has ids, as with CLIP's own.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, models, trainers

from pe import shards
from pe.data.clip_tokenizer import (
    END,
    LETTERS,
    OPEN_CLIP_WORD,
    START,
    WORD_END,
    ClipVocabulary,
    clean_text,
    make_word_splitter,
)

NUM_OTHERS = 2 * len(LETTERS) + 2  # letters, letters that end a word, start and end


def train_clip_vocabulary(texts: Iterable[str], size: int) -> ClipVocabulary:
    """Learn the merges of a vocabulary of `size` tokens, the most frequent pairs first.

    Raises ValueError where the texts have fewer pairs than that needs.
    """
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix=WORD_END))
    tokenizer.pre_tokenizer = make_word_splitter(OPEN_CLIP_WORD)
    trainer = trainers.BpeTrainer(
        vocab_size=size + NUM_OTHERS,  # it takes more letters than it is told of
        initial_alphabet=list(LETTERS),
        end_of_word_suffix=WORD_END,
        show_progress=False,
    )
    tokenizer.train_from_iterator((clean_text(text) for text in texts), trainer)
    found = [tuple(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
    merges = [(left, right) for left, right in found[: max(0, size - NUM_OTHERS)]]
    if len(merges) != size - NUM_OTHERS:
        raise ValueError(
            f"the texts give a vocabulary of at most {len(found) + NUM_OTHERS:,} tokens and at "
            f"least {NUM_OTHERS}, got {size:,}; set TextConfig.vocab_size to what they give"
        )
    merged = ["".join(merge) for merge in merges]
    tokens = [*LETTERS, *(letter + WORD_END for letter in LETTERS), *merged, START, END]
    ids = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    return ClipVocabulary(ids, merges, Path("merges.txt"))


def write_clip_vocabulary(folder: Path, vocabulary: ClipVocabulary) -> None:
    """Write vocab.json and merges.txt, as CLIP's are on the hub."""
    lines = ["#version: 0.2", *(" ".join(merge) for merge in vocabulary.merges)]
    shards.write_text(folder / "merges.txt", "\n".join(lines) + "\n")
    shards.write_json(folder / "vocab.json", vocabulary.ids)
