"""Faults of venues and on the way to them: what passes is asked again, patience ends, and the rows are the same."""

# A stand-in takes what it is handed, whether it uses every argument or not.
# ruff: noqa: ARG005

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fetch_desk import SYMBOLS, Retry, StillClock, expected, fetch, same, stored, truth
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from venue_payloads import answer
from venue_server import Faults, serving
from venue_truth import DAY, HOUR, LISTED, MINUTE

from foundation.errors import DataError
from markets.fetching.clock import Pace
from markets.fetching.retry import retry_after

PASSING = ["429", "429:3", "418:5", "500", "502", "503", "504", "cut", "cut_open", "drop", "text"]


def first(count: int, fault: str, part: str = "klines") -> Faults:
    """A fault of the first `count` requests whose path holds `part`."""
    left = [count]

    def faults(number: int, path: str) -> str | None:
        if part not in path or left[0] == 0:
            return None
        left[0] -= 1
        return fault

    return faults


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_changes_nothing(fault: str, tmp_path: Path) -> None:
    """After a full rate limit, a fault of the server or a cut answer the same rows are stored, and it is said."""
    with serving(truth(), faults=first(2, fault)) as served:
        done = fetch(served, tmp_path)["candles"]
        assert same(stored(tmp_path), expected(served.truth))
    assert "2 request(s) failed in passing and were asked again" in done.notes


@pytest.mark.parametrize("fault", ["429", "500", "cut", "drop", "text"])
def test_our_own_client_is_as_patient(fault: str, tmp_path: Path) -> None:
    """BitMEX, which ccxt does not know, is asked again in the same way."""
    with serving(truth(), faults=first(2, fault, "bucketed")) as served:
        fetch(served, tmp_path, "bitmex")
        assert same(stored(tmp_path, "bitmex"), expected(served.truth, "bitmex"))


@pytest.mark.parametrize("venue", ["binance_usdm", "bitmex"])
def test_an_answer_that_does_not_come_is_given_up(venue: str, tmp_path: Path) -> None:
    """A request that takes longer than the timeout counts as failed and is asked again."""
    part = "klines" if venue == "binance_usdm" else "bucketed"
    with serving(truth(), faults=first(1, "slow:0.4", part)) as served:
        fetch(served, tmp_path, venue, timeout_seconds=0.2)
        assert same(stored(tmp_path, venue), expected(served.truth, venue))


def test_the_wait_grows_with_jitter_from_the_seed(tmp_path: Path) -> None:
    """Before attempt k + 1 lie 0.5 to 1 times 2**(k - 1) seconds, at most the longest; the same seed waits the same."""
    slept = []
    for _ in range(2):
        clock = StillClock()
        retry = Retry(attempts=8, first_seconds=1.0, longest_seconds=10.0, seed=3)
        with serving(truth(), faults=first(6, "500")) as served:
            fetch(served, tmp_path, clock=clock, retry=retry, since="2023-02-20", bar="4h", revise=True)
        slept.append(clock.slept)
    assert slept[0] == slept[1]
    for wait, backoff in zip(slept[0], [1.0, 2.0, 4.0, 8.0, 10.0, 10.0], strict=True):
        assert backoff / 2 <= wait <= backoff


def test_the_server_is_waited_for_as_long_as_it_asks(tmp_path: Path) -> None:
    """Retry-After counts where it is longer than the back-off."""
    clock = StillClock()
    with serving(truth(), faults=first(1, "429:37")) as served:
        fetch(served, tmp_path, clock=clock)
    assert clock.slept == [37.0]


def test_patience_ends_and_says_how_to_go_on(tmp_path: Path) -> None:
    """A venue that is down ends in one line; what was stored until then is kept, and the next run completes it."""
    with serving(truth()) as served:
        served.faults = lambda number, path: "503" if len(served.paths("klines")) > 3 else None
        with pytest.raises(
            DataError, match=r"binance_usdm: GET klines failed 3 times in a row.*HTTP 503; run the same"
        ):
            fetch(served, tmp_path, since="2023-01-01", bar="5m", retry=Retry(attempts=3))
        kept = len(stored(tmp_path, bar="5m")["timestamp"])
        assert 0 < kept < 60 * 288
        served.faults = lambda number, path: None
        fetch(served, tmp_path, since="2023-01-01", bar="5m")
        assert same(stored(tmp_path, bar="5m"), expected(served.truth, bar="5m"))


def test_a_wait_beyond_all_patience_is_told_instead(tmp_path: Path) -> None:
    """A ban of an hour is not slept through."""
    clock = StillClock()
    told = r"asks to wait 3,600 s; wait that long, then run the same command again"
    with serving(truth(), faults=first(99, "418:3600")) as served, pytest.raises(DataError, match=told):
        fetch(served, tmp_path, clock=clock)
    assert clock.slept == []


@pytest.mark.parametrize(
    ("header", "date", "seconds"),
    [
        ("7", None, 7.0),
        ("0.5", None, 0.5),
        ("Wed, 21 Oct 2015 07:28:30 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:29:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, date: str | None, seconds: float | None) -> None:
    """A date counts from the server's own `Date`, never from the clock of this machine."""
    assert retry_after(header, date) == seconds


def test_requests_keep_the_rate_limit() -> None:
    """Each request takes its cost in time before the next may go out; time that has passed anyway counts."""
    clock = StillClock()
    pace = Pace(clock, 0.25)
    for cost in (1.0, 4.0, 1.0):
        pace.wait(cost)
    assert clock.slept == [0.25, 1.0]
    clock.time += 10.0
    pace.wait()
    assert clock.slept == [0.25, 1.0]


def test_the_venue_is_not_asked_faster_than_it_allows(tmp_path: Path) -> None:
    """Pages of Binance cost five units of 50 ms each: 18 pages lie at least 4.2 s apart in all."""
    clock = StillClock()
    with serving(truth()) as served:
        fetch(served, tmp_path, bar="5m", since="2023-01-01", clock=clock, seconds_apart=None)
        assert sum(clock.slept) >= 0.25 * (len(served.paths("klines")) - 1)


Mangle = Callable[[str, dict[str, str], Any], Any]


def klines(change: Callable[[list[Any], dict[str, str]], Any]) -> Mangle:
    """A change of the bars in an answer of Binance."""
    return lambda path, query, payload: change(payload, query) if path.endswith("/klines") else payload


def test_pages_out_of_order_and_overlapping_are_the_same_rows(tmp_path: Path) -> None:
    """Rows in any order, twice, and rows of other pages around them come to the same stored rows."""

    def change(rows: list[Any], query: dict[str, str]) -> Any:
        bounds = {"startTime": str(int(query["startTime"]) - 5 * 3_600_000), "endTime": str(int(query["endTime"]) + 1)}
        around = answer(served.truth, "/fapi/v1/klines", {**query, **bounds, "limit": "1500"})
        return [*rows[::-2], *around, *rows[-2::-2], *rows[:7]]

    with serving(truth(), mangle=klines(change)) as served:
        fetch(served, tmp_path)
        assert same(stored(tmp_path), expected(served.truth))


def test_a_page_cut_to_a_lower_limit_is_asked_on(tmp_path: Path) -> None:
    """A venue that hands out fewer rows than it says, from either end, loses none."""
    for name, cut in (("newest", slice(-90, None)), ("oldest", slice(None, 90))):
        with serving(truth(), mangle=klines(lambda rows, query, cut=cut: rows[cut])) as served:
            fetch(served, tmp_path / name)
            assert same(stored(tmp_path / name), expected(served.truth)), name


def test_two_different_rows_of_one_bar_are_refused(tmp_path: Path) -> None:
    """Nothing is stored of an answer that contradicts itself."""

    def change(rows: list[Any], query: dict[str, str]) -> Any:
        return [*rows, [*rows[0][:4], "1.0", *rows[0][5:]]] if rows else rows

    with (
        serving(truth(), mangle=klines(change)) as served,
        pytest.raises(DataError, match="two different rows of 2023"),
    ):
        fetch(served, tmp_path, since="2023-01-01")
    assert not (tmp_path / "store").exists()


def test_stamps_in_another_unit_are_refused(tmp_path: Path) -> None:
    """Seconds where milliseconds should be are no time from 2009 on, and microseconds none before 2100."""
    for scale in (0.001, 1000):
        change = lambda rows, query, scale=scale: [[int(row[0] * scale), *row[1:]] for row in rows]  # noqa: E731
        told = r"has the stamp \d+, which is no time from 2009 to 2100 in ms"
        with serving(truth(), mangle=klines(change)) as served, pytest.raises(DataError, match=told):
            fetch(served, tmp_path)
    assert not (tmp_path / "store").exists()


def test_impossible_bars_are_refused_or_repaired_as_chosen(tmp_path: Path) -> None:
    """Fetched rows pass the checks of files: an impossible bar is an error until a repair is chosen, then touched."""
    from fetch_desk import connection

    from markets.cleaning import CleaningParams
    from markets.fetching.fetching import fetch_market

    change = lambda rows, query: [[row[0], row[1], row[3], row[3], *row[4:]] for row in rows]  # noqa: E731
    with serving(truth(), mangle=klines(change)) as served:
        with pytest.raises(DataError, match=r"breaks low <= open, close <= high"):
            fetch(served, tmp_path, since="2023-01-01")
        wide = lambda rows, query: [[row[0], "99999.0", *row[2:]] if n == 5 else row for n, row in enumerate(rows)]  # noqa: E731
        served.mangle = klines(wide)
        fetch_market(
            "binance_usdm:BTCUSDT", "1h", "2023-01-01", out=tmp_path, only=["candles"], archive=False,
            cleaning=CleaningParams(ohlc="clip_open"), connection=connection(served),
        )  # fmt: skip
    assert stored(tmp_path)["touched"].any()


def test_an_answer_for_another_symbol_is_refused(tmp_path: Path) -> None:
    """Funding names its symbol, and that of another contract is never stored."""

    def change(path: str, query: dict[str, str], payload: Any) -> Any:
        return json.loads(json.dumps(payload).replace("BTCUSDT", "ETHUSDT")) if "fundingRate" in path else payload

    told = r"was asked for BTCUSDT and answered for ETHUSDT"
    with serving(truth(), mangle=change) as served, pytest.raises(DataError, match=told):
        fetch(served, tmp_path, only=["funding"])
    assert not (tmp_path / "store").exists()


def test_a_bar_that_the_venue_changed_is_refused_or_revised(tmp_path: Path) -> None:
    """A stored bar that comes back different stops the fetch and names both values; `revise` takes the venue's."""
    at = LISTED + 58 * DAY + 23 * HOUR
    with serving(truth(now=LISTED + 59 * DAY + 5 * MINUTE)) as served:
        fetch(served, tmp_path)
        served.truth.now += DAY
        was = stored(tmp_path)["close"][-1]
        served.truth.revised[("candles", at)] = was + 5.0
        message = r"at 2023-02-28 23:00 UTC is stored as .* and now .*--revise"
        with pytest.raises(DataError, match=message):
            fetch(served, tmp_path)
        done = fetch(served, tmp_path, revise=True)["candles"]
        assert (done.revised, done.added) == (1, 24)
        assert same(stored(tmp_path), expected(served.truth))


def test_a_venue_that_answers_without_its_list_is_told(tmp_path: Path) -> None:
    """An answer of another shape is one line, not a traceback."""
    for change in (lambda rows, query: {"code": 0}, lambda rows, query: [{"x": 1}], lambda rows, query: [[1]]):
        with serving(truth(), mangle=klines(change)) as served, pytest.raises(DataError, match="binance_usdm"):
            fetch(served, tmp_path)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    faults=st.lists(st.sampled_from([None, None, *PASSING]), max_size=40),
    venue=st.sampled_from(["binance_usdm", "bybit_linear", "gate", "bitmex"]),
    order=st.sampled_from(["as it is", "backwards", "rotated"]),
)
def test_any_faults_come_to_the_same_rows(faults: list[str | None], venue: str, order: str) -> None:
    """Whatever fails in passing, at any request, and in whatever order rows come: the stored rows are the truth."""

    def mangle(path: str, query: dict[str, str], payload: Any) -> Any:
        rows = payload["result"]["list"] if venue == "bybit_linear" and "kline" in path else payload
        if isinstance(rows, list) and len(rows) > 2 and order != "as it is":
            rows[:] = rows[::-1] if order == "backwards" else [*rows[len(rows) // 3 :], *rows[: len(rows) // 3]]
        return payload

    kinds = ["funding", "candles"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(truth(), mangle=mangle) as served:
            served.faults = lambda number, path: faults[number] if number < len(faults) else None
            try:
                fetch(served, folder, venue, only=kinds, retry=Retry(attempts=4))
            except DataError:
                served.faults = lambda number, path: None
                fetch(served, folder, venue, only=kinds)
            for kind in kinds:
                assert same(stored(folder, venue, kind), expected(served.truth, venue, kind)), SYMBOLS[venue]
