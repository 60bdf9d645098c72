"""Live forecaster: one symbol's ensemble as a live process uses it, one finished bar at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from foundation.errors import DataError
from markets.candles import FloatArray, duration
from models.calibration import Calibration, CalibrationParams, interval_levels
from models.ensemble import Successors, SymbolModel, make_forecast
from models.features import Float32Array
from models.forecasts import NO_FORECAST, Bar, Forecast
from models.parameters import FeatureParams, LSTMParams
from models.recurrence import CellState
from models.stepping import SampleStepper


@dataclass
class InputState:
    """The state of the features, and the inputs of the last `replay` bars, which a model that takes over is shown."""

    stepper: SampleStepper
    rows: deque[Float32Array]
    last: int | None = None


@dataclass
class NetworkState:
    """The state of each network of the ensemble, and how many bars have warmed it."""

    cells: list[CellState] = field(default_factory=list)
    warmed: int = 0


class LiveForecaster:
    """One symbol's ensemble, asked bar by bar. Three small states: of the inputs, the networks and the calibration.

    Each bar takes the same time, whatever came before. A gap in time, or a bar that is not later than the
    one before, starts all three afresh. Bars before the end of training, and the first `replay` bars with inputs
    after a fresh start, only warm them. `models`: ensembles of the same settings, each with the open of its first
    bar, UTC nanoseconds, from which on it takes over.
    """

    def __init__(
        self,
        models: Successors,
        features: FeatureParams,
        params: LSTMParams,
        calibration: CalibrationParams | None = None,
    ) -> None:
        self._models, self._waiting = models, deque(models)
        self._params, self._model = params, models[0][1]
        self._learned = params.output == "quantiles"
        self.inputs = InputState(SampleStepper(features, params, self._model.bar), deque(maxlen=params.replay))
        self.networks = NetworkState()
        self.calibration = Calibration(calibration)
        self._start_afresh()

    def step(self, bar: Bar) -> Forecast:
        """The forecast for the bar after `bar`; NO_FORECAST where it is not out of sample, or a state is cold."""
        self._check_time(bar)
        while self._waiting and bar.timestamp >= self._waiting[0][0]:
            self.swap(self._waiting.popleft()[1])
        shown = self.inputs.stepper.step(bar)
        self.calibration.observe(bar)
        if not np.isfinite(shown.features).all():
            return NO_FORECAST
        row = shown.features[None, :]
        members = self._show(row)
        self.inputs.rows.append(row)
        early = bar.timestamp <= self._model.trained_through or bar.timestamp < self._models[0][0]
        if early or self.networks.warmed <= self._params.replay:
            return NO_FORECAST
        made = make_forecast(members, shown.volatility, self._params)
        return made if self._learned else self._with_interval(made)

    def swap(self, model: SymbolModel) -> None:
        """Lets another ensemble forecast from the next bar on: its networks are shown the inputs of the last bars.

        The other two states go on as they are.
        """
        self._model = model
        self.networks = NetworkState([member.fresh_state() for member in model.members])
        if self.inputs.rows:
            self._show(np.concatenate(self.inputs.rows))

    def _check_time(self, bar: Bar) -> None:
        last, length = self.inputs.last, self._model.bar
        self.inputs.last = bar.timestamp
        if last is None or bar.timestamp == last + length:
            return
        if 0 < bar.timestamp - last < length:
            problem = f"has bars of {duration(bar.timestamp - last)}, the model was trained on {duration(length)}"
            raise DataError(bar.symbol, problem, fix="show it candles of that length, or train anew")
        if bar.timestamp <= last:
            self._waiting, self._model = deque(self._models), self._models[0][1]
        self._start_afresh()

    def _start_afresh(self) -> None:
        self.inputs.stepper.reset()
        self.inputs.rows.clear()
        self.calibration.reset()
        self.swap(self._model)

    def _show(self, features: Float32Array) -> list[FloatArray]:
        cells = zip(self._model.members, self.networks.cells, strict=True)
        self.networks.warmed += len(features)
        return [member.forecast(features, state) for member, state in cells]

    def _with_interval(self, made: Forecast) -> Forecast:
        interval = self.calibration.interval(made.mean, made.sigma)
        return made._replace(quantiles=tuple(interval), levels=interval_levels(self.calibration.params))


class LiveForecasters:
    """The live forecasters of several symbols, side by side: a Forecaster.

    `models`: for each symbol its ensembles in the order of time, each with the open of its first bar.
    """

    def __init__(
        self, models: Mapping[str, Successors], features: FeatureParams, params: LSTMParams,
        calibration: CalibrationParams | None = None,
    ) -> None:  # fmt: skip
        self._models, self._features, self._params, self._calibration = models, features, params, calibration
        self._live: dict[str, LiveForecaster] = {}

    def forecast(self, bar: Bar) -> Forecast:
        """The forecast for the bar after `bar`; NO_FORECAST where there is none yet."""
        if bar.symbol not in self._live:
            self._live[bar.symbol] = LiveForecaster(
                self._models[bar.symbol], self._features, self._params, self._calibration
            )
        return self._live[bar.symbol].step(bar)

    def reset(self) -> None:
        """Forgets all bars that were shown."""
        self._live.clear()
