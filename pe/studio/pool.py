"""Drawing in several processes: a picture is a program that keeps one core busy."""

import concurrent.futures
import multiprocessing
from collections.abc import Callable, Iterator, Sequence


def spread(work: Callable[[int], int], parts: Sequence[int], num_processes: int) -> Iterator[int]:
    """Do each part, and yield what it returns as soon as it is done, in no order.

    `work` and what it holds must be importable from a fresh process.
    """
    if num_processes == 1 or len(parts) < 2:
        yield from map(work, parts)
        return
    context = multiprocessing.get_context("spawn")  # threads of libraries do not survive a fork
    with concurrent.futures.ProcessPoolExecutor(num_processes, mp_context=context) as pool:
        waiting = [pool.submit(work, part) for part in parts]
        for done in concurrent.futures.as_completed(waiting):
            yield done.result()
