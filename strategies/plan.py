"""The plan of a trade: how much to open, and how far away its stop and target stand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from foundation.compilation import rule
from markets.inverse import position_value
from markets.margin import notional
from strategies.parameters import SIZINGS, Distance, RiskParams
from strategies.rules import size_by_leverage, size_by_risk
from strategies.sizing import annual_volatility, size_by_fraction, size_by_kelly, size_by_volatility

Records = npt.NDArray[Any]
# One record of such an array; its fields are known to compiled code only.
Row = Any

REAL, WHOLE = np.float64, np.int64
# The levels of a trade. `stop`: where the stop begins. `target`: what the partial targets leave.
LEVELS = ("stop", "target", "trailing", "after", "even", "part1", "part2", "part3")
PARTS = LEVELS[5:]
# The numbers of RiskParams that compiled code takes as they are.
SCALARS = ("risk_per_trade", "leverage", "fraction", "target_volatility", "kelly_share")
# The sizings by number; "leverage", the first, is the most that any other may come to.
BY_RISK, BY_FRACTION, BY_SIGMA, BY_ATR, BY_KELLY = range(1, len(SIZINGS))
# A stop this part of the price away from zero: the farthest that a long can have.
LOWEST_STOP = 1e-9
# Distances: `rate` of the entry price, plus `atr` average true ranges, plus `sigma` forecast deviations; 0 is off.
# `unplaced`: 1 where sizes rest on the stop as ever but no stop is placed, to see what the stop itself does.
RISK = np.dtype(
    [("sizing", WHOLE), ("unplaced", WHOLE)]
    + [(name, REAL) for name in SCALARS]
    + [(f"{level}_{name}", REAL) for level in LEVELS for name in ("rate", "atr", "sigma")]
    + [(f"{part}_share", REAL) for part in PARTS]
)
DISTANCES = (
    "offset_rate", "offset", "trailing_rate", "trailing", "trailing_after_rate", "trailing_after", "break_even_rate",
    "break_even",
)  # fmt: skip
# An exit of an entry: whether it is a target or the stop, the share of the entry it is for, and its distances, each a
# fraction of the entry price and an amount of price.
EXIT = np.dtype([("target", np.int8), ("share", REAL), *((name, REAL) for name in DISTANCES)])
MOST_EXITS = 2 + len(PARTS)
SITUATION = np.dtype(
    [(name, REAL) for name in ("equity", "price", "side", "fee_rate", "slippage", "face", "inverse")]
    + [(name, REAL) for name in ("atr", "mean", "sigma", "bars_per_year")]
)


def risk_record(risk: RiskParams) -> Records:
    """One RISK record of the parameters, as compiled code takes them."""
    record = np.zeros(1, dtype=RISK)
    record["sizing"] = SIZINGS.index(risk.sizing)
    for name in SCALARS:
        record[name] = getattr(risk, name)
    plain = (risk.first_stop, risk.take_profit, risk.trailing_stop, risk.trailing_after, risk.break_even)
    for name, distance in zip(LEVELS, (*plain, *(target.distance for target in risk.targets)), strict=False):
        for unit, amount in _parts(distance, risk.leverage).items():
            record[f"{name}_{unit}"] = amount
    for name, target in zip(PARTS, risk.targets, strict=False):
        record[f"{name}_share"] = target.share
    return record


def _parts(distance: Distance, leverage: float) -> dict[str, float]:
    if distance is None:
        return {}
    match distance.unit:
        case "%":
            return {"rate": distance.amount / 100.0}
        case "%margin":
            return {"rate": distance.amount / 100.0 / leverage}
        case unit:
            return {unit: distance.amount}


@rule
def spread(deviation: float) -> float:
    """A sigma or average true range that something can be measured by: NaN, as where there is none, unless above zero.

    Nor one whose square is no number above zero, about 1e-162.
    """
    return deviation if deviation * deviation > 0.0 else math.nan


@rule
def offset_rate(rate: float, sigma_multiple: float, sigma: float) -> float:
    """The part of a distance that is a fraction of the entry price: a fixed one, plus forecast deviations."""
    return rate if sigma_multiple == 0.0 else rate + sigma_multiple * spread(sigma)


@rule
def offset(atr_multiple: float, atr: float) -> float:
    """The part of a distance that is in price: average true ranges."""
    return 0.0 if atr_multiple == 0.0 else atr_multiple * spread(atr)


@rule
def distance(rate: float, atr_multiple: float, sigma_multiple: float, now: Row) -> tuple[float, float]:
    """A distance as a fraction of the entry price and an amount of price; 0 and 0 when it is off."""
    return offset_rate(rate, sigma_multiple, now.sigma), offset(atr_multiple, now.atr)


@rule
def plan_exits(risk: Row, now: Row, exits: Records) -> int:
    """How many of the `exits` (EXIT records, at least MOST_EXITS) are written: the stop, then the targets.

    Distances are NaN where something they rest on is not known, or zero: the average true range, or the sigma.
    """
    count = 0
    rate, amount = distance(risk.stop_rate, risk.stop_atr, risk.stop_sigma, now)
    if risk.unplaced == 0 and (rate != 0.0 or amount != 0.0):
        stop = exits[0]
        stop.target, stop.share, stop.offset_rate, stop.offset = 0, 1.0, rate, amount
        stop.trailing_rate, stop.trailing = distance(risk.trailing_rate, risk.trailing_atr, risk.trailing_sigma, now)
        after = distance(risk.after_rate, risk.after_atr, risk.after_sigma, now)
        stop.trailing_after_rate, stop.trailing_after = after
        stop.break_even_rate, stop.break_even = distance(risk.even_rate, risk.even_atr, risk.even_sigma, now)
        count = 1
    first = distance(risk.part1_rate, risk.part1_atr, risk.part1_sigma, now)
    second = distance(risk.part2_rate, risk.part2_atr, risk.part2_sigma, now)
    third = distance(risk.part3_rate, risk.part3_atr, risk.part3_sigma, now)
    count = plan_target(exits, count, risk.part1_share, first)
    count = plan_target(exits, count, risk.part2_share, second)
    count = plan_target(exits, count, risk.part3_share, third)
    return plan_target(exits, count, 1.0, distance(risk.target_rate, risk.target_atr, risk.target_sigma, now))


@rule
def plan_target(exits: Records, count: int, share: float, away: tuple[float, float]) -> int:
    """The count of exits after a target for a share of the entry, which is left out when its distance is 0."""
    if away[0] == 0.0 and away[1] == 0.0:
        return count
    target = exits[count]
    target.target, target.share, target.offset_rate, target.offset = 1, share, away[0], away[1]
    target.trailing_rate, target.trailing, target.trailing_after_rate, target.trailing_after = 0.0, 0.0, 0.0, 0.0
    target.break_even_rate, target.break_even = 0.0, 0.0
    return count + 1


@rule
def known(exits: Records, count: int) -> bool:
    """Whether every distance of the first `count` exits is a number."""
    total = 0.0
    for k in range(count):
        one = exits[k]
        total += one.offset_rate + one.offset + one.trailing_rate + one.trailing
        total += one.trailing_after_rate + one.trailing_after + one.break_even_rate + one.break_even
    return not math.isnan(total)


@rule
def plan_entry(risks: Records, situations: Records, exits: Records) -> tuple[float, int]:
    """`entry_size` and `plan_exits` of the first records: Python hands over arrays faster than records.

    The size is NaN where a distance of an exit is not known, too.
    """
    risk, now = risks[0], situations[0]
    size, count = entry_size(risk, now), plan_exits(risk, now, exits)
    return (size if known(exits, count) else math.nan), count


@rule
def worth(now: Row, price: float) -> float:
    """What a quantity of 1 is worth at a price, in the settlement currency."""
    return position_value(now.face, price) if now.inverse else notional(now.face, price)


@rule
def worth_at_stop(now: Row, distance: float) -> float:
    """What a quantity of 1 is worth at a stop; a stop at or below zero counts as one just above it."""
    return worth(now, max(now.price - now.side * distance, LOWEST_STOP * now.price))


@rule
def entry_size(risk: Row, now: Row) -> float:
    """The quantity to open in a situation; never more than the margin and fee that the equity can pay.

    The rules of `strategies.sizing` take money for a quantity of 1: the worth of the contract, in its own currency.
    NaN where something it rests on is not known, or zero: the average true range, or the forecast's sigma; and where
    the slippage takes the whole price.
    """
    if now.slippage >= 1.0:
        return math.nan
    unit = worth(now, now.price)
    most = size_by_leverage(
        now.equity, worth(now, now.price * (1.0 + now.side * now.slippage)), risk.leverage, now.fee_rate
    )
    quantity = most
    if risk.sizing == BY_RISK:
        distance = now.price * offset_rate(risk.stop_rate, risk.stop_sigma, now.sigma) + offset(risk.stop_atr, now.atr)
        lost = worth_at_stop(now, distance) - unit
        cost_rate, falls = now.fee_rate + now.slippage, -1 if lost < 0.0 else 1
        quantity = size_by_risk(now.equity, unit, abs(lost), risk.risk_per_trade, cost_rate, -falls)
    elif risk.sizing == BY_FRACTION:
        quantity = size_by_fraction(now.equity, unit, risk.fraction, risk.leverage)
    elif risk.sizing == BY_SIGMA:
        volatility = annual_volatility(spread(now.sigma), now.bars_per_year)
        quantity = size_by_volatility(now.equity, unit, 1.0, risk.target_volatility, volatility)
    elif risk.sizing == BY_ATR:
        volatility = annual_volatility(spread(now.atr / now.price), now.bars_per_year)
        quantity = size_by_volatility(now.equity, unit, 1.0, risk.target_volatility, volatility)
    elif risk.sizing == BY_KELLY:
        sigma = spread(now.sigma)
        quantity = size_by_kelly(now.equity, unit, now.mean, sigma, risk.kelly_share, risk.leverage)
    return most if quantity > most else quantity
