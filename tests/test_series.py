"""The store of series: appends that happen whole or not at all, and reads that see one state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import DataError, ParameterError
from markets.series import SeriesKey, append_rows, last_stamp, list_series, read_rows

HOUR = 3_600_000_000_000
START = 1_640_908_800_000_000_000  # 2021-12-31: two days of hours lie in two years
NOW = 1_700_000_000_000_000_000
CANDLES = SeriesKey("binance_usdm", "BTCUSDT", "candles", HOUR)
FUNDING = SeriesKey("binance_usdm", "BTCUSDT", "funding")
TIERS = SeriesKey("binance_usdm", "BTCUSDT", "tiers")
FILTERS = SeriesKey("binance_usdm", "BTCUSDT", "filters")


def candles(hours: Any, level: float = 100.0) -> dict[str, Any]:
    """Bars of some hours after START; the prices follow from hour and level alone."""
    stamps = START + np.asarray(hours, dtype=np.int64) * HOUR
    opens = level + np.asarray(hours) % 7
    return {
        "timestamp": stamps,
        "open": opens,
        "high": opens + 2.0,
        "low": opens - 1.0,
        "close": opens + 1.0,
        "volume": np.asarray(hours) * 1.0,
        "touched": np.asarray(hours) % 5 == 0,
    }


def append(folder: Path, columns: dict[str, Any], key: SeriesKey = CANDLES, **more: Any) -> tuple[int, int, int]:
    """What an append says it did: added, known, revised."""
    done = append_rows(folder, key, columns, **{"source": "test", "fetched_at": NOW, **more})
    return done.added, done.known, done.revised


def same(rows: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two sets of rows are equal in every column and value."""
    return rows.keys() == other.keys() and all(np.array_equal(rows[name], other[name]) for name in rows)


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, without the lock."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("_lock")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    """What was appended is read back bit for bit, over the turn of a year, and by span from start to before end."""
    assert append(tmp_path, candles(range(48))) == (48, 0, 0)
    assert same(read_rows(tmp_path, CANDLES), candles(range(48)))
    assert same(read_rows(tmp_path, CANDLES, START + 20 * HOUR, START + 30 * HOUR), candles(range(20, 30)))
    assert same(read_rows(tmp_path, CANDLES, start=START + 47 * HOUR + 1), candles([]))
    assert last_stamp(tmp_path, CANDLES) == START + 47 * HOUR
    assert last_stamp(tmp_path, FUNDING) is None


def test_the_same_rows_again_change_no_byte(tmp_path: Path) -> None:
    """An append of known rows leaves every file as it is, the manifest too."""
    append(tmp_path, candles(range(48)))
    before = files(tmp_path)
    assert append(tmp_path, candles(range(10, 40)), source="elsewhere", fetched_at=NOW + 5) == (0, 30, 0)
    assert append(tmp_path, candles([])) == (0, 0, 0)
    assert files(tmp_path) == before


def test_other_rows_are_refused_and_leave_everything_as_it_was(tmp_path: Path) -> None:
    """A batch with one differing row is refused as a whole, with place and both values."""
    append(tmp_path, candles(range(24)))
    before = files(tmp_path)
    other = candles(range(20, 40))
    other["volume"][2] = 7.5
    with pytest.raises(
        DataError, match=r"holds other rows at 1 .* 2021-12-31 22:00 UTC: volume is 22 there and 7.5 in"
    ):
        append(tmp_path, other)
    assert files(tmp_path) == before


def test_revised_rows_are_kept_aside_and_recorded(tmp_path: Path) -> None:
    """With revise the new rows count, the manifest names the revision, and the old rows stay readable."""
    append(tmp_path, candles(range(48)))
    assert append(tmp_path, candles(range(22, 26), level=200.0), revise=True, source="later") == (0, 0, 4)
    rows = read_rows(tmp_path, CANDLES)
    assert same(rows, {n: np.concatenate((a, b, c)) for n, a, b, c in zip(
        rows, candles(range(22)).values(), candles(range(22, 26), 200.0).values(), candles(range(26, 48)).values(),
        strict=True)})  # fmt: skip
    (info,) = list_series(tmp_path)
    assert (info.rows, info.revised, info.sources) == (48, 4, ("test", "later"))
    (kept,) = tmp_path.rglob("_replaced/*.parquet")
    assert pd.read_parquet(kept)["open"].tolist() == candles(range(22, 26))["open"].tolist()


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[list[int], float, bool]]:
    """Some batches: hours in any order, a level that says whose prices they are, and whether they may revise."""
    hours = st.lists(st.integers(0, 71), max_size=30)
    return draw(st.lists(st.tuples(hours, st.sampled_from([100.0, 101.0]), st.booleans()), min_size=1, max_size=8))


@given(history=histories())
def test_any_history_equals_a_dictionary(history: list[tuple[list[int], float, bool]], tmp_path_factory: Any) -> None:
    """Batches in any order, overlapping, repeated or revised, leave what a plain dictionary of rows holds."""
    folder = tmp_path_factory.mktemp("store")
    model: dict[int, float] = {}
    for hours, level, revise in history:
        clash = any(model.get(hour, level) != level for hour in hours)
        if clash and not revise:
            with pytest.raises(DataError, match="holds other rows"):
                append(folder, candles(hours, level))
        else:
            wanted = set(hours)
            added, revised = len(wanted - model.keys()), sum(model.get(hour, level) != level for hour in wanted)
            done = append(folder, candles(hours, level), revise=revise)
            assert done == (added, len(wanted) - added - revised, revised)
            model |= dict.fromkeys(hours, level)
        if not model:
            assert list_series(folder) == ()
            continue
        hours = sorted(model)
        expected = candles(hours)
        for name in ("open", "high", "low", "close"):
            expected[name] = expected[name] + [model[hour] - 100.0 for hour in hours]
        assert same(read_rows(folder, CANDLES), expected)
        (info,) = list_series(folder)
        steps = np.diff(hours)
        assert (info.rows, info.first, info.last) == (len(hours), START + hours[0] * HOUR, START + hours[-1] * HOUR)
        assert (info.gaps, info.missing) == (int((steps > 1).sum()), int((steps - 1).sum()))
        assert info.touched == sum(hour % 5 == 0 for hour in hours)
        assert len(list(folder.rglob("part-*"))) <= 2 + 2 * int(np.log2(len(hours)))


def test_small_appends_leave_few_parts(tmp_path: Path) -> None:
    """A thousand bars appended one by one lie in a handful of files, and nothing else is left behind."""
    for hour in range(300):
        append(tmp_path, candles([hour]))
    assert same(read_rows(tmp_path, CANDLES), candles(range(300)))
    assert len(list(tmp_path.rglob("part-*.parquet"))) <= 12
    manifest = json.loads((CANDLES.home(tmp_path) / "_manifest.json").read_text())["manifest"]
    assert len(manifest["origins"]) == 1
    assert manifest["origins"][0]["rows"] == 300


def test_settlements_are_one_within_a_minute(tmp_path: Path) -> None:
    """The same settlement with other jitter is the same row; another rate is refused."""
    stamps = START + np.arange(6) * 8 * HOUR
    rates = np.arange(6) * 1e-4
    assert append(tmp_path, {"timestamp": stamps + 4_000_000, "funding_rate": rates}, FUNDING) == (6, 0, 0)
    assert append(tmp_path, {"timestamp": stamps - 9_000_000, "funding_rate": rates}, FUNDING) == (0, 6, 0)
    with pytest.raises(DataError, match=r"funding_rate is 0 there and 0\.1 in"):
        append(tmp_path, {"timestamp": stamps[:1], "funding_rate": rates[:1] + 0.1}, FUNDING)
    assert read_rows(tmp_path, FUNDING)["timestamp"].tolist() == stamps.tolist()


def tiers(stamp: int, rates: list[float]) -> dict[str, Any]:
    """A snapshot of brackets, 50,000 wide."""
    count = len(rates)
    return {
        "timestamp": np.full(count, stamp),
        "floor": np.arange(count) * 50_000.0,
        "cap": np.arange(1, count + 1) * 50_000.0,
        "maintenance_rate": np.array(rates),
        "maximum_leverage": np.full(count, 20.0),
        "maintenance_amount": np.full(count, np.nan),
    }


def test_a_snapshot_counts_until_it_changes(tmp_path: Path) -> None:
    """The same brackets fetched later are known; others make a new snapshot; a stamp has one snapshot alone."""
    assert append(tmp_path, tiers(START, [0.004, 0.005]), TIERS) == (2, 0, 0)
    assert append(tmp_path, tiers(START + HOUR, [0.004, 0.005]), TIERS) == (0, 2, 0)
    assert append(tmp_path, tiers(START + 2 * HOUR, [0.004, 0.005, 0.01]), TIERS) == (3, 0, 0)
    with pytest.raises(DataError, match="holds other rows"):
        append(tmp_path, tiers(START, [0.004]), TIERS)
    append(tmp_path, tiers(START, [0.004]), TIERS, revise=True)
    rows = read_rows(tmp_path, TIERS)
    assert rows["maintenance_rate"].tolist() == [0.004, 0.004, 0.005, 0.01]


@pytest.mark.parametrize(
    ("key", "change", "words"),
    [
        (CANDLES, {"high": np.full(3, 1.0)}, "breaks low <= open, close <= high"),
        (CANDLES, {"close": np.array([1.0, np.nan, 1.0])}, "missing or not a finite number"),
        (CANDLES, {"timestamp": START + np.array([0, HOUR, 2 * HOUR + 1])}, "off the grid of 1h bars"),
        (CANDLES, {"timestamp": np.array([1, 2, 3])}, "has a stamp of 1 ns"),
        (CANDLES, {"timestamp": START + np.array([0, HOUR, HOUR])}, "two different rows of 2021-12-31 01:00"),
        (CANDLES, {"opne": np.ones(3)}, 'did you mean "open"?'),
        (CANDLES, {"volume": np.ones(2)}, "has the shape"),
        (CANDLES, {"volume": np.array(["1", "2", "3"])}, "hand in numbers"),
        (CANDLES, {"timestamp": NOW // HOUR * HOUR - np.array([2, 1, 0]) * HOUR}, "after it was fetched at"),
    ],
)  # fmt: skip
def test_impossible_rows_are_refused_before_anything_is_written(
    key: SeriesKey, change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """A row that cannot be is named, and no file appears."""
    with pytest.raises(DataError) as caught:
        append(tmp_path, {**candles(range(3)), **change}, key)
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_bars_on_another_grid_are_refused(tmp_path: Path) -> None:
    """Hours that begin at half past do not join hours that begin at the full hour."""
    append(tmp_path, candles(range(3)))
    with pytest.raises(DataError, match="off the grid of 1h bars at 2021-12-31 05:30"):
        append(tmp_path, {**candles([5]), "timestamp": np.array([START + 5 * HOUR + HOUR // 2])})


@pytest.mark.parametrize(
    "words",
    [("x", "BTC/USDT", "funding", None), ("..", "BTC", "funding", None), ("x", "BTC", "trades", None),
     ("x", "BTC", "candles", None), ("x", "BTC", "funding", HOUR), ("x", "BTC", "mark", 5)],
)  # fmt: skip
def test_a_key_names_a_folder(words: Any) -> None:
    """Venue, symbol, kind and bar are checked, because they become folders."""
    with pytest.raises(ParameterError, match="series"):
        SeriesKey(*words)
    assert str(CANDLES) == "binance_usdm:BTCUSDT candles 1h"


def test_a_series_that_is_not_there_suggests_one_that_is(tmp_path: Path) -> None:
    """A typo in a symbol is answered with the series that the store has."""
    append(tmp_path, candles(range(3)))
    with pytest.raises(DataError, match=r"is not in the store .* did you mean .binance_usdm:BTCUSDT candles 1h"):
        read_rows(tmp_path, SeriesKey("binance_usdm", "BTCUSD", "candles", HOUR))


def test_damage_is_seen(tmp_path: Path) -> None:
    """A flipped byte in a part or in the manifest, and a part that is gone, are refusals, never rows."""
    append(tmp_path, candles(range(24)))
    home = CANDLES.home(tmp_path)
    (part,), manifest = home.rglob("part-*"), home / "_manifest.json"
    for path, words in ((part, "its bytes are not those of the manifest"), (manifest, "is damaged")):
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b"PAR1", b"PAR2").replace(b'"rows": 24', b'"rows": 25'))
        with pytest.raises(DataError, match=words):
            read_rows(tmp_path, CANDLES)
        path.write_bytes(whole)
    part.unlink()
    with pytest.raises(DataError, match="is missing"):
        read_rows(tmp_path, CANDLES)
