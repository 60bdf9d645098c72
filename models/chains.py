"""Chains: models of one market of which each waits for the one before, for its weights or for its drift."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from foundation.progress import progress
from markets.candles import FloatArray
from models.cache import FoldForecast, FoldJob
from models.drift import Alarm, alarms_of
from models.ensemble import SymbolModel, make_series
from models.fitted import TrainedNetwork
from models.forecasts import ForecastSeries, Retraining
from models.jobs import on_cpu, run_jobs
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
from models.samples import Sample
from models.schedule import Fold, Rows, bars_in, fold_after, left_out_bars, split_rows
from models.watching import forecast_rows, watch_model


class Chain:
    """The models of one market in the order of time, each trained when the one before has been.

    `folds`: those that are known beforehand; on drift that is the first alone. `fold`: the next to be trained, None at
    the end. What came of those before: `parts` and `models`, and of their watching `alarms`.
    """

    def __init__(
        self, symbol: str, sample: Sample, folds: Sequence[Fold], model: LSTMParams, features: FeatureParams,
        walk: WalkForwardParams, seeds: Sequence[int],
    ) -> None:  # fmt: skip
        self.symbol, self.sample, self.model, self.features, self.walk = symbol, sample, model, features, walk
        self.seeds, self.gap = seeds, left_out_bars(walk, sample.bar, sample.memory, sample.horizon)
        self.fold: Fold | None = folds[0]
        self._planned = list(folds[1:])
        self.parts: list[ForecastSeries] = []
        self.models: list[tuple[int, SymbolModel]] = []
        self.alarms: list[Retraining] = []

    def jobs(self) -> list[FoldJob]:
        """The training of each network of the next model; its forecasts are made here, as far as it will last."""
        rows, warm = self._training(), self.walk.warm_start and self.models
        before: Sequence[TrainedNetwork | None] = self.models[-1][1].members if warm else [None] * len(self.seeds)
        scaling, count = self.features.scaling, len(rows)
        return [
            FoldJob(rows, count, self.gap, count, scaling, self.model, seed, one)
            for seed, one in zip(self.seeds, before, strict=True)
        ]

    def take(self, members: Sequence[TrainedNetwork]) -> None:
        """Lets a trained model forecast until the next one takes over, and says which that is."""
        fold = self._next()
        columns = [forecast_rows(self.sample, one, fold.test_first, fold.test_last, self.model) for one in members]
        following = self._planned.pop(0) if self._planned else None
        if self.walk.retrain == "drift":
            following = self._watch(fold, members, columns)
        last = fold.test_last if following is None else following.test_first
        tested, rows = slice(fold.test_first, last), last - fold.test_first
        stamps, volatility = self.sample.timestamp[tested], self.sample.volatility[tested]
        said = [one[:rows] for one in columns]
        self.parts.append(make_series(stamps, volatility, said, self.model, fold.trained_through, fold.number))
        self.models.append((int(stamps[0]), SymbolModel(self.sample.bar, fold.trained_through, tuple(members))))
        self.fold = following

    def _next(self) -> Fold:
        if self.fold is None:
            raise IndexError(f"the chain of {self.symbol} has ended")
        return self.fold

    def _training(self) -> Sample:
        fold = self._next()
        return self.sample.rows(fold.train_first, fold.train_last)

    def _watch(self, fold: Fold, members: Sequence[TrainedNetwork], columns: Sequence[FloatArray]) -> Fold | None:
        """The fold of the model that drift calls for, None where nothing drifts or no more are allowed; logs alarms."""
        rows = split_rows(self._training(), fold.train_last - fold.train_first, self.gap, self.model)
        rows = Rows(*(row + fold.train_first for row in rows))
        watch = watch_model(self.sample, rows, fold, members, columns, self.model, self.features, self.walk)
        wait = bars_in(self.walk.drift_wait, self.sample.bar, "drift_wait")
        for alarm in alarms_of(watch, wait, self.walk.drift_delta):
            row = fold.test_first + alarm.row
            following = fold_after(fold, row, self.sample.timestamp, self.sample.bar, self.walk)
            followed = fold.number < self.walk.drift_retrains and following.test_first < len(self.sample)
            self._log(alarm, row, following.number if followed else -1)
            if followed:
                return following
        return None

    def _log(self, alarm: Alarm, row: int, model: int) -> None:
        stamp = int(self.sample.timestamp[row])
        self.alarms.append(Retraining(self.symbol, stamp, alarm.detector, alarm.figure, alarm.limit, model))


def run_chains(chains: Sequence[Chain], workers: int | None, cache: bool) -> list[FoldForecast]:
    """What training made of every network of every chain. Models follow each other; seeds and markets run side by side.

    How many models there will be is not known on drift: the bar then shows the most there may be.
    """
    walk, made = chains[0].walk, list[FoldForecast]()
    drift = walk.retrain == "drift"
    most = 1 + (walk.drift_retrains if drift else max(len(chain._planned) for chain in chains))
    why = "each lasts until it drifts" if drift else "each begins at the weights of the one before"
    names = ", ".join(chain.symbol for chain in chains)
    description = on_cpu(f"Training models for {names}", chains[0].model)
    said = f"{description}: one after another ({why}), rounds{' at most' if drift else ''}"
    for results in progress(_rounds(chains, workers, cache), said, most):
        made += results
    return made


def _rounds(chains: Sequence[Chain], workers: int | None, cache: bool) -> Iterator[list[FoldForecast]]:
    """One model of every chain that has not ended, until all have."""
    while waiting := [chain for chain in chains if chain.fold is not None]:
        made = run_jobs([job for chain in waiting for job in chain.jobs()], "", workers, cache)
        results = iter(made)
        for chain in waiting:
            chain.take([next(results).network for _ in chain.seeds])
        yield made
