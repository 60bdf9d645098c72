"""Windows: forecasts that each rest on the last few bars alone, many at a time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from foundation.compilation import rule
from models.features import Float32Array
from models.network import ForecastNetwork, bend
from models.training import one_thread

# Windows of one pass: of larger ones the last is emptier, and they leave the processor's caches.
WINDOWS = 192
# tanh(x) = x P(x^2) / Q(x^2) with these factors, the lowest power first, to some 3e-7 of its value; beyond BEYOND it
# is 1 in float32. The fit is that of Eigen's vectorised tanh (Eigen/src/Core/MathFunctionsImpl.h), where it comes from.
_P = tuple(np.float32(factor) for factor in (
    4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08, -8.60467152213735e-11,
    2.00018790482477e-13, -2.76076847742355e-16,
))  # fmt: skip
_Q = tuple(
    np.float32(f) for f in (4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06)
)
BEYOND, HALF = np.float32(7.9), np.float32(0.5)


def forecast_windows(network: ForecastNetwork, scaled: Float32Array, length: int, batch: int = WINDOWS) -> Float32Array:
    """The raw values at the end of every window of `length` rows, shape (rows - length + 1, values).

    Each window starts from a state of zeros, so that a value rests on `length` bars and nothing before; a network
    that is trained on chunks and then run bar after bar says something else. All products are of one size, the
    last ones filled up, so that a window's value does not depend on which others stand beside it.
    """
    count = max(0, len(scaled) - length + 1)
    values: Float32Array = np.empty((count, network.values), np.float32)
    if count == 0:
        return values
    with one_thread(), torch.inference_mode():
        inputs = bend(torch.from_numpy(scaled))
        room = -(-(count + batch + length) // batch) * batch
        inputs = torch.cat((inputs, inputs.new_zeros(room - len(inputs), inputs.shape[1])))
        passes = _Passes(network, inputs, batch)
        for first in range(0, count, batch):
            said = network.read(passes.states(first, length), inputs[first + length - 1 :][:batch])
            values[first : first + batch] = said[: count - first].numpy()
    return values


class _Passes:
    """The states of windows that begin one bar after the other, a pass of a batch at a time.

    `inputs`: a multiple of `batch` rows. What the first layer makes of a bar is multiplied once a bar, not once in
    every window. Later layers take the state below and their own in one product: both stand side by side in `h`,
    shape (batch, layers x hidden).
    """

    def __init__(self, network: ForecastNetwork, inputs: Tensor, batch: int) -> None:
        lstm, self.hidden = network.lstm, network.lstm.hidden_size
        own = dict(lstm.named_parameters())
        biases = [own[f"bias_ih_l{layer}"] + own[f"bias_hh_l{layer}"] for layer in range(lstm.num_layers)]
        seen = [part @ own["weight_ih_l0"].T for part in inputs.view(-1, batch, inputs.shape[1])]
        self.shown = [(torch.cat(seen) + biases[0]).numpy(), *(bias[None].numpy() for bias in biases[1:])]
        self.weights = [own["weight_hh_l0"].T.contiguous()]
        for layer in range(1, lstm.num_layers):
            self.weights.append(
                torch.cat((own[f"weight_ih_l{layer}"], own[f"weight_hh_l{layer}"]), dim=1).T.contiguous()
            )
        self.batch, self.h = batch, torch.empty(batch, lstm.num_layers * self.hidden)
        self.c = np.empty(self.h.shape, np.float32)
        self.gates = torch.empty(batch, 4 * self.hidden)
        ends = [(layer + 1) * self.hidden for layer in range(lstm.num_layers)]
        self.read = [self.h[:, max(0, end - 2 * self.hidden) : end] for end in ends]

    def states(self, first: int, length: int) -> Tensor:
        """The states of the last layer at the ends of the windows whose first rows are `first` and those after it."""
        self.h.zero_()
        self.c.fill(0.0)
        h, gates, size = self.h.numpy(), self.gates.numpy(), self.hidden
        for row in range(first, first + length):
            for layer, (read, weights) in enumerate(zip(self.read, self.weights, strict=True)):
                torch.mm(read, weights, out=self.gates)
                shown = self.shown[0][row : row + self.batch] if layer == 0 else self.shown[layer]
                move_states(gates, shown, self.c, h, layer * size)
        return self.h[:, -size:]


@rule(contract=True)
def move_states(gates: Float32Array, shown: Float32Array, c: Float32Array, h: Float32Array, first: int) -> None:
    """One bar of one layer: c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c), in place.

    `gates`: what the states before bring to i, f, g and o, shape (batch, 4 x hidden). `shown`: what is added to them, a
    row a window, or one row of biases for all. `c`, `h`: (batch, layers x hidden), the layer's from column `first` on.
    With sigmoid(x) = (1 + tanh(x / 2)) / 2, and every tanh a fraction, c and h take one division each.
    """
    size = gates.shape[1] // 4
    for row in range(len(c)):
        seen = shown[min(row, len(shown) - 1)]
        i_seen, f_seen, g_seen, o_seen = seen[:size], seen[size : 2 * size], seen[2 * size : 3 * size], seen[3 * size :]
        before, kept, said = gates[row], c[row, first : first + size], h[row, first : first + size]
        i_own, f_own = before[:size], before[size : 2 * size]
        g_own, o_own = before[2 * size : 3 * size], before[3 * size :]
        for unit in range(size):
            i, i_low = fraction(HALF * (i_own[unit] + i_seen[unit]))
            f, f_low = fraction(HALF * (f_own[unit] + f_seen[unit]))
            g, g_low = fraction(g_own[unit] + g_seen[unit])
            o, o_low = fraction(HALF * (o_own[unit] + o_seen[unit]))
            low = i_low * g_low
            new = np.true_divide(HALF * ((f_low + f) * low * kept[unit] + (i_low + i) * g * f_low), f_low * low)
            kept[unit] = new
            top, bottom = fraction(new)
            said[unit] = np.true_divide(HALF * (o_low + o) * top, o_low * bottom)


@rule(inline=True, contract=True)
def fraction(x: np.float32) -> tuple[np.float32, np.float32]:
    """The numerator and the denominator of tanh(x), each between 1e-40 and 1 in size; NaN stays NaN."""
    x = -BEYOND if x < -BEYOND else x
    x = BEYOND if x > BEYOND else x
    s = x * x
    top = x * (_P[0] + s * (_P[1] + s * (_P[2] + s * (_P[3] + s * (_P[4] + s * (_P[5] + s * _P[6]))))))
    return top, _Q[0] + s * (_Q[1] + s * (_Q[2] + s * _Q[3]))
