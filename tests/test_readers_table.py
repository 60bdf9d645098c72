"""The table of docs/data.md is what its command makes today, and names no place on a machine."""

from __future__ import annotations

import runpy
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent


def test_the_table_of_files_is_up_to_date(data_folder: Path) -> None:
    """The command makes the rows that stand in the document, for every file of the folder."""
    script = runpy.run_path(str(TREE / "benchmarks" / "data_table.py"))
    text = (TREE / "docs" / "data.md").read_text("utf-8")
    table = text.split(script["BEGIN"])[1].split(script["END"])[0].strip().splitlines()
    rows = [row for row in table if row.startswith("| `")]
    made = [script["make_row"](data_folder / row.split("`")[1], row.split("`")[1]) for row in rows]
    assert len(rows) > 60
    assert made == rows
    assert script["HEAD"].splitlines() == table[:2]
    assert str(data_folder) not in text
