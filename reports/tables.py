"""Tables: what a page sets in rows and columns, already written out as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from reports import formats
from reports.catalogue import CATALOGUE, GROUPS, SIDE_BY_SIDE, figure
from reports.curves import EquityCurve
from reports.settings import flatten

if TYPE_CHECKING:
    from backtests.run.result import Result
    from backtests.under_backtrader.ledger import Totals


class Cell(NamedTuple):
    """The text of one cell; `tone` is gain, loss or empty; `heat` from 0 to 100 shades it in that tone."""

    text: str
    tone: str = ""
    heat: int = 0
    title: str = ""


@dataclass(frozen=True)
class Table:
    """A table for a page: its caption, its column heads, and rows whose first cell names the row.

    `text_columns`: the numbers of the columns that hold words; all others are set as figures.
    """

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    text_columns: frozenset[int] = field(default=frozenset({0}))


def with_meanings(table: Table) -> Table:
    """The table with what its rows mean in a column of its own, for a page on which nothing can be pressed."""
    if not any(row[0].title for row in table.rows):
        return table
    rows = [[*row, Cell(row[0].title)] for row in table.rows]
    return Table(table.caption, [*table.heads, "What it is"], rows, table.text_columns | {len(table.heads)})


def side_by_side(metrics: Mapping[str, Mapping[str, Any]], caption: str, names: Sequence[str] = SIDE_BY_SIDE) -> Table:
    """The metrics of several runs, a column each."""
    rows = []
    for name in names:
        entry = CATALOGUE[name]
        values = [Cell(figure(one, name)) for one in metrics.values()]
        rows.append([Cell(entry.label, title=entry.meaning), *values])
    return Table(caption, ["", *metrics], rows)


def metric_tables(metrics: Mapping[str, Any]) -> list[Table]:
    """All metrics of a run in groups, a small table each."""
    return [
        Table(
            group,
            ["", "Value"],
            [
                [
                    Cell(CATALOGUE[name].label, title=CATALOGUE[name].meaning),
                    Cell(figure(metrics, name)),
                ]
                for name in names
            ],
        )
        for group, names in GROUPS.items()
    ]


def monthly_table(curve: EquityCurve) -> Table:
    """Returns by month, shaded by their size; the sign stands in the text too."""
    returns = curve.monthly_returns()
    months = returns.drop(columns="year").to_numpy(dtype=np.float64)
    largest = float(np.nanmax(np.abs(months), initial=0.0)) or 1.0
    rows = []
    for year, values in returns.iterrows():
        cells = [_heated(float(value), largest) for value in values.iloc[:-1]]
        rows.append([Cell(str(year)), *cells, _toned(float(values.iloc[-1]), formats.percent)])
    heads = ["Year", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Year"]
    return Table("Return by calendar month (UTC), after all costs", heads, rows)


def _slippage_lines(totals: Totals) -> list[tuple[str, float]]:
    """Slippage in one line, or by kind where it has more than the fixed one."""
    if not totals.spread_cost and not totals.impact_cost:
        return [("Slippage, inside the fill prices", -totals.slippage)]
    fixed = totals.slippage - totals.spread_cost - totals.impact_cost
    return [
        ("Fixed slippage, inside the fill prices", -fixed),
        ("Half-spread, inside the fill prices", -totals.spread_cost),
        ("Market impact, inside the fill prices", -totals.impact_cost),
    ]


def cost_table(result: Result, curve: EquityCurve) -> Table:
    """From the profit of trading to the change of equity, cost by cost."""
    totals, cash = result.totals, result.account.cash
    change = float(curve.equity[-1]) - cash
    gross = change + totals.fees + totals.funding + totals.liquidation_charges
    notional = float(result.fills["notional"].sum())
    lines = [
        ("Profit before slippage", gross + totals.slippage),
        *_slippage_lines(totals),
        ("Profit at fill prices", gross),
        ("Trading fees", -totals.fees),
        ("Funding received (paid below zero)", -totals.funding),
        ("Liquidation charges", -totals.liquidation_charges),
        ("Change of equity", change),
    ]
    rows = []
    for label, amount in lines:
        share = formats.percent(amount / cash, signed=True, decimals=2)
        rate = formats.decimal(1e4 * amount / notional, digits=2, signed=True) if notional else formats.NONE
        rows.append([Cell(label), _toned(amount, formats.money), Cell(share), Cell(rate)])
    heads = ["", result.settlement, "of starting cash", "bps of traded notional"]
    return Table("From trading profit to the change of equity", heads, rows)


def breakdown_table(trades: pd.DataFrame) -> Table:
    """Closed trades by side and by the reason of their exit, then those that are still open, at the last mark price."""
    closed = trades[trades["closed"].notna()]
    groups = [("All closed trades", closed)]
    groups += [(f"{side.title()}", closed[closed["side"] == side]) for side in ("long", "short")]
    reasons = sorted(set(closed["exit_reason"]))
    groups += [(f"Exit by {formats.words(reason)}", closed[closed["exit_reason"] == reason]) for reason in reasons]
    heads = ["", "Trades", "Win rate", "Profit", "Average", "Best", "Worst", "Bars held", "Funding paid"]
    rows = [_group(*group) for group in groups]
    still = trades[trades["closed"].isna()]
    if len(still):
        # What has not ended has neither been won nor lost.
        rows.append([cell if at != 2 else Cell(formats.NONE) for at, cell in enumerate(_group("Still open", still))])
    return Table("Trades: profit after fees, before funding", heads, rows)


def _group(label: str, trades: pd.DataFrame) -> list[Cell]:
    if trades.empty:
        return [Cell(label), Cell("0"), *[Cell(formats.NONE)] * 7]
    profit = trades["profit"]
    return [
        Cell(label),
        Cell(formats.count(len(trades))),
        Cell(formats.percent(float((profit > 0.0).mean()))),
        *(_toned(float(value), formats.money) for value in (profit.sum(), profit.mean(), profit.max(), profit.min())),
        Cell(formats.decimal(float(trades["bars_held"].mean()), digits=1)),
        Cell(formats.money(float(trades["funding"].sum()))),
    ]


def trade_table(trades: pd.DataFrame, caption: str, *, several: bool) -> Table:
    """Trades one by one; with `several` symbols each row names its own."""
    heads = [
        "No.",
        *(["Symbol"] if several else []),
        "Side",
        "Opened, UTC",
        "Closed, UTC",
        "Bars",
        "Quantity",
        "Entry",
        "Exit",
    ]
    heads += ["Profit", "of notional", "Fees", "Funding paid", "Exit by"]
    rows = []
    for number, trade in trades.iterrows():
        words = [str(trade["symbol"])] if several else []
        words += [str(trade["side"]), formats.moment(trade["opened"]), formats.moment(trade["closed"])]
        figures = [formats.count(trade["bars_held"]), formats.quantity(trade["quantity"])]
        figures += [formats.price(trade[name]) for name in ("entry_price", "exit_price")]
        rows.append(
            [
                *(Cell(text) for text in (str(int(str(number)) + 1), *words, *figures)),
                _toned(float(trade["profit"]), formats.money),
                Cell(formats.percent(float(trade["rate"]), signed=True, decimals=2)),
                Cell(formats.money(float(trade["fees"]))),
                Cell(formats.money(float(trade["funding"]))),
                Cell(formats.words(str(trade["exit_reason"]))),
            ]
        )
    words_at = range(4 + several) if several else range(4)
    return Table(caption, heads, rows, frozenset({*words_at, len(heads) - 1}))


def decision_table(decisions: pd.DataFrame) -> Table:
    """How many bars were decided how, and why."""
    sides = {1: "long", 0: "hold", -1: "short"}
    counts = Counter(zip(decisions["signal"].astype(int), decisions["reason"].astype(str), strict=True))
    ordered = sorted(counts.items(), key=lambda item: (-item[0][0], -item[1], item[0][1]))
    rows = [
        [
            Cell(sides[signal]),
            Cell(_because(reason)),
            Cell(formats.count(bars)),
            Cell(formats.percent(bars / len(decisions))),
        ]
        for (signal, reason), bars in ordered
    ]
    return Table("Decisions at the close of every bar", ["Signal", "Because", "Bars", "Share"], rows, frozenset({0, 1}))


def _because(reason: str) -> str:
    return "the rule's conditions are met" if reason in ("long", "short") else reason


def order_table(orders: pd.DataFrame) -> Table | None:
    """Orders that were refused or shrunk, by reason; None when all were taken as given."""
    changed = orders[orders["status"].isin(("refused", "shrunk"))]
    if changed.empty:
        return None
    counts = Counter(zip(changed["status"].astype(str), changed["reason"].astype(str), strict=True))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = [[Cell(status), Cell(reason), Cell(formats.count(number))] for (status, reason), number in ordered]
    return Table("Orders that were not taken as given", ["Outcome", "Because", "Orders"], rows, frozenset({0, 1}))


def settings_tables(settings: Mapping[str, Any]) -> list[Table]:
    """Nested settings, one small table for each table of the config; empty texts are left out."""
    found = []
    for name, one in settings.items():
        flat = flatten(one) if isinstance(one, Mapping) else flatten({name: one})
        rows = [[Cell(key), Cell(text)] for key, text in flat.items() if text]
        found.append(Table(name, ["Key", "Value"], rows, frozenset({0, 1})))
    return found


def _toned(value: float, write: Any) -> Cell:
    text = write(value, signed=True)
    return Cell(text, "gain" if text.startswith("+") else "loss" if text.startswith(formats.MINUS) else "")


def _heated(value: float, largest: float) -> Cell:
    if not np.isfinite(value):
        return Cell("")
    cell = _toned(value, formats.percent)
    return cell._replace(heat=round(100 * abs(value) / largest))
