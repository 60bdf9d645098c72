"""Quantities with a unit, as people write them: "2%", "1.5atr", "5bps", "90d"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

_PATTERN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*([a-z%]+)\s*")
_NANOSECONDS = {
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}


class Quantity(NamedTuple):
    """An amount and its unit: `Quantity(2.0, "atr")`, written "2atr"."""

    amount: float
    unit: str

    def __str__(self) -> str:
        return f"{self.amount:.12g}{self.unit}"


def parse_quantity(text: Any, units: tuple[str, ...], *, positive: bool = True) -> Quantity:
    """The quantity a text says; raises ValueError that names the units when it says none."""
    example = " or ".join(f'"2{unit}"' for unit in units)
    if isinstance(text, Quantity):
        text = str(text)
    match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
    if (
        match is None
        and isinstance(text, str)
        and text.strip().startswith("-")
        and _PATTERN.fullmatch(text.strip()[1:])
    ):
        raise ValueError(f"should be {'above' if positive else 'not below'} zero, such as {example}")
    if match is None or match[2] not in units:
        raise ValueError(f"should be a number with a unit, such as {example}")
    amount = float(match[1])
    if positive and amount <= 0.0:
        raise ValueError(f"should be above zero, such as {example}")
    return Quantity(amount, match[2])


@dataclass(frozen=True)
class Measured:
    """The mark of a pydantic field that holds a Quantity: `Annotated[Quantity, Measured("%", "atr")]`.

    With `off` the field may also be switched off: None, written "off". It is written back as text.
    """

    units: tuple[str, ...]
    positive: bool = True
    off: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._read, serialization=core_schema.plain_serializer_function_ser_schema(_write)
        )

    def _read(self, value: Any) -> Quantity | None:
        if self.off and (value is None or value == "off"):
            return None
        return parse_quantity(value, self.units, positive=self.positive)


def _write(value: Quantity | None) -> str:
    return "off" if value is None else str(value)


def nanoseconds(duration: Quantity | str) -> int:
    """The length of a duration such as "90d" in nanoseconds; units ms, s, m, h, d, w."""
    quantity = parse_quantity(duration, tuple(_NANOSECONDS))
    return round(quantity.amount * _NANOSECONDS[quantity.unit])


def roughly(seconds: float) -> str:
    """A time to wait, such as "7 hours" or "25 minutes"."""
    for unit, size in (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2.0 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{max(seconds, 1.0):,.0f} seconds"
