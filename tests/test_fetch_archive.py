"""The monthly archive: whole months from files that are checked against their SHA-256, the rest page by page."""

# A stand-in takes what it is handed, whether it uses every argument or not.
# ruff: noqa: ARG005

from __future__ import annotations

from pathlib import Path

import pytest
from fetch_desk import Retry, expected, fetch, same, stored, truth
from venue_server import serving
from venue_truth import DAY, HOUR, LISTED

from foundation.errors import DataError
from markets.series import list_series


@pytest.mark.parametrize("venue", ["binance_usdm", "binance_coinm"])
@pytest.mark.parametrize("kind", ["candles", "mark"])
def test_months_come_from_the_archive_and_the_rest_from_pages(venue: str, kind: str, tmp_path: Path) -> None:
    """January and February 2023 are over and in the archive; of March only pages know. The rows are the truth."""
    with serving(truth(now=LISTED + 70 * DAY)) as served:
        done = fetch(served, tmp_path, venue, only=[kind], archive=True)[kind]
        assert same(stored(tmp_path, venue, kind), expected(served.truth, venue, kind))
        assert len(served.paths(".zip.CHECKSUM")) == 2
        assert [len(served.paths(f"{month}.zip")) for month in ("2023-01", "2023-02", "2023-03")] == [2, 2, 0]
    assert done.notes[0] == "2 month(s) came from the archive, checked against its SHA-256"
    sources = [one.sources for one in list_series(tmp_path)]
    assert sources == [(f"{venue} archive", f"{venue} REST")]


def test_months_that_are_not_there_yet_come_page_by_page(tmp_path: Path) -> None:
    """On the second of March the file of February is not up: it is asked for, missed, said, and fetched by pages."""
    with serving(truth()) as served:
        done = fetch(served, tmp_path, archive=True)["candles"]
        assert same(stored(tmp_path), expected(served.truth))
        assert served.paths("2023-02.zip") == [
            "/data/futures/um/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2023-02.zip.CHECKSUM"
        ]
    assert "1 month(s) are not in the archive: asked for page by page" in done.notes


def test_a_file_without_its_checksum_is_not_used(tmp_path: Path) -> None:
    """What cannot be checked is fetched by pages instead."""
    with serving(truth(now=LISTED + 70 * DAY)) as served:
        served.damage = lambda path, body: None if path.endswith(".CHECKSUM") else body
        fetch(served, tmp_path, archive=True)
        assert same(stored(tmp_path), expected(served.truth))
        assert [path for path in served.paths(".zip") if path.endswith(".zip")] == []


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    """A file with other bytes than its CHECKSUM file says stops the fetch, and nothing of it is stored."""
    with serving(truth(now=LISTED + 70 * DAY)) as served:
        served.damage = lambda path, body: body if path.endswith(".CHECKSUM") else body[:-1] + b"x"
        with pytest.raises(DataError, match=r"BTCUSDT-1h-2023-01.zip: its SHA-256 is .* it is damaged; nothing of it"):
            fetch(served, tmp_path, archive=True)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("stated", [b"", b"not found", b"0123  BTCUSDT-1h-2023-02.zip\n", b"<html>\n"])
def test_a_checksum_that_says_nothing_is_refused(stated: bytes, tmp_path: Path) -> None:
    """A CHECKSUM file that does not name the SHA-256 of this very file is no checksum."""
    with serving(truth(now=LISTED + 70 * DAY)) as served:
        served.damage = lambda path, body: stated if path.endswith("01.zip.CHECKSUM") else body
        with pytest.raises(
            DataError, match=r"2023-01.zip.CHECKSUM: does not name the SHA-256 of BTCUSDT-1h-2023-01.zip"
        ):
            fetch(served, tmp_path, archive=True)


@pytest.mark.parametrize("fault", ["503", "429:2", "cut", "drop"])
def test_the_archive_is_asked_again_like_the_venue(fault: str, tmp_path: Path) -> None:
    """Files that come in pieces, or not at first, are asked for again; a file is never used in part."""
    with serving(truth(now=LISTED + 70 * DAY)) as served:
        failed: set[str] = set()

        def once(number: int, path: str) -> str | None:
            if not path.startswith("/data/") or path in failed:
                return None
            failed.add(path)
            return fault

        served.faults = once
        fetch(served, tmp_path, archive=True, retry=Retry(attempts=3))
        assert same(stored(tmp_path), expected(served.truth))


def test_a_gap_in_a_file_is_asked_for_page_by_page(tmp_path: Path) -> None:
    """Bars that a monthly file lacks and the venue has are stored all the same."""
    with serving(truth(now=LISTED + 70 * DAY, gaps=[(LISTED + 5 * DAY, LISTED + 5 * DAY + 3 * HOUR)])) as served:
        fetch(served, tmp_path, archive=True, until="2023-02-01")
        served.truth.gaps = []
        assert fetch(served, tmp_path, archive=True, until="2023-02-01")["candles"].added == 3
        assert len(stored(tmp_path)["timestamp"]) == 31 * 24


def test_months_that_are_stored_are_not_asked_for(tmp_path: Path) -> None:
    """A second fetch downloads no file again."""
    with serving(truth(now=LISTED + 70 * DAY)) as served:
        fetch(served, tmp_path, archive=True)
        before = len(served.paths("/data/"))
        fetch(served, tmp_path, archive=True)
        assert len(served.paths("/data/")) == before


def test_the_archive_can_be_left_alone(tmp_path: Path) -> None:
    """Without it the same rows come by pages."""
    with serving(truth(now=LISTED + 70 * DAY)) as served:
        fetch(served, tmp_path, archive=False)
        assert served.paths("/data/") == []
        assert same(stored(tmp_path), expected(served.truth))


def test_mark_prices_are_never_stored_as_candles(tmp_path: Path) -> None:
    """A file of mark prices in the place of one of candles is told by its lack of volume."""
    from venue_archive import archive_file

    with serving(truth(now=LISTED + 70 * DAY)) as served:
        served.damage = lambda path, body: archive_file(served.truth, path.replace("/klines/", "/markPriceKlines/"))
        with pytest.raises(DataError, match=r"2023-01.zip: holds mark, not candles"):
            fetch(served, tmp_path, archive=True)
