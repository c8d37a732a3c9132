"""Words of a text: how many there are, and which of them carry content (English)."""

import re

from pe.text import flavors as tables
from pe.text.phrase import WORD_CHARACTER

STOP_WORDS = tables.word_set("""
    a an the and or but nor so of in on at by for to from with without into onto over under above
    below behind between through near as is are was were be been being am do does did has have had
    having it its he she they them his her their him i me my we our us you your this that these
    those there here which who whom whose what when where while than then if not no up down out
    off very some any each s t also just like about
    """)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def count_words(text: str) -> int:
    """Count whitespace words that hold a letter or a digit.

    "a close - up , 8 k"  ->  5
    """
    return sum(1 for word in text.split() if WORD_CHARACTER.search(word))


def content_words(text: str) -> tuple[str, ...]:
    """List the lower-cased words that carry content, in order, repeats kept.

    "The Cat and the cat's hat, in 1999"  ->  ("cat", "cat's", "hat", "1999")
    """
    words = (w.replace("’", "'") for w in _WORD.findall(text.lower()))
    return tuple(w for w in words if w not in STOP_WORDS)
