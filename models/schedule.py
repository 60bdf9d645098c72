"""Schedule: which bars train a model and which test it, fold by fold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foundation.errors import DataError, ParameterError
from foundation.units import nanoseconds, parse_quantity
from markets.candles import IntArray, duration
from models.parameters import DURATIONS, LSTMParams, WalkForwardParams
from models.samples import Sample

# Fewer known targets than these, of the fit or of the validation rows, set or choose nothing.
LEAST_TARGETS = 20


class Fold(NamedTuple):
    """One retraining: rows [train_first, train_last) train, rows [test_first, test_last) are forecast.

    Row t trains with a label that is known at the close of bar t + horizon, so that `trained_through`, the
    close of the last bar that touches the model (UTC nanoseconds), is the close of bar
    `train_last` - 1 + horizon. It is earlier than the open of bar `test_first`.
    """

    number: int
    train_first: int
    train_last: int
    test_first: int
    test_last: int
    trained_through: int


class Rows(NamedTuple):
    """Where training happens: rows [fit_first, fit_last) set the weights, [check_first, check_last) choose among them.

    The label of the last fit row is known, and the memory of the features over, before `check_first`.
    """

    fit_first: int
    fit_last: int
    check_first: int
    check_last: int


def make_folds(
    timestamp: IntArray, bar: int, walk: WalkForwardParams, memory: int, source: str = "candles", horizon: int = 1
) -> list[Fold]:
    """The folds over candles that open at `timestamp`; the tests follow each other without a hole.

    On `drift` there is only the first, which lasts until something drifts (`fold_after`).
    `memory`: the longest memory of the features, in bars; `horizon`: bars until a label is known. Raises
    DataError that says how many bars are needed where there are too few for a first test, ParameterError where
    no row is left to train.
    """
    train, test = bars_in(walk.train, bar, "train"), bars_in(walk.test, bar, "test")
    count = len(timestamp)
    if count <= train:
        problem = f"holds {count:,} bars; walk_forward.train = {walk.train} needs at least {train + 1:,}"
        raise DataError(source, problem, fix="more candles, or a shorter walk_forward.train")
    left_out = left_out_bars(walk, bar, memory, horizon)
    if left_out >= train:
        problem = f"is no longer than purge and embargo, {left_out:,} bars of {duration(bar)}"
        raise ParameterError(
            "walk_forward.train", problem, value=str(walk.train), fix="a longer train or a shorter embargo"
        )
    folds = []
    for number, test_first in enumerate(range(train, count, test)):
        once = walk.scheme == "holdout" or walk.retrain == "drift"
        test_last = count if once else min(test_first + test, count)
        train_first = test_first - train if walk.scheme == "rolling" else 0
        train_last = test_first - left_out
        trained_through = int(timestamp[train_last - 1 + horizon]) + bar
        folds.append(Fold(number, train_first, train_last, test_first, test_last, trained_through))
        if test_last == count:
            break
    return folds


def fold_after(fold: Fold, trigger: int, timestamp: IntArray, bar: int, walk: WalkForwardParams) -> Fold:
    """The fold whose retraining is triggered at the close of row `trigger` of the test before it.

    The bar after the trigger is still forecast by the model before: retraining takes time, and the choice to retrain
    has seen the trigger's bar, whose close is what the new model counts as trained through. It trains on as long a
    stretch (`rolling`) or on all before (`expanding`), as far from its test as any.
    """
    test_first = trigger + 2
    train_last = test_first - (fold.test_first - fold.train_last)
    train_first = test_first - (fold.test_first - fold.train_first) if walk.scheme == "rolling" else 0
    through = int(timestamp[trigger]) + bar
    return Fold(fold.number + 1, train_first, train_last, test_first, len(timestamp), through)


def left_out_bars(walk: WalkForwardParams, bar: int, memory: int, horizon: int) -> int:
    """Bars between training and test: the purge, no shorter than the horizon of the label, and the embargo."""
    return max(walk.purge, horizon) + embargo_bars(walk, bar, memory)


def embargo_bars(walk: WalkForwardParams, bar: int, memory: int) -> int:
    """Bars between the purged rows and the test: the longest memory of the features, or what is written.

    At least one, so that the last bar that touched a model closes before the first test bar opens.
    """
    if walk.embargo == "auto":
        return max(1, memory)
    amount, unit = parse_quantity(walk.embargo, DURATIONS, positive=False)
    return max(1, math.ceil(amount * nanoseconds(f"1{unit}") / bar))


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


def split_rows(sample: Sample, last: int, gap: int, params: LSTMParams) -> Rows:
    """The fit and validation rows before `last`.

    Raises DataError where they, or their known targets, are too few, ParameterError where barriers are out of reach.
    """
    first = min(sample.first, last)
    check_first = last - round((last - first) * params.validation)
    rows = Rows(first, check_first - max(gap, sample.horizon), check_first, last)
    if last - first < rows_needed(gap, params):
        needed = first + rows_needed(gap, params)
        raise DataError(
            sample.source,
            f"has {last:,} bars to train on, and the model needs {needed:,}: warm-up of the features, chunks of"
            f" model.burn_in + model.chunk bars, a gap of {gap:,}, and the validation rows",
            fix="more candles, a longer walk_forward.train, or a smaller model.chunk",
        )
    check_targets([(sample, rows)], params)
    return rows


def check_targets(parts: Sequence[tuple[Sample, Rows]], params: LSTMParams) -> None:
    """Raises DataError where too few targets of a part are known (those of touched bars are not).

    And ParameterError where too few, of all parts together, reach a barrier.
    """
    for sample, rows in parts:
        _check_known(sample, rows, params)
    learned = [sample.target[rows.fit_first + params.burn_in : rows.fit_last] for sample, rows in parts]
    reached = sum(int((np.abs(one) == 1.0).sum()) for one in learned)
    if params.output == "barrier" and reached < LEAST_TARGETS:
        count = sum(map(len, learned))
        problem = f"lies so far off that {reached:,} of {count:,} fit rows reach a barrier within"
        more = f"model.barrier_bars = {params.barrier_bars}, and a model needs {LEAST_TARGETS}"
        fix = "a smaller one, or a larger barrier_bars"
        raise ParameterError("model.barrier_sigma", f"{problem} {more}", value=params.barrier_sigma, fix=fix)


def _check_known(sample: Sample, rows: Rows, params: LSTMParams) -> None:
    learned = rows.fit_first + params.burn_in
    for what, first, end in (("fit", learned, rows.fit_last), ("validation", rows.check_first, rows.check_last)):
        known = int(np.isfinite(sample.target[first:end]).sum())
        if known < LEAST_TARGETS:
            problem = (
                f"knows the targets of {known:,} of the {end - first:,} {what} rows before bar {rows.check_last:,}"
            )
            fix = "cleaning touched the other bars: mend the candles there, or start after them"
            raise DataError(sample.source, f"{problem}, and a model needs {LEAST_TARGETS}", fix=fix)


def rows_needed(gap: int, params: LSTMParams) -> int:
    """The fewest usable training rows with which fit and validation rows can be told apart."""
    fit = max(params.burn_in + params.chunk, params.replay)
    share = params.validation
    return 1 + math.ceil(max((fit + max(gap, params.horizon)) / (1.0 - share), params.chunk / share))
