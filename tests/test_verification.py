"""Verification: what the certificate says of a run, and of faults that all compiled drivers share.

A fault is planted where Backtrader in both loops and the kernel alike take what they play from: the run is made with
it and verified with it. They agree on what is wrong; the witness does not.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from backtests.exchange import records
from backtests.kernel import playing, scene
from crossgate.config import load_config
from crossgate.job import load_markets, make_forecasts, play_config
from crossgate.verification import FAST, KERNEL, STOCK, WITNESS, Certificate, verify_run
from markets.market import Market
from models.forecasts import Forecasts
from strategies.parameters import CrossoverParams

DEMO = Path(__file__).resolve().parent.parent / "backtests" / "configs" / "demo.toml"
# Leverage that liquidates, and a band of sigma that keeps some signals out.
BOLD = [
    "market.bars=2000", "walk_forward.train=60d", "walk_forward.test=20d", "walk_forward.seeds=1", "model.steps=5",
    "run.interpretation=false", "risk.sizing=fraction", "risk.fraction=0.05", "risk.leverage=45", "risk.stop_loss=off",
    "strategy.rule=forecast", "strategy.threshold=2bps", "strategy.maximum_sigma=90bps",
]  # fmt: skip
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run made by the command line."""
    folder = tmp_path_factory.mktemp("runs") / "bold"
    words = [word for one in BOLD for word in ("--set", one)]
    command = [sys.executable, "-m", "crossgate", "backtest", str(DEMO), *words, "--out", str(folder), "--json"]
    subprocess.run(command, capture_output=True, text=True, check=True)
    return folder


@pytest.fixture
def run(written: Path, tmp_path: Path) -> Path:
    """A copy of the run."""
    return Path(shutil.copytree(written, tmp_path / "bold"))


def made_anew(run: Path) -> None:
    """The run's tables as they come out now."""
    config = load_config(run / "config.toml")
    markets = load_markets(config)
    result = play_config(config, markets, make_forecasts(config, markets), config.record())
    for name in ("fills", "equity"):
        getattr(result, name).to_parquet(run / f"{name}.parquet", index=False)


def told(certificate: Certificate) -> dict[str, str]:
    """What parts, by driver."""
    return {one.driver: one.parts for one in certificate.checks}


def test_a_run_is_held_to_the_witness(run: Path) -> None:
    """Fills for every reason that this run has, liquidations among them; numbers to 1e-9, as the words say."""
    certificate = verify_run(run)
    assert certificate.agreed
    assert list(told(certificate)) == [FAST, STOCK, KERNEL, WITNESS]
    assert [one.tolerance for one in certificate.checks] == [0.0, 0.0, 0.0, 1e-9]
    assert "plain-Python witness: the same" in certificate.lines()[4]
    assert "to 1e-09, equity within" in certificate.lines()[4]
    reasons = pd.read_parquet(run / "fills.parquet")["reason"]
    assert (reasons == "liquidation").sum() > 1
    kept = json.loads((run / "certificate.json").read_text("utf-8"))
    assert [one["driver"] for one in kept["checks"]] == [FAST, STOCK, KERNEL, WITNESS]
    assert kept["left_out"] == {}


def contracts(field: str, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """A fault in what the exchange takes a contract for."""

    def plant(patch: Patch) -> None:
        honest = records.contract_record

        def faulty(contract: Any) -> Any:
            record = honest(contract)
            record[field] = change(record[field])
            return record

        for module in (playing.records, scene):
            patch.setattr(module, "contract_record", faulty)

    return plant


def funding_reversed(patch: Patch) -> None:
    """Longs receive what they should pay."""
    honest = Market.funding_bars
    patch.setattr(Market, "funding_bars", lambda *given: tuple(-one for one in honest(*given)))


def last_for_mark(patch: Patch) -> None:
    """Liquidations are tested on last prices."""
    honest = Market.mark_bars

    def faulty(market: Market, rows: slice = slice(None)) -> Any:
        names = ("open", "high", "low", "close")
        return np.column_stack([getattr(market.candles, name)[rows] for name in names]), honest(market, rows)[1]

    patch.setattr(Market, "mark_bars", faulty)


def early_forecasts(patch: Patch) -> None:
    """A forecast is known a bar before it was made."""
    honest = Forecasts.column

    def faulty(forecasts: Forecasts, market: Market, name: str) -> Any:
        column = honest(forecasts, market, name)
        return np.append(column[1:], np.nan)

    rows = Forecasts.forecast
    patch.setattr(Forecasts, "column", faulty)
    patch.setattr(
        Forecasts, "forecast", lambda said, bar: rows(said, bar._replace(timestamp=bar.timestamp + 3_600_000_000_000))
    )


def no_band(patch: Patch) -> None:
    """Signals count at every sigma."""
    patch.setattr(CrossoverParams, "sigma_band", (0.0, np.inf))


FAULTS = {
    "no taker fee": (contracts("taker_fee", lambda fee: 0.0 * fee), "fill 1: fee "),
    "the maintenance margin is half as much": (contracts("rates", lambda rates: 0.5 * rates), ""),
    "no clearance charge": (contracts("liquidation_fee", lambda fee: 0.0 * fee), "liquidation_fee"),
    "funding has the wrong sign": (funding_reversed, "equity "),
    "the mark is the last price": (last_for_mark, "equity "),
    "forecasts a bar early": (early_forecasts, ""),
    "no band of sigma": (no_band, ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_all_compiled_drivers_share_is_seen_by_the_witness(
    fault: str, run: Path, monkeypatch: Patch
) -> None:
    """They agree with the run that was made with it; the certificate names the witness and the first bar."""
    plant, said = FAULTS[fault]
    plant(monkeypatch)
    made_anew(run)
    certificate = verify_run(run)
    assert not certificate.agreed
    parts = told(certificate)
    assert parts.pop(WITNESS) != ""
    assert said in certificate.checks[-1].parts
    assert set(parts.values()) == {""}
    stamp = certificate.checks[-1].parts_at
    assert f"  plain-Python witness: parts at {stamp} UTC, " in certificate.lines()[4]
    stamps = pd.read_parquet(run / "equity.parquet")["timestamp"]
    assert stamp in set(stamps.dt.strftime("%Y-%m-%d %H:%M"))
