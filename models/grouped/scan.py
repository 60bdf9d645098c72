"""Scan: the recurrence of many LSTMs at once in plain torch, one product a step, for states too large for the kernels.

Both functions write what the kernels of models/grouped/kernels.py write, into tensors of the same shapes. Gates lie in
the order input, forget, cell, output.
"""

from __future__ import annotations

import torch
from torch import Tensor


def scan_forward(shown: Tensor, weights: Tensor, hidden: Tensor, cell: Tensor, gates: Tensor, *, keep: bool) -> None:
    """h_t and, with `keep`, c_t and the gates at every step, from a state of zeros.

    `shown` (groups, steps, batch, 4 units): W x + b; `weights` (groups, 4 units, units); `hidden`, `cell` (groups,
    steps + 1, batch, units), whose first step holds zeros; `gates` as `shown`.
    """
    units, turned = hidden.shape[-1], weights.transpose(1, 2)
    c = torch.zeros_like(hidden[:, 0])
    for step in range(shown.shape[1]):
        made = torch.baddbmm(shown[:, step], hidden[:, step], turned)
        i, f, g, o = made.chunk(4, dim=-1)
        made[..., : 2 * units].sigmoid_()
        g.tanh_()
        o.sigmoid_()
        c = torch.addcmul(f * c, i, g)
        hidden[:, step + 1] = o * c.tanh()
        if keep:
            cell[:, step + 1] = c
            gates[:, step] = made


def scan_back(weights: Tensor, slopes: Tensor, cell: Tensor, gates: Tensor) -> None:
    """Replaces the gates by the derivatives of the loss with respect to what they are made of.

    `slopes` (groups, steps, batch, units): those with respect to h_t, but for what goes through later steps.
    """
    dh = dc = torch.zeros_like(cell[:, 0])
    for step in reversed(range(slopes.shape[1])):
        i, f, g, o = gates[:, step].chunk(4, dim=-1)
        bent = cell[:, step + 1].tanh()
        dh = dh + slopes[:, step]
        dc = torch.addcmul(dc, dh * o, 1.0 - bent * bent)
        df = dc * cell[:, step] * f * (1.0 - f)
        made = torch.cat([dc * g * i * (1.0 - i), df, dc * i * (1.0 - g * g), dh * bent * o * (1.0 - o)], dim=-1)
        dc = dc * f
        gates[:, step] = made
        dh = torch.bmm(made, weights)
