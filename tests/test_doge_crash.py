"""A crash that happened: DOGE on 2025-10-10, 21:00 UTC, from 0.22 to 0.084 on last prices and to 0.087 on the mark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from simple_market import HOUR, contract

from backtests import CandleFeed, FuturesBroker
from markets.candles import Candles
from markets.funding import Funding
from markets.margin import liquidation_price
from markets.market import Market

CRASH = pd.Timestamp("2025-10-10 21:00", tz="UTC")
REBOUND = pd.Timestamp("2025-10-10 22:00", tz="UTC")
MAINTENANCE = 0.005


def read(folder: Path, kind: str) -> pd.DataFrame:
    """Six hours before the crash to three after it."""
    frame = pd.read_feather(folder / "raw" / "gateio_feather" / f"DOGE_USDT_USDT-1h-{kind}.feather")
    return frame[(frame["date"] >= CRASH - pd.Timedelta(6, "h")) & (frame["date"] <= CRASH + pd.Timedelta(3, "h"))]


def candles(frame: pd.DataFrame) -> Candles:
    """The rows as candles; a mark has no volume."""
    stamps = frame["date"].dt.as_unit("ns").astype("int64").to_numpy()
    prices = [frame[name].to_numpy() for name in ("open", "high", "low", "close")]
    return Candles(stamps, *prices, np.zeros(len(frame)), HOUR)


@pytest.fixture(scope="module")
def doge(data_folder: Path) -> Market:
    """The perpetual around the crash, with its mark and funding."""
    rates = read(data_folder, "funding_rate")
    funding = Funding(rates["date"].dt.as_unit("ns").astype("int64").to_numpy(), rates["open"].to_numpy())
    rules = contract("DOGE", tick=0.00001, lot=1.0, maintenance_rate=MAINTENANCE)
    return Market(rules, candles(read(data_folder, "futures")), candles(read(data_folder, "mark")), funding)


class OneTrade(bt.Strategy):
    """Enters once, at the open of the bar that begins at `when`."""

    params = (("when", None), ("side", 1))

    def next(self) -> None:
        if self.data.open_time + HOUR == self.p.when.value:
            (self.buy if self.p.side > 0 else self.sell)(size=10_000)


def play(market: Market, when: pd.Timestamp, side: int, leverage: float) -> Any:
    """The fills of one trade, and the equity at the end."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=market))
    cerebro.broker = FuturesBroker(cash=100_000.0, leverage=leverage)
    cerebro.addstrategy(OneTrade, when=when, side=side)
    cerebro.run()
    return cerebro.broker.ledger.tables()[0], cerebro.broker.getvalue()


@pytest.mark.parametrize(
    ("when", "side", "leverage", "hour"),
    [
        (CRASH, 1, 1.63, None), (CRASH, 1, 2, 21), (CRASH, 1, 5, 21), (CRASH, 1, 10, 21), (CRASH, 1, 20, 21),
        (CRASH, 1, 50, 21), (CRASH, -1, 2, None), (CRASH, -1, 10, None), (CRASH, -1, 50, None), (CRASH, -1, 75, 21),
        (REBOUND, -1, 2, None), (REBOUND, -1, 5, None), (REBOUND, -1, 10, 23), (REBOUND, -1, 20, 22),
        (REBOUND, -1, 50, 22), (REBOUND, 1, 2, None), (REBOUND, 1, 10, None), (REBOUND, 1, 20, 22),
        (REBOUND, 1, 50, 22),
    ],
)  # fmt: skip
def test_liquidations_follow_the_mark(doge: Market, when: Any, side: int, leverage: float, hour: int | None) -> None:
    """Liquidated in the hour in which the mark reaches the level, at the level, for no more than the margin."""
    fills, equity = play(doge, when, side, leverage)
    entry = fills.iloc[0]
    ended = fills[fills["reason"] == "liquidation"]
    assert [stamp.hour for stamp in ended["timestamp"]] == ([] if hour is None else [hour])
    if hour is not None:
        margin = entry["price"] * 10_000 / leverage
        level = liquidation_price(side * 10_000.0, entry["price"], margin, MAINTENANCE)
        assert ended["price"].iloc[0] == pytest.approx(level, rel=1e-12)
        assert 0.0 < 100_000.0 - equity <= margin


@pytest.mark.parametrize(("when", "leverage"), [(CRASH, 1.63), (REBOUND, 10)])
def test_a_long_between_both_lows_survives_on_the_mark_only(doge: Market, when: Any, leverage: float) -> None:
    """Where the liquidation price lies between the mark's low and the last price's, last prices would end it."""
    blind = Market(doge.contract, doge.candles, doge.candles, doge.funding)
    assert "liquidation" not in play(doge, when, 1, leverage)[0]["reason"].tolist()
    assert "liquidation" in play(blind, when, 1, leverage)[0]["reason"].tolist()
