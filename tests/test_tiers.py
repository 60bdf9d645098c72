"""Margin tiers: edges, continuity, liquidation by the right bracket, dates, and damaged tables."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from golden_cases import BESIDE, FOLDER, TIERS
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import DataError, ParameterError
from markets import inverse
from markets.margin import profit, tiered_liquidation_price
from markets.tiers import MarginTiers, next_maintenance_amount, read_margin_tiers, tiers_in_force

# Brackets of Binance ETHUSDT in 2021, as its worked example of a liquidation price uses them.
FLOORS = (0.0, 10e3, 100e3, 500e3, 1e6, 2e6, 5e6)
RATES = (0.005, 0.0065, 0.01, 0.02, 0.05, 0.10, 0.125)
LEVERAGES = (100.0, 75.0, 50.0, 25.0, 10.0, 5.0, 4.0)
CAPS = (*FLOORS[1:], 10e6)
HEADER = "symbol,tier,notional_floor,notional_cap,maint_margin_rate,max_leverage,maint_amount"


def reckoned(floors: tuple[float, ...], rates: tuple[float, ...]) -> list[float]:
    """The maintenance amounts of brackets, by the recursion."""
    amounts = [0.0]
    for k in range(1, len(floors)):
        amounts.append(next_maintenance_amount(amounts[-1], rates[k - 1], floors[k], rates[k]))
    return amounts


def make_tiers(scale: float = 1.0, date: str = "2021-06-01") -> MarginTiers:
    """The brackets of the worked example, or the same in coin at a scale."""
    floors, caps = tuple(f * scale for f in FLOORS), [c * scale for c in CAPS]
    columns = (floors, caps, RATES, LEVERAGES, reckoned(floors, RATES))
    lower, upper, rates, leverages, amounts = (np.array(values, dtype=np.float64) for values in columns)
    return MarginTiers("ETHUSDT", date, lower, upper, rates, leverages, amounts)


@cache
def every_table() -> tuple[MarginTiers, ...]:
    """The worked example and every table of the folders of recorded data that are there."""
    data = Path(os.environ.get("CROSSGATE_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    files = [*sorted(data.glob("margin/*.csv")), *(f for f in {FOLDER / TIERS, BESIDE / TIERS} if f.is_file())]
    return (make_tiers(), make_tiers(1e-4), *(table for file in files for table in read_margin_tiers(file)))


tables = st.integers(0, 10_000).map(lambda n: every_table()[n % len(every_table())])
shares = st.floats(0.0, 1.2)


def test_a_bracket_holds_its_cap_and_not_its_floor() -> None:
    """Floor < notional <= cap: 10,000 still has leverage 100, a cent more has 75; nothing is in the first."""
    tiers = make_tiers()
    assert [tiers.bracket(n) for n in (0.0, 1.0, 10e3, 10e3 + 0.01, 100e3, 10e6, 11e6)] == [0, 0, 0, 1, 1, 6, 6]
    assert tiers.maximum_leverage(10e3) == 100.0
    assert tiers.maximum_leverage(10e3 + 0.01) == 75.0
    assert tiers.maximum_leverage(10e6) == 4.0
    assert tiers.maximum_leverage(10e6 + 1.0) == 0.0
    assert tiers.maintenance_rate(3e6) == 0.10
    assert tiers.maintenance_amount(3e6) == pytest.approx(135_365.0)


def test_maintenance_margin_has_no_jump_at_any_edge() -> None:
    """At every floor of every table the brackets on both sides ask for the same margin."""
    for tiers in every_table():
        for k in range(1, len(tiers.floors)):
            below = tiers.floors[k] * tiers.rates[k - 1] - tiers.amounts[k - 1]
            above = tiers.floors[k] * tiers.rates[k] - tiers.amounts[k]
            assert above == pytest.approx(below, rel=1e-9), (tiers.symbol, tiers.date, k)


@given(tables, shares, shares)
def test_maintenance_margin_is_continuous_and_rises(tiers: MarginTiers, one: float, other: float) -> None:
    """Between any two notionals the margin rises by no less than the lowest rate and no more than the highest."""
    low, high = sorted((one * tiers.caps[-1], other * tiers.caps[-1]))
    rise = tiers.maintenance_margin(high) - tiers.maintenance_margin(low)
    slack = 1e-9 * max(high, 1e-9)
    assert tiers.rates[0] * (high - low) - slack <= rise <= tiers.rates[-1] * (high - low) + slack


@given(tables, st.sampled_from((1.0, -1.0)), st.floats(0.001, 1.0), st.floats(0.005, 1.5), st.floats(0.01, 1e5))
def test_at_the_liquidation_price_the_wallet_is_the_maintenance_margin(
    tiers: MarginTiers, side: float, share: float, posted: float, entry: float
) -> None:
    """Wallet plus profit meets the margin of the notional AT the price; where there is none it never does."""
    notional = share * tiers.caps[-1]
    quantity, wallet = side * notional / entry, posted * notional
    price = tiers.liquidation_price(quantity, entry, wallet)
    if price == 0.0:
        assert side > 0.0
        assert wallet + profit(quantity, entry, 0.0) >= -1e-9 * notional
        return
    left = wallet + profit(quantity, entry, price)
    assert left == pytest.approx(tiers.maintenance_margin(abs(quantity) * price), abs=1e-9 * notional)


@given(tables, st.sampled_from((1.0, -1.0)), st.floats(0.001, 1.0), st.floats(0.005, 1.5), st.floats(0.01, 1e5))
def test_the_same_holds_in_coin(tiers: MarginTiers, side: float, share: float, posted: float, entry: float) -> None:
    """An inverse position is liquidated where its wallet in coin is the margin of its value at that price."""
    value = share * tiers.caps[-1]
    quantity, wallet = side * value * entry, posted * value
    price = tiers.inverse_liquidation_price(quantity, entry, wallet)
    if price == 0.0:
        assert side < 0.0
        assert wallet >= value * (1.0 - 1e-9)
        return
    left = wallet + inverse.profit(quantity, entry, price)
    scale = max(value, inverse.position_value(quantity, price))
    expected = tiers.maintenance_margin(inverse.position_value(quantity, price))
    assert left == pytest.approx(expected, abs=1e-9 * scale)
    if price < entry * 100 and scale < tiers.caps[-1]:
        k = tiers.bracket(inverse.position_value(quantity, price))
        margin = inverse.maintenance_margin(quantity, price, tiers.rates[k], tiers.amounts[k])
        assert margin == pytest.approx(expected, abs=1e-9 * scale)


def test_the_bracket_is_that_of_the_liquidation_price_not_of_the_entry() -> None:
    """The venue's own example: 5.37 million at entry lie in a higher bracket than at the liquidation price.

    1114.78 is what the venue prints; by the bracket at entry it would be 1107.86.
    """
    tiers, quantity, entry, wallet = make_tiers(), 3683.979, 1456.84, 1_535_443.01
    at_entry = tiers.bracket(quantity * entry)
    by_entry = tiered_liquidation_price(quantity, entry, wallet, tiers.rates[at_entry], tiers.amounts[at_entry])
    assert tiers.liquidation_price(quantity, entry, wallet) == pytest.approx(1114.78, abs=0.01)
    assert by_entry == pytest.approx(1107.86, abs=0.01)


def test_a_closing_fee_brings_the_liquidation_nearer() -> None:
    """Where a venue counts the closing fee as maintenance, both sides are liquidated earlier; a rebate is none."""
    tiers = make_tiers()
    for quantity, sign in ((100.0, 1.0), (-100.0, -1.0)):
        plain = tiers.liquidation_price(quantity, 1000.0, 10_000.0)
        assert sign * (tiers.liquidation_price(quantity, 1000.0, 10_000.0, 0.0006) - plain) > 0.0
        assert tiers.liquidation_price(quantity, 1000.0, 10_000.0, -0.0006) == plain


def test_the_leverage_of_a_margin_stops_at_the_cap_of_its_bracket() -> None:
    """125 at 100x would leave the first bracket, whose cap is 80 times that; 500 at 75x would stay in the second."""
    tiers = make_tiers()
    assert tiers.maximum_leverage_of_margin(0.0) == 100.0
    assert tiers.maximum_leverage_of_margin(100.0) == 100.0
    assert tiers.maximum_leverage_of_margin(125.0) == 80.0
    assert tiers.maximum_leverage_of_margin(500.0) == 75.0
    assert tiers.maximum_leverage_of_margin(10e6) == 1.0


def write(path: Path, *rows: str, header: str = HEADER) -> Path:
    """A CSV file of brackets."""
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def test_a_table_is_read_as_it_is_written(tmp_path: Path) -> None:
    """Symbols become tables, a vintage column wins over the date, and missing amounts are reckoned."""
    rows = ("X,1,0,100,0.01,50,0", "X,2,100,500,0.02,25,1", "Y,1,0,10,0.1,5,0")
    first, second = read_margin_tiers(write(tmp_path / "a.csv", *rows), date="2024-10-24")
    assert (first.symbol, first.date, second.symbol) == ("X", "2024-10-24", "Y")
    assert first.amounts.tolist() == [0.0, 1.0]
    header = "symbol,vintage,notional_floor,notional_cap,maint_margin_rate,max_leverage"
    rows = ("X,2021-01-01,0,100,0.01,50", "X,2021-01-01,100,500,0.02,25", "X,2022-01-01,0,100,0.02,25")
    old, new = read_margin_tiers(write(tmp_path / "b.csv", *rows, header=header))
    assert old.amounts.tolist() == [0.0, 1.0]
    assert tiers_in_force([new, old], "X", "2021-12-31") is old
    assert tiers_in_force([new, old], "X", "2022-01-01") is new
    with pytest.raises(ParameterError, match=r"2020-05-05.*before the first margin tiers of X; from 2021-01-01"):
        tiers_in_force([new, old], "X", "2020-05-05")
    with pytest.raises(ParameterError, match=r"has no margin tiers"):
        tiers_in_force([new, old], "Z", "2022-01-01")


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (("X,1,10,100,0.01,50,0",), "does not begin at 0"),
        (("X,1,0,100,0.01,50,0", "X,2,200,500,0.02,25,1"), "gaps or overlap"),
        (("X,1,0,100,0.02,50,0", "X,2,100,500,0.01,25,-1"), "do not rise"),
        (("X,1,0,100,0.01,50,0", "X,2,100,500,0.02,75,1"), "leverages do not fall"),
        (("X,1,0,100,0.01,50,0", "X,2,100,500,0.02,25,2"), "maintenance amount 2 is 2, but 1 leaves no jump at 100"),
        (("X,1,0,many,0.01,50,0",), "notional_cap of X that is no number"),
        (("X,1,0,inf,0.01,50,0",), "caps of X that are missing or no numbers"),
        ((), "lacks symbol, notional_floor"),
    ],
)
def test_a_damaged_table_is_refused(rows: tuple[str, ...], problem: str, tmp_path: Path) -> None:
    """Brackets with gaps, falling rates, jumps or words are named, never mended in silence."""
    with pytest.raises(DataError, match=problem):
        read_margin_tiers(write(tmp_path / "x.csv", *rows))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A path without a file is one readable line."""
    with pytest.raises(DataError, match=r"none\.csv: cannot be read"):
        read_margin_tiers(tmp_path / "none.csv")


def test_arrays_cannot_be_changed() -> None:
    """The brackets of a table are read-only."""
    with pytest.raises(ValueError, match="read-only"):
        make_tiers().rates[0] = 0.5
