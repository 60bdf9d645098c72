"""Grouped descent: the gradient steps of models/descent.py for many networks at once, in one program on one device."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foundation.progress import untold
from models.checkpoints import Checkpoint
from models.descent import Best, Task, averaging_share, draw_starts, make_schedule, no_number, no_validation
from models.dropout import step_keys
from models.grouped.network import grouped_losses, layout_of
from models.grouped.rows import GroupedRows
from models.parameters import LSTMParams
from models.starts import start_network

# Steps whose chunks are drawn at once.
AHEAD = 64
# Steps taken before a graph is recorded, and undone.
WARM_UP = 3


class GroupedDescent:
    """The trainings of some tasks of one shape and equal settings, seeds and rows apart, side by side.

    Each network takes the steps that Descent takes: the same first weights, chunks, schedule, clipping, averages,
    comparisons and end, so that it differs by rounding only, and does not depend on the others. All numbers stay on the
    device; it is asked for them once at each comparison. On CUDA a step is recorded once as a graph and replayed.
    Networks whose patience is over are dropped when they are half of all. `precision`: of the recurrence in a
    step (see run_recurrence); all other products are made in float32. `check_groups`: networks compared at once, for
    memory.
    """

    def __init__(self, tasks: Sequence[Task], device: torch.device, precision: str, check_groups: int) -> None:
        self.tasks, self.params, self.device = list(tasks), tasks[0].params, device
        self.precision, self.check_groups, self.graphs = precision, check_groups, device.type == "cuda"
        self.layout = layout_of(tasks[0].network)
        self.rows = GroupedRows(tasks, device)
        self.random = [np.random.default_rng(task.seed) for task in tasks]
        self.levels = torch.tensor(self.params.levels, dtype=torch.float32, device=device)
        self.table = torch.tensor(step_numbers(self.params), dtype=torch.float32, device=device)
        # The step to take, and its place among those whose chunks are drawn.
        self.number, self.place = (torch.zeros(1, dtype=torch.int64, device=device) for _ in range(2))
        self.drawn = torch.zeros(AHEAD, len(tasks), self.params.batch, dtype=torch.int64, device=device)
        self.groups, self.step, self.found = list(range(len(tasks))), 0, dict[int, Best]()
        self.seeds = torch.tensor([task.seed for task in tasks], dtype=torch.int64, device=device)
        self._set_weights()
        self.best = self.weights.detach().clone()
        self.best_loss, self.best_steps = self._figures(math.inf), self._figures(0.0)
        self.zero_loss = self._figures(math.inf)
        # The first loss that was no number, and at which step; 0 while there was none.
        self.lost, self.lost_at = self._figures(0.0), self._figures(0.0)

    def run(self, checkpoint: Checkpoint | None = None, told: Callable[[float], None] = untold) -> list[Best]:
        """The best weights of each task; where a checkpoint was kept, from there on, to the same bits.

        Steps go from one comparison to the next; between two a checkpoint may be written. After each, `told` hears how
        many networks are trained, where one that goes on counts by its share of all steps. Raises ParameterError for
        a loss that is not finite.
        """
        kept = checkpoint.read() if checkpoint else None
        if kept is None:
            self._begin()
        else:
            self._restore(kept)
        take = self._recorded()
        while self.groups and self.step < self.params.steps:
            self._advance(take)
            self._compare(self.step)
            ended = self._ended(self.step)
            running = len(ended) - sum(ended)
            told(len(self.tasks) - running * (1.0 - self.step / self.params.steps))
            if 2 * sum(ended) >= len(self.groups):
                self._take_out(ended)
                # The graph before is let go first, with the memory that it holds.
                take = self._step
                take = self._recorded()
            if checkpoint and checkpoint.due:
                checkpoint.write(self._state())
        self._take_out([True] * len(self.groups))
        if checkpoint:
            checkpoint.remove()
        return [self.found[number] for number in range(len(self.tasks))]

    def _advance(self, take: Callable[[], None]) -> None:
        """Takes the steps up to the next comparison."""
        check = min((self.step // self.params.check + 1) * self.params.check, self.params.steps)
        while self.step < check:
            count = min(check - self.step, AHEAD)
            self._draw(count)
            for _ in range(count):
                take()
            self.step += count

    def _state(self) -> dict[str, Any]:
        """All that later steps rest on: the numbers of those that still run, and what the others came to."""
        rest = [
            {name: one for name, one in task.network.state_dict().items() if name not in self.layout.names}
            for task in self.tasks
        ]
        return {
            "step": self.step,
            "groups": self.groups,
            "numbers": {name: getattr(self, name).detach().cpu() for name in STATE},
            "random": [one.bit_generator.state for one in self.random],
            "found": {group: tuple(best) for group, best in self.found.items()},
            "rest": rest,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.step, self.groups = int(state["step"]), list(state["groups"])
        for name in STATE:
            setattr(self, name, state["numbers"][name].to(self.device))
        self.weights.requires_grad_()
        self.number.fill_(self.step)
        self.drawn = self.drawn[:, : len(self.groups)].contiguous()
        for random, kept in zip(self.random, state["random"], strict=True):
            random.bit_generator.state = kept
        self.found = {group: Best(*best) for group, best in state["found"].items()}
        for task, rest in zip(self.tasks, state["rest"], strict=True):
            task.network.load_state_dict(rest, strict=False)

    def _figures(self, value: float) -> Tensor:
        return torch.full((len(self.groups),), value, dtype=torch.float32, device=self.device)

    def _set_weights(self) -> None:
        """Takes the weights over from the networks of the tasks."""
        packed = self.layout.pack([task.network.state_dict() for task in self.tasks]).to(self.device)
        self.weights = packed.requires_grad_()
        self.average = packed.detach().clone()
        self.first, self.second = torch.zeros_like(self.average), torch.zeros_like(self.average)

    def _begin(self) -> None:
        """Compares networks that say zero, their starts, and the weights to begin at where there are some."""
        self._compare(0)
        self.zero_loss = self.best_loss.clone()
        if self.params.start == "regression":
            for task, lead in zip(self.tasks, self.rows.leads, strict=True):
                if task is lead:
                    start_network(task.network, task.fit, self.params)
                else:
                    task.network.start_as(lead.network)
            self._set_weights()
            self._compare(0)
        if any(task.before for task in self.tasks):
            for task in self.tasks:
                if task.before is not None:
                    task.network.load_state_dict(task.before)
            self._set_weights()
            self._compare(0)
        if not bool(torch.isfinite(self.best_loss).all()):
            raise no_validation(self.params)

    def _draw(self, count: int) -> None:
        """Draws the chunks of the next steps, as Descent does."""
        batch, offsets = self.params.batch, self.rows.offsets
        starts = [
            draw_starts(self.random[group], self.tasks[group].starts, batch, count) + offsets[group]
            for group in self.groups
        ]
        self.drawn[:count].copy_(torch.from_numpy(np.stack(starts, axis=1)))
        self.place.zero_()

    def _step(self) -> None:
        """One step of every network; touches nothing but the device."""
        numbers = self.table.index_select(0, self.number)[0]
        starts = self.drawn.index_select(0, self.place)[0]
        chunks = self.rows.chunks(starts)
        with torch.enable_grad(), float32_products():
            weights = self.layout.unpack(self.weights)
            keys = step_keys(self.seeds, self.number + 1) if self.params.dropout else None
            losses = grouped_losses(weights, chunks, self.params, self.levels, self.precision, keys)
            (slopes,) = torch.autograd.grad(losses.sum(), self.weights)
        with torch.no_grad():
            new = ~torch.isfinite(losses) & (self.lost_at == 0.0)
            self.lost.copy_(torch.where(new, losses, self.lost))
            self.lost_at.copy_(torch.where(new, self.number + 1.0, self.lost_at))
            self._move(slopes, *numbers.unbind())
            self.number += 1
            self.place += 1

    def _move(self, slopes: Tensor, keep: Tensor, fresh: Tensor, size: Tensor, root: Tensor, share: Tensor) -> None:
        """AdamW on gradients cut to a norm of at most 1, each network's apart, and the running average."""
        beta = SECOND_BETA
        slopes = slopes * (1.0 / (slopes.norm(dim=1, keepdim=True) + 1e-6)).clamp(max=1.0)
        self.weights.mul_(keep)
        self.first.lerp_(slopes, fresh)
        self.second.mul_(beta).addcmul_(slopes, slopes, value=1.0 - beta)
        self.weights.sub_(size * self.first / (self.second.sqrt() / root + EPSILON))
        self.average.lerp_(self.weights, share)

    def _compare(self, step: int) -> None:
        """Keeps the average of each network that is better on its validation rows, and has not ended before."""
        losses = []
        with torch.no_grad(), float32_products():
            for first in range(0, len(self.groups), self.check_groups):
                some = slice(first, first + self.check_groups)
                weights = self.layout.unpack(self.average[some])
                chunks = self.rows.checks(self.groups[some])
                losses.append(grouped_losses(weights, chunks, self.params, self.levels, "ieee"))
            loss = torch.cat(losses)
            better = (loss < self.best_loss) & (step - 1.0 - self.best_steps < self.params.patience)
            self.best.copy_(torch.where(better.unsqueeze(1), self.average, self.best))
            self.best_loss.copy_(torch.where(better, loss, self.best_loss))
            self.best_steps.copy_(torch.where(better, float(step), self.best_steps))

    def _ended(self, step: int) -> list[bool]:
        """Which networks take no further step; raises ParameterError where one's loss was no number while it ran."""
        figures = torch.stack((self.best_steps, self.lost_at, self.lost)).cpu().numpy()
        for best, at, loss in figures.T.tolist():
            if at and at - 1 - best < self.params.patience:
                raise no_number(loss, int(at), self.params)
        ended: list[bool] = (step - figures[0] >= self.params.patience).tolist()
        return ended

    def _take_out(self, out: Sequence[bool]) -> None:
        """Puts what some networks came to beside that of others, and goes on without them."""
        figures = torch.stack((self.best_steps, self.best_loss, self.zero_loss)).cpu().numpy().T.tolist()
        weights = self.layout.unpack(self.best.cpu())
        for row, group in enumerate(self.groups):
            if out[row]:
                learned = {name: values[row].clone() for name, values in weights.items()}
                steps, loss, zero_loss = figures[row]
                whole = {**self.tasks[group].network.state_dict(), **learned}
                self.found[group] = Best(whole, int(steps), loss, zero_loss)
        kept = [row for row, gone in enumerate(out) if not gone]
        self.groups = [self.groups[row] for row in kept]
        at = torch.tensor(kept, dtype=torch.int64, device=self.device)
        for name in STATE:
            setattr(self, name, getattr(self, name).detach()[at])
        self.weights.requires_grad_()
        self.drawn = self.drawn[:, at]

    def _recorded(self) -> Callable[[], None]:
        """What takes a step: on CUDA a recorded graph, elsewhere the step itself."""
        if not self.graphs or not self.groups:
            return self._step
        changed = [*(getattr(self, name) for name in STATE), self.number]
        before = [values.detach().clone() for values in changed]
        stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                # Always the first step of the table and of those drawn: there may be no more.
                self.number.zero_()
                self.place.zero_()
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        with torch.no_grad():
            for values, old in zip(changed, before, strict=True):
                values.copy_(old)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        return graph.replay


# What there is one of for each network.
STATE = (
    "weights", "average", "first", "second", "best", "best_loss", "best_steps", "zero_loss", "lost", "lost_at", "seeds",
)  # fmt: skip
# Of torch's AdamW, as it is without being asked for others.
SECOND_BETA, EPSILON = 0.999, 1e-8


def step_numbers(params: LSTMParams) -> list[list[float]]:
    """What changes from step to step, for all networks alike, by the CPU's own schedule.

    The share of the weights that decay leaves; the share of a new gradient in its average; the learning rate over the
    correction of that average; the root of the correction of the average of squares; the share of new weights in
    their average.
    """
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser, schedule = make_schedule([weight], params)
    rows = []
    for step in range(1, params.steps + 1):
        rate, (beta, _) = optimiser.param_groups[0]["lr"], optimiser.param_groups[0]["betas"]
        roots = math.sqrt(1.0 - SECOND_BETA**step)
        share = averaging_share(step, params)
        rows.append([1.0 - rate * params.weight_decay, 1.0 - beta, rate / (1.0 - beta**step), roots, share])
        optimiser.step()
        schedule.step()
    return rows


@contextmanager
def float32_products() -> Iterator[None]:
    """The block whose products of matrices on a GPU are in float32, whatever the process has set."""
    settings = torch.backends.cuda.matmul
    before = settings.fp32_precision
    settings.fp32_precision = "ieee"
    try:
        yield
    finally:
        settings.fp32_precision = before
