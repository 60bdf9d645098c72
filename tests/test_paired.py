"""Runs against one another: paired differences, correlation, overlap, rolling figures, ten runs on one page."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from page_reader import faint_texts, open_page
from planted_faults import mutated
from result_factory import HOUR, START, make_market, make_result, make_trades

from crossgate.summary import comparison_record
from markets.candles import FloatArray
from reports import comparison_payload
from reports.comparison import Comparison, compare
from reports.comparison_page import write_page
from reports.comparison_payload import payload
from reports.curves import EquityCurve, equity_curve
from reports.overlap import holding_overlap, return_correlation, shared_entries
from reports.packing import unpack
from reports.paired import paired_differences, resample_whole
from reports.palette import look
from reports.parts import Chart, Paragraph
from reports.rolling import rolling_bars, rolling_sharpe
from reports.sections.performance import rolling_charts
from strategies.parameters import RiskParams


def curve(returns: FloatArray, *, first: int = 0) -> EquityCurve:
    """An equity curve with given returns of hourly bars, from a row on."""
    stamps = START + HOUR * np.arange(first, first + len(returns))
    return EquityCurve(stamps, 1000.0 * np.cumprod(1.0 + returns), 1000.0, HOUR)


def noise(seed: int, bars: int = 2000) -> FloatArray:
    """Returns of 1 % deviation without a mean."""
    return np.random.default_rng(seed).normal(0.0, 0.01, bars)


@pytest.fixture(scope="module")
def ten_runs() -> Comparison:
    """Ten runs that differ in how often they trade and in leverage."""
    runs = [
        make_result(
            make_market(bars=2200), make_trades(2200, every=22 + 11 * at), name=f"every {22 + 11 * at} bars",
            risk=RiskParams(leverage=1.0 + at),
        )
        for at in range(10)
    ]  # fmt: skip
    return compare(*runs)


def test_a_difference_is_the_difference_of_the_figures(ten_runs: Comparison) -> None:
    """Each value is the figure of a run less that of the first, as the runs' own metrics say them."""
    comparison = ten_runs
    first, *others = comparison.runs.values()
    assert list(comparison.paired) == list(comparison.runs)[1:]
    for run, found in zip(others, comparison.paired.values(), strict=True):
        for name, difference in found._asdict().items():
            assert difference.value == pytest.approx(run.metrics[name] - first.metrics[name], rel=1e-6, abs=1e-9), name
            assert difference.range.low <= difference.range.high


def test_what_moves_both_alike_cancels() -> None:
    """A small steady gain over the same returns is clear, though the ranges of either run alone are far wider."""
    common, extra = noise(1), np.random.default_rng(2).normal(0.0003, 0.0005, 2000)
    found = paired_differences({"one": curve(common), "other": curve(common + extra)})["other"]
    assert found.sharpe.clear
    assert found.sharpe.range.low < found.sharpe.value < found.sharpe.range.high
    apart = paired_differences({"one": curve(noise(3)), "other": curve(common + extra)})["other"]
    width, far = (one.sharpe.range.high - one.sharpe.range.low for one in (found, apart))
    assert far > 3.0 * width


def test_runs_that_differ_by_nothing_look_clear_one_time_in_twenty() -> None:
    """Over 200 pairs of runs without a difference about 5 % of the ranges leave zero out; a real one is found."""
    named = ("one", "other")
    clear = 0
    for seed in range(200):
        pair = {name: curve(noise(2 * seed + at, 600)) for at, name in enumerate(named)}
        clear += paired_differences(pair, resamples=200, seed=seed)["other"].sharpe.clear
    assert 2 <= clear <= 22


def test_a_fault_in_the_pairing_is_noticed() -> None:
    """Where each run is drawn at moments of its own, what moves both alike does not cancel, and ranges widen."""
    apart = "resample_runs(np.stack([np.roll(one, 37 * at) for at, one in enumerate(returns)]), block,"
    faulty = mutated("reports.paired", "resample_runs(returns, block,", apart)
    common = noise(1)
    curves = {"one": curve(common), "other": curve(common + np.random.default_rng(2).normal(0.0002, 0.0005, 2000))}
    right, wrong = (module(curves)["other"].sharpe.range for module in (paired_differences, faulty.paired_differences))
    assert wrong.high - wrong.low > 3.0 * (right.high - right.low)


def test_figures_of_the_whole_are_those_of_a_resample_of_one_block() -> None:
    """The plain figures agree with a definition written out again."""
    returns = np.stack((noise(5, 300), np.append(noise(6, 299), -1.0)))
    (figures,) = resample_whole(returns)
    equity = np.cumprod(1.0 + returns[0])
    peak = np.maximum.accumulate(np.append(1.0, equity))[1:]
    expected = [returns[0].mean() / returns[0].std(ddof=1), math.log(equity[-1]), (1.0 - equity / peak).max()]
    np.testing.assert_allclose(figures[0], expected)
    assert (figures[1, 1], figures[1, 2]) == (-math.inf, 1.0)


def test_runs_without_common_ground_have_no_difference() -> None:
    """Fewer than 30 common bars, equal runs and bars of unlike length give none, and no warning."""
    one, late = curve(noise(1)), curve(noise(2), first=1990)
    assert paired_differences({"one": one, "late": late}) == {}
    assert paired_differences({"one": one, "same": one}) == {}
    unlike = EquityCurve(one.timestamp, one.equity, one.cash, 2 * HOUR)
    assert paired_differences({"one": one, "unlike": unlike}) == {}
    assert return_correlation({"one": one, "unlike": unlike}).isna().all(axis=None)


def test_only_common_bars_count() -> None:
    """The correlation of two runs that share a part is that of the returns in the part."""
    base = noise(4)
    found = return_correlation({"one": curve(base), "late": curve(-base[500:], first=500)})
    assert found.loc["one", "late"] == pytest.approx(-1.0)
    level = return_correlation({"one": curve(base), "level": curve(np.zeros(2000))})
    assert np.isnan(level.loc["one", "level"])
    assert level.loc["one", "one"] == 1.0


def held(*sides: float, symbol: str = "A") -> pd.DataFrame:
    """Positions at successive bars."""
    stamps = pd.date_range("2024-01-01", periods=len(sides), freq="h", tz="UTC")
    return pd.DataFrame({"timestamp": stamps, "symbol": symbol, "position": sides})


def test_overlap_counts_bars_held_alike() -> None:
    """Of the bars on which either holds, those on which both hold the same side; entries by their bar and side."""
    runs = {
        "one": held(0, 2, 2, 0, -1, -1),
        "half": held(0, 1, 0, 0, 1, -3),
        "elsewhere": held(0, 2, 2, 0, -1, -1, symbol="B"),
        "idle": held(0, 0, 0, 0, 0, 0),
    }
    overlap, entries = holding_overlap(runs), shared_entries(runs)
    assert overlap.loc["one", "one"] == 1.0
    assert overlap.loc["one", "half"] == overlap.loc["half", "one"] == 2 / 4
    assert overlap.loc["one", "elsewhere"] == 0.0
    assert overlap.loc["one", "idle"] == 0.0
    assert np.isnan(overlap.loc["idle", "idle"])
    assert entries.loc["one", "half"] == 1 / 2
    assert entries.loc["half", "one"] == 1 / 3
    assert np.isnan(entries.loc["idle", "one"])


def test_the_rolling_ratio_is_that_of_each_window() -> None:
    """It equals mean over deviation of every window as pandas finds them; a level stretch has 0."""
    returns = noise(7, 500)
    returns[200:300] = 0.0
    one = curve(returns)
    stamps, ratio = rolling_sharpe(one, 60)
    window = pd.Series(one.returns).rolling(60)
    expected = (window.mean() / window.std()).iloc[59:].to_numpy() * math.sqrt(one.bars_per_year)
    level = np.array([not one.returns[row : row + 60].any() for row in range(441)])
    np.testing.assert_allclose(ratio[~level], expected[~level], rtol=1e-6, atol=1e-6)
    assert (ratio[level] == 0.0).all()
    assert stamps[0] == one.timestamp[59]
    assert rolling_bars(one) == 166
    assert len(rolling_sharpe(one, 501)[1]) == 0


def test_a_window_of_a_few_days_is_not_annualised() -> None:
    """A rolling ratio of fewer than 30 days is drawn nowhere, and the page says why in its place; of 30 it is."""
    (left_out,) = rolling_charts({"one": curve(noise(7, 800))}, 30 * 24 - 1)
    assert isinstance(left_out, Paragraph)
    assert "too short to annualise" in left_out.text
    (drawn,) = rolling_charts({"one": curve(noise(7, 800))}, 30 * 24)
    assert isinstance(drawn, Chart)
    runs = [make_result(make_market(bars=1000), make_trades(1000, every=every)) for every in (20, 30)]
    content = json.loads(payload(compare(*runs)))
    assert content["rolling"] == "Sharpe: too short to annualise"
    assert all(len(unpack(run["rolling"])) == 0 for run in content["runs"])


def test_no_two_of_ten_lines_look_the_same() -> None:
    """Colour and dashes together tell 25 lines apart."""
    assert len({look(number) for number in range(25)}) == 25


def test_the_text_and_the_record_tell_all_of_it(ten_runs: Comparison) -> None:
    """str() has the tables of the page, and the record is JSON without a NaN."""
    comparison = ten_runs
    text = str(comparison)
    for words in ("Difference from every 22 bars", "Correlation of returns", "Bars held alike", "Entries of a row"):
        assert words in text
    record = json.loads(json.dumps(comparison_record(comparison), allow_nan=False))
    assert record["correlation"]["every 22 bars"]["every 22 bars"] == pytest.approx(1.0)
    assert set(record["from_first"]) == set(list(comparison.runs)[1:])
    assert record["from_first"]["every 33 bars"]["sharpe"].keys() == {"difference", "from", "to"}


@pytest.fixture(scope="module")
def page_of_ten(ten_runs: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page that compares ten runs."""
    return write_page(ten_runs, tmp_path_factory.mktemp("ten") / "ten.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ten_runs_can_be_read_on_one_page(scheme: str, browser: Any, page_of_ten: Path) -> None:
    """Quiet, alone, with every run in every table and legend, and every text readable, light and dark."""
    with open_page(browser, page_of_ten, color_scheme=scheme) as (page, errors, requests):
        assert errors == []
        assert requests == [page_of_ten.as_uri()]
        for section in ("curves", "metrics", "differences", "settings", "likeness"):
            assert page.locator(f"#{section}").is_visible()
        assert page.locator("#differences tbody tr").count() == 9
        assert page.locator("#likeness table").count() == 3
        assert page.locator("#chart-panel .legend li").count() == 10
        assert page.locator("#curves .static").is_hidden()
        assert "risk.leverage" in page.locator("#settings").inner_text()
        assert faint_texts(page) == []


def test_curves_are_zoomed_hidden_and_read(browser: Any, page_of_ten: Path) -> None:
    """Four panes on one time scale, under one crosshair; a run that is switched off is drawn and told no more."""
    with open_page(browser, page_of_ten) as (page, errors, _):
        assert page.evaluate("report.chart.chart.panes().length") == 4
        width = "(one => one.to - one.from)(report.chart.chart.timeScale().getVisibleLogicalRange())"
        began = page.evaluate(width)
        page.get_by_role("button", name="Zoom in").click()
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.evaluate(width) == pytest.approx(0.6 * began, rel=0.05)
        page.locator(".canvas").focus()
        page.keyboard.press("0")
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.evaluate(width) == pytest.approx(began, rel=0.05)
        page.keyboard.press("n")
        readout = page.locator(".readout")
        assert readout.locator("span").count() == 10
        last = readout.locator("time").inner_text()
        assert all(", drawdown " in text for text in readout.locator("span").all_inner_texts())
        page.locator("[data-run='3']").uncheck()
        assert readout.locator("span").count() == 9
        assert page.evaluate("report.chart.lines[3].every(one => !one.options().visible)")
        page.locator(".canvas").scroll_into_view_if_needed()
        box = page.locator(".canvas").bounding_box()
        page.mouse.move(box["x"] + 200, box["y"] + 0.8 * box["height"])
        page.wait_for_function(f"document.querySelector('.readout time').textContent !== '{last}'")
        assert errors == []


def test_curves_on_paper_are_the_figures(browser: Any, page_of_ten: Path) -> None:
    """Print shows the figures drawn beforehand: equity, growth over the first, rolling Sharpe; no control."""
    with open_page(browser, page_of_ten) as (page, _, _):
        page.emulate_media(media="print")
        assert page.locator("#chart-panel").is_hidden()
        assert page.locator("#curves .static figure").count() == 3
        assert page.locator("button:visible, input:visible").count() == 0


def test_curves_are_packed_as_they_were(ten_runs: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every close, or of long runs the last of each group on one clock, with the maximum drawdown inside it."""
    whole = json.loads(payload(ten_runs))["runs"]
    curve = next(iter(ten_runs.curves.values()))
    assert unpack(whole[0]["equity"]) == pytest.approx(curve.equity, rel=1e-6)
    assert unpack(whole[0]["growth"]) == pytest.approx(np.ones(len(curve.equity)))
    monkeypatch.setattr(comparison_payload, "MOST_POINTS", 50)
    runs = json.loads(payload(ten_runs))["runs"]
    assert len({tuple(unpack(run["time"])) for run in runs}) == 1
    assert len(unpack(runs[0]["time"])) <= 51
    assert unpack(runs[3]["drawdown"]).min() == pytest.approx(unpack(whole[3]["drawdown"]).min())
    assert unpack(runs[3]["equity"])[-1] == pytest.approx(unpack(whole[3]["equity"])[-1])
    assert unpack(runs[3]["time"])[-1] == unpack(whole[3]["time"])[-1] == curve.timestamp[-1] // 1_000_000_000


def test_ten_runs_fit_a_phone(browser: Any, page_of_ten: Path) -> None:
    """Wide tables scroll in their own frames, never the page; the theme can be switched there too."""
    with open_page(browser, page_of_ten, width=375, is_mobile=True, has_touch=True) as (page, errors, _):
        assert page.evaluate("document.documentElement.scrollWidth") == 375
        page.get_by_role("button", name="Switch to dark colours").tap()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 23, 28)"
        assert errors == []


def test_a_single_bar_run_is_compared_without_a_warning() -> None:
    """The shortest runs have a table of metrics and no ranges."""
    short = make_result(make_market(bars=40), (), name="short")
    comparison = compare(short, short)
    assert comparison.paired == {}
    assert equity_curve(short).equity[0] == 10_000.0
    assert "Final equity" in str(comparison)
