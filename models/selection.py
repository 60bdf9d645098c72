"""Selection: how much of the lead of the best of many trials is owed to its having been chosen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from markets.candles import FloatArray

# Random halves of the pieces of validation.
HALVES = 1000


class Lead(NamedTuple):
    """The lead of the best of `trials` whole trials over the config as written, as a fall of the mean `loss` of that.

    `lead`: over all pieces of validation, on which it was chosen. `chosen`: the mean lead, over random halves of the
    pieces, of the best trial of a half on that half; `elsewhere`: of the same trial on the other half, which did not
    choose it.
    """

    trials: int
    loss: float
    lead: float
    chosen: float
    elsewhere: float

    @property
    def selection(self) -> float:
        """The share of a lead that choosing explains, from 0 to 1; 1 where nothing is left of it elsewhere."""
        if self.chosen <= 0.0:
            return 1.0
        return float(np.clip(1.0 - self.elsewhere / self.chosen, 0.0, 1.0))

    def __str__(self) -> str:
        if self.lead <= 0.0:
            return f"None of {self.trials} settings is better on the inner folds than the config. Leave it as it is."
        size = f"{self.lead:.5g}, {self.lead / abs(self.loss):.2%} of it," if self.loss else f"{self.lead:.5g}"
        said = f"The best of {self.trials} settings loses {size} less than the config on the folds that chose it."
        halves = f"Chosen on one half of these folds, the best led there by {self.chosen:.5g} and on the other half by"
        if self.elsewhere <= 0.0:
            return f"{said} {halves} {self.elsewhere:.5g}: all of the lead is selection, expect none of it to last."
        return (
            f"{said} {halves} {self.elsewhere:.5g}: about {self.selection:.0%} of the lead is selection, "
            "expect the rest at most."
        )


def measure_lead(losses: FloatArray, written: FloatArray, seed: int = 0) -> Lead:
    """The lead of the best of some trials, from their losses in pieces of validation, shape (trials, pieces).

    `written`: of the config as written, which is one of those that may be chosen.
    """
    everything = np.vstack([written, losses.reshape(-1, len(written))])
    pieces = len(written)
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(pieces), (HALVES, 1)), axis=1)
    inside = order < pieces // 2
    ahead = everything[0] - everything
    there = inside @ ahead.T / inside.sum(axis=1, keepdims=True)
    elsewhere = ~inside @ ahead.T / (~inside).sum(axis=1, keepdims=True)
    best = there.argmax(axis=1)[:, None]
    return Lead(
        trials=len(everything),
        loss=float(written.mean()),
        lead=float(ahead.mean(axis=1).max()),
        chosen=float(np.take_along_axis(there, best, axis=1).mean()),
        elsewhere=float(np.take_along_axis(elsewhere, best, axis=1).mean()),
    )
