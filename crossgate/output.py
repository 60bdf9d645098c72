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

    A PDF that was not asked for when the run was written is made from the tables and records of its folder.
    """
    if out is not None and out.is_dir():
        raise ParameterError("out", "is a folder", value=str(out), fix=f"name a file, such as {out / f'run.{kind}'}")
    if kind in (Format.html, Format.pdf):
        source = _file(folder, kind) if kind is Format.html else _pdf(folder)
        typer.echo(source if out is None else shutil.copyfile(source, out))
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


def _pdf(folder: Path) -> Path:
    """The PDF of a run, which is made from its folder where it has none yet."""
    file = folder / _FILES[Format.pdf]
    if not file.is_file():
        from foundation.files import atomic_file
        from reports.folder_document import document_of_folder
        from reports.pdf import write_pdf

        content = write_pdf(document_of_folder(folder))
        with atomic_file(file) as scratch:
            scratch.write_bytes(content)
    return file


def _file(folder: Path, kind: Format) -> Path:
    file = folder / _FILES[kind]
    if not file.is_file():
        again = f"crossgate backtest {folder / 'config.toml'} --out {folder}"
        raise DataError(folder, f"holds no {file.name}", fix=f"write it with: {again}")
    return file
