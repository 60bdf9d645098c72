"""How far runs climb the ladder of the verdict where nothing can be known, and where something can.

`python benchmarks/verdict_ladder.py`: 200 synthetic markets in which no return can be forecast, half of them traded on
a small model fitted to the past, half on noise that lasts; and 50 markets of each kind and strength of a planted edge.
Hidden edges come from outside the prices and are traded as the main job does, confirmed by the averages; edges of
momentum stand in the prices, where averages see them too, and are traded on the forecast alone. Traded as confirmed,
the two strongest are printed without a target, because the averages alone do as well. Forecasts are what can
be known, with noise. Two more kinds have an edge that vanishes: half way, which rung 4 is there for, and where the
last fifth begins, which is sealed in every run and opened. All are judged as any run is. Prints the share of runs that
climb past each of the first four rungs, the share of all runs that pass the rungs of luck, sample and sealed stretch,
each taken alone, and the power that the promise of the sealed one claimed; exits with 1 on a miss. Seeds are fixed.

How many bars an edge takes to be seen grows as it shrinks, about as one over the share of the variance that can be
known. The target for planted edges holds on markets that are long enough, 4,000 bars for a tenth and a twentieth, 8,000
for a fiftieth; the fiftieth on 4,000 bars is printed too, without a target, to show what a short record misses.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from skill_nulls import small_model

from backtests.doubts.attribution import Attribution
from backtests.doubts.controls import measure_controls
from backtests.doubts.examination import Examination
from backtests.doubts.playback import Playback, make_playback
from backtests.doubts.ruin import ruin_odds
from backtests.doubts.sensitivity import measure_sensitivity
from backtests.doubts.stop_limits import stop_limits
from backtests.exchange.parameters import AccountParams, CostParams
from foundation.progress import progress
from foundation.seals import open_seal, seal
from foundation.trials import Span, TrialLedger
from markets.candles import FloatArray
from markets.demo import demo_market
from markets.market import Market
from models.forecasts import Forecasts, ForecastSeries
from models.samples import trailing_volatility
from models.skill import forecast_skill
from reports.curves import EquityCurve
from reports.evidence import sharpe_moments
from reports.facts import Facts, played_of, skilled
from reports.stability import sampled, stability_of
from reports.standing import Standing, standing_of
from reports.verdict import Verdict, judge
from strategies.parameters import CrossoverParams, RiskParams

NULLS, PLANTED = 200, 50
BARS, FIRST = 4000, 400
RUNS, PERMUTATIONS, PATHS = 199, 99, 4
# Of a planted edge: the share of a return's variance that can be known, the bars of its market, and whether those are
# enough for the target: that takes about ENOUGH / share of them.
EDGES = ((0.1, BARS, True), (0.05, BARS, True), (0.02, BARS, False), (0.02, 2 * BARS, True))
ENOUGH = 160
# The noise on the oracle, in units of its own deviation.
NOISE = 0.5
# How long the noise that is forecast lasts: its correlation with the bar before.
LASTING = 0.85
MOST_NULLS, LEAST_PLANTED = 0.05, 0.9
# The share of the bars that is sealed.
SEALED = 0.2
NO_TARGET = "none"
# The first so many momentum edges are traded by the product's confirmed rule, too, where luck has a share in them.
CONFIRMED, AVERAGES = 2, "the averages alone do as well"
STRATEGY = CrossoverParams(fast=5, slow=20, threshold="0.5cost")
ALONE = STRATEGY.replaced(rule="forecast")


class Case(NamedTuple):
    """One market to be judged: its number, what makes it and its forecasts, and the strategy."""

    number: int
    make: Callable[[int], Market]
    forecast: Callable[[Market, int], FloatArray]
    strategy: CrossoverParams = STRATEGY


def fitted(market: Market, _: int) -> FloatArray:
    """A constant and the last two returns by least squares over a window that rolls."""
    return small_model(_returns(market), True)


def lasting_noise(market: Market, number: int) -> FloatArray:
    """Noise that lasts, as large as the forecasts of a good model of a market with an edge."""
    shocks = np.random.default_rng([number, 1]).standard_normal(len(market.candles))
    values = np.zeros(len(shocks))
    for t in range(1, len(shocks)):
        values[t] = LASTING * values[t - 1] + np.sqrt(1.0 - LASTING**2) * shocks[t]
    return 0.3 * values * trailing_volatility(market.candles.close, 48)


def noisy_oracle(market: Market, number: int) -> FloatArray:
    """What can be known of each next return, with noise of NOISE times its deviation."""
    assert market.oracle is not None
    noise = np.random.default_rng([number, 2]).standard_normal(len(market.candles))
    return market.oracle + NOISE * market.oracle.std() * noise


def hidden_market(number: int, share: float, bars: int = BARS) -> Market:
    """The demo market without an edge, in which a lasting signal that no price shows moves the next return.

    `share`: of a return's variance. Each candle is moved as a whole, and its open is the close before it.
    """
    plain, random = demo_market(number, bars, 0.0), np.random.default_rng([number, 3])
    signal = np.zeros(bars)
    for t, shock in enumerate(random.standard_normal(bars)[1:], 1):
        signal[t] = LASTING * signal[t - 1] + np.sqrt(1.0 - LASTING**2) * shock
    expected = np.sqrt(share / (1.0 - share)) * trailing_volatility(plain.candles.close, 48) * signal
    expected = np.nan_to_num(expected)
    before = np.cumsum(np.concatenate(([0.0, 0.0], expected[:-2])))
    after = np.cumsum(np.concatenate(([0.0], expected[:-1])))
    candles, moved = plain.candles, np.exp(after)
    opened, close = candles.open * np.exp(before), candles.close * moved
    high = np.maximum(candles.high * moved, np.maximum(opened, close))
    low = np.minimum(candles.low * moved, np.minimum(opened, close))
    made = replace(candles, open=opened, high=high, low=low, close=close, source="hidden edge")
    return replace(plain, candles=made, mark=None, oracle=expected)


def vanishing_market(number: int, share: float, kept: float) -> Market:
    """A market with a hidden edge in the first `kept` of its bars, and none after that."""
    edged, plain = hidden_market(number, share), demo_market(number, BARS, 0.0)
    end = FIRST + int(kept * (BARS - FIRST))
    oracle, columns = edged.oracle.copy() if edged.oracle is not None else np.zeros(BARS), {}
    oracle[end:] = 0.0
    moved = float(edged.candles.close[end] / plain.candles.close[end])
    for name in ("open", "high", "low", "close"):
        values = getattr(edged.candles, name).copy()
        values[end + 1 :] = getattr(plain.candles, name)[end + 1 :] * moved
        columns[name] = values
    return replace(edged, candles=replace(edged.candles, **columns), oracle=oracle)


def stale_oracle(kept: float, market: Market, number: int) -> FloatArray:
    """What can be known while there is an edge, with noise; after it has vanished a signal of the same kind."""
    known, end = noisy_oracle(market, number), FIRST + int(kept * (BARS - FIRST))
    after = lasting_noise(market, number)[end:]
    known[end:] = after * known[FIRST:end].std() / max(float(after.std()), 1e-12)
    return known


def _returns(market: Market) -> FloatArray:
    logs = np.log(market.candles.close)
    return np.diff(logs, prepend=logs[0])


def playback_of_case(case: Case) -> Playback:
    """The run of one case; its forecasts begin at bar FIRST."""
    market = case.make(case.number)
    mean = case.forecast(market, case.number)[FIRST:]
    sigma = trailing_volatility(market.candles.close, 48)[FIRST:]
    stamps = market.candles.timestamp[FIRST:]
    series = ForecastSeries(stamps, mean, sigma, stamps - 1, np.zeros(len(stamps), dtype=np.int64))
    forecasts = Forecasts({market.symbol: series}, "benchmark")
    return make_playback([market], forecasts, case.strategy, RiskParams(), AccountParams(), CostParams())


class Judged(NamedTuple):
    """The verdict on a case, and the standing it rests on."""

    verdict: Verdict
    standing: Standing


def judge_case(case: Case) -> Judged:
    """The verdict on one case, by a ledger that knows of nothing but a seal on its last bars, opened by it."""
    playback = playback_of_case(case)
    found = Examination(
        controls=measure_controls(playback, runs=RUNS, permutations=PERMUTATIONS, seed=case.number),
        attribution=Attribution((), 0.0),
        sensitivity=measure_sensitivity(playback),
        odds=ruin_odds(playback, paths=PATHS, more=0, seed=case.number),
        stops=stop_limits(playback),
        distances=(),
    )
    market, ours = playback.markets[0], found.controls.ours
    equity = playback.curve()[playback.scene.first :].clip(0.0)
    curve = EquityCurve(playback.timestamp, equity, playback.account.cash, market.candles.bar)
    facts = Facts(
        spans=(Span.of_bars(market.trial_key, curve.timestamp[0], curve.timestamp[-1], curve.bar),),
        content=str(case.number),
        total_return=ours.total_return,
        trades=ours.trades,
        liquidations=ours.liquidations,
        asks=True,
        confirmed=case.strategy.rule == "confirmed",
        skills=(skilled(forecast_skill(market, playback.forecasts)),),
        sampled=sampled(playback.forecasts.series.values(), int(curve.timestamp[0]), int(curve.timestamp[-1])),
        stability=stability_of(curve),
        moments=sharpe_moments(curve.returns),
        bars_per_year=curve.bars_per_year,
        played=played_of(found),
    )
    with tempfile.TemporaryDirectory() as folder:
        ledger, span = TrialLedger(Path(folder)), facts.spans[0]
        first = int(curve.timestamp[-int(SEALED * len(curve.equity))])
        seal(ledger, span._replace(first=first))
        open_seal(ledger, span, facts.content, "benchmark")
        standing = standing_of(facts, curve, ledger)
        return Judged(judge(facts, standing), standing)


def null_cases(count: int) -> list[Case]:
    """Markets in which nothing can be known."""
    return [Case(number, partial(_demo, 0.0, BARS), (fitted, lasting_noise)[number % 2]) for number in range(count)]


def hidden_cases(count: int, strength: float, bars: int = BARS) -> list[Case]:
    """Markets with a hidden edge, traded as the averages confirm."""
    make = partial(_hidden, strength, bars)
    return [Case(10_000 + number, make, noisy_oracle) for number in range(count)]


def momentum_cases(count: int, strength: float, bars: int = BARS, strategy: CrossoverParams = ALONE) -> list[Case]:
    """Markets with momentum, traded on the forecast alone or as a strategy says."""
    make = partial(_demo, strength, bars)
    return [Case(20_000 + number, make, noisy_oracle, strategy) for number in range(count)]


def vanishing_cases(count: int, strength: float, kept: float) -> list[Case]:
    """Markets with a hidden edge that vanishes, on which the same signal is traded on."""
    make = partial(_vanishing, strength, kept)
    return [Case(30_000 + number, make, partial(stale_oracle, kept)) for number in range(count)]


def _vanishing(share: float, kept: float, number: int) -> Market:
    return vanishing_market(number, share, kept)


def _demo(share: float, bars: int, number: int) -> Market:
    return demo_market(number, bars, share)


def _hidden(share: float, bars: int, number: int) -> Market:
    return hidden_market(number, share, bars)


def measure(cases: list[Case], description: str) -> list[Judged]:
    """The verdict on each case."""
    return [judge_case(case) for case in progress(cases, description, len(cases))]


def climbed(found: list[Judged], rung: int) -> float:
    """The share of runs that climb past a rung."""
    return sum(one.verdict.rung > rung for one in found) / len(found)


def alone(found: list[Judged], rung: int) -> float:
    """The share of runs that pass a rung, whatever the others say."""
    return sum(one.verdict.rungs[rung - 1].state == "passed" for one in found) / len(found)


def show(label: str, found: list[Judged], target: str, met: bool) -> None:
    """Prints the line of one kind of market."""
    shares = "  ".join(f"past {rung}: {climbed(found, rung):6.1%}" for rung in (1, 2, 3, 4))
    own = "  ".join(f"{rung} alone: {alone(found, rung):6.1%}" for rung in (3, 4, 9))
    power = np.mean([0.0 if one.standing.promise is None else one.standing.promise.power for one in found])
    word = "" if target.startswith(NO_TARGET) else "met" if met else "MISSED"
    print(f"{label:28} {len(found):4} runs  {shares}  {own}  power: {power:6.1%}  target {target:12} {word}")


def run(nulls: int, planted: int) -> bool:
    """Prints the table; whether all targets were met."""
    found = measure(null_cases(nulls), "null markets")
    all_met = climbed(found, 3) <= MOST_NULLS and alone(found, 9) <= MOST_NULLS
    show("no edge", found, f"{MOST_NULLS:.0%} or less", all_met)
    for kind, cases in (("hidden", hidden_cases), ("momentum", momentum_cases)):
        for strength, bars, enough in EDGES:
            found = measure(cases(planted, strength, bars), f"{kind} edges of {strength:g}")
            met = not enough or climbed(found, 3) >= LEAST_PLANTED
            all_met &= met
            target = f"{LEAST_PLANTED:.0%} or more" if enough else NO_TARGET
            show(f"{kind}, {strength:.0%}, {bars:,} bars", found, target, met)
    for strength, bars, _ in EDGES[:CONFIRMED]:
        found = measure(momentum_cases(planted, strength, bars, STRATEGY), f"confirmed momentum of {strength:g}")
        show(f"momentum, confirmed, {strength:.0%}", found, f"{NO_TARGET}: {AVERAGES}", True)
    for kept, when in ((0.5, "half way"), (1.0 - SEALED, "when sealed")):
        found = measure(vanishing_cases(planted, EDGES[0][0], kept), f"edges that vanish {when}")
        show(f"vanishes {when}, {EDGES[0][0]:.0%}", found, NO_TARGET, True)
    return all_met


def main() -> None:
    """Measures, prints, and tells by the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nulls", type=int, default=NULLS, metavar="N")
    parser.add_argument("--planted", type=int, default=PLANTED, metavar="N")
    given = parser.parse_args()
    sys.exit(0 if run(given.nulls, given.planted) else 1)


if __name__ == "__main__":
    main()
