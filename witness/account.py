"""The witness: a slow, plain account that plays orders over bars, to be read like a specification.

Linear and inverse contracts on isolated margin, with the venues' brackets and ways. It is written from the rules
alone and shares no code with the exchange, so that two independent readings can be compared.

Signs: `q` is the position (long above 0), `s` = +1 or -1 its direction. `margin` is the wallet
posted behind the position, a part of `cash`. Risk is tested on MARK prices, fills are made on LAST
prices. Orders given before `play(bar i)` were decided at the close of bar i-1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from witness import money
from witness.books import WitnessBooks
from witness.terms import (
    RUIN,
    TOLERANCE,
    Payment,
    WitnessBar,
    WitnessFiner,
    WitnessOrder,
    ceil_to,
    falls_to,
    floor_to,
    rises_to,
)

# A protective stop is called by what moved it last.
MOVING = ("stop_loss", "trailing_stop", "break_even")


@dataclass
class WitnessAccount(WitnessBooks):
    """One account over several symbols; `submit`, `cancel` and `play` one bar of every symbol at a time."""

    # ---- one bar

    def play(self, bars: Sequence[WitnessBar]) -> None:
        """Advance all symbols by one bar, in the order of the specification."""
        self.bar_index += 1
        self.bars, self.marks = bars, [bar.mark_open for bar in bars]
        self.standing = [order for order in self.standing if order.open]
        if self.ruined:
            return
        self._expire()
        everyone = range(len(self.contracts))
        carried = [symbol for symbol in everyone if self.positions[symbol].side]
        for symbol in carried:
            self._pay_funding(symbol, "open", bars[symbol].mark_open, bars[symbol].funding_open)
        for symbol in carried:
            self._gap_at_open(symbol)
        self._at_one_price("market")
        entered = self._resting_entries()
        for symbol in everyone:
            self._inside(symbol, entered.get(symbol))
            self._move_stops(symbol, symbol in entered)
        self.marks = [bar.mark_close for bar in bars]
        for symbol in everyone:
            self._pay_funding(symbol, "inside", bars[symbol].mark_close, bars[symbol].funding_inside)
        for symbol in everyone:
            self._bankrupt_at_close(symbol)
        self._bankrupt_account()
        self._at_one_price("close")
        for symbol in everyone:
            self._bankrupt_at_close(symbol)
        self._bankrupt_account()
        self._follow_the_close()
        self._close()
        self._remember()

    def _expire(self) -> None:
        """Step 0: whatever is no longer valid on this bar, in the order of ids; never a market order."""
        for order in sorted(self.standing, key=lambda o: o.id):
            over = order.expires is not None and order.expires <= self.bar_index
            if order.open and over and order.kind != "market":
                self._end(order, "expired", "no longer valid")

    def _pay_funding(self, symbol: int, when: str, mark: float, rate: float) -> None:
        """Steps 1 and 5: worth at the mark * rate, longs pay a positive rate, out of the position's wallet."""
        position = self.positions[symbol]
        if position.side and rate:
            amount = position.side * money.worth(self.contracts[symbol], position.quantity, mark) * rate
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
        filled = False
        for stop in self._stops_reached(symbol, bar.open):
            if stop.state == "live" and self.positions[symbol].side:
                filled = self._stop_out(stop, bar.open) or filled
        if not filled:
            for target in self._targets_reached(symbol, bar.open):
                if target.state == "live" and self.positions[symbol].side:
                    self._reduce_by(target, target.ask, maker=True)

    def _stop_out(self, stop: WitnessOrder, start: float) -> bool:
        """A reached stop against the position fills, at its level or where the bar starts from when that is beyond it.

        A stop-limit does so when its limit allows that price; else it has become a limit order: at once when
        it was triggered where the bar starts from, else at the end of the bar. True when it filled.
        """
        sells, tick = stop.side < 0, self.contracts[stop.symbol].tick
        at = min(start, stop.price) if sells else max(start, stop.price)
        if stop.kind == "stop_limit":
            allowed = rises_to(at, stop.limit, tick) if sells else falls_to(at, stop.limit, tick)
            if not allowed:
                stop.triggered, stop.triggered_on = True, self.bar_index
                stop.waiting = not self._stop_reached(stop, start)
                return False
        self._reduce_by(stop, at)
        return True

    def _at_one_price(self, kind: str) -> None:
        """Steps 3 and 6: reductions of all symbols first, then openings, at the open or the close plus slippage."""
        everyone = [symbol for symbol in range(len(self.contracts)) if not self.bars[symbol].blocked]
        price = [bar.open if kind == "market" else bar.close for bar in self.bars]
        due = {o.id for o in self.standing if o.kind == kind and (kind == "market" or o.due <= self.bar_index)}
        for symbol in everyone:
            for order in self._live(symbol, lambda o: o.id in due):
                opposite = order.side == -self.positions[symbol].side
                if order.state != "live":
                    continue  # an earlier order of this list has made the position flat
                if order.reduce_only and not opposite:
                    self._end(order, "cancelled", "nothing to reduce")
                elif opposite:
                    self._reduce_by(order, price[symbol])
        for symbol in everyone:
            for order in self._live(symbol, lambda o: o.id in due and not o.reduce_only):
                if order.state == "live":
                    self._net(order, price[symbol])

    def _resting_entries(self) -> dict[int, float]:
        """Between steps 3 and 4: limit and stop orders that may open; the symbols that they entered, and where."""
        entered: dict[int, float] = {}
        for symbol, bar in enumerate(self.bars):
            if bar.blocked:
                continue
            for order in self._live(symbol, lambda o: (o.stops or o.limits) and not o.reduce_only):
                if order.state != "live" or order.side == -self.positions[symbol].side:
                    continue  # over, or an exit: that takes its turn with the stops and targets
                at, maker = self._entry_at(order, bar)
                if at is not None and self._net(order, at, maker):
                    entered[symbol] = at
        return entered

    def _entry_at(self, order: WitnessOrder, bar: WitnessBar) -> tuple[float | None, bool]:
        """Where a resting order that may open fills inside a bar (None: nowhere), and whether as a maker."""
        buys, tick = order.side > 0, self.contracts[order.symbol].tick
        for_limit, for_stop = (bar.low, bar.high) if buys else (bar.high, bar.low)
        if order.limits:
            better = min(bar.open, order.ask) if buys else max(bar.open, order.ask)
            return (better if self._limit_reached(order, for_limit) else None), True
        if not self._stop_reached(order, for_stop):
            return None, False
        at = max(bar.open, order.price) if buys else min(bar.open, order.price)
        if order.kind == "stop" or (falls_to if buys else rises_to)(at, order.limit, tick):
            return at, False
        order.triggered, order.triggered_on = True, self.bar_index
        if self._stop_reached(order, bar.open):
            return (order.limit if self._limit_reached(order, for_limit) else None), True
        order.waiting = True
        return (order.limit if self._turned_back(order, bar) else None), True

    def _turned_back(self, order: WitnessOrder, bar: WitnessBar) -> bool:
        """Inside the bar that triggered it the close has come back to the limit, on a bar that goes that way.

        A bar that closes where it opened counts as a rising one.
        """
        falls = (bar.open - bar.close) / self.contracts[order.symbol].tick > TOLERANCE
        return falls == (order.side > 0) and self._limit_reached(order, bar.close)

    def _inside(self, symbol: int, entered: float | None) -> None:
        """Step 4: adverse and favourable levels inside the bar.

        A target does not count on the bar in which a limit or stop order entered. Where both sides are in the
        bar its finer bars are played one after the other, as far as they are there.
        """
        bar = self.bars[symbol]
        counts = entered is None and not bar.blocked
        if counts and self._both_ways(symbol, bar):
            path: Sequence[WitnessBar | WitnessFiner] = self._finer_path(symbol) or [bar]
            told = True
            for step in path:
                told = told and not self._both_ways(symbol, step)
                self._step(symbol, step, None)
            self.decided_by_finer += told
            self.decided_by_assumption += not told
        else:
            self._step(symbol, bar, entered)
        if entered is None:
            self._come_back(symbol)

    def _finer_path(self, symbol: int) -> Sequence[WitnessFiner]:
        """The finer bars of the bar; none where a liquidation is in it and their mark is not known."""
        bar, long = self.bars[symbol], self.positions[symbol].side > 0
        liquidated = self._liquidation_reached(symbol, bar.mark_low if long else bar.mark_high)
        return [] if liquidated and any(step.mark_low is None for step in bar.finer) else bar.finer

    def _both_ways(self, symbol: int, path: WitnessBar | WitnessFiner) -> bool:
        """A stop or the liquidation, and a target too, are in reach."""
        long = self.positions[symbol].side > 0
        low, mark, high = (path.low, path.mark_low, path.high) if long else (path.high, path.mark_high, path.low)
        adverse = self._stops_reached(symbol, low) or self._liquidation_reached(symbol, mark)
        return bool(self.positions[symbol].side and adverse and self._targets_reached(symbol, high))

    def _step(self, symbol: int, path: WitnessBar | WitnessFiner, entered: float | None) -> None:
        """The inside of a bar, or of one of its finer bars, by the assumed order of its extremes."""
        long, tick = self.positions[symbol].side > 0, self.contracts[symbol].tick
        up, down = path.high - path.open, path.open - path.low
        favourable_way, adverse_way = (up, down) if long else (down, up)
        favourable_first = self.intrabar == "favourable" or (
            self.intrabar == "nearer_extreme" and (favourable_way - adverse_way) / tick < -TOLERANCE
        )
        if favourable_first and entered is None:
            self._favourable(symbol, path)
        self._adverse(symbol, path, entered)
        if entered is None:
            # Also after the target's turn came first: a stop-limit triggered at the start is one since.
            self._favourable(symbol, path)

    def _adverse(self, symbol: int, path: WitnessBar | WitnessFiner, entered: float | None) -> None:
        """The nearer of stop (last price) and liquidation (mark), until nothing more is touched.

        Each fills at its level, or at the open of the bar, or where the bar was entered, when that is worse.
        """
        bar, tick = self.bars[symbol], self.contracts[symbol].tick
        start = bar.open if entered is None else entered
        while side := self.positions[symbol].side:
            long = side > 0
            stops = [] if bar.blocked else self._stops_reached(symbol, path.low if long else path.high)
            if self._liquidation_reached(symbol, path.mark_low if long else path.mark_high):
                level = self.tested_level(symbol)
                nearer = rises_to if long else falls_to
                if not stops or not nearer(stops[0].price, level, tick):
                    self._liquidate(symbol, start)
                    return
            if not stops:
                return
            self._stop_out(stops[0], start)

    def _favourable(self, symbol: int, path: WitnessBar | WitnessFiner) -> None:
        """Targets inside the bar, nearest first, each at its limit."""
        if not self.bars[symbol].blocked:
            for target in self._targets_reached(symbol, path.high if self.positions[symbol].side > 0 else path.low):
                if target.state == "live" and self.positions[symbol].side:
                    self._reduce_by(target, target.ask, maker=True)

    def _come_back(self, symbol: int) -> None:
        """Step 4, last: exits triggered as stop-limits inside this bar, to whose limits its close has come back."""
        side = self.positions[symbol].side
        waiting = self._live(symbol, lambda o: o.waiting and o.side == -side)
        for order in sorted(waiting, key=lambda o: side * o.limit):
            if order.state == "live" and self.positions[symbol].side and self._turned_back(order, self.bars[symbol]):
                self._reduce_by(order, order.limit, maker=True)

    def _follow_the_close(self) -> None:
        """Step 7: trails go to the close less (for a buy, plus) their distance, never back; what waited is free."""
        for order in self.standing:
            bar, contract = self.bars[order.symbol], self.contracts[order.symbol]
            distance = order.trail_amount or order.trail_rate * bar.close
            over = order.triggered and order.triggered_on < self.bar_index
            order.waiting = False
            if order.state != "live" or bar.blocked or not distance or over:
                continue
            to_tick = ceil_to if order.side * (-1 if order.reduce_only else 1) > 0 else floor_to
            level = to_tick(bar.close + order.side * distance, contract.tick)
            if order.side * (order.price - level) > 0:
                order.limit += level - order.price
                order.price = level

    def _move_stops(self, symbol: int, entered: bool) -> None:
        """Step 4, last: stops that trail or break even are set for the next bar, by this bar's best price.

        Not on a bar that cleaning touched, nor on one in which a limit or stop order entered.
        """
        bar, side, tick = self.bars[symbol], self.positions[symbol].side, self.contracts[symbol].tick
        if bar.blocked or entered or not side:
            return
        best, reached = (bar.high, rises_to) if side > 0 else (bar.low, falls_to)
        for stop in self._live(symbol, lambda o: o.kind == "stop" and o.side == -side):
            wanted = []
            if stop.trailing_rate > 0 or stop.trailing > 0:
                since = stop.basis * (1 + side * stop.trailing_after_rate) + side * stop.trailing_after
                if stop.trailing_after_rate == stop.trailing_after == 0 or reached(best, since, tick):
                    wanted.append(("trailing_stop", best * (1 - side * stop.trailing_rate) - side * stop.trailing))
            if stop.break_even_rate > 0 or stop.break_even > 0:
                since = stop.basis * (1 + side * stop.break_even_rate) + side * stop.break_even
                if reached(best, since, tick):
                    wanted.append(("break_even", stop.basis))
            for why, level in wanted:
                on_tick = ceil_to(level, tick) if side > 0 else floor_to(level, tick)
                if side * (on_tick - stop.price) > 0:
                    stop.price = on_tick
                    stop.tag = why if stop.tag in MOVING else stop.tag

    def _bankrupt_at_close(self, symbol: int) -> None:
        """Step 5, last: a position whose margin is eaten at the mark's close is taken over."""
        p = self.positions[symbol]
        if p.side and p.margin - p.reserve + self.gain(symbol, self.bars[symbol].mark_close) <= 0:
            self._liquidate(symbol, self.bankruptcy_price(symbol))

    def _bankrupt_account(self) -> None:
        """Step 5, last, of an account that stands behind all of its positions: none here."""

    def _close(self) -> None:
        """Step 7: equity at the mark's close; an account at zero is ruined for good."""
        marks = [bar.mark_close for bar in self.bars]
        self.unrealised = math.fsum(self.gain(symbol, mark) for symbol, mark in enumerate(marks))
        self.equity = self.cash + self.unrealised
        if self.equity < RUIN:
            self.ruined = True
            for order in list(self.standing):
                if order.open:
                    self._end(order, "cancelled", "account is ruined")

    # ---- which levels a price has reached

    def _liquidation_reached(self, symbol: int, mark: float | None) -> bool:
        level, tick = self.tested_level(symbol), self.contracts[symbol].tick
        reached = falls_to if self.positions[symbol].side > 0 else rises_to
        return mark is not None and level > 0 and reached(mark, level, tick)

    def tested_level(self, symbol: int) -> float:
        """The liquidation price that steps 2 and 4 test."""
        return self.liquidation_price(symbol)

    def _stop_reached(self, order: WitnessOrder, price: float) -> bool:
        """A stop acts on touch."""
        reached = rises_to if order.side > 0 else falls_to
        return reached(price, order.price, self.contracts[order.symbol].tick)

    def _limit_reached(self, order: WitnessOrder, price: float) -> bool:
        """A limit fills on touch, or only a whole tick beyond it (`through`)."""
        ask = order.ask
        tick = self.contracts[order.symbol].tick
        beyond = tick if self.limit_fill == "through" else 0.0
        reached = falls_to if order.side > 0 else rises_to
        return reached(price, ask - order.side * beyond, tick)

    def _stops_reached(self, symbol: int, price: float) -> list[WitnessOrder]:
        """The position's live stops that the price has reached, nearest first."""
        side = self.positions[symbol].side
        stops = self._live(symbol, lambda o: o.stops and o.side == -side)
        return sorted((o for o in stops if self._stop_reached(o, price)), key=lambda o: -side * o.price)

    def _targets_reached(self, symbol: int, price: float) -> list[WitnessOrder]:
        """The position's live targets that the price has reached, nearest first."""
        side = self.positions[symbol].side
        targets = self._live(symbol, lambda o: o.limits and o.side == -side)
        return sorted((o for o in targets if self._limit_reached(o, price)), key=lambda o: side * o.ask)
