"""Training: one network fitted to the training rows of one market, or of several."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from markets.candles import FloatArray, IntArray
from models.cache import FoldForecast, FoldJob, write_entry
from models.checkpoints import Checkpoint
from models.descent import Descent
from models.fitted import TrainedNetwork
from models.losses import Chunks
from models.network import ForecastNetwork
from models.outputs import fit_slope, read_score
from models.parameters import LSTMParams
from models.pooling import PooledJob
from models.samples import Sample
from models.scaling import Scaler, fit_scaler
from models.schedule import Rows, split_rows
from models.variance import base_log, fit_base, shown_columns

# The rows of one market that fit and validate.
Part = tuple[Sample, Rows]


def train_network(
    sample: Sample, last: int, gap: int, scaling: str, params: LSTMParams, seed: int, resume: str | None = None,
    before: TrainedNetwork | None = None,
) -> TrainedNetwork:  # fmt: skip
    """The network that a seed leads to, trained on the sample's rows before `last`.

    `gap`: rows left out between fit and validation rows, at least the horizon of the label. Bar
    `last` - 1 + horizon is the last one that touches the model. For the steps see Descent; the weights with the
    lowest validation loss count, those of a network that says zero and of the start among them. With `before`
    training begins at that network's weights, and the start is only compared. Equal arguments give equal bits.
    With `resume`, the fingerprint of the arguments, a training that was killed goes on from its last checkpoint, to
    the same bits. Raises DataError that says how many bars are needed, ParameterError for a loss that is not finite.
    """
    parts = [(sample, split_rows(sample, last, gap, params))]
    return train_networks(parts, scaling, params, seed, resume=resume, before=before)[0]


def train_networks(
    parts: Sequence[Part], scaling: str, params: LSTMParams, seed: int, shared: bool = False, resume: str | None = None,
    before: TrainedNetwork | None = None,
) -> list[TrainedNetwork]:  # fmt: skip
    """One network trained on the rows of several markets at once, as each of them is to use it.

    Weights are the same for all. Scaler, variance base and deviation are fitted to the fit rows of each market,
    or, `shared`, to those of all. No chunk of rows lies in two markets.
    """
    fits = [(sample, slice(rows.fit_first, rows.fit_last)) for sample, rows in parts]
    groups = [fits] * len(parts) if shared else [[one] for one in fits]
    width = shown_columns(parts[0][0].features.shape[1], params)
    shown = [np.concatenate([one.features[fit, :width] for one, fit in group]) for group in groups]
    scalers, bases = [fit_scaler(scaling, rows) for rows in shown], [_fit_base(group, params) for group in groups]
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ForecastNetwork(width, params)
        series = [_tensors(*one, params) for one in zip(parts, scalers, bases, strict=True)]
        checkpoint = Checkpoint(resume) if resume else None
        weights = None if before is None else {name: torch.from_numpy(one) for name, one in before.weights.items()}
        best = _descent(network, series, [rows for _, rows in parts], params, seed).run(checkpoint, weights)
    learned = {name: values.numpy() for name, values in best.weights.items()}
    trained = []
    for (sample, rows), scaler, base, group in zip(parts, scalers, bases, groups, strict=True):
        returns = np.concatenate([one.returns[fit] for one, fit in group])
        deviation = math.sqrt(float(np.nanmean(np.square(returns, dtype=np.float64))))
        made = TrainedNetwork(params, scaler, learned, base, deviation, 1.0, best.steps, best.loss, best.zero_loss)
        trained.append(_with_slope(made, sample, rows))
    return trained


def _fit_base(group: Sequence[tuple[Sample, slice]], params: LSTMParams) -> FloatArray:
    variance = np.concatenate([sample.variance[fit] for sample, fit in group])
    return fit_base(variance.astype(np.float64), np.concatenate([sample.base[fit] for sample, fit in group]), params)


def _tensors(part: Part, scaler: Scaler, base: FloatArray, params: LSTMParams) -> Chunks:
    """Scaled inputs, target and variance base from fit to validation, each one long chunk: (rows, columns), (rows,)."""
    sample, rows = part
    shown = slice(rows.fit_first, rows.check_last)
    scaled = scaler.apply(sample.features[shown, : len(scaler.centre)])
    logs = base_log(base, sample.base[shown], params).astype(np.float32)
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


def _descent(
    network: ForecastNetwork, series: Sequence[Chunks], splits: Sequence[Rows], params: LSTMParams, seed: int
) -> Descent:
    """The training on some rows of several markets; each of the `series` begins at its row `fit_first`."""
    lengths = [rows.fit_last - rows.fit_first for rows in splits]
    fit = _joined([Chunks(*(part[:length] for part in one)) for one, length in zip(series, lengths, strict=True)])
    starts = [rows.check_first - rows.fit_first for rows in splits]
    checks = [_validation_chunks(one, start, params) for one, start in zip(series, starts, strict=True)]
    return Descent(network, fit, _chunk_starts(lengths, params), _joined(checks), params, seed)


def _joined(series: Sequence[Chunks]) -> Chunks:
    return series[0] if len(series) == 1 else Chunks(*(torch.cat(parts) for parts in zip(*series, strict=True)))


def _chunk_starts(lengths: Sequence[int], params: LSTMParams) -> IntArray:
    """The rows at which a chunk may start, in series that lie one after another: none runs into the next."""
    begins = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    length = params.burn_in + params.chunk
    return np.concatenate([begin + np.arange(count - length + 1) for begin, count in zip(begins, lengths, strict=True)])


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
    resume = None if entry is None else job.key
    trained = train_network(job.sample, job.last, job.gap, job.scaling, job.params, job.seed, resume, job.before)
    return _forecast(trained, job, entry)


def run_pooled(job: PooledJob, entries: Sequence[Path] | None) -> list[FoldForecast]:
    """The forecasts of one fold for each symbol by one model of all, kept where `entries` are given."""
    samples = zip((part.sample for part in job.parts), job.splits, strict=True)
    lead = job.parts[0]
    resume = None if entries is None else job.key
    shared = job.scaling == "pooled"
    trained = train_networks(list(samples), lead.scaling, lead.params, lead.seed, shared, resume, lead.before)
    paths: Sequence[Path | None] = entries or [None] * len(trained)
    return [_forecast(*one) for one in zip(trained, job.parts, paths, strict=True)]


def _forecast(trained: TrainedNetwork, job: FoldJob, entry: Path | None) -> FoldForecast:
    warm = max(job.sample.first, job.test_first - job.params.replay)
    columns = trained.forecast(job.sample.features[warm:], trained.fresh_state())
    made = FoldForecast(columns[job.test_first - warm :], trained)
    if entry is not None:
        write_entry(entry, made)
    return made
