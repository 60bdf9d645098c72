"""Hypothesis strategies for random but consistent markets, contracts and streams of orders.

A `Case` is plain data (dicts of numbers and strings), so that any implementation can play it. It
is grown from a few drawn settings and a seed, bar by bar and symbol by symbol, each from its own
stream of chance: with fewer bars, symbols or kinds of orders the rest stays the same, which lets
hypothesis shrink a failure to a short one.

The field names are those of the witness: `contracts` (tick, lot, minimum_quantity,
minimum_notional, taker_fee, maker_fee, maintenance_rate, maximum_leverage, liquidation_fee, kind, face, method,
vintage, maximum_market_quantity, tiers),
`bars[i][symbol]` (open..close, mark_open..mark_close, funding_open, funding_inside, blocked, volume,
finer: a list of open, high, low, mark_high, mark_low), and
`actions[i]`, given before bar i is played: {"submit": {id, symbol, kind, side, quantity, price,
reduce_only, leverage, parent, offset_rate, offset, share, trailing..., break_even..., tag, limit,
trail_amount, trail_rate, group, expires, due}} or {"cancel": id}. Bars are counted from 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from contract_cases import Table, random_contract
from finer_cases import finer_bars
from hypothesis import strategies as st

ORDER_KINDS = (
    "open",
    "bracket",
    "close",
    "part",
    "reverse",
    "ladder",
    "limit_entry",
    "stop_entry",
    "bracketed_limit_entry",
    "bracketed_stop_entry",
    "moving_bracket",
    "moving_limit_entry",
    "fixed_protection",
    "cancel",
    "stop_limit_entry",
    "bracketed_stop_limit_entry",
    "stop_limit_protection",
    "trail_entry",
    "trail_protection",
    "trail_bracket",
    "at_close",
    "oco_entries",
    "oco_exits",
    "valid_entry",
    "valid_bracket",
)


@dataclass(frozen=True)
class Case:
    """A whole account life as plain data: what is traded, under which settings, what happens, what is ordered."""

    contracts: list[Table]
    cash: float
    settings: Table
    bars: list[list[Table]]
    actions: list[list[Table]]


@dataclass(frozen=True)
class Weather:
    """How a market behaves: chances per bar and sizes, as fractions of price."""

    volatility: float
    gap: float
    crash: float
    flat: float
    basis: float
    funding: float
    blocked: float


def _on_tick(price: float, tick: float) -> float:
    return round(max(price, 5 * tick) / tick) * tick


def random_bar(chance: Random, weather: Weather, previous: float, tick: float, index: int) -> Table:
    """A bar after a close: low <= open, close <= high on last and on mark, last prices on the tick."""
    opened = previous
    if chance.random() < weather.gap:
        opened = _on_tick(previous * chance.choice([0.5, 0.85, 0.95, 0.98, 1.02, 1.05, 1.2, 2.0]), tick)
    if chance.random() < weather.flat:
        closed = high = low = opened
    else:
        move = chance.gauss(0, weather.volatility)
        if chance.random() < weather.crash:
            move = chance.choice([-0.6, -0.3, -0.12, 0.12, 0.3, 1.0])
        closed = _on_tick(opened * max(0.2, 1 + move), tick)
        high = _on_tick(max(opened, closed) * (1 + abs(chance.gauss(0, weather.volatility))), tick)
        low = _on_tick(min(opened, closed) * max(0.2, 1 - abs(chance.gauss(0, weather.volatility))), tick)
        high, low = max(high, opened, closed), min(low, opened, closed)
    basis = [1 + chance.gauss(0, weather.basis) for _ in range(4)] if weather.basis else [1.0] * 4
    mark = [price * max(0.5, b) for price, b in zip((opened, high, low, closed), basis, strict=True)]
    due = weather.funding > 0 and index % 3 == 0
    row: Table = {
        "open": opened,
        "high": high,
        "low": low,
        "close": closed,
        "mark_open": mark[0],
        "mark_high": max(mark),
        "mark_low": min(mark),
        "mark_close": mark[3],
        "funding_open": chance.uniform(-1, 1) * weather.funding if due else 0.0,
        "funding_inside": chance.uniform(-1, 1) * weather.funding if due and chance.random() < 0.3 else 0.0,
        "blocked": chance.random() < weather.blocked,
        "volume": chance.choice([1.0, 30.0, 1000.0]) * chance.uniform(0.5, 2.0),
    }
    row["finer"] = finer_bars(chance, row, tick) if chance.random() < 0.6 else []
    return row


@dataclass
class OrderWriter:
    """Writes a stream of orders against a market, guessing its position from what it ordered last."""

    contracts: list[Table]
    cash: float
    kinds: tuple[str, ...]
    next_id: int = 1
    written: list[int] = field(default_factory=list)
    guess: dict[int, int] = field(default_factory=dict)

    def write(self, chance: Random, symbol: int, close: float, index: int) -> list[Table]:
        """One action of a random kind for the next bar, number `index`, as one or a few tables."""
        kind = chance.choice(self.kinds)
        actions = self._write(chance, symbol, close, kind)
        for order in (action["submit"] for action in actions if "submit" in action):
            if order["kind"] == "close":
                order["due"] = index + chance.choice([0, 0, 1, 3])
            if "valid" in kind or (kind in ORDER_KINDS[14:] and chance.random() < 0.2):
                order["expires"] = index + chance.choice([0, 1, 1, 2, 4]) or None
        return actions

    def _write(self, chance: Random, symbol: int, close: float, kind: str) -> list[Table]:
        """The same, before it is known until when an order is valid."""
        side = chance.choice([1, -1])
        held = self.guess.get(symbol, side)
        if kind == "cancel":
            return [{"cancel": chance.choice(self.written[-6:])}] if self.written else []
        if kind in ("close", "part"):
            share = 1e6 if kind == "close" else chance.choice([0.2, 0.5])
            size = self._size(chance, symbol, close) * share
            return [self._order(symbol, "market", -held, size, reduce_only=True, tag=kind)]
        if kind in ("ladder", "fixed_protection", "stop_limit_protection", "trail_protection", "oco_exits"):
            return self._protection(chance, symbol, close, held, kind)
        if kind == "oco_entries":
            return self._group(chance, symbol, close)
        if kind == "reverse":
            side = -held
        self.guess[symbol] = side
        return self._entry(chance, symbol, close, side, kind)

    def _size(self, chance: Random, symbol: int, close: float) -> float:
        """A size worth from a hundredth of the cash to ten times it, often not a multiple of the lot."""
        lot: float = self.contracts[symbol]["lot"]
        contract = self.contracts[symbol]
        unit = contract["face"] * close if contract["kind"] == "linear" else contract["face"] / close
        size: float = self.cash * chance.choice([0.01, 0.3, 1.0, 3.0, 10.0]) * chance.uniform(0.5, 1.5) / unit
        return max(size, lot / 3) if chance.random() < 0.3 else max(round(size / lot), 1) * lot

    def _level(self, chance: Random, symbol: int, close: float, way: int) -> float:
        """A price on the tick, a little or far away from the close; now and then on the wrong side of it."""
        distance = chance.choice([-0.01, 0.0, 0.005, 0.01, 0.02, 0.05, 0.1])
        return _on_tick(close * (1 + way * distance), self.contracts[symbol]["tick"])

    def _order(self, symbol: int, kind: str, side: int, quantity: float, **more: Any) -> Table:
        order = {
            "id": self.next_id,
            "symbol": symbol,
            "kind": kind,
            "side": side,
            "quantity": quantity,
            "price": 0.0,
            "reduce_only": False,
            "leverage": 1.0,
            "parent": None,
            "offset_rate": 0.0,
            "offset": 0.0,
            "share": 1.0,
            "trailing_rate": 0.0,
            "trailing": 0.0,
            "trailing_after_rate": 0.0,
            "trailing_after": 0.0,
            "break_even_rate": 0.0,
            "break_even": 0.0,
            "tag": kind,
            "limit": 0.0,
            "trail_amount": 0.0,
            "trail_rate": 0.0,
            "group": None,
            "expires": None,
            "due": 0,
        } | more
        self.written.append(self.next_id)
        self.next_id += 1
        return {"submit": order}

    def _entry(self, chance: Random, symbol: int, close: float, side: int, name: str) -> list[Table]:
        """An opening, at the market or resting, with or without a bracket around its fill."""
        highest = self.contracts[symbol]["maximum_leverage"]
        leverage = chance.choice([1.0, 2.5, 5.0, highest, highest, 1.25 * highest])
        kinds = ("stop_limit", "limit", "stop", "market")
        kind = next((kind for kind in kinds if kind in name.replace("_entry", "")), "market")
        if name == "at_close":
            kind = "close"
        elif name in ("trail_entry", "valid_entry"):
            kind = chance.choice(["stop", "stop_limit"] if name == "trail_entry" else list(kinds[:3]))
        price = 0.0
        if kind not in ("market", "close"):
            price = self._level(chance, symbol, close, -side if kind == "limit" else side)
        size = self._size(chance, symbol, close)
        more = self._limit_and_trail(chance, symbol, close, side, kind, price, trails=name == "trail_entry")
        if kind == "close" and chance.random() < 0.3:
            return [self._order(symbol, kind, side, size, reduce_only=True, tag=name)]
        orders = [self._order(symbol, kind, side, size, price=price, leverage=leverage, tag=name, **more)]
        if "moving" in name:
            return orders + self._moving_exits(chance, symbol, close, orders[0]["submit"])
        if "bracket" in name or chance.random() < 0.2:
            orders += self._children(chance, symbol, close, orders[0]["submit"], name)
        return orders

    def _children(self, chance: Random, symbol: int, close: float, parent: Table, name: str) -> list[Table]:
        """The exits of a bracket: fixed, trailing or with limits; at distances from the fill or at levels."""
        orders, side = [], parent["side"]
        for child in chance.choice([("stop",), ("limit",), ("stop", "limit"), ("stop", "limit")]):
            if child == "stop" and name in ("trail_bracket", "bracketed_stop_limit_entry"):
                child = chance.choice(["stop", "stop_limit"])
            way = side if child == "limit" else -side
            price = self._level(chance, symbol, close, way)
            more = self._limit_and_trail(chance, symbol, close, -side, child, price, trails=name == "trail_bracket")
            rate = chance.choice([0.0, 0.005, 0.01, 0.03, 0.1])
            if chance.random() < 0.8:
                more |= {"offset_rate": rate, "offset": 0.0 if rate else close * chance.choice([0.002, 0.02])}
            more |= {"price": price, "parent": parent["id"], "tag": f"{child}_child"}
            orders.append(self._order(symbol, child, -side, parent["quantity"], reduce_only=True, **more))
        return orders

    def _limit_and_trail(
        self, chance: Random, symbol: int, close: float, side: int, kind: str, price: float, *, trails: bool
    ) -> Table:
        """The limit of a stop-limit, on either side of its level, and the distance of a trail."""
        more: Table = {}
        if kind == "stop_limit":
            beyond = chance.choice([0.0, 0.01, 0.003, -0.003, -0.01, -0.03])
            more["limit"] = _on_tick(price * (1 + side * beyond), self.contracts[symbol]["tick"])
        if trails and kind in ("stop", "stop_limit"):
            rate = chance.choice([0.0, 0.003, 0.01, 0.03])
            more |= {"trail_rate": rate, "trail_amount": 0.0 if rate else close * chance.choice([0.002, 0.01, 0.04])}
        return more

    def _group(self, chance: Random, symbol: int, close: float) -> list[Table]:
        """Two or three entries, above and below the price, of which one cancels the others."""
        highest = self.contracts[symbol]["maximum_leverage"]
        group, orders = self.next_id, []
        for kind in chance.choices(["limit", "stop", "stop_limit", "market", "close"], [4, 4, 2, 1, 1], k=3):
            side = chance.choice([1, -1])
            price = self._level(chance, symbol, close, -side if kind == "limit" else side)
            more = self._limit_and_trail(chance, symbol, close, side, kind, price, trails=chance.random() < 0.3)
            more |= {"price": price, "leverage": chance.choice([1.0, 5.0, highest]), "group": group, "tag": "oco"}
            orders.append(self._order(symbol, kind, side, self._size(chance, symbol, close), **more))
            if chance.random() < 0.2:
                orders += self._children(chance, symbol, close, orders[-1]["submit"], "bracket")
        return orders

    def _moving_exits(self, chance: Random, symbol: int, close: float, entry: Table) -> list[Table]:
        """A stop that trails or breaks even, or both; up to three targets for a share; perhaps one for the rest."""
        stop = self._distance(chance, close, "offset") | self._distance(chance, close, "trailing")
        if chance.random() < 0.2:
            stop |= {"offset_rate": 0.0, "offset": 0.0}
        for name in ("trailing_after", "break_even"):
            if chance.random() < 0.5:
                stop |= self._distance(chance, close, name)
        if stop["offset_rate"] + stop["offset"] > 0.0 and chance.random() < 0.3:
            stop |= {"trailing_rate": 0.0, "trailing": 0.0}
        exits = [("stop", stop)]
        shares = chance.choice([(), (0.5,), (0.3, 0.3), (1 / 3, 1 / 3, 1 / 3), (0.5, 0.3, 0.2), (0.01, 0.98)])
        exits += [("limit", self._distance(chance, close, "offset") | {"share": share}) for share in shares]
        if chance.random() < 0.5:
            exits.append(("limit", self._distance(chance, close, "offset")))
        return [
            self._order(
                symbol, kind, -entry["side"], entry["quantity"], reduce_only=True, parent=entry["id"],
                tag=f"{kind}_child", **more,
            )
            for kind, more in exits
        ]  # fmt: skip

    def _distance(self, chance: Random, close: float, name: str) -> Table:
        """A distance under a name: a rate of price, or an amount of it."""
        rate = chance.choice([0.0, 0.002, 0.005, 0.01, 0.03, 0.1])
        return {f"{name}_rate": rate, name: 0.0 if rate else close * chance.choice([0.001, 0.004, 0.02])}

    def _protection(self, chance: Random, symbol: int, close: float, held: int, name: str) -> list[Table]:
        """Stops and targets without a parent: for the whole position, a ladder of parts, or one that cancels the other.

        Those of the newer kinds may also open, now and then.
        """
        orders: list[Table] = []
        first = self.next_id
        for number in range(2 if name in ("ladder", "oco_exits") else 1):
            kind = chance.choice(["stop", "limit"])
            if name in ("stop_limit_protection", "trail_protection"):
                kind = chance.choice(["stop_limit", "stop"] if name == "trail_protection" else ["stop_limit"])
            elif name == "oco_exits":
                kind = ("stop", "limit")[number]
            price = self._level(chance, symbol, close, held if kind == "limit" else -held)
            size = self._size(chance, symbol, close) * (0.3 if name == "ladder" else 1e3)
            more = self._limit_and_trail(chance, symbol, close, -held, kind, price, trails=name == "trail_protection")
            may_open = name not in ("ladder", "fixed_protection") and chance.random() < 0.3
            if may_open:
                size = self._size(chance, symbol, close)
            if name == "oco_exits":
                more["group"] = first
            more |= {"price": price, "reduce_only": not may_open, "tag": name}
            orders.append(self._order(symbol, kind, -held, size, **more))
        return orders


@st.composite
def weathers(draw: st.DrawFn) -> Weather:
    """Calm to violent markets; the first of each choice is the quiet one."""
    return Weather(
        volatility=draw(st.sampled_from([0.003, 0.01, 0.03])),
        gap=draw(st.sampled_from([0.0, 0.1, 0.4])),
        crash=draw(st.sampled_from([0.0, 0.03, 0.15])),
        flat=draw(st.sampled_from([0.0, 0.2])),
        basis=draw(st.sampled_from([0.0, 0.0005, 0.01, 0.05])),
        funding=draw(st.sampled_from([0.0, 0.0005, 0.05])),
        blocked=draw(st.sampled_from([0.0, 0.1])),
    )


def grow(
    seed: int, symbols: int, length: int, weather: Weather, kinds: tuple[str, ...], rate: float, settings: Table
) -> Case:
    """The case that grows from a seed; the same seed with fewer bars or symbols is a part of it."""
    scale = Random(f"{seed} scale")
    kind = scale.choice(["linear", "inverse"])
    cash = float(scale.choice([1_000, 10_000, 250_000] if kind == "linear" else [2, 20, 500]))
    contracts = [random_contract(Random(f"{seed} contract {symbol}"), kind, cash) for symbol in range(symbols)]
    closes = [_on_tick(scale.choice([60.0, 100.0, 2_000.0]), contract["tick"]) for contract in contracts]
    writer = OrderWriter(contracts, cash, kinds)
    bars: list[list[Table]] = []
    actions: list[list[Table]] = []
    for index in range(length):
        row, given = [], []
        for symbol, contract in enumerate(contracts):
            chance = Random(f"{seed} orders {index} {symbol}")
            if chance.random() < rate:
                given += writer.write(chance, symbol, closes[symbol], index)
            bar = random_bar(Random(f"{seed} bar {index} {symbol}"), weather, closes[symbol], contract["tick"], index)
            closes[symbol] = bar["close"]
            row.append(bar)
        bars.append(row)
        actions.append(given)
    return Case(contracts, cash, settings, bars, actions)


@st.composite
def cases(
    draw: st.DrawFn, shortest: int = 5, longest: int = 60, modes: tuple[str, ...] = ("isolated", "cross")
) -> Case:
    """A random account life over one to three symbols."""
    settings = {
        "intrabar": draw(st.sampled_from(["adverse", "favourable", "nearer_extreme"])),
        "limit_fill": draw(st.sampled_from(["touch", "through"])),
        "slippage_bps": draw(st.sampled_from([0.0, 1.0, 50.0])),
        "mode": draw(st.sampled_from(modes)),
        "half_spread_bps": draw(st.sampled_from([0.0, 2.0])),
        "half_spread_ticks": draw(st.sampled_from([0.0, 0.5, 1.0])),
        "impact": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "impact_bars": 5,
    }
    kinds = draw(st.lists(st.sampled_from(ORDER_KINDS), min_size=1, max_size=len(ORDER_KINDS), unique=True))
    return grow(
        seed=draw(st.integers(0, 2**32)),
        symbols=draw(st.integers(1, 3)),
        length=draw(st.integers(shortest, longest)),
        weather=draw(weathers()),
        kinds=tuple(sorted(kinds)),
        rate=draw(st.sampled_from([0.5, 0.2, 0.9])),
        settings=settings,
    )
