"""Training: one network fitted to the training rows of one market."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from foundation.errors import ParameterError
from markets.candles import FloatArray
from models.cache import FoldForecast, FoldJob, write_entry
from models.features import Float32Array
from models.network import ForecastNetwork, State, bend
from models.parameters import LSTMParams
from models.samples import Sample
from models.scaling import Scaler, fit_scaler
from models.schedule import Rows, split_rows

RIDGE = 100.0
Weights = Mapping[str, Float32Array]


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """One network after training: weights, the scaler of its inputs, and how far off it was.

    `deviation`: the root mean square of the target in its fit rows; with the trailing volatility it
    makes sigma. `steps`: after how many steps the weights were best on the validation rows, whose mean
    squared errors are `loss` (with these weights) and `zero_loss` (of a forecast of zero).
    """

    params: LSTMParams
    scaler: Scaler
    weights: Weights
    deviation: float
    steps: int
    loss: float
    zero_loss: float

    def network(self) -> ForecastNetwork:
        """The network with these weights, ready to forecast."""
        network = ForecastNetwork(len(self.scaler.centre), self.params)
        network.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in self.weights.items()})
        return network.eval()


def train_network(sample: Sample, last: int, gap: int, scaling: str, params: LSTMParams, seed: int) -> TrainedNetwork:
    """The network that a seed leads to, trained on the sample's rows before `last`.

    `gap`: rows left out between fit and validation rows, at least HORIZON. Bar `last` is the last one that
    touches the model. AdamW on the mean squared error at every bar of random chunks, one-cycle learning
    rate, gradient norm at most 1; the weights with the lowest validation loss count, those of a zero
    forecast and of the regression among them. Equal arguments
    give equal bits. Raises DataError that says how many bars are needed, ParameterError for a loss
    that is not finite.
    """
    rows = split_rows(sample, last, gap, params)
    scaler = fit_scaler(scaling, sample.features[rows.fit_first : rows.fit_last])
    target = sample.target[rows.fit_first : rows.fit_last]
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ForecastNetwork(sample.features.shape[1], params)
        inputs = torch.from_numpy(scaler.apply(sample.features[rows.fit_first : rows.check_last]))
        targets = torch.from_numpy(sample.target[rows.fit_first : rows.check_last].copy())
        best = _fit(network, inputs, targets, rows, params, seed)
    weights = {name: values.numpy() for name, values in best.weights.items()}
    deviation = math.sqrt(float(np.nanmean(np.square(target, dtype=np.float64))))
    return TrainedNetwork(params, scaler, weights, deviation, best.steps, best.loss, best.zero_loss)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, which is quicker for networks of this size and gives the same bits everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def forecast_means(
    network: ForecastNetwork, scaled: Float32Array, state: State | None = None
) -> tuple[FloatArray, State]:
    """The standardised mean at every row of scaled features, in one pass, and the state after the last."""
    with one_thread(), torch.no_grad():
        mean, state = network(torch.from_numpy(scaled).unsqueeze(0), state)
    return mean[0].numpy().astype(np.float64), state


class _Best(NamedTuple):
    weights: dict[str, Tensor]
    steps: int
    loss: float
    zero_loss: float


def _fit(network: ForecastNetwork, inputs: Tensor, targets: Tensor, rows: Rows, params: LSTMParams, seed: int) -> _Best:
    """The best weights on the validation rows; `inputs` and `targets` begin at row `fit_first`."""
    fit_length, check_first = rows.fit_last - rows.fit_first, rows.check_first - rows.fit_first
    check = _validation_chunks(inputs, targets, check_first, params)
    optimiser = torch.optim.AdamW(network.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, params.learning_rate, total_steps=params.steps + 1)
    zero_loss = _squared_error(torch.zeros_like(check[1]), check[1]).item()
    best = _Best(copy.deepcopy(network.state_dict()), 0, zero_loss, zero_loss)
    if params.start == "regression":
        _start_at_regression(network, inputs[:fit_length], targets[:fit_length])
        best = _better(network, best, 0, check)
    for step, chunks in enumerate(_random_chunks(inputs[:fit_length], targets[:fit_length], params, seed), start=1):
        _step(network, chunks, optimiser, params, step)
        schedule.step()
        if step % params.check and step < params.steps:
            continue
        best = _better(network, best, step, check)
        if step - best.steps >= params.patience:
            break
    return best


def _better(network: ForecastNetwork, best: _Best, step: int, check: tuple[Tensor, Tensor]) -> _Best:
    with torch.no_grad():
        loss = _squared_error(network.eval()(check[0])[0], check[1]).item()
    return (
        best._replace(weights=copy.deepcopy(network.state_dict()), steps=step, loss=loss) if loss < best.loss else best
    )


def _start_at_regression(network: ForecastNetwork, inputs: Tensor, targets: Tensor) -> None:
    """Puts the ridge regression of the targets on the bent inputs into the head; the penalty counts as RIDGE rows."""
    known = ~torch.isnan(targets)
    design = torch.cat([torch.ones(len(inputs), 1), bend(inputs)], dim=1)[known].double()
    penalty = RIDGE * torch.eye(design.shape[1], dtype=torch.float64)
    solved = torch.linalg.solve(design.T @ design + penalty, design.T @ targets[known].double())
    network.start_from(float(solved[0]), solved[1:].float())


def _step(
    network: ForecastNetwork, chunks: tuple[Tensor, Tensor], optimiser: Any, params: LSTMParams, step: int
) -> None:
    optimiser.zero_grad()
    loss = _squared_error(network.train()(chunks[0])[0], chunks[1])
    if not math.isfinite(loss.item()):
        problem = f"makes the training loss {loss.item()} at step {step}"
        raise ParameterError(
            "model.learning_rate", problem, value=params.learning_rate, fix="a lower one, or check the features"
        )
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()


def _random_chunks(inputs: Tensor, targets: Tensor, params: LSTMParams, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """`steps` batches of random chunks; targets are NaN during the burn-in, which carries no loss."""
    random = np.random.default_rng(seed)
    length = params.burn_in + params.chunk
    for _ in range(params.steps):
        starts = random.integers(0, len(inputs) - length + 1, params.batch)
        at = torch.from_numpy(starts[:, None] + np.arange(length))
        chosen = targets[at]
        chosen[:, : params.burn_in] = math.nan
        yield inputs[at], chosen


def _validation_chunks(inputs: Tensor, targets: Tensor, first: int, params: LSTMParams) -> tuple[Tensor, Tensor]:
    """Every row from `first` once, in chunks whose state is first run over `replay` earlier rows."""
    starts = np.arange(first, len(inputs), params.chunk)
    rows = np.minimum(starts[:, None] + np.arange(-params.replay, params.chunk), len(inputs) - 1)
    chosen = targets[torch.from_numpy(rows)]
    chosen[:, : params.replay] = math.nan
    chosen[-1, params.replay + len(inputs) - int(starts[-1]) :] = math.nan
    return inputs[torch.from_numpy(rows)], chosen


def _squared_error(mean: Tensor, target: Tensor) -> Tensor:
    """The mean squared error over the targets that are not NaN."""
    known = ~torch.isnan(target)
    return torch.square(mean[known] - target[known]).mean()


def run_job(job: FoldJob, entry: Path | None) -> FoldForecast:
    """The forecasts of one fold by one model, trained here, and kept in the file `entry` where it is given.

    The state is run over `replay` rows before the first test row.
    """
    trained = train_network(job.sample, job.last, job.gap, job.scaling, job.params, job.seed)
    warm = max(job.sample.first, job.test_first - job.params.replay)
    means, _ = forecast_means(trained.network(), trained.scaler.apply(job.sample.features[warm:]))
    made = FoldForecast(means[job.test_first - warm :], trained.deviation, trained.steps)
    if entry is not None:
        write_entry(entry, made)
    return made
