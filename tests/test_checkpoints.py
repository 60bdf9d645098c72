"""Checkpoints: a training that was killed goes on where it was, and comes to the same bits."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from planted_market import FEW, TINY, planted_market

import models.checkpoints
from foundation.errors import DataError
from models.checkpoints import Checkpoint
from models.descent import Descent
from models.samples import build_sample
from models.training import train_network

LONG = TINY.replaced(steps=60, check=5, patience=60, start="zero", dropout=0.1)
SAMPLE = build_sample(planted_market(trend=0.6).candles, FEW, LONG)
TREE = Path(__file__).resolve().parent.parent
# Trains in a process of its own and stands still after 30 steps, until it is killed.
STANDS_STILL = """
import time
import models.checkpoints
from models.descent import Descent
from test_checkpoints import LONG, SAMPLE
from models.training import train_network
models.checkpoints.SECONDS = 0.0
honest = Descent._step
def slow(descent):
    if descent.step > 30:
        time.sleep(600)
    honest(descent)
Descent._step = slow
train_network(SAMPLE, 700, 60, "standard", LONG, 5, "killed")
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a cache of its own, and a checkpoint whenever one may be written."""
    monkeypatch.setenv("CROSSGATE_CACHE", str(tmp_path))
    monkeypatch.setattr(models.checkpoints, "SECONDS", 0.0)
    return tmp_path


def steps_taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the steps that are taken from now on."""
    taken: list[int] = []
    honest = Descent._step

    def counted(descent: Descent) -> None:
        taken.append(descent.step)
        honest(descent)

    monkeypatch.setattr(Descent, "_step", counted)
    return taken


def test_a_killed_training_goes_on(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After SIGKILL in the middle, training goes on from its checkpoint to the bits of one that was never stopped."""
    paths = {"PYTHONPATH": f"{TREE}:{TREE / 'tests'}", "CROSSGATE_CACHE": str(own_cache)}
    process = subprocess.Popen([sys.executable, "-c", STANDS_STILL], env=paths, cwd=TREE)
    checkpoint = Checkpoint("killed")
    patience = time.monotonic() + 120.0
    while not ((state := checkpoint.read()) and state["step"] >= 30):
        assert time.monotonic() < patience
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    whole = train_network(SAMPLE, 700, 60, "standard", LONG, 5)
    taken = steps_taken(monkeypatch)
    resumed = train_network(SAMPLE, 700, 60, "standard", LONG, 5, "killed")
    assert taken == list(range(31, 61))
    assert resumed.steps == whole.steps > 0
    assert resumed.loss == whole.loss
    assert all(np.array_equal(resumed.weights[name], whole.weights[name]) for name in whole.weights)
    assert not checkpoint.path.exists()


@pytest.mark.parametrize("lost", ["random", "optimiser", "schedule", "average", "best"])
def test_every_part_of_the_state_counts(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that forgot one part of the state would come to other weights: each is needed."""
    whole = train_network(SAMPLE, 700, 60, "standard", LONG, 5)
    assert whole.steps > 10, "later steps that change nothing would hide a lost part"
    kept = []
    honest = Checkpoint.write
    monkeypatch.setattr(Checkpoint, "remove", lambda _: None)
    monkeypatch.setattr(Checkpoint, "due", property(lambda _: not kept))

    def write(self: Checkpoint, state: dict) -> None:
        if state["step"] == 10:
            kept.append(state)
            honest(self, state)

    monkeypatch.setattr(Checkpoint, "write", write)
    first = train_network(SAMPLE, 700, 60, "standard", LONG, 5, "part")
    assert first.loss == whole.loss

    def forgetful(self: Descent, state: dict) -> None:
        for name in ("network", "average", "optimiser", "schedule"):
            if name != lost:
                getattr(self, name).load_state_dict(state[name])
        self.step = state["step"]
        if lost != "best":
            self.best = self.best._replace(**dict(zip(self.best._fields, state["best"], strict=True)))
        if lost != "random":
            self.random.bit_generator.state = state["random"]

    monkeypatch.setattr(Descent, "_restore", forgetful)
    resumed = train_network(SAMPLE, 700, 60, "standard", LONG, 5, "part")
    same = all(np.array_equal(resumed.weights[name], whole.weights[name]) for name in whole.weights)
    assert not (same and resumed.zero_loss == whole.zero_loss)


@pytest.mark.parametrize("damage", [b"", b"no checkpoint", "truncated"])
def test_a_damaged_checkpoint_is_as_good_as_none(damage: bytes | str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is empty, foreign or cut short starts the training anew, and is gone afterwards."""
    whole = train_network(SAMPLE, 700, 60, "standard", LONG, 5)
    checkpoint = Checkpoint("damaged")
    checkpoint.write({"step": 30})
    kept = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(kept[: len(kept) // 2] if damage == "truncated" else bytes(damage))
    taken = steps_taken(monkeypatch)
    again = train_network(SAMPLE, 700, 60, "standard", LONG, 5, "damaged")
    assert taken[0] == 1
    assert again.loss == whole.loss
    assert not checkpoint.path.exists()


def test_a_checkpoint_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none can be written the error says how to go on."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CROSSGATE_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="set CROSSGATE_CACHE"):
        train_network(SAMPLE, 700, 60, "standard", LONG, 5, "nowhere")
