"""Independent pieces of work, spread over one-thread processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from foundation.progress import progress

T = TypeVar("T")


def processors() -> int:
    """The number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(
    function: Callable[..., T], calls: Sequence[tuple[Any, ...]], description: str, workers: int | None = None
) -> list[T]:
    """The results of `function(*call)` for every call, in the order of the calls.

    Each worker process uses one thread, so the results do not depend on how many there are.
    With one worker everything runs in this process. An exception in a call is raised here.
    """
    count = min(workers or processors(), max(len(calls), 1))
    results: Iterable[T] = _in_workers(function, calls, count) if count > 1 else (function(*call) for call in calls)
    return list(progress(results, description, len(calls)))


def _in_workers(function: Callable[..., T], calls: Sequence[tuple[Any, ...]], count: int) -> Iterator[T]:
    import joblib

    with joblib.parallel_config(backend="loky", n_jobs=count, inner_max_num_threads=1):
        pool = joblib.Parallel(return_as="generator")
        yield from pool(joblib.delayed(function)(*call) for call in calls)
