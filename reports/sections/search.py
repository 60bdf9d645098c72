"""Sections on a search: heat maps, what each value does, all settings as lines, the best ones, how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tomli_w

from backtests.run.result import Result
from backtests.searches.landscape import best_numbers
from backtests.searches.sweeps import Sweep
from foundation.trials import TrialLedger
from markets.candles import FloatArray
from reports import formats
from reports.catalogue import CATALOGUE
from reports.certainty import weigh
from reports.certainty_table import certainty_table, explain_certainty
from reports.curves import equity_curve
from reports.heat_maps import MOST_CELLS, chosen_number, heat_maps, label
from reports.metrics import compute_metrics
from reports.parts import Chart, Fold, Grid, Paragraph, Part, Section, Widget
from reports.search_figures import draw_effects, draw_parallel
from reports.search_sentences import settings_words, undefined_words
from reports.sections.performance import equity_chart
from reports.tables import Cell, Table

# How many of the best settings a page lists, and how many lines it draws.
LISTED, LINES, MARKED = 25, 400, 20
JOINED = (
    f" Where a parameter has more than {MOST_CELLS} values, a row or column stands for some of them, from the one that "
    "it names up to the next, and shows the worst of their figures."
)
SHOWN = ("plateau", "sharpe", "total_return", "max_drawdown", "trades", "win_rate", "liquidations", "fees")


def maps(found: Sweep) -> Section | None:
    """Heat maps of the parameters that matter most; None where only one is varied."""
    made = heat_maps(found)
    if not made:
        return None
    parts: list[Part] = [
        Paragraph(
            "The large figure, and the colour, is the plateau: the worst Sharpe ratio among a setting and its "
            "neighbours, a step away on one axis or more. The small figure is the setting's own ratio. A high ratio "
            "beside a low plateau is a peak, and peaks do not last."
            + (JOINED if any(one.joined for one in made) else "")
        ),
        Widget("maps.html", {"maps": made}),
    ]
    return Section("maps", "Heat maps", "Plateaus", parts)


def values(found: Sweep) -> Section:
    """What each value of each parameter does on its own."""
    effects = found.effects
    rows = [
        [Cell(f"{label(str(one.axis))} {one.value}"), *(Cell(formats.ratio(part)) for part in one[2:])]
        for one in effects.itertuples(index=False)
    ]
    spread = effects.groupby("axis", sort=False)["median"].agg(lambda one: float(one.max() - one.min()))
    said = "; ".join(f"{label(str(name))} moves the median by {formats.ratio(size)}" for name, size in spread.items())
    parts: list[Part] = [Paragraph(text) for text in told_idle(found)]
    if effects["median"].notna().any():
        chart = Chart(
            "effects", lambda sheet: draw_effects(effects, found.grid.runs, sheet), f"One panel a parameter: {said}.",
            "Line and dots: the median Sharpe ratio at a value, over all other parameters. Bars: from the worst to "
            "the best.",
        )  # fmt: skip
        parts.append(chart)
    parts.append(
        Fold("The same as a table", [Grid(Table("Sharpe ratio by value", ["", "median", "worst", "best"], rows))])
    )
    return Section("values", "Each value", "What each value does on its own", parts)


def told_idle(found: Sweep) -> list[str]:
    """A sentence on parameters that change nothing; none where all do."""
    names = [label(name) for name in found.idle]
    if not names:
        return []
    said = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    return [
        f"{said[0].upper()}{said[1:]} changed nothing: settings that differ in no other value came to the same Sharpe "
        "ratio. Another parameter may decide in its place, as the way of sizing does for leverage."
    ]


def lines(found: Sweep) -> Section | None:
    """Parallel coordinates: each setting a line over all parameters to its plateau and Sharpe ratio."""
    best = best_numbers(found.plateau, MARKED, found.sharpe)
    known = np.flatnonzero(~np.isnan(found.plateau))
    if len(best) < 2:
        return None
    drawn = np.random.default_rng(0).choice(known, min(LINES, len(known)), replace=False)
    numbers = np.concatenate((best, np.setdiff1d(drawn, best)))
    columns = [_axis(label(name), row, found.grid.axes[name]) for name, row in found.grid.columns(numbers).items()]
    columns += [
        _scale(name, values[numbers]) for name, values in (("plateau", found.plateau), ("Sharpe", found.sharpe))
    ]
    chart = Chart(
        "lines", lambda sheet: draw_parallel(columns, len(best), sheet),
        f"{len(numbers):,} settings as lines over {len(columns)} axes, the {len(best)} with the best plateau on top.",
        f"Blue: the {len(best)} settings with the best plateau, the best one broad. Grey: "
        f"{len(numbers) - len(best):,} others, drawn by chance.",
    )  # fmt: skip
    return Section("lines", "Lines", "Settings as lines", [chart])


_Column = tuple[str, FloatArray, Sequence[tuple[float, str]]]


def _axis(name: str, row: Any, values: Sequence[Any]) -> _Column:
    last = max(len(values) - 1, 1)
    shown = np.unique(np.linspace(0, len(values) - 1, min(len(values), 7)).round().astype(int))
    places = row / last if len(values) > 1 else np.full(len(row), 0.5)
    return name, places, [(at / last if len(values) > 1 else 0.5, str(values[at])) for at in shown]


def _scale(name: str, values: FloatArray) -> _Column:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    size = (high - low) or 1.0
    return name, (values - low) / size, [(k / 4, formats.ratio(low + size * k / 4)) for k in range(5)]


def settings(found: Sweep) -> Section:
    """The best settings by plateau, and those by Sharpe ratio."""
    parts: list[Part] = [
        Grid(_settings_table(found, "plateau"), wide=True, style="ledger"),
        Fold("The best by Sharpe ratio alone", [Grid(_settings_table(found, "sharpe"), wide=True, style="ledger")]),
        *(Paragraph(text, "aside") for text in undefined_words(found, ("plateau", "sharpe"), "settings")),
        Paragraph(
            "Of settings that came to the same in every metric the first one is listed. All settings with all metrics "
            "stand in settings.parquet.",
            "aside",
        ),
    ]
    return Section("settings", "Settings", "The best settings", parts)


def _settings_table(found: Sweep, by: str) -> Table:
    table, axes = found.best(by, LISTED), list(found.grid.axes)
    heads = [label(name) for name in axes]
    labels = ["Plateau", *(CATALOGUE[name].label for name in SHOWN[1:])]
    rows = [
        [*(Cell(str(row[name])) for name in axes), *(_metric(name, row[name]) for name in SHOWN)]
        for _, row in table.iterrows()
    ]
    caption = f"The {len(rows)} settings with the best {'plateau' if by == 'plateau' else 'Sharpe ratio'}"
    caption += f", fees in {found.ground.stage.played[0].contract.settlement}"
    return Table(caption, [*heads, *labels], rows, frozenset(range(len(axes))))


def _metric(name: str, value: float) -> Cell:
    return Cell(formats.ratio(value) if name == "plateau" else CATALOGUE[name].write(value))


def winners(results: Mapping[str, Result], ledger: TrialLedger) -> Section | None:
    """The equity of the chosen settings as Backtrader played them, and what luck explains of the first."""
    if not results:
        return None
    curves = {name: equity_curve(one) for name, one in results.items()}
    first = next(iter(results.values()))
    certainty = weigh(first, ledger)
    parts: list[Part] = [
        Paragraph("Played again by Backtrader: every fill and the equity at every bar are those of the search."),
        equity_chart(curves, first.settlement, "winners"),
        Paragraph(explain_certainty(certainty)),
        Grid(certainty_table(certainty, compute_metrics(first), equity_curve(first))),
    ]
    return Section("sure", "How sure", "The chosen setting, and how sure that is", parts)


def snippet(values: Mapping[str, Any], title: str = "The chosen setting as a config") -> Section:
    """Some values as the tables of a config file, and what to do with them next."""
    tables: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        table, _, key = name.partition(".")
        tables.setdefault(table, {})[key] = value if isinstance(value, int | float | list) else str(value)
    text = tomli_w.dumps(tables).strip()
    alone = f"crossgate backtest CONFIG {settings_words(values)}"
    parts: list[Part] = [
        Widget("snippet.html", {"text": text, "label": title}),
        Paragraph(
            "Next: the same setting as a run of its own, whose verdict counts all these trials. CONFIG is that of this "
            "search, which is kept as config.toml beside this page."
        ),
        Widget("snippet.html", {"text": alone, "label": "The command that plays it"}),
    ]
    return Section("config", "Config", title, parts)


def chosen(found: Sweep) -> dict[str, Any]:
    """The values of the setting with the best plateau."""
    return found.grid.point(chosen_number(found))


def named(found: Sweep) -> dict[str, Result]:
    """The replayed results by what they are the best by, the plateau first; of two that are the same, the first."""
    peak = best_numbers(found.sharpe, 1).tolist()
    plateau = [] if found.chosen is None else [found.chosen]
    seen: dict[int, str] = {}
    for name, numbers in (("best plateau", plateau), ("best Sharpe ratio", peak)):
        for number in numbers:
            own = found.replayed[number].equity["equity"]
            at = next((one for one in seen if found.replayed[one].equity["equity"].equals(own)), number)
            seen[at] = f"{seen[at]} and {name}" if at in seen else name
    return {name: found.replayed[number] for number, name in seen.items()}
