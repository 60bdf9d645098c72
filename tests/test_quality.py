"""The counts of the quality report, against tables made by hand and against recorded files measured elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foundation.errors import DataError
from markets.candles import utc
from markets.quality import QualityReport, check_candles, check_funding
from markets.readers import Reading, read_file

HOUR = 3_600_000_000_000
START = 1_704_067_200_000_000_000  # 2024-01-01

COUNTS = {
    "rows": "rows",
    "expected": "expected",
    "missing": "missing",
    "gaps": "gaps",
    "largest_gap_bars": "largest_gap",
    "duplicates": "duplicates",
    "off_grid": "off_grid",
    "nan_ohlc": "not_a_number",
    "ohlc_violations": "ohlc_violations",
    "nonpositive": "nonpositive",
    "zero_volume": "zero_volume",
    "flat_bars": "flat",
    "longest_flat_run": "longest_flat_run",
    "open_vs_prev_close_gt1pct": "jumps",
}
ORDERS = {"asc": "rising", "desc": "falling", "no": "mixed"}


def table(hours: list[float], prices: list[tuple[float, float, float, float]] | None = None) -> dict[str, Any]:
    """A table of bars that open at these hours of a day, of one harmless shape unless prices are given."""
    rows = prices or [(100.0, 101.0, 99.0, 100.5)] * len(hours)
    columns = dict(zip(("open", "high", "low", "close"), np.array(rows, dtype=float).reshape(-1, 4).T, strict=True))
    stamps = np.array([START + round(hour * HOUR) for hour in hours], dtype=np.int64)
    return {"timestamp": stamps, **columns, "volume": np.ones(len(hours))}


def measured(reading: Reading) -> QualityReport:
    """The report that fits what was read."""
    return check_funding(reading.columns) if reading.kind == "funding" else check_candles(reading.columns)


def differences(listed: pd.Series, reading: Reading) -> list[str]:
    """What the report says otherwise than the list; stamps are compared as the file had them."""
    report = measured(reading)
    shift = report.bar if reading.stamped_at == "close" else 0
    pairs = [(listed[theirs], getattr(report, ours), theirs) for theirs, ours in COUNTS.items()]
    for theirs, ours in (("max_abs_ret", "largest_return"), ("max_range", "largest_range")):
        if not pd.isna(listed[theirs]):
            pairs.append((listed[theirs], round(getattr(report, ours), 4), theirs))
            pairs.append((listed[f"{theirs}_at"][:16], utc(getattr(report, f"{ours}_at") + shift), f"{theirs}_at"))
    pairs += [
        (listed["first"][:16], utc(report.first + shift), "first"),
        (listed["last"][:16], utc(report.last + shift), "last"),
    ]
    pairs.append((ORDERS[listed["sorted"]], report.order, "sorted"))
    if report.zero_volume is None:
        pairs = [pair for pair in pairs if pair[2] != "zero_volume"]
    return [
        f"{what}: {theirs} against {ours}" for theirs, ours, what in pairs if not pd.isna(theirs) and theirs != ours
    ]


def test_recorded_files_count_as_listed(data_folder: Path) -> None:
    """Every count of every listed file equals the list, which was measured by other code.

    Two things differ in what they mean, not in what they count. A table of mark prices has no volume
    here, so its zero volumes do not count. Where rows stand in mixed order the list compares a row
    with the row above it, the report with the bar before it in time.
    """
    listed = pd.read_csv(data_folder / "QUALITY.csv")
    assert len(listed) > 50
    told = {row["file"]: differences(row, read_file(data_folder / row["file"])) for _, row in listed.iterrows()}
    mixed = list(listed.loc[listed["sorted"] == "no", "file"])
    assert {name: said for name, said in told.items() if said and name not in mixed} == {}
    assert mixed == ["raw/cryptodatadownload/Coinbase_BTCUSD_1h_2019.csv"]
    assert {said.split(":")[0] for said in told[mixed[0]]} == {
        "open_vs_prev_close_gt1pct",
        "max_abs_ret",
        "max_abs_ret_at",
    }


def test_mixed_order_is_measured_in_time_order(data_folder: Path) -> None:
    """The file in mixed order counts as pandas does after sorting it by its stamps."""
    reading = read_file(data_folder / "raw/cryptodatadownload/Coinbase_BTCUSD_1h_2019.csv")
    report = measured(reading)
    frame = reading.frame().sort_values("timestamp", kind="stable").reset_index(drop=True)
    returns = frame["close"].pct_change().abs()
    assert report.largest_return == pytest.approx(returns.max(), rel=1e-12)
    assert report.largest_return_at == frame["timestamp"][returns.idxmax()].value
    assert report.jumps == int(((frame["open"] / frame["close"].shift() - 1).abs() > 0.01).sum())


def test_stamps_of_a_small_table() -> None:
    """Two bars missing in one gap after 02:00, one stamp twice, one off the grid, in mixed order."""
    report = check_candles(table([0, 1, 2, 5, 5, 7.5, 6, 8, 7]))
    assert (report.bar, report.expected, report.missing, report.gaps) == (HOUR, 9, 2, 1)
    assert (report.largest_gap, report.largest_gap_at) == (2, START + 2 * HOUR)
    assert (report.duplicates, report.off_grid, report.order) == (1, 1, "mixed")
    assert not report.clean


def test_prices_of_a_small_table() -> None:
    """Impossible bars, flat runs, the widest bar, the largest return and a jump are each counted once."""
    rows = [
        (100.0, 101.0, 99.0, 100.0),
        (100.0, 100.0, 100.0, 100.0),
        (100.0, 100.0, 100.0, 100.0),
        (102.0, 103.0, 101.0, 102.0),
        (102.0, 101.0, 100.0, 100.5),
        (100.5, 120.0, 100.0, 110.0),
        (110.0, 111.0, 0.0, 110.0),
        (110.0, np.nan, 109.0, 110.0),
    ]
    report = check_candles(table(list(range(8)), rows))
    assert (report.ohlc_violations, report.nonpositive, report.not_a_number) == (1, 1, 1)
    assert (report.flat, report.longest_flat_run, report.longest_flat_run_at) == (2, 2, START + HOUR)
    assert (report.jumps, report.largest_return_at) == (1, START + 5 * HOUR)
    assert report.largest_return == pytest.approx(110 / 100.5 - 1)
    assert report.largest_range == pytest.approx(0.2)
    assert report.largest_range_at == START + 5 * HOUR


@pytest.mark.parametrize("rows", [2, 16_383, 16_384, 16_385, 40_000])
def test_long_tables_count_as_short_ones(rows: int) -> None:
    """The counts do not depend on where a long table is divided for speed."""
    generator = np.random.default_rng(rows)
    close = 100 * np.exp(np.cumsum(generator.normal(0, 0.01, rows)))
    opens = np.concatenate(([100.0], close[:-1])) * np.exp(generator.normal(0, 0.006, rows))
    high, low = np.maximum(opens, close), np.minimum(opens, close) * np.where(generator.random(rows) < 0.1, 1.01, 1.0)
    stamps = START + np.arange(rows) * HOUR
    report = check_candles({"timestamp": stamps, "open": opens, "high": high, "low": low, "close": close})
    frame = pd.DataFrame({"open": opens, "high": high, "low": low, "close": close})
    body_high, body_low = frame[["open", "close"]].max(axis=1), frame[["open", "close"]].min(axis=1)
    assert report.ohlc_violations == int(((frame["high"] < body_high) | (frame["low"] > body_low)).sum())
    assert report.jumps == int(((frame["open"] / frame["close"].shift() - 1).abs() > 0.01).sum())
    assert report.largest_return == pytest.approx(frame["close"].pct_change().abs().max(), rel=1e-12)
    assert report.largest_range == pytest.approx((frame["high"] / frame["low"] - 1).max(), rel=1e-12)
    assert report.zero_volume is None


def test_order_of_rows_does_not_matter() -> None:
    """A table turned round, or handed in as a pandas frame, counts the same but for its order."""
    columns = table([0, 1, 2, 4, 5, 5], [(100 + k, 104 + k, 99 + k, 102 + k) for k in range(6)])
    upright = check_candles(columns).record()
    turned = check_candles({name: values[::-1] for name, values in columns.items()}).record()
    framed = pd.DataFrame({**columns, "timestamp": pd.to_datetime(columns["timestamp"], utc=True)})
    assert upright.pop("order") == "rising"
    assert turned.pop("order") == "falling"
    assert turned == upright
    assert check_candles(framed).record() == check_candles(columns).record()


def test_funding_jitter_is_no_gap() -> None:
    """Settlements stamped some milliseconds late stand on their grid; a missing one is a gap."""
    stamps = START + np.array([0, 8, 16, 32, 40]) * HOUR + np.array([0, 7, 0, 47, 3]) * 1_000_000
    report = check_funding({"timestamp": stamps, "funding_rate": np.full(5, 1e-4)})
    assert (report.bar, report.missing, report.gaps, report.off_grid) == (8 * HOUR, 1, 1, 0)
    assert report.largest_gap_at == START + 16 * HOUR


def test_report_is_words_and_json() -> None:
    """A report prints one fact a line, and its record is JSON with times in words."""
    report = check_candles(table([0, 1, 3]))
    record = json.loads(json.dumps(report.record(), allow_nan=False))
    assert record["bar"] == "1h"
    assert record["largest_gap_at"] == "2024-01-01 01:00"
    assert any("missing 1 of 4" in line for line in report.lines())


def test_a_table_of_nothing_is_refused() -> None:
    """A table without rows, or with one stamp and no bar length, is a DataError."""
    with pytest.raises(DataError, match="no rows"):
        check_candles(table([]))
    with pytest.raises(DataError, match="bar length is unknown"):
        check_candles(table([1.0]))
    assert check_candles(table([1.0]), bar=HOUR).expected == 1
