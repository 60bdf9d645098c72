"""Stop paths: where the moving stop of each trade stood on every bar, by the rules that moved it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from backtests.doubts.playback import Playback, playback_of
from backtests.exchange.entries import price_child
from backtests.exchange.exits import break_even, trail_stop
from backtests.exchange.records import ORDER, STOP, Records, Row
from backtests.run.result import Result
from foundation.compilation import rule
from markets.candles import BoolArray, FloatArray, IntArray
from strategies.plan import DISTANCES, EXIT, MOST_EXITS, SITUATION, plan_exits, risk_record


class StopPath(NamedTuple):
    """The levels of one stop: each holds from the open of the bar at `timestamp` (UTC nanoseconds) on."""

    timestamp: IntArray
    level: FloatArray


def stop_paths(result: Result, trades: pd.DataFrame) -> list[StopPath | None]:
    """The path of each trade's stop, None for a stop that cannot move or that there is none of.

    `trades`: as `list_trades` returns them. The distances are those that the strategy planned at the close before the
    entry, the price is measured from the entry's fill, and the rules of the exchange move it from bar to bar. So the
    last level is the one that the exit met.
    """
    if result.risk is None or (result.risk.trailing_stop is None and result.risk.break_even is None):
        return [None] * len(trades)
    playback = playback_of(result)
    symbols = [market.symbol for market in playback.stage.fed]
    plan, stamps = risk_record(result.risk), playback.stage.fed[0].candles.timestamp
    opened, closed = (pd.DatetimeIndex(trades[name]).as_unit("ns").asi8 for name in ("opened", "closed"))
    begins = np.searchsorted(stamps, opened)
    ends = np.where(trades["closed"].notna(), np.searchsorted(stamps, closed), len(stamps) - 1)
    rows = zip(
        trades["symbol"].map(symbols.index), begins, ends, trades["side"], trades["entry_price"], strict=True
    )  # fmt: skip
    return [
        _path(playback, plan, int(s), int(begin), int(end), 1 if side == "long" else -1, float(price))
        for s, begin, end, side, price in rows
    ]


def _path(
    playback: Playback, plan: Records, s: int, begin: int, end: int, side: int, entry: float
) -> StopPath | None:  # fmt: skip
    market = playback.stage.fed[s]
    order = _order(playback, plan, s, begin - 1, side)
    if order is None:
        return None
    tick, candles = market.contract.tick, market.candles
    order["basis"] = entry
    price_child(order[0], side, entry, tick)
    levels, bars = np.empty(end + 1 - begin), slice(begin, end + 1)
    trace_stop(order[0], side, tick, candles.high[bars], candles.low[bars], candles.touched[bars], levels)
    moved = np.concatenate(([True], np.diff(levels) != 0.0))
    return StopPath(candles.timestamp[bars][moved], levels[moved])


def _order(playback: Playback, plan: Records, s: int, decided: int, side: int) -> Any:
    """The stop that was planned at the close of a bar, as an ORDER record; None where there was none."""
    now, exits, wish = np.zeros(1, dtype=SITUATION), np.zeros(MOST_EXITS, dtype=EXIT), playback.wish
    now["atr"], now["mean"], now["sigma"] = wish.atr[s, decided], wish.mean[s, decided], wish.sigma[s, decided]
    count = plan_exits(plan[0], now[0], exits)
    if count == 0 or exits[0]["target"]:
        return None
    order = np.zeros(1, dtype=ORDER)
    order["kind"], order["side"] = STOP, -side
    for name in DISTANCES:
        order[name] = exits[0][name]
    return order


@rule
def trace_stop(
    order: Row, side: int, tick: float, high: FloatArray, low: FloatArray, touched: BoolArray, levels: FloatArray
) -> None:
    """The level of a stop on each bar, written to `levels`; the bar's best price moves it for the next one.

    Not on bars that cleaning `touched`.
    """
    for k in range(len(levels)):
        levels[k] = order.price
        if not touched[k]:
            best = high[k] if side > 0 else low[k]
            trail_stop(order, side, best, tick)
            break_even(order, side, best, tick)
