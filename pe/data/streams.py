"""Streams of batches: each takes its own places of an endless order, and fills rows of its own.

A state is places alone: the next one, and those of examples that wait for a batch; they are read
again when it is restored. Knows nothing of what an example holds.
"""

import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import grain
import numpy as np

from pe.data.batching import Batch, Batcher, Example

READ_ROWS = 64  # examples read at once


class Stream:
    """The batches of every `step`-th place from `first` on."""

    def __init__(
        self,
        read: Callable[[Sequence[int]], list[Example]],
        make_batcher: Callable[[], Batcher],
        *,
        first: int,
        step: int,
    ):
        self._read, self._make_batcher = read, make_batcher
        self._first, self._step = first, step
        self._restart(first, [])

    def _restart(self, place: int, pending: Sequence[int]) -> None:
        self._next = self._next_read = place
        self._ahead: deque[Example] = deque()
        self._batcher = self._make_batcher()
        for example in self._read(pending):
            if self._batcher.add(example) is not None:
                raise ValueError(
                    f"state of stream {self._first}: {len(pending)} examples wait, which is a "
                    "batch of these settings; go on with the DataConfig that the state was made by"
                )

    def __next__(self) -> Batch:
        while True:
            if not self._ahead:
                end = self._next_read + READ_ROWS * self._step
                self._ahead.extend(self._read(range(self._next_read, end, self._step)))
                self._next_read = end
            example = self._ahead.popleft()
            self._next = example.place + self._step
            batch = self._batcher.add(example)
            if batch is not None:
                return batch

    def get_state(self) -> dict[str, Any]:
        """Return the next place, and the places of examples that are in no batch yet."""
        pending = sorted(example.place for example in self._batcher.pending())
        return {"next": self._next, "pending": pending}

    def check_state(self, state: Any) -> None:
        """Raise ValueError where a state is not one of this stream."""
        is_whole = isinstance(state, dict) and set(state) == {"next", "pending"}
        places = [state["next"], *state["pending"]] if is_whole else []
        is_mine = all(
            isinstance(place, int) and place >= 0 and place % self._step == self._first
            for place in places
        )
        if not is_whole or not is_mine or any(place >= places[0] for place in places[1:]):
            raise ValueError(
                f"state of stream {self._first}: got {state}, expected {{next, pending}} with its "
                f"places ({self._first}, {self._first + self._step}, ...)"
            )

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go back to where `get_state` was called."""
        self._restart(state["next"], state["pending"])


class StreamGroup:
    """The batches of several streams, their rows one after the other."""

    def __init__(self, streams: Mapping[int, Stream], *, num_streams: int):
        self.streams, self._num_streams = streams, num_streams

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batches = [next(stream) for stream in self.streams.values()]
        if len(batches) == 1:
            return batches[0]
        return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}

    def get_state(self) -> dict[str, Any]:
        states = {str(number): stream.get_state() for number, stream in self.streams.items()}
        return {"num_streams": self._num_streams, "streams": states}

    def set_state(self, state: Mapping[str, Any]) -> None:
        for number, stream in self.streams.items():
            stream.set_state(state["streams"][str(number)])

    def check_state(self, state: Any) -> None:
        if not isinstance(state, Mapping) or not isinstance(state.get("streams"), Mapping):
            raise ValueError(
                f"state of the data: got {state}, expected {{num_streams, streams}}, as get_state "
                "gives it"
            )
        if state.get("num_streams") != self._num_streams:
            raise ValueError(
                f"state of the data: got one of {state.get('num_streams')} streams, expected "
                f"{self._num_streams}; set DataConfig.num_streams to what it was"
            )
        for number, stream in self.streams.items():
            if str(number) not in state["streams"]:
                raise ValueError(
                    f"state of the data: stream {number} is missing, it has "
                    f"{sorted(state['streams'])}; put together the states of all hosts"
                )
            stream.check_state(state["streams"][str(number)])


class BatchIterator:
    """Endless batches, made ahead in a thread; `get_state` is the place of the last one given.

    A state is JSON: {"num_streams": S, "streams": {"0": {"next": place, "pending": [place, ...]}}},
    of the streams that are made here. The states of several hosts are put together by merging
    their `streams`; `set_state` takes what its own streams need.
    """

    def __init__(self, streams: Mapping[int, Stream], *, num_streams: int, prefetch_batches: int):
        self._streams = StreamGroup(streams, num_streams=num_streams)
        self._ahead = grain.experimental.ThreadPrefetchDatasetIterator(
            self._streams, prefetch_batches
        )
        weakref.finalize(self, self._ahead.close)  # at exit too, before the thread's modules go

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        return next(self._ahead)

    def get_state(self) -> dict[str, Any]:
        """Return the place after the last batch that was given."""
        return self._ahead.get_state()

    def set_state(self, state: dict[str, Any], /) -> None:
        """Go on as the iterator did from which the state is, bit for bit.

        Raises ValueError for a state of another number of streams, or without one made here; the
        iterator then stays where it is.
        """
        self._streams.check_state(state)
        self._ahead.set_state(state)

    def close(self) -> None:
        """Stop the thread; the iterator is of no use after that."""
        self._ahead.close()
