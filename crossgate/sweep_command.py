"""The command `crossgate sweep`: many settings on the same forecasts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from backtests.sweeps import Sweep

Grids = Annotated[
    list[str],
    typer.Option("--grid", metavar="TABLE.KEY=VALUES", help="Such as risk.leverage=1,2,3 or risk.stop_loss=1%:5%:9."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Change a value of the config; may be given several times."),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The data folder; else $CROSSGATE_DATA, else ./data."),
]


def sweep(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file.")],
    grid: Grids,
    overrides: Overrides = None,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A parquet file for all settings and their metrics.")
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="METRIC", help="What the best are chosen by.")] = "plateau",
    count: Annotated[int, typer.Option("--count", metavar="N", help="How many of the best to show.", min=1)] = 10,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")
    ] = False,
) -> None:
    """Play all combinations of some values on the same forecasts."""
    from crossgate.sweeping import sweep_job

    found = sweep_job(config, grid, overrides or (), data, out)
    best = found.best(by, count)
    overfitting = _overfitting(found)
    if as_json:
        rows = [{str(name): _plain(value) for name, value in row.items()} for row in best.to_dict("records")]
        record = {
            "settings": len(found.table),
            "trials": found.trials,
            "overfitting": _plain(overfitting),
            "best": rows,
        }
        typer.echo(json.dumps(record, indent=2, allow_nan=False))
        return
    _print_sweep(found, best, by, overfitting)
    if out is not None:
        typer.echo(f"all settings: {out}")


def _print_sweep(found: Sweep, best: Any, by: str, overfitting: float) -> None:
    shown = [*found.grid.axes, "total_return", "sharpe", "plateau", "max_drawdown", "trades", "liquidations"]
    typer.echo(f"{len(found.table):,} settings, the best by {by}; plateau is the worst Sharpe ratio among a setting")
    typer.echo("and its neighbours on the grid. The best Sharpe ratio was played again by Backtrader, fill for fill.")
    typer.echo(best[shown].to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    typer.echo("\nwhat each value does alone (Sharpe ratio over all else):")
    typer.echo(found.effects.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    typer.echo(f"\ntrials on this data in the ledger: {found.trials:,}")
    if math.isfinite(overfitting):
        typer.echo(f"probability of backtest overfitting: {overfitting:.0%} (one half: choosing helps nothing)")


def _overfitting(found: Sweep) -> float:
    from reports.evidence import backtest_overfitting

    return backtest_overfitting(found.blocks)


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: what is not defined is null."""
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and not math.isfinite(number) else number
