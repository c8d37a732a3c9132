"""Few-shot files: ours, a user's, and what is wrong with one."""

import pytest

from pe.records import KINDS
from pe.text.few_shot import list_examples, load_shots


def test_our_own_examples_have_every_kind_eight_times_and_more():
    shots = load_shots()
    for kind in KINDS:
        assert len(list_examples(shots, asked="prompt", answered=kind)) >= 8
    assert len(list_examples(shots, asked="long", answered="medium")) >= 8
    assert len({shot.prompt for shot in shots}) == len(shots)


def test_examples_go_from_the_prompt_to_the_query(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(
        '{"prompt": "a red fox in snow, oil", "short": "red fox"}\n\n'
        '{"prompt": "a blue  whale at sea, ink", "medium": "blue whale at sea"}\n'
    )
    shots = load_shots(str(path))
    examples = list_examples(shots, asked="prompt", answered="short")
    assert examples == (("a red fox in snow, oil", "red fox"),)
    assert list_examples(shots, asked="medium", answered="prompt") == (
        ("blue whale at sea", "a blue whale at sea, ink"),
    )
    assert list_examples(shots, asked="long", answered="short") == ()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "holds no examples"),
        ("{", "1: not a line of JSON"),
        ('["a"]', '1: expected an object with a "prompt"'),
        ('{"short": "a"}', '1: expected an object with a "prompt"'),
        ('{"prompt": "a b", "shrt": "a"}', "1: unknown .'shrt'.; expected prompt and any of"),
        ('{"prompt": "a b", "short": 3}', "1: short is 3, expected a text"),
        ('{"prompt": " "}', "1: prompt is ' ', expected a text"),
    ],
)
def test_a_file_of_another_form_is_told_with_its_line(tmp_path, line: str, told: str):
    path = tmp_path / "mine.jsonl"
    path.write_text(line)
    with pytest.raises(ValueError, match=told):
        load_shots(str(path))


def test_a_missing_file_is_told():
    with pytest.raises(ValueError, match="no few-shot examples at 'nowhere'; expected 'own' or"):
        load_shots("nowhere")
