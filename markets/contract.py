"""Contract: what is traded, with the venue's filters, fees and margin rule."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from foundation.errors import ParameterError, suggestion
from foundation.parameters import Parameters
from foundation.units import Measured, Quantity

REGISTRY = Path(__file__).with_name("contracts.toml")


class Contract(Parameters):
    """One perpetual futures contract, linear: profit = quantity x price change, in quote currency.

    Prices are multiples of `tick`, quantities of `lot` (base units). Fees and rates are fractions
    of notional. `maintenance_rate` x notional is the maintenance margin. Each figure comes from
    `source`, read on `date`; venues change them.
    """

    table: ClassVar[str] = "contract"

    venue: str = Field(description="the venue's short name, such as binance_usdm")
    symbol: str = Field(description="the venue's symbol, such as BTCUSDT")
    kind: Literal["linear"] = Field("linear", description='"linear": margined and settled in the quote currency')
    settlement: str = Field("USDT", description="the currency of margin and profit")
    tick: float = Field(gt=0, description="smallest price step, above 0")
    lot: float = Field(gt=0, description="smallest quantity step in base units, above 0")
    minimum_quantity: float = Field(0.0, ge=0, description="smallest order in base units, 0 or more")
    minimum_notional: float = Field(0.0, ge=0, description="smallest order value in the settlement currency, 0 or more")
    taker_fee: float = Field(ge=-0.01, le=0.05, description="a fraction of notional from -0.01 to 0.05, such as 0.0005")
    maker_fee: float = Field(ge=-0.01, le=0.05, description="a fraction of notional from -0.01 to 0.05, such as 0.0002")
    maintenance_rate: float = Field(gt=0, lt=1, description="a fraction of notional between 0 and 1, such as 0.004")
    maximum_leverage: float = Field(125.0, ge=1, le=1000, description="a number from 1 to 1000")
    liquidation_fee: float = Field(0.0, ge=0, lt=1, description="clearance charge, a fraction of what is liquidated")
    funding_interval: Annotated[Quantity, Measured(("m", "h", "d"))] = Field(
        Quantity(8.0, "h"), description='the longest time between settlements, such as "8h"'
    )
    source: str = Field("", description="where the figures come from")
    date: str = Field("", description="the day on which they were read, YYYY-MM-DD")

    @property
    def key(self) -> str:
        """The name under which configs ask for it: venue:symbol."""
        return f"{self.venue}:{self.symbol}"


@cache
def registry() -> dict[str, Contract]:
    """The contracts that come with crossgate, by key."""
    with REGISTRY.open("rb") as file:
        tables: list[dict[str, Any]] = tomllib.load(file)["contract"]
    contracts = [Contract(**table) for table in tables]
    return {contract.key: contract for contract in contracts}


def find_contract(key: str) -> Contract:
    """The registered contract named `venue:symbol`; raises ParameterError with a suggestion."""
    known = registry()
    if key not in known:
        fix = f"{suggestion(key, known)}; any other contract can be written as a table: contract = {{venue = ..., ...}}"
        raise ParameterError("market.contract", "is not a registered contract", value=key, fix=fix)
    return known[key]
