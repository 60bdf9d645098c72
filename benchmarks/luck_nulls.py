"""How often luck is beaten where nothing is known: the share of p-values of random entries that are small.

    .venv/bin/python benchmarks/luck_nulls.py [MARKETS]

Each market (300 by default, of 340 bars that are played, seeds fixed) moves by nothing that its forecasts know. Prints
the share of p at or below 0.05 next to the band in which it lies with a probability of 99.9 % where p keeps its size,
and exits 1 where a share is above its band. A share below it is caution.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from null_markets import STRATEGY, known_playback

from backtests.doubts.controls import measure_controls
from foundation.progress import progress

LEVEL, DRAWS, DRIFT, SEEDS = 0.05, 99, 3e-4, 1000


def share(rule: str, markets: int) -> float:
    """The share of markets without an edge on which a rule beats luck."""
    strategy = STRATEGY.replaced(rule=rule)
    small = 0
    for seed in progress(range(markets), f"Ranking {rule} among luck", markets):
        playback = known_playback(SEEDS + seed, 0.0, DRIFT, strategy)
        with redirect_stderr(StringIO()):
            small += measure_controls(playback, runs=DRAWS, permutations=1, seed=seed).random.p <= LEVEL
    return small / markets


def main() -> int:
    """Prints a line a rule; 1 where one beats luck too often."""
    from scipy.stats import binom

    markets = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    low, high = (binom.ppf(edge, markets, LEVEL) / markets for edge in (0.0005, 0.9995))
    shares = {rule: share(rule, markets) for rule in ("crossover", "confirmed")}
    for rule, found in shares.items():
        print(
            f"{rule}: p <= {LEVEL:g} on {found:.1%} of {markets} markets without an edge (band {low:.1%} to {high:.1%})"
        )
    return int(max(shares.values()) > high)


if __name__ == "__main__":
    sys.exit(main())
