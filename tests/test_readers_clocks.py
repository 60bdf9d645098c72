"""Tables that leave in doubt when their bars open, or whose bars they are, are refused with the way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reader_samples import HOUR, make_bars

from foundation.errors import DataError
from markets.readers import ReadOptions, read_file
from markets.readers.importing import clean

BARS = make_bars()
TIMES = pd.to_datetime(BARS["timestamp"])


def write(folder: Path, **columns: object) -> Path:
    """A CSV of the bars under plain headers, with some columns before them."""
    path = folder / "bars.csv"
    frame = pd.DataFrame({**columns, **{name: BARS[name] for name in ("open", "high", "low", "close", "volume")}})
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("short", ["0s", "1ms", "1s"])
def test_bars_stamped_at_their_end_are_not_read_as_opens(short: str, tmp_path: Path) -> None:
    """Stamps at 00:59:59 are refused as opens; said to be closes, up to a second short, they open at 00:00."""
    path = write(tmp_path, timestamp=TIMES + pd.Timedelta(hours=1) - pd.Timedelta(short))
    if short != "0s":
        with pytest.raises(DataError, match=r"open beside the 1h grid of UTC, as closes do, .*say --stamps close"):
            clean(read_file(path))
    cleaned = clean(read_file(path, options=ReadOptions(stamps="close")))
    assert np.array_equal(cleaned.columns["timestamp"], BARS["timestamp"])


def test_a_clock_beside_the_full_hours_is_refused_until_it_is_said(tmp_path: Path) -> None:
    """Hours on India's clock open at half past: refused, and put right by its offset of 5.5 hours."""
    path = write(tmp_path, timestamp=TIMES + pd.Timedelta(hours=5.5))
    with pytest.raises(DataError, match=r"beside the 1h grid of UTC, the first at 2024-01-01 05:30.*--utc-offset"):
        clean(read_file(path))
    cleaned = clean(read_file(path, options=ReadOptions(utc_offset=5.5)))
    assert np.array_equal(cleaned.columns["timestamp"], BARS["timestamp"])


def test_bars_of_a_day_may_open_at_a_full_hour(tmp_path: Path) -> None:
    """Some venues begin the day at 16:00 UTC."""
    opens = BARS["timestamp"][0] + 16 * HOUR + np.arange(48) * 24 * HOUR
    cleaned = clean(read_file(write(tmp_path, timestamp=pd.to_datetime(opens))))
    assert np.array_equal(cleaned.columns["timestamp"], opens)


def test_hours_in_a_column_of_their_own_are_not_left_out(tmp_path: Path) -> None:
    """A column of days beside one of hours is refused, as the days alone would be stamps of another bar."""
    path = write(tmp_path, Date=TIMES.strftime("%Y-%m-%d"), Time=TIMES.strftime("%H:%M"))
    with pytest.raises(DataError, match="its days in column Date and its hours in another; join them in one column"):
        read_file(path)


def test_rows_of_two_symbols_are_no_series(tmp_path: Path) -> None:
    """A symbol that changes inside a file is refused; one written in two ways is one."""
    with pytest.raises(DataError, match=r"holds rows of 2 symbols \(BTCUSDT, ETHUSDT\); write a file for each"):
        read_file(write(tmp_path, timestamp=TIMES, symbol=["BTCUSDT", "ETHUSDT"] * 24))
    assert read_file(write(tmp_path, timestamp=TIMES, symbol=["BTCUSDT", "BTC/USDT"] * 24)).symbol == "BTCUSDT"


def test_a_table_without_a_header_says_how_its_columns_are_named(tmp_path: Path) -> None:
    """Bare numbers in no known format are refused; counted as the advice has it, they read."""
    path = write(tmp_path, timestamp=BARS["timestamp"])
    path.write_text(path.read_text().split("\n", 1)[1])
    with pytest.raises(DataError, match="it has 6 columns and no header; count them, such as --columns timestamp=0"):
        read_file(path)
    counted = {name: str(k) for k, name in enumerate(("timestamp", "open", "high", "low", "close", "volume"))}
    assert np.array_equal(read_file(path, options=ReadOptions(columns=counted)).columns["close"], BARS["close"])
