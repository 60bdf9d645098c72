"""MarginTiers: a venue's brackets of maintenance margin and leverage by notional, on a date.

A bracket holds the notionals `floor < notional <= cap` (docs/decisions/tier-edges.md). In each of them
the maintenance margin is `notional * rate - amount`, where `amount` makes it continuous at the edges.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foundation.compilation import rule
from foundation.errors import DataError, ParameterError, suggestion
from markets.candles import FloatArray
from markets.inverse import liquidation_price as coin_liquidation_price
from markets.venues import liquidation_price_with_fee

# The cap of a bracket that holds every notional.
NO_CAP = 1e18
COLUMNS = ("symbol", "notional_floor", "notional_cap", "maint_margin_rate", "max_leverage")


@rule
def bracket_of(notional: float, floors: FloatArray) -> int:
    """The index of the bracket that holds a notional: the last one whose floor lies below it, 0 at the least."""
    found = 0
    while found + 1 < len(floors) and notional > floors[found + 1]:
        found += 1
    return found


@rule
def next_maintenance_amount(amount: float, rate: float, floor: float, next_rate: float) -> float:
    """The maintenance amount of the next bracket: `amount + floor * (next_rate - rate)`, from 0 in the first.

    `floor`: where the next bracket begins, and both give the same maintenance margin.
    """
    return amount + floor * (next_rate - rate)


def maintenance_amounts(floors: FloatArray, rates: FloatArray) -> FloatArray:
    """The maintenance amounts that leave no jump where brackets meet, lowest bracket first."""
    amounts = np.zeros(len(floors))
    for k in range(1, len(floors)):
        amounts[k] = next_maintenance_amount(amounts[k - 1], rates[k - 1], floors[k], rates[k])
    return amounts


@rule
def tiered_margin(notional: float, floors: FloatArray, rates: FloatArray, amounts: FloatArray) -> float:
    """The maintenance margin of a notional, by the bracket that holds it."""
    k = bracket_of(notional, floors)
    margin: float = notional * rates[k] - amounts[k]
    return margin


@rule(inline=True)
def liquidation_in_tiers(
    quantity: float,
    entry: float,
    wallet: float,
    floors: FloatArray,
    rates: FloatArray,
    amounts: FloatArray,
    closing_fee_rate: float,
) -> float:
    """The liquidation price by the bracket that holds the notional AT that price; 0 for none.

    `closing_fee_rate`: that of a venue which counts the closing fee as maintenance, else 0. From the bracket
    at entry on, the price of each bracket names the next one, until it lies in its own. That is Newton's
    method on wallet plus profit less maintenance margin, which is concave in the price: it cannot cycle, and
    needs no more rounds than there are brackets.
    """
    k = bracket_of(abs(quantity) * entry, floors)
    price = 0.0
    for _ in range(len(floors) + 1):
        price = liquidation_price_with_fee(quantity, entry, wallet, rates[k], amounts[k], closing_fee_rate)
        found = bracket_of(abs(quantity) * price, floors)
        if found == k:
            break
        k = found
    return price


@rule
def inverse_liquidation_in_tiers(
    quantity: float,
    entry: float,
    wallet: float,
    floors: FloatArray,
    rates: FloatArray,
    amounts: FloatArray,
    closing_fee_rate: float,
) -> float:
    """The liquidation price of an inverse position, brackets and wallet in coin; see `liquidation_in_tiers`."""
    k = bracket_of(abs(quantity) / entry, floors)
    price = 0.0
    for _ in range(len(floors) + 1):
        price = coin_liquidation_price(quantity, entry, wallet, rates[k] + closing_fee_rate, amounts[k])
        found = bracket_of(abs(quantity) / price, floors) if price > 0.0 else 0
        if found == k:
            break
        k = found
    return price


@dataclass(frozen=True, eq=False)
class MarginTiers:
    """The brackets of one contract on a date, lowest first, as read-only float64 arrays.

    `floors`, `caps`: notionals in the settlement currency (coin for an inverse contract); `rates`:
    maintenance margin over notional; `leverages`: the highest leverage in each bracket; `amounts`: the
    maintenance amounts. `date`: the day or name of the vintage; venues change their brackets.
    Raises DataError for brackets with gaps, rates that do not rise, or amounts that leave a jump.
    """

    symbol: str
    date: str
    floors: FloatArray
    caps: FloatArray
    rates: FloatArray
    leverages: FloatArray
    amounts: FloatArray
    source: str = "margin tiers"

    def __post_init__(self) -> None:
        for name in ("floors", "caps", "rates", "leverages", "amounts"):
            values = np.array(getattr(self, name), dtype=np.float64)
            if values.shape != (len(self.floors),) or not len(values) or not np.isfinite(values).all():
                problem = f"has {name} of {self.symbol} that are missing or no numbers"
                raise DataError(self.source, problem, fix="give every bracket all of its figures")
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        for problem in _defects(self):
            raise DataError(self.source, f"{self.symbol}: {problem}", fix="copy the table of the venue again")

    def bracket(self, notional: float) -> int:
        """The index of the bracket that holds a notional; the last one for what lies beyond all of them."""
        return bracket_of(notional, self.floors)

    def maintenance_rate(self, notional: float) -> float:
        """The maintenance margin rate of the bracket that holds a notional."""
        return float(self.rates[self.bracket(notional)])

    def maintenance_amount(self, notional: float) -> float:
        """The maintenance amount of the bracket that holds a notional."""
        return float(self.amounts[self.bracket(notional)])

    def maintenance_margin(self, notional: float) -> float:
        """The maintenance margin of a notional at the mark."""
        return tiered_margin(notional, self.floors, self.rates, self.amounts)

    def maximum_leverage(self, notional: float) -> float:
        """The highest leverage of the bracket that holds a notional; 0 beyond the last cap: none is allowed."""
        return 0.0 if notional > self.caps[-1] else float(self.leverages[self.bracket(notional)])

    def maximum_leverage_of_margin(self, margin: float) -> float:
        """The highest leverage that a margin can be put at: a bracket's own, or what its cap leaves room for."""
        with np.errstate(divide="ignore"):
            room = self.caps / np.float64(margin)
        return float(np.minimum(self.leverages, room).max())

    def liquidation_price(self, quantity: float, entry: float, wallet: float, closing_fee_rate: float = 0.0) -> float:
        """The liquidation price of a linear position, by the bracket that holds the notional at that price.

        `closing_fee_rate`: 0 on Binance; the taker fee where a venue counts it as maintenance.
        """
        return liquidation_in_tiers(
            quantity, entry, wallet, self.floors, self.rates, self.amounts, max(closing_fee_rate, 0.0)
        )

    def inverse_liquidation_price(self, quantity: float, entry: float, wallet: float) -> float:
        """The liquidation price of an inverse position, `quantity` in quote units, `wallet` and brackets in coin."""
        return inverse_liquidation_in_tiers(quantity, entry, wallet, self.floors, self.rates, self.amounts, 0.0)


def read_margin_tiers(path: Path, date: str = "") -> list[MarginTiers]:
    """The tables of a CSV file: one row a bracket, lowest first; one table for each symbol and vintage.

    Columns: symbol, notional_floor, notional_cap, maint_margin_rate, max_leverage, and if there is one
    maint_amount (else it is reckoned) and vintage (else `date`). Raises DataError.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(path, f"cannot be read ({error})", fix="name a CSV file of margin brackets") from None
    missing = [name for name in COLUMNS if not rows or rows[0].get(name) is None]
    if missing:
        raise DataError(path, f"lacks {', '.join(missing)}", fix=f"the first line names {', '.join(COLUMNS)}")
    grouped: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for row in rows:
        grouped.setdefault((row["symbol"], row.get("vintage") or date), []).append(row)
    return [_table(path, symbol, vintage, brackets) for (symbol, vintage), brackets in grouped.items()]


def tiers_in_force(tables: Sequence[MarginTiers], symbol: str, date: str) -> MarginTiers:
    """The table of a symbol on a day, YYYY-MM-DD: the latest that is not later. Raises ParameterError."""
    of_symbol = [table for table in tables if table.symbol == symbol]
    if not of_symbol:
        fix = suggestion(symbol, {table.symbol for table in tables})
        raise ParameterError("symbol", "has no margin tiers", value=symbol, fix=fix)
    known = sorted(table.date for table in of_symbol)
    if date < known[0]:
        raise ParameterError(
            "date", f"is before the first margin tiers of {symbol}", value=date, fix=f"from {known[0]}"
        )
    return max((table for table in of_symbol if table.date <= date), key=lambda table: table.date)


def _table(path: Path, symbol: str, vintage: str, rows: list[Mapping[str, str]]) -> MarginTiers:
    def column(name: str) -> FloatArray:
        try:
            return np.array([float(row[name]) for row in rows])
        except (TypeError, ValueError):
            raise DataError(path, f"has a {name} of {symbol} that is no number", fix="mend that row") from None

    floors, rates = column("notional_floor"), column("maint_margin_rate")
    amounts = column("maint_amount") if rows[0].get("maint_amount") else maintenance_amounts(floors, rates)
    caps, leverages = column("notional_cap"), column("max_leverage")
    return MarginTiers(symbol, vintage, floors, caps, rates, leverages, amounts, source=str(path))


def _defects(tiers: MarginTiers) -> Iterable[str]:
    floors, caps, rates, amounts = tiers.floors, tiers.caps, tiers.rates, tiers.amounts
    if floors[0] != 0.0 or amounts[0] != 0.0:
        yield "the first bracket does not begin at 0 with a maintenance amount of 0"
    if (caps <= floors).any() or (floors[1:] != caps[:-1]).any():
        yield "the brackets leave gaps or overlap: each floor is the cap before it"
    if rates[0] <= 0.0 or rates[-1] >= 1.0 or (np.diff(rates) < 0.0).any():
        yield "the maintenance rates do not rise between 0 and 1"
    if (tiers.leverages < 1.0).any() or (np.diff(tiers.leverages) > 0.0).any():
        yield "the leverages do not fall from bracket to bracket down to 1"
    for k in range(1, len(floors)):
        expected = next_maintenance_amount(amounts[k - 1], rates[k - 1], floors[k], rates[k])
        if abs(amounts[k] - expected) > 1e-9 * max(floors[k], 1.0):
            yield f"maintenance amount {k + 1} is {amounts[k]:g}, but {expected:g} leaves no jump at {floors[k]:g}"
