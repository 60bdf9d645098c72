"""What is their own at OKX, Gate, Bitget, BingX, KuCoin and Kraken.

Symbols and units as in `markets.margin`. Sources: the venues' pages and recorded replies, 2019 to 2025.
"""

from __future__ import annotations

from foundation.compilation import rule
from markets.margin import funding_payment, initial_margin, notional, tiered_liquidation_price


@rule
def liquidation_price_with_fee(
    quantity: float,
    entry: float,
    wallet: float,
    maintenance_rate: float,
    maintenance_amount: float,
    closing_fee_rate: float,
) -> float:
    """The liquidation price where the closing fee counts as maintenance: OKX, Gate, Bitget, BingX.

    `(entry - side * wallet / |quantity|) / (1 - side * (maintenance_rate + closing_fee_rate))` without a
    maintenance amount. 0 where there is none above zero.
    """
    return tiered_liquidation_price(
        quantity, entry, wallet, maintenance_rate + max(closing_fee_rate, 0.0), maintenance_amount
    )


@rule
def settled_profit(profit: float, fees: float, funding: float, penalty: float) -> float:
    """OKX's realised profit: the sum of its parts, each above zero when it was RECEIVED."""
    return profit + fees + funding + penalty


@rule
def commission_reserve(quantity: float, entry: float, leverage: float, taker_fee: float) -> float:
    """KuCoin's reserve for closing: `taker_fee * (notional + initial margin)`, as on BitMEX, unrounded."""
    return taker_fee * (notional(quantity, entry) + initial_margin(quantity, entry, leverage))


@rule
def liquidation_price_at_entry(quantity: float, entry: float, margin: float, maintenance: float) -> float:
    """KuCoin's liquidation price: `entry - (margin - maintenance) / quantity`, both margins at ENTRY.

    With no maintenance and the initial margin alone it is the bankruptcy price. The venue rounds it to
    its tick by a rule that it does not publish.
    """
    return entry - (margin - maintenance) / quantity


@rule
def absolute_funding_rate(funding_rate: float, index: float) -> float:
    """Kraken's rate per contract unit of an inverse perpetual, fixed with the rate: `funding_rate / index`."""
    return funding_rate / index


@rule
def capped_funding_rate(average_premium: float, periods: float, cap: float) -> float:
    """Kraken's rate of one period: the average premium over `periods` in a day, within plus and minus `cap`."""
    return max(-cap, min(cap, average_premium / periods))


@rule
def accrued_funding(quantity: float, mark: float, funding_rate: float, held: float) -> float:
    """What a position PAYS where funding accrues with time: the payment times the fraction `held` of the period."""
    return funding_payment(quantity, mark, funding_rate) * held


@rule
def interest_rate(quote_rate: float, base_rate: float, settlements: float) -> float:
    """The interest part of a funding rate (BitMEX, Bybit): daily quote less base rate, over settlements a day."""
    return (quote_rate - base_rate) / settlements
