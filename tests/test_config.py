"""Config: what may be written, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossgate.config import DEMO_CONFIG, Config, build_config, load_config
from crossgate.tables import DemoParams, MarketParams
from foundation.errors import CrossgateError, ParameterError
from foundation.units import Quantity

CONFIGS = sorted(DEMO_CONFIG.parent.glob("*.toml"))
CONTRACT = {
    "venue": "here", "symbol": "ABCUSDT", "tick": 0.1, "lot": 0.001, "taker_fee": 0.0005, "maker_fee": 0.0002,
    "maintenance_rate": 0.004, "maximum_leverage": 20,
}  # fmt: skip


def test_every_key_of_the_example_is_read() -> None:
    """btcusdt_1h.toml holds the values it is documented with."""
    config = load_config(DEMO_CONFIG.with_name("btcusdt_1h.toml"))
    assert (config.run.name, config.run.seed) == ("btcusdt-1h", 7)
    market = config.market[0]
    assert isinstance(market, MarketParams)
    assert market.contract == "binance_usdm:BTCUSDT"
    assert market.candles == "ohlcv/binance_um_BTCUSDT_1h.parquet"
    assert config.features.columns == ("return:1", "ema_distance:20", "rsi:14", "atr:14", "vwap_distance:24")
    assert config.model.hidden == 16
    assert (config.walk_forward.scheme, config.walk_forward.seeds) == ("expanding", 3)
    assert (config.walk_forward.train, config.walk_forward.test) == (Quantity(720, "d"), Quantity(90, "d"))
    assert (config.strategy.fast, config.strategy.slow, config.strategy.threshold) == (20, 50, Quantity(1, "cost"))
    assert (config.risk.leverage, config.risk.risk_per_trade) == (3.0, 0.01)
    assert (config.risk.stop_loss, config.risk.take_profit) == (Quantity(2, "atr"), Quantity(4, "atr"))
    assert (config.account.cash, config.account.intrabar, config.costs.slippage_bps) == (10_000.0, "adverse", 1.0)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_record_reads_back_as_the_same_config(path: Path) -> None:
    """What a run folder keeps of its config is that config, whole."""
    config = load_config(path)
    assert build_config(config.record()) == config


def test_what_is_switched_off_stays_off_in_a_record() -> None:
    """An exit that has a default is not on again when the run is played from its folder."""
    config = load_config(DEMO_CONFIG, ["risk.sizing=leverage", "risk.stop_loss=off", "risk.take_profit=off"])
    read = build_config(config.record())
    assert (read.risk.stop_loss, read.risk.take_profit) == (None, None)
    assert read == config


def test_without_tables_the_demo_market_is_traded() -> None:
    """An empty config is a valid one: defaults on the synthetic market."""
    assert build_config({}) == Config()
    assert isinstance(Config().market[0], DemoParams)


def test_overrides_are_read_as_toml_else_as_text() -> None:
    """`--set` takes numbers, lists, days and bare text such as 2% alike."""
    texts = ["risk.stop_loss=2%", 'risk.take_profit="off"', "run.seed=3", "features.columns=['return:2']"]
    config = load_config(DEMO_CONFIG, texts)
    assert config.risk.stop_loss == Quantity(2, "%")
    assert config.risk.take_profit is None
    assert config.run.seed == 3
    assert config.features.columns == ("return:2",)


def test_the_last_override_of_a_key_wins() -> None:
    """Overrides are applied in the order in which they stand."""
    assert load_config(DEMO_CONFIG, ["run.seed=3", "run.seed=4"]).run.seed == 4


def test_days_and_times_become_utc() -> None:
    """A TOML day, a local text and a time with an offset are all kept as UTC."""
    path = DEMO_CONFIG.with_name("btcusdt_1h.toml")
    config = load_config(path, ["market.start=2021-01-01", "market.end=2021-03-01T12:00:00+02:00"])
    market = config.market[0]
    assert isinstance(market, MarketParams)
    assert (market.start, market.end) == ("2021-01-01 00:00:00", "2021-03-01 10:00:00")


def test_several_market_tables_make_a_portfolio() -> None:
    """Each [[market]] table is a market; an override of market counts for all of them."""
    tables = [{"contract": key, "candles": "c.parquet"} for key in ("binance_usdm:BTCUSDT", "binance_usdm:ETHUSDT")]
    config = build_config({"market": tables})
    assert [table.traded.symbol for table in config.market if isinstance(table, MarketParams)] == ["BTCUSDT", "ETHUSDT"]
    assert build_config(config.record()) == config


def test_a_contract_can_be_written_out() -> None:
    """A contract that is not registered is a table in the config, and is kept whole in the record."""
    config = build_config({"market": {"contract": CONTRACT, "candles": "c.parquet"}})
    market = config.market[0]
    assert isinstance(market, MarketParams)
    assert market.traded.key == "here:ABCUSDT"
    assert build_config(config.record()) == config


WRONG = {
    "risk.leverag=3": ("risk.leverag", 'did you mean "leverage"'),
    "risk.leverage=0": ("risk.leverage = 0", "above 0"),
    "risk.leverage=true": ("risk.leverage = True", "number"),
    'risk.leverage="3"': ("risk.leverage = '3'", "number"),
    "risk.stop_loss=2": ("risk.stop_loss = 2", '"2%"'),
    "risk.stop_loss=2atrs": ("risk.stop_loss = '2atrs'", '"2atr"'),
    "risk.stop_loss=-2%": ("risk.stop_loss = '-2%'", '"2%"'),
    "risk.stop_loss=off": ("risk.stop_loss", "risk.sizing"),
    "risk.stop_loss=100%": ("risk.stop_loss", "below 100%"),
    "strategy.slow=20": ("strategy.slow = 20", "strategy.fast"),
    "strategy.average=wma": ("strategy.average = 'wma'", '"ema" or "sma"'),
    "walk_forward.train=720": ("walk_forward.train = 720", "720d"),
    "walk_forward.seeds=0": ("walk_forward.seeds = 0", "1 to 100"),
    "features.columns=['retrun:1']": ("features.columns", 'did you mean "return"'),
    "model.hiden=16": ("model.hiden", 'did you mean "hidden"'),
    "account.cash=0": ("account.cash = 0", "above 0"),
    "account.cash=nan": ("account.cash", "finite"),
    "costs.slippage_bps=-1": ("costs.slippage_bps = -1", "0 to 1000"),
    "run.name=../x": ("run.name", "cannot name a folder"),
    "run.seed=1.5": ("run.seed = 1.5", "integer"),
    "stratgy.fast=3": ("stratgy", 'did you mean "strategy"'),
    "market.bars=10": ("market.bars = 10", "from 500"),
    "market.predictability=1": ("market.predictability = 1", "from 0"),
    "fast=3": ("--set = 'fast=3'", "table.key=value"),
    "risk.leverage": ("--set = 'risk.leverage'", "table.key=value"),
    "risk.leverage.x.y=3": ("risk.leverage.x.y", "not a table"),
}


@pytest.mark.parametrize("text", WRONG, ids=str)
def test_a_wrong_override_is_named_with_its_fix(text: str) -> None:
    """One line holds the key, the value and what may be written instead."""
    key, fix = WRONG[text]
    with pytest.raises(CrossgateError) as caught:
        load_config(DEMO_CONFIG, [text])
    message = str(caught.value)
    assert message.startswith(key)
    assert fix in message
    assert "\n" not in message


WRONG_MARKETS = {
    "unregistered contract": ({"contract": "binance_usdm:BTCUSD"}, 'did you mean "binance_usdm:BTCUSDT"'),
    "end before start": ({"start": "2022-01-01", "end": "2021-01-01"}, "market.end"),
    "not a day": ({"start": "yesterday"}, "market.start = 'yesterday'"),
    "contract without a tick": ({"contract": {**CONTRACT, "tick": 0}}, "market.contract.tick = 0"),
    "contract with a typo": ({"contract": {**CONTRACT, "lott": 1}}, 'did you mean "lot"'),
    "demo and files": ({"demo": True}, "market.contract"),
}


@pytest.mark.parametrize("case", WRONG_MARKETS)
def test_a_wrong_market_is_named_with_its_fix(case: str) -> None:
    """A market table is checked as far as it can be without its files."""
    change, words = WRONG_MARKETS[case]
    with pytest.raises(CrossgateError) as caught:
        build_config({"market": {"contract": "binance_usdm:BTCUSDT", "candles": "c.parquet", **change}})
    assert words in str(caught.value)


def test_leverage_is_held_against_the_contract() -> None:
    """A leverage that the venue does not grant is refused before anything is read."""
    market = {"contract": CONTRACT, "candles": "c.parquet"}
    assert build_config({"market": market, "risk": {"leverage": 20}}).risk.leverage == 20.0
    with pytest.raises(ParameterError, match=r"risk.leverage = 21.*here:ABCUSDT.*at most 20"):
        build_config({"market": market, "risk": {"leverage": 21}})


def test_one_contract_stands_in_one_table() -> None:
    """The same symbol twice in a portfolio is a mistake, not a larger position."""
    table = {"contract": "binance_usdm:BTCUSDT", "candles": "c.parquet"}
    with pytest.raises(ParameterError, match="two"):
        build_config({"market": [table, table]})
    with pytest.raises(ParameterError, match="two"):
        build_config({"market": [{"demo": True}, {"demo": True, "seed": 8}]})


def test_an_error_in_a_portfolio_says_which_table() -> None:
    """With several [[market]] tables the number of the wrong one is part of the message."""
    good = {"contract": "binance_usdm:BTCUSDT", "candles": "c.parquet"}
    with pytest.raises(CrossgateError, match=r"\[\[market\]\] table 2: market.bar: is missing, and market.candles too"):
        build_config({"market": [good, {"contract": "binance_usdm:ETHUSDT"}]})


def test_a_table_that_is_no_table_is_refused() -> None:
    """`risk = 3` and `market = 3` are named as what they should be."""
    with pytest.raises(ParameterError, match=r"risk = 3: should be a table"):
        build_config({"risk": 3})
    with pytest.raises(ParameterError, match=r"market: should be a table"):
        build_config({"market": 3})


def test_a_file_that_is_no_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    """A syntax error names the file and the line."""
    path = tmp_path / "bad.toml"
    path.write_text("[run]\nname = \n")
    with pytest.raises(CrossgateError, match=r"bad.toml: is not valid TOML.*line 2"):
        load_config(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CrossgateError, match=r"bad.toml: is not text"):
        load_config(path)
    with pytest.raises(CrossgateError, match="TOML file"):
        load_config(tmp_path)


def test_a_missing_file_suggests_a_near_one() -> None:
    """A typo in the path of a config is met with the config that was meant."""
    with pytest.raises(CrossgateError, match=r'there is no such config; did you mean ".*btcusdt_1h.toml"'):
        load_config(DEMO_CONFIG.with_name("btcusd_1h.toml"))
