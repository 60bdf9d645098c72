"""The witness: a slow, plain account that plays orders over bars, to be read like a specification.

Linear contracts, isolated margin, one maintenance rate per contract. It is written from the rules
alone and shares no code with the exchange, so that two independent readings can be compared.

Signs: `q` is the position (long above 0), `s` = +1 or -1 its direction. `margin` is the wallet
posted behind the position, a part of `cash`. Risk is tested on MARK prices, fills are made on LAST
prices. Orders given before `play(bar i)` were decided at the close of bar i-1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from witness_books import WitnessBooks
from witness_types import (
    LIQUIDATION,
    RUIN,
    TOLERANCE,
    Event,
    Fill,
    Payment,
    Position,
    WitnessBar,
    WitnessContract,
    WitnessOrder,
    falls_to,
    rises_to,
)

__all__ = [
    "LIQUIDATION",
    "Event",
    "Fill",
    "Payment",
    "Position",
    "WitnessAccount",
    "WitnessBar",
    "WitnessContract",
    "WitnessOrder",
]


@dataclass
class WitnessAccount(WitnessBooks):
    """One account over several symbols; `submit`, `cancel` and `play` one bar of every symbol at a time."""

    # ---- one bar

    def play(self, bars: Sequence[WitnessBar]) -> None:
        """Advance all symbols by one bar, in the order of the specification."""
        self.bar_index += 1
        self.bars = bars
        if self.ruined:
            return
        everyone = range(len(self.contracts))
        carried = [symbol for symbol in everyone if self.positions[symbol].side]
        for symbol in carried:
            self._pay_funding(symbol, "open", bars[symbol].mark_open, bars[symbol].funding_open)
        for symbol in carried:
            self._gap_at_open(symbol)
        self._market_orders()
        entered = self._resting_entries()
        for symbol in everyone:
            self._inside(symbol, entered.get(symbol))
        for symbol in everyone:
            self._pay_funding(symbol, "inside", bars[symbol].mark_close, bars[symbol].funding_inside)
            self._bankrupt_at_close(symbol)
        self._close()

    def _pay_funding(self, symbol: int, when: str, mark: float, rate: float) -> None:
        """Steps 1 and 5: q * mark * rate, longs pay a positive rate, out of the position's wallet."""
        position = self.positions[symbol]
        if position.side and rate:
            amount = position.quantity * mark * rate
            self.cash -= amount
            position.margin -= amount
            self.payments.append(Payment(self.bar_index, symbol, when, amount))
            self.journal.append(self.payments[-1])

    def _gap_at_open(self, symbol: int) -> None:
        """Step 2: liquidation by the mark's open, else stops beyond the open, else targets beyond it."""
        bar = self.bars[symbol]
        if self._liquidation_reached(symbol, bar.mark_open):
            self._liquidate(symbol, bar.open)
            return
        if bar.blocked:
            return
        stops = self._stops_reached(symbol, bar.open)
        for stop in stops:
            if stop.state == "live" and self.positions[symbol].side:
                self._reduce_by(stop, bar.open)
        if not stops:
            for target in self._targets_reached(symbol, bar.open):
                if target.state == "live" and self.positions[symbol].side:
                    self._reduce_by(target, target.price)

    def _market_orders(self) -> None:
        """Step 3: reductions of all symbols first, then openings, at the open plus slippage."""
        everyone = [symbol for symbol in range(len(self.contracts)) if not self.bars[symbol].blocked]
        for symbol in everyone:
            for order in self._live(symbol, lambda o: o.kind == "market"):
                opposite = order.side == -self.positions[symbol].side
                if order.state != "live":
                    continue  # an earlier order of this list has made the position flat
                if order.reduce_only and not opposite:
                    self._end(order, "cancelled", "nothing to reduce")
                elif opposite:
                    self._reduce_by(order, self.bars[symbol].open)
        for symbol in everyone:
            for order in self._live(symbol, lambda o: o.kind == "market" and not o.reduce_only):
                self._net(order, self.bars[symbol].open)

    def _resting_entries(self) -> dict[int, float]:
        """Between steps 3 and 4: limit and stop orders that may open; the symbols that they entered, and where."""
        entered: dict[int, float] = {}
        for symbol, bar in enumerate(self.bars):
            if bar.blocked:
                continue
            for order in self._live(symbol, lambda o: o.kind != "market" and not o.reduce_only):
                if order.side == -self.positions[symbol].side:
                    continue  # an exit: it takes its turn with the stops and targets
                buys = order.side > 0
                if order.kind == "limit" and self._limit_reached(order, bar.low if buys else bar.high):
                    at = min(bar.open, order.price) if buys else max(bar.open, order.price)
                elif order.kind == "stop" and self._stop_reached(order, bar.high if buys else bar.low):
                    at = max(bar.open, order.price) if buys else min(bar.open, order.price)
                else:
                    continue
                if self._net(order, at):
                    entered[symbol] = at
        return entered

    def _inside(self, symbol: int, entered: float | None) -> None:
        """Step 4: adverse and favourable levels inside the bar.

        A target does not count on the bar in which a limit or stop order entered.
        """
        bar, long = self.bars[symbol], self.positions[symbol].side > 0
        up, down, tick = bar.high - bar.open, bar.open - bar.low, self.contracts[symbol].tick
        favourable_way, adverse_way = (up, down) if long else (down, up)
        favourable_first = self.intrabar == "favourable" or (
            self.intrabar == "nearer_extreme" and (favourable_way - adverse_way) / tick < -TOLERANCE
        )
        if favourable_first and entered is None:
            self._favourable(symbol)
        self._adverse(symbol, entered)
        if not favourable_first and entered is None:
            self._favourable(symbol)

    def _adverse(self, symbol: int, entered: float | None) -> None:
        """The nearer of stop (last price) and liquidation (mark), until nothing more is touched.

        Each fills at its level, or at the open, or where the bar was entered, when that is worse.
        """
        bar, tick = self.bars[symbol], self.contracts[symbol].tick
        start = bar.open if entered is None else entered
        while side := self.positions[symbol].side:
            long = side > 0
            stops = [] if bar.blocked else self._stops_reached(symbol, bar.low if long else bar.high)
            if self._liquidation_reached(symbol, bar.mark_low if long else bar.mark_high):
                level = self.liquidation_price(symbol)
                nearer = rises_to if long else falls_to
                if not stops or not nearer(stops[0].price, level, tick):
                    self._liquidate(symbol, start)
                    return
            if not stops:
                return
            worse = min(start, stops[0].price) if long else max(start, stops[0].price)
            self._reduce_by(stops[0], worse)

    def _favourable(self, symbol: int) -> None:
        """Targets inside the bar, nearest first, each at its limit."""
        bar, long = self.bars[symbol], self.positions[symbol].side > 0
        if not bar.blocked:
            for target in self._targets_reached(symbol, bar.high if long else bar.low):
                if target.state == "live" and self.positions[symbol].side:
                    self._reduce_by(target, target.price)

    def _bankrupt_at_close(self, symbol: int) -> None:
        """Step 5, last: a position whose margin is eaten at the mark's close is taken over."""
        p = self.positions[symbol]
        if p.side and p.margin + p.quantity * (self.bars[symbol].mark_close - p.entry) <= 0:
            self._liquidate(symbol, self.bankruptcy_price(symbol))

    def _close(self) -> None:
        """Step 6: equity at the mark's close; an account at zero is ruined for good."""
        pairs = zip(self.positions, self.bars, strict=True)
        self.unrealised = math.fsum(p.quantity * (bar.mark_close - p.entry) for p, bar in pairs)
        self.equity = self.cash + self.unrealised
        if self.equity < RUIN:
            self.ruined = True
            for order in list(self.orders.values()):
                if order.state in ("live", "sleeping"):
                    self._end(order, "cancelled", "account is ruined")

    # ---- which levels a price has reached

    def _liquidation_reached(self, symbol: int, mark: float) -> bool:
        level, tick = self.liquidation_price(symbol), self.contracts[symbol].tick
        reached = falls_to if self.positions[symbol].side > 0 else rises_to
        return level > 0 and reached(mark, level, tick)

    def _stop_reached(self, order: WitnessOrder, price: float) -> bool:
        """A stop acts on touch."""
        reached = rises_to if order.side > 0 else falls_to
        return reached(price, order.price, self.contracts[order.symbol].tick)

    def _limit_reached(self, order: WitnessOrder, price: float) -> bool:
        """A limit fills on touch, or only a whole tick beyond it (`through`)."""
        tick = self.contracts[order.symbol].tick
        beyond = tick if self.limit_fill == "through" else 0.0
        reached = falls_to if order.side > 0 else rises_to
        return reached(price, order.price - order.side * beyond, tick)

    def _stops_reached(self, symbol: int, price: float) -> list[WitnessOrder]:
        """The position's live stops that the price has reached, nearest first."""
        side = self.positions[symbol].side
        stops = self._live(symbol, lambda o: o.kind == "stop" and o.side == -side)
        return sorted((o for o in stops if self._stop_reached(o, price)), key=lambda o: -side * o.price)

    def _targets_reached(self, symbol: int, price: float) -> list[WitnessOrder]:
        """The position's live targets that the price has reached, nearest first."""
        side = self.positions[symbol].side
        targets = self._live(symbol, lambda o: o.kind == "limit" and o.side == -side)
        return sorted((o for o in targets if self._limit_reached(o, price)), key=lambda o: side * o.price)
