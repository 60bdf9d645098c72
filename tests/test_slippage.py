"""Slippage: fixed, half-spread and square-root impact, on known numbers, by kind, and on the right volume."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from exchange_desk import ExchangeDesk
from simple_market import HOUR, START, contract, forecasts, market
from test_against_witness import first_difference

from backtests import AccountParams, CandleFeed, CostParams, FuturesBroker, backtest
from backtests.exchange.impact import checked_impact_units, impact_units
from foundation.errors import DataError, ParameterError
from markets.candles import Candles
from markets.market import Market
from reports.curves import equity_curve
from reports.sentences import assumptions
from reports.tables import cost_table
from strategies import CrossoverParams, RiskParams
from witness import WitnessAccount, WitnessBar, WitnessContract, WitnessOrder

PLAIN = WitnessContract(tick=0.5, lot=0.1, maintenance_rate=0.01)


def bar(close: float, volume: float, opened: float = 100.0) -> WitnessBar:
    """A bar from an open to a close, its mark the same."""
    last = (opened, max(opened, close), min(opened, close), close)
    return WitnessBar(*last, *last, volume=volume)


# Closes of 100, 102, 99.96: log returns of 0, ln 1.02 and -ln(1.02 / 0.9996).
PAST = [bar(100.0, 40.0), bar(102.0, 10.0), bar(99.96, 25.0, 102.0)]
SIGMA = math.sqrt((math.log(1.02) ** 2 + math.log(99.96 / 102) ** 2) / 2)
FILL = bar(100.0, 1e9)


def taken(side: int, quantity: float, **costs: Any) -> tuple[float, list[float]]:
    """The price at which a market order fills at an open of 100 after PAST, and the kinds of its slippage."""
    accounts: tuple[Any, Any] = (ExchangeDesk([PLAIN], 1e6, **costs), WitnessAccount([PLAIN], 1e6, **costs))
    for account in accounts:
        for one in PAST:
            account.play([one])
        account.submit(WitnessOrder(1, 0, "market", side, quantity, leverage=2.0))
        account.play([FILL])
    row, fill = accounts[0].fills[0][1], accounts[1].fills[0]
    assert float(row["price"]) == pytest.approx(fill.price, rel=1e-12)
    kinds = [float(row[name]) for name in ("slippage", "spread_cost", "impact_cost")]
    assert kinds == pytest.approx([fill.slippage, fill.spread_cost, fill.impact_cost], rel=1e-9)
    return fill.price, kinds


@pytest.mark.parametrize("side", [1, -1])
def test_each_kind_worsens_the_fill_by_what_it_says(side: int) -> None:
    """10 bps are 0.1, a half-spread of a tick is 0.5, 20 bps of half-spread 0.2; together their sum."""
    assert taken(side, 2.0, slippage_bps=10.0)[0] == pytest.approx(100 + side * 0.1)
    assert taken(side, 2.0, half_spread_ticks=1.0)[0] == pytest.approx(100 + side * 0.5)
    price, kinds = taken(side, 2.0, slippage_bps=10.0, half_spread_bps=20.0, half_spread_ticks=1.0)
    assert price == pytest.approx(100 + side * 0.8)
    assert kinds == pytest.approx([1.6, 1.4, 0.0])


@pytest.mark.parametrize("side", [1, -1])
def test_the_impact_grows_with_the_root_of_the_quantity_over_the_volume_before(side: int) -> None:
    """0.5 sigma sqrt(quantity / 17.5) over the two bars before; the 1e9 traded in the bar itself are not known yet."""
    for quantity in (1.0, 4.0, 16.0):
        price, kinds = taken(side, quantity, impact=0.5, impact_bars=2)
        move = 0.5 * SIGMA * math.sqrt(quantity / 17.5)
        assert math.log(price / 100) == pytest.approx(side * move)
        assert kinds == pytest.approx([abs(price - 100) * quantity, 0.0, abs(price - 100) * quantity])


@pytest.mark.parametrize("side", [1, -1])
def test_an_impact_beyond_the_law_counts_as_a_log_move_of_one(side: int) -> None:
    """Ten thousand times the volume would be a log move of 10: it is 1, and a price stays above zero."""
    price, _ = taken(side, 1000.0, impact=10.0, impact_bars=1)
    assert math.log(price / 100) == pytest.approx(side)


def test_fewer_bars_than_asked_for_are_all_there_are() -> None:
    """With 24 bars asked for after three, the three count: sigma over three returns, a mean volume of 25."""
    price, _ = taken(1, 4.0, impact=1.0)
    sigma = math.sqrt((math.log(1.02) ** 2 + math.log(99.96 / 102) ** 2) / 3)
    assert math.log(price / 100) == pytest.approx(sigma * math.sqrt(4.0 / 25.0))


def test_an_inverse_contract_counts_its_quantity_in_coin() -> None:
    """1,000 contracts of 1 USD at 100 are 10 coins: the move is that of 10 of a linear one."""
    inverse = WitnessContract(tick=0.5, lot=1.0, kind="inverse", face=1.0, maintenance_rate=0.01)
    costs: dict[str, Any] = {"impact": 1.0, "impact_bars": 2}
    for account in (ExchangeDesk([inverse], 1e3, **costs), WitnessAccount([inverse], 1e3, **costs)):
        for one in PAST:
            account.play([one])
        account.submit(WitnessOrder(1, 0, "market", 1, 1000.0, leverage=2.0))
        account.play([FILL])
        fill: Any = account.fills[0]
        price = float(fill[1]["price"]) if isinstance(fill, tuple) else fill.price
        assert math.log(price / 100) == pytest.approx(SIGMA * math.sqrt(10.0 / 17.5))


def walk(bars: int, parts: int = 1) -> Candles:
    """A random walk in hours, or in `parts` of an hour with the same moves and volume in an hour."""
    rng = np.random.default_rng(4)
    close = 1000 * np.exp(np.cumsum(rng.normal(0, 0.01 / math.sqrt(parts), bars * parts)))
    opened = np.concatenate(([1000.0], close[:-1]))
    stamps = START + HOUR // parts * np.arange(len(close))
    volume = rng.uniform(50, 150, len(close)) / parts
    return Candles(stamps, opened, np.maximum(opened, close), np.minimum(opened, close), close, volume, HOUR // parts)


def test_the_law_says_the_same_over_any_bar_length() -> None:
    """On quarters of an hour, with a quarter of the volume each, the impact is the same within its noise."""
    hours = impact_units(walk(4000), 500)[1000:].mean()
    quarters = impact_units(walk(4000, 4), 2000)[4000:].mean()
    assert quarters == pytest.approx(hours, rel=0.05)


def test_touched_bars_do_not_count() -> None:
    """A touched bar's volume, and the returns on either side of it, leave the windows; an empty one knows nothing."""
    candles = walk(6)
    touched = np.array([False, False, True, False, False, False])
    units = impact_units(replace(candles, touched=touched), 2)
    assert np.isnan(units[[0, 4]]).all()
    sigma = abs(math.log(candles.close[4] / candles.close[3]))
    assert units[5] == pytest.approx(sigma / math.sqrt(candles.volume[3:5].mean()))


def test_an_impact_without_volume_is_refused() -> None:
    """Candles without volume cannot say what an order does: one line with place and fix, before anything is played."""
    rows = walk(50)
    silent = replace(rows, volume=rows.volume * 0, source="a.parquet")
    told = r"^a.parquet: hold no volume, or no move, in the 24 bars before 2024-01-01 01:00 UTC \(row 1\); "
    with pytest.raises(DataError, match=told):
        checked_impact_units(silent, 24)
    over, account = Market(contract(), silent), AccountParams(missing_funding="zero")
    with pytest.raises(DataError, match=r"costs.impact = 0"):
        backtest(over, forecasts(over, np.zeros(50)), account=account, costs=CostParams(impact=1.0))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"half_spread": "1atr"}, "costs.half_spread = '1atr': should be a number with a unit"),
        ({"impact": -1.0}, "costs.impact = -1.0"),
        ({"impact": 11.0}, "costs.impact = 11.0"),
        ({"impact_bars": 0}, "costs.impact_bars = 0"),
    ],
)
def test_costs_that_cannot_be_are_refused(wrong: dict[str, Any], text: str) -> None:
    """Each is one line that names its key; the broker's keywords are checked by the same rule."""
    for build in (CostParams, FuturesBroker):
        with pytest.raises(ParameterError) as caught:
            build(**wrong)
        assert text in str(caught.value)


def costly(costs: CostParams) -> Any:
    """A result with a few dozen trades."""
    rows = [
        (float(o), float(h), float(lo), float(c))
        for o, h, lo, c in zip(*(getattr(walk(400), n) for n in ("open", "high", "low", "close")), strict=True)
    ]
    over = market(rows, taker_fee=0.0005)
    means = np.random.default_rng(2).normal(0, 0.01, 400)
    rule = CrossoverParams(fast=1, slow=2, average="sma", threshold="10bps")
    return backtest(over, forecasts(over, means), rule, RiskParams(), AccountParams(), costs)


def _cost_rows(result: Any) -> Any:
    return cost_table(result, equity_curve(result)).rows


def test_slippage_is_a_part_of_the_profit_and_is_told_by_kind() -> None:
    """The kinds sum to the slippage of every fill and of the run; the report shows each, and its lines still add up."""
    result = costly(CostParams(slippage_bps=1.0, half_spread="1tick", impact=0.3))
    fills, totals = result.fills, result.totals
    fixed = (fills["slippage"] - fills["spread_cost"] - fills["impact_cost"]).to_numpy()
    assert len(fills) > 40
    assert (fills["impact_cost"] > 0).any()
    assert (fixed > -1e-9).all()
    assert totals.slippage == pytest.approx(fills["slippage"].sum())
    assert totals.spread_cost == pytest.approx(fills["spread_cost"].sum())
    assert totals.impact_cost == pytest.approx(fills["impact_cost"].sum())
    lines = {row[0].text: float(row[1].text.replace("−", "-").replace(",", "")) for row in _cost_rows(result)}  # noqa: RUF001
    kinds = [f"{name}, inside the fill prices" for name in ("Fixed slippage", "Half-spread", "Market impact")]
    assert list(lines)[1:4] == kinds
    assert lines["Market impact, inside the fill prices"] == pytest.approx(-totals.impact_cost, abs=0.01)
    assert sum(list(lines.values())[:4]) == pytest.approx(lines["Profit at fill prices"], abs=0.03)
    worse = "1 bps, half a spread of 1tick and an impact of 0.3 sigma sqrt(quantity / volume)"
    assert any(worse in sentence for sentence in assumptions(result))


def test_dearer_costs_leave_less() -> None:
    """The same decisions with an impact, or a wider spread, end with less money."""
    plain = costly(CostParams(slippage_bps=0.0)).equity["equity"].iloc[-1]
    for dearer in (CostParams(slippage_bps=0.0, half_spread="2bps"), CostParams(slippage_bps=0.0, impact=0.1)):
        assert costly(dearer).equity["equity"].iloc[-1] < plain


def test_a_broker_by_hand_takes_the_same_costs() -> None:
    """Keywords of FuturesBroker: a half-spread of a tick on a market order at 100 fills it at 100.1."""

    class Once(bt.Strategy):
        def next(self) -> None:
            if len(self) == 1:
                self.buy(size=1.0)

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=market([(100.0, 100.0, 100.0, 100.0)] * 3)))
    cerebro.broker = FuturesBroker(cash=1000.0, half_spread="1tick", impact=0.5)
    cerebro.addstrategy(Once)
    cerebro.run()
    assert cerebro.broker.ledger.tables()[0]["price"].tolist() == [pytest.approx(100.1)]


class VolumeOfTheFill(ExchangeDesk):
    """Impact measured on the bar in which the order fills: it knows a volume that was not known."""

    def _impact(self, symbol: int) -> float:
        self.past[symbol].append(self.past[symbol][-1])
        unit = super()._impact(symbol)
        self.past[symbol].pop()
        return unit


class VolumeOneBarLate(ExchangeDesk):
    """Impact measured on the bars up to the last but one that closed."""

    def _impact(self, symbol: int) -> float:
        last = self.past[symbol].pop()
        unit = super()._impact(symbol) if self.past[symbol] else 0.0
        self.past[symbol].append(last)
        return unit


class TouchedBarsCount(ExchangeDesk):
    """Impact measured on the volumes of touched bars too."""

    def _impact(self, symbol: int) -> float:
        kept = self.past[symbol]
        self.past[symbol] = [(*row[:-1], False) for row in kept]
        unit = super()._impact(symbol)
        self.past[symbol] = kept
        return unit


class MeanVolumeNotRoot(ExchangeDesk):
    """Impact that grows with the quantity over volume, not with its root."""

    def _impact(self, symbol: int) -> float:
        return super()._impact(symbol) ** 2


@pytest.mark.parametrize("fault", [VolumeOfTheFill, VolumeOneBarLate, TouchedBarsCount, MeanVolumeNotRoot])
def test_a_planted_fault_in_the_impact_parts_exchange_and_witness(fault: type[ExchangeDesk]) -> None:
    """On some of a few lives with impact each fault leads to other fills than the witness's."""
    from market_cases import Weather, grow

    weather = Weather(volatility=0.02, gap=0.1, crash=0.03, flat=0.0, basis=0.0, funding=0.0, blocked=0.1)
    plain = {"slippage_bps": 1.0, "impact": 0.3, "impact_bars": 5}
    lives = (grow(seed, 1, 30, weather, ("open", "bracket", "close"), 0.5, plain) for seed in range(20))
    assert any(first_difference(life, fault) for life in lives)
