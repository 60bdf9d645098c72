"""Forward: settings chosen on past folds only, each judged on the fold that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
import pandas as pd

from backtests.exchange.impact import checked_impact_units
from backtests.exchange.records import (
    ACCOUNT,
    FILL,
    FINER,
    ORDER,
    PAYMENT,
    POSITION,
    Desk,
    contract_record,
    settings_record,
)
from backtests.exchange.slippage import taker_price
from backtests.exchange.valuation import fee_of, profit_of
from backtests.run.replay import check_replay, replay
from backtests.run.result import Result
from backtests.run.tables import Tables, on_tables
from backtests.searches.goals import Goals
from backtests.searches.search import Search, SearchWords, read_search
from backtests.searches.search_text import ratio_text, table_text
from backtests.searches.study import Study
from backtests.searches.tuning import search, tuning_ground
from foundation.chain import Head
from foundation.dimensions import Dimension
from foundation.errors import ParameterError
from foundation.fingerprint import fingerprint
from foundation.seals import check_sealed
from foundation.trials import Batch, Span, batch_of
from markets.candles import FloatArray, IntArray
from markets.market import Market, common_span
from models.forecasts import Forecasts, cut_forecasts

YEAR = 365 * 86_400_000_000_000


@dataclass(frozen=True, eq=False)
class Curve:
    """Equity at the close of every judged bar. `timestamp`: bar opens, UTC nanoseconds. `cash`: before the first."""

    timestamp: IntArray
    equity: FloatArray
    cash: float
    bar: int

    @property
    def returns(self) -> FloatArray:
        """The return of each bar, the first against the cash; 0 after ruin."""
        before = np.concatenate(([self.cash], self.equity[:-1]))
        return np.where(before > 0.0, self.equity / np.where(before > 0.0, before, 1.0) - 1.0, 0.0)

    @property
    def sharpe(self) -> float:
        """Mean over standard deviation of the bar returns, a year; NaN where they do not vary."""
        return sharpe_of(self.returns, self.bar)


@dataclass(frozen=True, eq=False)
class Forward:
    """What tuning on the past came to, fold after fold.

    `folds`: a row a fold: `first`, the open of its first bar; the values chosen before it by `table.key`; `inside`, the
    Sharpe ratio they had on the past that they were chosen by; `outside`, the one on the fold itself; `return`,
    `trades`. Where no setting kept the constraints the fold is not traded. `curve`: the honest one, all folds after
    one another. `hindsight`: the same bars under `known`, the values that a tuning on everything chooses. `results`:
    what Backtrader made of each traded fold. `trials`: all that the ledger holds for these contracts and times,
    and `head` where it ended then.

    A fold starts without a position, with the equity that the one before left. What is open at its last close is
    closed there, at the mark price less taker fee and slippage; so a position never spans two settings.
    """

    base: Tables
    space: tuple[Dimension, ...]
    goals: Goals
    folds: pd.DataFrame
    curve: Curve
    hindsight: Curve
    known: Mapping[str, Any]
    results: Mapping[int, Result]
    trials: int
    head: Head
    markets: tuple[Market, ...]
    forecasts: Forecasts

    @property
    def inside(self) -> float:
        """The mean Sharpe ratio of the choices on the past they were made by."""
        values = self.folds["inside"].dropna()
        return float(values.mean()) if len(values) else np.nan

    @property
    def fall(self) -> float:
        """By how much the Sharpe ratio falls from the past to the future."""
        return self.inside - self.curve.sharpe

    def __str__(self) -> str:
        past, later, hindsight = map(ratio_text, (self.inside, self.curve.sharpe, self.hindsight.sharpe))
        fall = f"Sharpe ratio {past} on the past, {later} on what followed; {hindsight} with hindsight"
        folds = self.folds.rename(columns={"first": "from", "inside": "in_sample", "outside": "out_of_sample"})
        return f"{table_text(folds)}\n{fall}; {self.trials:,} trials on this data in the ledger"


@on_tables
def tune_forward(
    markets: list[Market],
    forecasts: Forecasts,
    base: Tables,
    *,
    over: Mapping[str, Any],
    folds: int = 5,
    **words: Unpack[SearchWords],
) -> Forward:
    """A tuning that never sees what it is judged by; words as in `tune`, of which each fold makes one of its own.

    The time with forecasts is cut into `folds` + 1 equal stretches. On all bars before a stretch the best of
    `trials` settings is chosen (by the first objective, within the constraints), and then traded on that
    stretch. Every trial, and the stitched curve, is put down in the `ledger`.
    """
    if folds < 1:
        raise ParameterError("walk_forward", "should be 1 fold or more", value=folds)
    asked = read_search(over, words, folds)
    markets = common_span(markets)
    whole = tuning_ground(markets, forecasts, base, asked.space)
    check_sealed(asked.ledger, whole.spans)
    chooser = _Chooser(tuple(markets), forecasts, base, asked)
    borders = _borders(markets[0], whole.stage.start, folds)
    told = (f"Choosing before fold {number} of {folds}" for number in range(1, folds + 1))
    studies = [chooser.chosen(border, what) for border, what in zip(borders[:-1], told, strict=True)]
    rows, curve, results = _judged(markets, forecasts, base, studies, borders)
    end = chooser.chosen(borders[-1], "Choosing on all bars")
    known = end.values(end.best[0]) if end.best else {}
    hindsight, _ = _stretch(markets, forecasts, base.changed(known) if known else None, borders[0], borders[-1], base)
    content = fingerprint("forward", [one.fingerprint for one in markets], forecasts.fingerprint, str(rows))
    asked.ledger.record(_batch(whole.spans, rows, curve, content))
    head, count, table = asked.ledger.head(), asked.ledger.tried(whole.spans).trials, pd.DataFrame(rows)
    space, goals, played = asked.space, asked.goals, tuple(markets)
    return Forward(base, space, goals, table, curve, hindsight, known, results, count, head, played, forecasts)


def _batch(spans: Sequence[Span], rows: Sequence[Mapping[str, Any]], curve: Curve, content: str) -> Batch:
    """The stitched curve as one trial, with the mean Sharpe ratio that the choices had on the past; both per bar."""
    scale = np.sqrt(YEAR / curve.bar)
    inside = [row["inside"] for row in rows if np.isfinite(row["inside"])]
    grid = {"walk_forward": len(rows), "inside": float(np.mean(inside) / scale) if inside else None}
    return batch_of("tune", spans, grid, content, [curve.sharpe / scale])


@dataclass(frozen=True, eq=False)
class _Chooser:
    """What chooses before a bar."""

    markets: tuple[Market, ...]
    forecasts: Forecasts
    base: Tables
    asked: Search

    def chosen(self, end: int, what: str) -> Study:
        """The study of settings on the rows before `end`, and on the forecasts made there; its best is replayed."""
        past = [one.rows(0, end) for one in self.markets]
        known = cut_forecasts(self.forecasts, 0, int(past[0].candles.timestamp[-1]))
        study = search(tuning_ground(past, known, self.base, self.asked.space), self.base, self.asked, what)
        for number in study.best[:1]:
            tables = self.base.changed(study.values(number))
            check_replay(past, known, tables, f"trial {number} before row {end}", study.metrics(number))
        return study


def _borders(market: Market, start: int, folds: int) -> list[int]:
    """The row at which each judged fold begins, then the number of rows."""
    stamps = market.candles.timestamp
    first, count = int(np.searchsorted(stamps, start)), len(stamps)
    if count - first < 10 * (folds + 1):
        problem = f"asks for {folds} folds of {count - first} bars with forecasts"
        raise ParameterError("walk_forward", problem, value=folds, fix="fewer folds, or more bars")
    return [first + (count - first) * number // (folds + 1) for number in range(1, folds + 2)]


def _judged(
    markets: Sequence[Market], forecasts: Forecasts, base: Tables, studies: Sequence[Study], borders: Sequence[int]
) -> tuple[list[dict[str, Any]], Curve, dict[int, Result]]:
    """A row a fold, the stitched curve, and Backtrader's results."""
    stamps, rows, results = markets[0].candles.timestamp, [], {}
    parts: list[FloatArray] = []
    cash = base.account.cash
    for number, study in enumerate(studies):
        first, last = borders[number], borders[number + 1]
        best = study.best
        values = study.values(best[0]) if best else {one.name: None for one in study.space}
        tables = base.changed(values) if best else None
        own = replace(base, account=base.account.replaced(cash=cash)) if cash > 0.0 else base
        part, result = _stretch(markets, forecasts, tables if cash > 0.0 else None, first, last, own)
        equity = part.equity if cash > 0.0 else np.zeros(last - first)
        parts.append(equity)
        if result is not None:
            results[number] = result
        rows.append(
            {
                "first": pd.Timestamp(int(stamps[first]), tz="UTC"),
                **values,
                "inside": float(study.table["sharpe"].to_dict()[best[0]]) if best else np.nan,
                "outside": part.sharpe,
                "return": part.equity[-1] / part.cash - 1.0,
                "trades": 0 if result is None else int((result.fills["reason"] == "entry").sum()),
            }
        )
        cash = float(equity[-1])
    curve = Curve(stamps[borders[0] : borders[-1]], np.concatenate(parts), base.account.cash, markets[0].candles.bar)
    return rows, curve, results


def _stretch(
    markets: Sequence[Market], forecasts: Forecasts, tables: Tables | None, first: int, last: int, base: Tables
) -> tuple[Curve, Result | None]:
    """The equity of a setting on the rows from `first` to before `last`, closed at the end; flat for none."""
    stamps, cash = markets[0].candles.timestamp, base.account.cash
    flat = Curve(stamps[first:last], np.full(last - first, cash), cash, markets[0].candles.bar)
    if tables is None:
        return flat, None
    tables = replace(tables, account=tables.account.replaced(cash=cash))
    seen = [one.rows(0, last) for one in markets]
    own = cut_forecasts(forecasts, int(stamps[first]), int(stamps[last - 1]))
    result = replay(seen, own, tables, f"fold from row {first}")
    equity = np.array(result.equity["equity"], dtype=np.float64)
    equity[-1] = max(equity[-1] - closing_cost(result), 0.0)
    kept = flat.equity.copy()
    # Bars before the first forecast of a stretch are held in cash.
    kept[len(kept) - len(equity) :] = np.maximum(equity, 0.0)
    return replace(flat, equity=kept), result


def closing_cost(result: Result) -> float:
    """What it costs to close what is open at the last bar's close, at the mark price: taker fee and all slippage.

    As the exchange fills an order at that close, with half-spread and the impact of the size, from the bars before.
    """
    return sum(_closing_cost(market, result) for market in result.markets)


def _closing_cost(market: Market, result: Result) -> float:
    row = result.positions[result.positions["symbol"] == market.symbol].iloc[-1]
    mark, size = float(np.float64(row["mark"])), float(np.float64(row["position"]))
    if not size:
        return 0.0
    window, terms = result.costs.impact_window, settings_record(result.account, result.costs)
    contracts, positions = contract_record(market.contract), np.zeros(1, dtype=POSITION)
    last = len(market.candles) - 1
    positions["impact"] = checked_impact_units(market.candles, window, last - 1)[last] if window else 0.0
    none = [np.zeros(0, dtype=one) for one in (ACCOUNT, ORDER, FILL, PAYMENT, FINER)]
    desk = Desk(none[0], positions, none[1], terms, contracts, *none[2:])
    price = float(taker_price(desk, 0, -1 if size > 0.0 else 1, mark, abs(size)))
    lost = -float(profit_of(contracts[0], size, mark, price))
    return lost + float(fee_of(contracts[0], abs(size), price, market.contract.taker_fee))


def sharpe_of(returns: FloatArray, bar: int) -> float:
    """Mean over standard deviation of bar returns, a year of 365 days; NaN where they do not vary."""
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return float(returns.mean()) / deviation * np.sqrt(YEAR / bar) if deviation > 1e-15 else np.nan
