"""Losses: how wrong a network's raw values are, one function for each output. models/outputs.py reads the same values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

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


def squared_error(values: Tensor, chunks: Chunks, network: nn.Module, params: LSTMParams) -> Tensor:
    """The mean of (y - m)^2, m the first value."""
    known = ~torch.isnan(chunks.target)
    return torch.square(values[..., 0][known] - chunks.target[known]).mean()


def gaussian_loss(values: Tensor, chunks: Chunks, network: nn.Module, params: LSTMParams) -> Tensor:
    """The mean negative log likelihood of y under N(m, s^2), log s^2 = base + d, less the constant log(2 pi) / 2."""
    known = ~torch.isnan(chunks.target)
    error, log_variance = chunks.target[known] - values[..., 0][known], (chunks.base + values[..., 1])[known]
    return 0.5 * (log_variance + torch.square(error) * torch.exp(-log_variance)).mean()


def student_loss(values: Tensor, chunks: Chunks, network: nn.Module, params: LSTMParams) -> Tensor:
    """The mean negative log likelihood of y under Student's t of mean m, VARIANCE s^2 and nu degrees of freedom.

    log s^2 = base + d; nu = 2 + exp(tail), one number for the whole network.
    """
    known = ~torch.isnan(chunks.target)
    error, log_variance = chunks.target[known] - values[..., 0][known], (chunks.base + values[..., 1])[known]
    tail = torch.exp(network.tail)
    constant = torch.lgamma(0.5 * (tail + 2.0)) - torch.lgamma(0.5 * (tail + 3.0)) + 0.5 * torch.log(math.pi * tail)
    scaled = torch.square(error) * torch.exp(-log_variance) / tail
    return constant + 0.5 * (log_variance + (tail + 3.0) * torch.log1p(scaled)).mean()


def pinball_loss(values: Tensor, chunks: Chunks, network: nn.Module, params: LSTMParams) -> Tensor:
    """The pinball loss max(p e, (p - 1) e), e = y - quantile_p, averaged over bars and probabilities p."""
    known = ~torch.isnan(chunks.target)
    quantiles = spread_quantiles(values[known], torch.exp(0.5 * chunks.base[known]))
    error = chunks.target[known].unsqueeze(-1) - quantiles
    levels = torch.tensor(params.levels, dtype=error.dtype)
    return torch.maximum(levels * error, (levels - 1.0) * error).mean()


def spread_quantiles(values: Tensor, scale: Tensor) -> Tensor:
    """Quantiles (rows, levels) that never cross: the median is the first value, the others lie exp(value) x scale apart.

    Values 1, 2 ... step upwards from the median, the rest downwards.
    """
    steps = torch.exp(values[:, 1:]) * scale.unsqueeze(-1)
    half = steps.shape[1] // 2
    median, above, below = values[:, :1], steps[:, :half].cumsum(1), steps[:, half:].cumsum(1)
    return torch.cat([median - below.flip(1), median, median + above], dim=1)


def qlike_loss(values: Tensor, chunks: Chunks, network: nn.Module, params: LSTMParams) -> Tensor:
    """The mean of v / h + log h, log h = base + d: QLIKE without what no forecast can change (Patton 2011)."""
    known = ~torch.isnan(chunks.target)
    log_variance = (chunks.base + values[..., 0])[known]
    return (chunks.target[known] * torch.exp(-log_variance) + log_variance).mean()


def class_loss(values: Tensor, chunks: Chunks, network: nn.Module, params: LSTMParams) -> Tensor:
    """The mean cross-entropy of the classes -1, 0, 1 under softmax(-s, n, s), with the values s and n."""
    known = ~torch.isnan(chunks.target)
    side, none = values[..., 0][known], values[..., 1][known]
    logits = torch.stack([-side, none, side], dim=-1)
    return nn.functional.cross_entropy(logits, chunks.target[known].long() + 1)


def sharpe_loss(values: Tensor, chunks: Chunks, network: nn.Module, params: LSTMParams) -> Tensor:
    """Minus the Sharpe ratio of one bar of p_t y_t - cost |p_t - p_(t-1)|, p = tanh(value), over all bars of all chunks."""
    known = ~torch.isnan(chunks.target)
    position = torch.tanh(values[..., 0])
    turnover = torch.diff(position, dim=1, prepend=position[:, :1]).abs()
    net = (position * chunks.target)[known] - params.turnover_cost * turnover[known]
    return -net.mean() / torch.sqrt(net.var(correction=0) + LEAST_DEVIATION**2)


Loss = Callable[[Tensor, Chunks, nn.Module, LSTMParams], Tensor]
LOSSES: dict[str, Loss] = {
    "mean": squared_error,
    "gaussian": gaussian_loss,
    "student": student_loss,
    "quantiles": pinball_loss,
    "volatility": qlike_loss,
    "barrier": class_loss,
    "position": sharpe_loss,
}
