"""Contract: what is traded, with the venue's filters, fees and margin rule."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
from pydantic import BeforeValidator, Field

from foundation.errors import ParameterError, suggestion
from foundation.parameters import Parameters
from foundation.units import Measured, Quantity
from markets.tiers import NO_CAP, MarginTiers, maintenance_amounts, read_margin_tiers, tiers_in_force

REGISTRY = Path(__file__).with_name("contracts.toml")
TIERS = Path(__file__).with_name("margin_tiers.csv")
_NOT_PLAIN = re.compile("[^A-Z0-9]")
# What the closing fee is to the liquidation price, and at which price maintenance is valued: see `markets.venues`.
Method = Literal["binance", "closing_fee", "bybit", "bitmex"]
METHODS: tuple[str, ...] = get_args(Method)


class Bracket(Parameters):
    """One bracket of a margin table: notionals above `floor` and up to `cap`, in the settlement currency."""

    table: ClassVar[str] = "contract.tiers"

    floor: float = Field(ge=0, description="the notional above which the bracket begins, 0 or more")
    cap: float = Field(gt=0, description="the largest notional in the bracket")
    rate: float = Field(gt=0, lt=1, description="maintenance margin, a fraction of notional between 0 and 1")
    leverage: float = Field(ge=1, le=1000, description="the highest leverage, a number from 1 to 1000")


def _brackets(rows: Any) -> Any:
    """Brackets as people and files write them, a list of tables, as a tuple."""
    if not isinstance(rows, list | tuple):
        return rows
    return tuple(Bracket(**row) if isinstance(row, dict) else row for row in rows)


class Contract(Parameters):
    """One perpetual futures contract, linear or inverse.

    A quantity counts units of `face`: base units of a linear contract, quote units of an inverse one. Linear:
    profit = quantity x face x price change, in quote currency. Inverse: quantity x face x change of 1 / price,
    in COIN, which is then the `settlement` of margin, fees and funding too. Prices are multiples of `tick`,
    quantities of `lot`. Fees and rates are fractions of notional. `tiers`: the brackets of maintenance
    margin and leverage; without them one bracket of `maintenance_rate` and `maximum_leverage` holds every notional,
    with them both figures are those of the lowest one. Each figure comes from `source`, read on `date`;
    the brackets are those of `tiers_date`. Venues change them.
    """

    table: ClassVar[str] = "contract"

    venue: str = Field(description="the venue's short name, such as binance_usdm")
    symbol: str = Field(description="the venue's symbol, such as BTCUSDT")
    kind: Literal["linear", "inverse"] = Field(
        "linear", description='"linear" (settled in the quote currency) or "inverse" (settled in the coin)'
    )
    settlement: str = Field("USDT", description="the currency of margin and profit; the coin of an inverse contract")
    face: float = Field(
        1.0, gt=0, description="what a quantity of 1 is: base units (linear) or quote units (inverse), such as 100.0"
    )
    tick: float = Field(gt=0, description="smallest price step, above 0")
    lot: float = Field(gt=0, description="smallest quantity step, above 0")
    minimum_quantity: float = Field(0.0, ge=0, description="smallest order, 0 or more")
    minimum_notional: float = Field(0.0, ge=0, description="smallest order value in the settlement currency, 0 or more")
    maximum_market_quantity: float | None = Field(
        None, gt=0, description="largest order that fills at the market, above 0; left out, there is no limit"
    )
    taker_fee: float = Field(ge=-0.01, le=0.05, description="a fraction of notional from -0.01 to 0.05, such as 0.0005")
    maker_fee: float = Field(ge=-0.01, le=0.05, description="a fraction of notional from -0.01 to 0.05, such as 0.0002")
    maintenance_rate: float = Field(gt=0, lt=1, description="a fraction of notional between 0 and 1, such as 0.004")
    maximum_leverage: float = Field(125.0, ge=1, le=1000, description="a number from 1 to 1000")
    liquidation_fee: float = Field(0.0, ge=0, lt=1, description="clearance charge, a fraction of what is liquidated")
    method: Method = Field(
        "binance", description=f"how the venue reckons margin and liquidation: one of {', '.join(METHODS)}"
    )
    vintage: int = Field(2026, ge=2018, le=2100, description="the year of the venue's page, where its pages disagree")
    tiers: Annotated[tuple[Bracket, ...], BeforeValidator(_brackets)] = Field(
        (), description="brackets, lowest first: [{floor = 0.0, cap = 50000.0, rate = 0.004, leverage = 125.0}, ...]"
    )
    tiers_date: str = Field("", description="the day of the brackets, YYYY-MM-DD")
    funding_interval: Annotated[Quantity, Measured(("m", "h", "d"))] = Field(
        Quantity(8.0, "h"), description='the longest time between settlements, such as "8h"'
    )
    source: str = Field("", description="where the figures come from")
    date: str = Field("", description="the day on which they were read, YYYY-MM-DD")

    def model_post_init(self, context: object) -> None:
        if self.kind == "inverse" and self.settlement in ("USD", "USDT", "USDC"):
            fix = 'name the coin, such as "BTC"'
            raise ParameterError(
                "contract.settlement", "is not the coin of an inverse contract", value=self.settlement, fix=fix
            )
        if self.method == "bitmex" and (self.kind != "inverse" or self.face != 1.0):
            fix = 'such contracts have kind = "inverse" and face = 1.0'
            raise ParameterError("contract.method", "counts contracts of 1 USD in satoshis", value=self.method, fix=fix)
        if self.tiers:
            for name, first in (("maintenance_rate", self.tiers[0].rate), ("maximum_leverage", self.tiers[0].leverage)):
                if getattr(self, name) != first:
                    problem, value = "is not that of the lowest of contract.tiers", getattr(self, name)
                    raise ParameterError(f"contract.{name}", problem, value=value, fix=f"write {first:g}")
        _ = self.margin_tiers  # raises for brackets with gaps, falling rates or rising leverages

    @property
    def key(self) -> str:
        """The name under which configs ask for it: venue:symbol."""
        return f"{self.venue}:{self.symbol}"

    @property
    def margin_tiers(self) -> MarginTiers:
        """The brackets as a table; one that holds every notional where the contract has none."""
        rows = self.tiers or (
            Bracket(floor=0.0, cap=NO_CAP, rate=self.maintenance_rate, leverage=self.maximum_leverage),
        )
        floors, caps, rates, leverages = (
            np.array([getattr(row, name) for row in rows]) for name in ("floor", "cap", "rate", "leverage")
        )
        amounts = maintenance_amounts(floors, rates)
        return MarginTiers(self.symbol, self.tiers_date, floors, caps, rates, leverages, amounts, "contract.tiers")

    def with_tiers(self, tiers: MarginTiers) -> Contract:
        """The same contract with the brackets of a table."""
        columns = (tiers.floors, tiers.caps, tiers.rates, tiers.leverages)
        rows = [
            {"floor": floor, "cap": cap, "rate": rate, "leverage": leverage}
            for floor, cap, rate, leverage in zip(*(column.tolist() for column in columns), strict=True)
        ]
        changed = {"maintenance_rate": rows[0]["rate"], "maximum_leverage": rows[0]["leverage"]}
        contract: Contract = self.replaced(tiers=rows, tiers_date=tiers.date, **changed)
        return contract


@cache
def shipped_tiers() -> tuple[MarginTiers, ...]:
    """The bracket tables that come with crossgate, by key and day; each row of the file names its source."""
    return tuple(read_margin_tiers(TIERS))


@cache
def registry() -> dict[str, Contract]:
    """The contracts that come with crossgate, by key, with the newest brackets known of each."""
    with REGISTRY.open("rb") as file:
        tables: list[dict[str, Any]] = tomllib.load(file)["contract"]
    contracts = {contract.key: contract for contract in (Contract(**table) for table in tables)}
    for tiers in sorted(shipped_tiers(), key=lambda one: one.date):
        contracts[tiers.symbol] = contracts[tiers.symbol].with_tiers(tiers)
    return contracts


def find_contract(key: str, tiers_date: str | None = None) -> Contract:
    """The registered contract named `venue:symbol`, with its newest brackets or those in force on a day, YYYY-MM-DD.

    Raises ParameterError: with a suggestion for an unknown key, and for a day before the first brackets.
    """
    contract = _find(key)
    return contract if tiers_date is None else contract.with_tiers(tiers_in_force(shipped_tiers(), key, tiers_date))


def _find(key: str) -> Contract:
    known = registry()
    if key not in known:
        others = "fetch it with crossgate data fetch, or write a table: contract = {venue = ..., ...}"
        named = _same_symbol(key, known)
        fix = f"{named or suggestion(key, known)}; any other contract: {others}"
        raise ParameterError("market.contract", "is not a registered contract", value=key, fix=fix)
    return known[key]


def _same_symbol(key: str, known: Iterable[str]) -> str:
    """Which contracts a symbol without its venue may mean, such as BTCUSDT or BTC/USDT:USDT; '' where none."""
    plain = _NOT_PLAIN.sub("", key.upper().partition(":")[0])
    same = [one for one in known if _NOT_PLAIN.sub("", one.upper().partition(":")[2]) == plain]
    return f"name the venue too: {', '.join(sorted(same))}" if same else ""
