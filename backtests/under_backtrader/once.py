"""Once: Backtrader's indicators worked out over all bars at once, by arrays and compiled code where they have a twin.

A twin gives the same doubles as the loop that Backtrader runs in its place; where it cannot, that loop runs.
"""

from __future__ import annotations

import functools
import operator
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import backtrader as bt
import numpy as np
from backtrader import functions, linebuffer, lineiterator
from backtrader.indicators import basicops

from backtests.under_backtrader.liveness import let_go_after
from backtests.under_backtrader.recurrences import exact_means, last_nonzero, smoothed, window_extremes
from markets.candles import FloatArray

Twin = Callable[[Any, int, int], bool]


def work_out(strategy: Any) -> None:
    """All indicators of a strategy over all bars, as its `_once` does; feeds and indicators are left before bar one.

    Lines inside an indicator do not move with the bars: each is emptied when all that stands on it is known.
    """
    rows, indicators = strategy._clock.buflen(), strategy.getindicators()
    done = let_go_after(indicators)
    for indicator in indicators:
        _once(indicator, done)
    for observer in strategy.getobservers():
        observer.forward(size=rows)
    for moved in (*strategy.datas, *indicators, *strategy.getobservers()):
        moved.home()


def _once(indicator: Any, done: Mapping[int, list[Any]]) -> None:
    kind = type(indicator)._once
    if kind is lineiterator.LineIterator._once:
        _once_of_indicator(indicator, done)
    elif kind is linebuffer.LineActions._once:
        _lengthen(indicator, indicator._clock.buflen())
        indicator.home()
        _fill(indicator)
        indicator.oncebinding()
    else:
        indicator._once()
        for inner in _inside(indicator):
            _let_go(inner, done)
    _let_go(indicator, done)


def _let_go(indicator: Any, done: Mapping[int, list[Any]]) -> None:
    for line in done.get(id(indicator), ()):
        del line.array[:]


def _inside(indicator: Any) -> Iterator[Any]:
    for inner in indicator.getindicators():
        yield from (inner, *_inside(inner))


def _once_of_indicator(indicator: Any, done: Mapping[int, list[Any]]) -> None:
    rows = indicator._clock.buflen()
    for line in indicator.lines.lines:
        _lengthen(line, rows)
    for inner in indicator.getindicators():
        _once(inner, done)
    for moved in (*indicator.datas, *indicator.getindicators(), indicator):
        moved.home()
    _fill(indicator)
    for line in indicator.lines:
        line.oncebinding()


def _lengthen(line: Any, rows: int) -> None:
    line._idx += rows
    line.lencount += rows
    unknown = array("d", [float("nan")]) * rows
    line.array = line.array + unknown if line.array else unknown


def _fill(indicator: Any) -> None:
    """The values of all bars: those of the start by Backtrader, the others by a twin if there is one."""
    least, rows = indicator._minperiod, indicator.buflen()
    indicator.preonce(0, least - 1)
    indicator.oncestart(least - 1, least)
    twin = TWINS.get(type(indicator).once)
    if twin is None or rows <= least or not twin(indicator, least, rows):
        indicator.once(least, rows)


def _line(one: Any) -> FloatArray:
    """The values of a line, or of the first of several, as an array that shares its memory."""
    return np.asarray(one.array, dtype=np.float64)


def _values(one: Any, start: int, end: int) -> FloatArray | float | None:
    """The values of a line, or a number; None for what is neither."""
    if isinstance(one, linebuffer.PseudoArray):
        one = one.wrapped
    if isinstance(one, bt.lineroot.LineRoot):
        return _line(one)[start:end]
    return float(one) if isinstance(one, bool | int | float) else None


def _plain(*parts: FloatArray | float | None) -> bool:
    """Whether all are known and finite, so that sums, extremes and quotients are those of Python."""
    return all(part is not None and bool(np.isfinite(part).all()) for part in parts)


def _window(indicator: Any, start: int, end: int) -> FloatArray:
    """What the windows of the bars from `start` to before `end` hold."""
    return _line(indicator.data)[start - indicator.p.period + 1 : end]


def _average(one: Any, start: int, end: int) -> bool:
    seen = _window(one, start, end)
    if not _plain(seen):
        return False
    _line(one.line)[start:end] = exact_means(seen, one.p.period)
    return True


def _smoothing(one: Any, start: int, end: int) -> bool:
    if not isinstance(one.alpha, float):
        return False
    line = _line(one.line)
    line[start:end] = smoothed(_line(one.data)[start:end], line[start - 1], one.alpha, one.alpha1)
    return True


def _over_window(one: Any, start: int, end: int) -> bool:
    seen, func = _window(one, start, end), one.func
    if func not in (max, min) or not _plain(seen):
        return False
    _line(one.line)[start:end] = window_extremes(seen, one.p.period, func is max)
    return True


def _difference(one: Any, start: int, end: int) -> bool:
    line = _line(one.line)
    line[start:end] = last_nonzero(_line(one.data0)[start:end] - _line(one.data1)[start:end], line[start - 1])
    return True


def _delay(one: Any, start: int, end: int) -> bool:
    if start + one.ago < 0 or isinstance(one.a, linebuffer.PseudoArray):
        return False
    _line(one)[start:end] = _line(one.a)[start + one.ago : end + one.ago].copy()
    return True


# Operators of two doubles that arrays work out to the same bits; division only where no divisor is zero.
_TWO = (
    operator.add, operator.sub, operator.mul, operator.truediv, operator.lt, operator.le, operator.gt, operator.ge,
    operator.eq, operator.ne,
)  # fmt: skip


def _operation(one: Any, start: int, end: int) -> bool:
    first, second = _values(one.a, start, end), _values(one.b, start, end)
    if one.operation not in _TWO or first is None or second is None:
        return False
    if one.operation is operator.truediv and not np.all(second):
        return False
    with np.errstate(all="ignore"):
        _line(one)[start:end] = one.operation(first, second)
    return True


def _own_operation(one: Any, start: int, end: int) -> bool:
    if one.operation not in (operator.neg, operator.abs, abs):
        return False
    _line(one)[start:end] = one.operation(_line(one.a)[start:end])
    return True


def _several(one: Any, start: int, end: int) -> bool:
    """And, Or, Any, All, Max and Min of several lines."""
    parts, kind = [_values(part, start, end) for part in one.args], type(one)
    if len(parts) < 2 or any(part is None for part in parts) or kind not in _FOLDS:
        return False
    if kind in (functions.Max, functions.Min) and not _plain(*parts):
        return False
    _line(one)[start:end] = functools.reduce(_FOLDS[kind], parts)
    return True


_FOLDS: dict[type, Callable[[Any, Any], Any]] = {
    functions.And: np.logical_and,
    functions.All: np.logical_and,
    functions.Or: np.logical_or,
    functions.Any: np.logical_or,
    functions.Max: lambda best, other: np.where(other > best, other, best),
    functions.Min: lambda best, other: np.where(other < best, other, best),
}


def _choice(one: Any, start: int, end: int) -> bool:
    parts = [_values(part, start, end) for part in (one.cond, one.a, one.b)]
    if any(part is None for part in parts):
        return False
    condition, first, second = map(np.asarray, parts)
    _line(one)[start:end] = np.where(condition != 0.0, first, second)
    return True


def _quotient(one: Any, start: int, end: int) -> bool:
    first, second = _line(one.a)[start:end], _line(one.b)[start:end]
    with np.errstate(all="ignore"):
        _line(one)[start:end] = np.where(second != 0.0, first / second, one.zero)
    return True


TWINS: dict[Any, Twin] = {
    basicops.Average.once: _average,
    basicops.ExponentialSmoothing.once: _smoothing,
    basicops.OperationN.once: _over_window,
    bt.indicators.NonZeroDifference.once: _difference,
    linebuffer._LineDelay.once: _delay,
    linebuffer.LinesOperation.once: _operation,
    linebuffer.LineOwnOperation.once: _own_operation,
    functions.MultiLogic.once: _several,
    functions.If.once: _choice,
    functions.DivByZero.once: _quotient,
}
