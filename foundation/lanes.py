"""Lanes: eight doubles side by side, which compiled code adds, multiplies and compares at once.

In compiled code they are a vector of LLVM's, which it puts into one register or several, as the processor has them; in
plain Python an array of eight. Each lane takes the same steps in the same order as a lone double would, and so comes to
the same bits. They know `+ - * /` and `< >`, also with a float, which stands for eight of the same; comparisons give a
mask, eight bits, and masks know `&`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import types
from numba.core.extending import lower_builtin, models, register_model
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

# How many doubles stand side by side: as many as a cache line holds.
WIDTH = 8
# Eight doubles, and eight bits.
Lanes = Any
Mask = Any

_WORD, _HALF, _BYTE, _DOUBLE = ir.IntType(64), ir.IntType(32), ir.IntType(8), ir.DoubleType()
# No more than a double's, whatever the vector would like.
_ALIGN = 8
_LANES, _MASK = ir.VectorType(_DOUBLE, WIDTH), ir.VectorType(ir.IntType(1), WIDTH)


class LanesType(types.Type):
    """numba's type of lanes."""

    def __init__(self) -> None:
        super().__init__("Lanes")


class MaskType(types.Type):
    """numba's type of a mask."""

    def __init__(self) -> None:
        super().__init__("Mask")


LANES, MASK = LanesType(), MaskType()


@register_model(LanesType)
class LanesModel(models.PrimitiveModel):
    """What lanes are to LLVM."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _LANES)


@register_model(MaskType)
class MaskModel(models.PrimitiveModel):
    """What a mask is to LLVM."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _MASK)


def lanes_at(rows: npt.NDArray[np.float64], row: int) -> Lanes:
    """The lanes that a row of an array of shape (rows, WIDTH) holds."""
    return rows[row].copy()


def put_lanes(rows: npt.NDArray[np.float64], row: int, lanes: Lanes) -> None:
    """Writes lanes to a row of such an array."""
    rows[row] = lanes


def lanes_from(values: npt.NDArray[np.float64], begin: int) -> Lanes:
    """Eight doubles that follow each other in an array; all must be there."""
    return values[begin : begin + WIDTH].copy()


def lane_of(lanes: Lanes, number: int) -> float:
    """One of the doubles."""
    return float(lanes[number])


def bits_of(byte: int) -> Mask:
    """The mask whose lane k is bit k of a byte."""
    return np.unpackbits(np.array([byte], np.uint8), bitorder="little").astype(np.bool_)


def lanes_of(value: float) -> Lanes:
    """Eight times the same."""
    return np.full(WIDTH, value)


def highest(lanes: Lanes) -> Lanes:
    """Eight times the highest of the lanes."""
    return np.full(WIDTH, lanes.max())


def highest_before(lanes: Lanes) -> Lanes:
    """In lane k the highest of the lanes before k; minus infinity in the first."""
    return np.concatenate(([-np.inf], np.maximum.accumulate(lanes)[:-1]))


def higher(one: Lanes, other: Lanes) -> Lanes:
    """Lane by lane the higher of both."""
    return np.where(one > other, one, other)


def where(mask: Mask, one: Lanes, other: Lanes) -> Lanes:
    """The one where the mask is set, else the other."""
    return np.where(mask, one, other)


def leading(mask: Mask) -> int:
    """How many lanes are set before the first that is not."""
    return WIDTH if mask.all() else int(np.argmin(mask))


def lower(
    function: Callable[..., Any], answer: Any, *kinds: Any, item: types.Type = types.float64
) -> Callable[..., None]:
    """Tells numba of a function of arguments of these kinds; what it decorates makes LLVM's code for their values.

    Of an array, which has to be one of `item` without gaps, that is the address where it begins.
    """

    class Template(AbstractTemplate):
        key = function

        def generic(self, args: tuple[Any, ...], kws: object) -> Any:
            """The signature, if the arguments are of these kinds."""
            fits = not kws and len(args) == len(kinds) and all(map(isinstance, args, kinds))
            return signature(answer, *args) if fits and all(_is_plain(kind, item) for kind in args) else None

    def take(make: Callable[..., Any]) -> None:
        def lowered(context: Any, builder: Any, call: Any, values: Any) -> Any:
            made = make(builder, *(_value(context, builder, *one) for one in zip(call.args, values, strict=True)))
            return context.get_dummy_value() if answer is types.none else made

        lower_builtin(function, *kinds)(lowered)

    infer_global(function)(Template)
    return take


def _is_plain(kind: Any, item: types.Type) -> bool:
    """Whether an array is one of such items without gaps; true of all that is none."""
    return not isinstance(kind, types.Array) or (kind.dtype == item and kind.layout == "C")


def _value(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """What code is made of: of an array the address of its first item, all else as it is."""
    return context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value


def _spread(builder: Any, value: Any) -> Any:
    """Lanes as they are; of a double eight of the same."""
    if value.type == _LANES:
        return value
    none, first = ir.Constant(_LANES, ir.Undefined), ir.Constant(_HALF, 0)
    each = ir.Constant(ir.VectorType(_HALF, WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(builder.insert_element(none, value, first), none, each)


def _address(builder: Any, data: Any, offset: Any) -> Any:
    """The address of eight doubles, so many doubles into an array."""
    return builder.bitcast(builder.gep(data, [offset]), _LANES.as_pointer())


def _row(builder: Any, data: Any, row: Any) -> Any:
    return _address(builder, data, builder.mul(row, ir.Constant(_WORD, WIDTH)))


def _loaded(builder: Any, address: Any) -> Any:
    found = builder.load(address)
    found.align = _ALIGN
    return found


@lower(lanes_at, LANES, types.Array, types.Integer)
def _lanes_at(builder: Any, data: Any, row: Any) -> Any:
    return _loaded(builder, _row(builder, data, row))


@lower(put_lanes, types.none, types.Array, types.Integer, LanesType)
def _put_lanes(builder: Any, data: Any, row: Any, lanes: Any) -> None:
    builder.store(lanes, _row(builder, data, row)).align = _ALIGN


@lower(lanes_from, LANES, types.Array, types.Integer)
def _lanes_from(builder: Any, data: Any, begin: Any) -> Any:
    return _loaded(builder, _address(builder, data, begin))


@lower(lane_of, types.float64, LanesType, types.Integer)
def _lane_of(builder: Any, lanes: Any, number: Any) -> Any:
    return builder.extract_element(lanes, number)


@lower(bits_of, MASK, types.Integer)
def _bits_of(builder: Any, byte: Any) -> Any:
    return builder.bitcast(builder.trunc(byte, _BYTE), _MASK)


@lower(leading, types.intp, MaskType)
def _leading(builder: Any, mask: Any) -> Any:
    unset = builder.zext(builder.not_(builder.bitcast(mask, _BYTE)), _WORD)
    return builder.cttz(builder.or_(unset, ir.Constant(_WORD, 1 << WIDTH)), ir.Constant(ir.IntType(1), 1))


@lower(operator.and_, MASK, MaskType, MaskType)
def _both(builder: Any, one: Any, other: Any) -> Any:
    return builder.and_(one, other)


@lower(lanes_of, LANES, types.Float)
def _lanes_of(builder: Any, value: Any) -> Any:
    return _spread(builder, value)


@lower(higher, LANES, LanesType, LanesType)
def _higher(builder: Any, one: Any, other: Any) -> Any:
    return _larger(builder, one, other)


def _larger(builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


@lower(highest, LANES, LanesType)
def _highest(builder: Any, lanes: Any) -> Any:
    for step in (1, 2, 4):
        lanes = _larger(builder, lanes, _picked(builder, lanes, [k ^ step for k in range(WIDTH)]))
    return lanes


@lower(highest_before, LANES, LanesType)
def _highest_before(builder: Any, lanes: Any) -> Any:
    lanes = _moved_on(builder, lanes, 1)
    for step in (1, 2, 4):
        lanes = _larger(builder, lanes, _moved_on(builder, lanes, step))
    return lanes


def _moved_on(builder: Any, lanes: Any, step: int) -> Any:
    """Every lane so many on, after minus infinity."""
    return _picked(builder, lanes, [k - step if k >= step else WIDTH for k in range(WIDTH)])


def _picked(builder: Any, lanes: Any, places: list[int]) -> Any:
    """The lanes at these places; WIDTH stands for minus infinity."""
    least = ir.Constant(_LANES, [-math.inf] * WIDTH)
    return builder.shuffle_vector(lanes, least, ir.Constant(ir.VectorType(_HALF, WIDTH), places))


def _lower_arithmetic(function: Callable[..., Any], name: str, kinds: tuple[Any, Any]) -> None:
    @lower(function, LANES, *kinds)
    def make(builder: Any, one: Any, other: Any) -> Any:
        return getattr(builder, name)(_spread(builder, one), _spread(builder, other))


def _lower_comparison(function: Callable[..., Any], sign: str, kinds: tuple[Any, Any]) -> None:
    @lower(function, MASK, *kinds)
    def make(builder: Any, one: Any, other: Any) -> Any:
        return builder.fcmp_ordered(sign, _spread(builder, one), _spread(builder, other))


def _lower_choice(kinds: tuple[Any, Any]) -> None:
    @lower(where, LANES, MaskType, *kinds)
    def make(builder: Any, mask: Any, one: Any, other: Any) -> Any:
        return builder.select(mask, _spread(builder, one), _spread(builder, other))


for _kinds in ((LanesType, LanesType), (LanesType, types.Float), (types.Float, LanesType)):
    _lower_arithmetic(operator.add, "fadd", _kinds)
    _lower_arithmetic(operator.sub, "fsub", _kinds)
    _lower_arithmetic(operator.mul, "fmul", _kinds)
    _lower_arithmetic(operator.truediv, "fdiv", _kinds)
    _lower_comparison(operator.lt, "<", _kinds)
    _lower_comparison(operator.gt, ">", _kinds)
    _lower_choice(_kinds)
