"""What a cross account shares: its equity stands behind every position, so each one's level hangs on the others.

Inside a bar it is not known when the others reach which price. A position is tested with all others at their
adverse extremes of the bar, which is a bound: no path of the bar is worse.
"""

from __future__ import annotations

from backtests.exchange.levels import liquidation_level
from backtests.exchange.records import Desk
from backtests.exchange.valuation import maintenance_of, notional_of, profit_of
from foundation.compilation import rule
from markets.binance import available_to_position


@rule
def known_equity(desk: Desk) -> float:
    """The equity at the mark prices that are known: those of the bar's open, from step 5 on those of its close."""
    equity: float = desk.account[0].cash
    for s in range(len(desk.positions)):
        position = desk.positions[s]
        equity += profit_of(desk.contracts[s], position.quantity, position.entry, position.mark)
    return equity


@rule
def wallet_of(desk: Desk, symbol: int, adverse: bool) -> float:
    """What the account leaves one position: cash less the maintenance of all others, plus their profit.

    The others are valued at their adverse extremes of the bar, or else at the marks that are known.
    """
    maintenance, profit = 0.0, 0.0
    for s in range(len(desk.positions)):
        other, contract = desk.positions[s], desk.contracts[s]
        if s == symbol or other.quantity == 0.0:
            continue
        price = other.mark
        if adverse:
            price = other.mark_low if other.quantity > 0.0 else other.mark_high
        maintenance += maintenance_of(contract, other.quantity, price)
        profit += profit_of(contract, other.quantity, other.entry, price)
    return available_to_position(desk.account[0].cash, maintenance, profit)


@rule
def cross_level(desk: Desk, symbol: int, adverse: bool) -> float:
    """The liquidation price of a position in a cross account; 0 for none.

    Where no price at all would cover its maintenance the level is the mark that is known: it is reached.
    """
    position, contract = desk.positions[symbol], desk.contracts[symbol]
    wallet = wallet_of(desk, symbol, adverse)
    level = liquidation_level(contract, position.quantity, position.entry, wallet, position.reserve)
    if level > 0.0 or position.quantity == 0.0:
        return level
    lost = (position.quantity > 0.0) == (contract.inverse != 0)
    mark: float = position.mark
    return mark if lost else 0.0


@rule
def shelter(desk: Desk) -> float:
    """A share of the marks that are known by which all prices may go against their positions at once, as `outlives`
    has it; 0 where none was found.

    Half of the equity over the notional is tried, then a quarter of that.
    """
    equity, notional = desk.account[0].cash, 0.0
    for s in range(len(desk.positions)):
        position = desk.positions[s]
        if position.quantity != 0.0:
            equity += profit_of(desk.contracts[s], position.quantity, position.entry, position.mark)
            notional += notional_of(desk.contracts[s], abs(position.quantity), position.mark)
    if not (equity > 0.0 and notional > 0.0):
        return 0.0
    share: float = min(0.5 * equity / notional, 0.5)
    for _ in range(2):
        if outlives(desk, share):
            return share
        share *= 0.25
    return 0.0


@rule
def outlives(desk: Desk, share: float) -> bool:
    """Whether no position reaches its level although the marks of all have gone a share of themselves against them.

    Nor does any at smaller moves: a price that is better for a position leaves the account more profit than it asks
    for maintenance, because no bracket's rate is 1 or more. Two ticks stand for all rounding.
    """
    for s in range(len(desk.positions)):
        position = desk.positions[s]
        position.mark_low, position.mark_high = position.mark * (1.0 - share), position.mark * (1.0 + share)
    for s in range(len(desk.positions)):
        position, tick = desk.positions[s], desk.contracts[s].tick
        if position.quantity == 0.0:
            continue
        level = cross_level(desk, s, True)
        if position.quantity > 0.0 and position.mark_low <= level + 2.0 * tick:
            return False
        if position.quantity < 0.0 and level > 0.0 and position.mark_high >= level - 2.0 * tick:
            return False
    return True


@rule
def show_levels(desk: Desk) -> None:
    """The liquidation prices that the marks which are known make, put where a cross account keeps them."""
    for s in range(len(desk.positions)):
        desk.positions[s].liquidation_price = cross_level(desk, s, False)
