"""The table in docs/data.md: what reads each file of a data folder, what was found in it, and whether it is imported.

`python benchmarks/data_table.py --data DIR` prints the table; with `--write` it takes the place of
the one in docs/data.md.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from foundation.errors import CrossgateError
from markets.candles import duration, utc
from markets.quality import QualityReport
from markets.readers import Reading, read_file
from markets.readers.damage import find_defects
from markets.readers.importing import check_reading, clean

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "data.md"
FOLDERS = ("ohlcv", "mark", "funding", "raw")
HEAD = "| file | read as | rows | first and last, UTC | found | import |\n|---|---|---:|---|---|---|"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
COUNTS = {
    "missing": "missing",
    "duplicates": "doubled",
    "off_grid": "off the grid",
    "not_a_number": "with empty cells",
    "ohlc_violations": "OHLC violations",
    "nonpositive": "not above zero",
    "zero_volume": "without volume",
    "flat": "flat",
    "jumps": "jumps over 1 %",
}


def make_table(data: Path) -> str:
    """The table of all files below `data`, as Markdown."""
    paths = [path for folder in FOLDERS for path in sorted((data / folder).rglob("*")) if path.is_file()]
    return "\n".join([HEAD, *(make_row(path, path.relative_to(data).as_posix()) for path in paths)])


def make_row(path: Path, name: str) -> str:
    """The row of one file."""
    try:
        reading = read_file(path)
    except CrossgateError as error:
        return f"| `{name}` | no reader | | | | refused: {shorten(error, path)} |"
    report = check_reading(reading)
    try:
        clean(reading)
        verdict = "taken"
    except CrossgateError as error:
        verdict = f"refused: {shorten(error, path)}"
    span = f"{utc(report.first)} .. {utc(report.last)}"
    kind = f"{reading.format}, {reading.kind} {duration(report.bar)}"
    return f"| `{name}` | {kind} | {len(reading):,} | {span} | {describe(reading, report)} | {verdict} |"


def describe(reading: Reading, report: QualityReport) -> str:
    """The counts that are not zero, the notes and the damage."""
    said = [] if report.order == "rising" else [f"{report.order} order"]
    for name, words in COUNTS.items():
        count = getattr(report, name)
        if count:
            said.append(f"{count:,} {words}" + (f" in {report.gaps:,} gaps" if name == "missing" else ""))
    said += [re.sub(r" \(first in .*", "", note) for note in reading.notes]
    said += [f"**{defect.name}** in {defect.rows:,} rows" for defect in find_defects(reading)]
    return "; ".join(said).replace("|", "/") or "nothing"


def shorten(error: CrossgateError, path: Path) -> str:
    """The reason of a refusal, without the path and the advice."""
    return str(error).removeprefix(f"{path}: ").split("; ")[0].replace("|", "/")


def main() -> None:
    """Prints the table, or writes it into the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--write", action="store_true")
    words = parser.parse_args()
    table = make_table(words.data)
    if not words.write:
        print(table)
        return
    before, rest = DOCUMENT.read_text("utf-8").split(BEGIN)
    after = rest.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
