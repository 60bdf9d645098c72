"""The witness's arithmetic: what contracts are worth, what they earn, and where they are lost.

All of it runs over the WORTH of a position in the settlement currency, never over its price: a linear position
of worth `now` that was bought for `cost` has earned `side * (now - cost)`, an inverse one, worth less coin
as the price rises, `side * (cost - now)`. The maintenance margin is the sum over the brackets of what of the
worth lies in each, times its rate. A liquidation is a linear equation in the worth, solved in every bracket.

Methods: "binance" as it stands; "closing_fee" adds the taker fee to every rate; "bybit" fixes maintenance at
the cost and keeps the fee to close at the bankruptcy price in the margin (inverse contracts: with that fee up
to 2023, without it to 2025, as binance from 2026 on); "bitmex" counts whole satoshis a contract.
"""

from __future__ import annotations

import math

from witness.terms import Position, WitnessContract

SATOSHI = 1e-8
HAIR = 1e-6  # of a satoshi or a tick
EVERYTHING = 1e18
NOTHING = 1e-12  # of a worth

Tier = tuple[float, float, float, float]


def tiers(contract: WitnessContract) -> tuple[Tier, ...]:
    """The brackets: floor, cap, rate, highest leverage."""
    return contract.tiers or ((0.0, EVERYTHING, contract.maintenance_rate, contract.maximum_leverage),)


def worth(contract: WitnessContract, quantity: float, price: float) -> float:
    """What a quantity is worth, above 0 for both sides."""
    if contract.kind == "linear":
        return abs(quantity) * contract.face * price
    one = contract.face / price
    if contract.method == "bitmex":
        one = math.floor(contract.face / SATOSHI / price + 0.5) * SATOSHI
    return abs(quantity) * one


def price_of(contract: WitnessContract, quantity: float, value: float) -> float:
    """The price at which a quantity is worth that much."""
    size = abs(quantity) * contract.face
    return value / size if contract.kind == "linear" else size / value


def gain(contract: WitnessContract, side: int, cost: float, now: float) -> float:
    """What a position has earned that was worth `cost` and is worth `now`."""
    return side * (now - cost) if contract.kind == "linear" else side * (cost - now)


def maintenance(contract: WitnessContract, value: float, *, fee: bool = True) -> float:
    """The maintenance margin of a worth, bracket by bracket; with the closing fee where the venue counts it."""
    kept = sum(max(0.0, min(value, cap) - floor) * rate for floor, cap, rate, _ in tiers(contract))
    kept += max(0.0, value - tiers(contract)[-1][1]) * tiers(contract)[-1][2]
    return kept + (value * closing_rate(contract) if fee else 0.0)


def closing_rate(contract: WitnessContract) -> float:
    """The fee that counts as maintenance."""
    return max(0.0, contract.taker_fee) if contract.method == "closing_fee" else 0.0


def room(contract: WitnessContract, leverage: float, price: float) -> float:
    """The largest position for which the brackets still allow a leverage at a price; a bracket holds its cap."""
    allowed = max((cap for _, cap, _, highest in tiers(contract) if leverage <= highest), default=0.0)
    return allowed / worth(contract, 1.0, price)


def posted(contract: WitnessContract, side: int, quantity: float, price: float, leverage: float) -> tuple[float, float]:
    """Initial margin of an opening, and what is reserved beside it for the closing fee."""
    value, taker = worth(contract, quantity, price), max(0.0, contract.taker_fee)
    if contract.method == "bitmex":
        satoshis = math.ceil(value / SATOSHI / leverage - HAIR)
        fee = math.ceil(taker * (value / SATOSHI + satoshis) - HAIR)
        return satoshis * SATOSHI, fee * SATOSHI
    initial = value / leverage
    if contract.method != "bybit" or (contract.kind == "inverse" and contract.vintage > 2023):
        return initial, 0.0
    # Where the initial margin is lost a linear long is worth less, an inverse one more.
    lost = value - side * initial if contract.kind == "linear" else value + side * initial
    return initial, lost * taker


def at_entry(contract: WitnessContract) -> bool:
    """Whether maintenance stays what it was at the entry."""
    older = contract.kind == "linear" or contract.vintage < 2026
    return contract.method == "bitmex" or (contract.method == "bybit" and older)


def liquidation_price(contract: WitnessContract, held: Position, wallet: float) -> float:
    """The mark at which the wallet and the gain no longer cover maintenance; 0 for none."""
    if held.side == 0:
        return 0.0
    if contract.method == "bitmex":
        rate = next((rate for _, cap, rate, _ in tiers(contract) if held.cost <= cap), tiers(contract)[-1][2])
        kept = math.ceil(rate * held.cost / SATOSHI - HAIR) * SATOSHI + held.reserve
        return _whole_satoshis(contract, held, wallet - kept)
    if at_entry(contract):
        kept = maintenance(contract, held.cost, fee=False)
        if contract.kind == "linear":
            return max(0.0, price_of(contract, held.quantity, held.cost + held.side * (kept + held.reserve - wallet)))
        paid = max(0.0, contract.taker_fee) if contract.vintage <= 2023 else 0.0
        value = (wallet - kept + held.side * held.cost) / (held.side + paid)
        return price_of(contract, held.quantity, value) if value > NOTHING * held.cost else 0.0
    return _in_brackets(contract, held, wallet)


def _in_brackets(contract: WitnessContract, held: Position, wallet: float) -> float:
    """Solves wallet + gain = maintenance in every bracket; the answer is the one that lies in its own."""
    below = 0.0
    rows = tiers(contract)
    for floor, cap, rate, _ in rows:
        way = held.side if contract.kind == "linear" else -held.side
        # wallet + way * (value - cost) = below + (value - floor) * rate + value * fee
        slope = way - rate - closing_rate(contract)
        value = (below - floor * rate - wallet + way * held.cost) / slope
        if value <= NOTHING * held.cost:
            return 0.0
        if value <= cap or cap == rows[-1][1]:
            return price_of(contract, held.quantity, value)
        below += (cap - floor) * rate
    raise AssertionError("a worth lies in no bracket")


def bankruptcy_price(contract: WitnessContract, held: Position) -> float:
    """The price at which the margin but for its reserve is lost; infinite for a short that cannot be ruined."""
    own = held.margin - held.reserve
    if contract.method == "bitmex":
        return _whole_satoshis(contract, held, own) or math.inf
    if contract.kind == "linear":
        return price_of(contract, held.quantity, held.cost - held.side * own)
    value = held.cost + held.side * own
    return price_of(contract, held.quantity, value) if value > NOTHING * held.cost else math.inf


def _whole_satoshis(contract: WitnessContract, held: Position, loss: float) -> float:
    """The tick at which the position has lost that much, never kinder than the exact price; 0 for none."""
    each = (held.cost + held.side * loss) / SATOSHI / abs(held.quantity)
    if each <= HAIR:
        return 0.0
    if held.side > 0:
        return math.ceil(1 / SATOSHI / math.floor(each + HAIR) / contract.tick - HAIR) * contract.tick
    return math.floor(1 / SATOSHI / math.ceil(each - HAIR) / contract.tick + HAIR) * contract.tick
