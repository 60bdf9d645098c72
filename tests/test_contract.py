"""The contract registry, and what a contract may say."""

import re

import pytest

from foundation.errors import ParameterError
from foundation.units import Quantity
from markets.contract import Contract, find_contract, registry

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "BNBUSDT", "ADAUSDT")
FIGURES = {"venue": "own", "symbol": "ABCUSDT", "tick": 0.1, "lot": 0.001, "taker_fee": 0.0005, "maker_fee": 0.0002}


def test_the_registry_holds_the_contracts_it_says() -> None:
    """Seven Binance USD-M perpetuals come with crossgate."""
    assert set(registry()) == {f"binance_usdm:{symbol}" for symbol in SYMBOLS}


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_every_registered_contract_says_where_its_figures_come_from(symbol: str) -> None:
    """Each contract has a source in words and a day, and figures a venue could have."""
    contract = find_contract(f"binance_usdm:{symbol}")
    assert len(contract.source) > 40
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", contract.date)
    assert (contract.taker_fee, contract.maker_fee) == (0.0005, 0.0002)
    assert contract.funding_interval == Quantity(8.0, "h")
    assert contract.minimum_notional >= 5
    assert contract.minimum_quantity >= contract.lot
    assert 0 < contract.liquidation_fee < 0.05


def test_recorded_figures_are_kept() -> None:
    """The figures that were recorded from the venue stand in the registry as they were recorded."""
    btc, eth = find_contract("binance_usdm:BTCUSDT"), find_contract("binance_usdm:ETHUSDT")
    assert (btc.tick, btc.lot, btc.minimum_notional, btc.liquidation_fee) == (0.1, 0.001, 10.0, 0.012)
    assert (eth.tick, eth.minimum_quantity, eth.minimum_notional, eth.liquidation_fee) == (0.01, 0.001, 10.0, 0.03)
    brackets = {symbol: find_contract(f"binance_usdm:{symbol}") for symbol in SYMBOLS}
    rates = {symbol: (contract.maintenance_rate, contract.maximum_leverage) for symbol, contract in brackets.items()}
    assert rates["BTCUSDT"] == rates["ETHUSDT"] == (0.004, 125.0)
    assert rates["SOLUSDT"] == (0.005, 100.0)
    assert rates["XRPUSDT"] == rates["DOGEUSDT"] == rates["BNBUSDT"] == rates["ADAUSDT"] == (0.005, 75.0)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_maintenance_margin_is_below_the_initial_margin(symbol: str) -> None:
    """At its highest leverage a position does not open already liquidated."""
    contract = find_contract(f"binance_usdm:{symbol}")
    assert contract.maintenance_rate < 1 / contract.maximum_leverage


def test_a_typo_in_a_key_gets_a_suggestion() -> None:
    """An unknown key names itself, the nearest registered one and the way round the registry."""
    with pytest.raises(ParameterError, match=r'market\.contract = .*did you mean "binance_usdm:BTCUSDT"\?; any other'):
        find_contract("binance_usdm:BTCUSD")


def test_a_strange_key_lists_the_registry() -> None:
    """A key near to none shows them all."""
    with pytest.raises(ParameterError, match=r"known: binance_usdm:ADAUSDT, .*XRPUSDT"):
        find_contract("x")


def test_an_own_contract_needs_no_registry() -> None:
    """A contract can be written out; what it leaves out has a default, and its key is venue:symbol."""
    contract = Contract(**FIGURES, maintenance_rate=0.01)
    assert contract.key == "own:ABCUSDT"
    assert (contract.kind, contract.minimum_notional, contract.liquidation_fee) == ("linear", 0.0, 0.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tick", 0.0),
        ("lot", -1.0),
        ("taker_fee", 0.5),
        ("maintenance_rate", 0.0),
        ("maintenance_rate", 1.0),
        ("maximum_leverage", 0.5),
        ("liquidation_fee", 1.0),
        ("minimum_notional", -1.0),
        ("kind", "quanto"),
        ("face", 0.0),
        ("method", "kraken"),
        ("maximum_market_quantity", 0.0),
        ("funding_interval", "8"),
        ("tick", "0.1"),
        ("tick", float("nan")),
    ],
)
def test_a_wrong_figure_is_named(name: str, value: object) -> None:
    """A figure out of its range, of the wrong type or without its unit names its key and value in one line."""
    with pytest.raises(ParameterError, match=rf"^contract\.{name} = ") as caught:
        Contract(**{**FIGURES, "maintenance_rate": 0.01, name: value})
    assert "\n" not in str(caught.value)


def test_a_missing_figure_and_an_unknown_one_are_named() -> None:
    """What has no default must be written, and what is not known is refused with a suggestion."""
    with pytest.raises(ParameterError, match=r"contract\.maintenance_rate: is missing; a fraction"):
        Contract(**FIGURES)
    with pytest.raises(ParameterError, match=r'contract\.ticks = .*did you mean "tick"\?'):
        Contract(**FIGURES, maintenance_rate=0.01, ticks=1)


def test_a_contract_survives_its_written_form() -> None:
    """A contract written out as plain values and read back is the same contract."""
    contract = find_contract("binance_usdm:SOLUSDT")
    assert Contract(**contract.model_dump(mode="json")) == contract
