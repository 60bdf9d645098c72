"""Attribution: what each feature of the last bars brought to a network's first raw value, by integrated gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from markets.candles import FloatArray
from models.features import Float32Array
from models.fitted import TrainedNetwork

if TYPE_CHECKING:
    import torch

# Points of the path from the mean input to the input, Gauss-Legendre.
POINTS = 32


class Attributions(NamedTuple):
    """Integrated gradients (Sundararajan, Taly and Yan 2017) of an ensemble's first raw value at the end of windows.

    `values`: shape (windows, bars, columns), the last bar last; they add up to `outputs` less `baseline`, the value of
    a window of mean inputs, but for the error of the integral. The first raw value is what `models/outputs.py` says:
    the mean in trailing volatilities, a score, or the log variance over its base.
    """

    values: FloatArray
    outputs: FloatArray
    baseline: float

    @property
    def gap(self) -> float:
        """The largest difference between the sum of a window's attributions and what they should add up to."""
        return float(np.abs(self.values.sum(axis=(1, 2)) - (self.outputs - self.baseline)).max(initial=0.0))


def attribute(members: Sequence[TrainedNetwork], windows: Float32Array) -> Attributions:
    """The attributions over windows of features, shape (windows, bars, columns), from a fresh state.

    Each member sees features as its own scaler shows them; the baseline is the mean of its training rows throughout.
    """
    import torch
    from captum.attr import IntegratedGradients

    from models.training import one_thread

    shape = (*windows.shape[:2], len(members[0].scaler.centre))
    values, outputs, baselines = np.zeros(shape), np.zeros(len(windows)), []
    with one_thread():
        for member in members:
            network = _module(member)

            def last(inputs: torch.Tensor, network: torch.nn.Module = network) -> torch.Tensor:
                said: torch.Tensor = network(inputs)[0][:, -1, 0]
                return said

            scaled = np.stack([member.scaled(one) for one in windows])
            inputs = torch.from_numpy(scaled)
            made = IntegratedGradients(last).attribute(inputs, baselines=0.0, n_steps=POINTS, internal_batch_size=1024)
            with torch.no_grad():
                outputs += last(inputs).numpy() / len(members)
                baselines.append(float(last(torch.zeros_like(inputs[:1]))[0]))
            values += made.detach().numpy() / len(members)
    return Attributions(values, outputs, float(np.mean(baselines)))


def _module(member: TrainedNetwork) -> torch.nn.Module:
    """The network as torch runs it, in evaluation mode."""
    import torch

    from models.network import ForecastNetwork

    network = ForecastNetwork(len(member.scaler.centre), member.params)
    network.load_state_dict({name: torch.from_numpy(one) for name, one in member.weights.items()})
    return network.eval()
