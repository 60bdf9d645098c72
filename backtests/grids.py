"""Grids: the settings of a sweep, all combinations of some values of some parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from backtests.parameters import AccountParams, CostParams
from foundation.errors import ParameterError, suggestion
from foundation.parameters import Parameters
from strategies.parameters import CrossoverParams, RiskParams

# What a sweep may vary without another account, market or forecast.
_FREE = {"account": ("intrabar", "limit_fill"), "costs": ("slippage_bps", "half_spread", "impact")}
_RANGE = re.compile(r"(-?[0-9.]+)([a-z%]*):(-?[0-9.]+)([a-z%]*):([0-9]+)")


@dataclass(frozen=True)
class Tables:
    """The tables of one setting."""

    strategy: CrossoverParams
    risk: RiskParams
    account: AccountParams
    costs: CostParams

    def changed(self, values: Mapping[str, Any]) -> Tables:
        """The tables with some values, by `table.key`, replaced and checked again; raises ParameterError."""
        changes: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            table, _, key = name.partition(".")
            changes.setdefault(table, {})[key] = value
        made: dict[str, Any] = {table: getattr(self, table).replaced(**given) for table, given in changes.items()}
        return replace(self, **made)


@dataclass(frozen=True)
class Grid:
    """The axes of a sweep: values by `table.key`. Signals vary slowest, so that what they share is worked out once."""

    base: Tables
    axes: Mapping[str, Sequence[Any]]

    def __post_init__(self) -> None:
        if not self.axes:
            raise ParameterError("grid", "varies nothing", fix='such as {"risk.stop_loss": ["1%", "2%"]}')
        for name, values in self.axes.items():
            self._check(name, values)
        slow = [name for name in self.axes if not self._fast(name)]
        order = [*slow, *(name for name in self.axes if self._fast(name))]
        object.__setattr__(self, "axes", {name: tuple(self.axes[name]) for name in order})

    def __len__(self) -> int:
        count = 1
        for values in self.axes.values():
            count *= len(values)
        return count

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(len(values) for values in self.axes.values())

    def points(self) -> Iterator[dict[str, Any]]:
        """The values of each setting, by `table.key`, the last axis varying fastest."""
        for values in product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))

    def record(self) -> dict[str, Any]:
        """The axes as JSON can hold them."""
        return {
            name: [value if isinstance(value, int | float) else str(value) for value in values]
            for name, values in self.axes.items()
        }

    def _fast(self, name: str) -> bool:
        """Whether an axis leaves the signals as they are."""
        return name.startswith("account.") or (name.startswith("risk.") and name != "risk.atr_bars")

    def _check(self, name: str, values: Sequence[Any]) -> None:
        table, dot, key = name.partition(".")
        if not dot or table not in ("strategy", "risk", "account", "costs"):
            fix = "a key of strategy, risk, account or costs, such as risk.stop_loss"
            raise ParameterError("grid", "is no parameter that a sweep can vary", value=name, fix=fix)
        model: type[Parameters] = type(getattr(self.base, table))
        known = _FREE.get(table, tuple(model.model_fields))
        if key not in known:
            raise ParameterError(f"grid {name}", "cannot be varied", fix=suggestion(key, known))
        if len(values) == 0:
            raise ParameterError(f"grid {name}", "has no value", fix="name one or more")
        if len({str(value) for value in values}) < len(values):
            raise ParameterError(f"grid {name}", "has a value twice", value=list(map(str, values)))
        for value in values:
            if len(self.axes) == 1:
                self.base.changed({name: value})


def read_axis(text: str) -> tuple[str, list[Any]]:
    """The axis that a text such as "risk.stop_loss=0.5%:5%:10" or "risk.leverage=1,2,3" names.

    A range is first value, last value and how many, evenly spaced. Raises ParameterError.
    """
    name, equals, written = text.partition("=")
    if not equals or not written.strip():
        fix = "such as --grid risk.leverage=1,2,3 or --grid risk.stop_loss=0.5%:5%:10"
        raise ParameterError("--grid", "should read table.key=values", value=text, fix=fix)
    match = _RANGE.fullmatch(written.strip())
    if match is None:
        return name.strip(), [_value(part.strip()) for part in written.split(",")]
    first, unit, last, other, count = match.groups()
    if unit != other or int(count) < 2:
        problem = "should have one unit and two values or more"
        raise ParameterError("--grid", problem, value=text, fix="such as risk.stop_loss=0.5%:5%:10")
    begin, step = float(first), (float(last) - float(first)) / (int(count) - 1)
    return name.strip(), [_value(f"{begin + step * k:.10g}{unit}") for k in range(int(count))]


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
