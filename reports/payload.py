"""The payload of a report: the bars, curves and trades that its scripts draw."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from backtests.doubts.distance import ATR_BARS, margin_use
from backtests.doubts.stop_paths import stop_paths
from backtests.run.result import Result
from markets.candles import FloatArray, IntArray
from markets.market import Market
from models.evidence import bounds_of
from models.track import Track
from reports import formats, tables
from reports.curves import EquityCurve, keep_extremes
from reports.findings import Findings
from reports.levels import trade_levels
from reports.metrics import asked_tracks
from reports.packing import pack
from strategies.averages import average_true_range

# More bars than this are drawn in groups, so that a page stays quick and small.
MOST_BARS = 100_000
BASELINE_BUCKETS = 1000
_FIGURES = ("quantity", "entry_price", "exit_price", "profit", "rate", "fees", "funding")
# What the columns of the table of trades are sorted by.
_KEYS = ("long", "opened", "closed", "bars", *_FIGURES, "reason")
Array = npt.NDArray[Any]


class Groups:
    """Bars in groups of `size`, the last one shorter; what each group shows of its bars."""

    def __init__(self, count: int, most: int = MOST_BARS) -> None:
        self.size = max(1, math.ceil(count / most))
        self.starts = np.arange(0, count, self.size)

    def first(self, values: Array) -> Array:
        """The first value of each group."""
        return np.asarray(values[self.starts])

    def last(self, values: Array) -> Array:
        """The last value of each group."""
        return np.asarray(values[np.append(self.starts[1:], len(values)) - 1])

    def most(self, values: Array) -> Array:
        """The largest value of each group."""
        return np.asarray(np.maximum.reduceat(values, self.starts))

    def least(self, values: Array) -> Array:
        """The smallest value of each group."""
        return np.asarray(np.minimum.reduceat(values, self.starts))


def payload(findings: Findings) -> str:
    """The payload as JSON; equal findings give equal text.

    A timestamp is a bar's open in seconds. `markets`: candles, position, liquidation price (NaN without one), how far
    it is from the close in average true ranges, and the forecast interval of each bar as prices (NaN without one).
    `account`: equity, drawdown and the share of equity that is posted as margin at every bar's close.
    `trades`: rows of the bars on which each opened and closed (-1 while open), prices and levels, the steps of stops
    that move, and the text of the table.
    """
    result = findings.result
    tracks = {track.symbol: track for track in asked_tracks(result)}
    groups = Groups(len(findings.curve.equity))
    content = {
        "name": result.name,
        "currency": result.settlement,
        "grouped": groups.size,
        "account": _account(findings, groups),
        "baselines": [_baseline(name, one) for name, one in list(findings.curves.items())[1:]],
        "markets": [_market(market, result, tracks.get(market.symbol)) for market in result.markets],
        "trades": _trades(findings),
    }
    return json.dumps(content, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _account(findings: Findings, groups: Groups) -> dict[str, Any]:
    curve, margin = findings.curve, margin_use(findings.result.equity).to_numpy()
    return {
        "cash": curve.cash,
        "time": pack(groups.first(curve.timestamp) // 1_000_000_000),
        "equity": pack(groups.last(curve.equity)),
        "drawdown": pack(-groups.most(curve.drawdown)),
        "margin": pack(groups.last(margin)),
    }


def _baseline(name: str, curve: EquityCurve) -> dict[str, Any]:
    kept = keep_extremes(curve.equity, BASELINE_BUCKETS)
    return {"name": name, "time": pack(curve.timestamp[kept] // 1_000_000_000), "equity": pack(curve.equity[kept])}


def _market(market: Market, result: Result, track: Track | None) -> dict[str, Any]:
    positions = result.positions[result.positions["symbol"] == market.symbol]
    first, last = _span(market, result)
    candles, groups = market.candles.rows(first, last), Groups(last - first)
    liquidation = positions["liquidation_price"].to_numpy(dtype=np.float64)
    liquidation = np.where(liquidation > 0.0, liquidation, np.nan)
    whole, atr_bars = market.candles, ATR_BARS if result.risk is None else result.risk.atr_bars
    atr = average_true_range(whole.high, whole.low, whole.close, atr_bars)[first:last]
    away = np.abs(liquidation - candles.close) / np.where(atr > 0.0, atr, np.nan)
    columns = {
        "open": groups.first(candles.open),
        "high": groups.most(candles.high),
        "low": groups.least(candles.low),
        "close": groups.last(candles.close),
        "position": groups.last(positions["position"].to_numpy(dtype=np.float64)),
        "liquidation": groups.last(liquidation),
        "ranges": groups.last(away),
    }
    level = 0.0
    if track is not None and groups.size == 1:
        level, columns["lower"], columns["upper"] = _forecast(market, track, first, last)
    return {
        "symbol": market.symbol,
        "settlement": market.contract.settlement,
        "tick": market.contract.tick,
        "decimals": len(formats.price(float(candles.close[-1])).partition(".")[2]),
        "level": formats.percent(level, decimals=0),
        "time": pack(groups.first(candles.timestamp) // 1_000_000_000),
        **{name: pack(values) for name, values in columns.items()},
    }


def _span(market: Market, result: Result) -> tuple[int, int]:
    """The rows of a market's candles that were played."""
    first = int(np.searchsorted(market.candles.timestamp, result.start))
    return first, first + int((result.positions["symbol"] == market.symbol).sum())


def _forecast(market: Market, track: Track, first: int, last: int) -> tuple[float, FloatArray, FloatArray]:
    """The interval that was issued for each bar one bar before, as prices of its close."""
    level, bounds = bounds_of(track)
    stamps = market.candles.timestamp
    at = np.searchsorted(track.timestamp, stamps[first:last]) - 1
    known = at >= 0
    prices = np.full((last - first, 2), np.nan)
    rows = at[known]
    prices[known] = track.close[rows, None] * np.exp(bounds[rows])
    return level, prices[:, 0], prices[:, 1]


def _trades(findings: Findings) -> dict[str, Any]:
    trades, result = findings.trades, findings.result
    stop, target = trade_levels(result, trades)
    symbols = [market.symbol for market in result.markets]
    table = tables.trade_table(trades, "Trades", several=len(symbols) > 1)
    return {
        "heads": list(table.heads),
        "keys": ["number", *(["market"] if len(symbols) > 1 else []), *_KEYS],
        "words": sorted(table.text_columns),
        "rows": [[cell.text for cell in row] for row in table.rows],
        "tones": [row[-5].tone for row in table.rows],
        "reason": [formats.words(str(reason)) for reason in trades["exit_reason"]],
        "number": pack(np.arange(len(trades))),
        "market": pack(np.array([symbols.index(symbol) for symbol in trades["symbol"]], dtype=np.int64)),
        "long": pack((trades["side"] == "long").to_numpy().astype(np.int64)),
        "opened": pack(_seconds(trades["opened"])),
        "closed": pack(_seconds(trades["closed"])),
        "bars": pack(trades["bars_held"].to_numpy(dtype=np.int64)),
        **{name: pack(trades[name].to_numpy(dtype=np.float64)) for name in _FIGURES},
        "stop": pack(stop),
        "target": pack(target),
        **step_columns(result, trades),
    }


def step_columns(result: Result, trades: pd.DataFrame) -> dict[str, Any]:
    """The steps of stops that move: how many each trade has (0 for a fixed one), from when each holds, its level."""
    found = stop_paths(result, trades)
    known = [path for path in found if path is not None]
    if not known:
        return {}
    return {
        "steps": pack(np.array([0 if path is None else len(path.level) for path in found])),
        "step_time": pack(np.concatenate([path.timestamp for path in known]) // 1_000_000_000),
        "step_level": pack(np.concatenate([path.level for path in known])),
    }


def _seconds(times: pd.Series[pd.Timestamp]) -> IntArray:
    """UTC seconds, 0 where there is no time."""
    stamps = pd.DatetimeIndex(times).as_unit("ns").asi8
    return np.where(times.notna(), stamps // 1_000_000_000, 0)
