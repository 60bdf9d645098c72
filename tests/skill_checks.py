"""Checks of the arithmetic of skill: each takes the module it checks, so that a faulty one can be handed in."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from planted_market import planted_market
from scipy.special import ndtr, ndtri

from markets.candles import FloatArray
from models.track import Track
from models.volatility import har_volatility


def wandering(rows: int, seed: int, memory: float = 0.6) -> FloatArray:
    """A series whose values follow each other: x_t = memory x_{t-1} + noise."""
    noise, made = np.random.default_rng(seed).standard_normal(rows), np.zeros(rows)
    for t in range(1, rows):
        made[t] = memory * made[t - 1] + noise[t]
    return made


def newey_west_is_that_of_statsmodels(module: Any) -> None:
    """The variance of a mean with Bartlett weights is statsmodels' HAC variance of a regression on a constant."""
    from statsmodels.regression.linear_model import OLS

    values = wandering(700, 1)
    for lags in (0, 3, 12):
        fit = OLS(values, np.ones(700)).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
        np.testing.assert_allclose(module.newey_west(values, lags), fit.cov_params()[0, 0], rtol=1e-10)
    fit = OLS(values, np.ones(700)).fit(cov_type="HAC", cov_kwds={"maxlags": 6})
    np.testing.assert_allclose(module.newey_west(values), fit.cov_params()[0, 0], rtol=1e-10)


def limit_share(n: int, lags: int) -> float:
    """What a variance with Bartlett weights comes to, as a share of the true one, with so many lags of n values."""
    b = (lags + 1) / n
    return 1.0 - b + b * b / 3.0


def correlations_have_the_error_of_statsmodels(module: Any) -> None:
    """Value, error and p-value are slope, HAC error and p-value of standardised y on standardised x, for few bars."""
    from scipy.stats import t as student
    from statsmodels.regression.linear_model import OLS
    from statsmodels.stats.sandwich_covariance import S_hac_simple
    from statsmodels.tools import add_constant

    x = wandering(900, 2)
    y = 0.05 * x + (1.0 + np.abs(x)) * np.random.default_rng(3).standard_normal(900)
    first, second = ((one - one.mean()) / one.std() for one in (x, y))
    fit = OLS(second, add_constant(first)).fit()
    residual = fit.resid / (1.0 - fit.get_influence().hat_matrix_diag)
    error = math.sqrt(S_hac_simple(first * residual, nlags=6).item()) / 900 / math.sqrt(limit_share(900, 6))
    assert error > math.sqrt(S_hac_simple(first * residual, nlags=0).item()) / 900
    p = 2.0 * student.sf(abs(fit.params[1]) / error, 1.5 * 900 / 7)
    np.testing.assert_allclose(module.robust_correlation(x, y), [fit.params[1], error, p], rtol=1e-6)


def errors_are_no_smaller_than_without_lags(module: Any) -> None:
    """Where products of x and y turn back the error is that of statsmodels' HC3, and not what is left of it."""
    from statsmodels.regression.linear_model import OLS
    from statsmodels.tools import add_constant

    x, y = wandering(400, 22, 0.0), wandering(400, 23, -0.8)
    x = np.where(x > 0.0, 1.0, 0.9) + 0.01 * x
    first, second = ((one - one.mean()) / one.std() for one in (x * np.sign(wandering(400, 24, 0.98)), y))
    fit = OLS(second, add_constant(first)).fit(cov_type="HC3")
    np.testing.assert_allclose(module.robust_correlation(first, second).error, fit.bse[1], rtol=1e-6)


def means_before(values: FloatArray, own: bool) -> FloatArray:
    """The exponential mean, span 250, of the values before each one, and of its `own` too, by a loop over bars."""
    made, keep = np.zeros(len(values)), 1.0 - 2.0 / 251.0
    for t in range(len(values)):
        rows = range(t + 1 if own else t)
        weights = [keep ** (t - s) for s in rows]
        made[t] = (
            sum(w * values[s] for w, s in zip(weights, rows, strict=True)) / sum(weights) if weights else values[0]
        )
    return made


def signs_are_weighed_by_what_came_before(module: Any) -> None:
    """A sign counts as far as it differs from those before it, in units of how far such signs did."""
    up = np.random.default_rng(4).random(300) < np.linspace(0.2, 0.9, 300)
    sign = np.where(up, 1.0, -1.0)
    apart = sign - means_before(sign, own=False)
    size = np.sqrt(means_before(apart**2, own=True))
    expected = np.divide(apart, size, out=np.zeros(300), where=size > 0.0)
    np.testing.assert_allclose(module.timing_weights(up), expected, rtol=1e-9, atol=1e-12)
    assert not module.timing_weights(np.ones(3000, dtype=np.bool_)).any()


def direction_is_a_regression_on_a_constant(module: Any) -> None:
    """The statistics of direction are HAC t values of weight times centred outcome: its sign, or the return itself."""
    f, y = wandering(400, 4), 0.3 + wandering(400, 5, 0.0)
    weights, rose = module.timing_weights(f > 0.0), np.where(y > 0.0, 1.0, -1.0)
    for outcome, p in (
        (rose, module.normed_pesaran_timmermann_p(f > 0.0, y > 0.0)), (y, module.normed_anatolyev_gerko_p(f, y)),
    ):  # fmt: skip
        np.testing.assert_allclose(p, hac_tail(weights * (outcome - outcome.mean()), 5), rtol=1e-8)


def clark_west_is_a_regression_on_a_constant(module: Any) -> None:
    """The statistic is the HAC t of (y - b)^2 - (y - f)^2 + (b - f)^2 over the usual size of f - b, one-sided."""
    y, f, b = (wandering(801, seed)[1:] for seed in (7, 8, 9))
    size = np.sqrt(means_before((f - b) ** 2, own=True))
    np.testing.assert_allclose(
        module.normed_clark_west_p(y, f, b), hac_tail(((y - b) ** 2 - (y - f) ** 2 + (b - f) ** 2) / size, 6), rtol=1e-8
    )


def skill_is_tested_against_both_nulls(module: Any) -> None:
    """The p-value judged by is the larger of both; there is none where a forecast never varies, whatever it is."""
    random = np.random.default_rng(31)
    y, noise = 0.3 + random.standard_normal((2, 500))
    mean = np.full(500, 0.3)
    for f in (0.4 * y + noise, np.where(np.arange(500) < 250, 0.29, 0.31), 0.01 * (noise - 0.3)):
        both = [module.normed_clark_west_p(y, f, one) for one in (mean, 0.0 * y)]
        assert module.skill_p(y, f, mean) == max(both)
    for f in (0.0 * y, mean + 0.1, mean):
        assert math.isnan(module.skill_p(y, f, mean))
    assert math.isnan(module.skill_p(y[:0], y[:0], y[:0]))


def models_left_at_zero_pass_for_skilled_seldom(module: Any) -> None:
    """Of 400 forecasts of a hundredth of noise, on returns without and with a drift, few pass, and not a sixth."""
    alarms = np.zeros(2)
    for seed in range(400):
        noise, y = np.random.default_rng([seed, 32]).standard_normal((2, 1300))
        for number, drift in enumerate((0.0, 0.05)):
            mean = (np.cumsum(y + drift) / np.arange(1, 1301))[299:-1]
            alarms[number] += module.skill_p(y[300:] + drift, 0.01 * noise[300:], mean) < 0.05
    assert (alarms / 400 < 0.085).all(), alarms


def published_tests_are_as_published(module: Any) -> None:
    """Clark-West is a HAC regression on a constant, direction that of phi, n / sqrt(n - 1) long, profit by hand."""
    y, f, b = (wandering(801, seed)[1:] for seed in (7, 8, 9))
    np.testing.assert_allclose(module.clark_west_p(y, f, b), hac_tail((f - b) * (y - b), 6), rtol=1e-8)
    up, rose = f > 0.0, y > 0.0
    phi = np.corrcoef(up, rose)[0, 1]
    np.testing.assert_allclose(module.pesaran_timmermann_p(up, rose), ndtr(-phi * 800 / math.sqrt(799)), rtol=1e-9)
    sign = np.where(up, 1.0, -1.0)
    excess = (sign * y).mean() - sign.mean() * y.mean()
    np.testing.assert_allclose(
        module.anatolyev_gerko_p(f, y), ndtr(-excess * math.sqrt(800) / (sign.std() * y.std())), rtol=1e-9
    )
    for one in (module.pesaran_timmermann_p(up[:99], rose[:99]), module.anatolyev_gerko_p(f[:99], y[:99])):
        assert math.isnan(one)


def hac_tail(values: FloatArray, lags: int) -> float:
    """The chance of a t value above that of the mean, by statsmodels with Newey-West errors, for few bars."""
    from scipy.stats import t as student
    from statsmodels.regression.linear_model import OLS

    fit = OLS(values, np.ones(len(values))).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    t = float(fit.tvalues[0]) * math.sqrt(limit_share(len(values), lags))
    return float(student.sf(t, 1.5 * len(values) / (lags + 1)))


def few_bars_alarm_as_seldom_as_said(module: Any) -> None:
    """Of 1,500 noises of 100 bars about 5 % correlate, or show skill over 0; 99 bars are not tested."""
    found = np.zeros((1500, 2))
    for seed in range(1500):
        x, y = np.random.default_rng([seed, 21]).standard_t(5, (2, 100))
        found[seed] = module.robust_correlation(x, y).p, module.normed_clark_west_p(y, x, 0.0 * x)
    alarms = (found < 0.05).mean(axis=0)
    assert ((alarms > 0.026) & (alarms < 0.062)).all(), alarms
    assert math.isnan(module.robust_correlation(x[1:], y[1:]).p)
    assert math.isnan(module.normed_clark_west_p(y[1:], x[1:], 0.0 * x[1:]))
    assert math.isnan(module.diebold_mariano_p(y[1:], x[1:]))


def many_tests_are_allowed_for(module: Any) -> None:
    """Holm's p-values are those of statsmodels, and what was not tested does not count."""
    from statsmodels.stats.multitest import multipletests

    p = [0.04, 0.001, 0.5, 0.012, 0.013]
    np.testing.assert_allclose(module.holm(p), multipletests(p, method="holm")[1])
    with_gap = module.holm([*p[:2], math.nan, *p[2:]])
    np.testing.assert_allclose(with_gap, [*module.holm(p)[:2], math.nan, *module.holm(p)[2:]])


def a_settling_model_is_judged_at_the_level_that_is_said(module: Any) -> None:
    """Of 800 models that settle on a market nobody can forecast about 5 % show skill; their statistics lean nowhere."""
    found = np.zeros((800, 2))
    for seed in range(800):
        y, x = np.random.default_rng([seed, 18]).standard_normal((2, 1000))
        count = np.arange(1, 1000)
        mean, slope = np.cumsum(y)[:-1] / count, (np.cumsum(x * y) / np.cumsum(x * x))[:-1]
        late, f = slice(99, None), mean + slope * x[1:]
        y = y[1:]
        found[seed] = (
            module.normed_clark_west_p(y[late], f[late], mean[late]),
            module.normed_pesaran_timmermann_p(f[late] > 0.0, y[late] > 0.0),
        )
    alarms, leaning = (found < 0.05).mean(axis=0), np.nanmean(ndtri(1.0 - found), axis=0)
    assert ((alarms > 0.027) & (alarms < 0.077)).all(), alarms
    assert (np.abs(leaning) < 0.17).all(), leaning


def diebold_mariano_is_that_of_statsmodels(module: Any) -> None:
    """The p-value is that of statsmodels, with the small-sample correction, at horizons of 1 and 12."""
    from statsmodels.tsa.stattools import diebold_mariano_test

    y, one, two = (wandering(150, seed) for seed in (10, 11, 12))
    for horizon in (1, 12):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            known = diebold_mariano_test(y, one, two, harvey_adj=True, horizon=horizon)
        made = module.diebold_mariano_p(np.square(y - one), np.square(y - two), horizon)
        np.testing.assert_allclose(made, known.pvalue, rtol=1e-8)


def a_walked_regression_sees_no_outcome(module: Any) -> None:
    """A forecast does not change when its own outcome and all later rows do."""
    random = np.random.default_rng(13)
    design = np.column_stack([np.ones(200), random.standard_normal(200)])
    outcome = random.standard_normal(200)
    changed, other = design.copy(), outcome.copy()
    changed[151:], other[150:] = 9.0, -9.0
    made, again = (module.walk_regression(*pair, 5.0, 1)[:151] for pair in ((design, outcome), (changed, other)))
    np.testing.assert_array_equal(made, again)


def scores_are_those_of_scoringrules(module: Any) -> None:
    """CRPS of Gaussian and Student t, and the interval score, are the library's."""
    import scoringrules

    random = np.random.default_rng(14)
    y, mean, sigma = random.standard_t(3, 50), random.standard_normal(50), 0.5 + random.random(50)
    freedom = np.where(np.arange(50) % 3 == 0, np.inf, 2.5 + 8 * random.random(50))
    heavy = np.isfinite(freedom)
    scale = sigma[heavy] * np.sqrt((freedom[heavy] - 2.0) / freedom[heavy])
    known = np.array(scoringrules.crps_normal(y, mean, sigma))
    known[heavy] = scoringrules.crps_t(y[heavy], freedom[heavy], mean[heavy], scale)
    np.testing.assert_allclose(module.crps(y, mean, sigma, freedom), known, rtol=1e-8)
    np.testing.assert_allclose(
        module.interval_score(y, mean - sigma, mean + sigma, 0.9),
        np.mean(scoringrules.interval_score(y, mean - sigma, mean + sigma, 0.1)),
        rtol=1e-10,
    )


def quantiles_are_scored_as_scoringrules_does(module: Any) -> None:
    """Over levels that lie evenly the score is the library's, and over many it is the CRPS of the distribution."""
    import scoringrules

    random = np.random.default_rng(19)
    y, quantiles = random.standard_normal(40), np.sort(random.standard_normal((40, 4)), axis=1)
    even = (0.125, 0.375, 0.625, 0.875)
    known = scoringrules.crps_quantile(y, quantiles, np.array(even))
    np.testing.assert_allclose(module.quantile_crps(y, quantiles, even), known, rtol=1e-10)
    many = tuple((np.arange(2000) + 0.5) / 2000)
    normal = module.gaussian_quantiles(0.0 * y + 0.2, 0.0 * y + 1.5, many)
    expected = np.array(scoringrules.crps_normal(y, 0.2, 1.5))
    np.testing.assert_allclose(module.quantile_crps(y, normal, many), expected, rtol=2e-3)
    uneven = (0.05, 0.5, 0.95)
    # 0.05 stands for 0 to 0.275, 0.5 for 0.275 to 0.725; the outcome lies on the quantile at 0.95.
    one = module.quantile_crps(np.array([1.0]), np.array([[-1.0, 0.0, 1.0]]), uneven)
    np.testing.assert_allclose(one, [2.0 * (0.275 * 0.05 * 2.0 + 0.45 * 0.5)])


def claims_are_those_of_scipy(module: Any) -> None:
    """The claimed interval is scipy's, of a Gaussian or of a t that has the deviation sigma."""
    from scipy import stats

    mean, sigma, freedom = np.array([0.1, -0.2]), np.array([1.0, 3.0]), np.array([np.inf, 4.0])
    lower, upper = module.claimed_interval(mean, sigma, freedom, 0.9)
    heavy = stats.t(4.0, -0.2, 3.0 / stats.t(4.0).std())
    np.testing.assert_allclose([lower[0], upper[0]], stats.norm(0.1, 1.0).interval(0.9))
    np.testing.assert_allclose([lower[1], upper[1]], heavy.interval(0.9))
    np.testing.assert_allclose(module.claimed_interval(mean, sigma, None, 0.5)[1], stats.norm(mean, sigma).ppf(0.75))


def blocks_are_disjoint(module: Any) -> None:
    """The worst block is the lowest mean over whole blocks side by side; a rest does not count."""
    held = np.array([1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0], dtype=np.bool_)
    assert module.worst_block(held, np.arange(5, 16), 4) == 0.5
    assert math.isnan(module.worst_block(held, np.arange(11), 12))
    assert math.isnan(module.worst_block(held[:0], np.arange(0), 4))


def blocks_are_of_neighbours(module: Any) -> None:
    """Rows on both sides of a gap are not joined, and a block of few rows does not count."""
    places = np.concatenate([np.arange(0, 150), np.arange(1000, 1500), np.arange(1700, 1750), np.arange(2000, 2010)])
    held = np.ones(len(places), dtype=np.bool_)
    held[:60] = held[-60:] = False
    held[[*range(150, 170)]] = False
    # Bars 0 to 499 hold 150 rows, 1,000 to 1,499 all, 1,500 to 1,999 too few; what follows is no whole block.
    assert module.worst_block(held, places, 500) == 90 / 150
    held[:60] = True
    assert module.worst_block(held, places, 500) == 480 / 500
    assert module.inside(np.array([1.0, 2.0, 3.1]), np.ones(3), np.full(3, 3.0)).tolist() == [True, True, False]


def regimes_know_no_future(module: Any) -> None:
    """The share of EARLIER values below each one, by counting; nothing later matters."""
    values = np.round(np.random.default_rng(15).standard_normal(300), 1)
    values[40] = np.nan
    known = [np.nan if np.isnan(one) else np.nanmean(values[:t][~np.isnan(values[:t])] < one) if t > 10 else np.nan
             for t, one in enumerate(values)]  # fmt: skip
    np.testing.assert_allclose(module.past_share(values, 11), known, rtol=1e-12)


def a_track(rows: int = 1600, first: int = 400, seed: int = 16) -> Track:
    """A track of two models on a planted market, its three members near the oracle, its intervals known."""
    market = planted_market(rows, seed=seed)
    candles, random = market.candles, np.random.default_rng(seed)
    assert market.oracle is not None
    members = market.oracle[:, None] + 0.001 * random.standard_normal((rows, 3))
    members[:first] = np.nan
    model = np.where(np.arange(rows) < first, -1, np.where(np.arange(rows) < 1000, 0, 1))
    through = np.where(model < 0, -1, candles.timestamp[np.where(model == 1, 950, 350)])
    mean = members.mean(axis=1)
    return Track(
        "TEST", candles.bar, candles.timestamp, candles.high, candles.low, candles.close, candles.touched,
        market.oracle, mean, np.where(model < 0, np.nan, 0.0065), through, model, members=members,
        levels=(0.05, 0.95), quantiles=np.column_stack([mean - 0.01, mean + 0.01]),
    )  # fmt: skip


def parts_are_by_definition(module: Any) -> None:
    """Skill, coverage and QLIKE of parts by model, seed and age are what loops over single bars come to."""
    track = a_track()
    assert track.quantiles is not None
    assert track.members is not None
    mean, bars = track.mean, range(400, 1599)
    y = {t: math.log(track.close[t + 1] / track.close[t]) for t in bars}
    base = np.append(np.nan, np.log(track.close[1:] / track.close[0]) / np.arange(1, 1600))
    har = har_volatility(track.close, track.high, track.low)
    rows = module.counted_rows(track, base, har, track.quantiles)

    def skill(own: list[int], f: FloatArray = mean) -> float:
        return 1.0 - sum((y[t] - f[t]) ** 2 for t in own) / sum((y[t] - base[t]) ** 2 for t in own)

    groups, folds = (
        [[t for t in bars if (t < 1000) == first] for first in (True, False)],
        module.fold_parts(track, rows),
    )
    assert [part.bars for part in folds] == [len(own) for own in groups]
    np.testing.assert_allclose([part.skill for part in folds], [skill(own) for own in groups])
    for part, own in zip(folds, groups, strict=True):
        np.testing.assert_allclose(part.coverage, np.mean([abs(y[t] - mean[t]) <= 0.01 for t in own]))
        gain = [2.0 * math.log(0.0065 / har[t]) + (y[t] / 0.0065) ** 2 - (y[t] / har[t]) ** 2 for t in own]
        np.testing.assert_allclose(part.qlike_gain, np.mean(gain))
    seeds = [part.skill for part in module.seed_parts(track, rows)]
    np.testing.assert_allclose(seeds, [skill([*bars], one) for one in track.members.T])
    aged, ages = (
        [[t for t in bars if edge <= (t - (950 if t >= 1000 else 350)) * 1.0 < edge + 150.0] for edge in (50, 200)],
        module.age_parts(track, rows),
    )
    assert ages[0].bars == len(aged[0])
    np.testing.assert_allclose([part.skill for part in ages[:2]], [skill(own) for own in aged], rtol=1e-6)


def evidence_is_by_definition(module: Any) -> None:
    """Echoes, coverage and the price ratio are what loops over single bars come to."""
    track = a_track()
    found = module.forecast_evidence(track)
    closes, mean = track.close, track.mean
    rows = range(400, 1599)
    y = {t: math.log(closes[t + 1] / closes[t]) for t in range(1599)}
    for lag, echo in enumerate(found.echoes):
        expected = np.corrcoef([mean[t] for t in rows], [y[t - 1 - lag] for t in rows])[0, 1]
        np.testing.assert_allclose(echo.value, expected)
    hits = [abs(y[t] - mean[t]) <= 0.01 for t in rows]
    assert found.coverage[0].coverage == np.mean(hits)
    assert found.coverage[0].worst_block == min(np.mean(hits[:500]), np.mean(hits[500:1000]))
    errors = [closes[t + 1] - closes[t] * math.exp(mean[t]) for t in rows]
    moves = [closes[t + 1] - closes[t] for t in rows]
    np.testing.assert_allclose(found.price_ratio, math.sqrt(np.mean(np.square(errors)) / np.mean(np.square(moves))))


def resampled_rows_stay_together(module: Any) -> None:
    """Columns that differ by a constant differ by it in every draw, and the spread is that of arch's bootstrap."""
    from arch.bootstrap import CircularBlockBootstrap

    values = wandering(500, 17)
    drawn = module.bootstrap_means(np.column_stack([values, values + 5.0]), 20, 2000, 1)
    np.testing.assert_allclose(drawn[:, 1] - drawn[:, 0], 5.0)
    known = CircularBlockBootstrap(20, values, seed=2).apply(np.mean, 2000)
    np.testing.assert_allclose(drawn[:, 0].std(), known.std(), rtol=0.08)
    np.testing.assert_allclose(drawn[:, 0].mean(), values.mean(), atol=0.02)
