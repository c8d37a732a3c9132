import pytest

from data_builders.cleaning import DuplicateConfig, DuplicateStage, jaccard, ngrams
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
    return [stage.decide(make(prompt), query) for prompt, query in rows]


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


def test_the_threshold_is_jaccard_of_ngrams():
    words, other = "aaaa bbbb cccc dddd", "aaaa bbbb cccc eeee"
    similarity = jaccard(ngrams(words, 4), ngrams(other, 4))
    assert similarity == pytest.approx(12 / 20)  # of 16 grams each, 12 are shared
    kept = decide([(words, ""), (other, "")], DuplicateConfig(near=similarity + 0.01))
    assert kept[1] == (make(other),)
    dropped = decide([(words, ""), (other, "")], DuplicateConfig(near=similarity, num_bands=64))
    assert dropped[1] == Drop("near_duplicate")


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
    with pytest.raises(ValueError, match=r"DuplicateConfig.near: got 0.0"):
        DuplicateConfig(near=0.0)
    with pytest.raises(ValueError, match="expected a divisor"):
        DuplicateConfig(num_bands=15)


def test_the_vowel_signs_of_other_scripts_are_kept():
    assert comparison_key("\u0915\u0940") != comparison_key("\u0915\u093e")


def test_a_prompt_is_found_again_among_more_than_max_candidates():
    tail = ", oil painting on canvas, golden hour, highly detailed, soft light, warm colors"
    heads = ["a red fox", "an old barn", "two tall ships", "my left shoe"]
    config = DuplicateConfig(max_candidates=1)
    results = decide([(head + tail, "") for head in heads] + [(heads[3] + tail, "q")], config)
    last = results[-1]
    assert isinstance(last, tuple)
    assert last[0].source_id == f"source of {heads[3]}{tail}"
