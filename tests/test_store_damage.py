"""Damaged market files: each kind is refused in one line that names file, defect, place and fix."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_factory import BTC, COLUMNS, funding_table, load, refusal, table, write_store

from foundation.errors import DataError
from markets.market import Market
from markets.store import load_market


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A data folder with candles, mark and funding of one contract."""
    return write_store(tmp_path)


def spoiled(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    """The writer of the whole table after a change."""
    return lambda path: change(table()).to_parquet(path)


def value(name: str, row: int, new: Any) -> Callable[[Path], None]:
    """The writer of the table with one value changed."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame[name] = frame[name].astype(object) if isinstance(new, str) else frame[name]
        frame.loc[row, name] = new
        return frame.assign(**{name: frame[name].astype(str)}) if isinstance(new, str) else frame

    return spoiled(change)


def truncated(path: Path) -> None:
    """Half of a parquet file, as a broken download leaves it."""
    table().to_parquet(path)
    path.write_bytes(path.read_bytes()[:2000])


def overwritten(path: Path) -> None:
    """A parquet file whose footer is noise between the two magic words."""
    table().to_parquet(path)
    raw = bytearray(path.read_bytes())
    raw[-400:-8] = bytes(392)
    path.write_bytes(bytes(raw))


def two_lengths(frame: pd.DataFrame) -> pd.DataFrame:
    """Hourly bars that turn into half-hourly ones after 30 rows."""
    late = pd.date_range(frame["timestamp"][29], periods=19, freq="30min")[1:]
    return frame.assign(timestamp=[*frame["timestamp"][:30], *late])


def shifted(frame: pd.DataFrame) -> pd.DataFrame:
    """One stamp seven seconds late."""
    frame.loc[5, "timestamp"] += pd.Timedelta("7s")
    return frame


MALFORMED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty file": (lambda path: path.write_bytes(b""), "is an empty file (0 bytes); copy, fetch or export"),
    "truncated": (truncated, "is truncated: its parquet footer is missing; copy or fetch"),
    "damaged footer": (overwritten, "is damaged and cannot be read as parquet ("),
    "text": (lambda path: path.write_text("hello"), "is a text file (it begins 'hello'), not a parquet file; save it"),
    "csv": (
        lambda path: table().to_csv(path, index=False),
        "is a text file (it begins 'timestamp,open,high,low,close,volume'), not",
    ),
    "feather": (lambda path: table().to_feather(path), "is a feather file, not a parquet file"),
    "noise": (lambda path: path.write_bytes(bytes(range(128, 256))), "is something unknown, not a parquet file"),
    "magic alone": (lambda path: path.write_bytes(b"PAR1"), "is damaged and cannot be read as parquet ("),
    "no rows": (spoiled(lambda frame: frame.iloc[:0]), "holds no rows; export"),
    "one row": (spoiled(lambda frame: frame.iloc[:1]), "holds one bar only; hand in two"),
    "missing column": (
        spoiled(lambda frame: frame.drop(columns="low")),
        'has no column "low" among its columns (timestamp, open, high, close, volume); it needs timestamp, open',
    ),
    "capital column": (spoiled(lambda frame: frame.rename(columns={"low": "Low"})), 'rename its column "Low"'),
    "typo in column": (spoiled(lambda frame: frame.rename(columns={"close": "clos"})), 'rename its column "clos"'),
    "other stamp name": (
        spoiled(lambda frame: frame.rename(columns={"timestamp": "date"})),
        'rename its column "date"',
    ),
    "other table": (lambda path: funding_table().to_parquet(path), 'has no column "open" among its columns'),
    "text in prices": (
        value("close", 3, "42,000"),
        "column close holds text ('42,000' at 2022-01-01 03:00 UTC, row 3), not numbers; find",
    ),
    "flags in prices": (spoiled(lambda f: f.assign(high=True)), "column high is of type bool, not numbers; store"),
    "nan": (
        value("close", 3, np.nan),
        "column close has a value that is missing or not a finite number (nan) at 2022-01-01 03:00",
    ),
    "infinite": (value("volume", 3, np.inf), "column volume has a value that is missing or not a finite number (inf)"),
    "null": (
        spoiled(lambda f: f.assign(open=f["open"].astype("Float64").mask(f.index == 3))),
        "column open has a value that is",
    ),
    "unsorted": (
        spoiled(lambda f: f.iloc[::-1]),
        "is not in time order at 2022-01-02 22:00 UTC (row 1), 47 in all; sort",
    ),
    "duplicate": (
        spoiled(lambda f: pd.concat([f[:4], f[3:]])),
        "has a duplicate timestamp at 2022-01-01 03:00 UTC (row 4), 1 in all; keep",
    ),
    "gap": (
        spoiled(lambda f: f.drop(index=[7, 8])),
        "has a gap of 2 1h bar(s) after 2022-01-01 06:00 UTC (row 6), 1 in all; fetch",
    ),
    "off the grid": (
        spoiled(shifted),
        "has a stamp off the grid of 1h bars at 2022-01-01 05:00:07 UTC (row 5), 2 in all; stamp",
    ),
    "two bar lengths": (spoiled(two_lengths), "holds bars of 1h and of 30m at 2022-01-02 05:00 UTC (row 29); keep one"),
    "high below close": (value("high", 3, 1.0), "breaks low <= open, close <= high (open "),
    "low above open": (value("low", 3, 1e6), "breaks low <= open, close <= high (open "),
    "negative volume": (
        value("volume", 3, -1.0),
        "column volume has a negative volume (-1) at 2022-01-01 03:00 UTC (row 3)",
    ),
    "zero price": (
        value("low", 3, 0.0),
        "column low has a price that is not above zero (0) at 2022-01-01 03:00 UTC (row 3)",
    ),
    "negative price": (value("open", 3, -5.0), "column open has a price that is not above zero (-5)"),
    "no time zone": (
        spoiled(lambda f: f.assign(timestamp=f["timestamp"].dt.tz_localize(None))),
        "column timestamp has no time zone, so its stamps may be local time; if they are UTC, say so",
    ),
    "numbers as stamps": (
        spoiled(lambda f: f.assign(timestamp=f["timestamp"].astype("int64"))),
        "column timestamp is of type int64, not a timestamp; if it counts milliseconds: pandas.to_datetime",
    ),
    "text as stamps": (
        spoiled(lambda f: f.assign(timestamp=f["timestamp"].astype(str))),
        "column timestamp is of type",
    ),
    "missing stamp": (
        spoiled(lambda f: f.assign(timestamp=f["timestamp"].mask(f.index == 3))),
        "column timestamp has no value in row 3, 1 in all; mend",
    ),
    "unit mistaken": (
        spoiled(lambda f: f.assign(timestamp=pd.to_datetime(f["timestamp"].astype("int64"), unit="us", utc=True))),
        "column timestamp has a stamp outside 2009 to 2099 in row 0, 48 in all; check the unit",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    """Each kind of damage is a DataError of one line with the file, the defect, its place and the fix."""
    write, words = MALFORMED[case]
    path = tmp_path / "candles.parquet"
    write(path)
    before = path.read_bytes()
    assert words in refusal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("case", ["empty file", "truncated", "csv", "nan", "gap", "missing column", "text in prices"])
def test_a_malformed_mark_is_refused_as_well(store: Path, case: str) -> None:
    """The mark file is checked as strictly as the candles, and named as itself."""
    path = store / "mark" / "bad.parquet"
    MALFORMED[case][0](path)
    with pytest.raises(DataError, match=r"mark/bad\.parquet: "):
        load(store, mark="mark/bad.parquet")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.rename(columns={"funding_rate": "rate"}), 'has no column "funding_rate" among'),
        (lambda f: f.iloc[::-1], r"not in time order at 2022-01-02 08:00 UTC \(row 1\)"),
        (lambda f: pd.concat([f, f[-1:]]), r"duplicate timestamp at 2022-01-02 16:00 UTC \(row 6\)"),
        (
            lambda f: f.assign(funding_rate=f["funding_rate"].mask(f.index == 2)),
            r"funding rate that is missing.*\(row 2\)",
        ),
        (lambda f: f.assign(funding_rate="0.01%"), "column funding_rate holds text"),
        (lambda f: f.iloc[:0], "holds no rows"),
    ],
)
def test_malformed_funding_is_refused(store: Path, change: Callable[[pd.DataFrame], pd.DataFrame], words: str) -> None:
    """Funding of the wrong shape, order or type is refused, naming the funding file."""
    change(funding_table()).to_parquet(store / "funding" / "bad.parquet")
    with pytest.raises(DataError, match=rf"funding/bad\.parquet: .*{words}.*; "):
        load(store, funding="funding/bad.parquet")


def test_the_mark_of_another_contract_is_refused(store: Path) -> None:
    """A mark that lies typically at a multiple of the candles' price belongs to something else."""
    frame = table()
    frame.assign(**{name: frame[name] * 30 for name in COLUMNS[1:5]}).to_parquet(store / "mark" / "other.parquet")
    with pytest.raises(
        DataError, match=r"other\.parquet: its prices are typically 30 times those of .*btc_1h\.parquet; name"
    ):
        load(store, mark="mark/other.parquet")


def test_a_defect_outside_the_span_does_not_count(tmp_path: Path) -> None:
    """A gap before `start` is no part of the market; inside the span it is refused, at its row in the file."""
    path = tmp_path / "candles.parquet"
    spoiled(lambda f: f.drop(index=[7, 8]))(path)
    assert len(load_market(BTC, path, start="2022-01-01 12:00").candles) == 36
    assert "after 2022-01-01 06:00 UTC (row 6)" in refusal(path, start="2022-01-01 04:00")


def test_rows_out_of_order_count_wherever_they_are(tmp_path: Path) -> None:
    """In a file that is not in time order no span can be trusted."""
    path = tmp_path / "candles.parquet"
    spoiled(lambda f: pd.concat([f[5:], f[:5]]))(path)
    assert "not in time order" in refusal(path, start="2022-01-02")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, Market]:
    """A whole file with page checksums, its bytes, and the market in it."""
    path = tmp_path_factory.mktemp("damage") / "candles.parquet"
    pq.write_table(pa.Table.from_pandas(table(24)), path, write_page_checksum=True, compression="zstd")
    return path, path.read_bytes(), load_market(BTC, path)


@settings(max_examples=400)
@given(where=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255), cut=st.booleans())
def test_damage_never_passes_and_never_escapes(
    whole: tuple[Path, bytes, Market], where: float, mask: int, cut: bool
) -> None:
    """A byte flipped, or an end cut off, gives the very same market or a DataError in one line, nothing else."""
    path, raw, truth = whole
    at = int(where * len(raw))
    damaged = path.with_name("damaged.parquet")
    damaged.write_bytes(raw[:at] if cut else raw[:at] + bytes([raw[at] ^ mask]) + raw[at + 1 :])
    try:
        market = load_market(BTC, damaged)
    except DataError as error:
        refused = str(error)
    else:
        assert market.fingerprint == truth.fingerprint
        assert market.candles.bar == truth.candles.bar
        return
    assert refused.startswith(f"{damaged}: ")
    assert "\n" not in refused
