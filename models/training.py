"""Training: one network fitted to the training rows of one market, or of several."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from markets.candles import FloatArray, IntArray
from models.checkpoints import Checkpoint
from models.descent import Best, Descent, Task
from models.features import Float32Array
from models.fitted import TrainedNetwork
from models.losses import Chunks
from models.network import ForecastNetwork
from models.outputs import fit_level, fit_slope, read_score
from models.parameters import WARM_UP, LSTMParams
from models.samples import Sample
from models.scaling import Scaler, fit_scaler
from models.schedule import Rows, split_rows
from models.variance import base_log, fit_base, shown_columns
from models.variance_level import sample_levels

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
    prepared = prepare_rows(parts, scaling, params, shared)
    with one_thread(), torch.random.fork_rng(devices=[]):
        best = Descent(make_task(prepared, params, seed, before)).run(Checkpoint(resume) if resume else None)
    return finish(prepared, params, best)


class Prepared(NamedTuple):
    """The rows of a training, scaled: what all seeds share. For each market its rows, scaler, base and deviation."""

    parts: Sequence[Part]
    scalers: list[Scaler]
    bases: list[FloatArray]
    deviations: list[float]
    fit: Chunks
    starts: IntArray
    check: Chunks


def prepare_rows(parts: Sequence[Part], scaling: str, params: LSTMParams, shared: bool = False) -> Prepared:
    """What is fitted to the fit rows before the network is, and the rows as a training takes them."""
    fits = [(sample, slice(rows.fit_first, rows.fit_last)) for sample, rows in parts]
    groups = [fits] * len(parts) if shared else [[one] for one in fits]
    width = shown_columns(parts[0][0].features.shape[1], params)
    shown = [np.concatenate([one.features[fit, :width] for one, fit in group]) for group in groups]
    scalers, bases = [fit_scaler(scaling, rows) for rows in shown], [_fit_base(group, params) for group in groups]
    returns = [np.concatenate([one.returns[fit] for one, fit in group]) for group in groups]
    deviations = [math.sqrt(float(np.nanmean(np.square(one, dtype=np.float64)))) for one in returns]
    series = [_tensors(*one, params) for one in zip(parts, scalers, bases, strict=True)]
    lengths = [rows.fit_last - rows.fit_first for _, rows in parts]
    fit = _joined([Chunks(*(part[:length] for part in one)) for one, length in zip(series, lengths, strict=True)])
    firsts = [rows.check_first - rows.fit_first for _, rows in parts]
    checks = [_validation_chunks(one, first, params) for one, first in zip(series, firsts, strict=True)]
    starts = _with_target(_chunk_starts(lengths, params), fit.target.numpy(), params)
    return Prepared(parts, scalers, bases, deviations, fit, starts, _joined(checks))


def make_task(prepared: Prepared, params: LSTMParams, seed: int, before: TrainedNetwork | None = None) -> Task:
    """The training of a seed: sets torch's random state, and draws the first weights from it."""
    torch.manual_seed(seed)
    network = ForecastNetwork(prepared.fit.inputs.shape[1], params)
    weights = None if before is None else {name: torch.from_numpy(one) for name, one in before.weights.items()}
    return Task(network, prepared.fit, prepared.starts, prepared.check, params, seed, weights)


def finish(prepared: Prepared, params: LSTMParams, best: Best, device: str = "cpu") -> list[TrainedNetwork]:
    """The network that training came to, as each market is to use it."""
    learned = {name: values.numpy() for name, values in best.weights.items()}
    own = zip(prepared.parts, prepared.scalers, prepared.bases, prepared.deviations, strict=True)
    said = best.steps, best.loss, best.zero_loss
    return [
        _with_level(
            _with_slope(TrainedNetwork(params, scaler, learned, base, deviation, 1.0, *said, device), *part), *part
        )
        for part, scaler, base, deviation in own
    ]


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
    """The network with its slope: of next returns on its score, or of their size on that of the range it forecasts.

    That of a score on the validation rows, that of a volatility on the fit rows, too. Unchanged where it has neither.
    """
    params = trained.params
    if params.output == "volatility":
        shown = slice(rows.fit_first, rows.check_last)
        sigma = trained.forecast(sample.features[shown], trained.fresh_state())[WARM_UP:, 1]
        returns = sample.returns[shown][WARM_UP:].astype(np.float64)
        return replace(trained, slope=fit_level(sigma, returns))
    if params.output not in ("barrier", "position"):
        return trained
    warm = rows.check_first - WARM_UP
    values = trained.raw_values(sample.features[warm : rows.check_last], trained.fresh_state())
    score = read_score(values[WARM_UP:], params.output)
    slope = fit_slope(score, sample.returns[rows.check_first : rows.check_last].astype(np.float64))
    return replace(trained, slope=slope)


def _with_level(trained: TrainedNetwork, sample: Sample, rows: Rows) -> TrainedNetwork:
    """The network with the level of its variance after the validation rows, followed over them from 1 on.

    1 is the level of the rows that the variance was fitted to.
    """
    check, warm = slice(rows.check_first, rows.check_last), rows.check_first - WARM_UP
    if trained.params.recalibration_bars == 0:
        return trained
    said = trained.forecast(sample.features[warm : check.stop], trained.fresh_state())[WARM_UP:]
    return replace(trained, level=float(sample_levels(said, sample, check, [trained], 1.0)[-1]))


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, which is quicker for networks of this size and gives the same bits in any worker."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _joined(series: Sequence[Chunks]) -> Chunks:
    return series[0] if len(series) == 1 else Chunks(*(torch.cat(parts) for parts in zip(*series, strict=True)))


def _chunk_starts(lengths: Sequence[int], params: LSTMParams) -> IntArray:
    """The rows at which a chunk may start, in series that lie one after another: none runs into the next."""
    begins = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    length = params.burn_in + params.chunk
    return np.concatenate([begin + np.arange(count - length + 1) for begin, count in zip(begins, lengths, strict=True)])


def _with_target(starts: IntArray, target: Float32Array, params: LSTMParams) -> IntArray:
    """The starts of chunks that hold a known target after their burn-in; a batch of others would have no loss."""
    counted = np.concatenate(([0], np.cumsum(~np.isnan(target))))
    held: IntArray = starts[counted[starts + params.burn_in + params.chunk] > counted[starts + params.burn_in]]
    return held


def _validation_chunks(series: Chunks, first: int, params: LSTMParams) -> Chunks:
    """Every row from `first` once, in chunks whose state is first run over WARM_UP earlier rows."""
    count = len(series.target)
    starts = np.arange(first, count, params.chunk)
    rows = torch.from_numpy(np.minimum(starts[:, None] + np.arange(-WARM_UP, params.chunk), count - 1))
    chunks = Chunks(*(part[rows] for part in series))
    chunks.target[:, :WARM_UP] = math.nan
    chunks.target[-1, WARM_UP + count - int(starts[-1]) :] = math.nan
    return chunks
