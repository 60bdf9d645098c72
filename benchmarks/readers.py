"""The speed of reading, checking, importing and loading 500,000 one-minute bars: `python benchmarks/readers.py`.

Each figure is the best of some runs, in time that passed and in time of the processor, printed beside its target.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from markets.quality import check_candles
from markets.readers import read_file
from markets.readers.damage import find_damage
from markets.readers.importing import clean, import_files
from markets.series import SeriesKey, append_rows, last_stamp, read_rows
from markets.store import load_market
from markets.stored import StoredMarket

ROWS = 500_000
MINUTE = 60_000_000_000
CONTRACT = "binance_usdm:BTCUSDT"
KEY = SeriesKey("binance_usdm", "BTCUSDT", "candles", MINUTE)
START = 1_577_836_800_000_000_000  # 2020-01-01
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def make_table() -> dict[str, Any]:
    """Minutes of a random walk with prices of two decimals and volumes of three."""
    generator = np.random.default_rng(1)
    close = np.round(20_000 * np.exp(np.cumsum(generator.normal(0, 5e-4, ROWS))), 2)
    opens = np.concatenate(([20_000.0], close[:-1]))
    high = np.round(np.maximum(opens, close) * (1 + 2e-4 * generator.random(ROWS)) + 0.01, 2)
    low = np.round(np.minimum(opens, close) * (1 - 2e-4 * generator.random(ROWS)) - 0.01, 2)
    volume = np.round(1 + 10 * generator.random(ROWS), 3)
    stamps = START + np.arange(ROWS, dtype=np.int64) * MINUTE
    return {"timestamp": stamps, "open": opens, "high": high, "low": low, "close": close, "volume": volume}


def write_archive(table: dict[str, Any], path: Path) -> None:
    """The table as a CSV of Binance's archive, twelve columns with a header."""
    quote = table["volume"] * (table["high"] + table["low"]) / 2
    numbers = [[f"{value:.8f}" for value in table[name]] for name in ("open", "high", "low", "close", "volume")]
    with path.open("w") as file:
        file.write(HEADER + "\n")
        for k, stamp in enumerate(table["timestamp"] // 1_000_000):
            cells = ",".join(column[k] for column in numbers)
            file.write(f"{stamp},{cells},{stamp + 59_999},{quote[k]:.8f},100,1.00000000,20000.00000000,0\n")


def best(what: str, target: float, work: Callable[[], object], runs: int) -> None:
    """Prints the shortest of some runs in milliseconds."""
    times = []
    for _ in range(runs):
        start, busy = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - start, time.process_time() - busy))
    passed, used = (min(one) * 1e3 for one in zip(*times, strict=True))
    print(f"{what:<52} {passed:9.1f} ms  processor {used:9.1f} ms  target {target * 1e3:7.0f} ms")


def main() -> None:
    """Prints the figures."""
    table = make_table()
    best("check 500,000 bars", 0.010, lambda: check_candles(table), 20)
    best("find damage in 500,000 bars", 1.0, lambda: find_damage(table, str), 3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "BTCUSDT-1m-2020.csv"
        stores = (Path(folder) / f"data{k}" for k in count())
        write_archive(table, path)
        best(f"read {path.stat().st_size / 1e6:.0f} MB of CSV", 2.0, lambda: read_file(path), 3)
        best("read and clean it", 2.0, lambda: clean(read_file(path)), 3)
        best("crossgate data import: read, clean and store it", 2.0, lambda: put(path, next(stores)), 3)
        store = Path(folder) / "data0"
        best("import it again: nothing new", 2.0, lambda: put(path, store), 3)
        best("read its rows from the store", 0.1, lambda: read_rows(store, KEY), 10)
        best("load it from the store as a market", 0.1, lambda: load_market(CONTRACT, bar="1m", data=store), 10)
        best("load it as a market of 4h bars", 0.1, lambda: load_without_finer(store), 10)
        best("append one day to it", 0.5, lambda: append_day(store), 5)


def put(path: Path, folder: Path) -> None:
    """Imports a file into the store of a data folder."""
    import_files([path], folder, symbol=CONTRACT)


def load_without_finer(store: Path) -> None:
    """Candles of four hours, made of the minutes."""
    StoredMarket(store, *CONTRACT.split(":")).candles(240 * MINUTE, (None, None))


def append_day(store: Path) -> None:
    """The next day of minutes."""
    last = last_stamp(store, KEY)
    assert last is not None
    stamps = last + MINUTE * np.arange(1, 1441)
    rows = {name: np.full(1440, 100.0) for name in ("open", "high", "low", "close", "volume")}
    append_rows(store, KEY, {"timestamp": stamps, **rows}, source="benchmark", fetched_at=time.time_ns())


if __name__ == "__main__":
    main()
