"""Scores of a whole forecast distribution: CRPS, coverage, and the interval a Gaussian or Student t claims."""

from __future__ import annotations

import math

import numpy as np

from markets.candles import BoolArray, FloatArray, IntArray
from models.level import LEAST_ROWS


def crps(y: FloatArray, mean: FloatArray, sigma: FloatArray, freedom: FloatArray | None = None) -> FloatArray:
    """The continuous ranked probability score of each forecast, in units of the return; lower is better.

    Of a Gaussian with this mean and standard deviation, or of a Student t with that standard deviation where
    `freedom`, its degrees of freedom, is finite: its scale is then sigma sqrt((freedom - 2) / freedom).
    """
    from scipy.special import ndtr

    z = (y - mean) / sigma
    score: FloatArray = sigma * (
        z * (2.0 * ndtr(z) - 1.0) + math.sqrt(2.0 / math.pi) * np.exp(-0.5 * z * z) - 1.0 / math.sqrt(math.pi)
    )
    if freedom is not None:
        heavy = np.isfinite(freedom)
        score[heavy] = _crps_student(y[heavy], mean[heavy], sigma[heavy], freedom[heavy])
    return score


def _crps_student(y: FloatArray, mean: FloatArray, sigma: FloatArray, freedom: FloatArray) -> FloatArray:
    """Jordan, Krueger and Lerch (2019), with the density and distribution of the standard t."""
    from scipy.special import betaln, stdtr

    scale = sigma * np.sqrt((freedom - 2.0) / freedom)
    z = (y - mean) / scale
    log_density = -0.5 * (freedom + 1.0) * np.log1p(z * z / freedom) - 0.5 * np.log(freedom) - betaln(0.5, freedom / 2)
    spread = np.exp(betaln(0.5, freedom - 0.5) - 2.0 * betaln(0.5, freedom / 2.0))
    inner = z * (2.0 * stdtr(freedom, z) - 1.0) + 2.0 * np.exp(log_density) * (freedom + z * z) / (freedom - 1.0)
    score: FloatArray = scale * (inner - 2.0 * np.sqrt(freedom) / (freedom - 1.0) * spread)
    return score


def quantile_crps(y: FloatArray, quantiles: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """The CRPS of each forecast as far as quantiles (rows, levels) say it, lower is better.

    CRPS is twice the integral of the pinball loss over all levels from 0 to 1 (Gneiting and Ranjan 2011). Each level
    stands for those nearer to it than to any other, the outermost for all beyond:
    2 sum(w max(p (y - q), (p - 1)(y - q))), the w adding up to 1. Compare sums over the same levels only.
    """
    places = np.array(levels)
    middles = np.concatenate(([0.0], 0.5 * (places[1:] + places[:-1]), [1.0]))
    error = y[:, None] - quantiles
    score: FloatArray = 2.0 * (np.maximum(places * error, (places - 1.0) * error) @ np.diff(middles))
    return score


def gaussian_quantiles(mean: FloatArray, sigma: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """The quantiles of normal distributions at some levels, shape (rows, levels)."""
    from scipy.special import ndtri

    quantiles: FloatArray = mean[:, None] + sigma[:, None] * ndtri(np.array(levels))
    return quantiles


def log_score(y: FloatArray, mean: FloatArray, sigma: FloatArray, freedom: FloatArray | None = None) -> FloatArray:
    """The log of the density that each forecast gave to what came, higher is better: its log-likelihood.

    Of a Gaussian with this mean and standard deviation, or of a Student t with that standard deviation where
    `freedom`, its degrees of freedom, is finite.
    """
    from scipy.special import betaln

    z = (y - mean) / sigma
    score: FloatArray = -0.5 * z * z - np.log(sigma) - 0.5 * math.log(2.0 * math.pi)
    if freedom is not None:
        heavy = np.isfinite(freedom)
        nu = freedom[heavy]
        constant = -0.5 * np.log(nu - 2.0) - betaln(0.5, nu / 2.0)
        score[heavy] = constant - 0.5 * (nu + 1.0) * np.log1p(z[heavy] ** 2 / (nu - 2.0)) - np.log(sigma[heavy])
    return score


def claimed_interval(
    mean: FloatArray, sigma: FloatArray, freedom: FloatArray | None, level: float
) -> tuple[FloatArray, FloatArray]:
    """The central interval that the forecast's own distribution claims to hold `level` of the outcomes."""
    from scipy.special import ndtri, stdtrit

    tail = 0.5 * (1.0 + level)
    width = np.full(len(mean), float(ndtri(tail)))
    if freedom is not None:
        heavy = np.isfinite(freedom)
        width[heavy] = stdtrit(freedom[heavy], tail) * np.sqrt((freedom[heavy] - 2.0) / freedom[heavy])
    return mean - width * sigma, mean + width * sigma


def inside(y: FloatArray, lower: FloatArray, upper: FloatArray) -> BoolArray:
    """Whether each outcome lay between the bounds that were issued for it, or on one of them."""
    held: BoolArray = (lower <= y) & (y <= upper)
    return held


def worst_block(held: BoolArray, places: IntArray, bars: int) -> float:
    """The lowest coverage over disjoint blocks of so many neighbouring bars; `places`: the bar of each row, rising.

    Blocks lie side by side from the first bar on, whether or not each of their bars has a row; a rest is left out, and
    so is a block with fewer than LEAST_ROWS rows. NaN where none is left.
    """
    if not len(places):
        return math.nan
    block = (places - places[0]) // bars
    whole = int(places[-1] - places[0] + 1) // bars
    rows = np.bincount(block, minlength=whole)[:whole]
    kept = np.bincount(block, weights=held, minlength=whole)[:whole]
    enough = rows >= min(LEAST_ROWS, bars)
    return float((kept[enough] / rows[enough]).min()) if enough.any() else math.nan


def interval_score(y: FloatArray, lower: FloatArray, upper: FloatArray, level: float) -> float:
    """The mean interval score, lower is better: width, and 2 / (1 - level) times what an outcome lies outside."""
    outside = np.maximum(lower - y, 0.0) + np.maximum(y - upper, 0.0)
    return float((upper - lower + 2.0 / (1.0 - level) * outside).mean()) if len(y) else math.nan
