"""The commission scheme of a futures contract, in Backtrader's words."""

from __future__ import annotations

import backtrader as bt

from backtests.valuation import fee_of, initial_margin_of, profit_of


class FuturesCommission(bt.CommInfoBase):
    """How Backtrader's trades and analyzers value a contract: `contract` is its CONTRACT record.

    Backtrader averages entries by size, which is wrong for an inverse contract: the broker hands a closing order
    the account's own average as `entry`, and profit is reckoned from that.
    """

    params = (
        ("stocklike", False), ("commtype", bt.CommInfoBase.COMM_PERC), ("percabs", True), ("mult", 1.0),
        ("contract", None),
    )  # fmt: skip
    entry: float | None = None

    def getsize(self, price: float, cash: float) -> float:
        """The size, fractional, that is worth an amount of the settlement currency, whatever the leverage."""
        return cash / initial_margin_of(self.p.contract, 1.0, price, 1.0)

    def get_margin(self, price: float) -> float:
        """The initial margin of one unit."""
        return initial_margin_of(self.p.contract, 1.0, price, self.p.leverage) if price > 0.0 else 0.0

    def profitandloss(self, size: float, price: float, newprice: float) -> float:
        """What a size earns from one price to another."""
        return profit_of(self.p.contract, size, price if self.entry is None else self.entry, newprice)

    cashadjust = profitandloss

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        return fee_of(self.p.contract, size, price, self.p.commission)
