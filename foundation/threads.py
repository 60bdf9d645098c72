"""Threads: pieces of compiled work, which lets other threads run, spread over the processor cores of this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from foundation.parallel import AHEAD, processors
from foundation.progress import progress

S = TypeVar("S")
T = TypeVar("T")


def map_threads(
    function: Callable[[S], T], items: Iterable[S], total: int, description: str, *, alone: bool = False
) -> Generator[T]:
    """The results of `function(item)`, in the order of the `total` items, which are taken as threads come free.

    `function` should be compiled work for the most part and write to nothing that calls share; then the results do not
    depend on how many threads there are. `alone`: everything in this thread, for work that is too small to share.
    """
    count = 1 if alone else min(processors(), max(total, 1))
    found = map(function, items) if count == 1 else _threaded(function, items, count)
    return progress(found, description, total)


def _threaded(function: Callable[[S], T], items: Iterable[S], count: int) -> Iterator[T]:
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(count) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > AHEAD * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
