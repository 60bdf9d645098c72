"""What is Binance's own: the price an order is margined at, cross and hedge liquidation, who pays funding.

Symbols and units as in `markets.margin`. COIN-M follows `markets.inverse` as it stands, brackets in coin.
Source: the venue's pages on order cost, liquidation price (USD-M) and funding, read 2021 to 2024.
"""

from __future__ import annotations

from foundation.compilation import rule

# A sell is margined at no less than the last price raised by this fraction (page of 2023; older pages: order price).
ASSUMED_RISE = 0.0015
# A position opened less than this many seconds after a settlement has been charged for it (observed).
FUNDING_GRACE_SECONDS = 15.0


@rule
def assuming_price(quantity: float, price: float, last: float, mark: float) -> float:
    """The price at which an opening order is margined.

    A limit buy: its own price; a sell: `max(last * 1.0015, mark, price)`; a market buy, `price` 0:
    `last * 1.0015`.
    """
    raised = last * (1.0 + ASSUMED_RISE)
    if quantity < 0.0:
        return max(raised, mark, price)
    return price if price > 0.0 else raised


@rule
def available_to_position(wallet: float, others_maintenance: float, others_profit: float) -> float:
    """What a cross account leaves one position: `wallet - others_maintenance + others_profit`.

    The maintenance margin and the unrealised profit of all OTHER positions, at their marks.
    """
    return wallet - others_maintenance + others_profit


@rule
def shared_liquidation_price(
    available: float, entry_value: float, net_quantity: float, maintenance_slope: float, maintenance_amount: float
) -> float:
    """The liquidation price that the legs of one symbol share in a cross account, hedge mode included.

    `(available + maintenance_amount - entry_value) / (maintenance_slope - net_quantity)`: sums over the
    legs of `quantity * entry`, of `quantity`, of `|quantity| * maintenance_rate` and of the maintenance
    amounts; quantities above zero for a long leg and below for a short. 0 where there is none above zero.
    """
    slope = maintenance_slope - net_quantity
    return max(0.0, (available + maintenance_amount - entry_value) / slope) if slope != 0.0 else 0.0


@rule
def pays_funding(opened: float, closed: float, stamp: float, grace: float) -> bool:
    """Whether a position takes part in a settlement; all times in seconds.

    It is open at the stamp, both ends included, or was opened less than `grace` seconds after it.
    """
    return (opened <= stamp or opened < stamp + grace) and closed >= stamp
