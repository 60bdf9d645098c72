"""Grouped rows: the fit and validation rows of many trainings on one device, each kept once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from models.descent import Task
from models.losses import Chunks
from models.network import bend
from models.parameters import WARM_UP


class GroupedRows:
    """The rows of some tasks: those of equal rows, the seeds of one fold, share them.

    `leads`: for each task the first one that has its rows. `offsets`: where its fit rows begin among all of them.
    Validation chunks are filled up to as many as the longest has, without targets there.
    """

    def __init__(self, tasks: Sequence[Task], device: torch.device) -> None:
        first: dict[int, Task] = {}
        self.params = tasks[0].params
        self.leads = [first.setdefault(id(task.fit.inputs), task) for task in tasks]
        own = list(first.values())
        position = {id(task): number for number, task in enumerate(own)}
        places = [position[id(lead)] for lead in self.leads]
        begins, total = [], 0
        for task in own:
            begins.append(total)
            total += len(task.fit.target)
        self.offsets = [begins[place] for place in places]
        joined = [torch.cat([part[name] for part in (task.fit for task in own)]).to(device) for name in range(3)]
        self.fit = Chunks(bend(joined[0]), joined[1], joined[2])
        self.check = _checks([task.check for task in own], device)
        self.places = torch.tensor(places, dtype=torch.int64, device=device)
        self.bars = torch.arange(self.params.burn_in + self.params.chunk, device=device).unsqueeze(1)

    def chunks(self, starts: Tensor) -> Chunks:
        """The chunks that begin at rows `starts` (groups, batch): bent inputs (groups, bars, batch, columns).

        Target and base are those of the bars after the burn-in alone.
        """
        at = starts.unsqueeze(1) + self.bars
        later = at[:, self.params.burn_in :]
        return Chunks(self.fit.inputs[at], self.fit.target[later], self.fit.base[later])

    def checks(self, groups: Sequence[int]) -> Chunks:
        """The validation chunks of some groups; target and base of the bars after the warm-up alone."""
        at = self.places[torch.tensor(groups, dtype=torch.int64, device=self.places.device)]
        return Chunks(*(part[at] for part in self.check))


def _checks(parts: Sequence[Chunks], device: torch.device) -> Chunks:
    """Chunks (batch, bars, ...) of several rows as (rows, bars, batch, ...)."""
    most = max(len(part.target) for part in parts)
    inputs, targets, bases = [], [], []
    for part in parts:
        missing = most - len(part.target)
        inputs.append(pad(part.inputs.transpose(0, 1), (0, 0, 0, missing)))
        targets.append(pad(part.target[:, WARM_UP:].T, (0, missing), value=math.nan))
        bases.append(pad(part.base[:, WARM_UP:].T, (0, missing)))
    stacked = [torch.stack(some).to(device) for some in (inputs, targets, bases)]
    return Chunks(bend(stacked[0]), stacked[1], stacked[2])
