"""Losses and outputs: held to scipy and to plain formulas, values and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from models.losses import LOSSES, Terms
from models.outputs import fit_slope, normal_steps, quantile_sigma, read_score, read_values
from models.parameters import LSTMParams

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
RANDOM = np.random.default_rng(3)
ROWS = 60
VALUES = RANDOM.normal(size=(ROWS, 5)) * 0.4
BASE = RANDOM.normal(size=ROWS) * 0.3
TARGETS = {
    "volatility": RANDOM.exponential(size=ROWS),
    "barrier": RANDOM.integers(-1, 2, ROWS).astype(float),
}
RETURNS = RANDOM.standard_t(4, ROWS)
TAIL = 1.2


def loss(output: str, values: np.ndarray, tail: float = TAIL) -> torch.Tensor:
    """The loss of an output on the fixed targets, in float64, with a gradient."""
    numbers = torch.tensor(values, requires_grad=True)
    before = torch.cat([numbers[:1, 0], numbers[:-1, 0]])
    target = torch.tensor(TARGETS.get(output, RETURNS))
    log_tail = torch.tensor(tail, dtype=torch.float64, requires_grad=True)
    levels = torch.tensor(LEVELS, dtype=torch.float64)
    made = LOSSES[output](Terms(numbers, before, target, torch.tensor(BASE), log_tail, levels, 0.1), torch.mean)
    made.numbers, made.log_tail = numbers, log_tail
    return made


def gaussian(values: np.ndarray, tail: float) -> float:
    """Mean negative log likelihood by scipy, less log(2 pi) / 2."""
    sigma = np.exp(0.5 * (BASE + values[:, 1]))
    return float(-stats.norm.logpdf(RETURNS, values[:, 0], sigma).mean() - 0.5 * math.log(2.0 * math.pi))


def student(values: np.ndarray, tail: float) -> float:
    """Mean negative log likelihood by scipy of a t whose standard deviation, not scale, is sigma."""
    freedom, sigma = 2.0 + math.exp(tail), np.exp(0.5 * (BASE + values[:, 1]))
    scale = sigma * math.sqrt((freedom - 2.0) / freedom)
    return float(-stats.t.logpdf(RETURNS, freedom, values[:, 0], scale).mean())


def pinball(values: np.ndarray, tail: float) -> float:
    """Mean pinball loss of the quantiles that outputs reads."""
    quantiles = columns("quantiles", values)[:, 2:]
    error = RETURNS[:, None] - quantiles
    return float(np.where(error >= 0, np.array(LEVELS) * error, (np.array(LEVELS) - 1) * error).mean())


def qlike(values: np.ndarray, tail: float) -> float:
    """v / h + log h of the variance that outputs reads."""
    variance = (columns("volatility", values)[:, 1] / 0.3) ** 2
    return float((TARGETS["volatility"] / variance + np.log(variance)).mean())


def classes(values: np.ndarray, tail: float) -> float:
    """The mean surprise of the classes under the chances of a softmax."""
    logits = np.column_stack((-values[:, 0], values[:, 1], values[:, 0]))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return float(-np.log(chances[np.arange(ROWS), TARGETS["barrier"].astype(int) + 1]).mean())


def sharpe(values: np.ndarray, tail: float) -> float:
    """Minus mean over deviation of positions' gains less what their changes cost."""
    position = columns("position", values)[:, 2]
    net = position * RETURNS - 0.1 * np.abs(np.diff(position, prepend=position[:1]))
    return float(-net.mean() / math.sqrt(net.var() + 1e-6))


def squared(values: np.ndarray, tail: float) -> float:
    """The mean squared error of the first value."""
    return float(np.square(values[:, 0] - RETURNS).mean())


def columns(output: str, values: np.ndarray) -> np.ndarray:
    """What outputs reads from raw values."""
    params = LSTMParams(output=output, levels=LEVELS)
    return read_values(values[:, : params.raw_values], BASE, params, 1.1, 0.3, 2.0 + math.exp(TAIL))


REFERENCES: dict[str, Callable[[np.ndarray, float], float]] = {
    "mean": squared, "gaussian": gaussian, "student": student, "quantiles": pinball,
    "volatility": qlike, "barrier": classes, "position": sharpe,
}  # fmt: skip


@pytest.mark.parametrize("output", REFERENCES)
def test_values_and_gradients(output: str) -> None:
    """Each loss is the formula in numpy and scipy, and its gradient is that formula's, found by differences."""
    count = LSTMParams(output=output, levels=LEVELS).raw_values
    values = VALUES[:, :count]
    made = loss(output, values)
    assert made.item() == pytest.approx(REFERENCES[output](values, TAIL), rel=1e-12)
    made.backward()
    expected = optimize.approx_fprime(values.ravel(), lambda x: REFERENCES[output](x.reshape(ROWS, count), TAIL), 1e-7)
    np.testing.assert_allclose(made.numbers.grad.numpy().ravel(), expected, atol=2e-7)
    if output == "student":
        slope = optimize.approx_fprime(np.array([TAIL]), lambda x: student(values, float(x[0])), 1e-7)
        assert made.log_tail.grad.item() == pytest.approx(slope[0], abs=1e-6)


def test_a_sigma_used_squared_is_seen() -> None:
    """A variance taken for a deviation is far off in likelihood and in the sigma that is read."""
    values = VALUES[:, :2]
    wrong = -stats.norm.logpdf(RETURNS, values[:, 0], np.exp(BASE + values[:, 1])).mean() - 0.5 * math.log(2 * math.pi)
    assert abs(loss("gaussian", values).item() - wrong) > 0.01
    np.testing.assert_allclose(columns("gaussian", values)[:, 1] ** 2, np.exp(BASE + values[:, 1]))
    np.testing.assert_allclose(columns("volatility", values[:, :1])[:, 1] ** 2, 0.3**2 * np.exp(BASE + values[:, 0]))


def test_a_student_scale_taken_for_its_deviation_is_seen() -> None:
    """Sigma is the standard deviation of the t, not its scale."""
    values = VALUES[:, :2]
    scale = np.exp(0.5 * (BASE + values[:, 1]))
    wrong = -stats.t.logpdf(RETURNS, 2.0 + math.exp(TAIL), values[:, 0], scale).mean()
    assert abs(loss("student", values).item() - wrong) > 0.005


def test_quantiles_rise_and_start_normal() -> None:
    """Quantiles never cross, and the start makes them those of a normal distribution, sigma included."""
    read = columns("quantiles", RANDOM.normal(size=(ROWS, 5)) * 3.0)
    assert (np.diff(read[:, 2:], axis=1) > 0).all()
    start = np.concatenate(([0.0], normal_steps(LEVELS)))
    quantiles = read_values(start[None], np.zeros(1), LSTMParams(output="quantiles"), 1.0, 1.0, 0.0)[:, 2:]
    np.testing.assert_allclose(quantiles[0], stats.norm.ppf(LEVELS), atol=1e-12)
    assert quantile_sigma(quantiles, LEVELS)[0] == pytest.approx(1.0)


def test_what_an_output_says() -> None:
    """A barrier's chance is p(up) + p(none) / 2, a score's mean is its slope times the score, columns are named."""
    up = columns("barrier", VALUES)
    logits = np.column_stack((-VALUES[:, 0], VALUES[:, 1], VALUES[:, 0]))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(up[:, 2], chances[:, 2] + 0.5 * chances[:, 1])
    np.testing.assert_allclose(up[:, 0], 0.3 * (chances[:, 2] - chances[:, 0]))
    np.testing.assert_allclose(columns("position", VALUES)[:, 2], np.tanh(VALUES[:, 0]))
    for output in REFERENCES:
        assert columns(output, VALUES).shape[1] == len(LSTMParams(output=output).outputs)


def test_slope_of_a_score() -> None:
    """The slope is the least-squares one through zero, and no score that went against returns gets a negative one."""
    score = read_score(VALUES, "position")
    assert fit_slope(score, 0.7 * score) == pytest.approx(0.7)
    assert fit_slope(score, -score) == 0.0
    assert fit_slope(np.zeros(3), np.ones(3)) == 0.0
    assert fit_slope(score, np.where(np.arange(ROWS) == 5, np.nan, 0.2 * score)) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": (0.1, 0.9)}, "levels"),
        ({"levels": (0.1, 0.5, 0.4)}, "levels"),
        ({"levels": (0.1, 0.6, 0.9)}, "levels"),
        ({"har_bars": (5, 1)}, "har_bars"),
        ({"har_bars": (0, 1)}, "har_bars"),
        ({"output": "class"}, "output"),
    ],
)
def test_settings_that_make_no_sense(changes: dict[str, Any], message: str) -> None:
    """Levels and windows that do not rise, or an unknown output, are refused by the name of their key."""
    from foundation.errors import ParameterError

    with pytest.raises(ParameterError, match=rf"model\.{message}"):
        LSTMParams(**changes)
