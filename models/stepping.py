"""Stepping: the features of one bar after another, equal to those of the whole series."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from foundation.errors import DataError
from markets.candles import FloatArray, utc
from models.features import Column, Float32Array, needed_series, parse_columns
from models.forecasts import Bar
from models.inputs import COLUMNS, Inputs
from models.parameters import FeatureParams, LSTMParams
from models.recursions import Volatility
from models.variance import LEAST_VOLATILITY, BaseColumns, base_columns, relative_columns


class FeatureStepper:
    """The feature row of each bar, from that bar and a state of fixed size.

    `step(bar)` returns float64, shape (columns,), NaN where a feature has no value yet; equal to the batch value to
    1e-9, from the bar on at which the feature's memory is full. A step takes the same time whatever came before it.
    `bar`: the length of a bar in nanoseconds. After a gap call `reset`, which forgets all bars.
    """

    def __init__(self, columns: Sequence[Column], bar: int) -> None:
        self.columns, self.bar = tuple(columns), bar
        self.needs = needed_series(columns)
        self.reset()

    def reset(self) -> None:
        """Forgets all bars."""
        over_tail = [column for column in self.columns if column.kind.step is None]
        self._tail = _Tail(max((column.memory for column in over_tail), default=0), self.bar, self.needs)
        self._steps = [self._stepped(column) for column in self.columns]
        self._started, self._whole = [False] * len(self.columns), False
        self._last: int | None = None

    def step(self, bar: Bar) -> FloatArray:
        """The row at the close of a bar; raises DataError where it is not the next one, or lacks a joined series."""
        if self._last is not None and bar.timestamp != self._last + self.bar:
            problem = f"is shown {utc(bar.timestamp)} UTC after {utc(self._last)} UTC"
            raise DataError(bar.symbol, problem, fix="show every bar once, in order, and reset after a gap")
        missing = [name for name in self.needs if name not in bar.known]
        if missing:
            raise DataError(bar.symbol, f"is shown a bar without {missing[0]}", fix="put it into Bar.known")
        self._last = bar.timestamp
        self._tail.append(bar)
        row = [step(bar) for step in self._steps]
        self._check(bar, row)
        return np.array(row)

    def _check(self, bar: Bar, row: Sequence[float]) -> None:
        """Raises DataError where a feature that had a value has none any more."""
        if self._whole and math.isfinite(sum(row)):
            return
        for number, value in enumerate(row):
            finite = math.isfinite(value)
            if self._started[number] and not finite:
                problem = f"is {row[number]} at {utc(bar.timestamp)} UTC"
                raise DataError(f"feature {self.columns[number].name}", problem, fix="other data, or mend it")
            self._started[number] = finite
        self._whole = all(self._started)

    def _stepped(self, column: Column) -> Callable[[Bar], float]:
        if column.kind.step is not None:
            step: Callable[[Bar], float] = column.kind.step(*column.periods)
            return step
        tail, warm_up, memory = self._tail, column.warm_up, column.memory

        def over_tail(_: Bar) -> float:
            return float(column.run(tail.inputs(memory))[-1]) if tail.count > warm_up else math.nan

        return over_tail


class Shown(NamedTuple):
    """What a network is shown at one bar: `features` (columns,) in the units of FeatureParams, and the volatility."""

    features: Float32Array
    volatility: float


class SampleStepper:
    """The row of `build_sample` at each bar, target apart: features in units, and the trailing volatility."""

    def __init__(self, features: FeatureParams, model: LSTMParams, bar: int) -> None:
        self._features = FeatureStepper(parse_columns(features.columns), bar)
        self.needs = self._features.needs
        relative = [column.kind.relative for column in self._features.columns]
        self._relative = np.array(relative) & (features.units == "volatility")
        self._units = np.ones(len(relative))
        self._model, self._without_base = model, base_columns(model) == 0
        self.reset()

    def reset(self) -> None:
        """Forgets all bars."""
        self._features.reset()
        self._volatility = Volatility(self._model.volatility_bars, LEAST_VOLATILITY)
        self._base = BaseColumns(self._model)

    def step(self, bar: Bar) -> Shown:
        """What is shown at the close of a bar; NaN during the warm-up."""
        row, volatility = self._features.step(bar), self._volatility(bar)
        if volatility != volatility:
            row = np.full(len(row), math.nan)
        self._units[self._relative] = volatility
        shown: FloatArray = row.astype(np.float32) / self._units
        if self._without_base:
            return Shown(shown.astype(np.float32), volatility)
        columns = self._base.step(bar.high, bar.low, bar.close)[None]
        base = relative_columns(columns, np.array([volatility]), self._model)[0]
        return Shown(np.concatenate((shown, base)).astype(np.float32), volatility)


class _Tail:
    """The newest bars as arrays: a window that slides through a buffer of twice its length."""

    def __init__(self, length: int, bar: int, names: Sequence[str]) -> None:
        self._length, self._bar, self._names = length, bar, tuple(names)
        self._values = np.empty((len(COLUMNS) + len(names), 2 * length))
        self._stamps = np.empty(2 * length, dtype=np.int64)
        self._end = 0
        self.count = 0

    def append(self, bar: Bar) -> None:
        if self._length == 0:
            return
        if self._end == 2 * self._length:
            kept = self._length - 1
            self._values[:, :kept] = self._values[:, self._end - kept :]
            self._stamps[:kept] = self._stamps[self._end - kept :]
            self._end = kept
        self._values[:, self._end] = (*bar[2:7], *(bar.known[name] for name in self._names))
        self._stamps[self._end] = bar.timestamp
        self._end += 1
        self.count = min(self.count + 1, self._length)

    def inputs(self, length: int) -> Inputs:
        """The newest `length` bars, or as many as there are."""
        rows = slice(self._end - min(length, self.count), self._end)
        opens, highs, lows, closes, volumes, *joined = self._values[:, rows]
        known = dict(zip(self._names, joined, strict=True))
        return Inputs(
            self._stamps[rows], opens, highs, lows, closes, volumes, self._bar, known, "bars shown one by one"
        )
