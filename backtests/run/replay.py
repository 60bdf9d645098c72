"""Replay: the winners of a search played again by Backtrader before anyone is told of them: fills and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from backtests.run.recount import first_apart
from backtests.run.solo import play_solo
from backtests.run.tables import Tables
from foundation.errors import CrossgateError
from markets.market import Market
from models.forecasts import Forecasts

if TYPE_CHECKING:
    from backtests.run.result import Result


def check_replay(
    markets: Sequence[Market], forecasts: Forecasts, tables: Tables, what: str, told: Mapping[str, float | None]
) -> Result:
    """Backtrader's result of a setting, of which a search has `told` the metrics of `backtests.kernel.tally.rate`.

    Raises CrossgateError where the kernel comes to another fill or equity, or where what was told is not what
    Backtrader comes to: it may have come from another machine, an earlier version or a damaged file.
    """
    result = replay(markets, forecasts, tables, what)
    apart = first_apart(told, result)
    if apart:
        fix = "search again in a new folder or database; where that does not help, please report this"
        raise CrossgateError(f"{what}: what was reported is not what Backtrader comes to, {apart}; {fix}")
    return result


def replay(markets: Sequence[Market], forecasts: Forecasts, tables: Tables, what: str) -> Result:
    """Backtrader's result of a setting; raises CrossgateError where the kernel comes to another fill or equity."""
    from backtests.run.engine import backtest

    words = (tables.strategy, tables.risk, tables.account, tables.costs)
    solo = play_solo(markets, forecasts, *words)
    result = backtest(markets, forecasts, *words, name="replay")
    part = solo.part_from(result)
    if part:
        raise CrossgateError(f"{what}: kernel and Backtrader part, {part}; please report this")
    return result
