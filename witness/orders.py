"""The witness's orders: how they come, wait, wake with their parents, and end together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from witness.terms import (
    Event,
    Fill,
    Intrabar,
    LimitFill,
    Payment,
    Position,
    WitnessBar,
    WitnessContract,
    WitnessOrder,
    ceil_to,
    floor_to,
)  # fmt: skip


@dataclass
class WitnessOrders:
    """The state of one account over several symbols, and its orders: how they come, wait, and end together."""

    contracts: Sequence[WitnessContract]
    cash: float
    intrabar: Intrabar = "adverse"
    limit_fill: LimitFill = "touch"
    slippage_bps: float = 0.0
    half_spread_bps: float = 0.0
    half_spread_ticks: float = 0.0
    impact: float = 0.0
    impact_bars: int = 24
    past: list[list[WitnessBar]] = field(default_factory=list)  # of each symbol, the last bars that have closed
    positions: list[Position] = field(default_factory=list)
    orders: dict[int, WitnessOrder] = field(default_factory=dict)
    standing: list[WitnessOrder] = field(default_factory=list)  # those that were open when the bar began, or came since
    fills: list[Fill] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    journal: list[Fill | Payment] = field(default_factory=list)  # both, in the order of their happening
    log: list[Event] = field(default_factory=list)
    bars: Sequence[WitnessBar] = ()
    marks: Sequence[float] = ()  # those that are known: of the bar's open, from step 5 on of its close
    bar_index: int = -1
    equity: float = 0.0
    unrealised: float = 0.0
    liquidations: int = 0
    decided_by_finer: int = 0
    decided_by_assumption: int = 0
    ruined: bool = False

    def __post_init__(self) -> None:
        self.positions = [Position() for _ in self.contracts]
        self.past = [[] for _ in self.contracts]
        self.equity = self.cash

    def submit(self, order: WitnessOrder) -> None:
        """Take an order at the close of a bar; it is first seen on the next one."""
        if order.id in self.orders or order.side not in (-1, 1) or not order.quantity > 0:
            raise ValueError(f"not a usable order: {order}")
        order = replace(
            order, state="live", filled=0.0, opened=0.0, fill_price=0.0, basis=0.0,
            triggered=False, waiting=False, triggered_on=-1,
        )  # fmt: skip
        self.orders[order.id] = order
        self.standing.append(order)
        if self.ruined:
            self._end(order, "refused", "account is ruined")
        elif order.parent is not None:
            if not order.reduce_only or order.kind in ("market", "close"):
                raise ValueError(f"a child is a reduce-only limit, stop or stop-limit: {order}")
            order.state = "sleeping"
            if self.orders[order.parent].state != "live":
                self._end(order, "cancelled", "parent is over")

    def cancel(self, order_id: int) -> None:
        """Withdraw a waiting order, and what is tied to it; nothing if it is over already."""
        order = self.orders[order_id]
        if order.open:
            self._end(order, "cancelled", "by the user")

    def _live(self, symbol: int, chosen: Callable[[WitnessOrder], bool]) -> list[WitnessOrder]:
        """The symbol's chosen live orders, in the order of their ids."""
        live = [o for o in self.standing if o.state == "live" and o.symbol == symbol and chosen(o)]
        return sorted(live, key=lambda order: order.id)

    def _left(self, order: WitnessOrder) -> float:
        """What is still to be filled: the quantity rounded down to the lot, less what has filled."""
        lot = self.contracts[order.symbol].lot
        return round((floor_to(order.quantity, lot) - order.filled) / lot) * lot

    def _end(self, order: WitnessOrder, what: str, why: str) -> None:
        order.state = what
        self.log.append(Event(self.bar_index, order.id, what, why))
        self._untie(order)

    def _others(self, order: WitnessOrder) -> list[WitnessOrder]:
        """All other orders that are still open, in the order of their ids."""
        return sorted((o for o in self.standing if o.open and o is not order), key=lambda o: o.id)

    def _untie(self, order: WitnessOrder, *, group_only: bool = False) -> None:
        """Cancel what ends with an order that has ended, or whose group has to go because a part of it has filled."""
        ended = []
        for other in self._others(order):
            why = "other of the group" if order.group is not None and other.group == order.group else ""
            why = why or ("" if group_only else self._bracket_tie(order, other))
            if why:
                other.state = "cancelled"
                self.log.append(Event(self.bar_index, other.id, "cancelled", why))
                ended.append(other)
        for other in ended:
            if other.group == order.group:
                other.group = None  # its group goes already
            self._untie(other)

    def _bracket_tie(self, order: WitnessOrder, other: WitnessOrder) -> str:
        """Why another order of its bracket ends with an order; '' when it does not."""
        if order.share < 1:
            return ""
        if other.parent == order.id:
            return "" if order.state == "filled" else f"parent {order.state}"
        if order.parent is not None and other.parent == order.parent:
            return "sibling filled" if order.state == "filled" else "bracket ended"
        return "bracket ended" if other.id == order.parent else ""

    def _wake_children(self, parent: WitnessOrder) -> None:
        """Children become live at once, priced from the parent's fill, for what the parent opened."""
        held = self.positions[parent.symbol]
        tick = self.contracts[parent.symbol].tick
        for child in sorted(self.standing, key=lambda order: order.id):
            if child.parent != parent.id or child.state != "sleeping":
                continue
            if child.side != -held.side:
                self._end(child, "cancelled", "nothing to reduce")
                continue
            child.state = "live"
            child.basis = parent.fill_price
            child.quantity = min(parent.opened, abs(held.quantity))
            if child.share < 1:
                child.quantity = parent.opened * child.share
            away = parent.side if child.kind == "limit" else -parent.side
            rate, amount = child.offset_rate, child.offset
            if rate == amount == child.price == 0:
                rate, amount = child.trailing_rate, child.trailing
            if rate > 0 or amount > 0:
                raw = parent.fill_price * (1 + away * rate) + away * amount
                # A sell is rounded up, a buy down: stops towards the fill, targets away from it.
                level = max(tick, ceil_to(raw, tick) if child.side < 0 else floor_to(raw, tick))
                child.limit += level - child.price
                child.price = level
            if self._left(child) < self.contracts[child.symbol].lot / 2:
                self._end(child, "refused", "below one lot")
