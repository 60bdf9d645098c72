"""Windows: forecasts that each rest on the last few bars alone, many at a time."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from foundation.compilation import rule
from foundation.products import BESIDE, ROWS, WIDTH, power_of, put_products
from models.features import Float32Array
from models.network import ForecastNetwork, bend
from models.training import one_thread

# Windows of one pass, whose bars the second cache holds beside the weights; the last pass ends where its windows do.
WINDOWS = 480
# What a product is multiplied with so that 1 / (1 + 2^t) is the sigmoid, of the third gate (2^t - 1) / (2^t + 1) tanh.
SCALES = np.array([-1.0, -1.0, 2.0, -1.0]) / math.log(2.0)


def _powers(degree: int) -> tuple[np.float32, ...]:
    """The polynomial, lowest power first, that is (2^r - 1) / r at Chebyshev's points from -1/2 to 1/2."""
    points = 0.5 * np.cos(np.pi * (np.arange(2 * degree + 2)[1::2]) / (2 * degree + 2))
    points[np.abs(points) < 1e-9] = 1e-9
    powers = np.linalg.solve(np.vander(points, increasing=True), np.expm1(math.log(2.0) * points) / points)
    return tuple(powers.astype(np.float32))


# Off by 5e-7 and by 1e-8 of it: in a sigmoid a quarter of the first counts at most, in a tanh all of the second.
_ROUGH, _FINE = _powers(4), _powers(5)
# A float and this have the nearest whole number, and 127, in the last bits of their sum.
_WHOLE, _FAR = np.float32(2.0**23 + 2.0**22 + 127.0), np.float32(32.0)
_ONE, _TWO, _TANGENT = np.float32(1.0), np.float32(2.0), np.float32(SCALES[2])


def forecast_windows(network: ForecastNetwork, scaled: Float32Array, length: int, batch: int = WINDOWS) -> Float32Array:
    """The raw values at the end of every window of `length` rows, shape (rows - length + 1, values).

    Each window starts from a state of zeros, so that a value rests on `length` bars and nothing before; a network
    that is trained on chunks and then run bar after bar says something else. A window's value does not depend on
    which others stand beside it: all sums run in one order, and the head's products are of one size, `batch`.
    """
    count = max(0, len(scaled) - length + 1)
    values: Float32Array = np.empty((count, network.values), np.float32)
    if count == 0:
        return values
    with one_thread(), torch.inference_mode():
        inputs = bend(torch.from_numpy(scaled))
        inputs = torch.cat((inputs, inputs.new_zeros(batch + ROWS, inputs.shape[1])))
        passes = _Passes(network, length, batch)
        for first in range(0, count, batch):
            states = passes.states(inputs[first:].numpy(), min(batch, count - first))
            said = network.read(states, inputs[first + length - 1 :][:batch])
            values[first : first + batch] = said[: count - first].numpy()
    return values


class _Weights(NamedTuple):
    """The weights of a network in blocks of WIDTH units, zeros where the last block has no unit, times SCALES.

    `inputs`: (blocks, columns, gates, WIDTH); `biases`: (layers, blocks, 1, gates, WIDTH); `states`: for the states
    below and before, (layers, blocks, rows, gates, WIDTH), rows in blocks too; the first layer has only those before.
    """

    inputs: Float32Array
    biases: Float32Array
    states: Float32Array


def _packed(network: ForecastNetwork) -> _Weights:
    """The weights of a network, ordered for `put_products`."""
    lstm, own = network.lstm, dict(network.lstm.named_parameters())
    size, layers, blocks = lstm.hidden_size, lstm.num_layers, -(-lstm.hidden_size // WIDTH)

    def columns(rows: Tensor) -> Float32Array:
        """Rows of all gates, (rows, gates x size), as (blocks, rows, gates, WIDTH)."""
        given = rows.numpy().astype(np.float64).reshape(len(rows), BESIDE, size) * SCALES[:, None]
        full = np.zeros((len(rows), BESIDE, blocks * WIDTH), np.float32)
        full[:, :, :size] = given
        return np.ascontiguousarray(full.reshape(len(rows), BESIDE, blocks, WIDTH).transpose(2, 0, 1, 3))

    biases = [columns((own[f"bias_ih_l{layer}"] + own[f"bias_hh_l{layer}"])[None]) for layer in range(layers)]
    states = np.zeros((layers, blocks, 2 * blocks * WIDTH, BESIDE, WIDTH), np.float32)
    for layer in range(layers):
        before = blocks * WIDTH if layer else 0
        if layer:
            states[layer, :, :size] = columns(own[f"weight_ih_l{layer}"].T)
        states[layer, :, before : before + size] = columns(own[f"weight_hh_l{layer}"].T)
    return _Weights(columns(own["weight_ih_l0"].T), np.stack(biases), states)


class _Passes:
    """The states at the ends of windows of `length` bars that begin one bar after the other, a pass at a time."""

    def __init__(self, network: ForecastNetwork, length: int, batch: int) -> None:
        self.weights, self.length, self.hidden = _packed(network), length, network.lstm.hidden_size
        layers, blocks = self.weights.states.shape[:2]
        tiles = -(-batch // ROWS)
        self.shown = np.empty((blocks, tiles * ROWS + length - 1, BESIDE, WIDTH), np.float32)
        self.room = np.empty((blocks, BESIDE, ROWS * WIDTH), np.float32)
        self.h = np.empty((layers * blocks, ROWS * WIDTH), np.float32)
        self.c, self.ends = np.empty_like(self.h), np.zeros((tiles, blocks, ROWS * WIDTH), np.float32)
        self.batch = batch

    def states(self, inputs: Float32Array, count: int) -> Tensor:
        """The states of the last layer, (batch, hidden), of `count` windows whose first rows are the first of `inputs`.

        What stands behind them is left from passes before.
        """
        tiles = -(-count // ROWS)
        inputs = inputs[: tiles * ROWS + self.length - 1]
        show_bars(inputs, self.weights.inputs, self.weights.biases[0], self.shown)
        pass_windows(self.shown, self.weights, self.length, self.room, self.h, self.c, self.ends[:tiles])
        blocks = self.ends.shape[1]
        apart = self.ends.reshape(-1, blocks, ROWS, WIDTH).transpose(0, 2, 1, 3).reshape(-1, blocks * WIDTH)
        return torch.from_numpy(apart[: self.batch, : self.hidden])


@rule(contract=True)
def show_bars(inputs: Float32Array, weights: Float32Array, biases: Float32Array, shown: Float32Array) -> None:
    """What the first layer makes of each bar, once a bar and not once in every window: `shown` (blocks, bars, ...)."""
    for block in range(len(weights)):
        for row in range(len(inputs)):
            made = shown[block, row]
            for gate in range(BESIDE):
                for unit in range(WIDTH):
                    made[gate, unit] = biases[block, 0, gate, unit]
            for column in range(inputs.shape[1]):
                value, factors = inputs[row, column], weights[block, column]
                for gate in range(BESIDE):
                    for unit in range(WIDTH):
                        made[gate, unit] += value * factors[gate, unit]


@rule(contract=True)
def pass_windows(
    shown: Float32Array, weights: _Weights, length: int,
    room: Float32Array, h: Float32Array, c: Float32Array, ends: Float32Array,
) -> None:  # fmt: skip
    """The states of the last layer at the ends of windows, in tiles of ROWS that each go through all of their bars.

    `room`, `h`, `c`: room for a tile, which stays in the first cache: products (blocks, gates, ROWS x WIDTH) and
    states (layers x blocks, ROWS x WIDTH). `ends`: (tiles, blocks, ROWS x WIDTH). States of zeros are not multiplied.
    """
    layers, blocks = weights.states.shape[:2]
    for tile in range(len(ends)):
        h[:] = np.float32(0.0)
        c[:] = np.float32(0.0)
        for bar in range(length):
            for layer in range(layers):
                first = layer * blocks
                read = min(layer, 1) * blocks + (blocks if bar > 0 else 0)
                for block in range(blocks):
                    start, step = weights.biases[layer, block], 0
                    if layer == 0:
                        start, step = shown[block, tile * ROWS + bar :], 1
                    put_products(
                        room[block], start, step, h[max(0, first - blocks) :], read, weights.states[layer, block]
                    )
                for block in range(blocks):
                    move_states(room[block], c[first + block], h[first + block])
        for block in range(blocks):
            for unit in range(ROWS * WIDTH):
                ends[tile, block, unit] = h[len(h) - blocks + block, unit]


@rule(contract=True)
def move_states(gates: Float32Array, c: Float32Array, h: Float32Array) -> None:
    """One bar of a block of units: c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c), in place.

    `gates`: i, f, g and o times SCALES, (4, units). All are fractions, so that c and h take one division each.
    """
    for unit in range(len(c)):
        i, f = below(gates[0, unit]), below(gates[1, unit])
        g, g_low = tangent(gates[2, unit])
        low = i * g_low
        new = np.true_divide(low * c[unit] + g * f, low * f)
        c[unit] = new
        top, bottom = tangent(_TANGENT * new)
        h[unit] = np.true_divide(top, below(gates[3, unit]) * bottom)


@rule(inline=True, contract=True)
def below(t: np.float32) -> np.float32:
    """1 + 2^t, one over the sigmoid of -t log 2; t is held between -32 and 32, and NaN stays NaN."""
    t = -_FAR if t < -_FAR else t
    t = _FAR if t > _FAR else t
    near = t + _WHOLE
    r = t - (near - _WHOLE)
    q = _ROUGH
    return power_of(near) * (_ONE + r * (q[0] + r * (q[1] + r * (q[2] + r * (q[3] + r * q[4]))))) + _ONE


@rule(inline=True, contract=True)
def tangent(t: np.float32) -> tuple[np.float32, np.float32]:
    """2^t - 1 and 2^t + 1, whose ratio is tanh(t / 2 log 2), near zero too; t is held as in `below`."""
    t = -_FAR if t < -_FAR else t
    t = _FAR if t > _FAR else t
    near = t + _WHOLE
    r, power = t - (near - _WHOLE), power_of(near)
    q = _FINE
    top = power * (r * (q[0] + r * (q[1] + r * (q[2] + r * (q[3] + r * (q[4] + r * q[5])))))) + (power - _ONE)
    return top, top + _TWO
