"""Features: what the network is shown at each bar, from the bars up to that one."""

from __future__ import annotations

import inspect
import math
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from foundation.errors import CrossgateError, DataError, ParameterError, suggestion
from markets.candles import Candles, FloatArray, IntArray, utc
from markets.market import Market
from models.inputs import Inputs, as_inputs

Float32Array = npt.NDArray[np.float32]
Compute = TypeVar("Compute", bound=Callable[..., FloatArray])
MAXIMUM_BARS = 5000
# A column of an exogenous series: its name, a dot, and which of its values.
_EXOGENOUS = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class FeatureKind:
    """A feature as it is registered: how it is computed, and how far back it looks.

    `compute(inputs, *periods)` returns one float64 value a bar, from bars up to that bar.
    `warm_up(*periods)`: rows at the start that have no value. `memory(*periods)`: the bars, the
    current one included, that settle a value to 1e-9: over a tail of that length it comes out the
    same as over the whole series. Both raise ValueError for periods that make no sense together.
    `relative`: the values are relative price changes, which grow with volatility. `periods`: their names
    in order, each with its default, or None where it has to be written. `needs`: the joined series it
    looks at (Inputs.series); they may begin later than the candles, and the feature with them.
    `step(*periods)`: a function of one finished bar after another that gives the same values (NaN before the
    first) in a time that does not grow; None where the value is worked out anew over a tail of `memory` bars.
    """

    name: str
    compute: Callable[..., FloatArray]
    warm_up: Callable[..., int]
    memory: Callable[..., int]
    least: int
    relative: bool
    periods: Mapping[str, int | None]
    needs: tuple[str, ...] = ()
    step: Callable[..., Callable[[Any], float]] | None = None

    @property
    def shipped(self) -> bool:
        """Whether it is one of the project's own."""
        return self.compute.__module__.startswith("models.")


@dataclass(frozen=True)
class Column:
    """One column of a feature matrix: a feature with its periods, such as `ema_distance:20`."""

    name: str
    kind: FeatureKind
    periods: tuple[int, ...]

    @property
    def warm_up(self) -> int:
        """Rows at the start that have no value."""
        return self.kind.warm_up(*self.periods)

    @property
    def memory(self) -> int:
        """Bars, the current one included, after which the past no longer matters."""
        return self.kind.memory(*self.periods)

    def run(self, inputs: Inputs) -> FloatArray:
        """What the function of the feature gives, float64, one value a bar; raises DataError where it fails to."""
        try:
            values = np.array(self.kind.compute(inputs, *self.periods), dtype=np.float64)
        except Exception as error:
            if self.kind.shipped or isinstance(error, CrossgateError):
                raise
            problem = f"fails with {type(error).__name__}: {error} ({_place(self.kind.compute, error)})"
            raise DataError(f"feature {self.name}", problem, fix="return one number a bar") from error
        if values.shape != inputs.close.shape:
            raise DataError(
                f"feature {self.name}", f"gave the shape {values.shape} for {len(inputs)} bars", fix="one value a bar"
            )
        return values

    def compute(self, source: Market | Candles | Inputs) -> FloatArray:
        """The value at every bar, float64; NaN during the warm-up. Raises DataError for a hole after it."""
        inputs = as_inputs(source, self.kind.needs)
        values = self.run(inputs)
        first = min(self.warm_up, len(values))
        values[:first] = np.nan
        finite = np.isfinite(values)
        if self.kind.needs:
            first = int(np.argmax(finite)) if finite.any() else first
        if not finite[first:].all():
            row = first + int(np.argmin(finite[first:]))
            problem = f"is {values[row]} at row {row} of {inputs.source}, {utc(inputs.timestamp[row])} UTC"
            fix = "a later start, a longer stale_after or a neutral value" if self.kind.needs else "a longer warm_up"
            raise DataError(f"feature {self.name}", problem, fix=fix)
        return values


def _place(function: Callable[..., Any], error: Exception) -> str:
    """The file and line of a function at which it raised an error, or at which it begins."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return repr(function)
    lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == code.co_filename]
    return f"{code.co_filename}:{lines[-1] if lines else code.co_firstlineno}"


@dataclass(frozen=True, eq=False)
class Features:
    """The feature matrix of a market: `values`, float32, shape (bars, columns), read-only.

    Row t holds what is known at the close of bar t and uses bars up to t only; rows before
    `warm_up` hold NaN. `timestamp`: bar OPEN, UTC nanoseconds.
    """

    timestamp: IntArray
    values: Float32Array
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, periods written out."""
        return tuple(column.name for column in self.columns)

    @property
    def warm_up(self) -> int:
        """Rows at the start in which some column has no value."""
        return longest_warm_up(self.columns)

    @property
    def memory(self) -> int:
        """The longest memory of a column, in bars."""
        return longest_memory(self.columns)


_KINDS: dict[str, FeatureKind] = {}


def feature(
    *,
    warm_up: Callable[..., int],
    memory: Callable[..., int],
    least: int = 2,
    relative: bool = False,
    name: str | None = None,
    needs: Sequence[str] = (),
    step: Callable[..., Callable[[Any], float]] | None = None,
) -> Callable[[Compute], Compute]:
    """The decorator that registers a function of inputs and periods as a feature of its name, or of another.

    Periods are whole numbers from `least` up; those with a default may be left out of a column's
    name. For the other arguments see FeatureKind. The function must look at bars up to its own
    row only: `check_feature` tries that, and the warm-up and memory it declares.

        @feature(warm_up=lambda bars: bars - 1, memory=lambda bars: bars)
        def range_position(inputs, bars=20): ...
    """

    def register(function: Compute) -> Compute:
        called = name or function.__name__
        wanted = list(inspect.signature(function).parameters.values())[1:]
        periods = {one.name: None if one.default is one.empty else int(one.default) for one in wanted}
        _KINDS[called] = FeatureKind(called, function, warm_up, memory, least, relative, periods, tuple(needs), step)
        return function

    return register


def known_kinds() -> Mapping[str, FeatureKind]:
    """Every registered feature by name: those of models/indicators.py, and those that a user added."""
    import models.indicators  # noqa: F401 - importing it registers them

    return dict(_KINDS)


def replace_kinds(kinds: Mapping[str, FeatureKind]) -> None:
    """Makes these the registered features, and no others."""
    kept = dict(kinds)
    _KINDS.clear()
    _KINDS.update(kept)


def parse_column(text: str) -> Column:
    """The column that a text such as "macd:12:26:9" names; raises ParameterError with a suggestion."""
    kinds = known_kinds()
    word, *numbers = text.split(":")
    if _EXOGENOUS.fullmatch(text):
        return Column(text, _exogenous(text), ())
    if word not in kinds:
        raise ParameterError("features.columns", "names no feature", value=text, fix=suggestion(word, kinds))
    kind = kinds[word]
    example = f'write "{":".join([word, *kind.periods])}"'
    defaults = tuple(kind.periods.values())[len(numbers) :]
    if len(numbers) > len(kind.periods) or None in defaults:
        raise ParameterError(
            "features.columns", f"takes {len(kind.periods)} number(s) of bars", value=text, fix=example
        )
    for number in numbers:
        if not (number.isascii() and number.isdigit() and kind.least <= int(number) <= MAXIMUM_BARS):
            problem = f"has a number of bars that is not a whole number from {kind.least} to {MAXIMUM_BARS}"
            raise ParameterError("features.columns", problem, value=text, fix=example)
    periods = (*map(int, numbers), *(bars for bars in defaults if bars is not None))
    try:
        if kind.memory(*periods) <= kind.warm_up(*periods):
            raise ValueError("is registered with a memory that is no longer than its warm_up")
    except ValueError as error:
        raise ParameterError("features.columns", str(error), value=text, fix=example) from None
    return Column(":".join([word, *map(str, periods)]), kind, periods)


def _exogenous(name: str) -> FeatureKind:
    """A series from outside as it stands, such as `fear_greed.index`."""

    def step() -> Callable[[Any], float]:
        return lambda bar: float(bar.known[name])

    return FeatureKind(name, lambda inputs: inputs.series(name), lambda: 0, lambda: 1, 0, False, {}, (name,), step)


def parse_columns(names: Sequence[str]) -> tuple[Column, ...]:
    """The columns that some texts name, in their order."""
    return tuple(parse_column(name) for name in names)


def compute_features(source: Market | Candles | Inputs, columns: Sequence[Column]) -> Features:
    """The feature matrix of a market, or of candles alone. Raises DataError where a feature leaves a hole."""
    inputs = as_inputs(source, needed_series(columns))
    values = np.column_stack([column.compute(inputs) for column in columns]).astype(np.float32)
    values.setflags(write=False)
    return Features(inputs.timestamp, values, tuple(columns))


def needed_series(columns: Sequence[Column]) -> list[str]:
    """The joined series that some columns look at, each once."""
    return list(dict.fromkeys(name for column in columns for name in column.kind.needs))


def longest_warm_up(columns: Sequence[Column]) -> int:
    """Rows at the start in which some column has no value."""
    return max(column.warm_up for column in columns)


def longest_memory(columns: Sequence[Column]) -> int:
    """The longest memory of some columns, in bars."""
    return max(column.memory for column in columns)


def settled(weight: float) -> int:
    """The bars after which an exponential average has forgotten its start to 1e-10 of it.

    `weight` is that of the newest value; the rest shrinks by 1 - weight with each bar.
    """
    return math.ceil(math.log(1e-10) / math.log1p(-weight)) if weight < 1.0 else 1


def ema_memory(bars: int) -> int:
    """The memory of an exponential average over `bars` (weight 2 / (bars + 1))."""
    return bars + settled(2.0 / (bars + 1.0))


def wilder_memory(bars: int) -> int:
    """The memory of Wilder's average over `bars` (weight 1 / bars)."""
    return bars + 1 + settled(1.0 / bars)
