"""Replay: the winners of a search played again by Backtrader, fill for fill, before anyone is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backtests.solo import play_solo
from backtests.tables import Tables
from foundation.errors import CrossgateError
from markets.market import Market
from models.forecasts import Forecasts

if TYPE_CHECKING:
    from backtests.result import Result


def check_replay(markets: Sequence[Market], forecasts: Forecasts, tables: Tables, what: str) -> Result:
    """Backtrader's result of a setting; raises CrossgateError where the kernel comes to another fill or equity."""
    from backtests.engine import backtest

    words = (tables.strategy, tables.risk, tables.account, tables.costs)
    solo = play_solo(markets, forecasts, *words)
    result = backtest(markets, forecasts, *words, name="replay")
    part = solo.part_from(result)
    if part:
        raise CrossgateError(f"{what}: kernel and Backtrader part, {part}; please report this")
    return result
