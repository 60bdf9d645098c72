"""Fetching from every venue: what is stored is what the venue knows, and nothing of it is asked for twice."""

# A stand-in takes what it is handed, whether it uses every argument or not.
# ruff: noqa: ARG005

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fetch_desk import LISTED, NOW, SYMBOLS, expected, fetch, same, stored, truth
from venue_server import serving
from venue_truth import DAY, HOUR, MINUTE

from foundation.errors import DataError, ParameterError
from markets.fetching.fetching import fetch_market
from markets.fetching.venues import VENUES
from markets.series import SeriesKey, list_series, read_rows


@pytest.mark.parametrize("venue", VENUES)
def test_a_venue_is_stored_as_it_is(venue: str, tmp_path: Path) -> None:
    """Candles, mark prices and funding come out bit for bit, from the listing to the last bar that is over.

    OKX hands out funding of three months only; BitMEX has no history of mark prices.
    """
    kinds = [kind for kind in ("candles", "mark", "funding") if kind in VENUES[venue].endpoints]
    with serving(truth()) as served:
        done = fetch(served, tmp_path, venue, only=kinds)
        for kind in kinds:
            assert same(stored(tmp_path, venue, kind), expected(served.truth, venue, kind)), kind
            assert (done[kind].state, done[kind].missing, done[kind].gaps) == ("new", 0, 0)


@pytest.mark.parametrize("venue", VENUES)
def test_a_second_fetch_asks_for_no_page_and_changes_nothing(venue: str, tmp_path: Path) -> None:
    """Where all is stored, only the time, the listing and the years before it are asked for again."""
    with serving(truth()) as served:
        fetch(served, tmp_path, venue, since="2023-01-01")
        before = list_series(tmp_path)
        asked = len(served.asked)
        again = fetch(served, tmp_path, venue, since="2023-01-01")["candles"]
        assert (again.state, again.added) == ("unchanged", 0)
        assert list_series(tmp_path) == before
        first = VENUES[venue].endpoint("candles")
        pages = [query for _, query in served.asked[asked:] if set(first.params) <= {*query, "settle"}]
        assert pages == []


@pytest.mark.parametrize("venue", VENUES)
def test_a_fetch_goes_on_where_the_last_one_ended(venue: str, tmp_path: Path) -> None:
    """Bars that are over since then are added, the bar that was running among them, with what it closed at."""
    with serving(truth(now=NOW - 3 * DAY)) as served:
        fetch(served, tmp_path, venue)
        served.truth.now = NOW
        done = fetch(served, tmp_path, venue, since=None)["candles"]
        assert done.added == 72
        assert same(stored(tmp_path, venue), expected(served.truth, venue))


def test_okx_says_where_its_funding_begins(tmp_path: Path) -> None:
    """A history that begins later than asked for is said, with the day."""
    with serving(truth(now=LISTED + 200 * DAY)) as served:
        done = fetch(served, tmp_path, "okx", since="2023-01-01", only=["funding"])["funding"]
    assert done.first == "2023-04-19 00:00"
    assert done.notes == ("the venue has none before 2023-04-19 00:00 UTC",)


@pytest.mark.parametrize("hours", [1, 4, 8])
def test_funding_of_any_interval_is_whole(hours: int, tmp_path: Path) -> None:
    """Pages hold settlements of one, four or eight hours; a page that is full is asked on at both of its ends."""
    for venue in ("binance_usdm", "bybit_linear", "gate", "bitget"):
        with serving(truth(funding_interval=hours * HOUR)) as served:
            done = fetch(served, tmp_path / venue, venue, only=["funding"])["funding"]
            assert same(stored(tmp_path / venue, venue, "funding"), expected(served.truth, venue, "funding"))
            assert (done.rows, done.missing) == (60 * 24 // hours + 1, 0)


@pytest.mark.parametrize("bar", ["5m", "30m", "4h", "1d"])
def test_bars_of_other_lengths(bar: str, tmp_path: Path) -> None:
    """The running bar of any length is left out."""
    with serving(truth()) as served:
        fetch(served, tmp_path, bar=bar, since="2023-02-20")
        whole = expected(served.truth, bar=bar)
    chosen = whole["timestamp"] >= LISTED + 50 * DAY
    assert same(stored(tmp_path, bar=bar), {name: values[chosen] for name, values in whole.items()})


def test_the_span_is_since_to_before_until(tmp_path: Path) -> None:
    """A bar that opens at `since` is stored, one that opens at `until` is not; another span adds what it lacks."""
    with serving(truth()) as served:
        fetch(served, tmp_path, since="2023-02-01 00:00", until="2023-02-02 00:00")
        assert len(stored(tmp_path)["timestamp"]) == 24
        done = fetch(served, tmp_path, since="2023-01-31 12:30", until="2023-02-02 00:30")["candles"]
        assert (done.first, done.last, done.added) == ("2023-01-31 13:00", "2023-02-02 00:00", 12)


def test_gaps_of_the_venue_are_said_and_not_filled(tmp_path: Path) -> None:
    """Bars that the venue has none of stay missing; how many, in how many gaps and where is reported."""
    gaps = [(LISTED + 5 * DAY, LISTED + 5 * DAY + 3 * HOUR), (LISTED + 50 * DAY, LISTED + 50 * DAY + 30 * HOUR)]
    with serving(truth(gaps=gaps)) as served:
        done = fetch(served, tmp_path)["candles"]
        assert same(stored(tmp_path), expected(served.truth))
    assert (done.missing, done.gaps) == (33, 2)
    assert "the venue has 33 missing in 2 gaps, the longest after 2023-02-19 23:00 UTC" in done.notes


def test_a_gap_that_the_venue_fills_later_is_filled(tmp_path: Path) -> None:
    """Missing bars are asked for again by every fetch."""
    with serving(truth(gaps=[(LISTED + 5 * DAY, LISTED + 6 * DAY)])) as served:
        fetch(served, tmp_path)
        served.truth.gaps = []
        assert fetch(served, tmp_path)["candles"].added == 24
        assert same(stored(tmp_path), expected(served.truth))


@pytest.mark.parametrize("venue", ["binance_usdm", "okx", "bitget", "bitmex"])
def test_years_before_the_listing_take_few_requests(venue: str, tmp_path: Path) -> None:
    """The first bar is found by daily bars, not by a walk through years of nothing."""
    with serving(truth()) as served:
        fetch(served, tmp_path, venue, since="2017-01-01")
        assert same(stored(tmp_path, venue), expected(served.truth, venue))
        assert len(served.asked) < 55


def test_the_time_of_the_venue_counts(tmp_path: Path) -> None:
    """A bar is over by the venue's clock: this machine's own, years ahead here, is never asked."""
    with serving(truth(now=LISTED + DAY + 59 * MINUTE)) as served:
        assert fetch(served, tmp_path)["candles"].last == "2023-01-01 23:00"
        served.truth.now = LISTED + DAY + HOUR
        assert fetch(served, tmp_path)["candles"].last == "2023-01-02 00:00"


@pytest.mark.parametrize("venue", ["bybit_linear", "okx", "bitget", "gate", "binance_usdm"])
def test_margin_tiers_become_dated_tables(venue: str, tmp_path: Path) -> None:
    """Brackets are stored with the venue's day; the same ones again are known, other ones a new table."""
    from markets.stored import stored_tiers

    signed = {"key": "key", "secret": "secret"}
    with serving(truth()) as served:
        assert fetch(served, tmp_path, venue, only=["tiers"], **signed)["tiers"].state == "new"
        served.truth.now += DAY
        assert fetch(served, tmp_path, venue, only=["tiers"], **signed)["tiers"].state == "unchanged"
    (table,) = stored_tiers(tmp_path, venue, SYMBOLS[venue]).values()
    assert table.date == "2023-03-02"
    assert table.floors[0] == 0.0
    first = {"bybit_linear": 0.005}.get(venue, 0.004)
    assert table.maintenance_rate(1.0) == first


def test_brackets_in_contracts_are_valued_at_the_mark(tmp_path: Path) -> None:
    """OKX counts contracts of 0.01 BTC: 1000 of them at a mark of 1000 USDT are a cap of 10,000 USDT."""
    from markets.stored import stored_tiers

    with serving(truth()) as served:
        fetch(served, tmp_path, "okx", only=["tiers"])
    (table,) = stored_tiers(tmp_path, "okx", SYMBOLS["okx"]).values()
    np.testing.assert_allclose(table.caps, [10_000.0, 20_000.0])
    np.testing.assert_allclose(table.floors, [0.0, 10_000.0])


def test_signed_requests_carry_the_time_of_the_venue(tmp_path: Path) -> None:
    """Binance refuses a signature that is 10 s off its own clock, which is years from this machine's here."""
    with serving(truth()) as served:
        done = fetch(served, tmp_path, only=["tiers"], key="key", secret="secret")
        assert done["tiers"].rows == 3
        assert any("signature" in query for _, query in served.asked)


def test_what_a_venue_does_not_offer_is_said(tmp_path: Path) -> None:
    """Left out of a whole fetch with the reason; refused where it was asked for by name."""
    with serving(truth()) as served:
        done = fetch(served, tmp_path, only=())
        assert done["tiers"].state == "left out"
        assert "CROSSGATE_VENUE_KEY" in done["tiers"].notes[0]
        with pytest.raises(ParameterError, match=r"only = 'tiers': margin tiers of binance_usdm are told to signed"):
            fetch(served, tmp_path, only=["tiers"])
        with pytest.raises(ParameterError, match=r"only = 'mark': bitmex offers no mark"):
            fetch(served, tmp_path, "bitmex", only=["mark"])


@pytest.mark.parametrize(
    ("name", "bar", "since", "until", "message"),
    [
        ("binance_usd:BTCUSDT", "1h", "2023-01-01", None, r'venue = \'binance_usd\': .* did you mean "binance_usdm"'),
        ("BTCUSDT", "1h", "2023-01-01", None, r"symbol = 'BTCUSDT': is no VENUE:SYMBOL"),
        ("binance_usdm:BTCUSD", "1h", "2023-01-01", None, r'symbol = \'BTCUSD\': .* did you mean "BTCUSDT"'),
        ("bitmex:XBTUSDX", "1h", "2023-01-01", None, r"symbol = 'XBTUSDX': is no perpetual of bitmex; did you mean"),
        ("binance_usdm:QQQ", "1h", "2023-01-01", None, r"it lists 3, such as BTCUSDT, ETHUSDT, XYZUSDT"),
        (
            "binance_usdm:BTCUSDT",
            "7m",
            "2023-01-01",
            None,
            r"bar = '7m': is no length of bars at binance_usdm; one of 1m",
        ),
        ("binance_usdm:BTCUSDT", "soon", "2023-01-01", None, r"bar = 'soon': is no length of a bar"),
        (
            "binance_usdm:BTCUSDT",
            "1h",
            "2030-01-01",
            None,
            r"since = '2030-01-01 00:00': lies in the future; a day before",
        ),
        ("binance_usdm:BTCUSDT", "1h", "2023-02-01", "2023-01-01", r"until = '2023-01-01 00:00': should be later than"),
        ("binance_usdm:BTCUSDT", "1h", "first of may", None, r"since = 'first of may': is not a day or a time"),
        ("binance_usdm:BTCUSDT", "1h", None, None, r"since: is missing, and nothing is stored yet"),
    ],
)
def test_a_wrong_question_is_one_line_and_stores_nothing(
    name: str, bar: str, since: str | None, until: str | None, message: str, tmp_path: Path
) -> None:
    """Each mistake names the value and the way out, before anything is written."""
    from fetch_desk import connection

    with serving(truth()) as served, pytest.raises(ParameterError, match=message):
        fetch_market(name, bar, since, until, out=tmp_path, connection=connection(served))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_part_is_named(tmp_path: Path) -> None:
    """A typo in `only` gets a suggestion."""
    with serving(truth()) as served, pytest.raises(ParameterError, match=r'did you mean "candles"'):
        fetch(served, tmp_path, only=["candels"])


def test_a_refusal_of_the_venue_is_not_repeated(tmp_path: Path) -> None:
    """HTTP 403 is told at once, with what was asked."""
    forbidden = lambda number, path: "403" if "klines" in path else None  # noqa: E731
    with serving(truth(), faults=forbidden) as served:
        with pytest.raises(DataError, match=r"binance_usdm: GET klines is refused: HTTP 403"):
            fetch(served, tmp_path)
        assert len(served.paths("klines")) == 1


def test_filters_are_kept_with_their_day(tmp_path: Path) -> None:
    """The contract's filters go into the store too, dated by the venue's clock."""
    with serving(truth()) as served:
        fetch(served, tmp_path, only=["contract"])
    rows = read_rows(tmp_path, SeriesKey("binance_usdm", "BTCUSDT", "filters"))
    assert (rows["tick"][0], rows["lot"][0], rows["minimum_notional"][0]) == (0.1, 0.001, 100.0)
    assert int(rows["timestamp"][0]) == NOW
