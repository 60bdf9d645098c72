"""The same account run by simpler rules, to see what the strategy adds."""

from __future__ import annotations

from backtests.engine import backtest
from backtests.result import Result
from foundation.progress import progress
from strategies.parameters import RiskParams


def run_baselines(result: Result) -> dict[str, Result]:
    """The baselines of a run, by name, over the same bars, costs and starting cash.

    "buy and hold": long at leverage 1 from the first bar, without stop or target. "crossover alone"
    and "LSTM alone": the run's own sizing and exits, with one of its two conditions left out.
    """
    holding = RiskParams(sizing="leverage", leverage=1.0, stop_loss=None, take_profit=None)
    variants = {
        "buy and hold": ("buy_and_hold", holding),
        "crossover alone": ("crossover", result.risk),
        "LSTM alone": ("forecast", result.risk),
    }
    return {
        name: backtest(
            result.markets, result.forecasts, result.strategy.replaced(rule=rule), risk,
            result.account, result.costs, name=name,
        )
        for name, (rule, risk) in progress(variants.items(), "Playing the simpler rules", len(variants))
    }  # fmt: skip
