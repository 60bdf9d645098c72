"""The witness of a cross account: all of its equity stands behind every position.

A position is lost where the cash, the gains of all and the maintenance of all come to nothing. In steps 2 and 4 the
others count at their adverse extremes of the bar; at the close, and to tell what rests on that bound alone, at
the marks that are known. What the account cannot bear is borne by the venue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from witness import money
from witness.account import WitnessAccount
from witness.terms import WitnessOrder, falls_to, rises_to


@dataclass
class CrossAccount(WitnessAccount):
    """One cross account over several symbols; `seen`: the mark that a liquidation was last tested with."""

    seen: float = 0.0

    @property
    def known_equity(self) -> float:
        """Cash and the gains of all positions at the marks that are known."""
        return self.cash + math.fsum(self.gain(symbol, mark) for symbol, mark in enumerate(self.marks))

    @property
    def free_cash(self) -> float:
        """Equity that no margin is posted from."""
        return self.known_equity - self.margin

    def _level(self, symbol: int, prices: list[float]) -> float:
        """The mark at which a position is lost with the others at some prices; 0 for none."""
        held, contract = self.positions[symbol], self.contracts[symbol]
        if not held.side:
            return 0.0
        wallet = self.cash
        for other, price in enumerate(prices):
            if other != symbol and self.positions[other].side:
                value = money.worth(self.contracts[other], self.positions[other].quantity, price)
                wallet += self.gain(other, price) - money.maintenance(self.contracts[other], value)
        level = money.liquidation_price(contract, held, wallet)
        # A short of a linear contract gains at most its worth, a long of an inverse one too: beyond that it is lost.
        beyond_help = held.side < 0 if contract.kind == "linear" else held.side > 0
        return self.marks[symbol] if level == 0 and beyond_help else level

    def liquidation_price(self, symbol: int) -> float:
        """Where a position is lost with the others at the marks that are known."""
        return self._level(symbol, list(self.marks))

    def tested_level(self, symbol: int) -> float:
        """Where a position is lost with the others at their adverse extremes."""
        worst = [
            bar.mark_low if held.side > 0 else bar.mark_high
            for held, bar in zip(self.positions, self.bars, strict=True)
        ]
        return self._level(symbol, worst)

    def _liquidation_reached(self, symbol: int, mark: float | None) -> bool:
        self.seen = self.seen if mark is None else mark
        return super()._liquidation_reached(symbol, mark)

    def _worst_price(self, symbol: int) -> float:
        return -math.inf if self.positions[symbol].side > 0 else math.inf

    def _left_behind(self, symbol: int, closed: float, realised: float, released: float) -> float:
        """The equity after the closing, before its fees: the rest of the position and all others at known marks."""
        share = closed / abs(self.positions[symbol].quantity)
        return self.known_equity + realised - share * self.gain(symbol, self.marks[symbol])

    def _loss_at_once(self, order: WitnessOrder, quantity: float, price: float) -> float:
        """An opening above the mark loses the difference at once, and needs it."""
        contract = self.contracts[order.symbol]
        paid, now = (money.worth(contract, quantity, at) for at in (price, self.marks[order.symbol]))
        return max(0.0, -money.gain(contract, order.side, paid, now))

    def _pay_funding(self, symbol: int, when: str, mark: float, rate: float) -> None:
        posted = self.positions[symbol].margin
        super()._pay_funding(symbol, when, mark, rate)
        self.positions[symbol].margin = posted

    def _liquidate(self, symbol: int, reference: float) -> None:
        """All resting orders of the account go first; then the position, at its level or where the way starts."""
        held, contract = self.positions[symbol], self.contracts[symbol]
        level, known = self.tested_level(symbol), self.liquidation_price(symbol)
        reached = falls_to if held.side > 0 else rises_to
        bound = known == 0 or not reached(self.seen, known, contract.tick)
        self._cancel_all()
        at = min(level, reference) if held.side > 0 else max(level, reference)
        price = self._taker_price(symbol, -held.side, at, abs(held.quantity))
        self._take_off(symbol, abs(held.quantity), price, at, contract.taker_fee, None)
        self.fills[-1] = self.journal[-1] = replace(self.fills[-1], bound=bound)

    def _cancel_all(self) -> None:
        for symbol in range(len(self.contracts)):
            self._cancel_resting(symbol)

    def _bankrupt_at_close(self, symbol: int) -> None:
        """No position is bankrupt on its own."""

    def _bankrupt_account(self) -> None:
        """Step 5, last: an account without equity is closed, every position at its mark."""
        if self.known_equity > 0:
            return
        for symbol, held in enumerate(self.positions):
            if held.side:
                self._cancel_resting(symbol)
                mark, taker_fee = self.marks[symbol], self.contracts[symbol].taker_fee
                self._take_off(symbol, abs(held.quantity), mark, mark, taker_fee, None)
