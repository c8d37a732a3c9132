"""The one text in a language model's answer, however it is dressed."""

import pytest

from pe.text.answer import Refused, is_refusal, read_answer


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ('{"query": "red fox"}', "red fox"),
        ('```json\n{"query": "red fox"}\n```', "red fox"),
        ('Sure! Here is the query: "red fox"', "red fox"),
        ("Query: red fox", "red fox"),
        ("The short query is: red fox", "red fox"),
        ("- red fox", "red fox"),
        ("“red fox”", "red fox"),
        ("<think>The fox is red.\nSo:</think>\nred fox", "red fox"),
        ('I think {"other": 1} no: {"query": "red fox", "why": "short"} done', "red fox"),
        ('{"query": "red \\"quick\\" fox"}', 'red "quick" fox'),
        ("red fox\n", "red fox"),
        ("a fox: the red one", "a fox: the red one"),
    ],
)
def test_the_text_is_found(answer: str, text: str):
    assert read_answer(answer, "query") == text


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "empty"),
        ("   \n", "empty"),
        ("```\n```", "empty"),
        ("<think>hm</think>", "empty"),
        ('{"query": ""}', "empty"),
        ('{"query": "red\\nfox"}', "many_lines"),
        ("red fox\nblue whale", "many_lines"),
        ('{"query": "red fo', "broken_json"),
        ('{"prompt": "red fox"}', "broken_json"),
        ('["red fox"]', "broken_json"),
        ("[" * 100_000, "broken_json"),
        ('{"query":' * 3000, "broken_json"),
    ],
)
def test_what_is_no_text_is_refused_by_its_reason(answer: str, reason: str):
    assert read_answer(answer, "query") == Refused(reason)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help",
        "As an AI I have no eyes",
        "I cannot comply",
        "unable to do so",
    ],
)
def test_a_refusal_is_known(text: str):
    assert is_refusal(text)


@pytest.mark.parametrize("text", ["a sorrowful angel", "canned fish", "an ai robot", "red fox"])
def test_a_query_is_no_refusal(text: str):
    assert not is_refusal(text)
