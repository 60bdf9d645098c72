"""Faults planted in fetching, each of which the stored rows show, or the fetch refuses."""

# A stand-in takes what it is handed, whether it uses every argument or not.
# ruff: noqa: ARG005

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fetch_desk import NOW, expected, fetch, same, stored, truth
from venue_archive import archive_file
from venue_server import serving
from venue_truth import DAY, HOUR, LISTED, Truth

from foundation.errors import DataError
from markets.fetching import archive, fetching, pages, parts, retry, rows, series, venues
from markets.fetching.spans import Span
from markets.fetching.venues import VENUES, Endpoint, Venue

Patch = pytest.MonkeyPatch
Check = Callable[[Path], bool]


def whole(folder: Path, venue: str = "binance_usdm", kind: str = "candles", **changes: Any) -> bool:
    """Whether a fetch ends with the truth."""
    with serving(truth(), **changes) as served:
        fetch(served, folder, venue, only=[kind])
        return same(stored(folder, venue, kind), expected(served.truth, venue, kind))


def in_two_steps(folder: Path) -> bool:
    """Whether a fetch that goes on three days later ends with the truth."""
    with serving(truth(now=NOW - 3 * DAY)) as served:
        fetch(served, folder)
        served.truth.now = NOW
        fetch(served, folder)
        return same(stored(folder), expected(served.truth))


def with_failures(folder: Path) -> bool:
    """Whether a fetch whose every third request fails once ends with the truth."""
    return whole(folder, faults=lambda number, path: "503" if number % 3 == 2 else None)


def from_cut_pages(folder: Path) -> bool:
    """Whether pages that hold fewer rows than they might end with the truth."""
    return whole(folder, mangle=lambda path, query, payload: payload[-90:] if path.endswith("/klines") else payload)


def from_damaged_files(folder: Path) -> bool:
    """Whether an archive file with one price changed is refused, or the truth is stored all the same."""
    other = Truth(now=LISTED + 70 * DAY, revised={("candles", LISTED + 9 * HOUR): 777.0})

    def damage(path: str, body: bytes) -> bytes | None:
        return body if path.endswith(".CHECKSUM") else archive_file(other, path)

    with serving(truth(now=LISTED + 70 * DAY), damage=damage) as served:
        try:
            fetch(served, folder, archive=True)
        except DataError:
            return not (folder / "store").exists()
        return same(stored(folder), expected(served.truth))


def after_a_revision(folder: Path) -> bool:
    """Whether a stored bar that the venue has changed is refused."""
    with serving(truth(now=NOW - DAY)) as served:
        fetch(served, folder)
        last = int(stored(folder)["timestamp"][-1])
        served.truth.revised[("candles", last)] = 777.0
        served.truth.now = NOW
        try:
            fetch(served, folder)
        except DataError:
            return True
        return False


def _endpoint(venue: str, kind: str, change: Callable[[Endpoint], Endpoint]) -> Callable[[Patch], None]:
    def plant(patch: Patch) -> None:
        known: Venue = VENUES[venue]
        changed = replace(known, endpoints={**known.endpoints, kind: change(known.endpoints[kind])})
        patch.setattr(venues, "VENUES", {**VENUES, venue: changed})

    return plant


def _venue(venue: str, **changes: Any) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(venues, "VENUES", {**VENUES, venue: replace(VENUES[venue], **changes)})


def _attribute(owner: Any, name: str, value: Any) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(owner, name, value)


def _late_spans(held: Any, wanted: Span, bar: int) -> list[Span]:
    from markets.fetching.spans import missing_bars

    return [Span(one.start + bar * bool(len(held)), one.end) for one in missing_bars(held, wanted, bar)]


def _short_pages(span: Span, length: int) -> list[Span]:
    from markets.fetching.spans import pages as split

    return [Span(one.start, one.end - HOUR) for one in split(span, length)]


def _skip(self: retry.Retrier, what: str, once: Callable[[], Any]) -> Any:
    try:
        return once()
    except retry.Transient:
        return []


def _no_ends(self: pages.Pager, asked: Span, found: Any, *, full: bool) -> list[Span]:
    return []


def _local_time(client: Any) -> int:
    return time.time_ns()


def _running_bar(patch: Patch) -> None:
    append = series.append_rows
    patch.setattr(parts, "floor_to", lambda stamp, bar: stamp // bar * bar + bar)
    late = lambda *words, fetched_at, **more: append(*words, fetched_at=fetched_at + DAY, **more)  # noqa: E731
    patch.setattr(series, "append_rows", late)


def _other_symbol(patch: Patch) -> None:
    change = lambda one: replace(one, params={**one.params, "symbol": "ETHUSDT"}, symbol=None)  # noqa: E731
    _endpoint("binance_usdm", "funding", change)(patch)


def _first_only(columns: Any, span: Span) -> Any:
    return rows.chosen(columns, (columns["timestamp"] >= span.start) & (columns["timestamp"] < span.end - HOUR))


def _quiet(self: series.SeriesFetch, columns: Any) -> None:
    self.revise = True


FAULTS: dict[str, tuple[Callable[[Patch], None], Check]] = {
    "the running bar is stored": (_running_bar, whole),
    "this machine's clock counts": (_attribute(fetching, "venue_time", _local_time), whole),
    "the last bar of each page is lost": (_attribute(pages, "pages", _short_pages), whole),
    "the last bar of each answer is dropped": (_attribute(pages, "within", _first_only), whole),
    "a fetch goes on one bar too late": (_attribute(series, "missing_bars", _late_spans), in_two_steps),
    "a failed page counts as empty": (_attribute(retry.Retrier, "run", _skip), with_failures),
    "a cut page counts as whole": (_attribute(pages.Pager, "_unanswered", _no_ends), from_cut_pages),
    "the checksum is not compared": (_attribute(archive, "_verify", lambda *words: None), from_damaged_files),
    "mark prices are stored as candles": (
        _endpoint("binance_usdm", "candles", lambda one: replace(one, call="fapiPublicGetMarkPriceKlines")),
        whole,
    ),
    "candles are stored as mark prices": (
        _endpoint("binance_usdm", "mark", lambda one: replace(one, call="fapiPublicGetKlines")),
        lambda folder: whole(folder, kind="mark"),
    ),
    "funding is that of another symbol": (_other_symbol, lambda folder: whole(folder, kind="funding")),
    "milliseconds are read as seconds": (_attribute(rows, "_UNITS", {"ms": 10**9, "s": 10**9}), whole),
    "seconds are read as milliseconds": (
        _endpoint("gate", "candles", lambda one: replace(one, stamp="ms")),
        lambda folder: whole(folder, "gate"),
    ),
    "closes of bars are taken for opens": (
        _endpoint("bitmex", "candles", lambda one: replace(one, stamped_at="open")),
        lambda folder: whole(folder, "bitmex"),
    ),
    "contracts are taken for coins": (_venue("gate", contracts=False), lambda folder: whole(folder, "gate")),
    "quote volume is taken for base volume": (
        _endpoint("bybit_inverse", "candles", lambda one: replace(one, columns={**one.columns, "volume": 5})),
        lambda folder: whole(folder, "bybit_inverse"),
    ),
    "the estimated rate is taken for the paid one": (
        _endpoint("okx", "funding", lambda one: replace(one, columns={**one.columns, "funding_rate": "fundingRate"})),
        lambda folder: whole(folder, "okx", "funding"),
    ),
    "a changed bar is written over": (_attribute(series.SeriesFetch, "_compare", _quiet), after_a_revision),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_seen(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the fault the check passes; with it the rows are not the truth, or the fetch ends in an error."""
    plant, check = FAULTS[name]
    assert check(tmp_path / "right")
    plant(monkeypatch)
    try:
        seen = not check(tmp_path / "wrong")
    except DataError:
        seen = True
    assert seen


def test_a_page_that_begins_a_bar_early_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that overlap store every bar once."""
    from markets.fetching.spans import pages as split

    monkeypatch.setattr(
        pages, "pages", lambda span, length: [Span(one.start - HOUR, one.end) for one in split(span, length)]
    )
    assert whole(tmp_path)
    assert (np.diff(stored(tmp_path)["timestamp"]) == HOUR).all()
