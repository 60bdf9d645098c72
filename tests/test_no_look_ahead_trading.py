"""From candles to orders: what is decided and ordered at a bar's close does not change when every later bar does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from look_ahead import Observed, what_changes
from planted_market import FEW, SHORT, TINY, planted_market
from test_no_look_ahead import ROW, peek

from backtests import AccountParams, backtest
from markets.market import Market
from models.parameters import FeatureParams
from models.walkforward import walk_forward
from strategies import CrossoverParams, RiskParams, lstm_crossover, outlook, sides

__all__ = ["peek"]

MARKET = planted_market()
RULE = CrossoverParams(fast=3, slow=8, threshold="0bps")
RISK = RiskParams(stop_loss="1atr", take_profit="2atr")
ACCOUNT = AccountParams(missing_funding="zero")


def trading_at(features: FeatureParams = FEW) -> Any:
    """Decisions at the bars up to ROW, and fills, equity and refused orders on them, of the whole pipeline."""

    def observe(market: Market) -> Observed:
        forecasts = walk_forward(market, TINY, features, walk=SHORT, workers=1, cache=False)
        result = backtest(market, forecasts, RULE, RISK, ACCOUNT)
        last = pd.Timestamp(market.candles.timestamp[ROW], unit="ns", tz="UTC")
        observed: dict[str, Any] = {}
        for table in ("decisions", "fills", "equity", "orders"):
            frame = getattr(result, table)
            kept = frame[frame["timestamp"] <= last]
            for column in kept.columns:
                text = kept[column].dtype.kind not in "fiu"
                values = pd.util.hash_array(kept[column].astype(str).to_numpy(object)) if text else kept[column]
                observed[f"{table}.{column}"] = np.asarray(values)
        return observed

    return observe


def test_no_decision_order_or_balance_sees_a_later_bar() -> None:
    """Forecast, averages, signal, fill, stop and equity up to a bar stand when all bars after it change."""
    assert what_changes(MARKET, ROW, trading_at()) == set()


def test_the_run_of_this_test_trades() -> None:
    """The tables compared are not empty, and a change of bar ROW itself shows in them."""
    observed = trading_at()(MARKET)
    assert len(observed["fills.price"]) > 20
    changed = what_changes(MARKET, ROW - 1, trading_at())
    assert {"decisions.mean", "decisions.close", "equity.equity"} <= changed


def test_a_leaking_feature_shows_in_decisions_and_fills(peek: str) -> None:
    """A feature that uses bar t + 1 changes what is decided and traded before it."""
    changed = what_changes(MARKET, ROW, trading_at(FeatureParams(columns=("return:1", peek))))
    assert {"decisions.mean"} <= changed


def test_averages_that_look_one_bar_ahead_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moving average with a planted leak of one bar changes decisions before the change of the bars."""
    honest = lstm_crossover.averages.moving_average

    def early(values: Any, period: int, exponential: bool) -> Any:
        average = honest(values, period, exponential)
        return np.append(average[1:], average[-1])

    for place in (lstm_crossover.averages, outlook, sides):
        monkeypatch.setattr(place, "moving_average", early)
    changed = what_changes(MARKET, ROW, trading_at())
    assert {"decisions.fast", "decisions.slow"} <= changed
