"""Features: what the network is shown at each bar, from the bars up to that one."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import talib

from foundation.errors import DataError, ParameterError, suggestion
from markets.candles import Candles, FloatArray, IntArray

Float32Array = npt.NDArray[np.float32]
Compute = TypeVar("Compute", bound=Callable[..., FloatArray])
MAXIMUM_BARS = 5000


@dataclass(frozen=True)
class FeatureKind:
    """A feature as it is registered: how it is computed, and how far back it looks.

    `compute(candles, *periods)` returns one float64 value a bar, from bars up to that bar.
    `warm_up(*periods)`: rows at the start that have no value. `memory(*periods)`: the bars, the
    current one included, that settle a value to 1e-9: over a tail of that length it comes out the
    same as over the whole series. Both raise ValueError for periods that make no sense together.
    `relative`: the values are relative price changes, which grow with volatility. `periods`: their names
    in order, each with its default, or None where it has to be written.
    """

    name: str
    compute: Callable[..., FloatArray]
    warm_up: Callable[..., int]
    memory: Callable[..., int]
    least: int
    relative: bool
    periods: Mapping[str, int | None]


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

    def compute(self, candles: Candles) -> FloatArray:
        """The value at every bar, float64; NaN during the warm-up. Raises DataError for a hole after it."""
        values = np.array(self.kind.compute(candles, *self.periods), dtype=np.float64)
        if values.shape != candles.close.shape:
            raise DataError(
                f"feature {self.name}", f"gave the shape {values.shape} for {len(candles)} bars", fix="one value a bar"
            )
        values[: self.warm_up] = np.nan
        wrong = ~np.isfinite(values[self.warm_up :])
        if wrong.any():
            row = self.warm_up + int(np.argmax(wrong))
            raise DataError(
                f"feature {self.name}",
                f"is {values[row]} at row {row} of {candles.source}",
                fix="a longer warm_up, or mend it",
            )
        return values


@dataclass(frozen=True, eq=False)
class Features:
    """The feature matrix of some candles: `values`, float32, shape (bars, columns), read-only.

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
) -> Callable[[Compute], Compute]:
    """The decorator that registers a function of candles and periods as a feature of its name, or of another.

    Periods are whole numbers from `least` up; those with a default may be left out of a column's
    name. For `warm_up` and `memory` see FeatureKind, as for `relative`. The function must look at bars up to its own
    row only: `tests/test_no_look_ahead.py` shows how to check that.

        @feature(warm_up=lambda bars: bars - 1, memory=lambda bars: bars)
        def range_position(candles, bars=20): ...
    """

    def register(function: Compute) -> Compute:
        called = name or function.__name__
        wanted = list(inspect.signature(function).parameters.values())[1:]
        periods = {one.name: None if one.default is one.empty else int(one.default) for one in wanted}
        _KINDS[called] = FeatureKind(called, function, warm_up, memory, least, relative, periods)
        return function

    return register


def parse_column(text: str) -> Column:
    """The column that a text such as "macd:12:26:9" names; raises ParameterError with a suggestion."""
    word, *numbers = text.split(":")
    if word not in _KINDS:
        raise ParameterError("features.columns", "names no feature", value=text, fix=suggestion(word, _KINDS))
    kind = _KINDS[word]
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


def parse_columns(names: Sequence[str]) -> tuple[Column, ...]:
    """The columns that some texts name, in their order."""
    return tuple(parse_column(name) for name in names)


def compute_features(candles: Candles, columns: Sequence[Column]) -> Features:
    """The feature matrix of some candles. Raises DataError where a feature leaves a hole."""
    values = np.column_stack([column.compute(candles) for column in columns]).astype(np.float32)
    values.setflags(write=False)
    return Features(candles.timestamp, values, tuple(columns))


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


def _windows(values: FloatArray, bars: int) -> FloatArray:
    if len(values) < bars:
        return np.empty((0, bars))
    return np.lib.stride_tricks.sliding_window_view(values, bars)


def _aligned(values: FloatArray, length: int) -> FloatArray:
    return np.concatenate([np.full(length - len(values), np.nan), values])


def _ratio(top: FloatArray, bottom: FloatArray, otherwise: float) -> FloatArray:
    """`top / bottom`, and a stated value where the bottom is zero."""
    result: FloatArray = np.full(top.shape, otherwise)
    np.divide(top, bottom, out=result, where=bottom > 0.0)
    return result


def _scores(values: FloatArray, bars: int) -> FloatArray:
    """The newest value's distance from the mean of its window in deviations; exactly 0 in a constant one."""
    windows = _windows(values, bars)
    centred = windows - windows[:, -1:]
    return _ratio(-centred.mean(axis=1), centred.std(axis=1), 0.0)


@feature(name="return", warm_up=lambda bars: bars, memory=lambda bars: bars + 1, least=1, relative=True)
def log_return(candles: Candles, bars: int) -> FloatArray:
    """Log return over `bars`: log(close_t / close_{t - bars})."""
    logs = np.log(candles.close)
    return _aligned(logs[bars:] - logs[:-bars], len(candles)) if len(candles) > bars else np.full(len(candles), np.nan)


@feature(warm_up=lambda bars: bars - 1, memory=lambda bars: bars, relative=True)
def sma_distance(candles: Candles, bars: int) -> FloatArray:
    """Log distance of the close from its simple average: log(close / SMA)."""
    distance: FloatArray = np.log(candles.close / talib.SMA(candles.close, bars))
    return distance


@feature(warm_up=lambda bars: bars - 1, memory=ema_memory, relative=True)
def ema_distance(candles: Candles, bars: int) -> FloatArray:
    """Log distance of the close from its exponential average: log(close / EMA)."""
    distance: FloatArray = np.log(candles.close / talib.EMA(candles.close, bars))
    return distance


@feature(warm_up=lambda bars: bars, memory=wilder_memory)
def rsi(candles: Candles, bars: int = 14) -> FloatArray:
    """Relative strength index, moved to the range -1 to 1; 0 where the price has stood still."""
    index = talib.RSI(candles.close, bars)
    still = talib.SUM(np.abs(np.diff(candles.close, prepend=candles.close[0])), bars) == 0.0
    return np.where(still & (index == 0.0), 0.0, index / 50.0 - 1.0)


def _macd_warm_up(fast: int, slow: int, signal: int) -> int:
    if fast >= slow:
        raise ValueError("has a fast average that is not shorter than the slow one")
    return slow + signal - 2


def _macd_memory(fast: int, slow: int, signal: int) -> int:
    return ema_memory(max(fast, slow)) + ema_memory(signal)


@feature(warm_up=_macd_warm_up, memory=_macd_memory, relative=True)
def macd(candles: Candles, fast: int = 12, slow: int = 26, signal: int = 9) -> FloatArray:
    """MACD histogram relative to the price: (EMA_fast - EMA_slow - its EMA_signal) / close."""
    histogram: FloatArray = talib.MACD(candles.close, fast, slow, signal)[2] / candles.close
    return histogram


@feature(warm_up=lambda bars: bars, memory=wilder_memory, relative=True)
def atr(candles: Candles, bars: int = 14) -> FloatArray:
    """Wilder's average true range relative to the price: ATR / close."""
    relative: FloatArray = talib.ATR(candles.high, candles.low, candles.close, bars) / candles.close
    return relative


@feature(warm_up=lambda bars: bars - 1, memory=lambda bars: bars)
def bollinger(candles: Candles, bars: int = 20) -> FloatArray:
    """Position between the Bollinger bands: (close - SMA) / (2 deviations), 0 where there is no deviation.

    -1 is the lower band, 1 the upper. Computed here because TA-Lib takes a variance below 1e-14 for
    zero, which it truly is not for a coin that costs 0.00001.
    """
    return _aligned(0.5 * _scores(candles.close, bars), len(candles))


@feature(warm_up=lambda bars: bars - 1, memory=lambda bars: bars, relative=True)
def vwap_distance(candles: Candles, bars: int = 24) -> FloatArray:
    """Log distance of the close from the volume-weighted average of (high + low + close) / 3 over `bars`.

    0 where nothing was traded in any of them.
    """
    typical = (candles.high + candles.low + candles.close) / 3.0
    traded = _windows(candles.volume, bars).sum(axis=1)
    paid = _windows(typical * candles.volume, bars).sum(axis=1)
    close = candles.close[len(candles) - len(traded) :]
    return _aligned(np.log(_ratio(close * traded, paid, 1.0)), len(candles))


@feature(warm_up=lambda bars: bars - 1, memory=lambda bars: bars)
def volume(candles: Candles, bars: int = 24) -> FloatArray:
    """How unusual the volume is: its z-score over `bars`, 0 where all volumes are equal."""
    return _aligned(_scores(candles.volume, bars), len(candles))
