"""Fitted networks: what training leaves, and how it forecasts, free of torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from markets.candles import FloatArray
from models.features import Float32Array
from models.outputs import read_values
from models.parameters import LSTMParams
from models.recurrence import Cell, CellState, fresh_state, make_cell, run_cell
from models.scaling import Scaler, read_scaler
from models.variance import base_log

Weights = Mapping[str, Float32Array]


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """One network after training: weights, the scaler of its inputs, and how far off it was.

    `base`: the slopes of its variance base, empty for the trailing volatility. `deviation`: the root
    mean square of the next return in its fit rows, in trailing volatilities; it is sigma where none is
    learned. `slope`: the mean next return per unit of a score that is no return, on the validation rows; of a
    volatility, the deviation of the next return per unit of its range's, on fit and validation rows. `level`: of its
    variance after the validation rows, at which recalibration starts; 1 without.
    `steps`: after how many steps the weights were best on the validation rows, whose losses are `loss` (with
    these weights) and `zero_loss` (of a network that says zero everywhere). `device`: where it was trained; on "cuda"
    other than on the CPU by rounding.
    """

    params: LSTMParams
    scaler: Scaler
    weights: Weights
    base: FloatArray
    deviation: float
    slope: float
    steps: int
    loss: float
    zero_loss: float
    device: str = "cpu"
    level: float = 1.0

    @cached_property
    def cell(self) -> Cell:
        """The weights as compiled code takes them."""
        return make_cell(self.weights, self.params)

    @property
    def tail(self) -> float:
        """The degrees of freedom, where the output is a Student t."""
        return 2.0 + math.exp(float(self.weights["tail"][0]))

    def fresh_state(self) -> CellState:
        """The state before the first bar."""
        return fresh_state(self.params)

    def record(self) -> dict[str, Any]:
        """All but weights and settings, as plain values for JSON."""
        return {
            "scaler": self.scaler.record(),
            "base": self.base.tolist(),
            "deviation": self.deviation,
            "slope": self.slope,
            "steps": self.steps,
            "loss": self.loss,
            "zero_loss": self.zero_loss,
            "device": self.device,
            "level": self.level,
        }

    def check_shapes(self) -> None:
        """Raises KeyError or ValueError where a weight is missing or has another shape than these settings ask for."""
        columns, params, hidden = len(self.scaler.centre), self.params, self.params.hidden
        outs = params.raw_values + (columns if params.has_coefficients else 0)
        shapes: dict[str, tuple[int, ...]] = {"head.weight": (outs, hidden), "head.bias": (outs,), "tail": (1,)}
        for layer in range(params.layers):
            shown = hidden if layer else columns
            shapes |= {
                f"lstm.weight_ih_l{layer}": (4 * hidden, shown),
                f"lstm.weight_hh_l{layer}": (4 * hidden, hidden),
            }
            shapes |= {f"lstm.bias_{one}h_l{layer}": (4 * hidden,) for one in "ih"}
        for name, shape in shapes.items():
            if self.weights[name].shape != shape:
                raise ValueError(f"{name} has the shape {self.weights[name].shape}, not {shape}")

    def scaled(self, features: Float32Array) -> Float32Array:
        """What the network is shown of features (rows, columns): the first ones, scaled."""
        return self.scaler.apply(features[:, : len(self.scaler.centre)])

    def raw_values(self, features: Float32Array, state: CellState) -> FloatArray:
        """The raw values at every row of features (rows, columns), bar after bar; moves `state` on."""
        return run_cell(self.cell, self.scaled(features), state).astype(np.float64)

    def forecast(self, features: Float32Array, state: CellState) -> FloatArray:
        """The columns `params.outputs` at every row of features, in trailing volatilities; moves `state` on."""
        columns = features[:, features.shape[1] - len(self.base) :]
        base = base_log(self.base, columns.astype(np.float64), self.params)
        values = self.raw_values(features, state)
        return read_values(values, base, self.params, self.deviation, self.slope, self.tail)


def read_network(record: Mapping[str, Any], weights: Weights, params: LSTMParams) -> TrainedNetwork:
    """The network that `TrainedNetwork.record` and its weights say; raises KeyError, TypeError or ValueError."""
    if not all(np.isfinite(values).all() for values in weights.values()):
        raise ValueError("weights are not finite")
    figures = {name: float(record[name]) for name in ("deviation", "slope", "loss", "zero_loss")}
    base = np.array(record["base"], dtype=np.float64)
    steps, device, level = int(record["steps"]), str(record.get("device", "cpu")), float(record.get("level", 1.0))
    network = TrainedNetwork(
        params, read_scaler(record["scaler"]), weights, base, steps=steps, device=device, level=level, **figures
    )
    network.check_shapes()
    return network
