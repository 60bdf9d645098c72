"""Losses: how wrong a network's raw values are, one function for each output (models/outputs.py reads the values)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from models.network import ForecastNetwork
from models.parameters import LSTMParams

# Keeps the gradient of the Sharpe ratio finite where a network takes no position yet.
LEAST_DEVIATION = 1e-3


class Chunks(NamedTuple):
    """A batch of chunks: `inputs` (batch, bars, columns), and (batch, bars) `target` and `base`.

    `target` is NaN where no loss is wanted; `base`: log(variance of the base / trailing volatility^2).
    """

    inputs: Tensor
    target: Tensor
    base: Tensor


class Terms(NamedTuple):
    """What a loss is made of, one row for each bar that has a target y; or (groups, bars) of them.

    `values`: raw, (..., bars, values); `before`: the first value one bar earlier; `tail`: log(degrees of freedom - 2).
    """

    values: Tensor
    before: Tensor
    target: Tensor
    base: Tensor
    tail: Tensor
    levels: Tensor
    turnover_cost: float


# The mean over the bars of one network: Tensor.mean, or that of each group apart (models/grouped/network.py).
Mean = Callable[[Tensor], Tensor]


def network_loss(network: ForecastNetwork, chunks: Chunks, params: LSTMParams) -> Tensor:
    """The loss of the network's output over the bars of some chunks that have a target."""
    values, known = network(chunks.inputs)[0], ~torch.isnan(chunks.target)
    before = torch.cat([values[:, :1, 0], values[:, :-1, 0]], dim=1)
    levels = torch.tensor(params.levels, dtype=values.dtype)
    terms = Terms(
        values[known], before[known], chunks.target[known], chunks.base[known],
        network.tail[0], levels, params.turnover_cost,
    )  # fmt: skip
    return LOSSES[params.output](terms, torch.mean)


def squared_error(terms: Terms, mean: Mean) -> Tensor:
    """The mean of (y - m)^2, m the first value."""
    return mean(torch.square(terms.values[..., 0] - terms.target))


def gaussian_loss(terms: Terms, mean: Mean) -> Tensor:
    """The mean negative log likelihood of y under N(m, s^2), log s^2 = base + d, less the constant log(2 pi) / 2."""
    error, log_variance = terms.target - terms.values[..., 0], terms.base + terms.values[..., 1]
    return 0.5 * mean(log_variance + torch.square(error) * torch.exp(-log_variance))


def student_loss(terms: Terms, mean: Mean) -> Tensor:
    """The mean negative log likelihood of y under Student's t of mean m, VARIANCE s^2 and nu degrees of freedom.

    log s^2 = base + d; nu = 2 + exp(tail), one number for the whole network.
    """
    error, log_variance = terms.target - terms.values[..., 0], terms.base + terms.values[..., 1]
    tail = torch.exp(terms.tail)
    constant = torch.lgamma(0.5 * (tail + 2.0)) - torch.lgamma(0.5 * (tail + 3.0)) + 0.5 * torch.log(math.pi * tail)
    spread = tail.unsqueeze(-1)
    scaled = torch.square(error) * torch.exp(-log_variance) / spread
    return constant + 0.5 * mean(log_variance + (spread + 3.0) * torch.log1p(scaled))


def pinball_loss(terms: Terms, mean: Mean) -> Tensor:
    """The pinball loss max(p e, (p - 1) e), e = y - quantile_p, averaged over bars and probabilities p."""
    quantiles = spread_quantiles(terms.values, torch.exp(0.5 * terms.base))
    error = terms.target.unsqueeze(-1) - quantiles
    return mean(torch.maximum(terms.levels * error, (terms.levels - 1.0) * error))


def spread_quantiles(values: Tensor, scale: Tensor) -> Tensor:
    """Quantiles (..., rows, levels) that never cross: the median is the first value, the others exp(value) scale apart.

    Values 1, 2 ... step upwards from the median, the rest downwards.
    """
    steps = torch.exp(values[..., 1:]) * scale.unsqueeze(-1)
    half = steps.shape[-1] // 2
    median, above, below = values[..., :1], steps[..., :half].cumsum(-1), steps[..., half:].cumsum(-1)
    return torch.cat([median - below.flip(-1), median, median + above], dim=-1)


def qlike_loss(terms: Terms, mean: Mean) -> Tensor:
    """The mean of v / h + log h, log h = base + d: QLIKE without what no forecast can change (Patton 2011)."""
    log_variance = terms.base + terms.values[..., 0]
    return mean(terms.target * torch.exp(-log_variance) + log_variance)


def class_loss(terms: Terms, mean: Mean) -> Tensor:
    """The mean cross-entropy of the classes -1, 0, 1 under softmax(-s, n, s), with the values s and n."""
    side, none = terms.values[..., 0], terms.values[..., 1]
    logs = torch.log_softmax(torch.stack([-side, none, side], dim=-1), dim=-1)
    return -mean(logs.gather(-1, terms.target.long().unsqueeze(-1) + 1).squeeze(-1))


def sharpe_loss(terms: Terms, mean: Mean) -> Tensor:
    """Minus the Sharpe ratio of one bar of p_t y_t - cost |p_t - p_(t-1)|, p = tanh(value), over all bars."""
    position = torch.tanh(terms.values[..., 0])
    turnover = (position - torch.tanh(terms.before)).abs()
    net = position * terms.target - terms.turnover_cost * turnover
    middle = mean(net)
    variance = mean(torch.square(net - middle.unsqueeze(-1)))
    return -middle / torch.sqrt(variance + LEAST_DEVIATION**2)


LOSSES: dict[str, Callable[[Terms, Mean], Tensor]] = {
    "mean": squared_error,
    "gaussian": gaussian_loss,
    "student": student_loss,
    "quantiles": pinball_loss,
    "volatility": qlike_loss,
    "barrier": class_loss,
    "position": sharpe_loss,
}
