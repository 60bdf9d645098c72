"""Grid records: the records of many settings of a grid at once, column by column, as compiled code takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backtests.exchange.parameters import INTRABAR, LIMIT_FILL
from backtests.exchange.records import Records, settings_record
from backtests.kernel.trader import Setting
from backtests.run.tables import Tables
from backtests.searches.grids import Grid
from markets.candles import FloatArray, IntArray
from strategies.parameters import SIZINGS, Distance
from strategies.plan import PARTS, SCALARS, risk_record
from strategies.steps import habits_record

# The level that a distance is written at; the first stop is that of stop_loss, else of trailing_stop.
_PLACES = {"take_profit": "target", "trailing_stop": "trailing", "trailing_after": "after", "break_even": "even"}
_UNITS = ("rate", "atr", "sigma")


def grid_settings(grid: Grid, tables: Tables, numbers: IntArray) -> Setting:
    """The records of settings by number, all with the signals of `tables`: the same as made from tables one by one."""
    rows = grid.columns(numbers)
    count = len(numbers)
    plan = np.repeat(risk_record(tables.risk), count)
    habits = np.repeat(habits_record(tables.strategy, tables.risk), count)
    settings = np.repeat(settings_record(tables.account, tables.costs), count)
    chosen = {name: (grid.parsed[name], rows[name]) for name in grid.axes if name not in grid.slow}
    _write_scalars(plan, habits, settings, chosen)
    _write_distances(plan, tables, chosen)
    return Setting(plan, habits, settings)


_Chosen = dict[str, tuple[tuple[Any, ...], IntArray]]


def _write_scalars(plan: Records, habits: Records, settings: Records, chosen: _Chosen) -> None:
    """Numbers and words, each in its column."""
    for name, (values, row) in chosen.items():
        key = name.partition(".")[2]
        if key in SCALARS:
            plan[key] = np.array(values, dtype=np.float64)[row]
        elif key == "sizing":
            plan[key] = np.array([SIZINGS.index(value) for value in values])[row]
        elif key in ("maximum_bars", "cooldown_bars"):
            habits[key] = np.array(values)[row]
        elif key == "on_opposite":
            habits["reverse"] = np.array([value == "reverse" for value in values])[row]
        elif key == "direction":
            habits["longs"] = np.array([value != "short" for value in values])[row]
            habits["shorts"] = np.array([value != "long" for value in values])[row]
        elif key == "intrabar":
            settings["intrabar"] = np.array([INTRABAR.index(value) for value in values])[row]
        elif key == "limit_fill":
            settings["through"] = np.array([LIMIT_FILL.index(value) for value in values])[row]


def _write_distances(plan: Records, tables: Tables, chosen: _Chosen) -> None:
    """The distances, of which those in parts of the margin hang on the leverage as well."""

    def column(key: str) -> tuple[tuple[Any, ...], IntArray | int]:
        return chosen.get(f"risk.{key}", ((getattr(tables.risk, key),), 0))

    leverage = plan["leverage"]
    stops, row = column("stop_loss")
    trails, other = column("trailing_stop")
    off = np.array([stop is None for stop in stops])[row]
    for unit, first, second in zip(
        _UNITS, _amounts(stops, row, leverage), _amounts(trails, other, leverage), strict=True
    ):
        plan[f"stop_{unit}"] = np.where(off, second, first)
    for key, level in _PLACES.items():
        _write_level(plan, level, _amounts(*column(key), leverage))
    ladders, row = column("targets")
    for number, part in enumerate(PARTS):
        own = [ladder[number] if number < len(ladder) else None for ladder in ladders]
        _write_level(plan, part, _amounts([one and one.distance for one in own], row, leverage))
        plan[f"{part}_share"] = np.array([one.share if one else 0.0 for one in own])[row]


def _write_level(plan: Records, level: str, amounts: Sequence[FloatArray]) -> None:
    for unit, values in zip(_UNITS, amounts, strict=True):
        plan[f"{level}_{unit}"] = values


def _amounts(values: Sequence[Distance], row: IntArray | int, leverage: FloatArray) -> list[FloatArray]:
    """The parts of distances in price rate, average true ranges and sigmas, a value a setting."""
    rate = np.array([one.amount / 100.0 if one and one.unit in ("%", "%margin") else 0.0 for one in values])[row]
    margin = np.array([bool(one and one.unit == "%margin") for one in values])[row]
    others = [np.array([one.amount if one and one.unit == unit else 0.0 for one in values])[row] for unit in _UNITS[1:]]
    return [np.where(margin, rate / leverage, rate), *others]
