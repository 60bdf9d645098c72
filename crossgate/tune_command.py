"""The command `crossgate tune`: settings chosen by what earlier ones came to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from crossgate.options import AsJson, Cluster, ConfigPath, Data, Overrides, Yes, searching

Over = Annotated[
    list[str],
    typer.Option(
        "--over", metavar="TABLE.KEY=RANGE",
        help="Such as risk.stop_loss=0.5%:5%, risk.risk_per_trade=0.001:0.05:log or risk.leverage=1,2,3,5.",
    ),
]  # fmt: skip
Objectives = Annotated[
    list[str] | None,
    typer.Option(
        "--objective", metavar="METRIC", help="What is striven for; several give a Pareto front. Else sharpe."
    ),
]
Constraints = Annotated[
    list[str] | None,
    typer.Option("--constraint", metavar="BOUND", help='Such as "max_drawdown<=30%", "trades>=50", "liquidations<=0".'),
]
Folds = Annotated[
    int, typer.Option("--walk-forward", metavar="FOLDS", help="Choose on the past, judge on what follows.", min=0)
]
Storage = Annotated[
    str | None,
    typer.Option("--storage", metavar="URL", help="A database that several share, such as sqlite:///study.db."),
]


def tune(
    config: ConfigPath,
    over: Over,
    trials: Annotated[int, typer.Option("--trials", metavar="N", help="How many settings to play.", min=1)] = 200,
    objectives: Objectives = None,
    constraints: Constraints = None,
    folds: Folds = 0,
    storage: Storage = None,
    overrides: Overrides = None,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="The folder of the tuning; else runs/NAME-tune.")
    ] = None,
    yes: Yes = False,
    address: Cluster = None,
    as_json: AsJson = False,
) -> None:
    """Search for the best settings, by one goal or several.

    Where a search was interrupted the same command goes on to the same trials.
    """
    from backtests.searches.search_size import MOST_TRIALS
    from crossgate.tuning import TuneJob, tune_job
    from reports.search_sentences import banners, chosen_values, next_words

    job = TuneJob(
        config, tuple(over), trials, tuple(objectives or ("sharpe",)), tuple(constraints or ()), folds, storage,
        None if yes else MOST_TRIALS,
    )  # fmt: skip
    with searching(address, "the trials that are there"):
        found, page, record = tune_job(job, overrides or (), data, out)
    if as_json:
        typer.echo(json.dumps({**record, "report": str(page)}, indent=2, allow_nan=False))
        return
    typer.echo(str(found))
    for banner in banners(found):
        typer.echo(f"{banner.headline} {banner.text}")
    if chosen := chosen_values(found):
        typer.echo(next_words(config, data, overrides or (), chosen))
    typer.echo(f"report: {page}")
