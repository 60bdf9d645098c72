"""Stability: whether a run earned throughout its time, or in one part of it alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from markets.candles import FloatArray, IntArray
from models.provenance import fitted_models
from reports.curves import EquityCurve
from reports.intervals import LEVEL, optimal_block

# Into how many parts of equal length a run is cut, to leave the best of them out.
PIECES = 8
RESAMPLES = 500
# Fewer bars than this have no Sharpe ratio to speak of.
LEAST_BARS = 30


@dataclass(frozen=True)
class Stretch:
    """A part of a run: the open of its first bar (UTC nanoseconds), how many bars, and the return over it.

    `sharpe`: its Sharpe ratio per year; None where its returns do not vary, or are fewer than LEAST_BARS.
    """

    first: int
    bars: int
    total_return: float
    sharpe: float | None


class Fall(NamedTuple):
    """The yearly Sharpe ratio of the later half less that of the earlier, and the range that holds it 95 in 100."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Stability:
    """How evenly a run earned.

    `fall`: None where a half has no Sharpe ratio. `without_best`: the return of the run without the best of its
    PIECES equal parts of time, each return compounded.
    """

    earlier: Stretch
    later: Stretch
    fall: Fall | None
    without_best: float


class Forecasted(Protocol):
    """Rows of forecasts as a ForecastSeries or a Track holds them."""

    @property
    def timestamp(self) -> IntArray:
        """The opens of the bars at whose close the rows were made."""
        ...

    @property
    def trained_through(self) -> IntArray:
        """The close of the last bar that touched the model of a row."""
        ...

    @property
    def model(self) -> IntArray:
        """The number of the model, below zero for a row without a forecast."""
        ...


@dataclass(frozen=True)
class Sampled:
    """Where the forecasts of a run stand to the training of their models.

    `forecasts`: on the bars that were played, over all markets. `inside`: those of them that lie within what their own
    model was trained on. `models`: how many fitted models made them (`fitted_models`).
    """

    forecasts: int
    inside: int
    models: int


def stability_of(curve: EquityCurve) -> Stability:
    """The stability of a run's curve. Equal curves give equal bits."""
    middle, count = len(curve.equity) // 2, len(curve.equity)
    with np.errstate(divide="ignore"):
        logs = np.log(np.maximum(1.0 + curve.returns, 0.0))
    parts = [float(part.sum()) for part in np.array_split(logs, PIECES)]
    best = int(np.argmax(parts))
    return Stability(
        earlier=stretch(curve, 0, middle),
        later=stretch(curve, middle, count),
        fall=_fall(curve, middle),
        without_best=math.expm1(sum(part for k, part in enumerate(parts) if k != best)),
    )


def sampled(series: Iterable[Forecasted], first: int, last: int) -> Sampled:
    """How forecasts on the bars that open from `first` to `last` stand to the training of their models."""
    forecasts, inside, models = 0, 0, 0
    for one in series:
        rows = (one.model >= 0) & (one.timestamp >= first) & (one.timestamp <= last)
        forecasts += int(rows.sum())
        inside += int((one.trained_through[rows] >= one.timestamp[rows]).sum())
        models += len(fitted_models(one.model[rows], one.trained_through[rows]))
    return Sampled(forecasts, inside, models)


def stretch(curve: EquityCurve, begin: int, end: int) -> Stretch:
    """The bars of a curve from row `begin` up to, not including, `end`."""
    if end <= begin:
        return Stretch(int(curve.timestamp[min(begin, len(curve.timestamp) - 1)]), 0, 0.0, None)
    returns = curve.returns[begin:end]
    ratio = bar_sharpe(returns)
    yearly = None if ratio is None else ratio * math.sqrt(curve.bars_per_year)
    return Stretch(int(curve.timestamp[begin]), end - begin, float(np.prod(1.0 + returns)) - 1.0, yearly)


def bar_sharpe(returns: FloatArray) -> float | None:
    """The Sharpe ratio of some returns per bar; None where they do not vary, or are fewer than LEAST_BARS."""
    if len(returns) < LEAST_BARS:
        return None
    deviation = float(returns.std(ddof=1))
    # What equity that grows evenly differs by is rounding.
    return float(returns.mean()) / deviation if deviation > 1e-14 else None


def _fall(curve: EquityCurve, middle: int) -> Fall | None:
    """Both halves are drawn again, each from its own bars, by the stationary bootstrap; percentile interval."""
    from reports.bootstrap import resample_figures

    halves = curve.returns[:middle], curve.returns[middle:]
    ratios = [bar_sharpe(half) for half in halves]
    if ratios[0] is None or ratios[1] is None:
        return None
    block, random = optimal_block(curve.returns), np.random.default_rng(0)
    drawn = [resample_figures(np.ascontiguousarray(half), block, random, RESAMPLES)[:, 0] for half in halves]
    scale = math.sqrt(curve.bars_per_year)
    ends = np.quantile((drawn[1] - drawn[0]) * scale, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return Fall((ratios[1] - ratios[0]) * scale, float(ends[0]), float(ends[1]))
