"""Random contracts of every kind and method, as plain tables with the witness's field names."""

from __future__ import annotations

from random import Random
from typing import Any

Table = dict[str, Any]
METHODS = {
    "linear": ("binance", "binance", "closing_fee", "bybit"),
    "inverse": ("binance", "closing_fee", "bybit", "bitmex"),
}


def random_contract(chance: Random, kind: str = "linear", cash: float = 10_000.0) -> Table:
    """A contract whose initial margin at the highest leverage is above its maintenance margin.

    Every second one has brackets, with edges near what the cash can carry.
    """
    lot = chance.choice([0.001, 0.01, 0.1, 1.0]) if kind == "linear" else chance.choice([1.0, 1.0, 10.0])
    maintenance_rate = chance.choice([0.004, 0.01, 0.03])
    highest = {0.004: [5.0, 20.0, 125.0], 0.01: [5.0, 20.0, 50.0], 0.03: [5.0, 20.0]}[maintenance_rate]
    contract = {
        "tick": chance.choice([0.01, 0.1, 0.5, 1.0]),
        "lot": lot,
        "minimum_quantity": chance.choice([0.0, lot, 3 * lot]),
        "minimum_notional": chance.choice([0.0, 5e-4, 1e-2]) * cash,
        "taker_fee": chance.choice([0.0, 0.0005, 0.01]),
        "maker_fee": chance.choice([-0.0002, 0.0, 0.0002]),
        "maintenance_rate": maintenance_rate,
        "maximum_leverage": chance.choice(highest),
        "liquidation_fee": chance.choice([0.0, 0.005, 0.03]),
        "kind": kind,
        "face": chance.choice([1.0, 0.1]) if kind == "linear" else chance.choice([1.0, 10.0]),
        "method": chance.choice(METHODS[kind]),
        "vintage": chance.choice([2023, 2024, 2026]),
    }
    if contract["method"] == "bitmex":
        contract |= {"face": 1.0, "tick": 0.5}
    if chance.random() < 0.3:
        contract["maximum_market_quantity"] = lot * chance.choice([1e3, 1e5])
    if chance.random() < 0.5:
        contract["tiers"] = _random_tiers(chance, cash, maintenance_rate, contract["maximum_leverage"])
    return contract


def _random_tiers(chance: Random, cash: float, rate: float, leverage: float) -> tuple[tuple[float, ...], ...]:
    """Two to four brackets; each begins a few times higher, with a higher rate and a lower leverage."""
    rows, floor, cap = [], 0.0, cash * chance.choice([0.3, 1.0, 3.0])
    for _ in range(chance.choice([2, 3, 4])):
        rows.append((floor, cap, rate, leverage))
        floor, cap = cap, cap * chance.choice([2.0, 5.0])
        rate, leverage = min(rate * chance.choice([1.25, 2.0]), 0.3), max(1.0, leverage / chance.choice([1.25, 2.0]))
    return tuple(rows)
