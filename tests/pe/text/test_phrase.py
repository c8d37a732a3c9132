"""What a phrase looks like once it is tidy, and in the form of the tables."""

from pe.text import flavors
from pe.text.phrase import normalize_phrase, repeats_phrase, tidy_phrase


def test_phrases_are_normalized_to_the_form_of_the_tables():
    rows = {" Award - winning": "award winning", "an 8 k photo.": "8k photo", "1 9 8 0 s": "1980s"}
    assert {phrase: normalize_phrase(phrase) for phrase in rows} == rows
    every = [phrase for table in flavors.CATEGORIES.values() for phrase in table]
    assert [p for p in every if normalize_phrase(p) != p] == []


def test_quotes_are_stripped_only_where_they_enclose_everything():
    rows = {" - a red fox. ": "a red fox", '"hello" sign': '"hello" sign', '"a fox': "a fox"}
    assert {text: tidy_phrase(text) for text in rows} == rows


def test_a_phrase_that_is_said_twice_is_seen_whatever_its_case_and_marks():
    rows = {"a fox, ink, snow, Ink.": True, "a fox, ink, snow": False, "a fox, ink ink": False,
            "a fox,, ink, ": False, "": False}  # fmt: skip
    assert {text: repeats_phrase(text) for text in rows} == rows
