"""Where two runs part: the first bar, and the cause at its root."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crossgate as cg
from foundation.errors import DataError
from markets.candles import utc
from reports.parting import first_parting, read_tables
from reports.report import write_report

HOUR = 3_600_000_000_000


@pytest.fixture(scope="module")
def market() -> Any:
    """Some months of the demo market."""
    return cg.demo_market(seed=3, bars=1500)


class Drift:
    """A forecaster that follows the last move, from a bar on with another gain."""

    def __init__(self, changes: int = 10**9, gain: float = 0.4) -> None:
        self.changes, self.gain, self.count, self.last = changes, gain, 0, 0.0

    def forecast(self, bar: Any) -> tuple[float, float]:
        """A share of the last log return, and a fixed deviation."""
        move = np.log(bar.close / self.last) if self.last else 0.0
        self.last, self.count = bar.close, self.count + 1
        return float(move * (self.gain if self.count > self.changes else 0.2)), 0.01


def play(market: Any, forecaster: Any = None, costs: Any = None, **risk: Any) -> dict[str, pd.DataFrame]:
    """The tables of a run."""
    strategy = cg.CrossoverParams(threshold="1bps")
    result = cg.backtest(market, forecaster or Drift(), strategy, cg.RiskParams(**risk), costs=costs)
    return read_tables(result)


@pytest.fixture(scope="module")
def base(market: Any) -> dict[str, pd.DataFrame]:
    """A run to set others against."""
    return play(market)


def test_a_run_does_not_part_from_itself(base: dict[str, pd.DataFrame], market: Any) -> None:
    """The same run, played again, is the same at every bar."""
    assert first_parting(base, play(market)) is None


def test_another_forecast_is_found_at_its_bar(base: dict[str, pd.DataFrame], market: Any) -> None:
    """A forecaster that changes at bar 700 parts there, and the cause is the forecast, not what it led to."""
    parting = first_parting(base, play(market, Drift(changes=700)))
    assert parting is not None
    assert parting.cause == "forecast"
    assert parting.timestamp == int(market.candles.timestamp[700])


@pytest.mark.parametrize(("name", "factor"), [("high", 1.5), ("low", 0.5)])
def test_another_candle_is_found_at_its_bar(
    base: dict[str, pd.DataFrame], market: Any, name: str, factor: float
) -> None:
    """One extreme that differs is the cause, on its bar, whatever it leads to."""
    values = getattr(market.candles, name).copy()
    values[600] *= factor
    other = replace(market, candles=replace(market.candles, **{name: values}))
    parting = first_parting(base, play(other))
    assert parting is not None
    assert (parting.cause, parting.timestamp) == ("data", int(market.candles.timestamp[600]))
    assert name in parting.text


def test_another_close_is_the_cause_of_what_follows(base: dict[str, pd.DataFrame], market: Any) -> None:
    """One close that differs is the cause, though forecasts and averages differ from it on."""
    changed = {name: table.copy() for name, table in base.items()}
    stamps = pd.DatetimeIndex(base["decisions"]["timestamp"]).as_unit("ns").asi8
    changed["decisions"].loc[stamps == market.candles.timestamp[600], ["close", "mean", "fast"]] = 1.0
    parting = first_parting(base, changed)
    assert parting is not None
    assert (parting.cause, parting.timestamp) == ("data", int(market.candles.timestamp[600]))
    assert "close" in parting.text


def test_another_mark_price_is_the_cause(base: dict[str, pd.DataFrame], market: Any) -> None:
    """A mark price that differs on one bar changes equity there, and is named instead of it."""
    assert market.mark is not None
    row = int(np.argmax(market.mark.timestamp == market.candles.timestamp[900]))
    closes = market.mark.close.copy()
    closes[row] *= 1.0001
    mark = replace(market.mark, close=closes, high=np.maximum(market.mark.high, closes))
    parting = first_parting(base, play(replace(market, mark=mark)))
    assert parting is not None
    assert (parting.cause, parting.timestamp) == ("data", int(market.candles.timestamp[900]))
    assert "mark" in parting.text


def test_settings_part_where_they_first_matter(base: dict[str, pd.DataFrame], market: Any) -> None:
    """Another risk changes the size of the first fill; a higher fee its fee; more slippage its price."""
    first = base["fills"]["timestamp"].iloc[0].value
    size = first_parting(base, play(market, risk_per_trade=0.02))
    fee = first_parting(base, play(market, costs=cg.CostParams(taker_fee=0.001), sizing="leverage", leverage=1.0))
    price = first_parting(base, play(market, costs=cg.CostParams(slippage_bps=2.0)))
    assert size is not None
    assert fee is not None
    assert price is not None
    assert (size.cause, size.timestamp) == ("size", first)
    assert fee.cause == "size"
    assert price.timestamp == first
    assert price.cause in ("size", "price")


def test_a_fee_alone_is_a_fee(base: dict[str, pd.DataFrame]) -> None:
    """Fills that differ in nothing but their fee part by it."""
    changed = {name: table.copy() for name, table in base.items()}
    changed["fills"].loc[3, "fee"] += 1e-9
    parting = first_parting(base, changed)
    assert parting is not None
    assert (parting.cause, parting.timestamp) == ("fee", base["fills"]["timestamp"].iloc[3].value)


def test_another_rule_is_another_signal(base: dict[str, pd.DataFrame], market: Any) -> None:
    """The same forecasts and averages under another rule part where it first says something else."""
    alone = cg.CrossoverParams(threshold="1bps", rule="forecast")
    other = read_tables(cg.backtest(market, Drift(), alone, cg.RiskParams()))
    ours, theirs = base["decisions"], other["decisions"]
    row = int(np.argmax((ours["signal"] != theirs["signal"]) | (ours["reason"] != theirs["reason"])))
    parting = first_parting(base, other)
    assert parting is not None
    assert (parting.cause, parting.timestamp) == ("signal", ours["timestamp"].iloc[row].value)


def test_another_stop_is_another_fill(market: Any) -> None:
    """With sizes that do not hang on the stop, runs part at the first fill that only the tighter one makes."""
    ours = play(market, sizing="leverage", leverage=1.0, stop_loss="4%")
    theirs = play(market, sizing="leverage", leverage=1.0, stop_loss="0.5%")
    parting = first_parting(ours, theirs)
    assert parting is not None
    stopped = theirs["fills"].loc[theirs["fills"]["reason"] == "stop_loss", "timestamp"].iloc[0]
    assert (parting.cause, parting.timestamp) == ("fill", stopped.value)


def test_another_maker_fee_is_another_fee(base: dict[str, pd.DataFrame], market: Any) -> None:
    """What makers pay shows at the first target that fills, and nowhere before."""
    parting = first_parting(base, play(market, costs=cg.CostParams(maker_fee=0.0001)))
    assert parting is not None
    first = base["fills"].loc[base["fills"]["reason"] == "take_profit", "timestamp"].iloc[0]
    assert (parting.cause, parting.timestamp) == ("fee", first.value)


def test_another_funding_rate_is_found_where_it_was_paid(base: dict[str, pd.DataFrame], market: Any) -> None:
    """A market whose rates are others from a moment on parts at the first payment after it."""
    paid = base["funding"]["timestamp"].iloc[3].value
    rates = market.funding.rate.copy()
    rates[market.funding.timestamp >= paid] += 1e-5
    parting = first_parting(base, play(replace(market, funding=replace(market.funding, rate=rates))))
    assert parting is not None
    assert (parting.cause, parting.timestamp) == ("funding", paid)


def test_a_fill_that_only_one_has(base: dict[str, pd.DataFrame]) -> None:
    """A missing fill is named as the one run's own."""
    changed = {**base, "fills": base["fills"].drop(index=[2])}
    parting = first_parting(base, changed)
    assert parting is not None
    assert parting.cause == "fill"
    assert parting.text.endswith("only the first run has one here")
    back = first_parting(changed, base)
    assert back is not None
    assert back.text.endswith("only the second run has one here")


def test_a_funding_payment_that_differs(base: dict[str, pd.DataFrame]) -> None:
    """Another funding rate parts at its stamp."""
    if base["funding"].empty:
        pytest.fail("the demo market pays funding")
    changed = {name: table.copy() for name, table in base.items()}
    changed["funding"].loc[0, "rate"] += 1e-6
    parting = first_parting(base, changed)
    assert parting is not None
    assert (parting.cause, parting.timestamp) == ("funding", base["funding"]["timestamp"].iloc[0].value)


def test_runs_over_other_spans_say_so(base: dict[str, pd.DataFrame]) -> None:
    """A run that is cut short is the same as far as it goes."""
    last = base["equity"]["timestamp"].iloc[-10]
    shorter = {name: table[table["timestamp"] <= last] for name, table in base.items()}
    parting = first_parting(base, shorter)
    assert parting is not None
    assert parting.cause == "span"
    assert utc(last.value) in parting.text


def test_a_folder_without_tables_is_no_run(tmp_path: Path) -> None:
    """One line for a folder that lacks a table."""
    with pytest.raises(DataError, match="no whole run folder"):
        read_tables(tmp_path)


def test_a_folder_and_its_result_are_the_same(tmp_path: Path, market: Any) -> None:
    """What is written is what was played, to the last bit."""
    result = cg.backtest(market, Drift(), cg.CrossoverParams(threshold="1bps"))
    folder = write_report(result, tmp_path / "run", baselines={}).parent
    assert first_parting(read_tables(folder), read_tables(result)) is None
