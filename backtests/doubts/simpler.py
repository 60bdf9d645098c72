"""Simpler rules on the same account, to see what a strategy adds, as the kernel plays them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from backtests.doubts.playback import Playback
from backtests.under_backtrader.ledger import fill_table
from strategies.parameters import CrossoverParams, RiskParams


@dataclass(frozen=True, eq=False)
class Baseline:
    """What the kernel made of a simpler rule: less than a Result, at a hundredth of its cost.

    `cash`: the balance before the first bar. `bar`: the length of a bar in nanoseconds. `equity`: timestamp (bar OPEN,
    UTC) and equity at the bar's close. `fills`: as in Result. `held`: the share of bars at whose close there was a
    position. `funding`: net funding paid. `refusals`, `shrunk`: how many orders.
    """

    strategy: CrossoverParams
    risk: RiskParams
    cash: float
    bar: int
    equity: pd.DataFrame
    fills: pd.DataFrame
    held: float
    funding: float
    refusals: int
    shrunk: int
    ruined: bool


def play_baselines(playback: Playback) -> dict[str, Baseline]:
    """The baselines of a run as the kernel plays them, by name: those of `run_baselines`, to the same fills.

    "buy and hold": long at leverage 1 from the first bar, without stop or target. "crossover alone"
    and "LSTM alone": the run's own sizing and exits, with one of its two conditions left out.
    """
    variants = simpler_rules(playback.strategy, playback.risk)
    return {name: _play(playback, *tables) for name, tables in variants.items()}


def _play(playback: Playback, strategy: CrossoverParams, risk: RiskParams) -> Baseline:
    found = playback.record(playback.wish_of(strategy, risk), playback.setting_of(strategy, risk))
    stamps = playback.stage.fed[0].candles.timestamp
    time = pd.to_datetime(playback.timestamp, utc=True, unit="ns")
    return Baseline(
        strategy=strategy,
        risk=risk,
        cash=playback.account.cash,
        bar=playback.stage.fed[0].candles.bar,
        equity=pd.DataFrame({"timestamp": time, "equity": found.equity[playback.scene.first :]}),
        fills=fill_table([one.symbol for one in playback.stage.fed], stamps[found.rows], found.fills),
        held=float(found.tally["held"][0] / found.tally["bars"][0]),
        funding=float(found.tally["funding"][0]),
        refusals=int(found.tally["refusals"][0]),
        shrunk=int(found.tally["shrunk"][0]),
        ruined=bool(found.tally["ruined"][0]),
    )


def simpler_rules(strategy: CrossoverParams, risk: RiskParams) -> dict[str, tuple[CrossoverParams, RiskParams]]:
    """The tables of each baseline of a strategy, by name."""
    holding = RiskParams(sizing="leverage", leverage=1.0, stop_loss=None, take_profit=None)
    variants = {
        "buy and hold": ("buy_and_hold", holding),
        "crossover alone": ("crossover", risk),
        "LSTM alone": ("forecast", risk),
    }
    return {name: (strategy.replaced(rule=rule), own) for name, (rule, own) in variants.items()}
