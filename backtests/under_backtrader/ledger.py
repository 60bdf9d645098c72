"""The ledger of a run: every fill, funding payment and order that did not fill as given."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from backtests.exchange import records
from markets.candles import IntArray

# Statuses by number; an order that was filled is in the table because it was shrunk.
_STATUS = ("sleeping", "live", "shrunk", "cancelled", "refused", "expired")
FILL_COLUMNS = (
    "timestamp", "symbol", "side", "quantity", "price", "reason", "fee", "realised_pnl", "position", "cash",
    "slippage", "liquidation_fee", "bound", "notional", "spread_cost", "impact_cost",
)  # fmt: skip
PAYMENT_COLUMNS = ("timestamp", "symbol", "position", "mark", "rate", "payment", "cash")
ORDER_COLUMNS = (
    "timestamp", "symbol", "side", "quantity", "status", "reason", "kind", "price", "position", "cash",
)  # fmt: skip


@dataclass(frozen=True)
class Totals:
    """Sums over the whole run, in the settlement currency; costs count positive when paid.

    `fees`: trading fees. `funding`: net funding PAID (negative when received). `slippage`: already
    inside the fill prices, shown apart and never added again; of it `spread_cost` is half-spread and
    `impact_cost` market impact, the rest is fixed. `liquidation_charges`: clearance
    charges, less what the venue's fund bore of losses that a cross account could not. `liquidations`, `refusals`,
    `shrunk`: how many positions and orders. `bound_liquidations`: those of a cross account that rest on the bound
    alone, with all other positions at their adverse extremes of the bar at once.
    `decided_by_finer`, `decided_by_assumption`: on how many bars a position had a target and also a stop or its
    liquidation in reach, and finer candles, or only `account.intrabar`, said which came first.
    """

    fees: float
    funding: float
    slippage: float
    spread_cost: float
    impact_cost: float
    liquidation_charges: float
    liquidations: int
    refusals: int
    shrunk: int
    decided_by_finer: int
    decided_by_assumption: int
    bound_liquidations: int = 0


class Ledger:
    """What happened to one account, bar by bar, as rows of the tables in a Result.

    `symbols`: by number. `stamps`: the open of each bar, UTC nanoseconds. `account`: its ACCOUNT record.
    """

    def __init__(self, symbols: list[str], stamps: IntArray, account: records.Records) -> None:
        self.symbols, self.stamps, self.account = symbols, stamps, account
        self._fills = _Rows(records.FILL)
        self._payments = _Rows(records.PAYMENT)
        self._orders = _Rows(records.ORDER)

    def add_fills(self, i: int, fills: records.Records) -> None:
        """The FILL records of bar `i`."""
        self._fills.add(i, fills)

    def add_payments(self, i: int, payments: records.Records) -> None:
        """The PAYMENT records of bar `i`."""
        self._payments.add(i, payments)

    def add_order(self, i: int, order: records.Records) -> None:
        """An ORDER record that was refused, shrunk, cancelled or expired on bar `i`, and the account of that moment."""
        self._orders.add(i, order)

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Fills, funding payments and orders as tables with UTC timestamps."""
        bars, fills = self._fills.joined()
        at, payments = self._payments.joined()
        ended, orders = self._orders.joined()
        head = self._head(ended, orders) | {
            "status": _named(_STATUS, orders["status"]),
            "reason": _named(records.ORDER_REMARKS, orders["remark"]),
            "kind": _named(records.ORDER_KINDS, orders["kind"]),
        }
        return (
            fill_table(self.symbols, self.stamps[bars], fills),
            frame(PAYMENT_COLUMNS, self._head(at, payments), payments),
            frame(ORDER_COLUMNS, head, orders),
        )

    def _head(self, bars: IntArray, rows: records.Records) -> dict[str, Any]:
        return _head(self.symbols, self.stamps[bars], rows)

    def totals(self) -> Totals:
        """The sums over the run."""
        fills, payments, orders = self.tables()
        return Totals(
            fees=float(fills["fee"].sum()),
            funding=float(payments["payment"].sum()),
            slippage=float(fills["slippage"].sum()),
            spread_cost=float(fills["spread_cost"].sum()),
            impact_cost=float(fills["impact_cost"].sum()),
            liquidation_charges=float(fills["liquidation_fee"].sum()),
            liquidations=int((fills["reason"] == "liquidation").sum()),
            refusals=int((orders["status"] == "refused").sum()),
            decided_by_finer=int(self.account["decided_by_finer"][0]),
            decided_by_assumption=int(self.account["decided_by_assumption"][0]),
            shrunk=int((orders["status"] == "shrunk").sum()),
            bound_liquidations=int(fills["bound"].sum()),
        )


class _Rows:
    """Records that come a few at a time, with the bar each belongs to."""

    def __init__(self, kind: np.dtype[Any]) -> None:
        self.kind, self.bars, self.content = kind, array("q"), bytearray()

    def add(self, i: int, rows: records.Records) -> None:
        self.bars.extend([i] * len(rows))
        self.content += rows.tobytes()

    def joined(self) -> tuple[IntArray, records.Records]:
        return np.array(self.bars, dtype=np.int64), np.frombuffer(bytes(self.content), dtype=self.kind)


def fill_table(symbols: Sequence[str], stamps: IntArray, fills: records.Records) -> pd.DataFrame:
    """FILL records and the opens of their bars as the table of fills in a Result."""
    reasons = _named(records.FILL_REASONS, fills["reason"])
    return frame(FILL_COLUMNS, {**_head(symbols, stamps, fills), "reason": reasons}, fills)


def _head(symbols: Sequence[str], stamps: IntArray, rows: records.Records) -> dict[str, Any]:
    """The columns that tables share; a payment has no side."""
    head = {"timestamp": stamps, "symbol": _named(symbols, rows["symbol"])}
    if "side" in (rows.dtype.names or ()):
        head["side"] = _named(("sell", "buy"), rows["side"] > 0)
    return head


def _named(names: Sequence[str], numbers: npt.NDArray[Any]) -> list[str]:
    return [names[number] for number in numbers.tolist()]


def frame(columns: Sequence[str], given: Mapping[str, Any], rows: records.Records) -> pd.DataFrame:
    """A table of columns that are given, or else are fields of records; timestamps become UTC, words stay words."""
    values: dict[str, Any] = {}
    for name in columns:
        column = given.get(name)
        if name == "timestamp":
            values[name] = pd.to_datetime(np.asarray(column, dtype=np.int64), utc=True, unit="ns")
        elif column is None:
            values[name] = pd.Series(rows[name].astype(np.float64))
        else:
            values[name] = pd.Series(column, dtype=str)
    return pd.DataFrame(values)
