"""The records that compiled code works on: account, positions, orders, bars, fills."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from markets.contract import Contract
from markets.market import Market

Records = npt.NDArray[Any]

# Order kinds.
MARKET, LIMIT, STOP = 0, 1, 2
# Order statuses. Sleeping: waits for the fill of its parent. Those after LIVE are final.
SLEEPING, LIVE, FILLED, CANCELLED, REFUSED = 0, 1, 2, 3, 4
# Why an order was filled, by the row's number in this tuple.
FILL_REASONS = ("order", "entry", "signal", "stop_loss", "take_profit", "liquidation")
LIQUIDATION = FILL_REASONS.index("liquidation")
# Why an order was refused, shrunk or cancelled, by number.
ORDER_REMARKS = (
    "",
    "leverage above the contract's maximum",
    "below one lot",
    "below the minimum quantity",
    "below the minimum notional",
    "shrunk to the free margin",
    "nothing to reduce",
    "position closed",
    "other order of the bracket filled",
    "entry not filled",
    "account ruined",
    "cancelled by the strategy",
)
(_, LEVERAGE, BELOW_LOT, BELOW_QUANTITY, BELOW_NOTIONAL, SHRUNK, NOTHING, CLOSED, SIBLING, ENTRY, RUIN, WITHDRAWN) = range(12)
INTRABAR = ("adverse", "favourable", "nearer_extreme")
LIMIT_FILL = ("touch", "through")

F, I, B = np.float64, np.int64, np.int8

ACCOUNT = np.dtype(
    [("cash", F), ("equity", F), ("margin", F), ("unrealised", F), ("ruined", B)]
    + [("orders", I), ("fills", I), ("payments", I), ("events", I)]
)
POSITION = np.dtype([("quantity", F), ("entry", F), ("margin", F), ("liquidation_price", F)])
ORDER = np.dtype(
    [("id", I), ("parent", I), ("symbol", I), ("kind", B), ("side", B), ("reduce_only", B), ("status", B)]
    + [("reason", B), ("remark", B), ("quantity", F), ("price", F), ("leverage", F), ("filled", F), ("fill_price", F)]
    + [("offset_rate", F), ("offset", F)]
)
BAR = np.dtype(
    [(name, F) for name in ("open", "high", "low", "close")]
    + [(name, F) for name in ("mark_open", "mark_high", "mark_low", "mark_close")]
    + [("funding_open", F), ("funding_inside", F), ("blocked", B)]
)
SETTINGS = np.dtype([("slippage", F), ("intrabar", B), ("through", B)])
CONTRACT = np.dtype(
    [(name, F) for name in ("tick", "lot", "minimum_quantity", "minimum_notional", "taker_fee", "maker_fee")]
    + [(name, F) for name in ("maintenance_rate", "maximum_leverage", "liquidation_fee")]
)
FILL = np.dtype(
    [("order", I), ("symbol", I), ("side", B), ("reason", B), ("opening", B), ("quantity", F), ("price", F)]
    + [("fee", F), ("liquidation_fee", F), ("realised_pnl", F), ("position", F), ("cash", F), ("slippage", F)]
)
PAYMENT = np.dtype([("symbol", I), ("position", F), ("mark", F), ("rate", F), ("payment", F)])
HISTORY = np.dtype([("equity", F), ("cash", F), ("margin", F), ("unrealised", F)])
POSITION_HISTORY = np.dtype([(name, F) for name in ("position", "mark", "liquidation_price", "margin", "unrealised")])


def bar_records(market: Market) -> Records:
    """The bars of a market with mark prices and funding rates, one BAR record a candle."""
    candles = market.candles
    bars = np.zeros(len(candles), dtype=BAR)
    for name in ("open", "high", "low", "close"):
        bars[name] = getattr(candles, name)
    mark, _ = market.mark_bars()
    for column, name in enumerate(("mark_open", "mark_high", "mark_low", "mark_close")):
        bars[name] = mark[:, column]
    bars["funding_open"], bars["funding_inside"] = market.funding_bars()
    bars["blocked"] = candles.touched
    return bars


def contract_record(contract: Contract) -> Records:
    """One CONTRACT record with a contract's filters, fees and margin rule."""
    record = np.zeros(1, dtype=CONTRACT)
    for name in CONTRACT.names or ():
        record[name] = getattr(contract, name)
    return record


def settings_record(slippage_bps: float, intrabar: str, limit_fill: str) -> Records:
    """One SETTINGS record from the parameters of account and costs."""
    record = np.zeros(1, dtype=SETTINGS)
    record["slippage"] = slippage_bps / 1e4
    record["intrabar"] = INTRABAR.index(intrabar)
    record["through"] = LIMIT_FILL.index(limit_fill)
    return record
