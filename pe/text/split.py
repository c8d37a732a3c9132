"""Split a person's prompt into what is shown, how it is shown, and switches meant for the program.

Rules over phrases (`phrase.py`) and tables (`flavors.py`), once switches and weights are out
(`markup.py`); no model, no list of artists, English only. It knows no grammar: "by Someone" is an
artist when no word of the name is an ordinary one. Leading media ("oil painting of X", and also
"portrait of X", "close-up of X") are flavors; "statue of X" and "logo of X" are content. Every scan
is linear in the text.
"""

import dataclasses
import re

from pe.text import flavors as tables
from pe.text.markup import clean_prompt
from pe.text.phrase import LOOSE_MARKS, WORD_CHARACTER, normalize_phrase, tidy_phrase
from pe.text.words import STOP_WORDS, content_words


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitPrompt:
    """A cleaned prompt and its parts.

    `prompt` is the person's own text without switches; `parameters` are those, as they stood;
    `num_weights` counts attention weights, emphasis brackets and "::" weights that were unwrapped.
    """

    prompt: str
    caption: str
    flavors: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    num_weights: int = 0


_NAME_PARTICLES = tables.word_set("""
    van von der den de da di del della la le du dos el al st saint jr and artist artists painter
    photographer studio studios illustrator
    """)
_DETERMINERS = tables.word_set("a an the his her their its my your our this that these those some")
_FLAVOR_PHRASES = frozenset(p for table in tables.CATEGORIES.values() for p in table)
_ALONE = frozenset(p for p in _FLAVOR_PHRASES if " " not in p)
_MOOD_WORDS = frozenset(tables.MOOD)
_END_PHRASES = _FLAVOR_PHRASES - _MOOD_WORDS - tables.END_AMBIGUOUS
_KNOWN = _ALONE | tables.MODIFIERS | tables.HEADS
_LEAD_KNOWN = (
    _KNOWN
    | tables.LEAD_WORDS
    | frozenset(
        word
        for table in (tables.MEDIUM, tables.CAMERA, tables.COMPOSITION)
        for p in table
        for word in p.split()
    )
)
_ENDING_NOUNS = tables.word_set("king ring wing building evening morning string spring thing being")

PHRASE_BREAK = re.compile(
    r"(?<!\d),|,(?! ?\d ?\d ?\d(?! ?\w))|[|;，、。]"
    r"|(?<!\b[a-zA-Z])(?<!\b[dDmMsS][rRtT])(?<!\b[vV]s)(?<!\b[mM]rs)[.!?]+(?: (?!\d)|$)"
)

_IN_STYLE_OF = re.compile(
    r"\b(?:(?:in|with) (?:the |a )?(?:\S+ ){0,2}styles? of|in the manner of|inspired by)\b", re.I
)
_END_TRENDING = re.compile(r"\b(?:trending|featured) (?:on|in|at) ", re.I)
_END_IN_STYLE = re.compile(r"\bin (?:a |an |the )?(?:[^\s,]+ ){1,3}(?:art )?style$", re.I)
_AUTHORED = re.compile(
    r"\b(?:(?:drawn|painted|illustrated|photographed|directed|designed|art|artwork|painting"
    r"|photo|photograph"
    r"|photography|illustration|drawing|portrait|sketch|style|concept) )?by (?=\S)",
    re.I,
)
_SUFFIXES = tuple(
    tables.word_set("""
    ing ed ly ness tion ment ous ful less able ism ity ive ical ish ies ance punk like esque ship
    wear
    """)
)
_BY = re.compile(r"\b(?:by|styles? of) ", re.I)
_LEAD_VERB = re.compile(
    r"(?:please )?(?:create|generate|draw|make|paint|design|render|produce|imagine|this is|show"
    r"|give me)"
    r" (?:me )?(?=an? |the )",
    re.I,
)
_LEAD_LINKS = tables.word_set("of depicting showing featuring")
_LOOSE_ENDS = tables.word_set("and & - by in a with art")  # left over before a flavor at the end


def is_flavor(phrase: str) -> bool:
    """Tell whether a phrase that stands alone changes the style and not the content.

    "8 k"                       ->  True
    "soft cinematic lighting"   ->  True
    "art by Mira Voss"          ->  True
    "by the lake"               ->  False
    "a dark forest"             ->  False
    """
    text = normalize_phrase(phrase)
    if not text or len(text) > 160:
        return False
    if text in _FLAVOR_PHRASES:
        return True
    return _is_built_flavor(text.split()) or _is_pattern_flavor(text)


def _is_built_flavor(words: list[str]) -> bool:
    """Tell whether these are table words only, a flavor among them or its head at the end."""
    if (
        not words
        or len(words) > 8
        or not all(
            w in _KNOWN
            or w in ("and", "of", "in", "with", "&")
            or (w[0].isdigit() and tables.NUMBER.fullmatch(w))
            for w in words
        )
    ):
        return False
    first = words[0]
    if first in ("in", "with", "of") and (len(words) == 1 or words[-1] in _DETERMINERS):
        return False
    if words[-1] in ("and", "of", "in", "with"):
        return False
    return any(w in _ALONE for w in words) or (len(words) > 1 and words[-1] in tables.HEADS)


def _is_pattern_flavor(text: str) -> bool:
    if text.startswith("by "):
        return is_name_list(text[3:])
    head, by, name = text.partition(" by ")
    if by and is_name_list(name) and (head in _KNOWN or _is_built_flavor(head.split())):
        return True
    if (match := tables.STYLE.fullmatch(text)) and not tables.NOT_STYLE.intersection(
        match[1].split()
    ):
        return True
    return tables.PATTERN.fullmatch(text) is not None


def is_name_list(text: str, *, strict: bool = False) -> bool:
    """Tell whether a text reads as one or more names and nothing else.

    `strict` is for a text without "by" before it: no ordinary ending ("ing", "ous") in any word.

    "mira voss and j. k. tarrow"  ->  True
    "lena stone"                  ->  True
    "the sea"                     ->  False
    "moonlight"                   ->  False
    """
    words = [w.strip("()[]\"'“”.,:!?") for w in text.lower().split()]
    words = [w for w in words if w and w != "&"]
    if not 0 < len(words) <= 24 or words[0] in _DETERMINERS or set(words) <= _NAME_PARTICLES:
        return False
    after_name = False
    for word in words:
        if word in _NAME_PARTICLES:
            after_name = False
        elif _is_name_word(word) or (
            after_name
            and (word in tables.SURNAME_WORDS or (not strict and _has_ordinary_ending(word)))
        ):
            after_name = True
        else:
            return False
    return True


def _has_ordinary_ending(word: str) -> bool:
    return (
        word.endswith(_SUFFIXES)
        and len(word) > 4
        and word not in tables.COMMON
        and word not in _KNOWN
    )


def _is_name_word(word: str) -> bool:
    if len(word) == 1 and word.isalpha() and word != "a":
        return True
    if word in tables.COMMON or word in STOP_WORDS or word in _KNOWN or word in _FLAVOR_PHRASES:
        return False
    if word.isdigit() or (word.endswith(_SUFFIXES) and len(word) > 5):
        return False
    return word[:-1] not in tables.COMMON if word.endswith("s") else True


def split_prompt(text: str) -> SplitPrompt:
    """Split a prompt into caption, flavors and parameters.

    prompt, caption, flavors:
    "a red fox in snow, oil painting, 8 k --ar 3:2"  ->  "a red fox in snow", oil painting, 8 k
    "a heron in a pond realistic cinematic"          ->  "a heron in a pond", realistic, cinematic
    "pencil sketch of two kings, with red hats"      ->  "two kings, with red hats", pencil sketch
    "a mill by mira voss, tom harrel, fog"           ->  "a mill, fog", by mira voss, tom harrel
    "highly detailed, 4k"                            ->  "highly detailed", 4k
    """
    prompt, parameters, num_weights = clean_prompt(text)
    content: list[str] = []
    found: list[str] = []
    after_name = seen_name = False
    phrases = [
        p for raw in PHRASE_BREAK.split(prompt) if WORD_CHARACTER.search(p := tidy_phrase(raw))
    ]
    for i, phrase in enumerate(phrases):
        known = is_flavor(phrase)
        # three bare names in a row are artists
        if not known and content and found and not seen_name:
            after_name = seen_name = i + 2 < len(phrases) and all(
                _continues_names(p, False) for p in phrases[i : i + 3]
            )
        if known or (seen_name and content and _continues_names(phrase, after_name)):
            found.append(phrase)
            after_name = not known or _BY.search(phrase) is not None
            seen_name = seen_name or after_name
            continue
        caption, lead, tail = _peel(phrase)
        found += lead
        content.append(caption)
        found += tail
        after_name = bool(tail) and _BY.search(tail[-1]) is not None
        seen_name = seen_name or after_name
    if not content and found:  # a prompt that is style only is about its first phrase
        content.append(found.pop(0))
    return SplitPrompt(
        prompt=prompt,
        caption=", ".join(content),
        flavors=tuple(found),
        parameters=parameters,
        num_weights=num_weights,
    )


def _continues_names(phrase: str, after_name: bool) -> bool:
    """A list of artists goes on: "by mira voss, tom harrel and lia b. orme"."""
    text = phrase.lower().removeprefix("and ")
    if len(text) > 80 or not is_name_list(text, strict=True):
        return False
    names = [piece.split() for piece in text.replace("&", " and ").split(" and ")]
    names = [name for name in names if name]
    if max(map(len, names)) > 4:
        return False
    shortest = min(map(len, names))
    if after_name:
        return shortest >= 2 or not text.endswith(("s", "ary"))
    return shortest >= 2 and not text.endswith("s")


def _peel(phrase: str) -> tuple[str, list[str], list[str]]:
    """Take flavors off both ends of a content phrase: (content, leading, trailing)."""
    words = phrase.split()
    lead: list[str] = []
    if (match := _LEAD_VERB.match(phrase)) is not None:
        words = phrase[match.end() :].split()
    stop = _lead_length(words)
    if stop:
        media = words[: stop - 1]
        while len(media) > 1 and media[0].lower() in ("a", "an", "the"):
            media = media[1:]
        lead.append(tidy_phrase(" ".join(media)))
        words = words[stop:]
    elif match is not None:
        words = phrase.split()
    tail: list[str] = []
    for _ in range(12):
        cut = _tail_start(words)
        if cut == 0 or not _has_content(words[:cut]):
            break
        tail[:0] = _list_flavors(words[cut:])
        words = words[:cut]
        while len(words) > 1 and words[-1].lower() in _LOOSE_ENDS:
            words = words[:-1]
    content = tidy_phrase(" ".join(words))
    return content, [f for f in lead if f], [f for f in tail if f]


def _list_flavors(words: list[str]) -> list[str]:
    """Take a run of table phrases apart, longest first; one of anything else stays whole.

    "realistic highly detailed octane render"  ->  realistic, highly detailed, octane render
    "dark cinematic style"                     ->  dark cinematic style
    """
    whole = tidy_phrase(" ".join(words))
    if normalize_phrase(whole) in _FLAVOR_PHRASES:
        return [whole]
    parts: list[str] = []
    start = 0
    while start < len(words):
        for stop in range(len(words), start, -1):
            part = tidy_phrase(" ".join(words[start:stop]))
            if (
                normalize_phrase(part) in _END_PHRASES
                and normalize_phrase(part) not in tables.HEADS
            ):
                parts.append(part)
                start = stop
                break
        else:
            return [whole]
    return parts


def _has_content(words: list[str]) -> bool:
    return any(c not in _KNOWN for c in content_words(" ".join(words)))


def _lead_length(words: list[str]) -> int:
    """Count the words of "a detailed oil painting of"; 0 where no medium opens the phrase."""
    for i, word in enumerate(words[:16]):
        low = word.lower()
        if low in _LEAD_LINKS and i + 1 < len(words):
            media = normalize_phrase(" ".join(words[:i])).split()
            if not media or media[-1] not in tables.LEAD_HEADS:
                return 0
            by = media.index("by") if "by" in media else len(media)
            unknown = [w for w in media if w not in _LEAD_KNOWN and not w[:1].isdigit()]
            if len(unknown) > 2 or len(media) > 14 or by < len(media) or "'" in "".join(unknown):
                return 0
            return 0 if any(w in tables.COMMON or w in STOP_WORDS for w in unknown) else i + 1
    return 0


def _tail_start(words: list[str]) -> int:
    """Index where the last flavor of a phrase begins, 0 where it ends in content."""
    size = len(words)
    window = max(1, size - 14)
    tail = " ".join(words[window:])
    for pattern in (_IN_STYLE_OF, _END_TRENDING, _END_IN_STYLE):
        if (match := pattern.search(tail)) is not None:
            return window + tail[: match.start()].count(" ")
    for match in _AUTHORED.finditer(tail):
        before = words[window + tail[: match.start()].count(" ") - 1].lower()
        if is_name_list(tail[match.end() :]) and (
            match[0].lower() != "by "
            or (not before.endswith(("ed", "en", "wn")) and before not in ("made", "lit"))
        ):
            return window + tail[: match.start()].count(" ")
    for start in range(max(1, size - 7), size):
        if _is_tail_flavor(words, start):
            return start if _may_follow(words[start - 1]) or words[start].lower() in _JOINS else 0
    return 0


def _may_follow(before: str) -> bool:
    """Tell whether a flavor may start after this word: not after "the" or "holding"."""
    before = before.lower().strip(LOOSE_MARKS)
    if before in STOP_WORDS or before in ("something", "someone"):
        return False
    return not before.endswith("ing") or before in _ENDING_NOUNS


def _is_tail_flavor(words: list[str], start: int) -> bool:
    first = words[start].lower()
    text = normalize_phrase(" ".join(words[start:]))
    parts = text.split()
    if first in _JOINS:
        rest = " ".join(parts[1:])
        if len(parts) > 2 and parts[-1] in _JOINED_HEADS and _is_built_flavor(parts[1:]):
            return True
        return first == "in" and rest in _IN_PHRASES
    if first in ("a", "an", "the", "and", "of", "&"):
        return False
    if text in _END_PHRASES:
        return True
    if len(parts) == 1:
        return tables.NUMBER.fullmatch(text) is not None or _MILLIMETRES.fullmatch(text) is not None
    if text in _FLAVOR_PHRASES:
        return text not in _MOOD_WORDS
    return _is_built_flavor(parts) and any(p in _END_PHRASES for p in parts)


_JOINS = ("in", "with")
_JOINED_HEADS = tables.word_set("""
    light lighting shading detail details colors colours tones hues shadows contrast quality
    """)
_IN_PHRASES = (_END_PHRASES | frozenset(tables.MEDIUM + tables.MOVEMENT)) - _MOOD_WORDS
_MILLIMETRES = re.compile(r"\d{2,3}mm")
