"""Search text: tables of searches as a terminal shows them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

_FRACTIONS = (
    "total_return", "return", "cagr", "volatility", "max_drawdown", "time_under_water", "win_rate", "exposure",
)  # fmt: skip
_RATIOS = (
    "sharpe",
    "sortino",
    "calmar",
    "plateau",
    "profit_factor",
    "in_sample",
    "out_of_sample",
    "median",
    "worst",
    "best",
)
_SIGNED = ("total_return", "return", "cagr")
_COUNTS = ("trades", "liquidations", "refusals", "shrunk")


def table_text(table: pd.DataFrame) -> str:
    """A table with percentages, ratios of two decimals and whole counts; "-" for what is not defined."""
    told = {str(name): list(map(_writer(str(name)), table[name])) for name in table}
    return pd.DataFrame(told, dtype=object).to_string(index=False)


def ratio_text(value: float) -> str:
    """A ratio with two decimals; "-" for what is not defined."""
    return _write(",.2f", value)


def undefined_text(counts: Mapping[str, int], of: int, what: str) -> str:
    """A sentence on how many settings, or trials, have no value of some metrics; nothing where all have one."""
    parts = [f"{name} in {count:,}" for name, count in counts.items() if count]
    return f"Not defined, and so behind all others, of {of:,} {what}: {', '.join(parts)}." if parts else ""


def column_type(values: Sequence[Any]) -> type:
    """What a column of a table holds that may hold these values: numbers where all are, else their text."""
    if all(isinstance(one, int) and not isinstance(one, bool) for one in values):
        return int
    return float if all(isinstance(one, int | float) and not isinstance(one, bool) for one in values) else str


def _writer(name: str) -> Callable[[Any], str]:
    if name in _FRACTIONS:
        return partial(_write, f"{'+' if name in _SIGNED else ''},.1%")
    return partial(_write, ",.2f" if name in _RATIOS else ",.0f" if name in _COUNTS else ",.10g")


def _write(pattern: str, value: Any) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return format(value, pattern) if isinstance(value, int | float) else str(value)
