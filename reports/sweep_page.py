"""The page of a sweep: one self-contained HTML file."""

from __future__ import annotations

from typing import Any

import pandas as pd

from backtests.searches.sweeps import Sweep
from foundation.trials import TrialLedger
from reports import formats
from reports.catalogue import CATALOGUE
from reports.heat_maps import chosen_number
from reports.page import draw
from reports.search_sentences import counted, metric_words, sweep_banners, sweep_lead
from reports.sections import search
from reports.sentences import ratio_banner
from reports.templating import render


def render_sweep(found: Sweep, name: str, ledger: TrialLedger, overfitting: float) -> str:
    """The HTML of a sweep's report: nothing from the network."""
    made = [
        search.maps(found),
        search.values(found),
        search.lines(found),
        search.settings(found),
        search.winners(search.named(found), ledger),
        search.snippet(search.chosen(found)),
    ]
    return render(
        "search.html",
        draw=draw,
        title=name,
        banners=[*sweep_banners(found, overfitting), *ratio_banner(days_of(found))],
        lead=sweep_lead(found),
        tiles=_tiles(found, overfitting),
        sections=[one for one in made if one is not None],
        **span_heading(found),
        provenance=provenance(found),
    )


def span_heading(found: Any) -> dict[str, Any]:
    """The markets and times of a search, for the head of its page."""
    played, start = found.ground.stage.played, found.ground.stage.start
    stamps = played[0].candles.timestamp
    return {
        "synthetic": any(one.synthetic for one in played),
        "markets": [f"{one.contract.key} perpetual" for one in played],
        "bar": formats.span(played[0].candles.bar),
        "first": formats.day(pd.Timestamp(start)),
        "last": formats.day(pd.Timestamp(stamps[-1])),
        "bars": formats.count(int((stamps >= start).sum())),
    }


def provenance(found: Any) -> list[tuple[str, str]]:
    """What a search was made from."""
    played, forecasts = found.ground.stage.played, found.ground.forecasts
    prints = [(f"Market {one.symbol}", one.fingerprint) for one in played]
    return [*prints, ("Forecasts", f"{forecasts.name} {forecasts.fingerprint}")]


def days_of(found: Any) -> float:
    """How many days the bars of a search span."""
    candles = found.ground.stage.played[0].candles
    count, bar = int((candles.timestamp >= found.ground.stage.start).sum()), int(candles.bar)
    return count * bar / 86_400e9


def _tiles(found: Sweep, overfitting: float) -> list[tuple[str, str, str]]:
    number = chosen_number(found)
    row = found.table.loc[number] if number in found.table.index else None
    shown = ("sharpe", "total_return", "max_drawdown", "trades", "liquidations")
    tiles = [
        ("Best plateau", formats.ratio(float(found.plateau[number])), ""),
    ]
    if row is not None:
        tiles += [(f"Its {metric_words(name)}", CATALOGUE[name].write(row[name]), "") for name in shown]
    tiles.append(("Overfitting", formats.percent(overfitting, decimals=0), "odds"))
    tiles.append(("Trials on this data", formats.count(found.trials), counted(found.head)))
    return tiles
