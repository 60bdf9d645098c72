"""Standing: where a run stands among all that the ledger holds now: its trials, the searches before it, the seals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foundation.chain import Head
from foundation.seals import openings, sealed_span
from foundation.trials import Batch, TrialLedger
from markets.candles import FloatArray
from reports.certainty import Weighed, known_variance
from reports.curves import EquityCurve
from reports.evidence import backtest_overfitting, deflated_sharpe
from reports.facts import Facts
from reports.promise import Promise, promise_of
from reports.stability import Stretch, stretch

# A stretch that no search has seen tells something from this share of the run's bars on.
LEAST_FRESH = 0.1
# Settings of a search, evenly chosen, that its probability of overfitting is worked out over.
MOST_SETTINGS = 1000


@dataclass(frozen=True)
class Seal:
    """The sealed stretch of a run's contracts: the open of its first bar, and its bars when it was sealed or played.

    `reached`: the part that the run played, None where it ends before it.
    `opened`: whether the ledger holds an opening for this very run; `before`: how many others opened it earlier.
    """

    first: int
    bars: int
    reached: Stretch | None
    opened: bool
    before: int


@dataclass(frozen=True)
class Forward:
    """A walk-forward tuning as the ledger keeps it: yearly Sharpe ratios of its stitched curve, and on the past.

    `inside`: the mean of those that its choices had on the bars they were chosen by, None where that is not known.
    """

    folds: int
    sharpe: float
    inside: float | None


@dataclass(frozen=True)
class Standing:
    """What a ledger says of a run.

    `trials`: all on these contracts and times, counted when the ledger ended at `head`. `torn`: the ledger lacks
    records that the run was weighed against when it was written; what counted then counts on. `deflated`: the
    deflated Sharpe ratio over them, None for a run whose equity never moved. `searched`: the settings tried in
    sweeps and searches on this data. `fresh`: what no search has seen, None where that is too short. `overfitting`:
    the probability of overfitting of the largest search that kept its blocks, `forward`: the curve of the last
    tuning that chose on past folds only; each None for none. `seal`: None for none. `promise`: what the run's open
    bars promise of the sealed ones, of none where nothing is sealed; None for a run whose equity did not move.
    """

    trials: int
    deflated: float | None
    searched: int
    fresh: Stretch | None
    overfitting: float | None
    forward: Forward | None
    seal: Seal | None
    promise: Promise | None
    torn: bool = False
    head: Head | None = None


def standing_of(facts: Facts, curve: EquityCurve, ledger: TrialLedger, weighed: Weighed | None = None) -> Standing:
    """The standing of a run, `weighed` when it was written; raises DataError for a broken ledger."""
    tried = ledger.tried(facts.spans)
    searches = [one for one in tried.batches if one.kind != "backtest"]
    deflated = None
    if facts.moments is not None:
        deflated = deflated_sharpe(facts.moments, known_variance(tried, facts.moments), max(tried.trials, 1))
    seal, count = _seal(facts, curve, ledger), tried.trials
    torn = weighed is not None and not ledger.holds(weighed.head)
    if torn and weighed is not None and weighed.trials >= count:
        count, deflated = weighed.trials, weighed.deflated
    return Standing(
        trials=count,
        deflated=deflated,
        searched=sum(one.trials for one in searches),
        fresh=_fresh(facts, curve, searches),
        overfitting=_overfitting(ledger, searches),
        forward=_forward(searches, facts.bars_per_year),
        seal=seal,
        promise=_promise(curve, seal),
        torn=torn,
        head=weighed.head if torn and weighed is not None else ledger.head(),
    )


def _fresh(facts: Facts, curve: EquityCurve, searches: Sequence[Batch]) -> Stretch | None:
    """What comes after the last bar that any search saw; None without a search, and where that is too short."""
    seen = [span.last for one in searches for span in one.spans if any(span.overlaps(own) for own in facts.spans)]
    if not seen:
        return None
    begin = int(np.searchsorted(curve.timestamp, max(seen), side="right"))
    left = len(curve.equity) - begin
    return stretch(curve, begin, len(curve.equity)) if left >= LEAST_FRESH * len(curve.equity) else None


def _overfitting(ledger: TrialLedger, searches: Sequence[Batch]) -> float | None:
    """That of the largest search that kept its blocks; the batches of a tuning, which name their study, are one."""
    joined: dict[str, list[Batch]] = {}
    for one in searches:
        joined.setdefault(str(one.grid.get("study", one.content)), []).append(one)
    for search in sorted(joined.values(), key=lambda parts: -sum(one.trials for one in parts)):
        kept = [blocks for one in search if (blocks := ledger.blocks(one.content)) is not None and len(blocks)]
        # Earlier versions kept sums of returns alone.
        plain = any(one.ndim == 2 for one in kept)
        kept = [one[:, 0] if plain and one.ndim == 3 else one for one in kept]
        blocks = np.concatenate(kept) if kept else np.zeros((0, 0))
        if len(blocks) > 1:
            found = backtest_overfitting(_some(blocks))
            # Of settings that all came to the same there was no choice: the next largest search tells.
            if math.isfinite(found):
                return found
    return None


def _forward(searches: Sequence[Batch], bars_per_year: float) -> Forward | None:
    for one in reversed(searches):
        folds = one.grid.get("walk_forward")
        if folds is not None and math.isfinite(one.mean):
            scale, inside = math.sqrt(bars_per_year), one.grid.get("inside")
            return Forward(int(folds), one.mean * scale, None if inside is None else float(inside) * scale)
    return None


def _some(blocks: FloatArray) -> FloatArray:
    rows = np.unique(np.linspace(0, len(blocks) - 1, min(len(blocks), MOST_SETTINGS)).astype(np.int64))
    chosen: FloatArray = blocks[rows]
    return chosen


def _seal(facts: Facts, curve: EquityCurve, ledger: TrialLedger) -> Seal | None:
    """The stretch that is sealed for all contracts of a run."""
    spans = [sealed_span(ledger, span.contract) for span in facts.spans]
    known = [one.first for one in spans if one is not None]
    if len(known) < len(spans) or not known:
        return None
    first = max(known)
    last = min(one.last for one in spans if one is not None)
    begin = int(np.searchsorted(curve.timestamp, min(known)))
    reached = stretch(curve, int(np.searchsorted(curve.timestamp, first)), len(curve.equity))
    opened, before = True, 0
    for span in facts.spans:
        found = openings(ledger, span.contract)
        own = next((k for k, one in enumerate(found) if one.content == facts.content), None)
        opened &= own is not None
        before = max(before, len(found) if own is None else own)
    bars = reached.bars or max((last - first) // curve.bar + 1, 0)
    return Seal(first, bars, reached if begin < len(curve.equity) and reached.bars else None, opened, before)


def _promise(curve: EquityCurve, seal: Seal | None) -> Promise | None:
    """The promise of the bars before the sealed ones."""
    end = len(curve.equity) if seal is None else int(np.searchsorted(curve.timestamp, seal.first))
    return promise_of(curve.returns[:end], curve.bars_per_year, 0 if seal is None else seal.bars)
