"""Walk-forward: retrain as time goes on, forecast only what no model has seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from foundation.errors import ParameterError
from foundation.progress import progress
from markets.candles import duration
from markets.market import Market
from models.cache import FoldForecast, FoldJob
from models.calibration import CalibrationParams, with_intervals
from models.chains import Chain, run_chains
from models.devices import why_gpu_is_idle
from models.drift import drift_notes
from models.ensemble import Ensembles, SymbolModel, make_series
from models.features import needed_series, parse_columns
from models.forecasts import COLUMNS, EXTRAS, Forecasts, ForecastSeries, Retraining
from models.inputs import input_notes
from models.jobs import on_cpu, run_jobs, run_pooled_jobs
from models.live import LiveForecasters
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
from models.pool_chain import PoolChain
from models.pooling import plan_pool, pooled_jobs
from models.proof import proven_sample
from models.recalibration import with_recalibration
from models.samples import Sample
from models.schedule import Fold, left_out_bars, make_folds, rows_needed, split_rows
from models.watching import check_drift


def walk_forward(
    markets: Market | Sequence[Market],
    model: LSTMParams | None = None,
    features: FeatureParams | None = None,
    *,
    walk: WalkForwardParams | None = None,
    seed: int = 0,
    workers: int | None = None,
    cache: bool = True,
    calibration: CalibrationParams | None = None,
    scheme: str | None = None,
    train: str | None = None,
    test: str | None = None,
    seeds: int | None = None,
) -> Forecasts:
    """The out-of-sample forecasts of an LSTM ensemble that is retrained fold by fold, one per symbol or one for all.

    `scheme, train, test, seeds` override fields of `walk`. Every fold and seed is an independent piece
    of work, spread over `workers` processes (all cores by default); the number of them changes nothing. With a
    warm start, or on drift, a fold waits for the one before it: only seeds and markets run side by side then.
    With `cache` the forecasts of each are kept on disk under a fingerprint of all they depend on, and a
    second call trains nothing. Raises DataError or ParameterError that says how many bars are needed.

    A row's mean is the mean over seeds; its model saw no bar from the row's own on. Its quantiles are a conformal
    interval around the mean, as wide as the errors of earlier rows say (`calibration`), where the model learns none.
    """
    model, features = LSTMParams.of(model, "model"), FeatureParams.of(features, "features")
    walk, calibration = WalkForwardParams.of(walk, "walk"), CalibrationParams.of(calibration, "calibration")
    overrides = {"scheme": scheme, "train": train, "test": test, "seeds": seeds}
    walk = walk.replaced(**{name: value for name, value in overrides.items() if value is not None})
    listed = as_list(markets)
    made = _walk(listed, model, features, walk, member_seeds(seed, walk.seeds), workers, cache)
    alarms = tuple(sorted(made.alarms, key=lambda one: (one.symbol, one.timestamp)))
    forecasts = Forecasts(
        {symbol: _joined(parts) for symbol, parts in made.parts.items()},
        _name(walk),
        _notes(made.results, walk, model) + drift_notes(alarms, walk) + _input_notes(listed, features),
        alarms,
        Ensembles(features, model, made.models),
    )
    if model.output == "quantiles":
        return forecasts
    return with_intervals(with_recalibration(forecasts, listed), listed, calibration)


class Walked(NamedTuple):
    """What a walk-forward came to: forecasts and models of each symbol fold by fold, what each network made, alarms.

    Of a pool `results` holds what each network made of its first symbol.
    """

    parts: dict[str, list[ForecastSeries]]
    models: dict[str, list[tuple[int, SymbolModel]]]
    results: list[FoldForecast]
    alarms: list[Retraining]


def _walk(
    markets: list[Market], model: LSTMParams, features: FeatureParams, walk: WalkForwardParams, seeds: list[int],
    workers: int | None, cache: bool,
) -> Walked:  # fmt: skip
    if walk.pooled:
        return _walk_pool(markets, model, features, walk, seeds, workers, cache)
    plans = {market.symbol: plan_folds(market, model, features, walk) for market in markets}
    if walk.sequential:
        chains = [Chain(symbol, *plan, model, features, walk, seeds) for symbol, plan in plans.items()]
        results = run_chains(chains, workers, cache)
        parts, models = ({chain.symbol: getattr(chain, name) for chain in chains} for name in ("parts", "models"))
        return Walked(parts, models, results, [alarm for chain in chains for alarm in chain.alarms])
    jobs = [
        _job(sample, fold, walk, features.scaling, model, member)
        for sample, folds in plans.values()
        for fold in folds
        for member in seeds
    ]
    results = run_jobs(jobs, f"Training models for {_symbols(markets)}", workers, cache)
    made = iter(results)
    walked = Walked({symbol: [] for symbol in plans}, {symbol: [] for symbol in plans}, results, [])
    for symbol, (sample, folds) in plans.items():
        for fold in folds:
            _take(walked, symbol, sample, fold, [next(made) for _ in seeds], model)
    return walked


def _walk_pool(
    markets: list[Market], model: LSTMParams, features: FeatureParams, walk: WalkForwardParams, seeds: list[int],
    workers: int | None, cache: bool,
) -> Walked:  # fmt: skip
    """The forecasts of one model for all symbols; with a warm start the folds follow each other."""
    samples = {market.symbol: proven_sample(market, features, model) for market in markets}
    if walk.retrain == "drift":
        chain = PoolChain(samples, model, features, walk, seeds)
        chain.run(f"Training models for all of {_symbols(markets)}", workers, cache)
        return Walked(chain.parts, chain.models, chain.results, chain.alarms)
    folds = plan_pool(samples, walk, model)
    description, plan = f"Training one model for {_symbols(markets)}", (walk, features.scaling, model, seeds)
    if walk.sequential:
        results: list[list[FoldForecast]] = []
        why = "one after another (each begins at the weights of the one before)"
        for one in progress(folds, f"{on_cpu(description, model)}: {why}, rounds", len(folds)):
            before = [made[0].network for made in results[-len(seeds) :]] or None
            results += run_pooled_jobs(pooled_jobs(samples, [one], *plan, before), "", workers, cache)
    else:
        results = run_pooled_jobs(pooled_jobs(samples, folds, *plan), description, workers, cache)
    made = iter(results)
    walked = Walked({symbol: [] for symbol in samples}, {symbol: [] for symbol in samples}, [], [])
    for one in folds:
        members = [next(made) for _ in seeds]
        walked.results.extend(made[0] for made in members)
        for number, (symbol, own) in enumerate(zip(one.symbols, one.own, strict=True)):
            if own.test_first < own.test_last:
                _take(walked, symbol, samples[symbol], own, [made[number] for made in members], model)
    return walked


def _take(
    walked: Walked, symbol: str, sample: Sample, fold: Fold, members: list[FoldForecast], model: LSTMParams
) -> None:
    """Puts the ensemble of one fold, and what it says of its test, beside those before it."""
    tested = slice(fold.test_first, fold.test_last)
    stamps, columns = sample.timestamp[tested], [member.columns for member in members]
    said = make_series(stamps, sample.volatility[tested], columns, model, fold.trained_through, fold.number)
    networks = tuple(member.network for member in members)
    walked.parts[symbol].append(said)
    walked.models[symbol].append((int(stamps[0]), SymbolModel(sample.bar, fold.trained_through, networks)))


def _name(walk: WalkForwardParams) -> str:
    kind = f"{'Pooled ' if walk.pooled else ''}LSTM, {walk.scheme} walk-forward"
    more = (", retrained on drift" if walk.retrain == "drift" else "") + (", warm start" if walk.warm_start else "")
    return f"{kind}{more}, {walk.seeds} seed(s)"


def _symbols(markets: Sequence[Market]) -> str:
    return ", ".join(market.symbol for market in markets)


def first_tests(
    markets: Sequence[Market], model: LSTMParams, features: FeatureParams, walk: WalkForwardParams
) -> dict[str, int]:
    """The open of the first bar with a forecast by symbol, UTC nanoseconds; raises what a walk-forward would."""
    if not walk.pooled:
        plans = {market.symbol: plan_folds(market, model, features, walk) for market in markets}
        return {symbol: int(sample.timestamp[folds[0].test_first]) for symbol, (sample, folds) in plans.items()}
    samples = {market.symbol: proven_sample(market, features, model) for market in markets}
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
    cache: bool = True,
    calibration: CalibrationParams | None = None,
) -> LiveForecasters:
    """The ensembles of a walk-forward, to be asked bar by bar: each takes over at the first bar of its test.

    What they say is what `walk_forward` of the same arguments says, from the same networks; on drift, those that it led
    to on these bars.
    """
    model, features = LSTMParams.of(model, "model"), FeatureParams.of(features, "features")
    walk, calibration = WalkForwardParams.of(walk, "walk"), CalibrationParams.of(calibration, "calibration")
    listed = as_list(markets)
    made = _walk(listed, model, features, walk, member_seeds(seed, walk.seeds), workers, cache)
    joined = {market.symbol: market.exogenous for market in listed}
    return LiveForecasters(made.models, features, model, calibration, joined)


def plan_folds(
    market: Market, model: LSTMParams, features: FeatureParams, walk: WalkForwardParams
) -> tuple[Sample, list[Fold]]:
    """The sample of a market and its folds, before anything trains; raises where there are too few bars."""
    sample = proven_sample(market, features, model)
    folds = make_folds(sample.timestamp, sample.bar, walk, sample.memory, sample.source, sample.horizon)
    _check_length(sample, folds[0], walk, model)
    gap = left_out_bars(walk, sample.bar, sample.memory, sample.horizon)
    rows = split_rows(sample, folds[0].train_last, gap, model)
    if walk.retrain == "drift":
        check_drift(walk, sample.bar, rows.check_last - rows.fit_first)
    return sample, folds


def as_list(markets: Market | Sequence[Market]) -> list[Market]:
    """One or several markets as a list; raises ParameterError for anything else, and where a symbol stands twice."""
    handed: Any = markets
    listed = list(handed) if isinstance(handed, Iterable) and not isinstance(handed, str) else [handed]
    for one in listed:
        if not isinstance(one, Market):
            fix = "cg.load_market or cg.demo_market makes one"
            raise ParameterError("markets", f"should be a Market, and is a {type(one).__name__}", fix=fix)
    symbols = [market.symbol for market in listed]
    if not listed or len(set(symbols)) < len(symbols):
        raise ParameterError("markets", "should be one market or several of different symbols", value=symbols)
    return listed


def member_seeds(seed: int, count: int) -> list[int]:
    """The seeds of an ensemble's members, spread far apart; more members leave the first ones as they are."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ParameterError("seed", "should be a whole number, 0 or above", value=seed)
    return [int(np.random.SeedSequence([seed, member]).generate_state(1)[0]) for member in range(count)]


def _check_length(sample: Sample, fold: Fold, walk: WalkForwardParams, model: LSTMParams) -> None:
    gap = left_out_bars(walk, sample.bar, sample.memory, sample.horizon)
    needed = sample.first + rows_needed(gap, model) + fold.test_first - fold.train_last
    if fold.test_first < needed:
        problem = f"holds {fold.test_first:,} bars of {duration(sample.bar)}, and the model needs {needed:,}"
        parts = f"{sample.first:,} of warm-up, twice {gap:,} of purge and embargo, the rest to fit and to validate"
        fix = "a longer train, a shorter embargo or a smaller model.chunk"
        raise ParameterError("walk_forward.train", f"{problem} ({parts})", value=str(walk.train), fix=fix)


def _notes(results: list[FoldForecast], walk: WalkForwardParams, model: LSTMParams) -> tuple[str, ...]:
    """What the forecasts of a walk-forward do not show: where networks trained, and how many that never made better."""
    notes = []
    grouped = sum(result.network.device != "cpu" for result in results)
    if grouped:
        how = "equal to those that the CPU trains but for rounding, and not to the bit"
        notes.append(f"{grouped} of {len(results)} networks were trained in groups on a GPU: {how}")
    elif why := why_gpu_is_idle(model):
        notes.append(f"all {len(results)} networks were trained on the CPU one by one, not in groups on a GPU: {why}")
    idle = sum(result.steps == 0 for result in results)
    if idle:
        start = "the plain regression (or the zero) that training starts from"
        if walk.warm_start:
            start = "the plain regression or the network of the model before"
        best = "were best before any training step on their validation rows: they forecast by"
        notes.append(f"{idle} of {len(results)} networks {best} {start}")
    return tuple(notes)


def _input_notes(markets: Sequence[Market], features: FeatureParams) -> tuple[str, ...]:
    """What a reader must know of the series that are joined to the bars, each said once."""
    names = needed_series(parse_columns(features.columns))
    return tuple(dict.fromkeys(note for market in markets for note in input_notes(market, names)))


def _job(sample: Sample, fold: Fold, walk: WalkForwardParams, scaling: str, model: LSTMParams, seed: int) -> FoldJob:
    shown = sample.rows(fold.train_first, fold.test_last)
    gap = left_out_bars(walk, sample.bar, sample.memory, sample.horizon)
    last, test_first = fold.train_last - fold.train_first, fold.test_first - fold.train_first
    return FoldJob(shown, last, gap, test_first, scaling, model, seed)


def _joined(parts: list[ForecastSeries]) -> ForecastSeries:
    names = [name for name in (*COLUMNS, *EXTRAS) if getattr(parts[0], name) is not None]
    columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return ForecastSeries(**columns, levels=parts[0].levels)
