"""Inner folds: validation stretches inside the rows on which the first model of a walk-forward trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from foundation.dimensions import Dimension
from foundation.errors import ParameterError
from markets.candles import FloatArray, duration
from markets.market import Market
from models.cache import FoldForecast, FoldJob
from models.ensemble import combine
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
from models.row_losses import row_losses
from models.samples import Sample
from models.schedule import left_out_bars, rows_needed
from models.walkforward import plan_folds

# Pieces of each fold whose losses are kept apart, to see how much of a lead is selection.
PIECES = 4


class InnerFold(NamedTuple):
    """Rows [0, train_last) train, rows [first, last) validate."""

    train_last: int
    first: int
    last: int


class Ground(NamedTuple):
    """One market's ground for a search: all candidate features up to the end of training, and the inner folds.

    `gap`: rows between training and validation, as of the walk-forward with all features.
    """

    market: Market
    sample: Sample
    names: tuple[str, ...]
    gap: int
    folds: tuple[InnerFold, ...]


def extreme_models(model: LSTMParams, dimensions: Sequence[Dimension]) -> list[LSTMParams]:
    """The models of a search that need most rows: the longest sequences, the smallest and largest validation share."""
    ends = {one.name: one.ends for one in dimensions}
    longest = {name: max((*ends.get(name, ()), getattr(model, name))) for name in ("chunk", "burn_in", "replay")}
    shares = sorted({model.validation, *ends.get("validation", ())})
    return [model.replaced(**longest, validation=share) for share in dict.fromkeys((shares[0], shares[-1]))]


def make_ground(
    market: Market, models: Sequence[LSTMParams], features: FeatureParams, walk: WalkForwardParams, folds: int
) -> Ground:
    """The ground of a search on one market; `models`: those that need most rows, `features` with all candidates.

    The sample ends where the first training of the walk-forward does: no later bar, label or scale can be
    seen by anything that is done on it. Raises ParameterError that says how many bars are missing.
    """
    plans = [plan_folds(market, one, features, walk) for one in models]
    whole, planned = plans[0]
    last = planned[0].train_last
    sample, gap = whole.rows(0, last), left_out_bars(walk, whole.bar, whole.memory, whole.horizon)
    edges = np.linspace((whole.first + last) // 2, last, folds + 1).astype(int).tolist()
    made = tuple(InnerFold(first - gap, first, end) for first, end in pairwise(edges))
    needed = whole.first + max(rows_needed(gap, one) for one in models)
    if made[0].train_last < needed or edges[1] - edges[0] < PIECES:
        missing = max(needed - made[0].train_last, 0)
        problem = f"leaves {made[0].train_last:,} bars of {duration(whole.bar)} to the first inner training of a search"
        fix = f"about {2 * missing:,} more bars of train, or a shorter chunk in model_search.space"
        raise ParameterError("walk_forward.train", f"{problem}, which needs {needed:,}", value=str(walk.train), fix=fix)
    return Ground(market, sample, features.columns, gap, made)


def inner_jobs(
    ground: Ground, fold: InnerFold, columns: Sequence[str], scaling: str, model: LSTMParams, seeds: Sequence[int]
) -> list[FoldJob]:
    """The trainings of one fold with some of the candidate features."""
    shown = choose_columns(ground, columns).rows(0, fold.last)
    return [FoldJob(shown, fold.train_last, ground.gap, fold.first, scaling, model, seed) for seed in seeds]


def choose_columns(ground: Ground, columns: Sequence[str]) -> Sample:
    """The sample with some of the candidate features, and the columns of the variance base."""
    sample, names = ground.sample, ground.names
    chosen = [names.index(name) for name in columns]
    places = [*chosen, *range(len(names), sample.features.shape[1])]
    # Rows count from the first on which all candidates are known, whichever are shown.
    features = sample.features[:, places].copy()
    features[: sample.first] = np.nan
    return replace(sample, features=features)


def piece_losses(ground: Ground, fold: InnerFold, made: Sequence[FoldForecast], model: LSTMParams) -> FloatArray:
    """The mean loss of an ensemble in each of PIECES parts of a fold's validation rows."""
    rows = ground.sample.rows(fold.first, fold.last)
    losses = row_losses(combine([one.columns for one in made], np.ones(len(rows)), model), rows, model)
    return np.array([np.nanmean(part) for part in np.array_split(losses, PIECES)])
