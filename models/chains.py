"""Chains: models of one market of which each waits for the one before, for its weights or for its drift."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from foundation.errors import ParameterError
from foundation.progress import progress
from markets.candles import FloatArray
from models.cache import FoldForecast, FoldJob
from models.drift import Alarm, Watch, find_drift, stability_index, stability_limits
from models.ensemble import SymbolModel, combine, make_series
from models.fitted import TrainedNetwork
from models.forecasts import ForecastSeries, Retraining
from models.jobs import run_jobs
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
from models.samples import Sample
from models.schedule import Fold, bars_in, fold_after, left_out_bars, split_rows
from models.scores import log_score


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
        columns = [self._forecast(member, fold.test_first, fold.test_last) for member in members]
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

    def _forecast(self, member: TrainedNetwork, first: int, last: int) -> FloatArray:
        """The columns of a network's output at some rows, the state run over `replay` rows before them."""
        warm = max(self.sample.first, first - self.model.replay)
        return member.forecast(self.sample.features[warm:last], member.fresh_state())[first - warm :]

    def _watch(self, fold: Fold, members: Sequence[TrainedNetwork], columns: Sequence[FloatArray]) -> Fold | None:
        """The fold of the model that drift calls for, None where nothing drifts or no more are allowed; logs alarms."""
        watch, since = self._watched(fold, members, columns), 0
        wait = bars_in(self.walk.drift_wait, self.sample.bar, "drift_wait")
        while alarm := find_drift(watch.since(since), wait, self.walk.drift_delta):
            since += alarm.row + 1
            row = fold.test_first + since - 1
            following = fold_after(fold, row, self.sample.timestamp, self.sample.bar, self.walk)
            followed = fold.number < self.walk.drift_retrains and following.test_first < len(self.sample)
            self._log(alarm, row, following.number if followed else -1)
            if followed:
                return following
        return None

    def _watched(self, fold: Fold, members: Sequence[TrainedNetwork], columns: Sequence[FloatArray]) -> Watch:
        """What is watched of a model over all the bars that are left, as each becomes known."""
        rows = split_rows(self._training(), fold.train_last - fold.train_first, self.gap, self.model)
        check = slice(fold.train_first + rows.check_first, fold.train_first + rows.check_last)
        said = [self._forecast(member, check.start, check.stop) for member in members]
        reference = self._scores(said, check)
        realised = np.append(np.nan, self._scores(columns, slice(fold.test_first, fold.test_last))[:-1])
        names = tuple(self.features.columns)
        shown = self.sample.features[:, : len(names)]
        training = shown[fold.train_first + rows.fit_first : check.stop]
        window = drift_window(self.walk, self.sample.bar, len(training))
        return Watch(
            reference[np.isfinite(reference)],
            realised,
            stability_index(training, shown[fold.test_first - window + 1 : fold.test_last], window)[window - 1 :],
            stability_limits(training, window, self.walk.drift_psi),
            names,
        )

    def _scores(self, columns: Sequence[FloatArray], rows: slice) -> FloatArray:
        """The log score of the ensemble's forecast at each row, in trailing volatilities; NaN without an outcome."""
        said = combine(columns, np.ones(len(columns[0])), self.model)
        freedom = said[:, 2] if self.model.output == "student" else None
        return log_score(self.sample.returns[rows].astype(np.float64), said[:, 0], said[:, 1], freedom)

    def _log(self, alarm: Alarm, row: int, model: int) -> None:
        stamp = int(self.sample.timestamp[row])
        self.alarms.append(Retraining(self.symbol, stamp, alarm.detector, alarm.figure, alarm.limit, model))


def drift_window(walk: WalkForwardParams, bar: int, training: int) -> int:
    """The bars of the features' window; raises ParameterError where training does not hold two of them."""
    window = bars_in(walk.drift_window, bar, "drift_window")
    if 2 * window > training:
        problem = f"is {window:,} bars, and the {training:,} rows of a training should hold at least two of them"
        fix = "a shorter one, or a longer walk_forward.train"
        raise ParameterError("walk_forward.drift_window", problem, value=str(walk.drift_window), fix=fix)
    return window


def run_chains(chains: Sequence[Chain], workers: int | None, cache: bool) -> list[FoldForecast]:
    """What training made of every network of every chain. Models follow each other; seeds and markets run side by side.

    How many models there will be is not known on drift: the bar then shows the most there may be.
    """
    walk, made = chains[0].walk, list[FoldForecast]()
    drift = walk.retrain == "drift"
    most = 1 + (walk.drift_retrains if drift else max(len(chain._planned) for chain in chains))
    why = "each lasts until it drifts" if drift else "each begins at the weights of the one before"
    names = ", ".join(chain.symbol for chain in chains)
    description = f"Training models for {names} one after another, for {why}; rounds{', at most' if drift else ''}"
    for results in progress(_rounds(chains, workers, cache), description, most):
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
