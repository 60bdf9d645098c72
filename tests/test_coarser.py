"""Feeds show the strategy the bars that the exchange plays: longer ones beside them when they are over, no others."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from kernel_cases import HOUR, market

from backtests.under_backtrader.broker import FuturesBroker
from backtests.under_backtrader.coarser import CoarserFeed
from backtests.under_backtrader.feed import CandleFeed
from backtests.under_backtrader.loop import Cerebro, StockLoopWarning
from foundation.errors import DataError, ParameterError
from markets.resampling import resample

OVER = market(np.random.default_rng(3), "ONE", 120, 1.0)


class Looking(bt.Strategy):
    """Keeps what both feeds show at every bar."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, float, float]] = []
        self.average = bt.ind.SMA(self.data1, period=3)

    def next(self) -> None:
        self.seen.append((self.data0.open_time, self.data1.open_time, self.data1.close[0], self.average[0]))
        if len(self) == 40:
            self.buy(size=1.0)


def played(*feeds: Any, loop: str = "stock", strategy: Any = Looking, **options: Any) -> Any:
    """The strategy after a run."""
    cerebro = Cerebro(loop=loop, **options)
    for feed in feeds:
        cerebro.adddata(feed)
    cerebro.broker = FuturesBroker()
    cerebro.addstrategy(strategy)
    return cerebro.run()[0]


@pytest.mark.parametrize("options", [{}, {"runonce": False}, {"runonce": False, "preload": False}])
def test_a_longer_bar_is_seen_when_it_is_over(options: dict[str, bool]) -> None:
    """At every hour the newest four hours are the last whole ones, and indicators count them, not hours."""
    ran = played(CandleFeed(dataname=OVER), CoarserFeed(dataname=OVER, bar="4h"), **options)
    longer = resample(OVER.candles, 4 * HOUR)
    assert len(ran.seen) > 100
    for now, opened, close, average in ran.seen:
        row = int(np.searchsorted(longer.timestamp + 4 * HOUR, now + HOUR, side="right")) - 1
        assert (opened, close) == (longer.timestamp[row], longer.close[row])
        assert opened + 4 * HOUR <= now + HOUR
        assert average == pytest.approx(longer.close[row - 2 : row + 1].mean())
    (fill,) = ran.broker.ledger.tables()[0].to_dict("records")
    assert fill["timestamp"].value == OVER.candles.timestamp[40]
    assert fill["price"] == OVER.candles.open[40]


def test_a_longer_bar_that_shows_its_close_early_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stamped at its own open, as Backtrader would have it, it is seen three hours before it is over."""
    monkeypatch.setattr(CoarserFeed, "days", CandleFeed.days)
    CandleFeed.days.__set_name__(CoarserFeed, "days")
    ran = played(CandleFeed(dataname=OVER), CoarserFeed(dataname=OVER, bar="4h"))
    assert any(opened + 4 * HOUR > now + HOUR for now, opened, _, _ in ran.seen)


def test_the_fast_loop_leaves_longer_bars_to_the_other_with_a_word() -> None:
    """And it comes to the same."""
    feeds = [(CandleFeed(dataname=OVER), CoarserFeed(dataname=OVER, bar="4h")) for _ in range(2)]
    with pytest.warns(StockLoopWarning, match="feeds of longer bars"):
        fast = played(*feeds[0], loop="fast")
    assert fast.seen == played(*feeds[1]).seen


def test_longer_bars_are_only_looked_at() -> None:
    """An order on them, alone or first of the feeds, bars of another market's clock, and no length: refused."""

    class Ordering(bt.Strategy):
        def next(self) -> None:
            self.buy(data=self.data1, size=1.0)

    longer = CoarserFeed(dataname=OVER, bar="4h")
    with pytest.raises(ParameterError, match=r"ONE 4h.*only looked at; order on the CandleFeed"):
        played(CandleFeed(dataname=OVER), longer, strategy=Ordering)
    with pytest.raises(ParameterError, match="comes first, and is only looked at"):
        played(CoarserFeed(dataname=OVER, bar="4h"), CandleFeed(dataname=OVER))
    with pytest.raises(DataError, match="has other bars than ONE"):
        played(CandleFeed(dataname=OVER), CoarserFeed(dataname=OVER.rows(8, 120), bar="4h"))
    for wrong in (None, "often", "90min"):
        with pytest.raises(ParameterError, match="bar"):
            CoarserFeed(dataname=OVER, bar=wrong)


def resampled(cerebro: Any) -> None:
    """Four hours made by Backtrader."""
    cerebro.resampledata(CandleFeed(dataname=OVER), timeframe=bt.TimeFrame.Minutes, compression=240)


def replayed(cerebro: Any) -> None:
    """The same, replayed."""
    cerebro.replaydata(CandleFeed(dataname=OVER), timeframe=bt.TimeFrame.Minutes, compression=240)


def filtered(cerebro: Any) -> None:
    """Other prices."""
    CandleFeed(dataname=OVER).addfilter(bt.filters.HeikinAshi)


def simply_filtered(cerebro: Any) -> None:
    """Bars left out."""
    CandleFeed(dataname=OVER).addfilter_simple(bool)


def set_later(cerebro: Any) -> None:
    """A date set on a feed that was made without."""
    feed = CandleFeed(dataname=OVER)
    feed.p.fromdate = dt.datetime(2023, 11, 18)
    cerebro.adddata(feed)


def again(cerebro: Any) -> None:
    """A clone of a feed, resampled."""
    feed = CandleFeed(dataname=OVER)
    cerebro.adddata(feed)
    cerebro.resampledata(feed, timeframe=bt.TimeFrame.Minutes, compression=240)


OTHER_BARS: dict[str, Callable[[Any], None]] = {
    "resampledata = 'ONE': .*CoarserFeed": resampled,
    "replaydata": replayed,
    "filter = 'HeikinAshi': .*cut the Market": filtered,
    "filter = ": simply_filtered,
    "feed = 'ONE': shows other bars": set_later,
    "is not cloned, resampled or replayed; .*CoarserFeed": again,
    "fromdate": lambda _: CandleFeed(dataname=OVER, fromdate=dt.datetime(2023, 11, 18)),
    "todate": lambda _: CandleFeed(dataname=OVER, todate=dt.date(2023, 11, 22)),
    "sessionstart": lambda _: CandleFeed(dataname=OVER, sessionstart=dt.time(9)),
    "sessionend": lambda _: CandleFeed(dataname=OVER, sessionend=dt.time(17)),
    "filters": lambda _: CandleFeed(dataname=OVER, filters=[bt.filters.HeikinAshi]),
}


def prepared(cerebro: Any, what: str) -> Any:
    """The Cerebro with a feed of other bars."""
    OTHER_BARS[what](cerebro)
    return cerebro


@pytest.mark.parametrize("loop", ["fast", "stock"])
@pytest.mark.parametrize("what", OTHER_BARS)
def test_other_bars_than_the_market_has_are_refused(what: str, loop: str) -> None:
    """One line says what to do instead; nothing is played on bars that the strategy does not see."""
    cerebro = Cerebro(loop=loop)
    cerebro.broker = FuturesBroker()
    cerebro.addstrategy(bt.Strategy)
    with pytest.raises(ParameterError, match=what):
        prepared(cerebro, what).run()


@pytest.mark.parametrize("loop", ["fast", "stock"])
def test_a_feed_that_shows_other_bars_all_the_same_is_stopped(loop: str) -> None:
    """The time on the line is held to the market's at every bar that is played."""

    class Shifted(CandleFeed):
        def _columns(self) -> dict[str, Any]:
            return {**super()._columns(), "datetime": self.days + 0.125}

    class Holding(bt.Strategy):
        def next(self) -> None:
            self.buy(size=1.0)

    with pytest.raises(DataError, match="ONE: shows the strategy another bar than bar"):
        played(Shifted(dataname=OVER), loop=loop, strategy=Holding)
