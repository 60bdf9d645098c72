"""Sections on a tuning: trials against their goals, what matters, the best ones, and folds of a walk-forward."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from backtests.searches.forward import Curve, Forward
from backtests.searches.tuning import Tuned
from foundation.dimensions import Dimension
from foundation.units import Quantity
from markets.candles import FloatArray
from reports import formats
from reports.catalogue import CATALOGUE
from reports.curves import EquityCurve
from reports.heat_maps import label
from reports.parts import Chart, Fold, Grid, Paragraph, Part, Section
from reports.search_figures import draw_parallel
from reports.search_sentences import constraint_words, undefined_words
from reports.sections.performance import equity_chart
from reports.tables import Cell, Table
from reports.tune_figures import draw_importance, draw_trials

LISTED, LINES = 30, 400
SHOWN = ("sharpe", "total_return", "max_drawdown", "trades", "win_rate", "liquidations", "fees")


def trials(found: Tuned) -> Section:
    """All trials against the first two objectives, or against time where there is one."""
    goals, table = found.goals, found.table
    metrics = [one.metric for one in goals.objectives[:2]]
    known = table.dropna(subset=metrics) if set(metrics) <= set(table.columns) else table.iloc[:0]
    kept = known["feasible"].to_numpy(bool)
    if len(metrics) == 2:
        across, up = (known[name].to_numpy(np.float64) for name in metrics)
        front = [known.index.tolist().index(number) for number in found.best]
        labels, said = (metrics[0], metrics[1]), "the Pareto front: no trial is better in every objective"
    else:
        across, up = known.index.to_numpy(np.float64), known[metrics[0]].to_numpy(np.float64)
        front = _records(up, kept, rising=goals.objectives[0].rising)
        labels, said = ("", metrics[0]), "each trial that was the best so far"
    left = len(table) - len(known)
    undrawn = f" {left:,} of {len(table):,} trials have no value of an objective, and are not drawn." if left else ""
    chart = Chart(
        "trials", lambda sheet: draw_trials(across, up, kept, front, labels, sheet),
        f"{len(known):,} trials as dots; {len(front)} of them are marked, {said}.",
        f"Blue: {said}. Crosses broke a constraint, dots kept them all.{undrawn}",
    )  # fmt: skip
    title = "The Pareto front" if len(metrics) == 2 else "Trials"
    parts: list[Part] = [chart] if len(known) else [Paragraph("No trial has a value of every objective.")]
    told = [*undefined_words(found, found.goals.metrics, "trials"), *constraint_words(found)]
    return Section("trials", "Trials", title, [*parts, *(Paragraph(one, "aside") for one in told)])


def _records(values: FloatArray, kept: Any, *, rising: bool) -> list[int]:
    found: list[int] = []
    for row in np.flatnonzero(kept):
        if not found or (values[row] > values[found[-1]] if rising else values[row] < values[found[-1]]):
            found.append(int(row))
    return found


def importance(found: Tuned) -> Section | None:
    """How much each parameter explains of each objective; None for too few trials."""
    if not found.importance:
        return None
    rows = [
        [Cell(label(one.name)), *(Cell(formats.percent(own.get(one.name, 0.0))) for own in found.importance.values())]
        for one in found.space
    ]
    names = [CATALOGUE[name].label for name in found.importance]
    said = "; ".join(f"{row[0].text} {row[1].text} of {names[0]}" for row in rows)
    colours = ("run", "second", "third", "fourth")
    chart = Chart(
        "importance", lambda sheet: draw_importance(found.importance, sheet), f"Bars: {said}.",
        "The share of an objective's variation among the better trials that each parameter explains (PED-ANOVA).",
        [(name, colour, "") for name, colour in zip(names, colours, strict=False)], low=True,
    )  # fmt: skip
    table = Fold("The same as a table", [Grid(Table("Share explained", ["", *names], rows))])
    return Section("importance", "What matters", "What matters", [chart, table])


def lines(found: Tuned) -> Section | None:
    """Parallel coordinates of the trials: parameters, then objectives."""
    metrics = [one.metric for one in found.goals.objectives]
    if not found.best:
        return None
    known = found.table.dropna(subset=metrics)
    drawn = np.random.default_rng(0).permutation(known.index.difference(list(found.best)).to_numpy())[:LINES]
    table = known.loc[[*found.best, *drawn]]
    columns = [_axis(one, table[one.name]) for one in found.space]
    columns += [_scale(CATALOGUE[name].label, table[name].to_numpy(np.float64), name) for name in metrics]
    chart = Chart(
        "lines", lambda sheet: draw_parallel(columns, len(found.best), sheet),
        f"{len(table):,} trials as lines over {len(columns)} axes, the best on top.",
        "Blue: the best trial, or those of the Pareto front; the broad one is the best by the first objective. Grey: "
        "others.",
    )  # fmt: skip
    return Section("lines", "Lines", "Trials as lines", [chart])


def _axis(one: Dimension, values: pd.Series[Any]) -> tuple[str, FloatArray, list[tuple[float, str]]]:
    if one.choices:
        words = [str(choice) for choice in one.choices]
        places = np.array([words.index(str(value)) for value in values]) / max(len(words) - 1, 1)
        return label(one.name), places, [(k / max(len(words) - 1, 1), word) for k, word in enumerate(words)]
    amounts = np.array([amount_of(value) for value in values])
    low, high = (np.log(one.low), np.log(one.high)) if one.log else (one.low, one.high)
    places = ((np.log(amounts) if one.log else amounts) - low) / (high - low)
    ends = [low + (high - low) * k / 4 for k in range(5)]
    ticks = [(k / 4, f"{np.exp(end) if one.log else end:.3g}{one.unit}") for k, end in enumerate(ends)]
    return label(one.name), places, ticks


def amount_of(value: Any) -> float:
    """The number that a value is, or begins with."""
    if isinstance(value, Quantity):
        return value.amount
    return float(str(value).rstrip("abcdefghijklmnopqrstuvwxyz%")) if isinstance(value, str) else float(value)


def _scale(name: str, values: FloatArray, metric: str) -> tuple[str, FloatArray, list[tuple[float, str]]]:
    low, high = float(values.min()), float(values.max())
    size = (high - low) or 1.0
    return name, (values - low) / size, [(k / 4, CATALOGUE[metric].write(low + size * k / 4)) for k in range(5)]


def best(found: Tuned) -> Section:
    """The best trials, and whether they keep the constraints."""
    parts: list[Part] = []
    if len(found.goals.objectives) > 1:
        parts.append(Grid(_trial_table(found, list(found.best), "The Pareto front"), wide=True, style="ledger"))
    first = found.goals.objectives[0]
    ranked = found.table[found.table["feasible"]]
    if not ranked.empty:
        ranked = ranked.sort_values(first.metric, ascending=not first.rising, kind="stable").head(LISTED)
        caption = f"The {len(ranked)} feasible trials with the best {CATALOGUE[first.metric].label}"
        parts.append(Grid(_trial_table(found, list(ranked.index), caption), wide=True, style="ledger"))
    else:
        parts.append(Paragraph("No trial kept all constraints; how far each one was kept stands under Trials."))
    parts.append(Paragraph("All trials with all metrics stand in trials.parquet.", "aside"))
    return Section("best", "Best trials", "The best trials", parts)


def _trial_table(found: Tuned, numbers: list[int], caption: str) -> Table:
    metrics = list(dict.fromkeys([*(one.metric for one in found.goals.objectives), *SHOWN]))
    rows = [
        [
            Cell(str(number)),
            *(Cell(str(found.table.loc[number, one.name])) for one in found.space),
            *(Cell(CATALOGUE[name].write(found.table.loc[number, name])) for name in metrics),
        ]
        for number in numbers
    ]
    heads = ["Trial", *(label(one.name) for one in found.space), *(CATALOGUE[name].label for name in metrics)]
    return Table(caption, heads, rows)


def stitched(found: Forward) -> Section:
    """The honest curve beside the one of hindsight."""
    currency = found.markets[0].contract.settlement
    curves = {"chosen on the past": _equity(found.curve), "chosen with hindsight": _equity(found.hindsight)}
    parts: list[Part] = [
        Paragraph(
            "Both lines cover the same bars. The first is what one could have traded: each fold under the values that "
            "were best before it began. The second is one setting, chosen after all of it was seen."
        ),
        equity_chart(curves, currency, "stitched"),
        Paragraph(
            "A fold starts without a position, with the equity that the fold before left. What is open at its last "
            "close is closed there, at the mark price less taker fee and slippage.",
            "aside",
        ),
    ]
    return Section("stitched", "Honest curve", "What could have been traded", parts)


def _equity(one: Curve) -> EquityCurve:
    return EquityCurve(one.timestamp, one.equity, one.cash, one.bar)


def folds(found: Forward) -> Section:
    """The values chosen before each fold, and the ratio they fell from and to."""
    names = [one.name for one in found.space]
    rows = []
    for _, row in found.folds.iterrows():
        chosen = [Cell(_value(row[name])) for name in names]
        ratios = [Cell(formats.ratio(row["inside"])), Cell(formats.ratio(row["outside"]))]
        grown = Cell(
            formats.percent(row["return"], signed=True),
            "gain" if row["return"] > 0 else "loss" if row["return"] < 0 else "",
        )
        rows.append(
            [Cell(formats.moment(row["first"])[:10]), *chosen, *ratios, grown, Cell(formats.count(row["trades"]))]
        )
    heads = ["From", *map(label, names), "Sharpe in sample", "Sharpe out of sample", "Return", "Trades"]
    parts: list[Part] = [
        Grid(Table("Values chosen on all bars before each fold, then traded on it", heads, rows), wide=True),
        Paragraph(
            "Values that wander from fold to fold say that the past does not hold them fast; a ratio that falls says "
            "how much of the one before was chosen, not earned."
        ),
    ]
    if found.folds["inside"].isna().any():
        idle = "A fold without values was not traded: before it no setting had traded and kept the constraints."
        parts.append(Paragraph(idle, "aside"))
    return Section("folds", "Folds", "Fold by fold", parts)


def _value(chosen: Any) -> str:
    """A value that was chosen before a fold, as a person writes it."""
    if chosen is None or pd.isna(chosen):
        return formats.NONE
    return f"{chosen:.10g}" if isinstance(chosen, int | float) else str(chosen)
