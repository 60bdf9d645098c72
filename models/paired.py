"""Paired comparison: several forecasts of the same bars, and whether the gain of one over another is more than luck."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from foundation.errors import DataError, ParameterError
from markets.candles import FloatArray, IntArray
from markets.market import Market
from models.forecasts import Forecasts
from models.naive import naive_forecasts
from models.significance import holm
from models.skill import skill_score
from models.track import Track, track_of

DRAWS = 2000


class Contender(NamedTuple):
    """One of the compared forecasts, with its skill against the expanding mean on the common bars and an interval."""

    name: str
    skill: float
    lower: float
    upper: float


class Gain(NamedTuple):
    """What `second` gained over `first`: the difference of their skills, its interval alone, and if it is clear.

    `adjusted_p`: two-sided, of no gain, by the draws beyond 0, and allowing for the number of pairs (Holm). `clear`:
    whether it is below what the level of the intervals leaves.
    """

    first: str
    second: str
    gain: float
    lower: float
    upper: float
    adjusted_p: float
    clear: bool

    def __str__(self) -> str:
        if self.gain == self.lower == self.upper == 0.0:
            return f"{self.second} forecast the same as {self.first}"
        alone = self.lower > 0.0 or self.upper < 0.0
        said = "more than luck" if self.clear else f"it may be luck{', as one of several pairs' if alone else ''}"
        side = "better" if self.gain >= 0.0 else "worse"
        bounds = f"{self.lower:+.3%} to {self.upper:+.3%}"
        return f"{self.second} was {abs(self.gain):.3%} of squared error {side} than {self.first} ({bounds}): {said}"


@dataclass(frozen=True)
class PairedSkill:
    """Forecasts of one symbol held against each other over the `bars` that all of them forecast.

    The gains are of every pair, in the order in which they were named. Intervals hold `level`, each alone; they come
    from one circular block bootstrap in which all forecasts are drawn together, so that luck they share cancels.
    """

    symbol: str
    bars: int
    level: float
    contenders: tuple[Contender, ...]
    gains: tuple[Gain, ...]


def compare_forecasts(
    market: Market, named: Mapping[str, Forecasts], *, level: float = 0.95, seed: int = 0
) -> PairedSkill:
    """What each of some named forecasts of a market is worth beside the others, such as frozen and retrained ones."""
    return compare_tracks({name: track_of(market, one) for name, one in named.items()}, level=level, seed=seed)


def compare_tracks(tracks: Mapping[str, Track], *, level: float = 0.95, seed: int = 0) -> PairedSkill:
    """The same for tracks; raises ParameterError for fewer than two, DataError where they are not of the same bars.

    Gain = [sum (y - f1)^2 - sum (y - f2)^2] / sum (y - b)^2, b the expanding mean; the bounds are quantiles
    of the same ratio over resampled blocks.
    """
    if len(tracks) < 2:
        raise ParameterError("forecasts", f"there are {len(tracks)} to compare", fix="name two or more")
    named = list(tracks)
    first, rows = tracks[named[0]], _common_rows(tracks)
    at = np.searchsorted(first.timestamp, rows)
    y, base = first.outcome[at], naive_forecasts(first.close)["expanding mean"][at]
    made = [one.mean[np.searchsorted(one.timestamp, rows)] for one in tracks.values()]
    losses = np.column_stack([np.square(y - base), *(np.square(y - f) for f in made)])
    drawn = bootstrap_means(losses, block_bars(len(rows)), DRAWS, seed)
    skills = 1.0 - drawn[:, 1:] / drawn[:, :1]
    tails = [0.5 * (1.0 - level), 0.5 * (1.0 + level)]
    points = [skill_score(y, f, base) for f in made]
    contenders = tuple(
        Contender(name, points[number], *np.quantile(skills[:, number], tails).tolist())
        for number, name in enumerate(named)
    )
    pairs = list(combinations(range(len(named)), 2))
    apart = [skills[:, two] - skills[:, one] for one, two in pairs]
    adjusted, gains = holm([_beyond(draws) for draws in apart]), []
    for (one, two), draws, p in zip(pairs, apart, adjusted, strict=True):
        lower, upper = np.quantile(draws, tails).tolist()
        gains.append(Gain(named[one], named[two], points[two] - points[one], lower, upper, p, p <= 1.0 - level))
    return PairedSkill(first.symbol, len(rows), level, contenders, tuple(gains))


def _beyond(draws: FloatArray) -> float:
    """The two-sided p-value of no gain: twice the share of draws at 0 or on its other side, itself counted."""
    side = min(int((draws <= 0.0).sum()), int((draws >= 0.0).sum()))
    return min(1.0, 2.0 * (side + 1) / (len(draws) + 1))


def block_bars(bars: int) -> int:
    """The length of a bootstrap block: 2 n^(1/3), rounded up, and at most all bars."""
    return min(math.ceil(2.0 * math.cbrt(bars)), bars)


def bootstrap_means(values: FloatArray, block: int, draws: int, seed: int) -> FloatArray:
    """The means of columns over circular blocks of rows drawn anew, shape (draws, columns); rows stay together.

    Each draw takes ceil(n / block) blocks of consecutive rows, the first row following the last (Politis and
    Romano 1992). Sums over blocks come from running sums, so that a draw costs as many steps as it has blocks.
    """
    rows = len(values)
    running = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(np.vstack([values, values[:block]]), axis=0)])
    blocks = math.ceil(rows / block)
    starts = np.random.default_rng(seed).integers(0, rows, (draws, blocks))
    means = [(column[starts + block] - column[starts]).sum(axis=1) / (blocks * block) for column in running.T]
    return np.column_stack(means)


def _common_rows(tracks: Mapping[str, Track]) -> IntArray:
    """The stamps that count in every track; raises DataError where there are too few, or closes differ there."""
    first, *others = tracks.values()
    stamps = first.timestamp[first.rows]
    for one in others:
        stamps = np.intersect1d(stamps, one.timestamp[one.rows], assume_unique=True)
    names = " and ".join(tracks)
    if len(stamps) < 30:
        fix = "compare runs over the same time"
        raise DataError(names, f"forecast only {len(stamps)} bars of {first.symbol} in common", fix=fix)
    closes = [one.close[np.searchsorted(one.timestamp, stamps)] for one in tracks.values()]
    if any(not np.array_equal(closes[0], one) for one in closes):
        raise DataError(names, f"stand on different prices of {first.symbol}", fix="compare runs on the same data")
    return stamps
