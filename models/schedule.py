"""Schedule: which bars train a model and which test it, fold by fold."""

from __future__ import annotations

import math
from typing import NamedTuple

from foundation.errors import DataError, ParameterError
from foundation.units import nanoseconds
from markets.candles import IntArray, duration
from models.parameters import WalkForwardParams


class Fold(NamedTuple):
    """One retraining: rows [train_first, train_last) train, rows [test_first, test_last) are forecast.

    Row t trains with the return of bar t + 1, so that `trained_through`, the close of the last bar
    that touches the model (UTC nanoseconds), is the close of bar `train_last`. It is earlier than the
    open of bar `test_first`.
    """

    number: int
    train_first: int
    train_last: int
    test_first: int
    test_last: int
    trained_through: int


def make_folds(
    timestamp: IntArray, bar: int, walk: WalkForwardParams, memory: int, source: str = "candles"
) -> list[Fold]:
    """The folds over candles that open at `timestamp`; the tests follow each other without a hole.

    `memory`: the longest memory of the features, in bars. Raises DataError that says how many bars
    are needed where there are too few for a first test, ParameterError where no row is left to train.
    """
    train, test = bars_in(walk.train, bar, "train"), bars_in(walk.test, bar, "test")
    count = len(timestamp)
    if count <= train:
        problem = f"holds {count:,} bars; walk_forward.train = {walk.train} needs at least {train + 1:,}"
        raise DataError(source, problem, fix="more candles, or a shorter walk_forward.train")
    left_out = walk.purge + embargo_bars(walk, bar, memory)
    if left_out >= train:
        problem = f"is no longer than purge and embargo, {left_out:,} bars of {duration(bar)}"
        raise ParameterError(
            "walk_forward.train", problem, value=str(walk.train), fix="a longer train or a shorter embargo"
        )
    folds = []
    for number, test_first in enumerate(range(train, count, test)):
        test_last = count if walk.scheme == "holdout" else min(test_first + test, count)
        train_first = test_first - train if walk.scheme == "rolling" else 0
        train_last = test_first - left_out
        trained_through = int(timestamp[train_last]) + bar
        folds.append(Fold(number, train_first, train_last, test_first, test_last, trained_through))
        if test_last == count:
            break
    return folds


def embargo_bars(walk: WalkForwardParams, bar: int, memory: int) -> int:
    """Bars between the purged rows and the test: the longest memory of the features, or what is written.

    At least one, so that the last bar that touched a model closes before the first test bar opens.
    """
    bars = memory if walk.embargo == "auto" else math.ceil(nanoseconds(walk.embargo) / bar)
    return max(1, bars)


def bars_in(quantity: object, bar: int, field: str) -> int:
    """The whole bars in a duration of the walk-forward table; raises ParameterError where it holds none."""
    bars = nanoseconds(str(quantity)) // bar
    if bars < 1:
        raise ParameterError(
            f"walk_forward.{field}",
            f"is shorter than one bar of {duration(bar)}",
            value=str(quantity),
            fix="make it longer",
        )
    return bars
