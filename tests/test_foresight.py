"""Foresight: looks at bars that have not come are found where they add orders, and where they leave some out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from planted_faults import mutated
from simple_market import HOUR, market, walk

import backtests.run.own_run as module
from backtests import CoarserFeed, run_strategy
from backtests.doubts.own_examination import own_odds
from backtests.run.foresight import other_bars, other_future
from foundation.errors import LookAheadError
from markets.market import Market
from markets.resampling import resample

OVER = market(walk(400, 5))


def acting(look: Callable[[Any, int], bool], every: int = 1) -> Any:
    """A strategy that buys where a look into the array of closes says so, and leaves at the next bar."""

    class Acting(bt.Strategy):
        def next(self) -> None:
            row, closes = len(self), self.data.close.array
            if self.position:
                self.close()
            elif row % every == 0 and look(closes, row):
                self.buy(size=0.1)

    return Acting


def ahead(closes: Any, row: int, bars: int = 1) -> float:
    """The return over some bars that have not come; 0 where there are none, so that no index goes too far."""
    end = row - 1 + bars
    return float(closes[end] / closes[row - 1]) - 1.0 if end < len(closes) else 0.0


LOOKS: dict[str, tuple[Callable[[Any, int], bool], int]] = {
    "buys before a rise": (lambda closes, row: ahead(closes, row) > 0.002, 1),
    "leaves out what falls": (lambda closes, row: ahead(closes, row) > -0.002, 10),
    "waits for what never comes": (lambda closes, row: row == 20 or ahead(closes, row) > 0.03, 1),
    "looks a day ahead": (lambda closes, row: ahead(closes, row, 24) > 0.0, 1),
    "by the highest of all": (lambda closes, row: closes[row - 1] < 0.97 * max(closes), 1),
}


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_into_the_array_is_found(name: str) -> None:
    """Also one that minds the array's end, and only leaves orders out or waits."""
    look, every = LOOKS[name]
    with pytest.raises(LookAheadError, match=r"gives other orders up to the bar of .* when other bars follow it"):
        run_strategy(acting(look, every), OVER)


def test_a_look_back_is_fine() -> None:
    """However much it trades."""

    def look(closes: Any, row: int) -> bool:
        return bool(row > 1 and closes[row - 1] > closes[row - 2])

    assert len(run_strategy(acting(look), OVER).fills) > 50


def test_a_strategy_is_not_told_of_an_end_that_is_none() -> None:
    """What it works out of a whole run at its end, or refuses of bars that were made up, is no look ahead."""

    class Mean(acting(lambda _, row: row > 300)):  # type: ignore[misc]
        def __init__(self) -> None:
            self.profits: list[float] = []

        def notify_trade(self, trade: Any) -> None:
            if trade.isclosed:
                self.profits.append(trade.pnl)

        def stop(self) -> None:
            print(sum(self.profits) / len(self.profits))

    assert len(run_strategy(Mean, OVER).fills) > 20

    class Sane(acting(lambda _, row: row % 7 == 0)):  # type: ignore[misc]
        def next(self) -> None:
            if len(self) > 1 and abs(self.data.close[0] / self.data.close[-1] - 1.0) > 0.04:
                raise ValueError("a bad price")
            super().next()

    assert len(run_strategy(Sane, OVER).fills) > 20


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("waits for what never comes", "in (*some, *map(int, drawn))", "in some"),
        ("buys before a rise", "    return replace(made, candles=other,", "    return replace(made, candles=candles,"),
    ],
    ids=["without quiet bars", "with its own bars"],
)  # fmt: skip
def test_a_check_that_looks_less_finds_less(name: str, right: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars without orders, and bars that are others, are what finds these."""
    monkeypatch.setattr(module, "check_ahead", mutated("backtests.run.foresight", right, wrong).check_ahead)
    look, every = LOOKS[name]
    assert len(run_strategy(acting(look, every), OVER).fills) > 0


def coarser(over: Market = OVER) -> Any:
    """A preparation that adds the four hours of a market, as whoever calls `run_strategy` has it at hand."""
    return lambda cerebro: cerebro.adddata(CoarserFeed(dataname=over, bar="4h"))


def trending(ahead: int) -> Any:
    """A strategy that is long while the longer bar `ahead` of the last one that is over closed above its open."""

    class Trending(bt.Strategy):
        def next(self) -> None:
            longer, row = self.data1, len(self.data1) - 1 + ahead
            closes = longer.close.array
            self.order_target_size(self.data0, 0.1 if row < len(closes) and closes[row] > longer.open.array[row] else 0)

    return Trending


@pytest.mark.filterwarnings("ignore::backtests.under_backtrader.loop.StockLoopWarning")
@pytest.mark.parametrize("symbol", ["TEST", "OTHER"])
def test_a_look_along_longer_bars_is_found(symbol: str) -> None:
    """They are built of the other bars that follow, of the traded market or of one that is looked at alone."""
    over = coarser(OVER if symbol == "TEST" else market(walk(400, 6), symbol=symbol))
    with pytest.raises(LookAheadError, match="gives other orders up to the bar of"):
        run_strategy(trending(1), OVER, prepare=over)
    assert len(run_strategy(trending(0), OVER, prepare=over).fills) > 20
    once = CoarserFeed(dataname=OVER, bar="4h")
    with pytest.raises(LookAheadError):
        run_strategy(trending(1), OVER, prepare=lambda cerebro: cerebro.adddata(once))


@pytest.mark.filterwarnings("ignore::backtests.under_backtrader.loop.StockLoopWarning")
def test_longer_bars_of_the_run_itself_hide_a_look_along_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows is the same in every playing, so nothing is found."""
    monkeypatch.setattr(module, "show_other", lambda *_: None)
    assert len(run_strategy(trending(1), OVER, prepare=coarser()).fills) > 20


@pytest.mark.filterwarnings("ignore::backtests.under_backtrader.loop.StockLoopWarning")
def test_longer_bars_go_with_the_bars_that_are_played(monkeypatch: pytest.MonkeyPatch) -> None:
    """On paths drawn again they are made of the path, which may be shorter, and a run of its own bars shows its own."""
    monkeypatch.setattr("backtests.doubts.own_examination.HORIZON_BARS", 200)
    kept: list[Any] = []

    def prepare(cerebro: Any) -> None:
        coarser()(cerebro)
        kept.append(cerebro)

    result = run_strategy(trending(0), OVER, prepare=prepare, check=False)
    assert result.own is not None
    own_odds(result.own, paths=2)
    result.own.again()
    own, *paths, again = [cerebro.datas for cerebro in kept]
    for feeds in (own, *paths, again):
        longer = resample(feeds[0].market.candles, 4 * HOUR)
        assert np.array_equal(feeds[1].market.candles.close, longer.close)
    assert len(paths[0][0].market.candles) < len(own[0].market.candles)
    assert np.array_equal(own[1].market.candles.close, again[1].market.candles.close)


@pytest.mark.parametrize("rising", [True, False])
def test_the_bars_that_follow_are_others(rising: bool) -> None:
    """Those up to the row are the same, the next one jumps, each is a sound bar of the market's own shapes."""
    own, end = OVER.candles, 150
    other = other_bars(own, end, rising=rising)
    for name in ("open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(other, name)[: end + 1], getattr(own, name)[: end + 1])
    step = np.log(other.close / np.concatenate((other.close[:1], other.close[:-1])))
    assert (step[end + 1] > 0.005) if rising else (step[end + 1] < -0.005)
    expected = np.sort(np.diff(np.log(own.close[end:])))
    found = np.sort(step[end + 2 :]) if rising else np.sort(-step[end + 2 :])
    assert np.isin(np.round(found, 9), np.round(expected, 9)).all()
    future = other_future(OVER, end, rising=rising)
    assert len(future.candles) == len(own)
    assert future.mark is not None
    assert len(future.mark) == end + 1
    assert future.funding is not None
    assert (future.funding.timestamp <= own.timestamp[end]).all()
