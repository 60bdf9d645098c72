"""What a running level of sigma is worth and costs: `python benchmarks/recalibration.py [SECTION ...]`.

`nasdaq`: the NASDAQ composite, on which the bars of the level were chosen for the S&P 500: QLIKE over that of HAR with
leverage in its best form, by bars. `planted`: a GJR-GARCH whose level never moves: the regret (0 oracle, 1 EWMA) of
Student-t sigmas, whose level follows squared errors, the median of five series. `ranges`: Student-t sigmas of both
indices, whose level follows squared errors, or ranges at the size of returns: what each gains, in the mean of
log s^2 + z / s^2 over squared errors z, against no level. `settings`: the network's settings chosen on the NASDAQ
composite alone, and what those come to on the S&P 500.
"""

from __future__ import annotations

import sys
from itertools import pairwise, product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.forecast import (
    DATA_SEEDS,
    FIRST,
    INDEX_MODEL,
    REFITS,
    TEST,
    VARIANCE_BASES,
    forecast_ensemble,
    run_index,
)
from benchmarks.volatility_problems import expected_qlike, garch, stock_index
from models.parameters import FeatureParams, LSTMParams
from models.samples import build_sample
from models.variance import bar_variance
from models.variance_level import level_path

SPANS = (0, 60, 125, 250, 500, 1000, 2000)
PLANTED = (0, 250, 1000, 4000)


def settings() -> None:
    """Prints QLIKE over that of HAR's best form by settings, and on the S&P 500 for the best of them."""
    found: dict[float, LSTMParams] = {}
    for rate, dropout, hidden in product((0.01, 0.02), (0.0, 0.1), (8, 16)):
        params = INDEX_MODEL.replaced(learning_rate=rate, dropout=dropout, hidden=hidden)
        run = run_index("nasdaq", params, 3)
        ratio = run.loss / min(run.hars.values())
        found[ratio] = params
        print(f"NASDAQ composite, learning rate {rate}, dropout {dropout}, {hidden:2} units: {ratio:.3f}", flush=True)
    chosen = found[min(found)]
    run = run_index("sp500", chosen)
    said = f"learning rate {chosen.learning_rate}, dropout {chosen.dropout}, {chosen.hidden} units"
    print(
        f"S&P 500, {said}: {run.loss / min(run.hars.values()):.3f}, of the logarithms {run.loss / run.hars['log']:.3f}"
    )


def nasdaq() -> None:
    """Prints the NASDAQ composite's table."""
    for bars in SPANS:
        run = run_index("nasdaq", INDEX_MODEL.replaced(recalibration_bars=bars))
        best = min(run.hars.values())
        beside = f"; HAR with such a level {run.har_followed / best:.3f}" if bars else ""
        print(f"NASDAQ composite, level over {bars:5,} sessions: {run.loss / best:.3f}{beside}", flush=True)


def planted() -> None:
    """Prints the planted table."""
    regrets: dict[int, list[float]] = {bars: [] for bars in PLANTED}
    for seed in range(DATA_SEEDS):
        problem = garch(20_000 + TEST, seed)
        true = np.square(problem.oracle[20_000:])
        for bars in PLANTED:
            more = {"variance_base": "leverage", **VARIANCE_BASES["leverage"]}
            params = LSTMParams(output="student", burn_in=64, recalibration_bars=bars, **more)
            sample = problem.sample(params)
            made = forecast_ensemble(sample, 20_000, 20_000 + TEST, params, 3)
            trailing = expected_qlike(np.square(sample.volatility[20_000:]), true)
            regrets[bars].append(expected_qlike(np.square(made.sigma), true) / trailing)
    for bars, found in regrets.items():
        print(f"planted GJR-GARCH, level over {bars:5,} bars: regret {np.median(found):.3f} {np.round(found, 3)}")


def ranges() -> None:
    """Prints the table of Student-t sigmas; each level begins at 1 and goes on over the refits."""
    params, columns = (
        INDEX_MODEL.replaced(output="student", recalibration_bars=0),
        ("return:1", "return:5", "return:22"),
    )
    for name in ("nasdaq", "sp500"):
        candles = stock_index(name)
        sample = build_sample(candles, FeatureParams(columns=columns), params)
        blocks = list(pairwise(np.linspace(FIRST, len(candles), REFITS + 1).astype(int).tolist()))
        parts = [forecast_ensemble(sample, a - 1, b - 1, params, 3) for a, b in blocks]
        said, mean = (np.concatenate([getattr(part, field) for part in parts]) for field in ("sigma", "mean"))
        variance, moves = np.square(said), np.diff(np.log(candles.close))
        errors = np.square(moves[FIRST - 1 :] - mean)
        bars, starts = bar_variance(candles, "parkinson"), np.append(1.0, np.full(len(errors) - 1, np.nan))
        # The size of returns over that of ranges, on the sessions before each refit.
        sizes = [np.full(b - a, np.mean(np.square(moves[: a - 1])) / np.mean(bars[1:a])) for a, b in blocks]
        proxies = {"squared errors": errors, "ranges": np.concatenate(sizes) * bars[FIRST:]}
        alone = np.mean(np.log(variance) + errors / variance)
        for span in SPANS[1:]:
            made = {proxy: level_path(one, variance, starts, span)[:-1] * variance for proxy, one in proxies.items()}
            gains = [f"{proxy} {alone - np.mean(np.log(v) + errors / v):+.4f}" for proxy, v in made.items()]
            print(f"{name}, Student-t, level over {span:5,} sessions gains by {', by '.join(gains)}", flush=True)


def main() -> None:
    """Prints the chosen tables, all by default."""
    chosen = sys.argv[1:] or ["nasdaq", "planted", "ranges"]
    for name in chosen:
        {"nasdaq": nasdaq, "planted": planted, "ranges": ranges, "settings": settings}[name]()


if __name__ == "__main__":
    main()
