"""Levels: where the stop and the target of each trade stood when the trade ended."""

from __future__ import annotations

import numpy as np
import pandas as pd

from backtests.run.result import Result
from markets.candles import FloatArray, IntArray

STOPS = ("stop_loss", "trailing_stop", "break_even")
_FREED = ("other order of the bracket filled", "other order of the bracket ended", "position closed")


def trade_levels(result: Result, trades: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """The stop and the target of each trade, NaN where it had none or is still open.

    One of the two is told by the fill that ended the trade, less its slippage; the other by the order that the exit
    cancelled. Of several targets the farthest counts. A stop that moved is where it stood last, and one that was
    jumped over at an open is where it filled.
    """
    stop, target = np.full(len(trades), np.nan), np.full(len(trades), np.nan)
    for symbol, own in trades.groupby("symbol"):
        rows = own.index.to_numpy()
        told = pd.concat([_filled(result.fills, str(symbol)), _cancelled(result.orders, str(symbol))])
        at = _owner(own, told["moment"].to_numpy(), told["side"].to_numpy())
        for row, kind, price in zip(at, told["kind"], told["price"], strict=True):
            if row < 0:
                continue
            if kind == "stop":
                stop[rows[row]] = price
            else:
                sign = 1.0 if own["side"].iloc[row] == "long" else -1.0
                target[rows[row]] = sign * np.fmax(sign * target[rows[row]], sign * price)
    return stop, target


def _filled(fills: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """Exits by stop or target: the trade's side, and the price without the fixed slippage."""
    own = fills[(fills["symbol"] == symbol) & fills["reason"].isin((*STOPS, "take_profit"))]
    sold = (own["side"] == "sell").to_numpy()
    away = np.where(sold, 1.0, -1.0) * own["slippage"].to_numpy() / own["quantity"].to_numpy()
    return pd.DataFrame(
        {
            "moment": _moments(own["timestamp"]),
            "side": np.where(sold, "long", "short"),
            "kind": np.where(own["reason"] == "take_profit", "limit", "stop"),
            "price": own["price"].to_numpy() + away,
        }
    )


def _cancelled(orders: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """Stops and targets that went when their trade ended otherwise."""
    freed = (orders["status"] == "cancelled") & orders["reason"].isin(_FREED) & (orders["symbol"] == symbol)
    own = orders[freed]
    if own.empty:
        return pd.DataFrame({"moment": [], "side": [], "kind": [], "price": []})
    own = own[own["kind"].isin(("stop", "limit"))]
    return pd.DataFrame(
        {
            "moment": _moments(own["timestamp"]),
            "side": np.where(own["side"] == "sell", "long", "short"),
            "kind": own["kind"].to_numpy(),
            "price": own["price"].to_numpy(dtype=np.float64),
        }
    )


def _owner(trades: pd.DataFrame, moments: IntArray, sides: FloatArray) -> list[int]:
    """The trade of that side that was held at each moment, the last to open; -1 where there is none."""
    owners = np.full(len(moments), -1)
    for side in ("long", "short"):
        rows = np.flatnonzero((trades["side"] == side).to_numpy())
        own = np.flatnonzero(sides == side)
        if len(rows) == 0 or len(own) == 0:
            continue
        opened, closed = _moments(trades["opened"])[rows], _moments(trades["closed"])[rows]
        at = np.searchsorted(opened, moments[own].astype(np.int64), side="right") - 1
        held = (at >= 0) & (closed[at] >= moments[own])
        owners[own[held]] = rows[at[held]]
    return [int(row) for row in owners]


def _moments(times: pd.Series[pd.Timestamp]) -> IntArray:
    """UTC nanoseconds; the smallest integer where there is no time."""
    return np.asarray(pd.DatetimeIndex(times).as_unit("ns").asi8)
