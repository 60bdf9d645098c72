"""Watching: what a running model says of its validation rows and of its test, for drift to be seen in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foundation.errors import ParameterError
from markets.candles import FloatArray
from models.drift import Watch, stability_index, stability_limits
from models.ensemble import combine
from models.fitted import TrainedNetwork
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
from models.samples import Sample
from models.schedule import Fold, Rows, bars_in
from models.scores import log_score
from models.variance_level import first_level, sample_levels


def watch_model(
    sample: Sample, rows: Rows, fold: Fold, members: Sequence[TrainedNetwork], columns: Sequence[FloatArray],
    model: LSTMParams, features: FeatureParams, walk: WalkForwardParams, young: bool = False,
) -> Watch:  # fmt: skip
    """What is watched of a model in one market over all the bars of its test, as each becomes known.

    `rows`: those of the sample that fitted and validated it. `columns`: what each network says of the test. Raises
    ParameterError where the window of the features is too long for the training rows; of a market that may be `young`
    the likelihood alone is then watched.
    """
    check = slice(rows.check_first, rows.check_last)
    said = [forecast_rows(sample, member, check.start, check.stop, model) for member in members]
    reference = _scores(sample, said, check, members, 1.0)
    tested = slice(fold.test_first, fold.test_last)
    realised = np.append(np.nan, _scores(sample, columns, tested, members, first_level(members))[:-1])
    names = tuple(features.columns)
    training = sample.features[rows.fit_first : rows.check_last]
    if young and 2 * bars_in(walk.drift_window, sample.bar, "drift_window") > len(training):
        names = ()
    window = drift_window(walk, sample.bar, len(training)) if names else 1
    training, shown = training[:, : len(names)], sample.features[:, : len(names)]
    return Watch(
        reference[np.isfinite(reference)],
        realised,
        stability_index(training, shown[fold.test_first - window + 1 : fold.test_last], window)[window - 1 :],
        stability_limits(training, window, walk.drift_psi),
        names,
    )


def forecast_rows(sample: Sample, member: TrainedNetwork, first: int, last: int, model: LSTMParams) -> FloatArray:
    """The columns of a network's output at some rows, the state run over `replay` rows before them."""
    warm = max(sample.first, first - model.replay)
    return member.forecast(sample.features[warm:last], member.fresh_state())[first - warm :]


def drift_window(walk: WalkForwardParams, bar: int, training: int) -> int:
    """The bars of the features' window; raises ParameterError where training does not hold two of them."""
    window = bars_in(walk.drift_window, bar, "drift_window")
    if 2 * window > training:
        problem = f"is {window:,} bars, and the {training:,} rows of a training should hold at least two of them"
        fix = "a shorter one, or a longer walk_forward.train"
        raise ParameterError("walk_forward.drift_window", problem, value=str(walk.drift_window), fix=fix)
    return window


def check_drift(walk: WalkForwardParams, bar: int, training: int) -> None:
    """Raises before anything trains what watching a first model would: ParameterError where a span does not fit."""
    drift_window(walk, bar, training)
    bars_in(walk.drift_wait, bar, "drift_wait")


def _scores(
    sample: Sample, columns: Sequence[FloatArray], rows: slice, members: Sequence[TrainedNetwork], level: float
) -> FloatArray:
    """The log score of the ensemble's forecast at each row, in trailing volatilities; NaN without an outcome.

    `level`: where that of its sigma starts.
    """
    model = members[0].params
    said = combine(columns, np.ones(len(columns[0])), model)
    freedom = said[:, 2] if model.output == "student" else None
    sigma = said[:, 1] * np.sqrt(sample_levels(said, sample, rows, members, level)[:-1])
    return log_score(sample.returns[rows].astype(np.float64), said[:, 0], sigma, freedom)
