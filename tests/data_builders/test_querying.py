from data_builders.query_extraction import RuleQueryConfig
from data_builders.querying import RuleQueryStage
from pe.records import Inversion, Query
from pe.stages.stage import Drop

STAGE = RuleQueryStage(RuleQueryConfig())


def make(prompt: str, caption: str, *flavors: str) -> Inversion:
    return Inversion(
        image_id="i", source_id="s", caption=caption, flavors=flavors, prompt=prompt, method="given"
    )


def test_rules_give_queries_that_are_shorter_than_the_prompt():
    prompt = "a small red boat drifting on a quiet lake at dawn, oil painting, golden hour"
    inversion = make(prompt, prompt.split(", ")[0], "oil painting", "golden hour")
    result = STAGE.query(inversion, None)
    assert isinstance(result, tuple)
    texts = {query.kind: query.text for query in result if isinstance(query, Query)}
    assert texts["short"].endswith("red boat")
    assert all(len(text.split()) < len(prompt.split()) for text in texts.values())
    assert {query.method for query in result if isinstance(query, Query)} == {"rules"}


def test_a_given_query_stands_as_it_is_with_its_kind_by_length():
    inversion = make("a boat", "a boat")
    for text, kind in [
        ("a  boat on a lake", "short"),
        ("a boat on a lake at dawn", "medium"),
        ("a very old wooden boat on a quiet lake at dawn", "long"),
    ]:
        result = STAGE.query(inversion, text)
        assert isinstance(result, tuple)
        assert (result[0].kind, result[0].text) == (kind, " ".join(text.split()))
        assert result[0].method == "given"


def test_a_prompt_without_a_query_is_dropped_with_its_reason():
    assert STAGE.query(make("of of of of", "of of of of"), None) == Drop("no_query")
