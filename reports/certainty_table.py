"""What the certainty of a run looks like on a page: a table of ranges and odds, and a sentence about them."""

from __future__ import annotations

import math

from foundation.chain import Head
from reports import formats
from reports.catalogue import CATALOGUE, TOO_SHORT, YEARLY, figure, too_short
from reports.certainty import Certainty
from reports.curves import EquityCurve
from reports.intervals import Interval
from reports.metrics import Metrics
from reports.tables import Cell, Table

_ODDS = {
    "probabilistic": (
        "Odds of a true Sharpe above 0",
        "probabilistic Sharpe ratio of Bailey and Lopez de Prado (2012): by the run's length, skewness and kurtosis",
    ),
    "deflated": (
        "Odds of more than luck among all trials",
        "deflated Sharpe ratio of Bailey and Lopez de Prado (2014): that the true ratio is above what the best of "
        "all trials would show without any skill",
    ),
}


def certainty_table(
    certainty: Certainty, metrics: Metrics, curve: EquityCurve, overfitting: float | None = None
) -> Table:
    """The headline figures with their ranges, then the odds that they are not luck.

    `overfitting`: the probability of it of the largest search behind the run, None without one that tells it.
    """
    rows, short = [], too_short(metrics.get("days"))
    for name in ("sharpe", "cagr", "max_drawdown"):
        entry, found = CATALOGUE[name], certainty.intervals
        ends = [formats.NONE] * 2 if found is None else [entry.write(end) for end in _interval(certainty, name)]
        ends = ["", ""] if short and found is not None and name in YEARLY else ends
        rows.append([Cell(entry.label, title=entry.meaning), Cell(figure(metrics, name)), *map(Cell, ends)])
    for name, (label, meaning) in _ODDS.items():
        value = getattr(certainty, name)
        rows.append([Cell(label, title=meaning), Cell(formats.percent(value)), Cell(""), Cell("")])
    if overfitting is not None:
        meaning = "probability of backtest overfitting of Bailey et al. (2017), of the largest search behind the run"
        first = Cell("Odds that the search overfitted (PBO)", title=meaning)
        rows.append([first, Cell(formats.percent(overfitting)), Cell(""), Cell("")])
    counted = "all that the ledger held for these contracts and times when this was written, this run included"
    trials = Cell(formats.count(certainty.trials))
    rows.append([Cell("Trials on this data", title=counted), trials, Cell(""), Cell("")])
    lucky = TOO_SHORT if short else formats.ratio(certainty.lucky)
    rows.append([Cell("Best Sharpe of so many by luck"), Cell(lucky), Cell(""), Cell("")])
    rows.append([Cell("Track record needed"), Cell(_years(certainty.track_bars, curve)), Cell(""), Cell("")])
    caption = "Ranges that hold the figure 95 times in 100, and the odds of luck"
    caption += f", {as_of(certainty.head)}" if certainty.head.written else ""
    return Table(caption, ["", "Run", "from", "to"], rows)


def explain_certainty(certainty: Certainty) -> str:
    """What the table comes down to."""
    others = certainty.trials - 1
    tried = f"{others:,} other trial{'s' if others != 1 else ''} on these contracts and times" if others else ""
    if certainty.deflated is None:
        return "The equity never moved, so there is nothing to be sure of."
    when, tried = as_of(certainty.head), tried or "no other trial on these contracts and times"
    known = f"The ledger holds {tried}, {when}; crossgate verdict counts again."
    if certainty.deflated >= 0.95:
        return f"{known} The Sharpe ratio is higher than luck among them explains, at odds of 95 in 100 or better."
    if certainty.probabilistic is not None and certainty.probabilistic >= 0.95:
        return (
            f"{known} Taken alone the Sharpe ratio would pass for more than luck; as the best of all tried it does not."
        )
    return f"{known} The Sharpe ratio cannot be told from luck at odds of 95 in 100."


def as_of(head: Head) -> str:
    """Where the ledger stood when trials were counted, such as "as of 2026-03-01 12:00 UTC (record 17)".

    The last record of a ledger that has not been added to for long may have no time.
    """
    if not head.written:
        return f"as of its record {head.records:,}, which is from before times were kept"
    return f"as of {head.written[:16]} UTC (record {head.records:,} of the ledger)"


def _interval(certainty: Certainty, name: str) -> Interval:
    found: Interval = getattr(certainty.intervals, name)
    return found


def _years(bars: float | None, curve: EquityCurve) -> str:
    if bars is None or not math.isfinite(bars):
        return formats.NONE
    return f"{bars / curve.bars_per_year:,.1f} years"
