"""Unsafe texts, found by their words; codes of categories, and what excuses a word.

`safety_lists/` holds the tables, a phrase a line; "bomb*" stands for words that begin so. Texts
are unmasked before they are read (full width, "n u d e", "p0rn", "f*ck"), phrases of `allowed.txt`
("nude lipstick", "pussy willow") are passed over, and some findings are excused by words of art,
medicine or history beside them. It reads words and knows no pictures: how often it errs on real
prompts is in LOG.md. A classifier can be asked in addition (`pe.engines.text_classifier`).
"""

import dataclasses
import functools
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

from pe.records import content_hash
from pe.text.unmask import unmask

# From the gravest on; of findings with equally many words the first counts.
CATEGORIES = ("minors", "self_harm", "hate", "violence", "crime", "sexual")
# Table -> its category, and the tables whose words excuse it, if it stands alone.
_TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "minors": ("minors", ()),
    "self_harm": ("self_harm", ("medical",)),
    "hate": ("hate", ()),
    "hate_past": ("hate", ("history",)),
    "violence": ("violence", ("medical", "history")),
    "crime": ("crime", ()),
    "sexual": ("sexual", ("medical",)),
    "nudity": ("sexual", ("art", "medical")),
}
# What is unsafe where words of two tables stand near each other: (first, second, words between
# them at most, whether the first has to come first, category).
_PAIRS: tuple[tuple[str, str, int, bool, str], ...] = (
    ("group", "contempt", 4, False, "hate"),
    ("harm", "victim", 3, True, "violence"),
    ("self_verb", "self_part", 3, True, "self_harm"),
    ("make", "weapon", 4, False, "crime"),
    ("trade", "person", 3, True, "crime"),
    ("garment", "off", 2, False, "sexual"),
    ("fake", "document", 4, True, "crime"),
    ("make", "deed", 4, True, "crime"),
)
_CONTEXTS = ("child", "suggestive", "art", "medical", "history")
_TOKEN = re.compile(r"[^\W_]+(?:\*+[^\W_]+)*")
_LETTERS = re.compile(r"(?<![^\W_])[^\W\d_](?:[ ._\-*][^\W\d_]){2,}(?![^\W_])")
LEAST_SLIP_LETTERS = 7  # of words that are known in a wrong spelling, too
ENDINGS = ("", "s", "ed", "d", "ing")
Phrase = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Unsafe:
    """A finding: its category, and the words that it was found by."""

    category: str
    words: str

    @property
    def reason(self) -> str:
        """Return the code that a drop is counted under."""
        return f"unsafe_{self.category}"


@dataclasses.dataclass(frozen=True)
class _Hit:
    table: str
    begin: int
    end: int


def read_phrases(path: Path) -> tuple[str, ...]:
    """Read phrases from a file, one a line, as `find_unsafe` takes them; "#" begins a remark."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def find_unsafe(text: str, allowed: tuple[str, ...] = ()) -> Unsafe | None:
    """Find what is unsafe in a text: the longest phrase found; None where there is nothing.

    "a nude, oil painting by candlelight"   ->  Unsafe("sexual", "nude")
    "marble statue of a nude athlete"       ->  None
    "a woman in nude lipstick"              ->  None
    """
    tokens = _read(text)
    hits: dict[str, list[_Hit]] = {}
    for hit in _find_hits(tokens, _read_all(allowed)):
        hits.setdefault(hit.table, []).append(hit)
    if not hits:  # as nearly always
        return None
    found = list(_judge(hits))
    if not found:
        return None
    category, hit = max(
        found, key=lambda f: (f[0] == "minors", f[1].end - f[1].begin, -CATEGORIES.index(f[0]))
    )
    return Unsafe(category, " ".join(tokens[hit.begin : hit.end]))


def identify_tables() -> str:
    """Return a hash of all tables, for what depends on them."""
    return content_hash(*(f"{name}\n{_read_table(name)}" for name in _list_tables()))


def _judge(hits: dict[str, list[_Hit]]) -> Iterator[tuple[str, _Hit]]:
    """Yield the hits that count, with their categories."""
    bare = hits.get("sexual", []) + hits.get("nudity", [])
    if "child" in hits:
        for hit in bare + hits.get("suggestive", []):
            yield "minors", hit
    for table, (category, excuses) in _TABLES.items():
        own = hits.get(table, [])
        is_alone = len({(hit.begin, hit.end) for hit in own}) == 1
        is_worse = table in ("nudity", "sexual") and bool(
            hits.keys() & {"sexual", "suggestive"} - {table}
        )
        if (is_alone or table == "nudity") and not is_worse and any(e in hits for e in excuses):
            continue
        for hit in own:
            yield category, hit
    for first, second, gap, is_ordered, category in _PAIRS:
        if category not in ("hate", "crime") and "medical" in hits:
            continue
        for one in hits.get(first, []):
            for other in hits.get(second, []):
                between = other.begin - one.end
                if not is_ordered and between < 0:
                    between = one.begin - other.end
                if 0 <= between <= gap:
                    yield category, _Hit(first, *_span(one, other))


def _span(first: _Hit, second: _Hit) -> tuple[int, int]:
    return min(first.begin, second.begin), max(first.end, second.end)


def _read(text: str) -> list[str]:
    """Return the words of a text, unmasked and in lower case; spaced letters are one word."""
    plain = unmask(_LETTERS.sub(_join_letters, text)).lower()
    return _TOKEN.findall(plain.replace("’", "'").replace("'", " "))


@functools.lru_cache(maxsize=8)
def _read_all(phrases: tuple[str, ...]) -> tuple[Phrase, ...]:
    return tuple(tuple(_read(phrase)) for phrase in phrases)


def _join_letters(spaced: re.Match[str]) -> str:
    """Return spaced letters as one word; of "a n u d e" the article may be one."""
    letters = re.sub(r"[ ._\-*]", "", spaced[0])
    return f"{letters} {letters[1:]}" if letters[0] in "aAiI" else letters


def _find_hits(tokens: Sequence[str], own: Sequence[Phrase]) -> Iterator[_Hit]:
    """Yield what stands in tables; words of a phrase that is allowed are passed over."""
    starts = [_starting(token) for token in tokens]
    allowed = {
        place
        for phrase in own
        for begin in range(len(tokens) - len(phrase) + 1)
        if tuple(tokens[begin : begin + len(phrase)]) == phrase
        for place in range(begin, begin + len(phrase))
    }
    for begin, phrases in enumerate(starts):
        for table, phrase in phrases:
            if table == "allowed" and _stands(phrase, tokens, begin):
                allowed.update(range(begin, begin + len(phrase)))
    for begin, phrases in enumerate(starts):
        for table, phrase in phrases:
            if table == "allowed" or not _stands(phrase, tokens, begin):
                continue
            if allowed.isdisjoint(range(begin, begin + len(phrase))):
                yield _Hit(table, begin, begin + len(phrase))


def _stands(phrase: Phrase, tokens: Sequence[str], begin: int) -> bool:
    if begin + len(phrase) > len(tokens):
        return False
    return all(
        _is_word(wanted, token)
        for wanted, token in zip(phrase[1:], tokens[begin + 1 :], strict=False)
    )


def _is_word(wanted: str, token: str) -> bool:
    if wanted.endswith("*"):
        return token.startswith(wanted[:-1])
    return wanted in _forms(token)


@functools.lru_cache(maxsize=200_000)
def _starting(token: str) -> tuple[tuple[str, Phrase], ...]:
    """Return the phrases of all tables that a word may begin, with their tables."""
    table = _load_tables()
    keys = [
        key
        for form in _forms(token)
        for key in (form, *(f"{form[:k]}*" for k in range(3, len(form) + 1)))
    ]
    return tuple(entry for key in dict.fromkeys(keys) for entry in table.get(key, ()))


@functools.lru_cache(maxsize=200_000)
def _forms(token: str) -> tuple[str, ...]:
    """Return what a word may stand for: itself, fewer letters, what was starred out, a slip."""
    forms = [token, re.sub(r"(.)\1{2,}", r"\1\1", token), re.sub(r"(.)\1{2,}", r"\1", token)]
    if "*" in token:  # "f*ck"
        pattern = re.compile(re.sub(r"\*", r"\\w?", token.removesuffix("s")))
        forms += [word for word in _load_words() if pattern.fullmatch(word)]
    elif len(token) >= LEAST_SLIP_LETTERS - 1 and token not in _load_words():
        forms += _load_slips().get(token, ())  # "sucide"
        forms += [short for short in _shorten(token) if short in _load_slips().get("", ())]
    return tuple(dict.fromkeys(forms))


def _shorten(word: str) -> list[str]:
    """Return a word without each of its letters, but the first."""
    return [word[:k] + word[k + 1 :] for k in range(1, len(word))]


@functools.cache
def _load_words() -> frozenset[str]:
    """Return all words of the tables."""
    return frozenset(
        word.removesuffix("*")
        for found in _load_tables().values()
        for _, phrase in found
        for word in phrase
    )


@functools.cache
def _load_slips() -> dict[str, tuple[str, ...]]:
    """Return what long words become that lose a letter or have two in the wrong order.

    Under "" stand the words themselves. Tables of harmless words are left out.
    """
    words: set[str] = set()
    for found in _load_tables().values():
        for table, phrase in found:
            if table in _TABLES and len(phrase) == 1:
                stem = phrase[0].removesuffix("*")
                words |= {stem + end for end in (ENDINGS if stem != phrase[0] else ("",))}
    slips: dict[str, tuple[str, ...]] = {}
    for word in sorted(word for word in words if len(word) >= LEAST_SLIP_LETTERS):
        slips[""] = (*slips.get("", ()), word)
        swapped = [
            word[:k] + word[k + 1] + word[k] + word[k + 2 :] for k in range(1, len(word) - 1)
        ]
        for slip in (*_shorten(word), *swapped):
            slips[slip] = (*slips.get(slip, ()), word)
    return slips


@functools.cache
def _load_tables() -> dict[str, list[tuple[str, Phrase]]]:
    """Return all phrases by their first word, "word*" for words that begin so."""
    found: dict[str, list[tuple[str, Phrase]]] = {}
    for name in _list_tables():
        for line in _read_table(name).splitlines():
            if line and not line.startswith("#"):
                phrase = tuple(line.split())
                found.setdefault(phrase[0], []).append((name, phrase))
    return found


def _list_tables() -> tuple[str, ...]:
    paired = [name for pair in _PAIRS for name in pair[:2]]
    return (*_TABLES, *_CONTEXTS, *paired, "allowed")


def _read_table(name: str) -> str:
    return (resources.files("pe.text") / "safety_lists" / f"{name}.txt").read_text("utf-8")
