"""Headlines: texts scored as of their publication, from a file to the forecasts of a run, and no word earlier."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from look_ahead import what_changes
from planted_market import candles_around
from simple_market import HOUR, contract

from crossgate.config import Config, load_config
from crossgate.job import load_markets, make_forecasts
from foundation.errors import ParameterError
from markets.candles import utc
from markets.exogenous import Exogenous
from markets.exogenous_files import load_exogenous
from markets.live_series import Published
from markets.market import Market
from markets.text_scores import score_texts
from models.features import parse_column
from models.forecasts import market_bars
from models.proof import check_feature
from models.trained import train_model

pytest.importorskip("vaderSentiment", reason="scored text needs the extra text")

CONFIGS = Path(__file__).resolve().parents[1] / "backtests" / "configs"
GLAD, SORRY = "Great gains and happy buyers", "Terrible losses and an awful crash"
CONFIG = """
[market]
demo = true
bars = 1000
[[exogenous]]
name = "wire"
file = "./wire.csv"
time = "time"
published = "out"
published_after = "{after}"
text = "headline"
scorer = "{scorer}"
stale_after = "2d"
neutral = 0.0
[features]
columns = ["return:1", "wire.score", "wire.age_hours"]
[model]
hidden = 4
steps = 40
check = 5
batch = 32
chunk = 32
burn_in = 4
volatility_bars = 4
[walk_forward]
scheme = "holdout"
train = "25d"
seeds = 1
"""


def told_market() -> tuple[Market, list[str], list[int]]:
    """Bars of which each headline, out at the close before, tells the drift; the texts, and when they were out."""
    random, bars = np.random.default_rng(11), 1000
    glad = random.random(bars) < 0.5
    drift = np.where(glad, 0.003, -0.003)
    returns = np.concatenate(([0.0], drift[:-1])) + 0.005 * random.normal(size=bars)
    candles = candles_around(20_000.0 * np.exp(np.cumsum(returns)), random)
    close = candles.timestamp + candles.bar
    market = Market(contract("TEST"), candles, synthetic=True, oracle=drift)
    return market, [GLAD if one else SORRY for one in glad], close.tolist()


def written(folder: Path, after: str = "0m", scorer: str = "vader") -> tuple[Config, Market, Exogenous]:
    """The config beside its file of headlines, the market, and the series that it reads."""
    market, texts, out = told_market()
    lines = [f"{utc(time)},{utc(time)},{text}" for time, text in zip(out, texts, strict=True)]
    (folder / "wire.csv").write_text("\n".join(["time,out,headline", *lines]) + "\n")
    (folder / "run.toml").write_text(CONFIG.format(after=after, scorer=scorer))
    config = load_config(folder / "run.toml")
    return config, market, load_exogenous(config.exogenous[0])


def skill(config: Config, market: Market) -> float:
    """The share of the oracle's skill that the forecasts of a config reach on a market."""
    made = make_forecasts(config, [market]).series["TEST"]
    assert market.oracle is not None
    truth = market.oracle[-len(made) :]
    return float((2.0 * made.mean * truth - made.mean**2).sum() / (truth**2).sum())


def test_a_headline_is_worth_what_it_tells_while_it_is_news(tmp_path: Path, own_cache: Path) -> None:
    """From a file of texts, scored, to forecasts: out at the close the tone is learned; an hour later it is history."""
    worth = []
    for after in ("0m", "1h"):
        config, market, series = written(tmp_path, after)
        assert series.values["score"].max() > 0.5 > -0.5 > series.values["score"].min()
        worth.append(skill(config, market.with_exogenous(series)))
    assert worth[0] > 0.5
    assert worth[1] < 0.1


def test_a_score_before_its_publication_is_caught(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: scores joined at the time that a text speaks of, not when it was out; proof and skill both show it."""
    config, market, series = written(tmp_path, "1h")
    joined = market.with_exogenous(series)
    check_feature("wire.score", joined)
    honest = Exogenous.joined
    monkeypatch.setattr(Exogenous, "joined", lambda self, times: honest(self, times + HOUR))
    with pytest.raises(Exception, match="it must use bars up to its own row only"):
        check_feature("wire.score", joined)
    assert skill(config, joined) > 0.5, "the leak looks like skill"


def test_the_shipped_run_scores_its_headlines() -> None:
    """The config's texts are found beside it, scored and joined as of publication, and no bar sees a later one."""
    config = load_config(CONFIGS / "headlines_1h.toml", ["market.bars=2400"])
    market = load_markets(config)[0]
    (series,) = market.exogenous
    assert len(series) > 500
    assert (series.published > series.event).all()
    assert 0 < np.median(series.published - series.event) < HOUR
    assert series.values["score"].std() > 0.3
    score, count, age = (
        parse_column(f"headlines.{name}").compute(market)[100:] for name in ("score", "count", "age_hours")
    )
    assert count.max() >= 3
    assert (score[count == 0] == 0.0).all()
    assert np.ptp(score) > 1.0
    assert age.max() <= 72.0
    seen = what_changes(market, 1500, lambda one: {"score": parse_column("headlines.score").compute(one)[:1501]})
    assert seen == set()


def test_a_scorer_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`module:function` takes the place of VADER; what is not there, or no function, is said in one line."""
    (tmp_path / "mine.py").write_text("def tone(text):\n    return 0.5 if 'gains' in text else -0.5\nNUMBER = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    _, _, series = written(tmp_path, scorer="mine:tone")
    assert set(series.values["score"].tolist()) == {0.5, -0.5}
    for name, said in (
        ("mine:tune", "'mine:tune': has no function tune"),
        ("mine:NUMBER", "has no function NUMBER"),
        ("nowhere:tone", "'nowhere:tone': cannot be imported"),
        ("vadr", 'is not known; did you mean "vader"'),
    ):
        with pytest.raises(ParameterError, match=rf"exogenous\.scorer = .*{said}"):
            score_texts(["text"], name)


def test_a_live_process_scores_a_headline_as_it_comes(tmp_path: Path) -> None:
    """Handed to a live forecaster, scored then and there, a headline makes the forecast that the whole file makes."""
    config, market, series = written(tmp_path, "0m")
    whole = market.with_exogenous(series)
    model, features = config.model.lstm, config.features
    trained = train_model(whole.rows(0, 800), model=model, features=features, seeds=1, workers=1)
    made = trained.forecasts(whole).series["TEST"]
    early = series.published < int(market.candles.timestamp[900])
    known = Exogenous(
        "wire", series.event[early], series.published[early], {"score": series.values["score"][early]},
        series.stale_after, series.neutral,
    )  # fmt: skip
    live, (_, texts, out) = trained.joining(market.with_exogenous(known)), told_market()
    means: list[float] = []
    for row, bar in enumerate(market_bars(market, [])):
        if not early[row]:
            score = float(score_texts([texts[row]], "vader")[0])
            live.publish(Published("wire", out[row], out[row], {"score": score}))
        means.append(live.forecast(bar).mean)
    np.testing.assert_allclose(means[-90:], made.mean[-90:], atol=2e-6 * made.sigma.mean())
    assert np.ptp(made.mean[-90:]) > 1e-4
