"""The parameters of the account and of its costs."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from foundation.parameters import Parameters

_FEE = "a fraction of notional from -0.01 to 0.05, such as 0.0005; left out, the contract's own"


class AccountParams(Parameters):
    """The account and what is assumed about the unknown path of prices inside a bar.

    `margin`: on cross margin the equity of the whole account stands behind every position.
    `intrabar`: which comes first when a bar holds both an adverse and a favourable level.
    `limit_fill`: a limit fills when touched, or only when the price trades through it by a tick.
    `missing_funding`: "zero" plays bars without known funding as if none were due, and says so.
    """

    table: ClassVar[str] = "account"

    cash: float = Field(
        10_000.0, gt=0, description="the starting balance in the settlement currency (coin if inverse), above 0"
    )
    margin: Literal["isolated", "cross"] = Field(
        "isolated",
        description='"isolated" (a position can lose no more than its own margin) or "cross" (they share all)',
    )
    intrabar: Literal["adverse", "favourable", "nearer_extreme"] = Field(
        "adverse", description='"adverse", "favourable" or "nearer_extreme"'
    )
    limit_fill: Literal["touch", "through"] = Field("touch", description='"touch" or "through"')
    missing_funding: Literal["refuse", "zero"] = Field("refuse", description='"refuse" or "zero"')


class CostParams(Parameters):
    """Costs beyond the contract's own, and overrides of those.

    Slippage worsens the price of every market, stop and liquidation fill by `slippage_bps` / 10,000.
    """

    table: ClassVar[str] = "costs"

    slippage_bps: float = Field(1.0, ge=0, le=1000, description="basis points of price from 0 to 1000, such as 1.0")
    taker_fee: float | None = Field(None, ge=-0.01, le=0.05, description=_FEE)
    maker_fee: float | None = Field(None, ge=-0.01, le=0.05, description=_FEE)
    liquidation_fee: float | None = Field(
        None, ge=0, lt=1, description="a fraction of notional from 0 to below 1; left out, the contract's own"
    )
