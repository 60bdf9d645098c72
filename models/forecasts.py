"""Forecasts: what a model expected of each next bar, out of sample, and how to ask for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import repeat
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from foundation.errors import DataError, LookAheadError, suggestion
from foundation.fingerprint import fingerprint
from markets.candles import FloatArray, IntArray, utc
from markets.market import Market
from models.inputs import as_inputs, series_names

if TYPE_CHECKING:
    from models.ensemble import Ensembles
    from models.interpretation import Interpretation
    from models.paired import PairedSkill

NOTHING: Mapping[str, float] = MappingProxyType({})


class Bar(NamedTuple):
    """One finished candle, as a forecaster is shown it. `timestamp` is its OPEN, UTC nanoseconds.

    `known`: what is joined to it by name, as public at its close, such as `funding_rate`; may be left out.
    """

    symbol: str
    timestamp: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    known: Mapping[str, float] = NOTHING


class Forecast(NamedTuple):
    """The expected log return of the next bar and its standard deviation; NaN where there is none.

    And what some models say besides, NaN or empty where they do not: `up_probability`, from 0 to 1, that
    prices touch a barrier above before one below; `position`, from -1 (short) to 1 (long); `quantiles` of
    the next log return at the probabilities `levels`.
    """

    mean: float
    sigma: float
    up_probability: float = math.nan
    position: float = math.nan
    quantiles: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()


def checked(answer: Forecast, symbol: str, timestamp: int) -> Forecast:
    """The forecast that was made at the close of the bar that opens at `timestamp`, UTC nanoseconds.

    Raises DataError for a sigma below zero, and for infinities; NaN is none.
    """
    mean, sigma = answer.mean, answer.sigma
    if sigma < 0.0 or math.isinf(mean) or math.isinf(sigma):
        raise impossible(mean, sigma, f"for {symbol} at the bar of {utc(timestamp)} UTC")
    return answer


def impossible(mean: float, sigma: float, where: str) -> DataError:
    """What is said of a forecast that none can be."""
    problem = f"have mean {mean} and sigma {sigma} {where}"
    return DataError("forecasts", problem, fix="both have to be finite and sigma not below 0; NaN where there is none")


class Retraining(NamedTuple):
    """One alarm of a drift detector: what it saw at the close of the bar that opens at `timestamp`, and what it led to.

    `detector`: `likelihood`, or the name of a feature. `figure` went beyond `limit`: for the likelihood the mean rank
    of the forecasts since the likeliest change among those of the validation rows, from 0 (worst) to 1, and what it was
    before; for a feature its population stability index and the highest one allowed. `model`: the number of the model
    that was trained on it, -1 where none was: there had been as many as allowed, or no bar was left to forecast.
    """

    symbol: str
    timestamp: int
    detector: str
    figure: float
    limit: float
    model: int


# The columns of a series: those that every one has, and those that one may have.
COLUMNS = ("timestamp", "mean", "sigma", "trained_through", "model")
EXTRAS = ("members", "degrees_of_freedom", "quantiles", "up_probability", "position")
NO_FORECAST = Forecast(float("nan"), float("nan"))


@runtime_checkable
class Forecaster(Protocol):
    """Anything that, shown each finished bar in turn, says what it expects of the next one."""

    def forecast(self, bar: Bar) -> Forecast:
        """The forecast for the bar after `bar`, made at the close of `bar`."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Extras:
    """What forecasts may say besides mean and sigma, a row each, by keyword; each None where they do not.

    `members`, shape (rows, seeds): the mean of each network of an ensemble. `degrees_of_freedom`, shape (rows,): of a
    Student t whose standard deviation is sigma (above 2); None, or infinity in a row, is a Gaussian. `quantiles`, shape
    (rows, levels): of the next return at the probabilities `levels`, which rise; NaN in rows without.
    `up_probability` and `position`, shape (rows,): as in Forecast.
    """

    members: FloatArray | None = None
    degrees_of_freedom: FloatArray | None = None
    levels: tuple[float, ...] = ()
    quantiles: FloatArray | None = None
    up_probability: FloatArray | None = None
    position: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class ForecastSeries(Extras):
    """The forecasts for one symbol; row k was made at the close of the bar that opens at `timestamp[k]`.

    `mean`: expected log return of the NEXT bar. `sigma`: its standard deviation; both NaN where there is none. Where
    sigma is 0 no size or distance can rest on it. Raises DataError where it is below 0, or one of them is infinite.
    `trained_through`: the close of the last bar that touched the model of that row in ANY way
    (label, early stopping, scaling), UTC nanoseconds; raises LookAheadError where it is not earlier
    than the row. `model`: the number of the model (fold) that made the row.
    """

    timestamp: IntArray
    mean: FloatArray
    sigma: FloatArray
    trained_through: IntArray
    model: IntArray

    def __post_init__(self) -> None:
        rows = len(self.timestamp)
        for name in COLUMNS:
            array = np.array(getattr(self, name), dtype=float if name in ("mean", "sigma") else np.int64)
            if array.shape != (rows,):
                raise DataError("forecasts", f"column {name} has {array.size} rows, timestamp has {rows}")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        for name in EXTRAS:
            if getattr(self, name) is not None:
                array = np.array(getattr(self, name), dtype=float)
                if len(array) != rows:
                    raise DataError("forecasts", f"{name} have {len(array)} rows, timestamp has {rows}")
                array.setflags(write=False)
                object.__setattr__(self, name, array)
        wrong = np.isinf(self.mean) | np.isinf(self.sigma) | (self.sigma < 0.0)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise impossible(self.mean[row], self.sigma[row], f"at {utc(self.timestamp[row])} UTC (row {row})")
        self._check_extras()
        if (np.diff(self.timestamp) <= 0).any():
            raise DataError("forecasts", "are not in rising time order without duplicates")
        seen = self.timestamp <= self.trained_through
        if seen.any():
            row = int(np.argmax(seen))
            raise LookAheadError(
                f"forecast for {utc(self.timestamp[row])} UTC comes from a model that was trained through "
                f"{utc(self.trained_through[row])} UTC; a forecast must be later than all that touched its model"
            )

    def __len__(self) -> int:
        return len(self.timestamp)

    def _check_extras(self) -> None:
        freedom, quantiles = self.degrees_of_freedom, self.quantiles
        if freedom is not None and not (freedom > 2.0).all():
            raise DataError("forecasts", "hold degrees of freedom that are not above 2", fix="sigma must exist")
        if (quantiles is None) != (not self.levels) or (
            quantiles is not None and quantiles.shape != (len(self), len(self.levels))
        ):
            raise DataError("forecasts", "need one column of quantiles for each of their levels")
        if quantiles is not None and ((np.diff(self.levels) <= 0.0).any() or (np.diff(quantiles, axis=1) < 0.0).any()):
            raise DataError("forecasts", "hold levels or quantiles that do not rise from left to right")


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Forecasts for one or several symbols, keyed by symbol and timestamp, never by position.

    They are a Forecaster themselves: `forecast(bar)` looks the bar up and answers NO_FORECAST for
    a bar they do not hold. `name` says what made them, `notes` what a reader must know of them, for reports.
    `retrainings`: every alarm of drift, in the order of time for each symbol. `ensembles`: the networks that made them,
    where they are at hand. `interpretations`: what these rest on, and `worth`: what retraining was worth, for each
    market for which that was worked out; `worth_note`: why not, or which ways to retrain were left out.
    """

    series: Mapping[str, ForecastSeries]
    name: str = "forecasts"
    notes: tuple[str, ...] = ()
    retrainings: tuple[Retraining, ...] = ()
    ensembles: Ensembles | None = field(default=None, repr=False)
    interpretations: tuple[Interpretation, ...] = field(default=(), repr=False)
    worth: tuple[PairedSkill, ...] = field(default=(), repr=False)
    worth_note: str = field(default="", repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of every value in every series."""
        parts: list[object] = []
        for symbol, one in sorted(self.series.items()):
            parts += [symbol, *(getattr(one, name) for name in COLUMNS)]
            parts += [part for name in EXTRAS if (part := getattr(one, name)) is not None]
            parts += one.levels
        return fingerprint(*parts)

    @property
    def start(self) -> int:
        """The open of the first bar at which every symbol has a forecast, UTC nanoseconds."""
        return max(int(one.timestamp[0]) for one in self.series.values())

    def on(self, market: Market) -> tuple[FloatArray, FloatArray]:
        """Mean and sigma on the market's candles; NaN at bars without a forecast."""
        return self.column(market, "mean"), self.column(market, "sigma")

    def column(self, market: Market, name: str) -> FloatArray:
        """One column of a ForecastSeries on the market's candles; NaN at bars without a forecast or without it."""
        one = self._of(market.symbol)
        stamps, values = market.candles.timestamp, getattr(one, name)
        if values is None:
            return np.full(len(stamps), np.nan)
        begin, end = np.searchsorted(one.timestamp, (stamps[0], stamps[-1] + 1))
        first = int(np.searchsorted(stamps, one.timestamp[min(begin, len(one) - 1)]))
        if np.array_equal(stamps[first : first + end - begin], one.timestamp[begin:end]):
            column = np.full(len(stamps), np.nan)
            column[first : first + end - begin] = values[begin:end]
            return column
        at = np.minimum(np.searchsorted(one.timestamp, stamps), len(one) - 1)
        return np.where(one.timestamp[at] == stamps, values[at], np.nan)

    def forecast(self, bar: Bar) -> Forecast:
        """The forecast made at the close of this bar, or NO_FORECAST."""
        row = self._rows.get((bar.symbol, bar.timestamp))
        return NO_FORECAST if row is None else row

    @cached_property
    def _rows(self) -> dict[tuple[str, int], Forecast]:
        rows: dict[tuple[str, int], Forecast] = {}
        for symbol, one in self.series.items():
            none = [math.nan] * len(one)
            extras = [none if values is None else values.tolist() for values in (one.up_probability, one.position)]
            quantiles = [()] * len(one) if one.quantiles is None else [tuple(row) for row in one.quantiles.tolist()]
            columns = zip(one.mean.tolist(), one.sigma.tolist(), *extras, quantiles, strict=True)
            made = [Forecast._make((*row, one.levels)) for row in columns]
            rows.update(((symbol, stamp), row) for stamp, row in zip(one.timestamp.tolist(), made, strict=True))
        return rows

    def _of(self, symbol: str) -> ForecastSeries:
        if symbol not in self.series:
            raise DataError("forecasts", f"hold none for {symbol}", fix=suggestion(symbol, self.series))
        return self.series[symbol]


def cut_forecasts(forecasts: Forecasts, first: int, last: int) -> Forecasts:
    """The forecasts made at bars that open from `first` up to and including `last`, UTC nanoseconds."""
    series = {}
    for symbol, one in forecasts.series.items():
        held = (one.timestamp >= first) & (one.timestamp <= last)
        columns = {name: getattr(one, name)[held] for name in (*COLUMNS, *EXTRAS) if getattr(one, name) is not None}
        series[symbol] = replace(one, **columns)
    return replace(forecasts, series=series, ensembles=None)


def no_forecasts(markets: Sequence[Market]) -> Forecasts:
    """Forecasts that say nothing: of each market a row of no model at its first bar."""
    series = {}
    for one in markets:
        stamp, none = one.candles.timestamp[:1], np.array([math.nan])
        series[one.symbol] = ForecastSeries(stamp, none, none, stamp - 1, np.array([-1]))
    return Forecasts(series, "none")


def collect_forecasts(
    forecaster: Forecaster, markets: Market | Sequence[Market], name: str = "forecaster"
) -> Forecasts:
    """The forecasts of any forecaster, shown the bars of all markets in the order of time: it sees no later one.

    Each row counts as trained through the bar before it: a forecaster may learn as it goes.
    Bars for which it answers NaN are left out. Raises DataError when it never answers for a market, or
    answers what no forecast can be: infinities, or a sigma below zero.
    """
    listed = [markets] if isinstance(markets, Market) else list(markets)
    bars = [bar for market in listed for bar in market_bars(market)]
    # Bars that open together are shown in the order of the markets; the sort is stable.
    bars.sort(key=lambda bar: bar.timestamp)
    answers: dict[str, list[tuple[int, Forecast]]] = {market.symbol: [] for market in listed}
    for bar in bars:
        answer = checked(read_answer(forecaster.forecast(bar), bar), bar.symbol, bar.timestamp)
        if math.isfinite(answer.mean) and math.isfinite(answer.sigma):
            answers[bar.symbol].append((bar.timestamp, answer))
    return Forecasts({symbol: _collected(symbol, rows, name) for symbol, rows in answers.items()}, name)


def read_answer(answer: Any, bar: Bar) -> Forecast:
    """What a forecaster answered; raises DataError for anything but numbers in the order of Forecast."""
    try:
        mean, sigma, *more = answer
        return Forecast(float(mean), float(sigma), *more)
    except (TypeError, ValueError):
        where = f"for {bar.symbol} at the bar of {utc(bar.timestamp)} UTC"
        problem = f"the method forecast(bar) answered {answer!r:.60} {where}"
        fix = "answer with (mean, sigma), two numbers, NaN where there is none, or with a Forecast"
        raise DataError("forecasts", problem, fix=fix) from None


def _collected(symbol: str, rows: list[tuple[int, Forecast]], name: str) -> ForecastSeries:
    """The series of the answers for one symbol, with what all of them said."""
    if not rows:
        raise DataError(name, f"gave no finite forecast for any bar of {symbol}")
    stamps = np.array([stamp for stamp, _ in rows], dtype=np.int64)
    answers = [answer for _, answer in rows]
    plain = {field: np.array([getattr(answer, field) for answer in answers]) for field in Forecast._fields[:4]}
    said = {field: values for field, values in plain.items() if np.isfinite(values).all()}
    levels = answers[0].levels
    if levels and all(answer.levels == levels for answer in answers):
        said["quantiles"] = np.array([answer.quantiles for answer in answers])
    more: dict[str, Any] = {**said, "levels": levels if "quantiles" in said else ()}
    through, model = stamps - 1, np.zeros(len(rows), np.int64)
    return ForecastSeries(timestamp=stamps, trained_through=through, model=model, **more)


def market_bars(market: Market, names: Sequence[str] | None = None) -> Iterator[Bar]:
    """The bars of a market one by one, with the joined series of some names, by default with all it has."""
    names = series_names(market) if names is None else names
    inputs = as_inputs(market, names)
    columns = [getattr(inputs, name).tolist() for name in ("timestamp", "open", "high", "low", "close", "volume")]
    joined = zip(*(inputs.known[name].tolist() for name in names), strict=True) if names else repeat(())
    for (stamp, *prices), values in zip(zip(*columns, strict=True), joined, strict=False):
        opened, high, low, close, volume = prices
        known = dict(zip(names, values, strict=True)) if names else NOTHING
        yield Bar(market.symbol, stamp, opened, high, low, close, volume, known)
