"""Parting: the first bar at which two runs differ, and what differs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from backtests.run.result import Result
from foundation.errors import DataError
from markets.candles import utc

# Of the track of forecasts, which holds the candles too.
TRACK = "forecasts"
TABLES = ("decisions", "fills", "funding", "equity", "positions")
# The questions asked of one bar, in the order in which things happen in it: the cause, the table, the columns.
_QUESTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("data", TRACK, ("high", "low", "close")),
    ("data", "decisions", ("close",)),
    ("data", "positions", ("mark",)),
    ("funding", "funding", ("rate", "mark", "position", "payment")),
    ("fill", "fills", ("side", "reason")),
    ("size", "fills", ("quantity",)),
    ("price", "fills", ("price",)),
    ("fee", "fills", ("fee", "liquidation_fee")),
    ("forecast", "decisions", ("mean", "sigma")),
    ("averages", "decisions", ("fast", "slow")),
    ("threshold", "decisions", ("threshold",)),
    ("signal", "decisions", ("signal", "reason")),
    ("equity", "equity", ("equity", "margin")),
)
_SAID = {
    "data": "the market data differ",
    "funding": "the funding differs",
    "fill": "one run filled what the other did not, or for another reason",
    "size": "the sizes differ",
    "price": "the fill prices differ",
    "fee": "the fees differ",
    "forecast": "the forecasts differ",
    "averages": "the moving averages differ",
    "threshold": "the thresholds differ",
    "signal": "the signals differ",
    "equity": "equity or margin differs",
}


@dataclass(frozen=True)
class Parting:
    """Where two runs part: `timestamp` (bar OPEN, UTC nanoseconds), `cause`, and one line with both sides' figures."""

    timestamp: int
    symbol: str
    cause: str
    text: str


def read_tables(source: str | Path | Result) -> dict[str, pd.DataFrame]:
    """The tables of a run that a comparison bar by bar needs; raises DataError where a folder lacks one."""
    if isinstance(source, Result):
        from reports.tracks import forecast_table

        return {TRACK: forecast_table(source), **{name: getattr(source, name) for name in TABLES}}
    folder = Path(source).expanduser()
    try:
        return {name: pd.read_parquet(folder / f"{name}.parquet") for name in (TRACK, *TABLES)}
    except (OSError, ValueError) as error:
        raise DataError(folder, f"is no whole run folder ({error})", fix="run the backtest again") from None


def first_parting(a: Mapping[str, pd.DataFrame], b: Mapping[str, pd.DataFrame]) -> Parting | None:
    """The first bar at which two runs differ and the first thing that differs in it; None where they are the same.

    Bars that only one of them played are looked at last: they are a difference of span. Numbers differ when they are
    not the same double; NaN equals NaN.
    """
    first = max(_stamps(one["equity"])[0] for one in (a, b))
    last = min(_stamps(one["equity"])[-1] for one in (a, b))
    found = []
    for rank, (cause, name, columns) in enumerate(_QUESTIONS):
        ours, theirs = (_between(one[name], first, last) for one in (a, b))
        parted = _first_difference(ours, theirs, columns)
        if parted is not None:
            found.append((parted[0], rank, Parting(parted[0], parted[1], cause, f"{_SAID[cause]}: {parted[2]}")))
    if found:
        return min(found, key=lambda one: one[:2])[2]
    spans = [tuple(_stamps(one["equity"])[[0, -1]]) for one in (a, b)]
    if spans[0] == spans[1]:
        return None
    texts = [f"{utc(begin)} to {utc(end)}" for begin, end in spans]
    return Parting(int(first), "", "span", f"the spans differ: {texts[0]} UTC, {texts[1]} UTC")


def _stamps(table: pd.DataFrame) -> Any:
    return pd.DatetimeIndex(table["timestamp"]).as_unit("ns").asi8


def _between(table: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    stamps = _stamps(table)
    chosen: pd.DataFrame = table.loc[(stamps >= first) & (stamps <= last)]
    return chosen


def _first_difference(a: pd.DataFrame, b: pd.DataFrame, columns: Sequence[str]) -> tuple[int, str, str] | None:
    """The stamp, the symbol and the words of the first row that differs; rows of one bar are compared in order."""
    keyed = [_keyed(table, columns) for table in (a, b)]
    both = keyed[0].merge(keyed[1], how="outer", left_index=True, right_index=True, suffixes=(" a", " b")).sort_index()
    differs = np.zeros(len(both), dtype=bool)
    for name in columns:
        ours, theirs = both[f"{name} a"], both[f"{name} b"]
        differs |= ~((ours == theirs) | (ours.isna() & theirs.isna())).to_numpy(dtype=bool)
    missing = (both["there a"].isna() != both["there b"].isna()).to_numpy()
    if not (differs | missing).any():
        return None
    row = int(np.argmax(differs | missing))
    stamp, symbol, _ = both.index[row]
    line = both.iloc[row]
    told = [f"{name} {line[f'{name} a']} and {line[f'{name} b']}" for name in columns if _apart(line, name)]
    if missing[row]:
        told = ["only the first run has one here" if line["there a"] == 1 else "only the second run has one here"]
    return int(stamp), str(symbol), ", ".join(told)


def _keyed(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    kept = pd.DataFrame({name: table[name].to_numpy() for name in columns})
    kept["stamp"] = _stamps(table)
    kept["symbol"] = table["symbol"].to_numpy() if "symbol" in table else ""
    kept["number"] = kept.groupby(["stamp", "symbol"]).cumcount()
    kept["there"] = 1.0
    return kept.set_index(["stamp", "symbol", "number"])


def _apart(line: Any, name: str) -> bool:
    ours, theirs = line[f"{name} a"], line[f"{name} b"]
    return not (ours == theirs or (pd.isna(ours) and pd.isna(theirs)))
