"""Foresight: whether a strategy written by hand looks ahead: it is played again where other bars follow."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from backtests.under_backtrader.loop import Until
from foundation.errors import CrossgateError, LookAheadError
from foundation.progress import progress
from markets.candles import Candles, utc
from markets.funding import Funding
from markets.market import Market
from models.forecasts import Forecasts, cut_forecasts

if TYPE_CHECKING:
    from backtests.run.own_run import OwnRun
    from backtests.under_backtrader.broker import FuturesBroker

# At how many bars with orders, and at how many without, the bars that follow are replaced.
CUTS, QUIET = 4, 3
# How far the first of the other bars goes: so many standard deviations of a bar's log return, within these bounds.
JUMP, LEAST, MOST = 10.0, 0.01, 0.3


def check_ahead(run: OwnRun, broker: FuturesBroker) -> None:
    """Raises LookAheadError for a strategy that gives other orders when other bars follow.

    At some bars with an order and some drawn (with a seed) from those without, all later bars are replaced by others,
    that rise and that fall; up to there it has to give the same orders. What it reads itself, from a file, is no part
    of this.
    """
    given = list(broker.given)
    tests = [(end, up) for end in _ends(run, sorted({order[0] for order in given})) for up in (True, False)]
    for end, up in progress(tests, "Looking whether the strategy looks ahead", len(tests)):
        stamp = int(run.markets[0].candles.timestamp[end])
        other = partial(other_future, end=end, rising=up)
        markets = tuple(map(other, run.markets))
        known: Forecasts = cut_forecasts(run.forecasts, 0, stamp) if run.strategy.forecasts else run.forecasts
        try:
            found = list(run.again(markets=markets, other=other, forecasts=known, prepare=_prepared(run, end)).given)
        except CrossgateError as error:
            problem = f"with other bars after it: {error}"
            raise LookAheadError(f"{run.strategy.name} does not get to the bar of {utc(stamp)} UTC {problem}") from None
        if [order for order in found if order[0] <= end] != [order for order in given if order[0] <= end]:
            raise LookAheadError(
                f"{run.strategy.name} gives other orders up to the bar of {utc(stamp)} UTC when other bars follow it: "
                "it looks ahead, or hangs on something that changes from run to run, such as a random "
                "number without a seed or what it keeps in its class; mend it, or say check=False"
            )


def _ends(run: OwnRun, ordered: list[int]) -> list[int]:
    """The bars after which others follow: some with orders, evenly over the run, and some without."""
    bars = len(run.markets[0].candles)
    some = {ordered[round(k * (len(ordered) - 1) / (CUTS - 1))] for k in range(CUTS)} if ordered else set()
    quiet = np.setdiff1d(np.arange(run.first, bars - 1), ordered)
    drawn = np.random.default_rng(bars).choice(quiet, min(QUIET, len(quiet)), replace=False)
    return sorted({end for end in (*some, *map(int, drawn)) if end < bars - 1})


def _prepared(run: OwnRun, end: int) -> Any:
    """What is done to a Cerebro that need not play much beyond a bar."""

    def prepare(cerebro: Any) -> None:
        if run.prepare is not None:
            run.prepare(cerebro)
        cerebro.addanalyzer(Until, end=end)

    return prepare


def other_future(market: Market, end: int, *, rising: bool) -> Market:
    """The market with other bars after row `end`: its own ones shuffled, and mirrored where they are to fall.

    The first of them jumps. Mark prices, funding and finer candles end with row `end`.
    """
    candles = market.candles
    stop, made = int(candles.timestamp[end]) + candles.bar, market.rows(0, end + 1)
    mark, funding, oracle = market.mark, market.funding, market.oracle
    if mark is not None:
        mark = mark.between(None, stop) if mark.timestamp[0] < stop else None
    if funding is not None:
        kept = funding.timestamp < stop
        funding = Funding(funding.timestamp[kept], funding.rate[kept], funding.source) if kept.any() else None
    if oracle is not None:
        oracle = np.concatenate((oracle[: end + 1], -oracle[end + 1 :]))
    other = other_bars(candles, end, rising=rising)
    return replace(made, candles=other, mark=mark, funding=funding, oracle=oracle)


def other_bars(candles: Candles, end: int, *, rising: bool) -> Candles:
    """The candles with the bars after row `end` shuffled, mirrored where they are to fall, and begun with a jump."""
    columns = (candles.open, candles.high, candles.low, candles.close)
    before = np.log(candles.close[end:-1])[:, None]
    shapes = np.log(np.stack([column[end + 1 :] for column in columns], axis=1)) - before
    rows = np.random.default_rng(end).permutation(len(shapes))
    shapes = shapes[rows] if rising else -shapes[rows][:, [0, 2, 1, 3]]
    size = float(np.clip(JUMP * np.std(np.diff(np.log(candles.close))), LEAST, MOST))
    jump = size if rising else -size
    start = np.log(candles.close[end]) + jump + np.concatenate(([0.0], np.cumsum(shapes[:-1, 3])))
    prices = np.exp(start[:, None] + shapes)
    highest, lowest = prices.max(axis=1), prices.min(axis=1)
    later = (prices[:, 0], highest, lowest, prices[:, 3])

    parts: dict[str, Any] = {}
    for name, one in zip(("open", "high", "low", "close"), later, strict=True):
        parts[name] = np.concatenate((getattr(candles, name)[: end + 1], one))
    for name in ("volume", "touched"):
        own = getattr(candles, name)
        parts[name] = np.concatenate((own[: end + 1], own[end + 1 :][rows]))
    return replace(candles, **parts)
