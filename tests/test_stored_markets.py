"""Markets found in the store by contract and bar, without a path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossgate as cg
from crossgate.config import build_config
from crossgate.job import load_markets
from foundation.errors import CrossgateError, DataError, ParameterError
from foundation.seals import SealedError, check_sealed, open_seal, openings, sealed_from
from foundation.trials import Span, TrialLedger, batch_of
from markets.candles import Candles
from markets.contract import find_contract
from markets.demo import demo_market
from markets.resampling import resample
from markets.series import SeriesKey, append_rows
from models.forecasts import Forecasts, ForecastSeries

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
BTC = "binance_usdm:BTCUSDT"
DEMO = demo_market(seed=5, bars=960)
QUARTERS = replace(DEMO.candles, bar=15 * MINUTE, timestamp=DEMO.candles.timestamp[0] + np.arange(960) * 15 * MINUTE)
assert DEMO.funding is not None


def put(
    folder: Path, candles: Candles, kind: Any = "candles", drop: list[int] | None = None, venue: str = "binance_usdm"
) -> None:
    """Puts candles, or mark prices, into the store, without some of the rows."""
    names = ("timestamp", "open", "high", "low", "close", "touched", *(["volume"] if kind == "candles" else []))
    rows = {name: np.delete(getattr(candles, name), drop or []) for name in names}
    key = SeriesKey(venue, "BTCUSDT", kind, candles.bar)
    append_rows(folder, key, rows, source="test", fetched_at=1_900_000_000_000_000_000)


def put_funding(folder: Path, every: int = 8 * HOUR) -> None:
    """Puts settlements over the span of the quarters into the store."""
    stamps = np.arange(QUARTERS.timestamp[0], QUARTERS.timestamp[-1], every)
    rows = {"timestamp": stamps, "funding_rate": np.full(len(stamps), 1e-4)}
    key = SeriesKey("binance_usdm", "BTCUSDT", "funding")
    append_rows(folder, key, rows, source="test", fetched_at=1_900_000_000_000_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder whose store holds quarters and hours of one price, mark prices of both, and funding."""
    for kind in ("candles", "mark"):
        put(tmp_path, QUARTERS, kind)
        put(tmp_path, resample(QUARTERS, HOUR), kind)
    put_funding(tmp_path)
    return tmp_path


def test_a_bar_is_enough(folder: Path) -> None:
    """Candles, mark, funding and the finer candles of a contract are found by the bar alone."""
    market = cg.load_market(BTC, bar="1h", data=folder)
    assert np.array_equal(market.candles.close, resample(QUARTERS, HOUR).close)
    assert market.mark is not None
    assert market.mark.bar == HOUR
    assert market.funding is not None
    assert len(market.funding) == 30
    assert market.finer is not None
    assert market.finer.bar == 15 * MINUTE
    assert market.finer_bars()[1].all()
    assert market.notes == ()


def test_a_registered_contract_meets_what_was_fetched_under_another_name(tmp_path: Path) -> None:
    """Bybit's contracts are registered without the kind that they are fetched by: data, trials and seals are one."""
    put(tmp_path, QUARTERS, venue="bybit_linear")
    market = cg.load_market("bybit:BTCUSDT", bar="15m", data=tmp_path)
    assert np.array_equal(market.candles.close, QUARTERS.close)
    fetched = replace(market, contract=market.contract.replaced(venue="bybit_linear"))
    assert market.trial_key == fetched.trial_key == "bybit_linear:BTCUSDT"
    put(tmp_path, QUARTERS, venue="bybit", drop=[0])
    assert len(cg.load_market("bybit:BTCUSDT", bar="15m", data=tmp_path).candles) == len(QUARTERS) - 1
    ledger, last = TrialLedger(tmp_path / "ledger"), int(QUARTERS.timestamp[-1])
    former, span = Span("bybit:BTCUSDT", 0, last), Span(market.trial_key, 0, last)
    ledger.record(batch_of("backtest", [former], {}, "before", [0.1]))
    assert ledger.tried([span]).trials == 1
    ledger.append("seal", {"span": list(former)})
    assert sealed_from(ledger, market.trial_key) == 0
    with pytest.raises(SealedError):
        check_sealed(ledger, [span])
    assert open_seal(ledger, span, "content", "run") == ()
    assert [one.content for one in openings(ledger, market.trial_key)] == ["content"]


def test_longer_bars_are_made_of_shorter_ones(folder: Path) -> None:
    """Bars of four hours come from the hours, the longest that divide them; the quarters decide inside a bar."""
    market = cg.load_market(BTC, bar="4h", data=folder)
    assert np.array_equal(market.candles.high, resample(QUARTERS, 4 * HOUR).high)
    assert "1h in" in market.candles.source
    assert market.notes == ("BTCUSDT candles of 4h were made of 1h candles",)
    assert market.finer is not None
    assert market.finer.bar == 15 * MINUTE
    assert market.mark is not None
    assert market.mark.bar == HOUR
    assert not market.mark_bars()[1].any()


def test_a_span_is_cut_before_bars_are_made(folder: Path) -> None:
    """A start inside a bar of four hours leaves that bar out, because it is not held as a whole."""
    first = QUARTERS.timestamp[0]
    market = cg.load_market(BTC, bar="4h", data=folder, start="2022-01-01 02:00", end="2022-01-03")
    assert market.candles.timestamp[0] == first + 4 * HOUR
    assert market.candles.timestamp[-1] + market.candles.bar == first + 48 * HOUR


def test_a_config_needs_no_paths(folder: Path) -> None:
    """[market] contract and bar find the same market as Python does."""
    table = {"contract": BTC, "bar": "1h", "start": "2022-01-02"}
    (market,) = load_markets(build_config({"market": table}), folder)
    assert market.fingerprint == cg.load_market(BTC, bar="1h", data=folder, start="2022-01-02").fingerprint
    assert build_config(build_config({"market": table}).record()).market == build_config({"market": table}).market


def test_a_file_can_be_taken_in_longer_bars(folder: Path, tmp_path: Path) -> None:
    """A path with a bar length gives bars made of those in the file, and looks nothing up in the store."""
    QUARTERS.frame().to_parquet(tmp_path / "quarters.parquet")
    market = cg.load_market(BTC, "quarters.parquet", bar="1h", data=folder)
    assert np.array_equal(market.candles.low, resample(QUARTERS, HOUR).low)
    assert market.mark is None
    assert market.finer is None


def test_the_mark_that_makes_up_a_candle_is_preferred(tmp_path: Path) -> None:
    """Of mark bars the longest that divide the candles count; longer ones only where there are no others."""
    put(tmp_path, resample(QUARTERS, HOUR))
    put(tmp_path, resample(QUARTERS, 8 * HOUR), "mark")
    market = cg.load_market(BTC, bar="1h", data=tmp_path)
    assert market.mark is not None
    assert (market.mark.bar, market.mark_bars()[1].all()) == (8 * HOUR, True)
    put(tmp_path, QUARTERS, "mark")
    market = cg.load_market(BTC, bar="1h", data=tmp_path)
    assert market.mark is not None
    assert (market.mark.bar, market.mark_bars()[1].any()) == (15 * MINUTE, False)


def test_finer_candles_that_cannot_speak_are_left_out_and_said(tmp_path: Path) -> None:
    """Finer candles with a gap are left out with a note, and the next shortest count."""
    hours = resample(QUARTERS, HOUR)
    put(tmp_path, hours)
    put(tmp_path, resample(QUARTERS, HOUR // 2))
    put(tmp_path, QUARTERS, drop=[100])
    market = cg.load_market(BTC, bar="1h", data=tmp_path)
    assert market.finer is not None
    assert market.finer.bar == HOUR // 2
    (note,) = market.notes
    assert "candles of 15m decide nothing inside a bar" in note
    assert "has a gap of 1 15m bar(s) after 2022-01-02 00:45 UTC" in note


def test_finer_candles_of_another_price_are_left_out(tmp_path: Path) -> None:
    """Finer candles that do not make the candles are not believed."""
    put(tmp_path, resample(QUARTERS, HOUR))
    put(tmp_path, replace(QUARTERS, high=QUARTERS.high * 1.01))
    market = cg.load_market(BTC, bar="1h", data=tmp_path)
    assert market.finer is None
    assert "does not make the candles" in market.notes[0]


def test_what_the_store_lacks_is_named(folder: Path, tmp_path: Path) -> None:
    """A contract, a bar or a span that is not there is one line with what is."""
    with pytest.raises(DataError, match=r"are not in the store of .*; it holds binance_usdm:BTCUSDT"):
        cg.load_market("binance_usdm:ETHUSDT", bar="1h", data=folder)
    with pytest.raises(ParameterError, match=r"market.bar = '20m': .*; the store holds 15m, 1h"):
        cg.load_market(BTC, bar="20m", data=folder)
    with pytest.raises(ParameterError, match=r"market\.bar: is missing; the store holds candles of 15m, 1h"):
        cg.load_market(BTC, data=folder)
    with pytest.raises(ParameterError, match=r"market\.bar = 'hourly': should be a number with a unit"):
        cg.load_market(BTC, bar="hourly", data=folder)
    with pytest.raises(DataError, match=r"has no bar in the chosen span; it holds 2022-01-01 00:00 to"):
        cg.load_market(BTC, bar="1h", data=folder, start="2025-01-01")
    with pytest.raises(DataError, match="it is empty: crossgate data import"):
        cg.load_market(BTC, bar="1h", data=tmp_path / "nowhere")
    with pytest.raises(CrossgateError, match=r"market\.bar"):
        build_config({"market": {"contract": BTC, "bar": "1 fortnight"}})


def test_the_brackets_in_force_are_found(folder: Path) -> None:
    """A contract named by its key trades with the stored brackets last stated by the end of its candles."""
    key = SeriesKey("binance_usdm", "BTCUSDT", "tiers")
    start = int(QUARTERS.timestamp[0])
    for day, rate in ((-5, 0.004), (3, 0.005), (400, 0.006)):
        rows = {
            "timestamp": np.full(2, start + day * 24 * HOUR),
            "floor": np.array([0.0, 50_000.0]),
            "cap": np.array([50_000.0, np.nan]),
            "maintenance_rate": np.array([rate, 0.01]),
            "maximum_leverage": np.array([100.0, 50.0]),
            "maintenance_amount": np.array([0.0, np.nan]),
        }
        append_rows(folder, key, rows, source="test", fetched_at=1_900_000_000_000_000_000)
    market = cg.load_market(BTC, bar="1h", data=folder)
    assert market.contract.margin_tiers.rates.tolist() == [0.005, 0.01]
    assert market.notes == ("BTCUSDT margin brackets are those of 2022-01-04",)
    early = cg.load_market(BTC, bar="1h", data=folder, end="2022-01-03").contract
    assert early.tiers_date == "2021-12-27"
    own = find_contract(BTC)
    assert cg.load_market(own, bar="1h", data=folder).contract == own


def test_a_gap_in_the_store_is_refused(tmp_path: Path) -> None:
    """Stored candles may have gaps; a market does not."""
    put(tmp_path, resample(QUARTERS, HOUR), drop=[50])
    with pytest.raises(DataError, match=r"has a gap of 1 1h bar\(s\) after 2022-01-03 01:00 UTC"):
        cg.load_market(BTC, bar="1h", data=tmp_path)
    assert len(cg.load_market(BTC, bar="1h", data=tmp_path, start="2022-01-04").candles) == 168


def test_touched_bars_are_counted_in_the_report(tmp_path: Path) -> None:
    """A result says how many bars cleaning touched from its start on; one touched part touches a longer bar."""
    touched = np.zeros(960, dtype=np.bool_)
    touched[[3, 500, 501, 700]] = True
    put(tmp_path, replace(QUARTERS, touched=touched))
    put_funding(tmp_path)
    market = cg.load_market(BTC, bar="1h", data=tmp_path)
    assert np.flatnonzero(market.candles.touched).tolist() == [0, 125, 175]
    stamps = market.candles.timestamp[100:]
    zeros = np.zeros(len(stamps))
    forecasts = Forecasts({market.symbol: ForecastSeries(stamps, zeros + 0.01, zeros + 0.01, stamps - 1, zeros)})
    result = cg.backtest(market, forecasts, cg.CrossoverParams(fast=2, slow=5))
    assert "BTCUSDT: 2 bars were touched by cleaning; they take no fills and count for no skill" in result.notes
    assert "BTCUSDT candles of 1h were made of 15m candles" in result.notes
    filled = market.candles.timestamp[market.candles.touched]
    assert not np.isin(result.fills["timestamp"].astype("int64"), filled).any()
