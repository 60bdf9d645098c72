"""Cluster: the workers of a dask.distributed scheduler, in the place of processes of this machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from foundation.errors import CrossgateError, ParameterError

# How long a scheduler may take to answer, and a first worker to be there, in seconds.
PATIENCE = 15
# Pieces sent ahead, for each thread of the cluster.
AHEAD = 3
_address: ContextVar[str | None] = ContextVar("cluster", default=None)


def running_cluster() -> str | None:
    """The address of the scheduler that work goes to, or None where it stays on this machine."""
    return _address.get()


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """The block whose sweeps, tunings and trainings run on the cluster at an address such as tcp://127.0.0.1:8786.

    None changes nothing. Raises ParameterError for what is no address, or where no scheduler answers.
    """
    if address is None:
        yield
        return
    _connect(address).close()
    before = _address.set(address)
    try:
        yield
    finally:
        _address.reset(before)


def on_cluster(
    address: str, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]], shared: Any
) -> Iterator[Any]:
    """The results of `function(shared, *call)` from the workers of a cluster, in the order of the calls.

    `shared` is sent to every worker before the first call. What a worker was at when it died is given to another.
    Raises CrossgateError where the scheduler, or the last worker, is lost. joblib's own way to such a cluster is
    not taken: with a single worker it works in this process, and a lost scheduler it takes for results.
    """
    client = _connect(address)
    try:
        _wait_for_workers(client, address)
        [sent] = client.scatter([shared], broadcast=True, hash=False)
        waiting: deque[Any] = deque()
        for call in calls:
            waiting.append(client.submit(function, sent, *call, pure=False))
            if len(waiting) > AHEAD * max(_threads(client), 1):
                yield _result(client, address, waiting.popleft())
        while waiting:
            yield _result(client, address, waiting.popleft())
    except _lost_errors() as error:
        raise _lost(address, type(error).__name__) from None
    finally:
        client.close(timeout=2)


def _result(client: Any, address: str, future: Any) -> Any:
    """The result of a future; looks after the scheduler and its workers while it waits."""
    alone = 0
    while True:
        try:
            return future.result(timeout=1)
        except TimeoutError:
            if future.done():
                raise
        if client.status != "running":
            raise _lost(address, f"connection {client.status}")
        alone = 0 if _threads(client) else alone + 1
        if alone > PATIENCE:
            raise CrossgateError(f"{address}: has no worker left; start one, then run the same again")


def _threads(client: Any) -> int:
    return sum(one["nthreads"] for one in client.scheduler_info(n_workers=-1)["workers"].values())


def _lost(address: str, how: str) -> CrossgateError:
    fix = "what was finished is kept: start the scheduler, then run the same command again"
    return CrossgateError(f"{address}: the scheduler of the cluster is lost ({how}); {fix}")


def _lost_errors() -> tuple[type[BaseException], ...]:
    from concurrent.futures import CancelledError

    from distributed import KilledWorker
    from distributed.comm import CommClosedError

    return CancelledError, CommClosedError, KilledWorker


def _wait_for_workers(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        fix = f"start some with: dask worker {address} --nthreads 1 (docs/scale.md)"
        raise ParameterError("--cluster", "has no worker", value=address, fix=fix) from None


def _connect(address: str) -> Any:
    """A client of the scheduler at an address; raises ParameterError where there is none."""
    try:
        from distributed import Client
    except ImportError:
        fix = 'pip install "crossgate[cluster]"'
        raise ParameterError("--cluster", "needs the library distributed", value=address, fix=fix) from None
    fix = "start one with: dask scheduler --host 127.0.0.1 (docs/scale.md)"
    try:
        return Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        problem = "does not answer" if isinstance(error, OSError) else "is no address of a scheduler"
        raise ParameterError("--cluster", problem, value=address, fix=fix) from None
