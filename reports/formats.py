"""Figures as people read them: money, percentages, ratios, dates."""

from __future__ import annotations

import math
from typing import Any

NONE = "–"  # noqa: RUF001 - an en dash stands for a figure that is not defined
MINUS = "−"  # noqa: RUF001 - a minus as wide as the plus


def money(value: float | None, *, signed: bool = False) -> str:
    """An amount: 12,345.67; with fewer decimals above 100,000, and with more below 0.1, as coins have: 0.00123."""
    size = 1.0 if not value or not math.isfinite(value) else abs(value)
    if size >= 0.1:
        return _write(value, ",.0f" if size >= 100_000 else ",.2f", signed=signed)
    return _write(value, f",.{min(2 - math.floor(math.log10(size)), 8)}f", signed=signed)


def percent(value: float | None, *, signed: bool = False, decimals: int = 1) -> str:
    """A fraction as a percentage: 12.3%."""
    return _write(None if value is None else 100.0 * value, f",.{decimals}f", signed=signed, suffix="%")


def points(value: float | None) -> str:
    """A difference of two percentages, in percentage points: +12.3 pp."""
    return _write(None if value is None else 100.0 * value, ",.1f", signed=True, suffix=" pp")


def ratio(value: float | None) -> str:
    """A ratio with two decimals."""
    return _write(value, ",.2f")


def decimal(value: float | None, *, digits: int = 4, signed: bool = False) -> str:
    """A small number with a given count of decimals."""
    return _write(value, f",.{digits}f", signed=signed)


def probability(value: float | None) -> str:
    """A probability with three decimals, or "below 0.001"."""
    return "below 0.001" if value is not None and value < 0.001 else _write(value, ".3f")


def count(value: float | None) -> str:
    """A whole number: 12,345."""
    return _write(value, ",.0f")


def counted(value: float, what: str) -> str:
    """A number of things, such as "1 parameter" or "1,200 parameters"."""
    return f"{count(value)} {what}{'' if value == 1 else 's'}"


def price(value: float | None) -> str:
    """A price or quantity with as many decimals as its size needs: 64,231.50, 0.073412."""
    if value is None or not math.isfinite(value):
        return NONE
    size = 0 if value == 0.0 else math.floor(math.log10(abs(value)))
    return _write(value, f",.{min(max(5 - size, 0), 8) if size < 4 else 2}f")


def quantity(value: float | None) -> str:
    """A quantity with the decimals it needs and no more: 0.125, 20, 1,500."""
    return _write(value, ",.10g")


def moment(value: Any) -> str:
    """A time in UTC: 2024-06-30 23:00."""
    import pandas as pd

    return NONE if value is None or pd.isna(value) else pd.Timestamp(value).strftime("%Y-%m-%d %H:%M")


def day(value: Any) -> str:
    """A date: 30 June 2024."""
    import pandas as pd

    stamp = pd.Timestamp(value)
    return f"{stamp.day} {stamp.strftime('%B %Y')}"


def span(nanoseconds: int) -> str:
    """A length of time in its largest whole unit: 15 minutes, 1 hour, 4 hours, 1 day."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        number, rest = divmod(nanoseconds, size * 1_000_000_000)
        if number and not rest:
            return f"{number} {unit}{'s' if number > 1 else ''}"
    return f"{nanoseconds} ns"


def words(name: str) -> str:
    """A name from the code as words: take_profit becomes take profit."""
    return name.replace("_", " ")


def _write(value: float | None, pattern: str, *, signed: bool = False, suffix: str = "") -> str:
    if value is None or not math.isfinite(value):
        return NONE
    text = format(abs(value), pattern)
    if not text.strip("0.,"):
        return text + suffix
    sign = MINUS if value < 0 else "+" if signed else ""
    return f"{sign}{text}{suffix}"
