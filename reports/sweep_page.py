"""The page of a sweep: one self-contained HTML file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from backtests.landscape import best_numbers
from backtests.sweeps import MOST_BLOCKS, Sweep
from foundation.trials import TrialLedger
from reports import formats
from reports.catalogue import CATALOGUE
from reports.heat_maps import chosen_number, label
from reports.page import draw
from reports.sections import search
from reports.sentences import Banner, ratio_banner
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
        banners=[*_banners(found, overfitting), *ratio_banner(days_of(found))],
        lead=lead(found),
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


def lead(found: Sweep) -> str:
    """What the sweep comes to, in two sentences."""
    count = f"{len(found):,} settings of {len(found.grid.axes)} parameters were played"
    peak, plateau = best_numbers(found.sharpe, 1), best_numbers(found.plateau, 1)
    if not len(peak):
        return f"{count}; none of them made a trade."
    highest = formats.ratio(float(found.sharpe[peak[0]]))
    if not len(plateau):
        return f"{count}. The best Sharpe ratio is {highest}; no setting has neighbours that all traded."
    number = int(plateau[0])
    values = ", ".join(f"{label(name)} {value}" for name, value in found.grid.point(number).items())
    level, own = formats.ratio(float(found.plateau[number])), formats.ratio(float(found.sharpe[number]))
    return (
        f"{count}. The safest ground is {values}: its Sharpe ratio is {own}, and no neighbour is below {level}. "
        f"The highest ratio anywhere is {highest}."
    )


def days_of(found: Any) -> float:
    """How many days the bars of a search span."""
    candles = found.ground.stage.played[0].candles
    count, bar = int((candles.timestamp >= found.ground.stage.start).sum()), int(candles.bar)
    return count * bar / 86_400e9


def _banners(found: Sweep, overfitting: float) -> list[Banner]:
    sample = f" of a sample of {MOST_BLOCKS:,} settings" if len(found) > MOST_BLOCKS else ""
    if np.isnan(overfitting):
        return []
    text = (
        f"Of all ways to halve the time{sample}, in {overfitting:.0%} the setting that was best in one half was at or "
        "below the middle of all settings in the other. One half is what chance alone gives."
    )
    if overfitting >= 0.4:
        return [Banner("warned", "Choosing the best of these settings helps little.", text)]
    if overfitting >= 0.1:
        return [Banner("plain", "Choosing among these settings helps, but not surely.", text)]
    return [Banner("evident", "What was good in one half of the time was good in the other.", text)]


def _tiles(found: Sweep, overfitting: float) -> list[tuple[str, str, str]]:
    number = chosen_number(found)
    row = found.table.loc[number] if number in found.table.index else None
    shown = ("sharpe", "total_return", "max_drawdown", "trades", "liquidations")
    tiles = [
        ("Settings", formats.count(len(found)), ""),
        ("Best plateau", formats.ratio(float(found.plateau[number])), ""),
    ]
    if row is not None:
        tiles += [(f"Its {CATALOGUE[name].label.lower()}", CATALOGUE[name].write(row[name]), "") for name in shown]
    tiles.append(("Overfitting", formats.percent(overfitting, decimals=0), "odds"))
    return tiles
