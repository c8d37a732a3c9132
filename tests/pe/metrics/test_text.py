"""What an expansion keeps of its query, and how much expansions differ."""

import pytest

from pe.metrics.text import content_recall, count_distinct


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("a red fox", "red fox in snow, ink", (2, 2)),
        ("lonely dragons", "a dragon under the moon", (0, 2)),
        ("Red RED fox", "a FOX", (1, 2)),
        ("the of a", "anything", (0, 0)),
        ("", "anything", (0, 0)),
        ("fox", "", (0, 1)),
        ("fox", "foxes, foxglove", (0, 1)),
    ],
)
def test_recall_counts_content_words_of_the_query(query, text, expected):
    assert content_recall(query, text) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], 0),
        (["a fox", "A  Fox ", "a fox"], 1),
        (["a fox", "a fox.", "the fox"], 2),
    ],
)
def test_texts_differ_by_more_than_case_spaces_and_punctuation(texts, expected):
    assert count_distinct(texts) == expected
