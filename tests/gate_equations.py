"""The gate equations of an LSTM with its head, written out in float64: what every faster way has to come to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models.parameters import LSTMParams

Array = npt.NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    return 1.0 / (1.0 + np.exp(-x))


def gate_equations(weights: Mapping[str, npt.NDArray[np.float32]], inputs: Array, params: LSTMParams) -> Array:
    """The raw values at every row of scaled inputs (rows, columns), from a state of zeros.

    i = s(W_i x + U_i h + b_i), f and o likewise, g = tanh(W_g x + U_g h + b_g); c <- f c + i g; h <- o tanh(c).
    """
    w = {name: values.astype(np.float64) for name, values in weights.items()}
    n, rows = params.hidden, []
    h, c = np.zeros((params.layers, n)), np.zeros((params.layers, n))
    for raw in inputs:
        bent = 4.0 * np.tanh(raw / 4.0)
        below = bent
        for layer in range(params.layers):
            total = w[f"lstm.weight_ih_l{layer}"] @ below + w[f"lstm.bias_ih_l{layer}"]
            total += w[f"lstm.weight_hh_l{layer}"] @ h[layer] + w[f"lstm.bias_hh_l{layer}"]
            i, f, o = sigmoid(total[:n]), sigmoid(total[n : 2 * n]), sigmoid(total[3 * n :])
            c[layer] = f * c[layer] + i * np.tanh(total[2 * n : 3 * n])
            h[layer] = o * np.tanh(c[layer])
            below = h[layer].copy()
        out = w["head.weight"] @ below + w["head.bias"]
        values, slopes = out[: params.raw_values].copy(), out[params.raw_values :]
        if len(slopes):
            values[0] += slopes @ bent
        rows.append(values)
    return np.array(rows)
