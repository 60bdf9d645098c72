"""Figures and the images made of them."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from result_factory import make_market, make_result, make_trades

from reports.curves import equity_curve, keep_extremes
from reports.doubt_figures import _amount
from reports.figures import NARROW, WIDE, _set_dates, draw_equity, draw_price, draw_skill, picture_of
from reports.images import render_png, render_svg
from reports.metrics import measure_skill
from reports.palette import DARK, LIGHT
from reports.skill_path import skill_paths
from reports.trades import list_trades
from strategies.parameters import CrossoverParams


def equity_figure(seed: int = 1) -> Figure:
    """An equity figure with two lines."""
    result = make_result(make_market(bars=3000, seed=seed), make_trades(3000, every=100))
    return draw_equity({"this run": equity_curve(result), "other": equity_curve(make_result())}, WIDE, currency="USDT")


@pytest.mark.parametrize("most", [4, 5, 8, 12])
def test_every_span_of_time_has_a_readable_axis(most: int) -> None:
    """From hours to a decade the date axis finds its ticks without a warning, at most as many as fit."""
    axes = Figure().add_subplot()
    for days in (0.1, 1.0, *range(2, 10), *range(10, 1200, 25), 4000):
        axes.set_xlim(18_000.0, 18_000.0 + days)  # type: ignore[arg-type]
        _set_dates(axes, most)
        assert 1 <= len(axes.get_xticks()) <= 2 * most


def test_equal_figures_give_equal_bytes() -> None:
    """The PNG and the SVG of the same data are the same to the last byte; other data gives other bytes."""
    assert render_png(equity_figure()) == render_png(equity_figure())
    assert render_svg(equity_figure(), "e", "d") == render_svg(equity_figure(), "e", "d")
    assert render_png(equity_figure()) != render_png(equity_figure(seed=2))


def test_images_carry_no_date_and_no_version() -> None:
    """Neither image names the day on which it was made or the program that made it."""
    png, svg = render_png(equity_figure()), render_svg(equity_figure(), "e", "d")
    assert b"Software" not in png
    assert b"matplotlib version" not in png.lower()
    assert "metadata" not in svg
    assert "dc:date" not in svg


def test_an_svg_takes_its_colours_and_font_from_the_page() -> None:
    """Every colour is a variable of the page, no style sheet or font of its own reaches the page."""
    svg = render_svg(equity_figure(), "e", 'A "described" line')
    assert "var(--run)" in svg
    assert not re.search(r"#[0-9a-f]{6}\b", svg)
    assert "<style" not in svg
    assert "font-family" not in svg
    assert "DejaVu" not in svg
    assert 'aria-label="A &quot;described&quot; line"' in svg
    ElementTree.fromstring(svg)


def test_ids_of_two_figures_on_one_page_differ() -> None:
    """All ids begin with the figure's name, and all references point at ids that are there."""
    one, two = (render_svg(equity_figure(), name, "d") for name in ("one", "two"))
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', one)) <= ids[0]


def test_a_drawn_line_keeps_the_highest_and_the_lowest_point() -> None:
    """Among 30,000 bars, one bar of crash and one of spike are still in the line that is drawn."""
    result = make_result(make_market(bars=30_000))
    equity = np.full(30_000, 10_000.0)
    equity[12_345], equity[23_456] = 4_000.0, 17_000.0
    curve = equity_curve(make_result(result.markets, equity=result.equity.assign(equity=equity)))
    for sheet in (WIDE, NARROW):
        line = draw_equity({"this run": curve}, sheet, currency="USDT").axes[0].lines[0]
        drawn = np.asarray(line.get_ydata())
        assert (drawn.min(), drawn.max()) == (4_000.0, 17_000.0)
        assert len(drawn) <= 2 * sheet.buckets + 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(1, 40))
def test_extremes_of_any_stretch_survive(values: list[float], buckets: int) -> None:
    """First, last, lowest and highest rows are kept, in order, without duplicates, and of every bucket too."""
    array = np.array(values)
    kept = keep_extremes(array, buckets)
    assert (kept[0], kept[-1]) == (0, len(values) - 1)
    assert (np.diff(kept) > 0).all()
    assert array[kept].max() == array.max()
    assert array[kept].min() == array.min()
    if len(values) > 2 * buckets:
        assert len(kept) <= 2 * buckets + 2
        for first, last in pairwise(np.linspace(0, len(values), buckets + 1).astype(int)):
            inside = kept[(kept >= first) & (kept < last)]
            assert array[inside].max() == array[first:last].max()


def count_marks(figure: Figure) -> int:
    """The marks of entries and exits in a price figure, whose first collection is the band of prices."""
    return sum(len(np.asarray(one.get_offsets())) for one in figure.axes[0].collections[1:])


def test_a_price_figure_marks_entries_and_exits() -> None:
    """A few trades are drawn with entry, exit and a line between; a price figure without trades is drawn too."""
    market = make_market(bars=200)
    trades = list_trades(make_result(market, make_trades(200, every=20)))
    assert count_marks(draw_price(market, trades, WIDE, 0, 200)) == 2 * len(trades) > 0
    assert count_marks(draw_price(market, trades.iloc[:0], NARROW, 0, 200)) == 0


def test_many_trades_are_marked_by_their_entries() -> None:
    """Above the limit each trade is one mark, so that the price stays readable."""
    market = make_market(bars=1200)
    trades = list_trades(make_result(market, make_trades(1200)))
    assert count_marks(draw_price(market, trades, WIDE, 0, 1200)) == len(trades) > 80


def test_the_picture_says_when_the_market_is_synthetic() -> None:
    """The title of equity.png names the run and, only where it is so, the synthetic market."""
    for synthetic in (True, False):
        result = make_result(make_market(synthetic=synthetic))
        title = picture_of(result, {"this run": equity_curve(result)}).texts[0].get_text()
        assert title == ("test run (synthetic market)" if synthetic else "test run")


def test_ruin_is_drawn() -> None:
    """An equity of zero to the end is a line like any other."""
    result = make_result(make_market([100.0] * 5))
    ruined = make_result(result.markets, equity=result.equity.assign(equity=[9_000.0, 100.0, 0.0, 0.0, 0.0]))
    lowest = np.asarray(
        draw_equity({"r": equity_curve(ruined)}, WIDE, currency="USDT").axes[1].lines[0].get_ydata()
    ).min()
    assert lowest == -1.0


def test_the_skill_path_ends_at_the_skill() -> None:
    """The last point of the path is the skill that models measures, for the forecasts and for the oracle."""
    result = make_result(make_market(bars=900, synthetic=True))
    (path,), (skill,) = skill_paths(result), measure_skill(result)
    assert path.oracle is not None
    assert path.forecast[-1] == pytest.approx(skill.skill)
    assert path.oracle[-1] == pytest.approx(skill.oracle_skill)
    assert len(draw_skill(path, WIDE).axes[0].lines) == 3
    real = skill_paths(make_result(make_market(bars=900)))[0]
    assert real.oracle is None
    assert len(draw_skill(real, NARROW).axes[0].lines) == 2
    assert skill_paths(make_result(strategy=CrossoverParams(rule="crossover"))) == []


def luminance(colour: str) -> float:
    """The relative luminance of a colour, by the definition of WCAG 2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_text_stands_out_from_what_is_behind_it(colours: dict[str, str]) -> None:
    """Text has a contrast of 4.5 : 1 on every ground it stands on, and lines one of 3 : 1, light and dark."""
    assert LIGHT.keys() == DARK.keys()
    texts = {"ink", "muted", "run", "gain", "loss"}
    grounds = [(name, ground, 4.5) for name in texts for ground in ("paper", "panel")]
    grounds += [("warning", "warned", 4.5), ("ink", "warned", 4.5), ("ink", "assured", 4.5)]
    grounds += [(name, "paper", 3.0) for name in ("first", "second", "third", "fourth", "rise", "fall", "edge")]
    for name, ground, least in grounds:
        light, dark = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= least, (name, ground)


def test_tenfold_growth_is_drawn_in_equal_factors() -> None:
    """Where equity spans a decade its axis is logarithmic and says so; a ruined account keeps equal steps."""
    result = make_result(make_market(bars=300))
    scales = []
    for last in (9.0, 11.0, 0.0):
        grown = result.equity.assign(equity=np.linspace(10_000.0, 10_000.0 * last, 300))
        axes = draw_equity({"run": equity_curve(make_result(result.markets, equity=grown))}, WIDE, currency="X").axes[0]
        scales.append((axes.get_yscale(), any("logarithmic" in text.get_text() for text in axes.texts)))
    assert scales == [("linear", False), ("log", True), ("linear", False)]


@pytest.mark.parametrize(("cash", "last"), [(10_000.0, 4e-3), (10_000.0, 900.0), (1.0, 4e-7), (1.0, 0.03)])
def test_an_account_that_lost_nearly_all_leaves_its_axis_readable(cash: float, last: float) -> None:
    """Money or coin: a handful of marks, each with a text of its own, however little was left."""
    result = make_result(make_market(bars=300))
    lost = result.equity.assign(equity=np.geomspace(cash, last, 300))
    curve = replace(equity_curve(make_result(result.markets, equity=lost)), cash=cash)
    figure = draw_equity({"run": curve}, WIDE, currency="X")
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    assert low >= 0.5e-4 * cash
    assert high >= cash
    figure.canvas.draw()
    told = [text.get_text() for text in axes.get_yticklabels() if low <= text.get_position()[1] <= high]
    assert 3 <= len(told) <= 9
    assert len(set(told)) == len(told)
    assert "0" not in told
    told = [_amount(10.0**power, None) for power in range(-5, 5)]
    assert len(set(told)) == len(told)
