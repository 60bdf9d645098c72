"""The witness's trader on markets that are put together in every way: the kernel's fills and equity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_cases import HOUR, SYMBOLS, Match, finer_candles, forecasts, market
from witness_cases import trader_of

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.agreement import TOLERANCE, first_difference
from crossgate.witnessing import witnessed
from markets.candles import Candles
from markets.funding import Funding
from markets.market import Market
from markets.store import load_market
from models.forecasts import Forecasts, ForecastSeries
from strategies.parameters import CrossoverParams, RiskParams

WILD = {"sizing": "leverage", "leverage": 20.0, "stop_loss": "2%", "take_profit": "2%"}
OFTEN = {"fast": 2, "slow": 6, "threshold": "0.5bps"}


def plain(one: Market, random: np.random.Generator) -> Market:
    """The market as it is."""
    return one


def match(
    change: Callable[[Market, np.random.Generator], Market] = plain,
    symbols: int = 1,
    costs: dict[str, Any] | None = None,
    strategy: dict[str, Any] | None = None,
    risk: dict[str, Any] | None = None,
    margin: str = "isolated",
    seed: int = 3,
    **contract: Any,
) -> Match:
    """A match of 300 wild bars on markets that are changed first, each with a tick of its own."""
    random = np.random.default_rng(seed)
    ticks = [{"tick": 0.01 * 5**k} | contract for k in range(symbols)]
    grown = [market(random, name, 300, 1.5, **ticks[k]) for k, name in enumerate(SYMBOLS[:symbols])]
    markets = tuple(change(one, random) for one in grown)
    return Match(
        seed, markets, forecasts(random, markets, 40), CrossoverParams(**{**OFTEN, **(strategy or {})}),
        RiskParams(**{**WILD, **(risk or {})}), AccountParams(margin=margin, missing_funding="zero"),
        CostParams(**{"slippage_bps": 2.0, **(costs or {})}),
    )  # fmt: skip


def parts(one: Match) -> str:
    """Where the kernel and the witness part, '' for nowhere; raises AssertionError for a run of a few fills."""
    solo = one.kernel().account()
    assert len(solo.fills) > 10
    found = first_difference(solo, witnessed(trader_of(one)), TOLERANCE)
    return "" if found is None else found.text


def marked(candles: Candles, length: int, random: np.random.Generator) -> Candles:
    """Mark candles of a length that are not those of the last price."""
    step = length // candles.bar if length > candles.bar else 1
    count, each = len(candles) // step, max(1, candles.bar // length)
    rows = np.repeat(np.arange(count) * step, each)
    stamps = np.repeat(candles.timestamp[: count * step : step], each) + length * np.tile(np.arange(each), count)
    close = candles.close[rows] * np.exp(random.normal(0.0, 0.004, len(rows)))
    opened = np.concatenate((close[:1], close[:-1]))
    high, low = np.maximum(opened, close) * 1.003, np.minimum(opened, close) * 0.997
    return Candles(stamps, opened, high, low, close, np.zeros(len(rows)), length, source="mark")


def without(*names: str) -> Callable[[Market, np.random.Generator], Market]:
    """What takes series off a market."""

    def change(one: Market, random: np.random.Generator) -> Market:
        return replace(one, **dict.fromkeys(names))

    return change


def mark_of(length: int) -> Callable[[Market, np.random.Generator], Market]:
    """What gives a market mark candles of a length."""

    def change(one: Market, random: np.random.Generator) -> Market:
        return replace(one, mark=marked(one.candles, length, random))

    return change


def mark_beside(one: Market, random: np.random.Generator) -> Market:
    """Mark candles that open at half past."""
    assert one.mark is not None
    return replace(one, mark=replace(one.mark, timestamp=one.mark.timestamp + HOUR // 2))


def shorter(one: Market, random: np.random.Generator) -> Market:
    """A market that begins later and ends earlier than others."""
    return one.rows(int(random.integers(0, 30)), 300 - int(random.integers(0, 30)))


def late_mark(one: Market, random: np.random.Generator) -> Market:
    """A mark that begins in the middle of the candles."""
    mark = marked(one.candles, HOUR // 4, random)
    return replace(one, mark=mark.rows(len(mark) // 2, len(mark) - 7))


def finer(one: Market, random: np.random.Generator) -> Market:
    """Finer candles of which some are missing at the end, some do not make their candle, and their mark."""
    parts, marks = finer_candles(random, one.candles, one.candles)
    wrong = random.random(len(parts)) < 0.01
    bent = replace(parts, high=parts.high * np.where(wrong, 1.001, 1.0))
    return replace(one, finer=bent.rows(0, len(bent) - 30), mark=marks.rows(40, len(marks)))


def finer_without_mark(one: Market, random: np.random.Generator) -> Market:
    """Finer candles, and no mark: the last price stands in for it inside bars too."""
    return replace(one, finer=finer_candles(random, one.candles, one.candles)[0], mark=None)


def funded(one: Market, random: np.random.Generator) -> Market:
    """Funding at opens and inside bars, twice in some of them, large enough to move liquidation prices."""
    stamps = np.unique(one.candles.timestamp[0] + HOUR // 4 * random.integers(0, 4 * len(one.candles), 400))
    return replace(one, funding=Funding(stamps, random.normal(0.0, 0.004, len(stamps)), "case"))


# Contracts of 1 USD, and an account of some coins that liquidates.
COIN: dict[str, Any] = {"kind": "inverse", "settlement": "XBT", "face": 1.0, "lot": 1.0, "tick": 0.5}
FAR: dict[str, Any] = {"sizing": "fraction", "fraction": 0.05, "leverage": 40.0, "stop_loss": "off"}

CASES: dict[str, Match] = {
    **{method: match(risk=FAR, method=method, **COIN) for method in ("bitmex", "closing_fee", "binance")},
    **{f"bybit {year}": match(risk=FAR, method="bybit", vintage=year, **COIN) for year in (2023, 2025, 2026)},
    "bybit in dollars": match(risk=FAR, method="bybit"),
    "no mark": match(without("mark")),
    "a mark of minutes": match(mark_of(HOUR // 4)),
    "a mark that is too coarse": match(mark_of(3 * HOUR)),
    "a mark that begins late": match(late_mark),
    "a mark off the grid": match(mark_beside),
    "finer candles": match(finer),
    "finer candles without a mark": match(finer_without_mark),
    "funding anywhere": match(funded),
    "no funding": match(without("funding")),
    "fees of the run": match(costs={"taker_fee": 2e-4, "maker_fee": -1e-4, "liquidation_fee": 0.005}),
    "ticks of their own": match(symbols=3, costs={"half_spread": "3tick"}, strategy={"threshold": "0.1cost"}),
    "other beginnings and ends": match(shorter, symbols=3),
    "a chance of a rise": match(strategy={"threshold": "0.53probability", "rule": "forecast"}),
    "a position": match(strategy={"threshold": "0.1position", "minimum_sigma": "40bps"}),
    "a first forecast before averages are warm": match(
        strategy={"fast": 10, "slow": 80, "rule": "crossover", "average": "sma"}, risk={"stop_loss": "0.5%"}
    ),
    "impact": match(
        costs={"impact": 0.2, "impact_bars": 5}, symbols=2, risk={"sizing": "fraction", "fraction": 0.01}
    ),
    "one account": match(symbols=3, margin="cross", risk={"leverage": 40.0, "stop_loss": "off"}),
    "a ladder that moves": match(
        risk={
            "targets": [{"distance": "1atr", "share": 0.3}, {"distance": "2sigma", "share": 0.3}],
            "trailing_stop": "1.5atr", "trailing_after": "1%", "break_even": "10%margin", "sizing": "risk",
            "maximum_bars": 9, "cooldown_bars": 2,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_witness_puts_a_market_together_as_the_exchange_is_shown_it(case: str) -> None:
    """The same fills, numbers to 1e-9, the same equity at every bar."""
    assert parts(CASES[case]) == ""


@pytest.mark.parametrize("mark", [None, "mark/binance_um_BTCUSDT_mark_8h.parquet"])
def test_recorded_bars_come_to_the_same(data_folder: Path, mark: str | None) -> None:
    """Days of BTCUSDT made of hours, half-hours of it with the minutes inside, at leverage that liquidates."""
    words = {"funding": "funding/binance_um_BTCUSDT_funding.parquet", "mark": mark, "data": data_folder}
    days = load_market("binance_usdm:BTCUSDT", "ohlcv/binance_um_BTCUSDT_1h.parquet", bar="1d", **words)
    halves = load_market(
        "binance_usdm:BTCUSDT", "ohlcv/binance_um_BTCUSDT_30m.parquet", start="2023-01-01", end="2023-07-01",
        finer="ohlcv/binance_um_BTCUSDT_5m.parquet", **words,
    )  # fmt: skip
    for one in (days, halves):
        assert parts(recorded(one)) == ""


def recorded(one: Market) -> Match:
    """A match on recorded bars: what the last bar did, a little of it, is expected of the next."""
    moves = np.diff(np.log(one.candles.close), prepend=np.log(one.candles.close[0]))[50:]
    stamps, sigma = one.candles.timestamp[50:], np.full(len(moves), 0.01)
    said = ForecastSeries(stamps, 0.1 * moves, sigma, stamps - 1, np.zeros(len(moves)))
    account = AccountParams(missing_funding="zero")
    return Match(
        0, (one,), Forecasts({one.symbol: said}), CrossoverParams(threshold="0.1cost", fast=5, slow=12),
        RiskParams(**FAR), account, CostParams(half_spread="1tick"),
    )  # fmt: skip
