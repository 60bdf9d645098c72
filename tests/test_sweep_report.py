"""The report of a sweep: plateaus on its maps, every figure that of the sweep, one self-contained page."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kernel_cases import forecasts, market

from backtests.searches.landscape import best_numbers
from backtests.searches.search_folder import check_sweep_folder
from backtests.searches.sweeps import Sweep, sweep
from foundation.errors import ParameterError
from foundation.trials import TrialLedger
from reports import formats
from reports.catalogue import CATALOGUE
from reports.figures import PICTURE
from reports.heat_maps import MOST_CELLS, chosen_number, heat_maps
from reports.search_figures import draw_effects
from reports.search_sentences import metric_words, next_words
from reports.sections.search import named
from reports.sweep_report import write_sweep
from strategies.parameters import CrossoverParams

OVER: dict[str, list[Any]] = {
    "risk.stop_loss": ["1%", "2%", "3%"],
    "risk.take_profit": ["2%", "4%", "6%", "8%"],
    "account.intrabar": ["adverse", "favourable"],
}
STRATEGY = CrossoverParams(fast=2, slow=6, threshold="0.5bps")


@pytest.fixture(scope="module")
def scene() -> tuple[Any, Any]:
    """A market and forecasts on it."""
    random = np.random.default_rng(5)
    markets = (market(random, "ONE", 400, 1.0),)
    return markets[0], forecasts(random, markets, 40)


@pytest.fixture(scope="module")
def found(scene: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A small sweep, with its folder in `ledger`'s place."""
    base = tmp_path_factory.mktemp("sweep")
    return sweep(*scene, STRATEGY, over=OVER, ledger=TrialLedger(base / "ledger"), folder=base / "out")


def test_metrics_have_the_terms_of_the_field() -> None:
    """As labels, and within a sentence, where a short form stays one."""
    assert [CATALOGUE[name].label for name in ("cagr", "max_drawdown")] == ["CAGR", "Maximum drawdown"]
    assert [metric_words(name) for name in ("cagr", "max_drawdown", "calmar")] == ["CAGR", "maximum drawdown", "Calmar"]


def test_a_map_shows_the_worst_of_each_neighbourhood(found: Sweep) -> None:
    """Each cell of a map has the plateau of its setting, all else as in the best one, and one cell is the best one."""
    best = found.table.loc[chosen_number(found)]
    for one in heat_maps(found):
        assert sum(cell.chosen for _, cells in one.rows for cell in cells) == 1
        down, across = (f"risk.{name.replace(' ', '_')}" for name in (one.down, one.across))
        if "risk.intrabar" in (down, across):
            continue
        own = found.table[found.table["account.intrabar"] == best["account.intrabar"]]
        for value, cells in one.rows:
            for head, cell in zip(one.heads, cells, strict=True):
                row = own[(own[down] == value) & (own[across] == head)].iloc[0]
                assert (cell.text, cell.own) == (formats.ratio(row["plateau"]), formats.ratio(row["sharpe"]))


def test_long_axes_are_joined_to_their_worst(scene: tuple[Any, Any], tmp_path: Path) -> None:
    """A map of more rows than fit shows the lowest plateau of what it joins, and the page says so."""
    over = {"risk.stop_loss": [f"{k / 10}%" for k in range(10, 60)], "risk.leverage": [1, 2]}
    wide = sweep(*scene, STRATEGY, over=over, ledger=TrialLedger(tmp_path))
    [one] = heat_maps(wide)
    assert len(one.rows) == MOST_CELLS
    first = wide.plateau.reshape(wide.grid.shape)[:3, 0]
    assert one.joined
    assert [name for name, _ in one.rows[:2]] == ["1.0%", "1.3%"]
    assert one.rows[0][1][0].text == formats.ratio(float(first.min()))
    assert one.rows[0][1][0].title.startswith("stop loss 1.0% to 1.2%, leverage 1: plateau ")
    page = write_sweep(wide, tmp_path / "out", ledger=TrialLedger(tmp_path)).read_text()
    assert "shows the worst of their figures" in page


def test_a_line_joins_neighbours_alone(found: Sweep) -> None:
    """Words, such as the order inside bars, are dots; the dots of distances are joined. Few marks, evenly apart."""
    figure = draw_effects(found.effects, found.grid.runs, PICTURE)
    drawn = {axes.get_title("left"): [len(line.get_xdata()) for line in axes.lines[1:]] for axes in figure.axes}
    assert drawn == {"stop loss": [3], "take profit": [4], "intrabar": [1, 1]}
    many = found.effects[found.effects["axis"] == "risk.take_profit"].iloc[[0, 1, 2, 3, 0, 1, 2]]
    [axes] = draw_effects(many, {"risk.take_profit": [7]}, PICTURE).axes
    assert axes.get_xticks().tolist() == [0, 2, 4, 6]


def test_the_page_says_what_the_sweep_found(found: Sweep, tmp_path: Path) -> None:
    """The best plateau, the trials, all sections; nothing from the network, unique ids."""
    page = write_sweep(found, tmp_path / "out", name="A sweep", ledger=TrialLedger(tmp_path / "ledger")).read_text()
    assert formats.ratio(float(found.plateau.max())) in page
    for word in ("24 settings of 3 parameters", 'id="maps"', 'id="values"', 'id="lines"', 'id="sure"', "stop_loss = "):
        assert word in page
    assert "script-src 'sha256-" in page
    assert not re.search(r"(?:src|href)=\"https?:", page)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    record = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert record["settings"] == 24
    assert record["best"]["plateau"][0]["setting"] == best_numbers(found.plateau, 1)[0]
    assert (tmp_path / "out" / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_a_curve_is_drawn_once() -> None:
    """The best plateau and the best Sharpe ratio, other settings that came to the same equity, are one line."""
    curves = [pd.DataFrame({"equity": values}) for values in ([1.0, 2.0], [1.0, 2.0], [1.0, 3.0])]
    played = {number: SimpleNamespace(equity=curve) for number, curve in enumerate(curves)}
    found = SimpleNamespace(sharpe=np.array([0.5, 0.9, 0.1]), chosen=0, replayed=played)
    assert named(found) == {"best plateau and best Sharpe ratio": played[0]}  # type: ignore[arg-type]
    found.sharpe = np.array([0.5, 0.5, 0.9])
    assert named(found) == {"best plateau": played[0], "best Sharpe ratio": played[2]}  # type: ignore[arg-type]


def test_the_next_command_plays_the_chosen_setting() -> None:
    """With what the search was told: its data and --set, but for what the setting says itself; quoted for a shell."""
    told = next_words(
        Path("my configs/a.toml"), Path("/d"), ["risk.leverage=2", 'strategy.threshold="0.5cost"'],
        {"risk.leverage": 3, "risk.stop_loss": "2%"},
    )  # fmt: skip
    assert shlex.split(told) == [
        "next:", "crossgate", "backtest", "my configs/a.toml", "--data", "/d", "--set", 'strategy.threshold="0.5cost"',
        "--set", "risk.leverage=3", "--set", "risk.stop_loss=2%",
    ]  # fmt: skip


def test_a_sweep_without_a_trade_has_a_page(scene: tuple[Any, Any], tmp_path: Path) -> None:
    """Where no forecast reaches the threshold there is nothing to choose, and the page says so."""
    still = sweep(*scene, CrossoverParams(threshold="9000bps"), over=OVER, ledger=TrialLedger(tmp_path))
    assert np.isnan(still.sharpe).all()
    page = write_sweep(still, tmp_path / "out", ledger=TrialLedger(tmp_path)).read_text()
    assert "none of them made a trade" in page


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    """Nothing of somebody's own is written over."""
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ParameterError, match=r"holds thesis\.tex, which is no part of a sweep"):
        check_sweep_folder(tmp_path)
    with pytest.raises(ParameterError, match="is a file, not a folder"):
        check_sweep_folder(tmp_path / "thesis.tex")
