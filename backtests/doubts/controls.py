"""Controls: would it have worked anyway? The same account under luck, under simpler rules and against itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from backtests.doubts.playback import Outcome, Playback, outcome_of
from backtests.doubts.simpler import simpler_rules
from backtests.exchange.records import Records
from backtests.kernel.tally import TALLY, rate
from backtests.kernel.trader import OTHER, Wish
from backtests.kernel.wishes import next_wanted, stage_signals
from foundation.threads import map_threads
from markets.candles import FloatArray, IntArray

RANDOM_RUNS = 1000
PERMUTATIONS = 200
# Into how many blocks of equal length forecasts are cut to be put in another order.
PIECES = 50
# How many times the slow average a signal is turned at least.
MEMORIES = 2
# Fewer bars than this, over all draws, are played in one thread.
SMALL = 5_000_000
# Over how many changes of equity between points a part of time is ranked at least.
LEAST_CHANGES = 8
# The share of the draws that are nearest to the run in their number of trades.
NEAREST = 0.2
# The bands of a fan: the share of runs that lie below.
BANDS = (0.05, 0.25, 0.5, 0.75, 0.95)


class Fan(NamedTuple):
    """Equity through time of many lucky runs: quantile bands beside our curve.

    `timestamp`: bar OPEN, UTC nanoseconds. `bands`: shape (len(BANDS), points). `ours`: the run itself.
    """

    timestamp: IntArray
    bands: FloatArray
    ours: FloatArray


class Near(NamedTuple):
    """The draws whose number of trades is nearest to the run's: how many they are, their mean number, and p of them."""

    draws: int
    trades: float
    p: float


@dataclass(frozen=True, eq=False)
class Luck:
    """What chance alone makes of the account, drawn many times, and where the run stands among it.

    `sharpe`, `total_return`: of each draw, per year and over the whole run. `trades`: their mean number, `held`: the
    mean number of bars that one of them lasts, `near`: the share NEAREST of the draws that trade as often as the run.
    `p`: the chance that luck does as well, (1 + draws with a Sharpe ratio of at least ours) / (1 + draws). `since`: the
    same for what comes after each point of the fan, see `chances_since`. `place`: the share of draws that ended with
    less equity. `counted`: what is ranked where that is not the run itself, but its positions
    (`backtests.doubts.turned`).
    """

    sharpe: FloatArray
    total_return: FloatArray
    trades: float
    held: float
    near: Near
    p: float
    since: FloatArray
    place: float
    fan: Fan
    counted: Outcome | None = None

    @property
    def draws(self) -> int:
        """How many times it was drawn."""
        return len(self.sharpe)


@dataclass(frozen=True, eq=False)
class Controls:
    """The run (`ours`) beside the same account, bars, risk and costs under other signals.

    `held`: the mean number of bars that a trade of the run lasts. `simpler`: buy and hold, crossover alone, LSTM alone,
    and the forecasts turned upside down ("sign-flipped"), by name. `random`: random entries. `permuted`: forecasts in
    another order; None for a rule that asks none.
    """

    ours: Outcome
    held: float
    simpler: dict[str, Outcome]
    random: Luck
    permuted: Luck | None


def measure_controls(
    playback: Playback, *, runs: int = RANDOM_RUNS, permutations: int = PERMUTATIONS, seed: int = 0
) -> Controls:
    """The controls of a run. Equal arguments give equal bits.

    Random entries: the run's own wanted sides, all markets together, turned round in time by a random number of bars
    (a circular shift), and played with its sizing, exits, account and costs. This keeps how often
    each side is wanted, for how long, and how such stretches cluster, and breaks nothing but their place in time; drift
    is then earned by luck too. Under the null, that signals come from a stationary process that knows nothing of
    later returns, all turns are equally likely, so the rank of the run among them is uniform. Turns of fewer bars
    than `least_turn` are left out: signals that follow from the prices would look ahead there, and all would keep
    some of what they know. A wish made of single coin tosses would trade in shorter stretches, and permuted stretches
    would forget that signals cluster where volatility does; both make luck look narrower than it is. Sides are wanted
    as often as by the run, but trades are not always made as often: exits depend on the prices that are met, so what is
    stopped sooner leaves the account free for the next signal. No draw is thinned to hide that, because the ranks
    would not be uniform then; `Luck.near` says what the draws come to that trade as often.

    Permuted forecasts: what a forecast says, in units of its own sigma, is cut into PIECES blocks that are put in
    another order and turned; sigma stays, and so do the averages that confirm. This asks what the
    forecasts add where everything else that chooses trades is kept.

    Both are ranked by the Sharpe ratio, not by profit: signals that come when volatility is high make profits wider at
    equal skill, and a statistic in units of its own deviation keeps its size under that (Janssen 1997, Chung and
    Romano 2013). Ties count against the run. `tests/test_controls.py` holds p to be uniform on null markets.
    """
    random = np.random.default_rng(seed)
    tally, equity = playback.tally(curve=True)
    ours = outcome_of(tally, playback.stage.played[0].bars_per_year, playback.account.cash, equity)
    asks = playback.strategy.rule in ("confirmed", "forecast")
    random_entries = _luck(playback, ours, _turned(playback, random), runs, "Playing random entries")
    simpler, permuted = _simpler(playback), None
    if asks:
        change = _changing(playback)
        simpler["sign-flipped"] = playback.play(change(np.negative))

        def dealt() -> Wish:
            order = permutation(playback.played, random)
            return change(lambda values: values[order])

        permuted = _luck(playback, ours, dealt, permutations, "Playing permuted forecasts")
    return Controls(ours, bars_of_a_trade(tally), simpler, random_entries, permuted)


def _luck(playback: Playback, ours: Outcome, draw: Callable[[], Wish], draws: int, description: str) -> Luck:
    curves, tallies = np.empty((draws, len(playback.points))), np.zeros(draws, dtype=TALLY)
    wishes = (draw() for _ in range(draws))
    small = draws * playback.scene.bars.size < SMALL
    played = map_threads(lambda wish: playback.tally(wish, curve=True), wishes, draws, description, alone=small)
    for k, (tally, equity) in enumerate(played):
        curves[k], tallies[k] = equity, tally[0]
    found = rate(tallies, playback.stage.played[0].bars_per_year, playback.account.cash)
    sharpe, total = np.nan_to_num(found["sharpe"]), found["total_return"]
    near = np.argsort(np.abs(tallies["trades"] - ours.trades), kind="stable")[: math.ceil(NEAREST * draws)]
    return Luck(
        sharpe=sharpe,
        total_return=total,
        trades=float(tallies["trades"].mean()) if draws else 0.0,
        held=bars_of_a_trade(tallies),
        near=Near(
            draws=len(near),
            trades=float(tallies["trades"][near].mean()) if draws else 0.0,
            p=(1 + int((sharpe[near] >= ours.sharpe).sum())) / (1 + len(near)),
        ),
        p=(1 + int((sharpe >= ours.sharpe).sum())) / (1 + draws),
        since=chances_since(ours.equity, curves),
        place=float((total < ours.total_return).mean()) if draws else 0.0,
        fan=Fan(playback.timestamp[playback.points], np.quantile(curves, BANDS, axis=0), ours.equity),
    )


def bars_of_a_trade(tallies: Records) -> float:
    """The mean number of bars that a trade lasts, over all tallies; 0 where none was made."""
    return float(tallies["held"].sum()) / max(int(tallies["trades"].sum()), 1)


def chances_since(ours: FloatArray, curves: FloatArray) -> FloatArray:
    """The chance that luck does as well after each point in time: of `ours` among `curves`, shape (draws, points).

    Ranked as the whole run is, by the Sharpe ratio, here of the changes between the points that follow; NaN where fewer
    than LEAST_CHANGES follow. If all turns of the signals are equally likely the rank is uniform for each part of
    time too.
    """
    paths = np.concatenate((ours[None, :], curves))
    before = paths[:, :-1]
    moves = np.divide(paths[:, 1:], before, out=np.ones_like(before), where=before > 0.0) - 1.0
    # Reversed sums: column k holds what follows point k.
    total, squares = (np.cumsum(one[:, ::-1], axis=1)[:, ::-1] for one in (moves, moves**2))
    count = np.arange(moves.shape[1], 0, -1)
    variance = np.maximum(squares - total**2 / count, 0.0) / np.maximum(count - 1, 1)
    varies = variance > 1e-18
    sharpe = np.divide(total / count, np.sqrt(variance), out=np.zeros_like(total), where=varies)
    chances = np.full(paths.shape[1], np.nan)
    reached = (sharpe[1:] >= sharpe[0]).sum(axis=0)
    chances[:-1] = np.where(count >= LEAST_CHANGES, (1 + reached) / (1 + len(curves)), np.nan)
    return chances


def _turned(playback: Playback, random: np.random.Generator) -> Callable[[], Wish]:
    """Draws wishes whose sides, and the opinion that sizes may rest on, are turned round in time."""
    wish, first, count = playback.wish, playback.scene.first, playback.played
    twice = np.concatenate((wish.sides[:, first:],) * 2, axis=1)
    upcoming, sigma = next_wanted(twice), _known(wish.sigma)
    opinion = np.concatenate(((wish.mean / _above_zero(wish.sigma))[:, first:],) * 2, axis=1)
    sized, least = playback.risk.sizing == "kelly", least_turn(playback)

    def draw() -> Wish:
        at = int(random.integers(least, max(count - least, least) + 1))
        sides, mean = wish.sides.copy(), wish.mean
        sides[:, first:] = twice[:, at : at + count]
        if sized:
            mean = mean.copy()
            mean[:, first:] = opinion[:, at : at + count] * sigma[:, first:]
        later = np.empty_like(wish.upcoming)
        np.minimum(upcoming[..., at : at + count], at + count, out=later[..., first:])
        later[..., first:] += first - at
        later[..., :first] = later[..., first : first + 1]
        later[OTHER, :, :first] = later[:OTHER, :, :first].min(axis=0)
        return Wish(sides, mean, sigma, wish.atr, later)

    return draw


def least_turn(playback: Playback) -> int:
    """By how many bars signals are turned at least: MEMORIES times the slow average, a quarter of the bars at most.

    Signals that follow from the prices know, turned to a few bars earlier, the returns that they followed.
    """
    memory = MEMORIES * playback.strategy.slow
    return max(1, min(memory, playback.played // 4))


def permutation(count: int, random: np.random.Generator) -> IntArray:
    """An order of `count` bars that keeps blocks together: turned by a random number, cut into PIECES, dealt."""
    turned = (np.arange(count) + int(random.integers(count))) % count
    pieces = np.array_split(turned, min(PIECES, count))
    return np.concatenate([pieces[k] for k in random.permutation(len(pieces))])


def _simpler(playback: Playback) -> dict[str, Outcome]:
    return {
        name: playback.play(playback.wish_of(strategy, risk), setting=playback.setting_of(strategy, risk))
        for name, (strategy, risk) in simpler_rules(playback.strategy, playback.risk).items()
    }


def _changing(playback: Playback) -> Callable[[Callable[[FloatArray], FloatArray]], Wish]:
    """Makes wishes in which what the forecasts say on the bars played is changed, in units of their sigma."""
    wish, first = playback.wish, playback.scene.first
    begin, sources = stage_signals(
        playback.stage, playback.forecasts, playback.strategy, playback.risk.atr_bars, playback.costs
    )
    own, sized = first - begin, playback.risk.sizing == "kelly"

    def changed(change: Callable[[FloatArray], FloatArray]) -> Wish:
        sides, mean = wish.sides.copy(), wish.mean.copy() if sized else wish.mean
        for s, source in enumerate(sources):
            score, sigma = source.score.copy(), _above_zero(wish.sigma[s, first:])
            # A chance and a position have no unit of return.
            unit = sigma if source.threshold[1] < 3 else np.ones(len(sigma))
            score[own:] = change(score[own:] / unit) * unit
            sides[s, begin:] = source._replace(score=score).sides(own)
            if sized:
                mean[s, first:] = change(mean[s, first:] / sigma) * sigma
        return Wish(sides, mean, wish.sigma, wish.atr, next_wanted(sides))

    return changed


def _above_zero(sigma: FloatArray) -> FloatArray:
    """The sigmas that an opinion can be told in; NaN, as for no forecast, where one is zero."""
    return np.where(sigma > 0.0, sigma, np.nan)


def _known(values: FloatArray) -> FloatArray:
    """The last known value at every bar, before the first one that one."""
    # A copy: pandas hands out a read-only array, another type, for which the kernel would be compiled once more.
    return np.array(pd.DataFrame(values.T).ffill().bfill().to_numpy().T, order="C")
