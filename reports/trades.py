"""Trades: round trips from flat to flat, rebuilt from fills."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from backtests.run.result import Result

_FLAT = 1e-12


@dataclass
class Trade:
    """One round trip of one symbol: from flat, or from a flip of side, back to flat.

    Times are bar OPENs; a fill inside a bar carries that bar's open. `quantity`: the largest held, base
    units. Prices are averages over fills. `profit`: realised at fill prices, less fees and liquidation
    charges; of a trade still open at the end, with its unrealised profit at the last mark. Funding
    is NOT in it: `funding` (positive when paid) stands apart. So, over all trades,
    sum(profit) - sum(funding) = change of equity. `bars_held`: 0 when in and out within one bar.
    `rate`: profit as a fraction of the entry's notional. Money in the settlement currency.
    """

    symbol: str
    side: str
    opened: pd.Timestamp
    closed: pd.Timestamp | None = None
    bars_held: int = 0
    quantity: float = 0.0
    entry_price: float = 0.0
    exit_price: float = float("nan")
    profit: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    liquidation_charges: float = 0.0
    rate: float = 0.0
    exit_reason: str = "open"

    _entered: float = 0.0
    _worth: float = 0.0
    _left: float = 0.0


COLUMNS = tuple(name for name in Trade.__dataclass_fields__ if not name.startswith("_"))


def list_trades(result: Result) -> pd.DataFrame:
    """All trades of a result in the order in which they opened, one row each, with the columns of Trade.

    A fill that crosses zero ends one trade and begins the next; its fee is shared by quantity, its
    realised profit belongs to the trade that it closes. Trades still open at the end have no `closed`.
    """
    trades: list[Trade] = []
    for market in result.markets:
        own = list(_round_trips(result.fills[result.fills["symbol"] == market.symbol]))
        _mark_open(own, result)
        _share_funding(own, result.funding[result.funding["symbol"] == market.symbol])
        trades += own
    return _table(trades, pd.Timestamp(result.equity["timestamp"].iloc[-1]), result.markets[0].candles.bar)


def list_round_trips(fills: pd.DataFrame, last: pd.Timestamp, bar: int) -> pd.DataFrame:
    """The trades that a table of fills makes, as `list_trades` has them, less what only a whole record knows.

    That is their funding, and what a trade that is still open at the bar `last` is worth. `bar`: in nanoseconds.
    """
    trades = [trade for _, own in fills.groupby("symbol") for trade in _round_trips(own)]
    return _table(trades, last, bar)


def _table(trades: list[Trade], last: pd.Timestamp, bar: int) -> pd.DataFrame:
    for trade in trades:
        _finish(trade, last, bar)
    trades.sort(key=lambda trade: (trade.opened, trade.symbol))
    table = pd.DataFrame([vars(trade) for trade in trades], columns=list(COLUMNS))
    for name in ("opened", "closed"):
        table[name] = pd.to_datetime(table[name], utc=True)
    return table


def _round_trips(fills: pd.DataFrame) -> Iterator[Trade]:
    before, trade = 0.0, None
    for fill in fills.to_dict("records"):
        after = 0.0 if abs(fill["position"]) < _FLAT else float(fill["position"])
        quantity, cost = float(fill["quantity"]), float(fill["fee"])
        closing = min(abs(before), quantity) if (after - before) * before < 0.0 else 0.0
        if trade is not None and closing > 0.0:
            _reduce(trade, fill, closing, cost * closing / quantity)
            if before * after <= 0.0:
                trade.closed, trade.exit_reason = fill["timestamp"], str(fill["reason"])
                yield trade
                trade = None
        opening = quantity - closing
        if opening > _FLAT and after != 0.0:
            if trade is None:
                trade = Trade(str(fill["symbol"]), "long" if after > 0.0 else "short", fill["timestamp"])
            trade.entry_price = (trade._entered * trade.entry_price + opening * fill["price"]) / (
                trade._entered + opening
            )
            trade._entered += opening
            trade._worth += float(fill["notional"]) * opening / quantity
            trade.quantity = max(trade.quantity, abs(after))
            trade.fees += cost * opening / quantity
        before = after
    if trade is not None:
        yield trade


def _reduce(trade: Trade, fill: Mapping[Any, Any], quantity: float, fee: float) -> None:
    paid = 0.0 if trade._left == 0.0 else trade._left * trade.exit_price
    trade._left += quantity
    trade.exit_price = (paid + quantity * fill["price"]) / trade._left
    trade.profit += float(fill["realised_pnl"])
    trade.fees += fee
    trade.liquidation_charges += float(fill["liquidation_fee"])


def _mark_open(trades: list[Trade], result: Result) -> None:
    if trades and trades[-1].closed is None:
        own = result.positions[result.positions["symbol"] == trades[-1].symbol]
        trades[-1].profit += float(own["unrealised"].iloc[-1])


def _share_funding(trades: list[Trade], payments: pd.DataFrame) -> None:
    """Gives each payment to the trade that held the position at the time; a payment names the position's sign."""
    opened = np.array([trade.opened.value for trade in trades], dtype=np.int64)
    stamps = pd.DatetimeIndex(payments["timestamp"]).as_unit("ns").asi8
    for stamp, position, payment in zip(stamps, payments["position"], payments["payment"], strict=True):
        side = "long" if position > 0.0 else "short"
        # Funding is due before the orders of a bar fill, so a trade opened earlier comes first.
        carried = int(np.searchsorted(opened, stamp, side="left")) - 1
        for number in range(max(carried, 0), len(trades)):
            trade = trades[number]
            if trade.opened.value > stamp:
                break
            if trade.side == side and (trade.closed is None or trade.closed.value >= stamp):
                trade.funding += float(payment)
                break


def _finish(trade: Trade, last: pd.Timestamp, bar: int) -> None:
    trade.profit -= trade.fees + trade.liquidation_charges
    trade.rate = trade.profit / trade._worth
    end = last if trade.closed is None else trade.closed
    trade.bars_held = (end.as_unit("ns").value - trade.opened.as_unit("ns").value) // bar
