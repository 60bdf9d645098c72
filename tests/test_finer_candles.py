"""Finer candles: which bars they may speak for, and which files are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from store_factory import BTC, write_store

from crossgate.config import build_config
from crossgate.job import load_markets
from foundation.errors import DataError
from markets.candles import Candles
from markets.contract import find_contract
from markets.market import Market
from markets.store import load_market

HOUR = 3_600_000_000_000
START = 1_640_995_200_000_000_000
PARTS = 4


def finer_walk(hours: int, seed: int = 1, parts: int = PARTS, first: int = 0) -> Candles:
    """Bars of a random walk on the tick of 0.1, `parts` of them in an hour, `first` bars after 2022-01-01."""
    rng = np.random.default_rng(seed)
    closes = np.round(1000 + np.cumsum(rng.normal(0, 1, hours * parts)), 1)
    opens = np.concatenate(([1000.0], closes[:-1]))
    high, low = np.maximum(opens, closes) + 0.5, np.minimum(opens, closes) - 0.5
    bar = HOUR // parts
    stamps = START + bar * (first + np.arange(len(closes)))
    return Candles(stamps, opens, high, low, closes, np.ones(len(closes)), bar, source="finer.parquet")


def hours_of(finer: Candles, parts: int = PARTS) -> Candles:
    """The hourly candles that the finer ones make."""
    o, h, lo, c = (getattr(finer, name).reshape(-1, parts) for name in ("open", "high", "low", "close"))
    columns = (o[:, 0], h.max(axis=1), lo.min(axis=1), c[:, -1])
    return Candles(finer.timestamp[::parts], *columns, np.ones(len(o)), HOUR, source="hours.parquet")


FINER = finer_walk(8)
WHOLE = Market(find_contract(BTC), hours_of(FINER), finer=FINER)


def test_finer_candles_that_make_the_candles_count_everywhere() -> None:
    """Four quarters make each hour: the first row of each, and all of them count."""
    first, counts = WHOLE.finer_bars()
    assert first.tolist() == list(range(0, 32, 4))
    assert counts.all()


def test_finer_candles_count_where_a_whole_candle_is_held() -> None:
    """Finer candles from the second quarter to the 27th: the hours at both ends are not held as a whole."""
    part = Market(WHOLE.contract, WHOLE.candles, finer=FINER.rows(1, 27))
    assert part.finer_bars()[1].tolist() == [False, True, True, True, True, True, False, False]


def test_a_touched_bar_is_not_spoken_for() -> None:
    """Neither a candle that cleaning changed nor one with such a finer candle is decided by finer ones."""
    touched = np.zeros(32, dtype=bool)
    touched[5] = True
    coarse = np.zeros(8, dtype=bool)
    coarse[3] = True
    one = Market(WHOLE.contract, replace(WHOLE.candles, touched=coarse), finer=replace(FINER, touched=touched))
    assert one.finer_bars()[1].tolist() == [True, False, True, False, True, True, True, True]


def test_a_candle_that_the_finer_ones_do_not_make_is_not_spoken_for() -> None:
    """Of 40 candles one has a high that no finer candle reaches: there the finer candles do not count."""
    finer = finer_walk(40)
    hours = hours_of(finer)
    high = hours.high.copy()
    high[7] += 0.1
    one = Market(WHOLE.contract, replace(hours, high=high), finer=finer)
    assert np.flatnonzero(~one.finer_bars()[1]).tolist() == [7]


def test_finer_candles_of_another_contract_are_refused() -> None:
    """Where more than a twentieth of the candles is not made by the finer ones they are another contract's."""
    with pytest.raises(DataError, match=r"finer.parquet: does not make the candles of hours.parquet on 8 of 8 bars"):
        Market(WHOLE.contract, WHOLE.candles, finer=finer_walk(8, seed=2))


@pytest.mark.parametrize(
    ("finer", "problem"),
    [
        (hours_of(FINER), "has bars of 1h for candles of 1h"),
        (replace(finer_walk(1, parts=4), bar=HOUR * 2 // 3, timestamp=START + HOUR * 2 // 3 * np.arange(4)),
         "has bars of 40m for candles of 1h"),
        (replace(FINER, timestamp=FINER.timestamp + HOUR // 8), "open off the grid of hours.parquet"),
    ],
)  # fmt: skip
def test_finer_candles_must_divide_the_candles(finer: Candles, problem: str) -> None:
    """Equal bars, bars that do not divide the hour and bars off its grid are refused, each with the reason."""
    with pytest.raises(DataError, match=problem):
        Market(WHOLE.contract, WHOLE.candles, finer=finer)


def test_a_market_without_finer_candles_has_no_finer_bars() -> None:
    """Asking for them is refused in one line."""
    with pytest.raises(DataError, match="has no finer candles"):
        Market(WHOLE.contract, WHOLE.candles).finer_bars()


def test_a_part_of_a_market_keeps_the_finer_candles_of_its_rows() -> None:
    """Rows of a market hold the finer candles of those rows, or none."""
    part = WHOLE.rows(2, 5)
    assert part.finer is not None
    assert part.finer.timestamp.tolist() == FINER.timestamp[8:20].tolist()
    assert part.finer_bars()[0].tolist() == [0, 4, 8]
    assert Market(WHOLE.contract, WHOLE.candles, finer=FINER.rows(0, 4)).rows(2, 5).finer is None


def test_the_fingerprint_names_the_finer_candles() -> None:
    """With finer candles, without them and with fewer of them are three contents."""
    several = (
        WHOLE,
        Market(WHOLE.contract, WHOLE.candles),
        Market(WHOLE.contract, WHOLE.candles, finer=FINER.rows(4, 32)),
    )
    assert len({one.fingerprint for one in several}) == 3


def test_load_market_and_config_read_finer_candles(tmp_path: Path) -> None:
    """`finer` names a file of the data folder, in Python and in a config; the span cuts it like the candles."""
    store = write_store(tmp_path)
    for name, candles in (("hours", WHOLE.candles), ("quarters", FINER)):
        candles.frame().to_parquet(store / "ohlcv" / f"{name}.parquet")
    paths = {"candles": "ohlcv/hours.parquet", "finer": "ohlcv/quarters.parquet", "start": "2022-01-01 02:00"}
    market = load_market(BTC, data=store, **paths)
    assert market.finer is not None
    assert (len(market.candles), len(market.finer)) == (6, 24)
    assert market.finer_bars()[1].all()
    config = build_config({"market": {"contract": BTC, **paths}})
    assert load_markets(config, store)[0].fingerprint == market.fingerprint
    assert config.record()["market"]["finer"] == "ohlcv/quarters.parquet"


def test_real_five_minute_candles_make_the_real_hours(data_folder: Path) -> None:
    """All 11,991 hours of BTCUSDT that its five-minute candles cover are made by them, to the last digit."""
    paths = [f"ohlcv/binance_um_BTCUSDT_{bar}.parquet" for bar in ("1h", "5m")]
    market = load_market(BTC, paths[0], finer=paths[1], data=data_folder)
    first, counts = market.finer_bars()
    assert counts.sum() == 11_991
    assert market.finer is not None
    assert pd.Series(first[counts]).diff().dropna().eq(12).all()
