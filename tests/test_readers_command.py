"""`crossgate data import` and `crossgate data check`, and the files that they leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reader_samples import HOUR, SAMPLES, START, archive, binance_rows, make_bars, write_sample
from typer.testing import CliRunner

from crossgate.command_line import app, main
from foundation.errors import DataError, ParameterError
from markets.cleaning import CleaningParams
from markets.readers.importing import import_files
from markets.series import SeriesKey, read_rows
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


def imported(*paths: Path, out: Path, **more: Any) -> list[tuple[str, int, int, int]]:
    """The series that an import wrote to, with its counts of new, known and revised rows."""
    done = import_files(paths, out, **{"symbol": "binance_usdm:", **more})
    return [(one.series, one.added, one.known, one.revised) for one in done]


def contradiction(path: Path) -> str:
    """The text of an archive file with a slightly larger volume in its fifth bar, which its row does not give away."""
    lines = path.read_text().split()
    cells = lines[5].split(",")
    cells[5] = f"{float(cells[5]) * 1.0001:.8f}"
    return "\n".join([*lines[:5], ",".join(cells), *lines[6:], ""])


def test_an_import_is_a_market(tmp_path: Path) -> None:
    """Two months of archive files become one series of the store, which loads as the same candles without a path."""
    code, out, _ = run("import", *months(tmp_path), "--symbol", "binance_usdm:BTCUSDT", "--out", tmp_path / "data")
    assert code == 0
    assert "BTCUSDT candles 1h: 48 rows, 2024-01-01 00:00 to 2024-01-02 23:00 UTC: 48 new, 0 known" in out
    assert "read as Binance archive because its header names the twelve columns" in out
    market = load_market("binance_usdm:BTCUSDT", bar="1h", data=tmp_path / "data")
    assert np.array_equal(market.candles.close, BARS["close"])
    assert np.array_equal(market.candles.timestamp, BARS["timestamp"])


def test_an_import_twice_changes_nothing(tmp_path: Path) -> None:
    """The second import finds all rows known, in any order of files, and leaves every byte; so does a part of them."""
    paths = months(tmp_path)
    data = tmp_path / "data"
    name = "binance_usdm:BTCUSDT candles 1h"
    assert imported(*paths, out=data) == [(name, 48, 0, 0)]
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert imported(*reversed(paths), out=data) == [(name, 0, 48, 0)]
    assert imported(paths[0], out=data) == [(name, 0, 24, 0)]
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


def test_other_rows_need_revise(tmp_path: Path) -> None:
    """A file that contradicts the store is refused with the place; --revise takes it and keeps the old rows."""
    paths = months(tmp_path)
    imported(*paths, out=tmp_path / "data")
    paths[1].write_text(contradiction(paths[1]))
    with pytest.raises(DataError, match=r"holds other rows at 1 .* 2024-01-01 04:00 UTC: volume is"):
        imported(*paths, out=tmp_path / "data")
    code, out, _ = run("import", *paths, "--symbol", "binance_usdm:", "--out", tmp_path / "data", "--revise")
    assert code == 0
    assert "0 new, 47 known, 1 revised" in out
    assert len(list((tmp_path / "data").rglob("_replaced/*.parquet"))) == 1


def test_the_second_series_is_refused_before_the_first_is_written(tmp_path: Path) -> None:
    """Of two series of which one contradicts the store neither is written."""
    first, second = months(tmp_path)
    imported(second, out=tmp_path / "data", symbol="binance_usdm:ZZZUSDT")
    other = tmp_path / "ZZZUSDT-1h-2024-01.csv"
    other.write_text(contradiction(second))
    with pytest.raises(DataError, match="ZZZUSDT candles 1h: holds other rows"):
        imported(first, other, out=tmp_path / "data")
    code, out, _ = run("list", "--data", tmp_path / "data", "--json")
    assert code == 0
    assert [one["symbol"] for one in json.loads(out)["series"]] == ["ZZZUSDT"]


def test_another_symbol_than_that_of_the_file_is_told(tmp_path: Path) -> None:
    """A file of bitcoin that is stored as ether is taken, with a warning; another spelling of its symbol is none."""
    first, _ = months(tmp_path)
    for symbol, warned in (("ETHUSDT", True), ("BTC-USDT", False), ("BTCUSDT", False)):
        code, out, _ = run("import", first, "--symbol", f"elsewhere:{symbol}", "--out", tmp_path / "data")
        assert code == 0
        assert ("warning: BTCUSDT-1h-2024-02.csv says BTCUSDT" in out) == warned


def test_files_of_different_symbols_are_not_joined(tmp_path: Path) -> None:
    """One symbol for files that name two is refused: their rows would follow one another as if they were one price."""
    first, second = months(tmp_path)
    other = first.rename(tmp_path / "ETHUSDT-1h-2024-02.csv")
    with pytest.raises(ParameterError, match="would join files of BTCUSDT, ETHUSDT"):
        imported(other, second, out=tmp_path / "data", symbol="binance_usdm:BTCUSDT")
    assert len(imported(other, second, out=tmp_path / "data")) == 2


def test_the_list_says_what_is_there(tmp_path: Path) -> None:
    """data list prints a line for each series, and JSON with everything the manifest says; an empty store says so."""
    code, out, _ = run("list", "--data", tmp_path / "data")
    assert (code, "is empty" in out) == (0, True)
    path = tmp_path / "BTCUSDT-1h-2024-01.csv"
    path.write_text("\n".join([line for k, line in enumerate(binance_rows(BARS)) if k != 7]))
    imported(path, out=tmp_path / "data", cleaning=CleaningParams(missing="forward_fill"))
    _, out, _ = run("list", "--data", tmp_path / "data")
    line = next(line for line in out.splitlines() if "candles" in line).split()
    assert line[:6] == ["binance_usdm", "BTCUSDT", "candles", "1h", "2024-01-01", "00:00"]
    assert line[6:13] == ["2024-01-02", "23:00", "48", "0", "0", "1", "0"]
    _, out, _ = run("list", "--data", tmp_path / "data", "--json")
    (record,) = json.loads(out)["series"]
    assert record["rows"] == 48
    assert record["touched"] == 1
    assert record["sources"] == ["Binance archive: BTCUSDT-1h-2024-01.csv"]
    assert record["fetched_at"] >= "2024"


def test_a_refused_file_leaves_nothing(tmp_path: Path) -> None:
    """Where one of several files is refused none is written."""
    good = write_sample(tmp_path, SAMPLES[0], BARS)
    bad = tmp_path / "ETHUSDT-1h-2024-01.csv"
    bad.write_text("\n".join([line for k, line in enumerate(binance_rows(BARS)) if k != 7]))
    with pytest.raises(DataError, match=r"ETHUSDT.* misses 1 bar"):
        imported(good, bad, out=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_defect_of_the_second_file_is_named_there(tmp_path: Path) -> None:
    """In joined files a defect is named with the file and the line it stands in."""
    paths = months(tmp_path)
    lines = paths[0].read_text().split()
    paths[0].write_text("\n".join([*lines[:5], *lines[6:], ""]))
    with pytest.raises(DataError, match=r"line 5 of BTCUSDT-1h-2024-02.csv"):
        imported(*paths, out=tmp_path / "store")


def test_overlapping_files_need_a_choice(tmp_path: Path) -> None:
    """Files that overlap are duplicates: refused, or the first kept; equal rows flag no bar."""
    whole = write_sample(tmp_path, SAMPLES[0], BARS)
    (tmp_path / "parts").mkdir()
    part = months(tmp_path / "parts")[0]
    with pytest.raises(DataError, match="24 rows whose stamp another row has"):
        imported(whole, part, out=tmp_path / "store")
    keep = CleaningParams(duplicates="drop_duplicate")
    (done,) = import_files([whole, part], tmp_path / "store", symbol="binance_usdm:", cleaning=keep)
    assert (done.rows, done.touched) == (48, 0)


def test_touched_bars_reach_the_market(tmp_path: Path) -> None:
    """A repaired bar is flagged in the file, in the candles, and in what the command prints."""
    path = tmp_path / "BTCUSDT-1h-2024-01.csv"
    path.write_text("\n".join([line for k, line in enumerate(binance_rows(BARS)) if k != 7]))
    repair = ("--symbol", "binance_usdm:", "--repair", "missing=forward_fill")
    code, out, _ = run("import", path, "--out", tmp_path, *repair)
    assert code == 0
    assert "1 touched" in out
    assert "missing: forward_fill: 1 bar" in out
    candles = load_market("binance_usdm:BTCUSDT", bar="1h", data=tmp_path).candles
    assert list(np.flatnonzero(candles.touched)) == [7]
    assert candles.close[7] == BARS["close"][6]


def test_interpolation_never_reaches_the_data_folder(tmp_path: Path) -> None:
    """A repair that looks ahead is a ParameterError at import, with one line and nothing written."""
    words = ("--symbol", "binance_usdm:", "--repair", "missing=interpolate")
    code, _, error = run("import", *months(tmp_path), "--out", tmp_path / "s", *words)
    assert code != 0
    assert "looks ahead" in error
    assert not (tmp_path / "s").exists()


def test_marks_and_funding_are_series_of_their_own(tmp_path: Path) -> None:
    """Each kind is a series in hive partitions, and holds the rows of its file."""
    frame = pd.DataFrame({"timestamp": pd.to_datetime(START + np.arange(9) * 8 * HOUR, utc=True), "rate": 1e-4})
    frame.to_csv(tmp_path / "rates.csv", index=False)
    mark = tmp_path / "BTC_USDT_USDT-1h-mark.feather"
    mark.write_bytes(next(one for one in SAMPLES if one.name.endswith(".feather")).write(BARS))
    done = import_files([tmp_path / "rates.csv", mark], tmp_path / "s", symbol="okx:BTC-USDT")
    assert [one.series for one in done] == ["okx:BTC-USDT funding", "okx:BTC-USDT mark 1h"]
    key = SeriesKey("okx", "BTC-USDT", "mark", HOUR)
    assert np.array_equal(read_rows(tmp_path / "s", key)["close"], BARS["close"])
    assert (key.home(tmp_path / "s") / "year=2024").is_dir()


def test_a_symbol_is_asked_for_and_checked(tmp_path: Path) -> None:
    """A file that names no symbol needs one, and a symbol cannot leave the folder."""
    path = tmp_path / "prices.csv"
    path.write_bytes(next(one for one in SAMPLES if one.key == "plain").write(BARS))
    with pytest.raises(ParameterError, match="symbol: is not said in"):
        import_files([path], tmp_path / "s")
    for word in ("../../BTC", "BTCUSDT", "a:b:c", ":BTC", "binance_usdm:"):
        with pytest.raises(ParameterError, match="symbol"):
            import_files([path], tmp_path / "s", symbol=word)
    with pytest.raises(ParameterError, match=r"is all that .* says; --symbol VENUE:SYMBOL"):
        import_files(months(tmp_path), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_check_prints_the_report(tmp_path: Path) -> None:
    """check prints the format, the counts and the verdict, writes nothing, and exits with 1 where import refuses."""
    path = tmp_path / "BTCUSDT-1h-2024-01.csv"
    path.write_text("\n".join([line for k, line in enumerate(binance_rows(BARS)) if k != 7]))
    code, out, _ = run("check", path)
    assert code == 1
    assert "missing 1 of 48, in 1 gaps (largest 1 bars after 2024-01-01 06:00)" in out
    assert "import refuses it: misses 1 bar(s) of 1h" in out
    assert list(tmp_path.iterdir()) == [path]
    code, out, _ = run("check", path, "--repair", "missing=forward_fill")
    assert code == 0
    assert "import takes it" in out


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
    named = ["--symbol", "binance_usdm:", "--out", str(tmp_path / "s")]
    monkeypatch.setattr("sys.argv", ["crossgate", "data", "import", str(path), *named, *words])
    with pytest.raises(SystemExit) as caught:
        main()
    printed = capsys.readouterr()
    assert caught.value.code == 2
    assert printed.err.startswith("crossgate: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "s").exists()
