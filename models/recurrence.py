"""Recurrence: the LSTM and its head in compiled code, one bar at a time, free of torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from foundation.compilation import rule
from markets.candles import FloatArray
from models.features import Float32Array
from models.parameters import LSTMParams

BOUND = np.float32(4.0)
ONE = np.float32(1.0)


class Cell(NamedTuple):
    """The weights of one network as compiled code takes them, float32, one column a gate or value.

    `gates`: for each layer the rows of its inputs, of its state before, and one of biases, below each
    other; (rows, 4 x hidden), gates in the order input, forget, cell, output. `head`: rows of the state
    and one of biases; (hidden + 1, values + columns with coefficients).
    """

    gates: Float32Array
    head: Float32Array
    values: int


class CellState(NamedTuple):
    """The state of one network between two bars: `h` and `c`, float32, shape (layers, hidden)."""

    h: Float32Array
    c: Float32Array


def make_cell(weights: Mapping[str, Float32Array], params: LSTMParams) -> Cell:
    """The cell of nn.LSTM and nn.Linear weights by their names in torch."""
    rows = []
    for layer in range(params.layers):
        rows += [weights[f"lstm.weight_ih_l{layer}"].T, weights[f"lstm.weight_hh_l{layer}"].T]
        rows.append((weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"])[None, :])
    head = np.vstack((weights["head.weight"].T, weights["head.bias"][None, :]))
    gates = np.ascontiguousarray(np.vstack(rows), dtype=np.float32)
    return Cell(gates, np.ascontiguousarray(head, dtype=np.float32), params.raw_values)


def fresh_state(params: LSTMParams) -> CellState:
    """The state before the first bar: zeros."""
    shape = (params.layers, params.hidden)
    return CellState(np.zeros(shape, np.float32), np.zeros(shape, np.float32))


def run_cell(cell: Cell, scaled: Float32Array, state: CellState) -> Float32Array:
    """The raw values at every row of scaled features, shape (rows, values). Moves `state` on to the last row."""
    values: Float32Array = np.empty((len(scaled), cell.values), np.float32)
    _scan(np.ascontiguousarray(scaled), cell.gates, cell.head, state.h, state.c, values)
    return values


@rule(makes_arrays=True)
def _scan(
    scaled: Float32Array, gates: Float32Array, head: Float32Array,
    h: Float32Array, c: Float32Array, values: Float32Array,
) -> None:  # fmt: skip
    bent, room = np.empty(scaled.shape[1], np.float32), np.empty(gates.shape[1], np.float32)
    out = np.empty(head.shape[1], np.float32)
    for t in range(len(scaled)):
        step_cell(scaled[t], gates, head, h, c, bent, room, out)
        _say(out, bent, values[t])


def run_cells(
    features: Float32Array, scalers: tuple[FloatArray, FloatArray], weights: tuple[Float32Array, Float32Array],
    state: CellState, values: int,
) -> Float32Array:  # fmt: skip
    """The raw values of several networks at every row of the same features, shape (members, rows, values).

    `scalers`: centres and spreads (members, columns) of the first columns; `weights`: gates and heads of each Cell;
    `state`: (members, layers, hidden), moved on to the last row. The bits are those of `run_cell` on scaled rows.
    """
    said: Float32Array = np.empty((len(scalers[0]), len(features), values), np.float32)
    _scan_members(features, *scalers, *weights, state.h, state.c, said)
    return said


@rule(makes_arrays=True)
def _scan_members(
    features: Float32Array, centres: FloatArray, spreads: FloatArray, gates: Float32Array, heads: Float32Array,
    h: Float32Array, c: Float32Array, values: Float32Array,
) -> None:  # fmt: skip
    columns = centres.shape[1]
    scaled, bent = np.empty(columns, np.float32), np.empty(columns, np.float32)
    room, out = np.empty(gates.shape[2], np.float32), np.empty(heads.shape[2], np.float32)
    for member in range(len(centres)):
        for t in range(len(features)):
            for column in range(columns):
                scaled[column] = (features[t, column] - centres[member, column]) / spreads[member, column]
            step_cell(scaled, gates[member], heads[member], h[member], c[member], bent, room, out)
            _say(out, bent, values[member, t])


@rule
def _say(out: Float32Array, bent: Float32Array, values: Float32Array) -> None:
    """The raw values of one bar: those of the head, and in the first what its coefficients make of the inputs."""
    for value in range(len(values)):
        values[value] = out[value]
    for column in range(len(out) - len(values)):
        values[0] += out[len(values) + column] * bent[column]


@rule
def step_cell(
    scaled: Float32Array, gates: Float32Array, head: Float32Array, h: Float32Array, c: Float32Array,
    bent: Float32Array, room: Float32Array, out: Float32Array,
) -> None:  # fmt: skip
    """One bar: i, f, o = sigmoid(.), g = tanh(.) of W x + U h + b; c = f c + i g; h = o tanh(c); out = V h + d.

    `bent` takes BOUND tanh(scaled / BOUND), `room` the gates, `out` the head's values and coefficients.
    """
    hidden = h.shape[1]
    for column in range(len(scaled)):
        bent[column] = BOUND * math.tanh(scaled[column] / BOUND)
    first = 0
    for layer in range(len(h)):
        shown = bent if layer == 0 else h[layer - 1]
        last = first + len(shown) + hidden
        for column in range(len(room)):
            room[column] = gates[last, column]
        _add(room, gates, first, shown)
        _add(room, gates, first + len(shown), h[layer])
        for unit in range(hidden):
            kept = _sigmoid(room[hidden + unit]) * c[layer, unit]
            c[layer, unit] = kept + _sigmoid(room[unit]) * math.tanh(room[2 * hidden + unit])
            h[layer, unit] = _sigmoid(room[3 * hidden + unit]) * math.tanh(c[layer, unit])
        first = last + 1
    for column in range(len(out)):
        out[column] = head[hidden, column]
    _add(out, head, 0, h[len(h) - 1])


@rule
def _add(room: Float32Array, weights: Float32Array, first: int, shown: Float32Array) -> None:
    """Adds shown x weights to `room`, row by row, so that the inner loop runs along memory."""
    for row in range(len(shown)):
        value = shown[row]
        for column in range(len(room)):
            room[column] += weights[first + row, column] * value


@rule
def _sigmoid(value: np.float32) -> np.float32:
    return ONE / (ONE + np.float32(math.exp(-value)))
