"""The arithmetic of skill: statistics held to a library, a worked example or a loop, and faults that these see."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import pytest
import skill_checks as checks
from planted_faults import mutated

Check = Callable[[Any], None]
TRUE: list[tuple[str, Check]] = [
    ("significance", checks.newey_west_is_that_of_statsmodels),
    ("significance", checks.correlations_have_the_error_of_statsmodels),
    ("significance", checks.signs_are_weighed_by_what_came_before),
    ("significance", checks.direction_is_a_regression_on_a_constant),
    ("significance", checks.clark_west_is_a_regression_on_a_constant),
    ("significance", checks.a_settling_model_is_judged_at_the_level_that_is_said),
    ("significance", checks.errors_are_no_smaller_than_without_lags),
    ("significance", checks.few_bars_alarm_as_seldom_as_said),
    ("significance", checks.many_tests_are_allowed_for),
    ("significance", checks.skill_is_tested_against_both_nulls),
    ("significance", checks.models_left_at_zero_pass_for_skilled_seldom),
    ("significance", checks.published_tests_are_as_published),
    ("significance", checks.diebold_mariano_is_that_of_statsmodels),
    ("regression", checks.a_walked_regression_sees_no_outcome),
    ("scores", checks.scores_are_those_of_scoringrules),
    ("scores", checks.quantiles_are_scored_as_scoringrules_does),
    ("scores", checks.claims_are_those_of_scipy),
    ("scores", checks.blocks_are_disjoint),
    ("scores", checks.blocks_are_of_neighbours),
    ("regimes", checks.regimes_know_no_future),
    ("evidence", checks.evidence_is_by_definition),
    ("breakdown", checks.parts_are_by_definition),
    ("paired", checks.resampled_rows_stay_together),
]


class Fault(NamedTuple):
    """A mistake: where it is planted, what it replaces, what it says instead, and the check that sees it."""

    mistake: str
    module: str
    right: str
    wrong: str
    check: Check


FAULTS = [
    Fault(
        "the last autocorrelation is dropped", "significance", "range(1, lags + 1)", "range(1, lags)",
        checks.newey_west_is_that_of_statsmodels,
    ),
    Fault(
        "autocorrelations count in full", "significance", "(1.0 - lag / (lags + 1.0)) *", "",
        checks.newey_west_is_that_of_statsmodels,
    ),
    Fault(
        "the residual forgets the slope", "significance", "(second - value * first)", "second",
        checks.correlations_have_the_error_of_statsmodels,
    ),
    Fault(
        "few bars are taken for many", "significance", "/ (1.0 - share + share**2 / 3.0)", "",
        checks.clark_west_is_a_regression_on_a_constant,
    ),
    Fault(
        "a residual is as large as its row makes it", "significance", "np.where(known, left, 1.0)", "1.0",
        checks.correlations_have_the_error_of_statsmodels,
    ),
    Fault(
        "autocorrelations take the error down", "significance",
        "max(long_run_error(scores), math.sqrt(newey_west(scores, 0)))", "long_run_error(scores)",
        checks.errors_are_no_smaller_than_without_lags,
    ),
    Fault(
        "the error counts as known", "significance", "1.5 / _lag_share(n)", "1e9",
        checks.few_bars_alarm_as_seldom_as_said,
    ),
    Fault(
        "any number of bars is tested", "significance", "if len(values) < LEAST_ROWS:", "if len(values) < 2:",
        checks.few_bars_alarm_as_seldom_as_said,
    ),
    Fault(
        "a sign is held against all signs", "significance", "trailing_mean(sign)[:-1]", "0.0 * sign[:-1] + sign.mean()",
        checks.signs_are_weighed_by_what_came_before,
    ),
    Fault(
        "a sign is held against itself, too", "significance", "np.append(sign[:1], trailing_mean(sign)[:-1])",
        "trailing_mean(sign)", checks.signs_are_weighed_by_what_came_before,
    ),
    Fault(
        "weights are as large as they happen to be", "significance", "values / np.where(small, 1.0, size)", "values",
        checks.a_settling_model_is_judged_at_the_level_that_is_said,
    ),
    Fault(
        "signs are centred on all of them, as published", "significance",
        "normed(sign - np.append(sign[:1], trailing_mean(sign)[:-1]))", "sign - sign.mean()",
        checks.a_settling_model_is_judged_at_the_level_that_is_said,
    ),
    Fault(
        "drift counts as skill", "significance", "(outcome - (outcome.mean() if len(outcome) else 0.0))", "outcome",
        checks.direction_is_a_regression_on_a_constant,
    ),
    Fault(
        "Clark-West without its adjustment", "significance", "normed(f - base) * (y - base)",
        "(np.square(y - base) - np.square(y - f))", checks.clark_west_is_a_regression_on_a_constant,
    ),
    Fault(
        "all of many tests count alike", "significance", "(len(known) - done)", "len(known)",
        checks.many_tests_are_allowed_for,
    ),
    Fault(
        "what was not tested counts", "significance", "(len(known) - done)", "(len(p_values) - done)",
        checks.many_tests_are_allowed_for,
    ),
    Fault(
        "no correction for few bars", "significance", "(n + 1 - 2 * horizon + ", "(n + 0 * horizon + ",
        checks.diebold_mariano_is_that_of_statsmodels,
    ),
    Fault(
        "the horizon sets no lags", "significance", "max(horizon - 1, math.ceil(n ** (1.0 / 3.0)))",
        "(horizon - 1)", checks.diebold_mariano_is_that_of_statsmodels,
    ),
    Fault(
        "a naive forecast is fitted to its own outcome", "regression",
        "accumulate(gram, moment, design[t - 1], outcome[t - 1])", "accumulate(gram, moment, design[t], outcome[t])",
        checks.a_walked_regression_sees_no_outcome,
    ),
    Fault(
        "sigma is taken for the scale of the t", "scores", "scale = sigma * np.sqrt((freedom - 2.0) / freedom)",
        "scale = sigma * 1.0", checks.scores_are_those_of_scoringrules,
    ),
    Fault(
        "the claimed interval has both tails on one side", "scores", "0.5 * (1.0 + level)", "level",
        checks.claims_are_those_of_scipy,
    ),
    Fault(
        "blocks lie anywhere", "scores", "block = (places - places[0]) // bars",
        "block = places // bars", checks.blocks_are_disjoint,
    ),
    Fault(
        "blocks join bars that lie apart", "scores", "block = (places - places[0]) // bars",
        "places = np.arange(len(places)); block = places // bars", checks.blocks_are_of_neighbours,
    ),
    Fault(
        "a model that is left at zero is held against the mean alone", "significance",
        "for one in (base, np.zeros(len(y)))]", "for one in (base,)]",
        checks.models_left_at_zero_pass_for_skilled_seldom,
    ),
    Fault(
        "the smaller of two p-values counts", "significance", "else max(both)", "else min(both)",
        checks.skill_is_tested_against_both_nulls,
    ),
    Fault(
        "a forecast that never varies is tested", "significance", "if len(f) == 0 or np.ptp(f) == 0.0:",
        "if len(f) == 0:", checks.skill_is_tested_against_both_nulls,
    ),
    Fault(
        "the excess profit keeps the drift", "significance", "- sign.mean() * y.mean()", "",
        checks.published_tests_are_as_published,
    ),
    Fault(
        "a regime knows all bars", "regimes", "share[t] = below / seen", "share[t] = places[t] / len(values)",
        checks.regimes_know_no_future,
    ),
    Fault(
        "quantiles count alike, however they lie", "scores", "@ np.diff(middles)",
        "@ np.full(len(places), 1 / len(places))", checks.quantiles_are_scored_as_scoringrules_does,
    ),
    Fault(
        "a pinball loss is turned round", "scores", "np.maximum(places * error, (places - 1.0) * error)",
        "np.maximum((1.0 - places) * error, -places * error)", checks.quantiles_are_scored_as_scoringrules_does,
    ),
    Fault(
        "parts are held against sigma itself", "breakdown", "quasi_likelihood(y[known], rows.har[known])",
        "quasi_likelihood(y[known], rows.sigma[known])", checks.parts_are_by_definition,
    ),
    Fault(
        "coverage is counted on the bar before", "evidence",
        "y, lower, upper = track.outcome[rows], both", "y, lower, upper = track.outcome[rows - 1], both",
        checks.evidence_is_by_definition,
    ),
    Fault(
        "an echo looks one bar ahead", "evidence", "returns[rows - lag]", "returns[np.minimum(rows + 1 - lag, 1599)]",
        checks.evidence_is_by_definition,
    ),
    Fault(
        "seeds are all the ensemble", "breakdown", "Rows(rows.y, one, rows.base", "Rows(rows.y, rows.f, rows.base",
        checks.parts_are_by_definition,
    ),
    Fault(
        "age is counted from the first candle", "breakdown", "- track.trained_through[track.rows]",
        "- track.timestamp[0]", checks.parts_are_by_definition,
    ),
    Fault(
        "each column is drawn for itself", "paired", "(column[starts + block] - column[starts])",
        "(column[np.roll(starts, int(column[-1])) + block] - column[starts])", checks.resampled_rows_stay_together,
    ),
    Fault(
        "single bars are drawn", "paired", "blocks = math.ceil(rows / block)", "block = 1; blocks = rows",
        checks.resampled_rows_stay_together,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("module", "check"), TRUE, ids=lambda one: getattr(one, "__name__", one))
def test_a_statistic_is_what_it_says(module: str, check: Check) -> None:
    """Each statistic agrees with a library, with figures worked out by hand, or with a loop over bars."""
    check(import_module(f"models.{module}"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.mistake)
def test_a_planted_fault_is_seen(fault: Fault) -> None:
    """A plausible mistake in a statistic makes its check fail."""
    faulty = mutated(f"models.{fault.module}", fault.right, fault.wrong)
    with pytest.raises(AssertionError):
        fault.check(faulty)
