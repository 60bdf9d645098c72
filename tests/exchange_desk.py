"""The compiled exchange behind the same plain words as the witness: submit, cancel, play."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backtests.exchange import records
from backtests.exchange.exchange import play_bar
from backtests.exchange.impact import impact_units
from backtests.exchange.parameters import AccountParams, CostParams
from backtests.exchange.ties import withdraw
from markets.candles import Candles
from markets.contract import Contract

# What an order may leave out.
OPTIONAL = {"limit": 0.0, "trail_amount": 0.0, "trail_rate": 0.0, "group": None, "expires": None, "due": 0}
BAR_FIELDS = [name for name in records.BAR.names or () if not name.startswith(("impact", "finer", "funded", "unused"))]
HOUR = 3_600_000_000_000
DISTANCES = ("share", *records.EXIT_DISTANCES, *records.STOP_DISTANCES)


def as_contract(one: Any) -> Contract:
    """A contract of the project from the attributes of the witness's."""
    given = {name: value for name, value in vars(one).items() if name != "tiers"}
    rows = [dict(zip(("floor", "cap", "rate", "leverage"), row, strict=True)) for row in getattr(one, "tiers", ())]
    if rows:
        given |= {"maintenance_rate": rows[0]["rate"], "maximum_leverage": rows[0]["leverage"]}
    settlement = "COIN" if given.get("kind") == "inverse" else "USDT"
    return Contract(venue="test", symbol="TEST", settlement=settlement, tiers=rows, **given)


class ExchangeDesk:
    """One account on the compiled exchange; orders, bars and contracts have the witness's attributes."""

    def __init__(
        self,
        contracts: Sequence[Any],
        cash: float,
        intrabar: str = "adverse",
        limit_fill: str = "touch",
        slippage_bps: float = 0.0,
        mode: str = "isolated",
        half_spread_bps: float = 0.0,
        half_spread_ticks: float = 0.0,
        impact: float = 0.0,
        impact_bars: int = 24,
        capacity: int = 256,
    ) -> None:
        count = len(contracts)
        self.account = np.zeros(1, dtype=records.ACCOUNT)
        self.account["cash"] = self.account["equity"] = cash
        self.positions = np.zeros(count, dtype=records.POSITION)
        self.orders = np.zeros(capacity, dtype=records.ORDER)
        self.contracts = np.concatenate([records.contract_record(as_contract(one)) for one in contracts])
        costs = CostParams(slippage_bps=slippage_bps, impact=impact, impact_bars=impact_bars)
        account: Any = {"intrabar": intrabar, "limit_fill": limit_fill, "margin": mode}
        self.settings = records.settings_record(AccountParams(**account), costs)
        self.settings["half_spread"], self.settings["half_spread_ticks"] = half_spread_bps / 1e4, half_spread_ticks
        self.impact_bars, self.past = impact_bars, [[] for _ in contracts]
        self.fill_rows = np.zeros(4 * capacity, dtype=records.FILL)
        self.payment_rows = np.zeros(2 * count, dtype=records.PAYMENT)
        self.finer = np.zeros(0, dtype=records.FINER)
        self.fills: list[tuple[int, Any]] = []
        self.payments: list[tuple[int, Any]] = []
        self.ends: dict[int, tuple[str, str]] = {}
        self.parents: set[int] = set()
        self.bar_index = -1

    @property
    def desk(self) -> records.Desk:
        return records.Desk(
            self.account,
            self.positions,
            self.orders,
            self.settings,
            self.contracts,
            self.fill_rows,
            self.payment_rows,
            self.finer,
        )

    @property
    def equity(self) -> float:
        return float(self.account["equity"][0])

    @property
    def cash(self) -> float:
        return float(self.account["cash"][0])

    @property
    def ruined(self) -> bool:
        return bool(self.account["ruined"][0])

    def submit(self, order: Any) -> None:
        """Writes an order to the next row, as the broker does."""
        row = int(self.account["orders"][0])
        new = self.orders[row]
        self.orders[row : row + 1] = 0
        for name in ("id", "symbol", "side", "quantity", "price", "leverage", "reduce_only", *DISTANCES):
            new[name] = getattr(order, name)
        for name, left_out in OPTIONAL.items():
            new[name] = getattr(order, name, left_out) or 0
        new["kind"], new["parent"] = records.ORDER_KINDS.index(order.kind), order.parent or 0
        new["reason"] = records.FILL_REASONS.index(order.tag)
        new["status"] = records.LIVE if order.parent is None else records.SLEEPING
        self.account["orders"] += 1
        if self.ruined:
            new["status"], new["remark"] = records.REFUSED, records.RUIN
            self._collect()

    def cancel(self, order_id: int) -> None:
        """Withdraws an order between two bars."""
        withdraw(self.desk, order_id)
        self._collect()

    def play(self, bars: Sequence[Any]) -> None:
        """One bar of every symbol."""
        self.bar_index += 1
        rows = np.zeros((len(bars), self.bar_index + 1), dtype=records.BAR)
        for symbol, bar in enumerate(bars):
            for name in BAR_FIELDS:
                rows[symbol, self.bar_index][name] = getattr(bar, name)
            self.past[symbol].append((bar.open, bar.high, bar.low, bar.close, bar.volume, bar.blocked))
            if self.settings["impact"][0]:
                rows[symbol, self.bar_index]["impact"] = self._impact(symbol)
        self._take_finer(bars, rows)
        play_bar(
            self.account, self.positions, self.orders, rows, self.bar_index, self.settings, self.contracts,
            self.fill_rows, self.payment_rows, self.finer,
        )  # fmt: skip
        self.fills += [(self.bar_index, row.copy()) for row in self.fill_rows[: self.account["fills"][0]]]
        self.payments += [(self.bar_index, row.copy()) for row in self.payment_rows[: self.account["payments"][0]]]
        self._collect()

    def _take_finer(self, bars: Sequence[Any], rows: Any) -> None:
        """The finer bars of all symbols' bars, one after the other."""
        steps = [(symbol, step) for symbol, bar in enumerate(bars) for step in getattr(bar, "finer", ())]
        self.finer = np.zeros(len(steps), dtype=records.FINER)
        for number, (symbol, step) in enumerate(steps):
            row, bar = self.finer[number], rows[symbol, self.bar_index]
            for name in records.FINER.names or ():
                value = getattr(step, name)
                row[name] = np.nan if value is None else value
            if bar["finer_count"] == 0:
                bar["finer_first"] = number
            bar["finer_count"] += 1

    def _impact(self, symbol: int) -> float:
        """The unit of impact of the last bar that was handed in; 0 where none is known yet."""
        columns = np.array(self.past[symbol], dtype=float).T
        stamps = HOUR * np.arange(len(self.past[symbol]))
        candles = Candles(stamps, *columns[:5], HOUR, touched=columns[5] > 0)
        unit = float(impact_units(candles, self.impact_bars)[-1])
        return unit if np.isfinite(unit) else 0.0

    def _collect(self) -> None:
        for row in self.orders[: self.account["orders"][0]]:
            if row["status"] > records.LIVE:
                status = ("filled", "cancelled", "refused", "expired")[row["status"] - records.FILLED]
                self.ends.setdefault(int(row["id"]), (status, records.ORDER_REMARKS[row["remark"]]))
