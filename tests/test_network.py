"""The network: its first weights, its two heads, and that it runs forward in time only."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.losses import Chunks
from models.network import BOUND, ForecastNetwork, bend
from models.parameters import LSTMParams
from models.starts import start_network

INPUTS = torch.randn(2, 40, 3, generator=torch.Generator().manual_seed(1))


def made(**changes: object) -> ForecastNetwork:
    """A network whose head is no longer zero."""
    torch.manual_seed(0)
    network = ForecastNetwork(3, LSTMParams(hidden=6, **changes))
    torch.nn.init.normal_(network.head.weight)
    torch.nn.init.normal_(network.head.bias)
    return network.eval()


def test_first_weights() -> None:
    """Forget gates start at a bias of 1 in all, other gates at 0, and the head at zero."""
    network = ForecastNetwork(3, LSTMParams(hidden=6, layers=2))
    for layer in (0, 1):
        bias = getattr(network.lstm, f"bias_ih_l{layer}") + getattr(network.lstm, f"bias_hh_l{layer}")
        assert (bias[6:12] == 1.0).all()
        assert (bias[:6] == 0.0).all()
        assert (bias[12:] == 0.0).all()
    assert (network(INPUTS)[0] == 0.0).all()


def test_heads() -> None:
    """The head `coefficients` is a(h) . x + b(h) on bent inputs, `linear` is b(h)."""
    for head in ("coefficients", "linear"):
        network = made(head=head)
        mean = network(INPUTS)[0][..., 0]
        inputs = bend(INPUTS)
        out = network.head(network.lstm(inputs)[0])
        expected = out[..., 0] + ((out[..., 1:] * inputs).sum(-1) if head == "coefficients" else 0.0)
        assert torch.equal(mean, expected)
        assert out.shape[-1] == (4 if head == "coefficients" else 1)


@pytest.mark.parametrize("layers", [1, 2])
def test_stepping_equals_one_pass(layers: int) -> None:
    """Bar by bar with the state handed on, the network gives what one pass over all bars gives."""
    network = made(layers=layers)
    whole, _ = network(INPUTS)
    state, steps = None, []
    for bar in range(INPUTS.shape[1]):
        mean, state = network(INPUTS[:, bar : bar + 1], state)
        steps.append(mean)
    assert torch.allclose(torch.cat(steps, dim=1), whole, atol=1e-6)


def test_time_runs_forward_along_the_bars() -> None:
    """Changing a bar changes no output before it, and none of another batch row."""
    network = made()
    other = INPUTS.clone()
    other[0, 20] += 1.0
    same = network(INPUTS)[0] == network(other)[0]
    assert same[0, :20].all()
    assert same[1].all()
    assert not same[0, 20:].any()


def test_bounded_inputs() -> None:
    """An input a thousand spreads away counts as one at the bound; small ones are left almost as they are."""
    assert bend(torch.tensor([1000.0, -1000.0])).tolist() == [BOUND, -BOUND]
    assert bend(torch.tensor(0.1)).item() == pytest.approx(0.1, rel=1e-3)


def test_start_from() -> None:
    """An untrained network that starts from a regression forecasts just that regression."""
    slopes = torch.tensor([0.1, -0.2, 0.3])
    network = ForecastNetwork(3, LSTMParams(hidden=6)).eval()
    network.start_from(torch.tensor([0.05]), slopes)
    assert torch.allclose(network(INPUTS)[0][..., 0], 0.05 + bend(INPUTS) @ slopes, atol=1e-6)
    linear = ForecastNetwork(3, LSTMParams(hidden=6, head="linear")).eval()
    linear.start_from(torch.tensor([0.05]), slopes)
    assert torch.allclose(linear(INPUTS)[0], torch.tensor(0.05))


@pytest.mark.parametrize("output", ["gaussian", "student", "quantiles", "volatility"])
def test_memories_of_sigma(output: str) -> None:
    """Where sigma is learned the units start with memories of 4 to 256 bars, and input gates at what these let in."""
    network = ForecastNetwork(3, LSTMParams(hidden=4, output=output))
    bias = (network.lstm.bias_ih_l0 + network.lstm.bias_hh_l0).detach()
    forget, let_in = torch.sigmoid(bias[4:8]), torch.sigmoid(bias[:4])
    assert (1.0 / (1.0 - forget)).tolist() == pytest.approx([4.0, 16.0, 64.0, 256.0], rel=1e-3)
    assert torch.allclose(forget + let_in, torch.ones(4))
    assert (bias[8:] == 0.0).all()


def test_the_tail_starts_likely() -> None:
    """The tail of a Student t starts near the truth of the errors, thin or fat."""
    random, started = np.random.default_rng(4), []
    for degrees in (3.0, 30.0):
        target = torch.tensor(random.standard_t(degrees, 20_000), dtype=torch.float32)
        network, params = ForecastNetwork(3, LSTMParams(output="student")), LSTMParams(output="student")
        start_network(network, Chunks(torch.zeros(20_000, 3), target, torch.zeros(20_000)), params)
        started.append(2.0 + float(network.tail.detach().exp()))
    assert 2.5 <= started[0] <= 4.0
    assert started[1] >= 10.0


def test_dropout_is_off_when_forecasting() -> None:
    """Dropout acts in training, with one layer too, and never in a forecast."""
    network = made(dropout=0.5)
    assert torch.equal(network(INPUTS)[0], network(INPUTS)[0])
    network.train()
    said = []
    for step in (1, 2):
        network.at_step(0, step)
        said.append(network(INPUTS)[0])
    assert not torch.equal(*said)
