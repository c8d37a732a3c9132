"""Scores of texts: what of the query an expansion keeps, and how much expansions differ."""

from collections.abc import Sequence

from pe.text.phrase import comparison_key
from pe.text.words import content_words


def content_recall(query: str, text: str) -> tuple[int, int]:
    """Count the query's content words that stand in the text: (found, asked), to be divided later.

    Example:
      query           text                     returns
      a red fox       red fox in snow, ink     (2, 2)
      lonely dragons  a dragon under the moon  (0, 2)
    """
    asked = set(content_words(query))
    return len(asked & set(content_words(text))), len(asked)


def count_distinct(texts: Sequence[str]) -> int:
    """Count texts that differ by more than case, spaces and punctuation."""
    return len({comparison_key(text) for text in texts})
