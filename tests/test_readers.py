"""Every recorded file reads as an independent reading does, or is refused for the right reason."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foundation.errors import DataError
from foundation.units import nanoseconds as nanoseconds_of
from markets.cleaning import CleaningParams
from markets.readers import ReadOptions, read_file
from markets.readers.importing import clean, import_files
from markets.series import SeriesKey, list_series, read_rows

PRICES = ["open", "high", "low", "close"]
MINUTE = 60_000_000_000
SERIES_COLUMNS = {"candles": (*PRICES, "volume"), "mark": PRICES, "funding": ("funding_rate",)}

# The reason, in part, why a file is refused before or while it is cleaned; all others import as they are.
REFUSED = {
    "ohlcv/bitmex_XBTUSD_1m.parquet": r"breaks low <= open, close <= high in 23 bar.*row 25",
    "raw/binance_rest/XRPUSDT-openinterest-4h.csv": "open interest, not bars",
    "raw/binance_vision/BTCUSDT-1h-2023-03.csv": r"misses 1 bar.*2023-03-24 12:00 UTC \(line 566\)",
    "raw/bitmex/LTCUSD-1h-data.csv.gz": r"empty or not finite in 1 bar.*2020-07-30 03:00 UTC \(line 2\)",
    "raw/bitmex/XBTUSD-1d-data.csv": "breaks low <= open, close <= high in 36 bar",
    "raw/bitmex/bucketed_XBTUSD_1d_2018-2020.json": "breaks low <= open, close <= high in 2 bar",
    "raw/bitmex/bucketed_XBTUSD_1m_page1.json": "breaks low <= open, close <= high in 5 bar",
    "raw/cryptodatadownload/Binance_BTCUSDT_1h_2020_urlheader.csv": "line 26124: its unix stamp says 2017-09-26 22:00",
    "raw/cryptodatadownload/Binance_BTCUSDT_1h_2021.csv.gz": "line 33106: its unix stamp says 2017-09-26 18:00",
    "raw/cryptodatadownload/Binance_BTCUSDT_1h_2022_mangled.csv.gz": "line 2: high is 226660000000 .*decimal point",
    "raw/cryptodatadownload/Coinbase_BTCUSD_1h_2019.csv": r"line 16909: the bar of 2017-11-12 04:00 repeats .*5h apart",
    "raw/freqtrade_testdata/UNITTEST_BTC-1m.feather": "misses 717 bar.*538 gap",
    "raw/freqtrade_testdata/XRP_ETH-1m.feather": "misses 1,091 bar.*676 gap",
    "raw/freqtrade_testdata/XRP_ETH-trades.parquet": "single trades, not bars",
    "raw/funding_csv/BTC-USDT_binance_funding_history.csv": r"stand at 03, 11, 19 h .*UTC\+3 or UTC-5",
    "raw/funding_csv/BTC-USDT_bybit_funding_history.csv": r"stand at 03, 11, 19 h .*UTC\+3 or UTC-5",
    "raw/funding_csv/BTC-USDT_gate_funding_history.csv": "1 hole.*31.3 days after the settlement at 2020-11-30 16:00",
    "raw/lean/binance_margin_interest_btcusd.csv": "1 hole.*711 days",
    "raw/lean/binance_minute_btcusd_20221213_quote.zip": "holds quotes",
    "raw/lean/binance_minute_btcusd_20221213_trade.zip": r"misses 1 bar.*04:28 UTC \(line 269\)",
    "raw/lean/bybit_minute_btcusd_20221213_quote.zip": "holds quotes",
    "raw/lean/bybit_minute_btcusdt_20221213_quote.zip": "holds quotes",
    "raw/other/xbtusd_index_1h_2017-2018.csv": "breaks low <= open, close <= high in 2,431 bar",
}


def nanoseconds(times: Any) -> np.ndarray:
    """pandas times as UTC nanoseconds."""
    return np.asarray(pd.to_datetime(times, utc=True).dt.tz_localize(None).astype("datetime64[ns]").astype("int64"))


def from_lines(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV by the standard library, whatever stands above its header."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    lines = text.splitlines()
    if "CryptoDataDownload" in lines[0]:
        lines = lines[1:]
    return list(csv.DictReader(io.StringIO("\n".join(lines))))


def exact(path: Path) -> pd.DataFrame:
    """A CSV with a header, its numbers converted one by one by Python itself."""
    frame = pd.read_csv(path, dtype=str)
    numbers = [name for name in frame.columns if name.lower() in (*PRICES, "volume", "funding_rate")]
    return frame.assign(**{name: [float(cell) for cell in frame[name]] for name in numbers})


def parquet(path: Path) -> pd.DataFrame:
    """A canonical file; BitMEX stamps the close of its minutes."""
    frame = pd.read_parquet(path)
    late = pd.Timedelta(minutes=1) if path.name.startswith("bitmex") else pd.Timedelta(0)
    return frame.assign(timestamp=nanoseconds(frame["timestamp"] - late))


def binance(path: Path) -> pd.DataFrame:
    """Binance files count milliseconds from the open."""
    frame = exact(path)
    stamps = frame["open_time" if "open_time" in frame else "timestamp"]
    return frame.assign(timestamp=stamps.astype("int64").to_numpy() * 1_000_000)


def cryptodatadownload(path: Path) -> pd.DataFrame:
    """Row by row; where no volume is said to be in bitcoin it is the smaller one, as bitcoin costs over a dollar."""
    rows = []
    for row in from_lines(path):
        cells = {name.lower(): cell for name, cell in row.items()}
        unix = next((cells[name] for name in ("unix", "unix timestamp", "timestamp") if name in cells), None)
        if unix is None:
            seconds = datetime.strptime(cells["date"], "%Y-%m-%d %I-%p").replace(tzinfo=UTC).timestamp()
        else:
            seconds = float(unix) / (1000 if float(unix) > 1e11 else 1)
        named = [float(cells[name]) for name in ("volume btc", "volume_btc") if name in cells]
        volume = named[0] if named else min(float(cells["volume"]), float(cells["volume usd"]))
        rows.append((round(seconds) * 10**9, *(float(cells[name]) for name in PRICES), volume))
    return pd.DataFrame(rows, columns=["timestamp", *PRICES, "volume"])


def feather(path: Path) -> pd.DataFrame:
    """freqtrade's candles, marks and funding, the rate in the column of opens."""
    frame = pd.read_feather(path)
    frame = frame.assign(timestamp=nanoseconds(frame["date"]))
    return frame.rename(columns={"open": "funding_rate"}) if "funding_rate" in path.name else frame


def json_rows(path: Path) -> pd.DataFrame:
    """freqtrade's lists, or BitMEX's pages, which are stamped at the close."""
    if path.suffix == ".gz":
        rows = json.loads(gzip.decompress(path.read_bytes()))
        frame = pd.DataFrame(rows, columns=["timestamp", *PRICES, "volume"])
        return frame.assign(timestamp=frame["timestamp"] * 1_000_000)
    frame = pd.DataFrame(json.loads(path.read_text()))
    length = pd.Timedelta(days=1) if "_1d_" in path.name else pd.Timedelta(minutes=1)
    return frame.assign(timestamp=nanoseconds(pd.to_datetime(frame["timestamp"]) - length))


def bitmex_csv(path: Path) -> pd.DataFrame:
    """Tables of BitMEX's bars, stamped at the close."""
    frame = exact(path)
    stamps = pd.to_datetime(frame["Date" if "Date" in frame else "timestamp"])
    return frame.assign(timestamp=nanoseconds(stamps - pd.Timedelta("1D" if "1d" in path.name else "1h")))


def lean(path: Path) -> pd.DataFrame:
    """Minutes of one day, of trades or of the middle between bid and ask."""
    with zipfile.ZipFile(path) as archive:
        name = archive.namelist()[0]
        rows = np.array([[float(cell) for cell in line.split(",")] for line in archive.read(name).decode().split()])
    start = int(datetime.strptime(name[:8], "%Y%m%d").replace(tzinfo=UTC).timestamp()) * 10**9
    prices = rows[:, 1:5] if rows.shape[1] == 6 else (rows[:, 1:5] + rows[:, 6:10]) / 2
    frame = pd.DataFrame(prices, columns=PRICES)
    return frame.assign(timestamp=start + rows[:, 0].astype("int64") * 1_000_000, volume=rows[:, 5])


def margin_interest(path: Path) -> pd.DataFrame:
    """Lines of a time and a rate."""
    cells = [line.split(",") for line in path.read_text().split("\n") if line]
    stamps = [int(datetime.strptime(time, "%Y%m%d %H:%M:%S").replace(tzinfo=UTC).timestamp()) for time, _ in cells]
    return pd.DataFrame({"timestamp": np.array(stamps) * 10**9, "funding_rate": [float(rate) for _, rate in cells]})


def funding_csv(path: Path) -> pd.DataFrame:
    """Lines of a date, with or without milliseconds, and a rate, as they stand."""
    rows = from_lines(path)
    times = [datetime.fromisoformat(row["Date"]).replace(tzinfo=UTC) for row in rows]
    stamps = [int(time.timestamp()) * 10**9 + time.microsecond * 1000 for time in times]
    return pd.DataFrame({"timestamp": stamps, "funding_rate": [float(row["Funding Rate"]) for row in rows]})


def plain_csv(path: Path) -> pd.DataFrame:
    """Bars under plain headers with times in words."""
    frame = exact(path).rename(columns=str.lower)
    stamps = frame["timestamp" if "timestamp" in frame else "date"]
    return frame.assign(timestamp=nanoseconds(stamps))


def independent(name: str) -> Callable[[Path], pd.DataFrame]:
    """The independent reading for a recorded file, chosen by where it lies."""
    if not name.startswith("raw/"):
        return parquet
    readings: dict[str, Callable[[Path], pd.DataFrame]] = {
        "binance_rest": binance,
        "binance_vision": binance,
        "cryptodatadownload": cryptodatadownload,
        "funding_csv": funding_csv,
        "lean": margin_interest if name.endswith(".csv") else lean,
        "other": plain_csv,
        "bitmex": json_rows if name.endswith(".json") else bitmex_csv,
    }
    return readings.get(name.split("/")[1], json_rows if name.endswith(".json.gz") else feather)


@cache
def expected_rows(folder: Path, name: str) -> pd.DataFrame:
    """The rows of a recorded file by an independent reading, in the order of the file."""
    return independent(name)(folder / name)


def recorded(folder: Path) -> list[str]:
    """The names of the recorded files of bars and rates that the documents speak of."""
    text = (Path(__file__).resolve().parent.parent / "docs" / "data.md").read_text("utf-8")
    return sorted(name for name in re.findall(r"^\| `([^`]+/[^`]+)`", text, re.MULTILINE) if (folder / name).is_file())


def test_recorded_files_read_as_independent_code_does(data_folder: Path) -> None:
    """Each value of each row of each file is that of an independent reading, in the order of the file."""
    names = recorded(data_folder)
    assert len(names) > 60
    for name in names:
        if "not bars" in REFUSED.get(name, ""):
            continue
        reading, expected = read_file(data_folder / name), expected_rows(data_folder, name)
        assert len(reading) == len(expected), name
        for column, values in reading.columns.items():
            assert np.array_equal(values, expected[column].to_numpy(), equal_nan=column != "timestamp"), (name, column)


def test_recorded_files_are_imported_or_refused_with_the_reason(data_folder: Path, tmp_path: Path) -> None:
    """Each file comes back out of the store as the independent reading has it, or its refusal names the defect."""
    refused, taken = {}, set()
    for number, name in enumerate(recorded(data_folder)):
        symbol = f"FILE{number}"
        try:
            (done,) = import_files([data_folder / name], tmp_path, symbol=f"recorded:{symbol}")
        except DataError as error:
            refused[name] = str(error)
            continue
        taken.add(symbol)
        bar = None if done.kind == "funding" else nanoseconds_of(done.bar)
        stored = read_rows(tmp_path, SeriesKey("recorded", symbol, done.kind, bar))
        expected = expected_rows(data_folder, name).sort_values("timestamp", kind="stable")
        if done.kind == "funding":
            expected = expected.assign(timestamp=(expected["timestamp"] + MINUTE // 2) // MINUTE * MINUTE)
        else:
            assert bar == int(np.median(np.diff(expected["timestamp"]))), name
            assert not stored.pop("touched").any()
        assert set(stored) == {"timestamp", *SERIES_COLUMNS[done.kind]}
        for column, values in stored.items():
            assert np.array_equal(values, expected[column].to_numpy()), (name, column)
    assert {info.key.symbol for info in list_series(tmp_path)} == taken, "a refused file leaves nothing"
    assert list(refused) == list(REFUSED)
    for name, message in refused.items():
        assert message.startswith(str(data_folder / name))
        with pytest.raises(DataError, match=REFUSED[name]):
            raise DataError("", message)


@pytest.mark.parametrize(
    ("name", "choice", "touched"),
    [
        ("ohlcv/bitmex_XBTUSD_1m.parquet", {"ohlc": "clip_open"}, 23),
        ("raw/bitmex/LTCUSD-1h-data.csv.gz", {"ohlc": "clip_open", "not_a_number": "forward_fill"}, 2716),
        ("raw/binance_vision/BTCUSDT-1h-2023-03.csv", {"missing": "mean"}, 1),
        ("raw/freqtrade_testdata/XRP_ETH-1m.feather", {"missing": "forward_fill"}, 1091),
        ("raw/lean/binance_minute_btcusd_20221213_trade.zip", {"missing": "forward_fill"}, 1),
        ("raw/other/xbtusd_index_1h_2017-2018.csv", {"ohlc": "clip_open"}, 2431),
    ],
)
def test_chosen_repairs_touch_only_the_bars_that_need_them(
    data_folder: Path, name: str, choice: dict[str, Any], touched: int
) -> None:
    """A repair changes as many bars as the check counts, and every other bar is that of the file."""
    cleaned = clean(read_file(data_folder / name), CleaningParams(**choice))
    assert int(cleaned.touched.sum()) == touched
    expected = independent(name)(data_folder / name).set_index("timestamp")
    kept = expected.loc[cleaned.columns["timestamp"][~cleaned.touched]]
    for column, values in cleaned.columns.items():
        if column != "timestamp":
            assert np.array_equal(values[~cleaned.touched], kept[column].to_numpy()), column


def test_an_unlabelled_clock_is_named_and_corrected_when_said(data_folder: Path) -> None:
    """With --utc-offset 3 the history equals the recorded funding of the same venue; with -5 it would not."""
    name = "raw/funding_csv/BTC-USDT_binance_funding_history.csv"
    truth = pd.read_parquet(data_folder / "funding/binance_um_BTCUSDT_funding.parquet")
    rates = pd.Series(truth["funding_rate"].to_numpy(), index=truth["timestamp"].dt.round("1min"))
    agree = {}
    for offset in (3.0, -5.0):
        cleaned = clean(read_file(data_folder / name, options=ReadOptions(utc_offset=offset)))
        series = cleaned.funding()
        known = rates.reindex(pd.to_datetime(series.timestamp, utc=True)).to_numpy()
        agree[offset] = float(np.mean(np.isclose(known, series.rate, rtol=0, atol=1e-12)))
    assert agree[3.0] == 1.0
    assert agree[-5.0] < 0.5
    with pytest.raises(DataError, match="even so stand at"):
        clean(read_file(data_folder / name, options=ReadOptions(utc_offset=2.0)))


def test_swapped_volumes_are_put_right_and_said(data_folder: Path) -> None:
    """The 20,143 rows with exchanged volumes come out in bitcoin, and the note names the first of them."""
    reading = read_file(data_folder / "raw/cryptodatadownload/Bitstamp_BTCUSD_1h_2022.csv.gz")
    assert any("20,143 rows (first in line 12114)" in note for note in reading.notes)
    assert float(np.max(reading.columns["volume"])) < 50_000
