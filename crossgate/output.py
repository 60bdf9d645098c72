"""Output: a written run in the format that was asked for."""

from __future__ import annotations

import json
import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from foundation.errors import DataError, ParameterError


class Format(StrEnum):
    """What a run can be shown as."""

    html = "html"
    md = "md"
    json = "json"
    csv = "csv"
    pdf = "pdf"


AsFormat = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="md, json and csv (the trades) are printed; of html and pdf the path of the file is.",
    ),
]
_FILES = {Format.html: "report.html", Format.md: "report.md", Format.pdf: "report.pdf"}


def give(folder: Path, kind: Format, out: Path | None = None) -> None:
    """Prints a run's report in a format, or writes it to the file `out`; raises DataError where the run lacks it.

    A PDF that was written with the run is given while its fingerprint agrees; any other is made anew from the tables
    and records of the folder.
    """
    if out is not None and out.is_dir():
        raise ParameterError("out", "is a folder", value=str(out), fix=f"name a file, such as {out / f'run.{kind}'}")
    if kind is Format.html:
        source = _file(folder, kind)
        typer.echo(source if out is None else shutil.copyfile(source, out))
    elif kind is Format.pdf:
        typer.echo(_give_pdf(folder, out))
    elif out is None:
        typer.echo(_text(folder, kind), nl=False)
    else:
        out.write_text(_text(folder, kind), "utf-8")
        typer.echo(out)


def _text(folder: Path, kind: Format) -> str:
    if kind is Format.md:
        return _file(folder, kind).read_text("utf-8")
    if kind is Format.json:
        from crossgate.summary import run_record

        return json.dumps(run_record(folder / "report.html"), indent=2, allow_nan=False) + "\n"
    import pandas as pd

    return pd.read_parquet(folder / "trades.parquet").to_csv(index=False, lineterminator="\n")


def _give_pdf(folder: Path, out: Path | None) -> Path:
    """The path of a run's PDF: at `out`, else in its folder."""
    from reports.fingerprints import as_written

    kept = folder / _FILES[Format.pdf]
    sound = as_written(folder, kept.name)
    if sound:
        return kept if out is None else Path(shutil.copyfile(kept, out))
    from foundation.files import atomic_file
    from reports.folder_document import document_of_folder
    from reports.pdf import write_pdf

    content = write_pdf(document_of_folder(folder))
    if sound is False:
        typer.secho(f"{kept}: altered after it was written; this one is made anew from the tables", fg="red", err=True)
    if out is not None:
        out.write_bytes(content)
        return out
    with atomic_file(kept) as scratch:
        scratch.write_bytes(content)
    return kept


def _file(folder: Path, kind: Format) -> Path:
    file = folder / _FILES[kind]
    if not file.is_file():
        again = f"crossgate backtest {folder / 'config.toml'} --out {folder}"
        raise DataError(folder, f"holds no {file.name}", fix=f"write it with: {again}")
    return file
