"""Exogenous series: joined as of their publication, carried no longer than they last, refused without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from look_ahead import what_changes
from planted_market import candles_around, planted_market
from simple_market import HOUR, START, contract

from crossgate.config import build_config, load_config
from crossgate.job import load_markets, make_forecasts
from foundation.errors import DataError, ParameterError
from markets.candles import FloatArray
from markets.exogenous import Exogenous
from markets.exogenous_files import ExogenousParams, load_exogenous
from markets.market import Market
from markets.text_scores import _MAKERS, score_texts, text_scorer
from models.features import compute_features, parse_column, parse_columns
from models.forecasts import market_bars
from models.inputs import input_notes
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
from models.proof import check_feature, disturbed
from models.stepping import FeatureStepper
from models.walkforward import walk_forward

CONFIG = Path(__file__).resolve().parents[1] / "backtests" / "configs" / "sentiment_1h.toml"
TINY = LSTMParams(hidden=4, steps=10, batch=8, chunk=32, burn_in=4, volatility_bars=4)
BARS = 1500


def series(**more: Any) -> Exogenous:
    """A daily number, public three hours after the day began."""
    random, event = np.random.default_rng(1), START + 24 * HOUR * np.arange(-1, 70)
    made: dict[str, Any] = {
        "name": "mood", "event": event, "published": event + 3 * HOUR,
        "values": {"index": random.normal(size=len(event))}, "stale_after": 48 * HOUR, **more,
    }  # fmt: skip
    return Exogenous(**made)


MARKET = planted_market(BARS).with_exogenous(series())


def witness(one: Exogenous, time: int) -> dict[str, float]:
    """What was known at a time, row by row from the text of docs/features.md."""
    public = [row for row in range(len(one)) if one.published[row] <= time]
    if not public:
        return dict.fromkeys(one.columns, np.nan)
    newest = max(public, key=lambda row: (one.event[row], one.published[row], row))
    age, limit = time - int(one.event[newest]), one.stale_after
    shown: dict[str, float] = {}
    inside = [row for row in public if one.window is not None and one.published[row] > time - one.window]
    for name, values in one.values.items():
        if one.window is not None:
            shown[name] = float(np.mean([values[row] for row in inside])) if inside else np.nan
        else:
            shown[name] = float(values[newest]) if age <= limit else np.nan
    if one.window is not None:
        shown["count"] = float(len(inside))
    shown["age_hours"] = age / HOUR
    if one.neutral is not None:
        shown = {name: one.neutral if np.isnan(value) else value for name, value in shown.items()}
        shown["age_hours"] = min(shown["age_hours"], limit / HOUR)
    elif one.window is None and age > limit:
        shown["age_hours"] = np.nan
    return {f"{one.name}.{name}": value for name, value in shown.items()}


@given(
    rows=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), st.floats(-5, 5)), min_size=1, max_size=25),
    times=st.lists(st.integers(-2, 90), min_size=1, max_size=12),
    stale=st.integers(1, 40),
    neutral=st.sampled_from([None, 0.5]),
    window=st.sampled_from([None, 5, 30]),
)
def test_joins_agree_with_the_witness(
    rows: list[tuple[int, int, float]], times: list[int], stale: int, neutral: float | None, window: int | None
) -> None:
    """Rows in any order, together, late or stale: the search finds what a walk over all rows finds."""
    event, lag, value = (np.array(column) for column in zip(*rows, strict=True))
    one = series(
        event=event, published=event + lag, values={"index": value}, stale_after=stale, neutral=neutral, window=window
    )
    joined = one.joined(np.array(times))
    for row, time in enumerate(times):
        for name, expected in witness(one, time).items():
            assert joined[name][row] == pytest.approx(expected, abs=1e-9, nan_ok=True), (name, time)


def test_a_value_is_known_from_its_publication_on() -> None:
    """A day's value, public at 03:00, is shown first by the bar that closes at 03:00; its age counts from the day."""
    one, values = series(), parse_column("mood.index").compute(MARKET)
    age = parse_column("mood.age_hours").compute(MARKET)
    assert values[:2].tolist() == [one.values["index"][0]] * 2
    assert values[2:26].tolist() == [one.values["index"][1]] * 24
    assert age[:4].tolist() == [25.0, 26.0, 3.0, 4.0]


@pytest.mark.parametrize("name", ["mood.index", "mood.age_hours"])
def test_a_joined_series_is_proven_like_every_feature(name: str) -> None:
    """Rows that are public later change nothing, and the value steps bar by bar."""
    check_feature(name, MARKET)


def forecasts_at(row: int, one: Any) -> Any:
    """What is forecast at the bars up to a row with the joined series among the features."""

    def observe(market: Any) -> Any:
        features, walk = FeatureParams(columns=("return:1", "mood.index")), WalkForwardParams(train="15d", test="10d")
        made = walk_forward(one(market), TINY, features, walk=walk, seeds=1, workers=1, cache=False).series["TEST"]
        return {"mean": made.mean[made.timestamp <= market.candles.timestamp[row]]}

    return observe


def test_a_join_on_event_time_is_caught() -> None:
    """Planted: a day's value joined to the day itself, before it was public. The disturbance of later rows sees it."""
    row = 24 * 25 + 1
    honest = MARKET.rows(0, 840)

    def leaking(market: Any) -> Any:
        one = market.exogenous[0]
        return replace(market, exogenous=(replace(one, published=one.event),))

    def changes(one: Any) -> set[str]:
        before, after = (forecasts_at(row, one)(market) for market in (honest, disturbed(honest, row)))
        return {name for name in before if not np.array_equal(before[name], after[name])}

    assert changes(lambda market: market) == set()
    assert changes(leaking) == {"mean"}


def test_a_join_that_shows_the_next_row_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a search from the wrong side, and one row too far; the proof of features refuses both."""
    honest = Exogenous.joined

    def one_row_early(self: Exogenous, times: Any) -> dict[str, FloatArray]:
        return honest(self, times + 24 * HOUR)

    monkeypatch.setattr(Exogenous, "joined", one_row_early)
    with pytest.raises(Exception, match="it must use bars up to its own row only"):
        check_feature("mood.index", MARKET)


def test_stepping_is_the_batch() -> None:
    """Shown bar by bar with what is joined to each, a stepper gives the batch's rows."""
    columns = parse_columns(["return:1", "mood.index", "mood.age_hours"])
    stepper = FeatureStepper(columns, HOUR)
    stepped = np.array([stepper.step(bar) for bar in market_bars(MARKET.rows(0, 200))])
    batch = compute_features(MARKET.rows(0, 200), columns).values
    np.testing.assert_allclose(stepped, batch, rtol=1e-6)


def test_what_is_stale_is_refused_or_neutral() -> None:
    """Beyond its limit a value is an error that says when, or a neutral one stands in, and the notes say so."""
    one = series()
    cut = {"event": one.event[:20], "published": one.published[:20], "values": {"index": one.values["index"][:20]}}
    with pytest.raises(DataError, match=r"mood\.index: is nan at row 480 .*2024-01-21 00:00 UTC; .*neutral value"):
        parse_column("mood.index").compute(replace(MARKET, exogenous=(series(**cut),)))
    market = replace(MARKET, exogenous=(series(**cut, neutral=0.0),))
    values = parse_column("mood.index").compute(market)
    assert values[479] == one.values["index"][19]
    assert set(values[480:]) == {0.0}
    assert set(parse_column("mood.age_hours").compute(market)[480:]) == {48.0}
    assert input_notes(market, ["mood.index"]) == [
        "mood of TEST: nothing fresh was known at 68.0% of the bars, where 0 stands in"
    ]
    assert input_notes(market, ["funding_rate"]) == []
    assert input_notes(MARKET, ["mood.index"]) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"published": np.array([START - HOUR]), "event": np.array([START])}, "was public at .* already"),
        ({"event": np.array([START]), "published": np.array([START])}, "1 rows, and 71 of index"),
        ({"name": "Mood"}, "cannot have a series called 'Mood'"),
        ({"values": {"count": np.zeros(71)}}, "cannot have a series called 'count'"),
        ({"values": {"index": np.full(71, np.nan)}}, r"has no finite index at 2023-12-31 00:00 UTC \(row 0\)"),
        ({"stale_after": 0}, "stale_after"),
    ],
)
def test_what_a_series_refuses(more: dict[str, Any], said: str) -> None:
    """Publication before the event, columns of other lengths, holes and strange names are errors in one line."""
    if "event" in more and said.startswith("was"):
        more = {**more, "values": {"index": np.zeros(1)}}
    with pytest.raises(DataError, match=said):
        series(**more)


def test_an_unknown_series_is_named() -> None:
    """A column of a series that is not joined is an error with a suggestion; so are two series of one name."""
    with pytest.raises(DataError, match=r'has no series mood.indx; did you mean "mood.index"'):
        parse_column("mood.indx").compute(MARKET)
    with pytest.raises(DataError, match="two exogenous series of one name"):
        MARKET.with_exogenous(series())


def write(folder: Path, text: str) -> Path:
    """A folder with a file rows.csv."""
    (folder / "rows.csv").write_text(text)
    return folder


PLAIN: dict[str, Any] = {"name": "mood", "file": "rows.csv", "time": "day", "values": ["Mood Index"]}
LASTS: dict[str, Any] = {"stale_after": "2d"}


def test_a_file_without_publication_is_refused() -> None:
    """Neither a column of publication times nor a lag: the file is not read at all."""
    with pytest.raises(ParameterError, match="published_after: is missing for mood: nobody knew a row at the time"):
        ExogenousParams(**PLAIN, **LASTS)
    with pytest.raises(ParameterError, match=r"exogenous\.stale_after: is missing"):
        ExogenousParams(**PLAIN, published_after="2h")
    with pytest.raises(ParameterError, match=r"exogenous\.window = '24h': needs a neutral value"):
        ExogenousParams(**PLAIN, **LASTS, published_after="2h", window="24h")


def test_a_file_is_read(tmp_path: Path) -> None:
    """Dates, a publication column, a lag on top of it, and midnight as the end of a day, all in UTC."""
    folder = write(tmp_path, "day,out,Mood Index\n2024-01-01,2024-01-01 05:00,3\n2024-01-02,2024-01-03 00:00,4.5\n")
    one = load_exogenous(**PLAIN, **LASTS, published="out", published_after="30m", data=folder)
    assert one.event.tolist() == [START, START + 24 * HOUR]
    assert one.published.tolist() == [START + 5 * HOUR + HOUR // 2, START + 48 * HOUR + HOUR // 2]
    assert one.values["mood_index"].tolist() == [3.0, 4.5]
    late = load_exogenous(**PLAIN, **LASTS, published_after="0m", midnight="end_of_day", data=folder)
    assert late.published.tolist() == late.event.tolist() == [START + 24 * HOUR, START + 48 * HOUR]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("day,Mood Index\n2024-01-01,\n", "has no finite mood_index in line 2"),
        ("day,Mood Index\n2024-01-01,high\n", "holds 'high' in line 2, not a number"),
        ("day,Mood Index\nsoon,1\n", "holds 'soon' in line 2"),
        ("day,Mood\n2024-01-01,1\n", "is no column of .*rows.csv; known: Mood, day"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """An empty cell, a word, a date that is none and a missing column are named with their place."""
    with pytest.raises((DataError, ParameterError), match=said):
        load_exogenous(**PLAIN, **LASTS, published_after="2h", midnight="exact", data=write(tmp_path, text))


def test_dates_alone_are_no_publication(tmp_path: Path) -> None:
    """The news of a day, dated by it, were not out as it began: what a date means has to be written."""
    folder = write(tmp_path, "day,out,Mood Index\n2024-01-01,2024-01-02,3\n2024-01-02,2024-01-03,4.5\n")
    said = (
        r"^exogenous\.midnight: is missing for mood: column {} of .*rows\.csv holds dates without an hour; \"end_of_day"
    )
    for column, how in (("day", {"published_after": "2h"}), ("out", {"published": "out"})):
        with pytest.raises(ParameterError, match=said.format(column)):
            load_exogenous(**PLAIN, **LASTS, **how, data=folder)
        exact = load_exogenous(**PLAIN, **LASTS, **how, midnight="exact", data=folder)
        late = load_exogenous(**PLAIN, **LASTS, **how, midnight="end_of_day", data=folder)
        assert (late.published - exact.published).tolist() == [24 * HOUR] * 2
    hours = write(tmp_path, "day,Mood Index\n2024-01-01,3\n2024-01-02 13:00,4.5\n")
    assert len(load_exogenous(**PLAIN, **LASTS, published_after="2h", data=hours)) == 2


def test_a_time_is_no_publication(tmp_path: Path) -> None:
    """What a row speaks of says nothing about who knew it; and where that is said all the same, a note says so."""
    with pytest.raises(
        ParameterError, match=r"exogenous\.published = 'day': is the column of what a row of mood speaks"
    ):
        ExogenousParams(**PLAIN, **LASTS, published="day")
    folder = write(tmp_path, "day,out,Mood Index\n2024-01-01 13:00,2024-01-01 13:00,3\n")
    for how in ({"published": "out"}, {"published_after": "0m"}):
        assert load_exogenous(**PLAIN, **LASTS, **how, data=folder).notes == (
            "each row of mood is taken to have been public at the very time that it speaks of",
        )
    assert load_exogenous(**PLAIN, **LASTS, published="out", published_after="1m", data=folder).notes == ()


def test_texts_are_scored(tmp_path: Path) -> None:
    """VADER scores words from -1 to 1; a scorer of one's own takes its place by name, and is held to the range."""
    pytest.importorskip("vaderSentiment", reason="scored text needs the extra text")
    lines = "day,head\n2024-01-01 10:00,A wonderful day: great gains!\n2024-01-01 11:00,A terrible and awful crash\n"
    table = {"name": "talk", "file": "rows.csv", "time": "day", "text": "head", **LASTS, "published_after": "1m"}
    scores = load_exogenous(**table, data=write(tmp_path, lines)).values["score"]
    assert scores[0] > 0.5
    assert scores[1] < -0.5
    text_scorer("loudness")(lambda text: min(1.0, text.count("!") / 2.0))
    text_scorer("broken")(len)
    try:
        assert load_exogenous(**table, scorer="loudness", data=tmp_path).values["score"].tolist() == [0.5, 0.0]
        with pytest.raises(DataError, match=r"scorer broken: gives 3\.0 for 'abc'; a number from -1 to 1"):
            score_texts(["abc"], "broken")
        with pytest.raises(ParameterError, match='did you mean "vader"'):
            score_texts(["abc"], "vadr")
    finally:
        del _MAKERS["loudness"], _MAKERS["broken"]


def test_the_joined_values_are_part_of_what_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another value, lag or limit in a series makes other fingerprints: of the market, and of the kept forecasts."""
    monkeypatch.setenv("CROSSGATE_CACHE", str(tmp_path))
    changed = series(values={"index": series().values["index"] + 1e-9})
    later = series(published=series().published + HOUR)
    markets = [replace(MARKET, exogenous=(one,)) for one in (series(), changed, later, series(stale_after=50 * HOUR))]
    assert len({market.fingerprint for market in markets}) == 4
    features, walk = FeatureParams(columns=("return:1", "mood.index")), WalkForwardParams(train="15d", scheme="holdout")
    for market in (
        markets[0],
        replace(MARKET, exogenous=(series(values={"index": series().event / 1e18}),)),
        markets[2],
    ):
        walk_forward(market.rows(0, 600), TINY, features, walk=walk, seeds=1, workers=1)
    assert len(list(tmp_path.rglob("networks/*/*.npz"))) == 3


def test_tables_in_a_config() -> None:
    """[[exogenous]] tables are read, numbered in errors, kept in the record, and joined to the symbols they name."""
    config = load_config(CONFIG)
    assert [table.name for table in config.exogenous] == ["fear_greed", "news"]
    assert build_config(config.record()) == config
    with pytest.raises(Exception, match=r"\[\[exogenous\]\] table 1: exogenous.published_after: is missing"):
        build_config({"exogenous": [{**PLAIN, **LASTS}]})


def told_market(late: int) -> Market:
    """A market whose next return a series tells in part, public `late` bars after the close it should be known at."""
    random, bars = np.random.default_rng(11), 1000
    told = random.normal(size=bars)
    returns = np.concatenate(([0.0], 0.002 * told[:-1])) + 0.005 * random.normal(size=bars)
    candles = candles_around(20_000.0 * np.exp(np.cumsum(returns)), random)
    close = candles.timestamp + candles.bar
    one = Exogenous("tip", close, close + late * candles.bar, {"value": told}, 48 * HOUR)
    return Market(contract("TEST"), candles, synthetic=True, oracle=0.002 * told).with_exogenous(one)


def test_what_a_series_tells_is_learned_while_it_is_news() -> None:
    """A tip on the next bar is worth most of what the oracle knows; public one bar later it is worth nothing."""
    worth = []
    for late in (0, 1):
        market, walk = told_market(late), WalkForwardParams(scheme="holdout", train="25d", seeds=1)
        features = FeatureParams(columns=("return:1", "tip.value"))
        model = TINY.replaced(steps=40, check=5, batch=32)
        made = walk_forward(market, model, features, walk=walk, workers=1, cache=False).series["TEST"]
        assert market.oracle is not None
        truth = market.oracle[-len(made) :]
        worth.append(float((2.0 * made.mean * truth - made.mean**2).sum() / (truth**2).sum()))
    assert worth[0] > 0.7
    assert worth[1] < 0.1


def test_sentiment_on_recorded_data(data_folder: Path) -> None:
    """The config's two series join to every recorded bar, an hour after midnight at the value of the day before."""
    settings = ["market.start=2022-01-01", "market.end=2022-05-01", "walk_forward.train=60d", "walk_forward.seeds=1"]
    config = load_config(CONFIG, [*settings, "model.steps=5"])
    market = load_markets(config, data_folder)[0]
    index = parse_column("fear_greed.fng").compute(market)
    # 2022-01-01 stood at 21, the day after at 29: the bar that closes at 02:00 is the first to show it.
    assert (index[24], index[25]) == (21.0, 29.0)
    count, score = (parse_column(name).compute(market) for name in ("news.count", "news.sentiment"))
    assert count.max() > 5
    assert np.abs(score).max() <= 1.0
    forecasts = make_forecasts(config, [market])
    assert len(forecasts.series["BTCUSDT"]) == len(market.candles) - 60 * 24
    unknown = what_changes(market, 2000, lambda one: {"mood": parse_column("fear_greed.fng").compute(one)[:2001]})
    assert unknown == set()
