"""Recurrence: one layer of many LSTMs over their sequences, as a function that autograd knows."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from models.grouped.scan import scan_back, scan_forward

# Chunks of a program, and the warps of 32 threads that work on them.
BLOCK, WARPS = 16, 4
# The largest states whose four square matrices a program holds on the chip, by the shared memory that it may have.
ON_CHIP = ((64, 99 * 1024), (32, 64 * 1024))


def run_recurrence(shown: Tensor, weights: Tensor, precision: str) -> Tensor:
    """The states h_t (groups, steps, batch, hidden) of one layer of many LSTMs, from a state of zeros.

    `shown` (groups, steps, batch, 4 hidden): W x_t + b, gates in the order input, forget, cell, output; `weights`
    (groups, 4 hidden, hidden): the recurrent ones; both float32, of which `shown` is contiguous. `precision` of the
    products: "ieee" (float32) or "tf32x3" (see Shape). For gradients h_t may be used once: their sources are
    overwritten then. Where the kernels cannot hold the weights on the chip, a scan in plain torch does the same.
    """
    if torch.is_grad_enabled():
        return cast(Tensor, _Recurrence.apply(shown, weights, precision))  # type: ignore[no-untyped-call]
    return _forward(shown, weights, precision, keep=False)[0][:, 1:]


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, shown: Tensor, weights: Tensor, precision: str) -> Tensor:
        hidden, cell, gates = _forward(shown, weights, precision, keep=True)
        ctx.save_for_backward(weights, hidden, cell, gates)
        ctx.precision = precision
        return hidden[:, 1:]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor, None]:
        weights, hidden, cell, gates = ctx.saved_tensors
        groups, steps, batch, units = slopes[0].shape
        if on_chip(units, gates.device):
            from models.grouped.kernels import backward_kernel

            shape = Shape.of(units, ctx.precision)
            backward_kernel[groups, shape.blocks(batch)](
                weights, slopes[0].contiguous(), cell, gates, steps, batch, weights.stride(0),
                units, shape.units, shape.block, shape.precision, num_warps=WARPS, num_stages=shape.stages,
            )  # fmt: skip
        else:
            scan_back(weights, slopes[0], cell, gates)
        rows = gates.view(groups, steps * batch, 4 * units)
        return gates, torch.bmm(rows.transpose(1, 2), hidden[:, :-1].reshape(groups, steps * batch, units)), None


def _forward(shown: Tensor, weights: Tensor, precision: str, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """States and, where they are kept for the way back, cells (from step 0 on, which is zero) and gates."""
    groups, steps, batch, wide = shown.shape
    units = wide // 4
    hidden = shown.new_empty(groups, steps + 1, batch, units)
    cell, gates = (torch.empty_like(hidden), torch.empty_like(shown)) if keep else (hidden, shown)
    # All later steps are written in full.
    hidden[:, 0], cell[:, 0] = 0.0, 0.0
    if not on_chip(units, shown.device):
        scan_forward(shown, weights, hidden, cell, gates, keep=keep)
        return hidden, cell, gates
    from models.grouped.kernels import forward_kernel

    shape = Shape.of(units, precision)
    forward_kernel[groups, shape.blocks(batch)](
        shown, weights, hidden, cell, gates, steps, batch, weights.stride(0),
        units, shape.units, shape.block, shape.precision, keep, num_warps=WARPS, num_stages=shape.stages,
    )  # fmt: skip
    return hidden, cell, gates


def on_chip(units: int, device: torch.device) -> bool:
    """Whether the kernels hold states of this size on the chip of a device; interpreted, as on a consumer card."""
    room = ON_CHIP[0][1]
    if device.type == "cuda":
        properties: Any = torch.cuda.get_device_properties(device)
        room = properties.shared_memory_per_block_optin
    return any(units <= most and room >= needed for most, needed in ON_CHIP)


class Shape(NamedTuple):
    """How a program is cut: the powers of two that hold the units and the chunks of a block; loads begun ahead.

    Chosen so that no register spills and the shared memory of a consumer card (99 KB) holds it: a test compiles them.
    `precision`: "tf32x3", three products on tensor cores of factors in two parts of 10 bits, as good as float32 but for
    the last bits; larger states, whose parts no card but the largest would hold, multiply in float32.
    """

    units: int
    block: int
    stages: int
    precision: str

    @classmethod
    def of(cls, units: int, precision: str) -> Shape:
        """The shape for states of some size."""
        wide = max(16, 1 << (units - 1).bit_length())
        return cls(wide, BLOCK, 3, precision) if wide <= 32 else cls(wide, BLOCK, 1, "ieee")

    def blocks(self, batch: int) -> int:
        """The programs that a batch takes."""
        return -(-batch // self.block)
