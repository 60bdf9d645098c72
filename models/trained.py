"""Trained model: networks ready to forecast bars that came after their training, at once or bar by bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from foundation.errors import DataError, suggestion
from markets.candles import FloatArray, duration, utc
from markets.exogenous import Exogenous
from markets.live_series import Published
from markets.market import Market
from models.cache import FoldJob
from models.calibration import CalibrationParams, with_intervals
from models.ensemble import Ensembles, SymbolModel, make_series
from models.fitted import TrainedNetwork
from models.forecasts import Bar, Forecast, Forecasts, ForecastSeries
from models.jobs import train_jobs
from models.live import NO_SERIES, LiveForecasters
from models.parameters import FeatureParams, LSTMParams
from models.pooling import PooledJob, plan_whole
from models.proof import proven_sample
from models.recalibration import with_recalibration
from models.samples import Sample, build_sample
from models.walkforward import as_list, member_seeds


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """One ensemble per symbol. It forecasts bars later than its training only, and never learns again.

    `forecasts` answers for whole markets; `forecast` is the same, stepped bar by bar (a Forecaster):
    see LiveForecaster. `calibration` says how intervals are made, `joined` which series from outside are joined to the
    bars of a symbol that do not bring them, with the rows known so far; neither is part of what is saved.
    """

    features: FeatureParams
    model: LSTMParams
    symbols: Mapping[str, SymbolModel]
    calibration: CalibrationParams | None = None
    joined: Mapping[str, Sequence[Exogenous]] = field(default_factory=lambda: NO_SERIES)

    @cached_property
    def _live(self) -> LiveForecasters:
        models = {symbol: ((0, one),) for symbol, one in self.symbols.items()}
        return LiveForecasters(models, self.features, self.model, self.calibration, self.joined)

    def joining(self, *markets: Market) -> TrainedModel:
        """The same model, with the series that are joined to some markets, for `forecast` bar by bar."""
        return replace(self, joined={**self.joined, **{market.symbol: market.exogenous for market in markets}})

    def publish(self, row: Published, symbol: str | None = None) -> None:
        """Hands in a row of a joined series as it becomes public; see LiveForecasters."""
        self._live.publish(row, symbol)

    def forecasts(self, markets: Market | Sequence[Market]) -> Forecasts:
        """The forecasts for all bars of some markets that are later than the training.

        Raises DataError where a symbol is unknown, the bars have another length, or none is late enough.
        """
        listed = as_list(markets)
        series = {market.symbol: self._series(market) for market in listed}
        models = {symbol: ((int(one.timestamp[0]), self.symbols[symbol]),) for symbol, one in series.items()}
        made = Forecasts(series, "trained LSTM", ensembles=Ensembles(self.features, self.model, models))
        if self.model.output == "quantiles":
            return made
        return with_intervals(with_recalibration(made, listed), listed, self.calibration)

    def forecast(self, bar: Bar) -> Forecast:
        """The forecast for the bar after `bar`; NO_FORECAST where it is not out of sample, or the state is cold."""
        self._of(bar.symbol)
        return self._live.forecast(bar)

    def reset(self) -> None:
        """Forgets all bars that `forecast` was shown."""
        self._live.reset()

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
        members = [_columns(member, sample)[first:] for member in trained.members]
        volatility, through = sample.volatility[first:], trained.trained_through
        return make_series(candles.timestamp[first:], volatility, members, self.model, through, 0)


def train_model(
    markets: Market | Sequence[Market],
    *,
    model: LSTMParams | None = None,
    features: FeatureParams | None = None,
    seeds: int = 3,
    seed: int = 0,
    workers: int | None = None,
    pooled: bool = False,
    pooled_scaling: str = "symbol",
) -> TrainedModel:
    """The model trained on the whole span of each market, an ensemble of `seeds` networks per symbol.

    `pooled`: the same networks for all, trained on the rows of all; see WalkForwardParams. Fit and validation rows lie
    as far apart as the inputs' memory. Raises DataError that says how many bars are needed.
    A training that was killed goes on from its last checkpoint.
    """
    model, features = LSTMParams.of(model, "model"), FeatureParams.of(features, "features")
    samples = {market.symbol: proven_sample(market, features, model) for market in as_list(markets)}
    chosen, names = member_seeds(seed, seeds), ", ".join(samples)
    if pooled:
        members = _train_pool(samples, pooled_scaling, features.scaling, model, chosen, workers, names)
    else:
        jobs = [
            FoldJob(
                sample, len(sample) - model.horizon, model.horizon + sample.memory, len(sample),
                features.scaling, model, member,
            )
            for sample in samples.values()
            for member in chosen
        ]  # fmt: skip
        made = train_jobs(jobs, f"Training models for {names}", workers)
        networks = [one for (one,) in made]
        members = [tuple(networks[k * seeds : (k + 1) * seeds]) for k in range(len(samples))]
    ends = {symbol: int(sample.timestamp[-1]) + sample.bar for symbol, sample in samples.items()}
    through = {symbol: max(ends.values()) if pooled else end for symbol, end in ends.items()}
    trained = {
        symbol: SymbolModel(sample.bar, through[symbol], one)
        for (symbol, sample), one in zip(samples.items(), members, strict=True)
    }
    return TrainedModel(features, model, trained, joined={one.symbol: one.exogenous for one in as_list(markets)})


def _train_pool(
    samples: Mapping[str, Sample], shared: str, scaling: str, model: LSTMParams, seeds: Sequence[int],
    workers: int | None, names: str,
) -> list[tuple[TrainedNetwork, ...]]:  # fmt: skip
    """The networks of each symbol, trained on the rows of all."""
    splits = tuple(plan_whole(dict(samples), model))
    jobs = []
    for seed in seeds:
        parts = [FoldJob(one, len(one) - model.horizon, 1, len(one), scaling, model, seed) for one in samples.values()]
        jobs.append(PooledJob(tuple(samples), tuple(parts), splits, shared))
    made = train_jobs(jobs, f"Training one model for {names}", workers)
    return list(zip(*made, strict=True))


def _columns(member: TrainedNetwork, sample: Sample) -> FloatArray:
    """The columns of a network's output at every row, the state run from the first row with inputs; NaN before it."""
    columns = np.full((len(sample), len(member.params.outputs)), np.nan)
    columns[sample.first :] = member.forecast(sample.features[sample.first :], member.fresh_state())
    return columns
