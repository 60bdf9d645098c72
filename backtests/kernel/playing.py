"""Playing: an account on the exchange over the bars of a run, and what it was at every close."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backtests.exchange import layout, records
from backtests.exchange.bars import BarSource, BarWindow
from backtests.exchange.exchange import NOTHING_LEFT
from backtests.exchange.parameters import AccountParams, CostParams
from backtests.exchange.passing import play_handed, withdraw_handed
from foundation.errors import CrossgateError
from markets.candles import FloatArray
from markets.market import Market

# How many bars are looked ahead at, at first and at most.
SHORTEST, LONGEST = 32, 4096
_states = layout.ORDER.reader("id", "status", "remark")


class Playing:
    """The arrays of one run. `account`: its ACCOUNT record. `first`: the row at whose close orders can first be given.

    `history`: one HISTORY record a bar; `position_history`: POSITION_HISTORY, shape (symbols, bars). They hold
    from the first bar up to before `wake`, the row of the next bar that has to be played; `sleeps`: whether bars on
    which nothing can happen are passed over before that, or all are played. Any new order ends such a sleep.
    """

    def __init__(
        self,
        markets: Sequence[Market],
        terms: AccountParams,
        costs: CostParams,
        account: records.Records,
        *,
        first: int = 0,
        sleeps: bool = True,
    ) -> None:
        count, bars = len(markets), len(markets[0].candles)
        self.account, self.bar_count = account, bars
        self.positions = np.zeros(count, dtype=records.POSITION)
        self.window = BarWindow(BarSource(markets, costs.impact_window, first))
        self.bars, self.finer = self.window.records, self.window.source.finer
        self.contracts = np.concatenate([records.contract_record(market.contract) for market in markets])
        self.settings = records.settings_record(terms, costs)
        self.history = np.zeros(bars, dtype=records.HISTORY)
        self.position_history = np.zeros((count, bars), dtype=records.POSITION_HISTORY)
        self.payments = np.zeros(2 * count, dtype=records.PAYMENT)
        self._handed = np.zeros(1, dtype=records.HANDED)
        self._make_room(np.zeros(64, dtype=records.ORDER))
        self.wake, self.stride, self.sleeps = 0, SHORTEST, sleeps
        values: Any = self.history
        self.equity, self.cash = memoryview(values["equity"]), memoryview(values["cash"])
        margins: Any = self.position_history["margin"]
        self._margins = [memoryview(row) for row in margins]

    def play(self, i: int) -> bool:
        """Plays bar `i`, or passes over it and those after it; whether anything was filled, paid or ended."""
        if i >= self.bar_count:
            raise CrossgateError(f"a feed has delivered more than the {self.bar_count:,} bars of its market")
        end = min(i + self.stride, self.bar_count)
        self.window.reach(i, end)
        self.wake = play_handed(self._handed, i, end if self.sleeps else i)
        self.stride = min(2 * self.stride, LONGEST) if self.wake == end else SHORTEST
        return bool(self.account["events"][0])

    def _make_room(self, orders: records.Records) -> None:
        """Takes an array for the orders, with one for the fills they can make on a bar."""
        self.orders = orders
        self.fills = np.zeros(3 * len(orders) + 2 * len(self.positions), dtype=records.FILL)
        self._order_bytes, self._fill_bytes = layout.bytes_of(orders), layout.bytes_of(self.fills)
        records.hand_over(self._handed, self)

    def settle(self, i: int) -> None:
        """Brings the account up to the close of bar `i`, which was passed over."""
        for name, values in self.closes(slice(i, i + 1)).items():
            self.account[name] = values[0]

    def margin(self, i: int) -> float:
        """The margin posted at the close of bar `i`; of a ruined account, that of its end."""
        if self.account["ruined"][0]:
            return float(self.account["margin"][0])
        total = 0.0
        for margins in self._margins:
            total += margins[i]
        return total

    def closes(self, rows: slice) -> dict[str, FloatArray]:
        """The account at the closes of some bars: equity, cash, margin posted and unrealised profit.

        The last two are sums over the positions; those of a ruined account stay what they were at its end.
        """
        found = {name: self.history[name][rows] for name in ("equity", "cash")}
        for name in ("margin", "unrealised"):
            total = np.zeros(len(found["cash"]))
            for held in self.position_history[name]:
                total += held[rows]
            found[name] = total
            if self.account["ruined"][0]:
                total[found["equity"] <= NOTHING_LEFT] = self.account[name][0]
        return found

    def order(self, values: dict[str, Any]) -> int:
        """A new row of orders, which the next bar will meet; its number."""
        row = int(self.account["orders"][0])
        if row == len(self.orders):
            self._make_room(np.concatenate((self.orders, np.zeros_like(self.orders))))
        layout.ORDER.write(self._order_bytes, row, values)
        self.account["orders"] = row + 1
        self.wake = 0
        return row

    def withdraw(self, identity: int) -> None:
        """Cancels an order, and what is tied to it."""
        withdraw_handed(self._handed, identity)
        self.wake = 0

    def states(self) -> list[tuple[int, int, int]]:
        """Number, status and remark of the orders on the exchange, and of those that ended since the last bar began."""
        return _states(self._order_bytes, int(self.account["orders"][0]))

    def order_rows(self) -> list[Any]:
        """All fields of the same orders."""
        return layout.ORDER.read_all(self._order_bytes, int(self.account["orders"][0]))

    def fill_rows(self) -> list[Any]:
        """The fills of the bar that was played."""
        return layout.FILL.read_all(self._fill_bytes, int(self.account["fills"][0]))
