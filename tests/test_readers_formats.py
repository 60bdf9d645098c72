"""Each format in its variants: recognised with a reason, read to the same bars, or refused."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reader_samples import (
    HOUR,
    SAMPLES,
    START,
    Sample,
    archive,
    binance_rows,
    freqtrade_feather,
    in_time,
    lean_day,
    make_bars,
    pack,
    plain,
    vendor,
    write_sample,
)

from foundation.errors import DataError, ParameterError
from markets.readers import FORMATS, ReadOptions, read_file
from markets.readers.importing import clean

COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")


def put(folder: Path, name: str, data: bytes | str) -> Path:
    """A file of these bytes."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def same(columns: dict[str, Any], bars: dict[str, Any]) -> bool:
    """Whether two tables hold the same bars."""
    return all(np.array_equal(columns[name], bars[name]) for name in COLUMNS)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.key}-{sample.name}")
def test_every_format_reads_to_the_same_bars(sample: Sample, tmp_path: Path) -> None:
    """Every format is told by its content, says why, and cleans to the bars it was made of."""
    bars = make_bars()
    path = write_sample(tmp_path, sample, bars)
    reading = read_file(path)
    assert same(clean(reading).columns, in_time(bars, sample))
    assert len(reading.reason) > 20
    named = read_file(path, format=sample.key)
    assert (named.format, named.reason) == (reading.format, reading.reason)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.key}-{sample.name}")
def test_a_file_is_refused_as_what_it_is_not(sample: Sample, tmp_path: Path) -> None:
    """Naming another format than the file's is a DataError, never a reading of other columns."""
    bars = make_bars()
    path = write_sample(tmp_path, sample, bars)
    for other in FORMATS:
        if other.key == sample.key:
            continue
        try:
            columns = clean(read_file(path, format=other.key)).columns
        except DataError:
            continue
        assert other.key == "plain"
        shift = HOUR if sample.key == "bitmex" else 0
        assert same({**columns, "timestamp": columns["timestamp"] - shift}, in_time(bars, sample))


def test_archive_without_volume_is_mark(tmp_path: Path) -> None:
    """The archive's mark prices have no volume in any row: they read as mark, and say so."""
    bars = make_bars()
    lines = [line.split(",") for line in archive(bars).decode().split()]
    empty = [lines[0], *([*cells[:5], "0", cells[6], "0", "0", "0", "0", "0"] for cells in lines[1:])]
    path = put(tmp_path, "BTCUSDT-1h-2024-01.csv", "\n".join(",".join(cells) for cells in empty))
    reading = read_file(path)
    assert reading.kind == "mark"
    assert any("read as mark" in note for note in reading.notes)
    with pytest.raises(DataError, match="has volumes"):
        read_file(put(tmp_path, "b.csv", archive(bars)), options=ReadOptions(kind="mark"))


def test_inverse_contracts_are_checked_too(tmp_path: Path) -> None:
    """A COIN-M file counts contracts of 100 USD against coins: its mean price is checked like any other."""
    bars = make_bars()
    lines = [line.split(",") for line in archive(bars).decode().split()]
    for k, cells in enumerate(lines[1:]):
        cells[7] = f"{bars['volume'][k] * 100 / bars['close'][k]:.8f}"
    good = put(tmp_path, "BTCUSD_PERP-1h-2024-01.csv", "\n".join(",".join(cells) for cells in lines))
    assert same(clean(read_file(good)).columns, bars)
    assert read_file(good).symbol == "BTCUSD_PERP"
    lines[9][7] = "1.0"
    bad = put(tmp_path, "BTCUSD_PERP-1h-2024-02.csv", "\n".join(",".join(cells) for cells in lines))
    with pytest.raises(DataError, match=r"line 10: quote volume / volume is .* outside its low..high"):
        clean(read_file(bad))


def test_archive_of_funding(tmp_path: Path) -> None:
    """The archive's funding files are read by the names of their columns."""
    rows = [f"{(START + k * 8 * HOUR) // 10**6 + k % 3},8,0.0001" for k in range(9)]
    text = "\n".join(["calc_time,funding_interval_hours,last_funding_rate", *rows, ""])
    reading = read_file(put(tmp_path, "BTCUSDT-fundingRate-2024-01.csv", text))
    assert (reading.kind, reading.symbol, len(clean(reading).funding())) == ("funding", "BTCUSDT", 9)


def test_text_as_other_programs_write_it(tmp_path: Path) -> None:
    """Windows line ends, quoted cells, a byte order mark, semicolons and tabs read to the same bars."""
    text = plain(make_bars()).decode()
    quoted = "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines())
    variants = [text.replace("\n", "\r\n"), "\ufeff" + text, text.replace(",", ";"), text.replace(",", "\t"), quoted]
    for number, variant in enumerate(variants):
        assert same(clean(read_file(put(tmp_path, f"{number}.csv", variant))).columns, make_bars()), number


def test_a_table_without_a_header_needs_its_columns_named(tmp_path: Path) -> None:
    """Columns without names are counted from 0, and can be named so."""
    path = put(tmp_path, "a.csv", plain(make_bars()).split(b"\n", 1)[1])
    with pytest.raises(DataError, match="6 columns and no header"):
        read_file(path)
    named = {name: str(k) for k, name in enumerate(COLUMNS)}
    assert same(clean(read_file(path, options=ReadOptions(columns=named))).columns, make_bars())


def test_archive_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    """With a header, columns are taken by name."""
    lines = [line.split(",") for line in archive(make_bars()).decode().split()]
    mixed = "\n".join(",".join(reversed(cells)) for cells in lines)
    assert same(clean(read_file(put(tmp_path, "a.csv", mixed))).columns, make_bars())


@pytest.mark.parametrize(("one", "other"), [(1, 4), (2, 3), (5, 7), (5, 8), (0, 6)])
def test_exchanged_columns_are_refused(one: int, other: int, tmp_path: Path) -> None:
    """Without a header, prices, volumes or times that stand in each other's columns are found."""
    lines = [line.split(",") for line in binance_rows(make_bars())]
    for cells in lines:
        cells[one], cells[other] = cells[other], cells[one]
    path = put(tmp_path, "BTCUSDT-1h-2024-01.csv", "\n".join(",".join(cells) for cells in lines))
    with pytest.raises(DataError):
        clean(read_file(path))


def test_units_of_time_are_told_value_by_value(tmp_path: Path) -> None:
    """Seconds, milliseconds, microseconds and nanoseconds in one file read to the same times, with a note."""
    bars = make_bars(8)
    scales = [10**9, 10**6, 10**3, 1] * 2
    rows = [f"{stamp // scale},1.5,2,1,1.5,3" for stamp, scale in zip(bars["timestamp"], scales, strict=True)]
    reading = read_file(put(tmp_path, "a.csv", "\n".join(["time,open,high,low,close,volume", *rows])))
    assert np.array_equal(reading.columns["timestamp"], bars["timestamp"])
    assert any("mix units" in note and "seconds" in note for note in reading.notes)


@pytest.mark.parametrize("form", ["%Y-%m-%d %I-%p", "%Y-%m-%d %H:%M:%S", "%Y.%m.%d %H:%M", "%Y-%m-%dT%H:%M:%SZ"])
def test_times_in_words(form: str, tmp_path: Path) -> None:
    """Every form of time that vendors write reads to the same times; a time without a zone is noted."""
    bars = make_bars(30)
    dates = pd.to_datetime(bars["timestamp"]).strftime(form)
    rows = [f"{date},1.5,2,1,1.5,3" for date in dates]
    reading = read_file(put(tmp_path, "a.csv", "\n".join(["date,open,high,low,close,volume", *rows])))
    assert np.array_equal(reading.columns["timestamp"], bars["timestamp"])
    assert any("no time zone" in note for note in reading.notes) is (not form.endswith("Z"))


def test_vendor_rows_that_contradict_themselves(tmp_path: Path) -> None:
    """A date that disagrees with the unix stamp beside it is named with its line."""
    lines = vendor(make_bars()).decode().split("\n")
    lines[7] = lines[7].replace("2024-01-02 18:00:00", "2024-01-02 14:00:00")
    path = put(tmp_path, "a.csv", "\n".join(lines))
    with pytest.raises(DataError, match="line 8: its unix stamp says 2024-01-02 18:00 and its date 2024-01-02 14:00"):
        clean(read_file(path))


def test_vendor_volumes_in_each_others_columns(tmp_path: Path) -> None:
    """Rows with exchanged volumes are put right, and the note names the first."""
    address, header, *rows = vendor(make_bars()).decode().split("\n")[:-1]
    swapped = [",".join([*row.split(",")[:-2], row.split(",")[-1], row.split(",")[-2]]) for row in rows]
    text = "\n".join([address, header, *rows[:20], *swapped[20:], ""])
    reading = read_file(put(tmp_path, "a.csv", text))
    assert any("28 rows (first in line 23)" in note for note in reading.notes)
    assert same(clean(reading).columns, make_bars())


def test_lost_decimal_points_name_the_first_line(tmp_path: Path) -> None:
    """A price that lost its decimal point in a spreadsheet is refused with its line and column."""
    lines = vendor(make_bars()).decode().split("\n")
    cells = lines[9].split(",")
    cells[4] = cells[4].replace(".", "")
    lines[9] = ",".join(cells)
    with pytest.raises(DataError, match=r"line 10: high is .* lost its decimal point.*1 prices in 1 rows"):
        clean(read_file(put(tmp_path, "a.csv", "\n".join(lines))))


def test_stretches_repeated_hours_apart_are_refused(tmp_path: Path) -> None:
    """Two rows that repeat two others at other hours are refused; one alone is not taken for damage."""
    for length, refused in ((2, True), (1, False)):
        bars = make_bars()
        for name in COLUMNS[1:]:
            bars[name][20 : 20 + length] = bars[name][15 : 15 + length]
        path = put(tmp_path, "a.csv", plain(bars))
        if refused:
            with pytest.raises(
                DataError, match=r"line 22: the bar of 2024-01-01 20:00 repeats .*5h apart \(2 rows so\)"
            ):
                clean(read_file(path))
        else:
            assert len(clean(read_file(path)).touched) == 48


@pytest.mark.parametrize(("hours", "refused"), [(0, False), (3, True), (-3, True), (5.5, True), (8, False)])
def test_a_clock_beside_the_funding_grid(hours: float, refused: bool, tmp_path: Path) -> None:
    """Settlements beside 00, 08 and 16 h are refused until the offset is said; whole intervals cannot be told."""
    stamps = START + np.arange(60) * 8 * HOUR + np.arange(60) % 3 * 4_000_000
    dates = pd.to_datetime(stamps + round(hours * HOUR)).strftime("%Y-%m-%d %H:%M:%S.%f")
    path = put(tmp_path, "a.csv", "\n".join(["date,fundingRate", *(f"{date},0.0001" for date in dates)]))
    if refused:
        with pytest.raises(DataError, match="beside the grid of UTC"):
            clean(read_file(path))
    if hours % 8:
        cleaned = clean(read_file(path, options=ReadOptions(utc_offset=hours)))
        assert np.array_equal(cleaned.columns["timestamp"], stamps)


def test_freqtrade_kinds(tmp_path: Path) -> None:
    """The name tells marks, the content tells funding, and neither is believed against the other."""
    bars = make_bars()
    assert read_file(put(tmp_path, "BTC_USDT_USDT-1h-mark.feather", freqtrade_feather(bars))).kind == "mark"
    rates = {**{name: np.zeros(48) for name in COLUMNS}, "open": np.full(48, 1e-4), "timestamp": bars["timestamp"]}
    funding = read_file(put(tmp_path, "anything.feather", freqtrade_feather(rates)))
    assert funding.kind == "funding"
    assert np.array_equal(funding.columns["funding_rate"], rates["open"])
    with pytest.raises(DataError, match="said to hold funding, yet high, low and close hold values"):
        read_file(put(tmp_path, "BTC_USDT_USDT-1h-funding_rate.feather", freqtrade_feather(bars)))


def test_lean_quotes_are_the_middle_and_no_candles(tmp_path: Path) -> None:
    """Quote bars read as the middle of bid and ask; they import as mark prices only when that is said."""
    rows = [f"{k * 60_000},10,12,9,11,5,12,14,11,13,5" for k in range(30)]
    path = put(tmp_path, "q.zip", pack("20240101_btcusdt_minute_quote_perp.csv", "\n".join(rows).encode()))
    reading = read_file(path)
    assert reading.kind == "quotes"
    assert [reading.columns[name][3] for name in COLUMNS[1:5]] == [11, 13, 10, 12]
    with pytest.raises(DataError, match="holds quotes"):
        clean(reading)
    assert len(clean(read_file(path, options=ReadOptions(kind="mark"))).candles()) == 30
    crossed = [rows[0].replace("12,14,11,13,5", "8,14,8,13,5"), *rows[1:]]
    path = put(tmp_path, "q.zip", pack("20240101_btcusdt_minute_quote_perp.csv", "\n".join(crossed).encode()))
    assert "line 1: its bid stands above its ask" in read_file(path).defects[0].problem


def test_columns_can_be_named(tmp_path: Path) -> None:
    """A column map reads a table of any names, stamped at the close if that is said."""
    bars = make_bars()
    text = plain(bars).decode().replace("Date,open,high,low,close,volume", "when,first,top,bottom,last,size")
    path = put(tmp_path, "a.csv", text)
    with pytest.raises(DataError, match="in no known format: its columns are when, first"):
        read_file(path)
    named = dict(zip(COLUMNS, ("when", "first", "top", "bottom", "last", "size"), strict=True))
    assert same(clean(read_file(path, options=ReadOptions(columns=named))).columns, bars)
    late = read_file(path, options=ReadOptions(columns=named, stamps="close", utc_offset=2))
    assert np.array_equal(late.columns["timestamp"], bars["timestamp"] - 3 * HOUR)
    with pytest.raises(DataError, match='has no column "size2"'):
        read_file(path, options=ReadOptions(columns={**named, "volume": "size2"}))
    with pytest.raises(ParameterError, match="columns = 'opne'"):
        read_file(path, options=ReadOptions(columns={"opne": "first"}))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"date,open,high,low,close\n", "a header and no rows"),
        ("a.csv", b"\xff\xfed\x00a\x00t\x00e\x00", "neither UTF-8 text"),
        ("a.csv", b"date,open,high,low,close\n2024-01-01,1,2,1,\xff\n2024-01-02,1,2,1,1\n", "cannot be read as CSV"),
        ("a.csv", b"date,open,high,low,close\n2024-01-01,1,2\n", "3 cells in line 2, where the others have 5"),
        ("a.csv", b"date,open,open,high,low,close\n2024-01-01,1,1,2,1,1\n", 'two columns named "open"'),
        (
            "a.csv",
            b"date;open;high;low;close\n2024-01-01;1,5;2;1;1\n2024-01-02;1;2;1;1\n",
            "'1,5' in line 2, not a number",
        ),
        ("a.csv", b'date,open,high,low,close\n2024-01-01,"1,005.5",2,1,1\n', "'1,005.5' in line 2, not a number"),
        ("a.csv", b"date,open,high,low,close\n31/01/2024,1,2,1,1\n", "'31/01/2024' in line 2"),
        ("a.csv", b"date,open,high,low,close\n17,1,2,1,1\n", "no time between 2009 and 2099"),
        ("a.csv", b"date,open,high,low,close\n,1,2,1,1\n2024-01-02,1,2,1,1\n", "column date is empty in line 2"),
        ("a.json", b"[{", "cannot be read as JSON"),
        ("a.json", b"[[1,2],[1]]", "row 1 has other columns"),
        ("a.json", b'{"code": -1121}', "no list of rows"),
        ("a.gz", gzip.compress(b"date,open", mtime=0)[:-4], "cannot be unpacked as gzip"),
        ("a.zip", pack("a.csv", b"x")[:40], "cannot be unpacked as zip"),
        ("a.xlsx", pack("xl/workbook.xml", b"x"), "spreadsheet workbook"),
        ("a.parquet", b"PAR1 and nothing", "cannot be read as parquet"),
        ("a.feather", b"ARROW1 and nothing", "cannot be read as feather"),
    ],
)
def test_what_cannot_be_read_says_why(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    """A file that is no table of market data is one line that names the file, the place and the defect."""
    path = put(tmp_path, name, data)
    with pytest.raises(DataError) as caught:
        read_file(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_zip_of_several_files_is_refused(tmp_path: Path) -> None:
    """Nobody knows which file of a zip is meant."""
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.csv", "x")
        file.writestr("b.csv", "x")
    with pytest.raises(DataError, match=r"zip of 2 files \(a.csv, b.csv\)"):
        read_file(put(tmp_path, "a.zip", buffer.getvalue()))


def test_a_last_line_without_its_end_is_noted(tmp_path: Path) -> None:
    """A file that stops in the middle of a line may have lost digits: that is noted."""
    whole = read_file(put(tmp_path, "a.csv", plain(make_bars())))
    cut = read_file(put(tmp_path, "a.csv", plain(make_bars())[:-1]))
    assert not any("no line end" in note for note in whole.notes)
    assert any("no line end" in note for note in cut.notes)


def test_lean_milliseconds_stay_in_their_day(tmp_path: Path) -> None:
    """A count beyond the milliseconds of a day is refused with its line."""
    rows = lean_day(make_bars(3))
    assert read_file(put(tmp_path, "a.zip", rows)).columns["timestamp"][0] == START
    path = put(tmp_path, "a.zip", pack("20240101_btcusdt_minute_trade_perp.csv", b"0,1,1,1,1,1\n86400000,1,1,1,1,1"))
    with pytest.raises(DataError, match="'86400000' in line 2, which is no millisecond of a day"):
        read_file(path)
