"""Cluster: the workers of a dask.distributed scheduler, in the place of processes of this machine."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from foundation.errors import CrossgateError, ParameterError
from foundation.identity import own_identity

# How long a scheduler may take to answer, and a first worker to be there, in seconds.
PATIENCE = 15
# Pieces sent ahead, for each thread of the cluster.
AHEAD = 3
# How often a call is asked for again.
ATTEMPTS = 5
WRONG = "is no address that can be used, such as tcp://127.0.0.1:8786"
_address: ContextVar[str | None] = ContextVar("cluster", default=None)


def running_cluster() -> str | None:
    """The address of the scheduler that work goes to, or None where it stays on this machine."""
    return _address.get()


@contextmanager
def on_cluster(address: str | None) -> Iterator[None]:
    """The block whose sweeps, tunings and trainings run on the cluster at an address such as tcp://127.0.0.1:8786.

    None changes nothing. Raises ParameterError for what is no address, or where no scheduler answers.
    """
    if address is None:
        yield
        return
    _connect(address).close()
    before = _address.set(address)
    told = logging.getLogger("distributed.client")
    level = told.level
    # What is lost is said in one line; the library would print the way to it, too.
    told.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        told.setLevel(level)
        _address.reset(before)


def check_identity(sender: str) -> None:
    """Raises CrossgateError on a worker whose crossgate is another one than that which sent the work."""
    if own_identity() != sender:
        from distributed import get_worker

        fix = "install the same there and start the worker again"
        problem = f"has other rules ({own_identity()}) than what sends the work ({sender})"
        raise CrossgateError(f"worker {get_worker().address}: {problem}; {fix}")


class ClusterClient:
    """A connection to a scheduler, whose workers have been sent an object that all calls share.

    joblib's own way to such a cluster is not taken: with a single worker it works in this process, and what a
    lost scheduler leaves behind it takes for results. `resource`: calls go only to workers that were started with it,
    one at a time to each. Raises ParameterError where no scheduler or worker answers.
    """

    def __init__(self, address: str, shared: Any, resource: str = "") -> None:
        self._address, self._client, self._resource = address, _connect(address), resource
        begun = time.monotonic()
        while not self._threads():
            if time.monotonic() - begun > PATIENCE:
                self.close()
                raise self._no_worker()
            time.sleep(0.05)
        self._shared, self._sent = shared, self._send(shared)

    def close(self) -> None:
        """Ends the connection; the cluster goes on."""
        self._client.close(timeout=2)

    def stream(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """The results of `function(shared, *call)` in the order of the calls.

        What a worker was at when it died is given to another. Raises CrossgateError where the scheduler, or the last
        worker, is lost.
        """
        waiting: deque[tuple[tuple[Any, ...], Any]] = deque()
        try:
            for call in calls:
                waiting.append((call, self._submit(function, call)))
                if len(waiting) > AHEAD * max(self._threads(), 1):
                    yield self._result(function, *waiting.popleft())
            while waiting:
                yield self._result(function, *waiting.popleft())
        except _killed_errors():
            raise self._dying() from None
        except _lost_errors() as error:
            raise _lost(self._address, type(error).__name__) from None
        finally:
            for _, future in waiting:
                future.release()

    def _result(self, function: Callable[..., Any], call: tuple[Any, ...], future: Any) -> Any:
        """The result of a call, which is asked for again where a worker took it along when it died."""
        for _ in range(ATTEMPTS):
            try:
                return self._wait(future)
            except CancelledError:
                if not self._alive():
                    raise
                self._sent = self._send(self._shared)
                future = self._submit(function, call)
        raise self._dying()

    def _dying(self) -> CrossgateError:
        """The error for work that ends each worker that is given it, as where memory is short."""
        return CrossgateError(f"{self._address}: workers of the cluster die at the same piece of work again and again")

    def _wait(self, future: Any) -> Any:
        """The result of a future; looks after the scheduler and its workers meanwhile."""
        alone = 0
        while True:
            try:
                return future.result(timeout=1)
            except TimeoutError:
                # The second has passed, or the work itself raised this: then it is raised again, as what it is.
                if future.status == "error":
                    return future.result()
            if self._client.status != "running":
                raise _lost(self._address, f"connection {self._client.status}")
            alone = 0 if self._threads() else alone + 1
            if alone > PATIENCE:
                fix = "what was finished is kept: start one, then run the same command again"
                raise CrossgateError(f"{self._address}: the cluster has no worker left; {fix}")

    def _submit(self, function: Callable[..., Any], call: tuple[Any, ...]) -> Any:
        needed = {self._resource: 1} if self._resource else None
        return self._client.submit(function, self._sent, *call, pure=False, resources=needed)

    def _no_worker(self) -> ParameterError:
        """The error for a cluster none of whose workers can do the work."""
        lacks = f"has no worker with the resource {self._resource}" if self._resource else "has no worker"
        more = f" --resources {self._resource}=1" if self._resource else ""
        fix = f"start some with: dask worker {self._address} --nthreads 1{more} (docs/scale.md)"
        return ParameterError("--cluster", lacks, value=self._address, fix=fix)

    def _send(self, shared: Any) -> Any:
        return self._client.scatter([shared], broadcast=True, hash=False)[0]

    def _alive(self) -> bool:
        """Whether the scheduler still answers."""
        try:
            self._client.sync(self._client.scheduler.identity, callback_timeout=5)
        except (OSError, TimeoutError, CancelledError):
            return False
        return bool(self._client.status == "running")

    def _threads(self) -> int:
        """The calls that can be worked on at a time, by the workers there are now."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        if self._resource:
            return sum(int(one["resources"].get(self._resource, 0)) for one in workers)
        return sum(one["nthreads"] for one in workers)


def _lost(address: str, how: str) -> CrossgateError:
    fix = "what was finished is kept: start the scheduler, then run the same command again"
    return CrossgateError(f"{address}: the scheduler of the cluster is lost ({how}); {fix}")


def _lost_errors() -> tuple[type[BaseException], ...]:
    from distributed.comm import CommClosedError

    return CancelledError, CommClosedError


def _killed_errors() -> type[BaseException]:
    from distributed import KilledWorker

    found: type[BaseException] = KilledWorker
    return found


def _connect(address: str) -> Any:
    """A client of the scheduler at an address; raises ParameterError where there is none."""
    try:
        from distributed import Client
    except ImportError:
        fix = 'pip install "crossgate[cluster]"'
        raise ParameterError("--cluster", "needs the library distributed", value=address, fix=fix) from None
    fix = "start one with: dask scheduler --host 127.0.0.1 (docs/scale.md)"
    if address.rpartition("://")[0] not in ("", "tcp"):
        raise ParameterError("--cluster", WRONG, value=address, fix=fix)
    try:
        return Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        problem = "does not answer" if isinstance(error, OSError) else WRONG
        raise ParameterError("--cluster", problem, value=address, fix=fix) from None
