"""Texts cut to a number of tokens, at the end of a phrase."""

import json
import re
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from pe.decode.budget import (
    drop_unfinished,
    ends_at_phrase,
    find_phrase_ends,
    fit_to_budget,
    split_phrases,
)
from pe.decode.target_tokenizer import load_target

DATA = Path(__file__).parents[3] / "../shared/data"
PROMPTS = DATA / "prompts/image_prompts.jsonl"
LONG = " ".join(["word"] * 70)


def count_marks(text):
    """Count words and marks."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def count_down(text):
    """Count characters, and less where there is a "z": a longer text may then count less."""
    return len(text) - 8 * text.count("z")


@pytest.mark.parametrize(
    ("text", "budget", "expected", "whole_phrases"),
    [
        ("a red fox, oil on canvas, 8k", 9, "a red fox, oil on canvas, 8k", True),
        ("a red fox, oil on canvas, 8k", 8, "a red fox, oil on canvas", True),
        ("a red fox, oil on canvas, 8k", 6, "a red fox", True),
        ("a fox, (red, soft:1.2), 8k", 10, "a fox", True),
        ("a red fox with a hat", 5, "a red fox", False),
        ("antidisestablishment", 0, "", False),
        ("of the", 1, "", False),
        ("", 0, "", True),
        # a separator is no part of what is left, and neither are the spaces before it
        ("a fox , ink", 3, "a fox", True),
        ("a fox, ink,", 4, "a fox, ink", True),
        (", , a fox, ink", 4, ", , a fox", True),
        # each kind of phrase end
        ("a fox. It sleeps; in snow", 4, "a fox", True),
        ("a fox. It sleeps; in snow", 5, "a fox. It sleeps", True),
        ("a fox | in snow | ink", 6, "a fox | in snow", True),
        ("a fox\nin snow\nink", 4, "a fox\nin snow", True),
        ("a room :: isometric view", 4, "a room", True),
        ("poppies::13, sky", 5, "poppies::13", True),
        ("一只狐狸，水墨", 2, "一只狐狸", True),
        # no phrase ends: numbers, initials, tags, weights, quotes, brackets
        ("1,000 foxes at f 1.8 , ink", 7, "1,000 foxes at f", False),
        ("by J. K. Tarrow, ink", 4, "by J.", False),
        ("ink, a sign <lora:a, b:0.8> at night", 8, "ink", True),
        ('ink, a sign that says "no, no" at night', 9, "ink", True),
        ("ink, a “no, no” sign", 7, "ink", True),
        ("ink, [a, (b, c)], d", 10, "ink", True),
        ("ink, [a, (b, c)], d", 11, "ink, [a, (b, c)]", True),
        # what is never closed, or closed only, or a face, holds nothing together
        ("ink (a, b, c", 4, "ink (a", True),
        ("ink a), b, c", 5, "ink a), b", True),
        ("a :( face, b) c, d", 8, "a :( face, b) c", True),
        ('a 12" disk, b, 3" pin', 5, 'a 12" disk', True),
        # a pair about all of the text, or a very long one, is running text
        ("(a fox, ink, 8k:1.2)", 5, "(a fox, ink", True),
        ('"a fox, ink, 8k."', 5, '"a fox, ink', True),
        (f"(a fox, {LONG}), ink", 5, "(a fox", True),
        # words: not inside a bracket or quote if anything stands before it, never inside a tag
        ("a fox (at rest in snow) and more", 5, "a fox", False),
        ('"hello there my" sign', 3, '"hello there', False),
        ("a fox <lora: x y z:1> and more", 6, "a fox", False),
        ("<lora: x y z:1> and more", 4, "", False),
        ("a fox in the style of old masters", 6, "a fox", False),
        ("a fox by the sea and a very long", 7, "a fox by the sea", False),
        ('a sign " that says', 3, "a sign", False),
    ],
)
def test_the_longest_run_of_whole_phrases_stays(text, budget, expected, whole_phrases):
    fitted = fit_to_budget(text, count_marks, budget)
    assert fitted.text == expected
    assert fitted.whole_phrases == whole_phrases
    assert fitted.num_tokens == count_marks(expected)
    assert fitted.cut == (text != expected)


def test_what_a_person_typed_is_never_cut():
    text = "a red fox in the snow with a hat, ink"
    protected = "a red fox in the"
    rows = {
        10: "a red fox in the snow with a hat",
        7: "a red fox in the snow",
        6: None,
        5: protected,
    }
    for budget, expected in rows.items():
        fitted = fit_to_budget(text, count_marks, budget, protected=protected)
        assert fitted.text == (expected or "a red fox in the snow")
    assert fit_to_budget("a fox, ink", count_marks, 3, protected="a fox,").whole_phrases
    with pytest.raises(ValueError, match="got a text of 5 tokens, and the budget is 4"):
        fit_to_budget(text, count_marks, 4, protected=protected)
    with pytest.raises(ValueError, match="expected what the text starts with"):
        fit_to_budget(text, count_marks, 9, protected="a blue fox")


def test_a_budget_below_the_special_tokens_is_refused():
    with pytest.raises(ValueError, match="got 1 tokens, expected 2 or more"):
        fit_to_budget("a fox", lambda text: 2 + len(text.split()), 1)
    assert fit_to_budget("a fox", lambda text: 2 + len(text.split()), 2).text == ""


def test_a_longer_text_that_counts_less_is_found():
    text = "aa, bbbb, z, c, dddddddd"
    assert [count_down(text[:end]) for end in find_phrase_ends(text)] == [2, 8, 3, 6, 16]
    rows = {2: "aa", 3: "aa, bbbb, z", 5: "aa, bbbb, z", 6: "aa, bbbb, z, c", 15: "aa, bbbb, z, c"}
    for budget, expected in rows.items():
        assert fit_to_budget(text, count_down, budget).text == expected


def test_phrases_are_what_stands_between_their_ends():
    text = "a fox , (red, soft:1.2); 8k"
    assert find_phrase_ends(text) == [5, 23, 27]
    assert split_phrases(text) == ["a fox", "(red, soft:1.2)", "8k"]
    assert (find_phrase_ends(""), split_phrases("")) == ([], [])
    assert (find_phrase_ends(" ,; "), split_phrases(" ,; ")) == ([3], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red fox, in snow", True),
        ("a red fox", True),
        ("a red fox,", True),
        ("a red fox, ", True),
        ("a red", False),
        ("a red fo", False),
        ("a red fox, in", False),
        ("a blue fox", False),
        ("", False),
    ],
)
def test_a_text_that_stops_where_a_phrase_does_is_told_from_others(text, expected):
    assert ends_at_phrase(text, "a red fox, in snow") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a boat, oil on canvas, dramati", "a boat, oil on canvas"),
        ("a small red boat on a l", "a small red boat on a"),
        ("boat", "boat"),
        ("", ""),
        (  # ends too early to cut there
            "a boat, oil on canvas and a great deal of it in gol",
            "a boat, oil on canvas and a great deal of it in",
        ),
        ("35.5 mm photo of a bo", "35.5 mm photo of a"),
        ("a photo at night, 35.", "a photo at night"),
        ("a boat at sea, 1,", "a boat at sea"),
        ("a boat at sea, oil on canvas.", "a boat at sea, oil on canvas"),
        ("a boat at sea, (golden hour, so", "a boat at sea"),
        ("a boat at sea, “no, n", "a boat at sea"),
        ('a boat at sea, "no, n', "a boat at sea"),
        ('a 12" boat, at sea, gol', 'a 12" boat, at sea'),
    ],
)
def test_a_text_that_ran_out_is_cut_at_its_last_phrase_or_word(text, expected):
    assert drop_unfinished(text) == expected


pieces = st.sampled_from([
    "a", "fox", "in", "the", "style", "of", "8k", "1,000", "35.5", "Dr", "red", "with", "by",
    ",", ", ", ". ", ".", "; ", " | ", "\n", "! ", "::", "::2", " ", "  ", "(", ")", "[", "]",
    '"', "“", "”", "<lora:x:1>", "<", ">", ":1.2)", ":(", "雪", "，", "🍈", "'s", "—",
])  # fmt: skip
texts = st.lists(pieces, max_size=40).flatmap(
    lambda parts: st.sampled_from(["".join(parts), " ".join(parts)])
)
quiet = hypothesis.settings(
    derandomize=True,
    deadline=None,
    max_examples=300,
)


@quiet
@hypothesis.given(text=texts, budget=st.integers(0, 40))
def test_what_is_left_fits_starts_the_text_and_stays_as_it_is(text, budget):
    fitted = fit_to_budget(text, count_marks, budget)
    assert fitted.num_tokens == count_marks(fitted.text) <= budget
    assert text.startswith(fitted.text)
    assert fitted.cut == (fitted.text != text)
    assert fit_to_budget(fitted.text, count_marks, budget).text == fitted.text
    if fitted.whole_phrases:
        assert ends_at_phrase(fitted.text, text) or not text.strip()
    else:
        assert all(count_marks(text[:end]) > budget for end in find_phrase_ends(text))
        assert not fitted.text or text[len(fitted.text)] in ' \n,;:|，(<["“—'


@quiet
@hypothesis.given(text=texts, budget=st.integers(0, 40))
def test_no_longer_run_of_phrases_would_fit(text, budget):
    fitted = fit_to_budget(text, count_marks, budget)
    fitting = [end for end in find_phrase_ends(text) if count_marks(text[:end]) <= budget]
    if fitted.cut and fitting:
        assert fitted.text == text[: max(fitting)]


@quiet
@hypothesis.given(text=texts)
def test_an_unfinished_text_loses_its_end_only(text):
    kept = drop_unfinished(text)
    assert text.startswith(kept)
    assert kept or not text.strip()


@quiet
@hypothesis.given(text=texts)
def test_phrase_ends_come_in_order_and_not_after_spaces(text):
    ends = find_phrase_ends(text)
    assert ends == sorted(set(ends))
    assert all(text[:end].strip() and not text[end - 1].isspace() for end in ends)
    assert all(ends_at_phrase(text[:end], text) for end in ends)


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    ["(", "(]", ", ", '"', "<a", "a ", ":", "\n", "a,", "(a) ", "a in ", "in the style of "],
)
def test_a_text_of_one_mark_over_and_over_is_cut_too(piece):
    text = piece * 20_000  # a scan that is not linear would take minutes
    assert fit_to_budget(text, len, 50).num_tokens <= 50
    assert text.startswith(drop_unfinished(text))


@pytest.fixture(scope="module")
def prompts():
    """Five hundred of the longer real prompts, from all over the file."""
    if not PROMPTS.is_file():
        pytest.skip(f"needs {PROMPTS}: real prompts")
    lines = PROMPTS.read_text(encoding="utf-8").splitlines()
    long = [text for line in lines if len(text := json.loads(line)["text"]) > 300]
    return long[:: len(long) // 500][:500]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "least_cut"), [("clip={}/clip", 250), ("clip:3={}/clip", 0), ("t5:256={}/t5", 0)]
)
def test_real_prompts_end_at_the_last_phrase_that_fits_by_the_real_tokenizer(
    prompts, spec, least_cut
):
    folder = DATA / "tokenizers"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}: the tokenizers of CLIP and T5")
    target = load_target(spec.format(folder))
    num_cut = num_words = 0
    for text in prompts:
        ends = find_phrase_ends(text)
        counts = [target.count(text[:end]) for end in ends]
        for budget in (target.budget, target.budget // 3):
            fitted = fit_to_budget(text, target.count, budget)
            assert target.count(fitted.text) == fitted.num_tokens <= budget
            assert text.startswith(fitted.text)
            fitting = [end for end, num in zip(ends, counts, strict=True) if num <= budget]
            if not fitted.cut:
                assert fitted.text == text
            elif fitting:
                assert fitted.text == text[: fitting[-1]]
                assert ends_at_phrase(fitted.text, text)
            else:
                assert not fitted.whole_phrases
                num_words += 1
            num_cut += fitted.cut and budget == target.budget
    assert num_cut >= least_cut
    assert num_words < 200
