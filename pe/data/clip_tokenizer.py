"""CLIP's vocabulary from its files, and CLIP's tokenizer as open_clip 3.3 applies it.

Knows byte-level BPE and open_clip's cleaning of a text. The project ships no vocabulary: it is read
from a path, from the package open_clip where that is installed (a file, no code of it is run), or
from the Hugging Face hub and its cache. Knows nothing about models or images.
"""

import dataclasses
import gzip
import hashlib
import html
import importlib.util
import json
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import ftfy
import numpy as np
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from pe.axes import Int

CLIP_WINDOW_TOKENS = 77  # start, 75 of text, end (arXiv:2103.00020 sec. 2.4)
CLIP_REPO = "openai/clip-vit-large-patch14"
MERGE_FILE = "bpe_simple_vocab_16e6.txt.gz"
START, END = "<|startoftext|>", "<|endoftext|>"  # in vocabulary files
_SHOWN_START, _SHOWN_END = "<start_of_text>", "<end_of_text>"  # in texts, to open_clip
WORD_END = "</w>"
_NUM_MERGES = 49_152 - 256 - 2  # CLIP takes these of the 262,144 that its file holds
# a word is a special token, the end of a contraction, letters, one digit, or anything else
_OTHER_WORDS = r"'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
CLIP_WORD = r"<\|startoftext\|>|<\|endoftext\|>|'s|" + _OTHER_WORDS
# open_clip ignores the case, and a long s is an s then
OPEN_CLIP_WORD = r"<[sſ]tart_of_text>|<end_of_text>|'[sſ]|" + _OTHER_WORDS


def _list_letters() -> dict[str, int]:
    """List the bytes by the letter that stands for each in a vocabulary, in its order.

    A byte that prints stands for itself; the 68 others have the letters from 256 on.
    """
    printed = (*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100))
    others = (byte for byte in range(256) if byte not in printed)
    return {chr(byte): byte for byte in printed} | {
        chr(0x100 + i): byte for i, byte in enumerate(others)
    }


LETTERS = _list_letters()
_TO_LATIN_1 = {ord(letter): chr(byte) for letter, byte in LETTERS.items()}


@dataclasses.dataclass(frozen=True)
class ClipVocabulary:
    """Tokens with their ids, and the merges in the order in which they are tried."""

    ids: dict[str, int]
    merges: list[tuple[str, str]]
    path: Path  # of the merges, for messages

    def make_tokenizer(self, words: str, *, split_words: bool = False) -> Tokenizer:
        """Make a tokenizer that takes a text apart by a pattern of words, and adds nothing.

        `split_words` takes the words apart once more, as GPT-2 does: transformers has both.

        Raises ValueError for merges that are not in the vocabulary.
        """
        try:
            model = models.BPE(
                vocab=self.ids,
                merges=self.merges,
                end_of_word_suffix=WORD_END,
                unk_token=END,
            )
        except Exception as error:  # the library has no class of its own
            raise ValueError(f"{self.path} does not fit the vocabulary: {error}") from error
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = make_word_splitter(words, split_words=split_words)
        return tokenizer


def make_word_splitter(words: str, *, split_words: bool = False) -> pre_tokenizers.PreTokenizer:
    """Return what takes a text apart by a pattern of words, into letters that stand for bytes."""
    parts = [
        pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split_words),
    ]
    return pre_tokenizers.Sequence(parts)  # pyright: ignore[reportReturnType]


def clean_text(text: str) -> str:
    """Mend and lower-case a text as open_clip's tokenizer does before it reads it.

    Example:
      text                    returns
      "  A Red  FOX "         "a red fox"
      "cafÃ© &amp;amp; bar"   "café & bar"
      "“curly” ﬁre"           '"curly" fire'
    """
    # ftfy and unescaping leave printable ASCII without "&" as it is, and take most of the time
    if not (text.isascii() and text.isprintable()) or "&" in text:
        text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


class ClipTokenizer:
    """CLIP's tokenizer, with the ids of open_clip's SimpleTokenizer (arXiv:2103.00020 sec. 2.4).

    As there, the words <start_of_text> and <end_of_text> in a text become the special tokens where
    they stand at its start or after a space, letter or digit; take them out of texts that must not
    hold them. <|startoftext|> and <|endoftext|> are words like others.
    Letters are those of Unicode 16; open_clip's change with its package regex.
    `digest` is a hash of the tokens' ids and of the merges, whatever files they come from.
    """

    def __init__(self, vocabulary: ClipVocabulary):
        content = json.dumps([sorted(vocabulary.ids.items()), vocabulary.merges])
        self.digest = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
        self.start_id, self.end_id = (vocabulary.ids[token] for token in (START, END))
        self.vocab_size = len(vocabulary.ids)
        lacking = {*LETTERS, *(letter + WORD_END for letter in LETTERS)} - vocabulary.ids.keys()
        foreign = [token for token in vocabulary.ids if not LETTERS.keys() >= set(token)]
        if foreign:
            raise ValueError(
                f"the vocabulary of {vocabulary.path} is no CLIP's: got the token {foreign[0]!a}, "
                "expected the 256 letters that stand for bytes only; download it again"
            )
        if lacking or sorted(vocabulary.ids.values()) != list(range(self.vocab_size)):
            raise ValueError(
                f"the vocabulary of {vocabulary.path} is no CLIP's: got {len(lacking)} of the 512 "
                f"letters lacking and ids up to {max(vocabulary.ids.values())} for "
                f"{self.vocab_size} tokens, expected all letters and ids without a gap; download "
                "it again"
            )
        self._tokenizer = vocabulary.make_tokenizer(OPEN_CLIP_WORD)
        self._special = {_SHOWN_START: self.start_id, _SHOWN_END: self.end_id}
        self._pieces = [b""] * self.vocab_size
        for token, token_id in vocabulary.ids.items():
            if token_id not in (self.start_id, self.end_id):
                self._pieces[token_id] = token.translate(_TO_LATIN_1).encode("latin-1")
        for token, token_id in self._special.items():
            self._pieces[token_id] = token.encode()

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text alone, which is cleaned first.

        Of printable ASCII without "&" a list may be encoded item by item: what "a, b" gives is what
        "a," and "b" give. Other lists may be mended as a whole otherwise than their items.

        Example (CLIP's own vocabulary):
          text                  returns
          (empty)               []
          "A red fox"           [320, 736, 3240]
          "it's"                [585, 568]
          "fox<end_of_text>"    [3240, 49407]
          "fox <|endoftext|>"   [3240, 27, 347, 40786, 4160, 91, 285]
        """
        return self._encode_clean(clean_text(text))

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """Return the ids of each of many texts alone."""
        # the library's own batches use threads, which later forks of the process would warn of
        return [self.encode(text) for text in texts]

    def tokenize(
        self, texts: Sequence[str], context_length: int = CLIP_WINDOW_TOKENS
    ) -> Int[np.ndarray, "B L"]:
        """Return rows of start, ids, end and zeros, int32, as CLIP's text tower reads them.

        Example (CLIP's own vocabulary, context_length 4):
          text          row
          (empty)       [49406, 49407,     0,     0]
          "a"           [49406,   320, 49407,     0]
          "a red fox"   [49406,   320,   736, 49407]

        Raises ValueError for a context_length without room for a start and an end.
        """
        if isinstance(texts, str):
            raise TypeError(f"texts: got the text {texts!r}, expected several; give [text]")
        if context_length < 2:
            raise ValueError(f"context_length: got {context_length}, expected 2 or more")
        rows = np.zeros((len(texts), context_length), np.int32)  # [B L]
        for row, text in zip(rows, texts, strict=True):
            ids = self.encode(text)[: context_length - 2]
            row[: len(ids) + 2] = [self.start_id, *ids, self.end_id]
        return rows

    def decode(self, ids: Sequence[int] | Int[np.ndarray, " L"]) -> str:
        """Return the text of ids: a space after each word, special tokens shown.

        Bytes that are no UTF-8 become U+FFFD.

        Example (CLIP's own vocabulary):
          ids                             returns
          [49406, 320, 736, 3240, 49407]  "<start_of_text>a red fox <end_of_text>"
          [0, 0]                          "!!"

        Raises ValueError for an id that is not in the vocabulary.
        """
        if bad := [token_id for token_id in ids if not 0 <= token_id < self.vocab_size]:
            raise ValueError(f"got the id {bad[0]}, expected 0 to {self.vocab_size - 1}")
        text = b"".join(self._pieces[token_id] for token_id in ids)
        return text.decode("utf-8", errors="replace").replace(WORD_END, " ")

    def _encode_clean(self, text: str) -> list[int]:
        if "_of_text>" not in text:
            return self._tokenizer.encode(text, add_special_tokens=False).ids
        ids = []
        splitter = cast(pre_tokenizers.PreTokenizer, self._tokenizer.pre_tokenizer)
        for word, _ in splitter.pre_tokenize_str(text):
            if (special := self._special.get(word)) is not None:
                ids.append(special)
            else:
                ids += [token.id for token in self._tokenizer.model.tokenize(word)]
        return ids


def load_clip_tokenizer(path: Path | None = None) -> ClipTokenizer:
    """Load CLIP's tokenizer from a path, or from where it is found without one.

    A path is a folder or a file: `tokenizer.json`, `vocab.json` with `merges.txt`, or CLIP's merges
    as OpenAI keeps them, `.txt.gz`. Without one it is open_clip's where that is installed, else
    the hub's.

    Raises ValueError for a path that holds no vocabulary of CLIP's, and where none is found.
    """
    if path is not None:
        return ClipTokenizer(read_clip_vocabulary(path))
    return ClipTokenizer(find_clip_vocabulary("give its path"))


def find_clip_vocabulary(way: str) -> ClipVocabulary:
    """Find CLIP's vocabulary: beside open_clip's code, which is not run, or in the hub.

    Raises ValueError where there is none; `way` is how the caller is told of one.
    """
    package = importlib.util.find_spec("open_clip")
    for folder in (package.submodule_search_locations or ()) if package is not None else ():
        if (path := Path(folder) / MERGE_FILE).is_file():
            return _read_merge_file(path)
    ways = f"{way}, install open_clip (pip install open_clip_torch)"
    paths = fetch_files(CLIP_REPO, ("vocab.json", "merges.txt"), f"CLIP's tokenizer: {ways}")
    return _read_vocab_files(*paths)


def fetch_files(repo: str, names: Iterable[str], what: str) -> list[Path]:
    """Return files of the hub; nothing is asked of the network for those already in its cache.

    Raises ValueError for a file that is not to be had; `what` begins the ways out.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the package is imported
    import huggingface_hub

    paths = []
    for name in names:
        path = huggingface_hub.try_to_load_from_cache(repo, name)
        if not isinstance(path, str):
            try:
                path = huggingface_hub.hf_hub_download(repo, name)
            except Exception as error:  # its own, the HTTP library's, or the system's
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise ValueError(
                    f"no tokenizer found. For {what}, or go online once to fetch {repo} from the "
                    f"hub (without HF_HUB_OFFLINE). The hub gave no {name}: {reason}"
                ) from error
        paths.append(Path(path))
    return paths


def read_json(path: Path) -> object:
    """Read a JSON file; raises ValueError where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not to be read as JSON: {error}") from error


def read_clip_vocabulary(path: Path) -> ClipVocabulary:
    """Read CLIP's vocabulary from a folder or a file, in any of the three ways of storing it.

    Raises ValueError for a path that is not there or holds something else.
    """
    if path.is_dir():
        names = ("tokenizer.json", "vocab.json", MERGE_FILE)
        found = next((name for name in names if (path / name).is_file()), None)
        if found is None:
            raise ValueError(f"{path} holds no tokenizer; expected {_FILES} in it")
        path /= found
    if path.name in ("vocab.json", "merges.txt"):
        return _read_vocab_files(path.with_name("vocab.json"), path.with_name("merges.txt"))
    if not path.is_file():
        raise ValueError(f"there is no file or folder {path}; expected {_FILES}")
    if path.suffix == ".json":
        return _read_tokenizer_json(path)
    if path.suffix == ".gz":
        return _read_merge_file(path)
    raise ValueError(f"{path} is no tokenizer of CLIP's; expected {_FILES}")


_FILES = f"tokenizer.json, vocab.json with merges.txt, or {MERGE_FILE}"


def _read_tokenizer_json(path: Path) -> ClipVocabulary:
    content = read_json(path)
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("merges"), list):
        raise ValueError(f"{path} is no tokenizer.json of CLIP's; expected a model with its merges")
    merges = model["merges"]  # "a b" in older files, ["a", "b"] in newer ones
    lines = [" ".join(map(str, m)) if isinstance(m, list) else str(m) for m in merges]
    return _make_vocabulary(_check_ids(model.get("vocab"), path), lines, path)


def _read_vocab_files(vocab_path: Path, merges_path: Path) -> ClipVocabulary:
    for path in (vocab_path, merges_path):
        if not path.is_file():
            raise ValueError(f"{path} not found; expected vocab.json and merges.txt together")
    vocab = read_json(vocab_path)
    try:
        lines = merges_path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{merges_path} is no list of merges: {error}") from error
    return _make_vocabulary(_check_ids(vocab, vocab_path), lines, merges_path)


def _read_merge_file(path: Path) -> ClipVocabulary:
    """Read CLIP's merges as OpenAI keeps them; the vocabulary follows from their order."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            lines = [line for line, _ in zip(file, range(1 + _NUM_MERGES), strict=False)]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no list of merges: {error}") from error
    if len(lines) <= _NUM_MERGES:
        raise ValueError(
            f"{path} holds {max(0, len(lines) - 1):,} merges, expected CLIP's {_NUM_MERGES:,} "
            "or more; download it again"
        )
    merged = ["".join(line.split()) for line in lines[1:]]
    tokens = [*LETTERS, *(letter + WORD_END for letter in LETTERS), *merged, START, END]
    return _make_vocabulary({token: i for i, token in enumerate(tokens)}, lines, path)


def _check_ids(vocab: object, path: Path) -> dict[str, int]:
    if not isinstance(vocab, dict) or not all(type(i) is int and i >= 0 for i in vocab.values()):
        raise ValueError(f"{path} is no vocabulary; expected tokens with their ids")
    if not {START, END, f"a{WORD_END}"} <= vocab.keys():
        raise ValueError(
            f"{path} is another vocabulary than CLIP's: it lacks {START}, {END} or the "
            f"word ends {WORD_END}; for other tokenizers give their tokenizer.json"
        )
    return vocab


def _make_vocabulary(ids: dict[str, int], lines: list[str], path: Path) -> ClipVocabulary:
    if lines and lines[0].startswith(("#version", '"bpe_simple_vocab')):
        lines = lines[1:]
    merges = [tuple(line.split()) for line in lines if line.strip()]
    if bad := next((merge for merge in merges if len(merge) != 2), None):
        raise ValueError(f"{path}: got the merge {' '.join(bad)!r}, expected two parts in a line")
    return ClipVocabulary(ids, [(left, right) for left, right in merges], path)
