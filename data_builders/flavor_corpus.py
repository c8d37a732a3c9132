"""A flavor list out of a table of prompts (arXiv:2312.16720 appendix J builds its own like that).

Every distinct prompt is taken apart into phrases; those that `flavor_category` knows a category for
are counted, once a prompt, the spellings of one thing together; the frequent ones are the list.
Holds in memory the distinct flavors and, of each prompt, a digest (about 80 bytes).
"""

import collections
import dataclasses
import functools
import re
from collections.abc import Iterator
from pathlib import Path

from data_builders.flavor_category import categorize, merge_key, split_names, split_run
from data_builders.sources import SourceConfig, fingerprint, open_table, read_rows
from pe.config import operative_config
from pe.records import content_hash
from pe.shards import write_text
from pe.stages.local_runner import Progress
from pe.text.flavor_list import CATEGORIES, FlavorList, format_flavors
from pe.text.phrase import LOOSE_MARKS, WORD_CHARACTER, comparison_key, normalize_phrase
from pe.text.split import PHRASE_BREAK, is_name_list, split_prompt

REASONS = {
    "content": "shows something, or has a word that no table knows",
    "artist": "the name of an artist, a studio or a title, and `artists` is off",
    "vague": "too little to go by: one word such as details or image",
    "too_long": "a flavor of more than max_words words",
    "rare": "a flavor in fewer than min_count prompts",
}
PROGRESS_ROWS = 500
MAX_FLAVOR_WORDS = 16  # a longer piece is a caption: no need to look at it
# A prompt is as good without its query.
_QUERY_REASONS = ("no_query", "query_equals_prompt", "query_too_long")
_ARTICLES = ("a ", "an ", "the ", "and ", "& ")
_HYPHEN = re.compile(r" ?[-‐–] ?")
_APERTURE = re.compile(r"\bf ?/? ?(\d{1,2})(?:[. ]+(\d{1,2}))?\b")
_FRACTION = re.compile(r"\b(\d) ?/ ?(\d)")
_INITIALS = re.compile(r"\b([a-z]) & ([a-z])\b")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlavorConfig:
    """What makes a phrase of a corpus a flavor of its list.

    min_count  in so many distinct prompts at least. Of 46,000 prompts 10 gives 900 flavors, 5 gives
               1,460 and 3 gives 2,240 (measured 2026-11-20); more prompts bear a larger one
    max_words  longer ones are several flavors that lost their commas
    artists    keep names of artists, as "by NAME", in a category of their own
    """

    min_count: int = 5
    max_words: int = 5
    artists: bool = False
    source: SourceConfig = dataclasses.field(default_factory=SourceConfig)

    def __post_init__(self) -> None:
        for field in ("min_count", "max_words"):
            if (value := getattr(self, field)) < 1:
                raise ValueError(f"FlavorConfig.{field}: got {value}, expected 1 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlavorStats:
    """What became of rows and phrases: rows = prompts + dropped rows, phrases = kept + dropped.

    A phrase counts once a prompt. `num_spellings` are the forms that the kept phrases had.
    """

    num_rows: int
    num_prompts: int
    row_reasons: dict[str, int]
    num_phrases: int
    num_kept: int
    phrase_reasons: dict[str, int]
    num_spellings: int

    def __post_init__(self) -> None:
        if self.num_rows != self.num_prompts + sum(self.row_reasons.values()):
            raise AssertionError(f"rows do not add up: {self}")
        if self.num_phrases != self.num_kept + sum(self.phrase_reasons.values()):
            raise AssertionError(f"phrases do not add up: {self}")


@dataclasses.dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of a prompt: how it is written there, what its spellings share, what it is.

    `kind` is a category of `flavor_list`, a key of `REASONS`, or "name": artist or content, which
    the rest of the corpus tells.
    """

    form: str
    key: str
    kind: str


def find_phrases(prompt: str) -> list[Phrase]:
    """Take a cleaned prompt apart into its distinct phrases.

    prompt:  "a red fox, oil painting by Mira Voss, Tom Harrel, 8 k, details"
    returns  form            kind
             red fox         content
             oil painting    medium
             by mira voss    artist
             by tom harrel   artist
             8k              quality
             details         vague
    """
    split = split_prompt(prompt)
    pieces = [(piece, False) for piece in PHRASE_BREAK.split(split.caption)]
    pieces += [(piece, True) for piece in split.flavors]
    found: dict[str, Phrase] = {}
    for piece, is_flavor in pieces:
        for phrase in _read_piece(piece.strip(LOOSE_MARKS + "#"), is_flavor):
            found.setdefault(phrase.key, phrase)
    return list(found.values())


@functools.lru_cache(maxsize=50_000)
def _read_piece(piece: str, is_flavor: bool) -> tuple[Phrase, ...]:
    """Read what stands between two commas; mostly one phrase."""
    text = _drop_repeats(_close_up(normalize_phrase(piece)))
    if not WORD_CHARACTER.search(text):
        return ()
    if text.count(" ") >= MAX_FLAVOR_WORDS:
        return (_make_phrase(text, text, "content"),)
    style, names = split_names(text)
    if names:
        heads = [part for part in split_run(style) if categorize(part) in CATEGORIES]
        return (
            *(_make_phrase(part, part, categorize(part)) for part in heads),
            *(_make_name(name, "artist") for name in names),
        )
    parts = split_run(_drop_preposition(text))
    kinds = [categorize(part) for part in parts]
    if kinds == ["content"] and is_name_list(text, strict=True) and len(text.split()) <= 8:
        names = [name for name in re.split(r" (?:and|&) ", text) if name]
        kind = "artist" if is_flavor else "name"
        return tuple(_make_name(name, kind) for name in names)
    if len(parts) > 1:
        return tuple(_make_phrase(p, p, k) for p, k in zip(parts, kinds, strict=True))
    written = _drop_repeats(_write_hyphens(piece))
    same = normalize_phrase(written) == parts[0]
    return (_make_phrase(written if same else parts[0], parts[0], kinds[0]),)


def _make_phrase(form: str, text: str, kind: str) -> Phrase:
    return Phrase(form, merge_key(text), kind)


def _make_name(name: str, kind: str) -> Phrase:
    return Phrase(f"by {name}", "by " + merge_key(name.replace(".", "")), kind)


def _drop_repeats(text: str) -> str:
    """Drop a word that repeats the one before: "very very very detailed" -> "very detailed"."""
    words = text.split()
    return " ".join(
        word for i, word in enumerate(words) if i == 0 or word != words[i - 1] or word.isdigit()
    )


def _drop_preposition(text: str) -> str:
    """Drop "in" and "with" where the rest is a flavor: "in anime style" -> "anime style"."""
    first, _, rest = text.partition(" ")
    if first in ("in", "with") and categorize(text) not in CATEGORIES:
        rest = normalize_phrase(rest)
        return rest if categorize(rest) in CATEGORIES else text
    return text


def _write_hyphens(piece: str) -> str:
    """Write a piece as a person does, with its hyphens; "" where there are numbers and marks.

    "A Close - up"  ->  "close-up"
    "35 - mm"       ->  ""
    """
    if any(c.isdigit() or c in "&./" for c in piece):
        return ""
    text = piece.lower().replace("’", "'").replace("_", " ")
    text = " ".join(_HYPHEN.sub("-", text).split())
    while text.startswith(_ARTICLES):
        text = text.partition(" ")[2]
    return text


def _close_up(text: str) -> str:
    """Close up what other programs have spaced out.

    "f / 1. 8"                   ->  "f/1.8"
    "1 / 160s"                   ->  "1/160s"
    "d & d"                      ->  "d&d"
    "trending on pinterest.com"  ->  "trending on pinterest"
    """
    text = _APERTURE.sub(_write_aperture, text)
    text = _FRACTION.sub(r"\1/\2", _INITIALS.sub(r"\1&\2", text))
    return text.replace(".com", "")


def _write_aperture(match: re.Match[str]) -> str:
    """Write an aperture: "f / 1. 8" -> "f/1.8"."""
    return f"f/{match[1]}.{match[2]}" if match[2] else f"f/{match[1]}"


class FlavorCounter:
    """Counts the phrases of prompts, one prompt at a time."""

    def __init__(self, config: FlavorConfig):
        self.config = config
        self.num_phrases = 0
        self._seen: set[bytes] = set()  # digests of prompts
        self._forms: dict[str, collections.Counter[str]] = {}  # of flavors, by key
        self._kinds: dict[str, str] = {}  # of forms
        self._counts: collections.Counter[str] = collections.Counter()  # of keys
        self._names: collections.Counter[str] = collections.Counter()  # keys: artist or content
        self._reasons: collections.Counter[str] = collections.Counter()

    def add(self, prompt: str) -> str | None:
        """Count a prompt's phrases once each; return why it was dropped, or None."""
        key = comparison_key(prompt)
        digest = bytes.fromhex(content_hash("prompt", key))
        if digest in self._seen:
            return "duplicate"
        phrases = find_phrases(prompt)
        if not phrases:
            return "no_words"
        self._seen.add(digest)
        for phrase in phrases:
            self._add_phrase(phrase)
        return None

    def _add_phrase(self, phrase: Phrase) -> None:
        self.num_phrases += 1
        if phrase.kind == "name":
            self._names[phrase.key] += 1
        elif phrase.kind not in CATEGORIES:
            self._reasons[phrase.kind] += 1
        elif phrase.kind != "artist" and len(phrase.form.split()) > self.config.max_words:
            self._reasons["too_long"] += 1
        else:
            self._counts[phrase.key] += 1
            self._forms.setdefault(phrase.key, collections.Counter())[phrase.form] += 1
            self._kinds[phrase.form] = phrase.kind

    def finish(self, name: str) -> tuple[FlavorList, dict[str, int], int]:
        """Return (list, phrases dropped by reason, number of spellings in the list).

        The list is sorted by falling count, then by the alphabet; a phrase stands in its most
        frequent spelling and has that one's category.
        """
        counts, reasons = self._counts.copy(), self._reasons.copy()
        shown = {key: _most_frequent(forms) for key, forms in self._forms.items()}
        for key, count in self._names.items():
            if key in counts and self._kinds[shown[key]] == "artist" and counts[key] > 1:
                counts[key] += count
            else:
                reasons["content"] += count
        rows: list[tuple[int, str, str]] = []
        num_spellings = 0
        for key, count in counts.items():
            category = self._kinds[shown[key]]
            if category == "artist" and not self.config.artists:
                reasons["artist"] += count
            elif count < self.config.min_count:
                reasons["rare"] += count
            else:
                rows.append((-count, shown[key], category))
                num_spellings += len(self._forms[key])
        rows.sort()
        flavors = FlavorList(
            name=name,
            phrases=tuple(phrase for _, phrase, _ in rows),
            categories=tuple(category for _, _, category in rows),
            counts=tuple(-count for count, _, _ in rows),
        )
        return flavors, {reason: reasons[reason] for reason in REASONS}, num_spellings


def _most_frequent(forms: collections.Counter[str]) -> str:
    return min(forms, key=lambda form: (-forms[form], form))


def count_flavors(
    source: Path, config: FlavorConfig, *, progress: Progress | None = None
) -> tuple[FlavorList, FlavorStats]:
    """Make a flavor list out of a table of prompts.

    Raises ValueError or FileNotFoundError for a table that cannot be read, and ValueError where no
    phrase of it is a flavor as often as `min_count`.
    """
    table = open_table(source, config.source)
    counter = FlavorCounter(config)
    row_reasons: collections.Counter[str] = collections.Counter()
    num_rows = 0
    for row in read_rows(table, config.source):
        num_rows += 1
        reason = row.reason if row.reason not in _QUERY_REASONS else None
        if reason is None:
            reason = counter.add(row.prompt)
        if reason is not None:
            row_reasons[reason] += 1
        if progress is not None and num_rows % PROGRESS_ROWS == 0:
            progress("flavors", num_rows, None, "")
    if progress is not None:
        progress("flavors", num_rows, num_rows, "")
    flavors, phrase_reasons, num_spellings = counter.finish(source.name)
    stats = FlavorStats(
        num_rows=num_rows,
        num_prompts=num_rows - sum(row_reasons.values()),
        row_reasons=dict(row_reasons.most_common()),
        num_phrases=counter.num_phrases,
        num_kept=sum(flavors.counts),
        phrase_reasons=phrase_reasons,
        num_spellings=num_spellings,
    )
    if not len(flavors):
        raise ValueError(
            f"{source}: not one flavor came of its {num_rows:,} rows (rows dropped: "
            f"{dict(row_reasons)}; phrases dropped: {phrase_reasons}); lower "
            f"--gin.FlavorConfig.min_count, which is {config.min_count}, or give more prompts"
        )
    return flavors, stats


def describe_flavors(flavors: FlavorList, stats: FlavorStats) -> Iterator[str]:
    """Yield lines that say what was counted: rows, phrases, and every category."""
    yield (
        f"{stats.num_rows:,} rows: {stats.num_prompts:,} prompts"
        + "".join(f", {reason} {count:,}" for reason, count in stats.row_reasons.items())
    )
    yield (
        f"{stats.num_phrases:,} phrases: {stats.num_kept:,} kept"
        + "".join(f", {reason} {count:,}" for reason, count in stats.phrase_reasons.items())
    )
    yield f"{len(flavors):,} flavors of {stats.num_spellings:,} spellings"
    for category in CATEGORIES:
        own = [i for i, other in enumerate(flavors.categories) if other == category]
        if own:
            total = sum(flavors.counts[i] for i in own)
            most = ", ".join(flavors.phrases[i] for i in own[:3])
            yield f"{category:>11}: {len(own):,} flavors, {total:,} times: {most}"


def write_flavors(
    path: Path, source: Path, config: FlavorConfig, flavors: FlavorList, stats: FlavorStats
) -> None:
    """Write the list with a head that says how it was made, atomically."""
    remarks = [
        "flavors of prompts, made by pe flavors: phrase<TAB>count<TAB>category",
        "count: the distinct prompts that have the phrase in any spelling; most frequent first",
        f"source: {source.name}, blake2b {fingerprint(source)}",
        *operative_config(config).split("\n"),
        *describe_flavors(flavors, stats),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, format_flavors(flavors, [remark for remark in remarks if remark.strip()]))
