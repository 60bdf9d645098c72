"""Losses: how wrong a network's raw values are, one function for each output (models/outputs.py reads the values)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

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
    """What a loss is made of, one row for each bar that has a target y.

    `values`: raw, (bars, values); `before`: the first value one bar earlier; `tail`: log(degrees of freedom - 2).
    """

    values: Tensor
    before: Tensor
    target: Tensor
    base: Tensor
    tail: Tensor
    levels: Tensor
    turnover_cost: float


def network_loss(network: ForecastNetwork, chunks: Chunks, params: LSTMParams) -> Tensor:
    """The loss of the network's output over the bars of some chunks that have a target."""
    values, known = network(chunks.inputs)[0], ~torch.isnan(chunks.target)
    before = torch.cat([values[:, :1, 0], values[:, :-1, 0]], dim=1)
    levels = torch.tensor(params.levels, dtype=values.dtype)
    terms = Terms(
        values[known], before[known], chunks.target[known], chunks.base[known],
        network.tail[0], levels, params.turnover_cost,
    )  # fmt: skip
    return LOSSES[params.output](terms)


def squared_error(terms: Terms) -> Tensor:
    """The mean of (y - m)^2, m the first value."""
    return torch.square(terms.values[:, 0] - terms.target).mean()


def gaussian_loss(terms: Terms) -> Tensor:
    """The mean negative log likelihood of y under N(m, s^2), log s^2 = base + d, less the constant log(2 pi) / 2."""
    error, log_variance = terms.target - terms.values[:, 0], terms.base + terms.values[:, 1]
    return 0.5 * (log_variance + torch.square(error) * torch.exp(-log_variance)).mean()


def student_loss(terms: Terms) -> Tensor:
    """The mean negative log likelihood of y under Student's t of mean m, VARIANCE s^2 and nu degrees of freedom.

    log s^2 = base + d; nu = 2 + exp(tail), one number for the whole network.
    """
    error, log_variance = terms.target - terms.values[:, 0], terms.base + terms.values[:, 1]
    tail = torch.exp(terms.tail)
    constant = torch.lgamma(0.5 * (tail + 2.0)) - torch.lgamma(0.5 * (tail + 3.0)) + 0.5 * torch.log(math.pi * tail)
    scaled = torch.square(error) * torch.exp(-log_variance) / tail
    return constant + 0.5 * (log_variance + (tail + 3.0) * torch.log1p(scaled)).mean()


def pinball_loss(terms: Terms) -> Tensor:
    """The pinball loss max(p e, (p - 1) e), e = y - quantile_p, averaged over bars and probabilities p."""
    quantiles = spread_quantiles(terms.values, torch.exp(0.5 * terms.base))
    error = terms.target.unsqueeze(-1) - quantiles
    return torch.maximum(terms.levels * error, (terms.levels - 1.0) * error).mean()


def spread_quantiles(values: Tensor, scale: Tensor) -> Tensor:
    """Quantiles (rows, levels) that never cross: the median is the first value, the others exp(value) x scale apart.

    Values 1, 2 ... step upwards from the median, the rest downwards.
    """
    steps = torch.exp(values[:, 1:]) * scale.unsqueeze(-1)
    half = steps.shape[1] // 2
    median, above, below = values[:, :1], steps[:, :half].cumsum(1), steps[:, half:].cumsum(1)
    return torch.cat([median - below.flip(1), median, median + above], dim=1)


def qlike_loss(terms: Terms) -> Tensor:
    """The mean of v / h + log h, log h = base + d: QLIKE without what no forecast can change (Patton 2011)."""
    log_variance = terms.base + terms.values[:, 0]
    return (terms.target * torch.exp(-log_variance) + log_variance).mean()


def class_loss(terms: Terms) -> Tensor:
    """The mean cross-entropy of the classes -1, 0, 1 under softmax(-s, n, s), with the values s and n."""
    side, none = terms.values[:, 0], terms.values[:, 1]
    logits = torch.stack([-side, none, side], dim=-1)
    return nn.functional.cross_entropy(logits, terms.target.long() + 1)


def sharpe_loss(terms: Terms) -> Tensor:
    """Minus the Sharpe ratio of one bar of p_t y_t - cost |p_t - p_(t-1)|, p = tanh(value), over all bars."""
    position = torch.tanh(terms.values[:, 0])
    turnover = (position - torch.tanh(terms.before)).abs()
    net = position * terms.target - terms.turnover_cost * turnover
    return -net.mean() / torch.sqrt(net.var(correction=0) + LEAST_DEVIATION**2)


LOSSES: dict[str, Callable[[Terms], Tensor]] = {
    "mean": squared_error,
    "gaussian": gaussian_loss,
    "student": student_loss,
    "quantiles": pinball_loss,
    "volatility": qlike_loss,
    "barrier": class_loss,
    "position": sharpe_loss,
}
