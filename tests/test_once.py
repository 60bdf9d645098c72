"""Indicators worked out at once: the same doubles as Backtrader's own loops, or those loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from simple_market import market, walk

from backtests import CandleFeed, Cerebro, FuturesBroker
from backtests.under_backtrader import once
from backtests.under_backtrader.recurrences import exact_means, exact_sum

INDICATORS: dict[str, Callable[[Any], Any]] = {
    "SMA": lambda data: bt.ind.SMA(data, period=7),
    "EMA": lambda data: bt.ind.EMA(data, period=7),
    "SMMA of a line": lambda data: bt.ind.SMMA(data.high, period=5),
    "WMA": lambda data: bt.ind.WMA(data, period=6),
    "DEMA": lambda data: bt.ind.DEMA(data, period=5),
    "TEMA": lambda data: bt.ind.TEMA(data, period=4),
    "HullMA": lambda data: bt.ind.HullMovingAverage(data, period=9),
    "KAMA": lambda data: bt.ind.KAMA(data, period=6),
    "RSI": lambda data: bt.ind.RSI(data, period=6),
    "RSI_Safe": lambda data: bt.ind.RSI(data, period=6, safediv=True),
    "MACD": lambda data: bt.ind.MACDHisto(data, period_me1=4, period_me2=9, period_signal=3),
    "ATR": lambda data: bt.ind.ATR(data, period=5),
    "Bollinger": lambda data: bt.ind.BollingerBands(data, period=8),
    "Stochastic": lambda data: bt.ind.Stochastic(data, period=7),
    "Highest": lambda data: bt.ind.Highest(data.high, period=9),
    "Lowest": lambda data: bt.ind.Lowest(data.low, period=9),
    "ROC": lambda data: bt.ind.ROC(data, period=5),
    "CCI": lambda data: bt.ind.CCI(data, period=8),
    "ADX": lambda data: bt.ind.ADX(data, period=5),
    "Ichimoku": lambda data: bt.ind.Ichimoku(data, tenkan=4, kijun=8, senkou=16, senkou_lead=8, chikou=8),
    "ParabolicSAR": lambda data: bt.ind.PSAR(data),
    "crossing": lambda data: bt.ind.CrossOver(bt.ind.SMA(data, period=3), bt.ind.EMA(data, period=8)),
    "crossing of a constant": lambda data: bt.ind.CrossUp(data.close, bt.ind.SMA(data, period=2)),
    "difference": lambda data: data.close - data.open(-1),
    "scaled": lambda data: 2.0 * data.close / (data.high + 1) - 3,
    "negated": lambda data: -(data.close(-2)),
    "all of": lambda data: bt.And(data.close > data.open, data.close > data.close(-1), data.high >= data.close),
    "any of": lambda data: bt.Or(data.close < data.open, data.close <= data.close(-3)),
    "choice": lambda data: bt.If(data.close > data.open, data.high, data.low),
    "greatest": lambda data: bt.Max(data.close, data.close(-1), data.open, 990.0),
    "least": lambda data: bt.Min(data.close, data.close(-1), 1010.0),
    "quotient": lambda data: bt.DivByZero(data.close - data.open, data.close - data.close(-1), zero=-1.0),
    "sum": lambda data: bt.ind.SumN(data.volume, period=4),
    "standard deviation": lambda data: bt.ind.StdDev(data, period=6),
    "in steps": lambda data: bt.ind.Momentum(bt.ind.SMA(bt.ind.RSI(data, period=3), period=4), period=2),
}
# Those that Backtrader's loops work out, at least in part: powers, sums of all kinds, and what is called bar by bar.
WITHOUT_TWIN = {
    "sum",
    "WMA",
    "HullMA",
    "KAMA",
    "Bollinger",
    "standard deviation",
    "CCI",
    "ADX",
    "ParabolicSAR",
    "Ichimoku",
}


class Holder(bt.Strategy):
    """Makes one indicator, and keeps what it says at every bar."""

    params = (("make", None),)

    def __init__(self) -> None:
        self.made, self.said = self.p.make(self.data), []

    def next(self) -> None:
        self.said.append(self.made[0])


def lines(loop: str, make: Any, rows: list[Any]) -> tuple[list[np.ndarray], list[float]]:
    """All lines of an indicator over a market, and what a strategy saw of the first."""
    cerebro = Cerebro(loop=loop)
    cerebro.adddata(CandleFeed(dataname=market(rows)))
    cerebro.broker = FuturesBroker()
    cerebro.addstrategy(Holder, make=make)
    ran = cerebro.run()[0]
    made = ran.made.lines.lines if hasattr(ran.made.lines, "lines") else [ran.made]
    return [np.array(line.array) for line in made], ran.said


@pytest.mark.parametrize("name", INDICATORS)
def test_an_indicator_gives_the_same_doubles(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line at every bar, on a walk with bars that stand still; where it has twins, they are what ran."""
    rows = walk(120, 4)
    rows[40:44] = [rows[39][3:] * 4] * 4
    ran: list[str] = []
    for key, twin in once.TWINS.items():
        monkeypatch.setitem(once.TWINS, key, lambda *of, twin=twin: ran.append(twin.__name__) or twin(*of))
    fast, stock = lines("fast", INDICATORS[name], rows), lines("stock", INDICATORS[name], rows)
    assert len(fast[0]) == len(stock[0])
    for ours, theirs in zip(fast[0], stock[0], strict=True):
        assert ours.tobytes() == theirs.tobytes() or np.array_equal(ours, theirs, equal_nan=True)
    assert np.array_equal(fast[1], stock[1], equal_nan=True)
    assert ran or name in WITHOUT_TWIN


def test_a_division_by_zero_is_raised_as_by_backtrader() -> None:
    """A twin that cannot say the same leaves it to Backtrader's loop, with its errors."""
    for loop in ("fast", "stock"):
        with pytest.raises(ZeroDivisionError):
            lines(loop, lambda data: data.close / (data.open - data.open), walk(30, 1))


@given(
    values=arrays(np.float64, 40, elements=st.floats(-1e200, 1e200) | st.sampled_from([0.0, 1.0, 2.0**-53, 1e16])),
    period=st.integers(1, 40),
)
def test_sums_are_rounded_once(values: np.ndarray, period: int) -> None:
    """The exact sum is `math.fsum`, by the short way and the long one."""
    means = [math.fsum(values[k : k + period]) / period for k in range(len(values) - period + 1)]
    assert exact_means(values, period).tolist() == means
    assert exact_sum(values, np.empty(len(values) + 1)) == math.fsum(values)
