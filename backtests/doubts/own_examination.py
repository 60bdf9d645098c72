"""The examination of a strategy written by hand: all that can be asked of orders that nobody but the strategy gives."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from backtests.doubts.controls import RANDOM_RUNS, Controls
from backtests.doubts.distance import ATR_BARS, measure_distance
from backtests.doubts.examination import SEED, Examination
from backtests.doubts.own_playback import check_same, measure_own_sensitivity, outcome_of_tables
from backtests.doubts.playback import Playback, make_playback
from backtests.doubts.resampling import block_order, resampled_forecasts, resampled_market
from backtests.doubts.ruin import FALL, HORIZON_BARS, PATHS, Odds, RuinOdds
from backtests.doubts.simpler import Baseline, play_baselines
from backtests.doubts.turned import measure_turned
from backtests.run.own_run import OwnRun
from backtests.run.result import Result
from foundation.errors import CrossgateError, DataError
from foundation.progress import progress
from markets.candles import FloatArray
from models.forecasts import Forecasts, ForecastSeries
from strategies.parameters import CrossoverParams, RiskParams

HOLDING = RiskParams(sizing="leverage", leverage=1.0, stop_loss=None, take_profit=None)


def examine_own(result: Result, *, runs: int = RANDOM_RUNS, paths: int = PATHS, seed: int = SEED) -> Examination:
    """The examination of a run by a strategy written by hand, which is played again some dozens of times.

    Luck turns its positions in time (`measure_turned`); assumptions and ruin play the strategy again on the same market
    and on markets drawn from it. What needs to know the parts of a strategy is left out: attribution, permuted
    forecasts, other leverages, stops beyond liquidation. Raises DataError for a strategy that does not come to the
    same twice.
    """
    if result.own is None:
        raise DataError(result.name, "was not played by a strategy written by hand")
    check_same(result)
    equity, cash, year = result.equity["equity"].to_numpy(), result.account.cash, result.markets[0].bars_per_year
    ours = outcome_of_tables(equity, result.fills, cash, year)
    luck = measure_turned(result, result.own, runs=runs, seed=seed)
    simpler = {"buy and hold": holding(result).play()}
    return Examination(
        controls=Controls(ours, luck.held, simpler, luck, None),
        attribution=None,
        sensitivity=measure_own_sensitivity(result),
        odds=own_odds(result.own, paths=paths, seed=seed),
        stops=None,
        distances=tuple(measure_distance(result.markets, result.positions, result.equity, ATR_BARS)),
    )


def holding(result: Result) -> Playback:
    """The playback of buy and hold on the markets, account and costs of a run, from the first bar that counts."""
    strategy = CrossoverParams(rule="buy_and_hold")
    said = {}
    for market in result.markets:
        stamp = np.array([result.start])
        said[market.symbol] = ForecastSeries(stamp, np.zeros(1), np.ones(1), stamp - 1, np.zeros(1, dtype=np.int64))
    return make_playback(result.markets, Forecasts(said, "none"), strategy, HOLDING, result.account, result.costs)


def own_baselines(result: Result) -> dict[str, Baseline]:
    """Buy and hold beside a run, as the kernel plays it; none where it cannot."""
    try:
        return {"buy and hold": play_baselines(holding(result))["buy and hold"]}
    except CrossgateError:
        return {}


def own_odds(run: OwnRun, *, paths: int = PATHS, seed: int = SEED) -> RuinOdds:
    """The odds of liquidation and of a fall by half, by playing the strategy on markets drawn from the bars of its run.

    The bars are drawn in blocks (`block_order`, of the square root of their number in the mean), each with its moves,
    funding, flags and forecasts, and follow on the bars before the first that counts; stamps run on. So the strategy
    sees other prices and gives other orders. Finer candles and series from outside are left out. For a year or as long
    as the run was, whichever is shorter. Equal arguments give equal bits.
    """
    random, count = np.random.default_rng(seed), len(run.markets[0].candles) - run.first
    bars = min(count, math.ceil(run.markets[0].bars_per_year), HORIZON_BARS)
    liquidated = fallen = 0
    for _ in progress(range(paths), "Playing paths drawn again", paths):
        order = block_order(count, bars, math.sqrt(count), random)
        other = partial(resampled_market, first=run.first, order=order)
        markets = tuple(map(other, run.markets))
        known = run.forecasts
        if run.strategy.forecasts:
            known = resampled_forecasts(known, run.markets, markets, run.first, order)
        broker = run.again(markets=markets, other=other, forecasts=known)
        liquidated += int((broker.ledger.tables()[0]["reason"] == "liquidation").any())
        fallen += _deepest(broker.playing.closes(slice(run.first, None))["equity"], run.account.cash) >= FALL
    own = Odds(math.nan, liquidated / paths, fallen / paths, paths)
    return RuinOdds((own,), own, bars)


def _deepest(equity: FloatArray, cash: float) -> float:
    kept = np.concatenate(([cash], np.maximum(equity, 0.0)))
    return float((1.0 - kept / np.maximum.accumulate(kept)).max())
