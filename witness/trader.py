"""The witness's trader: what a strategy of the project gives at every close, on the witness's account.

Written from docs/strategies.md and docs/fills.md. It is handed a run's own values, by the names of its parameters, and
knows one market or several. A bar is played, then every market decides at its close, in their order.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from witness.account import WitnessAccount
from witness.cross import CrossAccount
from witness.series import MarketBars, Said
from witness.signals import Signals, TrueRangeAverage
from witness.sizes import Distances, Known, size
from witness.terms import Fill, WitnessContract, WitnessOrder

# Averages begin this many times the longest of them before the first bar that is played.
WARM_UP = 20
SAME = (
    "tick", "lot", "minimum_quantity", "minimum_notional", "taker_fee", "maker_fee", "liquidation_fee", "kind", "face",
    "method", "vintage", "maintenance_rate", "maximum_leverage", "maximum_market_quantity",
)  # fmt: skip


@dataclass
class Side:
    """One symbol: its bars, its signals, and what is remembered of it."""

    bars: MarketBars
    offset: int
    said: Said
    signals: Signals
    ranges: TrueRangeAverage
    contract: WitnessContract
    barred: int = 0
    entered: int = 0
    left: int = -(10**9)
    orders: list[int] = field(default_factory=list)


class WitnessTrader:
    """A trader on its account; `curve` holds the equity at the close of every bar that opens at `stamps`.

    `markets`, `forecasts`: a run's, of which only arrays and numbers are read. `strategy`, `risk`, `account`, `costs`:
    its parameters.
    """

    def __init__(
        self, markets: Sequence[Any], forecasts: Any, strategy: Any, risk: Any, account: Any, costs: Any
    ) -> None:
        self.strategy, self.risk, self.costs = strategy, risk, costs
        stamps = [memoryview(one.candles.timestamp) for one in markets]
        begin, end = max(one[0] for one in stamps), min(one[-1] for one in stamps)
        shared = stamps[0][bisect_left(stamps[0], begin) : bisect_left(stamps[0], end) + 1]
        said = [Said(forecasts.series[one.contract.symbol]) for one in markets]
        first = bisect_left(shared, max(one.stamp[0] for one in said))
        memory = WARM_UP * max(strategy.slow, risk.atr_bars)
        memory = max(memory, costs.impact_bars + 1) if costs.impact else memory
        fed = max(0, first - memory)
        self.stamps, self.first = shared[fed:], first - fed
        self.sides = []
        for one, told, own in zip(markets, said, stamps, strict=True):
            contract = contract_of(one.contract, costs)
            signals = Signals(strategy, costs, contract.taker_fee, contract.tick)
            offset, ranges = bisect_left(own, self.stamps[0]), TrueRangeAverage(risk.atr_bars)
            self.sides.append(Side(MarketBars(one), offset, told, signals, ranges, contract))
        self.symbols = [str(one.contract.symbol) for one in markets]
        self.account = account_of([one.contract for one in self.sides], account, costs)
        self.bars_per_year = 365 * 86_400_000_000_000 / markets[0].candles.bar
        self.distances = Distances(risk)
        self.curve = array("d")
        self.number = 0

    def __len__(self) -> int:
        """How many bars it plays, those that warm averages up included."""
        return len(self.stamps)

    def play(self) -> WitnessTrader:
        """Itself, after all of its bars."""
        for _ in self.steps():
            pass
        return self

    def steps(self) -> Iterator[int]:
        """The row of each bar, once it is played."""
        account, seen = self.account, 0
        for k in range(len(self.stamps)):
            bars = [one.bars.bar(one.offset + k) for one in self.sides]
            account.play(bars)
            for fill in account.fills[seen:]:
                self.learn(fill, k + 1)
            seen = len(account.fills)
            if k >= self.first:
                self.curve.append(account.equity)
            for s, (one, bar) in enumerate(zip(self.sides, bars, strict=True)):
                said = one.said.at(self.stamps[k])
                wanted = one.signals.after(bar.close, said)
                spread = one.ranges.after(bar.high, bar.low, bar.close)
                if k >= self.first and not account.ruined:
                    self.act(s, k + 1, wanted, Known(bar.close, said[0], said[1], spread, self.bars_per_year))
            yield k

    def learn(self, fill: Fill, bars: int) -> None:
        """A fill is remembered; what no signal asked for bars its side."""
        memory = self.sides[fill.symbol]
        if fill.order is not None and self.account.orders[fill.order].state != "filled":
            return
        if fill.reason == "entry":
            memory.entered = bars
        elif fill.reason != "take_profit" or not self.account.positions[fill.symbol].side * fill.side < 0:
            memory.left = bars
            memory.barred = -fill.side if fill.reason != "signal" else memory.barred

    def act(self, s: int, bars: int, side: int, known: Known) -> None:
        """What is done at a close about a wanted side."""
        memory, p, risk = self.sides[s], self.strategy, self.risk
        if memory.barred and side != memory.barred:
            memory.barred = 0
        if any(self.account.orders[one].open for one in memory.orders):
            return
        memory.orders = []
        held = self.account.positions[s].side
        opens = p.direction == "both" or p.direction == ("long" if side > 0 else "short")
        if side in (0, held):
            if held and risk.maximum_bars and bars - memory.entered + 1 >= risk.maximum_bars:
                self.close(s, "time_exit")
        elif held:
            self.close(s, "signal")
            if p.on_opposite == "reverse" and opens and side != memory.barred:
                self.enter(s, side, known)
            else:
                memory.barred = side
        elif opens and side != memory.barred and bars - memory.left >= risk.cooldown_bars:
            self.enter(s, side, known)

    def close(self, s: int, tag: str) -> None:
        """The position is closed at the next open."""
        position = self.account.positions[s]
        self.give(tag, symbol=s, kind="market", side=-position.side, quantity=abs(position.quantity), reduce_only=True)

    def give(self, tag: str, **order: Any) -> int:
        """The number of an order that the account has taken."""
        self.number += 1
        made = WitnessOrder(id=self.number, leverage=self.risk.leverage, tag=tag, **order)
        self.account.submit(made)
        if made.kind == "market":
            self.sides[made.symbol].orders.append(made.id)
        return made.id

    def enter(self, s: int, side: int, known: Known) -> None:
        """An entry with its stop and targets, where everything they rest on is known."""
        contract, position = self.sides[s].contract, self.account.positions[s]
        share = self.account.equity / len(self.sides)
        quantity = size(self.risk, self.costs, contract, self.distances, share, position.quantity, side, known)
        exits = self.distances.exits(known)
        if not quantity > 0 or any(math.isnan(one) for exit_ in exits for one in exit_.figures):
            return
        parent = self.give("entry", symbol=s, kind="market", side=side, quantity=quantity)
        for one in exits:
            kind = "stop" if one.tag == "stop_loss" else "limit"
            self.give(
                one.tag, symbol=s, kind=kind, side=-side, quantity=quantity * one.share, reduce_only=True,
                parent=parent, share=one.share, **one.distances,
            )  # fmt: skip


def contract_of(contract: Any, costs: Any) -> WitnessContract:
    """The contract in the witness's terms, with the fees that a run sets."""
    values = {name: getattr(contract, name) for name in SAME}
    for name in ("taker_fee", "maker_fee", "liquidation_fee"):
        if getattr(costs, name) is not None:
            values[name] = getattr(costs, name)
    tiers = tuple((row.floor, row.cap, row.rate, row.leverage) for row in contract.tiers)
    return WitnessContract(**values, tiers=tiers)


def account_of(contracts: Sequence[WitnessContract], account: Any, costs: Any) -> WitnessAccount:
    """An account of a run, isolated or cross."""
    spread = {} if costs.half_spread is None else {costs.half_spread.unit: costs.half_spread.amount}
    kind = CrossAccount if account.margin == "cross" else WitnessAccount
    return kind(
        contracts, account.cash, intrabar=account.intrabar, limit_fill=account.limit_fill,
        slippage_bps=costs.slippage_bps, half_spread_bps=spread.get("bps", 0.0),
        half_spread_ticks=spread.get("tick", 0.0), impact=costs.impact, impact_bars=costs.impact_bars,
    )  # fmt: skip
