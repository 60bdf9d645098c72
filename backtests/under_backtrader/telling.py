"""Telling: what happened on the exchange, in Backtrader's words: fills, ended orders, positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import backtrader as bt

from backtests.exchange import records
from backtests.under_backtrader import worth
from backtests.under_backtrader.orders import BuyOrder, SellOrder
from backtests.under_backtrader.translation import read_back


class Positions(Mapping[Any, Any]):
    """The positions of a FuturesBroker by feed: `positions[feed]` is `getposition(feed)`."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker

    def __getitem__(self, data: Any) -> Any:
        return self.broker.getposition(data)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.broker.feeds)

    def __len__(self) -> int:
        return len(self.broker.feeds)


class Teller:
    """Tells a FuturesBroker's orders, and those who listen to them, of what became of them."""

    def __init__(self, broker: Any) -> None:
        self.broker, self.playing, self.ledger = broker, broker.playing, broker.ledger
        self.held = {feed.symbol: bt.position.Position() for feed in broker.feeds}
        self.shown = {feed.symbol: bt.position.Position() for feed in broker.feeds}
        self.owners: dict[str, Any] = {}

    def position(self, symbol: str) -> Any:
        """The position in a contract; its size is the exchange's own. Another object after every fill."""
        return self.shown[symbol]

    def tell(self, i: int) -> None:
        """Everything that happened on bar `i`."""
        playing, account, states = self.playing, self.playing.account, self.playing.states()
        if account["payments"][0]:
            self.ledger.add_payments(i, playing.payments[: account["payments"][0]])
        if account["fills"][0]:
            self.ledger.add_fills(i, playing.fills[: account["fills"][0]])
            rows, unfilled = playing.fill_rows(), {ref for ref, status, _ in states if status != records.FILLED}
            last = {fill.order: number for number, fill in enumerate(rows)}
            for number, fill in enumerate(rows):
                whole = fill.order == 0 or (last[fill.order] == number and fill.order not in unfilled)
                self._tell_fill(fill, whole)
            for number in {fill.symbol for fill in rows}:
                feed, quantity = self.broker.feeds[number], float(playing.positions["quantity"][number])
                self.shown[feed.symbol] = bt.position.Position(quantity, self.held[feed.symbol].price)
        self._tell_ends(i, states)

    def tell_orders(self, i: int) -> None:
        """Every order that has reached its end; the refused and cancelled ones are kept in the ledger."""
        self._tell_ends(i, self.playing.states())

    def _tell_ends(self, i: int, states: list[tuple[int, int, int]]) -> None:
        broker = self.broker
        for number, (ref, status, remark) in enumerate(states):
            order = broker.open_orders.pop(ref, None) if status > records.LIVE else None
            if order is None:
                continue
            broker.moving.pop(ref, None)
            if status != records.FILLED:
                self._end(order, status, remark)
            elif order.alive():
                order.completed()
                self._tell_end(order)
            if remark:
                self.ledger.add_order(i, self.playing.orders[number : number + 1])

    def read_back(self) -> None:
        """Brings the orders that move, or are triggered, up to date with the exchange."""
        for row in self.playing.order_rows():
            if row.id in self.broker.moving:
                read_back(self.broker.moving[row.id], row)

    def _tell_fill(self, fill: Any, whole: bool) -> None:
        """One fill, as the opening or closing part of its order; `whole`: the one with which its order is done."""
        broker = self.broker
        feed = broker.feeds[fill.symbol]
        order = broker.open_orders.get(fill.order) or self._liquidation_order(feed, fill)
        position, size = self.held[feed.symbol], float(fill.side * fill.quantity)
        entry, price, fee = position.price, fill.price, fill.fee + fill.liquidation_fee
        if not fill.opening and fill.position == 0.0:
            size = -position.size
        averaged = entry
        if fill.opening:
            averaged = worth.entry(broker.contracts, fill.symbol, position.size, entry, size, price)
        # Backtrader's trades add up sizes as doubles, and end where that sum is zero: so does `held`.
        _, _, opened, closed = position.update(size, price)
        pprice = position.price = averaged if fill.position else 0.0
        info = order.comminfo = broker.commissions[feed.symbol]
        if closed:
            info = order.comminfo = info.entered_at(entry)
        order.execute(
            feed.datetime[0], size, price, closed, info.getvaluesize(closed, entry) if closed else 0.0,
            fee if closed else 0.0, opened, info.getvaluesize(opened, price) if opened else 0.0,
            fee if opened else 0.0, info.get_margin(price), fill.realised_pnl, fill.position, pprice,
        )  # fmt: skip
        if fill.reason == records.LIQUIDATION:
            order.addinfo(reason="liquidation")
        # Backtrader goes by what is left of the size; what a lot or the margin has cut off is never filled.
        if whole:
            order.completed()
        else:
            order.partial()
        # An order that is done does not change any more: where nobody keeps it, it need not be copied.
        broker.notifications.append(order.marked() if whole and not broker.ends_heard else order.clone())

    def _liquidation_order(self, feed: Any, fill: Any) -> Any:
        """The order that stands for the venue's taking over a position."""
        kind = BuyOrder if fill.side > 0 else SellOrder
        order = kind(owner=self.owners[feed.symbol], data=feed, size=fill.quantity, exectype=bt.Order.Market)
        order.addcomminfo(self.broker.commissions[feed.symbol])
        order.addinfo(reason="liquidation")
        order.submit(self.broker)
        order.accept(self.broker)
        return order

    def _end(self, order: Any, status: int, remark: int) -> None:
        """Backtrader's word for an end without a fill: cancelled, expired, rejected, or for lack of margin."""
        if status == records.CANCELLED:
            order.cancel()
        elif remark == records.ENTRY:
            order.reject(self.broker)
        else:
            order.margin()
        if status == records.EXPIRED:
            order.status = order.Expired
        self._tell_end(order)

    def _tell_end(self, order: Any) -> None:
        if self.broker.ends_heard:
            self.broker.notifications.append(order.clone())
