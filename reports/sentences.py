"""Sentences: what a report says in plain words, each one derived from the run it speaks of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from backtests.doubts.simpler import Baseline
from backtests.exchange.parameters import CostParams
from backtests.run.own_strategy import OwnParams
from backtests.run.result import Result
from markets.contract import Contract
from models.level import leakage_words, zero_models_words
from models.skill import Skill, too_few
from reports import formats
from reports.catalogue import LEAST_DAYS, too_short
from reports.curves import YEAR


class Banner(NamedTuple):
    """What stands below the verdict: `kind` is warned, evident or plain."""

    kind: str
    headline: str
    text: str


def short_banner(days: float | None) -> list[Banner]:
    """That figures of a year are left out of a report on so few days; nothing for a run that is long enough."""
    if days is None or not too_short(days):
        return []
    length = formats.span(max(round(days * 86_400), 1) * 1_000_000_000) if days < 1.0 else f"{days:.1f} days"
    text = (
        f"It spans {length}. Growth, volatility, ratios and turnover of a year are left out below {LEAST_DAYS:.0f} "
        "days, where a yearly Sharpe ratio has a standard error of 3.5 or more, the root of 365 over the days."
    )
    return [Banner("warned", "The sample is too short to annualise.", text)]


def ratio_banner(days: float) -> list[Banner]:
    """That the ratios of a search, by which it ranks, are of too few days; nothing where they are enough."""
    text = f"Ratios of a year, over {days:.1f} days: they rank the settings here, and say nothing of a year."
    return [Banner("warned", "The sample is too short to annualise.", text)] if too_short(days) else []


def skill_banner(skills: Sequence[Skill], *, synthetic: bool) -> Banner:
    """The verdict on the forecasts: whether they show skill, and what follows for the curve below."""
    if not skills:
        return Banner("plain", "This rule asks no forecast.", "Nothing here says anything about a model.")
    figures = " ".join(_skill_figures(one, named=len(skills) > 1) for one in skills)
    evident = sum(one.evident for one in skills)
    if not any(math.isfinite(one.skill) for one in skills):
        return Banner(
            "warned", "There is no verdict on the forecasts.", f"{figures} That does not tell skill from chance."
        )
    if all(one.short for one in skills):
        return Banner("warned", "The forecasts are too few to tell skill from luck.", figures)
    if evident == 0:
        follows = "Whatever the equity curve below did, nothing here says that the forecasts made it."
        return Banner("warned", "The forecasts show no skill.", f"{figures} {follows}")
    if evident < len(skills):
        headline = f"The forecasts show skill on {evident} of {len(skills)} markets."
        return Banner("warned", headline, f"{figures} On the others nothing says that they made the equity curve.")
    simple = sorted({name for one in skills for name in one.beaten_by})
    if simple:
        follows = f"{' and '.join(simple)} did better: what skill there is needs no network."
        return Banner("warned", "The forecasts show skill, but no more than simpler ones.", f"{figures} {follows}")
    real, made = (
        "Skill in forecasts is not yet profit after costs.",
        "The market is synthetic: this says nothing about a real one.",
    )
    return Banner("evident", "The forecasts show skill.", f"{figures} {made if synthetic else real}")


def _skill_figures(one: Skill, *, named: bool) -> str:
    where = f"{one.symbol}: " if named else ""
    if not math.isfinite(one.skill):
        return f"{where}{one.count:,} forecasts have a known outcome."
    if one.short:
        return f"{where}{too_few(one.count)}."
    error = "smaller" if one.skill > 0.0 else "larger"
    zero = " They do no better than a forecast of zero." if one.skill > 0.0 >= one.skill_against_zero else ""
    size, idle = formats.percent(abs(one.skill), decimals=3), zero_models_words(one.models, one.zero_models)
    leak = f" {leakage_words(one.skill, one.directional_accuracy)}."
    return (
        f"{where}Their squared error is {size} {error} than that of the mean of all earlier returns, over "
        f"{one.count:,} bars; {_tested(one)}."
        f"{zero}{_oracle_share(one)}{f' {idle}.' if idle else ''}{leak if one.suspect else ''}"
    )


def _tested(one: Skill) -> str:
    if math.isnan(one.skill_p):
        return "they never differ from one value, from zero, or from that mean, and no test is possible"
    p = formats.probability(one.skill_p)
    return f"the normed Clark-West tests against that mean and against zero have the larger p-value {p}"


def _oracle_share(one: Skill) -> str:
    if one.oracle_ratio is None:
        return ""
    if not math.isfinite(one.oracle_ratio):
        return " Nothing in this market can be forecast: it was made so."
    if one.oracle_skill is not None and one.skill > 2.0 * max(one.oracle_skill, 0.0) + 0.01:
        return " That is far more than can be known in this market, which was made so: the forecasts look ahead."
    if one.oracle_ratio < 0.0:
        return " They lose against a forecast of zero; the oracle, which knows how this market was made, gains."
    share = formats.percent(one.oracle_ratio, decimals=0)
    return f" They reach {share} of the gain of the oracle, which knows how this market was made."


def explain_skill(skills: Sequence[Skill], *, synthetic: bool) -> str:
    """What the skill figures are measured against."""
    text = (
        "The forecasts of the next bar's log return, all made out of sample, against naive ones: always zero, "
        "the mean of everything before, an exponentially weighted mean, and regressions (AR, HAR, a ridge on lags). "
        "Skill is 1 - MSE/MSE(naive): above zero is better. Returns are mostly noise: in a real market even half a "
        "percent is a lot."
    )
    if synthetic and any(one.oracle_skill is not None for one in skills):
        text += (
            " The oracle knows how this synthetic market was made. Its share that was reached is free of the luck of "
            "the draw; the skills are not, so that over a short span a forecast can come out above the oracle."
        )
    return text


def lead(result: Result, metrics: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]) -> str:
    """The run in two sentences: what became of the cash, and of the same cash under simpler rules."""
    length = metrics["bars"] * result.markets[0].candles.bar
    return lead_of(result.settlement, result.account.cash, length, metrics, baselines)


def lead_of(
    currency: str, before: float, length: int, metrics: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]
) -> str:
    """The same of the cash `before` a run of a length in nanoseconds."""
    years = length / YEAR
    time = (
        f"{years:.1f} years"
        if years >= 1.0
        else f"{365 * years:,.0f} days"
        if years >= 2 / 365
        else f"{metrics['bars']:,} bars"
    )
    cash, final = (formats.money(value) for value in (before, metrics["final_equity"]))
    change, fall = formats.percent(metrics["total_return"], signed=True), formats.percent(metrics["max_drawdown"])
    text = f"{cash} {currency} became {final} {currency} in {time} ({change}), falling at worst {fall} from a peak."
    others = [f"{name} {formats.percent(one['total_return'], signed=True)}" for name, one in baselines.items()]
    return f"{text} The same account under simpler rules: {', '.join(others)}." if others else text


def explain_baselines(baselines: Mapping[str, Result | Baseline]) -> str:
    """What the simpler rules are, as they were run."""
    if not baselines:
        return "No simpler rules were run beside this one."
    text = "The same account over the same bars, with the same costs."
    if "buy and hold" in baselines:
        text += " Buy and hold is long at leverage 1 from the first bar on, and pays funding too."
    if {"crossover alone", "LSTM alone"} <= set(baselines):
        text += " The other two keep the sizing and the exits, and leave out one of the two conditions for a trade."
    return text


_BOTH = "When a bar holds both the stop and the target,"
_PATHS = {
    "adverse": f"{_BOTH} the stop is assumed to come first.",
    "favourable": f"{_BOTH} the target is assumed to come first: the flattering case.",
    "nearer_extreme": f"{_BOTH} the one on the side whose extreme is nearer to the open comes first.",
}
_ACCOUNTS = {
    "isolated": "Margin is isolated: a position loses no more than what was posted for it.",
    "cross": "Margin is cross: the whole account stands behind every position, and liquidation counts all other "
    "positions at their worst prices of the bar.",
}
_LIMITS = {
    "touch": "A target fills when the price touches it.",
    "through": "A target fills only when the price trades through it by a tick.",
}


def _margin_of(contract: Contract) -> str:
    """The maintenance rates of a contract, and the day of its brackets."""
    lowest, highest = contract.margin_tiers.rates[0], contract.margin_tiers.rates[-1]
    rates = formats.percent(float(lowest), decimals=2)
    if len(contract.tiers) < 2:
        return f"{contract.symbol} {rates}"
    highest_rate = formats.percent(float(highest), decimals=2)
    return f"{contract.symbol} {rates} to {highest_rate} in {len(contract.tiers)} brackets of {contract.tiers_date}"


def _decided(result: Result) -> str:
    """On how many bars the order of both sides mattered, and what said it."""
    told, assumed = result.totals.decided_by_finer, result.totals.decided_by_assumption
    if told + assumed == 0:
        return ""
    by = f"finer candles said which came first on {told:,}, this assumption on {assumed:,}"
    return f" Both sides were in reach on {told + assumed:,} bars: {by}."


def _worse(costs: CostParams) -> str:
    """What a taker pays on top of the price."""
    parts = [f"{costs.slippage_bps:g} bps"]
    if costs.half_spread is not None:
        parts.append(f"half a spread of {costs.half_spread}")
    if costs.impact:
        before = f"the {costs.impact_bars} bars before"
        parts.append(f"an impact of {costs.impact:g} sigma sqrt(quantity / volume), both of {before},")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def assumptions(result: Result) -> list[str]:
    """What the fills, costs and figures of this run rest on, in short."""
    account, costs = result.account, result.costs
    contracts = [market.contract for market in result.markets]
    rates = [
        (one.symbol, *(formats.percent(rate, decimals=3) for rate in (one.taker_fee, one.maker_fee)))
        for one in contracts
    ]
    fees = "; ".join(f"{symbol} taker {taker}, maker {maker}" for symbol, taker, maker in rates)
    margins = "; ".join(_margin_of(one) for one in contracts)
    missing = " Where it is missing it was played as zero." if account.missing_funding == "zero" else ""
    first = "Forecasts are out of sample, and figures start at the first bar that has one."
    if isinstance(result.strategy, OwnParams) and not result.strategy.forecasts:
        first = "Figures start at the first bar at which the strategy's indicators are known, or at its first order."
    return [
        first,
        f"Orders are decided at a bar's close and fill at the next bar's open, {_worse(costs)} worse.",
        "Stop and target are live from the entry bar on. A stop beyond the open fills at the open, a target beyond it "
        "at its limit.",
        f"{_PATHS[account.intrabar]}{_decided(result)}",
        _LIMITS[account.limit_fill],
        f"Fees are a fraction of notional: {fees}.",
        f"{_ACCOUNTS[account.margin]} Maintenance: {margins}. Liquidation is tested on the mark price.",
        f"All money is in {result.settlement}, in which the contracts settle.",
        f"Funding is paid at the recorded stamps on the notional at mark; longs pay a positive rate.{missing}",
        "Orders move no price for later bars: any size fills at the price of the bar plus slippage.",
        "Equity at zero is final. There is no interest on idle cash and no tax.",
        "Returns are simple returns of equity at mark from close to close; a year is 365 days, no risk-free rate.",
    ]
