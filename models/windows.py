"""Windows: forecasts that each rest on the last few bars alone, many at a time."""

from __future__ import annotations

import numpy as np
import torch

from models.features import Float32Array
from models.network import ForecastNetwork, bend
from models.training import one_thread

# Windows of one pass: larger ones leave the processor's caches.
WINDOWS = 192


def forecast_windows(network: ForecastNetwork, scaled: Float32Array, length: int, batch: int = WINDOWS) -> Float32Array:
    """The raw values at the end of every window of `length` rows, shape (rows - length + 1, values).

    Each window starts from a state of zeros, so that a value rests on `length` bars and nothing before; a network
    that is trained on chunks and then run bar after bar says something else. All passes are of one size, the
    last one filled up, so that a window's value does not depend on which others stand beside it.
    """
    count = max(0, len(scaled) - length + 1)
    values: Float32Array = np.empty((count, network.values), np.float32)
    if count == 0:
        return values
    with one_thread(), torch.inference_mode():
        # Each bar is bent once, not in every window; time comes first in memory, as the recurrence takes it.
        windows = bend(torch.from_numpy(scaled)).unfold(0, length, 1).permute(2, 0, 1)
        for first in range(0, count, batch):
            kept = min(batch, count - first)
            rows = windows[:, first : first + kept]
            filled = rows if kept == batch else rows[:, torch.arange(batch).clamp(max=kept - 1)]
            inputs = filled.contiguous().transpose(0, 1)
            hidden = network.lstm(inputs)[0][:, -1]
            values[first : first + kept] = network.read(hidden, inputs[:, -1])[:kept].numpy()
    return values
