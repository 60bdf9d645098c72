"""Standing: where a run stands among all that the ledger holds now: its trials, the searches before it, the seals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foundation.seals import openings, sealed_from
from foundation.trials import Batch, TrialLedger
from markets.candles import FloatArray
from reports.certainty import known_variance
from reports.curves import EquityCurve
from reports.evidence import backtest_overfitting, deflated_sharpe
from reports.facts import Facts

# A stretch that no search has seen tells something from this share of the run's bars on.
LEAST_FRESH = 0.1
# Settings of a search, evenly chosen, that its probability of overfitting is worked out over.
MOST_SETTINGS = 1000


@dataclass(frozen=True)
class Stretch:
    """A part of a run: the open of its first bar (UTC nanoseconds), how many bars, and the return over it."""

    first: int
    bars: int
    total_return: float


@dataclass(frozen=True)
class Seal:
    """The sealed stretch of a run's contracts; `reached`: the part that the run played, None where it ends before it.

    `opened`: whether the ledger holds an opening for this very run; `before`: how many others opened it earlier.
    """

    first: int
    reached: Stretch | None
    opened: bool
    before: int


@dataclass(frozen=True)
class Standing:
    """What a ledger says of a run.

    `trials`: all on these contracts and times. `deflated`: the deflated Sharpe ratio over them, None for a run whose
    equity never moved. `searched`: the settings tried in sweeps and searches on this data. `fresh`: what no search has
    seen, None where that is too short; `halves`: the run's earlier and later half. `overfitting`: the
    probability of overfitting of the largest search that kept its blocks, None for none. `seal`: None for none.
    """

    trials: int
    deflated: float | None
    searched: int
    fresh: Stretch | None
    halves: tuple[Stretch, Stretch]
    overfitting: float | None
    seal: Seal | None


def standing_of(facts: Facts, curve: EquityCurve, ledger: TrialLedger) -> Standing:
    """The standing of a run; raises DataError for a broken ledger."""
    tried = ledger.tried(facts.spans)
    searches = [one for one in tried.batches if one.kind != "backtest"]
    deflated = None
    if facts.moments is not None:
        deflated = deflated_sharpe(facts.moments, known_variance(tried, facts.moments), max(tried.trials, 1))
    middle = len(curve.equity) // 2
    return Standing(
        trials=tried.trials,
        deflated=deflated,
        searched=sum(one.trials for one in searches),
        fresh=_fresh(facts, curve, searches),
        halves=(stretch(curve, 0, middle), stretch(curve, middle, len(curve.equity))),
        overfitting=_overfitting(ledger, searches),
        seal=_seal(facts, curve, ledger),
    )


def stretch(curve: EquityCurve, begin: int, end: int) -> Stretch:
    """The bars of a curve from row `begin` up to, not including, `end`."""
    if end <= begin:
        return Stretch(int(curve.timestamp[min(begin, len(curve.timestamp) - 1)]), 0, 0.0)
    growth = float(np.prod(1.0 + curve.returns[begin:end]))
    return Stretch(int(curve.timestamp[begin]), end - begin, growth - 1.0)


def _fresh(facts: Facts, curve: EquityCurve, searches: Sequence[Batch]) -> Stretch | None:
    """What comes after the last bar that any search saw; None without a search, and where that is too short."""
    seen = [span.last for one in searches for span in one.spans if any(span.overlaps(own) for own in facts.spans)]
    if not seen:
        return None
    begin = int(np.searchsorted(curve.timestamp, max(seen), side="right"))
    left = len(curve.equity) - begin
    return stretch(curve, begin, len(curve.equity)) if left >= LEAST_FRESH * len(curve.equity) else None


def _overfitting(ledger: TrialLedger, searches: Sequence[Batch]) -> float | None:
    for one in sorted(searches, key=lambda batch: -batch.trials):
        blocks = ledger.blocks(one.content)
        if blocks is not None and len(blocks) > 1:
            found = backtest_overfitting(_some(blocks))
            return found if math.isfinite(found) else None
    return None


def _some(blocks: FloatArray) -> FloatArray:
    rows = np.unique(np.linspace(0, len(blocks) - 1, min(len(blocks), MOST_SETTINGS)).astype(np.int64))
    chosen: FloatArray = blocks[rows]
    return chosen


def _seal(facts: Facts, curve: EquityCurve, ledger: TrialLedger) -> Seal | None:
    """The stretch that is sealed for all contracts of a run."""
    firsts = [sealed_from(ledger, span.contract) for span in facts.spans]
    known = [one for one in firsts if one is not None]
    if len(known) < len(firsts) or not known:
        return None
    first = max(known)
    begin = int(np.searchsorted(curve.timestamp, min(known)))
    reached = stretch(curve, int(np.searchsorted(curve.timestamp, first)), len(curve.equity))
    opened, before = True, 0
    for span in facts.spans:
        found = openings(ledger, span.contract)
        own = next((k for k, one in enumerate(found) if one.content == facts.content), None)
        opened &= own is not None
        before = max(before, len(found) if own is None else own)
    return Seal(first, reached if begin < len(curve.equity) and reached.bars else None, opened, before)
