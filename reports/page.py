"""The report page: one self-contained HTML file about one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from backtests.result import Result
from markets.market import Market
from models.evidence import Evidence
from models.skill import Skill
from reports import formats, tables
from reports.catalogue import CATALOGUE
from reports.certainty import Certainty
from reports.certainty_table import certainty_table, explain_certainty
from reports.curves import EquityCurve, equity_curve
from reports.figures import LOW, LOW_NARROW, MARKED_TRADES, NARROW, WIDE, draw_band, draw_equity, draw_price, draw_skill
from reports.images import render_svg
from reports.metrics import Metrics
from reports.palette import LINES
from reports.sentences import (
    Banner,
    assumptions,
    explain_baselines,
    explain_no_trade,
    explain_skill,
    lead,
    skill_banner,
)
from reports.settings import collect_settings, provenance
from reports.skill_path import Band, SkillPath, forecast_bands, skill_paths
from reports.skill_tables import skill_table, skill_tables
from reports.templating import render

LATEST = 50
MOST_TRADES = 1000
ZOOM_TRADES = 30
_SWATCHES = ("", "6 2.5", "1.6 2", "8 2.5 2 2.5", "4 1.5 1.5 1.5")
_CONTENTS = {
    "equity": "Equity", "certainty": "How sure", "baselines": "Simpler rules", "price": "Price and trades",
    "months": "Months", "costs": "Costs", "skill": "Forecast skill", "decisions": "Decisions", "trades": "Trades",
    "assumptions": "Assumptions", "settings": "Settings",
}  # fmt: skip


class Drawing(NamedTuple):
    """A figure for a page: once for wide screens and paper, once for narrow screens."""

    wide: str
    narrow: str
    caption: str = ""
    legend: Sequence[tuple[str, str, str]] = ()


@dataclass(frozen=True)
class Findings:
    """All that was worked out about one run before a page is set.

    `baselines`: the same account run by simpler rules, by name, with their metrics in `baseline_metrics`.
    `evidence`: on the forecasts, one per market; none for a rule that asks no forecast.
    """

    result: Result
    metrics: Metrics
    trades: pd.DataFrame
    evidence: Sequence[Evidence]
    certainty: Certainty
    baselines: Mapping[str, Result]
    baseline_metrics: Mapping[str, Metrics]

    @property
    def skills(self) -> list[Skill]:
        """The skill of the forecasts, one per market."""
        return [one.skill for one in self.evidence]

    @property
    def curves(self) -> dict[str, EquityCurve]:
        """The equity curves of the run, first, and of its baselines."""
        return {"this run": equity_curve(self.result)} | {
            name: equity_curve(one) for name, one in self.baselines.items()
        }


def render_page(findings: Findings) -> str:
    """The HTML of the report: no script, nothing from the network, equal findings give equal text."""
    result, trades, curves = findings.result, findings.trades, findings.curves
    run = curves["this run"]
    metrics = {"This run": findings.metrics, **findings.baseline_metrics}
    several, traded = len(result.markets) > 1, len(trades) > 0
    return render(
        "report.html",
        **_heading(findings, run),
        contents=list(_CONTENTS.items()),
        equity=draw_curves(curves, result.settlement, "equity"),
        certainty_text=explain_certainty(findings.certainty),
        certainty=certainty_table(findings.certainty, findings.metrics, run),
        baselines_text=explain_baselines(findings.baselines),
        baselines=tables.side_by_side(metrics, "The same bars, cash and costs"),
        traded=traded,
        untraded=explain_no_trade(result),
        prices=_prices(result, trades),
        months=tables.monthly_table(run),
        costs=tables.cost_table(result, run),
        skill_text=explain_skill(findings.skills, synthetic=result.synthetic),
        skill_verdicts=[f"{one.skill.symbol}: {one.verdict}" for one in findings.evidence],
        skill=skill_table(findings.skills),
        skill_tables=skill_tables(findings.evidence),
        skill_paths=[_skill_path(path, number) for number, path in enumerate(skill_paths(result))],
        bands=[_band(band, number) for number, band in enumerate(forecast_bands(result))],
        decisions=tables.decision_table(result.decisions),
        orders=tables.order_table(result.orders),
        breakdown=tables.breakdown_table(trades),
        **_trade_tables(trades, several=several),
        assumptions=assumptions(result),
        settings=tables.settings_tables(collect_settings(result)),
        provenance=_provenance(result),
    )


def draw_curves(curves: Mapping[str, EquityCurve], currency: str, name: str) -> Drawing:
    """Equity curves over one another, drawdowns below, for a page; the first one is drawn on top."""
    said = "; ".join(
        f"{label} from {formats.money(curve.cash)} to {formats.money(float(curve.equity[-1]))} {currency}, "
        f"deepest drawdown {formats.percent(float(curve.drawdown.max()))}"
        for label, curve in curves.items()
    )
    described = f"Line chart of equity with the drawdown below: {said}."
    wide, narrow = (
        render_svg(draw_equity(curves, sheet, currency=currency), f"{name}-{size}", described)
        for size, sheet in (("wide", WIDE), ("narrow", NARROW))
    )
    legend = [
        (label, LINES[number % len(LINES)], _SWATCHES[number % len(_SWATCHES)]) for number, label in enumerate(curves)
    ]
    caption = "Equity at the mark price at each bar's close, after all costs; the level line is the starting cash."
    return Drawing(wide, narrow, caption, legend)


def _skill_path(path: SkillPath, number: int) -> Drawing:
    final = formats.percent(float(path.forecast[-1]), signed=True, decimals=3)
    described = (
        f"Line chart of the skill of the forecasts of {path.symbol} as it adds up over time, to {final} at the end."
    )
    wide, narrow = (
        render_svg(draw_skill(path, sheet), f"skill{number}-{size}", described)
        for size, sheet in (("wide", LOW), ("narrow", LOW_NARROW))
    )
    caption = (
        "The line rises while the forecasts beat the expanding mean and falls while they do not; it ends at the skill."
    )
    names = ["forecasts", *(["oracle"] if path.oracle is not None else [])]
    return Drawing(wide, narrow, caption, [(name, LINES[at], _SWATCHES[at]) for at, name in enumerate(names)])


def _band(band: Band, number: int) -> Drawing:
    held = formats.percent(band.coverage)
    described = f"The last returns of {band.symbol} with the interval issued before each; {held} of all lay inside."
    wide, narrow = (
        render_svg(draw_band(band, sheet), f"band{number}-{size}", described)
        for size, sheet in (("wide", LOW), ("narrow", LOW_NARROW))
    )
    level = formats.percent(band.level, decimals=0)
    caption = (
        f"The last {len(band.outcome)} returns, each with the {level} interval that was issued one bar before; "
        f"over the whole run {held} lay inside."
    )
    return Drawing(wide, narrow, caption)


def _heading(findings: Findings, run: EquityCurve) -> dict[str, Any]:
    result, metrics = findings.result, findings.metrics
    banners: list[Banner] = [skill_banner(findings.skills, synthetic=result.synthetic)]
    if result.ruined:
        banners.append(
            Banner("warned", "The account was ruined.", "Equity reached zero; an account never comes back from there.")
        )
    return {
        "title": result.name,
        "name": result.name,
        "synthetic": result.synthetic,
        "markets": [f"{market.contract.key} perpetual" for market in result.markets],
        "bar": formats.span(run.bar),
        "first": formats.day(pd.Timestamp(run.timestamp[0])),
        "last": formats.day(pd.Timestamp(run.timestamp[-1])),
        "bars": formats.count(len(run.equity)),
        "banners": banners,
        "notes": result.notes,
        "lead": lead(result, metrics, findings.baseline_metrics),
        "tiles": _tiles(metrics, result.settlement),
    }


def _tiles(metrics: Metrics, currency: str) -> list[tuple[str, str, str]]:
    names = ("total_return", "final_equity", "cagr", "sharpe", "max_drawdown", "trades", "win_rate", "exposure")
    small = {"final_equity": currency}
    if metrics["open_trades"]:
        small["trades"] = f"{metrics['open_trades']} still open"
    return [(CATALOGUE[name].label, CATALOGUE[name].write(metrics[name]), small.get(name, "")) for name in names]


def _trade_tables(trades: pd.DataFrame, *, several: bool) -> dict[str, Any]:
    count, shown = len(trades), trades.iloc[-MOST_TRADES:]
    latest, earlier = shown.iloc[-LATEST:], shown.iloc[:-LATEST]
    caption = f"The last {len(latest)} of {count:,} trades" if len(earlier) else "All trades"
    left_out = f"{count - len(shown):,} trades before those stand in trades.parquet." if count > len(shown) else ""
    older = f"The {len(earlier):,} trades before those"
    return {
        "latest": tables.trade_table(latest, caption, several=several),
        "earlier": tables.trade_table(earlier, older, several=several) if len(earlier) else None,
        "left_out": left_out,
    }


def _prices(result: Result, trades: pd.DataFrame) -> list[Drawing]:
    """Each market over the whole run and, where that is too much to read, over its last trades."""
    drawings = []
    for number, market in enumerate(result.markets):
        own = trades[trades["symbol"] == market.symbol]
        stamps = market.candles.timestamp
        first = int(np.searchsorted(stamps, result.start))
        last = first + int((result.positions["symbol"] == market.symbol).sum())
        drawings.append(_price(market, own, first, last, f"price{number}", "The whole run."))
        if len(own) > MARKED_TRADES:
            lately = int(np.searchsorted(stamps, own["opened"].iloc[-ZOOM_TRADES].value))
            begin = max(first, lately - (last - lately) // 50 - 1)
            text = f"The last {ZOOM_TRADES} trades."
            drawings.append(_price(market, own, begin, last, f"zoom{number}", text))
    return drawings


def _price(market: Market, trades: pd.DataFrame, first: int, last: int, name: str, text: str) -> Drawing:
    stamps = market.candles.timestamp
    close = market.candles.close
    times = f"{formats.moment(pd.Timestamp(stamps[first]))} to {formats.moment(pd.Timestamp(stamps[last - 1]))} UTC"
    change = f"from {formats.price(float(close[first]))} to {formats.price(float(close[last - 1]))}"
    described = (
        f"Price of {market.symbol} from {times}, {change} {market.contract.settlement}, with the entries and exits of "
        "the trades. The trades stand in the table below."
    )
    wide, narrow = (
        render_svg(draw_price(market, trades, sheet, first, last), f"{name}-{size}", described)
        for size, sheet in (("wide", WIDE), ("narrow", NARROW))
    )
    shown = int((trades["opened"] >= pd.Timestamp(stamps[first], tz="UTC")).sum())
    return Drawing(wide, narrow, f"{text} {_explain_marks(shown)}")


def _explain_marks(shown: int) -> str:
    if shown == 0:
        return "The band is each bar's low to high."
    entry = "Triangles are entries, up for long, down for short"
    colours = "green ended in profit after fees, red in loss"
    if shown > MARKED_TRADES:
        return f"{entry}: {colours}. A filled X is a liquidation."
    return f"{entry}. Exits: dot for target, cross for stop, filled X for liquidation, ring for a signal; {colours}."


def _provenance(result: Result) -> list[tuple[str, str]]:
    record = provenance(result)
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    prints = [(f"Market {symbol}", value) for symbol, value in record["markets"].items()]
    return [*prints, ("Forecasts", f"{record['forecasts_name']} {record['forecasts']}"), ("Made with", versions)]
