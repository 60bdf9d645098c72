"""Small market tables for the tests of the store: whole ones, and how a file is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foundation.errors import DataError
from markets.market import Market
from markets.store import load_market

BTC = "binance_usdm:BTCUSDT"
BARS = 48
COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")


def table(bars: int = BARS, bar: str = "1h") -> pd.DataFrame:
    """Hourly bars from 2022-01-01 as a table that is whole and consistent."""
    close = 100.0 + np.cumsum(np.random.default_rng(3).normal(size=bars))
    opens = np.concatenate(([100.0], close[:-1]))
    stamps = pd.date_range("2022-01-01", periods=bars, freq=bar, tz="UTC").as_unit("ms")
    high, low = np.maximum(opens, close) + 0.5, np.minimum(opens, close) - 0.5
    volume = np.random.default_rng(4).uniform(1, 9, bars)
    return pd.DataFrame(dict(zip(COLUMNS, (stamps, opens, high, low, close, volume), strict=True)))


def funding_table() -> pd.DataFrame:
    """Settlements every 8 hours, stamped a few milliseconds late."""
    stamps = pd.date_range("2022-01-01 00:00:00.004", periods=6, freq="8h", tz="UTC").as_unit("ms")
    return pd.DataFrame({"timestamp": stamps, "funding_rate": np.arange(6) * 1e-4})


def write_store(folder: Path) -> Path:
    """The folder, filled with candles, mark and funding of one contract in the layout of the store."""
    for name in ("ohlcv", "mark", "funding"):
        (folder / name).mkdir()
    table().to_parquet(folder / "ohlcv" / "btc_1h.parquet")
    table().drop(columns="volume").to_parquet(folder / "mark" / "btc_1h.parquet")
    funding_table().to_parquet(folder / "funding" / "btc.parquet")
    return folder


def load(store: Path, **changed: Any) -> Market:
    """The market of a folder made by `write_store`."""
    paths = {"candles": "ohlcv/btc_1h.parquet", "mark": "mark/btc_1h.parquet", "funding": "funding/btc.parquet"}
    return load_market(BTC, data=store, **{**paths, **changed})


def refusal(path: Path, **changed: Any) -> str:
    """The one line with which a candle file is refused; it begins with the file's path."""
    with pytest.raises(DataError) as caught:
        load_market(BTC, path, **changed)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    assert "; " in text, "a refusal says how to mend it"
    return text.removeprefix(f"{path}: ")
