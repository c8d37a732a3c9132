"""A server's model: faults are tried again, what a server does not know is left out, keys kept."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pe.engines.engine_error import RequestError, UnavailableError
from pe.engines.llm import Completion, LlmConfig
from pe.engines.llm_server import ROUTE, ServerLlm
from pe.engines.server import DEAD_REQUESTS, find_route
from tests.pe.engines.test_llm import make_request

GOOD = {"choices": [{"message": {"content": '{"query": "red fox"}'}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5}}  # fmt: skip
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


class Seen:
    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.heads: list[str] = []


async def with_server(
    answer: Callable[[dict[str, Any], int], Answer | None],
    use: Callable[[str], Awaitable[Any]],
    *,
    get_status: int = 404,
) -> Seen:
    """Serve `answer(body, number)` while `use(url)` runs; None cuts the connection."""
    seen = Seen()

    connections: set[asyncio.Task] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.current_task())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                seen.heads.append(head)
                status, content, more = get_status, "{}", {}
                if head.startswith("POST"):
                    size = head.lower().split("content-length:")[1].split()[0]
                    body = json.loads(await reader.readexactly(int(size)))
                    seen.bodies.append(body)
                    found = answer(body, len(seen.bodies))
                    if found is None:
                        break
                    status, content, more = (*found, {})[:3]
                text = content if isinstance(content, str) else json.dumps(content)
                lines = "".join(f"{name}: {value}\r\n" for name, value in more.items())
                writer.write(f"HTTP/1.1 {status} X\r\n{lines}Content-Length: "
                             f"{len(text.encode())}\r\n\r\n{text}".encode())  # fmt: skip
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            await close(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        await use(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        await asyncio.gather(*connections)  # its client is gone
    return seen


def ask(answer: Callable, *, requests: int = 1, get_status: int = 404, **settings: Any):
    """Ask a server `requests` times, one after the other; returns (results, Seen, engine)."""
    results: list[Any] = []
    said: list[str] = []
    engines = []

    async def use(url: str) -> None:
        values = {"backoff_secs": 0.001, "timeout_secs": 5.0, "max_tries": 4, **settings}
        llm = ServerLlm(LlmConfig(url=url, model="m", **values), say=said.append)
        engines.append(llm)
        try:
            await llm.open()
            for number in range(requests):
                try:
                    results.append(await llm.complete(make_request(seed=number)))
                except (RequestError, UnavailableError) as error:
                    results.append(error)
        finally:
            await llm.close()

    seen = asyncio.run(with_server(answer, use, get_status=get_status))
    engines[0].said = said
    return results, seen, engines[0]


def test_a_request_has_the_schema_the_seed_and_the_messages():
    (found,), seen, llm = ask(lambda body, number: (200, GOOD))
    assert found == Completion(text='{"query": "red fox"}', num_prompt_tokens=20, num_new_tokens=5)
    assert llm.usage.describe() == "1 requests, 25 tokens"
    body = seen.bodies[0]
    assert body.pop("messages") == make_request().messages()
    schema = body.pop("response_format")["json_schema"]
    assert schema["name"] == "query"
    assert schema["schema"]["required"] == ["query"]
    assert body == {"model": "m", "stream": False, "seed": 0, "temperature": 0.0, "max_tokens": 16}


def test_a_text_in_parts_is_joined():
    parts = [{"type": "text", "text": "red "}, {"type": "x"}, {"type": "text", "text": "fox"}]
    answer = {"choices": [{"message": {"content": parts}, "finish_reason": "length"}]}
    (found,), _, _ = ask(lambda body, number: (200, answer))
    assert (found.text, found.is_whole, found.num_tokens) == ("red fox", False, 0)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ((500, "oh"), "status_500"),
        ((429, "slow", {"Retry-After": "0.01"}), "status_429"),
        ((200, "no json"), "garbage"),
        ((200, {"choices": []}), "garbage"),
        ((200, {"choices": [{"message": {"content": 3}}]}), "garbage"),
        ((200, [1]), "garbage"),
        (None, "cut_connection"),
    ],
)
def test_a_fault_is_tried_again_and_counted(fault: Answer | None, reason: str):
    (found,), seen, llm = ask(lambda body, number: fault if number < 3 else (200, GOOD))
    assert found.text == '{"query": "red fox"}'
    assert len(seen.bodies) == 3
    assert llm.usage.failures == {reason: 2}


def test_a_request_that_always_fails_is_given_up_with_its_reason():
    (failed, good), seen, _ = ask(
        lambda body, number: (503, "") if body["seed"] == 0 else (200, GOOD), requests=2
    )
    assert isinstance(failed, RequestError)
    assert failed.reason == "status_503"
    assert good.text
    assert len(seen.bodies) == 5


def test_an_answer_that_does_not_come_in_time_is_tried_again():
    async def use(url: str) -> None:
        llm = ServerLlm(LlmConfig(url=url, model="m", timeout_secs=0.2, max_tries=2))
        await llm.open()
        try:
            with pytest.raises(RequestError, match="timeout"):
                await llm.complete(make_request())
        finally:
            await llm.close()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        await reader.read()  # until the client gives up
        await close(writer)

    async def run() -> None:
        server = await asyncio.start_server(never, "127.0.0.1", 0)
        async with server:
            await use(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
            await asyncio.sleep(0.05)  # the server sees it

    asyncio.run(run())


@pytest.mark.parametrize(
    ("option", "told"),
    [("response_format", "in words"), ("seed", "may be the same"), ("max_tokens", "instead")],
)
def test_what_a_server_does_not_know_is_left_out_and_said_once(option: str, told: str):
    def answer(body: dict[str, Any], number: int) -> Answer:
        if option in body:
            return 422, {"detail": f"Unexpected fields in the request: {{'{option}'}}"}
        return 200, GOOD

    found, seen, llm = ask(answer, requests=3)
    assert all(isinstance(completion, Completion) for completion in found)
    assert [option in body for body in seen.bodies] == [True, False, False, False]
    assert len(llm.said) == 1
    assert told in llm.said[0]
    assert option in llm.said[0]
    if option == "max_tokens":
        assert seen.bodies[-1]["max_completion_tokens"] == 16


def test_a_schema_that_must_be_is_not_left_out():
    (error,), seen, _ = ask(lambda body, number: (400, "response_format"), structured="schema")
    assert isinstance(error, UnavailableError)
    assert len(seen.bodies) == 1


def test_without_structure_none_is_asked_for():
    _, seen, _ = ask(lambda body, number: (200, GOOD), structured="none")
    assert "response_format" not in seen.bodies[0]


def test_one_prompt_that_a_server_refuses_costs_only_its_row():
    found, _, _ = ask(
        lambda body, number: (400, "too long") if body["seed"] == 1 else (200, GOOD), requests=3
    )
    assert [getattr(f, "reason", "good") for f in found] == ["good", "status_400", "good"]


def test_a_model_that_is_not_there_ends_the_run_naming_it():
    (error,), seen, _ = ask(lambda body, number: (404, {"error": "no model m here"}))
    assert isinstance(error, UnavailableError)
    assert "model 'm' with status 404" in str(error)
    assert "no model m here" in str(error)
    assert len(seen.bodies) == 1


def test_the_key_is_sent_and_never_told(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret-123")
    refusal = (401, {"error": "Incorrect API key provided: sk-secret-123"})
    (error,), seen, _ = ask(lambda body, number: refusal, key_variable="MY_KEY")
    assert all("Authorization: Bearer sk-secret-123" in head for head in seen.heads)
    assert "environment variable MY_KEY" in str(error)
    assert "secret" not in str(error)
    (error,), _, _ = ask(
        lambda body, number: (418, {"error": "bad sk-secret-123"}), key_variable="MY_KEY"
    )
    assert "***" in str(error)
    assert "secret" not in str(error)


def test_a_refused_key_is_seen_before_anything_is_asked(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UnavailableError, match=r"refuses the key .* it is not set"):
        ask(lambda body, number: (200, GOOD), get_status=401)


def test_where_no_server_listens_it_is_said_at_once():
    async def open_nowhere() -> None:
        llm = ServerLlm(LlmConfig(url="http://127.0.0.1:9/v1", model="m"))
        try:
            await llm.open()
        finally:
            await llm.close()

    with pytest.raises(UnavailableError, match=r"no server answers at http://127.0.0.1:9/v1/chat"):
        asyncio.run(open_nowhere())


def test_a_server_that_no_longer_does_anything_ends_the_run():
    found, seen, _ = ask(lambda body, number: (500, ""), requests=DEAD_REQUESTS + 2, max_tries=1)
    kinds = [type(error) for error in found]
    assert kinds == [RequestError] * (DEAD_REQUESTS - 1) + [UnavailableError] * 3
    assert "no longer answers (last: status_500)" in str(found[-1])
    assert len(seen.bodies) == DEAD_REQUESTS


def test_redirects_are_not_followed():
    (error,), _, _ = ask(
        lambda body, number: (307, "", {"Location": "http://127.0.0.1:9/elsewhere"})
    )
    assert isinstance(error, UnavailableError)
    assert "status 307" in str(error)


def test_the_route_is_found_from_any_form_of_the_address():
    route = "http://h:1/v1/chat/completions"
    for url in ("http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/", route):
        assert find_route(url, ROUTE) == route
    assert find_route("https://h/api/v2", ROUTE) == "https://h/api/v2/chat/completions"
