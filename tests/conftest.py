"""What all tests share: the seed of random examples, recorded data where there is some, and a small data folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from book_factory import messages, write_messages
from hypothesis import settings

from markets.demo import demo_market

# No deadline: the first call of a compiled rule takes a while. Derandomised: a failure is a failure again.
settings.register_profile("crossgate", deadline=None, derandomize=True)
settings.load_profile("crossgate")


@pytest.fixture(autouse=True, scope="session")
def own_ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests try is put down in a ledger of their own, never in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROSSGATE_LEDGER", str(tmp_path_factory.mktemp("trials")))
        yield


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own."""
    monkeypatch.setenv("CROSSGATE_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def tuning_scene() -> tuple[Any, Any]:
    """A small market and forecasts on it, for tunings."""
    from tuning_cases import make_scene

    return make_scene()


@pytest.fixture(scope="session")
def tuned(tuning_scene: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A tuning for two goals within two bounds, and the ledger it is put down in."""
    from tuning_cases import GOALS, OVER, STRATEGY, TRIALS

    from backtests.searches.tuning import tune
    from foundation.trials import TrialLedger

    ledger = TrialLedger(tmp_path_factory.mktemp("ledger"))
    return tune(*tuning_scene, STRATEGY, over=OVER, trials=TRIALS, **GOALS, seed=3, ledger=ledger), ledger


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What each training was called with since the test began."""
    import models.training

    seen: list[object] = []
    honest = models.training.train_networks

    def counted(*arguments: Any) -> object:
        seen.append(arguments)
        return honest(*arguments)

    monkeypatch.setattr(models.training, "train_networks", counted)
    return seen


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium without a window; tests that need one are skipped where it or playwright is missing."""
    place = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if place is None:
        pytest.skip("no Chromium here, so no page is opened: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="no playwright here: make setup installs it")
    with api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=place, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of recorded market data; tests that need it are skipped where there is none."""
    named = os.environ.get("CROSSGATE_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "ohlcv").is_dir():
        pytest.skip("no recorded market data here: set CROSSGATE_DATA to a folder with ohlcv/, funding/ and mark/")
    return folder


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the file names of the shipped configs, which hold 100 days of demo candles and moods."""
    folder = tmp_path_factory.mktemp("store")
    market = demo_market(seed=11, bars=2400)
    assert market.mark is not None
    assert market.funding is not None
    tables = {
        "ohlcv/binance_um_BTCUSDT_1h": market.candles.frame(),
        "mark/binance_um_BTCUSDT_mark_8h": market.mark.frame().drop(columns="volume"),
        "funding/binance_um_BTCUSDT_funding": pd.DataFrame(
            {
                "timestamp": pd.to_datetime(market.funding.timestamp, utc=True),
                "funding_rate": market.funding.rate,
            }
        ),
    }
    for name in ("ohlcv/binance_um_BTCUSDT_30m", "ohlcv/binance_um_BNBUSDT_30m"):
        tables[name] = tables["ohlcv/binance_um_BTCUSDT_1h"]
    tables["funding/binance_um_BNBUSDT_funding"] = tables["funding/binance_um_BTCUSDT_funding"]
    for name, table in tables.items():
        path = folder / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        table.to_parquet(path, index=False)
    (folder / "sentiment").mkdir()
    days = pd.date_range("2021-12-30", "2022-04-11", freq="D")
    index = pd.DataFrame({"date": days, "fng": 50 + np.arange(len(days)) % 40})
    index.to_csv(folder / "sentiment" / "fear_greed_daily.csv", index=False)
    times = pd.date_range("2021-12-30 00:00", "2022-04-11", freq="17h")
    items = pd.DataFrame({"Date": times, "Sentiment": np.sin(np.arange(len(times)))})
    items.to_csv(folder / "sentiment" / "bitcoin_news_finbert_items.csv", index=False, date_format="%Y-%m-%d %H:%M:%S")
    write_messages(folder / "l2" / "binance_um_btcusdt_20240808.jsonl.gz", messages(344)[0])
    return folder
