"""Outputs: what a network's raw values say of the next bar, in units of the trailing volatility. Free of torch."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np

from markets.candles import FloatArray
from models.parameters import LSTMParams

Figure = float | FloatArray


def read_values(
    values: FloatArray, base: FloatArray, params: LSTMParams, deviation: Figure, slope: Figure, tail: Figure
) -> FloatArray:
    """The columns `params.outputs` of some rows, from raw values (rows, values) and the log variance base (rows,).

    Mean, sigma and quantiles are in trailing volatilities. `deviation`: sigma where none is learned.
    `slope`: the mean next return per unit of a score that is no return (barrier, position), or the deviation of
    the next return per unit of its range's (volatility). `tail`: the degrees of freedom of a Student t. Each of the
    three is one number for all rows, or one a row.
    """
    first = values[:, 0]
    rows = np.ones(len(values))
    if params.output in ("gaussian", "student"):
        sigma = np.exp(0.5 * (base + values[:, 1]))
        return np.column_stack((first, sigma, *([tail * rows] if params.output == "student" else [])))
    if params.output == "quantiles":
        quantiles = spread_quantiles(values, np.exp(0.5 * base))
        return np.column_stack((first, quantile_sigma(quantiles, params.levels), quantiles))
    if params.output == "volatility":
        return np.column_stack((0.0 * rows, slope * np.exp(0.5 * (base + first))))
    if params.output == "mean":
        return np.column_stack((first, deviation * rows))
    score = read_score(values, params.output)
    said = 0.5 + 0.5 * score if params.output == "barrier" else score
    return np.column_stack((slope * score, deviation * rows, said))


def read_score(values: FloatArray, output: str) -> FloatArray:
    """The score, -1 to 1, of an output that is no return: p(up) - p(down) of a barrier, or a position."""
    if output == "position":
        score: FloatArray = np.tanh(values[:, 0])
        return score
    logits = np.column_stack((-values[:, 0], values[:, 1], values[:, 0]))
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    difference: FloatArray = (chances[:, 2] - chances[:, 0]) / chances.sum(axis=1)
    return difference


def fit_slope(score: FloatArray, returns: FloatArray) -> float:
    """The least-squares slope through zero of next returns on a score; never below zero, 0 for a score of zeros.

    A score that went against the returns is taken to say nothing of them.
    """
    known = np.isfinite(returns)
    total = float(np.square(score[known]).sum())
    return max(0.0, float(score[known] @ returns[known]) / total) if total > 0.0 else 0.0


def fit_level(sigma: FloatArray, returns: FloatArray) -> float:
    """What brings deviations of ranges to the size of next returns y: the root of the mean of (y / sigma)^2.

    No other factor has less QLIKE. A range tells of a price that moves all the time and is seen all the time: gaps
    between bars, jumps and coarse prices make returns larger or smaller than it. 1 where no return is known, or all
    are 0.
    """
    known = np.isfinite(returns) & (sigma > 0.0)
    level = float(np.square(returns[known] / sigma[known]).mean()) if known.any() else 0.0
    return math.sqrt(level) if level > 0.0 else 1.0


def spread_quantiles(values: FloatArray, scale: FloatArray) -> FloatArray:
    """Quantiles (rows, levels): the median is the first value, the others lie exp(value) x scale apart.

    Values 1, 2 ... step upwards from the median, the rest downwards.
    """
    steps = np.exp(values[:, 1:]) * scale[:, None]
    half = steps.shape[1] // 2
    above, below = steps[:, :half].cumsum(axis=1), steps[:, half:].cumsum(axis=1)
    return np.column_stack((values[:, 0, None] - below[:, ::-1], values[:, 0], values[:, 0, None] + above))


def quantile_sigma(quantiles: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """The deviation of the normal distribution whose outermost quantiles lie as far apart."""
    width = NormalDist().inv_cdf(levels[-1]) - NormalDist().inv_cdf(levels[0])
    sigma: FloatArray = (quantiles[:, -1] - quantiles[:, 0]) / width
    return sigma


def normal_steps(levels: tuple[float, ...]) -> list[float]:
    """The raw values that make an untrained network's quantiles those of a standard normal distribution."""
    points = [NormalDist().inv_cdf(level) for level in levels]
    gaps = [math.log(high - low) for low, high in pairwise(points)]
    half = len(gaps) // 2
    return gaps[half:] + gaps[:half][::-1]
