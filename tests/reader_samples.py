"""Small files of market data in every format, made from one table of bars, for tests of the readers."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HOUR = 3_600_000_000_000
START = 1_704_067_200_000_000_000  # 2024-01-01
PRICES = ("open", "high", "low", "close")
ARCHIVE = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
REST = "timestamp,open,high,low,close,volume,quote_volume,trades,close_time"


@dataclass(frozen=True)
class Sample:
    """A format: its key, a file name, and how a table of bars becomes the bytes of a file."""

    key: str
    name: str
    write: Callable[[dict[str, Any]], bytes]


def make_bars(rows: int = 48, seed: int = 5) -> dict[str, Any]:
    """Hourly bars with prices of two decimals and volumes of three; each opens near the close before it."""
    generator = np.random.default_rng(seed)
    close = np.round(40_000 * np.exp(np.cumsum(generator.normal(0, 0.004, rows))), 2)
    opens = np.round(np.concatenate(([40_000.0], close[:-1])) + generator.choice([-0.1, 0.0, 0.1], rows), 2)
    high = np.round(np.maximum(opens, close) + generator.exponential(40, rows) + 0.01, 2)
    low = np.round(np.minimum(opens, close) - generator.exponential(40, rows) - 0.01, 2)
    volume = np.round(generator.exponential(300, rows) + 1, 3)
    stamps = START + np.arange(rows, dtype=np.int64) * HOUR
    return {"timestamp": stamps, "open": opens, "high": high, "low": low, "close": close, "volume": volume}


def typical(bars: dict[str, Any]) -> Any:
    """A mean price of each bar, inside its low..high."""
    return sum(bars[name] for name in PRICES) / 4


def binance_rows(bars: dict[str, Any], unit: int = 1_000_000) -> list[str]:
    """The twelve columns of the archive; `unit` is nanoseconds per tick of its clock."""
    quote = np.round(bars["volume"] * typical(bars), 4)
    lines = []
    for k, stamp in enumerate(bars["timestamp"]):
        cells = [f"{bars[name][k]:.8f}" for name in (*PRICES, "volume")]
        close_time = (stamp + HOUR) // unit - 1
        lines.append(f"{stamp // unit},{','.join(cells)},{close_time},{quote[k]:.8f},100,1.0,40000.0,0")
    return lines


def archive(bars: dict[str, Any]) -> bytes:
    """With a header, in milliseconds."""
    return "\n".join([ARCHIVE, *binance_rows(bars), ""]).encode()


def bare_archive(bars: dict[str, Any]) -> bytes:
    """Without a header, in microseconds, as spot files from 2025 on."""
    return "\n".join([*binance_rows(bars, 1_000), ""]).encode()


def zipped(bars: dict[str, Any]) -> bytes:
    """The archive's zip of one CSV."""
    return pack("BTCUSDT-1h-2024-01.csv", archive(bars))


def pack(name: str, data: bytes) -> bytes:
    """A zip of one file, the same bytes whenever it is made."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def rest(bars: dict[str, Any]) -> bytes:
    """An export of the REST API."""
    lines = [REST]
    for line in binance_rows(bars):
        cells = line.split(",")
        lines.append(",".join([*cells[:6], cells[7], cells[8], cells[6]]))
    return "\n".join([*lines, ""]).encode()


def vendor(bars: dict[str, Any]) -> bytes:
    """CryptoDataDownload: its address on top, newest first, unix in seconds, a date and two volumes."""
    quote = np.round(bars["volume"] * typical(bars), 3)
    lines = []
    for k, stamp in enumerate(bars["timestamp"]):
        date = pd.Timestamp(int(stamp)).strftime("%Y-%m-%d %H:%M:%S")
        cells = ",".join(f"{bars[name][k]:.2f}" for name in PRICES)
        lines.append(f"{stamp // 10**9},{date},BTC/USDT,{cells},{bars['volume'][k]:.3f},{quote[k]:.3f}")
    head = ["https://www.CryptoDataDownload.com", "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT"]
    return "\n".join([*head, *reversed(lines), ""]).encode()


def bitmex_page(bars: dict[str, Any]) -> bytes:
    """A page of BitMEX's API, stamped at the close."""
    rest_of = {"trades": 10, "lastSize": 1, "turnover": 5, "homeNotional": 0.5, "foreignNotional": 100}
    rows = []
    for k, stamp in enumerate(bars["timestamp"]):
        time = pd.Timestamp(int(stamp) + HOUR).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        cells = {name: float(bars[name][k]) for name in (*PRICES, "volume")}
        rows.append({"timestamp": time, "symbol": "XBTUSD", **cells, **rest_of})
    return json.dumps(rows).encode()


def bitmex_table(bars: dict[str, Any]) -> bytes:
    """The same rows as gzipped CSV."""
    return gzip.compress(pd.DataFrame(json.loads(bitmex_page(bars))).to_csv(index=False).encode(), mtime=0)


def freqtrade_feather(bars: dict[str, Any]) -> bytes:
    """freqtrade's feather."""
    frame = pd.DataFrame({"date": pd.to_datetime(bars["timestamp"], utc=True), **without_stamps(bars)})
    buffer = io.BytesIO()
    frame.to_feather(buffer)
    return buffer.getvalue()


def freqtrade_json(bars: dict[str, Any]) -> bytes:
    """freqtrade's gzipped JSON."""
    rows = zip(bars["timestamp"] // 1_000_000, *without_stamps(bars).values(), strict=True)
    return gzip.compress(json.dumps([[int(row[0]), *map(float, row[1:])] for row in rows]).encode(), mtime=0)


def lean_day(bars: dict[str, Any]) -> bytes:
    """One day of LEAN's minutes; only whole minutes of the first day can be written."""
    lines = []
    for k in range(len(bars["timestamp"])):
        cells = ",".join(repr(float(bars[name][k])) for name in (*PRICES, "volume"))
        lines.append(f"{k * 60_000},{cells}")
    return pack("20240101_btcusdt_minute_trade_perp.csv", "\n".join(lines).encode())


def plain(bars: dict[str, Any]) -> bytes:
    """CSV with plain headers and times in words."""
    frame = pd.DataFrame({"Date": pd.to_datetime(bars["timestamp"]), **without_stamps(bars)})
    return frame.to_csv(index=False).encode()


def parquet(bars: dict[str, Any]) -> bytes:
    """The layout of the data folder, with a checksum of each page."""
    frame = pd.DataFrame({"timestamp": pd.to_datetime(bars["timestamp"], utc=True), **without_stamps(bars)})
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, write_page_checksum=True)
    return buffer.getvalue()


def without_stamps(bars: dict[str, Any]) -> dict[str, Any]:
    """The columns of numbers."""
    return {name: values for name, values in bars.items() if name != "timestamp"}


SAMPLES = (
    Sample("binance_archive", "BTCUSDT-1h-2024-01.csv", archive),
    Sample("binance_archive", "BTCUSDT-1h-2025-01.csv", bare_archive),
    Sample("binance_archive", "BTCUSDT-1h-2024-01.zip", zipped),
    Sample("binance_rest", "BTCUSDT-1h.csv", rest),
    Sample("cryptodatadownload", "Binance_BTCUSDT_1h.csv", vendor),
    Sample("bitmex", "XBTUSD-1h.json", bitmex_page),
    Sample("bitmex", "XBTUSD-1h.csv.gz", bitmex_table),
    Sample("freqtrade", "BTC_USDT_USDT-1h-futures.feather", freqtrade_feather),
    Sample("freqtrade", "BTC_USDT_USDT-1h-futures.json.gz", freqtrade_json),
    Sample("lean", "20240101_trade.zip", lean_day),
    Sample("plain", "BTC-PERP_1h.csv", plain),
    Sample("plain", "binance_um_BTCUSDT_1h.parquet", parquet),
)


def write_sample(folder: Path, sample: Sample, bars: dict[str, Any]) -> Path:
    """The file of a sample in a folder."""
    path = folder / sample.name
    path.write_bytes(sample.write(bars))
    return path


def in_time(bars: dict[str, Any], sample: Sample) -> dict[str, Any]:
    """The bars that a reader should find: LEAN's sample squeezes hours into minutes."""
    if sample.key != "lean":
        return bars
    return {**bars, "timestamp": START + np.arange(len(bars["timestamp"]), dtype=np.int64) * (HOUR // 60)}
