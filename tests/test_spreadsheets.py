"""What spreadsheets and percent signs do to numbers is refused with the first row; crashes are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reader_samples import HOUR, START
from store_factory import BTC, funding_table, load, write_store

from foundation.errors import DataError, ParameterError
from markets.decimal_points import find_lost_points
from markets.demo import demo_market
from markets.readers.importing import import_files
from markets.readers.reading import ReadOptions
from markets.series import SeriesKey, append_rows, read_rows
from markets.store import load_market

BARS = demo_market(seed=3, bars=600).candles
NAMES = ("open", "high", "low", "close")


def table() -> dict[str, Any]:
    """The bars as columns that may be changed."""
    return {name: getattr(BARS, name).copy() for name in ("timestamp", *NAMES, "volume")}


@given(
    row=st.integers(0, 599), length=st.integers(1, 100), names=st.sets(st.sampled_from(NAMES), min_size=1),
    power=st.sampled_from([-2, -1, 1, 2, 3]),
)  # fmt: skip
def test_the_first_price_that_lost_its_point_is_named(row: int, length: int, names: set[str], power: int) -> None:
    """Prices ten, a hundred or a thousand times too large or small are found from the first one on, and all of them."""
    columns = table()
    for name in names:
        columns[name][row : row + length] *= 10.0**power
    lost = find_lost_points(columns)
    assert lost is not None
    stop = min(row + length, 600)
    assert (lost.row, lost.rows, lost.cells) == (row, stop - row, (stop - row) * len(names))
    assert lost.column == next(name for name in NAMES if name in names)
    assert lost.value == columns[lost.column][row]


@pytest.mark.parametrize("step", [-0.15, -0.4, 0.2, 0.6])
def test_a_crash_is_no_lost_point(step: float) -> None:
    """A price that falls, or rises, a thousandfold in steps of some tens of percent keeps its decimal points."""
    moves = np.concatenate((np.zeros(200), np.full(int(7 / abs(step)), step), np.zeros(200)))
    close = 100 * np.exp(np.cumsum(moves))
    opens = np.concatenate(([100.0], close[:-1]))
    columns = {"open": opens, "high": np.maximum(opens, close), "low": np.minimum(opens, close), "close": close}
    assert find_lost_points(columns) is None


def test_recorded_prices_keep_their_points(data_folder: Path) -> None:
    """No recorded series of a market is suspected, its crashes among them."""
    for path in sorted((data_folder / "ohlcv").glob("*.parquet")):
        columns = {name: pd.read_parquet(path)[name].to_numpy() for name in NAMES}
        assert find_lost_points(columns) is None, path.name


def test_a_ten_fold_print_is_refused_wherever_it_enters(tmp_path: Path) -> None:
    """A file named by path and an append to the store both refuse it with its time and value."""
    store = write_store(tmp_path)
    frame = pd.read_parquet(store / "ohlcv" / "btc_1h.parquet")
    frame.loc[20, "high"] *= 10
    frame.to_parquet(store / "ohlcv" / "btc_1h.parquet")
    with pytest.raises(DataError, match=r"at 2022-01-01 20:00 UTC \(row 20\): high is .* lost its decimal point"):
        load(store)
    columns = table()
    columns["high"][30] *= 10
    with pytest.raises(DataError, match=r"at 2022-01-02 06:00 UTC high is .* lost its decimal point"):
        append_rows(tmp_path, SeriesKey("x", "BTC", "candles", HOUR), columns, source="test", fetched_at=1 << 61)
    assert not (tmp_path / "store").exists()


def rates(folder: Path, factor: float) -> Path:
    """A funding history whose rates are those of a venue times a factor."""
    stamps = pd.to_datetime(START + np.arange(30) * 8 * HOUR, utc=True)
    values = np.where(np.arange(30) % 3 == 0, 1e-4, -5e-5) * factor
    pd.DataFrame({"timestamp": stamps, "funding_rate": values}).to_csv(folder / "rates.csv", index=False)
    return folder / "rates.csv"


def test_funding_in_percent_is_refused_until_it_is_said(tmp_path: Path) -> None:
    """Rates a hundred times too large are refused with the first line; said to be percent they are divided."""
    path = rates(tmp_path, 100)
    with pytest.raises(
        DataError, match=r"line 2: a rate of 0.01, and typically 0.005, .* it is written in percent; say"
    ):
        import_files([path], tmp_path, symbol="x:BTC")
    (done,) = import_files([path], tmp_path, symbol="x:BTC", options=ReadOptions(rates="percent"))
    assert "its rates are in percent and were divided by 100" in done.notes
    assert read_rows(tmp_path, SeriesKey("x", "BTC", "funding"))["funding_rate"][:2] == pytest.approx([1e-4, -5e-5])
    import_files([path], tmp_path / "so", symbol="x:BTC", options=ReadOptions(rates="fraction"))
    import_files([rates(tmp_path, 1)], tmp_path / "as", symbol="x:BTC")
    with pytest.raises(ParameterError, match="rates = 'percents': is not known"):
        import_files([path], tmp_path, symbol="x:BTC", options=ReadOptions(rates="percents"))


def test_a_funding_file_in_percent_is_refused_by_path(tmp_path: Path) -> None:
    """A parquet file of rates in percent is no market's funding."""
    store = write_store(tmp_path)
    frame = funding_table()
    frame["funding_rate"] *= 100
    frame.to_parquet(store / "funding" / "btc.parquet")
    with pytest.raises(DataError, match=r"look like percent: 0.01 at 2022-01-01 08:00:00 UTC \(row 1\)"):
        load_market(BTC, "ohlcv/btc_1h.parquet", funding="funding/btc.parquet", data=store)
