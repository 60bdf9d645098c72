"""The report in a browser: quiet, alone, and good to use with a mouse, a keyboard, a phone and on paper."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from page_reader import faint_texts, open_page
from result_factory import Trade, make_forecasts, make_market, make_result, make_trades

from reports.report import write_report

RANGE = "report.chart.chart.timeScale().getVisibleLogicalRange()"
FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run of 1,500 bars and 59 trades, with a baseline."""
    market = make_market(bars=1500, synthetic=True, predictability=0.1)
    result = make_result(
        market, make_trades(1500, every=25), notes=("a <note> & more",), name="<script>alert(1)</script>"
    )
    return write_report(result, tmp_path_factory.mktemp("page") / "run", baselines={"other": result})


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run of 50,000 bars and 999 trades."""
    result = make_result(make_market(bars=50_000), make_trades(50_000, every=50, quantity=2.0))
    return write_report(result, tmp_path_factory.mktemp("long") / "run", baselines={})


def in_view(page: Any) -> tuple[float, float]:
    """The first and the last row that the chart shows, once it is drawn."""
    page.evaluate(FRAMES)
    found = page.evaluate(RANGE)
    return float(found["from"]), float(found["to"])


def chart_box(page: Any) -> dict[str, float]:
    """Where the chart stands in the window, into which it is brought."""
    page.locator(".canvas").scroll_into_view_if_needed()
    return dict(page.locator(".canvas").bounding_box())


def bars_in_view(page: Any) -> float:
    """How many bars the chart shows."""
    first, last = in_view(page)
    return last - first


def shows(page: Any, trade: int) -> bool:
    """Whether the bar on which a trade opened is in view."""
    first, last = in_view(page)
    row = page.evaluate(f"report.rowOf(report.chart.market.time, report.chart.data.trades.opened[{trade}])")
    return first <= row <= last


def listed(page: Any, column: int) -> list[str]:
    """A column of the table of trades as it is shown."""
    return [str(text) for text in page.locator(f"#trades-panel tbody tr > :nth-child({column})").all_inner_texts()]


def test_the_page_is_quiet_and_alone(browser: Any, page_file: Path) -> None:
    """It opens without a word on the console and asks the network for nothing; names are text, never scripts."""
    with open_page(browser, page_file) as (page, errors, requests):
        assert errors == []
        assert requests == [page_file.as_uri()]
        assert page.locator("h1").inner_text().startswith("<script>alert(1)</script>")
        assert page.locator("#chart-panel canvas").count() > 0
        assert page.locator("#price .static").is_hidden()
        assert page.locator('a[href="https://www.tradingview.com/"]').count() >= 1
        assert page.locator(".canvas a[href*=tradingview]").is_visible()


def test_a_script_that_the_page_does_not_know_is_not_run(browser: Any, page_file: Path, tmp_path: Path) -> None:
    """Its policy names the hashes of its own scripts: one that was slipped in is refused."""
    planted = tmp_path / "planted.html"
    text = page_file.read_text("utf-8")
    planted.write_text(text.replace("</main>", "<script>document.title = 'taken'</script></main>"), "utf-8")
    with open_page(browser, planted) as (page, errors, _):
        assert page.title() != "taken"
        assert any("Content Security Policy" in error for error in errors)


def test_the_chart_zooms_and_moves(browser: Any, page_file: Path) -> None:
    """Buttons, keys and the wheel with Ctrl change what is in view; the wheel alone does not."""
    with open_page(browser, page_file) as (page, errors, _):
        began = bars_in_view(page)
        page.get_by_role("button", name="Zoom in").click()
        assert bars_in_view(page) == pytest.approx(0.6 * began, rel=0.05)
        page.locator(".canvas").focus()
        page.keyboard.press("0")
        assert bars_in_view(page) >= 1500
        before = in_view(page)[0]
        page.keyboard.press("+")
        page.keyboard.press("ArrowRight")
        assert in_view(page)[0] > before
        box = chart_box(page)
        page.mouse.move(box["x"] + 300, box["y"] + 100)
        zoomed = bars_in_view(page)
        page.mouse.wheel(0, 40)
        page.evaluate(FRAMES)
        assert bars_in_view(page) == pytest.approx(zoomed)
        page.keyboard.down("Control")
        page.locator(".canvas").dispatch_event("wheel", {"deltaY": -300, "ctrlKey": True, "clientX": 400})
        assert bars_in_view(page) < 0.6 * zoomed
        assert errors == []


def test_a_narrower_window_shows_the_same_bars(browser: Any, page_file: Path) -> None:
    """A phone that is turned cuts off no bars; all bars leave room for half of the first label."""
    with open_page(browser, page_file) as (page, errors, _):
        page.locator(".canvas").focus()
        page.keyboard.press("0")
        first, last = in_view(page)
        assert first < -10
        assert last >= 1499
        for width in (500, 1180):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(100)
            assert in_view(page) == pytest.approx((first, last), abs=20)
        assert errors == []


def test_money_is_scaled_by_factors_where_these_can_be_marked(browser: Any, page_file: Path) -> None:
    """From tenfold on, but for an account that lost all but a ten-thousandth, or everything."""
    with open_page(browser, page_file) as (page, errors, _):
        modes = []
        for low, high in ((2_000, 10_000), (900, 10_000), (0.004, 10_000), (0, 10_000)):
            scale = "report.chart.chart.priceScale('right', 1)"
            page.evaluate(f"{scale}.applyOptions({{ mode: 0 }}); report.chart.scaleMoney(1, {low}, {high})")
            modes.append(page.evaluate(f"{scale}.options().mode"))
        assert modes == [0, 1, 0, 0]
        assert errors == []


def test_the_panes_share_one_crosshair(browser: Any, page_file: Path) -> None:
    """The readout names the bar under the pointer, whichever pane that is over; there are four panes."""
    with open_page(browser, page_file) as (page, _, _):
        assert page.evaluate("report.chart.chart.panes().length") == 4
        box = chart_box(page)
        said = set()
        for share in (0.2, 0.65, 0.8):
            page.mouse.move(box["x"] + 200, box["y"] + share * box["height"])
            page.evaluate(FRAMES)
            said.add(page.locator(".readout time").inner_text())
        assert len(said) == 1
        page.mouse.move(box["x"] + 500, box["y"] + 100)
        page.evaluate(FRAMES)
        assert page.locator(".readout time").inner_text() not in said
        for name in ("Open", "Close", "Equity", "Drawdown", "Forecast"):
            assert name in page.locator(".readout").inner_text()


def test_a_liquidation_price_beyond_the_edge_is_named_there(browser: Any, tmp_path: Path) -> None:
    """Far below the candles a label at the edge says where; once the pane is scaled to it the label is gone."""
    market, bars = make_market(bars=600), 600
    result = make_result(market, [Trade(100, 5.0)])
    price = float(market.candles.close[100])
    positions = result.positions.assign(liquidation_price=0.4 * price)
    equity = result.equity.assign(margin=0.25 * result.equity["equity"])
    file = write_report(replace(result, positions=positions, equity=equity), tmp_path / "run", baselines={})
    with open_page(browser, file) as (page, errors, _):
        page.locator("[data-days=all]").click()
        page.evaluate(FRAMES)
        (edge,) = page.evaluate("report.chart.marks.edges")
        away = 1.0 - 0.4 * price / float(market.candles.close[bars - 1])
        assert "↓ Liquidation" in edge
        assert edge.endswith(f"{100 * away:.1f}% below")
        box = chart_box(page)
        page.mouse.move(box["x"] + 400, box["y"] + 100)
        page.evaluate(FRAMES)
        assert re.search(r"Liquidation [\d,.]+ \(−[\d.]+%, [\d.]+ ATR away\)", page.locator(".readout").inner_text())  # noqa: RUF001
        assert "Margin in use 25.0%" in page.locator(".readout").inner_text()
        page.locator(".layers summary").click()
        page.locator("[data-layer=fit]").check()
        page.evaluate(FRAMES)
        assert page.evaluate("report.chart.marks.edges") == []
        page.locator("[data-layer=liquidation]").uncheck()
        page.locator("[data-layer=fit]").uncheck()
        page.evaluate(FRAMES)
        assert page.evaluate("report.chart.marks.edges") == []
        assert errors == []


def test_figures_have_the_digits_that_their_size_needs(browser: Any, page_file: Path) -> None:
    """Half a coin is no zero, thousands need no cents on an axis, and seconds are told where bars are that short."""
    with open_page(browser, page_file) as (page, _, _):
        written = page.evaluate(
            "[report.amount(0.4903), report.amount(9898.01, 0), report.amount(-12.5), report.amount(0)]"
        )
        assert written == ["0.49030", "9,898", "−12.50", "0.00"]  # noqa: RUF001
        moments = page.evaluate("[report.moment(1704067200), report.moment(1704067201)]")
        assert moments == ["2024-01-01 00:00", "2024-01-01 00:00:01"]
        assert page.evaluate("[report.percent(-0.00004), report.percent(-0.00004, 1)]") == ["0.00%", "0.0%"]


def test_a_row_leads_to_its_bar(browser: Any, page_file: Path) -> None:
    """A press on a row, or Enter on its number, brings the trade into view; arrow keys walk the rows."""
    with open_page(browser, page_file) as (page, errors, _):
        page.locator('[data-days="7"]').click()
        assert not shows(page, 40)
        page.locator("#trades-panel tbody tr[data-trade='40']").click()
        assert shows(page, 40)
        assert page.locator("#trades-panel tr.chosen").get_attribute("data-trade") == "40"
        page.locator("#trades-panel tbody button").first.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        assert page.locator("#trades-panel tr.chosen").get_attribute("data-trade") == "56"
        assert shows(page, 56)
        page.get_by_role("button", name="Trade before").click()
        assert shows(page, 55)
        assert page.evaluate("report.chart.marks.chosen") == 55
        assert errors == []


def test_trades_are_sorted_filtered_and_leafed_through(browser: Any, page_file: Path) -> None:
    """Heads sort by value and say so, filters say how many are left, and pages hold 25 rows."""
    with open_page(browser, page_file) as (page, _, _):
        panel = page.locator("#trades-panel")
        assert listed(page, 1)[:3] == ["59", "58", "57"]
        assert len(listed(page, 1)) == 25
        panel.get_by_role("button", name="Profit").click()
        profits = [float(text.replace("−", "-").replace(",", "")) for text in listed(page, 9)]  # noqa: RUF001
        assert profits == sorted(profits)
        assert panel.locator("th", has_text="Profit").get_attribute("aria-sort") == "ascending"
        panel.get_by_label("Side").select_option("short")
        assert set(listed(page, 2)) == {"short"}
        panel.get_by_label("Exit by").select_option("stop loss")
        assert set(listed(page, 13)) == {"stop loss"}
        assert "that match, of 59" in panel.locator(".status").inner_text()
        panel.get_by_label("Exit by").select_option("")
        panel.get_by_role("button", name="Next page").click()
        assert panel.locator(".status").inner_text().startswith("26 to 29 of 29")
        assert panel.get_by_role("button", name="Next page").is_disabled()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(scheme: str, browser: Any, page_file: Path) -> None:
    """As computed in the browser, every text has a contrast of 4.5 : 1 with what is behind it, light and dark."""
    with open_page(browser, page_file, color_scheme=scheme) as (page, _, _):
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(253, 253, 252)") == (scheme == "light")
        for details in page.locator("details").all():
            details.evaluate("one => { one.open = true; }")
        assert faint_texts(page) == []


def test_the_reader_chooses_light_or_dark(browser: Any, page_file: Path) -> None:
    """The switch turns page and chart, says what it does next, and is remembered when the page is opened again."""
    with open_page(browser, page_file, color_scheme="light") as (page, _, _):
        painted = "report.chart.chart.options().layout.background.color"
        assert page.evaluate(painted) == "#fdfdfc"
        page.get_by_role("button", name="Switch to dark colours").click()
        assert page.evaluate(painted) == "#13171c"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 23, 28)"
        page.reload()
        page.wait_for_selector("html[data-ready=true]", state="attached")
        assert page.evaluate(painted) == "#13171c"
        assert page.get_by_role("button", name="Switch to light colours").is_visible()


def test_the_page_fits_a_phone(browser: Any, page_file: Path) -> None:
    """At 375 pixels nothing makes the page scroll sideways, and what is pressed is large enough for a finger."""
    with open_page(browser, page_file, width=375, has_touch=True, is_mobile=True) as (page, errors, _):
        assert page.evaluate("document.documentElement.scrollWidth") == 375
        small = page.evaluate(
            "[...document.querySelectorAll('button, select')].filter(one => one.checkVisibility())"
            ".map(one => [one.textContent, one.getBoundingClientRect().height]).filter(one => one[1] < 24)"
        )
        assert small == []
        page.locator("#metrics summary", has_text="Sharpe").tap()
        assert page.locator("#metrics details[open] span").inner_text().startswith("mean over standard deviation")
        assert page.evaluate("document.documentElement.scrollWidth") == 375
        assert errors == []


def test_definitions_open_by_keyboard(browser: Any, page_file: Path) -> None:
    """A headline's name is a control that Enter opens; what it means stands below it."""
    with open_page(browser, page_file) as (page, _, _):
        summary = page.locator(".tiles summary", has_text="Maximum drawdown")
        summary.focus()
        page.keyboard.press("Enter")
        assert page.locator(".tiles details[open] span").inner_text() == "largest fall from a peak of equity"
        assert page.locator(".tiles .range").count() == 3


def test_the_page_speaks_without_scripts(browser: Any, page_file: Path) -> None:
    """Where no script runs, figures and the last trades are there, and no dead control is."""
    with open_page(browser, page_file, ready=False, java_script_enabled=False) as (page, _, _):
        assert page.locator("#price .static svg").first.is_visible()
        assert page.locator("#trades .static tbody tr").count() == 50
        assert page.locator("button:visible, select:visible").count() == 0


def test_paper_gets_the_figures_in_light_colours(browser: Any, page_file: Path) -> None:
    """In print the drawn figures and the last trades stand in for chart and controls, on light ground."""
    with open_page(browser, page_file, color_scheme="dark") as (page, _, _):
        page.emulate_media(media="print", color_scheme="dark")
        assert page.locator("#chart-panel").is_hidden()
        assert page.locator("#price .static svg").first.is_visible()
        assert page.locator("button:visible").count() == 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(253, 253, 252)"
        assert page.pdf(format="A4").startswith(b"%PDF")
        folds = page.locator("details:not(.define, .layers)")
        assert folds.count() > 0
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details:not(.define, .layers):not([open])").count() == 0
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("details:not(.define, .layers)[open]").count() == 0


def test_markets_take_turns_in_the_chart(browser: Any, tmp_path: Path) -> None:
    """Each of two markets can be shown, and a trade brings up its own."""
    markets = [make_market(symbol=name, seed=seed) for seed, name in enumerate(("AUSDT", "BUSDT"))]
    trades = [Trade(1, 5.0, symbol="AUSDT"), Trade(9, -5.0, "signal", symbol="AUSDT"), Trade(3, -5.0, symbol="BUSDT")]
    file = write_report(make_result(markets, trades, forecasts=make_forecasts(markets)), tmp_path / "run", baselines={})
    with open_page(browser, file) as (page, errors, _):
        page.locator("#chart-panel select").select_option("BUSDT")
        assert page.evaluate("report.chart.market.symbol") == "BUSDT"
        page.locator("#trades-panel tr[data-trade='0']").click()
        assert page.evaluate("report.chart.market.symbol") == "AUSDT"
        assert page.locator("#chart-panel select").input_value() == "0"
        assert errors == []


def test_fifty_thousand_bars_stay_a_page(long_file: Path) -> None:
    """50,000 bars and 999 trades take at most 6 MB."""
    assert long_file.stat().st_size <= 6_000_000


def test_fifty_thousand_bars_can_be_moved_through(browser: Any, long_file: Path) -> None:
    """All of them can be shown at once, and any trade be jumped to."""
    with open_page(browser, long_file) as (page, errors, _):
        page.locator("[data-days=all]").click()
        assert bars_in_view(page) >= 49_500
        for trade in (998, 975):
            page.locator(f"#trades-panel tr[data-trade='{trade}']").click()
            assert shows(page, trade)
        assert bars_in_view(page) < 1000
        assert errors == []
