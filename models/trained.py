"""Trained model: networks ready to forecast bars that came after their training, at once or bar by bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from foundation.errors import DataError, suggestion
from foundation.parallel import run_all
from markets.candles import FloatArray, duration, utc
from markets.market import Market
from models.calibration import with_intervals
from models.features import Float32Array
from models.forecasts import NO_FORECAST, Bar, Forecast, Forecasts, ForecastSeries
from models.network import ForecastNetwork, State
from models.parameters import FeatureParams, LSTMParams
from models.samples import HORIZON, Sample, build_sample
from models.stepping import SampleStepper
from models.training import TrainedNetwork, forecast_means, train_network
from models.walkforward import as_list, member_seeds


@dataclass(frozen=True, eq=False)
class SymbolModel:
    """The ensemble of one symbol: its members, the bar length they know, and the close of the last bar they saw."""

    bar: int
    trained_through: int
    members: tuple[TrainedNetwork, ...]

    @property
    def deviation(self) -> float:
        """The mean deviation of the members' targets; with the trailing volatility it makes sigma."""
        return float(np.mean([member.deviation for member in self.members]))


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """One ensemble per symbol. It forecasts bars later than its training only, and never learns again.

    `forecasts` answers for whole markets; `forecast` is the same, stepped bar by bar (a Forecaster):
    for each symbol it keeps the state of the features and of the networks. A gap
    in time, or a bar that is not later than the one before, starts it afresh. Bars before the end
    of training, and the first `replay` bars with inputs after a fresh start, only warm the state.
    """

    features: FeatureParams
    model: LSTMParams
    symbols: Mapping[str, SymbolModel]
    _steppers: dict[str, _Stepper] = field(default_factory=dict, repr=False)

    def forecasts(self, markets: Market | Sequence[Market]) -> Forecasts:
        """The forecasts for all bars of some markets that are later than the training.

        Raises DataError where a symbol is unknown, the bars have another length, or none is late enough.
        """
        listed = as_list(markets)
        series = {market.symbol: self._series(market) for market in listed}
        return with_intervals(Forecasts(series, "trained LSTM"), listed)

    def forecast(self, bar: Bar) -> Forecast:
        """The forecast for the bar after `bar`; NO_FORECAST where it is not out of sample, or the state is cold."""
        if bar.symbol not in self._steppers:
            self._steppers[bar.symbol] = _Stepper(self._of(bar.symbol), self.features, self.model)
        return self._steppers[bar.symbol].step(bar)

    def reset(self) -> None:
        """Forgets all bars that `forecast` was shown."""
        self._steppers.clear()

    def _of(self, symbol: str) -> SymbolModel:
        if symbol not in self.symbols:
            raise DataError("trained model", f"knows no symbol {symbol}", fix=suggestion(symbol, self.symbols))
        return self.symbols[symbol]

    def _series(self, market: Market) -> ForecastSeries:
        candles, trained = market.candles, self._of(market.symbol)
        if candles.bar != trained.bar:
            problem = f"has bars of {duration(candles.bar)}, the model was trained on {duration(trained.bar)}"
            raise DataError(candles.source, problem, fix="load candles of that length, or train anew")
        sample = build_sample(market, self.features, self.model)
        after = int(np.searchsorted(candles.timestamp, trained.trained_through, side="right"))
        first = max(after, sample.first + self.model.replay)
        if first >= len(candles):
            problem = (
                f"ends at {utc(candles.timestamp[-1])} UTC: no bar is later than the training (through "
                f"{utc(trained.trained_through)} UTC) and has {self.model.replay} bars with inputs before it"
            )
            raise DataError(candles.source, problem, fix="load later candles, and some before them")
        members, sigma = _whole(sample, trained)
        rows = len(candles) - first
        return ForecastSeries(
            timestamp=candles.timestamp[first:],
            mean=members.mean(axis=1)[first:],
            sigma=sigma[first:],
            trained_through=np.full(rows, trained.trained_through, np.int64),
            model=np.zeros(rows, dtype=np.int64),
            members=members[first:],
        )


def train_model(
    markets: Market | Sequence[Market],
    *,
    model: LSTMParams | None = None,
    features: FeatureParams | None = None,
    seeds: int = 3,
    seed: int = 0,
    workers: int | None = None,
) -> TrainedModel:
    """The model trained on the whole span of each market, an ensemble of `seeds` networks per symbol.

    Fit and validation rows lie as far apart as the inputs' memory. Raises DataError that says how many
    bars are needed.
    """
    model, features = model or LSTMParams(), features or FeatureParams()
    listed = as_list(markets)
    samples = [build_sample(market, features, model) for market in listed]
    calls = [
        (sample, len(sample) - HORIZON, HORIZON + sample.memory, features.scaling, model, member)
        for sample in samples
        for member in member_seeds(seed, seeds)
    ]
    symbols = ", ".join(market.symbol for market in listed)
    members = iter(run_all(train_network, calls, f"Training models for {symbols}", workers))
    trained = {
        market.symbol: SymbolModel(
            bar=sample.bar,
            trained_through=int(sample.timestamp[-1]) + sample.bar,
            members=tuple(next(members) for _ in range(seeds)),
        )
        for market, sample in zip(listed, samples, strict=True)
    }
    return TrainedModel(features, model, trained)


def _whole(sample: Sample, trained: SymbolModel) -> tuple[FloatArray, FloatArray]:
    """Each member's mean (rows, members) and sigma, the state run from the first row with inputs; NaN before it."""
    means = np.full((len(trained.members), len(sample)), np.nan)
    for member, row in zip(trained.members, means, strict=True):
        inputs = member.scaler.apply(sample.features[sample.first :])
        row[sample.first :], _ = forecast_means(member.network(), inputs)
    return sample.volatility[:, None] * means.T, sample.volatility * trained.deviation


class _Stepper:
    """One symbol's forecasts, bar by bar: the state of its features and of every network."""

    def __init__(self, trained: SymbolModel, features: FeatureParams, model: LSTMParams) -> None:
        self._trained, self._model = trained, model
        self._networks: list[ForecastNetwork] = [member.network() for member in trained.members]
        self._inputs = SampleStepper(features, model, trained.bar)
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._inputs.reset()
        self._last: int | None = None
        self._states: list[State | None] = [None] * len(self._networks)
        self._warmed = 0

    def step(self, bar: Bar) -> Forecast:
        if self._last is not None:
            passed = bar.timestamp - self._last
            if 0 < passed < self._trained.bar:
                problem = f"has bars of {duration(passed)}, the model was trained on {duration(self._trained.bar)}"
                raise DataError(bar.symbol, problem, fix="show it candles of that length, or train anew")
            if passed != self._trained.bar:
                self._start_afresh()
        self._last = bar.timestamp
        shown = self._inputs.step(bar)
        if not np.isfinite(shown.features).all():
            return NO_FORECAST
        mean = self._mean(shown.features[None, :])
        self._warmed += 1
        if self._warmed <= self._model.replay or bar.timestamp <= self._trained.trained_through:
            return NO_FORECAST
        return Forecast(shown.volatility * mean, shown.volatility * self._trained.deviation)

    def _mean(self, row: Float32Array) -> float:
        means = []
        for number, member in enumerate(self._trained.members):
            inputs = member.scaler.apply(row)
            mean, self._states[number] = forecast_means(self._networks[number], inputs, self._states[number])
            means.append(float(mean[0]))
        return float(np.mean(means))
