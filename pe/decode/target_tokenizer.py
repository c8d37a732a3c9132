"""What a text costs in the encoder that is to read it: its own tokenizer, and its room.

Knows CLIP's byte-level BPE as transformers applies it, SentencePiece models and `tokenizer.json`.
The project ships none of them: they are read from a path, from the package open_clip where that is
installed, or from the Hugging Face hub and its cache. Knows nothing about cutting a text.
"""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, normalizers

from pe.data.clip_tokenizer import (
    CLIP_WINDOW_TOKENS,
    CLIP_WORD,
    END,
    MERGE_FILE,
    START,
    ClipVocabulary,
    fetch_files,
    find_clip_vocabulary,
    read_clip_vocabulary,
    read_json,
)

T5_REPO = "google/t5-v1_1-xxl"
_NO_LIMIT = 1_000_000  # a model_max_length beyond this is a library's way to say "unknown"
_NAMED = re.compile(r"(clip|t5)(?::([0-9]{1,9}))?(?:=(.+))?")
_SIZED = re.compile(r"(.+):([0-9]{1,9})")
_FORMS = "clip, clip:K, t5:N, PATH or PATH:N; or clip=PATH, clip:K=PATH, t5:N=PATH"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """An encoder's tokenizer and its room.

    `budget` is all the tokens that the encoder reads, `count` the tokens of a text with the special
    ones that the encoder adds: `num_special` for each window of `window_tokens` text tokens, or
    once where there is one window only. `encode` gives the ids of the text alone.
    """

    name: str
    budget: int
    num_special: int
    encode: Callable[[str], list[int]]
    window_tokens: int | None = None

    def count(self, text: str) -> int:
        """Count the tokens that a text takes of the budget.

        Example (clip:2, budget 154):
          text                  text tokens  returns
          (empty)                         0        2
          "a red fox"                     3        5
          75 times "fox"                 75       77
          76 times "fox"                 76       80

        Raises ValueError for a text that is not valid Unicode.
        """
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError(f"the text {text!a} is not valid UTF-8; retype or re-encode it")
        num_tokens = len(self.encode(text))
        windows = 1 if self.window_tokens is None else max(1, -(-num_tokens // self.window_tokens))
        return num_tokens + windows * self.num_special


@dataclasses.dataclass(frozen=True)
class _Loaded:
    """A tokenizer as read: ids of a text alone, special tokens added to it, which kinds it fits."""

    encode: Callable[[str], list[int]]
    num_special: int
    kinds: frozenset[str] = frozenset()


def load_target(spec: str) -> Target:
    """Load the target that a specification names.

    Example:
      spec          budget  tokenizer
      clip              77  CLIP's, one window of 77 tokens, 75 of them text
      clip:3           231  CLIP's, three windows, as web interfaces feed long prompts
      t5:256           256  T5's, the end token included
      some/folder       --  the folder's, and model_max_length of its tokenizer_config.json
      some/file:64      64  the file's, special tokens included

    `clip` and `t5` take a path of their own after "=": `clip:3=PATH`. A path is a folder or a file:
    `tokenizer.json`, `vocab.json` with `merges.txt` (CLIP), a SentencePiece `.model`, or CLIP's
    merges as OpenAI keeps them, `.txt.gz`.

    Raises ValueError for a specification of another form, a tokenizer that is not to be had, or is
    no tokenizer, or not of the kind asked for, and a budget that is unknown or leaves no room.
    """
    if (match := _NAMED.fullmatch(spec)) is not None:
        kind, size, given = match[1], match[2], match[3]
        return _load_named(spec, kind, None if size is None else int(size), given)
    if spec.startswith(("clip:", "clip=", "t5:", "t5=")) and not Path(spec).exists():
        raise ValueError(f"target: got {spec!r}, expected one of the forms {_FORMS}")
    path, budget = Path(spec).expanduser(), None
    if (match := _SIZED.fullmatch(spec)) is not None and not path.exists():
        path, budget = Path(match[1]).expanduser(), int(match[2])
    if not spec or not path.exists():
        raise ValueError(
            f"target: got {spec!r}, and there is no such file or folder; expected one of the "
            f"forms {_FORMS}"
        )
    loaded = _read_tokenizer(path)
    if budget is None:
        budget = _read_max_length(path)
        if budget is None:
            raise ValueError(
                f"target {spec!r}: how many tokens the encoder takes is not to be read from a "
                f"tokenizer_config.json (model_max_length) there; give it, as in {spec}:77"
            )
    return _make_target(spec, budget, loaded)


def _load_named(spec: str, kind: str, size: int | None, given: str | None) -> Target:
    if kind == "t5" and size is None:
        raise ValueError(f"target: got {spec!r}, expected a number of tokens with it, as in t5:256")
    if size is not None and size < (least := 1 if kind == "clip" else 2):
        raise ValueError(f"target: got {spec!r}, expected a number of {least} or more")
    if given is not None:
        path = Path(given).expanduser()  # after "=" a shell does not
        if not path.exists():
            raise ValueError(f"target {spec!r}: there is no file or folder {given!r}")
        loaded = _read_tokenizer(path)
        if kind not in loaded.kinds:
            raise ValueError(
                f"target {spec!r}: {given} holds another tokenizer than {kind}'s; expected that, "
                f"or name the path alone with its number of tokens, as in {given}:77"
            )
    elif kind == "clip":
        loaded = _make_clip(find_clip_vocabulary("name your own (clip=PATH)"))
    else:
        loaded = _find_t5()
    if kind == "t5":
        assert size is not None
        return _make_target(spec, size, loaded)
    return Target(
        name=spec,
        budget=CLIP_WINDOW_TOKENS * (size or 1),
        num_special=2,
        encode=loaded.encode,
        window_tokens=CLIP_WINDOW_TOKENS - 2,
    )


def _make_target(spec: str, budget: int, loaded: _Loaded) -> Target:
    if budget <= loaded.num_special:
        raise ValueError(
            f"target {spec!r}: got room for {budget} tokens, expected {loaded.num_special + 1} or "
            f"more, for {loaded.num_special} of them are special ones"
        )
    return Target(name=spec, budget=budget, num_special=loaded.num_special, encode=loaded.encode)


def _find_t5() -> _Loaded:
    """Find T5's tokenizer in the hub."""
    (path,) = fetch_files(T5_REPO, ("spiece.model",), "T5's tokenizer: name your own (t5:N=PATH)")
    return _read_sentencepiece(path)


def _read_tokenizer(path: Path) -> _Loaded:
    if path.is_dir():
        path = _find_in_folder(path)
    if path.name in ("vocab.json", "merges.txt") or path.suffix == ".gz":
        return _make_clip(read_clip_vocabulary(path))
    if path.suffix == ".json":
        return _read_tokenizer_json(path)
    if path.suffix == ".model":
        return _read_sentencepiece(path)
    raise ValueError(
        f"{path} is no tokenizer; expected tokenizer.json, vocab.json with merges.txt, a "
        f"SentencePiece .model, or {MERGE_FILE}"
    )


def _find_in_folder(folder: Path) -> Path:
    if (path := folder / "tokenizer.json").is_file():
        return path
    if all((folder / name).is_file() for name in ("vocab.json", "merges.txt")):
        return folder / "vocab.json"
    if (path := folder / "spiece.model").is_file():
        return path
    found = sorted(folder.glob("*.model"))
    if len(found) > 1:
        listed = ", ".join(path.name for path in found)
        raise ValueError(f"{folder} holds {len(found)} models ({listed}); name the file itself")
    if found:
        return found[0]
    if (path := folder / MERGE_FILE).is_file():
        return path
    raise ValueError(
        f"{folder} holds no tokenizer; expected tokenizer.json, vocab.json with merges.txt, a "
        f"SentencePiece .model, or {MERGE_FILE} in it"
    )


def _read_max_length(path: Path) -> int | None:
    """Return model_max_length of the tokenizer_config.json in or beside a path, if there is one."""
    path = (path if path.is_dir() else path.parent) / "tokenizer_config.json"
    if not path.is_file():
        return None
    config = read_json(path)
    length = config.get("model_max_length") if isinstance(config, dict) else None
    if not isinstance(length, int | float) or isinstance(length, bool) or not length < _NO_LIMIT:
        return None
    return int(length)


def _read_sentencepiece(path: Path) -> _Loaded:
    try:
        model_bytes = path.read_bytes()
        if not model_bytes:  # sentencepiece takes nothing for a model of no pieces
            raise ValueError(f"{path} is no SentencePiece model: it is empty")
        processor = sentencepiece.SentencePieceProcessor(model_proto=model_bytes)
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path} is no SentencePiece model: {error}") from error
    return _Loaded(processor.encode, 1, frozenset(["t5"]))


def _read_tokenizer_json(path: Path) -> _Loaded:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library has no class of its own
        raise ValueError(f"{path} is no tokenizer.json: {error}") from error
    tokenizer.no_truncation()  # a file may ask for either, and the count would be wrong
    tokenizer.no_padding()
    kinds = set()
    if all(tokenizer.token_to_id(token) is not None for token in (START, END)):
        kinds.add("clip")
    elif tokenizer.token_to_id("</s>") is not None and tokenizer.token_to_id("▁a") is not None:
        kinds.add("t5")
    num_special = tokenizer.num_special_tokens_to_add(is_pair=False)
    return _Loaded(_encoder(tokenizer), num_special, frozenset(kinds))


def _make_clip(vocabulary: ClipVocabulary) -> _Loaded:
    """Build CLIP's tokenizer; its ids are those of the reference implementation."""
    tokenizer = vocabulary.make_tokenizer(CLIP_WORD, split_words=True)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (START, END)])
    return _Loaded(_encoder(tokenizer), 2, frozenset(["clip"]))


def _encoder(tokenizer: Tokenizer) -> Callable[[str], list[int]]:
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids
