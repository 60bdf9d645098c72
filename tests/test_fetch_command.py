"""`crossgate data fetch`, and the contracts it brings: what is printed, and what a run makes of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from fetch_desk import NOW, connection, expected, same, stored, truth
from venue_server import Served, serving
from venue_truth import DAY

from crossgate import data_commands
from crossgate.command_line import main
from crossgate.config import load_config
from foundation.errors import DataError, ParameterError
from markets.contract import find_contract
from markets.contract_book import book_path, find_traded, latest_contract, read_book, write_contract
from markets.store import load_market


def run(served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command prints on standard output."""
    monkeypatch.setattr(data_commands, "_connection", lambda: connection(served))
    monkeypatch.setattr(sys, "argv", ["crossgate", "data", "fetch", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code == 0, printed.err
    return printed.out


def refused(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error with which the command ends."""
    monkeypatch.setattr(sys, "argv", ["crossgate", "data", "fetch", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.strip()


def test_one_command_brings_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Candles, mark prices, funding and the contract come with one command, each with its span on one line."""
    with serving(truth()) as served:
        words = ("binance_usdm:BTCUSDT", "--bar", "1h", "--since", "2023-01-01", "--out", str(tmp_path))
        printed = run(served, monkeypatch, capsys, *words)
        for kind in ("candles", "mark", "funding"):
            assert same(stored(tmp_path, kind=kind), expected(served.truth, kind=kind))
    assert "candles: new, 1,440 rows, 1,440 of them new, 2023-01-01 00:00 to 2023-03-01 23:00 UTC" in printed
    assert "contract: new" in printed
    assert "tiers: left out" in printed


def test_the_answer_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --json standard output is one object; --only and --until choose."""
    with serving(truth()) as served:
        words = ("bybit_linear:BTCUSDT", "--since", "2023-02-01", "--until", "2023-02-02", "--out", str(tmp_path))
        record = json.loads(run(served, monkeypatch, capsys, *words, "--only", "candles,funding", "--json"))
    assert record["symbol"] == "bybit_linear:BTCUSDT"
    parts = {one["part"]: one for one in record["fetched"]}
    assert parts.keys() == {"candles", "funding"}
    assert (parts["candles"]["rows"], parts["funding"]["rows"]) == (24, 3)


def test_without_ccxt_one_line_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The extra is named, and nothing is written."""
    monkeypatch.setitem(sys.modules, "ccxt", None)
    told = refused(["okx:BTC-USDT-SWAP", "--since", "2023-01-01", "--out", str(tmp_path)], monkeypatch, capsys)
    assert told == (
        "crossgate: data fetch: needs ccxt, which is not installed; "
        "pip install '.[data]' in the folder of crossgate, which brings ccxt"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_venue_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typo in the venue gets a suggestion before any request."""
    told = refused(["binance_usd:BTCUSDT", "--since", "2023-01-01"], monkeypatch, capsys)
    assert told == "crossgate: venue = 'binance_usd': cannot be fetched from; did you mean \"binance_usdm\"?"


def fetched(folder: Path, name: str = "binance_usdm:XYZUSDT", **changes: Any) -> None:
    """A data folder with one fetched contract in it."""
    from markets.fetching.fetching import fetch_market

    with serving(truth(**changes)) as served:
        reach = connection(served, key="key", secret="secret")
        fetch_market(name, "1h", out=folder, only=["contract", "tiers"], connection=reach)


def test_a_fetched_contract_is_that_of_the_run(tmp_path: Path, small_store: Path) -> None:
    """A symbol that was never registered trades with the venue's filters, brackets, fees, source and date."""
    fetched(tmp_path)
    candles = small_store / "ohlcv" / "binance_um_BTCUSDT_1h.parquet"
    market = load_market("binance_usdm:XYZUSDT", candles, data=tmp_path)
    contract = market.contract
    assert (contract.tick, contract.lot, contract.minimum_notional) == (0.01, 0.1, 5.0)
    assert (contract.maintenance_rate, contract.maximum_leverage) == (0.004, 125.0)
    assert (contract.maximum_market_quantity, len(contract.tiers), contract.tiers_date) == (120.0, 3, "2023-03-02")
    assert contract.date == "2023-03-02"
    assert contract.source.startswith("fetched from binance_usdm, fees of a regular user")
    with pytest.raises(ParameterError, match=r"any other contract: fetch it with crossgate data fetch"):
        find_contract("binance_usdm:XYZUSDT")


def test_a_config_holds_the_figures_of_a_fetched_contract(tmp_path: Path) -> None:
    """The config names the contract; its record holds the figures, so that a run can be repeated without the folder."""
    fetched(tmp_path)
    path = tmp_path / "run.toml"
    path.write_text('[market]\ncontract = "binance_usdm:XYZUSDT"\ncandles = "c.parquet"\n', "utf-8")
    config = load_config(path, (), tmp_path)
    assert config.record()["market"]["contract"]["date"] == "2023-03-02"
    with pytest.raises(ParameterError, match="is not a registered contract"):
        load_config(path, (), tmp_path / "elsewhere")


def test_a_fetched_contract_goes_before_the_registered_one(tmp_path: Path) -> None:
    """Whoever fetches a contract trades by what the venue says; what it does not say is that of the registered one."""
    from markets.fetching.fetching import fetch_market

    with serving(truth()) as served:
        reach = connection(served)
        fetch_market("binance_usdm:BTCUSDT", "1h", out=tmp_path, only=["contract"], connection=reach)
    contract = find_traded(tmp_path, "binance_usdm:BTCUSDT")
    registered = find_contract("binance_usdm:BTCUSDT")
    assert (contract.minimum_notional, registered.minimum_notional) == (100.0, 10.0)
    assert contract.maintenance_rate == registered.maintenance_rate
    assert "maintenance_rate, maximum_leverage, funding_interval as in: filters and liquidation" in contract.source
    assert find_traded(tmp_path / "empty", "binance_usdm:BTCUSDT") == registered


def test_a_book_keeps_the_days_on_which_figures_changed(tmp_path: Path) -> None:
    """The same figures on a later day add nothing; other figures add a table; those of the same day give way."""
    contract = find_contract("binance_usdm:BTCUSDT")
    first = contract.replaced(date="2024-01-01")
    assert write_contract(tmp_path, first)
    assert not write_contract(tmp_path, contract.replaced(date="2024-02-01"))
    assert write_contract(tmp_path, contract.replaced(date="2024-03-01", tick=0.5))
    assert write_contract(tmp_path, contract.replaced(date="2024-03-01", tick=0.25))
    book = read_book(tmp_path, "binance_usdm", "BTCUSDT")
    assert [(one.date, one.tick) for one in book] == [("2024-01-01", 0.1), ("2024-03-01", 0.25)]
    assert latest_contract(tmp_path, "binance_usdm:BTCUSDT") == book[-1]


def test_a_damaged_book_is_named(tmp_path: Path) -> None:
    """A book that cannot be read is one line with the file and the way out."""
    path = book_path(tmp_path, "binance_usdm", "BTCUSDT")
    path.parent.mkdir()
    for text in ("[[contract]]\nvenue = 3\n", "nonsense", "other = 1\n"):
        path.write_text(text, "utf-8")
        with pytest.raises(DataError, match=r"binance_usdm_BTCUSDT.toml: is no book of contracts"):
            latest_contract(tmp_path, "binance_usdm:BTCUSDT")
    assert latest_contract(tmp_path, "../binance_usdm:BTCUSDT") is None


@pytest.mark.parametrize(
    ("name", "lot", "tick"),
    [
        ("okx:BTC-USDT-SWAP", 0.0001, 0.1),
        ("gate:BTC_USDT", 0.0001, 0.1),
        ("bitget:BTCUSDT", 0.001, 0.1),
        ("bybit_linear:BTCUSDT", 0.001, 0.1),
        ("bitmex:XBTUSDT", 0.001, 0.1),
        ("bitmex:XBTUSD", 100.0, 0.1),
        ("binance_coinm:BTCUSD_PERP", 100.0, 0.1),
        ("bybit_inverse:BTCUSD", 1.0, 0.1),
        ("okx:BTC-USD-SWAP", 10.0, 0.1),
    ],
)
def test_lots_are_in_units(name: str, lot: float, tick: float, tmp_path: Path) -> None:
    """OKX, Gate and Binance COIN-M count contracts, BitMEX millionths: lots are coins, or USD if inverse."""
    from markets.fetching.fetching import fetch_market

    with serving(truth()) as served:
        only = ["contract"] if name.startswith(("bitmex", "binance")) else ["tiers", "contract"]
        fetch_market(name, "1h", out=tmp_path, only=only, connection=connection(served))
    contract = find_traded(tmp_path, name)
    assert (contract.lot, contract.tick) == (lot, tick)
    assert contract.kind == ("inverse" if lot >= 1.0 else "linear")
    assert len(contract.tiers) == (2 if "tiers" in only else 0)
    assert str(contract.funding_interval) == "8h"


def test_contracts_get_their_day_from_the_venue(tmp_path: Path) -> None:
    """The date of a contract is that of the venue's clock."""
    fetched(tmp_path, now=NOW + 10 * DAY)
    assert find_traded(tmp_path, "binance_usdm:XYZUSDT").date == "2023-03-12"
