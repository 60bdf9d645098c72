"""The speed of reading, checking and importing 500,000 one-minute bars: `python benchmarks/readers.py`.

Each figure is the best of some runs, printed beside its target.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from markets.quality import check_candles
from markets.readers import read_file
from markets.readers.damage import find_damage
from markets.readers.importing import clean, import_files

ROWS = 500_000
MINUTE = 60_000_000_000
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
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    print(f"{what:<52} {min(times) * 1e3:9.1f} ms   target {target * 1e3:7.0f} ms")


def main() -> None:
    """Prints the figures."""
    table = make_table()
    best("check 500,000 bars", 0.010, lambda: check_candles(table), 20)
    best("find damage in 500,000 bars", 1.0, lambda: find_damage(table, str), 3)
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "BTCUSDT-1m-2020.csv", Path(folder) / "store"
        write_archive(table, path)
        best(f"read {path.stat().st_size / 1e6:.0f} MB of CSV", 2.0, lambda: read_file(path), 3)
        best("read and clean it", 2.0, lambda: clean(read_file(path)), 3)
        best("crossgate data import: read, clean and write it", 2.0, lambda: import_files([path], out, replace=True), 3)


if __name__ == "__main__":
    main()
