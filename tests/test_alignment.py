"""Alignment: faults planted between series that belong together are found, where and how many, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_stored_markets import BTC, HOUR, QUARTERS, put, put_funding
from typer.testing import CliRunner

import crossgate as cg
from crossgate.command_line import app
from foundation.errors import DataError
from markets.alignment import align_funding, align_mark, align_prices
from markets.candles import Candles
from markets.demo import demo_market
from markets.funding import Funding
from markets.resampling import resample
from markets.store import load_market

DEMO = demo_market(seed=9, bars=1500)
CANDLES = DEMO.candles
START = int(CANDLES.timestamp[0])
EIGHT = 8 * HOUR


def twin(seed: int = 1, noise: float = 1e-4) -> Candles:
    """The same prices as seen at another place: a little noise on every close."""
    close = CANDLES.close * np.exp(np.random.default_rng(seed).normal(0, noise, len(CANDLES)))
    high, low = np.maximum(CANDLES.high, close), np.minimum(CANDLES.low, close)
    return replace(CANDLES, close=close, high=high, low=low, source="twin")


def names(found: Any) -> list[str]:
    """The names of what was found."""
    return [one.name for one in found.findings]


def test_twins_stand_out_in_nothing() -> None:
    """Two records of one price have no lag, a ratio of 1, and no finding."""
    found = align_prices(CANDLES, twin(), same_contract=True)
    assert (found.bars, found.lag, found.missing, found.missing_other) == (1500, 0, 0, 0)
    assert found.ratio == pytest.approx(1.0, abs=1e-4)
    assert found.correlation > 0.99
    assert names(found) == []


@pytest.mark.parametrize("bars", [-2, -1, 1, 2])
def test_a_series_on_another_clock_is_wrong_by_as_many_bars(bars: int) -> None:
    """Stamps that are some bars late, as where they stand at the close, are found with their number and side."""
    found = align_prices(CANDLES, replace(twin(), timestamp=CANDLES.timestamp + bars * HOUR))
    lag = next(one for one in found.findings if one.name == "lag")
    assert (found.lag, lag.wrong) == (bars, True)
    assert ("later" if bars > 0 else "earlier") in lag.problem


def test_bad_prints_are_counted_where_they_are() -> None:
    """Three closes pushed two percent away are the three outliers, with their times; none is wrong for sure."""
    close = twin().close.copy()
    rows = [100, 700, 1400]
    close[rows] *= [1.02, 0.98, 1.03]
    other = replace(twin(), close=close, high=np.maximum(twin().high, close), low=np.minimum(twin().low, close))
    found = align_prices(CANDLES, other)
    (one,) = found.findings
    assert (one.name, one.count, one.wrong) == ("outliers", 3, False)
    assert list(one.places) == CANDLES.timestamp[rows].tolist()
    assert found.largest_at == CANDLES.timestamp[1400]
    touched = np.isin(np.arange(1500), rows)
    assert names(align_prices(CANDLES, replace(other, touched=touched))) == []


def test_another_level_is_wrong_for_one_contract_only() -> None:
    """Ten times the price is no mark of this contract; two venues may quote a thousand coins at a time."""
    other = twin()
    ten = replace(other, **{name: getattr(other, name) * 10 for name in ("open", "high", "low", "close")})
    assert names(align_prices(CANDLES, ten, same_contract=True)) == ["level"]
    assert names(align_prices(CANDLES, ten)) == []
    assert align_prices(CANDLES, ten).ratio == pytest.approx(10, rel=1e-3)


def test_bars_that_cannot_be_held_side_by_side_are_refused() -> None:
    """Other bar lengths and spans without a common bar are named."""
    with pytest.raises(DataError, match="compare bars of one length"):
        align_prices(CANDLES, resample(CANDLES, 2 * HOUR))
    with pytest.raises(DataError, match="no bar in common"):
        align_prices(CANDLES, replace(CANDLES, timestamp=CANDLES.timestamp + 5000 * HOUR))
    assert align_mark(CANDLES, replace(CANDLES, timestamp=CANDLES.timestamp + 5000 * HOUR)) is None


def settlements(hours: list[float]) -> Funding:
    """Settlements some hours after the start."""
    stamps = START + (np.array(hours) * HOUR).astype(np.int64)
    return Funding(stamps, np.full(len(stamps), 1e-4))


EIGHTS = [8.0 * k for k in range(30)]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (EIGHTS, []),
        ([hour for hour in EIGHTS if hour not in (80, 88)], [("missing", 2, [72])]),
        ([hour for hour in EIGHTS if hour >= 24], [("missing", 2, [0])]),
        ([hour for hour in EIGHTS if hour <= 208], [("missing", 3, [208])]),
        ([*EIGHTS[:10], *(80 + 4.0 * k for k in range(40))], [("interval", 1, [80])]),
        ([*EIGHTS[:10], 75, *EIGHTS[10:]], [("off grid", 1, [75])]),
        ([hour + 3 for hour in EIGHTS[:-1]], [("off grid", 29, [3, 11, 19])]),
    ],
)
def test_settlements_against_their_rule(hours: list[float], expected: list[tuple[str, int, list[float]]]) -> None:
    """What is missing inside and at the ends, a rule that changes, and stamps beside the grid are told apart."""
    found = align_funding(settlements(hours), EIGHT, START, START + 240 * HOUR)
    said = [(one.name, one.count, [(place - START) / HOUR for place in one.places]) for one in found]
    assert [one for one in said if one[0] in {name for name, _, _ in expected} or not expected] == expected


def test_recorded_series_align(data_folder: Path) -> None:
    """Recorded candles lie on their mark price and on those of another venue; a record one bar late does not."""

    def read(name: str, bar: str | None = None) -> Candles:
        return load_market(BTC, f"ohlcv/{name}.parquet", bar=bar, data=data_folder).candles

    binance, okx = read("binance_um_XRPUSDT_15m", "1h"), read("okx_swap_XRP-USDT_1h")
    found = align_prices(binance, okx)
    assert (found.bars, found.lag) == (21_888, 0)
    assert found.correlation > 0.998
    assert found.ratio == pytest.approx(1.0004, abs=2e-4)
    (outliers,) = found.findings
    assert np.datetime64("2022-12-18T09", "ns").astype(np.int64) in outliers.places, "the hours OKX filled"
    late = align_prices(binance, replace(okx, timestamp=okx.timestamp + HOUR))
    assert (late.lag, late.findings[0].wrong) == (1, True)
    paths = {"candles": "ohlcv/binance_um_BTCUSDT_1h.parquet", "mark": "mark/binance_um_BTCUSDT_mark_8h.parquet"}
    market = load_market(BTC, **paths, funding="funding/binance_um_BTCUSDT_funding.parquet", data=data_folder)
    (note,) = market.notes
    assert "mark price: 1 bar lies more than" in note
    assert "2020-03-12 16:00" in note
    assert market.funding is not None
    assert align_funding(market.funding, EIGHT) == []


def test_a_mark_price_on_another_clock_is_refused(tmp_path: Path) -> None:
    """A market whose mark price is stamped one bar late is refused; one with a bad print is loaded and says so."""
    put(tmp_path, QUARTERS)
    put(tmp_path, replace(QUARTERS, timestamp=QUARTERS.timestamp + QUARTERS.bar), "mark")
    with pytest.raises(DataError, match=r"moves 1 bar\(s\) of 15m later"):
        cg.load_market(BTC, bar="15m", data=tmp_path)
    low = QUARTERS.low.copy()
    close = QUARTERS.close.copy()
    low[300] = close[300] = close[300] * 0.97
    put(tmp_path / "other", QUARTERS)
    put(tmp_path / "other", replace(QUARTERS, low=low, close=close), "mark")
    market = cg.load_market(BTC, bar="15m", data=tmp_path / "other")
    (note,) = market.notes
    assert note.startswith("BTCUSDT mark price: 1 bar lies more than")
    assert "2022-01-04 03:00" in note


def test_the_command_prints_what_it_found(tmp_path: Path) -> None:
    """data align says what, where and how many, in words and as JSON, and ends with 1 where something is wrong."""
    put(tmp_path, QUARTERS)
    put(tmp_path, replace(QUARTERS, timestamp=QUARTERS.timestamp - QUARTERS.bar), "mark")
    put_funding(tmp_path, every=4 * HOUR)
    answer = CliRunner().invoke(app, ["data", "align", BTC, "--data", str(tmp_path)])
    assert answer.exit_code == 1
    assert "wrong: it moves 1 bar(s) of 15m earlier" in answer.stdout
    assert "note: the interval is not 8h throughout: 4h from 2022-01-01 00:00" in answer.stdout
    answer = CliRunner().invoke(app, ["data", "align", BTC, BTC, "--data", str(tmp_path), "--json"])
    assert answer.exit_code == 0
    (record,) = json.loads(answer.stdout)["alignments"]
    assert (record["bars"], record["ratio"], record["lag"], record["findings"]) == (960, 1.0, 0, [])
    answer = CliRunner().invoke(app, ["data", "align", "BTCUSDT", "--data", str(tmp_path)])
    assert "is no VENUE:SYMBOL" in str(answer.exception)
