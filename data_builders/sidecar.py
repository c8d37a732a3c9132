r"""What stands beside images about them: captions, prompts, source and licence.

  name.txt          beside name.jpg: the whole text is the caption
  name.json         beside name.jpg: an object of the fields below
  captions.jsonl    one object a line, of the fields below and `file`
  metadata.jsonl    the same, as Hugging Face's imagefolder has it
  metadata.csv      the same as a table
The fields, in any case: `caption`, `captions` (a list), `text` (the same as caption), `prompt`,
`source`, `licence` or `license`; others are left alone. The file is named by `file`, `file_name`,
`image`, `filename` or `path`, from the sidecar's folder. Several entries for one file add up: all
their captions, in order, and of the other fields the first. Text is UTF-8.

Knows bytes and what they say. Knows nothing of images, folders or archives.
"""

import dataclasses
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from data_builders.table_format import (
    MAX_ROW_BYTES,
    fold_name,
    parse_object,
    read_lines,
    read_records,
)

FOLDER_SIDECARS = ("captions.jsonl", "metadata.jsonl", "metadata.csv")
FILE_SIDECARS = (".json", ".txt")  # in order of precedence
CAPTION_FIELDS = ("caption", "captions", "text")
LICENCE_FIELDS = ("licence", "license")
FILE_FIELDS = ("file", "file_name", "image", "filename", "path")
FIELDS = (*CAPTION_FIELDS, "prompt", "source", *LICENCE_FIELDS, "status")
FAILURES = ("failed_to_download", "failed_to_resize")  # what img2dataset says in `status`

REASONS = {
    "bad_encoding": "a name or a sidecar is not UTF-8 text",
    "broken_sidecar": "a sidecar, or a line of one, is not what it should be, or names no file",
    "failed_to_download": "img2dataset has no picture: it could not fetch it",
    "failed_to_resize": "img2dataset has no picture: it could not decode or scale it",
}


class Said(NamedTuple):
    """What sidecars say of an image; `failure` is a reason of `REASONS`, by img2dataset."""

    captions: tuple[str, ...] = ()
    prompt: str | None = None
    source: str | None = None
    licence: str | None = None
    failure: str | None = None


NOTHING = Said()


@dataclasses.dataclass(frozen=True)
class FolderSidecar:
    """A folder's lists: what is said of each file, and (sidecar, line, reason) of broken lines."""

    entries: dict[str, Said]
    broken: list[tuple[str, int, str]]


def read_fields(record: Mapping[str, object]) -> Said | str:
    """Take the known fields of an object; a reason where one of them cannot be text.

    Example:
      record                                        returns
      {"caption": " a fox ", "license": "CC0"}      Said(("a fox",), licence="CC0")
      {"captions": ["a fox", ""], "prompt": "fox"}  Said(("a fox",), prompt="fox")
      {"status": "failed_to_download"}              Said(failure="failed_to_download")
      {"caption": 7}                                "broken_sidecar"
      {"text": b"caf\\xe9"}                          "bad_encoding"
    """
    fields = {fold_name(name): value for name, value in record.items()}
    try:
        captions: list[str] = []
        for name in CAPTION_FIELDS:
            value = fields.get(name)
            for item in value if isinstance(value, list | tuple) else (value,):
                captions += [text for text in (_as_text(item),) if text]
        licences = (_as_label(fields.get(name)) for name in LICENCE_FIELDS)
        status = fields.get("status")
        status = _as_text(status) if isinstance(status, str | bytes) else None
        return Said(
            captions=tuple(dict.fromkeys(captions)),
            prompt=_as_text(fields.get("prompt")),
            source=_as_label(fields.get("source")),
            licence=next((text for text in licences if text), None),
            failure=status if status in FAILURES else None,
        )
    except UnicodeError:
        return "bad_encoding"
    except TypeError:
        return "broken_sidecar"


def read_file_sidecar(suffix: str, data: bytes) -> Said | str:
    r"""Read name.txt or name.json; a reason where it cannot be read.

    Example:
      suffix    data                    returns
      ".txt"    b"a red fox\n"          Said(("a red fox",))
      ".txt"    b"caf\xe9"              "bad_encoding"
      ".json"   b'{"prompt": "fox"}'    Said(prompt="fox")
      ".json"   b"[1, 2]"               "broken_sidecar"
    """
    if len(data) > MAX_ROW_BYTES:
        return "broken_sidecar"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "bad_encoding"
    if suffix == ".txt":
        return read_fields({"caption": text})
    record = parse_object(text)
    return "broken_sidecar" if isinstance(record, str) else read_fields(record)


def read_folder_sidecars(folder: Path, names: list[str]) -> FolderSidecar:
    """Read those of a folder's files that list captions; `names` are all its files' names.

    Example (captions.jsonl)
      {"file": "a.jpg", "caption": "a fox"}
      {"file": "./b.jpg", "captions": ["a", "b"]}
      {"file": "a.jpg", "caption": "a cat"}
      {"caption": "a dog"}
    returns
      entries  {"a.jpg": Said(("a fox", "a cat")), "b.jpg": Said(("a", "b"))}
      broken   [("captions.jsonl", 4, "broken_sidecar")]
    """
    found = FolderSidecar({}, [])
    for name in FOLDER_SIDECARS:
        if name not in names:
            continue
        for line, record in _read_list(folder / name):
            said = record if isinstance(record, str) else read_fields(record)
            file = None if isinstance(record, str) else _file_of(record)
            if isinstance(said, str) or file is None:
                reason = said if isinstance(said, str) else "broken_sidecar"
                found.broken.append((name, line, reason))
            else:
                earlier = found.entries.get(file)
                found.entries[file] = said if earlier is None else _add(earlier, said)
    return found


def merge(*said: Said) -> Said:
    """Take each field from the first that has it.

    Example:
      (Said(("a",)), Said(("b",), "p"))   ->   Said(("a",), "p")
    """
    fields = zip(*said, strict=True)
    return Said(*(next((v for v in values if v), values[-1]) for values in fields))


def choose_caption(captions: tuple[str, ...], choice: str) -> str | None:
    """Choose "first" or "longest" (of equal ones the first); None where there is none.

    Example:
      ("a fox", "a red fox", "the red fox")  first      ->  "a fox"
      ("a fox", "a red fox", "the red fox")  longest    ->  "the red fox"
    """
    if not captions:
        return None
    return max(captions, key=len) if choice == "longest" else captions[0]


def _read_list(path: Path) -> Iterator[tuple[int, dict[str, object] | str]]:
    lines = read_lines(path, is_gzip=False)
    if path.suffix == ".jsonl":
        for number, text, reason in lines:
            record = parse_object(text) if reason is None else reason
            if record != "empty":
                yield number, _as_reason(record) if isinstance(record, str) else record
        return
    records = read_records(lines, "csv")
    header = next(records, None)
    if header is None:
        return
    line, columns, reason = header
    if reason is not None or not {fold_name(column) for column in columns} & set(FILE_FIELDS):
        yield line, _as_reason(reason)
        return
    for line, fields, reason in records:
        if reason is None:
            yield line, dict(zip(columns, fields, strict=True))
        elif reason != "empty":
            yield line, _as_reason(reason)


def _as_reason(reason: str | None) -> str:
    return "bad_encoding" if reason == "bad_encoding" else "broken_sidecar"


def _file_of(record: Mapping[str, object]) -> str | None:
    fields = {fold_name(name): value for name, value in record.items()}
    for name in FILE_FIELDS:
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                return None
            return posixpath.normpath(value.strip())
    return None


def _add(earlier: Said, later: Said) -> Said:
    captions = tuple(dict.fromkeys(earlier.captions + later.captions))
    return merge(earlier, later)._replace(captions=captions)


def _as_text(value: object) -> str | None:
    """Return stripped text, None for blank; raises UnicodeError or TypeError for other things."""
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    if not isinstance(value, str):
        raise TypeError(f"got {type(value).__name__}, expected text")
    value.encode("utf-8")  # JSON's "\ud800" parses, but no shard can hold it
    return value.strip() or None


def _as_label(value: object) -> str | None:
    return str(value) if isinstance(value, int | float) else _as_text(value)
