"""Threads: results in order, taken as they are needed, the same whatever the number of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from null_markets import known_playback

from backtests.doubts import controls, ruin
from foundation import threads
from foundation.threads import AHEAD, map_threads


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may use three cores."""
    monkeypatch.setattr(threads, "processors", lambda: 3)


@pytest.mark.usefixtures("three")
def test_results_come_in_order_from_several_threads() -> None:
    """Each result stands where its item stood; the work was done by more than one thread."""
    meeting, names = threading.Barrier(3, timeout=20), set()

    def work(item: int) -> int:
        if item < 3:
            meeting.wait()
        names.add(threading.get_ident())
        return item * item

    assert list(map_threads(work, range(20), 20, "squares")) == [item * item for item in range(20)]
    assert len(names) == 3


@pytest.mark.usefixtures("three")
def test_items_are_taken_as_they_are_needed() -> None:
    """Before the first result is asked for no more items are made than wait for the threads."""
    taken = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    found = map_threads(lambda item: item, items(), 1000, "items")
    assert next(found) == 0
    assert len(taken) <= AHEAD * 3 + 1
    found.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("three")
def test_an_error_in_a_thread_is_raised_here() -> None:
    """The work ends with the first error."""

    def work(item: int) -> int:
        if item == 4:
            raise ValueError("the fourth")
        return item

    with pytest.raises(ValueError, match="the fourth"):
        list(map_threads(work, range(100), 100, "work"))


@pytest.mark.usefixtures("three")
def test_luck_and_ruin_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Played in three threads, draws and paths come to the same bits as in one."""
    playback = known_playback(1, 0.3)
    alone = controls.measure_controls(playback, runs=30, permutations=10), ruin.ruin_odds(playback, paths=12)
    monkeypatch.setattr(controls, "SMALL", 0)
    monkeypatch.setattr(ruin, "SMALL", 0)
    found = controls.measure_controls(playback, runs=30, permutations=10), ruin.ruin_odds(playback, paths=12)
    assert np.array_equal(found[0].random.fan.bands, alone[0].random.fan.bands)
    assert np.array_equal(found[0].random.sharpe, alone[0].random.sharpe)
    assert found[1] == alone[1]


@pytest.mark.usefixtures("three")
def test_after_an_interrupt_no_further_item_begins() -> None:
    """What three threads are at is finished, and nothing else: the longest item bounds how long that takes."""
    begun, gate = [], threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        if item >= 3:
            gate.wait(20)
        return item

    found = map_threads(work, range(100), 100, "items")
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    threading.Timer(0.1, gate.set).start()
    with pytest.raises(KeyboardInterrupt):
        found.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    assert len(begun) <= 6
