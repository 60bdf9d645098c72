"""The market store: what it reads, and how it refuses each kind of damage."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from store_factory import BARS, BTC, COLUMNS, load, refusal, table, write_store

from foundation.errors import CrossgateError, DataError, ParameterError
from markets.contract import Contract, find_contract
from markets.store import load_market, resolve_data_folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A data folder with candles, mark and funding of one contract."""
    return write_store(tmp_path)


def test_a_market_is_what_its_files_say(store: Path) -> None:
    """Every value of candles, mark and funding is the one in the files; nothing is synthetic."""
    market, truth = load(store), table()
    assert market.candles.timestamp.tolist() == truth["timestamp"].dt.as_unit("ns").astype("int64").tolist()
    for name in COLUMNS[1:]:
        assert np.array_equal(getattr(market.candles, name), truth[name].to_numpy())
    assert market.candles.bar == 3_600_000_000_000
    assert market.mark is not None
    assert np.array_equal(market.mark.high, truth["high"].to_numpy())
    assert market.funding is not None
    assert market.funding.rate.tolist() == pytest.approx([0, 1e-4, 2e-4, 3e-4, 4e-4, 5e-4])
    assert market.funding.timestamp[1] - market.funding.timestamp[0] == 8 * market.candles.bar
    assert not market.synthetic
    assert market.oracle is None
    assert market.contract == find_contract(BTC)


def test_mark_and_funding_can_be_left_out(store: Path) -> None:
    """A market needs candles only."""
    market = load(store, mark=None, funding=None)
    assert market.mark is None
    assert market.funding is None


def test_an_own_contract_is_taken_as_it_is(store: Path) -> None:
    """A Contract stands in for a registered key."""
    own = find_contract(BTC).replaced(venue="own", tick=0.5)
    assert isinstance(own, Contract)
    assert load_market(own, store / "ohlcv" / "btc_1h.parquet").contract == own


def test_an_unknown_contract_gets_a_suggestion(store: Path) -> None:
    """A typo in the key is found before any file is read."""
    with pytest.raises(ParameterError, match=r'did you mean "binance_usdm:BTCUSDT"\?'):
        load_market("binance_usdm:BTCUSD", "none.parquet")


def test_the_data_folder_is_the_argument_else_the_variable_else_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """`data` comes before $CROSSGATE_DATA, which comes before ./data; ~ is the home folder."""
    monkeypatch.setenv("CROSSGATE_DATA", "/from/variable")
    assert resolve_data_folder("/from/argument") == Path("/from/argument")
    assert resolve_data_folder() == Path("/from/variable")
    monkeypatch.setenv("CROSSGATE_DATA", "~/store")
    assert resolve_data_folder() == Path.home() / "store"
    monkeypatch.delenv("CROSSGATE_DATA")
    assert resolve_data_folder() == Path("data")


def test_paths_start_from_the_data_folder_unless_absolute(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is found below the data folder, an absolute one wherever it points."""
    monkeypatch.setenv("CROSSGATE_DATA", str(store))
    relative = load_market(BTC, "ohlcv/btc_1h.parquet")
    absolute = load_market(BTC, store / "ohlcv" / "btc_1h.parquet", data="/nowhere")
    assert relative.fingerprint == absolute.fingerprint


@pytest.mark.parametrize(
    ("start", "end", "first", "bars"),
    [
        ("2022-01-02", None, 24, 24),
        (None, "2022-01-02", 0, 24),
        ("2022-01-01 06:00", "2022-01-01T08:00:00Z", 6, 2),
        ("2022-01-01T08:00:00+02:00", "2022-01-01 09:30", 6, 4),
        ("2022-01-01 05:30", "2022-01-01 06:30", 6, 1),
    ],
)
def test_a_span_holds_its_start_and_not_its_end(
    store: Path, start: str | None, end: str | None, first: int, bars: int
) -> None:
    """Candles open at or after start and before end, UTC unless the text names a zone; a span may hold one bar."""
    market = load(store, start=start, end=end)
    assert len(market.candles) == bars
    assert market.candles.open[0] == table()["open"][first]
    assert market.candles.bar == 3_600_000_000_000


@pytest.mark.parametrize(
    ("span", "words"),
    [
        ({"start": "January"}, r"^market\.start = 'January': is not a day or a time; a UTC day"),
        ({"end": "2022-13-01"}, r"^market\.end = '2022-13-01': is not a day"),
        ({"start": "2022-01-02", "end": "2022-01-02"}, r"^market\.end = .*should be later than market\.start"),
        (
            {"start": "2023-01-01"},
            r"no bar in the chosen span; it holds 2022-01-01 00:00 to 2022-01-02 23:00 UTC; move",
        ),
    ],
)
def test_a_wrong_span_is_named(store: Path, span: dict[str, str], words: str) -> None:
    """A text that is no time, a span that ends before it begins, and one without bars are refused."""
    with pytest.raises(CrossgateError, match=words):
        load(store, **span)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_stamps_of_every_unit_mean_the_same(store: Path, unit: str) -> None:
    """Seconds, milliseconds, microseconds and nanoseconds are read to the same instants."""
    path = store / "unit.parquet"
    frame = table()
    schema = pa.schema([("timestamp", pa.timestamp(unit, tz="UTC")), *((name, pa.float64()) for name in COLUMNS[1:])])
    pq.write_table(pa.Table.from_pandas(frame, schema=schema), path)
    assert load_market(BTC, path).fingerprint == load(store, mark=None, funding=None).fingerprint


def test_another_time_zone_means_the_same_instants(store: Path) -> None:
    """Stamps with a zone other than UTC are instants all the same."""
    path = store / "tokyo.parquet"
    frame = table()
    frame["timestamp"] = frame["timestamp"].dt.tz_convert("Asia/Tokyo")
    frame.to_parquet(path)
    assert load_market(BTC, path).fingerprint == load(store, mark=None, funding=None).fingerprint


@pytest.mark.parametrize(("bar", "minutes"), [("1min", 1), ("5min", 5), ("15min", 15), ("4h", 240), ("1D", 1440)])
def test_the_bar_length_is_read_off_the_stamps(tmp_path: Path, bar: str, minutes: int) -> None:
    """Nobody says how long a bar is: the stamps do."""
    path = tmp_path / "bars.parquet"
    table(bar=bar).to_parquet(path)
    assert load_market(BTC, path).candles.bar == minutes * 60_000_000_000


def test_stamps_may_be_the_index_and_further_columns_are_not_read(tmp_path: Path) -> None:
    """A table saved with its stamps as the index, integer volume and columns of its own is read as it is."""
    path = tmp_path / "index.parquet"
    frame = table().assign(volume=7, trades=list(range(BARS)), note=[[1, 2]] * BARS).set_index("timestamp")
    frame.to_parquet(path)
    assert load_market(BTC, path).candles.volume.tolist() == [7.0] * BARS


def test_a_missing_file_suggests_its_neighbours(store: Path) -> None:
    """A path that leads to nothing names the files there that are spelt alike."""
    text = refusal(store / "ohlcv" / "btc_1.parquet")
    assert text == f"there is no such file; {store / 'ohlcv'} holds btc_1h.parquet"


def test_a_missing_folder_names_the_ways_to_set_it(tmp_path: Path) -> None:
    """Without the data folder itself, the refusal says how to name it."""
    text = refusal(tmp_path / "none" / "btc.parquet")
    assert "the folder" in text
    assert "--data DIR or $CROSSGATE_DATA" in text


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    """In a folder without files there is nothing to suggest."""
    assert "is empty" in refusal(tmp_path / "btc.parquet")


def test_a_path_from_the_working_folder_is_explained(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that leads somewhere from here, but not from the data folder, says from where paths start."""
    monkeypatch.chdir(store)
    monkeypatch.delenv("CROSSGATE_DATA", raising=False)
    with pytest.raises(
        DataError, match=r"though there is ohlcv/btc_1h\.parquet from here; paths start from the data folder data"
    ):
        load_market(BTC, "ohlcv/btc_1h.parquet")


def test_bars_stamped_at_their_closes_are_refused(store: Path) -> None:
    """Hours stamped at 00:59:59 are refused, as each would begin where it ended."""
    late = table().assign(timestamp=table()["timestamp"] + pd.Timedelta(minutes=59, seconds=59))
    late.to_parquet(store / "late.parquet", index=False)
    assert refusal(store / "late.parquet").startswith(
        "its bars open beside the 1h grid of UTC, as closes do, the first"
    )


def test_a_folder_is_no_file(store: Path) -> None:
    """The folder of a file is refused as such."""
    assert refusal(store / "ohlcv").startswith("is a folder, not a file")


def test_real_candles_load_whole(data_folder: Path) -> None:
    """The 42,175 real BTCUSDT bars load with all 5,267 settlements and a mark price for each bar."""
    paths = [
        f"{kind}/binance_um_BTCUSDT_{name}.parquet"
        for kind, name in (("ohlcv", "1h"), ("mark", "mark_8h"), ("funding", "funding"))
    ]
    market = load_market(BTC, *paths, data=data_folder)
    assert len(market.candles) == 42_175
    assert market.funding is not None
    assert len(market.funding) == 5_267
    assert market.mark_bars()[1].all(), "an 8h mark cannot say what happened inside an hour"


def test_every_real_file_in_the_store_layout_loads(data_folder: Path) -> None:
    """The candles, mark and funding of every Binance perpetual in the store are whole."""
    for path in sorted((data_folder / "ohlcv").glob("binance_um_*.parquet")):
        symbol = path.stem.split("_")[2]
        mark, funding = (
            f"{kind}/binance_um_{symbol}_{name}.parquet" for kind, name in (("mark", "mark_8h"), ("funding", "funding"))
        )
        market = load_market(f"binance_usdm:{symbol}", path, mark, funding, data=data_folder)
        ticks = market.candles.close[-5000:] / market.contract.tick
        assert np.allclose(ticks, np.round(ticks), atol=1e-4, rtol=0), f"{symbol} closes on its tick"
        at_open, inside = market.funding_bars()
        assert np.count_nonzero(at_open) > 200, f"{symbol} pays funding"
        assert not inside.any()
