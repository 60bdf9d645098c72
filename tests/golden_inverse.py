"""Golden rules of inverse contracts: which project function gives the number that a rule asserts."""

from __future__ import annotations

from collections.abc import Callable

from golden_cases import Row

from markets import bitmex, bybit, filters, inverse, margin, venues

Rule = Callable[[Row], float]


def ticked(row: Row, price: float) -> float:
    """A level on the tick that comes first for its side, where the row has a tick."""
    return filters.stop_tick(price, row.side, row["tick"]) if row.has("tick") else price


def value(row: Row) -> float:
    """The value in coin at the price that the row gives."""
    return inverse.position_value(row.face_signed, row.first("mark", "price", "entry"))


def profit(row: Row) -> float:
    """The profit in coin at the price that the row gives."""
    return inverse.profit(row.face_signed, row["entry"], row.first("mark", "exit", "price"))


def average_entry(row: Row) -> float:
    """The harmonic average of the fills, or the value in coin that they add up to."""
    quantity = entry = 0.0
    for filled, price in row.inputs["fills"]:
        entry = inverse.entry_after_fill(quantity, entry, float(filled), float(price))
        quantity += float(filled)
    return entry if row.quantity == "avg_entry" else inverse.position_value(quantity, entry)


def initial_margin(row: Row) -> float:
    """The initial margin of a value, or of contracts at a price; in USD where the row asks for the quote.

    A venue's own rate counts as leverage: 1 % at leverage 1 is leverage 100.
    """
    leverage = row.get("leverage", 1.0) / row.get("margin_init", 1.0)
    if row.has("value_xbt"):
        return inverse.initial_margin(row["value_xbt"], 1.0, leverage)
    if row.inputs.get("quote"):
        return margin.initial_margin(row["contracts"], 1.0, leverage)
    return inverse.initial_margin(row["contracts"], row["price"], leverage)


def isolated_margin(row: Row) -> float:
    """The value or the initial margin of a position."""
    if row.quantity == "position_value":
        return value(row)
    return inverse.initial_margin(row.face_signed, row["entry"], row["leverage"])


def order_cost(row: Row) -> float:
    """A part of what a Bybit order costs in coin, or the whole."""
    quantity, price, leverage, taker = row.face_signed, row["price"], row["leverage"], row["taker"]
    if row.quantity == "fee_to_open":
        return inverse.trading_fee(quantity, price, taker)
    if row.quantity == "fee_to_close":
        return bybit.inverse_fee_to_close(quantity, price, leverage, taker)
    if row.quantity == "initial_margin":
        return inverse.initial_margin(quantity, price, leverage)
    return bybit.inverse_order_cost(quantity, price, leverage, taker)


def position_margin(row: Row) -> float:
    """The margin of a Bybit position in coin, as the venue shows it."""
    extra = row.get("extra_margin", 0.0)
    return bybit.inverse_position_margin(row.face_signed, row["entry"], row["leverage"], row["taker"], extra)


def calculator_margin(row: Row) -> float:
    """BitMEX's calculator: initial margin and the fees of both fills, at one value."""
    quantity, price = row["contracts"], row["price"]
    fees = 2.0 * inverse.trading_fee(quantity, price, row["taker"])
    return inverse.initial_margin(quantity, price, row["leverage"]) + fees


def bybit_bankruptcy(row: Row) -> float:
    """The bankruptcy price of an isolated position: of the margin it shows, or of its leverage."""
    quantity = row.side * row.get("contracts", 1.0)
    held = row.get("position_im", 0.0) or inverse.initial_margin(quantity, row["entry"], row["leverage"])
    return ticked(row, bybit.inverse_bankruptcy_price(quantity, row["entry"], held, row.get("taker", 0.0)))


def free_balance(row: Row) -> float:
    """What a cross account has for a position."""
    return row["balance"] - row.get("order_margin", 0.0)


def cross_bankruptcy(row: Row) -> float:
    """The bankruptcy price of a cross account."""
    price = bybit.inverse_bankruptcy_price(row.face_signed, row["entry"], free_balance(row), row["taker"])
    return ticked(row, price)


def cross_liquidation(row: Row) -> float:
    """The liquidation price of a cross account."""
    price = bybit.inverse_cross_liquidation_price(
        row.face_signed, row["entry"], free_balance(row), row["mmr"], row["taker"], row["bankruptcy_price"]
    )
    return ticked(row, price)


def liquidation(row: Row) -> float:
    """The liquidation price of an isolated position: BitMEX, Binance COIN-M or Bybit, by the inputs given."""
    if row.has("pos_cost"):
        contracts = row.side * row["contracts"]
        return bitmex.liquidation_price(contracts, row["pos_cost"], row["pos_margin"], row["pos_maint"], row["tick"])
    quantity, entry = row.face_signed, row["entry"]
    if row.has("isolated_wallet"):
        wallet, amount = row["isolated_wallet"], row.get("maint_amount", 0.0)
        return inverse.liquidation_price(quantity, entry, wallet, row["mmr"], amount)
    shown = row.has("position_im")
    held = row["position_im"] if shown else inverse.initial_margin(quantity, entry, row["leverage"])
    vintage = 2023 if shown else 2024
    price = bybit.inverse_liquidation_price(quantity, entry, held, row["mmr"], row.get("taker", 0.0), vintage)
    return ticked(row, price)


def liquidation_2026(row: Row) -> float:
    """The liquidation price by Bybit's page of 2026."""
    quantity, entry = row.face_signed, row["entry"]
    taker = row.get("taker", 0.0)
    added = bybit.inverse_added_margin(quantity, row.get("extra_margin", 0.0), taker)
    held = inverse.initial_margin(quantity, entry, row["leverage"]) + added + row.get("mm_deduction", 0.0)
    return ticked(row, bybit.inverse_liquidation_price(quantity, entry, held, row["mmr"], taker, 2026))


def satoshis(row: Row) -> dict[str, float]:
    """The satoshi books of a BitMEX position."""
    cost = bitmex.position_value(row["contracts"], row["entry"])
    initial = bitmex.initial_margin(cost, row["leverage"])
    reserve = bitmex.commission_reserve(cost, initial, row["taker"])
    maintenance = bitmex.maintenance_margin(cost, row["mmr"], reserve)
    return {"initial": initial, "reserve": reserve, "margin": initial + reserve, "maintenance": maintenance}


def funding(row: Row) -> float:
    """The funding paid or received, in coin, or in USD where the row asks for it."""
    quantity = row.face_signed
    if row.has("mark"):
        paid = inverse.funding_payment(quantity, row["mark"], row["rate"])
    else:
        paid = margin.funding_payment(quantity, 1.0, row["rate"])
    return paid if row.quantity == "funding_paid" else 0.0 - paid


INVERSE: dict[str, Rule] = {
    "funding.inverse_absolute_rate": lambda row: venues.absolute_funding_rate(row["relative_rate"], row["index"]),
    "funding.inverse_payment": funding,
    "funding.rate_cap": lambda row: venues.capped_funding_rate(row["average_premium"], row["periods"], row["cap"]),
    "funding.rate_interest_component": lambda row: venues.interest_rate(
        row["quote_rate_daily"], row["base_rate_daily"], row["intervals_per_day"]
    ),
    "funding.trade_total": lambda row: inverse.net_profit(
        row.face_signed, row["entry"], row["exit"], 0.0, 0.0, -row["funding_paid"]
    ),
    "inverse.avg_entry": average_entry,
    "inverse.bankruptcy_price": lambda row: bitmex.bankruptcy_price(
        row.side * row["contracts"], row["pos_cost"], row["pos_init"], row["tick"]
    ),
    "inverse.bankruptcy_price_cross": cross_bankruptcy,
    "inverse.bankruptcy_price_isolated": bybit_bankruptcy,
    "inverse.calculator_margin": calculator_margin,
    "inverse.commission_booked_on_open": lambda row: (
        0.0 - inverse.trading_fee(row["contracts"], row["entry"], row["taker"])
    ),
    "inverse.commission_reserve_sat": lambda row: satoshis(row)["reserve"],
    "inverse.contracts_for_value": lambda row: inverse.contracts_for_value(
        row["value_xbt"], row["price"], row.get("contract_usd", 1.0)
    ),
    "inverse.initial_margin": initial_margin,
    "inverse.initial_margin_sat": lambda row: satoshis(row)["initial"],
    "inverse.isolated_wallet": lambda row: margin.isolated_wallet(row["isolated_margin"], row["unrealized_pnl"]),
    "inverse.liq_price_cross": cross_liquidation,
    "inverse.liq_price_isolated": liquidation,
    "inverse.liq_price_isolated_2026": liquidation_2026,
    "inverse.maint_margin_sat": lambda row: satoshis(row)["maintenance"],
    "inverse.margin_balance_sat": lambda row: margin.isolated_wallet(row["pos_margin"], -row["unrealised_pnl"]),
    "inverse.margin_isolated": isolated_margin,
    "inverse.notional_mark": value,
    "inverse.order_cost": order_cost,
    "inverse.pnl": profit,
    "inverse.pnl_pct": lambda row: margin.return_on_margin(row["unrealised_pnl"], row["pos_cost"]),
    "inverse.position_margin": position_margin,
    "inverse.position_margin_sat": lambda row: satoshis(row)["margin"],
    "inverse.position_value": value,
    "inverse.position_value_sat": lambda row: bitmex.position_value(row["contracts"], row["entry"]),
    "inverse.roe": lambda row: margin.return_on_margin(row["unrealised_pnl"], row["pos_init"]),
    "inverse.unrealized_pnl": profit,
    "inverse.unrealized_pnl_sat": lambda row: bitmex.profit(row.side * row["contracts"], row["entry"], row["mark"]),
}
