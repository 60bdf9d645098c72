"""Walk-forward tuning: what is chosen rests on the past alone, and is judged on bars that it never saw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kernel_cases import forecasts, market
from planted_faults import mutated

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.engine import backtest
from backtests.searches import forward
from backtests.searches.forward import Forward, closing_cost, tune_forward
from foundation.errors import ParameterError
from foundation.trials import TrialLedger
from markets.market import Market
from models.forecasts import Forecasts, ForecastSeries, cut_forecasts
from reports.tune_report import write_tuned
from strategies.parameters import CrossoverParams, RiskParams
from witness.money import worth
from witness.slippage import Slippage, taker_price
from witness.terms import WitnessBar, WitnessContract

STRATEGY = CrossoverParams(fast=2, slow=6, threshold="0.5bps")
OVER = {"risk.stop_loss": "0.5%:5%", "risk.risk_per_trade": "0.002:0.05:log"}
FOLDS = 3


def play(module: Any, scene: tuple[Market, Forecasts], folder: Path) -> Forward:
    """A short walk-forward."""
    found: Forward = module.tune_forward(
        *scene, STRATEGY, over=OVER, folds=FOLDS, trials=25, seed=2, ledger=TrialLedger(folder)
    )
    return found


@pytest.fixture(scope="module")
def scene() -> tuple[Market, Forecasts]:
    """A market and forecasts on it."""
    random = np.random.default_rng(5)
    markets = (market(random, "ONE", 600, 1.0),)
    return markets[0], forecasts(random, markets, 40)


@pytest.fixture(scope="module")
def found(scene: tuple[Market, Forecasts], tmp_path_factory: pytest.TempPathFactory) -> Forward:
    """What a walk-forward of that comes to."""
    return play(forward, scene, tmp_path_factory.mktemp("ledger"))


def disturbed(scene: tuple[Market, Forecasts], row: int) -> tuple[Market, Forecasts]:
    """The same up to a row, and everything else after it: prices that crash and forecasts that turn round."""
    honest, known = scene
    candles, random = honest.candles, np.random.default_rng(9)
    factor = np.where(np.arange(len(candles)) < row, 1.0, np.exp(np.cumsum(random.normal(-0.01, 0.03, len(candles)))))
    late = {name: np.round(getattr(candles, name) * factor, 2) for name in ("open", "high", "low", "close")}
    late["high"], late["low"] = np.maximum.reduce(list(late.values())), np.minimum.reduce(list(late.values()))
    series = known.series["ONE"]
    sign = np.where(series.timestamp < candles.timestamp[row], 1.0, -3.0)
    other = ForecastSeries(series.timestamp, series.mean * sign, series.sigma, series.trained_through, series.model)
    return replace(honest, candles=replace(candles, **late), mark=None), Forecasts({"ONE": other})


def parts(one: Forward) -> list[dict[str, Any]]:
    """What was chosen before each fold, and on what grounds."""
    return one.folds[[*OVER, "inside"]].to_dict("records")


def test_the_future_changes_no_earlier_choice(scene: tuple[Market, Forecasts], found: Forward, tmp_path: Path) -> None:
    """All from the second fold on is another; the choices before the first two, and the first fold, stay."""
    without_mark = replace(scene[0], mark=None)
    border = int(np.searchsorted(scene[0].candles.timestamp, found.folds["first"].iloc[1].value))
    plain = play(forward, (without_mark, scene[1]), tmp_path / "a")
    other = play(forward, disturbed(scene, border), tmp_path / "b")
    assert parts(other)[:2] == parts(plain)[:2]
    first = border - len(scene[0].candles) + len(plain.curve.equity)
    assert np.array_equal(other.curve.equity[:first], plain.curve.equity[:first])
    assert parts(other)[2] != parts(plain)[2]
    assert not np.array_equal(other.curve.equity[first:], plain.curve.equity[first:])


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("past = [one.rows(0, end) for one in self.markets]", "past = [one.rows(0, end + 60) for one in self.markets]"),
        (
            "zip(borders[:-1], told, strict=True)",
            "zip(borders[1:], told, strict=True)",
        ),
    ],
)
def test_a_choice_that_sees_ahead_is_noticed(
    scene: tuple[Market, Forecasts], right: str, wrong: str, tmp_path: Path
) -> None:
    """With a fault that lets the search see bars of its fold, the test above fails."""
    faulty = mutated("backtests.searches.forward", right, wrong)
    without_mark = replace(scene[0], mark=None)
    plain = play(faulty, (without_mark, scene[1]), tmp_path / "a")
    border = int(np.searchsorted(scene[0].candles.timestamp, plain.folds["first"].iloc[1].value))
    other = play(faulty, disturbed(scene, border), tmp_path / "b")
    assert parts(other)[:2] != parts(plain)[:2]


def test_folds_follow_one_another_and_positions_end_with_them(scene: tuple[Market, Forecasts], found: Forward) -> None:
    """Each fold is a backtest that starts flat on the equity that was left, and pays for closing at its end."""
    cash, at = found.curve.cash, 0
    for number, row in found.folds.iterrows():
        result = found.results[int(str(number))]
        assert result.start == row["first"].value
        tables = (result.strategy, result.risk.replaced(), result.account, result.costs)
        assert result.account.cash == cash
        assert result.risk.risk_per_trade == row["risk.risk_per_trade"]
        again = backtest(result.markets, result.forecasts, *tables)
        equity = again.equity["equity"].to_numpy()
        part = found.curve.equity[at : at + len(equity)]
        assert np.array_equal(part[:-1], equity[:-1])
        assert part[-1] == pytest.approx(equity[-1] - closing_cost(result))
        last = again.equity.iloc[-1]
        paid = last["mark"] * (1.0 - np.sign(last["position"]) * 1e-4)
        cost = abs(last["position"]) * (abs(paid - last["mark"]) + paid * scene[0].contract.taker_fee)
        assert closing_cost(result) == pytest.approx(cost)
        cash, at = float(part[-1]), at + len(equity)
    assert at == len(found.curve.equity) == len(found.hindsight.equity)
    assert any(closing_cost(result) > 0.0 for result in found.results.values())


@pytest.mark.parametrize("inverse", [False, True])
def test_closing_a_fold_costs_what_the_exchange_would_take(inverse: bool) -> None:
    """Fee, slippage, half-spread and the impact of the size, by the witness's slippage from the bars before."""
    random = np.random.default_rng(2)
    coin: dict[str, Any] = {"kind": "inverse", "settlement": "COIN", "face": 10.0, "lot": 1.0} if inverse else {}
    over = market(random, "ONE", 200, 1.0, **coin)
    costs = CostParams(slippage_bps=3.0, half_spread="2tick", impact=0.8, impact_bars=12)
    known, account = forecasts(random, (over,), 20), AccountParams(cash=50.0 if inverse else 10_000.0)
    held = CrossoverParams(fast=2, slow=6, rule="buy_and_hold")
    result = backtest(
        over, known, held, RiskParams(sizing="leverage", stop_loss="off", take_profit="off"), account, costs
    )
    last, candles = result.positions.iloc[-1], result.markets[0].candles
    size, mark, contract = abs(last["position"]), last["mark"], result.markets[0].contract
    assert size > 0.0
    bars = [
        WitnessBar(*prices, *prices, blocked=blocked, volume=volume)
        for *prices, volume, blocked in zip(
            *(getattr(candles, name)[:-1].tolist() for name in ("open", "high", "low", "close", "volume", "touched")),
            strict=True,
        )
    ]
    shape = WitnessContract(tick=contract.tick, lot=contract.lot, kind=contract.kind, face=contract.face)
    price = taker_price(Slippage(3.0, 0.0, 2.0, 0.8, 12), shape, bars, -int(np.sign(last["position"])), mark, size)
    fee = worth(shape, size, price) * contract.taker_fee
    assert closing_cost(result) == pytest.approx(abs(worth(shape, size, price) - worth(shape, size, mark)) + fee)
    free = replace(result, costs=costs.replaced(impact=0.0))
    assert closing_cost(result) > 1.02 * closing_cost(free) > 0.0


def test_the_fall_is_from_the_past_to_what_followed(scene: tuple[Market, Forecasts], found: Forward) -> None:
    """The ratio inside is that of the choice on all bars before its fold; the one outside is of the stitched curve."""
    first = found.folds.iloc[0]
    end = int(np.searchsorted(scene[0].candles.timestamp, first["first"].value))
    past = scene[0].rows(0, end)
    known = cut_forecasts(scene[1], 0, int(past.candles.timestamp[-1]))
    tables = found.base.changed({name: first[name] for name in OVER})
    curve = backtest(past, known, tables.strategy, tables.risk).equity["equity"].to_numpy()
    returns = np.diff(np.concatenate(([10_000.0], curve))) / np.concatenate(([10_000.0], curve[:-1]))
    assert first["inside"] == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(8760.0))
    stitched = found.curve.returns
    assert found.curve.sharpe == pytest.approx(stitched.mean() / stitched.std(ddof=1) * np.sqrt(8760.0))
    assert found.fall == pytest.approx(found.folds["inside"].mean() - found.curve.sharpe)


def test_every_look_at_the_data_is_counted(found: Forward, scene: tuple[Market, Forecasts]) -> None:
    """The trials of all folds and of the search with hindsight, and the stitched curve itself."""
    assert found.trials == 25 * (FOLDS + 1) + 1


def test_folds_without_a_feasible_setting_are_not_traded(scene: tuple[Market, Forecasts], tmp_path: Path) -> None:
    """Where nothing keeps the constraints the equity stays as it was, and the report says so."""
    idle = tune_forward(
        *scene, STRATEGY, over=OVER, folds=2, trials=5, constraints=["trades>=100000"], ledger=TrialLedger(tmp_path)
    )
    assert (idle.curve.equity == 10_000.0).all()
    assert idle.folds["inside"].isna().all()
    page = write_tuned(idle, tmp_path / "out", ledger=TrialLedger(tmp_path)).read_text()
    assert "Nothing was traded." in page
    assert "A fold without values was not traded" in page
    assert str(idle).split()[:1] == ["from"]
    assert {"in_sample", "out_of_sample"} <= set(str(idle).splitlines()[0].split())


def test_too_many_folds_are_refused(scene: tuple[Market, Forecasts], tmp_path: Path) -> None:
    """A fold has to hold some bars."""
    for folds, problem in ((0, "should be 1 fold or more"), (100, "fewer folds, or more bars")):
        with pytest.raises(ParameterError, match=problem):
            tune_forward(*scene, STRATEGY, over=OVER, folds=folds, trials=5, ledger=TrialLedger(tmp_path))


def test_the_report_holds_both_curves(found: Forward, tmp_path: Path) -> None:
    """The folds, both curves, the values for what comes next."""
    page = write_tuned(found, tmp_path / "out", name="Forward", ledger=TrialLedger(tmp_path / "ledger")).read_text()
    for word in ("chosen on the past", "chosen with hindsight", 'id="folds"', "stop_loss = "):
        assert word in page
    assert "script-src 'sha256-" in page
    curve = pd.read_parquet(tmp_path / "out" / "curve.parquet")
    assert np.array_equal(curve["equity"].to_numpy(), found.curve.equity)
    assert len(pd.read_parquet(tmp_path / "out" / "folds.parquet")) == FOLDS
