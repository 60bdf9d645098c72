"""Products: tiles of a few rows and a few vectors of columns, summed in registers; and powers of two by their bits.

A product of matrices spends its time on loading and storing unless a tile of its sums stays in registers until it is
done (Goto and van de Geijn 2008). In compiled code a tile is ROWS x BESIDE vectors of WIDTH floats, as many as this
processor's registers hold beside what a step loads; in plain Python it is an array.
"""

from __future__ import annotations

import platform
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import types
from numba.core.codegen import get_host_cpu_features

from foundation.lanes import lower

Floats = npt.NDArray[np.float32]
# Vectors of columns beside each other in a tile.
BESIDE = 4


def _shape() -> tuple[int, int]:
    """The rows of a tile and the floats of a vector: of 32 registers a tile takes 20, of 16 it takes 12."""
    features = numba.config.CPU_FEATURES or get_host_cpu_features()
    if "+avx512f" in features:
        return 5, 16
    if "+avx" in features:
        return 3, 8
    return (5 if platform.machine() in ("arm64", "aarch64") else 3), 4


ROWS, WIDTH = _shape()
_WORD, _HALF, _FLOAT = ir.IntType(64), ir.IntType(32), ir.FloatType()
_VECTOR, _ALIGN = ir.VectorType(_FLOAT, WIDTH), 4
_CONTRACT = ("contract",)


def put_products(tile: Floats, start: Floats, step: int, seen: Floats, blocks: int, weights: Floats) -> None:
    """Writes a tile: tile[b, r, j] = start[r step, b, j] + the sum over k of seen[k, r] weights[k, b, j].

    `tile`: (BESIDE, ROWS x WIDTH). `start`: (rows, BESIDE, WIDTH). `seen`: what is multiplied, in blocks of WIDTH k,
    (blocks or more, ROWS x WIDTH), of which the first `blocks` count. `weights`: (blocks x WIDTH or more, BESIDE,
    WIDTH). The sum runs over k in order, each product added with one rounding where the processor can.
    """
    for row in range(ROWS):
        part = slice(row * WIDTH, (row + 1) * WIDTH)
        shown = seen[:blocks, part].reshape(-1)
        made = shown @ weights[: len(shown)].reshape(len(shown), BESIDE * WIDTH)
        tile[:, part] = start[row * step] + made.reshape(BESIDE, WIDTH)


def power_of(value: np.float32) -> np.float32:
    """2 to the power n of 2^23 + 2^22 + 127 + n, with n from -126 to 127: the lowest bits, moved to the exponent's."""
    made: np.float32 = (value.view(np.int32) << np.int32(23)).view(np.float32)
    return made


@lower(
    put_products, types.none, types.Array, types.Array, types.Integer, types.Array, types.Integer, types.Array,
    item=types.float32,
)  # fmt: skip
def _put_products(builder: Any, tile: Any, start: Any, step: Any, seen: Any, blocks: Any, weights: Any) -> None:
    rows = [builder.gep(start, [builder.mul(step, _word(row * BESIDE * WIDTH))]) for row in range(ROWS)]
    first = [_load(builder, row, beside * WIDTH) for row in rows for beside in range(BESIDE)]

    def block_of(number: Any, sums: list[Any]) -> list[Any]:
        shown = builder.gep(seen, [builder.mul(number, _word(ROWS * WIDTH))])
        factors = builder.gep(weights, [builder.mul(number, _word(WIDTH * BESIDE * WIDTH))])
        return _loop(builder, _word(WIDTH), sums, lambda k, so_far: _add_step(builder, shown, factors, k, so_far))

    sums = _loop(builder, blocks, first, block_of)
    for row in range(ROWS):
        for beside in range(BESIDE):
            target = builder.gep(tile, [_word((beside * ROWS + row) * WIDTH)])
            builder.store(sums[row * BESIDE + beside], builder.bitcast(target, _VECTOR.as_pointer())).align = _ALIGN


def _add_step(builder: Any, shown: Any, weights: Any, k: Any, sums: list[Any]) -> list[Any]:
    """The sums of a tile with the products of one k: BESIDE vectors of weights, each times a float of every row."""
    none, zeros = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.VectorType(_HALF, WIDTH), [0] * WIDTH)
    weights = builder.gep(weights, [builder.mul(k, _word(BESIDE * WIDTH))])
    factors = [_load(builder, weights, beside * WIDTH) for beside in range(BESIDE)]
    made = []
    for row in range(ROWS):
        one = builder.load(builder.gep(shown, [builder.add(k, _word(row * WIDTH))]))
        spread = builder.shuffle_vector(builder.insert_element(none, one, ir.Constant(_HALF, 0)), none, zeros)
        for beside, factor in enumerate(factors):
            product = builder.fmul(spread, factor, flags=_CONTRACT)
            made.append(builder.fadd(product, sums[row * BESIDE + beside], flags=_CONTRACT))
    return made


def _loop(builder: Any, count: Any, values: list[Any], step: Any) -> list[Any]:
    """LLVM's code of `for number in range(count): values = step(number, values)`, with all values in registers."""
    before, body, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
    builder.cbranch(builder.icmp_signed(">", count, _word(0)), body, after)
    builder.position_at_end(body)
    number = builder.phi(_WORD)
    held = [builder.phi(value.type) for value in values]
    made = step(number, held)
    more = builder.add(number, _word(1))
    for phi, first, later in zip([number, *held], [_word(0), *values], [more, *made], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(later, builder.block)
    builder.cbranch(builder.icmp_signed("<", more, count), body, after)
    body = builder.block
    builder.position_at_end(after)
    found = [builder.phi(value.type) for value in values]
    for phi, first, later in zip(found, values, made, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(later, body)
    return found


def _word(number: int) -> Any:
    return ir.Constant(_WORD, number)


def _load(builder: Any, data: Any, offset: int) -> Any:
    found = builder.load(builder.bitcast(builder.gep(data, [_word(offset)]), _VECTOR.as_pointer()))
    found.align = _ALIGN
    return found


@lower(power_of, types.float32, types.Float)
def _power_of(builder: Any, value: Any) -> Any:
    return builder.bitcast(builder.shl(builder.bitcast(value, _HALF), ir.Constant(_HALF, 23)), _FLOAT)
