"""Funding stamps: how they are rounded, refused, searched for holes and laid on the candles' grid."""

import numpy as np
import pytest

from foundation.errors import DataError
from markets.candles import Candles
from markets.contract import find_contract
from markets.funding import Funding
from markets.market import Market

HOUR = 3_600_000_000_000
MINUTE = 60_000_000_000
START = 1_640_995_200_000_000_000


def settled(hours: list[float], rates: list[float] | None = None) -> Funding:
    """Settlements at the given hours after 2022-01-01."""
    stamps = np.array([START + round(hour * HOUR) for hour in hours], dtype=np.int64)
    return Funding(stamps, np.array(rates if rates is not None else [0.0001] * len(hours)))


def market(bar_hours: int, bars: int, funding: Funding | None) -> Market:
    """Flat candles of a bar length, with funding."""
    flat = np.full(bars, 100.0)
    stamps = START + bar_hours * HOUR * np.arange(bars)
    candles = Candles(stamps, flat, flat, flat, flat, flat, bar_hours * HOUR)
    return Market(find_contract("binance_usdm:BTCUSDT"), candles, funding=funding)


def test_venue_jitter_is_rounded_to_the_minute() -> None:
    """Settlements stamped some milliseconds before or after their minute count as of that minute."""
    stamps = np.array([START + 17_000_000, START + 8 * HOUR - 3_000_000], dtype=np.int64)
    assert Funding(stamps, np.zeros(2)).timestamp.tolist() == [START, START + 8 * HOUR]


@pytest.mark.parametrize(
    ("hours", "words"),
    [([0, 8, 8], r"duplicate timestamp at 2022-01-01 08:00 UTC \(row 2\)"), ([0, 16, 8], "not in time order")],
)
def test_unsorted_and_doubled_settlements_are_refused(hours: list[float], words: str) -> None:
    """Settlements rise in time, each stamp once."""
    with pytest.raises(DataError, match=words):
        settled(hours)


def test_two_stamps_in_one_minute_are_one_doubled_settlement() -> None:
    """Two rows that jitter sets milliseconds apart would be paid twice, so they are refused."""
    with pytest.raises(DataError, match="duplicate"):
        Funding(np.array([START, START + 4_000_000]), np.zeros(2))


@pytest.mark.parametrize(
    ("rate", "words"),
    [(np.nan, "missing or not a finite number"), (np.inf, "not a finite"), (1.5, "no fraction of notional")],
)
def test_wrong_rates_are_named(rate: float, words: str) -> None:
    """A rate that is missing, infinite or no fraction is refused, with row and time."""
    with pytest.raises(
        DataError, match=rf"funding rate that .*{words}.* at 2022-01-01 08:00 UTC \(row 1\), 1 in all; "
    ):
        settled([0, 8, 16], [0.0001, rate, 0.0001])


def test_stamps_and_rates_come_in_pairs() -> None:
    """A rate without a stamp, a stamp without a rate, or nothing at all is refused."""
    with pytest.raises(DataError, match="2 stamps and 1 rates"):
        settled([0, 8], [0.0001])
    with pytest.raises(DataError, match="0 stamps"):
        Funding(np.zeros(0, dtype=np.int64), np.zeros(0))


def test_stamps_with_a_fraction_are_refused() -> None:
    """Stamps as floats have lost nanoseconds already."""
    with pytest.raises(DataError, match="stamps of type float64"):
        Funding(np.array([1.0, 2.0]), np.zeros(2))


def test_funding_never_changes() -> None:
    """The arrays are read-only."""
    with pytest.raises(ValueError, match="read-only"):
        settled([0, 8]).rate[0] = 1.0


def test_an_hourly_bar_pays_at_the_open_that_bears_the_stamp() -> None:
    """A settlement at 08:00 belongs to the open of the bar that opens at 08:00."""
    at_open, inside = market(1, 24, settled([0, 8, 16], [0.1, 0.2, 0.3])).funding_bars()
    assert {row: rate for row, rate in enumerate(at_open.tolist()) if rate} == {0: 0.1, 8: 0.2, 16: 0.3}
    assert not inside.any()


def test_a_stamp_within_a_bar_is_inside_it() -> None:
    """A settlement at 08:00 lies inside a daily bar, after its open."""
    at_open, inside = market(24, 2, settled([8, 16, 24], [0.1, 0.2, 0.4])).funding_bars()
    assert at_open.tolist() == [0.0, 0.4]
    assert inside.tolist() == pytest.approx([0.3, 0.0])


def test_hourly_stamps_in_four_hour_bars_add_up() -> None:
    """Of four hourly settlements one falls on the open of a 4h bar and three inside it; none is lost."""
    at_open, inside = market(4, 3, settled([float(hour) for hour in range(12)], [0.001] * 12)).funding_bars()
    assert at_open.tolist() == pytest.approx([0.001] * 3)
    assert inside.tolist() == pytest.approx([0.003] * 3)


def test_stamps_outside_the_candles_are_paid_by_none() -> None:
    """Settlements before the first open, and from the last close on, touch no bar."""
    at_open, inside = market(1, 8, settled([-1, -0.5, 8, 9], [0.1] * 4)).funding_bars()
    assert not at_open.any()
    assert not inside.any()


def test_the_last_bar_still_pays() -> None:
    """A settlement inside the last bar, before its close, counts."""
    _, inside = market(1, 8, settled([7.5], [0.1])).funding_bars()
    assert inside.tolist() == [0.0] * 7 + [0.1]


def test_jitter_does_not_move_a_settlement_into_the_bar_before() -> None:
    """A settlement stamped 5 ms early is still paid at the open of its own bar."""
    funding = Funding(np.array([START + 8 * HOUR - 5_000_000]), np.array([0.1]))
    at_open, inside = market(1, 24, funding).funding_bars()
    assert at_open[8] == 0.1
    assert not inside.any()


def test_no_funding_is_no_payment() -> None:
    """A market without funding has zeros."""
    at_open, inside = market(1, 8, None).funding_bars()
    assert not at_open.any()
    assert not inside.any()


def test_nothing_is_missing_where_every_stamp_is_there() -> None:
    """Settlements every 8 hours leave no stretch longer than 8 hours."""
    assert settled([0, 8, 16]).missing(START, START + 24 * HOUR, 8 * HOUR) is None


@pytest.mark.parametrize(
    ("hours", "stretch"),
    [([16], (0, 16)), ([0, 16], (0, 16)), ([0, 8], (8, 24)), ([40], (0, 24)), ([0, 9, 20], (0, 9))],
)
def test_the_first_missing_stretch_is_named(hours: list[float], stretch: tuple[int, int]) -> None:
    """A stretch longer than the interval shows at the beginning, in the middle, at the end, and everywhere."""
    found = settled(hours).missing(START, START + 24 * HOUR, 8 * HOUR)
    assert found == (START + stretch[0] * HOUR, START + stretch[1] * HOUR)


def test_a_shortened_interval_is_not_missing() -> None:
    """A venue that settles hourly for a while leaves nothing missing under an 8h rule."""
    assert settled([0, 1, 2, 3, 4, 8, 16]).missing(START, START + 24 * HOUR, 8 * HOUR) is None
