"""Grouped networks: the weights of many ForecastNetworks of one shape side by side, what they say, and their losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.dropout import INPUTS, STATES, dropout_mask
from models.grouped.recurrence import run_recurrence
from models.losses import LOSSES, Chunks, Terms
from models.network import ForecastNetwork, with_slopes
from models.parameters import LSTMParams

Weights = Mapping[str, Tensor]


class Layout(NamedTuple):
    """Where the trained weights of a network stand in a row of numbers: their names and shapes, one after another."""

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]

    def pack(self, networks: Sequence[Weights]) -> Tensor:
        """The trained weights of some networks, shape (networks, numbers)."""
        return torch.stack([torch.cat([one[name].flatten() for name in self.names]) for one in networks])

    def unpack(self, rows: Tensor) -> dict[str, Tensor]:
        """The weights in rows (networks, numbers) by name, each (networks, *its shape); views where torch allows."""
        parts = torch.split(rows, [shape.numel() for shape in self.shapes], dim=1)
        whole = zip(self.names, self.shapes, parts, strict=True)
        return {name: part.view(len(rows), *shape) for name, shape, part in whole}


def layout_of(network: ForecastNetwork) -> Layout:
    """The layout of what training changes in a network: the tail belongs to it under a Student t alone."""
    trained = {name: values.shape for name, values in network.named_parameters() if values.requires_grad}
    return Layout(tuple(trained), tuple(trained.values()))


def raw_values(
    weights: Weights, inputs: Tensor, params: LSTMParams, precision: str, keys: Tensor | None = None
) -> Tensor:
    """What ForecastNetwork says, for many networks: (groups, bars, batch, values) of bent inputs (..., columns).

    Time comes before the batch, unlike in a ForecastNetwork. `keys`: those of models/dropout.py for a step with
    dropout, None without any.
    """
    shown = inputs if keys is None else _dropped(inputs, keys[INPUTS], params)
    for layer in range(params.layers):
        bias = weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]
        made = _linear(shown, weights[f"lstm.weight_ih_l{layer}"], bias)
        shown = run_recurrence(made, weights[f"lstm.weight_hh_l{layer}"], precision)
    shown = shown if keys is None else _dropped(shown, keys[STATES], params)
    return with_slopes(_linear(shown, weights["head.weight"], weights["head.bias"]), inputs, params.raw_values)


def _dropped(values: Tensor, keys: Tensor, params: LSTMParams) -> Tensor:
    _, bars, batch, width = values.shape
    return values * dropout_mask(keys, bars, batch, width, params.dropout)


def _linear(shown: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    groups, bars, batch, columns = shown.shape
    rows = shown.reshape(groups, bars * batch, columns)
    return torch.baddbmm(bias.unsqueeze(1), rows, weights.transpose(1, 2)).view(groups, bars, batch, -1)


def grouped_losses(
    weights: Weights, chunks: Chunks, params: LSTMParams, levels: Tensor, precision: str, keys: Tensor | None = None
) -> Tensor:
    """The loss of each network over the bars of its chunks that have a target, shape (groups,).

    `inputs` (groups, bars, batch, columns), bent; `target` and `base` (groups, later bars, batch): those of the last
    bars alone, as the first ones only warm the state. `levels`: those of the settings; `keys`: of a dropout. A network
    without any target has the loss NaN.
    """
    groups, later = chunks.target.shape[:2]
    said = raw_values(weights, chunks.inputs, params, precision, keys)
    before = torch.cat([said[:, :1, :, 0], said[:, :-1, :, 0]], dim=1)[:, -later:].flatten(1)
    values = said[:, -later:].flatten(1, 2)
    target, base = chunks.target.flatten(1), chunks.base.flatten(1)
    known = ~torch.isnan(target)
    count = known.sum(dim=1)

    def mean(losses: Tensor) -> Tensor:
        """The mean over the bars of each group that have a target, and over what each bar has several of."""
        single = losses.unsqueeze(-1) if losses.dim() == 2 else losses
        return torch.where(known.unsqueeze(-1), single, 0.0).sum(dim=(1, 2)) / (count * single.shape[2])

    # Where no loss is wanted the numbers are set to zero first, so that no NaN comes back through the gradient.
    target, base = torch.where(known, target, 0.0), torch.where(known, base, 0.0)
    tail = weights["tail"][:, 0] if "tail" in weights else values.new_zeros(groups)
    terms = Terms(values, before, target, base, tail, levels, params.turnover_cost)
    return LOSSES[params.output](terms, mean)
