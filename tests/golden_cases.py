"""Published numbers and how they are held against the project: rows of rule, inputs and expected value.

The rows live in a folder outside the repository (`$CROSSGATE_GOLDEN`): `cases/*.csv`, `rules.csv`,
`reference/binance_linear_tiers.csv`.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from markets.tiers import MarginTiers, read_margin_tiers

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "golden"
FOLDER = Path(os.environ.get("CROSSGATE_GOLDEN") or BESIDE)
TIERS = "reference/binance_linear_tiers.csv"


@dataclass(frozen=True)
class Row:
    """One published number: the rule it belongs to, the inputs, what is asserted, and how near is near enough."""

    id: str
    rule: str
    exchange: str
    inputs: dict[str, Any]
    quantity: str
    expected: float
    tolerance: tuple[float, float]
    kind: str

    def __getitem__(self, name: str) -> float:
        """A numeric input; KeyError where the row has none."""
        return float(self.inputs[name])

    def get(self, name: str, default: float) -> float:
        """A numeric input that a row may lack, or hold as null."""
        value = self.inputs.get(name)
        return default if value is None else float(value)

    def first(self, *names: str) -> float:
        """The first of several inputs that the row has."""
        return next(self[name] for name in names if self.inputs.get(name) is not None)

    def has(self, *names: str) -> bool:
        """Whether the row holds all of these inputs."""
        return all(self.inputs.get(name) is not None for name in names)

    @property
    def side(self) -> int:
        """+1 for a long, -1 for a short; a long where the rule has no side."""
        side = self.inputs.get("side", 1)
        return {"long": 1, "short": -1, "buy": 1, "sell": -1}[side] if isinstance(side, str) else int(side)

    @property
    def signed(self) -> float:
        """The quantity in base units, below zero for a short."""
        return self.side * self["qty"]

    @property
    def face_signed(self) -> float:
        """Contracts times the face value of one, below zero for a short."""
        return self.side * self["contracts"] * self.get("contract_usd", 1.0)

    def agrees(self, value: float) -> bool:
        """Whether a value meets the expected one within the row's tolerances."""
        absolute, relative = self.tolerance
        near = max(absolute, relative * abs(self.expected), 1e-12 * abs(self.expected))
        return value == self.expected or abs(value - self.expected) <= near


def read_rows(folder: Path = FOLDER) -> list[Row]:
    """Every row of every case file in a folder; none where there is no such folder."""
    return [row for path in sorted((folder / "cases").glob("*.csv")) for row in _rows_of(path)]


def _rows_of(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            verified = line["verified"].strip().lower() == "true"
            kind = {"source": "hard" if verified else "unverified", "derived": "soft"}.get(line["origin"], "fact")
            tolerance = (float(line["tol_abs"] or 0.0), float(line["tol_rel"] or 0.0))
            inputs = json.loads(line["inputs"])
            head = (line["id"], line["rule"], line["exchange"], inputs, line["quantity"])
            yield Row(*head, float(line["expected"]), tolerance, kind)


def read_rules(folder: Path = FOLDER) -> set[str]:
    """The names of all rules that a case file may hold, those without a row here included."""
    path = folder / "rules.csv"
    if not path.is_file():
        return set()
    with path.open(newline="", encoding="utf-8") as file:
        return {line["rule"] for line in csv.DictReader(file)}


@cache
def reference_tables() -> list[MarginTiers]:
    """The bracket tables that rows about tiers refer to by symbol and vintage."""
    for path in (FOLDER / TIERS, BESIDE / TIERS):
        if path.is_file():
            return read_margin_tiers(path)
    pytest.skip(f"no bracket tables at {FOLDER / TIERS}: rows about them cannot run")


def tiers_of(row: Row) -> MarginTiers:
    """The bracket table that a row names; symbols as BTCUSDT or BTC/USDT:USDT."""
    wanted = _plain(row.inputs["symbol"]), row.inputs["vintage"]
    return next(table for table in reference_tables() if (_plain(table.symbol), table.date) == wanted)


def _plain(symbol: str) -> str:
    return symbol.split(":")[0].replace("/", "")
