"""Level: the odds at which a test of forecasts may take chance for skill, how many that takes, and what is doubted.

Read by commands that only list runs, so nothing here loads an array.
"""

from __future__ import annotations

SIGNIFICANCE = 0.05
# The fewest forecasts with a known outcome that are called skilled, whatever a test says: the tests were simulated from
# so many on. On fewer one lucky stretch is most of the sample.
LEAST_FORECASTS = 300
# The fewest rows with an error, a test or a coverage of their own: on fewer the tests alarm too often.
LEAST_ROWS = 100


def zero_models_words(models: int, zero_models: int) -> str:
    """That most fitted models say zero whatever they are shown; nothing where fewer do."""
    if 2 * zero_models <= models:
        return ""
    return f"{zero_models:,} of {models:,} fitted models forecast a return of exactly zero throughout"


def leakage_words(skill: float, accuracy: float) -> str:
    """That figures so good are to be doubted."""
    right = f"{accuracy:.1%} right directions and an out-of-sample R2 of {skill:.1%}"
    return f"Check for leakage: {right}: forecasts of returns are seldom so good"
