"""Slips of the hand: each is refused, or told, in one line that says what to write instead."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from simple_market import market, walk

from backtests.exchange.parameters import AccountParams
from backtests.run.engine import loss_notes
from backtests.run.own_strategy import OwnParams
from backtests.searches.goals import read_goals
from crossgate.reproduction import read_record
from crossgate.stop_check import liquidation_distance, unreachable_stop
from crossgate.summary import market_record
from foundation.errors import DataError, ParameterError
from foundation.files import atomic_file, atomic_folder
from markets.contract import find_contract
from models.forecasts import Forecast, collect_forecasts
from models.parameters import FeatureParams
from reports.folders import read_run
from reports.report import check_folder
from strategies.parameters import RiskParams


@pytest.mark.parametrize("symbol", ["BTCUSDT", "btcusdt", "BTC/USDT:USDT", "BTC-USDT"])
def test_a_symbol_without_its_venue_is_told_the_venues(symbol: str) -> None:
    """Whichever way the symbol is spelt, the contracts that it may mean are named, and not one that it resembles."""
    with pytest.raises(ParameterError, match=r"name the venue too: .*binance_usdm:BTCUSDT") as caught:
        find_contract(symbol)
    assert "did you mean" not in str(caught.value)
    assert "ETHUSDT" not in str(caught.value)


def test_a_typo_in_a_symbol_still_gets_a_suggestion() -> None:
    """A venue with a misspelt symbol means the nearest contract."""
    with pytest.raises(ParameterError, match='did you mean "binance_usdm:BTCUSDT"'):
        find_contract("binance_usdm:BTCUDST")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RiskParams(stop_loss="-2%"), "risk.stop_loss = '-2%': should be above zero"),
        (lambda: RiskParams(stop_loss="-2"), "risk.stop_loss = '-2': should be a number with a unit"),
        (lambda: FeatureParams(columns=()), r"features.columns = \(\): should not be empty; a list of features"),
        (lambda: OwnParams(file=""), "strategy.file = '': should not be empty"),
        (lambda: OwnParams(file="x.py:X", bars=3), "known: file, forecasts, leverage, parameters$"),
    ],
)
def test_a_value_that_cannot_be_is_told_in_plain_words(make: Any, said: str) -> None:
    """Below zero, empty, and a key that is none: no word of a library, and no field that cannot be written."""
    with pytest.raises(ParameterError, match=said):
        make()


def test_a_share_bounded_above_one_is_a_forgotten_percent_sign() -> None:
    """A fall of at most 30 bounds nothing; 30 % and 0.3 do, and so do returns above one."""
    with pytest.raises(ParameterError, match='lies from 0 to 1; write "max_drawdown<=30%"'):
        read_goals(["sharpe"], ["max_drawdown<=30"])
    kept = read_goals(["sharpe"], ["max_drawdown<=30%", "win_rate>=0.4", "total_return>=2", "trades>=50"])
    assert [one.bound for one in kept.constraints] == [0.3, 0.4, 2.0, 50.0]


@pytest.mark.parametrize("answer", [0.01, None, ("up", 0.01), (0.01,), "no"])
def test_a_forecaster_that_answers_no_pair_is_told_what_to_answer(answer: object) -> None:
    """The line names the answer, the bar, and the pair that is asked for."""
    forecaster = SimpleNamespace(forecast=lambda _: answer)
    with pytest.raises(DataError, match=r"answered .* for TEST at the bar of .* UTC; answer with \(mean, sigma\)"):
        collect_forecasts(forecaster, market(walk(30, 1)))


def test_a_forecaster_may_answer_with_a_pair_or_a_forecast() -> None:
    """Both are taken, with all that a Forecast says besides."""
    one = collect_forecasts(SimpleNamespace(forecast=lambda _: (0.01, 0.02)), market(walk(30, 1)))
    other = collect_forecasts(SimpleNamespace(forecast=lambda _: Forecast(0.01, 0.02, 0.6)), market(walk(30, 1)))
    assert (one.series["TEST"].mean == other.series["TEST"].mean).all()
    assert (other.series["TEST"].up_probability == 0.6).all()


def test_a_ruined_account_is_told_once() -> None:
    """Ruin, or how near it the account came: not both, and no fall to minus nothing."""
    totals = SimpleNamespace(liquidations=2, bound_liquidations=0)
    for least, ruined, told in ((-9e-13, True, "ruined: equity reached"), (30.0, False, "as good as ruined")):
        tables = {"totals": totals, "equity": pd.DataFrame({"equity": [10_000.0, least]})}
        notes = [one for one in loss_notes(tables, AccountParams(), ruined=ruined) if "ruined" in one]
        assert len(notes) == 1
        assert told in notes[0]


def test_a_run_inside_a_run_is_refused(tmp_path: Path) -> None:
    """The outer folder could never be written to again, and would count as altered."""
    outer = tmp_path / "first"
    outer.mkdir()
    assert check_folder(outer / "deep" / "second") == (outer / "deep" / "second").resolve()
    (outer / "fingerprints.json").write_text("{}")
    with pytest.raises(ParameterError, match=r"lies inside the run .*first; name a new folder"):
        check_folder(outer / "deep" / "second")


def test_a_search_is_not_taken_for_a_broken_run(tmp_path: Path) -> None:
    """What compares and shows runs says that a folder holds a sweep or a tuning, and how to make a run of it."""
    (tmp_path / "config.toml").write_text("")
    for name in ("sweep.json", "tune.json"):
        (tmp_path / name).write_text("{}")
        with pytest.raises(DataError, match=r"holds a search, not a run; open its report\.html"):
            read_run(tmp_path)
        (tmp_path / name).unlink()
    with pytest.raises(DataError, match=r"is no run folder: metrics\.json is missing"):
        read_run(tmp_path)


def test_a_report_named_instead_of_its_folder_is_no_run(tmp_path: Path) -> None:
    """reproduce and verify ask for the folder."""
    page = tmp_path / "report.html"
    page.write_text("")
    with pytest.raises(DataError, match="is no run folder; name a folder"):
        read_record(page)


def test_a_full_disk_is_named_by_the_place_that_was_asked_for(tmp_path: Path) -> None:
    """Of a scratch the person knows nothing; an error of another file, or of no file, keeps its words."""
    for place in (atomic_file(tmp_path / "page.html"), atomic_folder(tmp_path / "run")):
        with pytest.raises(OSError, match="room") as caught, place:
            raise OSError(errno.ENOSPC, "no room")
        assert Path(caught.value.filename) in (tmp_path / "page.html", tmp_path / "run")
    with pytest.raises(OSError, match="wrong") as caught, atomic_file(tmp_path / "page.html") as scratch:
        raise OSError(errno.EIO, "wrong", str(scratch))
    assert caught.value.filename == str(tmp_path / "page.html")
    for error in (OSError(errno.EIO, "wrong"), OSError(errno.ENOENT, "wrong", "elsewhere.csv")):
        with pytest.raises(OSError, match="wrong") as caught, atomic_folder(tmp_path / "run"):
            raise error
        assert caught.value.filename in (None, "elsewhere.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("contract", "stop", "reach"),
    [
        # 1 - (1 - 1/20) / (1 - 0.004) long, (1 + 1/20) / (1 + 0.004) - 1 short, the nearer.
        ("binance_usdm:BTCUSDT", "6%", 1.05 / 1.004 - 1.0),
        ("binance_usdm:BTCUSDT", "95%margin", 1.05 / 1.004 - 1.0),
        # In coin 1 - (1 + 0.004) / (1 + 1/20) long, (1 - 0.004) / (1 - 1/20) - 1 short.
        ("binance_coinm:BTCUSD_PERP", "6%", 1.0 - 1.004 / 1.05),
    ],
)
def test_a_stop_beyond_liquidation_is_told_before_anything_is_played(contract: str, stop: str, reach: float) -> None:
    """In both kinds of contract, by arithmetic done by hand; nearer stops and cross margin are let be."""
    one = find_contract(contract)
    assert one.maintenance_rate == 0.004
    assert liquidation_distance(one, 20.0) == pytest.approx(reach)
    told = unreachable_stop(one, RiskParams(stop_loss=stop, leverage=20), AccountParams())
    said = f"lies beyond liquidation, which is at most {reach:.1%} from the entry at leverage 20"
    assert told == f"risk.stop_loss = {stop} {said}"
    cross = AccountParams(margin="cross")
    assert unreachable_stop(one, RiskParams(stop_loss=stop, leverage=20), cross) == ""
    for near in ("4%", "80%margin", "50atr", "off"):
        risk = RiskParams(stop_loss=near, trailing_stop="1%", leverage=20)
        assert unreachable_stop(one, risk, AccountParams()) == ""


@pytest.mark.parametrize(
    ("contract", "further", "nearer"),
    [("binance_usdm:BTCUSDT", "long", "short"), ("binance_coinm:BTCUSD_PERP", "short", "long")],
)
def test_a_stop_is_held_to_the_sides_that_are_traded(contract: str, further: str, nearer: str) -> None:
    """Between the liquidation of the one side and the other it is reached on the further one, and said of the other."""
    one, account = find_contract(contract), AccountParams()
    reach = liquidation_distance(one, 10.0, nearer)
    assert reach == liquidation_distance(one, 10.0) < liquidation_distance(one, 10.0, further)
    stop = (reach + liquidation_distance(one, 10.0, further)) / 2.0
    risk = RiskParams(stop_loss=f"{100.0 * stop:.4f}%", leverage=10)
    assert unreachable_stop(one, risk, account, further) == ""
    for direction in (nearer, "both"):
        assert f"at most {reach:.1%}" in unreachable_stop(one, risk, account, direction)


def test_a_check_knows_what_is_sealed_and_what_is_finer() -> None:
    """A seal within the bars is told, one after them is not; without finer candles nothing is said of them."""
    one = market(walk(30, 1))
    stamps = one.candles.timestamp
    record = market_record(one, int(stamps[10]), int(stamps[20]))
    assert (record["sealed_from"] is not None, record["bars_tested"], record["bars_with_finer"]) == (True, 20, None)
    for sealed in (None, int(stamps[-1]) + 1):
        assert market_record(one, int(stamps[10]), sealed)["sealed_from"] is None
    assert json.dumps(record)
