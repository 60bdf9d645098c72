"""Cleaning: nothing is repaired unasked, what is repaired is flagged, and no repair looks ahead for a backtest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import DataError, LookAheadError, ParameterError
from markets.cleaning import CleaningParams, clean_candles, clean_funding
from markets.repairs import outlier_scores

HOUR = 3_600_000_000_000
START = 1_704_067_200_000_000_000  # 2024-01-01
REPAIRS = ("forward_fill", "mean", "interpolate")
COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")


def walk(rows: int, seed: int = 1) -> dict[str, Any]:
    """A table of hourly bars without a defect."""
    generator = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(generator.normal(0, 0.005, rows)))
    opens = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(opens, close) * (1 + 0.002 * generator.random(rows))
    low = np.minimum(opens, close) * (1 - 0.002 * generator.random(rows))
    stamps = START + np.arange(rows, dtype=np.int64) * HOUR
    return dict(zip(COLUMNS, (stamps, opens, high, low, close, 1 + generator.random(rows)), strict=True))


def rows_of(columns: dict[str, Any], rows: Any) -> dict[str, Any]:
    """Some rows of a table, as copies."""
    return {name: np.array(values[rows]) for name, values in columns.items()}


def doubled() -> dict[str, Any]:
    """A table whose bar 4 stands there twice, the second time with another volume."""
    columns = rows_of(walk(30), [*range(5), 4, *range(5, 30)])
    columns["volume"][5] *= 1.5
    return columns


def spoiled(column: str, row: int, value: float) -> dict[str, Any]:
    """A table with one cell changed."""
    columns = walk(30)
    columns[column][row] = value
    return columns


DEFECTS: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "missing": (
        lambda: rows_of(walk(30), [k for k in range(30) if k not in (7, 8, 20)]),
        "misses 3 bar.*2024-01-01 06:00",
    ),
    "duplicates": (doubled, "whose stamp another row has.*2024-01-01 04:00 UTC .row 5."),
    "order": (lambda: rows_of(walk(30), [0, 1, 3, 2, *range(4, 30)]), "mixed order.*row 3"),
    "not_a_number": (lambda: spoiled("low", 9, np.nan), "empty or not finite.*09:00 UTC .row 9."),
    "nonpositive": (lambda: spoiled("low", 9, -1.0), "not above zero.*row 9"),
    "ohlc": (lambda: spoiled("open", 9, 500.0), "low <= open.*row 9"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_every_defect_is_refused_by_default(defect: str) -> None:
    """Without a choice each defect is a DataError that names it, the time and the row."""
    make, message = DEFECTS[defect]
    with pytest.raises(DataError, match=message):
        clean_candles(make())


def test_a_clean_table_is_left_alone() -> None:
    """A table without a defect comes out as it went in, whatever repairs are chosen."""
    columns = walk(200)
    chosen = CleaningParams(missing="mean", duplicates="drop_duplicate", ohlc="clip_open", not_a_number="forward_fill")
    cleaned = clean_candles(columns, chosen)
    assert all(np.array_equal(cleaned.columns[name], columns[name]) for name in COLUMNS)
    assert not cleaned.touched.any()
    assert cleaned.counts == {}
    assert len(cleaned.candles()) == 200


def test_newest_first_is_turned_round_and_said() -> None:
    """A table that stands newest first is turned round, with a note."""
    cleaned = clean_candles(rows_of(walk(30), slice(None, None, -1)))
    assert np.array_equal(cleaned.columns["close"], walk(30)["close"])
    assert any("newest first" in note for note in cleaned.notes)


@pytest.mark.parametrize("repair", REPAIRS)
def test_missing_bars_are_filled_as_chosen(repair: str) -> None:
    """A missing bar has four equal prices and no volume: close before, trailing mean, or straight line."""
    whole = walk(30)
    make, _ = DEFECTS["missing"]
    cleaned = clean_candles(make(), CleaningParams(missing=repair, mean_window=3), purpose="chart")
    close = whole["close"]
    expected = {
        "forward_fill": close[6],
        "mean": close[4:7].mean(),
        "interpolate": close[6] + (close[9] - close[6]) / 3,
    }
    for name in ("open", "high", "low", "close"):
        assert cleaned.columns[name][7] == pytest.approx(expected[repair], rel=1e-12)
    assert list(np.flatnonzero(cleaned.touched)) == [7, 8, 20]
    assert not cleaned.columns["volume"][[7, 8, 20]].any()
    assert cleaned.counts == {f"missing: {repair}": 3}
    untouched = ~cleaned.touched
    assert np.array_equal(cleaned.columns["close"][untouched], close[untouched])
    assert np.array_equal(cleaned.columns["timestamp"], whole["timestamp"])


def test_a_trailing_mean_takes_filled_bars_in() -> None:
    """The second of two missing bars is the mean of the closes before it, the filled one among them."""
    make, _ = DEFECTS["missing"]
    cleaned = clean_candles(make(), CleaningParams(missing="mean", mean_window=2))
    close = walk(30)["close"]
    assert cleaned.columns["close"][8] == pytest.approx((close[6] + (close[5] + close[6]) / 2) / 2, rel=1e-12)


def test_interpolation_is_refused_for_a_backtest() -> None:
    """Interpolation is a ParameterError for a backtest, and a chart's table gives no Candles."""
    make, _ = DEFECTS["missing"]
    with pytest.raises(ParameterError, match=r"cleaning.missing = 'interpolate': looks ahead"):
        clean_candles(make(), CleaningParams(missing="interpolate"))
    cleaned = clean_candles(make(), CleaningParams(missing="interpolate"), purpose="chart")
    with pytest.raises(LookAheadError, match="interpolated"):
        cleaned.candles()


@pytest.mark.parametrize("defect", ["not_a_number", "nonpositive", "ohlc"])
@pytest.mark.parametrize("repair", ["forward_fill", "mean"])
def test_impossible_bars_are_replaced_and_flagged(defect: str, repair: str) -> None:
    """A bar that cannot be is replaced as a whole and flagged; the bars around it stay."""
    make, _ = DEFECTS[defect]
    cleaned = clean_candles(make(), CleaningParams(**{defect: repair}))
    close = walk(30)["close"]
    assert cleaned.columns["close"][9] == pytest.approx(close[8] if repair == "forward_fill" else close[:9].mean())
    assert list(np.flatnonzero(cleaned.touched)) == [9]
    assert cleaned.candles().touched[9]


def test_an_open_is_clipped_into_its_bar() -> None:
    """clip_open moves an open to the nearer of high and low, and mends no other violation."""
    cleaned = clean_candles(spoiled("open", 9, 500.0), CleaningParams(ohlc="clip_open"))
    assert cleaned.columns["open"][9] == walk(30)["high"][9]
    assert list(np.flatnonzero(cleaned.touched)) == [9]
    with pytest.raises(DataError, match="low <= open"):
        clean_candles(spoiled("close", 9, 500.0), CleaningParams(ohlc="clip_open"))


def test_duplicates_keep_the_first_in_the_file() -> None:
    """Of two rows of one stamp the first in the file stays; the bar is flagged because they differed."""
    cleaned = clean_candles(doubled(), CleaningParams(duplicates="drop_duplicate"))
    assert np.array_equal(cleaned.columns["volume"], walk(30)["volume"])
    assert list(np.flatnonzero(cleaned.touched)) == [4]
    turned = clean_candles(rows_of(doubled(), slice(None, None, -1)), CleaningParams(duplicates="drop_duplicate"))
    assert turned.columns["volume"][4] == pytest.approx(1.5 * walk(30)["volume"][4])


def test_equal_duplicates_flag_nothing_and_clear_conflicts_are_refused() -> None:
    """A row that stands there twice in the same words changes nothing; prices 2 % apart are never chosen between."""
    columns = rows_of(walk(30), [*range(5), 4, *range(5, 30)])
    assert not clean_candles(columns, CleaningParams(duplicates="drop_duplicate")).touched.any()
    columns["close"][5] *= 1.02
    with pytest.raises(DataError, match="disagree in close"):
        clean_candles(columns, CleaningParams(duplicates="drop_duplicate"))


def test_long_gaps_are_never_filled() -> None:
    """A gap longer than longest_fill is refused although filling was chosen."""
    columns = rows_of(walk(60), [*range(20), *range(50, 60)])
    with pytest.raises(DataError, match=r"longest of 30 after the bar.*raise longest_fill above 24"):
        clean_candles(columns, CleaningParams(missing="forward_fill"))
    assert len(clean_candles(columns, CleaningParams(missing="forward_fill", longest_fill=30)).touched) == 60


def test_stamps_off_the_grid_are_always_refused() -> None:
    """A stamp beside the grid has no repair: nobody knows where its bar belongs."""
    columns = walk(30)
    columns["timestamp"][9] += HOUR // 3
    with pytest.raises(DataError, match=r"beside the grid of 1h bars.*row 9"):
        clean_candles(columns, CleaningParams(missing="forward_fill"))


def test_empty_bars_before_the_first_price_are_left_out_and_said() -> None:
    """Where empty bars may be repaired, those with nothing before them are left out with a note."""
    columns = walk(30)
    for name in ("open", "high", "low", "close"):
        columns[name][:2] = np.nan
    cleaned = clean_candles(columns, CleaningParams(not_a_number="forward_fill"))
    assert len(cleaned.touched) == 28
    assert any("first 2 bar(s)" in note for note in cleaned.notes)
    with pytest.raises(DataError, match="empty or not finite"):
        clean_candles(columns)


@given(cut=st.integers(25, 119), seed=st.integers(0, 3), repair=st.sampled_from(["forward_fill", "mean"]))
def test_no_repair_looks_ahead(cut: int, seed: int, repair: str) -> None:
    """What cleaning makes of the bars up to a moment does not depend on any later row."""
    generator = np.random.default_rng(seed)
    kept = np.sort(np.concatenate(([0], 1 + generator.permutation(118)[:100], [119])))
    columns = rows_of(walk(120, seed), kept)
    columns["high"][40] *= 1.4
    columns["open"][50] = 1.0
    columns["close"][60] = np.nan
    chosen = CleaningParams(
        missing=repair, not_a_number=repair, ohlc=repair, outliers=repair, outlier_window=20, outlier_score=8.0
    )
    whole = clean_candles(columns, chosen, bar=HOUR)
    until = columns["timestamp"] <= START + cut * HOUR
    part = clean_candles(rows_of(columns, until), chosen, bar=HOUR)
    rows = len(part.touched)
    assert all(np.array_equal(part.columns[name], whole.columns[name][:rows]) for name in COLUMNS)
    assert np.array_equal(part.touched, whole.touched[:rows])


def test_a_bad_print_scores_and_is_repaired_only_when_asked() -> None:
    """One wild high scores far above its neighbours; by default it stays, because a real wick looks the same."""
    columns = walk(300)
    columns["high"][200] *= 1.3
    scores = outlier_scores(columns, 100)
    assert int(np.argmax(scores)) == 200
    assert scores[200] > 50 > 20 > np.max(np.delete(scores, 200))
    assert not clean_candles(columns).touched.any()
    assert list(np.flatnonzero(clean_candles(columns, CleaningParams(outliers="forward_fill")).touched)) == [200]
    with pytest.raises(DataError, match="outlier_score in 1 bar"):
        clean_candles(columns, CleaningParams(outliers="error"))


def test_funding_holes_are_refused_or_kept_never_filled() -> None:
    """A hole in funding is an error or stays a hole; a change of the interval is no hole."""
    hours = np.array([*range(0, 80, 8), *range(104, 200, 8), *range(200, 300, 4)])
    columns = {"timestamp": START + hours * HOUR, "funding_rate": np.full(len(hours), 1e-4)}
    with pytest.raises(DataError, match=r"1 hole.*2024-01-04 00:00"):
        clean_funding(columns)
    kept = clean_funding(columns, CleaningParams(missing="keep"))
    assert len(kept.funding()) == len(hours)
    assert any("keeps them" in note for note in kept.notes)
    whole = np.delete(hours, np.flatnonzero(hours < 104))
    regular = {"timestamp": START + whole * HOUR, "funding_rate": np.full(len(whole), 1e-4)}
    assert len(clean_funding(regular).funding()) == len(whole)


def test_unknown_policies_are_named() -> None:
    """A policy that does not exist is a ParameterError that names those that do."""
    with pytest.raises(ParameterError, match=r"cleaning.missing = 'guess'.*forward_fill"):
        CleaningParams(missing="guess")  # type: ignore[arg-type]
