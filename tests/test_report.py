"""The run folder and the report page."""

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from result_factory import Trade, make_forecasts, make_market, make_result, make_trades

import reports.report
from backtests.exchange.parameters import AccountParams
from backtests.run.result import Result
from foundation.errors import ParameterError
from models.forecasts import Forecasts, ForecastSeries
from reports.report import FILES, write_report
from strategies.parameters import CrossoverParams

VOID = {"meta", "line", "br", "img", "hr", "input"}
# The one address that a page leads to when it is pressed: the licence of the chart asks for it.
MAKERS = "https://www.tradingview.com/"


def blind_forecasts(result: Result) -> Forecasts:
    """Forecasts of pure noise, larger than any return deserves."""
    stamps = result.markets[0].candles.timestamp
    noise = np.random.default_rng(9).normal(0, 0.01, len(stamps))
    sigma, model = np.full(len(stamps), 0.006), np.zeros(len(stamps), dtype=np.int64)
    return Forecasts({"TESTUSDT": ForecastSeries(stamps, noise, sigma, stamps - 1, model)}, "noise")


def small_run(**changes: Any) -> Result:
    """A run of 1,500 bars on a synthetic market whose forecasts are near its oracle."""
    market = make_market(bars=1500, synthetic=True, predictability=0.1)
    return make_result(
        market, make_trades(1500, every=25), funding=[(row, 0.2) for row in range(0, 1500, 8)], **changes
    )


def baselines_of(result: Result) -> dict[str, Result]:
    """Stand-ins for the baselines."""
    market = result.markets[0]
    hold = make_result(market, [Trade(1, 90.0)], name="buy and hold", strategy=CrossoverParams(rule="buy_and_hold"))
    cross = make_result(market, make_trades(1500, every=60), strategy=CrossoverParams(rule="crossover"))
    return {
        "buy and hold": hold,
        "crossover alone": cross,
        "LSTM alone": replace(cross, strategy=CrossoverParams(rule="forecast")),
    }


def page_of(result: Result, folder: Path) -> str:
    """The report page of a result."""
    return write_report(result, folder, baselines={}).read_text("utf-8")


class Page(HTMLParser):
    """A parser that notes every attribute and complains of tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_folder_holds_the_run_whole(tmp_path: Path) -> None:
    """Config, metrics, tables, picture and page are there, and the tables read back as they were."""
    result = small_run()
    page = write_report(result, tmp_path / "run", baselines=baselines_of(result))
    assert page == tmp_path / "run" / "report.html"
    assert {path.name for path in page.parent.iterdir()} == set(FILES)
    for name in ("fills", "equity", "decisions", "positions", "funding", "orders"):
        pd.testing.assert_frame_equal(pd.read_parquet(page.parent / f"{name}.parquet"), getattr(result, name))
    metrics = json.loads((page.parent / "metrics.json").read_text())
    assert metrics["final_equity"] == float(result.equity["equity"].iloc[-1])
    assert set(metrics["baselines"]) == {"buy and hold", "crossover alone", "LSTM alone"}
    assert metrics["baselines"]["crossover alone"]["skill"] is None
    assert metrics["baselines"]["LSTM alone"]["skill"] == metrics["skill"]
    settings = tomllib.loads((page.parent / "config.toml").read_text())
    assert settings["risk"]["stop_loss"] == "2atr"
    assert settings["market"][0]["contract"]["symbol"] == "TESTUSDT"
    record = json.loads((page.parent / "run.json").read_text())
    assert record["markets"] == {"TESTUSDT": result.markets[0].fingerprint}
    assert record["forecasts"] == result.forecasts.fingerprint


def test_a_given_config_is_written_as_it_is(tmp_path: Path) -> None:
    """config.toml is the config of the run; None, for which TOML has no word, is left out."""
    config = {"run": {"name": "x", "seed": 7}, "market": [{"contract": "a:B"}], "costs": {"taker_fee": None}}
    write_report(small_run(config=config), tmp_path / "run", baselines={})
    written = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert written == {"run": {"name": "x", "seed": 7}, "market": [{"contract": "a:B"}], "costs": {}}


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    """Written twice, from results built twice, every file is the same to the last byte."""
    for name in ("one", "two"):
        result = small_run()
        write_report(result, tmp_path / name, baselines=baselines_of(result))
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_an_error_midway_leaves_the_old_folder_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a file cannot be made, the earlier run stays as it was and no scrap is left behind."""
    folder = tmp_path / "run"
    write_report(small_run(), folder, baselines={})
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*_: object, **__: object) -> bytes:
        raise OSError("disk full")

    monkeypatch.setattr(reports.report, "render_png", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(small_run(name="second"), folder, baselines={})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    """A folder that holds anything but a run, and a file, are refused with the name of what is there."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ParameterError, match=r"notes\.txt, which is no part of a run"):
        write_report(small_run(), tmp_path, baselines={})
    with pytest.raises(ParameterError, match="is a file"):
        write_report(small_run(), tmp_path / "notes.txt", baselines={})
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_page_is_well_formed_and_alone(tmp_path: Path) -> None:
    """Tags match, nothing is fetched from anywhere, ids are unique, images are described."""
    result = small_run(name='A <b>bold</b> & "quoted" name')
    page = Page(write_report(result, tmp_path / "run", baselines=baselines_of(result)).read_text("utf-8"))
    for tag, attributes in page.seen:
        assert tag not in ("link", "iframe", "b")
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "action", "data"):
                assert (value or "").startswith("#") or (tag, value) == ("a", MAKERS), (tag, name, value)
    ids = [attributes["id"] for _, attributes in page.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    inside = {attributes["href"] for tag, attributes in page.seen if tag == "a"} - {MAKERS}
    assert {f"#{one}" for one in ids} >= inside
    images = [attributes for tag, attributes in page.seen if tag == "svg" and "aria-hidden" not in attributes]
    assert len(images) == 10
    assert all(len(one["aria-label"] or "") > 40 for one in images)
    heads = [attributes.get("scope") for tag, attributes in page.seen if tag == "th"]
    assert set(heads) == {"col", "row"}
    assert sum(tag == "caption" for tag, _ in page.seen) == sum(tag == "table" for tag, _ in page.seen)
    text = re.sub(r"<script>.*?</script>", "", (tmp_path / "run" / "report.html").read_text("utf-8"), flags=re.DOTALL)
    assert "http" not in text.replace("http-equiv", "").replace(MAKERS, "")
    assert "url(" not in text.replace("url(#", "")


def test_the_page_names_skill_only_where_it_is_evident(tmp_path: Path) -> None:
    """Near-oracle forecasts are said to show skill; noise is said to show none, before anything else is told."""
    good = page_of(small_run(), tmp_path / "good")
    result = small_run()
    noise = page_of(replace(result, forecasts=blind_forecasts(result)), tmp_path / "noise")
    assert "The forecasts show skill." in good
    assert "The forecasts show no skill." not in good
    assert "The forecasts show no skill." in noise
    assert "The forecasts show skill." not in noise
    assert noise.index("The forecasts show no skill.") < noise.index('class="tiles"')
    rule = page_of(replace(result, strategy=CrossoverParams(rule="crossover")), tmp_path / "rule")
    assert "This rule asks no forecast." in rule


def test_the_page_says_when_a_market_is_synthetic(tmp_path: Path) -> None:
    """The badge stands on the page of a synthetic market and on no other."""
    badge = '<span class="badge">synthetic market</span>'
    assert badge in page_of(small_run(), tmp_path / "synthetic")
    assert badge not in page_of(make_result(make_market()), tmp_path / "real")


def test_the_verdict_comes_first(tmp_path: Path) -> None:
    """Below the title nothing stands before it, on the page as in Markdown: no note, no banner, no figure."""
    result = small_run(notes=("a note",), ruined=True)
    page = page_of(result, tmp_path / "run")
    body = page[page.index("</header>") + len("</header>") :].lstrip()
    assert body.startswith('<div class="banner verdict')
    text = (tmp_path / "run" / "report.md").read_text("utf-8")
    title, subtitle, verdict, *_ = text.split("\n\n")
    assert (title.startswith("# "), subtitle[0] != ">") == (True, True)
    assert verdict.startswith("> **Verdict, rung ")
    for told in ("a note", "The account was ruined."):
        assert page.index('<div class="banner verdict') < page.index(told)
        assert text.index("> **Verdict") < text.index(told)


def test_every_rung_has_its_figure(tmp_path: Path) -> None:
    """Beside each rung stands what became of it with the figure that decided it, as verdict.json keeps it."""
    page = page_of(small_run(), tmp_path / "run")
    kept = json.loads((tmp_path / "run" / "verdict.json").read_text("utf-8"))["verdict"]["rungs"]
    steps = re.findall(r'<li class="(?:passed|failed|open)"><span>([^<]+)</span><small>([^<]+)</small></li>', page)
    assert [name for name, _ in steps] == [f"{one['number']} {one['title']}" for one in kept]
    told = {"passed": "climbed", "failed": "not climbed", "unknown": "cannot be judged"}
    for (_, said), one in zip(steps, kept, strict=True):
        assert said == (f"{told[one['state']]}: {one['figure']}" if one["figure"] else told[one["state"]])
    assert kept[0]["figure"].endswith("%")
    assert kept[1]["figure"].startswith("p ")


def test_notes_and_ruin_stand_above_the_figures(tmp_path: Path) -> None:
    """What the engine noted, and ruin, come before the first figure."""
    result = small_run(notes=("funding is missing on <some> bars; it was played as zero",), ruined=True)
    page = page_of(result, tmp_path / "run")
    note, ruin = page.index("funding is missing on &lt;some&gt; bars"), page.index("The account was ruined.")
    assert max(note, ruin) < page.index('class="tiles"')


def test_a_run_without_trades_has_a_page_that_says_so(tmp_path: Path) -> None:
    """With no fill, and with no order either, there is still a page, and it tells what the rule decided."""
    page = page_of(make_result(), tmp_path / "run")
    assert page.count("No trade was made.") == 2
    assert "none became a fill" in page
    Page(page)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["trades"], metrics["sharpe"], metrics["win_rate"]) == (0, None, None)


def test_refused_orders_are_counted_by_reason(tmp_path: Path) -> None:
    """Refused and shrunk orders appear with their reasons; cancelled brackets do not."""
    stamps = pd.to_datetime([0, 1, 2, 3], utc=True)
    columns = {"timestamp": stamps, "symbol": "TESTUSDT", "side": "buy", "quantity": 1.0}
    status = ["refused", "refused", "shrunk", "cancelled"]
    reason = ["below one lot", "below one lot", "shrunk to the free margin", "other order of the bracket filled"]
    page = page_of(make_result(orders=pd.DataFrame({**columns, "status": status, "reason": reason})), tmp_path / "run")
    row = r'<th scope="row">refused</th><td class="text">below one lot</td><td>2</td>'
    assert row in page
    assert "shrunk to the free margin" in page
    assert "other order of the bracket" not in page
    assert "2 orders were refused" in page


@pytest.mark.parametrize("intrabar", ["adverse", "favourable", "nearer_extreme"])
def test_the_page_states_the_path_that_was_assumed(intrabar: Any, tmp_path: Path) -> None:
    """Which of stop and target comes first is told as it was set."""
    page = page_of(make_result(account=AccountParams(intrabar=intrabar)), tmp_path / "run")
    told = {
        "adverse": "the stop is assumed",
        "favourable": "the target is assumed",
        "nearer_extreme": "nearer to the open",
    }
    assert [name for name, text in told.items() if text in page] == [intrabar]


def test_several_markets_have_a_figure_and_a_column_each(tmp_path: Path) -> None:
    """A run over two markets draws both prices and names the symbol of every trade."""
    markets = [make_market(symbol=name, seed=seed, synthetic=True) for seed, name in enumerate(("AUSDT", "BUSDT"))]
    trades = [Trade(1, 5.0, symbol="AUSDT"), Trade(9, -5.0, "signal", symbol="AUSDT"), Trade(3, -5.0, symbol="BUSDT")]
    result = make_result(markets, trades, forecasts=make_forecasts(markets, weight=0.0))
    page = page_of(result, tmp_path / "run")
    Page(page)
    for symbol in ("AUSDT", "BUSDT"):
        assert f"Price of {symbol}" in page
        assert f'<td class="text">{symbol}</td>' in page


def test_without_scripts_the_last_trades_stand_on_the_page(tmp_path: Path) -> None:
    """Of many trades the last 50 are there for those who run no scripts; trades.parquet has them all."""
    result = make_result(make_market(bars=1200), make_trades(1200))
    page = write_report(result, tmp_path / "run", baselines={})
    text = page.read_text("utf-8")
    assert "The last 50 of 119 trades" in text
    assert text.count('<th scope="row">119</th>') == 1
    assert len(pd.read_parquet(page.parent / "trades.parquet")) == 119


def test_the_costs_lead_from_the_profit_to_the_change_of_equity(tmp_path: Path) -> None:
    """Profit at fill prices less fees, funding and charges is the change of equity that the page states."""
    result = small_run()
    page = page_of(result, tmp_path / "run")
    section = page[page.index('id="costs"') : page.index('id="skill"')]
    number: Callable[[str], float] = lambda text: float(text.replace("−", "-").replace(",", ""))  # noqa: E731, RUF001
    rows = {label: number(value) for label, value in re.findall(r'row">([^<]+)</th><td[^>]*>([^<]+)</td>', section)}
    parts = ("Profit at fill prices", "Trading fees", "Funding received (paid below zero)", "Liquidation charges")
    assert sum(rows[name] for name in parts) == pytest.approx(rows["Change of equity"], abs=0.03)
    assert rows["Profit before slippage"] + rows["Slippage, inside the fill prices"] == pytest.approx(
        rows[parts[0]], abs=0.02
    )
    change = float(result.equity["equity"].iloc[-1]) - result.account.cash
    assert rows["Change of equity"] == pytest.approx(change, abs=0.01)
