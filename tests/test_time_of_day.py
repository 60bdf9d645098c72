"""HAR by time of day: a rival of sigma that knows the hour, from earlier days only."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from planted_faults import mutated
from skill_checks import a_track

from models import volatility
from models.evidence import forecast_evidence


def clock_is_by_definition(module: Any) -> None:
    """Each factor is the mean of (r / sigma)^2 at the same time of day so far with 30 ones, by a loop over bars."""
    hour, random = 3_600_000_000_000, np.random.default_rng(4)
    stamps = np.delete(7 * hour + hour * np.arange(400), [50, 51, 200])
    close, sigma = np.exp(np.cumsum(0.01 * random.standard_normal(397))), 0.01 + 0.002 * random.random(397)
    sigma[:20] = np.nan
    made, ratios = module.clock_volatility(stamps, hour, close, sigma), dict[int, list[float]]()
    for t in range(397):
        own = ratios.setdefault((stamps[t] // hour + 1) % 24, [])
        expected = sigma[t] * math.sqrt((30.0 + sum(own)) / (30.0 + len(own)))
        assert made[t] == pytest.approx(expected, nan_ok=True, rel=1e-12)
        if t < 396 and t >= 20:
            own.append((math.log(close[t + 1] / close[t]) / sigma[t]) ** 2)
    for bar in (24, 7):
        assert np.isnan(module.clock_volatility(stamps, bar * hour, close, sigma)).all()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (".cumsum() - columns)", ".cumsum())"),
        ("(timestamp + bar) % DAY", "timestamp % DAY // (2 * bar)"),
        ("if DAY % bar or bar == DAY:", "if False:"),
    ],
)
def test_the_time_of_day_is_known_from_earlier_days(right: str, wrong: str) -> None:
    """The factor of an hour rests on what happened at that hour before; a look ahead or a wrong hour is seen."""
    clock_is_by_definition(volatility)
    with pytest.raises(AssertionError):
        clock_is_by_definition(mutated("models.volatility", right, wrong))


def test_the_hour_alone_makes_a_sigma_better_than_har() -> None:
    """Where the hour sets the volatility HAR by time of day comes nearer to a sigma that knows it than HAR does."""
    track = a_track(3000)
    hours = track.timestamp // 3_600_000_000_000 % 24
    size = np.where(hours < 8, 0.002, 0.006)
    close = 20_000.0 * np.exp(np.cumsum(size * np.random.default_rng(7).standard_normal(3000)))
    high, low = close * np.exp(0.5 * size), close * np.exp(-0.5 * size)
    known = np.where(np.isnan(track.mean), np.nan, np.append(size[1:], size[0]))
    track = replace(track, close=close, high=high, low=low, oracle=None, sigma=known, quantiles=None, levels=())
    found = forecast_evidence(track)
    assert found.volatility is not None
    assert found.volatility.qlike < found.volatility.clock_qlike < found.volatility.har_qlike - 0.02
    assert "sigma is better than HAR with leverage (QLIKE -0.0" in found.verdict
    assert ", and is better than that HAR by time of day (QLIKE -0.0" in found.verdict
    daily = replace(track, timestamp=24 * track.timestamp, bar=24 * track.bar)
    assert "time of day" not in forecast_evidence(daily).verdict
