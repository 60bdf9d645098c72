"""The command `crossgate sweep`: many settings on the same forecasts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossgate.options import AsJson, Cluster, ConfigPath, Data, Overrides, Yes, searching

if TYPE_CHECKING:
    from backtests.searches.sweeps import Sweep

Grids = Annotated[
    list[str],
    typer.Option("--grid", metavar="TABLE.KEY=VALUES", help="Such as risk.leverage=1,2,3 or risk.stop_loss=1%:5%:9."),
]


def sweep(
    config: ConfigPath,
    grid: Grids,
    overrides: Overrides = None,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="The folder of the sweep; else runs/NAME-sweep.")
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="METRIC", help="What the best are chosen by.")] = "plateau",
    count: Annotated[int, typer.Option("--count", metavar="N", help="How many of the best to show.", min=1)] = 10,
    yes: Yes = False,
    address: Cluster = None,
    as_json: AsJson = False,
) -> None:
    """Play all combinations of some values on the same forecasts.

    Where a sweep was interrupted the same command goes on with what is missing.
    """
    from backtests.searches.search_size import MOST_SETTINGS
    from crossgate.sweeping import sweep_job
    from reports.evidence import backtest_overfitting
    from reports.search_sentences import next_words
    from reports.sweep_report import rows, sweep_record

    with searching(address, "what is missing"):
        found, page = sweep_job(config, grid, overrides or (), data, out, None if yes else MOST_SETTINGS, by)
    best, overfitting = found.best(by, count), backtest_overfitting(found.blocks)
    if as_json:
        record = {**sweep_record(found, overfitting), "best": rows(found, by, count), "report": str(page)}
        typer.echo(json.dumps(record, indent=2, allow_nan=False))
        return
    _print_sweep(found, best, by, overfitting)
    if found.chosen is not None:
        typer.echo(next_words(config, data, overrides or (), found.grid.point(found.chosen)))
    typer.echo(f"report: {page}")


def _print_sweep(found: Sweep, best: Any, by: str, overfitting: float) -> None:
    from backtests.searches.search_text import table_text, undefined_text
    from reports.search_sentences import counted, sweep_banners

    shown = [*found.grid.axes, "total_return", "sharpe", "plateau", "max_drawdown", "trades", "liquidations"]
    typer.echo(f"{len(found):,} settings, the best by {by}; plateau is the worst Sharpe ratio among a setting and its")
    typer.echo(
        "neighbours on the grid. The best by plateau and by Sharpe ratio were played again by Backtrader, fill for"
    )
    typer.echo("fill. Of settings that came to the same in every metric the first is listed.")
    typer.echo(table_text(best[shown]))
    ranked = {name: found.undefined.get(name, 0) for name in dict.fromkeys((by.partition(":")[0], "plateau", "sharpe"))}
    if said := undefined_text(ranked, len(found), "settings"):
        typer.echo(said)
    typer.echo("\nwhat each value does alone (Sharpe ratio over all else):")
    typer.echo(table_text(found.effects))
    for name in found.idle:
        typer.echo(f"\n{name} changed nothing: settings that differ in it alone came to the same")
    typer.echo(f"\ntrials on this data in the ledger: {found.trials:,} {counted(found.head)}".rstrip())
    if math.isfinite(overfitting):
        typer.echo(f"probability of backtest overfitting: {overfitting:.0%} (one half: choosing helps nothing)")
    for banner in sweep_banners(found, math.nan):
        typer.echo(f"{banner.headline} {banner.text}")
