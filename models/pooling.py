"""Pooling: one network trained on the rows of all markets, so that many short histories make a long one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foundation.errors import DataError, ParameterError
from markets.candles import IntArray, duration
from models.cache import FoldJob, network_key
from models.fitted import TrainedNetwork
from models.parameters import LSTMParams, WalkForwardParams
from models.samples import Sample
from models.schedule import Fold, Rows, check_targets, left_out_bars, make_folds
from models.watching import check_drift


@dataclass(frozen=True, eq=False)
class PooledJob:
    """One model of a pooled walk-forward: the work of each symbol, whose rows begin and end at common times.

    `splits`: the rows that fit and validate, for each part; all fit rows lie before all validation rows in time, and
    these before all test rows, with the gap of the whole pool between. `scaling`: whether each symbol has its own
    (`symbol`) or all share one (`pooled`).
    """

    symbols: tuple[str, ...]
    parts: tuple[FoldJob, ...]
    splits: tuple[Rows, ...]
    scaling: str

    @property
    def params(self) -> LSTMParams:
        """The settings of the model."""
        return self.parts[0].params

    @property
    def rows(self) -> list[tuple[Sample, Rows]]:
        """The sample of each part with its rows that fit and validate."""
        return [(part.sample, rows) for part, rows in zip(self.parts, self.splits, strict=True)]

    @property
    def shared(self) -> bool:
        """Whether one scaler, base and deviation serve the rows of all symbols."""
        return self.scaling == "pooled"

    @cached_property
    def network_key(self) -> str:
        """The fingerprint of everything that the network depends on: the training rows of every symbol."""
        return network_key(self)


@dataclass(frozen=True, eq=False)
class PooledFold:
    """One retraining of a pool: the fold on the common clock, and for each symbol that takes part its own rows."""

    fold: Fold
    symbols: tuple[str, ...]
    own: tuple[Fold, ...]
    splits: tuple[Rows, ...]


def plan_pool(samples: dict[str, Sample], walk: WalkForwardParams, model: LSTMParams) -> list[PooledFold]:
    """The folds of a pool, on one clock from the first bar of any market to the last of any.

    Every time limit counts for all symbols alike: no row of any market, and no label, from the embargo before a test on
    trains the model of that test. A market takes part from the first fold on at which it has rows enough to fit and to
    validate. Raises DataError or ParameterError where bars differ, no fold has a market, or a market has no fold; where
    targets or barriers are too few; and where drift is to be watched over more bars than trainings have.
    """
    clock, bar = pool_clock(samples)
    lead = next(iter(samples.values()))
    memory = max(sample.memory for sample in samples.values())
    gap = left_out_bars(walk, bar, memory, lead.horizon)
    planned = [
        pool_fold(samples, fold, model, gap) for fold in make_folds(clock, bar, walk, memory, "markets", lead.horizon)
    ]
    folds = [fold for fold in planned if fold.symbols]
    _check_plan(samples, folds, walk, bar, gap)
    for one in folds:
        check_fold(samples, one, model)
    if walk.retrain == "drift":
        _check_watched(folds[0], walk, bar)
    return folds


def check_fold(samples: Mapping[str, Sample], fold: PooledFold, model: LSTMParams) -> None:
    """Raises, before the model of a fold trains, where its markets know too few targets or reach too few barriers."""
    check_targets([(samples[symbol], rows) for symbol, rows in zip(fold.symbols, fold.splits, strict=True)], model)


def _check_watched(fold: PooledFold, walk: WalkForwardParams, bar: int) -> None:
    """Raises, before the first model trains, what watching it would: of the markets with the most rows to train on."""
    spans = [rows.check_last - rows.fit_first for rows in fold.splits]
    tested = [own.test_first < own.test_last for own in fold.own]
    if any(span == max(spans) and watched for span, watched in zip(spans, tested, strict=True)):
        check_drift(walk, bar, max(spans))


def pool_fold(samples: Mapping[str, Sample], fold: Fold, model: LSTMParams, gap: int) -> PooledFold:
    """A fold of the common clock with the rows of each symbol that has enough of them; `gap`: rows left out."""
    clock, bar = pool_clock(samples)
    first = min(pool_row(sample, clock, bar) + sample.first for sample in samples.values())
    first = max(first, fold.train_first)
    check_first = fold.train_last - round((fold.train_last - first) * model.validation)
    parts = {}
    for symbol, sample in samples.items():
        begin, count = pool_row(sample, clock, bar), len(sample)
        limits = [min(max(row - begin, 0), count) for row in fold[1:5]]
        own = Fold(fold.number, limits[0], limits[1], limits[2], limits[3], fold.trained_through)
        rows = _split(sample, own, check_first - begin, gap)
        if _is_enough(rows, model):
            parts[symbol] = (own, rows)
    owns, splits = zip(*parts.values(), strict=True) if parts else ((), ())
    return PooledFold(fold, tuple(parts), tuple(owns), tuple(splits))


def plan_whole(samples: dict[str, Sample], model: LSTMParams) -> list[Rows]:
    """The fit and validation rows of each market where one model learns from all rows of all of them."""
    clock, bar = pool_clock(samples)
    gap = model.horizon + max(sample.memory for sample in samples.values())
    first = min(pool_row(sample, clock, bar) + sample.first for sample in samples.values())
    last = len(clock) - model.horizon
    check_first = last - round((last - first) * model.validation)
    splits = []
    for symbol, sample in samples.items():
        count = len(sample) - model.horizon
        rows = _split(sample, Fold(0, 0, count, count, count, 0), check_first - pool_row(sample, clock, bar), gap)
        if not _is_enough(rows, model):
            problem = f"has {len(sample):,} bars of {duration(bar)}, too few to fit and to validate with the others"
            raise DataError(symbol, problem, fix=f"more candles of it; {gap:,} lie between fit and validation")
        splits.append(rows)
    check_targets(list(zip(samples.values(), splits, strict=True)), model)
    return splits


def _is_enough(rows: Rows, model: LSTMParams) -> bool:
    fit = rows.fit_last - rows.fit_first
    return fit >= max(model.burn_in + model.chunk, model.replay) and rows.check_first < rows.check_last


def pool_clock(samples: Mapping[str, Sample]) -> tuple[IntArray, int]:
    """The opens of all bars from the first of any market to the last of any, and their length."""
    lead = next(iter(samples.values()))
    for symbol, sample in samples.items():
        if sample.bar != lead.bar or (sample.timestamp[0] - lead.timestamp[0]) % lead.bar:
            problem = f"has bars of {duration(sample.bar)} that do not open with those of the others"
            raise DataError(symbol, problem, fix="pool markets of one bar length and grid")
    start = min(int(sample.timestamp[0]) for sample in samples.values())
    end = max(int(sample.timestamp[-1]) for sample in samples.values())
    return np.arange(start, end + lead.bar, lead.bar, dtype=np.int64), lead.bar


def pool_row(sample: Sample, clock: IntArray, bar: int) -> int:
    """The row of the common clock at which a market begins."""
    return int(sample.timestamp[0] - clock[0]) // bar


def _split(sample: Sample, own: Fold, check_first: int, gap: int) -> Rows:
    """The fit and validation rows of one market, cut at the common times."""
    first = max(own.train_first, sample.first)
    fit_last = min(max(check_first - gap, first), own.train_last)
    # A label that a market's own end cuts off is NaN, and counts nowhere.
    return Rows(first, fit_last, max(check_first, fit_last), own.train_last)


def _check_plan(
    samples: dict[str, Sample], folds: Sequence[PooledFold], walk: WalkForwardParams, bar: int, gap: int
) -> None:
    tested = {
        symbol
        for one in folds
        for symbol, own in zip(one.symbols, one.own, strict=True)
        if own.test_first < own.test_last
    }
    for symbol, sample in samples.items():
        if symbol not in tested:
            problem = f"has {len(sample):,} bars of {duration(bar)}, too few to train and test in any fold of the pool"
            more = f"(purge and embargo take {gap:,}, twice)"
            raise ParameterError(
                "walk_forward.train", f"{symbol} {problem} {more}", value=str(walk.train), fix="more candles of it"
            )


def pooled_jobs(
    samples: dict[str, Sample], folds: Sequence[PooledFold], walk: WalkForwardParams, scaling: str,
    model: LSTMParams, seeds: Sequence[int], before: Sequence[TrainedNetwork | None] | None = None,
) -> list[PooledJob]:  # fmt: skip
    """One job for each fold and seed, in that order; each seed's begins at its network of `before`, if any."""
    jobs = []
    for one in folds:
        for seed, begun in zip(seeds, before or [None] * len(seeds), strict=True):
            parts, splits = [], []
            for symbol, own, rows in zip(one.symbols, one.own, one.splits, strict=True):
                first, shown = own.train_first, samples[symbol].rows(own.train_first, own.test_last)
                gap = rows.check_first - rows.fit_last
                limits = own.train_last - first, gap, own.test_first - first
                parts.append(FoldJob(shown, *limits, scaling, model, seed, begun))
                splits.append(Rows(*(row - first for row in rows)))
            jobs.append(PooledJob(one.symbols, tuple(parts), tuple(splits), walk.pooled_scaling))
    return jobs
