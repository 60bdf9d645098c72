"""The pages of tunings: one self-contained HTML file each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from backtests.searches.forward import Forward
from backtests.searches.goals import Constraint
from backtests.searches.tuning import Tuned
from foundation.trials import TrialLedger
from reports import formats
from reports.catalogue import CATALOGUE
from reports.heat_maps import label
from reports.page import draw
from reports.search_sentences import counted, forward_banners, metric_words, tuned_banners
from reports.sections import search, tuning
from reports.sentences import ratio_banner
from reports.sweep_page import days_of, provenance, span_heading
from reports.templating import render


def render_tuned(found: Tuned, name: str, ledger: TrialLedger) -> str:
    """The HTML of a tuning's report: nothing from the network."""
    named = {f"trial {number}": found.replayed[number] for number in found.best[:3]}
    made = [
        tuning.trials(found),
        tuning.importance(found),
        tuning.lines(found),
        tuning.best(found),
        search.winners(named, ledger),
        search.snippet(found.values(found.best[0]), "The best trial as a config") if found.best else None,
    ]
    return render(
        "search.html", draw=draw, title=name, banners=[*tuned_banners(found), *ratio_banner(days_of(found))],
        lead=_lead(found), tiles=_tiles(found),
        sections=[one for one in made if one is not None], **span_heading(found), provenance=provenance(found),
    )  # fmt: skip


def _lead(found: Tuned) -> str:
    goals = " and ".join(
        f"{'high' if one.rising else 'low'} {metric_words(one.metric)}" for one in found.goals.objectives
    )
    bounds = ", ".join(map(_bound, found.goals.constraints))
    count = f"{len(found):,} trials over {formats.counted(len(found.space), 'parameter')} were played for a {goals}"
    count += f", with {bounds}" if bounds else ""
    if not found.best:
        return f"{count}; none kept all constraints."
    values = ", ".join(f"{label(name)} {value}" for name, value in found.values(found.best[0]).items())
    if len(found.best) > 1:
        return (
            f"{count}. {len(found.best)} of them form the Pareto front; the one with the best first goal has {values}."
        )
    return f"{count}. The best one has {values}."


def _bound(one: Constraint) -> str:
    return (
        f"{metric_words(one.metric)} {'at most' if one.most else 'at least'} {CATALOGUE[one.metric].write(one.bound)}"
    )


def _tiles(found: Tuned) -> list[tuple[str, str, str]]:
    feasible = int(found.table["feasible"].sum())
    tiles = [("Trials", formats.count(len(found)), ""), ("Kept the constraints", formats.count(feasible), "")]
    if found.best:
        row = found.table.loc[found.best[0]]
        shown = ("sharpe", "total_return", "max_drawdown", "trades", "liquidations")
        tiles += [(CATALOGUE[name].label, CATALOGUE[name].write(row[name]), "") for name in shown]
    tiles.append(("Trials on this data", formats.count(found.trials), counted(found.head)))
    return tiles


def render_forward(found: Forward, name: str) -> str:
    """The HTML of a walk-forward tuning's report: nothing from the network."""
    title = "Chosen on everything seen so far: the values that the next bars would be traded with"
    sections = [tuning.stitched(found), tuning.folds(found)]
    if found.known:
        sections.append(search.snippet(found.known, title))
    played = found.markets
    stamps = found.curve.timestamp
    heading: dict[str, Any] = {
        "synthetic": any(one.synthetic for one in played),
        "markets": [f"{one.contract.key} perpetual" for one in played],
        "bar": formats.span(played[0].candles.bar),
        "first": formats.day(pd.Timestamp(int(stamps[0]))),
        "last": formats.day(pd.Timestamp(int(stamps[-1]))),
        "bars": formats.count(len(stamps)),
    }
    prints = [(f"Market {one.symbol}", one.fingerprint) for one in played]
    return render(
        "search.html", draw=draw, title=name, lead=_forward_lead(found), tiles=_forward_tiles(found),
        banners=[*forward_banners(found), *ratio_banner(len(stamps) * played[0].candles.bar / 86_400e9)],
        sections=sections, **heading,
        provenance=[*prints, ("Forecasts", f"{found.forecasts.name} {found.forecasts.fingerprint}")],
    )  # fmt: skip


def _forward_lead(found: Forward) -> str:
    end, cash = float(found.curve.equity[-1]), found.curve.cash
    change = formats.percent(end / cash - 1.0, signed=True)
    best = formats.percent(float(found.hindsight.equity[-1]) / cash - 1.0, signed=True)
    hindsight = f"With hindsight one setting would have made {best}."
    if not found.known:
        hindsight = "On all bars together no setting kept the constraints either."
    count = formats.counted(len(found.folds), "fold")
    return f"{count}, each traded with the values that were best on all bars before it: {change} in all. {hindsight}"


def _forward_tiles(found: Forward) -> list[tuple[str, str, str]]:
    fall = _drawdown(found)
    return [
        ("Sharpe in sample", formats.ratio(found.inside), "mean of folds"),
        ("Sharpe out of sample", formats.ratio(found.curve.sharpe), ""),
        ("Fall of the Sharpe", formats.ratio(found.fall), ""),
        ("Sharpe with hindsight", formats.ratio(found.hindsight.sharpe), ""),
        ("Total return", formats.percent(float(found.curve.equity[-1]) / found.curve.cash - 1.0, signed=True), ""),
        (CATALOGUE["max_drawdown"].label, formats.percent(fall), ""),
        ("Trades", formats.count(int(found.folds["trades"].sum())), ""),
        ("Trials on this data", formats.count(found.trials), counted(found.head)),
    ]


def _drawdown(found: Forward) -> float:
    path = np.concatenate(([found.curve.cash], found.curve.equity))
    return float((1.0 - path / np.maximum.accumulate(path)).max())
