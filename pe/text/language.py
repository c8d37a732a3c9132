"""The language of a prompt, as a tag; English is presumed: prompts are lists of names and nouns.

py3langid, a naive Bayes model over bytes, is asked only where no English function word stands, and
only among LANGUAGES; another language than English has to be MARGIN nats more likely.
"""

import functools
import re
from collections.abc import Callable

LANGUAGES = (
    "ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi",
    "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "no", "nl", "pl", "pt", "ro", "ru", "sk", "sl",
    "sr", "sv", "ta", "th", "tr", "uk", "ur", "vi", "zh",
)  # fmt: skip
MARGIN = 12.0
UNKNOWN = "und"  # BCP 47's tag for what is not determined
_ENGLISH = frozenset((
    "the", "of", "with", "and", "from", "by", "his", "her", "their", "is", "are", "wearing",
    "standing", "sitting", "made", "while", "very", "this", "that", "which", "being", "into",
    "through", "highly", "detailed",
))  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")


def tag_language(text: str) -> str:
    """Return the two letters of a text's language (ISO 639-1), "und" where it has no word.

    "a red fox of the snow"          ->  "en"
    "un perro saltando en la playa"  ->  "es"
    "1 9 6 9"                        ->  "und"
    """
    words = _WORD.findall(text.lower())
    if not any(len(word) > 1 or not word.isascii() for word in words):
        return UNKNOWN
    if text.isascii() and not _ENGLISH.isdisjoint(words):
        return "en"
    scores = dict(_rank()(text))
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] - scores.get("en", scores[best]) > MARGIN else "en"


@functools.cache
def _rank() -> Callable[[str], list[tuple[str, float]]]:
    """Return what ranks LANGUAGES for a text, by log-probabilities that are not normalised."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(LANGUAGES)
    return identifier.rank
