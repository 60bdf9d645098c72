"""Interpretation: which features a walk-forward's networks rest on, and what they did over time, out of sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from foundation.progress import progress
from markets.candles import FloatArray, IntArray
from markets.market import Market
from models.attribution import attribute
from models.ensemble import Ensembles, SymbolModel, combine
from models.features import Float32Array
from models.paired import block_bars
from models.row_losses import NAMES, row_losses
from models.samples import Sample, build_sample
from models.significance import newey_west
from models.traces import trace_network
from models.variance import base_columns

# Columns of `Interpretation.forget`.
FORGET = ("mean", "lowest tenth", "highest tenth")


class Importance(NamedTuple):
    """What the loss of a bar rises by when a feature tells nothing, and the standard error of that."""

    feature: str
    rise: float
    error: float


@dataclass(frozen=True, eq=False)
class Interpretation:
    """What the networks behind the forecasts of one market rest on, over `bars` bars of their tests.

    `importance`: of each feature, the highest first, as a rise of `loss`, whose mean was `mean_loss`. `features`: the
    columns below, in their order. `attributions`: the mean size of the integrated gradients of the first raw value,
    shape (window bars, columns), the last bar last; `gap`: their largest error of adding up. At each `timestamp` (bar
    OPEN): `coefficients` (bars, columns) of the forecast a(h) . x on bent scaled features, None under a head without;
    and `forget` (bars, FORGET): the forget gates of all units. `memory`: of each unit, 1 / (1 - its mean forget gate),
    in bars, rising.
    """

    symbol: str
    bars: int
    loss: str
    mean_loss: float
    importance: tuple[Importance, ...]
    features: tuple[str, ...]
    attributions: FloatArray
    gap: float
    timestamp: IntArray
    coefficients: FloatArray | None
    forget: FloatArray
    memory: FloatArray


class Stretch(NamedTuple):
    """Rows [first, last) of a test, and the ensemble that forecast them."""

    model: SymbolModel
    first: int
    last: int


def interpret(
    market: Market, ensembles: Ensembles, *, bars: int = 10_000, repeats: int = 5, windows: int = 96,
    window_bars: int = 64, seed: int = 0,
) -> Interpretation:  # fmt: skip
    """The interpretation of a market's ensembles, over at most about `bars` bars, the first of each test.

    Importance: the values of one feature change places in blocks of 2 n^(1/3) bars, so that they keep their
    autocorrelation; networks run over them from a state that earlier bars warmed. The rise is a mean over `repeats`
    draws, its error the Newey-West error over as many lags as a block has bars. Features that say the same stand in
    for each other: then neither is important. Attributions are of `windows` windows spread over all tests.
    """
    sample = build_sample(market, ensembles.features, ensembles.model)
    stretches = list(_stretches(sample, ensembles, market.symbol, bars))
    names = _names(ensembles)
    random = np.random.default_rng(seed)
    rises, losses = [], []
    for stretch in progress(stretches, f"Interpreting the models of {market.symbol}", len(stretches)):
        loss, rise = _rises(sample, stretch, ensembles, repeats, random)
        losses.append(loss)
        rises.append(rise)
    rise, lags = np.concatenate(rises), block_bars(sum(map(len, losses)))
    importance = [_importance(name, column, lags) for name, column in zip(_groups(ensembles), rise.T, strict=True)]
    attributions, gap = _attributions(sample, stretches, windows, window_bars)
    coefficients, forget, memory = _traces(sample, stretches, ensembles)
    return Interpretation(
        symbol=market.symbol,
        bars=len(rise),
        loss=NAMES[ensembles.model.output],
        mean_loss=float(np.nanmean(np.concatenate(losses))),
        importance=tuple(sorted(importance, key=lambda one: -one.rise)),
        features=names,
        attributions=attributions,
        gap=gap,
        timestamp=np.concatenate([sample.timestamp[one.first : one.last] for one in stretches]),
        coefficients=coefficients,
        forget=forget,
        memory=memory,
    )


def _stretches(sample: Sample, ensembles: Ensembles, symbol: str, bars: int) -> Sequence[Stretch]:
    """The first rows of each test, as great a share of all as makes about `bars` of them."""
    models = ensembles.symbols[symbol]
    starts = np.searchsorted(sample.timestamp, [stamp for stamp, _ in models])
    ends = [*starts[1:].tolist(), len(sample)]
    least = sample.first + ensembles.model.replay
    total = max(1, sum(end - max(int(start), least) for start, end in zip(starts, ends, strict=True)))
    made = []
    for (_, model), start, end in zip(models, starts.tolist(), ends, strict=True):
        first = max(start, least)
        count = math.ceil((end - first) * min(1.0, bars / total))
        if count > 0:
            made.append(Stretch(model, first, first + count))
    return made


def _names(ensembles: Ensembles) -> tuple[str, ...]:
    """A name for every column that the networks are shown."""
    params, columns = ensembles.model, ensembles.features.columns
    if params.variance_base != "har":
        return columns
    har = [f"{kind} of {bars} bars" for kind in ("deviation", "falls") for bars in params.har_bars]
    return (*columns, *har, "constant of the base")


def _groups(ensembles: Ensembles) -> dict[str, list[int]]:
    """The columns that change places together: each feature alone, and those of the variance base at once."""
    names, count = _names(ensembles), len(ensembles.features.columns)
    groups = {name: [place] for place, name in enumerate(names[:count])}
    base = list(range(count, count + base_columns(ensembles.model)))
    return groups | ({"variance base": base} if base else {})


def _rises(
    sample: Sample, stretch: Stretch, ensembles: Ensembles, repeats: int, random: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """The loss at each row, and what it rises by when each group of columns changes places, (rows, groups)."""
    params, groups = ensembles.model, _groups(ensembles)
    warm = stretch.first - params.replay
    shown, rows = sample.features[warm : stretch.last], sample.rows(stretch.first, stretch.last)

    def loss(features: Float32Array) -> FloatArray:
        said = [member.forecast(features, member.fresh_state())[params.replay :] for member in stretch.model.members]
        return row_losses(combine(said, np.ones(len(rows)), params), rows, params)

    plain, rise = loss(shown), np.zeros((len(rows), len(groups)))
    for number, columns in enumerate(groups.values()):
        for _ in range(repeats):
            order = params.replay + permuted_blocks(len(rows), block_bars(len(rows)), random)
            mixed = shown.copy()
            mixed[params.replay :, columns] = shown[order][:, columns]
            rise[:, number] += (loss(mixed) - plain) / repeats
    return plain, rise


def permuted_blocks(rows: int, block: int, random: np.random.Generator) -> npt.NDArray[np.intp]:
    """The rows 0, 1 ... in blocks that have changed places; where the first block begins is drawn, too.

    Each row stands there once, and most stand behind the row that was before them.
    """
    turned = np.roll(np.arange(rows), int(random.integers(0, max(rows, 1))))
    blocks = np.array_split(turned, max(1, math.ceil(rows / block)))
    return np.concatenate([blocks[place] for place in random.permutation(len(blocks))])


def _importance(name: str, rise: FloatArray, lags: int) -> Importance:
    known = rise[np.isfinite(rise)]
    variance = newey_west(known, min(lags, max(len(known) - 1, 0)))
    return Importance(name, float(known.mean()), math.sqrt(variance) if variance > 0.0 else 0.0)


def _attributions(
    sample: Sample, stretches: Sequence[Stretch], windows: int, window_bars: int
) -> tuple[FloatArray, float]:
    columns = len(stretches[0].model.members[0].scaler.centre)
    total, count, gap = np.zeros((window_bars, columns)), 0, 0.0
    each = math.ceil(windows / max(len(stretches), 1))
    for stretch in stretches:
        ends = np.unique(np.linspace(stretch.first, stretch.last - 1, each).round().astype(int))
        ends = ends[ends - window_bars + 1 >= sample.first]
        if len(ends):
            shown = np.stack([sample.features[end - window_bars + 1 : end + 1] for end in ends])
            made = attribute(stretch.model.members, shown)
            total += np.abs(made.values).sum(axis=0)
            count, gap = count + len(ends), max(gap, made.gap)
    return total / max(count, 1), gap


def _traces(
    sample: Sample, stretches: Sequence[Stretch], ensembles: Ensembles
) -> tuple[FloatArray | None, FloatArray, FloatArray]:
    """Coefficients and forget gates at every row of some stretches, and the memory of each unit."""
    replay, values = ensembles.model.replay, ensembles.model.raw_values
    coefficients, forget, gates = [], [], []
    for stretch in stretches:
        shown = sample.features[stretch.first - replay : stretch.last]
        made = [trace_network(member, shown, member.fresh_state()) for member in stretch.model.members]
        coefficients.append(np.mean([one.head[replay:, values:] for one in made], axis=0, dtype=np.float64))
        gate = np.concatenate([one.forget[replay:] for one in made], axis=1).astype(np.float64)
        forget.append(np.column_stack((gate.mean(axis=1), *np.quantile(gate, [0.1, 0.9], axis=1))))
        gates.append(gate.sum(axis=0))
    rows = sum(stretch.last - stretch.first for stretch in stretches)
    memory = np.sort(1.0 / (1.0 - np.minimum(np.sum(gates, axis=0) / rows, 1.0 - 1e-9)))
    slopes = np.concatenate(coefficients) if ensembles.model.has_coefficients else None
    return slopes, np.concatenate(forget), memory
