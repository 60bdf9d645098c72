"""Goals: what a tuning strives for, and what its settings must not break."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from backtests.kernel.tally import TALLY, rate
from foundation.errors import ParameterError, suggestion

_RISING = ("sharpe", "sortino", "calmar", "total_return", "final_equity", "cagr", "win_rate", "profit_factor")
_FALLING = (
    "max_drawdown", "volatility", "time_under_water", "exposure", "turnover", "fees", "funding", "slippage",
    "liquidations", "liquidation_charges", "refusals", "shrunk",
)  # fmt: skip
# Shares of one, which a bare number above one can only mean as a percentage.
_SHARES = ("max_drawdown", "time_under_water", "exposure", "win_rate")
_CONSTRAINT = re.compile(r"([a-z_]+)\s*(<=|>=)\s*(-?[0-9.]+)\s*(%?)")
# By how much a bound counts as broken where the metric is not defined.
UNDEFINED = 1e12


@dataclass(frozen=True)
class Objective:
    """A metric to be as high as possible, or as low."""

    metric: str
    rising: bool

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """The word that Optuna has for it."""
        return "maximize" if self.rising else "minimize"


@dataclass(frozen=True)
class Constraint:
    """A bound on a metric: at most `bound`, or at least."""

    metric: str
    most: bool
    bound: float

    def __str__(self) -> str:
        return f"{self.metric} {'<=' if self.most else '>='} {self.bound:.10g}"

    def broken_by(self, metrics: Mapping[str, float]) -> float:
        """By how much metrics break the bound; zero or less where they keep it."""
        value = metrics[self.metric]
        if np.isnan(value):
            return UNDEFINED
        return value - self.bound if self.most else self.bound - value


@dataclass(frozen=True)
class Goals:
    """The objectives, of which the first ranks, and the constraints."""

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of the objectives, then of the constraints, each once."""
        named = [*(one.metric for one in self.objectives), *(one.metric for one in self.constraints)]
        return tuple(dict.fromkeys(named))

    def record(self) -> dict[str, Any]:
        """The goals as JSON can hold them."""
        return {
            "objectives": [[one.metric, one.direction] for one in self.objectives],
            "constraints": [str(one) for one in self.constraints],
        }


def read_goals(objectives: Sequence[str], constraints: Sequence[str]) -> Goals:
    """The goals that texts such as "sharpe", "max_drawdown" and "max_drawdown<=30%" say; raises ParameterError."""
    objectives, constraints = ((one,) if isinstance(one, str) else one for one in (objectives, constraints))
    if not objectives:
        raise ParameterError("objective", "is missing", fix="such as sharpe")
    read = tuple(map(read_objective, objectives))
    if len({one.metric for one in read}) < len(read):
        raise ParameterError("objective", "is named twice", value=list(objectives), fix="name each once")
    return Goals(read, tuple(map(_read_constraint, constraints)))


def read_objective(text: str, where: str = "objective", more: Sequence[str] = ()) -> Objective:
    """The objective that a text such as "sharpe" or "trades:max" says; raises ParameterError, which says `where`.

    `more`: words that the caller takes besides, for the error.
    """
    metric, colon, way = text.partition(":")
    if colon and way not in ("max", "min"):
        raise ParameterError(where, "should end in :max or :min", value=text, fix="such as trades:max")
    _check_metric(where, metric, more)
    if not colon and metric not in (*_RISING, *_FALLING):
        problem = "is neither better high nor better low"
        raise ParameterError(where, problem, value=text, fix=f"write {metric}:max or {metric}:min")
    return Objective(metric, way == "max" if colon else metric in _RISING)


def _read_constraint(text: str) -> Constraint:
    match = _CONSTRAINT.fullmatch(text.strip())
    if match is None:
        fix = 'such as "max_drawdown<=30%", "trades>=50" or "liquidations<=0"'
        raise ParameterError("constraint", "should read metric<=number or metric>=number", value=text, fix=fix)
    metric, relation, number, percent = match.groups()
    _check_metric("constraint", metric)
    if metric in _SHARES and not percent and float(number) > 1.0:
        fix = f'write "{metric}{relation}{number}%"'
        raise ParameterError("constraint", f"bounds nothing: {metric} lies from 0 to 1", value=text, fix=fix)
    return Constraint(metric, relation == "<=", float(number) / (100.0 if percent else 1.0))


def _check_metric(where: str, metric: str, more: Sequence[str] = ()) -> None:
    known = metric_names()
    if metric not in known:
        fix = suggestion(metric, [*known, *more])
        raise ParameterError(where, "is no metric of a setting", value=metric, fix=fix)


def metric_names() -> tuple[str, ...]:
    """The metrics that the kernel gives of each setting."""
    return tuple(rate(np.ones(1, dtype=TALLY), 365.0, 1.0))
