"""Proof of a feature: that it looks at no later bar, forgets what it says it forgets, and steps as it computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from foundation.errors import DataError, LookAheadError, ParameterError
from markets.candles import BoolArray, Candles, FloatArray, utc
from markets.exogenous import Exogenous
from markets.funding import Funding
from markets.market import Market
from models.features import Column, parse_column, parse_columns
from models.forecasts import market_bars
from models.inputs import as_inputs
from models.parameters import FeatureParams, LSTMParams
from models.samples import Sample, build_sample
from models.stepping import FeatureStepper

EXACT = 1e-9
# Besides a few rows that are looked at closely, a feature is shown another future at so many rows, so many bars apart:
# a look ahead at one hour of the day, or of the week by the hour, is met.
SPREAD_ROWS, APART = 50, 7
# The features of a user's own that were held to their bars in this process, with the symbol of the market.
_HELD: set[tuple[Callable[..., FloatArray], str, str]] = set()


def check_feature(name: str, market: Market, rows: Sequence[int] | None = None) -> None:
    """Proves a feature on a market: raises LookAheadError or DataError that says what it does wrong, and where.

    At each of `rows` (if left out, three, those before something joined changes, and 50 more without the other checks)
    everything that becomes known
    after the bar's close is replaced by other values, and taken away; no value up to that bar may change. Over a
    tail of `memory` bars, and shown bar by bar, the feature must come to the same value to 1e-9. A market of twice
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
        _check_spread(column, market)
    _check_steps(column, market, whole)


def proven_sample(market: Market, features: FeatureParams, model: LSTMParams) -> Sample:
    """The sample that something is to be trained on; raises LookAheadError where a feature of a user's own leaks."""
    refuse_leaks(market, parse_columns(features.columns))
    return build_sample(market, features, model)


def refuse_leaks(market: Market, columns: Sequence[Column]) -> None:
    """Holds features of a user's own to bars that are known, before anything is trained on them.

    On the first bars of the market, as `check_feature` does, but without its proofs of memory and steps, and once in a
    process. Raises LookAheadError for a feature whose value changes with later bars.
    """
    for column in columns:
        held = column.kind.compute, column.name, market.symbol
        if not column.kind.compute.__module__.startswith("models.") and held not in _HELD:
            _check_spread(column, market)
            _HELD.add(held)


def _check_spread(column: Column, market: Market) -> None:
    """Compares the feature with itself under another future at many rows of the first bars that have values."""
    first = market.rows(0, min(len(market.candles), column.memory + (SPREAD_ROWS + 1) * APART))
    whole = column.compute(first)
    for row in range(len(first.candles) - 2, column.warm_up, -APART)[:SPREAD_ROWS]:
        seen = column.compute(disturbed(first, row))[: row + 1]
        _compare(column, first, whole[: row + 1], seen, "other later bars")


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
        stamp = utc(market.candles.timestamp[row])
        raise LookAheadError(
            f"feature {column.name}: is {known[row]:.9g} at {stamp} UTC, and {seen[row]:.9g} with {what}; "
            "it must use bars up to its own row only"
        )


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
