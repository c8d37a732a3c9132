"""Texts that hide their words: full width, spaced out, zero-width marks, digits and look-alikes."""

import re
import unicodedata

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e007f]"
)
_SPACED = re.compile(r"(?<![^\W_])(?:[a-z][ ._*\-]){3,}[a-z](?![^\W_])", re.I)
_SPACERS = re.compile(r"[ ._*\-]")
_LEET = str.maketrans("013457@$", "oieastas")
_LEET_WORD = re.compile(r"\b(?=\w*[a-z])(?=[\w@$]*[013457@$])[a-z013457@$]{4,}(?!\w)", re.I)
# Cyrillic and Greek letters that look like Latin ones.
_LOOK_ALIKE = str.maketrans(
    "аеорсухіјѕԁһԛԝАВЕКМНОРСТХІЈЅαεικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijsdhqwABEKMHOPCTXIJSaeiknoptuxABEZHIKMNOPTYX",
)


def unmask(text: str) -> str:
    """Bring a text to plain letters, so that its words can be read.

    "Ｉgnоre"           ->  "Ignore"   (full width, a Cyrillic o)
    "i g n o r e all"  ->  "ignore all"
    "1gn0re"           ->  "ignore"
    """
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))
    if not text.isascii():
        text = _latin_words(text)
    text = _SPACED.sub(lambda m: _SPACERS.sub("", m[0]), text)
    return _LEET_WORD.sub(lambda m: m[0].translate(_LEET), text)


def _latin_words(text: str) -> str:
    """Replace look-alikes in words that hold Latin letters too; other scripts stay."""
    words = re.split(r"(\s+)", text)
    return "".join(
        word.translate(_LOOK_ALIKE) if re.search("[A-Za-z]", word) and not word.isascii() else word
        for word in words
    )
