"""What is asked for a kind: the shared part first, examples in the paper's order, both chains."""

import pytest

from data_builders.query_request import RULES, LlmQueryConfig, make_kind_requests
from pe.records import KINDS
from pe.text.few_shot import load_shots


def test_the_rules_come_first_and_the_kind_last():
    requests = make_kind_requests(LlmQueryConfig())
    assert list(requests)[::-1][0] in KINDS
    assert set(requests) == set(KINDS)
    for kind, request in requests.items():
        system = request.conversation.system(has_form=True)
        assert system.startswith(RULES.format(asked=request.asked))
        assert f"{kind} query: " in system
        fewest, most = LlmQueryConfig().words(kind)
        assert system.endswith(f"It has {fewest} to {most} words.")


def test_directly_each_kind_is_made_of_the_prompt_but_the_abstract():
    requests = make_kind_requests(LlmQueryConfig())
    asked = {kind: request.asked for kind, request in requests.items()}
    assert asked == dict.fromkeys(KINDS, "prompt") | {"abstract": "short"}
    shot = load_shots()[0]
    first = requests["medium"].conversation.examples[0]
    assert first == (shot.prompt, shot.queries["medium"])
    first = requests["abstract"].conversation.examples[0]
    assert first == (shot.queries["short"], shot.queries["abstract"])


def test_a_chain_goes_from_long_to_abstract():
    config = LlmQueryConfig(chain="successive", kinds=("abstract",))
    requests = make_kind_requests(config)
    asked = {kind: request.asked for kind, request in requests.items()}
    assert asked == {"abstract": "short", "short": "medium", "medium": "long", "long": "prompt"}


def test_a_users_file_is_used(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt": "a b c", "short": "a"}\n' * 3)
    config = LlmQueryConfig(few_shot=str(path), kinds=("short",))
    assert make_kind_requests(config)["short"].conversation.examples == (("a b c", "a"),) * 3
    config = LlmQueryConfig(few_shot=str(path), kinds=("short", "long"))
    with pytest.raises(ValueError, match="has 0 rows with 'prompt' and 'long', expected 3 or more"):
        make_kind_requests(config)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"kinds": ("short", "shrt")}, r"kinds: got \('short', 'shrt'\), expected some of"),
        ({"kinds": ()}, "kinds: got"),
        ({"kinds": ("short", "short")}, "each once"),
        ({"chain": "both"}, "chain: got 'both'"),
        ({"long_words": (5, 3)}, "long_words must be whole numbers"),
        ({"short_definition": " "}, "short_definition is empty"),
        ({"max_answers": 0}, "max_answers: got 0"),
        ({"min_share": 0.0}, "min_share: got 0.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, told: str):
    with pytest.raises(ValueError, match=told):
        LlmQueryConfig(**settings)
