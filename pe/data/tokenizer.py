"""Vocabularies: T5's own, another given one, or one trained from the data.

Ids follow T5: 0 padding, 1 end of text, 2 unknown. Knows nothing of prefixes' meaning, only that
each of their codes should be one piece.
"""

import abc
import dataclasses
import io
import re
from collections.abc import Sequence
from pathlib import Path

import sentencepiece

from pe.prefixes import PREFIXES

PAD_ID, EOS_ID, UNK_ID = 0, 1, 2
_BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")
_SENTINEL = re.compile(r"\u2581?<extra_id_\d+>")
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


class Vocabulary(abc.ABC):
    """Text to ids and back. Ids 0 and 1 are padding and end, as in every T5."""

    size: int  # number of pieces; a model may have more rows than that
    unk_id: int  # 2 in T5, 3 in umT5
    file_name: str  # what the file is called in a model's folder

    def __init__(self, model_bytes: bytes):
        self.model_bytes = model_bytes

    @abc.abstractmethod
    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without an end token."""

    @abc.abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; control pieces and ids beyond the vocabulary give nothing."""

    @abc.abstractmethod
    def piece(self, token_id: int) -> str:
        """Return one piece as it is written in the vocabulary."""

    @abc.abstractmethod
    def is_control(self, token_id: int) -> bool:
        """Tell whether a piece stands for no text: padding, end, unknown, sentinels."""

    def surface(self, token_id: int) -> bytes:
        """Return what a piece adds to a text, as UTF-8; a byte piece adds one byte of a letter.

        Example:
          piece     returns
          \u2581cat      b" cat"
          <0xE2>    b"\\xe2"
          </s>      b""
        """
        if self.is_control(token_id):
            return b""
        piece = self.piece(token_id)
        if byte := _BYTE_PIECE.fullmatch(piece):
            return bytes.fromhex(byte[1])
        return piece.replace("\u2581", " ").encode()

    def save(self, path: Path) -> None:
        """Write the vocabulary's file."""
        path.write_bytes(self.model_bytes)


class SentencePieceVocabulary(Vocabulary):
    """A SentencePiece model, T5's own kind."""

    file_name = "vocabulary.model"

    def __init__(self, model_bytes: bytes):
        super().__init__(model_bytes)
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model_bytes)
        ids = (self._processor.pad_id(), self._processor.eos_id())
        if ids != (PAD_ID, EOS_ID):
            raise ValueError(
                f"the vocabulary has pad, eos = {ids}, expected T5's {(PAD_ID, EOS_ID)}; train it "
                "with these ids"
            )
        self.size = self._processor.vocab_size()
        self.unk_id = self._processor.unk_id()

    def encode(self, text: str) -> list[int]:
        return self._processor.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        known = [int(i) for i in ids if PAD_ID <= i < self.size]
        return self._processor.decode([i for i in known if not self.is_control(i)])

    def piece(self, token_id: int) -> str:
        return self._processor.id_to_piece(token_id)

    def is_control(self, token_id: int) -> bool:
        return (
            self._processor.is_control(token_id)
            or self._processor.is_unused(token_id)
            or token_id == self.unk_id
            or _SENTINEL.fullmatch(self.piece(token_id)) is not None  # mT5 has them as pieces
        )


class JsonVocabulary(Vocabulary):
    """A `tokenizer.json`, where a model comes without its SentencePiece model."""

    file_name = "tokenizer.json"

    def __init__(self, model_bytes: bytes):
        import tokenizers

        super().__init__(model_bytes)
        self._tokenizer = tokenizers.Tokenizer.from_str(model_bytes.decode("utf-8"))
        ids = tuple(map(self._tokenizer.token_to_id, ("<pad>", "</s>", "<unk>")))
        if ids[:2] != (PAD_ID, EOS_ID) or ids[2] is None:
            raise ValueError(
                f"the vocabulary has <pad>, </s>, <unk> = {ids}, expected T5's 0, 1 and some id"
            )
        self.size = self._tokenizer.get_vocab_size()
        self.unk_id = ids[2]
        added = self._tokenizer.get_added_tokens_decoder()
        self._special = {i for i, token in added.items() if token.special}
        self._tokenizer.encode_special_tokens = True  # spelled out in a text they are text

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        known = [int(i) for i in ids if PAD_ID <= i < self.size]
        kept = [i for i in known if not self.is_control(i)]
        return self._tokenizer.decode(kept, skip_special_tokens=False)

    def piece(self, token_id: int) -> str:
        return self._tokenizer.id_to_token(token_id) or ""

    def is_control(self, token_id: int) -> bool:
        is_special = token_id in self._special or token_id == self.unk_id
        return is_special or _SENTINEL.fullmatch(self.piece(token_id)) is not None


def load_vocabulary(path: str | Path) -> Vocabulary:
    """Load a SentencePiece model file, or a `.json` of the tokenizers library.

    Raises ValueError when the file is missing, is no such model, or has other control ids than
    T5's.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"vocabulary {str(path)!r} not found; expected a SentencePiece model file")
    model_bytes = path.read_bytes()
    is_json = path.suffix == ".json"
    kind = "tokenizer.json" if is_json else "SentencePiece model"
    if not model_bytes:  # sentencepiece takes nothing for a model of no pieces
        raise ValueError(f"{path} is no {kind}: it is empty")
    try:
        return JsonVocabulary(model_bytes) if is_json else SentencePieceVocabulary(model_bytes)
    except ValueError:
        raise
    except Exception as error:  # tokenizers raises bare Exception
        raise ValueError(f"{path} is no {kind}: {error}") from error


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
    return SentencePieceVocabulary(model.getvalue())
