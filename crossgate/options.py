"""Options that several commands take, each written once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Change a value of the config; may be given several times."),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The data folder; else $CROSSGATE_DATA, else ./data."),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster", metavar="ADDRESS", help="A dask scheduler, such as tcp://127.0.0.1:8786; else this machine."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Start however much was asked for; docs/tuning.md names the bounds.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")]


@contextmanager
def searching(address: str | None, left: str) -> Iterator[None]:
    """A search on a cluster or on this machine; Ctrl-C ends it with a word on what is `left` for the same command."""
    from foundation.cluster import on_cluster

    try:
        with on_cluster(address):
            yield
    except KeyboardInterrupt:
        typer.echo(f"crossgate: interrupted; the same command goes on with {left}", err=True)
        raise typer.Exit(130) from None
