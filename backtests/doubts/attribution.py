"""Attribution: what each part of a run does to its profit, part by part on top of one another, and left out alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from backtests.doubts.playback import Outcome, Playback
from backtests.doubts.sensitivity import at_costs
from backtests.exchange.records import FILL_REASONS, Records
from backtests.kernel.scene import Scene, make_scene
from foundation.units import Quantity
from strategies.parameters import RiskParams

ENTRY = FILL_REASONS.index("entry")
# What is left of an account, as a share of its cash, when it is lost.
LEAST = 1e-3
# The rules of each strategy rule, from the first on which the ladder stands, and what each adds.
_DECIDES = {
    "confirmed": (("forecast", "forecast"), ("confirmation", "confirmed")),
    "forecast": (("forecast", "forecast"),),
    "crossover": (("crossover", "crossover"),),
    "buy_and_hold": (("holding", "buy_and_hold"),),
}
# Which rule is left when a part is taken out of one that has both.
_WITHOUT = {"forecast": "crossover", "confirmation": "forecast"}


class Part(NamedTuple):
    """What one part of a run does to its equity, in logarithms of growth, which add up where an account compounds.

    Growth is G = ln(final equity / cash), never below ln(LEAST). `multiple`: final equity over cash with all parts up
    to this one. `added`: G with the part put on top of those before it, less G without it; the parts add up to
    the G of the run, and to +0.1 belongs a factor of e^0.1, 1.105 times the equity. `alone`: the G of the run less that
    of the run without this part alone; these do not add up, because parts work through one another. None where
    a part cannot be left out: a rule that has nothing else to trade on.
    """

    name: str
    multiple: float
    added: float
    alone: float | None


@dataclass(frozen=True)
class Attribution:
    """The parts of a run's growth, in the order in which they are put on top of one another; `growth`: their sum."""

    parts: tuple[Part, ...]
    growth: float


class _Parts(NamedTuple):
    """Which parts are on; `rule`: what decides."""

    rule: str
    sizing: bool = True
    leverage: bool = True
    stops: bool = True
    targets: bool = True
    fees: bool = True
    slippage: bool = True
    funding: bool = True


def attribute(playback: Playback) -> Attribution:
    """The attribution of a run's growth, by playing it with parts of it switched off; signals stay as they were.

    In money the parts of an account that compounds tell nothing: what the first ones earn, the later ones work on, so
    a fee of one thousandth costs the more money the larger the equity is then. In logarithms it costs one thousandth.

    In their order: the forecast's side alone, always with the whole equity at leverage 1, without stops, targets, costs
    or funding; the confirmation by the averages; the run's sizing, its leverage held to 1; its leverage, which
    is also what brings liquidation nearer; stops (with trailing and break-even), whose distance sizes rest on
    before they are placed; targets; fees and charges of liquidation; slippage; funding. Longest holding and
    cooldown count throughout. The last step is the run itself. Another order would give other steps.

    Left out alone: for the forecast the crossover decides; for the confirmation the forecast; for sizing every
    entry takes the run's mean multiple of equity; for leverage it is 1, with the distances of exits kept in
    price; for the others they are not placed or not charged.
    """
    rule = playback.strategy.rule
    steps = _DECIDES[rule]
    bare = _Parts(steps[0][1], False, False, False, False, False, False, False)
    ladder = [(steps[0][0], bare)]
    ladder += [(name, bare._replace(rule=word)) for name, word in steps[1:]]
    for name in _Parts._fields[1:]:
        ladder.append((name, _switched(ladder[-1][1], name, on=True)))
    multiples = [1.0 + _play(playback, parts).total_return for _, parts in ladder]
    whole, own = _Parts(rule), growth_of(multiples[-1])
    size = _mean_multiple(playback)
    before, parts = 0.0, []
    for (name, _), multiple in zip(ladder, multiples, strict=True):
        without, alone = _leave_out(whole, name), None
        if without is not None:
            alone = own - growth_of(1.0 + _play(playback, without, size).total_return)
        parts.append(Part(name, multiple, growth_of(multiple) - before, alone))
        before = growth_of(multiple)
    return Attribution(tuple(parts), own)


def growth_of(multiple: float) -> float:
    """The logarithm of a multiple of the cash; what is lost whole counts as LEAST of it: ln 0 does not add up."""
    return math.log(max(multiple, LEAST))


def _switched(parts: _Parts, name: str, *, on: bool) -> _Parts:
    return _Parts(**{**parts._asdict(), name: on})


def _leave_out(whole: _Parts, name: str) -> _Parts | None:
    """The run without one part; None where nothing is left to decide."""
    if name in _Parts._fields[1:]:
        return _switched(whole, name, on=False)
    return whole._replace(rule=_WITHOUT[name]) if whole.rule == "confirmed" else None


def _play(playback: Playback, parts: _Parts, multiple: float = 1.0) -> Outcome:
    """The run with some parts; without its sizing every entry takes a `multiple` of equity."""
    risk = _risk(playback.risk, parts, multiple)
    strategy = playback.strategy.replaced(rule=parts.rule)
    wish = playback.wish if parts.rule == playback.strategy.rule else playback.wish_of(strategy)
    setting = playback.setting_of(strategy, risk)
    if not parts.stops:
        setting.plan["unplaced"] = 1
    scene, costs = _scene(playback, parts)
    return playback.play(wish, scene, setting._replace(settings=costs))


def _scene(playback: Playback, parts: _Parts) -> tuple[Scene, Records]:
    """Scene and SETTINGS record with the costs that are on."""
    scene, settings = at_costs(playback, 0.0, fees=not parts.fees, slippage=not parts.slippage)
    if not parts.funding:
        unpaid = [replace(market, funding=None) for market in playback.stage.fed]
        contracts = scene.contracts
        scene = make_scene(unpaid, playback.stage.first, playback.costs.impact_window)._replace(contracts=contracts)
    return scene, settings.settings


def _risk(risk: RiskParams, parts: _Parts, multiple: float) -> RiskParams:
    """The risk table with some parts; distances stated in margin are kept in price when the leverage changes."""
    changes: dict[str, Any] = {}
    if not parts.leverage:
        for name in ("stop_loss", "take_profit", "trailing_stop", "trailing_after", "break_even"):
            changes[name] = _in_price(getattr(risk, name), risk.leverage)
        changes["targets"] = [
            {"distance": _in_price(one.distance, risk.leverage), "share": one.share} for one in risk.targets
        ]
        changes["leverage"] = min(1.0, risk.leverage)
    if not parts.targets:
        changes |= {"take_profit": None, "targets": []}
    if not parts.sizing:
        leverage = float(changes.get("leverage", risk.leverage))
        changes |= {"sizing": "fraction", "fraction": min(1.0, multiple / leverage)}
    changed: RiskParams = risk.replaced(**changes)
    return changed


def _in_price(distance: Quantity | None, leverage: float) -> Quantity | None:
    if distance is None or distance.unit != "%margin":
        return distance
    return Quantity(distance.amount / leverage, "%")


def _mean_multiple(playback: Playback) -> float:
    """The mean notional of the run's entries, as a multiple of the equity that they were made with; 1 for none."""
    fills, rows = playback.fills()
    entries = (fills["reason"] == ENTRY) & (fills["opening"] == 1)
    if not entries.any():
        return 1.0
    equity = playback.curve()
    before = np.maximum(rows[entries] - 1, playback.scene.first)
    own = np.maximum(equity[before], 1e-12) / len(playback.markets)
    return float((fills["notional"][entries] / own).mean())
