"""Metrics: the figures that one run comes down to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from backtests.doubts.simpler import Baseline
from backtests.kernel.tally import NO_FALL
from backtests.run.result import Result
from markets.candles import BoolArray, FloatArray
from models.evidence import Evidence, forecast_evidence
from models.skill import Skill, track_skill
from models.track import Track
from reports.curves import EquityCurve, equity_curve
from reports.evidence import sharpe_moments
from reports.tracks import result_tracks
from reports.trades import list_round_trips, list_trades

Metrics = dict[str, Any]
# Of Totals.
TOTALS = (
    "fees", "funding", "slippage", "liquidation_charges", "liquidations", "refusals", "shrunk", "bound_liquidations",
)  # fmt: skip
FORECASTING_RULES = ("confirmed", "forecast")


def compute_metrics(
    result: Result, skill: Skill | Sequence[Skill] | None = None, trades: pd.DataFrame | None = None
) -> Metrics:
    """The metrics of a result by name: fractions, and money in the settlement currency; None where undefined.

    Returns are simple returns of equity from bar close to bar close; ratios are annualised with 365
    days of bars, without a risk-free rate. `max_drawdown` is a fraction from 0 to 1 of the highest
    equity so far. `fees`, `funding` (net), `slippage` (already inside fill prices) and
    `liquidation_charges` are positive when paid. `trades` counts round trips, `open_trades` those of them still
    open at the end, which `win_rate` and the profits leave out; profits are net of fees, before
    funding. `open_profit`: of the trades still open, at the last mark price; with `long_profit` and
    `short_profit`, less `funding`, it is the change of equity. `skill` = 1 - MSE / MSE of the expanding mean,
    the mean over markets; it is measured here when it is not handed in, and None for a rule that asks no
    forecast. `trades`: of `list_trades`, where it is known.
    """
    if skill is None:
        skill = measure_skill(result)
    held = (result.positions["position"] != 0.0).groupby(result.positions["timestamp"]).any()
    return _metrics(
        equity_curve(result),
        list_trades(result) if trades is None else trades,
        result.fills,
        {
            **{name: getattr(result.totals, name) for name in TOTALS},
            "exposure": float(held.mean()) if len(held) else 0.0,
            "ruined": result.ruined,
        },
        [skill] if isinstance(skill, Skill) else skill,
    )


def baseline_metrics(baseline: Result | Baseline, skills: Sequence[Skill]) -> Metrics:
    """The metrics of a baseline, those of `compute_metrics`."""
    if isinstance(baseline, Result):
        return compute_metrics(baseline, skills)
    fills, last = baseline.fills, pd.Timestamp(baseline.equity["timestamp"].iloc[-1])
    known = {
        "fees": float(fills["fee"].sum()),
        "funding": baseline.funding,
        "slippage": float(fills["slippage"].sum()),
        "liquidation_charges": float(fills["liquidation_fee"].sum()),
        "liquidations": int((fills["reason"] == "liquidation").sum()),
        "refusals": baseline.refusals,
        "shrunk": baseline.shrunk,
        "bound_liquidations": int(fills["bound"].sum()),
        "exposure": baseline.held,
        "ruined": baseline.ruined,
    }
    return _metrics(equity_curve(baseline), list_round_trips(fills, last, baseline.bar), fills, known, skills)


def _metrics(
    curve: EquityCurve, trades: pd.DataFrame, fills: pd.DataFrame, known: Metrics, skills: Sequence[Skill]
) -> Metrics:
    """All metrics by name; `known`: what neither equity, trades nor fills tell."""
    average, years = float(curve.equity.mean()), len(curve.equity) / curve.bars_per_year
    metrics = {
        **curve_metrics(curve, traded=len(fills) > 0),
        **_trade_metrics(trades),
        **known,
        "open_profit": _open_profit(curve, trades, known["funding"]),
        # Traded notional in 365 days as a multiple of average equity.
        "turnover": float(fills["notional"].sum()) / average / years if average > 0.0 else None,
        "skill": sum(one.skill for one in skills) / len(skills) if skills else None,
    }
    return {name: _plain(value) for name, value in metrics.items()}


def measure_skill(result: Result) -> list[Skill]:
    """The skill of the forecasts a result was played on, one per market; none when its rule asks none."""
    return [track_skill(track) for track in asked_tracks(result)]


def measure_evidence(result: Result) -> list[Evidence]:
    """All evidence on the forecasts a result was played on, one per market; none when its rule asks none."""
    return [forecast_evidence(track) for track in asked_tracks(result)]


def asked_tracks(result: Result) -> list[Track]:
    """The tracks of the forecasts that the rule of a result asked for."""
    return result_tracks(result) if result.strategy.rule in FORECASTING_RULES else []


def curve_metrics(curve: EquityCurve, *, traded: bool = True) -> Metrics:
    """The metrics that follow from an equity curve alone.

    `days`: the length of the run; `reports.catalogue.too_short` says from how many on figures of a year tell anything.
    With r the per-bar returns and n the bars of 365 days: `cagr` = (1 + total_return)^(n / bars) - 1,
    `volatility` = std(r) sqrt(n), `sharpe` = mean(r) / std(r) sqrt(n), `sortino` = mean(r) /
    sqrt(mean(min(r, 0)^2)) sqrt(n), `calmar` = cagr / max_drawdown; std with one degree of freedom
    less. `max_drawdown_bars`: the longest stretch of bars below an earlier peak; `time_under_water`: the share of
    bars below one. `skewness`, `kurtosis` (raw, 3 for a normal): of r. `value_at_risk`, `expected_shortfall`: the loss
    that 5 % of the bars exceed, the 5 % quantile of r below zero, and the mean loss of the bars at or beyond it.
    `tail_ratio`: the 95 % quantile of r over the size of the 5 % one. Ratios and tails are None when nothing was
    traded.
    """
    returns, year = curve.returns, curve.bars_per_year
    mean, deviation = float(returns.mean()), float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    deepest, growth = float(curve.drawdown.max()), _annual_growth(curve)
    return {
        "total_return": curve.total_return,
        "final_equity": float(curve.equity[-1]),
        "bars": len(returns),
        "days": 365.0 * len(returns) / year,
        "cagr": growth,
        "volatility": deviation * math.sqrt(year) if len(returns) > 1 else None,
        "sharpe": _ratio(mean, deviation, year) if traded else None,
        "sortino": _ratio(mean, downside, year) if traded else None,
        "calmar": growth / deepest if traded and deepest > NO_FALL and growth is not None else None,
        "max_drawdown": deepest,
        "max_drawdown_bars": curve.longest_drawdown,
        "time_under_water": float((curve.drawdown > 0.0).mean()),
        **_tails(returns, traded=traded),
    }


def _tails(returns: FloatArray, *, traded: bool) -> Metrics:
    low, high = (float(np.quantile(returns, share)) for share in (0.05, 0.95))
    moments = sharpe_moments(returns) if traded else None
    return {
        "skewness": None if moments is None else moments.skewness,
        "kurtosis": None if moments is None else moments.kurtosis,
        "value_at_risk": -low if traded else None,
        "expected_shortfall": -float(returns[returns <= low].mean()) if traded else None,
        "tail_ratio": high / -low if traded and low < 0.0 else None,
    }


def _annual_growth(curve: EquityCurve) -> float | None:
    growth = 1.0 + curve.total_return
    if growth <= 0.0:
        return -1.0
    exponent = math.log(growth) * curve.bars_per_year / len(curve.equity)
    return math.expm1(exponent) if exponent < 700.0 else None


def _ratio(mean: float, deviation: float, bars_per_year: float) -> float | None:
    # A spread this much smaller than the mean is rounding, not risk.
    if deviation <= 1e-10 * abs(mean) or deviation == 0.0:
        return None
    return mean / deviation * math.sqrt(bars_per_year)


def _trade_metrics(trades: pd.DataFrame) -> Metrics:
    closed = trades[trades["closed"].notna()]
    profits = closed["profit"].to_numpy(dtype=np.float64)
    wins, losses = profits[profits > 0.0], profits[profits < 0.0]
    lost, some = -float(losses.sum()), len(profits) > 0
    return {
        "trades": len(trades),
        "open_trades": len(trades) - len(closed),
        "long_trades": int((trades["side"] == "long").sum()),
        "short_trades": int((trades["side"] == "short").sum()),
        "win_rate": len(wins) / len(profits) if some else None,
        "long_win_rate": _win_rate(closed[closed["side"] == "long"]),
        "short_win_rate": _win_rate(closed[closed["side"] == "short"]),
        "profit_factor": float(wins.sum()) / lost if lost > 0.0 else None,
        "average_profit": float(profits.mean()) if some else None,
        "average_win": float(wins.mean()) if len(wins) else None,
        "average_loss": float(losses.mean()) if len(losses) else None,
        "largest_profit": float(profits.max()) if some else None,
        "largest_loss": float(profits.min()) if some else None,
        "average_bars_held": float(closed["bars_held"].mean()) if some else None,
        **_edge(closed, wins, losses),
    }


def _open_profit(curve: EquityCurve, trades: pd.DataFrame, funding: float) -> float:
    """What is left of the change of equity when the profits of closed trades and the funding are taken off."""
    if trades["closed"].notna().all():
        return 0.0
    closed = float(trades.loc[trades["closed"].notna(), "profit"].sum())
    return float(curve.equity[-1]) - curve.cash - closed + funding


def _edge(closed: pd.DataFrame, wins: FloatArray, losses: FloatArray) -> Metrics:
    """What a trade earns: `expectancy` is the mean profit as a fraction of the entry's notional."""
    won = closed["profit"].to_numpy(dtype=np.float64) > 0.0
    both = len(wins) > 0 and len(losses) > 0
    return {
        "payoff_ratio": float(wins.mean()) / -float(losses.mean()) if both else None,
        "expectancy": float(closed["rate"].mean()) if len(closed) else None,
        "longest_winning_streak": _longest(won),
        "longest_losing_streak": _longest(~won),
        "long_profit": float(closed.loc[closed["side"] == "long", "profit"].sum()),
        "short_profit": float(closed.loc[closed["side"] == "short", "profit"].sum()),
    }


def _longest(marks: BoolArray) -> int:
    """The longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], marks.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _win_rate(closed: pd.DataFrame) -> float | None:
    return float((closed["profit"] > 0.0).mean()) if len(closed) else None


def _plain(value: Any) -> Any:
    """The value as JSON can hold it: numbers that are not finite become None."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if value is None or not math.isfinite(value):
        return None
    return float(value)
