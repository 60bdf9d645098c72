"""The ledger of a run: every fill, funding payment and order that did not fill as given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from backtests import records
from backtests.result import Totals
from markets.candles import IntArray

_STATUS = {
    records.FILLED: "shrunk", records.CANCELLED: "cancelled", records.REFUSED: "refused", records.EXPIRED: "expired",
}  # fmt: skip
FILL_COLUMNS = (
    "timestamp", "symbol", "side", "quantity", "price", "reason", "fee", "realised_pnl", "position", "cash",
    "slippage", "liquidation_fee", "bound", "notional", "spread_cost", "impact_cost",
)  # fmt: skip
PAYMENT_COLUMNS = ("timestamp", "symbol", "position", "mark", "rate", "payment", "cash")
ORDER_COLUMNS = (
    "timestamp", "symbol", "side", "quantity", "status", "reason", "kind", "price", "position", "cash",
)  # fmt: skip


class Ledger:
    """What happened to one account, bar by bar, as rows of the tables in a Result.

    `symbols`: by number. `stamps`: the open of each bar, UTC nanoseconds. `account`: its ACCOUNT record.
    """

    def __init__(self, symbols: list[str], stamps: IntArray, account: records.Records) -> None:
        self.symbols, self.stamps, self.account = symbols, stamps, account
        self.fills: list[tuple[Any, ...]] = []
        self.payments: list[tuple[Any, ...]] = []
        self.orders: list[tuple[Any, ...]] = []

    def add_fill(self, i: int, fill: Any) -> None:
        """A FILL record of bar `i`."""
        side = "buy" if fill["side"] > 0 else "sell"
        reason = records.FILL_REASONS[fill["reason"]]
        head = (
            self.stamps[i],
            self.symbols[fill["symbol"]],
            side,
            float(fill["quantity"]),
            float(fill["price"]),
            reason,
        )
        names = ("fee", "realised_pnl", "position", "cash", *FILL_COLUMNS[-6:])
        self.fills.append((*head, *(float(fill[name]) for name in names)))

    def add_payments(self, i: int, payments: Any) -> None:
        """The PAYMENT records of bar `i`."""
        for row in payments:
            numbers = (float(row[name]) for name in PAYMENT_COLUMNS[2:])
            self.payments.append((self.stamps[i], self.symbols[row["symbol"]], *numbers))

    def add_order(self, i: int, row: Any) -> None:
        """An ORDER record that was refused, shrunk, cancelled or expired on bar `i`, and the account of that moment."""
        side = "buy" if row["side"] > 0 else "sell"
        quantity, remark = float(row["quantity"]), records.ORDER_REMARKS[row["remark"]]
        head = (self.stamps[i], self.symbols[row["symbol"]], side, quantity, _STATUS[int(row["status"])], remark)
        kind = records.ORDER_KINDS[row["kind"]]
        numbers = (float(row[name]) for name in ("price", "position", "cash"))
        self.orders.append((*head, kind, *numbers))

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Fills, funding payments and orders as tables with UTC timestamps."""
        return (
            table(self.fills, FILL_COLUMNS),
            table(self.payments, PAYMENT_COLUMNS),
            table(self.orders, ORDER_COLUMNS),
        )

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


def table(rows: Sequence[tuple[Any, ...]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Rows as a table; text columns and an int64 UTC timestamp keep their types when there are none."""
    text = ("symbol", "side", "reason", "status", "kind")
    data = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    frame = pd.DataFrame(
        {
            name: pd.Series(
                list(values), dtype=str if name in text else np.int64 if name == "timestamp" else np.float64
            )
            for name, values in zip(columns, data, strict=True)
        }
    )
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True, unit="ns")
    return frame
