"""What a text costs in the encoder that is to read it: its own tokenizer, and its room.

Knows CLIP's byte-level BPE (three ways of storing it), SentencePiece models and `tokenizer.json`.
The project ships none of them: they are read from a path, from the package open_clip where that is
installed, or from the Hugging Face hub and its cache. Knows nothing about cutting a text.
"""

import dataclasses
import gzip
import importlib.util
import json
import os
import re
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

CLIP_WINDOW_TOKENS = 77  # start, 75 of text, end (arXiv:2103.00020 sec. 2.4)
CLIP_REPO = "openai/clip-vit-large-patch14"
T5_REPO = "google/t5-v1_1-xxl"
_START, _END = "<|startoftext|>", "<|endoftext|>"
_NUM_MERGES = 49_152 - 256 - 2  # CLIP takes these of the 262,144 that its file holds
_MERGE_FILE = "bpe_simple_vocab_16e6.txt.gz"
_NO_LIMIT = 1_000_000  # a model_max_length beyond this is a library's way to say "unknown"
_NAMED = re.compile(r"(clip|t5)(?::([0-9]{1,9}))?(?:=(.+))?")
_SIZED = re.compile(r"(.+):([0-9]{1,9})")
_FORMS = "clip, clip:K, t5:N, PATH or PATH:N; or clip=PATH, clip:K=PATH, t5:N=PATH"
_CLIP_WORD = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


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
    else:
        loaded = _find_clip() if kind == "clip" else _find_t5()
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


def _find_clip() -> _Loaded:
    """Find CLIP's tokenizer: beside open_clip's code, which is not run, or in the hub."""
    package = importlib.util.find_spec("open_clip")
    for folder in (package.submodule_search_locations or ()) if package is not None else ():
        if (path := Path(folder) / _MERGE_FILE).is_file():
            return _read_tokenizer(path)
    ways = "name your own (clip=PATH), install open_clip (pip install open_clip_torch)"
    paths = _fetch(CLIP_REPO, ("vocab.json", "merges.txt"), f"CLIP's tokenizer: {ways}")
    return _read_clip_files(*paths)


def _find_t5() -> _Loaded:
    """Find T5's tokenizer in the hub."""
    (path,) = _fetch(T5_REPO, ("spiece.model",), "T5's tokenizer: name your own (t5:N=PATH)")
    return _read_sentencepiece(path)


def _fetch(repo: str, names: Iterable[str], what: str) -> list[Path]:
    """Return files of the hub; nothing is asked of the network for those already in its cache."""
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


def _read_tokenizer(path: Path) -> _Loaded:
    if path.is_dir():
        path = _find_in_folder(path)
    if path.name in ("vocab.json", "merges.txt"):
        return _read_clip_files(path.with_name("vocab.json"), path.with_name("merges.txt"))
    if path.suffix == ".json":
        return _read_tokenizer_json(path)
    if path.suffix == ".model":
        return _read_sentencepiece(path)
    if path.suffix == ".gz":
        return _read_merge_file(path)
    raise ValueError(
        f"{path} is no tokenizer; expected tokenizer.json, vocab.json with merges.txt, a "
        f"SentencePiece .model, or {_MERGE_FILE}"
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
    if (path := folder / _MERGE_FILE).is_file():
        return path
    raise ValueError(
        f"{folder} holds no tokenizer; expected tokenizer.json, vocab.json with merges.txt, a "
        f"SentencePiece .model, or {_MERGE_FILE} in it"
    )


def _read_max_length(path: Path) -> int | None:
    """Return model_max_length of the tokenizer_config.json in or beside a path, if there is one."""
    path = (path if path.is_dir() else path.parent) / "tokenizer_config.json"
    if not path.is_file():
        return None
    config = _read_json(path)
    length = config.get("model_max_length") if isinstance(config, dict) else None
    if not isinstance(length, int | float) or isinstance(length, bool) or not length < _NO_LIMIT:
        return None
    return int(length)


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not to be read as JSON: {error}") from error


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
    if all(tokenizer.token_to_id(token) is not None for token in (_START, _END)):
        kinds.add("clip")
    elif tokenizer.token_to_id("</s>") is not None and tokenizer.token_to_id("▁a") is not None:
        kinds.add("t5")
    num_special = tokenizer.num_special_tokens_to_add(is_pair=False)
    return _Loaded(_encoder(tokenizer), num_special, frozenset(kinds))


def _read_clip_files(vocab_path: Path, merges_path: Path) -> _Loaded:
    for path in (vocab_path, merges_path):
        if not path.is_file():
            raise ValueError(f"{path} not found; expected vocab.json and merges.txt together")
    vocab = _read_json(vocab_path)
    try:
        lines = merges_path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{merges_path} is no list of merges: {error}") from error
    if not isinstance(vocab, dict) or not all(type(i) is int and i >= 0 for i in vocab.values()):
        raise ValueError(f"{vocab_path} is no vocabulary; expected tokens with their ids")
    if not {_START, _END, "a</w>"} <= vocab.keys():
        raise ValueError(
            f"{vocab_path} is another vocabulary than CLIP's: it lacks {_START}, {_END} or the "
            "word ends </w>; for other tokenizers give their tokenizer.json"
        )
    return _make_clip(vocab, lines, merges_path)


def _read_merge_file(path: Path) -> _Loaded:
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
    # bytes that print stand for themselves, the 68 others are shifted behind the 256
    printed = (*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100))
    letters = [chr(i) for i in (*printed, *range(0x100, 0x100 + 256 - len(printed)))]
    merged = ["".join(line.split()) for line in lines[1:]]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *merged, _START, _END]
    vocab = {token: i for i, token in enumerate(tokens)}
    return _make_clip(vocab, lines, path)


def _make_clip(vocab: dict[str, int], lines: list[str], path: Path) -> _Loaded:
    """Build CLIP's tokenizer; its ids are those of the reference implementation."""
    if lines[0].startswith("#version") or lines[0].startswith('"bpe_simple_vocab'):
        lines = lines[1:]
    merges = [tuple(line.split()) for line in lines if line.strip()]
    if bad := next((merge for merge in merges if len(merge) != 2), None):
        raise ValueError(f"{path}: got the merge {' '.join(bad)!r}, expected two parts in a line")
    try:
        model = models.BPE(
            vocab=vocab,
            merges=[(left, right) for left, right in merges],
            end_of_word_suffix="</w>",
            unk_token=_END,
        )
    except Exception as error:  # the library has no class of its own
        raise ValueError(f"{path} does not fit the vocabulary: {error}") from error
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CLIP_WORD), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (_START, _END)])
    return _Loaded(_encoder(tokenizer), 2, frozenset(["clip"]))


def _encoder(tokenizer: Tokenizer) -> Callable[[str], list[int]]:
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids
