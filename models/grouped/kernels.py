"""Kernels: the recurrence of many LSTMs at once, forward and backward through time, in Triton.

A program of the grid is one network and a block of its chunks. It holds the recurrent weights on the chip for the
whole sequence and keeps the state in registers; what comes from the inputs has been multiplied beforehand
(models/grouped/recurrence.py). What ends in `_at` is a pointer to float32. Gates lie in the order input, forget, cell,
output, as in nn.LSTM; units beyond `hidden`, up to the power of two `units`, are masked and stay at zero. With the
environment variable TRITON_INTERPRET=1, set before this module is loaded, Triton runs the same source on the CPU,
slowly: for tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import triton
import triton.language as tl

F = TypeVar("F", bound=Callable[..., Any])
# Triton's decorator, which has no types.
_jit = cast(Callable[[F], Any], triton.jit)


@_jit
def _sigmoid(x: tl.tensor) -> tl.tensor:
    # Written in exp(-|x|), which does not overflow.
    e = tl.exp(-tl.abs(x))
    return tl.where(x >= 0.0, 1.0, e) / (1.0 + e)


@_jit
def _tanh(x: tl.tensor) -> tl.tensor:
    e = tl.exp(-2.0 * tl.abs(x))
    r = (1.0 - e) / (1.0 + e)
    return tl.where(x >= 0.0, r, -r)


@_jit
def _load_gates(at: tl.tensor, size: tl.tensor, mask: tl.tensor) -> tl.tensor:
    # The four gates of weights or values, `size` numbers apart.
    i, f = tl.load(at, mask=mask, other=0.0), tl.load(at + size, mask=mask, other=0.0)
    g, o = tl.load(at + 2 * size, mask=mask, other=0.0), tl.load(at + 3 * size, mask=mask, other=0.0)
    return i, f, g, o


@_jit
def _store_gates(
    at: tl.tensor, size: tl.tensor, mask: tl.tensor, i: tl.tensor, f: tl.tensor, g: tl.tensor, o: tl.tensor
) -> None:
    tl.store(at, i, mask=mask)
    tl.store(at + size, f, mask=mask)
    tl.store(at + 2 * size, g, mask=mask)
    tl.store(at + 3 * size, o, mask=mask)


@_jit
def forward_kernel(
    shown_at: tl.tensor, weights_at: tl.tensor, hidden_at: tl.tensor, cell_at: tl.tensor, gates_at: tl.tensor,
    steps: tl.tensor, batch: tl.tensor, stride: tl.tensor,
    hidden: tl.constexpr, units: tl.constexpr, block: tl.constexpr, precision: tl.constexpr, keep: tl.constexpr,
) -> None:  # fmt: skip
    """h_t and, with `keep`, c_t and the gates at every step, from a state of zeros.

    shown_at (groups, steps, batch, 4 hidden): W x + b. weights_at (groups, 4 hidden, hidden), from group to group a
    `stride`. hidden_at, cell_at (groups, steps + 1, batch, hidden), whose first step holds zeros; gates_at as shown_at.
    """
    group = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * block + tl.arange(0, block)
    unit = tl.arange(0, units)
    mask = (row < batch)[:, None] & (unit < hidden)[None, :]
    # R[k, j]: what unit k of the state before adds to unit j.
    weights = weights_at + group * stride + unit[None, :] * hidden + unit[:, None]
    square = (unit < hidden)[None, :] & (unit < hidden)[:, None]
    r_i, r_f, r_g, r_o = _load_gates(weights, hidden * hidden, square)
    at = row[:, None] * hidden + unit[None, :]
    gate_at = row[:, None] * (4 * hidden) + unit[None, :]
    hs = hidden_at + group * (steps + 1) * batch * hidden + at
    cs = cell_at + group * (steps + 1) * batch * hidden + at
    xs = shown_at + group * steps * batch * (4 * hidden) + gate_at
    gs = gates_at + group * steps * batch * (4 * hidden) + gate_at
    h = tl.zeros((block, units), tl.float32)
    c = tl.zeros((block, units), tl.float32)
    for _ in range(steps):
        hs += batch * hidden
        i = _sigmoid(tl.dot(h, r_i, input_precision=precision) + tl.load(xs, mask=mask, other=0.0))
        f = _sigmoid(tl.dot(h, r_f, input_precision=precision) + tl.load(xs + hidden, mask=mask, other=0.0))
        g = _tanh(tl.dot(h, r_g, input_precision=precision) + tl.load(xs + 2 * hidden, mask=mask, other=0.0))
        o = _sigmoid(tl.dot(h, r_o, input_precision=precision) + tl.load(xs + 3 * hidden, mask=mask, other=0.0))
        c = f * c + i * g
        h = o * _tanh(c)
        tl.store(hs, h, mask=mask)
        if keep:
            cs += batch * hidden
            tl.store(cs, c, mask=mask)
            _store_gates(gs, hidden, mask, i, f, g, o)
            gs += batch * (4 * hidden)
        xs += batch * (4 * hidden)


@_jit
def backward_kernel(
    weights_at: tl.tensor, slopes_at: tl.tensor, cell_at: tl.tensor, gates_at: tl.tensor,
    steps: tl.tensor, batch: tl.tensor, stride: tl.tensor,
    hidden: tl.constexpr, units: tl.constexpr, block: tl.constexpr, precision: tl.constexpr,
) -> None:  # fmt: skip
    """Replaces the gates by the derivatives of the loss with respect to what they are made of.

    slopes_at (groups, steps, batch, hidden): those with respect to h_t, but for what goes through later steps.
    """
    group = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * block + tl.arange(0, block)
    unit = tl.arange(0, units)
    mask = (row < batch)[:, None] & (unit < hidden)[None, :]
    # R'[j, k]: what a change of unit k of the state before makes of unit j.
    weights = weights_at + group * stride + unit[:, None] * hidden + unit[None, :]
    square = (unit < hidden)[None, :] & (unit < hidden)[:, None]
    r_i, r_f, r_g, r_o = _load_gates(weights, hidden * hidden, square)
    at = row[:, None] * hidden + unit[None, :]
    # Pointers start behind the last step, and go back.
    ds = slopes_at + (group * steps + steps) * batch * hidden + at
    cs = cell_at + (group * (steps + 1) + steps) * batch * hidden + at
    gs = gates_at + (group * steps + steps) * batch * (4 * hidden) + row[:, None] * (4 * hidden) + unit[None, :]
    dh, dc = tl.zeros((block, units), tl.float32), tl.zeros((block, units), tl.float32)
    c = tl.load(cs, mask=mask, other=0.0)
    for _ in range(steps):
        ds -= batch * hidden
        cs -= batch * hidden
        gs -= batch * (4 * hidden)
        i, f, g, o = _load_gates(gs, hidden, mask)
        before = tl.load(cs, mask=mask, other=0.0)
        bent = _tanh(c)
        dh += tl.load(ds, mask=mask, other=0.0)
        dc += dh * o * (1.0 - bent * bent)
        di = dc * g * i * (1.0 - i)
        df = dc * before * f * (1.0 - f)
        dg = dc * i * (1.0 - g * g)
        do = dh * bent * o * (1.0 - o)
        _store_gates(gs, hidden, mask, di, df, dg, do)
        dh = tl.dot(di, r_i, input_precision=precision) + tl.dot(df, r_f, input_precision=precision)
        dh += tl.dot(dg, r_g, input_precision=precision) + tl.dot(do, r_o, input_precision=precision)
        dc = dc * f
        c = before
