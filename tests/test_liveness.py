"""Lines inside indicators are let go as soon as nothing reads them, and no sooner."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pytest
from loop_cases import Watched, play
from simple_market import market, walk

from backtests import CandleFeed, Cerebro, FuturesBroker
from backtests.under_backtrader import liveness, once
from backtests.under_backtrader.cursor import lines_of


class Crossing(bt.Strategy):
    """Two averages and their crossing: 20 lines, of which it holds three itself."""

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=3), bt.ind.SMA(period=5))


def most_held(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many lines of a Crossing hold values at once."""
    held, every = [], []

    def inside(indicator: Any) -> Any:
        yield indicator
        for inner in indicator.getindicators():
            yield from inside(inner)

    honest, begin = once._fill, once.work_out

    def counted(indicator: Any) -> None:
        honest(indicator)
        held.append(sum(1 for line in every if len(line.array)))

    def noted(strategy: Any) -> None:
        every.extend(line for top in strategy.getindicators() for one in inside(top) for line in lines_of(one))
        begin(strategy)

    monkeypatch.setattr(once, "_fill", counted)
    monkeypatch.setattr("backtests.under_backtrader.loop.work_out", noted)
    play((market(walk(60, 1)),), Crossing, "fast")
    assert len(every) == 20
    assert sum(1 for line in every if len(line.array)) == 3
    return max(held)


def test_few_lines_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20 lines eight at most hold values; twice as many do where all of a crossing waits for its end."""
    assert most_held(monkeypatch) <= 8
    monkeypatch.setattr(liveness, "_looks_elsewhere", lambda one: isinstance(one, bt.ind.CrossOver))
    assert most_held(monkeypatch) > 12


class Range(bt.Indicator):
    """An indicator of a user's own that reads a line inside another one, by a way that nobody can foresee."""

    lines: Any = ("range",)
    params = (("of", None),)

    def __init__(self) -> None:
        self.helper = type("Helper", (), {"one": self.p.of[0].getindicators()[0]})()

    def once(self, start: int, end: int) -> None:
        inner, own = self.helper.one.array, self.lines.range.array
        for i in range(start, end):
            own[i] = inner[i] + 1.0


class Peeking(Watched):
    """Holds it."""

    def __init__(self) -> None:
        super().__init__()
        self.average = bt.ind.SMA(self.data, period=3)
        self.difference = bt.ind.EMA(self.data.close - self.average, period=2)
        self.range = Range(self.data, of=[self.difference])

    def prenext(self) -> None:
        pass

    def next(self) -> None:
        self.seen.append((self.range[0], self.difference[0]))


def test_an_indicator_of_a_users_own_finds_all_lines_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both loops come to the same; without that care the fast one would find an empty line."""
    over = (market(walk(60, 1)),)
    fast, stock = (play(over, Peeking, loop)[0] for loop in ("fast", "stock"))
    assert np.array_equal(fast.seen, stock.seen, equal_nan=True)
    assert np.isfinite([row[0] for row in fast.seen]).any()
    monkeypatch.setattr(liveness, "_looks_elsewhere", lambda _: False)
    with pytest.raises(IndexError):
        play(over, Peeking, "fast")


class Writing(bt.Strategy):
    """Writes to a line of its feed, and asks for several values at once."""

    def next(self) -> None:
        if len(self) == 20:
            self.data.close[0] = 7.0
            self.got = list(self.data.close.get(size=3)), self.data.high.get(size=2) + self.data.high.get(size=1)


@pytest.mark.parametrize("loop", ["fast", "stock"])
def test_lines_of_a_feed_may_be_written_to_and_the_market_stays(loop: str) -> None:
    """They are the candles themselves until somebody writes to them; what is asked for is an array as ever."""
    over = market(walk(60, 1))
    close, high = over.candles.close.tolist(), over.candles.high.tolist()
    ran = play((over,), Writing, loop)[0]
    assert ran.got[0] == [*close[17:19], 7.0]
    assert list(ran.got[1]) == [*high[18:20], high[19]]
    assert list(ran.data.close.array) == [*close[:19], 7.0, *close[20:]]
    assert over.candles.close.tolist() == close


@pytest.mark.parametrize("loop", ["fast", "stock"])
def test_the_fast_loop_reads_the_candles_themselves(loop: str) -> None:
    """Backtrader's loop has lines of its own."""
    cerebro, over = Cerebro(loop=loop), market(walk(60, 1))
    cerebro.adddata(CandleFeed(dataname=over))
    cerebro.broker = FuturesBroker()
    cerebro.addstrategy(bt.Strategy)
    line = cerebro.run()[0].data.close
    assert np.shares_memory(np.asarray(line.array), over.candles.close) is (loop == "fast")
