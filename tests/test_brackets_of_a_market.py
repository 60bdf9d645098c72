"""Margin brackets of a market: shipped ones, those of a file in the data folder, those of a day."""

from __future__ import annotations

from pathlib import Path

import pytest
from simple_market import contract
from store_factory import BTC, load, write_store

from foundation.errors import ParameterError
from markets.market import Market
from markets.store import load_market

HEADER = "symbol,vintage,notional_floor,notional_cap,maint_margin_rate,max_leverage"
ROWS = (
    "BTC/USDT:USDT,2021-01-01,0,1000,0.01,50",
    "BTC/USDT:USDT,2022-01-01,0,1000,0.02,25",
    "BTC/USDT:USDT,2022-01-01,1000,9000,0.04,10",
    "ETH/USDT:USDT,2022-01-01,0,1000,0.05,10",
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A data folder with a file of brackets."""
    (tmp_path / "margin").mkdir()
    (tmp_path / "margin" / "own.csv").write_text("\n".join((HEADER, *ROWS)) + "\n")
    return write_store(tmp_path)


def brackets(market: Market) -> list[tuple[float, float]]:
    """Rate and highest leverage of each bracket."""
    return [(row.rate, row.leverage) for row in market.contract.tiers]


def test_a_registered_contract_brings_its_newest_brackets(store: Path) -> None:
    """Twelve brackets of 2024 without being asked, ten of 2021 when that year is."""
    assert (len(brackets(load(store))), load(store).contract.tiers_date) == (12, "2024-10-24")
    assert (len(brackets(load(store, tiers_date="2021-06-30")))) == 10


def test_a_file_in_the_data_folder_takes_their_place(store: Path) -> None:
    """The newest table of the symbol, or the one of a day; the figures of its lowest bracket become the contract's."""
    assert brackets(load(store, tiers="margin/own.csv")) == [(0.02, 25.0), (0.04, 10.0)]
    older = load(store, tiers="margin/own.csv", tiers_date="2021-12-31")
    assert brackets(older) == [(0.01, 50.0)]
    assert (older.contract.maintenance_rate, older.contract.maximum_leverage) == (0.01, 50.0)
    with pytest.raises(ParameterError, match=r"before the first margin tiers"):
        load(store, tiers="margin/own.csv", tiers_date="2020-12-31")


def test_what_is_missing_is_named(store: Path) -> None:
    """A file without the symbol, and a day without a table, are refused in one line."""
    own = contract("SOLUSDT")
    with pytest.raises(ParameterError, match=r"tiers = .*holds no brackets of SOLUSDT"):
        load_market(own, "ohlcv/btc_1h.parquet", data=store, tiers="margin/own.csv")
    with pytest.raises(ParameterError, match=r"tiers_date = .*needs a file of brackets"):
        load_market(own, "ohlcv/btc_1h.parquet", data=store, tiers_date="2022-01-01")
    assert load_market(BTC, "ohlcv/btc_1h.parquet", data=store).contract.key == BTC


def test_recorded_brackets_are_those_that_ship(data_folder: Path) -> None:
    """The recorded table of 2024-10-24 and the shipped one of that day are the same, symbol by symbol."""
    from markets.contract import shipped_tiers
    from markets.tiers import read_margin_tiers

    path = data_folder / "margin" / "binance_um_leverage_tiers.csv"
    if not path.is_file():
        pytest.skip(f"no recorded brackets at {path}")
    shipped = {one.symbol: one for one in shipped_tiers() if one.date == "2024-10-24"}
    for table in read_margin_tiers(path):
        own = shipped["binance_usdm:" + table.symbol.split(":")[0].replace("/", "")]
        for name in ("floors", "caps", "rates", "leverages", "amounts"):
            assert getattr(own, name).tolist() == pytest.approx(getattr(table, name).tolist()), table.symbol
