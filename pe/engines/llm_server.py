"""A language model behind an OpenAI-compatible server: vLLM, llama.cpp, TGI, Ollama, transformers.

Failures of a try (429, 5xx, time out, a cut connection, an answer that is none) are tried again
with back-off and jitter, or when Retry-After says. What concerns every request (no server there, no
such model, a refused key) ends the run with LlmUnavailableError. The key comes from the
environment, goes to the given address alone, and is in no message. No text of a request or answer
is ever printed.
"""

import asyncio
import contextlib
import email.utils
import json
import os
import random
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from pe.engines.llm import (
    Completion,
    LlmConfig,
    LlmRequest,
    LlmRequestError,
    LlmUnavailableError,
    LlmUsage,
    read_usage,
)

ROUTE = "/chat/completions"
MAX_ANSWER_BYTES = 4_000_000
TRY_AGAIN = frozenset({408, 409, 425, 429})  # and every 5xx
OPEN_SECS = 10.0
DEAD_REQUESTS = 16  # so many came to nothing one after the other, and none did well: none will
OPTIONS = ("response_format", "seed", "temperature", "max_tokens")  # a server may not know them
DETAIL_CHARS = 300


class TryAgainError(Exception):
    """A try failed in a way that another may not."""

    def __init__(
        self, reason: str, *, wait_secs: float | None = None, is_unreachable: bool = False
    ):
        super().__init__(reason)
        self.reason = reason
        self.wait_secs = wait_secs
        self.is_unreachable = is_unreachable


def find_route(url: str) -> str:
    """Return the address that is asked: URL may be a server's root, its base, or the route itself.

    http://h:1            ->  http://h:1/v1/chat/completions
    http://h:1/v1         ->  http://h:1/v1/chat/completions
    http://h:1/v1/chat/completions  ->  the same
    """
    url = url.rstrip("/")
    if url.endswith(ROUTE):
        return url
    return f"{url}{ROUTE}" if urlsplit(url).path else f"{url}/v1{ROUTE}"


class ServerLlm:
    """The model of a server. `say` is told once what the server does not know."""

    def __init__(self, config: LlmConfig, *, say: Callable[[str], None] = lambda _: None):
        self.config = config
        self.usage = LlmUsage()
        self._say = say
        self._route = find_route(config.url)
        self._key = os.environ.get(config.key_variable, "").strip()
        self._options = set(OPTIONS)
        if config.structured == "none":
            self._options.discard("response_format")
        self._answered = False  # the server took a request as it stands
        self._num_failed = 0  # requests that came to nothing since the last that did not
        self._not_before = 0.0  # no try begins earlier: a server said Retry-After
        self._dead: LlmUnavailableError | None = None
        self._random = random.Random()
        self._session: aiohttp.ClientSession | None = None
        self._slots: asyncio.Semaphore | None = None

    @property
    def name(self) -> str:
        return self.config.model

    async def open(self) -> None:
        """Reach the server. Raises LlmUnavailableError where none listens or the key is refused."""
        self._slots = asyncio.Semaphore(self.config.concurrency)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.config.concurrency),
            timeout=aiohttp.ClientTimeout(total=self.config.timeout_secs),
            headers=headers,
        )
        models = self._route.removesuffix(ROUTE) + "/models"
        timeout = aiohttp.ClientTimeout(total=min(OPEN_SECS, self.config.timeout_secs))
        try:
            async with self._session.get(models, timeout=timeout, allow_redirects=False) as answer:
                if answer.status in (401, 403):
                    raise self._refused_key(answer.status)
        except aiohttp.ClientConnectorError as error:
            raise self._unreachable(error) from error
        except (aiohttp.ClientError, TimeoutError):
            pass  # it listens; whether it answers is seen when it is asked

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def complete(
        self, request: LlmRequest, *, before_try: Callable[[], None] = lambda: None
    ) -> Completion:
        """Ask until it answers, `max_tries` times at most.

        Raises LlmRequestError with the last try's reason, LlmUnavailableError when asking on is of
        no use.
        """
        assert self._slots is not None, "open() comes first"
        messages = request.messages()
        reason, is_unreachable = "", False
        for number in range(self.config.max_tries):
            if number:
                await asyncio.sleep(self._backoff(number))
            async with self._slots:
                await self._wait_for_turn()
                if self._dead is not None:
                    raise self._dead
                before_try()
                try:
                    completion = await self._ask(request, messages)
                except TryAgainError as failed:
                    reason, is_unreachable = failed.reason, failed.is_unreachable
                    self.usage.failures[reason] += 1
                    if failed.wait_secs is not None:
                        wait = min(failed.wait_secs, self.config.max_wait_secs)
                        self._not_before = max(self._not_before, time.monotonic() + wait)
                    continue
                except LlmRequestError:
                    self._num_failed = 0  # it answers; this request is what it does not like
                    raise
            self._num_failed = 0
            return completion
        self._num_failed += 1
        if is_unreachable or self._num_failed >= DEAD_REQUESTS:
            self._dead = LlmUnavailableError(
                f"the server at {self._route} no longer answers (last: {reason}); what is finished "
                "is kept: see to the server and run the same command again"
            )
            raise self._dead
        raise LlmRequestError(reason)

    def _backoff(self, number: int) -> float:
        longest = min(self.config.max_wait_secs, self.config.backoff_secs * 2 ** (number - 1))
        return longest * self._random.uniform(0.5, 1.0)

    async def _wait_for_turn(self) -> None:
        while (wait := self._not_before - time.monotonic()) > 0:
            await asyncio.sleep(wait * self._random.uniform(1.0, 1.1))

    async def _ask(self, request: LlmRequest, messages: list[dict[str, str]]) -> Completion:
        """Try once. Raises TryAgainError, LlmRequestError or LlmUnavailableError."""
        assert self._session is not None
        asked = frozenset(self._options)
        body = self._body(request, messages, asked)
        self.usage.num_requests += 1
        try:
            async with self._session.post(self._route, data=body, allow_redirects=False) as answer:
                status, headers = answer.status, answer.headers
                content = await _read_bounded(answer)
        except aiohttp.ClientConnectorError as error:
            raise TryAgainError("no_connection", is_unreachable=True) from error
        except TimeoutError as error:
            raise TryAgainError("timeout") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise TryAgainError("cut_connection") from error
        if status == 200:
            return self._read(content)
        if status in TRY_AGAIN or status >= 500:
            wait = _retry_after(headers.get("Retry-After"))
            raise TryAgainError(f"status_{status}", wait_secs=wait)
        raise self._refusal(status, content, asked)

    def _body(
        self, request: LlmRequest, messages: list[dict[str, str]], options: frozenset[str]
    ) -> bytes:
        known: dict[str, Any] = {
            "response_format": _answer_schema(request.answered),
            "seed": request.seed,
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
        }
        body = {"model": self.config.model, "messages": messages, "stream": False}
        body |= {name: known[name] for name in OPTIONS if name in options}
        if "max_tokens" not in options:
            body["max_completion_tokens"] = request.max_tokens
        return json.dumps(body).encode()

    def _read(self, content: bytes) -> Completion:
        """Return the text of an answer; raise TryAgainError for what is none."""
        try:
            answer = json.loads(content)
            choice = answer["choices"][0]
            message = choice["message"]
            text = message.get("content") or message.get("refusal") or ""
            if isinstance(text, list):  # in parts
                text = "".join(part["text"] for part in text if part.get("type") == "text")
            if not isinstance(text, str):
                raise TypeError(type(text))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise TryAgainError("garbage") from error
        prompt, new = read_usage(answer)
        self.usage.num_tokens += prompt + new
        self._answered = True
        return Completion(
            text=text,
            is_whole=choice.get("finish_reason") != "length",
            num_prompt_tokens=prompt,
            num_new_tokens=new,
        )

    def _refusal(self, status: int, content: bytes, asked: frozenset[str]) -> Exception:
        """Say what a 3xx or 4xx means: try without an option, give this one up, or all."""
        detail = content[:20_000].decode(errors="replace")
        if status in (401, 403):
            return self._refused_key(status)
        if status in (400, 422):
            if asked - self._options:
                return TryAgainError("unknown_option")  # another request has found it out meanwhile
            named = [name for name in OPTIONS if name in asked and name in detail]
            if not named and not self._answered and "response_format" in asked:
                named = ["response_format"]  # some say only that the request is not valid
            if named and self._may_leave_out(named[0]):
                return TryAgainError("unknown_option")
            if self._answered:
                return LlmRequestError(f"status_{status}")
        if self._answered and status in (413, 451):
            return LlmRequestError(f"status_{status}")
        return LlmUnavailableError(
            f"the server at {self._route} refuses requests to model {self.config.model!r} with "
            f"status {status}: {self._without_key(detail)}; check LlmConfig.url and LlmConfig.model"
        )

    def _may_leave_out(self, option: str) -> bool:
        if option == "response_format" and self.config.structured == "schema":
            return False
        self._options.discard(option)
        instead = {
            "response_format": "answers are asked for in words and parsed",
            "seed": "an answer that is asked for again may be the same",
            "temperature": "the server's own is used",
            "max_tokens": "max_completion_tokens is sent instead",
        }
        self._say(f"{self.config.model} does not know {option}: {instead[option]}")
        return True

    def _refused_key(self, status: int) -> LlmUnavailableError:
        given = "the one given" if self._key else "it is not set"
        return LlmUnavailableError(
            f"the server at {self._route} refuses the key (status {status}): expected one in the "
            f"environment variable {self.config.key_variable}; {given}"
        )

    def _unreachable(self, error: Exception) -> LlmUnavailableError:
        return LlmUnavailableError(
            f"no server answers at {self._route} ({self._without_key(str(error))}); start it, or "
            "check LlmConfig.url"
        )

    def _without_key(self, text: str) -> str:
        text = " ".join(text.split())
        if self._key:
            text = text.replace(self._key, "***")
        return text[:DETAIL_CHARS]


def _answer_schema(name: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {name: {"type": "string"}},
        "required": [name],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


async def _read_bounded(answer: aiohttp.ClientResponse) -> bytes:
    content = await answer.content.read(-1) if _is_small(answer) else await _read_parts(answer)
    if len(content) > MAX_ANSWER_BYTES:
        raise TryAgainError("garbage")
    return content


def _is_small(answer: aiohttp.ClientResponse) -> bool:
    return answer.content_length is not None and answer.content_length <= MAX_ANSWER_BYTES


async def _read_parts(answer: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in answer.content.iter_chunked(65_536):
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            break
    return b"".join(parts)


def _retry_after(value: str | None) -> float | None:
    """Read Retry-After: seconds, or a date of HTTP; None for anything else."""
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None
