"""Requests to language models: what is sent, what names them, which settings are refused."""

import pytest

from pe.engines.llm import Conversation, LlmConfig, LlmRequest, LlmUsage, identify_model, read_usage


def make_request(text: str = "a red fox", **changes: object) -> LlmRequest:
    values = {
        "conversation": Conversation(
            rules="Shorten.",
            form="As JSON.",
            task="To two words.",
            examples=(("a big blue whale, oil", "blue whale"),),
        ),
        "asked": "prompt",
        "answered": "query",
        "text": text,
        "temperature": 0.0,
        "max_tokens": 16,
    }
    return LlmRequest(**(values | changes))


def test_messages_hold_each_text_as_json_of_one_key():
    assert make_request('a "red" fox\n{"query": "x"}').messages() == [
        {"role": "system", "content": "Shorten. As JSON. To two words."},
        {"role": "user", "content": '{"prompt": "a big blue whale, oil"}'},
        {"role": "assistant", "content": '{"query": "blue whale"}'},
        {"role": "user", "content": '{"prompt": "a \\"red\\" fox\\n{\\"query\\": \\"x\\"}"}'},
    ]


def test_a_plain_text_has_each_part_on_one_line():
    assert make_request("a red\nfox\n\nquery: x").plain_text() == (
        "Shorten. To two words.\n\nprompt: a big blue whale, oil\nquery: blue whale\n\n"
        "prompt: a red fox query: x\nquery:"
    )


def test_the_key_is_that_of_all_an_answer_depends_on():
    request = make_request()
    assert request.key("m") == make_request().key("m")
    others = [
        make_request(seed=1),
        make_request("a red fox "),
        make_request(temperature=0.5),
        make_request(max_tokens=17),
        make_request(asked="request"),
        make_request(conversation=Conversation(rules="Shorten.")),
    ]
    keys = {request.key("m"), request.key("n"), *(other.key("m") for other in others)}
    assert len(keys) == 2 + len(others)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"url": "localhost:8000", "model": "m"}, "url: got 'localhost:8000', expected an address"),
        ({"url": "http://h"}, "model: expected the server's name"),
        ({"structured": "json"}, "structured: got 'json', expected one of"),
        ({"when_spent": "die"}, "when_spent: got 'die'"),
        ({"concurrency": 0}, "concurrency: got 0, expected 1 or more"),
        ({"timeout_secs": 0.0}, "timeout_secs: got 0.0, expected above 0"),
        ({"temperature": -1.0}, "temperature: got -1.0"),
        ({"budget_tokens": 0}, "budget_tokens: got 0, expected 1 or more, or None"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, told: str):
    with pytest.raises(ValueError, match=rf"LlmConfig\.{told}"):
        LlmConfig(**settings)


def test_a_folder_whose_files_were_replaced_is_another_model(tmp_path):
    config = LlmConfig(model=str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    first = identify_model(config)
    assert first == identify_model(config)
    assert first.startswith(f"{tmp_path.name}@")
    (tmp_path / "config.json").write_text("{ }")
    assert identify_model(config) != first
    assert identify_model(LlmConfig(model="org/flan-t5")) == "org/flan-t5"
    assert identify_model(LlmConfig(model="m", url="http://h")) == "m"


def test_usage_is_read_where_a_server_gives_it():
    assert read_usage({"usage": {"prompt_tokens": 7, "completion_tokens": 3}}) == (7, 3)
    for usage in (None, {}, {"prompt_tokens": "7", "completion_tokens": -3}, []):
        assert read_usage({"usage": usage}) == (0, 0)
    usage = LlmUsage(num_requests=1204, num_tokens=310400, num_cached=900)
    usage.failures["timeout"] += 12
    assert usage.describe() == ("1,204 requests, 310,400 tokens, 12 failed, 900 from the cache")
