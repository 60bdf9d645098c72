"""The parameters of the account and of its costs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import Field

from foundation.parameters import Parameters
from foundation.units import Measured, Quantity

FloatArray = npt.NDArray[np.float64]
# Compiled code knows each of these words by its place.
Margin = Literal["isolated", "cross"]
Intrabar = Literal["adverse", "favourable", "nearer_extreme"]
LimitFill = Literal["touch", "through"]
MARGINS: tuple[str, ...] = get_args(Margin)
INTRABAR: tuple[str, ...] = get_args(Intrabar)
LIMIT_FILL: tuple[str, ...] = get_args(LimitFill)
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
    margin: Margin = Field(
        "isolated",
        description='"isolated" (a position can lose no more than its own margin) or "cross" (they share all)',
    )
    intrabar: Intrabar = Field("adverse", description='"adverse", "favourable" or "nearer_extreme"')
    limit_fill: LimitFill = Field("touch", description='"touch" or "through"')
    missing_funding: Literal["refuse", "zero"] = Field("refuse", description='"refuse" or "zero"')


class CostParams(Parameters):
    """Costs beyond the contract's own, and overrides of those.

    Slippage worsens the price of every market, stop and liquidation fill: by `slippage_bps` / 10,000, by
    `half_spread`, and by the impact of its own size, `impact` x sigma x sqrt(quantity / volume) of the bars
    that had closed before (see `backtests.exchange.slippage`). They add up; each is switched off by 0 or "off".
    """

    table: ClassVar[str] = "costs"

    slippage_bps: float = Field(1.0, ge=0, le=1000, description="basis points of price from 0 to 1000, such as 1.0")
    half_spread: Annotated[Quantity | None, Measured(("tick", "bps"), off=True)] = Field(
        None, description='"off", or half the spread between bid and ask such as "1tick" or "0.5bps"'
    )
    impact: float = Field(0.0, ge=0, le=10, description="the coefficient of the square-root impact, 0 (off) to 10")
    impact_bars: int = Field(
        24, ge=1, le=10_000, description="closed bars whose returns and volume the impact rests on, from 1 to 10000"
    )
    taker_fee: float | None = Field(None, ge=-0.01, le=0.05, description=_FEE)
    maker_fee: float | None = Field(None, ge=-0.01, le=0.05, description=_FEE)
    liquidation_fee: float | None = Field(
        None, ge=0, lt=1, description="a fraction of notional from 0 to below 1; left out, the contract's own"
    )

    @property
    def impact_window(self) -> int:
        """Over how many closed bars the impact is measured; 0 where there is none."""
        return self.impact_bars if self.impact else 0

    def slippage_rate(self, price: float, tick: float) -> float:
        """Fixed slippage and half-spread at a price, as a fraction of it; not the impact of a size."""
        fixed, spread = self.slippage_bps / 1e4, self.half_spread
        if spread is None:
            return fixed
        return fixed + spread.amount * (tick / price if spread.unit == "tick" else 1e-4)

    def slippage_rates(self, prices: FloatArray, tick: float) -> FloatArray:
        """`slippage_rate` at each of many prices."""
        fixed, spread = self.slippage_bps / 1e4, self.half_spread
        if spread is None:
            return np.full(len(prices), fixed)
        return np.asarray(
            fixed + spread.amount * (tick / prices if spread.unit == "tick" else np.full(len(prices), 1e-4))
        )
