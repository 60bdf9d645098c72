"""Candles out of a raw table: the shared last step of every reader of price bars."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from foundation.errors import DataError
from markets.candles import BoolArray, FloatArray, IntArray
from markets.readers.raw import RawTable
from markets.readers.reading import Defect, Kind, Part, Reading

_MANY = 50_000
PRICES = ("open", "high", "low", "close")


def make_reading(
    raw: RawTable,
    kind: Kind,
    format_name: str,
    reason: str,
    columns: dict[str, Any],
    notes: Sequence[str] = (),
    defects: Sequence[Defect] = (),
    **rest: str,
) -> Reading:
    """The reading of one raw table, with the notes that hold for every format added."""
    said = list(notes)
    if raw.preface:
        said.insert(0, f"{len(raw.preface)} line(s) above the header left out: {raw.preface[0][:60]!r}")
    if raw.unfinished:
        said.append("its last line has no line end: if the file was cut, the last cell may be cut too")
    parts = (Part(str(raw.path), raw.unit, raw.first, len(raw)),)
    return Reading(str(raw.path), kind, format_name, reason, columns, parts, tuple(said), tuple(defects), **rest)


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def quote_volume_defects(
    raw: RawTable, columns: dict[str, Any], quote_volume: FloatArray, base_volume: FloatArray | None = None
) -> list[Defect]:
    """The rows whose mean price, quote volume / volume, lies outside their low..high.

    Holds for linear contracts and spot; an inverse contract counts contracts of some USD against
    coins, volume * size / quote volume, with a size of 10 or 100 USD. The tolerance is one
    thousandth of the price, and what the volume's own rounding can do.
    """
    volume = columns["volume"] if base_volume is None else base_volume
    traded = (volume > 0) & (quote_volume > 0) & (columns["low"] > 0)
    lone = (volume > 0) != (quote_volume > 0)
    if not traded.any():
        return [_lone(raw, lone)] if lone.any() else []
    close = columns["close"]
    ratio = np.ones(len(volume))
    np.divide(quote_volume, volume, out=ratio, where=traded)
    scale = float(np.median(ratio[traded] / close[traded]))
    price = ratio
    if not 0.5 < scale < 2.0:
        np.divide(volume, quote_volume, out=ratio, where=traded)
        typical = float(np.median(ratio[traded] / close[traded]))
        size = min((10.0, 100.0), key=lambda size: abs(np.log(typical * size)))
        if not 0.5 < typical * size < 2.0:
            return [_no_price(raw)]
        price = ratio * size
    rows = np.flatnonzero(traded & ((price > columns["high"] * 1.001) | (price < columns["low"] * 0.999)))
    slack = 1e-3 + rounding(volume, rows) / volume[rows] + rounding(quote_volume, rows) / quote_volume[rows]
    beyond = (price[rows] > columns["high"][rows] * (1 + slack)) | (price[rows] < columns["low"][rows] * (1 - slack))
    outside = np.zeros(len(volume), dtype=np.bool_)
    outside[rows[beyond]] = True
    found = [_lone(raw, lone)] if lone.any() else []
    if outside.any():
        row = int(np.argmax(outside))
        low, high = columns["low"][row], columns["high"][row]
        problem = (
            f"{raw.place(row)}: quote volume / volume is {price[row]:.8g}, outside its low..high {low:.8g}..{high:.8g}"
        )
        fix = "fetch the row again: one of its cells is wrong"
        found.append(Defect("mean price", f"{problem} ({int(outside.sum()):,} in all)", fix, int(outside.sum())))
    return found


def rounding(values: FloatArray, rows: IntArray) -> FloatArray:
    """The step that the numbers around each row were rounded to: 0.01 where they carry two decimals.

    The median over the 65 rows around it, as exports of unlike precision are joined in some files; 0
    for more rows than a file of mere rounding could have.
    """
    if len(rows) > _MANY:
        return np.zeros(len(rows))
    around = np.clip(rows[:, None] + np.arange(-32, 33), 0, len(values) - 1)
    near = values[around]
    steps = np.full(near.shape, 1e-9)
    for decimals in range(8, -1, -1):
        steps[np.isclose(near, np.round(near, decimals), rtol=1e-13, atol=0)] = 10.0**-decimals
    typical: FloatArray = np.median(steps, axis=1)
    return typical


def stamp_defect(raw: RawTable, wrong: BoolArray, what: str, fix: str) -> list[Defect]:
    """A defect that names the first of some wrong rows, or none."""
    if not wrong.any():
        return []
    row = int(np.argmax(wrong))
    return [Defect("stamps", f"{raw.place(row)}: {what} ({int(wrong.sum()):,} in all)", fix, int(wrong.sum()))]


def require(raw: RawTable, names: Sequence[str]) -> dict[str, str]:
    """The file's own name for each column asked for in small letters. Raises DataError where one is missing."""
    found = {}
    for name in names:
        if name not in raw.lower:
            held = ", ".join(raw.names[:14])
            fix = f"name it with --columns {name}=NAME, or mend the header"
            raise DataError(raw.path, f'has no column "{name}" among its columns ({held})', fix=fix)
        if raw.lower.count(name) > 1:
            raise DataError(raw.path, f'has two columns named "{name}"', fix="rename one of them")
        found[name] = raw.names[raw.lower.index(name)]
    return found


def symbol_of(raw: RawTable) -> str:
    """The symbol in a column of that name, in letters and digits; "" where there is none. Raises DataError for two."""
    if "symbol" not in raw.lower:
        return ""
    cells = pc.unique(raw.column(raw.names[raw.lower.index("symbol")])).to_pylist()
    found = sorted({re.sub(r"[^A-Za-z0-9]", "", str(cell)).upper() for cell in cells if cell is not None} - {""})
    if len(found) > 1:
        held = f"{', '.join(found[:5])}{', ...' if len(found) > 5 else ''}"
        raise DataError(raw.path, f"holds rows of {len(found)} symbols ({held})", fix="write a file for each of them")
    return found[0] if found else ""


def price_columns(raw: RawTable, stamps: IntArray, names: dict[str, str], *, volume: bool = True) -> dict[str, Any]:
    """The candle columns of a raw table, given its name for each of them."""
    wanted = (*PRICES, "volume") if volume else PRICES
    return {"timestamp": stamps, **{name: raw.numbers(names[name]) for name in wanted}}


def _lone(raw: RawTable, lone: BoolArray) -> Defect:
    row = int(np.argmax(lone))
    problem = (
        f"{raw.place(row)}: has a volume in one of base and quote and none in the other ({int(lone.sum()):,} in all)"
    )
    return Defect("mean price", problem, "fetch the row again: one of its cells is wrong", int(lone.sum()))


def _no_price(raw: RawTable) -> Defect:
    problem = "its volume and quote volume do not give the price, neither as a linear nor as an inverse contract"
    return Defect("mean price", problem, "check that the columns stand under their own names", len(raw))
