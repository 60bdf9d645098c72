"""Row losses: how wrong what a network says was, bar by bar, one measure for each output. Free of torch."""

from __future__ import annotations

import numpy as np

from markets.candles import FloatArray
from models.parameters import LSTMParams
from models.samples import Sample
from models.scores import log_score

# What each measure is called; lower is better.
NAMES = {
    "mean": "squared error, in trailing variances",
    "gaussian": "negative log-likelihood",
    "student": "negative log-likelihood",
    "quantiles": "pinball loss, in trailing volatilities",
    "volatility": "QLIKE of the next range, at its best level",
    "barrier": "squared error of p(up) - p(down)",
    "position": "loss of the position net of turnover, in trailing volatilities",
}


def row_losses(columns: FloatArray, rows: Sample, params: LSTMParams) -> FloatArray:
    """The loss of the columns `params.outputs`, in trailing volatilities, at each row of a sample; NaN if unknown."""
    target = rows.target.astype(np.float64)
    if params.output in ("gaussian", "student"):
        freedom = columns[:, 2] if params.output == "student" else None
        return -log_score(target, columns[:, 0], columns[:, 1], freedom)
    if params.output == "quantiles":
        error, levels = target[:, None] - columns[:, 2:], np.array(params.levels)
        pinball: FloatArray = np.maximum(levels * error, (levels - 1.0) * error).mean(axis=1)
        return pinball
    if params.output == "volatility":
        # Sigma is of the size of returns and the target of that of ranges: each row is judged at the rows' best level.
        variance = np.square(columns[:, 1])
        variance = variance * np.nanmean(target / variance)
        qlike: FloatArray = target / variance + np.log(variance)
        return qlike
    if params.output == "position":
        position = columns[:, 2]
        turnover = np.abs(np.diff(position, prepend=position[:1]))
        loss: FloatArray = params.turnover_cost * turnover - position * target
        return loss
    said = 2.0 * columns[:, 2] - 1.0 if params.output == "barrier" else columns[:, 0]
    return np.square(target - said)
