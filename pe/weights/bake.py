"""A soft prompt as P extra vocabulary rows, so that every T5 runtime can serve a tuned model.

Token ids V .. V+P-1 embed to the soft prompt's rows; put in front of the input they are the soft
prompt. A tokenizer written beside the weights puts them there. Two things differ from the model
that was tuned:

- The new ids can be drawn, too: with tied logits they score as any row does, with logits of their
  own they score 0. `BakedPrompt.generation_config` forbids them; a runtime that does not read it
  has to be told. The first V logits are those of the model before.
- A tokenizer does not know prefixes. Where training laid out [prefix][soft prompt][query], a text
  of both gives [soft prompt][prefix][query]: the prefix moves behind the soft prompt, which T5
  notices by its relative positions. See `write_baked_tokenizer` for the way to keep the order.
  Without a prefix, and where the soft prompt came first in training, nothing differs.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pe import shards
from pe.axes import Float
from pe.weights.checkpoint import Checkpoint, StoredArray
from pe.weights.unigram import EOS, PAD, find_unknown, make_tokenizer, read_model

EMBEDDING = "embedding"
OUTPUT = "decoder.logits_dense.kernel"
NUM_SENTINELS = 100  # T5 keeps <extra_id_99> .. <extra_id_0> right behind its pieces


@dataclasses.dataclass(frozen=True, kw_only=True)
class BakedPrompt:
    """The ids that stand for a soft prompt, and what a runtime has to know of them.

    `rounding` is the largest |stored - tuned| of all values: 0 where the embedding's type holds
    them exactly.
    """

    ids: tuple[int, ...]
    rounding: float

    @property
    def tokens(self) -> tuple[str, ...]:
        """The names of the ids, for runtimes that speak of tokens by name."""
        return prompt_tokens(len(self.ids))

    @property
    def generation_config(self) -> dict[str, list[int]]:
        """What goes into a transformers generation_config.json: never draw these ids."""
        return {"suppress_tokens": list(self.ids)}


def prompt_tokens(num_positions: int) -> tuple[str, ...]:
    """Name the tokens of a soft prompt: 2 -> <prompt_0>, <prompt_1>."""
    return tuple(f"<prompt_{i}>" for i in range(num_positions))


def bake_soft_prompt(
    checkpoint: Checkpoint, prompt: Float[np.ndarray, "P D"]
) -> tuple[Checkpoint, BakedPrompt]:
    """Append a soft prompt to the embedding as rows V .. V+P-1, in the embedding's type.

    Logits of their own get P columns of zeros; tied logits get the rows. Nothing is read until the
    arrays are. Raises ValueError when the soft prompt is not as wide as the model, or its values
    leave the range of the embedding's type.
    """
    config = checkpoint.config
    num_positions, width = prompt.shape
    if width != config.d_model:
        raise ValueError(
            f"the soft prompt is [{num_positions}, {width}], but {checkpoint.source} has d_model "
            f"{config.d_model}: it was tuned for another model"
        )
    table = checkpoint.arrays[EMBEDDING]
    with np.errstate(over="ignore"):  # told below, with its values
        rows = prompt.astype(table.dtype)
    as_tuned = prompt.astype(np.float64)
    if not np.isfinite(rows.astype(np.float64)).all():
        raise ValueError(
            f"the soft prompt's values reach {np.abs(as_tuned).max():g}, beyond what the "
            f"embedding's type {table.dtype} holds; open the model as float32 or bfloat16"
        )
    arrays = {**checkpoint.arrays, EMBEDDING: _append(table, rows, axis=0)}
    if not config.tied_logits:
        output = checkpoint.arrays[OUTPUT]
        columns = np.zeros((output.shape[0], num_positions), output.dtype)
        arrays[OUTPUT] = _append(output, columns, axis=1)
    baked = dataclasses.replace(
        checkpoint,
        config=dataclasses.replace(config, vocab_size=config.vocab_size + num_positions),
        arrays=arrays,
    )
    first = config.vocab_size
    return baked, BakedPrompt(
        ids=tuple(range(first, first + num_positions)),
        rounding=float(np.abs(rows.astype(np.float64) - as_tuned).max()),
    )


def _append(array: StoredArray, more: np.ndarray, *, axis: int) -> StoredArray:
    shape = list(array.shape)
    shape[axis] += more.shape[axis]
    return StoredArray(
        shape=tuple(shape),
        dtype=array.dtype,
        read=lambda: np.concatenate([array.read(), more], axis=axis),
    )


def name_tokens(pieces: Sequence[str], num_rows: int) -> list[str]:
    """Name every row of an embedding: the vocabulary's pieces, then what stands for no piece.

    Example (32128 rows):
      id                      name
      0 .. 31999              the pieces
      32000, 32001 .. 32099   <extra_id_99>, <extra_id_98> .. <extra_id_0>
      32100 .. 32127          <unused_0> .. <unused_27>

    A vocabulary that has the sentinels as pieces (mT5, umT5), or leaves less than 100 rows, gets
    <unused_k> alone. Raises ValueError when there are more pieces than rows.
    """
    spare = num_rows - len(pieces)
    if spare < 0:
        raise ValueError(
            f"the vocabulary has {len(pieces)} pieces, but the model has {num_rows} rows: the "
            "vocabulary is of another model"
        )
    taken = set(pieces)
    sentinels = [f"<extra_id_{i}>" for i in reversed(range(NUM_SENTINELS))]
    if spare < NUM_SENTINELS or not taken.isdisjoint(sentinels):
        sentinels = []
    unused = (name for i in range(num_rows) if (name := f"<unused_{i}>") not in taken)
    return [*pieces, *sentinels, *(next(unused) for _ in range(spare - len(sentinels)))]


def read_pieces(vocabulary: Path) -> list[str]:
    """Return the pieces of a SentencePiece model file in the order of their ids."""
    return [piece.piece for piece in read_model(vocabulary).pieces]


def write_baked_tokenizer(
    vocabulary: Path, folder: Path, baked: BakedPrompt, *, prefix_text_first: bool = False
) -> None:
    """Write tokenizer.json and tokenizer_config.json, which put the soft prompt before every text.

    One text becomes [soft prompt][text][</s>] with the ids that SentencePiece gives the text (see
    `pe.weights.unigram`). With `prefix_text_first` a pair of texts, `tokenizer(prefix, query)`,
    becomes [prefix][soft prompt][query][</s>], the order of training; without it, [soft prompt]
    [first][second][</s>]. `folder` is that of the weights. Special tokens that a text spells out
    are text to transformers (`split_special_tokens`), as they are to SentencePiece; other runtimes
    that read tokenizer.json may take them for tokens.

    Raises ValueError when the file is no unigram model with T5's control ids, or its options have
    no counterpart here.
    """
    from tokenizers import AddedToken, processors

    model = read_model(vocabulary)
    tokenizer = make_tokenizer(model, vocabulary)
    names = [piece.piece for piece in model.pieces]
    unknown = names[find_unknown(model)]
    added = [*name_tokens(names, baked.ids[0])[len(names) :], *baked.tokens]
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in (PAD, EOS, unknown, *added)]
    )
    found = [tokenizer.token_to_id(name) for name in (PAD, EOS, *baked.tokens)]
    assert found == [0, 1, *baked.ids], found  # ids are dealt in the order of adding
    prompt = list(baked.tokens)
    pair = ["$A", *prompt, "$B"] if prefix_text_first else [*prompt, "$A", "$B"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[*prompt, "$A", EOS],
        pair=[*pair, EOS],
        special_tokens=[*zip(baked.tokens, baked.ids, strict=True), (EOS, 1)],
    )
    folder.mkdir(parents=True, exist_ok=True)
    shards.write_json(folder / "tokenizer.json", json.loads(tokenizer.to_str()))
    shards.write_json(
        folder / "tokenizer_config.json",
        {
            # not T5's class: transformers 5 would give it a post-processor without the soft prompt
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": PAD,
            "eos_token": EOS,
            "unk_token": unknown,
            "split_special_tokens": True,
            "clean_up_tokenization_spaces": False,
        },
    )
