"""One open language model: its event loop in a thread, the cache of its answers, its budget.

Callers are plain threads. `map` runs a coroutine function over many items at once; the engine's
concurrency is what holds them back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pe.engines.engine_error import RequestError, UnavailableError
from pe.engines.llm import Completion, Llm, LlmConfig, LlmRequest
from pe.engines.llm_cache import LlmCache
from pe.engines.loop_thread import LoopThread

A = TypeVar("A")
B = TypeVar("B")
WRITE_SECS = 0.02  # an answer is on disk so soon
CHARS_PER_TOKEN = 3  # on the safe side: what a request may cost before the server has said so


def make_llm(config: LlmConfig, *, say: Callable[[str], None] = lambda _: None) -> Llm:
    """Make the engine that a config names; nothing is loaded or reached yet.

    Raises ValueError when it names none.
    """
    if config.url:
        from pe.engines.llm_server import ServerLlm

        return ServerLlm(config, say=say)
    if config.model:
        from pe.engines.llm_t5 import T5Llm

        return T5Llm(config)
    raise ValueError(
        "no language model is named; give --llm_url and --llm_model of a server, or --llm_model "
        "alone: a T5 that runs here (folder or hub name, such as google/flan-t5-xl)"
    )


class LlmSession:
    """An engine that is open, with cache and budget. Use it as a context, or `close` it."""

    def __init__(self, llm: Llm, config: LlmConfig, *, cache: Path | None = None):
        self.llm = llm
        self.config = config
        self._cache = LlmCache(cache)
        self._num_requests, self._num_tokens = self._cache.read_spent()
        self._told = (0, 0)  # of the engine's usage, what the cache was told
        self._reserved_tokens = 0  # of requests under way
        self._broken: OSError | None = None  # why answers can no longer be kept
        self._under_way: dict[bytes, asyncio.Future[Completion]] = {}
        self._thread = LoopThread("llm")
        try:
            self._thread.run(self._open())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "LlmSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _open(self) -> None:
        self._writer = asyncio.create_task(self._write_often())
        await self.llm.open()

    def map(self, function: Callable[[A], Awaitable[B]], items: Sequence[A]) -> list[B]:
        """Return function(item) of every item, in order; the first exception ends all of them."""
        return self._thread.map(function, items)

    async def complete(self, request: LlmRequest) -> Completion:
        """Answer a request: from the cache, from one that is under way, or by the engine.

        Raises RequestError for this request ("budget" where it is spent and rows are to be
        dropped), UnavailableError for all of them.
        """
        if self._broken is not None:
            raise self._broken
        key = request.key(self.llm.name)
        known = self._under_way.get(key)
        if known is not None:
            return await asyncio.shield(known)
        found = self._cache.get(key)
        if found is not None:
            self.llm.usage.num_cached += 1
            return found
        future = self._under_way[key] = self._thread.loop.create_future()
        try:
            completion = await self._complete_within_budget(request)
        except BaseException as error:
            if not isinstance(error, Exception):
                future.cancel()
            else:
                future.set_exception(error)
                future.exception()  # it is raised here: nobody else needs to look
            raise
        else:
            self._cache.put(key, completion)
            future.set_result(completion)
            return completion
        finally:
            del self._under_way[key]

    async def _complete_within_budget(self, request: LlmRequest) -> Completion:
        tokens = 0
        if self.config.budget_tokens is not None:
            tokens = _most_tokens(request)
            spent = self._num_tokens + self.llm.usage.num_tokens + self._reserved_tokens
            self._check_budget("tokens", spent, tokens, self.config.budget_tokens)
        self._reserved_tokens += tokens
        try:
            return await self.llm.complete(request, before_try=self._before_try)
        finally:
            self._reserved_tokens -= tokens

    def _before_try(self) -> None:
        if self.config.budget_requests is not None:
            spent = self._num_requests + self.llm.usage.num_requests
            self._check_budget("requests", spent, 1, self.config.budget_requests)

    def _check_budget(self, name: str, spent: int, more: int, budget: int) -> None:
        if spent + more <= budget:
            return
        if self.config.when_spent == "drop":
            raise RequestError("budget")
        raise UnavailableError(
            f"the budget of {budget:,} {name} is spent ({spent:,} used or under way); what is "
            f"finished is kept: run the same command again with a larger --llm_budget_{name}, "
            "or with --gin.LlmConfig.when_spent=drop to go without the rows that are left"
        )

    async def _write_often(self) -> None:
        while self._broken is None:
            await asyncio.sleep(WRITE_SECS)
            try:
                self._write()
            except OSError as error:  # a full disk: nothing more is asked that could not be kept
                self._broken = error

    def _write(self) -> None:
        usage = self.llm.usage
        now = (usage.num_requests, usage.num_tokens)
        self._cache.spend(now[0] - self._told[0], now[1] - self._told[1])
        self._told = now
        self._cache.write()

    def close(self) -> None:
        """Close the engine, write what is not on disk yet, and end the thread."""
        if self._thread.is_closed:
            return
        self._thread.run(self._shut())
        self._thread.close()
        self._write()
        self._cache.close()

    async def _shut(self) -> None:
        self._writer.cancel()
        await self.llm.close()


def _most_tokens(request: LlmRequest) -> int:
    """Return a bound of what a request costs, before anybody has counted."""
    shared = request.conversation
    chars = len(shared.system(has_form=True)) + len(request.text)
    chars += sum(len(asked) + len(answered) for asked, answered in shared.examples)
    return chars // CHARS_PER_TOKEN + request.max_tokens
