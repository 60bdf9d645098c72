"""Stop paths: the steps of a moving stop end where the exit met it, and every step is one that a bar made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from kernel_cases import forecasts, market
from planted_faults import mutated

from backtests.doubts.stop_paths import stop_paths, trace_stop
from backtests.run.engine import backtest
from backtests.run.result import Result
from reports.levels import trade_levels
from reports.packing import unpack
from reports.payload import step_columns
from reports.trades import list_trades
from strategies.parameters import CrossoverParams, RiskParams

STRATEGY = CrossoverParams(fast=2, slow=6, threshold="0.5bps")
RISKS = {
    "trailing in average true ranges": RiskParams(stop_loss="3atr", trailing_stop="2atr", atr_bars=7),
    "trailing later, break even": RiskParams(
        stop_loss="2%", trailing_stop="1.5%", trailing_after="1%", break_even="0.8%", take_profit="6%"
    ),
    "trailing alone, in forecast deviations": RiskParams(stop_loss="off", trailing_stop="2sigma"),
}


@pytest.fixture(scope="module", params=RISKS)
def run(request: pytest.FixtureRequest) -> Result:
    """A run whose stops move."""
    random = np.random.default_rng(11)
    markets = (market(random, "ONE", 700, 1.0),)
    return backtest(markets, forecasts(random, markets, 40), STRATEGY, RISKS[request.param])


def ends(result: Result, paths: Any) -> tuple[int, int]:
    """How many trades ended at a stop that did not jump, and how many of those on the last level of their path."""
    trades = list_trades(result)
    stops, _ = trade_levels(result, trades)
    candles = result.markets[0].candles
    opens = pd.Series(candles.open, index=pd.to_datetime(candles.timestamp, utc=True))
    ended = same = 0
    for row, reason in enumerate(trades["exit_reason"]):
        if reason not in ("stop_loss", "trailing_stop", "break_even"):
            continue
        sign = 1.0 if trades["side"].iloc[row] == "long" else -1.0
        if trades["bars_held"].iloc[row] and sign * (opens[trades["closed"].iloc[row]] - stops[row]) <= 1e-9:
            continue
        ended += 1
        same += bool(abs(paths[row].level[-1] - stops[row]) < 1e-9)
    return ended, same


def test_a_path_ends_where_the_exit_met_it(run: Result) -> None:
    """Of every trade that a stop ended inside a bar the last level is that of the fill; other paths only tighten."""
    trades, paths = list_trades(run), stop_paths(run, list_trades(run))
    ended, same = ends(run, paths)
    assert ended > 10
    assert same == ended
    moved = 0
    for row, path in enumerate(paths):
        assert path is not None
        sign = 1.0 if trades["side"].iloc[row] == "long" else -1.0
        assert (sign * np.diff(path.level) > 0.0).all()
        assert path.timestamp[0] == trades["opened"].iloc[row].value
        moved += len(path.level) > 1
    assert moved > 10


def test_stops_that_cannot_move_have_no_path(run: Result) -> None:
    """A fixed stop is drawn as ever, and costs nothing."""
    fixed = backtest(run.markets, run.forecasts, STRATEGY, RiskParams(stop_loss="2%"))
    trades = list_trades(fixed)
    assert stop_paths(fixed, trades) == [None] * len(trades)


FAULTS = {
    "distances of the bar of the entry": ("s, begin - 1, side", "s, begin, side", "trailing in average true ranges"),
    "the wrong extremes": (
        "candles.high[bars], candles.low[bars]", "candles.low[bars], candles.high[bars]", "trailing later, break even",
    ),
    "no price to break even at": ('order["basis"] = entry\n', "pass\n", "trailing later, break even"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_path_shows(fault: str) -> None:
    """The ends are no longer met."""
    right, wrong, risk = FAULTS[fault]
    random = np.random.default_rng(11)
    markets = (market(random, "ONE", 700, 1.0),)
    found = backtest(markets, forecasts(random, markets, 40), STRATEGY, RISKS[risk])
    faulty: Any = mutated("backtests.doubts.stop_paths", right, wrong)
    faulty.trace_stop = trace_stop
    ended, same = ends(found, faulty.stop_paths(found, list_trades(found)))
    assert same < ended


def test_a_page_carries_the_steps(run: Result) -> None:
    """As many as the paths have, each with the time from which it holds; in the order of the trades."""
    trades = list_trades(run)
    packed, paths = step_columns(run, trades), stop_paths(run, trades)
    counts, times, levels = (unpack(packed[name]) for name in ("steps", "step_time", "step_level"))
    assert counts.tolist() == [len(path.level) for path in paths if path is not None]
    last = paths[-1]
    assert last is not None
    assert levels[-counts[-1] :] == pytest.approx(last.level, rel=1e-6)
    assert (times[-counts[-1] :] * 1_000_000_000 == last.timestamp).all()
