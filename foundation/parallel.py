"""Independent pieces of work, spread over one-thread processes, or over the workers of a cluster."""

from __future__ import annotations

import os
import pickle
import signal
import tempfile
import uuid
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from foundation.cluster import ClusterClient, check_identity, running_cluster
from foundation.errors import ParameterError
from foundation.identity import own_identity
from foundation.progress import progress

T = TypeVar("T")
# Pieces sent ahead of those that are being worked on, for each worker.
AHEAD = 3
# Into how many parts a batch is cut for a cluster.
CLUSTER_PARTS = 64


class Parcel(NamedTuple):
    """What many calls share, packed: a worker unpacks it once, from a file of this machine or from the bytes.

    `identity`: the crossgate that sends bytes; no other one works on them.
    """

    token: str
    path: str
    content: bytes
    identity: str = ""


def processors() -> int:
    """The number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_workers(workers: object) -> None:
    """Raises ParameterError for what is no number of workers; None stands for one a core."""
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        fix = "1 works in this process; leave it out for one a core"
        raise ParameterError("workers", "should be a whole number, 1 or more", value=workers, fix=fix)


def run_all(
    function: Callable[..., T], calls: Sequence[tuple[Any, ...]], description: str, workers: int | None = None,
    resource: str = "",
) -> list[T]:  # fmt: skip
    """The results of `function(*call)` for every call, in the order of the calls.

    Each worker process uses one thread, so the results do not depend on how many there are.
    With one worker everything runs in this process. An exception in a call is raised here.
    """
    return list(stream_all(function, calls, len(calls), description, workers=workers, resource=resource))


def stream_all(
    function: Callable[..., T],
    calls: Iterable[tuple[Any, ...]],
    total: int,
    description: str,
    *,
    shared: tuple[Any, ...] = (),
    workers: int | None = None,
    resource: str = "",
) -> Generator[T]:
    """The results of `function(*shared, *call)`, one by one in the order of the calls, of which there are `total`.

    As `Crew.stream` of a crew that works once.
    """
    check_workers(workers)
    count = workers if running_cluster() else min(workers or processors(), max(total, 1))
    with Crew(shared, count, resource) as crew:
        yield from crew.stream(function, calls, total, description)


class Crew:
    """Workers to whom some objects are handed once, for work that comes in several batches.

    `shared`: what every call begins with; it travels to each worker once. `workers`: how many processes, by default one
    a core; 1 works in this process. Inside `foundation.cluster.on_cluster` the workers are those of the cluster, unless
    `workers` is 1. Each has one thread, so results do not depend on how many there are. `resource`: the work goes only
    to workers of the cluster that were started with it, such as "GPU"; elsewhere it changes nothing.
    """

    def __init__(self, shared: tuple[Any, ...] = (), workers: int | None = None, resource: str = "") -> None:
        check_workers(workers)
        self._shared, self._count, self._resource = shared, workers or processors(), resource
        self._address = None if workers == 1 else running_cluster()
        self._stack = ExitStack()
        self._parcel: Parcel | None = None
        self._cluster: Any = None

    @property
    def size(self) -> int:
        """Into how many parts a batch is best cut: one a process, more on a cluster, whose workers come and go."""
        return CLUSTER_PARTS if self._address else self._count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        self._parcel = self._cluster = None

    def stream(
        self, function: Callable[..., T], calls: Iterable[tuple[Any, ...]], total: int, description: str = ""
    ) -> Generator[T]:
        """The results of `function(*shared, *call)`, one by one in the order of the calls, of which there are `total`.

        Calls are taken as workers come free, so neither they nor their results need room. An exception, or an
        interrupt from the keyboard, ends the work at once. Raises CrossgateError where a cluster is lost.
        """
        results: Iterable[T]
        if total == 0 or (self._count == 1 and self._address is None):
            results = (function(*self._shared, *call) for call in calls)
        elif self._address is not None:
            results = self._on_cluster(self._address, function, calls)
        else:
            results = self._in_processes(function, calls)
        with closing(progress(results, description, total)) as shown:
            yield from shown

    def _in_processes(self, function: Callable[..., T], calls: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        import joblib

        _mend_shutdown()
        if self._parcel is None:
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="crossgate-"))
            self._parcel = _parcel(self._shared, Path(folder))
        parcel = self._parcel
        # Arrays go by value: those that joblib maps into memory are read-only, which is another type to compiled code.
        with joblib.parallel_config(backend="loky", n_jobs=self._count, inner_max_num_threads=1, max_nbytes=None):
            pool = joblib.Parallel(return_as="generator", pre_dispatch=AHEAD * self._count)
            results = pool(joblib.delayed(_call)(parcel, function, call) for call in calls)
            try:
                yield from results
            except BaseException:
                stop_workers()
                with warnings.catch_warnings():
                    # That work was cancelled is what was asked for.
                    warnings.filterwarnings("ignore", "[0-9]+ tasks", UserWarning)
                    results.close()
                raise

    def _on_cluster(self, address: str, function: Callable[..., T], calls: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        if self._cluster is None:
            client = ClusterClient(address, _parcel(self._shared, None), self._resource)
            self._cluster = self._stack.enter_context(closing(client))
        yield from self._cluster.stream(_call_packed, _packed(function, calls))


def stop_workers() -> None:
    """Ends the worker processes of this one at once, whatever they are doing."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=False, kill_workers=True)


@cache
def _mend_shutdown() -> None:
    """Mends a race of loky (as in joblib 1.6): work that is handed in while it is being shut down.

    Its thread first forgets all pending work, then takes a piece from its queue and looks for it among the pending:
    the thread died with a KeyError printed over the user's screen. Once the workers are to be killed, that is no error.
    """
    from joblib.externals.loky import process_executor

    thread = process_executor._ExecutorManagerThread
    original = thread.add_call_item_to_queue

    def add_call_item_to_queue(self: Any) -> None:
        try:
            original(self)
        except KeyError:
            if not self.executor_flags.kill_workers:
                raise

    thread.add_call_item_to_queue = add_call_item_to_queue


def _parcel(shared: tuple[Any, ...], folder: Path | None) -> Parcel:
    import cloudpickle

    token, content = uuid.uuid4().hex, cloudpickle.dumps(shared)
    if folder is None:
        return Parcel(token, "", content, own_identity())
    path = folder / token
    path.write_bytes(content)
    return Parcel(token, str(path), b"")


def _packed(function: Callable[..., T], calls: Iterable[tuple[Any, ...]]) -> Iterator[tuple[bytes]]:
    """Calls as bytes: those stay with the scheduler, so that a worker that dies takes none with it."""
    import cloudpickle

    for call in calls:
        yield (cloudpickle.dumps((function, call)),)


def _call_packed(parcel: Parcel, packed: bytes) -> Any:
    check_identity(parcel.identity)
    function, call = pickle.loads(packed)
    return _call(parcel, function, call)


# What this process has unpacked last, by token.
_unpacked: dict[str, tuple[Any, ...]] = {}


def _call(parcel: Parcel, function: Callable[..., T], call: tuple[Any, ...]) -> T:
    if parcel.token not in _unpacked:
        if parcel.path:
            # The keyboard speaks to the process that gave the work, which ends this one.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        _unpacked.clear()
        _unpacked[parcel.token] = pickle.loads(Path(parcel.path).read_bytes() if parcel.path else parcel.content)
    return function(*_unpacked[parcel.token], *call)
