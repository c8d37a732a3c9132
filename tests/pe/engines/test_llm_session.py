"""An open model: answers once for all that ask the same, keeps them, and stops at its budget."""

import asyncio
import sqlite3
from collections.abc import Callable

import pytest

from pe.engines.engine_error import RequestError, UnavailableError
from pe.engines.llm import Completion, LlmConfig, LlmRequest, LlmUsage
from pe.engines.llm_session import LlmSession, make_llm
from tests.pe.engines.test_llm import make_request


class Echo:
    """Answers with the text; as many at once as it is asked."""

    name = "echo"

    def __init__(self) -> None:
        self.usage = LlmUsage()
        self.is_open = False

    async def open(self) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False

    async def complete(
        self, request: LlmRequest, *, before_try: Callable[[], None] = lambda: None
    ) -> Completion:
        before_try()
        self.usage.num_requests += 1
        await asyncio.sleep(0.001)
        if request.text == "bad":
            raise RequestError("status_500")
        if request.text == "gone":
            raise UnavailableError("gone")
        self.usage.num_tokens += 10
        return Completion(text=request.text.upper(), num_prompt_tokens=6, num_new_tokens=4)


def ask(session: LlmSession, texts: list[str]) -> list[str]:
    async def one(text: str) -> str:
        try:
            return (await session.complete(make_request(text))).text
        except RequestError as failure:
            return failure.reason

    return session.map(one, texts)


def test_answers_come_in_the_order_asked_and_a_failure_shifts_none():
    with LlmSession(Echo(), LlmConfig()) as session:
        assert session.llm.is_open
        assert ask(session, ["a", "bad", "b", "c"]) == ["A", "status_500", "B", "C"]
    assert not session.llm.is_open
    session.close()  # twice does no harm


def test_the_same_request_is_sent_once_at_a_time_and_over_restarts(tmp_path):
    path = tmp_path / "cache.sqlite"
    with LlmSession(Echo(), LlmConfig(), cache=path) as session:
        assert ask(session, ["a"] * 20 + ["b", "bad", "bad"])[:21] == ["A"] * 20 + ["B"]
        assert session.llm.usage.num_requests == 3
        assert ask(session, ["a"]) == ["A"]
    with LlmSession(Echo(), LlmConfig(), cache=path) as session:
        assert ask(session, ["b", "a", "bad"]) == ["B", "A", "status_500"]
        assert (session.llm.usage.num_requests, session.llm.usage.num_cached) == (1, 2)


def test_what_concerns_all_ends_all():
    with (
        LlmSession(Echo(), LlmConfig()) as session,
        pytest.raises(UnavailableError, match="gone"),
    ):
        ask(session, ["a", "gone", "b"])


def test_a_budget_of_requests_holds_over_restarts_and_can_be_raised(tmp_path):
    path = tmp_path / "cache.sqlite"
    config = LlmConfig(budget_requests=3)
    with LlmSession(Echo(), config, cache=path) as session:
        assert ask(session, ["a", "b"]) == ["A", "B"]
    with LlmSession(Echo(), config, cache=path) as session:
        assert ask(session, ["a", "c"]) == ["A", "C"]
        with pytest.raises(UnavailableError, match=r"of 3 requests .*--llm_budget_requests"):
            ask(session, ["d"])
        assert session.llm.usage.num_requests == 1
    with LlmSession(Echo(), LlmConfig(budget_requests=4), cache=path) as session:
        assert ask(session, ["d"]) == ["D"]


def test_a_budget_of_tokens_is_not_overrun_by_what_is_under_way():
    one = 30 // 3 + 16
    config = LlmConfig(budget_tokens=2 * one + 20, when_spent="drop")
    with LlmSession(Echo(), config) as session:
        texts = [f"text {number}" for number in range(50)]
        found = ask(session, texts)
        assert session.llm.usage.num_tokens <= config.budget_tokens
        assert found.count("budget") >= 45
        assert found[0] == "TEXT 0"


def test_a_budget_may_drop_the_rest():
    with LlmSession(Echo(), LlmConfig(budget_requests=2, when_spent="drop")) as session:
        assert sorted(ask(session, ["a", "b", "c"])) == ["A", "B", "budget"]


def test_answers_that_cannot_be_kept_end_the_run(tmp_path, monkeypatch):
    with LlmSession(Echo(), LlmConfig(), cache=tmp_path / "cache.sqlite") as session:
        assert ask(session, ["a"]) == ["A"]
        told = "database or disk is full"

        def full(*_: object) -> None:
            raise sqlite3.OperationalError(told)

        monkeypatch.setattr(session._cache, "_transaction", full)
        with pytest.raises(OSError, match=told):
            _ = [ask(session, [f"text {number}"]) for number in range(1000)]
        monkeypatch.undo()


def test_an_engine_that_does_not_open_leaves_nothing_behind(tmp_path):
    class Closed(Echo):
        async def open(self) -> None:
            raise UnavailableError("no server")

    with pytest.raises(UnavailableError, match="no server"):
        LlmSession(Closed(), LlmConfig(), cache=tmp_path / "cache.sqlite")


def test_a_model_must_be_named():
    with pytest.raises(ValueError, match="no language model is named; give --llm_url"):
        make_llm(LlmConfig())
