"""The commands about runs that were written: `crossgate runs | show | label | diff | reproduce | verify`."""

from __future__ import annotations

import gc
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossgate.options import AsJson, Data, RunPath
from crossgate.output import AsFormat, Format, give

if TYPE_CHECKING:
    from reports.parting import Parting

Root = Annotated[Path, typer.Argument(metavar="[FOLDER]", help="The folder of the runs.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="Only runs with this tag; repeatable.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help='Such as "sharpe>1", "bar=1h", "market=BTC" or "written>=2026-11-01"; repeatable.',
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="COLUMN",
        help="The largest figure, the latest time or the first name at the top; a minus sign turns it round.",
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="COLUMN,...",
        help="Of folder, markets, name, bar, written, first and last (bar), rung (of the verdict when the run was "
        "written), and all names in metrics.json.",
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to a command line."""
    for command in (runs, show, label, diff, reproduce, verify):
        app.command()(command)


def runs(
    root: Root = Path("runs"),
    where: Where = None,
    tag: Tags = None,
    sort: Sort = None,
    columns: Columns = None,
    as_json: AsJson = False,
) -> None:
    """List the runs below a folder."""
    from crossgate.run_list import columns_of, runs_json, runs_table
    from reports.choosing import choose_runs
    from reports.index import list_runs, undisturbed

    with undisturbed():
        known = list_runs(root)
        # They stay to the end: the collector need not look at ten thousand of them again, or even once.
        gc.freeze()
    found = choose_runs(known, where or (), tag or (), sort)
    names = columns_of(found, columns)
    typer.echo("\n".join(runs_json(found) if as_json else runs_table(found, names, len(known))))


def show(
    run: RunPath,
    as_format: AsFormat = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where a format goes.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print what a run came to, or its report in a format."""
    from crossgate.summary import print_folder
    from reports.folders import read_run

    read_run(run)
    if as_format is not None or as_json:
        give(run, as_format or Format.json, out)
    else:
        print_folder(run)


def label(
    run: RunPath,
    add: Annotated[list[str] | None, typer.Option("--add", metavar="TAG", help="A tag to add; repeatable.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TAG", help="A tag to take off; repeatable.")
    ] = None,
    note: Annotated[
        str | None, typer.Option("--note", metavar="TEXT", help="A note, in the place of the old one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put tags and a note on a run."""
    from reports.folders import read_run
    from reports.labels import change_labels

    read_run(run)
    labels = change_labels(run, add or (), remove or (), note)
    if as_json:
        print_json(labels._asdict())
    else:
        typer.echo(f"{run}: {', '.join(labels.tags) or 'no tags'}{'; ' + labels.note if labels.note else ''}")


def diff(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="The folder of a run.")],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="The folder of another.")],
    as_json: AsJson = False,
) -> None:
    """Find the first bar at which two runs part, and why.

    Exit code 1 where they do.
    """
    from reports.comparison import compare
    from reports.fingerprints import altered_files
    from reports.parting import first_parting, read_tables

    changed = compare(first, second).differences
    parting = first_parting(read_tables(first), read_tables(second))
    settings = {str(key): list(map(str, changed.loc[key])) for key in changed.index}
    altered = {str(run): altered_files(run) or () for run in (first, second)}
    if as_json:
        told = None if parting is None else asdict(parting)
        print_json({"parting": told, "settings": settings, "altered": altered})
    else:
        _print_difference(parting, settings, altered)
    if parting is not None:
        raise typer.Exit(1)


def _print_difference(
    parting: Parting | None, settings: dict[str, list[str]], altered: dict[str, tuple[str, ...]]
) -> None:
    from markets.candles import utc
    from reports.fingerprints import alteration

    for name, names in altered.items():
        if names:
            typer.secho(f"{name}: {alteration(names)}", fg="red")
    if parting is None:
        typer.echo("the two runs are the same at every bar")
    else:
        symbol = f" ({parting.symbol})" if parting.symbol else ""
        typer.echo(f"they part at {utc(parting.timestamp)} UTC{symbol}: {parting.text}")
    typer.echo("settings that differ, in the first and in the second:" if settings else "their settings are the same")
    for key, (ours, theirs) in settings.items():
        typer.echo(f"  {key}: {ours} and {theirs}")


def reproduce(
    run: RunPath,
    data: Data = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train every network again, without the cache.")] = False,
    as_json: AsJson = False,
) -> None:
    """Play a run again from its folder, and compare every fill.

    Exit code 1 where one is not.
    """
    from crossgate.reproduction import reproduce_run

    answer = reproduce_run(run, data, retrain=retrain)
    if as_json:
        print_json(answer.record())
    else:
        typer.echo("\n".join(answer.lines()))
    if not answer.same:
        raise typer.Exit(1)


def verify(run: RunPath, data: Data = None, as_json: AsJson = False) -> None:
    """Play a run again by every driver, and certify that all agree.

    By Backtrader in two loops, by the kernel, and by an account in plain Python that shares no code with them.
    """
    from crossgate.verification import verify_run

    certificate = verify_run(run, data)
    if as_json:
        print_json(certificate.record())
    else:
        typer.echo("\n".join(certificate.lines()))
    if not certificate.agreed:
        raise typer.Exit(1)


def print_json(record: dict[str, Any]) -> None:
    """Prints one JSON object."""
    typer.echo(json.dumps(record, indent=2, allow_nan=False))
