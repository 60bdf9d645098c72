"""Live series: rows shown as they are published are what the whole file says, for a join and for a live forecaster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_faults import mutated
from planted_market import SHORT, TINY, planted_market
from simple_market import HOUR, START

from foundation.errors import DataError
from markets.exogenous import Exogenous
from markets.live_series import LiveSeries, Published
from markets.market import Market
from models.forecasts import Bar, collect_forecasts, market_bars
from models.live import LiveForecasters
from models.parameters import FeatureParams
from models.storage import load_model, save_model
from models.trained import train_model
from models.walkforward import walk_forward, walk_forward_models

DAY = 24 * HOUR
FEATURES = FeatureParams(columns=("return:1", "mood.index", "mood.age_hours", "news.tone", "news.count"))
MODEL = TINY.replaced(start="zero", steps=20, check=10)


def mood(first: int = -20, last: int = 60) -> Exogenous:
    """A number of each day, public three hours after it began, some two days late, and stale after two days."""
    random, event = np.random.default_rng(1), START + DAY * np.arange(first, last)
    published = event + 3 * HOUR + np.where(event // DAY % 7 == 0, 40 * HOUR, 0)
    return Exogenous("mood", event, published, {"index": random.normal(size=len(event))}, 2 * DAY, neutral=0.25)


def news(first: int = -30, last: int = 1200) -> Exogenous:
    """Items at any minute, public ten minutes later, of which a bar is shown the mean of half a day."""
    random = np.random.default_rng(2)
    event = np.sort(START + HOUR * random.integers(first, last, 300) + 60_000_000_000 * random.integers(0, 60, 300))
    return Exogenous(
        "news", event, event + HOUR // 6, {"tone": random.uniform(-1, 1, 300)}, 7 * DAY, neutral=0.0, window=DAY // 2
    )


MARKET = planted_market(800, trend=0.6).with_exogenous(mood(), news())


def cut(series: Exogenous, time: int) -> tuple[Exogenous, list[Published]]:
    """The rows that were public at a time as history, and those that came later one by one."""
    early = series.published <= time
    values = {name: one[early] for name, one in series.values.items()}
    history = Exogenous(
        series.name, series.event[early], series.published[early], values, series.stale_after, series.neutral,
        series.window,
    )  # fmt: skip
    order = np.argsort(series.published[~early], kind="stable")
    rows = [
        Published(
            series.name,
            int(series.event[k]),
            int(series.published[k]),
            {n: float(v[k]) for n, v in series.values.items()},
        )
        for k in np.flatnonzero(~early)[order]
    ]
    return history, rows


def apart(shown: dict[str, float], whole: dict[str, Any], row: int) -> float:
    """The largest difference of two joins at one time; NaN counts as equal to NaN alone."""
    differences = [0.0]
    for name, value in shown.items():
        other = float(whole[name][row])
        differences.append(0.0 if np.isnan(value) and np.isnan(other) else abs(value - other))
    return float(np.max(differences)) if not np.isnan(differences).any() else np.inf


ROWS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20), st.floats(-5, 5)), min_size=2, max_size=25)


@given(
    rows=ROWS, known=st.integers(1, 25), steps=st.lists(st.integers(0, 9), min_size=1, max_size=20),
    stale=st.integers(1, 30), window=st.sampled_from([None, 1, 6]),
)  # fmt: skip
def test_what_is_joined_live_is_what_the_whole_file_joins(
    rows: list[tuple[int, int, float]], known: int, steps: list[int], stale: int, window: int | None
) -> None:
    """Any rows, as history or one by one, any clock: values, means, counts and ages are the batch's to 1e-9."""
    event, lag, values = (np.array(one) for one in zip(*rows, strict=True))
    neutral = None if window is None else 0.5
    settings: tuple[Any, ...] = (stale * HOUR, neutral, None if window is None else window * HOUR)
    whole = Exogenous("one", event * HOUR, (event + lag) * HOUR, {"value": values}, *settings)
    history, later = cut(whole, int(np.sort(whole.published)[min(known, len(rows)) - 1]))
    live, times = LiveSeries(history), np.cumsum(steps) * HOUR + 5 * HOUR
    joined, waiting = whole.joined(times), list(later)
    for row, time in enumerate(times.tolist()):
        # A row comes in when it is public, before the close that it belongs to.
        while waiting and waiting[0].published <= time:
            live.publish(waiting.pop(0))
        assert apart(live.at(time), joined, row) < 1e-9
    assert live.late == 0


FEED = Callable[[LiveForecasters, Bar], None]


def fed(live: LiveForecasters, rows: list[Published], early: int = 0) -> list[float]:
    """The means of a live forecaster that is handed bars without anything joined, and rows as they are published."""
    means, waiting = [], sorted(rows, key=lambda row: row.published)
    for bar in market_bars(MARKET, []):
        while waiting and waiting[0].published <= bar.timestamp + HOUR + early:
            live.publish(waiting.pop(0)._replace())
        means.append(live.forecast(bar).mean)
    return means


def market_at(time: int) -> tuple[Market, list[Published]]:
    """The market with the rows that were public at a time, and the others."""
    (one, more), (other, rest) = cut(mood(), time), cut(news(), time)
    return planted_market(800, trend=0.6).with_exogenous(one, other), more + rest


def test_a_live_forecaster_is_handed_rows_as_they_are_published() -> None:
    """Two joined series, ages and counts, through all refits: bars without them, and rows in time, say the batch's."""
    made = walk_forward_models(MARKET, MODEL, FEATURES, walk=SHORT, workers=1)
    whole = collect_forecasts(made, MARKET).series["TEST"]
    time = int(MARKET.candles.timestamp[200])
    early, later = market_at(time)
    live = LiveForecasters(made._models, FEATURES, MODEL, None, {"TEST": early.exogenous})
    means = np.array(fed(live, later))
    said = np.isfinite(means)
    assert np.array_equal(MARKET.candles.timestamp[said][-len(whole) :], whole.timestamp)
    assert np.abs(means[said][-len(whole) :] - whole.mean).max() < 1e-9
    live.reset()
    again = np.array(fed(live, []))
    assert np.array_equal(again, means, equal_nan=True), "what was published is not forgotten with the bars"
    bars = list(market_bars(MARKET, []))
    assert np.isfinite(live.forecast(bars[-1]._replace(timestamp=bars[-1].timestamp + HOUR)).mean)
    walked = walk_forward(MARKET, MODEL, FEATURES, walk=SHORT, workers=1).series["TEST"]
    np.testing.assert_allclose(whole.mean, walked.mean[-len(whole) :], atol=2e-6 * walked.sigma.mean())


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("rows[self._taken].published <= time:", "rows[self._taken].event <= time:"),
        ("rows[self._taken].published <= time:", "rows[self._taken].published < time:"),
        ("(row.event, *row[:3]) > (newest.event, *newest[:3])", "row > newest"),
        ("age = (time - newest.event) / HOUR", "age = (time - newest.published) / HOUR"),
        ("stale = time - newest.event > series.stale_after", "stale = False"),
        ("rows[self._first].published <= begin:", "rows[self._first].published < begin:"),
        ("min(age, series.stale_after / HOUR)", "age"),
        ("COUNT: float(len(inside))", "COUNT: float(len(inside) + 1)"),
    ],
)  # fmt: skip
def test_faults_of_a_live_series_are_seen(right: str, wrong: str) -> None:
    """Planted: a score before its publication, an old row for a new one, ages, limits and windows that are not kept."""
    faulty = mutated("markets.live_series", right, wrong).LiveSeries
    times = START + HOUR // 6 * np.arange(0, 6 * 800)
    differences = []
    for series in (mood(), news()):
        live, whole = faulty(series), series.joined(times)
        differences += [apart(live.at(time), whole, row) for row, time in enumerate(times.tolist())]
    assert max(differences) > 1e-9


def test_rows_that_come_late_count_from_the_next_bar_on() -> None:
    """A row handed in after the bar by whose close it was public is counted, and shown from the next bar on."""
    whole = mood(-2, 3)
    history, (late, *_) = cut(whole, START - DAY // 2)
    live, times = LiveSeries(history), START + np.array([2, 4, 5]) * HOUR
    joined = whole.joined(times)
    assert apart(live.at(int(times[0])), joined, 0) == 0.0
    assert live.at(int(times[1]))["mood.age_hours"] > float(joined["mood.age_hours"][1])
    live.publish(late)
    assert live.late == 1
    assert apart(live.at(int(times[2])), joined, 2) == 0.0
    with pytest.raises(DataError, match="after a later time; rewind it"):
        live.at(int(times[0]))
    live.rewind()
    assert apart(live.at(int(times[1])), joined, 1) == 0.0


def test_what_no_file_could_hold_is_refused() -> None:
    """A row of another series, without its value, not finite or public before what it speaks of: one line each."""
    live, row = LiveSeries(mood()), Published("mood", START, START + HOUR, {"index": 1.0})
    for wrong, said in (
        (row._replace(name="news"), "mood: is handed news with index; mood with index"),
        (row._replace(values={"other": 1.0}), "is handed mood with other"),
        (row._replace(values={"index": np.nan}), "has no finite value at 2024-01-01 00:00 UTC"),
        (row._replace(published=START - 1), "was public at 2023-12-31 23:59"),
    ):
        with pytest.raises(DataError, match=said):
            live.publish(wrong)
    assert len(live._rows) == len(mood())


def test_a_trained_model_goes_on_where_its_file_ended(tmp_path: Any) -> None:
    """Saved, loaded, joined to its market again and fed, it says what the whole says; not joined, what is missing."""
    early, later = market_at(int(MARKET.candles.timestamp[500]))
    trained = train_model(early.rows(0, 500), model=MODEL, features=FEATURES, seeds=1, workers=1)
    whole = trained.forecasts(MARKET).series["TEST"]
    loaded = load_model(save_model(trained, tmp_path / "model"))
    with pytest.raises(DataError, match=r"is shown a bar without mood\.index; put it into Bar\.known"):
        fed(loaded, [])
    live = loaded.joining(early)
    means = np.array(fed(live, later))
    said = means[np.isfinite(means)]
    np.testing.assert_allclose(said, whole.mean[-len(said) :], atol=2e-6 * whole.sigma.mean())
    assert len(said) > 100
    with pytest.raises(DataError, match='joins no series moods to any symbol; did you mean "mood"'):
        live.publish(Published("moods", START, START, {"index": 0.0}))
