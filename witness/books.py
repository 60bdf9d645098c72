"""The witness's books: what an order, a fill or a liquidation does to cash, positions and orders.

`q` is the position (long above 0), `margin` the wallet posted behind it, a part of `cash`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from witness import money, slippage
from witness.orders import WitnessOrders
from witness.terms import (
    LIQUIDATION,
    TOLERANCE,
    Event,
    Fill,
    WitnessOrder,
    floor_to,
)


@dataclass
class WitnessBooks(WitnessOrders):
    """The books of one account over several symbols: what a fill does to its cash, positions and orders."""

    # ---- what is derived from the state

    @property
    def margin(self) -> float:
        """The part of cash that is posted behind positions."""
        return math.fsum(position.margin for position in self.positions)

    @property
    def free_cash(self) -> float:
        """What may be posted for new positions: cash - margin."""
        return self.cash - self.margin

    def liquidation_price(self, symbol: int) -> float:
        """Where the margin of the position no longer covers its maintenance; 0 means none."""
        held = self.positions[symbol]
        return money.liquidation_price(self.contracts[symbol], held, held.margin)

    def bankruptcy_price(self, symbol: int) -> float:
        """Where a closing loss has eaten the whole margin, but for what is reserved for the closing fee."""
        return money.bankruptcy_price(self.contracts[symbol], self.positions[symbol])

    def gain(self, symbol: int, price: float) -> float:
        """The unrealised profit of a position at a price."""
        held, contract = self.positions[symbol], self.contracts[symbol]
        return money.gain(contract, held.side, held.cost, money.worth(contract, held.quantity, price))

    def _remember(self) -> None:
        """The bars have closed: those that the impact of a size is measured on are kept, with the one before them."""
        for past, bar in zip(self.past, self.bars, strict=True):
            if self.impact:
                past.append(bar)
                del past[: -self.impact_bars - 1]

    # ---- what a fill does

    @property
    def _slippage(self) -> slippage.Slippage:
        spread = (self.half_spread_bps, self.half_spread_ticks)
        return slippage.Slippage(self.slippage_bps, *spread, self.impact, self.impact_bars)

    def _taker_price(self, symbol: int, side: int, reference: float, size: float) -> float:
        return slippage.taker_price(self._slippage, self.contracts[symbol], self.past[symbol], side, reference, size)

    def _fill_price(self, order: WitnessOrder, reference: float, maker: bool, size: float) -> float:
        """The reference price for a maker; a taker's is worse by the slippage, but never beyond its own limit."""
        price = reference if maker else self._taker_price(order.symbol, order.side, reference, size)
        if order.kind == "stop_limit":
            price = min(price, order.limit) if order.side > 0 else max(price, order.limit)
        return price

    def _reduce_by(self, order: WitnessOrder, reference: float, maker: bool = False) -> None:
        """Close what the order can of the position; one that may also open can keep an excess that opens later."""
        position, contract = self.positions[order.symbol], self.contracts[order.symbol]
        wanted = self._left(order)
        if wanted < contract.lot / 2:
            self._end(order, "refused", "below one lot")
            return
        closed = min(wanted, abs(position.quantity))
        price = self._fill_price(order, reference, maker, closed)
        if order.reduce_only or closed > wanted - contract.lot / 2:
            order.state = "filled"
            self._untie(order)
            self._leave_rest(order, closed)
        else:
            self._untie(order, group_only=True)
            if order.kind == "stop_limit" and not order.triggered:
                order.triggered, order.triggered_on = True, self.bar_index
        order.filled += closed
        fee_rate = contract.maker_fee if maker else contract.taker_fee
        order.fill_price = self._take_off(order.symbol, closed, price, reference, fee_rate, order)
        if order.state == "filled":
            self._wake_children(order)

    def _take_off(
        self, symbol: int, closed: float, price: float, reference: float, fee_rate: float, order: WitnessOrder | None
    ) -> float:
        """Close a part of a position and return the price; without an order it is a liquidation.

        Beyond the bankruptcy price the position is taken over: that is the price, and a liquidation.
        So no fill can lose more than the margin that it releases.
        """
        p, contract = self.positions[symbol], self.contracts[symbol]
        side, worst, reason = p.side, self._worst_price(symbol), order.tag if order else LIQUIDATION
        if side * (worst - price) / contract.tick > TOLERANCE:
            reason = LIQUIDATION
        no_worse = max if side > 0 else min
        price, reference = no_worse(price, worst), no_worse(reference, worst)
        share = closed / abs(p.quantity)
        value = money.worth(contract, closed, price)
        realised = money.gain(contract, side, p.cost * share, value)
        released = p.margin * share
        left = self._left_behind(symbol, closed, realised, released)
        fee, charge = min(value * fee_rate, max(0.0, left)), 0.0
        if left < 0:
            fee, charge, reason = min(value * fee_rate, 0.0), left, LIQUIDATION
        elif reason == LIQUIDATION:
            charge = min(contract.liquidation_fee * value, max(0.0, left - fee))
        self.liquidations += reason == LIQUIDATION
        self.cash += realised - fee - charge
        p.margin, p.reserve, p.cost = p.margin - released, p.reserve * (1 - share), p.cost * (1 - share)
        self._set_quantity(symbol, p.quantity - side * closed)
        slip = abs(value - money.worth(contract, closed, reference))
        figures = (-side, closed, price, reason, False, fee, charge, realised)
        self._record(symbol, order, figures, slip, reference)
        if not p.side:
            for other in self._live(symbol, lambda o: o.reduce_only):
                if other.open:
                    self._end(other, "cancelled", "position closed")
        return price

    def _cancel_resting(self, symbol: int) -> None:
        for order in self._live(symbol, lambda o: o.kind != "market"):
            if order.state == "live":  # not ended with an earlier one
                self._end(order, "cancelled", "position liquidated")

    def _worst_price(self, symbol: int) -> float:
        """The price beyond which the venue bears the loss."""
        return self.bankruptcy_price(symbol)

    def _left_behind(self, symbol: int, closed: float, realised: float, released: float) -> float:
        """What stands behind the fees of a closing: the margin that it releases, less the loss."""
        return max(0.0, released + realised)

    def _liquidate(self, symbol: int, reference: float) -> None:
        """Take the whole position over at the reference, held between bankruptcy and liquidation price.

        Slippage worsens the price, but never beyond the bankruptcy price.
        """
        p, taker_fee = self.positions[symbol], self.contracts[symbol].taker_fee
        self._cancel_resting(symbol)
        limit, bankruptcy = self.liquidation_price(symbol), self.bankruptcy_price(symbol)
        held = max(bankruptcy, min(limit, reference)) if p.side > 0 else min(bankruptcy, max(limit, reference))
        price = self._taker_price(symbol, -p.side, held, abs(p.quantity))
        self._take_off(symbol, abs(p.quantity), price, held, taker_fee, None)

    def _net(self, order: WitnessOrder, reference: float, maker: bool = False) -> bool:
        """Play an order that may open: close what is opposite, open the excess; True if it opened."""
        if order.side == -self.positions[order.symbol].side:
            self._reduce_by(order, reference)
        if order.state != "live":
            return False
        opened = self._open(order, reference, maker)
        if opened:
            order.state = "filled"
            self._untie(order)
            self._wake_children(order)
        elif order.filled > 0:
            order.state = "filled"
        return opened

    def _open(self, order: WitnessOrder, reference: float, maker: bool) -> bool:
        """Open or add: filters, margin and leverage are checked at the fill price."""
        p, contract = self.positions[order.symbol], self.contracts[order.symbol]
        fee_rate = contract.maker_fee if maker else contract.taker_fee
        quantity, largest = self._left(order), contract.maximum_market_quantity
        if not maker and largest is not None:
            quantity = self._cut(order, quantity, largest, "largest market order")
        price = self._fill_price(order, reference, maker, quantity)
        if order.leverage > money.tiers(contract)[0][3]:
            return self._refuse(order, "leverage above the contract's maximum")
        asked, room = quantity, money.room(contract, order.leverage, price) - abs(p.quantity)
        quantity = self._cut(order, asked, room, "brackets")
        if quantity < contract.lot / 2 < asked:
            return self._refuse(order, "above what the brackets allow")
        cost = self._cost(order, quantity, price, fee_rate) + self._loss_at_once(order, quantity, price)
        free = max(0.0, self.free_cash)
        if cost > free:
            # Satoshis are rounded up twice, so two of them are kept back.
            spare = 2 * money.SATOSHI if contract.method == "bitmex" else 0.0
            quantity = self._cut(order, quantity, (free - spare) / (cost / quantity), "margin")
        value = money.worth(contract, quantity, price)
        if quantity < contract.lot * (1 - TOLERANCE):
            return self._refuse(order, "below one lot")
        if quantity < contract.minimum_quantity - contract.lot * TOLERANCE:
            return self._refuse(order, "below minimum quantity")
        if value < contract.minimum_notional * (1 - TOLERANCE):
            return self._refuse(order, "below minimum notional")
        fee = value * fee_rate
        initial, reserve = money.posted(contract, order.side, quantity, price, order.leverage)
        p.cost += value
        p.reserve += reserve
        p.margin += initial + reserve
        self.cash -= fee
        self._set_quantity(order.symbol, p.quantity + order.side * quantity)
        order.filled += quantity
        order.opened += quantity
        order.fill_price = price
        slip = abs(value - money.worth(contract, quantity, reference))
        figures = (order.side, quantity, price, order.tag, True, fee, 0.0, 0.0)
        self._record(order.symbol, order, figures, slip, reference)
        return True

    def _cut(self, order: WitnessOrder, quantity: float, most: float, why: str) -> float:
        """The quantity, or as many whole lots as there may be of it."""
        lot = self.contracts[order.symbol].lot
        cut = floor_to(max(0.0, min(quantity, most)), lot)
        if cut > quantity - lot / 2:
            return quantity
        self.log.append(Event(self.bar_index, order.id, "shrunk", why))
        return cut

    def _loss_at_once(self, order: WitnessOrder, quantity: float, price: float) -> float:
        """What an opening needs beside its cost: on isolated margin nothing."""
        return 0.0

    def _cost(self, order: WitnessOrder, quantity: float, price: float, fee_rate: float) -> float:
        """What an opening takes: margin, reserve and fee; a rebate, credited after the fill, pays for none of it."""
        contract = self.contracts[order.symbol]
        initial, reserve = money.posted(contract, order.side, quantity, price, order.leverage)
        return initial + reserve + max(0.0, fee_rate) * money.worth(contract, quantity, price)

    def _refuse(self, order: WitnessOrder, why: str) -> bool:
        """Refuse what is left of an order; it never opens, and its children are dropped."""
        self._end(order, "refused", why)
        return False

    def _leave_rest(self, order: WitnessOrder, closed: float) -> None:
        """What an exit for a share has closed is taken off those for the whole; one with nothing left ends."""
        for other in self._others(order):
            if order.share < 1 and other.share == 1 and other.parent == order.parent:
                other.quantity -= closed
                if other.quantity < self.contracts[other.symbol].lot / 2:
                    self._end(other, "cancelled", "sibling filled")

    def _set_quantity(self, symbol: int, quantity: float) -> None:
        """Snap to whole lots; below half a lot the position is flat."""
        p, lot = self.positions[symbol], self.contracts[symbol].lot
        p.quantity = round(quantity / lot) * lot
        if abs(p.quantity) < lot / 2:
            p.quantity = p.cost = p.entry = p.margin = p.reserve = 0.0
        else:
            p.entry = money.price_of(self.contracts[symbol], p.quantity, p.cost)

    def _record(
        self, symbol: int, order: WitnessOrder | None, figures: tuple[Any, ...], slip: float, reference: float
    ) -> None:
        """`figures`: those of a Fill from its side to its realised profit."""
        after, kinds = self.positions[symbol].quantity, (self._slippage, self.contracts[symbol], reference)
        parts = slippage.parts(*kinds, figures[2], slip)
        figures = (*figures, after, self.cash, slip, *parts)
        self.fills.append(Fill(self.bar_index, symbol, order.id if order else None, *figures))
        self.journal.append(self.fills[-1])
