"""The contract registry, and what a contract may say."""

import re

import pytest

from foundation.errors import ParameterError
from foundation.units import Quantity
from markets.contract import Contract, find_contract, registry, shipped_tiers

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "BNBUSDT", "ADAUSDT")
OTHERS = {
    "binance_coinm:BTCUSD_PERP": ("inverse", "binance", 100.0),
    "binance_coinm:ETHUSD_PERP": ("inverse", "binance", 10.0),
    "bybit:BTCUSDT": ("linear", "bybit", 1.0),
    "bybit:BTCUSD": ("inverse", "bybit", 1.0),
    "bitmex:XBTUSD": ("inverse", "bitmex", 1.0),
    "okx:BTC-USDT-SWAP": ("linear", "closing_fee", 0.01),
    "gate:BTC_USDT": ("linear", "closing_fee", 0.0001),
    "bitget:BTCUSDT": ("linear", "closing_fee", 1.0),
    "bingx:BTC-USDT": ("linear", "closing_fee", 1.0),
}
FIGURES = {"venue": "own", "symbol": "ABCUSDT", "tick": 0.1, "lot": 0.001, "taker_fee": 0.0005, "maker_fee": 0.0002}


def test_the_registry_holds_the_contracts_it_says() -> None:
    """Seven Binance USD-M perpetuals come with crossgate, and one or two contracts of seven other venues."""
    assert set(registry()) == {f"binance_usdm:{symbol}" for symbol in SYMBOLS} | set(OTHERS)


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


@pytest.mark.parametrize("key", sorted(OTHERS))
def test_every_venue_has_its_way(key: str) -> None:
    """Kind, way with the closing fee and face of each venue's contract; figures with a source and a day."""
    contract = find_contract(key)
    assert (contract.kind, contract.method, contract.face) == OTHERS[key]
    assert contract.settlement == ("USDT" if contract.kind == "linear" else contract.symbol[:3])
    assert len(contract.source) > 40
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", contract.date)
    assert contract.maintenance_rate < 1 / contract.maximum_leverage
    assert contract.minimum_quantity >= contract.lot


def test_brackets_have_a_day() -> None:
    """The newest brackets count unless another day is asked for; before the first there are none."""
    newest = find_contract("binance_usdm:BTCUSDT")
    older = find_contract("binance_usdm:BTCUSDT", "2021-12-31")
    assert (newest.tiers_date, older.tiers_date) == ("2024-10-24", "2021-03-18")
    assert (len(newest.tiers), newest.tiers[0].leverage) == (12, 125.0)
    assert newest.margin_tiers.maximum_leverage(50_000.0) == 125.0
    assert newest.margin_tiers.maximum_leverage(50_000.01) == 100.0
    assert newest.margin_tiers.maintenance_margin(1e6) == pytest.approx(1e6 * 0.0065 - 950.0)
    with pytest.raises(ParameterError, match=r"before the first margin tiers of binance_usdm:BTCUSDT; from 2021-03-18"):
        find_contract("binance_usdm:BTCUSDT", "2020-01-01")


@pytest.mark.parametrize("key", sorted({*OTHERS, *(f"binance_usdm:{symbol}" for symbol in SYMBOLS)}))
def test_maintenance_is_continuous_at_every_edge(key: str) -> None:
    """From one bracket to the next the maintenance margin has no jump, in every table that ships."""
    for tiers in [table for table in shipped_tiers() if table.symbol == key] or [find_contract(key).margin_tiers]:
        for floor in tiers.floors[1:]:
            below, above = tiers.maintenance_margin(floor), tiers.maintenance_margin(floor * (1 + 1e-12))
            assert above == pytest.approx(below, rel=1e-9)


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
    with pytest.raises(ParameterError, match=r"known: binance_coinm:BTCUSD_PERP, .*binance_usdm:XRPUSDT"):
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
