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
    """Enters once, at the open of the bar that begins at `when`, with exits for shares of the entry."""

    params = (("when", None), ("side", 1), ("exits", ()))

    def next(self) -> None:
        if self.data.open_time + HOUR != self.p.when.value:
            return
        enter, leave = (self.buy, self.sell) if self.p.side > 0 else (self.sell, self.buy)
        entry = enter(size=10_000, transmit=not self.p.exits)
        for number, (share, distances) in enumerate(self.p.exits, 1):
            kind = bt.Order.Stop if "trailing_rate" in distances else bt.Order.Limit
            last = number == len(self.p.exits)
            leave(size=10_000 * share, exectype=kind, parent=entry, transmit=last, **distances)


def play(market: Market, when: pd.Timestamp, side: int, leverage: float, exits: Any = ()) -> Any:
    """The fills of one trade, and the equity at the end."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=market))
    cerebro.broker = FuturesBroker(cash=100_000.0, leverage=leverage)
    cerebro.addstrategy(OneTrade, when=when, side=side, exits=exits)
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


def stop(rate: float, **more: Any) -> tuple[float, dict[str, Any]]:
    """A stop for all of the entry that trails by a rate of the best price, from that rate below the fill on."""
    return 1.0, {"reason": "stop_loss", "trailing_rate": rate, **more}


def target(share: float, rate: float) -> tuple[float, dict[str, Any]]:
    """A target for a share of the entry."""
    return share, {"reason": "take_profit", "offset_rate": rate}


LADDER = (stop(0.7), target(0.5, 0.1), target(0.25, 0.3))


def outcome(fills: pd.DataFrame) -> list[tuple[int, float, str]]:
    """Hour, share of the entry and reason of every closing fill."""
    entry = fills["quantity"].iloc[0]
    return [(one.timestamp.hour, one.quantity / entry, one.reason) for one in fills.iloc[1:].itertuples()]


@pytest.mark.parametrize("leverage", [2, 5, 10, 20, 50])
def test_a_trailing_stop_nearer_than_the_liquidation_saves_a_long(doge: Market, leverage: float) -> None:
    """Half of the way to the liquidation, entered before the crash: stopped at its level inside the crash."""
    rate = round(0.5 * (1 / leverage - MAINTENANCE), 4)
    fills, equity = play(doge, CRASH, 1, leverage, (stop(rate),))
    level = np.ceil(fills["price"].iloc[0] * (1 - rate) / 0.00001 - 1e-6) * 0.00001
    assert outcome(fills) == [(21, 1.0, "stop_loss")]
    assert fills["price"].iloc[1] == pytest.approx(level, rel=1e-9)
    assert 100_000.0 - equity < fills["price"].iloc[0] * 10_000 / leverage


@pytest.mark.parametrize("leverage", [2, 5, 10, 20, 50])
def test_a_trailing_stop_beyond_the_liquidation_saves_nobody(doge: Market, leverage: float) -> None:
    """A stop 70 % away lies beyond the liquidation price at any of these: the mark liquidates, at its level."""
    fills, equity = play(doge, CRASH, 1, leverage, (stop(0.7), target(0.5, 0.1)))
    margin = fills["price"].iloc[0] * 10_000 / leverage
    assert outcome(fills) == [(21, 1.0, "liquidation")]
    level = liquidation_price(10_000.0, fills["price"].iloc[0], margin, MAINTENANCE)
    assert fills["price"].iloc[1] == pytest.approx(level, rel=1e-12)
    assert 0.0 < 100_000.0 - equity <= margin


@pytest.mark.parametrize("leverage", [2, 5, 10, 20, 50])
def test_a_short_takes_its_ladder_in_the_crash_and_keeps_the_rest(doge: Market, leverage: float) -> None:
    """Half at 10 %, a quarter at 30 %, both in the crash hour; the trail moves after it, and the rebound meets it."""
    fills, _ = play(doge, CRASH, -1, leverage, LADDER)
    entry = fills["price"].iloc[0]
    closed = outcome(fills)
    assert closed[:2] == [(21, 0.5, "take_profit"), (21, 0.25, "take_profit")]
    assert fills["price"].iloc[1] == pytest.approx(np.floor(entry * 0.9 / 0.00001 + 1e-6) * 0.00001)
    low = doge.candles.low[doge.candles.timestamp == CRASH.value][0]
    raised = np.floor(low * 1.7 / 0.00001 + 1e-6) * 0.00001
    after = doge.candles.open[doge.candles.timestamp == REBOUND.value][0]
    assert closed[2] == (22, 0.25, "trailing_stop")
    assert fills["price"].iloc[3] == pytest.approx(max(raised, after))


@pytest.mark.parametrize(("side", "leverage", "hour"), [(1, 20, 22), (1, 50, 22), (-1, 20, 22), (-1, 50, 22)])
def test_a_ladder_out_of_reach_changes_no_liquidation(doge: Market, side: int, leverage: float, hour: int) -> None:
    """After the crash, with a stop beyond the liquidation and targets far away: liquidated as without them."""
    plain = play(doge, REBOUND, side, leverage)[0]
    laddered = play(doge, REBOUND, side, leverage, (stop(0.7), target(0.5, 0.5), target(0.25, 0.6)))[0]
    assert outcome(laddered) == outcome(plain) == [(hour, 1.0, "liquidation")]
    assert laddered["price"].tolist() == plain["price"].tolist()
