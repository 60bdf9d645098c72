"""Grids: the settings of a sweep, all combinations of some values of some parameters."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from backtests.run.tables import Tables
from backtests.searches.axes import sort_axis
from backtests.searches.search_size import check_values
from backtests.searches.searched import check_name, keeps_signals, parse_value
from foundation.dimensions import listed, read_value
from foundation.errors import ParameterError
from foundation.units import Quantity
from markets.candles import IntArray

_RANGE = re.compile(r"(-?[0-9.]+)([a-z%]*):(-?[0-9.]+)([a-z%]*):([0-9]+)(:log)?")


@dataclass(frozen=True)
class Grid:
    """The axes of a sweep: values by `table.key`. Signals vary slowest, so that what they share is worked out once.

    Settings are numbered, the last axis varying fastest. The values of an axis stand in their order, whatever order
    they were named in; `runs`: for each axis how long the runs of neighbours among them are (`sort_axis`). `parsed`:
    the values as the tables hold them. Raises ParameterError for a value, or values together, that no table takes; each
    is looked at once, not each setting.
    """

    base: Tables
    axes: Mapping[str, Sequence[Any]]
    parsed: Mapping[str, tuple[Any, ...]] = field(init=False)
    runs: Mapping[str, tuple[int, ...]] = field(init=False)

    def __post_init__(self) -> None:
        if not self.axes:
            raise ParameterError("grid", "varies nothing", fix='such as {"risk.stop_loss": ["1%", "2%"]}')
        for name, values in self.axes.items():
            check_name(name, "grid")
            if len(values) == 0:
                raise ParameterError(f"grid {name}", "has no value", fix="name one or more")
            check_values(name, len(values))
        slow = [name for name in self.axes if not keeps_signals(name)]
        order = [*slow, *(name for name in self.axes if keeps_signals(name))]
        axes = {name: tuple(self.axes[name]) for name in order}
        parsed = {name: tuple(parse_value(name, value) for value in values) for name, values in axes.items()}
        for name, values in parsed.items():
            if len({str(value) for value in values}) < len(values):
                raise ParameterError(f"grid {name}", "has a value twice", value=list(map(str, axes[name])))
        ranked = {name: sort_axis(name, axes[name], values) for name, values in parsed.items()}
        for at, held in enumerate(("axes", "parsed", "runs")):
            object.__setattr__(self, held, {name: one[at] for name, one in ranked.items()})
        self._check_together()

    def __len__(self) -> int:
        return math.prod(self.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(len(values) for values in self.axes.values())

    @cached_property
    def slow(self) -> tuple[str, ...]:
        """The axes that change the signals."""
        return tuple(name for name in self.axes if not keeps_signals(name))

    @cached_property
    def fast(self) -> int:
        """How many settings share each set of signals: those follow one another."""
        return math.prod(len(values) for name, values in self.axes.items() if keeps_signals(name))

    @property
    def signals(self) -> Iterator[Tables]:
        """The tables of the first setting of each set of signals."""
        for number in range(0, len(self), self.fast):
            yield self.tables(number)

    def columns(self, numbers: IntArray) -> dict[str, IntArray]:
        """The row of its value on each axis, for settings by number."""
        return dict(zip(self.axes, np.unravel_index(numbers, self.shape), strict=True))

    def point(self, number: int) -> dict[str, Any]:
        """The values of a setting, by `table.key`."""
        return {name: self.axes[name][int(at[0])] for name, at in self.columns(np.array([number])).items()}

    def points(self) -> Iterator[dict[str, Any]]:
        """The values of each setting, by `table.key`, in the order of their numbers."""
        for values in product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))

    def tables(self, number: int) -> Tables:
        """The tables of a setting."""
        return self.base.changed(self.point(number))

    def record(self) -> dict[str, Any]:
        """The axes as JSON can hold them."""
        return {
            name: [value if isinstance(value, int | float) else str(value) for value in values]
            for name, values in self.axes.items()
        }

    def _check_together(self) -> None:
        """Raises ParameterError for values that contradict each other.

        Signals are looked at in all their combinations. Of all else rules between parameters look at words, at
        whether a distance is on, and at its upper bound, so that a few values stand for all.
        """
        for values in product(*(self.axes[name] for name in self.slow)):
            self._check_point(dict(zip(self.slow, values, strict=True)))
        others = [name for name in self.axes if name not in self.slow]
        stand_ins = [[(name, value) for value in _stand_ins(self.axes[name], self.parsed[name])] for name in others]
        for together in product(*stand_ins):
            self._check_point(dict(together))

    def _check_point(self, point: Mapping[str, Any]) -> None:
        try:
            self.base.changed(point)
        except ParameterError as error:
            varied = [name for name in point if len(self.axes[name]) > 1]
            if len(varied) < 2:
                raise
            told = "all combinations are played, so no value may contradict one of another axis; crossgate tune passes"
            raise ParameterError("grid", f"{error}", fix=f"{told} over those that do") from None


def _stand_ins(written: Sequence[Any], parsed: Sequence[Any]) -> list[Any]:
    """The values, as written, that stand for all of an axis: a number, the longest distance in each unit, each word."""
    kinds: dict[str, tuple[float, Any]] = {}
    for value, read in zip(written, parsed, strict=True):
        distance = isinstance(read, Quantity)
        kind = read.unit if distance else "number" if isinstance(read, int | float) else f"word {read}"
        amount = read.amount if distance else 0.0
        if kind not in kinds or amount > kinds[kind][0]:
            kinds[kind] = amount, value
    return [value for _, value in kinds.values()]


def read_axes(over: Mapping[str, Any]) -> dict[str, Any]:
    """The axes of a mapping from `table.key` to a list, range or array of values, or to a text as `read_axis` takes it.

    Raises ParameterError for anything else.
    """
    fix = 'such as {"risk.stop_loss": ["1%", "2%"], "risk.leverage": [1, 2, 3]}'
    if not isinstance(over, Mapping):
        raise ParameterError("grid", "should name values by table.key", value=over, fix=fix)
    axes = {}
    for name, written in over.items():
        values = read_axis(f"{name}={written}")[1] if isinstance(written, str) else listed(written)
        if values is None:
            raise ParameterError(f"grid {name}", "should be a list of values", value=written, fix=fix)
        axes[str(name)] = values
    return axes


def read_axis(text: str) -> tuple[str, list[Any]]:
    """The axis that a text such as "risk.stop_loss=0.5%:5%:10" or "risk.leverage=1,2,3" names.

    A range is first value, last value and how many, evenly spaced, or with ":log" after it by equal factors, to
    four digits.
    Raises ParameterError.
    """
    name, equals, written = text.partition("=")
    if not equals or not written.strip():
        fix = "such as --grid risk.leverage=1,2,3 or --grid risk.stop_loss=0.5%:5%:10"
        raise ParameterError("--grid", "should read table.key=values", value=text, fix=fix)
    match = _RANGE.fullmatch(written.strip())
    if match is None and ":" in written:
        fix = (
            "first, last and how many, such as risk.stop_loss=0.5%:5%:10, or risk.leverage=1:20:5:log by equal factors"
        )
        raise ParameterError("--grid", "is no range", value=text, fix=fix)
    if match is None:
        return name.strip(), [read_value(part.strip()) for part in written.split(",")]
    first, unit, last, other, count, log = match.groups()
    if unit != other or int(count) < 2:
        problem = "should have one unit and two values or more"
        raise ParameterError("--grid", problem, value=text, fix="such as risk.stop_loss=0.5%:5%:10")
    check_values(name.strip(), int(count))
    begin, end, steps = float(first), float(last), int(count) - 1
    if log and not 0.0 < begin < end:
        raise ParameterError("--grid", "should rise from above zero to go by factors", value=text)
    spaced = [
        begin * (end / begin) ** (k / steps) if log else begin + (end - begin) / steps * k for k in range(steps + 1)
    ]
    return name.strip(), [read_value(f"{_rounded(value):.10g}{unit}") for value in spaced]


def _rounded(value: float) -> float:
    """A value of a range to four digits, or to whole numbers above that: nobody asks for 2.285714286%."""
    return float(f"{value:.4g}") if abs(value) < 1000.0 else round(value)
