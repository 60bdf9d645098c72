"""Sections of doubt: the verdict, luck, what did what, what is assumed, and ruin."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from backtests.doubts.attribution import LEAST
from backtests.doubts.controls import Controls, Luck
from backtests.doubts.distance import SHARES
from backtests.doubts.examination import Examination
from backtests.doubts.playback import Outcome
from backtests.doubts.ruin import Odds
from backtests.doubts.sensitivity import Sensitivity
from reports import formats
from reports.catalogue import TOO_SHORT, too_short
from reports.doubt_figures import draw_distance, draw_fan, draw_margin, draw_range
from reports.findings import Findings
from reports.intervals import odds_words
from reports.palette import SWATCHES
from reports.parts import Chart, Fold, Grid, Ladder, Paragraph, Part, Section
from reports.tables import Cell, Table
from reports.verdict import RUNGS, Rung, Verdict, place

_STATES = {"passed": "climbed", "failed": "not climbed", "unknown": "cannot be judged", "not asked": "not asked"}
_STEPS: dict[str, Literal["passed", "failed", "open"]] = {"passed": "passed", "failed": "failed"}
_NO_BAND = "No bar holds both a stop and a target, so the order inside bars changes nothing."
_DRAWN = (
    " with their signals on them, some at each leverage and more at the run's own.",
    ", on which the strategy was played anew, with orders of its own; at other leverages it would give others.",
)
_PLAYED_AGAIN = (
    "The strategy was played again under each assumption; it sees the account as it then is. Late by a bar: it sees "
    "each bar when the next one has closed. "
)
_TONES = {"passed": "gain", "failed": "loss"}


def verdict(findings: Findings) -> list[Part]:
    """The verdict on a run."""
    return verdict_parts(findings.verdict)


def verdict_parts(found: Verdict) -> list[Part]:
    """A verdict in words, and the ladder behind a line."""
    rows = [
        [Cell(f"{one.number} {one.title}"), Cell(_STATES[one.state], _TONES.get(one.state, "")), Cell(one.text)]
        for one in found.rungs
    ]
    table = Table("Each rung and what decided it", ["Rung", "", "Why"], rows, text_columns=frozenset({0, 1, 2}))
    steps = [(f"{one.number} {one.title}", _STEPS.get(one.state, "open"), _step(one)) for one in found.rungs]
    kind = "evident" if found.rung >= RUNGS - 1 else "warned"
    return [
        Ladder(f"Verdict, {place(found.rung)}: {found.headline}", found.reason, kind, steps),
        Fold("The whole ladder, and what decided each rung", [Grid(table)]),
    ]


def _step(one: Rung) -> str:
    """What became of a rung, and its figure."""
    figure = "" if one.decided is None else one.decided.figure
    return f"{_STATES[one.state]}: {figure}" if figure else _STATES[one.state]


def luck(findings: Findings) -> Section:
    """Would it have worked anyway: our curve in the fans of luck, and simpler rules."""
    return _section(findings, "luck", "Luck", "Would it have worked anyway?", _luck_parts)


def parts(findings: Findings) -> Section:
    """What each part of the run did to its profit."""
    return _section(findings, "parts", "What did it", "What earned and what cost", _attribution_parts)


def sensitivity(findings: Findings) -> Section:
    """How much hangs on assumptions."""
    return _section(findings, "sensitivity", "Other assumptions", "How much hangs on assumptions?", _sensitivity_parts)


def ruin(findings: Findings) -> Section:
    """Leverage, the distance to liquidation, and the odds of ruin."""
    return _section(findings, "ruin", "Leverage and ruin", "Leverage and ruin", _ruin_parts)


def _section(
    findings: Findings, anchor: str, label: str, title: str, make: Callable[[Examination, Findings], list[Part]]
) -> Section:
    found = findings.examination
    if isinstance(found, str):
        return Section(anchor, label, title, [Paragraph(f"The run could not be played again: {found}.")])
    return Section(anchor, label, title, make(found, findings))


def _luck_parts(found: Examination, findings: Findings) -> list[Part]:
    controls, currency = found.controls, findings.result.settlement
    if controls.random.counted is not None:
        return _turned_parts(controls, findings)
    fans: list[Part] = [_fan(controls.random, "random entries", "random", currency)]
    if controls.permuted is not None:
        permuted = _fan(controls.permuted, "permuted forecasts", "permuted", currency)
        fans.append(Fold("The same with the forecasts in another order", [permuted]))
    return [
        Paragraph(
            "The same account, bars, sizing, exits and costs under other signals. Random entries want each side as "
            "often and for as long as the run did, at other times; permuted forecasts say the same things at other "
            "times, and the averages still confirm."
        ),
        fans[0],
        Paragraph(_as_often(controls)),
        *fans[1:],
        Grid(_luck_table(controls, short=_short(findings))),
        Paragraph(
            "p: the chance that luck has a Sharpe ratio at least as high, by all draws and the run itself. Ranks are "
            "by Sharpe ratio, because signals that come in wild times make wide profits at equal skill.",
            "aside",
        ),
    ]


def _turned_parts(controls: Controls, findings: Findings) -> list[Part]:
    """Luck of a strategy written by hand: its positions at other times."""
    luck, counted, asks = controls.random, controls.random.counted, findings.facts.asks
    assert counted is not None
    earned = [formats.percent(one.total_return, signed=True) for one in (counted, controls.ours)]
    permuted = (
        " Permuted forecasts are left out: what the strategy makes of a forecast is its own affair, and hundreds of "
        "runs of it would take long."
    )
    return [
        Paragraph(
            "The positions of this run, as multiples of its equity and with what they cost, turned round in time: each "
            "side is held as often, for as long and as large, at other times. All are counted by the bar, the run's "
            "own too: what is held after the orders of an open earns from there to the close, and an order that fills "
            f"inside a bar counts from its end on. Counted so this run earns {earned[0]}; as it was played, "
            f"{earned[1]}.{permuted if asks else ''}"
        ),
        _fan(luck, "turned positions", "random", findings.result.settlement),
        Grid(_luck_table(controls, short=_short(findings))),
        Paragraph(
            "p: the chance that the positions at other times have a Sharpe ratio at least as high as when they were "
            "held, by all draws and the run itself.",
            "aside",
        ),
    ]


def _as_often(controls: Controls) -> str:
    """How often random entries trade, why that is not as often as the run, and what those come to that do."""
    found, ours = controls.random, controls.ours.trades
    mean = "1 trade" if round(found.trades) == 1 else f"{found.trades:,.0f} trades"
    said = f"Random entries made {mean} in the mean, this run {ours:,}."
    if found.trades == 0.0 or ours == 0:
        return said
    lasting = f"their trades last {found.held:.1f} bars, those of the run {controls.held:.1f}"
    if found.trades > 1.02 * ours:
        sooner = "what goes against them is stopped sooner, and the next wanted side is entered"
        said += f" Sides are wanted as often, but {lasting}: {sooner}." if found.held < controls.held else ""
    elif found.trades < 0.98 * ours:
        later = "what is wanted while a position is held opens nothing"
        said += f" Sides are wanted as often, but {lasting}: {later}." if found.held > controls.held else ""
    near = found.near
    reached = round(near.p * (near.draws + 1)) - 1
    return (
        f"{said} Of the {near.draws:,} draws that trade most nearly as often, {near.trades:,.0f} times, {reached:,} "
        f"have as high a Sharpe ratio (p {formats.probability(near.p)})."
    )


def _short(findings: Findings) -> bool:
    return too_short(findings.metrics["days"])


def _fan(found: Luck, name: str, anchor: str, currency: str) -> Chart:
    place = formats.percent(found.place)
    ends = [formats.money(float(band[-1])) for band in (found.fan.bands[0], found.fan.bands[-1])]
    ours = formats.money(float(found.fan.ours[-1]))
    described = (
        f"Equity of {found.draws:,} runs on {name} as a fan that ends between {ends[0]} and {ends[1]} {currency} nine "
        f"times in ten, with the run's curve, which ends at {ours}."
    )
    legend = [("this run", "run", SWATCHES[0]), ("median of luck", "first", SWATCHES[1])]
    caption = (
        f"Bands hold half and nine tenths of {found.draws:,} runs on {name}; {place} of them ended below this run."
    )
    return Chart(anchor, lambda sheet: draw_fan(found.fan, sheet, currency=currency), described, caption, legend)


def _luck_table(controls: Controls, *, short: bool) -> Table:
    rows = [_outcome_row("this run", controls.ours, short=short)]
    counted = controls.random.counted
    rows += [] if counted is None else [_outcome_row("its positions, by the bar", counted, short=short)]
    rows += [_outcome_row(name, one, short=short) for name, one in controls.simpler.items()]
    rows = [[*row, Cell("")] for row in rows]
    drawn = "random entries, median" if counted is None else "turned positions, median"
    for name, one in ((drawn, controls.random), ("permuted forecasts, median", controls.permuted)):
        if one is not None:
            middle = [float(np.median(values)) for values in (one.total_return, one.sharpe)]
            cells = [Cell(formats.percent(middle[0], signed=True)), _sharpe(middle[1], short=short)]
            rows.append([Cell(name), *cells, Cell(f"{one.trades:,.0f}"), Cell(formats.probability(one.p))])
    return Table("The same account under other signals", ["", "Return", "Sharpe", "Trades", "p"], rows)


def _outcome_row(name: str, one: Outcome, *, short: bool) -> list[Cell]:
    grown = Cell(formats.percent(one.total_return, signed=True))
    return [Cell(name), grown, _sharpe(one.sharpe, short=short), Cell(f"{one.trades:,}")]


def _sharpe(value: float, *, short: bool) -> Cell:
    return Cell(TOO_SHORT if short else formats.ratio(value))


def _attribution_parts(found: Examination, _: Findings) -> list[Part]:
    kept = found.attribution
    if kept is None:
        return [
            Paragraph(
                "A strategy written by hand has no parts that could be left out one by one. What its costs were stands "
                "under Costs."
            )
        ]
    rows = [
        [Cell(one.name), _growth(one.added), _times(math.exp(one.added)), _times(one.multiple), _growth(one.alone)]
        for one in kept.parts
    ]
    rows.append([Cell("all, this run"), _growth(kept.growth), _times(math.exp(kept.growth)), Cell(""), Cell("")])
    heads = ["Part", "Adds to log growth", "Equity times", "So far, cash times", "Alone"]
    return [
        Grid(Table("The growth of equity in steps, which add up to that of the run", heads, rows), style="steps"),
        Paragraph(
            "Growth is the natural logarithm of final equity over cash: +0.1 is 1.105 times the equity. In money "
            "nothing adds up that can be read, because an account that compounds works with what the parts before "
            "earned."
        ),
        Paragraph(
            "Adds: the growth with this part put on top of those above it, less the growth without it; another order "
            f"would share it out otherwise. It begins with the {kept.parts[0].name} alone, with the whole equity at "
            "leverage 1, without exits, costs and funding. Alone: the growth of the run less that of the run without "
            "this one part; these do not add up. Fees and slippage also move through the sizes of later trades. What "
            f"costs were in money stands under Costs. An account that is lost counts as {LEAST:.1%} of its cash.",
            "aside",
        ),
    ]


def _growth(value: float | None) -> Cell:
    text = formats.decimal(value, digits=3, signed=True)
    return Cell(text, "gain" if text.startswith("+") else "loss" if text.startswith(formats.MINUS) else "")


def _times(value: float) -> Cell:
    return Cell(formats.decimal(value, digits=3 if value < 10.0 else 1))


def _sensitivity_parts(found: Examination, findings: Findings) -> list[Part]:
    one, currency = found.sensitivity, findings.result.settlement
    curves = [found.controls.ours.equity, one.intrabar["adverse"].equity, one.intrabar["favourable"].equity]
    ends = [formats.money(float(curve[-1])) for curve in curves]
    bound = f" {one.bound:,} liquidations rest on the bound of the cross account alone." if one.bound else ""
    grid = Grid(_sensitivity_table(one, short=_short(findings)))
    if all(np.array_equal(curves[0], other) for other in curves[1:]):
        again = _PLAYED_AGAIN if found.attribution is None else ""
        return [Paragraph(f"{again}{_NO_BAND}{bound} {_break_even(one)}"), grid]
    chart = Chart(
        "orders",
        lambda sheet: draw_range(one.timestamp, curves, sheet, currency=currency),
        f"Equity of the run, which ends at {ends[0]}, between the adverse order inside bars, at {ends[1]}, and the "
        f"favourable one, at {ends[2]} {currency}.",
        "Where a bar holds both a stop and a target, nobody knows which came first: the band between both answers.",
        list(zip(("this run", "adverse", "favourable"), ("run", "first", "second"), SWATCHES, strict=False)),
        low=True,
    )
    again = _PLAYED_AGAIN if found.attribution is None else ""
    depending = f"{one.depending:,} of {one.trades:,} trades end otherwise under the other order."
    said = f"{again}{depending}{bound} {_break_even(one)}"
    return [Paragraph(said), chart, grid]


def _break_even(one: Sensitivity) -> str:
    if one.break_even == 0.0:
        return "Even without costs nothing is earned."
    if not math.isfinite(one.break_even):
        return "Costs do not decide: 64 times as high they leave a profit."
    return f"At {formats.ratio(one.break_even)} times its costs nothing is left."


def _sensitivity_table(one: Sensitivity, *, short: bool) -> Table:
    named = {f"{formats.words(name)} order inside bars": kept for name, kept in one.intrabar.items()}
    named |= {f"limits fill by {name}": kept for name, kept in one.limit_fill.items()}
    named |= {f"{multiple:g} times the costs": kept for multiple, kept in one.costs.items()}
    named |= {"signals a bar late": one.delayed}
    rows = [_outcome_row(name, kept, short=short) for name, kept in named.items()]
    return Table("The run under other assumptions", ["", "Return", "Sharpe", "Trades"], rows)


def _ruin_parts(found: Examination, _: Findings) -> list[Part]:
    made = list[Part]()
    made += [_distance_chart(found, number) for number, one in enumerate(found.distances) if one.held > one.safe]
    if found.distances[0].margin[1] > 0.0:
        made.append(_margin_chart(found))
    near = [one for one in found.distances if one.held > one.safe]
    if near:
        rows = []
        for one in near:
            for name, values, write in (("", one.rates, formats.percent), (", ATR", one.atrs, formats.ratio)):
                rows.append([Cell(f"{one.symbol}{name}"), *(Cell(write(value)) for value in values)])
        heads = ["", *("nearest" if share == 0.0 else f"{100 * share:g}% of bars" for share in SHARES)]
        made.append(Grid(Table("Distance to liquidation, on bars with a position", heads, rows)))
    return [*made, _odds_grid(found), *_ruin_texts(found)]


def _odds_grid(found: Examination) -> Grid:
    rows = [
        [
            Cell(_leverage(one, own=one is found.odds.own)),
            *_odds(one.liquidation, one.paths),
            *_odds(one.fall, one.paths),
            Cell(formats.count(one.paths)),
        ]
        for one in found.odds.odds
    ]
    heads = ["Leverage", "Liquidation", "range", "Fall by half", "range", "Paths"]
    return Grid(Table("Odds by leverage", heads, rows))


def _leverage(one: Odds, *, own: bool) -> str:
    """The leverage of a row; the orders of a strategy written by hand have their own."""
    return "this run's own" if math.isnan(one.leverage) else f"{one.leverage:g}{' (this run)' if own else ''}"


def _ruin_texts(found: Examination) -> list[Part]:
    texts = list[Part]()
    if found.stops is not None:
        least, half, beyond = found.stops.least, found.stops.median, formats.percent(found.stops.beyond)
        texts.append(
            Paragraph(
                f"From leverage {least:.1f} on a stop lies beyond liquidation at one entry, from {half:.1f} on at half "
                f"of them; at the run's own leverage at {beyond}."
            )
        )
    texts.append(
        Paragraph(
            f"Odds: the share of the paths, of {found.odds.bars:,} bars each, made of blocks of the bars that were "
            f"played{_DRAWN[found.attribution is None]} Range: what so many "
            "paths leave open; each end holds 19 times in 20 (Clopper and Pearson). A crash that never happened is on "
            "no path.",
            "aside",
        )
    )
    return texts


def _odds(share: float, paths: int) -> tuple[Cell, Cell]:
    return Cell(formats.percent(share)), Cell(odds_words(round(share * paths), paths))


def _distance_chart(found: Examination, number: int) -> Chart:
    one = found.distances[number]
    nearest, atrs = formats.percent(one.rates[0]), formats.ratio(one.atrs[0])
    return Chart(
        f"distance{number}",
        lambda sheet: draw_distance(one, sheet),
        f"Distance of {one.symbol} to liquidation through time, at the nearest {nearest}, and below it the same in "
        f"average true ranges, at the nearest {atrs}.",
        f"The nearest in each stretch of time, from the worst mark price of a bar; {nearest} or {atrs} average true "
        "ranges at the nearest. Gaps: no position.",
    )


def _margin_chart(found: Examination) -> Chart:
    one = found.distances[0]
    middle, most = (formats.percent(share) for share in one.margin)
    return Chart(
        "margin",
        lambda sheet: draw_margin(one, sheet),
        f"Margin in use through time as a share of equity, at the most {most}.",
        f"The largest in each stretch of time, of all positions together; on bars with a position {middle} at the "
        f"median, {most} at the most.",
        low=True,
    )
