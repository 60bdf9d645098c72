"""The network: an LSTM whose state sets the coefficients of a linear forecast."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from models.parameters import LSTMParams

# Inputs are bent towards this many spreads: one never seen in training must not run away with the forecast.
BOUND = 2.0
State = tuple[Tensor, Tensor]


class ForecastNetwork(nn.Module):
    """An nn.LSTM and a head: from scaled features to the expected standardised next return.

    Input (batch, bars, columns), output (batch, bars); state (layers, batch, hidden) twice. Inputs pass
    through x = BOUND tanh(input / BOUND). Head
    `coefficients`: mean_t = a(h_t) . x_t + b(h_t); `linear`: mean_t = b(h_t). The output at t rests
    on inputs up to t. Forget gates start at bias 1 and heads at zero, so an untrained network
    forecasts zero, or what `start_from` sets. Dropout acts on the inputs of the LSTM and on the states before the head.
    """

    def __init__(self, columns: int, params: LSTMParams) -> None:
        super().__init__()
        self.lstm = nn.LSTM(columns, params.hidden, params.layers, batch_first=True)
        self.head = nn.Linear(params.hidden, 1 + (columns if params.head == "coefficients" else 0))
        self.dropout = nn.Dropout(params.dropout)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        for name, values in self.lstm.named_parameters():
            if name.startswith("bias"):
                # Gates lie in the order input, forget, cell, output; two biases add up to 1.
                nn.init.zeros_(values)
                nn.init.constant_(values[params.hidden : 2 * params.hidden], 0.5)

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        inputs = bend(inputs)
        hidden, state = self.lstm(self.dropout(inputs), state)
        out = self.head(self.dropout(hidden))
        mean = out[..., 0]
        if out.shape[-1] > 1:
            mean = mean + (out[..., 1:] * inputs).sum(dim=-1)
        return mean, cast(State, state)

    def start_from(self, constant: float, slopes: Tensor) -> None:
        """Sets the forecast of the untrained network to constant + slopes . x (the constant alone on a linear head)."""
        with torch.no_grad():
            self.head.bias[0] = constant
            self.head.bias[1:] = slopes[: len(self.head.bias) - 1]


def bend(inputs: Tensor) -> Tensor:
    """Scaled inputs bent smoothly into the range -BOUND to BOUND."""
    return BOUND * torch.tanh(inputs / BOUND)
