"""Examination: everything a sceptic asks of a run that the kernel can answer by playing it again."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from backtests.doubts.attribution import Attribution, attribute
from backtests.doubts.controls import PERMUTATIONS, RANDOM_RUNS, Controls, measure_controls
from backtests.doubts.distance import Distance, measure_distance
from backtests.doubts.playback import Playback, playback_of
from backtests.doubts.ruin import PATHS, RuinOdds, ruin_odds
from backtests.doubts.sensitivity import Sensitivity, measure_sensitivity
from backtests.doubts.stop_limits import StopLimits, stop_limits
from backtests.exchange.records import Records
from backtests.run.result import Result
from foundation.errors import DataError
from markets.candles import IntArray

SEED = 0


@dataclass(frozen=True, eq=False)
class Examination:
    """Would it have worked anyway, what did what, how much hangs on assumptions, how near was ruin.

    `attribution`: None for a strategy written by hand, whose parts nobody knows. `distances`: a market each.
    `stops`: None where stops and liquidation do not meet, see `stop_limits`.
    """

    controls: Controls
    attribution: Attribution | None
    sensitivity: Sensitivity
    odds: RuinOdds
    stops: StopLimits | None
    distances: tuple[Distance, ...]


def examine(
    playback: Playback,
    positions: pd.DataFrame,
    equity: pd.DataFrame,
    *,
    runs: int = RANDOM_RUNS,
    permutations: int = PERMUTATIONS,
    paths: int = PATHS,
    seed: int = SEED,
) -> Examination:
    """The examination of a run; `positions` and `equity`: its tables, as in Result. Equal arguments give equal bits."""
    return Examination(
        controls=measure_controls(playback, runs=runs, permutations=permutations, seed=seed),
        attribution=attribute(playback),
        sensitivity=measure_sensitivity(playback),
        odds=ruin_odds(playback, paths=paths, seed=seed),
        stops=stop_limits(playback),
        distances=tuple(measure_distance(playback.stage.played, positions, equity, playback.risk.atr_bars)),
    )


def checked_playback(result: Result) -> Playback:
    """The playback of a result; raises DataError for one that the kernel does not play as it was played."""
    playback = playback_of(result)
    check_playback(playback, result.fills)
    return playback


def check_playback(playback: Playback, fills: pd.DataFrame) -> None:
    """Raises DataError where the kernel's fills are not those of a run, whose table of fills this is."""
    log, rows = playback.fills()
    apart = _first_apart(log, playback.stage.fed[0].candles.timestamp[rows], fills)
    if apart is not None:
        fix = "run the backtest again with this version"
        raise DataError("run", f"cannot be played again: fill {apart + 1} comes out different", fix=fix)


def _first_apart(log: Records, stamps: IntArray, fills: pd.DataFrame) -> int | None:
    """The number of the first fill that differs in time, quantity or price; None where all are the same."""
    theirs = pd.DatetimeIndex(fills["timestamp"]).as_unit("ns").asi8
    shared = min(len(log), len(theirs))
    same = stamps[:shared] == theirs[:shared]
    for name in ("quantity", "price"):
        same &= log[name][:shared] == fills[name].to_numpy()[:shared]
    if not same.all():
        return int((~same).argmax())
    return None if len(log) == len(theirs) else shared
