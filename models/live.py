"""Live forecaster: one symbol's ensemble as a live process uses it, one finished bar at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from foundation.errors import DataError, suggestion
from markets.candles import FloatArray, duration, utc
from markets.exogenous import Exogenous
from markets.live_series import LiveSeries, Published
from models.calibration import Calibration, CalibrationParams, interval_levels
from models.ensemble import Successors, SymbolModel, make_forecast
from models.features import Float32Array
from models.forecasts import NO_FORECAST, Bar, Forecast
from models.parameters import FeatureParams, LSTMParams
from models.recalibration import Recalibration
from models.recurrence import CellState
from models.stepping import SampleStepper

NO_SERIES: Mapping[str, Sequence[Exogenous]] = MappingProxyType({})


@dataclass
class InputState:
    """The state of the features, and the inputs of the last `replay` bars, which a model that takes over is shown."""

    stepper: SampleStepper
    rows: deque[Float32Array]
    last: int | None = None


@dataclass
class NetworkState:
    """The state of an ensemble: the level of its sigma, its networks side by side, how many bars have warmed them."""

    recalibration: Recalibration
    cells: CellState | None = None
    warmed: int = 0


class LiveForecaster:
    """One symbol's ensemble, asked bar by bar. Three small states: of the inputs, the networks and the calibration.

    Each bar takes the same time, whatever came before. A gap in time, or a bar that is earlier than the
    one before, starts all three afresh; the same bar again is answered as it was. Bars before
    the end of training, and the first `replay` bars with inputs after a fresh start, only warm them.
    `models`: ensembles of the same settings, each with the open of its first
    bar, UTC nanoseconds, from which on it takes over. `series`: what is joined to a bar at its close where the bar
    does not bring it (`Bar.known`), as it is published row by row.
    """

    def __init__(
        self,
        models: Successors,
        features: FeatureParams,
        params: LSTMParams,
        calibration: CalibrationParams | None = None,
        series: Sequence[LiveSeries] = (),
    ) -> None:
        self._models, self._waiting = models, deque(models)
        self._params, self._model = params, models[0][1]
        self._learned = params.output == "quantiles"
        self.inputs = InputState(SampleStepper(features, params, self._model.bar), deque(maxlen=params.replay))
        self._needs = set(self.inputs.stepper.needs)
        self._series = [one for one in series if self._needs & set(one.series.columns)]
        self.networks = NetworkState(Recalibration(self._model, params))
        self.calibration = Calibration(calibration)
        self._answered: tuple[Bar, Forecast] | None = None
        self._start_afresh()

    def step(self, bar: Bar) -> Forecast:
        """The forecast for the bar after `bar`; NO_FORECAST where it is not out of sample, or a state is cold.

        Raises DataError for another bar of the time of the last one, and for bars of another length.
        """
        if self._answered is not None and self._answered[0].timestamp == bar.timestamp:
            return self._again(bar, *self._answered)
        made = self._step(bar)
        self._answered = bar, made
        return made

    def _again(self, bar: Bar, last: Bar, made: Forecast) -> Forecast:
        """The forecast that was made of a bar which a reconnected stream shows once more."""
        if bar[:7] != last[:7]:
            fix = "show each bar once, when it is finished"
            raise DataError(bar.symbol, f"has another bar at {utc(bar.timestamp)}, after that was shown", fix=fix)
        return made

    def _step(self, bar: Bar) -> Forecast:
        self._check_time(bar)
        while self._waiting and bar.timestamp >= self._waiting[0][0]:
            self.swap(self._waiting.popleft()[1])
        shown = self.inputs.stepper.step(self._joined(bar))
        self.calibration.observe(bar)
        self.networks.recalibration.observe(bar)
        if not np.isfinite(shown.features).all():
            return NO_FORECAST
        row = shown.features[None, :]
        members = self._show(row)
        self.inputs.rows.append(row)
        early = bar.timestamp <= self._model.trained_through or bar.timestamp < self._models[0][0]
        if early or self.networks.warmed <= self._params.replay:
            return NO_FORECAST
        made = self.networks.recalibration.recalibrated(make_forecast(members, shown.volatility, self._params))
        return made if self._learned else self._with_interval(made)

    def swap(self, model: SymbolModel) -> None:
        """Lets another ensemble forecast from the next bar on: its networks are shown the inputs of the last bars.

        Its sigma starts at its own level. The other two states go on as they are.
        """
        self._model = model
        self.networks = NetworkState(Recalibration(model, self._params), model.together.fresh_state())
        if self.inputs.rows:
            self._show(np.concatenate(self.inputs.rows))

    def _joined(self, bar: Bar) -> Bar:
        """The bar with what was public at its close of the series that it does not bring itself."""
        if not self._series or self._needs <= bar.known.keys():
            return bar
        known: dict[str, float] = {}
        for one in self._series:
            known |= one.at(bar.timestamp + self._model.bar)
        return bar._replace(known={**known, **bar.known})

    def _check_time(self, bar: Bar) -> None:
        last, length = self.inputs.last, self._model.bar
        self.inputs.last = bar.timestamp
        if last is None or bar.timestamp == last + length:
            return
        if 0 < bar.timestamp - last < length:
            problem = f"has bars of {duration(bar.timestamp - last)}, the model was trained on {duration(length)}"
            raise DataError(bar.symbol, problem, fix="show it candles of that length, or train anew")
        if bar.timestamp < last:
            self._waiting, self._model = deque(self._models), self._models[0][1]
            for one in self._series:
                one.rewind()
        self._start_afresh()

    def _start_afresh(self) -> None:
        self.inputs.stepper.reset()
        self.inputs.rows.clear()
        self.calibration.reset()
        self.swap(self._model)

    def _show(self, features: Float32Array) -> FloatArray:
        """The columns of each member at some rows, (members, rows, columns); moves the networks on."""
        self.networks.warmed += len(features)
        together = self._model.together
        if self.networks.cells is None:
            self.networks.cells = together.fresh_state()
        return together.forecast(features, self.networks.cells)

    def _with_interval(self, made: Forecast) -> Forecast:
        interval = self.calibration.interval(made.mean, made.sigma)
        return made._replace(quantiles=tuple(interval), levels=interval_levels(self.calibration.params))


class LiveForecasters:
    """The live forecasters of several symbols, side by side: a Forecaster.

    `models`: for each symbol its ensembles in the order of time, each with the open of its first bar. `joined`: for
    each symbol the series from outside that its features look at, with the rows that are known already.
    """

    def __init__(
        self, models: Mapping[str, Successors], features: FeatureParams, params: LSTMParams,
        calibration: CalibrationParams | None = None, joined: Mapping[str, Sequence[Exogenous]] = NO_SERIES,
    ) -> None:  # fmt: skip
        self._models, self._features, self._params, self._calibration = models, features, params, calibration
        self._live: dict[str, LiveForecaster] = {}
        self._series = {symbol: [LiveSeries(one) for one in joined.get(symbol, ())] for symbol in models}

    def forecast(self, bar: Bar) -> Forecast:
        """The forecast for the bar after `bar`; NO_FORECAST where there is none yet."""
        if bar.symbol not in self._live:
            self._live[bar.symbol] = LiveForecaster(
                self._models[bar.symbol], self._features, self._params, self._calibration, self._series[bar.symbol]
            )
        return self._live[bar.symbol].step(bar)

    def publish(self, row: Published, symbol: str | None = None) -> None:
        """Hands in a row of a series as it becomes public, for the bars of one symbol, or of all that are joined to it.

        Raises DataError where none is.
        """
        symbols = list(self._series) if symbol is None else [symbol]
        found = [one for name in symbols for one in self._series.get(name, ()) if one.series.name == row.name]
        if not found:
            names = sorted({one.series.name for several in self._series.values() for one in several})
            problem = f"joins no series {row.name} to {symbol or 'any symbol'}"
            raise DataError("live forecaster", problem, fix=suggestion(row.name, names))
        for one in found:
            one.publish(row)

    def reset(self) -> None:
        """Forgets all bars that were shown; what was published stays."""
        self._live.clear()
        for one in (one for several in self._series.values() for one in several):
            one.rewind()
