"""Descent: the gradient steps of one training, from its start to its best weights, resumable."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from foundation.errors import ParameterError
from markets.candles import IntArray
from models.checkpoints import Checkpoint
from models.losses import Chunks, network_loss
from models.network import ForecastNetwork
from models.parameters import LSTMParams
from models.starts import start_network

# How many steps the average of the weights takes to forget where it began.
SHORT_MEMORY = 10


class Best(NamedTuple):
    """The weights with the lowest loss on the validation rows, after how many steps, and the loss of saying zero."""

    weights: dict[str, Tensor]
    steps: int
    loss: float
    zero_loss: float


class Task(NamedTuple):
    """What a training starts from: an untrained network, and the rows that fit and choose its weights.

    `fit` and `check`: the fit rows as one long chunk, the validation rows as chunks. `starts`: the fit rows at
    which a chunk may begin. `seed` draws the chunks. `before`: the weights to begin at, in the place of the start.
    """

    network: ForecastNetwork
    fit: Chunks
    starts: IntArray
    check: Chunks
    params: LSTMParams
    seed: int
    before: Mapping[str, Tensor] | None = None


class Descent:
    """AdamW on the loss at every bar of random chunks, one-cycle learning rate, gradient norm at most 1.

    What is compared on the validation rows, and kept, is the running average of the weights: of each step's the share
    1 - `averaging`. models/grouped/descent.py takes the same steps for many networks at once.
    """

    def __init__(self, task: Task) -> None:
        self.task, self.network, self.params = task, task.network, task.params
        self.random = np.random.default_rng(task.seed)
        self.optimiser, self.schedule = make_schedule(self.network.parameters(), self.params)
        self.step = 0
        self.best = Best({}, 0, math.inf, math.inf)
        self.average = copy.deepcopy(self.network)

    def run(self, checkpoint: Checkpoint | None = None) -> Best:
        """The best weights; where a checkpoint was kept, from there on, to the same bits."""
        kept = checkpoint.read() if checkpoint else None
        if kept is None:
            self._begin()
        else:
            self._restore(kept)
        while self.step < self.params.steps and self.step - self.best.steps < self.params.patience:
            self.step += 1
            self._step()
            if self.step % self.params.check == 0 or self.step == self.params.steps:
                self._compare()
                if checkpoint and checkpoint.due:
                    checkpoint.write(self._state())
        if checkpoint:
            checkpoint.remove()
        return self.best

    def _begin(self) -> None:
        """Compares a network that says zero, the start, and the weights to begin at where there are some."""
        self._compare()
        self.best = self.best._replace(zero_loss=self.best.loss)
        if self.params.start == "regression":
            start_network(self.network, self.task.fit, self.params)
            self.average.load_state_dict(self.network.state_dict())
            self._compare()
        if self.task.before is not None:
            self.network.load_state_dict(self.task.before)
            self.average.load_state_dict(self.task.before)
            self._compare()
        if not self.best.weights:
            raise no_validation(self.params)

    def _step(self) -> None:
        self.optimiser.zero_grad()
        self.network.at_step(self.task.seed, self.step)
        loss = network_loss(self.network.train(), self._random_chunks(), self.params)
        if not math.isfinite(loss.item()):
            raise no_number(loss.item(), self.step, self.params)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        share = averaging_share(self.step, self.params)
        with torch.no_grad():
            for average, newest in zip(self.average.parameters(), self.network.parameters(), strict=True):
                average.lerp_(newest, share)

    def _compare(self) -> None:
        with torch.no_grad():
            loss = network_loss(self.average.eval(), self.task.check, self.params).item()
        if loss < self.best.loss:
            self.best = self.best._replace(weights=copy.deepcopy(self.average.state_dict()), steps=self.step, loss=loss)

    def _random_chunks(self) -> Chunks:
        """A batch of random chunks; targets are NaN during the burn-in, which carries no loss."""
        params, length = self.params, self.params.burn_in + self.params.chunk
        starts = draw_starts(self.random, self.task.starts, params.batch, 1)[0]
        at = torch.from_numpy(starts[:, None] + np.arange(length))
        chunks = Chunks(*(part[at] for part in self.task.fit))
        chunks.target[:, : params.burn_in] = math.nan
        return chunks

    def _state(self) -> dict[str, Any]:
        parts = {name: getattr(self, name).state_dict() for name in ("network", "average", "optimiser", "schedule")}
        return {**parts, "best": tuple(self.best), "step": self.step, "random": self.random.bit_generator.state}

    def _restore(self, state: dict[str, Any]) -> None:
        for name in ("network", "average", "optimiser", "schedule"):
            getattr(self, name).load_state_dict(state[name])
        self.best, self.step = Best(*state["best"]), int(state["step"])
        self.random.bit_generator.state = state["random"]


def make_schedule(
    parameters: Iterable[Tensor], params: LSTMParams
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.OneCycleLR]:
    """The optimiser of some weights, and the schedule of its learning rate and momentum."""
    optimiser = torch.optim.AdamW(parameters, lr=params.learning_rate, weight_decay=params.weight_decay)
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, params.learning_rate, total_steps=params.steps + 1)


def draw_starts(random: np.random.Generator, starts: IntArray, batch: int, steps: int) -> IntArray:
    """The rows at which the chunks of the next steps begin, (steps, batch): the same however many steps are drawn."""
    drawn: IntArray = starts[random.integers(0, len(starts), (steps, batch))]
    return drawn


def averaging_share(step: int, params: LSTMParams) -> float:
    """The share that the weights of a step have in their average.

    Early on the average forgets faster, so that it does not hang on to the start.
    """
    return 1.0 - min(params.averaging, step / (step + SHORT_MEMORY))


def no_number(loss: float, step: int, params: LSTMParams) -> ParameterError:
    """The error for a training loss that is not finite."""
    problem, fix = f"makes the training loss {loss} at step {step}", "a lower one, or check the features"
    return ParameterError("model.learning_rate", problem, value=params.learning_rate, fix=fix)


def no_validation(params: LSTMParams) -> ParameterError:
    """The error for networks of which not even the first has a finite loss on the validation rows."""
    problem, fix = "has no finite loss on the validation rows before any step", "check features and candles there"
    return ParameterError("model.output", problem, value=params.output, fix=fix)
