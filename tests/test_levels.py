"""Stops and targets of trades, and what a page carries for its scripts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from result_factory import HOUR, START, Trade, make_forecasts, make_market, make_result, make_trades

import crossgate as cg
from backtests.run.result import Result
from foundation.trials import TrialLedger
from models import Forecasts, ForecastSeries
from models.evidence import bounds_of
from reports.findings import Findings, find
from reports.levels import trade_levels
from reports.metrics import asked_tracks
from reports.packing import pack, unpack
from reports.payload import Groups, payload
from reports.templating import CHARTS
from reports.trades import list_trades
from strategies.averages import average_true_range

VENDOR = Path(__file__).resolve().parent.parent / "reports" / "templates" / "vendor"


def findings_of(result: Result) -> Findings:
    """The findings about a result without baselines."""
    return find(result, {}, TrialLedger())


def cancelled(row: int, side: str, kind: str, price: float, reason: str) -> dict[str, Any]:
    """An order that went when its trade ended at a bar."""
    stamp = pd.Timestamp(START + row * HOUR, tz="UTC")
    return {
        "timestamp": stamp, "symbol": "TESTUSDT", "side": side, "quantity": 1.0, "status": "cancelled",
        "reason": reason, "kind": kind, "price": price, "position": 0.0, "cash": 0.0,
    }  # fmt: skip


def test_levels_come_from_the_exit_and_from_what_it_cancelled() -> None:
    """A stop exit tells the stop, less slippage, the cancelled limit the target; of two targets the farther counts."""
    market = make_market([100.0] * 3 + [90.0] * 3 + [80.0] * 6)
    trades = [
        Trade(1, 2.0), Trade(3, -2.0, "stop_loss", slippage=1.0), Trade(4, -2.0),
        Trade(7, 2.0, "take_profit"), Trade(8, 1.0), Trade(9, -1.0, "signal"), Trade(10, 1.0),
    ]  # fmt: skip
    other, closed = "other order of the bracket filled", "position closed"
    orders = [
        cancelled(3, "sell", "limit", 120.0, other), cancelled(3, "sell", "limit", 130.0, other),
        cancelled(7, "buy", "stop", 99.0, other), cancelled(9, "sell", "stop", 70.0, closed),
        cancelled(9, "sell", "limit", 95.0, closed), cancelled(9, "buy", "limit", 1.0, closed),
    ]  # fmt: skip
    result = make_result(market, trades, orders=pd.DataFrame(orders))
    stop, target = trade_levels(result, list_trades(result))
    fills = result.fills["price"].to_numpy()
    np.testing.assert_allclose(stop, [fills[1] + 0.5, 99.0, 70.0, np.nan])
    np.testing.assert_allclose(target, [130.0, fills[3], 95.0, np.nan])


def test_levels_of_the_engine_stand_on_the_right_sides() -> None:
    """In a run of the engine every trade that a stop or target ended has both, on either side of its entry."""
    market = cg.demo_market(bars=900)
    stamps, zeros = market.candles.timestamp[300:], np.zeros(600)
    assert market.oracle is not None
    series = ForecastSeries(stamps, market.oracle[300:], zeros + 0.006, stamps - 1, zeros)
    risk = cg.RiskParams(leverage=3, stop_loss="2atr", take_profit="4atr")
    strategy = cg.CrossoverParams(fast=5, slow=10, threshold="0.05cost")
    result = cg.backtest(market, Forecasts({market.symbol: series}), strategy, risk)
    trades = list_trades(result)
    stop, target = trade_levels(result, trades)
    ended = trades["exit_reason"].isin(("stop_loss", "take_profit")).to_numpy()
    assert ended.sum() > 5
    sign = np.where(trades["side"] == "long", 1.0, -1.0)
    assert (sign * (trades["entry_price"] - stop) > 0.0)[ended].all()
    assert (sign * (target - trades["entry_price"]) > 0.0)[ended].all()


@given(st.lists(st.floats(width=32), max_size=60), st.lists(st.integers(-(2**30), 2**30), max_size=60))
def test_what_is_packed_is_read_back(floats: list[float], whole: list[int]) -> None:
    """Floats of 32 bits, NaN and infinity among them, exact ones and whole numbers come back as they were."""
    np.testing.assert_array_equal(unpack(pack(np.array(floats, dtype=np.float64))), np.float32(floats))
    exact = np.array(floats, dtype=np.float64) / 3.0
    np.testing.assert_array_equal(unpack(pack(exact, exact=True)), exact)
    np.testing.assert_array_equal(unpack(pack(np.array(whole, dtype=np.int64))), whole)
    json.dumps(pack(np.array(floats, dtype=np.float64)), allow_nan=False)


def test_a_number_that_does_not_fit_is_refused() -> None:
    """A difference beyond 32 bits is an error, never another number."""
    with pytest.raises(OverflowError, match="32 bits"):
        pack(np.array([0, 2**31]))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(1, 50))
def test_groups_of_bars_lose_no_extreme(values: list[float], most: int) -> None:
    """Grouped bars keep the first open, the last close and every extreme, in no more groups than asked for."""
    array = np.array(values)
    groups = Groups(len(array), most)
    parts = [array[start : start + groups.size] for start in range(0, len(array), groups.size)]
    assert len(parts) <= most
    for method, expected in (("first", 0), ("last", -1)):
        np.testing.assert_array_equal(getattr(groups, method)(array), [part[expected] for part in parts])
    np.testing.assert_array_equal(groups.most(array), [part.max() for part in parts])
    np.testing.assert_array_equal(groups.least(array), [part.min() for part in parts])


def test_the_payload_holds_the_run() -> None:
    """Candles, equity, drawdown and trades of the payload are those of the result; equal runs give equal text."""
    markets = [make_market(symbol=name, seed=seed) for seed, name in enumerate(("AUSDT", "BUSDT"))]
    trades = [Trade(1, 5.0, symbol="AUSDT"), Trade(9, -5.0, "signal", symbol="AUSDT"), Trade(3, -5.0, symbol="BUSDT")]
    result = make_result(markets, trades, forecasts=make_forecasts(markets))
    text = payload(findings_of(result))
    assert text == payload(findings_of(result))
    content = json.loads(text)
    account, table = content["account"], content["trades"]
    np.testing.assert_array_equal(unpack(account["time"]), markets[0].candles.timestamp // 10**9)
    np.testing.assert_allclose(unpack(account["equity"]), result.equity["equity"], rtol=1e-6)
    assert unpack(account["drawdown"]).max() == 0.0
    for one, market in zip(content["markets"], markets, strict=True):
        for name in ("open", "high", "low", "close"):
            np.testing.assert_allclose(unpack(one[name]), getattr(market.candles, name), rtol=1e-6)
    assert [unpack(table["market"])[at] for at in range(2)] == [0, 1]
    assert [len(table[name]) for name in ("heads", "keys")] == [14, 14]
    np.testing.assert_array_equal(unpack(table["opened"]), (START + np.array([1, 3]) * HOUR) // 10**9)
    np.testing.assert_array_equal(unpack(table["closed"]), [(START + 9 * HOUR) // 10**9, 0])


def test_the_payload_tells_how_near_liquidation_was_and_what_margin_was_in_use() -> None:
    """From the close in average true ranges, unknown without a level; margin as a share of equity."""
    market = make_market(bars=200)
    result = make_result(market, [Trade(50, 5.0), Trade(150, -5.0, "signal")])
    levels = np.where(result.positions["position"] != 0.0, 0.4 * market.candles.close, np.nan)
    margin = 0.25 * result.equity["equity"] * (result.positions["position"].to_numpy() != 0.0)
    result = replace(
        result,
        positions=result.positions.assign(liquidation_price=levels), equity=result.equity.assign(margin=margin),
    )  # fmt: skip
    content = json.loads(payload(findings_of(result)))
    candles, held = market.candles, ~np.isnan(levels)
    atr = average_true_range(candles.high, candles.low, candles.close, result.risk.atr_bars)
    assert held.any()
    assert not held.all()
    np.testing.assert_allclose(
        unpack(content["markets"][0]["ranges"]), np.where(held, 0.6 * candles.close / atr, np.nan), rtol=1e-6
    )
    np.testing.assert_allclose(unpack(content["account"]["margin"]), 0.25 * held, rtol=1e-6)


def test_a_forecast_interval_stands_at_the_bar_it_speaks_of() -> None:
    """The interval drawn at a bar was issued at the close before, around that close."""
    result = make_result(make_market(bars=600), make_trades(600))
    content = json.loads(payload(findings_of(result)))["markets"][0]
    (track,) = asked_tracks(result)
    _, bounds = bounds_of(track)
    lower = unpack(content["lower"])
    assert np.isnan(lower[0])
    np.testing.assert_allclose(lower[1:], track.close[:-1] * np.exp(bounds[:-1, 0]), rtol=1e-6)


def test_the_chart_library_is_the_one_that_was_released() -> None:
    """The vendored script is version 5.2.1 as published, with its licence and its notice beside it."""
    text = (VENDOR.parent / CHARTS).read_bytes()
    assert hashlib.sha256(text).hexdigest() == "e21cc5caa0226ef30bd8549c50b9ef926615f2a4ee6b4e486353477a55f598cf"
    assert b"Lightweight Charts\xe2\x84\xa2 v5.2.1" in text[:120]
    assert "Apache License" in (VENDOR / "lightweight-charts.LICENSE").read_text("utf-8")
    assert "TradingView, Inc." in (VENDOR / "lightweight-charts.NOTICE").read_text("utf-8")


def test_scripts_stay_short() -> None:
    """Our own scripts have at most 400 lines each, and begin strict."""
    scripts = sorted((VENDOR.parent / "scripts").glob("*.js"))
    assert len(scripts) >= 7
    for path in scripts:
        lines = path.read_text("utf-8").splitlines()
        assert len(lines) <= 400, path.name
        assert lines[0] == '"use strict";', path.name
