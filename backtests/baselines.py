"""The same account run by simpler rules, to see what the strategy adds."""

from __future__ import annotations

from backtests.engine import backtest
from backtests.result import Result
from foundation.progress import progress
from strategies.parameters import CrossoverParams, RiskParams


def run_baselines(result: Result) -> dict[str, Result]:
    """The baselines of a run, by name, over the same bars, costs and starting cash.

    "buy and hold": long at leverage 1 from the first bar, without stop or target. "crossover alone"
    and "LSTM alone": the run's own sizing and exits, with one of its two conditions left out.
    """
    variants = simpler_rules(result.strategy, result.risk)
    return {
        name: backtest(result.markets, result.forecasts, strategy, risk, result.account, result.costs, name=name)
        for name, (strategy, risk) in progress(variants.items(), "Playing the simpler rules", len(variants))
    }


def simpler_rules(strategy: CrossoverParams, risk: RiskParams) -> dict[str, tuple[CrossoverParams, RiskParams]]:
    """The tables of each baseline of a strategy, by name."""
    holding = RiskParams(sizing="leverage", leverage=1.0, stop_loss=None, take_profit=None)
    variants = {
        "buy and hold": ("buy_and_hold", holding),
        "crossover alone": ("crossover", risk),
        "LSTM alone": ("forecast", risk),
    }
    return {name: (strategy.replaced(rule=rule), own) for name, (rule, own) in variants.items()}
