"""The records that compiled code works on: account, positions, orders, bars, fills."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from backtests.exchange.parameters import INTRABAR, LIMIT_FILL, MARGINS, AccountParams, CostParams
from foundation.addresses import address_of
from foundation.errors import ParameterError
from markets.contract import METHODS, Contract

Records = npt.NDArray[Any]
# One record of such an array; its fields are known to compiled code only.
Row = Any

# The distances that an exit of a bracket may be given, and those that only its stop may.
EXIT_DISTANCES = ("offset_rate", "offset")
STOP_DISTANCES = (
    "trailing_rate", "trailing", "trailing_after_rate", "trailing_after", "break_even_rate", "break_even",
)  # fmt: skip
# Order kinds. A stop-limit that has been triggered is a LIMIT from then on.
MARKET, LIMIT, STOP, STOP_LIMIT, CLOSE = range(5)
ORDER_KINDS = ("market", "limit", "stop", "stop_limit", "close")
# Order statuses. Sleeping: waits for the fill of its parent. Those after LIVE are final.
SLEEPING, LIVE, FILLED, CANCELLED, REFUSED, EXPIRED = range(6)
# Why an order was filled, by the row's number in this tuple.
FILL_REASONS = (
    "order", "entry", "signal", "stop_loss", "take_profit", "liquidation", "time_exit", "trailing_stop", "break_even",
)  # fmt: skip
STOP_LOSS, LIQUIDATION = FILL_REASONS.index("stop_loss"), FILL_REASONS.index("liquidation")
TRAILING_STOP, BREAK_EVEN = FILL_REASONS.index("trailing_stop"), FILL_REASONS.index("break_even")
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
    "other order of the bracket ended",
    "other order of the OCO group ended",
    "no longer valid",
    "above what the brackets allow at this leverage",
    "shrunk to what the brackets allow at this leverage",
    "position liquidated",
    "shrunk to the largest market order",
)
LEVERAGE, BELOW_LOT, BELOW_QUANTITY, BELOW_NOTIONAL, SHRUNK, NOTHING, CLOSED, SIBLING, ENTRY, RUIN, WITHDRAWN = range(
    1, 12
)
BRACKET, GROUP, OVERDUE = range(12, 15)
ABOVE_TIER, SHRUNK_TIER, LIQUIDATED, SHRUNK_MARKET = range(15, 19)
# How a venue reckons margin and liquidation, by number.
BINANCE, CLOSING_FEE, BYBIT, BITMEX = range(len(METHODS))
MOST_BRACKETS = 48

REAL, WHOLE, BYTE = np.float64, np.int64, np.int8


def _fields(kind: type, names: str) -> list[tuple[str, type]]:
    return [(name, kind) for name in names.split()]


ACCOUNT = np.dtype(
    _fields(REAL, "cash equity margin unrealised")
    + _fields(BYTE, "ruined")
    + _fields(WHOLE, "orders fills payments events decided_by_finer decided_by_assumption")
)
# `reserve`: the part of the margin that a venue keeps for the closing fee. `entered_at`: the price at which a
# limit or stop order entered inside the bar that is played, else 0. `mark`: the mark price that is known now.
# `impact`: that of the bar that is played.
POSITION = np.dtype(
    _fields(REAL, "quantity entry margin reserve liquidation_price entered_at mark mark_low mark_high impact")
)
# `price`: the limit, or the level that triggers a stop; `limit`: the limit of a stop-limit, which takes the
# place of the price when it is triggered (the level is then kept here). `trail_amount`, `trail_rate`: how
# far from the close a stop follows it, in price or as a fraction of the close; 0: it stays.
# `group`: orders of one number cancel each other; 0: none. `expires`: the first bar on which it is no longer
# valid; 0: never. `due`: the bar at whose close a CLOSE order fills. `waits`: 1 from a trigger inside a bar
# to that bar's close. `tied`: 1 when what ends with it has ended too. `cash`, `position`: the account when
# it ended. `share`: the part of the entry's fill that an exit of a bracket is for; 0: all. `basis`: the fill
# price of its entry. `trailing*`: how far behind the bar's best price a stop follows, once that is
# `trailing_after*` from the basis; `break_even*`: how far from the basis the best price must be for the stop to
# move there. Each is a fraction (`_rate`) plus an amount of price; 0: off.
ORDER = np.dtype(
    _fields(WHOLE, "id parent symbol group expires due")
    + _fields(BYTE, "kind side reduce_only status reason remark waits tied")
    + _fields(REAL, "quantity price limit leverage filled fill_price offset_rate offset")
    + _fields(REAL, "trail_amount trail_rate cash position")
    + _fields(REAL, "share basis " + " ".join(STOP_DISTANCES))
)
# The first cache line holds all that most bars need. `funded`: whether a funding rate is due at the open or inside.
# `impact`: what the square root of a quantity is multiplied by, with the coefficient, to give its log move.
# `finer_first`, `finer_count`: the bar's rows among the finer bars; none where those do not count.
BAR = np.dtype(
    [
        *_fields(REAL, "open high low mark_open mark_high mark_low mark_close"),
        *_fields(BYTE, "blocked funded"),
        ("unused", BYTE, (6,)),
        *_fields(REAL, "close funding_open funding_inside impact"),
        *_fields(WHOLE, "finer_first finer_count"),
        ("unused_too", WHOLE, (2,)),
    ]
)
# The mark's extremes are NaN where no mark of that length is known.
FINER = np.dtype(_fields(REAL, "open high low mark_high mark_low"))
SETTINGS = np.dtype(
    _fields(REAL, "slippage half_spread half_spread_ticks impact") + _fields(BYTE, "intrabar through cross")
)
_FIGURES = "tick lot face minimum_quantity minimum_notional taker_fee maker_fee liquidation_fee"
# `closing_fee_rate`: what counts as maintenance beside the brackets' rates. The first `brackets` of each table count.
CONTRACT = np.dtype(
    [
        *_fields(REAL, f"{_FIGURES} maximum_market_quantity closing_fee_rate largest_notional"),
        *((name, REAL, (MOST_BRACKETS,)) for name in ("floors", "rates", "amounts", "leverages")),
        *_fields(WHOLE, "brackets vintage"),
        *_fields(BYTE, "inverse method"),
    ],
    align=True,
)
FILL = np.dtype(
    _fields(WHOLE, "order symbol")
    + _fields(BYTE, "side reason opening bound")
    + _fields(REAL, "quantity price notional fee liquidation_fee realised_pnl position cash slippage")
    + _fields(REAL, "spread_cost impact_cost")
)
PAYMENT = np.dtype(_fields(WHOLE, "symbol") + _fields(REAL, "position mark rate payment cash"))
# What an account and its positions were at a close. Margin and profit of the account are sums over its positions.
HISTORY = np.dtype(_fields(REAL, "equity cash"))
POSITION_HISTORY = np.dtype(_fields(REAL, "position liquidation_price margin unrealised"))

# The arrays of a run under Backtrader, which are handed to compiled code by where they lie.
RUN = {
    "account": ACCOUNT, "positions": POSITION, "orders": ORDER, "bars": BAR, "settings": SETTINGS,
    "contracts": CONTRACT, "fills": FILL, "payments": PAYMENT, "finer": FINER, "history": HISTORY,
    "position_history": POSITION_HISTORY,
}  # fmt: skip
# Where each array begins; and the shape of those of which there is not one a symbol, or one alone.
HANDED = np.dtype([(name, WHOLE) for name in (*RUN, "symbols", "rows", "room", "most_fills", "finer_rows")])


class Desk(NamedTuple):
    """The arrays that every step of the exchange works on; compiled code builds it once a bar.

    `account`, `settings`: one record. `positions`, `contracts`: one a symbol. `orders`: the first
    `account.orders` rows, in the order they were given. `fills`, `payments`: those of this bar.
    `finer`: the finer bars of all symbols, one after the other.
    """

    account: Records
    positions: Records
    orders: Records
    settings: Records
    contracts: Records
    fills: Records
    payments: Records
    finer: Records


def hand_over(handed: Records, arrays: Any) -> None:
    """Writes into a HANDED record where the arrays of a run lie; `arrays` has each of them as an attribute, to keep it.

    Shapes are those of `play_bar` and its histories, with two payments a symbol. Raises CrossgateError for other
    records, or for gaps.
    """
    for name, kind in RUN.items():
        handed[name] = address_of(getattr(arrays, name), kind)
    handed["symbols"], handed["rows"] = arrays.bars.shape
    for name, one in (("room", arrays.orders), ("most_fills", arrays.fills), ("finer_rows", arrays.finer)):
        handed[name] = len(one)


def contract_record(contract: Contract) -> Records:
    """One CONTRACT record with a contract's filters, fees, brackets and the venue's way with them."""
    record = np.zeros(1, dtype=CONTRACT)
    for name in _FIGURES.split():
        record[name] = getattr(contract, name)
    largest = contract.maximum_market_quantity
    record["maximum_market_quantity"] = np.inf if largest is None else largest
    record["inverse"], record["method"] = contract.kind == "inverse", METHODS.index(contract.method)
    record["vintage"] = contract.vintage
    if contract.method == "closing_fee":
        record["closing_fee_rate"] = max(contract.taker_fee, 0.0)
    tiers = contract.margin_tiers
    count = len(tiers.floors)
    if count > MOST_BRACKETS:
        problem = f"has more than {MOST_BRACKETS} brackets"
        raise ParameterError("contract.tiers", problem, value=count, fix="join the highest ones")
    record["brackets"], record["largest_notional"] = count, tiers.caps[-1]
    for name in ("floors", "rates", "amounts", "leverages"):
        record[name][0, :count] = getattr(tiers, name)
    return record


def settings_record(account: AccountParams, costs: CostParams) -> Records:
    """One SETTINGS record from the parameters of account and costs."""
    record = np.zeros(1, dtype=SETTINGS)
    record["slippage"], record["impact"] = costs.slippage_bps / 1e4, costs.impact
    if costs.half_spread is not None:
        ticks = costs.half_spread.unit == "tick"
        record["half_spread_ticks" if ticks else "half_spread"] = costs.half_spread.amount / (1.0 if ticks else 1e4)
    record["intrabar"] = INTRABAR.index(account.intrabar)
    record["through"] = LIMIT_FILL.index(account.limit_fill)
    record["cross"] = MARGINS.index(account.margin)
    return record
