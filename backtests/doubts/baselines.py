"""The same account run by simpler rules, whole and by way of Backtrader."""

from __future__ import annotations

from backtests.doubts.simpler import simpler_rules
from backtests.run.engine import backtest
from backtests.run.result import Result
from foundation.progress import progress
from strategies.parameters import CrossoverParams


def run_baselines(result: Result) -> dict[str, Result]:
    """The baselines of a run, by name, over the same bars, costs and starting cash: those of `simpler.play_baselines`.

    Reports rest on those, which the kernel plays to the same fills in a hundredth of the time. None for a strategy
    written by hand, which has no simpler rules of its own.
    """
    if not isinstance(result.strategy, CrossoverParams) or result.risk is None:
        return {}
    variants = simpler_rules(result.strategy, result.risk)
    return {
        name: backtest(result.markets, result.forecasts, strategy, risk, result.account, result.costs, name=name)
        for name, (strategy, risk) in progress(variants.items(), "Playing the simpler rules", len(variants))
    }
