"""Candles: what they refuse, and what they promise."""

import numpy as np
import pandas as pd
import pytest

from foundation.errors import DataError
from markets.candles import Candles, duration, utc

HOUR = 3_600_000_000_000
START = 1_640_995_200_000_000_000


def make(bars: int = 6, **changed: object) -> Candles:
    """Six flat hourly bars from 2022-01-01, with some columns changed."""
    flat = np.full(bars, 100.0)
    columns: dict[str, object] = {
        "timestamp": START + HOUR * np.arange(bars),
        "open": flat,
        "high": flat + 1,
        "low": flat - 1,
        "close": flat,
        "volume": flat,
        "bar": HOUR,
        "source": "six.parquet",
    }
    return Candles(**{**columns, **changed})  # type: ignore[arg-type]


def changed(name: str, row: int, value: float) -> Candles:
    """The six bars with one value changed."""
    values = np.array(getattr(make(), name), dtype=float)
    values[row] = value
    return make(**{name: values})


def stamps(*hours: float) -> np.ndarray:
    """Stamps at the given hours after 2022-01-01."""
    return np.array([START + round(hour * HOUR) for hour in hours], dtype=np.int64)


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        ((0, 1, 3, 2, 4, 5), r"not in time order at 2022-01-01 02:00 UTC \(row 3\), 1 in all; sort"),
        ((0, 1, 1, 2, 3, 4), r"duplicate timestamp at 2022-01-01 01:00 UTC \(row 2\), 1 in all; keep one"),
        ((0, 1, 2, 5, 6, 7), r"gap of 2 1h bar\(s\) after 2022-01-01 02:00 UTC \(row 2\), 1 in all; fetch"),
        ((0, 1, 2.5, 3, 4, 5), r"off the grid of 1h bars at 2022-01-01 02:30 UTC \(row 2\), 2 in all; stamp"),
    ],
)
def test_wrong_stamps_are_named(hours: tuple[float, ...], words: str) -> None:
    """Stamps out of order, doubled, with a gap or off the grid are refused, with row, time and fix."""
    with pytest.raises(DataError, match=rf"^six\.parquet: .*{words}"):
        make(timestamp=stamps(*hours))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("close", np.nan, r"column close has a value that is missing or not a finite number \(nan\)"),
        ("open", np.inf, r"column open has a value that is missing or not a finite number \(inf\)"),
        ("volume", np.nan, r"column volume has a value that is missing"),
        ("low", 0.0, r"column low has a price that is not above zero \(0\)"),
        ("open", -3.0, r"column open has a price that is not above zero \(-3\)"),
        ("volume", -1.0, r"column volume has a negative volume \(-1\)"),
        ("high", 99.5, r"breaks low <= open, close <= high \(open 100, high 99\.5, low 99, close 100\)"),
        ("low", 100.5, r"breaks low <= open, close <= high"),
        ("close", 101.5, r"breaks low <= open, close <= high"),
    ],
)
def test_wrong_values_are_named(name: str, value: float, words: str) -> None:
    """A value that is missing, infinite, out of range or against its bar is refused, with column, row and time."""
    with pytest.raises(DataError, match=rf"^six\.parquet: {words}.* at 2022-01-01 03:00 UTC \(row 3\), 1 in all; "):
        changed(name, 3, value)


def test_zero_volume_and_flat_bars_are_allowed() -> None:
    """A bar without a trade is legal: volume zero, four equal prices."""
    flat = np.full(6, 100.0)
    assert len(make(high=flat, low=flat, volume=np.zeros(6))) == 6


@pytest.mark.parametrize("bar", [0, -HOUR])
def test_a_bar_is_longer_than_zero(bar: int) -> None:
    """A bar length of zero or less is refused."""
    with pytest.raises(DataError, match="bar length"):
        make(bar=bar)


def test_no_bars_are_refused() -> None:
    """A market without one candle is a mistake."""
    with pytest.raises(DataError, match="holds no bars"):
        make(0)


def test_columns_of_different_length_are_refused() -> None:
    """A column with a row more or less than the stamps names itself."""
    with pytest.raises(DataError, match=r"column low has the shape \(5,\)"):
        make(low=np.full(5, 99.0))


def test_a_table_in_a_column_is_refused() -> None:
    """A column has one dimension."""
    with pytest.raises(DataError, match="column close has the shape"):
        make(close=np.full((6, 1), 100.0))


@pytest.mark.parametrize(
    ("name", "values"), [("close", ["1"] * 6), ("timestamp", np.arange(6.0)), ("touched", np.ones(6))]
)
def test_a_column_of_the_wrong_type_is_refused(name: str, values: object) -> None:
    """Text prices, stamps with a fraction and numeric flags are refused rather than converted."""
    with pytest.raises(DataError, match=f"column {name} is of type"):
        make(**{name: values})


def test_numpy_dates_of_any_unit_become_nanoseconds() -> None:
    """Stamps given as datetime64 in milliseconds mean the same instants."""
    written = stamps(0, 1, 2, 3, 4, 5).astype("datetime64[ns]").astype("datetime64[ms]")
    assert np.array_equal(make(timestamp=written).timestamp, make().timestamp)


def test_candles_never_change() -> None:
    """The arrays are read-only copies: neither they nor the array handed in can change them."""
    mine = np.full(6, 100.0)
    candles = make(close=mine)
    mine[0] = 7.0
    assert candles.close[0] == 100.0
    for name in ("timestamp", "open", "high", "low", "close", "volume", "touched"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(candles, name)[0] = 1
    with pytest.raises(AttributeError):
        candles.bar = 1  # type: ignore[misc]


def test_between_holds_its_start_and_not_its_end() -> None:
    """`between` keeps the bars that open at or after start and before end."""
    part = make().between(START + 2 * HOUR, START + 4 * HOUR)
    assert part.timestamp.tolist() == [START + 2 * HOUR, START + 3 * HOUR]
    assert len(make().between(None, None)) == 6


def test_an_empty_span_says_what_there_is() -> None:
    """A span without a bar is refused, naming the span that the candles hold."""
    with pytest.raises(DataError, match="it holds 2022-01-01 00:00 to 2022-01-01 05:00 UTC; move"):
        make().between(START + 9 * HOUR, None)


def test_rows_carry_the_flag_of_cleaning() -> None:
    """A part of the candles keeps which of its bars cleaning has touched."""
    touched = np.array([False, False, True, False, False, False])
    assert make(touched=touched).rows(2, 4).touched.tolist() == [True, False]
    assert not make().touched.any()


def test_rows_stand_in_the_same_memory() -> None:
    """A part of the candles is neither copied nor checked again, and as read-only; beyond them there is none."""
    whole = make()
    part = whole.rows(2, 5)
    for name in ("timestamp", "open", "high", "low", "close", "volume", "touched"):
        held, all_held = getattr(part, name), getattr(whole, name)
        assert np.shares_memory(held, all_held)
        assert held.tolist() == all_held[2:5].tolist()
        assert not held.flags.writeable
    assert (len(part), part.bar, part.source) == (3, whole.bar, whole.source)
    with pytest.raises(DataError, match="has no bar in the chosen span"):
        whole.rows(6, 9)


def test_the_frame_has_utc_stamps() -> None:
    """The table for people has a UTC timestamp column and the five values."""
    frame = make().frame()
    assert list(frame.columns) == ["timestamp", "open", "high", "low", "close", "volume"]
    assert frame["timestamp"].iloc[0] == pd.Timestamp("2022-01-01", tz="UTC")


def test_times_are_written_as_people_read_them() -> None:
    """A stamp shows seconds only where it has some, a length its largest whole unit."""
    assert utc(START) == "2022-01-01 00:00"
    assert utc(START + 7_000_000_000) == "2022-01-01 00:00:07"
    assert [duration(n * 1_000_000_000) for n in (7, 90, 900, 3600, 5400, 86_400)] == [
        "7s",
        "90s",
        "15m",
        "1h",
        "90m",
        "1d",
    ]
