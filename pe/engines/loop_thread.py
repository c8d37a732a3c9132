"""An event loop in a thread of its own, for callers that are plain threads."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pe.engines.engine_error import UnavailableError

A = TypeVar("A")
B = TypeVar("B")


class LoopThread:
    """Runs coroutines for threads that wait for them. `close` it when all is done."""

    def __init__(self, name: str):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        return self.loop.is_closed()

    def run(self, coroutine: Awaitable[B]) -> B:
        """Wait for a coroutine and return what it gives."""

        async def wait() -> B:
            return await coroutine

        return asyncio.run_coroutine_threadsafe(wait(), self.loop).result()

    def map(self, function: Callable[[A], Awaitable[B]], items: Sequence[A]) -> list[B]:
        """Return function(item) of every item, in order; the first exception ends all of them."""

        async def run() -> list[B]:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_call(function, item)) for item in items]
            return [task.result() for task in tasks]

        try:
            return self.run(run())
        except BaseExceptionGroup as errors:
            raise _first(errors) from errors

    def close(self) -> None:
        """End the loop and the thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _call(function: Callable[[A], Awaitable[B]], item: A) -> B:
    return await function(item)


def _first(errors: BaseExceptionGroup) -> BaseException:
    """Return an exception of a group: UnavailableError before others, which it brought about."""
    flat: list[BaseException] = []
    stack: list[BaseException] = [errors]
    while stack:
        error = stack.pop()
        if isinstance(error, BaseExceptionGroup):
            stack += error.exceptions
        else:
            flat.append(error)
    return next((e for e in flat if isinstance(e, UnavailableError)), flat[0])
