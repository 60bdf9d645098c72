"""Damaged files: a clean table or one clear line, never a traceback, never a bar that is silently wrong.

What no reader can find is said here, and left out of the comparison by `told_apart`:
lines lost at the very beginning or end (nothing says that there were more); a digit changed so that
the bar stays possible, where nothing else in the row contradicts it (formats with a quote volume
contradict it when the mean price leaves low..high; the others cannot); a volume changed, likewise.
Feather files, and parquet files without page checksums, are compressed without a checksum: one byte
may change several numbers there, and only impossible bars show it.
Everything else has to come out as it was: every row whose cells were not touched, at its own time.
"""

from __future__ import annotations

import gzip
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reader_samples import HOUR, SAMPLES, START, Sample, in_time, make_bars

from foundation.errors import CrossgateError
from markets.readers import read_file
from markets.readers.importing import clean

COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")
BARS = make_bars()
TEXTS = [sample for sample in SAMPLES if sample.name.endswith((".csv", ".json"))]
EVERY = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.key}-{sample.name}")
LINES = pytest.mark.parametrize(
    "sample", [one for one in TEXTS if one.name.endswith(".csv")], ids=lambda sample: f"{sample.key}-{sample.name}"
)
MANY = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(folder: Path, sample: Sample, data: bytes) -> dict[str, Any] | None:
    """The clean table of some bytes, or None where they are refused in one line that names the file."""
    path = folder / sample.name
    path.write_bytes(data)
    refusal, columns = "", None
    try:
        columns = clean(read_file(path)).columns
    except CrossgateError as error:
        refusal = str(error)
    assert columns is not None or refusal.startswith(str(path))
    assert "\n" not in refusal
    return columns


def wrong_rows(columns: dict[str, Any], truth: dict[str, Any]) -> list[int]:
    """The rows of the truth that came out with other values, at their own time; added or moved bars are an error."""
    if "volume" not in columns:
        raise AssertionError("candles turned into something else")
    at = np.searchsorted(truth["timestamp"], columns["timestamp"])
    inside = at < len(truth["timestamp"])
    assert inside.all(), "a bar stands at a time at which there is none"
    assert np.array_equal(truth["timestamp"][at], columns["timestamp"]), "a bar stands at a time at which there is none"
    differs = np.any([columns[name] != truth[name][at] for name in COLUMNS[1:]], axis=0)
    return [int(row) for row in at[differs]]


def possible(columns: dict[str, Any]) -> bool:
    """Whether no bar contradicts itself: what a reader can still let through after a digit changed."""
    o, h, lo, c = (columns[name] for name in COLUMNS[1:5])
    return bool(np.all((lo > 0) & (h >= np.maximum(o, c)) & (lo <= np.minimum(o, c)) & (columns["volume"] >= 0)))


def told_apart(line: bytes, other: bytes, sample: Sample) -> bool:
    """Whether a changed line can be found at all: it no longer has its cells, or a stamp among them moved."""
    cells, changed = line.split(b","), other.split(b",")
    if len(cells) != len(changed):
        return True
    stamps = {"binance_archive": (0, 6), "binance_rest": (0, 8), "cryptodatadownload": (0, 1), "plain": (0,)}
    return any(cells[k] != changed[k] for k in stamps[sample.key])


@EVERY
@MANY
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_changes_one_bar(sample: Sample, place: float, flip: int, tmp_path: Path) -> None:
    """One byte changed anywhere: the file is refused, or at most one bar differs, and it is possible."""
    data = bytearray(sample.write(BARS))
    data[int(place * len(data))] ^= flip
    columns = outcome(tmp_path, sample, bytes(data))
    if columns is None:
        return
    wrong = wrong_rows(columns, in_time(BARS, sample))
    if sample.name.endswith((".gz", ".zip", ".parquet")):
        assert wrong == [], "a checksum covers every byte"
    elif not sample.name.endswith(".feather"):
        assert len(wrong) <= 1
    assert possible(columns)


@LINES
@MANY
@given(row=st.integers(0, 47), place=st.floats(0, 1, exclude_max=True), digit=st.sampled_from(b'0123456789,.-;e "x'))
def test_a_changed_sign_in_a_row(sample: Sample, row: int, place: float, digit: int, tmp_path: Path) -> None:
    """A sign of a row replaced: what can be found is refused, and no other row is read differently."""
    lines = sample.write(BARS).split(b"\n")
    first = len(lines) - 49
    line = bytearray(lines[first + row])
    line[int(place * len(line))] = digit
    changed = bytes(line)
    mutated = b"\n".join([*lines[: first + row], changed, *lines[first + row + 1 :]])
    columns = outcome(tmp_path, sample, mutated)
    if columns is None:
        return
    at = 47 - row if sample.key == "cryptodatadownload" else row
    assert set(wrong_rows(columns, BARS)) <= {at}
    assert possible(columns)
    if changed != lines[first + row] and told_apart(lines[first + row], changed, sample):
        assert wrong_rows(columns, BARS) == []
    if b"e" not in changed and wrong_rows(columns, BARS) and sample.key != "plain":
        assert mean_price_fits(changed.split(b","), sample), "the row contradicts itself"


def mean_price_fits(cells: list[bytes], sample: Sample) -> bool:
    """Whether quote volume / volume lies inside low..high, but for the rounding of the sample's numbers."""
    first = {"binance_archive": 1, "binance_rest": 1, "cryptodatadownload": 3}[sample.key]
    quote = {"binance_archive": 7, "binance_rest": 6, "cryptodatadownload": 8}[sample.key]
    high, low, volume = (float(cells[first + k]) for k in (1, 2, 4))
    ratio = float(cells[quote]) / volume
    return low * 0.997 <= ratio <= high * 1.003 or low * 0.997 <= 1 / ratio <= high * 1.003


@LINES
@MANY
@given(lost=st.sets(st.integers(0, 47), min_size=1, max_size=6))
def test_lost_lines_are_a_gap(sample: Sample, lost: set[int], tmp_path: Path) -> None:
    """Lines lost inside a file are refused as missing bars; only those at its ends cannot be missed."""
    lines = sample.write(BARS).split(b"\n")
    first = len(lines) - 49
    kept = [line for number, line in enumerate(lines) if number - first not in lost]
    columns = outcome(tmp_path, sample, b"\n".join(kept))
    left = sorted(set(range(48)) - lost)
    whole = left == list(range(left[0], left[-1] + 1))
    assert (columns is not None) is whole
    if columns is not None:
        assert len(columns["timestamp"]) == len(left)
        assert wrong_rows(columns, BARS) == []


@LINES
@MANY
@given(one=st.integers(0, 47), other=st.integers(0, 47), copied=st.booleans())
def test_moved_and_copied_lines_are_refused(sample: Sample, one: int, other: int, copied: bool, tmp_path: Path) -> None:
    """A line that stands twice is a duplicate, and two exchanged lines are mixed order."""
    lines = sample.write(BARS).split(b"\n")
    first = len(lines) - 49
    if copied:
        lines.insert(first + other, lines[first + one])
    else:
        lines[first + one], lines[first + other] = lines[first + other], lines[first + one]
    columns = outcome(tmp_path, sample, b"\n".join(lines))
    assert (columns is None) is (copied or one != other)


@LINES
@MANY
@given(data=st.data())
def test_shuffled_columns_read_the_same_or_are_refused(sample: Sample, data: st.DataObject, tmp_path: Path) -> None:
    """With their header, columns in any order read the same; cells shuffled under a header that stays are refused.

    An exception that nothing in the file shows: cells that are not read (counts, the taker's
    volumes) exchanged among themselves.
    """
    lines = [line.split(b",") for line in sample.write(BARS).split(b"\n") if line]
    rows = [cells for cells in lines if len(cells) == len(lines[-1])]
    above = lines[: len(lines) - len(rows)]
    order = data.draw(st.permutations(range(len(rows[0]))))
    header = not rows[0][0][:1].isdigit()
    with_header = data.draw(st.booleans()) and header
    mixed = [[cells[k] for k in order] for cells in rows]
    if header and not with_header:
        mixed[0] = rows[0]
    columns = outcome(tmp_path, sample, b"\n".join(b",".join(cells) for cells in [*above, *mixed, [b""]]))
    if with_header:
        assert columns is not None
    if columns is not None:
        assert wrong_rows(columns, BARS) == []


@pytest.mark.parametrize("level", [1e-4, 1.0, 1e3, 1e6])
def test_no_order_of_cells_under_a_plain_header_is_read_wrong(level: float, tmp_path: Path) -> None:
    """Of all orders of a plain table's numbers under its header, only the true one reads, whatever the volumes are."""
    sample = next(one for one in SAMPLES if one.name == "BTC-PERP_1h.csv")
    header, *rows = sample.write({**BARS, "volume": BARS["volume"] * level}).splitlines()
    cells = [row.split(b",") for row in rows]
    for order in permutations(range(1, 6)):
        mixed = [b",".join(row[k] for k in (0, *order)) for row in cells]
        columns = outcome(tmp_path, sample, b"\n".join([header, *mixed, b""]))
        assert (columns is not None) is (order == (1, 2, 3, 4, 5)), order


@EVERY
@MANY
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused_or_holds_whole_bars(sample: Sample, share: float, tmp_path: Path) -> None:
    """A file cut anywhere is refused, or reads to whole bars but for the last, whose last cell may be cut.

    A last cell cut in the middle of a number is still a number: only the note about the missing line
    end shows it, where the last cell is the volume.
    """
    whole = sample.write(BARS)
    columns = outcome(tmp_path, sample, whole[: int(share * len(whole))])
    if columns is None:
        return
    rows = len(columns["timestamp"])
    truth = in_time(BARS, sample)
    expected = {
        name: values[-rows:] if sample.key == "cryptodatadownload" else values[:rows] for name, values in truth.items()
    }
    for name in COLUMNS[:-1]:
        assert np.array_equal(columns[name], expected[name])
    inner = slice(1, None) if sample.key == "cryptodatadownload" else slice(None, -1)
    assert np.array_equal(columns["volume"][inner], expected["volume"][inner])


@pytest.mark.parametrize("comma", [True, False])
@pytest.mark.parametrize("sample", TEXTS, ids=lambda sample: f"{sample.key}-{sample.name}")
def test_numbers_of_another_country_are_refused(sample: Sample, comma: bool, tmp_path: Path) -> None:
    """Decimal commas, and points between thousands, are refused and never read as other numbers."""
    text = sample.write(BARS).decode()
    other = text.replace(",", ";").replace(".", ",") if comma else text.replace("4", "4.", 1)
    columns = outcome(tmp_path, sample, other.encode())
    assert columns is None or wrong_rows(columns, BARS) == []


@EVERY
@MANY
@given(
    noise=st.binary(min_size=1, max_size=300),
    magic=st.sampled_from([b"", b"PAR1", b"ARROW1\0\0", b"PK\3\4", b"[", b"\x1f\x8b"]),
)
def test_noise_is_refused(sample: Sample, noise: bytes, magic: bytes, tmp_path: Path) -> None:
    """Bytes of no meaning are refused in one line, whatever they begin with."""
    assert outcome(tmp_path, sample, magic + noise) is None


def test_a_stamp_of_another_unit_in_one_row_is_no_other_time(tmp_path: Path) -> None:
    """One row in seconds among milliseconds reads to its own time."""
    sample = SAMPLES[0]
    text = sample.write(BARS).replace(
        str(START // 10**6 + 5 * HOUR // 10**6).encode(), str(START // 10**9 + 5 * 3600).encode(), 1
    )
    columns = outcome(tmp_path, sample, text)
    assert columns is not None
    assert wrong_rows(columns, BARS) == []


def test_trailing_bytes_after_gzip_are_refused(tmp_path: Path) -> None:
    """Bytes appended to a gzip file are refused."""
    sample = next(one for one in SAMPLES if one.name.endswith(".csv.gz"))
    assert outcome(tmp_path, sample, sample.write(BARS) + b"junk") is None
    assert gzip.decompress(sample.write(BARS))
