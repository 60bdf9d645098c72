"""Funding histories in CSV: a stamp and a rate in each row, whatever the columns are called."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from foundation.errors import DataError
from markets.candles import IntArray, utc
from markets.funding import in_percent, to_minute
from markets.readers.candles import make_reading, symbol_of
from markets.readers.raw import RawTable
from markets.readers.reading import Defect, Reading, ReadOptions
from markets.readers.stamps import HOUR, common_step, in_utc, read_stamps

NAME = "funding history"
_RATES = ("funding_rate", "funding rate", "fundingrate", "last_funding_rate", "rate")
_STAMPS = ("timestamp", "date", "time", "calc_time", "fundingtime", "funding_time", "datetime")


def detect(raw: RawTable) -> str | None:
    """Why a file is a funding history: a column of rates and one of stamps, and no prices."""
    if raw.kind == "feather" or not raw.header or {"open", "close"} & set(raw.lower):
        return None
    rate = _named(raw, _RATES)
    stamp = _named(raw, _STAMPS)
    return f'it has a column "{rate}" beside "{stamp}" and no prices' if rate and stamp else None


def read(raw: RawTable, options: ReadOptions, reason: str) -> Reading:
    """The settlements of one file: UTC stamps as the venue wrote them, rates as fractions of notional.

    Rates of 8 hours settle at 00, 08 and 16 h UTC at every venue known here. Stamps that stand
    beside that grid by whole half hours were written on another clock. The grid cannot tell
    UTC+3 from UTC-5, so such a file is refused until `utc_offset` says which.
    """
    rate = options.columns.get("funding_rate") or _named(raw, _RATES)
    stamp = options.columns.get("timestamp") or _named(raw, _STAMPS)
    if not rate or not stamp:
        raise DataError(raw.path, "has no column of stamps and rates", fix="name them with --columns")
    stamps, notes = read_stamps(raw, stamp)
    stamps = in_utc(stamps, notes, options.utc_offset)
    columns = {"timestamp": stamps, "funding_rate": raw.numbers(rate)}
    defects = _clock(raw, stamps, options)
    return make_reading(raw, "funding", NAME, reason, columns, notes, defects, symbol=_symbol(raw))


def in_fractions(reading: Reading, said: str) -> Reading:
    """A reading of funding with its rates as fractions, or with the defect that they can be none.

    `said`: fraction, percent, or auto, which takes what `in_percent` does not doubt.
    """
    rates = reading.columns["funding_rate"]
    if said == "percent":
        notes = (*reading.notes, "its rates are in percent and were divided by 100")
        return replace(reading, columns={**reading.columns, "funding_rate": rates / 100.0}, notes=notes)
    found = in_percent(rates) if said == "auto" else None
    if found is None:
        return reading
    row, typical = found
    problem = (
        f"{reading.place(row)}: a rate of {rates[row]:g}, and typically {typical:g}, would be {typical:.2%} of "
        f"notional at each settlement: it is written in percent"
    )
    defect = Defect("percent", problem, "say --rates percent, or --rates fraction if it is so", len(rates))
    return replace(reading, defects=(*reading.defects, defect))


def _clock(raw: RawTable, stamps: IntArray, options: ReadOptions) -> list[Defect]:
    rounded = to_minute(stamps)
    interval = common_step(rounded)
    if interval not in (4 * HOUR, 8 * HOUR):
        return []
    phases, counts = np.unique(rounded % interval, return_counts=True)
    phase = int(phases[np.argmax(counts)])
    if phase == 0 or phase % (HOUR // 2):
        return []
    ahead = phase / HOUR
    behind = (interval - phase) / HOUR
    row = int(np.argmax(rounded % interval == phase))
    hours = ", ".join(f"{(int(phase) + k * interval) // HOUR % 24:02d}" for k in range(24 * HOUR // interval))
    said = "even so " if options.utc_offset is not None else ""
    problem = (
        f"its settlements {said}stand at {hours} h (first {utc(stamps[row])}, {raw.place(row)}), {ahead:g} h beside "
        f"the grid of UTC: written on a clock of UTC+{ahead:g} or UTC-{behind:g}"
    )
    return [Defect("clock", problem, f"say which with --utc-offset {ahead:g} or --utc-offset {-behind:g}", len(stamps))]


def _named(raw: RawTable, known: tuple[str, ...]) -> str:
    return next((raw.names[raw.lower.index(name)] for name in known if name in raw.lower), "")


def _symbol(raw: RawTable) -> str:
    named = symbol_of(raw)
    if named:
        return named
    found = re.match(r"([A-Z0-9]{5,})[-_]", raw.name)
    return found.group(1) if found else ""
