"""The grouped LSTM: its kernels, in Triton's interpreter, are held to the gate equations and to nn.LSTM."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import grouped_cases
import numpy as np
import pytest
import torch
from gate_equations import gate_equations
from test_gate_equations import made, weights

import models.grouped.kernels as kernels
import models.grouped.recurrence as recurrence
import models.grouped.scan as scan
from models.grouped.network import layout_of, raw_values
from models.grouped.recurrence import Shape, on_chip, run_recurrence
from models.network import bend
from models.parameters import LSTMParams

SHAPES = (
    {"hidden": 16},
    {"hidden": 5, "head": "linear", "output": "student"},
    {"hidden": 20, "layers": 2, "output": "gaussian"},
    {"hidden": 4, "layers": 2, "head": "linear"},
    {"hidden": 70, "layers": 2, "output": "quantiles"},
)
TREE = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_grouped_networks_are_the_gate_equations(shape: dict[str, Any]) -> None:
    """Three networks over 18 sequences each: every raw value is that of the equations written out in float64."""
    params = LSTMParams(**shape)
    networks = [made(params, seed=seed) for seed in range(3)]
    layout = layout_of(networks[0])
    inputs = torch.randn(3, 6, 18, 5, generator=torch.Generator().manual_seed(1)) * 1.5
    together = layout.unpack(layout.pack([network.state_dict() for network in networks]))
    with torch.no_grad():
        found = raw_values(together, bend(inputs), params, "ieee").numpy()
    for number, network in enumerate(networks):
        for row in (0, 15, 16, 17):
            shown = inputs[number, :, row].numpy().astype(np.float64)
            expected = gate_equations(weights(network), shown, params)
            assert np.abs(found[number, :, row] - expected).max() <= 2e-6


class Compared:
    """The largest distance of the grouped recurrence from nn.LSTM: of its states, and of the gradients of a sum."""

    def __init__(
        self, groups: int = 2, steps: int = 5, batch: int = 3, hidden: int = 6, precision: str = "ieee"
    ) -> None:
        generator = torch.Generator().manual_seed(groups + steps + hidden)
        lstms = [torch.nn.LSTM(4, hidden) for _ in range(groups)]
        for lstm in lstms:
            for values in lstm.parameters():
                torch.nn.init.normal_(values, std=0.5, generator=generator)
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")
        stacked = [torch.stack([getattr(one, name).detach() for one in lstms]).requires_grad_() for name in names]
        other = torch.stack([one.bias_hh_l0.detach() for one in lstms])
        inputs = torch.randn(groups, steps, batch, 4, generator=generator).requires_grad_()
        slopes = torch.randn(groups, steps, batch, hidden, generator=generator)
        rows = inputs.reshape(groups, steps * batch, 4)
        shown = torch.baddbmm((stacked[2] + other).unsqueeze(1), rows, stacked[0].transpose(1, 2))
        states = run_recurrence(shown.view(groups, steps, batch, 4 * hidden), stacked[1], precision)
        (states * slopes).sum().backward()
        self.states, self.gradients = [], []
        for number, lstm in enumerate(lstms):
            alone = inputs[number].detach().requires_grad_()
            expected = lstm(alone)[0]
            (expected * slopes[number]).sum().backward()
            self.states.append((states[number] - expected).abs().max().item())
            pairs = [(inputs.grad[number], alone.grad)]
            pairs += [(one.grad[number], getattr(lstm, name).grad) for one, name in zip(stacked, names, strict=True)]
            self.gradients.append(max((one - two).abs().max().item() for one, two in pairs))

    @property
    def apart(self) -> float:
        """The larger one of both, over all groups."""
        return max(*self.states, *self.gradients)


@pytest.mark.parametrize("case", [(3, 7, 18, 5), (1, 4, 33, 32), (2, 1, 1, 17)], ids=str)
def test_states_and_gradients_are_those_of_nn_lstm(case: tuple[int, int, int, int]) -> None:
    """Any number of networks, steps, chunks and units, powers of two or not."""
    found = Compared(*case)
    assert max(found.states) <= 5e-7
    assert max(found.gradients) <= 2e-5


@pytest.mark.parametrize("case", [(3, 7, 18, 5), (1, 4, 33, 32), (2, 1, 1, 17), (2, 6, 5, 65), (1, 3, 4, 130)], ids=str)
def test_the_scan_is_nn_lstm_too(case: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes the place of the kernels for wide states, and in tests of many steps, comes to what they come to."""
    if case[-1] <= 64:
        monkeypatch.setattr(recurrence, "on_chip", grouped_cases.off_chip)
    found = Compared(*case)
    assert max(found.states) <= 1e-6
    assert max(found.gradients) <= 5e-5


def test_kernels_and_scan_are_chosen_by_the_room_on_the_chip(monkeypatch: pytest.MonkeyPatch) -> None:
    """States up to 64 on a card with 99 KB a program, up to 32 on one with 64 KB; all others are scanned."""
    for room, most in ((227 * 1024, 64), (99 * 1024, 64), (64 * 1024, 32), (48 * 1024, 0)):
        said = SimpleNamespace(shared_memory_per_block_optin=room)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, said=said: said)
        assert [units for units in range(1, 131) if on_chip(units, torch.device("cuda"))] == list(range(1, most + 1))
    assert on_chip(64, grouped_cases.CPU)
    assert not on_chip(65, grouped_cases.CPU)


def test_a_network_does_not_depend_on_those_beside_it() -> None:
    """Alone or among others, first or last: states are the same to the bit."""
    shown = torch.randn(3, 4, 5, 24, generator=torch.Generator().manual_seed(2))
    recurrent = torch.randn(3, 24, 6, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        together = run_recurrence(shown, recurrent, "ieee")
        turned = run_recurrence(shown.flip(0).contiguous(), recurrent.flip(0).contiguous(), "ieee").flip(0)
        alone = run_recurrence(shown[1:2].contiguous(), recurrent[1:2], "ieee")
    assert torch.equal(together, turned)
    assert torch.equal(together[1:2], alone)


FAULTS = {
    "gates in another order": ("r_i, r_f, r_g, r_o =", "r_i, r_g, r_f, r_o ="),
    "cell state without the forget gate": ("c = f * c + i * g", "c = c + i * g"),
    "one network's weights for all": ("weights_at + group * stride + unit[None, :]", "weights_at + unit[None, :]"),
    "weights not transposed on the way back": (
        "weights_at + group * stride + unit[:, None] * hidden + unit[None, :]",
        "weights_at + group * stride + unit[None, :] * hidden + unit[:, None]",
    ),
    "first step forgotten on the way back": ("ds -= batch * hidden", "ds -= (_ < steps - 1) * batch * hidden"),
    "slope of a step left out": ("dh += tl.load(ds,", "dh += (_ > 0) * tl.load(ds,"),
    "cell slope not carried back": ("dc = dc * f\n", "dc = dc * 0.0\n"),
    "cell of the wrong step": ("df = dc * before * f", "df = dc * c * f"),
    "cell not moved back": ("        c = before\n", ""),
    "state slope through one gate missing": ("tl.dot(do, r_o,", "0.0 * tl.dot(do, r_o,"),
    "derivative of the wrong function": ("dg = dc * i * (1.0 - g * g)", "dg = dc * i * g * (1.0 - g)"),
}


def faulty(honest: ModuleType, old: str, new: str, folder: Path) -> ModuleType:
    """A module with a fault planted in its source."""
    source = Path(str(honest.__file__)).read_text("utf-8")
    assert old in source
    (folder / "faulty.py").write_text(source.replace(old, new))
    spec = importlib.util.spec_from_file_location("faulty", folder / "faulty.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_seen(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fault in a kernel puts states or gradients far from those of nn.LSTM."""
    wrong = faulty(kernels, *FAULTS[fault], tmp_path)
    for name in ("forward_kernel", "backward_kernel"):
        monkeypatch.setattr(kernels, name, getattr(wrong, name))
    assert Compared().apart > 1e-2


SCAN_FAULTS = {
    "weights not transposed on the way there": ("weights.transpose(1, 2)", "weights.view(*weights.mT.shape)"),
    "cell gate bent as the others": ("g.tanh_()", "g.sigmoid_()"),
    "cell state without the forget gate": ("torch.addcmul(f * c, i, g)", "torch.addcmul(c, i, g)"),
    "slope of a step left out": ("dh = dh + slopes[:, step]", "dh = dh + (step > 0) * slopes[:, step]"),
    "cell slope not carried back": ("dc = dc * f\n", "dc = dc * 0.0\n"),
    "cell of the wrong step": ("dc * cell[:, step] *", "dc * cell[:, step + 1] *"),
    "gates in another order": ("[dc * g * i * (1.0 - i), df,", "[df, dc * g * i * (1.0 - i),"),
}


@pytest.mark.parametrize("fault", SCAN_FAULTS)
def test_planted_faults_in_the_scan_are_seen(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fault in the scan puts states or gradients far from those of nn.LSTM."""
    wrong = faulty(scan, *SCAN_FAULTS[fault], tmp_path)
    monkeypatch.setattr(recurrence, "on_chip", grouped_cases.off_chip)
    for name in ("scan_forward", "scan_back"):
        monkeypatch.setattr(recurrence, name, getattr(wrong, name))
    assert Compared().apart > 1e-2


COMPILED = """
import sys
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from models.grouped.kernels import backward_kernel, forward_kernel
from models.grouped.recurrence import WARPS, Shape

def shared(kernel, pointers, hidden, precision, more, capability):
    shape = Shape.of(hidden, precision)
    names = [*(f"{one}_at" for one in pointers), "steps", "batch", "stride"]
    kinds = {name: "*fp32" if name.endswith("_at") else "i32" for name in names}
    fixed = {"hidden": hidden, "units": shape.units, "block": shape.block, "precision": shape.precision, **more}
    aligned = {(number,): [["tt.divisibility", 16]] for number in range(len(names) - 1)}
    source = ASTSource(kernel, {**kinds, **{name: "constexpr" for name in fixed}}, fixed, aligned)
    options = {"num_warps": WARPS, "num_stages": shape.stages}
    made = compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    assert ("mma.sync" in made.asm["ptx"]) == (shape.precision == "tf32x3")
    return made.metadata.shared

there, back = ("shown", "weights", "hidden", "cell", "gates"), ("weights", "slopes", "cell", "gates")
for hidden, capability in ((32, 90), (64, 86)):
    print(shared(forward_kernel, there, hidden, "tf32x3", {"keep": True}, capability))
    print(shared(backward_kernel, back, hidden, "tf32x3", {}, capability))
print(shared(forward_kernel, there, 20, "ieee", {"keep": False}, 86))
"""


def test_kernels_compile_for_gpus(tmp_path: Path) -> None:
    """Without a GPU: Triton makes machine code of them, on tensor cores, within the 99 KB of a consumer card."""
    own = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(TREE)}
    own.pop("TRITON_INTERPRET")
    ran = subprocess.run(
        [sys.executable, "-c", COMPILED], env=own, cwd=TREE, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert all(0 < int(line) <= 99 * 1024 for line in ran.stdout.split())
    assert len(ran.stdout.split()) == 5


def test_programs_cover_every_chunk_and_unit() -> None:
    """The last block may be partly empty, and no state is larger than its square."""
    assert [Shape.of(units, "tf32x3").units for units in (1, 16, 17, 32, 33, 64)] == [16, 16, 32, 32, 64, 64]
    assert [Shape.of(32, "tf32x3").blocks(batch) for batch in (1, 16, 17)] == [1, 1, 2]
    assert [Shape.of(units, "tf32x3").precision for units in (1, 32, 33)] == ["tf32x3", "tf32x3", "ieee"]
    assert Shape.of(16, "ieee").precision == "ieee"
