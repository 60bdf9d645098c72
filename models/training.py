"""Training: one network fitted to the training rows of one market."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from foundation.errors import ParameterError
from markets.candles import FloatArray
from models.cache import FoldForecast, FoldJob, write_entry
from models.features import Float32Array
from models.fitted import TrainedNetwork
from models.losses import Chunks, network_loss
from models.network import ForecastNetwork
from models.outputs import fit_slope, read_score
from models.parameters import LSTMParams
from models.samples import Sample
from models.scaling import fit_scaler
from models.schedule import Rows, split_rows
from models.starts import start_network
from models.variance import base_log, fit_base


def train_network(sample: Sample, last: int, gap: int, scaling: str, params: LSTMParams, seed: int) -> TrainedNetwork:
    """The network that a seed leads to, trained on the sample's rows before `last`.

    `gap`: rows left out between fit and validation rows, at least the horizon of the label. Bar
    `last` - 1 + horizon is the last one that touches the model. AdamW on the loss of the output at every bar
    of random chunks, one-cycle learning rate, gradient norm at most 1; the weights with the lowest validation
    loss count, those of a network that says zero and of the start among them. Equal arguments give equal
    bits. Raises DataError that says how many bars are needed, ParameterError for a loss that is not finite.
    """
    rows = split_rows(sample, last, gap, params)
    fit = slice(rows.fit_first, rows.fit_last)
    scaler = fit_scaler(scaling, sample.features[fit])
    base = fit_base(sample.variance[fit].astype(np.float64), sample.base[fit])
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ForecastNetwork(sample.features.shape[1], params)
        shown = slice(rows.fit_first, rows.check_last)
        best = _fit(network, _tensors(sample, shown, scaler.apply(sample.features[shown]), base), rows, params, seed)
    weights = {name: values.numpy() for name, values in best.weights.items()}
    deviation = math.sqrt(float(np.nanmean(np.square(sample.returns[fit], dtype=np.float64))))
    trained = TrainedNetwork(params, scaler, weights, base, deviation, 1.0, best.steps, best.loss, best.zero_loss)
    return _with_slope(trained, sample, rows)


def _tensors(sample: Sample, shown: slice, scaled: Float32Array, base: FloatArray) -> Chunks:
    """Scaled inputs, target and variance base of some rows, each one long chunk: (rows, columns) and (rows,)."""
    logs = base_log(base, sample.base[shown]).astype(np.float32)
    return Chunks(torch.from_numpy(scaled), torch.from_numpy(sample.target[shown].copy()), torch.from_numpy(logs))


def _with_slope(trained: TrainedNetwork, sample: Sample, rows: Rows) -> TrainedNetwork:
    """The network with the slope of next returns on its score, on the validation rows; unchanged where it has none."""
    if trained.params.output not in ("barrier", "position"):
        return trained
    warm = rows.check_first - trained.params.replay
    values = trained.raw_values(sample.features[warm : rows.check_last], trained.fresh_state())
    score = read_score(values[trained.params.replay :], trained.params.output)
    slope = fit_slope(score, sample.returns[rows.check_first : rows.check_last].astype(np.float64))
    return replace(trained, slope=slope)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, which is quicker for networks of this size and gives the same bits everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Best(NamedTuple):
    weights: dict[str, Tensor]
    steps: int
    loss: float
    zero_loss: float


def _fit(network: ForecastNetwork, series: Chunks, rows: Rows, params: LSTMParams, seed: int) -> _Best:
    """The best weights on the validation rows; `series` begins at row `fit_first`."""
    fit_length, check_first = rows.fit_last - rows.fit_first, rows.check_first - rows.fit_first
    fit, check = Chunks(*(part[:fit_length] for part in series)), _validation_chunks(series, check_first, params)
    optimiser = torch.optim.AdamW(network.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, params.learning_rate, total_steps=params.steps + 1)
    zero_loss = network_loss(network.eval(), check, params).item()
    best = _Best(copy.deepcopy(network.state_dict()), 0, zero_loss, zero_loss)
    if params.start == "regression":
        start_network(network, fit, params)
        best = _better(network, best, 0, check, params)
    for step, chunks in enumerate(_random_chunks(fit, params, seed), start=1):
        _step(network, chunks, optimiser, params, step)
        schedule.step()
        if step % params.check and step < params.steps:
            continue
        best = _better(network, best, step, check, params)
        if step - best.steps >= params.patience:
            break
    return best


def _better(network: ForecastNetwork, best: _Best, step: int, check: Chunks, params: LSTMParams) -> _Best:
    with torch.no_grad():
        loss = network_loss(network.eval(), check, params).item()
    return (
        best._replace(weights=copy.deepcopy(network.state_dict()), steps=step, loss=loss) if loss < best.loss else best
    )


def _step(network: ForecastNetwork, chunks: Chunks, optimiser: Any, params: LSTMParams, step: int) -> None:
    optimiser.zero_grad()
    loss = network_loss(network.train(), chunks, params)
    if not math.isfinite(loss.item()):
        problem = f"makes the training loss {loss.item()} at step {step}"
        raise ParameterError(
            "model.learning_rate", problem, value=params.learning_rate, fix="a lower one, or check the features"
        )
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()


def _random_chunks(series: Chunks, params: LSTMParams, seed: int) -> Iterator[Chunks]:
    """`steps` batches of random chunks; targets are NaN during the burn-in, which carries no loss."""
    random = np.random.default_rng(seed)
    length = params.burn_in + params.chunk
    for _ in range(params.steps):
        starts = random.integers(0, len(series.target) - length + 1, params.batch)
        at = torch.from_numpy(starts[:, None] + np.arange(length))
        chunks = Chunks(*(part[at] for part in series))
        chunks.target[:, : params.burn_in] = math.nan
        yield chunks


def _validation_chunks(series: Chunks, first: int, params: LSTMParams) -> Chunks:
    """Every row from `first` once, in chunks whose state is first run over `replay` earlier rows."""
    count = len(series.target)
    starts = np.arange(first, count, params.chunk)
    rows = torch.from_numpy(np.minimum(starts[:, None] + np.arange(-params.replay, params.chunk), count - 1))
    chunks = Chunks(*(part[rows] for part in series))
    chunks.target[:, : params.replay] = math.nan
    chunks.target[-1, params.replay + count - int(starts[-1]) :] = math.nan
    return chunks


def run_job(job: FoldJob, entry: Path | None) -> FoldForecast:
    """The forecasts of one fold by one model, trained here, and kept in the file `entry` where it is given.

    The state is run over `replay` rows before the first test row.
    """
    trained = train_network(job.sample, job.last, job.gap, job.scaling, job.params, job.seed)
    warm = max(job.sample.first, job.test_first - job.params.replay)
    columns = trained.forecast(job.sample.features[warm:], trained.fresh_state())
    made = FoldForecast(columns[job.test_first - warm :], trained.steps)
    if entry is not None:
        write_entry(entry, made)
    return made
