"""The bars of a run: written some at a time they are those written at once, and they are there when they are played."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from kernel_cases import market
from loop_cases import Random, difference, play

from backtests.exchange import bars
from backtests.exchange.bars import BarSource, BarWindow
from backtests.exchange.records import BAR
from foundation.errors import DataError
from markets.market import Market

PAGE = mmap.PAGESIZE // BAR.itemsize


def markets(seed: int, count: int = 400, finer: str = "marked") -> tuple[Market, ...]:
    """Two markets with marks, funding and bars that were touched by cleaning; the first with finer candles."""
    random = np.random.default_rng(seed)
    return market(random, "ONE", count, 1.0, finer=finer), market(random, "TWO", count, 1.0)


def at_once(source: BarSource) -> Any:
    """All bars of a source, written in one piece."""
    found = np.zeros((len(source.markets), len(source.markets[0].candles)), dtype=BAR)
    source.write(found, slice(0, found.shape[1]))
    return found


@given(seed=st.integers(0, 99), size=st.integers(1, 60), impact=st.sampled_from([0, 24]))
def test_parts_are_the_whole(seed: int, size: int, impact: int) -> None:
    """Marks, funding, impact and finer rows do not hang on how many bars are written at a time."""
    try:
        source, found = BarSource(markets(seed, 50), impact), np.zeros((2, 50), dtype=BAR)
    except DataError:
        assume(False)
    whole = at_once(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bars, "AT_ONCE", size)
        source.write_all(found)
    assert found.tobytes() == whole.tobytes()
    assert whole["funded"].any()
    assert whole["finer_count"][0].any()
    assert bool(whole["impact"].any()) is bool(impact)


def test_a_window_holds_what_was_asked_for_and_gives_back_what_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row is right when it is reached, those of the other market too, and those behind take no memory."""
    monkeypatch.setattr(bars, "AT_ONCE", 16)
    source = BarSource(markets(3))
    window, whole = BarWindow(source), at_once(source)
    for first in range(0, 400, 7):
        end = min(first + 50, 400)
        window.reach(first, end)
        assert window.records[:, first:end].tobytes() == whole[:, first:end].tobytes()
        assert window.written - end < 16
    if hasattr(mmap, "MADV_DONTNEED"):
        kept = 399 // 7 * 7 - 50 - 2 * PAGE
        assert kept > PAGE
        assert not any(window.records["close"][s, PAGE:kept].any() for s in (0, 1))


@pytest.mark.parametrize("loop", ["fast", "stock"])
@pytest.mark.parametrize("finer", ["none", "marked"])
def test_a_run_does_not_hang_on_how_many_bars_are_there(monkeypatch: pytest.MonkeyPatch, loop: str, finer: str) -> None:
    """Orders of every kind, with bars written five at a time, come to what they do with all of them."""
    over, options = markets(5, finer=finer), {"seed": 2, "chance": 0.05, "cash": 5_000.0}
    whole = play(over, Random, loop, **options)
    monkeypatch.setattr(bars, "AT_ONCE", 5)
    monkeypatch.setattr("backtests.kernel.playing.LONGEST", 8)
    monkeypatch.setattr("backtests.kernel.playing.SHORTEST", 2)
    assert difference(play(over, Random, loop, **options), whole) == ""


def test_bars_that_are_not_there_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that begins a bar late changes what orders come to: the runs above can fail."""
    over, options = markets(5, finer="none"), {"seed": 2, "chance": 0.05, "cash": 5_000.0}
    whole = play(over, Random, "fast", **options)
    honest = BarSource.write
    monkeypatch.setattr(
        BarSource, "write", lambda one, room, rows: honest(one, room, slice(min(rows.start + 1, 399), rows.stop))
    )
    monkeypatch.setattr(bars, "AT_ONCE", 40)
    assert difference(play(over, Random, "fast", **options), whole) != ""
