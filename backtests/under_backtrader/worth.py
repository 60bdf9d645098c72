"""Worth: what Backtrader asks of a contract, at the price of one call from Python.

Contracts are the rows of an array: numba takes an array several times faster than one record of it.
"""

from __future__ import annotations

from backtests.exchange.records import Records
from backtests.exchange.valuation import entry_of, fee_of, initial_margin_of, notional_of, profit_of
from foundation.compilation import rule


@rule
def notional(contracts: Records, symbol: int, quantity: float, price: float) -> float:
    """The value of a quantity of a contract at a price."""
    return notional_of(contracts[symbol], quantity, price)


@rule
def profit(contracts: Records, symbol: int, quantity: float, entry: float, price: float) -> float:
    """The profit of a position in a contract at a price."""
    return profit_of(contracts[symbol], quantity, entry, price)


@rule
def margin(contracts: Records, symbol: int, quantity: float, price: float, leverage: float) -> float:
    """The initial margin of an opening in a contract."""
    return initial_margin_of(contracts[symbol], quantity, price, leverage)


@rule
def fee(contracts: Records, symbol: int, quantity: float, price: float, rate: float) -> float:
    """The fee of a fill in a contract, at a rate of its notional."""
    return fee_of(contracts[symbol], quantity, price, rate)


@rule
def entry(contracts: Records, symbol: int, quantity: float, before: float, added: float, price: float) -> float:
    """The average entry price of a position in a contract that has grown."""
    return entry_of(contracts[symbol], quantity, before, added, price)
