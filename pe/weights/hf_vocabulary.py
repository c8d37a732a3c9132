"""A vocabulary as `transformers` reads it. Knows nothing of models but how many rows they have."""

from pathlib import Path
from typing import Any

import tokenizers

from pe import shards
from pe.weights.folder import copy_file
from pe.weights.unigram import EOS, PAD, find_unknown, has_bytes, make_tokenizer, read_model

NUM_EXTRA_IDS = 100


def write_vocabulary(vocabulary: Path, folder: Path, vocab_size: int) -> None:
    """Copy a vocabulary and say how transformers is to read it.

    A SentencePiece model is read as T5's, with its 100 extra ids where the model has rows for them.
    One that spells rare characters in bytes gets a tokenizer.json beside it, since transformers'
    T5Tokenizer would make them unknown. A tokenizer.json is used as it stands. Raises ValueError
    for a file that is no vocabulary or has more pieces than the model has rows.
    """
    if vocabulary.suffix == ".json":
        copy_file(vocabulary, folder / "tokenizer.json")
        names = json_pieces(vocabulary)
        told: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
        unknown = next((i for i, name in names.items() if name == "<unk>"), 2)
        extra = [name for name in names.values() if name.startswith("<extra_id_")]
    else:
        copy_file(vocabulary, folder / "spiece.model")
        model = read_model(vocabulary)
        names = {i: piece.piece for i, piece in enumerate(model.pieces)}
        unknown = find_unknown(model)
        room = NUM_EXTRA_IDS if vocab_size - len(names) >= NUM_EXTRA_IDS else 0
        told = {"tokenizer_class": "T5Tokenizer", "extra_ids": room}
        extra = [f"<extra_id_{i}>" for i in range(room)]
        if has_bytes(model):
            told = {"tokenizer_class": "PreTrainedTokenizerFast", "split_special_tokens": True}
            tokenizer = make_tokenizer(model, vocabulary)
            tokenizer.add_special_tokens([PAD, EOS, names[unknown], *reversed(extra)])
            tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
                single=f"$A {EOS}", pair=f"$A {EOS} $B {EOS}", special_tokens=[(EOS, 1)]
            )
            tokenizer.save(str(folder / "tokenizer.json"))
    size = max(names, default=-1) + 1
    if size > vocab_size:
        raise ValueError(
            f"{vocabulary} has {size} pieces, the model only {vocab_size} rows; expected the "
            "vocabulary that it was trained with"
        )
    controls = {"pad_token": 0, "eos_token": 1, "unk_token": unknown}
    if any(i not in names for i in controls.values()):
        raise ValueError(f"{vocabulary} lacks ids for padding (0), end of text (1) or unknown")
    tokens = {name: names[i] for name, i in controls.items()}
    tokens |= {"additional_special_tokens": extra}
    shards.write_json(folder / "special_tokens_map.json", tokens)
    shards.write_json(folder / "tokenizer_config.json", {**told, **tokens})


def json_pieces(path: Path) -> dict[int, str]:
    """Return {id: piece} of a tokenizer.json, the pieces added to it included."""
    try:
        pieces = tokenizers.Tokenizer.from_file(str(path)).get_vocab(with_added_tokens=True)
    except Exception as error:  # the library raises bare Exception
        raise ValueError(f"{path} is no tokenizer.json: {error}") from error
    return {i: piece for piece, i in sorted(pieces.items(), key=lambda item: item[1])}
