"""Space: what a tuning may choose from, a range or a list of values for each of some parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backtests.searches.searched import check_name, is_whole, parse_value
from foundation.dimensions import Dimension, read_dimension, read_words
from foundation.errors import ParameterError

_FIX = "such as risk.stop_loss=0.5%:5%, risk.risk_per_trade=0.001:0.05:log or risk.leverage=1,2,3,5"


def read_space(over: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """The dimensions of a mapping from `table.key` to a range or values; raises ParameterError."""
    if not isinstance(over, Mapping):
        raise ParameterError("space", "should name ranges or values by table.key", value=over, fix=_FIX)
    if not over:
        raise ParameterError("space", "varies nothing", fix=_FIX)
    space = tuple(_read(name, written) for name, written in over.items())
    if all(len(one.choices) == 1 for one in space):
        raise ParameterError("space", "varies nothing: each parameter has one value", value=dict(over), fix=_FIX)
    return space


def _read(name: str, written: Any) -> Dimension:
    check_name(name, "space")
    return read_dimension(
        name, written, whole=is_whole(name), check=lambda value: parse_value(name, value), where=f"space {name}",
        fix=_FIX,
    )  # fmt: skip


def read_over(texts: Sequence[str]) -> dict[str, str]:
    """The mapping that texts such as "risk.stop_loss=0.5%:5%" say; raises ParameterError."""
    return read_words(list(texts), "--over", _FIX)
