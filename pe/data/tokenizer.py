"""SentencePiece vocabularies: T5's own, another given one, or one trained from the data.

Ids follow T5: 0 padding, 1 end of text, 2 unknown. Knows nothing of prefixes' meaning, only that
each of their codes should be one piece.
"""

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import sentencepiece

from pe.prefixes import PREFIXES

PAD_ID, EOS_ID, UNK_ID = 0, 1, 2
MIN_SIZE = 400  # 256 bytes, 3 controls, 8 prefixes, and room for the letters


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocabularyConfig:
    """`path` names a SentencePiece model to use; without one, `size` pieces are trained."""

    path: str | None = None
    size: int = 4096
    max_sentences: int = 500_000

    def __post_init__(self) -> None:
        if self.size < MIN_SIZE:
            raise ValueError(f"VocabularyConfig.size: got {self.size}, expected {MIN_SIZE} or more")
        if self.max_sentences < 1:
            raise ValueError(
                f"VocabularyConfig.max_sentences: got {self.max_sentences}, expected 1 or more"
            )


class Vocabulary:
    """A SentencePiece model: text to ids and back."""

    def __init__(self, model_bytes: bytes):
        self.model_bytes = model_bytes
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model_bytes)
        ids = (self._processor.pad_id(), self._processor.eos_id(), self._processor.unk_id())
        if ids != (PAD_ID, EOS_ID, UNK_ID):
            raise ValueError(
                f"the vocabulary has pad, eos, unk = {ids}, expected T5's "
                f"{(PAD_ID, EOS_ID, UNK_ID)}; train it with these ids"
            )

    @property
    def size(self) -> int:
        """Number of pieces; a model may have more rows than that."""
        return self._processor.vocab_size()

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without an end token."""
        return self._processor.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; control pieces and ids beyond the vocabulary give nothing."""
        return self._processor.decode([int(i) for i in ids if UNK_ID < i < self.size])

    def piece(self, token_id: int) -> str:
        """Return one piece as it is written in the vocabulary."""
        return self._processor.id_to_piece(token_id)

    def save(self, path: Path) -> None:
        """Write the model file."""
        path.write_bytes(self.model_bytes)


def load_vocabulary(path: str | Path) -> Vocabulary:
    """Load a SentencePiece model file.

    Raises ValueError when the file is missing, is no such model, or has other control ids than
    T5's.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"vocabulary {str(path)!r} not found; expected a SentencePiece model file")
    model_bytes = path.read_bytes()
    if not model_bytes:  # sentencepiece takes nothing for a model of no pieces
        raise ValueError(f"{path} is no SentencePiece model: it is empty")
    try:
        return Vocabulary(model_bytes)
    except RuntimeError as error:
        raise ValueError(f"{path} is no SentencePiece model: {error}") from error


def train_vocabulary(texts: Sequence[str], config: VocabularyConfig) -> Vocabulary:
    """Train a unigram vocabulary of at most `config.size` pieces.

    Bytes stand in for characters that are too rare for a piece of their own, so that every text
    comes back; each prefix code is one piece. A small corpus may give fewer pieces than asked for;
    of a large one every k-th text is taken (SentencePiece's own sample differs from run to run).
    """
    stride = -(-len(texts) // config.max_sentences)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts[::stride]),
        model_writer=model,
        model_type="unigram",
        vocab_size=config.size,
        hard_vocab_limit=False,
        byte_fallback=True,
        character_coverage=0.9995,
        max_sentence_length=16_384,
        pad_id=PAD_ID,
        eos_id=EOS_ID,
        unk_id=UNK_ID,
        bos_id=-1,
        user_defined_symbols=[f"\u2581{code}" for code in PREFIXES],
        num_threads=1,
        minloglevel=1,
    )
    return Vocabulary(model.getvalue())
