"""The network: an LSTM whose state sets the coefficients of a linear forecast, and what else its output needs."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from models.dropout import INPUTS, STATES, dropout_mask, step_keys
from models.parameters import LSTMParams

# Inputs are bent towards this many spreads: one never seen in training must not run away with the forecast.
BOUND = 4.0
State = tuple[Tensor, Tensor]
# Bars that the units of a network which learns sigma remember at first, from the shortest to the longest.
MEMORIES = (4.0, 256.0)


class ForecastNetwork(nn.Module):
    """An nn.LSTM and a head: from scaled features to the raw values that an output is made of.

    Input (batch, bars, columns), output (batch, bars, values); state (layers, batch, hidden) twice. Inputs pass
    through x = BOUND tanh(input / BOUND). The first raw value is a(h_t) . x_t + b(h_t) under the head
    `coefficients` (an output that learns sigma alone has none), b(h_t) under `linear`; the others are b(h_t).
    models/outputs.py says what the values mean. The output at t rests on inputs up to t. Forget gates start at
    bias 1, or spread over MEMORIES where sigma is learned, and heads at zero: an untrained network says zero
    everywhere, or what `start_from` sets. Dropout acts
    on the inputs of the LSTM and on the states before the head: that of nn.LSTM does nothing with one layer.
    """

    def __init__(self, columns: int, params: LSTMParams) -> None:
        super().__init__()
        self.values = params.raw_values
        self.lstm = nn.LSTM(columns, params.hidden, params.layers, batch_first=True)
        self.head = nn.Linear(params.hidden, self.values + (columns if params.has_coefficients else 0))
        self.rate, self.drawn = params.dropout, torch.zeros(2, 1, dtype=torch.int64)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        # log(degrees of freedom - 2) of a Student t, which starts at 8; other outputs leave it alone.
        self.tail = nn.Parameter(torch.tensor([6.0]).log(), requires_grad=params.output == "student")
        forget = first_forget_biases(params)
        for name, values in self.lstm.named_parameters():
            if name.startswith("bias"):
                # Gates lie in the order input, forget, cell, output; two biases add up.
                nn.init.zeros_(values)
                with torch.no_grad():
                    values[params.hidden : 2 * params.hidden] = 0.5 * forget
                    if params.learns_sigma:
                        values[: params.hidden] = -0.5 * forget

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        inputs = bend(inputs)
        hidden, state = self.lstm(self._dropped(inputs, INPUTS), state)
        return self.read(self._dropped(hidden, STATES), inputs), cast(State, state)

    def at_step(self, seed: int, step: int) -> None:
        """Draws the dropout of a training step, counted from 1; until the next one the masks stay."""
        if self.rate > 0.0:
            self.drawn = step_keys(torch.tensor([seed]), torch.tensor(step))

    def _dropped(self, values: Tensor, place: int) -> Tensor:
        """Values (batch, bars, width) under the mask of their place, in training alone."""
        if not self.training or self.rate == 0.0:
            return values
        batch, bars, width = values.shape
        return values * dropout_mask(self.drawn[place], bars, batch, width, self.rate)[0].transpose(0, 1)

    def read(self, hidden: Tensor, inputs: Tensor) -> Tensor:
        """The raw values that states h (..., hidden) and bent inputs x (..., columns) make."""
        return with_slopes(self.head(hidden), inputs, self.values)

    def start_from(self, constants: Tensor, slopes: Tensor) -> None:
        """Sets what the untrained network says: the constants, plus slopes . x in the first if it has coefficients."""
        with torch.no_grad():
            self.head.bias[: self.values] = constants
            self.head.bias[self.values :] = slopes[: len(self.head.bias) - self.values]

    def start_as(self, other: ForecastNetwork) -> None:
        """Takes over what another untrained network says."""
        self.head.load_state_dict(other.head.state_dict())
        with torch.no_grad():
            self.tail.copy_(other.tail)


def with_slopes(out: Tensor, inputs: Tensor, count: int) -> Tensor:
    """The `count` raw values of what a head gives (..., count or count + columns): a . x is added to the first."""
    values: Tensor = out[..., :count]
    if out.shape[-1] == count:
        return values
    sloped = (out[..., count:] * inputs).sum(dim=-1, keepdim=True)
    return torch.cat([values[..., :1] + sloped, values[..., 1:]], dim=-1)


def first_forget_biases(params: LSTMParams) -> Tensor:
    """The biases of the forget gates before training, shape (hidden,): 1, or log(T - 1) where sigma is learned.

    Sigmoid(log(T - 1)) = 1 - 1 / T, a memory of T bars; the input gate then starts at its opposite, 1 / T (Tallec
    and Ollivier 2018). T runs evenly in its logarithm over MEMORIES: volatility remembers a fall for dozens of
    bars, which a gate of bias 1, a memory of 4 bars, hardly learns in the few steps that the data bear.
    """
    if not params.learns_sigma:
        return torch.ones(params.hidden)
    shortest, longest = (math.log(bars) for bars in MEMORIES)
    return torch.log(torch.exp(torch.linspace(shortest, longest, params.hidden)) - 1.0)


def bend(inputs: Tensor) -> Tensor:
    """Scaled inputs bent smoothly into the range -BOUND to BOUND."""
    return BOUND * torch.tanh(inputs / BOUND)
