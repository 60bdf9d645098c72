"""Bars with the exit that another engine makes of them, and how they are replayed on an account of ours.

The cases lie in `cases/bar_semantics.json` of the folder of published numbers (`golden_cases.FOLDER`). A case is
replayed bar by bar: what its source would order at a close is ordered, and what fills is compared.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from golden_cases import FOLDER

from witness import WitnessAccount, WitnessBar, WitnessContract, WitnessOrder

Case = dict[str, Any]
TICK = 0.01
CASH = 10_000.0


@dataclass(frozen=True)
class Trade:
    """One round trip: bar and price of its entry, bar, price and kind of its exit."""

    entry_bar: int
    entry_price: float
    exit_bar: int
    exit_price: float
    reason: str


@dataclass(frozen=True)
class Levels:
    """The exits of a case, as fractions of the entry price, or as prices where `fixed`."""

    stop: float = 0.0
    target: float = 0.0
    trail: float = 0.0
    after: float = 0.0
    fixed: bool = True


@cache
def read_cases() -> list[Case]:
    """The cases of the folder; none where it has no such file."""
    path = FOLDER / "cases" / "bar_semantics.json"
    content = json.loads(path.read_text("utf-8")) if path.exists() else []
    return list(content["cases"] if isinstance(content, dict) else content)


def side_of(case: Case) -> int:
    """+1 where a case is about a long, -1 about a short."""
    told = case["params"].get("side") or next((trade["side"] for trade in case["expected"].get("trades", ())), "long")
    return -1 if told == "short" else 1


def levels_of(case: Case) -> Levels:
    """The exits of a case; freqtrade's percentages are of the margin."""
    params = case["params"]
    if "take_profit_by_minutes" not in params:
        return Levels(params.get("stop") or 0.0, params.get("target") or 0.0)
    leverage = params.get("leverage") or 1.0
    stop, trail = params["stop_loss_pct"], 0.0
    if params.get("trailing"):
        trail = params.get("trailing_positive") or stop
    after = params.get("trailing_offset", 0.0) if trail and params.get("trailing_only_after_offset") else 0.0
    if trail and not after:
        stop = min(stop, trail)
    target = params["take_profit_by_minutes"]["0"]
    return Levels(stop / leverage, target / leverage, trail / leverage, after / leverage, fixed=False)


class Replay:
    """A case on one account: the exchange's or the witness's; `trades` are what came of it."""

    def __init__(self, case: Case, kind: Any) -> None:
        params = case["params"]
        self.case, self.side, self.levels = case, side_of(case), levels_of(case)
        self.leverage = float(params.get("leverage") or 1.0)
        self.cash = float(params.get("equity") or params.get("balance") or CASH)
        self.account = kind([contract_of(case)], self.cash)
        self.next_id, self.held, self.shift, self.entered = 1, 0, 0, -1
        self.play()

    def play(self) -> None:
        """All bars, after one more at the entry price where the case begins with a position."""
        params, bars = self.case["params"], self.case["bars"]
        if str(params.get("entry", "")).startswith("sell stop") or str(params.get("entry", "")).startswith("buy stop"):
            self.enter("stop", price=float(params["entry"].split()[-1]))
        elif "note" in params and "levels set after" in params["note"]:
            self.enter("market", exits=False)
        elif "take_profit_by_minutes" not in params and "signal_bar" not in params:
            self.shift = 1
            self.enter("market")
            price = params.get("entry", bars[0]["o"])
            self.step({"o": price, "h": price, "l": price, "c": price})
        for number, bar in enumerate(bars):
            self.step(bar)
            self.after(number, bar)

    def step(self, bar: Case) -> None:
        """One bar, whose mark is its last price."""
        last = tuple(float(bar[name]) for name in "ohlc")
        self.account.play([WitnessBar(*last, *last)])
        self.held = int((self.account.positions[0]["quantity"] if hasattr(self.account.positions, "dtype")
                         else self.account.positions[0].quantity) != 0)  # fmt: skip

    def after(self, number: int, bar: Case) -> None:
        """What is ordered at a bar's close."""
        params = self.case["params"]
        if params.get("signal_bar") == number:
            self.enter("market")
        elif "levels set after" in params.get("note", "") and number == 0:
            self.protect(parent=None)
        elif "take_profit_by_minutes" in params:
            self.follow_signals(number, bar)

    def follow_signals(self, number: int, bar: Case) -> None:
        """freqtrade: entries and exits by signal, a target that changes with the time held, a forced exit."""
        wanted = [side for side, name in ((1, "enter_long"), (-1, "enter_short")) if bar.get(name)]
        if not self.held:
            if len(wanted) == 1:
                self.side = wanted[0]
                self.enter("market")
                self.entered = number + 1
            return
        if bar.get("exit_long" if self.side > 0 else "exit_short"):
            self.order("market", -self.side, 1e9, reduce_only=True, tag="signal")
            return
        minutes = (number + 1 - self.entered) * (self.case.get("timeframe_minutes") or 60)
        due = {int(key): value for key, value in self.case["params"]["take_profit_by_minutes"].items() if int(key) > 0}
        now = [share for start, share in sorted(due.items()) if start <= minutes]
        if now and now[-1] < 0:
            self.order("market", -self.side, 1e9, reduce_only=True, tag="time_exit")
        elif now:
            self.account.cancel(self.target)
            price = self.entry_price() * (1 + self.side * now[-1] / self.leverage)
            self.target = self.order("limit", -self.side, 1e9, price=price, reduce_only=True, tag="take_profit")

    def entry_price(self) -> float:
        """The price of the last opening fill."""
        return [price for _, price, opens, _ in fills_of(self.account) if opens][-1]

    def enter(self, kind: str, price: float = 0.0, *, exits: bool = True) -> None:
        """An entry with all of the cash at the case's leverage, and its bracket."""
        reference = price or float(self.case["params"].get("entry_price") or self.case["bars"][0]["o"])
        quantity = float(self.case["params"].get("qty") or 0.9 * self.cash * self.leverage / reference)
        if "equity" in self.case["params"]:
            quantity = self.cash * self.leverage / float(self.case["params"]["entry"])
        self.quantity = quantity
        parent = self.order(kind, self.side, quantity, price=price, leverage=self.leverage, tag="entry")
        if exits:
            self.protect(parent)

    def protect(self, parent: int | None) -> None:
        """Stop and target, of a bracket or of the position."""
        levels = self.levels
        more: dict[str, Any] = {"reduce_only": True, "parent": parent}
        for kind, level in (("stop", levels.stop), ("limit", levels.target)):
            if not level:
                continue
            where: dict[str, Any] = {"price": level} if levels.fixed else {"offset_rate": level}
            if kind == "stop":
                where |= {"trailing_rate": levels.trail, "trailing_after_rate": levels.after, "tag": "stop_loss"}
            else:
                where["tag"] = "take_profit"
            made = self.order(kind, -self.side, self.quantity, **more, **where)
            if kind == "limit":
                self.target = made

    def order(self, kind: Any, side: int, quantity: float, **more: Any) -> int:
        """Hands one order in; its number."""
        number, self.next_id = self.next_id, self.next_id + 1
        self.account.submit(WitnessOrder(number, 0, kind, side, quantity, **more))
        return number

    @property
    def trades(self) -> list[Trade]:
        """The round trips, their bars counted as in the case."""
        found, entry = [], (0, 0.0)
        for bar, price, opens, reason in fills_of(self.account):
            if opens:
                entry = (bar - self.shift, price)
            else:
                found.append(Trade(*entry, bar - self.shift, price, reason))
        return found

    @property
    def money(self) -> float:
        """The equity at the end."""
        return float(self.account.equity)


def fills_of(account: Any) -> list[tuple[int, float, bool, str]]:
    """Bar, price, opening or closing, and reason of every fill of either account."""
    from backtests.exchange.records import FILL_REASONS

    if isinstance(account, WitnessAccount):
        return [(fill.bar, fill.price, fill.opens, fill.reason) for fill in account.fills]
    return [(bar, float(row["price"]), bool(row["opening"]), FILL_REASONS[row["reason"]]) for bar, row in account.fills]


def contract_of(case: Case) -> WitnessContract:
    """A contract without fees, on whose tick the case's prices lie, liquidated where its source says."""
    params, rate = case["params"], 0.004
    if "liq_price" in params:
        side, margin = side_of(case), params["entry"] / params["leverage"]
        level = params["liq_price"]
        rate = max(1e-6, side * (level - params["entry"] + side * margin) / level)
    return WitnessContract(tick=TICK, lot=1e-6, maintenance_rate=rate, maximum_leverage=200.0)
