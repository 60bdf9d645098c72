"""Walk-forward: retrain as time goes on, forecast only what no model has seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foundation.errors import ParameterError
from foundation.parallel import run_all
from markets.candles import duration
from markets.market import Market
from models.cache import FoldForecast, FoldJob, entry_path, read_entry
from models.calibration import with_intervals
from models.ensemble import SymbolModel, make_series
from models.features import needed_series, parse_columns
from models.forecasts import COLUMNS, EXTRAS, Forecasts, ForecastSeries
from models.inputs import input_notes
from models.live import LiveForecasters
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
from models.pooling import PooledJob, plan_pool, pooled_jobs
from models.samples import Sample, build_sample
from models.schedule import Fold, left_out_bars, make_folds, rows_needed


def walk_forward(
    markets: Market | Sequence[Market],
    model: LSTMParams | None = None,
    features: FeatureParams | None = None,
    *,
    walk: WalkForwardParams | None = None,
    seed: int = 0,
    workers: int | None = None,
    cache: bool = True,
    scheme: str | None = None,
    train: str | None = None,
    test: str | None = None,
    seeds: int | None = None,
) -> Forecasts:
    """The out-of-sample forecasts of an LSTM ensemble that is retrained fold by fold, one per symbol or one for all.

    `scheme, train, test, seeds` override fields of `walk`. Every fold and seed is an independent piece
    of work, spread over `workers` processes (all cores by default); the number of them changes nothing.
    With `cache` the forecasts of each are kept on disk under a fingerprint of all they depend on, and a
    second call trains nothing. Raises DataError or ParameterError that says how many bars are needed.

    A row's mean is the mean over seeds; its model saw no bar from the row's own on. Its quantiles are a conformal
    interval around the mean, as wide as the errors of earlier rows say, where the model learns none itself.
    """
    model, features, walk = model or LSTMParams(), features or FeatureParams(), walk or WalkForwardParams()
    overrides = {"scheme": scheme, "train": train, "test": test, "seeds": seeds}
    walk = walk.replaced(**{name: value for name, value in overrides.items() if value is not None})
    listed = as_list(markets)
    seeds_of = member_seeds(seed, walk.seeds)
    if walk.pooled:
        series, results = _walk_pool(listed, model, features, walk, seeds_of, workers, cache)
    else:
        series, results = _walk_alone(listed, model, features, walk, seeds_of, workers, cache)
    notes = _notes(results) + _input_notes(listed, features)
    made_of = Forecasts(
        series, f"{'Pooled ' if walk.pooled else ''}LSTM, {walk.scheme} walk-forward, {walk.seeds} seed(s)", notes
    )
    return made_of if model.output == "quantiles" else with_intervals(made_of, listed)


def _walk_alone(
    markets: list[Market], model: LSTMParams, features: FeatureParams, walk: WalkForwardParams, seeds: list[int],
    workers: int | None, cache: bool,
) -> tuple[dict[str, ForecastSeries], list[FoldForecast]]:  # fmt: skip
    """The forecasts of one model for each symbol, and what each network of each fold made."""
    plans = [plan_folds(market, model, features, walk) for market in markets]
    jobs = [
        _job(sample, fold, walk, features.scaling, model, member)
        for sample, folds in plans
        for fold in folds
        for member in seeds
    ]
    results = _run(jobs, f"Training models for {_symbols(markets)}", workers, cache)
    made = iter(results)
    series = {}
    for market, (sample, folds) in zip(markets, plans, strict=True):
        parts = [_ensemble(sample, fold, [next(made) for _ in seeds], model) for fold in folds]
        series[market.symbol] = _joined(parts)
    return series, results


def _walk_pool(
    markets: list[Market], model: LSTMParams, features: FeatureParams, walk: WalkForwardParams, seeds: list[int],
    workers: int | None, cache: bool,
) -> tuple[dict[str, ForecastSeries], list[FoldForecast]]:  # fmt: skip
    """The forecasts of one model for all symbols, and what each network of each fold made of its first symbol."""
    samples = {market.symbol: build_sample(market, features, model) for market in markets}
    folds = plan_pool(samples, walk, model)
    jobs = pooled_jobs(samples, folds, walk, features.scaling, model, seeds)
    results = iter(_run_pooled(jobs, f"Training one model for {_symbols(markets)}", workers, cache))
    parts: dict[str, list[ForecastSeries]] = {symbol: [] for symbol in samples}
    first: list[FoldForecast] = []
    for one in folds:
        members = [next(results) for _ in seeds]
        first += [made[0] for made in members]
        for number, (symbol, own) in enumerate(zip(one.symbols, one.own, strict=True)):
            if own.test_first < own.test_last:
                parts[symbol].append(_ensemble(samples[symbol], own, [made[number] for made in members], model))
    return {symbol: _joined(made) for symbol, made in parts.items()}, first


def _symbols(markets: Sequence[Market]) -> str:
    return ", ".join(market.symbol for market in markets)


def first_tests(
    markets: Sequence[Market], model: LSTMParams, features: FeatureParams, walk: WalkForwardParams
) -> dict[str, int]:
    """The open of the first bar with a forecast by symbol, UTC nanoseconds; raises what a walk-forward would."""
    if not walk.pooled:
        plans = {market.symbol: plan_folds(market, model, features, walk) for market in markets}
        return {symbol: int(sample.timestamp[folds[0].test_first]) for symbol, (sample, folds) in plans.items()}
    samples = {market.symbol: build_sample(market, features, model) for market in markets}
    found: dict[str, int] = {}
    for one in plan_pool(samples, walk, model):
        for symbol, own in zip(one.symbols, one.own, strict=True):
            if own.test_first < own.test_last:
                found.setdefault(symbol, int(samples[symbol].timestamp[own.test_first]))
    return found


def walk_forward_models(
    markets: Market | Sequence[Market],
    model: LSTMParams | None = None,
    features: FeatureParams | None = None,
    *,
    walk: WalkForwardParams | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> LiveForecasters:
    """The ensembles of a walk-forward, to be asked bar by bar: each takes over at the first bar of its test.

    What they say is what `walk_forward` of the same arguments says, from the same networks. They are trained anew.
    """
    from models.training import train_network

    model, features, walk = model or LSTMParams(), features or FeatureParams(), walk or WalkForwardParams()
    if walk.pooled:
        fix = "train_model(..., pooled=True) steps one set of them"
        raise ParameterError("walk_forward.pooled", "models do not follow each other bar by bar", value=True, fix=fix)
    listed, seeds = as_list(markets), member_seeds(seed, walk.seeds)
    plans = [plan_folds(market, model, features, walk) for market in listed]
    folds = [(sample, fold) for sample, folds in plans for fold in folds]
    jobs = [_job(sample, fold, walk, features.scaling, model, member) for sample, fold in folds for member in seeds]
    calls = [(job.sample, job.last, job.gap, job.scaling, job.params, job.seed, job.key) for job in jobs]
    symbols = ", ".join(market.symbol for market in listed)
    made = iter(run_all(train_network, calls, f"Training models for {symbols}", workers))
    models: dict[str, list[tuple[int, SymbolModel]]] = {}
    for market, (sample, planned) in zip(listed, plans, strict=True):
        models[market.symbol] = [
            (
                int(sample.timestamp[fold.test_first]),
                SymbolModel(sample.bar, fold.trained_through, tuple(next(made) for _ in seeds)),
            )
            for fold in planned
        ]
    return LiveForecasters(models, features, model)


def plan_folds(
    market: Market, model: LSTMParams, features: FeatureParams, walk: WalkForwardParams
) -> tuple[Sample, list[Fold]]:
    """The sample of a market and its folds, before anything trains; raises where there are too few bars."""
    sample = build_sample(market, features, model)
    folds = make_folds(sample.timestamp, sample.bar, walk, sample.memory, sample.source, sample.horizon)
    _check_length(sample, folds[0], walk, model)
    return sample, folds


def as_list(markets: Market | Sequence[Market]) -> list[Market]:
    """One or several markets as a list; raises ParameterError where it is empty or a symbol stands twice."""
    listed = [markets] if isinstance(markets, Market) else list(markets)
    symbols = [market.symbol for market in listed]
    if not listed or len(set(symbols)) < len(symbols):
        raise ParameterError("markets", "should be one market or several of different symbols", value=symbols)
    return listed


def member_seeds(seed: int, count: int) -> list[int]:
    """The seeds of an ensemble's members, spread far apart; more members leave the first ones as they are."""
    if seed < 0:
        raise ParameterError("seed", "should be 0 or above", value=seed)
    return [int(np.random.SeedSequence([seed, member]).generate_state(1)[0]) for member in range(count)]


def _check_length(sample: Sample, fold: Fold, walk: WalkForwardParams, model: LSTMParams) -> None:
    gap = left_out_bars(walk, sample.bar, sample.memory, sample.horizon)
    needed = sample.first + rows_needed(gap, model) + fold.test_first - fold.train_last
    if fold.test_first < needed:
        problem = f"holds {fold.test_first:,} bars of {duration(sample.bar)}, and the model needs {needed:,}"
        parts = f"{sample.first:,} of warm-up, twice {gap:,} of purge and embargo, the rest to fit and to validate"
        fix = "a longer train, a shorter embargo or a smaller model.chunk"
        raise ParameterError("walk_forward.train", f"{problem} ({parts})", value=str(walk.train), fix=fix)


def _notes(results: list[FoldForecast]) -> tuple[str, ...]:
    """What the forecasts of a walk-forward do not show: how many networks training never made better."""
    idle = sum(result.steps == 0 for result in results)
    if not idle:
        return ()
    return (
        f"{idle} of {len(results)} networks were best before any training step on their validation rows: "
        "they forecast by the plain regression (or the zero) that training starts from",
    )


def _input_notes(markets: Sequence[Market], features: FeatureParams) -> tuple[str, ...]:
    """What a reader must know of the series that are joined to the bars, each said once."""
    names = needed_series(parse_columns(features.columns))
    return tuple(dict.fromkeys(note for market in markets for note in input_notes(market, names)))


def _job(sample: Sample, fold: Fold, walk: WalkForwardParams, scaling: str, model: LSTMParams, seed: int) -> FoldJob:
    shown = sample.rows(fold.train_first, fold.test_last)
    gap = left_out_bars(walk, sample.bar, sample.memory, sample.horizon)
    last, test_first = fold.train_last - fold.train_first, fold.test_first - fold.train_first
    return FoldJob(shown, last, gap, test_first, scaling, model, seed)


def _run(jobs: list[FoldJob], description: str, workers: int | None, cache: bool) -> list[FoldForecast]:
    paths: list[Path | None] = [entry_path(job.key) if cache else None for job in jobs]
    made = [
        path and read_entry(path, (len(job.sample) - job.test_first, len(job.params.outputs)))
        for job, path in zip(jobs, paths, strict=True)
    ]
    missing = [row for row, forecast in enumerate(made) if forecast is None]
    if missing:
        from models.training import run_job

        calls = [(jobs[row], paths[row]) for row in missing]
        for row, forecast in zip(missing, run_all(run_job, calls, description, workers), strict=True):
            made[row] = forecast
    return [forecast for forecast in made if isinstance(forecast, FoldForecast)]


def _run_pooled(jobs: list[PooledJob], description: str, workers: int | None, cache: bool) -> list[list[FoldForecast]]:
    made = [job.kept() if cache else None for job in jobs]
    missing = [row for row, forecasts in enumerate(made) if forecasts is None]
    if missing:
        from models.training import run_pooled

        calls = [(jobs[row], jobs[row].entries() if cache else None) for row in missing]
        for row, forecasts in zip(missing, run_all(run_pooled, calls, description, workers), strict=True):
            made[row] = forecasts
    return [forecasts for forecasts in made if forecasts is not None]


def _ensemble(sample: Sample, fold: Fold, members: list[FoldForecast], model: LSTMParams) -> ForecastSeries:
    tested = slice(fold.test_first, fold.test_last)
    columns = [member.columns for member in members]
    return make_series(
        sample.timestamp[tested], sample.volatility[tested], columns, model, fold.trained_through, fold.number
    )


def _joined(parts: list[ForecastSeries]) -> ForecastSeries:
    names = [name for name in (*COLUMNS, *EXTRAS) if getattr(parts[0], name) is not None]
    columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return ForecastSeries(**columns, levels=parts[0].levels)
