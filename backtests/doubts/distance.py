"""Distance: how far each position stood from its liquidation price through time, and how much margin was in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from backtests.doubts.playback import POINTS
from markets.candles import FloatArray, IntArray
from markets.market import Market
from strategies.averages import average_true_range

# Bars of the average true range that distances are told in, where no strategy says how many.
ATR_BARS = 14
# The shares of held bars at which a distribution is told.
SHARES = (0.0, 0.01, 0.05, 0.5)


@dataclass(frozen=True, eq=False)
class Distance:
    """How far one market's positions were from liquidation, over the bars on whose close one was held.

    At each such bar: from its liquidation price to the worst mark price of that bar, as a fraction of the close at
    mark (`rates`) and in average true ranges (`atrs`), at the shares SHARES of bars that were nearer; never below 0.
    `timestamp`, `path`: the smallest fraction in each of at most POINTS stretches of time, NaN where none was
    held; `atr_path` the same in average true ranges. `held`: how many bars; `safe`: on how many of them no price above
    zero liquidates. `margin`: the median and the largest share of equity that was posted for all markets, on bars with
    a position; `margin_path`: the largest in each stretch, 0 where none was posted, NaN where no equity was left.
    """

    symbol: str
    held: int
    safe: int
    rates: tuple[float, ...]
    atrs: tuple[float, ...]
    timestamp: IntArray
    path: FloatArray
    atr_path: FloatArray
    margin: tuple[float, float]
    margin_path: FloatArray


def measure_distance(
    markets: Sequence[Market], positions: pd.DataFrame, equity: pd.DataFrame, atr_bars: int
) -> list[Distance]:
    """The distances of a run's `positions` and `equity` (the tables of Result) by market."""
    use = margin_use(equity)
    return [_distance(market, positions[positions["symbol"] == market.symbol], atr_bars, use) for market in markets]


def margin_use(equity: pd.DataFrame) -> pd.Series:
    """The share of equity that is posted, by the time of each bar; NaN where no equity is left."""
    posted, whole = (equity[name].to_numpy(dtype=np.float64) for name in ("margin", "equity"))
    share = np.divide(posted, whole, out=np.full(len(whole), np.nan), where=whole > 0.0)
    return pd.Series(share, pd.DatetimeIndex(equity["timestamp"]).as_unit("ns").asi8)


def _distance(market: Market, table: pd.DataFrame, atr_bars: int, use: pd.Series) -> Distance:
    stamps = pd.DatetimeIndex(table["timestamp"]).as_unit("ns").asi8
    row = np.searchsorted(market.candles.timestamp, stamps)
    quantity, level = (table[name].to_numpy(dtype=np.float64) for name in ("position", "liquidation_price"))
    mark = market.mark_bars()[0][row]
    candles = market.candles
    atr = average_true_range(candles.high, candles.low, candles.close, atr_bars)[row]
    held = quantity != 0.0
    reached = held & (level > 0.0) & np.isfinite(level)
    worst = np.where(quantity > 0.0, mark[:, 2], mark[:, 1])
    away = np.where(reached, np.maximum(np.sign(quantity) * (worst - level), 0.0), np.nan)
    rates, atrs = away / mark[:, 3], away / np.where(atr > 0.0, atr, np.nan)
    shares = use.to_numpy()
    posted = shares[shares > 0.0]
    at = [int(part[0]) for part in np.array_split(np.arange(len(stamps)), min(POINTS, len(stamps)))]
    return Distance(
        symbol=market.symbol,
        held=int(held.sum()),
        safe=int((held & ~reached).sum()),
        rates=_shares(rates),
        atrs=_shares(atrs),
        timestamp=np.asarray(stamps[at], dtype=np.int64),
        path=np.fmin.reduceat(rates, at),
        atr_path=np.fmin.reduceat(atrs, at),
        margin=(float(np.median(posted)), float(posted.max())) if len(posted) else (0.0, 0.0),
        margin_path=np.fmax.reduceat(shares, np.searchsorted(use.index.to_numpy(), stamps[at])),
    )


def _shares(values: FloatArray) -> tuple[float, ...]:
    known = values[np.isfinite(values)]
    return tuple(np.quantile(known, SHARES).tolist()) if len(known) else (np.nan,) * len(SHARES)
