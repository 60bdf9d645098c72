"""Ruin: how likely liquidation and a deep fall are at each leverage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from backtests.doubts.playback import Playback
from backtests.doubts.resampling import block_order, resampled
from backtests.kernel.batch import play_batch
from backtests.kernel.trader import Setting
from foundation.threads import map_threads
from markets.candles import FloatArray, IntArray

PATHS = 100
# More paths, at the run's own leverage alone: none of 100 leaves odds of 3 % open, none of 500 0.6 %.
MORE_PATHS = 400
# The longest time that a path is played for: a year, or this many bars.
HORIZON_BARS = 10_000
# Leverages that are looked at, besides the run's own and the highest allowed.
LEVERAGES = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
FALL = 0.5
# Fewer bars than this, over all paths and leverages, are played in one thread.
SMALL = 5_000_000


class Odds(NamedTuple):
    """At a leverage, the share of `paths` on which a position was liquidated, and on which equity fell by half."""

    leverage: float
    liquidation: float
    fall: float
    paths: int


@dataclass(frozen=True)
class RuinOdds:
    """The odds at each leverage, by rising leverage, over `bars` bars; `own`: the run's, from more paths."""

    odds: tuple[Odds, ...]
    own: Odds
    bars: int


def highest_leverage(playback: Playback) -> float:
    """The highest whole leverage that every contract of a run allows; below 1 that itself."""
    contracts = [market.contract for market in playback.stage.played]
    most = min(min(one.maximum_leverage, 1.0 / one.maintenance_rate * (1.0 - 1e-9)) for one in contracts)
    return float(math.floor(most)) if most >= 1.0 else most


def ruin_odds(playback: Playback, *, paths: int = PATHS, more: int = MORE_PATHS, seed: int = 0) -> RuinOdds:
    """The odds of liquidation and of a fall by half, at leverages from 1 to the highest allowed and the run's own.

    The bars that were played are drawn again in blocks, with the signals on them (`backtests.doubts.resampling`), for
    a year or as long as the run was, whichever is shorter, and the account is played on each path at each
    leverage, all else as it was: sizes that rest on risk stay, and post less margin. The mean block has the
    square root of the run's bars. `paths` are played at all leverages, `more` at the run's own alone. Equal arguments
    give equal bits. Assumes that the future is made of the past's bars: a crash that never happened is on no path.
    """
    random = np.random.default_rng(seed)
    played, year = playback.played, math.ceil(playback.stage.played[0].bars_per_year)
    bars = min(played, year, HORIZON_BARS)
    leverages = _leverages(playback)
    each = [playback.setting_of(risk=playback.risk.replaced(leverage=one)) for one in leverages]
    settings = Setting(*(np.concatenate(records) for records in zip(*each, strict=True)))
    own, total = leverages.index(playback.risk.leverage), paths + more
    orders = (block_order(played, bars, math.sqrt(played), random) for _ in range(total))
    tasks = ((order, settings if number < paths else each[own]) for number, order in enumerate(orders))
    small = (paths * len(leverages) + more) * bars < SMALL
    found = map_threads(lambda task: _ruined(playback, *task), tasks, total, "Playing paths drawn again", alone=small)
    marks = list(found)
    counts, drawn = np.sum(marks[:paths], axis=0), [paths] * len(leverages)
    counts[own] += sum(mark[0] for mark in marks[paths:])
    drawn[own] = total
    rows = zip(leverages, counts.tolist(), drawn, strict=True)
    odds = tuple(Odds(one, count[0] / over, count[1] / over, over) for one, count, over in rows)
    return RuinOdds(odds, odds[own], bars)


def _ruined(playback: Playback, order: IntArray, settings: Setting) -> FloatArray:
    """On one path, for each setting: 1 where a position was liquidated, and where equity fell by half."""
    tallies = play_batch(*resampled(playback, order), settings, playback.account.cash)
    return np.column_stack((tallies["liquidations"] > 0, tallies["deepest"] >= FALL)).astype(np.float64)


def _leverages(playback: Playback) -> list[float]:
    most = highest_leverage(playback)
    return sorted({*(one for one in LEVERAGES if one <= most), most, playback.risk.leverage})
