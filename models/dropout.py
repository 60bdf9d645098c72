"""Dropout: masks that hang on a seed, a step and a place alone, so that every way of training draws the same ones."""

from __future__ import annotations

import torch
from torch import Tensor

# Where a mask acts: on what the LSTM is shown, and on its states before the head.
INPUTS, STATES = 0, 1
_LOW, _STEP = 0xFFFFFFFF, 0x9E3779B1


def step_keys(seeds: Tensor, step: Tensor) -> Tensor:
    """The numbers from which the masks of a step are drawn, shape (2, networks): for INPUTS and for STATES.

    `seeds`: of each network, int64; `step`: counted from 1, int64. 32 bits each.
    """
    keys = _mix(_mix(seeds & _LOW) ^ ((step * _STEP) & _LOW))
    return torch.stack([_mix(keys ^ (place + 1)) for place in (INPUTS, STATES)])


def dropout_mask(keys: Tensor, bars: int, batch: int, width: int, rate: float) -> Tensor:
    """For each network 0 at the share `rate` of places and 1 / (1 - rate) elsewhere, (networks, bars, batch, width).

    `keys`: a number a network. What stands at a place is a hash of key and place, so that no random state is
    kept, on no device, and a network's masks do not depend on those beside it. The hash is lowbias32 (C. Wellons).
    """
    places = torch.arange(bars * batch * width, device=keys.device).view(1, bars, batch, width)
    drawn = _mix((_mix(places) + keys.view(-1, 1, 1, 1)) & _LOW)
    return (drawn >= round(rate * 2**32)).to(torch.float32) / (1.0 - rate)


def _mix(x: Tensor) -> Tensor:
    # Products of 64 bits wrap around; of them the low 32 count.
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _LOW
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _LOW
    return x ^ (x >> 16)
