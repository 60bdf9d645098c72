"""Golden rules of orders: filters, sizes and stops; and the rules that this project has on purpose not."""

from __future__ import annotations

import math
from collections.abc import Callable

from golden_cases import Row

from markets import filters
from strategies import rules, sizing, stops

Rule = Callable[[Row], float]

_BACKTRADER = (
    "Backtrader's commission scheme, which has no leverage, maintenance margin or funding; we have our own broker"
)
_LEVERED_RATE = "nautilus divides a venue's margin rate by leverage once more, which no venue does"
NO_SUCH_RULE: dict[str, str] = {
    "backtrader.automargin": _BACKTRADER,
    "backtrader.futures_cash_adjust": _BACKTRADER,
    "backtrader.futures_commission_fixed": _BACKTRADER,
    "backtrader.futures_operation_cost": _BACKTRADER,
    "backtrader.futures_pnl": _BACKTRADER,
    "backtrader.futures_roundtrip_run": _BACKTRADER,
    "backtrader.futures_value": _BACKTRADER,
    "backtrader.stock_cash_adjust": _BACKTRADER,
    "backtrader.stock_commission_perc": _BACKTRADER,
    "backtrader.stock_operation_cost": _BACKTRADER,
    "backtrader.stock_pnl": _BACKTRADER,
    "binance_coinm.maint_margin_example": "one line read off a bracket table, of which the row does not hold the rest",
    "filters.exchange_info_fact": "recorded figures of a contract: data, which contracts.toml holds, and no arithmetic",
    "inverse.maint_margin": _LEVERED_RATE,
    "linear.commission_rounding": "fees stay doubles; nautilus rounds its money type to cents, half to even",
    "linear.init_margin_leveraged_model": _LEVERED_RATE,
    "linear.maint_margin_leveraged_model": _LEVERED_RATE,
    "linear.no_borrow_interest_on_futures": "a perpetual borrows nothing: there is funding, and no interest to reckon",
    "safety.liquidation_buffer": "freqtrade liquidates earlier than the venue, for safety; we do as the venue",
}


def rounded(row: Row) -> float:
    """A price or quantity on its step, by tick, decimals or significant digits."""
    value = row["value"]
    step = step_of(row, value)
    rounding = str(row.inputs["rounding"])
    if rounding == "ROUND_UP":
        return filters.round_up(value, step)
    return filters.round_nearest(value, step) if rounding == "ROUND" else filters.round_down(value, step)


def step_of(row: Row, value: float) -> float:
    """The step that a row's precision stands for."""
    mode, precision = row.inputs["mode"], row["precision"]
    if mode == "tick":
        return precision
    if mode == "sd":
        return filters.step_of_digits(value, int(precision))
    return filters.step_of_decimals(int(precision))


def in_contracts(row: Row) -> float:
    """A quantity rounded down in contracts."""
    size = row.get("contract_size", 1.0)
    return filters.quantity_in_contracts(row["amount"], size, step_of(row, row["amount"] / size))


def minimum_stake(row: Row) -> float:
    """The smallest collateral whose stop order is still large enough."""
    for_stop = filters.minimum_for_stop(row.get("min_notional", 0.0), row["stoploss"], row["reserve"])
    smallest = row.get("min_qty", 0.0) * (1.0 + row["reserve"])
    return filters.minimum_margin(for_stop, smallest, row["price"], row["leverage"])


def maximum_stake(row: Row) -> float:
    """The largest collateral, from limits that are written as words: "LUNA cs .01 max_cost 500"."""
    words = str(row.inputs["limits"]).split()
    found = {word: float(words[i + 1]) for i, word in enumerate(words) if word in ("cs", "max_qty", "max_cost")}
    largest = found.get("max_qty", math.inf), found.get("max_cost", math.inf)
    return filters.maximum_margin(*largest, found.get("cs", 1.0), row["price"], row["leverage"])


def risk_per_trade(row: Row) -> float:
    """The quantity that loses a fraction of equity at its stop, in units of a batch, within the limits given."""
    rate = row.get("exchange_rate", 1.0)
    if row.quantity == "risk_money":
        return row["equity"] * row["risk"]
    if rate <= 0.0:
        return 0.0
    money = row["equity"] * (1.0 - 2.0 * row.get("commission_rate", 0.0)) / rate
    distance = (row["entry"] - row["stop"]) * row.get("point_value", 1.0)
    side = 1 if distance > 0.0 else -1
    quantity = rules.size_by_risk(money, row["entry"], abs(distance), row["risk"], 0.0, side)
    quantity = min(quantity, row.get("hard_limit", math.inf)) / row.get("units", 1.0)
    return min(filters.round_down(quantity, row.get("unit_batch", 1.0) or 1.0), row.get("max_qty", math.inf))


def atr_stop(row: Row) -> float:
    """The whole units whose loss at a multiple of the true range is the money at risk."""
    equity, risk = (row["risk_money"], 1.0) if row.has("risk_money") else (row["equity"], row["risk"])
    quantity = sizing.size_by_atr(equity, risk, row["atr"], row["k"], row.get("point_value", 1.0))
    return filters.round_down(quantity, 1.0)


def volatility_target(row: Row) -> float:
    """The position at which volatility is the target: its value, or its whole units."""
    allocation, target, volatility = row.get("alloc", 1.0), row["target_vol"], row["asset_vol"]
    if row.quantity == "position_value":
        return sizing.size_by_volatility(row["equity"], 1.0, allocation, target, volatility)
    quantity = sizing.size_by_volatility(row["equity"], row["entry"], allocation, target, volatility)
    return filters.round_down(quantity, 1.0)


def money_for_risk(row: Row, distance: float) -> float:
    """The notional that risks a per cent of capital, at most the capital itself."""
    quantity = rules.size_by_risk(row["capital"], row["entry"], distance, row["risk_pct"] / 100.0, 0.0, 1)
    return sizing.capped_quantity(quantity, row["capital"], row["entry"], 1.0, math.inf) * row["entry"]


def quantity_for_money(row: Row, money: float) -> float:
    """The quantity of a notional after three fees are kept back, rounded down to decimals (3 if not given)."""
    quantity = sizing.quantity_of_money(money, row["entry"], 3.0 * row.get("fee_rate", 0.0))
    return filters.round_down(quantity, filters.step_of_decimals(int(row.get("precision", 3.0))))


def risk_to_quantity(row: Row) -> float:
    """The quantity that risks a per cent of capital; the peer keeps three fees back twice."""
    money = money_for_risk(row, abs(row["entry"] - row["stop"]))
    return quantity_for_money(row, money * (1.0 - 3.0 * row.get("fee_rate", 0.0)))


def ratcheted(row: Row) -> float:
    """The stop after the steps of a row: the first counts once, `refresh` may loosen, the rest only tighten."""
    stop: float | None = None
    for step in row.inputs["steps"]:
        kind = step.get("kind") or ""
        if step.get("pct") is None or (kind == "initial" and stop is not None):
            continue
        proposed = stops.stop_of_collateral(
            float(step["price"]), row.side, float(step["pct"]), row.get("leverage", 1.0)
        )
        stop = proposed if stop is None or kind == "refresh" else stops.ratcheted_stop(stop, proposed, row.side)
    assert stop is not None, row.id
    return stop


ORDERS: dict[str, Rule] = {
    "filters.max_stake": maximum_stake,
    "filters.min_stake_with_stop_reserve": minimum_stake,
    "filters.price_round": rounded,
    "filters.qty_in_contracts": in_contracts,
    "filters.qty_round_down": rounded,
    "sizing.atr_stop": atr_stop,
    "sizing.kelly_full": lambda row: sizing.kelly_fraction(row["win_rate"], row["win_loss_ratio"]),
    "sizing.limit_stop_distance": lambda row: stops.limited_stop(
        row["entry"], row["stop"], row.side, row["max_risk_pct"] / 100.0
    ),
    "sizing.risk_per_trade": risk_per_trade,
    "sizing.risk_to_qty_capped": risk_to_quantity,
    "sizing.risk_to_size": lambda row: float(round(money_for_risk(row, row["risk_per_unit"]))),
    "sizing.size_to_qty_floor": lambda row: quantity_for_money(row, row["size"]),
    "sizing.vol_target": volatility_target,
    "stops.ratchet": ratcheted,
    "stops.stop_or_liquidation": lambda row: stops.nearer_exit(
        row.get("stop", 0.0), row.get("liquidation_price", 0.0), row.side
    ),
}
