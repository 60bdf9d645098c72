"""Pool chain: one model for all markets of a pool, replaced when it drifts in any of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from typing import NamedTuple

from foundation.progress import progress
from models.cache import FoldForecast
from models.drift import Alarm, alarms_of
from models.ensemble import SymbolModel, make_series
from models.fitted import TrainedNetwork
from models.forecasts import ForecastSeries, Retraining
from models.jobs import on_cpu, run_pooled_jobs
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
from models.pooling import PooledFold, check_fold, plan_pool, pool_clock, pool_fold, pool_row, pooled_jobs
from models.samples import Sample
from models.schedule import bars_in, fold_after, left_out_bars
from models.watching import watch_model


class Seen(NamedTuple):
    """An alarm at a row of the common clock, in one market of the pool."""

    row: int
    symbol: str
    alarm: Alarm


class PoolChain:
    """The models of a pool in the order of time, each trained when the one before has drifted in one of its markets.

    `fold`: the next to be trained, None at the end. What came of those before: `parts` and `models` of each symbol,
    what each network made of its first symbol (`results`), and `alarms`.
    """

    def __init__(
        self, samples: dict[str, Sample], model: LSTMParams, features: FeatureParams, walk: WalkForwardParams,
        seeds: Sequence[int],
    ) -> None:  # fmt: skip
        self.samples, self.model, self.features, self.walk, self.seeds = samples, model, features, walk, seeds
        self.fold: PooledFold | None = plan_pool(samples, walk, model)[0]
        self.parts: dict[str, list[ForecastSeries]] = {symbol: [] for symbol in samples}
        self.models: dict[str, list[tuple[int, SymbolModel]]] = {symbol: [] for symbol in samples}
        self.results: list[FoldForecast] = []
        self.alarms: list[Retraining] = []
        self._clock, self._bar = pool_clock(samples)
        memory, lead = max(sample.memory for sample in samples.values()), next(iter(samples.values()))
        self._gap = left_out_bars(walk, self._bar, memory, lead.horizon)

    def run(self, description: str, workers: int | None, cache: bool) -> None:
        """Trains one model after another, until none drifts or no more are allowed."""
        why = "one after another (each lasts until it drifts in one of these)"
        said = f"{on_cpu(description, self.model)}: {why}, rounds at most"
        for _ in progress(self._rounds(workers, cache), said, 1 + self.walk.drift_retrains):
            pass

    def _rounds(self, workers: int | None, cache: bool) -> Iterator[int]:
        before: Sequence[TrainedNetwork | None] | None = None
        while fold := self.fold:
            plan = self.walk, self.features.scaling, self.model, self.seeds
            made = run_pooled_jobs(pooled_jobs(self.samples, [fold], *plan, before), "", workers, cache)
            self.results += [one[0] for one in made]
            before = [one[0].network for one in made] if self.walk.warm_start else None
            self.fold = self._watch(fold, made)
            self._take(fold, made)
            yield fold.fold.number

    def _take(self, pooled: PooledFold, made: Sequence[Sequence[FoldForecast]]) -> None:
        """Lets a model forecast each of its markets until the next one takes over."""
        for number, (symbol, own) in enumerate(zip(pooled.symbols, pooled.own, strict=True)):
            sample, last = self.samples[symbol], own.test_last
            if self.fold is not None:
                begin = pool_row(sample, self._clock, self._bar)
                last = min(last, max(self.fold.fold.test_first - begin, 0))
            rows = last - own.test_first
            if rows <= 0:
                continue
            stamps, volatility = sample.timestamp[own.test_first : last], sample.volatility[own.test_first : last]
            said = [one[number].columns[:rows] for one in made]
            networks = tuple(one[number].network for one in made)
            series = make_series(stamps, volatility, said, self.model, own.trained_through, own.number)
            self.parts[symbol].append(series)
            self.models[symbol].append((int(stamps[0]), SymbolModel(self._bar, own.trained_through, networks)))

    def _watch(self, pooled: PooledFold, made: Sequence[Sequence[FoldForecast]]) -> PooledFold | None:
        """The fold of the model that drift calls for; every alarm up to it is logged, in the order of the clock.

        The first alarm in any market counts for all. Its bar, and no later one of any market, has been seen.
        """
        for seen in merge(*self._alarms(pooled, made), key=lambda one: one.row):
            following = fold_after(pooled.fold, seen.row, self._clock, self._bar, self.walk)
            allowed = pooled.fold.number < self.walk.drift_retrains and following.test_first < len(self._clock)
            after = pool_fold(self.samples, following, self.model, self._gap) if allowed else None
            followed = after is not None and bool(after.symbols)
            if after is not None and followed:
                check_fold(self.samples, after, self.model)
            number = following.number if followed else -1
            alarm, stamp = seen.alarm, int(self._clock[seen.row])
            self.alarms.append(Retraining(seen.symbol, stamp, alarm.detector, alarm.figure, alarm.limit, number))
            if followed:
                return after
        return None

    def _alarms(self, pooled: PooledFold, made: Sequence[Sequence[FoldForecast]]) -> list[Iterator[Seen]]:
        """The alarms of each market of a model, as if it stayed."""
        found = []
        wait = bars_in(self.walk.drift_wait, self._bar, "drift_wait")
        longest = max(rows.check_last - rows.fit_first for rows in pooled.splits)
        for number, (symbol, own, rows) in enumerate(zip(pooled.symbols, pooled.own, pooled.splits, strict=True)):
            if own.test_first < own.test_last:
                sample, networks = self.samples[symbol], [one[number].network for one in made]
                columns = [one[number].columns for one in made]
                settings = self.model, self.features, self.walk
                young = pooled.fold.number > 0 or rows.check_last - rows.fit_first < longest
                watch = watch_model(sample, rows, own, networks, columns, *settings, young=young)
                first = pool_row(sample, self._clock, self._bar) + own.test_first
                alarms = alarms_of(watch, wait, self.walk.drift_delta)
                found.append(_on_clock(symbol, first, alarms))
        return found


def _on_clock(symbol: str, first: int, alarms: Iterator[Alarm]) -> Iterator[Seen]:
    for alarm in alarms:
        yield Seen(first + alarm.row, symbol, alarm)
