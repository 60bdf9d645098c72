"""Small Results made by hand: a plain account that fills given orders at the open of given bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.result import Result
from backtests.under_backtrader.ledger import Totals
from markets.candles import Candles
from markets.contract import Contract
from markets.market import Market
from models.forecasts import Forecasts, ForecastSeries
from strategies.parameters import CrossoverParams, RiskParams

HOUR = 3_600_000_000_000
START = pd.Timestamp("2023-01-01", tz="UTC").value
FEE_RATE = 0.0005


class Trade(NamedTuple):
    """An order that fills at the open of a bar: `quantity` is signed, buys above zero."""

    row: int
    quantity: float
    reason: str = "entry"
    symbol: str = "TESTUSDT"
    slippage: float = 0.0
    charge: float = 0.0


def make_contract(symbol: str = "TESTUSDT") -> Contract:
    """A contract with round figures."""
    return Contract(
        venue="test", symbol=symbol, tick=0.01, lot=0.001, taker_fee=FEE_RATE, maker_fee=0.0002, maintenance_rate=0.005
    )


def make_market(
    closes: Sequence[float] | None = None,
    *,
    bars: int = 500,
    seed: int = 1,
    symbol: str = "TESTUSDT",
    synthetic: bool = False,
    bar: int = HOUR,
    start: int = START,
    predictability: float = 0.02,
) -> Market:
    """A market whose bars open at the last close; from given closes, or a seeded random walk with an oracle."""
    oracle = None
    if closes is None:
        random = np.random.default_rng(seed)
        signal = np.convolve(random.normal(0, 1, bars + 20), np.ones(20), "valid")[:bars] / np.sqrt(20)
        oracle = signal * 0.01 * np.sqrt(predictability)
        noise = random.standard_t(5, bars) * 0.006
        path = 100 * np.exp(np.cumsum(noise + np.concatenate(([0.0], oracle[:-1]))))
    else:
        path = np.asarray(closes, dtype=float)
    opens = np.concatenate((path[:1], path[:-1]))
    spread = 1.001 if closes is None else 1.0
    candles = Candles(
        timestamp=start + bar * np.arange(len(path)),
        open=opens,
        high=np.maximum(opens, path) * spread,
        low=np.minimum(opens, path) / spread,
        close=path,
        volume=np.full(len(path), 10.0),
        bar=bar,
        source="factory",
    )
    return Market(make_contract(symbol), candles, synthetic=synthetic, oracle=oracle if synthetic else None)


def make_forecasts(markets: Iterable[Market], *, seed: int = 3, from_row: int = 0, weight: float = 1.0) -> Forecasts:
    """Forecasts that are `weight` x the oracle where a market has one, plus a little noise."""
    random = np.random.default_rng(seed)
    series = {}
    for market in markets:
        stamps = market.candles.timestamp[from_row:]
        known = np.zeros(len(market.candles)) if market.oracle is None else market.oracle
        mean = weight * known[from_row:] + random.normal(0, 1e-4, len(stamps))
        folds = np.minimum(np.arange(len(stamps)) * 4 // max(len(stamps), 1), 3)
        series[market.symbol] = ForecastSeries(stamps, mean, np.full(len(stamps), 0.006), stamps - 1, folds)
    return Forecasts(series, "factory forecasts")


def make_trades(bars: int, every: int = 10, quantity: float = 20.0) -> list[Trade]:
    """Long and short in turn, each held for half of `every` bars, with exits of every kind."""
    exits = ("take_profit", "stop_loss", "signal", "stop_loss")
    trades = []
    for number, row in enumerate(range(1, bars - every, every)):
        side = 1.0 if number % 2 == 0 else -1.0
        trades.append(Trade(row, side * quantity, slippage=0.5))
        trades.append(Trade(row + every // 2, -side * quantity, exits[number % 4], slippage=0.5))
    return trades


class Account:
    """A plain account: cash, signed positions at average entry prices, fees as a rate of notional."""

    def __init__(self, cash: float) -> None:
        self.cash = cash
        self.positions: dict[str, float] = {}
        self.entries: dict[str, float] = {}
        self.fills: list[dict[str, Any]] = []

    def fill(self, stamp: int, trade: Trade, price: float) -> None:
        """One fill; a fill that crosses zero closes first, then opens."""
        held, entry = self.positions.get(trade.symbol, 0.0), self.entries.get(trade.symbol, 0.0)
        closed = min(abs(held), abs(trade.quantity)) if held * trade.quantity < 0 else 0.0
        realised = closed * np.sign(held) * (price - entry)
        position = held + trade.quantity
        if held * position <= 0:
            entry = price
        elif abs(position) > abs(held):
            entry = (held * entry + trade.quantity * price) / position
        fee = abs(trade.quantity) * price * FEE_RATE
        self.cash += realised - fee - trade.charge
        self.positions[trade.symbol], self.entries[trade.symbol] = position, entry
        self.fills.append(
            {"timestamp": stamp, "symbol": trade.symbol, "side": "buy" if trade.quantity > 0 else "sell"}
            | {"quantity": abs(trade.quantity), "price": price, "reason": trade.reason, "fee": fee}
            | {"realised_pnl": realised, "position": position, "cash": self.cash, "slippage": trade.slippage}
            | {"liquidation_fee": trade.charge, "bound": 0.0, "notional": abs(trade.quantity) * price}
        )


def make_result(
    market: Market | Sequence[Market] | None = None,
    trades: Sequence[Trade] = (),
    *,
    cash: float = 10_000.0,
    name: str = "test run",
    forecasts: Forecasts | None = None,
    funding: Sequence[tuple[int, float]] = (),
    from_row: int = 0,
    config: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Result:
    """The Result of playing the trades; `funding` lists (row, payment); `changes` replace fields of Result."""
    markets = (make_market(),) if market is None else (market,) if isinstance(market, Market) else tuple(market)
    account = Account(cash)
    equity, positions, payments = _play(markets, account, trades, dict(funding), from_row)
    fields: dict[str, Any] = {
        "name": name,
        "markets": markets,
        "forecasts": forecasts or make_forecasts(markets),
        "strategy": CrossoverParams(),
        "risk": RiskParams(),
        "account": AccountParams(cash=cash),
        "costs": CostParams(),
        "start": int(markets[0].candles.timestamp[from_row]),
        "decisions": make_decisions(markets, from_row),
        "orders": _table([], ORDER_COLUMNS),
        "fills": _table(account.fills, FILL_COLUMNS),
        "equity": _table(equity, EQUITY_COLUMNS),
        "positions": _table(positions, POSITION_COLUMNS),
        "funding": _table(payments, ("timestamp", "symbol", "position", "mark", "rate", "payment", "cash")),
        "totals": make_totals(account, [row["payment"] for row in payments]),
        "config": dict(config or {}),
    }
    return Result(**{**fields, **changes})


ORDER_COLUMNS = (
    "timestamp", "symbol", "side", "quantity", "status", "reason", "kind", "price", "position", "cash",
)  # fmt: skip
FILL_COLUMNS = (
    "timestamp", "symbol", "side", "quantity", "price", "reason", "fee", "realised_pnl", "position", "cash", "slippage",
    "liquidation_fee", "bound", "notional",
)  # fmt: skip
EQUITY_COLUMNS = ("timestamp", "equity", "cash", "margin", "unrealised", "position", "mark", "liquidation_price")
POSITION_COLUMNS = ("timestamp", "symbol", "position", "mark", "liquidation_price", "margin", "unrealised")


def make_totals(account: Account, payments: Sequence[float]) -> Totals:
    """The sums over an account's fills and funding payments."""
    fills = account.fills
    return Totals(
        fees=float(sum(fill["fee"] for fill in fills)),
        funding=float(sum(payments)),
        slippage=float(sum(fill["slippage"] for fill in fills)),
        spread_cost=0.0,
        impact_cost=0.0,
        decided_by_finer=0,
        decided_by_assumption=0,
        liquidation_charges=float(sum(fill["liquidation_fee"] for fill in fills)),
        liquidations=sum(fill["reason"] == "liquidation" for fill in fills),
        refusals=0,
        shrunk=0,
    )


def make_decisions(markets: Sequence[Market], from_row: int = 0) -> pd.DataFrame:
    """Decisions that go long on a rise, short on a fall, and hold on every third bar."""
    frames = []
    for market in markets:
        close = market.candles.close[from_row:]
        rising = np.diff(close, prepend=close[0]) >= 0
        signal = np.where(np.arange(len(close)) % 3 == 0, 0, np.where(rising, 1, -1))
        reason = np.choose(
            signal + 1, ["forecast and averages agree: short", "averages disagree", "forecast and averages agree: long"]
        )
        columns: dict[str, Any] = {
            "timestamp": pd.to_datetime(market.candles.timestamp[from_row:], utc=True),
            "symbol": market.symbol,
            "close": close,
        }
        columns |= {**dict.fromkeys(("mean", "sigma", "threshold"), 0.001), "fast": close, "slow": close}
        frames.append(pd.DataFrame({**columns, "signal": signal.astype(np.int64), "reason": reason}))
    return pd.concat(frames, ignore_index=True)


def _play(
    markets: Sequence[Market], account: Account, trades: Sequence[Trade], funding: Mapping[int, float], from_row: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    equity, positions, payments = [], [], []
    by_symbol = {market.symbol: market.candles for market in markets}
    first, due = markets[0], dict[int, list[Trade]]()
    for trade in trades:
        due.setdefault(trade.row, []).append(trade)
    for row in range(from_row, len(first.candles)):
        stamp = int(first.candles.timestamp[row])
        held = account.positions.get(first.symbol, 0.0)
        if row in funding and held != 0.0:
            account.cash -= funding[row]
            payments.append(
                {"timestamp": stamp, "symbol": first.symbol, "position": held}
                | {"mark": 0.0, "rate": 0.0, "payment": funding[row], "cash": account.cash}
            )
        for trade in due.get(row, ()):
            account.fill(stamp, trade, float(by_symbol[trade.symbol].open[row]))
        unrealised = 0.0
        for symbol, candles in by_symbol.items():
            held = account.positions.get(symbol, 0.0)
            profit = held * (float(candles.close[row]) - account.entries.get(symbol, 0.0))
            unrealised += profit
            one = {"position": held, "mark": float(candles.close[row]), "liquidation_price": np.nan, "margin": 0.0}
            positions.append({"timestamp": stamp, "symbol": symbol, **one, "unrealised": profit})
        alone = positions[-1] if len(markets) == 1 else dict.fromkeys(("position", "mark"), np.nan)
        equity.append(
            {"timestamp": stamp, "equity": account.cash + unrealised, "cash": account.cash, "margin": 0.0}
            | {
                "unrealised": unrealised,
                "position": alone["position"],
                "mark": alone["mark"],
                "liquidation_price": np.nan,
            }
        )
    return equity, positions, payments


def _table(rows: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns))
    stamps = frame["timestamp"].to_numpy(dtype=np.int64).astype("datetime64[ns]")
    frame["timestamp"] = pd.DatetimeIndex(stamps, tz="UTC")
    for name in set(columns) - {"timestamp", "symbol", "side", "reason", "status"}:
        frame[name] = frame[name].astype(float)
    return frame
