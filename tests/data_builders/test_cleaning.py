import pyarrow as pa
import pytest

from data_builders.cleaning import DuplicateConfig, DuplicateStage
from data_builders.near_index import NearConfig
from pe.records import Inversion
from pe.stages.stage import Drop, Result
from pe.text.phrase import comparison_key

LONG = "a small wooden boat on a calm lake at dawn, soft mist over the water, oil painting"


def make(prompt: str) -> Inversion:
    return Inversion(
        image_id=f"image of {prompt}",
        source_id=f"source of {prompt}",
        caption=prompt,
        flavors=(),
        prompt=prompt,
        method="given",
    )


def decide(rows: list[tuple[str, str]], config: DuplicateConfig | None = None) -> list[Result]:
    stage = DuplicateStage(config or DuplicateConfig())
    return [result for row in rows for result in stage(tabulate([row]))]


def tabulate(rows: list[tuple[str, str]]) -> pa.Table:
    """Return the columns of inversions that the stage reads."""
    return pa.table({
        "inversion": [make(prompt).to_row() for prompt, _ in rows],
        "image": [{"given_query": query or None} for _, query in rows],
    })  # fmt: skip


def test_case_spaces_and_punctuation_do_not_make_a_prompt_new():
    results = decide([("A cat, sitting on a mat", ""), ("a cat sitting  on a MAT!", "")])
    assert results[0] == (make("A cat, sitting on a mat"),)
    assert results[1] == Drop("exact_duplicate")


def test_a_nearly_equal_prompt_is_dropped_and_another_one_is_kept():
    near = LONG + "s"
    other = LONG.replace("boat", "castle").replace("lake", "hill").replace("mist", "light")
    results = decide([(LONG, ""), (near, ""), (other, "")])
    assert results[1] == Drop("near_duplicate")
    assert results[2] == (make(other),)


def test_another_order_is_near_and_can_be_let_through():
    other = " ".join(reversed(LONG.replace(",", "").split()))
    assert decide([(LONG, ""), (other, "")])[1] == Drop("near_duplicate")
    kept = decide([(LONG, ""), (other, ""), (LONG, "")], DuplicateConfig(near=False))
    assert kept[1:] == [(make(other),), Drop("exact_duplicate")]


def test_how_long_near_prompts_are_is_a_setting():
    rows = [("a red fox in the snow", ""), ("a red fox in the sun", "")]
    assert decide(rows)[1] == (make("a red fox in the sun"),)
    config = DuplicateConfig(words=NearConfig(one_change=6, two_changes=9))
    assert decide(rows, config)[1] == Drop("near_duplicate")


def test_a_batch_is_decided_as_its_rows_one_by_one():
    rows = [(LONG, "q"), (LONG + "s", ""), (LONG, "q"), ("a fox", ""), (LONG, ""), ("a fox", "q")]
    assert DuplicateStage(DuplicateConfig())(tabulate(rows)) == decide(rows)


def test_one_prompt_with_two_queries_is_kept_twice_under_one_source():
    near = LONG + "s"
    results = decide([(LONG, "boat"), (near, "a lake"), (near, "boat"), (LONG, "boat")])
    first, second = results[0], results[1]
    assert isinstance(first, tuple)
    assert isinstance(second, tuple)
    assert second[0].source_id == first[0].source_id == f"source of {LONG}"
    assert results[2:] == [Drop("near_duplicate"), Drop("exact_duplicate")]


def test_texts_without_letters_are_told_apart_too():
    assert comparison_key("!!!") == "!!!"
    assert decide([("!!!", ""), ("???", "")])[1] == (make("???"),)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="expected 1 <= one_change <= two_changes"):
        NearConfig(one_change=9, two_changes=8)


def test_the_vowel_signs_of_other_scripts_are_kept():
    assert comparison_key("\u0915\u0940") != comparison_key("\u0915\u093e")


def test_a_prompt_is_found_again_among_thousands_with_its_tail():
    tail = ", oil painting on canvas, golden hour, highly detailed, soft light, warm colors"
    heads = [f"thing{k} of{k} some{k} kind{k}" for k in range(800)]
    results = decide([(head + tail, "") for head in heads] + [(heads[400] + tail, "q")])
    first, last = results[400], results[-1]
    assert isinstance(last, tuple)
    assert isinstance(first, tuple)
    assert last[0].source_id == first[0].source_id
