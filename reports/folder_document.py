"""A run folder as a document: what its tables and records say, without its market and without playing it again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from backtests.doubts.controls import BANDS, Fan
from foundation.chain import Head
from foundation.errors import DataError
from models.evidence import Evidence, forecast_evidence
from reports import formats, tables
from reports.certainty import Certainty
from reports.certainty_table import certainty_table, explain_certainty
from reports.document import Document, tiles_of
from reports.doubt_figures import draw_fan
from reports.folders import Run, played, read_run
from reports.intervals import Interval, Intervals
from reports.palette import SWATCHES
from reports.parts import Chart, Grid, Grids, Paragraph, Part, Section
from reports.rolling import rolling_bars
from reports.sections.activity import distribution_chart
from reports.sections.doubts import verdict_parts
from reports.sections.performance import equity_chart, rolling_charts
from reports.sentences import lead_of, short_banner, skill_banner
from reports.skill_tables import skill_table, skill_tables
from reports.stored_verdict import stored_record
from reports.tracks import read_tracks
from reports.verdict import read_verdict


def document_of_folder(folder: Path) -> Document:
    """The document about the run in a folder, shorter than the one written with it: the market is not at hand.

    Raises DataError for a folder that holds no run, or a damaged one.
    """
    run = read_run(folder)
    trades, record = _table(folder, "trades"), stored_record(folder)
    baselines = cast("dict[str, dict[str, Any]]", run.metrics.get("baselines", {}))
    try:
        evidence = [forecast_evidence(track) for track in read_tracks(folder).values() if (track.model >= 0).any()]
        certainty = _certainty(folder, run.metrics)
        sections = [
            Section("equity", "Equity", "Equity and drawdown", _curves(run)),
            _sure(run, certainty),
            *_beside(run.metrics, baselines),
            *_luck(record, str(run.record["settlement"])),
            *_trades(trades, len(run.record["markets"])),
            *_skill(evidence),
            Section("metrics", "Metrics", "All metrics", [Grids(tables.metric_tables(run.metrics), "metrics")]),
            Section("settings", "Settings", "Settings", [Grids(tables.settings_tables(_nested(run.settings)))]),
        ]
        top = [] if record is None else verdict_parts(read_verdict(record["verdict"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(folder, f"is damaged ({type(error).__name__})", fix="run the backtest again") from None
    synthetic = bool(run.record["synthetic"])
    years = len(run.curve.equity) * run.curve.bar
    return Document(
        title=run.name,
        badge="synthetic market" if synthetic else "",
        subtitle=played(run),
        top=top,
        banners=[
            skill_banner([one.skill for one in evidence], synthetic=synthetic),
            *short_banner(run.metrics.get("days")),
        ],
        notes=tuple(run.record["notes"]),
        lead=lead_of(str(run.record["settlement"]), run.curve.cash, years, run.metrics, baselines),
        tiles=tiles_of(run.metrics, str(run.record["settlement"]), certainty.intervals),
        sections=sections,
        provenance=_provenance(run.record),
    )


def _provenance(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    prints = [(f"Market {symbol}", str(value)) for symbol, value in record["markets"].items()]
    return [*prints, ("Forecasts", f"{record['forecasts_name']} {record['forecasts']}"), ("Made with", versions)]


def _curves(run: Run) -> list[Part]:
    return [
        equity_chart({"this run": run.curve}, str(run.record["settlement"]), "equity"),
        *rolling_charts({"this run": run.curve}, rolling_bars(run.curve)),
        Grid(tables.monthly_table(run.curve), wide=True, style="months"),
    ]


def _sure(run: Run, certainty: Certainty) -> Section:
    table = certainty_table(certainty, run.metrics, run.curve)
    return Section("certainty", "How sure", "How sure is that?", [Paragraph(explain_certainty(certainty)), Grid(table)])


def _certainty(folder: Path, metrics: Mapping[str, Any]) -> Certainty:
    """The certainty that metrics.json and trials.json keep, as it was when the run was written."""
    own, trials = metrics["certainty"], json.loads((folder / "trials.json").read_text("utf-8"))
    ranges = own["intervals"]
    intervals = None
    if ranges:
        sharpe, cagr, fall = (Interval(*ranges[name]) for name in ("sharpe", "cagr", "max_drawdown"))
        intervals = Intervals(sharpe, cagr, fall, float(own["mean_block_bars"]))
    track = own["minimum_track_bars"]
    return Certainty(
        intervals=intervals,
        probabilistic=own["probabilistic_sharpe"],
        track_bars=math.inf if track is None else track,
        trials=int(trials["trials"]),
        lucky=trials["lucky_sharpe"],
        deflated=trials["deflated_sharpe"],
        head=Head(int(trials["ledger_records"]), str(trials["ledger_digest"]), str(trials.get("ledger_written", ""))),
    )


def _beside(metrics: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]) -> list[Section]:
    if not baselines:
        return []
    table = tables.side_by_side({"This run": metrics, **baselines}, "The same bars, cash and costs")
    return [Section("baselines", "Simpler rules", "Against simpler rules", [Grid(table, wide=True)])]


def _luck(record: Mapping[str, Any] | None, currency: str) -> list[Section]:
    """The fans of luck, where the run could be examined."""
    examined = None if record is None else record["examination"]
    if examined is None:
        return []
    parts: list[Part] = []
    for key, name in (("random_entries", "random entries"), ("permuted_forecasts", "permuted forecasts")):
        if examined[key] is not None:
            parts.append(_fan(examined[key], name, key.partition("_")[0], currency))
    return [Section("luck", "Luck", "Would it have worked anyway?", parts)]


def _fan(found: Mapping[str, Any], name: str, anchor: str, currency: str) -> Chart:
    kept = found["fan"]
    fan = Fan(
        np.array(kept["timestamp"], dtype=np.int64),
        np.array([kept["bands"][f"{level:g}"] for level in BANDS]),
        np.array(kept["ours"]),
    )
    said = (
        f"Bands hold half and nine tenths of {found['draws']:,} runs on {name}; {formats.percent(found['place'])} of "
        f"them ended below this run; p {formats.probability(found['p'])}."
    )
    legend = [("this run", "run", SWATCHES[0]), ("median of luck", "first", SWATCHES[1])]
    described = f"Equity of {found['draws']:,} runs on {name} as a fan, with the run's curve."
    return Chart(anchor, lambda sheet: draw_fan(fan, sheet, currency=currency), described, said, legend)


def _trades(trades: pd.DataFrame, markets: int) -> list[Section]:
    if trades.empty:
        return [Section("trades", "Trades", "Trades", [Paragraph("No trade was made.")])]
    parts: list[Part] = [Grid(tables.breakdown_table(trades), wide=True)]
    chart = distribution_chart(trades)
    parts += [] if chart is None else [chart]
    parts.append(Grid(tables.trade_table(trades, "All trades", several=markets > 1), wide=True, style="ledger"))
    return [Section("trades", "Trades", "Trades", parts)]


def _skill(evidence: list[Evidence]) -> list[Section]:
    table = skill_table([one.skill for one in evidence])
    if table is None:
        return []
    said = [Paragraph(f"{one.skill.symbol}: {one.verdict}", "strong") for one in evidence]
    return [
        Section(
            "skill", "Forecast skill", "Forecast skill",
            [*said, Grid(table), *(Grid(one) for one in skill_tables(evidence))],
        )
    ]  # fmt: skip


def _nested(settings: Mapping[str, str]) -> dict[str, Any]:
    """Settings by their full key, in a table for each first word."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        table, _, name = key.partition(".")
        found.setdefault(table, {})[name or table] = value
    return found


def _table(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.parquet"
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(path, f"cannot be read ({error})", fix="run the backtest again") from None
