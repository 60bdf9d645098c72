"""Summaries: what the command line prints about a run, a market or a comparison."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from crossgate.terminal import open_console
from foundation.units import nanoseconds
from markets.candles import utc
from reports import formats
from reports.catalogue import CATALOGUE, figure
from reports.labels import read_labels
from reports.stored_verdict import stored_record
from reports.summary import Summary, summary_of

if TYPE_CHECKING:
    import pandas as pd

    from markets.market import Market
    from reports.comparison import Comparison

SHOWN = (
    "final_equity", "total_return", "cagr", "sharpe", "max_drawdown", "trades", "win_rate", "fees", "funding",
    "slippage", "liquidations", "skill",
)  # fmt: skip
_COLOURS = {
    "good": "bold green", "bad": "bold red", "open": "bold yellow", "reason": "", "title": "bold", "equity": "",
    "spark": "blue", "figure": "", "head": "bold", "note": "yellow",
}  # fmt: skip


def run_record(page: Path) -> dict[str, Any]:
    """The metrics of a run that was written, with the paths of its folder and of its report."""
    metrics = read_metrics(page.parent)
    run = json.loads((page.parent / "run.json").read_text("utf-8"))
    named = {key: run[key] for key in ("name", "synthetic", "settlement", "notes")}
    kept = stored_record(page.parent)
    if kept is not None:
        named["verdict"] = {key: kept["verdict"][key] for key in ("rung", "headline", "reason", "sure")}
    return {**named, "folder": str(page.parent), "report": str(page), **metrics}


def read_metrics(folder: Path) -> dict[str, Any]:
    """The content of the folder's metrics.json."""
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text("utf-8"))
    return metrics


def print_folder(folder: Path) -> None:
    """A run as `print(result)` tells it, in colours, its labels, the rules beside it, and the path of its report."""
    console, labels = open_console(), read_labels(folder)
    if labels.tags or labels.note:
        console.print(Text(" ".join([*(f"[{tag}]" for tag in labels.tags), labels.note]).strip(), "cyan"))
    console.print(coloured(summary_of(folder)))
    metrics = read_metrics(folder)
    if metrics.get("baselines"):
        currency = str(json.loads((folder / "run.json").read_text("utf-8"))["settlement"])
        console.print("")
        console.print(baselines_table(currency, metrics))
    console.print("report:", str(folder / "report.html"), soft_wrap=True)


def coloured(summary: Summary) -> Text:
    """A summary in colours, the same text: its verdict and changes in green and red, notes in yellow."""
    lines = []
    for line in summary.lines:
        text = Text(line.text, _COLOURS[line.kind])
        if line.kind in ("equity", "figure"):
            text.highlight_regex(r"(?<![\d-])\+\d[\d,.]*%", "green")
            text.highlight_regex(rf"{formats.MINUS}\d[\d,.]*%", "red")
        lines.append(text)
    return Text("\n").join(lines)


def baselines_table(currency: str, metrics: Mapping[str, Any]) -> Table:
    """The metrics of a run in a column each for the run and its baselines; money in `currency`."""
    table = Table(box=None, pad_edge=False)
    columns = {"this run": metrics, **metrics.get("baselines", {})}
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for key in SHOWN:
        entry = CATALOGUE[key]
        unit = f" ({currency})" if entry.write is formats.money else ""
        table.add_row(entry.label + unit, *(figure(one, key) for one in columns.values()))
    return table


def market_record(market: Market, start: int, sealed: int | None) -> dict[str, Any]:
    """What a check found out about one market, whose first bar with a forecast opens at `start`.

    `sealed`: the open of the first bar that is sealed, or None; all in UTC nanoseconds.
    """
    candles = market.candles
    tested = candles.timestamp >= start
    _, stands_in = market.mark_bars()
    return {
        "contract": market.contract.key,
        "synthetic": market.synthetic,
        "bars": len(candles),
        "bar_minutes": candles.bar / nanoseconds("1m"),
        "first_bar": utc(int(candles.timestamp[0])),
        "last_bar": utc(int(candles.timestamp[-1])),
        "first_test": utc(start),
        "bars_tested": int(tested.sum()),
        "settlements": 0 if market.funding is None else len(market.funding),
        "funding_complete": market.funding_hole(start) is None,
        "bars_without_mark": int(stands_in[tested].sum()),
        "bars_with_finer": None if market.finer is None else int(market.finer_bars()[1][tested].sum()),
        "sealed_from": None if sealed is None or sealed > candles.timestamp[-1] else utc(sealed),
    }


def print_comparison(comparison: Comparison) -> None:
    """A comparison as `print(comparison)` tells it, in colours, and the path of its page."""
    from reports.comparison_text import comparison_summary

    console = open_console()
    console.print(coloured(comparison_summary(comparison, get_terminal_size((100, 24)).columns)), soft_wrap=True)
    if comparison.path is not None:
        console.print("page:", str(comparison.path), soft_wrap=True)


def comparison_record(comparison: Comparison) -> dict[str, Any]:
    """The metrics of the compared runs by name, what differs, how alike they are, warnings, and the page, if any."""
    differences = comparison.differences
    return {
        "runs": {name: dict(run.metrics) for name, run in comparison.runs.items()},
        "differences": {str(key): dict(row) for key, row in differences.to_dict("index").items()},
        "from_first": {name: one.record() for name, one in comparison.paired.items()},
        "correlation": _square(comparison.correlation),
        "held_alike": _square(comparison.overlap),
        "shared_entries": _square(comparison.entries),
        "warnings": list(comparison.warnings),
        "page": None if comparison.path is None else str(comparison.path),
    }


def _square(table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """A table of runs against runs as JSON can hold it."""
    return {
        str(row): {
            str(name): None if value is None or math.isnan(value) else float(value) for name, value in values.items()
        }
        for row, values in table.iterrows()
    }


def print_markets(config: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """What a check found out, one paragraph for each market."""
    console = open_console()
    for record in records:
        synthetic = " (synthetic)" if record["synthetic"] else ""
        console.print(
            f"{record['contract']}{synthetic}: {record['bars']:,} bars of {record['bar_minutes']:g} minutes, "
            f"{record['first_bar']} to {record['last_bar']} UTC"
        )
        funding = "complete" if record["funding_complete"] else "missing in part, played as zero"
        console.print(f"  tested from {record['first_test']} UTC: {record['bars_tested']:,} bars, funding {funding}")
        if record["bars_without_mark"]:
            console.print(f"  the last price stands in for the mark price on {record['bars_without_mark']:,} bars")
        if record["bars_with_finer"] is not None:
            console.print(f"  finer candles say what came first inside {record['bars_with_finer']:,} bars")
        if record.get("unreachable_stop"):
            console.print(Text(f"  {record['unreachable_stop']}", "yellow"), soft_wrap=True)
        if record["sealed_from"]:
            since = f"  sealed from {record['sealed_from']} UTC on: a run ends before it (market.end)"
            console.print(f"{since}, or opens the seal with crossgate backtest --open-seal", soft_wrap=True)
    console.print(Text(f"{config} is good", "green"))
