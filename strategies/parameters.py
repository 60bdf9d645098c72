"""The parameters of the trading rules: when to trade, how much, and when to get out."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from foundation.errors import ParameterError
from foundation.parameters import Parameters
from foundation.units import Measured, Quantity
from markets.contract import Contract

_OFF = '"off", or a distance such as "2%" (of the entry price) or "2atr"'
Distance = Annotated[Quantity | None, Measured(("%", "atr"), off=True)]


class CrossoverParams(Parameters):
    """When to trade: the forecast against its threshold, confirmed by two moving averages.

    Long when the forecast is above the threshold and the fast average above the slow one; short the
    mirror; else hold, which keeps the position. Units of the threshold: `bps` (1/10,000 log return),
    `cost` (a round trip of taker fee and slippage), `sigma` (the forecast's standard deviation).
    `rule` chooses what decides; the single ones and `buy_and_hold` serve as baselines.
    """

    table: ClassVar[str] = "strategy"

    fast: int = Field(20, ge=1, le=5000, description="bars of the fast average, a whole number from 1 to 5000")
    slow: int = Field(50, ge=2, le=10000, description="bars of the slow average, a whole number above fast")
    average: Literal["ema", "sma"] = Field("ema", description='"ema" or "sma"')
    confirmation: Literal["state", "cross"] = Field(
        "state", description='"state" (fast above slow) or "cross" (it crossed lately)'
    )
    cross_bars: int = Field(3, ge=1, le=1000, description="bars for which a cross stays valid, from 1 to 1000")
    threshold: Annotated[Quantity, Measured(("bps", "cost", "sigma"), positive=False)] = Field(
        Quantity(1.0, "cost"), description='a forecast size such as "5bps", "1.5cost" or "0.5sigma"'
    )
    on_opposite: Literal["reverse", "close"] = Field(
        "reverse", description='"reverse" or "close", on the opposite signal'
    )
    direction: Literal["both", "long", "short"] = Field("both", description='"both", "long" or "short"')
    rule: Literal["confirmed", "forecast", "crossover", "buy_and_hold"] = Field(
        "confirmed", description='"confirmed" (forecast and averages), "forecast", "crossover" or "buy_and_hold"'
    )

    def model_post_init(self, context: object) -> None:
        if self.slow <= self.fast:
            raise ParameterError("strategy.slow", f"should be above strategy.fast = {self.fast}", value=self.slow)


class RiskParams(Parameters):
    """How much to trade and when to get out.

    `sizing = "leverage"`: notional = leverage x equity. `sizing = "risk"`: the loss at the stop, with
    a round trip of fees, is `risk_per_trade` x equity; never above leverage x equity. Distances are
    measured from the fill price of the entry; `atr` is the average true range over `atr_bars` bars at the
    close of the deciding bar.
    """

    table: ClassVar[str] = "risk"

    sizing: Literal["leverage", "risk"] = Field("risk", description='"leverage" or "risk"')
    risk_per_trade: float = Field(0.01, gt=0, le=1, description="a fraction of equity above 0 up to 1, such as 0.01")
    leverage: float = Field(3.0, gt=0, le=1000, description="a number above 0, at most the contract's maximum_leverage")
    stop_loss: Distance = Field(Quantity(2.0, "atr"), description=_OFF)
    take_profit: Distance = Field(Quantity(4.0, "atr"), description=_OFF)
    atr_bars: int = Field(14, ge=1, le=1000, description="bars of the average true range, from 1 to 1000")

    def model_post_init(self, context: object) -> None:
        if self.sizing == "risk" and self.stop_loss is None:
            raise ParameterError(
                "risk.stop_loss",
                'is needed by risk.sizing = "risk"',
                value="off",
                fix='write a distance such as "2atr", or sizing = "leverage"',
            )
        if self.stop_loss is not None and self.stop_loss.unit == "%" and self.stop_loss.amount >= 100:
            raise ParameterError("risk.stop_loss", "should be below 100%", value=str(self.stop_loss), fix=_OFF)

    def check_leverage(self, contract: Contract) -> None:
        """Raises ParameterError when the leverage is above what a contract allows."""
        most = contract.maximum_leverage
        if self.leverage > most:
            fix = f"a number above 0, at most {most:g}"
            raise ParameterError(
                "risk.leverage", f"is above the maximum of {contract.key}", value=self.leverage, fix=fix
            )
