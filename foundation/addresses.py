"""Addresses: records handed to compiled code by where they lie in memory, and not one array after the other.

To take an array of records from Python costs compiled code some 300 nanoseconds, and a run has a dozen of them at every
call. An address is a whole number, and a record full of addresses is one array.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba.core import cgutils, types
from numba.core.extending import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.np.arrayobj import make_array, populate_array

from foundation.errors import CrossgateError


def address_of(array: npt.NDArray[Any], kind: np.dtype[Any]) -> int:
    """Where an array of records of a kind begins in memory; whoever keeps that has to keep the array too.

    Raises CrossgateError for an array of other records, in pieces, or not to be written to: `records_at` would not see.
    """
    flags = array.flags
    if array.dtype != kind or not flags.c_contiguous or not flags.writeable:
        raise CrossgateError(f"an array of shape {array.shape} cannot be handed over: other records, gaps or read-only")
    return int(array.ctypes.data)


def records_at(address: int, shape: tuple[int, ...], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """The array of records of a kind that begins at an address, as large as that of `address_of`, or smaller.

    Nothing is checked, and the memory stays somebody else's. In compiled code `kind` is a constant.
    """
    memory: Any = (ctypes.c_char * (kind.itemsize * math.prod(shape))).from_address(int(address))
    return np.ndarray(shape, dtype=kind, buffer=memory)


@infer_global(records_at)
class _RecordsAt(AbstractTemplate):
    """numba's type of it: an array without gaps."""

    key = records_at

    def generic(self, args: tuple[Any, ...], kws: object) -> Any:
        """The signature, for a whole number, a tuple of them and a kind."""
        _, shape, kind = args
        return signature(types.Array(kind.dtype, len(shape), "C"), *args)


def _lowered(context: Any, builder: Any, call: Any, values: Any) -> Any:
    """LLVM's code for it."""
    (kind_of_address, shape, _), kind, word = call.args, call.return_type, types.intp
    parts = zip(cgutils.unpack_tuple(builder, values[1]), shape, strict=True)
    sizes = [context.cast(builder, size, given, word) for size, given in parts]
    item = context.get_constant(word, kind.dtype.size)
    strides = [item]
    for size in reversed(sizes[1:]):
        strides.insert(0, builder.mul(strides[0], size))
    made = make_array(kind)(context, builder)
    begin = builder.inttoptr(context.cast(builder, values[0], kind_of_address, word), made.data.type)
    populate_array(made, data=begin, shape=sizes, strides=strides, itemsize=item, meminfo=None)
    return made._getvalue()


lower_builtin(records_at, types.Integer, types.UniTuple, types.DType)(_lowered)  # type: ignore[attr-defined]
