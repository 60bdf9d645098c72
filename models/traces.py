"""Traces: what a network did at every bar, its coefficients and its forget gates, from the compiled pass."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from foundation.compilation import rule
from models.features import Float32Array
from models.fitted import TrainedNetwork
from models.recurrence import CellState, step_cell


class Trace(NamedTuple):
    """One network at every row: `head`, its raw values without the sloped part and behind them its coefficients a(h).

    `forget`: the forget gate of each unit of the last layer, from 0 (nothing stays) to 1 (all stays), shape (rows,
    hidden): with f constant a unit's memory is 1 / (1 - f) bars.
    """

    head: Float32Array
    forget: Float32Array


def trace_network(network: TrainedNetwork, features: Float32Array, state: CellState) -> Trace:
    """The trace over rows of features (rows, columns), bar after bar; moves `state` on."""
    cell, scaled = network.cell, np.ascontiguousarray(network.scaled(features))
    head = np.empty((len(scaled), cell.head.shape[1]), np.float32)
    forget = np.empty((len(scaled), state.h.shape[1]), np.float32)
    _trace(scaled, cell.gates, cell.head, state.h, state.c, head, forget)
    return Trace(head, forget)


@rule(makes_arrays=True)
def _trace(
    scaled: Float32Array, gates: Float32Array, weights: Float32Array, h: Float32Array, c: Float32Array,
    head: Float32Array, forget: Float32Array,
) -> None:  # fmt: skip
    bent, room = np.empty(scaled.shape[1], np.float32), np.empty(gates.shape[1], np.float32)
    hidden = h.shape[1]
    for t in range(len(scaled)):
        step_cell(scaled[t], gates, weights, h, c, bent, room, head[t])
        for unit in range(hidden):
            forget[t, unit] = np.float32(1.0) / (np.float32(1.0) + np.exp(-room[hidden + unit]))
