"""`crossgate data import` and `crossgate data check`, and the files that they leave."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from reader_samples import HOUR, SAMPLES, START, archive, binance_rows, make_bars, write_sample
from typer.testing import CliRunner

from crossgate.command_line import app, main
from foundation.errors import DataError, ParameterError
from markets.cleaning import CleaningParams
from markets.readers.importing import import_files
from markets.store import load_market

BARS = make_bars()


def months(folder: Path) -> list[Path]:
    """The archive's file divided in two, the later first."""
    lines = archive(BARS).decode().split()
    paths = [folder / "BTCUSDT-1h-2024-02.csv", folder / "BTCUSDT-1h-2024-01.csv"]
    paths[0].write_text("\n".join([lines[0], *lines[25:], ""]))
    paths[1].write_text("\n".join([*lines[:25], ""]))
    return paths


def run(*words: str | Path) -> tuple[int, str, str]:
    """The exit code and what was printed on standard output and error."""
    result = CliRunner().invoke(app, ["data", *map(str, words)])
    error = f"{result.exception}" if result.exception and not isinstance(result.exception, SystemExit) else ""
    return result.exit_code, result.stdout, result.stderr + error


def test_an_import_is_a_market(tmp_path: Path) -> None:
    """Two months of archive files become one file of the data folder, which loads as the same candles."""
    code, out, _ = run("import", *months(tmp_path), "--symbol", "binance_usdm:BTCUSDT", "--out", tmp_path / "store")
    assert code == 0
    assert "written, 48 rows of 1h, 2024-01-01 00:00 to 2024-01-02 23:00 UTC" in out
    assert "read as Binance archive because its header names the twelve columns" in out
    market = load_market("binance_usdm:BTCUSDT", "ohlcv/binance_usdm_BTCUSDT_1h.parquet", data=tmp_path / "store")
    assert np.array_equal(market.candles.close, BARS["close"])
    assert np.array_equal(market.candles.timestamp, BARS["timestamp"])


def test_an_import_twice_changes_nothing(tmp_path: Path) -> None:
    """The second import says unchanged and leaves the file; other rows are refused until --replace."""
    paths = months(tmp_path)
    store = tmp_path / "store"
    (first,) = import_files(paths, store)
    stamp = first.path.stat().st_mtime_ns
    (again,) = import_files(list(reversed(paths)), store)
    assert (first.state, again.state) == ("written", "unchanged")
    assert again.path.stat().st_mtime_ns == stamp
    with pytest.raises(DataError, match="holds other rows; say --replace"):
        import_files(paths[:1], store)
    assert pq.read_table(first.path).num_rows == 48
    (other,) = import_files(paths[:1], store, replace=True)
    assert (other.state, other.rows) == ("replaced", 24)


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    """Two imports of the same files write the same bytes."""
    one = import_files(months(tmp_path), tmp_path / "a")[0].path
    other = import_files(months(tmp_path), tmp_path / "b")[0].path
    assert one.read_bytes() == other.read_bytes()


def test_a_refused_file_leaves_nothing(tmp_path: Path) -> None:
    """Where one of several files is refused none is written."""
    good = write_sample(tmp_path, SAMPLES[0], BARS)
    bad = tmp_path / "ETHUSDT-1h-2024-01.csv"
    bad.write_text("\n".join([line for k, line in enumerate(binance_rows(BARS)) if k != 7]))
    with pytest.raises(DataError, match=r"ETHUSDT.* misses 1 bar"):
        import_files([good, bad], tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_defect_of_the_second_file_is_named_there(tmp_path: Path) -> None:
    """In joined files a defect is named with the file and the line it stands in."""
    paths = months(tmp_path)
    lines = paths[0].read_text().split()
    paths[0].write_text("\n".join([*lines[:5], *lines[6:], ""]))
    with pytest.raises(DataError, match=r"line 5 of BTCUSDT-1h-2024-02.csv"):
        import_files(paths, tmp_path / "store")


def test_overlapping_files_need_a_choice(tmp_path: Path) -> None:
    """Files that overlap are duplicates: refused, or the first kept; equal rows flag no bar."""
    whole = write_sample(tmp_path, SAMPLES[0], BARS)
    (tmp_path / "parts").mkdir()
    part = months(tmp_path / "parts")[0]
    with pytest.raises(DataError, match="24 rows whose stamp another row has"):
        import_files([whole, part], tmp_path / "store")
    (done,) = import_files([whole, part], tmp_path / "store", cleaning=CleaningParams(duplicates="drop_duplicate"))
    assert (done.rows, done.touched) == (48, 0)


def test_touched_bars_reach_the_market(tmp_path: Path) -> None:
    """A repaired bar is flagged in the file, in the candles, and in what the command prints."""
    path = tmp_path / "BTCUSDT-1h-2024-01.csv"
    path.write_text("\n".join([line for k, line in enumerate(binance_rows(BARS)) if k != 7]))
    code, out, _ = run("import", path, "--out", tmp_path, "--repair", "missing=forward_fill")
    assert code == 0
    assert "1 touched" in out
    assert "missing: forward_fill: 1 bar" in out
    candles = load_market("binance_usdm:BTCUSDT", "ohlcv/BTCUSDT_1h.parquet", data=tmp_path).candles
    assert list(np.flatnonzero(candles.touched)) == [7]
    assert candles.close[7] == BARS["close"][6]


def test_interpolation_never_reaches_the_data_folder(tmp_path: Path) -> None:
    """A repair that looks ahead is a ParameterError at import, with one line and nothing written."""
    code, _, error = run("import", *months(tmp_path), "--out", tmp_path / "s", "--repair", "missing=interpolate")
    assert code != 0
    assert "looks ahead" in error
    assert not (tmp_path / "s").exists()


def test_marks_and_funding_go_to_their_folders(tmp_path: Path) -> None:
    """The three kinds lie where the data folder has them, under the names it uses."""
    frame = pd.DataFrame({"timestamp": pd.to_datetime(START + np.arange(9) * 8 * HOUR, utc=True), "rate": 1e-4})
    frame.to_csv(tmp_path / "rates.csv", index=False)
    mark = tmp_path / "BTC_USDT_USDT-1h-mark.feather"
    mark.write_bytes(next(one for one in SAMPLES if one.name.endswith(".feather")).write(BARS))
    done = import_files([tmp_path / "rates.csv", mark], tmp_path / "s", symbol="okx:BTC-USDT")
    assert sorted(one.path.relative_to(tmp_path / "s").as_posix() for one in done) == [
        "funding/okx_BTC-USDT_funding.parquet",
        "mark/okx_BTC-USDT_mark_1h.parquet",
    ]
    assert pq.read_schema(done[1].path).names == ["timestamp", "open", "high", "low", "close"]


def test_a_symbol_is_asked_for_and_checked(tmp_path: Path) -> None:
    """A file that names no symbol needs one, and a symbol cannot leave the folder."""
    path = tmp_path / "prices.csv"
    path.write_bytes(next(one for one in SAMPLES if one.key == "plain").write(BARS))
    with pytest.raises(ParameterError, match="symbol: is not said in"):
        import_files([path], tmp_path / "s")
    with pytest.raises(ParameterError, match="is no symbol"):
        import_files([path], tmp_path / "s", symbol="../../BTC")


def test_check_prints_the_report(tmp_path: Path) -> None:
    """check prints the format, the counts and the verdict, and writes nothing."""
    path = tmp_path / "BTCUSDT-1h-2024-01.csv"
    path.write_text("\n".join([line for k, line in enumerate(binance_rows(BARS)) if k != 7]))
    code, out, _ = run("check", path)
    assert code == 0
    assert "missing 1 of 48, in 1 gaps (largest 1 bars after 2024-01-01 06:00)" in out
    assert "import refuses it: misses 1 bar(s) of 1h" in out
    assert list(tmp_path.iterdir()) == [path]


def test_check_prints_json(tmp_path: Path) -> None:
    """--json prints one object with a record for each file, an unreadable one among them, and exits with 2."""
    good = write_sample(tmp_path, SAMPLES[0], BARS)
    code, out, _ = run("check", good, tmp_path / "none.csv", "--json")
    assert code == 2
    first, second = json.loads(out)["files"]
    assert first["quality"]["missing"] == 0
    assert first["refused"] is None
    assert "there is no such file" in second["error"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "binanse"], "format = 'binanse': is not known"),
        (["--kind", "candle"], "kind = 'candle': is not known"),
        (["--columns", "open"], "columns = 'open': is no pair OURS=THEIRS"),
        (["--repair", "missing"], "repair = 'missing': is no pair DEFECT=POLICY"),
        (["--repair", "gaps=mean"], "cleaning.gaps = 'mean': is not a known key"),
        (["--repair", "longest_fill=0"], "cleaning.longest_fill = 0"),
        (["--utc-offset", "40"], "utc_offset = 40.0: should be -14 to 14 hours"),
    ],
)
def test_a_wrong_word_is_one_line_and_exit_code_2(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake at the command line is one line on standard error, exit code 2, and no file."""
    path = write_sample(tmp_path, SAMPLES[0], BARS)
    monkeypatch.setattr("sys.argv", ["crossgate", "data", "import", str(path), "--out", str(tmp_path / "s"), *words])
    with pytest.raises(SystemExit) as caught:
        main()
    printed = capsys.readouterr()
    assert caught.value.code == 2
    assert printed.err.startswith("crossgate: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "s").exists()
