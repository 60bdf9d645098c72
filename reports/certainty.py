"""Certainty: how far the figures of a run can be relied on, given its length and all that was tried on its data."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foundation.chain import Head
from foundation.fingerprint import fingerprint
from foundation.trials import Span, TrialLedger, Tried, batch_of
from reports.curves import EquityCurve, equity_curve
from reports.evidence import (
    SharpeMoments,
    deflated_sharpe,
    expected_best_sharpe,
    luck_variance,
    minimum_track_length,
    probabilistic_sharpe,
    sharpe_moments,
)

if TYPE_CHECKING:
    from backtests.run.result import Result
    from foundation.parameters import Parameters
    from markets.market import Market
    from reports.intervals import Intervals

# Fewer rated trials than this do not tell how much trials vary.
KNOWN_TRIALS = 10


@dataclass(frozen=True)
class Certainty:
    """What is known of a run's Sharpe ratio beyond its value; ratios are yearly, probabilities from 0 to 1.

    `intervals`: 95 % ranges by the stationary bootstrap. `probabilistic`: that the true ratio is above zero.
    `track_bars`: bars it takes to be 95 % confident of that, infinity for a ratio at or below zero. `trials`: all that
    the ledger holds for these contracts and times, this run included. `lucky`: the ratio that the best of so many
    would show without any skill. `deflated`: the probability that the true ratio is above that. `head`: where
    the ledger ended then. All but `trials` and `head` are None for a run whose equity never moved.
    """

    intervals: Intervals | None
    probabilistic: float | None
    track_bars: float | None
    trials: int
    lucky: float | None
    deflated: float | None
    head: Head

    def own_record(self) -> dict[str, Any]:
        """What rests on the run alone, as JSON can hold it."""
        found, names = self.intervals, ("sharpe", "cagr", "max_drawdown")
        ranges = {} if found is None else {name: list(getattr(found, name)) for name in names}
        return {
            "interval_level": 0.95,
            "intervals": ranges,
            "mean_block_bars": None if found is None else found.block,
            "probabilistic_sharpe": self.probabilistic,
            "minimum_track_bars": self.track_bars if self.track_bars and math.isfinite(self.track_bars) else None,
        }

    def trial_record(self) -> dict[str, Any]:
        """What rests on the ledger too, as JSON can hold it."""
        return {
            "ledger_records": self.head.records,
            "ledger_digest": self.head.digest,
            "ledger_written": self.head.written,
            "trials": self.trials,
            "lucky_sharpe": self.lucky,
            "deflated_sharpe": self.deflated,
        }


@dataclass(frozen=True)
class Weighed:
    """What a run was weighed against when it was written: the trials, its deflated ratio, where the ledger ended."""

    trials: int
    deflated: float | None
    head: Head


def weighed_in(folder: Path) -> Weighed | None:
    """What the trials.json of a run folder says, None where there is none that can be read."""
    try:
        kept = json.loads((folder / "trials.json").read_text("utf-8"))
        head = Head(int(kept["ledger_records"]), str(kept["ledger_digest"]), str(kept.get("ledger_written", "")))
        return Weighed(int(kept["trials"]), kept["deflated_sharpe"], head)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def assess(result: Result, ledger: TrialLedger) -> Certainty:
    """The certainty of a run, which is put down in the ledger as one more trial; the same run counts once."""
    curve = equity_curve(result)
    moments = sharpe_moments(curve.returns) if len(result.fills) else None
    spans = [span_of(market, result) for market in result.markets]
    ratio = math.nan if moments is None else moments.sharpe
    head = ledger.record(batch_of("backtest", spans, {"name": result.name}, content_of(result), [ratio]))
    return _weigh(curve, moments, ledger.tried(spans), head)


def weigh(result: Result, ledger: TrialLedger) -> Certainty:
    """The certainty of a run that stands in the ledger already, as one of many that were tried together."""
    curve = equity_curve(result)
    moments = sharpe_moments(curve.returns) if len(result.fills) else None
    return _weigh(curve, moments, ledger.tried([span_of(market, result) for market in result.markets]), ledger.head())


def span_of(market: Market, result: Result) -> Span:
    """The stretch of a contract that a run was played on."""
    last = int(result.equity["timestamp"].iloc[-1].as_unit("ns").value)
    return Span.of_bars(market.trial_key, result.start, last, market.candles.bar)


def content_of(result: Result) -> str:
    """The fingerprint of all that a run's equity depends on: data, forecasts and settings, not its name."""
    tables = [one for one in (result.strategy, result.risk, result.account, result.costs) if one is not None]
    return run_content([market.fingerprint for market in result.markets], result.forecasts.fingerprint, tables)


def run_content(markets: Sequence[str], forecasts: str, tables: Sequence[Parameters]) -> str:
    """The same from the fingerprints of markets and forecasts, and the tables of strategy, risk, account and costs."""
    return fingerprint(list(markets), forecasts, [one.identity() for one in tables])


def known_variance(tried: Tried, moments: SharpeMoments) -> float:
    """The variance of all trials' Sharpe ratios per bar; that of pure luck where too few are rated to tell."""
    return tried.variance if tried.rated >= KNOWN_TRIALS else luck_variance(moments)


def _weigh(curve: EquityCurve, moments: SharpeMoments | None, tried: Tried, head: Head) -> Certainty:
    from reports.bootstrap import bootstrap_intervals

    if moments is None:
        return Certainty(None, None, None, tried.trials, None, None, head)
    variance = known_variance(tried, moments)
    return Certainty(
        bootstrap_intervals(curve.returns, curve.bars_per_year),
        probabilistic_sharpe(moments),
        minimum_track_length(moments),
        tried.trials,
        expected_best_sharpe(variance, tried.trials) * math.sqrt(curve.bars_per_year),
        deflated_sharpe(moments, variance, tried.trials),
        head,
    )
