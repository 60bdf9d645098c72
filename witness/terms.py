"""What the witness account speaks of: contracts, bars, orders, positions and what it records of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

TOLERANCE = 1e-6  # in ticks for prices, in lots for quantities
RUIN = 1e-9
LIQUIDATION = "liquidation"

Intrabar = Literal["adverse", "favourable", "nearer_extreme"]
LimitFill = Literal["touch", "through"]


@dataclass(frozen=True)
class WitnessContract:
    """A contract: q counts units of `face`, in base units (linear) or quote units (inverse).

    Fees and rates are fractions of notional. `tiers`: rows of floor, cap, rate and highest leverage; without them one
    bracket holds everything. `method`: how the venue reckons; see `witness.money`.
    """

    tick: float = 0.01
    lot: float = 0.001
    minimum_quantity: float = 0.0
    minimum_notional: float = 0.0
    taker_fee: float = 0.0
    maker_fee: float = 0.0
    maintenance_rate: float = 0.01
    maximum_leverage: float = 125.0
    liquidation_fee: float = 0.0
    kind: str = "linear"
    face: float = 1.0
    method: str = "binance"
    vintage: int = 2026
    maximum_market_quantity: float | None = None
    tiers: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class WitnessFiner:
    """One of the finer bars of a bar; its mark is None where it is not known."""

    open: float
    high: float
    low: float
    mark_high: float | None
    mark_low: float | None


@dataclass(frozen=True)
class WitnessBar:
    """One symbol's bar: last and mark prices, funding stamped at its open and inside it.

    A `blocked` bar (touched by cleaning) takes no fills; liquidation still acts, funding is paid.
    """

    open: float
    high: float
    low: float
    close: float
    mark_open: float
    mark_high: float
    mark_low: float
    mark_close: float
    funding_open: float = 0.0
    funding_inside: float = 0.0
    blocked: bool = False
    volume: float = 1.0
    finer: Sequence[WitnessFiner] = ()

    def __post_init__(self) -> None:
        if isinstance(self.finer, list):
            steps = tuple(WitnessFiner(**step) if isinstance(step, dict) else step for step in self.finer)
            object.__setattr__(self, "finer", steps)


@dataclass
class WitnessOrder:
    """What a strategy gives; the fields after `tag` are the witness's own.

    A child (with `parent`) is a reduce-only limit, stop or stop-limit that sleeps until its parent fills. `limit`
    is that of a stop-limit. A stop or stop-limit with a trail follows the close. Bars count from 0:
    `expires` is the first on which the order is over, `due` the one at whose close a "close" order fills.
    Orders of one `group` cancel each other.
    With a `share` below 1 a child is for that part of what the parent opened. A child stop may move: `trailing`
    behind the best price (once that is `trailing_after` from the fill), and to the fill once the best price is
    `break_even` from it; each distance is a rate of price plus an amount.
    """

    id: int
    symbol: int
    kind: Literal["market", "limit", "stop", "stop_limit", "close"]
    side: int
    quantity: float
    price: float = 0.0
    reduce_only: bool = False
    leverage: float = 1.0
    parent: int | None = None
    offset_rate: float = 0.0
    offset: float = 0.0
    share: float = 1.0
    trailing_rate: float = 0.0
    trailing: float = 0.0
    trailing_after_rate: float = 0.0
    trailing_after: float = 0.0
    break_even_rate: float = 0.0
    break_even: float = 0.0
    tag: str = "order"
    limit: float = 0.0
    trail_amount: float = 0.0
    trail_rate: float = 0.0
    group: int | None = None
    expires: int | None = None
    due: int = 0
    state: str = "live"
    filled: float = 0.0
    opened: float = 0.0
    fill_price: float = 0.0
    basis: float = 0.0
    triggered: bool = False
    triggered_on: int = -1
    waiting: bool = False  # triggered inside the bar that is played

    @property
    def stops(self) -> bool:
        """It waits for its level, as a stop does."""
        return self.kind == "stop" or (self.kind == "stop_limit" and not self.triggered)

    @property
    def limits(self) -> bool:
        """It waits for its limit, as a target does."""
        return self.kind == "limit" or (self.kind == "stop_limit" and self.triggered and not self.waiting)

    @property
    def ask(self) -> float:
        """Its limit."""
        return self.price if self.kind == "limit" else self.limit

    @property
    def open(self) -> bool:
        """It can still fill, now or after its parent."""
        return self.state in ("live", "sleeping")


@dataclass(slots=True)
class Position:
    """A signed quantity, what it was worth at its entry, and the margin posted behind it.

    `entry`: the price at which it has that worth. `reserve`: what of the margin waits for the closing fee.
    """

    quantity: float = 0.0
    cost: float = 0.0
    entry: float = 0.0
    margin: float = 0.0
    reserve: float = 0.0

    @property
    def side(self) -> int:
        """The direction: +1 long, -1 short, 0 flat."""
        return (self.quantity > 0) - (self.quantity < 0)


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade. `order` is None where the exchange liquidated; `opens` tells openings from closings."""

    bar: int
    symbol: int
    order: int | None
    side: int
    quantity: float
    price: float
    reason: str
    opens: bool
    fee: float
    liquidation_fee: float
    realised_pnl: float
    position: float
    cash: float
    slippage: float
    spread_cost: float = 0.0
    impact_cost: float = 0.0
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Payment:
    """Funding paid by a position (below 0: received); `when` is "open", or "inside" the bar."""

    bar: int
    symbol: int
    when: str
    amount: float


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to an order besides a fill: "refused", "shrunk" or "cancelled", and why."""

    bar: int
    order: int
    what: str
    why: str


def falls_to(price: float, level: float, tick: float) -> bool:
    """The price is at or below the level, compared in ticks."""
    return (price - level) / tick <= TOLERANCE


def rises_to(price: float, level: float, tick: float) -> bool:
    """The price is at or above the level, compared in ticks."""
    return (level - price) / tick <= TOLERANCE


def floor_to(value: float, step: float) -> float:
    """The largest multiple of the step that is not above the value."""
    return math.floor(value / step + TOLERANCE) * step


def ceil_to(value: float, step: float) -> float:
    """The smallest multiple of the step that is not below the value."""
    return math.ceil(value / step - TOLERANCE) * step
