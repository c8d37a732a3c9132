"""An OpenAI-compatible server: one route that is asked, again where a try fails.

Failures of a try (429, 5xx, time out, a cut connection, an answer that is none) are tried again
with back-off and jitter, or when Retry-After says. What concerns every request (no server there, no
such model, a refused key) ends the run with UnavailableError. The key comes from the environment,
goes to the given address alone, and is in no message. No text of a request or answer is ever
printed. Knows no language and no pictures.
"""

import asyncio
import contextlib
import email.utils
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable
from urllib.parse import urlsplit

import aiohttp

from pe.engines.engine_error import RequestError, UnavailableError

A = TypeVar("A")
TRY_AGAIN = frozenset({408, 409, 425, 429})  # and every 5xx
OPEN_SECS = 10.0
DEAD_REQUESTS = 16  # so many came to nothing one after the other, and none did well: none will
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


@runtime_checkable
class ServerSettings(Protocol):
    """What a config says of a server, see LlmConfig; errors tell its fields by its class's name."""

    @property
    def url(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def concurrency(self) -> int: ...
    @property
    def timeout_secs(self) -> float: ...
    @property
    def max_tries(self) -> int: ...
    @property
    def backoff_secs(self) -> float: ...
    @property
    def max_wait_secs(self) -> float: ...
    @property
    def key_variable(self) -> str: ...


@runtime_checkable
class Usage(Protocol):
    """What is counted of a server's work; `failures` are tries, by reason."""

    num_requests: int
    failures: Counter[str]


def find_route(url: str, route: str) -> str:
    """Return the address that is asked: URL may be a server's root, its base, or the route itself.

    Example (route /chat/completions):
      http://h:1            ->  http://h:1/v1/chat/completions
      http://h:1/v1         ->  http://h:1/v1/chat/completions
      http://h:1/v1/chat/completions  ->  the same
    """
    url = url.rstrip("/")
    if url.endswith(route):
        return url
    return f"{url}{route}" if urlsplit(url).path else f"{url}/v1{route}"


class Server:
    """One route of a server, asked by many at once from one event loop.

    options    fields of a request that a server may not know, each with what is said once where it
               is left out
    doubted    of those the one that is left out first where a server refuses and names none
    max_bytes  bounds an answer
    usage      is told of requests and failures
    """

    def __init__(
        self,
        config: ServerSettings,
        usage: Usage,
        *,
        route: str,
        options: Mapping[str, str],
        max_bytes: int,
        doubted: str = "",
        say: Callable[[str], None] = lambda _: None,
    ):
        self.config = config
        self.usage = usage
        self.route = find_route(config.url, route)
        self.options = set(options)
        self._models = self.route.removesuffix(route) + "/models"
        self._instead = options
        self._doubted = doubted
        self._max_bytes = max_bytes
        self._say = say
        self._key = os.environ.get(config.key_variable, "").strip()
        self._answered = False  # the server took a request as it stands
        self._num_failed = 0  # requests that came to nothing since the last that did not
        self._not_before = 0.0  # no try begins earlier: a server said Retry-After
        self._dead: UnavailableError | None = None
        self._random = random.Random()
        self._session: aiohttp.ClientSession | None = None
        self._slots: asyncio.Semaphore | None = None

    async def open(self) -> None:
        """Reach the server. Raises UnavailableError where none listens or the key is refused."""
        self._slots = asyncio.Semaphore(self.config.concurrency)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.config.concurrency),
            timeout=aiohttp.ClientTimeout(total=self.config.timeout_secs),
            headers=headers,
        )
        timeout = aiohttp.ClientTimeout(total=min(OPEN_SECS, self.config.timeout_secs))
        try:
            async with self._session.get(
                self._models, timeout=timeout, allow_redirects=False
            ) as answer:
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

    async def ask(
        self,
        body: Callable[[frozenset[str]], dict[str, Any]],
        read: Callable[[bytes], A],
        *,
        before_try: Callable[[], None] = lambda: None,
    ) -> A:
        """Ask until `read` takes the answer, `max_tries` times at most.

        `body` makes a request of the options that are still sent; `read` raises ValueError,
        KeyError, IndexError, TypeError or AttributeError for an answer that is none.
        Raises RequestError with the last try's reason, UnavailableError when asking on is of no
        use.
        """
        assert self._slots is not None, "open() comes first"
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
                    found = await self._ask(body, read)
                except TryAgainError as failed:
                    reason, is_unreachable = failed.reason, failed.is_unreachable
                    self.usage.failures[reason] += 1
                    if failed.wait_secs is not None:
                        wait = min(failed.wait_secs, self.config.max_wait_secs)
                        self._not_before = max(self._not_before, time.monotonic() + wait)
                    continue
                except RequestError:
                    self._num_failed = 0  # it answers; this request is what it does not like
                    raise
            self._num_failed = 0
            return found
        self._num_failed += 1
        if is_unreachable or self._num_failed >= DEAD_REQUESTS:
            self._dead = UnavailableError(
                f"the server at {self.route} no longer answers (last: {reason}); what is finished "
                "is kept: see to the server and run the same command again"
            )
            raise self._dead
        raise RequestError(reason)

    def _backoff(self, number: int) -> float:
        longest = min(self.config.max_wait_secs, self.config.backoff_secs * 2 ** (number - 1))
        return longest * self._random.uniform(0.5, 1.0)

    async def _wait_for_turn(self) -> None:
        while (wait := self._not_before - time.monotonic()) > 0:
            await asyncio.sleep(wait * self._random.uniform(1.0, 1.1))

    async def _ask(
        self, body: Callable[[frozenset[str]], dict[str, Any]], read: Callable[[bytes], A]
    ) -> A:
        """Try once. Raises TryAgainError, RequestError or UnavailableError."""
        assert self._session is not None
        asked = frozenset(self.options)
        data = json.dumps(body(asked)).encode()
        self.usage.num_requests += 1
        try:
            async with self._session.post(self.route, data=data, allow_redirects=False) as answer:
                status, headers = answer.status, answer.headers
                content = await self._read_bounded(answer)
        except aiohttp.ClientConnectorError as error:
            raise TryAgainError("no_connection", is_unreachable=True) from error
        except TimeoutError as error:
            raise TryAgainError("timeout") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise TryAgainError("cut_connection") from error
        if status == 200:
            try:
                found = read(content)
            except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
                raise TryAgainError("garbage") from error
            self._answered = True
            return found
        if status in TRY_AGAIN or status >= 500:
            wait = _retry_after(headers.get("Retry-After"))
            raise TryAgainError(f"status_{status}", wait_secs=wait)
        raise self._refusal(status, content, asked)

    def _refusal(self, status: int, content: bytes, asked: frozenset[str]) -> Exception:
        """Say what a 3xx or 4xx means: try without an option, give this one up, or all."""
        detail = content[:20_000].decode(errors="replace")
        if status in (401, 403):
            return self._refused_key(status)
        if status in (400, 422):
            if asked - self.options:
                return TryAgainError("unknown_option")  # another request has found it out meanwhile
            named = [name for name in self._instead if name in asked and name in detail]
            if not named and not self._answered and self._doubted in asked:
                named = [self._doubted]  # some say only that the request is not valid
            if named:
                self._leave_out(named[0])
                return TryAgainError("unknown_option")
            if self._answered:
                return RequestError(f"status_{status}")
        if self._answered and status in (413, 451):
            return RequestError(f"status_{status}")
        kind = type(self.config).__name__
        return UnavailableError(
            f"the server at {self.route} refuses requests to model {self.config.model!r} with "
            f"status {status}: {self._without_key(detail)}; check {kind}.url and {kind}.model"
        )

    def _leave_out(self, option: str) -> None:
        self.options.discard(option)
        self._say(f"{self.config.model} does not know {option}: {self._instead[option]}")

    def _refused_key(self, status: int) -> UnavailableError:
        given = "the one given" if self._key else "it is not set"
        return UnavailableError(
            f"the server at {self.route} refuses the key (status {status}): expected one in the "
            f"environment variable {self.config.key_variable}; {given}"
        )

    def _unreachable(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"no server answers at {self.route} ({self._without_key(str(error))}); start it, or "
            f"check {type(self.config).__name__}.url"
        )

    def _without_key(self, text: str) -> str:
        text = " ".join(text.split())
        if self._key:
            text = text.replace(self._key, "***")
        return text[:DETAIL_CHARS]

    async def _read_bounded(self, answer: aiohttp.ClientResponse) -> bytes:
        if answer.content_length is not None and answer.content_length <= self._max_bytes:
            return await answer.content.read(-1)
        parts, size = [], 0
        async for part in answer.content.iter_chunked(65_536):
            parts.append(part)
            size += len(part)
            if size > self._max_bytes:
                raise TryAgainError("garbage")
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
