"""Sections of doubt: the verdict first, our curve among luck, what did what, what is assumed, and ruin."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from null_markets import ACCOUNT, STRATEGY, known_market

from backtests.doubts.simpler import Baseline
from backtests.run.engine import backtest
from backtests.run.result import Result
from foundation.trials import TrialLedger
from reports.catalogue import CATALOGUE, LEAST_DAYS, TOO_SHORT, YEARLY
from reports.document import Document, document_of
from reports.doubt_figures import draw_fan
from reports.figures import NARROW
from reports.findings import Findings, find
from reports.intervals import odds_words
from reports.layout import lay_out, top_parts
from reports.parts import Chart, Fold, Grid, Grids, Ladder, Paragraph, Part
from reports.sections import doubts, performance
from reports.tables import Table
from strategies.parameters import RiskParams


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """What is known of a small run with stops and targets."""
    market, forecasts = known_market(2, 0.6)
    result = backtest(market, forecasts, STRATEGY, RiskParams(), ACCOUNT)
    return find(result, {}, TrialLedger(tmp_path_factory.mktemp("ledger")))


def test_what_the_kernel_cannot_play_again_has_baselines_of_backtrader(tmp_path: Path) -> None:
    """A run whose fills are others than the kernel's is not examined; its simpler rules are played all the same."""
    market, forecasts = known_market(2, 0.6)
    result = backtest(market, forecasts, STRATEGY, RiskParams(), ACCOUNT)
    ours = find(result, ledger=TrialLedger(tmp_path))
    fills = result.fills.assign(price=result.fills["price"] + 1.0)
    other = find(replace(result, fills=fills), ledger=TrialLedger(tmp_path))
    assert not isinstance(ours.examination, str)
    assert isinstance(other.examination, str)
    assert "cannot be played again" in other.examination
    for name, one in ours.baselines.items():
        assert isinstance(one, Baseline)
        assert isinstance(other.baselines[name], Result)
        for figure, value in other.baseline_metrics[name].items():
            assert ours.baseline_metrics[name][figure] == (value and pytest.approx(value, rel=1e-9)), figure


def flat(parts: Iterable[Part]) -> list[Part]:
    """All parts, those behind folds too."""
    return [inner for one in parts for inner in (flat(one.parts) if isinstance(one, Fold) else [one])]


def table_of(parts: Iterable[Part], caption: str) -> Table:
    """The table with a caption."""
    return next(one.table for one in flat(parts) if isinstance(one, Grid) and one.table.caption.startswith(caption))


def texts(parts: Iterable[Part]) -> str:
    """All paragraphs as one text."""
    return " ".join(one.text for one in flat(parts) if isinstance(one, Paragraph))


def test_the_verdict_stands_at_the_top(findings: Findings) -> None:
    """The first thing is the rung with its reason; every rung with its state stands behind a line."""
    parts = top_parts(findings)
    verdict = findings.verdict
    first = parts[0]
    assert isinstance(first, Ladder)
    assert first.headline == f"Verdict, rung {verdict.rung} of 9: {verdict.headline}"
    assert first.text == verdict.reason
    ladder = table_of(parts, "Each rung")
    assert [row[2].text for row in ladder.rows] == [one.text for one in verdict.rungs]
    assert {"section": [one.anchor for one in lay_out(findings)].count("luck")} == {"section": 1}


def test_luck_shows_our_curve_in_the_fans(findings: Findings) -> None:
    """Two fans with their place in words, and a row for every control with p where luck was drawn."""
    section = doubts.luck(findings)
    charts = [one for one in flat(section.parts) if isinstance(one, Chart)]
    assert [one.name for one in charts] == ["random", "permuted"]
    assert "1,000 runs" in charts[0].description
    for one in charts:
        assert one.draw(NARROW).get_axes()
    rows = {row[0].text: row for row in table_of(section.parts, "The same account").rows}
    assert list(rows) == [
        "this run", "buy and hold", "crossover alone", "LSTM alone", "sign-flipped", "random entries, median",
        "permuted forecasts, median",
    ]  # fmt: skip
    assert [name for name, row in rows.items() if row[-1].text] == list(rows)[-2:]


def test_parts_add_up_on_the_page(findings: Findings) -> None:
    """The last line of the steps is the growth of the run; the lines above sum to it, and their factors multiply."""
    table = table_of(doubts.parts(findings).parts, "The growth of equity in steps")
    *parts, last = [[number(cell.text) for cell in row[1:4]] for row in table.rows]
    assert [row[0].text for row in table.rows][:2] == ["forecast", "confirmation"]
    grown = float(findings.curve.equity[-1]) / findings.curve.cash
    assert last[:2] == [pytest.approx(math.log(grown), abs=6e-4), pytest.approx(grown, abs=6e-4)]
    assert sum(added for added, _, _ in parts) == pytest.approx(last[0], abs=6e-4 * len(parts))
    assert math.prod(factor for _, factor, _ in parts) == pytest.approx(grown, rel=6e-4 * len(parts))
    assert parts[-1][2] == pytest.approx(grown, abs=6e-4)


def number(text: str) -> float:
    """A figure of a table; NaN for none."""
    return float(text.replace(",", "").replace("−", "-") or "nan")  # noqa: RUF001


def test_a_run_that_leaves_luck_behind_does_not_press_it_flat(findings: Findings) -> None:
    """From four times the lowest equity on a fan stands on logarithms, and says so; else, and with ruin, not."""
    assert not isinstance(findings.examination, str)
    fan = findings.examination.controls.random.fan
    calm, top = fan._replace(ours=np.full(len(fan.ours), float(fan.bands.max()))), 4.0 * float(fan.bands.min())
    for one, steps in (
        (calm, float(fan.bands.max()) >= top),
        (fan._replace(ours=np.linspace(1e4, 2e5, len(fan.ours))), True),
        (fan._replace(ours=np.linspace(2e5, 0.0, len(fan.ours))), False),
    ):
        (axes,) = draw_fan(one, NARROW, currency="USDT").axes
        assert (axes.get_yscale() == "log") == steps
        assert any("logarithmic" in text.get_text() for text in axes.texts) == steps


def test_a_search_behind_the_run_is_told(findings: Findings) -> None:
    """The settings searched and the probability of overfitting stand where one asks how sure it is; without none do."""
    asked = {
        name: " ".join(part.text for part in performance.certainty(one).parts if isinstance(part, Paragraph))
        for name, one in {
            "none": findings,
            "kept": replace(findings, standing=replace(findings.standing, searched=400, overfitting=0.31)),
            "lost": replace(findings, standing=replace(findings.standing, searched=400, overfitting=None)),
        }.items()
    }
    rows = {
        overfitting: [row for row in table_of(performance.certainty(one).parts, "Ranges").rows if "PBO" in row[0].text]
        for overfitting in (None, 0.31)
        for one in [replace(findings, standing=replace(findings.standing, searched=400, overfitting=overfitting))]
    }
    assert rows[None] == []
    assert [row[1].text for row in rows[0.31]] == ["31.0%"]
    assert "PBO" not in asked["none"]
    assert "400 settings were searched for" in asked["kept"]
    assert "overfitted (PBO) is 31.0%" in asked["kept"]
    assert "none of the searches kept" in asked["lost"]


def test_how_often_luck_trades_is_told_beside_its_fan(findings: Findings) -> None:
    """Both numbers of trades, how long they last, and the p of the draws that trade as often, right below the fan."""
    parts = doubts.luck(findings).parts
    at = next(number for number, one in enumerate(parts) if isinstance(one, Chart))
    told = parts[at + 1]
    assert isinstance(told, Paragraph)
    assert not isinstance(findings.examination, str)
    controls = findings.examination.controls
    luck, ours = controls.random, controls.ours
    assert f"Random entries made {luck.trades:,.0f} trades in the mean, this run {ours.trades:,}." in told.text
    assert f"the {luck.near.draws} draws that trade most nearly as often" in told.text
    assert controls.held == pytest.approx(findings.metrics["exposure"] * findings.metrics["bars"] / ours.trades)
    assert abs(luck.near.trades - ours.trades) <= abs(luck.trades - ours.trades) + 1e-9
    shifted = [replace(luck, trades=share * ours.trades, held=controls.held / share) for share in (1.2, 0.8, 1.0)]
    more, fewer, same = (doubts._as_often(replace(controls, random=one)) for one in shifted)
    assert "stopped sooner" in more
    assert "opens nothing" in fewer
    assert "last" not in same.split("Of the")[0]


def test_a_short_sample_is_not_annualised(findings: Findings) -> None:
    """On fewer than 30 days no figure of a year stands anywhere in the report, and a banner says why; else all do."""
    assert findings.metrics["days"] == pytest.approx(len(findings.curve.equity) / 24.0)
    assert findings.metrics["days"] < LEAST_DAYS
    document = document_of(findings)
    assert document.banners[1].headline == "The sample is too short to annualise."
    assert yearly_cells(document) == {TOO_SHORT}
    assert {one.value for one in document.tiles if one.label in ("Sharpe", "CAGR")} == {TOO_SHORT}
    longer = replace(findings, metrics=findings.metrics | {"days": LEAST_DAYS})
    whole = document_of(longer)
    assert [one.headline for one in whole.banners] == [document.banners[0].headline]
    assert TOO_SHORT not in yearly_cells(whole) | {one.value for one in whole.tiles}
    assert number(next(one.value for one in whole.tiles if one.label == "Sharpe")) == pytest.approx(
        findings.metrics["sharpe"], abs=0.006
    )


def yearly_cells(document: Document) -> set[str]:
    """What stands in the first column of figures beside, and under, the name of a figure of a year."""
    names = {CATALOGUE[name].label for name in YEARLY}
    found = set()
    tables = [
        table
        for section in document.sections
        for one in flat(section.parts)
        for table in ([one.table] if isinstance(one, Grid) else one.tables if isinstance(one, Grids) else [])
    ]
    for table in tables:
        found |= {row[1].text for row in table.rows if row[0].text in names}
        if "Sharpe" in table.heads:
            found |= {row[list(table.heads).index("Sharpe")].text for row in table.rows}
    return found


def test_assumptions_and_ruin_are_told(findings: Findings) -> None:
    """The count of trades that depend, the break-even, the odds at the run's own leverage, and where stops end."""
    section = doubts.sensitivity(findings)
    assert not isinstance(findings.examination, str)
    assert doubts._break_even(findings.examination.sensitivity) in texts(section.parts)
    assert len(table_of(section.parts, "The run under").rows) == 3 + 2 + 4 + 1
    ruin = doubts.ruin(findings)
    assert [row[0].text for row in table_of(ruin.parts, "Odds by").rows].count("3 (this run)") == 1
    assert "a stop lies beyond liquidation" in texts(ruin.parts)
    odds = findings.examination.odds
    own = next(row for row in table_of(ruin.parts, "Odds by").rows if "this run" in row[0].text)
    assert own[2].text == odds_words(round(odds.own.liquidation * odds.own.paths), odds.own.paths)
    assert [own[5].text, table_of(ruin.parts, "Odds by").rows[0][5].text] == ["500", "100"]
    for part in flat([*section.parts, *ruin.parts]):
        if isinstance(part, Chart):
            assert part.description
            assert part.draw(NARROW).get_axes()


def test_distance_and_margin_are_drawn_through_time(findings: Findings) -> None:
    """Percent above, average true ranges below, on one axis of time; margin in use in a figure of its own."""
    assert not isinstance(findings.examination, str)
    one = findings.examination.distances[0]
    charts = {part.name: part for part in doubts.ruin(findings).parts if isinstance(part, Chart)}
    assert list(charts) == ["distance0", "margin"]
    upper, lower = charts["distance0"].draw(NARROW).axes
    (margin,) = charts["margin"].draw(NARROW).axes
    for axes, path in ((upper, one.path), (lower, one.atr_path), (margin, one.margin_path)):
        np.testing.assert_array_equal(np.asarray(axes.lines[0].get_ydata(), dtype=float), path)
    assert upper.get_xlim() == lower.get_xlim()
    assert any("average true ranges" in text.get_text() for text in lower.texts)
    assert not np.allclose(one.path, one.atr_path, equal_nan=True)
    assert np.nanmax(one.margin_path) == pytest.approx(one.margin[1])


def test_a_band_without_width_is_a_sentence(findings: Findings) -> None:
    """Where both orders give the run's own curve there is no figure of three lines on one another."""
    assert not isinstance(findings.examination, str)
    found = findings.examination
    ours, one = found.controls.ours, found.sensitivity
    apart = one.intrabar["adverse"]._replace(equity=ours.equity - 1.0)
    for intrabar, drawn in (
        ({"adverse": ours, "favourable": ours}, False),
        ({"adverse": apart, "favourable": ours}, True),
    ):
        changed = replace(found, sensitivity=replace(one, intrabar=one.intrabar | intrabar))
        parts = doubts.sensitivity(replace(findings, examination=changed)).parts
        assert any(isinstance(part, Chart) for part in parts) == drawn
        assert ("No bar holds both" in texts(parts)) != drawn
        assert ("trades end otherwise under the other order" in texts(parts)) == drawn
        assert table_of(parts, "The run under").rows


def test_break_even_is_told_at_its_ends(findings: Findings) -> None:
    """No profit without costs, and profit at any: each has its own words."""
    assert not isinstance(findings.examination, str)
    one = findings.examination.sensitivity
    assert doubts._break_even(replace(one, break_even=0.0)).startswith("Even without costs")
    assert doubts._break_even(replace(one, break_even=float("inf"))).startswith("Costs do not decide")
    assert "2.50 times" in doubts._break_even(replace(one, break_even=2.5))


def test_a_run_that_cannot_be_played_again_says_so(findings: Findings, tmp_path: Path) -> None:
    """Each section then holds one sentence with the reason."""
    unknown = replace(findings, examination="its market is gone")
    for make in (doubts.luck, doubts.parts, doubts.sensitivity, doubts.ruin):
        assert "its market is gone" in texts(make(unknown).parts)
