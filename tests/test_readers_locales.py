"""Locales mixed and funding damaged: the truth, or one clear line, never another number or another day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reader_samples import HOUR, SAMPLES, START, Sample, make_bars
from test_readers_mutations import outcome, wrong_rows

from foundation.errors import CrossgateError
from markets.readers import read_file
from markets.readers.importing import clean

BARS = make_bars()
PLAIN = next(one for one in SAMPLES if one.key == "plain" and one.name.endswith(".csv"))
TEXTS = [one for one in SAMPLES if one.name.endswith(".csv")]
MANY = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("sample", TEXTS, ids=lambda sample: f"{sample.key}-{sample.name}")
@MANY
@given(row=st.integers(0, 47), cell=st.integers(0, 3))
def test_one_lost_decimal_point_is_refused(sample: Sample, row: int, cell: int, tmp_path: Path) -> None:
    """A price of a row written without its point, in whatever column, is refused."""
    lines = sample.write(BARS).decode().split("\n")
    at = len(lines) - 49 + row
    cells = lines[at].split(",")
    first = {"binance_archive": 1, "binance_rest": 1, "cryptodatadownload": 3, "plain": 1}[sample.key]
    cells[first + cell] = cells[first + cell].replace(".", "")
    lines[at] = ",".join(cells)
    assert outcome(tmp_path, sample, "\n".join(lines).encode()) is None


@MANY
@given(
    form=st.sampled_from(["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M", "%d-%m-%Y %H:%M"]),
    day=st.integers(0, 200),
)
def test_days_and_months_are_never_exchanged(form: str, day: int, tmp_path: Path) -> None:
    """Dates that put the day or the month first are read as what they were, or refused: no bar moves to another day."""
    lines = PLAIN.write(BARS).decode().split("\n")
    header = len(lines) - 50
    stamps = pd.to_datetime(BARS["timestamp"] + day * 24 * HOUR)
    for k in range(48):
        cells = lines[header + 1 + k].split(",")
        lines[header + 1 + k] = ",".join([stamps[k].strftime(form), *cells[1:]])
    columns = outcome(tmp_path, PLAIN, "\n".join(lines).encode())
    if columns is not None:
        assert wrong_rows(columns, {**BARS, "timestamp": BARS["timestamp"] + day * 24 * HOUR}) == []


def history(rates: Any) -> list[str]:
    """The lines of a funding history."""
    stamps = pd.to_datetime(START + np.arange(len(rates)) * 8 * HOUR).strftime("%Y-%m-%d %H:%M:%S+00:00")
    return ["timestamp,funding_rate", *(f"{stamp},{rate:.8f}" for stamp, rate in zip(stamps, rates, strict=True)), ""]


RATES = np.round(np.random.default_rng(2).normal(1e-4, 1e-4, 40), 8)


def funding(folder: Path, lines: list[str]) -> dict[str, Any] | None:
    """The settlements of some lines as they count, to the minute, or None where they are refused in one line."""
    path = folder / "rates.csv"
    path.write_text("\n".join(lines))
    refusal, columns = "", None
    try:
        series = clean(read_file(path)).funding()
        columns = {"timestamp": series.timestamp, "funding_rate": series.rate}
    except CrossgateError as error:
        refusal = str(error)
    assert columns is not None or refusal.startswith(str(path))
    assert "\n" not in refusal
    return columns


def test_settlements_half_a_minute_late_are_not_moved_in_silence(tmp_path: Path) -> None:
    """Up to 29 s late a settlement counts at its minute; from 30 s on it would be the next one's, and is refused."""
    for seconds, taken in ((1, True), (29, True), (30, False), (31, False)):
        lines = history(RATES)
        lines[5] = lines[5].replace(":00+", f":{seconds:02d}+")
        columns = funding(tmp_path, lines)
        assert (columns is not None) is taken
        assert columns is None or columns["timestamp"][4] == START + 4 * 8 * HOUR


@MANY
@given(row=st.integers(0, 39), place=st.floats(0, 1, exclude_max=True), sign=st.sampled_from('0123456789,.-;e "x'))
def test_a_changed_sign_in_a_funding_history(row: int, place: float, sign: str, tmp_path: Path) -> None:
    """Of a history with one sign replaced no other settlement is read differently, and no stamp moves."""
    lines = history(RATES)
    line = lines[1 + row]
    at = int(place * len(line))
    lines[1 + row] = line[:at] + sign + line[at + 1 :]
    columns = funding(tmp_path, lines)
    if columns is None:
        return
    assert np.array_equal(columns["timestamp"], START + np.arange(40) * 8 * HOUR)
    assert set(np.flatnonzero(columns["funding_rate"] != RATES)) <= {row}
    assert (np.abs(columns["funding_rate"]) < 1).all()


@MANY
@given(lost=st.sets(st.integers(1, 38), min_size=1, max_size=5), doubled=st.integers(0, 39), exchanged=st.booleans())
def test_lost_doubled_and_exchanged_settlements(lost: set[int], doubled: int, exchanged: bool, tmp_path: Path) -> None:
    """Settlements lost inside, standing twice, or columns exchanged under their header are refused."""
    lines = history(RATES)
    assert funding(tmp_path, [line for k, line in enumerate(lines) if k - 1 not in lost]) is None
    assert funding(tmp_path, [*lines[: doubled + 2], *lines[doubled + 1 :]]) is None
    if exchanged:
        turned = [lines[0], *(",".join(reversed(line.split(","))) for line in lines[1:-1]), ""]
        assert funding(tmp_path, turned) is None
    columns = funding(tmp_path, [",".join(reversed(line.split(","))) for line in lines[:-1]] + [""])
    assert columns is not None
    assert np.array_equal(columns["funding_rate"], RATES)
