"""Planted faults: each replaces one function by a plausible mistake, and a published number notices.

The clean functions pass every row (test_golden.py), so a row that fails here fails for the fault alone.
"""

# A faulty function keeps the signature of the one it replaces, whether it uses every argument or not.
# ruff: noqa: ARG005

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from golden_cases import BESIDE, FOLDER, Row, read_rows
from test_golden import disagreements

from markets import binance, bitmex, bybit, filters, inverse, margin, tiers, venues
from strategies import rules, sizing, stops


class Fault(NamedTuple):
    """A mistake: where it is planted, the faulty function, and the rule whose numbers catch it."""

    mistake: str
    module: ModuleType
    function: str
    faulty: Callable[..., Any]
    witness: str


def earlier_bracket(notional: float, floors: Any) -> int:
    """The bracket with floor <= notional < cap."""
    return max(k for k, floor in enumerate(floors) if notional >= floor)


FAULTS = (
    Fault(
        "a notional on an edge belongs to the bracket above",
        tiers, "bracket_of", earlier_bracket,
        "binance_linear.initial_margin_rate",
    ),
    Fault(
        "the maintenance amount takes the rate's level for its rise",
        tiers, "next_maintenance_amount", lambda amount, rate, floor, higher: amount + floor * higher,
        "binance_linear.maint_amount_recursion",
    ),
    Fault(
        "the maintenance amount is left out of the liquidation price",
        margin, "tiered_liquidation_price", lambda q, entry, wallet, rate, amount: (
            (wallet - q * entry) / (abs(q) * rate - q)
        ),
        "binance_linear.liq_price_isolated",
    ),
    Fault(
        "the other positions of a cross account are forgotten",
        binance, "available_to_position", lambda wallet, maintenance, unrealised: wallet,
        "binance_linear.liq_price_cross",
    ),
    Fault(
        "the fee is on the margin, not on the notional",
        margin, "trading_fee", lambda q, price, rate: abs(q) * price / 10.0 * rate,
        "linear.commission_booked_on_open",
    ),
    Fault(
        "both fees are on the notional of the entry",
        margin, "net_profit", lambda q, entry, leaving, open_fee, close_fee, funding: (
            q * (leaving - entry) - abs(q) * entry * (open_fee + close_fee) + funding
        ),
        "linear.trade_profit_net",
    ),
    Fault(
        "shorts pay a positive funding rate",
        margin, "funding_payment", lambda q, mark, rate: -q * mark * rate,
        "funding.linear_payment",
    ),
    Fault(
        "inverse funding is on the quote notional",
        inverse, "funding_payment", lambda q, mark, rate: q * rate,
        "funding.inverse_payment",
    ),
    Fault(
        "only what is open at the very stamp pays funding",
        binance, "pays_funding", lambda opened, closed, stamp, grace: opened <= stamp <= closed,
        "funding.window",
    ),
    Fault(
        "the average entry of an inverse position is arithmetic",
        inverse, "entry_after_fill", lambda q, entry, filled, price: (q * entry + filled * price) / (q + filled),
        "inverse.avg_entry",
    ),
    Fault(
        "a reduction averages its price into the entry",
        margin, "entry_after_fill", lambda q, entry, filled, price: (q * entry + filled * price) / (q + filled),
        "linear.avg_entry_after_fill",
    ),
    Fault(
        "a reversing fill realises on all of its quantity",
        margin, "realised_profit", lambda q, entry, filled, price: -filled * (price - entry),
        "linear.realized_pnl_on_overfill",
    ),
    Fault(
        "the profit of an inverse position is that of a linear one",
        inverse, "profit", lambda q, entry, price: q / entry * (price - entry) / entry,
        "inverse.unrealized_pnl",
    ),
    Fault(
        "the liquidation price of COIN-M ignores the maintenance margin",
        inverse, "liquidation_price", lambda q, entry, wallet, rate, amount: q / (q / entry + wallet + amount),
        "inverse.liq_price_isolated",
    ),
    Fault(
        "the closing fee is left out where a venue counts it",
        venues, "liquidation_price_with_fee", lambda q, entry, wallet, rate, amount, fee: (
            (wallet - q * entry) / (abs(q) * rate - q)
        ),
        "okx_gate_linear.liq_price_isolated",
    ),
    Fault(
        "the fee to close is taken at the entry price",
        bybit, "fee_to_close", lambda q, entry, leverage, taker: abs(q) * entry * taker,
        "bybit_linear.closing_fee",
    ),
    Fault(
        "an inverse long is thought to close at a lower coin value",
        bybit, "inverse_fee_to_close", lambda q, entry, leverage, taker: (
            abs(q) / entry * (1.0 - 1.0 / leverage) * taker
        ),
        "inverse.order_cost",
    ),
    Fault(
        "a level is rounded to the nearest tick, not to the one that comes first",
        filters, "stop_tick", lambda price, side, tick: round(price / tick) * tick,
        "bybit_linear.bankruptcy_price",
    ),
    Fault(
        "BitMEX contracts are worth fractions of a satoshi",
        bitmex, "profit", lambda contracts, entry, price: contracts * (1e8 / entry - 1e8 / price),
        "inverse.unrealized_pnl_sat",
    ),
    Fault(
        "the initial margin forgets the leverage",
        margin, "initial_margin", lambda q, price, leverage: abs(q) * price,
        "binance_linear.initial_margin",
    ),
    Fault(
        "the open loss counts a gain as a loss",
        margin, "open_loss", lambda q, price, mark: max(0.0, q * (mark - price)),
        "binance_linear.open_loss",
    ),
    Fault(
        "quantities are rounded to the nearest step",
        filters, "round_down", lambda value, step: round(value / step) * step,
        "filters.qty_round_down",
    ),
    Fault(
        "quantities are floored without room for doubles",
        filters, "quantity_in_contracts", lambda amount, size, step: amount / size // step * step * size,
        "filters.qty_in_contracts",
    ),
    Fault(
        "the largest order is not divided by the leverage",
        filters, "maximum_margin", lambda quantity, money, size, price, leverage: min(quantity * price, money) * size,
        "filters.max_stake",
    ),
    Fault(
        "risk per trade sizes by the price, not by the distance to the stop",
        rules, "size_by_risk", lambda equity, price, distance, risk, cost, side: equity * risk / price,
        "sizing.risk_per_trade",
    ),
    Fault(
        "a size is not capped by what the equity can margin",
        sizing, "capped_quantity", lambda quantity, equity, price, leverage, maximum: quantity,
        "sizing.risk_to_qty_capped",
    ),
    Fault(
        "a volatility target multiplies by the volatility",
        sizing, "size_by_volatility", lambda equity, price, share, target, sigma: (
            equity * share * sigma / target / price
        ),
        "sizing.vol_target",
    ),
    Fault(
        "a stop on collateral is a stop on price",
        stops, "stop_of_collateral", lambda price, side, rate, leverage: price * (1.0 - side * rate),
        "stops.ratchet",
    ),
    Fault(
        "a ratchet follows the price both ways",
        stops, "ratcheted_stop", lambda stop, proposed, side: proposed,
        "stops.ratchet",
    ),
    Fault(
        "the farther of stop and liquidation acts",
        stops, "nearer_exit", lambda stop, liquidation, side: (
            min(stop, liquidation) if side > 0 else max(stop, liquidation)
        ),
        "stops.stop_or_liquidation",
    ),
)  # fmt: skip


def published(rule: str) -> list[Row]:
    """The verified numbers of a rule, of the folder that is named and of the one beside the project."""
    folders = {FOLDER.resolve(), BESIDE.resolve()}
    return [row for folder in folders for row in read_rows(folder) if row.kind == "hard" and row.rule == rule]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.mistake.replace(" ", "-") for fault in FAULTS])
def test_a_planted_fault_is_caught_by_a_published_number(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verified number of the rule that is named disagrees as soon as the function is wrong."""
    rows = published(fault.witness)
    assert disagreements(rows) == []
    monkeypatch.setattr(fault.module, fault.function, fault.faulty)
    caught = disagreements(rows)
    if not caught and not BESIDE.is_dir():
        pytest.skip(f"no published number at {FOLDER} could notice: set CROSSGATE_GOLDEN to a folder with cases/*.csv")
    assert caught, f"no number of {fault.witness} notices that {fault.mistake}"
    print(f"{fault.module.__name__}.{fault.function}: caught by {len(caught)} of {len(rows)}, such as {caught[0]}")


def test_there_are_enough_faults() -> None:
    """At least twenty different functions have been broken on purpose."""
    assert len({(fault.module.__name__, fault.function) for fault in FAULTS}) >= 20
