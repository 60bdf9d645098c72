"""What a reader found in a file: one table of market data, and everything that was noticed about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from foundation.errors import DataError

Kind = Literal["candles", "mark", "funding", "quotes"]

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "candles": ("timestamp", "open", "high", "low", "close", "volume"),
    "mark": ("timestamp", "open", "high", "low", "close"),
    "quotes": ("timestamp", "open", "high", "low", "close"),
    "funding": ("timestamp", "funding_rate"),
}


@dataclass(frozen=True)
class ReadOptions:
    """What a person says about a file that it does not say itself.

    `kind`: candles, mark or funding, else as the file shows. `columns`: the file's column for each
    of ours, such as {"timestamp": "Date"}. `stamps`: whether a bar is stamped at its `open` or its
    `close`, else as the format has it. `utc_offset`: hours that its clock is ahead of UTC. `rates`: whether
    funding is written as a `fraction` of notional or in `percent`; auto takes fractions that can be ones.
    """

    kind: str = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)
    stamps: str = "auto"
    utc_offset: float | None = None
    rates: str = "auto"


@dataclass(frozen=True)
class Defect:
    """Damage that a reader recognises and does not mend: what, in how many rows, and the first of them."""

    name: str
    problem: str
    fix: str
    rows: int = 1

    def error(self, source: object) -> DataError:
        """The refusal of a file because of this defect."""
        return DataError(source, self.problem, fix=self.fix)


@dataclass(frozen=True)
class Part:
    """A stretch of rows that came from one file: its first row is `first` in units of `unit` (line or row)."""

    source: str
    unit: str
    first: int
    rows: int


@dataclass(frozen=True, eq=False)
class Reading:
    """One table of market data in the rows and the order of its file, in the names and units of the project.

    `columns`: `timestamp` (bar OPEN or settlement, UTC nanoseconds, int64), and float64 prices in
    quote currency per unit of base, `volume` as the file counts it, or `funding_rate` (fraction).
    Nothing is sorted, dropped or filled. `reason`: why the format was chosen. `notes`: every change
    of meaning made on the way, such as a shift of stamps. `defects`: damage for which a file is
    refused. `stamped_at`: where in its bar the file's own stamps stood.
    """

    source: str
    kind: Kind
    format: str
    reason: str
    columns: dict[str, Any]
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()
    defects: tuple[Defect, ...] = ()
    symbol: str = ""
    stamped_at: str = "open"

    def __len__(self) -> int:
        return len(self.columns["timestamp"])

    def place(self, row: int) -> str:
        """Where a row stands in its file: `line 7`, or `line 7 of other.csv` where several were joined."""
        return place_of(self.parts, row)

    def frame(self) -> pd.DataFrame:
        """The rows as a table with a UTC timestamp column."""
        rest = {name: values for name, values in self.columns.items() if name != "timestamp"}
        return pd.DataFrame({"timestamp": pd.to_datetime(self.columns["timestamp"], utc=True), **rest})


def place_of(parts: tuple[Part, ...], row: int) -> str:
    """Where a row of joined parts stands: its file (where there are several) and its line there."""
    left = int(row)
    for part in parts:
        if left < part.rows:
            where = f"{part.unit} {part.first + left}"
            return where if len(parts) == 1 else f"{where} of {Path(part.source).name}"
        left -= part.rows
    return f"row {row}"


def join_readings(readings: list[Reading]) -> Reading:
    """Several readings of one series as one, in the order of their first stamps."""
    if len(readings) == 1:
        return readings[0]
    ordered = sorted(readings, key=lambda reading: int(reading.columns["timestamp"].min()))
    first = ordered[0]
    columns = {name: np.concatenate([one.columns[name] for one in ordered]) for name in first.columns}
    notes = tuple(f"{Path(one.source).name}: {note}" for one in ordered for note in one.notes)
    return Reading(
        source=f"{first.source} and {len(ordered) - 1} more",
        kind=first.kind,
        format=first.format,
        reason=first.reason,
        columns=columns,
        parts=tuple(part for one in ordered for part in one.parts),
        notes=notes,
        defects=tuple(defect for one in ordered for defect in one.defects),
        symbol=first.symbol,
        stamped_at=first.stamped_at,
    )
