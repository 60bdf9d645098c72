"""Starts: what a network says before its first training step, from regressions on its fit rows."""

from __future__ import annotations

import torch
from torch import Tensor

from models.losses import Chunks, Terms, student_loss
from models.network import ForecastNetwork, bend
from models.outputs import normal_steps
from models.parameters import LSTMParams

# The penalty of the ridge regression counts as this many rows.
RIDGE = 100.0
# Degrees of freedom at which the tail of a Student t may start.
DEGREES = (2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 30.0)


def start_network(network: ForecastNetwork, fit: Chunks, params: LSTMParams) -> None:
    """Puts the simplest fit of the output on the fit rows into the head of an untrained network.

    Outputs that forecast a return: the ridge regression of the target on the bent inputs, and the level of
    the variance over its base, and the likeliest tail of a Student t. `volatility`: that level. `barrier`: the
    shares of the three classes.
    `position`: the regression, in half its standard deviations.
    """
    known = ~torch.isnan(fit.target)
    target, base = fit.target[known].double(), fit.base[known].double()
    constants = torch.zeros(params.raw_values, dtype=torch.float64)
    slopes = torch.zeros(fit.inputs.shape[1], dtype=torch.float64)
    if params.output == "barrier":
        constants[0], constants[1] = _class_values(target)
    elif params.output == "volatility":
        constants[0] = _level(target, base)
    else:
        inputs = bend(fit.inputs)[known].double()
        constants[0], slopes = _ridge(inputs, target)
        if params.output == "position":
            spread = (constants[0] + inputs @ slopes).std() + 1e-12
            constants[0], slopes = 0.5 * constants[0] / spread, 0.5 * slopes / spread
        if params.output in ("gaussian", "student"):
            constants[1] = _level(torch.square(target), base)
        if params.output == "student":
            _start_tail(network, target - constants[0] - inputs @ slopes, base + constants[1])
        if params.output == "quantiles":
            level = 0.5 * _level(torch.square(target), base)
            constants[1:] = torch.tensor(normal_steps(params.levels), dtype=torch.float64) + level
    network.start_from(constants.float(), slopes.float())


def _ridge(inputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Constant and slopes of the ridge regression of the target on the inputs."""
    design = torch.cat([torch.ones(len(inputs), 1, dtype=torch.float64), inputs], dim=1)
    penalty = RIDGE * torch.eye(design.shape[1], dtype=torch.float64)
    solved = torch.linalg.solve(design.T @ design + penalty, design.T @ target)
    return solved[0], solved[1:]


def _start_tail(network: ForecastNetwork, error: Tensor, log_variance: Tensor) -> None:
    """Sets the tail to the likeliest of DEGREES for errors of these variances.

    A tail that starts too thin is still so after the few steps of a training, and sigma, the deviation of the t, is
    then too low.
    """
    values = torch.stack([torch.zeros_like(error), log_variance], dim=-1)
    tails = torch.tensor(DEGREES, dtype=torch.float64).sub(2.0).log()
    terms = Terms(values, error, error, torch.zeros_like(error), tails[0], tails, 0.0)
    losses = torch.stack([student_loss(terms._replace(tail=tail), torch.mean) for tail in tails])
    with torch.no_grad():
        network.tail.fill_(tails[losses.argmin()].item())


def _level(variance: Tensor, base: Tensor) -> Tensor:
    """The log of the mean of variance / exp(base)."""
    return torch.log((variance * torch.exp(-base)).mean() + 1e-12)


def _class_values(labels: Tensor) -> tuple[Tensor, Tensor]:
    """The values s and n under which softmax(-s, n, s) gives the shares of the labels -1, 0 and 1."""
    # One row more in each class keeps the logarithm of an absent one finite.
    down, none, up = (torch.log((labels == label).sum() + 1.0) for label in (-1, 0, 1))
    return 0.5 * (up - down), none - 0.5 * (up + down)
