"""Proof of a feature: that it looks at no later bar, forgets what it says it forgets, and steps as it computes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from foundation.errors import DataError, LookAheadError, ParameterError
from foundation.fingerprint import fingerprint
from foundation.progress import progress
from markets.candles import BoolArray, Candles, FloatArray, IntArray, utc
from markets.exogenous import Exogenous
from markets.funding import Funding
from markets.market import Market
from models.features import Column, parse_column, parse_columns
from models.forecasts import market_bars
from models.inputs import COLUMNS, Inputs, as_inputs
from models.parameters import FeatureParams, LSTMParams
from models.samples import Sample, build_sample
from models.stepping import FeatureStepper

EXACT = 1e-9
# A feature is held to its own bars at so many rows of the whole market, or as far as so many bars of computing go.
HELD_ROWS, HELD_BARS, HELD_ROUNDS = 1_500, 2_000_000, 4
# A change that is smaller, in deviations of the feature, is rounding: a network's inputs have seven digits.
ROUNDING = 1e-6
# A bar shows how far that is where it takes about so long.
SLOW_SECONDS = 2.0
# The features of a user's own that were held to their bars in this process, with what they were shown.
_HELD: set[tuple[Callable[..., FloatArray], str, str]] = set()


def check_feature(name: str, market: Market, rows: Sequence[int] | None = None) -> None:
    """Proves a feature on a market: raises LookAheadError or DataError that says what it does wrong, and where.

    At each of `rows` (if left out, three, and those before something joined changes) everything that becomes known
    after the bar's close is replaced by other values, and taken away; no value up to that bar may change. Over a
    tail of `memory` bars, and shown bar by bar, the feature must come to the same value to 1e-9. If `rows` are left
    out it is also held to its bars all over the market, as before a training (`hold_to_its_bars`). A market of twice
    the memory, and 100 bars more, will do.
    """
    column = parse_column(name)
    bars, least = len(market.candles), 2 * column.memory + 100
    if bars < least:
        raise ParameterError(
            "market", f"has {bars:,} bars, and {name} needs {least:,} to be proven", fix="a longer one"
        )
    whole = column.compute(market)
    for row in rows or _telling_rows(column, market):
        _check_later_bars(column, market, row, whole)
        _check_memory(column, market, row, whole)
    if rows is None:
        hold_to_its_bars(column, as_inputs(market, column.kind.needs))
    _check_steps(column, market, whole)


def proven_sample(market: Market, features: FeatureParams, model: LSTMParams) -> Sample:
    """The sample that something is to be trained on; raises LookAheadError where a feature of a user's own leaks."""
    refuse_leaks(market, parse_columns(features.columns))
    return build_sample(market, features, model)


def refuse_leaks(market: Market, columns: Sequence[Column]) -> None:
    """Holds features of a user's own to their own bars before anything is trained on them, once for the same bars.

    Raises LookAheadError or DataError, see `hold_to_its_bars`.
    """
    for column in columns:
        if column.kind.shipped:
            continue
        inputs = as_inputs(market, column.kind.needs)
        shown = [inputs.timestamp, *(getattr(inputs, name) for name in COLUMNS), *inputs.known.values()]
        held = column.kind.compute, column.name, fingerprint(*shown)
        if held not in _HELD:
            hold_to_its_bars(column, inputs)
            _HELD.add(held)


def hold_to_its_bars(column: Column, inputs: Inputs) -> None:
    """Raises where a value of a feature rests on anything but the `memory` bars that end at its row.

    The feature is computed again over a stretch that begins later and ends earlier, in which all bars but windows of
    `memory` bars, at random places, are other bars of the same market. At the last row of each window nothing may
    change. This is done anew until HELD_ROWS rows were looked at, spread over all of the market, or HELD_BARS bars were
    computed: what happens at one row in 200 is then missed once in 1,800 times. Raises LookAheadError where other
    later bars, or none, change the value, DataError where earlier ones do.
    """
    whole, random, bars = column.compute(inputs), np.random.default_rng(0), len(inputs)
    begun, values = time.perf_counter(), whole[np.isfinite(whole)]
    again, spent = column.compute(inputs), time.perf_counter() - begun
    if not np.array_equal(whole, again, equal_nan=True):
        problem = "gives other values when it is computed again"
        raise DataError(f"feature {column.name}", problem, fix="let it depend on its bars alone")
    if len(values) == 0 or bars < column.memory + 4:
        return
    rounding = ROUNDING * float(values.std()) + 1e-12 * float(np.abs(values).max())
    needed = HELD_ROWS * (1.5 * column.memory + 1.0) / bars
    rounds = max(HELD_ROUNDS, min(round(needed), HELD_BARS // bars))
    said = f"Holding feature {column.name} to its bars" if rounds * spent > SLOW_SECONDS else ""
    others = _OtherBars(inputs)
    for _ in progress(range(rounds), said, rounds):
        first, last, ends, kept = _windows(bars, column.memory, random)
        with np.errstate(all="ignore"):
            seen = column.run(others.shown(kept, random).rows(first, last))[ends - first]
        wrong = ~_alike(whole[ends], seen, rounding)
        if wrong.any():
            at = int(np.argmax(wrong))
            _explain(column, inputs, others, int(ends[at]), float(whole[ends[at]]), float(seen[at]), rounding)


def _alike(known: FloatArray, seen: FloatArray, rounding: float) -> BoolArray:
    """Whether values differ by rounding alone."""
    alike: BoolArray = (np.abs(known - seen) <= rounding) | (np.isnan(known) & np.isnan(seen))
    return alike


def _windows(bars: int, memory: int, random: np.random.Generator) -> tuple[int, int, IntArray, BoolArray]:
    """First and last row of a stretch, the last rows of windows in it, and which bars lie in a window.

    Between two windows lie from 1 bar to one more than a window holds, so that a look ahead at any distance meets them.
    """
    cut = min(memory, max(bars // 10, 1))
    first, last = int(random.integers(1, cut + 1)), bars - int(random.integers(1, cut + 1))
    gaps = random.integers(1, memory + 2, size=1 + max(last - first, 0) // (memory + 1))
    ends = first + np.cumsum(gaps + memory) - 1
    ends = ends[ends < last - 1]
    edges = np.zeros(bars + 1, dtype=np.int64)
    edges[ends - memory + 1] += 1
    edges[ends + 1] -= 1
    return first, last, ends, np.cumsum(edges[:-1]) > 0


class _OtherBars:
    """Other bars in the place of some: moves, volumes and joined values that the same market had at other times."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._before = np.append(inputs.open[:1], inputs.close[:-1])
        self._moves = {name: getattr(inputs, name) / self._before for name in COLUMNS[:-1]}
        self._had = {name: values[np.isfinite(values)] for name, values in inputs.known.items()}

    def shown(self, kept: BoolArray, random: np.random.Generator) -> Inputs:
        """The inputs with other bars wherever they are not `kept`; what was unknown stays so."""
        drawn = random.integers(0, len(kept), size=len(kept))
        bars = {name: self._before * moves[drawn] for name, moves in self._moves.items()}
        bars["volume"] = self._inputs.volume[drawn]
        shown: dict[str, Any] = {name: np.where(kept, getattr(self._inputs, name), one) for name, one in bars.items()}
        known = {}
        for name, values in self._inputs.known.items():
            same = kept | ~np.isfinite(values)
            known[name] = values if same.all() else np.where(same, values, random.choice(self._had[name], len(kept)))
        return replace(self._inputs, **shown, known=known)


def _explain(
    column: Column, inputs: Inputs, others: _OtherBars, row: int, known: float, seen: float, rounding: float
) -> None:
    """Raises the error that says by which bars the value of a row was changed: later ones, none later, or earlier."""
    later = others.shown(np.arange(len(inputs)) <= row, np.random.default_rng(1))
    for what, shown in (("other later bars", later), ("no later bars", inputs.rows(0, row + 1))):
        with np.errstate(all="ignore"):
            value = column.run(shown)[row]
        if not _alike(np.array(known), value, rounding):
            raise _look_ahead(column, inputs.timestamp, row, known, float(value), what)
    problem = f"is {known:.9g} at {utc(inputs.timestamp[row])} UTC, and {seen:.9g} with other bars before the last "
    fix = "declare a longer memory, or use fewer bars"
    raise DataError(f"feature {column.name}", f"{problem}{column.memory}, its memory", fix=fix)


def _look_ahead(column: Column, timestamp: IntArray, row: int, known: float, seen: float, what: str) -> LookAheadError:
    return LookAheadError(
        f"feature {column.name}: is {known:.9g} at {utc(timestamp[row])} UTC, and {seen:.9g} with {what}; "
        "it must use bars up to its own row only"
    )


def _telling_rows(column: Column, market: Market) -> list[int]:
    """Three rows, and for each joined series the last row before one of its values becomes known."""
    bars = len(market.candles)
    rows = [column.memory + 7, bars // 2, bars - 9]
    inputs = as_inputs(market, column.kind.needs)
    for name in column.kind.needs:
        changes = np.flatnonzero(np.diff(inputs.series(name)[column.memory :]))
        rows += [column.memory + int(row) for row in changes[len(changes) // 2 :][:1]]
    return rows


def disturbed(market: Market, row: int, seed: int = 0) -> Market:
    """The market with other values for everything that becomes known after the close of bar `row`."""
    random = np.random.default_rng(seed)
    candles, close = market.candles, int(market.candles.timestamp[row]) + market.candles.bar
    funding, mark = market.funding, market.mark
    if funding is not None:
        rates = np.where(funding.timestamp > close, random.normal(0.0, 1e-3, len(funding)), funding.rate)
        funding = Funding(funding.timestamp, rates, funding.source)
    if mark is not None:
        mark = _other_bars(mark, mark.timestamp + mark.bar > close, random)
    series = tuple(_other_rows(one, close, random) for one in market.exogenous)
    later = np.arange(len(candles)) > row
    changed = _other_bars(candles, later, random)
    return replace(market, candles=changed, mark=mark, funding=funding, exogenous=series, finer=None)


def _other_rows(series: Exogenous, close: int, random: np.random.Generator) -> Exogenous:
    """An exogenous series with other values in the rows that are public after `close`."""
    later = series.published > close
    values = {
        name: np.where(later, one + random.normal(1.0, 1.0, len(one)), one) for name, one in series.values.items()
    }
    return replace(series, values=values)


def _other_bars(candles: Candles, later: BoolArray, random: np.random.Generator) -> Candles:
    """Candles whose `later` bars are those of another, wilder market; the others stay as they are."""
    path = np.exp(np.cumsum(np.where(later, random.normal(0.01, 0.03, len(later)), 0.0)))
    opens, closes = candles.open * path, candles.close * path * np.where(later, 1.01, 1.0)
    wide = np.where(later, np.exp(np.abs(random.normal(0.0, 0.01, len(later)))), 1.0)
    high, low = np.maximum(opens, closes) * wide, np.minimum(opens, closes) / wide
    return replace(
        candles,
        open=opens,
        close=closes,
        high=np.where(later, high, candles.high),
        low=np.where(later, low, candles.low),
        volume=np.where(later, random.lognormal(3.0, 1.0, len(later)), candles.volume),
    )


def _check_later_bars(column: Column, market: Market, row: int, whole: FloatArray) -> None:
    known = whole[: row + 1]
    for seed in (1, 2):
        _compare(column, market, known, column.compute(disturbed(market, row, seed))[: row + 1], "other later bars")
    cut = column.compute(market.rows(0, row + 1))
    _compare(column, market, known, cut, "no later bars")


def _compare(column: Column, market: Market, known: FloatArray, seen: FloatArray, what: str) -> None:
    wrong = ~((known == seen) | (np.isnan(known) & np.isnan(seen)))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise _look_ahead(column, market.candles.timestamp, row, float(known[row]), float(seen[row]), what)


def _check_memory(column: Column, market: Market, row: int, whole: FloatArray) -> None:
    inputs = as_inputs(market, column.kind.needs)
    tail = column.compute(inputs.rows(row + 1 - column.memory, row + 1))[-1]
    if not _same(tail, whole[row]):
        problem = f"is {whole[row]:.12g} at row {row}, and {tail:.12g} over the last {column.memory} bars, its memory"
        raise DataError(f"feature {column.name}", problem, fix="declare a longer memory")


def _check_steps(column: Column, market: Market, whole: FloatArray) -> None:
    stepper = FeatureStepper([column], market.candles.bar)
    for row, bar in enumerate(market_bars(market, column.kind.needs)):
        value = float(stepper.step(bar)[0])
        if not _same(value, whole[row]):
            problem = f"is {whole[row]:.12g} at row {row}, and {value:.12g} shown bar by bar"
            raise DataError(f"feature {column.name}", problem, fix="mend its step, or its memory")


def _same(one: float, other: float) -> bool:
    return bool(abs(one - other) <= EXACT or (np.isnan(one) and np.isnan(other)))
