"""Golden rules of linear contracts: which project function gives the number that a rule asserts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from golden_cases import Row, tiers_of

from markets import binance, bybit, filters, margin, tiers, venues

Rule = Callable[[Row], float]


def profit(row: Row) -> float:
    """The profit at the price that the row gives: mark, last, exit or price."""
    return margin.profit(row.signed, row["entry"], row.first("mark", "last", "exit", "price"))


def contract_profit(row: Row) -> float:
    """The profit of a row that counts contracts of a size."""
    quantity = row.side * row["contracts"] * row["contract_size"]
    return margin.profit(quantity, row["entry"], row.first("mark", "exit"))


def net_profit(row: Row) -> float:
    """The profit after both fees and funding, under the names that a row may give them."""
    taker = row.get("taker", 0.0)
    fees = row.get("fee_open", taker), row.get("fee_close", taker)
    funding = row.get("funding_received", row.get("funding", -row.get("funding_paid", 0.0)))
    return margin.net_profit(row.signed, row["entry"], row["exit"], *fees, funding)


def profit_ratio(row: Row) -> float:
    """Profit over the value of the entry with its fee, times leverage."""
    value = abs(margin.fill_value(row.signed, row["entry"], row["fee_open"]))
    return margin.return_on_margin(net_profit(row), value / row["leverage"])


def open_value(row: Row) -> float:
    """The value of an entry, its fee included."""
    return abs(margin.fill_value(row.signed, row["price"], row["fee"]))


def close_value(row: Row) -> float:
    """The value of an exit, its fee and the funding received included."""
    return abs(margin.fill_value(-row.signed, row["exit"], row["fee"]) - row["funding_received"])


def opening_profit(row: Row) -> float:
    """The profit at a price after the fee of the entry only."""
    return margin.net_profit(row.signed, row["entry"], row["price"], row["taker"], 0.0, 0.0)


def booked_fee(row: Row) -> float:
    """What is realised when a position opens: its fee."""
    size = row["qty"] if row.has("qty") else row["contracts"] * row["contract_size"]
    return -margin.trading_fee(size, row["entry"], row["taker"])


def value(row: Row) -> float:
    """The notional at the price that the row gives."""
    size = row["qty"] if row.has("qty") else row["contracts"] * row["contract_size"]
    return margin.notional(size, row.first("mark", "price"))


def initial_margin(row: Row) -> float:
    """The initial margin at the price that the row gives, or of the notional that it gives."""
    if row.quantity == "assuming_price":
        return binance.assuming_price(row.signed, row.get("price", 0.0), row["last"], row["mark"])
    if not row.has("qty"):
        return margin.initial_margin(row["notional"], 1.0, row["leverage"])
    return margin.initial_margin(row["qty"], row.first("price", "entry"), row["leverage"])


def order_cost(row: Row) -> float:
    """What an opening order takes on Binance."""
    return margin.order_cost(row.signed, row["price"], row["mark"], row["leverage"])


def wallet_of(row: Row) -> float:
    """What the rest of the account leaves to the position of a Binance row."""
    if row.has("isolated_margin", "unrealized_pnl"):
        return margin.isolated_wallet(row["isolated_margin"], row["unrealized_pnl"])
    maintenance = unrealised = 0.0
    for other in row.inputs.get("other_positions") or []:
        size, mark = float(other["qty"]), float(other["mark"])
        maintenance += margin.tiered_maintenance_margin(size, mark, float(other["mmr"]), float(other["cum"]))
        unrealised += margin.profit(other["side"] * size, float(other["entry"]), mark)
    wallet = row.inputs.get("wallet_balance", row.get("isolated_wallet", 0.0))
    held = row["qty"] * row["entry"] if isinstance(wallet, str) else float(wallet)
    return binance.available_to_position(held, maintenance, unrealised)


def binance_liquidation(row: Row) -> float:
    """The liquidation price of a Binance position, isolated or in a cross account."""
    return margin.tiered_liquidation_price(
        row.signed, row["entry"], wallet_of(row), row["mmr"], row.get("maint_amount", 0.0)
    )


def fee_liquidation(row: Row) -> float:
    """The liquidation price where the closing fee counts as maintenance."""
    fee = row.first("taker_fee", "taker")
    return venues.liquidation_price_with_fee(row.signed, row["entry"], row["margin"], row["mmr"], 0.0, fee)


def ticked(row: Row, price: float) -> float:
    """A level on the tick that comes first for its side, where the row has a tick."""
    return filters.stop_tick(price, row.side, row["tick"]) if row.has("tick") else price


def bybit_liquidation(row: Row) -> float:
    """The liquidation price of Bybit, which jesse uses too."""
    extra, size = row.get("extra_margin", 0.0), row.side * row.get("qty", 1.0)
    margin_held = margin.initial_margin(size, row["entry"], row["leverage"]) + extra
    kept = margin.maintenance_margin(size, row["entry"], row["mmr"])
    return ticked(row, max(0.0, venues.liquidation_price_at_entry(size, row["entry"], margin_held, kept)))


def bybit_bankruptcy(row: Row) -> float:
    """The bankruptcy price of Bybit, which jesse uses too."""
    return ticked(row, bybit.bankruptcy_price(float(row.side), row["entry"], row["leverage"]))


def bybit_parts(row: Row) -> float:
    """A part of what a Bybit order or trade costs, or the whole."""
    price = row.first("price", "entry")
    if row.quantity in ("fee_to_open", "open_fee"):
        return margin.trading_fee(row["qty"], price, row["taker"])
    if row.quantity == "close_fee":
        return margin.trading_fee(row["qty"], row["exit"], row["taker"])
    if row.quantity == "fee_to_close":
        return bybit.fee_to_close(row.signed, price, row["leverage"], row["taker"])
    if row.quantity == "initial_margin":
        return margin.initial_margin(row["qty"], price, row["leverage"])
    if row.quantity == "closed_pnl":
        return net_profit(row)
    return bybit.order_cost(row.signed, price, row["leverage"], row["taker"])


def bybit_margin(row: Row) -> float:
    """The margin of a Bybit position as the venue shows it."""
    return bybit.position_margin(
        row.signed, row["entry"], row["leverage"], row.get("taker", 0.0), row.get("extra_margin", 0.0)
    )


def bybit_maintenance(row: Row) -> float:
    """The maintenance margin of a Bybit position as the venue shows it."""
    return bybit.maintenance_margin(row.signed, row["entry"], row["leverage"], row["mmr"], row["taker"])


def kucoin_margin(row: Row) -> float:
    """The margin of a KuCoin position: initial margin and reserve."""
    reserve = venues.commission_reserve(row.signed, row["entry"], row["leverage"], row["taker"])
    return initial_margin(row) + reserve


def kucoin_maintenance(row: Row) -> float:
    """The maintenance margin of a KuCoin position, with its reserve."""
    return margin.maintenance_margin(row["qty"], row["entry"], row["mmr"]) + kucoin_margin(row) - initial_margin(row)


def okx_profit(row: Row) -> float:
    """OKX's profit of the price change, or the realised sum."""
    if row.quantity == "pnl":
        return contract_profit(row)
    return venues.settled_profit(row["pnl"], row["fee"], row["funding"], row.get("liq_penalty", 0.0))


def okx_ratio(row: Row) -> float:
    """OKX's profit over the initial margin."""
    size = row["contracts"] * row.get("contract_size", 1.0)
    return margin.return_on_margin(row["realized"], margin.initial_margin(size, row["entry"], row["leverage"]))


def jesse_roi(row: Row) -> float:
    """Margin, profit, or profit over margin in per cent."""
    posted = margin.initial_margin(row["qty"], row["entry"], row["leverage"])
    if row.quantity == "margin":
        return posted
    return profit(row) if row.quantity == "pnl" else 100.0 * margin.return_on_margin(profit(row), posted)


def liquidated_balance(row: Row) -> float:
    """The balance after a liquidation at the bankruptcy price."""
    posted = margin.initial_margin(row["qty"], row["entry"], row["leverage"])
    price = margin.bankruptcy_price(row.signed, row["entry"], posted)
    return row["balance"] + margin.profit(row.signed, row["entry"], price)


def fills_of(row: Row) -> list[tuple[float, float]]:
    """The fills of a row as signed quantity and price; a fill without a word opens or adds."""
    fills: list[tuple[float, float]] = []
    for fill in row.inputs["fills"]:
        side = {"buy": 1, "sell": -1}[fill[0]] if isinstance(fill[0], str) else row.side
        fills.append((side * float(fill[-2]), float(fill[-1])))
    return fills


def played(row: Row) -> dict[str, float]:
    """The books after the fills of a row: quantity, entry, and what was realised, fees included.

    The fee of an entry is charged with the quantity that it entered.
    """
    quantity = entry = realised = total = spent = 0.0
    fee = row.get("fee", 0.0)
    for filled, price in fills_of(row):
        realised = 0.0
        if quantity * filled < 0.0:
            closed = min(abs(filled), abs(quantity))
            fees = margin.trading_fee(closed, entry, fee) + margin.trading_fee(closed, price, fee)
            realised = margin.realised_profit(quantity, entry, filled, price) - fees
        else:
            spent += abs(margin.fill_value(filled, price, fee))
        total += realised
        left = quantity + filled
        entry = margin.entry_after_fill(quantity, entry, filled, price) if left else entry
        quantity = left
    return {"entry": entry, "realised": realised, "total": total, "spent": spent}


def average_price(row: Row) -> float:
    """The average of the entries, or of the exits."""
    fills: Any = row.inputs["exits" if row.quantity == "avg_exit" else "entries"]
    quantity = entry = 0.0
    for filled, price in fills:
        entry = margin.entry_after_fill(quantity, entry, float(filled), float(price))
        quantity += float(filled)
    return entry


def overfill(row: Row) -> float:
    """What a fill realises that is larger than the position."""
    filled = row["fill_side"] * row["fill_qty"]
    return margin.realised_profit(row.signed, row["entry"], filled, row["fill_price"])


def funding_window(row: Row) -> float:
    """The funding received by a position between two instants."""

    def seconds(text: str) -> float:
        return datetime.fromisoformat(text).timestamp()

    grace = binance.FUNDING_GRACE_SECONDS if row.exchange == "binance" else 0.0
    opened, closed = seconds(row.inputs["open"]), seconds(row.inputs["close"])
    due = [event for event in row.inputs["events"] if binance.pays_funding(opened, closed, seconds(event["t"]), grace)]
    paid = (margin.funding_payment(row.signed, float(event["mark"]), float(event["rate"])) for event in due)
    return 0.0 - sum(paid)


def funding_received(row: Row) -> float:
    """The funding received at one settlement; a row without a mark or a rate has nothing to settle."""
    return 0.0 - margin.funding_payment(row.signed, row.get("mark", 0.0), row.get("rate", 0.0))


def recursion(row: Row) -> float:
    """The maintenance amount of a bracket from the one before."""
    return tiers.next_maintenance_amount(row["prev_maint_amount"], row["prev_mmr"], row["floor"], row["mmr"])


def tier_lookup(row: Row) -> float:
    """The maintenance rate or amount of the bracket that holds a notional."""
    table = tiers_of(row)
    return (
        table.maintenance_rate(row["notional"]) if row.quantity == "mmr" else table.maintenance_amount(row["notional"])
    )


def bracket_margin_rate(row: Row) -> float:
    """The initial margin rate at the top of a bracket: one over its leverage."""
    return margin.initial_margin(1.0, 1.0, tiers_of(row).maximum_leverage(row["cap"]))


LINEAR: dict[str, Rule] = {
    "binance_coinm.maint_amount_recursion": recursion,
    "binance_linear.initial_margin": initial_margin,
    "binance_linear.initial_margin_rate": bracket_margin_rate,
    "binance_linear.liq_price_cross": binance_liquidation,
    "binance_linear.liq_price_floor": binance_liquidation,
    "binance_linear.liq_price_isolated": binance_liquidation,
    "binance_linear.maint_amount_recursion": recursion,
    "binance_linear.max_leverage_for_stake": lambda row: tiers_of(row).maximum_leverage_of_margin(
        row["stake_before_leverage"]
    ),
    "binance_linear.open_loss": lambda row: margin.open_loss(row.signed, row["price"], row["mark"]),
    "binance_linear.order_cost": order_cost,
    "binance_linear.tier_lookup": tier_lookup,
    "bitget_linear.fees": lambda row: margin.trading_fee(row["qty"], row["price"], row["taker"]),
    "bitget_linear.initial_margin": initial_margin,
    "bitget_linear.net_profit": net_profit,
    "bitget_linear.position_value": value,
    "bitget_linear.unrealized_pnl": profit,
    "bybit_linear.avg_entry": lambda row: played(row)["entry"],
    "bybit_linear.bankruptcy_price": bybit_bankruptcy,
    "bybit_linear.closed_pnl": bybit_parts,
    "bybit_linear.closing_fee": bybit_parts,
    "bybit_linear.liq_price_isolated": bybit_liquidation,
    "bybit_linear.maint_margin": bybit_maintenance,
    "bybit_linear.order_cost": bybit_parts,
    "bybit_linear.position_margin": bybit_margin,
    "bybit_linear.roi_pct": lambda row: 100.0 * margin.return_on_margin(profit(row), bybit_margin(row)),
    "bybit_linear.unrealized_pnl": profit,
    "exits.average_price": average_price,
    "funding.linear_daily_cost": lambda row: (
        margin.funding_payment(row.side * row["notional"], 1.0, row["rate"]) * row["payments_per_day"]
    ),
    "funding.linear_payment": funding_received,
    "funding.time_weighted_payment": lambda row: (
        0.0 - venues.accrued_funding(row.signed, row["mark"], row["rate"], row["time_in_ratio"])
    ),
    "funding.window": funding_window,
    "gate_linear.fees": booked_fee,
    "gate_linear.notional_mark": value,
    "gate_linear.unrealized_pnl": contract_profit,
    "jesse.available_margin": lambda row: margin.available_margin(
        row["wallet"], row["open_order_notional"], row["leverage"]
    ),
    "jesse.avg_entry": lambda row: played(row)["entry"],
    "jesse.balance_after_liquidation": liquidated_balance,
    "jesse.bankruptcy_price": bybit_bankruptcy,
    "jesse.liq_price_isolated": bybit_liquidation,
    "jesse.margin": initial_margin,
    "jesse.pnl": profit,
    "jesse.roi": jesse_roi,
    "kucoin_linear.bankruptcy_price": lambda row: venues.liquidation_price_at_entry(
        row.signed, row["entry"], initial_margin(row), 0.0
    ),
    "kucoin_linear.commission_reserve": lambda row: venues.commission_reserve(
        row.signed, row["entry"], row["leverage"], row["taker"]
    ),
    "kucoin_linear.initial_margin": initial_margin,
    "kucoin_linear.liq_price": lambda row: venues.liquidation_price_at_entry(
        row.signed, row["entry"], kucoin_margin(row), row["pos_maint"]
    ),
    "kucoin_linear.maint_margin": kucoin_maintenance,
    "kucoin_linear.position_margin": kucoin_margin,
    "kucoin_linear.roe": lambda row: margin.return_on_margin(row["unrealized"], row["pos_init"]),
    "kucoin_linear.unrealized_pnl": profit,
    "linear.avg_entry_after_fill": lambda row: played(row)["entry"],
    "linear.close_value_with_fee_and_funding": close_value,
    "linear.commission_booked_on_open": booked_fee,
    "linear.init_margin_standard_model": lambda row: margin.initial_margin(row["qty"], row["price"], 1.0 / row["rate"]),
    "linear.maint_margin_standard_model": lambda row: margin.maintenance_margin(row["qty"], row["price"], row["rate"]),
    "linear.notional_mark": value,
    "linear.open_value_with_fee": open_value,
    "linear.partial_exit_cumulative": lambda row: played(row)["total"],
    "linear.partial_exit_ratio": lambda row: margin.return_on_margin(played(row)["total"], played(row)["spent"]),
    "linear.partial_exit_realized": lambda row: played(row)["realised"],
    "linear.realized_pnl_on_overfill": overfill,
    "linear.total_pnl": opening_profit,
    "linear.trade_profit_net": net_profit,
    "linear.trade_profit_ratio": profit_ratio,
    "linear.unrealized_pnl": profit,
    "linear.unrealized_pnl_mark": profit,
    "okx_gate_linear.liq_price_isolated": fee_liquidation,
    "okx_linear.pnl_ratio": okx_ratio,
    "okx_linear.realized_pnl": okx_profit,
}
