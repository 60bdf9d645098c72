"""Every way of running the network comes to the gate equations written out in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gate_equations import gate_equations
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.features import Float32Array
from models.network import ForecastNetwork
from models.parameters import LSTMParams
from models.recurrence import CellState, fresh_state, make_cell, run_cell
from models.windows import SCALES, below, forecast_windows, tangent

INPUTS = np.random.default_rng(5).normal(size=(300, 5)).astype(np.float32) * 1.5
SHAPES = (
    {},
    {"head": "linear", "hidden": 7},
    {"layers": 2, "hidden": 9, "output": "student"},
    {"layers": 3, "hidden": 4, "output": "quantiles"},
    {"output": "volatility", "hidden": 5},
    {"output": "barrier"},
    {"output": "position"},
    {"output": "gaussian", "head": "linear"},
)


def made(params: LSTMParams, columns: int = 5, seed: int = 0) -> ForecastNetwork:
    """A network whose head is no longer zero, with gate biases that differ."""
    torch.manual_seed(seed)
    network = ForecastNetwork(columns, params)
    for name, values in network.named_parameters():
        if "bias" in name or "head" in name:
            torch.nn.init.normal_(values, std=0.3)
    return network.eval()


def weights(network: ForecastNetwork) -> dict[str, Any]:
    """The weights by their names in torch."""
    return {name: values.numpy() for name, values in network.state_dict().items()}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_ways_are_the_gate_equations(shape: dict[str, Any]) -> None:
    """nn.LSTM at once, compiled code at once and compiled code bar by bar differ from them by rounding only."""
    params = LSTMParams(**shape)
    network = made(params)
    expected = gate_equations(weights(network), INPUTS.astype(np.float64), params)
    assert np.ptp(expected, axis=0).min() > 0.005
    with torch.no_grad():
        whole = network(torch.from_numpy(INPUTS).unsqueeze(0))[0][0].numpy()
    cell, state = make_cell(weights(network), params), fresh_state(params)
    scanned = run_cell(cell, INPUTS, fresh_state(params))
    stepped = np.concatenate([run_cell(cell, INPUTS[row : row + 1], state) for row in range(len(INPUTS))])
    assert np.abs(whole - expected).max() <= 2e-6
    assert np.abs(scanned - expected).max() <= 2e-6
    assert np.array_equal(stepped, scanned)


def test_a_state_can_be_handed_over() -> None:
    """Half the bars, then the rest from a copy of the state, is the same to the bit as all at once."""
    params = LSTMParams(layers=2, hidden=6)
    cell, state = make_cell(weights(made(params)), params), fresh_state(params)
    first = run_cell(cell, INPUTS[:100], state)
    rest = run_cell(cell, INPUTS[100:], CellState(state.h.copy(), state.c.copy()))
    assert np.array_equal(np.concatenate((first, rest)), run_cell(cell, INPUTS, fresh_state(params)))


@pytest.mark.parametrize("fault", ["gates swapped", "bias left out", "state kept", "inputs not bent", "batch as time"])
def test_planted_faults_are_seen(fault: str) -> None:
    """Gates in another order, a missing bias, a state not moved on, unbent inputs, batch as time: all far off."""
    params = LSTMParams(hidden=6)
    network = made(params)
    right = gate_equations(weights(network), INPUTS.astype(np.float64), params)
    wrong, shown = weights(network), INPUTS.astype(np.float64)
    if fault == "gates swapped":
        wrong = {n: v[np.r_[0:6, 12:18, 6:12, 18:24]] if n.startswith("lstm") else v for n, v in wrong.items()}
    if fault == "bias left out":
        wrong["lstm.bias_hh_l0"] = np.zeros_like(wrong["lstm.bias_hh_l0"])
    if fault == "inputs not bent":
        shown = 4.0 * np.arctanh(np.clip(shown / 4.0, -0.99, 0.99))
    if fault == "batch as time":
        with torch.no_grad():
            faulty = network(torch.from_numpy(INPUTS).unsqueeze(1))[0][:, 0].numpy()
    elif fault == "state kept":
        faulty = np.concatenate([gate_equations(wrong, row[None], params) for row in shown])
    else:
        faulty = gate_equations(wrong, shown, params)
    assert np.abs(faulty - right).max() > 0.01


@pytest.mark.parametrize(
    "shape", [{}, {"layers": 2, "head": "linear", "hidden": 9}, {"layers": 3, "hidden": 17}, {"hidden": 64}], ids=str
)
def test_windows_are_the_gate_equations(shape: dict[str, Any]) -> None:
    """A window's value is that of its bars alone, from a state of zeros, whatever stands in the batch beside it."""
    params = LSTMParams(**shape)
    network = made(params)
    values = forecast_windows(network, INPUTS, 16, batch=32)
    assert len(values) == len(INPUTS) - 15
    for row in (*range(40), 100, len(values) - 1):
        expected = gate_equations(weights(network), INPUTS[row : row + 16].astype(np.float64), params)[-1]
        assert np.abs(values[row] - expected).max() <= 2e-6
    alone = forecast_windows(network, INPUTS[100:116], 16, batch=32)
    assert np.array_equal(alone[0], values[100])
    others = INPUTS.copy()
    others[116:] *= -3.0
    assert np.array_equal(forecast_windows(network, others, 16, batch=32)[: 100 + 1], values[: 100 + 1])
    assert forecast_windows(network, INPUTS[:15], 16).shape == (0, 1)


def test_a_gap_in_the_inputs_is_a_gap_in_its_windows_alone() -> None:
    """A NaN, and a value out of all bounds, reach the windows that hold them and no other."""
    network, gap = made(LSTMParams(layers=2, hidden=6)), INPUTS.copy()
    gap[100, 1], gap[200] = np.nan, 1e30
    clean, values = forecast_windows(network, INPUTS, 16, batch=32), forecast_windows(network, gap, 16, batch=32)
    held = np.arange(85, 101)
    assert np.isnan(values[held]).all()
    assert np.isfinite(np.delete(values, held, axis=0)).all()
    untouched = np.r_[0:85, 101:185, 201 : len(values)]
    assert np.array_equal(values[untouched], clean[untouched])


@given(hnp.arrays(np.float32, 400, elements=st.floats(-(2.0**20), 2.0**20, width=32)))
def test_fractions_are_the_tangent_and_the_sigmoid(values: Float32Array) -> None:
    """They are tanh and the sigmoid, to four roundings of a float32, near zero as well as far out."""
    values = np.concatenate((values, values * 1e-6, values * 1e-3))
    shown = (values[:, None] * SCALES[[2, 3]]).astype(np.float32)
    found = np.array([top / low for top, low in map(tangent, shown[:, 0])])
    exact = np.tanh(values.astype(np.float64))
    assert np.abs(found - exact).max() <= 5e-7
    assert np.all(np.abs(found - exact) <= 5e-7 * np.abs(exact) + 1e-37)
    gates = np.array([1.0 / below(t) for t in shown[:, 1]])
    with np.errstate(over="ignore"):
        assert np.abs(gates - 1.0 / (1.0 + np.exp(-values.astype(np.float64)))).max() <= 5e-7


def test_no_number_stays_none() -> None:
    """NaNs of all signs and payloads stay NaNs: the bits of a power of two are made of theirs."""
    bits = np.array([0x7FC00000, 0xFFC00000, 0x7FC00123, 0x7FFFFFFF], np.uint32).view(np.float32)
    assert all(np.isnan(below(one)) and np.isnan(tangent(one)).all() for one in bits)
