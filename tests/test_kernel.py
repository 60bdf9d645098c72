"""The kernel, Backtrader and a plain-Python trader on the witness account: the same fills, the same equity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from kernel_cases import HOUR, Match, matches
from planted_faults import mutated
from test_kernel_faults import calm, match
from test_telling import OLD
from witness_cases import trader_of

from backtests.kernel.tally import rate
from backtests.run.recount import first_apart
from backtests.run.solo import Solo
from backtests.under_backtrader import broker
from markets.funding import Funding
from models.forecasts import Forecasts
from reports.metrics import compute_metrics


@settings(max_examples=40)
@given(match=matches())
def test_kernel_and_backtrader_agree(match: Match) -> None:
    """Every fill to the last bit, equity at every bar to 1e-9, and every metric that both state."""
    solo, result = match.kernel(), match.backtrader()
    assert solo.part_from(result) == ""
    years, cash = match.markets[0].bars_per_year, match.account.cash
    theirs, ours = rate(solo.tally, years, cash), compute_metrics(result, ())
    assert first_apart({name: float(values[0]) for name, values in theirs.items()}, result) == ""
    for name, values in theirs.items():
        expected = ours[name]
        found = float(values[0])
        if expected is None:
            assert np.isnan(found), name
        else:
            assert found == pytest.approx(expected, rel=1e-6, abs=1e-9), name


def witness_difference(match: Match, solo: Solo) -> str:
    """Where the kernel and the witness part: a fill's bar, side, reason, quantity, price or cash, or a bar's equity."""
    trader = trader_of(match).play()
    stamps = trader.stamps
    fills = trader.account.fills
    if len(fills) != len(solo.fills):
        return f"fills {len(fills)} {len(solo.fills)}"
    for fill, row in zip(fills, solo.fills.itertuples(), strict=True):
        if stamps[fill.bar] != row.timestamp.value or (fill.side > 0) != (row.side == "buy"):
            return f"{fill} {row}"
        pairs = [(getattr(fill, name), getattr(row, name)) for name in ("quantity", "price", "fee", "cash", "position")]
        if any(abs(a - b) > 1e-9 * max(abs(a), abs(b), match.account.cash) for a, b in pairs):
            return f"{fill} {row}"
        if fill.reason != row.reason:
            return f"{fill.reason} {row.reason}"
    apart = np.abs(np.array(trader.curve) - solo.equity) > 1e-9 * np.maximum(np.abs(solo.equity), match.account.cash)
    return f"equity at bar {int(np.argmax(apart))}" if apart.any() else ""


@pytest.mark.parametrize("seed", [0, 1, 2, 4, 5])
def test_long_holds(seed: int) -> None:
    """Positions on which nothing happens for a hundred bars: the fills and equity of Backtrader and the witness."""
    sides = {"rule": "crossover", "fast": 20, "slow": 100} if seed % 2 else {"rule": "buy_and_hold"}
    risk = {"sizing": "leverage", "leverage": 2.0, "stop_loss": "1%", "take_profit": "1.5%"}
    one = calm(match(seed, 1, risk, sides, wild=0.08))
    solo, result = one.kernel(), one.backtrader()
    assert solo.part_from(result) == ""
    assert witness_difference(one, solo) == ""
    rows = np.searchsorted(solo.stamps, solo.fills["timestamp"].dt.as_unit("ns").astype(np.int64))
    assert np.diff(np.append(rows, len(solo.stamps)))[::2].max() > 64


@pytest.mark.parametrize("sizing", [{"sizing": "kelly"}, {"sizing": "forecast_volatility"}, {"stop_loss": "2sigma"}])
@pytest.mark.parametrize("sigma", [0.0, 1e-170])
def test_a_sigma_of_zero_opens_nothing_that_rests_on_it(sizing: dict[str, Any], sigma: float) -> None:
    """Neither in the kernel, in Backtrader nor by the witness: its bars are passed over with the reason."""
    one = match(1, 1, sizing, {"rule": "crossover"})
    series = one.forecasts.series["ONE"]
    still = np.arange(len(series)) < len(series) // 2
    series = replace(series, sigma=np.where(still, sigma, series.sigma))
    one = replace(one, forecasts=Forecasts({"ONE": series}))
    solo, result = one.kernel(), one.backtrader()
    assert solo.part_from(result) == ""
    assert witness_difference(one, solo) == ""
    begun, opened = pd.Timestamp(series.timestamp[still][-1], tz="UTC"), result.fills["reason"] == "entry"
    assert result.fills.loc[opened, "timestamp"].min() > begun
    passed = result.decisions[result.decisions["timestamp"] <= begun]
    assert (passed["reason"] == "size or exits not known yet").sum() > 5


@pytest.mark.parametrize("seed", [11, 12, 20, 51])
def test_a_stop_a_reversal_and_its_liquidation_on_one_bar(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one bars the side, under every driver; a broker that tells of orders by what is left of them parts."""
    stops = {"stop_loss": "9%", "break_even": "1%", "take_profit": "off"}
    risk = {"sizing": "fraction", "fraction": 0.05, "leverage": 20.0, **stops}
    one = match(seed, 1, risk, {"rule": "forecast", "threshold": "0bps"}, wild=3.0, lot=0.07)
    solo = one.kernel()
    bars = solo.fills.groupby("timestamp")["reason"].agg(tuple)
    assert ("break_even", "entry", "liquidation") in set(bars)
    assert solo.part_from(one.backtrader()) == ""
    assert witness_difference(one, solo) == ""
    monkeypatch.setattr(broker, "Teller", mutated("backtests.under_backtrader.telling", *OLD).Teller)
    assert solo.part_from(one.backtrader()) != ""


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_positions_pay_funding_before_one_is_taken_over(seed: int) -> None:
    """The cash at a fill at the close is that after the funding of every symbol, under every driver."""
    far = {"sizing": "fraction", "fraction": 0.05, "leverage": 40.0, "stop_loss": "off", "take_profit": "off"}
    one = match(seed, 3, far, {"rule": "crossover"}, wild=0.3)
    random, markets = np.random.default_rng(seed), []
    for market in one.markets:
        stamps = market.candles.timestamp[::5] + HOUR // 2
        markets.append(replace(market, funding=Funding(stamps, random.normal(0.0, 0.05, len(stamps)), "case")))
    one = replace(one, markets=tuple(markets))
    solo = one.kernel()
    assert solo.part_from(one.backtrader()) == ""
    assert witness_difference(one, solo) == ""
    assert (solo.fills["reason"] == "liquidation").sum() > 3


@settings(max_examples=40)
@given(match=matches())
def test_kernel_and_witness_agree(match: Match) -> None:
    """A trader written again in plain Python, on an account written again, makes the same fills and the same money."""
    assert witness_difference(match, match.kernel()) == ""
