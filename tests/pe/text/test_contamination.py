"""Lines of evaluation sets are found as they are, respelled and in part; little goes with them."""

import random
import re
from pathlib import Path

import pytest

from pe.text.contamination import EvaluationLines, read_evaluation_lines, split_words

EVAL = Path(__file__).parents[4] / "shared" / "data" / "eval"
LINES = [("Parti", "A red-fox's den"), ("Parti", "fire"), ("Draw", "a man riding a blue horse"),
         ("Draw", "one two three four five six seven eight nine"), ("Draw", "  ... ")]  # fmt: skip


@pytest.fixture(scope="module")
def lines():
    return EvaluationLines(LINES)


@pytest.mark.parametrize(
    ("text", "how", "line"),
    [
        ("A red-fox's den", "exact", 0),
        ("a RED fox s den!", "normalised", 0),
        ("aredfoxsden", "normalised", 0),
        ("Fire.", "normalised", 1),
        ("portrait of a man riding a blue horse, oil painting", "ngram", 2),
        ("zero, two three four five six seven eight nine, ten", "ngram", 3),
    ],
)
def test_what_is_of_an_evaluation_set_is_found(lines, text, how, line):
    found = lines.find(text)
    assert found is not None
    assert (found.how, found.name, found.line) == (how, *LINES[line])


@pytest.mark.parametrize(
    "text",
    ["fire in the forest", "the red fox's den in snow", "a man riding a horse", "", "...",
     "three four five six seven eight nine"],
)  # fmt: skip
def test_short_lines_count_only_as_the_whole_text(lines, text):
    assert lines.find(text) is None


def test_vowel_signs_belong_to_their_words():
    lines = EvaluationLines([("Hindi", "\u0915\u094b\u0932\u0940")])
    assert lines.find("\u0915\u093e\u0932\u093e") is None
    assert lines.find("\u0915\u094b\u0932\u0940!") is not None


def test_a_line_without_words_counts_for_nothing(lines):
    assert len(lines) == 4


def test_files_are_read_by_their_kind(tmp_path):
    (tmp_path / "a.tsv").write_text('Prompt\tCategory\nan "odd" cat\tAnimals\n', encoding="utf-8")
    (tmp_path / "b.csv").write_text('Prompts,Category\n"a cat, a dog",x\n', encoding="utf-8")
    (tmp_path / "c.jsonl").write_text('{"caption": "a boat"}\n\n', encoding="utf-8")
    (tmp_path / "e.tsv").write_text('\ufeffPrompt\n"a bell\na hill\n', encoding="utf-8")
    (tmp_path / "f.jsonl").write_text('{"text": "a\u2028b"}\n', encoding="utf-8")
    (tmp_path / "d.txt").write_text("a hat\na bat\n", encoding="utf-8")
    names = ("a.tsv", "b.csv", "c.jsonl", "d.txt", "e.tsv", "f.jsonl")
    found = [row for name in names for row in read_evaluation_lines(tmp_path / name)]
    assert found == [("a", 'an "odd" cat'), ("b", "a cat, a dog"), ("c", "a boat"), ("d", "a hat"),
                     ("d", "a bat"), ("e", '"a bell'), ("e", "a hill"),
                     ("f", "a\u2028b")]  # fmt: skip


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for name, text, message in (
        ("a.tsv", "x\ty\n1\t2\n", "has the columns x, y; expected prompt"),
        ("b.jsonl", "[1]\n", "b.jsonl:1"),
        ("d.jsonl", '{"prompt": null}\n', "d.jsonl:1: expected text, got None"),
        ("c.doc", "", "expected an evaluation set as .tsv"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=re.escape(message)):
            list(read_evaluation_lines(tmp_path / name))


@pytest.mark.skipif(not EVAL.is_dir(), reason="no shared evaluation sets at hand")
def test_every_line_of_two_sets_is_found_however_it_is_written():
    rows = [
        r for n in ("PartiPrompts.tsv", "drawbench.csv") for r in read_evaluation_lines(EVAL / n)
    ]
    lines = EvaluationLines(rows)
    rng = random.Random(0)
    for _, line in rows:
        if not split_words(line):
            continue
        spaced = re.sub(" ", lambda _: rng.choice(("  ", "", "\t", " - ")), line)
        for changed in (
            line,
            line.upper(),
            line.title() + "!",
            re.sub(r"[^\w\s]", "", line),
            spaced,
        ):
            assert lines.find(changed) is not None, changed
