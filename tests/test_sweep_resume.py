"""Sweeps that are interrupted or killed: they stop at once, go on where they were, and come to the same bits."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sweep_child
from sweep_child import OVER, PIECE, STRATEGY, run, scene

import backtests.searches.sweeps as sweeps
from backtests.searches.piece_store import PieceStore
from backtests.searches.search_size import NANOSECONDS
from backtests.searches.sweeps import sweep
from foundation.errors import ParameterError
from foundation.trials import TrialLedger

TREE = Path(__file__).resolve().parent.parent
STALLS_AT = 12 * PIECE


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces as in the child, set back afterwards."""
    for name in ("PIECE", "SMALL", "play_range"):
        monkeypatch.setattr(sweeps, name, getattr(sweeps, name))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The sweep that nothing disturbed."""
    before = sweeps.PIECE, sweeps.SMALL, sweeps.play_range
    found = run(tmp_path_factory.mktemp("whole") / "out", 1, slow=False)
    sweeps.PIECE, sweeps.SMALL, sweeps.play_range = before
    return found


def start(folder: Path, workers: int) -> subprocess.Popen[str]:
    """A sweep in a process of its own, in a process group of its own, which never comes to its end by itself."""
    paths = os.pathsep.join((str(TREE), str(TREE / "tests")))
    environment = {**os.environ, "PYTHONPATH": paths, "SWEEP_STALLS_AT": str(STALLS_AT)}
    words = [sys.executable, str(TREE / "tests" / "sweep_child.py"), str(folder), str(workers)]
    child = subprocess.Popen(
        words, cwd=folder.parent, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    CHILDREN.append(child)
    return child


CHILDREN: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    """No sweep outlives its test, whatever comes of it."""
    yield
    while CHILDREN:
        child = CHILDREN.pop()
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()


def wait_for_pieces(folder: Path, count: int, child: subprocess.Popen[str]) -> None:
    """Returns when so many pieces are there."""
    # The child may have to compile the rules first, on a machine that has other things to do.
    until = time.monotonic() + 600.0
    while len(list((folder / "pieces").glob("[0-9]*.npy"))) < count:
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def same(found: Any, whole: Any, folder: Path) -> None:
    """Whether a sweep came to what the undisturbed one did, to the last bit, and left nothing unfinished."""
    assert found.table.equals(whole.table)
    assert np.array_equal(found.blocks, whole.blocks)
    assert found.trials == whole.trials
    kept = pd.read_parquet(folder / "settings.parquet")
    assert np.array_equal(kept["sharpe"].to_numpy(), whole.sharpe, equal_nan=True)
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == ["settings.parquet"]


@pytest.mark.usefixtures("short_pieces")
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_stops_at_once_and_the_same_sweep_goes_on(workers: int, tmp_path: Path, whole: Any) -> None:
    """Ctrl-C reaches the whole group: all of it is gone in moments, and what was finished is not played again."""
    folder = tmp_path / "out"
    child = start(folder, workers)
    wait_for_pieces(folder, 4, child)
    os.killpg(child.pid, signal.SIGINT)
    said, complained = child.communicate(timeout=20)
    assert (child.returncode, said.strip()) == (130, "interrupted"), complained
    assert "Traceback" not in complained
    with pytest.raises(ProcessLookupError):
        wait_for_the_end(child.pid)
    done = len(list((folder / "pieces").glob("[0-9]*.npy")))
    assert 4 <= done <= 12
    played: list[int] = []
    sweeps.play_range = lambda *words: played.append(words[2]) or sweep_child.HONEST(*words)
    sweeps.PIECE = PIECE
    ledger = TrialLedger(tmp_path / "ledger")
    same(sweep(*scene(), STRATEGY, over=OVER, workers=1, ledger=ledger, folder=folder), whole, folder)
    assert len(played) == 20 - done


def wait_for_the_end(group: int) -> None:
    """Raises ProcessLookupError when no process of a group is left."""
    for _ in range(200):
        os.killpg(group, 0)
        time.sleep(0.02)


@pytest.mark.usefixtures("short_pieces")
def test_a_killed_sweep_loses_a_piece_at_most(tmp_path: Path, whole: Any) -> None:
    """After SIGKILL every finished piece is there and whole; a damaged one is played again."""
    folder = tmp_path / "out"
    child = start(folder, 1)
    wait_for_pieces(folder, 3, child)
    child.kill()
    child.communicate()
    kept = sorted((folder / "pieces").glob("[0-9]*.npy"))
    assert len(kept) >= 3
    kept[0].write_bytes(kept[0].read_bytes()[:-9])
    same(run(folder, 1, slow=False), whole, folder)


@pytest.mark.usefixtures("short_pieces")
def test_an_unfinished_sweep_of_something_else_is_not_mixed_in(tmp_path: Path) -> None:
    """Other values, or rules compiled from another source, do not go on with these pieces; each is said."""
    folder, ours = tmp_path / "out", {"content": "a", "rules": "b", "settings": 6000}
    with PieceStore(folder, ours).opened():
        pass
    for change, said in (
        ({"settings": 5}, "6,000 settings, which are others"),
        ({"content": "x"}, "6,000 settings that differ from these, or were played on other data or forecasts"),
        ({"rules": "x"}, "6,000 settings, played by another version of crossgate or on another kind of processor"),
    ):
        with (
            pytest.raises(ParameterError, match=f"holds an unfinished sweep of {said}; go on with that, name"),
            PieceStore(folder, {**ours, **change}).opened(),
        ):
            pass
    with pytest.raises(ParameterError, match="holds an unfinished sweep of 6,000 settings, which are others"):
        run(folder, 1, slow=False)
    shutil.rmtree(folder)
    run(folder, 1, slow=False)


def test_large_grids_keep_the_best_and_the_figures_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the table holds the best by either measure, the file all, and nothing else differs."""
    small = sweep(*scene(), STRATEGY, over=OVER, ledger=TrialLedger(tmp_path / "a"))
    for name, value in (("WHOLE", 50), ("BEST", 20), ("MOST_BLOCKS", 100), ("PIECE", 33)):
        monkeypatch.setattr(sweeps, name, value)
    large = sweep(*scene(), STRATEGY, over=OVER, ledger=TrialLedger(tmp_path / "b"), folder=tmp_path / "out")
    assert not large.whole
    assert np.array_equal(large.sharpe, small.sharpe, equal_nan=True)
    assert np.array_equal(large.plateau, small.plateau, equal_nan=True)
    assert large.effects.equals(small.effects)
    assert large.table.equals(small.table.loc[large.table.index])
    for metric in ("sharpe", "plateau"):
        assert large.best(metric, 20)[metric].tolist() == small.best(metric, 20)[metric].tolist()
    assert large.blocks.shape == (100, 2, 16)
    assert {row.tobytes() for row in large.blocks} <= {row.tobytes() for row in small.blocks}
    batches = [TrialLedger(tmp_path / name).batches()[0] for name in ("a", "b")]
    assert batches[0] == batches[1]
    kept = pd.read_parquet(tmp_path / "out" / "settings.parquet")
    assert kept["sharpe"].equals(small.table["sharpe"].reset_index(drop=True))
    with pytest.raises(ParameterError, match="is kept for the best settings only"):
        large.best("calmar")


@pytest.mark.parametrize("bars", [300, 10_000, 5_000_000, 20_000_000])
def test_no_piece_takes_as_long_as_an_interrupt_may(bars: int) -> None:
    """Two seconds of a processor at twice what a bar and setting takes; what stops is held above, in pieces."""
    ground = SimpleNamespace(bars=bars)
    grid = range(5000)
    longest = max(end - begin for begin, end in sweeps._pieces(grid, ground))  # type: ignore[arg-type]
    assert longest * bars * 2.0 * NANOSECONDS / 1e9 <= 2.0
