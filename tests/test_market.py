"""Market: the mark on the candles' grid, parts, and the fingerprint."""

from dataclasses import replace

import numpy as np
import pytest

from foundation.errors import DataError
from markets.candles import Candles
from markets.contract import find_contract
from markets.funding import Funding
from markets.market import Market

HOUR = 3_600_000_000_000
START = 1_640_995_200_000_000_000
BTC = find_contract("binance_usdm:BTCUSDT")


def candles(opens: list[float], bar: int = HOUR, first: int = 0) -> Candles:
    """Bars that open at the given prices, `first` nanoseconds after 2022-01-01, each 2 up and 1 down, closing 1 up."""
    o = np.array(opens, dtype=float)
    stamps = START + first + bar * np.arange(len(o))
    return Candles(stamps, o, o + 2, o - 1, o + 1, np.ones(len(o)), bar)


LAST = candles([100.0, 200.0, 300.0, 400.0])


def mark_rows(mark: Candles | None) -> tuple[list[list[float]], list[bool]]:
    """The mark on the grid of LAST, as lists."""
    bars, stands_in = Market(BTC, LAST, mark).mark_bars()
    return bars.tolist(), stands_in.tolist()


LAST_ROWS = [[o, o + 2, o - 1, o + 1] for o in (100.0, 200.0, 300.0, 400.0)]


def test_without_a_mark_the_last_price_stands_in() -> None:
    """No mark: last-price bars on every row, every row flagged."""
    assert mark_rows(None) == (LAST_ROWS, [True] * 4)


def test_a_mark_of_the_same_bar_length_is_taken_as_it_is() -> None:
    """Equal bars: the mark's own open, high, low and close, nothing flagged."""
    assert mark_rows(candles([10.0, 20.0, 30.0, 40.0])) == (
        [[o, o + 2, o - 1, o + 1] for o in (10.0, 20.0, 30.0, 40.0)],
        [False] * 4,
    )


def test_a_finer_mark_is_joined() -> None:
    """Two half-hour mark bars make one hour: first open, highest high, lowest low, last close."""
    bars, stands_in = mark_rows(candles([10.0, 15.0, 30.0, 20.0, 50.0, 60.0, 70.0, 80.0], HOUR // 2))
    assert bars == [[10, 17, 9, 16], [30, 32, 19, 21], [50, 62, 49, 61], [70, 82, 69, 81]]
    assert stands_in == [False] * 4


def test_a_coarser_mark_does_not_count() -> None:
    """Mark bars longer than the candles cannot say what happened in one: the last price stands in."""
    assert mark_rows(candles([10.0, 20.0], 2 * HOUR)) == (LAST_ROWS, [True] * 4)


def test_a_mark_that_does_not_divide_the_bar_does_not_count() -> None:
    """Bars of 25 minutes never end with the hour."""
    assert mark_rows(candles([10.0] * 20, 25 * 60 * 1_000_000_000)) == (LAST_ROWS, [True] * 4)


def test_a_mark_for_part_of_the_candles_counts_there() -> None:
    """Mark from the second candle to the third: the other rows hold the last price and the flag."""
    bars, stands_in = mark_rows(candles([20.0, 30.0], first=HOUR))
    assert stands_in == [True, False, False, True]
    assert bars == [LAST_ROWS[0], [20, 22, 19, 21], [30, 32, 29, 31], LAST_ROWS[3]]


def test_a_finer_mark_counts_only_where_it_holds_the_whole_candle() -> None:
    """Half an hour of mark is not an hour: at both ends the last price stands in."""
    bars, stands_in = mark_rows(candles([15.0, 20.0, 25.0, 30.0], HOUR // 2, first=HOUR // 2))
    assert stands_in == [True, False, True, True]
    assert bars[1] == [20, 27, 19, 26]


@pytest.mark.parametrize("first", [-9 * HOUR, 9 * HOUR])
def test_a_mark_of_another_time_does_not_count(first: int) -> None:
    """Mark bars wholly before or after the candles leave the last price, flagged."""
    assert mark_rows(candles([10.0, 20.0], first=first)) == (LAST_ROWS, [True] * 4)


def test_a_longer_mark_is_found_by_time() -> None:
    """Mark that begins earlier and ends later is matched by stamp, not by row."""
    bars, stands_in = mark_rows(candles([8.0, 9.0, 10.0, 20.0, 30.0, 40.0, 50.0], first=-2 * HOUR))
    assert [row[0] for row in bars] == [10, 20, 30, 40]
    assert stands_in == [False] * 4


def test_a_mark_off_the_candles_grid_does_not_count() -> None:
    """Hourly mark bars that open at half past match no hourly candle."""
    assert mark_rows(candles([10.0, 20.0, 30.0], first=HOUR // 2)) == (LAST_ROWS, [True] * 4)


def test_a_part_keeps_mark_funding_and_oracle_in_step() -> None:
    """Rows of a market have the candles and the oracle of those rows, and find the same mark and funding by time."""
    funding = Funding(START + HOUR * np.arange(4), np.array([0.1, 0.2, 0.3, 0.4]))
    mark = candles([10.0, 20.0, 30.0, 40.0])
    whole = Market(BTC, LAST, mark, funding, synthetic=True, oracle=np.array([1.0, 2.0, 3.0, 4.0]))
    part = whole.rows(1, 3)
    assert part.candles.open.tolist() == [200, 300]
    assert part.oracle is not None
    assert part.oracle.tolist() == [2, 3]
    assert part.mark_bars()[0][:, 0].tolist() == [20, 30]
    assert part.funding_bars()[0].tolist() == [0.2, 0.3]
    assert part.synthetic


@pytest.mark.parametrize("oracle", [np.zeros(3), np.array([0.0, np.nan, 0.0, 0.0])])
def test_an_oracle_speaks_at_every_bar(oracle: np.ndarray) -> None:
    """An oracle of another length than the candles, or with a gap, is refused."""
    with pytest.raises(DataError, match="oracle"):
        Market(BTC, LAST, oracle=oracle)


def test_a_year_has_8760_hours() -> None:
    """Crypto trades on each of 365 days."""
    assert Market(BTC, LAST).bars_per_year == 8760


def test_the_fingerprint_names_the_content() -> None:
    """Equal content has one fingerprint; another price, mark, rate, stamp or contract has another."""
    funding = Funding(START + HOUR * np.arange(2), np.array([0.1, 0.2]))
    base = Market(BTC, LAST, LAST, funding)
    again = Market(BTC, candles([100.0, 200.0, 300.0, 400.0]), candles([100.0, 200.0, 300.0, 400.0]), funding)
    assert base.fingerprint == again.fingerprint
    others = [
        Market(BTC, candles([100.0, 200.0, 300.0, 401.0]), LAST, funding),
        Market(BTC, LAST, None, funding),
        Market(BTC, LAST, candles([100.0, 200.0, 300.0, 401.0]), funding),
        Market(BTC, LAST, LAST, Funding(funding.timestamp, np.array([0.1, 0.3]))),
        Market(BTC, LAST, LAST, Funding(funding.timestamp + HOUR, funding.rate)),
        Market(BTC.replaced(taker_fee=0.0004), LAST, LAST, funding),
        Market(BTC, candles([100.0, 200.0, 300.0, 400.0], first=HOUR), LAST, funding),
    ]
    assert len({base.fingerprint, *(other.fingerprint for other in others)}) == len(others) + 1


def test_the_fingerprint_leaves_out_the_oracle_and_the_path() -> None:
    """What no model sees, and where a file lies, do not count as content."""
    elsewhere = replace(LAST, source="elsewhere.parquet")
    assert Market(BTC, elsewhere, oracle=np.zeros(4)).fingerprint == Market(BTC, LAST).fingerprint
