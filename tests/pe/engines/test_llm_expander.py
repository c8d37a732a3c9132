"""The two baselines that ask a language model: what they ask, take, refuse and cut."""

import asyncio
import json
from collections.abc import Callable

import pytest

from pe.cli import main
from pe.decode.sampling import SamplingConfig
from pe.decode.target_tokenizer import Target
from pe.engines.engine_error import RequestError
from pe.engines.expander import Expander
from pe.engines.llm import Completion, LlmConfig, LlmRequest, LlmUsage
from pe.engines.llm_expander import REWRITE_WORDS, LlmExpander, make_conversation
from pe.engines.llm_session import LlmSession
from pe.text.words import count_words
from tests.pe.engines.stub_server import serve_stub

LONG = "a red fox stands on a fallen birch in a quiet forest clearing, morning mist, moss"


class Scripted:
    """Gives the answers of a script one after the other, the last one for ever."""

    name = "scripted"

    def __init__(self, answers: list[str]):
        self.answers = answers
        self.usage = LlmUsage()
        self.requests: list[LlmRequest] = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def complete(
        self, request: LlmRequest, *, before_try: Callable[[], None] = lambda: None
    ) -> Completion:
        await asyncio.sleep(0)
        self.requests.append(request)
        text = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if text == "fails":
            raise RequestError("status_500")
        return Completion(text=text, is_whole=text != "cut", num_new_tokens=7)


def expand(answers: list[str], n: int = 1, style: str = "rewrite", target=None, **changes):
    llm = Scripted(answers)
    sampling = SamplingConfig(**({"max_tokens": 50} | changes))
    with LlmSession(llm, LlmConfig()) as session:
        expander = LlmExpander(session, style, target=target)
        assert isinstance(expander, Expander)
        (found,) = expander.expand(["a  red fox"], n, seed=3, sampling=sampling)
    return found, llm


def answer(text: str, name: str = "description") -> str:
    return json.dumps({name: text})


def test_a_rewritten_query_is_an_expansion():
    (found,), llm = expand([answer(LONG)])
    assert (found.query, found.text, found.prefix, found.seed) == ("a red fox", LONG, "", 3)
    assert (found.logprob, found.num_tokens) == (None, 7)
    assert found.model == "scripted (rewrite)"
    request = llm.requests[0]
    assert (request.asked, request.answered, request.max_tokens) == ("request", "description", 50)


def test_texts_that_come_twice_and_unusable_ones_are_asked_for_anew():
    answers = [
        answer(LONG),
        answer(LONG.upper()),
        "fails",
        "cut",
        answer("a red fox"),
        answer("too short a text"),
        "I'm sorry, I can't describe this fox, since it is against my policy to do any such thing",
        answer(f"{LONG}, at night"),
    ]
    found, llm = expand(answers, n=2)
    assert [expansion.text for expansion in found] == [LONG, f"{LONG}, at night"]
    assert len({request.seed for request in llm.requests}) == len(llm.requests) == 8


def test_a_model_with_one_thing_to_say_says_it_n_times():
    found, _ = expand([answer(LONG)], n=3)
    assert [expansion.text for expansion in found] == [LONG] * 3


def test_a_model_that_says_nothing_usable_is_told_with_the_reasons():
    with pytest.raises(
        ValueError, match=r"of a query of 3 words in 4 answers \(\{'refusal': 4\}\)"
    ):
        expand([answer("sorry, I cannot do that")])


def test_a_surplus_of_words_is_cut_at_a_phrase():
    text = ", ".join(["a red fox in the snow"] * 20)
    (found,), _ = expand([answer(text)])
    assert count_words(found.text) == REWRITE_WORDS[1] // 6 * 6
    assert found.text.endswith("snow")


def test_a_target_and_banned_phrases_are_kept_to():
    target = Target(name="words", budget=15, num_special=1, encode=lambda text: text.split())
    (found,), _ = expand([answer(LONG)], target=target)
    assert found.text == "a red fox stands on a fallen birch in a quiet forest clearing"
    (found,), _ = expand(
        [answer(f"{LONG}, Highly  Detailed"), answer(LONG)], ban=("highly detailed",)
    )
    assert found.text == LONG


def test_examples_stand_before_the_query_from_query_to_prompt(tmp_path):
    (found,), llm = expand([answer("a red fox, oil painting", "prompt")], style="few_shot")
    assert found.text == "a red fox, oil painting"  # no least number of words
    examples = llm.requests[0].conversation.examples
    assert len(examples) >= 8
    assert all(count_words(query) < count_words(prompt) for query, prompt in examples)
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt": "a b c", "long": "a b"}\n')
    assert make_conversation("few_shot", few_shot=str(path)).examples == (("a b", "a b c"),)
    path.write_text('{"prompt": "a b c"}\n')
    with pytest.raises(ValueError, match="no row has a query beside its prompt"):
        make_conversation("few_shot", few_shot=str(path))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"prefix": "FLV"}, "knows no prefixes"),
        ({"n": 0}, "n: got 0"),
        ({"queries": [" "]}, "empty"),
        ({"candidates": 1, "n": 2}, "candidates: got 1"),
        ({"sampling": SamplingConfig(top_k=5)}, "without top_k"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(changes: dict, told: str):
    given = {"queries": ["a"], "n": 1, "sampling": SamplingConfig()} | changes
    with LlmSession(Scripted([answer(LONG)]), LlmConfig()) as session:
        expander = LlmExpander(session, "rewrite")
        with pytest.raises(ValueError, match=told):
            expander.expand(given.pop("queries"), given.pop("n"), **given)


def test_the_styles_are_two():
    with pytest.raises(ValueError, match="style: got 'rewrit', expected one of"):
        make_conversation("rewrit")


def test_the_command_prints_what_a_server_answers(capsys, tmp_path):
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"a red fox": LONG}))
    with serve_stub(answers=answers) as server:
        flags = ["--llm_url", server.url, "--llm_model", "stub", "-n", "1", "--json"]
        assert main(["expand", "a red fox", "--expander", "llm", *flags]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["expansions"][0]["text"] == LONG
    assert row["expansions"][0]["logprob"] is None


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--expander", "llm"], "no language model is named"),
        ([], "--model is missing"),
        (["--model", "m", "--llm_url", "http://h"], "only --expander llm and few_shot"),
        (["--expander", "llm", "--model", "m"], "--model: of --expander t5 only"),
        (["--expander", "llm", "--llm_model", "m", "--beams", "2"], "--beams: of --expander t5"),
    ],
)
def test_flags_that_do_not_go_together_are_told(capsys, flags: list[str], told: str):
    assert main(["expand", "a red fox", *flags]) == 2
    assert told in capsys.readouterr().err
