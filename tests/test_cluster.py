"""Work on a cluster: a real scheduler and real workers on this machine, that die while they work."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sweep_child
from sweep_child import run

import backtests.searches.sweeps as sweeps
from backtests.searches.piece_store import PieceStore
from foundation import cluster
from foundation.cluster import on_cluster
from foundation.errors import CrossgateError, DataError, ParameterError
from foundation.identity import ROOMS
from foundation.parallel import Crew, run_all

TREE = Path(__file__).resolve().parent.parent
pytest.importorskip("distributed")


class Cluster:
    """A scheduler and some workers, processes of their own that listen on the loopback address alone."""

    def __init__(self, workers: int, gpus: int = 0, tree: Path = TREE) -> None:
        self.tree = tree
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        port = self.address.rpartition(":")[2]
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
        words = ("worker", self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard")
        self.workers = [self._start(*words) for _ in range(workers)]
        # Triton's interpreter stands in for the GPU that a worker says it has.
        self.tagged = [self._start(*words, "--resources", "GPU=1", interpret="1") for _ in range(gpus)]

    def _start(self, *words: str, interpret: str = "0") -> subprocess.Popen[bytes]:
        paths = os.pathsep.join((str(self.tree), str(TREE / "tests")))
        command = [sys.executable, "-m", f"distributed.cli.dask_{words[0]}", *words[1:]]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        own = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TRITON_INTERPRET": interpret}
        return subprocess.Popen(command, cwd=self.tree, env={**os.environ, **own}, **quiet)

    def ready(self) -> Cluster:
        """The cluster, once its scheduler answers and all workers are there."""
        from distributed import Client

        with Client(self.address, timeout=60, set_as_default=False) as client:
            if self.workers:
                client.wait_for_workers(len(self.workers) + len(self.tagged), timeout=60)
        return self

    def stop(self) -> None:
        """Ends all of it."""
        for one in (*self.workers, *self.tagged, self.scheduler):
            one.kill()
            one.wait()


@pytest.fixture(scope="module")
def pair() -> Iterator[Cluster]:
    """A scheduler with two workers, that nobody kills."""
    made = Cluster(2)
    try:
        yield made.ready()
    finally:
        made.stop()


@pytest.fixture
def doomed(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A scheduler with as many workers as the test asks for, one of which or itself will be killed."""
    made = Cluster(request.param)
    try:
        yield made.ready()
    finally:
        made.stop()


def whereabouts(shared: Any, number: int) -> tuple[int, int, int]:
    """What a worker was given, and which process it is."""
    if number == 99:
        raise DataError("piece 99", "is broken")
    time.sleep(0.02)
    shared.append(number)
    return number, os.getpid(), len(shared)


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces as in the child, set back afterwards."""
    for name in ("PIECE", "SMALL", "play_range"):
        monkeypatch.setattr(sweeps, name, getattr(sweeps, name))


def test_what_calls_share_travels_once_and_results_come_in_order(pair: Cluster) -> None:
    """The workers do the work, each unpacks the shared list once; an error in a piece arrives as itself."""
    with on_cluster(pair.address), Crew(([],)) as crew:
        for _ in range(2):
            found = list(crew.stream(whereabouts, [(number,) for number in range(20)], 20))
            assert [number for number, _, _ in found] == list(range(20))
        pids = {pid for _, pid, _ in found}
        assert pids == {one.pid for one in pair.workers}
        # Had a worker unpacked it anew for the second batch, its list would have started from nothing.
        assert sum(max(count for _, own, count in found if own == pid) for pid in pids) == 40
        with pytest.raises(DataError, match="piece 99: is broken"):
            list(crew.stream(whereabouts, [(99,)], 1))


def test_a_worker_with_other_rules_works_on_nothing(
    pair: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where it names another identity, nor where one line of its source is another: it is said which worker."""
    calls = [([], number) for number in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr("foundation.parallel.own_identity", lambda: "crossgate 9.9, sources abc")
        problem = r"worker tcp://[0-9.]+:\d+: has other rules \(crossgate .*\) than .* \(crossgate 9\.9, sources abc\)"
        with on_cluster(pair.address), pytest.raises(CrossgateError, match=problem):
            run_all(whereabouts, calls, "counting")
    for room in ROOMS:
        shutil.copytree(TREE / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "backtests" / "fills.py").open("a") as file:
        file.write("\nFEE = 2.0\n")
    other = Cluster(1, tree=tmp_path)
    try:
        with on_cluster(other.ready().address), pytest.raises(CrossgateError, match="has other rules"):
            run_all(whereabouts, calls, "counting")
    finally:
        other.stop()


class Late:
    """A future that is finished, or fails, just after the wait for it has ended."""

    def __init__(self, status: str) -> None:
        self.status, self.asked = status, 0

    def done(self) -> bool:
        """Whether it has come to an end."""
        return True

    def result(self, timeout: float | None = None) -> int:
        """At first nothing in time, then the result or the error."""
        self.asked += 1
        if self.asked == 1:
            raise TimeoutError
        if self.status == "error":
            raise DataError("piece 1", "is broken")
        return 5


def test_a_result_that_comes_as_the_wait_ends_is_no_error(pair: Cluster) -> None:
    """It is asked for again; an error that comes then is the one of the work."""
    client = cluster.ClusterClient(pair.address, None)
    try:
        assert client._wait(Late("finished")) == 5
        with pytest.raises(DataError, match="piece 1"):
            client._wait(Late("error"))
    finally:
        client.close()


@pytest.mark.usefixtures("short_pieces")
@pytest.mark.parametrize("doomed", [2], indirect=True)
def test_a_worker_that_dies_loses_nothing(doomed: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two workers is killed in the middle of a sweep: every figure is that of a sweep on this machine."""
    kept = strike(monkeypatch, lambda: doomed.workers[0].kill())
    found = run(tmp_path / "there", 2, doomed.address)
    assert doomed.workers[0].wait(10) < 0
    assert len(kept) == 20
    same(found, run(tmp_path / "here", 1, slow=False))


@pytest.mark.usefixtures("short_pieces")
@pytest.mark.parametrize("doomed", [1], indirect=True)
def test_a_lost_scheduler_is_said_and_the_sweep_goes_on(
    doomed: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single worker does the work too; the scheduler is killed: one clear line, and the sweep goes on elsewhere."""
    with on_cluster(doomed.address):
        alone = run_all(whereabouts, [([], number) for number in range(3)], "counting")
        # The library's own account of a loss, a trace of many lines, is not shown beside ours.
        assert not logging.getLogger("distributed.client").isEnabledFor(logging.ERROR)
    assert logging.getLogger("distributed.client").isEnabledFor(logging.ERROR)
    assert {pid for _, pid, _ in alone} == {doomed.workers[0].pid}
    kept = strike(monkeypatch, lambda: doomed.scheduler.kill())
    with pytest.raises(CrossgateError, match=r"the scheduler of the cluster is lost .*; what was finished is kept"):
        run(tmp_path / "out", 2, doomed.address)
    done = len(kept)
    assert 3 <= done < 20
    found = run(tmp_path / "out", 1, slow=False)
    assert len(kept) == 20
    same(found, run(tmp_path / "here", 1, slow=False))


def strike(monkeypatch: pytest.MonkeyPatch, blow: Any) -> list[int]:
    """The pieces that are kept, as they come; at the third one the blow falls."""
    honest, kept = PieceStore.write, []

    def write(store: PieceStore, begin: int, tallies: Any) -> None:
        honest(store, begin, tallies)
        if store.folder.parent.name != "here":
            kept.append(begin)
        if len(kept) == 3:
            blow()

    monkeypatch.setattr(PieceStore, "write", write)
    return kept


def same(found: Any, other: Any) -> None:
    """Whether two sweeps came to the same bits."""
    assert found.table.equals(other.table)
    assert np.array_equal(found.sharpe, other.sharpe, equal_nan=True)
    assert np.array_equal(found.blocks, other.blocks)


def test_networks_train_on_a_cluster_to_the_same_bits(pair: Cluster) -> None:
    """The folds of a walk-forward are work like any other."""
    from markets.demo import demo_market
    from models.parameters import LSTMParams
    from models.walkforward import walk_forward

    market, model = demo_market(3, 2200), LSTMParams(hidden=4, steps=5, chunk=32)
    with on_cluster(pair.address):
        there = walk_forward(market, model, train="60d", test="31d", cache=False)
    here = walk_forward(market, model, train="60d", test="31d", cache=False, workers=1)
    assert there.fingerprint == here.fingerprint


def test_work_for_a_gpu_goes_to_workers_that_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a plain and a tagged worker the second one takes it all, and trains a group; without one it is said."""
    from planted_market import FEW, SHORT, TINY, planted_market

    from models.walkforward import walk_forward

    both = Cluster(1, gpus=1)
    market = planted_market(trend=0.6)
    model = TINY.replaced(device="cuda", start="zero", steps=1, learning_rate=0.05, averaging=0.0)
    words = {"walk": SHORT.replaced(scheme="holdout", seeds=1), "cache": False}
    try:
        both.ready()
        with on_cluster(both.address):
            calls = [([], number) for number in range(6)]
            for resource, taken in (("GPU", both.tagged), ("", both.tagged + both.workers)):
                found = run_all(whereabouts, calls, "counting", resource=resource)
                assert [number for number, _, _ in found] == list(range(6))
                assert {pid for _, pid, _ in found} == {one.pid for one in taken}
            there = walk_forward(market, model, FEW, **words).series["TEST"]
            both.tagged[0].kill()
            both.tagged[0].wait()
            monkeypatch.setattr(cluster, "PATIENCE", 1)
            with pytest.raises(ParameterError, match=r"no worker with the resource GPU; start .* --resources GPU=1"):
                walk_forward(market, model.replaced(steps=2), FEW, **words)
        here = walk_forward(market, model.replaced(device="cpu"), FEW, workers=1, **words).series["TEST"]
        assert np.abs((there.mean - here.mean) / here.sigma).max() < 1e-5
        assert np.ptp(here.mean / here.sigma) > 0.1
    finally:
        both.stop()


def test_a_cluster_that_is_not_there_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No scheduler, no worker, no address: one line each, with what to start."""
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    with pytest.raises(ParameterError, match=r"127\.0\.0\.1:9': does not answer; start one with"):
        on_cluster("tcp://127.0.0.1:9").__enter__()
    with pytest.raises(ParameterError, match=r"is no address that can be used, such as tcp://.*; start one with"):
        on_cluster("nonsense://x").__enter__()
    for word in ("tls", "ucx"):
        with pytest.raises(ParameterError, match=f"{word}://127.0.0.1:9': is no address that can be used"):
            on_cluster(f"{word}://127.0.0.1:9").__enter__()


def test_work_that_kills_every_worker_is_said(pair: Cluster) -> None:
    """It is not the scheduler that is lost."""
    from distributed import KilledWorker

    client = cluster.ClusterClient(pair.address, None)
    client._wait = lambda _: (_ for _ in ()).throw(KilledWorker("a", None, 3))  # type: ignore[method-assign]
    try:
        with pytest.raises(CrossgateError, match="workers of the cluster die at the same piece of work again and"):
            list(client.stream(whereabouts, [(1,)]))
    finally:
        client.close()


def test_a_cluster_without_workers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler alone does nothing: the line says how to start a worker."""
    empty = Cluster(0)
    try:
        empty.ready()
        monkeypatch.setattr(cluster, "PATIENCE", 1)
        with on_cluster(empty.address), pytest.raises(ParameterError, match=r"has no worker; start some with"):
            run_all(sweep_child.slow_range, [(1,)], "counting", workers=2)
    finally:
        empty.stop()
