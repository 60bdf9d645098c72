"""The parameters of the trading rules: when to trade, how much, and when to get out."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field

from foundation.errors import ParameterError
from foundation.parameters import Parameters
from foundation.units import Measured, Quantity
from markets.contract import Contract
from strategies.rules import THRESHOLD_UNITS, Decider

_OFF = '"off", or a distance such as "2%" (of the entry price), "10%margin" (of the margin), "2atr" or "2sigma"'
_SIGMA = '"off", or a deviation of the next bar\'s log return such as "20bps"'
Distance = Annotated[Quantity | None, Measured(("%", "%margin", "atr", "sigma"), off=True)]
Deviation = Annotated[Quantity | None, Measured(("bps",), off=True)]
_TARGETS = 'a list of up to three {distance = ..., share = ...}, with distances such as "2%" or "1atr"'
# How sizes come about. Compiled code knows each by its place here (strategies/plan.py).
Sizing = Literal["leverage", "risk", "fraction", "forecast_volatility", "atr_volatility", "kelly"]
SIZINGS: tuple[str, ...] = get_args(Sizing)


class CrossoverParams(Parameters):
    """When to trade: the forecast against its threshold, confirmed by two moving averages.

    Long when the forecast is above the threshold and the fast average above the slow one; short the
    mirror; else hold, which keeps the position. With a threshold in `probability` or `position` the forecast's
    up-probability or position takes the place of its mean. Units of the threshold: `bps` (1/10,000 log return),
    `cost` (a round trip of taker fee and slippage), `sigma` (the forecast's standard deviation).
    With `minimum_sigma` or `maximum_sigma` there is no signal while the forecast's sigma lies outside.
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
    threshold: Annotated[Quantity, Measured(THRESHOLD_UNITS, positive=False)] = Field(
        Quantity(1.0, "cost"),
        description='a forecast size such as "5bps", "1.5cost" or "0.5sigma", a "0.6probability" (from 0.5 to 1) or a '
        '"0.2position" (from 0 to 1)',
    )
    on_opposite: Literal["reverse", "close"] = Field(
        "reverse", description='"reverse" or "close", on the opposite signal'
    )
    direction: Literal["both", "long", "short"] = Field("both", description='"both", "long" or "short"')
    minimum_sigma: Deviation = Field(None, description=_SIGMA)
    maximum_sigma: Deviation = Field(None, description=_SIGMA)
    rule: Decider = Field(
        "confirmed", description='"confirmed" (forecast and averages), "forecast", "crossover" or "buy_and_hold"'
    )

    def model_post_init(self, context: object) -> None:
        if self.slow <= self.fast:
            raise ParameterError("strategy.slow", f"should be above strategy.fast = {self.fast}", value=self.slow)
        amount, unit = self.threshold
        least_amount = {"probability": 0.5, "position": 0.0}.get(unit)
        if least_amount is not None and not least_amount <= amount <= 1.0:
            fix = f"from {least_amount:g} to 1"
            raise ParameterError("strategy.threshold", "is out of range", value=str(self.threshold), fix=fix)
        least, most = self.sigma_band
        if least >= most:
            fix = "a larger one, or off"
            problem = f"should be above strategy.minimum_sigma = {self.minimum_sigma}"
            raise ParameterError("strategy.maximum_sigma", problem, value=str(self.maximum_sigma), fix=fix)

    @property
    def sigma_band(self) -> tuple[float, float]:
        """The least and the largest sigma at which signals count, as log returns; 0 and infinity when off."""
        least, most = self.minimum_sigma, self.maximum_sigma
        return (0.0 if least is None else least.amount / 1e4), (math.inf if most is None else most.amount / 1e4)


class Target(Parameters):
    """A partial target: at a distance from the entry, for a share of it, rounded down to the lot."""

    table: ClassVar[str] = "risk.targets"

    distance: Annotated[Quantity, Measured(("%", "%margin", "atr", "sigma"))] = Field(
        description='a distance such as "2%", "10%margin", "1atr" or "2sigma"'
    )
    share: float = Field(gt=0, le=1, description="a share of the entry above 0 up to 1, such as 0.5")


def _read_targets(value: object) -> object:
    """Targets as TOML and Python write them: tables, or Target objects."""
    if not isinstance(value, list | tuple):
        raise ValueError("should be a list of targets")
    return tuple(Target(**one) if isinstance(one, dict) else one for one in value)


class RiskParams(Parameters):
    """How much to trade and when to get out.

    The notional of a position, before it is rounded down to the lot; none is more than that of `leverage`.
    `leverage`: what the equity can pay as margin and entry fee, leverage x equity / (1 + leverage x fee).
    `risk`: so much that the loss at the stop, with a round trip of fees and slippage, is `risk_per_trade` x
    equity. `fraction`: `fraction` of equity as margin.
    `forecast_volatility`, `atr_volatility`: so much that its yearly volatility is `target_volatility`
    of equity, from the forecast's sigma or from the average true range taken as one bar's deviation.
    `kelly`: `kelly_share` of mean / sigma^2 of the forecast, as a multiple of equity.

    Distances are measured from the fill price of the entry: `%` of it, `%margin` (the price move that
    loses that part of the margin), `atr` (average true range over `atr_bars` bars) or `sigma` (of the
    forecast) at the close of the deciding bar. `targets` close shares of the entry, `take_profit` what they
    leave. The stop follows the best price since the entry at `trailing_stop`, once that price is
    `trailing_after` from the entry, and moves to the entry once it is `break_even` from it; both from the
    next bar on. Without a stop_loss it starts where trailing_stop puts it. A position is closed at the open
    after it was held for `maximum_bars` closes, and no entry is made in the `cooldown_bars` after an exit (a
    reversal is one step and is not held up); 0 switches each off.
    """

    table: ClassVar[str] = "risk"

    sizing: Sizing = Field("risk", description=f"one of {', '.join(SIZINGS)}")
    risk_per_trade: float = Field(0.01, gt=0, le=1, description="a fraction of equity above 0 up to 1, such as 0.01")
    leverage: float = Field(3.0, gt=0, le=1000, description="a number above 0, at most the contract's maximum_leverage")
    fraction: float = Field(0.25, gt=0, le=1, description="a fraction of equity above 0 up to 1, such as 0.25")
    target_volatility: float = Field(0.3, gt=0, le=10, description="a yearly deviation above 0 up to 10, such as 0.3")
    kelly_share: float = Field(0.25, gt=0, le=1, description="a share above 0 up to 1, such as 0.25")
    stop_loss: Distance = Field(Quantity(2.0, "atr"), description=_OFF)
    take_profit: Distance = Field(Quantity(4.0, "atr"), description=_OFF)
    trailing_stop: Distance = Field(None, description=_OFF)
    trailing_after: Distance = Field(None, description=_OFF)
    break_even: Distance = Field(None, description=_OFF)
    targets: Annotated[tuple[Target, ...], BeforeValidator(_read_targets)] = Field(
        (), max_length=3, description=_TARGETS
    )
    atr_bars: int = Field(14, ge=1, le=1000, description="bars of the average true range, from 1 to 1000")
    maximum_bars: int = Field(0, ge=0, le=1_000_000, description="bars, a whole number from 0 (off) to 1000000")
    cooldown_bars: int = Field(0, ge=0, le=1_000_000, description="bars, a whole number from 0 (off) to 1000000")

    def model_post_init(self, context: object) -> None:
        if self.sizing == "risk" and self.first_stop is None:
            fix = 'write a distance such as "2atr", or sizing = "leverage"'
            raise ParameterError("risk.stop_loss", 'is needed by risk.sizing = "risk"', value="off", fix=fix)
        for name in ("stop_loss", "trailing_stop"):
            stop = getattr(self, name)
            if stop is not None and stop.unit in ("%", "%margin") and stop.amount >= 100:
                raise ParameterError(f"risk.{name}", "should be below 100%", value=str(stop), fix=_OFF)
        if self.trailing_after is not None and (self.trailing_stop is None or self.stop_loss is None):
            fix = "write both, or trailing_after = off"
            problem = "needs a trailing_stop to begin there, and a stop_loss until then"
            raise ParameterError("risk.trailing_after", problem, value=str(self.trailing_after), fix=fix)
        if self.break_even is not None and self.first_stop is None:
            problem, fix = "needs a stop to move", "write a stop_loss or a trailing_stop"
            raise ParameterError("risk.break_even", problem, value=str(self.break_even), fix=fix)
        total = math.fsum(target.share for target in self.targets)
        if total > 1.0 + 1e-9:
            problem, fix = f"have shares that sum to {total:.12g}", "shares sum to at most 1"
            raise ParameterError("risk.targets", problem, fix=fix)

    @property
    def first_stop(self) -> Distance:
        """The distance at which the stop begins: stop_loss, else trailing_stop."""
        return self.stop_loss if self.stop_loss is not None else self.trailing_stop

    def check_leverage(self, contract: Contract) -> None:
        """Raises ParameterError for a leverage above what a contract allows, or one that its maintenance eats up."""
        most, maintained = contract.maximum_leverage, 1.0 / contract.maintenance_rate
        if self.leverage > most:
            problem, fix = f"is above the maximum of {contract.key}", f"a number above 0, at most {most:g}"
            raise ParameterError("risk.leverage", problem, value=self.leverage, fix=fix)
        if self.leverage >= maintained:
            problem = f"posts no more margin than {contract.key} asks for maintenance"
            fix = f"a number above 0, below {maintained:g}"
            raise ParameterError("risk.leverage", problem, value=self.leverage, fix=fix)
