"""Texts of evaluation sets among the rows of a dataset: found whole, in another spelling, in part.

What a model is measured on must not be what it learned from. A text is contaminated when

exact       it is a line of an evaluation set
normalised  it is one but for case, punctuation and spacing ("A red-fox.", "a  redfox")
ngram       it holds NGRAM_WORDS words of one in a row, or all of one of at least LEAST_WORDS words

Shorter lines ("fire", "a cat") are found only where they are the whole text: as a part they stand
in a large share of all prompts. GPT-3 took 13 words (arXiv:2005.14165); prompts are shorter.
"""

import csv
import dataclasses
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

COLUMNS = ("prompt", "prompts", "text", "caption")
NGRAM_WORDS, LEAST_WORDS = 8, 5
_GAP = re.compile(r"[\W_]+")


@dataclasses.dataclass(frozen=True)
class Match:
    """What a text was found by: the set, its line, and how ("exact", "normalised", "ngram")."""

    name: str
    line: str
    how: str


def split_words(text: str) -> list[str]:
    """Return the words of a text in lower case: "A red-fox's den" -> a red fox s den.

    Marks (vowel signs of Indic scripts, accents) belong to their words.
    """
    text = unicodedata.normalize("NFKC", text).lower()
    if not text.isascii():
        text = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text)
        return text.split()
    return [word for word in _GAP.split(text) if word]


class EvaluationLines:
    """Lines of evaluation sets, to look texts up in."""

    def __init__(self, lines: Iterable[tuple[str, str]]):
        """Take (name of the set, line); lines without a letter or digit count for nothing."""
        self._lines: list[tuple[str, str]] = []
        self._by_letters: dict[str, int] = {}
        self._by_words: dict[tuple[str, ...], int] = {}
        for name, line in lines:
            words = split_words(line)
            if not words:
                continue
            number = len(self._lines)
            self._lines.append((name, line))
            self._by_letters.setdefault("".join(words), number)
            for part in _parts(words):
                self._by_words.setdefault(part, number)
        self._sizes = sorted({len(part) for part in self._by_words})

    def __len__(self) -> int:
        return len(self._lines)

    def find(self, text: str) -> Match | None:
        """Return what a text was found by, or None."""
        words = split_words(text)
        number = self._by_letters.get("".join(words))
        if number is not None:
            name, line = self._lines[number]
            return Match(name, line, "exact" if text == line else "normalised")
        for size in self._sizes:
            for begin in range(len(words) - size + 1):
                number = self._by_words.get(tuple(words[begin : begin + size]))
                if number is not None:
                    return Match(*self._lines[number], "ngram")
        return None


def _parts(words: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield what of a line counts as the line: all of a short one, each n-gram of a long one."""
    if len(words) >= LEAST_WORDS:
        size = min(len(words), NGRAM_WORDS)
        for begin in range(len(words) - size + 1):
            yield tuple(words[begin : begin + size])


def read_evaluation_lines(path: Path, column: str = "") -> Iterator[tuple[str, str]]:
    """Yield (name of the file, line) of a .tsv, .csv, .jsonl or .txt file.

    Tables are read by `column`, or by the first of prompt, prompts, text, caption that they have.
    Raises ValueError for a file of another kind, and where there is no such column.
    """
    suffix = path.suffix.lower()
    if suffix not in (".txt", ".tsv", ".csv", ".jsonl"):
        raise ValueError(f"{path}: expected an evaluation set as .tsv, .csv, .jsonl or .txt")
    with path.open(encoding="utf-8-sig", newline="" if suffix == ".csv" else None) as file:
        if suffix == ".txt":
            yield from ((path.stem, line.rstrip("\n")) for line in file)
        elif suffix == ".jsonl":
            yield from _read_objects(path, file, column)
        else:
            is_csv = suffix == ".csv"  # in a .tsv a quote is a quote
            quoting = csv.QUOTE_MINIMAL if is_csv else csv.QUOTE_NONE
            rows = csv.DictReader(file, delimiter="," if is_csv else "\t", quoting=quoting)
            name = _find_column(path, rows.fieldnames or (), column)
            yield from ((path.stem, row[name] or "") for row in rows)


def _read_objects(path: Path, lines: Iterable[str], column: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            text = row[_find_column(path, tuple(row), column)]
        except (json.JSONDecodeError, TypeError) as error:
            raise ValueError(f"{path}:{number} is no JSON object: {error}") from error
        if not isinstance(text, str):
            raise ValueError(f"{path}:{number}: expected text, got {text!r}")
        yield path.stem, text


def _find_column(path: Path, names: Iterable[str], column: str) -> str:
    names = list(names)
    lower = {name.lower(): name for name in reversed(names)}
    for wanted in (column.lower(),) if column else COLUMNS:
        if wanted in lower:
            return lower[wanted]
    raise ValueError(
        f"{path} has the columns {', '.join(names)}; expected {column or ', '.join(COLUMNS)}"
    )
