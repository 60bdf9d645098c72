"""Order books: rebuilt exactly, whole or said not to be, and shown to a bar as known at its close."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from book_factory import BEGIN, MILLISECOND, messages, write_messages

import markets.book_series as module
from crossgate.config import load_config
from crossgate.job import load_markets, make_forecasts
from foundation.errors import DataError, ParameterError
from markets.book_files import read_recording
from markets.book_series import book_series, load_book_market, trade_candles
from markets.candles import SECOND, utc
from markets.order_book import BookUpdate, OrderBook
from models.features import parse_column
from models.inputs import input_notes

CONFIG = Path(__file__).resolve().parents[1] / "backtests" / "configs" / "order_book_1s.toml"
LAG = 100 * MILLISECOND


def recording(folder: Path, sent: list[dict[str, Any]]) -> Any:
    """The recording that some messages are read back as."""
    return read_recording(write_messages(folder / "book.jsonl", sent))


def shown(folder: Path, sent: list[dict[str, Any]], bar: int = SECOND, lag: int = LAG) -> dict[str, Any]:
    """What some messages say at each close, by column, with the closes under `time`."""
    read = recording(folder, sent)
    one = book_series(read, trade_candles(read.trades, bar, "x"), (1, 5), lag, 5 * SECOND)
    return {**one.values, "time": one.event}


def test_a_book_is_rebuilt(tmp_path: Path) -> None:
    """Updates from before the snapshot are dropped or put upon it by their ids; every later book is the true one."""
    sent, truth = messages()
    book, row = OrderBook(), 0
    for update in recording(tmp_path, sent).updates:
        book.apply(update)
        if book.whole:
            row = 2 if update.snapshot else row + 1
            assert (book.bids, book.asks) == (truth[row]["bids"], truth[row]["asks"]), row
    assert row == len(truth) - 1
    assert (book.applied, book.dropped, book.gaps, book.crossed) == (len(truth), 1, [], [])


def test_a_missing_update_is_seen(tmp_path: Path) -> None:
    """A book without one of its updates is whole no more, until the next snapshot; bars in between are not shown."""
    sent, truth = messages()
    depth = [number for number, one in enumerate(sent) if one.get("stream") == "x@depth"]
    del sent[depth[100]]
    again = truth[200]
    levels = {side: [[f"{p:.1f}", f"{q:.3f}"] for p, q in again[side].items()] for side in ("bids", "asks")}
    place = next(number for number, one in enumerate(sent) if one.get("data", {}).get("u") == again["last"]) + 1
    sent.insert(place, {"lastUpdateId": again["last"], "E": again["time"] + 1, "T": again["time"], **levels})
    read = recording(tmp_path, sent)
    one = book_series(read, trade_candles(read.trades, SECOND, "x"), (1,), LAG, 5 * SECOND)
    seconds = ((one.event - BEGIN * MILLISECOND) // SECOND).tolist()
    assert seconds == [*range(2, 11), *range(21, 30)]
    assert "1 missing update(s), the first at 2023-11-14 22:13:30" in one.notes[0]
    assert "10 of 28 bars without a whole book at their close" in one.notes[0]


def test_a_crossed_book_is_seen() -> None:
    """A bid at the ask, or an empty side, is counted with its time, and is not shown as a book."""
    book = OrderBook()
    book.apply(BookUpdate(5 * SECOND, True, [(10.0, 1.0)], [(11.0, 1.0)]))
    assert not book.crossed
    book.apply(BookUpdate(6 * SECOND, False, [(11.0, 2.0)], []))
    assert book.crossed == [6 * SECOND]
    assert book.is_crossed
    book.apply(BookUpdate(7 * SECOND, False, [(11.0, 0.0)], []))
    assert not book.is_crossed
    assert f"1 crossed book(s), the first at {utc(6 * SECOND)} UTC" in book.notes()
    book.apply(BookUpdate(8 * SECOND, False, [(10.0, 0.0)], []))
    assert book.is_crossed


def test_formulas(tmp_path: Path) -> None:
    """Spread, microprice, imbalance, slopes and flow are what their docstrings say, from the true book of a close."""
    sent, truth = messages()
    values = shown(tmp_path, sent)
    for row, time in enumerate(values["time"].tolist()):
        book = max((one for one in truth if one["time"] * MILLISECOND + LAG <= time), key=lambda one: one["last"])
        bids, asks = sorted(book["bids"].items(), reverse=True), sorted(book["asks"].items())
        (bid, bid_size), (ask, ask_size) = bids[0], asks[0]
        mid, micro = (bid + ask) / 2, (bid * ask_size + ask * bid_size) / (bid_size + ask_size)
        assert values["spread_bps"][row] == pytest.approx(1e4 * (ask - bid) / mid, rel=1e-12)
        assert values["microprice_bps"][row] == pytest.approx(1e4 * (micro - mid) / mid, abs=1e-9)
        for depth in (1, 5):
            bought, sold = sum(q for _, q in bids[:depth]), sum(q for _, q in asks[:depth])
            assert values[f"imbalance_{depth}"][row] == pytest.approx((bought - sold) / (bought + sold), abs=1e-12)
        for name, side in (("bid_slope", bids[:5]), ("ask_slope", asks[:5])):
            distance = np.array([1e4 * abs(price - mid) / mid for price, _ in side])
            held = np.cumsum([size for _, size in side])
            slope = np.linalg.lstsq(distance[:, None], held, rcond=None)[0][0]
            assert values[name][row] == pytest.approx(np.log(slope), abs=1e-9)
        trades = [one["data"] for one in sent if one.get("stream") == "x@trade"]
        inside = [one for one in trades if time - SECOND < one["T"] * MILLISECOND + LAG <= time]
        bought = sum(float(one["q"]) for one in inside if not one["m"])
        total = sum(float(one["q"]) for one in inside)
        assert values["flow"][row] == pytest.approx((2 * bought - total) / total if total else 0.0, abs=1e-9)
        assert values["trades"][row] == pytest.approx(np.log1p(len(inside)), abs=1e-12)


def later_changed(sent: list[dict[str, Any]], after: int) -> list[dict[str, Any]]:
    """The messages, with other quantities, prices and sides in all that are known after a time (ms)."""
    out = []
    for message in json.loads(json.dumps(sent)):
        body = message.get("data", message)
        if body["E"] + LAG // MILLISECOND > after and body.get("e") == "depthUpdate":
            body["b"], body["a"] = ([[p, f"{7.0 * k + 1:.3f}"] for k, (p, _) in enumerate(body[s])] for s in "ba")
        if body["E"] + LAG // MILLISECOND > after and body.get("e") == "trade":
            body["m"] = not body["m"]
        out.append(message)
    return out


def book_leaks(folder: Path, second: int) -> set[str]:
    """The columns whose values up to a second change when all messages known later do."""
    sent, _ = messages()
    before, after = shown(folder, sent), shown(folder, later_changed(sent, BEGIN + 1000 * second))
    known = before["time"] <= (BEGIN + 1000 * second) * MILLISECOND
    assert known.any()
    assert not np.array_equal(before["flow"], after["flow"]), "a disturbance that changes nothing would prove nothing"
    return {name for name in before if not np.array_equal(before[name][known], after[name][known])}


@pytest.mark.parametrize("second", [7, 16, 25])
def test_a_close_knows_no_later_message(tmp_path: Path, second: int) -> None:
    """Nothing that is known after a close changes what it was shown, in the book or in the flow."""
    assert book_leaks(tmp_path, second) == set()


def test_planted_leaks_inside_a_bar_are_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the book of the next update, a message known at once, a flow of the bar that begins at the close."""
    honest = module._states

    def early(read: Any, close: Any, depths: Any, published_after: int) -> Any:
        return honest(read, close, depths, published_after - LAG)

    monkeypatch.setattr(module, "_states", early)
    assert {"imbalance_5", "bid_slope"} <= book_leaks(tmp_path, 16)
    monkeypatch.setattr(module, "_states", honest)
    flow = module._flow
    monkeypatch.setattr(module, "_flow", lambda trades, close, bar, lag: flow(trades, close + bar, bar, lag))
    assert book_leaks(tmp_path, 16) == {"flow"}
    monkeypatch.setattr(module, "_flow", lambda trades, close, bar, lag: flow(trades, close, bar, lag - LAG))
    assert {"flow"} == set().union(*(book_leaks(tmp_path, second) for second in range(10, 20)))


def test_candles_of_trades(tmp_path: Path) -> None:
    """Whole bars only; a bar without a trade repeats the close before it and is flagged."""
    sent, _ = messages(6)
    trades = [one["data"] for one in sent if one.get("stream") == "x@trade" and (one["data"]["T"] - BEGIN) // 1000 != 3]
    kept = [one for one in sent if one.get("stream") != "x@trade" or one["data"] in trades]
    candles = trade_candles(recording(tmp_path, kept).trades, SECOND, "x")
    assert ((candles.timestamp - BEGIN * MILLISECOND) // SECOND).tolist() == [1, 2, 3, 4]
    assert candles.touched.tolist() == [False, False, True, False]
    for row, second in enumerate((1, 2, 3, 4)):
        inside = [float(one["p"]) for one in trades if (one["T"] - BEGIN) // 1000 == second]
        bar = (candles.open[row], candles.high[row], candles.low[row], candles.close[row])
        if inside:
            assert bar == (inside[0], max(inside), min(inside), inside[-1])
    assert (candles.open[2], candles.close[2], candles.volume[2]) == (candles.close[1], candles.close[1], 0.0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("17 {", "line 3 is no message it can read"),
        ('17 {"data": {"e": "kline", "E": 5}}', "line 3 .*an event 'kline'"),
        ('17 {"data": {"e": "trade", "E": 5, "T": 5, "p": "x", "q": "1", "m": true}}', "line 3 is no message"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    """A line that is cut, unknown or holds a word for a price is an error with its number."""
    sent, _ = messages(2)
    path = write_messages(tmp_path / "book.jsonl", sent)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[2:]]))
    with pytest.raises(DataError, match=said):
        read_recording(path)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """No file, one cut short, without trades, too short, or without a snapshot: each is said to be so."""
    sent, _ = messages(6)
    with pytest.raises(DataError, match="there is no such file"):
        read_recording(tmp_path / "none.jsonl")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"17 {}\n" * 999)[:30])
    with pytest.raises(DataError, match="cannot be read"):
        read_recording(tmp_path / "cut.gz")
    with pytest.raises(DataError, match="holds 61 updates of a book and 0 trades"):
        recording(tmp_path, [one for one in sent if one.get("stream") != "x@trade"])
    write_messages(tmp_path / "book.jsonl", sent)
    with pytest.raises(DataError, match="fewer than two whole bars of 1m"):
        load_book_market("binance_usdm:BTCUSDT", "book.jsonl", bar="1m", published_after="0ms", data=tmp_path)
    write_messages(tmp_path / "book.jsonl", [one for one in sent if "lastUpdateId" not in one])
    with pytest.raises(DataError, match="has no whole book at any close"):
        load_book_market("binance_usdm:BTCUSDT", "book.jsonl", published_after="0ms", data=tmp_path)
    with pytest.raises(ParameterError, match=r"market\.depths = \[0\]"):
        load_book_market("binance_usdm:BTCUSDT", "book.jsonl", published_after="0ms", depths=[0], data=tmp_path)
    with pytest.raises(ParameterError, match=r"market\.published_after: is missing"):
        load_config(CONFIG).market[0].__class__(contract="binance_usdm:BTCUSDT", order_book="x")


def test_the_clock_of_the_recorder_moves_nothing(tmp_path: Path) -> None:
    """A recorder that is 1.3 s behind leaves every value as it is, and the notes say by how much it was wrong."""
    sent, _ = messages()
    paths = [write_messages(tmp_path / f"{lag}.jsonl", sent, lag) for lag in (20, -1300)]
    markets = [load_book_market("binance_usdm:BTCUSDT", path, published_after="100ms") for path in paths]
    values = [parse_column("book.flow").compute(market) for market in markets]
    assert np.array_equal(*values, equal_nan=True)
    assert "the recorder's clock was 1.30 s behind the exchange's" in input_notes(markets[1], ["book.flow"])[0]


def test_a_recorded_book_is_whole(data_folder: Path) -> None:
    """A recorded book chains without a gap, never crosses, and has the best prices that the venue sent beside it."""
    path = data_folder / "l2" / "binance_um_btcusdt_20240808.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()[:20_000]
    sent = [json.loads(line.partition(" ")[2]).get("data", {}) for line in lines if "bookTicker" in line[:80]]
    best = sorted(sent, key=lambda one: int(one["u"]))
    ids = np.array([one["u"] for one in best])
    book, seen = OrderBook(), 0
    for update in read_recording(path).updates:
        book.apply(update)
        if book.whole and not update.snapshot and update.last <= ids[-1]:
            ticker = best[int(np.searchsorted(ids, update.last, side="right")) - 1]
            seen += 1
            assert (max(book.bids), min(book.asks)) == (float(ticker["b"]), float(ticker["a"])), update.last
    assert seen > 100
    assert (book.gaps, book.crossed) == ([], [])


def test_hyperliquid_snapshots(data_folder: Path) -> None:
    """Books of another venue, sent as snapshots without ids, are read and shown."""
    path = data_folder / "l2" / "hyperliquid_btc_20250126.jsonl.gz"
    market = load_book_market("binance_usdm:BTCUSDT", path, published_after="100ms", stale_after="1m")
    values = parse_column("book.spread_bps").compute(market)
    assert np.nanmin(values) == pytest.approx(1e4 / 105_055.5, rel=1e-3)


def test_the_config_runs_on_the_recording(data_folder: Path) -> None:
    """Six recorded minutes become 342 bars of one second; forecasts come out for the last hundred, with the notes."""
    config = load_config(CONFIG, ["walk_forward.seeds=1", "model.steps=5"])
    market = load_markets(config, data_folder)[0]
    assert (len(market.candles), market.candles.bar) == (342, SECOND)
    made = make_forecasts(config, [market])
    assert len(made.series["BTCUSDT"]) == 102
    assert any(note.startswith("book: 6,523 updates, 4 older than their snapshot; 0 missing") for note in made.notes)
