"""Phrases: the pieces between a prompt's commas, stripped of loose marks and brought to one form.

Knows nothing about what a phrase says.
"""

import re
import unicodedata

WORD_CHARACTER = re.compile(r"[^\W_]")
LOOSE_MARKS = " *.,:;|/\\<>-–—=~+!?`"
_PAIRS = {'"': '"', "“": "”", "'": "'", "‘": "’"}
_DIGITS = re.compile(r"(?<![\w.])\d(?: \d)+(?: ?s\b)?|\b\d+ (?=(?:k|d|mm|px|p|mp)\b)")
_NOT_WORD = re.compile(r"[\W_]+")
_SPACES = re.compile(r"\s+")
_HYPHENS = re.compile(r" ?[-‐–_] ?")


def normalize_phrase(phrase: str) -> str:
    """Lower a phrase to the form the tables use.

    " Award - winning"   ->  "award winning"
    "an 8 k photo."      ->  "8k photo"
    "1 9 8 0 s"          ->  "1980s"
    """
    text = phrase.strip(LOOSE_MARKS).lower().replace("’", "'")
    if any(c.isdigit() for c in text):
        text = _DIGITS.sub(lambda m: m[0].replace(" ", ""), text)
    text = " ".join(_HYPHENS.sub(" ", text).split())
    while True:
        first, _, rest = text.partition(" ")
        if first not in ("a", "an", "the", "and", "&") or not rest:
            return text
        text = rest


def tidy_phrase(phrase: str) -> str:
    """Strip loose punctuation; quotes only where they enclose all of it or have lost their partner.

    " - a red fox. "   ->  "a red fox"
    '"hello" sign'     ->  '"hello" sign'
    """
    phrase = phrase.strip(LOOSE_MARKS)
    for _ in range(2):
        if phrase[:1] in _PAIRS:
            mark = _PAIRS[phrase[0]]
            if phrase.endswith(mark) and len(phrase) > 1 and mark not in phrase[1:-1]:
                phrase = phrase[1:-1].strip(LOOSE_MARKS)
            elif mark not in phrase[1:]:
                phrase = phrase[1:].strip(LOOSE_MARKS)
        if phrase[:1] == "(" and phrase.endswith(")") and "(" not in phrase[1:]:
            phrase = phrase[1:-1].strip(LOOSE_MARKS)
        if (
            phrase.endswith(('"', "”", "’", "'"))
            and phrase.count(phrase[-1]) == 1
            and "“" not in phrase
        ):
            phrase = phrase[:-1].strip(LOOSE_MARKS)
    return phrase


def comparison_key(text: str) -> str:
    """Reduce a text to what counts for being the same: "A  Cat, (4K)!" -> "a cat 4k"."""
    lowered = text.lower()
    if lowered.isascii():
        return _NOT_WORD.sub(" ", lowered).strip() or text
    # marks are vowels in many scripts, and no word characters to `re`
    kept = (c if unicodedata.category(c)[0] in "LMN" else " " for c in lowered)
    return _SPACES.sub(" ", "".join(kept)).strip() or text


def repeats_phrase(text: str) -> bool:
    """Tell whether two pieces between commas are the same: "a fox, ink, snow, Ink." -> True."""
    phrases = [comparison_key(phrase) for phrase in text.split(",") if phrase.strip()]
    return len(set(phrases)) < len(phrases)
