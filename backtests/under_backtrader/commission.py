"""The commission scheme of a futures contract, in Backtrader's words."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from backtests.under_backtrader import worth

# How many margins are kept; a run asks about few prices at a time.
_KEPT = 16


class FuturesCommission(bt.CommInfoBase):
    """How Backtrader's trades and analyzers value a contract: row `symbol` of `contracts`, CONTRACT records.

    Backtrader averages entries by size, which is wrong for an inverse contract: the broker hands a closing order
    the account's own average as `entry`, and profit is reckoned from that.
    """

    params = (
        ("stocklike", False), ("commtype", bt.CommInfoBase.COMM_PERC), ("percabs", True), ("mult", 1.0),
        ("contracts", None), ("symbol", 0),
    )  # fmt: skip
    entry: float | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # The margins of the last prices asked about: a fill asks for that of its own price and of the entry's again.
        self._margins: dict[tuple[float, float], float] = {}

    def entered_at(self, entry: float) -> FuturesCommission:
        """The same scheme for a closing fill of a position with an average entry."""
        scheme: Any = object.__new__(type(self))
        scheme.__dict__ = {**self.__dict__, "entry": entry}
        return scheme  # type: ignore[no-any-return]

    def getsize(self, price: float, cash: float) -> float:
        """The size, fractional, that is worth an amount of the settlement currency, whatever the leverage."""
        return cash / worth.margin(self.p.contracts, self.p.symbol, 1.0, price, 1.0)

    def get_margin(self, price: float) -> float:
        """The initial margin of one unit."""
        p, known = self.p, self._margins
        if (price, p.leverage) not in known:
            if len(known) == _KEPT:
                known.clear()
            one = worth.margin(p.contracts, p.symbol, 1.0, price, p.leverage) if price > 0.0 else 0.0
            known[price, p.leverage] = one
        return known[price, p.leverage]

    def profitandloss(self, size: float, price: float, newprice: float) -> float:
        """What a size earns from one price to another."""
        entry = price if self.entry is None else self.entry
        return worth.profit(self.p.contracts, self.p.symbol, size, entry, newprice)

    cashadjust = profitandloss

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        return worth.fee(self.p.contracts, self.p.symbol, size, price, self.p.commission)
