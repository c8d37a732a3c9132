"""Queries by rules: what a person might have typed before the prompt was written out. No model.

A query is cut from the caption at natural boundaries, so its words are the prompt's own. English
only: boundaries are prepositions, conjunctions and common verbs, so a run of nouns without any of
them gives few queries. Knows nothing about pairs or prefixes.
"""

import dataclasses
import hashlib
import re

from data_builders.query_kind import (
    ABSTRACT_WORDS,
    CONCRETE_WORDS,
    LONG_WORDS,
    MEDIUM_WORDS,
    SHORT_WORDS,
    Range,
    check_words,
)
from data_builders.query_words import (
    ABSTRACT,
    ADJECTIVE_ENDS,
    ADJECTIVES,
    ADVERBS,
    AFTER_VERB,
    ARTICLES,
    BAD_ENDS,
    BAD_STARTS,
    DETERMINERS,
    EMPTY_HEADS,
    NOT_ALONE,
    NOT_VERBS,
    NOUN_ADJECTIVES,
    OTHER_BREAKS,
    PREPOSITIONS,
    THEME_ADJECTIVES,
    THEME_ALONE,
    THEME_HEADS,
    WEAK_ABSTRACT,
)
from pe.text.flavors import HEADS
from pe.text.phrase import tidy_phrase
from pe.text.split import SplitPrompt
from pe.text.words import content_words, count_words


@dataclasses.dataclass(frozen=True, kw_only=True)
class RuleQueryConfig:
    """Fewest and most words of each kind of query."""

    abstract_words: Range = ABSTRACT_WORDS
    concrete_words: Range = CONCRETE_WORDS
    short_words: Range = SHORT_WORDS
    medium_words: Range = MEDIUM_WORDS
    long_words: Range = LONG_WORDS

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_words(field.name, getattr(self, field.name))


_STOPS = (",", ".", ";", ":", "!", "?")
_SURNAME = "surname"  # stands for one where words are judged by their endings
_TOKEN = re.compile(r"[^\W_]")
_WORDS = re.compile(r"[^\W_]+")
_DIFFUSION = (
    (re.compile(r"(?<=\w) - (?=\w)"), "-"),
    (re.compile(r"(?<=\w) ?(['’]) ?(s|t|re|ll|ve|m|d)\b"), r"\1\2"),
    (re.compile(r"(?<![\w.])\d(?: \d)+(?: s\b)?"), None),
)


def extract_queries(split: SplitPrompt, config: RuleQueryConfig) -> dict[str, str]:
    """Cut queries out of a prompt: kind -> text, only the kinds for which a rule holds.

    split_prompt("a red fox sleeping in deep snow under the pines, oil painting, 8 k")
      ->  short     "a red fox"
          medium    "red fox sleeping in deep snow"
          long      "a red fox sleeping in deep snow under the pines, oil painting"
          concrete  "a red fox sleeping in deep snow under the pines"
    split_prompt("a lighthouse in a storm, existential dread, dark colors")
      ->  short     "lighthouse in a storm"
          medium    "a lighthouse in a storm, existential dread"
          abstract  "existential dread"
    split_prompt("a red fox")  ->  {}
    """
    if not split.caption:
        return {}
    caption = join_tokens(split.caption)
    marks = _natural_ends(caption)
    queries: dict[str, str] = {}
    seen: set[str] = set()

    def keep(kind: str, text: str | None) -> bool:
        if text is None or not _is_query(text, split.prompt) or _key(text) in seen:
            return False
        seen.add(_key(text))
        queries[kind] = text
        return True

    def longer_heads(words: Range, salt: str) -> list[str | None]:
        """Heads that say more than the queries so far; the whole caption is `concrete`'s first."""
        floor = max((count_words(_drop_article(q)) + 1 for q in queries.values()), default=0)
        whole = {_key(caption)} if _in_range(caption, config.concrete_words) else set()
        longer = [m for m in marks if count_words(m[0]) > floor]
        return [
            _head(longer, split.prompt, words, taken=taken, vary=salt)
            for taken in (seen | whole, seen)
        ]

    keep("short", _short(marks, split.prompt, config.short_words))
    other, any_head = longer_heads(config.medium_words, "medium")
    _ = keep("medium", other) or keep("medium", any_head)
    other, any_head = longer_heads(config.long_words, "")
    extended = _with_flavors(caption, split, config.long_words)
    _ = keep("long", other) or keep("long", extended) or keep("long", any_head)
    if _in_range(caption, config.concrete_words):
        keep("concrete", caption)
    keep("abstract", _abstract(split, config.abstract_words))
    return queries


def _key(text: str) -> str:
    """What makes two queries the same: the words without case, punctuation and articles."""
    return " ".join(w for w in _WORDS.findall(text.lower()) if w not in ARTICLES)


def join_tokens(text: str) -> str:
    """Close up what DiffusionDB's tokeniser pulled apart.

    "a close - up of the dog 's ears in 1 9 8 5"  ->  "a close-up of the dog's ears in 1985"
    """
    for pattern, joined in _DIFFUSION:
        text = pattern.sub(joined or (lambda m: m[0].replace(" ", "")), text)
    return text


def _is_query(text: str, prompt: str) -> bool:
    return (
        bool(content_words(text))
        and count_words(text) < count_words(prompt)
        and len(text) < len(prompt)
        and "\n" not in text
    )


def _in_range(text: str, words: Range) -> bool:
    return words[0] <= count_words(text) <= words[1]


def _coin(text: str, salt: str, sides: int = 2) -> int:
    """A choice that the same text always makes the same way."""
    return hashlib.blake2b(f"{salt}\0{text}".encode(), digest_size=4).digest()[0] % sides


def _bare(word: str) -> str:
    return word.lower().strip("\"'“”‘’.,:;!?()[]")


def _is_break(words: list[str], i: int, *, stops: bool) -> bool:
    """Tell whether a natural cut lies right before word i; `stops`: punctuation follows it."""
    word, before = words[i], words[i - 1]
    if word in PREPOSITIONS:
        return True
    if word in ("of", "&", "-", "+", "vs", "x"):
        return word != "of" and not (word == "&" and len(before) == 1)  # "d & d" is one name
    after = words[i + 1] if i + 1 < len(words) and not stops else ""
    if word in OTHER_BREAKS:
        return before not in ARTICLES
    if word.endswith("ed") and len(word) > 4 and after in PREPOSITIONS:
        return before not in ADJECTIVES
    if word.endswith("ing") and word not in NOT_VERBS and len(word) > 4:
        return before not in ADJECTIVES and after in AFTER_VERB
    # "delivers the ...", "eats a ...": a word before an article that is no preposition is a verb
    return (
        after in ARTICLES
        and word.endswith("s")
        and not word.endswith("ss")
        and before not in DETERMINERS
        and before not in BAD_ENDS
        and word != "of"
    )


def _is_end(words: list[str], i: int) -> bool:
    """Tell whether a head may end with word i - 1, the cut being natural."""
    last = words[i - 1]
    if last in BAD_ENDS or not _TOKEN.search(last) or last in OTHER_BREAKS:
        return False
    verbal = last.endswith("ed") or (last.endswith("ing") and last not in NOT_VERBS)
    if i < len(words) and words[i] in PREPOSITIONS and len(last) > 4 and verbal:
        return False
    if last.endswith("'s") or last in ADVERBS:
        return False
    dangling = last in ADJECTIVES or last.endswith(ADJECTIVE_ENDS)
    if (
        dangling
        and i < len(words)
        and (words[i] in ("and", "or", "of") or i == 1 or (i == 2 and words[0] in DETERMINERS))
    ):
        return False
    return not (i < len(words) and words[i] == "of")


def _is_surname(raw: list[str], i: int) -> bool:
    """Tell whether word i has a verb's ending but is a name: "Ryan Gosling in a boat".

    Not in "Numbers Flying in a race" or "the Earth Wanting to see": a first name is no plural and
    follows no article.
    """
    if not 0 < i < len(raw) - 1 or not raw[i].endswith(("ed", "ing")):
        return False
    if raw[i].lower() in OTHER_BREAKS or not (raw[i].istitle() and raw[i + 1].islower()):
        return False
    first, before = raw[i - 1], raw[i - 2].lower() if i > 1 else ""
    is_name = first.istitle() and first.isalpha() and not first.endswith("s")
    return is_name and not ARTICLES.intersection((first.lower(), before))


def _natural_ends(caption: str) -> list[tuple[str, bool]]:
    """List the caption's heads, shortest first: (text, whether it ends at a phrase).

    "a red fox in deep snow, two crows"
      ->  ("a red fox", False), ("a red fox in deep snow", True),
          ("a red fox in deep snow, two crows", True)
    """
    ends: list[tuple[str, bool]] = []
    raw = caption.split()[:40]
    bare = [_SURNAME if _is_surname(raw, i) else _bare(w) for i, w in enumerate(raw)]
    start = 0  # of the phrase the word stands in
    for i in range(1, len(raw) + 1):
        phrase_end = i == len(raw) or raw[i - 1].endswith(_STOPS)
        if i == len(raw) and len(caption.split()) > 40:
            break
        if not phrase_end and not (i > start and _is_break(bare, i, stops=raw[i].endswith(_STOPS))):
            continue
        scope = bare[start:i] if phrase_end else bare[start:]
        head = bare[start:i]
        if phrase_end and i < len(raw) and i - start > 1 and bare[i - 1] in ADJECTIVES:
            pass  # "a clear, starry night" has no end after "clear"
        elif _is_end(scope, i - start) and not _is_empty_head(head, start):
            text = " ".join(raw[:i])
            if '"' not in caption:
                text = tidy_phrase(text).rstrip("\"'“‘( ")
            ends.append((tidy_phrase(text), phrase_end))
        if phrase_end:
            start = i
    return [(text, whole) for text, whole in ends if _is_balanced(text)]


def _is_empty_head(words: list[str], start: int) -> bool:
    """ "a group" and "a close up" say nothing yet."""
    rest = [w for w in words if w not in ADJECTIVES and w not in DETERMINERS]
    if "of" in words and words[-1] not in BAD_ENDS and words[-1] != "of":
        return False
    if not rest:
        return words[-1] not in NOUN_ADJECTIVES
    return start == 0 and all(w in EMPTY_HEADS or w in BAD_ENDS for w in rest)


def _is_balanced(text: str) -> bool:
    return text.count('"') % 2 == 0 and text.count("(") == text.count(")") and bool(text)


def _drop_article(text: str) -> str:
    first, _, rest = text.partition(" ")
    return rest if first.lower() in ARTICLES and rest else text


def _vary_article(text: str, salt: str) -> str:
    return _drop_article(text) if _coin(text, salt) else text


def _short(marks: list[tuple[str, bool]], prompt: str, words: Range) -> str | None:
    """The main subject: the shortest head, or the longest in range (always so after one word)."""
    fits = [t for t, _ in marks if count_words(_drop_article(t)) <= words[1]]
    fits = [t for t in fits if "," not in t] or fits[:1]
    fits = [t for t in fits if _is_query(_drop_article(t), prompt) and _starts_well(t)]
    fits = [t for t in fits if " " in t or not t.endswith("ing")]
    if not fits:
        return _last_words(marks, prompt, words)
    longest = fits[-2] if len(fits) > 1 and _key(fits[-1]) == _key(prompt) else fits[-1]
    text = (
        longest if count_words(_drop_article(fits[0])) == 1 or _coin(prompt, "short") else fits[0]
    )
    bare = _drop_article(text)
    if not words[0] <= count_words(text) <= words[1] or not _is_query(text, prompt):
        text = bare
    elif count_words(bare) >= words[0]:
        text = _vary_article(text, "short article")
    return text if _in_range(text, words) else None


def _starts_well(text: str) -> bool:
    first = _bare(text.split()[0])
    return first not in PREPOSITIONS and first not in BAD_STARTS


def _last_words(marks: list[tuple[str, bool]], prompt: str, words: Range) -> str | None:
    """Cut a noun phrase that has no boundary: before "of", or its modifiers from the left.

    "a flowery old glowing mountain temple gate"  ->  "mountain temple gate"
    "a carved marble statue of a sea god"         ->  "carved marble statue"
    """
    if not marks or "," in marks[0][0]:
        return None
    head, of, _ = marks[0][0].partition(" of ")
    tokens = head.split()
    bare = [_bare(t) for t in tokens]
    if (
        of
        and bare[-1] not in EMPTY_HEADS
        and _in_range(_drop_article(head), words)
        and len(tokens) > 1
    ):
        return _drop_article(head) if _is_balanced(head) and _starts_well(head) else None
    if not 4 <= len(tokens) <= 9 or any(t in BAD_ENDS or t in OTHER_BREAKS for t in bare[1:]):
        return None
    styled = any(t in HEADS or t in EMPTY_HEADS for t in bare)
    if bare[0] not in ARTICLES and (styled or len(tokens) > 5):
        return None
    for size in (3, 2):
        text = tidy_phrase(" ".join(tokens[-size:]))
        if _in_range(text, words) and _is_query(text, prompt) and _is_balanced(text):
            return text
    return None


def _head(
    marks: list[tuple[str, bool]], prompt: str, words: Range, *, taken: set[str], vary: str
) -> str | None:
    """The longest head in range and not yet taken, one that ends a phrase first."""
    fits = [m for m in marks if _in_range(m[0], words) and _starts_well(m[0])]
    fits = [m for m in fits if _key(m[0]) not in taken and _is_query(m[0], prompt)]
    if not fits:
        return None
    whole = [text for text, phrase_end in fits if phrase_end]
    text = (whole or [text for text, _ in fits])[-1]
    varied = _vary_article(text, vary) if vary else text
    return varied if _in_range(varied, words) else text


def _with_flavors(caption: str, split: SplitPrompt, words: Range) -> str | None:
    """The caption and the first flavors as they stand, where the caption alone is too short."""
    text = caption
    start = split.prompt.find(split.caption[:12])
    for flavor in split.flavors[:4]:
        if split.prompt.find(flavor) < start:
            continue  # it stood before the caption: "portrait of X" is not "X, portrait"
        text = f"{text}, {join_tokens(flavor)}"
        if _in_range(text, words):
            return text
    return None


def _abstract(split: SplitPrompt, words: Range) -> str | None:
    """An idea or feeling that the prompt itself names, with the adjective before it.

    "a city in ruins, cosmic horror, 8k"  ->  "cosmic horror"
    "the loss of innocence, oil"          ->  "loss of innocence"
    "a cat in a hat"                      ->  None
    """
    for phrase in split.caption.split(", ") + list(split.flavors):
        raw = join_tokens(phrase).split()
        if len(raw) > 40:
            continue
        bare = [_bare(w) for w in raw]
        for i, word in enumerate(bare):
            span = None
            if word in ABSTRACT or word in THEME_HEADS:
                span = _abstract_span(bare, i)
            elif len(bare) == 1 and word in THEME_ALONE:
                span = (0, 1)
            if span is not None:
                text = tidy_phrase(" ".join(raw[span[0] : span[1]]))
                if _in_range(text, words) and _is_balanced(text):
                    return text
    return None


def _abstract_span(bare: list[str], i: int) -> Range | None:
    word = bare[i]
    after = bare[i + 1] if i + 1 < len(bare) else ""
    if after == "of" and i + 2 < len(bare) and word in ABSTRACT:
        j = i + 3 if bare[i + 2] in ARTICLES and i + 3 < len(bare) else i + 2
        if bare[j] in ABSTRACT and (j + 1 == len(bare) or _is_break(bare, j + 1, stops=False)):
            return (i, j + 1)
    if after and after not in PREPOSITIONS and after not in ("and", "or", "but", "is"):
        return None
    before = bare[i - 1] if i else ""
    modifier = before.split("-")[0] in THEME_ADJECTIVES or before in THEME_ADJECTIVES
    if modifier and before:
        return (i - 1, i + 1)
    if len(bare) == 1 and word not in NOT_ALONE and word not in THEME_HEADS:
        return (i, i + 1)
    if word in WEAK_ABSTRACT or word in THEME_HEADS:
        return None
    alone = i == 0 or before in PREPOSITIONS or before in ("of", "and", "the")
    return (i, i + 1) if alone else None
