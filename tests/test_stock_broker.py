"""Backtrader's own broker and this one give the same fills, on strategies of every kind of order.

Leverage 1, no fees, no funding, a fine tick and lot. Where they differ on purpose, one test each says how.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from sample_strategies import (
    AtTheClose,
    Brackets,
    Fill,
    ManyFeeds,
    OneAtATime,
    OneCancelsOther,
    Recorded,
    Script,
    SmaCross,
    StopLimits,
    StopTrails,
    Targets,
)
from simple_market import flat, market, walk

from backtests import CandleFeed, FuturesBroker
from markets.candles import Candles
from markets.funding import Funding
from markets.market import Market

FINE = {"tick": 1e-7, "lot": 1e-6, "maintenance_rate": 1e-6}
SAMPLES = (SmaCross, OneCancelsOther, StopTrails, StopLimits, AtTheClose, Targets)


def play(over: list[Market], strategy: type[Recorded], broker: Any, **options: Any) -> Any:
    """The strategy after a run under a broker."""
    cerebro = bt.Cerebro(stdstats=False)
    for one in over:
        cerebro.adddata(CandleFeed(dataname=one))
    cerebro.broker = broker
    cerebro.addstrategy(strategy, **options)
    return cerebro.run()[0]


def stock(cash: float) -> Any:
    """Backtrader's own broker, with its defaults."""
    return bt.brokers.BackBroker(cash=cash)


def both(over: list[Market], strategy: type[Recorded], **options: Any) -> tuple[Any, Any]:
    """The strategy under Backtrader's own broker and under this one, with ample cash."""
    cash = 1e7
    return play(over, strategy, stock(cash), **options), play(over, strategy, FuturesBroker(cash=cash), **options)


def random_market(seed: int, gaps: bool = False, symbol: str = "TEST") -> Market:
    """Four hundred hourly bars, off any tick; with gaps, some open elsewhere than the bar before has closed."""
    chance = np.random.default_rng(seed)
    jumps = np.where(chance.random(400) < 0.1, chance.normal(0, 0.01, 400), 0.0) if gaps else np.zeros(400)
    table = np.array(walk(400, seed)) * np.exp(np.cumsum(jumps))[:, None]
    return market([tuple(row) for row in table.tolist()], symbol=symbol, **FINE)


def real_market(folder: Path, hours: slice) -> Market:
    """Recorded hours of BTCUSDT, without fees and funding."""
    frame = pd.read_parquet(folder / "ohlcv/binance_um_BTCUSDT_1h.parquet").iloc[hours]
    stamps = pd.to_datetime(frame["timestamp"], utc=True).dt.as_unit("ns").astype("int64").to_numpy()
    prices = [frame[name].to_numpy(float) for name in ("open", "high", "low", "close", "volume")]
    bars = Candles(stamps, *prices, 3_600_000_000_000)
    return Market(market(flat(2), **FINE).contract, bars, bars, Funding(stamps, np.zeros(len(stamps))))


def assert_same(stock: Any, ours: Any, least: int = 10) -> None:
    """The same fills and the same ends of what did not fill, and enough of them."""
    pairs = zip(stock.traded(), ours.traded(), strict=False)
    first = next((f"{theirs} {one}" for theirs, one in pairs if not alike(theirs, one)), "")
    assert first == ""
    assert len(stock.traded()) == len(ours.traded()) >= least
    assert sorted(stock.ends) == sorted(ours.ends)


def alike(one: Fill, other: Fill) -> bool:
    """The same trade, prices to the fine tick."""
    return one[:3] == other[:3] and abs(one[3] - other[3]) < 2e-4


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(
    "strategy", [SmaCross, OneCancelsOther, StopTrails, StopLimits, AtTheClose, Targets, ManyFeeds]
)
def test_samples_fill_as_under_backtrader_s_broker(strategy: type[Recorded], gaps: bool, seed: int) -> None:
    """Bar, symbol, size and price of every fill, and every cancelled or expired order, on random markets."""
    over = [random_market(seed, gaps), random_market(seed + 10, gaps, "OTHER")]
    assert_same(*both(over if strategy is ManyFeeds else over[:1], strategy))


@pytest.mark.parametrize("seed", range(8))
def test_single_orders_fill_as_under_backtrader_s_broker(seed: int) -> None:
    """Limits, stops, stop-limits and trails, some with a validity, some cancelled: the same fills and ends."""
    stock, ours = both([random_market(seed)], OneAtATime, seed=seed)
    assert_same(stock, ours)
    assert {"Expired", "Canceled"} <= {state for _, _, state in ours.ends}


@pytest.mark.parametrize("seed", [3, 5, 6])
def test_brackets_fill_as_under_backtrader_s_broker(seed: int) -> None:
    """Where no entry bar reaches an exit, brackets end alike: stop, target, expiry of the entry or of the exits."""
    assert_same(*both([random_market(seed)], Brackets))


@pytest.mark.parametrize(
    "strategy", [SmaCross, OneCancelsOther, StopTrails, StopLimits, AtTheClose, Targets, OneAtATime]
)
def test_samples_fill_alike_on_recorded_hours(strategy: type[Recorded], data_folder: Path) -> None:
    """Two thousand hours of BTCUSDT: the same fills and ends under both brokers."""
    assert_same(*both([real_market(data_folder, slice(4_000, 6_000))], strategy))


def prices(rows: list[Any], orders: dict[int, Any], **changes: Any) -> tuple[list[Any], list[Any]]:
    """Hour and price of every fill, under Backtrader's broker and under this one."""
    pair = both([market(rows, **(FINE | changes))], Script, orders=orders)
    return tuple([(int(row[0][6:8]), row[3]) for row in one.traded()] for one in pair)  # type: ignore[return-value]


@pytest.mark.parametrize(("give", "stop", "target"), [("buy_bracket", 95.0, 110.0), ("sell_bracket", 105.0, 90.0)])
def test_difference_one_the_exits_of_a_bracket_live_on_the_entry_bar(give: str, stop: float, target: float) -> None:
    """The entry bar goes through the stop, a later one to the target: a loss here, a win in Backtrader's broker."""
    later = (100, 112, 100, 100) if target > 100 else (100, 100, 88, 100)
    rows = [*flat(2), (100, 106, 94, 100), *flat(1), later, *flat(1)]

    def order(strategy: Any) -> None:
        make = getattr(strategy, give)
        make(size=1, exectype=bt.Order.Market, stopprice=stop, limitprice=target)

    theirs, ours = prices(rows, {1: order})
    assert sorted(ours) == sorted([(2, 100.0), (2, stop)])
    assert theirs == [(2, 100.0), (4, target)]


@pytest.mark.parametrize("side", [1, -1])
def test_difference_two_sizes_are_fractional(side: int) -> None:
    """A target of 500 at a price of 300 is 1.666666 units here, one unit in Backtrader's broker."""
    orders = {1: lambda s: s.order_target_value(target=side * 500.0)}
    theirs, ours = both([market(flat(4, 300.0), **FINE)], Script, orders=orders)
    assert [row[2] for row in theirs.traded()] == [side * 1]
    assert [row[2] for row in ours.traded()] == [pytest.approx(side * 500 / 300, abs=1e-6)]


@pytest.mark.parametrize(
    ("enter", "leave", "limit", "gap"), [("buy", "sell", 110.0, 112.0), ("sell", "buy", 90.0, 88.0)]
)
def test_difference_three_a_gap_beyond_a_target_gives_no_better_price(
    enter: str, leave: str, limit: float, gap: float
) -> None:
    """A target that the open has passed fills at its own limit here, at the better open in Backtrader's broker."""
    orders = {
        0: lambda s: getattr(s, enter)(size=1),
        1: lambda s: getattr(s, leave)(size=1, exectype=bt.Order.Limit, price=limit),
    }
    theirs, ours = prices([*flat(3), (gap, gap, gap, gap), *flat(1)], orders)
    assert ours == [(1, 100.0), (3, limit)]
    assert theirs == [(1, 100.0), (3, gap)]


@pytest.mark.parametrize("side", [1, -1])
def test_an_order_for_the_close_of_the_day_is_told_a_bar_earlier(side: int) -> None:
    """The same bar and price; Backtrader's broker tells of it only when the next day has begun."""
    told: dict[str, list[int]] = {"stock": [], "ours": []}

    class Told(Script):
        def notify_order(self, order: Any) -> None:
            if order.status == order.Completed:
                told["ours" if isinstance(self.broker, FuturesBroker) else "stock"].append(len(self) - 1)
            super().notify_order(order)

    rows = [(100 + i, 101 + i, 99 + i, 100.5 + i) for i in range(27)]
    orders = {5: lambda s: (s.buy if side > 0 else s.sell)(size=1, exectype=bt.Order.Close)}
    theirs, ours = both([market(rows, **FINE)], Told, orders=orders)
    assert ours.traded() == theirs.traded() == [("01-01 23:00", "TEST", float(side), 123.5)]
    assert told == {"stock": [24], "ours": [23]}


@pytest.mark.parametrize("strategy", [SmaCross, StopTrails, Targets])
def test_analyzers_agree_with_those_of_backtrader_s_broker(strategy: type[Recorded]) -> None:
    """Trades, drawdown, returns, Sharpe ratio and transactions; every bar's value by the default observers."""
    found = []
    for broker in (stock(100_000.0), FuturesBroker(cash=100_000.0)):
        cerebro = bt.Cerebro(stdstats=True)
        cerebro.adddata(CandleFeed(dataname=random_market(1)))
        cerebro.broker = broker
        cerebro.addstrategy(strategy)
        cerebro.addobserver(bt.observers.FundValue)
        cerebro.addobserver(bt.observers.FundShares)
        cerebro.addobserver(bt.observers.DrawDown)
        for name in ("TradeAnalyzer", "DrawDown", "TimeReturn", "SharpeRatio", "Transactions", "PyFolio", "Returns"):
            options = {"timeframe": bt.TimeFrame.Days} if name in ("TimeReturn", "SharpeRatio", "Returns") else {}
            cerebro.addanalyzer(getattr(bt.analyzers, name), _name=name, **options)
        ran = cerebro.run()[0]
        figures = {
            name: ran.analyzers.getbyname(name).get_analysis() for name in ("DrawDown", "TimeReturn", "SharpeRatio")
        }
        trades = ran.analyzers.TradeAnalyzer.get_analysis()
        figures |= {"trades": (trades.total.closed, trades.won.total), "pnl": trades.pnl.net.total}
        figures["returns"] = ran.analyzers.Returns.get_analysis()["rtot"]
        deals = ran.analyzers.Transactions.get_analysis()
        figures["deals"] = {day: sum(deal[0] * deal[1] for deal in row) for day, row in deals.items()}
        portfolio = ran.analyzers.PyFolio
        figures["daily"] = portfolio.rets["returns"]
        figures["held"] = {day: row[0] for day, row in portfolio.rets["positions"].items() if day != "Datetime"}
        observed = (ran.observers.broker.value, ran.observers.fundvalue.fundval, ran.observers.fundshares.fundshares)
        figures["lines"] = [list(line.array)[-400:] for line in observed]
        found.append(figures)
    for name, theirs in found[0].items():
        assert flattened(found[1][name]) == pytest.approx(flattened(theirs), rel=1e-6, abs=1e-6, nan_ok=True), name
    assert found[1]["trades"][0] >= 10


def flattened(value: Any) -> list[float]:
    """The numbers of nested tables, in order."""
    if isinstance(value, dict):
        return [number for key in value for number in flattened(value[key])]
    if isinstance(value, list | tuple):
        return [number for part in value for number in flattened(part)]
    return [] if value is None else [float(value)]
