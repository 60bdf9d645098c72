"""Helpers for bar tables: a few OHLC rows, the orders given before them, the trades expected of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from witness import WitnessAccount, WitnessBar, WitnessContract, WitnessOrder

# At leverage 4 an entry at 100 posts 25 a unit: bankrupt at 75 (long) or 125 (short), liquidated at
# (100 - 25) / (1 - 1/16) = 80 (long) or (100 + 25) / (1 + 1/16) = 2000/17 = 117.647 (short).
PLAIN = WitnessContract(tick=1.0, lot=0.1, maintenance_rate=0.0625, maximum_leverage=10.0)
SHORT_LIQUIDATION = 2000 / 17
approx: Any = pytest.approx

Row = tuple[float, float, float, float]
Trade = tuple[int, int, float, float, str]


def bar(last: Row, mark: Row | None = None, **more: Any) -> WitnessBar:
    """A bar of (open, high, low, close); the mark is the last price unless it is given."""
    return WitnessBar(*last, *(mark or last), **more)


FLAT = bar((100, 100, 100, 100))


def market(order_id: int, side: int, quantity: float = 1.0, **more: Any) -> WitnessOrder:
    """A market order on the first symbol at leverage 4, tagged "market"."""
    given = {"symbol": 0, "leverage": 4.0, "tag": "market"} | more
    return WitnessOrder(id=order_id, kind="market", side=side, quantity=quantity, **given)


def bracket(side: int, stop: float | None = None, target: float | None = None, **more: Any) -> list[WitnessOrder]:
    """An entry of one unit at leverage 4 with id 1, its stop with id 2 and its target with id 3."""
    kind, quantity = more.pop("kind", "market"), more.pop("quantity", 1.0)
    entry = WitnessOrder(1, 0, kind, side, quantity, **{"leverage": 4.0, "tag": "entry"} | more)
    orders = [entry]
    if stop is not None:
        orders.append(protect(2, "stop", side, stop, quantity, parent=1))
    if target is not None:
        orders.append(protect(3, "limit", side, target, quantity, parent=1))
    return orders


def protect(order_id: int, kind: Any, side: int, price: float, quantity: float = 1.0, **more: Any) -> WitnessOrder:
    """A reduce-only order that guards a position of the given side: a "stop", or a "limit" target."""
    tag = "stop" if kind == "stop" else "target"
    return WitnessOrder(order_id, 0, kind, -side, quantity, price=price, reduce_only=True, tag=tag, **more)


def play(
    rows: Sequence[WitnessBar | Sequence[WitnessBar]],
    orders: Mapping[int, Sequence[WitnessOrder]],
    contract: WitnessContract | Sequence[WitnessContract] = PLAIN,
    cash: float = 1000.0,
    **settings: Any,
) -> WitnessAccount:
    """Play the rows (a bar, or one bar for every symbol); `orders[i]` are given before row i."""
    contracts = [contract] if isinstance(contract, WitnessContract) else list(contract)
    account = WitnessAccount(contracts, cash, **settings)
    for index, row in enumerate(rows):
        for order in orders.get(index, ()):
            account.submit(order)
        account.play([row] if isinstance(row, WitnessBar) else row)
    return account


def trades(account: WitnessAccount) -> list[Any]:
    """Every fill as (bar, side, quantity, price, reason), prices and quantities compared approximately."""
    return [(f.bar, f.side, approx(f.quantity), approx(f.price), f.reason) for f in account.fills]


def reasons(account: WitnessAccount) -> list[tuple[int, str, str]]:
    """Every refusal, shrinking and cancellation as (order, what, why)."""
    return [(event.order, event.what, event.why) for event in account.log]
