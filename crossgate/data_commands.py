"""The commands about data: `crossgate data fetch | import | list | check | align`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from crossgate.options import AsJson, Data
from foundation.errors import CrossgateError, ParameterError

app = typer.Typer(help="Fetch, read, check and clean market data.", no_args_is_help=True, rich_markup_mode=None)

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of candles, mark prices or funding.")]
Format = Annotated[
    str,
    typer.Option(
        "--format", metavar="FORMAT", help="One of those in docs/data.md, such as freqtrade; auto tells it by the file."
    ),
]
Kind = Annotated[str, typer.Option("--kind", metavar="KIND", help="auto, candles, mark or funding.")]
Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="OURS=THEIRS,...", help="Column names, such as timestamp=Date,close=Last."),
]
Stamps = Annotated[
    str, typer.Option("--stamps", metavar="END", help="Where bars are stamped: open, close, or auto, told by the file.")
]
Offset = Annotated[
    float | None, typer.Option("--utc-offset", metavar="HOURS", help="Hours that the stamps are ahead of UTC.")
]
Rates = Annotated[
    str,
    typer.Option("--rates", metavar="UNIT", help="fraction or percent; auto refuses what looks like percent."),
]
Repairs = Annotated[
    list[str] | None,
    typer.Option(
        "--repair", metavar="DEFECT=POLICY", help="What to do about a defect, such as missing=forward_fill; else error."
    ),
]


Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="The data folder; else $CROSSGATE_DATA, else ./data.")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="DAY", help="The first day; else where the stored series begin.")
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="DAY", help="The day after the last; else all that is over.")
]
Only = Annotated[
    str, typer.Option("--only", metavar="PART,...", help="Some of tiers, contract, funding, mark, candles.")
]


@app.command()
def fetch(
    symbol: Annotated[str, typer.Argument(metavar="VENUE:SYMBOL", help="Such as binance_usdm:BTCUSDT.")],
    bar: Annotated[str, typer.Option("--bar", metavar="LENGTH", help="The length of a bar, such as 1h.")] = "1h",
    since: Since = None,
    until: Until = None,
    only: Only = "",
    out: Out = None,
    archive: Annotated[bool, typer.Option(help="Take whole months from the venue's archive, if it has one.")] = True,
    revise: Annotated[
        bool, typer.Option("--revise", help="Ask for the whole span again, and take what the venue has changed.")
    ] = False,
    repair: Repairs = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a perpetual from its venue, or go on with it.

    Only what is missing in the store of the data folder is asked for.
    """
    from markets.fetching import fetch_market
    from markets.store import resolve_data_folder

    folder = out or resolve_data_folder()
    parts = [part.strip() for part in only.split(",") if part.strip()]
    done = fetch_market(
        symbol, bar, since, until, out=folder, only=parts, archive=archive, revise=revise,
        cleaning=_cleaning(repair), connection=_connection(),
    )  # fmt: skip
    if as_json:
        _print_json({"symbol": symbol, "data": str(folder), "fetched": [asdict(one) for one in done]})
        return
    typer.echo(f"{symbol}: {folder}")
    for one in done:
        span = f", {one.first} to {one.last} UTC" if one.first else ""
        revised = f", {one.revised:,} revised" if one.revised else ""
        typer.echo(f"  {one.part}: {one.state}, {one.rows:,} rows, {one.added:,} of them new{revised}{span}")
        for note in one.notes:
            typer.echo(f"    {note}")


def _connection() -> Any:
    """The connection of a fetch: to the venue itself, signed with a key where the environment names one."""
    from markets.fetching import Connection

    key, secret = (os.environ.get(f"CROSSGATE_VENUE_{name}", "") for name in ("KEY", "SECRET"))
    return Connection(key=key, secret=secret)


@app.command("import")
def import_data(
    files: Files,
    format: Format = "auto",  # noqa: A002
    symbol: Annotated[
        str | None,
        typer.Option("--symbol", metavar="VENUE:[SYMBOL]", help="Without SYMBOL, those that the files name."),
    ] = None,
    out: Out = None,
    kind: Kind = "auto",
    columns: Columns = None,
    stamps: Stamps = "auto",
    utc_offset: Offset = None,
    rates: Rates = "auto",
    repair: Repairs = None,
    revise: Annotated[bool, typer.Option("--revise", help="Take rows that differ from stored ones.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put files into the store of the data folder.

    A file with a defect is refused, and the line says which.
    """
    from markets.readers.importing import import_files
    from markets.store import resolve_data_folder

    done = import_files(
        files,
        out or resolve_data_folder(),
        format=format,
        symbol=symbol,
        options=_options(kind, columns, stamps, utc_offset, rates),
        cleaning=_cleaning(repair),
        revise=revise,
    )
    if as_json:
        _print_json({"imported": [asdict(one) for one in done]})
        return
    for one in done:
        touched = f", {one.touched:,} touched" if one.touched else ""
        counts = f"{one.added:,} new, {one.known:,} known" + (f", {one.revised:,} revised" if one.revised else "")
        typer.echo(f"{one.series}: {one.rows:,} rows, {one.first} to {one.last} UTC: {counts}{touched}")
        for note in one.notes:
            typer.echo(f"  {note}")


@app.command("list")
def list_data(
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Print what is in the store of the data folder."""
    from markets.series import list_series
    from markets.store import resolve_data_folder
    from markets.stored import describe

    folder = resolve_data_folder(data)
    records = [describe(info) for info in list_series(folder)]
    if as_json:
        _print_json({"folder": str(folder), "series": records})
    elif not records:
        typer.echo(f"the store of {folder} is empty: fill it with crossgate data import")
    else:
        _print_series(records)


@app.command()
def check(
    files: Files,
    format: Format = "auto",  # noqa: A002
    kind: Kind = "auto",
    columns: Columns = None,
    stamps: Stamps = "auto",
    utc_offset: Offset = None,
    rates: Rates = "auto",
    repair: Repairs = None,
    as_json: AsJson = False,
) -> None:
    """Print what is in files and what is wrong with it.

    Nothing is written. Exit code 1 where an import would refuse a file, 2 where one cannot be read.
    """
    options, cleaning = _options(kind, columns, stamps, utc_offset, rates), _cleaning(repair)
    records, unread = [], 0
    for path in files:
        try:
            records.append(check_file(path, format, options, cleaning))
        except CrossgateError as error:
            unread += 1
            records.append({"file": str(path), "error": str(error)})
    if as_json:
        _print_json({"files": records})
    else:
        for record in records:
            _print_record(record)
    if unread:
        raise typer.Exit(2)
    if any(record["refused"] for record in records):
        raise typer.Exit(1)


@app.command()
def align(
    contracts: Annotated[
        list[str], typer.Argument(metavar="VENUE:SYMBOL [VENUE:SYMBOL]", help="One contract, or two to compare.")
    ],
    bar: Annotated[
        str | None, typer.Option("--bar", metavar="LENGTH", help="Of the bars; else that of the stored ones.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Hold stored series against each other.

    Candles, mark price and funding of a contract, or the candles of two contracts. Exit code 1 where something is
    wrong.
    """
    from crossgate.alignments import alignment_records, print_alignments
    from markets.store import resolve_data_folder

    records = alignment_records(contracts, bar, resolve_data_folder(data))
    if as_json:
        _print_json({"alignments": records})
    else:
        print_alignments(records)
    if any(finding["wrong"] for record in records for finding in record["findings"]):
        raise typer.Exit(1)


def check_file(path: Path, format: str, options: Any, cleaning: Any) -> dict[str, Any]:  # noqa: A002
    """What was read from a file, its quality, and whether an import would take it."""
    from markets.readers.damage import find_defects
    from markets.readers.importing import check_reading, clean
    from markets.readers.registry import read_file

    reading = read_file(path, format, options)
    report = check_reading(reading)
    refusal = None
    try:
        clean(reading, cleaning)
    except CrossgateError as error:
        refusal = str(error).removeprefix(f"{reading.source}: ")
    return {
        "file": str(path),
        "format": reading.format,
        "reason": reading.reason,
        "kind": reading.kind,
        "symbol": reading.symbol,
        "quality": report.record(),
        "lines": report.lines(),
        "notes": list(reading.notes),
        "defects": [{"name": defect.name, "problem": defect.problem} for defect in find_defects(reading)],
        "refused": refusal,
    }


def _print_record(record: dict[str, Any]) -> None:
    if "error" in record:
        typer.echo(f"crossgate: {record['error']}", err=True)
        return
    typer.echo(f"{record['file']}: {record['kind']}, read as {record['format']} because {record['reason']}")
    for line in record["lines"]:
        typer.echo(f"  {line}")
    for note in record["notes"]:
        typer.echo(f"  note: {note}")
    for defect in record["defects"]:
        typer.echo(f"  damage: {defect['problem']}")
    typer.echo(f"  import refuses it: {record['refused']}" if record["refused"] else "  import takes it")


def _print_series(records: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("venue", "symbol", "kind", "bar", "first, UTC", "last, UTC"):
        table.add_column(name)
    for name in ("rows", "missing", "gaps", "touched", "revised"):
        table.add_column(name, justify="right")
    table.add_column("source")
    for one in records:
        words = [str(one[name] or "") for name in ("venue", "symbol", "kind", "bar", "first", "last")]
        counts = [f"{one[name]:,}" for name in ("rows", "missing", "gaps", "touched", "revised")]
        sources = one["sources"]
        more = f"; {len(sources) - 1} before it" if len(sources) > 1 else ""
        table.add_row(*words, *counts, f"{sources[-1]}{more}")
    Console(highlight=False, width=None if sys.stdout.isatty() else 240).print(table)


def _options(kind: str, columns: str | None, stamps: str, utc_offset: float | None, rates: str) -> Any:
    from markets.readers.reading import ReadOptions

    named = {}
    for pair in (columns or "").split(",") if columns else []:
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise ParameterError(
                "columns", "is no pair OURS=THEIRS", value=pair, fix="such as timestamp=Date,close=Last"
            )
        named[ours.strip()] = theirs.strip()
    return ReadOptions(kind, named, stamps, utc_offset, rates)


def _cleaning(repairs: list[str] | None) -> Any:
    from markets.cleaning import CleaningParams

    chosen: dict[str, Any] = {}
    for pair in repairs or []:
        defect, equals, policy = pair.partition("=")
        if not equals:
            raise ParameterError("repair", "is no pair DEFECT=POLICY", value=pair, fix="such as missing=forward_fill")
        try:
            chosen[defect.strip()] = json.loads(policy)
        except ValueError:
            chosen[defect.strip()] = policy.strip()
    return CleaningParams(**chosen)


def _print_json(record: dict[str, Any]) -> None:
    typer.echo(json.dumps(record, indent=2, allow_nan=False))
