"""Summaries: what the command line prints about a run, a market or a comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from backtests.result import Result
from crossgate.terminal import open_console
from crossgate.verdict_command import print_headline
from foundation.spark import SPARKS, spark_line
from foundation.units import nanoseconds
from markets.candles import utc
from markets.market import Market
from reports import formats
from reports.catalogue import CATALOGUE
from reports.comparison import Comparison
from reports.folders import read_run
from reports.labels import read_labels
from reports.metrics import measure_skill
from reports.sentences import skill_banner
from reports.stored_verdict import stored_record

SHOWN = (
    "final_equity", "total_return", "cagr", "sharpe", "max_drawdown", "trades", "win_rate", "fees", "funding",
    "slippage", "liquidations", "skill",
)  # fmt: skip
_COLOURS = {"warned": "bold red", "evident": "bold green", "plain": "bold"}


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
    """The key metrics of a run folder beside the baselines', its labels and notes, and the path of its report."""
    console, record, labels = open_console(), run_record(folder / "report.html"), read_labels(folder)
    if labels.tags or labels.note:
        console.print(Text(" ".join([*(f"[{tag}]" for tag in labels.tags), labels.note]).strip(), "cyan"))
    for note in record["notes"]:
        console.print(Text(f"Note: {note}", "yellow"))
    console.print(Text(spark_line(read_run(folder).curve.equity.tolist()), "blue"))
    kept = stored_record(folder)
    if kept is not None:
        print_headline(console, kept["verdict"])
    console.print(metrics_table(record["name"], record["settlement"], record))
    if (folder / "trials.json").is_file():
        trials = json.loads((folder / "trials.json").read_text("utf-8"))
        odds = formats.percent(trials["deflated_sharpe"])
        console.print(f"trials on this data when it was written: {trials['trials']:,}; odds of more than luck: {odds}")
    console.print("report:", str(folder / "report.html"), soft_wrap=True)


def print_run(result: Result, page: Path) -> None:
    """The verdict on the forecasts, the summary, the metrics beside the baselines', and the path of the report."""
    console = open_console()
    metrics = read_metrics(page.parent)
    banner = skill_banner(measure_skill(result), synthetic=result.synthetic)
    console.print(Text(banner.headline, _COLOURS[banner.kind]), banner.text)
    console.print(coloured(str(result)))
    kept = stored_record(page.parent)
    if kept is not None:
        print_headline(console, kept["verdict"])
    console.print(metrics_table("", result.settlement, metrics))
    console.print("report:", str(page), soft_wrap=True)


def coloured(summary: str) -> Text:
    """What `print(result)` says, with its name bold, changes in green and red, notes in yellow."""
    text = Text(summary)
    text.highlight_regex(r"\A.+", "bold")
    text.highlight_regex(r"\+\d[\d,.]*%", "green")
    text.highlight_regex(r"-\d[\d,.]*%", "red")
    text.highlight_regex(f"[{SPARKS}]+", "blue")
    text.highlight_regex(r"(?m)^note: .+", "yellow")
    return text


def metrics_table(title: str, currency: str, metrics: Mapping[str, Any]) -> Table:
    """The metrics of a run in a column each for the run and its baselines; money in `currency`."""
    table = Table(title=escape(title) or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    columns = {"this run": metrics, **metrics.get("baselines", {})}
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for key in SHOWN:
        entry = CATALOGUE[key]
        unit = f" ({currency})" if entry.write is formats.money else ""
        table.add_row(entry.label + unit, *(entry.write(one.get(key)) for one in columns.values()))
    return table


def market_record(market: Market, start: int) -> dict[str, Any]:
    """What a check found out about one market, whose first bar with a forecast opens at `start`."""
    candles = market.candles
    _, stands_in = market.mark_bars()
    return {
        "contract": market.contract.key,
        "synthetic": market.synthetic,
        "bars": len(candles),
        "bar_minutes": candles.bar / nanoseconds("1m"),
        "first_bar": utc(int(candles.timestamp[0])),
        "last_bar": utc(int(candles.timestamp[-1])),
        "first_test": utc(start),
        "bars_tested": int((candles.timestamp >= start).sum()),
        "settlements": 0 if market.funding is None else len(market.funding),
        "funding_complete": market.funding_hole(start) is None,
        "bars_without_mark": int(stands_in[candles.timestamp >= start].sum()),
    }


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
        str(row): {str(name): None if pd.isna(value) else float(value) for name, value in values.items()}
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
    console.print(Text(f"{config} is good", "green"))
