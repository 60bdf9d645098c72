"""Coarser bars: against pandas on recorded prices, on the clock of UTC, whole ones only, known no earlier."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import DataError, ParameterError
from markets import resampling
from markets.candles import Candles
from markets.demo import demo_market
from markets.resampling import resample
from markets.store import load_market

HOUR = 3_600_000_000_000
MONDAY = 1_640_995_200_000_000_000 + 2 * 24 * HOUR  # 2022-01-03
DEMO = demo_market(seed=3, bars=600).candles
NAMES = ("open", "high", "low", "close", "volume")


def against_pandas(candles: Candles, rule: str, bar: int) -> pd.DataFrame:
    """What pandas makes of the candles, without the bars that are not held as a whole."""
    frame = candles.frame().set_index("timestamp")
    frame["touched"] = candles.touched
    grouped = frame.resample(rule, label="left", closed="left")
    made = grouped.agg(
        {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "touched": "max"}
    )
    return made[grouped["open"].count() == bar // candles.bar]


def equal(made: Candles, frame: pd.DataFrame) -> bool:
    """Whether resampled candles are the rows of a table."""
    stamps = frame.index.as_unit("ns").asi8  # type: ignore[attr-defined]
    return (
        np.array_equal(made.timestamp, stamps)
        and all(np.allclose(getattr(made, name), frame[name], rtol=1e-12) for name in NAMES)
        and made.touched.tolist() == frame["touched"].astype(bool).tolist()
    )


@pytest.mark.parametrize(
    ("file", "rule", "hours"),
    [("BTCUSDT_1h", "4h", 4), ("BTCUSDT_1h", "1D", 24), ("BTCUSDT_30m", "1h", 1), ("XRPUSDT_15m", "12h", 12)],
)
def test_recorded_candles_resample_as_pandas_does(file: str, rule: str, hours: int, data_folder: Path) -> None:
    """Recorded candles of several lengths give pandas' bars, and no bar that is not whole at either end."""
    candles = load_market("binance_usdm:BTCUSDT", f"ohlcv/binance_um_{file}.parquet", data=data_folder).candles
    candles = candles.rows(3, len(candles) - 2)
    made = resample(candles, hours * HOUR)
    assert equal(made, against_pandas(candles, rule, hours * HOUR))
    assert (made.timestamp % (hours * HOUR) == 0).all()


def test_the_days_of_two_recordings_agree(data_folder: Path) -> None:
    """Days made of recorded 30-minute bars are those made of hourly ones, but for the recorder's known few."""
    days = [
        resample(
            load_market(
                "binance_usdm:BTCUSDT", f"ohlcv/binance_um_BTCUSDT_{bar}.parquet", data=data_folder, start="2020-01-01"
            ).candles,
            24 * HOUR,
        )
        for bar in ("1h", "30m")
    ]
    differ = days[0].high != days[1].high
    assert len(days[0]) == len(days[1]) == 1643
    assert differ.sum() <= 3


@given(first=st.integers(0, 30), count=st.integers(1, 120), parts=st.sampled_from([2, 3, 4, 6, 8, 12, 24]))
def test_any_span_resamples_as_pandas_does(first: int, count: int, parts: int) -> None:
    """Wherever the candles begin and end, bars stand on the clock of UTC and only whole ones are made."""
    candles = DEMO.rows(first, first + count)
    candles = replace(candles, touched=np.arange(count) % 7 == 0)
    expected = against_pandas(candles, f"{parts}h", parts * HOUR)
    if len(expected) == 0:
        with pytest.raises(DataError, match="holds no whole bar"):
            resample(candles, parts * HOUR)
    else:
        assert equal(resample(candles, parts * HOUR), expected)


@given(cut=st.integers(30, 590))
def test_a_coarse_bar_is_known_at_its_close_and_not_before(cut: int) -> None:
    """The coarse bars that have closed by a moment are the same whether later candles exist or not."""
    whole, known = resample(DEMO, 4 * HOUR), resample(DEMO.rows(0, cut), 4 * HOUR)
    assert np.array_equal(known.close, whole.close[: len(known)])
    assert known.timestamp[-1] + known.bar <= DEMO.timestamp[cut - 1] + DEMO.bar
    assert whole.timestamp[len(known)] + whole.bar > DEMO.timestamp[cut - 1] + DEMO.bar


def test_weeks_begin_on_monday() -> None:
    """A week of bars begins on Monday at 00:00 UTC, as venues have it."""
    weeks = resample(DEMO, 7 * 24 * HOUR)
    assert ((weeks.timestamp - MONDAY) % (7 * 24 * HOUR) == 0).all()
    assert weeks.open[0] == DEMO.open[DEMO.timestamp == weeks.timestamp[0]][0]


@pytest.mark.parametrize("hours", [5, 48, 0.5, 1.5])
def test_lengths_that_fit_no_day_are_refused(hours: float) -> None:
    """A bar that does not divide a day, or that hourly bars do not make, is named with what would do."""
    with pytest.raises(ParameterError, match="bar"):
        resample(DEMO, int(hours * HOUR))


def test_candles_off_the_hour_are_refused() -> None:
    """Hours that begin at half past make no bar that begins at 00:00 UTC."""
    with pytest.raises(DataError, match="no bar of 4h begins at 00:00 UTC"):
        resample(replace(DEMO, timestamp=DEMO.timestamp + HOUR // 2), 4 * HOUR)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("first = (", "first = 1 + ("),
        ("// parts\n", "// parts - 1\n"),
        ("[first:last:parts]", "[first:last:parts] + bar"),
        ('["volume"].sum', '["volume"].max'),
        ('["close"][:, -1]', '["close"][:, 0]'),
        (".any(axis=1)", ".all(axis=1)"),
    ],
)
def test_faults_are_seen(right: str, wrong: str) -> None:
    """A resampling that is one bar off, stamps the close, or takes a wrong part does not pass as pandas'."""
    source = inspect.getsource(resample)
    assert source.count(right) == 1
    space = vars(resampling).copy()
    exec(source.replace(right, wrong), space)
    candles = replace(DEMO.rows(3, 200), touched=np.arange(197) % 7 == 0)
    expected = against_pandas(candles, "4h", 4 * HOUR)
    assert equal(resample(candles, 4 * HOUR), expected)
    assert not equal(space["resample"](candles, 4 * HOUR), expected)
